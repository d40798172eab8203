#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/backoff.h"

static const struct {
	const char *why;
	uint32_t base;
} rows[] = {
	{"the first wait", 250}, {"each is 1.7 times the one before", 425},
	{"again", 722},		 {"again", 1227},
	{"again", 2085},	 {"again", 3544},
	{"again", 6024},	 {"again", 10240},
	{"the longest", 15000},	 {"and it stays", 15000},
};

static void test_waits_grow_with_jitter(void **state)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct backoff b = {0};
		struct ev *ev;

		assert_int_equal(ev_sim_new(seed, &ev), 0);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			uint32_t ms = backoff_next(&b, ev), spread = rows[i].base * 30 / 100;

			if (ms < rows[i].base - spread || ms > rows[i].base + spread)
				fail_msg("%s: %u", rows[i].why, ms);
		}
		backoff_reset(&b);
		assert_in_range(backoff_next(&b, ev), 175, 325);
		ev_free(ev);
	}
}

static void test_jitter_uses_its_whole_range(void **state)
{
	uint32_t least = UINT32_MAX, most = 0;
	struct ev *ev;

	assert_int_equal(ev_sim_new(7, &ev), 0);
	for (int i = 0; i < 1000; i++) {
		struct backoff b = {0};
		uint32_t ms = backoff_next(&b, ev);

		least = MIN(least, ms);
		most = MAX(most, ms);
	}
	assert_in_range(least, 175, 180);
	assert_in_range(most, 320, 325);
	ev_free(ev);
}

static void test_a_spread_first_wait(void **state)
{
	uint32_t least = UINT32_MAX, most = 0;
	struct ev *ev;

	assert_int_equal(ev_sim_new(7, &ev), 0);
	for (int i = 0; i < 1000; i++) {
		struct backoff b = {0};
		uint32_t ms = backoff_next_spread(&b, ev, 4000);

		least = MIN(least, ms);
		most = MAX(most, ms);
		/* the next one grows as always */
		assert_in_range(backoff_next_spread(&b, ev, 4000), 297, 553);
	}
	assert_in_range(least, 1, 50);
	assert_in_range(most, 3950, 4000);
	for (int i = 0; i < 100; i++) {
		struct backoff b = {0};

		assert_in_range(backoff_next_spread(&b, ev, 0), 175, 325);
	}
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_grow_with_jitter),
		cmocka_unit_test(test_jitter_uses_its_whole_range),
		cmocka_unit_test(test_a_spread_first_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
