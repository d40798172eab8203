/*
 * Which agents are here, and which have been: whoever assigns a tunnel to an agent wants to know
 * whether there is such a one. Of those that have gone the latest are remembered.
 */
#include <stdlib.h>
#include <string.h>

#include "core/core_internal.h"
#include "core/manage.h"

/* Agents of one account that have gone, when all together are too many. */
#define SEEN_SHARE (MANAGE_AGENTS_MAX / 8)

static void seen_forget(struct core *c, struct agent_seen *a)
{
	if (list_linked(&a->link)) {
		list_del(&a->link);
		c->n_gone_agents--;
	}
	map_del(&c->agents, &a->entry);
	free(a);
}

static size_t seen_key(char key[CORE_ID_TEXT + CORE_AGENT_TEXT], const char *account,
		       const char *agent)
{
	return str_printf(key, CORE_ID_TEXT + CORE_AGENT_TEXT, "%s/%s", account, agent);
}

static struct agent_seen *seen_get(struct core *c, const char *account, const char *agent)
{
	char key[CORE_ID_TEXT + CORE_AGENT_TEXT];
	size_t n = seen_key(key, account, agent);
	struct map_entry *e = map_get(&c->agents, (struct str){key, n});

	return e == NULL ? NULL : CONTAINER_OF(e, struct agent_seen, entry);
}

const struct agent_seen *seen_find(struct core *c, const char *account, const char *agent)
{
	return seen_get(c, account, agent);
}

/* NULL: memory is short, so nobody will have seen it. */
static struct agent_seen *seen_new(const struct member *m)
{
	struct agent_seen *a = calloc(1, sizeof *a);
	size_t n;

	if (a == NULL)
		return NULL;
	memcpy(a->info.account, m->grant->who.account, sizeof a->info.account);
	memcpy(a->info.id, m->opt.agent.id, sizeof a->info.id);
	n = seen_key(a->key, a->info.account, a->info.id);
	a->entry.key = (struct str){a->key, n};
	if (map_put(&m->core->agents, &a->entry) == 0)
		return a;
	free(a);
	return NULL;
}

void seen_join(struct member *m)
{
	struct core *c = m->core;
	struct agent_seen *a = seen_get(c, m->grant->who.account, m->opt.agent.id);

	if (a == NULL && (a = seen_new(m)) == NULL)
		return;
	if (list_linked(&a->link)) {
		list_del(&a->link);
		c->n_gone_agents--;
		a->info.was_there = true;
	}
	if (a->info.n_sessions++ == 0)
		a->info.since_ms = ev_wall_ms(c->ev);
	m->seen = a;
}

/* Who is forgotten for one more of an account: one of its own when it has more than its share. */
static struct agent_seen *seen_surplus(struct core *c, const char *account)
{
	struct agent_seen *own = NULL;
	size_t n = 0;

	LIST_FOR_EACH (link, &c->gone_agents) {
		struct agent_seen *a = CONTAINER_OF(link, struct agent_seen, link);

		if (strcmp(a->info.account, account) != 0)
			continue;
		if (n++ == 0)
			own = a;
	}
	return n > SEEN_SHARE ? own : CONTAINER_OF(c->gone_agents.next, struct agent_seen, link);
}

void seen_leave(struct member *m)
{
	struct core *c = m->core;
	struct agent_seen *a = m->seen;

	m->seen = NULL;
	if (a == NULL || --a->info.n_sessions > 0)
		return;
	if (m->opt.agent.drawn) {
		seen_forget(c, a);
		return;
	}
	a->info.since_ms = ev_wall_ms(c->ev);
	list_push(&c->gone_agents, &a->link);
	if (++c->n_gone_agents > MANAGE_AGENTS_MAX)
		seen_forget(c, seen_surplus(c, a->info.account));
}

void seen_free_all(struct core *c)
{
	struct map_entry *e;

	while ((e = map_next(&c->agents, NULL)) != NULL)
		seen_forget(c, CONTAINER_OF(e, struct agent_seen, entry));
}
