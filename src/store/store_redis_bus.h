/*
 * What Redis does for nodes that share it, besides their records: it passes messages on, and keeps
 * of each what it said last for as long as it goes on saying it. Knows nothing of what is said.
 *
 * Two links: one is sent commands, the other listens. Both have to be at the same Redis; so after a
 * failover it works again when both have found the new master.
 */
#ifndef KAREZ_STORE_STORE_REDIS_BUS_H
#define KAREZ_STORE_STORE_REDIS_BUS_H

#include "base/str.h"
#include "ev/ev.h"

struct store_redis_bus;

/* Bytes of commands that wait to be written, at most, and of one message. */
#define STORE_REDIS_BUS_WAITING_MAX (8 * 1024 * 1024)
#define STORE_REDIS_BUS_MESSAGE_MAX (64 * 1024)

/* Leases that an answer tells of, at most. */
#define STORE_REDIS_BUS_NODES_MAX 256

/* Bytes of a node's id. */
#define STORE_REDIS_BUS_ID_MAX 32

/* What the owner is told, on the loop; strings are borrowed for the call. Each may do anything with
 * the bus, also close it. */
struct store_redis_bus_ops {
	void (*up)(void *arg);

	/* It was up; what waited to be sent is gone. */
	void (*lost)(void *arg);

	/* Somebody published this, to us or to all; our own to all come, too. */
	void (*message)(void *arg, struct str message);

	/*
	 * The answer to a beat or a look.
	 *   heads  [n] the first bytes of what each node that has a lease said last; also ours.
	 */
	void (*leases)(void *arg, const struct str *heads, size_t n);

	/* The answer to a read: all of it. */
	void (*lease)(void *arg, struct str message);
};

struct store_redis_bus_opt {
	struct log *log;   /* borrowed: outlives it */
	const char *where; /* as for store_redis_open(); copied */
	const char *id;	   /* this node's; letters and digits; copied */
	uint32_t lease_ms; /* how long a beat holds */
	uint32_t head_len; /* bytes of a head */
};

/*
 * Begin to look for Redis.
 *   ops, arg  borrowed: outlive the bus.
 * Returns 0, ERR_INVAL or ERR_UNSUPPORTED (where), ERR_TOOBIG (a password of the environment, the
 * id), ERR_NOMEM. No callback before this returns.
 */
int store_redis_bus_new(struct ev *ev, const struct store_redis_bus_opt *opt,
			const struct store_redis_bus_ops *ops, void *arg,
			struct store_redis_bus **out) MUST_CHECK;

/*
 * The lease ends, and `last` is published to all, if it is up. No callback afterwards. NULL is
 * allowed.
 */
void store_redis_bus_close(struct store_redis_bus *b, struct str last);

/*
 * Publish; nobody knows whether somebody listens.
 *   to  a node's id; NULL: all.
 * Returns 0, ERR_CLOSED (not up), ERR_LIMIT (too much waits), ERR_TOOBIG, ERR_NOMEM.
 */
int store_redis_bus_send(struct store_redis_bus *b, const char *to, struct str message) MUST_CHECK;

/* Publish to all, and renew our lease with it; ops->leases answers. Errors as above. */
int store_redis_bus_beat(struct store_redis_bus *b, struct str message) MUST_CHECK;

/* Ask for the leases only. */
int store_redis_bus_look(struct store_redis_bus *b) MUST_CHECK;

/* Ask for all of what a node said last; ops->lease answers if it has a lease still. */
int store_redis_bus_read(struct store_redis_bus *b, const char *id) MUST_CHECK;

#endif
