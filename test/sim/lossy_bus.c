/* What a node hears must not depend on what the bus is so kind to deliver, so this one is not kind.
 */
#include "sim/lossy_bus.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/dice.h"

/* How often leases are looked at, in ms. */
#define LOSSY_LEASES_MS 250
/* Nodes that one has heard of at a time, at most. */
#define LOSSY_KNOWN_MAX 64

struct lossy_net {
	struct ev *ev; /* borrowed */
	struct dice dice;
	struct lossy_rules rules;
	struct list buses;   /* struct lossy_bus */
	struct list flights; /* struct lossy_flight */
	struct ev_timer leases;
	bool away;
	struct lossy_counts counts;
};

struct lossy_bus {
	struct bus bus;
	struct lossy_net *net; /* borrowed: outlives us */
	struct list link;
	char id[NODE_ID_TEXT];
	struct str beat;  /* owned: the last one, for who comes */
	uint64_t beat_ms; /* 0: none yet */
	bool silent, cut;
	bool dead;  /* closed after it fell silent: its lease is left of it */
	bool is_up; /* as its owner was told */
	struct ev_timer up;
	uint64_t up_ms; /* since when it hears */
	char known[LOSSY_KNOWN_MAX][NODE_ID_TEXT];
	size_t n_known;
};

/* A message under way, or (no bytes) the word that its sender has gone. */
struct lossy_flight {
	struct list link;
	struct lossy_net *net;
	struct ev_timer timer;
	char from[NODE_ID_TEXT], to[NODE_ID_TEXT];
	struct str message; /* owned */
};

static struct str lossy_copy(struct str message)
{
	char *copy = must_calloc(1, message.len + 1);

	if (message.len > 0)
		memcpy(copy, message.p, message.len);
	return (struct str){copy, message.len};
}

static void lossy_drop(struct str *message)
{
	free((char *)(uintptr_t)message->p);
	*message = (struct str){NULL, 0};
}

static struct lossy_bus *lossy_of(struct bus *b)
{
	return CONTAINER_OF(b, struct lossy_bus, bus);
}

static struct lossy_bus *lossy_find(struct lossy_net *n, const char *id)
{
	LIST_FOR_EACH (link, &n->buses) {
		struct lossy_bus *b = CONTAINER_OF(link, struct lossy_bus, link);

		if (strcmp(b->id, id) == 0)
			return b;
	}
	return NULL;
}

static bool lossy_hears(const struct lossy_bus *b)
{
	return b->is_up && !b->silent && b->bus.owner != NULL;
}

static void lossy_know(struct lossy_bus *b, const char *id)
{
	for (size_t i = 0; i < b->n_known; i++)
		if (strcmp(b->known[i], id) == 0)
			return;
	CHECK(b->n_known < LOSSY_KNOWN_MAX);
	memcpy(b->known[b->n_known++], id, NODE_ID_TEXT);
}

/* Its lease is over. */
static void lossy_forget(struct lossy_bus *b, const char *id)
{
	char gone[NODE_ID_TEXT];

	memcpy(gone, id, sizeof gone);
	for (size_t i = 0; i < b->n_known; i++) {
		if (strcmp(b->known[i], gone) != 0)
			continue;
		memcpy(b->known[i], b->known[--b->n_known], NODE_ID_TEXT);
		b->bus.owner->gone(b->bus.arg, gone);
		return;
	}
}

static void lossy_flight_free(struct lossy_flight *f)
{
	ev_timer_stop(f->net->ev, &f->timer);
	list_del(&f->link);
	lossy_drop(&f->message);
	free(f);
}

static void lossy_land(struct lossy_flight *f)
{
	struct lossy_net *n = f->net;
	struct lossy_bus *b = lossy_find(n, f->to);

	if (b != NULL && lossy_hears(b) && f->message.len > 0) {
		if (f->from[0] != '\0')
			lossy_know(b, f->from);
		n->counts.delivered++;
		b->bus.owner->heard(b->bus.arg, f->message);
	} else if (b != NULL && lossy_hears(b)) {
		lossy_forget(b, f->from);
	}
	lossy_flight_free(f);
}

/* All that is due, in the order in which it was sent: timers have none. */
static void lossy_on_land(void *arg)
{
	struct lossy_net *n = ((struct lossy_flight *)arg)->net;

	LIST_FOR_EACH_SAFE (link, &n->flights) {
		struct lossy_flight *f = CONTAINER_OF(link, struct lossy_flight, link);

		if (f->timer.at_ms <= ev_now_ms(n->ev))
			lossy_land(f);
	}
}

static uint32_t lossy_delay(struct lossy_net *n)
{
	uint32_t ms = 1 + dice_range(&n->dice, 0, n->rules.delay_ms);

	if (n->rules.late > 0 && dice_chance(&n->dice, n->rules.late))
		ms += dice_range(&n->dice, 0, n->rules.late_ms);
	return ms;
}

static void lossy_fly(struct lossy_net *n, const char *from, const char *to, struct str message,
		      uint32_t ms)
{
	struct lossy_flight *f = must_calloc(1, sizeof *f);

	f->net = n;
	memcpy(f->from, from, strlen(from) + 1);
	memcpy(f->to, to, NODE_ID_TEXT);
	f->message = lossy_copy(message);
	f->timer = (struct ev_timer){.fn = lossy_on_land, .arg = f};
	list_push(&n->flights, &f->link);
	ev_timer_set(n->ev, &f->timer, ms);
}

/* To one node, by the rules. */
static void lossy_throw(struct lossy_net *n, const char *from, const char *to, struct str message)
{
	if (n->rules.passes != NULL && !n->rules.passes(n->rules.arg, from, to))
		return;
	if (n->rules.lose > 0 && dice_chance(&n->dice, n->rules.lose)) {
		n->counts.lost++;
		return;
	}
	lossy_fly(n, from, to, message, lossy_delay(n));
	if (n->rules.twice > 0 && dice_chance(&n->dice, n->rules.twice)) {
		n->counts.doubled++;
		lossy_fly(n, from, to, message, lossy_delay(n));
	}
}

static void lossy_spread(struct lossy_bus *b, const char *to, struct str message)
{
	struct lossy_net *n = b->net;

	n->counts.sent++;
	n->counts.bytes += message.len;
	if (n->rules.tap != NULL)
		n->rules.tap(n->rules.arg, b->id, to, message);
	LIST_FOR_EACH (link, &n->buses) {
		struct lossy_bus *other = CONTAINER_OF(link, struct lossy_bus, link);

		if (other != b && (to == NULL || strcmp(other->id, to) == 0))
			lossy_throw(n, b->id, other->id, message);
	}
}

static int lossy_send(struct bus *bus, const char *to, struct str message)
{
	struct lossy_bus *b = lossy_of(bus);

	if (message.len > BUS_MESSAGE_MAX)
		return ERR_TOOBIG;
	if (b->net->away || b->cut || b->silent)
		return ERR_CLOSED;
	if (b->net->rules.refuse > 0 && dice_chance(&b->net->dice, b->net->rules.refuse))
		return ERR_LIMIT;
	lossy_spread(b, to, message);
	return 0;
}

static void lossy_beat(struct bus *bus, struct str message)
{
	struct lossy_bus *b = lossy_of(bus);

	lossy_drop(&b->beat);
	b->beat = lossy_copy(message);
	if (b->net->away || b->cut || b->silent)
		return;
	b->beat_ms = ev_now_ms(b->net->ev);
	lossy_spread(b, NULL, message);
}

static void lossy_bus_free(struct lossy_bus *b)
{
	list_del(&b->link);
	ev_timer_stop(b->net->ev, &b->up);
	lossy_drop(&b->beat);
	free(b);
}

static void lossy_close(struct bus *bus)
{
	struct lossy_bus *b = lossy_of(bus);
	struct lossy_net *n = b->net;

	b->dead = b->silent || b->cut || n->away;
	b->silent = true;
	b->bus.owner = NULL;
	LIST_FOR_EACH (link, &n->buses)
		if (!b->dead)
			lossy_fly(n, b->id, CONTAINER_OF(link, struct lossy_bus, link)->id,
				  (struct str){NULL, 0}, lossy_delay(n));
	if (!b->dead)
		lossy_bus_free(b);
}

static const struct bus_ops lossy_ops = {
	.send = lossy_send,
	.beat = lossy_beat,
	.close = lossy_close,
};

/* It reaches the bus, or does not any more, and hears so. */
static void lossy_on_up(void *arg)
{
	struct lossy_bus *b = arg;
	struct lossy_net *n = b->net;
	bool up = !n->away && !b->cut && !b->silent;

	if (up == b->is_up || b->bus.owner == NULL)
		return;
	b->is_up = up;
	b->up_ms = ev_now_ms(n->ev);
	b->bus.owner->up(b->bus.arg, up);
	LIST_FOR_EACH (link, &n->buses) {
		struct lossy_bus *other = CONTAINER_OF(link, struct lossy_bus, link);

		if (up && other != b && other->beat_ms != 0)
			lossy_throw(n, other->id, b->id, other->beat);
	}
}

/* Is it there, as far as b may judge? Who has just come back gives all others a whole lease. */
static bool lossy_is_there(struct lossy_bus *b, const char *id)
{
	const struct lossy_bus *other = lossy_find(b->net, id);
	uint64_t since = other == NULL ? 0 : other->beat_ms;

	return ev_now_ms(b->net->ev) - MAX(since, b->up_ms) < BUS_GONE_MS;
}

static void lossy_bury(struct lossy_net *n, bool all)
{
	LIST_FOR_EACH_SAFE (link, &n->buses) {
		struct lossy_bus *b = CONTAINER_OF(link, struct lossy_bus, link);

		if (b->dead && (all || ev_now_ms(n->ev) - b->beat_ms >= BUS_GONE_MS))
			lossy_bus_free(b);
	}
}

static void lossy_on_leases(void *arg)
{
	struct lossy_net *n = arg;

	ev_timer_set(n->ev, &n->leases, LOSSY_LEASES_MS);
	lossy_bury(n, false);
	LIST_FOR_EACH (link, &n->buses) {
		struct lossy_bus *b = CONTAINER_OF(link, struct lossy_bus, link);

		lossy_on_up(b);
		for (size_t i = b->n_known; i > 0 && lossy_hears(b); i--)
			if (!lossy_is_there(b, b->known[i - 1]))
				lossy_forget(b, b->known[i - 1]);
	}
}

int lossy_net_new(struct ev *ev, uint64_t seed, struct lossy_net **out)
{
	struct lossy_net *n = calloc(1, sizeof *n);

	if (n == NULL)
		return ERR_NOMEM;
	n->ev = ev;
	n->dice.state = seed;
	list_init(&n->buses);
	list_init(&n->flights);
	n->leases = (struct ev_timer){.fn = lossy_on_leases, .arg = n};
	ev_timer_set(ev, &n->leases, LOSSY_LEASES_MS);
	*out = n;
	return 0;
}

static void lossy_net_empty(struct lossy_net *n)
{
	while (!list_empty(&n->flights))
		lossy_flight_free(CONTAINER_OF(n->flights.next, struct lossy_flight, link));
}

void lossy_net_free(struct lossy_net *n)
{
	if (n == NULL)
		return;
	lossy_bury(n, true);
	CHECK(list_empty(&n->buses));
	lossy_net_empty(n);
	ev_timer_stop(n->ev, &n->leases);
	free(n);
}

void lossy_net_rule(struct lossy_net *n, const struct lossy_rules *rules)
{
	n->rules = *rules;
}

void lossy_net_away(struct lossy_net *n, bool away)
{
	n->away = away;
	lossy_net_empty(n);
}

void lossy_net_inject(struct lossy_net *n, const char *to, struct str message)
{
	lossy_fly(n, "", to, message, 1);
}

const struct lossy_counts *lossy_net_counts(const struct lossy_net *n)
{
	return &n->counts;
}

int lossy_bus_new(struct lossy_net *n, const char *id, struct bus **out)
{
	struct lossy_bus *b = calloc(1, sizeof *b), *before = lossy_find(n, id);

	if (b == NULL)
		return ERR_NOMEM;
	CHECK(before == NULL || before->dead);
	if (before != NULL)
		lossy_bus_free(before); /* its lease is ours now */
	b->bus.ops = &lossy_ops;
	b->net = n;
	CHECK(str_copy(b->id, sizeof b->id, str_of(id)) == 0);
	b->up = (struct ev_timer){.fn = lossy_on_up, .arg = b};
	list_push(&n->buses, &b->link);
	ev_timer_set(n->ev, &b->up, 0);
	*out = &b->bus;
	return 0;
}

void lossy_bus_silence(struct bus *b)
{
	lossy_of(b)->silent = true;
}

void lossy_bus_cut(struct bus *b, bool cut)
{
	lossy_of(b)->cut = cut;
	ev_timer_set(lossy_of(b)->net->ev, &lossy_of(b)->up, 0);
}
