/*
 * A small HTTP client that trusts nobody: one deadline over everything, an answer of bounded size,
 * and whatever is not an answer in HTTP is a failure, which to the visitor means no.
 */
#include "ingress/guard_hook.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "ingress/idle.h"
#include "proto/http_body.h"

/* Interim answers (1xx) that are passed over. */
#define GUARD_HOOK_INTERIM_MAX 8

struct guard_hooks {
	struct ev *ev;
	struct hook_net *net;
	struct idle_pool *idle; /* owned */
	uint64_t seed[2];	/* of the keys in idle */
	size_t n_asks;
};

struct guard_hook {
	struct guard_hooks *hooks; /* borrowed: outlives its questions */
	void (*done)(void *arg, const struct guard_hook_answer *answer);
	void *arg;
	struct url to;
	struct hook_dial *dial; /* owned; NULL when there is none under way */
	struct wire *wire;	/* owned */
	bool reused;		/* the wire had a question before */
	struct ev_timer deadline;
	struct ev_task start;
	struct buf head; /* the question; stays whole until the answer begins */
	size_t sent;	 /* bytes of it that are written */
	struct buf in;	 /* the answer's head, and what came with it */
	size_t scanned;
	unsigned n_interim;
	bool in_body;
	struct http_response response; /* spans into `in` */
	struct http_body body;
	struct buf text; /* of the body */
};

static void guard_hook_open(struct guard_hook *q, bool may_reuse);

/* Whose connections: scheme, host and port. Nobody who does not know the seed finds two alike. */
static uint64_t guard_hook_key(const struct guard_hook *q)
{
	char text[16 + HOSTNAME_AUTHORITY_MAX];
	size_t len =
		str_printf(text, sizeof text, "%d %s %u", q->to.scheme, q->to.host, q->to.port);

	return siphash(q->hooks->seed, text, len);
}

/* ---- the end ---- */

static void guard_hook_release(struct guard_hook *q)
{
	ev_timer_stop(q->hooks->ev, &q->deadline);
	ev_task_cancel(&q->start);
	if (q->dial != NULL)
		q->hooks->net->ops->cancel(q->dial);
	q->dial = NULL;
	wire_close(q->wire, ERR_CLOSED);
	q->wire = NULL;
	q->hooks->n_asks--;
}

static void guard_hook_free(struct guard_hook *q)
{
	buf_free(&q->head);
	buf_free(&q->in);
	buf_free(&q->text);
	ev_free_later(q->hooks->ev, q);
}

void guard_hook_cancel(struct guard_hook *q)
{
	if (q == NULL)
		return;
	guard_hook_release(q);
	guard_hook_free(q);
}

static void guard_hook_finish(struct guard_hook *q, const struct guard_hook_answer *a)
{
	guard_hook_release(q);
	q->done(q->arg, a);
	guard_hook_free(q);
}

static void guard_hook_fail(struct guard_hook *q, int e)
{
	guard_hook_finish(q, &(struct guard_hook_answer){.e = e});
}

/* The answer is here. whole: the connection has nothing more of it. */
static void guard_hook_answered(struct guard_hook *q, bool whole)
{
	struct guard_hook_answer a = {.response = &q->response,
				      .body = buf_str(&q->text),
				      .cut = !whole};

	if (whole && q->response.head.keep_alive && q->sent == q->head.len &&
	    q->response.head.framing != HTTP_BODY_CLOSE) {
		wire_want(q->wire, 0);
		idle_put(q->hooks->idle, guard_hook_key(q), q->wire);
		q->wire = NULL;
	}
	guard_hook_finish(q, &a);
}

/* ---- the answer ---- */

/*
 * Some bytes of the body, or none.
 * Returns true when q is finished.
 */
static bool guard_hook_body(struct guard_hook *q, struct str in)
{
	while (in.len > 0 && !q->body.done) {
		struct str data;
		int e = http_body_next(&q->body, &in, &data);

		if (e == 0 && data.len > 0 &&
		    buf_add(&q->text, data.p, data.len, GUARD_HOOK_BODY_MAX) != 0) {
			buf_free(&q->text);
			guard_hook_answered(q, false);
			return true;
		}
		if (e != 0) {
			guard_hook_fail(q, e);
			return true;
		}
	}
	if (!q->body.done)
		return false;
	/* more bytes than the answer has: nobody asks there again */
	if (in.len > 0)
		q->response.head.keep_alive = false;
	guard_hook_answered(q, true);
	return true;
}

/* Returns true when q is finished. */
static bool guard_hook_head(struct guard_hook *q)
{
	struct http_response *r = &q->response;
	struct str rest;
	int e;

	for (;;) {
		e = http_response_parse(buf_str(&q->in), HTTP_GET, &q->scanned, r);
		if (e == ERR_AGAIN)
			return false;
		if (e == 0 && r->status >= 200)
			break;
		if (e == 0 && (r->status == 101 || ++q->n_interim > GUARD_HOOK_INTERIM_MAX))
			e = ERR_PROTO;
		if (e != 0) {
			guard_hook_fail(q, e);
			return true;
		}
		buf_take(&q->in, r->head.len);
		q->scanned = 0;
	}
	q->in_body = true;
	http_body_init(&q->body, r->head.framing, r->head.content_length);
	rest = buf_str(&q->in);
	return guard_hook_body(q, (struct str){rest.p + r->head.len, rest.len - r->head.len});
}

/* The connection ends, or breaks. */
static void guard_hook_lost(struct guard_hook *q, int why)
{
	if (q->in_body && why == ERR_EOF && http_body_eof(&q->body) == 0) {
		guard_hook_answered(q, true);
		return;
	}
	if (q->in.len == 0 && q->n_interim == 0 && q->reused) {
		wire_close(q->wire, ERR_RESET);
		q->wire = NULL;
		guard_hook_open(q, false);
		return;
	}
	guard_hook_fail(q, why == ERR_EOF ? ERR_PROTO : why);
}

static void guard_hook_read(struct guard_hook *q)
{
	struct str in;
	int e;

	while ((e = wire_read(q->wire, HTTP_HEAD_MAX, &in)) == 0) {
		if (q->in_body) {
			if (guard_hook_body(q, in))
				return;
			continue;
		}
		if (buf_add(&q->in, in.p, in.len, 2 * HTTP_HEAD_MAX) != 0) {
			guard_hook_fail(q, ERR_NOMEM);
			return;
		}
		if (guard_hook_head(q))
			return;
	}
	if (e != ERR_AGAIN)
		guard_hook_lost(q, e);
}

/* ---- the question ---- */

static void guard_hook_on_ready(void *arg, struct wire *w, int events)
{
	struct guard_hook *q = arg;
	struct str head = buf_str(&q->head);
	struct iovec iov = {.iov_base = (char *)(uintptr_t)head.p + q->sent,
			    .iov_len = head.len - q->sent};
	size_t taken = 0;
	int e = 0;

	if (iov.iov_len > 0)
		e = wire_write(w, &iov, 1, &taken);
	if (e != 0) {
		guard_hook_lost(q, e);
		return;
	}
	q->sent += taken;
	wire_want(w, WIRE_READ | (q->sent < head.len ? WIRE_WRITE : 0));
	if (events & WIRE_READ)
		guard_hook_read(q);
}

static void guard_hook_on_broken(void *arg, struct wire *w, int why)
{
	guard_hook_lost(arg, why);
}

static const struct wire_owner guard_hook_owner = {guard_hook_on_ready, guard_hook_on_broken};

static void guard_hook_use(struct guard_hook *q, struct wire *w)
{
	q->wire = w;
	q->sent = 0;
	wire_own(w, &guard_hook_owner, q);
	wire_want(w, WIRE_READ | WIRE_WRITE);
}

static void guard_hook_on_dialled(void *arg, int e, struct wire *w)
{
	struct guard_hook *q = arg;

	q->dial = NULL;
	if (e != 0)
		guard_hook_fail(q, e);
	else
		guard_hook_use(q, w);
}

static void guard_hook_open(struct guard_hook *q, bool may_reuse)
{
	struct guard_hooks *h = q->hooks;
	struct hook_dial_opt opt = {.to = &q->to,
				    .timeout_ms = GUARD_HOOK_MS,
				    .done = guard_hook_on_dialled,
				    .arg = q};
	struct wire *w = NULL;
	int e;

	if (may_reuse)
		w = idle_take(h->idle, guard_hook_key(q), GUARD_HOOK_IDLE_MS);
	q->reused = w != NULL;
	if (w != NULL)
		guard_hook_use(q, w);
	else if ((e = h->net->ops->dial(h->net, &opt, &q->dial)) != 0)
		guard_hook_fail(q, e);
}

static void guard_hook_on_start(void *arg)
{
	guard_hook_open(arg, true);
}

static void guard_hook_on_deadline(void *arg)
{
	guard_hook_fail(arg, ERR_TIMEOUT);
}

int guard_hook_ask(struct guard_hooks *h, const struct guard_hook_opt *opt, struct guard_hook **out)
{
	struct guard_hook *q;

	if (h->net == NULL)
		return ERR_UNREACH;
	if (h->n_asks >= GUARD_HOOK_ASKS_MAX)
		return ERR_LIMIT;
	if ((q = calloc(1, sizeof *q)) == NULL)
		return ERR_NOMEM;
	if (buf_add(&q->head, opt->head.p, opt->head.len, SIZE_MAX) != 0) {
		free(q);
		return ERR_NOMEM;
	}
	q->hooks = h;
	q->to = *opt->to;
	q->done = opt->done;
	q->arg = opt->arg;
	q->deadline = (struct ev_timer){.fn = guard_hook_on_deadline, .arg = q};
	q->start = (struct ev_task){.fn = guard_hook_on_start, .arg = q};
	ev_timer_set(h->ev, &q->deadline, GUARD_HOOK_MS);
	ev_task_run(h->ev, &q->start);
	h->n_asks++;
	*out = q;
	return 0;
}

/* ---- life ---- */

int guard_hooks_new(struct ev *ev, struct hook_net *net, struct guard_hooks **out)
{
	static const struct idle_limits limits = {.per_key = GUARD_HOOK_IDLE_PER_URL,
						  .total = GUARD_HOOK_IDLE_TOTAL,
						  .ms = GUARD_HOOK_IDLE_MS};
	struct guard_hooks *h = calloc(1, sizeof *h);
	int e;

	if (h == NULL)
		return ERR_NOMEM;
	h->ev = ev;
	h->net = net;
	ev_random(ev, h->seed, sizeof h->seed);
	if ((e = idle_new(ev, &limits, &h->idle)) != 0) {
		free(h);
		return e;
	}
	*out = h;
	return 0;
}

void guard_hooks_free(struct guard_hooks *h)
{
	if (h == NULL)
		return;
	CHECK(h->n_asks == 0);
	idle_free(h->idle);
	ev_free_later(h->ev, h);
}
