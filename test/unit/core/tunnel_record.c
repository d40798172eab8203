/* A tunnel follows its record: settings, custom domains, sessions that lose it; and policies. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "core/settings.h"
#include "unit/core/core_rig.h"

#define N_SESSIONS 3

struct world {
	struct core_rig r;
	struct access_who who;
	struct fake f[N_SESSIONS]; /* of one agent; all of them serve "demo" */
	uint64_t version;	   /* the last one that was told */
};

static void world_open(struct world *w)
{
	core_rig_new(&w->r, true);
	core_rig_account(&w->r, &w->who);
	for (unsigned i = 0; i < N_SESSIONS; i++) {
		struct core_agent agent = {.id = "laptop", .epoch = 1, .carrier = i};

		fake_join(&w->f[i], &w->r, &w->who, &agent);
		assert_int_equal(core_rig_attach(&w->f[i], "demo", "").result.e, 0);
	}
	w->version = 1000;
}

static void world_close(struct world *w)
{
	for (unsigned i = 0; i < N_SESSIONS; i++)
		fake_leave(&w->f[i]);
	core_rig_free(&w->r);
}

static struct tunnel *served(struct world *w, const char *name)
{
	return core_tunnel(w->r.core, str_of(name));
}

/* The core hears of a record, as from another node. more: members, with a comma in front. */
static void hear_of(struct world *w, const char *name, const char *account, const char *more)
{
	char value[1024];
	struct store_record rec = {.kind = RECORD_TUNNEL, .key = str_of(name)};
	size_t n = str_printf(value, sizeof value, "{\"account\":\"%s\",\"kind\":\"http\"%s}",
			      account, more);

	rec.value = (struct str){value, n};
	rec.version = ++w->version;
	core_on_record(w->r.core, &rec);
}

static void hear(struct world *w, const char *more)
{
	hear_of(w, "demo", w->who.account, more);
}

static void test_settings(void **state)
{
	const struct tunnel_settings *before, *s;
	struct tunnel_settings *held;
	struct world w;
	struct tunnel *t;

	world_open(&w);
	t = served(&w, "demo");
	before = tunnel_settings(t);
	assert_int_equal(before->kind, TUNNEL_HTTP);
	assert_false(before->rewrite);
	assert_null(before->rights);
	assert_string_equal(before->target, "");
	held = settings_ref(before);

	hear(&w, ",\"rewrite\":true,\"target\":\"http://localhost:3000\","
		 "\"rights\":{\"deny\":[\"10.0.0.0/8\"]}");
	s = tunnel_settings(t);
	assert_ptr_not_equal(s, before);
	assert_false(before->rewrite); /* who holds it sees what he saw */
	assert_true(s->rewrite);
	assert_int_equal(s->version, w.version);
	assert_string_equal(s->target, "http://localhost:3000");
	assert_int_equal(s->rights->n_deny, 1);
	assert_false(rights_allow_address(s->rights, "10.1.2.3"));
	core_rig_run(&w.r);
	assert_string_equal(held->target, ""); /* also when the loop has turned */
	settings_unref(w.r.ev, held);

	hear(&w, "");
	assert_null(tunnel_settings(t)->rights);
	world_close(&w);
}

static void test_what_says_nothing(void **state)
{
	struct store_record old = {.kind = RECORD_TUNNEL, .key = STR("demo")};
	struct store_record broken = {.kind = RECORD_TUNNEL,
				      .key = STR("demo"),
				      .value = STR("{\"account\":"),
				      .version = 5000};
	struct store_record elsewhere = {.kind = RECORD_TUNNEL, .key = STR("other")};
	struct world w;
	char value[256];

	world_open(&w);
	hear(&w, ",\"target\":\"new\"");
	str_printf(value, sizeof value,
		   "{\"account\":\"%s\",\"kind\":\"http\",\"target\":\"old\",\"enabled\":false}",
		   w.who.account);
	old.value = str_of(value);
	for (uint64_t back = 0; back < 2; back++) { /* the same one again, and an older one */
		old.version = w.version - back;
		core_on_record(w.r.core, &old);
	}
	core_on_record(w.r.core, &broken);
	core_on_record(w.r.core, &elsewhere);
	assert_string_equal(tunnel_settings(served(&w, "demo"))->target, "new");
	assert_int_equal(served(&w, "demo")->n_serving, N_SESSIONS);
	world_close(&w);
}

static void test_sessions_lose_it(void **state)
{
	static const struct {
		const char *why, *account, *more; /* account NULL: the record is gone */
		int code;
	} cases[] = {
		{"deleted", NULL, NULL, ERR_DELETED},
		{"switched off", "", ",\"enabled\":false", ERR_DISABLED},
		{"deleted, and somebody else has made it", "x", "", ERR_DELETED},
	};
	struct store_record gone = {.kind = RECORD_TUNNEL, .key = STR("demo")};

	for (int leave = 0; leave < 2; leave++) {
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			const char *account = cases[i].account;
			struct tunnel *t;
			struct world w;

			world_open(&w);
			assert_int_equal(core_rig_attach(&w.f[0], "more", "").result.e, 0);
			hear(&w, ",\"alt_names\":[\"a.example\"]");
			t = served(&w, "demo");
			for (int s = 0; s < N_SESSIONS; s++)
				w.f[s].leave_when_told = leave;
			if (account == NULL)
				core_on_record(w.r.core, &gone);
			else
				hear_of(&w, "demo", account[0] != '\0' ? account : w.who.account,
					cases[i].more);
			print_message("# %s\n", cases[i].why);
			assert_null(served(&w, "demo"));
			assert_null(core_tunnel_at(w.r.core, STR("a.example")));
			assert_non_null(tunnel_settings(t)); /* who holds it may still look */
			assert_int_equal(tunnel_choose(t), 0);
			for (int s = 0; s < N_SESSIONS; s++) {
				assert_int_equal(w.f[s].n_detached, 1);
				assert_string_equal(w.f[s].detached, "demo");
				assert_int_equal(w.f[s].why, cases[i].code);
				assert_true(strlen(w.f[s].reason) > 20);
			}
			assert_int_equal(served(&w, "more") == NULL, leave);
			world_close(&w);
		}
	}
}

static void test_hosts(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(core_rig_attach(&w.f[0], "two", "").result.e, 0);
	assert_null(core_tunnel_at(w.r.core, STR("a.example")));
	hear(&w, ",\"alt_names\":[\"a.example\",\"b.example\"]");
	assert_ptr_equal(core_tunnel_at(w.r.core, STR("a.example")), served(&w, "demo"));
	assert_ptr_equal(core_tunnel_at(w.r.core, STR("b.example")), served(&w, "demo"));
	assert_null(core_tunnel_at(w.r.core, STR("demo")));

	/* b moves: the later record counts, in whichever order the two are heard of */
	hear_of(&w, "two", w.who.account, ",\"alt_names\":[\"b.example\"]");
	assert_ptr_equal(core_tunnel_at(w.r.core, STR("b.example")), served(&w, "two"));
	hear(&w, ",\"alt_names\":[\"a.example\"]");
	assert_ptr_equal(core_tunnel_at(w.r.core, STR("b.example")), served(&w, "two"));
	assert_ptr_equal(core_tunnel_at(w.r.core, STR("a.example")), served(&w, "demo"));

	/* an earlier record takes nothing back */
	w.version -= 3;
	hear_of(&w, "two", w.who.account, "");
	assert_ptr_equal(core_tunnel_at(w.r.core, STR("b.example")), served(&w, "two"));
	w.version += 10;

	hear(&w, "");
	assert_null(core_tunnel_at(w.r.core, STR("a.example")));
	world_close(&w);
}

static void test_limit_of_sessions(void **state)
{
	struct core_agent other = {.id = "desktop", .epoch = 1};
	struct told_attach told;
	struct fake more;
	struct world w;

	world_open(&w);
	fake_join(&more, &w.r, &w.who, &other);
	hear(&w, ",\"sessions_max\":3");
	told = core_rig_attach(&more, "demo", "");
	assert_int_equal(told.result.e, ERR_LIMIT);
	assert_non_null(strstr(told.reason, "3"));
	hear(&w, ",\"sessions_max\":2"); /* nobody is thrown out */
	assert_int_equal(served(&w, "demo")->n_serving, 3);
	fake_leave(&w.f[0]);
	assert_int_equal(core_rig_attach(&more, "demo", "").result.e, ERR_LIMIT);
	fake_leave(&w.f[1]);
	assert_int_equal(core_rig_attach(&more, "demo", "").result.e, 0);
	fake_leave(&more);
	world_close(&w);
}

static void test_recheck(void **state)
{
	static const struct {
		const char *why, *tunnels;
		bool leave;
		unsigned want_detached, want_left;
	} cases[] = {
		{"all are in the scope", "demo one.x two.x", false, 0, 3},
		{"one is not", "demo one.x", false, 1, 2},
		{"only those under a label", "*.x", false, 1, 2},
		{"none is", "nothing", false, 3, 0},
		{"its owner closes it when told the first", "nothing", true, 1, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		struct fake *f = &w.f[0];

		world_open(&w);
		print_message("# %s\n", cases[i].why);
		assert_int_equal(core_rig_attach(f, "one.x", "").result.e, 0);
		assert_int_equal(core_rig_attach(f, "two.x", "").result.e, 0);
		f->leave_when_told = cases[i].leave;
		str_printf(f->member->grant->who.scope.tunnels, ACCESS_TUNNELS_TEXT, "%s",
			   cases[i].tunnels);
		tunnel_recheck(f->member);
		assert_int_equal(f->n_detached, cases[i].want_detached);
		if (cases[i].want_detached > 0)
			assert_int_equal(f->why, ERR_DENIED);
		assert_int_equal(f->member == NULL ? 0 : member_n_tunnels(f->member),
				 cases[i].want_left);
		assert_int_equal(w.f[1].n_detached, 0); /* each member asks for itself */
		world_close(&w);
	}
}

/* The right to a session is asked for at each open. */
static void test_whoever_may_not_is_passed_over(void **state)
{
	struct visit v = {.ingress = VISIT_HTTP};
	struct access_who *who;
	struct wire *wire;
	uint64_t place;
	struct world w;

	world_open(&w);
	who = &w.f[0].member->grant->who; /* of all three */
	str_printf(who->scope.tunnels, sizeof who->scope.tunnels, "other");
	assert_int_equal(tunnel_choose(served(&w, "demo")), 0);
	assert_int_equal(tunnel_dial(served(&w, "demo"), &v, &place, &wire), ERR_NOSESSION);
	who->scope.tunnels[0] = '\0';
	who->scope.until_ms = ev_wall_ms(w.r.ev) + 1000;
	assert_int_equal(tunnel_dial(served(&w, "demo"), &v, &place, &wire), 0);
	who->scope.until_ms = ev_wall_ms(w.r.ev);
	assert_int_equal(tunnel_dial(served(&w, "demo"), &v, &place, &wire), ERR_NOSESSION);
	who->scope.until_ms = 0;
	who->enabled = false;
	assert_int_equal(tunnel_dial(served(&w, "demo"), &v, &place, &wire), ERR_NOSESSION);
	who->enabled = true;
	assert_int_equal(tunnel_dial(served(&w, "demo"), &v, &place, &wire), 0);
	world_close(&w);
}

static void test_policies(void **state)
{
	static const struct {
		const char *why, *policy;
		size_t n_streams[N_SESSIONS];
		int draining;	  /* this one; -1: none */
		const char *want; /* who is dialled, one after the other; streams end at once */
	} cases[] = {
		{"the emptiest", "least-conn", {2, 1, 3}, -1, "1111"},
		{"equals take turns", "least-conn", {1, 1, 1}, -1, "210210"},
		{"turns whatever they carry", "round-robin", {9, 0, 4}, -1, "210210"},
		{"turns of those that can", "round-robin", {9, 0, 4}, 1, "2020"},
		{"the oldest, whatever it carries", "failover", {9, 0, 0}, -1, "0000"},
		{"the next one when it goes", "failover", {9, 5, 0}, 0, "1111"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct visit v = {.ingress = VISIT_HTTP};
		char more[64];
		struct world w;

		world_open(&w);
		print_message("# %s\n", cases[i].why);
		str_printf(more, sizeof more, ",\"policy\":\"%s\"", cases[i].policy);
		hear(&w, more);
		for (const char *p = cases[i].want; *p != '\0'; p++) {
			unsigned before = w.f[*p - '0'].n_opened;
			struct wire *wire;
			uint64_t place, chosen;

			for (int s = 0; s < N_SESSIONS; s++) {
				w.f[s].session.n_streams = cases[i].n_streams[s];
				w.f[s].session.is_draining = s == cases[i].draining;
			}
			chosen = tunnel_choose(served(&w, "demo"));
			assert_int_equal(tunnel_dial(served(&w, "demo"), &v, &place, &wire), 0);
			assert_int_equal(place, chosen);
			assert_int_equal(w.f[*p - '0'].n_opened, before + 1);
		}
		world_close(&w);
	}
}

/* A stream that was kept is a turn where turns are taken, and nothing elsewhere. */
static void test_kept_streams(void **state)
{
	static const struct {
		const char *why, *policy, *want; /* who is chosen, one after the other */
	} cases[] = {
		{"turns are taken", "round-robin", "210210"},
		{"the emptiest keeps what it has", "least-conn", "222222"},
		{"the oldest is the oldest", "failover", "000000"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char more[64], got[8];
		struct world w;
		size_t n = 0;

		world_open(&w);
		str_printf(more, sizeof more, ",\"policy\":\"%s\"", cases[i].policy);
		hear(&w, more);
		for (; n < strlen(cases[i].want); n++) {
			uint64_t place = tunnel_choose(served(&w, "demo"));

			for (char s = 0; s < N_SESSIONS; s++)
				if (tunnel_find_serving(w.f[(int)s].member, STR("demo"))->place ==
				    place)
					got[n] = (char)('0' + s);
			tunnel_used(served(&w, "demo"), place);
			tunnel_used(served(&w, "demo"), 1000000); /* one that is no more */
		}
		got[n] = '\0';
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, got);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_what_says_nothing),
		cmocka_unit_test(test_sessions_lose_it),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_limit_of_sessions),
		cmocka_unit_test(test_recheck),
		cmocka_unit_test(test_whoever_may_not_is_passed_over),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_kept_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
