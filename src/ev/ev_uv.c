/*
 * The real loop, and the only file that knows libuv.
 *
 * libuv brings readiness, signals, the thread pool and the clock. The tasks of a turn run in a
 * "check" handle (after descriptors) and in a "prepare" handle (after timers, before sleeping).
 */
#include <poll.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <uv.h>

#include "base/err.h"
#include "ev/ev_internal.h"

struct ev_uv {
	struct ev ev; /* first: the two are the same pointer */
	uv_loop_t loop;
	uv_timer_t timer;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle; /* active while tasks are left over: keeps the loop from sleeping */
};

struct ev_io {
	uv_poll_t poll;
	struct ev *ev;
	void (*fn)(void *arg, int events);
	void *arg;
	int wanted;
	bool failed;
};

struct ev_signal {
	uv_signal_t signal;
	struct ev *ev;
	void (*fn)(void *arg);
	void *arg;
};

struct ev_work {
	uv_work_t req;
	struct ev *ev;
	void (*fn)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static struct ev_uv *ev_uv_of(struct ev *ev)
{
	return (struct ev_uv *)ev;
}

static int ev_uv_err(int status)
{
	return err_from_errno(-status); /* on Unix libuv's codes are negated errno values */
}

static void ev_uv_tick(struct ev *ev)
{
	ev->now_ms = uv_now(&ev_uv_of(ev)->loop);
}

/* ---- the turn ---- */

static void ev_uv_on_idle(uv_idle_t *idle)
{
}

static void ev_uv_turn_end(struct ev_uv *u)
{
	ev_uv_tick(&u->ev);
	if (ev_turn_end(&u->ev))
		uv_idle_start(&u->idle, ev_uv_on_idle);
	else if (uv_is_active((uv_handle_t *)&u->idle))
		uv_idle_stop(&u->idle);
}

static void ev_uv_on_prepare(uv_prepare_t *prepare)
{
	ev_uv_turn_end(prepare->data);
}

static void ev_uv_on_check(uv_check_t *check)
{
	ev_uv_turn_end(check->data);
}

static void ev_uv_on_timer(uv_timer_t *timer)
{
	struct ev_uv *u = timer->data;

	ev_uv_tick(&u->ev);
	ev_timers_run(&u->ev);
}

static void ev_uv_arm(struct ev *ev, uint64_t at_ms)
{
	struct ev_uv *u = ev_uv_of(ev);
	uint64_t now = uv_now(&u->loop);

	if (at_ms == UINT64_MAX)
		uv_timer_stop(&u->timer);
	else
		uv_timer_start(&u->timer, ev_uv_on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static void ev_uv_run(struct ev *ev)
{
	uv_update_time(&ev_uv_of(ev)->loop);
	/* Tasks asked for before: alone they do not keep libuv running. */
	ev_uv_turn_end(ev_uv_of(ev));
	uv_run(&ev_uv_of(ev)->loop, UV_RUN_DEFAULT);
}

static void ev_uv_stop(struct ev *ev)
{
	uv_stop(&ev_uv_of(ev)->loop);
}

static uint64_t ev_uv_now_ns(struct ev *ev)
{
	return uv_hrtime();
}

static int64_t ev_uv_wall_ms(struct ev *ev)
{
	uv_timeval64_t tv;

	CHECK(uv_gettimeofday(&tv) == 0);
	return tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

static void ev_uv_random(struct ev *ev, void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		CHECK(n > 0);
		p += n;
		len -= (size_t)n;
	}
}

/* ---- descriptors ---- */

/* libuv tells EPOLLERR alone as if it were what we waited for. */
static bool ev_uv_has_failed(const struct ev_io *io)
{
	struct pollfd p = {.fd = -1};

	return uv_fileno((const uv_handle_t *)&io->poll, &p.fd) == 0 && poll(&p, 1, 0) == 1 &&
	       (p.revents & POLLERR) != 0;
}

static void ev_uv_on_poll(uv_poll_t *poll, int status, int uv_events)
{
	struct ev_io *io = poll->data;
	int events = 0;

	ev_uv_tick(io->ev);
	if (status < 0 || (io->wanted == 0 && ev_uv_has_failed(io))) {
		io->failed = true;
		io->wanted = 0;
		events = EV_ERROR;
	} else {
		if (uv_events & UV_READABLE)
			events |= EV_READ;
		if (uv_events & UV_WRITABLE)
			events |= EV_WRITE;
		events &= io->wanted;
	}
	/* Urgent data, or both ends have finished: neither is a failure, and both would stay. */
	if (io->wanted == 0)
		uv_poll_stop(poll);
	if (events != 0)
		io->fn(io->arg, events);
}

static int ev_uv_io_new(struct ev *ev, int fd, void (*fn)(void *, int), void *arg,
			struct ev_io **out)
{
	struct ev_io *io = calloc(1, sizeof *io);
	int status;

	if (io == NULL)
		return ERR_NOMEM;
	if ((status = uv_poll_init(&ev_uv_of(ev)->loop, &io->poll, fd)) != 0) {
		free(io);
		return ev_uv_err(status);
	}
	io->poll.data = io;
	io->ev = ev;
	io->fn = fn;
	io->arg = arg;
	*out = io;
	return 0;
}

void ev_io_want(struct ev_io *io, int events)
{
	int uv_events = 0;

	if (io->wanted == events || io->failed)
		return;
	io->wanted = events;
	if (events & EV_READ)
		uv_events |= UV_READABLE;
	if (events & EV_WRITE)
		uv_events |= UV_WRITABLE;
	/* a failure is told unasked: urgent data stands for "nothing" (0 would stop the watching)
	 */
	uv_poll_start(&io->poll, uv_events == 0 ? UV_PRIORITIZED : uv_events, ev_uv_on_poll);
}

static void ev_uv_on_io_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void ev_io_free(struct ev_io *io)
{
	if (io == NULL)
		return;
	io->wanted = 0;
	uv_close((uv_handle_t *)&io->poll, ev_uv_on_io_closed);
}

/* ---- signals ---- */

static void ev_uv_on_signal(uv_signal_t *signal, int signum)
{
	struct ev_signal *s = signal->data;

	ev_uv_tick(s->ev);
	s->fn(s->arg);
}

static int ev_uv_signal_new(struct ev *ev, int signum, void (*fn)(void *), void *arg,
			    struct ev_signal **out)
{
	struct ev_signal *s = calloc(1, sizeof *s);
	int status;

	if (s == NULL)
		return ERR_NOMEM;
	s->signal.data = s;
	s->ev = ev;
	s->fn = fn;
	s->arg = arg;
	if ((status = uv_signal_init(&ev_uv_of(ev)->loop, &s->signal)) != 0) {
		free(s);
		return ev_uv_err(status);
	}
	uv_unref((uv_handle_t *)&s->signal);
	if ((status = uv_signal_start(&s->signal, ev_uv_on_signal, signum)) != 0) {
		ev_signal_free(s);
		return ev_uv_err(status);
	}
	*out = s;
	return 0;
}

static void ev_uv_on_signal_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void ev_signal_free(struct ev_signal *s)
{
	if (s != NULL)
		uv_close((uv_handle_t *)&s->signal, ev_uv_on_signal_closed);
}

/* ---- blocking work ---- */

static void ev_uv_on_work(uv_work_t *req)
{
	struct ev_work *w = req->data;

	w->fn(w->arg);
}

static void ev_uv_on_work_done(uv_work_t *req, int status)
{
	struct ev_work *w = req->data;

	ev_uv_tick(w->ev);
	w->done(w->arg);
	free(w);
}

static int ev_uv_work(struct ev *ev, void (*fn)(void *), void (*done)(void *), void *arg)
{
	struct ev_work *w = calloc(1, sizeof *w);

	if (w == NULL)
		return ERR_NOMEM;
	w->req.data = w;
	w->ev = ev;
	w->fn = fn;
	w->done = done;
	w->arg = arg;
	CHECK(uv_queue_work(&ev_uv_of(ev)->loop, &w->req, ev_uv_on_work, ev_uv_on_work_done) == 0);
	return 0;
}

/* ---- life ---- */

static void ev_uv_free(struct ev *ev)
{
	struct ev_uv *u = ev_uv_of(ev);

	while (ev_turn_end(ev))
		;
	uv_close((uv_handle_t *)&u->timer, NULL);
	uv_close((uv_handle_t *)&u->prepare, NULL);
	uv_close((uv_handle_t *)&u->check, NULL);
	uv_close((uv_handle_t *)&u->idle, NULL);
	/* Lets close callbacks and running work finish; again if one of them calls ev_stop(). */
	while (uv_run(&u->loop, UV_RUN_DEFAULT) != 0)
		;
	CHECK(uv_loop_close(&u->loop) == 0);
	ev_fini(ev);
	free(u);
}

static const struct ev_ops ev_uv_ops = {
	.run = ev_uv_run,
	.stop = ev_uv_stop,
	.free = ev_uv_free,
	.now_ns = ev_uv_now_ns,
	.wall_ms = ev_uv_wall_ms,
	.random = ev_uv_random,
	.arm = ev_uv_arm,
	.io_new = ev_uv_io_new,
	.signal_new = ev_uv_signal_new,
	.work = ev_uv_work,
};

int ev_new(struct ev **out)
{
	struct ev_uv *u = calloc(1, sizeof *u);
	int e;

	if (u == NULL)
		return ERR_NOMEM;
	if ((e = ev_init(&u->ev, &ev_uv_ops)) != 0)
		goto fail;
	if ((e = uv_loop_init(&u->loop)) != 0) {
		e = ev_uv_err(e);
		goto fail;
	}
	u->timer.data = u->prepare.data = u->check.data = u;
	uv_timer_init(&u->loop, &u->timer);
	uv_prepare_init(&u->loop, &u->prepare);
	uv_check_init(&u->loop, &u->check);
	uv_idle_init(&u->loop, &u->idle);
	uv_prepare_start(&u->prepare, ev_uv_on_prepare);
	uv_check_start(&u->check, ev_uv_on_check);
	uv_unref((uv_handle_t *)&u->prepare);
	uv_unref((uv_handle_t *)&u->check);
	ev_uv_tick(&u->ev);
	*out = &u->ev;
	return 0;
fail:
	ev_fini(&u->ev);
	free(u);
	return e;
}
