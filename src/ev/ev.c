/*
 * What both loops share: a heap of timers, the tasks and the garbage at the end of a turn.
 *
 * Timers are our own and not libuv's because they must live inside the objects that they watch (a
 * visitor has three and there are thousands), die without a callback, and run on virtual time too.
 */
#include "ev/ev_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define FIRST_HEAP 256

/* Tasks that ask for tasks get this many rounds a turn, then descriptors have a say again. */
#define ROUNDS 16

int ev_init(struct ev *ev, const struct ev_ops *ops)
{
	ev->ops = ops;
	list_init(&ev->tasks);
	list_init(&ev->ends);
	ev->heap = calloc(FIRST_HEAP, sizeof ev->heap[0]);
	if (ev->heap == NULL)
		return ERR_NOMEM;
	ev->heap_cap = FIRST_HEAP;
	for (int i = 0; i < EV_N_SCRATCH; i++)
		if ((ev->scratch[i] = malloc(EV_SCRATCH)) == NULL)
			return ERR_NOMEM;
	return 0;
}

static void ev_garbage_run(struct ev *ev)
{
	while (ev->n_garbage > 0)
		free(ev->garbage[--ev->n_garbage]);
}

void ev_fini(struct ev *ev)
{
	while (ev_turn_end(ev))
		;
	for (int i = 0; i < EV_N_SCRATCH; i++)
		free(ev->scratch[i]);
	free(ev->garbage);
	free(ev->heap);
}

void ev_free(struct ev *ev)
{
	struct list *link;

	if (ev == NULL)
		return;
	while ((link = list_pop(&ev->ends)) != NULL) {
		struct ev_task *task = CONTAINER_OF(link, struct ev_task, link);

		task->fn(task->arg);
	}
	ev->ops->free(ev);
}

void ev_run(struct ev *ev)
{
	ev->ops->run(ev);
}

void ev_stop(struct ev *ev)
{
	ev->ops->stop(ev);
}

uint64_t ev_now_ms(const struct ev *ev)
{
	return ev->now_ms;
}

uint64_t ev_now_ns(struct ev *ev)
{
	return ev->ops->now_ns(ev);
}

int64_t ev_wall_ms(struct ev *ev)
{
	return ev->ops->wall_ms(ev);
}

void ev_random(struct ev *ev, void *out, size_t len)
{
	ev->ops->random(ev, out, len);
}

uint64_t ev_random_below(struct ev *ev, uint64_t below)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % below, n;

	do
		ev_random(ev, &n, sizeof n);
	while (n >= limit);
	return n % below;
}

char *ev_scratch(struct ev *ev, enum ev_scratch which)
{
	return ev->scratch[which];
}

/* ---- timers: a binary heap of borrowed pointers, each timer knows its slot ---- */

static void heap_place(struct ev *ev, size_t i, struct ev_timer *t)
{
	ev->heap[i] = t;
	t->slot = (uint32_t)i + 1;
}

static void heap_up(struct ev *ev, size_t i)
{
	struct ev_timer *t = ev->heap[i];

	while (i > 0 && ev->heap[(i - 1) / 2]->at_ms > t->at_ms) {
		heap_place(ev, i, ev->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_place(ev, i, t);
}

static void heap_down(struct ev *ev, size_t i)
{
	struct ev_timer *t = ev->heap[i];
	size_t child;

	while ((child = 2 * i + 1) < ev->n_heap) {
		if (child + 1 < ev->n_heap && ev->heap[child + 1]->at_ms < ev->heap[child]->at_ms)
			child++;
		if (ev->heap[child]->at_ms >= t->at_ms)
			break;
		heap_place(ev, i, ev->heap[child]);
		i = child;
	}
	heap_place(ev, i, t);
}

static void heap_remove(struct ev *ev, struct ev_timer *t)
{
	size_t i = t->slot - 1;
	struct ev_timer *last = ev->heap[--ev->n_heap];

	t->slot = 0;
	if (last == t)
		return;
	heap_place(ev, i, last);
	heap_up(ev, i);
	heap_down(ev, last->slot - 1);
}

void ev_timer_set(struct ev *ev, struct ev_timer *t, uint64_t ms)
{
	uint64_t was = t->at_ms;

	if (ev->firing && ms == 0)
		ms = 1; /* or a timer that sets itself anew would keep the loop in this turn */
	t->at_ms = ms < UINT64_MAX - ev->now_ms ? ev->now_ms + ms : UINT64_MAX;
	if (t->slot != 0) {
		if (t->at_ms < was)
			heap_up(ev, t->slot - 1);
		else
			heap_down(ev, t->slot - 1);
	} else {
		if (ev->n_heap == ev->heap_cap) {
			size_t cap = ev->heap_cap * 2;
			struct ev_timer **heap = realloc(ev->heap, cap * sizeof heap[0]);

			/* Losing a deadline silently would be worse than ending. */
			CHECK(heap != NULL);
			ev->heap = heap;
			ev->heap_cap = cap;
		}
		ev->heap[ev->n_heap++] = t;
		t->slot = (uint32_t)ev->n_heap;
		heap_up(ev, ev->n_heap - 1);
	}
}

void ev_timer_stop(struct ev *ev, struct ev_timer *t)
{
	if (t->slot != 0)
		heap_remove(ev, t);
}

void ev_timers_run(struct ev *ev)
{
	ev->firing = true;
	while (ev->n_heap > 0 && ev->heap[0]->at_ms <= ev->now_ms) {
		struct ev_timer *t = ev->heap[0];

		heap_remove(ev, t);
		t->fn(t->arg);
	}
	ev->firing = false;
}

/* ---- the end of the turn ---- */

void ev_task_run(struct ev *ev, struct ev_task *task)
{
	if (!list_linked(&task->link))
		list_push(&ev->tasks, &task->link);
}

void ev_task_at_end(struct ev *ev, struct ev_task *task)
{
	if (!list_linked(&task->link))
		list_push(&ev->ends, &task->link);
}

void ev_task_cancel(struct ev_task *task)
{
	list_del(&task->link);
}

void ev_free_later(struct ev *ev, void *p)
{
	if (p == NULL)
		return;
	if (ev->n_garbage == ev->garbage_cap) {
		ev->garbage_cap = MAX(2 * ev->garbage_cap, FIRST_HEAP);
		ev->garbage = realloc(ev->garbage, ev->garbage_cap * sizeof ev->garbage[0]);
		CHECK(ev->garbage != NULL);
	}
	ev->garbage[ev->n_garbage++] = p;
}

bool ev_turn_end(struct ev *ev)
{
	for (int round = 0; round < ROUNDS && !list_empty(&ev->tasks); round++) {
		struct list now, *link;

		list_init(&now);
		list_splice(&now, &ev->tasks);
		while ((link = list_pop(&now)) != NULL) {
			struct ev_task *task = CONTAINER_OF(link, struct ev_task, link);

			task->fn(task->arg);
		}
	}
	ev_garbage_run(ev);
	return !list_empty(&ev->tasks);
}

/* ---- what only a real loop has ---- */

int ev_io_new(struct ev *ev, int fd, void (*fn)(void *arg, int events), void *arg,
	      struct ev_io **out)
{
	return ev->ops->io_new(ev, fd, fn, arg, out);
}

int ev_signal_new(struct ev *ev, int signum, void (*fn)(void *arg), void *arg,
		  struct ev_signal **out)
{
	return ev->ops->signal_new(ev, signum, fn, arg, out);
}

int ev_watch_new(struct ev *ev, const char *dir, void (*fn)(void *arg), void *arg,
		 struct ev_watch **out)
{
	return ev->ops->watch_new(ev, dir, fn, arg, out);
}

int ev_work(struct ev *ev, void (*fn)(void *arg), void (*done)(void *arg), void *arg)
{
	struct ev_work *w;

	return ev->ops->work(ev, fn, done, arg, &w);
}

int ev_work_start(struct ev *ev, void (*fn)(void *arg), void (*done)(void *arg), void *arg,
		  struct ev_work **out)
{
	return ev->ops->work(ev, fn, done, arg, out);
}

void ev_work_forget(struct ev *ev, struct ev_work *w)
{
	ev->ops->work_forget(w);
}
