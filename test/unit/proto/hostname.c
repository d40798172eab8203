/* What is a host name, and what a Host value means. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "proto/hostname.h"

#define L10  "abcdefghij"
#define L63  L10 L10 L10 L10 L10 L10 "abc"
#define N253 L63 "." L63 "." L63 "." L10 L10 L10 L10 L10 L10 "a"

static void test_ok(void **state)
{
	static const struct {
		const char *why, *name;
		bool strict, loose;
	} cases[] = {
		{"an ordinary name", "a.example.org", true, true},
		{"upper case", "A.Example.ORG", true, true},
		{"one label", "localhost", true, true},
		{"digits in front (RFC 1123)", "8bv2.localhost", true, true},
		{"inner hyphens", "a--b.c-d", true, true},
		{"punycode", "xn--bcher-kva.example", true, true},
		{"nothing", "", false, false},
		{"a single dot", ".", false, false},
		{"a dot in front", ".a", false, false},
		{"a dot at the end", "a.", false, false},
		{"two dots", "a..b", false, false},
		{"a hyphen in front", "-a.b", false, false},
		{"a hyphen in front of a later label", "a.-b", false, false},
		{"a hyphen at the end", "a-", false, false},
		{"a hyphen at the end of a label", "a-.b", false, false},
		{"an underscore", "my_app.lan", false, true},
		{"a space", "a b", false, false},
		{"a slash", "a/b", false, false},
		{"a colon", "a:1", false, false},
		{"an at sign", "a@b", false, false},
		{"a percent sign", "a%2eb", false, false},
		{"a byte above 0x7f",
		 "b\xc3\xbc"
		 "cher",
		 false, false},
		{"an address is not a name", "127.0.0.1", false, false},
		{"nor is what looks like a short one", "127.1", false, false},
		{"nor a number", "3000", false, false},
		{"digits before the last label are fine", "127.0.0.a", true, true},
		{"a label of 63 bytes", L63, true, true},
		{"a label of 64 bytes", L63 "d", false, false},
		{"a name of 253 bytes", N253, true, true},
		{"a name of 254 bytes", N253 "b", false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str s = str_of(cases[i].name);

		if (hostname_ok(s) != cases[i].strict || hostname_resolvable(s) != cases[i].loose)
			fail_msg("%s: \"%s\"", cases[i].why, cases[i].name);
	}
	assert_false(hostname_ok(STR("a\0b")));
	assert_false(hostname_ok((struct str){NULL, 0}));
}

static void test_split(void **state)
{
	static const struct {
		const char *why, *authority;
		int want;
		enum hostname_kind kind;
		const char *host;
		unsigned port;
	} cases[] = {
		{"a name", "a.example", 0, HOSTNAME_NAME, "a.example", 0},
		{"a name and a port", "a.example:8080", 0, HOSTNAME_NAME, "a.example", 8080},
		{"the highest port", "a:65535", 0, HOSTNAME_NAME, "a", 65535},
		{"the case stays", "A.Example", 0, HOSTNAME_NAME, "A.Example", 0},
		{"a trailing dot", "a.example.", 0, HOSTNAME_NAME, "a.example", 0},
		{"a trailing dot before a port", "a.example.:80", 0, HOSTNAME_NAME, "a.example",
		 80},
		{"an empty port (RFC 3986 3.2.3)", "a.example:", 0, HOSTNAME_NAME, "a.example", 0},
		{"253 bytes, a dot and a port", N253 ".:65535", 0, HOSTNAME_NAME, N253, 65535},
		{"an IPv4 address", "192.0.2.1", 0, HOSTNAME_IPV4, "192.0.2.1", 0},
		{"an IPv4 address and a port", "192.0.2.1:1", 0, HOSTNAME_IPV4, "192.0.2.1", 1},
		{"an IPv6 address", "[2001:db8::1]", 0, HOSTNAME_IPV6, "2001:db8::1", 0},
		{"an IPv6 address and a port", "[::1]:443", 0, HOSTNAME_IPV6, "::1", 443},
		{"a mapped address", "[::ffff:1.2.3.4]", 0, HOSTNAME_IPV6, "::ffff:1.2.3.4", 0},
		{"nothing", "", ERR_PROTO},
		{"a port alone", ":80", ERR_PROTO},
		{"a dot alone", ".", ERR_PROTO},
		{"two trailing dots", "a..", ERR_PROTO},
		{"port 0", "a:0", ERR_PROTO},
		{"a port above 65535", "a:65536", ERR_PROTO},
		{"a very long port", "a:100000000000000000000000080", ERR_PROTO},
		{"a port with leading zeros", "a:0080", ERR_PROTO},
		{"a signed port", "a:+80", ERR_PROTO},
		{"a port of letters", "a:http", ERR_PROTO},
		{"two ports", "a:80:80", ERR_PROTO},
		{"an IPv4 address out of range", "256.0.0.1", ERR_PROTO},
		{"an IPv4 address with leading zeros", "192.0.2.01", ERR_PROTO},
		{"a short IPv4 address", "127.1", ERR_PROTO},
		{"a dot after an IPv4 address", "192.0.2.1.", ERR_PROTO},
		{"an IPv6 address without brackets", "::1", ERR_PROTO},
		{"an open bracket", "[::1", ERR_PROTO},
		{"text after the bracket", "[::1]a", ERR_PROTO},
		{"an IPv4 address in brackets", "[192.0.2.1]", ERR_PROTO},
		{"a name in brackets", "[a.example]", ERR_PROTO},
		{"empty brackets", "[]", ERR_PROTO},
		{"a zone", "[fe80::1%25eth0]", ERR_PROTO},
		{"user information", "me@a.example", ERR_PROTO},
		{"a path", "a.example/x", ERR_PROTO},
		{"a space in front", " a.example", ERR_PROTO},
		{"two hosts", "a.example, b.example", ERR_PROTO},
		{"an underscore", "my_app", ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str s = str_of(cases[i].authority);
		struct hostname_authority a = {.port = 7};
		int e = hostname_split(s, &a);

		if (e != cases[i].want || hostname_authority_ok(s) != (e == 0))
			fail_msg("%s: \"%s\" gives %d", cases[i].why, s.p, e);
		if (e != 0)
			continue;
		if (a.kind != cases[i].kind || a.port != cases[i].port ||
		    !str_eq(a.host, str_of(cases[i].host)))
			fail_msg("%s: \"%s\" gives %d \"%.*s\" %u", cases[i].why, s.p, a.kind,
				 STR_ARG(a.host), a.port);
	}
	assert_false(hostname_authority_ok(STR("[::1\0]")));
	assert_false(hostname_authority_ok((struct str){NULL, 0}));
}

static void test_split_resolvable(void **state)
{
	struct hostname_authority a;

	assert_int_equal(hostname_split_resolvable(STR("my_app:80"), &a), 0);
	assert_true(str_eq(a.host, STR("my_app")));
	assert_int_equal(hostname_split_resolvable(STR("my app:80"), &a), ERR_PROTO);
}

static void test_same(void **state)
{
	static const struct {
		const char *why, *a, *b;
		unsigned port;
		bool want;
	} cases[] = {
		{"equal", "a.example", "a.example", 80, true},
		{"but for the case", "A.example", "a.EXAMPLE", 80, true},
		{"but for a trailing dot", "a.example.", "a.example", 80, true},
		{"the default port is none", "a.example:80", "a.example", 80, true},
		{"an empty port is none", "a.example:", "a.example:80", 80, true},
		{"the default port of https", "a.example", "a.example:443", 443, true},
		{"another port", "a.example:81", "a.example", 80, false},
		{"another name", "a.example", "b.example", 80, false},
		{"a longer name", "a.example", "a.example.org", 80, false},
		{"one address in two spellings", "[::1]", "[0:0::1]:80", 80, true},
		{"two addresses", "[::1]", "[::2]", 80, false},
		{"two IPv4 addresses", "192.0.2.1", "192.0.2.2", 80, false},
		{"IPv4 and the same mapped are two texts", "192.0.2.1", "[::ffff:192.0.2.1]", 80,
		 false},
		{"one is not valid", "a.example", "a..example", 80, false},
		{"both are not valid", "a..b", "a..b", 80, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (hostname_authority_same(str_of(cases[i].a), str_of(cases[i].b),
					    (uint16_t)cases[i].port) != cases[i].want)
			fail_msg("%s: %s, %s", cases[i].why, cases[i].a, cases[i].b);
}

static void test_normalise(void **state)
{
	static const struct {
		const char *why, *in, *out;
	} cases[] = {
		{"case", "A.ExAmPle", "a.example"},
		{"a port", "a.example:8080", "a.example"},
		{"all at once", "Hello.Tim.LOCALHOST.:8080", "hello.tim.localhost"},
		{"an IPv6 address", "[2001:DB8::1]:80", "2001:db8::1"},
		{"the longest name", N253, N253},
		{"not a host", "a b", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[HOSTNAME_MAX + 1];
		struct str host;
		int e = hostname_normalise(str_of(cases[i].in), out, &host);

		if (e != (cases[i].out == NULL ? ERR_PROTO : 0))
			fail_msg("%s: %d", cases[i].why, e);
		if (e == 0 &&
		    (!str_eq(host, str_of(cases[i].out)) || strcmp(out, cases[i].out) != 0))
			fail_msg("%s: \"%s\"", cases[i].why, out);
	}
}

static void test_tunnel(void **state)
{
	static const struct {
		const char *why, *in, *out;
		int want;
	} cases[] = {
		{"one label", "hello", "hello", 0},
		{"several labels", "hello.tim", "hello.tim", 0},
		{"upper case", "Hello.TIM", "hello.tim", 0},
		{"digits only", "3000", "3000", 0},
		{"what would be an address by itself", "1.2.3.4", "1.2.3.4", 0},
		{"a label of 63 bytes", L63, L63, 0},
		{"nothing", "", NULL, ERR_INVAL},
		{"a trailing dot", "a.", NULL, ERR_INVAL},
		{"a port", "a:1", NULL, ERR_INVAL},
		{"an underscore", "a_b", NULL, ERR_INVAL},
		{"a label too long", L63 "d", NULL, ERR_TOOBIG},
		{"a name too long", N253 "d", NULL, ERR_TOOBIG},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[HOSTNAME_MAX + 1] = "untouched";
		int e = hostname_tunnel(str_of(cases[i].in), out);

		if (e != cases[i].want || strcmp(out, e == 0 ? cases[i].out : "untouched") != 0)
			fail_msg("%s: %d \"%s\"", cases[i].why, e, out);
	}
}

static void test_tunnel_in_place(void **state)
{
	char name[HOSTNAME_MAX + 1] = "Hello.Tim";

	assert_int_equal(hostname_tunnel(str_of(name), name), 0);
	assert_string_equal(name, "hello.tim");
}

static void test_under(void **state)
{
	static const struct {
		const char *why, *host, *domain, *name;
	} cases[] = {
		{"one label before the domain", "a.example.org", "example.org", "a"},
		{"several", "hello.tim.example.org", "example.org", "hello.tim"},
		{"a domain of one label", "a.localhost", "localhost", "a"},
		{"the domain itself", "example.org", "example.org", NULL},
		{"a name that only ends alike", "badexample.org", "example.org", NULL},
		{"another domain", "a.example.com", "example.org", NULL},
		{"a shorter name", "org", "example.org", NULL},
		{"nothing before the dot", ".example.org", "example.org", NULL},
		{"no domain", "a.", "", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str name = STR("untouched");
		bool hit = hostname_under(str_of(cases[i].host), str_of(cases[i].domain), &name);
		const char *want = cases[i].name == NULL ? "untouched" : cases[i].name;

		if (hit != (cases[i].name != NULL) || !str_eq(name, str_of(want)))
			fail_msg("%s", cases[i].why);
	}
}

static void test_parent(void **state)
{
	struct str name = STR("a.b.c");

	assert_true(hostname_parent(&name));
	assert_true(str_eq(name, STR("b.c")));
	assert_true(hostname_parent(&name));
	assert_true(str_eq(name, STR("c")));
	assert_false(hostname_parent(&name));
	assert_true(str_eq(name, STR("c")));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ok),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_split_resolvable),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_tunnel),
		cmocka_unit_test(test_tunnel_in_place),
		cmocka_unit_test(test_under),
		cmocka_unit_test(test_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
