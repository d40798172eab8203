/* What is shown to people: nothing a terminal would obey, nothing beyond the margin. */
#include "config/say.h"

#include "sample.h"

static const struct {
	const char *why;
	struct str value;
	const char *want; /* of say_print_quoted */
} cases[] = {
	{"plain", {"abc", 3}, "\"abc\""},
	{"empty", {NULL, 0}, "\"\""},
	{"quotes and backslashes", {"a\"\\", 3}, "\"a\\\"\\\\\""},
	{"a NUL byte", {"\0", 1}, "\"\\x00\""},
	{"escape and delete", {"\x1b\x7f", 2}, "\"\\x1b\\x7f\""},
	{"two bytes", {"ä", 2}, "\"ä\""},
	{"three bytes", {"市", 3}, "\"市\""},
	{"four bytes", {"🙂", 4}, "\"🙂\""},
	{"a control character of two bytes", {"\xc2\x9b", 2}, "\"\\x9b\""},
	{"a line separator", {"\xe2\x80\xa8", 3}, "\"\\u2028\""},
	{"right to left", {"\xe2\x80\xae", 3}, "\"\\u202e\""},
	{"a byte order mark", {"\xef\xbb\xbf", 3}, "\"\\ufeff\""},
	{"the last character of all", {"\xf4\x8f\xbf\xbf", 4}, "\"\xf4\x8f\xbf\xbf\""},
	{"a cut character", {"\xe5\xb8", 2}, "\"\\xe5\\xb8\""},
	{"a lone follower", {"\xa4", 1}, "\"\\xa4\""},
	{"too long a form", {"\xc0\xaf", 2}, "\"\\xc0\\xaf\""},
	{"too long a form of three", {"\xe0\x9f\xbf", 3}, "\"\\xe0\\x9f\\xbf\""},
	{"a surrogate", {"\xed\xa0\x80", 3}, "\"\\xed\\xa0\\x80\""},
	{"beyond unicode", {"\xf4\x90\x80\x80", 4}, "\"\\xf4\\x90\\x80\\x80\""},
};

static void test_quote(void **state)
{
	char dst[SAY_QUOTED], printed[64];
	FILE *f;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		memset(printed, 0, sizeof printed);
		assert_non_null(f = fmemopen(printed, sizeof printed, "w"));
		say_print_quoted(f, cases[i].value);
		fclose(f);
		if (strcmp(printed, cases[i].want) != 0 ||
		    strcmp(say_quote(dst, cases[i].value), cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, printed);
	}
}

static void test_quote_hides_passwords(void **state)
{
	static const struct {
		const char *why, *value, *want;
	} urls[] = {
		{"user and password", "http://u:secret@h/p", "\"http://u:***@h/p\""},
		{"a password alone", "redis://:secret@h:1", "\"redis://:***@h:1\""},
		{"an @ in it", "http://u:se@cret@h", "\"http://u:***@h\""},
		{"an empty one", "http://u:@h", "\"http://u:***@h\""},
		{"none", "http://u@h:80/", "\"http://u@h:80/\""},
		{"a port, and an @ in the path", "http://h:80/a:b@c", "\"http://h:80/a:b@c\""},
		{"no URL", "a:b@c", "\"a:b@c\""},
	};
	char dst[SAY_QUOTED];

	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		if (strcmp(say_quote(dst, str_of(urls[i].value)), urls[i].want) != 0)
			fail_msg("%s: %s", urls[i].why, dst);
}

/* The longest way to show bytes still fits. */
static void test_quote_fits(void **state)
{
	char dst[SAY_QUOTED], value[200];

	for (int c = 0; c < 256; c++) {
		memset(value, c, sizeof value);
		say_quote(dst, (struct str){value, sizeof value});
		assert_string_equal(dst + strlen(dst) - 4, "...\"");
	}
}

static void test_wrap(void **state)
{
	char out[400] = "", word[101];
	FILE *f = fmemopen(out, sizeof out, "w");

	assert_non_null(f);
	memset(word, 'x', 100);
	word[100] = '\0';
	/* Columns 70 to 79 hold ten letters; one more goes to the next line. */
	say_wrap(f, "1234 67890 a", 70, 4);
	say_wrap(f, "1234 678901", 70, 4);
	say_wrap(f, "", 0, 4);
	say_wrap(f, "  two   spaces ", 0, 4);
	say_wrap(f, word, 10, 2);
	fclose(f);
	assert_memory_equal(out, "1234 67890\n    a\n1234\n    678901\n\ntwo spaces\nxxx", 48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_quote_hides_passwords),
		cmocka_unit_test(test_quote_fits),
		cmocka_unit_test(test_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
