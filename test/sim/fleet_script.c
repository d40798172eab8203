/*
 * What must work when all is well: everything that is served answers at every node; an order and a
 * change reach every node at once; a node that dies, drains, or cannot be reached, costs no visitor
 * of what others serve as well; an agent that vanishes is served at once by its next process,
 * wherever its sessions were; and what was said before changes nothing when it is said again.
 */
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "session/session.h"
#include "sim/fleet.h"
#include "sim/fleet_rules.h"

/* Everything works again so long after the last fault, in milliseconds. */
#define HEAL_MS 40000
/* How often that is looked at. */
#define LOOK_MS 100
/* All is served, and so it stays: the beats have come, and a node that was out of reach is tried
 * again, HOP_CONNECT_MS and the longest time for which it is avoided after the last fault. */
#define STEADY_MS 7000
/* An answer in calm, and after a node has died. */
#define CALM_MS	 1000
#define DEATH_MS 1000
/* News from node to node, and from there to an agent on a slow cable. */
#define NEWS_MS 2000
/* Two nodes are parted for so long. Within QUIET_MS what is between them falls quiet enough to be
 * asked for a sign of life, and beats say that nobody is being served; within FOUND_MS it is found
 * out that there is none. Connections die later than what is tried then ends. */
#define PART_MS	 12000
#define QUIET_MS (BUS_BEAT_MS + 500)
#define FOUND_MS 1500

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
	/* who comes while a node that has died without a word is not missed yet may be sent there,
	 * and waits until its lease is over and its connection has not shown that it lives */
	while (!f->stage.failed &&
	       (script_now(f) < f->steady_ms + STEADY_MS || fleet_rules_know_dead(f))) {
		if (script_now(f) - since > 3 * HEAL_MS)
			stage_fail(&f->stage, "agents do not come to rest");
		script_wait(f, LOOK_MS);
	}
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
			before[i] = f->hosts[i].run->life.number;
	fleet_clerk_begin(f, act, t);
	while (!f->stage.failed && f->clerk.caller.busy)
		script_wait(f, LOOK_MS);
	script_wait(f, NEWS_MS);
	for (unsigned i = 0; i < f->n_hosts; i++) {
		struct fleet_run *r = f->hosts[i].run;

		if (before[i] != 0 && r != NULL && r->life.number == before[i] &&
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

static bool script_node_serves(const struct fleet_node *n, const struct fleet_tunnel *t)
{
	struct map_entry *e;

	if (n->node == NULL)
		return false;
	e = map_get(&node_core(n->node)->tunnels, str_of(t->name));
	return e != NULL && CONTAINER_OF(e, struct tunnel, entry)->n_serving > 0;
}

/* Does another node than n serve it? */
static bool script_has_other(const struct fleet *f, const struct fleet_node *n,
			     const struct fleet_tunnel *t)
{
	for (unsigned i = 0; i < f->n_nodes; i++)
		if (&f->nodes[i] != n && script_node_serves(&f->nodes[i], t))
			return true;
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

/* An agent's machine is gone without a word, and it runs on another one: what its old sessions held
 * does not wait until somebody finds out that they are silent. */
static void script_vanish(struct fleet *f)
{
	struct fleet_host *h = &f->hosts[dice_range(&f->stage.dice, 0, f->n_hosts - 1)];
	uint64_t since = script_now(f);
	const char *what = "";

	fleet_host_vanish(h, 0);
	while (!f->stage.failed && script_missing(f, &what) != NULL) {
		if (script_now(f) - since > HEAL_MS)
			stage_fail(&f->stage, "nobody serves %s in place of who has vanished",
				   what);
		script_wait(f, LOOK_MS);
	}
	script_wait(f, NEWS_MS);
	script_visit_all(f);
}

/* Node a passes on visitors of it; b is one of those to whom. */
static bool script_passes_on(const struct fleet *f, const struct fleet_tunnel *t, unsigned a,
			     unsigned b)
{
	return a != b && script_is_served(f, t) && !script_node_serves(&f->nodes[a], t) &&
	       script_node_serves(&f->nodes[b], t) && script_has_other(f, &f->nodes[b], t);
}

/* Two nodes, such that one passes on visitors of some tunnels, and the other is not the only one to
 * whom: these. Returns how many there are. */
static size_t script_pick_part(struct fleet *f, unsigned *a, unsigned *b,
			       struct fleet_tunnel *out[FLEET_TUNNELS_MAX])
{
	unsigned n = f->n_nodes * f->n_nodes, first = dice_range(&f->stage.dice, 0, n - 1);
	size_t found = 0;

	for (unsigned i = 0; i < n && found == 0; i++) {
		*a = (first + i) % n / f->n_nodes;
		*b = (first + i) % f->n_nodes;
		for (unsigned k = 0; k < f->n_tunnels; k++)
			if (script_passes_on(f, &f->tunnels[k], *a, *b))
				out[found++] = &f->tunnels[k];
	}
	return found;
}

/* The same number of visitors for each of them, at the same time. */
static void script_visit(struct fleet *f, struct fleet_node *n, struct fleet_tunnel *const *t,
			 size_t n_tunnels, uint32_t within_ms)
{
	for (unsigned i = 0; i < 3 * n_tunnels && !f->stage.failed; i++)
		fleet_visitor_come(n, t[i % n_tunnels], within_ms);
}

/* One node does not reach another any more, and does not hear so: as soon as it has found out, its
 * visitors go to others. Returns false when there are no such nodes. */
static bool script_part(struct fleet *f)
{
	struct fleet_tunnel *t[FLEET_TUNNELS_MAX];
	unsigned a, b;
	size_t n = script_pick_part(f, &a, &b, t);

	if (n == 0)
		return false;
	script_visit(f, &f->nodes[a], t, n, CALM_MS);
	script_wait_visitors(f);
	if (f->stage.failed || !mem_hop_has(&f->hops, f->nodes[a].id, f->nodes[b].id))
		return false;
	fleet_net_part(f, a, b, MEM_SILENT, script_now(f) + PART_MS);
	script_wait(f, QUIET_MS);
	script_visit(f, &f->nodes[a], t, n, 0);
	script_wait(f, FOUND_MS);
	for (unsigned round = 0; round < 6 && !f->stage.failed; round++) {
		script_visit(f, &f->nodes[a], t, n, DEATH_MS);
		script_wait(f, dice_length(&f->stage.dice, 500));
	}
	script_wait_visitors(f);
	return true;
}

/* Nothing of what was ever said counts when it is said again: nobody loses what it serves, and the
 * rules see that nobody comes back. */
static void script_replay(struct fleet *f)
{
	unsigned before[FLEET_HOSTS_MAX] = {0};

	for (unsigned i = 0; i < f->n_hosts; i++)
		if (f->hosts[i].run != NULL)
			before[i] = f->hosts[i].run->life.number;
	fleet_tape_all(f);
	script_wait(f, NEWS_MS);
	for (unsigned i = 0; i < f->n_hosts && !f->stage.failed; i++)
		if (before[i] != 0 &&
		    (f->hosts[i].run == NULL || f->hosts[i].run->life.number != before[i]))
			stage_fail(&f->stage, "host %u ended by what was said before", i);
	if (!f->stage.failed && fleet_rules_know_dead(f))
		stage_fail(&f->stage, "what was said before brings back a node that is dead");
}

void fleet_script(struct fleet *f)
{
	uint32_t ms = 0;

	script_visit_all(f);
	switch (dice_range(&f->stage.dice, 0, 6)) {
	case 0: script_act(f, FLEET_KICK); break;
	case 1: script_act(f, FLEET_OFF); break;
	case 2: script_lose(f, FLEET_STOPS, false); break;
	case 3: script_lose(f, FLEET_DIES, false); break;
	case 4: script_vanish(f); break;
	case 5:
		if (!script_part(f))
			script_act(f, FLEET_KICK);
		break;
	default: script_lose(f, FLEET_STOPS, true);
	}
	if (!f->stage.failed)
		fleet_script_heal(f, &ms);
	if (!f->stage.failed)
		script_replay(f);
	script_visit_all(f);
}
