/* Whom the roster believes: the window of numbers. Seals are tested in roster.c, on whole messages.
 */
#include "cluster/roster_internal.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_window(void **state)
{
	static const struct {
		const char *why;
		uint64_t n;
		bool want;
	} steps[] = {
		{"the first", 5, true},
		{"the same again", 5, false},
		{"an older one that has not come", 3, true},
		{"it again", 3, false},
		{"the next", 6, true},
		{"63 ahead", 69, true},
		{"63 back, which came", 6, false},
		{"62 back, which did not", 7, true},
		{"64 back", 5, false},
		{"far ahead", 1000, true},
		{"between", 950, true},
		{"between, too far back", 936, false},
		{"the furthest back", 937, true},
		{"the last number there is", UINT64_MAX, true},
		{"it again", UINT64_MAX, false},
	};
	struct roster_window w = {0};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		print_message("%s\n", steps[i].why);
		assert_int_equal(roster_window_take(&w, steps[i].n), steps[i].want);
	}
	roster_window_from(&w, 10);
	assert_false(roster_window_take(&w, 10));
	assert_false(roster_window_take(&w, 9));
	assert_true(roster_window_take(&w, 11));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_window)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
