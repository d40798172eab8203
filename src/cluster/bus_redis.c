/*
 * Who lives, and what was told already, is judged here; how Redis is reached and what runs inside
 * it is the store's (store_redis_bus.h).
 *
 * When Redis comes back, empty or another one, nobody is gone by that: each node has all of its
 * time again to be seen.
 */
#include "cluster/bus_redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "store/store_redis_bus.h"

/* When a look at the leases could not be asked for. */
#define LOOK_AGAIN_MS 500

/* For what was published to come, before it is read from the lease. */
#define BEHIND_MS 100

/* In front of each message: what it is, whose, and of a beat its number. */
#define ID_LEN	   (NODE_ID_TEXT - 1)
#define NUMBER_LEN 16
#define HEAD_LEN   (1 + ID_LEN + NUMBER_LEN)

_Static_assert(HEAD_LEN + BUS_MESSAGE_MAX <= STORE_REDIS_BUS_MESSAGE_MAX, "a message fits");
_Static_assert(BUS_WAITING_MAX == STORE_REDIS_BUS_WAITING_MAX, "the same bound");

enum { KIND_BEAT = 'b', KIND_MESSAGE = 'm', KIND_BYE = 'x' };

struct redis_head {
	char kind, id[NODE_ID_TEXT];
	uint64_t number;
};

/* Another node. */
struct redis_node {
	char id[NODE_ID_TEXT];
	uint64_t seen, heard; /* beats by number: the last we know of; the last we have told */
	uint64_t last_ms;     /* loop's clock: when `seen` changed */
	bool bye;	      /* it is said to be gone: look */
	bool present;	      /* in the answer at hand */
};

struct bus_redis {
	struct bus bus; /* first: the two are the same pointer */
	struct ev *ev;
	struct store_redis_bus *redis; /* owned */
	char self[NODE_ID_TEXT];
	uint64_t number;	/* of our last beat */
	struct buf last;	/* what we beat while it was not up; empty: nothing */
	struct ev_timer due;	/* somebody has been silent for long: look */
	struct ev_timer behind; /* beats are known of and not heard: read them */
	bool up, looking, closed;
	struct redis_node nodes[STORE_REDIS_BUS_NODES_MAX];
	size_t n_nodes;
};

/* ---- heads ---- */

static void redis_head_write(const struct bus_redis *r, char kind, uint64_t number,
			     char out[HEAD_LEN + 1])
{
	str_printf(out, HEAD_LEN + 1, "%c%s%016llx", kind, r->self, (unsigned long long)number);
}

/* Returns false for what no node has written. */
static bool redis_head_read(struct str s, struct redis_head *h)
{
	uint64_t id;

	if (s.len < HEAD_LEN ||
	    (s.p[0] != KIND_BEAT && s.p[0] != KIND_MESSAGE && s.p[0] != KIND_BYE) ||
	    num_parse_hex((struct str){s.p + 1, ID_LEN}, &id) != 0 ||
	    num_parse_hex((struct str){s.p + 1 + ID_LEN, NUMBER_LEN}, &h->number) != 0)
		return false;
	h->kind = s.p[0];
	str_printf(h->id, sizeof h->id, STR_FMT, ID_LEN, s.p + 1);
	return true;
}

/* ---- nodes ---- */

static struct redis_node *redis_node_find(struct bus_redis *r, const char *id)
{
	for (size_t i = 0; i < r->n_nodes; i++)
		if (strcmp(r->nodes[i].id, id) == 0)
			return &r->nodes[i];
	return NULL;
}

/* NULL: there are too many; by and by those who are not there any more make room. */
static struct redis_node *redis_node(struct bus_redis *r, const char *id)
{
	struct redis_node *n = redis_node_find(r, id);

	if (n != NULL)
		return n;
	if (r->n_nodes == ARRAY_LEN(r->nodes))
		return NULL;
	n = &r->nodes[r->n_nodes++];
	*n = (struct redis_node){.last_ms = ev_now_ms(r->ev)};
	memcpy(n->id, id, sizeof n->id);
	if (!ev_timer_is_set(&r->due))
		ev_timer_set(r->ev, &r->due, BUS_GONE_MS);
	return n;
}

static void redis_node_beats(struct bus_redis *r, struct redis_node *n, uint64_t number)
{
	if (n->seen == number)
		return;
	n->seen = number;
	n->last_ms = ev_now_ms(r->ev);
}

/* ---- who is gone ---- */

static void redis_look(struct bus_redis *r)
{
	if (!r->up || r->looking)
		return;
	if (store_redis_bus_look(r->redis) == 0)
		r->looking = true;
	else
		ev_timer_set(r->ev, &r->due, LOOK_AGAIN_MS);
}

static void redis_on_due(void *arg)
{
	redis_look(arg);
}

/* An answer is here: so we are awake, and who has been silent to us is silent. */
static void redis_judge(struct bus_redis *r)
{
	uint64_t now = ev_now_ms(r->ev), next = BUS_GONE_MS;

	for (size_t i = r->n_nodes; i-- > 0 && !r->closed;) {
		struct redis_node *n = &r->nodes[i];
		uint64_t silent = now - n->last_ms;
		char id[NODE_ID_TEXT];

		if (silent < BUS_GONE_MS && !(n->bye && !n->present)) {
			n->bye = false;
			next = MIN(next, BUS_GONE_MS - silent);
			continue;
		}
		memcpy(id, n->id, sizeof id);
		*n = r->nodes[--r->n_nodes];
		r->bus.owner->gone(r->bus.arg, id);
	}
	if (!r->closed && r->n_nodes > 0)
		ev_timer_set(r->ev, &r->due, next);
}

/* ---- what comes ---- */

static void redis_hear(struct bus_redis *r, struct str message)
{
	struct str inside = {message.p + HEAD_LEN, message.len - HEAD_LEN};

	if (inside.len <= BUS_MESSAGE_MAX)
		r->bus.owner->heard(r->bus.arg, inside);
}

static void redis_hear_beat(struct bus_redis *r, const struct redis_head *h, struct str message)
{
	struct redis_node *n = redis_node(r, h->id);

	if (n == NULL)
		return;
	redis_node_beats(r, n, h->number);
	if (n->heard == h->number)
		return;
	n->heard = h->number;
	redis_hear(r, message);
}

static void redis_on_message(void *arg, struct str message)
{
	struct bus_redis *r = arg;
	struct redis_head h;
	struct redis_node *n;

	if (!redis_head_read(message, &h) || strcmp(h.id, r->self) == 0)
		return;
	switch (h.kind) {
	case KIND_BEAT: redis_hear_beat(r, &h, message); return;
	case KIND_MESSAGE:
		if (redis_node(r, h.id) != NULL)
			redis_hear(r, message);
		return;
	default: break;
	}
	/* Anybody may say so: look. */
	if ((n = redis_node_find(r, h.id)) == NULL)
		return;
	n->bye = true;
	redis_look(r);
}

/* What was published has not come: we were not there yet, or it was lost. */
static void redis_on_behind(void *arg)
{
	struct bus_redis *r = arg;

	for (size_t i = 0; i < r->n_nodes; i++)
		if (r->nodes[i].seen != r->nodes[i].heard)
			/* or after the next answer */
			(void)!store_redis_bus_read(r->redis, r->nodes[i].id);
}

static void redis_on_leases(void *arg, const struct str *heads, size_t n_heads)
{
	struct bus_redis *r = arg;

	r->looking = false;
	for (size_t i = 0; i < r->n_nodes; i++)
		r->nodes[i].present = false;
	for (size_t i = 0; i < n_heads; i++) {
		struct redis_head h;
		struct redis_node *n;

		if (!redis_head_read(heads[i], &h) || h.kind != KIND_BEAT ||
		    strcmp(h.id, r->self) == 0 || (n = redis_node(r, h.id)) == NULL)
			continue;
		n->present = true;
		redis_node_beats(r, n, h.number);
		if (n->heard != h.number && !ev_timer_is_set(&r->behind))
			ev_timer_set(r->ev, &r->behind, BEHIND_MS);
	}
	redis_judge(r);
}

static void redis_on_lease(void *arg, struct str message)
{
	struct bus_redis *r = arg;
	struct redis_head h;

	if (redis_head_read(message, &h) && h.kind == KIND_BEAT && strcmp(h.id, r->self) != 0)
		redis_hear_beat(r, &h, message);
}

/* ---- up and down ---- */

static int redis_beat(struct bus_redis *r, struct str message)
{
	struct buf out = {0};
	char head[HEAD_LEN + 1];
	int e;

	redis_head_write(r, KIND_BEAT, ++r->number, head);
	if ((e = buf_add(&out, head, HEAD_LEN, STORE_REDIS_BUS_MESSAGE_MAX)) == 0 &&
	    (e = buf_add(&out, message.p, message.len, STORE_REDIS_BUS_MESSAGE_MAX)) == 0)
		e = store_redis_bus_beat(r->redis, buf_str(&out));
	buf_free(&out);
	return e;
}

static void redis_on_up(void *arg)
{
	struct bus_redis *r = arg;
	uint64_t now = ev_now_ms(r->ev);

	r->up = true;
	r->looking = false;
	for (size_t i = 0; i < r->n_nodes; i++) {
		r->nodes[i].last_ms = now;
		r->nodes[i].bye = false;
	}
	ev_timer_set(r->ev, &r->due, BUS_GONE_MS);
	if (r->last.len > 0)
		(void)!redis_beat(r, buf_str(&r->last)); /* another one comes soon */
	buf_free(&r->last);
	r->bus.owner->up(r->bus.arg, true);
}

static void redis_on_lost(void *arg)
{
	struct bus_redis *r = arg;

	r->up = r->looking = false;
	ev_timer_stop(r->ev, &r->due);
	ev_timer_stop(r->ev, &r->behind);
	r->bus.owner->up(r->bus.arg, false);
}

static const struct store_redis_bus_ops bus_redis_store_ops = {
	.up = redis_on_up,
	.lost = redis_on_lost,
	.message = redis_on_message,
	.leases = redis_on_leases,
	.lease = redis_on_lease,
};

/* ---- the owner's ---- */

static int bus_redis_send(struct bus *b, const char *to, struct str message)
{
	struct bus_redis *r = (struct bus_redis *)b;
	struct buf out = {0};
	char head[HEAD_LEN + 1];
	int e;

	if (message.len > BUS_MESSAGE_MAX)
		return ERR_TOOBIG;
	if (!r->up)
		return ERR_CLOSED;
	redis_head_write(r, KIND_MESSAGE, 0, head);
	if ((e = buf_add(&out, head, HEAD_LEN, STORE_REDIS_BUS_MESSAGE_MAX)) == 0 &&
	    (e = buf_add(&out, message.p, message.len, STORE_REDIS_BUS_MESSAGE_MAX)) == 0)
		e = store_redis_bus_send(r->redis, to, buf_str(&out));
	buf_free(&out);
	return e;
}

static void bus_redis_beat(struct bus *b, struct str message)
{
	struct bus_redis *r = (struct bus_redis *)b;

	if (message.len > BUS_MESSAGE_MAX)
		return;
	if (r->up) {
		(void)!redis_beat(r, message); /* another one comes soon */
		return;
	}
	buf_free(&r->last);
	(void)!buf_add(&r->last, message.p, message.len, BUS_MESSAGE_MAX);
}

static void bus_redis_close(struct bus *b)
{
	struct bus_redis *r = (struct bus_redis *)b;
	char head[HEAD_LEN + 1];

	redis_head_write(r, KIND_BYE, 0, head);
	r->closed = true;
	r->up = false;
	store_redis_bus_close(r->redis, (struct str){head, HEAD_LEN});
	ev_timer_stop(r->ev, &r->due);
	ev_timer_stop(r->ev, &r->behind);
	buf_free(&r->last);
	ev_free_later(r->ev, r);
}

static const struct bus_ops bus_redis_ops = {
	.send = bus_redis_send,
	.beat = bus_redis_beat,
	.close = bus_redis_close,
};

int bus_redis_new(struct ev *ev, struct log *log, const char *where, const char *self,
		  struct bus **out)
{
	struct bus_redis *r = calloc(1, sizeof *r);
	struct store_redis_bus_opt opt = {
		.log = log,
		.where = where,
		.id = self,
		.lease_ms = BUS_GONE_MS,
		.head_len = HEAD_LEN,
	};
	int e;

	if (r == NULL)
		return ERR_NOMEM;
	r->bus.ops = &bus_redis_ops;
	r->ev = ev;
	r->due = (struct ev_timer){.fn = redis_on_due, .arg = r};
	r->behind = (struct ev_timer){.fn = redis_on_behind, .arg = r};
	e = str_copy(r->self, sizeof r->self, str_of(self));
	if (e == 0 && strlen(self) == ID_LEN)
		e = store_redis_bus_new(ev, &opt, &bus_redis_store_ops, r, &r->redis);
	else
		e = ERR_INVAL;
	if (e != 0)
		free(r);
	else
		*out = &r->bus;
	return e;
}
