/* Who is given what by its offer: at once, with every change of a record, and when a place is free.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "unit/core/account_rig.h"
#include "unit/core/place_rig.h"

#define HTTP(more) "\"kind\":\"http\"," more

static void test_who_is_given_it(void **state)
{
	static const struct {
		const char *why;
		const char *members; /* of the tunnel "t" */
		const char *agent, *services;
		bool bobs; /* the tunnel */
		const char *want;
	} cases[] = {
		{"one of its services", HTTP("\"service\":\"web\""), "a", "ssh web", false,
		 "t=web "},
		{"none of its services", HTTP("\"service\":\"web\""), "a", "ssh webs we", false,
		 ""},
		{"it offers none, and is not named", HTTP("\"service\":\"web\""), "a", "", false,
		 ""},
		{"it is named", HTTP("\"agents\":[\"b\",\"a\"]"), "a", "", false, "t= "},
		{"it is named, whatever it offers", HTTP("\"service\":\"web\",\"agents\":[\"a\"]"),
		 "a", "ssh", false, "t=web "},
		{"others are named, so its service does not count",
		 HTTP("\"service\":\"web\",\"agents\":[\"b\"]"), "a", "web", false, ""},
		{"switched off", HTTP("\"service\":\"web\",\"enabled\":false"), "a", "web", false,
		 ""},
		{"somebody else's", HTTP("\"service\":\"web\""), "a", "web", true, ""},
		{"of any kind", "\"kind\":\"tcp\",\"port\":9000,\"service\":\"web\"", "a", "web",
		 false, "t=web "},
		{"a tunnel that names nobody and nothing", "\"kind\":\"tls\"", "a", "web", false,
		 ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (int first = 0; first < 2; first++) { /* the record is first, or the offer */
			struct place_rig g;
			struct fake a;

			place_rig_new(&g);
			place_rig_join(&g, &a, cases[i].agent);
			if (first == 0)
				place_rig_offer(&a, cases[i].services, 0);
			place_rig_hear(&g, "t", cases[i].bobs ? &g.bob : &g.ann, cases[i].members);
			if (first != 0)
				place_rig_offer(&a, cases[i].services, 0);
			if (strcmp(a.assigned, cases[i].want) != 0)
				fail_msg("%s (%d): \"%s\"", cases[i].why, first, a.assigned);
			assert_int_equal(member_n_tunnels(a.member), cases[i].want[0] != '\0');
			fake_leave(&a);
			place_rig_free(&g);
		}
	}
}

static void on_leave(struct core_visitor *v, uint64_t ms)
{
	((struct visit *)(uintptr_t)v->visit)->visitor.port = (uint16_t)(ms == 0 ? 1 : ms);
	core_visitor_end(v);
}

static void test_it_is_taken_back(void **state)
{
	static const struct {
		const char *why;
		const char *before, *after; /* members of "t"; NULL: it is gone */
		const char *services;	    /* offered anew; NULL: it is not */
		int want;		    /* 0: it keeps it */
		uint16_t leave;		    /* what visitors are told: 1: at once; 0: nothing */
	} cases[] = {
		{"another agent is named", HTTP("\"agents\":[\"a\"]"),
		 HTTP("\"agents\":[\"b\"],\"drain_ms\":5000"), NULL, ERR_REPLACED, 5000},
		{"as usual for so long", HTTP("\"agents\":[\"a\"]"), HTTP("\"agents\":[\"b\"]"),
		 NULL, ERR_REPLACED, RECORD_DRAIN_USUAL},
		{"one more is named", HTTP("\"agents\":[\"a\"]"), HTTP("\"agents\":[\"b\",\"a\"]"),
		 NULL, 0, 0},
		{"another service", HTTP("\"service\":\"web\""),
		 HTTP("\"service\":\"db\",\"drain_ms\":0"), NULL, ERR_REPLACED, 1},
		{"another service that it has, too", HTTP("\"service\":\"web\""),
		 HTTP("\"service\":\"ssh\""), NULL, 0, 0},
		{"it offers less", HTTP("\"service\":\"web\""), HTTP("\"service\":\"web\""), "ssh",
		 ERR_REPLACED, RECORD_DRAIN_USUAL},
		{"it offers more", HTTP("\"service\":\"web\""), HTTP("\"service\":\"web\""),
		 "ssh web db", 0, 0},
		{"no route any more", HTTP("\"service\":\"web\""), HTTP("\"policy\":\"failover\""),
		 NULL, ERR_REPLACED, RECORD_DRAIN_USUAL},
		{"switched off", HTTP("\"service\":\"web\""),
		 HTTP("\"service\":\"web\",\"enabled\":false"), NULL, ERR_DISABLED, 1},
		{"gone", HTTP("\"service\":\"web\""), NULL, NULL, ERR_DELETED, 1},
		{"of another kind it is still its", HTTP("\"service\":\"web\""),
		 "\"kind\":\"tls\",\"service\":\"web\"", NULL, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct visit visit = {.ingress = VISIT_HTTP}, other = {.ingress = VISIT_HTTP};
		struct core_visitor v = {.leave = on_leave}, w = {.leave = on_leave};
		struct place_rig g;
		struct wire *wire;
		struct fake a;

		place_rig_new(&g);
		place_rig_join(&g, &a, "a");
		place_rig_offer(&a, "web ssh", 0);
		place_rig_hear(&g, "t", &g.ann, cases[i].before);
		assert_int_equal(a.n_assigned, 1);
		assert_int_equal(tunnel_dial(core_tunnel(g.r.core, STR("t")), &visit, &v.place,
					     &wire),
				 0);
		core_visitor_begin(g.r.core, &v, &visit);
		w.place = v.place + 1;
		core_visitor_begin(g.r.core, &w, &other); /* another session's */
		if (cases[i].services != NULL)
			place_rig_offer(&a, cases[i].services, 0);
		else
			place_rig_hear(&g, "t", &g.ann, cases[i].after);
		if ((a.n_detached > 0 ? a.why : 0) != cases[i].want ||
		    visit.visitor.port != cases[i].leave || a.n_detached > 1)
			fail_msg("%s: %s, %u", cases[i].why, err_name(a.why), visit.visitor.port);
		/* the agent is told the same */
		assert_int_equal(a.drain_ms, cases[i].leave > 1 ? cases[i].leave : 0);
		assert_int_equal(other.visitor.port, 0);
		core_visitor_end(&v);
		core_visitor_end(&w);
		fake_leave(&a);
		place_rig_free(&g);
	}
}

/* ---- pools ---- */

static void test_a_free_place_is_offered_again(void **state)
{
	struct fake f[4];
	struct place_rig g;

	place_rig_new(&g);
	for (int i = 0; i < 4; i++) {
		char agent[2] = {(char)('a' + i), '\0'};

		place_rig_join(&g, &f[i], agent);
		place_rig_offer(&f[i], "web", 0);
	}
	place_rig_hear(&g, "t", &g.ann, HTTP("\"service\":\"web\",\"sessions_max\":2"));
	assert_int_equal(f[0].n_assigned + f[1].n_assigned, 2);
	assert_int_equal(f[2].n_assigned + f[3].n_assigned, 0);
	fake_leave(&f[1]);
	core_rig_run(&g.r);
	assert_int_equal(f[2].n_assigned, 1);
	assert_int_equal(f[3].n_assigned, 0);
	place_rig_hear(&g, "t", &g.ann, HTTP("\"service\":\"web\",\"sessions_max\":3"));
	assert_int_equal(f[3].n_assigned, 1);
	assert_int_equal(core_tunnel(g.r.core, STR("t"))->n_serving, 3);
	fake_leave(&f[0]);
	fake_leave(&f[2]);
	fake_leave(&f[3]);
	place_rig_free(&g);
}

static void test_owners_leave_when_told(void **state)
{
	struct fake f[4];
	struct place_rig g;

	place_rig_new(&g);
	for (int i = 0; i < 4; i++) {
		char agent[2] = {(char)('a' + i), '\0'};

		place_rig_join(&g, &f[i], agent);
		place_rig_offer(&f[i], "web ssh", 0);
		f[i].leave_when_told = i != 3;
	}
	place_rig_hear(&g, "t", &g.ann, HTTP("\"service\":\"web\""));
	place_rig_hear(&g, "u", &g.ann, HTTP("\"service\":\"ssh\""));
	for (int i = 0; i < 3; i++) {
		assert_null(f[i].member);
		assert_int_equal(f[i].n_assigned, 1);
	}
	assert_string_equal(f[3].assigned, "t=web u=ssh ");
	f[3].leave_when_told = true;
	place_rig_offer(&f[3], "none", 0); /* two are taken back, it leaves with the first */
	assert_null(f[3].member);
	assert_int_equal(f[3].n_detached, 1);

	place_rig_join(&g, &f[0], "a");
	f[0].leave_when_told = true;
	place_rig_offer(&f[0], "web ssh", 0);
	assert_null(f[0].member);
	assert_int_equal(f[0].n_assigned, 1);
	place_rig_free(&g);
}

static void test_an_attach_of_its_own_stays(void **state)
{
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_hear(&g, "t", &g.ann, HTTP("\"service\":\"web\""));
	place_rig_offer(&a, "web", 0);
	assert_int_equal(a.n_assigned, 1);
	assert_int_equal(core_rig_attach(&a, "t", "").result.e, 0);
	place_rig_hear(&g, "t", &g.ann, HTTP("\"service\":\"db\""));
	assert_int_equal(a.n_detached, 0); /* it has asked for it */
	place_rig_hear(&g, "t", &g.ann, "\"kind\":\"tls\",\"service\":\"db\"");
	assert_int_equal(a.why, ERR_REPLACED); /* but for an http tunnel */
	assert_int_equal(core_rig_attach(&a, "t", "").result.e, ERR_INVAL);
	fake_leave(&a);
	place_rig_free(&g);
}

static void test_what_a_credential_may_not(void **state)
{
	static const struct {
		const char *why;
		struct access_scope scope;
		bool want;
	} cases[] = {
		{"everything", {0}, true},
		{"this port", {.ports = {{9000, 9000}}, .n_ports = 1}, true},
		{"another port", {.ports = {{9001, 9001}}, .n_ports = 1}, false},
		{"another kind", {.kinds = 1 << TUNNEL_HTTP}, false},
		{"another name", {.tunnels = "u"}, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct place_rig g;
		struct access_who who;
		struct fake a;

		place_rig_new(&g);
		who = account_rig_login(&g.r,
					account_rig_token(&g.r, &g.ann, &cases[i].scope).token);
		fake_join(&a, &g.r, &who, &(struct core_agent){.id = "a", .epoch = 1});
		place_rig_offer(&a, "ssh", 0);
		place_rig_hear(&g, "t", &g.ann,
			       "\"kind\":\"tcp\",\"port\":9000,\"service\":\"ssh\"");
		if ((a.n_assigned == 1) != cases[i].want)
			fail_msg("%s", cases[i].why);
		fake_leave(&a);
		place_rig_free(&g);
	}
}

static void test_an_account_that_may_less(void **state)
{
	struct manage_account_change ch = {.set = MANAGE_PORTS, .expected = STORE_ANY};
	struct access_who admin;
	struct place_rig g;
	struct fake f[3];

	place_rig_new(&g);
	admin = g.bob;
	admin.admin = true;
	for (int i = 0; i < 3; i++) {
		char agent[2] = {(char)('a' + i), '\0'};

		place_rig_join(&g, &f[i], agent);
		place_rig_offer(&f[i], "ssh", 0);
	}
	f[1].leave_when_told = true;
	place_rig_hear(&g, "t", &g.ann, "\"kind\":\"tcp\",\"port\":9000,\"agents\":[\"a\",\"b\"]");
	assert_null(f[1].member);
	place_rig_join(&g, &f[1], "b");
	place_rig_offer(&f[1], "ssh", 0);
	f[1].leave_when_told = true;
	ch.to.n_ports = 1;
	ch.to.ports[0] = (struct access_ports){9001, 9009};
	assert_int_equal(account_rig_change(&g.r, &admin, g.ann.account, &ch).e, 0);
	assert_int_equal(f[0].why, ERR_DENIED);
	assert_null(f[1].member);
	assert_string_equal(place_rig_said(&g), "take 9000@ let 9000=t shut 9000 ");
	ch.to.ports[0].first = 9000;
	assert_int_equal(account_rig_change(&g.r, &admin, g.ann.account, &ch).e, 0);
	assert_int_equal(f[0].n_assigned, 2);
	f[0].leave_when_told = f[2].leave_when_told = true; /* nobody of the account is left */
	ch.to.ports[0].first = 9001;
	assert_int_equal(account_rig_change(&g.r, &admin, g.ann.account, &ch).e, 0);
	assert_null(f[0].member);
	fake_leave(&f[2]);
	place_rig_free(&g);
}

/* ---- bounds ---- */

static void test_bounds(void **state)
{
	static struct str names[CORE_SERVICES_MAX + 1];
	static const char wide[RECORD_SERVICE_TEXT] = {0};
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		names[i] = STR("web");
	assert_int_equal(member_offer(a.member, names, CORE_SERVICES_MAX + 1, 0), ERR_TOOBIG);
	assert_int_equal(member_offer(a.member, names, CORE_SERVICES_MAX, 0), 0);
	names[1] = (struct str){wide, sizeof wide};
	assert_int_equal(member_offer(a.member, names, 2, 0), ERR_TOOBIG);
	names[1] = STR("");
	assert_int_equal(member_offer(a.member, names, 2, 0), ERR_TOOBIG);
	names[1] = STR("a\0b");
	assert_int_equal(member_offer(a.member, names, 2, 0), ERR_TOOBIG);
	place_rig_hear(&g, "t", &g.ann, HTTP("\"service\":\"web\""));
	assert_int_equal(a.n_assigned, 1); /* the last good offer counts */
	fake_leave(&a);
	place_rig_free(&g);
}

static void test_so_many_for_one_session(void **state)
{
	char name[16];
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_offer(&a, "web", 0);
	for (int i = 0; i < CORE_TUNNELS_PER_SESSION + 1; i++) {
		str_printf(name, sizeof name, "t%d", i);
		place_rig_hear(&g, name, &g.ann, HTTP("\"service\":\"web\""));
	}
	assert_int_equal(a.n_assigned, CORE_TUNNELS_PER_SESSION);
	member_detach(a.member, STR("t7"));
	core_rig_run(&g.r);
	assert_int_equal(member_n_tunnels(a.member), CORE_TUNNELS_PER_SESSION);
	fake_leave(&a);
	place_rig_free(&g);
}

/* However often an agent changes its mind, it fills no log. */
static void test_lines_are_paced(void **state)
{
	struct place_rig g;
	struct fake a;
	unsigned lines;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_hear(&g, "t", &g.ann, HTTP("\"service\":\"web\""));
	place_rig_offer(&a, "web", 0);
	ev_sim_run_for(g.r.ev, 2000);
	lines = g.r.n_lines;
	for (int i = 0; i < 100; i++) { /* core_rig_run() takes 1 ms of the time */
		place_rig_offer(&a, i % 2 == 0 ? "ssh" : "web", 0);
		if (i % 2 != 0)
			member_set_health(a.member, STR("t"), false);
	}
	assert_in_range(g.r.n_lines - lines, 2 * LOG_PACE_PER_SECOND, 2 * LOG_PACE_PER_SECOND + 2);
	ev_sim_run_for(g.r.ev, 1000);
	lines = g.r.n_lines;
	member_set_health(a.member, STR("t"), true);
	assert_int_equal(g.r.n_lines - lines, 2); /* how many were left out, and this one */
	assert_non_null(strstr(g.r.last_line, "event=target-up tunnel=t"));
	fake_leave(&a);
	place_rig_free(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_given_it),
		cmocka_unit_test(test_it_is_taken_back),
		cmocka_unit_test(test_a_free_place_is_offered_again),
		cmocka_unit_test(test_owners_leave_when_told),
		cmocka_unit_test(test_an_attach_of_its_own_stays),
		cmocka_unit_test(test_what_a_credential_may_not),
		cmocka_unit_test(test_an_account_that_may_less),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_so_many_for_one_session),
		cmocka_unit_test(test_lines_are_paced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
