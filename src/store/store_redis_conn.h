/*
 * One connection by hiredis, driven by ev: resolving and connecting, writing, replies, one end.
 * hiredis resolves names while it connects, so that is done on a thread of the pool.
 */
#ifndef KAREZ_STORE_STORE_REDIS_CONN_H
#define KAREZ_STORE_STORE_REDIS_CONN_H

#include "base/str.h"
#include "ev/ev.h"

struct redisReply;
struct store_redis_conn;

/* What the owner is told, on the loop, until it drops the connection. Each may drop it. */
struct store_redis_conn_ops {
	void (*connected)(void *arg);
	void (*reply)(void *arg, void *tag, const struct redisReply *reply);

	/* What a SUBSCRIBE brings: its confirmations, then messages. NULL for who does not. */
	void (*pushed)(void *arg, const struct redisReply *reply);

	/* Its name is resolved, or bytes went or came: it is alive. */
	void (*progress)(void *arg);

	/* It is over, or could not be made; dropped already. why: a clause for a person. */
	void (*broken)(void *arg, const char *why);
};

struct store_redis_conn_to {
	const char *host; /* a name or an address; NULL: path counts */
	uint16_t port;
	const char *path; /* of a socket */
};

/*
 * Begin to connect.
 *   to   copied.
 *   ops  borrowed: outlives the connection.
 * Returns 0 or ERR_NOMEM. No callback before this returns.
 */
int store_redis_conn_new(struct ev *ev, const struct store_redis_conn_to *to,
			 const struct store_redis_conn_ops *ops, void *arg,
			 struct store_redis_conn **out) MUST_CHECK;

/* No callback afterwards; what was sent may arrive or not. NULL is allowed. */
void store_redis_conn_drop(struct store_redis_conn *c);

/* Does a thread still work on its name? That ends by the resolver's own time-outs only. */
bool store_redis_conn_resolving(const struct store_redis_conn *c);

/* Returns 0 or ERR_CLOSED. See store_redis_link_send(). */
int store_redis_conn_send(struct store_redis_conn *c, struct str command, void *tag) MUST_CHECK;
void store_redis_conn_flush(struct store_redis_conn *c);

/*
 * Send a SUBSCRIBE; from now on nothing else may be sent, for hiredis gives replies to what is not
 * a SUBSCRIBE to nobody. A message that is larger than STORE_REDIS_PUSHED_MAX, or an unheard one
 * that is as large, breaks the connection.
 *   command  a NUL follows it.
 * Returns 0 or ERR_CLOSED.
 */
#define STORE_REDIS_PUSHED_MAX (1024 * 1024)
int store_redis_conn_listen(struct store_redis_conn *c, struct str command) MUST_CHECK;

/* Bytes that wait to be written. */
size_t store_redis_conn_waiting(const struct store_redis_conn *c);

#endif
