/* One life of an agent's process on a simulated machine, where it is started again and again. */
#ifndef KAREZ_SIM_LIFE_H
#define KAREZ_SIM_LIFE_H

#include "agent/agent.h"
#include "sim/dialler.h"

/* Embedded in its owner, as its first member: owner and life are allocated as one. */
struct life {
	struct dialler dialler; /* first: the two are the same pointer */
	struct agent *agent;
	unsigned host, number; /* its machine; of all runs of the world */
	bool stopping;
	uint64_t since_ms;
	void (*gone)(struct life *l); /* it is released: whoever knows it forgets it */
	struct ev_task bury;
};

/* number: counts the runs of the world. look, connect: as a dialler's. */
void life_init(struct life *l, struct stage *s, unsigned host, unsigned number);

/* The process starts; the log and the network are added to what its owner wants. */
void life_start(struct life *l, struct agent_opt *opt);

/* It is gone at once, and its owner is freed at the end of the turn. */
void life_release(struct life *l);

/* The same soon, since its agent has ended and still has us in its hands. */
void life_bury(struct life *l);

/* Ctrl-C; its machine starts it again so long after it must have ended. */
void life_stop(struct life *l, struct ev_timer *start, uint32_t back_ms);

/* One that was released is started again after so long. */
void life_again(struct stage *s, struct ev_timer *start, uint32_t back_ms);

/* For agent_events.target, where nobody asks. */
void life_on_target(void *arg, const struct url *to, int e);

#endif
