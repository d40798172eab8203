/* Why nobody serves a name: every answer, the store's failures, cancelling, bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/core_rig.h"

struct told {
	unsigned calls;
	int e;
};

static void told_on_done(void *arg, int e)
{
	struct told *t = arg;

	t->calls++;
	t->e = e;
}

static int lookup_e(struct core_rig *r, struct str name)
{
	struct told t = {0};

	assert_non_null(core_lookup(r->core, name, told_on_done, &t));
	assert_int_equal(t.calls, 0);
	core_rig_run(r);
	assert_int_equal(t.calls, 1);
	return t.e;
}

static void test_answers(void **state)
{
	static const struct {
		const char *why;
		struct str name;
		int want;
	} cases[] = {
		{"served now", {"demo", 4}, 0},
		{"known, not connected", {"away", 4}, ERR_NOSESSION},
		{"switched off", {"off", 3}, ERR_DISABLED},
		{"damaged", {"bad", 3}, ERR_IO},
		{"reached by its port, not by a name", {"port", 4}, ERR_NOROUTE},
		{"never heard of", {"nobody", 6}, ERR_NOROUTE},
		{"several labels", {"a.b.c", 5}, ERR_NOROUTE},
		{"empty", {"", 0}, ERR_NOROUTE},
		{"not a name", {"a b", 3}, ERR_NOROUTE},
		{"a NUL in it", {"demo\0", 5}, ERR_NOROUTE},
	};
	static char longest[1000];
	struct access_who who;
	struct core_rig r;
	struct fake f;

	core_rig_new(&r, true);
	core_rig_account(&r, &who);
	fake_join(&f, &r, &who, &(struct core_agent){.id = "a"});
	assert_int_equal(core_rig_attach(&f, "demo", "").result.e, 0);
	core_rig_put(&r, "tunnel", "away", "{\"account\":\"x\",\"kind\":\"http\"}");
	core_rig_put(&r, "tunnel", "off",
		     "{\"account\":\"x\",\"kind\":\"http\",\"enabled\":false}");
	core_rig_put(&r, "tunnel", "bad", "[]");
	core_rig_put(&r, "tunnel", "port", "{\"account\":\"x\",\"kind\":\"tcp\",\"port\":9000}");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int e = lookup_e(&r, cases[i].name);

		if (e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(e));
	}
	memset(longest, 'a', sizeof longest);
	assert_int_equal(lookup_e(&r, (struct str){longest, sizeof longest}), ERR_NOROUTE);
	fake_leave(&f);
	assert_int_equal(lookup_e(&r, STR("demo")), ERR_NOSESSION);
	core_rig_free(&r);
}

static void test_store_fails(void **state)
{
	static const struct {
		int e, want;
	} cases[] = {{ERR_IO, ERR_IO}, {ERR_TIMEOUT, ERR_TIMEOUT}, {ERR_DENIED, ERR_IO}};
	struct core_rig r;

	core_rig_new(&r, true);
	r.judge = core_rig_fail_all;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		r.judge_e = cases[i].e;
		assert_int_equal(lookup_e(&r, STR("demo")), cases[i].want);
	}
	core_rig_free(&r);
}

static void test_a_session_comes_meanwhile(void **state)
{
	struct access_who who;
	struct told t = {0};
	struct core_rig r;
	struct fake f;

	core_rig_new(&r, true);
	core_rig_account(&r, &who);
	fake_join(&f, &r, &who, &(struct core_agent){.id = "a"});
	r.judge = core_rig_hold_all;
	assert_non_null(core_lookup(r.core, STR("demo"), told_on_done, &t));
	core_rig_run(&r);
	r.judge = NULL;
	assert_int_equal(core_rig_attach(&f, "demo", "").result.e, 0);
	assert_int_equal(t.calls, 0);
	core_rig_release(&r);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.e, 0);
	fake_leave(&f);
	core_rig_free(&r);
}

static void test_cancel(void **state)
{
	struct core_lookup *l;
	struct told t = {0};
	struct core_rig r;

	core_rig_new(&r, true);
	l = core_lookup(r.core, STR("demo"), told_on_done, &t);
	core_lookup_cancel(l); /* before it was asked */
	core_rig_run(&r);
	r.judge = core_rig_hold_all;
	l = core_lookup(r.core, STR("demo"), told_on_done, &t);
	core_rig_run(&r);
	core_lookup_cancel(l); /* while the store is at it */
	core_rig_release(&r);
	assert_int_equal(t.calls, 0);
	core_rig_free(&r);
}

static void test_core_goes_first(void **state)
{
	struct told t[2] = {{0}};
	struct core_rig r;

	core_rig_new(&r, true);
	r.judge = core_rig_hold_all;
	assert_non_null(core_lookup(r.core, STR("demo"), told_on_done, &t[0]));
	core_rig_run(&r);
	assert_non_null(core_lookup(r.core, STR("demo"), told_on_done, &t[1]));
	core_free(r.core);
	r.core = NULL;
	core_rig_release(&r);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(t[i].calls, 1);
		assert_int_equal(t[i].e, ERR_CLOSED);
	}
	core_rig_free(&r);
}

static void test_bounds(void **state)
{
	struct core_rig r;
	struct told t = {0};

	core_rig_new(&r, true);
	r.judge = core_rig_hold_all;
	for (int i = 0; i < CORE_LOOKUPS_MAX; i++)
		assert_non_null(core_lookup(r.core, STR("demo"), told_on_done, &t));
	assert_null(core_lookup(r.core, STR("demo"), told_on_done, &t));
	core_rig_run(&r);
	core_rig_release(&r);
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(t.calls, CORE_LOOKUPS_MAX);
	assert_int_equal(lookup_e(&r, STR("demo")), ERR_NOROUTE);
	core_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_a_session_comes_meanwhile),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_core_goes_first),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
