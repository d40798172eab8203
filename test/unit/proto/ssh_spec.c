#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proto/ssh_spec.h"

static const struct {
	const char *why, *text, *address;
	uint16_t port;
	const char *target;
} good[] = {
	{"a port and a target", "8080:localhost:3000", "localhost", 8080, "localhost:3000"},
	{"any port", "0:localhost:3000", "localhost", 0, "localhost:3000"},
	{"an address in front", "192.0.2.1:8080:a:3000", "192.0.2.1", 8080, "a:3000"},
	{"every address", "*:8080:localhost:3000", "", 8080, "localhost:3000"},
	{"nothing before the colon is every address, too", ":8080:a:3000", "", 8080, "a:3000"},
	{"a tunnel's name", "demo:80:localhost:3000", "demo", 80, "localhost:3000"},
	{"a host name keeps its case, for the server to judge", "App.example.org:80:a:1",
	 "App.example.org", 80, "a:1"},
	{"IPv6 of the server", "[::1]:8080:a:3000", "::1", 8080, "a:3000"},
	{"IPv4 in brackets", "[127.0.0.1]:8080:a:3000", "127.0.0.1", 8080, "a:3000"},
	{"IPv6 of the target", "8080:[2001:db8::1]:3000", "localhost", 8080, "[2001:db8::1]:3000"},
	{"IPv6 of both", "[::]:8080:[::1]:3000", "::", 8080, "[::1]:3000"},
	{"a target's host has any case", "8080:MyHost:3000", "localhost", 8080, "myhost:3000"},
	{"a target's host has underscores", "8080:my_app:3000", "localhost", 8080, "my_app:3000"},
	{"a socket", "8080:/run/a.sock", "localhost", 8080, "unix:/run/a.sock"},
	{"a socket behind an address", "*:8080:/run/a.sock", "", 8080, "unix:/run/a.sock"},
	{"a socket's path with a colon", "8080:/run/a:b", "localhost", 8080, "unix:/run/a:b"},
	{"a socket's path with two slashes", "1://run/a", "localhost", 1, "unix:////run/a"},
	{"a port alone is a proxy", "1080", "localhost", 1080, "a SOCKS proxy"},
	{"a proxy at any port", "0", "localhost", 0, "a SOCKS proxy"},
	{"a proxy at an address", "*:1080", "", 1080, "a SOCKS proxy"},
	{"a proxy at an IPv6 address", "[::1]:1080", "::1", 1080, "a SOCKS proxy"},
	{"the highest ports", "65535:a:65535", "localhost", 65535, "a:65535"},
};

static void test_good(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const char *why = NULL;
		char target[SSH_SPEC_TEXT];
		struct ssh_spec s;

		print_message("# %s\n", good[i].why);
		assert_int_equal(ssh_spec_parse(str_of(good[i].text), &s, &why), 0);
		assert_null(why);
		assert_string_equal(s.address, good[i].address);
		assert_int_equal(s.port, good[i].port);
		assert_string_equal(ssh_spec_target(&s, target), good[i].target);
		assert_int_equal(s.socks, strcmp(target, "a SOCKS proxy") == 0);
	}
}

static const struct {
	const char *text, *part; /* of the clause */
	int want;
} bad[] = {
	{"", "it is empty", ERR_INVAL},
	{"/run/remote:localhost:80", "a socket on the server's side", ERR_UNSUPPORTED},
	{"/run/remote:/run/local", "a socket on the server's side", ERR_UNSUPPORTED},
	{"web", "the port that the server listens on", ERR_INVAL},
	{"65536:a:1", "the port that the server listens on", ERR_INVAL},
	{"-1:a:1", "the port that the server listens on", ERR_INVAL},
	{":a:1", "the port that the server listens on", ERR_INVAL},
	{"[80]:a:1", "the port that the server listens on", ERR_INVAL},
	{"080:a:1", "the port that the server listens on", ERR_INVAL},
	{"80:a:0", "the port of the target must be", ERR_INVAL},
	{"80:a:99999", "the port of the target must be", ERR_INVAL},
	{"80:a:http", "the port of the target must be", ERR_INVAL},
	{"80:a:", "the port of the target must be", ERR_INVAL},
	{"80:a", "the port of the target is missing", ERR_INVAL},
	{"8080:localhost", "the port of the target is missing", ERR_INVAL},
	{"demo:80:localhost", "the port of the target is missing", ERR_INVAL},
	{"80::1", "the host of the target is missing", ERR_INVAL},
	{"80:a b:1", "the host of the target is neither", ERR_INVAL},
	{"80:*:1", "the host of the target is neither", ERR_INVAL},
	{"80:[a]:1", "the host of the target in brackets", ERR_INVAL},
	{"80:[127.0.0.1]:1", "the host of the target in brackets", ERR_INVAL},
	{"a b:80:c:1", "the address of the server is neither", ERR_INVAL},
	{"a/b:80:c:1", "the address of the server is neither", ERR_INVAL},
	{"[a]:80:c:1", "the address of the server in brackets", ERR_INVAL},
	{"[]:80:c:1", "the address of the server in brackets", ERR_INVAL},
	{"[fe80::1%eth0]:80:c:1", "the address of the server in brackets", ERR_INVAL},
	{"::1:80:c:1", "too many parts", ERR_INVAL},
	{"80:::1:1", "too many parts", ERR_INVAL},
	{"a:80:c:1:d", "too many parts", ERR_INVAL},
	{"[::1:80:c:1", "a bracket is opened", ERR_INVAL},
	{"80:[::1]1:1", "a colon must follow", ERR_INVAL},
	{"a:80:c:/x", "a path has no place", ERR_INVAL},
	{"80:/", "the path of the target's socket", ERR_INVAL},
	{"80:/a\nb", "the path of the target's socket", ERR_INVAL},
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *why = NULL;
		struct ssh_spec s = {.port = 7};

		print_message("# %s\n", bad[i].text);
		assert_int_equal(ssh_spec_parse(str_of(bad[i].text), &s, &why), bad[i].want);
		assert_non_null(why);
		assert_non_null(strstr(why, bad[i].part));
		assert_int_equal(s.port, 7); /* untouched */
		assert_int_equal(ssh_spec_parse(str_of(bad[i].text), &s, NULL), bad[i].want);
	}
}

static void test_long(void **state)
{
	char text[1024];
	const char *why;
	struct ssh_spec s;

	memset(text, 'a', sizeof text);
	memcpy(text + HOSTNAME_MAX, ":1:b:2", 7);
	assert_int_equal(ssh_spec_parse(str_of(text), &s, &why), 0);
	assert_int_equal(strlen(s.address), HOSTNAME_MAX);
	memset(text, 'a', sizeof text);
	memcpy(text + HOSTNAME_MAX + 1, ":1:b:2", 7);
	assert_int_equal(ssh_spec_parse(str_of(text), &s, &why), ERR_INVAL);
	memset(text, 'a', sizeof text);
	memcpy(text, "1:/", 3);
	assert_int_equal(ssh_spec_parse((struct str){text, 2 + URL_UNIX_MAX}, &s, &why), 0);
	assert_int_equal(ssh_spec_parse((struct str){text, 3 + URL_UNIX_MAX}, &s, &why), ERR_INVAL);
	assert_non_null(strstr(why, "107 bytes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
