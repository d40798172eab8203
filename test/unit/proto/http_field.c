/* The table of field names, and lists in values. */
#include "proto/http_field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	enum http_field_id id;
	struct str name;
	uint8_t flags;
} known[] = {
#define FIELD(id, name, first, last_but_one, flags) \
	{HTTP_FIELD_##id, {name, sizeof(name) - 1}, flags},
#include "proto/http_field.def"
#undef FIELD
};

/* Each row of the table is found, in any case; nothing that differs by a byte is. */
static void test_every_known_name(void **state)
{
	char copy[64];

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct str name = {copy, known[i].name.len};

		memcpy(copy, known[i].name.p, name.len);
		assert_int_equal(http_field_id(name), known[i].id);
		assert_true(str_eq(http_field_name(known[i].id), name));
		for (size_t at = 0; at < name.len; at++) {
			char was = copy[at];

			for (int c = 0; c < 256; c++) {
				copy[at] = (char)c;
				if (http_field_id(name) != HTTP_FIELD_OTHER &&
				    !str_eq_nocase(http_field_name(http_field_id(name)), name))
					fail_msg("byte %d at %zu of " STR_FMT, c, at,
						 STR_ARG(known[i].name));
			}
			copy[at] = was >= 'a' && was <= 'z' ? (char)(was - 32) : was;
		}
		assert_int_equal(http_field_id(name), known[i].id);
		assert_int_equal(http_field_id((struct str){copy, name.len - 1}), HTTP_FIELD_OTHER);
	}
	assert_int_equal(http_field_name(HTTP_FIELD_OTHER).len, 0);
}

static void test_classify(void **state)
{
	static const struct {
		const char *why, *name;
		enum http_field_id id;
		uint8_t flags;
	} cases[] = {
		{"hop-by-hop", "Proxy-Connection", HTTP_FIELD_PROXY_CONNECTION, HTTP_F_HOP},
		{"framing", "CONTENT-LENGTH", HTTP_FIELD_CONTENT_LENGTH, HTTP_F_FRAMING},
		{"forwarding", "x-forwarded-Ssl", HTTP_FIELD_X_FORWARDED_SSL, HTTP_F_FORWARDING},
		{"ordinary", "User-Agent", HTTP_FIELD_USER_AGENT, 0},
		{"unknown", "X-Anything", HTTP_FIELD_OTHER, 0},
		{"an alias of a flagged name", "x_FORWARDED-for", HTTP_FIELD_OTHER, HTTP_F_ALIAS},
		{"an alias of an ordinary name", "user_agent", HTTP_FIELD_OTHER, 0},
		{"an underscore and no alias", "my_field", HTTP_FIELD_OTHER, 0},
		{"one byte", "x", HTTP_FIELD_OTHER, 0},
		{"longer than all known ones", "sec-websocket_extensions-and-more",
		 HTTP_FIELD_OTHER, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_field f = {.name = str_of(cases[i].name)};

		http_field_classify(&f);
		if (f.id != cases[i].id || f.flags != cases[i].flags)
			fail_msg("%s: id %d flags %d", cases[i].why, f.id, f.flags);
	}
}

static void test_names_and_values(void **state)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		struct str s = {&byte, 1};
		bool control = (c < 32 && c != '\t') || c == 127;

		assert_int_equal(http_field_name_ok(s), memchr(token, c, sizeof token - 1) != NULL);
		assert_int_equal(http_field_value_ok(s), !control);
	}
	assert_false(http_field_name_ok((struct str){0}));
	assert_true(http_field_value_ok((struct str){0}));
	assert_true(http_field_value_ok(STR("0123456\t89abcdef\tx")));
	assert_false(http_field_value_ok(STR("0123456\t89abcde\nx")));
	assert_false(http_field_name_ok(STR("a b")));
}

static void test_lists(void **state)
{
	static const struct {
		const char *why, *list, *element;
		bool want;
	} cases[] = {
		{"alone", "websocket", "websocket", true},
		{"in any case", "WebSocket", "websocket", true},
		{"last, behind empty ones", ",, a ,\t,websocket ", "websocket", true},
		{"part of an element", "websocket2, xwebsocket", "websocket", false},
		{"with a parameter", "gzip;q=0", "gzip", false},
		{"an empty list", "", "a", false},
		{"an empty element is none", "a,,b", "", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (http_field_list_has(str_of(cases[i].list), str_of(cases[i].element)) !=
		    cases[i].want)
			fail_msg("%s", cases[i].why);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_known_name),
		cmocka_unit_test(test_classify),
		cmocka_unit_test(test_names_and_values),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
