/*
 * Asking a service about a visitor: one GET, one answer, over connections that are kept. Private to
 * ingress/.
 */
#ifndef KAREZ_INGRESS_GUARD_HOOK_H
#define KAREZ_INGRESS_GUARD_HOOK_H

#include "ingress/hook_net.h"
#include "proto/http_head.h"

struct guard_hooks;
struct guard_hook;

/* How long an answer may take in all, in milliseconds. */
#define GUARD_HOOK_MS 5000

/* Questions under way, at most: each holds a connection and an answer. */
#define GUARD_HOOK_ASKS_MAX 256

/* Bytes of an answer's body that are kept. */
#define GUARD_HOOK_BODY_MAX (16 * 1024)

/* Connections kept for one service and for all, and for how long, in milliseconds. */
#define GUARD_HOOK_IDLE_PER_URL 16
#define GUARD_HOOK_IDLE_TOTAL	64
#define GUARD_HOOK_IDLE_MS	60000

/* Borrowed for the callback. */
struct guard_hook_answer {
	/*
	 * 0; ERR_TIMEOUT; ERR_PROTO, ERR_TOOBIG, ERR_UNSUPPORTED (not an answer in HTTP/1); or why
	 * it cannot be reached. The rest counts when it is 0.
	 */
	int e;
	const struct http_response *response;
	struct str body;
	bool cut; /* the body is longer than GUARD_HOOK_BODY_MAX, or was cut short */
};

struct guard_hook_opt {
	const struct url *to;
	struct str head; /* the request's; copied */
	/* Told exactly once, never before guard_hook_ask() returns. */
	void (*done)(void *arg, const struct guard_hook_answer *answer);
	void *arg;
};

/*
 *   net  borrowed: outlives it; NULL: nobody can be reached.
 * Returns 0 or ERR_NOMEM.
 */
int guard_hooks_new(struct ev *ev, struct hook_net *net, struct guard_hooks **out) MUST_CHECK;

/* No question may be under way. NULL is allowed. */
void guard_hooks_free(struct guard_hooks *h);

/*
 * Ask. A question on a kept connection that closes before a byte of the answer is asked once more
 * on a new one.
 * Returns 0 or, without a callback: ERR_LIMIT (GUARD_HOOK_ASKS_MAX), ERR_NOMEM, ERR_UNREACH (no
 * net).
 */
int guard_hook_ask(struct guard_hooks *h, const struct guard_hook_opt *opt,
		   struct guard_hook **out) MUST_CHECK;

/* done() is not called any more. NULL is allowed; after done() the object is gone by itself. */
void guard_hook_cancel(struct guard_hook *q);

#endif
