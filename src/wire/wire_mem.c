/*
 * Memory as a wire: a queue of parcels each way, delivered after a delay on whatever clock the loop
 * has.
 *
 * The two ends die apart: the pair is freed when both are closed.
 */
#include "wire/wire_mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

#define DEFAULT_CAP (64 * 1024)

/* Bytes (or an end, or a break) under way. */
struct parcel {
	struct list link;
	uint64_t due_ms;
	size_t len;
	bool fin;
	int reset; /* an ERR_*: the sender closed hard */
	char data[];
};

struct wire_mem_end {
	struct wire wire; /* first: the two are the same pointer */
	struct wire_mem *pair;
	struct list coming; /* parcels, owned, in order of arrival */
	struct buf rx;	    /* arrived, unread */
	struct ev_timer arrival;
	struct ev_task tell;
	size_t n_coming; /* bytes in coming */
	size_t view_len; /* bytes lent from the front of rx */
	int wanted;
	int why;
	bool told_broken, eof, shut, closed, stalled;
};

struct wire_mem {
	struct ev *ev;
	struct wire_mem_opt opt;
	struct wire_mem_end end[2];
	bool frozen;
};

static struct wire_mem_end *end_of(struct wire *w)
{
	return (struct wire_mem_end *)w;
}

static struct wire_mem_end *end_peer(const struct wire_mem_end *m)
{
	return &m->pair->end[m == &m->pair->end[0]];
}

static size_t end_room(const struct wire_mem_end *m)
{
	const struct wire_mem_end *peer = end_peer(m);
	size_t held = peer->n_coming + peer->rx.len;

	return held >= m->pair->opt.cap ? 0 : m->pair->opt.cap - held;
}

static int end_events(const struct wire_mem_end *m)
{
	int events = 0;

	if ((m->wanted & WIRE_READ) && !m->stalled && (m->rx.len > m->view_len || m->eof))
		events |= WIRE_READ;
	if ((m->wanted & WIRE_WRITE) && end_room(m) > 0)
		events |= WIRE_WRITE;
	return events;
}

static void end_update(struct wire_mem_end *m)
{
	if (m->closed || m->told_broken || m->wire.owner == NULL)
		return;
	if (m->why != 0 || end_events(m) != 0)
		ev_task_run(m->wire.ev, &m->tell);
}

/* The last view is used up, and there is room again. */
static void end_settle(struct wire_mem_end *m)
{
	if (m->view_len == 0)
		return;
	buf_take(&m->rx, m->view_len);
	m->view_len = 0;
	end_update(end_peer(m));
}

static void end_on_tell(void *arg)
{
	struct wire_mem_end *m = arg;
	int events;

	if (m->closed)
		return;
	end_settle(m);
	if (m->told_broken || m->wire.owner == NULL)
		return;
	events = end_events(m);
	/* What came before the break can still be read, by an owner that is reading. */
	if (m->why != 0 && !(events & WIRE_READ)) {
		m->told_broken = true;
		m->wire.owner->broken(m->wire.arg, &m->wire, m->why);
		return;
	}
	if (events != 0)
		m->wire.owner->ready(m->wire.arg, &m->wire, events);
	end_update(m); /* level-triggered */
}

/* Memory is short: both ends are told, for later nothing might tell the other one. */
static void end_break(struct wire_mem_end *m, int e)
{
	struct wire_mem_end *peer = end_peer(m);

	if (m->why == 0)
		m->why = e;
	if (peer->why == 0)
		peer->why = e;
	end_update(m);
	end_update(peer);
}

static int end_send(struct wire_mem_end *m, const struct iovec *iov, int n_iov,
		    const struct parcel *kind)
{
	struct wire_mem_end *peer = end_peer(m);
	size_t len = kind->len, at = 0;
	struct parcel *p = malloc(sizeof *p + len);

	if (p == NULL) {
		end_break(m, ERR_NOMEM);
		return ERR_NOMEM;
	}
	*p = *kind;
	p->link = (struct list){NULL, NULL};
	p->due_ms = ev_now_ms(m->wire.ev) + m->pair->opt.delay_ms;
	for (int i = 0; i < n_iov && at < len; i++) {
		size_t n = MIN(iov[i].iov_len, len - at);

		memcpy(p->data + at, iov[i].iov_base, n);
		at += n;
	}
	list_push(&peer->coming, &p->link);
	peer->n_coming += len;
	if (!ev_timer_is_set(&peer->arrival))
		ev_timer_set(m->wire.ev, &peer->arrival, m->pair->opt.delay_ms);
	return 0;
}

/* Nobody is there to read it: as TCP does, the sender is told by a reset. */
static void end_refuse(struct wire_mem_end *m, const struct parcel *p)
{
	if (p->len > 0 && !end_peer(m)->closed)
		(void)!end_send(m, NULL, 0, &(struct parcel){.reset = ERR_RESET});
}

/* Take in every parcel that is due. */
static void end_on_arrival(void *arg)
{
	struct wire_mem_end *m = arg;
	uint64_t now = ev_now_ms(m->wire.ev);

	while (!list_empty(&m->coming) && !m->pair->frozen) {
		struct parcel *p = CONTAINER_OF(m->coming.next, struct parcel, link);

		if (p->due_ms > now) {
			ev_timer_set(m->wire.ev, &m->arrival, p->due_ms - now);
			break;
		}
		list_del(&p->link);
		m->n_coming -= p->len;
		if (m->closed) {
			end_refuse(m, p);
		} else {
			/* nothing comes from behind what is missing */
			if (m->why == 0 && buf_add(&m->rx, p->data, p->len, SIZE_MAX) != 0)
				end_break(m, ERR_NOMEM);
			m->eof = m->eof || p->fin;
			m->why = m->why != 0 ? m->why : p->reset;
		}
		free(p);
	}
	end_update(m);
}

static int wire_mem_read(struct wire *w, size_t max, struct str *out)
{
	struct wire_mem_end *m = end_of(w);

	end_settle(m);
	if (m->stalled)
		return ERR_AGAIN;
	if (m->rx.len > 0) {
		m->view_len = MIN(m->rx.len, max);
		ev_task_run(w->ev, &m->tell); /* the view ends there, and makes room */
		*out = (struct str){buf_str(&m->rx).p, m->view_len};
		return 0;
	}
	if (m->why != 0)
		return m->why;
	return m->eof ? ERR_EOF : ERR_AGAIN;
}

static void wire_mem_unread(struct wire *w, size_t n)
{
	struct wire_mem_end *m = end_of(w);

	CHECK(n <= m->view_len);
	m->view_len -= n;
	end_settle(m);
	end_update(m);
}

/* In front of what has arrived: more than `cap` may be there for a while. */
static int wire_mem_restore(struct wire *w, struct str bytes)
{
	struct wire_mem_end *m = end_of(w);
	int e;

	end_settle(m);
	if ((e = buf_unshift(&m->rx, bytes.p, bytes.len, SIZE_MAX)) == 0)
		end_update(m);
	return e;
}

static int wire_mem_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	struct wire_mem_end *m = end_of(w);
	struct parcel kind = {.len = MIN(wire_iov_len(iov, n_iov), end_room(m))};
	int e;

	*taken = 0;
	end_settle(m);
	CHECK(!m->shut);
	if (m->why != 0)
		return m->why;
	if (m->pair->opt.max_write != 0)
		kind.len = MIN(kind.len, m->pair->opt.max_write);
	if (kind.len == 0)
		return 0;
	if ((e = end_send(m, iov, n_iov, &kind)) != 0)
		return e;
	*taken = kind.len;
	return 0;
}

static size_t wire_mem_room(const struct wire *w)
{
	return end_room((const struct wire_mem_end *)w);
}

static void wire_mem_shut(struct wire *w)
{
	struct wire_mem_end *m = end_of(w);

	if (!m->shut && m->why == 0)
		(void)!end_send(m, NULL, 0, &(struct parcel){.fin = true});
	m->shut = true;
}

static void wire_mem_want(struct wire *w, int events)
{
	struct wire_mem_end *m = end_of(w);

	m->wanted = events;
	end_update(m);
}

static void end_free_parcels(struct wire_mem_end *m)
{
	struct list *link;

	while ((link = list_pop(&m->coming)) != NULL)
		free(CONTAINER_OF(link, struct parcel, link));
	ev_timer_stop(m->wire.ev, &m->arrival);
	ev_task_cancel(&m->tell);
	buf_free(&m->rx);
}

static void wire_mem_close(struct wire *w, int why)
{
	struct wire_mem_end *m = end_of(w), *peer = end_peer(m);
	/* As TCP does it: unread bytes at a close make it a reset. */
	bool lost = m->rx.len > m->view_len;

	m->closed = true;
	w->owner = NULL;
	m->wanted = 0;
	ev_task_cancel(&m->tell);
	if (m->why == 0 && !peer->closed) {
		if (why != 0 || lost)
			(void)!end_send(m, NULL, 0, &(struct parcel){.reset = ERR_RESET});
		else if (!m->shut)
			(void)!end_send(m, NULL, 0, &(struct parcel){.fin = true});
	}
	buf_free(&m->rx);
	m->view_len = 0;
	if (peer->closed) {
		end_free_parcels(m);
		end_free_parcels(peer);
		ev_free_later(w->ev, m->pair);
		if (m->pair->opt.gone != NULL)
			m->pair->opt.gone(m->pair->opt.arg);
	} else {
		end_update(peer);
	}
}

static const struct wire_ops wire_mem_ops = {
	.read = wire_mem_read,
	.unread = wire_mem_unread,
	.write = wire_mem_write,
	.room = wire_mem_room,
	.shut = wire_mem_shut,
	.want = wire_mem_want,
	.close = wire_mem_close,
	.restore = wire_mem_restore,
};

static void end_init(struct wire_mem_end *m, struct wire_mem *pair)
{
	m->wire = (struct wire){.ops = &wire_mem_ops, .ev = pair->ev};
	m->pair = pair;
	m->arrival = (struct ev_timer){.fn = end_on_arrival, .arg = m};
	m->tell = (struct ev_task){.fn = end_on_tell, .arg = m};
	list_init(&m->coming);
}

int wire_mem_pair(struct ev *ev, const struct wire_mem_opt *opt, struct wire **a, struct wire **b)
{
	struct wire_mem *pair = calloc(1, sizeof *pair);

	if (pair == NULL)
		return ERR_NOMEM;
	pair->ev = ev;
	pair->opt = *opt;
	if (pair->opt.cap == 0)
		pair->opt.cap = DEFAULT_CAP;
	end_init(&pair->end[0], pair);
	end_init(&pair->end[1], pair);
	*a = &pair->end[0].wire;
	*b = &pair->end[1].wire;
	return 0;
}

void wire_mem_cut(struct wire *w)
{
	struct wire_mem *pair = end_of(w)->pair;

	for (int i = 0; i < 2; i++) {
		struct wire_mem_end *m = &pair->end[i];

		if (m->closed)
			continue;
		end_free_parcels(m);
		m->n_coming = 0;
		m->view_len = 0;
		m->why = ERR_RESET;
		end_update(m);
	}
}

void wire_mem_freeze(struct wire *w, bool frozen)
{
	struct wire_mem *pair = end_of(w)->pair;

	pair->frozen = frozen;
	if (!frozen) {
		end_on_arrival(&pair->end[0]);
		end_on_arrival(&pair->end[1]);
	}
}

void wire_mem_stall(struct wire *w, bool stalled)
{
	struct wire_mem_end *m = end_of(w);

	m->stalled = stalled;
	end_update(m);
}
