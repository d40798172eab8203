/*
 * Between a request and its handler: borrows the wire, keeps what comes of the body, and gives the
 * wire back before the handler hears of it. One piece is read a turn, so that a fast sender does
 * not keep the loop from others.
 */
#include "http/http_collect.h"

#include <stdlib.h>

#include "base/err.h"
#include "http/http_problem.h"
#include "proto/http_body.h"

struct http_collect {
	struct ev *ev;
	struct http_conn *conn; /* borrowed: recalls its wire from us before it goes */
	struct wire *wire;	/* borrowed: the conn's */
	struct http_body body;
	struct buf got; /* bounded by max */
	size_t max;
	struct ev_task start;
	struct ev_timer deadline;
	bool expects; /* the peer waits for our 100 */
	void (*done)(void *arg, int e, struct str body);
	void *arg;
};

/* ---- the end ---- */

/* Also when the wire is no longer ours. */
static void http_collect_release(void *arg)
{
	struct http_collect *x = arg;

	ev_task_cancel(&x->start);
	ev_timer_stop(x->ev, &x->deadline);
	buf_free(&x->got);
	ev_free_later(x->ev, x);
}

/* The peer is gone, or cannot be told anything any more. */
static void http_collect_abort(struct http_collect *x)
{
	struct http_conn *c = x->conn;

	http_collect_release(x);
	http_conn_return(c, HTTP_ABORT);
}

/* e as for done(). */
static void http_collect_finish(struct http_collect *x, int e)
{
	struct http_conn *c = x->conn;
	struct buf got = {0};

	if (e == 0) {
		got = x->got;
		x->got = (struct buf){0};
	}
	http_collect_release(x);
	http_conn_return(c, e == 0 ? HTTP_READ : HTTP_UNUSED);
	x->done(x->arg, e, buf_str(&got)); /* x is readable until the turn ends */
	buf_free(&got);
}

/* ---- reading ---- */

/* Returns 0 when the body is whole, ERR_AGAIN, or what is wrong with it. */
static int http_collect_take(struct http_collect *x, struct str in)
{
	struct str data;
	int e;

	while (in.len > 0 && !x->body.done) {
		if ((e = http_body_next(&x->body, &in, &data)) != 0)
			return e;
		if (data.len > 0 && (e = buf_add(&x->got, data.p, data.len, x->max)) != 0)
			return e;
	}
	if (in.len > 0) /* the next request */
		wire_unread(x->wire, in.len);
	return x->body.done ? 0 : ERR_AGAIN;
}

static void http_collect_on_ready(void *arg, struct wire *w, int events)
{
	struct http_collect *x = arg;
	struct str in;
	int e = wire_read(w, EV_SCRATCH, &in);

	if (e == ERR_AGAIN)
		return;
	if (e != 0 && e != ERR_EOF) {
		http_collect_abort(x);
		return;
	}
	e = e == ERR_EOF ? ERR_PROTO : http_collect_take(x, in);
	if (e != ERR_AGAIN)
		http_collect_finish(x, e);
}

static void http_collect_on_broken(void *arg, struct wire *w, int why)
{
	http_collect_abort(arg);
}

static const struct wire_owner http_collect_owner = {http_collect_on_ready, http_collect_on_broken};

static void http_collect_on_deadline(void *arg)
{
	http_collect_finish(arg, ERR_TIMEOUT);
}

/* ---- the start ---- */

static void http_collect_start(void *arg)
{
	struct http_collect *x = arg;

	if (x->body.done)
		http_collect_finish(x, 0);
	else if (x->body.framing == HTTP_BODY_LENGTH && x->body.left > x->max)
		http_collect_finish(x, ERR_TOOBIG);
	else if (x->expects && wire_write_all(x->wire, STR("HTTP/1.1 100 Continue\r\n\r\n")) != 0)
		http_collect_abort(x); /* all that we wrote before has left: it does not read */
	else
		wire_want(x->wire, WIRE_READ);
}

int http_collect(struct http_conn *c, const struct http_request *req, size_t max,
		 void (*done)(void *arg, int e, struct str body), void *arg)
{
	struct http_collect *x = calloc(1, sizeof *x);

	if (x == NULL)
		return ERR_NOMEM;
	x->conn = c;
	x->wire = http_conn_borrow(c, &http_collect_owner, x);
	x->ev = x->wire->ev;
	http_body_init(&x->body, req->head.framing, req->head.content_length);
	x->max = max;
	x->expects = req->expect_continue;
	x->done = done;
	x->arg = arg;
	x->start = (struct ev_task){.fn = http_collect_start, .arg = x};
	x->deadline = (struct ev_timer){.fn = http_collect_on_deadline, .arg = x};
	wire_want(x->wire, 0);
	http_conn_on_recall(c, http_collect_release, x);
	ev_timer_set(x->ev, &x->deadline, HTTP_BODY_MS);
	ev_task_run(x->ev, &x->start);
	return 0;
}

/* ---- refusing ---- */

void http_collect_refuse(struct http_conn *c, int e)
{
	struct http_problem p = {.code = e};

	switch (e) {
	case ERR_TOOBIG: p.detail = "the request's body is too long; send less"; break;
	case ERR_PROTO: p.detail = "the request's body is malformed or cut short"; break;
	case ERR_TIMEOUT:
		p.status = 408;
		p.detail = "the request's body did not come in time; send it faster";
		break;
	default: p.detail = "the request's body could not be kept; try again later"; break;
	}
	http_problem_reply(c, &p);
}
