/*
 * The real loop, and the only file that knows libuv.
 *
 * The turn and its descriptors are ours (ev_epoll.c); libuv brings signals, changes of
 * folders, the thread pool and the clock. Its loop is one more descriptor, and has its say when
 * that is ready, or when we have asked it for something: it tells the kernel only then.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/random.h>
#include <uv.h>

#include "base/err.h"
#include "ev/ev_epoll.h"
#include "ev/ev_internal.h"

struct ev_uv {
	struct ev ev; /* first: the two are the same pointer */
	struct ev_epoll epoll;
	uv_loop_t loop;
	struct ev_io *io; /* owned; of the loop's own descriptor */
	uv_check_t keep;  /* the loop looks at nothing while it has nothing active */
	size_t n_works;
	bool asked; /* libuv has been asked for something that it has not looked at */
	bool stopped;
};

struct ev_signal {
	uv_signal_t signal;
	struct ev *ev;
	void (*fn)(void *arg);
	void *arg;
};

struct ev_watch {
	uv_fs_event_t event;
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
	ev->now_ms = uv_hrtime() / 1000000;
}

/* ---- the turn ---- */

static void ev_uv_on_check(uv_check_t *check)
{
}

/* Signals that have come, and work that is done. */
static void ev_uv_serve(struct ev_uv *u)
{
	u->asked = false;
	uv_run(&u->loop, UV_RUN_NOWAIT);
}

static void ev_uv_on_ready(void *arg, int events)
{
	ev_uv_serve(arg);
}

/* Is there anything that could still happen? Signals and folders alone do not count. */
static bool ev_uv_is_alive(const struct ev_uv *u)
{
	return u->epoll.n_ios > 1 || u->ev.n_heap > 0 || u->n_works > 0 ||
	       !list_empty(&u->ev.tasks);
}

/* How long the loop may sleep, in milliseconds; -1: until something comes. */
static int ev_uv_rest(const struct ev_uv *u)
{
	uint64_t at = u->ev.n_heap > 0 ? u->ev.heap[0]->at_ms : UINT64_MAX;

	if (u->asked || !list_empty(&u->ev.tasks) || at <= u->ev.now_ms)
		return 0;
	return at == UINT64_MAX ? -1 : (int)MIN(at - u->ev.now_ms, (uint64_t)INT_MAX);
}

static void ev_uv_turn(struct ev_uv *u)
{
	ev_epoll_wait(&u->epoll, ev_uv_rest(u));
	ev_uv_tick(&u->ev);
	ev_epoll_tell(&u->epoll);
	if (u->asked)
		ev_uv_serve(u);
	ev_timers_run(&u->ev);
	ev_turn_end(&u->ev);
}

static void ev_uv_run(struct ev *ev)
{
	struct ev_uv *u = ev_uv_of(ev);

	ev_uv_tick(ev);
	ev_turn_end(ev); /* tasks asked for before */
	while (!u->stopped && ev_uv_is_alive(u))
		ev_uv_turn(u);
	u->stopped = false;
}

static void ev_uv_stop(struct ev *ev)
{
	ev_uv_of(ev)->stopped = true;
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

static int ev_uv_io_new(struct ev *ev, int fd, void (*fn)(void *, int), void *arg,
			struct ev_io **out)
{
	return ev_epoll_io_new(&ev_uv_of(ev)->epoll, fd, fn, arg, out);
}

/* ---- signals ---- */

static void ev_uv_on_signal(uv_signal_t *signal, int signum)
{
	struct ev_signal *s = signal->data;

	s->fn(s->arg);
}

static int ev_uv_signal_new(struct ev *ev, int signum, void (*fn)(void *), void *arg,
			    struct ev_signal **out)
{
	struct ev_signal *s = calloc(1, sizeof *s);
	int status;

	if (s == NULL)
		return ERR_NOMEM;
	ev_uv_of(ev)->asked = true;
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
	if (s == NULL)
		return;
	ev_uv_of(s->ev)->asked = true;
	uv_close((uv_handle_t *)&s->signal, ev_uv_on_signal_closed);
}

/* ---- folders ---- */

static void ev_uv_on_watch(uv_fs_event_t *event, const char *name, int events, int status)
{
	struct ev_watch *w = event->data;

	w->fn(w->arg);
}

static int ev_uv_watch_new(struct ev *ev, const char *dir, void (*fn)(void *), void *arg,
			   struct ev_watch **out)
{
	struct ev_watch *w = calloc(1, sizeof *w);
	int status;

	if (w == NULL)
		return ERR_NOMEM;
	ev_uv_of(ev)->asked = true;
	w->event.data = w;
	w->ev = ev;
	w->fn = fn;
	w->arg = arg;
	if ((status = uv_fs_event_init(&ev_uv_of(ev)->loop, &w->event)) != 0) {
		free(w);
		return ev_uv_err(status);
	}
	uv_unref((uv_handle_t *)&w->event);
	if ((status = uv_fs_event_start(&w->event, ev_uv_on_watch, dir, 0)) != 0) {
		ev_watch_free(w);
		return ev_uv_err(status);
	}
	*out = w;
	return 0;
}

static void ev_uv_on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void ev_watch_free(struct ev_watch *w)
{
	if (w == NULL)
		return;
	ev_uv_of(w->ev)->asked = true;
	uv_close((uv_handle_t *)&w->event, ev_uv_on_watch_closed);
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

	ev_uv_of(w->ev)->n_works--;
	w->done(w->arg);
	free(w);
}

static int ev_uv_work(struct ev *ev, void (*fn)(void *), void (*done)(void *), void *arg,
		      struct ev_work **out)
{
	struct ev_work *w = calloc(1, sizeof *w);

	if (w == NULL)
		return ERR_NOMEM;
	w->req.data = w;
	w->ev = ev;
	w->fn = fn;
	w->done = done;
	w->arg = arg;
	ev_uv_of(ev)->n_works++;
	CHECK(uv_queue_work(&ev_uv_of(ev)->loop, &w->req, ev_uv_on_work, ev_uv_on_work_done) == 0);
	*out = w;
	return 0;
}

static void ev_uv_work_forget(struct ev_work *w)
{
	(void)uv_cancel((uv_req_t *)&w->req); /* refused when it has begun: then it is done */
}

/* ---- life ---- */

static void ev_uv_free(struct ev *ev)
{
	struct ev_uv *u = ev_uv_of(ev);

	while (ev_turn_end(ev))
		;
	uv_close((uv_handle_t *)&u->keep, NULL);
	/* Lets close callbacks and running work finish. */
	while (uv_run(&u->loop, UV_RUN_DEFAULT) != 0)
		;
	ev_io_free(u->io);
	CHECK(uv_loop_close(&u->loop) == 0);
	ev_fini(ev);
	ev_epoll_fini(&u->epoll);
	free(u);
}

static const struct ev_ops ev_uv_ops = {
	.run = ev_uv_run,
	.stop = ev_uv_stop,
	.free = ev_uv_free,
	.now_ns = ev_uv_now_ns,
	.wall_ms = ev_uv_wall_ms,
	.random = ev_uv_random,
	.io_new = ev_uv_io_new,
	.signal_new = ev_uv_signal_new,
	.watch_new = ev_uv_watch_new,
	.work = ev_uv_work,
	.work_forget = ev_uv_work_forget,
};

static int ev_uv_init_loop(struct ev_uv *u)
{
	int e = uv_loop_init(&u->loop);

	if (e != 0)
		return ev_uv_err(e);
	e = ev_epoll_io_new(&u->epoll, uv_backend_fd(&u->loop), ev_uv_on_ready, u, &u->io);
	if (e != 0) {
		CHECK(uv_loop_close(&u->loop) == 0);
		return e;
	}
	ev_io_want(u->io, EV_READ);
	uv_check_init(&u->loop, &u->keep);
	uv_check_start(&u->keep, ev_uv_on_check);
	u->asked = true;
	return 0;
}

int ev_new(struct ev **out)
{
	struct ev_uv *u = calloc(1, sizeof *u);
	int e;

	if (u == NULL)
		return ERR_NOMEM;
	if ((e = ev_init(&u->ev, &ev_uv_ops)) != 0)
		goto fail;
	if ((e = ev_epoll_init(&u->epoll, &u->ev)) != 0)
		goto fail;
	if ((e = ev_uv_init_loop(u)) != 0) {
		ev_epoll_fini(&u->epoll);
		goto fail;
	}
	ev_uv_tick(&u->ev);
	*out = &u->ev;
	return 0;
fail:
	ev_fini(&u->ev);
	free(u);
	return e;
}
