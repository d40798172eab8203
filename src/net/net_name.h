/* Does a host name lead anywhere? For telling a person of a mistake before anybody runs into it. */
#ifndef KAREZ_NET_NET_NAME_H
#define KAREZ_NET_NET_NAME_H

#include "base/str.h"
#include "ev/ev.h"

/*
 * Is this name this machine, whatever the resolver thinks: "localhost", and what is below it? No
 * thread is needed for it, and no file that a process short of descriptors cannot open.
 * Source: RFC 6761 6.3.
 */
bool net_name_is_here(struct str host);

struct net_name;

struct net_name_opt {
	const char *host; /* a name, no address; copied */
	uint32_t timeout_ms;
	/*
	 * Told exactly once, never before net_name_ask() returns.
	 *   e  0 (it has an address), ERR_NOTFOUND (there is no such name, or it has none),
	 *      ERR_TIMEOUT (nobody has said so in time), ERR_RESOLVE (nobody could say), ERR_NOMEM.
	 */
	void (*done)(void *arg, int e);
	void *arg;
};

/*
 * Ask as the system does (getaddrinfo), on a thread. What net_name_is_here() is always there.
 * Returns 0 or ERR_NOMEM.
 */
int net_name_ask(struct ev *ev, const struct net_name_opt *opt, struct net_name **out) MUST_CHECK;

/* done() is not called any more. NULL is allowed; after done() the object is gone by itself. */
void net_name_cancel(struct net_name *n);

#endif
