/* Sessions live from credentials: what is revoked, switched off, over or deleted ends them, at once
 * on this node and soon on the others. */
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

static const struct core_agent laptop = {.id = "laptop", .epoch = 100};
static const struct core_agent desk = {.id = "desk", .epoch = 100};

/* Two sessions of ann by two credentials, one of bob; each serves a tunnel. */
struct world {
	struct core_rig r;
	struct access_who admin, ann, other, bob;
	struct fake a, o, b;
};

static void world_open(struct world *w)
{
	core_rig_new(&w->r, true);
	account_rig_start(&w->r, &w->admin);
	core_rig_account(&w->r, &w->ann);
	core_rig_account(&w->r, &w->bob);
	w->other = account_rig_login(&w->r, account_rig_token(&w->r, &w->ann, NULL).token);
	fake_join(&w->a, &w->r, &w->ann, &laptop);
	fake_join(&w->o, &w->r, &w->other, &desk);
	fake_join(&w->b, &w->r, &w->bob, &laptop);
	assert_int_equal(core_rig_attach(&w->a, "ann", "").result.e, 0);
	assert_int_equal(core_rig_attach(&w->o, "other", "").result.e, 0);
	assert_int_equal(core_rig_attach(&w->b, "bob", "").result.e, 0);
}

static void world_close(struct world *w)
{
	fake_leave(&w->a);
	fake_leave(&w->o);
	fake_leave(&w->b);
	core_rig_free(&w->r);
}

static void expect_alive(struct world *w, bool a, bool o, bool b)
{
	assert_int_equal(w->a.n_expelled, a ? 0 : 1);
	assert_int_equal(w->o.n_expelled, o ? 0 : 1);
	assert_int_equal(w->b.n_expelled, b ? 0 : 1);
	assert_int_equal(core_tunnel(w->r.core, STR("ann")) != NULL, a);
	assert_int_equal(core_tunnel(w->r.core, STR("other")) != NULL, o);
	assert_int_equal(core_tunnel(w->r.core, STR("bob")) != NULL, b);
}

static void expect_told(const struct fake *f, int why, const char *says)
{
	assert_int_equal(f->why, why);
	if (strstr(f->reason, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", f->reason, says);
}

static struct manage_account_change off(const char *why)
{
	struct manage_account_change ch = {.set = MANAGE_ENABLED | MANAGE_WHY,
					   .expected = STORE_ANY};

	str_printf(ch.to.why, sizeof ch.to.why, "%s", why);
	return ch;
}

/* ---- ends ---- */

static void test_revoking_ends_sessions(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, w.other.credential).e, 0);
	expect_alive(&w, true, false, true);
	expect_told(&w.o, ERR_AUTH, "this credential has been revoked");
	world_close(&w);
}

static void test_one_may_revoke_what_one_lives_from(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, w.ann.credential).e, 0);
	expect_alive(&w, false, true, true);
	world_close(&w);
}

static void test_off_ends_sessions(void **state)
{
	struct manage_account_change ch = off("too much mail");
	struct world w;

	world_open(&w);
	assert_int_equal(account_rig_change(&w.r, &w.admin, w.ann.account, &ch).e, 0);
	expect_alive(&w, false, false, true);
	expect_told(&w.a, ERR_DISABLED, "too much mail");
	expect_told(&w.o, ERR_DISABLED, "too much mail");
	world_close(&w);
}

static void test_deleting_ends_sessions(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(account_rig_drop(&w.r, &w.ann, "").e, 0);
	expect_alive(&w, false, false, true);
	expect_told(&w.a, ERR_DELETED, "deleted");
	assert_int_equal(account_rig_count(&w.r, "tunnel", ""), 1);
	assert_int_equal(account_rig_count(&w.r, "owned", w.ann.account), 0);
	world_close(&w);
}

/* ---- time ---- */

static void test_the_time_is_up(void **state)
{
	struct access_scope scope = {0};
	struct access_who who;
	struct told_account t;
	struct fake f;
	struct world w;

	world_open(&w);
	scope.until_ms = ev_wall_ms(w.r.ev) + 90 * 60 * 1000; /* longer than one look */
	t = account_rig_token(&w.r, &w.ann, &scope);
	who = account_rig_login(&w.r, t.token);
	fake_join(&f, &w.r, &who, &(struct core_agent){.id = "third"});
	ev_sim_run_for(w.r.ev, (uint64_t)(scope.until_ms - ev_wall_ms(w.r.ev)) - 1);
	assert_int_equal(f.n_expelled, 0);
	ev_sim_run_for(w.r.ev, 1);
	assert_int_equal(f.n_expelled, 1);
	expect_told(&f, ERR_AUTH, "good until");
	assert_int_equal(core_rig_login(&w.r, str_of(t.token)).result.e, ERR_AUTH);
	expect_alive(&w, true, true, true);
	fake_leave(&f);
	world_close(&w);
}

static void test_the_clock_is_set(void **state)
{
	struct access_scope scope = {0};
	struct access_who who;
	struct fake f;
	struct world w;

	world_open(&w);
	scope.until_ms = ev_wall_ms(w.r.ev) + 3 * 3600 * 1000;
	who = account_rig_login(&w.r, account_rig_token(&w.r, &w.ann, &scope).token);
	fake_join(&f, &w.r, &who, &(struct core_agent){.id = "third"});
	core_rig_run(&w.r);
	ev_sim_jump_wall(w.r.ev, 4 * 3600 * 1000);
	ev_sim_run_for(w.r.ev, 3600 * 1000);
	assert_int_equal(f.n_expelled, 1);
	fake_leave(&f);
	world_close(&w);
}

/* ---- scope ---- */

static void test_a_narrower_scope_takes_tunnels(void **state)
{
	struct manage_credential_change ch = {.set_scope = true,
					      .scope = {.tunnels = "keep"},
					      .expected = STORE_ANY};
	struct told_account t;
	struct manage_asker by;
	struct world w;

	world_open(&w);
	assert_int_equal(core_rig_attach(&w.o, "keep", "").result.e, 0);
	by = account_rig_by(&t, &w.ann);
	account_rig_wait(&w.r, &t,
			 manage_credential_change(w.r.core, &by, STR(""),
						  str_of(w.other.credential), &ch));
	assert_int_equal(t.e, 0);
	assert_int_equal(w.o.n_detached, 1);
	assert_string_equal(w.o.detached, "other");
	assert_int_equal(w.o.why, ERR_DENIED);
	assert_int_equal(w.o.n_expelled, 0);
	assert_non_null(core_tunnel(w.r.core, STR("keep")));
	assert_null(core_tunnel(w.r.core, STR("other")));
	assert_int_equal(core_rig_attach(&w.o, "other", "").result.e, ERR_DENIED);
	world_close(&w);
}

static void test_a_session_that_leaves_when_told(void **state)
{
	struct manage_credential_change ch = {.set_scope = true,
					      .scope = {.tunnels = "keep"},
					      .expected = STORE_ANY};
	struct told_account t;
	struct manage_asker by;
	struct world w;

	world_open(&w);
	w.o.leave_when_told = true; /* it was the only one of its grant */
	by = account_rig_by(&t, &w.ann);
	account_rig_wait(&w.r, &t,
			 manage_credential_change(w.r.core, &by, STR(""),
						  str_of(w.other.credential), &ch));
	assert_int_equal(t.e, 0);
	assert_null(w.o.member);
	assert_int_equal(w.r.core->grants.n, 2);
	world_close(&w);
}

/* ---- joining ---- */

static int try_join(struct world *w, const struct access_who *who, struct fake *f,
		    char reason[CORE_REASON_TEXT])
{
	struct member_opt opt = {.session = &f->session,
				 .who = who,
				 .agent = {.id = "one more"},
				 .owner = w->a.member->opt.owner,
				 .arg = f};

	memset(f, 0, sizeof *f);
	f->rig = &w->r;
	f->session.ev = w->r.ev;
	return member_join(w->r.core, &opt, &f->member, reason);
}

static void test_who_may_not_join(void **state)
{
	struct access_who who;
	char reason[CORE_REASON_TEXT];
	struct world w;
	struct fake f;

	world_open(&w);
	who = w.ann;
	who.enabled = false;
	str_printf(who.credential, sizeof who.credential, "unseen");
	assert_int_equal(try_join(&w, &who, &f, reason), ERR_DISABLED);
	who.enabled = true;
	who.scope.until_ms = ev_wall_ms(w.r.ev);
	assert_int_equal(try_join(&w, &who, &f, reason), ERR_AUTH);

	/* revoked between the login and now, while a session of it is still being told */
	w.r.judge = NULL;
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, w.other.credential).e, 0);
	assert_int_equal(try_join(&w, &w.other, &f, reason), ERR_AUTH);
	assert_non_null(strstr(reason, "revoked"));
	/* and when no session of it is here any more */
	fake_leave(&w.o);
	assert_int_equal(try_join(&w, &w.other, &f, reason), 0);
	core_rig_run(&w.r);
	assert_int_equal(f.n_expelled, 1);
	expect_told(&f, ERR_AUTH, "revoked");
	fake_leave(&f);
	world_close(&w);
}

static void test_quota_of_sessions(void **state)
{
	struct manage_account_change ch = {.set = MANAGE_QUOTA_SESSIONS,
					   .to.quota.sessions = 3,
					   .expected = STORE_ANY};
	char reason[CORE_REASON_TEXT];
	struct world w;
	struct fake f, g;

	world_open(&w);
	assert_int_equal(account_rig_change(&w.r, &w.admin, w.ann.account, &ch).e, 0);
	assert_int_equal(try_join(&w, &w.ann, &f, reason), 0);
	assert_int_equal(try_join(&w, &w.other, &g, reason), 0); /* it takes the place of f */
	core_rig_run(&w.r);
	assert_int_equal(f.n_expelled, 1);
	assert_int_equal(f.why, ERR_REPLACED);
	fake_leave(&f);
	f = w.a; /* a fourth one, of another agent */
	ch.to.quota.sessions = 2;
	assert_int_equal(account_rig_change(&w.r, &w.admin, w.ann.account, &ch).e, 0);
	assert_int_equal(g.n_expelled, 0); /* who is here stays */
	fake_leave(&g);
	assert_int_equal(try_join(&w, &w.ann, &g, reason), ERR_LIMIT);
	assert_non_null(strstr(reason, "2 sessions"));
	fake_leave(&w.o);
	assert_int_equal(try_join(&w, &w.ann, &g, reason), 0);
	fake_leave(&g);
	world_close(&w);
}

/* What has changed since the login is learnt right after the first join. */
static void test_quota_is_learnt(void **state)
{
	struct manage_account_change ch = {.set = MANAGE_QUOTA_SESSIONS,
					   .to.quota.sessions = 1,
					   .expected = STORE_ANY};
	char reason[CORE_REASON_TEXT];
	struct access_who cat;
	struct world w;
	struct fake f, g;

	world_open(&w);
	core_rig_account(&w.r, &cat);
	assert_int_equal(account_rig_change(&w.r, &w.admin, cat.account, &ch).e, 0);
	fake_join(&f, &w.r, &cat, &laptop);
	core_rig_run(&w.r);
	assert_int_equal(try_join(&w, &cat, &g, reason), ERR_LIMIT);
	fake_leave(&f);
	assert_int_equal(try_join(&w, &cat, &g, reason), 0);
	fake_leave(&g);
	world_close(&w);
}

/* Nor do those slip through that come before it is learnt. */
static void test_quota_of_a_crowd(void **state)
{
	static const struct core_agent third = {.id = "third"};
	struct manage_account_change ch = {.set = MANAGE_QUOTA_SESSIONS, .expected = STORE_ANY};
	char reason[CORE_REASON_TEXT];
	struct told_account made;
	struct access_who cat;
	struct world w;
	struct fake f, g;

	world_open(&w);
	made = account_rig_make(&w.r, NULL, "");
	assert_int_equal(account_rig_change(&w.r, &w.admin, made.account.id, &ch).e, 0);
	cat = account_rig_login(&w.r, made.token);
	assert_int_equal(try_join(&w, &cat, &f, reason), ERR_LIMIT); /* none at all */
	ch.to.quota.sessions = 1;
	assert_int_equal(account_rig_change(&w.r, &w.admin, made.account.id, &ch).e, 0);
	cat = account_rig_login(&w.r, made.token);
	fake_join(&f, &w.r, &cat, &third);
	assert_int_equal(try_join(&w, &cat, &g, reason), ERR_LIMIT); /* in the same turn */
	fake_leave(&f);
	world_close(&w);
}

/* Switched off after the login, while sessions of the account are still being told. */
static void test_off_before_joining(void **state)
{
	struct manage_account_change ch = off("spam");
	char reason[CORE_REASON_TEXT];
	struct access_who late;
	struct world w;
	struct fake f;

	world_open(&w);
	late = account_rig_login(&w.r, account_rig_token(&w.r, &w.ann, NULL).token);
	assert_int_equal(account_rig_change(&w.r, &w.admin, w.ann.account, &ch).e, 0);
	assert_int_equal(w.a.n_expelled, 1);
	if (try_join(&w, &late, &f, reason) == 0) {
		core_rig_run(&w.r);
		assert_int_equal(f.n_expelled, 1);
		expect_told(&f, ERR_DISABLED, "spam");
		fake_leave(&f);
	}
	world_close(&w);
}

static void test_a_new_number_ends_sessions(void **state)
{
	struct told_account t;
	struct manage_asker by;
	struct access_who who;
	struct fake f;
	struct world w;

	world_open(&w);
	by = account_rig_by(&t, &w.ann);
	account_rig_wait(&w.r, &t, manage_account_renumber(w.r.core, &by, STR("")));
	who = account_rig_login(&w.r, t.number);
	fake_join(&f, &w.r, &who, &(struct core_agent){.id = "third"});
	core_rig_run(&w.r);
	assert_int_equal(f.n_expelled, 0);
	by = account_rig_by(&t, &w.ann);
	account_rig_wait(&w.r, &t, manage_account_renumber(w.r.core, &by, STR("")));
	assert_int_equal(f.n_expelled, 1);
	expect_told(&f, ERR_AUTH, "revoked");
	expect_alive(&w, true, true, true);
	fake_leave(&f);
	who = account_rig_login(&w.r, t.number);
	fake_join(&f, &w.r, &who, &(struct core_agent){.id = "third"});
	core_rig_run(&w.r);
	assert_int_equal(f.n_expelled, 0);
	fake_leave(&f);
	world_close(&w);
}

/* ---- other nodes ---- */

/* Do something on another node of the same store. */
static void elsewhere(struct world *w, void (*act)(struct world *w))
{
	struct core *here = w->r.core;

	assert_int_equal(core_new(w->r.ev, &w->r.opt, &w->r.core), 0);
	act(w);
	core_free(w->r.core);
	w->r.core = here;
}

static void act_revoke(struct world *w)
{
	assert_int_equal(account_rig_revoke(&w->r, &w->ann, w->other.credential).e, 0);
}

static void act_off(struct world *w)
{
	struct manage_account_change ch = off("spam");

	assert_int_equal(account_rig_change(&w->r, &w->admin, w->ann.account, &ch).e, 0);
}

static void act_drop(struct world *w)
{
	assert_int_equal(account_rig_drop(&w->r, &w->admin, w->ann.account).e, 0);
}

static void test_other_nodes(void **state)
{
	static const struct {
		const char *why;
		void (*act)(struct world *w);
		bool a;
		int want;
	} cases[] = {
		{"a credential revoked", act_revoke, true, ERR_AUTH},
		{"an account switched off", act_off, false, ERR_DISABLED},
		{"an account deleted", act_drop, false, ERR_DELETED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		world_open(&w);
		ev_sim_run_for(w.r.ev, 3 * CORE_REFRESH_MS + 700);
		elsewhere(&w, cases[i].act);
		expect_alive(&w, true, true, true);
		ev_sim_run_for(w.r.ev, CORE_REFRESH_MS + 1000);
		assert_int_equal(w.o.why, cases[i].want);
		expect_alive(&w, cases[i].a, false, true);
		world_close(&w);
	}
}

static void test_a_store_that_is_away_ends_nothing(void **state)
{
	struct world w;

	world_open(&w);
	w.r.judge = core_rig_fail_all;
	w.r.judge_e = ERR_TIMEOUT;
	w.r.n_asked = 0;
	ev_sim_run_for(w.r.ev, 5 * CORE_REFRESH_MS);
	assert_true(w.r.n_asked > 20);
	expect_alive(&w, true, true, true);
	w.r.judge = NULL;
	elsewhere(&w, act_revoke);
	ev_sim_run_for(w.r.ev, CORE_REFRESH_MS + 1000);
	expect_alive(&w, true, false, true);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_revoking_ends_sessions),
		cmocka_unit_test(test_one_may_revoke_what_one_lives_from),
		cmocka_unit_test(test_off_ends_sessions),
		cmocka_unit_test(test_deleting_ends_sessions),
		cmocka_unit_test(test_the_time_is_up),
		cmocka_unit_test(test_the_clock_is_set),
		cmocka_unit_test(test_a_narrower_scope_takes_tunnels),
		cmocka_unit_test(test_a_session_that_leaves_when_told),
		cmocka_unit_test(test_who_may_not_join),
		cmocka_unit_test(test_quota_of_sessions),
		cmocka_unit_test(test_quota_is_learnt),
		cmocka_unit_test(test_quota_of_a_crowd),
		cmocka_unit_test(test_off_before_joining),
		cmocka_unit_test(test_a_new_number_ends_sessions),
		cmocka_unit_test(test_other_nodes),
		cmocka_unit_test(test_a_store_that_is_away_ends_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
