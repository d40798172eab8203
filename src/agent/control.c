/* What travels is text; everywhere else it is a struct. */
#include "agent/control.h"

#include <string.h>

#include "base/err.h"
#include "proto/json.h"

/* Bytes of a line that we write, but for a wish: 256 services of 64 bytes with their quotes are the
 * longest. */
#define CONTROL_LINE_MAX 32768

/* Bytes of a line that we read. */
#define CONTROL_READ_MAX 65536

int control_code(struct str name)
{
	static const int known[] = {
#define ERR(name, number, sentence) number,
#include "base/err.def"
#undef ERR
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq_nocase(name, str_of(err_name(known[i]))))
			return known[i];
	return 0;
}

bool control_is_final(int code)
{
	switch (code) {
	case ERR_AUTH:
	case ERR_DENIED:
	case ERR_EXISTS:
	case ERR_RESERVED:
	case ERR_INVAL:
	case ERR_DISABLED:
	case ERR_DELETED:
	case ERR_REPLACED:
	case ERR_DISCONNECTED:
	case ERR_UNSUPPORTED: return true;
	default: return false;
	}
}

/* ---- reading ---- */

static enum control_op control_op_of(struct str op)
{
	if (str_eq(op, STR("attached")))
		return CONTROL_ATTACHED;
	if (str_eq(op, STR("refused")))
		return CONTROL_REFUSED;
	if (str_eq(op, STR("detached")))
		return CONTROL_DETACHED;
	if (str_eq(op, STR("assigned")))
		return CONTROL_ASSIGNED;
	if (str_eq(op, STR("nodes")))
		return CONTROL_NODES;
	return CONTROL_UNKNOWN;
}

static int control_read_name(const struct json *j, struct control_line *out)
{
	struct str name;

	if (json_get_text(j, "name", &name) != 0 || hostname_tunnel(name, out->name) != 0)
		return ERR_PROTO;
	return 0;
}

/* A URL is printed on terminals: it must be one. */
static bool control_url_ok(struct str url)
{
	for (size_t i = 0; i < url.len; i++)
		if (url.p[i] <= ' ' || url.p[i] >= 0x7f)
			return false;
	return url.len > 0;
}

/* The first one is what a person is told: it must be right. Of the others, those that are. */
static int control_read_urls(const struct json *urls, struct control_line *out)
{
	for (size_t i = 0; i < json_count(urls) && out->n_urls < CONTROL_URLS_MAX; i++) {
		struct str url;

		if (json_text(json_at(urls, i), &url) == 0 && control_url_ok(url) &&
		    str_copy(out->urls[out->n_urls], CONTROL_URL_MAX, url) == 0)
			out->n_urls++;
		else if (i == 0)
			return ERR_PROTO;
	}
	return out->n_urls > 0 ? 0 : ERR_PROTO;
}

static int control_read_attached(const struct json *j, struct control_line *out)
{
	const struct json *urls;

	if (json_get_number(j, "ref", JSON_NUMBER_MAX, &out->ref) != 0 ||
	    json_get_list(j, "urls", &urls) != 0 || control_read_urls(urls, out) != 0)
		return ERR_PROTO;
	return control_read_name(j, out);
}

/* A tunnel may have no service: then the agent knows it by its name. */
static int control_read_assigned(const struct json *j, struct control_line *out)
{
	struct str service;
	int e = json_get_text(j, "service", &service);

	if (e == 0 && service.len > 0 &&
	    (!ident_ok(service) || str_copy(out->service, sizeof out->service, service) != 0))
		return ERR_PROTO;
	return e != 0 && e != ERR_NOTFOUND ? ERR_PROTO : control_read_name(j, out);
}

static void control_read_why(const struct json *j, struct control_line *out)
{
	struct str code, reason;

	/* A code of a later version is none that ends our trying. */
	out->code = json_get_text(j, "code", &code) == 0 ? control_code(code) : 0;
	if (out->code == 0)
		out->code = ERR_IO;
	if (json_get_text(j, "reason", &reason) == 0)
		str_printf(out->reason, sizeof out->reason, STR_FMT, STR_ARG(reason));
}

static int control_read_detached(const struct json *j, struct control_line *out)
{
	uint64_t ms = 0;
	int e = json_get_number(j, "drain_ms", CONTROL_DRAIN_MAX, &ms);

	if (e != 0 && e != ERR_NOTFOUND)
		return ERR_PROTO;
	out->drain_ms = (uint32_t)ms;
	control_read_why(j, out);
	return control_read_name(j, out);
}

int control_parse(struct str line, struct control_line *out)
{
	struct json *j = NULL;
	struct str op;
	int e = ERR_PROTO;

	*out = (struct control_line){.op = CONTROL_UNKNOWN};
	if (json_parse(line, CONTROL_READ_MAX, &j) != 0 || json_get_text(j, "op", &op) != 0)
		goto out;
	e = 0;
	switch (out->op = control_op_of(op)) {
	case CONTROL_ATTACHED: e = control_read_attached(j, out); break;
	case CONTROL_REFUSED:
		control_read_why(j, out);
		if (json_get_number(j, "ref", JSON_NUMBER_MAX, &out->ref) != 0)
			e = ERR_PROTO;
		break;
	case CONTROL_DETACHED: e = control_read_detached(j, out); break;
	case CONTROL_ASSIGNED: e = control_read_assigned(j, out); break;
	case CONTROL_NODES:
	case CONTROL_UNKNOWN: break;
	}
out:
	json_free(j);
	return e;
}

static bool control_read_node(const struct json *j, struct control_node *out)
{
	struct str id, url;

	return json_get_text(j, "id", &id) == 0 && ident_ok(id) &&
	       str_copy(out->id, sizeof out->id, id) == 0 && json_get_text(j, "url", &url) == 0 &&
	       control_url_ok(url) && str_copy(out->url, sizeof out->url, url) == 0;
}

int control_parse_nodes(struct str line, struct control_nodes *out)
{
	const struct json *nodes = NULL;
	struct json *j = NULL;
	uint64_t count;
	int e = ERR_PROTO;

	out->n = 0;
	if (json_parse(line, CONTROL_READ_MAX, &j) != 0 ||
	    json_get_number(j, "count", CONTROL_NODES_COUNT_MAX, &count) != 0)
		goto out;
	e = 0;
	out->count = (unsigned)MAX(count, 1);
	if (json_get_list(j, "nodes", &nodes) != 0)
		goto out;
	for (size_t i = 0; i < json_count(nodes) && out->n < CONTROL_NODES_MAX; i++)
		if (control_read_node(json_at(nodes, i), &out->v[out->n]))
			out->n++;
out:
	json_free(j);
	return e;
}

/* ---- writing ---- */

/* One line on its way; the first error stays. */
struct control_pen {
	struct json *j;
	int e;
};

static struct control_pen control_begin(const char *op)
{
	struct control_pen p = {0};

	if ((p.e = json_new_object(&p.j)) == 0)
		p.e = json_set_text(p.j, "op", str_of(op));
	return p;
}

static void control_text(struct control_pen *p, const char *key, struct str text)
{
	if (p->e == 0)
		p->e = json_set_text(p->j, key, text);
}

/* text: NULL is not said. */
static void control_word(struct control_pen *p, const char *key, const char *text)
{
	if (text != NULL)
		control_text(p, key, str_of(text));
}

static void control_number(struct control_pen *p, const char *key, uint64_t number)
{
	if (p->e == 0)
		p->e = json_set_number(p->j, key, number);
}

static void control_bool(struct control_pen *p, const char *key, bool value)
{
	if (p->e == 0)
		p->e = json_set_bool(p->j, key, value);
}

/* *list  taken over; e: how making it ended. */
static void control_list(struct control_pen *p, const char *key, int e, struct json **list)
{
	if (p->e == 0)
		p->e = e != 0 ? e : json_set(p->j, key, list);
	json_free(*list);
	*list = NULL;
}

static int control_end(struct control_pen *p, struct buf *out)
{
	int e = p->e != 0 ? p->e : json_write(p->j, out->len + CONTROL_LINE_MAX, out);

	json_free(p->j);
	return e;
}

static void control_domains(struct control_pen *p, const struct control_wish *w)
{
	struct json *list = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < w->n_domains && e == 0; i++)
		e = json_add_text(list, str_of(w->domains[i]));
	control_list(p, "domains", e, &list);
}

/* What is changed in heads: an object, if any of it is said. */
static void control_headers(struct control_pen *p, const struct control_wish *w)
{
	struct control_pen in = {0};
	bool said = w->host_header != NULL;

	in.e = json_new_object(&in.j);
	if (w->host_header != NULL) {
		bool keep = strcmp(w->host_header, "keep") == 0;
		bool rewrite = strcmp(w->host_header, "rewrite") == 0;

		control_bool(&in, "rewrite", rewrite);
		control_word(&in, "host", keep || rewrite ? "" : w->host_header);
	}
	for (unsigned what = 0; what < HEADER_EDITS; what++) {
		struct json *list = NULL;
		int e = w->n_edits[what] > 0 ? json_new_list(&list) : 0;

		said = said || w->n_edits[what] > 0;
		for (size_t i = 0; i < w->n_edits[what] && e == 0; i++)
			e = json_add_text(list, str_of(w->edits[what][i]));
		if (w->n_edits[what] > 0)
			control_list(&in, header_edit_name(what), e, &list);
	}
	if (said || in.e != 0)
		control_list(p, "headers", in.e, &in.j);
	json_free(in.j);
}

static void control_wishes(struct control_pen *p, const struct control_wish *w)
{
	if (w->has_port)
		control_number(p, "port", w->port);
	control_word(p, "bind", w->bind);
	if (w->n_domains > 0)
		control_domains(p, w);
	control_word(p, "tls", w->tls);
	control_word(p, "proxy_protocol", w->proxy);
	control_word(p, "policy", w->policy);
	if (w->sessions_max > 0)
		control_number(p, "max_sessions", w->sessions_max);
	if (w->has_drain)
		control_number(p, "drain_ms", w->drain_ms);
	control_headers(p, w);
}

/* The members of an object without its braces. */
static struct str control_inside(const struct buf *object)
{
	struct str s = buf_str(object);

	CHECK(s.len >= 2);
	return (struct str){s.p + 1, s.len - 2};
}

int control_wish_write(const struct control_wish *w, struct buf *out)
{
	struct control_pen p = {0};
	struct buf object = {0};
	struct str members;
	int e;

	p.e = json_new_object(&p.j);
	control_wishes(&p, w);
	if ((e = control_end(&p, &object)) == 0) {
		members = control_inside(&object);
		e = buf_add(out, members.p, members.len, out->len + members.len);
	}
	buf_free(&object);
	return e;
}

/* Does an attach say this by itself? */
static bool control_is_own(struct str member)
{
	static const char *const own[] = {"op",	    "ref",   "kind",	"name",
					  "target", "again", "priority"};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (str_eq(member, str_of(own[i])))
			return true;
	return false;
}

int control_wish_check(struct str wish)
{
	const struct json *value;
	struct buf text = {0};
	struct json *j = NULL;
	struct str member;
	void *at = NULL;
	int e;

	if (wish.len > CONTROL_WISH_MAX)
		return ERR_TOOBIG;
	for (size_t i = 0; i < wish.len; i++)
		if ((unsigned char)wish.p[i] < ' ')
			return ERR_INVAL; /* it travels on one line */
	e = buf_printf(&text, CONTROL_WISH_MAX + 3, "{" STR_FMT "}", STR_ARG(wish));
	if (e == 0 && (e = json_parse(buf_str(&text), text.len, &j)) == ERR_PROTO)
		e = ERR_INVAL;
	if (e == 0 && wish.len > 0 && json_count(j) == 0)
		e = ERR_INVAL;
	while (e == 0 && json_each(j, &at, &member, &value))
		if (control_is_own(member))
			e = ERR_INVAL;
	json_free(j);
	buf_free(&text);
	return e;
}

int control_attach(const struct control_attach *a, struct buf *out)
{
	struct control_pen p = control_begin("attach");
	char priority[32] = "";
	struct buf head = {0};
	struct str members;
	int e;

	control_number(&p, "ref", a->ref);
	control_text(&p, "kind", a->kind);
	if (a->name.len > 0)
		control_text(&p, "name", a->name);
	control_text(&p, "target", a->target);
	if ((e = control_end(&p, &head)) == 0) {
		members = control_inside(&head);
		if (a->priority > 0)
			str_printf(priority, sizeof priority, ",\"priority\":%u", a->priority);
		e = buf_printf(out, out->len + CONTROL_LINE_MAX + CONTROL_WISH_MAX,
			       "{" STR_FMT "%s" STR_FMT "%s%s}", STR_ARG(members),
			       a->wish.len > 0 ? "," : "", STR_ARG(a->wish), priority,
			       a->again ? ",\"again\":true" : "");
	}
	buf_free(&head);
	return e;
}

int control_detach(struct str name, struct buf *out)
{
	struct control_pen p = control_begin("detach");

	control_text(&p, "name", name);
	return control_end(&p, out);
}

int control_offer(const struct str *services, size_t n, unsigned priority, struct buf *out)
{
	struct control_pen p = control_begin("offer");
	struct json *list = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < n && e == 0; i++)
		e = json_add_text(list, services[i]);
	control_list(&p, "services", e, &list);
	control_number(&p, "priority", priority);
	return control_end(&p, out);
}

int control_health(struct str name, bool up, struct buf *out)
{
	struct control_pen p = control_begin("health");

	control_text(&p, "name", name);
	control_bool(&p, "up", up);
	return control_end(&p, out);
}
