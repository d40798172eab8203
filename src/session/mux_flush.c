/*
 * From streams to the carrier: frames are gathered by reference and leave in one write.
 *
 * Bytes of a stream are copied only when the carrier refuses them. How many frames are made ahead
 * of the carrier is bounded, so a frame that comes later never waits behind more than one
 * gathering.
 */
#include <string.h>

#include "base/err.h"
#include "session/mux_internal.h"

#define FRAME_HEAD 9
#define IOV_SPARE  8 /* entries that one more DATA frame may need */

/* ---- what nghttp2 asks ---- */

static size_t flush_source_len(const struct mux_stream *s)
{
	return s->tx.len - s->tx_framed + s->direct_len - s->direct_off;
}

ssize_t mux_on_source(nghttp2_session *ng, int32_t id, uint8_t *to, size_t len, uint32_t *flags,
		      nghttp2_data_source *source, void *arg)
{
	struct mux_stream *s = nghttp2_session_get_stream_user_data(ng, id);
	size_t there;

	if (s == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* closed: reset it */
	there = flush_source_len(s);
	if (there == 0 && !s->shut) {
		s->deferred = true;
		mux_stream_idle(s);
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (there <= len && s->shut) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		mux_stream_idle(s);
	}
	return (ssize_t)MIN(there, len);
}

ssize_t mux_on_frame_size(nghttp2_session *ng, uint8_t type, int32_t id, int32_t session_window,
			  int32_t stream_window, uint32_t max, void *arg)
{
	const struct mux *m = arg;
	int32_t len = m->n_busy > 1 ? MUX_FRAME_SHARED : MUX_FRAME_ALONE;

	if (m->gather != NULL && m->gather->len < m->gather->max)
		len = MIN(len, (int32_t)MAX(m->gather->max - m->gather->len, MUX_FRAME_LEAST));
	len = MIN(len, MIN(session_window, stream_window));
	return MIN(len, (int32_t)MIN(max, (uint32_t)INT32_MAX));
}

/* ---- gathering ---- */

static void gather_add(struct mux_gather *g, const void *p, size_t len)
{
	g->iov[g->n_iov++] = (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = len};
	g->len += len;
}

/* Copy a few bytes into the text area; joined to the entry before if that stands there, too. */
static void gather_text(struct mux_gather *g, const void *p, size_t len)
{
	char *at = g->text + g->text_len;
	struct iovec *last = g->n_iov > 0 ? &g->iov[g->n_iov - 1] : NULL;

	memcpy(at, p, len);
	g->text_len += len;
	if (last != NULL && (char *)last->iov_base + last->iov_len == at) {
		last->iov_len += len;
		g->len += len;
	} else {
		gather_add(g, at, len);
	}
}

static bool gather_full(const struct mux_gather *g)
{
	return g->len >= g->max || g->n_iov + IOV_SPARE > (int)ARRAY_LEN(g->iov) ||
	       g->text_len + 1024 > sizeof g->text;
}

/* The payload of one DATA frame: first what was queued, then the write in progress. */
static void gather_payload(struct mux_gather *g, struct mux_stream *s, size_t len)
{
	size_t n = MIN(len, s->tx.len - s->tx_framed), skip = s->direct_off;

	if (n > 0) {
		gather_add(g, buf_str(&s->tx).p + s->tx_framed, n);
		s->tx_framed += n;
		len -= n;
	}
	s->direct_off += len;
	for (int i = 0; i < s->n_direct && len > 0; i++) {
		size_t cut = MIN(s->direct[i].iov_len, skip);

		skip -= cut;
		n = MIN(s->direct[i].iov_len - cut, len);
		if (n > 0)
			gather_add(g, (const char *)s->direct[i].iov_base + cut, n);
		len -= n;
	}
}

int mux_on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len,
		     nghttp2_data_source *source, void *arg)
{
	struct mux *m = arg;
	struct mux_gather *g = m->gather;
	struct mux_stream *s = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

	if (s == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	CHECK(g != NULL && len <= flush_source_len(s));
	if (g->n_iov + s->n_direct + 2 > (int)ARRAY_LEN(g->iov) ||
	    g->text_len + FRAME_HEAD > sizeof g->text)
		return NGHTTP2_ERR_WOULDBLOCK; /* asked again with an empty gathering */
	gather_text(g, head, FRAME_HEAD);
	gather_payload(g, s, len);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		s->fin_framed = true;
	if (!list_linked(&s->framed))
		list_push(&m->framed, &s->framed);
	return gather_full(g) ? NGHTTP2_ERR_PAUSE : 0;
}

/*
 * Let nghttp2 make frames until the gathering is full or nothing is left.
 *   *spill  set to a control frame that has no room in the gathering; valid until nghttp2 goes on.
 */
static int flush_fill(struct mux *m, struct mux_gather *g, struct str *spill)
{
	*spill = (struct str){NULL, 0};
	while (!gather_full(g)) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(m->ng, &data);

		if (n < 0)
			return n == NGHTTP2_ERR_NOMEM ? ERR_NOMEM : ERR_PROTO;
		if (n == 0)
			break;
		if (g->text_len + (size_t)n > sizeof g->text) {
			*spill = (struct str){(const char *)data, (size_t)n};
			break;
		}
		gather_text(g, data, (size_t)n);
	}
	return 0;
}

/* The bytes of these streams are on their way, or copied: their queues move on. */
static void flush_settle(struct mux *m)
{
	struct list *link;

	while ((link = list_pop(&m->framed)) != NULL) {
		struct mux_stream *s = CONTAINER_OF(link, struct mux_stream, framed);

		buf_take(&s->tx, s->tx_framed);
		s->tx_framed = 0;
		if (s->closed && (s->fin_framed || s->gone))
			mux_stream_finish_linger(s);
		else
			mux_stream_update(s);
	}
}

/* Write the gathering; what the carrier refuses is copied. */
static int flush_write(struct mux *m, struct mux_gather *g, struct str spill)
{
	size_t taken = 0;
	int e = 0, i;

	if (g->n_iov > 0 && (e = wire_write(m->carrier, g->iov, g->n_iov, &taken)) != 0)
		return e;
	for (i = wire_iov_skip(g->iov, g->n_iov, taken); i < g->n_iov && e == 0; i++)
		e = buf_add(&m->out, g->iov[i].iov_base, g->iov[i].iov_len, SIZE_MAX);
	if (e == 0 && spill.len > 0)
		e = buf_add(&m->out, spill.p, spill.len, SIZE_MAX);
	return e;
}

static void flush_tell_writers(struct mux *m)
{
	LIST_FOR_EACH (link, &m->writers)
		mux_stream_update(CONTAINER_OF(link, struct mux_stream, writer));
}

/* Returns 0 when nothing is left in m->out, ERR_AGAIN when the carrier is blocked. */
static int flush_rest(struct mux *m)
{
	int e;

	if (m->out.len == 0)
		return 0;
	if ((e = wire_write_buf(m->carrier, &m->out)) != 0)
		return e;
	if (m->out.len > 0)
		return ERR_AGAIN;
	flush_tell_writers(m);
	return 0;
}

/* One gathering. *more: there may be another one. */
static int flush_round(struct mux *m, bool *more)
{
	size_t room = wire_room(m->carrier);
	struct mux_gather g;
	struct str spill;
	int e;

	g.n_iov = 0;
	g.len = g.text_len = 0;
	g.max = MIN(MAX(room, (size_t)MUX_FRAME_LEAST), (size_t)MUX_GATHER);
	m->gather = &g;
	e = flush_fill(m, &g, &spill);
	m->gather = NULL;
	session_count(&m->session, g.len);
	if (e == 0)
		e = flush_write(m, &g, spill);
	*more = gather_full(&g) || spill.len > 0;
	flush_settle(m);
	return e;
}

bool mux_is_blocked(const struct mux *m)
{
	return m->carrier == NULL || m->out.len > 0 || wire_room(m->carrier) == 0;
}

/* Want of the carrier what is needed now. */
static void flush_want(struct mux *m)
{
	bool blocked = m->out.len > 0;

	if (m->whole && !blocked && !list_empty(&m->writers)) {
		blocked = mux_is_blocked(m);
		if (!blocked)
			flush_tell_writers(m);
	}
	wire_want(m->carrier, WIRE_READ | (blocked ? WIRE_WRITE : 0));
}

void mux_flush(struct mux *m)
{
	bool more = true;
	int e = 0;

	if (m->dead || m->in_flush)
		return;
	if (m->in_recv) {
		mux_flush_soon(m);
		return;
	}
	m->in_flush = true;
	while (more && (e = flush_rest(m)) == 0)
		if ((e = flush_round(m, &more)) != 0)
			break;
	m->in_flush = false;
	if (e != 0 && e != ERR_AGAIN) {
		mux_fail(m, e);
		return;
	}
	if (!m->closing && m->out.len == 0 && !nghttp2_session_want_read(m->ng) &&
	    !nghttp2_session_want_write(m->ng)) {
		mux_fail(m, ERR_PROTO); /* nghttp2 has said goodbye, and now it is out */
		return;
	}
	flush_want(m);
}

void mux_flush_soon(struct mux *m)
{
	if (!m->dead)
		ev_task_run(m->session.ev, &m->flush);
}
