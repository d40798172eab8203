/*
 * How an agent reaches others: its server, and the targets on its own side. An interface, so that
 * the whole agent also runs on memory wires and virtual time.
 */
#ifndef KAREZ_AGENT_AGENT_NET_H
#define KAREZ_AGENT_AGENT_NET_H

#include "proto/url.h"
#include "wire/wire.h"

struct agent_net;

/* One attempt under way; each kind has its own. */
struct agent_dial;

struct agent_dial_opt {
	const struct url *to; /* copied as far as it is needed */
	bool server;	      /* the carrier of a session, not a target */
	bool insecure;	      /* of a target: any certificate will do */
	uint32_t timeout_ms;  /* for resolving and connecting together */
	bool *v4_first;	      /* kept by the attempts, see net/net_connect.h; may be NULL */
	/*
	 * Told exactly once, never before dial() returns; the attempt is gone afterwards.
	 *   e  0 and a wire that the callee owns, over TLS if the URL says so (its handshake may
	 *      still run); or why not, and NULL.
	 */
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

struct agent_net_ops {
	int (*dial)(struct agent_net *net, const struct agent_dial_opt *opt,
		    struct agent_dial **out);
	void (*cancel)(struct agent_dial *d);
	const char *(*explain)(struct agent_net *net, const struct url *to, const struct wire *w);
};

/* The head of every kind. */
struct agent_net {
	const struct agent_net_ops *ops;
};

/* Returns 0 or ERR_NOMEM; every other failure comes through done(). */
MUST_CHECK
static inline int agent_net_dial(struct agent_net *net, const struct agent_dial_opt *opt,
				 struct agent_dial **out)
{
	return net->ops->dial(net, opt, out);
}

/* done() is not called any more. NULL is allowed. */
static inline void agent_net_cancel(struct agent_net *net, struct agent_dial *d)
{
	if (d != NULL)
		net->ops->cancel(d);
}

/*
 * Why a wire of this net is broken, beyond its ERR_*: "certificate has expired".
 *   to  as it was dialled; only servers are asked about.
 *   w   NULL, inside done() of an attempt that has failed: why that has.
 * Returns a NUL-terminated text that lives as long as the wire, or until the next such question; ""
 * if there is no more to say.
 */
static inline const char *agent_net_explain(struct agent_net *net, const struct url *to,
					    const struct wire *w)
{
	return net->ops->explain(net, to, w);
}

#endif
