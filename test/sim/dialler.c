/* Every attempt takes its time, and may hang until its own deadline. */
#include "sim/dialler.h"

#include <stdlib.h>

#include "base/err.h"

/* How often an attempt that hangs looks again, and how long any takes at most, in milliseconds. */
#define LOOK_MS 250
#define DIAL_MS 100

struct agent_dial {
	struct dialler *dialler;
	struct agent_dial_opt opt;
	struct dial_to to;
	uint64_t deadline_ms;
	struct ev_timer timer;
};

static void dial_free(struct agent_dial *d)
{
	ev_timer_stop(d->dialler->stage->ev, &d->timer);
	free(d);
}

static void dial_answer(struct agent_dial *d, int e, struct wire *w)
{
	struct agent_dial_opt opt = d->opt;

	dial_free(d);
	opt.done(opt.arg, e, w);
}

static void dial_on_timer(void *arg)
{
	struct agent_dial *d = arg;
	struct dialler *from = d->dialler;
	enum dial_state state = from->look(from, &d->to);
	struct wire *w = NULL;

	if (state == DIAL_HANGS && ev_now_ms(from->stage->ev) < d->deadline_ms) {
		ev_timer_set(from->stage->ev, &d->timer, LOOK_MS);
		return;
	}
	if (state == DIAL_CONNECTS)
		w = from->connect(from, &d->to);
	dial_answer(d, w != NULL ? 0 : state == DIAL_HANGS ? ERR_TIMEOUT : ERR_REFUSED, w);
}

static int dialler_dial(struct agent_net *net, const struct agent_dial_opt *opt,
			struct agent_dial **out)
{
	struct dialler *from = (struct dialler *)net;
	struct ev *ev = from->stage->ev;
	struct agent_dial *d = must_calloc(1, sizeof *d);

	d->dialler = from;
	d->opt = *opt;
	d->opt.to = NULL;
	d->to = (struct dial_to){.server = opt->server, .port = opt->to->port};
	d->deadline_ms = ev_now_ms(ev) + opt->timeout_ms;
	d->timer = (struct ev_timer){.fn = dial_on_timer, .arg = d};
	ev_timer_set(ev, &d->timer, dice_length(&from->stage->dice, DIAL_MS));
	*out = d;
	return 0;
}

static const char *dialler_explain(struct agent_net *net, const struct url *to,
				   const struct wire *w)
{
	return "";
}

void dialler_init(struct dialler *d, struct stage *s)
{
	static const struct agent_net_ops ops = {dialler_dial, dial_free, dialler_explain};

	d->net.ops = &ops;
	d->stage = s;
}
