/* Strangers' text: what a terminal would act on is shown, and what is wide counts as wide. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli_text.h"

static const struct {
	const char *why, *text, *clean;
	size_t width;
} cases[] = {
	{"plain", "demo", "demo", 4},
	{"an escape sequence", "\x1b[31mred", "\\x1b[31mred", 11},
	{"a new line", "a\nb", "a\\x0ab", 6},
	{"a C1 control",
	 "a\xc2\x9b"
	 "1m",
	 "a\\x9b1m", 7},
	{"a change of direction",
	 "a\xe2\x80\xae"
	 "b",
	 "a\\u202eb", 8},
	{"not UTF-8", "a\xff", "a\\xff", 5},
	{"letters with accents", "häuser", "häuser", 6},
	{"wide letters", "市场", "市场", 4},
	{"a combining accent", "e\xcc\x81", "e\xcc\x81", 1},
	{"quotes stay", "\"\\", "\"\\", 2},
	{"nothing", "", "", 0},
};

static void test_clean_and_width(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = {0};

		assert_int_equal(cli_text_clean(&b, str_of(cases[i].text)), 0);
		if (!str_eq(buf_str(&b), str_of(cases[i].clean)))
			fail_msg("%s: got \"" STR_FMT "\"", cases[i].why, STR_ARG(buf_str(&b)));
		if (cli_text_width(buf_str(&b)) != cases[i].width)
			fail_msg("%s: width %zu", cases[i].why, cli_text_width(buf_str(&b)));
		buf_free(&b);
	}
}

static void test_clean_has_an_end(void **state)
{
	size_t len = 3 * CLI_TEXT_MAX;
	char *text = malloc(len);
	struct buf b = {0};

	memset(text, '\x1b', len);
	assert_int_equal(cli_text_clean(&b, (struct str){text, len}), 0);
	assert_true(b.len <= CLI_TEXT_MAX && b.len > CLI_TEXT_MAX - 8);
	buf_free(&b);
	free(text);
}

static void check_printed(void (*print)(FILE *out, struct str text), const char *text,
			  const char *want)
{
	char *got = NULL;
	size_t len;
	FILE *f = open_memstream(&got, &len);

	print(f, str_of(text));
	fclose(f);
	assert_string_equal(got, want);
	free(got);
}

static void test_print(void **state)
{
	check_printed(cli_text_print, "a\x1b]0;x\x07", "a\\x1b]0;x\\x07");
	check_printed(cli_text_print_json, "{\"a\":\"h\xc3\xa4\xc2\x9b\x7f\\n\"}",
		      "{\"a\":\"h\xc3\xa4\\u009b\\u007f\\n\"}");
}

static const struct {
	const char *why, *text;
	size_t columns;
	const char *want;
	size_t used;
} fits[] = {
	{"all of it", "demo", 4, "demo", 4},
	{"cut", "demos", 4, "dem…", 4},
	{"one column", "demo", 1, "…", 1},
	{"a wide letter that would stick out", "a市场", 3, "a…", 2},
	{"empty", "", 1, "", 0},
};

static void test_fit(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(fits); i++) {
		char *got = NULL;
		size_t len, used;
		FILE *f = open_memstream(&got, &len);

		used = cli_text_fit(f, str_of(fits[i].text), fits[i].columns);
		fclose(f);
		if (strcmp(got, fits[i].want) != 0 || used != fits[i].used)
			fail_msg("%s: got \"%s\", %zu columns", fits[i].why, got, used);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean_and_width),
		cmocka_unit_test(test_clean_has_an_end),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
