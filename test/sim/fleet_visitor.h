/* Somebody on the public side of some node: one request, whose answer is checked to the last byte.
 */
#ifndef KAREZ_SIM_FLEET_VISITOR_H
#define KAREZ_SIM_FLEET_VISITOR_H

#include "base/buf.h"
#include "ev/ev.h"
#include "wire/wire.h"

struct fleet;
struct fleet_node;
struct fleet_tunnel;

/* A request must come to an end of any kind within this time, in milliseconds. */
#define FLEET_BOUND_MS 240000

struct fleet_visitor {
	struct fleet *fleet;
	struct fleet_tunnel *tunnel; /* weak: the world's table */
	unsigned number, node, status;
	uint32_t within_ms; /* it must have its 200 within so long; 0: it may be disappointed */
	uint32_t down, got; /* bytes of the answer's body: wanted, come */
	uint64_t asked_ms, ended_ms; /* ended_ms 0: it is under way */
	struct wire *wire;	     /* owned; NULL when it is over */
	struct buf in, out;
	size_t scanned;
	struct ev_timer bound;
};

/*
 * Come now. Nothing happens when the node does not take visitors.
 *   within_ms  as above.
 */
void fleet_visitor_come(struct fleet_node *n, struct fleet_tunnel *t, uint32_t within_ms);

/* May a target of this tunnel see it? */
bool fleet_visitor_wants(const struct fleet_visitor *v, const struct fleet_tunnel *t);
const char *fleet_visitor_tunnel(const struct fleet_visitor *v);

/* A byte of the answer that is due to a visitor. */
char fleet_visitor_byte(unsigned number, unsigned at);

/* Ends it at once, and its memory. */
void fleet_visitor_free(struct fleet_visitor *v);

#endif
