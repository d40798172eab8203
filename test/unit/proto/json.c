/* JSON: what is refused, what the getters say about types, and what is written. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proto/json.h"

#define TEN(s) s s s s s s s s s s

static void test_parse(void **state)
{
	static const struct {
		const char *why, *text;
		int want;
	} cases[] = {
		{"an object", "{\"a\":1}", 0},
		{"a list", "[1,2]", 0},
		{"white space around it", " \t\r\n{ }\n", 0},
		{"brackets inside a text do not nest", "[\"" TEN("[[[[[\\\"") "\"]", 0},
		{"as deep as allowed", "[[" TEN("[[[") TEN("]]]") "]]", 0},
		{"one too deep", "[[[" TEN("[[[") TEN("]]]") "]]]", ERR_TOOBIG},
		{"deep, and never closed", TEN(TEN("{\"a\":[")), ERR_TOOBIG},
		{"more than max bytes", "[\"" TEN(TEN("0123456789")) "\"]", ERR_TOOBIG},
		{"nothing", "", ERR_PROTO},
		{"a bare text", "\"a\"", ERR_PROTO},
		{"a bare number", "1", ERR_PROTO},
		{"a member twice", "{\"a\":1,\"a\":1}", ERR_PROTO},
		{"a NUL in a text", "{\"a\":\"b\\u0000c\"}", ERR_PROTO},
		{"a NUL in a key", "{\"a\\u0000\":1}", ERR_PROTO},
		{"half a surrogate pair", "[\"\\ud800\"]", ERR_PROTO},
		{"not UTF-8", "[\"\xff\"]", ERR_PROTO},
		{"an overlong NUL", "[\"\xc0\x80\"]", ERR_PROTO},
		{"a newline inside a text", "[\"a\nb\"]", ERR_PROTO},
		{"something behind it", "{} {}", ERR_PROTO},
		{"a trailing comma", "[1,]", ERR_PROTO},
		{"single quotes", "{'a':1}", ERR_PROTO},
		{"a number beyond 63 bits", "[9223372036854775808]", ERR_PROTO},
		{"a fraction beyond all bounds", "[1e999]", ERR_PROTO},
		{"a leading zero", "[01]", ERR_PROTO},
		{"cut off", "{\"a\":\"b", ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct json *j = NULL;
		int e = json_parse(str_of(cases[i].text), 900, &j);

		if (e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(e));
		assert_int_equal(j != NULL, e == 0);
		json_free(j);
	}
}

static struct json *parsed(const char *text)
{
	struct json *j = NULL;

	assert_int_equal(json_parse(str_of(text), 4096, &j), 0);
	return j;
}

static void test_numbers(void **state)
{
	static const struct {
		const char *why, *text;
		uint64_t max;
		int want;
		uint64_t number;
	} cases[] = {
		{"zero", "{\"n\":0}", 9, 0, 0},
		{"just max", "{\"n\":9}", 9, 0, 9},
		{"one more", "{\"n\":10}", 9, ERR_TOOBIG, 0},
		{"the greatest", "{\"n\":9223372036854775807}", JSON_NUMBER_MAX, 0, INT64_MAX},
		{"negative", "{\"n\":-1}", 9, ERR_INVAL, 0},
		{"a fraction", "{\"n\":1.0}", 9, ERR_INVAL, 0},
		{"an exponent", "{\"n\":1e0}", 9, ERR_INVAL, 0},
		{"a text", "{\"n\":\"1\"}", 9, ERR_INVAL, 0},
		{"true", "{\"n\":true}", 9, ERR_INVAL, 0},
		{"null is not there", "{\"n\":null}", 9, ERR_NOTFOUND, 0},
		{"not there", "{}", 9, ERR_NOTFOUND, 0},
		{"a list has no members", "[1]", 9, ERR_INVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct json *j = parsed(cases[i].text);
		uint64_t n = 0;
		int e = json_get_number(j, "n", cases[i].max, &n);

		if (e != cases[i].want || n != cases[i].number)
			fail_msg("%s: %s", cases[i].why, err_name(e));
		json_free(j);
	}
}

static void test_types(void **state)
{
	struct json *j = parsed("{\"t\":\"x\\ny\",\"b\":true,\"l\":[\"p\",7],\"o\":{\"i\":1},"
				"\"z\":null}");
	static const char *const keys[] = {"t", "b", "l", "o", "z", "no"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *key = keys[i];
		int other = i < 4 ? ERR_INVAL : ERR_NOTFOUND;
		const struct json *inner;
		struct str s;
		bool flag;

		assert_int_equal(json_get_text(j, key, &s), *key == 't' ? 0 : other);
		assert_int_equal(json_get_bool(j, key, &flag), *key == 'b' ? 0 : other);
		assert_int_equal(json_get_list(j, key, &inner), *key == 'l' ? 0 : other);
		assert_int_equal(json_get_object(j, key, &inner), *key == 'o' ? 0 : other);
	}
	json_free(j);
}

static void test_walking(void **state)
{
	struct json *j = parsed("{\"l\":[\"p\",7],\"o\":{\"i\":1}}");
	const struct json *list, *value;
	struct str s;
	void *at = NULL;

	assert_int_equal(json_get_list(j, "l", &list), 0);
	assert_int_equal(json_count(list), 2);
	assert_int_equal(json_text(json_at(list, 0), &s), 0);
	assert_true(str_eq(s, STR("p")));
	assert_int_equal(json_text(json_at(list, 1), &s), ERR_INVAL);
	assert_null(json_at(list, 2));
	assert_null(json_at(j, 0));
	assert_int_equal(json_count(j), 2);
	assert_int_equal(json_count(json_at(list, 0)), 0);

	assert_true(json_each(j, &at, &s, &value) && str_eq(s, STR("l")) && value == list);
	assert_true(json_each(j, &at, &s, &value) && str_eq(s, STR("o")));
	assert_false(json_each(j, &at, &s, &value));
	at = NULL;
	assert_false(json_each(list, &at, &s, &value));
	json_free(j);
}

static void expect_text(const struct json *j, const char *want)
{
	struct buf b = {0};

	assert_int_equal(json_write(j, 1000, &b), 0);
	assert_true(str_eq(buf_str(&b), str_of(want)));
	buf_free(&b);
}

static void test_kinds(void **state)
{
	static const enum json_kind want[] = {
		JSON_IS_NULL,	JSON_IS_TEXT, JSON_IS_NUMBER, JSON_IS_BOOL,  JSON_IS_BOOL,
		JSON_IS_OBJECT, JSON_IS_LIST, JSON_IS_OTHER,  JSON_IS_OTHER, JSON_IS_OTHER,
	};
	struct json *list = NULL;
	uint64_t n = 0;

	assert_int_equal(json_parse(STR("[null,\"\",7,true,false,{},[],-1,1.5,1e3]"), 100, &list),
			 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(json_kind(json_at(list, i)), want[i]);
		if (want[i] != JSON_IS_NUMBER)
			assert_int_equal(json_number(json_at(list, i), 10, &n), ERR_INVAL);
	}
	assert_int_equal(json_number(json_at(list, 2), 7, &n), 0);
	assert_int_equal(n, 7);
	assert_int_equal(json_number(json_at(list, 2), 6, &n), ERR_TOOBIG);
	json_free(list);
}

/* Shorter and longer than what is guessed at first. */
static void test_write_lengths(void **state)
{
	static char text[9000];

	memset(text, 'x', sizeof text);
	for (size_t len = 0; len < sizeof text; len += 97) {
		struct json *j = NULL;
		struct buf b = {0};

		assert_int_equal(json_new_object(&j), 0);
		assert_int_equal(json_set_text(j, "t", (struct str){text, len}), 0);
		assert_int_equal(json_set_null(j, "n"), 0);
		assert_int_equal(buf_add(&b, "in front", 8, 100), 0);
		assert_int_equal(json_write(j, 8 + len + 16, &b), ERR_TOOBIG);
		assert_int_equal(b.len, 8);
		assert_int_equal(json_write(j, 8 + len + 17, &b), 0);
		assert_int_equal(b.len, 8 + len + 17);
		assert_memory_equal(buf_str(&b).p, "in front{\"t\":\"", 14);
		assert_memory_equal(buf_str(&b).p + 14 + len, "\",\"n\":null}", 11);
		buf_free(&b);
		json_free(j);
	}
}

static void test_making(void **state)
{
	struct json *j, *list, *inner;

	assert_int_equal(json_new_object(&j), 0);
	assert_int_equal(json_new_list(&list), 0);
	assert_int_equal(json_new_object(&inner), 0);
	expect_text(j, "{}");
	assert_int_equal(json_set_text(j, "t", STR("a \"b\"\n\xc3\xa9")), 0);
	assert_int_equal(json_set_text(j, "e", (struct str){NULL, 0}), 0);
	assert_int_equal(json_set_number(j, "n", JSON_NUMBER_MAX), 0);
	assert_int_equal(json_set_bool(j, "b", false), 0);
	assert_int_equal(json_add_text(list, STR("x")), 0);
	assert_int_equal(json_set_bool(inner, "y", true), 0);
	assert_int_equal(json_add(list, &inner), 0);
	assert_null(inner);
	assert_int_equal(json_add_number(list, 22), 0);
	assert_int_equal(json_set(j, "l", &list), 0);
	assert_null(list);
	expect_text(j, "{\"t\":\"a \\\"b\\\"\\n\xc3\xa9\",\"e\":\"\",\"n\":9223372036854775807,"
		       "\"b\":false,\"l\":[\"x\",{\"y\":true},22]}");

	assert_int_equal(json_set_text(j, "t", STR("new")), 0);
	json_unset(j, "l");
	json_unset(j, "n");
	json_unset(j, "never");
	expect_text(j, "{\"t\":\"new\",\"e\":\"\",\"b\":false}");
	json_free(j);
	json_free(NULL);
}

static void test_what_cannot_be_made(void **state)
{
	struct json *j, *list, *inner;

	assert_int_equal(json_new_object(&j), 0);
	assert_int_equal(json_new_list(&list), 0);
	assert_int_equal(json_set_text(j, "t", STR("\xff")), ERR_INVAL);
	assert_int_equal(json_set_text(j, "t", STR("a\0b")), ERR_INVAL);
	assert_int_equal(json_set_number(j, "n", JSON_NUMBER_MAX + 1), ERR_TOOBIG);
	assert_int_equal(json_set_bool(list, "b", true), ERR_INVAL);
	assert_int_equal(json_add_text(j, STR("x")), ERR_INVAL);
	assert_int_equal(json_add_number(j, 1), ERR_INVAL);
	assert_int_equal(json_add_number(list, JSON_NUMBER_MAX + 1), ERR_TOOBIG);
	assert_int_equal(json_add_text(list, STR("\xc3")), ERR_INVAL);
	assert_int_equal(json_new_object(&inner), 0);
	assert_int_equal(json_add(j, &inner), ERR_INVAL);
	assert_null(inner);
	expect_text(j, "{}");
	expect_text(list, "[]");
	json_free(list);
	json_free(j);
}

static void test_write_has_a_cap(void **state)
{
	struct json *j = parsed("{\"abc\":[1,2,3]}");
	struct buf b = {0};

	assert_int_equal(buf_add(&b, "x", 1, 100), 0);
	assert_int_equal(json_write(j, 15, &b), ERR_TOOBIG);
	assert_true(str_eq(buf_str(&b), STR("x")));
	assert_int_equal(json_write(j, 16, &b), 0);
	assert_true(str_eq(buf_str(&b), STR("x{\"abc\":[1,2,3]}")));
	buf_free(&b);
	json_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_types),		cmocka_unit_test(test_walking),
		cmocka_unit_test(test_making),		cmocka_unit_test(test_what_cannot_be_made),
		cmocka_unit_test(test_write_has_a_cap), cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_write_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
