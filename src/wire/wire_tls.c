/*
 * TLS as a wire.
 *
 * OpenSSL never sees a socket. It reads from the view that the wire below lent for the length of
 * one call, and writes into the loop's scratch area, which goes down in one piece when the call
 * ends. What the wire below does not take waits in `pending`, and as long as anything waits no
 * plaintext is taken.
 */
#include "wire/wire_tls.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wire/linger.h"
#include "wire/tls_inside.h"

/* The most plaintext of one record, and the most that packing adds. Source: RFC 8446 5.1, 5.2; RFC
 * 5246 6.2.3. */
#define RECORD	     16384
#define RECORD_EXTRA 64

/*
 * Plaintext that one write takes. It starts small, because what a slow peer does not take waits
 * here; it doubles while the wire below takes everything, and halves when it does not. The largest
 * fits the scratch area even in records of 512 bytes (RFC 6066 4).
 */
#define BATCH_MIN (64 * 1024)
#define BATCH_MAX (448 * 1024)

/* Bytes that one look at the wire below brings in the handshake: messages are small. */
#define HANDSHAKE_READ (32 * 1024)

/* Unread bytes are thrown away by so many reads at most when a wire is closed: more than kernels
 * hold. */
#define DRAIN_READS 16

/* How long, and by how many bytes, a peer may go on sending before it must have read our alert. */
#define ALERT_LINGER_MS 1000
#define ALERT_DRAIN_MAX (64 * 1024)

/* With less room below than this a write is taken all the same: it waits in `pending`. */
#define ROOM_LEAST 1024

static struct wire_tls *wire_tls_of(const struct wire *w)
{
	return (struct wire_tls *)(uintptr_t)w;
}

/* ---- states ---- */

/* Which phase may follow which. */
static const bool phase_moves[][4] = {
	[PHASE_HANDSHAKE] = {[PHASE_OPEN] = true, [PHASE_GONE] = true},
	[PHASE_OPEN] = {[PHASE_LINGER] = true, [PHASE_GONE] = true},
	[PHASE_LINGER] = {[PHASE_GONE] = true},
	[PHASE_GONE] = {false},
};

static void wire_tls_phase(struct wire_tls *t, enum tls_phase phase)
{
	CHECK(phase_moves[t->phase][phase]);
	t->phase = phase;
}

/* The wire is broken; the owner is told at the end of the turn. */
static void wire_tls_fail(struct wire_tls *t, int e)
{
	if (t->why != 0 || t->phase == PHASE_GONE)
		return;
	t->why = e;
	ev_timer_stop(t->wire.ev, &t->deadline);
	t->in = (struct str){NULL, 0}; /* wanting something else ends the view of it */
	if (!t->lower_dead)
		wire_want(t->lower, 0);
	ev_task_run(t->wire.ev, &t->again);
}

/* OpenSSL gave up: say why. Its alert is packed already. */
static void wire_tls_fail_ssl(struct wire_tls *t)
{
	char reason[TLS_REASON];
	bool judged = !t->ctx->insecure && t->ctx->psk == NULL, missing,
	     cert = judged && SSL_get_verify_result(t->ssl) != X509_V_OK;

	t->refusal = tls_reason_refusal();
	missing = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
	tls_reason_failure(reason);
	if (missing && t->phase == PHASE_HANDSHAKE)
		tls_setup_log(t, NULL, reason);
	tls_reason_keep(&t->reason, reason);
	t->alerted = true;
	cert = ((cert || missing) && t->phase == PHASE_HANDSHAKE) || t->refusal != NULL;
	wire_tls_fail(t, cert ? ERR_CERT : ERR_TLS);
}

/* Bytes lent from the front of back do not count: they are the owner's now. */
static bool wire_tls_has_back(const struct wire_tls *t)
{
	return t->back.len > (t->view_in_back ? t->view.len : 0);
}

/* Is there something for the owner that no event of the wire below will announce? */
static bool wire_tls_is_readable(const struct wire_tls *t)
{
	return t->phase == PHASE_OPEN &&
	       (wire_tls_has_back(t) || t->eof || SSL_pending(t->ssl) > 0);
}

/* Want of the wire below what we need now. */
static void wire_tls_update(struct wire_tls *t)
{
	int events = 0;

	if (t->phase == PHASE_GONE)
		return;
	if (t->why != 0) {
		if (!t->told_broken)
			ev_task_run(t->wire.ev, &t->again);
		return;
	}
	if (t->phase == PHASE_HANDSHAKE) {
		events |= WIRE_READ;
	} else if (t->wanted & WIRE_READ) {
		if (wire_tls_is_readable(t))
			ev_task_run(t->wire.ev, &t->again);
		else
			events |= WIRE_READ;
	}
	if (t->pending.len > 0 || ((t->wanted & WIRE_WRITE) && t->phase == PHASE_OPEN && !t->shut))
		events |= WIRE_WRITE;
	wire_want(t->lower, events);
}

/* ---- down ---- */

/* Hand down what waits, then the end if it is its turn. */
static void wire_tls_flush(struct wire_tls *t)
{
	int e;

	if (t->lower_shut || t->lower_dead)
		return;
	if ((e = wire_write_buf(t->lower, &t->pending)) != 0) {
		wire_tls_fail(t, e);
		return;
	}
	if (t->pending.len == 0 && t->notified) {
		wire_shut(t->lower);
		t->lower_shut = true;
	}
}

/* Hand down what one write packed; the rest waits. */
static int wire_tls_send(struct wire_tls *t)
{
	struct iovec iov = {.iov_base = t->out, .iov_len = t->out_len};
	size_t taken = 0;
	int e;

	if (t->out_len == 0)
		return 0;
	if ((e = wire_write(t->lower, &iov, 1, &taken)) != 0)
		return e;
	if (taken == t->out_len) {
		t->batch = MIN(2 * t->batch, (size_t)BATCH_MAX);
		return 0;
	}
	t->batch = MAX(t->batch / 2, (size_t)BATCH_MIN);
	return buf_add(&t->pending, t->out + taken, t->out_len - taken, PENDING_CAP);
}

/* Pack some bytes. Returns 0 or ERR_TLS. */
static int wire_tls_pack(struct wire_tls *t, const void *data, size_t len)
{
	size_t n = 0, at = 0;

	if (t->n_records >= t->key_records && SSL_version(t->ssl) >= TLS1_3_VERSION) {
		t->n_records = 0;
		if (SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
			return ERR_TLS;
	}
	for (; at < len; at += n)
		if (SSL_write_ex(t->ssl, (const char *)data + at, len - at, &n) != 1)
			return ERR_TLS;
	return 0;
}

/*
 * Pack a gather list: whole records straight from large pieces, the small pieces between them
 * gathered so that they do not cost a record each.
 */
static int wire_tls_pack_iov(struct wire_tls *t, const struct iovec *iov, int n_iov, size_t budget)
{
	char record[RECORD];
	size_t n_record = 0;
	int e;

	for (int i = 0; i < n_iov && budget > 0; i++) {
		const char *p = iov[i].iov_base;
		size_t len = MIN(iov[i].iov_len, budget), n;

		budget -= len;
		while (len > 0) {
			if (n_record == 0 && len >= RECORD) {
				n = len / RECORD * RECORD;
				if ((e = wire_tls_pack(t, p, n)) != 0)
					return e;
			} else {
				n = MIN(len, RECORD - n_record);
				memcpy(record + n_record, p, n);
				n_record += n;
			}
			if (n_record == RECORD) {
				if ((e = wire_tls_pack(t, record, n_record)) != 0)
					return e;
				n_record = 0;
			}
			p += n;
			len -= n;
		}
	}
	return n_record == 0 ? 0 : wire_tls_pack(t, record, n_record);
}

static size_t wire_tls_room(const struct wire *w)
{
	const struct wire_tls *t = wire_tls_of(w);
	size_t below, extra;

	if (t->phase != PHASE_OPEN || t->why != 0 || t->shut || t->pending.len > 0)
		return 0;
	below = wire_room(t->lower);
	if (below == 0 || below == WIRE_ROOM_UNKNOWN)
		return below == 0 ? 0 : t->batch;
	extra = (below / RECORD + 1) * RECORD_EXTRA;
	return MIN(t->batch, MAX(below - MIN(below, extra), (size_t)ROOM_LEAST));
}

static int wire_tls_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	struct wire_tls *t = wire_tls_of(w);
	size_t len = MIN(wire_iov_len(iov, n_iov), wire_tls_room(w));
	int e;

	*taken = 0;
	CHECK(!t->shut);
	if (t->why != 0)
		return t->why;
	if (len == 0)
		return 0;
	t->out = ev_scratch(w->ev, t->under ? EV_SCRATCH_UNDER_OUT : EV_SCRATCH_OUT);
	t->out_len = 0;
	ERR_clear_error();
	if ((e = wire_tls_pack_iov(t, iov, n_iov, len)) != 0) {
		t->out = NULL;
		wire_tls_fail_ssl(t);
		return e;
	}
	e = wire_tls_send(t);
	t->out = NULL;
	if (e != 0) {
		wire_tls_fail(t, e);
		return e;
	}
	*taken = len;
	return 0;
}

/* Pack close_notify behind everything that was taken. */
static void wire_tls_notify(struct wire_tls *t)
{
	t->notified = true;
	ERR_clear_error();
	if (SSL_shutdown(t->ssl) < 0) {
		wire_tls_fail_ssl(t);
		return;
	}
	wire_tls_flush(t);
}

static void wire_tls_shut(struct wire *w)
{
	struct wire_tls *t = wire_tls_of(w);

	if (t->shut)
		return;
	t->shut = true;
	if (t->phase == PHASE_OPEN && t->why == 0)
		wire_tls_notify(t);
	wire_tls_update(t);
}

/* ---- up ---- */

/* Fetch more packed bytes. Returns 0, ERR_AGAIN, or why the wire is broken from now on. */
static int wire_tls_fetch(struct wire_tls *t, size_t max)
{
	int e = t->lower_dead ? ERR_RESET : wire_read(t->lower, max, &t->in);

	if (e == 0 || e == ERR_AGAIN)
		return e;
	t->in = (struct str){NULL, 0};
	if (e == ERR_EOF) {
		e = ERR_RESET;
		tls_reason_keep(&t->reason,
				t->phase == PHASE_HANDSHAKE
					? "the peer closed the connection during the TLS handshake"
					: "the peer ended the connection without close_notify");
	}
	wire_tls_fail(t, e);
	return e;
}

/* What OpenSSL did not read of the last view comes again later. */
static void wire_tls_return(struct wire_tls *t)
{
	if (t->in.len > 0)
		wire_unread(t->lower, t->in.len);
	t->in = (struct str){NULL, 0};
}

/* One step after a call that OpenSSL did not complete. Returns 0 to call it again, else what ended
 * it. */
static int wire_tls_more(struct wire_tls *t, int result, size_t max)
{
	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ: return wire_tls_fetch(t, max);
	case SSL_ERROR_ZERO_RETURN: t->eof = true; return ERR_EOF;
	default: wire_tls_fail_ssl(t); return t->why;
	}
}

/* Unpack records until [cap] bytes are there or nothing more comes. Returns why it stopped, or 0.
 */
static int wire_tls_unpack(struct wire_tls *t, char *to, size_t cap, size_t *n)
{
	size_t got;
	int e = 0, r;

	for (*n = 0; *n < cap && e == 0;) {
		/*
		 * A little more than what is asked for: the rest would have to be put aside. Yet
		 * never less than a record: it would come in tiny pieces, a call for each.
		 */
		size_t left = cap - *n,
		       max = MAX(left, (size_t)RECORD) + (left / RECORD + 1) * RECORD_EXTRA;

		if (*n > 0 && left < RECORD && t->in.len == 0 && SSL_pending(t->ssl) == 0)
			break;
		ERR_clear_error();
		if ((r = SSL_read_ex(t->ssl, to + *n, left, &got)) == 1)
			*n += got;
		else
			e = wire_tls_more(t, r, MIN(max, (size_t)EV_SCRATCH));
	}
	return e;
}

/* The last view is used up: what it covered of back goes. */
static void wire_tls_settle(struct wire_tls *t)
{
	if (t->view_in_back)
		buf_take(&t->back, t->view.len);
	t->view = (struct str){NULL, 0};
	t->view_in_back = false;
}

static int wire_tls_read(struct wire *w, size_t max, struct str *out)
{
	struct wire_tls *t = wire_tls_of(w);
	char *to = ev_scratch(w->ev, w->scratch);
	size_t n;
	int e;

	wire_tls_settle(t);
	if (t->back.len > 0) {
		t->view = (struct str){buf_str(&t->back).p, MIN(t->back.len, max)};
		t->view_in_back = true;
		*out = t->view;
		return 0;
	}
	if (t->why != 0 || t->eof)
		return t->why != 0 ? t->why : ERR_EOF;
	if (t->phase != PHASE_OPEN)
		return ERR_AGAIN;
	e = wire_tls_unpack(t, to, MIN(max, (size_t)EV_SCRATCH), &n);
	wire_tls_return(t);
	if (e == ERR_AGAIN)
		SSL_free_buffers(t->ssl); /* a ticket or key update makes it hold one for writing */
	if (t->pending.len > 0)
		wire_tls_flush(t);
	if (n == 0)
		return e;
	t->view = (struct str){to, n};
	*out = t->view;
	return 0;
}

static void wire_tls_unread(struct wire *w, size_t n)
{
	struct wire_tls *t = wire_tls_of(w);

	CHECK(n <= t->view.len);
	t->view.len -= n;
	if (!t->view_in_back && n > 0 &&
	    buf_add(&t->back, t->view.p + t->view.len, n, EV_SCRATCH) != 0)
		wire_tls_fail(t, ERR_NOMEM);
	wire_tls_settle(t);
	wire_tls_update(t);
}

static void wire_tls_want(struct wire *w, int events)
{
	struct wire_tls *t = wire_tls_of(w);

	wire_tls_settle(t);
	t->wanted = events;
	wire_tls_update(t);
}

/* ---- the handshake ---- */

static void wire_tls_opened(struct wire_tls *t)
{
	wire_tls_phase(t, PHASE_OPEN);
	ev_timer_stop(t->wire.ev, &t->deadline);
	tls_set_free(t->set);
	t->set = NULL;
	t->n_records = 0;
	if (t->shut)
		wire_tls_notify(t);
}

/* As far as it goes with what the peer has sent. */
static void wire_tls_handshake(struct wire_tls *t)
{
	int e = 0, r;

	do {
		ERR_clear_error();
		if ((r = SSL_do_handshake(t->ssl)) == 1)
			break;
		e = wire_tls_more(t, r, HANDSHAKE_READ);
	} while (e == 0);
	wire_tls_return(t);
	if (t->why == 0 || t->alerted)
		wire_tls_flush(t);
	if (t->why == 0 && r == 1)
		wire_tls_opened(t);
	else if (e == ERR_EOF)
		wire_tls_fail(t, ERR_TLS); /* close_notify instead of a handshake */
}

static void wire_tls_on_deadline(void *arg)
{
	struct wire_tls *t = arg;

	if (t->phase == PHASE_HANDSHAKE)
		tls_reason_keep(&t->reason, "the TLS handshake took too long");
	wire_tls_fail(t, ERR_TIMEOUT);
}

/* ---- the end ---- */

/*
 * Close the wire below. After an ordinary end what has arrived unread is thrown away first: with
 * unread bytes a kernel makes a reset of a close, and our last words would be lost. A peer that is
 * to read our alert may be sending still: in TLS 1.3 a client is before its certificate is judged.
 */
static void wire_tls_close_lower(struct wire_tls *t, int why)
{
	struct str rest;

	if (t->alerted && !t->lower_dead && !t->lower_shut) {
		wire_linger(t->lower, ALERT_LINGER_MS, ALERT_DRAIN_MAX);
		return;
	}
	for (int i = 0; i < DRAIN_READS && why == 0 && !t->lower_dead; i++)
		if (wire_read(t->lower, EV_SCRATCH, &rest) != 0)
			break;
	wire_close(t->lower, why);
}

/* Give up everything. */
static void wire_tls_release(struct wire_tls *t, int why)
{
	if (t->alerted && !t->lower_dead)
		why = 0;
	wire_tls_phase(t, PHASE_GONE);
	ev_timer_stop(t->wire.ev, &t->deadline);
	ev_task_cancel(&t->again);
	ev_task_cancel(&t->end);
	wire_tls_close_lower(t, why);
	t->lower = NULL;
	SSL_free(t->ssl);
	t->ssl = NULL;
	tls_set_free(t->set);
	t->set = NULL;
	tls_context_free(t->ctx);
	buf_free(&t->pending);
	buf_free(&t->back);
	free(t->reason);
	tls_peer_free(t->peer);
	free(t->host);
	free(t->psk_name);
	t->reason = t->host = t->psk_name = NULL;
	ev_free_later(t->wire.ev, t);
}

static void wire_tls_on_end(void *arg)
{
	struct wire_tls *t = arg;

	wire_tls_release(t, t->why);
}

static void wire_tls_close(struct wire *w, int why)
{
	struct wire_tls *t = wire_tls_of(w);

	w->owner = NULL;
	wire_tls_want(w, 0);
	buf_free(&t->back);
	ev_task_cancel(&t->again);
	if (why == 0 && t->why == 0 && t->phase == PHASE_OPEN) {
		wire_tls_shut(w);
		if (t->why == 0 && t->pending.len > 0) {
			wire_tls_phase(t, PHASE_LINGER);
			ev_timer_set(w->ev, &t->deadline, WIRE_TLS_LINGER_MS);
			ev_task_at_end(w->ev, &t->end);
			wire_tls_update(t);
			return;
		}
	}
	wire_tls_release(t, why != 0 ? why : t->why);
}

/* ---- told by the wire below, or by ourselves ---- */

static void wire_tls_tell(struct wire_tls *t, int events)
{
	events &= t->wanted;
	if (events != 0 && t->wire.owner != NULL)
		t->wire.owner->ready(t->wire.arg, &t->wire, events);
}

static void wire_tls_on_again(void *arg)
{
	struct wire_tls *t = arg;

	if (t->phase == PHASE_LINGER) { /* it cannot be delivered */
		wire_tls_release(t, t->why);
		return;
	}
	if (t->why != 0 && !((t->wanted & WIRE_READ) && wire_tls_has_back(t))) {
		if (t->wire.owner == NULL || t->told_broken)
			return;
		t->told_broken = true;
		t->wanted = 0;
		t->wire.owner->broken(t->wire.arg, &t->wire, t->why);
		return;
	}
	if (t->phase == PHASE_HANDSHAKE)
		wire_tls_handshake(t);
	else if (wire_tls_is_readable(t))
		wire_tls_tell(t, WIRE_READ);
	wire_tls_update(t);
}

static void wire_tls_on_ready(void *arg, struct wire *lower, int events)
{
	struct wire_tls *t = arg;
	int told = 0;

	if (events & WIRE_WRITE)
		wire_tls_flush(t);
	if (t->phase == PHASE_LINGER && t->why == 0 && t->pending.len == 0) {
		wire_tls_release(t, 0);
		return;
	}
	if (t->phase == PHASE_HANDSHAKE && t->why == 0) {
		wire_tls_handshake(t);
	} else if (t->phase == PHASE_OPEN && t->why == 0) {
		if (events & WIRE_READ)
			told |= WIRE_READ;
		if ((events & WIRE_WRITE) && wire_tls_room(&t->wire) > 0)
			told |= WIRE_WRITE;
		wire_tls_tell(t, told);
	}
	wire_tls_update(t);
}

static void wire_tls_on_broken(void *arg, struct wire *lower, int why)
{
	struct wire_tls *t = arg;

	t->lower_dead = true;
	wire_tls_fail(t, why);
}

/* ---- life ---- */

/* What concerns the kernel concerns the wire that has a socket. */
static void wire_tls_carrier(struct wire *w)
{
	struct wire *lower = wire_tls_of(w)->lower;

	if (lower->ops->carrier != NULL)
		lower->ops->carrier(lower);
}

static const struct wire_ops wire_tls_ops = {
	.read = wire_tls_read,
	.unread = wire_tls_unread,
	.write = wire_tls_write,
	.room = wire_tls_room,
	.shut = wire_tls_shut,
	.want = wire_tls_want,
	.close = wire_tls_close,
	.carrier = wire_tls_carrier,
};

static const struct wire_owner wire_tls_lower_owner = {wire_tls_on_ready, wire_tls_on_broken};

static int wire_tls_new(struct ev *ev, struct wire *lower, struct tls_context *ctx,
			const struct wire_tls_opt *opt, struct wire **out)
{
	static const struct wire_tls_opt defaults = {.host = NULL};
	struct wire_tls *t = calloc(1, sizeof *t);
	uint32_t ms;
	int e;

	if (t == NULL)
		return ERR_NOMEM;
	if (opt == NULL)
		opt = &defaults;
	t->wire = (struct wire){.ops = &wire_tls_ops, .ev = ev, .scratch = EV_SCRATCH_PLAIN};
	t->under = opt->under;
	if (t->under) /* that one unpacks into the usual area what it reads of ours */
		t->wire.scratch = EV_SCRATCH_UNDER;
	t->again = (struct ev_task){.fn = wire_tls_on_again, .arg = t};
	t->end = (struct ev_task){.fn = wire_tls_on_end, .arg = t};
	t->deadline = (struct ev_timer){.fn = wire_tls_on_deadline, .arg = t};
	t->batch = BATCH_MIN;
	t->key_records = opt->key_records != 0 ? opt->key_records : WIRE_TLS_KEY_RECORDS;
	t->ctx = tls_context_share(ctx);
	t->set = tls_set_share(ctx->set);
	t->set_number = t->set->number;
	ERR_clear_error();
	if ((e = tls_setup(t, opt)) != 0) {
		SSL_free(t->ssl);
		tls_set_free(t->set);
		tls_context_free(t->ctx);
		free(t->host);
		free(t);
		return e;
	}
	t->lower = lower;
	wire_own(lower, &wire_tls_lower_owner, t);
	ms = opt->handshake_ms != 0 ? opt->handshake_ms : WIRE_TLS_HANDSHAKE_MS;
	ev_timer_set(ev, &t->deadline, ms);
	ev_task_run(ev, &t->again); /* a client speaks first */
	*out = &t->wire;
	return 0;
}

int wire_tls_server(struct ev *ev, struct wire *lower, struct tls_context *ctx,
		    const struct wire_tls_opt *opt, struct wire **out)
{
	CHECK(ctx->server);
	return wire_tls_new(ev, lower, ctx, opt, out);
}

int wire_tls_client(struct ev *ev, struct wire *lower, struct tls_context *ctx,
		    const struct wire_tls_opt *opt, struct wire **out)
{
	CHECK(!ctx->server);
	return wire_tls_new(ev, lower, ctx, opt, out);
}

const struct wire_tls *wire_tls_find(const struct wire *w)
{
	return w->ops == &wire_tls_ops ? wire_tls_of(w) : NULL;
}

bool wire_tls_is(const struct wire *w)
{
	return wire_tls_find(w) != NULL;
}

void wire_tls_facts(const struct wire *w, struct wire_tls_facts *out)
{
	const struct wire_tls *t = wire_tls_of(w);
	const unsigned char *alpn = NULL;
	unsigned int alpn_len = 0;

	CHECK(w->ops == &wire_tls_ops);
	*out = (struct wire_tls_facts){.done = t->phase == PHASE_OPEN};
	if (!out->done)
		return;
	SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_len);
	out->version = SSL_get_version(t->ssl);
	out->cipher = SSL_get_cipher_name(t->ssl);
	out->sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	out->alpn = (struct str){(const char *)alpn, alpn_len};
}

/* The certificate, if it is still good. */
static struct tls_peer *wire_tls_find_peer(struct wire *w)
{
	struct wire_tls *t = wire_tls_of(w);
	char why[TLS_CONTEXT_WHY];

	if (w->ops != &wire_tls_ops || !t->ctx->server || t->phase != PHASE_OPEN)
		return NULL;
	if (t->peer == NULL)
		t->peer = tls_peer_new(t);
	if (t->peer == NULL || tls_peer_check(t->peer, ev_wall_ms(w->ev), why) != 0)
		return NULL;
	return t->peer;
}

const char *wire_tls_peer_name(struct wire *w)
{
	const struct tls_peer *p = wire_tls_find_peer(w);

	return p == NULL ? NULL : tls_peer_name(p);
}

struct tls_peer *wire_tls_peer(struct wire *w)
{
	return tls_peer_share(wire_tls_find_peer(w));
}

const char *wire_tls_refusal(const struct wire *w)
{
	CHECK(w->ops == &wire_tls_ops);
	return wire_tls_of(w)->refusal;
}

bool wire_tls_is_unknown(const struct wire *w)
{
	const struct wire_tls *t = wire_tls_of(w);

	CHECK(w->ops == &wire_tls_ops);
	return !t->ctx->server && t->why == ERR_CERT && t->refusal == NULL;
}

const char *wire_tls_reason(const struct wire *w)
{
	const struct wire_tls *t = wire_tls_of(w);

	CHECK(w->ops == &wire_tls_ops);
	if (t->why == 0)
		return "";
	return t->reason != NULL ? t->reason : err_text(t->why);
}
