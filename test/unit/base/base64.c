/* Vectors of RFC 4648 10, both alphabets, and every text that must not be read. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/base64.h"
#include "base/err.h"

static void test_vectors(void **state)
{
	static const struct {
		const char *bytes, *padded, *bare;
	} cases[] = {
		{"", "", ""},
		{"f", "Zg==", "Zg"},
		{"fo", "Zm8=", "Zm8"},
		{"foo", "Zm9v", "Zm9v"},
		{"foob", "Zm9vYg==", "Zm9vYg"},
		{"fooba", "Zm9vYmE=", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	};
	char text[32], bytes[32];
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str in = str_of(cases[i].bytes);

		assert_int_equal(base64_encode(BASE64, in.p, in.len, text),
				 strlen(cases[i].padded));
		assert_string_equal(text, cases[i].padded);
		base64_encode(BASE64_BARE, in.p, in.len, text);
		assert_string_equal(text, cases[i].bare);
		assert_int_equal(base64_decode(str_of(cases[i].padded), bytes, in.len, &len), 0);
		assert_true(str_eq((struct str){bytes, len}, in));
		assert_int_equal(base64_decode(str_of(cases[i].bare), bytes, in.len, &len), 0);
		assert_true(str_eq((struct str){bytes, len}, in));
	}
}

static void test_every_byte_and_length(void **state)
{
	uint8_t in[256], out[256];
	char text[BASE64_TEXT(sizeof in)];
	size_t len, n;

	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)(255 - i);
	for (size_t i = 0; i <= sizeof in; i++) {
		for (enum base64_alphabet a = BASE64; a <= BASE64_URL; a++) {
			n = base64_encode(a, in, i, text);
			assert_true(n < BASE64_TEXT(i));
			assert_int_equal(strcspn(text, a == BASE64_URL ? "+/=" : "-_"), n);
			assert_int_equal(base64_decode((struct str){text, n}, out, i, &len), 0);
			assert_int_equal(len, i);
			assert_memory_equal(out, in, i);
		}
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *why, *text;
		int want;
	} cases[] = {
		{"one letter alone", "Z", ERR_PROTO},
		{"five letters", "Zm9vY", ERR_PROTO},
		{"padding only", "==", ERR_PROTO},
		{"too little padding", "Zg=", ERR_PROTO},
		{"too much padding", "Zm8==", ERR_PROTO},
		{"padding in the middle", "Zg==Zg==", ERR_PROTO},
		{"a space", "Zm 9v", ERR_PROTO},
		{"a line break", "Zm9v\n", ERR_PROTO},
		{"bits beyond the last byte", "Zh==", ERR_PROTO},
		{"the same with two bytes", "Zm9", ERR_PROTO},
		{"a byte more than there is room for", "Zm9vYg", ERR_TOOBIG},
	};
	char out[3];
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].why);
		assert_int_equal(base64_decode(str_of(cases[i].text), out, sizeof out, &len),
				 cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_every_byte_and_length),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
