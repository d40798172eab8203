/* Numbers, sizes and durations as people write them, and what is refused. */
#include "base/num.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"

/* Not NUL-terminated behind the text: a parser that reads on meets a digit. */
#define CUT(text) ((struct str){text "7", sizeof(text) - 1})

struct num_case {
	const char *why;
	struct str text;
	int want;
	uint64_t n;
};

static void run(const struct num_case *cases, size_t n_cases,
		int (*parse)(struct str s, uint64_t *out))
{
	for (size_t i = 0; i < n_cases; i++) {
		uint64_t n = 0xdead;

		print_message("%s\n", cases[i].why);
		assert_int_equal(parse(cases[i].text, &n), cases[i].want);
		assert_true(n == (cases[i].want == 0 ? cases[i].n : 0xdead));
	}
}

static int parse_u64(struct str s, uint64_t *out)
{
	return num_parse(s, UINT64_MAX, out);
}

static int parse_port(struct str s, uint64_t *out)
{
	return num_parse(s, 65535, out);
}

static void test_decimal(void **state)
{
	static const struct num_case cases[] = {
		{"nothing", {NULL, 0}, ERR_INVAL, 0},
		{"zero", CUT("0"), 0, 0},
		{"a number", CUT("8080"), 0, 8080},
		{"a leading zero", CUT("08"), ERR_INVAL, 0},
		{"two zeros", CUT("00"), ERR_INVAL, 0},
		{"a sign", CUT("+1"), ERR_INVAL, 0},
		{"a minus", CUT("-1"), ERR_INVAL, 0},
		{"a space before", CUT(" 1"), ERR_INVAL, 0},
		{"a space behind", CUT("1 "), ERR_INVAL, 0},
		{"a NUL inside", CUT("1\0002"), ERR_INVAL, 0},
		{"hexadecimal", CUT("0x1"), ERR_INVAL, 0},
		{"the largest", CUT("18446744073709551615"), 0, UINT64_MAX},
		{"one more", CUT("18446744073709551616"), ERR_TOOBIG, 0},
		{"ten times as much", CUT("184467440737095516150"), ERR_TOOBIG, 0},
		{"long, and no number", CUT("99999999999999999999x"), ERR_INVAL, 0},
	};
	static const struct num_case ports[] = {
		{"the largest port", CUT("65535"), 0, 65535},
		{"above the given maximum", CUT("65536"), ERR_TOOBIG, 0},
		{"far above it", CUT("99999999999999999999999"), ERR_TOOBIG, 0},
	};

	run(cases, ARRAY_LEN(cases), parse_u64);
	run(ports, ARRAY_LEN(ports), parse_port);
}

static void test_hex(void **state)
{
	static const struct num_case cases[] = {
		{"nothing", {NULL, 0}, ERR_INVAL, 0},
		{"either case", CUT("aF09"), 0, 0xaf09},
		{"leading zeros", CUT("0001"), 0, 1},
		{"sixteen digits", CUT("ffffffffffffffff"), 0, UINT64_MAX},
		{"seventeen digits", CUT("0ffffffffffffffff"), ERR_TOOBIG, 0},
		{"a prefix", CUT("0x1"), ERR_INVAL, 0},
		{"not a digit", CUT("fg"), ERR_INVAL, 0},
		{"a space", CUT("f "), ERR_INVAL, 0},
	};

	run(cases, ARRAY_LEN(cases), num_parse_hex);
}

static void test_hex_exact(void **state)
{
	static const struct num_case cases[] = {
		{"zero", CUT("0"), 0, 0},
		{"letters", CUT("dead1"), 0, 0xdead1},
		{"all of 64 bits", CUT("ffffffffffffffff"), 0, UINT64_MAX},
		{"upper case", CUT("DEAD"), ERR_INVAL, 0},
		{"a leading zero", CUT("01"), ERR_INVAL, 0},
		{"no digit", CUT(""), ERR_INVAL, 0},
		{"a prefix", CUT("0x1"), ERR_INVAL, 0},
		{"17 digits", CUT("10000000000000000"), ERR_TOOBIG, 0},
	};

	run(cases, ARRAY_LEN(cases), num_parse_hex_exact);
}

static void test_duration(void **state)
{
	static const struct num_case cases[] = {
		{"bare seconds", CUT("15"), 0, 15000},
		{"nothing at all", CUT("0"), 0, 0},
		{"milliseconds", CUT("250ms"), 0, 250},
		{"seconds", CUT("2s"), 0, 2000},
		{"minutes", CUT("2m"), 0, 120000},
		{"hours", CUT("1h"), 0, 3600000},
		{"days, upper case", CUT("100D"), 0, UINT64_C(8640000000)},
		{"more than 100 days", CUT("101d"), ERR_TOOBIG, 0},
		{"more in hours", CUT("2401h"), ERR_TOOBIG, 0},
		{"more in seconds", CUT("8640001"), ERR_TOOBIG, 0},
		{"a product that would overflow", CUT("18446744073709551615d"), ERR_TOOBIG, 0},
		{"a unit alone", CUT("ms"), ERR_INVAL, 0},
		{"an unknown unit", CUT("1w"), ERR_INVAL, 0},
		{"two units", CUT("1h30m"), ERR_INVAL, 0},
		{"a fraction", CUT("1.5s"), ERR_INVAL, 0},
		{"a space before the unit", CUT("1 s"), ERR_INVAL, 0},
		{"a sign", CUT("-1s"), ERR_INVAL, 0},
		{"nothing", {NULL, 0}, ERR_INVAL, 0},
	};

	run(cases, ARRAY_LEN(cases), num_parse_duration);
}

static void test_size(void **state)
{
	static const struct num_case cases[] = {
		{"bytes", CUT("100"), 0, 100},
		{"K", CUT("64K"), 0, 65536},
		{"lower case", CUT("64k"), 0, 65536},
		{"KiB", CUT("1KiB"), 0, 1024},
		{"M", CUT("16M"), 0, 16777216},
		{"MiB", CUT("1MiB"), 0, 1048576},
		{"G", CUT("1G"), 0, 1073741824},
		{"GiB", CUT("2GiB"), 0, UINT64_C(2147483648)},
		{"the largest", CUT("9007199254740992"), 0, UINT64_C(1) << 53},
		{"one more", CUT("9007199254740993"), ERR_TOOBIG, 0},
		{"more in G", CUT("8388609G"), ERR_TOOBIG, 0},
		{"decimal units are not offered", CUT("1KB"), ERR_INVAL, 0},
		{"a unit alone", CUT("K"), ERR_INVAL, 0},
		{"half", CUT("1.5G"), ERR_INVAL, 0},
	};

	run(cases, ARRAY_LEN(cases), num_parse_size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decimal),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_hex_exact),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
