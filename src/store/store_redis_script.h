/* The Lua programs that run inside Redis: what must be done at once there. */
#ifndef KAREZ_STORE_STORE_REDIS_SCRIPT_H
#define KAREZ_STORE_STORE_REDIS_SCRIPT_H

/*
 * Our keys. The braces are a hash tag: a Redis in cluster mode keeps all of them in one slot, so
 * one script may touch them all. Kinds have no slash, so KIND/KEY is unambiguous.
 *
 *   karez:{store}:head          "SCHEMA RUN LAST": version of this layout; run id of the Redis that
 *                               wrote last; the version given last
 *   karez:{store}:r:KIND/KEY    "VERSION EXPIRES_MS VALUE"
 *   karez:{store}:i:KIND        sorted set of KEY, all with score 0: byte order
 *   karez:{store}:expires       sorted set of KIND/KEY by EXPIRES_MS, those that have one
 *
 * Expiry is judged by the clock of whoever asks, as in the other stores, and not by Redis's PX: a
 * record that Redis removed by itself would stay in the index, a get needs no script this way, and
 * what is over can still be told from what never was. Every write removes some that are over.
 */
#define STORE_REDIS_KEYS "karez:{store}:"
#define STORE_REDIS_HEAD STORE_REDIS_KEYS "head"

/* The layout that this karez writes. */
#define STORE_REDIS_SCHEMA 1

/*
 * A batch. KEYS: head. ARGV: now in ms, run id of this Redis, then for each line six: "p" (put) or
 * "d" (drop), kind, key, expected version or "any", expires_ms, value.
 * Returns {0, version of each line} or {1, index of the line that meets another version}.
 */
extern const char store_redis_script_write[];

/*
 * A page. KEYS: index of the kind. ARGV: now in ms, kind, key to begin after or "", limit, bytes.
 * Returns {1 if more follow else 0, key, record, key, record ...}.
 */
extern const char store_redis_script_list[];

#endif
