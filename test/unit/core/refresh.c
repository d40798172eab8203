/* Reading again: spread over its time, bounded, and not at all when nobody is here. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/account_rig.h"

#define N_TUNNELS 90

static void test_an_idle_node_sleeps(void **state)
{
	static const struct core_agent laptop = {.id = "laptop"};
	struct access_who who;
	struct core_rig r;
	struct fake f;

	core_rig_new(&r, true);
	core_rig_account(&r, &who);
	assert_false(ev_sim_run_for(r.ev, 1));
	fake_join(&f, &r, &who, &laptop);
	assert_true(ev_sim_run_for(r.ev, 1));
	fake_leave(&f);
	assert_false(ev_sim_run_for(r.ev, CORE_REFRESH_MS + 1000));
	core_rig_free(&r);
}

/* Else one that loses its last session between the two is read by neither in its time. */
static void test_a_tunnel_has_one_moment_with_sessions_and_without(void **state)
{
	struct core_rig r;

	core_rig_new(&r, true);
	assert_memory_equal(r.core->tunnels.seed, r.core->places.seed, sizeof r.core->tunnels.seed);
	core_rig_free(&r);
}

static void test_reads_are_spread(void **state)
{
	static const struct core_agent laptop = {.id = "laptop"};
	unsigned total = 0, most = 0;
	struct access_who who;
	struct core_rig r;
	struct fake f;

	core_rig_new(&r, true);
	core_rig_account(&r, &who);
	fake_join(&f, &r, &who, &laptop);
	for (int i = 0; i < N_TUNNELS; i++)
		assert_int_equal(core_rig_attach(&f, "", "").result.e, 0);
	ev_sim_run_for(r.ev, CORE_REFRESH_MS);
	for (int round = 0; round < 3; round++) {
		total = 0;
		for (int i = 0; i < 20; i++) {
			r.n_asked = 0;
			ev_sim_run_for(r.ev, CORE_REFRESH_MS / 20);
			total += r.n_asked;
			most = MAX(most, r.n_asked);
		}
		/* tunnels, the account, the credential; a tick more or less at either end */
		assert_in_range(total, N_TUNNELS + 2 - 15, N_TUNNELS + 2 + 15);
	}
	assert_true(most < N_TUNNELS / 3);
	fake_leave(&f);
	core_rig_free(&r);
}

static void test_a_slow_store_makes_no_second_line(void **state)
{
	static const struct core_agent laptop = {.id = "laptop"};
	struct access_who who;
	struct core_rig r;
	struct fake f;

	core_rig_new(&r, true);
	core_rig_account(&r, &who);
	fake_join(&f, &r, &who, &laptop);
	for (int i = 0; i < N_TUNNELS; i++)
		assert_int_equal(core_rig_attach(&f, "", "").result.e, 0);
	ev_sim_run_for(r.ev, 1000);
	r.judge = core_rig_hold_all;
	r.n_asked = 0;
	ev_sim_run_for(r.ev, 20 * CORE_REFRESH_MS);
	assert_int_equal(r.n_asked, CORE_REFRESHES_MAX);
	assert_int_equal(store_pending(r.store), CORE_REFRESHES_MAX);
	core_rig_release(&r);
	ev_sim_run_for(r.ev, 1000);
	assert_true(r.n_asked <= CORE_REFRESHES_MAX + 2 * N_TUNNELS); /* not 20 times all */
	ev_sim_run_for(r.ev, CORE_REFRESH_MS);
	assert_true(r.n_asked >= CORE_REFRESHES_MAX + N_TUNNELS);
	assert_int_equal(f.n_expelled, 0);
	assert_int_equal(member_n_tunnels(f.member), N_TUNNELS);
	fake_leave(&f);
	core_rig_free(&r);
}

static void test_core_goes_while_reading(void **state)
{
	static const struct core_agent laptop = {.id = "laptop"};
	struct access_who who;
	struct core_rig r;
	struct fake f;

	core_rig_new(&r, true);
	core_rig_account(&r, &who);
	r.judge = core_rig_hold_all;
	fake_join(&f, &r, &who, &laptop);
	for (int i = 0; i < 2 * CORE_REFRESHES_MAX; i++)
		refresh_add(r.core, RECORD_TUNNEL, STR("some"));
	core_rig_run(&r);
	assert_int_equal(store_pending(r.store), CORE_REFRESHES_MAX);
	fake_leave(&f);
	core_free(r.core);
	r.core = NULL;
	core_rig_release(&r);
	core_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_idle_node_sleeps),
		cmocka_unit_test(test_a_tunnel_has_one_moment_with_sessions_and_without),
		cmocka_unit_test(test_reads_are_spread),
		cmocka_unit_test(test_a_slow_store_makes_no_second_line),
		cmocka_unit_test(test_core_goes_while_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
