/* The lines of JSON between an agent and its server. Source: doc/session-protocol.md 3. */
#ifndef KAREZ_AGENT_CONTROL_H
#define KAREZ_AGENT_CONTROL_H

#include "base/buf.h"
#include "proto/hostname.h"

/* Bytes with their NUL: where visitors reach a tunnel, a sentence for a person. */
#define CONTROL_URL_MAX	   (HOSTNAME_MAX + 32)
#define CONTROL_REASON_MAX 256

enum control_op {
	CONTROL_UNKNOWN, /* of a later version: to be passed over */
	CONTROL_ATTACHED,
	CONTROL_REFUSED,
	CONTROL_DETACHED,
};

/* What the server said. A value; texts are NUL-terminated, "" where there was none. */
struct control_line {
	enum control_op op;
	uint64_t ref;			 /* of the attach that it answers */
	int code;			 /* REFUSED, DETACHED: an ERR_*, never 0 */
	char name[HOSTNAME_MAX + 1];	 /* ATTACHED, DETACHED: the tunnel, lower case */
	char url[CONTROL_URL_MAX];	 /* ATTACHED: the first one */
	char reason[CONTROL_REASON_MAX]; /* REFUSED, DETACHED; cut where it is longer */
};

/*
 * Read a line.
 *   line  [len] bytes without the newline.
 * Returns 0, or ERR_PROTO: not an object, no op, or a member that its op needs is missing or wrong.
 */
int control_parse(struct str line, struct control_line *out) MUST_CHECK;

/* Ask to serve a tunnel. */
struct control_attach {
	uint64_t ref;	   /* comes back in the answer */
	struct str kind;   /* "http" */
	struct str name;   /* empty: any */
	struct str target; /* a hint for people */
};

/* Append the line of an attach, without a newline. Returns 0 or ERR_NOMEM. */
int control_attach(const struct control_attach *a, struct buf *out) MUST_CHECK;

/* Append the line of a detach, without a newline. Returns 0 or ERR_NOMEM. */
int control_detach(struct str name, struct buf *out) MUST_CHECK;

/* The number of an error's name as it travels ("AUTH"), in any case; 0 if there is none. */
int control_code(struct str name);

/*
 * Is this the server's final word: trying again would bring the same answer?
 *   code  as the server gave it.
 * Source: doc/session-protocol.md 3, last paragraph.
 */
bool control_is_final(int code);

#endif
