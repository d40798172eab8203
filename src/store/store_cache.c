/*
 * Accounts, credentials and tunnels are read a thousand times for each time they change, and a read
 * that goes through a thread or a network takes longer than all the rest of a call.
 *
 * Answers come in the order of asking, so a read that was asked for after a write shows it; one
 * that was asked for before is not kept. Which is which is told by a clock that ticks with every
 * write.
 */
#include "store/store_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct store_known {
	struct map_entry entry; /* in cache->map */
	struct list age;	/* in cache->used: the one used last stands first */
	size_t bytes;
	uint64_t read_ms; /* loop's clock */
	struct store_record rec;
	char text[]; /* kind, NUL, key, value */
};

struct store_cache {
	struct ev *ev;
	struct map map;
	struct list used;
	size_t bytes;
	uint64_t clock;			    /* writes asked for so far */
	uint64_t wrote[STORE_CACHE_CLOCKS]; /* clock of the last write to a key of this slot */
	uint64_t seed[2];
};

struct store_cache_name {
	char text[STORE_KIND_MAX + 1 + STORE_KEY_MAX];
};

/* One text for kind and key. */
static struct str store_cache_name(struct store_cache_name *n, struct str kind, struct str key)
{
	memcpy(n->text, kind.p, kind.len);
	n->text[kind.len] = '\0';
	memcpy(n->text + kind.len + 1, key.p, key.len);
	return (struct str){n->text, kind.len + 1 + key.len};
}

static uint64_t *store_cache_wrote(struct store_cache *c, struct str name)
{
	return &c->wrote[siphash(c->seed, name.p, name.len) % STORE_CACHE_CLOCKS];
}

static struct store_known *store_cache_find(struct store_cache *c, struct str name)
{
	struct map_entry *e = map_get(&c->map, name);

	return e == NULL ? NULL : CONTAINER_OF(e, struct store_known, entry);
}

static void store_cache_drop(struct store_cache *c, struct store_known *k)
{
	map_del(&c->map, &k->entry);
	list_del(&k->age);
	c->bytes -= k->bytes;
	explicit_bzero(k->text, k->bytes - sizeof *k);
	free(k);
}

/* rec: version 0 when it is not there. Nothing is kept when memory is short. */
static void store_cache_keep(struct store_cache *c, struct str name, const struct store_record *rec)
{
	size_t bytes = sizeof(struct store_known) + name.len + rec->value.len;
	struct store_known *k = store_cache_find(c, name);

	if (k != NULL)
		store_cache_drop(c, k);
	if ((k = malloc(bytes)) == NULL)
		return;
	memset(k, 0, sizeof *k);
	k->bytes = bytes;
	k->read_ms = ev_now_ms(c->ev);
	memcpy(k->text, name.p, name.len);
	if (rec->value.len > 0)
		memcpy(k->text + name.len, rec->value.p, rec->value.len);
	k->rec = *rec;
	k->rec.kind = (struct str){k->text, rec->kind.len};
	k->rec.key = (struct str){k->text + rec->kind.len + 1, rec->key.len};
	k->rec.value = (struct str){k->text + name.len, rec->value.len};
	k->entry.key = (struct str){k->text, name.len};
	if (map_put(&c->map, &k->entry) != 0) {
		free(k);
		return;
	}
	list_unshift(&c->used, &k->age);
	c->bytes += bytes;
	while (c->bytes > STORE_CACHE_MAX)
		store_cache_drop(c, CONTAINER_OF(c->used.prev, struct store_known, age));
}

/* As of this tick of the clock. */
static void store_cache_forget(struct store_cache *c, struct str kind, struct str key)
{
	struct store_cache_name n;
	struct str name = store_cache_name(&n, kind, key);
	struct store_known *k = store_cache_find(c, name);

	*store_cache_wrote(c, name) = c->clock;
	if (k != NULL)
		store_cache_drop(c, k);
}

void store_cache_outdate(struct store_cache *c, struct str kind, struct str key)
{
	c->clock++;
	store_cache_forget(c, kind, key);
}

void store_cache_on_ask(struct store_cache *c, struct store_req *req)
{
	req->asked = c->clock;
	if (req->verb != STORE_WRITE)
		return;
	c->clock++;
	for (size_t i = 0; i < req->n_writes; i++)
		store_cache_forget(c, req->writes[i].rec.kind, req->writes[i].rec.key);
}

void store_cache_on_answer(struct store_cache *c, const struct store_req *req)
{
	struct store_record rec = req->writes[0].rec; /* of a read: its kind and key */
	struct store_cache_name n;
	struct str name;

	if (req->verb != STORE_GET || (req->answer.e != 0 && req->answer.e != ERR_NOTFOUND))
		return;
	name = store_cache_name(&n, rec.kind, rec.key);
	if (*store_cache_wrote(c, name) > req->asked)
		return;
	rec.value = (struct str){0};
	rec.version = 0;
	store_cache_keep(c, name, req->answer.e == 0 ? &req->answer.recs[0] : &rec);
}

bool store_cache_peek(struct store_cache *c, struct str kind, struct str key,
		      struct store_record *out)
{
	struct store_cache_name n;
	struct store_known *k;

	if (kind.len > STORE_KIND_MAX || key.len > STORE_KEY_MAX)
		return false;
	k = store_cache_find(c, store_cache_name(&n, kind, key));
	if (k == NULL)
		return false;
	if (ev_now_ms(c->ev) - k->read_ms > STORE_PEEK_MS ||
	    (k->rec.expires_ms != 0 && store_is_over(k->rec.expires_ms, ev_wall_ms(c->ev)))) {
		store_cache_drop(c, k);
		return false;
	}
	list_del(&k->age);
	list_unshift(&c->used, &k->age);
	*out = k->rec;
	return true;
}

struct store_cache *store_cache_new(struct ev *ev)
{
	struct store_cache *c = calloc(1, sizeof *c);
	uint8_t seed[16];

	if (c == NULL)
		return NULL;
	c->ev = ev;
	ev_random(ev, seed, sizeof seed);
	map_init(&c->map, seed);
	ev_random(ev, c->seed, sizeof c->seed);
	list_init(&c->used);
	return c;
}

void store_cache_clear(struct store_cache *c)
{
	while (!list_empty(&c->used))
		store_cache_drop(c, CONTAINER_OF(c->used.next, struct store_known, age));
	c->clock++;
	for (size_t i = 0; i < ARRAY_LEN(c->wrote); i++)
		c->wrote[i] = c->clock;
}

void store_cache_free(struct store_cache *c)
{
	if (c == NULL)
		return;
	store_cache_clear(c);
	map_free(&c->map);
	free(c);
}
