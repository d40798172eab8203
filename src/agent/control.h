/* The lines of JSON between an agent and its server. Source: doc/session-protocol.md 3. */
#ifndef KAREZ_AGENT_CONTROL_H
#define KAREZ_AGENT_CONTROL_H

#include "base/buf.h"
#include "proto/header_edit.h"
#include "proto/hostname.h"
#include "proto/ident.h"
#include "proto/node_entry.h"

/* Bytes with their NUL: where visitors reach a tunnel, a sentence for a person. */
#define CONTROL_URL_MAX	   (HOSTNAME_MAX + 32)
#define CONTROL_REASON_MAX 256

/* Where one tunnel is reached, at most; what a server says beyond is not kept. */
#define CONTROL_URLS_MAX 11

/* Custom domains of one tunnel, and services of one offer, at most: a server takes no more. */
#define CONTROL_DOMAINS_MAX  10
#define CONTROL_SERVICES_MAX 256

/* Bytes of what an attach says of its tunnel's record, at most: a server reads lines of 64 KiB. */
#define CONTROL_WISH_MAX 61440

/* How long a server may let visits run that it has taken a tunnel away from, in milliseconds. */
#define CONTROL_DRAIN_MAX 86400000

enum control_op {
	CONTROL_UNKNOWN, /* of a later version: to be passed over */
	CONTROL_ATTACHED,
	CONTROL_REFUSED,
	CONTROL_DETACHED,
	CONTROL_ASSIGNED,
	CONTROL_NODES, /* control_parse_nodes() reads the rest */
};

/* What the server said. A value; texts are NUL-terminated, "" where there was none. */
struct control_line {
	enum control_op op;
	uint64_t ref;		     /* of the attach that it answers */
	int code;		     /* REFUSED, DETACHED: an ERR_*, never 0 */
	char name[HOSTNAME_MAX + 1]; /* ATTACHED, DETACHED, ASSIGNED: the tunnel, lower case */
	char urls[CONTROL_URLS_MAX][CONTROL_URL_MAX]; /* ATTACHED: the one to show first */
	size_t n_urls;
	char service[IDENT_TEXT];	 /* ASSIGNED: what its record calls the target */
	char reason[CONTROL_REASON_MAX]; /* REFUSED, DETACHED; cut where it is longer */
	/* DETACHED: so long running visits may go on, then the server ends them; 0: not at all */
	uint32_t drain_ms;
};

/*
 * Read a line.
 *   line  [len] bytes without the newline.
 * Returns 0, or ERR_PROTO: not an object, no op, or a member that its op needs is missing or wrong.
 */
int control_parse(struct str line, struct control_line *out) MUST_CHECK;

/* Nodes of a cluster whose addresses one line tells, and how many it may say there are, at most. */
#define CONTROL_NODES_MAX	64
#define CONTROL_NODES_COUNT_MAX 100000

/* The nodes that an agent may have sessions with. A value. */
struct control_nodes {
	unsigned count; /* all of them, the one that says so included; at least 1 */
	struct control_node {
		char id[NODE_ID_TEXT];
		char url[CONTROL_URL_MAX]; /* where agents reach just this one; any text */
	} v[CONTROL_NODES_MAX];
	size_t n; /* of those that have an address of their own */
};

/* Read a line of CONTROL_NODES. What is wrong with one of the nodes leaves it out. Returns 0 or
 * ERR_PROTO (no count). */
int control_parse_nodes(struct str line, struct control_nodes *out) MUST_CHECK;

/*
 * What a tunnel's record shall say besides its name. All zero: as it is, or what is usual. A value
 * whose texts are borrowed.
 */
struct control_wish {
	bool has_port; /* of a tcp tunnel; port 0: the one that it has, or a free one */
	uint16_t port;
	const char *bind; /* of a tcp tunnel: an IP, "localhost", ""; NULL: not said, as below */
	const char *const *domains; /* [n_domains] custom ones */
	size_t n_domains;	    /* at most CONTROL_DOMAINS_MAX; 0: not said */
	const char *tls;	    /* of a tls tunnel: "pass", "end" */
	const char *proxy;	    /* "none", "v1", "v2" */
	const char *policy;	    /* "least-conn", "round-robin", "failover" */
	unsigned sessions_max;	    /* 0: not said */
	bool has_drain;
	uint32_t drain_ms;
	/* Of an http tunnel: "keep", "rewrite" (the target's), or what Host shall say. */
	const char *host_header;
	/* The same: fields that are added and removed, by enum header_edit; [n_edits], 0: not said
	 */
	const char *const *edits[HEADER_EDITS];
	size_t n_edits[HEADER_EDITS];
};

/*
 * Append a wish as it travels: members of an object with commas between them, without the braces
 * ("\"port\":9000,\"bind\":\"\""); nothing if nothing is wished for. Returns 0 or ERR_NOMEM.
 */
int control_wish_write(const struct control_wish *w, struct buf *out) MUST_CHECK;

/*
 * Is this text what an attach can say of a record?
 *   wish  members of an object, as above; empty is allowed.
 * Returns 0, ERR_INVAL (no such members, or one that an attach says by itself), ERR_TOOBIG (above
 * CONTROL_WISH_MAX), ERR_NOMEM.
 */
int control_wish_check(struct str wish) MUST_CHECK;

/* Ask to serve a tunnel. */
struct control_attach {
	uint64_t ref;	   /* comes back in the answer */
	struct str kind;   /* "http", "tcp", "tls" */
	struct str name;   /* empty: any */
	struct str target; /* a hint for people */
	struct str wish;   /* as control_wish_check() allows */
	unsigned priority; /* of this session: less is better */
	/* This process has had it before: what stands in its record now counts, the wish only if
	 * that is gone. */
	bool again;
};

/* Append the line of an attach, without a newline. Returns 0, ERR_INVAL (a text that is not UTF-8)
 * or ERR_NOMEM. */
int control_attach(const struct control_attach *a, struct buf *out) MUST_CHECK;

/* Append the line of a detach, without a newline. Returns 0 or ERR_NOMEM. */
int control_detach(struct str name, struct buf *out) MUST_CHECK;

/*
 * Append the line of an offer, without a newline.
 *   services  [n] names as ident_ok() allows, n at most CONTROL_SERVICES_MAX.
 * Returns 0 or ERR_NOMEM.
 */
int control_offer(const struct str *services, size_t n, unsigned priority,
		  struct buf *out) MUST_CHECK;

/* Append the line that says whether a tunnel's target works. Returns 0 or ERR_NOMEM. */
int control_health(struct str name, bool up, struct buf *out) MUST_CHECK;

/* The number of an error's name as it travels ("AUTH"), in any case; 0 if there is none. */
int control_code(struct str name);

/*
 * Is this the server's final word: trying again would bring the same answer?
 *   code  as the server gave it.
 * Source: doc/session-protocol.md 3, last paragraph.
 */
bool control_is_final(int code);

#endif
