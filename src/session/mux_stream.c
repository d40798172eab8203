/* A stream of the mux as a wire. */
#include <stdlib.h>

#include "base/err.h"
#include "session/mux_internal.h"

static struct mux_stream *stream_of(struct wire *w)
{
	return (struct mux_stream *)w;
}

/* ---- telling the owner ---- */

/* Bytes the peer lets us send. */
static size_t stream_window(const struct mux_stream *s)
{
	nghttp2_session *ng = s->mux->ng;
	int32_t window = nghttp2_session_get_stream_remote_window_size(ng, s->id);

	if (window < 0) /* its head has not left yet */
		window = (int32_t)nghttp2_session_get_remote_settings(
			ng, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
	window = MIN(window, nghttp2_session_get_remote_window_size(ng));
	return window > 0 ? (size_t)window : 0;
}

/* What the carrier takes at once, so that nothing is read that would have to be copied. */
static size_t stream_carrier_room(const struct mux *m)
{
	size_t room = m->carrier == NULL ? 0 : wire_room(m->carrier);

	if (room >= MUX_TX_CAP + MUX_FRAMING) /* or not known */
		return MUX_TX_CAP;
	return MAX(room, MUX_TX_CAP_BLOCKED + MUX_FRAMING) - MUX_FRAMING;
}

/* See mux_opt: does this stream wait for room in the carrier? */
static bool stream_waits(const struct mux_stream *s)
{
	return s->mux != NULL && s->mux->whole && s->tx_total >= MUX_WINDOW_FIRST &&
	       ev_now_ms(s->wire.ev) - s->took_ms < MUX_WHOLE_REST_MS;
}

/* Bytes were taken. */
static void stream_took(struct mux_stream *s, size_t n)
{
	uint64_t now = ev_now_ms(s->wire.ev);

	if (n == 0)
		return;
	if (now - s->took_ms >= MUX_WHOLE_REST_MS)
		s->tx_total = 0;
	s->took_ms = now;
	s->tx_total += n;
}

static size_t stream_room(const struct mux_stream *s)
{
	const struct mux *m = s->mux;
	size_t cap;

	if (m == NULL || s->gone || s->shut || s->why != 0)
		return 0;
	if (stream_waits(s) && mux_is_blocked(m))
		return 0;
	cap = m->out.len > 0 ? MUX_TX_CAP_BLOCKED : stream_carrier_room(m);
	cap = MIN(cap, stream_window(s));
	return cap > s->tx.len ? cap - s->tx.len : 0;
}

static int stream_events(const struct mux_stream *s)
{
	int events = 0;

	if ((s->wanted & WIRE_READ) && (s->rx.len > 0 || s->rx_eof))
		events |= WIRE_READ;
	if ((s->wanted & WIRE_WRITE) && stream_room(s) > 0)
		events |= WIRE_WRITE;
	return events;
}

/* After an orderly end by the peer, what it had sent is read first. */
static bool stream_is_broken(const struct mux_stream *s)
{
	if (s->why == 0 || !s->orderly)
		return s->why != 0;
	return s->rx.len == 0 && (s->eof_read || !s->rx_eof);
}

void mux_stream_update(struct mux_stream *s)
{
	if (!s->closed && ((stream_is_broken(s) && !s->told_broken) || stream_events(s) != 0))
		ev_task_run(s->wire.ev, &s->tell);
}

/* Memory is short: what is missing will never come. */
static void stream_break(struct mux_stream *s, int why)
{
	if (s->why == 0)
		s->why = why;
	mux_stream_update(s);
}

static void stream_on_tell(void *arg)
{
	struct mux_stream *s = arg;
	int events;

	if (s->closed || s->wire.owner == NULL)
		return;
	if (stream_is_broken(s)) {
		if (!s->told_broken) {
			s->told_broken = true;
			s->wire.owner->broken(s->wire.arg, &s->wire, s->why);
		}
		return;
	}
	if ((events = stream_events(s)) != 0) {
		s->wire.owner->ready(s->wire.arg, &s->wire, events);
		mux_stream_update(s); /* level-triggered */
	}
}

/* ---- receiving ---- */

/* The last view is used up: give its credit back to the peer. */
static void stream_settle(struct mux_stream *s)
{
	size_t n = s->view.len;

	if (s->view_in_rx && n > 0) {
		mux_queue_take(&s->rx, n);
		if (s->mux != NULL)
			s->mux->unread -= n;
	} else if (n > 0) {
		s->rx_direct.p += n;
		s->rx_direct.len -= n;
	}
	s->view = (struct str){NULL, 0};
	s->view_in_rx = false;
	if (n > 0 && s->mux != NULL)
		mux_window_read(s, n);
}

static int stream_read(struct wire *w, size_t max, struct str *out)
{
	struct mux_stream *s = stream_of(w);

	stream_settle(s);
	if (s->rx.len > 0) {
		s->view = mux_queue_front(&s->rx);
		s->view.len = MIN(s->view.len, max);
		s->view_in_rx = true;
	} else if (s->rx_direct.len > 0) {
		s->view = (struct str){s->rx_direct.p, MIN(s->rx_direct.len, max)};
	} else if (s->why != 0 && !(s->orderly && s->rx_eof)) {
		return s->why;
	} else if (s->rx_eof) {
		s->eof_read = true;
		mux_stream_update(s);
		return ERR_EOF;
	} else {
		return ERR_AGAIN;
	}
	*out = s->view;
	return 0;
}

static void stream_unread(struct wire *w, size_t n)
{
	struct mux_stream *s = stream_of(w);

	CHECK(n <= s->view.len);
	s->view.len -= n;
	stream_settle(s);
	mux_stream_update(s);
}

void mux_stream_on_data(struct mux_stream *s, struct str data)
{
	struct mux *m = s->mux;

	if (s->why != 0)
		return; /* some are missing before these */
	s->rx_total += data.len;
	if (s->rx.len == 0 && (s->wanted & WIRE_READ) && s->wire.owner != NULL) {
		s->rx_direct = data;
		s->wire.owner->ready(s->wire.arg, &s->wire, WIRE_READ);
		if (s->closed || s->mux == NULL)
			return;
		stream_settle(s);
		data = s->rx_direct;
		s->rx_direct = (struct str){NULL, 0};
	}
	if (data.len == 0)
		return;
	if (mux_queue_add(&s->rx, data) != 0) { /* the window is the cap */
		stream_break(s, ERR_NOMEM);
		return;
	}
	m->unread += data.len;
	mux_stream_update(s);
}

void mux_stream_on_eof(struct mux_stream *s)
{
	s->rx_eof = true;
	mux_stream_update(s);
}

/* ---- sending ---- */

/* There is something to frame: wake nghttp2. */
static void stream_resume(struct mux_stream *s)
{
	struct mux *m = s->mux;
	nghttp2_nv status = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200", 7, 3,
			     NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
	nghttp2_data_provider source = {.source.ptr = s, .read_callback = mux_on_source};

	if (!s->tx_busy) {
		s->tx_busy = true;
		m->n_busy++;
	}
	if (m->role == MUX_AGENT && !s->answered) {
		s->answered = true;
		if (nghttp2_submit_response(m->ng, s->id, &status, 1, &source) != 0)
			stream_break(s, ERR_NOMEM);
	} else if (s->deferred) {
		s->deferred = false;
		mux_check(m, nghttp2_session_resume_data(m->ng, s->id));
	}
}

/* Copy into tx as much as there is room for. */
static int stream_queue(struct mux_stream *s, const struct iovec *iov, int n_iov, size_t skip,
			size_t *taken)
{
	size_t room = stream_room(s);
	int e;

	for (int i = 0; i < n_iov && room > 0; i++) {
		const char *p = iov[i].iov_base;
		size_t n = iov[i].iov_len, cut = MIN(n, skip);

		skip -= cut;
		n = MIN(n - cut, room);
		if ((e = buf_add(&s->tx, p + cut, n, MUX_TX_CAP)) != 0)
			return e;
		room -= n;
		*taken += n;
		stream_took(s, n);
	}
	return 0;
}

/* Those that wait for room take turns. */
static void stream_go_last(struct mux_stream *s)
{
	if (!stream_waits(s) || !list_linked(&s->writer))
		return;
	list_del(&s->writer);
	list_push(&s->mux->writers, &s->writer);
}

static int stream_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	struct mux_stream *s = stream_of(w);
	struct mux *m = s->mux;
	size_t len = wire_iov_len(iov, n_iov);
	int e;

	*taken = 0;
	if (s->why != 0)
		return s->why;
	if (m == NULL || s->gone)
		return ERR_RESET;
	CHECK(!s->shut);
	if (len == 0 || stream_room(s) == 0)
		return 0;
	stream_go_last(s);
	if (len >= MUX_WRITE_THROUGH && s->tx.len == 0 && m->out.len == 0 && !m->in_recv &&
	    !m->in_flush) {
		s->direct = iov;
		s->n_direct = n_iov;
		s->direct_len = len;
		s->direct_off = 0;
		stream_resume(s);
		mux_flush(m);
		*taken = s->direct_off;
		stream_took(s, *taken);
		s->direct = NULL;
		s->direct_len = s->direct_off = 0;
		if (s->mux == NULL || s->gone || s->why != 0 || *taken == len)
			return 0;
	}
	if ((e = stream_queue(s, iov, n_iov, *taken, taken)) != 0) {
		stream_break(s, e);
		return e;
	}
	if (s->tx.len > 0) {
		stream_resume(s);
		mux_flush_soon(m);
	}
	return 0;
}

static size_t stream_room_op(const struct wire *w)
{
	return stream_room((const struct mux_stream *)w);
}

static void stream_shut(struct wire *w)
{
	struct mux_stream *s = stream_of(w);

	if (s->shut)
		return;
	s->shut = true;
	if (s->mux == NULL || s->gone)
		return;
	stream_resume(s);
	mux_flush_soon(s->mux);
}

static void stream_want(struct wire *w, int events)
{
	struct mux_stream *s = stream_of(w);

	s->wanted = events;
	if (!(events & WIRE_WRITE))
		list_del(&s->writer);
	else if (!list_linked(&s->writer) && s->mux != NULL)
		list_push(&s->mux->writers, &s->writer);
	if ((events & WIRE_WRITE) && stream_waits(s) && mux_is_blocked(s->mux))
		mux_flush_soon(s->mux); /* which asks the carrier */
	mux_stream_update(s);
}

/* ---- the end ---- */

void mux_stream_idle(struct mux_stream *s)
{
	if (s->tx_busy) {
		s->tx_busy = false;
		s->mux->n_busy--;
	}
}

/* Out of the session and out of memory. */
static void stream_release(struct mux_stream *s)
{
	if (s->mux != NULL) {
		mux_stream_idle(s);
		s->mux->unread -= s->rx.len;
		mux_window_release(s);
		if (!s->gone)
			nghttp2_session_set_stream_user_data(s->mux->ng, s->id, NULL);
		s->mux->session.n_streams--;
	}
	list_del(&s->link);
	list_del(&s->framed);
	ev_task_cancel(&s->tell);
	mux_queue_free(&s->rx);
	buf_free(&s->tx);
	ev_free_later(s->wire.ev, s);
}

static void stream_reset(struct mux_stream *s, uint32_t code)
{
	mux_check(s->mux, nghttp2_submit_rst_stream(s->mux->ng, NGHTTP2_FLAG_NONE, s->id, code));
	mux_flush_soon(s->mux);
}

void mux_stream_finish_linger(struct mux_stream *s)
{
	if (!s->rx_eof && !s->gone)
		stream_reset(s, NGHTTP2_NO_ERROR);
	stream_release(s);
}

static void stream_close(struct wire *w, int why)
{
	struct mux_stream *s = stream_of(w);

	if (why == 0 && s->mux != NULL && !s->gone && s->why == 0)
		stream_shut(w);
	if (why == 0)
		why = s->why; /* not all of it will come: the peer must hear that */
	s->closed = true;
	s->wanted = 0;
	list_del(&s->writer);
	w->owner = NULL;
	ev_task_cancel(&s->tell);
	s->rx_direct = s->view = (struct str){NULL, 0};
	s->view_in_rx = false;
	if (s->mux == NULL || s->gone) {
		stream_release(s);
	} else if (why != 0) {
		stream_reset(s, mux_code_of_err(why));
		stream_release(s);
	} else if (s->fin_framed) {
		mux_stream_finish_linger(s);
	} else {
		s->mux->unread -= s->rx.len;
		mux_queue_free(&s->rx);
		s->linger_until_ms = ev_now_ms(w->ev) + MUX_LINGER_MS;
	}
}

void mux_stream_on_gone(struct mux_stream *s, int why)
{
	s->gone = true;
	mux_stream_idle(s);
	if (s->closed) {
		if (!list_linked(
			    &s->framed)) /* else the flush has its bytes in hand, and releases it */
			stream_release(s);
		return;
	}
	s->orderly = why == 0 && s->why == 0;
	if (s->why == 0 && (why != 0 || !s->rx_eof || !s->fin_framed))
		s->why = why != 0 ? why : ERR_RESET;
	mux_stream_update(s);
}

void mux_stream_orphan(struct mux_stream *s, int why)
{
	bool finished = s->gone && s->why == 0;

	mux_stream_idle(s);
	mux_window_release(s);
	list_del(&s->link);
	list_del(&s->framed);
	list_del(&s->writer);
	s->mux = NULL;
	if (s->closed) {
		stream_release(s);
		return;
	}
	if (!finished && s->why == 0)
		s->why = why;
	mux_stream_update(s);
}

static const struct wire_ops stream_ops = {
	.read = stream_read,
	.unread = stream_unread,
	.write = stream_write,
	.room = stream_room_op,
	.shut = stream_shut,
	.want = stream_want,
	.close = stream_close,
};

int mux_stream_new(struct mux *m, struct mux_stream **out)
{
	struct mux_stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		return ERR_NOMEM;
	s->wire = (struct wire){.ops = &stream_ops,
				.ev = m->session.ev,
				.scratch = EV_SCRATCH_SESSION};
	s->mux = m;
	mux_queue_init(&s->rx);
	s->window = MUX_WINDOW_FIRST;
	s->tell = (struct ev_task){.fn = stream_on_tell, .arg = s};
	list_push(&m->streams, &s->link);
	m->session.n_streams++;
	*out = s;
	return 0;
}
