/* Words are stored and sent, so each must mean tomorrow what it means today. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proto/tunnel_word.h"

static const struct {
	const char *word;
	const char *const *words;
	unsigned want;
} cases[] = {
	{"http", tunnel_word_kinds, TUNNEL_HTTP},
	{"tcp", tunnel_word_kinds, TUNNEL_TCP},
	{"tls", tunnel_word_kinds, TUNNEL_TLS},
	{"least-conn", tunnel_word_policies, TUNNEL_LEAST_CONN},
	{"round-robin", tunnel_word_policies, TUNNEL_ROUND_ROBIN},
	{"failover", tunnel_word_policies, TUNNEL_FAILOVER},
	{"pass", tunnel_word_tlses, TUNNEL_TLS_PASS},
	{"end", tunnel_word_tlses, TUNNEL_TLS_END},
	{"none", tunnel_word_proxies, TUNNEL_PROXY_NONE},
	{"v1", tunnel_word_proxies, TUNNEL_PROXY_V1},
	{"v2", tunnel_word_proxies, TUNNEL_PROXY_V2},
};

static void test_words(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned at = 99;

		if (tunnel_word_find(cases[i].words, str_of(cases[i].word), &at) != 0 ||
		    at != cases[i].want || strcmp(cases[i].words[at], cases[i].word) != 0)
			fail_msg("%s", cases[i].word);
	}
}

/* Every member has its word, and behind the last stands the end. */
static void test_complete(void **state)
{
	static const struct {
		const char *why;
		const char *const *words;
		unsigned n;
	} tables[] = {
		{"kinds", tunnel_word_kinds, TUNNEL_KINDS},
		{"policies", tunnel_word_policies, TUNNEL_POLICIES},
		{"TLS", tunnel_word_tlses, TUNNEL_TLSES},
		{"headers", tunnel_word_proxies, TUNNEL_PROXIES},
	};

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		unsigned n = 0;

		while (tables[i].words[n] != NULL)
			n++;
		if (n != tables[i].n)
			fail_msg("%s: %u words", tables[i].why, n);
	}
}

static void test_others(void **state)
{
	static const struct {
		const char *why;
		struct str word;
	} others[] = {
		{"nothing", {NULL, 0}},
		{"a word of another setting", STR("http")},
		{"the beginning of one", STR("fail")},
		{"one and more", STR("failover ")},
		{"capitals", STR("Failover")},
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		unsigned at = 99;

		if (tunnel_word_find(tunnel_word_policies, others[i].word, &at) != ERR_INVAL ||
		    at != 99)
			fail_msg("%s", others[i].why);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
