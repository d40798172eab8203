/*
 * The socket at which a running `karez up` is asked how it is doing: HTTP and JSON, for whoever may
 * open it, which is its owner. It also keeps a second one from serving the same file.
 */
#ifndef KAREZ_APP_KAREZ_STATUS_H
#define KAREZ_APP_KAREZ_STATUS_H

#include "cli/status_place.h"
#include "ev/ev.h"
#include "proto/json.h"

/* Who asks at the same time, at most; bytes of an answer, and of a sentence. */
#define KAREZ_STATUS_CONNS 16
#define KAREZ_STATUS_MAX   (8 * 1024 * 1024)
#define KAREZ_STATUS_WHY   512

struct karez_status;

struct karez_status_opt {
	const struct cli_options *set; /* borrowed for the call */
	const char *file;	       /* the services file */
	struct log *log;	       /* borrowed: outlives it */
	/* How is it doing? *out is the asker's. Returns 0 or ERR_NOMEM. */
	int (*tell)(void *arg, struct json **out);
	void *arg;
};

/*
 *   *out  NULL after a failure, unless at least nobody else can serve the file meanwhile.
 *   why   set on failure to a sentence.
 * Returns 0, ERR_INUSE (a process serves this file; why names it), or for what leaves us without
 * such a socket ERR_NOTFOUND, ERR_TOOBIG, ERR_DENIED, ERR_IO, ERR_NOMEM, ERR_FULL and what
 * net_listen() returns.
 */
int karez_status_open(struct ev *ev, const struct karez_status_opt *opt, struct karez_status **out,
		      char why[KAREZ_STATUS_WHY]) MUST_CHECK;

/* Nobody is answered any more, and another one may serve the file. NULL is allowed. */
void karez_status_close(struct karez_status *s);

#endif
