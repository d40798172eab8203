/* Nodes that are nothing but a roster on a lossy bus, and what each has heard of the others. */
#ifndef KAREZ_UNIT_CLUSTER_ROSTER_RIG_H
#define KAREZ_UNIT_CLUSTER_ROSTER_RIG_H

#include "cluster/roster_internal.h"
#include "sim/lossy_bus.h"

/* Tunnels of a rig are "t0", "t1", ... */
#define RIG_TUNNELS_MAX 16384
/* Its accounts are "a0", "a1", ... */
#define RIG_ACCOUNTS 12
/* Processes of one world, dead ones too. */
#define RIG_NODES_MAX 24

struct roster_rig;

/* One process. */
struct rig_node {
	struct roster_rig *rig;
	unsigned number; /* its place in rig->nodes */
	char id[NODE_ID_TEXT];
	struct bus *bus;
	struct roster *roster; /* NULL: dead */
	uint64_t died_ms;
	bool draining;
	uint32_t visitors;	      /* its load */
	uint64_t *serves;	      /* [rig->n_tunnels]; 0: not, else a number that grows */
	uint32_t holds[RIG_ACCOUNTS]; /* sessions */
	/* What it has heard, by the number of the other. */
	bool knows[RIG_NODES_MAX];
	struct roster_node said[RIG_NODES_MAX];
	uint64_t *heard[RIG_NODES_MAX]; /* [rig->n_tunnels], as serves; NULL: nothing ever */
	uint32_t held[RIG_NODES_MAX][RIG_ACCOUNTS]; /* as holds */
	unsigned n_short; /* so many entries that come next find no memory */
	bool short_of;	  /* one has just */
	unsigned n_node, n_gone, n_serves, n_holds, n_rooms, n_wrote, n_orders;
	struct core_order order; /* the last one */
	char wrote[64];		 /* key of the last one */
};

struct roster_rig {
	struct ev *ev;
	struct log log;
	struct lossy_net *net;
	struct rig_node nodes[RIG_NODES_MAX];
	unsigned n_nodes;
	size_t n_tunnels;
	uint64_t clock;	   /* of changes */
	uint64_t patience; /* ms that a message of a dead process may still be under way */
};

void rig_new(struct roster_rig *g, uint64_t seed, size_t n_tunnels);
void rig_free(struct roster_rig *g);

/* Start one more process; id: NULL: its own. */
struct rig_node *rig_join(struct roster_rig *g, const char *id);
void rig_leave(struct rig_node *n); /* in order */
void rig_kill(struct rig_node *n);  /* without a word */

/* Serve it otherwise, or not any more. */
void rig_tell(struct rig_node *n, size_t tunnel, bool serves);

/* Have so many sessions of an account, of one agent with so many connections; 0: none. */
void rig_hold(struct rig_node *n, size_t account, uint32_t sessions);

/* All that are alive know each other and serve what each other thinks; with a reason if not. */
bool rig_agrees(const struct roster_rig *g);

/* Nobody knows anybody dead. */
bool rig_is_tidy(const struct roster_rig *g);

extern const uint8_t rig_key[ROSTER_KEY_LEN];

#endif
