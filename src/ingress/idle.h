/*
 * Streams whose request is answered, kept open for the next request of the same tunnel: so a
 * visitor that does not keep its own connection alive does not cost the target one. Connections to
 * hooks are kept in the same way.
 */
#ifndef KAREZ_INGRESS_IDLE_H
#define KAREZ_INGRESS_IDLE_H

#include "wire/wire.h"

struct idle_pool;

/* How much is kept. */
struct idle_limits {
	size_t per_key, total; /* at most */
	uint32_t ms;	       /* for how long */
};

/* Streams kept for one session of one tunnel and for all, at most. */
#define IDLE_PER_PLACE 256
#define IDLE_TOTAL     8192
/*
 * How long a stream is kept, in milliseconds: less than the 5 s after which common servers (Node,
 * Gunicorn) close their side, so that a request rarely meets a closing connection.
 */
#define IDLE_MS 4000

int idle_new(struct ev *ev, const struct idle_limits *limits, struct idle_pool **out) MUST_CHECK;

/* Closes all streams. NULL is allowed. */
void idle_free(struct idle_pool *p);

/*
 * Keep a stream.
 *   key  whose it is: of a stream the place of its session at its tunnel, see tunnel_choose().
 *   w    owned by the pool from now on, or closed at once when it is full.
 */
void idle_put(struct idle_pool *p, uint64_t key, struct wire *w);

/* Close those whose key this says no to. */
void idle_sort(struct idle_pool *p, bool (*stays)(void *arg, uint64_t key), void *arg);

/*
 * Take the stream that was used last.
 *   max_idle_ms  not one that has waited longer.
 * Returns the wire, the caller's, or NULL.
 */
struct wire *idle_take(struct idle_pool *p, uint64_t key, uint32_t max_idle_ms);

#endif
