/* Who is there, and how a person ends a session: what an agent is told, and what is shown. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/manage_rig.h"

static struct told_manage sessions(struct manage_rig *g, const struct access_who *who,
				   const char *name)
{
	struct told_manage told;
	struct manage_asker by = manage_rig_asker(who, &told);

	assert_non_null(manage_sessions(g->r.core, &by, str_of(name)));
	core_rig_run(&g->r);
	assert_int_equal(told.calls, 1);
	return told;
}

static struct told_manage visitors(struct manage_rig *g, const struct access_who *who,
				   const char *name)
{
	struct told_manage told;
	struct manage_asker by = manage_rig_asker(who, &told);

	assert_non_null(manage_visitors(g->r.core, &by, str_of(name)));
	core_rig_run(&g->r);
	assert_int_equal(told.calls, 1);
	return told;
}

static struct told_manage disconnect(struct manage_rig *g, const struct access_who *who,
				     uint64_t session, struct str reason)
{
	struct told_manage told;
	struct manage_asker by = manage_rig_asker(who, &told);

	assert_non_null(manage_disconnect(g->r.core, &by, STR("demo"), session, reason));
	core_rig_run(&g->r);
	assert_int_equal(told.calls, 1);
	return told;
}

static void world_open(struct manage_rig *g)
{
	manage_rig_new(g);
	assert_int_equal(core_rig_attach(&g->a, "demo", "").result.e, 0);
	assert_int_equal(core_rig_attach(&g->a, "more", "").result.e, 0);
}

static void test_sessions(void **state)
{
	struct core_agent desktop = {.id = "desktop", .epoch = 77, .carrier = 3};
	struct told_manage told;
	struct manage_rig g;
	struct fake second;

	world_open(&g);
	fake_join(&second, &g.r, &g.ann, &desktop);
	assert_int_equal(core_rig_attach(&second, "demo", "").result.e, 0);
	second.session.n_streams = 5;
	second.session.rtt_us = 1234;
	second.session.is_draining = true;
	second.session.asked_ms = 1;
	member_set_health(second.member, STR("demo"), false);
	ev_sim_run_for(g.r.ev, 1000);
	told = sessions(&g, &g.ann, "demo");
	assert_int_equal(told.e, 0);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.sessions[0].number, member_number(g.a.member));
	assert_string_equal(told.sessions[0].agent, "laptop");
	assert_string_equal(told.sessions[0].account, g.ann.account);
	assert_int_equal(told.sessions[1].number, member_number(second.member));
	assert_string_equal(told.sessions[1].agent, "desktop");
	assert_int_equal(told.sessions[1].epoch, 77);
	assert_int_equal(told.sessions[1].carrier, 3);
	assert_int_equal(told.sessions[1].n_streams, 5);
	assert_int_equal(told.sessions[1].rtt_us, 1234);
	assert_true(told.sessions[1].draining && told.sessions[1].late && told.sessions[1].down);
	assert_false(told.sessions[0].draining || told.sessions[0].late || told.sessions[0].down);
	assert_true(told.sessions[1].since_ms > 0);
	assert_int_equal(sessions(&g, &g.ann, "more").n, 1);
	assert_int_equal(sessions(&g, &g.root, "demo").n, 2);
	assert_int_equal(sessions(&g, &g.bob, "demo").e, ERR_NOTFOUND);
	assert_int_equal(sessions(&g, NULL, "demo").e, ERR_AUTH);
	fake_leave(&second);
	fake_leave(&g.a);
	told = sessions(&g, &g.ann, "demo"); /* known, but nobody is there */
	assert_int_equal(told.e, 0);
	assert_int_equal(told.n, 0);
	manage_rig_free(&g);
}

static void test_visitors(void **state)
{
	static struct visit visits[MANAGE_PAGE_MAX + 5];
	static struct core_visitor there[MANAGE_PAGE_MAX + 5];
	struct told_manage told;
	struct manage_rig g;

	world_open(&g);
	assert_int_equal(visitors(&g, &g.ann, "demo").n, 0);
	for (size_t i = 0; i < ARRAY_LEN(visits); i++) {
		visits[i] = (struct visit){.ingress = VISIT_HTTP,
					   .visitor = {.ip = "192.0.2.1", .port = 4000},
					   .tunnel = "demo",
					   .host = "demo.localhost"};
		visits[i].visitor.port += (uint16_t)i;
		if (i == 1)
			str_printf(visits[i].tunnel, sizeof visits[i].tunnel, "more");
		core_visitor_begin(g.r.core, &there[i], &visits[i]);
	}
	told = visitors(&g, &g.ann, "demo");
	assert_int_equal(told.e, 0);
	assert_int_equal(told.n, MANAGE_PAGE_MAX);
	assert_true(told.more);
	assert_string_equal(told.visitors[0].peer.ip, "192.0.2.1");
	assert_int_equal(told.visitors[0].peer.port, 4000);
	assert_int_equal(told.visitors[1].peer.port, 4002);
	assert_string_equal(told.visitors[0].host, "demo.localhost");
	assert_int_equal(told.visitors[0].ingress, VISIT_HTTP);
	assert_true(told.visitors[0].since_ms > 0);
	assert_int_equal(visitors(&g, &g.ann, "more").n, 1);
	assert_int_equal(visitors(&g, &g.bob, "demo").e, ERR_NOTFOUND);
	for (size_t i = 2; i < ARRAY_LEN(visits); i++)
		core_visitor_end(&there[i]);
	told = visitors(&g, &g.ann, "demo");
	assert_int_equal(told.n, 1);
	assert_false(told.more);
	core_visitor_end(&there[0]);
	core_visitor_end(&there[1]);
	core_visitor_end(&there[1]); /* harmless */
	manage_rig_free(&g);
}

static void test_disconnect(void **state)
{
	struct core_agent desktop = {.id = "desktop", .epoch = 1};
	struct told_manage told;
	struct manage_rig g;
	struct fake second;

	world_open(&g);
	fake_join(&second, &g.r, &g.ann, &desktop);
	assert_int_equal(core_rig_attach(&second, "demo", "").result.e, 0);

	assert_int_equal(disconnect(&g, &g.bob, 0, STR("")).e, ERR_NOTFOUND);
	assert_int_equal(disconnect(&g, NULL, 0, STR("")).e, ERR_AUTH);
	told = disconnect(&g, &g.ann, 9999, STR("")); /* no such session */
	assert_int_equal(told.e, 0);
	assert_int_equal(told.n, 0);
	assert_int_equal(g.a.n_expelled + second.n_expelled, 0);

	told = disconnect(&g, &g.ann, member_number(second.member), STR("enough for today"));
	assert_int_equal(told.n, 1);
	assert_int_equal(g.a.n_expelled, 0);
	assert_int_equal(second.n_expelled, 1);
	assert_int_equal(second.why, ERR_DISCONNECTED);
	assert_string_equal(second.reason, "enough for today");
	assert_int_equal(core_tunnel(g.r.core, STR("demo"))->n_serving, 1);

	told = disconnect(&g, &g.root, 0, STR(""));
	assert_int_equal(told.n, 1);
	assert_int_equal(g.a.n_expelled, 0); /* it serves another one, and goes on with that */
	assert_int_equal(g.a.n_detached, 1);
	assert_string_equal(g.a.detached, "demo");
	assert_int_equal(g.a.why, ERR_DISCONNECTED);
	assert_string_equal(g.a.reason, "disconnected by an administrator");
	assert_null(core_tunnel(g.r.core, STR("demo"))); /* before the answer */
	assert_non_null(core_tunnel(g.r.core, STR("more")));
	assert_int_equal(disconnect(&g, &g.ann, 0, STR("")).n, 0);
	fake_leave(&second);
	fake_join(&second, &g.r, &g.ann, &desktop);
	assert_int_equal(core_rig_attach(&second, "demo", "").result.e, 0);
	assert_int_equal(disconnect(&g, &g.ann, 0, STR("")).n, 1);
	assert_string_equal(second.reason, "disconnected by its owner");
	fake_leave(&second);
	manage_rig_free(&g);
}

#define TEN(s) s s s s s s s s s s

static void test_reasons(void **state)
{
	static const struct {
		const char *why;
		struct str in;
		const char *want;
	} cases[] = {
		{"as it is", {"good bye", 8}, "good bye"},
		{"nothing", {"", 0}, "disconnected by its owner"},
		{"only space", {"  \t ", 4}, "disconnected by its owner"},
		{"space around", {"  a b ", 6}, "a b"},
		{"lines become one", {"a\nb\r\nc\td", 8}, "a b  c d"},
		{"control characters", {"a\x1b[2Jb\0c\x7f", 9}, "a?[2Jb?c?"},
		{"UTF-8",
		 {"sch\xc3\xb6n \xe2\x82\xac \xf0\x9f\x98\x80", 15},
		 "sch\xc3\xb6n \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"controls of Latin-1",
		 {"a\xc2\x9b"
		  "b",
		  4},
		 "a?b"},
		{"a line separator",
		 {"a\xe2\x80\xa8"
		  "b",
		  5},
		 "a?b"},
		{"text that turns round",
		 {"a\xe2\x80\xae"
		  "b",
		  5},
		 "a?b"},
		{"overlong forms", {"\xc0\xaf\xe0\x80\xaf", 5}, "?????"},
		{"surrogates", {"\xed\xa0\x80", 3}, "???"},
		{"beyond Unicode", {"\xf4\x90\x80\x80", 4}, "????"},
		{"a character that is cut off", {"a\xe2\x82", 3}, "a??"},
		{"200 bytes", {TEN(TEN("ab")) "cd", 202}, TEN(TEN("ab"))},
		{"not half a character",
		 {&(TEN(TEN("ab")) "\xc3\xb6")[1], 201},
		 &(TEN(TEN("ab")))[1]},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct manage_rig g;

		world_open(&g);
		assert_int_equal(disconnect(&g, &g.ann, 0, cases[i].in).n, 1);
		if (strcmp(g.a.reason, cases[i].want) != 0)
			fail_msg("%s: \"%s\"", cases[i].why, g.a.reason);
		manage_rig_free(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_visitors),
		cmocka_unit_test(test_disconnect),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
