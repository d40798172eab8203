/*
 * Other nodes change records, too. What stands behind the sessions that live here is read again
 * every CORE_REFRESH_MS, each record at its own moment of that time, so that many make no wave. So
 * are tunnels with a route, see place.h; a node without either does nothing at all.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"

/* Moments are rounded up to this, so that a busy node wakes up seldom. */
#define REFRESH_TICK_MS 250

/* Records that are to be read because other nodes have written them, at most; what is beyond is
 * read when its moment comes. */
#define REFRESH_TOLD_MAX 8192

/* A record to be read. */
struct refresh_read {
	struct core_call call; /* first: the two are the same pointer */
	struct list link;      /* in refresh.waiting */
	struct str kind, key;  /* kind: static */
	char bytes[];
};

struct refresh {
	struct core *core;
	struct ev_timer timer;
	uint64_t last_ms;    /* all moments up to here have been served */
	struct list waiting; /* of refresh_read.link: CORE_REFRESHES_MAX others are being read */
	size_t n_waiting;
};

/* ---- reading ---- */

static void refresh_next(struct refresh *r);

static void refresh_end(struct refresh_read *read)
{
	struct core *c = read->call.core;

	core_call_end(&read->call);
	free(read);
	refresh_next(c->refresh);
}

static void refresh_read_add(struct refresh *r, struct str kind, struct str key);

/* One that is known by now is told of itself when it changes. */
static void refresh_on_route(struct refresh *r, struct str value)
{
	struct record_route route;

	if (record_read_route(value, &route) == 0 &&
	    map_get(&r->core->places, str_of(route.tunnel)) == NULL)
		refresh_read_add(r, RECORD_TUNNEL, str_of(route.tunnel));
}

static void refresh_on_answer(struct core_call *call, const struct store_answer *answer)
{
	struct refresh_read *read = (struct refresh_read *)call;
	struct store_record gone = {.kind = read->kind, .key = read->key};

	/* what cannot be read has not changed */
	if (answer->e == 0 && str_eq(read->kind, RECORD_ROUTE))
		refresh_on_route(call->core->refresh, answer->recs[0].value);
	else if (answer->e == 0 || answer->e == ERR_NOTFOUND)
		core_on_record(call->core, answer->e == 0 ? &answer->recs[0] : &gone);
	refresh_end(read);
}

static void refresh_on_start(void *arg)
{
	struct refresh_read *read = arg;

	if (core_call_get(&read->call, read->kind, read->key, refresh_on_answer) != 0)
		refresh_end(read);
}

static void refresh_on_core_gone(struct core_call *call)
{
	core_call_end(call);
	free(call);
}

/* Start what waits, as far as may be. */
static void refresh_next(struct refresh *r)
{
	struct list *link;

	while (!list_empty(&r->waiting)) {
		struct refresh_read *read =
			CONTAINER_OF(r->waiting.next, struct refresh_read, link);

		if (core_call_begin(r->core, &read->call, CORE_REFRESH, refresh_on_start) != 0)
			return;
		link = list_pop(&r->waiting);
		CHECK(link == &read->link);
		r->n_waiting--;
	}
}

/* When memory is short, the next round comes to it. */
static void refresh_read_add(struct refresh *r, struct str kind, struct str key)
{
	struct refresh_read *read = calloc(1, sizeof *read + key.len);

	if (read == NULL)
		return;
	read->call.closed = refresh_on_core_gone;
	memcpy(read->bytes, key.p, key.len);
	read->kind = kind;
	read->key = (struct str){read->bytes, key.len};
	list_push(&r->waiting, &read->link);
	r->n_waiting++;
}

/* ---- whose turn it is ---- */

/* Its moment, as the first one not before `from`. */
static uint64_t refresh_due(const struct map_entry *e, uint64_t from)
{
	uint64_t moment = e->hash % CORE_REFRESH_MS, phase = from % CORE_REFRESH_MS;

	return from + (moment + CORE_REFRESH_MS - phase) % CORE_REFRESH_MS;
}

/* An account first, then what proves it: so a deleted one is not taken for a revoked key. */
static void refresh_owner(struct refresh *r, struct map_entry *e)
{
	const struct owner *o = CONTAINER_OF(e, struct owner, entry);

	refresh_read_add(r, RECORD_ACCOUNT, e->key);
	LIST_FOR_EACH (link, &o->grants)
		refresh_read_add(r, RECORD_CREDENTIAL,
				 CONTAINER_OF(link, struct grant, of_owner)->entry.key);
}

static void refresh_tunnel(struct refresh *r, struct map_entry *e)
{
	refresh_read_add(r, RECORD_TUNNEL, e->key);
}

/* A tunnel that nobody serves, but that is known for its route. */
static void refresh_place(struct refresh *r, struct map_entry *e)
{
	if (tunnel_find(r->core, e->key) == NULL)
		refresh_read_add(r, RECORD_TUNNEL, e->key);
}

/* Read what of a map is due up to now; returns when the next one is. */
static uint64_t refresh_map(struct refresh *r, const struct map *m, uint64_t now,
			    void (*add)(struct refresh *r, struct map_entry *e))
{
	uint64_t next = UINT64_MAX, due;

	for (struct map_entry *e = map_next(m, NULL); e != NULL; e = map_next(m, e)) {
		if (refresh_due(e, r->last_ms + 1) <= now)
			add(r, e);
		due = refresh_due(e, now + 1);
		next = MIN(next, due);
	}
	return next;
}

static void refresh_on_timer(void *arg)
{
	struct refresh *r = arg;
	struct core *c = r->core;
	uint64_t now = ev_now_ms(c->ev), owner, tunnel, place, next;

	if (!list_empty(&r->waiting)) { /* the store is slow: no second line behind the first */
		ev_timer_set(c->ev, &r->timer, REFRESH_TICK_MS);
		return;
	}
	owner = refresh_map(r, &c->owners, now, refresh_owner);
	tunnel = refresh_map(r, &c->tunnels, now, refresh_tunnel);
	place = refresh_map(r, &c->places, now, refresh_place);
	next = MIN(MIN(owner, tunnel), place);
	r->last_ms = now;
	refresh_next(r);
	if (next != UINT64_MAX)
		ev_timer_set(c->ev, &r->timer, MAX(next - now, (uint64_t)REFRESH_TICK_MS));
}

void refresh_add(struct core *c, struct str kind, struct str key)
{
	refresh_read_add(c->refresh, kind, key);
	refresh_next(c->refresh);
	refresh_watch(c);
}

void refresh_watch(struct core *c)
{
	struct refresh *r = c->refresh;

	if (!ev_timer_is_set(&r->timer))
		r->last_ms = ev_now_ms(c->ev);
	/* The timer knows nothing of this one yet; but an earlier moment stays. */
	if (!ev_timer_is_set(&r->timer) || r->timer.at_ms > ev_now_ms(c->ev) + REFRESH_TICK_MS)
		ev_timer_set(c->ev, &r->timer, REFRESH_TICK_MS);
}

/* ---- what other nodes say that they have written ---- */

/* An account first, as in refresh_owner(). */
static void refresh_credential(struct refresh *r, struct str key)
{
	struct str account = {key.p, str_find(key, '/')};

	if (map_get(&r->core->grants, key) == NULL)
		return;
	refresh_read_add(r, RECORD_ACCOUNT, account);
	refresh_read_add(r, RECORD_CREDENTIAL, key);
}

void core_on_written_elsewhere(struct core *c, struct str kind, struct str key)
{
	struct refresh *r = c->refresh;

	if (r->n_waiting >= REFRESH_TOLD_MAX || key.len == 0 || key.len > STORE_KEY_MAX)
		return;
	if (str_eq(kind, RECORD_ACCOUNT) && map_get(&c->owners, key) != NULL)
		refresh_read_add(r, RECORD_ACCOUNT, key);
	else if (str_eq(kind, RECORD_CREDENTIAL))
		refresh_credential(r, key);
	else if (str_eq(kind, RECORD_TUNNEL) &&
		 (tunnel_find(c, key) != NULL || map_get(&c->places, key) != NULL))
		refresh_read_add(r, RECORD_TUNNEL, key);
	else if (str_eq(kind, RECORD_ROUTE))
		refresh_read_add(r, RECORD_ROUTE, key);
	refresh_next(r);
}

/* ---- life ---- */

int refresh_new(struct core *c, struct refresh **out)
{
	struct refresh *r = calloc(1, sizeof *r);

	if (r == NULL)
		return ERR_NOMEM;
	r->core = c;
	r->timer = (struct ev_timer){.fn = refresh_on_timer, .arg = r};
	list_init(&r->waiting);
	*out = r;
	return 0;
}

void refresh_free(struct refresh *r)
{
	struct list *link;

	if (r == NULL)
		return;
	ev_timer_stop(r->core->ev, &r->timer);
	while ((link = list_pop(&r->waiting)) != NULL)
		free(CONTAINER_OF(link, struct refresh_read, link));
	free(r);
}
