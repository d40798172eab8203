/* Which agents are here, and which of those that have gone are remembered. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/manage.h"
#include "unit/core/place_rig.h"

struct told_agents {
	unsigned calls;
	int e;
	bool more;
	size_t n;
	char words[512]; /* "ann/a:2 bob/b:0+ ": sessions; '+': it was there before */
};

static struct place_rig g;

static void on_agents(void *arg, const struct manage_answer *a)
{
	struct told_agents *told = arg;

	told->calls++;
	told->e = a->e;
	told->more = a->more;
	told->n = a->n;
	for (size_t i = 0; i < a->n && told->words[0] != '!'; i++) {
		const struct core_agent_info *info = &a->agents[i].info;
		size_t n = strlen(told->words);

		str_printf(told->words + n, sizeof told->words - n, "%s/%s:%zu%s ",
			   strcmp(info->account, g.ann.account) == 0 ? "ann" : "bob", info->id,
			   info->n_sessions, info->was_there ? "+" : "");
		assert_true(info->since_ms > 0);
	}
}

static struct told_agents ask(const struct access_who *who, bool all)
{
	struct told_agents told = {0};
	struct manage_asker by = {who, on_agents, &told};

	assert_non_null(manage_agents(g.r.core, &by, all));
	assert_int_equal(told.calls, 0);
	core_rig_run(&g.r);
	assert_int_equal(told.calls, 1);
	return told;
}

static void join(struct fake *f, const struct access_who *who, const char *agent, unsigned carrier)
{
	struct core_agent a = {.epoch = 1, .carrier = carrier};

	assert_int_equal(str_copy(a.id, sizeof a.id, str_of(agent)), 0);
	fake_join(f, &g.r, who, &a);
	core_rig_run(&g.r);
}

static void test_they_come_and_go(void **state)
{
	struct access_who admin;
	struct fake a, a2, b, c;

	place_rig_new(&g);
	admin = g.ann;
	admin.admin = true;
	assert_int_equal(ask(&g.ann, false).n, 0);
	join(&a, &g.ann, "a", 0);
	join(&a2, &g.ann, "a", 1);
	join(&b, &g.bob, "b", 0);
	join(&c, &g.ann, "c", 0);
	assert_string_equal(ask(&g.ann, false).words, "ann/a:2 ann/c:1 ");
	assert_string_equal(ask(&g.bob, false).words, "bob/b:1 ");
	assert_int_equal(ask(&g.ann, true).e, ERR_DENIED);
	assert_int_equal(ask(&admin, true).n, 3);
	assert_int_equal(ask(NULL, false).e, ERR_AUTH);

	fake_leave(&a);
	assert_string_equal(ask(&g.ann, false).words, "ann/a:1 ann/c:1 ");
	fake_leave(&a2);
	core_rig_run(&g.r);
	fake_leave(&c);
	assert_string_equal(ask(&g.ann, false).words, "ann/c:0 ann/a:0 "); /* the last first */
	join(&a, &g.ann, "a", 0);
	assert_string_equal(ask(&g.ann, false).words, "ann/a:1+ ann/c:0 ");
	assert_non_null(seen_find(g.r.core, g.ann.account, "c"));
	assert_null(seen_find(g.r.core, g.ann.account, "b"));
	fake_leave(&a);
	fake_leave(&b);
	place_rig_free(&g);
}

static void test_a_drawn_name_is_not_remembered(void **state)
{
	const struct core_agent drawn = {.id = "ssh-0badcafe", .epoch = 1, .drawn = true};
	struct fake named, f;

	place_rig_new(&g);
	join(&named, &g.ann, "a", 0);
	fake_join(&f, &g.r, &g.ann, &drawn);
	core_rig_run(&g.r);
	assert_string_equal(ask(&g.ann, false).words, "ann/a:1 ann/ssh-0badcafe:1 ");
	fake_leave(&f);
	core_rig_run(&g.r);
	assert_string_equal(ask(&g.ann, false).words, "ann/a:1 ");
	fake_leave(&named);
	core_rig_run(&g.r);
	assert_string_equal(ask(&g.ann, false).words, "ann/a:0 ");
	place_rig_free(&g);
}

static void test_the_latest_are_remembered(void **state)
{
	struct told_agents told = {.words = "!"};
	struct manage_asker by = {NULL, on_agents, &told};
	char agent[16];
	struct fake stays, f;

	place_rig_new(&g);
	by.who = &g.ann;
	join(&stays, &g.ann, "stays", 0);
	for (int i = 0; i < MANAGE_AGENTS_MAX + 3; i++) {
		str_printf(agent, sizeof agent, "a%d", i);
		join(&f, &g.ann, agent, 0);
		fake_leave(&f);
		if (i == 1) { /* whoever comes back is young again */
			join(&f, &g.ann, "a0", 0);
			fake_leave(&f);
		}
	}
	assert_null(seen_find(g.r.core, g.ann.account, "a1"));
	assert_null(seen_find(g.r.core, g.ann.account, "a0"));
	assert_null(seen_find(g.r.core, g.ann.account, "a2"));
	assert_non_null(seen_find(g.r.core, g.ann.account, "a3"));
	assert_non_null(seen_find(g.r.core, g.ann.account, "stays"));
	assert_int_equal(g.r.core->agents.n, MANAGE_AGENTS_MAX + 1);
	assert_non_null(manage_agents(g.r.core, &by, false));
	core_rig_run(&g.r);
	assert_int_equal(told.n, MANAGE_AGENTS_MAX);
	assert_true(told.more);
	fake_leave(&stays);
	place_rig_free(&g);
}

static void test_nobody_pushes_out_others(void **state)
{
	char agent[16];
	struct fake f;

	place_rig_new(&g);
	join(&f, &g.ann, "home", 0);
	fake_leave(&f);
	for (int i = 0; i < MANAGE_AGENTS_MAX * 2; i++) {
		str_printf(agent, sizeof agent, "b%d", i);
		join(&f, &g.bob, agent, 0);
		fake_leave(&f);
	}
	assert_non_null(seen_find(g.r.core, g.ann.account, "home"));
	assert_non_null(seen_find(g.r.core, g.bob.account, agent));
	assert_int_equal(g.r.core->agents.n, MANAGE_AGENTS_MAX);
	place_rig_free(&g);
}

static void test_an_expelled_one(void **state)
{
	struct fake a, again;

	place_rig_new(&g);
	join(&a, &g.ann, "a", 0);
	join(&again, &g.ann, "a", 0); /* takes the first one's place, which has not left yet */
	assert_int_equal(a.why, ERR_REPLACED);
	fake_leave(&a);
	assert_string_equal(ask(&g.ann, false).words, "ann/a:1 ");
	fake_leave(&again);
	assert_string_equal(ask(&g.ann, false).words, "ann/a:0 ");
	place_rig_free(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_they_come_and_go),
		cmocka_unit_test(test_a_drawn_name_is_not_remembered),
		cmocka_unit_test(test_the_latest_are_remembered),
		cmocka_unit_test(test_nobody_pushes_out_others),
		cmocka_unit_test(test_an_expelled_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
