/* A hash map from byte strings to entries that live in their owners. Keys may come from anybody. */
#ifndef KAREZ_BASE_MAP_H
#define KAREZ_BASE_MAP_H

#include "base/str.h"

/* Embedded in what is stored; the key is borrowed and must not change while it is in the map. */
struct map_entry {
	struct map_entry *next;
	struct str key;
	uint64_t hash;
};

struct map {
	struct map_entry **slots; /* owned; [n_slots], a power of two */
	size_t n_slots, n;
	uint64_t seed[2]; /* SipHash key: strangers choose names, so they must not choose slots */
};

/*
 * Make an empty map.
 *   seed  [16] random bytes.
 */
void map_init(struct map *m, const uint8_t seed[16]);

/* Forget the slots; the entries belong to their owners. */
void map_free(struct map *m);

/* Borrowed; NULL when there is none. */
struct map_entry *map_get(const struct map *m, struct str key);

/*
 * Add an entry; its key must not be there yet.
 *   e->key set by the caller.
 * Returns 0 or ERR_NOMEM.
 */
int map_put(struct map *m, struct map_entry *e) MUST_CHECK;

/* Take an entry out; it must be in this map. */
void map_del(struct map *m, struct map_entry *e);

/*
 * Walk all entries in no order.
 *   prev  NULL for the first. The entry returned last may be deleted before the next call only if
 *         its successor was fetched first.
 */
struct map_entry *map_next(const struct map *m, const struct map_entry *prev);

/* SipHash-2-4 of some bytes. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF". */
uint64_t siphash(const uint64_t key[2], const void *data, size_t len);

#endif
