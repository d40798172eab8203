/* Records as text: what is not said, what is not known, what is damaged. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/record.h"

static void test_damaged_records(void **state)
{
	static const struct {
		const char *why;
		char kind; /* a: account, c: credential, p: proof, i: invite */
		const char *value;
		int want;
	} cases[] = {
		{"nothing said", 'a', "{}", 0},
		{"of a later version", 'a', "{\"enabled\":true,\"plan\":{\"x\":[1]}}", 0},
		{"empty", 'a', "", ERR_IO},
		{"cut", 'a', "{\"enabled\":fal", ERR_IO},
		{"a flag that is none", 'a', "{\"enabled\":\"yes\"}", ERR_IO},
		{"a negative number", 'a', "{\"n_tunnels\":-1}", ERR_IO},
		{"a quota that is none", 'a', "{\"quota\":5}", ERR_IO},
		{"ports", 'a', "{\"ports\":[\"443\",\"2000-2010\"]}", 0},
		{"ports that are none", 'a', "{\"ports\":[\"http\"]}", ERR_IO},
		{"ports that are no list", 'a', "{\"ports\":\"443\"}", ERR_IO},
		{"a port that is a number", 'a', "{\"ports\":[443]}", ERR_IO},
		{"a name of 64 bytes", 'a',
		 "{\"name\":\"1234567890123456789012345678901234567890123456789012345678901234\"}",
		 0},
		{"a name that is too long", 'a',
		 "{\"name\":\"12345678901234567890123456789012345678901234567890123456789012345\"}",
		 ERR_IO},
		{"the least of a credential", 'c', "{\"type\":\"token\",\"proof\":\"token:x\"}", 0},
		{"no type", 'c', "{\"proof\":\"token:x\"}", ERR_IO},
		{"a type of a later version", 'c', "{\"type\":\"magic\",\"proof\":\"x\"}", ERR_IO},
		{"no proof", 'c', "{\"type\":\"token\"}", ERR_IO},
		{"an empty proof", 'c', "{\"type\":\"token\",\"proof\":\"\"}", ERR_IO},
		{"a known kind beside a later one", 'c',
		 "{\"type\":\"token\",\"proof\":\"x\",\"scope\":{\"kinds\":[\"udp\",\"http\"]}}",
		 0},
		{"only a later kind, which must not mean all", 'c',
		 "{\"type\":\"token\",\"proof\":\"x\",\"scope\":{\"kinds\":[\"udp\"]}}", ERR_IO},
		{"a space in a name", 'c',
		 "{\"type\":\"token\",\"proof\":\"x\",\"scope\":{\"tunnels\":[\"a b\"]}}", ERR_IO},
		{"an empty name", 'c',
		 "{\"type\":\"token\",\"proof\":\"x\",\"scope\":{\"tunnels\":[\"\"]}}", ERR_IO},
		{"a range downwards", 'c',
		 "{\"type\":\"token\",\"proof\":\"x\",\"scope\":{\"ports\":[\"9-8\"]}}", ERR_IO},
		{"port 0", 'c',
		 "{\"type\":\"token\",\"proof\":\"x\",\"scope\":{\"ports\":[\"0\"]}}", ERR_IO},
		{"a port that is too great", 'c',
		 "{\"type\":\"token\",\"proof\":\"x\",\"scope\":{\"ports\":[\"65536\"]}}", ERR_IO},
		{"nine ports", 'c',
		 "{\"type\":\"token\",\"proof\":\"x\",\"scope\":{\"ports\":[\"1\",\"2\",\"3\","
		 "\"4\","
		 "\"5\",\"6\",\"7\",\"8\",\"9\"]}}",
		 ERR_IO},
		{"a proof", 'p', "{\"account\":\"a\",\"credential\":\"b\"}", 0},
		{"a proof of nobody", 'p', "{\"credential\":\"b\"}", ERR_IO},
		{"a proof of nothing", 'p', "{\"account\":\"a\",\"credential\":\"\"}", ERR_IO},
		{"an id that is too long", 'p',
		 "{\"account\":\"1234567890123456\",\"credential\":\"b\"}", ERR_IO},
		{"an invitation", 'i', "{\"id\":\"abc\"}", 0},
		{"one without an id", 'i', "{\"uses\":1}", ERR_IO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str value = str_of(cases[i].value);
		struct record_credential c;
		struct record_account a;
		struct record_invite v;
		struct record_proof p;
		int e = cases[i].kind == 'a'   ? record_read_account(STR("x"), value, &a)
			: cases[i].kind == 'c' ? record_read_credential(STR("x/y"), value, &c)
			: cases[i].kind == 'p' ? record_read_proof(value, &p)
					       : record_read_invite(value, &v);

		if (e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(e));
	}
}

static void test_keys_of_credentials(void **state)
{
	static const struct {
		const char *why, *key;
		int want;
	} cases[] = {
		{"account and id", "abcdefghijkm/number", 0},
		{"no slash", "abcdefghijkm", ERR_IO},
		{"no account", "/number", ERR_IO},
		{"no id", "abcdefghijkm/", ERR_IO},
		{"too long", "abcdefghijkmabcd/number", ERR_IO},
	};
	struct record_credential c;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int e = record_read_credential(str_of(cases[i].key),
					       STR("{\"type\":\"token\",\"proof\":\"x\"}"), &c);

		if ((e != 0) != (cases[i].want != 0))
			fail_msg("%s: %s", cases[i].why, err_name(e));
	}
}

static void test_account_says_the_usual(void **state)
{
	struct record_account a;

	assert_int_equal(record_read_account(STR("x"), STR("{\"quota\":{\"sessions\":3}}"), &a), 0);
	assert_string_equal(a.id, "x");
	assert_true(a.enabled);
	assert_false(a.admin || a.automatic || a.deleting);
	assert_int_equal(a.quota.sessions, 3);
	assert_int_equal(a.quota.tunnels, RECORD_TUNNELS_USUAL);
	assert_int_equal(a.quota.credentials, RECORD_CREDENTIALS_USUAL);
}

static void test_account_round(void **state)
{
	static const struct record_account a = {.id = "abc",
						.name = "J\xc3\xb6rg",
						.admin = true,
						.automatic = true,
						.deleting = true,
						.why = "too much mail",
						.quota = {1, RECORD_SESSIONS_USUAL, 0},
						.ports = {{443, 443}, {2000, 2010}},
						.n_ports = 2,
						.n_tunnels = 7,
						.n_credentials = 8,
						.created_ms = 9,
						.used_ms = 10};
	static const struct record_account usual = {.id = "abc",
						    .enabled = true,
						    .quota = {RECORD_TUNNELS_USUAL,
							      RECORD_SESSIONS_USUAL,
							      RECORD_CREDENTIALS_USUAL}};
	struct buf first = {0}, second = {0};
	struct record_account b;

	assert_int_equal(record_write_account(STR("{\"plan\":\"gold\",\"quota\":{\"disk\":1}}"), &a,
					      &first),
			 0);
	assert_non_null(memmem(first.mem + first.off, first.len, "gold", 4));
	assert_int_equal(record_read_account(STR("abc"), buf_str(&first), &b), 0);
	assert_memory_equal(&a, &b, sizeof a);

	/* and back to what is usual */
	assert_int_equal(record_write_account(buf_str(&first), &usual, &second), 0);
	assert_int_equal(record_read_account(STR("abc"), buf_str(&second), &b), 0);
	assert_memory_equal(&usual, &b, sizeof usual);
	buf_free(&first);
	buf_free(&second);
}

static void test_unchanged_parts_keep_what_is_not_known(void **state)
{
	static const char old[] = "{\"type\":\"token\",\"proof\":\"token:x\",\"scope\":{\"kinds\":"
				  "[\"http\"],\"hours\":\"9-17\"},\"colour\":\"red\"}";
	struct record_credential c;
	struct buf out = {0};

	assert_int_equal(record_read_credential(STR("a/b"), STR(old), &c), 0);
	c.used_ms = 5;
	assert_int_equal(record_write_credential(STR(old), &c, &out), 0);
	assert_non_null(memmem(out.mem + out.off, out.len, "9-17", 4));
	assert_non_null(memmem(out.mem + out.off, out.len, "red", 3));
	buf_free(&out);

	c.scope.kinds = 0; /* somebody says anew what it is good for */
	assert_int_equal(record_write_credential(STR(old), &c, &out), 0);
	assert_null(memmem(out.mem + out.off, out.len, "http", 4));
	buf_free(&out);
}

static void test_credential_round(void **state)
{
	static const struct record_credential a = {
		.account = "abc",
		.id = "def",
		.type = CREDENTIAL_SSH_KEY,
		.name = "laptop",
		.scope = {.kinds = 1u << TUNNEL_TCP | 1u << TUNNEL_HTTP,
			  .tunnels = "demo *.tim",
			  .ports = {{443, 443}, {2000, 2010}},
			  .n_ports = 2,
			  .until_ms = 12345},
		.proof = "ssh-key:SHA256:abc",
		.shown = "ssh-ed25519 AAAA me",
		.created_ms = 1,
		.used_ms = 2,
	};
	struct record_credential b;
	struct buf out = {0};

	assert_int_equal(record_write_credential(STR(""), &a, &out), 0);
	assert_int_equal(record_read_credential(STR("abc/def"), buf_str(&out), &b), 0);
	assert_memory_equal(&a, &b, sizeof a);
	buf_free(&out);
	assert_int_equal(record_write_credential(STR("not JSON"), &a, &out), ERR_IO);
	b = a;
	memcpy(b.name, "\xff", 2);
	assert_int_equal(record_write_credential(STR(""), &b, &out), ERR_INVAL);
	assert_int_equal(out.len, 0);
}

static void test_invite_and_proof_round(void **state)
{
	static const struct record_invite a = {.name = "for Tim",
					       .id = "abcd",
					       .uses = 3,
					       .until_ms = 9};
	struct record_invite b;
	static const struct record_proof p = {.account = "abc", .credential = "def"};
	struct record_proof q;
	struct buf out = {0};

	assert_int_equal(record_write_invite(STR("{\"x\":1}"), &a, &out), 0);
	assert_int_equal(record_read_invite(buf_str(&out), &b), 0);
	assert_memory_equal(&a, &b, sizeof a);
	assert_non_null(memmem(out.mem + out.off, out.len, "\"x\"", 3));
	buf_free(&out);
	assert_int_equal(record_write_proof(&p, &out), 0);
	assert_int_equal(record_read_proof(buf_str(&out), &q), 0);
	assert_memory_equal(&p, &q, sizeof p);
	buf_free(&out);
}

static void test_types(void **state)
{
	enum credential_type type;

	for (unsigned t = 0; t < CREDENTIAL_TYPES; t++) {
		assert_int_equal(record_parse_credential_type(str_of(record_credential_type(t)),
							      &type),
				 0);
		assert_int_equal(type, t);
	}
	assert_null(record_credential_type(CREDENTIAL_TYPES));
	assert_int_equal(record_parse_credential_type(STR("password"), &type), ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damaged_records),
		cmocka_unit_test(test_keys_of_credentials),
		cmocka_unit_test(test_account_says_the_usual),
		cmocka_unit_test(test_account_round),
		cmocka_unit_test(test_unchanged_parts_keep_what_is_not_known),
		cmocka_unit_test(test_credential_round),
		cmocka_unit_test(test_invite_and_proof_round),
		cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
