/* Does the store answer, who serves what now, and the fingerprints of visitors' secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/core/core_rig.h"

struct told {
	unsigned calls;
	int e;
};

static void on_check(void *arg, int e)
{
	struct told *t = arg;

	t->calls++;
	t->e = e;
}

static void test_check(void **state)
{
	static const struct {
		const char *why;
		int e, want;
	} cases[] = {
		{"it answers, though nothing is there", 0, 0},
		{"it is broken", ERR_IO, ERR_IO},
		{"it is away", ERR_TIMEOUT, ERR_TIMEOUT},
		{"it may not be used", ERR_DENIED, ERR_IO},
	};
	struct core_rig r;

	core_rig_new(&r, true);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told told = {0};

		r.judge_e = cases[i].e;
		r.judge = core_rig_fail_all;
		r.n_asked = 0;
		assert_non_null(core_check(r.core, on_check, &told));
		assert_int_equal(told.calls, 0);
		core_rig_run(&r);
		if (told.calls != 1 || told.e != cases[i].want)
			fail_msg("%s: %d", cases[i].why, told.e);
		assert_int_equal(r.n_asked, 1); /* whatever is remembered */
	}
	core_rig_free(&r);
}

static void test_check_cancelled(void **state)
{
	struct told told = {0};
	struct core_check *k;
	struct core_rig r;

	core_rig_new(&r, true);
	core_check_cancel(NULL);
	k = core_check(r.core, on_check, &told);
	core_check_cancel(k);
	r.judge = core_rig_hold_all;
	k = core_check(r.core, on_check, &told);
	core_rig_run(&r);
	core_check_cancel(k);
	core_rig_release(&r);
	assert_int_equal(told.calls, 0);
	assert_non_null(core_check(r.core, on_check, &told));
	core_rig_free(&r);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, ERR_CLOSED);
}

static void test_serving(void **state)
{
	struct core_agent agent = {.id = "laptop", .epoch = 1};
	struct visit visits[] = {{.tunnel = "b"},
				 {.tunnel = "a"},
				 {.tunnel = "b"},
				 {.tunnel = "x"}};
	struct core_visitor visitors[ARRAY_LEN(visits)];
	struct core_serving s[] = {{.name = "b"}, {.name = "nobody"}, {.name = "a"}};
	struct access_who who;
	struct core_rig r;
	struct fake one, two;

	core_rig_new(&r, true);
	core_rig_account(&r, &who);
	core_serving(r.core, s, ARRAY_LEN(s));
	assert_int_equal(s[0].n_sessions, 0);
	fake_join(&one, &r, &who, &agent);
	agent.carrier = 1;
	ev_sim_run_for(r.ev, 1000);
	fake_join(&two, &r, &who, &agent);
	assert_int_equal(core_rig_attach(&one, "a", "").result.e, 0);
	assert_int_equal(core_rig_attach(&two, "a", "").result.e, 0);
	assert_int_equal(core_rig_attach(&two, "b", "").result.e, 0);
	for (size_t i = 0; i < ARRAY_LEN(visits); i++)
		core_visitor_begin(r.core, &visitors[i], &visits[i]);
	core_serving(r.core, s, ARRAY_LEN(s));
	assert_int_equal(s[0].n_sessions, 1);
	assert_int_equal(s[0].n_visitors, 2);
	assert_int_equal(s[1].n_sessions, 0);
	assert_int_equal(s[1].n_visitors, 0);
	assert_int_equal(s[1].since_ms, 0);
	assert_int_equal(s[2].n_sessions, 2);
	assert_int_equal(s[2].n_visitors, 1);
	assert_true(s[2].since_ms > 0 && s[2].since_ms <= s[0].since_ms - 1000); /* the oldest */
	for (size_t i = 0; i < ARRAY_LEN(visits); i++)
		core_visitor_end(&visitors[i]);
	fake_leave(&one);
	fake_leave(&two);
	core_rig_free(&r);
}

static void test_fingerprint(void **state)
{
	char a[DIGEST_HEX_TEXT], b[DIGEST_HEX_TEXT];
	struct access_who who;
	struct core_rig r;

	core_rig_new(&r, true);
	assert_int_equal(core_fingerprint(r.core, STR("x"), a), ERR_AGAIN);
	core_rig_account(&r, &who);
	core_rig_account(&r, &who);
	assert_int_equal(core_fingerprint(r.core, STR("x"), a), 0);
	assert_int_equal(core_fingerprint(r.core, STR("y"), b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(core_fingerprint(r.core, STR("x"), b), 0);
	assert_string_equal(a, b);
	core_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_check_cancelled),
		cmocka_unit_test(test_serving),
		cmocka_unit_test(test_fingerprint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
