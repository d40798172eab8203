/*
 * Descriptors, by epoll itself and not by libuv.
 *
 * libuv asks the kernel four times for one that is opened, read and closed, and twice for each
 * change of what is wanted (doc/decisions/0006-own-turn.md has what that cost). Here a
 * change costs nothing until the loop lies down, and reading that is no longer wanted costs nothing
 * until there is something to read.
 */
#include "ev/ev_epoll.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

struct ev_io {
	struct ev_epoll *set; /* borrowed: outlives its ios */
	void (*fn)(void *arg, int events);
	void *arg;
	struct list change; /* in set->changes */
	int fd;
	int wanted;  /* EV_READ, EV_WRITE */
	int watched; /* the same, as the kernel knows it */
	bool asked;  /* something was wanted at least once: failures are told */
	bool exact;  /* the kernel tells what is not wanted: it is to know better */
	bool over;   /* failed or freed: nothing is told any more, the kernel has forgotten it */
};

/*
 * Failures and "both ends have finished" come whatever we ask for. While nothing is wanted they are
 * to come once (edge-triggered), or the loop would not lie down.
 */
static uint32_t ev_epoll_mask(int events)
{
	if (events == 0)
		return EPOLLET;
	return (events & EV_READ ? EPOLLIN : 0) | (events & EV_WRITE ? EPOLLOUT : 0);
}

static int ev_epoll_ctl(struct ev_io *io, int op)
{
	struct epoll_event e = {.events = ev_epoll_mask(io->watched), .data.ptr = io};

	return epoll_ctl(io->set->fd, op, io->fd, &e);
}

/* Must the kernel be told? To be writable no more is: most descriptors are, all the time. */
static bool ev_io_is_stale(const struct ev_io *io)
{
	int missing = io->wanted & ~io->watched, extra = io->watched & ~io->wanted;

	return missing != 0 || (extra & EV_WRITE) || (io->exact && extra != 0);
}

static void ev_io_update(struct ev_io *io)
{
	if (ev_io_is_stale(io) && !list_linked(&io->change))
		list_push(&io->set->changes, &io->change);
}

/* It tells what is not wanted. */
static void ev_io_narrow(struct ev_io *io)
{
	io->exact = (io->watched & ~io->wanted) != 0;
	ev_io_update(io);
}

/* Let the kernel know what has changed. */
static void ev_epoll_flush(struct ev_epoll *p)
{
	struct list *link;

	while ((link = list_pop(&p->changes)) != NULL) {
		struct ev_io *io = CONTAINER_OF(link, struct ev_io, change);

		if (ev_io_is_stale(io)) {
			io->watched = io->wanted;
			CHECK(ev_epoll_ctl(io, EPOLL_CTL_MOD) == 0);
		}
		io->exact = false;
	}
}

/* Nothing more is heard of it. */
static void ev_io_forget(struct ev_io *io)
{
	io->over = true;
	io->wanted = 0;
	list_del(&io->change);
	(void)ev_epoll_ctl(io, EPOLL_CTL_DEL);
}

static void ev_io_tell(struct ev_io *io, uint32_t found)
{
	int events = 0;

	if (io->over) /* by a callback in this batch */
		return;
	if ((found & EPOLLERR) && io->asked) {
		ev_io_forget(io);
		io->fn(io->arg, EV_ERROR);
		return;
	}
	if (found & (EPOLLIN | EPOLLHUP))
		events |= EV_READ;
	if (found & (EPOLLOUT | EPOLLHUP))
		events |= EV_WRITE;
	events &= io->wanted;
	if (events != 0)
		io->fn(io->arg, events);
	else
		ev_io_narrow(io);
}

void ev_epoll_wait(struct ev_epoll *p, int ms)
{
	ev_epoll_flush(p);
	p->n_found = epoll_wait(p->fd, p->found, EV_EPOLL_BATCH, ms);
	CHECK(p->n_found >= 0 || errno == EINTR);
}

void ev_epoll_tell(struct ev_epoll *p)
{
	for (int i = 0; i < p->n_found; i++)
		ev_io_tell(p->found[i].data.ptr, p->found[i].events);
	p->n_found = 0;
}

int ev_epoll_io_new(struct ev_epoll *p, int fd, void (*fn)(void *, int), void *arg,
		    struct ev_io **out)
{
	struct ev_io *io = calloc(1, sizeof *io);
	int e;

	if (io == NULL)
		return ERR_NOMEM;
	io->set = p;
	io->fn = fn;
	io->arg = arg;
	io->fd = fd;
	io->watched = EV_READ; /* a good guess */
	if (ev_epoll_ctl(io, EPOLL_CTL_ADD) != 0) {
		e = err_from_errno(errno);
		free(io);
		return e;
	}
	p->n_ios++;
	*out = io;
	return 0;
}

void ev_io_want(struct ev_io *io, int events)
{
	if (io->wanted == events || io->over)
		return;
	io->wanted = events;
	io->asked = true;
	ev_io_update(io);
}

void ev_io_free(struct ev_io *io)
{
	struct ev_epoll *p;

	if (io == NULL)
		return;
	p = io->set;
	if (!io->over)
		ev_io_forget(io);
	p->n_ios--;
	ev_free_later(p->ev, io); /* the batch may still name it */
}

int ev_epoll_init(struct ev_epoll *p, struct ev *ev)
{
	*p = (struct ev_epoll){.ev = ev, .fd = epoll_create1(EPOLL_CLOEXEC)};
	list_init(&p->changes);
	return p->fd >= 0 ? 0 : err_from_errno(errno);
}

void ev_epoll_fini(struct ev_epoll *p)
{
	CHECK(p->n_ios == 0);
	if (p->fd >= 0)
		close(p->fd);
}
