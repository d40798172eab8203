/*
 * Every node is the only one that knows what it serves, so nothing has to be agreed on: each tells
 * its own and keeps copies of the others'. What this file has is what we say; what is heard is
 * judged here and handed to roster_meet.c and roster_copy.c.
 */
#include "cluster/roster_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"

/* How long sending rests when the bus takes no more, in ms. */
#define ROSTER_REST_MS 50
/* Bytes of items "wrote" that wait for the end of the turn: they fit one message. */
#define ROSTER_WROTE_MAX (BUS_MESSAGE_MAX - NODE_MESSAGE_SEAL - 512)

static const char *const roster_order_names[] = {
	[CORE_ORDER_DISCONNECT] = "disconnect",
	[CORE_ORDER_END] = "end",
};
_Static_assert(ARRAY_LEN(roster_order_names) == CORE_ORDER_KINDS, "an order without a name");

/* ---- what we say ---- */

struct pen roster_begin(struct roster *r, enum node_message_kind kind, const char *to,
			struct node_message *m)
{
	*m = (struct node_message){
		.kind = kind,
		.epoch = r->self.epoch,
		.count = ++r->count,
	};
	memcpy(m->from, r->self.id, sizeof m->from);
	if (to != NULL)
		memcpy(m->to, to, sizeof m->to);
	return pen_on(r->out, sizeof r->out - NODE_MESSAGE_SEAL);
}

int roster_send(struct roster *r, const struct node_message *m, struct pen *pen)
{
	struct str sealed;
	int e;

	if ((e = roster_seal(r->key, pen, &sealed)) != 0)
		return e;
	return bus_send(r->bus, m->to[0] == '\0' ? NULL : m->to, sealed);
}

void roster_fill_said(const struct roster *r, struct node_message *m)
{
	m->told = r->live.at;
	m->head = r->list.seq;
	m->floor = r->list.floor;
	m->n = r->list.n;
	m->n_accounts = r->list.n_accounts;
	m->hop = str_of(r->self.hop);
	m->local = str_of(r->self.local);
	m->machine = str_of(r->self.machine);
	m->agents = str_of(r->self.agents);
	m->version = str_of(r->self.version);
	m->sessions = r->self.sessions;
	m->visitors = r->self.visitors;
	m->draining = r->self.draining;
}

static void roster_send_order(struct roster *r, struct roster_order *o)
{
	struct node_message m;
	struct pen pen = roster_begin(r, NODE_MESSAGE_ORDER, NULL, &m);

	m.order = o->number;
	m.what = str_of(roster_order_names[o->order.kind]);
	m.tunnel = str_of(o->order.tunnel);
	m.account = str_of(o->order.account);
	m.reason = str_of(o->order.reason);
	m.session = o->order.session;
	node_message_write(&pen, &m);
	if (roster_send(r, &m, &pen) == 0)
		o->left--;
}

static void roster_order_drop(struct roster *r, struct roster_order *o)
{
	list_del(&o->link);
	r->n_orders--;
	free(o);
}

static void roster_send_orders(struct roster *r)
{
	LIST_FOR_EACH_SAFE (link, &r->orders) {
		struct roster_order *o = CONTAINER_OF(link, struct roster_order, link);

		roster_send_order(r, o);
		if (o->left == 0)
			roster_order_drop(r, o);
	}
}

static void roster_send_beat(struct roster *r)
{
	struct node_message m;
	struct pen pen;
	struct str sealed;

	if (r->owner->load != NULL)
		r->owner->load(r->arg, &r->self.sessions, &r->self.visitors);
	pen = roster_begin(r, NODE_MESSAGE_BEAT, NULL, &m);
	roster_fill_said(r, &m);
	node_message_write(&pen, &m);
	r->beat_now = false;
	if (roster_seal(r->key, &pen, &sealed) == 0)
		bus_beat(r->bus, sealed);
}

static void roster_on_beat(void *arg)
{
	struct roster *r = arg;

	ev_timer_set(r->ev, &r->beat, BUS_BEAT_MS);
	roster_send_beat(r);
	roster_send_orders(r);
	ev_task_run(r->ev, &r->flush); /* a bus that was away for a moment may not have said so */
}

/* One piece for whom the feed is. Returns as bus_send(). */
static int roster_send_piece(struct roster *r, struct roster_feed *f, const char *to)
{
	struct roster_feed then;
	struct node_message m;
	struct pen pen = roster_begin(r, NODE_MESSAGE_CHANGES, to, &m);
	int e;

	roster_feed_write(&r->list, f, &m, &pen, &then);
	if ((e = roster_send(r, &m, &pen)) == 0)
		roster_feed_move(f, &then);
	return e;
}

/* The next piece of what somebody has asked for. */
static int roster_send_wanted(struct roster *r)
{
	struct roster_peer *p = CONTAINER_OF(r->wanting.next, struct roster_peer, turn);
	int e = roster_send_piece(r, &p->feed, p->said.id);

	if (e != 0)
		return e;
	list_del(&p->turn);
	if (p->feed.at < r->list.seq)
		list_push(&r->wanting, &p->turn);
	else
		roster_feed_end(&p->feed);
	return 0;
}

void roster_pump_soon(struct roster *r)
{
	if (!ev_timer_is_set(&r->pump))
		ev_timer_set(r->ev, &r->pump, 0);
}

/* A piece for all, and one for one of those who want it; the rest in the next turn, so that a list
 * of any length delays nobody. */
static void roster_on_pump(void *arg)
{
	struct roster *r = arg;
	int e = 0;

	if (r->peers.n == 0) /* who comes will ask */
		roster_feed_begin(&r->list, &r->live, r->list.seq);
	if (r->live.at < r->list.seq)
		e = roster_send_piece(r, &r->live, NULL);
	if (e == 0 && !list_empty(&r->wanting))
		e = roster_send_wanted(r);
	if (e == ERR_CLOSED)
		return; /* until the next beat, or roster_on_up() */
	if (e != 0)
		ev_timer_set(r->ev, &r->pump, ROSTER_REST_MS);
	else if (r->live.at < r->list.seq || !list_empty(&r->wanting))
		roster_pump_soon(r);
}

static void roster_send_wrote(struct roster *r)
{
	struct node_message m;
	struct pen pen = roster_begin(r, NODE_MESSAGE_WROTE, NULL, &m);

	node_message_write(&pen, &m);
	pen_str(&pen, buf_str(&r->wrote));
	(void)roster_send(r, &m, &pen); /* lost: records are read again in a while anyway */
	buf_free(&r->wrote);
}

/* The end of a turn: what has changed in it, at once. */
static void roster_on_flush(void *arg)
{
	struct roster *r = arg;

	if (!r->started)
		return;
	if (r->wrote.len > 0)
		roster_send_wrote(r);
	if (!ev_timer_is_set(&r->pump))
		roster_on_pump(r);
	if (r->beat_now)
		roster_send_beat(r);
}

void roster_tell(struct roster *r, struct str tunnel, const struct node_entry *entry)
{
	char text[NODE_ENTRY_TEXT], line[HOSTNAME_MAX + NODE_ENTRY_TEXT + 8];
	struct pen pen = pen_on(line, sizeof line);
	struct node_message_item item = {.kind = NODE_ITEM_NOT, .name = tunnel};

	if (entry != NULL) {
		item.kind = NODE_ITEM_SERVES;
		item.text = (struct str){text, node_entry_format(entry, text)};
	}
	CHECK(node_message_add(&pen, &item)); /* the core has checked the name */
	if (roster_list_set(&r->list, NODE_ITEM_SERVES, tunnel, item.text) != 0)
		log_error(r->log, "event=not-told tunnel=" STR_FMT " code=NOMEM", STR_ARG(tunnel));
	ev_task_run(r->ev, &r->flush);
}

void roster_tell_held(struct roster *r, struct str account, const struct node_held *held)
{
	char text[NODE_HELD_TEXT], line[NODE_MESSAGE_ACCOUNT_MAX + NODE_HELD_TEXT + 8];
	struct pen pen = pen_on(line, sizeof line);
	struct node_message_item item = {.kind = NODE_ITEM_HOLDS, .name = account};

	item.text = (struct str){text, node_held_format(held, text)};
	if (!node_message_add(&pen, &item)) { /* somebody has put it into the store by hand */
		log_error(r->log, "event=not-told account=? code=INVAL");
		return;
	}
	if (held->n == 0)
		item.text = STR("");
	if (roster_list_set(&r->list, NODE_ITEM_HOLDS, account, item.text) != 0)
		log_error(r->log, "event=not-told account=" STR_FMT " code=NOMEM",
			  STR_ARG(account));
	ev_task_run(r->ev, &r->flush);
}

bool roster_may(const struct roster *r, uint64_t *since_ms, unsigned *n, unsigned max)
{
	uint64_t now = ev_now_ms(r->ev);

	if (now - *since_ms >= 1000) {
		*since_ms = now;
		*n = 0;
	}
	return (*n)++ < max;
}

void roster_room(struct roster *r, struct str account)
{
	struct node_message m;
	struct pen pen;

	if (!r->started || r->peers.n == 0 ||
	    !roster_may(r, &r->rooms_ms, &r->n_rooms, ROSTER_ROOMS_MAX))
		return;
	pen = roster_begin(r, NODE_MESSAGE_ROOM, NULL, &m);
	m.account = account;
	node_message_write(&pen, &m);
	(void)roster_send(r, &m, &pen); /* lost: who was refused comes again */
}

void roster_wrote(struct roster *r, struct str kind, struct str key)
{
	char line[NODE_MESSAGE_KIND_MAX + NODE_MESSAGE_KEY_MAX + 16];
	struct pen pen = pen_on(line, sizeof line);
	struct node_message_item item = {.kind = NODE_ITEM_WROTE, .name = kind, .text = key};

	if (!r->started || !node_message_add(&pen, &item))
		return; /* nobody hears us; a key that no other node reads by itself */
	if (r->wrote.len + pen_len(&pen) > ROSTER_WROTE_MAX)
		roster_send_wrote(r);
	if (buf_add(&r->wrote, line, pen_len(&pen), ROSTER_WROTE_MAX) == 0)
		ev_task_run(r->ev, &r->flush);
}

void roster_order(struct roster *r, const struct core_order *order)
{
	struct roster_order *o = calloc(1, sizeof *o);

	if (o == NULL) {
		log_error(r->log, "event=order-lost tunnel=%s code=NOMEM", order->tunnel);
		return;
	}
	if (r->n_orders == ROSTER_ORDERS_MAX)
		roster_order_drop(r, CONTAINER_OF(r->orders.next, struct roster_order, link));
	o->order = *order;
	show_line(o->order.reason, sizeof o->order.reason, str_of(order->reason));
	o->number = ++r->order_number;
	o->left = ROSTER_ORDER_TIMES;
	list_push(&r->orders, &o->link);
	r->n_orders++;
	if (r->started)
		roster_send_order(r, o);
}

void roster_set(struct roster *r, const struct roster_node *self)
{
	struct roster_node n = *self;

	memcpy(n.id, r->self.id, sizeof n.id);
	n.epoch = r->self.epoch;
	if (strcmp(n.hop, r->self.hop) != 0 || strcmp(n.local, r->self.local) != 0 ||
	    strcmp(n.machine, r->self.machine) != 0 || strcmp(n.agents, r->self.agents) != 0 ||
	    strcmp(n.version, r->self.version) != 0 || n.draining != r->self.draining)
		r->beat_now = true;
	r->self = n;
	if (r->beat_now)
		ev_task_run(r->ev, &r->flush);
}

/* ---- what we hear ---- */

void roster_refuse(struct roster *r, uint64_t *count, const char *why, const char *from)
{
	++*count;
	if (log_pace_take(&r->pace, r->ev, r->log))
		log_info(r->log, "event=message-refused why=%s node=%s", why, from);
}

static void roster_hear_want(struct roster_peer *p, const struct node_message *m)
{
	struct roster *r = p->r;

	if (m->since >= r->list.seq)
		return;
	roster_feed_begin(&r->list, &p->feed, m->since);
	if (!list_linked(&p->turn))
		list_push(&r->wanting, &p->turn);
	roster_pump_soon(r);
}

static void roster_hear_wrote(struct roster *r, const struct node_message *m)
{
	struct str items = m->items;
	struct node_message_item item;
	struct node_entry entry;

	while (node_message_next(&items, &item, &entry))
		if (item.kind == NODE_ITEM_WROTE)
			r->owner->wrote(r->arg, item.name, item.text);
}

static void roster_hear_order(struct roster_peer *p, const struct node_message *m)
{
	struct core_order o = {.kind = CORE_ORDER_DISCONNECT};
	size_t kind = 0;

	while (kind < ARRAY_LEN(roster_order_names) &&
	       !str_eq(m->what, str_of(roster_order_names[kind])))
		kind++;
	if (kind == ARRAY_LEN(roster_order_names) || !roster_window_take(&p->orders, m->order))
		return; /* of a later version; each is told several times */
	o.kind = (enum core_order_kind)kind;
	o.session = m->session;
	if (str_copy(o.tunnel, sizeof o.tunnel, m->tunnel) != 0 ||
	    str_copy(o.account, sizeof o.account, m->account) != 0 ||
	    str_copy(o.reason, sizeof o.reason, m->reason) != 0)
		roster_refuse(p->r, &p->r->counts.bad, "order", m->from);
	else
		p->r->owner->order(p->r->arg, &o);
}

/* A message of a node that is known, for the first time. */
static void roster_hear(struct roster_peer *p, const struct node_message *m)
{
	struct roster *r = p->r;

	switch (m->kind) {
	case NODE_MESSAGE_HELLO: roster_answer(r, m); break;
	case NODE_MESSAGE_BEAT:
	case NODE_MESSAGE_WELCOME:
		if (roster_hear_said(p, m) != 0)
			roster_refuse(r, &r->counts.bad, "said", m->from);
		roster_copy_beat(p, m);
		break;
	case NODE_MESSAGE_CHANGES: roster_copy_changes(p, m); break;
	case NODE_MESSAGE_WANT: roster_hear_want(p, m); break;
	case NODE_MESSAGE_WROTE: roster_hear_wrote(r, m); break;
	case NODE_MESSAGE_ORDER: roster_hear_order(p, m); break;
	case NODE_MESSAGE_ROOM: r->owner->room(r->arg, m->account); break;
	case NODE_MESSAGE_BYE: roster_lose(r, m->from, "bye"); break;
	case NODE_MESSAGE_OTHER: break;
	}
}

/* Sent before the answer by which we know it, and come after that: nobody's fault. */
static bool roster_is_early(const struct roster_peer *p, const struct node_message *m)
{
	return m->count < p->met_count && ev_now_ms(p->r->ev) - p->met_ms < BUS_GONE_MS;
}

static void roster_on_heard(void *arg, struct str message)
{
	struct roster *r = arg;
	struct roster_peer *p;
	struct node_message m;
	struct str sealed;
	int e;

	if (message.len > BUS_MESSAGE_MAX || roster_unseal(r->key, message, &sealed) != 0) {
		roster_refuse(r, &r->counts.forged, "forged", "?");
		return;
	}
	if ((e = node_message_parse(sealed, &m)) != 0) {
		roster_refuse(r, &r->counts.bad, err_name(e), "?");
		return;
	}
	if (strcmp(m.from, r->self.id) == 0) {
		r->counts.own++; /* some buses bring them back */
		return;
	}
	if (m.to[0] != '\0' && strcmp(m.to, r->self.id) != 0) {
		roster_refuse(r, &r->counts.astray, "astray", m.from);
		return;
	}
	p = roster_find(r, m.from);
	if (p == NULL || m.epoch > p->said.epoch)
		roster_meet(r, &m);
	else if (m.epoch < p->said.epoch)
		roster_refuse(r, &r->counts.old, "old", m.from);
	else if (roster_is_early(p, &m))
		r->counts.strange++; /* was on its way when it was not known yet */
	else if (!roster_window_take(&p->heard, m.count))
		roster_refuse(r, &r->counts.replayed, "replayed", m.from);
	else
		roster_hear(p, &m);
}

static void roster_on_gone(void *arg, const char *id)
{
	roster_lose(arg, id, "lease");
}

static void roster_on_up(void *arg, bool up)
{
	struct roster *r = arg;

	if (!up)
		return;
	r->beat_now = true;
	ev_task_run(r->ev, &r->flush);
}

static const struct bus_owner roster_bus_owner = {
	.heard = roster_on_heard,
	.gone = roster_on_gone,
	.up = roster_on_up,
};

/* ---- its life ---- */

static void roster_nobody_heard(void *arg, struct str message)
{
}

static void roster_nobody_gone(void *arg, const char *id)
{
}

static void roster_nobody_up(void *arg, bool up)
{
}

/* The bus outlives us. */
static const struct bus_owner roster_nobody = {
	.heard = roster_nobody_heard,
	.gone = roster_nobody_gone,
	.up = roster_nobody_up,
};

int roster_new(struct ev *ev, const struct roster_opt *opt, struct roster **out)
{
	struct roster *r = NULL;
	uint8_t seed[16];
	int e = ERR_NOMEM;

	CHECK(node_message_id_ok(str_of(opt->self.id)));
	if ((r = calloc(1, sizeof *r)) == NULL)
		goto out;
	if ((e = roster_seal_key(opt->key, r->key)) != 0)
		goto out;
	r->ev = ev;
	r->log = opt->log;
	r->bus = opt->bus;
	r->owner = opt->owner;
	r->arg = opt->arg;
	r->self = opt->self;
	list_init(&r->wanting);
	list_init(&r->orders);
	ev_random(ev, seed, sizeof seed);
	map_init(&r->peers, seed);
	ev_random(ev, seed, sizeof seed);
	roster_list_init(&r->list, seed);
	roster_feed_begin(&r->list, &r->live, 0);
	r->beat = (struct ev_timer){.fn = roster_on_beat, .arg = r};
	r->pump = (struct ev_timer){.fn = roster_on_pump, .arg = r};
	r->flush = (struct ev_task){.fn = roster_on_flush, .arg = r};
	MOVE(*out, r);
out:
	free(r);
	return e;
}

void roster_start(struct roster *r)
{
	CHECK(!r->started);
	r->started = true;
	bus_own(r->bus, &roster_bus_owner, r);
	ev_timer_set(r->ev, &r->beat, BUS_BEAT_MS);
	r->beat_now = true;
	ev_task_run(r->ev, &r->flush);
}

static void roster_say_bye(struct roster *r)
{
	struct node_message m;
	struct pen pen = roster_begin(r, NODE_MESSAGE_BYE, NULL, &m);

	node_message_write(&pen, &m);
	(void)roster_send(r, &m, &pen); /* lost: the bus tells them when the lease is over */
}

void roster_free(struct roster *r)
{
	struct map_entry *e;

	if (r == NULL)
		return;
	if (r->started) {
		roster_say_bye(r);
		bus_own(r->bus, &roster_nobody, NULL);
	}
	while ((e = map_next(&r->peers, NULL)) != NULL)
		roster_peer_free(CONTAINER_OF(e, struct roster_peer, by_id));
	map_free(&r->peers);
	while (!list_empty(&r->orders))
		roster_order_drop(r, CONTAINER_OF(r->orders.next, struct roster_order, link));
	roster_list_free(&r->list);
	buf_free(&r->wrote);
	ev_timer_stop(r->ev, &r->beat);
	ev_timer_stop(r->ev, &r->pump);
	ev_task_cancel(&r->flush);
	free(r);
}

/* ---- questions ---- */

void roster_each(const struct roster *r, void (*fn)(void *arg, const struct roster_node *n),
		 void *arg)
{
	for (struct map_entry *e = map_next(&r->peers, NULL); e != NULL; e = map_next(&r->peers, e))
		fn(arg, &CONTAINER_OF(e, struct roster_peer, by_id)->said);
}

size_t roster_n(const struct roster *r)
{
	return r->peers.n;
}

void roster_held(const struct roster *r, struct str account, const struct node_entry_agent *own,
		 struct core_held *out)
{
	*out = (struct core_held){0};
	for (struct map_entry *e = map_next(&r->peers, NULL); e != NULL; e = map_next(&r->peers, e))
		roster_copy_held(&CONTAINER_OF(e, struct roster_peer, by_id)->copy, account, own,
				 out);
}

bool roster_settled(const struct roster *r)
{
	for (struct map_entry *e = map_next(&r->peers, NULL); e != NULL;
	     e = map_next(&r->peers, e)) {
		const struct roster_copy *c = &CONTAINER_OF(e, struct roster_peer, by_id)->copy;

		if (c->at < c->head && !c->full)
			return false;
	}
	return true;
}

const struct roster_node *roster_self(const struct roster *r)
{
	return &r->self;
}

const struct roster_counts *roster_counts(const struct roster *r)
{
	return &r->counts;
}
