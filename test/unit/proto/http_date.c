/* Dates of HTTP, written in one form and read in three. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "proto/http_date.h"

#define NOW INT64_C(1795266000) /* in November 2026 */

static void test_format(void **state)
{
	static const struct {
		const char *why, *text;
		int64_t s;
	} cases[] = {
		{"the one of the standard", "Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
		{"the first second", "Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"before it", "Thu, 01 Jan 1970 00:00:00 GMT", -5},
		{"a leap day", "Thu, 29 Feb 2024 23:59:59 GMT", 1709251199},
		{"the last one", "Fri, 31 Dec 9999 23:59:59 GMT", HTTP_DATE_MAX},
		{"behind it", "Fri, 31 Dec 9999 23:59:59 GMT", INT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[HTTP_DATE_TEXT];
		int64_t s;

		print_message("# %s\n", cases[i].why);
		http_date_format(cases[i].s, out);
		assert_string_equal(out, cases[i].text);
		assert_int_equal(http_date_parse(str_of(out), NOW, &s), 0);
		assert_int_equal(s, MIN(MAX(cases[i].s, 0), HTTP_DATE_MAX));
	}
}

static void test_parse(void **state)
{
	static const struct {
		const char *why, *text;
		int e;
		int64_t s;
	} cases[] = {
		{"RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", 0, 784111777},
		{"asctime", "Sun Nov  6 08:49:37 1994", 0, 784111777},
		{"asctime, two digits", "Wed Nov 16 08:49:37 1994", 0, 784975777},
		{"RFC 850, 50 years ahead", "Sunday, 06-Nov-76 08:49:37 GMT", 0, 3371878177},
		{"RFC 850, 51 years ahead is past", "Sunday, 06-Nov-77 08:49:37 GMT", 0, 247654177},
		{"another day's name does not matter", "Mon, 06 Nov 1994 08:49:37 GMT", 0,
		 784111777},
		{"a leap second", "Sat, 31 Dec 2016 23:59:60 GMT", 0, 1483228800},
		{"long ago", "Sun, 01 Jan 1600 00:00:00 GMT", 0, -11676096000},
		{"nothing", "", ERR_INVAL, 0},
		{"no day's name", "06 Nov 1994 08:49:37 GMT", ERR_INVAL, 0},
		{"another zone", "Sun, 06 Nov 1994 08:49:37 CET", ERR_INVAL, 0},
		{"no zone", "Sun, 06 Nov 1994 08:49:37", ERR_INVAL, 0},
		{"lower case", "sun, 06 nov 1994 08:49:37 gmt", ERR_INVAL, 0},
		{"30 February", "Sun, 30 Feb 1994 08:49:37 GMT", ERR_INVAL, 0},
		{"29 February of no leap year", "Sun, 29 Feb 2100 08:49:37 GMT", ERR_INVAL, 0},
		{"day 0", "Sun, 00 Nov 1994 08:49:37 GMT", ERR_INVAL, 0},
		{"hour 24", "Sun, 06 Nov 1994 24:00:00 GMT", ERR_INVAL, 0},
		{"minute 60", "Sun, 06 Nov 1994 08:60:00 GMT", ERR_INVAL, 0},
		{"something behind it", "Sun, 06 Nov 1994 08:49:37 GMT;", ERR_INVAL, 0},
		{"one digit", "Sun, 6 Nov 1994 08:49:37 GMT", ERR_INVAL, 0},
		{"a sign", "Sun, -6 Nov 1994 08:49:37 GMT", ERR_INVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t s = 0;
		int e = http_date_parse(str_of(cases[i].text), NOW, &s);

		if (e != cases[i].e || s != cases[i].s)
			fail_msg("%s: %d, %lld", cases[i].why, e, (long long)s);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
