/* What both loops share: timers, tasks and the memory given up, seen on virtual time. */
#include "ev/ev.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
	struct ev *ev = NULL;
	int e = ev_sim_new(1, &ev);

	*state = ev;
	return e;
}

static int teardown(void **state)
{
	ev_free(*state);
	return 0;
}

/* ---- timers ---- */

struct bell {
	struct ev *ev;
	struct ev_timer timer;
	uint64_t want_ms; /* when it should ring; 0: not at all */
	int rung;
	struct bell *stops, *sets; /* what it does to others when it rings */
	uint64_t sets_ms;
};

static void bell_on_timer(void *arg)
{
	struct bell *b = arg;

	assert_false(ev_timer_is_set(&b->timer));
	assert_int_equal(ev_now_ms(b->ev), b->want_ms);
	b->rung++;
	if (b->stops != NULL)
		ev_timer_stop(b->ev, &b->stops->timer);
	if (b->sets != NULL) {
		b->sets->want_ms = ev_now_ms(b->ev) + b->sets_ms;
		ev_timer_set(b->ev, &b->sets->timer, b->sets_ms);
	}
}

static void bell_init(struct bell *b, struct ev *ev)
{
	*b = (struct bell){.ev = ev, .timer = {.fn = bell_on_timer, .arg = b}};
}

static void bell_set(struct bell *b, uint64_t ms)
{
	b->want_ms = ev_now_ms(b->ev) + ms;
	ev_timer_set(b->ev, &b->timer, ms);
}

static void test_timer_once(void **state)
{
	struct bell b;

	bell_init(&b, *state);
	ev_timer_stop(*state, &b.timer); /* not set: harmless */
	assert_false(ev_timer_is_set(&b.timer));
	bell_set(&b, 500);
	assert_true(ev_timer_is_set(&b.timer));
	ev_run(*state);
	assert_int_equal(b.rung, 1);
	assert_int_equal(ev_now_ms(*state), 500);
}

static void test_timer_moves(void **state)
{
	static const struct {
		const char *why;
		uint64_t first, then;
	} cases[] = {
		{"earlier", 500, 100},
		{"later", 100, 500},
		{"the same", 100, 100},
		{"to now", 100, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bell b, other;

		print_message("%s\n", cases[i].why);
		bell_init(&b, *state);
		bell_init(&other, *state);
		bell_set(&other, 300);
		bell_set(&b, cases[i].first);
		bell_set(&b, cases[i].then);
		ev_run(*state);
		assert_int_equal(b.rung, 1);
		assert_int_equal(other.rung, 1);
	}
}

static void test_timer_of_no_time_ever(void **state)
{
	struct bell never, soon;

	bell_init(&never, *state);
	bell_init(&soon, *state);
	bell_set(&soon, 10);
	assert_false(ev_sim_run_for(*state, 20));
	ev_timer_set(*state, &never.timer, UINT64_MAX); /* must not wrap into the past */
	bell_set(&soon, 10);
	assert_true(ev_sim_run_for(*state, 1000000));
	assert_int_equal(never.rung, 0);
	assert_int_equal(soon.rung, 2);
	ev_timer_stop(*state, &never.timer);
}

static void test_callbacks_change_timers(void **state)
{
	struct bell a, b, c;

	bell_init(&a, *state);
	bell_init(&b, *state);
	bell_init(&c, *state);
	a.stops = &b; /* due at the same time, or later */
	a.sets = &c;
	a.sets_ms = 5;
	bell_set(&a, 10);
	bell_set(&b, 11);
	bell_set(&c, 100);
	ev_run(*state);
	assert_int_equal(a.rung, 1);
	assert_int_equal(b.rung, 0);
	assert_int_equal(c.rung, 1);
	assert_int_equal(ev_now_ms(*state), 15);
}

static void test_one_of_two_due_stops_the_other(void **state)
{
	struct bell a, b;

	bell_init(&a, *state);
	bell_init(&b, *state);
	a.stops = &b;
	b.stops = &a;
	bell_set(&a, 10);
	bell_set(&b, 10);
	ev_run(*state);
	assert_int_equal(a.rung + b.rung, 1);
}

static void test_timer_sets_itself(void **state)
{
	struct bell b;

	bell_init(&b, *state);
	b.sets = &b;
	b.sets_ms = 1000;
	bell_set(&b, 1000);
	assert_true(ev_sim_run_for(*state, 10500));
	assert_int_equal(b.rung, 10);
	ev_timer_stop(*state, &b.timer);
}

struct again {
	struct ev *ev;
	struct ev_timer timer;
	int rung;
};

static void again_on_timer(void *arg)
{
	struct again *a = arg;

	a->rung++;
	ev_timer_set(a->ev, &a->timer, 0);
}

static void test_timer_set_to_zero_in_itself_lets_time_pass(void **state)
{
	struct again a = {.ev = *state, .timer = {.fn = again_on_timer, .arg = &a}};

	ev_timer_set(*state, &a.timer, 0);
	assert_true(ev_sim_run_for(*state, 100));
	assert_in_range(a.rung, 50, 101);
	ev_timer_stop(*state, &a.timer);
}

/* 10,000 timers set, moved and stopped at random; every one rings exactly when it should. */
static void test_random_timers(void **state)
{
	enum { N = 10000 };
	struct ev *ev = *state;
	struct bell *bells = calloc(N, sizeof *bells);
	int *want = calloc(N, sizeof *want);

	assert_non_null(bells);
	assert_non_null(want);
	for (int i = 0; i < N; i++)
		bell_init(&bells[i], ev);
	for (int round = 0; round < 20; round++) {
		for (int k = 0; k < N; k++) {
			struct bell *b = &bells[ev_random_below(ev, N)];

			if (ev_random_below(ev, 3) == 0)
				ev_timer_stop(ev, &b->timer);
			else
				bell_set(b, 1 + ev_random_below(ev, 5000));
		}
		for (int i = 0; i < N; i++)
			want[i] = bells[i].rung + (ev_timer_is_set(&bells[i].timer) &&
						   bells[i].want_ms <= ev_now_ms(ev) + 1000);
		ev_sim_run_for(ev, 1000);
		for (int i = 0; i < N; i++)
			assert_int_equal(bells[i].rung, want[i]);
	}
	ev_run(ev);
	for (int i = 0; i < N; i++)
		assert_false(ev_timer_is_set(&bells[i].timer));
	free(bells);
	free(want);
}

/* ---- tasks ---- */

struct chore {
	struct ev *ev;
	struct ev_task task;
	int done, again; /* asks for itself so many times more */
	struct chore *cancels, *asks;
	char *reads; /* memory given up in this turn */
};

static void chore_on_task(void *arg)
{
	struct chore *c = arg;

	c->done++;
	if (c->again-- > 0)
		ev_task_run(c->ev, &c->task);
	if (c->cancels != NULL)
		ev_task_cancel(&c->cancels->task);
	if (c->asks != NULL)
		ev_task_run(c->ev, &c->asks->task);
	if (c->reads != NULL)
		assert_string_equal(c->reads, "still here");
}

static void chore_init(struct chore *c, struct ev *ev)
{
	*c = (struct chore){.ev = ev, .task = {.fn = chore_on_task, .arg = c}};
}

static void test_task_twice_is_once(void **state)
{
	struct chore c;

	chore_init(&c, *state);
	ev_task_run(*state, &c.task);
	ev_task_run(*state, &c.task);
	assert_int_equal(c.done, 0); /* never at once */
	ev_run(*state);
	assert_int_equal(c.done, 1);
	ev_run(*state);
	assert_int_equal(c.done, 1);
}

static void test_task_cancel(void **state)
{
	struct chore a, b, c;

	chore_init(&a, *state);
	chore_init(&b, *state);
	chore_init(&c, *state);
	ev_task_cancel(&a.task); /* not asked for: harmless */
	ev_task_run(*state, &a.task);
	ev_task_cancel(&a.task);
	b.cancels = &c; /* in the same round */
	ev_task_run(*state, &b.task);
	ev_task_run(*state, &c.task);
	ev_run(*state);
	assert_int_equal(a.done, 0);
	assert_int_equal(b.done, 1);
	assert_int_equal(c.done, 0);
	ev_task_run(*state, &c.task); /* and it can be asked for again */
	ev_run(*state);
	assert_int_equal(c.done, 1);
}

static void test_tasks_ask_for_tasks(void **state)
{
	struct chore a, b;

	chore_init(&a, *state);
	chore_init(&b, *state);
	a.asks = &b;
	a.again = 100; /* more than one turn has rounds for */
	ev_task_run(*state, &a.task);
	ev_run(*state);
	assert_int_equal(a.done, 101);
	assert_in_range(b.done, 50, 101); /* asked again before its turn came: once */
}

static void test_tasks_before_time_passes(void **state)
{
	struct chore a;
	struct bell b;

	chore_init(&a, *state);
	bell_init(&b, *state);
	bell_set(&b, 1);
	a.again = 100;
	ev_task_run(*state, &a.task);
	assert_true(ev_sim_run_for(*state, 0));
	assert_int_equal(a.done, 101);
	assert_int_equal(b.rung, 0);
	ev_run(*state);
	assert_int_equal(b.rung, 1);
}

static void test_tasks_for_the_end(void **state)
{
	struct ev *ev = NULL;
	struct chore a, b;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	chore_init(&a, ev);
	chore_init(&b, ev);
	ev_task_at_end(ev, &a.task);
	ev_task_at_end(ev, &a.task);
	ev_task_at_end(ev, &b.task);
	ev_run(ev);
	assert_int_equal(a.done, 0);
	ev_task_cancel(&b.task);
	ev_free(ev);
	assert_int_equal(a.done, 1);
	assert_int_equal(b.done, 0);
}

/* ---- memory ---- */

struct giver {
	struct ev *ev;
	struct ev_timer timer;
	struct chore reader;
};

static void giver_on_timer(void *arg)
{
	struct giver *g = arg;
	char *text = strdup("still here");

	assert_non_null(text);
	g->reader.reads = text;
	g->reader.again = 3;
	ev_task_run(g->ev, &g->reader.task);
	ev_free_later(g->ev, text);
	assert_string_equal(text, "still here");
}

static void test_memory_outlives_the_tasks_of_the_turn(void **state)
{
	struct giver g = {.ev = *state, .timer = {.fn = giver_on_timer, .arg = &g}};

	chore_init(&g.reader, *state);
	ev_timer_set(*state, &g.timer, 1);
	ev_run(*state);
	assert_int_equal(g.reader.done, 4);
}

static void test_much_memory(void **state)
{
	ev_free_later(*state, NULL);
	for (int i = 0; i < 1000; i++)
		ev_free_later(*state, malloc(16));
	ev_run(*state);
	for (int i = 0; i < 1000; i++)
		ev_free_later(*state, malloc(16)); /* the rest goes with the loop: no leak */
}

static void test_scratch_areas_do_not_overlap(void **state)
{
	for (int i = 0; i < EV_N_SCRATCH; i++)
		memset(ev_scratch(*state, (enum ev_scratch)i), i + 1, EV_SCRATCH);
	for (int i = 0; i < EV_N_SCRATCH; i++) {
		const char *p = ev_scratch(*state, (enum ev_scratch)i);

		assert_int_equal(p[0], i + 1);
		assert_int_equal(p[EV_SCRATCH - 1], i + 1);
	}
}

#define ON_LOOP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_LOOP(test_timer_once),
		ON_LOOP(test_timer_moves),
		ON_LOOP(test_timer_of_no_time_ever),
		ON_LOOP(test_callbacks_change_timers),
		ON_LOOP(test_one_of_two_due_stops_the_other),
		ON_LOOP(test_timer_sets_itself),
		ON_LOOP(test_timer_set_to_zero_in_itself_lets_time_pass),
		ON_LOOP(test_random_timers),
		ON_LOOP(test_task_twice_is_once),
		ON_LOOP(test_task_cancel),
		ON_LOOP(test_tasks_ask_for_tasks),
		ON_LOOP(test_tasks_before_time_passes),
		ON_LOOP(test_tasks_for_the_end),
		ON_LOOP(test_memory_outlives_the_tasks_of_the_turn),
		ON_LOOP(test_much_memory),
		ON_LOOP(test_scratch_areas_do_not_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
