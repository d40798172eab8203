/*
 * What an agent remembers from one run to the next: who it is, its credential for each server, the
 * name that each target had there, whether sessions with it are carried by WebSocket, and which
 * server was logged in to last. One small JSON file that
 * only its owner can read.
 *
 * Every change locks the folder, reads the file anew, and replaces it as a whole, so several agents
 * may run at once and a crash leaves the old file or the new one.
 */
#ifndef KAREZ_AGENT_MEMORY_H
#define KAREZ_AGENT_MEMORY_H

#include "ev/ev.h"
#include "proto/url.h"

#define MEMORY_FILE "credentials.json"

/* Bytes of the file, and names kept for one server (the newest). */
#define MEMORY_FILE_MAX	 (1024 * 1024)
#define MEMORY_NAMES_MAX 200

/* Bytes of the folder's path. */
#define MEMORY_DIR_MAX 3000

/* Servers remembered, at most: the newest. */
#define MEMORY_SERVERS_MAX 100

/* Bytes with their NUL: an agent's id, a token, an account's number, a sentence for a person. */
#define MEMORY_AGENT_MAX   17
#define MEMORY_TOKEN_MAX   512
#define MEMORY_ACCOUNT_MAX 64
#define MEMORY_WHY_MAX	   512

struct memory;

/* The credential for one server. A value. */
struct memory_credential {
	char token[MEMORY_TOKEN_MAX];	  /* "": none */
	char account[MEMORY_ACCOUNT_MAX]; /* "": not known */
	bool automatic;			  /* made on the fly: may be made anew when it is refused */
};

/*
 * Use a folder; if it is missing it is made (mode 0700), its parents and the file as well.
 *   dir  NUL-terminated path of at most MEMORY_DIR_MAX bytes; copied.
 *   why  [MEMORY_WHY_MAX] set on failure to a sentence that names the file and what to do.
 * Returns 0, ERR_PROTO (the file is damaged; it stays as it is), ERR_TOOBIG, ERR_DENIED, ERR_IO,
 * ERR_FULL, ERR_NOMEM.
 */
int memory_open(struct ev *ev, const char *dir, struct memory **out, char *why) MUST_CHECK;

/* NULL is allowed. */
void memory_close(struct memory *m);

/* This agent's id: 16 characters of a-z 2-9, the same in every run. */
const char *memory_agent(const struct memory *m);

/*
 * A number for this run of the agent: greater than that of every run before, also when the clock
 * was set back meanwhile, so that an older run is known as the ghost that it is. now_ms  wall
 * clock; the number when no run before had a greater one. *out    set also on failure, to now_ms:
 * the clock is then all there is. Returns as memory_open().
 */
int memory_next_epoch(struct memory *m, uint64_t now_ms, uint64_t *out) MUST_CHECK;

/*
 * The credential for a server.
 *   server  as url_format() writes it.
 *   *out    all empty when there is none.
 */
void memory_credential(const struct memory *m, const char *server, struct memory_credential *out);

/* The name that a target had there; "" when there is none. */
void memory_name(const struct memory *m, const char *server, const char *target,
		 char out[HOSTNAME_MAX + 1]);

/*
 * Remember a credential. One that another process has stored meanwhile is kept when c is automatic:
 * the first one counts.
 * Returns 0 or what memory_open() returns; memory_why() says more.
 */
int memory_set_credential(struct memory *m, const char *server,
			  const struct memory_credential *c) MUST_CHECK;

/* Forget a credential that was refused, unless another process has stored a newer one. */
int memory_drop_credential(struct memory *m, const char *server, const char *token) MUST_CHECK;

/* Remember the name of a target, or forget it (name NULL). Returns as above. */
int memory_set_name(struct memory *m, const char *server, const char *target,
		    const char *name) MUST_CHECK;

/* Was a session with this server carried by WebSocket the last time? */
bool memory_websocket(const struct memory *m, const char *server);

/* Remember it. Returns as above. */
int memory_set_websocket(struct memory *m, const char *server, bool websocket) MUST_CHECK;

/*
 * The server that somebody logged in to last, as url_format() writes it; the one that is meant when
 * none is named.
 *   out  [URL_TEXT_MAX]; "" when there is none.
 */
void memory_recent(const struct memory *m, char *out);

/* Remember it (server NULL: none). Returns as above. */
int memory_set_recent(struct memory *m, const char *server) MUST_CHECK;

/* The sentence for the last failure. */
const char *memory_why(const struct memory *m);

#endif
