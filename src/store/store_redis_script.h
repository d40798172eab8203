/* The Lua programs that run inside Redis: what must be done at once there. */
#ifndef KAREZ_STORE_STORE_REDIS_SCRIPT_H
#define KAREZ_STORE_STORE_REDIS_SCRIPT_H

/*
 * Our keys. The braces are a hash tag: a Redis in cluster mode keeps all of them in one slot, so
 * one script may touch them all. Kinds have no slash, so KIND/KEY is unambiguous.
 *
 *   karez:{store}:head          "SCHEMA RUN LAST": version of this layout; run id of the Redis that
 *                               wrote last; the version, or number in the log, given last
 *   karez:{store}:r:KIND/KEY    "VERSION EXPIRES_MS VALUE"
 *   karez:{store}:i:KIND        sorted set of KEY, all with score 0: byte order
 *   karez:{store}:expires       sorted set of KIND/KEY by EXPIRES_MS, those that have one
 *   karez:{store}:breaks        list of "FROM TO", the newest first: a Redis that took over jumped
 *                               over these versions; whoever was given one of them lost his write
 *   karez:{store}:log           sorted set of "NUMBER KIND/KEY" by NUMBER: the lines of batches
 * that were done last, at most STORE_LOG_MAX; numbers are taken from the versions. Deleted where
 * one could not be told of
 *
 * Expiry is judged by the clock of whoever asks, as in the other stores, and not by Redis's PX: a
 * record that Redis removed by itself would stay in the index, a get needs no script this way, and
 * what is over can still be told from what never was. Every write removes some that are over.
 */
#define STORE_REDIS_KEYS "karez:{store}:"
#define STORE_REDIS_HEAD STORE_REDIS_KEYS "head"

/*
 * And of the nodes, whom each of them tells of itself:
 *
 *   karez:{store}:node:ID       what that node says of itself, as long as its lease runs (PX)
 *   karez:{store}:nodes         sorted set of ID by the time in ms, of Redis' clock, of its last
 * beat karez:{store}:bus/DB        channel of all nodes whose records are in database DB (channels
 * know no databases) karez:{store}:bus/DB:ID     channel of one node
 */
#define STORE_REDIS_NODES STORE_REDIS_KEYS "nodes"
#define STORE_REDIS_NODE  STORE_REDIS_KEYS "node:"
#define STORE_REDIS_BUS	  STORE_REDIS_KEYS "bus/"

/* The layout that this karez writes. */
#define STORE_REDIS_SCHEMA 1

/*
 * A batch. KEYS: head. ARGV: now in ms, run id of this Redis, then for each line six: "p" (put) or
 * "d" (drop), kind, key, expected version or "any", expires_ms, value.
 * Returns {0, version of each line} or {1, index of the line that meets another version}.
 */
extern const char store_redis_script_write[];

/*
 * A batch that was done and may have been lost. KEYS: head. ARGV: run id of this Redis, then for
 * each line six: "p" or "d", kind, key, version (of a drop: the one that went away), expires_ms,
 * value. Puts get the version that they had: it is not given to anybody else.
 * Returns 0 (it is there, as it was), 1 (it was lost, and is there again), 2 (it was lost, and
 * somebody has written there since: nothing was done).
 */
extern const char store_redis_script_redo[];

/*
 * A page. KEYS: index of the kind. ARGV: now in ms, kind, key to begin after or "", limit, bytes.
 * Returns {1 if more follow else 0, key, record, key, record ...}.
 */
extern const char store_redis_script_list[];

/*
 * What was done lately: see store_changes(). KEYS: log. ARGV: number to begin after or 0, limit.
 * Returns {1 if more follow else 0, "NUMBER KIND/KEY", ...}, or {2}: that number is not there.
 */
extern const char store_redis_script_changes[];

/*
 * A node's beat, a look at the others, a node's end. KEYS: nodes, its node:ID. ARGV: "beat", "look"
 * or "bye", ID, lease in ms, channel of all, the message ("" for a look), nodes at most, bytes.
 * The message is published whatever becomes of the writing.
 * Returns {"" or why nothing could be written, then of each node that has a lease the first bytes
 * of its message}; nothing more for a bye.
 */
extern const char store_redis_script_beat[];

#endif
