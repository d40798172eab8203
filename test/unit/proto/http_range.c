/* Ranges: what is meant, what is not to be had, and what is passed over. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "proto/http_range.h"

/* want: "W", "O", or the ranges as "first+len ...". */
static const struct {
	const char *why, *value;
	uint64_t size;
	const char *want;
} cases[] = {
	{"the first bytes", "bytes=0-4", 10, "0+5"},
	{"one byte", "bytes=0-0", 10, "0+1"},
	{"the unit in upper case", "BYTES=0-4", 10, "0+5"},
	{"from somewhere on", "bytes=4-", 10, "4+6"},
	{"the last byte", "bytes=9-", 10, "9+1"},
	{"the last bytes", "bytes=-3", 10, "7+3"},
	{"more last bytes than there are", "bytes=-30", 10, "0+10"},
	{"more than there is", "bytes=4-99", 10, "4+6"},
	{"up to a number that does not fit", "bytes=4-99999999999999999999999", 10, "4+6"},
	{"several", "bytes=0-1,4-5,-1", 10, "0+2 4+2 9+1"},
	{"in another order", "bytes=8-9, 0-1", 10, "8+2 0+2"},
	{"empty elements", "bytes=,0-1,,", 10, "0+2"},
	{"one of them outside", "bytes=0-1,20-30", 10, "0+2"},
	{"eight", "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", 99,
	 "0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1"},
	{"beside each other", "bytes=0-4,5-9", 10, "0+5 5+5"},
	{"a file of many bytes", "bytes=18446744073709551613-", 18446744073709551615u,
	 "18446744073709551613+2"},
	{"behind the end", "bytes=10-", 10, "O"},
	{"far behind the end", "bytes=99999999999999999999999-", 10, "O"},
	{"the last no bytes", "bytes=-0", 10, "O"},
	{"of nothing", "bytes=0-", 0, "O"},
	{"all of them outside", "bytes=10-11,12-", 10, "O"},
	{"the last bytes of nothing", "bytes=-5", 0, "W"},
	{"nine", "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", 99, "W"},
	{"nine, of which most are outside", "bytes=0-0,2-,2-,2-,2-,2-,2-,2-,2-", 1, "W"},
	{"overlapping", "bytes=0-4,4-5", 10, "W"},
	{"the same twice", "bytes=0-4,0-4", 10, "W"},
	{"one within the other", "bytes=4-5,0-9", 10, "W"},
	{"backwards", "bytes=4-3", 10, "W"},
	{"another unit", "lines=0-4", 10, "W"},
	{"no unit", "0-4", 10, "W"},
	{"nothing", "", 10, "W"},
	{"no ranges", "bytes=", 10, "W"},
	{"a dash alone", "bytes=-", 10, "W"},
	{"no dash", "bytes=4", 10, "W"},
	{"letters", "bytes=a-b", 10, "W"},
	{"a sign", "bytes=+1-2", 10, "W"},
	{"two dashes", "bytes=--2", 10, "W"},
	{"three numbers", "bytes=1-2-3", 10, "W"},
	{"space within", "bytes=1 -2", 10, "W"},
	{"one good, one bad", "bytes=0-1,x", 10, "W"},
	{"space before the sign", "bytes =0-1", 10, "W"},
};

static void test_parse(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_ranges r;
		char got[400] = "";
		size_t len = 0;

		switch (http_range_parse(str_of(cases[i].value), cases[i].size, &r)) {
		case HTTP_RANGE_WHOLE: strcpy(got, "W"); break;
		case HTTP_RANGE_OUTSIDE: strcpy(got, "O"); break;
		case HTTP_RANGE_PARTS:
			for (size_t k = 0; k < r.n; k++)
				len += str_printf(got + len, sizeof got - len, "%s%llu+%llu",
						  k > 0 ? " " : "",
						  (unsigned long long)r.v[k].first,
						  (unsigned long long)r.v[k].len);
			break;
		}
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, got);
	}
}

static void test_format(void **state)
{
	static const struct http_range r = {5, 10}, most = {UINT64_MAX - 2, 2};
	char out[HTTP_RANGE_TEXT];

	assert_int_equal(http_range_format(&r, 100, out), 14);
	assert_string_equal(out, "bytes 5-14/100");
	http_range_format(NULL, 100, out);
	assert_string_equal(out, "bytes */100");
	http_range_format(&most, UINT64_MAX, out);
	assert_string_equal(out,
			    "bytes 18446744073709551613-18446744073709551614/18446744073709551615");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
