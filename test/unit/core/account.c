/* Logging in: registration open and closed, tokens known and unknown, a store that fails. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/core_rig.h"

static void test_registration_makes_an_account(void **state)
{
	struct core_rig r;
	struct told_login made, again;
	const char *a;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	assert_int_equal(made.result.e, 0);
	a = made.result.account;
	assert_int_equal(strlen(a), 19);
	for (int i = 0; i < 19; i++)
		assert_true(i % 5 == 4 ? a[i] == '-'
				       : strchr("CDEFHJKMNPRTVWXY2345689", a[i]) != NULL);
	assert_int_equal(strlen(made.result.token), 46);
	assert_memory_equal(made.result.token, "kz_", 3);
	assert_non_null(strstr(r.last_line, "event=login"));

	again = core_rig_login(&r, str_of(made.result.token));
	assert_int_equal(again.result.e, 0);
	assert_string_equal(again.result.account, a);
	assert_string_equal(again.result.token, "");

	again = core_rig_login(&r, STR(""));
	assert_string_not_equal(again.result.account, a);
	assert_string_not_equal(again.result.token, made.result.token);
	core_rig_free(&r);
}

static void test_closed_registration(void **state)
{
	struct core_rig r;
	struct told_login made, told;
	struct core *closed;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	r.opt.allow_registration = false;
	assert_int_equal(core_new(r.ev, &r.opt, &closed), 0);
	core_free(r.core);
	r.core = closed;

	told = core_rig_login(&r, STR(""));
	assert_int_equal(told.result.e, ERR_DENIED);
	assert_non_null(strstr(told.reason, "--token-file"));
	told = core_rig_login(&r, str_of(made.result.token)); /* also: a restart keeps tokens */
	assert_int_equal(told.result.e, 0);
	assert_string_equal(told.result.account, made.result.account);
	core_rig_free(&r);
}

static void test_wrong_tokens_take_one_path(void **state)
{
	static const struct {
		const char *why;
		struct str token;
	} cases[] = {
		{"one of the right shape", {"kz_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 46}},
		{"a single letter", {"x", 1}},
		{"with a NUL", {"kz_\0AAA", 7}},
		{"nothing but a NUL", {"\0", 1}},
		{"not ASCII", {"\xff\xfe", 2}},
		{"with a slash", {"../../account/x", 15}},
	};
	struct core_rig r;
	char *longest = must_calloc(1, 60000), reason[CORE_REASON_TEXT] = "";
	struct told_login told = {0};

	core_rig_new(&r, true);
	(void)core_rig_login(&r, STR("")); /* the key is loaded */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		r.n_asked = 0;
		told = core_rig_login(&r, cases[i].token);
		if (told.result.e != ERR_AUTH || r.n_asked != 1 ||
		    (i > 0 && strcmp(told.reason, reason) != 0))
			fail_msg("%s: %s, %u requests", cases[i].why, err_name(told.result.e),
				 r.n_asked);
		memcpy(reason, told.reason, sizeof reason);
	}
	memset(longest, 'A', 60000);
	told = core_rig_login(&r, (struct str){longest, 60000});
	assert_int_equal(told.result.e, ERR_AUTH);
	free(longest);
	core_rig_free(&r);
}

struct keys {
	unsigned n;
	const char *token;
};

static void keys_on_page(void *arg, const struct store_answer *answer)
{
	struct keys *k = arg;

	assert_int_equal(answer->e, 0);
	for (size_t i = 0; i < answer->n; i++) {
		k->n++;
		assert_int_equal(answer->recs[i].key.len, 64);
		assert_null(memmem(answer->recs[i].value.p, answer->recs[i].value.len, k->token + 3,
				   20));
	}
}

static void test_store_does_not_hold_the_token(void **state)
{
	struct core_rig r;
	struct told_login made;
	struct keys keys = {0};
	struct store_page page = {.kind = STR("token"), .limit = 100};

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	keys.token = made.result.token;
	assert_int_equal(store_list(r.store, page, keys_on_page, &keys), 0);
	core_rig_run(&r);
	assert_int_equal(keys.n, 1);
	core_rig_free(&r);
}

static void test_records_decide(void **state)
{
	static const struct {
		const char *why, *record;
		int want;
	} cases[] = {
		{"as it should be", "{\"enabled\":true,\"n_tunnels\":1}", 0},
		{"of a later version", "{\"enabled\":true,\"plan\":{\"x\":[1]}}", 0},
		{"switched off", "{\"enabled\":false}", ERR_DISABLED},
		{"damaged", "{\"enabled\":fal", ERR_IO},
		{"of another type", "{\"enabled\":\"yes\"}", ERR_IO},
		{"empty", "", ERR_IO},
	};
	struct core_rig r;
	struct told_login made, told;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		core_rig_put(&r, "account", made.result.account, cases[i].record);
		told = core_rig_login(&r, str_of(made.result.token));
		if (told.result.e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(told.result.e));
	}
	core_rig_free(&r);
}

/* judge_e from the n-th request on, counted by n_asked. */
static int fail_third(struct core_rig *r, const struct store_req *req)
{
	return r->n_asked >= 2 ? r->judge_e : 0;
}

static int fail_second(struct core_rig *r, const struct store_req *req)
{
	return r->n_asked >= 1 ? r->judge_e : 0;
}

static int fail_makes(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? r->judge_e : 0;
}

static void test_store_fails(void **state)
{
	static const struct {
		const char *why;
		int (*judge)(struct core_rig *r, const struct store_req *req);
		int e, want;
	} cases[] = {
		{"the key cannot be read", core_rig_fail_all, ERR_IO, ERR_IO},
		{"the key cannot be written", fail_second, ERR_FULL, ERR_FULL},
		{"the account cannot be written", fail_third, ERR_FULL, ERR_FULL},
		{"read-only must not look like a closed registration", fail_third, ERR_DENIED,
		 ERR_IO},
		{"conflicts without end", fail_third, ERR_CONFLICT, ERR_IO},
		{"the key is never there and never new", fail_makes, ERR_CONFLICT, ERR_IO},
		{"too slow", core_rig_fail_all, ERR_TIMEOUT, ERR_TIMEOUT},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct core_rig r;
		struct told_login told;

		core_rig_new(&r, true);
		r.judge = cases[i].judge;
		r.judge_e = cases[i].e;
		told = core_rig_login(&r, STR(""));
		if (told.result.e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(told.result.e));
		assert_string_equal(told.result.token, "");
		r.judge = NULL;
		assert_int_equal(core_rig_login(&r, STR("")).result.e, 0);
		core_rig_free(&r);
	}
}

static void test_token_check_fails(void **state)
{
	struct core_rig r;
	struct told_login made;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	r.judge_e = ERR_IO;
	for (int step = 0; step < 2; step++) {
		r.n_asked = 0;
		r.judge = step == 0 ? core_rig_fail_all : fail_second;
		assert_int_equal(core_rig_login(&r, str_of(made.result.token)).result.e, ERR_IO);
	}
	core_rig_free(&r);
}

static void test_core_goes_first(void **state)
{
	struct told_login told[3] = {{0}};
	struct core_rig r;

	core_rig_new(&r, true);
	r.judge = core_rig_hold_all;
	for (int i = 0; i < 2; i++)
		assert_int_equal(core_login(r.core, STR("x"), core_rig_on_login, &told[i]), 0);
	core_rig_run(&r); /* one asks for the key, the other waits for it */
	assert_int_equal(core_login(r.core, STR("x"), core_rig_on_login, &told[2]), 0);
	core_free(r.core);
	r.core = NULL;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(told[i].calls, 1);
		assert_int_equal(told[i].result.e, ERR_CLOSED);
	}
	core_rig_release(&r);
	assert_int_equal(told[0].calls, 1);
	core_rig_free(&r);
}

static void test_bounds(void **state)
{
	static struct told_login told[CORE_LOGINS_MAX + 1];
	struct core_rig r;

	core_rig_new(&r, true);
	r.judge = core_rig_hold_all;
	for (int i = 0; i < CORE_LOGINS_MAX; i++)
		assert_int_equal(core_login(r.core, STR(""), core_rig_on_login, &told[i]), 0);
	assert_int_equal(core_login(r.core, STR(""), core_rig_on_login, &told[CORE_LOGINS_MAX]),
			 ERR_LIMIT);
	core_rig_run(&r);
	core_rig_release(&r);
	core_rig_run(&r);
	for (int i = 0; i < CORE_LOGINS_MAX; i++)
		assert_int_equal(told[i].calls, 1);
	assert_int_equal(told[CORE_LOGINS_MAX].calls, 0);

	/* that was the burst */
	assert_int_equal(core_rig_login(&r, STR("")).result.e, ERR_LIMIT);
	ev_sim_run_for(r.ev, 2 * CORE_REGISTER_EVERY_MS);
	assert_int_equal(core_rig_login(&r, STR("")).result.e, 0);
	assert_int_equal(core_rig_login(&r, STR("")).result.e, 0);
	assert_int_equal(core_rig_login(&r, STR("")).result.e, ERR_LIMIT);
	core_rig_free(&r);
}

static void test_nodes_share_the_key(void **state)
{
	struct told_login a = {0}, b = {0};
	struct core *other;
	struct core_rig r;

	core_rig_new(&r, true);
	assert_int_equal(core_new(r.ev, &r.opt, &other), 0);
	assert_int_equal(core_login(r.core, STR(""), core_rig_on_login, &a), 0);
	assert_int_equal(core_login(other, STR(""), core_rig_on_login, &b), 0);
	core_rig_run(&r);
	assert_int_equal(a.result.e, 0);
	assert_int_equal(b.result.e, 0);
	core_free(other);
	assert_string_equal(core_rig_login(&r, str_of(b.result.token)).result.account,
			    b.result.account);
	core_rig_free(&r);
}

static void test_a_damaged_key(void **state)
{
	struct core_rig r;

	core_rig_new(&r, true);
	core_rig_put(&r, "secret", "token", "short");
	assert_int_equal(core_rig_login(&r, STR("")).result.e, ERR_IO);
	core_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registration_makes_an_account),
		cmocka_unit_test(test_closed_registration),
		cmocka_unit_test(test_wrong_tokens_take_one_path),
		cmocka_unit_test(test_store_does_not_hold_the_token),
		cmocka_unit_test(test_records_decide),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_token_check_fails),
		cmocka_unit_test(test_core_goes_first),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_nodes_share_the_key),
		cmocka_unit_test(test_a_damaged_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
