/*
 * What this process wrote lately, for a Redis that has lost it: replicas follow their master later,
 * so one that takes over may lack what was answered already. Its writer knows it still.
 */
#ifndef KAREZ_STORE_STORE_REDIS_REDO_H
#define KAREZ_STORE_STORE_REDIS_REDO_H

#include "store/store_redis_resp.h"

/* What is kept: so old at most when Redis is lost, so many bytes (a write that is larger is not
 * kept, what is oldest goes first), so many batches. */
#define STORE_REDIS_REDO_MS    30000
#define STORE_REDIS_REDO_BYTES (4 * 1024 * 1024)
#define STORE_REDIS_REDO_MAX   4096

/* All zero but for the list at first: store_redis_redo_init(). */
struct store_redis_redo {
	struct list batches; /* owned; the oldest first */
	size_t n, bytes;
};

void store_redis_redo_init(struct store_redis_redo *r);
void store_redis_redo_clear(struct store_redis_redo *r);

/* A write was answered with 0. Nothing is kept when memory is short. now_ms: the loop's. */
void store_redis_redo_keep(struct store_redis_redo *r, const struct store_req *req,
			   uint64_t now_ms);

/* Redis is lost now: forget what it must have passed on by then. */
void store_redis_redo_prune(struct store_redis_redo *r, uint64_t now_ms);

/*
 * The command of each batch, the oldest first.
 *   fn  called with each; what it returns ends the walk unless it is 0.
 * Returns 0, what fn returned, ERR_NOMEM.
 */
int store_redis_redo_each(const struct store_redis_redo *r, const char *run_id,
			  int (*fn)(void *arg, struct str command), void *arg) MUST_CHECK;

#endif
