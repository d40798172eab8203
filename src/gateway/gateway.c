/*
 * From a request to a session: who asks is judged before anything is kept for him, and every
 * refusal says what to do.
 */
#include "gateway/gateway.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "gateway/gateway_internal.h"
#include "http/http_problem.h"
#include "proto/json.h"
#include "wire/wire_tls.h"
#include "wire/wire_ws.h"
#include "wire/ws_key.h"

#define GATEWAY_PATH	"/v1/connect"
#define GATEWAY_UPGRADE "karez/1"

/* The other way to carry a session, see RFC 6455, and what it carries. */
#define GATEWAY_WEBSOCKET   "websocket"
#define GATEWAY_WS_VERSION  "13"
#define GATEWAY_WS_PROTOCOL "karez.1"

/* Bytes of the answer to an upgrade. */
#define GATEWAY_HEAD_MAX 1024

/* How the session is to be carried: by bytes as they are, or by WebSocket. */
struct gateway_carrier {
	bool websocket;
	bool protocol;		     /* the client has offered ours */
	char accept[WS_ACCEPT_TEXT]; /* the answer to its key */
};

/* Who has asked and waits for his credential to be judged. */
struct handshake {
	struct list link;
	struct gateway *gateway; /* borrowed: gateway_free() ends us first */
	struct http_conn *conn;	 /* borrowed: handshake_on_gone() */
	struct login *login;	 /* owned */
	struct ev_timer deadline;
	struct gateway_agent who;
	struct gateway_carrier carrier;
	bool by_certificate; /* it is the credential */
};

/* ---- reading the request ---- */

bool gateway_wants(const struct http_request *req)
{
	struct str path = {req->path.p, str_find(req->path, '?')};

	return str_eq(path, STR(GATEWAY_PATH));
}

/* Returns 0, ERR_NOTFOUND, or ERR_PROTO when it is there twice. */
static int gateway_field(const struct http_head *h, struct str name, struct str *out)
{
	int e = ERR_NOTFOUND;

	for (size_t i = 0; i < h->n_fields; i++) {
		if (!str_eq_nocase(h->fields[i].name, name))
			continue;
		if (e == 0)
			return ERR_PROTO;
		*out = h->fields[i].value;
		e = 0;
	}
	return e;
}

/* Returns NULL, or what is wrong. */
static const char *gateway_read_agent(const struct http_head *h, struct core_agent *out)
{
	struct str value;
	uint64_t carrier;

	if (gateway_field(h, STR("Karez-Agent"), &value) != 0 || !ident_ok(value) ||
	    str_copy(out->id, sizeof out->id, value) != 0)
		return "one Karez-Agent is needed: 1-64 letters, digits, '.', '_' or '-'";
	if (gateway_field(h, STR("Karez-Epoch"), &value) != 0 ||
	    num_parse(value, JSON_NUMBER_MAX, &out->epoch) != 0)
		return "one Karez-Epoch is needed: a decimal number below 2^63";
	if (gateway_field(h, STR("Karez-Carrier"), &value) != 0 ||
	    num_parse(value, GATEWAY_CARRIERS_MAX - 1, &carrier) != 0)
		return "one Karez-Carrier is needed: a decimal number from 0 to 63";
	out->carrier = (unsigned)carrier;
	return NULL;
}

/*
 * A token counts before a certificate. Whoever has a certificate, or means to show one, does not
 * want an account of its own.
 *   *out  borrowed from the head or the connection.
 * Returns NULL, or what is wrong.
 */
static const char *gateway_read_proof(const struct http_conn *c, const struct http_head *h,
				      struct core_proof *out)
{
	const char *name = http_conn_peer_name(c);
	struct str value, scheme;
	int e = gateway_field(h, STR("Authorization"), &value);

	*out = (struct core_proof){CORE_PROOF_NONE, STR("")};
	if (e == ERR_NOTFOUND && name != NULL) {
		*out = (struct core_proof){CORE_PROOF_CERTIFICATE, str_of(name)};
		return NULL;
	}
	if (e == ERR_NOTFOUND)
		return gateway_field(h, STR("Karez-Proof"), &value) == ERR_NOTFOUND
			       ? NULL
			       : "no certificate came with this connection: the server does not "
				 "ask for one under this name (see karezd --agent-ca), or "
				 "something on the way to it ends TLS";
	if (e == 0 && str_next(&value, ' ', &scheme) && str_eq_nocase(scheme, STR("Bearer")))
		*out = (struct core_proof){CORE_PROOF_BEARER, str_trim(value)};
	return out->text.len > 0 ? NULL
				 : "the credential must be one \"Authorization: Bearer <token>\"";
}

/*
 * A certificate that is an agent's own is no other agent's.
 *   out  [CORE_REASON_TEXT] set on refusal.
 */
static bool gateway_agent_matches(const struct core_proof *proof, const struct core_agent *agent,
				  char *out)
{
	char name[TLS_PEER_NAME_MAX + 1];
	struct str own;

	if (proof->type != CORE_PROOF_CERTIFICATE ||
	    str_copy(name, sizeof name, proof->text) != 0 || !tls_peer_agent(name, &own) ||
	    str_eq(own, str_of(agent->id)))
		return true;
	str_printf(out, CORE_REASON_TEXT,
		   "the certificate is for the agent \"" STR_FMT "\", but this agent calls itself "
		   "\"%s\"; give --agent " STR_FMT,
		   STR_ARG(own), agent->id, STR_ARG(own));
	return false;
}

bool gateway_is_full(const struct gateway *g)
{
	return g->n_sessions + g->n_handshakes + g->n_starts >= g->opt.sessions_max;
}

/* Returns true when the request may go on to its login. */
static bool gateway_judge(const struct gateway *g, const struct http_request *req,
			  struct http_problem *p)
{
	static const struct http_field allow = HTTP_PROBLEM_FIELD("Allow", "GET");
	static const struct http_field upgrade =
		HTTP_PROBLEM_FIELD("Upgrade", GATEWAY_UPGRADE ", " GATEWAY_WEBSOCKET);
	const struct http_head *h = &req->head;

	if (req->method != HTTP_GET)
		*p = (struct http_problem){.status = 405,
					   .code = ERR_INVAL,
					   .detail = "ask for a session with GET",
					   .extra = &allow,
					   .n_extra = 1};
	else if (!http_field_list_has(h->upgrade, STR(GATEWAY_UPGRADE)) &&
		 !http_field_list_has(h->upgrade, STR(GATEWAY_WEBSOCKET)))
		*p = (struct http_problem){.status = 426,
					   .code = ERR_UNSUPPORTED,
					   .detail = "this server speaks \"Upgrade: karez/1\", "
						     "also by WebSocket; use a karez of its "
						     "version",
					   .extra = &upgrade,
					   .n_extra = 1};
	else if (h->framing != HTTP_BODY_NONE && (!h->has_length || h->content_length > 0))
		*p = (struct http_problem){400, ERR_INVAL, "this request has no body"};
	else if (g->draining)
		*p = (struct http_problem){503, ERR_DRAIN,
					   "the server is shutting down; try again"};
	else if (gateway_is_full(g))
		*p = (struct http_problem){503, ERR_LIMIT,
					   "the server has as many sessions as it takes; try again "
					   "later"};
	else
		return true;
	return false;
}

/* ---- WebSocket ---- */

/* Is the protocol that we speak among those that the client offers, in any number of fields? */
static bool gateway_has_protocol(const struct http_head *h)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (str_eq_nocase(h->fields[i].name, STR("Sec-WebSocket-Protocol")) &&
		    http_field_list_has(h->fields[i].value, STR(GATEWAY_WS_PROTOCOL)))
			return true;
	return false;
}

/* Returns false, with a problem, when it is WebSocket but none that we speak. Source: RFC 6455 4.2.
 */
static bool gateway_read_carrier(const struct http_head *h, struct gateway_carrier *out,
				 struct http_problem *p)
{
	static const struct http_field version[] = {
		HTTP_PROBLEM_FIELD("Upgrade", GATEWAY_UPGRADE ", " GATEWAY_WEBSOCKET),
		HTTP_PROBLEM_FIELD("Sec-WebSocket-Version", GATEWAY_WS_VERSION),
	};
	struct str value;

	*out = (struct gateway_carrier){0};
	if (http_field_list_has(h->upgrade, STR(GATEWAY_UPGRADE)))
		return true;
	out->websocket = true;
	out->protocol = gateway_has_protocol(h);
	if (gateway_field(h, STR("Sec-WebSocket-Version"), &value) != 0 ||
	    !str_eq(value, STR(GATEWAY_WS_VERSION)))
		*p = (struct http_problem){.status = 426,
					   .code = ERR_UNSUPPORTED,
					   .detail = "this server speaks WebSocket of version 13",
					   .extra = version,
					   .n_extra = ARRAY_LEN(version)};
	else if (gateway_field(h, STR("Sec-WebSocket-Key"), &value) != 0 ||
		 ws_key_accept(value, out->accept) != 0)
		*p = (struct http_problem){400, ERR_INVAL,
					   "one Sec-WebSocket-Key is needed: 16 bytes in base64"};
	else
		return true;
	return false;
}

/* The fields of an answer that switch over. */
static void gateway_write_carrier(struct http_writer *w, const struct gateway_carrier *c)
{
	http_write_field(w, STR("Upgrade"),
			 c->websocket ? STR(GATEWAY_WEBSOCKET) : STR(GATEWAY_UPGRADE));
	if (c->websocket)
		http_write_field(w, STR("Sec-WebSocket-Accept"), str_of(c->accept));
	if (c->protocol)
		http_write_field(w, STR("Sec-WebSocket-Protocol"), STR(GATEWAY_WS_PROTOCOL));
}

/* Put WebSocket upon a wire whose upgrade has been answered. Returns the wire, or NULL: it is
 * closed. */
static struct wire *gateway_wrap(struct gateway *g, struct wire *w)
{
	struct wire *ws = NULL;
	int e = wire_ws_server(g->ev, w, &ws);

	if (e != 0)
		wire_close(w, e);
	return ws;
}

/* ---- logging in ---- */

/* A login that is refused. Lives on the stack. */
struct gateway_refusal {
	const struct http_conn *conn;
	const char *agent, *certificate; /* certificate: the name in it, NULL: it is no proof */
	int e;
	const char *reason; /* for the log alone; NULL: the error says it all */
};

static void gateway_log_refusal(struct gateway *g, const struct gateway_refusal *r)
{
	const struct visit_end *peer = http_conn_peer(r->conn);
	char name[TLS_PEER_NAME_MAX + 32] = "", reason[CORE_REASON_TEXT] = "";

	if (!log_pace_take(&g->pace, g->ev, g->opt.log))
		return;
	if (r->certificate != NULL)
		str_printf(name, sizeof name, " certificate=\"%s\"", r->certificate);
	if (r->reason != NULL)
		str_printf(reason, sizeof reason, " reason=\"%s\"", r->reason);
	log_info(g->opt.log, "event=login-refused agent=%s%s peer=%s peer_port=%u code=%s%s",
		 r->agent, name, peer->ip, peer->port, err_name(r->e), reason);
}

/* Whoever asked has been answered, or has gone. */
static void handshake_free(struct handshake *hs)
{
	ev_timer_stop(hs->gateway->ev, &hs->deadline);
	if (hs->login != NULL)
		core_login_cancel(hs->login);
	list_del(&hs->link);
	hs->gateway->n_handshakes--;
	free(hs);
}

/* What is not the agent's fault or no fault for good is a 503: it tries again. */
static unsigned handshake_status(int e)
{
	unsigned status = http_problem_status(e);

	return status == 401 || status == 403 || status == 429 ? status : 503;
}

static void handshake_refuse(struct handshake *hs, int e, const char *reason)
{
	struct http_problem p = {handshake_status(e), e, reason};
	struct http_conn *c = hs->conn;
	struct gateway_refusal refusal = {.conn = c, .agent = hs->who.agent.id, .e = e};

	if (hs->by_certificate)
		refusal.certificate = http_conn_peer_name(c);
	gateway_log_refusal(hs->gateway, &refusal);
	http_conn_on_gone(c, NULL, NULL);
	handshake_free(hs);
	http_problem_reply(c, &p);
}

static void handshake_on_gone(void *arg)
{
	handshake_free(arg);
}

static void handshake_on_deadline(void *arg)
{
	handshake_refuse(arg, ERR_TIMEOUT,
			 "the server could not judge the credential in time; try again later");
}

/* Returns 0, or why no answer can be written. */
static int gateway_write_answer(const struct handshake *hs, const struct core_login *login,
				char *out, size_t *len)
{
	struct http_writer w;

	http_write_begin(&w, out, GATEWAY_HEAD_MAX);
	http_write_status(&w, 101, STR(""));
	http_write_field(&w, STR("Connection"), STR("Upgrade"));
	gateway_write_carrier(&w, &hs->carrier);
	gateway_nodes_write(hs->gateway, &w);
	http_write_field(&w, STR("Cache-Control"), STR("no-store"));
	http_write_field(&w, STR("Karez-Account"), str_of(login->who.account));
	if (login->number[0] != '\0')
		http_write_field(&w, STR("Karez-Account-Number"), str_of(login->number));
	if (login->token[0] != '\0')
		http_write_field(&w, STR("Karez-Token"), str_of(login->token));
	return http_write_end(&w, len);
}

static void handshake_upgrade(struct handshake *hs, const struct core_login *login)
{
	char head[GATEWAY_HEAD_MAX];
	struct http_conn *c = hs->conn;
	struct gateway *g = hs->gateway;
	struct gateway_agent who = hs->who;
	struct wire *wire;
	size_t len;
	bool by_certificate = hs->by_certificate, websocket = hs->carrier.websocket;
	int e = gateway_write_answer(hs, login, head, &len);

	if (e != 0) {
		handshake_refuse(hs, e, "the server cannot write its answer");
		return;
	}
	who.who = login->who;
	http_conn_on_gone(c, NULL, NULL);
	handshake_free(hs);
	wire = http_conn_upgrade(c, (struct str){head, len});
	explicit_bzero(head, sizeof head);
	if (wire == NULL)
		return;
	if (by_certificate)
		who.certificate = wire_tls_peer(wire);
	if (websocket)
		wire = gateway_wrap(g, wire);
	if (wire != NULL)
		gateway_session_start(g, wire, &who);
	tls_peer_free(who.certificate);
}

static void handshake_on_login(void *arg, const struct core_login *login)
{
	struct handshake *hs = arg;

	hs->login = NULL;
	if (login->e != 0)
		handshake_refuse(hs, login->e, login->reason);
	else if (hs->gateway->draining)
		handshake_refuse(hs, ERR_DRAIN, "the server is shutting down; try again");
	else
		handshake_upgrade(hs, login);
}

static void handshake_start(struct gateway *g, struct http_conn *c, const struct core_agent *agent,
			    const struct core_proof *proof, const struct gateway_carrier *carrier)
{
	struct http_problem p = {503, ERR_LIMIT, "too many agents log in at once; try again"};
	struct handshake *hs = calloc(1, sizeof *hs);

	if (hs != NULL)
		hs->login = core_login(g->opt.core, proof, handshake_on_login, hs);
	if (hs == NULL || hs->login == NULL) {
		free(hs);
		http_problem_reply(c, &p);
		return;
	}
	hs->gateway = g;
	hs->conn = c;
	hs->who.agent = *agent;
	hs->carrier = *carrier;
	hs->by_certificate = proof->type == CORE_PROOF_CERTIFICATE;
	hs->who.peer = *http_conn_peer(c);
	hs->deadline = (struct ev_timer){.fn = handshake_on_deadline, .arg = hs};
	list_push(&g->handshakes, &hs->link);
	g->n_handshakes++;
	http_conn_on_gone(c, handshake_on_gone, hs);
	ev_timer_set(g->ev, &hs->deadline, GATEWAY_LOGIN_MS);
}

void gateway_request(struct gateway *g, struct http_conn *c, const struct http_request *req)
{
	struct http_problem p;
	struct core_agent agent = {0};
	struct core_proof proof;
	struct gateway_carrier carrier;
	char reason[CORE_REASON_TEXT];

	if (!gateway_judge(g, req, &p) || !gateway_read_carrier(&req->head, &carrier, &p)) {
		http_problem_reply(c, &p);
		return;
	}
	p = (struct http_problem){400, ERR_INVAL, gateway_read_agent(&req->head, &agent)};
	if (p.detail != NULL) {
		http_problem_reply(c, &p);
		return;
	}
	p = (struct http_problem){401, ERR_AUTH, gateway_read_proof(c, &req->head, &proof)};
	if (p.detail != NULL) {
		http_problem_reply(c, &p);
		return;
	}
	if (!gateway_agent_matches(&proof, &agent, reason)) {
		struct gateway_refusal refusal = {
			.conn = c,
			.agent = agent.id,
			.certificate = http_conn_peer_name(c),
			.e = ERR_DENIED,
			.reason = "the certificate is for another agent",
		};

		p = (struct http_problem){403, ERR_DENIED, reason};
		gateway_log_refusal(g, &refusal);
		http_problem_reply(c, &p);
		return;
	}
	handshake_start(g, c, &agent, &proof, &carrier);
}

/* ---- life ---- */

int gateway_new(struct ev *ev, const struct gateway_opt *opt, struct gateway **out)
{
	struct gateway *g = calloc(1, sizeof *g);

	if (g == NULL)
		return ERR_NOMEM;
	if (opt->ssh != NULL && secsh_share_new(ev, &g->share) != 0) {
		free(g);
		return ERR_NOMEM;
	}
	g->ev = ev;
	g->opt = *opt;
	g->budget.cap = opt->budget_cap;
	list_init(&g->sessions);
	list_init(&g->handshakes);
	list_init(&g->starts);
	g->recheck = (struct ev_timer){.fn = gateway_entry_on_recheck, .arg = g};
	*out = g;
	return 0;
}

void gateway_free(struct gateway *g)
{
	if (g == NULL)
		return;
	g->draining = true;
	ev_timer_stop(g->ev, &g->recheck);
	while (!list_empty(&g->handshakes))
		handshake_refuse(CONTAINER_OF(g->handshakes.next, struct handshake, link),
				 ERR_DRAIN, "the server is shutting down; try again");
	gateway_ssh_end_starts(g, ERR_DRAIN, STR("the server is shutting down"));
	gateway_entry_end_all(g, ERR_DRAIN, STR("the server is shutting down"));
	buf_free(&g->nodes);
	secsh_share_free(g->share);
	ev_free_later(g->ev, g); /* its budget is in use until the turn ends */
}

void gateway_drain(struct gateway *g)
{
	g->draining = true;
	gateway_ssh_end_starts(g, ERR_DRAIN, STR("the server is shutting down; try again"));
	gateway_entry_drain_all(g);
}

uint64_t gateway_window_used(const struct gateway *g)
{
	return g->budget.used;
}
