/* What an agent dials: answers each request with who it is, and as many bytes as were asked for. */
#ifndef KAREZ_SIM_FLEET_TARGET_H
#define KAREZ_SIM_FLEET_TARGET_H

#include "base/list.h"
#include "wire/wire.h"

/* The target of seat 0; that of seat i is i ports above. */
#define FLEET_TARGET_PORT 1000

struct fleet_host;

struct fleet_target {
	struct fleet_host *host;
	struct list conns; /* of struct target_conn */
};

void fleet_target_init(struct fleet_target *t, struct fleet_host *h);

/* Somebody has connected; the wire is the target's. */
void fleet_target_accept(struct fleet_target *t, struct wire *w, uint16_t port);

size_t fleet_target_load(const struct fleet_target *t);
void fleet_target_close_all(struct fleet_target *t);

#endif
