/*
 * Serving visits: connect a visitor's stream with the target that the agent's own list names.
 *
 * The visitor's early bytes wait in the stream; a failure goes back as the reason of its reset.
 */
#ifndef KAREZ_AGENT_TARGET_H
#define KAREZ_AGENT_TARGET_H

#include "agent/agent_net.h"
#include "agent/peek.h"
#include "proto/visit.h"

/* Visits served at the same time, at most: each costs a descriptor. */
#define TARGET_VISITS_MAX 16384

/* How long connecting to a target may take, in milliseconds. */
#define TARGET_TIMEOUT_MS 10000

/* All visits of an agent. */
struct targets;

struct targets_opt {
	struct agent_net *net; /* borrowed: outlives the targets */
	/*
	 * Told when connecting to a target has failed for the first time since it worked (an
	 * ERR_*), and when it works again (0). May be NULL.
	 */
	void (*state)(void *arg, const struct url *to, int e);
	/* A request was watched to its end. NULL: requests are not watched, which costs nothing. */
	void (*request)(void *arg, const struct peek_request *r);
	/* No visit is running any more. May be NULL. */
	void (*idle)(void *arg);
	void *arg;
};

/* One target with what is known about it; made by its owner, all zero but for `to`. */
struct target {
	struct url to;
	int e; /* how the last attempt to reach it ended */
};

int targets_new(struct ev *ev, const struct targets_opt *opt, struct targets **out) MUST_CHECK;

/*
 * Serve a visit.
 *   t  where; borrowed as long as the targets live.
 *   w  the visitor's stream, owned from now on, whatever happens. It is reset with ERR_REFUSED,
 *      ERR_TIMEOUT, ERR_UNREACH, ERR_RESOLVE, ERR_DENIED, ERR_TLS, ERR_CERT, ERR_NOFILE or
 *      ERR_NOMEM when the target cannot be reached, with ERR_TARGET for any other reason, with
 *      ERR_LIMIT at TARGET_VISITS_MAX.
 */
void targets_serve(struct targets *ts, struct target *t, struct wire *w);

/* Visits running now. */
size_t targets_running(const struct targets *ts);

/* End every visit. NULL is allowed. */
void targets_free(struct targets *ts);

#endif
