/* Moments written and read back, and what is no moment. */
#include "proto/time_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"

static void test_format(void **state)
{
	static const struct {
		const char *why;
		int64_t ms;
		const char *want;
	} cases[] = {
		{"the beginning", 0, "1970-01-01T00:00:00.000Z"},
		{"milliseconds", 1795230000042, "2026-11-21T03:00:00.042Z"},
		{"a leap day", 1709164800000, "2024-02-29T00:00:00.000Z"},
		{"the day behind it", 1709251200000, "2024-03-01T00:00:00.000Z"},
		{"a century that leaps", 951782400000, "2000-02-29T00:00:00.000Z"},
		{"the end of a year", 1798761599999, "2026-12-31T23:59:59.999Z"},
		{"the end", TIME_TEXT_MAX, "9999-12-31T23:59:59.999Z"},
		{"beyond it", INT64_MAX, "9999-12-31T23:59:59.999Z"},
		{"before the beginning", -1, "1970-01-01T00:00:00.000Z"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char got[TIME_TEXT];

		time_text_format(cases[i].ms, got);
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, got);
	}
}

static void test_parse(void **state)
{
	static const struct {
		const char *why, *text;
		int e;
		int64_t ms;
	} cases[] = {
		{"as we write it", "2026-11-21T03:00:00.042Z", 0, 1795230000042},
		{"no fraction", "2026-11-21T03:00:00Z", 0, 1795230000000},
		{"one digit of it", "2026-11-21T03:00:00.5Z", 0, 1795230000500},
		{"nanoseconds are cut", "2026-11-21T03:00:00.123456789Z", 0, 1795230000123},
		{"small letters", "2026-11-21t03:00:00z", 0, 1795230000000},
		{"east of Greenwich", "2026-11-21T04:30:00+01:30", 0, 1795230000000},
		{"west of it", "2026-11-20T22:00:00-05:00", 0, 1795230000000},
		{"an unknown offset", "2026-11-21T03:00:00-00:00", 0, 1795230000000},
		{"a leap second", "2016-12-31T23:59:60Z", 0, 1483228800000},
		{"a leap day", "2024-02-29T00:00:00Z", 0, 1709164800000},
		{"the beginning", "1970-01-01T00:00:00Z", 0, 0},
		{"before it by its offset", "1970-01-01T00:00:00+00:01", ERR_TOOBIG, 0},
		{"the year 0", "0000-01-01T00:00:00Z", ERR_TOOBIG, 0},
		{"the end", "9999-12-31T23:59:59.999Z", 0, TIME_TEXT_MAX},
		{"beyond it by its offset", "9999-12-31T23:59:59-00:01", ERR_TOOBIG, 0},
		{"nothing", "", ERR_INVAL, 0},
		{"a day only", "2026-11-21", ERR_INVAL, 0},
		{"no offset", "2026-11-21T03:00:00", ERR_INVAL, 0},
		{"a space for the T", "2026-11-21 03:00:00Z", ERR_INVAL, 0},
		{"a point without a fraction", "2026-11-21T03:00:00.Z", ERR_INVAL, 0},
		{"a comma", "2026-11-21T03:00:00,5Z", ERR_INVAL, 0},
		{"the 13th month", "2026-13-01T00:00:00Z", ERR_INVAL, 0},
		{"month 0", "2026-00-01T00:00:00Z", ERR_INVAL, 0},
		{"day 0", "2026-01-00T00:00:00Z", ERR_INVAL, 0},
		{"no such day", "2026-04-31T00:00:00Z", ERR_INVAL, 0},
		{"no leap year", "2026-02-29T00:00:00Z", ERR_INVAL, 0},
		{"a century that does not leap", "2100-02-29T00:00:00Z", ERR_INVAL, 0},
		{"hour 24", "2026-11-21T24:00:00Z", ERR_INVAL, 0},
		{"minute 60", "2026-11-21T03:60:00Z", ERR_INVAL, 0},
		{"second 61", "2026-11-21T03:00:61Z", ERR_INVAL, 0},
		{"an offset of a day", "2026-11-21T03:00:00+24:00", ERR_INVAL, 0},
		{"an offset without a colon", "2026-11-21T03:00:00+0100", ERR_INVAL, 0},
		{"something behind it", "2026-11-21T03:00:00Z ", ERR_INVAL, 0},
		{"something before it", " 2026-11-21T03:00:00Z", ERR_INVAL, 0},
		{"a sign in the year", "+026-11-21T03:00:00Z", ERR_INVAL, 0},
		{"five digits", "12026-11-21T03:00:00Z", ERR_INVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t ms = 0;
		int e = time_text_parse(str_of(cases[i].text), &ms);

		if (e != cases[i].e || (e == 0 && ms != cases[i].ms))
			fail_msg("%s: %d, %lld", cases[i].why, e, (long long)ms);
	}
}

/* Another calendar says the same, some 29,000 days on end. */
static void test_as_libc(void **state)
{
	for (int64_t day = 0; day < 80 * 366; day++) {
		time_t at = (time_t)(day * 86400 + 3661);
		char got[TIME_TEXT], want[TIME_TEXT + 8];
		struct tm tm;
		int64_t ms;

		assert_non_null(gmtime_r(&at, &tm));
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
		time_text_format((int64_t)at * 1000, got);
		assert_string_equal(got, want);
		assert_int_equal(time_text_parse(str_of(got), &ms), 0);
		assert_int_equal(ms, (int64_t)at * 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_as_libc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
