#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proto/ws_frame.h"

#define BYTES(literal)                          \
	{                                       \
		(literal), sizeof(literal) - 1, \
	}

/* ---- heads ---- */

static const struct {
	const char *why;
	struct str in;
	bool masked;
	int want;
	enum ws_op op;
	bool fin;
	uint64_t len;
} heads[] = {
	{"RFC 6455 5.7: Hello", BYTES("\x81\x05"), false, 0, WS_TEXT, true, 5},
	{"RFC 6455 5.7: Hello, masked", BYTES("\x81\x85\x37\xfa\x21\x3d"), true, 0, WS_TEXT, true,
	 5},
	{"RFC 6455 5.7: the first part of two", BYTES("\x01\x03"), false, 0, WS_TEXT, false, 3},
	{"RFC 6455 5.7: the second part", BYTES("\x80\x02"), false, 0, WS_CONTINUATION, true, 2},
	{"RFC 6455 5.7: a ping", BYTES("\x89\x05"), false, 0, WS_PING, true, 5},
	{"RFC 6455 5.7: a pong, masked", BYTES("\x8a\x85\x37\xfa\x21\x3d"), true, 0, WS_PONG, true,
	 5},
	{"RFC 6455 5.7: 256 bytes", BYTES("\x82\x7e\x01\x00"), false, 0, WS_BINARY, true, 256},
	{"RFC 6455 5.7: 64 KiB", BYTES("\x82\x7f\0\0\0\0\0\x01\0\0"), false, 0, WS_BINARY, true,
	 65536},
	{"nothing in it", BYTES("\x82\0"), false, 0, WS_BINARY, true, 0},
	{"125 bytes", BYTES("\x82\x7d"), false, 0, WS_BINARY, true, 125},
	{"126 bytes", BYTES("\x82\x7e\0\x7e"), false, 0, WS_BINARY, true, 126},
	{"65535 bytes, masked", BYTES("\x82\xfe\xff\xff\1\2\3\4"), true, 0, WS_BINARY, true, 65535},
	{"as long as can be", BYTES("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), false, 0,
	 WS_BINARY, true, INT64_MAX},
	{"a close frame of 125 bytes", BYTES("\x88\x7d"), false, 0, WS_CLOSE, true, 125},
	{"the first reserved bit", BYTES("\xc2"), false, ERR_PROTO},
	{"the second", BYTES("\xa2"), false, ERR_PROTO},
	{"the third", BYTES("\x92"), false, ERR_PROTO},
	{"an unknown kind of data", BYTES("\x83"), false, ERR_PROTO},
	{"another", BYTES("\x87"), false, ERR_PROTO},
	{"an unknown kind of control", BYTES("\x8b"), false, ERR_PROTO},
	{"another", BYTES("\x8f"), false, ERR_PROTO},
	{"a ping in parts", BYTES("\x09"), false, ERR_PROTO},
	{"a close frame in parts", BYTES("\x08"), false, ERR_PROTO},
	{"a ping of 126 bytes", BYTES("\x89\x7e"), false, ERR_PROTO},
	{"a pong with eight bytes of length", BYTES("\x8a\xff"), true, ERR_PROTO},
	{"no mask where one must be", BYTES("\x82\x05"), true, ERR_PROTO},
	{"a mask where none may be", BYTES("\x82\x85"), false, ERR_PROTO},
	{"125 in two bytes", BYTES("\x82\x7e\0\x7d"), false, ERR_PROTO},
	{"65535 in eight bytes", BYTES("\x82\x7f\0\0\0\0\0\0\xff\xff"), false, ERR_PROTO},
	{"the top bit of a length", BYTES("\x82\x7f\x80"), false, ERR_PROTO},
};

/* Whole, with more behind it, and byte by byte: only the last byte that counts decides. */
static void test_heads(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		char more[WS_HEAD_MAX + 1];
		struct ws_head h;
		size_t used = 0;

		for (size_t n = 0; n < heads[i].in.len; n++)
			if (ws_head_read((struct str){heads[i].in.p, n}, heads[i].masked, &h,
					 &used) != ERR_AGAIN)
				fail_msg("%s: %zu bytes", heads[i].why, n);
		memset(more, 0xff, sizeof more);
		memcpy(more, heads[i].in.p, heads[i].in.len);
		if (ws_head_read((struct str){more, sizeof more}, heads[i].masked, &h, &used) !=
		    heads[i].want)
			fail_msg("%s, and more", heads[i].why);
		if (ws_head_read(heads[i].in, heads[i].masked, &h, &used) != heads[i].want)
			fail_msg("%s", heads[i].why);
		if (heads[i].want != 0)
			continue;
		if (used != heads[i].in.len || h.op != heads[i].op || h.fin != heads[i].fin ||
		    h.len != heads[i].len || h.masked != heads[i].masked)
			fail_msg("%s: read as something else", heads[i].why);
		memset(more, 0, sizeof more);
		assert_int_equal(ws_head_write(&h, (uint8_t *)more), used);
		if (memcmp(more, heads[i].in.p, used) != 0)
			fail_msg("%s: written as something else", heads[i].why);
	}
}

/* ---- masks ---- */

/* Any length, any place, in parts, and in place. */
static void test_masks(void **state)
{
	static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
	uint8_t plain[300], want[300], got[300 + 8];

	for (size_t i = 0; i < sizeof plain; i++) {
		plain[i] = (uint8_t)(i * 7);
		want[i] = plain[i] ^ key[i % 4];
	}
	for (size_t len = 0; len <= sizeof plain; len++)
		for (size_t cut = 0; cut <= MIN(len, (size_t)80); cut++) {
			uint8_t *to = got + len % 8;

			memset(got, 0xee, sizeof got);
			ws_mask(to, plain, cut, key, 0);
			ws_mask(to + cut, plain + cut, len - cut, key, cut);
			assert_memory_equal(to, want, len);
			if (len < sizeof plain)
				assert_int_equal(to[len], 0xee);
			ws_mask(to, to, len, key, 0);
			assert_memory_equal(to, plain, len);
		}
	for (size_t by = 1; by <= 70; by++) { /* onto bytes in front of them */
		memcpy(got + 100, plain, 200);
		ws_mask(got + 100 - by, got + 100, 200, key, 0);
		assert_memory_equal(got + 100 - by, want, 200);
	}
	ws_mask(got, "Hello", 5, key, 0); /* RFC 6455 5.7 */
	assert_memory_equal(got, "\x7f\x9f\x4d\x51\x58", 5);
	ws_mask(got, plain, 10, key, UINT64_C(1) << 40 | 1); /* far into a frame */
	assert_int_equal(got[0], plain[0] ^ key[1]);
}

/* ---- codes ---- */

static void test_codes(void **state)
{
	static const struct {
		const char *why;
		struct str payload;
		int want, e; /* e: what it means */
	} cases[] = {
		{"none", BYTES(""), 0, 0},
		{"half of one", BYTES("\3"), ERR_PROTO},
		{"1000, an end", BYTES("\x03\xe8"), 0, 0},
		{"1000, with words", BYTES("\x03\xe8good bye"), 0, 0},
		{"999", BYTES("\x03\xe7"), ERR_PROTO},
		{"0", BYTES("\0\0"), ERR_PROTO},
		{"1001, it goes away", BYTES("\x03\xe9"), 0, ERR_RESET},
		{"1002, we break the rules", BYTES("\x03\xea"), 0, ERR_PROTO},
		{"1003, it cannot take our kind of data", BYTES("\x03\xeb"), 0, ERR_PROTO},
		{"1004, reserved", BYTES("\x03\xec"), ERR_PROTO},
		{"1005, never sent", BYTES("\x03\xed"), ERR_PROTO},
		{"1006, never sent", BYTES("\x03\xee"), ERR_PROTO},
		{"1007, not UTF-8", BYTES("\x03\xef"), 0, ERR_PROTO},
		{"1009, too big", BYTES("\x03\xf1"), 0, ERR_PROTO},
		{"1011, it has failed", BYTES("\x03\xf3"), 0, ERR_RESET},
		{"1012, it restarts", BYTES("\x03\xf4"), 0, ERR_RESET},
		{"1015, never sent", BYTES("\x03\xf7"), ERR_PROTO},
		{"2999, reserved", BYTES("\x0b\xb7"), ERR_PROTO},
		{"3000, somebody's", BYTES("\x0b\xb8"), 0, ERR_RESET},
		{"4000, no error", BYTES("\x0f\xa0"), 0, ERR_RESET},
		{"4022, AUTH", BYTES("\x0f\xb6"), 0, ERR_AUTH},
		{"4002, AGAIN ends no wire", BYTES("\x0f\xa2"), 0, ERR_RESET},
		{"4003, EOF breaks none", BYTES("\x0f\xa3"), 0, ERR_RESET},
		{"4999, an error nobody knows", BYTES("\x13\x87"), 0, ERR_RESET},
		{"5000", BYTES("\x13\x88"), ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint16_t code = 0;

		if (ws_code_read(cases[i].payload, &code) != cases[i].want)
			fail_msg("%s", cases[i].why);
		if (cases[i].want == 0 && ws_code_error(code) != cases[i].e)
			fail_msg("%s: %s", cases[i].why, err_name(ws_code_error(code)));
	}
}

/* Every error that can end a wire is the same one on the other side. */
static void test_errors_travel(void **state)
{
	static const int errors[] = {
#define ERR(name, number, sentence) number,
#include "base/err.def"
#undef ERR
	};

	assert_int_equal(ws_code_of(0), WS_CODE_END);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		uint16_t code = ws_code_of(errors[i]), again;
		uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

		assert_int_equal(ws_code_read((struct str){(char *)payload, 2}, &again), 0);
		assert_int_equal(again, code);
		assert_int_equal(ws_code_error(code), errors[i] == ERR_EOF     ? 0
						      : errors[i] == ERR_AGAIN ? ERR_RESET
									       : errors[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_errors_travel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
