/*
 * Which of the sessions that serve a tunnel takes a visitor: the tunnel's policy, among those that
 * work. A target that fails its health check is not asked at all; a session that does not answer
 * its pings only when there is no other, here or on another node. Another node chooses by itself
 * among its own, so it counts as one.
 */
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"

_Static_assert((int)CORE_ID_TEXT == (int)VISIT_OWNER_TEXT, "an account's id");

/* A session that has lately moved so much more than another is busy with something large. */
#define BULK_BYTES (2 * 1024 * 1024)

static bool pool_is_freer(const struct session *a, const struct session *b)
{
	uint64_t bulk_a = session_lately(a) / BULK_BYTES, bulk_b = session_lately(b) / BULK_BYTES;

	return bulk_a != bulk_b ? bulk_a < bulk_b : a->n_streams < b->n_streams;
}

static bool pool_is_ahead(const struct serving *a, const struct serving *b)
{
	return a->priority != b->priority ? a->priority < b->priority
					  : a->member->number < b->member->number;
}

/* Is a better than the best of those that stood before it in the list? */
static bool pool_is_better(const struct tunnel *t, const struct serving *a,
			   const struct serving *best)
{
	const struct session *sa = a->member->opt.session, *sb = best->member->opt.session;
	bool late = session_is_late(sa);

	if (late != session_is_late(sb))
		return !late;
	switch (t->policy) {
	case TUNNEL_ROUND_ROBIN: return false; /* they stand in order of their last dial */
	case TUNNEL_FAILOVER: return pool_is_ahead(a, best);
	default: return pool_is_freer(sa, sb);
	}
}

/*
 * The session for a visitor, of those that this dial has not tried; of equals the one that was
 * dialled longest ago. Whoever may not be opened any more is passed over.
 *   *down  set if somebody was passed over for his target's sake; may be NULL.
 */
static struct serving *pool_best(const struct tunnel *t, uint64_t dial, bool *down)
{
	char reason[CORE_REASON_TEXT];
	struct serving *best = NULL;

	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (s->tried == dial || s->member->opt.session->is_draining)
			continue;
		if (s->down && down != NULL)
			*down = true;
		if (s->down || (best != NULL && !pool_is_better(t, s, best)))
			continue;
		if (tunnel_ask(t, s->member, ACCESS_OPEN, reason) == 0)
			best = s;
	}
	return best;
}

/* ---- other nodes ---- */

/* Whom a visitor may be passed on to. */
struct pool_ask {
	const struct core *core;
	struct str tunnel;
	enum tunnel_policy policy;
	const struct visit *visit;	  /* NULL: one that has come to this node */
	const struct tunnel_tried *tried; /* places that have failed; NULL: none */
	const struct tunnel_tried *full;  /* that could not open a stream just now; NULL: none */
};

static bool pool_has_tried(const struct tunnel_tried *tried, uint64_t place)
{
	for (size_t i = 0; tried != NULL && i < tried->n; i++)
		if (tried->places[i] == place)
			return true;
	return false;
}

/* May this visitor be passed on at all? */
static bool pool_passes_on(const struct core *c, const struct visit *visit)
{
	if (c->remotes.n == 0 || c->opt.cluster.self == NULL)
		return false;
	return visit == NULL ||
	       (visit_via_n(visit) < VISIT_VIA_MAX && !visit_via_has(visit, c->opt.cluster.self));
}

static bool pool_is_nearer(enum tunnel_policy policy, const struct remote *a,
			   const struct remote *b)
{
	const struct core_peer *pa = a->peer, *pb = b->peer;

	if (pa->state != pb->state)
		return pa->state < pb->state;
	if (policy == TUNNEL_FAILOVER && a->priority != b->priority)
		return a->priority < b->priority;
	return pa->load < pb->load;
}

static bool pool_may_ask(const struct remote *r, const struct pool_ask *ask)
{
	return r->peer->state != PEER_UNREACHABLE && !pool_has_tried(ask->tried, r->place) &&
	       !pool_has_tried(ask->full, r->place) &&
	       (ask->visit == NULL || !visit_via_has(ask->visit, r->peer->opt.id));
}

/* The best of the other nodes, NULL when none can be asked. down: as in pool_best(). */
static struct remote *pool_nearest(const struct pool_ask *ask, bool *down)
{
	const struct remotes *rs;
	struct remote *best = NULL;

	if (!pool_passes_on(ask->core, ask->visit) ||
	    (rs = peer_find(ask->core, ask->tunnel)) == NULL)
		return NULL;
	for (struct remote *r = rs->first; r != NULL; r = r->next) {
		if (!pool_may_ask(r, ask))
			continue;
		if (!r->up && down != NULL)
			*down = true;
		if (r->up && (best == NULL || pool_is_nearer(ask->policy, r, best)))
			best = r;
	}
	return best;
}

/* Does another node go before the best session here? */
static bool pool_is_before(const struct tunnel *t, const struct remote *r, const struct serving *s,
			   const struct visit *visit)
{
	if (r->peer->state != PEER_GOOD)
		return false;
	if (session_is_late(s->member->opt.session))
		return true;
	if (t->core->draining && (visit == NULL || visit_via_n(visit) == 0))
		return true;
	return t->policy == TUNNEL_FAILOVER && r->priority < s->priority;
}

/* Either a session here, or another node; both NULL when nobody can take the visitor. */
struct pool_choice {
	struct serving *s;
	struct remote *r;
};

static struct pool_choice pool_choose(const struct tunnel *t, uint64_t dial,
				      const struct pool_ask *ask, bool *down)
{
	struct pool_choice choice = {.s = pool_best(t, dial, down)};

	choice.r = pool_nearest(ask, down);
	if (choice.r != NULL && choice.s != NULL) {
		if (pool_is_before(t, choice.r, choice.s, ask->visit))
			choice.s = NULL;
		else
			choice.r = NULL;
	}
	return choice;
}

uint64_t tunnel_choose(const struct tunnel *t)
{
	struct pool_ask ask = {t->core, t->entry.key, t->policy};
	struct pool_choice choice = pool_choose(t, t->dials + 1, &ask, NULL);

	if (choice.r != NULL)
		return choice.r->place;
	return choice.s == NULL ? 0 : choice.s->place;
}

const char *core_peer_for(struct core *c, struct str tunnel)
{
	struct pool_ask ask = {.core = c, .tunnel = tunnel};
	const struct tunnel *t = tunnel_find(c, tunnel);
	const struct remote *r;

	if (c->remotes.n == 0)
		return NULL;
	if (t == NULL) {
		r = pool_nearest(&ask, NULL);
	} else {
		ask.policy = t->policy;
		r = pool_choose(t, t->dials + 1, &ask, NULL).r;
	}
	return r == NULL ? NULL : r->peer->opt.id;
}

/* ---- opening ---- */

/* One that was silent for a while is asked for a sign of life, so that others are not sent to it if
 * it has none. */
static void pool_rouse(struct session *s)
{
	if (s->asked_ms == 0 && ev_now_ms(s->ev) - s->heard_ms > SESSION_QUIET_MS)
		session_ping(s, 0);
}

static void pool_mark(struct tunnel *t, const struct tunnel_tried *tried, uint64_t dial)
{
	if (tried->n == 0)
		return;
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		for (size_t i = 0; i < tried->n; i++)
			if (tried->places[i] == s->place)
				s->tried = dial;
	}
}

static void pool_to_end(struct tunnel *t, struct serving *s)
{
	list_del(&s->of_tunnel);
	list_push(&t->serving, &s->of_tunnel);
}

void tunnel_used(struct tunnel *t, uint64_t place)
{
	if (t->policy != TUNNEL_ROUND_ROBIN)
		return;
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (s->place == place) {
			pool_to_end(t, s);
			return;
		}
	}
}

/* A stream to a session. Who has passed the visit on is nothing to its agent. */
static int pool_open(struct tunnel *t, struct serving *s, struct visit *visit, struct wire **out)
{
	char via[VISIT_VIA_TEXT], owner[VISIT_OWNER_TEXT];
	int e;

	memcpy(via, visit->via, sizeof via);
	memcpy(owner, visit->owner, sizeof owner);
	visit->via[0] = visit->owner[0] = '\0';
	e = session_open(s->member->opt.session, visit, out);
	memcpy(visit->via, via, sizeof via);
	memcpy(visit->owner, owner, sizeof owner);
	if (e != 0)
		return e;
	pool_to_end(t, s);
	pool_rouse(s->member->opt.session);
	return 0;
}

/* A stream to another node. Its peer may have gone when this returns. */
static int pool_pass_on(struct tunnel *t, struct remote *r, const struct visit *visit,
			struct wire **out)
{
	struct core_peer *p = r->peer;
	struct visit hop = *visit;
	int e = visit_via_add(&hop, t->core->opt.cluster.self);

	/* who knows of a record later than we do, or not yet, must not take ours for his */
	memcpy(hop.owner, t->account, sizeof hop.owner);
	if (e == 0)
		e = p->opt.open(p->opt.arg, &hop, out);
	if (e == 0)
		p->load++;
	return e;
}

/* One more place. Returns as tunnel_dial_next(), ERR_AGAIN when another one may be asked. */
static int pool_try(struct tunnel *t, const struct pool_choice *choice, struct visit *visit,
		    struct wire **out)
{
	int e;

	if (choice->r != NULL)
		e = pool_pass_on(t, choice->r, visit, out);
	else
		e = pool_open(t, choice->s, visit, out);
	return e == ERR_DRAIN || e == ERR_NOSESSION || e == ERR_UNREACH ? ERR_AGAIN : e;
}

/* Is it the tunnel that the visitor's first node has found? A name may have changed hands, which
 * one of the two has not heard of yet. */
static bool pool_is_meant(const struct tunnel *t, const struct visit *visit)
{
	return visit->owner[0] == '\0' || strcmp(visit->owner, t->account) == 0;
}

int tunnel_dial_next(struct tunnel *t, struct visit *visit, struct tunnel_tried *tried,
		     struct wire **out)
{
	struct tunnel_tried full = {.n = 0};
	struct pool_ask ask = {t->core, t->entry.key, t->policy, visit, tried, &full};
	int e, why = ERR_NOSESSION;
	uint64_t dial = ++t->dials;
	bool down = false;

	if (tried->n == TUNNEL_TRIES_MAX || !pool_is_meant(t, visit))
		return ERR_NOSESSION;
	pool_mark(t, tried, dial);
	memcpy(visit->tunnel, t->name, sizeof visit->tunnel);
	e = str_copy(visit->service, sizeof visit->service, str_of(t->settings->service));
	if (e != 0)
		return e;
	for (;;) {
		struct pool_choice choice = pool_choose(t, dial, &ask, &down);
		uint64_t place;

		if (choice.s == NULL && choice.r == NULL)
			break;
		place = choice.r != NULL ? choice.r->place : choice.s->place;
		if (choice.s != NULL)
			choice.s->tried = dial;
		e = pool_try(t, &choice, visit, out);
		if (e == 0) {
			tried->places[tried->n++] = place;
			return 0;
		}
		if (e == ERR_LIMIT)
			why = ERR_LIMIT;
		else if (e != ERR_AGAIN)
			return e;
		if (choice.r == NULL)
			continue;
		if (full.n == TUNNEL_TRIES_MAX)
			break;
		full.places[full.n++] = place;
	}
	return why == ERR_NOSESSION && down ? ERR_TARGET : why;
}

int tunnel_dial(struct tunnel *t, struct visit *visit, uint64_t *place, struct wire **out)
{
	struct tunnel_tried tried = {.n = 0};
	int e = tunnel_dial_next(t, visit, &tried, out);

	if (e == 0)
		*place = tried.places[0];
	return e;
}
