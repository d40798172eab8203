/*
 * The loop: readiness, timers, work for the end of a turn, signals, blocking work.
 *
 * Two back ends: the real one (libuv) and a simulated one whose clock moves only when nothing is
 * left to do. Nothing above this folder knows which one it runs on, and nothing else in karez reads
 * a clock.
 *
 * A turn: callbacks of timers and ready descriptors, then the tasks that they asked for, then the
 * memory that they gave up. So an object that closes itself stays readable until its callers are
 * done.
 */
#ifndef KAREZ_EV_EV_H
#define KAREZ_EV_EV_H

#include "base/list.h"
#include "base/log.h"

struct ev;
struct ev_io;
struct ev_signal;
struct ev_watch;
struct ev_work;

/* A loop on libuv. Returns 0, ERR_NOMEM or ERR_NOFILE. */
int ev_new(struct ev **out) MUST_CHECK;

/*
 * A simulated loop: virtual time from 0, no descriptors, random numbers from a seed, work done at
 * once. Returns 0 or ERR_NOMEM.
 */
int ev_sim_new(uint64_t seed, struct ev **out) MUST_CHECK;

/* End the loop's life. Every io, signal and timer must be stopped; what waits to be freed is freed.
 */
void ev_free(struct ev *ev);

/* Run until ev_stop() or, in a simulation, until nothing is left that could ever happen. */
void ev_run(struct ev *ev);
void ev_stop(struct ev *ev);

/*
 * Simulation only: run for `ms` of virtual time.
 * Returns false when nothing is left that could happen.
 */
bool ev_sim_run_for(struct ev *ev, uint64_t ms);

/* Simulation only: the wall clock jumps by `ms`, as when the machine has slept; the loop's does
 * not. */
void ev_sim_jump_wall(struct ev *ev, int64_t ms);

/* Milliseconds of a clock that never goes back; the same all through a turn. */
uint64_t ev_now_ms(const struct ev *ev);

/* Nanoseconds of the same clock, read now: for measuring, not for deciding. */
uint64_t ev_now_ns(struct ev *ev);

/* Milliseconds since 1970-01-01 UTC. */
int64_t ev_wall_ms(struct ev *ev);

/* Fill with random bytes: the kernel's, fit for secrets; a simulation's come from its seed. */
void ev_random(struct ev *ev, void *out, size_t len);

/* A number in [0, below), below > 0. */
uint64_t ev_random_below(struct ev *ev, uint64_t below);

/*
 * A scratch area that is valid until the callback returns to the loop: [EV_SCRATCH] bytes, one for
 * each of EV_N_SCRATCH users that may be on the stack at the same time (see enum ev_scratch).
 */
#define EV_SCRATCH (512 * 1024)
enum ev_scratch {
	EV_SCRATCH_NET,	    /* bytes as they come from a socket */
	EV_SCRATCH_PLAIN,   /* bytes that TLS or WebSocket unpacked from those */
	EV_SCRATCH_SESSION, /* what a session reads: its visitors read in the middle of it */
	EV_SCRATCH_OUT,	    /* bytes packed for sending */
	EV_SCRATCH_UNDER,   /* as PLAIN and OUT, of TLS to a proxy, which carries the TLS to the */
	EV_SCRATCH_UNDER_OUT, /* server; memory that is never touched costs nothing */
	EV_N_SCRATCH,
};
char *ev_scratch(struct ev *ev, enum ev_scratch which);

/* ---- timers ---- */

/* Embedded in its owner, all zero when unused. One shot. */
struct ev_timer {
	void (*fn)(void *arg);
	void *arg;
	uint64_t at_ms;
	uint32_t slot; /* place in the loop's heap plus one; 0: not set */
};

/*
 * (Re)start: call t->fn(t->arg) in `ms` milliseconds. Cheap to call again and again. Timers due at
 * the same time fire in no order; 0 set inside a timer's callback counts as 1.
 */
void ev_timer_set(struct ev *ev, struct ev_timer *t, uint64_t ms);

/* Harmless when it is not set. */
void ev_timer_stop(struct ev *ev, struct ev_timer *t);

static inline bool ev_timer_is_set(const struct ev_timer *t)
{
	return t->slot != 0;
}

/* ---- the end of the turn ---- */

/* Embedded in its owner, all zero when unused. */
struct ev_task {
	struct list link;
	void (*fn)(void *arg);
	void *arg;
};

/* Call task->fn(task->arg) once at the end of this turn; asking twice is asking once. */
void ev_task_run(struct ev *ev, struct ev_task *task);

/*
 * Call task->fn(task->arg) when the loop's life ends, in ev_free(): for what has no owner any more
 * that could end it, such as a connection that still sends its last words.
 */
void ev_task_at_end(struct ev *ev, struct ev_task *task);

/* Neither of the two. Harmless when it is not asked for. */
void ev_task_cancel(struct ev_task *task);

/* free(p) after the tasks of this turn; p must have been allocated with malloc or calloc. */
void ev_free_later(struct ev *ev, void *p);

/* ---- descriptors ---- */

/* EV_ERROR is told unasked, once: the descriptor has failed and nothing more will be reported. */
enum { EV_READ = 1, EV_WRITE = 2, EV_ERROR = 4 };

/*
 * Watch a descriptor; nothing is reported before ev_io_want().
 *   fd  non-blocking, stays the caller's; to be closed only after ev_io_free().
 *   fn  told which of the wanted EV_READ and EV_WRITE hold, level-triggered.
 * Returns 0, ERR_NOMEM or an ERR_* of the kernel.
 */
int ev_io_new(struct ev *ev, int fd, void (*fn)(void *arg, int events), void *arg,
	      struct ev_io **out) MUST_CHECK;

/* events: any of EV_READ, EV_WRITE, or 0 for silence. */
void ev_io_want(struct ev_io *io, int events);

/* No callback afterwards; NULL is allowed. */
void ev_io_free(struct ev_io *io);

/* ---- signals ---- */

int ev_signal_new(struct ev *ev, int signum, void (*fn)(void *arg), void *arg,
		  struct ev_signal **out) MUST_CHECK;
void ev_signal_free(struct ev_signal *s);

/* ---- folders ---- */

/*
 * Tell of changes in a folder: something in it was made, written, renamed or removed. Many changes
 * may be told as one, and file systems of other machines tell of none that are made there.
 *   dir  NUL-terminated; a folder that is renamed or removed itself is not followed.
 * Returns 0, ERR_UNSUPPORTED (a simulation), ERR_NOMEM or an ERR_* of the kernel.
 */
int ev_watch_new(struct ev *ev, const char *dir, void (*fn)(void *arg), void *arg,
		 struct ev_watch **out) MUST_CHECK;

/* NULL is allowed. */
void ev_watch_free(struct ev_watch *w);

/* ---- blocking work ---- */

/*
 * Run fn on a thread of the pool, then done on the loop. The two share nothing but arg.
 *   done  is called exactly once, never before this returns.
 * Returns 0 or ERR_NOMEM (then neither is called).
 */
int ev_work(struct ev *ev, void (*fn)(void *arg), void (*done)(void *arg), void *arg) MUST_CHECK;

/*
 * The same, for work that may lose its reason before a thread is free.
 *   *out  good until done is called.
 */
int ev_work_start(struct ev *ev, void (*fn)(void *arg), void (*done)(void *arg), void *arg,
		  struct ev_work **out) MUST_CHECK;

/* Nobody needs it any more: if no thread has begun it none will, and done is called soon, without
 * fn. So who leaves does not pile up behind work that hangs. */
void ev_work_forget(struct ev *ev, struct ev_work *w);

#endif
