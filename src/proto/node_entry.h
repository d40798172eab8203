/* What one node says that it serves of a tunnel, and has of an account: compact text, and its
 * value.
 */
#ifndef KAREZ_PROTO_NODE_ENTRY_H
#define KAREZ_PROTO_NODE_ENTRY_H

#include "base/str.h"

/* A node's id: 16 hex digits, drawn when its process starts; NUL included. */
#define NODE_ID_TEXT 17

/* Agents of one entry, at most: as many as sessions may serve one tunnel. */
#define NODE_ENTRY_AGENTS_MAX 64

/* Bytes of an entry as text, NUL included. */
#define NODE_ENTRY_TEXT (NODE_ENTRY_AGENTS_MAX * 52 + 32)

/* One agent's process. */
struct node_entry_agent {
	uint64_t agent;	   /* node_entry_agent_id() of its account and id */
	uint64_t epoch;	   /* of its process */
	uint64_t carriers; /* bit n: by its session n (0-63) */
};

/* A value; only the first n_agents of the array are set. */
struct node_entry {
	bool up; /* the target of at least one session works */
	/* It has a route (core/record.h): those who do not know its record have to read it before a
	 * visitor comes. */
	bool route;
	/* Of the best of its sessions that work, or of all when none does: less is better. */
	uint32_t priority;
	unsigned n_agents; /* > 0 */
	struct node_entry_agent agents[NODE_ENTRY_AGENTS_MAX];
};

/* The same number on every node. account, id: NUL-terminated. */
uint64_t node_entry_agent_id(const char *account, const char *id);

/*
 * Add sessions of an agent's process to those of the same.
 *   all  [*n_all], of max that it has room for.
 * Returns false, with nothing changed, if it is one process too many.
 */
bool node_entry_add(struct node_entry_agent *all, unsigned *n_all, unsigned max,
		    const struct node_entry_agent *a) MUST_CHECK;

/* How many sessions an entry stands for. */
unsigned node_entry_sessions(const struct node_entry *e);

/* "<up 1 + route 2>;<priority>;<agent>:<epoch>:<carriers>[,...]", all numbers hex without leading
 * zeros. Returns its bytes. */
size_t node_entry_format(const struct node_entry *e, char out[NODE_ENTRY_TEXT]);

/* Returns 0 or ERR_PROTO (anything that node_entry_format() would not write; an agent's process
 * twice; a session of none). */
int node_entry_parse(struct str s, struct node_entry *out) MUST_CHECK;

/* Processes that are named in what is said of an account, at most: where there are more none is,
 * so that what is said again with every session that comes or goes stays short. */
#define NODE_HELD_AGENTS_MAX NODE_ENTRY_AGENTS_MAX

/* Bytes of it as text, NUL included. */
#define NODE_HELD_TEXT (NODE_HELD_AGENTS_MAX * 52 + 16)

/* The sessions of an account at one node. A value; only the first n_agents of the array are set. */
struct node_held {
	uint32_t n;	   /* 0: none */
	unsigned n_agents; /* of the processes that may come again, all or none */
	struct node_entry_agent agents[NODE_HELD_AGENTS_MAX];
};

/* "<n>;<agent>:<epoch>:<carriers>[,...]", numbers as above; "<n>;" without agents. Returns its
 * bytes. */
size_t node_held_format(const struct node_held *h, char out[NODE_HELD_TEXT]);

/* Returns 0 or ERR_PROTO (anything that node_held_format() would not write; an agent's process
 * twice; a session of none; fewer sessions than its agents have). */
int node_held_parse(struct str s, struct node_held *out) MUST_CHECK;

#endif
