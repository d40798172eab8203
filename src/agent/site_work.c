/* A queue in front of the pool of threads; it lives until its last job is over. */
#include "agent/site_work.h"

#include <stdlib.h>

#include "base/err.h"

struct site_work {
	struct ev *ev;
	struct list waiting;
	size_t n_running;
	struct ev_task start;
	bool closed;
};

/* On a thread. */
static void site_work_on_thread(void *arg)
{
	struct site_job *job = arg;

	job->work(job);
}

static void site_work_on_done(void *arg)
{
	struct site_job *job = arg;
	struct site_work *w = job->all;
	bool last = w->closed && w->n_running == 1;

	w->n_running--;
	if (!w->closed)
		ev_task_run(w->ev, &w->start);
	job->done(job, 0);
	if (last)
		ev_free_later(w->ev, w);
}

static void site_work_begin(struct site_work *w, struct site_job *job)
{
	if (job->dropped || w->closed) {
		job->done(job, ERR_CLOSED);
		return;
	}
	w->n_running++;
	if (ev_work(w->ev, site_work_on_thread, site_work_on_done, job) != 0) {
		w->n_running--;
		job->done(job, ERR_NOMEM);
	}
}

static void site_work_on_start(void *arg)
{
	struct site_work *w = arg;

	while (!list_empty(&w->waiting)) {
		struct site_job *job = CONTAINER_OF(w->waiting.next, struct site_job, link);

		/* those that were dropped stand in front */
		if (!w->closed && !job->dropped && w->n_running >= SITE_WORK_MAX)
			break;
		list_del(&job->link);
		site_work_begin(w, job);
	}
}

void site_job_drop(struct site_job *job)
{
	job->dropped = true;
	if (!list_linked(&job->link))
		return;
	list_del(&job->link);
	list_unshift(&job->all->waiting, &job->link);
	ev_task_run(job->all->ev, &job->all->start);
}

void site_work_run(struct site_work *w, struct site_job *job)
{
	job->all = w;
	job->dropped = false;
	list_push(&w->waiting, &job->link);
	ev_task_run(w->ev, &w->start);
}

int site_work_new(struct ev *ev, struct site_work **out)
{
	struct site_work *w = calloc(1, sizeof *w);

	if (w == NULL)
		return ERR_NOMEM;
	w->ev = ev;
	w->start = (struct ev_task){.fn = site_work_on_start, .arg = w};
	list_init(&w->waiting);
	*out = w;
	return 0;
}

void site_work_free(struct site_work *w)
{
	if (w == NULL)
		return;
	w->closed = true;
	ev_task_cancel(&w->start);
	site_work_on_start(w);
	if (w->n_running == 0)
		ev_free_later(w->ev, w);
}
