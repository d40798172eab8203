/*
 * Reading from disks: off the loop, and only a little of it at a time, since the same few threads
 * also resolve names. A disk that hangs must not keep an agent from its server.
 */
#ifndef KAREZ_AGENT_SITE_WORK_H
#define KAREZ_AGENT_SITE_WORK_H

#include "ev/ev.h"

/* Threads that may wait for disks at the same time; the pool has four. */
#define SITE_WORK_MAX 2

struct site_work;

/* Embedded in its owner, all zero when unused; one at a time. */
struct site_job {
	struct list link;
	void (*work)(struct site_job *job); /* on a thread: may touch what the owner leaves alone */
	/*
	 * On the loop, exactly once for each site_work_run(), never before that returns.
	 *   e  0, ERR_NOMEM or ERR_CLOSED (it was dropped in time): work() was not called.
	 */
	void (*done)(struct site_job *job, int e);
	struct site_work *all; /* set by site_work_run() */
	bool dropped;
};

/* Returns 0 or ERR_NOMEM. */
int site_work_new(struct ev *ev, struct site_work **out) MUST_CHECK;

/* Jobs that wait are dropped, and told so now; those that run are told when they are over, however
 * late. NULL is allowed. */
void site_work_free(struct site_work *w);

/* Have it done when it is its turn. */
void site_work_run(struct site_work *w, struct site_job *job);

/*
 * Nobody needs it any more. If it was not begun yet it never is, and done() is told soon, however
 * long the jobs before it take: who leaves must not pile up behind a disk that hangs. Harmless when
 * it was not run, or is over.
 */
void site_job_drop(struct site_job *job);

#endif
