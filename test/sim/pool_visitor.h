/* Somebody who comes to a port: one connection, checked to the last byte. */
#ifndef KAREZ_SIM_POOL_VISITOR_H
#define KAREZ_SIM_POOL_VISITOR_H

#include "sim/cable.h"
#include "sim/pool_target.h"

struct pool;

struct pool_visitor {
	struct list link; /* in pool.visitors */
	struct pool *pool;
	unsigned number, node;
	uint16_t port;
	uint64_t came_ms, progress_ms;
	bool *good; /* a probe: set when all went well; NULL: it is none */

	/* What it is going to do. */
	uint32_t up;	   /* bytes to be sent, its number among them; 0: it says nothing */
	bool waits;	   /* it speaks only when it has been greeted */
	bool shuts;	   /* it ends right after its last byte; else when all has come back */
	uint32_t gulp;	   /* bytes of one read */
	uint32_t pause_ms; /* a slow reader's rest between two gulps; 0: it is none */
	uint32_t leave_at; /* it aborts after so many bytes; 0: never */
	uint32_t stay_ms;  /* it ends only so long after it has been greeted */

	struct wire *wire; /* owned */
	struct buf out, line;
	uint64_t sent, got; /* bytes that the wire has taken; that came after the banner */
	bool shut, eof, resting, staying;
	bool cut; /* its cable */

	/* As the banner says. */
	bool greeted, pours;
	unsigned host, tunnel, pour;
	uint64_t accept_ms;
	struct ev_timer resume, stay, prompt, patience;
};

/* Come now. */
void pool_visitor_come(struct pool *p, unsigned node, uint16_t port);

/* The same, plainly. good: set when all has gone well; outlives the visitor. */
void pool_visitor_probe(struct pool *p, unsigned node, uint16_t port, bool *good);

/* Its cable is cut. */
void pool_visitor_cut(struct pool *p, struct cable *c);

/* End it at once. */
void pool_visitor_end(struct pool_visitor *v);

#endif
