/*
 * Which tunnels have a route: read when the node starts, and again and again, since other nodes
 * make some, too. Only tunnels that are not known yet are read here; known ones are the refresh's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/place_internal.h"

/* Routes of one page, and tunnels that are read at the same time. */
#define PLACE_PAGE  256
#define PLACE_READS (CORE_PLACES_MAX - 1)

/* A tunnel to be read. */
struct place_read {
	struct core_call call; /* first: the two are the same pointer */
	struct list link;      /* in places->waiting */
	size_t len;
	char name[];
};

static void place_list_go(struct places *l);

static void place_list_tell(struct places *l, int e)
{
	void (*done)(void *, int) = l->done;

	l->done = NULL;
	if (done != NULL)
		done(l->arg, e);
}

/* ---- tunnels ---- */

static void place_list_end_read(struct place_read *read)
{
	struct places *l = read->call.core->placing;

	core_call_end(&read->call);
	free(read);
	l->n_reading--;
	if (!l->ending)
		place_list_go(l);
}

static void place_list_on_tunnel(struct core_call *call, const struct store_answer *answer)
{
	struct places *l = call->core->placing;

	if (answer->e == 0)
		core_on_record(call->core, &answer->recs[0]);
	else if (answer->e != ERR_NOTFOUND) /* a route that leads nowhere is nobody's harm */
		l->e = core_store_err(answer->e);
	place_list_end_read((struct place_read *)call);
}

static void place_list_on_read(void *arg)
{
	struct place_read *read = arg;
	struct str name = {read->name, read->len};
	int e = core_call_get(&read->call, RECORD_TUNNEL, name, place_list_on_tunnel);

	if (e == 0)
		return;
	read->call.core->placing->e = e;
	place_list_end_read(read);
}

/* The core is going: the listing, or nobody, is told. */
static void place_list_on_read_gone(struct core_call *call)
{
	struct places *l = call->core->placing;

	l->ending = true;
	place_list_end_read((struct place_read *)call);
	place_list_tell(l, ERR_CLOSED);
}

static void place_list_add(struct places *l, const char *name)
{
	size_t len = strlen(name);
	struct place_read *read = calloc(1, sizeof *read + len);

	if (read == NULL) {
		l->e = ERR_NOMEM;
		return;
	}
	read->call.closed = place_list_on_read_gone;
	read->len = len;
	memcpy(read->name, name, len);
	list_push(&l->waiting, &read->link);
}

/* ---- routes ---- */

static void place_list_on_page(struct core_call *call, const struct store_answer *answer)
{
	struct places *l = CONTAINER_OF(call, struct places, listing);
	struct record_route route;

	core_call_end(call);
	l->more = answer->e == 0 && answer->more && answer->n > 0;
	if (answer->e != 0)
		l->e = core_store_err(answer->e);
	for (size_t i = 0; answer->e == 0 && i < answer->n; i++) {
		const struct store_record *rec = &answer->recs[i];

		if (record_read_route(rec->value, &route) == 0 &&
		    place_find(l->core, str_of(route.tunnel)) == NULL)
			place_list_add(l, route.tunnel);
		l->after_len = rec->key.len;
		memcpy(l->after, rec->key.p, rec->key.len);
	}
	place_list_go(l);
}

static void place_list_end_round(struct places *l)
{
	l->running = false;
	ev_timer_set(l->core->ev, &l->timer, PLACE_LIST_MS);
	place_list_tell(l, l->e);
}

static void place_list_on_start(void *arg)
{
	struct places *l = CONTAINER_OF((struct core_call *)arg, struct places, listing);
	struct store_page page = {.kind = RECORD_ROUTE,
				  .after = {l->after, l->after_len},
				  .limit = PLACE_PAGE};

	int e = core_call_list(&l->listing, &page, place_list_on_page);

	if (e == 0)
		return;
	l->e = e;
	core_call_end(&l->listing);
	place_list_end_round(l);
}

static void place_list_on_gone(struct core_call *call)
{
	struct places *l = CONTAINER_OF(call, struct places, listing);

	core_call_end(call);
	l->ending = true;
	place_list_tell(l, ERR_CLOSED);
}

/* What is next: tunnels of this page, the next page, or a pause. */
static void place_list_go(struct places *l)
{
	int e = 0;

	while (!list_empty(&l->waiting) && l->n_reading < PLACE_READS) {
		struct place_read *read =
			CONTAINER_OF(list_pop(&l->waiting), struct place_read, link);

		l->n_reading++;
		/* there is room: nobody else makes calls of this kind */
		e = core_call_begin(l->core, &read->call, CORE_PLACE, place_list_on_read);
		CHECK(e == 0);
	}
	if (l->n_reading > 0)
		return;
	if (l->more) {
		e = core_call_begin(l->core, &l->listing, CORE_PLACE, place_list_on_start);
		CHECK(e == 0);
	} else {
		place_list_end_round(l);
	}
}

static void place_list_begin(struct places *l)
{
	l->running = l->more = true;
	l->e = 0;
	l->begun_ms = ev_now_ms(l->core->ev);
	l->after_len = 0;
	place_list_go(l);
}

/* ---- life ---- */

/* Is every route known that was there when the last round began, and told of every later one? */
static bool place_list_is_whole(const struct places *l)
{
	return l->e == 0 && news_is_whole(l->core, l->begun_ms + CORE_REFRESH_MS - 1) &&
	       ev_now_ms(l->core->ev) - l->begun_ms < CORE_REFRESH_WHOLE_MS;
}

static void place_list_on_timer(void *arg)
{
	struct places *l = arg;

	if (place_list_is_whole(l))
		ev_timer_set(l->core->ev, &l->timer, PLACE_LIST_MS);
	else
		place_list_begin(l);
}

void place_start(struct core *c, void (*done)(void *arg, int e), void *arg)
{
	struct places *l = c->placing;

	CHECK(l->done == NULL);
	l->done = done;
	l->arg = arg;
	if (l->running)
		return; /* its end is told */
	ev_timer_stop(c->ev, &l->timer);
	place_list_begin(l);
}

void place_list_init(struct places *l)
{
	list_init(&l->waiting);
	l->timer = (struct ev_timer){.fn = place_list_on_timer, .arg = l};
	l->listing.closed = place_list_on_gone;
}

void place_list_end(struct places *l)
{
	struct list *link;

	ev_timer_stop(l->core->ev, &l->timer);
	while ((link = list_pop(&l->waiting)) != NULL)
		free(CONTAINER_OF(link, struct place_read, link));
}
