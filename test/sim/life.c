/* All that simulated machines do alike with the agents that run there. */
#include "sim/life.h"

static void life_on_bury(void *arg)
{
	life_release(arg);
}

void life_init(struct life *l, struct stage *s, unsigned host, unsigned number)
{
	dialler_init(&l->dialler, s);
	l->host = host;
	l->number = number;
	l->since_ms = ev_now_ms(s->ev);
	l->bury = (struct ev_task){.fn = life_on_bury, .arg = l};
}

void life_start(struct life *l, struct agent_opt *opt)
{
	struct stage *s = l->dialler.stage;

	opt->log = &s->log;
	opt->net = &l->dialler.net;
	stage_note(s, "run %u.%u starts", l->host, l->number);
	CHECK(agent_new(s->ev, opt, &l->agent) == 0);
}

void life_release(struct life *l)
{
	l->gone(l);
	ev_task_cancel(&l->bury);
	agent_free(l->agent);
	ev_free_later(l->dialler.stage->ev, l);
}

void life_bury(struct life *l)
{
	ev_task_run(l->dialler.stage->ev, &l->bury);
}

void life_stop(struct life *l, struct ev_timer *start, uint32_t back_ms)
{
	struct stage *s = l->dialler.stage;

	stage_note(s, "stop run %u.%u", l->host, l->number);
	l->stopping = true;
	agent_stop(l->agent);
	ev_timer_set(s->ev, start, AGENT_STOP_MS + 300 + back_ms);
}

void life_again(struct stage *s, struct ev_timer *start, uint32_t back_ms)
{
	/* A process that starts within the same millisecond has no newer epoch. */
	ev_timer_set(s->ev, start, 1 + back_ms);
}

void life_on_target(void *arg, const struct url *to, int e)
{
}
