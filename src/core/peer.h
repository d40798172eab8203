/*
 * Other nodes, as the core sees them: what they serve, and how a stream is opened to them.
 *
 * Every node is the only one who says what it serves; what is known here of another is a copy that
 * whoever talks to it (cluster/) keeps current. A tunnel that is served elsewhere costs a few words
 * here until a visitor comes for it.
 */
#ifndef KAREZ_CORE_PEER_H
#define KAREZ_CORE_PEER_H

#include "core/record.h"
#include "proto/node_entry.h"
#include "proto/visit.h"

struct core;
struct core_peer;
struct wire;

/* Nodes that one node knows, at most. */
#define CORE_PEERS_MAX 256

/* Tunnels that one of them may serve. */
#define CORE_PEER_TUNNELS_MAX (1024 * 1024)

/* How likely it is that a peer serves a visitor well: the smaller goes first. */
enum peer_state {
	PEER_GOOD,
	PEER_LATE,	  /* it does not answer in time: when there is no other */
	PEER_DRAINING,	  /* it goes soon; its sessions still serve: when there is no other */
	PEER_UNREACHABLE, /* no stream gets there: never */
};

struct core_peer_opt {
	char id[NODE_ID_TEXT]; /* as in visit.via */
	/*
	 * Open a stream to that node.
	 *   visit  complete; visit->via names this node last.
	 * Returns as session_open(); a stream may be given before there is a connection to that
	 * node, and break with ERR_NOSESSION when there will be none.
	 */
	int (*open)(void *arg, const struct visit *visit, struct wire **out);
	void *arg;
};

/* A node has come. Returns 0, ERR_LIMIT, ERR_EXISTS (the id), ERR_NOMEM. */
int core_peer_new(struct core *c, const struct core_peer_opt *opt,
		  struct core_peer **out) MUST_CHECK;

/* It is gone, and all that it has served. Streams are not touched. NULL is allowed. */
void core_peer_free(struct core_peer *p);

/* Where the next visitors go; cheap when nothing changes. */
void core_peer_set_state(struct core_peer *p, enum peer_state state);

/* Visitors that it serves now, as it says: of two peers that serve a tunnel the one with less goes
 * first. */
void core_peer_set_load(struct core_peer *p, uint32_t visitors);

/*
 * It serves a tunnel so; replaces what was known. Sessions here of an older process of one of the
 * agents lose the tunnel, as with a newer session on this node.
 *   tunnel  the name, lower case; copied.
 *   entry   NULL: it does not serve it any more.
 * Returns 0 or, then it is not known, ERR_NOMEM, ERR_LIMIT (CORE_PEER_TUNNELS_MAX), ERR_INVAL (no
 * name of a tunnel, or no entry).
 */
int core_peer_serves(struct core_peer *p, struct str tunnel,
		     const struct node_entry *entry) MUST_CHECK;

/* ---- what this node tells the others: core_opt.cluster ---- */

/* An order that reaches every node. */
struct core_order {
	enum core_order_kind {
		CORE_ORDER_DISCONNECT, /* end the sessions that serve a tunnel */
		CORE_ORDER_END,	       /* end one of them */
		CORE_ORDER_KINDS,
	} kind;
	char tunnel[HOSTNAME_MAX + 1];
	char account[CORE_ID_TEXT]; /* whose it is */
	char reason[CORE_REASON_TEXT];
	uint64_t session; /* CORE_ORDER_END: its number, > 0 */
};

/* An account's sessions at other nodes, as they say. A value. */
struct core_held {
	size_t n;
	size_t n_own; /* of them, those of one agent's process, by certain of its carriers */
};

/* All NULL: this node is alone. Called from the loop and from within calls to the core, but not
 * from core_free(). */
struct core_cluster {
	const char *self; /* this node's id; borrowed: outlives the core */
	/* It serves a tunnel otherwise than before; entry NULL: not any more. Told at the end of
	 * the turn, once for each that has changed. */
	void (*serves)(void *arg, struct str tunnel, const struct node_entry *entry);
	/* The sessions of an account here are others than before; held->n 0: none. Told at the end
	 * of the turn, once for each that has changed. */
	void (*holds)(void *arg, struct str account, const struct node_held *held);
	/*
	 * How many has it elsewhere? Answered at once.
	 *   own  a process, and the carriers of it that count for out->n_own.
	 */
	void (*held)(void *arg, struct str account, const struct node_entry_agent *own,
		     struct core_held *out);
	/* A session was refused because the account has as many as it may, some of them elsewhere.
	 */
	void (*room)(void *arg, struct str account);
	/* A record was written or dropped by this node, of a kind on which something may depend
	 * that lives elsewhere. */
	void (*wrote)(void *arg, struct str kind, struct str key);
	void (*order)(void *arg, const struct core_order *o);
	void *arg;
};

/* Another node has written or dropped this record: what depends on it here is read again. Harmless
 * for what is not known here; bounded as refresh.c's reads are. */
void core_on_written_elsewhere(struct core *c, struct str kind, struct str key);

/* The number of an account's sessions at another node has changed: with more than it may have those
 * here that are silent have to show that they live. Harmless for an account without sessions here.
 */
void core_on_held_elsewhere(struct core *c, struct str account);

/* Another node has no room for a session of this account: the same. */
void core_on_room(struct core *c, struct str account);

/* Another node passes an order on: it is carried out here and goes no further. */
void core_on_order(struct core *c, const struct core_order *o);

/*
 * Another node asks who is there, for somebody who may know it; this node answers for itself only,
 * and asks nobody.
 *   visit    with VISIT_NODE. service: "sessions" (that serve visit->tunnel), "visitors" (that came
 *            to this node for it), "agents"; owner: whose the tunnel is, or the agents are; empty:
 *            everybody's.
 *   *answer  empty; gets a line of JSON, see ask.h; at most CORE_ANSWER_MAX bytes.
 * Returns 0, ERR_UNSUPPORTED (a question of a later version), ERR_NOMEM.
 */
int core_answer(struct core *c, const struct visit *visit, struct buf *answer) MUST_CHECK;

/* The longest: MANAGE_AGENTS_MAX agents of 256 bytes, or MANAGE_PAGE_MAX visitors of 640. */
#define CORE_ANSWER_MAX (256 * 1024)

/* What a node knows of others, for the API. */
size_t core_n_remote(const struct core *c); /* tunnels that are served elsewhere */

/*
 * Where would a visitor of this tunnel who has come to this node be sent now? As tunnel_dial()
 * chooses, except that a tunnel whose record is not known here is taken for one without an order of
 * priority.
 * Returns the id of a peer, borrowed until the loop next turns; NULL: a session here serves it, or
 * nobody can.
 */
const char *core_peer_for(struct core *c, struct str tunnel);

#endif
