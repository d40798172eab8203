/* What strangers send reaches logs and terminals; none of it may be obeyed, or cut a character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/show.h"

static const struct {
	const char *why;
	struct str in;
	const char *text, *line, *quoted, *ascii;
} cases[] = {
	{"nothing", {NULL, 0}, "", "", "", ""},
	{"plain", STR("a ~z"), "a ~z", "a ~z", "a ~z", "a ~z"},
	{"quotes and a backslash", STR("\"'\\"), "\"'\\", "\"'\\", "''\\", "\"'\\"},
	{"an escape sequence", STR("\x1b[2J"), "\\x1b[2J", "?[2J", "?[2J", "?[2J"},
	{"NUL and DEL", STR("\0\x7f"), "\\x00\\x7f", "??", "??", "??"},
	{"white space", STR("a\tb\r\nc"), "a\\x09b\\x0d\\x0ac", "a b  c", "a b  c", "a?b??c"},
	{"other breaks of a line", STR("\v\f"), "\\x0b\\x0c", "??", "??", "??"},
	{"C1 as UTF-8", STR("\xc2\x9b"), "\\x9b", "?", "?", "??"},
	{"C1 as a bare byte", STR("\x9b"), "\\x9b", "?", "?", "?"},
	{"the first behind C1", STR("\xc2\xa0"), "\xc2\xa0", "\xc2\xa0", "\xc2\xa0", "??"},
	{"letters of two and three bytes", STR("ä市"), "ä市", "ä市", "ä市", "?????"},
	{"a letter of four", STR("🙂"), "🙂", "🙂", "🙂", "????"},
	{"from right to left", STR("\xe2\x80\xae"), "\\u202e", "?", "?", "???"},
	{"a mark of direction", STR("\xe2\x80\x8f"), "\\u200f", "?", "?", "???"},
	{"the Arabic one", STR("\xd8\x9c"), "\\u061c", "?", "?", "??"},
	{"an isolate", STR("\xe2\x81\xa6"), "\\u2066", "?", "?", "???"},
	{"a line separator", STR("\xe2\x80\xa8"), "\\u2028", "?", "?", "???"},
	{"a byte order mark", STR("\xef\xbb\xbf"), "\\ufeff", "?", "?", "???"},
	{"a cut character", STR("\xe5\xb8"), "\\xe5\\xb8", "??", "??", "??"},
	{"one that another breaks off", STR("\xe5\xb8z"), "\\xe5\\xb8z", "??z", "??z", "??z"},
	{"too long a form", STR("\xc0\xaf"), "\\xc0\\xaf", "??", "??", "??"},
	{"a surrogate", STR("\xed\xa0\x80"), "\\xed\\xa0\\x80", "???", "???", "???"},
	{"beyond Unicode", STR("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80", "????", "????", "????"},
	{"no lead at all", STR("\xff"), "\\xff", "?", "?", "?"},
};

static void check(const char *why, const char *got, size_t n, const char *want)
{
	if (strcmp(got, want) != 0 || n != strlen(want))
		fail_msg("%s: %zu bytes, \"%s\"; not \"%s\"", why, n, got, want);
}

static void test_every_way(void **state)
{
	char dst[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str in = cases[i].in;

		check(cases[i].why, dst, show_text(dst, sizeof dst, in), cases[i].text);
		check(cases[i].why, dst, show_line(dst, sizeof dst, in), cases[i].line);
		check(cases[i].why, dst, show_quoted(dst, sizeof dst, in), cases[i].quoted);
		check(cases[i].why, dst, show_ascii(dst, sizeof dst, in), cases[i].ascii);
	}
}

typedef size_t (*show_fn)(char *dst, size_t cap, struct str s);

static void test_cut(void **state)
{
	static const struct {
		const char *why;
		show_fn fn;
		size_t cap;
		struct str in;
		const char *want;
	} cuts[] = {
		{"room for all", show_text, 4, STR("abc"), "abc"},
		{"one byte less", show_text, 3, STR("abc"), "ab"},
		{"room for nothing", show_text, 1, STR("abc"), ""},
		{"an escape does not fit", show_text, 5, STR("a\x1b"), "a"},
		{"an escape just fits", show_text, 6, STR("a\x1b"), "a\\x1b"},
		{"a letter does not fit", show_text, 3, STR("a市"), "a"},
		{"what comes behind it is not moved up", show_text, 4, STR("a市b"), "a"},
		{"a line: a letter does not fit", show_line, 4, STR("a市"), "a"},
		{"a line: it just fits", show_line, 5, STR("a市"), "a市"},
		{"a line: room for nothing", show_line, 1, STR("\x1b"), ""},
		{"a line: what is hidden takes one", show_line, 3, STR("\xe2\x80\xae\x1bz"), "??"},
		{"quoted", show_quoted, 3, STR("\"\"\""), "''"},
		{"ASCII", show_ascii, 3, STR("abc"), "ab"},
		{"ASCII: room for nothing", show_ascii, 1, STR("abc"), ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		char dst[16];

		memset(dst, '#', sizeof dst);
		check(cuts[i].why, dst, cuts[i].fn(dst, cuts[i].cap, cuts[i].in), cuts[i].want);
		assert_int_equal(dst[cuts[i].cap], '#'); /* not a byte more */
	}
}

/* Whatever comes: what is shown is UTF-8 without anything that would be obeyed. */
static void test_every_pair_of_bytes(void **state)
{
	static const show_fn fns[] = {show_text, show_line, show_quoted, show_ascii};

	for (unsigned pair = 0; pair < 0x10000; pair++) {
		char in[2] = {(char)(pair >> 8), (char)pair}, dst[16];

		for (size_t i = 0; i < ARRAY_LEN(fns); i++) {
			struct str s = {dst, fns[i](dst, sizeof dst, (struct str){in, 2})};

			assert_true(s.len >= 1);
			while (s.len > 0) {
				uint32_t c;
				size_t n = show_decode(s, &c);

				if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0))
					fail_msg("%04x is shown as %02x", pair, (unsigned)c);
				s = (struct str){s.p + n, s.len - n};
			}
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_way),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_every_pair_of_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
