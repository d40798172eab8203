/* Paths that requests ask for, as names of files; and back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "proto/url_path.h"

static const struct {
	const char *why, *in, *out;
	bool slash, hidden;
	const char *query;
	int e;
} cases[] = {
	{"the root", "/", "", true},
	{"a file", "/a", "a"},
	{"a directory", "/a/", "a", true},
	{"a file in it", "/a/b.txt", "a/b.txt"},
	{"a query", "/a?b=c/../d", "a", false, false, "?b=c/../d"},
	{"an empty query", "/a?", "a", false, false, "?"},
	{"a space", "/a%20b+c", "a b+c"},
	{"UTF-8", "/%C3%B6", "\xc3\xb6"},
	{"what is no UTF-8", "/%ff", "\xff"},
	{"a dot overlong", "/%c0%ae%c0%ae/x", "\xc0\xae\xc0\xae/x"},
	{"slashes in a row", "//a///b", "a/b"},
	{"only slashes", "////", "", true},
	{"one dot", "/./a/./b", "a/b"},
	{"a dot at the end", "/a/.", "a", true},
	{"two dots", "/a/../b", "b"},
	{"two dots at the end", "/a/b/..", "a", true},
	{"two dots and a slash", "/a/b/../", "a", true},
	{"two dots at the root", "/../../etc/passwd", "etc/passwd"},
	{"only dots", "/..", "", true},
	{"more than there are", "/a/../../../b", "b"},
	{"escaped", "/%2e%2e/a/%2E/%2e./b", "b"},
	{"escaped twice is a name", "/%252e%252e/a", "%2e%2e/a"},
	{"two dots behind slashes", "/a//../b", "b"},
	{"three dots are a name", "/.../a", ".../a", false, true},
	{"a backslash is a name", "/..\\a", "..\\a", false, true},
	{"hidden", "/.git/config", ".git/config", false, true},
	{"hidden deeper", "/a/.htpasswd", "a/.htpasswd", false, true},
	{"hidden, escaped", "/%2egit", ".git", false, true},
	{"left again", "/.git/../a", "a"},
	{"well known", "/.well-known/acme-challenge/x", ".well-known/acme-challenge/x"},
	{"well known alone", "/.well-known", ".well-known"},
	{"hidden in what is well known", "/.well-known/.x", ".well-known/.x", false, true},
	{"less well known", "/.well-known2", ".well-known2", false, true},
	{"well known only in front", "/a/.well-known", "a/.well-known", false, true},
	{"an escaped slash", "/a%2fb", "", false, false, NULL, ERR_NOTFOUND},
	{"dots and an escaped slash", "/..%2f..%2fetc", "", false, false, NULL, ERR_NOTFOUND},
	{"an escaped NUL", "/a%00.txt", "", false, false, NULL, ERR_INVAL},
	{"half an escape", "/a%2", "", false, false, NULL, ERR_INVAL},
	{"no escape", "/100%", "", false, false, NULL, ERR_INVAL},
	{"no slash in front", "a", "", false, false, NULL, ERR_INVAL},
	{"an asterisk", "*", "", false, false, NULL, ERR_INVAL},
	{"nothing", "", "", false, false, NULL, ERR_INVAL},
};

static void test_read(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[64];
		struct url_path p;
		int e = url_path_read(str_of(cases[i].in), out, sizeof out, &p);

		if (e != cases[i].e || strcmp(out, cases[i].out) != 0)
			fail_msg("%s: %d, %s", cases[i].why, e, out);
		if (e != 0)
			continue;
		if (p.slash != cases[i].slash || p.hidden != cases[i].hidden ||
		    p.len != strlen(out) || !str_eq(p.query, str_of(cases[i].query)))
			fail_msg("%s: slash %d, hidden %d", cases[i].why, p.slash, p.hidden);
	}
}

static void test_bounds(void **state)
{
	struct url_path p;
	char out[8];

	assert_int_equal(url_path_read(STR("/abc/def"), out, sizeof out, &p), 0);
	assert_string_equal(out, "abc/def");
	assert_int_equal(url_path_read(STR("/abc/defg"), out, sizeof out, &p), ERR_TOOBIG);
	assert_string_equal(out, "");
	assert_int_equal(url_path_read(STR("/abcdefg/h"), out, sizeof out, &p), ERR_TOOBIG);
	assert_int_equal(url_path_read(STR("/ab/../c/"), out, sizeof out, &p), 0);
	assert_string_equal(out, "c");
	assert_int_equal(url_path_read(STR("/"), out, 1, &p), 0);
	assert_int_equal(url_path_read(STR("/a"), out, 1, &p), ERR_TOOBIG);
}

static void test_write(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"a/b.txt", "a/b.txt"},
		{"a b", "a%20b"},
		{"100%", "100%25"},
		{"\xc3\xb6", "%C3%B6"},
		{"?#[]\"<>", "%3F%23%5B%5D%22%3C%3E"},
		{"~-_!$&'()*+,;=:@", "~-_!$&'()*+,;=:@"},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = {0};

		assert_int_equal(url_path_write(&b, 100, str_of(rows[i].in)), 0);
		assert_true(str_eq(buf_str(&b), str_of(rows[i].out)));
		buf_free(&b);
		if (rows[i].out[0] != '\0')
			assert_int_equal(url_path_write(&b, strlen(rows[i].out) - 1,
							str_of(rows[i].in)),
					 ERR_TOOBIG);
		buf_free(&b);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
