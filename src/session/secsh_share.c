/*
 * Two accounts of time that fill up as it passes, a queue, and a sum of bytes.
 *
 * Time is taken afterwards, by what was used; so an account may be overdrawn by one pump, and
 * nothing is begun while it is.
 */
#include "session/secsh_share.h"

#include <stdlib.h>

#include "base/err.h"

#define NS_PER_MS 1000000

struct secsh_share {
	struct ev *ev;
	struct list parts, queue;
	size_t n_parts;
	int64_t credit_ns;
	uint64_t filled_ns;
	struct ev_timer next; /* for who is first in the queue */
	size_t held;
	uint64_t called_ms;
};

static void share_fill(struct ev *ev, int64_t *credit_ns, uint64_t *filled_ns, unsigned part)
{
	uint64_t now = ev_now_ns(ev), more = (now - *filled_ns) / part;

	*filled_ns = now;
	*credit_ns = MIN(*credit_ns + (int64_t)more, (int64_t)SECSH_BURST_NS);
}

/* In how many ms there is something again. */
static uint64_t share_wait_ms(int64_t credit_ns, unsigned part)
{
	return credit_ns >= 0 ? 1 : (uint64_t)-credit_ns * part / NS_PER_MS + 1;
}

static void share_call_next(struct secsh_share *s)
{
	if (!list_empty(&s->queue) && !ev_timer_is_set(&s->next))
		ev_timer_set(s->ev, &s->next, share_wait_ms(s->credit_ns, SECSH_SHARE_PART));
}

/* ---- waiting ---- */

static void part_wait(struct secsh_part *p)
{
	p->waits = true;
	p->since_ms = ev_now_ms(p->share->ev);
}

static void part_go_on(struct secsh_part *p)
{
	p->waits = false;
	p->waited_ms += ev_now_ms(p->share->ev) - p->since_ms;
	p->owner->pump(p->arg);
}

static void part_on_rested(void *arg)
{
	part_go_on(arg);
}

static void share_on_next(void *arg)
{
	struct secsh_share *s = arg;
	struct list *first;

	share_fill(s->ev, &s->credit_ns, &s->filled_ns, SECSH_SHARE_PART);
	while (s->credit_ns > 0 && (first = list_pop(&s->queue)) != NULL) {
		struct secsh_part *p = CONTAINER_OF(first, struct secsh_part, queue);

		p->is_next = true;
		part_go_on(p);
	}
	share_call_next(s);
}

bool secsh_part_may_read(struct secsh_part *p, bool costly)
{
	struct secsh_share *s = p->share;
	bool is_next = p->is_next;

	p->is_next = false;
	if (s == NULL)
		return true;
	if (p->waits)
		return false;
	if (!costly || is_next)
		return true;
	share_fill(s->ev, &s->credit_ns, &s->filled_ns, SECSH_SHARE_PART);
	if (s->credit_ns > 0 && list_empty(&s->queue))
		return true;
	list_push(&s->queue, &p->queue);
	part_wait(p);
	share_call_next(s);
	return false;
}

void secsh_part_spend(struct secsh_part *p, uint64_t ns, bool own)
{
	struct secsh_share *s = p->share;

	if (s == NULL)
		return;
	ns = MIN(ns, (uint64_t)SECSH_SPEND_MAX_NS);
	share_fill(s->ev, &s->credit_ns, &s->filled_ns, SECSH_SHARE_PART);
	s->credit_ns -= (int64_t)ns;
	if (!own)
		return;
	share_fill(s->ev, &p->credit_ns, &p->filled_ns, SECSH_OWN_PART);
	p->credit_ns -= (int64_t)ns;
	if (p->credit_ns >= 0 || p->waits)
		return;
	p->rest = (struct ev_timer){.fn = part_on_rested, .arg = p};
	part_wait(p);
	ev_timer_set(s->ev, &p->rest, share_wait_ms(p->credit_ns, SECSH_OWN_PART));
}

uint64_t secsh_part_waited(struct secsh_part *p)
{
	uint64_t ms = p->waited_ms;

	p->waited_ms = 0;
	return ms;
}

/* ---- memory ---- */

size_t secsh_part_hold(struct secsh_part *p, size_t held)
{
	struct secsh_share *s = p->share;
	size_t each;

	if (s == NULL)
		return SIZE_MAX;
	s->held += held - p->held;
	p->held = held;
	if (s->held <= SECSH_HELD_ALL)
		return SIZE_MAX;
	each = MAX(SECSH_HELD_ALL / s->n_parts, SECSH_HELD_LEAST);
	if (ev_now_ms(s->ev) - s->called_ms < SECSH_CALL_MS)
		return each;
	s->called_ms = ev_now_ms(s->ev);
	LIST_FOR_EACH (it, &s->parts) {
		struct secsh_part *other = CONTAINER_OF(it, struct secsh_part, among);

		if (other != p && other->held > each)
			other->owner->soon(other->arg);
	}
	return each;
}

/* ---- life ---- */

void secsh_part_join(struct secsh_part *p, struct secsh_share *share,
		     const struct secsh_part_owner *owner, void *arg)
{
	if (share == NULL)
		return;
	p->share = share;
	p->owner = owner;
	p->arg = arg;
	p->credit_ns = SECSH_BURST_NS;
	p->filled_ns = ev_now_ns(share->ev);
	list_push(&share->parts, &p->among);
	share->n_parts++;
}

void secsh_part_leave(struct secsh_part *p)
{
	struct secsh_share *s = p->share;

	if (s == NULL)
		return;
	s->n_parts--;
	s->held -= p->held;
	ev_timer_stop(s->ev, &p->rest);
	list_del(&p->among);
	list_del(&p->queue);
	*p = (struct secsh_part){.share = NULL};
}

int secsh_share_new(struct ev *ev, struct secsh_share **out)
{
	struct secsh_share *s = calloc(1, sizeof *s);

	if (s == NULL)
		return ERR_NOMEM;
	s->ev = ev;
	list_init(&s->parts);
	list_init(&s->queue);
	s->credit_ns = SECSH_BURST_NS;
	s->filled_ns = ev_now_ns(ev);
	s->next = (struct ev_timer){.fn = share_on_next, .arg = s};
	*out = s;
	return 0;
}

void secsh_share_free(struct secsh_share *share)
{
	if (share == NULL)
		return;
	CHECK(share->n_parts == 0);
	ev_timer_stop(share->ev, &share->next);
	free(share);
}
