/*
 * The registry: which sessions serve a tunnel on this node, and the choice of one for a visitor.
 *
 * A tunnel is here only while somebody serves it. A session that goes takes its own place with it
 * and nobody else's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"

/* A session that has lately moved so much more than another is busy with something large. */
#define BULK_BYTES (2 * 1024 * 1024)

/* ---- who serves ---- */

static void tunnel_log(const struct member *m, const char *event, const char *name)
{
	char tag[CORE_TAG_TEXT];

	log_info(m->core->opt.log, "event=%s tunnel=%s owner=%s agent=%s epoch=%llu session=%llu",
		 event, name, core_owner_tag(m->core, m->account, tag), m->opt.agent.id,
		 (unsigned long long)m->opt.agent.epoch, (unsigned long long)m->number);
}

struct serving *tunnel_find_serving(struct member *m, struct str name)
{
	struct tunnel *t = core_tunnel(m->core, name);

	if (t == NULL)
		return NULL;
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (s->member == m)
			return s;
	}
	return NULL;
}

void tunnel_leave(struct serving *s, const char *event)
{
	struct tunnel *t = s->tunnel;
	struct core *c = t->core;

	tunnel_log(s->member, event, t->name);
	list_del(&s->of_tunnel);
	list_del(&s->of_member);
	s->member->n_serving--;
	if (--t->n_serving == 0) {
		map_del(&c->tunnels, &t->entry);
		ev_free_later(c->ev, t); /* somebody may hold it until the loop turns */
	}
	free(s);
}

static bool tunnel_is_same_agent(const struct member *a, const struct member *b)
{
	return strcmp(a->account, b->account) == 0 && strcmp(a->opt.agent.id, b->opt.agent.id) == 0;
}

/* A session of an older process of the same agent, NULL when there is none. */
static struct serving *tunnel_find_ghost(struct tunnel *t, const struct member *m)
{
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (tunnel_is_same_agent(s->member, m) &&
		    s->member->opt.agent.epoch < m->opt.agent.epoch)
			return s;
	}
	return NULL;
}

static bool tunnel_has_newer(const struct tunnel *t, const struct member *m)
{
	LIST_FOR_EACH (link, &t->serving) {
		const struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (tunnel_is_same_agent(s->member, m) &&
		    s->member->opt.agent.epoch > m->opt.agent.epoch)
			return true;
	}
	return false;
}

/* The older processes of this agent lose the tunnel; their owners may close them while told. */
static void tunnel_oust_ghosts(struct tunnel *t, const struct member *m)
{
	char reason[CORE_REASON_TEXT];
	struct serving *ghost;

	str_printf(reason, sizeof reason,
		   "another karez with the same name of agent has taken over \"%s\"", t->name);
	while ((ghost = tunnel_find_ghost(t, m)) != NULL) {
		struct member *old = ghost->member;

		tunnel_leave(ghost, "replaced");
		old->opt.owner->detached(old->opt.arg, t->name, ERR_REPLACED, reason);
	}
}

static int tunnel_new(struct core *c, const char *name, struct tunnel **out)
{
	struct tunnel *t = calloc(1, sizeof *t);
	int e = ERR_NOMEM;

	if (t == NULL)
		goto out;
	t->core = c;
	list_init(&t->serving);
	if ((e = str_copy(t->name, sizeof t->name, str_of(name))) != 0)
		goto out;
	t->entry.key = str_of(t->name);
	if ((e = map_put(&c->tunnels, &t->entry)) != 0)
		goto out;
	MOVE(*out, t);
out:
	free(t);
	return e;
}

static int tunnel_admit(struct tunnel *t, struct member *m, char reason[CORE_REASON_TEXT])
{
	if (tunnel_has_newer(t, m)) {
		str_printf(reason, CORE_REASON_TEXT,
			   "a newer karez with the same name of agent serves \"%s\" already",
			   t->name);
		return ERR_REPLACED;
	}
	if (t->n_serving >= CORE_SESSIONS_PER_TUNNEL && tunnel_find_ghost(t, m) == NULL) {
		str_printf(reason, CORE_REASON_TEXT,
			   "%d sessions serve this tunnel already, which is the limit; end one of "
			   "them first",
			   CORE_SESSIONS_PER_TUNNEL);
		return ERR_LIMIT;
	}
	return 0;
}

int tunnel_serve(struct member *m, const char *name, char reason[CORE_REASON_TEXT])
{
	struct core *c = m->core;
	struct tunnel *t = core_tunnel(c, str_of(name));
	struct serving *s = NULL;
	int e;

	if (tunnel_find_serving(m, str_of(name)) != NULL)
		return 0;
	if (t != NULL && (e = tunnel_admit(t, m, reason)) != 0)
		return e;
	if ((s = calloc(1, sizeof *s)) == NULL || (t == NULL && tunnel_new(c, name, &t) != 0)) {
		free(s);
		core_store_reason(ERR_NOMEM, reason);
		return ERR_NOMEM;
	}
	s->member = m;
	s->tunnel = t;
	s->place = ++c->places;
	list_unshift(&t->serving, &s->of_tunnel);
	list_push(&m->serving, &s->of_member);
	t->n_serving++;
	m->n_serving++;
	tunnel_log(m, "attach", t->name);
	tunnel_oust_ghosts(t, m);
	return 0;
}

/* ---- visitors ---- */

struct tunnel *core_tunnel(struct core *c, struct str name)
{
	struct map_entry *entry = map_get(&c->tunnels, name);

	return entry == NULL ? NULL : CONTAINER_OF(entry, struct tunnel, entry);
}

const char *tunnel_name(const struct tunnel *t)
{
	return t->name;
}

void tunnel_loop_mark(const struct tunnel *t, char out[17])
{
	uint64_t mark = siphash(t->core->loop_key, t->name, strlen(t->name));

	str_printf(out, 17, "%016llx", (unsigned long long)mark);
}

static bool tunnel_is_freer(const struct session *a, const struct session *b)
{
	uint64_t bulk_a = session_lately(a) / BULK_BYTES, bulk_b = session_lately(b) / BULK_BYTES;

	return bulk_a != bulk_b ? bulk_a < bulk_b : a->n_streams < b->n_streams;
}

/* The freest session that this dial has not tried; of equals the one longest unused. */
static struct serving *tunnel_freest(const struct tunnel *t, uint64_t dial)
{
	struct serving *best = NULL;

	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);
		const struct session *session = s->member->opt.session;

		if (s->tried == dial || session->is_draining)
			continue;
		if (best == NULL || tunnel_is_freer(session, best->member->opt.session))
			best = s;
	}
	return best;
}

uint64_t tunnel_choose(const struct tunnel *t)
{
	const struct serving *s = tunnel_freest(t, t->dials + 1);

	return s == NULL ? 0 : s->place;
}

int tunnel_dial(struct tunnel *t, struct visit *visit, uint64_t *place, struct wire **out)
{
	int e, why = ERR_NOSESSION;
	uint64_t dial = ++t->dials;
	struct serving *s;

	memcpy(visit->tunnel, t->name, sizeof visit->tunnel);
	while ((s = tunnel_freest(t, dial)) != NULL) {
		s->tried = dial;
		e = session_open(s->member->opt.session, visit, out);
		if (e == 0) {
			list_del(&s->of_tunnel);
			list_push(&t->serving, &s->of_tunnel);
			*place = s->place;
			return 0;
		}
		if (e == ERR_LIMIT)
			why = ERR_LIMIT;
		else if (e != ERR_DRAIN)
			return e;
	}
	return why;
}
