/* Do the host names of a services file's targets lead anywhere? */
#ifndef KAREZ_APP_KAREZ_UP_NAMES_H
#define KAREZ_APP_KAREZ_UP_NAMES_H

#include "cli/services.h"
#include "ev/ev.h"

/* Questions at the same time: threads have more to do. All of them together may take so long, in
 * milliseconds; and targets that are warned about, one line each, at most. */
#define KAREZ_UP_NAMES_ASKED 3
#define KAREZ_UP_NAMES_MS    5000
#define KAREZ_UP_NAMES_TOLD  10

struct karez_up_names;

struct karez_up_names_opt {
	const struct services *services; /* borrowed: outlives the questions */
	/* Services whose hosts need not be asked about, since they run already; NULL: none. */
	const struct services *known;
	/* Nobody could say whether this target's host is there. why: a line with its place. */
	void (*unsure)(void *arg, const char *why);
	/*
	 * Told exactly once, never before karez_up_names_check() returns.
	 *   e  0; ERR_NOTFOUND: there is no such host, and why is a line with the place of the
	 *      first target that names it; or ERR_NOMEM.
	 */
	void (*done)(void *arg, int e, const char *why);
	void *arg;
};

/* Returns 0 or ERR_NOMEM. */
int karez_up_names_check(struct ev *ev, const struct karez_up_names_opt *opt,
			 struct karez_up_names **out) MUST_CHECK;

/* Nobody is told any more. NULL is allowed; after done() the object is gone by itself. */
void karez_up_names_cancel(struct karez_up_names *n);

#endif
