/*
 * The workers of a supervisor: started in generations, each told what it is given, restarted when
 * they die, ended when a newer generation is there.
 *
 * A worker is starting, ready, resting (it has died and is started again when its pause is over)
 * or leaving (it was told to end). One that ends without being told is started again, with what its
 * generation was started with, unless its generation is not ready yet and it ended by itself with a
 * code: it does not want to, and its generation fails.
 */
#ifndef KAREZ_APP_SUPERVISOR_CHILDREN_H
#define KAREZ_APP_SUPERVISOR_CHILDREN_H

#include "app/worker.h"
#include "base/buf.h"
#include "ev/ev.h"

struct supervisor_children;

/* Pauses before a worker is started again, in milliseconds: the first one, doubled each time, up to
 * the last one; after a life of so long it begins anew. */
#define SUPERVISOR_PAUSE_FIRST_MS 100
#define SUPERVISOR_PAUSE_LAST_MS  10000
#define SUPERVISOR_LIFE_MS	  30000

struct supervisor_children_opt {
	char *const *argv; /* as this process's; NULL at the end; borrowed, as all here */
	char *const *envp;
	const char *dir; /* see worker.h */
	struct log *log;
	/* What a worker of a generation that is not retired is given; read before this returns to
	 * the loop. */
	const struct socket_table *(*sockets)(void *arg, unsigned generation);
	/* All of a generation are ready. */
	void (*ready)(void *arg, unsigned generation);
	/* One of them, before that, has ended with this exit code, and is not started again. */
	void (*failed)(void *arg, unsigned generation, int code);
	/* One is gone that was told to end: see supervisor_children_n(). */
	void (*gone)(void *arg);
	void *arg;
};

int supervisor_children_new(struct ev *ev, const struct supervisor_children_opt *opt,
			    struct supervisor_children **out) MUST_CHECK;

/* Forgets them; they are not told. NULL is allowed. */
void supervisor_children_free(struct supervisor_children *c);

struct supervisor_generation {
	unsigned number; /* greater than all before, but for those that were aborted */
	unsigned n;	 /* workers; at most WORKERS_MAX */
	bool one_first;	 /* the others when the first one is ready: the first start makes things */
	uint64_t leave_ms; /* who was told to end has so long */
};

/*
 * Start a generation: <dir>/config-<number>.yaml is its configuration.
 * Returns 0, or ERR_LIMIT: too many older ones still run.
 */
int supervisor_children_begin(struct supervisor_children *c,
			      const struct supervisor_generation *g) MUST_CHECK;

/* Workers up to (and of) this generation, or from (and of) this one on, are told to end. */
void supervisor_children_retire(struct supervisor_children *c, unsigned generation);
void supervisor_children_abort(struct supervisor_children *c, unsigned generation);

/* All that were not told to end are told that they will be soon: see node_announce(). */
void supervisor_children_announce(struct supervisor_children *c);

/* Those that still run are told to end at once. */
void supervisor_children_cut(struct supervisor_children *c);

/* A process has ended, as waitpid(2) says; false: it is none of these. */
bool supervisor_children_reaped(struct supervisor_children *c, pid_t pid, int status);

/* Processes that run, or will again. */
size_t supervisor_children_n(const struct supervisor_children *c);

/* ---- through exec() ---- */

/* Append a line for each process: "PID INDEX GENERATION LEAVING\n". Returns 0 or as
 * buf_printf(). */
int supervisor_children_write(const struct supervisor_children *c, struct buf *out,
			      size_t cap) MUST_CHECK;

/* Know one again, from a line. Returns 0, ERR_PROTO, ERR_LIMIT, ERR_NOMEM. */
int supervisor_children_read(struct supervisor_children *c, struct str line,
			     const struct supervisor_generation *g) MUST_CHECK;

/*
 * How long it is waited before a worker is started again.
 *   last_ms   the pause before its last start, 0: there was none.
 *   lived_ms  for so long it has lived then.
 */
uint64_t supervisor_pause(uint64_t last_ms, uint64_t lived_ms);

#endif
