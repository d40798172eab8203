/* A listening socket that survives a shortage of descriptors. */
#ifndef KAREZ_NET_NET_LISTEN_H
#define KAREZ_NET_NET_LISTEN_H

#include "ev/ev.h"
#include "net/net_addr.h"

struct net_listener;

struct net_listen_opt {
	struct net_addr addr;
	int backlog; /* 0: the kernel's maximum */
	/*
	 * A connection was accepted.
	 *   fd    owned by the callee from now on, non-blocking.
	 *   peer  borrowed for the call.
	 */
	void (*accepted)(void *arg, int fd, const struct net_addr *peer);
	void *arg;
	struct log *log; /* borrowed: the process's */
};

/*
 * Bind and listen. A stale unix socket that nobody answers on is replaced.
 * Returns 0, ERR_INUSE, ERR_DENIED, ERR_INVAL, ERR_NOFILE, ERR_NOMEM.
 *
 * Out of descriptors it stops accepting for a moment, says so once, and says so again when it has
 * recovered; waiting connections stay in the kernel's queue meanwhile.
 */
int net_listen(struct ev *ev, const struct net_listen_opt *opt,
	       struct net_listener **out) MUST_CHECK;

/* The address in force, with the port the kernel chose for port 0. */
const struct net_addr *net_listener_addr(const struct net_listener *l);

/* NULL is allowed. */
void net_listener_free(struct net_listener *l);

#endif
