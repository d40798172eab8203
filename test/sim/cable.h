/* The simulated network: every wire between two machines, and what may happen to it. */
#ifndef KAREZ_SIM_CABLE_H
#define KAREZ_SIM_CABLE_H

#include "wire/wire.h"

struct stage;

enum cable_kind {
	CABLE_SESSION, /* from an agent to the server */
	CABLE_TARGET,  /* from an agent to a target */
	CABLE_VISITOR, /* from a visitor to the server */
	CABLE_CLERK,   /* from whoever calls the API; it never fails by itself */
	CABLE_KINDS,
};

/* Alive until both of its ends are closed; then it is gone by itself. */
struct cable {
	struct list link; /* in stage->cables */
	struct stage *stage;
	enum cable_kind kind;
	unsigned host;	  /* the agent's machine; of a visitor's cable without meaning */
	struct wire *end; /* borrowed: gone with the cable */
	struct ev_timer thaw, overdue;
};

/* A cable of random length and width. Ends the process when memory is gone, as all of the
 * simulation does. */
void cable_new(struct stage *s, enum cable_kind kind, unsigned host, struct wire **a,
	       struct wire **b);

/* One of a kind by chance; host: a machine's, or ANY_HOST. NULL when there is none. */
#define ANY_HOST UINT32_MAX
struct cable *cable_pick(struct stage *s, enum cable_kind kind, unsigned host);

/* Both ends break. */
void cable_cut(struct cable *c);

/*
 * Nothing passes for so long. A session whose cable is frozen for longer than a dead peer is waited
 * for must be given up by both ends meanwhile, else the world fails.
 */
void cable_freeze(struct cable *c, uint32_t ms);

/* Everything passes again. */
void cable_thaw_all(struct stage *s);

#endif
