/* Memory wires on a list, so that faults can find them. */
#include "sim/cable.h"

#include <stdlib.h>

#include "session/mux.h"
#include "sim/stage.h"
#include "wire/wire_mem.h"

/* Turns that the two ends may need beyond the silence itself, in milliseconds. */
#define OVERDUE_SLACK_MS 1500

static const char *const kinds[CABLE_KINDS] = {"session", "target", "visitor", "clerk"};

static void cable_on_gone(void *arg)
{
	struct cable *c = arg;

	ev_timer_stop(c->stage->ev, &c->thaw);
	ev_timer_stop(c->stage->ev, &c->overdue);
	list_del(&c->link);
	free(c);
}

static void cable_thaw(struct cable *c)
{
	ev_timer_stop(c->stage->ev, &c->thaw);
	ev_timer_stop(c->stage->ev, &c->overdue);
	wire_mem_freeze(c->end, false);
}

static void cable_on_thaw(void *arg)
{
	cable_thaw(arg);
}

static void cable_on_overdue(void *arg)
{
	struct cable *c = arg;

	stage_fail(c->stage, "a session on a silent cable of host %u is not given up", c->host);
}

/* As narrow as lets a body of a few 100 KB pass in seconds. */
static void cable_draw(struct dice *d, struct wire_mem_opt *opt)
{
	opt->delay_ms = dice_chance(d, 30) ? 0 : dice_length(d, 100);
	opt->cap = 1024 + dice_length(d, 256 * 1024);
	opt->cap = MAX(opt->cap, opt->delay_ms * (size_t)400);
	opt->max_write = dice_chance(d, 70) ? 0 : 300 + dice_length(d, 20000);
}

void cable_new(struct stage *s, enum cable_kind kind, unsigned host, struct wire **a,
	       struct wire **b)
{
	struct cable *c = must_calloc(1, sizeof *c);
	struct wire_mem_opt opt = {.gone = cable_on_gone, .arg = c};

	cable_draw(&s->dice, &opt);
	CHECK(wire_mem_pair(s->ev, &opt, a, b) == 0);
	c->stage = s;
	c->kind = kind;
	c->host = host;
	c->end = *a;
	c->thaw = (struct ev_timer){.fn = cable_on_thaw, .arg = c};
	c->overdue = (struct ev_timer){.fn = cable_on_overdue, .arg = c};
	list_push(&s->cables, &c->link);
}

struct cable *cable_pick(struct stage *s, enum cable_kind kind, unsigned host)
{
	struct cable *found = NULL;
	uint32_t n = 0;

	LIST_FOR_EACH (link, &s->cables) {
		struct cable *c = CONTAINER_OF(link, struct cable, link);

		if (c->kind == kind && (host == ANY_HOST || c->host == host) &&
		    dice_range(&s->dice, 0, n++) == 0)
			found = c;
	}
	return found;
}

void cable_cut(struct cable *c)
{
	stage_note(c->stage, "cut %s host=%u", kinds[c->kind], c->host);
	cable_thaw(c); /* the ends of a frozen one would not hear of it */
	wire_mem_cut(c->end);
}

void cable_freeze(struct cable *c, uint32_t ms)
{
	uint32_t overdue = MUX_DEAD_MS + MUX_PING_MS + OVERDUE_SLACK_MS;

	stage_note(c->stage, "freeze %s host=%u ms=%u", kinds[c->kind], c->host, ms);
	wire_mem_freeze(c->end, true);
	ev_timer_set(c->stage->ev, &c->thaw, ms);
	if (c->kind == CABLE_SESSION && ms > overdue && !ev_timer_is_set(&c->overdue))
		ev_timer_set(c->stage->ev, &c->overdue, overdue);
}

void cable_thaw_all(struct stage *s)
{
	LIST_FOR_EACH_SAFE (link, &s->cables)
		cable_thaw(CONTAINER_OF(link, struct cable, link));
}
