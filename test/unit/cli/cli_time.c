/* How far away a moment is, and what people write to name one. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"
#include "cli/cli_time.h"

#define NOW ((int64_t)1795230000000) /* 2026-11-21T03:00:00Z */
#define S   ((int64_t)1000)
#define DAY (86400 * S)

static const struct {
	const char *why;
	int64_t away;
	const char *want;
} tells[] = {
	{"now", 0, "just now"},
	{"some seconds ago", -59 * S, "just now"},
	{"some seconds to come", 59 * S, "in a moment"},
	{"a minute", -60 * S, "1 min ago"},
	{"minutes", -3599 * S, "59 min ago"},
	{"an hour", -3600 * S, "1 h ago"},
	{"hours to come", 5 * 3600 * S, "in 5 h"},
	{"a day", -DAY, "1 day ago"},
	{"days", -59 * DAY, "59 days ago"},
	{"what was made for 30 days, a moment later", 30 * DAY - 5 * S, "in 30 days"},
	{"long ago", -60 * DAY, "2026-09-22"},
	{"far away", 400 * DAY, "2027-12-26"},
};

static void test_tell(void **state)
{
	char text[CLI_TIME_TELL];

	for (size_t i = 0; i < ARRAY_LEN(tells); i++) {
		cli_time_tell(NOW + tells[i].away, NOW, text);
		if (!str_eq(str_of(text), str_of(tells[i].want)))
			fail_msg("%s: got \"%s\"", tells[i].why, text);
	}
}

static const struct {
	const char *why, *text;
	int e;
	int64_t ms;
} spans[] = {
	{"minutes", "90m", 0, 5400 * S},
	{"hours", "8h", 0, 28800 * S},
	{"days", "30d", 0, 30 * DAY},
	{"weeks", "2w", 0, 14 * DAY},
	{"years", "1y", 0, 365 * DAY},
	{"the most", "100y", 0, CLI_TIME_SPAN_MAX},
	{"more", "101y", ERR_INVAL, 0},
	{"beyond 64 bits", "99999999999999999999d", ERR_INVAL, 0},
	{"nothing", "0d", ERR_INVAL, 0},
	{"no number", "d", ERR_INVAL, 0},
	{"no letter", "30", ERR_INVAL, 0},
	{"empty", "", ERR_INVAL, 0},
	{"a sign", "-3d", ERR_INVAL, 0},
};

static void test_span(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
		int64_t ms = 0;

		if (cli_time_span(str_of(spans[i].text), &ms) != spans[i].e || ms != spans[i].ms)
			fail_msg("%s: got %lld", spans[i].why, (long long)ms);
	}
}

static const struct {
	const char *why, *text;
	int e;
	int64_t ms;
} untils[] = {
	{"a span", "1d", 0, NOW + DAY},
	{"the end of a day", "2026-11-21", 0, NOW + 21 * 3600 * S - 1},
	{"the end of a year", "2026-12-31", 0, NOW + 41 * DAY - 3 * 3600 * S - 1},
	{"to the second", "2026-11-21T03:00:01Z", 0, NOW + S},
	{"now is over", "2026-11-21T03:00:00Z", ERR_INVAL, 0},
	{"yesterday", "2026-11-20", ERR_INVAL, 0},
	{"no such day", "2026-02-30", ERR_INVAL, 0},
	{"words", "tomorrow", ERR_INVAL, 0},
	{"ten letters", "tomorrow!!", ERR_INVAL, 0},
};

static void test_until(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(untils); i++) {
		int64_t ms = 0;
		int e = cli_time_until(str_of(untils[i].text), NOW, &ms);

		if (e != untils[i].e || (e == 0 && ms != untils[i].ms))
			fail_msg("%s: got %lld", untils[i].why, (long long)ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tell),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_until),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
