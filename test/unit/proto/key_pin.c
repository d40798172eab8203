/* Fingerprints as ssh and curl write them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proto/key_pin.h"

/* SHA-256 of nothing (FIPS 180-4), and of "abc". */
#define EMPTY "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
#define ABC   "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0"

static const struct {
	const char *why, *text;
	int want;
} texts[] = {
	{"as ssh writes it", "SHA256:" EMPTY, 0},
	{"as curl takes it", "sha256//" EMPTY "=", 0},
	{"as ssh, padded", "SHA256:" EMPTY "=", 0},
	{"as curl, not padded", "sha256//" EMPTY, 0},
	{"no head", EMPTY, ERR_INVAL},
	{"another head", "MD5:" EMPTY, ERR_INVAL},
	{"nothing", "", ERR_INVAL},
	{"a head alone", "SHA256:", ERR_INVAL},
	{"a letter too few", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF", ERR_INVAL},
	{"a letter too many", "SHA256:" EMPTY "A", ERR_INVAL},
	{"a byte too many", "SHA256:" EMPTY "AAA", ERR_INVAL},
	{"bits beyond the last byte", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV",
	 ERR_INVAL},
	{"hexadecimal", "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	 ERR_INVAL},
	{"a space behind it", "SHA256:" EMPTY " ", ERR_INVAL},
};

static void test_texts(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		uint8_t sha256[KEY_PIN_LEN];
		char again[KEY_PIN_TEXT];
		int e = key_pin_parse(str_of(texts[i].text), sha256);

		if (e != texts[i].want)
			fail_msg("%s: %d", texts[i].why, e);
		if (e != 0)
			continue;
		assert_int_equal(sha256[0], 0xe3);
		assert_int_equal(sha256[31], 0x55);
		key_pin_format(sha256, again);
		assert_string_equal(again, "SHA256:" EMPTY);
	}
}

static void test_several(void **state)
{
	struct key_pins pins = {.n = 0};
	char curl[KEY_PINS_CURL];
	uint8_t sha256[KEY_PIN_LEN];

	key_pins_format_curl(&pins, curl);
	assert_string_equal(curl, "");
	assert_int_equal(key_pins_add(&pins, STR("SHA256:" EMPTY)), 0);
	assert_int_equal(key_pin_parse(STR("SHA256:" ABC), sha256), 0);
	assert_false(key_pins_have(&pins, sha256));
	assert_int_equal(key_pins_add(&pins, STR("nonsense")), ERR_INVAL);
	assert_int_equal(key_pins_add(&pins, STR("sha256//" ABC)), 0);
	assert_true(key_pins_have(&pins, sha256));
	key_pins_format_curl(&pins, curl);
	assert_string_equal(curl, "sha256//" EMPTY "=;sha256//" ABC "=");
	while (pins.n < KEY_PINS_MAX)
		assert_int_equal(key_pins_add(&pins, STR("SHA256:" EMPTY)), 0);
	assert_int_equal(key_pins_add(&pins, STR("SHA256:" ABC)), ERR_TOOBIG);
	key_pins_format_curl(&pins, curl);
	assert_int_equal(strlen(curl), KEY_PINS_MAX * (8 + 44 + 1) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts),
					   cmocka_unit_test(test_several)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
