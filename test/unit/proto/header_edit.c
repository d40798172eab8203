/* What a tunnel may change in heads: entries, lists, and how names are compared. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proto/header_edit.h"

static void test_entries(void **state)
{
	static const struct {
		const char *why;
		enum header_edit what;
		const char *text;
		const char *name, *value; /* NULL: it is refused */
	} cases[] = {
		{"a field", HEADER_REQUEST_ADD, "X-Env: test", "X-Env", "test"},
		{"without a space", HEADER_REQUEST_ADD, "X-Env:test", "X-Env", "test"},
		{"with many", HEADER_RESPONSE_ADD, "X-Env:   a b  ", "X-Env", "a b"},
		{"colons in the value", HEADER_RESPONSE_ADD, "X-T: 10:20", "X-T", "10:20"},
		{"an empty value", HEADER_REQUEST_ADD, "X-Env:", "X-Env", ""},
		{"more than ASCII", HEADER_REQUEST_ADD, "X-N: \xc3\xa9", "X-N", "\xc3\xa9"},
		{"a name", HEADER_REQUEST_REMOVE, "Cookie", "Cookie", ""},
		{"credentials for the target", HEADER_REQUEST_ADD, "Authorization: Basic QTpi",
		 "Authorization", "Basic QTpi"},
		{"a hop's name in an answer", HEADER_RESPONSE_REMOVE, "Via", "Via", ""},
		{"no value", HEADER_REQUEST_ADD, "X-Env", NULL, NULL},
		{"no name", HEADER_REQUEST_ADD, ": x", NULL, NULL},
		{"nothing", HEADER_REQUEST_REMOVE, "", NULL, NULL},
		{"a name with a value", HEADER_REQUEST_REMOVE, "Cookie: a", NULL, NULL},
		{"a space before the colon", HEADER_REQUEST_ADD, "X-Env : a", NULL, NULL},
		{"a space before the name", HEADER_REQUEST_ADD, " X-Env: a", NULL, NULL},
		{"a line more", HEADER_REQUEST_ADD, "X-Env: a\r\nHost: b", NULL, NULL},
		{"a bare CR", HEADER_RESPONSE_ADD, "X-Env: a\rb", NULL, NULL},
		{"a bare LF", HEADER_RESPONSE_ADD, "X-Env: a\nb", NULL, NULL},
		{"a tab", HEADER_RESPONSE_ADD, "X-Env: a\tb", NULL, NULL},
		{"an escape", HEADER_RESPONSE_ADD, "X-Env: \x1b[2J", NULL, NULL},
		{"a line's end in the name", HEADER_REQUEST_REMOVE, "X\r\nY", NULL, NULL},
		{"Host", HEADER_REQUEST_ADD, "Host: a", NULL, NULL},
		{"Host away", HEADER_REQUEST_REMOVE, "host", NULL, NULL},
		{"a length", HEADER_REQUEST_ADD, "Content-Length: 3", NULL, NULL},
		{"the same as CGI spells it", HEADER_REQUEST_ADD, "Content_Length: 3", NULL, NULL},
		{"a coding", HEADER_RESPONSE_ADD, "transfer-encoding: gzip", NULL, NULL},
		{"the connection", HEADER_RESPONSE_ADD, "Connection: close", NULL, NULL},
		{"an upgrade", HEADER_REQUEST_REMOVE, "Upgrade", NULL, NULL},
		{"TE", HEADER_REQUEST_REMOVE, "TE", NULL, NULL},
		{"Trailer", HEADER_RESPONSE_REMOVE, "Trailer", NULL, NULL},
		{"Keep-Alive", HEADER_RESPONSE_ADD, "Keep-Alive: timeout=5", NULL, NULL},
		{"what is for proxies", HEADER_REQUEST_ADD, "Proxy-Status: x", NULL, NULL},
		{"who the visitor is", HEADER_REQUEST_REMOVE, "X-Forwarded-For", NULL, NULL},
		{"in another spelling", HEADER_REQUEST_ADD, "X_Forwarded_For: 1", NULL, NULL},
		{"what others say of that", HEADER_REQUEST_ADD, "X-Forwarded-User: a", NULL, NULL},
		{"in yet another", HEADER_REQUEST_ADD, "X-Real-IP: 1", NULL, NULL},
		{"Forwarded", HEADER_REQUEST_ADD, "Forwarded: for=1", NULL, NULL},
		{"Via", HEADER_REQUEST_REMOVE, "Via", NULL, NULL},
		{"what finds loops", HEADER_REQUEST_REMOVE, "cdn-loop", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char back[HEADER_EDIT_TEXT];
		const char *why = NULL;
		struct http_field f, again;
		int e = header_edit_check(cases[i].what, str_of(cases[i].text), &f, &why);

		if (e != (cases[i].name == NULL ? ERR_INVAL : 0))
			fail_msg("%s: %s", cases[i].why, err_name(e));
		if (e != 0) {
			assert_true(strlen(why) > 10);
			continue;
		}
		assert_true(str_eq(f.name, str_of(cases[i].name)));
		assert_true(str_eq(f.value, str_of(cases[i].value)));
		(void)header_edit_format(cases[i].what, &f, back);
		assert_int_equal(header_edit_split(cases[i].what, str_of(back), &again, &why), 0);
		assert_true(str_eq(again.name, f.name) && str_eq(again.value, f.value));
	}
}

static void test_bounds_of_an_entry(void **state)
{
	char text[HEADER_EDIT_TEXT + 8];
	struct http_field f;
	const char *why;

	memset(text, 'n', sizeof text);
	assert_int_equal(header_edit_check(HEADER_REQUEST_REMOVE,
					   (struct str){text, HEADER_EDIT_NAME_MAX}, &f, &why),
			 0);
	assert_int_equal(header_edit_check(HEADER_REQUEST_REMOVE,
					   (struct str){text, HEADER_EDIT_NAME_MAX + 1}, &f, &why),
			 ERR_INVAL);
	text[1] = ':';
	assert_int_equal(header_edit_check(HEADER_REQUEST_ADD,
					   (struct str){text, HEADER_EDIT_VALUE_MAX + 2}, &f, &why),
			 0);
	assert_int_equal(header_edit_check(HEADER_REQUEST_ADD,
					   (struct str){text, HEADER_EDIT_VALUE_MAX + 3}, &f, &why),
			 ERR_INVAL);
	text[3] = '\0';
	assert_int_equal(header_edit_check(HEADER_REQUEST_ADD, (struct str){text, 5}, &f, &why),
			 ERR_INVAL);
}

static void put(struct header_edits *h, enum header_edit what, const char *text, int want)
{
	struct http_field f;
	const char *why;

	assert_int_equal(header_edit_split(what, str_of(text), &f, &why), 0);
	assert_int_equal(header_edits_put(h, what, &f), want);
}

static void test_lists(void **state)
{
	struct header_edits a = {0}, b = {0}, was;
	struct http_field f;
	size_t at = 0;

	put(&a, HEADER_REQUEST_REMOVE, "Cookie", 0);
	put(&a, HEADER_REQUEST_ADD, "X-A: 1", 0);
	put(&a, HEADER_REQUEST_ADD, "X-B: 2", 0);
	put(&b, HEADER_REQUEST_ADD, "X-C: 3", 0);
	put(&b, HEADER_RESPONSE_ADD, "X-D: 4", 0);
	assert_true(header_edits_next(header_edits_str(&a), HEADER_REQUEST_ADD, &at, &f));
	assert_true(str_eq(f.name, STR("X-A")));
	assert_true(header_edits_next(header_edits_str(&a), HEADER_REQUEST_ADD, &at, &f));
	assert_true(str_eq(f.value, STR("2")));
	assert_false(header_edits_next(header_edits_str(&a), HEADER_REQUEST_ADD, &at, &f));
	assert_int_equal(header_edits_room(header_edits_str(&a), HEADER_REQUEST_ADD),
			 strlen("X-A: 1\r\nX-B: 2\r\n"));

	/* one list is taken, the others stay */
	assert_int_equal(header_edits_merge(&a, &b, 1u << HEADER_REQUEST_ADD), 0);
	assert_true(header_edits_has(header_edits_str(&a), HEADER_REQUEST_ADD, STR("x_c")));
	assert_false(header_edits_has(header_edits_str(&a), HEADER_REQUEST_ADD, STR("X-A")));
	assert_true(header_edits_has(header_edits_str(&a), HEADER_REQUEST_REMOVE, STR("COOKIE")));
	assert_false(header_edits_has(header_edits_str(&a), HEADER_RESPONSE_ADD, STR("X-D")));

	/* an empty one takes it away */
	was = a;
	assert_int_equal(header_edits_merge(&a, &(struct header_edits){0},
					    1u << HEADER_REQUEST_REMOVE),
			 0);
	assert_false(header_edits_has(header_edits_str(&a), HEADER_REQUEST_REMOVE, STR("cookie")));
	assert_false(str_eq(header_edits_str(&a), header_edits_str(&was)));
	assert_int_equal(header_edits_merge(&a, &was, 15), 0);
	assert_true(str_eq(header_edits_str(&a), header_edits_str(&was)));
}

static void test_bounds_of_lists(void **state)
{
	char value[HEADER_EDIT_VALUE_MAX];
	struct http_field f = {.name = STR("X-A"), .value = {value, sizeof value}};
	struct header_edits many = {0}, large = {0}, more = {0};

	memset(value, 'v', sizeof value);
	for (int i = 0; i < HEADER_EDIT_MAX; i++)
		put(&many, HEADER_RESPONSE_REMOVE, "X", 0);
	put(&many, HEADER_RESPONSE_REMOVE, "X", ERR_LIMIT);
	put(&many, HEADER_REQUEST_REMOVE, "X", 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(header_edits_put(&large, HEADER_REQUEST_ADD, &f), 0);
	assert_int_equal(header_edits_put(&large, HEADER_REQUEST_ADD, &f), ERR_TOOBIG);
	assert_int_equal(header_edits_put(&more, HEADER_RESPONSE_ADD, &f), 0);
	assert_int_equal(header_edits_merge(&large, &more, 1u << HEADER_RESPONSE_ADD), ERR_TOOBIG);
	assert_false(header_edits_has(header_edits_str(&large), HEADER_RESPONSE_ADD, STR("X-A")));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_bounds_of_an_entry),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_bounds_of_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
