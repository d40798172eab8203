/* Chained hashing with SipHash; doubles when it is full. */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define FIRST_SLOTS 16

static inline uint64_t rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t siphash(const uint64_t key[2], const void *data, size_t len)
{
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
			 key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
	const uint8_t *p = data;
	uint64_t word, last = (uint64_t)len << 56;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		memcpy(&word, p + i, 8);
		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
	}
	for (int shift = 0; i < len; i++, shift += 8)
		last |= (uint64_t)p[i] << shift;
	v[3] ^= last;
	sip_round(v);
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m, const uint8_t seed[16])
{
	memset(m, 0, sizeof *m);
	memcpy(m->seed, seed, sizeof m->seed);
}

void map_free(struct map *m)
{
	free(m->slots);
	m->slots = NULL;
	m->n_slots = m->n = 0;
}

struct map_entry *map_get(const struct map *m, struct str key)
{
	uint64_t hash;

	if (m->n == 0)
		return NULL;
	hash = siphash(m->seed, key.p, key.len);
	for (struct map_entry *e = m->slots[hash & (m->n_slots - 1)]; e != NULL; e = e->next)
		if (e->hash == hash && str_eq(e->key, key))
			return e;
	return NULL;
}

static int map_grow(struct map *m)
{
	size_t n_slots = m->n_slots == 0 ? FIRST_SLOTS : m->n_slots * 2;
	struct map_entry **slots = calloc(n_slots, sizeof *slots);

	if (slots == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		struct map_entry *e = m->slots[i], *next;

		for (; e != NULL; e = next) {
			next = e->next;
			e->next = slots[e->hash & (n_slots - 1)];
			slots[e->hash & (n_slots - 1)] = e;
		}
	}
	free(m->slots);
	m->slots = slots;
	m->n_slots = n_slots;
	return 0;
}

int map_put(struct map *m, struct map_entry *e)
{
	struct map_entry **slot;

	if (m->n >= m->n_slots && map_grow(m) != 0)
		return ERR_NOMEM;
	e->hash = siphash(m->seed, e->key.p, e->key.len);
	slot = &m->slots[e->hash & (m->n_slots - 1)];
	e->next = *slot;
	*slot = e;
	m->n++;
	return 0;
}

void map_del(struct map *m, struct map_entry *e)
{
	struct map_entry **at = &m->slots[e->hash & (m->n_slots - 1)];

	while (*at != e) {
		CHECK(*at != NULL);
		at = &(*at)->next;
	}
	*at = e->next;
	e->next = NULL;
	m->n--;
}

struct map_entry *map_next(const struct map *m, const struct map_entry *prev)
{
	size_t i = 0;

	if (prev != NULL) {
		if (prev->next != NULL)
			return prev->next;
		i = (prev->hash & (m->n_slots - 1)) + 1;
	}
	for (; i < m->n_slots; i++)
		if (m->slots[i] != NULL)
			return m->slots[i];
	return NULL;
}
