/* Names of agents and services: what may be one, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ident.h"

static const struct {
	const char *why;
	struct str name;
	bool ok;
} cases[] = {
	{"letters", STR("web"), true},
	{"all that may be in it", STR("Web-2_b.c"), true},
	{"digits alone", STR("22"), true},
	{"a dot alone", STR("."), true},
	{"a hyphen in front", STR("-a"), true},
	{"nothing", STR(""), false},
	{"no bytes", {NULL, 0}, false},
	{"a space", STR("a b"), false},
	{"a slash", STR("a/b"), false},
	{"an equals sign", STR("a=b"), false},
	{"an at sign", STR("a@b"), false},
	{"a NUL byte", STR("a\0b"), false},
	{"a letter that is not ASCII", STR("ä"), false},
	{"64 bytes", STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), true},
	{"65 bytes", STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	 false},
};

static void test_names(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (ident_ok(cases[i].name) != cases[i].ok)
			fail_msg("%s", cases[i].why);
}

static void test_every_byte(void **state)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		bool want = memchr(allowed, byte, sizeof allowed - 1) != NULL;

		if (ident_ok((struct str){&byte, 1}) != want)
			fail_msg("byte %02x", (unsigned)c);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
