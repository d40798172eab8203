/*
 * The bus of nodes whose records are in one Redis: publish and subscribe, and a lease that each
 * node renews with every beat.
 *
 * Around each message stands who sent it, and around a beat its number: so a beat that was
 * published and is read from the lease as well is told once, our own are not told, and a beat that
 * was lost on the way comes with the answer to our next one. A node lives as long as its number
 * changes, by our own clock that never jumps, and as long as we see it in Redis: what the wall
 * clocks of all machines say does not matter.
 */
#ifndef KAREZ_CLUSTER_BUS_REDIS_H
#define KAREZ_CLUSTER_BUS_REDIS_H

#include "cluster/bus.h"

/*
 *   log    borrowed: outlives the bus.
 *   where  the name of the store, see store_redis.h; copied.
 *   self   our id, 16 hex digits; copied.
 * Returns 0, ERR_INVAL or ERR_UNSUPPORTED (no such name), ERR_TOOBIG, ERR_NOMEM. That Redis is away
 * is no error: the bus is up when it is there.
 */
int bus_redis_new(struct ev *ev, struct log *log, const char *where, const char *self,
		  struct bus **out) MUST_CHECK;

#endif
