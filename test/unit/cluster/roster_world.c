/*
 * Whole clusters from seeds: processes come, go and die, the bus loses, doubles, delays, is cut and
 * goes away. What holds at any time is checked by the rig; when the bus is good again all agree
 * within two beats.
 *
 *	test_roster_world [SEEDS [FIRST]]
 */
#include "unit/cluster/roster_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/dice.h"

#define WORLD_TUNNELS 24

static unsigned world_seeds = 400;
static uint64_t world_first = 1;

static struct rig_node *world_some(struct roster_rig *g, struct dice *d)
{
	for (unsigned tries = 0; tries < 100; tries++) {
		struct rig_node *n = &g->nodes[dice_range(d, 0, g->n_nodes - 1)];

		if (n->roster != NULL)
			return n;
	}
	return rig_join(g, NULL);
}

static unsigned world_alive(const struct roster_rig *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->n_nodes; i++)
		n += g->nodes[i].roster != NULL;
	return n;
}

static void world_drain(struct rig_node *n)
{
	struct roster_node said = *roster_self(n->roster);

	said.draining = n->draining = !n->draining;
	roster_set(n->roster, &said);
}

/* Something happens. */
static void world_step(struct roster_rig *g, struct dice *d)
{
	uint32_t what = dice_range(d, 0, 99);
	struct rig_node *n = world_some(g, d);

	if (what < 35) {
		for (unsigned i = dice_range(d, 1, 3); i > 0; i--)
			rig_hold(n, dice_range(d, 0, RIG_ACCOUNTS - 1),
				 dice_chance(d, 40) ? 0 : dice_range(d, 1, 100));
	} else if (what < 70) {
		for (unsigned i = dice_range(d, 1, 6); i > 0; i--)
			rig_tell(n, dice_range(d, 0, WORLD_TUNNELS - 1), dice_chance(d, 60));
	} else if (what < 75) {
		roster_wrote(n->roster, STR("tunnel"), STR("x"));
	} else if (what < 79) {
		roster_order(n->roster, &(struct core_order){.tunnel = "x", .account = "a"});
	} else if (what < 83) {
		world_drain(n);
	} else if (what < 87 && g->n_nodes < RIG_NODES_MAX - 2) {
		rig_join(g, NULL);
	} else if (what < 89 && world_alive(g) > 2) {
		rig_leave(n);
	} else if (what < 92 && world_alive(g) > 2) {
		rig_kill(n);
	} else if (what < 97) {
		lossy_bus_cut(n->bus, dice_chance(d, 50));
	} else {
		lossy_net_away(g->net, dice_chance(d, 50));
	}
}

static bool world_run(uint64_t seed)
{
	struct roster_rig g;
	struct dice d = {.state = seed};
	struct lossy_rules rules = {0};
	uint64_t spent = 0, most = dice_range(&d, 2000, 20000);
	bool ok;

	rig_new(&g, seed, WORLD_TUNNELS);
	rules.lose = dice_length(&d, 60);
	rules.twice = dice_length(&d, 50);
	rules.refuse = dice_length(&d, 30);
	rules.delay_ms = dice_length(&d, 500);
	rules.late = dice_length(&d, 20);
	rules.late_ms = dice_length(&d, 15000);
	g.patience = rules.delay_ms + rules.late_ms + 10;
	lossy_net_rule(g.net, &rules);
	for (uint32_t i = dice_range(&d, 2, 5); i > 0; i--)
		rig_join(&g, NULL);
	while (spent < most) {
		uint32_t ms = dice_length(&d, 1500);

		world_step(&g, &d);
		ev_sim_run_for(g.ev, ms);
		spent += ms + 1;
	}
	lossy_net_away(g.net, false);
	for (unsigned i = 0; i < g.n_nodes; i++)
		if (g.nodes[i].roster != NULL)
			lossy_bus_cut(g.nodes[i].bus, false);
	lossy_net_rule(g.net, &(struct lossy_rules){0});
	ev_sim_run_for(g.ev, 2 * BUS_BEAT_MS + 300);
	ok = rig_agrees(&g);
	ev_sim_run_for(g.ev, g.patience + BUS_GONE_MS + BUS_BEAT_MS);
	ok = ok && rig_agrees(&g) && rig_is_tidy(&g);
	rig_free(&g);
	return ok;
}

static void test_worlds(void **state)
{
	for (uint64_t seed = world_first; seed < world_first + world_seeds; seed++)
		if (!world_run(seed))
			fail_msg("seed %llu", (unsigned long long)seed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_worlds)};

	if (argc > 1)
		world_seeds = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		world_first = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
