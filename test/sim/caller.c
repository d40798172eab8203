/* An HTTP client as simple as can be: one connection a call. */
#include "sim/caller.h"

#include <string.h>

#include "base/err.h"
#include "proto/http_head.h"

#define AGAIN_MS 300
/* The API must answer within so long, whatever happens to the nodes meanwhile. */
#define BOUND_MS 60000
#define BODY_MAX 65536

static void caller_hang_up(struct caller *c)
{
	if (c->wire != NULL)
		wire_close(c->wire, 0);
	c->wire = NULL;
	buf_free(&c->in);
	buf_free(&c->out);
	c->scanned = 0;
	ev_timer_stop(c->stage->ev, &c->again);
}

static void caller_lose(struct caller *c)
{
	struct call call = {0};

	caller_hang_up(c);
	if (ev_now_ms(c->stage->ev) - c->since_ms > BOUND_MS) {
		c->ask(c->arg, &call);
		stage_fail(c->stage, "the API has not answered %s %s", call.method, call.path);
	}
	ev_timer_set(c->stage->ev, &c->again, AGAIN_MS);
}

static void caller_on_answer(struct caller *c, unsigned status, struct str body)
{
	/* 503: it is going down */
	if (status == 503 || !c->answered(c->arg, status, body)) {
		caller_lose(c);
		return;
	}
	c->busy = false;
	caller_hang_up(c);
}

/* Returns false when the call is over. */
static bool caller_read(struct caller *c)
{
	struct http_response res;
	struct str in, body;
	int e;

	while ((e = wire_read(c->wire, BODY_MAX, &in)) == 0)
		CHECK(buf_add(&c->in, in.p, in.len, SIZE_MAX) == 0);
	if (c->in.len > 0 &&
	    http_response_parse(buf_str(&c->in), HTTP_GET, &c->scanned, &res) == 0 &&
	    c->in.len >= res.head.len + res.head.content_length) {
		body = (struct str){buf_str(&c->in).p + res.head.len,
				    (size_t)res.head.content_length};
		caller_on_answer(c, res.status, body);
		return false;
	}
	if (e != ERR_AGAIN)
		caller_lose(c);
	return e == ERR_AGAIN;
}

static void caller_run(struct caller *c)
{
	(void)!wire_write_buf(c->wire, &c->out);
	if (caller_read(c))
		wire_want(c->wire, WIRE_READ | (c->out.len > 0 ? WIRE_WRITE : 0));
}

static void caller_on_ready(void *arg, struct wire *w, int events)
{
	caller_run(arg);
}

static void caller_on_broken(void *arg, struct wire *w, int why)
{
	caller_lose(arg);
}

static const struct wire_owner caller_owner = {caller_on_ready, caller_on_broken};

static void caller_write(struct caller *c, const struct call *call)
{
	CHECK(buf_printf(&c->out, BODY_MAX,
			 "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
			 "Connection: close\r\n",
			 call->method, call->path, c->host, call->token) == 0);
	if (call->body[0] != '\0')
		CHECK(buf_printf(&c->out, BODY_MAX,
				 "Content-Type: application/json\r\nContent-Length: %zu\r\n",
				 strlen(call->body)) == 0);
	CHECK(buf_printf(&c->out, BODY_MAX, "\r\n%s", call->body) == 0);
}

static void caller_try(void *arg)
{
	struct caller *c = arg;
	struct call call = {0};

	if ((c->wire = c->dial(c->arg)) == NULL) {
		caller_lose(c);
		return;
	}
	c->n_tries++;
	c->ask(c->arg, &call);
	caller_write(c, &call);
	wire_own(c->wire, &caller_owner, c);
	caller_run(c);
}

void caller_init(struct caller *c)
{
	c->again = (struct ev_timer){.fn = caller_try, .arg = c};
}

void caller_begin(struct caller *c)
{
	c->busy = true;
	c->n_tries = 0;
	c->since_ms = ev_now_ms(c->stage->ev);
	ev_timer_set(c->stage->ev, &c->again, 0);
}

void caller_end(struct caller *c)
{
	caller_hang_up(c);
	c->busy = false;
}
