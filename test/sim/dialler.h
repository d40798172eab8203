/* The network as an agent's process sees it: an agent_net whose wires are cables. */
#ifndef KAREZ_SIM_DIALLER_H
#define KAREZ_SIM_DIALLER_H

#include "agent/agent_net.h"
#include "sim/stage.h"

/* Where somebody wants to connect to. A value. */
struct dial_to {
	bool server;
	uint16_t port; /* of a target */
};

enum dial_state { DIAL_CONNECTS, DIAL_REFUSED, DIAL_HANGS };

/* Embedded in its owner, as its first member. */
struct dialler {
	struct agent_net net; /* first: the two are the same pointer */
	struct stage *stage;
	/* What comes of it now? Asked again and again while it hangs. */
	enum dial_state (*look)(struct dialler *d, const struct dial_to *to);
	/* Our end of a fresh cable; NULL: refused. */
	struct wire *(*connect)(struct dialler *d, const struct dial_to *to);
};

/* The rest is set by the owner before. */
void dialler_init(struct dialler *d, struct stage *s);

#endif
