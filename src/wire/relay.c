/* Two pumps and the rules of half-close. */
#include "wire/relay.h"

#include <stdlib.h>

#include "base/err.h"
#include "wire/pump.h"

struct relay {
	struct ev *ev;
	struct wire *a, *b; /* owned */
	struct pump ab, ba;
	struct ev_timer idle;
	struct ev_task start;
	uint32_t idle_ms;
	uint64_t idle_bytes; /* what was counted when the idle timer was last looked at */
	bool ab_shut, ba_shut, b_may_have_acted;
	void (*done)(void *arg, const struct relay_result *result);
	void *arg;
};

static void relay_release(struct relay *r, int why)
{
	ev_timer_stop(r->ev, &r->idle);
	ev_task_cancel(&r->start);
	pump_free(&r->ab);
	pump_free(&r->ba);
	wire_close(r->a, why != 0 && r->b_may_have_acted && r->ab.n_bytes > 0 ? ERR_RESET : why);
	wire_close(r->b, why);
	r->a = r->b = NULL;
	ev_free_later(r->ev, r);
}

static void relay_finish(struct relay *r, int why)
{
	struct relay_result result = {r->ab.n_bytes, r->ba.n_bytes, why};
	void (*done)(void *, const struct relay_result *) = r->done;
	void *arg = r->arg;

	relay_release(r, why);
	if (done != NULL)
		done(arg, &result);
}

void relay_carried(const struct relay *r, struct relay_result *out)
{
	*out = (struct relay_result){.a_to_b = r->ab.n_bytes, .b_to_a = r->ba.n_bytes};
}

void relay_close(struct relay *r, int why)
{
	if (r != NULL)
		relay_release(r, why);
}

/* Run both directions, pass an end on, and want what they need. */
static void relay_run(struct relay *r)
{
	pump_run(&r->ab);
	pump_run(&r->ba);
	if (r->ab.state == PUMP_FAILED || r->ba.state == PUMP_FAILED) {
		relay_finish(r, r->ab.state == PUMP_FAILED ? r->ab.e : r->ba.e);
		return;
	}
	if (r->ab.state == PUMP_EOF && !r->ab_shut) {
		wire_shut(r->b);
		r->ab_shut = true;
	}
	if (r->ba.state == PUMP_EOF && !r->ba_shut) {
		wire_shut(r->a);
		r->ba_shut = true;
	}
	if (r->ab_shut && r->ba_shut) {
		relay_finish(r, 0);
		return;
	}
	wire_want(r->a, (r->ab.want_read ? WIRE_READ : 0) | (r->ba.want_write ? WIRE_WRITE : 0));
	wire_want(r->b, (r->ba.want_read ? WIRE_READ : 0) | (r->ab.want_write ? WIRE_WRITE : 0));
}

static void relay_on_ready(void *arg, struct wire *w, int events)
{
	relay_run(arg);
}

/* One side is gone: what it had sent before is lost with it, as in TCP. */
static void relay_on_broken(void *arg, struct wire *w, int why)
{
	relay_finish(arg, why);
}

static void relay_on_start(void *arg)
{
	relay_run(arg);
}

static void relay_on_idle(void *arg)
{
	struct relay *r = arg;
	uint64_t bytes = r->ab.n_bytes + r->ba.n_bytes;

	if (bytes == r->idle_bytes) {
		relay_finish(r, ERR_TIMEOUT);
		return;
	}
	r->idle_bytes = bytes;
	ev_timer_set(r->ev, &r->idle, r->idle_ms);
}

static const struct wire_owner relay_owner = {relay_on_ready, relay_on_broken};

int relay_new(struct ev *ev, const struct relay_opt *opt, struct relay **out)
{
	struct relay *r = calloc(1, sizeof *r);

	CHECK(opt->first.len <= RELAY_FIRST_MAX && (opt->first.len == 0 || !opt->a_ended));
	if (r == NULL)
		return ERR_NOMEM;
	r->ev = ev;
	r->a = opt->a;
	r->b = opt->b;
	r->ab = (struct pump){.src = r->a,
			      .dst = r->b,
			      .left = UINT64_MAX,
			      .filter = opt->ab_filter,
			      .filter_arg = opt->filter_arg};
	if (opt->first.len > 0 &&
	    buf_add(&r->ab.pending, opt->first.p, opt->first.len, RELAY_FIRST_MAX) != 0) {
		free(r);
		return ERR_NOMEM;
	}
	if (opt->a_ended) {
		r->ab.state = PUMP_EOF;
		r->ab_shut = true;
	}
	r->ba = (struct pump){.src = r->b,
			      .dst = r->a,
			      .left = UINT64_MAX,
			      .filter = opt->ba_filter,
			      .filter_arg = opt->filter_arg};
	r->b_may_have_acted = opt->b_may_have_acted;
	r->done = opt->done;
	r->arg = opt->arg;
	r->idle_ms = opt->idle_ms;
	r->idle = (struct ev_timer){.fn = relay_on_idle, .arg = r};
	r->start = (struct ev_task){.fn = relay_on_start, .arg = r};
	wire_own(r->a, &relay_owner, r);
	wire_own(r->b, &relay_owner, r);
	ev_task_run(ev, &r->start);
	if (opt->idle_ms != 0)
		ev_timer_set(ev, &r->idle, opt->idle_ms);
	*out = r;
	return 0;
}
