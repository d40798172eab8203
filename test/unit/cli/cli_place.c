/* The way to a server, from options and from the variables that all programs read. */
#include "cli/cli_place.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define PIN "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"

static const char *const variables[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
					"all_proxy",  "ALL_PROXY",  "no_proxy",	   "NO_PROXY"};

/* env: "name=value" words between '|'. */
static void set_variables(const char *env)
{
	struct str rest = str_of(env), word;

	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		unsetenv(variables[i]);
	while (env[0] != '\0' && str_next(&rest, '|', &word)) {
		char text[256];

		str_printf(text, sizeof text, STR_FMT, STR_ARG(word));
		*strchr(text, '=') = '\0';
		setenv(text, text + strlen(text) + 1, 1);
	}
}

static const struct {
	const char *why, *option, *env, *server;
	const char *proxy; /* NULL: none; "": refused */
} cases[] = {
	{"nothing said", NULL, "", "https://a.example", NULL},
	{"an option", "http://p:1", "", "https://a.example", "http://p:1"},
	{"an option before variables", "http://p:1", "https_proxy=http://q:2", "https://a.example",
	 "http://p:1"},
	{"an option before no_proxy", "http://p:1", "no_proxy=*", "https://a.example",
	 "http://p:1"},
	{"none", "none", "https_proxy=http://q:2", "https://a.example", NULL},
	{"https", NULL, "https_proxy=http://q:2|http_proxy=http://r:3", "https://a.example",
	 "http://q:2"},
	{"http", NULL, "https_proxy=http://q:2|http_proxy=http://r:3", "http://a.example",
	 "http://r:3"},
	{"capitals", NULL, "HTTPS_PROXY=http://q:2", "https://a.example", "http://q:2"},
	{"lower case wins", NULL, "HTTPS_PROXY=http://q:2|https_proxy=http://r:3",
	 "https://a.example", "http://r:3"},
	{"all", NULL, "ALL_PROXY=http://q:2", "https://a.example", "http://q:2"},
	{"the scheme's before all", NULL, "all_proxy=http://q:2|HTTPS_PROXY=http://r:3",
	 "https://a.example", "http://r:3"},
	{"an empty one is none", NULL, "https_proxy=|all_proxy=http://q:2", "https://a.example",
	 "http://q:2"},
	{"spared", NULL, "https_proxy=http://q:2|NO_PROXY=.example", "https://a.example", NULL},
	{"not spared", NULL, "https_proxy=http://q:2|NO_PROXY=.example", "https://a.example.org",
	 "http://q:2"},
	{"no_proxy in lower case wins", NULL, "https_proxy=http://q:2|NO_PROXY=*|no_proxy=x.org",
	 "https://a.example", "http://q:2"},
	{"SOCKS", NULL, "ALL_PROXY=socks5://u:hush@q:2", "https://a.example", ""},
	{"SOCKS for others", NULL, "ALL_PROXY=socks5://q:2|https_proxy=http://r:3",
	 "https://a.example", "http://r:3"},
};

static void test_proxies(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cli_options set = {.way_out = (char *)(uintptr_t)cases[i].option};
		char shown[HTTP_PROXY_TEXT] = "";
		struct cli_way way;
		struct url server;
		int e;

		set_variables(cases[i].env);
		assert_int_equal(url_parse(str_of(cases[i].server), &server, NULL), 0);
		e = cli_place_way(&set, &server, &way);
		if (way.proxy != NULL)
			http_proxy_format(way.proxy, shown);
		if (strcmp(shown, cases[i].proxy == NULL ? "" : cases[i].proxy) != 0 ||
		    (e != 0) != (cases[i].proxy != NULL && cases[i].proxy[0] == '\0'))
			fail_msg("%s: %d, %s", cases[i].why, e, shown);
		if (e != 0) {
			assert_non_null(strstr(way.why, "ALL_PROXY is not a proxy"));
			assert_non_null(strstr(way.why, "--proxy none"));
			assert_null(strstr(way.why, "hush"));
		}
	}
	set_variables("");
}

/* What needs TLS is not silently left out without it. */
static void test_needs_tls(void **state)
{
	char *pins[] = {(char *)(uintptr_t)PIN};
	struct cli_options set = {.fingerprints = {pins, 1}};
	struct cli_way way;
	struct url server;

	set_variables("");
	assert_int_equal(url_parse(STR("https://a.example"), &server, NULL), 0);
	assert_int_equal(cli_place_way(&set, &server, &way), 0);
	assert_int_equal(way.pins.n, 1);
	assert_int_equal(url_parse(STR("http://a.example"), &server, NULL), 0);
	assert_int_equal(cli_place_way(&set, &server, &way), ERR_INVAL);
	assert_non_null(strstr(way.why, "--server-fingerprint"));
	set.fingerprints.n = 0;
	set.cert = (char *)(uintptr_t) "me.pem";
	assert_int_equal(cli_place_way(&set, &server, &way), ERR_INVAL);
	assert_non_null(strstr(way.why, "--cert"));
}

/* Who is told that others can read along. */
static void test_open_ways(void **state)
{
	static const struct {
		const char *why, *env, *server;
		bool open;
	} ways[] = {
		{"in clear to another machine", "", "http://a.example", true},
		{"by TLS", "", "https://a.example", false},
		{"to this machine", "", "http://localhost:8080", false},
		{"to what a proxy calls so", "http_proxy=http://q:2", "http://localhost:8080",
		 true},
		{"an address that a proxy calls so", "http_proxy=http://q:2", "http://127.0.0.1",
		 true},
		{"a proxy that this machine is spared", "http_proxy=http://q:2|no_proxy=localhost",
		 "http://localhost:8080", false},
		{"TLS through a proxy", "https_proxy=http://q:2", "https://localhost", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct cli_options set = {.way_out = NULL};
		struct cli_way way;
		struct url server;

		set_variables(ways[i].env);
		assert_int_equal(url_parse(str_of(ways[i].server), &server, NULL), 0);
		assert_int_equal(cli_place_way(&set, &server, &way), 0);
		if (cli_way_is_open(&way, &server) != ways[i].open)
			fail_msg("%s", ways[i].why);
	}
	set_variables("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_proxies),
					   cmocka_unit_test(test_needs_tls),
					   cmocka_unit_test(test_open_ways)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
