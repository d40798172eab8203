/*
 * The first words to a server. Its answer is read as strictly as anybody's: what is not an answer
 * of karez is said to be none, so that a person learns that the URL is wrong.
 */
#include "agent/upgrade.h"

#include <stdlib.h>
#include <string.h>

#include "agent/control.h"
#include "base/err.h"
#include "base/num.h"
#include "proto/http_body.h"
#include "proto/http_write.h"
#include "proto/ident.h"
#include "proto/json.h"
#include "wire/wire_ws.h"
#include "wire/ws_key.h"

/* Interim answers (1xx but 101) that are passed over. */
#define UPGRADE_INTERIM_MAX 8

struct upgrade {
	struct ev *ev;
	struct upgrade_opt opt; /* without ask */
	struct url server;
	struct wire *wire; /* owned until handed over */
	struct ev_timer deadline;
	struct buf out; /* what of the request is not written yet */
	struct buf in;	/* the head as far as it has come, then the body of a refusal */
	size_t scanned;
	unsigned n_interim;
	bool in_body;
	unsigned status;
	struct http_body body;
	struct buf problem;
	char token[UPGRADE_TOKEN_MAX], account[UPGRADE_ACCOUNT_MAX];
	char node[NODE_ID_TEXT];
	unsigned n_nodes;
	bool websocket;
	char accept[WS_ACCEPT_TEXT]; /* what a server of WebSocket must answer */
};

static void upgrade_release(struct upgrade *u, int why)
{
	ev_timer_stop(u->ev, &u->deadline);
	buf_free(&u->out);
	buf_free(&u->in);
	buf_free(&u->problem);
	wire_close(u->wire, why);
	u->wire = NULL;
	ev_free_later(u->ev, u);
}

void upgrade_cancel(struct upgrade *u)
{
	if (u != NULL)
		upgrade_release(u, ERR_CLOSED);
}

/* The last word about it. */
static void upgrade_finish(struct upgrade *u, struct upgrade_answer *a)
{
	void (*done)(void *, const struct upgrade_answer *) = u->opt.done;
	void *arg = u->opt.arg;

	a->token = u->token;
	a->account = u->account;
	a->node = u->node;
	a->n_nodes = MAX(u->n_nodes, 1);
	a->websocket = u->websocket;
	if (a->e == 0)
		MOVE(a->wire, u->wire);
	upgrade_release(u, a->e == 0 ? 0 : ERR_CLOSED); /* u is readable until the turn ends */
	done(arg, a);
}

static void upgrade_fail(struct upgrade *u, int e, const char *reason)
{
	upgrade_finish(u, &(struct upgrade_answer){.e = e, .reason = reason});
}

static void upgrade_broken(struct upgrade *u, int e)
{
	char reason[UPGRADE_REASON_MAX];

	str_printf(reason, sizeof reason, "%s", agent_net_explain(u->opt.net, &u->server, u->wire));
	upgrade_fail(u, e, reason);
}

static void upgrade_not_karez(struct upgrade *u)
{
	char reason[UPGRADE_REASON_MAX];

	str_printf(reason, sizeof reason, "what answers there is not karezd (HTTP status %u)",
		   u->status);
	upgrade_fail(u, ERR_PROTO, reason);
}

/* ---- a refusal ---- */

/* The refusal is complete, or as much of it as we read: what does it say? */
static void upgrade_on_problem(struct upgrade *u)
{
	struct upgrade_answer a = {.spoken = true};
	struct str code = STR(""), detail = STR("");
	char reason[UPGRADE_REASON_MAX];
	struct json *j = NULL;

	if (json_parse(buf_str(&u->problem), UPGRADE_BODY_MAX, &j) == 0 &&
	    json_get_text(j, "code", &code) == 0) {
		a.e = control_code(code);
		if (json_get_text(j, "detail", &detail) != 0)
			detail = STR("");
	}
	str_printf(reason, sizeof reason, STR_FMT, STR_ARG(detail));
	json_free(j);
	a.reason = reason;
	if (a.e == 0)
		upgrade_not_karez(u);
	else
		upgrade_finish(u, &a);
}

/* Returns true when there is nothing left to wait for. */
static bool upgrade_body(struct upgrade *u, struct str in)
{
	while (in.len > 0 && !u->body.done) {
		struct str data;

		if (http_body_next(&u->body, &in, &data) != 0)
			return true;
		data.len = MIN(data.len, UPGRADE_BODY_MAX - u->problem.len);
		if (buf_add(&u->problem, data.p, data.len, UPGRADE_BODY_MAX) != 0 ||
		    u->problem.len == UPGRADE_BODY_MAX)
			return true;
	}
	return u->body.done;
}

/* ---- the head ---- */

static int upgrade_keep_field(const struct http_head *h, struct str name, char *out, size_t cap)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (str_eq_nocase(h->fields[i].name, name))
			return str_copy(out, cap, h->fields[i].value);
	out[0] = '\0';
	return 0;
}

/* Is there one such field, with this value? */
static bool upgrade_says(const struct http_head *h, struct str name, struct str value)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_fields; i++)
		if (str_eq_nocase(h->fields[i].name, name)) {
			if (!str_eq(h->fields[i].value, value))
				return false;
			n++;
		}
	return n == 1;
}

/* Does the server switch to what we have asked for, and to nothing more? */
static bool upgrade_is_ours(const struct upgrade *u, const struct http_head *h)
{
	char none[1];

	if (!u->websocket)
		return str_eq_nocase(h->upgrade, STR(UPGRADE_PROTOCOL));
	return str_eq_nocase(h->upgrade, STR(UPGRADE_WEBSOCKET)) &&
	       upgrade_says(h, STR("Sec-WebSocket-Accept"), str_of(u->accept)) &&
	       upgrade_says(h, STR("Sec-WebSocket-Protocol"), STR(UPGRADE_WS_PROTOCOL)) &&
	       upgrade_keep_field(h, STR("Sec-WebSocket-Extensions"), none, sizeof none) == 0;
}

/* Put WebSocket upon the wire. Returns 0 or ERR_NOMEM. */
static int upgrade_wrap(struct upgrade *u)
{
	struct wire *ws = NULL;
	int e;

	if (!u->websocket)
		return 0;
	if ((e = wire_ws_client(u->ev, u->wire, &ws)) == 0)
		u->wire = ws;
	return e;
}

/* What the server says of itself and the other nodes. An id that is none, or a number that is none,
 * is a later version's: then nothing is known. */
static void upgrade_read_node(struct upgrade *u, const struct http_head *h)
{
	char number[8];
	uint64_t n;

	if (upgrade_keep_field(h, STR("Karez-Node"), u->node, sizeof u->node) != 0 ||
	    !ident_ok(str_of(u->node)))
		u->node[0] = '\0';
	if (upgrade_keep_field(h, STR("Karez-Nodes"), number, sizeof number) == 0 &&
	    num_parse(str_of(number), CONTROL_NODES_COUNT_MAX, &n) == 0)
		u->n_nodes = (unsigned)n;
}

/* 101: what follows the head in this reading belongs to the mux. */
static void upgrade_on_switch(struct upgrade *u, const struct http_response *r)
{
	const struct http_head *h = &r->head;
	int e;

	if (!upgrade_is_ours(u, h) ||
	    upgrade_keep_field(h, STR("Karez-Token"), u->token, sizeof u->token) != 0 ||
	    upgrade_keep_field(h, STR("Karez-Account"), u->account, sizeof u->account) != 0) {
		upgrade_not_karez(u);
		return;
	}
	upgrade_read_node(u, h);
	wire_unread(u->wire, u->in.len - h->len);
	wire_want(u->wire, 0);
	wire_own(u->wire, NULL, NULL);
	e = upgrade_wrap(u);
	upgrade_finish(u, &(struct upgrade_answer){.e = e, .reason = ""});
}

/* Returns ERR_AGAIN when more must be read; 0 when u is finished. */
static int upgrade_head(struct upgrade *u)
{
	struct http_response r;
	int e;

	for (;;) {
		if ((e = http_response_parse(buf_str(&u->in), HTTP_GET, &u->scanned, &r)) != 0) {
			if (e == ERR_AGAIN)
				return e;
			upgrade_not_karez(u);
			return 0;
		}
		u->status = r.status;
		if (r.status == 101) {
			upgrade_on_switch(u, &r);
			return 0;
		}
		if (r.status >= 200)
			break;
		if (++u->n_interim > UPGRADE_INTERIM_MAX) {
			upgrade_not_karez(u);
			return 0;
		}
		buf_take(&u->in, r.head.len);
		u->scanned = 0;
	}
	u->in_body = true;
	http_body_init(&u->body, r.head.framing, r.head.content_length);
	buf_take(&u->in, r.head.len);
	if (!upgrade_body(u, buf_str(&u->in)))
		return ERR_AGAIN;
	upgrade_on_problem(u);
	return 0;
}

/* Returns ERR_AGAIN to wait, 0 when u is finished, or why the wire broke. */
static int upgrade_read(struct upgrade *u)
{
	struct str in;
	int e;

	for (;;) {
		e = wire_read(u->wire, HTTP_HEAD_MAX, &in);
		if (e == ERR_EOF && u->in_body) {
			upgrade_on_problem(u);
			return 0;
		}
		if (e != 0)
			return e;
		if (u->in_body) {
			if (!upgrade_body(u, in))
				continue;
			upgrade_on_problem(u);
			return 0;
		}
		if (buf_add(&u->in, in.p, in.len, 2 * HTTP_HEAD_MAX) != 0)
			return ERR_NOMEM;
		if ((e = upgrade_head(u)) != ERR_AGAIN)
			return e;
	}
}

/* ---- the wire ---- */

static void upgrade_on_ready(void *arg, struct wire *w, int events)
{
	struct upgrade *u = arg;
	int e = wire_write_buf(u->wire, &u->out);

	if (e == 0 && (events & WIRE_READ)) {
		e = upgrade_read(u);
		if (e == 0)
			return; /* finished */
		if (e == ERR_AGAIN)
			e = 0;
	}
	if (e != 0)
		upgrade_broken(u, e);
	else
		wire_want(w, WIRE_READ | (u->out.len > 0 ? WIRE_WRITE : 0));
}

static void upgrade_on_broken(void *arg, struct wire *w, int why)
{
	upgrade_broken(arg, why);
}

static void upgrade_on_deadline(void *arg)
{
	upgrade_fail(arg, ERR_TIMEOUT, "");
}

static const struct wire_owner upgrade_wire_owner = {upgrade_on_ready, upgrade_on_broken};

/* ---- the request ---- */

static void upgrade_path(const struct url *server, char out[URL_PATH_MAX + 32])
{
	size_t len = strlen(server->path);

	while (len > 0 && server->path[len - 1] == '/')
		len--;
	str_printf(out, URL_PATH_MAX + 32, "%.*s" UPGRADE_PATH, (int)len, server->path);
}

/* Returns 0 or ERR_NOMEM. */
static int upgrade_write_transport(struct upgrade *u, struct http_writer *w)
{
	char key[WS_KEY_TEXT];

	if (!u->websocket) {
		http_write_field(w, STR("Upgrade"), STR(UPGRADE_PROTOCOL));
		return 0;
	}
	ws_key_new(u->ev, key);
	http_write_field(w, STR("Upgrade"), STR(UPGRADE_WEBSOCKET));
	http_write_field(w, STR("Sec-WebSocket-Version"), STR("13"));
	http_write_field(w, STR("Sec-WebSocket-Key"), str_of(key));
	http_write_field(w, STR("Sec-WebSocket-Protocol"), STR(UPGRADE_WS_PROTOCOL));
	return ws_key_accept(str_of(key), u->accept);
}

static int upgrade_request(struct upgrade *u, const struct upgrade_ask *ask)
{
	char head[URL_PATH_MAX + UPGRADE_TOKEN_MAX + 2048], path[URL_PATH_MAX + 32];
	char authority[HOSTNAME_AUTHORITY_MAX + 1], bearer[UPGRADE_TOKEN_MAX + 16];
	struct http_writer w;
	size_t len;
	int e;

	upgrade_path(ask->server, path);
	url_format_authority(ask->server, authority);
	http_write_begin(&w, head, sizeof head);
	http_write_request(&w, STR("GET"), str_of(path));
	http_write_field(&w, STR("Host"), str_of(authority));
	http_write_field(&w, STR("Connection"), STR("Upgrade"));
	if ((e = upgrade_write_transport(u, &w)) != 0)
		return e;
	if (ask->token.len > 0) {
		if (ask->token.len >= UPGRADE_TOKEN_MAX)
			return ERR_TOOBIG;
		str_printf(bearer, sizeof bearer, "Bearer " STR_FMT, STR_ARG(ask->token));
		http_write_field(&w, STR("Authorization"), str_of(bearer));
	} else if (ask->certificate) {
		http_write_field(&w, STR("Karez-Proof"), STR("certificate"));
	}
	http_write_field(&w, STR("Karez-Agent"), str_of(ask->agent));
	http_write_number(&w, STR("Karez-Epoch"), ask->epoch);
	http_write_number(&w, STR("Karez-Carrier"), ask->carrier);
	if (ask->nodes != NULL && ask->nodes[0] != '\0')
		http_write_field(&w, STR("Karez-Nodes"), str_of(ask->nodes));
	http_write_field(&w, STR("Karez-Version"), STR(KAREZ_VERSION));
	e = http_write_end(&w, &len);
	return e != 0 ? e : buf_add(&u->out, head, len, sizeof head);
}

int upgrade_start(struct ev *ev, struct wire *w, const struct upgrade_opt *opt,
		  struct upgrade **out)
{
	struct upgrade *u = calloc(1, sizeof *u);
	int e = ERR_NOMEM;

	if (u == NULL)
		return e;
	u->ev = ev;
	u->opt = *opt;
	u->opt.ask = (struct upgrade_ask){0};
	u->server = *opt->ask.server;
	u->websocket = opt->ask.websocket;
	if ((e = upgrade_request(u, &opt->ask)) != 0) {
		buf_free(&u->out);
		free(u);
		return e;
	}
	u->wire = w;
	u->deadline = (struct ev_timer){.fn = upgrade_on_deadline, .arg = u};
	ev_timer_set(ev, &u->deadline, UPGRADE_TIMEOUT_MS);
	wire_own(w, &upgrade_wire_owner, u);
	wire_want(w, WIRE_READ | WIRE_WRITE);
	*out = u;
	return 0;
}
