/* The roster: what it tells besides tunnels: whose sessions each node has, and which records it has
 * written. */
#include "unit/cluster/roster_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* arg: counts the pieces of lists. */
static void on_sent(void *arg, const char *from, const char *to, struct str message)
{
	struct str sealed, seal;
	struct node_message m;

	assert_true(node_message_split(message, &sealed, &seal));
	assert_int_equal(node_message_parse(sealed, &m), 0);
	*(unsigned *)arg += m.kind == NODE_MESSAGE_CHANGES;
}

static void run(struct roster_rig *g, uint64_t ms)
{
	ev_sim_run_for(g->ev, ms);
}

/* What each has of an account is told like tunnels, and goes with its node. */
static void test_held(void **state)
{
	static const struct {
		const char *why;
		struct node_entry_agent own;
		size_t n_own;
	} cases[] = {
		{"another agent's", {8, 1, UINT64_MAX}, 0},
		{"of an older process", {7, 2, UINT64_MAX}, 0},
		{"of this process, by both nodes", {7, 1, UINT64_MAX}, 5},
		{"by its first connection", {7, 1, 1}, 2},
		{"by one that only one node has", {7, 1, 4}, 1},
		{"by one that no node has", {7, 1, 8}, 0},
	};
	struct roster_rig g;
	struct rig_node *a, *b, *c;
	struct core_held held;
	unsigned n_pieces = 0;

	rig_new(&g, 18, 8);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	rig_hold(a, 1, 2);
	rig_hold(a, 2, 70);
	rig_tell(a, 3, true);
	run(&g, 20);
	c = rig_join(&g, NULL);
	rig_hold(c, 1, 3);
	run(&g, 20);
	assert_true(rig_agrees(&g));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		roster_held(b->roster, STR("a1"), &cases[i].own, &held);
		assert_int_equal(held.n, 5);
		assert_int_equal(held.n_own, cases[i].n_own);
	}

	print_message("a turn's changes are one message, the same again is none\n");
	lossy_net_rule(g.net, &(struct lossy_rules){.tap = on_sent, .arg = &n_pieces});
	rig_hold(a, 1, 1);
	rig_hold(a, 1, 0);
	rig_hold(a, 3, 1);
	rig_hold(a, 2, 70);
	rig_tell(a, 4, true);
	run(&g, 3);
	assert_int_equal(n_pieces, 1);
	assert_true(rig_agrees(&g));
	lossy_net_rule(g.net, &(struct lossy_rules){0});

	print_message("who was deaf for a while has it again\n");
	lossy_bus_cut(b->bus, true);
	rig_hold(c, 1, 4);
	rig_hold(a, 3, 0);
	run(&g, 100);
	lossy_bus_cut(b->bus, false);
	run(&g, 2 * BUS_BEAT_MS);
	assert_true(rig_agrees(&g));

	print_message("a node that is gone has none\n");
	rig_kill(c);
	run(&g, BUS_GONE_MS + 2 * BUS_BEAT_MS);
	roster_held(b->roster, STR("a1"), &cases[0].own, &held);
	assert_int_equal(held.n, 0);
	rig_free(&g);
}

/* A copy that is wrong is found by the number of accounts, too. */
static void test_held_differs(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	struct roster_peer *p;
	struct map_entry *lost;

	rig_new(&g, 19, 8);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	for (size_t i = 0; i < 8; i++)
		rig_hold(a, i, 1);
	run(&g, 20);
	p = roster_find(b->roster, a->id);
	lost = map_get(&p->copy.accounts, STR("a3"));
	map_del(&p->copy.accounts, lost);
	free(lost);		   /* it is the first member */
	b->held[a->number][3] = 0; /* as if it had never come */
	run(&g, BUS_BEAT_MS + 100);
	assert_true(rig_agrees(&g));
	rig_free(&g);
}

/* Room is asked for at once, once, and so many times a second. */
static void test_room(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;

	rig_new(&g, 20, 8);
	a = rig_join(&g, NULL);
	roster_room(a->roster, STR("a1")); /* nobody hears it */
	b = rig_join(&g, NULL);
	run(&g, 1500);
	roster_room(a->roster, STR("a1"));
	run(&g, 3 * BUS_BEAT_MS);
	assert_int_equal(b->n_rooms, 1);
	for (unsigned i = 0; i < 10 * ROSTER_ROOMS_MAX; i++)
		roster_room(a->roster, STR("a1"));
	run(&g, 20);
	assert_int_equal(b->n_rooms, 1 + ROSTER_ROOMS_MAX);
	rig_free(&g);
}

/* Records that were written, any number in a turn. */
static void test_wrote(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	char key[64];

	rig_new(&g, 15, 8);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	run(&g, 20);
	for (unsigned i = 0; i < 5000; i++) {
		size_t len = str_printf(key, sizeof key, "a-tunnel-with-a-long-name.%u", i);

		roster_wrote(a->roster, STR("tunnel"), (struct str){key, len});
	}
	roster_wrote(a->roster, STR("tunnel"), STR("a key\nthat cannot be"));
	run(&g, 20);
	assert_int_equal(b->n_wrote, 5000);
	assert_string_equal(b->wrote, key);
	rig_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_held_differs),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_wrote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
