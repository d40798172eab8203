/* Wires in memory: the suite on many kinds, and the faults that simulations are made of. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"
#include "suite/wire_suite.h"
#include "wire/wire_mem.h"

static void mem_open(const struct wire_suite_kind *kind, struct wire_suite_pair *pair)
{
	assert_int_equal(ev_sim_new(1, &pair->ev), 0);
	assert_int_equal(wire_mem_pair(pair->ev, kind->opt, &pair->a, &pair->b), 0);
}

static void mem_close(struct wire_suite_pair *pair)
{
	ev_free(pair->ev);
}

#define KIND(name_, body, flight, quiet, ...)                                                     \
	{                                                                                         \
		.name = (name_), .opt = &(const struct wire_mem_opt){__VA_ARGS__},                \
		.open = mem_open, .close = mem_close, .body_len = (body), .flight_max = (flight), \
		.quiet_ms = (quiet), .restores = true                                             \
	}

static const struct wire_suite_kind kinds[] = {
	KIND("memory", 0, 64 * 1024, 0, .cap = 0),
	KIND("memory, 30 ms away", 1 << 20, 64 * 1024, 200, .delay_ms = 30),
	KIND("memory, 1 byte a write", 20000, 64 * 1024, 0, .max_write = 1),
	KIND("memory, 7 bytes a write", 1 << 18, 64 * 1024, 0, .max_write = 7),
	KIND("memory, 1000 bytes a write, 5 ms away", 1 << 20, 64 * 1024, 50, .max_write = 1000,
	     .delay_ms = 5),
	KIND("memory, room for 1 byte", 2000, 1, 0, .cap = 1),
	KIND("memory, room for 300 bytes, 1 ms away", 100000, 300, 20, .cap = 300, .delay_ms = 1),
};

/* ---- faults ---- */

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

struct rig {
	struct ev *ev;
	struct wire *a, *b;
	struct seen sa, sb;
};

static void rig_open(struct rig *r, uint32_t delay_ms)
{
	struct wire_mem_opt opt = {.delay_ms = delay_ms};

	*r = (struct rig){NULL};
	assert_int_equal(ev_sim_new(7, &r->ev), 0);
	assert_int_equal(wire_mem_pair(r->ev, &opt, &r->a, &r->b), 0);
	wire_own(r->a, &seen_owner, &r->sa);
	wire_own(r->b, &seen_owner, &r->sb);
}

static void rig_close(struct rig *r)
{
	wire_close(r->a, 0);
	wire_close(r->b, 0);
	ev_free(r->ev);
}

static void test_cut_breaks_both_ends(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 10);
	assert_int_equal(wire_write_all(r.a, STR("under way")), 0);
	wire_mem_cut(r.a);
	ev_sim_run_for(r.ev, 100);
	assert_int_equal(r.sa.n_broken, 1);
	assert_int_equal(r.sb.n_broken, 1);
	assert_int_equal(r.sb.why, ERR_RESET);
	assert_int_equal(wire_read(r.b, 10, &in), ERR_RESET);
	rig_close(&r);
}

static void test_freeze_tells_nobody_and_thaws(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 10);
	wire_want(r.b, WIRE_READ);
	wire_mem_freeze(r.a, true);
	assert_int_equal(wire_write_all(r.a, STR("late")), 0);
	ev_sim_run_for(r.ev, 1000000);
	assert_int_equal(r.sb.n_ready + r.sb.n_broken + r.sa.n_broken, 0);
	wire_mem_freeze(r.b, false);
	ev_sim_run_for(r.ev, 100);
	assert_int_equal(r.sb.n_ready, 1);
	assert_int_equal(wire_read(r.b, 10, &in), 0);
	assert_true(str_eq(in, STR("late")));
	rig_close(&r);
}

static void test_stall_reads_nothing(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 0);
	wire_mem_stall(r.b, true);
	wire_want(r.b, WIRE_READ);
	assert_int_equal(wire_write_all(r.a, STR("x")), 0);
	ev_sim_run_for(r.ev, 100);
	assert_int_equal(r.sb.n_ready, 0);
	assert_int_equal(wire_read(r.b, 10, &in), ERR_AGAIN);
	wire_mem_stall(r.b, false);
	ev_sim_run_for(r.ev, 100);
	assert_int_equal(r.sb.n_ready, 1);
	assert_int_equal(wire_read(r.b, 10, &in), 0);
	rig_close(&r);
}

/* Virtual time must move although bytes lie unread in front of the break. */
static void test_reset_reaches_one_who_does_not_read(void **state)
{
	struct rig r;

	rig_open(&r, 5);
	assert_int_equal(wire_write_all(r.a, STR("never read")), 0);
	wire_close(r.a, ERR_DENIED);
	ev_sim_run_for(r.ev, 100);
	assert_int_equal(r.sb.n_broken, 1);
	assert_int_equal(ev_now_ms(r.ev), 100);
	wire_close(r.b, 0);
	ev_free(r.ev);
}

static void test_bytes_take_their_time(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, 20);
	assert_int_equal(wire_write_all(r.a, STR("1")), 0);
	ev_sim_run_for(r.ev, 19);
	assert_int_equal(wire_read(r.b, 10, &in), ERR_AGAIN);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(wire_read(r.b, 10, &in), 0);
	rig_close(&r);
}

/* A reader that looks once for each call of ready and never asks again must not stop the writer. */
static void test_a_view_makes_room_when_it_ends(void **state)
{
	struct rig r;
	struct str in;
	static char full[64 * 1024];

	rig_open(&r, 0);
	assert_int_equal(wire_write_all(r.a, (struct str){full, sizeof full}), 0);
	assert_int_equal(wire_room(r.a), 0);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(wire_read(r.b, sizeof full, &in), 0);
	wire_want(r.a, WIRE_WRITE);
	ev_sim_run_for(r.ev, 1);
	assert_int_equal(r.sa.n_ready, 1);
	rig_close(&r);
}

static void pair_on_gone(void *arg)
{
	++*(int *)arg;
}

static void test_a_pair_goes_with_its_second_end(void **state)
{
	int n_gone = 0;
	struct wire_mem_opt opt = {.gone = pair_on_gone, .arg = &n_gone};
	struct rig r;

	rig_open(&r, 0);
	wire_close(r.a, 0);
	wire_close(r.b, 0);
	assert_int_equal(wire_mem_pair(r.ev, &opt, &r.a, &r.b), 0);
	wire_close(r.b, ERR_RESET);
	assert_int_equal(n_gone, 0);
	wire_close(r.a, 0);
	assert_int_equal(n_gone, 1);
	ev_free(r.ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_breaks_both_ends),
		cmocka_unit_test(test_freeze_tells_nobody_and_thaws),
		cmocka_unit_test(test_stall_reads_nothing),
		cmocka_unit_test(test_reset_reaches_one_who_does_not_read),
		cmocka_unit_test(test_bytes_take_their_time),
		cmocka_unit_test(test_a_view_makes_room_when_it_ends),
		cmocka_unit_test(test_a_pair_goes_with_its_second_end),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed + wire_suite_run(kinds, ARRAY_LEN(kinds));
}
