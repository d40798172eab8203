/*
 * A listening socket that survives a shortage of descriptors, and that can be paused: a paused one
 * has its address and costs a descriptor, but the loop does not know of it.
 */
#ifndef KAREZ_NET_NET_LISTEN_H
#define KAREZ_NET_NET_LISTEN_H

#include "ev/ev.h"
#include "net/net_addr.h"

struct net_listener;

/* An IP address that is in use is asked for again during this time, in milliseconds: another
 * process may be about to leave it, see net_listener_hide(). It blocks; not with `paused`. */
#define NET_LISTEN_PATIENCE_MS 300

struct net_listen_opt {
	struct net_addr addr; /* not with fd */
	/* > 0: a socket that listens already, which others may accept from as well; owned from a
	 * successful call on. Closing it here leaves it to them, with its address. Not to be
	 * paused, shared or hidden. */
	int fd;
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
 * Bind and listen without a loop, for others to accept from: later, or in another process.
 *   opt  addr, backlog, v6_alone and spoken_to count.
 *   *fd  set on success; closed on exec, non-blocking.
 * Returns as net_listen().
 */
int net_listen_open(const struct net_listen_opt *opt, int *fd) MUST_CHECK;

/*
 * Make a socket fit for net_listen_opt.fd that somebody else has opened: closed on exec and
 * non-blocking, which is so for all who have it.
 *   addr  set to its address.
 * Returns 0 or ERR_INVAL: it is no socket that listens.
 */
int net_listen_adopt(int fd, struct net_addr *addr) MUST_CHECK;

/* What net_listener_hide() does, of an IP socket without a loop. Returns as that does. */
int net_listen_hide(int fd) MUST_CHECK;

/*
 * The socket of a listener, which stays its: for handing a copy to another process.
 */
int net_listener_fd(const struct net_listener *l);

/* A socket that was given by net_listen_opt.fd is nobody else's any more: it may be paused, shared
 * and hidden as one that was made here. */
void net_listener_own(struct net_listener *l);

/* Shall programs that are started have it? Not before this is said, nor after on is false. */
void net_listen_inherit(int fd, bool on);

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
 * one that stands for the same address; who was on the way is accepted still. For ever. The path of
 * a unix socket is removed.
 * Returns 0, or ERR_UNSUPPORTED, ERR_DENIED with nothing changed: Linux before 5.7, or others have
 * the socket as well (net_listen_opt.fd).
 */
int net_listener_hide(struct net_listener *l) MUST_CHECK;

/* The address in force, with the port the kernel chose for port 0. */
const struct net_addr *net_listener_addr(const struct net_listener *l);

/* NULL is allowed. */
void net_listener_free(struct net_listener *l);

#endif
