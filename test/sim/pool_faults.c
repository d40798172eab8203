/* Bad luck of ports and pools, and when visitors come, drawn from the seed. */
#include "sim/pool.h"
#include "sim/pool_rules.h"

/* Everything happens within this time, in milliseconds. */
#define PLAN_MIN_MS 10000
#define PLAN_MAX_MS 120000

/* Visitors of one moment, at most. */
#define BURST_MAX 6

static struct pool_host *fault_host(struct pool *p)
{
	return &p->hosts[dice_range(&p->stage.dice, 0, p->n_hosts - 1)];
}

/* ---- visitors ---- */

/* To some port; mostly to one that a tunnel has, on a node that has agents. */
static void fault_visit(struct pool *p)
{
	struct dice *d = &p->stage.dice;
	const struct terms *x = terms_now(&p->tunnels[dice_range(d, 0, p->n_tunnels - 1)]);
	uint16_t port = (uint16_t)(POOL_PORT_FIRST + dice_range(d, 0, POOL_PORTS - 1));
	unsigned node = fault_host(p)->node;

	if (x->there && dice_chance(d, 90))
		port = x->port;
	if (dice_chance(d, 5))
		node = dice_range(d, 0, p->n_nodes - 1);
	if (p->nodes[node].node != NULL)
		pool_visitor_come(p, node, port);
}

static void fault_visits(struct pool *p)
{
	for (uint32_t n = dice_range(&p->stage.dice, 1, BURST_MAX); n > 0 && !p->stage.failed; n--)
		fault_visit(p);
}

/* ---- each kind of fault ---- */

static void fault_cut(struct pool *p, enum cable_kind kind)
{
	struct cable *c = cable_pick(&p->stage, kind, ANY_HOST);

	if (c == NULL)
		return;
	if (kind == CABLE_VISITOR)
		pool_visitor_cut(p, c);
	else
		pool_host_cut(&p->hosts[c->host], c);
}

static void fault_freeze(struct pool *p, enum cable_kind kind)
{
	struct cable *c = cable_pick(&p->stage, kind, ANY_HOST);
	uint32_t ms = dice_range(&p->stage.dice, 1, kind == CABLE_SESSION ? 60000 : 20000);

	if (c != NULL)
		pool_host_freeze(&p->hosts[c->host], c, ms);
}

/* The load goes on. */
static void fault_kill(struct pool *p)
{
	pool_host_kill(fault_host(p), dice_length(&p->stage.dice, 10000));
	fault_visits(p);
}

static void fault_mood(struct pool *p)
{
	struct dice *d = &p->stage.dice;

	pool_host_set_mood(fault_host(p), dice_range(d, 0, p->n_tunnels - 1),
			   dice_chance(d, 40) ? TARGET_WELL
					      : dice_range(d, TARGET_REFUSES, TARGET_MOODS - 1));
}

static void fault_on_drained(void *arg)
{
	struct pool_node *n = arg;

	pool_stop_node(n, dice_length(&n->pool->stage.dice, 2000));
}

static void fault_server(struct pool *p)
{
	struct pool_node *n = &p->nodes[dice_range(&p->stage.dice, 0, p->n_nodes - 1)];

	if (n->node == NULL || n->draining)
		return;
	if (dice_chance(&p->stage.dice, 60)) {
		pool_stop_node(n, dice_length(&p->stage.dice, 8000));
		return;
	}
	stage_note(&p->stage, "node %u drains", n->index);
	n->draining = true;
	n->stopped_ms = ev_now_ms(p->stage.ev);
	pool_port_shut_all(n);
	n->drain = (struct ev_timer){.fn = fault_on_drained, .arg = n};
	ev_timer_set(p->stage.ev, &n->drain, dice_length(&p->stage.dice, 20000));
	node_drain(n->node, fault_on_drained, n);
}

/* Another program takes a port that is not ours now. */
static void fault_foreign(struct pool *p)
{
	struct pool_node *n = &p->nodes[dice_range(&p->stage.dice, 0, p->n_nodes - 1)];
	uint16_t i = (uint16_t)dice_range(&p->stage.dice, 0, POOL_PORTS - 1);
	uint32_t ms = dice_range(&p->stage.dice, 1, 20000);

	if (pool_port_find(n, POOL_PORT_FIRST + i) != NULL)
		return;
	stage_note(&p->stage, "another program has port %u of node %u ms=%u", POOL_PORT_FIRST + i,
		   n->index, ms);
	n->foreign_ms[i] = MAX(n->foreign_ms[i], ev_now_ms(p->stage.ev) + ms);
}

/* ---- the plan ---- */

static void fault_next(struct pool *p, struct ev_timer *t, unsigned n_left)
{
	uint64_t now = ev_now_ms(p->stage.ev);

	if (n_left == 0 || now >= p->calm_at_ms)
		return;
	ev_timer_set(p->stage.ev, t,
		     dice_range(&p->stage.dice, 0,
				(uint32_t)(2 * (p->calm_at_ms - now) / (n_left + 1))));
}

static void fault_draw(struct pool *p)
{
	uint32_t roll = dice_range(&p->stage.dice, 0, 99);

	if (roll < 12)
		fault_cut(p, CABLE_SESSION);
	else if (roll < 18)
		fault_cut(p, CABLE_TARGET);
	else if (roll < 22)
		fault_cut(p, CABLE_VISITOR);
	else if (roll < 30)
		fault_freeze(p, CABLE_SESSION);
	else if (roll < 33)
		fault_freeze(p, CABLE_TARGET);
	else if (roll < 38)
		pool_host_unplug(fault_host(p), dice_range(&p->stage.dice, 1, 60000));
	else if (roll < 62)
		fault_kill(p);
	else if (roll < 68)
		pool_host_stop(fault_host(p), dice_length(&p->stage.dice, 10000));
	else if (roll < 75)
		fault_server(p);
	else if (roll < 94)
		fault_mood(p);
	else
		fault_foreign(p);
}

static void fault_on_fault(void *arg)
{
	struct pool *p = arg;

	if (p->lucky || (p->with_clerk && dice_chance(&p->stage.dice, 35)))
		pool_clerk_act(p);
	else
		fault_draw(p);
	fault_next(p, &p->fault, --p->n_faults);
}

static void fault_on_arrival(void *arg)
{
	struct pool *p = arg;

	fault_visits(p);
	fault_next(p, &p->arrival, --p->n_arrivals);
}

static void fault_on_tick(void *arg)
{
	struct pool *p = arg;

	pool_rules_tick(p);
	for (unsigned i = 0; i < p->n_hosts; i++)
		pool_host_look(&p->hosts[i]);
	ev_timer_set(p->stage.ev, &p->tick, POOL_TICK_MS);
}

void pool_faults_begin(struct pool *p)
{
	struct dice *d = &p->stage.dice;

	p->calm_at_ms = ev_now_ms(p->stage.ev) + dice_range(d, PLAN_MIN_MS, PLAN_MAX_MS);
	p->n_arrivals = dice_range(d, 5, 30);
	p->lucky = dice_chance(d, 15);
	p->with_clerk = dice_chance(d, 70);
	p->n_faults = p->lucky && !p->with_clerk ? 0 : 1 + dice_length(d, 40);
	p->fault = (struct ev_timer){.fn = fault_on_fault, .arg = p};
	p->arrival = (struct ev_timer){.fn = fault_on_arrival, .arg = p};
	p->tick = (struct ev_timer){.fn = fault_on_tick, .arg = p};
	fault_next(p, &p->fault, p->n_faults);
	fault_next(p, &p->arrival, p->n_arrivals);
	ev_timer_set(p->stage.ev, &p->tick, POOL_TICK_MS);
}

void pool_faults_end(struct pool *p)
{
	uint64_t now = ev_now_ms(p->stage.ev);

	stage_note(&p->stage, "calm");
	ev_timer_stop(p->stage.ev, &p->fault);
	ev_timer_stop(p->stage.ev, &p->arrival);
	cable_thaw_all(&p->stage);
	for (unsigned i = 0; i < p->n_nodes; i++) {
		struct pool_node *n = &p->nodes[i];

		for (unsigned k = 0; k < POOL_PORTS; k++)
			n->foreign_ms[k] = MIN(n->foreign_ms[k], now);
		if (n->draining)
			pool_stop_node(n, 0);
		else if (n->node == NULL)
			ev_timer_set(p->stage.ev, &n->up, 0);
	}
	for (unsigned i = 0; i < p->n_hosts; i++) {
		struct pool_host *h = &p->hosts[i];

		h->unplugged_until_ms = 0;
		for (unsigned t = 0; t < p->n_tunnels; t++)
			pool_host_set_mood(h, t, TARGET_WELL);
		if (h->run == NULL && ev_timer_is_set(&h->start))
			ev_timer_set(p->stage.ev, &h->start, 0);
	}
}
