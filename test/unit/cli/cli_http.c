/* Paths with what people typed in them; requests are made in test/e2e. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "cli/cli_http.h"

static const struct {
	const char *why, *word, *want;
} words[] = {
	{"a name", "demo.tim", "/v1/tunnels/demo.tim/sessions/7"},
	{"a slash cannot lead elsewhere", "a/../b", "/v1/tunnels/a%2F..%2Fb/sessions/7"},
	{"a query cannot begin", "a?b#c", "/v1/tunnels/a%3Fb%23c/sessions/7"},
	{"an encoded one is encoded again", "%2e", "/v1/tunnels/%252e/sessions/7"},
	{"UTF-8 and a space", "ä b", "/v1/tunnels/%C3%A4%20b/sessions/7"},
	{"a line end", "a\r\nb", "/v1/tunnels/a%0D%0Ab/sessions/7"},
};

static void test_path(void **state)
{
	char path[CLI_HTTP_PATH_TEXT], wide[CLI_HTTP_PATH_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		assert_int_equal(cli_http_path(path, "/v1/tunnels/%/sessions/%", words[i].word,
					       "7"),
				 0);
		if (strcmp(path, words[i].want) != 0)
			fail_msg("%s: %s", words[i].why, path);
	}
	memset(wide, 'x', sizeof wide);
	wide[sizeof wide - 2] = '\0';
	assert_int_equal(cli_http_path(path, "/%", wide), 0);
	assert_int_equal(cli_http_path(path, "//%", wide), ERR_TOOBIG);
}

static const struct {
	const char *why, *words, *want;
} refusals[] = {
	{"TLS 1.3, too old",
	 "OpenSSL SSL_read: error:0A000415:SSL routines::sslv3 alert certificate expired, errno 0",
	 "certificate expired"},
	{"of an authority it does not know",
	 "OpenSSL SSL_read: error:0A000418:SSL routines::tlsv1 alert unknown ca, errno 0",
	 "unknown CA"},
	{"an alert about something else",
	 "error:0A000410:SSL routines::sslv3 alert handshake failure", NULL},
	{"no alert", "SSL certificate problem: certificate has expired", NULL},
	{"nothing", "", NULL},
};

static void test_refusal(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const char *got = cli_http_refusal(refusals[i].words);

		if ((got == NULL) != (refusals[i].want == NULL) ||
		    (got != NULL && strcmp(got, refusals[i].want) != 0))
			fail_msg("%s: %s", refusals[i].why, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_path),
					   cmocka_unit_test(test_refusal)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
