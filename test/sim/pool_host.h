/* A machine with targets, and the karez that runs there, again and again. */
#ifndef KAREZ_SIM_POOL_HOST_H
#define KAREZ_SIM_POOL_HOST_H

#include "sim/cable.h"
#include "sim/life.h"
#include "sim/pool_target.h"
#include "sim/pool_terms.h"

struct pool_run;

struct pool_host {
	struct pool *pool;
	unsigned index, node; /* node: the one its agents know */
	char id[16];
	unsigned n_sessions;
	bool has[POOL_TUNNELS_MAX];	/* its agent asks for it, or offers its service */
	bool checked[POOL_TUNNELS_MAX]; /* the agent checks the health of that target */
	struct pool_target targets[POOL_TUNNELS_MAX];
	struct pool_run *run; /* NULL while it is dead */
	uint64_t gone_ms;     /* when the last one ended */
	uint64_t broke_ms;    /* when streams to it may have broken last */
	uint64_t hazy_ms;     /* until then nothing is sure about its sessions */
	uint64_t unplugged_until_ms;
	struct ev_timer start;
};

/* One life of the agent's process. */
struct pool_run {
	struct life life; /* first: the two are the same pointer */
	struct pool_host *host;
	struct url server;
	uint64_t up_ms; /* its services are on offer since; 0: they are not */
	unsigned n_seats, seats[POOL_TUNNELS_MAX]; /* tunnels that it asks for by name */
	uint64_t seat_ms[POOL_TUNNELS_MAX];	   /* by tunnel: it is online since; 0: it is not */
	bool lost[POOL_TUNNELS_MAX];		   /* by tunnel: the server's last word about it */
};

/* Draw a host; its agent starts with pool_host_start(). */
void pool_host_init(struct pool *p, unsigned index);
void pool_host_start(struct pool_host *h);

/* kill -9: whatever it had open resets at once. It is started again after so long. */
void pool_host_kill(struct pool_host *h, uint32_t back_ms);

/* Ctrl-C, and started again after so long. */
void pool_host_stop(struct pool_host *h, uint32_t back_ms);

/* The network is gone for so long. */
void pool_host_unplug(struct pool_host *h, uint32_t ms);

/* One of its cables was cut, or is silent for so long. */
void pool_host_cut(struct pool_host *h, struct cable *c);
void pool_host_freeze(struct pool_host *h, struct cable *c, uint32_t ms);

void pool_host_set_mood(struct pool_host *h, unsigned tunnel, enum target_mood mood);

/* Whoever has lost a tunnel that it may have again is started again. */
void pool_host_look(struct pool_host *h);

/* Everything ends, nothing comes back. */
void pool_host_end(struct pool_host *h);

#endif
