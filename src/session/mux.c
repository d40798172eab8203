/*
 * The mux: what nghttp2 tells, liveness, and the life of the session.
 *
 * nghttp2 does the framing, header compression, flow-control arithmetic and flood defences; this
 * file says what its events mean to a session. It never touches payload: that goes by reference
 * (mux_flush.c) and by view (mux_stream.c).
 */
#include "session/mux.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "session/mux_internal.h"
#include "wire/linger.h"

/* The name of the control stream, where a visit has the tunnel's name. */
#define CONTROL_AUTHORITY "karez"
#define VISIT_FIELD	  "karez-visit"

/* How long a closed session waits for the peer to read why. */
#define CLOSE_LINGER_MS	   2000
#define CLOSE_LINGER_BYTES (64 * 1024 * 1024)

/* ---- error codes ---- */

int mux_err_of_code(uint32_t code)
{
	if (code == NGHTTP2_NO_ERROR)
		return 0;
	if ((code & 0xffff0000u) == MUX_CODE)
		return (int)(code & 0xffff);
	switch (code) {
	case NGHTTP2_CONNECT_ERROR: return ERR_TARGET;
	case NGHTTP2_REFUSED_STREAM: return ERR_DRAIN;
	case NGHTTP2_CANCEL: return ERR_RESET;
	case NGHTTP2_ENHANCE_YOUR_CALM: return ERR_LIMIT;
	default: return ERR_PROTO;
	}
}

uint32_t mux_code_of_err(int why)
{
	return why == 0 ? NGHTTP2_NO_ERROR : MUX_CODE | (uint32_t)why;
}

/* ---- the end ---- */

static void mux_release(struct mux *m, int why)
{
	m->dead = true;
	ev_timer_stop(m->session.ev, &m->alive);
	ev_task_cancel(&m->flush);
	ev_task_cancel(&m->teardown);
	lines_close(m->lines);
	m->lines = NULL;
	LIST_FOR_EACH_SAFE (link, &m->streams)
		mux_stream_orphan(CONTAINER_OF(link, struct mux_stream, link), why);
	nghttp2_session_del(m->ng);
	m->ng = NULL;
	buf_free(&m->out);
	ev_free_later(m->session.ev, m);
}

static void mux_set_why(struct mux *m, int why, struct str reason)
{
	m->why = why;
	m->reason_len = MIN(reason.len, sizeof m->reason);
	if (m->reason_len > 0)
		memcpy(m->reason, reason.p, m->reason_len);
}

void mux_fail(struct mux *m, int why)
{
	if (m->dead)
		return;
	m->dead = true;
	if (m->why == 0)
		m->why = why;
	wire_want(m->carrier, 0);
	ev_task_run(m->session.ev, &m->teardown);
}

void mux_check(struct mux *m, int rv)
{
	if (rv == NGHTTP2_ERR_NOMEM)
		mux_fail(m, ERR_NOMEM);
}

static void mux_on_teardown(void *arg)
{
	struct mux *m = arg;
	int why = m->why;

	if (why == ERR_PROTO) { /* let the peer's log say why */
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(m->ng, &data);

		if (n > 0)
			(void)!wire_write_all(m->carrier,
					      (struct str){(const char *)data, (size_t)n});
	}
	wire_close(m->carrier, 0);
	m->carrier = NULL;
	mux_release(m, ERR_RESET);
	m->session.owner->closed(m->session.arg, &m->session, why,
				 (struct str){m->reason, m->reason_len});
}

/* Say what was to be said, then why, then go; nghttp2 is not in the middle of anything. Whoever
 * hears why listens no more. */
static void mux_close_now(struct mux *m)
{
	lines_push(m->lines);
	mux_flush(m);
	(void)nghttp2_submit_goaway(m->ng, NGHTTP2_FLAG_NONE,
				    nghttp2_session_get_last_proc_stream_id(m->ng),
				    mux_code_of_err(m->why), (const uint8_t *)m->reason,
				    m->reason_len);
	wire_reason(m->carrier, m->why);
	mux_flush(m);
	wire_linger(m->carrier, CLOSE_LINGER_MS, CLOSE_LINGER_BYTES);
	m->carrier = NULL;
	mux_release(m, ERR_CLOSED);
}

static void mux_close(struct session *session, int why, struct str reason)
{
	struct mux *m = mux_of(session);

	if (m->closing)
		return;
	m->closing = true;
	if (m->dead && !m->in_recv) { /* the teardown would tell an owner who no longer listens */
		wire_close(m->carrier, 0);
		m->carrier = NULL;
		mux_release(m, ERR_CLOSED);
		return;
	}
	mux_set_why(m, why, reason);
	if (!m->in_recv)
		mux_close_now(m);
}

/* ---- what nghttp2 tells ---- */

static struct mux_stream *mux_stream_get(nghttp2_session *ng, int32_t id)
{
	return nghttp2_session_get_stream_user_data(ng, id);
}

static int mux_on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct mux *m = arg;

	m->incoming = MUX_IN_NOTHING;
	return 0;
}

static int mux_on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
			 size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
			 void *arg)
{
	struct mux *m = arg;
	struct str n = {(const char *)name, name_len}, v = {(const char *)value, value_len};

	if (m->role == MUX_NODE) {
		if (str_eq(n, STR(":status")))
			m->incoming = v.len == 3 && v.p[0] == '2' ? MUX_IN_ANSWER : MUX_IN_BAD;
	} else if (str_eq(n, STR(VISIT_FIELD))) {
		m->incoming = visit_parse(v, &m->visit) == 0 ? MUX_IN_VISIT : MUX_IN_BAD;
	} else if (str_eq(n, STR(":authority")) && str_eq(v, STR(CONTROL_AUTHORITY))) {
		m->incoming = MUX_IN_CONTROL;
	}
	return 0;
}

static void mux_refuse(struct mux *m, int32_t id, int why)
{
	mux_check(m, nghttp2_submit_rst_stream(m->ng, NGHTTP2_FLAG_NONE, id, mux_code_of_err(why)));
}

static void mux_on_lines_ended(void *arg, int why)
{
	struct mux *m = arg;

	if (!m->closing)
		mux_fail(m, why == ERR_EOF || why == ERR_RESET ? why : ERR_PROTO);
}

static void mux_on_line(void *arg, struct str line)
{
	struct mux *m = arg;

	if (!m->dead && !m->closing && m->session.owner->told != NULL)
		m->session.owner->told(m->session.arg, &m->session, line);
}

static int mux_lines_new(struct mux *m)
{
	struct lines_opt opt = {.line_max = SESSION_LINE_MAX,
				.line = mux_on_line,
				.ended = mux_on_lines_ended,
				.arg = m};

	return lines_new(m->session.ev, &opt, &m->lines);
}

/* Agent: the head of a new stream is complete. */
static void mux_on_request(struct mux *m, int32_t id)
{
	struct mux_stream *s;
	int e = ERR_PROTO;

	if (m->incoming == MUX_IN_BAD || m->incoming == MUX_IN_NOTHING ||
	    (m->incoming == MUX_IN_CONTROL && lines_started(m->lines))) {
		mux_refuse(m, id, ERR_PROTO);
		return;
	}
	if ((e = mux_stream_new(m, &s)) != 0) {
		mux_refuse(m, id, e);
		return;
	}
	s->id = id;
	nghttp2_session_set_stream_user_data(m->ng, id, s);
	if (m->incoming == MUX_IN_VISIT)
		m->session.owner->visit(m->session.arg, &m->session, &m->visit, &s->wire);
	else
		lines_start(m->lines, &s->wire);
}

static void mux_on_goaway(struct mux *m, const nghttp2_goaway *goaway)
{
	m->session.is_draining = true;
	if (goaway->error_code == NGHTTP2_NO_ERROR) {
		if (m->session.owner->draining != NULL)
			m->session.owner->draining(m->session.arg, &m->session);
		return;
	}
	mux_set_why(m, mux_err_of_code(goaway->error_code),
		    (struct str){(const char *)goaway->opaque_data, goaway->opaque_data_len});
}

static void mux_on_window_update(struct mux *m, int32_t id)
{
	struct mux_stream *s;

	if (id != 0) {
		if ((s = mux_stream_get(m->ng, id)) != NULL)
			mux_stream_update(s);
		return;
	}
	LIST_FOR_EACH (link, &m->writers)
		mux_stream_update(CONTAINER_OF(link, struct mux_stream, writer));
}

static void mux_note_asked(struct mux *m)
{
	uint64_t a = m->asked_alive_ms, b = m->asked_round_ms;

	m->session.asked_ms = a == 0 || b == 0 ? MAX(a, b) : MIN(a, b);
}

static void mux_on_pong(struct mux *m, const uint8_t opaque[8])
{
	if (memcmp(opaque, MUX_PING_ALIVE, 8) == 0)
		m->asked_alive_ms = 0;
	else if (memcmp(opaque, MUX_PING_ROUND, 8) == 0)
		m->asked_round_ms = 0;
	mux_note_asked(m);
	mux_window_on_pong(m, opaque);
}

bool mux_send_ping(struct mux *m, const char kind[9])
{
	bool alive = memcmp(kind, MUX_PING_ALIVE, 8) == 0;
	uint64_t *asked = alive ? &m->asked_alive_ms : &m->asked_round_ms;

	if (nghttp2_submit_ping(m->ng, NGHTTP2_FLAG_NONE, (const uint8_t *)kind) != 0)
		return false;
	if (*asked == 0)
		*asked = MAX(ev_now_ms(m->session.ev), 1);
	mux_note_asked(m);
	return true;
}

static int mux_on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct mux *m = arg;
	struct mux_stream *s;

	if (m->dead || m->closing)
		return 0;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
			mux_on_request(m, frame->hd.stream_id);
		else if (m->incoming == MUX_IN_BAD)
			mux_refuse(m, frame->hd.stream_id, ERR_TARGET);
		break;
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK)
			mux_on_pong(m, frame->ping.opaque_data);
		break;
	case NGHTTP2_GOAWAY: mux_on_goaway(m, &frame->goaway); break;
	case NGHTTP2_WINDOW_UPDATE: mux_on_window_update(m, frame->hd.stream_id); break;
	default: break;
	}
	if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
	    (s = mux_stream_get(ng, frame->hd.stream_id)) != NULL)
		mux_stream_on_eof(s);
	return 0;
}

static int mux_on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
		       size_t len, void *arg)
{
	struct mux *m = arg;
	struct mux_stream *s = mux_stream_get(ng, id);

	if (m->dead || m->closing)
		return 0;
	if (m->unread > MUX_WINDOW_TOTAL)
		m->withheld += len;
	else
		mux_check(m, nghttp2_session_consume_connection(ng, len));
	mux_window_received(m, len);
	session_count(&m->session, len);
	if (s == NULL || s->closed)
		mux_check(m, nghttp2_session_consume_stream(ng, id, len));
	else
		mux_stream_on_data(s, (struct str){(const char *)data, len});
	return 0;
}

static int mux_on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct mux_stream *s = mux_stream_get(ng, id);

	if (s != NULL)
		mux_stream_on_gone(s, mux_err_of_code(code));
	return 0;
}

/* ---- the carrier ---- */

static void mux_recv(struct mux *m, struct str in)
{
	ssize_t n;

	m->session.heard_ms = ev_now_ms(m->session.ev);
	m->in_recv = true;
	n = nghttp2_session_mem_recv(m->ng, (const uint8_t *)in.p, in.len);
	m->in_recv = false;
	if (m->closing)
		mux_close_now(m);
	else if (n < 0)
		mux_fail(m, n == NGHTTP2_ERR_NOMEM ? ERR_NOMEM : ERR_PROTO);
}

static void mux_on_ready(void *arg, struct wire *w, int events)
{
	struct mux *m = arg;
	struct str in;
	int e;

	if (events & WIRE_READ) {
		e = wire_read(w, MUX_READ, &in);
		if (e == 0)
			mux_recv(m, in);
		else if (e != ERR_AGAIN)
			mux_fail(m, e);
	}
	if (m->dead)
		return;
	if (!nghttp2_session_want_read(m->ng) && !nghttp2_session_want_write(m->ng))
		mux_fail(m, ERR_PROTO); /* nghttp2 has ended the connection */
	else if ((events & WIRE_WRITE) || nghttp2_session_want_write(m->ng))
		mux_flush_soon(m);
}

static void mux_on_broken(void *arg, struct wire *w, int why)
{
	mux_fail(arg, why);
}

static void mux_on_flush(void *arg)
{
	mux_flush(arg);
}

static const struct wire_owner mux_carrier_owner = {mux_on_ready, mux_on_broken};

/* ---- liveness ---- */

/* Streams that were closed long ago and whose peer still does not read. */
static void mux_reap_lingerers(struct mux *m)
{
	uint64_t now = ev_now_ms(m->session.ev);

	LIST_FOR_EACH_SAFE (link, &m->streams) {
		struct mux_stream *s = CONTAINER_OF(link, struct mux_stream, link);

		if (s->closed && s->linger_until_ms <= now)
			mux_stream_finish_linger(s);
	}
}

static void mux_on_alive(void *arg)
{
	struct mux *m = arg;
	uint64_t now = ev_now_ms(m->session.ev), silent = now - m->session.heard_ms,
		 next = MUX_PING_MS;

	if (silent >= MUX_DEAD_MS || (m->ping_deadline_ms != 0 && now >= m->ping_deadline_ms)) {
		mux_fail(m, ERR_DEAD);
		return;
	}
	if (silent >= MUX_PING_MS && mux_send_ping(m, MUX_PING_ALIVE))
		mux_flush_soon(m);
	mux_reap_lingerers(m);
	if (m->ping_deadline_ms != 0)
		next = MIN(next, m->ping_deadline_ms - now);
	ev_timer_set(m->session.ev, &m->alive, MIN(next, MUX_DEAD_MS - silent));
}

static void mux_ping(struct session *session, uint32_t deadline_ms)
{
	struct mux *m = mux_of(session);
	uint64_t deadline = ev_now_ms(session->ev) + deadline_ms;

	if (m->dead || !mux_send_ping(m, MUX_PING_ALIVE))
		return;
	mux_flush_soon(m);
	if (deadline_ms == 0 || (m->ping_deadline_ms != 0 && m->ping_deadline_ms <= deadline))
		return;
	m->ping_deadline_ms = deadline;
	if (deadline < m->alive.at_ms)
		ev_timer_set(session->ev, &m->alive, deadline_ms);
}

/* ---- what the owner asks ---- */

#define NV(literal, text, len)                                                 \
	{                                                                      \
		(uint8_t *)(uintptr_t)(literal), (uint8_t *)(uintptr_t)(text), \
			sizeof(literal) - 1, len, NGHTTP2_NV_FLAG_NO_COPY_NAME \
	}

/* Node: open a stream; without a visit it is the control stream. */
static int mux_request(struct mux *m, const struct visit *visit, struct mux_stream **out)
{
	nghttp2_data_provider source = {.read_callback = mux_on_source};
	const char *authority = visit == NULL ? CONTROL_AUTHORITY : visit->tunnel;
	char text[VISIT_MAX + 1];
	size_t len = 0;
	struct mux_stream *s = NULL;
	int e;

	if (visit != NULL && (e = visit_format(visit, text, &len)) != 0)
		return e;
	if ((e = mux_stream_new(m, &s)) != 0)
		return e;
	{
		nghttp2_nv nv[] = {NV(":method", "CONNECT", 7),
				   NV(":authority", authority, strlen(authority)),
				   NV(VISIT_FIELD, text, len)};

		/* No two visits are the same: after the first, which leaves the field's name there,
		 * they would only turn over the tables of both ends. */
		if (m->visit_named)
			nv[2].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
		m->visit_named = m->visit_named || visit != NULL;
		source.source.ptr = s;
		s->id = nghttp2_submit_request(m->ng, NULL, nv, visit == NULL ? 2 : 3, &source, s);
	}
	if (s->id < 0) {
		e = s->id == NGHTTP2_ERR_NOMEM ? ERR_NOMEM : ERR_DRAIN;
		s->gone = true;
		wire_close(&s->wire, 0);
		return e;
	}
	mux_flush_soon(m);
	*out = s;
	return 0;
}

static int mux_open(struct session *session, const struct visit *visit, struct wire **out)
{
	struct mux *m = mux_of(session);
	struct mux_stream *s;
	int e;

	CHECK(m->role == MUX_NODE);
	if (m->dead || session->is_draining)
		return ERR_DRAIN;
	if (session->n_streams >= MUX_STREAMS_MAX)
		return ERR_LIMIT;
	if ((e = mux_request(m, visit, &s)) != 0)
		return e;
	*out = &s->wire;
	return 0;
}

static int mux_tell(struct session *session, struct str line)
{
	struct mux *m = mux_of(session);

	if (m->dead)
		return ERR_CLOSED;
	return lines_send(m->lines, line);
}

/*
 * The number in a GOAWAY speaks of streams that the peer opens. To the agent, which opens none, it
 * says nothing of ours: those may come as long as the session lasts. The agent's own lets all come
 * that are on their way. So neither side needs a second GOAWAY. Source: RFC 9113 6.8.
 */
static void mux_drain(struct session *session)
{
	struct mux *m = mux_of(session);

	if (m->dead || session->is_leaving)
		return;
	session->is_leaving = m->role == MUX_NODE;
	session->is_draining = session->is_draining || m->role == MUX_AGENT;
	if (m->role == MUX_AGENT) /* after any other GOAWAY nghttp2 passes over what comes still */
		mux_check(m, nghttp2_submit_shutdown_notice(m->ng));
	else
		mux_check(m, nghttp2_submit_goaway(m->ng, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR,
						   NULL, 0));
	mux_flush_soon(m);
}

static const struct session_ops mux_ops = {
	.open = mux_open,
	.tell = mux_tell,
	.ping = mux_ping,
	.drain = mux_drain,
	.close = mux_close,
};

/* ---- birth ---- */

static int mux_ng_new(struct mux *m)
{
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_option *option = NULL;
	int e = ERR_NOMEM;

	if (nghttp2_session_callbacks_new(&cb) != 0 || nghttp2_option_new(&option) != 0)
		goto out;
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, mux_on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, mux_on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, mux_on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, mux_on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, mux_on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(cb, mux_on_send_data);
	nghttp2_session_callbacks_set_data_source_read_length_callback(cb, mux_on_frame_size);
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_peer_max_concurrent_streams(option, MUX_STREAMS_MAX);
	/* a reset is a visitor who left in a hurry; the usual 33 a second would end the session */
	nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX);
	if (m->role == MUX_NODE)
		e = nghttp2_session_client_new2(&m->ng, cb, m, option);
	else
		e = nghttp2_session_server_new2(&m->ng, cb, m, option);
	e = e != 0 ? ERR_NOMEM : 0;
out:
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(option);
	return e;
}

static int mux_hello(struct mux *m)
{
	nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MUX_STREAMS_MAX + 1},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, MUX_WINDOW_FIRST},
		{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, MUX_FRAME_ALONE},
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	};
	struct mux_stream *control;
	int e;

	if (nghttp2_submit_settings(m->ng, NGHTTP2_FLAG_NONE, settings,
				    m->role == MUX_NODE ? 4 : 3) != 0 ||
	    nghttp2_session_set_local_window_size(m->ng, NGHTTP2_FLAG_NONE, 0, MUX_WINDOW_TOTAL) !=
		    0 ||
	    !mux_send_ping(m, MUX_PING_ROUND))
		return ERR_NOMEM;
	mux_window_sent_ping(m);
	if (m->role == MUX_AGENT)
		return 0;
	if ((e = mux_request(m, NULL, &control)) != 0)
		return e;
	lines_start(m->lines, &control->wire);
	return 0;
}

int mux_new(struct ev *ev, struct wire *carrier, const struct mux_opt *opt, struct session **out)
{
	struct mux *m = calloc(1, sizeof *m);
	int e;

	if (m == NULL)
		return ERR_NOMEM;
	m->session =
		(struct session){.ops = &mux_ops, .ev = ev, .owner = opt->owner, .arg = opt->arg};
	m->role = opt->role;
	m->whole = opt->whole;
	m->budget = opt->budget;
	m->window = MUX_WINDOW_FAST;
	m->session.heard_ms = m->session.rtt_epoch_ms = ev_now_ms(ev);
	list_init(&m->streams);
	list_init(&m->framed);
	list_init(&m->writers);
	m->alive = (struct ev_timer){.fn = mux_on_alive, .arg = m};
	m->flush = (struct ev_task){.fn = mux_on_flush, .arg = m};
	m->teardown = (struct ev_task){.fn = mux_on_teardown, .arg = m};
	if ((e = mux_ng_new(m)) != 0 || (e = mux_lines_new(m)) != 0 || (e = mux_hello(m)) != 0) {
		mux_release(m, e);
		return e;
	}
	m->carrier = carrier;
	wire_carrier(carrier);
	wire_own(carrier, &mux_carrier_owner, m);
	wire_want(carrier, WIRE_READ);
	ev_timer_set(ev, &m->alive, MUX_PING_MS);
	mux_flush_soon(m);
	*out = &m->session;
	return 0;
}
