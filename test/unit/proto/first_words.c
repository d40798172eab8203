/* What each protocol begins with, and no byte more than is needed to know. */
#include "proto/first_words.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"

/* Behind so many bytes it is known, and not before. */
static const struct {
	const char *why;
	struct str in;
	enum first_words want;
	size_t decides;
} cases[] = {
	{"a ClientHello", STR("\x16\x03\x01\x02\x00\x01"), FIRST_TLS, 1},
	{"a broken one is for the reader of TLS to refuse", STR("\x16\x99"), FIRST_TLS, 1},
	{"an SSH client", STR("SSH-2.0-OpenSSH_9.2\r\n"), FIRST_SSH, 4},
	{"SSH is written in capitals", STR("ssh-2.0-x\r\n"), FIRST_HTTP, 1},
	{"a method that begins as SSH does", STR("SSHOW / HTTP/1.1\r\n"), FIRST_HTTP, 4},
	{"SEARCH", STR("SEARCH / HTTP/1.1\r\n"), FIRST_HTTP, 2},
	{"GET", STR("GET / HTTP/1.1\r\n"), FIRST_HTTP, 1},
	{"POST", STR("POST / HTTP/1.1\r\n"), FIRST_HTTP, 2},
	{"PUT", STR("PUT / HTTP/1.1\r\n"), FIRST_HTTP, 2},
	{"PATCH", STR("PATCH / HTTP/1.1\r\n"), FIRST_HTTP, 2},
	{"PROPFIND", STR("PROPFIND / HTTP/1.1\r\n"), FIRST_HTTP, 4},
	{"the preface of HTTP/2", STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), FIRST_HTTP, 3},
	{"a method that is called PROXYING", STR("PROXYING / HTTP/1.1\r\n"), FIRST_HTTP, 6},
	{"PROXY, version 1", STR("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), FIRST_PROXY, 6},
	{"PROXY, version 2", STR("\r\n\r\n\0\r\nQUIT\n\x21\x11"), FIRST_PROXY, 12},
	{"an empty line before a request: RFC 9112 2.2", STR("\r\nGET / HTTP/1.1\r\n"), FIRST_HTTP,
	 3},
	{"almost a signature", STR("\r\n\r\n\0\r\nQUIT\r"), FIRST_HTTP, 12},
	{"a TLS alert is no beginning", STR("\x15\x03\x01"), FIRST_HTTP, 1},
	{"zeros", STR("\0\0\0\0"), FIRST_HTTP, 1},
};

static void test_each(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t n = 0; n <= cases[i].in.len; n++) {
			enum first_words what = FIRST_TLS;
			int e = first_words_tell((struct str){cases[i].in.p, n}, &what);

			if (e != (n < cases[i].decides ? ERR_AGAIN : 0) ||
			    (e == 0 && what != cases[i].want))
				fail_msg("%s, %zu bytes", cases[i].why, n);
		}
	}
}

static void test_enough_is_enough(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_true(cases[i].decides <= FIRST_WORDS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_enough_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
