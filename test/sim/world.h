/*
 * A whole karez in memory: one server or two on one store, a few agents with their targets,
 * visitors, somebody who takes rights away and gives them back, and bad luck. All of it follows
 * from a seed, on virtual time.
 */
#ifndef KAREZ_SIM_WORLD_H
#define KAREZ_SIM_WORLD_H

#include "app/node.h"
#include "core/core.h"
#include "sim/cable.h"
#include "sim/clerk.h"
#include "sim/dice.h"
#include "sim/host.h"
#include "sim/quest.h"
#include "sim/stage.h"
#include "sim/visitor.h"

#define WORLD_DOMAIN	 "sim.test"
#define WORLD_SHARED	 "shared" /* a name that several hosts want */
#define WORLD_HOSTS_MAX	 3
#define WORLD_ACCOUNTS	 2
#define WORLD_NODES_MAX	 2
#define WORLD_NAMES_MAX	 128
#define WORLD_QUESTS_MAX 4096
#define WORLD_NOBODY	 (-1)

/* When everything must work again after the last fault, in milliseconds. */
#define WORLD_HEAL_MS 30000

/* A name under the domain. */
struct world_name {
	char text[HOST_NAME_TEXT];
	int account; /* whose it is, once it has been online */
	bool known;  /* it has been */
	struct ban ban;
	bool freed;	   /* it was deleted: anybody may have it */
	bool freed_ever;   /* that has happened */
	int account_was;   /* before it changed hands */
	uint64_t moved_ms; /* when that was heard; 0: never */
};

/* A server. */
struct world_node {
	struct world *world;
	unsigned index;
	struct node *node; /* NULL while it is down */
	bool draining;
	struct ev_timer up, drain; /* it comes back; it has drained long enough */
};

/* An account that hosts share. */
struct world_account {
	char id[CORE_ID_TEXT];
	char token[CORE_TOKEN_TEXT]; /* its first: never taken away */
	struct {
		char token[CORE_TOKEN_TEXT], id[CORE_ID_TEXT];
	} hosts[WORLD_HOSTS_MAX]; /* those that hosts begin with */
	size_t n_hosts;
	struct ban ban;
};

struct world {
	struct stage stage;
	bool lucky; /* no faults: every request must succeed */
	bool with_clerk;
	unsigned edits; /* of 100 faults: that somebody edits what an agent serves */
	struct world_node nodes[WORLD_NODES_MAX];
	unsigned n_nodes;
	struct list visitors;
	size_t n_visitors, n_names, n_hosts, n_quests;
	unsigned visitor_number, run_number;
	struct host hosts[WORLD_HOSTS_MAX];
	struct world_name names[WORLD_NAMES_MAX];
	struct quest *quests[WORLD_QUESTS_MAX]; /* owned */
	struct world_account accounts[WORLD_ACCOUNTS];
	unsigned n_accounts;
	char admin[CORE_TOKEN_TEXT]; /* the administrator's token */
	struct clerk clerk;

	struct ev_timer fault, arrival; /* the next of each */
	uint64_t calm_at_ms;		/* no faults from then on */
	unsigned n_faults, n_arrivals;	/* still to come */
};

/* Live through a seed. Returns true if every promise was kept; a broken one is printed. */
bool world_run(uint64_t seed, bool verbose, struct stage_result *out);

/* A fresh wire to a node, or NULL when it is down. number: the visitor's, or the host's. */
struct wire *world_dial_node(struct world *w, enum cable_kind kind, unsigned node, unsigned number);

/* NULL when it has never been heard of. */
struct world_name *world_find(const struct world *w, const char *name);

/* A name is online for an account: two must never have one name. */
void world_own(struct world *w, const char *name, int account);

/* Whose name is it? WORLD_NOBODY if it has never been online. */
int world_owner(const struct world *w, const char *name);

/* May this seat answer for names[name]? */
bool world_may_serve(const struct world *w, unsigned name, unsigned host, unsigned seat);

/* Has an agent of this node ever said that it serves names[name]? */
bool world_was_served_at(const struct world *w, unsigned name, unsigned node);

/* A node to ask for names[name]: mostly one where it is served. */
unsigned world_pick_node(struct world *w, unsigned name);

/* Had the right of this host to serve the name been gone for long when the visitor asked? */
bool world_must_not_serve(const struct world *w, const struct world_name *n, unsigned host,
			  const struct visitor *v);

/* May a visitor who came then be told that it is switched off? */
bool world_may_be_off(const struct world *w, const struct world_name *n, uint64_t asked_ms);

/* A node stops at once, and is back after so long. */
void world_stop_node(struct world_node *n, uint32_t back_ms);

/* Draw the time and kind of every fault and visit, and begin. */
void faults_begin(struct world *w);

/* No more of them; everything works from now on. */
void faults_end(struct world *w);

#endif
