/*
 * The PROXY protocol towards us: a load balancer in front says, before the first byte of a
 * connection, whom it comes from. Only those whom the operator trusts may say so; a connection of
 * anybody else, or whose header is broken or late, is closed.
 */
#ifndef KAREZ_INGRESS_PROXY_READER_H
#define KAREZ_INGRESS_PROXY_READER_H

#include "proto/cidr.h"
#include "proto/proxy_protocol.h"
#include "wire/wire.h"

struct proxy_reader;

struct proxy_reader_opt {
	const struct cidr *trusted; /* [n_trusted] who may speak it; borrowed */
	size_t n_trusted;
	uint32_t header_ms; /* for the header to be complete */
	struct log *log;    /* borrowed: the process's */
};

int proxy_reader_new(struct ev *ev, const struct proxy_reader_opt *opt,
		     struct proxy_reader **out) MUST_CHECK;

/* All entrances must have been ended. NULL is allowed. */
void proxy_reader_free(struct proxy_reader *r);

/* May somebody with this address speak it? */
bool proxy_reader_trusts(const struct proxy_reader *r, const struct visit_end *peer);

/* Who comes, as the header says; the connection's own ends when it says nothing of them. */
struct proxy_visitor {
	struct visit_end peer, local;
	bool tls; /* the visitor spoke TLS to the proxy */
};

/* A door whose visitors have such headers. Embedded in its owner. */
struct proxy_entrance {
	struct list waiting;	     /* of connections whose header is not complete */
	struct proxy_reader *reader; /* borrowed: outlives the entrance */
	/*
	 * A header is complete.
	 *   w  owned by the callee; what follows the header is read from it next.
	 *   v  borrowed for the call.
	 */
	void (*come)(void *arg, struct wire *w, const struct proxy_visitor *v);
	void *arg;
};

void proxy_entrance_init(struct proxy_entrance *in, struct proxy_reader *r);

/* Read the header of a new connection.
 *   w     taken over.
 *   ends  its own ends; borrowed for the call. */
void proxy_entrance_serve(struct proxy_entrance *in, struct wire *w,
			  const struct proxy_visitor *ends);

/* Those who wait are turned away. */
void proxy_entrance_end(struct proxy_entrance *in);

#endif
