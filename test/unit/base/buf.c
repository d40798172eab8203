/* The queue of bytes: caps, room in place, wrap-around, memory given back. */
#include "base/buf.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static void assert_holds(const struct buf *b, const char *want)
{
	struct str s = buf_str(b);

	assert_int_equal(s.len, strlen(want));
	if (s.len > 0)
		assert_memory_equal(s.p, want, s.len);
}

static void test_caps(void **state)
{
	static const struct {
		const char *why, *first, *second;
		size_t cap;
		int want;
		const char *holds;
	} cases[] = {
		{"both fit", "abc", "def", 10, 0, "abcdef"},
		{"the cap is met exactly", "abc", "def", 6, 0, "abcdef"},
		{"one byte too many adds nothing", "abc", "def", 5, ERR_TOOBIG, "abc"},
		{"more than the cap by itself", "abc", "defghijk", 7, ERR_TOOBIG, "abc"},
		{"nothing is always welcome", "abc", "", 3, 0, "abc"},
		{"a lower cap than what is there", "abc", "d", 2, ERR_TOOBIG, "abc"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = {0};

		print_message("%s\n", cases[i].why);
		assert_int_equal(buf_add(&b, cases[i].first, strlen(cases[i].first), 100), 0);
		assert_int_equal(buf_add(&b, cases[i].second, strlen(cases[i].second),
					 cases[i].cap),
				 cases[i].want);
		assert_holds(&b, cases[i].holds);
		buf_free(&b);
	}
}

static void test_take_gives_memory_back(void **state)
{
	struct buf b = {0};

	assert_int_equal(buf_add(&b, "hello", 5, 100), 0);
	buf_take(&b, 2);
	assert_holds(&b, "llo");
	assert_non_null(b.mem);
	buf_take(&b, 3);
	assert_null(b.mem);
	assert_int_equal(b.size, 0);
	assert_holds(&b, "");
	assert_null(buf_str(&b).p);
}

static void test_room_is_filled_in_place(void **state)
{
	struct buf b = {0};
	char *at;

	assert_int_equal(buf_room(&b, 1000, 1000, &at), 0);
	memset(at, 'x', 1000);
	assert_holds(&b, "");
	buf_added(&b, 3);
	assert_holds(&b, "xxx");
	assert_int_equal(buf_room(&b, 998, 1000, &at), ERR_TOOBIG);
	assert_int_equal(buf_room(&b, 997, 1000, &at), 0);
	buf_free(&b);
}

static void test_room_of_nothing(void **state)
{
	struct buf b = {0};
	char *at = NULL;

	assert_int_equal(buf_room(&b, 0, 0, &at), 0);
	assert_non_null(at); /* a real place, even in an empty buffer */
	buf_free(&b);
}

static void test_printf(void **state)
{
	struct buf b = {0};

	assert_int_equal(buf_printf(&b, 10, "%s=%d", "abc", 12), 0);
	assert_int_equal(buf_printf(&b, 10, "%s", "wxyz"), 0); /* the NUL costs nothing */
	assert_holds(&b, "abc=12wxyz");
	assert_int_equal(buf_printf(&b, 10, "!"), ERR_TOOBIG);
	assert_holds(&b, "abc=12wxyz");
	assert_int_equal(buf_printf(&b, 10, "%s", ""), 0);
	assert_holds(&b, "abc=12wxyz");
	buf_free(&b);
}

/* Against a plain model: 100,000 random adds and takes under a cap. */
static void test_random_queue(void **state)
{
	enum { CAP = 3000 };
	struct buf b = {0};
	uint64_t put = 0, got = 0, seed = 7;
	uint8_t in[997];

	for (int i = 0; i < 100000; i++) {
		size_t n;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		n = (seed >> 33) % sizeof in;
		if (seed >> 63) {
			for (size_t k = 0; k < n; k++)
				in[k] = (uint8_t)((put + k) * 31 >> 3);
			if (buf_add(&b, in, n, CAP) == 0)
				put += n;
			else
				assert_true(put - got + n > CAP);
		} else {
			struct str s = buf_str(&b);

			n = MIN(n, s.len);
			for (size_t k = 0; k < n; k++)
				assert_int_equal((uint8_t)s.p[k], (uint8_t)((got + k) * 31 >> 3));
			buf_take(&b, n);
			got += n;
		}
		assert_int_equal(buf_str(&b).len, put - got);
		assert_true(b.size <= 4 * CAP); /* the memory is bounded by the cap as well */
	}
	buf_free(&b);
}

/* A queue that stays nearly full must not move all its bytes for each one that passes. */
static void test_full_queue_is_not_copied_each_time(void **state)
{
	enum { CAP = 64 * 1024, PASS = 100000 };
	struct buf b = {0};
	char *block = calloc(1, CAP), *mem;
	int moves = 0;

	assert_non_null(block);
	assert_int_equal(buf_add(&b, block, CAP, CAP), 0);
	for (int i = 0; i < PASS; i++) {
		buf_take(&b, 1);
		mem = b.mem + b.off;
		assert_int_equal(buf_add(&b, "x", 1, CAP), 0);
		moves += mem != b.mem + b.off;
	}
	assert_in_range(moves, 1, 10);
	free(block);
	buf_free(&b);
}

static void test_unshift(void **state)
{
	static const struct {
		const char *why, *had, *front, *want;
		size_t taken, cap;
		int e;
	} cases[] = {
		{"in front of nothing", "", "ab", "ab", 0, 2, 0},
		{"nothing in front of nothing", "", "", "", 0, 0, 0},
		{"nothing in front of something", "xyz", "", "xyz", 0, 3, 0},
		{"where nothing was taken", "xyz", "ab", "abxyz", 0, 5, 0},
		{"where less was taken", "xyz", "ab", "abyz", 1, 4, 0},
		{"where as much was taken", "xyz", "ab", "abz", 2, 3, 0},
		{"where more was taken", "wxyz", "ab", "abz", 3, 3, 0},
		{"where all was taken", "xyz", "ab", "ab", 3, 2, 0},
		{"one too many", "xyz", "ab", "xyz", 0, 4, ERR_TOOBIG},
		{"one too many, though there is room", "xyz", "ab", "z", 2, 2, ERR_TOOBIG},
		{"more than the cap alone", "", "ab", "", 0, 1, ERR_TOOBIG},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str had = str_of(cases[i].had), front = str_of(cases[i].front);
		struct buf b = {0};
		int e;

		assert_int_equal(buf_add(&b, had.p, had.len, SIZE_MAX), 0);
		buf_take(&b, cases[i].taken);
		e = buf_unshift(&b, front.p, front.len, cases[i].cap);
		if (e != cases[i].e || !str_eq(buf_str(&b), str_of(cases[i].want)))
			fail_msg("%s: %d, \"" STR_FMT "\"", cases[i].why, e, STR_ARG(buf_str(&b)));
		assert_int_equal(buf_add(&b, "!", 1, SIZE_MAX), 0); /* and it goes on */
		assert_true(str_ends_nocase(buf_str(&b), STR("!")));
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_take_gives_memory_back),
		cmocka_unit_test(test_room_is_filled_in_place),
		cmocka_unit_test(test_room_of_nothing),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_random_queue),
		cmocka_unit_test(test_unshift),
		cmocka_unit_test(test_full_queue_is_not_copied_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
