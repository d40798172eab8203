/* An account's quota of sessions, where some are here and some at other nodes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/core/peer_rig.h"

/* One who may join, or not: as fake_join(), which insists. */
static int try_join(struct peer_rig *w, struct fake *f, int node, struct core_agent agent,
		    char reason[CORE_REASON_TEXT])
{
	struct fake like;
	struct member_opt opt;
	int e;

	/* somebody else's, for what a member needs */
	fake_join(&like, &w->node[node].rig, &w->bob, &(struct core_agent){.id = "like"});
	opt = like.member->opt;
	memset(f, 0, sizeof *f);
	f->session = like.session;
	f->session.heard_ms = ev_now_ms(w->r.ev);
	f->rig = like.rig;
	opt.session = &f->session;
	opt.who = &w->ann;
	opt.agent = agent;
	opt.arg = f;
	e = member_join(w->node[node].rig.core, &opt, &f->member, reason);
	fake_leave(&like);
	return e;
}

static struct node_held said(struct peer_rig *w, int node)
{
	struct peer_row *rows = w->node[node].rows;

	for (size_t i = 0; i < ARRAY_LEN(w->node[node].rows); i++)
		if (strcmp(rows[i].account, w->ann.account) == 0)
			return rows[i].held;
	return (struct node_held){.n = 0};
}

/* ---- telling ---- */

static void test_what_others_hear(void **state)
{
	struct fake f[3], back;
	struct peer_rig w;
	struct node_held h;

	peer_rig_new(&w);
	peer_rig_join(&w, &f[0], 0, "laptop", 5, 0);
	peer_rig_join(&w, &f[1], 0, "laptop", 5, 17);
	peer_rig_join(&w, &f[2], 0, "desk", 6, 0);
	assert_int_equal(said(&w, 0).n, 0);
	peer_rig_run(&w, 1);
	h = said(&w, 0);
	assert_int_equal(h.n, 3);
	assert_int_equal(h.n_agents, 2);
	assert_true(h.agents[0].agent == node_entry_agent_id(w.ann.account, "laptop"));
	assert_true(h.agents[0].epoch == 5 && h.agents[0].carriers == (1 | 1 << 17));
	assert_int_equal(w.node[0].n_told, 1); /* once a turn */

	print_message("who is expelled is none from then on, once\n");
	member_expel(f[1].member, ERR_DISCONNECTED, "");
	fake_leave(&f[2]);
	peer_rig_run(&w, 1);
	assert_int_equal(said(&w, 0).n, 1);
	assert_int_equal(said(&w, 0).agents[0].carriers, 1);
	fake_leave(&f[1]);
	peer_rig_run(&w, 1);
	assert_int_equal(said(&w, 0).n, 1);
	assert_int_equal(w.node[0].n_told, 2);

	print_message("the last one goes, and one comes back in the same turn\n");
	fake_leave(&f[0]);
	assert_int_equal(w.node[0].rig.core->owners.n, 0);
	peer_rig_join(&w, &back, 0, "laptop", 7, 0);
	peer_rig_run(&w, 1);
	assert_int_equal(said(&w, 0).n, 1);
	assert_true(said(&w, 0).agents[0].epoch == 7);
	fake_leave(&back);
	peer_rig_run(&w, 1);
	assert_int_equal(said(&w, 0).n, 0);
	print_message("who comes and goes within a turn is not spoken of\n");
	w.node[0].n_told = 0;
	peer_rig_join(&w, &back, 0, "laptop", 8, 0);
	fake_leave(&back);
	peer_rig_run(&w, 1);
	assert_int_equal(w.node[0].n_told, 0);
	assert_int_equal(said(&w, 1).n + said(&w, 2).n, 0);
	peer_rig_free(&w);
}

/* Many agents are a number; those that never come again are not named. */
static void test_who_is_named(void **state)
{
	enum { N = NODE_HELD_AGENTS_MAX + 1 };
	struct fake f[N], g;
	char reason[CORE_REASON_TEXT];
	struct peer_rig w;

	peer_rig_new(&w);
	for (int i = 0; i < N; i++) {
		char id[16];

		str_printf(id, sizeof id, "agent-%d", i);
		peer_rig_join(&w, &f[i], 0, id, 1, 0);
	}
	peer_rig_run(&w, 1);
	assert_int_equal(said(&w, 0).n, N);
	assert_int_equal(said(&w, 0).n_agents, 0);
	fake_leave(&f[0]);
	assert_int_equal(try_join(&w, &g, 0, (struct core_agent){.id = "drawn", .drawn = true},
				  reason),
			 0);
	peer_rig_run(&w, 1);
	assert_int_equal(said(&w, 0).n, N);
	assert_int_equal(said(&w, 0).n_agents, N - 1);
	fake_leave(&g);
	for (int i = 1; i < N; i++)
		fake_leave(&f[i]);
	peer_rig_free(&w);
}

/* ---- who may come ---- */

static void test_who_may_join(void **state)
{
	static const struct {
		const char *why;
		struct {
			int node; /* 0: of the node that is asked */
			const char *agent;
			uint64_t epoch;
			unsigned carrier;
		} there[8];
		unsigned n;
		struct core_agent agent;
		uint64_t max;
		int want;
	} cases[] = {
		{"one more", {{1, "b", 1, 0}}, 1, {"a", 5, 0}, 2, 0},
		{"as many as may be, elsewhere",
		 {{1, "b", 1, 0}, {1, "b", 1, 1}},
		 2,
		 {"a", 5, 0},
		 2,
		 ERR_LIMIT},
		{"as many as may be, at two other nodes",
		 {{1, "b", 1, 0}, {2, "c", 1, 0}},
		 2,
		 {"a", 5, 0},
		 2,
		 ERR_LIMIT},
		{"as many as may be, here and there",
		 {{0, "b", 1, 0}, {2, "c", 1, 0}},
		 2,
		 {"a", 5, 0},
		 2,
		 ERR_LIMIT},
		{"its own connection is lost there",
		 {{1, "b", 1, 0}, {2, "a", 5, 0}},
		 2,
		 {"a", 5, 0},
		 2,
		 0},
		{"or it moves away from there",
		 {{1, "b", 1, 0}, {2, "a", 5, 3}},
		 2,
		 {"a", 5, 19},
		 2,
		 0},
		{"by the last of its numbers",
		 {{1, "a", 5, 63}, {2, "a", 5, 47}},
		 2,
		 {"a", 5, 15},
		 2,
		 0},
		{"one more of the same process is one more",
		 {{1, "b", 1, 0}, {2, "a", 5, 0}},
		 2,
		 {"a", 5, 1},
		 2,
		 ERR_LIMIT},
		{"of an older process nobody knows whether it lives",
		 {{1, "b", 1, 0}, {2, "a", 4, 0}},
		 2,
		 {"a", 5, 0},
		 2,
		 ERR_LIMIT},
		{"one session that has been everywhere",
		 {{1, "a", 5, 0}, {1, "a", 5, 16}, {1, "a", 5, 32}},
		 3,
		 {"a", 5, 48},
		 1,
		 0},
		{"and one that says so only",
		 {{1, "a", 5, 0}, {1, "a", 5, 16}, {1, "a", 5, 32}, {2, "a", 5, 48}},
		 4,
		 {"a", 5, 0},
		 1,
		 ERR_LIMIT},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char reason[CORE_REASON_TEXT] = "";
		struct fake f[8], g;
		struct peer_rig w;
		int e;

		peer_rig_new(&w);
		for (unsigned k = 0; k < cases[i].n; k++)
			peer_rig_join(&w, &f[k], cases[i].there[k].node, cases[i].there[k].agent,
				      cases[i].there[k].epoch, cases[i].there[k].carrier);
		peer_rig_run(&w, 20); /* records are read again after a join */
		w.ann.sessions_max = cases[i].max;
		for (int k = 0; k < PEER_RIG_N; k++) {
			struct owner *o =
				grant_find_owner(w.node[k].rig.core, str_of(w.ann.account));

			if (o != NULL)
				o->sessions_max = cases[i].max;
		}
		if ((e = try_join(&w, &g, 0, cases[i].agent, reason)) != cases[i].want)
			fail_msg("%s: %s (%s)", cases[i].why, err_name(e), reason);
		assert_true(e == 0 || strstr(reason, "which is its limit") != NULL);
		assert_int_equal(w.node[0].n_rooms, e != 0);
		if (e == 0)
			fake_leave(&g);
		for (unsigned k = 0; k < cases[i].n; k++)
			fake_leave(&f[k]);
		peer_rig_free(&w);
	}
}

/* A node that is gone has no sessions any more. */
static void test_a_node_goes(void **state)
{
	char reason[CORE_REASON_TEXT];
	struct fake f, g;
	struct peer_rig w;

	peer_rig_new(&w);
	peer_rig_join(&w, &f, 1, "b", 1, 0);
	peer_rig_run(&w, 1);
	w.ann.sessions_max = 1;
	assert_int_equal(try_join(&w, &g, 0, (struct core_agent){.id = "a"}, reason), ERR_LIMIT);
	peer_rig_part(&w, 1);
	assert_int_equal(try_join(&w, &g, 0, (struct core_agent){.id = "a"}, reason), 0);
	fake_leave(&f);
	fake_leave(&g);
	peer_rig_free(&w);
}

/* ---- ghosts ---- */

/* Who was silent elsewhere is asked whether it lives when somebody is refused, or when there are
 * too many; not more often than once a second, and not who was heard just now. */
static void test_ghosts_are_asked(void **state)
{
	char reason[CORE_REASON_TEXT];
	struct fake f, fresh, g, h;
	struct owner *o;
	struct peer_rig w;

	peer_rig_new(&w);
	peer_rig_join(&w, &f, 1, "b", 1, 0);
	peer_rig_run(&w, SESSION_QUIET_MS + 10);
	peer_rig_join(&w, &fresh, 1, "b", 1, 1);
	peer_rig_run(&w, 20);
	w.ann.sessions_max = 2;
	assert_int_equal(try_join(&w, &g, 0, (struct core_agent){.id = "a"}, reason), ERR_LIMIT);
	assert_int_equal(f.n_pinged, 1);
	assert_int_equal(fresh.n_pinged, 0);
	assert_int_equal(try_join(&w, &g, 0, (struct core_agent){.id = "a"}, reason), ERR_LIMIT);
	assert_int_equal(f.n_pinged, 1);
	peer_rig_run(&w, 1000);
	f.session.heard_ms = ev_now_ms(w.r.ev); /* it lives */
	peer_rig_run(&w, SESSION_QUIET_MS + 10);
	assert_int_equal(try_join(&w, &g, 0, (struct core_agent){.id = "a"}, reason), ERR_LIMIT);
	assert_int_equal(f.n_pinged, 2);

	print_message("two nodes have let somebody in at the same moment\n");
	peer_rig_run(&w, SESSION_QUIET_MS + 10);
	o = grant_find_owner(w.node[1].rig.core, str_of(w.ann.account));
	o->sessions_max = 2;
	w.ann.sessions_max = 3;
	peer_rig_join(&w, &h, 2, "c", 1, 0);
	peer_rig_run(&w, 1);
	assert_int_equal(f.n_pinged, 3);
	assert_int_equal(f.n_expelled + fresh.n_expelled + h.n_expelled, 0);
	fake_leave(&f);
	fake_leave(&fresh);
	fake_leave(&h);
	peer_rig_free(&w);
}

/* A node that has nobody elsewhere to wait for asks nobody. */
static void test_nobody_is_asked(void **state)
{
	char reason[CORE_REASON_TEXT];
	struct fake f, g;
	struct peer_rig w;

	peer_rig_new(&w);
	w.ann.sessions_max = 1;
	peer_rig_join(&w, &f, 0, "b", 1, 0);
	assert_int_equal(try_join(&w, &g, 0, (struct core_agent){.id = "a"}, reason), ERR_LIMIT);
	assert_int_equal(w.node[0].n_rooms, 0);
	core_on_room(w.node[1].rig.core, str_of(w.ann.account)); /* it has none of them */
	core_on_held_elsewhere(w.node[1].rig.core, STR("nobody"));
	fake_leave(&f);
	peer_rig_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_others_hear), cmocka_unit_test(test_who_is_named),
		cmocka_unit_test(test_who_may_join),	 cmocka_unit_test(test_a_node_goes),
		cmocka_unit_test(test_ghosts_are_asked), cmocka_unit_test(test_nobody_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
