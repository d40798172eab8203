/* Names: the syntax, what is reserved, and random ones; and the texts of digest.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/digest.h"
#include "core/names.h"

#define TEN(s)	 s s s s s s s s s s
#define LABEL_63 TEN("abcdef") "ghi"
#define NAME_239 LABEL_63 "." LABEL_63 "." LABEL_63 "." TEN("abcd") "efghijk"

static void test_check(void **state)
{
	static const struct {
		const char *why, *wanted;
		int want;
		const char *out;
	} cases[] = {
		{"one label", "demo", 0, "demo"},
		{"lower-cased", "DeMo", 0, "demo"},
		{"several labels", "Hello.Tim", 0, "hello.tim"},
		{"one character", "a", 0, "a"},
		{"a digit", "7", 0, "7"},
		{"a digit in front", "1bcd", 0, "1bcd"},
		{"a hyphen inside", "a-b", 0, "a-b"},
		{"63 characters", LABEL_63, 0, LABEL_63},
		{"just what fits before .example.org", NAME_239 "ab", 0, NAME_239 "ab"},
		{"64 characters", LABEL_63 "j", ERR_INVAL, NULL},
		{"one more than fits", NAME_239 "abc", ERR_INVAL, NULL},
		{"nothing", "", ERR_INVAL, NULL},
		{"a hyphen in front", "-a", ERR_INVAL, NULL},
		{"a hyphen at the end", "a-", ERR_INVAL, NULL},
		{"a dot in front", ".a", ERR_INVAL, NULL},
		{"a dot at the end", "a.", ERR_INVAL, NULL},
		{"two dots", "a..b", ERR_INVAL, NULL},
		{"a dot alone", ".", ERR_INVAL, NULL},
		{"a space", "a b", ERR_INVAL, NULL},
		{"a slash", "a/b", ERR_INVAL, NULL},
		{"a star", "*", ERR_INVAL, NULL},
		{"an underscore inside", "a_b", ERR_INVAL, NULL},
		{"a control character", "a\x1b[2J", ERR_INVAL, NULL},
		{"UTF-8", "\xc3\xa9", ERR_INVAL, NULL},
		{"reserved", "api", ERR_RESERVED, NULL},
		{"reserved in capitals", "OPEN", ERR_RESERVED, NULL},
		{"reserved right before the domain", "x.y.www", ERR_RESERVED, NULL},
		{"reserved elsewhere", "www.x", 0, "www.x"},
		{"begins like a reserved one", "apis", 0, "apis"},
		{"an underscore in front", "_acme-challenge", ERR_RESERVED, NULL},
		{"an underscore right before the domain", "a._tcp", ERR_RESERVED, NULL},
		{"an underscore elsewhere", "_tcp.a", ERR_INVAL, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[HOSTNAME_MAX + 1] = "", reason[CORE_REASON_TEXT] = "";
		int e = names_check(str_of(cases[i].wanted), "example.org", out, reason);

		if (e != cases[i].want || (e == 0 && strcmp(out, cases[i].out) != 0))
			fail_msg("%s: %s %s", cases[i].why, err_name(e), out);
		assert_int_equal(reason[0] == '\0', e == 0);
		for (const char *p = reason; *p != '\0'; p++)
			assert_in_range(*p, ' ', '~');
	}
}

static void test_reserved_table(void **state)
{
	static const char *const labels[] = {
#define RESERVED(label) label,
#include "core/reserved.def"
#undef RESERVED
	};

	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		char out[HOSTNAME_MAX + 1];

		/* one that is not a lower-case name would never match */
		assert_int_equal(hostname_tunnel(str_of(labels[i]), out), 0);
		assert_string_equal(out, labels[i]);
		assert_true(names_reserved(str_of(labels[i])));
		assert_true(i == 0 || strcmp(labels[i - 1], labels[i]) < 0);
	}
}

static void test_random(void **state)
{
	static const char alphabet[] = "23456789abcdefghijkmnpqrstuvwxyz";
	unsigned seen[256] = {0};
	struct ev *ev;

	assert_int_equal(ev_sim_new(3, &ev), 0);
	for (int i = 0; i < 4000; i++) {
		size_t len = NAMES_RANDOM_MIN + (size_t)i % 7;
		char name[HOSTNAME_MAX + 1];

		names_random(ev, len, name);
		assert_int_equal(strlen(name), len);
		assert_int_equal(strspn(name, alphabet), len);
		assert_false(names_reserved(str_of(name)));
		for (size_t k = 0; k < len; k++)
			seen[(unsigned char)name[k]]++;
	}
	for (const char *p = alphabet; *p != '\0'; p++) /* 28,000 characters, 875 of each */
		assert_in_range(seen[(unsigned char)*p], 700, 1050);
	ev_free(ev);
}

static void test_random_is_never_reserved(void **state)
{
	static const uint64_t seed = 1422309; /* its first four characters are "imap" */
	static const char alphabet[] = "23456789abcdefghijkmnpqrstuvwxyz";
	char name[HOSTNAME_MAX + 1];
	uint8_t bytes[4];
	struct ev *ev;

	assert_int_equal(ev_sim_new(seed, &ev), 0);
	ev_random(ev, bytes, sizeof bytes);
	for (int i = 0; i < 4; i++)
		name[i] = alphabet[bytes[i] % 32];
	name[4] = '\0';
	assert_string_equal(name, "imap"); /* else look for another seed */
	ev_free(ev);

	assert_int_equal(ev_sim_new(seed, &ev), 0);
	names_random(ev, 4, name);
	assert_false(names_reserved(str_of(name)));
	ev_free(ev);
}

static void test_keyed_digest(void **state)
{
	/* RFC 4231 4.2 and 4.3 have shorter keys; HMAC pads a key with zeros, so these are theirs
	 */
	static const struct {
		const char *why;
		uint8_t key[DIGEST_LEN];
		const char *text, *want;
	} cases[] = {
		{"RFC 4231 4.2",
		 {0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
		  0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b},
		 "Hi There",
		 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{"RFC 4231 4.3",
		 {'J', 'e', 'f', 'e'},
		 "what do ya want for nothing?",
		 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	};
	char out[DIGEST_HEX_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(digest_keyed(cases[i].key, str_of(cases[i].text), out), 0);
		assert_string_equal(out, cases[i].want);
	}
	assert_int_equal(digest_keyed(cases[0].key, (struct str){NULL, 0}, out), 0);
}

static void test_our_own(void **state)
{
	static const struct {
		const char *why, *api_host, *host;
		bool own;
	} cases[] = {
		{"the domain", NULL, "example.org", true},
		{"the API's", "api.corp.example", "api.corp.example", true},
		{"this machine", NULL, "localhost", true},
		{"a tunnel's", "api.corp.example", "demo.example.org", false},
		{"the API's neighbour", "api.corp.example", "corp.example", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (names_own("example.org", cases[i].api_host, str_of(cases[i].host)) !=
		    cases[i].own)
			fail_msg("%s", cases[i].why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_reserved_table),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_is_never_reserved),
		cmocka_unit_test(test_keyed_digest),
		cmocka_unit_test(test_our_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
