/*
 * What a karezd has been given by its supervisor (supervisor.h): sockets, a directory that only the
 * workers of this machine share, a key, a number. Without a supervisor it has been given nothing
 * but perhaps sockets of a service manager.
 */
#ifndef KAREZ_APP_WORKER_H
#define KAREZ_APP_WORKER_H

#include "app/socket_table.h"
#include "base/log.h"

/* Names in the environment; only a supervisor sets them. */
#define WORKER_ENV	   "KAREZ_WORKER"
#define WORKER_ENV_DIR	   "KAREZ_WORKER_DIR"
#define WORKER_ENV_SOCKETS "KAREZ_WORKER_SOCKETS"

/* Workers of one generation, and of all that are there at a time. */
#define WORKERS_MAX	 64
#define WORKER_INDEX_MAX 256

/* Bytes of the key of all workers of one supervisor; it stands in a file of their directory. */
#define WORKER_KEY_LEN	32
#define WORKER_KEY_FILE "key"

/* Bytes of the path of their directory, NUL included: so short that "<path>/<16 hex>.xxxx" fits
 * into the address of a unix socket. */
#define WORKER_DIR_TEXT 84

struct worker {
	bool on; /* there is a supervisor; all below has no meaning without, but for the sockets */
	/* No other worker that is alive has this number, of whichever generation: for what each
	 * needs one of, such as ports. From 0, below WORKER_INDEX_MAX. */
	unsigned index;
	bool says;		   /* it is the one who prints what people are to read at a start */
	int ready_fd;		   /* owned; -1 when it has been told */
	char dir[WORKER_DIR_TEXT]; /* mode 0700; the supervisor removes it, and all files in it */
	uint8_t key[WORKER_KEY_LEN];
	struct socket_table sockets; /* owned; what is served is taken out */
	struct log plain;	     /* see worker_log() */
};

/*
 * Read what this process was given, and take it out of the environment: what we start is not given
 * the same.
 *   w    set either way; worker_end() it.
 *   why  [SOCKET_TABLE_WHY] set on failure.
 * Returns 0, ERR_INVAL (of a service manager: no socket that listens), ERR_PROTO (of a supervisor),
 * ERR_IO (the key), ERR_LIMIT.
 */
int worker_begin(struct worker *w, char *why) MUST_CHECK;

/* It serves: those of an older generation may end. */
void worker_ready(struct worker *w);

/* Sockets that nobody has taken. */
void worker_close_rest(struct worker *w);

void worker_end(struct worker *w);

/* Lines of a log that was log_init_stderr() end in the number of the worker, if it is one. w
 * outlives the log. */
void worker_log(struct worker *w, struct log *log);

#endif
