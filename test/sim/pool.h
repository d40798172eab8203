/*
 * Ports and pools in memory: one server or two on one store, two or three agents of one account
 * that serve a few tcp tunnels together, visitors of their ports, somebody who moves tunnels from
 * agent to agent and from port to port, and bad luck. All of it follows from a seed.
 *
 * What is promised about it is in pool_rules.h; sim/world.h is the same for HTTP.
 */
#ifndef KAREZ_SIM_POOL_H
#define KAREZ_SIM_POOL_H

#include "app/node.h"
#include "core/core_internal.h"
#include "sim/cable.h"
#include "sim/caller.h"
#include "sim/pool_host.h"
#include "sim/pool_port.h"
#include "sim/pool_terms.h"
#include "sim/pool_visitor.h"
#include "sim/stage.h"

#define POOL_DOMAIN	"sim.test"
#define POOL_NODES_MAX	2
#define POOL_PORT_FIRST 9000
#define POOL_PORTS	5 /* that tunnels may have; one of them at least is always nobody's */

/* When everything must work again after the last fault, in milliseconds. */
#define POOL_HEAL_MS 30000

/* From then on a node knows of a change that another one has acknowledged: a turn of the refresh,
 * and the clock that counts it. In milliseconds. */
#define POOL_SETTLE_MS (CORE_REFRESH_MS + 1500)

/* A server. */
struct pool_node {
	struct pool *pool;
	unsigned index;
	struct node *node; /* NULL while it is down */
	struct list ports; /* of port.link: that it holds */
	bool draining;
	uint64_t up_ms;	     /* it started */
	uint64_t stopped_ms; /* it stopped last, or began to drain; 0: never */
	/* Some other program has the port until then. */
	uint64_t foreign_ms[POOL_PORTS];
	struct ev_timer up, drain;
};

/* Whoever changes the records. */
struct pool_clerk {
	struct caller caller;
	unsigned node; /* that is being asked */
	bool list;     /* a whole list; else one tunnel */
	bool drop;     /* delete it */
	unsigned tunnel;
	struct terms next[POOL_TUNNELS_MAX]; /* as they shall be */
	char path[100], body[2000];
};

struct pool {
	struct stage stage;
	bool lucky; /* no faults: every visit must succeed, but for what the clerk takes away */
	bool with_clerk;
	char token[CORE_TOKEN_TEXT]; /* of the account */
	struct pool_node nodes[POOL_NODES_MAX];
	struct pool_tunnel tunnels[POOL_TUNNELS_MAX];
	struct pool_host hosts[POOL_HOSTS_MAX];
	unsigned n_nodes, n_tunnels, n_hosts;
	struct list visitors; /* of pool_visitor.link */
	size_t n_visitors, n_probes;
	unsigned visitor_number, run_number;
	struct pool_clerk clerk;
	uint64_t stall_ms; /* the last time when something began, or ceased, to be silent */
	uint64_t hung_ms;  /* the last time when a target hung */

	struct ev_timer fault, arrival, tick;
	uint64_t calm_at_ms;	       /* no faults from then on */
	unsigned n_faults, n_arrivals; /* still to come */
};

/* Live through a seed. Returns true if every promise was kept; a broken one is printed. */
bool pool_run(uint64_t seed, bool verbose, struct stage_result *out);

/* A fresh wire of an agent or of the clerk to a node, or NULL when it is down. */
struct wire *pool_dial_node(struct pool *p, enum cable_kind kind, unsigned node, unsigned number);

/* A node stops at once, and is back after so long. */
void pool_stop_node(struct pool_node *n, uint32_t back_ms);

/* ---- pool_clerk.c ---- */

void pool_clerk_init(struct pool *p);

/* Make all tunnels. Returns when it is done. */
void pool_clerk_begin(struct pool *p);

/* Some change, as the dice fall; nothing when one is under way. */
void pool_clerk_act(struct pool *p);

/* ---- pool_faults.c ---- */

/* Draw the time and kind of every fault and visit, and begin. */
void pool_faults_begin(struct pool *p);

/* No more of them; everything works from now on. */
void pool_faults_end(struct pool *p);

#endif
