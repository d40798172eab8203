/* A bus may lose; but none of ours does without a reason, and these tests give none. */
#include "suite/bus_suite.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* For what comes at once; generous, for machines that are busy. */
#define SOON_MS 3000

/* A message that everybody has heard came after all that was sent before it by the same node. */
static void settle(struct bus_rig *t, unsigned n)
{
	static const struct str done = {"done", 4};

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(bus_rig_send(&t->nodes[i], NULL, done), 0);
	for (unsigned i = 0; i < n; i++)
		bus_rig_until(t, SOON_MS, bus_rig_heard(&t->nodes[i], done) >= n - 1);
}

/* ---- coming ---- */

static void test_a_node_alone(void **state)
{
	struct bus_rig *t = *state;
	struct bus_rig_node *n = bus_rig_come(t, 0);

	bus_rig_until(t, SOON_MS, n->up);
	assert_int_equal(bus_rig_send(n, NULL, STR("hello")), 0);
	assert_int_equal(bus_rig_send(n, "00000000000000ff", STR("hello")), 0);
	bus_rig_run(t, 100);
	assert_int_equal(n->n_heard, 0); /* not itself either */
	assert_int_equal(n->n_gone, 0);
	assert_int_equal(n->n_up, 1);
}

/* Whoever comes, of whatever id, hears all others, and they hear it. */
static void test_nodes_meet(void **state)
{
	static const unsigned order[] = {3, 0, 4, 1, 2};
	struct bus_rig *t = *state;

	for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
		bus_rig_come(t, order[i]);
		for (unsigned k = 0; k < i; k++) {
			bus_rig_until(t, SOON_MS,
				      bus_rig_knows(&t->nodes[order[k]], order[i]) &&
					      bus_rig_knows(&t->nodes[order[i]], order[k]));
			assert_int_equal(t->nodes[order[k]].n_gone, 0);
		}
	}
	/* once, though it was heard of in two ways */
	assert_int_equal(bus_rig_heard(&t->nodes[3], STR("beat 0000000000000001 1")), 1);
}

/* Who comes between two beats need not wait for the next one to know who is there. */
static void test_a_beat_is_there_for_those_who_come(void **state)
{
	struct bus_rig *t = *state;
	struct bus_rig_node *first = bus_rig_come(t, 0), *next;

	bus_rig_until(t, SOON_MS, first->up);
	bus_rig_run(t, 50);
	first->silent = true;
	next = bus_rig_come(t, 1);
	bus_rig_until(t, SOON_MS, bus_rig_knows(next, 0));
	assert_int_equal(next->n_gone, 0);
}

/* ---- messages ---- */

static void test_who_hears(void **state)
{
	const struct {
		const char *why, *text;
		unsigned from;
		int to; /* -1: all */
		bool hears[3];
	} cases[] = {
		{"to all", "a", 0, -1, {false, true, true}},
		{"to all, of the one in the middle", "b", 1, -1, {true, false, true}},
		{"to one who came later", "c", 0, 2, {false, false, true}},
		{"to one who came before", "d", 2, 0, {true, false, false}},
		{"to nobody who is there", "e", 1, 7, {false, false, false}},
	};
	struct bus_rig *t = *state;

	bus_rig_meet(t, 3);
	str_printf(t->nodes[7].id, NODE_ID_TEXT, "%016x", 7);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(bus_rig_send(&t->nodes[cases[i].from],
					      cases[i].to < 0 ? NULL : t->nodes[cases[i].to].id,
					      str_of(cases[i].text)),
				 0);
	settle(t, 3);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].why);
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(bus_rig_heard(&t->nodes[k], str_of(cases[i].text)),
					 cases[i].hears[k]);
	}
}

static void test_bytes_come_whole(void **state)
{
	static const char nul[] = "a\0b\r\n$5\r\n\xff";
	static char big[BUS_MESSAGE_MAX + 1];
	const struct {
		const char *why;
		struct str message;
		int want;
	} cases[] = {
		{"one byte", STR("x"), 0},
		{"a NUL, ends of lines, what Redis writes itself", {nul, sizeof nul}, 0},
		{"a NUL alone", {nul + 1, 1}, 0},
		{"the largest", {big, BUS_MESSAGE_MAX}, 0},
		{"one byte more", {big, BUS_MESSAGE_MAX + 1}, ERR_TOOBIG},
	};
	struct bus_rig *t = *state;

	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 7);
	bus_rig_meet(t, 2);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].why);
		assert_int_equal(bus_rig_send(&t->nodes[0], NULL, cases[i].message), cases[i].want);
		assert_int_equal(bus_rig_send(&t->nodes[1], t->nodes[0].id, cases[i].message),
				 cases[i].want);
	}
	settle(t, 2);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(bus_rig_heard(&t->nodes[1], cases[i].message), cases[i].want == 0);
		assert_int_equal(bus_rig_heard(&t->nodes[0], cases[i].message), cases[i].want == 0);
	}
}

/* More than may wait is refused, what was taken comes, and then there is room again. */
static void test_too_much(void **state)
{
	static char big[BUS_MESSAGE_MAX];
	struct bus_rig *t = *state;
	unsigned n_sent = 0;
	int e;

	bus_rig_meet(t, 2);
	while ((e = bus_rig_send(&t->nodes[0], t->nodes[1].id, (struct str){big, sizeof big})) == 0)
		assert_true(++n_sent < 1000);
	assert_int_equal(e, ERR_LIMIT);
	assert_in_range(n_sent * sizeof big, BUS_WAITING_MAX * 3 / 4, BUS_WAITING_MAX * 5 / 4);
	bus_rig_until(t, 10 * SOON_MS,
		      bus_rig_heard(&t->nodes[1], (struct str){big, sizeof big}) == n_sent);
	settle(t, 2);
	assert_int_equal(t->nodes[0].n_gone + t->nodes[1].n_gone, 0);
}

static void test_many_small_ones(void **state)
{
	enum { N = 5000 };
	struct bus_rig *t = *state;
	char text[32];

	bus_rig_meet(t, 2);
	for (unsigned i = 0; i < N; i++) {
		struct str message = {text, str_printf(text, sizeof text, "number %u", i)};

		assert_int_equal(bus_rig_send(&t->nodes[i % 2], NULL, message), 0);
	}
	settle(t, 2);
	bus_rig_until(t, SOON_MS, t->nodes[0].n_heard >= N / 2 && t->nodes[1].n_heard >= N / 2);
	for (unsigned i = 0; i < N; i += 97) {
		struct str message = {text, str_printf(text, sizeof text, "number %u", i)};

		assert_int_equal(bus_rig_heard(&t->nodes[(i + 1) % 2], message), 1);
	}
}

/* ---- going ---- */

static void test_who_closes_is_gone_at_once(void **state)
{
	struct bus_rig *t = *state;

	bus_rig_meet(t, 3);
	assert_int_equal(bus_rig_send(&t->nodes[1], NULL, STR("last words")), 0);
	bus_rig_leave(&t->nodes[1]);
	for (unsigned i = 0; i < 3; i += 2) {
		bus_rig_until(t, 1000, bus_rig_gone(&t->nodes[i], 1) == 1);
		assert_int_equal(bus_rig_heard(&t->nodes[i], STR("last words")), 1);
	}
	bus_rig_come(t, 3);
	bus_rig_until(t, SOON_MS, bus_rig_knows(&t->nodes[0], 3) && bus_rig_knows(&t->nodes[3], 2));
	settle(t, 1);
	assert_false(bus_rig_knows(&t->nodes[3], 1));
	assert_int_equal(t->nodes[0].n_gone, 1);
	assert_int_equal(t->nodes[2].n_gone, 1);
	assert_int_equal(t->nodes[3].n_gone, 0);
}

/* It does not beat any more, and does not close; the others do beat. */
static void test_who_is_silent_is_gone(void **state)
{
	struct bus_rig *t = *state;
	uint64_t start;

	bus_rig_meet(t, 3);
	start = ev_now_ms(t->ev);
	t->nodes[2].silent = true;
	bus_rig_until(t, BUS_GONE_MS + 2 * BUS_BEAT_MS + 500,
		      bus_rig_gone(&t->nodes[0], 2) > 0 && bus_rig_gone(&t->nodes[1], 2) > 0);
	assert_true(ev_now_ms(t->ev) - start > BUS_GONE_MS - BUS_BEAT_MS - 500);
	assert_int_equal(t->nodes[0].n_gone, 1);
	assert_int_equal(t->nodes[1].n_gone, 1);
	bus_rig_forget(&t->nodes[0]);
	t->nodes[2].silent = false;
	bus_rig_until(t, 2 * SOON_MS, bus_rig_knows(&t->nodes[0], 2));
}

static void test_closed_before_it_is_up(void **state)
{
	struct bus_rig *t = *state;

	bus_rig_leave(bus_rig_come(t, 0));
	bus_rig_run(t, 50);
	assert_int_equal(t->nodes[0].n_up, 0);
}

static void leave(struct bus_rig_node *n)
{
	bus_rig_leave(n);
}

static void test_closed_inside_a_callback(void **state)
{
	struct bus_rig *t = *state;

	bus_rig_meet(t, 4);
	t->nodes[0].on_heard = leave;
	assert_int_equal(bus_rig_send(&t->nodes[3], t->nodes[0].id, STR("one")), 0);
	assert_int_equal(bus_rig_send(&t->nodes[3], t->nodes[0].id, STR("two")), 0);
	bus_rig_until(t, SOON_MS, t->nodes[0].bus == NULL);
	t->nodes[1].on_gone = leave;
	bus_rig_leave(&t->nodes[2]);
	bus_rig_until(t, SOON_MS, t->nodes[1].bus == NULL);
	t->nodes[4].on_up = leave;
	bus_rig_come(t, 4);
	bus_rig_until(t, SOON_MS, t->nodes[4].bus == NULL);
	bus_rig_until(t, SOON_MS, t->nodes[3].n_gone >= 3);
}

int bus_suite(const struct bus_maker *maker)
{
	const struct CMUnitTest tests[] = {
		BUS_RIG_TEST(maker, test_a_node_alone),
		BUS_RIG_TEST(maker, test_nodes_meet),
		BUS_RIG_TEST(maker, test_a_beat_is_there_for_those_who_come),
		BUS_RIG_TEST(maker, test_who_hears),
		BUS_RIG_TEST(maker, test_bytes_come_whole),
		BUS_RIG_TEST(maker, test_too_much),
		BUS_RIG_TEST(maker, test_many_small_ones),
		BUS_RIG_TEST(maker, test_who_closes_is_gone_at_once),
		BUS_RIG_TEST(maker, test_who_is_silent_is_gone),
		BUS_RIG_TEST(maker, test_closed_before_it_is_up),
		BUS_RIG_TEST(maker, test_closed_inside_a_callback),
	};

	return cmocka_run_group_tests_name(maker->name, tests, NULL, NULL);
}
