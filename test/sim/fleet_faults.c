/* Bad luck of a cluster: what happens to it, and when visitors come, drawn from its seed. */
#include <string.h>

#include "sim/fleet.h"
#include "sim/fleet_rules.h"

/* Everything happens within this time, in milliseconds. */
#define PLAN_MIN_MS 10000
#define PLAN_MAX_MS 120000

static struct fleet_node *fault_node(struct fleet *f)
{
	return &f->nodes[dice_range(&f->stage.dice, 0, f->n_nodes - 1)];
}

static struct fleet_host *fault_host(struct fleet *f)
{
	return &f->hosts[dice_range(&f->stage.dice, 0, f->n_hosts - 1)];
}

static uint64_t fault_until(struct fleet *f, uint32_t max_ms)
{
	return ev_now_ms(f->stage.ev) + 1 + dice_length(&f->stage.dice, max_ms);
}

/* ---- each kind of fault ---- */

static void fault_end_node(struct fleet *f)
{
	struct fleet_node *n = fault_node(f);
	uint32_t roll = dice_range(&f->stage.dice, 0, 99);
	uint32_t back_ms = dice_length(&f->stage.dice, 20000);

	if (n->node == NULL || n->draining)
		return;
	if (roll < 35)
		fleet_node_end(n, FLEET_DIES, back_ms);
	else if (roll < 55)
		fleet_node_end(n, FLEET_DARKENS, back_ms);
	else if (roll < 70)
		fleet_node_end(n, FLEET_STOPS, back_ms);
	else
		fleet_node_drain(n, 1000 + dice_length(&f->stage.dice, 20000), back_ms);
}

static void fault_hops(struct fleet *f)
{
	unsigned a = dice_range(&f->stage.dice, 0, f->n_nodes - 1);
	unsigned b = (a + dice_range(&f->stage.dice, 1, f->n_nodes - 1)) % f->n_nodes;

	if (dice_chance(&f->stage.dice, 40))
		mem_hop_cut(&f->hops);
	else
		fleet_net_part(f, a, b, dice_chance(&f->stage.dice, 50) ? MEM_REFUSED : MEM_SILENT,
			       fault_until(f, 40000));
}

static void fault_bus(struct fleet *f)
{
	struct fleet_node *n = fault_node(f);

	if (dice_chance(&f->stage.dice, 30) && f->away_ms == 0) {
		f->away_ms = fault_until(f, 60000);
		stage_note(&f->stage, "the bus is away");
		lossy_net_away(f->bus, true);
	} else if (n->node != NULL && n->cut_ms == 0) {
		n->cut_ms = fault_until(f, 40000);
		stage_note(&f->stage, "node %u does not reach the bus", n->index);
		lossy_bus_cut(n->bus, true);
	}
}

/* A machine that does nothing for a while, as its neighbours see it. */
static void fault_slow_node(struct fleet *f)
{
	struct fleet_node *n = fault_node(f);
	uint64_t until = fault_until(f, 15000), now = ev_now_ms(f->stage.ev);

	stage_note(&f->stage, "node %u is slow until=%llu", n->index, (unsigned long long)until);
	LIST_FOR_EACH (link, &f->stage.cables) {
		struct cable *c = CONTAINER_OF(link, struct cable, link);

		if ((c->kind == CABLE_SESSION || c->kind == CABLE_VISITOR) &&
		    c->host / FLEET_HOSTS_MAX == n->index)
			cable_freeze(c, (uint32_t)(until - now));
	}
	for (unsigned i = 0; i < f->n_nodes; i++)
		if (i != n->index)
			fleet_net_part(f, n->index, i, MEM_SILENT, until);
}

/* What somebody has said, perhaps a process that is no more, is said again. */
static void fault_replay(struct fleet *f)
{
	if (dice_chance(&f->stage.dice, 50))
		fleet_tape_some(f, dice_range(&f->stage.dice, 1, 20));
	else
		fleet_tape_all(f);
}

static void fault_agent(struct fleet *f)
{
	struct fleet_host *h = fault_host(f);
	uint32_t back_ms = dice_length(&f->stage.dice, 10000);

	switch (dice_range(&f->stage.dice, 0, 4)) {
	case 0: fleet_host_stop(h, back_ms); break;
	case 1: fleet_host_unplug(h, dice_range(&f->stage.dice, 1, 40000)); break;
	case 2: fleet_host_vanish(h, back_ms); break;
	default: fleet_host_kill(h, back_ms);
	}
}

static void fault_cable(struct fleet *f)
{
	enum cable_kind kind = dice_range(&f->stage.dice, CABLE_SESSION, CABLE_VISITOR);
	struct cable *c = cable_pick(&f->stage, kind, ANY_HOST);

	if (c == NULL)
		return;
	if (dice_chance(&f->stage.dice, 60))
		cable_cut(c);
	else
		cable_freeze(c,
			     dice_range(&f->stage.dice, 1, kind == CABLE_SESSION ? 40000 : 15000));
}

static void fault_act(struct fleet *f)
{
	struct fleet_tunnel *t = &f->tunnels[dice_range(&f->stage.dice, 0, f->n_tunnels - 1)];
	enum fleet_act act = dice_range(&f->stage.dice, FLEET_KICK, FLEET_OFF);

	fleet_clerk_begin(f, t->off ? FLEET_ON : act, t);
}

/* ---- the plan ---- */

static void faults_next(struct fleet *f, struct ev_timer *t, unsigned n_left)
{
	uint64_t now = ev_now_ms(f->stage.ev);

	if (n_left == 0 || now >= f->calm_at_ms)
		return;
	ev_timer_set(f->stage.ev, t,
		     dice_range(&f->stage.dice, 0,
				(uint32_t)(2 * (f->calm_at_ms - now) / (n_left + 1))));
}

static void faults_on_fault(void *arg)
{
	struct fleet *f = arg;
	uint32_t roll = dice_range(&f->stage.dice, 0, 99);

	if (roll < 20)
		fault_end_node(f);
	else if (roll < 30)
		fault_hops(f);
	else if (roll < 42)
		fault_bus(f);
	else if (roll < 48)
		fault_slow_node(f);
	else if (roll < 56)
		fault_replay(f);
	else if (roll < 72)
		fault_agent(f);
	else if (roll < 84)
		fault_cable(f);
	else if (roll < 97)
		fault_act(f);
	else
		ev_sim_jump_wall(f->stage.ev, dice_range(&f->stage.dice, 1000, 3600000));
	faults_next(f, &f->fault, --f->n_faults);
}

static void faults_on_arrival(void *arg)
{
	struct fleet *f = arg;
	struct fleet_tunnel *t = &f->tunnels[dice_range(&f->stage.dice, 0, f->n_tunnels - 1)];

	fleet_visitor_come(fault_node(f), t, 0);
	faults_next(f, &f->arrival, --f->n_arrivals);
}

static void faults_on_tick(void *arg)
{
	struct fleet *f = arg;

	fleet_net_tick(f);
	fleet_rules_tick(f);
	for (unsigned i = 0; i < f->n_hosts; i++)
		if (f->calm)
			fleet_host_look(&f->hosts[i]);
	ev_timer_set(f->stage.ev, &f->tick, FLEET_TICK_MS);
}

void fleet_faults_begin(struct fleet *f)
{
	struct dice *d = &f->stage.dice;

	f->calm_at_ms = ev_now_ms(f->stage.ev) + dice_range(d, PLAN_MIN_MS, PLAN_MAX_MS);
	f->n_arrivals = dice_range(d, 10, 80);
	f->n_faults = 1 + dice_length(d, 60);
	f->fault = (struct ev_timer){.fn = faults_on_fault, .arg = f};
	f->arrival = (struct ev_timer){.fn = faults_on_arrival, .arg = f};
	f->tick = (struct ev_timer){.fn = faults_on_tick, .arg = f};
	faults_next(f, &f->fault, f->n_faults);
	faults_next(f, &f->arrival, f->n_arrivals);
	ev_timer_set(f->stage.ev, &f->tick, FLEET_TICK_MS);
}

void fleet_faults_end(struct fleet *f)
{
	stage_note(&f->stage, "calm");
	f->calm = true;
	f->steady_ms = ev_now_ms(f->stage.ev);
	ev_timer_stop(f->stage.ev, &f->fault);
	ev_timer_stop(f->stage.ev, &f->arrival);
	cable_thaw_all(&f->stage);
	fleet_net_calm(f);
	for (unsigned i = 0; i < f->n_nodes; i++) {
		struct fleet_node *n = &f->nodes[i];

		n->dark_ms = 0;
		if (n->draining)
			fleet_node_end(n, FLEET_STOPS, 0);
		else if (n->node == NULL)
			ev_timer_set(f->stage.ev, &n->up, 0);
	}
	for (unsigned i = 0; i < f->n_hosts; i++) {
		struct fleet_host *h = &f->hosts[i];

		h->unplugged_until_ms = 0;
		if (h->run != NULL && h->run->life.stopping)
			fleet_host_kill(h, 0);
		else if (h->run == NULL)
			ev_timer_set(f->stage.ev, &h->start, 0);
	}
}
