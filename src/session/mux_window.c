/*
 * How much a peer may have under way.
 *
 * A ping that travels among the data measures round trip and rate; twice their product is the
 * window of a stream that has proved to be fast. Every other stream keeps the small first window,
 * so that thousands of slow readers hold little. A fixed 256 KiB would be 34 Mbit/s at 40 ms; a
 * fixed 16 MiB would put 180 ms of queue in front of a small answer (doc/performance.md).
 */
#include <string.h>

#include "base/err.h"
#include "session/mux_internal.h"

/* A measuring round begins when so much has come since the last one. */
#define ROUND_BYTES (64 * 1024)
/* A best rate fades by 1/16 a round, so that a slower path is found out. */
#define RATE_FADE 16

void mux_window_sent_ping(struct mux *m)
{
	m->round_out = true;
	m->round_bytes = 0;
	m->round_start_ns = ev_now_ns(m->session.ev);
}

void mux_window_received(struct mux *m, size_t len)
{
	m->round_bytes += len;
	if (m->round_out || m->round_bytes < ROUND_BYTES)
		return;
	if (mux_send_ping(m, MUX_PING_ROUND))
		mux_window_sent_ping(m);
	mux_flush_soon(m);
}

void mux_window_on_pong(struct mux *m, const uint8_t opaque[8])
{
	uint64_t us, rate, window;

	m->ping_deadline_ms = 0;
	if (memcmp(opaque, MUX_PING_ROUND, 8) != 0 || !m->round_out)
		return;
	m->round_out = false;
	us = (ev_now_ns(m->session.ev) - m->round_start_ns) / 1000 + 1;
	session_note_rtt(&m->session, us);
	rate = m->round_bytes * 1000000 / us;
	m->bytes_per_s -= m->bytes_per_s / RATE_FADE;
	m->bytes_per_s = MAX(m->bytes_per_s, rate);
	m->round_bytes = 0;
	window = 2 * m->bytes_per_s / 1000 * m->session.rtt_us / 1000;
	m->window = (uint32_t)MAX(MUX_WINDOW_FAST, MIN(window, (uint64_t)MUX_WINDOW_MAX));
}

/* A stream that has used up its first window is a fast one: let it have what the path can carry. */
static void window_grow(struct mux_stream *s)
{
	struct mux *m = s->mux;
	uint32_t more;

	if (s->window >= m->window || s->rx_total < MUX_WINDOW_FIRST)
		return;
	more = m->window - s->window;
	if (m->budget->used + more > m->budget->cap)
		return;
	if (nghttp2_session_set_local_window_size(m->ng, NGHTTP2_FLAG_NONE, s->id,
						  (int32_t)m->window) != 0)
		return;
	m->budget->used += more;
	s->window = m->window;
}

void mux_window_read(struct mux_stream *s, size_t len)
{
	struct mux *m = s->mux;

	if (m->withheld > 0 && m->unread < MUX_WINDOW_TOTAL / 2) {
		mux_check(m, nghttp2_session_consume_connection(m->ng, (size_t)m->withheld));
		m->withheld = 0;
	}
	if (!s->gone && !s->rx_eof) {
		mux_check(m, nghttp2_session_consume_stream(m->ng, s->id, len));
		window_grow(s);
	}
	mux_flush_soon(m);
}

void mux_window_release(struct mux_stream *s)
{
	s->mux->budget->used -= s->window - MUX_WINDOW_FIRST;
	s->window = MUX_WINDOW_FIRST;
}
