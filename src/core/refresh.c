/*
 * Other nodes change records, too. What stands behind the sessions that live here is read again
 * every CORE_REFRESH_MS, each record at its own moment of that time, so that many make no wave; or
 * seldom, every CORE_REFRESH_WHOLE_MS, while it is certain that each change is told (news.c). So
 * are tunnels with a route, see place.h; a node without either does nothing at all.
 *
 * A store may also go back: another Redis takes over that had not got all (store_on_rewind()). Then
 * everything is read at once, and for a while the records themselves are believed, not that a later
 * version is the better one, nor that what is missing was deleted by somebody.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"

/* Moments are rounded up to this, so that a busy node wakes up seldom. */
#define REFRESH_TICK_MS 250

/* Records that are to be read because other nodes have written them, at most; of what is beyond the
 * store tells later, or it is read when its moment comes. */
#define REFRESH_TOLD_MAX 8192

/* So long after the store has gone back a record that is not there counts as lost. Whoever deletes
 * one by another node within this time finds that its agent may make it again. */
#define REFRESH_LOST_MS 60000

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
	uint64_t period_ms;  /* how often each comes now */
	uint64_t rewound_ms; /* when the store last went back; 0: never */
	bool all;	     /* since then nobody has read everything again */
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

static bool refresh_is_rewound(const struct refresh *r)
{
	return r->rewound_ms != 0 && ev_now_ms(r->core->ev) - r->rewound_ms < REFRESH_LOST_MS;
}

bool refresh_is_news(const struct core *c, uint64_t version, uint64_t known)
{
	return version > known || (version != known && refresh_is_rewound(c->refresh));
}

/* It is not there. */
static void refresh_on_missing(struct core *c, const struct refresh_read *read)
{
	struct store_record gone = {.kind = read->kind, .key = read->key};

	if (str_eq(read->kind, RECORD_ROUTE))
		return;
	if (refresh_is_rewound(c->refresh)) {
		grant_on_lost(c, &gone);
		tunnel_on_lost(c, &gone);
	}
	core_on_record(c, &gone); /* for whatever does not end by that */
}

static void refresh_on_answer(struct core_call *call, const struct store_answer *answer)
{
	struct refresh_read *read = (struct refresh_read *)call;

	/* what cannot be read has not changed */
	if (answer->e == 0 && str_eq(read->kind, RECORD_ROUTE))
		refresh_on_route(call->core->refresh, answer->recs[0].value);
	else if (answer->e == 0)
		core_on_record(call->core, &answer->recs[0]);
	else if (answer->e == ERR_NOTFOUND)
		refresh_on_missing(call->core, read);
	else
		news_doubt(call->core);
	refresh_end(read);
}

static void refresh_on_start(void *arg)
{
	struct refresh_read *read = arg;

	if (core_call_get(&read->call, read->kind, read->key, refresh_on_answer) != 0) {
		news_doubt(read->call.core);
		refresh_end(read);
	}
}

static void refresh_on_core_gone(struct core_call *call)
{
	core_call_end(call);
	free(call);
}

static void refresh_read_all(struct refresh *r);

/* Start what waits, as far as may be. */
static void refresh_next(struct refresh *r)
{
	struct list *link;

	if (r->all && list_empty(&r->waiting))
		refresh_read_all(r);
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

	if (read == NULL) {
		news_doubt(r->core);
		return;
	}
	read->call.closed = refresh_on_core_gone;
	memcpy(read->bytes, key.p, key.len);
	read->kind = kind;
	read->key = (struct str){read->bytes, key.len};
	list_push(&r->waiting, &read->link);
	r->n_waiting++;
}

/* ---- whose turn it is ---- */

/* Its moment, as the first one not before `from`. */
static uint64_t refresh_due(const struct refresh *r, const struct map_entry *e, uint64_t from)
{
	uint64_t moment = e->hash % r->period_ms, phase = from % r->period_ms;

	return from + (moment + r->period_ms - phase) % r->period_ms;
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
		if (refresh_due(r, e, r->last_ms + 1) <= now)
			add(r, e);
		due = refresh_due(r, e, now + 1);
		next = MIN(next, due);
	}
	return next;
}

/* No line behind the one that waits, however often the store goes back. */
static void refresh_read_all(struct refresh *r)
{
	const struct core *c = r->core;

	r->all = false;
	for (struct map_entry *e = map_next(&c->owners, NULL); e != NULL;
	     e = map_next(&c->owners, e))
		refresh_owner(r, e);
	for (struct map_entry *e = map_next(&c->tunnels, NULL); e != NULL;
	     e = map_next(&c->tunnels, e))
		refresh_tunnel(r, e);
	for (struct map_entry *e = map_next(&c->places, NULL); e != NULL;
	     e = map_next(&c->places, e))
		refresh_place(r, e);
}

/* See store_on_rewind(). */
static void refresh_on_rewind(void *arg)
{
	struct refresh *r = arg;

	log_warn(r->core->opt.log,
		 "event=store-rewound msg=\"the store may lack what was written last; all that is "
		 "served here is looked up again\"");
	r->rewound_ms = MAX(ev_now_ms(r->core->ev), 1);
	r->all = true;
	refresh_next(r);
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
	r->period_ms = news_is_whole(c, r->last_ms) ? CORE_REFRESH_WHOLE_MS : CORE_REFRESH_MS;
	owner = refresh_map(r, &c->owners, now, refresh_owner);
	tunnel = refresh_map(r, &c->tunnels, now, refresh_tunnel);
	place = refresh_map(r, &c->places, now, refresh_place);
	next = MIN(MIN(owner, tunnel), place);
	r->last_ms = now;
	refresh_next(r);
	/* not longer: it may be that each has to be read soon */
	if (next != UINT64_MAX)
		ev_timer_set(c->ev, &r->timer,
			     MIN(MAX(next - now, (uint64_t)REFRESH_TICK_MS),
				 (uint64_t)CORE_REFRESH_MS));
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
	news_watch(c);
}

bool refresh_has_room(const struct core *c, size_t n)
{
	/* for a credential there are two */
	return c->refresh->n_waiting + 2 * n <= REFRESH_TOLD_MAX;
}

void refresh_unread(struct core *c, int e)
{
	if (e == ERR_NOMEM)
		news_doubt(c);
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

	store_outdated(c->opt.store, kind, key);
	if (key.len == 0 || key.len > STORE_KEY_MAX)
		return;
	if (r->n_waiting >= REFRESH_TOLD_MAX) {
		news_doubt(c);
		return;
	}
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
	store_on_rewind(c->opt.store, refresh_on_rewind, r);
	*out = r;
	return 0;
}

void refresh_free(struct refresh *r)
{
	struct list *link;

	if (r == NULL)
		return;
	store_on_rewind(r->core->opt.store, NULL, NULL);
	ev_timer_stop(r->core->ev, &r->timer);
	while ((link = list_pop(&r->waiting)) != NULL)
		free(CONTAINER_OF(link, struct refresh_read, link));
	free(r);
}
