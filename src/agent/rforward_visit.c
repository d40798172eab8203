/* One visit: hear where to if it is not known, dial, confirm, relay. */
#include "agent/rforward_visit.h"

#include <stdlib.h>

#include "agent/rforward_socks.h"
#include "base/err.h"
#include "wire/relay.h"

struct rforward_visits {
	struct ev *ev;
	struct rforward_visits_opt opt;
	struct list visits;
	size_t n_visits;
};

struct rforward_visit {
	struct rforward_visits *all; /* borrowed: ends its visits before it goes */
	struct list link;	     /* in all->visits */
	struct target *target;	     /* borrowed: outlives the visits; NULL: said by SOCKS */
	struct url to;
	struct wire *stream;	      /* owned until SOCKS or the relay has it */
	struct rforward_socks *socks; /* owned; NULL without SOCKS, and when it is over */
	struct agent_dial *dial;      /* owned while connecting */
	struct wire *near;	      /* owned: the target, while SOCKS tells of it */
	struct relay *relay;	      /* owned afterwards */
	struct visit_end visitor;
	uint64_t since_ms;
	uint64_t up, down; /* bytes, when it is over */
};

/* A visitor who has not said where to is no connection that anybody wants to hear of. */
static void rforward_visit_tell(struct rforward_visit *v, int why)
{
	struct rforward_visits *vs = v->all;
	struct target_connection c = {.visitor = &v->visitor,
				      .to = &v->to,
				      .ms = ev_now_ms(vs->ev) - v->since_ms,
				      .up = v->up,
				      .down = v->down,
				      .why = why};

	if (v->to.port != 0 || v->to.scheme == URL_UNIX)
		if (vs->opt.connection != NULL)
			vs->opt.connection(vs->opt.arg, &c);
}

/* why: 0 or an ERR_*, as the visitor's side learns it. */
static void rforward_visit_release(struct rforward_visit *v, int why)
{
	struct rforward_visits *vs = v->all;
	struct relay_result carried;

	if (v->relay != NULL) {
		relay_carried(v->relay, &carried);
		v->up = carried.a_to_b;
		v->down = carried.b_to_a;
	}
	rforward_visit_tell(v, why);
	agent_net_cancel(vs->opt.net, v->dial);
	rforward_socks_free(v->socks, why);
	relay_close(v->relay, why);
	wire_close(v->near, why);
	wire_close(v->stream, why);
	list_del(&v->link);
	vs->n_visits--;
	ev_free_later(vs->ev, v);
}

/* ---- relaying ---- */

static void rforward_visit_on_relayed(void *arg, const struct relay_result *result)
{
	struct rforward_visit *v = arg;

	v->relay = NULL;
	v->up = result->a_to_b;
	v->down = result->b_to_a;
	rforward_visit_release(v, result->why); /* the relay has closed both wires */
}

static void rforward_visit_relay(struct rforward_visit *v, struct wire *target, struct str first)
{
	struct relay_opt opt = {.a = v->stream,
				.b = target,
				.done = rforward_visit_on_relayed,
				.arg = v,
				.first = first,
				.b_may_have_acted = true};
	int e = relay_new(v->all->ev, &opt, &v->relay);

	if (e == 0) {
		v->stream = NULL;
		return;
	}
	wire_close(target, e);
	rforward_visit_release(v, e);
}

/* ---- connecting ---- */

static void rforward_visit_note(struct rforward_visit *v, int e)
{
	struct rforward_visits_opt *opt = &v->all->opt;

	if (v->target == NULL)
		return;
	if (opt->state != NULL && (v->target->e == 0) != (e == 0))
		opt->state(opt->arg, &v->to, e);
	v->target->e = e;
}

static void rforward_visit_on_dialled(void *arg, int e, struct wire *w)
{
	struct rforward_visit *v = arg;

	v->dial = NULL;
	rforward_visit_note(v, e);
	if (v->socks != NULL) {
		v->near = w;
		rforward_socks_answer(v->socks, e);
	} else if (e == 0) {
		v->all->opt.accept(v->stream);
		rforward_visit_relay(v, w, STR(""));
	} else {
		rforward_visit_release(v, e);
	}
}

/* Returns 0 or ERR_NOMEM. */
static int rforward_visit_dial(struct rforward_visit *v)
{
	struct agent_dial_opt opt = {.to = &v->to,
				     .timeout_ms = TARGET_TIMEOUT_MS,
				     .v4_first = v->target == NULL ? NULL : &v->target->v4_first,
				     .done = rforward_visit_on_dialled,
				     .arg = v};

	return agent_net_dial(v->all->opt.net, &opt, &v->dial);
}

static void rforward_visit_on_ready(void *arg, struct wire *w, int events)
{
}

/* The visitor left while we were still connecting. */
static void rforward_visit_on_broken(void *arg, struct wire *w, int why)
{
	rforward_visit_release(arg, why);
}

static const struct wire_owner rforward_visit_waiting = {rforward_visit_on_ready,
							 rforward_visit_on_broken};

/* ---- SOCKS ---- */

static void rforward_visit_on_asked(void *arg, const struct url *to)
{
	struct rforward_visit *v = arg;
	int e;

	v->to = *to;
	if ((e = rforward_visit_dial(v)) != 0)
		rforward_socks_answer(v->socks, e);
}

static void rforward_visit_on_over(void *arg, int e, struct wire *w, struct str first)
{
	struct rforward_visit *v = arg;
	struct wire *near = NULL;

	v->socks = NULL;
	v->stream = w;
	if (e != 0) {
		rforward_visit_release(v, e);
		return;
	}
	MOVE(near, v->near);
	rforward_visit_relay(v, near, first);
}

static const struct rforward_socks_owner rforward_visit_socks = {rforward_visit_on_asked,
								 rforward_visit_on_over};

/* ---- all of them ---- */

void rforward_visits_serve(struct rforward_visits *vs, struct target *t, const struct visit *visit,
			   struct wire *w)
{
	struct rforward_visit *v = NULL;
	int e;

	if (vs->n_visits >= RFORWARD_VISITS_MAX || (v = calloc(1, sizeof *v)) == NULL) {
		wire_close(w, vs->n_visits >= RFORWARD_VISITS_MAX ? ERR_LIMIT : ERR_NOMEM);
		return;
	}
	*v = (struct rforward_visit){.all = vs,
				     .target = t,
				     .stream = w,
				     .visitor = visit->visitor,
				     .since_ms = ev_now_ms(vs->ev)};
	list_push(&vs->visits, &v->link);
	vs->n_visits++;
	if (t == NULL) {
		vs->opt.accept(w);
		e = rforward_socks_new(vs->ev, w, &rforward_visit_socks, v, &v->socks);
		v->stream = e == 0 ? NULL : w;
	} else {
		v->to = t->to;
		wire_own(w, &rforward_visit_waiting, v);
		wire_want(w, 0);
		e = rforward_visit_dial(v);
	}
	if (e != 0)
		rforward_visit_release(v, e);
}

size_t rforward_visits_running(const struct rforward_visits *vs)
{
	return vs->n_visits;
}

int rforward_visits_new(struct ev *ev, const struct rforward_visits_opt *opt,
			struct rforward_visits **out)
{
	struct rforward_visits *vs = calloc(1, sizeof *vs);

	if (vs == NULL)
		return ERR_NOMEM;
	*vs = (struct rforward_visits){.ev = ev, .opt = *opt};
	list_init(&vs->visits);
	*out = vs;
	return 0;
}

void rforward_visits_free(struct rforward_visits *vs)
{
	if (vs == NULL)
		return;
	LIST_FOR_EACH_SAFE (link, &vs->visits)
		rforward_visit_release(CONTAINER_OF(link, struct rforward_visit, link), ERR_CLOSED);
	ev_free_later(vs->ev, vs);
}
