/* The first start, starts of several nodes at once, and records of schema 1. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/account_rig.h"

static struct told_start start(struct core_rig *r)
{
	struct told_start t = {0};

	assert_int_equal(core_start(r->core, account_rig_on_started, &t), 0);
	assert_int_equal(t.calls, 0);
	core_rig_run(r);
	assert_int_equal(t.calls, 1);
	assert_true(t.result.e == 0 ? t.reason[0] == '\0' : strlen(t.reason) > 20);
	return t;
}

static void expect_record(struct core_rig *r, const char *kind, const char *key, const char *want)
{
	char *value = core_rig_get(r, kind, key);

	if (value == NULL || strstr(value, want) == NULL)
		fail_msg("%s/%s: %s", kind, key, value);
	free(value);
}

static void test_the_first_start(void **state)
{
	struct told_account got;
	struct access_who admin;
	struct told_start t;
	struct core_rig r;

	core_rig_new(&r, false);
	t = start(&r);
	assert_int_equal(t.result.e, 0);
	assert_int_equal(strlen(t.result.token), 46);
	expect_record(&r, "meta", "schema", "\"version\":2");
	admin = account_rig_login(&r, t.result.token);
	assert_true(admin.admin);
	expect_record(&r, "meta", "admin", admin.account);
	got = account_rig_get(&r, &admin, "");
	assert_string_equal(got.account.name, "administrator");
	assert_int_equal(got.account.n_credentials, 1);
	assert_int_equal(account_rig_count(&r, "account", ""), 1);

	t = start(&r); /* the second one makes none */
	assert_int_equal(t.result.e, 0);
	assert_string_equal(t.result.token, "");
	assert_int_equal(account_rig_count(&r, "account", ""), 1);
	core_rig_free(&r);
}

/* What a keeper of the first administrator's token has seen. */
struct keeper {
	struct core_rig *r;
	unsigned kept, forgotten;
	int e;
	bool meddle; /* another node makes one between */
	char token[CORE_TOKEN_TEXT];
};

static int keeper_keep(void *arg, const char *token)
{
	struct keeper *k = arg;

	if (token == NULL) {
		k->forgotten++;
		return 0;
	}
	k->kept++;
	assert_int_equal(account_rig_count(k->r, "account", ""), 0); /* it does not count yet */
	str_printf(k->token, sizeof k->token, "%s", token);
	if (k->meddle)
		core_rig_put(k->r, "meta", "admin", "{\"account\":\"somebody\"}");
	return k->e;
}

static void test_the_token_is_kept_before_it_counts(void **state)
{
	const struct {
		const char *why;
		struct keeper keeper;
		int want;
		unsigned n_accounts, forgotten;
	} cases[] = {
		{"kept, then made", {0}, 0, 1, 0},
		{"it cannot be kept", {.e = ERR_DENIED}, ERR_DENIED, 0, 0},
		{"another node is faster", {.meddle = true}, 0, 0, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct keeper k = cases[i].keeper;
		struct told_start t;
		struct core_rig r;

		print_message("  %s\n", cases[i].why);
		core_rig_new(&r, false);
		k.r = &r;
		core_free(r.core);
		r.opt.keep_token = keeper_keep;
		r.opt.keep_token_arg = &k;
		assert_int_equal(core_new(r.ev, &r.opt, &r.core), 0);
		t = start(&r);
		assert_int_equal(t.result.e, cases[i].want);
		assert_int_equal(k.kept, 1);
		assert_int_equal(k.forgotten, cases[i].forgotten);
		assert_int_equal(account_rig_count(&r, "account", ""), cases[i].n_accounts);
		if (cases[i].n_accounts > 0)
			assert_string_equal(t.result.token, k.token);
		else
			assert_string_equal(t.result.token, "");
		core_rig_free(&r);
	}
}

static void test_one_of_two_nodes_makes_it(void **state)
{
	struct told_start a = {0}, b = {0};
	struct core *other;
	struct core_rig r;

	core_rig_new(&r, false);
	assert_int_equal(core_new(r.ev, &r.opt, &other), 0);
	assert_int_equal(core_start(r.core, account_rig_on_started, &a), 0);
	assert_int_equal(core_start(other, account_rig_on_started, &b), 0);
	core_rig_run(&r);
	assert_int_equal(a.calls + b.calls, 2);
	assert_int_equal(a.result.e, 0);
	assert_int_equal(b.result.e, 0);
	assert_true((a.result.token[0] == '\0') != (b.result.token[0] == '\0'));
	assert_int_equal(account_rig_count(&r, "account", ""), 1);
	assert_true(
		account_rig_login(&r, a.result.token[0] != '\0' ? a.result.token : b.result.token)
			.admin);
	core_free(other);
	core_rig_free(&r);
}

static void test_schemas(void **state)
{
	static const struct {
		const char *why, *record;
		int want;
	} cases[] = {
		{"ours", "{\"version\":2}", 0},
		{"an older one", "{\"version\":1}", 0},
		{"a newer one", "{\"version\":3}", ERR_UNSUPPORTED},
		{"damaged", "{\"version\":", ERR_IO},
		{"no number", "{\"version\":\"2\"}", ERR_IO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_start t;
		struct core_rig r;

		core_rig_new(&r, false);
		core_rig_put(&r, "meta", "schema", cases[i].record);
		t = start(&r);
		if (t.result.e != cases[i].want || (t.result.token[0] != '\0') != (t.result.e == 0))
			fail_msg("%s: %s", cases[i].why, err_name(t.result.e));
		if (t.result.e == ERR_UNSUPPORTED)
			assert_non_null(strstr(t.reason, "schema 3"));
		if (t.result.e == 0)
			expect_record(&r, "meta", "schema", "\"version\":2");
		core_rig_free(&r);
	}
}

static int fail_writes(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? r->judge_e : 0;
}

static void test_store_fails(void **state)
{
	struct core_rig r;

	core_rig_new(&r, false);
	r.judge = core_rig_fail_all;
	r.judge_e = ERR_TIMEOUT;
	assert_int_equal(start(&r).result.e, ERR_TIMEOUT);
	r.judge = fail_writes;
	r.judge_e = ERR_FULL;
	assert_int_equal(start(&r).result.e, ERR_FULL);
	r.judge = NULL;
	assert_int_equal(strlen(start(&r).result.token), 46);
	core_rig_free(&r);
}

static void test_core_goes_first(void **state)
{
	struct told_start t = {0};
	struct core_rig r;

	core_rig_new(&r, false);
	r.judge = core_rig_hold_all;
	assert_int_equal(core_start(r.core, account_rig_on_started, &t), 0);
	core_rig_run(&r);
	core_free(r.core);
	r.core = NULL;
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.result.e, ERR_CLOSED);
	core_rig_release(&r);
	core_rig_free(&r);
}

/* ---- schema 1 ---- */

#define N_OLD 60 /* accounts: several pages */

static const char old_secret[DIGEST_LEN + 1] = "0123456789abcdef0123456789abcdef";

/* The i-th account of an old store: its number and its token. */
static void old_number(size_t i, char out[CORE_NUMBER_TEXT])
{
	static const char letters[] = "CDEFHJKMNPRTVWXY2345689";

	str_printf(out, CORE_NUMBER_TEXT, "CDEF-HJKM-NP%c%c-VW%c%c", letters[i % 23],
		   letters[i / 23], letters[i * 7 % 23], letters[i * 5 % 23]);
}

static void old_token(size_t i, char out[CORE_TOKEN_TEXT])
{
	str_printf(out, CORE_TOKEN_TEXT, "kz_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%03zu", i);
}

static void old_account(struct core_rig *r, size_t i)
{
	char number[CORE_NUMBER_TEXT], token[CORE_TOKEN_TEXT], hex[DIGEST_HEX_TEXT];
	char value[200], name[40];

	old_number(i, number);
	old_token(i, token);
	str_printf(value, sizeof value,
		   "{\"enabled\":%s,\"n_tunnels\":%d,\"created_ms\":1000,\"odd\":%zu}",
		   i == 3 ? "false" : "true", i % 2 == 0 ? 1 : 0, i);
	core_rig_put(r, "account", number, value);
	assert_int_equal(digest_keyed((const uint8_t *)old_secret, str_of(token), hex), 0);
	str_printf(value, sizeof value, "{\"account\":\"%s\",\"created_ms\":1001}", number);
	core_rig_put(r, "token", hex, value);
	if (i == 5) /* it has two */
		core_rig_put(r, "token", "00", value);
	if (i % 2 != 0)
		return;
	str_printf(name, sizeof name, "name%zu", i);
	str_printf(value, sizeof value, "{\"account\":\"%s\"}", number);
	core_rig_put(r, "claim", name, value);
	str_printf(value, sizeof value,
		   "{\"account\":\"%s\",\"kind\":\"http\",\"target\":\"x\",\"enabled\":true,"
		   "\"created_ms\":1002}",
		   number);
	core_rig_put(r, "tunnel", name, value);
}

static void old_store(struct core_rig *r)
{
	core_rig_put(r, "secret", "token", old_secret);
	for (size_t i = 0; i < N_OLD; i++)
		old_account(r, i);
	/* what nobody owns stays and does no harm */
	core_rig_put(r, "token", "0000", "{\"account\":\"CDEF-CDEF-CDEF-CDEF\"}");
	core_rig_put(r, "claim", "orphan", "{\"account\":\"CDEF-CDEF-CDEF-CDEF\"}");
	core_rig_put(r, "claim", "damaged", "{\"account\":");
}

static void expect_migrated(struct core_rig *r)
{
	char number[CORE_NUMBER_TEXT], token[CORE_TOKEN_TEXT], name[40], key[80];
	struct told_account got;
	struct access_who who;

	for (size_t i = 0; i < N_OLD; i++) {
		old_number(i, number);
		old_token(i, token);
		if (i == 3) {
			assert_int_equal(core_rig_login(r, str_of(token)).result.e, ERR_DISABLED);
			continue;
		}
		who = account_rig_login(r, token);
		assert_string_equal(account_rig_login(r, number).account, who.account);
		got = account_rig_get(r, &who, "");
		assert_int_equal(got.account.n_credentials, i == 5 ? 2 : 1);
		assert_int_equal(got.account.n_tunnels, i % 2 == 0 ? 1 : 0);
		assert_int_equal(got.account.created_ms, 1000);
		expect_record(r, "account", who.account, "\"odd\"");
		if (i % 2 != 0)
			continue;
		str_printf(name, sizeof name, "name%zu", i);
		expect_record(r, "tunnel", name, who.account);
		expect_record(r, "claim", name, who.account);
		str_printf(key, sizeof key, "%s/tunnel/%s", who.account, name);
		expect_record(r, "owned", key, "{}");
		str_printf(key, sizeof key, "%s/claim/%s", who.account, name);
		expect_record(r, "owned", key, "{}");
	}
	/* all, and the administrator */
	assert_int_equal(account_rig_count(r, "account", ""), N_OLD + 1);
	assert_int_equal(account_rig_count(r, "account", "CDEF-"), 0);
	assert_int_equal(account_rig_count(r, "token", ""), 1);
	assert_int_equal(account_rig_count(r, "proof", ""), 2 * N_OLD + 2);
	expect_record(r, "meta", "schema", "\"version\":2");
}

static void test_schema_1_becomes_ours(void **state)
{
	struct core_rig r;

	core_rig_new(&r, false);
	old_store(&r);
	assert_int_equal(strlen(start(&r).result.token), 46);
	expect_migrated(&r);
	core_rig_free(&r);
}

/* Killed after any number of writes, it goes on where it was. */
static int fail_late(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE && r->judge_e-- <= 0 ? ERR_IO : 0;
}

static void test_a_migration_that_was_cut_short(void **state)
{
	struct core_rig r;

	core_rig_new(&r, false);
	old_store(&r);
	for (int writes = 1; writes < 5; writes++) {
		r.judge = fail_late;
		r.judge_e = writes;
		assert_int_equal(start(&r).result.e, ERR_IO);
		r.judge = NULL;
		core_free(r.core);
		assert_int_equal(core_new(r.ev, &r.opt, &r.core), 0);
	}
	assert_int_equal(start(&r).result.e, 0);
	expect_migrated(&r);
	core_rig_free(&r);
}

static void test_two_nodes_migrate(void **state)
{
	struct told_start a = {0}, b = {0};
	struct core *other;
	struct core_rig r;

	core_rig_new(&r, false);
	old_store(&r);
	assert_int_equal(core_new(r.ev, &r.opt, &other), 0);
	assert_int_equal(core_start(r.core, account_rig_on_started, &a), 0);
	assert_int_equal(core_start(other, account_rig_on_started, &b), 0);
	core_rig_run(&r);
	assert_int_equal(a.result.e, 0);
	assert_int_equal(b.result.e, 0);
	core_free(other);
	expect_migrated(&r);
	core_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_start),
		cmocka_unit_test(test_the_token_is_kept_before_it_counts),
		cmocka_unit_test(test_one_of_two_nodes_makes_it),
		cmocka_unit_test(test_schemas),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_core_goes_first),
		cmocka_unit_test(test_schema_1_becomes_ours),
		cmocka_unit_test(test_a_migration_that_was_cut_short),
		cmocka_unit_test(test_two_nodes_migrate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
