/* What a supervisor knows when another program takes its place (exec), as text. */
#ifndef KAREZ_APP_SUPERVISOR_STATE_H
#define KAREZ_APP_SUPERVISOR_STATE_H

#include "app/supervisor_children.h"

/* Its name in the environment. */
#define SUPERVISOR_STATE_ENV "KAREZ_SUPERVISOR"
/* Bytes of the text. */
#define SUPERVISOR_STATE_MAX ((size_t)64 * 1024)

struct supervisor_state {
	char dir[WORKER_DIR_TEXT];
	unsigned generation;
	int pid_fd;	    /* see pid_file.h; -1: there is none */
	uint64_t n_reloads; /* the same */
	struct socket_table sockets;
	struct str workers; /* lines of supervisor_children_write(); borrowed from what was read */
};

/*
 * Write it, as "1\n<dir>\n<generation> <pid_fd or -> <n_reloads>\n<number of sockets>\n", the
 * sockets and the workers, a line each.
 *   s->workers  does not count.
 * Returns 0, ERR_TOOBIG, ERR_NOMEM.
 */
int supervisor_state_write(const struct supervisor_state *s, const struct supervisor_children *c,
			   struct buf *out) MUST_CHECK;

/* Returns 0, or ERR_PROTO: it was written by something else. */
int supervisor_state_read(struct str text, struct supervisor_state *out) MUST_CHECK;

#endif
