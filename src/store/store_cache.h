/* What store_peek() knows: records as they were read lately. Private to store/. */
#ifndef KAREZ_STORE_STORE_CACHE_H
#define KAREZ_STORE_STORE_CACHE_H

#include "base/map.h"
#include "store/store_internal.h"

/* Bytes that are kept, entries' own included; what was used longest ago goes first. */
#define STORE_CACHE_MAX (8 * 1024 * 1024)

/* Keys share so many clocks of their last write. */
#define STORE_CACHE_CLOCKS 1024

struct store_cache;

/* Returns NULL when memory is gone. */
struct store_cache *store_cache_new(struct ev *ev);
void store_cache_free(struct store_cache *c);

/* Nothing is known any more; what is being read now is not kept either. */
void store_cache_clear(struct store_cache *c);

/* It was written: it is known no more, nor will be what was asked for before. */
void store_cache_outdate(struct store_cache *c, struct str kind, struct str key);

/* A request is about to be queued: what it writes is known no more. */
void store_cache_on_ask(struct store_cache *c, struct store_req *req);

/* A request has been answered: a record that was read is known, unless a write was asked for
 * after it. */
void store_cache_on_answer(struct store_cache *c, const struct store_req *req);

bool store_cache_peek(struct store_cache *c, struct str kind, struct str key,
		      struct store_record *out);

#endif
