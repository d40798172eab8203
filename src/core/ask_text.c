/*
 * Rows as nodes tell them to each other. Another node is believed, but it may be of another
 * version, or wrong: an answer is entirely right or counts as none.
 */
#include <stdlib.h>

#include "base/err.h"
#include "core/ask.h"
#include "proto/json.h"

/* Milliseconds and microseconds that can be: some thousand years. */
#define TIME_MAX ((uint64_t)1 << 50)

static const struct str ask_words[ASK_WHATS] = {
	[ASK_SESSIONS] = {"sessions", 8},
	[ASK_VISITORS] = {"visitors", 8},
	[ASK_AGENTS] = {"agents", 6},
};

struct str ask_word(enum ask_what what)
{
	return ask_words[what];
}

/* ---- writing ---- */

/* An object that is being made; the first error stays. */
struct ask_pen {
	struct json *j;
	int e;
};

static void pen_text(struct ask_pen *p, const char *key, const char *value)
{
	if (p->e == 0 && value[0] != '\0')
		p->e = json_set_text(p->j, key, str_of(value));
}

static void pen_number(struct ask_pen *p, const char *key, uint64_t value)
{
	if (p->e == 0 && value != 0)
		p->e = json_set_number(p->j, key, MIN(value, JSON_NUMBER_MAX));
}

static void pen_flag(struct ask_pen *p, const char *key, bool value)
{
	if (p->e == 0 && value)
		p->e = json_set_bool(p->j, key, true);
}

static void pen_end(struct ask_pen *p, const struct visit_end *end)
{
	pen_text(p, "ip", end->ip);
	pen_number(p, "port", end->port);
}

static void ask_text_session(struct ask_pen *p, const void *row)
{
	const struct core_session_info *s = row;

	pen_number(p, "number", s->number);
	pen_number(p, "kind", s->kind);
	pen_text(p, "account", s->account);
	pen_text(p, "agent", s->agent);
	pen_number(p, "carrier", s->carrier);
	pen_number(p, "epoch", s->epoch);
	pen_end(p, &s->peer);
	pen_number(p, "since", (uint64_t)MAX(s->since_ms, 0));
	pen_number(p, "rtt", MIN(s->rtt_us, TIME_MAX));
	pen_number(p, "streams", s->n_streams);
	pen_flag(p, "draining", s->draining);
	pen_flag(p, "late", s->late);
	pen_flag(p, "down", s->down);
	pen_number(p, "priority", s->priority);
}

static void ask_text_visitor(struct ask_pen *p, const void *row)
{
	const struct core_visitor_info *v = row;

	pen_end(p, &v->peer);
	pen_text(p, "in", visit_ingress_name(v->ingress));
	pen_text(p, "host", v->host);
	pen_number(p, "since", (uint64_t)MAX(v->since_ms, 0));
}

static void ask_text_agent(struct ask_pen *p, const void *row)
{
	const struct core_agent_info *a = &((const struct core_agent_there *)row)->info;

	pen_text(p, "account", a->account);
	pen_text(p, "id", a->id);
	pen_number(p, "sessions", a->n_sessions);
	pen_number(p, "since", (uint64_t)MAX(a->since_ms, 0));
	pen_flag(p, "back", a->was_there);
}

/* ---- reading ---- */

/* Of these, what is not said is empty, 0 or false. Return 0 or ERR_PROTO. */
static int ask_text_text(const struct json *j, const char *key, char *out, size_t cap)
{
	struct str text = STR("");
	int e = json_get_text(j, key, &text);

	if (e == ERR_INVAL || str_copy(out, cap, text) != 0)
		return ERR_PROTO;
	return 0;
}

static int ask_text_number(const struct json *j, const char *key, uint64_t max, uint64_t *out)
{
	int e = json_get_number(j, key, max, out);

	if (e == ERR_NOTFOUND)
		*out = 0;
	return e == 0 || e == ERR_NOTFOUND ? 0 : ERR_PROTO;
}

static int ask_text_flag(const struct json *j, const char *key, bool *out)
{
	int e = json_get_bool(j, key, out);

	if (e == ERR_NOTFOUND)
		*out = false;
	return e == 0 || e == ERR_NOTFOUND ? 0 : ERR_PROTO;
}

static int ask_text_end(const struct json *j, struct visit_end *out)
{
	char ip[CIDR_IP_TEXT_MAX];
	uint64_t port;

	if (ask_text_text(j, "ip", ip, sizeof ip) != 0 ||
	    ask_text_number(j, "port", UINT16_MAX, &port) != 0)
		return ERR_PROTO;
	if (ip[0] != '\0' && visit_end_set(out, str_of(ip), (uint16_t)port) != 0)
		return ERR_PROTO;
	return 0;
}

static int ask_text_since(const struct json *j, int64_t *out)
{
	uint64_t ms;

	if (ask_text_number(j, "since", TIME_MAX, &ms) != 0)
		return ERR_PROTO;
	*out = (int64_t)ms;
	return 0;
}

static int ask_text_read_session(const struct json *j, void *row)
{
	struct core_session_info *s = row;
	uint64_t kind, carrier, streams, priority;

	if (ask_text_number(j, "number", JSON_NUMBER_MAX, &s->number) != 0 || s->number == 0 ||
	    ask_text_number(j, "kind", CORE_SESSION_KINDS - 1, &kind) != 0 ||
	    ask_text_text(j, "account", s->account, sizeof s->account) != 0 ||
	    ask_text_text(j, "agent", s->agent, sizeof s->agent) != 0 ||
	    ask_text_number(j, "carrier", UINT32_MAX, &carrier) != 0 ||
	    ask_text_number(j, "epoch", JSON_NUMBER_MAX, &s->epoch) != 0 ||
	    ask_text_end(j, &s->peer) != 0 || ask_text_since(j, &s->since_ms) != 0 ||
	    ask_text_number(j, "rtt", TIME_MAX, &s->rtt_us) != 0 ||
	    ask_text_number(j, "streams", UINT32_MAX, &streams) != 0 ||
	    ask_text_flag(j, "draining", &s->draining) != 0 ||
	    ask_text_flag(j, "late", &s->late) != 0 || ask_text_flag(j, "down", &s->down) != 0 ||
	    ask_text_number(j, "priority", UINT32_MAX, &priority) != 0)
		return ERR_PROTO;
	s->kind = (enum core_session_kind)kind;
	s->carrier = (unsigned)carrier;
	s->n_streams = (size_t)streams;
	s->priority = (unsigned)priority;
	return 0;
}

static int ask_text_read_visitor(const struct json *j, void *row)
{
	struct core_visitor_info *v = row;
	char in[8];
	int i = 0;

	if (ask_text_end(j, &v->peer) != 0 || ask_text_text(j, "in", in, sizeof in) != 0 ||
	    ask_text_text(j, "host", v->host, sizeof v->host) != 0 ||
	    ask_text_since(j, &v->since_ms) != 0)
		return ERR_PROTO;
	while (i < VISIT_NODE && !str_eq(str_of(in), str_of(visit_ingress_name(i))))
		i++;
	v->ingress = (enum visit_ingress)i;
	return i < VISIT_NODE ? 0 : ERR_PROTO;
}

static int ask_text_read_agent(const struct json *j, void *row)
{
	struct core_agent_info *a = &((struct core_agent_there *)row)->info;
	uint64_t sessions;

	if (ask_text_text(j, "account", a->account, sizeof a->account) != 0 ||
	    ask_text_text(j, "id", a->id, sizeof a->id) != 0 || a->id[0] == '\0' ||
	    ask_text_number(j, "sessions", UINT32_MAX, &sessions) != 0 ||
	    ask_text_since(j, &a->since_ms) != 0 || ask_text_flag(j, "back", &a->was_there) != 0)
		return ERR_PROTO;
	a->n_sessions = (size_t)sessions;
	return 0;
}

/* ---- both ---- */

static const struct {
	void (*write)(struct ask_pen *p, const void *row);
	int (*read)(const struct json *j, void *row);
} ask_text_rows[ASK_WHATS] = {
	[ASK_SESSIONS] = {ask_text_session, ask_text_read_session},
	[ASK_VISITORS] = {ask_text_visitor, ask_text_read_visitor},
	[ASK_AGENTS] = {ask_text_agent, ask_text_read_agent},
};

static int ask_text_list(const struct ask_rows *r, struct json *list)
{
	const char *v = r->v;
	int e = 0;

	for (size_t i = 0; i < r->n && e == 0; i++) {
		struct ask_pen p = {.j = NULL};

		if ((p.e = json_new_object(&p.j)) == 0)
			ask_text_rows[r->what].write(&p, v + i * ask_rows_size(r->what));
		e = p.e;
		if (e == 0)
			e = json_add(list, &p.j);
		json_free(p.j);
	}
	return e;
}

int ask_text_write(const struct ask_rows *r, struct buf *out)
{
	struct json *root = NULL, *list = NULL;
	int e;

	if ((e = json_new_object(&root)) == 0 && (e = json_new_list(&list)) == 0 &&
	    (e = ask_text_list(r, list)) == 0 && (e = json_set(root, "rows", &list)) == 0 &&
	    (e = json_set_number(root, "total", r->total)) == 0 &&
	    (e = json_set_bool(root, "more", r->more)) == 0)
		e = json_write(root, CORE_ANSWER_MAX, out);
	json_free(list);
	json_free(root);
	return e;
}

static int ask_text_read_rows(const struct json *list, struct ask_rows *r)
{
	size_t size = ask_rows_size(r->what), n = json_count(list);
	char *v;
	int e = 0;

	if (n > ask_rows_max(r->what))
		return ERR_TOOBIG;
	if ((r->v = v = calloc(n + 1, size)) == NULL)
		return ERR_NOMEM;
	for (; r->n < n && e == 0; r->n++)
		e = ask_text_rows[r->what].read(json_at(list, r->n), v + r->n * size);
	return e;
}

int ask_text_read(struct str text, enum ask_what what, struct ask_rows *out)
{
	struct ask_rows r = {.what = what};
	const struct json *list;
	struct json *root = NULL;
	uint64_t total;
	int e;

	if ((e = json_parse(text, CORE_ANSWER_MAX, &root)) != 0)
		return e;
	if (json_get_list(root, "rows", &list) != 0 ||
	    ask_text_number(root, "total", UINT32_MAX, &total) != 0 ||
	    ask_text_flag(root, "more", &r.more) != 0)
		e = ERR_PROTO;
	else if ((e = ask_text_read_rows(list, &r)) == 0) {
		r.total = MAX((size_t)total, r.n);
		*out = r;
	}
	if (e != 0)
		ask_rows_free(&r);
	json_free(root);
	return e;
}
