/*
 * Tunnels that are known while nobody serves them: those with a port, those whose visitors begin
 * with TLS, and those that name a service or agents. All of them are read when the node starts, and
 * again with every refresh; whoever writes a record tells place_on_record().
 */
#ifndef KAREZ_CORE_PLACE_H
#define KAREZ_CORE_PLACE_H

#include "core/core_internal.h"

struct place;

/* How often the list of routes is read again: another node may have made some. Seldom, as in
 * refresh.c, while the store tells of those. */
#define PLACE_LIST_MS CORE_REFRESH_MS

/* What the places of a core need, for core_new(). Returns 0 or ERR_NOMEM. */
int places_new(struct core *c) MUST_CHECK;

/*
 * Read all routes, now and again and again; `done` is told once, when the first reading is over
 * (0), or has failed; never before this returns, and before it is called again.
 */
void place_start(struct core *c, void (*done)(void *arg, int e), void *arg);

/* Ports are given up. */
void place_free_all(struct core *c);

/*
 * A tunnel's record has been written, read again or dropped: take or give up its port, learn its
 * names, assign it to agents that offer. After tunnel_on_record().
 */
void place_on_record(struct core *c, const struct store_record *rec);

/* Somebody, here or elsewhere, serves this tunnel with a working target now, or nobody does any
 * more: open or shut its port. Harmless for tunnels without one. */
void place_on_served(struct core *c, const char *tunnel);

/* tunnel_make() of what is known of its record, NULL when that is nothing. */
struct tunnel *place_make_tunnel(struct core *c, struct str name);

/* One that was served by as many sessions as may be has lost one: offer it again, at the end of the
 * turn. */
void place_on_room(struct core *c, const char *tunnel);

/* A member offers, or has changed its offer: give it what it is to serve, take back the rest. Its
 * owner may make it leave in the middle of that. */
void place_assign(struct member *m);

/* Does a member's offer fit the tunnel that it serves? */
bool place_keeps(const struct serving *s);

/* ---- ports that a change has taken before its record is written ---- */

/*
 * Take a port for a tunnel's future record. One that a known tunnel of ours has on the same address
 * already is only marked; the caller must have made sure that this tunnel gives it up.
 *   bind  as in the record.
 *   *out  the reservation, to be given back to place_release() in any case: what the record then
 *         claims has become its tunnel's own before.
 * Returns 0 or as core_ports.take(); ERR_INUSE also when another change holds it.
 */
struct reservation;
int place_reserve(struct core *c, const char *bind, uint16_t port,
		  struct reservation **out) MUST_CHECK;

/* NULL is allowed. */
void place_release(struct core *c, struct reservation *r);

/* The tunnel that has this port, NULL when no known one has. */
const char *place_tunnel_at(struct core *c, uint16_t port);

#endif
