/* What the loop's two back ends share: private to ev/. */
#ifndef KAREZ_EV_EV_INTERNAL_H
#define KAREZ_EV_EV_INTERNAL_H

#include "ev/ev.h"

struct ev_ops {
	void (*run)(struct ev *ev);
	void (*stop)(struct ev *ev);
	void (*free)(struct ev *ev);
	uint64_t (*now_ns)(struct ev *ev);
	int64_t (*wall_ms)(struct ev *ev);
	void (*random)(struct ev *ev, void *out, size_t len);
	int (*io_new)(struct ev *ev, int fd, void (*fn)(void *, int), void *arg, struct ev_io **);
	int (*signal_new)(struct ev *ev, int signum, void (*fn)(void *), void *arg,
			  struct ev_signal **);
	int (*watch_new)(struct ev *ev, const char *dir, void (*fn)(void *), void *arg,
			 struct ev_watch **);
	int (*work)(struct ev *ev, void (*fn)(void *), void (*done)(void *), void *arg,
		    struct ev_work **);
	void (*work_forget)(struct ev_work *w);
};

struct ev {
	const struct ev_ops *ops;
	uint64_t now_ms;
	struct ev_timer *
		*heap; /* owned array, borrowed timers: each leaves when stopped or fired */
	size_t n_heap, heap_cap;
	bool firing; /* inside ev_timers_run() */
	struct list tasks;
	struct list ends; /* tasks for ev_free() */
	void **garbage;	  /* owned array of owned blocks, freed when the turn ends */
	size_t n_garbage, garbage_cap;
	char *scratch[EV_N_SCRATCH];
};

int ev_init(struct ev *ev, const struct ev_ops *ops) MUST_CHECK;
void ev_fini(struct ev *ev);

/* Fire what is due at ev->now_ms. */
void ev_timers_run(struct ev *ev);

/* The tasks, then the garbage. Returns true when tasks are left: do not sleep then. */
bool ev_turn_end(struct ev *ev);

#endif
