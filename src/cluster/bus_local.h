/*
 * The bus of the workers of one machine: each listens on a socket in a folder that only their user
 * may enter, and has one connection to each of the others.
 *
 * The sockets are streams with a length in front of each message, and not SOCK_SEQPACKET: so they
 * are what net/ has already, and a large message takes no more of the kernel's memory than a small
 * one.
 */
#ifndef KAREZ_CLUSTER_BUS_LOCAL_H
#define KAREZ_CLUSTER_BUS_LOCAL_H

#include "cluster/bus.h"

/* Connections of one worker, those that have not said who they are among them. */
#define BUS_LOCAL_PEERS_MAX 256

/*
 * Listens at once, as dir/SELF.bus.
 *   log   borrowed: outlives the bus.
 *   dir   mode 0700, NUL-terminated; copied. It may hold other things.
 *   self  our id, 16 lower hex digits, in no other process; copied.
 * Returns 0, ERR_INVAL (no such id), ERR_TOOBIG (the path of the folder), or as net_listen() and
 * ev_watch_new().
 */
int bus_local_new(struct ev *ev, struct log *log, const char *dir, const char *self,
		  struct bus **out) MUST_CHECK;

/* How many workers have a bus in this folder now, those of dead ones that nobody has removed yet
 * among them. */
size_t bus_local_count(const char *dir);

#endif
