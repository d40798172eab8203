/*
 * The process that holds the listening sockets and serves nobody: it starts the workers, which do,
 * starts those again that die, and replaces all of them by new ones when the configuration or the
 * program changes, without a moment in which nobody accepts.
 *
 *   SIGTERM, SIGINT  all workers drain; a second one ends them at once
 *   SIGHUP           the configuration is read again: new workers, then the old ones drain
 *   SIGUSR2          the same with the program as it is on the disk now
 */
#ifndef KAREZ_APP_SUPERVISOR_H
#define KAREZ_APP_SUPERVISOR_H

#include "app/worker.h"

/* A new generation must be ready within this, in milliseconds, or the old one stays. */
#define SUPERVISOR_READY_MS 60000

struct supervisor_opt {
	char *const *argv; /* [argc], NULL at the end: of this process, without a command */
	char *const *envp;
	int argc;
	struct worker *given; /* what this process was given: its sockets are taken */
};

/* Was this process a supervisor before it became this program? Then supervisor_run() it, whatever
 * the configuration says now. */
bool supervisor_was(void);

/*
 * Be one until the end.
 * Returns the process's exit code: 0, or 1 when the start fails (it has been said why), or what a
 * worker that would not start has ended with.
 */
int supervisor_run(const struct supervisor_opt *opt) MUST_CHECK;

#endif
