/*
 * The services file as it is read: on a thread, since its passwords cost time and its disk may be
 * far away; and only when it says something else than before.
 */
#ifndef KAREZ_APP_KAREZ_UP_FILE_H
#define KAREZ_APP_KAREZ_UP_FILE_H

#include "cli/services.h"
#include "ev/ev.h"

struct karez_up_file;

/* What came of it, for the call; *services the callee may take for itself, leaving all zero. */
struct karez_up_news {
	int e;			   /* as services_read(), or that of a host that is not there */
	struct services *services; /* 0 */
	const char *why;	   /* else: a line with the place */
};

struct karez_up_file_opt {
	const char *path; /* copied */
	const char *id;	  /* of a person; copied; NULL: none */
	/* Tells what runs now, which stays until news(): its hosts are not asked about again. */
	const struct services *(*known)(void *arg);
	/* See karez_up_names_opt. */
	void (*unsure)(void *arg, const char *why);
	/* It was read, and says something else than the last time. */
	void (*news)(void *arg, const struct karez_up_news *news);
	void *arg;
};

/* Returns 0 or ERR_NOMEM. */
int karez_up_file_new(struct ev *ev, const struct karez_up_file_opt *opt,
		      struct karez_up_file **out) MUST_CHECK;

/*
 * Read it, now or when the reading that runs is over.
 *   anew  news() tells also what is the same as the last time.
 */
void karez_up_file_read(struct karez_up_file *f, bool anew);

/* Nothing is told any more. NULL is allowed. */
void karez_up_file_free(struct karez_up_file *f);

#endif
