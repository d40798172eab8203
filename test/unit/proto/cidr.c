/* Addresses as 16 bytes, and which blocks they are in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "proto/cidr.h"

static void test_ip(void **state)
{
	static const struct {
		const char *why, *in, *out;
	} cases[] = {
		{"IPv4", "192.0.2.1", "192.0.2.1"},
		{"IPv4, lowest", "0.0.0.0", "0.0.0.0"},
		{"IPv4, highest", "255.255.255.255", "255.255.255.255"},
		{"IPv4, one to three digits", "1.20.103.9", "1.20.103.9"},
		{"IPv6", "2001:db8::1", "2001:db8::1"},
		{"IPv6, in full", "2001:0DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"IPv6, unspecified", "::", "::"},
		{"a mapped address is IPv4", "::ffff:192.0.2.1", "192.0.2.1"},
		{"a mapped address in hexadecimal too", "::ffff:c000:201", "192.0.2.1"},
		{"the longest", "1111:2222:3333:4444:5555:6666:7777:8888",
		 "1111:2222:3333:4444:5555:6666:7777:8888"},
		{"nothing", "", NULL},
		{"three numbers", "192.0.2", NULL},
		{"five numbers", "192.0.2.1.1", NULL},
		{"256", "192.0.2.256", NULL},
		{"leading zeros, which some read as octal", "192.0.2.010", NULL},
		{"hexadecimal", "0x7f.0.0.1", NULL},
		{"a space", " 192.0.2.1", NULL},
		{"a port", "192.0.2.1:80", NULL},
		{"brackets", "[::1]", NULL},
		{"a zone", "fe80::1%eth0", NULL},
		{"two gaps", "1::2::3", NULL},
		{"nine groups", "1:2:3:4:5:6:7:8:9", NULL},
		{"a name", "localhost", NULL},
		{"very long", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t ip[16];
		char text[CIDR_IP_TEXT_MAX];
		int e = cidr_ip_parse(str_of(cases[i].in), ip);

		if (e != (cases[i].out == NULL ? ERR_INVAL : 0))
			fail_msg("%s: \"%s\" gives %d", cases[i].why, cases[i].in, e);
		if (e != 0)
			continue;
		assert_int_equal(cidr_ip_format(ip, text), strlen(cases[i].out));
		if (strcmp(text, cases[i].out) != 0 ||
		    cidr_ip_is_v4(ip) != (strchr(text, ':') == NULL))
			fail_msg("%s: \"%s\" comes back as \"%s\"", cases[i].why, cases[i].in,
				 text);
	}
	assert_int_equal(cidr_ip_parse(STR("1.2.3.4\0"), (uint8_t[16]){0}), ERR_INVAL);
	assert_int_equal(cidr_ip_parse((struct str){NULL, 0}, (uint8_t[16]){0}), ERR_INVAL);
}

static void test_parse(void **state)
{
	static const struct {
		const char *why, *in, *out;
	} cases[] = {
		{"an IPv4 block", "10.0.0.0/8", "10.0.0.0/8"},
		{"all of IPv4", "0.0.0.0/0", "0.0.0.0/0"},
		{"one IPv4 address", "192.0.2.1", "192.0.2.1/32"},
		{"the same, said so", "192.0.2.1/32", "192.0.2.1/32"},
		{"bits inside a byte", "172.16.0.0/12", "172.16.0.0/12"},
		{"an IPv6 block", "2001:DB8::/32", "2001:db8::/32"},
		{"all of IPv6", "::/0", "::/0"},
		{"one IPv6 address", "::1/128", "::1/128"},
		{"a mapped block is IPv4", "::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"nothing", "", NULL},
		{"no address", "/8", NULL},
		{"no length", "10.0.0.0/", NULL},
		{"33 bits", "10.0.0.0/33", NULL},
		{"129 bits", "::/129", NULL},
		{"a negative length", "10.0.0.0/-1", NULL},
		{"a length with a zero in front", "10.0.0.0/08", NULL},
		{"a mask", "10.0.0.0/255.0.0.0", NULL},
		{"two lengths", "10.0.0.0/8/8", NULL},
		{"bits beyond the prefix", "10.0.0.1/8", NULL},
		{"bits beyond a prefix inside a byte", "172.24.0.0/12", NULL},
		{"bits beyond an IPv6 prefix", "2001:db8::1/32", NULL},
		{"a name", "localhost/8", NULL},
		{"a space", "10.0.0.0 /8", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cidr c;
		char text[CIDR_TEXT_MAX];
		int e = cidr_parse(str_of(cases[i].in), &c);

		if (e != (cases[i].out == NULL ? ERR_INVAL : 0))
			fail_msg("%s: \"%s\" gives %d", cases[i].why, cases[i].in, e);
		if (e != 0)
			continue;
		assert_int_equal(cidr_format(&c, text), strlen(cases[i].out));
		if (strcmp(text, cases[i].out) != 0)
			fail_msg("%s: \"%s\" comes back as \"%s\"", cases[i].why, cases[i].in,
				 text);
	}
}

static void test_match(void **state)
{
	static const struct {
		const char *why, *block, *ip;
		bool want;
	} cases[] = {
		{"the first address", "10.0.0.0/8", "10.0.0.0", true},
		{"the last address", "10.0.0.0/8", "10.255.255.255", true},
		{"one before", "10.0.0.0/8", "9.255.255.255", false},
		{"one after", "10.0.0.0/8", "11.0.0.0", false},
		{"inside, bits in a byte", "172.16.0.0/12", "172.31.255.255", true},
		{"after, bits in a byte", "172.16.0.0/12", "172.32.0.0", false},
		{"an IPv4 address mapped", "10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"a plain address matches itself", "192.0.2.1", "192.0.2.1", true},
		{"and no other", "192.0.2.1", "192.0.2.0", false},
		{"every IPv4 address", "0.0.0.0/0", "203.0.113.9", true},
		{"no IPv6 address is IPv4", "0.0.0.0/0", "2001:db8::1", false},
		{"every IPv6 address", "::/0", "2001:db8::1", true},
		{"no IPv4 address is IPv6", "::/0", "192.0.2.1", false},
		{"loopback", "::1/128", "0:0:0:0:0:0:0:1", true},
		{"inside an IPv6 block", "2001:db8::/33", "2001:db8:7fff::1", true},
		{"outside an IPv6 block", "2001:db8::/33", "2001:db8:8000::1", false},
		{"not an address", "0.0.0.0/0", "unknown", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cidr c;

		assert_int_equal(cidr_parse(str_of(cases[i].block), &c), 0);
		if (cidr_match_text(&c, 1, str_of(cases[i].ip)) != cases[i].want)
			fail_msg("%s: %s in %s", cases[i].why, cases[i].ip, cases[i].block);
	}
}

static void test_match_any(void **state)
{
	struct cidr list[2];

	assert_int_equal(cidr_parse(STR("127.0.0.0/8"), &list[0]), 0);
	assert_int_equal(cidr_parse(STR("::1"), &list[1]), 0);
	assert_true(cidr_match_text(list, 2, STR("127.0.0.1")));
	assert_true(cidr_match_text(list, 2, STR("::1")));
	assert_false(cidr_match_text(list, 2, STR("::2")));
	assert_false(cidr_match_text(list, 1, STR("::1")));
	assert_false(cidr_match_text(NULL, 0, STR("127.0.0.1")));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
