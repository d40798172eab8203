/* A stack of streams a tunnel, and one list by age over all. */
#include "ingress/idle.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/map.h"

struct idle_bucket {
	struct map_entry entry;
	uint64_t key;
	struct list streams; /* newest first */
	size_t n;
};

struct idle_stream {
	struct list link, age;
	struct idle_pool *pool;	    /* borrowed: frees its streams before itself */
	struct idle_bucket *bucket; /* borrowed: lives while it has streams */
	struct wire *wire;	    /* owned */
	uint64_t since_ms;
};

struct idle_pool {
	struct ev *ev;
	struct idle_limits limits;
	struct map buckets;
	struct list by_age; /* oldest first */
	size_t n;
	struct ev_timer timer;
};

/* Out of the pool; the wire is the caller's. */
static struct wire *idle_remove(struct idle_stream *s)
{
	struct idle_pool *p = s->pool;
	struct idle_bucket *b = s->bucket;
	struct wire *w = s->wire;

	list_del(&s->link);
	list_del(&s->age);
	p->n--;
	if (--b->n == 0) {
		map_del(&p->buckets, &b->entry);
		ev_free_later(p->ev, b);
	}
	ev_free_later(p->ev, s);
	return w;
}

/* Nothing may come on an idle stream: bytes nobody asked for, or its end, are the end of it. */
static void idle_on_ready(void *arg, struct wire *w, int events)
{
	wire_close(idle_remove(arg), 0);
}

static void idle_on_broken(void *arg, struct wire *w, int why)
{
	wire_close(idle_remove(arg), 0);
}

static const struct wire_owner idle_owner = {idle_on_ready, idle_on_broken};

static void idle_on_timer(void *arg)
{
	struct idle_pool *p = arg;
	uint64_t now = ev_now_ms(p->ev);

	while (!list_empty(&p->by_age)) {
		struct idle_stream *s = CONTAINER_OF(p->by_age.next, struct idle_stream, age);

		if (s->since_ms + p->limits.ms > now) {
			ev_timer_set(p->ev, &p->timer, s->since_ms + p->limits.ms - now);
			return;
		}
		wire_close(idle_remove(s), 0);
	}
}

static struct str idle_key(const uint64_t *key)
{
	return (struct str){(const char *)key, sizeof *key};
}

static struct idle_bucket *idle_bucket(struct idle_pool *p, uint64_t key)
{
	struct map_entry *e = map_get(&p->buckets, idle_key(&key));
	struct idle_bucket *b;

	if (e != NULL)
		return CONTAINER_OF(e, struct idle_bucket, entry);
	if ((b = calloc(1, sizeof *b)) == NULL)
		return NULL;
	b->key = key;
	b->entry.key = idle_key(&b->key);
	list_init(&b->streams);
	if (map_put(&p->buckets, &b->entry) != 0) {
		free(b);
		return NULL;
	}
	return b;
}

void idle_put(struct idle_pool *p, uint64_t key, struct wire *w)
{
	struct idle_bucket *b = p->n >= p->limits.total ? NULL : idle_bucket(p, key);
	struct idle_stream *s = NULL;

	if (b == NULL || b->n >= p->limits.per_key || (s = calloc(1, sizeof *s)) == NULL) {
		if (b != NULL && b->n == 0) {
			map_del(&p->buckets, &b->entry);
			free(b);
		}
		wire_close(w, 0);
		return;
	}
	s->pool = p;
	s->bucket = b;
	s->wire = w;
	s->since_ms = ev_now_ms(p->ev);
	list_unshift(&b->streams, &s->link);
	list_push(&p->by_age, &s->age);
	b->n++;
	p->n++;
	wire_own(w, &idle_owner, s);
	wire_want(w, WIRE_READ);
	if (!ev_timer_is_set(&p->timer))
		ev_timer_set(p->ev, &p->timer, p->limits.ms);
}

struct wire *idle_take(struct idle_pool *p, uint64_t key, uint32_t max_idle_ms)
{
	struct map_entry *e = map_get(&p->buckets, idle_key(&key));
	struct idle_stream *s;
	struct wire *w;

	if (e == NULL)
		return NULL;
	s = CONTAINER_OF(CONTAINER_OF(e, struct idle_bucket, entry)->streams.next,
			 struct idle_stream, link);
	if (s->since_ms + max_idle_ms < ev_now_ms(p->ev))
		return NULL;
	w = idle_remove(s);
	wire_want(w, 0);
	wire_own(w, NULL, NULL);
	return w;
}

void idle_sort(struct idle_pool *p, bool (*stays)(void *arg, uint64_t key), void *arg)
{
	LIST_FOR_EACH_SAFE (link, &p->by_age) {
		struct idle_stream *s = CONTAINER_OF(link, struct idle_stream, age);

		if (!stays(arg, s->bucket->key))
			wire_close(idle_remove(s), 0);
	}
}

int idle_new(struct ev *ev, const struct idle_limits *limits, struct idle_pool **out)
{
	struct idle_pool *p = calloc(1, sizeof *p);
	uint8_t seed[16];

	if (p == NULL)
		return ERR_NOMEM;
	p->ev = ev;
	p->limits = *limits;
	ev_random(ev, seed, sizeof seed);
	map_init(&p->buckets, seed);
	list_init(&p->by_age);
	p->timer = (struct ev_timer){.fn = idle_on_timer, .arg = p};
	*out = p;
	return 0;
}

void idle_free(struct idle_pool *p)
{
	if (p == NULL)
		return;
	ev_timer_stop(p->ev, &p->timer);
	while (!list_empty(&p->by_age))
		wire_close(idle_remove(CONTAINER_OF(p->by_age.next, struct idle_stream, age)), 0);
	map_free(&p->buckets);
	ev_free_later(p->ev, p);
}
