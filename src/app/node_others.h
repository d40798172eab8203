/* What the parts of a node ask about the other nodes: agents, the API, doors with workers. */
#ifndef KAREZ_APP_NODE_OTHERS_H
#define KAREZ_APP_NODE_OTHERS_H

#include "api/api.h"
#include "cluster/cluster.h"
#include "gateway/gateway.h"

/* Embedded in a node; all zero: it is alone, and all calls are harmless. */
struct node_others {
	struct cluster *cluster; /* owned */
	struct gateway_nodes for_agents;
};

/* There is a cluster now. */
void node_others_begin(struct node_others *o);

/* This node goes soon. */
void node_others_drain(struct node_others *o);

/* As cluster_free(). */
void node_others_end(struct node_others *o);

/* For gateway_opt.nodes: NULL without others. */
const struct gateway_nodes *node_others_for_agents(const struct node_others *o);

/* As api_opt.peers. */
void node_others_each(const struct node_others *o, void (*fn)(void *to, const struct api_peer *p),
		      void *to);

/* Is it another worker of this machine? id: may be NULL. */
bool node_others_is_worker(const struct node_others *o, const char *id);

/*
 * Another worker of this machine that may take a session of an agent, so that its sessions are with
 * several: NULL if it should stay here.
 *   with  nodes that the agent has sessions with, "id,id", any bytes.
 * The text is valid until the loop next turns.
 */
const char *node_others_for_agent(const struct node_others *o, struct str with);

/* Another worker of this machine that stays, NULL if there is none. The same. */
const char *node_others_heir(const struct node_others *o);

#endif
