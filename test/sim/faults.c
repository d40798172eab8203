/* Bad luck: what happens to a world, and when visitors come, drawn from its seed. */
#include "sim/world.h"

/* Everything happens within this time, in milliseconds. */
#define PLAN_MIN_MS 5000
#define PLAN_MAX_MS 120000

static struct host *faults_host(struct world *w)
{
	return &w->hosts[dice_range(&w->stage.dice, 0, (uint32_t)w->n_hosts - 1)];
}

/* ---- each kind of fault ---- */

static void fault_cut(struct world *w, enum cable_kind kind)
{
	struct cable *c = cable_pick(&w->stage, kind, ANY_HOST);

	if (c != NULL)
		cable_cut(c);
}

static void fault_freeze(struct world *w, enum cable_kind kind)
{
	struct cable *c = cable_pick(&w->stage, kind, ANY_HOST);

	if (c != NULL)
		cable_freeze(c,
			     dice_range(&w->stage.dice, 1, kind == CABLE_SESSION ? 60000 : 20000));
}

static void fault_mood(struct world *w)
{
	struct host *h = faults_host(w);
	struct site *s = &h->seats[dice_range(&w->stage.dice, 0, (uint32_t)h->n_seats - 1)].site;

	s->mood = dice_range(&w->stage.dice, SITE_WELL, SITE_RESETS);
	stage_note(&w->stage, "site %u.%u mood=%d", s->host, s->seat, s->mood);
}

/* Nothing runs any more, or it has run for too long. */
static void fault_on_drained(void *arg)
{
	struct world_node *n = arg;

	world_stop_node(n, dice_length(&n->world->stage.dice, 2000));
}

static void fault_server(struct world *w)
{
	struct world_node *n = &w->nodes[dice_range(&w->stage.dice, 0, w->n_nodes - 1)];

	if (n->node == NULL || n->draining)
		return;
	if (dice_chance(&w->stage.dice, 50)) {
		world_stop_node(n, dice_length(&w->stage.dice, 8000));
		return;
	}
	stage_note(&w->stage, "node %u drains", n->index);
	n->draining = true;
	n->drain = (struct ev_timer){.fn = fault_on_drained, .arg = n};
	ev_timer_set(w->stage.ev, &n->drain, dice_length(&w->stage.dice, 20000));
	node_drain(n->node, fault_on_drained, n);
}

static void fault_agent(struct world *w)
{
	struct host *h = faults_host(w);
	uint32_t back_ms = dice_length(&w->stage.dice, 10000);

	switch (dice_range(&w->stage.dice, 0, 3)) {
	case 0:
	case 1: host_kill(h, back_ms); break;
	case 2: host_stop(h, back_ms); break;
	default:
		if (host_may_twin(h))
			host_start(h);
	}
}

static void fault_sleep(struct world *w)
{
	uint32_t ms = dice_range(&w->stage.dice, 1000, 3600000);

	stage_note(&w->stage, "the wall clock jumps ms=%u", ms);
	ev_sim_jump_wall(w->stage.ev, ms);
}

/* ---- the plan ---- */

static void faults_next(struct world *w, struct ev_timer *t, unsigned n_left)
{
	uint64_t now = ev_now_ms(w->stage.ev);

	if (n_left == 0 || now >= w->calm_at_ms)
		return;
	ev_timer_set(w->stage.ev, t,
		     dice_range(&w->stage.dice, 0,
				(uint32_t)(2 * (w->calm_at_ms - now) / (n_left + 1))));
}

static void faults_on_fault(void *arg)
{
	struct world *w = arg;
	uint32_t roll = dice_range(&w->stage.dice, 0, w->with_clerk ? 139 : 99);

	if (dice_chance(&w->stage.dice, w->edits))
		host_edit(faults_host(w));
	else if (roll >= 100)
		clerk_act(w);
	else if (roll < 15)
		fault_cut(w, CABLE_SESSION);
	else if (roll < 25)
		fault_cut(w, CABLE_TARGET);
	else if (roll < 32)
		fault_cut(w, CABLE_VISITOR);
	else if (roll < 47)
		fault_freeze(w, CABLE_SESSION);
	else if (roll < 52)
		fault_freeze(w, CABLE_TARGET);
	else if (roll < 60)
		host_unplug(faults_host(w), dice_range(&w->stage.dice, 1, 60000));
	else if (roll < 72)
		fault_agent(w);
	else if (roll < 82)
		fault_server(w);
	else if (roll < 97)
		fault_mood(w);
	else
		fault_sleep(w);
	faults_next(w, &w->fault, --w->n_faults);
}

/* Somebody comes; when no tunnel has been online yet, to the name that nobody has. */
static void faults_on_arrival(void *arg)
{
	struct world *w = arg;
	uint32_t name = dice_chance(&w->stage.dice, 5)
				? 0
				: dice_range(&w->stage.dice, 0, (uint32_t)w->n_names - 1);

	visitor_come(w, name, dice_range(&w->stage.dice, 1, 5));
	faults_next(w, &w->arrival, --w->n_arrivals);
}

void faults_begin(struct world *w)
{
	w->calm_at_ms =
		ev_now_ms(w->stage.ev) + dice_range(&w->stage.dice, PLAN_MIN_MS, PLAN_MAX_MS);
	w->n_arrivals = dice_range(&w->stage.dice, 10, 60);
	w->lucky = dice_chance(&w->stage.dice, 10);
	w->n_faults = w->lucky ? 0 : 1 + dice_length(&w->stage.dice, 60);
	w->with_clerk = dice_chance(&w->stage.dice, 60);
	w->edits = dice_chance(&w->stage.dice, 50) ? dice_range(&w->stage.dice, 5, 60) : 0;
	w->fault = (struct ev_timer){.fn = faults_on_fault, .arg = w};
	w->arrival = (struct ev_timer){.fn = faults_on_arrival, .arg = w};
	faults_next(w, &w->fault, w->n_faults);
	faults_next(w, &w->arrival, w->n_arrivals);
}

void faults_end(struct world *w)
{
	stage_note(&w->stage, "calm");
	ev_timer_stop(w->stage.ev, &w->fault);
	ev_timer_stop(w->stage.ev, &w->arrival);
	cable_thaw_all(&w->stage);
	for (unsigned i = 0; i < w->n_nodes; i++) {
		struct world_node *n = &w->nodes[i];

		if (n->draining)
			world_stop_node(n, 0);
		else if (n->node == NULL)
			ev_timer_set(w->stage.ev, &n->up, 0);
	}
	for (unsigned i = 0; i < w->n_hosts; i++) {
		struct host *h = &w->hosts[i];

		h->unplugged_until_ms = 0;
		for (size_t s = 0; s < h->n_seats; s++)
			h->seats[s].site.mood = SITE_WELL;
		if (h->run != NULL && h->run->life.stopping)
			host_kill(h, 0);
		if (h->run == NULL && !h->over)
			host_start(h);
		ev_timer_stop(w->stage.ev, &h->start);
		host_add_all(h);
	}
}
