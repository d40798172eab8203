/* Newline-separated text with bounds on both sides. */
#include "session/lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

struct lines {
	struct ev *ev;
	struct wire *wire; /* owned; NULL before lines_start() */
	struct lines_opt opt;
	struct buf rx, tx;
	struct ev_task run;
	bool ended, closed;
};

static void lines_end(struct lines *l, int why)
{
	if (l->ended)
		return;
	l->ended = true;
	wire_want(l->wire, 0);
	l->opt.ended(l->opt.arg, why);
}

static int lines_flush(struct lines *l)
{
	int e = wire_write_buf(l->wire, &l->tx);

	if (e != 0)
		return e;
	wire_want(l->wire, WIRE_READ | (l->tx.len > 0 ? WIRE_WRITE : 0));
	return 0;
}

/* Hand out every whole line; one that is begun stays. */
static int lines_split(struct lines *l)
{
	for (;;) {
		struct str all = buf_str(&l->rx);
		size_t n = str_find(all, '\n');

		if (n == all.len)
			return all.len > l->opt.line_max ? ERR_TOOBIG : 0;
		if (n > l->opt.line_max)
			return ERR_TOOBIG;
		l->opt.line(l->opt.arg, (struct str){all.p, n});
		if (l->ended || l->closed)
			return 0;
		buf_take(&l->rx, n + 1);
	}
}

static int lines_fill(struct lines *l)
{
	struct str in;
	int e;

	for (;;) {
		if ((e = wire_read(l->wire, l->opt.line_max + 1, &in)) != 0)
			return e == ERR_AGAIN ? 0 : e;
		if ((e = buf_add(&l->rx, in.p, in.len, 2 * (l->opt.line_max + 1))) != 0 ||
		    (e = lines_split(l)) != 0)
			return e;
		if (l->ended || l->closed)
			return 0;
	}
}

static void lines_on_ready(void *arg, struct wire *w, int events)
{
	struct lines *l = arg;
	int e = 0;

	if (l->ended)
		return;
	if (events & WIRE_READ)
		e = lines_fill(l);
	if (l->closed || l->ended)
		return;
	if (e == 0)
		e = lines_flush(l);
	if (e != 0)
		lines_end(l, e);
}

static void lines_on_broken(void *arg, struct wire *w, int why)
{
	lines_end(arg, why);
}

static void lines_on_run(void *arg)
{
	struct lines *l = arg;

	if (l->wire != NULL)
		lines_on_ready(l, l->wire, WIRE_READ);
}

static const struct wire_owner lines_owner = {lines_on_ready, lines_on_broken};

int lines_new(struct ev *ev, const struct lines_opt *opt, struct lines **out)
{
	struct lines *l = calloc(1, sizeof *l);

	if (l == NULL)
		return ERR_NOMEM;
	l->ev = ev;
	l->opt = *opt;
	l->run = (struct ev_task){.fn = lines_on_run, .arg = l};
	*out = l;
	return 0;
}

void lines_start(struct lines *l, struct wire *w)
{
	CHECK(l->wire == NULL && !l->closed);
	l->wire = w;
	wire_own(w, &lines_owner, l);
	ev_task_run(l->ev, &l->run);
}

bool lines_started(const struct lines *l)
{
	return l->wire != NULL;
}

int lines_send(struct lines *l, struct str line)
{
	int e;

	if (line.len > l->opt.line_max)
		return ERR_TOOBIG;
	if (str_find(line, '\n') != line.len)
		return ERR_INVAL;
	if (l->tx.len + line.len + 1 > LINES_QUEUE_MAX)
		return ERR_LIMIT;
	if ((e = buf_add(&l->tx, line.p, line.len, LINES_QUEUE_MAX)) != 0 ||
	    (e = buf_add(&l->tx, "\n", 1, LINES_QUEUE_MAX)) != 0)
		return e;
	if (!l->ended)
		ev_task_run(l->ev, &l->run);
	return 0;
}

void lines_push(struct lines *l)
{
	if (l->wire != NULL && !l->ended)
		(void)!lines_flush(l);
}

void lines_close(struct lines *l)
{
	if (l == NULL)
		return;
	ev_task_cancel(&l->run);
	wire_close(l->wire, 0);
	l->wire = NULL;
	l->ended = l->closed = true;
	buf_free(&l->rx);
	buf_free(&l->tx);
	ev_free_later(l->ev, l);
}
