/*
 * Which of the sessions that serve a tunnel takes a visitor: the tunnel's policy, among those that
 * work. A target that fails its health check is not asked at all; a session that does not answer
 * its pings only when there is no other.
 */
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"

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

uint64_t tunnel_choose(const struct tunnel *t)
{
	const struct serving *s = pool_best(t, t->dials + 1, NULL);

	return s == NULL ? 0 : s->place;
}

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

int tunnel_dial_next(struct tunnel *t, struct visit *visit, struct tunnel_tried *tried,
		     struct wire **out)
{
	int e, why = ERR_NOSESSION;
	uint64_t dial = ++t->dials;
	struct serving *s;
	bool down = false;

	if (tried->n == TUNNEL_TRIES_MAX)
		return ERR_NOSESSION;
	pool_mark(t, tried, dial);
	memcpy(visit->tunnel, t->name, sizeof visit->tunnel);
	e = str_copy(visit->service, sizeof visit->service, str_of(t->settings->service));
	if (e != 0)
		return e;
	while ((s = pool_best(t, dial, &down)) != NULL) {
		s->tried = dial;
		e = session_open(s->member->opt.session, visit, out);
		if (e == 0) {
			pool_to_end(t, s);
			tried->places[tried->n++] = s->place;
			pool_rouse(s->member->opt.session);
			return 0;
		}
		if (e == ERR_LIMIT)
			why = ERR_LIMIT;
		else if (e != ERR_DRAIN)
			return e;
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
