/* Which addresses a tunnel lets in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/rights.h"

static void test_addresses(void **state)
{
	static const struct {
		const char *why, *allow, *deny, *ip;
		bool want;
	} cases[] = {
		{"no lists", "", "", "192.0.2.1", true},
		{"no lists, an unknown address", "", "", "", true},
		{"on the allow list", "192.0.2.0/24", "", "192.0.2.1", true},
		{"not on it", "192.0.2.0/24", "", "198.51.100.1", false},
		{"on the second block", "10.0.0.0/8 192.0.2.0/24", "", "192.0.2.1", true},
		{"on the deny list", "", "192.0.2.0/24", "192.0.2.1", false},
		{"not on it", "", "192.0.2.0/24", "198.51.100.1", true},
		{"on both: deny is stronger", "192.0.2.0/24", "192.0.2.1", "192.0.2.1", false},
		{"beside what is denied", "192.0.2.0/24", "192.0.2.1", "192.0.2.2", true},
		{"IPv6", "2001:db8::/32", "", "2001:db8::1", true},
		{"IPv6 is in no IPv4 block", "0.0.0.0/0", "", "2001:db8::1", false},
		{"IPv4 is in no IPv6 block", "::/0", "", "192.0.2.1", false},
		{"a mapped address is IPv4", "192.0.2.0/24", "", "::ffff:192.0.2.1", true},
		{"an unknown address and an allow list", "0.0.0.0/0 ::/0", "", "", false},
		{"an unknown address and a deny list", "", "192.0.2.1", "", false},
		{"no address", "0.0.0.0/0", "", "localhost", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str allow = str_of(cases[i].allow), deny = str_of(cases[i].deny), block;
		struct rights r = {0};

		while (str_next(&allow, ' ', &block) && block.len > 0)
			assert_int_equal(cidr_parse(block, &r.allow[r.n_allow++]), 0);
		while (str_next(&deny, ' ', &block) && block.len > 0)
			assert_int_equal(cidr_parse(block, &r.deny[r.n_deny++]), 0);
		if (rights_allow_address(&r, cases[i].ip) != cases[i].want)
			fail_msg("%s", cases[i].why);
	}
}

static void test_empty(void **state)
{
	struct rights r = {0};

	assert_true(rights_is_empty(&r));
	r.n_users = 1;
	assert_false(rights_is_empty(&r));
	r = (struct rights){.n_bearers = 1};
	assert_false(rights_is_empty(&r));
	r = (struct rights){.n_allow = 1};
	assert_false(rights_is_empty(&r));
	r = (struct rights){.n_deny = 1};
	assert_false(rights_is_empty(&r));
	r = (struct rights){.auth_url = "http://a"};
	assert_false(rights_is_empty(&r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
