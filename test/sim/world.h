/*
 * A whole karez in memory: one server, a few agents with their targets, visitors, and bad luck. All
 * of it follows from a seed, on virtual time.
 */
#ifndef KAREZ_SIM_WORLD_H
#define KAREZ_SIM_WORLD_H

#include "app/node.h"
#include "core/core.h"
#include "sim/cable.h"
#include "sim/dice.h"
#include "sim/host.h"
#include "sim/quest.h"
#include "sim/visitor.h"

#define WORLD_DOMAIN	 "sim.test"
#define WORLD_HOSTS_MAX	 3
#define WORLD_ACCOUNTS	 2
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
};

struct world {
	uint64_t seed;
	bool verbose, failed;
	bool lucky; /* no faults: every request must succeed */
	struct dice dice;
	uint64_t trace; /* hash of all that was noted */
	struct ev *ev;
	struct log log;
	struct store *store;
	struct node *node; /* NULL while the server is down */
	bool draining;
	struct list cables, visitors;
	size_t n_visitors, n_names, n_hosts, n_quests;
	unsigned visitor_number, run_number;
	struct host hosts[WORLD_HOSTS_MAX];
	struct world_name names[WORLD_NAMES_MAX];
	struct quest *quests[WORLD_QUESTS_MAX]; /* owned */
	char tokens[WORLD_ACCOUNTS][CORE_TOKEN_TEXT];
	unsigned n_tokens;

	struct ev_timer fault, arrival; /* the next of each */
	struct ev_timer up, drain;	/* the server comes back; it has drained long enough */
	uint64_t calm_at_ms;		/* no faults from then on */
	unsigned n_faults, n_arrivals;	/* still to come */
};

/* What one world was like. */
struct world_result {
	uint64_t trace; /* the same for the same seed and code */
	uint64_t virtual_ms;
	size_t n_quests;
	uint32_t heal_ms; /* how long the slowest tunnel took to answer after the last fault */
};

/* Live through a seed. Returns true if every promise was kept; a broken one is printed. */
bool world_run(uint64_t seed, bool verbose, struct world_result *out);

/* Something happened: into the trace. */
void world_note(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A promise is broken: say so, and stop. */
void world_fail(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The address of visitor n, as text. */
void world_ip(unsigned n, char out[32]);

/* A fresh wire to the server, or NULL when it is down. number: the visitor's, or the host's. */
struct wire *world_dial_node(struct world *w, enum cable_kind kind, unsigned number);

/* A name is online for an account: two must never have one name. */
void world_own(struct world *w, const char *name, int account);

/* Whose name is it? WORLD_NOBODY if it has never been online. */
int world_owner(const struct world *w, const char *name);

/* May this seat answer for names[name]? */
bool world_may_serve(const struct world *w, unsigned name, unsigned host, unsigned seat);

/* The server stops at once, and is back after so long. */
void world_stop_node(struct world *w, uint32_t back_ms);

/* Draw the time and kind of every fault and visit, and begin. */
void faults_begin(struct world *w);

/* No more of them; everything works from now on. */
void faults_end(struct world *w);

#endif
