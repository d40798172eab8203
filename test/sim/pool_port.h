/* The ports of a node, in memory: see core_ports. */
#ifndef KAREZ_SIM_POOL_PORT_H
#define KAREZ_SIM_POOL_PORT_H

#include "core/core.h"

struct pool_node;

struct port {
	struct list link; /* in pool_node.ports */
	struct pool_node *node;
	uint16_t number;
	char tunnel[HOSTNAME_MAX + 1]; /* "": it refuses */
};

/* What node_opt.ports is to be. */
void pool_port_init(struct pool_node *n, struct core_ports *out);

/* NULL: the node does not hold it. */
struct port *pool_port_find(const struct pool_node *n, uint16_t number);

/* The node drains: all of them refuse. */
void pool_port_shut_all(struct pool_node *n);

#endif
