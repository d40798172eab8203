/* The node's half of doc/session-protocol.md, as far as an agent can see it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/http_head.h"
#include "proto/json.h"
#include "unit/agent/fake_server.h"
#include "wire/wire_mem.h"
#include "wire/wire_ws.h"
#include "wire/ws_key.h"

struct agent_dial {
	struct fake *fake;
	struct ev_timer timer;
	struct url to;
	bool server;
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

/* ---- sessions ---- */

static void fake_answer(struct fake_session *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void fake_answer(struct fake_session *s, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	assert_int_equal(session_tell(s->session, str_of(line)), 0);
}

static void fake_text(const struct json *j, const char *key, char *out)
{
	struct str text = STR("");

	if (json_get_text(j, key, &text) != 0)
		text = STR("");
	str_printf(out, FAKE_TEXT, STR_FMT, STR_ARG(text));
}

/* asked: the name, or "". */
static void fake_answer_attach(struct fake_session *s, uint64_t ref, const char *asked)
{
	struct fake *f = s->fake;
	const char *name = asked[0] != '\0' ? asked : f->random;
	char code[32] = "";

	if (f->no_name != NULL && (f->no_name_of == NULL || strcmp(f->no_name_of, asked) == 0)) {
		sscanf(f->no_name, "%31s", code);
		fake_answer(s, "{\"op\":\"refused\",\"ref\":%u,\"code\":\"%s\",\"reason\":\"%s\"}",
			    (unsigned)ref, code, f->no_name + strlen(code) + 1);
		return;
	}
	fake_answer(s,
		    "{\"op\":\"attached\",\"ref\":%u,\"name\":\"%s\",\"urls\":[\"http://"
		    "%s.localhost:8080\"]}",
		    (unsigned)ref, name, name);
}

static void fake_on_attach(struct fake_session *s, const struct json *j)
{
	struct fake *f = s->fake;
	char name[FAKE_TEXT];
	bool again = false;
	uint64_t ref;

	fake_text(j, "name", name);
	assert_int_equal(json_get_number(j, "ref", JSON_NUMBER_MAX, &ref), 0);
	s->n_again += json_get_bool(j, "again", &again) == 0 && again;
	s->n_attached++;
	str_printf(s->attached, sizeof s->attached, "%s", name);
	if (f->silent_lines)
		return;
	if (f->hold) {
		struct fake_held *h = &s->held[s->n_held++];

		assert_true(s->n_held < FAKE_HELD);
		h->ref = ref;
		str_printf(h->name, sizeof h->name, "%s", name);
		return;
	}
	fake_answer_attach(s, ref, name);
}

static void fake_on_told(void *arg, struct session *session, struct str line)
{
	struct fake_session *s = arg;
	struct json *j = NULL;
	char op[FAKE_TEXT];

	assert_int_equal(json_parse(line, 65536, &j), 0);
	fake_text(j, "op", op);
	if (strcmp(op, "attach") == 0) {
		str_printf(s->attach_line, FAKE_TEXT, STR_FMT, STR_ARG(line));
		fake_on_attach(s, j);
	} else if (strcmp(op, "offer") == 0) {
		str_printf(s->offer_line, FAKE_TEXT, STR_FMT, STR_ARG(line));
		s->n_offers++;
	} else if (strcmp(op, "health") == 0) {
		str_printf(s->health_line, FAKE_TEXT, STR_FMT, STR_ARG(line));
		s->n_health++;
	} else if (strcmp(op, "detach") == 0) {
		str_printf(s->detach_line, FAKE_TEXT, STR_FMT, STR_ARG(line));
		s->n_detached++;
	} else {
		fail_msg("an agent does not say %s", op);
	}
	json_free(j);
}

static void fake_on_draining(void *arg, struct session *session)
{
	((struct fake_session *)arg)->n_draining++;
}

static void fake_on_closed(void *arg, struct session *session, int why, struct str reason)
{
	struct fake_session *s = arg;

	s->session = NULL;
	s->cable = NULL;
	s->closed_why = why;
	str_printf(s->closed_reason, sizeof s->closed_reason, STR_FMT, STR_ARG(reason));
}

static const struct session_owner fake_session_owner = {.told = fake_on_told,
							.draining = fake_on_draining,
							.closed = fake_on_closed};

static const char *fake_field(const struct http_head *h, const char *name, char *out)
{
	out[0] = '\0';
	for (size_t i = 0; i < h->n_fields; i++)
		if (str_eq_nocase(h->fields[i].name, str_of(name)))
			str_printf(out, FAKE_TEXT, STR_FMT, STR_ARG(h->fields[i].value));
	return out;
}

static void fake_refuse(struct fake_session *s, const char *words)
{
	char text[1024], body[512], code[32] = "";
	unsigned status = 0;
	int skip = 0;

	sscanf(words, "%u %31s %n", &status, code, &skip);
	str_printf(body, sizeof body, "{\"status\":%u,\"code\":\"%s\",\"detail\":\"%s\"}", status,
		   code, words + skip);
	str_printf(text, sizeof text,
		   "HTTP/1.1 %u No\r\nContent-Type: application/problem+json\r\nContent-Length: "
		   "%zu\r\nConnection: close\r\n\r\n%s",
		   status, strlen(body), body);
	assert_int_equal(wire_write_all(s->wire, str_of(text)), 0);
	wire_shut(s->wire);
	wire_close(s->wire, 0);
	s->wire = s->cable = NULL;
}

/* The answer's head, but for the account. */
static void fake_switch(struct fake_session *s, const char *key, char *out, size_t cap)
{
	char accept[WS_ACCEPT_TEXT];

	if (!s->websocket) {
		str_printf(out, cap,
			   "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			   "Upgrade: karez/1\r\n");
		return;
	}
	assert_int_equal(ws_key_accept(str_of(key), accept), 0);
	str_printf(out, cap,
		   "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
		   "WebSocket\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: "
		   "karez.1\r\n",
		   accept);
}

static void fake_wrap(struct fake_session *s)
{
	struct wire *ws;

	if (!s->websocket)
		return;
	assert_int_equal(wire_ws_server(s->fake->ev, s->wire, &ws), 0);
	s->wire = ws;
}

static void fake_accept(struct fake_session *s, const char *key)
{
	struct mux_opt opt = {.role = MUX_NODE,
			      .budget = &s->fake->budget,
			      .owner = &fake_session_owner};
	char text[512], head[256], node[64] = "";

	fake_switch(s, key, head, sizeof head);
	if (s->node != NULL)
		str_printf(node, sizeof node, "Karez-Node: %s\r\nKarez-Nodes: %zu\r\n", s->node->id,
			   s->fake->n_nodes);
	str_printf(text, sizeof text, "%s%s%s%s%s\r\n", head, node,
		   s->fake->token[0] == '\0' ? "Karez-Account: AAAA-1\r\nKarez-Token: " : "",
		   s->fake->token[0] == '\0' ? s->fake->give : "",
		   s->fake->token[0] == '\0' ? "\r\n" : "");
	if (wire_write_all(s->wire, str_of(text)) != 0)
		return; /* the agent has gone meanwhile: fake_on_broken() follows */
	opt.arg = s;
	fake_wrap(s);
	assert_int_equal(mux_new(s->fake->ev, s->wire, &opt, &s->session), 0);
	s->wire = NULL;
}

/* Is this agent let through, whatever else is wrong? */
static bool fake_spares(const struct fake_session *s)
{
	return s->websocket ? s->fake->for_upgrade : s->fake->for_websocket;
}

/* As a middlebox does that does not know what it sees. */
static void fake_dies(struct fake_session *s)
{
	assert_int_equal(wire_write_all(s->wire, STR("HTTP/1.1 101 S\r\nConnection: Upgrade\r\n"
						     "Upgrade: karez/1\r\n\r\n")),
			 0);
	wire_shut(s->wire);
	wire_close(s->wire, 0);
	s->wire = s->cable = NULL;
}

static void fake_on_request(struct fake_session *s, const struct http_request *r)
{
	struct fake *f = s->fake;
	const struct http_head *h = &r->head;
	char carrier[FAKE_TEXT], bearer[FAKE_TEXT], key[FAKE_TEXT];

	f->n_asks++;
	s->websocket = str_eq(h->upgrade, STR("websocket"));
	f->n_websocket += s->websocket;
	assert_true(s->websocket || str_eq(h->upgrade, STR("karez/1")));
	fake_field(h, "Sec-WebSocket-Key", key);
	fake_field(h, "Authorization", bearer);
	if (bearer[0] != '\0')
		assert_memory_equal(bearer, "Bearer ", 7);
	str_printf(f->token, sizeof f->token, "%s", bearer[0] != '\0' ? bearer + 7 : "");
	str_printf(f->path, sizeof f->path, STR_FMT, STR_ARG(r->path));
	str_printf(f->host, sizeof f->host, STR_FMT, STR_ARG(r->host));
	fake_field(h, "Karez-Agent", f->agent);
	fake_field(h, "Karez-Nodes", s->nodes);
	fake_field(h, "Karez-Proof", f->proof);
	fake_field(h, "Karez-Epoch", f->epoch);
	s->carrier = (unsigned)strtoul(fake_field(h, "Karez-Carrier", carrier), NULL, 10);
	s->at_ms = ev_now_ms(f->ev);
	if (fake_spares(s)) {
		fake_accept(s, key);
	} else if (f->dies) {
		fake_dies(s);
	} else if (f->silent) {
		wire_want(s->wire, 0);
	} else if (f->raw != NULL) {
		assert_int_equal(wire_write_all(s->wire, str_of(f->raw)), 0);
		wire_shut(s->wire);
		wire_close(s->wire, 0);
		s->wire = s->cable = NULL;
	} else if (f->refuse != NULL &&
		   (f->only_token == NULL || strcmp(f->only_token, f->token) != 0)) {
		fake_refuse(s, f->refuse);
	} else if (s->node != NULL && s->node->refuse != NULL) {
		fake_refuse(s, s->node->refuse);
	} else {
		fake_accept(s, key);
	}
}

static void fake_on_ready(void *arg, struct wire *w, int events)
{
	struct fake_session *s = arg;
	struct http_request r;
	size_t scanned = 0;
	struct str in;

	if (wire_read(w, 65536, &in) != 0)
		return;
	assert_int_equal(http_request_parse(in, &scanned, &r), 0);
	assert_int_equal(r.head.len, in.len);
	fake_on_request(s, &r);
}

static void fake_on_broken(void *arg, struct wire *w, int why)
{
	struct fake_session *s = arg;

	wire_close(w, why);
	s->wire = s->cable = NULL;
}

static const struct wire_owner fake_owner = {fake_on_ready, fake_on_broken};

/* ---- targets ---- */

static void fake_target_on_ready(void *arg, struct wire *w, int events)
{
	struct fake_target *t = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, sizeof t->got, &in)) == 0) {
		in.len = MIN(in.len, sizeof t->got - t->n_got);
		if (in.len > 0)
			memcpy(t->got + t->n_got, in.p, in.len);
		t->n_got += in.len;
	}
	t->eof = t->eof || e == ERR_EOF;
	if (e != ERR_AGAIN)
		wire_want(w, 0); /* a break is told */
}

static void fake_target_on_broken(void *arg, struct wire *w, int why)
{
	struct fake_target *t = arg;

	t->why = why;
	wire_close(w, 0);
	t->wire = NULL;
}

static const struct wire_owner fake_target_owner = {fake_target_on_ready, fake_target_on_broken};

/* A wire that is broken from the start, as after a failed handshake. */
struct fake_broken {
	struct wire wire; /* first: the two are the same pointer */
	int why;
};

static int fake_broken_read(struct wire *w, size_t max, struct str *out)
{
	return ((struct fake_broken *)w)->why;
}

static int fake_broken_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	*taken = 0;
	return ((struct fake_broken *)w)->why;
}

static size_t fake_broken_room(const struct wire *w)
{
	return WIRE_ROOM_UNKNOWN;
}

static void fake_broken_want(struct wire *w, int events)
{
}

static void fake_broken_close(struct wire *w, int why)
{
	ev_free_later(w->ev, w);
}

static const struct wire_ops fake_broken_ops = {
	.read = fake_broken_read,
	.write = fake_broken_write,
	.room = fake_broken_room,
	.want = fake_broken_want,
	.close = fake_broken_close,
};

static struct wire *fake_broken_open(struct fake *f)
{
	struct fake_broken *b = calloc(1, sizeof *b);

	assert_non_null(b);
	*b = (struct fake_broken){.wire = {.ops = &fake_broken_ops, .ev = f->ev},
				  .why = f->target_breaks};
	return &b->wire;
}

static struct wire *fake_target_open(struct fake *f)
{
	struct wire *ours, *theirs;

	if (f->target_breaks != 0)
		return fake_broken_open(f);
	wire_close(f->target.wire, ERR_RESET);
	f->target = (struct fake_target){0};
	assert_int_equal(wire_mem_pair(f->ev, &(struct wire_mem_opt){.delay_ms = 1}, &ours,
				       &theirs),
			 0);
	f->target.wire = ours;
	f->target_near = theirs;
	wire_own(ours, &fake_target_owner, &f->target);
	wire_want(ours, WIRE_READ);
	if (f->target_says != NULL) {
		assert_int_equal(wire_write_all(ours, str_of(f->target_says)), 0);
		wire_shut(ours);
	}
	f->n_targets++;
	return theirs;
}

/* ---- the net ---- */

/* Whom does this port lead to? NULL: there are no nodes. */
static struct fake_node *fake_node_at(struct fake *f, uint16_t port)
{
	for (size_t i = 0; i < f->n_nodes; i++)
		if (f->nodes[i].port == port)
			return &f->nodes[i];
	for (size_t i = 0; i < f->n_nodes; i++) {
		struct fake_node *n = &f->nodes[f->turn % f->n_nodes];

		f->turn += !f->stuck || n->dial_error != 0;
		if (n->dial_error == 0)
			return n;
	}
	return f->n_nodes > 0 ? &f->nodes[0] : NULL;
}

static struct wire *fake_session_open(struct fake *f, struct fake_node *node)
{
	struct fake_session *s;
	struct wire *theirs;

	assert_true(f->n_sessions < FAKE_SESSIONS);
	s = &f->sessions[f->n_sessions++];
	*s = (struct fake_session){.fake = f, .node = node};
	assert_int_equal(wire_mem_pair(f->ev, &(struct wire_mem_opt){.delay_ms = 5}, &s->wire,
				       &theirs),
			 0);
	s->cable = s->wire;
	wire_own(s->wire, &fake_owner, s);
	wire_want(s->wire, WIRE_READ);
	return theirs;
}

static void fake_on_dial(void *arg)
{
	struct agent_dial *d = arg;
	struct fake *f = d->fake;
	struct fake_node *node = d->server ? fake_node_at(f, d->to.port) : NULL;
	int e = d->server ? f->dial_error : f->target_error;
	struct wire *w = NULL;

	if (e == 0 && node != NULL)
		e = node->dial_error;
	if (e == 0)
		w = d->server ? fake_session_open(f, node) : fake_target_open(f);
	ev_free_later(f->ev, d);
	d->done(d->arg, e, w);
}

static int fake_dial(struct agent_net *net, const struct agent_dial_opt *opt,
		     struct agent_dial **out)
{
	struct fake *f = (struct fake *)net;
	struct agent_dial *d = calloc(1, sizeof *d);
	bool hangs = !opt->server && f->target_hangs;

	assert_non_null(d);
	*d = (struct agent_dial){.fake = f,
				 .to = *opt->to,
				 .server = opt->server,
				 .done = opt->done,
				 .arg = opt->arg,
				 .timer = {.fn = fake_on_dial, .arg = d}};
	if (opt->server && f->n_dials < FAKE_DIALS) {
		f->dial_ms[f->n_dials] = ev_now_ms(f->ev);
		f->dial_port[f->n_dials] = opt->to->port;
	}
	f->n_dials += opt->server;
	if (!opt->server) {
		f->target_port = opt->to->port;
		f->target_insecure = opt->insecure;
	}
	ev_timer_set(f->ev, &d->timer, hangs ? UINT32_MAX : 1);
	*out = d;
	return 0;
}

static void fake_cancel(struct agent_dial *d)
{
	d->fake->n_cancelled++;
	ev_timer_stop(d->fake->ev, &d->timer);
	ev_free_later(d->fake->ev, d);
}

static const char *fake_explain(struct agent_net *net, const struct url *to, const struct wire *w)
{
	return "";
}

static const struct agent_net_ops fake_ops = {.dial = fake_dial,
					      .cancel = fake_cancel,
					      .explain = fake_explain};

/* ---- for tests ---- */

void fake_init(struct fake *f, struct ev *ev)
{
	memset(f, 0, sizeof *f);
	f->net.ops = &fake_ops;
	f->ev = ev;
	f->budget.cap = 64 << 20;
	f->random = "8bv2";
	f->give = "a-fresh-token";
}

void fake_fini(struct fake *f)
{
	for (size_t i = 0; i < f->n_sessions; i++) {
		session_close(f->sessions[i].session, ERR_CLOSED, STR("end of test"));
		wire_close(f->sessions[i].wire, 0);
	}
	wire_close(f->target.wire, ERR_CLOSED);
}

struct fake_session *fake_up(struct fake *f, int carrier)
{
	for (size_t i = f->n_sessions; i-- > 0;)
		if (f->sessions[i].session != NULL &&
		    (carrier < 0 || f->sessions[i].carrier == (unsigned)carrier))
			return &f->sessions[i];
	return NULL;
}

struct fake_session *fake_up_at(struct fake *f, const struct fake_node *n)
{
	for (size_t i = f->n_sessions; i-- > 0;)
		if (f->sessions[i].session != NULL && f->sessions[i].node == n)
			return &f->sessions[i];
	return NULL;
}

void fake_kill(struct fake *f, struct fake_node *n)
{
	n->dial_error = ERR_REFUSED;
	for (size_t i = 0; i < f->n_sessions; i++)
		if (f->sessions[i].session != NULL && f->sessions[i].node == n)
			wire_mem_cut(f->sessions[i].cable);
}

unsigned fake_n_up(const struct fake *f)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->n_sessions; i++)
		n += f->sessions[i].session != NULL;
	return n;
}

void fake_release(struct fake *f)
{
	for (size_t i = 0; i < f->n_sessions; i++) {
		struct fake_session *s = &f->sessions[i];

		for (size_t k = 0; s->session != NULL && k < s->n_held; k++)
			fake_answer_attach(s, s->held[k].ref, s->held[k].name);
		s->n_held = 0;
	}
}

void fake_tell(struct fake *f, const char *line)
{
	for (size_t i = 0; i < f->n_sessions; i++)
		if (f->sessions[i].session != NULL)
			assert_int_equal(session_tell(f->sessions[i].session, str_of(line)), 0);
}

void fake_close_all(struct fake *f, int why, const char *reason)
{
	for (size_t i = 0; i < f->n_sessions; i++) {
		session_close(f->sessions[i].session, why, str_of(reason));
		f->sessions[i].session = NULL;
		f->sessions[i].cable = NULL;
	}
}
