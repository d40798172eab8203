/*
 * A store whose medium blocks, run on a thread of the loop's pool.
 *
 * One run at a time, so the medium never sees two callers; what is asked meanwhile waits and makes
 * up the next run, so that writes share a commit the more of them there are.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/store_internal.h"
#include "store/store_sqlite.h"

/* What the answers of one run may take in memory, about. */
#define RUN_BYTES_MAX (8 * 1024 * 1024)

struct store_thread {
	struct store store;	 /* first: the two are the same pointer */
	struct store_sqlite *db; /* owned; the thread's while busy */
	int64_t now_ms;		 /* wall clock when the run began */
	bool busy;		 /* store.running is at work */
	bool ending;		 /* closed while busy: the end comes after the work */
	struct ev_task task;
};

static void store_thread_work(void *arg)
{
	struct store_thread *t = arg;

	store_sqlite_run(t->db, &t->store.running, t->now_ms);
}

static void store_thread_work_close(void *arg)
{
	struct store_thread *t = arg;

	store_sqlite_close(t->db);
}

static void store_thread_free(void *arg)
{
	struct store_thread *t = arg;

	store_fini(&t->store);
	ev_free_later(t->store.ev, t);
}

/* Closing writes to the disk, so it is work for a thread too. */
static void store_thread_end(struct store_thread *t)
{
	if (ev_work(t->store.ev, store_thread_work_close, store_thread_free, t) == 0)
		return;
	store_thread_work_close(t);
	store_thread_free(t);
}

/* Answer all that ran, in order; a callback may ask for more or close the store. */
static void store_thread_answer(struct store_thread *t)
{
	struct store *s = &t->store;
	struct list *link;

	while (!s->closed && (link = list_pop(&s->running)) != NULL)
		store_req_answer(s, CONTAINER_OF(link, struct store_req, link));
}

static void store_thread_on_work_done(void *arg)
{
	struct store_thread *t = arg;

	t->busy = false;
	if (t->ending) {
		store_thread_end(t);
		return;
	}
	store_thread_answer(t);
	if (!t->store.closed && !list_empty(&t->store.queue))
		ev_task_run(t->store.ev, &t->task);
}

/* What the answer may need in memory beyond the request itself, at most. */
static size_t store_thread_cost(const struct store_req *req)
{
	switch (req->verb) {
	case STORE_GET: return STORE_VALUE_MAX;
	case STORE_LIST: return STORE_PAGE_BYTES_MAX + STORE_VALUE_MAX;
	case STORE_CHANGES: /* it does not remember */
	case STORE_WRITE: break;
	}
	return req->bytes;
}

/* Begin a run with what has queued up. At the end of a turn: so that it meets all of the turn. */
static void store_thread_on_task(void *arg)
{
	struct store_thread *t = arg;
	struct store *s = &t->store;
	size_t cost = 0;

	if (t->busy || s->closed)
		return;
	for (int n = 0; n < STORE_SQLITE_RUN_MAX && !list_empty(&s->queue); n++) {
		struct list *link = s->queue.next;

		cost += store_thread_cost(CONTAINER_OF(link, struct store_req, link));
		if (n > 0 && cost > RUN_BYTES_MAX)
			break;
		list_del(link);
		list_push(&s->running, link);
	}
	if (list_empty(&s->running))
		return;
	t->now_ms = ev_wall_ms(s->ev);
	t->busy = true;
	if (ev_work(s->ev, store_thread_work, store_thread_on_work_done, t) == 0)
		return;
	LIST_FOR_EACH (it, &s->running) {
		CONTAINER_OF(it, struct store_req, link)->answer.e = ERR_NOMEM;
	}
	store_thread_on_work_done(t);
}

static void store_thread_kick(struct store *s)
{
	struct store_thread *t = (struct store_thread *)s;

	if (!t->busy)
		ev_task_run(s->ev, &t->task);
}

static void store_thread_close(struct store *s)
{
	struct store_thread *t = (struct store_thread *)s;

	ev_task_cancel(&t->task);
	if (t->busy)
		t->ending = true;
	else
		store_thread_end(t);
}

static const struct store_ops store_thread_ops = {
	.kick = store_thread_kick,
	.close = store_thread_close,
};

int store_thread_open(struct ev *ev, struct log *log, const char *where, struct store **out,
		      struct store_why *why)
{
	struct store_thread *t = calloc(1, sizeof *t);
	int e = ERR_NOMEM;

	if (t == NULL || store_init(&t->store, &store_thread_ops, ev, log, where) != 0) {
		store_why_say(why, "cannot open the store %s: %s", where, err_text(e));
		free(t);
		return e;
	}
	t->task = (struct ev_task){.fn = store_thread_on_task, .arg = t};
	if ((e = store_sqlite_open(strchr(where, ':') + 1, &t->db, why)) != 0) {
		store_fini(&t->store);
		free(t);
		return e;
	}
	*out = &t->store;
	return 0;
}
