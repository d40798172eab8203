/* What `ssh -R` asks for, by address and port: the table of doc/ssh.md. */
#include "proto/ssh_forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define DOMAIN "karez.example"
#define LONG63 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-123456789"

static void test_forms(void **state)
{
	static const struct {
		const char *why, *address;
		uint32_t port;
		bool tls;
		enum ssh_forward_kind kind;
		const char *name, *domain, *bind;
		uint16_t want_port;
	} cases[] = {
		{"-R :80:", "", 80, false, SSH_FORWARD_HTTP, "", "", "", 0},
		{"-R 80:, as OpenSSH sends it", "localhost", 80, false, SSH_FORWARD_HTTP, "", "",
		 "", 0},
		{"-R 443:", "localhost", 443, false, SSH_FORWARD_HTTP, "", "", "", 0},
		{"-R 443: with tls", "localhost", 443, true, SSH_FORWARD_TLS, "", "", "", 0},
		{"-R 80: with tls", "localhost", 80, true, SSH_FORWARD_HTTP, "", "", "", 0},
		{"-R 127.0.0.1:80:", "127.0.0.1", 80, false, SSH_FORWARD_HTTP, "", "", "", 0},
		{"-R [::1]:443:", "::1", 443, false, SSH_FORWARD_HTTP, "", "", "", 0},
		{"-R *:80:", "*", 80, false, SSH_FORWARD_HTTP, "", "", "", 0},
		{"a name", "demo", 80, false, SSH_FORWARD_HTTP, "demo", "", "", 0},
		{"in any case", "Demo", 443, false, SSH_FORWARD_HTTP, "demo", "", "", 0},
		{"with a digit in front", "3com", 80, false, SSH_FORWARD_HTTP, "3com", "", "", 0},
		{"with what begins a number", "0xyz", 80, false, SSH_FORWARD_HTTP, "0xyz", "", "",
		 0},
		{"of digits, with our domain", "123.karez.example", 80, false, SSH_FORWARD_HTTP,
		 "123", "", "", 0},
		{"a number in hexadecimal, with our domain", "0xcafe.karez.example", 80, false,
		 SSH_FORWARD_HTTP, "0xcafe", "", "", 0},
		{"a host name with a number in it", "10.example.org", 80, false, SSH_FORWARD_HTTP,
		 "", "10.example.org", "", 0},
		{"-R 0:80:, which is everywhere", "0", 80, false, SSH_FORWARD_HTTP, "", "", "", 0},
		{"as long as a label may be", LONG63, 80, false, SSH_FORWARD_HTTP, LONG63, "", "",
		 0},
		{"a name, its TLS passed through", "demo", 443, true, SSH_FORWARD_TLS, "demo", "",
		 "", 0},
		{"under our domain", "demo.karez.example", 80, false, SSH_FORWARD_HTTP, "demo", "",
		 "", 0},
		{"with a dot at the end", "Demo.Karez.Example.", 80, false, SSH_FORWARD_HTTP,
		 "demo", "", "", 0},
		{"a name of two labels", "hello.tim.karez.example", 80, false, SSH_FORWARD_HTTP,
		 "hello.tim", "", "", 0},
		{"the domain itself", "karez.example", 80, false, SSH_FORWARD_HTTP, "", "", "", 0},
		{"a host name of somebody's own", "App.example.org", 80, false, SSH_FORWARD_HTTP,
		 "", "app.example.org", "", 0},
		{"the same with TLS", "app.example.org.", 443, true, SSH_FORWARD_TLS, "",
		 "app.example.org", "", 0},
		{"all hosts under it", "*.example.org", 443, true, SSH_FORWARD_TLS, "",
		 "*.example.org", "", 0},
		{"what only looks as if it were under our domain", "notkarez.example", 80, false,
		 SSH_FORWARD_HTTP, "", "notkarez.example", "", 0},

		{"-R 2222:, as OpenSSH sends it", "localhost", 2222, false, SSH_FORWARD_TCP, "", "",
		 "localhost", 2222},
		{"in any case", "LocalHost", 2222, false, SSH_FORWARD_TCP, "", "", "localhost",
		 2222},
		{"-R :2222:", "", 2222, false, SSH_FORWARD_TCP, "", "", "", 2222},
		{"-R *:2222:, as PuTTY sends it", "*", 2222, false, SSH_FORWARD_TCP, "", "", "",
		 2222},
		{"all of IPv4", "0.0.0.0", 2222, false, SSH_FORWARD_TCP, "", "", "0.0.0.0", 2222},
		{"the same, as sshd reads it", "0", 2222, false, SSH_FORWARD_TCP, "", "", "0.0.0.0",
		 2222},
		{"all of IPv6", "::", 2222, false, SSH_FORWARD_TCP, "", "", "::", 2222},
		{"in brackets", "[::]", 2222, false, SSH_FORWARD_TCP, "", "", "::", 2222},
		{"one address", "127.0.0.1", 2222, false, SSH_FORWARD_TCP, "", "", "127.0.0.1",
		 2222},
		{"one address of IPv6", "[::1]", 2222, false, SSH_FORWARD_TCP, "", "", "::1", 2222},
		{"written long", "2001:DB8:0:0::1", 2222, false, SSH_FORWARD_TCP, "", "",
		 "2001:db8::1", 2222},
		{"-R 0:", "localhost", 0, false, SSH_FORWARD_TCP, "", "", "localhost", 0},
		{"tls does not matter there", "", 2222, true, SSH_FORWARD_TCP, "", "", "", 2222},
		{"a tcp tunnel with a name", "db", 5432, false, SSH_FORWARD_TCP, "db", "", "",
		 5432},
		{"the same with the domain", "db.karez.example", 5432, false, SSH_FORWARD_TCP, "db",
		 "", "", 5432},
		{"a name and any port", "db", 0, false, SSH_FORWARD_TCP, "db", "", "", 0},
		{"the domain itself", "karez.example", 2222, false, SSH_FORWARD_TCP, "", "", "",
		 2222},
		{"the last port", "", 65535, false, SSH_FORWARD_TCP, "", "", "", 65535},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ssh_forward f;
		const char *why;

		print_message("# %s: %s\n", cases[i].why, cases[i].address);
		assert_int_equal(ssh_forward_read(str_of(cases[i].address), cases[i].port, DOMAIN,
						  cases[i].tls, &f, &why),
				 0);
		assert_null(why);
		assert_int_equal(f.kind, cases[i].kind);
		assert_string_equal(f.name, cases[i].name);
		assert_string_equal(f.domain, cases[i].domain);
		assert_string_equal(f.bind, cases[i].bind);
		assert_int_equal(f.port, cases[i].want_port);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		const char *why, *address;
		uint32_t port;
		const char *words;
	} cases[] = {
		{"a port that is none", "", 65536, "65535"},
		{"the largest number", "", UINT32_MAX, "65535"},
		{"an underscore", "a_b", 80, "neither an address nor a name"},
		{"a space", "a b", 80, "neither"},
		{"an escape", "\033[31m", 80, "neither"},
		{"a hyphen in front", "-demo", 80, "neither"},
		{"a longer label", LONG63 "a", 80, "up to 63"},
		{"a zone", "fe80::1%eth0", 2222, "neither"},
		{"half an address", "1.2.3", 2222, "is a number"},
		{"an address with more", "127.0.0.1.5", 80, "is a number"},
		{"an address with a part that is too large", "127.0.0.256", 2222, "is a number"},
		{"an address with a zero in front", "127.0.0.01", 2222, "is a number"},
		{"a short address", "127.1", 2222, "in full"},
		{"an address as a number", "2130706433", 2222, "is a number"},
		{"in hexadecimal", "0x7f000001", 2222, "is a number"},
		{"in capitals", "0X7F000001", 80, "is a number"},
		{"in octal", "017700000001", 80, "is a number"},
		{"in parts", "0x7f.0.0.0x1", 80, "is a number"},
		{"with a dot at the end", "0.", 80, "is a number"},
		{"more than an address can be", "99999999999999999999", 80, "is a number"},
		{"a name of digits", "123", 80, "with its domain"},
		{"half a number", "0x", 80, "is a number"},
		{"a star before a number", "*.1", 443, "is a number"},
		{"only a dot", ".", 80, "neither"},
		{"two dots", "demo..", 80, "neither"},
		{"brackets around a name", "[demo]", 80, "neither"},
		{"brackets around IPv4", "[127.0.0.1]", 2222, "neither"},
		{"a star within", "a.*.example.org", 443, "neither"},
		{"a star alone with a dot", "*.", 443, "neither"},
		{"a host name of one's own for a port", "app.example.org", 2222, "port 80 or 443"},
		{"a bad name under our domain", "a_b.karez.example", 80, "neither"},
	};
	char longest[HOSTNAME_MAX + 2];
	struct ssh_forward f;
	const char *why;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s: %s\n", cases[i].why, cases[i].address);
		assert_int_equal(ssh_forward_read(str_of(cases[i].address), cases[i].port, DOMAIN,
						  true, &f, &why),
				 ERR_INVAL);
		assert_non_null(strstr(why, cases[i].words));
	}
	memset(longest, 'a', sizeof longest);
	assert_int_equal(ssh_forward_read((struct str){longest, sizeof longest}, 80, DOMAIN, false,
					  &f, &why),
			 ERR_INVAL);
	assert_non_null(strstr(why, "longer"));
}

/* The server's domain may be "localhost" where somebody tries things out. */
static void test_domain_localhost(void **state)
{
	struct ssh_forward f;
	const char *why;

	assert_int_equal(ssh_forward_read(STR("demo.localhost"), 80, "localhost", false, &f, &why),
			 0);
	assert_string_equal(f.name, "demo");
	assert_int_equal(ssh_forward_read(STR("localhost"), 2222, "localhost", false, &f, &why), 0);
	assert_string_equal(f.bind, "localhost");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_domain_localhost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
