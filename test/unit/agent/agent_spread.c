/* An agent and several nodes: with which of them its sessions are, and what it does when one goes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "agent/uplink.h"
#include "base/err.h"
#include "unit/agent/agent_rig.h"
#include "wire/wire_mem.h"

#define PORT_A 9001
#define PORT_B 9002

static void parse(struct url *out, const char *text)
{
	assert_int_equal(url_parse(str_of(text), out, NULL), 0);
}

/* n nodes, "A" and so on, each with an address of its own; http://localhost:8080 is a balancer. */
static void nodes_open(struct rig *r, uint64_t seed, size_t n)
{
	static const struct fake_node nodes[] = {{.port = PORT_A, .id = "A"},
						 {.port = PORT_B, .id = "B"},
						 {.port = 9003, .id = "C"}};

	rig_open_seed(r, seed);
	memcpy(r->fake.nodes, nodes, sizeof nodes);
	r->fake.n_nodes = n;
}

/* The same two, and the agent is given both of them by name. */
static void pair_open(struct rig *r, uint64_t seed)
{
	nodes_open(r, seed, 2);
	parse(&r->server, "http://localhost:9001");
	parse(&r->others[0], "http://localhost:9002");
	r->opt.n_others = 1;
}

static unsigned n_at(const struct rig *r, unsigned node)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->fake.n_sessions; i++)
		n += r->fake.sessions[i].session != NULL &&
		     r->fake.sessions[i].node == &r->fake.nodes[node];
	return n;
}

/* What is no id is none; nothing is known of the node then. */
static void test_ids(void **state)
{
	static const struct {
		const char *why, *id;
		unsigned want;
	} cases[] = {
		{"letters and digits", "0123456789abcdef", 1},
		{"one", "A", 1},
		{"nothing", "", 0},
		{"too long", "0123456789abcdef0", 0},
		{"two words", "a b", 0},
		{"two ids", "a,b", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct agent_state now;
		struct rig r;

		nodes_open(&r, 1, 2);
		r.fake.stuck = true;
		r.fake.nodes[0].id = cases[i].id;
		rig_start(&r);
		agent_state(r.agent, &now);
		if (now.nodes != cases[i].want || now.sessions != 2)
			fail_msg("%s: %u", cases[i].why, now.nodes);
		rig_close(&r);
	}
}

/* ---- several servers ---- */

static void test_each_begins_with_its_own(void **state)
{
	struct agent_state now;
	struct rig r;

	pair_open(&r, 1);
	rig_start(&r);
	assert_int_equal(r.fake.n_dials, 2);
	assert_int_equal(r.fake.dial_port[0], PORT_A);
	assert_int_equal(r.fake.dial_port[1], PORT_B);
	assert_string_equal(r.fake.sessions[0].nodes, "");
	assert_string_equal(r.fake.sessions[1].nodes, "A"); /* where it need not be */
	agent_state(r.agent, &now);
	assert_int_equal(now.nodes, 2);
	rig_run(&r, 3600000);
	assert_int_equal(r.fake.n_dials, 2);
	rig_close(&r);
}

static void test_the_next_one_at_once(void **state)
{
	static const struct {
		const char *why, *refuse;
		int dial_error;
	} cases[] = {
		{"nobody listens there", NULL, ERR_REFUSED},
		{"it is not found", NULL, ERR_RESOLVE},
		{"it drains", "503 DRAIN later", 0},
		{"its store is away", "503 IO later", 0},
		{"it is full", "503 LIMIT later", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		print_message("# %s\n", cases[i].why);
		pair_open(&r, 1);
		r.fake.nodes[0].refuse = cases[i].refuse;
		r.fake.nodes[0].dial_error = cases[i].dial_error;
		rig_start(&r);
		assert_int_equal(r.n_online, 1);
		assert_int_equal(r.n_offline, 0);
		assert_int_equal(r.fake.dial_port[1], PORT_B);
		assert_in_range(r.fake.dial_ms[1] - r.fake.dial_ms[0], 0, 30);
		assert_int_equal(n_at(&r, 1), 2);
		rig_close(&r);
	}
}

/* The last word of one of them is the last word of all. */
static void test_a_final_word(void **state)
{
	struct rig r;

	pair_open(&r, 1);
	r.fake.nodes[0].dial_error = ERR_REFUSED;
	r.fake.nodes[1].refuse = "403 DENIED ask for a token";
	rig_start(&r);
	assert_int_equal(r.n_ended, 1);
	assert_int_equal(r.ended_code, ERR_DENIED);
	assert_int_equal(r.fake.n_dials, 2);
	rig_close(&r);
}

/* While none works each round asks both, and is told once. */
static void test_rounds(void **state)
{
	struct rig r;

	pair_open(&r, 1);
	r.fake.nodes[0].dial_error = r.fake.nodes[1].dial_error = ERR_REFUSED;
	assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
	for (unsigned round = 1; round <= 6; round++) {
		rig_run(&r, 20);
		assert_int_equal(r.fake.n_dials, 2 * round);
		assert_int_equal(r.n_offline, round);
		assert_true(r.fake.dial_ms[2 * round - 1] - r.fake.dial_ms[2 * round - 2] < 5);
		assert_int_equal(r.fake.dial_port[2 * round - 2], PORT_A);
		assert_true(r.retry_ms >= 175);
		rig_run(&r, r.retry_ms - 20);
	}
	r.fake.nodes[1].dial_error = 0;
	rig_run(&r, 10000);
	assert_int_equal(r.n_online, 1);
	assert_int_equal(n_at(&r, 1), 2);
	rig_close(&r);
}

/* ---- a node dies ---- */

static void test_one_dies(void **state)
{
	for (unsigned dead = 0; dead < 2; dead++) {
		struct rig r;

		pair_open(&r, 3);
		rig_start(&r);
		fake_kill(&r.fake, &r.fake.nodes[dead]);
		rig_run(&r, AGENT_SPREAD_MS + 100);
		assert_int_equal(r.n_offline, 0);
		assert_int_equal(r.n_online, 1);
		assert_int_equal(n_at(&r, 1 - dead), 2);
		r.fake.n_nodes = 2;
		/* it comes back: one of the two goes there, and nobody notices */
		r.fake.nodes[dead].dial_error = 0;
		rig_run(&r, 2 * AGENT_MOVES_MS);
		assert_int_equal(n_at(&r, dead), 1);
		assert_int_equal(n_at(&r, 1 - dead), 1);
		assert_int_equal(r.n_offline, 0);
		rig_close(&r);
	}
}

/* Whoever says nothing for long is not asked first. */
static void test_silence_is_shunned(void **state)
{
	struct rig r;

	pair_open(&r, 1);
	r.opt.n_sessions = 1;
	rig_start(&r);
	wire_mem_freeze(fake_up(&r.fake, 0)->cable, true);
	rig_run(&r, MUX_DEAD_MS + AGENT_SPREAD_MS + 1000);
	assert_int_equal(r.fake.n_dials, 2);
	assert_int_equal(r.fake.dial_port[1], PORT_B);
	assert_int_equal(n_at(&r, 1), 1);
	rig_close(&r);
}

#define CROWD 200

/* The most of n moments that lie within one second. */
static unsigned busiest(const uint64_t *at, size_t n)
{
	unsigned most = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned within = 0;

		for (size_t k = 0; k < n; k++)
			within += at[k] >= at[i] && at[k] < at[i] + 1000;
		most = MAX(most, within);
	}
	return most;
}

/* Many agents lose a node at the same moment: they do not come to the other one all at once. */
static void test_a_crowd(void **state)
{
	static const struct {
		const char *why;
		unsigned n_sessions, n_given;
	} cases[] = {
		{"all that they had, and a balancer", 1, 0},
		{"all that they had, and they know both", 1, 2},
		{"one of two", 2, 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t at[2 * CROWD];
		size_t n = 0;

		for (uint64_t seed = 1; seed <= CROWD; seed++) {
			uint64_t since;
			size_t before;
			struct rig r;

			if (cases[i].n_given > 0)
				pair_open(&r, seed);
			else
				nodes_open(&r, seed, 2);
			r.opt.n_sessions = cases[i].n_sessions;
			rig_start(&r);
			rig_run(&r, 20000);
			assert_int_equal(n_at(&r, 0), 1);
			since = ev_now_ms(r.ev);
			before = r.fake.n_sessions;
			fake_kill(&r.fake, &r.fake.nodes[0]);
			r.fake.n_nodes = 2;
			rig_run(&r, 9500);
			assert_int_equal(n_at(&r, 1), cases[i].n_sessions);
			for (size_t k = before; k < r.fake.n_sessions; k++) {
				assert_ptr_equal(r.fake.sessions[k].node, &r.fake.nodes[1]);
				assert_true(n < ARRAY_LEN(at));
				at[n++] = r.fake.sessions[k].at_ms - since;
			}
			rig_close(&r);
		}
		print_message("# %s: %zu attempts, %u in the busiest second\n", cases[i].why, n,
			      busiest(at, n));
		assert_true(n >= CROWD);
		assert_true(busiest(at, n) * 4 <= n);
	}
}

/* ---- moving ---- */

static void test_a_balancer_that_spreads(void **state)
{
	struct rig r;

	nodes_open(&r, 1, 2);
	rig_start(&r);
	assert_int_equal(n_at(&r, 0), 1);
	assert_int_equal(n_at(&r, 1), 1);
	rig_run(&r, 3600000);
	assert_int_equal(r.fake.n_dials, 2);
	rig_close(&r);
}

/* Both sessions are with one node, and the balancer goes on like this: it is not asked for ever. */
static void test_a_balancer_that_does_not(void **state)
{
	unsigned n = 0;
	struct rig r;

	nodes_open(&r, 1, 2);
	r.fake.stuck = true;
	rig_start(&r);
	assert_int_equal(n_at(&r, 0), 2);
	rig_run(&r, AGENT_MOVES_MS);
	n = (unsigned)r.fake.n_dials - 2;
	assert_in_range(n, 2, AGENT_MOVES_MAX + 1);
	rig_run(&r, 5 * AGENT_MOVES_MS);
	assert_in_range(r.fake.n_dials - 2, n + 5, 6 * AGENT_MOVES_MAX + 1);
	assert_int_equal(r.n_offline, 0);
	assert_int_equal(r.n_online, 1);
	for (int i = 0; i < 2; i++) { /* what it had it has kept */
		assert_non_null(r.fake.sessions[i].session);
		assert_int_equal(r.fake.sessions[i].n_draining, 0);
		assert_int_equal(r.fake.sessions[i].n_attached, 1);
	}
	rig_close(&r);
}

/* A visit, by a session; it says "hello". */
static struct wire *visit_open(struct rig *r, struct fake_session *s)
{
	struct visit visit = {.ingress = VISIT_HTTP, .tunnel = "8bv2"};
	struct wire *w;

	assert_int_equal(session_open(s->session, &visit, &w), 0);
	wire_want(w, 0);
	assert_int_equal(wire_write_all(w, STR("hello")), 0);
	rig_run(r, 50);
	assert_int_equal(r->fake.target.n_got, 5);
	return w;
}

/* What the target says now reaches the visitor. */
static void visit_answered(struct rig *r, struct wire *w)
{
	struct str in;

	assert_int_equal(wire_write_all(r->fake.target.wire, STR("answer")), 0);
	rig_run(r, 50);
	assert_int_equal(wire_read(w, 64, &in), 0);
	assert_int_equal(in.len, 6);
}

static void test_a_move(void **state)
{
	struct fake_session *old;
	struct wire *visitor;
	struct rig r;

	nodes_open(&r, 1, 2);
	r.fake.stuck = true;
	rig_start(&r);
	old = &r.fake.sessions[1];
	visitor = visit_open(&r, old);
	r.fake.turn = 1; /* the balancer has changed its mind */
	rig_run(&r, 10 * AGENT_MOVE_MS);
	assert_int_equal(n_at(&r, 1), 1);
	assert_int_equal(r.n_offline, 0);
	assert_int_equal(r.n_online, 1);
	assert_int_equal(r.fake.n_dials, 3);
	/* to the server it is another one, which does not replace the old one */
	assert_int_equal(r.fake.sessions[2].carrier, 1 + UPLINK_CARRIERS_MAX);
	assert_string_equal(r.fake.sessions[2].nodes, "A");
	assert_string_equal(r.fake.sessions[2].attached, "8bv2");
	assert_int_equal(old->n_draining, 1);
	assert_non_null(old->session);
	visit_answered(&r, visitor);
	wire_close(visitor, 0);
	rig_run(&r, 1000);
	assert_null(old->session); /* it ends with its last visit */
	assert_int_equal(old->closed_why, ERR_EOF);
	assert_int_equal(fake_n_up(&r.fake), 2);
	rig_run(&r, 3600000);
	assert_int_equal(r.fake.n_dials, 3);
	rig_close(&r);
}

/* The session breaks while another one is being tried: that is a loss like any other. */
static void test_lost_while_moving(void **state)
{
	struct rig r;

	nodes_open(&r, 1, 2);
	r.fake.stuck = true;
	rig_start(&r);
	while (r.fake.n_dials == 2)
		rig_run(&r, 1);
	wire_mem_cut(fake_up(&r.fake, 1)->cable);
	rig_run(&r, 2 * AGENT_SPREAD_MS);
	assert_int_equal(r.n_offline, 0);
	assert_int_equal(fake_n_up(&r.fake), 2);
	rig_close(&r);
}

/* ---- addresses that are told ---- */

#define TOLD(nodes) "{\"op\":\"nodes\",\"count\":2,\"nodes\":[" nodes "]}"
#define NODE_A	    "{\"id\":\"A\",\"url\":\"http://localhost:9001\"}"
#define NODE_B	    "{\"id\":\"B\",\"url\":\"http://localhost:9002\"}"

static void test_told(void **state)
{
	struct rig r;

	nodes_open(&r, 1, 2);
	r.fake.stuck = true;
	rig_start(&r);
	assert_int_equal(n_at(&r, 0), 2);
	fake_tell(&r.fake, TOLD(NODE_A "," NODE_B));
	while (r.fake.n_dials == 2)
		rig_run(&r, 10);
	rig_run(&r, 100);
	assert_int_equal(r.fake.dial_port[2], PORT_B); /* neither the balancer nor A */
	assert_int_equal(n_at(&r, 0), 2);	       /* the old one is being left */
	rig_run(&r, 6000);
	assert_int_equal(n_at(&r, 0), 1);
	assert_int_equal(n_at(&r, 1), 1);
	/* they count for who comes back, too */
	fake_kill(&r.fake, &r.fake.nodes[1]);
	rig_run(&r, AGENT_SPREAD_MS + 100);
	assert_int_equal(fake_n_up(&r.fake), 2);
	/* and are forgotten */
	fake_tell(&r.fake, TOLD(""));
	rig_run(&r, 100);
	r.fake.n_dials = 0;
	rig_run(&r, AGENT_MOVES_MS);
	for (size_t i = 0; i < r.fake.n_dials; i++)
		assert_int_equal(r.fake.dial_port[i], 8080);
	rig_close(&r);
}

static void test_what_is_not_used(void **state)
{
	static const struct {
		const char *why, *line;
	} cases[] = {
		{"another host", TOLD("{\"id\":\"B\",\"url\":\"http://elsewhere.example:9002\"}")},
		{"an address", TOLD("{\"id\":\"B\",\"url\":\"http://127.0.0.1:9002\"}")},
		{"a socket", TOLD("{\"id\":\"B\",\"url\":\"unix:/run/x\"}")},
		{"no URL", TOLD("{\"id\":\"B\",\"url\":\"localhost\"}")},
		{"a number", TOLD("{\"id\":\"B\",\"url\":9002}")},
		{"nobody", TOLD("{\"url\":\"http://localhost:9002\"}")},
		{"a name that is none", TOLD("{\"id\":\"b b\",\"url\":\"http://localhost:9002\"}")},
		{"no node", TOLD("7,null,[]")},
		{"no list", "{\"op\":\"nodes\",\"count\":2,\"nodes\":\"all\"}"},
		{"nothing", "{\"op\":\"nodes\",\"count\":2}"},
		{"more of them", "{\"op\":\"nodes\",\"count\":5,\"x\":[1]}"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		nodes_open(&r, 1, 2);
		r.fake.stuck = true;
		rig_start(&r);
		fake_tell(&r.fake, cases[i].line);
		rig_run(&r, AGENT_MOVES_MS);
		for (size_t k = 0; k < r.fake.n_dials; k++)
			if (r.fake.dial_port[k] != 8080)
				fail_msg("%s", cases[i].why);
		assert_int_equal(n_at(&r, 0), 2);
		rig_close(&r);
	}
}

static void test_a_wrong_line(void **state)
{
	static const char *const lines[] = {"{\"op\":\"nodes\"}",
					    "{\"op\":\"nodes\",\"count\":\"2\"}",
					    "{\"op\":\"nodes\",\"count\":100001}"};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct rig r;

		nodes_open(&r, 1, 2);
		rig_start(&r);
		fake_tell(&r.fake, lines[i]);
		rig_run(&r, 50);
		assert_int_equal(r.fake.sessions[0].closed_why, ERR_PROTO);
		rig_run(&r, 2 * AGENT_SPREAD_MS);
		assert_int_equal(fake_n_up(&r.fake), 2);
		rig_close(&r);
	}
}

/* ---- a node that drains ---- */

static void test_drained(void **state)
{
	struct fake_session *old;
	struct wire *visitor;
	struct rig r;

	pair_open(&r, 1);
	rig_start(&r);
	old = fake_up_at(&r.fake, &r.fake.nodes[0]);
	visitor = visit_open(&r, old);
	r.fake.nodes[0].refuse = "503 DRAIN later";
	session_drain(old->session);
	rig_run(&r, 50);
	assert_int_equal(r.fake.n_dials, 3); /* at once, and not there */
	assert_int_equal(r.fake.dial_port[2], PORT_B);
	assert_int_equal(n_at(&r, 1), 2);
	assert_int_equal(r.fake.sessions[2].carrier, UPLINK_CARRIERS_MAX); /* beside the old one */
	visit_answered(&r, visitor);
	wire_close(visitor, 0);
	/* visitors may still come by it until the node ends it */
	visitor = visit_open(&r, old);
	visit_answered(&r, visitor);
	wire_close(visitor, 0);
	rig_run(&r, 10000);
	assert_non_null(old->session);
	assert_int_equal(r.n_offline, 0);
	rig_close(&r);
}

/* A balancer may send it to the node that drains once more. */
static void test_drained_behind_a_balancer(void **state)
{
	uint64_t start;
	size_t first;
	struct rig r;

	nodes_open(&r, 1, 2);
	r.opt.n_sessions = 1;
	r.fake.stuck = true;
	rig_start(&r);
	r.fake.nodes[0].refuse = "503 DRAIN later";
	first = r.fake.n_dials;
	start = ev_now_ms(r.ev);
	session_drain(fake_up(&r.fake, 0)->session);
	rig_run(&r, 700);
	assert_in_range(r.fake.n_dials - first, 3, 7);
	assert_in_range(r.fake.dial_ms[first] - start, 0, 20);
	for (size_t i = first + 1; i < r.fake.n_dials; i++)
		assert_in_range(r.fake.dial_ms[i] - r.fake.dial_ms[i - 1], AGENT_HASTE_MS,
				3 * AGENT_HASTE_MS + 20);
	r.fake.turn = 1;
	rig_run(&r, 3 * AGENT_HASTE_MS + 50);
	assert_int_equal(n_at(&r, 1), 1);
	assert_int_equal(r.n_offline, 1); /* that it drains */
	rig_close(&r);
}

/* If it goes on to refuse, the haste ends: it may be one of very many. */
static void test_haste_ends(void **state)
{
	size_t first;
	struct rig r;

	nodes_open(&r, 1, 1);
	r.opt.n_sessions = 1;
	rig_start(&r);
	r.fake.nodes[0].refuse = "503 DRAIN later";
	first = r.fake.n_dials;
	session_drain(fake_up(&r.fake, 0)->session);
	rig_run(&r, 60000);
	assert_in_range(r.fake.n_dials - first, AGENT_HASTE_MAX + 5, AGENT_HASTE_MAX + 14);
	assert_in_range(r.n_offline, 5, 14);
	rig_close(&r);
}

/* Nodes drain one after the other, faster than visitors finish. */
static void test_a_rolling_change(void **state)
{
	struct fake_session *old[UPLINK_OLD_MAX];
	struct wire *visitors[UPLINK_OLD_MAX];
	struct rig r;

	nodes_open(&r, 1, 2);
	r.opt.n_sessions = 1;
	rig_start(&r);
	for (unsigned i = 0; i < UPLINK_OLD_MAX; i++) {
		r.fake.target = (struct fake_target){0}; /* the wire is kept by its visit */
		old[i] = fake_up(&r.fake, -1);
		assert_int_equal(old[i]->carrier, i * UPLINK_CARRIERS_MAX);
		visitors[i] = visit_open(&r, old[i]);
		session_drain(old[i]->session);
		rig_run(&r, 1000);
	}
	assert_int_equal(fake_n_up(&r.fake), UPLINK_OLD_MAX + 1);
	for (unsigned i = 0; i < UPLINK_OLD_MAX; i++)
		wire_close(visitors[i], 0);
	/* one more, and the oldest must go */
	session_drain(fake_up(&r.fake, -1)->session);
	rig_run(&r, 1000);
	assert_null(old[0]->session);
	assert_int_equal(old[0]->closed_why, ERR_DRAIN);
	assert_non_null(old[1]->session);
	assert_int_equal(fake_up(&r.fake, -1)->carrier, 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_each_begins_with_its_own),
		cmocka_unit_test(test_the_next_one_at_once),
		cmocka_unit_test(test_a_final_word),
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_one_dies),
		cmocka_unit_test(test_silence_is_shunned),
		cmocka_unit_test(test_a_crowd),
		cmocka_unit_test(test_a_balancer_that_spreads),
		cmocka_unit_test(test_a_balancer_that_does_not),
		cmocka_unit_test(test_a_move),
		cmocka_unit_test(test_lost_while_moving),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_what_is_not_used),
		cmocka_unit_test(test_a_wrong_line),
		cmocka_unit_test(test_drained),
		cmocka_unit_test(test_drained_behind_a_balancer),
		cmocka_unit_test(test_haste_ends),
		cmocka_unit_test(test_a_rolling_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
