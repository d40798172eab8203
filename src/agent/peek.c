/*
 * Follows the framing of both directions with the same strict parsers as the server, on views of
 * the bytes; only a head that comes in pieces is copied, up to HTTP_HEAD_MAX.
 */
#include "agent/peek.h"

#include <stdlib.h>

#include "base/err.h"
#include "proto/http_body.h"
#include "proto/proxy_protocol.h"

enum peek_state {
	PEEK_HEAD, /* between two messages, or inside a head */
	PEEK_BODY,
};

struct peek_side {
	enum peek_state state;
	struct buf head; /* as far as it has come; empty while heads come whole */
	size_t scanned;
	struct http_body body;
	uint64_t n_body; /* content so far */
};

/* A request whose answer is not complete. */
struct peek_waiting {
	uint64_t start_ms;
	uint64_t up;
	enum http_method method;
	bool answered; /* status is known */
	unsigned status;
	char name[HTTP_METHOD_MAX + 1];
	char path[PEEK_PATH_MAX];
};

struct peek {
	struct ev *ev;
	void (*request)(void *arg, const struct peek_request *r);
	void *arg;
	struct peek_side up, down;
	/* Owned; the oldest first. The newest may still be sending its body. */
	struct peek_waiting *waiting[PEEK_WAITING_MAX];
	size_t n_waiting;
	bool begun;	/* the first bytes were seen: no PROXY header is to come */
	bool upgrading; /* the newest request may end HTTP: what follows it is not looked at */
	bool missed;	/* and something did follow */
	bool off;	/* looks no more */
};

/* The oldest request is over. */
static void peek_tell(struct peek *p, bool cut)
{
	struct peek_waiting *w = p->waiting[0];
	struct peek_request r = {.method = w->name,
				 .path = w->path,
				 .status = w->status,
				 .ms = ev_now_ms(p->ev) - w->start_ms,
				 .up = p->n_waiting == 1 ? p->up.n_body : w->up,
				 .down = p->down.n_body,
				 .cut = cut};

	p->n_waiting--;
	p->down.n_body = 0;
	for (size_t i = 0; i < p->n_waiting; i++)
		p->waiting[i] = p->waiting[i + 1];
	p->request(p->arg, &r);
	free(w);
}

static void peek_forget(struct peek *p)
{
	while (p->n_waiting > 0)
		free(p->waiting[--p->n_waiting]);
	buf_free(&p->up.head);
	buf_free(&p->down.head);
}

/* Not what we know how to follow. */
static void peek_look_away(struct peek *p)
{
	p->off = true;
	peek_forget(p);
}

/* ---- requests ---- */

static int peek_on_request(struct peek *p, const struct http_request *r)
{
	struct peek_waiting *w;

	if (p->n_waiting == PEEK_WAITING_MAX || (w = calloc(1, sizeof *w)) == NULL)
		return ERR_LIMIT;
	if (p->n_waiting > 0)
		p->waiting[p->n_waiting - 1]->up = p->up.n_body;
	p->up.n_body = 0;
	w->start_ms = ev_now_ms(p->ev);
	w->method = r->method;
	str_printf(w->name, sizeof w->name, STR_FMT, STR_ARG(r->method_name));
	str_printf(w->path, sizeof w->path, STR_FMT, STR_ARG(r->target));
	p->waiting[p->n_waiting++] = w;
	p->upgrading = r->head.upgrade.len > 0 || r->method == HTTP_CONNECT;
	http_body_init(&p->up.body, r->head.framing, r->head.content_length);
	return 0;
}

/* A PROXY header may stand before the first request. Returns ERR_PROTO if none does. */
static int peek_proxy_header(struct peek *p, struct str bytes, size_t *len)
{
	struct proxy_header h;
	int e = ERR_PROTO;

	if (!p->begun && bytes.len > 0 && (bytes.p[0] == 'P' || bytes.p[0] == '\r'))
		e = proxy_protocol_parse(bytes, &h, len);
	p->begun = e != ERR_AGAIN;
	if (e == 0)
		http_body_init(&p->up.body, HTTP_BODY_NONE, 0);
	return e;
}

static int peek_request_head(struct peek *p, struct str bytes, size_t *len)
{
	struct http_request r;
	int e = peek_proxy_header(p, bytes, len);

	if (e == 0 || e == ERR_AGAIN)
		return e;
	e = http_request_parse(bytes, &p->up.scanned, &r);
	if (e != 0)
		return e;
	*len = r.head.len;
	return peek_on_request(p, &r);
}

/* ---- answers ---- */

static int peek_response_head(struct peek *p, struct str bytes, size_t *len)
{
	struct peek_waiting *w = p->n_waiting > 0 ? p->waiting[0] : NULL;
	struct http_response r;
	int e;

	if (w == NULL)
		return ERR_PROTO; /* an answer that nobody asked for */
	if ((e = http_response_parse(bytes, w->method, &p->down.scanned, &r)) != 0)
		return e;
	*len = r.head.len;
	p->down.n_body = 0;
	http_body_init(&p->down.body, HTTP_BODY_NONE, 0);
	if (r.status < 200 && r.status != 101)
		return 0; /* interim: the final one is still to come */
	w->status = r.status;
	w->answered = true;
	if (r.head.framing == HTTP_BODY_TUNNEL) {
		peek_tell(p, false);
		return ERR_EOF; /* HTTP ends here */
	}
	http_body_init(&p->down.body, r.head.framing, r.head.content_length);
	return 0;
}

/* A message of this side is complete. */
static void peek_on_end(struct peek *p, struct peek_side *s)
{
	s->state = PEEK_HEAD;
	if (s != &p->down || !p->waiting[0]->answered)
		return;
	peek_tell(p, false);
	if (p->n_waiting == 0) { /* HTTP goes on after all */
		p->upgrading = false;
		if (p->missed)
			peek_look_away(p);
	}
}

/* ---- both ---- */

/* Take (a part of) a head from `in`. Returns 0 also when more must come. */
static int peek_head(struct peek *p, struct peek_side *s, struct str *in)
{
	size_t before = s->head.len, len = 0;
	struct str bytes = *in;
	int e;

	if (before > 0) { /* in pieces: take in no more than a head can have */
		bytes.len = MIN(bytes.len, HTTP_HEAD_MAX - before);
		if ((e = buf_add(&s->head, bytes.p, bytes.len, HTTP_HEAD_MAX)) != 0)
			return e;
		bytes = buf_str(&s->head);
	}
	e = s == &p->up ? peek_request_head(p, bytes, &len) : peek_response_head(p, bytes, &len);
	if (e == ERR_AGAIN) {
		if (before == 0)
			e = buf_add(&s->head, in->p, in->len, HTTP_HEAD_MAX);
		else
			e = 0;
		*in = (struct str){in->p + in->len, 0};
		return e;
	}
	if (e != 0)
		return e;
	*in = (struct str){in->p + (len - before), in->len - (len - before)};
	buf_free(&s->head);
	s->scanned = 0;
	s->state = PEEK_BODY;
	return 0;
}

static int peek_body(struct peek_side *s, struct str *in)
{
	struct str data;
	int e = 0;

	while (e == 0 && !s->body.done && in->len > 0) {
		e = http_body_next(&s->body, in, &data);
		s->n_body += data.len;
	}
	return e;
}

static void peek_watch(struct peek *p, struct peek_side *s, struct str in)
{
	int e = 0;

	while (e == 0 && in.len > 0 && !p->off) {
		if (s == &p->up && s->state == PEEK_HEAD && p->upgrading) {
			p->missed = true;
			return;
		}
		if (s->state == PEEK_HEAD)
			e = peek_head(p, s, &in);
		if (e == 0 && s->state == PEEK_BODY)
			e = peek_body(s, &in);
		if (e == 0 && s->state == PEEK_BODY && s->body.done)
			peek_on_end(p, s);
	}
	if (e != 0)
		peek_look_away(p);
}

/* The target has finished sending: an answer without a length is complete now. */
static void peek_on_eof(struct peek *p)
{
	if (p->down.state == PEEK_BODY && http_body_eof(&p->down.body) == 0)
		peek_on_end(p, &p->down);
}

static void peek_pass(struct str *in, struct pump_out *out)
{
	out->n_iov = 0;
	if (in->len == 0)
		return;
	out->iov[out->n_iov++] =
		(struct iovec){.iov_base = (char *)(uintptr_t)in->p, .iov_len = in->len};
	*in = (struct str){in->p + in->len, 0};
}

int peek_up(void *arg, struct str *in, struct pump_out *out, bool *end)
{
	struct peek *p = arg;

	if (!p->off && in->len > 0)
		peek_watch(p, &p->up, *in);
	peek_pass(in, out);
	return 0;
}

int peek_down(void *arg, struct str *in, struct pump_out *out, bool *end)
{
	struct peek *p = arg;

	if (!p->off && in->p == NULL)
		peek_on_eof(p);
	else if (!p->off)
		peek_watch(p, &p->down, *in);
	peek_pass(in, out);
	return 0;
}

int peek_new(struct ev *ev, void (*request)(void *arg, const struct peek_request *r), void *arg,
	     struct peek **out)
{
	struct peek *p = calloc(1, sizeof *p);

	if (p == NULL)
		return ERR_NOMEM;
	*p = (struct peek){.ev = ev, .request = request, .arg = arg};
	*out = p;
	return 0;
}

void peek_free(struct peek *p)
{
	if (p == NULL)
		return;
	while (p->n_waiting > 0)
		peek_tell(p, true);
	peek_forget(p);
	ev_free_later(p->ev, p);
}
