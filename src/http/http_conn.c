/*
 * One connection, one request at a time.
 *
 * A head is parsed where it was read; only one that comes in pieces is copied. An idle connection
 * holds no buffer at all, since there may be many thousands of them.
 */
#include "http/http_conn.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wire/linger.h"
#include "wire/wire_tls.h"

/* How long a connection that was refused may go on sending before it is cut. */
#define LINGER_MS 2000

/* How long a peer may take to read a reply that does not fit into the wire at once. */
#define REPLY_MS 10000

enum http_conn_state {
	HTTP_CONN_IDLE,	  /* waiting for the first byte of a request */
	HTTP_CONN_HEAD,	  /* a head has begun */
	HTTP_CONN_BUSY,	  /* a handler has a request in hand */
	HTTP_CONN_LENT,	  /* a handler has the wire */
	HTTP_CONN_REPLY,  /* the end of a reply waits for the peer to read */
	HTTP_CONN_CLOSED, /* gone; the memory lives until the turn ends */
};

/* Somebody to be told once. */
struct http_conn_call {
	void (*fn)(void *arg); /* NULL: nobody */
	void *arg;
};

struct http_conn {
	struct ev *ev;
	struct wire *wire; /* owned, also while it is lent */
	struct http_conn_opt opt;
	enum http_conn_state state;
	struct buf head; /* of a request that comes in pieces; bounded by HTTP_HEAD_MAX */
	struct buf rest; /* of a reply, while the wire is full */
	size_t scanned;
	struct ev_timer deadline;
	struct http_conn_call gone;   /* while a request is in hand */
	struct http_conn_call recall; /* while the wire is lent */
	bool keep_alive;	      /* the request in hand allows another one */
	bool has_body;		      /* the request in hand has a body that nobody has read */
	bool is_head;		      /* the request in hand is a HEAD */
	bool closes;		      /* the reply that is leaving says so */
	uint32_t drain_ms;	      /* see http_conn_drain(); 0: it is not draining */
};

static void http_conn_read(struct http_conn *c);
static void http_conn_flush(struct http_conn *c);

static void http_conn_tell(struct http_conn_call *call)
{
	void (*fn)(void *) = call->fn;

	call->fn = NULL;
	if (fn != NULL)
		fn(call->arg);
}

/* ---- the end ---- */

static void http_conn_release(struct http_conn *c)
{
	c->state = HTTP_CONN_CLOSED;
	ev_timer_stop(c->ev, &c->deadline);
	buf_free(&c->head);
	buf_free(&c->rest);
	ev_free_later(c->ev, c);
}

static void http_conn_end(struct http_conn *c)
{
	http_conn_tell(&c->gone);
	if (c->opt.closed != NULL)
		c->opt.closed(c->opt.arg, c);
	http_conn_release(c);
}

void http_conn_close(struct http_conn *c)
{
	if (c == NULL || c->state == HTTP_CONN_CLOSED)
		return;
	wire_close(c->wire, ERR_CLOSED);
	c->wire = NULL;
	http_conn_release(c);
	http_conn_tell(&c->recall);
	http_conn_tell(&c->gone);
}

/* why as for wire_close(). */
static void http_conn_drop(struct http_conn *c, int why)
{
	wire_close(c->wire, why);
	c->wire = NULL;
	http_conn_end(c);
}

/* The peer may still be sending: let it read our answer before the reset. */
static void http_conn_linger(struct http_conn *c)
{
	wire_linger(c->wire, LINGER_MS, HTTP_DRAIN_MAX);
	c->wire = NULL;
	http_conn_end(c);
}

/* ---- reading heads ---- */

static void http_conn_on_ready(void *arg, struct wire *w, int events)
{
	struct http_conn *c = arg;

	if (c->state == HTTP_CONN_REPLY)
		http_conn_flush(c);
	else if (c->state == HTTP_CONN_BUSY)
		wire_want(w, 0); /* the next request waits; a reset is told unasked */
	else
		http_conn_read(c);
}

static void http_conn_on_broken(void *arg, struct wire *w, int why)
{
	http_conn_drop(arg, why);
}

static const struct wire_owner http_conn_owner = {http_conn_on_ready, http_conn_on_broken};

static void http_conn_set_deadline(struct http_conn *c, uint32_t ms)
{
	if (ms != 0)
		ev_timer_set(c->ev, &c->deadline, ms);
	else
		ev_timer_stop(c->ev, &c->deadline);
}

/* How long may the peer be silent between two requests? */
static uint32_t http_conn_patience(const struct http_conn *c)
{
	uint32_t idle_ms = c->opt.deadlines->idle_ms;

	if (c->drain_ms == 0)
		return idle_ms;
	return idle_ms == 0 ? c->drain_ms : MIN(idle_ms, c->drain_ms);
}

static void http_conn_wait(struct http_conn *c)
{
	c->state = HTTP_CONN_IDLE;
	http_conn_set_deadline(c, http_conn_patience(c));
	wire_want(c->wire, WIRE_READ);
}

static void http_conn_refuse(struct http_conn *c, unsigned status, const char *why)
{
	char text[200];
	size_t len = str_printf(text, sizeof text, "%u " STR_FMT ": %s.\n", status,
				STR_ARG(http_status_reason(status)), why);
	struct http_page page = {.status = status,
				 .content_type = STR("text/plain; charset=utf-8"),
				 .body = {text, len}};

	c->keep_alive = false;
	c->has_body = true; /* or might have: nobody knows where the message ends */
	c->is_head = false;
	c->state = HTTP_CONN_BUSY;
	http_conn_reply(c, &page);
}

static void http_conn_on_deadline(void *arg)
{
	struct http_conn *c = arg;

	if (c->state == HTTP_CONN_HEAD)
		http_conn_refuse(c, 408, "the request did not come in time");
	else if (c->state == HTTP_CONN_REPLY)
		http_conn_drop(c, ERR_TIMEOUT);
	else if (c->state == HTTP_CONN_IDLE && c->drain_ms != 0)
		http_conn_linger(c); /* it may be about to ask just now */
	else if (c->state == HTTP_CONN_IDLE)
		http_conn_drop(c, 0);
}

static void http_conn_dispatch(struct http_conn *c, const struct http_request *req)
{
	c->state = HTTP_CONN_BUSY;
	c->keep_alive = req->head.keep_alive && c->drain_ms == 0;
	c->has_body = req->head.framing != HTTP_BODY_NONE &&
		      !(req->head.framing == HTTP_BODY_LENGTH && req->head.content_length == 0);
	c->is_head = req->method == HTTP_HEAD;
	c->opt.request(c->opt.arg, c, req);
}

/* Returns 0 when a request was handed on, ERR_AGAIN for more bytes, or what is wrong with them. */
static int http_conn_parse(struct http_conn *c, struct str in)
{
	struct http_request req;
	struct buf head = {0};
	struct str all = in;
	int e;

	if (c->head.len > 0) {
		if (buf_add(&c->head, in.p, in.len, HTTP_HEAD_MAX + EV_SCRATCH) != 0)
			return ERR_NOMEM;
		all = buf_str(&c->head);
	}
	e = http_request_parse(all, &c->scanned, &req);
	if (e == ERR_AGAIN) {
		if (c->head.len == 0 && buf_add(&c->head, in.p, in.len, HTTP_HEAD_MAX) != 0)
			return ERR_NOMEM;
		if (c->state == HTTP_CONN_IDLE)
			http_conn_set_deadline(c, c->opt.deadlines->head_ms);
		c->state = HTTP_CONN_HEAD;
		return ERR_AGAIN;
	}
	c->scanned = 0;
	if (e != 0) {
		http_conn_refuse(c, req.head.refusal.status, req.head.refusal.why);
		return 0;
	}
	if (all.len > req.head.len) /* the end of a head lies in the last read */
		wire_unread(c->wire, all.len - req.head.len);
	head = c->head; /* the spans of req stand in it */
	c->head = (struct buf){0};
	http_conn_dispatch(c, &req);
	buf_free(&head);
	return 0;
}

static void http_conn_read(struct http_conn *c)
{
	struct str in;
	int e = wire_read(c->wire, HTTP_HEAD_MAX, &in);

	if (e == 0)
		e = http_conn_parse(c, in);
	if (e == ERR_EOF && c->head.len > 0)
		http_conn_refuse(c, 400, "the request is cut short");
	else if (e != 0 && e != ERR_AGAIN)
		http_conn_drop(c, e == ERR_EOF ? 0 : e);
}

/* ---- answering ---- */

bool http_conn_must_close(const struct http_conn *c)
{
	return !c->keep_alive || c->drain_ms != 0;
}

/*
 * The answer is out. Who was not told that it is the last one may have sent another request: that
 * is served, also when the connection has begun to drain meanwhile.
 *   unread  the peer may still be sending the request.
 */
static void http_conn_next(struct http_conn *c, bool close, bool unread)
{
	bool ends = close || !c->keep_alive;

	c->gone.fn = NULL;
	if (unread || (ends && c->drain_ms != 0))
		http_conn_linger(c);
	else if (ends)
		http_conn_drop(c, 0);
	else
		http_conn_wait(c);
}

/* Write what is left of a reply; a peer that reads slowly has REPLY_MS for it. */
static void http_conn_flush(struct http_conn *c)
{
	int e = wire_write_buf(c->wire, &c->rest);

	if (e != 0) {
		http_conn_drop(c, e);
		return;
	}
	if (c->rest.len == 0) {
		http_conn_next(c, c->closes, c->has_body);
		return;
	}
	if (c->state != HTTP_CONN_REPLY)
		http_conn_set_deadline(c, REPLY_MS);
	c->state = HTTP_CONN_REPLY;
	wire_want(c->wire, WIRE_WRITE);
}

void http_conn_reply(struct http_conn *c, const struct http_page *page)
{
	struct http_page p = *page;
	int e;

	CHECK(c->state == HTTP_CONN_BUSY);
	c->gone.fn = NULL; /* whoever answers has nothing more to do with it */
	p.head_only = c->is_head;
	p.close = c->closes = p.close || c->has_body || http_conn_must_close(c);
	if ((e = http_write_page(&c->rest, HTTP_HEAD_MAX + p.body.len, &p)) != 0)
		http_conn_drop(c, e);
	else
		http_conn_flush(c);
}

struct wire *http_conn_upgrade(struct http_conn *c, struct str head)
{
	struct wire *w = NULL;

	CHECK(c->state == HTTP_CONN_BUSY);
	c->gone.fn = NULL;
	if (wire_write_all(c->wire, head) == 0) {
		wire_want(c->wire, 0);
		wire_own(c->wire, NULL, NULL);
		MOVE(w, c->wire);
	} else {
		wire_close(c->wire, ERR_RESET);
		c->wire = NULL;
	}
	http_conn_end(c);
	return w;
}

struct wire *http_conn_borrow(struct http_conn *c, const struct wire_owner *owner, void *arg)
{
	CHECK(c->state == HTTP_CONN_BUSY);
	c->state = HTTP_CONN_LENT;
	wire_own(c->wire, owner, arg);
	return c->wire;
}

struct wire *http_conn_take(struct http_conn *c)
{
	struct wire *w = NULL;

	CHECK(c->state == HTTP_CONN_LENT);
	c->recall.fn = NULL;
	wire_want(c->wire, 0);
	wire_own(c->wire, NULL, NULL);
	MOVE(w, c->wire);
	http_conn_end(c);
	return w;
}

void http_conn_return(struct http_conn *c, enum http_after after)
{
	CHECK(c->state == HTTP_CONN_LENT);
	c->state = HTTP_CONN_BUSY;
	c->recall.fn = NULL;
	wire_own(c->wire, &http_conn_owner, c);
	switch (after) {
	case HTTP_KEEP: http_conn_next(c, false, false); break;
	case HTTP_CLOSE: http_conn_next(c, true, false); break;
	case HTTP_CLOSE_UNREAD: http_conn_next(c, true, true); break;
	case HTTP_ABORT: http_conn_drop(c, ERR_RESET); break;
	case HTTP_UNUSED: wire_want(c->wire, WIRE_READ); break;
	case HTTP_READ:
		c->has_body = false;
		wire_want(c->wire, WIRE_READ);
		break;
	}
}

void http_conn_on_recall(struct http_conn *c, void (*recall)(void *arg), void *arg)
{
	CHECK(c->state == HTTP_CONN_LENT);
	c->recall = (struct http_conn_call){recall, arg};
}

void http_conn_recall(struct http_conn *c)
{
	if (c->state != HTTP_CONN_LENT || c->recall.fn == NULL)
		return;
	http_conn_tell(&c->recall);
	http_conn_return(c, HTTP_UNUSED);
}

/* ---- life ---- */

void http_conn_drain(struct http_conn *c, uint32_t idle_ms)
{
	CHECK(idle_ms > 0);
	c->drain_ms = idle_ms;
	if (c->state == HTTP_CONN_IDLE &&
	    (!ev_timer_is_set(&c->deadline) || c->deadline.at_ms > ev_now_ms(c->ev) + idle_ms))
		http_conn_set_deadline(c, idle_ms);
}

const struct visit_end *http_conn_peer(const struct http_conn *c)
{
	return &c->opt.peer;
}

const struct visit_end *http_conn_local(const struct http_conn *c)
{
	return &c->opt.local;
}

bool http_conn_tls(const struct http_conn *c)
{
	return c->opt.tls;
}

void http_conn_tls_facts(const struct http_conn *c, struct wire_tls_facts *out)
{
	*out = (struct wire_tls_facts){.done = false};
	if (wire_tls_is(c->wire))
		wire_tls_facts(c->wire, out);
}

const char *http_conn_peer_name(const struct http_conn *c)
{
	return wire_tls_peer_name(c->wire);
}

void http_conn_on_gone(struct http_conn *c, void (*gone)(void *arg), void *arg)
{
	c->gone = (struct http_conn_call){gone, arg};
}

int http_conn_new(struct ev *ev, struct wire *w, const struct http_conn_opt *opt,
		  struct http_conn **out)
{
	struct http_conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		return ERR_NOMEM;
	c->ev = ev;
	c->wire = w;
	c->opt = *opt;
	c->deadline = (struct ev_timer){.fn = http_conn_on_deadline, .arg = c};
	wire_own(w, &http_conn_owner, c);
	wire_want(w, WIRE_READ);
	c->state = HTTP_CONN_IDLE;
	http_conn_set_deadline(c, opt->deadlines->head_ms);
	*out = c;
	return 0;
}
