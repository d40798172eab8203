/* Fingerprints against published vectors. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "core/digest.h"

/* RFC 4231 4.2 and 4.3: HMAC fills a short key with zeros, and so does this test. */
static void test_keyed(void **state)
{
	static const struct {
		const char *why, *text, *want;
		uint8_t key[DIGEST_LEN];
	} cases[] = {
		{"RFC 4231, test case 1",
		 "Hi There",
		 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
		 {0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
		  0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b}},
		{"RFC 4231, test case 2",
		 "what do ya want for nothing?",
		 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		 {'J', 'e', 'f', 'e'}},
	};
	char hex[DIGEST_HEX_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(digest_keyed(cases[i].key, str_of(cases[i].text), hex), 0);
		if (strcmp(hex, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, hex);
	}
	assert_int_equal(digest_keyed(cases[0].key, (struct str){NULL, 0}, hex), 0);
	assert_int_equal(strlen(hex), 64);
}

static void test_same(void **state)
{
	assert_true(digest_same("abc", "abc", 3));
	assert_false(digest_same("abc", "abd", 3));
	assert_false(digest_same("abc", "xbc", 3));
	assert_true(digest_same("abc", "xyz", 0));
}

/* ssh-keygen -lf said so of "ssh-ed25519 AAAAC3Nza..." with the key 00 01 .. 1f. */
static void test_ssh(void **state)
{
	static const char line[] =
		"AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhsc"
		"HR4f";
	char text[DIGEST_SSH_TEXT];
	uint8_t blob[64];
	size_t len;

	assert_int_equal(base64_decode(STR(line), blob, sizeof blob, &len), 0);
	assert_int_equal(digest_ssh((struct str){(const char *)blob, len}, text), 0);
	assert_string_equal(text, "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keyed),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_ssh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
