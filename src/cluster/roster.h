/*
 * Who the other nodes are, what they say of themselves, and what they serve; and the same of us,
 * for them. All of it works over a bus that loses, doubles and reorders.
 *
 * A message is sealed with the cluster's key (HMAC-SHA256; between workers, whose bus nobody else
 * can reach, a key that their supervisor has drawn), names its sender, its sender's epoch and a
 * number that never repeats; what was heard before, or is older than the last 64, counts for
 * nothing. A node whose id is new is asked to prove that it lives now, by sealing a number that we
 * have drawn; so a message of yesterday brings nobody back.
 *
 * What a node serves, and how many sessions of each account it has, is a list in the order of its
 * changes, each with a number. A message tells a
 * piece of it, from one number to another, and a copy takes a piece only where it continues it;
 * each beat says the last number. So a lost message costs a beat at most, and who asks for the list
 * gets what has changed since, not all of it: see roster_list.c.
 */
#ifndef KAREZ_CLUSTER_ROSTER_H
#define KAREZ_CLUSTER_ROSTER_H

#include "cluster/bus.h"
#include "core/peer.h"
#include "net/net_addr.h"

struct roster;

/* Bytes of the key, and of the texts below with their NUL. */
#define ROSTER_KEY_LEN	    32
#define ROSTER_ADDR_TEXT    108
#define ROSTER_VERSION_TEXT 24
#define ROSTER_MACHINE_TEXT 33

/* What a node says of itself, and the others show. A value. */
struct roster_node {
	char id[NODE_ID_TEXT];
	uint64_t epoch;			   /* wall clock ms of its start */
	char hop[ROSTER_ADDR_TEXT];	   /* "IP:PORT" where others open streams; "": nowhere */
	char local[ROSTER_ADDR_TEXT];	   /* path of a socket for those of the same machine */
	char machine[ROSTER_MACHINE_TEXT]; /* equal: a worker of the same supervisor */
	char agents[ROSTER_ADDR_TEXT];	   /* URL where agents reach this very node; "" */
	char version[ROSTER_VERSION_TEXT];
	uint32_t sessions, visitors; /* its load */
	bool draining;
};

struct roster_owner {
	/* A node has come, or what it says of itself has changed. Borrowed for the call. */
	void (*node)(void *arg, const struct roster_node *n);
	/* It says what it carries, perhaps the same as before. May be NULL. */
	void (*carries)(void *arg, const struct roster_node *n);
	/* It is gone; afterwards its id is free again. */
	void (*gone)(void *arg, const char *id);
	/* It serves a tunnel so; entry NULL: not any more. Only between node() and gone(). Returns
	 * 0, or ERR_NOMEM: it is told again in a while. */
	int (*serves)(void *arg, const char *id, struct str tunnel, const struct node_entry *entry);
	/* It has another number of an account's sessions: see roster_held(). The same. */
	void (*holds)(void *arg, const char *id, struct str account);
	/* It has refused a session of this account, which has as many as it may. */
	void (*room)(void *arg, struct str account);
	/* It has written a record; it passes an order on. */
	void (*wrote)(void *arg, struct str kind, struct str key);
	void (*order)(void *arg, const struct core_order *o);
	/* What we carry now: asked before each beat. May be NULL: what roster_set() has said. */
	void (*load)(void *arg, uint32_t *sessions, uint32_t *visitors);
};

struct roster_opt {
	struct log *log; /* borrowed, as the bus and the owner's table: outlives it */
	struct bus *bus;
	const uint8_t *key;	 /* [ROSTER_KEY_LEN]; need not stay */
	struct roster_node self; /* what we say first */
	const struct roster_owner *owner;
	void *arg;
};

/* What was heard and counted for nothing. */
struct roster_counts {
	uint64_t forged;   /* not sealed with our key */
	uint64_t replayed; /* heard before, or older than the last 64 of its sender */
	uint64_t own;	   /* our own */
	uint64_t astray;   /* for another node */
	uint64_t old;	   /* of a process that another one has replaced */
	uint64_t bad;	   /* sealed, but no message that we understand */
	uint64_t strange;  /* of a node that has not proven yet that it lives */
	uint64_t asked;	   /* lists, or the rest of them, that we have asked for */
};

/* Challenges to strangers at the same time. */
#define ROSTER_CALLS_MAX 64
/* Answers to challenges of strangers, and messages for roster_room(), a second. */
#define ROSTER_ANSWERS_MAX 512
#define ROSTER_ROOMS_MAX   64
/* Tunnels of one other node, and accounts with sessions there. */
#define ROSTER_TUNNELS_MAX  (1024 * 1024)
#define ROSTER_ACCOUNTS_MAX (1024 * 1024)
/* Removals that are remembered, besides as many as there are rows: who missed more has the whole
 * list told. */
#define ROSTER_REMOVED_MAX 4096
/* Orders that are told again, and how often each is told: what they end must not stay because a
 * message was lost. */
#define ROSTER_ORDERS_MAX  64
#define ROSTER_ORDER_TIMES 3
/* How long nothing may come of a list before it is asked for again, in ms. */
#define ROSTER_WANT_MS 1000

/* Nobody hears of us before roster_start(), but what we serve may be told from now on. */
int roster_new(struct ev *ev, const struct roster_opt *opt, struct roster **out) MUST_CHECK;

/* Take the bus, and be heard. Once. */
void roster_start(struct roster *r);

/* The others hear that we are gone; the bus stays its owner's. No callback afterwards. NULL is
 * allowed. */
void roster_free(struct roster *r);

/* What we say of ourselves from now on; id and epoch stay. Told at once if more than the load
 * differs. */
void roster_set(struct roster *r, const struct roster_node *self);

/* What we serve, or the sessions that we have of an account, have changed; told with other changes
 * of the same turn. entry NULL: not any more; held->n 0: none. */
void roster_tell(struct roster *r, struct str tunnel, const struct node_entry *entry);
void roster_tell_held(struct roster *r, struct str account, const struct node_held *held);
void roster_wrote(struct roster *r, struct str kind, struct str key);
void roster_order(struct roster *r, const struct core_order *o);

/* We have refused a session of an account that has as many as it may: the others make sure that
 * those they have are alive. Told at once, never twice, and not all when there are many. */
void roster_room(struct roster *r, struct str account);

/*
 * The sessions of an account at the other nodes, as they say.
 *   own  see struct core_held.
 */
void roster_held(const struct roster *r, struct str account, const struct node_entry_agent *own,
		 struct core_held *out);

/* The nodes that are there now, one call each; for the API and for agents. */
void roster_each(const struct roster *r, void (*fn)(void *arg, const struct roster_node *n),
		 void *arg);
size_t roster_n(const struct roster *r);

/* Is all known that they serve, as far as they have been heard? */
bool roster_settled(const struct roster *r);

/* This node, as it says. */
const struct roster_node *roster_self(const struct roster *r);
const struct roster_counts *roster_counts(const struct roster *r);

#endif
