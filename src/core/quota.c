/*
 * An account's quota of sessions is one for all nodes, though none of them decides for the others:
 * each tells how many it has of each account, and whoever is asked for one more adds them up. What
 * two nodes let in at the same moment may be more, by as many as were on the way; nobody is thrown
 * out for that.
 *
 * A session that was lost, or is about to move, still counts at its old node when the agent comes
 * to another one with the next of its place. That must not be refused, so it is not counted: a
 * place is all numbers of carriers of one process that are equal modulo QUOTA_PLACES.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"

/* Parallel sessions of one process; numbers that each has, for those that it leaves: as agents
 * number them (doc/session-protocol.md 1). */
#define QUOTA_PLACES  16
#define QUOTA_NUMBERS 4

/* Sessions of a full account are asked whether they live so often at most, in ms. */
#define QUOTA_ROUSE_MS 1000

_Static_assert(QUOTA_PLACES *QUOTA_NUMBERS == 64, "a bit for each carrier");
_Static_assert(CORE_ID_TEXT <= HOSTNAME_MAX, "an account's id is no longer than a tunnel's name");

/* ---- asking ---- */

/* m: NULL: nobody's own. */
static struct core_held quota_elsewhere(const struct core *c, const char *account,
					const struct member *m)
{
	const struct core_cluster *cluster = &c->opt.cluster;
	struct node_entry_agent own = {0};
	struct core_held held = {0};

	if (cluster->held == NULL)
		return held;
	if (m != NULL) {
		own.agent = m->agent_number;
		own.epoch = m->opt.agent.epoch;
		for (unsigned i = 0; i < QUOTA_NUMBERS; i++)
			own.carriers |= UINT64_C(1)
					<< (m->opt.agent.carrier % QUOTA_PLACES + i * QUOTA_PLACES);
	}
	cluster->held(cluster->arg, str_of(account), &own, &held);
	return held;
}

bool quota_is_full(const struct core *c, const struct quota_ask *ask, size_t *n)
{
	struct core_held there = quota_elsewhere(c, ask->account, ask->member);

	*n = there.n + (ask->owner == NULL ? 0 : ask->owner->n_members);
	/* who says that all of its sessions are one gets no more than an agent that moves them */
	if (*n / QUOTA_NUMBERS < ask->max)
		*n -= there.n_own;
	return *n >= ask->max;
}

void quota_refused(struct core *c, const char *account)
{
	const struct core_cluster *cluster = &c->opt.cluster;

	if (quota_elsewhere(c, account, NULL).n > 0)
		cluster->room(cluster->arg, str_of(account));
}

/* ---- being told ---- */

static void quota_rouse(struct owner *o)
{
	uint64_t now = ev_now_ms(o->core->ev);

	if (o->roused_ms != 0 && now - o->roused_ms < QUOTA_ROUSE_MS)
		return;
	o->roused_ms = now;
	grant_rouse(o);
}

void core_on_held_elsewhere(struct core *c, struct str account)
{
	struct owner *o = grant_find_owner(c, account);

	if (o != NULL && o->n_members + quota_elsewhere(c, o->account, NULL).n > o->sessions_max)
		quota_rouse(o);
}

void core_on_room(struct core *c, struct str account)
{
	struct owner *o = grant_find_owner(c, account);

	if (o != NULL)
		quota_rouse(o);
}

/* ---- telling ---- */

/* What others are told of an account; only the first n_agents are set. */
static void quota_say(const struct owner *o, struct node_held *h)
{
	h->n = (uint32_t)MIN(o->n_members, (size_t)UINT32_MAX);
	h->n_agents = 0;
	if (o->n_members > NODE_HELD_AGENTS_MAX * QUOTA_PLACES * QUOTA_NUMBERS)
		return; /* too many agents, without counting them each time */
	LIST_FOR_EACH (of_owner, &o->grants) {
		const struct grant *g = CONTAINER_OF(of_owner, struct grant, of_owner);

		LIST_FOR_EACH (of_grant, &g->members) {
			const struct member *m = CONTAINER_OF(of_grant, struct member, of_grant);
			struct node_entry_agent a = {m->agent_number, m->opt.agent.epoch,
						     UINT64_C(1) << (m->opt.agent.carrier & 63)};

			if (m->expelled || m->opt.agent.drawn ||
			    node_entry_add(h->agents, &h->n_agents, NODE_HELD_AGENTS_MAX, &a))
				continue;
			h->n_agents = 0;
			return;
		}
	}
}

static void quota_tell(struct owner *o)
{
	const struct core_cluster *cluster = &o->core->opt.cluster;
	struct node_held h;

	quota_say(o, &h);
	if (h.n > 0 || o->known)
		cluster->holds(cluster->arg, o->entry.key, &h);
	o->known = h.n > 0;
}

/* The account has no session here any more, unless it has some again since. */
static void quota_tell_gone(struct owner *o)
{
	struct owner *again = grant_find_owner(o->core, o->entry.key);

	if (again == NULL)
		quota_tell(o);
	else
		again->known = again->known || o->known;
	free(o);
}

static void quota_on_task(void *arg)
{
	struct core *c = arg;
	struct list *link;

	while ((link = list_pop(&c->counted)) != NULL) {
		struct owner *o = CONTAINER_OF(link, struct owner, counted);

		if (o->gone)
			quota_tell_gone(o);
		else
			quota_tell(o);
	}
}

void quota_changed(struct owner *o)
{
	struct core *c = o->core;

	if (c->opt.cluster.holds == NULL)
		return;
	if (!list_linked(&o->counted))
		list_push(&c->counted, &o->counted);
	ev_task_run(c->ev, &c->count);
}

void quota_gone(struct owner *o)
{
	o->gone = true;
	if (list_linked(&o->counted) || o->known)
		quota_changed(o);
	else
		free(o);
}

/* ---- life ---- */

void quota_init(struct core *c)
{
	list_init(&c->counted);
	c->count = (struct ev_task){.fn = quota_on_task, .arg = c};
}

void quota_end(struct core *c)
{
	struct list *link;

	ev_task_cancel(&c->count);
	/* all accounts have gone: nobody else owns them */
	while ((link = list_pop(&c->counted)) != NULL)
		free(CONTAINER_OF(link, struct owner, counted));
}
