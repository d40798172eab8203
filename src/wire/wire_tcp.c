/*
 * TCP as a wire.
 *
 * Reads land in the loop's scratch area and are lent to the owner, so an idle connection holds no
 * buffer. Writes go straight to the kernel; what it does not take stays with the writer.
 */
#include "wire/wire_tcp.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"

struct wire_tcp {
	struct wire wire;     /* first: the two are the same pointer */
	struct ev_io *io;     /* owned */
	struct ev_task again; /* readiness that the kernel does not know of */
	struct buf back;      /* what comes again: of one read, or given by wire_restore() */
	struct str view;      /* what the last read lent */
	int fd;		      /* owned */
	int wanted;
	int why;	   /* an error found while the owner could not be told */
	bool view_in_back; /* the view stands at the front of back */
	bool drained;	   /* the kernel had nothing more when we last asked */
	bool blocked;	   /* the kernel took less than we offered */
	bool eof;
	bool shut_due; /* at the end of the turn, if it still lives then */
	bool told_broken;
};

static struct wire_tcp *wire_tcp_of(struct wire *w)
{
	return (struct wire_tcp *)w;
}

static void wire_tcp_update(struct wire_tcp *t)
{
	int events = 0;

	if (t->why != 0) {
		ev_io_want(t->io, 0);
		if (!t->told_broken)
			ev_task_run(t->wire.ev, &t->again);
		return;
	}
	if ((t->wanted & WIRE_READ) && !t->eof)
		events |= EV_READ;
	if (t->wanted & WIRE_WRITE)
		events |= EV_WRITE;
	ev_io_want(t->io, events);
	if ((t->wanted & WIRE_READ) && (t->back.len > 0 || t->eof))
		ev_task_run(t->wire.ev, &t->again);
}

/* An error met inside a call: the owner is told at the end of the turn too. */
static void wire_tcp_fail(struct wire_tcp *t, int why)
{
	t->why = why;
	wire_tcp_update(t);
}

/* The last view is used up: what it covered of back goes. */
static void wire_tcp_settle(struct wire_tcp *t)
{
	if (t->view_in_back)
		buf_take(&t->back, t->view.len);
	t->view = (struct str){NULL, 0};
	t->view_in_back = false;
}

static int wire_tcp_read(struct wire *w, size_t max, struct str *out)
{
	struct wire_tcp *t = wire_tcp_of(w);
	char *to = ev_scratch(w->ev, w->scratch);
	size_t n;
	int e;

	wire_tcp_settle(t);
	if (t->back.len > 0) {
		t->view = (struct str){buf_str(&t->back).p, MIN(t->back.len, max)};
		t->view_in_back = true;
		*out = t->view;
		return 0;
	}
	if (t->why != 0)
		return t->why;
	if (t->eof)
		return ERR_EOF;
	if (t->drained)
		return ERR_AGAIN;
	max = MIN(max, (size_t)EV_SCRATCH);
	if ((e = net_read(t->fd, to, max, &n)) != 0) {
		t->eof = e == ERR_EOF;
		t->drained = e == ERR_AGAIN;
		if (e != ERR_EOF && e != ERR_AGAIN)
			wire_tcp_fail(t, e);
		return e;
	}
	t->drained = n < max;
	t->view = (struct str){to, n};
	*out = t->view;
	return 0;
}

static void wire_tcp_unread(struct wire *w, size_t n)
{
	struct wire_tcp *t = wire_tcp_of(w);

	CHECK(n <= t->view.len);
	t->view.len -= n;
	if (!t->view_in_back && n > 0 &&
	    buf_add(&t->back, t->view.p + t->view.len, n, EV_SCRATCH) != 0)
		wire_tcp_fail(t, ERR_NOMEM);
	wire_tcp_settle(t);
	wire_tcp_update(t);
}

static int wire_tcp_restore(struct wire *w, struct str bytes)
{
	struct wire_tcp *t = wire_tcp_of(w);
	int e;

	wire_tcp_settle(t);
	/* No cap: the caller held as much. */
	if ((e = buf_unshift(&t->back, bytes.p, bytes.len, SIZE_MAX)) == 0)
		wire_tcp_update(t);
	return e;
}

static int wire_tcp_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	struct wire_tcp *t = wire_tcp_of(w);
	int e;

	*taken = 0;
	if (t->why != 0)
		return t->why;
	e = net_write(t->fd, iov, n_iov, taken);
	if (e == ERR_AGAIN || e == ERR_NOMEM) {
		t->blocked = true;
		return 0;
	}
	if (e != 0) {
		wire_tcp_fail(t, e);
		return e;
	}
	t->blocked = *taken < wire_iov_len(iov, n_iov);
	return 0;
}

static size_t wire_tcp_room(const struct wire *w)
{
	return ((const struct wire_tcp *)w)->blocked ? 0 : WIRE_ROOM_UNKNOWN;
}

/* When the peer has ended too a close follows as a rule, and does the same at half the price. */
static void wire_tcp_shut(struct wire *w)
{
	struct wire_tcp *t = wire_tcp_of(w);

	if (t->eof) {
		t->shut_due = true;
		ev_task_run(w->ev, &t->again);
	} else {
		net_shut(t->fd);
	}
}

static void wire_tcp_want(struct wire *w, int events)
{
	struct wire_tcp *t = wire_tcp_of(w);

	wire_tcp_settle(t);
	t->wanted = events;
	wire_tcp_update(t);
}

static void wire_tcp_close(struct wire *w, int why)
{
	struct wire_tcp *t = wire_tcp_of(w);

	w->owner = NULL;
	t->wanted = 0;
	ev_task_cancel(&t->again);
	ev_io_free(t->io);
	t->io = NULL;
	net_close(t->fd, why != 0);
	t->fd = -1;
	buf_free(&t->back);
	ev_free_later(w->ev, t);
}

static void wire_tcp_break(struct wire_tcp *t, int why)
{
	const struct wire_owner *owner = t->wire.owner;

	t->why = why;
	ev_io_want(t->io, 0);
	t->wanted = 0;
	if (owner == NULL || t->told_broken) /* without an owner: told when one wants something */
		return;
	t->told_broken = true;
	owner->broken(t->wire.arg, &t->wire, why);
}

static void wire_tcp_on_ready(void *arg, int events)
{
	struct wire_tcp *t = arg;
	int told = 0, e;

	if (events & EV_ERROR) {
		e = net_error(t->fd);
		wire_tcp_break(t, e != 0 ? e : ERR_RESET);
		return;
	}
	if (events & EV_READ) {
		t->drained = false;
		told |= WIRE_READ;
	}
	if (events & EV_WRITE) {
		t->blocked = false;
		told |= WIRE_WRITE;
	}
	told &= t->wanted;
	if (told != 0 && t->wire.owner != NULL)
		t->wire.owner->ready(t->wire.arg, &t->wire, told);
}

static void wire_tcp_on_again(void *arg)
{
	struct wire_tcp *t = arg;

	if (t->shut_due)
		net_shut(t->fd);
	t->shut_due = false;
	if (t->why != 0) {
		wire_tcp_break(t, t->why);
		return;
	}
	if ((t->wanted & WIRE_READ) && (t->back.len > 0 || t->eof) && t->wire.owner != NULL) {
		t->wire.owner->ready(t->wire.arg, &t->wire, WIRE_READ);
		if (t->io != NULL) /* level-triggered */
			wire_tcp_update(t);
	}
}

static void wire_tcp_carrier(struct wire *w)
{
	net_tune(wire_tcp_of(w)->fd, NET_SESSION);
}

static const struct wire_ops wire_tcp_ops = {
	.read = wire_tcp_read,
	.unread = wire_tcp_unread,
	.write = wire_tcp_write,
	.room = wire_tcp_room,
	.shut = wire_tcp_shut,
	.want = wire_tcp_want,
	.close = wire_tcp_close,
	.carrier = wire_tcp_carrier,
	.restore = wire_tcp_restore,
};

int wire_tcp_new(struct ev *ev, int fd, enum net_use use, struct wire **out)
{
	struct wire_tcp *t = calloc(1, sizeof *t);
	int e;

	if (t == NULL)
		return ERR_NOMEM;
	t->wire = (struct wire){.ops = &wire_tcp_ops, .ev = ev, .scratch = EV_SCRATCH_NET};
	t->again = (struct ev_task){.fn = wire_tcp_on_again, .arg = t};
	t->fd = fd;
	t->drained = use == NET_TARGET; /* connected just now: who speaks first will be heard */
	if ((e = ev_io_new(ev, fd, wire_tcp_on_ready, t, &t->io)) != 0) {
		free(t);
		return e;
	}
	if (use != NET_VISITOR)
		net_tune(fd, use);
	*out = &t->wire;
	return 0;
}
