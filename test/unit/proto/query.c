/* Queries cut into pairs, and escapes undone or refused. */
#include "proto/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void test_pairs(void **state)
{
	static const struct {
		const char *why, *query, *want; /* want: each pair as "name|value;" */
	} cases[] = {
		{"none", "", ""},
		{"one", "a=1", "a|1;"},
		{"three", "a=1&b=2&c=3", "a|1;b|2;c|3;"},
		{"no value", "a=", "a|;"},
		{"no equals sign", "a", "a|;"},
		{"no name", "=1", "|1;"},
		{"neither", "=", "|;"},
		{"a second equals sign is the value's", "a==b=", "a|=b=;"},
		{"empty ones are passed over", "&&a=1&&&b=2&", "a|1;b|2;"},
		{"only empty ones", "&&&", ""},
		{"twice the same is two", "a=1&a=2", "a|1;a|2;"},
		{"escaped signs cut nothing", "a%3D1%26b=%26", "a%3D1%26b|%26;"},
		{"a semicolon cuts nothing", "a=1;b=2", "a|1;b=2;"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str rest = str_of(cases[i].query), name, value;
		char got[200];
		size_t n = 0;

		got[0] = '\0';
		while (query_next(&rest, &name, &value))
			n += str_printf(got + n, sizeof got - n, STR_FMT "|" STR_FMT ";",
					STR_ARG(name), STR_ARG(value));
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, got);
		assert_false(query_next(&rest, &name, &value));
	}
}

static void test_nothing_to_walk(void **state)
{
	struct str rest = {0}, name, value;

	assert_false(query_next(&rest, &name, &value));
}

static const struct {
	const char *why;
	struct str in;
	int e;
	const char *decoded, *unescaped;
} cases[] = {
	{"nothing", {"", 0}, 0, "", ""},
	{"plain", {"abc", 3}, 0, "abc", "abc"},
	{"a plus sign", {"a+b+", 4}, 0, "a b ", "a+b+"},
	{"an escaped plus sign", {"a%2Bb", 5}, 0, "a+b", "a+b"},
	{"an escaped space", {"a%20b", 5}, 0, "a b", "a b"},
	{"either case", {"%2f%2F%aA", 9}, 0, "//\xaa", "//\xaa"},
	{"an escaped escape is undone once", {"%2541", 5}, 0, "%41", "%41"},
	{"not UTF-8", {"%ff\xfe", 4}, 0, "\xff\xfe", "\xff\xfe"},
	{"a lone percent sign", {"%", 1}, ERR_INVAL, NULL, NULL},
	{"one digit at the end", {"a%2", 3}, ERR_INVAL, NULL, NULL},
	{"what stands behind the end does not count", {"a%41", 3}, ERR_INVAL, NULL, NULL},
	{"no digit", {"%4g", 3}, ERR_INVAL, NULL, NULL},
	{"a sign for a digit", {"%+1", 3}, ERR_INVAL, NULL, NULL},
	{"a space for a digit", {"% 1", 3}, ERR_INVAL, NULL, NULL},
	{"an x for a digit", {"%0x41", 5}, ERR_INVAL, NULL, NULL},
	{"two percent signs", {"%%41", 4}, ERR_INVAL, NULL, NULL},
	{"a NUL, escaped", {"a%00b", 5}, ERR_INVAL, NULL, NULL},
	{"a NUL", {"a\0b", 3}, ERR_INVAL, NULL, NULL},
};

static void test_escapes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[20], *copy = malloc(cases[i].in.len);
		struct str in = {copy, cases[i].in.len};
		size_t len = 99;

		/* In memory of just that size, a sanitizer sees a byte read too much. */
		print_message("# %s\n", cases[i].why);
		memcpy(copy, cases[i].in.p, in.len);
		assert_int_equal(query_decode(in, out, sizeof out, &len), cases[i].e);
		assert_string_equal(out, cases[i].e == 0 ? cases[i].decoded : "");
		assert_int_equal(len, strlen(out));
		len = 99;
		assert_int_equal(query_unescape(in, out, sizeof out, &len), cases[i].e);
		assert_string_equal(out, cases[i].e == 0 ? cases[i].unescaped : "");
		assert_int_equal(len, strlen(out));
		free(copy);
	}
}

static void test_room(void **state)
{
	static const struct {
		const char *why, *in;
		size_t cap;
		int e;
	} rooms[] = {
		{"just enough", "abc", 4, 0},
		{"escaped bytes count once", "%61%62%63", 4, 0},
		{"no place for the NUL", "abc", 3, ERR_TOOBIG},
		{"far too long", "%61%62%63%64", 2, ERR_TOOBIG},
		{"nothing needs only the NUL", "", 1, 0},
		{"not even one byte", "a", 1, ERR_TOOBIG},
		{"bad behind too long is bad", "abcd%", 3, ERR_INVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		char out[8];
		size_t len;

		memset(out, '!', sizeof out);
		if (query_decode(str_of(rooms[i].in), out, rooms[i].cap, &len) != rooms[i].e)
			fail_msg("%s", rooms[i].why);
		assert_string_equal(out, rooms[i].e != 0	  ? ""
					 : rooms[i].in[0] == '\0' ? ""
								  : "abc");
		for (size_t at = rooms[i].cap; at < sizeof out; at++)
			assert_int_equal(out[at], '!');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_nothing_to_walk),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
