/* What a machine is found to be, and what is no question. The machine may have no such address. */
#include "net/net_here.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/err.h"

static void test_an_address_that_others_reach(void **state)
{
	static const char *const every[] = {"0.0.0.0:7400", "[::]:7400"};
	char ip[NET_ADDR_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(every); i++) {
		struct net_addr like, out;
		int e;

		assert_int_equal(net_addr_parse(str_of(every[i]), &like), 0);
		e = net_here(&like, &out);
		if (e == ERR_NOTFOUND)
			continue;
		assert_int_equal(e, 0);
		assert_int_equal(net_addr_port(&out), 7400);
		assert_false(net_addr_is_any(&out));
		assert_false(net_addr_is_loopback(&out));
		assert_true(net_addr_ip(&out, ip)[0] != '\0');
		if (i == 0)
			assert_int_equal(out.sa.sa_family, AF_INET);
	}
}

static void test_only_ip_addresses_are_asked_for(void **state)
{
	struct net_addr like = {.len = 0}, out;

	assert_int_equal(net_here(&like, &out), ERR_INVAL);
	assert_int_equal(net_addr_parse(STR("unix:/run/x"), &like), 0);
	assert_int_equal(net_here(&like, &out), ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_address_that_others_reach),
		cmocka_unit_test(test_only_ip_addresses_are_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
