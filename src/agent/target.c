/* One visit: dial while the visitor's bytes wait, then relay. */
#include "agent/target.h"

#include <stdlib.h>

#include "base/err.h"
#include "wire/relay.h"

struct targets {
	struct ev *ev;
	struct targets_opt opt;
	struct list visits;
	size_t n_visits;
};

struct target_visit {
	struct targets *all;	 /* borrowed: ends its visits before it goes */
	struct target *target;	 /* borrowed: its n_visits holds it, or it lives as long as `all` */
	struct list link;	 /* in all->visits */
	struct list of_tally;	 /* in target->tally->visits, if that counts */
	struct wire *stream;	 /* owned until the relay has it */
	struct agent_dial *dial; /* owned while connecting */
	struct relay *relay;	 /* owned afterwards */
	struct peek *peek;	 /* owned; NULL when nobody watches */
	bool http;		 /* it came through the door for HTTP */
	struct visit_end visitor;
	uint64_t since_ms;
	uint64_t up, down; /* bytes, when it is over */
};

/* ---- targets and what they count ---- */

struct target_tally {
	size_t n_targets;	   /* that share it; the last one frees it */
	uint64_t served, up, down; /* of visits that are over, but `served` of all */
	size_t visitors;
	struct list visits; /* of target_visit.of_tally */
};

int target_new(const struct url *to, bool insecure, struct target *before, struct target **out)
{
	struct target *t = calloc(1, sizeof *t);

	if (t == NULL)
		return ERR_NOMEM;
	t->to = *to;
	t->insecure = insecure;
	if (before != NULL) {
		t->tally = before->tally;
	} else if ((t->tally = calloc(1, sizeof *t->tally)) == NULL) {
		free(t);
		return ERR_NOMEM;
	} else {
		list_init(&t->tally->visits);
	}
	t->tally->n_targets++;
	*out = t;
	return 0;
}

/* Nobody has it any more. */
static void target_free(struct ev *ev, struct target *t)
{
	if (--t->tally->n_targets == 0)
		ev_free_later(ev, t->tally);
	ev_free_later(ev, t);
}

void target_drop(struct ev *ev, struct target *t)
{
	if (t == NULL)
		return;
	CHECK(t->tally != NULL && !t->dropped);
	t->dropped = true;
	if (t->n_visits == 0)
		target_free(ev, t);
}

void target_count(const struct target *t, struct target_count *out)
{
	const struct target_tally *n = t->tally;

	*out = (struct target_count){0};
	if (n == NULL)
		return;
	*out = (struct target_count){n->visitors, n->served, n->up, n->down};
	LIST_FOR_EACH (link, &n->visits) {
		struct target_visit *v = CONTAINER_OF(link, struct target_visit, of_tally);
		struct relay_result r = {0};

		if (v->relay != NULL)
			relay_carried(v->relay, &r);
		out->up += r.a_to_b;
		out->down += r.b_to_a;
	}
}

/* A visit comes to its target. */
static void target_enter(struct target_visit *v)
{
	struct target_tally *n = v->target->tally;

	v->target->n_visits++;
	if (n == NULL)
		return;
	n->visitors++;
	n->served++;
	list_push(&n->visits, &v->of_tally);
}

static void target_leave(struct target_visit *v)
{
	struct target_tally *n = v->target->tally;

	if (n != NULL) {
		n->visitors--;
		n->up += v->up;
		n->down += v->down;
		list_del(&v->of_tally);
	}
	if (--v->target->n_visits == 0 && v->target->dropped)
		target_free(v->all->ev, v->target);
}

/* ---- a visit ---- */

static void target_tell_connection(struct target_visit *v, int why)
{
	struct targets *ts = v->all;
	struct target_connection c = {.visitor = &v->visitor,
				      .to = &v->target->to,
				      .ms = ev_now_ms(ts->ev) - v->since_ms,
				      .up = v->up,
				      .down = v->down,
				      .why = why};

	if (!v->http && ts->opt.connection != NULL)
		ts->opt.connection(ts->opt.arg, &c);
}

/* why: 0 or an ERR_*, as the visitor's side learns it. */
static void target_release(struct target_visit *v, int why)
{
	struct targets *ts = v->all;

	target_leave(v);
	target_tell_connection(v, why);
	agent_net_cancel(v->all->opt.net, v->dial);
	relay_close(v->relay, why);
	wire_close(v->stream, why);
	peek_free(v->peek);
	list_del(&v->link);
	ev_free_later(ts->ev, v);
	if (--ts->n_visits == 0 && ts->opt.idle != NULL)
		ts->opt.idle(ts->opt.arg);
}

/* What a visitor's side may learn about a failed connect: never what only means something here. */
static int target_public_error(int e)
{
	switch (e) {
	case ERR_REFUSED:
	case ERR_TIMEOUT:
	case ERR_UNREACH:
	case ERR_RESOLVE:
	case ERR_DENIED:
	case ERR_TLS:
	case ERR_CERT:
	case ERR_NOFILE:
	case ERR_NOMEM: return e;
	case ERR_NOTFOUND: return ERR_REFUSED; /* a socket's path that does not exist */
	default: return ERR_TARGET;
	}
}

static void target_note(struct target_visit *v, int e)
{
	struct targets *ts = v->all;

	if (v->target->e != e && ts->opt.state != NULL && !v->target->dropped &&
	    (v->target->e == 0) != (e == 0))
		ts->opt.state(ts->opt.arg, &v->target->to, e);
	v->target->e = e;
}

static void target_on_relayed(void *arg, const struct relay_result *result)
{
	struct target_visit *v = arg;
	bool tls_failed = result->why == ERR_TLS || result->why == ERR_CERT;

	v->relay = NULL;
	v->up = result->a_to_b;
	v->down = result->b_to_a;
	if (url_is_tls(&v->target->to) && (tls_failed || result->b_to_a > 0))
		target_note(v, tls_failed ? result->why : 0);
	target_release(v, result->why); /* the relay has closed both wires */
}

static void target_on_request(void *arg, const struct peek_request *r)
{
	struct target_visit *v = arg;

	v->all->opt.request(v->all->opt.arg, r);
}

static int target_relay(struct target_visit *v, struct wire *target)
{
	struct relay_opt opt = {.a = v->stream,
				.b = target,
				.done = target_on_relayed,
				.arg = v,
				.b_may_have_acted = true};
	int e;

	if (v->http && v->all->opt.request != NULL) {
		if ((e = peek_new(v->all->ev, target_on_request, v, &v->peek)) != 0)
			return e;
		opt.ab_filter = peek_up;
		opt.ba_filter = peek_down;
		opt.filter_arg = v->peek;
	}
	if ((e = relay_new(v->all->ev, &opt, &v->relay)) == 0)
		v->stream = NULL;
	return e;
}

static void target_on_dialled(void *arg, int e, struct wire *w)
{
	struct target_visit *v = arg;

	v->dial = NULL;
	if (e != 0 || !url_is_tls(&v->target->to)) /* else the handshake is still to come */
		target_note(v, e);
	if (e == 0 && (e = target_relay(v, w)) != 0)
		wire_close(w, e);
	if (e != 0)
		target_release(v, target_public_error(e));
}

static void target_on_ready(void *arg, struct wire *w, int events)
{
}

/* The visitor left while we were still connecting. */
static void target_on_broken(void *arg, struct wire *w, int why)
{
	target_release(arg, why);
}

static const struct wire_owner target_waiting = {target_on_ready, target_on_broken};

void targets_serve(struct targets *ts, struct target *t, const struct visit *visit, struct wire *w)
{
	struct agent_dial_opt opt = {.to = &t->to,
				     .insecure = t->insecure,
				     .timeout_ms = TARGET_TIMEOUT_MS,
				     .v4_first = &t->v4_first,
				     .done = target_on_dialled};
	struct target_visit *v = NULL;
	int e;

	if (ts->n_visits >= TARGET_VISITS_MAX) {
		wire_close(w, ERR_LIMIT);
		return;
	}
	if ((v = calloc(1, sizeof *v)) == NULL) {
		wire_close(w, ERR_NOMEM);
		return;
	}
	*v = (struct target_visit){.all = ts,
				   .target = t,
				   .stream = w,
				   .http = visit->ingress == VISIT_HTTP,
				   .visitor = visit->visitor,
				   .since_ms = ev_now_ms(ts->ev)};
	list_push(&ts->visits, &v->link);
	ts->n_visits++;
	target_enter(v);
	wire_own(w, &target_waiting, v);
	wire_want(w, 0);
	opt.arg = v;
	if ((e = agent_net_dial(ts->opt.net, &opt, &v->dial)) != 0)
		target_release(v, e);
}

size_t targets_running(const struct targets *ts)
{
	return ts->n_visits;
}

int targets_new(struct ev *ev, const struct targets_opt *opt, struct targets **out)
{
	struct targets *ts = calloc(1, sizeof *ts);

	if (ts == NULL)
		return ERR_NOMEM;
	*ts = (struct targets){.ev = ev, .opt = *opt};
	list_init(&ts->visits);
	*out = ts;
	return 0;
}

void targets_free(struct targets *ts)
{
	if (ts == NULL)
		return;
	ts->opt.idle = NULL;
	LIST_FOR_EACH_SAFE (link, &ts->visits)
		target_release(CONTAINER_OF(link, struct target_visit, link), ERR_CLOSED);
	ev_free_later(ts->ev, ts);
}
