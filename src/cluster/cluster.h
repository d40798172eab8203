/*
 * This node among the others: what it serves is told to them, what they serve is shown to the core,
 * and streams go between them.
 *
 * In this order: cluster_new(), core_new() with what cluster_core() gives, cluster_start().
 */
#ifndef KAREZ_CLUSTER_CLUSTER_H
#define KAREZ_CLUSTER_CLUSTER_H

#include "cluster/hop.h"
#include "cluster/roster.h"

struct cluster;

struct cluster_opt {
	struct log *log; /* borrowed, as all here */
	struct bus *bus; /* owned by the cluster from cluster_new() on, if that succeeds */
	const struct hop_net *net; /* how other nodes are reached: hop_socket.h, or a simulation */
	const uint8_t *key;	   /* [ROSTER_KEY_LEN]; as hop_opt.key */
	/*
	 * What the others are told of us at first.
	 *   id     as the bus was made with; "": drawn here.
	 *   epoch  set here.
	 *   hop    where others reach us; "": as `listen`. Port 0: the one in force.
	 *   local  also where we listen; "": we do not.
	 */
	struct roster_node self;
	const struct net_addr *listen; /* TCP for other nodes; NULL: none. Copied */
	uint64_t window_total;	       /* see mux_budget */
	/* A visitor of another node; the wire is the callee's. */
	void (*visit)(void *arg, const struct visit *visit, struct wire *w);
	/* What this node carries now, for others. */
	void (*load)(void *arg, uint32_t *sessions, uint32_t *visitors);
	/* Nodes have come or gone, or say something else of themselves. May be NULL. */
	void (*changed)(void *arg);
	void *arg;
};

/* Returns 0, ERR_NOMEM, or what hop_new() does; nothing is heard of us yet. */
int cluster_new(struct ev *ev, const struct cluster_opt *opt, struct cluster **out) MUST_CHECK;

/* What the core is to be made with; it may tell at once. */
void cluster_core(struct cluster *c, struct core_cluster *out);

/*
 * Begin: the core is there. Streams of others may come from now on.
 * Returns 0, ERR_INVAL (every address is listened on, but none was given that others can be told),
 * or why we cannot listen, as hop_listen(); then only cluster_free() may follow.
 */
int cluster_start(struct cluster *c, struct core *core) MUST_CHECK;

/* Others hear that we drain: they send no new visitors as long as others serve. */
void cluster_drain(struct cluster *c);

/* After its core's members have left, before core_free(), which must tell nothing any more. NULL is
 * allowed. */
void cluster_free(struct cluster *c);

/* This node, and the others that are there now. */
const struct roster_node *cluster_self(const struct cluster *c);
void cluster_each(const struct cluster *c, void (*fn)(void *arg, const struct roster_node *n),
		  void *arg);
size_t cluster_n(const struct cluster *c); /* the others */
/* Are at least n others there, and is all known that those who are there serve? */
bool cluster_knows(const struct cluster *c, size_t n);
size_t cluster_load(const struct cluster *c); /* streams of other nodes that run here */

#endif
