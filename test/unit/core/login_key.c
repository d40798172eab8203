/* A key that nobody knows: where anybody may have an account it makes one, elsewhere it is wrong.
 */
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

#define LINE \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@home"
#define PRINT "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static struct login *begin(struct core_rig *r, const char *text, const char *line,
			   struct told_login *told)
{
	struct core_proof proof = {CORE_PROOF_SSH_KEY, str_of(text), str_of(line)};

	memset(told, 0, sizeof *told);
	return core_login(r->core, &proof, core_rig_on_login, told);
}

static struct told_login login(struct core_rig *r, const char *text, const char *line)
{
	struct told_login told;

	assert_non_null(begin(r, text, line, &told));
	core_rig_run(r);
	assert_int_equal(told.calls, 1);
	return told;
}

static void test_an_account_on_the_fly(void **state)
{
	struct told_login made, again, by_number;
	struct told_account got;
	struct core_rig r;

	core_rig_new(&r, true);
	made = login(&r, PRINT, LINE);
	assert_int_equal(made.result.e, 0);
	assert_int_equal(strlen(made.result.number), 19);
	assert_string_equal(made.result.token, "");
	assert_true(made.result.who.enabled);
	assert_false(access_scope_is_limited(&made.result.who.scope));

	again = login(&r, PRINT, LINE);
	assert_int_equal(again.result.e, 0);
	assert_string_equal(again.result.who.account, made.result.who.account);
	assert_string_equal(again.result.who.credential, made.result.who.credential);
	assert_string_equal(again.result.number, "");
	assert_int_equal(login(&r, PRINT, "").result.e, 0); /* known is known */
	by_number = core_rig_login(&r, str_of(made.result.number));
	assert_string_equal(by_number.result.who.account, made.result.who.account);

	got = account_rig_get(&r, &again.result.who, "");
	assert_true(got.account.automatic);
	assert_int_equal(got.account.n_credentials, 1);
	assert_int_equal(account_rig_count(&r, "account", ""), 1);
	core_rig_free(&r);
}

static void test_where_it_is_wrong(void **state)
{
	static const struct {
		const char *why;
		enum core_registration registration;
		const char *line;
	} cases[] = {
		{"accounts are by invitation", CORE_BY_INVITATION, LINE},
		{"there are none", CORE_CLOSED, LINE},
		{"the key itself is not given", CORE_OPEN, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_login told;
		struct core_rig r;

		core_rig_new(&r, false);
		core_free(r.core);
		r.opt.registration = cases[i].registration;
		assert_int_equal(core_new(r.ev, &r.opt, &r.core), 0);
		told = login(&r, PRINT, cases[i].line);
		if (told.result.e != ERR_AUTH || account_rig_count(&r, "account", "") != 0)
			fail_msg("%s: %s", cases[i].why, err_name(told.result.e));
		core_rig_free(&r);
	}
}

/* Its owner has revoked it: it is a stranger's again. */
static void test_a_revoked_one(void **state)
{
	struct told_login made, again;
	struct core_rig r;

	core_rig_new(&r, true);
	made = login(&r, PRINT, LINE);
	assert_int_equal(account_rig_revoke(&r, &made.result.who, made.result.who.credential).e, 0);
	again = login(&r, PRINT, LINE);
	assert_int_equal(again.result.e, 0);
	assert_string_not_equal(again.result.who.account, made.result.who.account);
	core_rig_free(&r);
}

/* Two connections of the same new key are one account. */
static void test_two_at_once(void **state)
{
	struct told_login a, b;
	struct core_rig r;

	core_rig_new(&r, true);
	assert_non_null(begin(&r, PRINT, LINE, &a));
	assert_non_null(begin(&r, PRINT, LINE, &b));
	core_rig_run(&r);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	assert_int_equal(a.result.e, 0);
	assert_int_equal(b.result.e, 0);
	assert_string_equal(a.result.who.account, b.result.who.account);
	assert_string_equal(a.result.who.credential, b.result.who.credential);
	/* one of them is told the number */
	assert_int_equal((a.result.number[0] != '\0') + (b.result.number[0] != '\0'), 1);
	assert_int_equal(account_rig_count(&r, "account", ""), 1);
	core_rig_free(&r);
}

static void test_too_many(void **state)
{
	struct told_login told;
	struct core_rig r;
	char print[64];

	core_rig_new(&r, true);
	for (int i = 0; i <= CORE_REGISTER_BURST; i++) {
		str_printf(print, sizeof print, "SHA256:%043d", i);
		told = login(&r, print, LINE);
		assert_int_equal(told.result.e, i < CORE_REGISTER_BURST ? 0 : ERR_LIMIT);
	}
	assert_true(strlen(told.reason) > 20);
	assert_string_equal(told.result.who.account, "");
	/* who is known comes in */
	str_printf(print, sizeof print, "SHA256:%043d", 7);
	assert_int_equal(login(&r, print, LINE).result.e, 0);
	core_rig_free(&r);
}

static void test_a_store_that_fails(void **state)
{
	static const int errors[] = {ERR_IO, ERR_FULL, ERR_TIMEOUT};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		struct told_login told;
		struct core_rig r;

		core_rig_new(&r, true);
		r.judge = core_rig_fail_all;
		r.judge_e = errors[i];
		told = login(&r, PRINT, LINE);
		assert_int_equal(told.result.e, errors[i]);
		assert_string_equal(told.result.number, "");
		r.judge = NULL;
		assert_int_equal(login(&r, PRINT, LINE).result.e, 0);
		core_rig_free(&r);
	}
}

/* Nobody waits any more, at each step. */
static void test_cancel(void **state)
{
	for (unsigned steps = 0; steps < 12; steps++) {
		struct told_login told;
		struct core_rig r;
		struct login *l;

		core_rig_new(&r, true);
		r.judge = core_rig_hold_all;
		l = begin(&r, PRINT, LINE, &told);
		assert_non_null(l);
		for (unsigned i = 0; i < steps && told.calls == 0; i++) {
			core_rig_run(&r);
			r.judge = NULL;
			core_rig_release(&r);
			r.judge = core_rig_hold_all;
		}
		if (told.calls == 0)
			core_login_cancel(l);
		r.judge = NULL;
		core_rig_release(&r);
		core_rig_run(&r);
		assert_int_equal(r.core->n_calls[CORE_LOGIN], 0);
		core_rig_free(&r);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_account_on_the_fly),
		cmocka_unit_test(test_where_it_is_wrong),
		cmocka_unit_test(test_a_revoked_one),
		cmocka_unit_test(test_two_at_once),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_a_store_that_fails),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
