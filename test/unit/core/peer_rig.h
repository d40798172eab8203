/* Three cores on one store that hear of each other by direct calls. */
#ifndef KAREZ_TEST_UNIT_CORE_PEER_RIG_H
#define KAREZ_TEST_UNIT_CORE_PEER_RIG_H

#include "core/peer_internal.h"
#include "unit/core/core_rig.h"

#define PEER_RIG_N 3 /* nodes a, b, c on one store */

extern const char *const peer_rig_ids[PEER_RIG_N];

struct peer_node;
struct peer_rig;

/* One node as another one sees it. */
struct peer_way {
	struct peer_node *from, *to;
	struct core_peer *peer; /* in from's core; NULL: it has gone */
};

struct peer_node {
	struct peer_rig *w;
	struct core_rig rig; /* a copy: the core is this node's own */
	struct peer_way way[PEER_RIG_N];
	bool mute;    /* nobody hears it */
	bool through; /* streams that others open are dialled here */
	bool dies;    /* it goes while others open a stream to it */
	int open_e;   /* what they get */
	unsigned n_opened, n_orders;
	/* Another node asks this one, see core_answer(); NULL: refused. As core_peer_opt.open. */
	int (*asked)(struct peer_node *n, const struct visit *visit, struct wire **out);
	struct visit visit; /* the last one that was sent here */
	struct peer_row {   /* what it has said of an account's sessions */
		char account[CORE_ID_TEXT];
		struct node_held held;
	} rows[4];
	unsigned n_told, n_rooms;
	char said[512]; /* "demo+1/0/2 " (up, priority, sessions), "demo- ", "wrote:kind/key " */
	char let[64];	/* the tunnel that its port lets visitors in to */
};

struct peer_rig {
	struct core_rig r;
	struct peer_node node[PEER_RIG_N];
	struct access_who ann, bob;
};

void peer_rig_new(struct peer_rig *w);
void peer_rig_free(struct peer_rig *w);
void peer_rig_run(struct peer_rig *w, uint64_t ms);

/* A node begins. It meets nobody by that. */
void peer_rig_start(struct peer_rig *w, int i);

/* n hears of another one. */
void peer_rig_meet(struct peer_node *n, int other);

/* n goes, as far as the others hear of it. */
void peer_rig_part(struct peer_rig *w, int n);

/* Has the node told exactly this since it was asked last? */
bool peer_rig_said(struct peer_node *n, const char *want);

/* See core_cluster.serves; arg: a node, whom the others hear. */
void peer_rig_on_serves(void *arg, struct str tunnel, const struct node_entry *entry);

/* A session of an agent of ann's comes to a node; and it serves the tunnel "demo". */
void peer_rig_join(struct peer_rig *w, struct fake *f, int node, const char *agent, uint64_t epoch,
		   unsigned carrier);
void peer_rig_serve(struct peer_rig *w, struct fake *f, int node, const char *agent);

/* A tunnel's record is written, past all cores. members: besides the account. */
void peer_rig_put(struct peer_rig *w, const char *name, const char *members);

/* What somebody tells of an agent of ann's. */
struct node_entry peer_rig_entry(struct peer_rig *w, const char *agent, uint64_t epoch,
				 uint64_t carriers);

/* Ask a node for a name, or for a host (not NULL). Returns what core_lookup() has answered. */
int peer_rig_lookup(struct peer_rig *w, int node, const char *name, const char *host);

/* What a visitor of "demo" finds at a node. */
struct tunnel *peer_rig_demo(struct peer_rig *w, int node);

#endif
