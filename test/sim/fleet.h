/*
 * A whole cluster in memory: two or three nodes on one store that hear each other over a bus which
 * loses, doubles, delays and reorders, and carry visitors for each other; agents that know one
 * server or several, visitors who come to any node, somebody who changes records at any node, and
 * bad luck. All of it follows from a seed.
 *
 * What is promised about it is in fleet_rules.h; sim/world.h is the same for nodes that do not know
 * each other.
 */
#ifndef KAREZ_SIM_FLEET_H
#define KAREZ_SIM_FLEET_H

#include "app/node.h"
#include "proto/node_message.h"
#include "sim/cable.h"
#include "sim/caller.h"
#include "sim/fleet_host.h"
#include "sim/fleet_visitor.h"
#include "sim/lossy_bus.h"
#include "sim/mem_hop.h"
#include "sim/stage.h"

#define FLEET_DOMAIN	  "sim.test"
#define FLEET_NODES_MAX	  3
#define FLEET_HOSTS_MAX	  4
#define FLEET_ACCOUNTS	  2
#define FLEET_TUNNELS_MAX 16
#define FLEET_PORT_FIRST  9000
#define FLEET_PORTS	  8
#define FLEET_DEAD_MAX	  128
#define FLEET_TAPE	  64 /* messages of a kind that may be sent again */
#define FLEET_VISITS_MAX  8192
#define FLEET_NOBODY	  (-1)

/* How often the rules are looked at, in milliseconds. */
#define FLEET_TICK_MS 250

/* A tunnel that agents ask for. */
struct fleet_tunnel {
	char name[32];
	bool tcp;
	uint16_t port;	   /* of a tcp tunnel: the one that is asked for */
	int account;	   /* whose it is; FLEET_NOBODY: nobody's yet */
	uint64_t known_ms; /* since when it is there; 0: it never was */
	bool freed;	   /* it was deleted: anybody may have it */
	bool freed_ever;
	int account_was;     /* before it changed hands */
	uint64_t moved_ms;   /* then; 0: never */
	uint64_t touched_ms; /* when somebody last began to take it away; 0: never */
	bool off;	     /* switched off, or about to be */
};

/* A server. */
struct fleet_node {
	struct fleet *fleet;
	unsigned index;
	char id[NODE_ID_TEXT];
	struct node *node; /* NULL while it is down */
	struct bus *bus;   /* borrowed: the node's */
	struct list ports; /* of port.link: that it holds */
	bool draining;
	uint64_t dark_ms;    /* until then whoever dials it gets no answer */
	uint64_t cut_ms;     /* until then it does not reach the bus; 0: it does */
	uint64_t off_bus_ms; /* the last time when it was not on the bus */
	struct ev_timer up, drain;
};

/* How two nodes reach each other. */
struct fleet_way {
	enum mem_way way;
	uint64_t until_ms;
};

/* A process that is no more. */
struct fleet_dead {
	char id[NODE_ID_TEXT];
	uint64_t at_ms;
};

/* The last messages of a kind. */
struct fleet_tape {
	struct fleet_taped {
		char from[NODE_ID_TEXT], to[NODE_ID_TEXT]; /* to "": all */
		struct buf message;			   /* owned; empty: none */
	} all[FLEET_TAPE];
	unsigned n; /* so far */
};

enum fleet_act { FLEET_KICK, FLEET_DROP, FLEET_OFF, FLEET_ON, FLEET_ACTS };

/* Whoever changes records: one call of the API after another, at some node. */
struct fleet_clerk {
	struct caller caller;
	enum fleet_act act;
	struct fleet_tunnel *tunnel;
	unsigned node; /* that is being asked */
	char path[100], body[100];
};

struct fleet {
	struct stage stage;
	struct lossy_net *bus; /* owned */
	struct mem_hop hops;
	uint8_t key[ROSTER_KEY_LEN];
	bool workers; /* the nodes are workers of one machine */
	bool urls;    /* each has an address of its own for agents */
	struct fleet_node nodes[FLEET_NODES_MAX];
	struct fleet_host hosts[FLEET_HOSTS_MAX];
	struct fleet_tunnel tunnels[FLEET_TUNNELS_MAX];
	unsigned n_nodes, n_hosts, n_tunnels;
	char tokens[FLEET_ACCOUNTS][CORE_TOKEN_TEXT];
	unsigned n_tokens, run_number;
	struct fleet_clerk clerk;
	struct fleet_way ways[FLEET_NODES_MAX][FLEET_NODES_MAX];
	uint64_t away_ms; /* until then the bus is away; 0: it is there */
	struct fleet_dead dead[FLEET_DEAD_MAX];
	unsigned n_dead;
	struct fleet_tape tapes[NODE_MESSAGE_OTHER];	/* by kind */
	struct fleet_visitor *visits[FLEET_VISITS_MAX]; /* owned */
	unsigned n_visits, n_visiting;
	bool calm;		       /* no faults any more */
	uint64_t truth;		       /* hash of what is served where, as of the last tick */
	uint64_t steady_ms;	       /* since when that has not changed, and the bus is perfect */
	uint64_t sessions, counted_ms; /* the same for whose sessions are where */

	struct ev_timer fault, arrival, tick;
	uint64_t calm_at_ms;
	unsigned n_faults, n_arrivals; /* still to come */
};

/* Live through a seed. Returns true if every promise was kept; a broken one is printed. */
bool fleet_run(uint64_t seed, bool verbose, struct stage_result *out);

/* ---- fleet_node.c ---- */

void fleet_node_init(struct fleet *f, unsigned index);
void fleet_node_start(struct fleet_node *n);

/* Its process ends so. */
enum fleet_end {
	FLEET_STOPS,  /* it says so to everybody */
	FLEET_DIES,   /* without a word; what it had open resets */
	FLEET_DARKENS /* without a word, and all that it had open is silent */
};
/* back_ms: after so long it is there again; UINT32_MAX: never. */
void fleet_node_end(struct fleet_node *n, enum fleet_end how, uint32_t back_ms);
void fleet_node_drain(struct fleet_node *n, uint32_t most_ms, uint32_t back_ms);

/* Does it take visitors? */
bool fleet_node_serves(const struct fleet_node *n);

/* A node that does, by chance; NULL: none. */
struct fleet_node *fleet_node_any(struct fleet *f);

/* A fresh wire to a node's HTTP, or NULL when it is down. host: see cable.host. */
struct wire *fleet_node_dial(struct fleet_node *n, enum cable_kind kind, unsigned host);

/* The number of a host's cables to a node. */
unsigned fleet_cable_host(const struct fleet_node *n, unsigned host);

/* NULL: no such node lives. */
struct fleet_node *fleet_node_find(struct fleet *f, const char *id);

/* Is the bus there, and does this node reach it? */
bool fleet_node_on_bus(const struct fleet_node *n);

/* Whose visitors come to this port of it? NULL: it does not hold it, or refuses them. */
const char *fleet_node_port(const struct fleet_node *n, uint16_t number);

/* The bus and the ways between nodes, as they are to be now. */
void fleet_net_init(struct fleet *f);
void fleet_net_tick(struct fleet *f);
void fleet_net_calm(struct fleet *f);
void fleet_net_free(struct fleet *f);

/* Nothing passes between two nodes until then; what is open is silent, or breaks. */
void fleet_net_part(struct fleet *f, unsigned a, unsigned b, enum mem_way way, uint64_t until_ms);

/* ---- fleet_tape.c ---- */

/* A message was sent. */
void fleet_tape_add(struct fleet *f, struct str message);

/* So many of them, by chance, come again; or all of them, to every node that they were meant for.
 */
void fleet_tape_some(struct fleet *f, unsigned many);
void fleet_tape_all(struct fleet *f);

/* Messages are lost no more. Orders of those who live are forgotten: one that a node has not heard
 * yet is not said again when it comes late. */
void fleet_tape_calm(struct fleet *f);
void fleet_tape_free(struct fleet *f);

/* ---- fleet_clerk.c ---- */

void fleet_clerk_init(struct fleet *f);

/* node: whom to ask; NULL: anybody. Nothing happens while a call is under way. */
void fleet_clerk_begin(struct fleet *f, enum fleet_act act, struct fleet_tunnel *t);

/* ---- fleet_faults.c ---- */

/* Draw the time and kind of every fault and visit, and begin. */
void fleet_faults_begin(struct fleet *f);

/* No more of them; everything works from now on. */
void fleet_faults_end(struct fleet *f);

/* ---- fleet_script.c ---- */

/* What is tried when all is well: see there. */
void fleet_script(struct fleet *f);

/* Wait until all that should be served is, and all nodes know it. */
void fleet_script_heal(struct fleet *f, uint32_t *heal_ms);

#endif
