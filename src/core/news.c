/*
 * What anybody has written lately, as the store tells. A node that is told of a change by the bus
 * knows it at once, but a message may be lost, and whoever writes may be on no bus at all. The
 * store misses nobody: as long as its log goes on where it was read last, nothing has passed by,
 * and what is served here need not be read again to find that nothing has changed (refresh.c).
 *
 * After anything that leaves a doubt, the first question included, a whole round of reading comes
 * first.
 */
#include <stdlib.h>

#include "base/err.h"
#include "core/core_internal.h"

/* How often it is asked. */
#define NEWS_MS 2000

/* Without an answer for so long, nothing is certain. */
#define NEWS_OLD_MS (3 * NEWS_MS)

struct news {
	struct core_call call; /* first: the two are the same pointer */
	struct core *core;
	struct ev_timer timer; /* set while it is asked, now and again */
	bool asking;	       /* the call is under way */
	bool never;	       /* this kind of store does not tell */
	uint64_t at;	       /* number of the last change that was read; 0: none */
	uint64_t doubt_ms;     /* when something may have been missed last */
	uint64_t told_ms;      /* the last answer */
};

static uint64_t news_now(const struct news *n)
{
	return ev_now_ms(n->core->ev);
}

bool news_is_whole(const struct core *c, uint64_t served_ms)
{
	const struct news *n = c->news;

	return n->at != 0 && news_now(n) - n->told_ms < NEWS_OLD_MS &&
	       served_ms >= n->doubt_ms + CORE_REFRESH_MS;
}

void news_doubt(struct core *c)
{
	c->news->doubt_ms = news_now(c->news);
}

/* ---- asking ---- */

static void news_ask(struct news *n);

static void news_end(struct news *n)
{
	core_call_end(&n->call);
	n->asking = false;
}

/* What came. Returns true when more is to be read at once. */
static bool news_take(struct news *n, const struct store_answer *answer)
{
	bool begins = n->at == 0;

	n->told_ms = news_now(n);
	n->at = answer->n > 0 ? answer->recs[answer->n - 1].version : n->at;
	if (begins) {
		news_doubt(n->core);
		return false;
	}
	for (size_t i = 0; i < answer->n; i++)
		core_on_written_elsewhere(n->core, answer->recs[i].kind, answer->recs[i].key);
	return answer->more;
}

static void news_on_answer(struct core_call *call, const struct store_answer *answer)
{
	struct news *n = (struct news *)call;
	bool more = false;

	news_end(n);
	if (answer->e == 0)
		more = news_take(n, answer);
	else if (answer->e == ERR_CONFLICT || answer->e == ERR_NOTFOUND)
		n->at = 0; /* and the next answer is a beginning */
	if (more)
		news_ask(n);
}

static void news_on_start(void *arg)
{
	struct news *n = arg;
	int e = core_call_changes(&n->call, n->at, news_on_answer);

	n->never = e == ERR_UNSUPPORTED;
	if (e != 0)
		news_end(n);
}

static void news_on_gone(struct core_call *call)
{
	news_end((struct news *)call);
}

/* Not while so much is to be read that a page would not be taken whole. */
static void news_ask(struct news *n)
{
	if (n->asking || !refresh_has_room(n->core, STORE_PAGE_MAX))
		return;
	n->asking = core_call_begin(n->core, &n->call, CORE_NEWS, news_on_start) == 0;
}

static void news_on_timer(void *arg)
{
	struct news *n = arg;
	const struct core *c = n->core;

	if (n->never || (c->owners.n == 0 && c->tunnels.n == 0 && c->places.n == 0)) {
		n->at = 0;
		return;
	}
	news_ask(n);
	ev_timer_set(c->ev, &n->timer, NEWS_MS);
}

void news_watch(struct core *c)
{
	struct news *n = c->news;

	if (!n->never && !ev_timer_is_set(&n->timer))
		ev_timer_set(c->ev, &n->timer, 0);
}

/* ---- life ---- */

int news_new(struct core *c, struct news **out)
{
	struct news *n = calloc(1, sizeof *n);

	if (n == NULL)
		return ERR_NOMEM;
	n->core = c;
	n->call.closed = news_on_gone;
	n->timer = (struct ev_timer){.fn = news_on_timer, .arg = n};
	*out = n;
	return 0;
}

void news_free(struct news *n)
{
	if (n == NULL)
		return;
	ev_timer_stop(n->core->ev, &n->timer);
	free(n);
}
