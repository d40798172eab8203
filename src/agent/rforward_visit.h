/*
 * Visits of remote forwards: a channel of an SSH session is joined with a target, which is fixed,
 * or is said by the visitor himself (SOCKS).
 *
 * Unlike agent/target.c this tells the server when the target is reached, since an SSH channel that
 * was not confirmed carries nothing.
 */
#ifndef KAREZ_AGENT_RFORWARD_VISIT_H
#define KAREZ_AGENT_RFORWARD_VISIT_H

#include "agent/agent_net.h"
#include "agent/target.h"

/* Visits at the same time, at most: each costs a channel and a descriptor. */
#define RFORWARD_VISITS_MAX 4096

struct rforward_visits;

struct rforward_visits_opt {
	struct agent_net *net; /* borrowed: outlives the visits */
	/* As in struct targets_opt. May be NULL. */
	void (*state)(void *arg, const struct url *to, int e);
	void (*connection)(void *arg, const struct target_connection *c);
	/* The visitor's channel may be confirmed; harmless the second time. */
	void (*accept)(struct wire *w);
	void *arg;
};

/* Returns 0 or ERR_NOMEM. */
int rforward_visits_new(struct ev *ev, const struct rforward_visits_opt *opt,
			struct rforward_visits **out) MUST_CHECK;

/*
 * Serve a visitor.
 *   t      where; NULL: he says it by SOCKS. Borrowed: outlives the visits.
 *   visit  borrowed for the call.
 *   w      owned from now on; reset with the reason if the target cannot be reached, with ERR_LIMIT
 *          at RFORWARD_VISITS_MAX.
 */
void rforward_visits_serve(struct rforward_visits *vs, struct target *t, const struct visit *visit,
			   struct wire *w);

/* Visits running now. */
size_t rforward_visits_running(const struct rforward_visits *vs);

/* End every visit; connection() is told of each. NULL is allowed. */
void rforward_visits_free(struct rforward_visits *vs);

#endif
