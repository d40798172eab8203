/*
 * Does a target work? It is asked again and again: by connecting to it, or by an HTTP request.
 *
 * A target counts as well before the first check is over; then one failure is enough. Later it
 * takes several failures in a row, and several successes to be well again.
 */
#ifndef KAREZ_AGENT_HEALTH_H
#define KAREZ_AGENT_HEALTH_H

#include "agent/agent_net.h"

/* One check may take so long, or the interval if that is shorter, in milliseconds. */
#define HEALTH_CHECK_MS 5000

/* What is usual: between two checks, in milliseconds, and how many of a kind change the state. */
#define HEALTH_INTERVAL_MS 10000
#define HEALTH_RISE	   2
#define HEALTH_FALL	   3

/* A wait is up to so much shorter or longer, so that checks of many agents do not meet. */
#define HEALTH_JITTER_PERCENT 10

/* Bytes of an answer that are read: its head must end within them. */
#define HEALTH_HEAD_MAX 16384

/* Bytes of the sentence about a failure, NUL included. */
#define HEALTH_WHY_MAX 128

enum health_kind {
	HEALTH_NONE, /* it is not checked */
	HEALTH_TCP,  /* it is well when it takes a connection */
	HEALTH_HTTP, /* it is well when it answers a GET with 2xx or 3xx */
};

/* How to check. A value; all zero: not at all. */
struct health_opt {
	enum health_kind kind;
	const char *path;     /* HEALTH_HTTP: borrowed; begins with '/' */
	uint32_t interval_ms; /* 0: HEALTH_INTERVAL_MS */
	unsigned rise, fall;  /* 0: HEALTH_RISE, HEALTH_FALL */
};

/* Whom to check, and who wants to know. All borrowed: outlives the checks. */
struct health_owner {
	struct agent_net *net;
	const struct url *to;
	bool insecure;	/* any certificate of it will do */
	unsigned proxy; /* a PROXY header of this version stands before a request; 0: none does */
	/*
	 * The state has changed.
	 *   why  borrowed: a clause for a person ("connection refused"); "" when it is up.
	 */
	void (*changed)(void *arg, bool up, const char *why);
	void *arg;
};

struct health;

/* Begin to check (opt->kind is not HEALTH_NONE). Returns 0 or ERR_NOMEM. */
int health_new(struct ev *ev, const struct health_opt *opt, const struct health_owner *owner,
	       struct health **out) MUST_CHECK;

/* Is it well, as far as is known? NULL is never checked, and always well. */
bool health_is_up(const struct health *h);

/* changed() is not called any more. NULL is allowed. */
void health_free(struct health *h);

#endif
