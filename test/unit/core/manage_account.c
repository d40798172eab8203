/* Accounts by the API: who may make, see, change and delete them, and what goes with them. */
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

struct world {
	struct core_rig r;
	struct access_who admin, ann;
	char ann_number[CORE_NUMBER_TEXT];
};

static void world_open(struct world *w, enum core_registration registration)
{
	struct told_account made;

	core_rig_new(&w->r, true);
	account_rig_start(&w->r, &w->admin);
	made = account_rig_make(&w->r, NULL, "");
	assert_int_equal(made.e, 0);
	w->ann = account_rig_login(&w->r, made.token);
	memcpy(w->ann_number, made.number, sizeof w->ann_number);
	core_free(w->r.core);
	w->r.opt.registration = registration;
	assert_int_equal(core_new(w->r.ev, &w->r.opt, &w->r.core), 0);
}

static void world_close(struct world *w)
{
	core_rig_free(&w->r);
}

static struct told_account invite(struct world *w, const struct access_who *who, uint64_t uses,
				  int64_t until_ms)
{
	struct manage_new_invite n = {.name = STR("for a friend"),
				      .uses = uses,
				      .until_ms = until_ms};
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	account_rig_wait(&w->r, &t, manage_invite_make(w->r.core, &by, &n));
	return t;
}

/* ---- making ---- */

static void test_who_may_make(void **state)
{
	static const struct {
		const char *why;
		enum core_registration registration;
		char who;  /* -: nobody, m: ann, a: the administrator */
		char code; /* g: a good one, w: a wrong one, -: none */
		int want;
		const char *field;
	} cases[] = {
		{"open to all", CORE_OPEN, '-', '-', 0, ""},
		{"open, invited", CORE_OPEN, '-', 'g', 0, ""},
		{"open, a wrong invitation", CORE_OPEN, '-', 'w', ERR_DENIED, "invitation"},
		{"open, by somebody with an account", CORE_OPEN, 'm', '-', 0, ""},
		{"by invitation", CORE_BY_INVITATION, '-', 'g', 0, ""},
		{"by invitation, none", CORE_BY_INVITATION, '-', '-', ERR_DENIED, "invitation"},
		{"by invitation, wrong", CORE_BY_INVITATION, '-', 'w', ERR_DENIED, "invitation"},
		{"by invitation, with an account", CORE_BY_INVITATION, 'm', '-', ERR_DENIED,
		 "invitation"},
		{"by invitation, the administrator", CORE_BY_INVITATION, 'a', '-', 0, ""},
		{"closed", CORE_CLOSED, '-', '-', ERR_DENIED, ""},
		{"closed, invited", CORE_CLOSED, '-', 'g', ERR_DENIED, ""},
		{"closed, with an account", CORE_CLOSED, 'm', '-', ERR_DENIED, ""},
		{"closed, the administrator", CORE_CLOSED, 'a', '-', 0, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_account code, t;
		struct world w;

		world_open(&w, cases[i].registration);
		code = invite(&w, &w.admin, 1, 0);
		assert_int_equal(code.e, 0);
		t = account_rig_make(&w.r,
				     cases[i].who == '-'   ? NULL
				     : cases[i].who == 'm' ? &w.ann
							   : &w.admin,
				     cases[i].code == '-'   ? ""
				     : cases[i].code == 'g' ? code.token
							    : "CDEF-HJKM-NPRT-VWXY");
		if (t.e != cases[i].want || strcmp(t.field, cases[i].field) != 0)
			fail_msg("%s: %s, field \"%s\"", cases[i].why, err_name(t.e), t.field);
		if (t.e == 0) {
			assert_true(t.created);
			assert_true(t.version != 0);
			assert_int_equal(strlen(t.number), 19);
			assert_string_equal(t.account.name, "somebody");
			assert_string_equal(account_rig_login(&w.r, t.number).account,
					    t.account.id);
			assert_string_equal(account_rig_login(&w.r, t.token).account, t.account.id);
		} else {
			assert_string_equal(t.token, "");
		}
		world_close(&w);
	}
}

static void test_strangers_are_counted(void **state)
{
	struct world w;

	world_open(&w, CORE_OPEN);
	while (account_may_register(w.r.core))
		;
	assert_int_equal(account_rig_make(&w.r, NULL, "").e, ERR_LIMIT);
	assert_int_equal(account_rig_make(&w.r, &w.ann, "").e, ERR_LIMIT);
	assert_int_equal(account_rig_make(&w.r, NULL, invite(&w, &w.admin, 1, 0).token).e, 0);
	assert_int_equal(account_rig_make(&w.r, &w.admin, "").e, 0);
	world_close(&w);
}

static void test_invitations(void **state)
{
	struct told_account two, soon, t;
	struct manage_page page = {.limit = 10};
	struct manage_asker by;
	struct world w;
	char lower[CORE_TOKEN_TEXT], unknown[512];

	world_open(&w, CORE_BY_INVITATION);
	two = invite(&w, &w.admin, 2, 0);
	assert_int_equal(two.e, 0);
	assert_int_equal(strlen(two.token), 19);
	soon = invite(&w, &w.admin, 5, ev_wall_ms(w.r.ev) + 60000);
	by = account_rig_by(&t, &w.admin);
	account_rig_wait(&w.r, &t, manage_invite_list(w.r.core, &by, &page));
	assert_int_equal(t.n, 2);

	str_printf(unknown, sizeof unknown, "%s", account_rig_make(&w.r, NULL, "x").reason);
	for (size_t i = 0; i <= strlen(two.token); i++)
		lower[i] = ascii_lower(two.token[i]);
	assert_int_equal(account_rig_make(&w.r, NULL, lower).e, 0);
	assert_int_equal(account_rig_make(&w.r, NULL, two.token).e, 0);
	t = account_rig_make(&w.r, NULL, two.token);
	assert_int_equal(t.e, ERR_DENIED); /* used up is as good as unknown */
	assert_string_equal(t.reason, unknown);

	assert_int_equal(account_rig_make(&w.r, NULL, soon.token).e, 0);
	ev_sim_run_for(w.r.ev, 61000);
	t = account_rig_make(&w.r, NULL, soon.token);
	assert_int_equal(t.e, ERR_DENIED);
	assert_string_equal(t.reason, unknown);
	world_close(&w);
}

static void test_who_may_invite(void **state)
{
	struct manage_page page = {.limit = 10};
	struct told_account made, t;
	struct manage_asker by;
	struct world w;

	world_open(&w, CORE_OPEN);
	assert_int_equal(invite(&w, NULL, 1, 0).e, ERR_AUTH);
	assert_int_equal(invite(&w, &w.ann, 1, 0).e, ERR_DENIED);
	assert_string_equal(invite(&w, &w.admin, 0, 0).field, "uses");
	assert_string_equal(invite(&w, &w.admin, 1, 5).field, "expires_at");
	made = invite(&w, &w.admin, 1, 0);
	assert_int_equal(made.e, 0);
	assert_string_equal(made.invite.name, "for a friend");

	by = account_rig_by(&t, &w.ann);
	account_rig_wait(&w.r, &t, manage_invite_list(w.r.core, &by, &page));
	assert_int_equal(t.e, ERR_DENIED);
	by = account_rig_by(&t, &w.ann);
	account_rig_wait(&w.r, &t, manage_invite_drop(w.r.core, &by, str_of(made.invite.id)));
	assert_int_equal(t.e, ERR_DENIED);
	by = account_rig_by(&t, &w.admin);
	account_rig_wait(&w.r, &t, manage_invite_drop(w.r.core, &by, STR("abc")));
	assert_int_equal(t.e, ERR_NOTFOUND);
	by = account_rig_by(&t, &w.admin);
	account_rig_wait(&w.r, &t, manage_invite_drop(w.r.core, &by, str_of(made.invite.id)));
	assert_int_equal(t.e, 0);
	assert_int_equal(account_rig_make(&w.r, NULL, made.token).e, ERR_DENIED);
	world_close(&w);
}

/* ---- seeing ---- */

static void test_who_may_see(void **state)
{
	struct access_scope scope = {.tunnels = "demo"};
	struct access_who limited;
	struct world w;

	world_open(&w, CORE_OPEN);
	assert_int_equal(account_rig_get(&w.r, NULL, "").e, ERR_AUTH);
	assert_string_equal(account_rig_get(&w.r, &w.ann, "").account.id, w.ann.account);
	assert_string_equal(account_rig_get(&w.r, &w.ann, w.ann.account).account.id, w.ann.account);
	assert_int_equal(account_rig_get(&w.r, &w.ann, w.admin.account).e, ERR_NOTFOUND);
	assert_int_equal(account_rig_get(&w.r, &w.ann, "nobody").e, ERR_NOTFOUND);
	assert_int_equal(account_rig_get(&w.r, &w.ann, "much too long for an id").e, ERR_NOTFOUND);
	assert_string_equal(account_rig_get(&w.r, &w.admin, w.ann.account).account.id,
			    w.ann.account);
	assert_int_equal(account_rig_get(&w.r, &w.admin, "nobody").e, ERR_NOTFOUND);
	assert_int_equal(account_rig_get(&w.r, &w.admin, "a/b").e, ERR_NOTFOUND);
	limited = account_rig_login(&w.r, account_rig_token(&w.r, &w.ann, &scope).token);
	assert_int_equal(account_rig_get(&w.r, &limited, "").e, 0);
	assert_int_equal(account_rig_drop(&w.r, &limited, "").e, ERR_DENIED);
	world_close(&w);
}

static void test_list_pages(void **state)
{
	char seen[16][CORE_ID_TEXT], after[80] = "";
	struct told_account t;
	struct manage_asker by;
	struct world w;
	size_t n = 0;

	world_open(&w, CORE_OPEN);
	for (int i = 0; i < 7; i++)
		assert_int_equal(account_rig_make(&w.r, NULL, "").e, 0);
	do {
		struct manage_page page = {.after = str_of(after), .limit = 4};

		by = account_rig_by(&t, &w.admin);
		account_rig_wait(&w.r, &t, manage_account_list(w.r.core, &by, &page));
		assert_int_equal(t.e, 0);
		for (size_t i = 0; i < t.n; i++) {
			for (size_t k = 0; k < n; k++)
				assert_string_not_equal(seen[k], t.ids[i]);
			memcpy(seen[n++], t.ids[i], CORE_ID_TEXT);
		}
		memcpy(after, t.after, sizeof after);
	} while (t.more);
	assert_int_equal(n, 9);
	by = account_rig_by(&t, &w.ann);
	account_rig_wait(&w.r, &t,
			 manage_account_list(w.r.core, &by, &(struct manage_page){.limit = 4}));
	assert_int_equal(t.e, ERR_DENIED);
	world_close(&w);
}

/* ---- changing ---- */

static void test_changes(void **state)
{
	static const struct manage_account_change all_ports = {.set = MANAGE_PORTS,
							       .expected = STORE_ANY};
	static const struct {
		const char *why;
		bool admin;
		struct manage_account_change ch;
		int want;
		const char *field;
	} cases[] = {
		{"one's own name",
		 false,
		 {.set = MANAGE_NAME, .to.name = " Ann ", .expected = STORE_ANY},
		 0,
		 ""},
		{"a name of two lines",
		 false,
		 {.set = MANAGE_NAME, .to.name = "a\nb", .expected = STORE_ANY},
		 ERR_INVAL,
		 "name"},
		{"a name that is not UTF-8",
		 false,
		 {.set = MANAGE_NAME, .to.name = "\xff", .expected = STORE_ANY},
		 ERR_INVAL,
		 "name"},
		{"a control character of C1",
		 false,
		 {.set = MANAGE_NAME, .to.name = "\xc2\x85", .expected = STORE_ANY},
		 ERR_INVAL,
		 "name"},
		{"one's own quota",
		 false,
		 {.set = MANAGE_QUOTA_TUNNELS, .to.quota.tunnels = 9, .expected = STORE_ANY},
		 ERR_DENIED,
		 ""},
		{"to be an administrator",
		 false,
		 {.set = MANAGE_ADMIN | MANAGE_NAME, .to.admin = true, .expected = STORE_ANY},
		 ERR_DENIED,
		 ""},
		{"another version",
		 false,
		 {.set = MANAGE_NAME, .to.name = "x", .expected = 12345678},
		 ERR_CONFLICT,
		 ""},
		{"a quota by an administrator",
		 true,
		 {.set = MANAGE_QUOTA_TUNNELS, .to.quota.tunnels = 9, .expected = STORE_ANY},
		 0,
		 ""},
		{"one's own ports",
		 false,
		 {.set = MANAGE_PORTS,
		  .to.ports = {{443, 443}},
		  .to.n_ports = 1,
		  .expected = STORE_ANY},
		 ERR_DENIED,
		 ""},
		{"ports from the last to the first",
		 true,
		 {.set = MANAGE_PORTS,
		  .to.ports = {{9, 8}},
		  .to.n_ports = 1,
		  .expected = STORE_ANY},
		 ERR_INVAL,
		 "ports"},
		{"port 0",
		 true,
		 {.set = MANAGE_PORTS,
		  .to.ports = {{0, 8}},
		  .to.n_ports = 1,
		  .expected = STORE_ANY},
		 ERR_INVAL,
		 "ports"},
		{"too many ranges",
		 true,
		 {.set = MANAGE_PORTS, .to.n_ports = ACCESS_PORTS_MAX + 1, .expected = STORE_ANY},
		 ERR_INVAL,
		 "ports"},
		{"ports by an administrator",
		 true,
		 {.set = MANAGE_PORTS,
		  .to.ports = {{443, 443}, {2000, 2010}},
		  .to.n_ports = 2,
		  .expected = STORE_ANY},
		 0,
		 ""},
		{"too great a quota",
		 true,
		 {.set = MANAGE_QUOTA_SESSIONS,
		  .to.quota.sessions = UINT64_MAX,
		  .expected = STORE_ANY},
		 ERR_INVAL,
		 "quota.sessions"},
		{"off, with a reason",
		 true,
		 {.set = MANAGE_ENABLED | MANAGE_WHY, .to.why = "spam", .expected = STORE_ANY},
		 0,
		 ""},
		{"on again",
		 true,
		 {.set = MANAGE_ENABLED, .to.enabled = true, .expected = STORE_ANY},
		 0,
		 ""},
	};
	struct told_account t;
	struct world w;

	world_open(&w, CORE_OPEN);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t before = account_rig_get(&w.r, &w.admin, w.ann.account).version;

		t = account_rig_change(&w.r, cases[i].admin ? &w.admin : &w.ann, w.ann.account,
				       &cases[i].ch);
		if (t.e != cases[i].want || strcmp(t.field, cases[i].field) != 0)
			fail_msg("%s: %s, field \"%s\"", cases[i].why, err_name(t.e), t.field);
		if (t.e != 0)
			continue;
		assert_int_not_equal(t.version, before);
		assert_int_equal(t.version, account_rig_get(&w.r, &w.admin, w.ann.account).version);
	}
	assert_string_equal(t.account.name, "Ann");
	assert_string_equal(t.account.why, "");
	assert_true(t.account.enabled);
	assert_int_equal(t.account.quota.tunnels, 9);
	assert_int_equal(t.account.quota.sessions, RECORD_SESSIONS_USUAL);
	assert_int_equal(t.account.n_ports, 2);
	assert_int_equal(t.account.ports[1].last, 2010);
	/* whoever logs in is told; none is all */
	assert_int_equal(account_rig_login(&w.r, w.ann_number).n_ports, 2);
	assert_int_equal(account_rig_login(&w.r, w.ann_number).ports[0].first, 443);
	assert_int_equal(account_rig_change(&w.r, &w.admin, w.ann.account, &all_ports).e, 0);
	assert_int_equal(account_rig_login(&w.r, w.ann_number).n_ports, 0);
	world_close(&w);
}

static void test_an_administrator_stays(void **state)
{
	struct manage_account_change off = {.set = MANAGE_ENABLED, .expected = STORE_ANY};
	struct manage_account_change demoted = {.set = MANAGE_ADMIN, .expected = STORE_ANY};
	struct manage_account_change promoted = {.set = MANAGE_ADMIN,
						 .to.admin = true,
						 .expected = STORE_ANY};
	struct access_who ann;
	struct world w;

	world_open(&w, CORE_OPEN);
	assert_int_equal(account_rig_change(&w.r, &w.admin, "", &off).e, ERR_DENIED);
	assert_int_equal(account_rig_change(&w.r, &w.admin, "", &demoted).e, ERR_DENIED);
	assert_int_equal(account_rig_drop(&w.r, &w.admin, "").e, ERR_DENIED);
	assert_int_equal(account_rig_change(&w.r, &w.admin, w.ann.account, &promoted).e, 0);
	ann = account_rig_login(&w.r, w.ann_number);
	assert_int_equal(account_rig_change(&w.r, &ann, w.admin.account, &demoted).e, 0);
	assert_int_equal(account_rig_drop(&w.r, &ann, w.admin.account).e, 0);
	assert_int_equal(account_rig_drop(&w.r, &ann, "").e, ERR_DENIED);
	world_close(&w);
}

static void test_off_means_no_login(void **state)
{
	struct manage_account_change off = {.set = MANAGE_ENABLED | MANAGE_WHY,
					    .to.why = "spam",
					    .expected = STORE_ANY};
	struct told_login l;
	struct world w;

	world_open(&w, CORE_OPEN);
	assert_int_equal(account_rig_change(&w.r, &w.admin, w.ann.account, &off).e, 0);
	assert_non_null(strstr(w.r.last_line, "event=account-off"));
	assert_null(strstr(w.r.last_line, "spam"));
	l = core_rig_login(&w.r, str_of(w.ann_number));
	assert_int_equal(l.result.e, ERR_DISABLED);
	assert_non_null(strstr(l.reason, "spam"));
	world_close(&w);
}

static void test_a_new_number(void **state)
{
	struct told_account t;
	struct manage_asker by;
	struct world w;

	world_open(&w, CORE_OPEN);
	by = account_rig_by(&t, &w.ann);
	account_rig_wait(&w.r, &t, manage_account_renumber(w.r.core, &by, STR("")));
	assert_int_equal(t.e, 0);
	assert_string_not_equal(t.number, w.ann_number);
	assert_int_equal(core_rig_login(&w.r, str_of(w.ann_number)).result.e, ERR_AUTH);
	assert_string_equal(account_rig_login(&w.r, t.number).account, w.ann.account);
	assert_int_equal(account_rig_count(&w.r, "proof", "number:"), 1);

	/* the first administrator has none before they ask */
	by = account_rig_by(&t, &w.admin);
	account_rig_wait(&w.r, &t, manage_account_renumber(w.r.core, &by, STR("")));
	assert_int_equal(t.e, 0);
	assert_true(account_rig_login(&w.r, t.number).admin);
	world_close(&w);
}

/* ---- deleting ---- */

static void own(struct world *w, const char *account, const char *kind, const char *key)
{
	char owned[300];

	core_rig_put(&w->r, kind, key, "{}");
	str_printf(owned, sizeof owned, "%s/%s/%s", account, kind, key);
	core_rig_put(&w->r, "owned", owned, "{}");
}

static void own_many(struct world *w, size_t n)
{
	char key[40];

	for (size_t i = 0; i < n; i++) {
		str_printf(key, sizeof key, "thing-%zu", i);
		own(w, w->ann.account, i % 2 == 0 ? "claim" : "domain", key);
	}
}

static void expect_nothing_of(struct world *w, const char *account)
{
	assert_int_equal(account_rig_count(&w->r, "account", account), 0);
	assert_int_equal(account_rig_count(&w->r, "credential", account), 0);
	assert_int_equal(account_rig_count(&w->r, "owned", account), 0);
	assert_int_equal(account_rig_count(&w->r, "claim", ""), 0);
	assert_int_equal(account_rig_count(&w->r, "domain", ""), 0);
	assert_int_equal(account_rig_count(&w->r, "proof", "number:"), 0);
}

static int hold_first_write(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE && r->judge_e++ == 0 ? CORE_RIG_HOLD : 0;
}

/* A new number is being written while its account goes. */
static void test_no_number_outlives_an_account(void **state)
{
	struct told_account t, dropped;
	struct manage_asker by;
	struct world w;

	world_open(&w, CORE_OPEN);
	w.r.judge = hold_first_write;
	w.r.judge_e = 0;
	by = account_rig_by(&t, &w.ann);
	assert_non_null(manage_account_renumber(w.r.core, &by, STR("")));
	core_rig_run(&w.r);
	assert_int_equal(t.calls, 0);
	by = account_rig_by(&dropped, &w.ann);
	account_rig_wait(&w.r, &dropped, manage_account_drop(w.r.core, &by, STR(""), STORE_ANY));
	assert_int_equal(dropped.e, 0);
	core_rig_release(&w.r);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.e, ERR_NOTFOUND);
	expect_nothing_of(&w, w.ann.account);
	world_close(&w);
}

static void test_a_large_account_goes(void **state)
{
	struct told_account t;
	struct world w;

	world_open(&w, CORE_OPEN);
	own_many(&w, 300);
	assert_int_equal(account_rig_drop(&w.r, &w.admin, "nobody").e, ERR_NOTFOUND);
	t = account_rig_drop(&w.r, &w.ann, "");
	assert_int_equal(t.e, 0);
	assert_non_null(strstr(w.r.last_line, "event=account-deleted"));
	expect_nothing_of(&w, w.ann.account);
	assert_int_equal(account_rig_get(&w.r, &w.admin, "").account.n_credentials, 1);
	assert_int_equal(core_rig_login(&w.r, str_of(w.ann_number)).result.e, ERR_AUTH);
	world_close(&w);
}

static int fail_fifth_write(struct core_rig *r, const struct store_req *req)
{
	static const int last = 4;

	if (req->verb != STORE_WRITE)
		return 0;
	return r->judge_e++ < last ? 0 : ERR_IO;
}

static void test_a_second_call_goes_on(void **state)
{
	struct told_login l;
	struct world w;

	world_open(&w, CORE_OPEN);
	own_many(&w, 300);
	w.r.judge = fail_fifth_write;
	w.r.judge_e = 0;
	assert_int_equal(account_rig_drop(&w.r, &w.ann, "").e, ERR_IO);
	w.r.judge = NULL;
	assert_in_range(account_rig_count(&w.r, "owned", w.ann.account), 100, 299);
	l = core_rig_login(&w.r, str_of(w.ann_number));
	assert_true(l.result.e == ERR_DISABLED || l.result.e == ERR_AUTH);
	/* nobody brings it back half */
	assert_int_equal(account_rig_change(&w.r, &w.admin, w.ann.account,
					    &(struct manage_account_change){.set = MANAGE_ENABLED,
									    .to.enabled = true,
									    .expected = STORE_ANY})
				 .e,
			 ERR_NOTFOUND);
	assert_int_equal(account_rig_drop(&w.r, &w.admin, w.ann.account).e, 0);
	expect_nothing_of(&w, w.ann.account);
	world_close(&w);
}

static int hold_third_write(struct core_rig *r, const struct store_req *req)
{
	if (req->verb != STORE_WRITE)
		return 0;
	return ++r->judge_e == 3 ? CORE_RIG_HOLD : 0;
}

/* Whoever asked for it hangs up in the middle: its names must not stay taken by nobody. */
static void test_nobody_waits_for_the_end(void **state)
{
	struct told_account t;
	struct manage_asker by;
	struct manage *m;
	struct world w;

	world_open(&w, CORE_OPEN);
	own_many(&w, 300);
	w.r.judge = hold_third_write;
	w.r.judge_e = 0;
	by = account_rig_by(&t, &w.ann);
	assert_non_null(m = manage_account_drop(w.r.core, &by, STR(""), STORE_ANY));
	core_rig_run(&w.r);
	assert_in_range(account_rig_count(&w.r, "owned", w.ann.account), 100, 299);
	manage_cancel(m);
	core_rig_release(&w.r);
	assert_int_equal(t.calls, 0);
	expect_nothing_of(&w, w.ann.account);
	world_close(&w);
}

static void test_what_went_elsewhere_stays(void **state)
{
	struct world w;
	char *left;

	world_open(&w, CORE_OPEN);
	own(&w, w.ann.account, "claim", "mine");
	core_rig_put(&w.r, "claim", "other", "{\"account\":\"somebody\"}");
	own(&w, "zzzzzzzzzzzz", "claim", "theirs");
	assert_int_equal(account_rig_drop(&w.r, &w.ann, "").e, 0);
	assert_null(core_rig_get(&w.r, "claim", "mine"));
	assert_non_null(left = core_rig_get(&w.r, "claim", "other"));
	free(left);
	assert_non_null(left = core_rig_get(&w.r, "claim", "theirs"));
	free(left);
	world_close(&w);
}

static void test_wrong_version_deletes_nothing(void **state)
{
	struct told_account t;
	struct manage_asker by;
	struct world w;

	world_open(&w, CORE_OPEN);
	by = account_rig_by(&t, &w.ann);
	account_rig_wait(&w.r, &t, manage_account_drop(w.r.core, &by, STR(""), 987654321));
	assert_int_equal(t.e, ERR_CONFLICT);
	assert_true(account_rig_get(&w.r, &w.ann, "").account.enabled);
	world_close(&w);
}

/* ---- a store that fails ---- */

static int fail_writes(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? r->judge_e : 0;
}

static void test_a_full_disk(void **state)
{
	struct manage_account_change name = {.set = MANAGE_NAME,
					     .to.name = "x",
					     .expected = STORE_ANY};
	struct world w;

	world_open(&w, CORE_OPEN);
	w.r.judge = fail_writes;
	w.r.judge_e = ERR_FULL;
	assert_int_equal(account_rig_make(&w.r, NULL, "").e, ERR_FULL);
	assert_string_equal(account_rig_make(&w.r, NULL, "").token, "");
	assert_int_equal(account_rig_change(&w.r, &w.ann, "", &name).e, ERR_FULL);
	assert_int_equal(account_rig_drop(&w.r, &w.ann, "").e, ERR_FULL);
	assert_int_equal(invite(&w, &w.admin, 1, 0).e, ERR_FULL);
	assert_int_equal(account_rig_get(&w.r, &w.ann, "").e, 0);
	w.r.judge_e = ERR_CONFLICT;
	assert_int_equal(account_rig_change(&w.r, &w.ann, "", &name).e, ERR_LIMIT);
	world_close(&w);
}

static void test_core_goes_and_cancel(void **state)
{
	struct told_account told[2];
	struct manage_asker by;
	struct manage *m;
	struct world w;

	world_open(&w, CORE_OPEN);
	ev_sim_run_for(w.r.ev, 2 * STORE_PEEK_MS);
	w.r.judge = core_rig_hold_all;
	by = account_rig_by(&told[0], &w.ann);
	assert_non_null(m = manage_account_drop(w.r.core, &by, STR(""), STORE_ANY));
	by = account_rig_by(&told[1], &w.admin);
	assert_non_null(manage_account_drop(w.r.core, &by, STR(""), STORE_ANY));
	core_rig_run(&w.r);
	manage_cancel(m);
	core_free(w.r.core);
	w.r.core = NULL;
	core_rig_release(&w.r);
	assert_int_equal(told[0].calls, 0);
	assert_int_equal(told[1].calls, 1);
	assert_int_equal(told[1].e, ERR_CLOSED);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may_make),
		cmocka_unit_test(test_strangers_are_counted),
		cmocka_unit_test(test_invitations),
		cmocka_unit_test(test_who_may_invite),
		cmocka_unit_test(test_who_may_see),
		cmocka_unit_test(test_list_pages),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_an_administrator_stays),
		cmocka_unit_test(test_off_means_no_login),
		cmocka_unit_test(test_a_new_number),
		cmocka_unit_test(test_a_large_account_goes),
		cmocka_unit_test(test_a_second_call_goes_on),
		cmocka_unit_test(test_nobody_waits_for_the_end),
		cmocka_unit_test(test_no_number_outlives_an_account),
		cmocka_unit_test(test_what_went_elsewhere_stays),
		cmocka_unit_test(test_wrong_version_deletes_nothing),
		cmocka_unit_test(test_a_full_disk),
		cmocka_unit_test(test_core_goes_and_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
