/* A patient end: RFC 9112 9.6 describes why a server must not simply close. */
#include "wire/linger.h"

#include <stdlib.h>

#include "base/err.h"

struct linger {
	struct wire *wire; /* owned */
	struct ev_timer deadline;
	struct ev_task end; /* nobody else knows of us when the process ends */
	size_t left;
};

static void linger_end(struct linger *l)
{
	ev_timer_stop(l->wire->ev, &l->deadline);
	ev_task_cancel(&l->end);
	ev_free_later(l->wire->ev, l);
	wire_close(l->wire, 0);
}

static void linger_on_ready(void *arg, struct wire *w, int events)
{
	struct linger *l = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, EV_SCRATCH, &in)) == 0) {
		if (in.len >= l->left) {
			linger_end(l);
			return;
		}
		l->left -= in.len;
	}
	if (e != ERR_AGAIN)
		linger_end(l);
}

static void linger_on_broken(void *arg, struct wire *w, int why)
{
	linger_end(arg);
}

static void linger_on_deadline(void *arg)
{
	linger_end(arg);
}

static const struct wire_owner linger_owner = {linger_on_ready, linger_on_broken};

void wire_linger(struct wire *w, uint32_t ms, size_t max)
{
	struct linger *l = calloc(1, sizeof *l);

	wire_shut(w);
	if (l == NULL) {
		wire_close(w, 0);
		return;
	}
	l->wire = w;
	l->left = max;
	l->deadline = (struct ev_timer){.fn = linger_on_deadline, .arg = l};
	l->end = (struct ev_task){.fn = linger_on_deadline, .arg = l};
	wire_own(w, &linger_owner, l);
	wire_want(w, WIRE_READ);
	ev_timer_set(w->ev, &l->deadline, ms);
	ev_task_at_end(w->ev, &l->end);
}
