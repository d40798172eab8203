/* Bytes come and go in small pieces here, and only here; afterwards a relay carries them. */
#include "agent/rforward_socks.h"

#include <stdlib.h>

#include "base/err.h"

struct rforward_socks {
	struct ev *ev;
	struct wire *w; /* owned */
	const struct rforward_socks_owner *owner;
	void *arg;
	struct ev_timer deadline;
	struct socks socks;
	struct buf in;	/* at most SOCKS_READ_MAX */
	struct buf out; /* two answers, each SOCKS_SAY_MAX at most */
	bool asked;	/* the request is there */
	bool ending;	/* all is said but what is in `out` */
	int e;		/* what it came to */
};

static void rforward_socks_release(struct rforward_socks *s)
{
	ev_timer_stop(s->ev, &s->deadline);
	buf_free(&s->in);
	buf_free(&s->out);
	ev_free_later(s->ev, s);
}

/* He was told that he is connected. */
static void rforward_socks_done(struct rforward_socks *s)
{
	struct buf in = s->in;

	s->in = (struct buf){0};
	rforward_socks_release(s);
	s->owner->over(s->arg, 0, s->w, buf_str(&in));
	buf_free(&in);
}

/* He is gone, or takes too long: nothing can be said. */
static void rforward_socks_fail(struct rforward_socks *s, int e)
{
	wire_close(s->w, e);
	rforward_socks_release(s);
	s->owner->over(s->arg, e, NULL, STR(""));
}

/* He was told why not: he sees an ordinary end behind it. */
static void rforward_socks_refused(struct rforward_socks *s)
{
	wire_shut(s->w);
	wire_close(s->w, 0);
	rforward_socks_release(s);
	s->owner->over(s->arg, s->e, NULL, STR(""));
}

static int rforward_socks_say(struct rforward_socks *s, const struct socks_say *say)
{
	return buf_add(&s->out, say->bytes, say->len, 2 * (size_t)SOCKS_SAY_MAX);
}

/* Send what waits, and be told what is needed next. Returns false when it is over. */
static bool rforward_socks_push(struct rforward_socks *s)
{
	int e = wire_write_buf(s->w, &s->out), want = s->out.len > 0 ? WIRE_WRITE : 0;

	if (e == 0 && (!s->ending || s->out.len > 0)) {
		wire_want(s->w, want | (s->asked || s->ending ? 0 : WIRE_READ));
		return true;
	}
	if (e != 0)
		rforward_socks_fail(s, e);
	else if (s->e != 0)
		rforward_socks_refused(s);
	else
		rforward_socks_done(s);
	return false;
}

/* It ends with e as soon as all was sent. */
static void rforward_socks_end(struct rforward_socks *s, int e)
{
	s->ending = true;
	s->e = e;
	(void)rforward_socks_push(s);
}

static void rforward_socks_ask(struct rforward_socks *s)
{
	struct url to = {.scheme = URL_TCP,
			 .kind = s->socks.kind,
			 .port = s->socks.port,
			 .path = "/"};

	str_printf(to.host, sizeof to.host, "%s", s->socks.host);
	s->asked = true;
	ev_timer_stop(s->ev, &s->deadline);
	if (rforward_socks_push(s))
		s->owner->asked(s->arg, &to);
}

/* Look at what has come so far. */
static void rforward_socks_look(struct rforward_socks *s)
{
	struct socks_say say;
	size_t used;
	int e = socks_read(&s->socks, buf_str(&s->in), &used, &say), no_room;

	buf_take(&s->in, used);
	if ((no_room = rforward_socks_say(s, &say)) != 0)
		rforward_socks_end(s, no_room);
	else if (e == 0)
		rforward_socks_ask(s);
	else if (e == ERR_AGAIN)
		(void)rforward_socks_push(s);
	else
		rforward_socks_end(s, e);
}

static void rforward_socks_on_ready(void *arg, struct wire *w, int events)
{
	struct rforward_socks *s = arg;
	struct str got;
	int e;

	if (!(events & WIRE_READ) || s->asked || s->ending) {
		(void)rforward_socks_push(s);
		return;
	}
	e = wire_read(w, SOCKS_READ_MAX - s->in.len, &got);
	if (e == ERR_AGAIN)
		return;
	if (e == 0)
		e = buf_add(&s->in, got.p, got.len, SOCKS_READ_MAX);
	if (e == 0)
		rforward_socks_look(s);
	else
		rforward_socks_fail(s, e);
}

static void rforward_socks_on_broken(void *arg, struct wire *w, int why)
{
	rforward_socks_fail(arg, why);
}

static const struct wire_owner rforward_socks_wire = {rforward_socks_on_ready,
						      rforward_socks_on_broken};

static void rforward_socks_on_deadline(void *arg)
{
	rforward_socks_fail(arg, ERR_TIMEOUT);
}

void rforward_socks_answer(struct rforward_socks *s, int e)
{
	struct socks_say say;
	int no_room;

	socks_answer(&s->socks, e, &say);
	ev_timer_set(s->ev, &s->deadline, RFORWARD_SOCKS_MS);
	no_room = rforward_socks_say(s, &say);
	rforward_socks_end(s, no_room != 0 ? no_room : e);
}

int rforward_socks_new(struct ev *ev, struct wire *w, const struct rforward_socks_owner *owner,
		       void *arg, struct rforward_socks **out)
{
	struct rforward_socks *s = calloc(1, sizeof *s);

	if (s == NULL)
		return ERR_NOMEM;
	*s = (struct rforward_socks){.ev = ev, .w = w, .owner = owner, .arg = arg};
	s->deadline = (struct ev_timer){.fn = rforward_socks_on_deadline, .arg = s};
	ev_timer_set(ev, &s->deadline, RFORWARD_SOCKS_MS);
	wire_own(w, &rforward_socks_wire, s);
	wire_want(w, WIRE_READ);
	*out = s;
	return 0;
}

void rforward_socks_free(struct rforward_socks *s, int why)
{
	if (s == NULL)
		return;
	wire_close(s->w, why);
	rforward_socks_release(s);
}
