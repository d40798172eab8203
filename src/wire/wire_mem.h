/*
 * Two wires joined in memory: for servers that stand inside the process, for tests, and for the
 * simulated network with its faults.
 */
#ifndef KAREZ_WIRE_WIRE_MEM_H
#define KAREZ_WIRE_WIRE_MEM_H

#include "wire/wire.h"

struct wire_mem_opt {
	size_t cap;	   /* bytes under way or unread in one direction, at most; 0: 64 KiB */
	uint32_t delay_ms; /* one way */
	size_t max_write;  /* bytes one write takes at most; 0: no such limit (a tester of partial writes) */
	/* Both ends have been closed, the pair goes now. May be NULL. */
	void (*gone)(void *arg);
	void *arg;
};

/*
 * Make a pair: what is written to *a is read from *b, and the other way round.
 * Returns 0 or ERR_NOMEM.
 */
int wire_mem_pair(struct ev *ev, const struct wire_mem_opt *opt, struct wire **a,
		  struct wire **b) MUST_CHECK;

/* The cable is cut: both ends break with ERR_RESET. Either end may be given. */
void wire_mem_cut(struct wire *w);

/* The network swallows everything from now on (true), or works again (false); nobody is told. */
void wire_mem_freeze(struct wire *w, bool frozen);

/* The owner of this end does not read: nothing becomes ready to read here while it is stalled. */
void wire_mem_stall(struct wire *w, bool stalled);

#endif
