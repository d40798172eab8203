/*
 * A listening socket that survives a shortage of descriptors, and that can be paused: a paused one
 * has its address and costs a descriptor, but the loop does not know of it.
 */
#ifndef KAREZ_NET_NET_LISTEN_H
#define KAREZ_NET_NET_LISTEN_H

#include "ev/ev.h"
#include "net/net_addr.h"

struct net_listener;

struct net_listen_opt {
	struct net_addr addr;
	int backlog; /* 0: the kernel's maximum */
	bool paused; /* begin as net_listener_pause() leaves it */
	/* Those whom net_listener_share() allows it are not in the way; it may share, too. */
	bool shares;
	bool v6_alone; /* "::" is all IPv6 addresses, and not those of IPv4 */
	/* Whoever connects has to speak first: accept nobody before that, or a second later. For
	 * TCP; it saves a turn of the loop for each connection. */
	bool spoken_to;
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

/*
 * Refuse everybody who connects, also those who have not been accepted yet, and keep the address:
 * no other program gets it meanwhile. Connections that were accepted stay. Only for IP addresses
 * whose port was not left to the kernel: that one it would take back.
 */
void net_listener_pause(struct net_listener *l);

/*
 * Listen again; harmless when it does.
 * Returns 0 or, paused as before, ERR_INUSE, ERR_NOFILE, ERR_NOMEM.
 */
int net_listener_resume(struct net_listener *l) MUST_CHECK;

/*
 * May another listener of this process have the address, or one that stands for it, as well? Only
 * for IP addresses, and only for the moment in which that one binds or listens: meanwhile, and as
 * long as what has joined then listens, a program of the same user that asks for SO_REUSEPORT
 * might join, too.
 */
void net_listener_share(struct net_listener *l, bool on);

/*
 * Who connects from now on does not find this listener, as if it were gone, and comes to another
 * one that stands for the same address; who was on the way is accepted still. For ever.
 * Returns 0, or ERR_UNSUPPORTED, ERR_DENIED with nothing changed: Linux before 5.7.
 */
int net_listener_hide(struct net_listener *l) MUST_CHECK;

/* The address in force, with the port the kernel chose for port 0. */
const struct net_addr *net_listener_addr(const struct net_listener *l);

/* NULL is allowed. */
void net_listener_free(struct net_listener *l);

#endif
