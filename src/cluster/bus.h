/*
 * How nodes reach each other with short messages: Redis publish/subscribe, sockets between the
 * workers of one machine, or a simulated one. Who is there is the bus's to say (leases of Redis, an
 * open socket); whom to believe, and what is said, is not: roster.h.
 *
 * A message may be lost, come twice or late, in any order; what comes is what somebody sent, whole,
 * though that somebody may be a stranger.
 */
#ifndef KAREZ_CLUSTER_BUS_H
#define KAREZ_CLUSTER_BUS_H

#include "base/buf.h"
#include "ev/ev.h"
#include "proto/node_entry.h"

/* Bytes of one message. */
#define BUS_MESSAGE_MAX (48 * 1024)

/* How often a node shows that it lives, and after how long without that it is gone; in ms. */
#define BUS_BEAT_MS 2000
#define BUS_GONE_MS 8000

/* Bytes of messages that wait to be sent; what is beyond is lost (and repaired later). */
#define BUS_WAITING_MAX (8 * 1024 * 1024)

struct bus;

struct bus_owner {
	/* A message came; borrowed for the call. */
	void (*heard)(void *arg, struct str message);
	/* A node that was heard of is not there any more: its lease is over, its socket closed. */
	void (*gone)(void *arg, const char *id);
	/* The bus works, or does not: while it does not nobody is gone, and nothing is heard. */
	void (*up)(void *arg, bool up);
};

struct bus_ops {
	int (*send)(struct bus *b, const char *to, struct str message);
	void (*beat)(struct bus *b, struct str message);
	void (*close)(struct bus *b);
};

/* The head of every kind of bus. */
struct bus {
	const struct bus_ops *ops;
	const struct bus_owner *owner; /* borrowed: static tables */
	void *arg;
};

/* Callbacks come from the loop, never from inside a call. */
static inline void bus_own(struct bus *b, const struct bus_owner *owner, void *arg)
{
	b->owner = owner;
	b->arg = arg;
}

/*
 * Send to one node, or to all others.
 *   to       an id; NULL: all.
 *   message  at most BUS_MESSAGE_MAX bytes; copied.
 * Returns 0 (it may be lost all the same), ERR_LIMIT (too much waits), ERR_CLOSED (the bus is
 * down), ERR_NOMEM, ERR_TOOBIG.
 */
MUST_CHECK
static inline int bus_send(struct bus *b, const char *to, struct str message)
{
	return b->ops->send(b, to, message);
}

/* Show that we live, by this message: to all others now, and to those who come until the next one,
 * within BUS_GONE_MS. The owner calls it every BUS_BEAT_MS, and when something in it has changed.
 */
static inline void bus_beat(struct bus *b, struct str message)
{
	b->ops->beat(b, message);
}

/* Others hear at once that we are gone. NULL is allowed. */
static inline void bus_close(struct bus *b)
{
	if (b != NULL)
		b->ops->close(b);
}

#endif
