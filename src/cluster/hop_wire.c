/*
 * The shell around a stream that comes later.
 *
 * What was taken early goes into the stream when it comes, and as long as any of it waits there is
 * no more room; so nothing overtakes it, and most shells never hold a byte. Who closes the shell in
 * an orderly way while it waits is served all the same: the shell stays in its queue without an
 * owner.
 */
#include "cluster/hop_wire.h"

#include <stdlib.h>

#include "base/err.h"

struct hop_wire {
	struct wire wire;	  /* first: the two are the same pointer */
	struct list link;	  /* in in->list while it waits */
	struct hop_waiters *in;	  /* borrowed while it waits; else NULL */
	struct visit *visit;	  /* owned while it waits; else NULL */
	struct wire *stream;	  /* owned; NULL: not there yet, or never */
	struct buf early;	  /* at most HOP_WIRE_EARLY_MAX */
	struct ev_task again;	  /* what no stream announces */
	struct ev_timer deadline; /* of a closed one that still delivers */
	int wanted;
	int why; /* broken, and why */
	bool shut, told_broken;
	bool closed; /* by its owner; goes when everything is delivered */
};

static struct hop_wire *hop_wire_of(const struct wire *w)
{
	return (struct hop_wire *)(uintptr_t)w;
}

static void hop_wire_leave(struct hop_wire *h)
{
	if (h->in == NULL)
		return;
	list_del(&h->link);
	h->in->n--;
	h->in = NULL;
	free(h->visit);
	h->visit = NULL;
}

static void hop_wire_release(struct hop_wire *h, int why)
{
	hop_wire_leave(h);
	ev_task_cancel(&h->again);
	ev_timer_stop(h->wire.ev, &h->deadline);
	wire_close(h->stream, why);
	h->stream = NULL;
	buf_free(&h->early);
	ev_free_later(h->wire.ev, h);
}

static size_t hop_wire_room(const struct wire *w)
{
	const struct hop_wire *h = hop_wire_of(w);

	if (h->why != 0 || h->shut)
		return 0;
	if (h->stream == NULL)
		return HOP_WIRE_EARLY_MAX - h->early.len;
	return h->early.len > 0 ? 0 : wire_room(h->stream);
}

/* Want of the stream what we need now; or announce ourselves what no stream does. */
static void hop_wire_update(struct hop_wire *h)
{
	if (h->closed && h->stream == NULL)
		return;
	if (h->why != 0) {
		if (!h->told_broken)
			ev_task_run(h->wire.ev, &h->again);
	} else if (h->stream != NULL) {
		wire_want(h->stream, h->wanted | (h->early.len > 0 ? WIRE_WRITE : 0));
	} else if ((h->wanted & WIRE_WRITE) && hop_wire_room(&h->wire) > 0) {
		ev_task_run(h->wire.ev, &h->again);
	}
}

/* ---- the owner's side ---- */

static int hop_wire_read(struct wire *w, size_t max, struct str *out)
{
	struct hop_wire *h = hop_wire_of(w);

	if (h->why != 0)
		return h->why;
	return h->stream == NULL ? ERR_AGAIN : wire_read(h->stream, max, out);
}

static void hop_wire_unread(struct wire *w, size_t n)
{
	struct hop_wire *h = hop_wire_of(w);

	CHECK(h->stream != NULL || n == 0);
	if (h->stream != NULL)
		wire_unread(h->stream, n);
}

static int hop_wire_take_early(struct hop_wire *h, const struct iovec *iov, int n_iov,
			       size_t *taken)
{
	for (int i = 0; i < n_iov; i++) {
		size_t n = MIN(iov[i].iov_len, HOP_WIRE_EARLY_MAX - h->early.len);
		int e = buf_add(&h->early, iov[i].iov_base, n, HOP_WIRE_EARLY_MAX);

		if (e != 0) {
			h->why = e;
			hop_wire_update(h);
			return e;
		}
		*taken += n;
	}
	return 0;
}

static int hop_wire_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	struct hop_wire *h = hop_wire_of(w);

	*taken = 0;
	CHECK(!h->shut);
	if (h->why != 0)
		return h->why;
	if (h->stream == NULL)
		return hop_wire_take_early(h, iov, n_iov, taken);
	return h->early.len > 0 ? 0 : wire_write(h->stream, iov, n_iov, taken);
}

static void hop_wire_shut(struct wire *w)
{
	struct hop_wire *h = hop_wire_of(w);

	if (h->shut)
		return;
	h->shut = true;
	if (h->stream != NULL && h->why == 0 && h->early.len == 0)
		wire_shut(h->stream);
}

static void hop_wire_want(struct wire *w, int events)
{
	struct hop_wire *h = hop_wire_of(w);

	h->wanted = events;
	hop_wire_update(h);
}

static void hop_wire_close(struct wire *w, int why)
{
	struct hop_wire *h = hop_wire_of(w);

	w->owner = NULL;
	h->wanted = 0;
	ev_task_cancel(&h->again);
	if (why == 0 && h->why == 0 &&
	    ((h->stream == NULL && h->shut) || (h->stream != NULL && h->early.len > 0))) {
		h->shut = h->closed = true;
		ev_timer_set(w->ev, &h->deadline, HOP_WIRE_LINGER_MS);
		hop_wire_update(h);
		return;
	}
	hop_wire_release(h, why);
}

/* ---- the stream's side ---- */

/* What was taken early goes first. Returns 0 or why the stream is broken. */
static int hop_wire_flush(struct hop_wire *h)
{
	int e;

	if (h->early.len == 0)
		return 0;
	if ((e = wire_write_buf(h->stream, &h->early)) == 0 && h->early.len == 0 && h->shut)
		wire_shut(h->stream);
	return e;
}

static void hop_wire_break(struct hop_wire *h, int why)
{
	h->why = why;
	if (h->closed) {
		hop_wire_release(h, why);
		return;
	}
	if (h->wire.owner == NULL || h->told_broken)
		return;
	h->told_broken = true;
	h->wanted = 0;
	h->wire.owner->broken(h->wire.arg, &h->wire, why);
}

static void hop_wire_on_ready(void *arg, struct wire *stream, int events)
{
	struct hop_wire *h = arg;
	int e;

	if ((events & WIRE_WRITE) && h->early.len > 0) {
		if ((e = hop_wire_flush(h)) != 0) {
			hop_wire_break(h, e);
			return;
		}
		if (h->closed && h->early.len == 0) {
			hop_wire_release(h, 0);
			return;
		}
		hop_wire_update(h);
		events &= ~WIRE_WRITE; /* it is told again */
	}
	events &= h->wanted;
	if (events != 0 && h->wire.owner != NULL)
		h->wire.owner->ready(h->wire.arg, &h->wire, events);
}

static void hop_wire_on_broken(void *arg, struct wire *stream, int why)
{
	hop_wire_break(arg, why);
}

static const struct wire_owner hop_wire_stream_owner = {hop_wire_on_ready, hop_wire_on_broken};

static void hop_wire_on_again(void *arg)
{
	struct hop_wire *h = arg;

	if (h->why != 0) {
		hop_wire_break(h, h->why);
		return;
	}
	if (h->stream != NULL || h->wire.owner == NULL || !(h->wanted & WIRE_WRITE) ||
	    hop_wire_room(&h->wire) == 0)
		return;
	h->wire.owner->ready(h->wire.arg, &h->wire, WIRE_WRITE);
	if (h->wire.owner != NULL)
		hop_wire_update(h); /* level-triggered */
}

static void hop_wire_on_deadline(void *arg)
{
	hop_wire_release(arg, ERR_TIMEOUT);
}

/* ---- life ---- */

static const struct wire_ops hop_wire_ops = {
	.read = hop_wire_read,
	.unread = hop_wire_unread,
	.write = hop_wire_write,
	.room = hop_wire_room,
	.shut = hop_wire_shut,
	.want = hop_wire_want,
	.close = hop_wire_close,
};

int hop_wire_new(struct ev *ev, struct hop_waiters *in, const struct visit *visit,
		 struct wire **out)
{
	struct hop_wire *h = calloc(1, sizeof *h);
	int e = ERR_NOMEM;

	if (h == NULL || (h->visit = malloc(sizeof *visit)) == NULL)
		goto out;
	*h->visit = *visit;
	h->wire = (struct wire){.ops = &hop_wire_ops, .ev = ev, .scratch = EV_SCRATCH_SESSION};
	h->again = (struct ev_task){.fn = hop_wire_on_again, .arg = h};
	h->deadline = (struct ev_timer){.fn = hop_wire_on_deadline, .arg = h};
	h->in = in;
	list_push(&in->list, &h->link);
	in->n++;
	*out = &h->wire;
	h = NULL;
	e = 0;
out:
	free(h);
	return e;
}

struct hop_wire *hop_waiters_first(const struct hop_waiters *in)
{
	return list_empty(&in->list) ? NULL : CONTAINER_OF(in->list.next, struct hop_wire, link);
}

const struct visit *hop_wire_visit(const struct hop_wire *h)
{
	return h->visit;
}

void hop_wire_join(struct hop_wire *h, struct wire *stream)
{
	int e;

	hop_wire_leave(h);
	h->stream = stream;
	wire_own(stream, &hop_wire_stream_owner, h);
	if (h->early.len == 0 && h->shut)
		wire_shut(stream);
	if ((e = hop_wire_flush(h)) != 0)
		h->why = e;
	if (h->closed && (h->why != 0 || h->early.len == 0))
		hop_wire_release(h, h->why);
	else
		hop_wire_update(h);
}

void hop_wire_fail(struct hop_wire *h, int why)
{
	hop_wire_leave(h);
	h->why = why;
	if (h->closed)
		hop_wire_release(h, why);
	else
		hop_wire_update(h);
}
