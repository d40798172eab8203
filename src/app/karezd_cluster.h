/* What karezd's options and its supervisor say of other nodes, as a node wants to know it. */
#ifndef KAREZ_APP_KAREZD_CLUSTER_H
#define KAREZ_APP_KAREZD_CLUSTER_H

#include "app/cluster_key.h"
#include "app/karezd_options.h"
#include "app/node.h"
#include "app/worker.h"

/* Bytes of a sentence that says why not, NUL included. */
#define KAREZD_CLUSTER_WHY CLUSTER_KEY_WHY

/* Embedded in its owner, all zero at first; it must stay until node_new() has returned. */
struct karezd_cluster {
	struct node_cluster node;
	struct net_addr listen;
	uint8_t key[CLUSTER_KEY_LEN];
};

struct karezd_cluster_opt {
	const struct karezd_settings *set; /* checked, see karezd_check.h */
	const struct worker *worker;
	struct ev *ev;
	struct log *log;
};

/*
 * The secret that this process shares with the others that serve the same visitors: the cluster's
 * with --hop-listen, else the supervisor's.
 *   out  [CLUSTER_KEY_LEN] set on success; the caller wipes it.
 *   why  [KAREZD_CLUSTER_WHY] set on failure, but for ERR_NOTFOUND.
 * Returns 0, ERR_NOTFOUND (there are no others), or as cluster_key_read().
 */
int karezd_cluster_key(const struct karezd_settings *set, const struct worker *worker, uint8_t *out,
		       char *why) MUST_CHECK;

/*
 * Are there other nodes? With --hop-listen those of the same Redis, else the other workers, else
 * none.
 *   c    on success node_opt.cluster is to be &c->node if c->node.bus is not NULL.
 *   why  [KAREZD_CLUSTER_WHY] set on failure.
 * Returns 0, or an ERR_* as cluster_key_read(), bus_redis_new(), bus_local_new().
 */
int karezd_cluster_open(const struct karezd_cluster_opt *opt, struct karezd_cluster *c,
			char *why) MUST_CHECK;

/* The node has taken what it needs, or will not be. */
void karezd_cluster_forget(struct karezd_cluster *c);

#endif
