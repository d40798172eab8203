/*
 * The simulated loop: the clock jumps to the next timer when nothing else is left to do, so hours
 * of reconnecting run in milliseconds, and a seed replays the same run to the byte.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ev/ev_internal.h"

/* Where simulated wall time starts: 2026-01-01 UTC, in milliseconds. */
#define SIM_EPOCH_MS INT64_C(1767225600000)

struct ev_sim {
	struct ev ev; /* first: the two are the same pointer */
	uint64_t random;
	int64_t wall_ahead_ms; /* of the loop's clock and SIM_EPOCH_MS */
	bool stopped;
};

struct ev_work {
	struct ev_task task;
	struct ev *ev;
	void (*done)(void *arg);
	void *arg;
};

/* Returns false when there is neither a task nor a timer up to `until_ms`. */
static bool ev_sim_step(struct ev_sim *sim, uint64_t until_ms)
{
	struct ev *ev = &sim->ev;

	if (ev_turn_end(ev) || sim->stopped)
		return true;
	if (ev->n_heap == 0 || ev->heap[0]->at_ms > until_ms)
		return false;
	ev->now_ms = MAX(ev->now_ms, ev->heap[0]->at_ms);
	ev_timers_run(ev);
	return true;
}

static void ev_sim_run(struct ev *ev)
{
	struct ev_sim *sim = (struct ev_sim *)ev;

	sim->stopped = false;
	while (!sim->stopped && ev_sim_step(sim, UINT64_MAX))
		;
}

bool ev_sim_run_for(struct ev *ev, uint64_t ms)
{
	struct ev_sim *sim = (struct ev_sim *)ev;
	uint64_t until = ev->now_ms + ms;

	sim->stopped = false;
	while (!sim->stopped && ev_sim_step(sim, until))
		;
	if (!sim->stopped)
		ev->now_ms = until;
	return ev->n_heap > 0 || !list_empty(&ev->tasks);
}

static void ev_sim_stop(struct ev *ev)
{
	((struct ev_sim *)ev)->stopped = true;
}

static uint64_t ev_sim_now_ns(struct ev *ev)
{
	return ev->now_ms * 1000000;
}

static int64_t ev_sim_wall_ms(struct ev *ev)
{
	return SIM_EPOCH_MS + ((struct ev_sim *)ev)->wall_ahead_ms + (int64_t)ev->now_ms;
}

void ev_sim_jump_wall(struct ev *ev, int64_t ms)
{
	((struct ev_sim *)ev)->wall_ahead_ms += ms;
}

/* Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (SplitMix64). */
static uint64_t ev_sim_random_next(struct ev_sim *sim)
{
	uint64_t z = sim->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void ev_sim_random(struct ev *ev, void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		uint64_t word = ev_sim_random_next((struct ev_sim *)ev);
		size_t n = MIN(len, sizeof word);

		memcpy(p, &word, n);
		p += n;
		len -= n;
	}
}

static int ev_sim_io_new(struct ev *ev, int fd, void (*fn)(void *, int), void *arg,
			 struct ev_io **out)
{
	return ERR_UNSUPPORTED;
}

static int ev_sim_signal_new(struct ev *ev, int signum, void (*fn)(void *), void *arg,
			     struct ev_signal **out)
{
	return ERR_UNSUPPORTED;
}

static int ev_sim_watch_new(struct ev *ev, const char *dir, void (*fn)(void *), void *arg,
			    struct ev_watch **out)
{
	return ERR_UNSUPPORTED;
}

static void ev_sim_work_done(void *arg)
{
	struct ev_work *w = arg;

	w->done(w->arg);
	free(w);
}

static int ev_sim_work(struct ev *ev, void (*fn)(void *), void (*done)(void *), void *arg,
		       struct ev_work **out)
{
	struct ev_work *w = calloc(1, sizeof *w);

	if (w == NULL)
		return ERR_NOMEM;
	fn(arg);
	*w = (struct ev_work){.task = {.fn = ev_sim_work_done, .arg = w},
			      .ev = ev,
			      .done = done,
			      .arg = arg};
	ev_task_run(ev, &w->task);
	*out = w;
	return 0;
}

/* It has been done already. */
static void ev_sim_work_forget(struct ev_work *w)
{
}

static void ev_sim_free(struct ev *ev)
{
	ev_fini(ev);
	free(ev);
}

static const struct ev_ops ev_sim_ops = {
	.run = ev_sim_run,
	.stop = ev_sim_stop,
	.free = ev_sim_free,
	.now_ns = ev_sim_now_ns,
	.wall_ms = ev_sim_wall_ms,
	.random = ev_sim_random,
	.io_new = ev_sim_io_new,
	.signal_new = ev_sim_signal_new,
	.watch_new = ev_sim_watch_new,
	.work = ev_sim_work,
	.work_forget = ev_sim_work_forget,
};

int ev_sim_new(uint64_t seed, struct ev **out)
{
	struct ev_sim *sim = calloc(1, sizeof *sim);
	int e;

	if (sim == NULL)
		return ERR_NOMEM;
	sim->random = seed;
	if ((e = ev_init(&sim->ev, &ev_sim_ops)) != 0) {
		ev_fini(&sim->ev);
		free(sim);
		return e;
	}
	*out = &sim->ev;
	return 0;
}
