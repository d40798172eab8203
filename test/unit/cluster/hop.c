/* Streams between nodes: when connections are made, what becomes of those that wait and run. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/cluster/hop_rig.h"

static void test_on_demand(void **state)
{
	struct hop_rig *r = hop_rig_open();
	struct hop_rig_stream *sent = r->a.sent, *served = r->b.served;

	hop_rig_run(r, 1000);
	assert_int_equal(r->net.n_dials, 0);
	assert_int_equal(hop_rig_visit(r), 0);
	assert_int_equal(r->b.n_served, 0);
	hop_rig_run(r, 1000);
	assert_int_equal(r->b.n_served, 1);
	assert_int_equal(served[0].got, 5); /* what it said before there was a connection */
	assert_string_equal(r->b.last.tunnel, "demo");
	assert_string_equal(r->b.last.visitor.ip, "192.0.2.43");
	assert_string_equal(r->b.last.via, "aaaaaaaaaaaaaaaa");
	hop_rig_write(&served[0], STR("good day"));
	wire_shut(sent[0].w);
	hop_rig_run(r, 100);
	assert_int_equal(sent[0].got, 8);
	assert_true(served[0].eof);
	assert_int_equal(hop_rig_visit(r), 0); /* the connection is kept */
	hop_rig_run(r, 100);
	assert_int_equal(r->b.n_served, 2);
	assert_int_equal(r->net.n_dials, 1);
	assert_int_equal(hop_load(r->b.hop), 2);
	assert_int_equal(hop_load(r->a.hop), 0);
	assert_int_equal(r->a.n_states, 0); /* nothing has changed */
	assert_true(hop_rig_logged(&r->a, "event=hop-up node=bbbbbbbbbbbbbbbb"));
	assert_true(hop_rig_logged(&r->b, "event=hop-accepted peer=aaaaaaaaaaaaaaaa"));
	hop_rig_close(r);
}

static void test_many_wait_for_one(void **state)
{
	struct hop_rig *r = hop_rig_open();

	for (size_t i = 0; i < HOP_WAITING_MAX; i++)
		assert_int_equal(hop_rig_visit(r), 0);
	assert_int_equal(hop_rig_visit(r), ERR_LIMIT);
	assert_int_equal(r->net.n_dials, 1);
	hop_rig_run(r, 1000);
	assert_int_equal(r->b.n_served, HOP_WAITING_MAX);
	for (size_t i = 0; i < HOP_WAITING_MAX; i++)
		assert_int_equal(r->b.served[i].got, 5);
	hop_rig_close(r);
}

static void test_no_way_there(void **state)
{
	static const struct {
		const char *why;
		int refuse;
		bool silent, elsewhere;
		uint32_t after_ms;
		const char *logged;
	} cases[] = {
		{"nobody listens", ERR_REFUSED, false, false, 5, "why=REFUSED"},
		{"nobody answers", 0, true, false, HOP_CONNECT_MS, "why=TIMEOUT"},
		{"somebody else has the address", 0, false, true, 100, "why=NOSESSION"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hop_rig *r = hop_rig_open();

		r->net.refuse = cases[i].refuse;
		r->net.silent = cases[i].silent;
		if (cases[i].elsewhere) {
			memcpy(r->b.says.hop, r->c.says.hop, sizeof r->b.says.hop);
			hop_rig_forget(r);
			assert_int_equal(hop_peer_new(r->a.hop, &r->b.says, &r->a, &r->a.peer), 0);
		}
		assert_int_equal(hop_rig_visit(r), 0);
		assert_int_equal(hop_rig_visit(r), 0);
		hop_rig_run(r, cases[i].after_ms + 2);
		assert_int_equal(r->a.sent[0].why, ERR_NOSESSION);
		assert_int_equal(r->a.sent[1].why, ERR_NOSESSION);
		assert_int_equal(r->a.state, PEER_UNREACHABLE);
		assert_true(hop_rig_logged(&r->a, cases[i].logged));
		assert_int_equal(hop_rig_visit(r), ERR_NOSESSION); /* nor is it tried again */
		assert_int_equal(r->net.n_dials, 1);
		assert_int_equal(r->b.n_served + r->c.n_served, 0);
		hop_rig_run(r, HOP_AVOID_MS);
		assert_int_equal(r->a.state, PEER_GOOD);
		assert_int_equal(r->net.n_dials, 1); /* the next visitor does */
		hop_rig_close(r);
	}
}

static void test_avoided_for_longer(void **state)
{
	static const uint32_t avoided[] = {1000, 2000, 4000, 5000, 5000};
	struct hop_rig *r = hop_rig_open();

	r->net.refuse = ERR_REFUSED;
	for (size_t i = 0; i < ARRAY_LEN(avoided); i++) {
		assert_int_equal(hop_rig_visit(r), 0);
		hop_rig_run(r, 10);
		assert_int_equal(r->a.state, PEER_UNREACHABLE);
		hop_rig_run(r, avoided[i] - 10);
		assert_int_equal(r->a.state, PEER_UNREACHABLE);
		hop_rig_run(r, 10);
		assert_int_equal(r->a.state, PEER_GOOD);
	}
	r->net.refuse = 0; /* it is there again, and all is forgotten */
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	assert_int_equal(r->b.n_served, 1);
	r->net.refuse = ERR_REFUSED;
	mem_hop_cut(&r->net);
	hop_rig_run(r, 100);
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 10);
	assert_int_equal(r->a.state, PEER_UNREACHABLE);
	hop_rig_run(r, 1000);
	assert_int_equal(r->a.state, PEER_GOOD);
	hop_rig_close(r);
}

/* A node that is there again says so. */
static void test_no_longer_avoided(void **state)
{
	static const struct {
		const char *why;
		bool dials, is_other; /* it dials us, or somebody else does */
		bool told;	      /* we have heard of it otherwise */
		enum peer_state want;
	} cases[] = {
		{"nothing was heard", false, false, false, PEER_UNREACHABLE},
		{"it dials us", true, false, false, PEER_GOOD},
		{"another one dials us", true, true, false, PEER_UNREACHABLE},
		{"it was heard of", false, false, true, PEER_GOOD},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hop_rig *r = hop_rig_open();
		struct hop_rig_node *n = cases[i].is_other ? &r->c : &r->b;

		print_message("# %s\n", cases[i].why);
		r->net.refuse = ERR_REFUSED;
		for (uint32_t ms = HOP_AVOID_MS; ms < 4 * HOP_AVOID_MS; ms *= 2) {
			assert_int_equal(hop_rig_visit(r), 0);
			hop_rig_run(r, ms + 10);
		}
		assert_int_equal(hop_rig_visit(r), 0);
		hop_rig_run(r, 10);
		assert_int_equal(r->a.state, PEER_UNREACHABLE);
		if (cases[i].told)
			hop_peer_heard(r->a.peer);
		if (cases[i].dials) {
			r->net.refuse = 0;
			hop_rig_back(r, n);
			r->net.refuse = ERR_REFUSED;
		}
		hop_rig_run(r, 100);
		assert_int_equal(r->a.state, cases[i].want);
		if (cases[i].want == PEER_GOOD) {
			/* it cannot be reached all the same: that is not forgotten */
			assert_int_equal(hop_rig_visit(r), 0);
			hop_rig_run(r, 4 * HOP_AVOID_MS);
			assert_int_equal(r->a.state, PEER_UNREACHABLE);
		}
		hop_rig_close(r);
	}
}

static void test_refusals_travel(void **state)
{
	static const int whys[] = {ERR_TARGET, ERR_DENIED,   ERR_NOSESSION, ERR_LIMIT,
				   ERR_DRAIN,  ERR_DISABLED, ERR_LOOP,	    ERR_RESET};
	struct hop_rig *r = hop_rig_open();

	for (size_t i = 0; i < ARRAY_LEN(whys); i++) {
		r->b.refuse = whys[i];
		assert_int_equal(hop_rig_visit(r), 0); /* the first one has waited */
		hop_rig_run(r, 100);
		assert_int_equal(r->a.sent[i].why, whys[i]);
	}
	assert_int_equal(r->a.n_states, 0);
	hop_rig_close(r);
}

static void test_several_when_loaded(void **state)
{
	struct hop_rig *r = hop_rig_open();

	for (int i = 0; i < 60; i++) {
		assert_int_equal(hop_rig_visit(r), 0);
		hop_rig_run(r, 20);
	}
	assert_int_equal(mem_hop_n(&r->net), 1);
	for (int i = 60; i < 600; i++) {
		assert_int_equal(hop_rig_visit(r), 0);
		hop_rig_run(r, 20);
	}
	assert_int_equal(mem_hop_n(&r->net), HOP_SESSIONS_MAX);
	assert_int_equal(r->net.n_dials, HOP_SESSIONS_MAX);
	assert_int_equal(hop_load(r->b.hop), 600);
	for (int i = 0; i < 600; i++) {
		assert_int_equal(r->b.served[i].got, 5);
		hop_rig_hang_up(&r->a.sent[i], 0);
		hop_rig_hang_up(&r->b.served[i], 0);
	}
	hop_rig_run(r, 130000); /* nobody needs any of them */
	assert_int_equal(mem_hop_n(&r->net), 0);
	assert_int_equal(r->a.n_states, 0);
	hop_rig_close(r);
}

static void test_kept_while_used(void **state)
{
	struct hop_rig *r = hop_rig_open();

	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 1000);
	hop_rig_run(r, 600000); /* one quiet stream is use */
	assert_int_equal(mem_hop_n(&r->net), 1);
	assert_int_equal(r->a.sent[0].why, 0);
	hop_rig_hang_up(&r->a.sent[0], 0);
	hop_rig_hang_up(&r->b.served[0], 0);
	hop_rig_run(r, 30000);
	assert_int_equal(mem_hop_n(&r->net), 1);
	hop_rig_run(r, 100000);
	assert_int_equal(mem_hop_n(&r->net), 0);
	assert_int_equal(hop_rig_visit(r), 0); /* and made again */
	hop_rig_run(r, 100);
	assert_int_equal(r->b.n_served, 2);
	hop_rig_close(r);
}

static void test_connection_lost(void **state)
{
	struct hop_rig *r = hop_rig_open();

	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	mem_hop_cut(&r->net);
	hop_rig_run(r, 100);
	assert_int_not_equal(r->a.sent[0].why, 0);
	assert_int_not_equal(r->a.sent[0].why, ERR_NOSESSION); /* its bytes may have been seen */
	assert_int_not_equal(r->b.served[0].why, 0);
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	assert_int_equal(r->b.n_served, 2);
	assert_int_equal(r->b.served[1].got, 5);
	hop_rig_close(r);
}

/* It is dead already, and the loop has not told us yet. */
static void test_opened_on_a_dead_one(void **state)
{
	struct hop_rig *r = hop_rig_open();

	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	mem_hop_cut(&r->net);
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	assert_true(r->a.sent[1].why != 0 || r->b.n_served == 2);
	hop_rig_close(r);
}

static void test_slow_but_alive(void **state)
{
	struct hop_rig *r = hop_rig_open();

	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 3000);
	mem_hop_freeze(&r->net, true);
	r->net.silent = true;
	assert_int_equal(hop_rig_visit(r), 0); /* it is asked for a sign of life */
	hop_rig_run(r, 600);
	assert_int_equal(r->a.state, PEER_LATE);
	assert_int_equal(hop_rig_visit(r), 0); /* if there is no other node it has to do */
	hop_rig_run(r, HOP_CONNECT_MS + 100);
	assert_int_equal(r->a.state, PEER_LATE); /* another connection did not come */
	assert_int_equal(r->a.sent[0].why, 0);
	assert_int_equal(r->a.n_states, 1);
	hop_rig_close(r);
}

static void test_late_one_is_passed_over(void **state)
{
	struct hop_rig *r = hop_rig_open();

	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 3000);
	mem_hop_freeze(&r->net, true);
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 600);
	assert_int_equal(r->a.state, PEER_LATE);
	assert_int_equal(hop_rig_visit(r), 0); /* goes with it, but another one is made */
	hop_rig_run(r, 100);
	assert_int_equal(r->a.state, PEER_GOOD);
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	assert_int_equal(r->b.n_served, 2);
	assert_int_equal(r->a.sent[3].why, 0);
	hop_rig_run(r, 20000); /* it was dead */
	assert_int_equal(r->a.sent[0].why, ERR_RESET);
	assert_int_equal(r->a.sent[3].why, 0);
	hop_rig_close(r);
}

static void test_drain(void **state)
{
	struct hop_rig *r = hop_rig_open();

	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	hop_drain(r->b.hop);
	hop_drain(r->b.hop);		       /* once is enough */
	assert_int_equal(hop_rig_visit(r), 0); /* on its way before a has heard of it */
	hop_rig_run(r, 100);
	assert_int_equal(r->a.state, PEER_DRAINING);
	assert_int_equal(r->b.n_served, 2);
	assert_int_equal(r->b.served[1].got, 5);
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	assert_int_equal(r->a.sent[2].why, ERR_NOSESSION);
	assert_int_equal(r->a.state, PEER_UNREACHABLE);
	hop_rig_write(&r->b.served[0], STR("still here"));
	hop_rig_write(&r->a.sent[1], STR("so am I"));
	hop_rig_run(r, 100);
	assert_int_equal(r->a.sent[0].got, 10);
	assert_int_equal(r->b.served[1].got, 12);
	hop_rig_run(r, 2000);
	assert_int_equal(r->a.state, PEER_DRAINING);
	hop_rig_close(r);
}

/* The bus says that it is gone: that is no reason to end what works. */
static void test_forgotten(void **state)
{
	static const struct {
		const char *why;
		bool frozen;
		int first;
	} cases[] = {
		{"it lives", false, 0},
		{"it is dead", true, ERR_RESET},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hop_rig *r = hop_rig_open();

		assert_int_equal(hop_rig_visit(r), 0);
		hop_rig_run(r, 100);
		mem_hop_freeze(&r->net, cases[i].frozen);
		hop_rig_forget(r);
		hop_rig_run(r, 3000);
		assert_int_equal(r->a.sent[0].why, cases[i].first);
		if (!cases[i].frozen) {
			hop_rig_write(&r->b.served[0], STR("still here"));
			hop_rig_run(r, 100);
			assert_int_equal(r->a.sent[0].got, 10);
			hop_rig_hang_up(&r->a.sent[0], 0);
			hop_rig_hang_up(&r->b.served[0], 0);
			hop_rig_run(r, 130000);
		}
		hop_rig_run(r, 15000); /* b sees it later: nobody has told it anything */
		assert_int_equal(mem_hop_n(&r->net), 0);
		hop_rig_close(r);
	}
}

static void test_forgotten_while_they_wait(void **state)
{
	static const uint32_t after_ms[] = {0, 7, 12}; /* dialling; greeting */

	for (size_t i = 0; i < ARRAY_LEN(after_ms); i++) {
		struct hop_rig *r = hop_rig_open();

		assert_int_equal(hop_rig_visit(r), 0);
		hop_rig_run(r, after_ms[i]);
		hop_rig_forget(r);
		hop_rig_run(r, 5000);
		assert_int_equal(r->a.sent[0].why, ERR_NOSESSION);
		assert_int_equal(r->b.n_served, 0);
		hop_rig_close(r);
	}
}

/* The other process ends while some wait and some run. */
static void test_ends(void **state)
{
	struct hop_rig *r = hop_rig_open();

	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	hop_rig_end(&r->b);
	hop_rig_run(r, 100);
	assert_int_not_equal(r->a.sent[0].why, 0);
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	assert_int_equal(r->a.sent[1].why, ERR_NOSESSION);
	hop_rig_close(r);
}

static void where_on_state(void *arg, struct hop_peer *p, enum peer_state state)
{
	assert_int_equal(state, PEER_UNREACHABLE);
}

static void test_where(void **state)
{
	static const struct {
		const char *why, *hop, *local, *theirs, *ours;
		int want;
		const char *reached; /* where it is looked for */
	} cases[] = {
		{"another machine", "192.0.2.9:1", "/x", "two", "one", 0, "addr=192.0.2.9:1"},
		{"the same machine", "192.0.2.9:1", "/x", "one", "one", 0, "addr=/x"},
		{"the same, but it has no socket", "192.0.2.9:1", "", "one", "one", 0,
		 "addr=192.0.2.9:1"},
		{"machines without a name are not the same", "192.0.2.9:1", "/x", "", "", 0,
		 "addr=192.0.2.9:1"},
		{"it cannot be reached", "", "/x", "two", "one", ERR_INVAL, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hop_rig *r = hop_rig_open();
		struct hop_opt opt = {.log = &r->c.log,
				      .net = &r->net.net,
				      .self = r->c.says.id,
				      .key = (const uint8_t *)"01234567890123456789012345678901",
				      .machine = cases[i].ours,
				      .window_total = 1 << 26,
				      .state = where_on_state};
		struct roster_node n = {.id = "dddddddddddddddd"};

		hop_rig_forget(r);
		hop_rig_end(&r->c);
		assert_int_equal(hop_new(r->ev, &opt, &r->c.hop), 0);
		str_printf(n.hop, sizeof n.hop, "%s", cases[i].hop);
		str_printf(n.local, sizeof n.local, "%s", cases[i].local);
		str_printf(n.machine, sizeof n.machine, "%s", cases[i].theirs);
		if (hop_peer_new(r->c.hop, &n, &r->c, &r->a.peer) != cases[i].want)
			fail_msg("%s", cases[i].why);
		if (cases[i].want == 0) {
			r->net.refuse = ERR_REFUSED;
			assert_int_equal(hop_rig_visit(r), 0);
			hop_rig_run(r, 10);
			assert_int_equal(r->a.sent[0].why, ERR_NOSESSION);
			if (!hop_rig_logged(&r->c, cases[i].reached))
				fail_msg("%s: %s", cases[i].why, r->c.lines);
			hop_rig_forget(r);
		}
		hop_rig_close(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_on_demand),
		cmocka_unit_test(test_many_wait_for_one),
		cmocka_unit_test(test_no_way_there),
		cmocka_unit_test(test_avoided_for_longer),
		cmocka_unit_test(test_no_longer_avoided),
		cmocka_unit_test(test_refusals_travel),
		cmocka_unit_test(test_several_when_loaded),
		cmocka_unit_test(test_kept_while_used),
		cmocka_unit_test(test_connection_lost),
		cmocka_unit_test(test_opened_on_a_dead_one),
		cmocka_unit_test(test_slow_but_alive),
		cmocka_unit_test(test_late_one_is_passed_over),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_forgotten_while_they_wait),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
