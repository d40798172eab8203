/* Somebody on the public side: one request after the other, checked to the last byte. */
#ifndef KAREZ_SIM_VISITOR_H
#define KAREZ_SIM_VISITOR_H

#include "base/buf.h"
#include "proto/http_body.h"
#include "sim/quest.h"
#include "wire/wire.h"

/* A request must come to an end of any kind within this time, in milliseconds. */
#define VISITOR_BOUND_MS 240000

struct visitor {
	struct list link; /* in world->visitors */
	struct world *world;
	unsigned number, name;
	unsigned node;	   /* that it comes to */
	unsigned host;	   /* of a probe: whose tunnel it is */
	uint64_t asked_ms; /* its request */
	unsigned n_left;   /* requests still to be made */
	bool probe;	   /* asks plainly, until it has had a 200 */
	bool good;	   /* a probe: it has had it */
	uint32_t pause_ms; /* a slow reader's rest between two gulps; 0: it is none */
	uint32_t gulp;	   /* bytes of one read */
	uint32_t stall_at; /* it stops reading for long after so many bytes; 0: never */
	uint32_t leave_at; /* it aborts after so many bytes; 0: never */

	struct wire *wire; /* owned; NULL between two connections */
	struct quest *quest;
	struct buf out, in;
	size_t scanned;
	uint64_t sent, got, n_read;
	struct http_body body;
	unsigned status, n_on_wire; /* requests on this connection so far */
	bool waits_100, up_done, keep, switched, shut;
	struct ev_timer next, resume, patience, bound;
	bool resting;
};

/* Come now, with n requests for a name of world->names. */
void visitor_come(struct world *w, unsigned name, unsigned n);

/* Ask a host's node until there is a 200, every half second, or until its agent has lost the name.
 */
void visitor_probe(struct world *w, unsigned name, unsigned host);

/* End it at once. */
void visitor_end(struct visitor *v);

#endif
