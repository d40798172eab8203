/*
 * Is this a visitor's password? Hashing one takes tens of milliseconds, and a browser sends it with
 * every request: so what was right is remembered, what was wrong for a while too, and many who ask
 * the same wait for one answer. Private to ingress/.
 */
#ifndef KAREZ_INGRESS_GUARD_BASIC_H
#define KAREZ_INGRESS_GUARD_BASIC_H

#include "core/password.h"

struct guard_basic;

/* Right and wrong answers remembered, at most; the oldest go. */
#define GUARD_BASIC_RIGHT_MAX 1024
#define GUARD_BASIC_WRONG_MAX 1024

/* How long a wrong one is, in milliseconds: a browser's retries cost nothing, a guess still does.
 */
#define GUARD_BASIC_WRONG_MS 10000

/* Requests that wait for an answer, at most: each holds its head. */
#define GUARD_BASIC_WAITS_MAX 1024

/* Passwords of one tunnel that are hashed or wait for it, at most: guesses at one tunnel leave room
 * in the queue of core/password.h for the visitors of others. */
#define GUARD_BASIC_CHECKS_PER_TUNNEL 16

/* One who waits; embedded in its owner. */
struct guard_basic_wait {
	struct list link;
	struct guard_basic_check *check; /* weak: NULL when told, or cancelled */
	void (*done)(void *arg, int e);	 /* 0, ERR_AUTH, ERR_NOMEM */
	void *arg;
};

/* What is asked. Borrowed for the call. */
struct guard_basic_ask {
	struct str tunnel;	   /* its name */
	uint64_t version;	   /* of its record: others are not remembered */
	struct str user, password; /* as the visitor sent them */
	struct str hash; /* the user's, see core/password.h; empty: there is no such user */
};

/*
 *   passwords  borrowed: outlives it; NULL: no password is right.
 * Returns 0 or ERR_NOMEM.
 */
int guard_basic_new(struct ev *ev, struct passwords *passwords,
		    struct guard_basic **out) MUST_CHECK;

/* Nobody may wait any more. NULL is allowed. */
void guard_basic_free(struct guard_basic *b);

/*
 * Ask.
 *   wait  done and arg set by the caller; used only with ERR_AGAIN.
 * Returns 0 (it is the password), ERR_AUTH (it is not), ERR_AGAIN (wait->done() is called once,
 * from the loop), ERR_LIMIT (too many ask, or GUARD_BASIC_CHECKS_PER_TUNNEL do), ERR_NOMEM.
 */
int guard_basic_ask(struct guard_basic *b, const struct guard_basic_ask *ask,
		    struct guard_basic_wait *wait) MUST_CHECK;

/* Never call back. Harmless for one who does not wait. */
void guard_basic_cancel(struct guard_basic *b, struct guard_basic_wait *wait);

#endif
