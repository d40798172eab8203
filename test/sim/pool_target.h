/* A target of a tcp tunnel on some host: it says who it is, then it echoes, or pours. */
#ifndef KAREZ_SIM_POOL_TARGET_H
#define KAREZ_SIM_POOL_TARGET_H

#include "wire/wire.h"

struct pool;

enum target_mood {
	TARGET_WELL,
	TARGET_REFUSES, /* nobody listens there */
	TARGET_RESETS,	/* it accepts, and resets */
	TARGET_HANGS,	/* connecting never ends */
	TARGET_MOODS,
};

struct pool_target {
	struct pool *pool;
	unsigned host, tunnel;
	enum target_mood mood;
	uint64_t mood_ms;  /* it has changed then */
	struct list conns; /* owned */
};

/*
 * The first line of every target: who it is, when it was connected to, and what follows: E: what
 * the visitor sends, up to its end; P n: n bytes, pool_target_byte() of pool_target_salt(), then
 * the end.
 */
#define TARGET_BANNER	  "karez %u.%u %llu %c %u\n"
#define TARGET_BANNER_MAX 64

/* What a visitor sends begins with its number, in so many hexadecimal digits; all after it is
 * pool_target_byte() of the number. */
#define TARGET_NUMBER 8

/* Byte number `at` of a stream of bytes. */
char pool_target_byte(uint64_t salt, uint64_t at);
uint64_t pool_target_salt(unsigned host, unsigned tunnel, uint64_t accept_ms);

void pool_target_init(struct pool_target *t, struct pool *p, unsigned host, unsigned tunnel);

/* A connection comes in; the wire is the target's. */
void pool_target_accept(struct pool_target *t, struct wire *w);

/* Connections that have lasted for so long; health checks come and go at any time. */
size_t pool_target_load(const struct pool_target *t, uint64_t min_ms);

/* End every connection. */
void pool_target_close_all(struct pool_target *t);

#endif
