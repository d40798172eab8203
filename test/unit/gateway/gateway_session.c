/* Sessions: control lines, bounds, takeover, draining, and every end. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "core/manage.h"
#include "unit/gateway/gateway_rig.h"

static void test_a_session(void **state)
{
	char token[128], none[128], again[128];
	struct visit v = {.ingress = VISIT_HTTP};
	struct wire *wire;
	uint64_t place;
	struct world w;
	struct agent a, b;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", token);
	assert_int_equal(strlen(token), 46);
	assert_int_equal(strlen(agent_field(&a, "Karez-Account", none)), 12);
	assert_int_equal(strlen(agent_field(&a, "Karez-Account-Number", none)), 19);
	assert_non_null(strstr(w.r.last_line, "event=session-open"));
	assert_non_null(strstr(w.r.last_line, "peer=192.0.2.7 peer_port=4711"));
	agent_connect(&b, &w, ASK_WHO("laptop", "5", "1"), token, again);
	assert_string_equal(again, ""); /* it has one */
	assert_string_equal(agent_field(&b, "Karez-Account-Number", none), "");
	assert_string_equal(agent_field(&b, "Karez-Account", none),
			    agent_field(&a, "Karez-Account", again));
	assert_int_equal(gateway_n_sessions(w.gateway), 2);

	agent_tell(&a, "{\"op\":\"attach\",\"ref\":7,\"kind\":\"http\",\"name\":\"Demo\","
		       "\"target\":\"http://localhost:3000\"}");
	assert_string_equal(agent_last(&a), "{\"op\":\"attached\",\"ref\":7,\"name\":\"demo\","
					    "\"urls\":[\"http://demo.localhost:8080\"]}");
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":0,\"name\":\"demo\"}");
	assert_non_null(strstr(agent_last(&b), "\"op\":\"attached\""));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(tunnel_dial(core_tunnel(w.r.core, STR("demo")), &v, &place, &wire),
				 0);
		world_run(&w);
		wire_close(wire, 0);
		world_run(&w);
	}
	assert_int_equal(a.n_visits, 2); /* they take turns */
	assert_int_equal(b.n_visits, 2);
	assert_string_equal(a.visited, "demo");

	agent_tell(&a, "{\"op\":\"detach\",\"name\":\"demo\"}");
	assert_int_equal(a.n_lines, 1);
	assert_int_equal(tunnel_dial(core_tunnel(w.r.core, STR("demo")), &v, &place, &wire), 0);
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
		{"a kind that this node has not", "{\"op\":\"attach\",\"ref\":5,\"kind\":\"tcp\"}",
		 "\"op\":\"refused\",\"ref\":5,\"code\":\"UNSUPPORTED\"", false},
		{"a kind of a later version", "{\"op\":\"attach\",\"ref\":5,\"kind\":\"udp\"}",
		 "\"op\":\"refused\",\"ref\":5,\"code\":\"UNSUPPORTED\",\"reason\":\"this server "
		 "has no "
		 "tunnels of this kind",
		 false},
		{"a port that is none",
		 "{\"op\":\"attach\",\"ref\":5,\"kind\":\"tcp\",\"port\":65536}",
		 "\"code\":\"INVAL\",\"reason\":\"port must be a number from 0 to 65535\"", false},
		{"an offer", "{\"op\":\"offer\",\"services\":[\"web\"],\"priority\":1}", NULL,
		 false},
		{"an offer of nothing yet", "{\"op\":\"offer\",\"services\":[]}", NULL, false},
		{"health of what is not there", "{\"op\":\"health\",\"name\":\"zz\",\"up\":false}",
		 NULL, false},
		{"health without a state", "{\"op\":\"health\",\"name\":\"zz\"}", NULL, true},
		{"health of nobody", "{\"op\":\"health\",\"up\":true}", NULL, true},
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

/* The same session says it anew: another record, the same places. */
static void test_attaching_again(void **state)
{
	static const struct {
		const char *why, *members, *want;
		size_t n_bearers, n_allow;
		const char *host;
	} steps[] = {
		{"nothing but a name", "", "\"op\":\"attached\",\"ref\":1", 0, 0, ""},
		{"rights, and a host",
		 ",\"visitors\":{\"bearer\":[\"0123456789abcdef\"],\"allow\":[\"::1\",\"10.0.0.0/"
		 "8\"]},"
		 "\"headers\":{\"host\":\"app.local\"}",
		 "\"op\":\"attached\",\"ref\":1,\"name\":\"demo\",\"urls\":[\"http://"
		 "demo.localhost:8080\"]",
		 1, 2, "app.local"},
		{"as before: what stands there stays",
		 ",\"again\":true,\"visitors\":{\"bearer\":[]}", "\"op\":\"attached\"", 1, 2,
		 "app.local"},
		{"a right that cannot be understood: nothing changes",
		 ",\"visitors\":{\"bearer\":[],\"allow\":[\"x\"]}",
		 "\"op\":\"refused\",\"ref\":1,\"code\":\"INVAL\",\"reason\":\"visitors.allow.0 "
		 "must "
		 "be",
		 1, 2, "app.local"},
		{"a port, which it cannot have", ",\"port\":9000,\"visitors\":{\"bearer\":[]}",
		 "\"op\":\"refused\",\"ref\":1,\"code\":\"INVAL\"", 1, 2, "app.local"},
		{"one right less", ",\"visitors\":{\"bearer\":[]}", "\"op\":\"attached\"", 0, 2,
		 "app.local"},
	};
	struct world w;
	struct agent a;
	uint64_t place = 0;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_hang_up(&a); /* the first login makes the store's key, the second one reads it */
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		const struct tunnel_settings *s;
		const struct tunnel *t;
		char line[512];

		str_printf(line, sizeof line, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"%s}",
			   steps[i].members);
		agent_tell(&a, line);
		t = core_tunnel(w.r.core, STR("demo"));
		assert_non_null(t);
		s = tunnel_settings(t);
		if (strstr(agent_last(&a), steps[i].want) == NULL || a.n_lines != i + 1 ||
		    strcmp(s->host, steps[i].host) != 0 ||
		    (s->rights == NULL ? 0 : s->rights->n_bearers) != steps[i].n_bearers ||
		    (s->rights == NULL ? 0 : s->rights->n_allow) != steps[i].n_allow)
			fail_msg("%s: %s", steps[i].why, agent_last(&a));
		assert_true(place == 0 || place == tunnel_choose(t));
		place = tunnel_choose(t);
	}
	agent_hang_up(&a);
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

static void on_managed(void *arg, const struct manage_answer *answer)
{
	assert_int_equal(answer->e, 0);
	*(size_t *)arg = answer->n;
}

/* An offer has no answer, so what is wrong with it is the session's last word. */
static void test_wrong_offers(void **state)
{
	static const struct {
		const char *why, *line, *reason;
	} cases[] = {
		{"no list", "{\"op\":\"offer\"}",
		 "services must be a list of at most 256 names of 1-64 bytes"},
		{"a text for a list", "{\"op\":\"offer\",\"services\":\"web\"}",
		 "services must be a list of at most 256 names of 1-64 bytes"},
		{"a number for a name", "{\"op\":\"offer\",\"services\":[1]}",
		 "services must be a list of at most 256 names of 1-64 bytes"},
		{"an empty name", "{\"op\":\"offer\",\"services\":[\"web\",\"\"]}",
		 "services must be a list of at most 256 names of 1-64 bytes"},
		{"a priority that is none", "{\"op\":\"offer\",\"services\":[],\"priority\":-1}",
		 "priority must be a number from 0 to 65535"},
	};
	char many[4096];
	struct world w;
	struct agent a;
	size_t n = 0;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
		agent_tell(&a, cases[i].line);
		if (!a.closed || a.why != ERR_PROTO || strcmp(a.reason, cases[i].reason) != 0)
			fail_msg("%s: %s", cases[i].why, a.reason);
	}
	n += str_printf(many, sizeof many, "{\"op\":\"offer\",\"services\":[\"s\"");
	for (int i = 0; i < CORE_SERVICES_MAX; i++)
		n += str_printf(many + n, sizeof many - n, ",\"s%d\"", i);
	str_printf(many + n, sizeof many - n, "]}");
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_tell(&a, many);
	assert_int_equal(a.why, ERR_PROTO);
	assert_int_equal(gateway_n_sessions(w.gateway), 0);
	world_close(&w);
}

/* Who offers waits for as long as it takes, and tunnels may come and go meanwhile. */
static void test_offering_is_no_idling(void **state)
{
	char token[128];
	struct world w;
	struct agent a, b;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", token);
	agent_tell(&a, "{\"op\":\"offer\",\"services\":[\"web\"]}");
	ev_sim_run_for(w.r.ev, 3 * GATEWAY_IDLE_MS);
	assert_false(a.closed);
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
	assert_non_null(strstr(agent_last(&a), "\"op\":\"attached\""));
	agent_connect(&b, &w, ASK_WHO("laptop", "6", "0"), token, NULL);
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
	assert_non_null(strstr(agent_last(&a), "\"op\":\"detached\""));
	ev_sim_run_for(w.r.ev, 3 * GATEWAY_IDLE_MS);
	assert_false(a.closed); /* although a newer process has taken all that it served */
	agent_hang_up(&a);
	agent_hang_up(&b);
	world_close(&w);
}

/* A tunnel of the account that names the service is given to who offers it, by name and service. */
static void test_a_tunnel_is_given(void **state)
{
	struct manage_tunnel_change ch = {.mode = MANAGE_CREATE,
					  .set = MANAGE_T_SERVICE,
					  .to = {.service = "web"},
					  .expected = STORE_ANY};
	struct access_who owner = {.enabled = true};
	struct manage_asker by = {&owner, on_managed, NULL};
	struct visit v = {.ingress = VISIT_HTTP};
	char account[128];
	struct wire *wire;
	uint64_t place;
	struct world w;
	struct agent a;
	size_t n = 0;

	world_open(&w);
	by.arg = &n;
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_field(&a, "Karez-Account", account);
	str_printf(owner.account, sizeof owner.account, "%s", account);
	agent_tell(&a, "{\"op\":\"offer\",\"services\":[\"web\"]}");
	assert_non_null(manage_tunnel_change(w.r.core, &by, STR("demo"), &ch));
	ev_sim_run_for(w.r.ev, 200);
	assert_string_equal(agent_last(&a),
			    "{\"op\":\"assigned\",\"name\":\"demo\",\"service\":\"web\"}");
	assert_int_equal(tunnel_dial(core_tunnel(w.r.core, STR("demo")), &v, &place, &wire), 0);
	world_run(&w);
	assert_string_equal(a.visited, "demo");
	wire_close(wire, 0);
	assert_non_null(manage_tunnel_drop(w.r.core, &by, STR("demo"), STORE_ANY));
	ev_sim_run_for(w.r.ev, 200);
	assert_non_null(strstr(agent_last(&a),
			       "\"op\":\"detached\",\"name\":\"demo\",\"code\":\"DELETED\""));
	ev_sim_run_for(w.r.ev, 3 * GATEWAY_IDLE_MS);
	assert_false(a.closed);
	agent_hang_up(&a);
	world_close(&w);
}

/* What is asked about "slow" waits. */
static int hold_slow(struct core_rig *r, const struct store_req *req)
{
	return str_eq(req->writes[0].rec.key, STR("slow")) ? CORE_RIG_HOLD : 0;
}

static void test_waiting_for_an_answer_is_no_idling(void **state)
{
	char token[128];
	struct world w;
	struct agent a, b;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", token);
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
	w.r.judge = hold_slow;
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":2,\"name\":\"slow\"}");
	agent_connect(&b, &w, ASK_WHO("laptop", "6", "0"), token, NULL);
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
	assert_non_null(strstr(agent_last(&a), "\"op\":\"detached\""));
	assert_false(a.closed); /* although it serves nothing just now */
	ev_sim_run_for(w.r.ev, 3 * GATEWAY_IDLE_MS);
	assert_false(a.closed);
	core_rig_release(&w.r);
	world_run(&w);
	assert_non_null(strstr(agent_last(&a), "\"op\":\"attached\",\"ref\":2"));
	agent_hang_up(&a);
	agent_hang_up(&b);
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

/* A change of the tunnel "demo" by its owner, as by the API. */
static void give_to(struct world *w, struct agent *a, const char *agent, uint64_t drain_ms)
{
	struct manage_tunnel_change ch = {.mode = MANAGE_PATCH,
					  .set = MANAGE_T_AGENTS | MANAGE_T_DRAIN,
					  .to = {.n_agents = 1, .drain_ms = drain_ms},
					  .expected = STORE_ANY};
	struct access_who owner = {.enabled = true};
	struct manage_asker by = {&owner, on_managed, NULL};
	char account[128];
	size_t n = 0;

	by.arg = &n;
	str_printf(owner.account, sizeof owner.account, "%s",
		   agent_field(a, "Karez-Account", account));
	str_printf(ch.to.agents[0], sizeof ch.to.agents[0], "%s", agent);
	assert_non_null(manage_tunnel_change(w->r.core, &by, STR("demo"), &ch));
	ev_sim_run_for(w->r.ev, 200);
	assert_int_equal(n, 1);
}

/* Other agents get its last tunnel: visitors finish first, if they may. */
static void test_a_tunnel_moves_to_other_agents(void **state)
{
	static const struct {
		const char *why;
		bool visitor, ghost; /* ghost: a newer process of the same agent takes it */
		uint64_t drain_ms;
		bool stays;
	} cases[] = {
		{"nobody is being served", false, false, 30000, false},
		{"a visitor finishes", true, false, 30000, true},
		{"a visitor that may not", true, false, 0, false},
		{"it is the ghost of a newer process", true, true, 0, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct visit v = {.ingress = VISIT_HTTP};
		struct wire *wire = NULL;
		char token[128];
		uint64_t place;
		struct world w;
		struct agent a, b;

		print_message("# %s\n", cases[i].why);
		world_open(&w);
		agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", token);
		a.serves = true;
		agent_tell(&a, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
		if (cases[i].visitor)
			assert_int_equal(tunnel_dial(core_tunnel(w.r.core, STR("demo")), &v, &place,
						     &wire),
					 0);
		world_run(&w);
		if (cases[i].ghost) {
			agent_connect(&b, &w, ASK_WHO("laptop", "6", "0"), token, NULL);
			agent_tell(&b, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
		} else {
			give_to(&w, &a, "other", cases[i].drain_ms);
		}
		assert_int_equal(a.closed, !cases[i].stays);
		if (cases[i].stays) {
			assert_string_equal(agent_last(&a),
					    "{\"op\":\"detached\",\"name\":\"demo\","
					    "\"code\":\"REPLACED\",\"reason\":\"\\\"demo\\\" "
					    "has been given to other agents\","
					    "\"drain_ms\":30000}");
			/* the ingress ends it in time, not we */
			ev_sim_run_for(w.r.ev, 3 * GATEWAY_IDLE_MS);
			assert_false(a.closed);
			wire_close(wire, 0);
			wire_close(a.served, 0);
			wire = a.served = NULL;
			ev_sim_run_for(w.r.ev, 2 * GATEWAY_LEAVE_MS);
		}
		assert_true(a.closed);
		assert_int_equal(a.why, ERR_REPLACED);
		assert_true(strlen(a.reason) > 20);
		wire_close(wire, 0);
		wire_close(a.served, 0);
		if (cases[i].ghost)
			agent_hang_up(&b);
		world_close(&w);
	}
}

/* What is asked about "late" waits. */
static int hold_late(struct core_rig *r, const struct store_req *req)
{
	return str_eq(req->writes[0].rec.key, STR("late")) ? CORE_RIG_HOLD : 0;
}

static void test_it_gets_another_while_visitors_finish(void **state)
{
	struct visit v = {.ingress = VISIT_HTTP};
	struct wire *wire;
	uint64_t place;
	struct world w;
	struct agent a;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	a.serves = true;
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
	assert_int_equal(tunnel_dial(core_tunnel(w.r.core, STR("demo")), &v, &place, &wire), 0);
	world_run(&w);
	w.r.judge = hold_late;
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":2,\"name\":\"late\"}");
	give_to(&w, &a, "other", 30000);
	wire_close(wire, 0);
	wire_close(a.served, 0);
	ev_sim_run_for(w.r.ev, 10 * GATEWAY_LEAVE_MS);
	assert_false(a.closed); /* it waits for an answer */
	core_rig_release(&w.r);
	ev_sim_run_for(w.r.ev, 10 * GATEWAY_LEAVE_MS);
	assert_false(a.closed);
	assert_non_null(strstr(agent_last(&a), "\"op\":\"attached\",\"ref\":2"));

	/* and then it is as if nothing had been */
	agent_tell(&a, "{\"op\":\"detach\",\"name\":\"late\"}");
	ev_sim_run_for(w.r.ev, GATEWAY_IDLE_MS - 1000);
	assert_false(a.closed);
	ev_sim_run_for(w.r.ev, 2000);
	assert_int_equal(a.why, ERR_TIMEOUT);
	world_close(&w);
}

/* An agent that serves a tunnel no longer may finish with the visitors that it has. */
static void test_visitors_are_no_idling(void **state)
{
	struct visit v = {.ingress = VISIT_HTTP};
	struct wire *wire;
	uint64_t place;
	struct world w;
	struct agent a;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	a.serves = true;
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":1,\"name\":\"demo\"}");
	assert_int_equal(tunnel_dial(core_tunnel(w.r.core, STR("demo")), &v, &place, &wire), 0);
	world_run(&w);
	agent_tell(&a, "{\"op\":\"detach\",\"name\":\"demo\"}");
	ev_sim_run_for(w.r.ev, 5 * GATEWAY_IDLE_MS);
	assert_false(a.closed);
	wire_close(wire, 0);
	wire_close(a.served, 0);
	ev_sim_run_for(w.r.ev, GATEWAY_IDLE_MS + 1000);
	assert_int_equal(a.why, ERR_TIMEOUT);
	world_close(&w);
}

/* A person ends it: the agent hears the sentence. */
static void test_a_disconnected_agent_is_told(void **state)
{
	struct access_who root = {.account = "root", .enabled = true, .admin = true};
	struct manage_asker by = {&root, on_managed, NULL};
	struct agent a, b;
	struct world w;
	size_t n = 0;

	world_open(&w);
	by.arg = &n;
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_connect(&b, &w, ASK_WHO("laptop", "5", "0"), "", NULL);
	agent_tell(&a, "{\"op\":\"attach\",\"ref\":1,\"name\":\"one\"}");
	agent_tell(&b, "{\"op\":\"attach\",\"ref\":1,\"name\":\"two\"}");
	assert_non_null(
		manage_disconnect(w.r.core, &by, STR("one"), 0, STR("come back\ntomorrow")));
	world_run(&w);
	assert_int_equal(n, 1);
	assert_true(a.closed);
	assert_int_equal(a.why, ERR_DISCONNECTED);
	assert_string_equal(a.reason, "come back tomorrow");
	assert_false(b.closed);
	agent_hang_up(&b);
	world_close(&w);
}

/* Members may be refused when they are logged in already: the agent hears why. */
static void test_an_account_has_so_many_sessions(void **state)
{
	char token[128], account[128], record[256];
	struct agent a, b;
	struct world w;

	world_open(&w);
	agent_connect(&a, &w, ASK_WHO("laptop", "5", "0"), "", token);
	agent_field(&a, "Karez-Account", account);
	str_printf(record, sizeof record, "{\"enabled\":true,\"quota\":{\"sessions\":1}}");
	core_rig_put(&w.r, "account", account, record);
	ev_sim_run_for(w.r.ev, 2 * CORE_REFRESH_MS);
	agent_dial(&b, &w);
	str_printf(record, sizeof record,
		   ASK_TOP ASK_WHO("laptop", "5", "1") "Authorization: Bearer %s\r\n\r\n", token);
	agent_send(&b, record);
	assert_int_equal(agent_answer(&b), 101);
	world_run(&w);
	assert_int_equal(gateway_n_sessions(w.gateway), 1);
	assert_non_null(strstr(w.r.last_line, "event=session-refused"));
	assert_non_null(strstr(w.r.last_line, "code=LIMIT"));
	agent_hang_up(&b);
	agent_hang_up(&a);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_session),
		cmocka_unit_test(test_control_lines),
		cmocka_unit_test(test_attaching_again),
		cmocka_unit_test(test_attaches_are_bounded),
		cmocka_unit_test(test_wrong_offers),
		cmocka_unit_test(test_offering_is_no_idling),
		cmocka_unit_test(test_a_tunnel_is_given),
		cmocka_unit_test(test_waiting_for_an_answer_is_no_idling),
		cmocka_unit_test(test_serving_nothing_ends),
		cmocka_unit_test(test_a_lost_connection_is_replaced),
		cmocka_unit_test(test_a_newer_process_takes_over),
		cmocka_unit_test(test_a_tunnel_moves_to_other_agents),
		cmocka_unit_test(test_it_gets_another_while_visitors_finish),
		cmocka_unit_test(test_visitors_are_no_idling),
		cmocka_unit_test(test_a_disconnected_agent_is_told),
		cmocka_unit_test(test_an_account_has_so_many_sessions),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_too_many_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
