/*
 * Reaching a host: resolve its name, try its addresses, give back a connected descriptor.
 * Source: RFC 8305 (Happy Eyeballs).
 */
#ifndef KAREZ_NET_NET_CONNECT_H
#define KAREZ_NET_NET_CONNECT_H

#include "ev/ev.h"
#include "net/net_addr.h"

struct net_connect;

/* Addresses tried for one name, at most. */
#define NET_CONNECT_TRIES 8

/* While an address is silent the next one is tried after so many milliseconds. Source: RFC 8305 8
 * (Connection Attempt Delay). */
#define NET_CONNECT_MOMENT_MS 250

struct net_connect_opt {
	const char
		*host; /* name, IP literal without brackets, or "/path" of a unix socket; copied */
	uint16_t port;
	uint32_t timeout_ms; /* for everything together */
	/*
	 * "localhost": is 127.0.0.1 tried before ::1? Written when one of the two has answered, so
	 * that the next attempt begins there. NULL: no; else it outlives the attempt.
	 */
	bool *v4_first;
	/*
	 * Told exactly once, never before net_connect_start() returns.
	 *   e   0 and a descriptor that the callee owns; or the most telling of the failures, and
	 *      -1.
	 */
	void (*done)(void *arg, int e, int fd);
	void *arg;
};

/* Returns 0 or ERR_NOMEM; every other failure comes through done(). */
int net_connect_start(struct ev *ev, const struct net_connect_opt *opt,
		      struct net_connect **out) MUST_CHECK;

/* done() is not called any more. NULL is allowed; after done() the object is gone by itself. */
void net_connect_cancel(struct net_connect *c);

#endif
