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

/*
 * Visits served at the same time, at most. Each costs a descriptor, so the system's limit of those
 * is usually the one that is met; a server opens 16384 in one session.
 */
#define TARGET_VISITS_MAX 65536

/* How long connecting to a target may take, in milliseconds. */
#define TARGET_TIMEOUT_MS 10000

/* All visits of an agent. */
struct targets;

/* A visitor who did not speak HTTP to us is gone. */
struct target_connection {
	const struct visit_end *visitor; /* ip may be empty: not known */
	const struct url *to;
	uint64_t ms;	   /* how long it was served */
	uint64_t up, down; /* bytes to the target, and back */
	int why;	   /* 0: both sides finished; else an ERR_* */
};

struct targets_opt {
	struct agent_net *net; /* borrowed: outlives the targets */
	/*
	 * Told when connecting to a target has failed for the first time since it worked (an
	 * ERR_*), and when it works again (0). May be NULL.
	 */
	void (*state)(void *arg, const struct url *to, int e);
	/* A request was watched to its end. NULL: requests are not watched, which costs nothing. */
	void (*request)(void *arg, const struct peek_request *r);
	/* The same for connections that are none of HTTP. */
	void (*connection)(void *arg, const struct target_connection *c);
	/* No visit is running any more. May be NULL. */
	void (*idle)(void *arg);
	void *arg;
};

/* What was served: now, in all, and bytes to the targets and back. */
struct target_count {
	size_t visitors;
	uint64_t served, up, down;
};

/* Counts of one target, or of several that follow each other. */
struct target_tally;

/*
 * One target with what is known about it. All zero but for `to` it is made by its owner, and
 * outlives its visits; nothing is counted then. Or it is made by target_new().
 */
struct target {
	struct url to;
	bool insecure; /* any certificate of it will do */
	int e;	       /* how the last attempt to reach it ended */
	bool v4_first; /* it is at localhost, and was found at 127.0.0.1 */

	struct target_tally *tally; /* shared with its successors; NULL: nothing is counted */
	size_t n_visits;	    /* that run */
	bool dropped;		    /* the last one frees it */
};

/*
 * A target that counts.
 *   before  whose counts it continues: it takes the place of that; NULL: of none.
 * Returns 0 or ERR_NOMEM.
 */
int target_new(const struct url *to, bool insecure, struct target *before,
	       struct target **out) MUST_CHECK;

/* No visit comes to it any more; running ones finish, and say nothing about its state. NULL is
 * allowed. */
void target_drop(struct ev *ev, struct target *t);

/* What was served there and by those before it, with what running visits have carried until now:
 * takes a look at each of those. */
void target_count(const struct target *t, struct target_count *out);

int targets_new(struct ev *ev, const struct targets_opt *opt, struct targets **out) MUST_CHECK;

/*
 * Serve a visit.
 *   t      where; borrowed as long as the targets live, or until target_drop().
 *   visit  borrowed for the call.
 *   w      the visitor's stream, owned from now on, whatever happens. It is reset with
 *          ERR_REFUSED, ERR_TIMEOUT, ERR_UNREACH, ERR_RESOLVE, ERR_DENIED, ERR_TLS, ERR_CERT,
 *          ERR_NOFILE or ERR_NOMEM when the target cannot be reached, with ERR_TARGET for any other
 *          reason, with ERR_LIMIT at TARGET_VISITS_MAX.
 */
void targets_serve(struct targets *ts, struct target *t, const struct visit *visit, struct wire *w);

/* Visits running now. */
size_t targets_running(const struct targets *ts);

/* End every visit. NULL is allowed. */
void targets_free(struct targets *ts);

#endif
