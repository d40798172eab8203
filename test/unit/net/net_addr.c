/* Addresses: what is one, what is not, and how they are written. */
#include "net/net_addr.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"

/* 107 bytes fit in sun_path with their NUL. */
#define P50 "/2345678901234567890123456789012345678901234567890"

static void test_parse(void **state)
{
	static const struct {
		const char *why;
		struct str text;
		int want, family, port;
		const char *format, *ip;
		bool loopback;
	} cases[] = {
		{"IPv4", STR("10.1.2.3:80"), 0, AF_INET, 80, "10.1.2.3:80", "10.1.2.3", false},
		{"port 0 lets the kernel choose", STR("127.0.0.1:0"), 0, AF_INET, 0, "127.0.0.1:0",
		 "127.0.0.1", true},
		{"all of 127/8 is loopback", STR("127.9.9.9:1"), 0, AF_INET, 1, "127.9.9.9:1",
		 "127.9.9.9", true},
		{"IPv6", STR("[2001:db8::1]:443"), 0, AF_INET6, 443, "[2001:db8::1]:443",
		 "2001:db8::1", false},
		{"IPv6 is written the short way", STR("[2001:DB8:0:0:0:0:0:1]:1"), 0, AF_INET6, 1,
		 "[2001:db8::1]:1", "2001:db8::1", false},
		{"IPv6 loopback", STR("[::1]:65535"), 0, AF_INET6, 65535, "[::1]:65535", "::1",
		 true},
		{"mapped IPv4 is shown as IPv4", STR("[::ffff:10.0.0.1]:5"), 0, AF_INET6, 5,
		 "10.0.0.1:5", "10.0.0.1", false},
		{"mapped loopback", STR("[::ffff:127.0.0.1]:5"), 0, AF_INET6, 5, "127.0.0.1:5",
		 "127.0.0.1", true},
		{"every address", STR(":8080"), 0, AF_INET6, 8080, "[::]:8080", "::", false},
		{"unix", STR("unix:/run/x.sock"), 0, AF_UNIX, 0, "unix:/run/x.sock", "", true},
		{"unix, the longest", STR("unix:" P50 P50 "/123456"), 0, AF_UNIX, 0,
		 "unix:" P50 P50 "/123456", "", true},
		{"unix, too long", STR("unix:" P50 P50 "/1234567"), ERR_TOOBIG, 0, 0, NULL, NULL,
		 false},
		{"unix without a path", STR("unix:"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"unix with a NUL", STR("unix:/a\0b"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"nothing", {NULL, 0}, ERR_INVAL, 0, 0, NULL, NULL, false},
		{"no port", STR("1.2.3.4"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"an empty port", STR("1.2.3.4:"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"a port too large", STR("1.2.3.4:65536"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"a port with zeros", STR("1.2.3.4:080"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"a name", STR("localhost:80"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"three bytes of four", STR("1.2.3:80"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"a byte too large", STR("1.2.3.256:80"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"IPv6 without brackets", STR("::1:80"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"IPv4 in brackets", STR("[1.2.3.4]:80"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"empty brackets", STR("[]:80"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"an open bracket", STR("[::1"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"brackets without a port", STR("[::1]"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"junk behind the bracket", STR("[::1]x:80"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"a scope", STR("[fe80::1%lo]:80"), ERR_INVAL, 0, 0, NULL, NULL, false},
		{"a NUL in the address", STR("1.2.3.4\0x:80"), ERR_INVAL, 0, 0, NULL, NULL, false},
	};
	char text[NET_ADDR_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_addr a;

		print_message("%s\n", cases[i].why);
		assert_int_equal(net_addr_parse(cases[i].text, &a), cases[i].want);
		if (cases[i].want != 0)
			continue;
		assert_int_equal(a.sa.sa_family, cases[i].family);
		assert_int_equal(net_addr_port(&a), cases[i].port);
		assert_string_equal(net_addr_format(&a, text), cases[i].format);
		assert_string_equal(net_addr_ip(&a, text), cases[i].ip);
		assert_int_equal(net_addr_is_loopback(&a), cases[i].loopback);
	}
}

static void test_from_ip(void **state)
{
	static const struct {
		const char *why;
		struct str ip;
		int want;
	} cases[] = {
		{"IPv4", STR("1.2.3.4"), 0},
		{"IPv6", STR("::1"), 0},
		{"brackets", STR("[::1]"), ERR_INVAL},
		{"a port", STR("1.2.3.4:5"), ERR_INVAL},
		{"nothing", {NULL, 0}, ERR_INVAL},
		{"a NUL behind it", STR("1.2.3.4\0"), ERR_INVAL},
		{"longer than any", STR("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"),
		 ERR_INVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_addr a;

		print_message("%s\n", cases[i].why);
		assert_int_equal(net_addr_from_ip(cases[i].ip, 7, &a), cases[i].want);
		assert_int_equal(net_addr_port(&a), cases[i].want == 0 ? 7 : 0);
	}
}

static void test_unknown(void **state)
{
	struct net_addr a = {.len = 0};
	char text[NET_ADDR_TEXT];

	assert_string_equal(net_addr_format(&a, text), "unknown");
	assert_string_equal(net_addr_ip(&a, text), "");
	assert_int_equal(net_addr_port(&a), 0);
	assert_false(net_addr_is_loopback(&a));
}

/* What the kernel says of sockets that did not come through net_addr_parse(). */
static void test_foreign_unix_addresses(void **state)
{
	struct net_addr a;
	char text[NET_ADDR_TEXT], want[NET_ADDR_TEXT] = "unix:";

	memset(&a, 'x', sizeof a); /* a path that fills all, without NUL */
	a.un.sun_family = AF_UNIX;
	a.len = sizeof a.un;
	memset(want + 5, 'x', sizeof a.un.sun_path);
	want[5 + sizeof a.un.sun_path] = '\0';
	assert_string_equal(net_addr_format(&a, text), want);
	a.len = sizeof a.un.sun_family; /* a peer without a name */
	assert_string_equal(net_addr_format(&a, text), "unix:");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_from_ip),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_foreign_unix_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
