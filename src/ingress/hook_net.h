/*
 * How the ingress reaches the services that decide about visitors. An interface, so that the whole
 * ingress also runs on memory wires and virtual time.
 */
#ifndef KAREZ_INGRESS_HOOK_NET_H
#define KAREZ_INGRESS_HOOK_NET_H

#include "proto/url.h"
#include "wire/wire.h"

struct hook_net;

/* One attempt under way; each kind has its own. */
struct hook_dial;

struct hook_dial_opt {
	const struct url *to; /* http or https; copied as far as it is needed */
	uint32_t timeout_ms;  /* for resolving and connecting together */
	/*
	 * Told exactly once, never before dial() returns; the attempt is gone afterwards.
	 *   e  0 and a wire that the callee owns, over TLS if the URL says so (its handshake may
	 *      still run); or why not, and NULL.
	 */
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

struct hook_net_ops {
	/* Returns 0 or ERR_NOMEM; every other failure comes through done(). */
	int (*dial)(struct hook_net *net, const struct hook_dial_opt *opt, struct hook_dial **out);
	/* done() is not called any more. */
	void (*cancel)(struct hook_dial *d);
};

/* The head of every kind. */
struct hook_net {
	const struct hook_net_ops *ops;
};

#endif
