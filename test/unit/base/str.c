/* Text by pointer and length, where the end is not marked and p may be NULL. */
#include "base/str.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static const struct str none = {NULL, 0};

static void test_of(void **state)
{
	assert_int_equal(str_of(NULL).len, 0);
	assert_null(str_of(NULL).p);
	assert_int_equal(str_of("abc").len, 3);
	assert_int_equal(STR("a\0b").len, 3);
}

static void test_equality(void **state)
{
	static const struct {
		const char *why;
		struct str a, b;
		bool same, same_nocase, starts, ends;
	} cases[] = {
		{"the same", STR("abc"), STR("abc"), true, true, true, true},
		{"another case", STR("aBc"), STR("AbC"), false, true, false, true},
		{"a prefix", STR("abc"), STR("ab"), false, false, true, false},
		{"a suffix in another case", STR("abc"), STR("BC"), false, false, false, true},
		{"longer than it", STR("bc"), STR("abc"), false, false, false, false},
		{"nothing in something", STR("abc"), {NULL, 0}, false, false, true, true},
		{"nothing and nothing", {NULL, 0}, STR(""), true, true, true, true},
		{"nothing twice", {NULL, 0}, {NULL, 0}, true, true, true, true},
		{"bytes behind a NUL count", STR("a\0b"), STR("a\0c"), false, false, false, false},
		{"only ASCII has cases", STR("\xc4"), STR("\xe4"), false, false, false, false},
		{"@ is not `", STR("@"), STR("`"), false, false, false, false},
		{"[ is not {", STR("["), STR("{"), false, false, false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(str_eq(cases[i].a, cases[i].b), cases[i].same);
		assert_int_equal(str_eq_nocase(cases[i].a, cases[i].b), cases[i].same_nocase);
		assert_int_equal(str_starts(cases[i].a, cases[i].b), cases[i].starts);
		assert_int_equal(str_ends_nocase(cases[i].a, cases[i].b), cases[i].ends);
	}
}

static void test_trim(void **state)
{
	static const struct {
		struct str in, want;
	} cases[] = {
		{STR("abc"), STR("abc")}, {STR(" \ta b\t "), STR("a b")}, {STR(" \t "), STR("")},
		{STR(""), STR("")},	  {STR("\n a"), STR("\n a")},	  {STR("a\r"), STR("a\r")},
		{{NULL, 0}, STR("")},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_true(str_eq(str_trim(cases[i].in), cases[i].want));
}

static void test_find(void **state)
{
	assert_int_equal(str_find(STR("a:b:c"), ':'), 1);
	assert_int_equal(str_find(STR("abc"), ':'), 3);
	assert_int_equal(str_find(none, ':'), 0);
	assert_int_equal(str_find((struct str){"ab:", 2}, ':'), 2); /* what follows is not ours */
	assert_int_equal(str_find(STR("a\0b"), 'b'), 2);
}

static void test_split(void **state)
{
	static const struct {
		const char *why;
		struct str in;
		int n;
		const char *pieces[4];
	} cases[] = {
		{"three", STR("a,bc,d"), 3, {"a", "bc", "d"}},
		{"one", STR("abc"), 1, {"abc"}},
		{"empty pieces count", STR(",a,"), 3, {"", "a", ""}},
		{"an empty text is one empty piece", STR(""), 1, {""}},
		{"only a separator", STR(","), 2, {"", ""}},
		{"no text at all", {NULL, 0}, 0, {NULL}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str rest = cases[i].in, piece;
		int n = 0;

		print_message("%s\n", cases[i].why);
		while (str_next(&rest, ',', &piece)) {
			assert_true(n < cases[i].n);
			assert_true(str_eq(piece, str_of(cases[i].pieces[n++])));
		}
		assert_int_equal(n, cases[i].n);
		assert_null(rest.p);
	}
}

static void test_dup(void **state)
{
	char *copy = str_dup((struct str){"abcdef", 3});

	assert_string_equal(copy, "abc");
	free(copy);
	copy = str_dup(none);
	assert_string_equal(copy, "");
	free(copy);
}

static void test_copy(void **state)
{
	static const struct {
		const char *why;
		size_t cap;
		int want;
		const char *holds;
	} cases[] = {
		{"room for more", 5, 0, "abc"},
		{"exactly, with the NUL", 4, 0, "abc"},
		{"no room for the NUL", 3, ERR_TOOBIG, ""},
		{"room for the NUL only", 1, ERR_TOOBIG, ""},
	};
	char dst[5];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		memset(dst, '#', sizeof dst);
		assert_int_equal(str_copy(dst, cases[i].cap, STR("abc")), cases[i].want);
		assert_string_equal(dst, cases[i].holds);
		if (cases[i].cap < sizeof dst)
			assert_int_equal(dst[cases[i].cap], '#');
	}
	assert_int_equal(str_copy(dst, 1, none), 0);
	assert_string_equal(dst, "");
}

static void test_printf(void **state)
{
	char dst[5];

	assert_int_equal(str_printf(dst, sizeof dst, "%d", 12), 2);
	assert_string_equal(dst, "12");
	assert_int_equal(str_printf(dst, sizeof dst, "%s", "1234"), 4);
	assert_int_equal(str_printf(dst, sizeof dst, "%s", "123456"), 4);
	assert_string_equal(dst, "1234");
	assert_int_equal(str_printf(dst, 1, "x"), 0);
	assert_string_equal(dst, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of),    cmocka_unit_test(test_equality),
		cmocka_unit_test(test_trim),  cmocka_unit_test(test_find),
		cmocka_unit_test(test_split), cmocka_unit_test(test_dup),
		cmocka_unit_test(test_copy),  cmocka_unit_test(test_printf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
