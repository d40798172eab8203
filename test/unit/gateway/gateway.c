/* The gateway end to end on virtual time: real HTTP, real muxes, memory wires, a memory store. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "gateway/gateway.h"
#include "proto/json.h"
#include "session/mux.h"
#include "unit/core/core_rig.h"
#include "wire/wire_mem.h"

struct world {
	struct core_rig r;
	struct gateway *gateway;
	struct gateway_opt opt;
	struct http_deadlines deadlines;
	struct mux_budget budget; /* of the agents */
};

/* The far end of one connection. */
struct agent {
	struct world *world;
	struct wire *wire;	 /* until the session has it */
	struct session *session; /* NULL when it is dead */
	struct str head;	 /* of the answer, in answer[] */
	char answer[4096];
	unsigned n_visits, n_draining, n_lines;
	char visited[HOSTNAME_MAX + 1];
	char lines[16][512]; /* the latest ones, by n_lines */
	bool closed;
	int why;
	char reason[512];
};

/* ---- the server's side ---- */

static void world_on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	struct world *w = arg;

	assert_true(gateway_wants(req));
	gateway_request(w->gateway, c, req);
}

static void world_open(struct world *w)
{
	memset(w, 0, sizeof *w);
	core_rig_new(&w->r, true);
	w->budget.cap = 64 << 20;
	w->opt = (struct gateway_opt){.core = w->r.core,
				      .log = &w->r.log,
				      .budget_cap = 64 << 20,
				      .sessions_max = 8};
	assert_int_equal(gateway_new(w->r.ev, &w->opt, &w->gateway), 0);
}

static void world_run(struct world *w)
{
	ev_sim_run_for(w->r.ev, 50);
}

static void world_close(struct world *w)
{
	gateway_free(w->gateway);
	world_run(w);
	core_rig_free(&w->r);
}

/* ---- the agent's side ---- */

static void agent_on_visit(void *arg, struct session *s, const struct visit *visit, struct wire *w)
{
	struct agent *a = arg;

	a->n_visits++;
	memcpy(a->visited, visit->tunnel, sizeof a->visited);
	wire_close(w, ERR_REFUSED);
}

static void agent_on_told(void *arg, struct session *s, struct str line)
{
	struct agent *a = arg;

	snprintf(a->lines[a->n_lines % 16], sizeof a->lines[0], STR_FMT, STR_ARG(line));
	a->n_lines++;
}

static void agent_on_draining(void *arg, struct session *s)
{
	((struct agent *)arg)->n_draining++;
}

static void agent_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	struct agent *a = arg;

	a->closed = true;
	a->session = NULL;
	a->why = why;
	snprintf(a->reason, sizeof a->reason, STR_FMT, STR_ARG(reason));
}

static const struct session_owner agent_owner = {agent_on_visit, agent_on_told, agent_on_draining,
						 agent_on_closed};

static void agent_on_ready(void *arg, struct wire *w, int events)
{
}

static void agent_on_broken(void *arg, struct wire *w, int why)
{
}

static const struct wire_owner agent_wire_owner = {agent_on_ready, agent_on_broken};

static void agent_dial(struct agent *a, struct world *w)
{
	struct http_conn_opt opt = {.deadlines = &w->deadlines,
				    .request = world_on_request,
				    .arg = w};
	struct http_conn *c;
	struct wire *server;

	memset(a, 0, sizeof *a);
	a->world = w;
	assert_int_equal(visit_end_set(&opt.peer, STR("192.0.2.7"), 4711), 0);
	assert_int_equal(wire_mem_pair(w->r.ev, &(struct wire_mem_opt){0}, &a->wire, &server), 0);
	wire_own(a->wire, &agent_wire_owner, a);
	assert_int_equal(http_conn_new(w->r.ev, server, &opt, &c), 0);
}

static void agent_send(struct agent *a, const char *request)
{
	assert_int_equal(wire_write_all(a->wire, str_of(request)), 0);
	world_run(a->world);
}

/* The answer's status; its text stands in a->answer. 0 when there is none. */
static unsigned agent_answer(struct agent *a)
{
	unsigned status = 0;
	size_t len = 0;
	struct str in;
	char *end;

	while (len < sizeof a->answer - 1 &&
	       wire_read(a->wire, sizeof a->answer - 1 - len, &in) == 0) {
		memcpy(a->answer + len, in.p, in.len);
		len += in.len;
		a->answer[len] = '\0';
		end = strstr(a->answer, "\r\n\r\n");
		if (end != NULL && strncmp(a->answer, "HTTP/1.1 101", 12) == 0) {
			wire_unread(a->wire, len - (size_t)(end + 4 - a->answer));
			end[4] = '\0';
			break;
		}
	}
	if (sscanf(a->answer, "HTTP/1.1 %u ", &status) != 1)
		return 0;
	return status;
}

static void agent_hang_up(struct agent *a)
{
	session_close(a->session, 0, STR(""));
	wire_close(a->wire, 0);
	a->session = NULL;
	a->wire = NULL;
	world_run(a->world);
}

/* The value of a field of the answer; "" when it is missing. */
static const char *agent_field(const struct agent *a, const char *name, char out[128])
{
	const char *at = a->answer;

	out[0] = '\0';
	while (out[0] == '\0' && (at = strstr(at, "\r\n")) != NULL) {
		at += 2;
		if (strncasecmp(at, name, strlen(name)) == 0)
			(void)sscanf(at + strlen(name), ": %127[^\r]", out);
	}
	return out;
}

#define ASK_TOP                                                                  \
	"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n" \
	"Upgrade: karez/1\r\n"
#define ASK_WHO(id, epoch, carrier) \
	"Karez-Agent: " id "\r\nKarez-Epoch: " epoch "\r\nKarez-Carrier: " carrier "\r\n"

/* Connect as an agent; token may be empty. The token of an account made now is copied to made. */
static void agent_connect(struct agent *a, struct world *w, const char *who, const char *token,
			  char made[128])
{
	struct mux_opt opt = {.role = MUX_AGENT,
			      .budget = &w->budget,
			      .owner = &agent_owner,
			      .arg = a};
	char request[1024];

	agent_dial(a, w);
	snprintf(request, sizeof request, ASK_TOP "%s%s%s%s\r\n", who,
		 token[0] != '\0' ? "Authorization: Bearer " : "", token,
		 token[0] != '\0' ? "\r\n" : "");
	agent_send(a, request);
	assert_int_equal(agent_answer(a), 101);
	if (made != NULL)
		(void)agent_field(a, "Karez-Token", made);
	assert_int_equal(mux_new(w->r.ev, a->wire, &opt, &a->session), 0);
	a->wire = NULL;
	world_run(w);
}

static void agent_tell(struct agent *a, const char *line)
{
	assert_int_equal(session_tell(a->session, str_of(line)), 0);
	world_run(a->world);
}

static const char *agent_last(const struct agent *a)
{
	return a->n_lines == 0 ? "" : a->lines[(a->n_lines - 1) % 16];
}

/* ---- refusals ---- */

#define ASK(more) ASK_TOP ASK_WHO("laptop", "1", "0") more "\r\n"

static void test_refusals(void **state)
{
	static const struct {
		const char *why, *request;
		unsigned status;
		const char *code, *field, *value; /* field: one that must be there */
	} cases[] = {
		{"a token nobody knows", ASK("Authorization: Bearer kz_x\r\n"), 401, "AUTH",
		 "WWW-Authenticate", "Bearer"},
		{"another scheme", ASK("Authorization: Basic eDp5\r\n"), 401, "AUTH",
		 "WWW-Authenticate", "Bearer"},
		{"an empty token is no wish for an account", ASK("Authorization: Bearer\r\n"), 401,
		 "AUTH", "WWW-Authenticate", "Bearer"},
		{"two credentials", ASK("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
		 401, "AUTH", NULL, NULL},
		{"another version",
		 "GET /v1/connect HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
		 "Upgrade: karez/2\r\n\r\n",
		 426, "UNSUPPORTED", "Upgrade", "karez/1"},
		{"no upgrade", "GET /v1/connect?x HTTP/1.1\r\nHost: a\r\n\r\n", 426, "UNSUPPORTED",
		 "Upgrade", "karez/1"},
		{"another method",
		 "POST /v1/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405, "INVAL",
		 "Allow", "GET"},
		{"a body", ASK("Content-Length: 3\r\n") "abc", 400, "INVAL", NULL, NULL},
		{"no agent", ASK_TOP "Karez-Epoch: 1\r\nKarez-Carrier: 0\r\n\r\n", 400, "INVAL",
		 NULL, NULL},
		{"an agent with a space", ASK_TOP ASK_WHO("a b", "1", "0") "\r\n", 400, "INVAL",
		 NULL, NULL},
		{"an agent of 65 letters",
		 ASK_TOP ASK_WHO(
			 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "1",
			 "0") "\r\n",
		 400, "INVAL", NULL, NULL},
		{"two agents", ASK("Karez-Agent: other\r\n"), 400, "INVAL", NULL, NULL},
		{"no epoch", ASK_TOP "Karez-Agent: a\r\nKarez-Carrier: 0\r\n\r\n", 400, "INVAL",
		 NULL, NULL},
		{"a negative epoch", ASK_TOP ASK_WHO("a", "-1", "0") "\r\n", 400, "INVAL", NULL,
		 NULL},
		{"an epoch of 2^63", ASK_TOP ASK_WHO("a", "9223372036854775808", "0") "\r\n", 400,
		 "INVAL", NULL, NULL},
		{"carrier 64", ASK_TOP ASK_WHO("a", "1", "64") "\r\n", 400, "INVAL", NULL, NULL},
		{"no carrier", ASK_TOP "Karez-Agent: a\r\nKarez-Epoch: 0\r\n\r\n", 400, "INVAL",
		 NULL, NULL},
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct json *j = NULL;
		struct str code, text;
		struct agent a;
		uint64_t status;
		char value[128];
		const char *body;

		agent_dial(&a, &w);
		agent_send(&a, cases[i].request);
		if (agent_answer(&a) != cases[i].status)
			fail_msg("%s: %s", cases[i].why, a.answer);
		assert_string_equal(agent_field(&a, "Cache-Control", value), "no-store");
		assert_string_equal(agent_field(&a, "Content-Type", value),
				    "application/problem+json");
		if (cases[i].field != NULL)
			assert_string_equal(agent_field(&a, cases[i].field, value), cases[i].value);
		body = strstr(a.answer, "\r\n\r\n") + 4;
		assert_int_equal(json_parse(str_of(body), 4096, &j), 0);
		assert_int_equal(json_get_number(j, "status", 999, &status), 0);
		assert_int_equal(status, cases[i].status);
		assert_int_equal(json_get_text(j, "code", &code), 0);
		assert_true(str_eq(code, str_of(cases[i].code)));
		assert_int_equal(json_get_text(j, "title", &text), 0);
		assert_int_equal(json_get_text(j, "detail", &text), 0);
		json_free(j);
		agent_hang_up(&a);
		assert_int_equal(gateway_n_sessions(w.gateway), 0);
	}
	world_close(&w);
}

static void test_closed_registration(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	gateway_free(w.gateway);
	core_rig_free(&w.r);
	core_rig_new(&w.r, false);
	w.opt.core = w.r.core;
	assert_int_equal(gateway_new(w.r.ev, &w.opt, &w.gateway), 0);
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	assert_int_equal(agent_answer(&a), 403);
	assert_non_null(strstr(a.answer, "\"code\":\"DENIED\""));
	assert_non_null(strstr(a.answer, "--token-file"));
	agent_hang_up(&a);
	world_close(&w);
}

static void test_store_fails(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_fail_all;
	w.r.judge_e = ERR_DENIED;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	assert_int_equal(agent_answer(&a), 503);
	assert_non_null(strstr(a.answer, "\"code\":\"IO\""));
	assert_non_null(strstr(a.answer, "Retry-After: "));
	agent_hang_up(&a);
	world_close(&w);
}

/* ---- sessions ---- */

static void test_a_session(void **state)
{
	char token[128], none[128], again[128];
	struct visit v = {.ingress = VISIT_HTTP};
	struct wire *wire;
	struct world w;
	struct agent a, b;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", token);
	assert_int_equal(strlen(token), 46);
	assert_int_equal(strlen(agent_field(&a, "Karez-Account", none)), 19);
	assert_non_null(strstr(w.r.last_line, "event=session-open"));
	assert_non_null(strstr(w.r.last_line, "peer=192.0.2.7 peer_port=4711"));
	agent_connect(&b, &w, ASK_WHO("laptop", "5", "1"), token, again);
	assert_string_equal(again, ""); /* it has one */
	assert_int_equal(gateway_n_sessions(w.gateway), 2);

	agent_tell(&a, "{\"op\":\"attach\",\"ref\":7,\"kind\":\"http\",\"name\":\"Demo\","
		       "\"target\":\"http://localhost:3000\"}");
	assert_string_equal(agent_last(&a), "{\"op\":\"attached\",\"ref\":7,\"name\":\"demo\","
					    "\"urls\":[\"http://demo.localhost:8080\"]}");
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":0,\"name\":\"demo\"}");
	assert_non_null(strstr(agent_last(&b), "\"op\":\"attached\""));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(tunnel_dial(core_tunnel(w.r.core, STR("demo")), &v, &wire), 0);
		world_run(&w);
		wire_close(wire, 0);
		world_run(&w);
	}
	assert_int_equal(a.n_visits, 2); /* they take turns */
	assert_int_equal(b.n_visits, 2);
	assert_string_equal(a.visited, "demo");

	agent_tell(&a, "{\"op\":\"detach\",\"name\":\"demo\"}");
	assert_int_equal(a.n_lines, 1);
	assert_int_equal(tunnel_dial(core_tunnel(w.r.core, STR("demo")), &v, &wire), 0);
	wire_close(wire, 0);
	world_run(&w);
	assert_int_equal(b.n_visits, 3);
	agent_hang_up(&b);
	assert_null(core_tunnel(w.r.core, STR("demo")));
	assert_non_null(strstr(w.r.last_line, "event=session-closed"));
	assert_int_equal(gateway_n_sessions(w.gateway), 1);
	agent_hang_up(&a);
	world_close(&w);
}

static void test_control_lines(void **state)
{
	static const struct {
		const char *why, *line, *want; /* want: in the answer; NULL: none */
		bool fatal;
	} cases[] = {
		{"an unknown op", "{\"op\":\"dance\",\"ref\":1}", NULL, false},
		{"unknown members", "{\"op\":\"attach\",\"ref\":1,\"name\":\"a1\",\"x\":[{}]}",
		 "\"op\":\"attached\",\"ref\":1,\"name\":\"a1\"", false},
		{"no name", "{\"op\":\"attach\",\"ref\":2}", "\"op\":\"attached\",\"ref\":2",
		 false},
		{"null for a name", "{\"op\":\"attach\",\"ref\":2,\"name\":null}",
		 "\"op\":\"attached\",\"ref\":2", false},
		{"a reserved name", "{\"op\":\"attach\",\"ref\":3,\"name\":\"api\"}",
		 "\"op\":\"refused\",\"ref\":3,\"code\":\"RESERVED\"", false},
		{"not a name", "{\"op\":\"attach\",\"ref\":4,\"name\":\"a\\u001b\\u00e9\"}",
		 "\"op\":\"refused\",\"ref\":4,\"code\":\"INVAL\"", false},
		{"another kind", "{\"op\":\"attach\",\"ref\":5,\"kind\":\"tcp\"}",
		 "\"op\":\"refused\",\"ref\":5,\"code\":\"UNSUPPORTED\"", false},
		{"a number for a name", "{\"op\":\"attach\",\"ref\":6,\"name\":1}",
		 "\"op\":\"refused\",\"ref\":6,\"code\":\"INVAL\"", false},
		{"detach of what is not there", "{\"op\":\"detach\",\"name\":\"zz\"}", NULL, false},
		{"no JSON", "hello", NULL, true},
		{"an empty line", "", NULL, true},
		{"a list", "[]", NULL, true},
		{"no op", "{}", NULL, true},
		{"an op that is a number", "{\"op\":1}", NULL, true},
		{"no ref", "{\"op\":\"attach\"}", NULL, true},
		{"a negative ref", "{\"op\":\"attach\",\"ref\":-1}", NULL, true},
		{"detach without a name", "{\"op\":\"detach\"}", NULL, true},
		{"a member twice", "{\"op\":\"x\",\"op\":\"y\"}", NULL, true},
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct agent a;

		agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
		agent_tell(&a, cases[i].line);
		if (a.closed != cases[i].fatal || a.n_lines != (cases[i].want != NULL))
			fail_msg("%s: %s %s", cases[i].why, agent_last(&a), a.reason);
		if (cases[i].want != NULL && strstr(agent_last(&a), cases[i].want) == NULL)
			fail_msg("%s: %s", cases[i].why, agent_last(&a));
		if (cases[i].fatal) {
			assert_int_equal(a.why, ERR_PROTO);
			assert_string_equal(a.reason, "a control line could not be understood");
		}
		agent_hang_up(&a);
		assert_int_equal(gateway_n_sessions(w.gateway), 0);
	}
	world_close(&w);
}

static void test_attaches_are_bounded(void **state)
{
	char line[64];
	struct world w;
	struct agent a;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	w.r.judge = core_rig_hold_all;
	for (int i = 0; i < GATEWAY_ATTACHES_MAX + 3; i++) {
		snprintf(line, sizeof line, "{\"op\":\"attach\",\"ref\":%d,\"name\":\"n%d\"}", i,
			 i);
		assert_int_equal(session_tell(a.session, str_of(line)), 0);
	}
	world_run(&w);
	assert_int_equal(a.n_lines, 3);
	assert_non_null(strstr(agent_last(&a), "\"ref\":66,\"code\":\"LIMIT\""));
	core_rig_release(&w.r);
	world_run(&w);
	assert_int_equal(a.n_lines, GATEWAY_ATTACHES_MAX + 3);
	assert_non_null(strstr(agent_last(&a), "\"op\":\"attached\""));

	/* its end in the middle leaves nothing behind */
	w.r.judge = core_rig_hold_all;
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":99}");
	agent_hang_up(&a);
	core_rig_release(&w.r);
	assert_int_equal(gateway_n_sessions(w.gateway), 0);
	world_close(&w);
}

static void test_serving_nothing_ends(void **state)
{
	struct world w;
	struct agent a, b;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_connect(&b, &w, ASK_WHO("laptop", "5", "1"), "", NULL);
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":1}");
	ev_sim_run_for(w.r.ev, GATEWAY_IDLE_MS - 1000);
	assert_false(a.closed);
	ev_sim_run_for(w.r.ev, 2000);
	assert_true(a.closed);
	assert_int_equal(a.why, ERR_TIMEOUT);
	ev_sim_run_for(w.r.ev, 5 * GATEWAY_IDLE_MS);
	assert_false(b.closed);

	agent_tell(&b, "{\"op\":\"attach\",\"ref\":2,\"name\":\"demo\"}");
	ev_sim_run_for(w.r.ev, 2 * GATEWAY_IDLE_MS);
	assert_false(b.closed);
	agent_hang_up(&b);

	agent_connect(&b, &w, ASK_WHO("laptop", "5", "1"), "", NULL);
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":1,\"name\":\"once\"}");
	ev_sim_run_for(w.r.ev, 2 * GATEWAY_IDLE_MS);
	agent_tell(&b, "{\"op\":\"detach\",\"name\":\"once\"}");
	ev_sim_run_for(w.r.ev, GATEWAY_IDLE_MS - 1000);
	assert_false(b.closed);
	ev_sim_run_for(w.r.ev, 2000);
	assert_int_equal(b.why, ERR_TIMEOUT);
	world_close(&w);
}

static void test_a_lost_connection_is_replaced(void **state)
{
	char token[128];
	struct world w;
	struct agent a, b;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", token);
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
	agent_connect(&b, &w, ASK_WHO("laptop", "5", "0"), token, NULL);
	assert_true(a.closed);
	assert_int_equal(a.why, ERR_REPLACED);
	assert_string_equal(a.reason,
			    "this connection was replaced by a newer one of the same agent");
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
	assert_non_null(strstr(agent_last(&b), "\"op\":\"attached\""));
	assert_int_equal(gateway_n_sessions(w.gateway), 1);
	agent_hang_up(&b);
	world_close(&w);
}

static void test_a_newer_process_takes_over(void **state)
{
	char token[128];
	struct world w;
	struct agent a, b;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", token);
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":1,\"name\":\"one\"}");
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":2,\"name\":\"two\"}");
	agent_connect(&b, &w, ASK_WHO("laptop", "6", "0"), token, NULL);
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":1,\"name\":\"one\"}");
	assert_false(a.closed); /* it still serves the other one */
	assert_string_equal(agent_last(&a),
			    "{\"op\":\"detached\",\"name\":\"one\",\"code\":\"REPLACED\","
			    "\"reason\":\"another karez with the same name of agent has taken over "
			    "\\\"one\\\"\"}");
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":3,\"name\":\"one\"}");
	assert_non_null(strstr(agent_last(&a), "\"ref\":3,\"code\":\"REPLACED\""));
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":2,\"name\":\"two\"}");
	assert_true(a.closed);
	assert_int_equal(a.why, ERR_REPLACED);
	assert_string_equal(a.reason,
			    "another karez with the same name of agent has taken over \"two\"");
	assert_false(b.closed);
	agent_hang_up(&b);
	world_close(&w);
}

static void test_drain(void **state)
{
	struct world w;
	struct agent a, late;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	gateway_drain(w.gateway);
	world_run(&w);
	assert_int_equal(a.n_draining, 1);
	assert_false(a.closed);
	agent_dial(&late, &w);
	agent_send(&late, ASK(""));
	assert_int_equal(agent_answer(&late), 503);
	assert_non_null(strstr(late.answer, "\"code\":\"DRAIN\""));
	agent_hang_up(&late);
	gateway_free(w.gateway);
	w.gateway = NULL;
	world_run(&w);
	assert_true(a.closed);
	assert_int_equal(a.why, ERR_DRAIN);
	world_close(&w);
}

static void test_too_many_sessions(void **state)
{
	struct agent a[8], late;
	struct world w;
	char who[128];

	world_open(&w);
	for (int i = 0; i < 8; i++) {
		snprintf(who, sizeof who, ASK_WHO("laptop", "5", "%d"), i);
		agent_connect(&a[i], &w, who, "", NULL);
	}
	agent_dial(&late, &w);
	agent_send(&late, ASK(""));
	assert_int_equal(agent_answer(&late), 503);
	assert_non_null(strstr(late.answer, "\"code\":\"LIMIT\""));
	agent_hang_up(&late);
	agent_hang_up(&a[0]);
	agent_connect(&late, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_hang_up(&late);
	for (int i = 1; i < 8; i++)
		agent_hang_up(&a[i]);
	world_close(&w);
}

/* ---- logins that take long ---- */

static void test_login_has_a_deadline(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	assert_int_equal(agent_answer(&a), 0);
	ev_sim_run_for(w.r.ev, GATEWAY_LOGIN_MS);
	assert_int_equal(agent_answer(&a), 503);
	assert_non_null(strstr(a.answer, "\"code\":\"TIMEOUT\""));
	core_rig_release(&w.r); /* the answer that comes too late */
	world_run(&w);
	assert_int_equal(gateway_n_sessions(w.gateway), 0);
	agent_hang_up(&a);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_hang_up(&a);
	world_close(&w);
}

static void test_agent_goes_while_judged(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	wire_mem_cut(a.wire);
	agent_hang_up(&a);
	core_rig_release(&w.r);
	world_run(&w);
	assert_int_equal(gateway_n_sessions(w.gateway), 0);
	world_close(&w);
}

static void test_gateway_goes_while_judging(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	gateway_free(w.gateway);
	w.gateway = NULL;
	world_run(&w);
	assert_int_equal(agent_answer(&a), 503);
	assert_non_null(strstr(a.answer, "\"code\":\"DRAIN\""));
	agent_hang_up(&a);
	core_rig_release(&w.r);
	world_close(&w);
}

static void test_drain_while_judging(void **state)
{
	struct world w;
	struct agent a;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	agent_dial(&a, &w);
	agent_send(&a, ASK(""));
	gateway_drain(w.gateway);
	core_rig_release(&w.r);
	world_run(&w);
	assert_int_equal(agent_answer(&a), 503);
	assert_non_null(strstr(a.answer, "\"code\":\"DRAIN\""));
	agent_hang_up(&a);
	world_close(&w);
}

static void test_paths(void **state)
{
	static const struct {
		const char *why, *path;
		bool want;
	} cases[] = {
		{"the path", "/v1/connect", true},
		{"with a query", "/v1/connect?a=b", true},
		{"with a slash", "/v1/connect/", false},
		{"longer", "/v1/connected", false},
		{"another", "/", false},
		{"in capitals", "/V1/connect", false},
		{"none, in authority form", "", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_request req = {.path = str_of(cases[i].path)};

		if (gateway_wants(&req) != cases[i].want)
			fail_msg("%s", cases[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_closed_registration),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_a_session),
		cmocka_unit_test(test_control_lines),
		cmocka_unit_test(test_attaches_are_bounded),
		cmocka_unit_test(test_serving_nothing_ends),
		cmocka_unit_test(test_a_lost_connection_is_replaced),
		cmocka_unit_test(test_a_newer_process_takes_over),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_too_many_sessions),
		cmocka_unit_test(test_login_has_a_deadline),
		cmocka_unit_test(test_agent_goes_while_judged),
		cmocka_unit_test(test_gateway_goes_while_judging),
		cmocka_unit_test(test_drain_while_judging),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
