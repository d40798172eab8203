/* The net between nodes in memory. */
#include "sim/mem_hop.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cluster/roster.h"

struct mem_end {
	struct hop_end end; /* first: the two are the same pointer */
	struct mem_hop *net;
	struct ev *ev;
	struct hop_end_opt opt;
	struct list link;		 /* in net->ends */
	char addrs[2][ROSTER_ADDR_TEXT]; /* where it listens: TCP, local; "": not */
};

struct mem_conn {
	struct list link; /* in net->conns */
	struct wire *a, *b;
	char name[NODE_ID_TEXT]; /* who has dialled */
	char to[NODE_ID_TEXT];	 /* and whom */
};

struct hop_dial {
	struct mem_end *from;
	struct ev_timer timer;
	char addr[ROSTER_ADDR_TEXT];
	bool late; /* the timer stands for its deadline */
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

static struct mem_end *mem_end_of(struct hop_end *end)
{
	return (struct mem_end *)end;
}

static void mem_conn_gone(void *arg)
{
	struct mem_conn *c = arg;

	list_del(&c->link);
	free(c);
}

static struct mem_end *mem_hop_find(struct mem_hop *m, const char *addr)
{
	LIST_FOR_EACH (link, &m->ends) {
		struct mem_end *e = CONTAINER_OF(link, struct mem_end, link);

		if (*addr != '\0' &&
		    (strcmp(e->addrs[0], addr) == 0 || strcmp(e->addrs[1], addr) == 0))
			return e;
	}
	return NULL;
}

struct wire *mem_hop_connect(struct mem_hop *m, struct ev *ev, const char *addr, const char *name)
{
	struct mem_end *to = mem_hop_find(m, addr);
	struct wire_mem_opt mem = m->mem;
	struct mem_conn *c;

	if (to == NULL)
		return NULL;
	c = must_calloc(1, sizeof *c);
	mem.gone = mem_conn_gone;
	mem.arg = c;
	CHECK(wire_mem_pair(ev, &mem, &c->a, &c->b) == 0);
	str_printf(c->name, sizeof c->name, "%s", name);
	str_printf(c->to, sizeof c->to, "%s", to->opt.self);
	list_push(&m->conns, &c->link);
	to->opt.accepted(to->opt.arg, c->b, name);
	return c->a;
}

static enum mem_way mem_dial_way(const struct hop_dial *d)
{
	struct mem_hop *m = d->from->net;
	const struct mem_end *to = mem_hop_find(m, d->addr);

	return m->way == NULL ? MEM_OPEN
			      : m->way(m->arg, d->from->opt.self, to == NULL ? "" : to->opt.self);
}

static void mem_dial_on_timer(void *arg)
{
	struct hop_dial *d = arg;
	struct mem_end *from = d->from;
	struct mem_hop *m = from->net;
	struct wire *w = NULL;
	int e = d->late ? ERR_TIMEOUT : m->refuse;

	if (e == 0 && mem_dial_way(d) != MEM_OPEN)
		e = ERR_REFUSED;
	if (e == 0 && (w = mem_hop_connect(m, from->ev, d->addr, from->opt.self)) == NULL)
		e = ERR_REFUSED;
	ev_free_later(from->ev, d);
	d->done(d->arg, e, w);
}

static int mem_end_dial(struct hop_end *end, const struct hop_dial_opt *opt, struct hop_dial **out)
{
	struct mem_end *from = mem_end_of(end);
	struct hop_dial *d = must_calloc(1, sizeof *d);

	d->from = from;
	d->timer = (struct ev_timer){.fn = mem_dial_on_timer, .arg = d};
	d->done = opt->done;
	d->arg = opt->arg;
	str_printf(d->addr, sizeof d->addr, "%s", opt->addr);
	d->late = from->net->silent || mem_dial_way(d) == MEM_SILENT;
	from->net->n_dials++;
	ev_timer_set(from->ev, &d->timer, d->late ? opt->timeout_ms : from->net->mem.delay_ms);
	*out = d;
	return 0;
}

static void mem_end_cancel(struct hop_dial *d)
{
	ev_timer_stop(d->from->ev, &d->timer);
	ev_free_later(d->from->ev, d);
}

static int mem_end_listen(struct hop_end *end, const struct net_addr *addr, uint16_t *port)
{
	struct mem_end *e = mem_end_of(end);
	struct net_addr at = *addr;
	char text[NET_ADDR_TEXT];

	if (e->opt.key == NULL)
		return ERR_INVAL;
	if (net_addr_port(&at) == 0)
		at.in.sin_port = htons(++e->net->last_port);
	*port = net_addr_port(&at);
	if (mem_hop_find(e->net, net_addr_format(&at, text)) != NULL)
		return ERR_INUSE;
	return str_copy(e->addrs[0], sizeof e->addrs[0], str_of(text));
}

static int mem_end_listen_local(struct hop_end *end, const char *path)
{
	return str_copy(mem_end_of(end)->addrs[1], ROSTER_ADDR_TEXT, str_of(path));
}

static const char *mem_end_name(struct hop_end *end, const struct wire *w)
{
	const struct mem_hop *m = mem_end_of(end)->net;

	LIST_FOR_EACH (link, &m->conns) {
		const struct mem_conn *c = CONTAINER_OF(link, struct mem_conn, link);

		if (c->b == w)
			return m->says != NULL ? m->says : c->name;
	}
	return "";
}

static const char *mem_end_explain(struct hop_end *end, const struct wire *w)
{
	return "";
}

static void mem_end_close(struct hop_end *end)
{
	struct mem_end *e = mem_end_of(end);

	list_del(&e->link);
	ev_free_later(e->ev, e);
}

static const struct hop_end_ops mem_end_ops = {
	.listen = mem_end_listen,
	.listen_local = mem_end_listen_local,
	.dial = mem_end_dial,
	.cancel = mem_end_cancel,
	.name = mem_end_name,
	.explain = mem_end_explain,
	.close = mem_end_close,
};

static int mem_hop_open(const struct hop_net *net, struct ev *ev, const struct hop_end_opt *opt,
			struct hop_end **out)
{
	struct mem_end *e = must_calloc(1, sizeof *e);

	e->end.ops = &mem_end_ops;
	e->net = (struct mem_hop *)(uintptr_t)net;
	e->ev = ev;
	e->opt = *opt;
	list_push(&e->net->ends, &e->link);
	*out = &e->end;
	return 0;
}

void mem_hop_init(struct mem_hop *m)
{
	*m = (struct mem_hop){.net = {.open = mem_hop_open}, .mem = {.delay_ms = 5}};
	m->mem.cap = 1 << 20;
	list_init(&m->ends);
	list_init(&m->conns);
}

void mem_hop_cut(struct mem_hop *m)
{
	LIST_FOR_EACH_SAFE (link, &m->conns)
		wire_mem_cut(CONTAINER_OF(link, struct mem_conn, link)->a);
}

void mem_hop_freeze(struct mem_hop *m, bool frozen)
{
	LIST_FOR_EACH (link, &m->conns)
		wire_mem_freeze(CONTAINER_OF(link, struct mem_conn, link)->a, frozen);
}

static bool mem_conn_is_between(const struct mem_conn *c, const char *a, const char *b)
{
	if (strcmp(c->to, a) == 0)
		return b == NULL || strcmp(c->name, b) == 0;
	return strcmp(c->name, a) == 0 && (b == NULL || strcmp(c->to, b) == 0);
}

void mem_hop_cut_between(struct mem_hop *m, const char *a, const char *b)
{
	LIST_FOR_EACH_SAFE (link, &m->conns) {
		struct mem_conn *c = CONTAINER_OF(link, struct mem_conn, link);

		if (!mem_conn_is_between(c, a, b))
			continue;
		wire_mem_freeze(c->a, false); /* the ends of a frozen one would not hear of it */
		wire_mem_cut(c->a);
	}
}

void mem_hop_freeze_between(struct mem_hop *m, const char *a, const char *b, bool frozen)
{
	LIST_FOR_EACH (link, &m->conns) {
		struct mem_conn *c = CONTAINER_OF(link, struct mem_conn, link);

		if (mem_conn_is_between(c, a, b))
			wire_mem_freeze(c->a, frozen);
	}
}

size_t mem_hop_n(const struct mem_hop *m)
{
	size_t n = 0;

	LIST_FOR_EACH (link, &m->conns)
		n++;
	return n;
}

bool mem_hop_has(const struct mem_hop *m, const char *from, const char *to)
{
	LIST_FOR_EACH (link, &m->conns) {
		const struct mem_conn *c = CONTAINER_OF(link, struct mem_conn, link);

		if (strcmp(c->name, from) == 0 && strcmp(c->to, to) == 0)
			return true;
	}
	return false;
}
