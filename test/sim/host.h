/* A machine behind NAT: its targets, and the karez that runs there, again and again. */
#ifndef KAREZ_SIM_HOST_H
#define KAREZ_SIM_HOST_H

#include "sim/clerk.h"
#include "sim/life.h"
#include "sim/site.h"

#define HOST_SEATS_MAX 3
/* Places that the target of one seat moves between. */
#define HOST_MOVES     4
#define HOST_NAMES_MAX 24
#define HOST_NAME_TEXT 64

struct world;

/* A tunnel of a host: its target, and the names it has had. */
struct seat {
	struct site site;
	char asked[HOST_NAME_TEXT];		  /* "": any */
	char had[HOST_NAMES_MAX][HOST_NAME_TEXT]; /* by any run */
	unsigned n_had;
};

struct host {
	struct world *world;
	unsigned index;
	int account; /* in world->accounts; -1: each run gets one on the fly */
	char token[CORE_TOKEN_TEXT], credential[CORE_ID_TEXT]; /* of its own in that account */
	struct ban ban;					       /* of the token */
	unsigned node;					       /* the one its agents know */
	char id[16];
	unsigned n_sessions;
	bool stays; /* its agents rest when they have nothing to serve */
	size_t n_seats;
	struct seat seats[HOST_SEATS_MAX];
	struct list runs; /* of struct run: more than one while a twin of it still lives */
	struct run *run;  /* the newest; NULL while it is dead */
	bool over;	  /* refused for good: not started again */
	struct ev_timer start;
	struct ev_timer again; /* somebody has seen that it has lost a tunnel */
	uint64_t unplugged_until_ms;
};

/* One life of the agent's process. */
struct run {
	struct life life; /* first: the two are the same pointer */
	struct host *host;
	struct list link; /* in host->runs */
	struct url server;
	char name[HOST_SEATS_MAX][HOST_NAME_TEXT];    /* as the server gave them, "" before */
	uint32_t id[HOST_SEATS_MAX];		      /* of its tunnel; 0: it was removed */
	unsigned move[HOST_SEATS_MAX];		      /* where its target is now */
	uint64_t left_ms[HOST_SEATS_MAX][HOST_MOVES]; /* when it was last elsewhere; 0: never */
	bool lost[HOST_SEATS_MAX];
	bool taken; /* one of them by the clerk: it may be had again */
	bool online;
};

/* Draw a host and start its agent soon. */
void host_init(struct world *w, unsigned index);

/* Start another run now; one that lives meets its twin. */
void host_start(struct host *h);

/* The power goes. It is started again after so long. */
void host_kill(struct host *h, uint32_t back_ms);

/* Ctrl-C, and started again after so long. */
void host_stop(struct host *h, uint32_t back_ms);

/* The network is gone for so long. */
void host_unplug(struct host *h, uint32_t ms);

/* May its next run be a twin of the present one: is everything it asks for known by name? */
bool host_may_twin(const struct host *h);

/* A person adds, changes or removes one of its tunnels. */
void host_edit(struct host *h);

/* Has its agent nothing to serve? */
bool host_rests(const struct host *h);

/* What was removed is wanted again. */
void host_add_all(struct host *h);

/* Has its agent been told that names[name] is not to be had? */
bool host_has_lost(const struct host *h, unsigned name);

/* A name is free: whoever did not get it tries again soon. */
void host_tell_free(struct world *w, const char *name);

/* Everything ends, nothing comes back. */
void host_end(struct host *h);

#endif
