/* The descriptors of the real loop: private to ev/. */
#ifndef KAREZ_EV_EV_EPOLL_H
#define KAREZ_EV_EV_EPOLL_H

#include <sys/epoll.h>

#include "ev/ev_internal.h"

/* Told in one go before timers and tasks have a say. */
#define EV_EPOLL_BATCH 256

struct ev_epoll {
	struct ev *ev;	     /* borrowed: has us inside */
	struct list changes; /* of ev_io.change, weak: an io takes itself out */
	size_t n_ios;
	int fd; /* owned */
	int n_found;
	struct epoll_event found[EV_EPOLL_BATCH]; /* [n_found], not told yet */
};

/* Returns 0, ERR_NOFILE or ERR_NOMEM. */
int ev_epoll_init(struct ev_epoll *p, struct ev *ev) MUST_CHECK;

/* Every io must be freed. Harmless after a failed ev_epoll_init(). */
void ev_epoll_fini(struct ev_epoll *p);

/* As ev_io_new(). */
int ev_epoll_io_new(struct ev_epoll *p, int fd, void (*fn)(void *, int), void *arg,
		    struct ev_io **out) MUST_CHECK;

/*
 * Sleep until there is something to tell.
 *   ms  not longer than that, milliseconds; 0: not at all, -1: for as long as it takes.
 */
void ev_epoll_wait(struct ev_epoll *p, int ms);

/* Tell what ev_epoll_wait() has found. */
void ev_epoll_tell(struct ev_epoll *p);

#endif
