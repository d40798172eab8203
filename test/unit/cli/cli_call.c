/* What a person is told and asked besides the answers of the API. */
#include "cli_rig.h"

#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

/* A server chooses the id that must be typed; the terminal does not obey it. */
static void test_what_must_be_typed_is_made_visible(void **state)
{
	static const char *const argv[] = {"account", "rm", NULL};
	struct cli_rig r;
	int master, slave, keep = dup(STDIN_FILENO);

	cli_rig_start(&r, argv);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(dup2(slave, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(write(master, "\n", 1), 1);
	assert_int_equal(cli_confirm(&r.cli, "It will be deleted.", "x\x1b]0;title\x07"),
			 ERR_CLOSED);
	assert_int_equal(dup2(keep, STDIN_FILENO), STDIN_FILENO);
	cli_rig_said(&r);
	assert_string_equal(r.err,
			    "It will be deleted. Type x\\x1b]0;title\\x07 to go on: karez: nothing "
			    "was done\n");
	cli_rig_end(&r);
	close(keep);
	close(master);
	close(slave);
}

static void test_servers_that_others_overhear(void **state)
{
	static const struct {
		const char *why, *server;
		bool open;
	} cases[] = {
		{"TLS", "https://tunnel.example.com", false},
		{"in the clear", "http://tunnel.example.com", true},
		{"a private address is on a network too", "http://192.168.0.1:8080", true},
		{"this machine", "http://localhost:8080", false},
		{"a name that is this machine", "http://api.localhost", false},
		{"a name that only looks like it", "http://localhost.example.com", true},
		{"a name that begins like an address", "http://127.0.0.1.example.com", true},
		{"loopback", "http://127.1.2.3", false},
		{"loopback, IPv6", "http://[::1]:8080", false},
		{"IPv6", "http://[2001:db8::1]", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct url url;

		assert_int_equal(url_parse(str_of(cases[i].server), &url, NULL), 0);
		if (cli_place_is_open(&url) != cases[i].open)
			fail_msg("%s", cases[i].why);
	}
}

/* Whoever sends a credential in the clear hears of it, once. */
static void test_a_credential_in_the_clear(void **state)
{
	static const char *const argv[] = {"tunnel", "ls", NULL};
	static const struct cli_call call = {.method = "GET", .path = "/v1/account"};
	struct cli_answer answer = {0};
	struct cli_http_way way = {NULL};
	struct url nobody;
	struct cli_rig r;

	cli_rig_start(&r, argv);
	assert_int_equal(url_parse(STR("http://127.0.0.1:1"), &nobody, NULL), 0);
	assert_int_equal(cli_http_new(&nobody, &way, &r.cli.http), 0);
	assert_int_equal(url_parse(STR("http://tunnel.example.com"), &r.cli.server, NULL), 0);
	url_format(&r.cli.server, r.cli.server_text);
	str_printf(r.cli.token, sizeof r.cli.token, "kz_x");
	r.cli.token_from = CLI_TOKEN_GIVEN;
	for (int i = 0; i < 2; i++)
		assert_int_equal(cli_call(&r.cli, &call, &answer), ERR_REFUSED);
	cli_rig_said(&r);
	assert_non_null(strstr(r.err, "is not encrypted"));
	assert_null(strstr(strstr(r.err, "is not encrypted") + 1, "is not encrypted"));
	assert_null(strstr(r.err, "kz_x"));
	cli_answer_free(&answer);
	cli_http_free(r.cli.http);
	cli_rig_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_must_be_typed_is_made_visible),
		cmocka_unit_test(test_servers_that_others_overhear),
		cmocka_unit_test(test_a_credential_in_the_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
