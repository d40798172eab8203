/* A configuration is judged by a process that can do nothing else with it: `karezd check`. */
#ifndef KAREZ_APP_SUPERVISOR_CHECK_H
#define KAREZ_APP_SUPERVISOR_CHECK_H

#include "app/socket_table.h"
#include "ev/ev.h"

/* For the environment of the check: sockets of ours, as socket_table_format() writes them, which
 * are not its own. It says whether the others could be opened. */
#define SUPERVISOR_CHECK_ENV "KAREZ_CHECK_SOCKETS"

/* It may take so long, in milliseconds. */
#define SUPERVISOR_CHECK_MS 30000

/* Bytes of what it says, NUL included. */
#define SUPERVISOR_CHECK_TEXT 1200

struct supervisor_check;

struct supervisor_check_opt {
	const char *program; /* as for execvp(3); borrowed for the call, as the next three */
	char *const *argv;   /* of this process, which has no command */
	char *const *envp;
	const struct socket_table *sockets;
	/*
	 * It has come to an end.
	 *   why  NULL: nothing is wrong; else the first line that it has said about it.
	 */
	void (*done)(void *arg, const char *why);
	void *arg;
};

/* Returns 0, ERR_NOMEM, ERR_NOFILE or why there is no process. */
int supervisor_check_new(struct ev *ev, const struct supervisor_check_opt *opt,
			 struct supervisor_check **out) MUST_CHECK;

/* A process has ended, as waitpid(2) says; false: it is not this one. Calls done, which may free
 * it. */
bool supervisor_check_reaped(struct supervisor_check *c, pid_t pid, int status);

/* No callback; the process, if it runs, is killed. NULL is allowed. */
void supervisor_check_free(struct supervisor_check *c);

#endif
