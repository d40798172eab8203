/*
 * What must work when all is well: everything that is served answers at every node; an order and a
 * change reach every node at once; a node that dies, or drains, costs no visitor of what others
 * serve as well.
 */
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "sim/fleet.h"
#include "sim/fleet_rules.h"

/* Everything works again so long after the last fault, in milliseconds. */
#define HEAL_MS 40000
/* How often that is looked at. */
#define LOOK_MS 100
/* All is served, and so it stays: the beats have come. */
#define STEADY_MS 6000
/* An answer in calm, and after a node has died. */
#define CALM_MS	 3000
#define DEATH_MS 1000
/* News from node to node, and from there to an agent on a slow cable. */
#define NEWS_MS 2000

static uint64_t script_now(const struct fleet *f)
{
	return ev_now_ms(f->stage.ev);
}

static void script_wait(struct fleet *f, uint64_t ms)
{
	if (!f->stage.failed)
		ev_sim_run_for(f->stage.ev, ms);
}

/* All visitors have gone. */
static void script_wait_visitors(struct fleet *f)
{
	for (unsigned i = 0; i < 2 * FLEET_BOUND_MS / 1000 && f->n_visiting > 0; i++)
		script_wait(f, 1000);
}

/* ---- healing ---- */

/* Has every node heard of the last change, even of one that no message has told? */
static bool script_all_heard(const struct fleet *f)
{
	for (unsigned i = 0; i < f->n_tunnels; i++)
		if (f->tunnels[i].touched_ms != 0 &&
		    script_now(f) < f->tunnels[i].touched_ms + CORE_REFRESH_MS + NEWS_MS)
			return false;
	return true;
}

/* Returns the first host that does not serve what it should; NULL: all do. */
static const struct fleet_host *script_missing(struct fleet *f, const char **what)
{
	for (unsigned i = 0; i < f->n_hosts; i++)
		for (unsigned k = 0; k < f->hosts[i].n_seats; k++) {
			*what = f->hosts[i].seats[k]->name;
			if (fleet_host_should(&f->hosts[i], f->hosts[i].seats[k]) &&
			    !fleet_host_serves(&f->hosts[i], f->hosts[i].seats[k]))
				return &f->hosts[i];
		}
	return NULL;
}

void fleet_script_heal(struct fleet *f, uint32_t *heal_ms)
{
	uint64_t since = script_now(f);
	const struct fleet_host *h;
	const char *what = "";

	while (!f->stage.failed && ((h = script_missing(f, &what)) != NULL ||
				    f->clerk.caller.busy || !script_all_heard(f))) {
		if (script_now(f) - since > HEAL_MS)
			stage_fail(&f->stage, "host %d does not serve %s %d s after the last fault",
				   h == NULL ? -1 : (int)h->index, what, HEAL_MS / 1000);
		script_wait(f, LOOK_MS);
	}
	*heal_ms = MAX(*heal_ms, (uint32_t)(script_now(f) - since));
	script_wait(f, FLEET_TICK_MS + 1); /* what is served now has been seen */
	while (!f->stage.failed && script_now(f) < f->steady_ms + STEADY_MS) {
		if (script_now(f) - since > 3 * HEAL_MS)
			stage_fail(&f->stage, "agents do not come to rest");
		script_wait(f, LOOK_MS);
	}
	if (!f->stage.failed)
		(void)!fleet_rules_all_know(f, true);
}

/* ---- each act ---- */

static bool script_is_served(const struct fleet *f, const struct fleet_tunnel *t)
{
	for (unsigned i = 0; i < f->n_hosts; i++)
		if (fleet_host_should(&f->hosts[i], t) && fleet_host_serves(&f->hosts[i], t))
			return true;
	return false;
}

/* Everybody who asks for anything that is served gets it, wherever he comes. */
static void script_visit_all(struct fleet *f)
{
	for (unsigned i = 0; i < f->n_tunnels && !f->stage.failed; i++)
		for (unsigned n = 0; n < f->n_nodes; n++)
			if (script_is_served(f, &f->tunnels[i]))
				fleet_visitor_come(&f->nodes[n], &f->tunnels[i], CALM_MS);
	script_wait_visitors(f);
}

static struct fleet_tunnel *script_pick(struct fleet *f)
{
	struct fleet_tunnel *found = NULL;
	uint32_t n = 0;

	for (unsigned i = 0; i < f->n_tunnels; i++)
		if (script_is_served(f, &f->tunnels[i]) && !f->tunnels[i].freed &&
		    dice_range(&f->stage.dice, 0, n++) == 0)
			found = &f->tunnels[i];
	return found;
}

/* Somebody ends the sessions of a tunnel, or switches it off, at some node: all nodes follow. */
static void script_act(struct fleet *f, enum fleet_act act)
{
	struct fleet_tunnel *t = script_pick(f);
	unsigned before[FLEET_HOSTS_MAX] = {0};

	if (t == NULL)
		return;
	f->calm = false; /* who is sent away stays away for now */
	for (unsigned i = 0; i < f->n_hosts; i++)
		if (fleet_host_serves(&f->hosts[i], t))
			before[i] = f->hosts[i].run->number;
	fleet_clerk_begin(f, act, t);
	while (!f->stage.failed && f->clerk.caller.busy)
		script_wait(f, LOOK_MS);
	script_wait(f, NEWS_MS);
	for (unsigned i = 0; i < f->n_hosts; i++) {
		struct fleet_run *r = f->hosts[i].run;

		if (before[i] != 0 && r != NULL && r->number == before[i] &&
		    fleet_host_serves(&f->hosts[i], t))
			stage_fail(&f->stage, "host %u has not heard that %s was taken away", i,
				   t->name);
	}
	if (act == FLEET_OFF) {
		fleet_clerk_begin(f, FLEET_ON, t);
		while (!f->stage.failed && f->clerk.caller.busy)
			script_wait(f, LOOK_MS);
	}
	f->calm = true;
}

/* Does another node than n serve it? */
static bool script_has_other(const struct fleet *f, const struct fleet_node *n,
			     const struct fleet_tunnel *t)
{
	for (unsigned i = 0; i < f->n_nodes; i++) {
		const struct fleet_node *o = &f->nodes[i];
		struct map_entry *e;

		if (o == n || o->node == NULL)
			continue;
		e = map_get(&node_core(o->node)->tunnels, str_of(t->name));
		if (e != NULL && CONTAINER_OF(e, struct tunnel, entry)->n_serving > 0)
			return true;
	}
	return false;
}

/* A node goes, without a word or with one: what others serve, too, is there at once. */
static void script_lose(struct fleet *f, enum fleet_end how, bool drains)
{
	struct fleet_node *n = fleet_node_any(f);
	bool has_other[FLEET_TUNNELS_MAX];

	for (unsigned i = 0; i < f->n_tunnels; i++)
		has_other[i] = script_is_served(f, &f->tunnels[i]) &&
			       script_has_other(f, n, &f->tunnels[i]);
	if (drains)
		fleet_node_drain(n, 20000, 5000);
	else
		fleet_node_end(n, how, 15000);
	for (unsigned round = 0; round < 8 && !f->stage.failed; round++) {
		for (unsigned i = 0; i < f->n_tunnels; i++)
			for (unsigned k = 0; k < f->n_nodes; k++)
				if (&f->nodes[k] != n && has_other[i])
					fleet_visitor_come(&f->nodes[k], &f->tunnels[i], DEATH_MS);
		script_wait(f, dice_length(&f->stage.dice, 1000));
	}
	script_wait_visitors(f);
	while (!f->stage.failed && (n->node == NULL || n->draining))
		script_wait(f, 1000);
}

void fleet_script(struct fleet *f)
{
	uint32_t ms = 0;

	script_visit_all(f);
	switch (dice_range(&f->stage.dice, 0, 4)) {
	case 0: script_act(f, FLEET_KICK); break;
	case 1: script_act(f, FLEET_OFF); break;
	case 2: script_lose(f, FLEET_STOPS, false); break;
	case 3: script_lose(f, FLEET_DIES, false); break;
	default: script_lose(f, FLEET_STOPS, true);
	}
	if (!f->stage.failed)
		fleet_script_heal(f, &ms);
	script_visit_all(f);
}
