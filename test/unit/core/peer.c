/* What nodes tell each other, and what that means for who may serve; orders; bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage.h"
#include "unit/core/peer_rig.h"

/* ---- telling ---- */

static void test_what_others_hear(void **state)
{
	struct fake f, second;
	struct peer_rig w;
	struct peer_node *a = &w.node[0];

	peer_rig_new(&w);
	peer_rig_serve(&w, &f, 0, "laptop");
	assert_true(peer_rig_said(a, "demo+1/0/1 "));
	peer_rig_join(&w, &second, 0, "laptop", 1, 5);
	assert_int_equal(core_rig_attach(&second, "demo", "").result.e, 0);
	assert_true(peer_rig_said(a, "demo+1/0/2 "));
	assert_int_equal(core_n_remote(w.node[1].rig.core), 1);
	assert_int_equal(core_n_remote(a->rig.core), 0);

	member_set_health(f.member, STR("demo"), false);
	member_set_health(second.member, STR("demo"), false);
	member_set_health(second.member, STR("demo"), true);
	member_set_health(second.member, STR("demo"), false);
	peer_rig_run(&w, 1);
	assert_true(peer_rig_said(a, "demo+0/0/2 ")); /* once a turn */
	peer_rig_run(&w, 1);
	assert_true(peer_rig_said(a, ""));

	member_detach(second.member, STR("demo"));
	peer_rig_run(&w, 1);
	assert_true(peer_rig_said(a, "demo+0/0/1 "));
	member_detach(f.member, STR("demo"));
	peer_rig_run(&w, 1);
	assert_true(peer_rig_said(a, "demo- "));
	assert_int_equal(core_n_remote(w.node[1].rig.core), 0);
	fake_leave(&f);
	fake_leave(&second);
	peer_rig_free(&w);
}

/* What only others serve is not ours to tell. */
static void test_what_others_serve(void **state)
{
	struct peer_rig w;
	struct fake f;

	peer_rig_new(&w);
	peer_rig_serve(&w, &f, 1, "laptop");
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	assert_non_null(peer_rig_demo(&w, 0));
	fake_leave(&f);
	peer_rig_run(&w, 1);
	assert_null(peer_rig_demo(&w, 0));
	assert_true(peer_rig_said(&w.node[0], ""));
	assert_true(peer_rig_said(&w.node[1], "demo+1/0/1 demo- "));
	peer_rig_free(&w);
}

/* One that goes and comes back within a turn is there. */
static void test_back_within_a_turn(void **state)
{
	struct tunnel_serve_opt opt = {.priority = 3};
	char reason[CORE_REASON_TEXT], *value;
	struct record_tunnel r;
	struct fake f, g;
	struct peer_rig w;

	peer_rig_new(&w);
	peer_rig_serve(&w, &f, 0, "laptop");
	peer_rig_join(&w, &g, 0, "desktop", 1, 0);
	value = core_rig_get(&w.r, "tunnel", "demo");
	assert_int_equal(record_read_tunnel(STR("demo"), str_of(value), &r), 0);
	free(value);
	w.node[0].said[0] = '\0';
	fake_leave(&f);
	assert_null(tunnel_find(w.node[0].rig.core, STR("demo")));
	assert_int_equal(tunnel_serve(g.member, &r, 1ULL << 40, &opt, reason), 0);
	peer_rig_run(&w, 1);
	assert_true(peer_rig_said(&w.node[0], "demo+1/3/1 "));
	assert_int_equal(core_n_remote(w.node[1].rig.core), 1);
	member_detach(g.member, STR("demo"));
	peer_rig_run(&w, 1);
	assert_true(peer_rig_said(&w.node[0], "demo- "));
	fake_leave(&g);
	peer_rig_free(&w);
}

/* ---- limits and ghosts ---- */

static void test_who_may_serve(void **state)
{
	static const struct {
		const char *why;
		struct {
			const char *agent;
			uint64_t epoch, carriers;
		} there[2]; /* of nodes b and c */
		uint64_t epoch;
		unsigned carrier;
		int want;
		bool draining; /* b does */
	} cases[] = {
		{"one more", {{"b", 1, 1}}, 5, 0, 0},
		{"as many as may be", {{"b", 1, 3}}, 5, 0, ERR_LIMIT},
		{"of two nodes", {{"b", 1, 1}, {"c", 1, 1}}, 5, 0, ERR_LIMIT},
		{"of two nodes, but one is our older process", {{"b", 1, 1}, {"a", 4, 1}}, 5, 0, 0},
		{"or the same connection", {{"b", 1, 1}, {"a", 5, 1}}, 5, 0, 0},
		{"and another one of the same process",
		 {{"b", 1, 1}, {"a", 5, 2}},
		 5,
		 0,
		 ERR_LIMIT},
		{"the last connection of many", {{"b", 1, 1}, {"a", 5, 1ULL << 63}}, 5, 63, 0},
		{"a newer process", {{"a", 6, 1}}, 5, 0, ERR_REPLACED},
		{"its process moves away from there", {{"a", 5, 3}}, 5, 16, 0, true},
		{"its process has not moved away from there", {{"a", 5, 3}}, 5, 16, ERR_LIMIT},
		{"somebody else moves away from there", {{"b", 5, 3}}, 5, 0, ERR_LIMIT, true},
		{"a newer process of somebody else", {{"b", 6, 1}}, 5, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_attach told;
		struct peer_rig w;
		struct fake f;

		peer_rig_new(&w);
		peer_rig_put(&w, "demo", "\"kind\":\"http\",\"sessions_max\":2");
		for (int k = 0; k < 2 && cases[i].there[k].agent != NULL; k++) {
			struct node_entry e =
				peer_rig_entry(&w, cases[i].there[k].agent, cases[i].there[k].epoch,
					       cases[i].there[k].carriers);

			assert_int_equal(core_peer_serves(w.node[0].way[k + 1].peer, STR("demo"),
							  &e),
					 0);
		}
		if (cases[i].draining)
			core_peer_set_state(w.node[0].way[1].peer, PEER_DRAINING);
		peer_rig_join(&w, &f, 0, "a", cases[i].epoch, cases[i].carrier);
		told = core_rig_attach(&f, "demo", "");
		if (told.result.e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, told.reason);
		fake_leave(&f);
		peer_rig_free(&w);
	}
}

static void test_ghosts_here(void **state)
{
	static const struct {
		const char *why, *agent;
		uint64_t epoch, carriers;
		unsigned n_detached, n_pinged;
	} cases[] = {
		{"a newer process takes over", "laptop", 8, 1, 1, 0},
		{"an older one does not", "laptop", 6, 1, 0, 0},
		{"another agent's neither", "desktop", 8, 1, 0, 0},
		{"the same process has come elsewhere: is this one alive?", "laptop", 7, 1, 0, 1},
		{"with another connection", "laptop", 7, 2, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct node_entry e;
		struct peer_rig w;
		struct fake f;

		peer_rig_new(&w);
		peer_rig_join(&w, &f, 0, "laptop", 7, 0);
		assert_int_equal(core_rig_attach(&f, "demo", "").result.e, 0);
		peer_rig_run(&w, SESSION_QUIET_MS + 10);
		e = peer_rig_entry(&w, cases[i].agent, cases[i].epoch, cases[i].carriers);
		assert_int_equal(core_peer_serves(w.node[0].way[1].peer, STR("demo"), &e), 0);
		if (f.n_detached != cases[i].n_detached || f.n_pinged != cases[i].n_pinged)
			fail_msg("%s: %u detached, %u pinged", cases[i].why, f.n_detached,
				 f.n_pinged);
		if (f.n_detached > 0)
			assert_int_equal(f.why, ERR_REPLACED);
		fake_leave(&f);
		peer_rig_free(&w);
	}
}

/* ---- orders, and what is counted ---- */

static void on_managed(void *arg, const struct manage_answer *answer)
{
	assert_int_equal(answer->e, 0);
	*(size_t *)arg = answer->n;
}

static void test_disconnect_everywhere(void **state)
{
	struct manage_asker by;
	struct core_serving s;
	struct fake f[3];
	size_t n = 99;
	struct peer_rig w;

	peer_rig_new(&w);
	peer_rig_serve(&w, &f[0], 0, "a");
	peer_rig_serve(&w, &f[1], 1, "b");
	peer_rig_serve(&w, &f[2], 2, "c");
	for (int i = 0; i < PEER_RIG_N; i++) {
		s = (struct core_serving){.name = "demo"};
		core_serving(w.node[i].rig.core, &s, 1);
		assert_int_equal(s.n_sessions, 3);
		assert_int_not_equal(s.since_ms, 0);
	}
	by = (struct manage_asker){&w.ann, on_managed, &n};
	/* by its number it is one of this node's: nobody else hears of it */
	assert_non_null(manage_disconnect(w.node[0].rig.core, &by, STR("demo"),
					  member_number(f[0].member), STR("")));
	peer_rig_run(&w, 5);
	assert_int_equal(n, 1);
	assert_int_equal(w.node[0].n_orders, 0);
	assert_int_equal(f[0].n_expelled, 1);
	assert_int_equal(f[1].n_expelled + f[2].n_expelled, 0);
	fake_leave(&f[0]);
	peer_rig_serve(&w, &f[0], 0, "a");

	assert_non_null(
		manage_disconnect(w.node[0].rig.core, &by, STR("demo"), 0, STR("good bye")));
	peer_rig_run(&w, 5);
	assert_int_equal(n, 3);
	for (int i = 0; i < PEER_RIG_N; i++) {
		assert_int_equal(f[i].n_expelled, 1);
		assert_int_equal(f[i].why, ERR_DISCONNECTED);
		assert_string_equal(f[i].reason, "good bye");
		assert_int_equal(w.node[i].n_orders, i == 0); /* it goes no further */
		fake_leave(&f[i]);
	}
	peer_rig_free(&w);
}

static void test_an_order_for_somebody_else(void **state)
{
	struct core_order o = {.kind = CORE_ORDER_DISCONNECT, .tunnel = "demo", .reason = "no"};
	struct peer_rig w;
	struct fake f;

	peer_rig_new(&w);
	peer_rig_serve(&w, &f, 0, "a");
	memcpy(o.account, w.bob.account, sizeof o.account);
	core_on_order(w.node[0].rig.core, &o);
	str_printf(o.tunnel, sizeof o.tunnel, "other");
	memcpy(o.account, w.ann.account, sizeof o.account);
	core_on_order(w.node[0].rig.core, &o);
	o.kind = CORE_ORDER_KINDS;
	str_printf(o.tunnel, sizeof o.tunnel, "demo");
	core_on_order(w.node[0].rig.core, &o);
	o.kind = CORE_ORDER_END; /* 0 is no session */
	core_on_order(w.node[0].rig.core, &o);
	o.session = member_number(f.member) + 1;
	core_on_order(w.node[0].rig.core, &o);
	peer_rig_run(&w, 1);
	assert_int_equal(f.n_expelled, 0);
	fake_leave(&f);
	peer_rig_free(&w);
}

/* ---- bounds ---- */

static void test_bounds(void **state)
{
	static const struct {
		const char *why, *name;
		unsigned n_agents;
		int want;
	} cases[] = {
		{"a name", "a.b", 1, 0},
		{"no name", "", 1, ERR_INVAL},
		{"no hostname", "a b", 1, ERR_INVAL},
		{"served by nobody", "a.b", 0, ERR_INVAL},
		{"by too many", "a.b", 65, ERR_INVAL},
		{"by many", "a.b", 64, 0},
	};
	struct core_peer *peers[CORE_PEERS_MAX], *more;
	struct core_peer_opt opt = {.open = NULL};
	struct peer_rig w;
	struct core *c;

	peer_rig_new(&w);
	c = w.node[0].rig.core;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct node_entry e = peer_rig_entry(&w, "a", 1, 1);
		int is;

		e.n_agents = cases[i].n_agents;
		is = core_peer_serves(w.node[0].way[1].peer, str_of(cases[i].name), &e);
		if (is != cases[i].want || (core_n_remote(c) == 1) != (is == 0))
			fail_msg("%s: %d", cases[i].why, is);
		assert_int_equal(core_peer_serves(w.node[0].way[1].peer, str_of(cases[i].name),
						  NULL),
				 0);
		assert_int_equal(core_n_remote(c), 0);
	}
	memcpy(opt.id, peer_rig_ids[1], sizeof opt.id);
	assert_int_equal(core_peer_new(c, &opt, &more), ERR_EXISTS);
	for (int i = 0; i < CORE_PEERS_MAX - 2; i++) {
		str_printf(opt.id, sizeof opt.id, "%016x", i);
		assert_int_equal(core_peer_new(c, &opt, &peers[i]), 0);
	}
	str_printf(opt.id, sizeof opt.id, "%016x", CORE_PEERS_MAX);
	assert_int_equal(core_peer_new(c, &opt, &more), ERR_LIMIT);
	for (int i = 0; i < CORE_PEERS_MAX - 2; i++)
		core_peer_free(peers[i]);
	core_peer_free(NULL);
	peer_rig_free(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_others_hear),
		cmocka_unit_test(test_what_others_serve),
		cmocka_unit_test(test_back_within_a_turn),
		cmocka_unit_test(test_who_may_serve),
		cmocka_unit_test(test_ghosts_here),
		cmocka_unit_test(test_disconnect_everywhere),
		cmocka_unit_test(test_an_order_for_somebody_else),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
