/*
 * A connection to the Redis that is master now, made again for ever when it breaks: finding it
 * (a list of hosts, or Sentinels), logging in, time-outs. Knows nothing of records.
 */
#ifndef KAREZ_STORE_STORE_REDIS_LINK_H
#define KAREZ_STORE_STORE_REDIS_LINK_H

#include "store/store_redis_resp.h"
#include "store/store_redis_url.h"

struct redisReply;
struct store_redis_link;

/* What the owner is told, on the loop. Each may send, reopen or free the link. */
struct store_redis_link_ops {
	/* It works: send. */
	void (*up)(void *arg);

	/* It worked and broke: nothing that was sent and not replied to will be. */
	void (*lost)(void *arg);

	/*
	 * One more try to make a connection failed. e: ERR_DENIED (the password), ERR_INVAL (no
	 * such database), ERR_UNSUPPORTED (a newer karez wrote the records, or another program), or
	 * one that time may heal (ERR_IO, ERR_TIMEOUT, ERR_NOMEM).
	 */
	void (*failed)(void *arg, int e);

	/* The reply to the oldest command that was sent and has none yet; borrowed for the call. */
	void (*reply)(void *arg, void *tag, const struct redisReply *reply);

	/* There is room again after store_redis_link_has_room() said no. */
	void (*room)(void *arg);

	/* Somebody published this on a channel that the link listens to; borrowed for the call.
	 * NULL for a link that does not listen. */
	void (*message)(void *arg, struct str message);
};

/* Channels of one link, and the bytes of their names, at most. */
enum { STORE_REDIS_CHANNELS_MAX = 2, STORE_REDIS_CHANNEL_MAX = 64 };

/*
 * Begin to look for Redis.
 *   url  copied.
 *   ops, arg  borrowed: outlive the link.
 * Returns 0 or ERR_NOMEM. No callback before this returns.
 */
int store_redis_link_new(struct ev *ev, const struct store_redis_url *url,
			 const struct store_redis_link_ops *ops, void *arg,
			 struct store_redis_link **out) MUST_CHECK;

/*
 * This link listens to a channel and does nothing else: it is up when Redis has confirmed all of
 * them, and nothing may be sent. To be called before the loop turns.
 *   channel  at most STORE_REDIS_CHANNEL_MAX bytes; copied.
 */
void store_redis_link_listen(struct store_redis_link *link, struct str channel);

/* No callback afterwards; what was sent may arrive or not. NULL is allowed. */
void store_redis_link_free(struct store_redis_link *link);

bool store_redis_link_is_up(const struct store_redis_link *link);

/* How many commands have no reply yet. */
size_t store_redis_link_pending(const struct store_redis_link *link);

/* Does little enough wait to be written, so that what is sent now is under way soon? */
bool store_redis_link_has_room(const struct store_redis_link *link);

/*
 * Send a command (store_redis_resp_*); its reply comes with `tag`. It is written when the turn ends
 * or by store_redis_link_flush(). Returns 0, ERR_CLOSED (it is not up), ERR_NOMEM.
 */
int store_redis_link_send(struct store_redis_link *link, struct str command, void *tag) MUST_CHECK;
void store_redis_link_flush(struct store_redis_link *link);

/* This Redis will not do: break the connection and look again. Tells `lost` when it was up. */
void store_redis_link_reopen(struct store_redis_link *link, const char *why);

/* What went wrong last, for a person: "HOST:PORT: reason". NUL-terminated; until the loop next
 * turns. */
const char *store_redis_link_why(const struct store_redis_link *link);

/* "HOST:PORT" or a path: whom it is connected to. NUL-terminated, until the loop next turns. */
const char *store_redis_link_peer_name(const struct store_redis_link *link);

/* What commands need to know of it; only while it is up. */
const struct store_redis_peer *store_redis_link_peer(const struct store_redis_link *link);

/* Will it throw records away when its memory is full (maxmemory-policy), as far as it tells? */
bool store_redis_link_evicts(const struct store_redis_link *link);

#endif
