/* What has come and was not read: all of it, in order, and where it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/err.h"
#include "session/mux_queue.h"

static char pattern(size_t at)
{
	return (char)(at * 7 + at / 251);
}

/* Append the next n bytes of the pattern. */
static void add(struct mux_queue *q, size_t *at, size_t n)
{
	char *block = malloc(n + 1);

	assert_non_null(block);
	for (size_t i = 0; i < n; i++)
		block[i] = pattern(*at + i);
	assert_int_equal(mux_queue_add(q, (struct str){block, n}), 0);
	*at += n;
	free(block);
}

/* Take n bytes and see that they are the next ones. Returns how many times one had to ask. */
static size_t take(struct mux_queue *q, size_t *at, size_t n)
{
	size_t asked = 0;

	while (n > 0) {
		struct str s = mux_queue_front(q);

		asked++;
		s.len = MIN(s.len, n);
		assert_true(s.len > 0);
		for (size_t i = 0; i < s.len; i++)
			assert_int_equal(s.p[i], pattern(*at + i));
		mux_queue_take(q, s.len);
		*at += s.len;
		n -= s.len;
	}
	return asked;
}

static void test_gives_back_what_it_got(void **state)
{
	static const struct {
		const char *why;
		size_t add, take, times;
	} cases[] = {
		{"a byte at a time, empty in between", 1, 1, 1000},
		{"small pieces that are read in smaller ones", 1000, 300, 500},
		{"frames of 32 KiB, of which half is read", 32768, 16384, 100},
		{"more at once than a piece holds", MUX_PIECE_MAX + 4711, 99999, 20},
		{"nothing is read before the end", 16384, 0, 100},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mux_queue q;
		size_t in = 0, out = 0;

		print_message("%s\n", cases[i].why);
		mux_queue_init(&q);
		for (size_t n = 0; n < cases[i].times; n++) {
			add(&q, &in, cases[i].add);
			take(&q, &out, cases[i].take);
			assert_int_equal(q.len, in - out);
		}
		take(&q, &out, in - out);
		assert_int_equal(q.len, 0);
		assert_int_equal(mux_queue_front(&q).len, 0);
		mux_queue_free(&q);
	}
}

static void test_nothing_moves(void **state)
{
	struct mux_queue q;
	size_t in = 0, out = 0;
	const char *first;

	mux_queue_init(&q);
	add(&q, &in, 100);
	first = mux_queue_front(&q).p;
	for (int i = 0; i < 100; i++)
		add(&q, &in, 32768);
	assert_ptr_equal(mux_queue_front(&q).p, first);
	take(&q, &out, 10);
	assert_ptr_equal(mux_queue_front(&q).p, first + 10);
	mux_queue_free(&q); /* with bytes in it */
	assert_int_equal(q.len, 0);
}

static void test_is_read_in_large_pieces(void **state)
{
	struct mux_queue q;
	size_t in = 0, out = 0;

	mux_queue_init(&q);
	for (int i = 0; i < 1024; i++)
		add(&q, &in, 4096);
	/* 4 MiB: sixteen of the largest, and those before they were as large */
	assert_in_range(take(&q, &out, in), 16, 24);
	mux_queue_free(&q);
}

static void test_nothing_is_a_fine_thing_to_add(void **state)
{
	struct mux_queue q;
	size_t in = 0;

	mux_queue_init(&q);
	add(&q, &in, 0);
	assert_int_equal(q.len, 0);
	assert_int_equal(mux_queue_front(&q).len, 0);
	mux_queue_take(&q, 0);
	mux_queue_free(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gives_back_what_it_got),
		cmocka_unit_test(test_nothing_moves),
		cmocka_unit_test(test_is_read_in_large_pieces),
		cmocka_unit_test(test_nothing_is_a_fine_thing_to_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
