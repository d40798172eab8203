/*
 * What this node tells the others: who serves a tunnel, once for all that has happened to it in a
 * turn, and which records it has written. A node that is alone keeps nothing for that.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"
#include "core/place_internal.h"

/* ---- what is served ---- */

static void peer_tell_add_agent(struct node_entry *e, const struct member *m)
{
	struct node_entry_agent a = {m->agent_number, m->opt.agent.epoch,
				     UINT64_C(1) << (m->opt.agent.carrier & 63)};

	/* no place: more than may serve a tunnel, until the end of the turn */
	(void)!node_entry_add(e->agents, &e->n_agents, NODE_ENTRY_AGENTS_MAX, &a);
}

/* Only the first n_agents are set. */
static void peer_tell_entry(const struct tunnel *t, struct node_entry *e)
{
	e->up = t->n_up > 0;
	e->route = place_find(t->core, t->entry.key) != NULL;
	e->priority = UINT32_MAX;
	e->n_agents = 0;
	LIST_FOR_EACH (link, &t->serving) {
		const struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		peer_tell_add_agent(e, s->member);
		if (!s->down || !e->up)
			e->priority = MIN(e->priority, (uint32_t)s->priority);
	}
}

static void peer_tell_one(struct core *c, const struct tunnel_told *told, const struct tunnel *t)
{
	const struct core_cluster *cluster = &c->opt.cluster;
	struct str name = str_of(told->name);
	struct node_entry entry;

	if (t != NULL)
		peer_tell_entry(t, &entry);
	if (t != NULL || told->known)
		cluster->serves(cluster->arg, name, t != NULL ? &entry : NULL);
}

static void peer_tell_on_task(void *arg)
{
	struct core *c = arg;
	struct list *link;

	while ((link = list_pop(&c->told)) != NULL) {
		struct tunnel_told *told = CONTAINER_OF(link, struct tunnel_told, link);
		struct tunnel *t = tunnel_find(c, str_of(told->name));

		if (t != NULL && t->n_serving == 0)
			t = NULL;
		/* one that has come back under its old name stands in this list, too */
		if (!told->gone || t == NULL)
			peer_tell_one(c, told, t);
		told->known = t != NULL;
		if (told->gone)
			free(told);
	}
}

static void peer_tell_mark(struct core *c, struct tunnel_told *told)
{
	if (!list_linked(&told->link))
		list_push(&c->told, &told->link);
	ev_task_run(c->ev, &c->tell);
}

int peer_tell_new(struct tunnel *t)
{
	size_t size = strlen(t->name) + 1;

	if (t->core->opt.cluster.serves == NULL)
		return 0;
	if ((t->told = calloc(1, sizeof *t->told + size)) == NULL)
		return ERR_NOMEM;
	memcpy(t->told->name, t->name, size);
	return 0;
}

void peer_tell_changed(struct tunnel *t)
{
	if (t->told != NULL)
		peer_tell_mark(t->core, t->told);
}

void peer_tell_gone(struct tunnel *t)
{
	struct tunnel_told *told = t->told;

	t->told = NULL;
	if (told == NULL)
		return;
	told->gone = true;
	if (told->known || list_linked(&told->link))
		peer_tell_mark(t->core, told);
	else
		free(told);
}

/* ---- what is written ---- */

void peer_tell_wrote(struct core *c, const struct store_record *rec)
{
	/* those on which something may depend that lives elsewhere, or that may just have been
	 * looked for there */
	const struct str kinds[] = {RECORD_ACCOUNT, RECORD_CREDENTIAL, RECORD_TUNNEL, RECORD_ROUTE,
				    RECORD_DOMAIN};
	const struct core_cluster *cluster = &c->opt.cluster;

	if (cluster->wrote == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_eq(rec->kind, kinds[i]))
			cluster->wrote(cluster->arg, rec->kind, rec->key);
}

/* ---- life ---- */

void peer_tell_init(struct core *c)
{
	list_init(&c->told);
	c->tell = (struct ev_task){.fn = peer_tell_on_task, .arg = c};
}

void peer_tell_end(struct core *c)
{
	struct list *link;

	ev_task_cancel(&c->tell);
	/* all tunnels have gone: nobody else owns them */
	while ((link = list_pop(&c->told)) != NULL)
		free(CONTAINER_OF(link, struct tunnel_told, link));
}
