/* Families alternate, the first one first; nothing is lost but what is too much. */
#include "net/net_order.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

/* Addresses by letters: capitals are IPv6, the others IPv4. */
static const struct {
	const char *why, *in, *out;
	size_t cap;
} cases[] = {
	{"none", "", "", 8},
	{"one", "A", "A", 8},
	{"one family", "ABC", "ABC", 8},
	{"the other family", "abc", "abc", 8},
	{"both, IPv6 first", "ABCabc", "AaBbCc", 8},
	{"both, IPv4 first", "abcABC", "aAbBcC", 8},
	{"mixed already", "AaBb", "AaBb", 8},
	{"few of the second", "ABCDa", "AaBCD", 8},
	{"few of the first", "Aabcd", "Aabcd", 8},
	{"the second is not crowded out", "ABCDEFGHIJa", "AaBCDEFG", 8},
	{"room for one", "ABa", "A", 1},
	{"no room", "ABa", "", 0},
};

static void test_order(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_addr in[16], out[16];
		char got[16] = "";
		size_t n = strlen(cases[i].in), n_out;

		memset(in, 0, sizeof in);
		for (size_t k = 0; k < n; k++) {
			char c = cases[i].in[k];

			in[k].sa.sa_family = c >= 'a' ? AF_INET : AF_INET6;
			in[k].len = (socklen_t)c;
		}
		n_out = net_order(in, n, out, cases[i].cap);
		for (size_t k = 0; k < n_out; k++)
			got[k] = (char)out[k].len;
		if (strcmp(got, cases[i].out) != 0)
			fail_msg("%s: %s", cases[i].why, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
