/* The simulated loop: virtual time, and the same run from the same seed. */
#include "ev/ev.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "base/err.h"

static struct ev *sim_new(uint64_t seed)
{
	struct ev *ev = NULL;

	assert_int_equal(ev_sim_new(seed, &ev), 0);
	return ev;
}

struct ticker {
	struct ev *ev;
	struct ev_timer timer;
	int ticks, stop_at; /* stop the loop at this tick; 0: never */
	uint64_t trace;	    /* a hash of when it ticked */
};

static void ticker_on_timer(void *arg)
{
	struct ticker *t = arg;

	t->trace = t->trace * 1099511628211u + ev_now_ms(t->ev);
	if (++t->ticks == t->stop_at)
		ev_stop(t->ev);
	if (t->ticks < 1000)
		ev_timer_set(t->ev, &t->timer, ev_random_below(t->ev, 10000));
}

static void ticker_start(struct ticker *t, struct ev *ev)
{
	*t = (struct ticker){.ev = ev, .timer = {.fn = ticker_on_timer, .arg = t}};
	ev_timer_set(ev, &t->timer, 0);
}

static void test_days_pass_at_once(void **state)
{
	struct ev *ev = sim_new(1);
	int64_t wall = ev_wall_ms(ev);
	struct ticker t;

	assert_int_equal(ev_now_ms(ev), 0);
	ticker_start(&t, ev);
	ev_timer_set(ev, &t.timer, UINT64_C(365) * 86400000);
	assert_true(ev_sim_run_for(ev, UINT64_C(364) * 86400000));
	assert_int_equal(t.ticks, 0);
	assert_int_equal(ev_now_ms(ev), UINT64_C(364) * 86400000);
	assert_int_equal(ev_wall_ms(ev) - wall, INT64_C(364) * 86400000);
	assert_int_equal(ev_now_ns(ev), UINT64_C(364) * 86400000000000);
	assert_true(ev_sim_run_for(ev, 86400000));
	assert_int_equal(t.ticks, 1);
	ev_timer_stop(ev, &t.timer);
	ev_free(ev);
}

static void test_end_of_everything(void **state)
{
	struct ev *ev = sim_new(1);
	struct ticker t;

	ev_run(ev);
	assert_false(ev_sim_run_for(ev, 10));
	assert_int_equal(ev_now_ms(ev), 10);
	ticker_start(&t, ev);
	ev_run(ev);
	assert_int_equal(t.ticks, 1000);
	assert_false(ev_sim_run_for(ev, 10));
	ev_free(ev);
}

static void test_stop_and_go_on(void **state)
{
	struct ev *ev = sim_new(1);
	struct ticker t;

	ticker_start(&t, ev);
	t.stop_at = 10;
	ev_run(ev);
	assert_int_equal(t.ticks, 10);
	t.stop_at = 20;
	assert_true(ev_sim_run_for(ev, UINT64_C(1) << 40));
	assert_int_equal(t.ticks, 20);
	ev_run(ev);
	assert_int_equal(t.ticks, 1000);
	ev_free(ev);
}

static uint64_t trace_of(uint64_t seed)
{
	struct ev *ev = sim_new(seed);
	struct ticker a, b;
	uint64_t random;

	ticker_start(&a, ev);
	ticker_start(&b, ev);
	ev_run(ev);
	ev_random(ev, &random, sizeof random);
	ev_free(ev);
	return a.trace ^ b.trace * 31 ^ random;
}

static void test_a_seed_replays(void **state)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		assert_true(trace_of(seed) == trace_of(seed));
		assert_true(trace_of(seed) != trace_of(seed + 1));
	}
}

static void test_random_below(void **state)
{
	static const uint64_t below[] = {1, 2, 3, 10, UINT64_C(1) << 63, UINT64_MAX};
	struct ev *ev = sim_new(1);
	int seen[10] = {0};

	for (size_t i = 0; i < ARRAY_LEN(below); i++)
		for (int k = 0; k < 100; k++)
			assert_true(ev_random_below(ev, below[i]) < below[i]);
	for (int k = 0; k < 10000; k++)
		seen[ev_random_below(ev, 10)]++;
	for (int k = 0; k < 10; k++)
		assert_in_range(seen[k], 800, 1200); /* a fixed seed: never a matter of luck */
	ev_free(ev);
}

static void test_random_of_every_length(void **state)
{
	struct ev *ev = sim_new(1);
	uint8_t out[40];

	for (size_t len = 0; len < 32; len++) {
		memset(out, 0x5a, sizeof out);
		ev_random(ev, out, len);
		for (size_t i = len; i < sizeof out; i++)
			assert_int_equal(out[i], 0x5a);
	}
	ev_free(ev);
}

static void count_up(void *arg)
{
	++*(int *)arg;
}

static void ten_more(void *arg)
{
	*(int *)arg += 10;
}

static void test_work(void **state)
{
	struct ev *ev = sim_new(1);
	int n = 0;

	assert_int_equal(ev_work(ev, count_up, ten_more, &n), 0);
	assert_true(n < 10); /* done is never called before ev_work returns */
	ev_run(ev);
	assert_int_equal(n, 11);
	assert_int_equal(ev_work(ev, count_up, ten_more, &n), 0);
	ev_free(ev); /* and exactly once even when the loop ends */
	assert_int_equal(n, 22);
}

static void on_io(void *arg, int events)
{
}

static void test_no_descriptors(void **state)
{
	struct ev *ev = sim_new(1);
	struct ev_io *io = NULL;
	struct ev_signal *s = NULL;

	assert_int_equal(ev_io_new(ev, 0, on_io, NULL, &io), ERR_UNSUPPORTED);
	assert_int_equal(ev_signal_new(ev, SIGUSR1, count_up, NULL, &s), ERR_UNSUPPORTED);
	assert_null(io);
	assert_null(s);
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days_pass_at_once),
		cmocka_unit_test(test_end_of_everything),
		cmocka_unit_test(test_stop_and_go_on),
		cmocka_unit_test(test_a_seed_replays),
		cmocka_unit_test(test_random_below),
		cmocka_unit_test(test_random_of_every_length),
		cmocka_unit_test(test_work),
		cmocka_unit_test(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
