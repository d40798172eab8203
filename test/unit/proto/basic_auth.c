/* Basic credentials: what browsers send, and what they could not have sent. */
#include "proto/basic_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/err.h"

static void test_user_and_password(void **state)
{
	static const struct {
		const char *why, *text;
		int want;
		const char *user, *password;
	} cases[] = {
		{"the RFC's example", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==", 0, "Aladdin", "open sesame"},
		{"UTF-8, also from the RFC", "dGVzdDoxMjPCow==", 0, "test", "123\302\243"},
		{"padding left out", "dGVzdDoxMjPCow", 0, "test", "123\302\243"},
		{"spaces around it", "  QTpi ", 0, "A", "b"},
		{"no password", "QTo=", 0, "A", ""},
		{"no user", "OmI=", 0, "", "b"},
		{"neither", "Og==", 0, "", ""},
		{"a colon in the password", "YTpiOmM=", 0, "a", "b:c"},
		{"no colon", "YWJj", ERR_PROTO, NULL, NULL},
		{"nothing", "", ERR_PROTO, NULL, NULL},
		{"not base64", "a:b", ERR_PROTO, NULL, NULL},
		{"two words", "QTpi QTpi", ERR_PROTO, NULL, NULL},
		{"a NUL", "QToAYg==", ERR_PROTO, NULL, NULL},
		{"a line end", "QToKYg==", ERR_PROTO, NULL, NULL},
		{"DEL", "QTp/", ERR_PROTO, NULL, NULL},
		{"bits behind the end", "QTpiYh==", ERR_PROTO, NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char room[BASIC_AUTH_MAX];
		struct str user, password;

		print_message("# %s\n", cases[i].why);
		assert_int_equal(basic_auth_parse(str_of(cases[i].text), room, &user, &password),
				 cases[i].want);
		if (cases[i].want != 0)
			continue;
		assert_true(str_eq(user, str_of(cases[i].user)));
		assert_true(str_eq(password, str_of(cases[i].password)));
	}
}

static void test_length_is_bounded(void **state)
{
	char plain[BASIC_AUTH_MAX + 1], text[BASE64_TEXT(BASIC_AUTH_MAX + 1)], room[BASIC_AUTH_MAX];
	struct str user, password;

	memset(plain, 'x', sizeof plain);
	plain[3] = ':';
	base64_encode(BASE64, plain, BASIC_AUTH_MAX, text);
	assert_int_equal(basic_auth_parse(str_of(text), room, &user, &password), 0);
	assert_int_equal(password.len, BASIC_AUTH_MAX - 4);
	base64_encode(BASE64, plain, BASIC_AUTH_MAX + 1, text);
	assert_int_equal(basic_auth_parse(str_of(text), room, &user, &password), ERR_TOOBIG);
}

static void test_schemes(void **state)
{
	static const struct {
		const char *why, *value, *scheme, *rest;
	} cases[] = {
		{"as usual", "Basic QTpi", "Basic", "QTpi"},
		{"more space", " Bearer    abc ", "Bearer", "abc"},
		{"a scheme alone", "Basic", "Basic", ""},
		{"nothing", "", "", ""},
		{"parameters stay", "Digest a=1, b=2", "Digest", "a=1, b=2"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str scheme, rest;

		print_message("# %s\n", cases[i].why);
		scheme = basic_auth_scheme(str_of(cases[i].value), &rest);
		assert_true(str_eq(scheme, str_of(cases[i].scheme)));
		assert_true(str_eq(rest, str_of(cases[i].rest)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_and_password),
		cmocka_unit_test(test_length_is_bounded),
		cmocka_unit_test(test_schemes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
