/* Two wires joined: half-close, idleness, counters, broken sides, slow readers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"
#include "wire/relay.h"
#include "wire/wire_mem.h"

/* visitor <-> a [relay] b <-> target */
struct rig {
	struct ev *ev;
	struct wire *visitor, *target;
	struct relay *relay;
	int n_done;
	struct relay_result result;
};

static void rig_on_done(void *arg, const struct relay_result *result)
{
	struct rig *r = arg;

	r->n_done++;
	r->result = *result;
	r->relay = NULL;
}

static void rig_open(struct rig *r, size_t cap, uint32_t idle_ms)
{
	struct wire_mem_opt mem = {.cap = cap};
	struct relay_opt opt = {.idle_ms = idle_ms, .done = rig_on_done, .arg = r};

	*r = (struct rig){NULL};
	assert_int_equal(ev_sim_new(1, &r->ev), 0);
	assert_int_equal(wire_mem_pair(r->ev, &mem, &r->visitor, &opt.a), 0);
	assert_int_equal(wire_mem_pair(r->ev, &mem, &opt.b, &r->target), 0);
	assert_int_equal(relay_new(r->ev, &opt, &r->relay), 0);
	ev_sim_run_for(r->ev, 1);
}

static void rig_close(struct rig *r)
{
	relay_close(r->relay, ERR_CLOSED);
	wire_close(r->visitor, 0);
	wire_close(r->target, 0);
	ev_sim_run_for(r->ev, 10);
	ev_free(r->ev);
}

static void rig_pass(struct rig *r, struct wire *from, struct wire *to, struct str s)
{
	struct str in;

	assert_int_equal(wire_write_all(from, s), 0);
	ev_sim_run_for(r->ev, 1);
	assert_int_equal(wire_read(to, SIZE_MAX, &in), 0);
	assert_true(str_eq(in, s));
	assert_int_equal(wire_read(to, SIZE_MAX, &in), ERR_AGAIN);
}

static void test_both_ways_and_counted(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 0, 0);
	rig_pass(&r, r.visitor, r.target, STR("question"));
	rig_pass(&r, r.target, r.visitor, STR("a long answer"));
	wire_shut(r.visitor);
	wire_shut(r.target);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(r.n_done, 1);
	assert_int_equal(r.result.why, 0);
	assert_int_equal(r.result.a_to_b, 8);
	assert_int_equal(r.result.b_to_a, 13);
	assert_int_equal(wire_read(r.target, SIZE_MAX, &in), ERR_EOF);
	assert_int_equal(wire_read(r.visitor, SIZE_MAX, &in), ERR_EOF);
	rig_close(&r);
}

static void test_half_close(void **state)
{
	for (int side = 0; side < 2; side++) {
		struct rig r;
		struct wire *first, *second;
		struct str in;

		rig_open(&r, 0, 0);
		first = side == 0 ? r.visitor : r.target;
		second = side == 0 ? r.target : r.visitor;
		assert_int_equal(wire_write_all(first, STR("last words")), 0);
		wire_shut(first);
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(wire_read(second, SIZE_MAX, &in), 0);
		assert_true(str_eq(in, STR("last words")));
		assert_int_equal(wire_read(second, SIZE_MAX, &in), ERR_EOF);
		assert_int_equal(r.n_done, 0);
		rig_pass(&r, second, first, STR("still talking"));
		ev_sim_run_for(r.ev, 1000000); /* as long as it likes */
		rig_pass(&r, second, first, STR("and again"));
		wire_shut(second);
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(wire_read(first, SIZE_MAX, &in), ERR_EOF);
		assert_int_equal(r.n_done, 1);
		assert_int_equal(r.result.why, 0);
		rig_close(&r);
	}
}

static void test_idle(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 0, 1000);
	for (int i = 0; i < 20; i++) { /* a byte now and then keeps it alive */
		ev_sim_run_for(r.ev, 900);
		rig_pass(&r, i % 2 ? r.visitor : r.target, i % 2 ? r.target : r.visitor, STR("x"));
	}
	assert_int_equal(r.n_done, 0);
	ev_sim_run_for(r.ev, 2000);
	assert_int_equal(r.n_done, 1);
	assert_int_equal(r.result.why, ERR_TIMEOUT);
	assert_int_equal(wire_read(r.visitor, 1, &in), ERR_RESET);
	assert_int_equal(wire_read(r.target, 1, &in), ERR_RESET);
	rig_close(&r);

	rig_open(&r, 0, 0); /* without a limit it waits for ever */
	ev_sim_run_for(r.ev, UINT32_MAX);
	assert_int_equal(r.n_done, 0);
	rig_close(&r);
}

static void test_a_side_breaks(void **state)
{
	for (int side = 0; side < 2; side++) {
		struct rig r;
		struct str in;

		rig_open(&r, 0, 0);
		rig_pass(&r, r.visitor, r.target, STR("x"));
		wire_mem_cut(side == 0 ? r.visitor : r.target);
		ev_sim_run_for(r.ev, 1);
		assert_int_equal(r.n_done, 1);
		assert_int_equal(r.result.why, ERR_RESET);
		assert_int_equal(r.result.a_to_b, 1);
		assert_int_equal(wire_read(side == 0 ? r.target : r.visitor, 1, &in), ERR_RESET);
		rig_close(&r);
	}
}

/* A visitor that has gone for good ends the download that nobody reads. */
static void test_a_reader_that_left(void **state)
{
	struct rig r;
	int rounds = 0;

	rig_open(&r, 0, 0);
	wire_close(r.visitor, 0);
	r.visitor = NULL;
	while (r.n_done == 0) {
		assert_true(++rounds < 100);
		(void)!wire_write_all(r.target, STR("more and more of it"));
		ev_sim_run_for(r.ev, 1);
	}
	assert_int_equal(r.result.why, ERR_RESET);
	rig_close(&r);
}

/* The target writes for ever, the visitor does not read: it stops, and goes on when the visitor
 * does. */
static void test_slow_reader(void **state)
{
	static char big[4096];
	const size_t cap = 64 * 1024;
	struct iovec iov = {big, sizeof big};
	struct rig r;
	struct str in;
	size_t sent = 0, got = 0, taken;

	rig_open(&r, cap, 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(wire_write(r.target, &iov, 1, &taken), 0);
		sent += taken;
		ev_sim_run_for(r.ev, 1);
	}
	assert_true(sent <= 2 * cap); /* what the two wires hold, nothing in the relay */
	assert_true(sent > cap);
	while (got < sent) {
		assert_int_equal(wire_read(r.visitor, 1000, &in), 0);
		got += in.len;
		ev_sim_run_for(r.ev, 1);
	}
	assert_int_equal(got, sent);
	assert_true(wire_room(r.target) > 0);
	rig_close(&r);
}

static void test_close_tells_nobody(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 0, 1000);
	relay_close(r.relay, ERR_DELETED);
	r.relay = NULL;
	ev_sim_run_for(r.ev, 10000);
	assert_int_equal(r.n_done, 0);
	assert_int_equal(wire_read(r.visitor, 1, &in), ERR_RESET);
	relay_close(NULL, 0); /* harmless */
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways_and_counted),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_a_side_breaks),
		cmocka_unit_test(test_a_reader_that_left),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_close_tells_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
