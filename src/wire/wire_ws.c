/*
 * WebSocket as a wire.
 *
 * What a client sends is masked straight into `pending`, from which it goes down; what a server
 * sends goes down as it is behind the head of its frame, and only what the wire below does not take
 * is copied there. As long as anything waits there nothing more is taken. `pending` always ends
 * where a frame ends, so a close frame or a pong may follow.
 *
 * What comes is unmasked where it lies, in the memory that the wire below has lent, and lent on. Of
 * several frames in one reading the payloads are moved together; a large one is not moved at all.
 * So nothing is done to the wire below while our owner may be looking at what was lent: pongs, and
 * words about a failure, wait for `again`.
 */
#include "wire/wire_ws.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/ws_frame.h"
#include "wire/linger.h"

/* A head, its payload, and a pong and a close frame behind them. */
#define PENDING_CAP (WS_HEAD_MAX + WIRE_WS_FRAME + 2 * (WS_HEAD_MAX + WS_CONTROL_MAX))

/* Pieces of a gather list that go into one frame: more than a session has. */
#define WS_IOV 80

/* With less room below than this a write is taken all the same: it waits in `pending`. */
#define ROOM_LEAST 1024

/* Looks at the wire below in one read, when they bring nothing but heads and control frames. */
#define EMPTY_READS 4

/* Masks that are drawn together. */
#define KEYS 16

enum ws_phase {
	PHASE_OPEN,
	PHASE_DELIVER, /* closed by its owner, delivers what it had taken */
	PHASE_GONE,    /* waits for the turn to end */
};

struct wire_ws {
	struct wire wire;   /* first: the two are the same pointer */
	struct wire *lower; /* owned */
	struct buf pending; /* frames that lower has not taken */
	struct buf back;    /* bytes given back by wire_unread; never more than one read brings */
	struct str view;    /* what the last read lent */
	struct ev_task again;
	struct ev_task end; /* while it delivers: it has no owner then */
	struct ev_timer deadline;
	struct ws_head frame; /* that is being read */
	uint64_t at;	      /* bytes of its payload that have come */
	uint8_t head[WS_HEAD_MAX];
	size_t n_head; /* of a head that has come in part */
	uint8_t control[WS_CONTROL_MAX];
	uint8_t pong[WS_CONTROL_MAX];
	size_t n_pong;
	uint8_t keys[KEYS][4];
	size_t n_keys; /* that are left */
	enum ws_phase phase;
	int wanted;
	int why;
	int reason; /* what an ordinary end is to say, see wire_reason() */
	bool client;
	bool in_frame;	 /* its head has been read */
	bool in_message; /* its last frame has not come */
	bool pong_due;
	bool view_in_back; /* the view stands at the front of back */
	bool told_broken;
	bool shut;	 /* the owner sends no more */
	bool close_sent; /* or waits in pending */
	bool eof;	 /* the peer's close frame has come */
	bool lower_dead; /* lower has told that it is broken */
};

static struct wire_ws *wire_ws_of(const struct wire *w)
{
	return (struct wire_ws *)(uintptr_t)w;
}

/* Which phase may follow which. */
static const bool phase_moves[][3] = {
	[PHASE_OPEN] = {[PHASE_DELIVER] = true, [PHASE_GONE] = true},
	[PHASE_DELIVER] = {[PHASE_GONE] = true},
	[PHASE_GONE] = {false},
};

static void wire_ws_phase(struct wire_ws *t, enum ws_phase phase)
{
	CHECK(phase_moves[t->phase][phase]);
	t->phase = phase;
}

/* The wire is broken; the owner is told at the end of the turn. */
static void wire_ws_fail(struct wire_ws *t, int e)
{
	if (t->why != 0 || t->phase == PHASE_GONE)
		return;
	t->why = e;
	ev_task_run(t->wire.ev, &t->again);
}

/* Bytes lent from the front of back do not count: they are the owner's now. */
static bool wire_ws_has_back(const struct wire_ws *t)
{
	return t->back.len > (t->view_in_back ? t->view.len : 0);
}

/* Want of the wire below what we need now. */
static void wire_ws_update(struct wire_ws *t)
{
	int events = 0;

	if (t->phase == PHASE_GONE)
		return;
	if (t->why != 0) {
		if (!t->told_broken)
			ev_task_run(t->wire.ev, &t->again);
		return;
	}
	if (t->wanted & WIRE_READ) {
		if (wire_ws_has_back(t) || t->eof)
			ev_task_run(t->wire.ev, &t->again);
		else
			events |= WIRE_READ;
	}
	if (t->pending.len > 0 || ((t->wanted & WIRE_WRITE) && !t->shut))
		events |= WIRE_WRITE;
	wire_want(t->lower, events);
}

/* ---- down ---- */

/* A mask that nobody can foresee: RFC 6455 10.3. */
static void wire_ws_key(struct wire_ws *t, uint8_t key[4])
{
	if (t->n_keys == 0) {
		ev_random(t->wire.ev, t->keys, sizeof t->keys);
		t->n_keys = KEYS;
	}
	memcpy(key, t->keys[--t->n_keys], 4);
}

/* The head of a frame of ours, which is a whole message. */
static struct ws_head wire_ws_head(struct wire_ws *t, enum ws_op op, size_t len)
{
	struct ws_head h = {.op = op, .fin = true, .masked = t->client, .len = len};

	if (h.masked)
		wire_ws_key(t, h.key);
	return h;
}

/* Behind everything that waits. Returns 0 or ERR_NOMEM. */
static int wire_ws_add_control(struct wire_ws *t, enum ws_op op, const uint8_t *data, size_t len)
{
	uint8_t frame[WS_HEAD_MAX + WS_CONTROL_MAX];
	struct ws_head h = wire_ws_head(t, op, len);
	size_t at = ws_head_write(&h, frame);

	if (h.masked)
		ws_mask(frame + at, data, len, h.key, 0);
	else
		memcpy(frame + at, data, len);
	return buf_add(&t->pending, frame, at + len, PENDING_CAP);
}

/* Hand down what waits. */
static void wire_ws_flush(struct wire_ws *t)
{
	int e = 0;

	if (t->lower_dead)
		return;
	while (e == 0) {
		if ((e = wire_write_buf(t->lower, &t->pending)) != 0 || t->pending.len > 0 ||
		    !t->pong_due || t->close_sent)
			break;
		t->pong_due = false;
		e = wire_ws_add_control(t, WS_PONG, t->pong, t->n_pong);
	}
	if (e != 0)
		wire_ws_fail(t, e);
}

/* Our close frame, once, behind everything that waits. */
static void wire_ws_add_end(struct wire_ws *t, uint16_t code)
{
	uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

	if (t->close_sent || t->lower_dead)
		return;
	t->close_sent = true;
	if (wire_ws_add_control(t, WS_CLOSE, payload, sizeof payload) != 0)
		wire_ws_fail(t, ERR_NOMEM);
}

/* The peer breaks the rules: it is told, whatever our owner does. Returns ERR_PROTO. */
static int wire_ws_blame(struct wire_ws *t, uint16_t code)
{
	wire_ws_add_end(t, code);
	wire_ws_fail(t, ERR_PROTO);
	return ERR_PROTO;
}

static size_t wire_ws_room(const struct wire *w)
{
	const struct wire_ws *t = wire_ws_of(w);
	size_t below;

	if (t->phase != PHASE_OPEN || t->why != 0 || t->shut || t->pending.len > 0)
		return 0;
	below = wire_room(t->lower);
	if (below == 0 || below == WIRE_ROOM_UNKNOWN)
		return below;
	return MIN((size_t)WIRE_WS_FRAME,
		   MAX(below - MIN(below, (size_t)WS_HEAD_MAX), (size_t)ROOM_LEAST));
}

/* A frame of a client: masked on its way into `pending`. */
static int wire_ws_write_masked(struct wire_ws *t, const struct iovec *iov, size_t len)
{
	struct ws_head h = wire_ws_head(t, WS_BINARY, len);
	size_t at, done = 0;
	char *to;
	int e;

	if ((e = buf_room(&t->pending, WS_HEAD_MAX + len, PENDING_CAP, &to)) != 0)
		return e;
	at = ws_head_write(&h, (uint8_t *)to);
	for (; done < len; iov++) {
		size_t n = MIN(iov->iov_len, len - done);

		ws_mask(to + at + done, iov->iov_base, n, h.key, done);
		done += n;
	}
	buf_added(&t->pending, at + len);
	wire_ws_flush(t);
	return t->why;
}

/* A frame of a server: as it is. *taken: 0 when the wire below takes nothing at all. */
static int wire_ws_write_plain(struct wire_ws *t, const struct iovec *iov, size_t len,
			       size_t *taken)
{
	struct ws_head h = wire_ws_head(t, WS_BINARY, len);
	uint8_t head[WS_HEAD_MAX];
	struct iovec all[1 + WS_IOV];
	size_t left = len, put = 0;
	int n = 1, e;

	all[0] = (struct iovec){head, ws_head_write(&h, head)};
	for (; left > 0; left -= all[n++].iov_len)
		all[n] = (struct iovec){iov[n - 1].iov_base, MIN(iov[n - 1].iov_len, left)};
	if ((e = wire_write(t->lower, all, n, &put)) != 0 || put == 0)
		return e;
	*taken = len;
	for (int i = wire_iov_skip(all, n, put); i < n && e == 0; i++)
		e = buf_add(&t->pending, all[i].iov_base, all[i].iov_len, PENDING_CAP);
	return e;
}

static int wire_ws_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	struct wire_ws *t = wire_ws_of(w);
	size_t len = MIN(wire_iov_len(iov, MIN(n_iov, WS_IOV)),
			 MIN(wire_ws_room(w), (size_t)WIRE_WS_FRAME));
	int e;

	*taken = 0;
	CHECK(!t->shut);
	if (t->why != 0)
		return t->why;
	if (len == 0)
		return 0;
	if (t->client) {
		if ((e = wire_ws_write_masked(t, iov, len)) == 0)
			*taken = len;
	} else {
		e = wire_ws_write_plain(t, iov, len, taken);
	}
	if (e != 0)
		wire_ws_fail(t, e);
	return e;
}

static void wire_ws_shut(struct wire *w)
{
	struct wire_ws *t = wire_ws_of(w);

	if (t->shut)
		return;
	t->shut = true;
	if (t->why == 0) {
		wire_ws_add_end(t, ws_code_of(t->reason));
		wire_ws_flush(t);
	}
	wire_ws_update(t);
}

static void wire_ws_reason(struct wire *w, int why)
{
	wire_ws_of(w)->reason = why;
}

/* ---- up ---- */

/* The head of a frame that has come whole. Returns 0 or ERR_PROTO. */
static int wire_ws_begin(struct wire_ws *t)
{
	const struct ws_head *h = &t->frame;

	t->at = 0;
	t->in_frame = true;
	if (ws_is_control(h->op))
		return 0;
	if (h->op == WS_TEXT && !t->in_message)
		return wire_ws_blame(t, WS_CODE_TYPE);
	if ((h->op == WS_CONTINUATION) != t->in_message)
		return wire_ws_blame(t, WS_CODE_PROTO);
	t->in_message = !h->fin;
	return 0;
}

/* Take the head of the next frame from the front of in. Returns 0, ERR_AGAIN, or why it broke. */
static int wire_ws_take_head(struct wire_ws *t, struct str *in)
{
	size_t had = t->n_head, used = 0, n = MIN(in->len, sizeof t->head - had);
	int e;

	memcpy(t->head + had, in->p, n);
	e = ws_head_read((struct str){(const char *)t->head, had + n}, !t->client, &t->frame,
			 &used);
	if (e == ERR_PROTO)
		return wire_ws_blame(t, WS_CODE_PROTO);
	if (e == 0)
		n = used - had;
	t->n_head = e == 0 ? 0 : had + n;
	*in = (struct str){in->p + n, in->len - n};
	return e != 0 ? e : wire_ws_begin(t);
}

/* A control frame has come whole. Returns 0, ERR_EOF, or why the wire broke. */
static int wire_ws_on_control(struct wire_ws *t)
{
	size_t len = (size_t)t->frame.len;
	uint16_t code;
	int e;

	if (t->frame.op == WS_PING) {
		memcpy(t->pong, t->control, len);
		t->n_pong = len;
		t->pong_due = true;
	}
	if (t->frame.op != WS_CLOSE)
		return 0;
	t->eof = true;
	if (ws_code_read((struct str){(const char *)t->control, len}, &code) != 0)
		return wire_ws_blame(t, WS_CODE_PROTO);
	if ((e = ws_code_error(code)) == 0)
		return ERR_EOF;
	wire_ws_fail(t, e);
	return e;
}

/* The next piece of a payload, len bytes at p, is to stand at `to`: there, or in front of it. */
static void wire_ws_place(const struct wire_ws *t, char *to, const char *p, size_t len)
{
	if (t->frame.masked)
		ws_mask(to, p, len, t->frame.key, t->at);
	else if (to != p)
		memmove(to, p, len);
}

/*
 * Unpack what has come.
 *   in    the wire below has lent it; its memory is changed.
 *   *out  set to the bytes for our owner, in the same memory; may be empty.
 * Returns 0, or why no more is to be unpacked.
 */
static int wire_ws_unpack(struct wire_ws *t, struct str in, struct str *out)
{
	char *to = NULL; /* where the payloads begin */
	size_t n = 0, len;
	int e = 0;

	while (in.len > 0 && e == 0) {
		if (!t->in_frame && (e = wire_ws_take_head(t, &in)) != 0)
			break;
		len = (size_t)MIN((uint64_t)in.len, t->frame.len - t->at);
		if (ws_is_control(t->frame.op)) {
			wire_ws_place(t, (char *)t->control + t->at, in.p, len);
		} else {
			if (n == 0)
				to = (char *)(uintptr_t)in.p;
			wire_ws_place(t, to + n, in.p, len);
			n += len;
		}
		t->at += len;
		in = (struct str){in.p + len, in.len - len};
		t->in_frame = t->at < t->frame.len;
		if (!t->in_frame && ws_is_control(t->frame.op))
			e = wire_ws_on_control(t);
	}
	*out = (struct str){to, n};
	return e == ERR_AGAIN ? 0 : e;
}

/* The last view is used up: what it covered of back goes. */
static void wire_ws_settle(struct wire_ws *t)
{
	if (t->view_in_back)
		buf_take(&t->back, t->view.len);
	t->view = (struct str){NULL, 0};
	t->view_in_back = false;
}

/* Fetch and unpack. Returns 0 when there are bytes in *out, else why there are none. */
static int wire_ws_fetch(struct wire_ws *t, size_t max, struct str *out)
{
	struct str in;
	int e = 0;

	out->len = 0;
	for (int i = 0; i < EMPTY_READS && e == 0 && out->len == 0; i++) {
		e = t->lower_dead ? ERR_RESET : wire_read(t->lower, max, &in);
		if (e == 0) {
			e = wire_ws_unpack(t, in, out);
		} else if (e != ERR_AGAIN) {
			e = e == ERR_EOF ? ERR_RESET : e;
			wire_ws_fail(t, e);
		}
	}
	if (t->pong_due && t->pending.len == 0)
		ev_task_run(t->wire.ev, &t->again);
	if (out->len > 0)
		return 0;
	return e != 0 ? e : ERR_AGAIN;
}

static int wire_ws_read(struct wire *w, size_t max, struct str *out)
{
	struct wire_ws *t = wire_ws_of(w);
	int e;

	wire_ws_settle(t);
	if (t->back.len > 0) {
		t->view = (struct str){buf_str(&t->back).p, MIN(t->back.len, max)};
		t->view_in_back = true;
		*out = t->view;
		return 0;
	}
	if (t->why != 0 || t->eof)
		return t->why != 0 ? t->why : ERR_EOF;
	if ((e = wire_ws_fetch(t, max, &t->view)) == 0)
		*out = t->view;
	return e;
}

static void wire_ws_unread(struct wire *w, size_t n)
{
	struct wire_ws *t = wire_ws_of(w);

	CHECK(n <= t->view.len);
	t->view.len -= n;
	if (!t->view_in_back && n > 0 &&
	    buf_add(&t->back, t->view.p + t->view.len, n, EV_SCRATCH) != 0)
		wire_ws_fail(t, ERR_NOMEM);
	wire_ws_settle(t);
	wire_ws_update(t);
}

static void wire_ws_want(struct wire *w, int events)
{
	struct wire_ws *t = wire_ws_of(w);

	wire_ws_settle(t);
	t->wanted = events;
	wire_ws_update(t);
}

/* ---- the end ---- */

/* Give up everything. With all of our words said, the wire below waits for the peer's. */
static void wire_ws_release(struct wire_ws *t, int why)
{
	wire_ws_phase(t, PHASE_GONE);
	ev_timer_stop(t->wire.ev, &t->deadline);
	ev_task_cancel(&t->again);
	ev_task_cancel(&t->end);
	if (t->close_sent && t->pending.len == 0 && !t->lower_dead)
		wire_linger(t->lower, WIRE_WS_CLOSE_MS, WIRE_WS_CLOSE_MAX);
	else
		wire_close(t->lower, why != 0 ? why : ERR_CLOSED);
	t->lower = NULL;
	buf_free(&t->pending);
	buf_free(&t->back);
	ev_free_later(t->wire.ev, t);
}

static void wire_ws_on_end(void *arg)
{
	wire_ws_release(arg, 0);
}

static void wire_ws_close(struct wire *w, int why)
{
	struct wire_ws *t = wire_ws_of(w);

	w->owner = NULL;
	wire_ws_want(w, 0);
	buf_free(&t->back);
	ev_task_cancel(&t->again);
	why = why != 0 ? why : t->why;
	wire_ws_add_end(t, ws_code_of(why != 0 ? why : t->reason));
	wire_ws_flush(t);
	if (why == 0 && t->why == 0 && t->pending.len > 0) {
		wire_ws_phase(t, PHASE_DELIVER);
		t->shut = true;
		ev_timer_set(w->ev, &t->deadline, WIRE_WS_DELIVER_MS);
		ev_task_at_end(w->ev, &t->end);
		wire_ws_update(t);
		return;
	}
	wire_ws_release(t, why);
}

static void wire_ws_on_deadline(void *arg)
{
	wire_ws_release(arg, ERR_TIMEOUT);
}

/* ---- told by the wire below, or by ourselves ---- */

static void wire_ws_tell(struct wire_ws *t, int events)
{
	events &= t->wanted;
	if (events != 0 && t->wire.owner != NULL)
		t->wire.owner->ready(t->wire.arg, &t->wire, events);
}

static void wire_ws_on_again(void *arg)
{
	struct wire_ws *t = arg;

	if (t->phase == PHASE_DELIVER) { /* it cannot be delivered */
		wire_ws_release(t, t->why);
		return;
	}
	if (t->pong_due || t->pending.len > 0)
		wire_ws_flush(t);
	if (t->why != 0 && !((t->wanted & WIRE_READ) && wire_ws_has_back(t))) {
		if (!t->lower_dead)
			wire_want(t->lower, 0);
		if (t->wire.owner == NULL || t->told_broken)
			return;
		t->told_broken = true;
		t->wanted = 0;
		t->wire.owner->broken(t->wire.arg, &t->wire, t->why);
		return;
	}
	if (wire_ws_has_back(t) || t->eof)
		wire_ws_tell(t, WIRE_READ);
	wire_ws_update(t);
}

static void wire_ws_on_ready(void *arg, struct wire *lower, int events)
{
	struct wire_ws *t = arg;
	int told = 0;

	if (events & WIRE_WRITE)
		wire_ws_flush(t);
	if (t->phase == PHASE_DELIVER && t->why == 0 && t->pending.len == 0) {
		wire_ws_release(t, 0);
		return;
	}
	if (t->phase == PHASE_OPEN && t->why == 0) {
		if (events & WIRE_READ)
			told |= WIRE_READ;
		if ((events & WIRE_WRITE) && wire_ws_room(&t->wire) > 0)
			told |= WIRE_WRITE;
		wire_ws_tell(t, told);
	}
	wire_ws_update(t);
}

static void wire_ws_on_broken(void *arg, struct wire *lower, int why)
{
	struct wire_ws *t = arg;

	t->lower_dead = true;
	wire_ws_fail(t, why);
}

/* ---- life ---- */

/* Its reads are ours. */
static void wire_ws_carrier(struct wire *w)
{
	wire_carrier(wire_ws_of(w)->lower);
}

static const struct wire_ops wire_ws_ops = {
	.read = wire_ws_read,
	.unread = wire_ws_unread,
	.write = wire_ws_write,
	.room = wire_ws_room,
	.shut = wire_ws_shut,
	.want = wire_ws_want,
	.close = wire_ws_close,
	.carrier = wire_ws_carrier,
	.reason = wire_ws_reason,
};

static const struct wire_owner wire_ws_lower_owner = {wire_ws_on_ready, wire_ws_on_broken};

static int wire_ws_new(struct ev *ev, struct wire *lower, bool client, struct wire **out)
{
	struct wire_ws *t = calloc(1, sizeof *t);

	if (t == NULL)
		return ERR_NOMEM;
	t->wire = (struct wire){.ops = &wire_ws_ops, .ev = ev, .scratch = lower->scratch};
	t->again = (struct ev_task){.fn = wire_ws_on_again, .arg = t};
	t->end = (struct ev_task){.fn = wire_ws_on_end, .arg = t};
	t->deadline = (struct ev_timer){.fn = wire_ws_on_deadline, .arg = t};
	t->client = client;
	t->lower = lower;
	wire_own(lower, &wire_ws_lower_owner, t);
	wire_want(lower, 0);
	*out = &t->wire;
	return 0;
}

int wire_ws_server(struct ev *ev, struct wire *lower, struct wire **out)
{
	return wire_ws_new(ev, lower, false, out);
}

int wire_ws_client(struct ev *ev, struct wire *lower, struct wire **out)
{
	return wire_ws_new(ev, lower, true, out);
}
