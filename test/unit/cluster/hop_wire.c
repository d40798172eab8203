/* Wires that wait for their streams: the suite before, while and after these come. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cluster/hop_wire.h"
#include "session/mux.h"
#include "suite/wire_suite.h"
#include "wire/wire_mem.h"

static const struct visit a_visit = {.ingress = VISIT_TCP, .tunnel = "demo"};

/* ---- the suite ---- */

struct kind {
	struct wire_mem_opt mem;
	uint32_t join_ms;
	bool mux;  /* the stream is one of a session, and memory its carrier */
	bool swap; /* it is the suite's b */
};

struct rig {
	struct ev *ev;
	struct hop_waiters waiters;
	struct wire *stream; /* until somebody takes it */
	struct ev_timer join;
	struct mux_budget budget;
	struct session *node, *agent;
	struct wire *far; /* the agent's end of the stream */
};

static void rig_on_join(void *arg)
{
	struct rig *r = arg;
	struct hop_wire *h = hop_waiters_first(&r->waiters);

	if (h == NULL)
		return;
	assert_string_equal(hop_wire_visit(h)->tunnel, "demo");
	hop_wire_join(h, r->stream);
	r->stream = NULL;
}

static void rig_on_visit(void *arg, struct session *s, const struct visit *visit, struct wire *w)
{
	((struct rig *)arg)->far = w;
}

static void rig_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	fail_msg("a session ends by itself: %s", err_name(why));
}

static const struct session_owner rig_owner = {.visit = rig_on_visit, .closed = rig_on_closed};

/* A stream, and its other end. */
static void rig_open_stream(struct rig *r, const struct kind *k, struct wire **far)
{
	struct mux_opt opt = {.role = MUX_NODE,
			      .budget = &r->budget,
			      .owner = &rig_owner,
			      .arg = r};
	struct wire *a, *b;

	if (!k->mux) {
		assert_int_equal(wire_mem_pair(r->ev, &k->mem, &r->stream, far), 0);
		return;
	}
	r->budget.cap = 64 << 20;
	assert_int_equal(wire_mem_pair(r->ev, &k->mem, &a, &b), 0);
	assert_int_equal(mux_new(r->ev, a, &opt, &r->node), 0);
	opt.role = MUX_AGENT;
	assert_int_equal(mux_new(r->ev, b, &opt, &r->agent), 0);
	assert_int_equal(session_open(r->node, &a_visit, &r->stream), 0);
	ev_sim_run_for(r->ev, 1000);
	assert_non_null(r->far);
	*far = r->far;
}

static void suite_open(const struct wire_suite_kind *kind, struct wire_suite_pair *pair)
{
	const struct kind *k = kind->opt;
	struct rig *r = calloc(1, sizeof *r);

	assert_non_null(r);
	assert_int_equal(ev_sim_new(1, &r->ev), 0);
	list_init(&r->waiters.list);
	r->join = (struct ev_timer){.fn = rig_on_join, .arg = r};
	rig_open_stream(r, k, &pair->b);
	assert_int_equal(hop_wire_new(r->ev, &r->waiters, &a_visit, &pair->a), 0);
	if (k->join_ms == 0)
		rig_on_join(r);
	else
		ev_timer_set(r->ev, &r->join, k->join_ms);
	if (k->swap) {
		struct wire *b = pair->b;

		pair->b = pair->a;
		pair->a = b;
	}
	pair->ev = r->ev;
	pair->arg = r;
}

static void suite_close(struct wire_suite_pair *pair)
{
	struct rig *r = pair->arg;

	wire_close(r->stream, ERR_CLOSED);
	session_close(r->node, 0, STR(""));
	session_close(r->agent, 0, STR(""));
	assert_int_equal(r->waiters.n, 0);
	ev_free(r->ev);
	free(r);
}

#define KIND(name_, body, flight, quiet, restores_, ...)                                       \
	{                                                                                      \
		.name = (name_), .opt = &(const struct kind){__VA_ARGS__}, .open = suite_open, \
		.close = suite_close, .body_len = (body),                                      \
		.flight_max = (flight) + HOP_WIRE_EARLY_MAX, .quiet_ms = (quiet),              \
		.restores = (restores_)                                                        \
	}

/* What restores, or does not, is the suite's b. */
static const struct wire_suite_kind kinds[] = {
	KIND("a stream at once", 0, 64 * 1024, 0, true, .mem = {.cap = 0}),
	KIND("a stream later", 0, 64 * 1024, 60, true, .mem = {.cap = 0}, .join_ms = 30),
	KIND("a stream later, as the other end", 0, 64 * 1024, 60, false, .mem = {.cap = 0},
	     .join_ms = 30, .swap = true),
	KIND("a stream later, 5 ms away", 1 << 20, 64 * 1024, 60, true, .mem = {.delay_ms = 5},
	     .join_ms = 30),
	KIND("a stream with room for 300 bytes", 100000, 300, 60, true,
	     .mem = {.cap = 300, .delay_ms = 1}, .join_ms = 30),
	KIND("a stream of 7 bytes a write", 1 << 17, 64 * 1024, 60, false, .mem = {.max_write = 7},
	     .join_ms = 30, .swap = true),
	KIND("a stream of a session", 1 << 20, 1 << 20, 60, false, .mem = {.delay_ms = 1},
	     .join_ms = 30, .mux = true),
	KIND("a stream of a session, as the other end", 1 << 20, 1 << 20, 60, false,
	     .mem = {.delay_ms = 1}, .join_ms = 30, .mux = true, .swap = true),
};

/* ---- one that waits ---- */

struct seen {
	int n_ready, n_broken, why;
};

static void seen_on_ready(void *arg, struct wire *w, int events)
{
	((struct seen *)arg)->n_ready++;
	wire_want(w, 0);
}

static void seen_on_broken(void *arg, struct wire *w, int why)
{
	((struct seen *)arg)->n_broken++;
	((struct seen *)arg)->why = why;
}

static const struct wire_owner seen_owner = {seen_on_ready, seen_on_broken};

static char body[2 * HOP_WIRE_EARLY_MAX];

static struct rig *wait_open(struct wire **w, struct seen *seen)
{
	struct rig *r = calloc(1, sizeof *r);

	assert_non_null(r);
	assert_int_equal(ev_sim_new(1, &r->ev), 0);
	list_init(&r->waiters.list);
	assert_int_equal(hop_wire_new(r->ev, &r->waiters, &a_visit, w), 0);
	*seen = (struct seen){0};
	wire_own(*w, &seen_owner, seen);
	return r;
}

static void wait_close(struct rig *r)
{
	assert_int_equal(r->waiters.n, 0);
	assert_null(hop_waiters_first(&r->waiters));
	ev_free(r->ev);
	free(r);
}

static size_t write_body(struct wire *w, size_t len)
{
	struct iovec iov[2] = {{body, len / 3}, {body + len / 3, len - len / 3}};
	size_t taken;

	assert_int_equal(wire_write(w, iov, 2, &taken), 0);
	return taken;
}

static void test_takes_a_little(void **state)
{
	struct seen seen;
	struct wire *w;
	struct rig *r = wait_open(&w, &seen);
	struct str in;

	assert_int_equal(wire_read(w, 1, &in), ERR_AGAIN);
	wire_want(w, WIRE_READ | WIRE_WRITE);
	assert_int_equal(seen.n_ready, 0); /* not from inside a call */
	ev_sim_run_for(r->ev, 10);
	assert_int_equal(seen.n_ready, 1); /* there is room */
	assert_int_equal(wire_room(w), HOP_WIRE_EARLY_MAX);
	assert_int_equal(write_body(w, 100), 100);
	assert_int_equal(write_body(w, sizeof body), HOP_WIRE_EARLY_MAX - 100);
	assert_int_equal(wire_room(w), 0);
	assert_int_equal(write_body(w, 1), 0);
	wire_want(w, WIRE_WRITE);
	ev_sim_run_for(r->ev, 10);
	assert_int_equal(seen.n_ready, 1); /* there is no more */
	assert_int_equal(r->waiters.n, 1);
	wire_close(w, 0); /* not shut: nobody needs it any more */
	wait_close(r);
}

static void test_no_stream_comes(void **state)
{
	struct seen seen;
	struct wire *w;
	struct rig *r = wait_open(&w, &seen);
	struct str in;

	assert_int_equal(write_body(w, 100), 100);
	hop_wire_fail(hop_waiters_first(&r->waiters), ERR_NOSESSION);
	assert_int_equal(seen.n_broken, 0);
	ev_sim_run_for(r->ev, 10);
	assert_int_equal(seen.n_broken, 1);
	assert_int_equal(seen.why, ERR_NOSESSION);
	wire_want(w, WIRE_READ | WIRE_WRITE);
	ev_sim_run_for(r->ev, 10);
	assert_int_equal(seen.n_broken, 1);
	assert_int_equal(seen.n_ready, 0);
	assert_int_equal(wire_read(w, 1, &in), ERR_NOSESSION);
	assert_int_equal(wire_room(w), 0);
	wire_close(w, ERR_NOSESSION);
	wait_close(r);
}

static void test_closed_while_it_waits(void **state)
{
	static const struct {
		const char *why;
		size_t len;
		bool shut, joined, served;
		int close;
	} cases[] = {
		{"shut: it is served still", 100, true, true, true, 0},
		{"shut without a byte: the same", 0, true, true, true, 0},
		{"shut, and no stream comes", 100, true, false, false, 0},
		{"not shut: it does not want anything any more", 100, false, true, false, 0},
		{"shut, but closed for a reason", 100, true, true, false, ERR_RESET},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wire_mem_opt mem = {.cap = 0};
		struct seen seen, far_seen = {0};
		struct wire *w, *stream, *far;
		struct rig *r = wait_open(&w, &seen);
		struct hop_wire *h;
		struct str in = {NULL, 0};
		int e;

		assert_int_equal(wire_mem_pair(r->ev, &mem, &stream, &far), 0);
		wire_own(far, &seen_owner, &far_seen);
		assert_int_equal(write_body(w, cases[i].len), cases[i].len);
		if (cases[i].shut)
			wire_shut(w);
		wire_close(w, cases[i].close);
		h = hop_waiters_first(&r->waiters);
		if ((h != NULL) != (cases[i].shut && cases[i].close == 0))
			fail_msg("%s: it waits, or does not", cases[i].why);
		if (h != NULL && cases[i].joined)
			hop_wire_join(h, stream);
		else if (h != NULL)
			hop_wire_fail(h, ERR_NOSESSION);
		if (h == NULL || !cases[i].joined)
			wire_close(stream, ERR_CLOSED);
		ev_sim_run_for(r->ev, 10);
		e = wire_read(far, 1000, &in);
		if (cases[i].served && cases[i].len > 0) {
			assert_int_equal(e, 0);
			assert_int_equal(in.len, cases[i].len);
			e = wire_read(far, 1000, &in);
		}
		if ((e == ERR_EOF) != cases[i].served)
			fail_msg("%s: %s", cases[i].why, err_name(e));
		wire_close(far, 0);
		assert_int_equal(seen.n_broken + seen.n_ready, 0);
		wait_close(r);
	}
}

/* Nobody reads at the other end: what was taken cannot be delivered, and is not kept for ever. */
static void test_lingers_and_ends(void **state)
{
	struct wire_mem_opt mem = {.cap = 100};
	struct seen seen, far_seen = {0};
	struct wire *w, *stream, *far;
	struct rig *r = wait_open(&w, &seen);

	assert_int_equal(wire_mem_pair(r->ev, &mem, &stream, &far), 0);
	wire_own(far, &seen_owner, &far_seen);
	assert_int_equal(write_body(w, 1000), 1000);
	hop_wire_join(hop_waiters_first(&r->waiters), stream);
	assert_int_equal(wire_room(w), 0); /* nothing overtakes what waits */
	wire_shut(w);
	wire_close(w, 0);
	ev_sim_run_for(r->ev, HOP_WIRE_LINGER_MS - 1);
	assert_int_equal(far_seen.n_broken, 0);
	ev_sim_run_for(r->ev, 10);
	wire_want(far, WIRE_READ);
	ev_sim_run_for(r->ev, 10);
	assert_int_equal(far_seen.n_broken, 1);
	wire_close(far, 0);
	wait_close(r);
}

/* The stream breaks while a closed wire still delivers. */
static void test_breaks_while_it_lingers(void **state)
{
	struct wire_mem_opt mem = {.cap = 100};
	struct seen seen;
	struct wire *w, *stream, *far;
	struct rig *r = wait_open(&w, &seen);

	assert_int_equal(wire_mem_pair(r->ev, &mem, &stream, &far), 0);
	assert_int_equal(write_body(w, 1000), 1000);
	hop_wire_join(hop_waiters_first(&r->waiters), stream);
	wire_close(w, 0);
	wire_close(far, ERR_RESET);
	ev_sim_run_for(r->ev, 10); /* and nothing is left, says the sanitizer */
	wait_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_a_little),
		cmocka_unit_test(test_no_stream_comes),
		cmocka_unit_test(test_closed_while_it_waits),
		cmocka_unit_test(test_lingers_and_ends),
		cmocka_unit_test(test_breaks_while_it_lingers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) + wire_suite_run(kinds, ARRAY_LEN(kinds));
}
