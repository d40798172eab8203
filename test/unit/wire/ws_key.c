#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "wire/ws_key.h"

static void test_keys(void **state)
{
	static const struct {
		const char *why, *key, *accept; /* accept NULL: ERR_INVAL */
	} cases[] = {
		{"that of RFC 6455 1.3",
		 "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		{"another", "AQIDBAUGBwgJCgsMDQ4PEA==", "C/0nmHhBztSRGR1CwL6Tf4ZjwpY="},
		{"none", "", NULL},
		{"15 bytes", "dGhlIHNhbXBsZSBub25j", NULL},
		{"17 bytes", "dGhlIHNhbXBsZSBub25jZTE=", NULL},
		{"no padding", "dGhlIHNhbXBsZSBub25jZQ", NULL},
		{"the other alphabet", "__________________8A==", NULL},
		{"bits that are not used", "dGhlIHNhbXBsZSBub25jZR==", NULL},
		{"not base64", "dGhlIHNhbXBsZSBub25j!Q==", NULL},
		{"very long", "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[WS_ACCEPT_TEXT] = "";
		int want = cases[i].accept == NULL ? ERR_INVAL : 0;

		if (ws_key_accept(str_of(cases[i].key), out) != want)
			fail_msg("%s", cases[i].why);
		if (want == 0)
			assert_string_equal(out, cases[i].accept);
	}
}

static void test_fresh_keys(void **state)
{
	char key[WS_KEY_TEXT], other[WS_KEY_TEXT], out[WS_ACCEPT_TEXT];
	struct ev *ev;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	ws_key_new(ev, key);
	ws_key_new(ev, other);
	assert_string_not_equal(key, other);
	assert_int_equal(ws_key_accept(str_of(key), out), 0);
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_fresh_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
