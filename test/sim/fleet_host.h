/* A machine with a target, and the karez that runs there, again and again. */
#ifndef KAREZ_SIM_FLEET_HOST_H
#define KAREZ_SIM_FLEET_HOST_H

#include "sim/cable.h"
#include "sim/fleet_target.h"
#include "sim/life.h"

#define FLEET_SEATS_MAX 3
/* Node i is to be dialled at this port and i more; at port 80, any of them. */
#define FLEET_NODE_PORT 8000
/* So long what a dark machine had open is silent, in milliseconds. */
#define FLEET_DARK_MS 60000

struct fleet;
struct fleet_tunnel;
struct fleet_host;
struct fleet_node;

/* One life of the agent's process. */
struct fleet_run {
	struct life life; /* first: the two are the same pointer */
	struct fleet_host *host;
	bool online[FLEET_SEATS_MAX], lost[FLEET_SEATS_MAX];
};

struct fleet_host {
	struct fleet *fleet;
	unsigned index;
	int account;
	char id[16];
	unsigned n_sessions, n_seats, n_servers;
	struct url servers[4];
	struct fleet_tunnel *seats[FLEET_SEATS_MAX];
	struct fleet_target target;
	struct fleet_run *run; /* NULL while it is dead */
	uint64_t unplugged_until_ms;
	struct ev_timer start;
};

/* Draw a host; its agent starts soon. */
void fleet_host_init(struct fleet *f, unsigned index);

/* kill -9: whatever it had open resets at once. It is started again after so long. */
void fleet_host_kill(struct fleet_host *h, uint32_t back_ms);

/* Its machine is gone without a word, and all that it had open is silent. Another one is there
 * after so long. */
void fleet_host_vanish(struct fleet_host *h, uint32_t back_ms);

/* Ctrl-C, and started again after so long. */
void fleet_host_stop(struct fleet_host *h, uint32_t back_ms);

/* The network is gone for so long. */
void fleet_host_unplug(struct fleet_host *h, uint32_t ms);

/* Whoever has lost a tunnel that it may have again is started again. */
void fleet_host_look(struct fleet_host *h);

/* Should it serve this tunnel now, if all is well? */
bool fleet_host_should(const struct fleet_host *h, const struct fleet_tunnel *t);

/* Does it, with all of its sessions up? */
bool fleet_host_serves(const struct fleet_host *h, const struct fleet_tunnel *t);

/* Does it ask for it at all? */
bool fleet_host_asks(const struct fleet_host *h, const struct fleet_tunnel *t);

/* Everything ends, nothing comes back. */
void fleet_host_end(struct fleet_host *h);

#endif
