/* An agent says what its tunnel's record shall be, and serves it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage.h"
#include "unit/core/place_rig.h"

static struct told_attach wish(struct fake *f, const struct core_wish *wanted)
{
	struct told_attach told = {0};

	assert_int_equal(member_attach(f->member, wanted, core_rig_on_attached, &told), 0);
	assert_int_equal(told.calls, 0);
	core_rig_run(f->rig);
	assert_int_equal(told.calls, 1);
	assert_true(told.result.e == 0 ? told.reason[0] == '\0' : strlen(told.reason) > 20);
	return told;
}

static void on_managed(void *arg, const struct manage_answer *answer)
{
	assert_int_equal(answer->e, 0);
	++*(unsigned *)arg;
}

static void test_a_port_of_its_own(void **state)
{
	static const struct {
		const char *why;
		uint16_t port;
		const char *name;
		int want;
		const char *url, *said;
	} steps[] = {
		{"made, with this port", 9001, "ssh", 0, "tcp://localhost:9001",
		 "take 9001@ let 9001=ssh "},
		{"the same again", 9001, "ssh", 0, "tcp://localhost:9001", ""},
		{"any port is the one that it has", 0, "SSH", 0, "tcp://localhost:9001", ""},
		{"another port moves it", 9002, "ssh", 0, "tcp://localhost:9002",
		 "take 9002@ give 9001@ let 9002=ssh "},
		{"a port of another tunnel", 9002, "db", ERR_INUSE, "", ""},
		{"a port that nobody gets here", 80, "db", ERR_DENIED, "", ""},
		{"a name that is none", 9003, "-", ERR_INVAL, "", ""},
		{"of an http tunnel", 9003, "web", ERR_INVAL, "", ""},
		{"somebody else's", 9003, "bobs", ERR_EXISTS, "", ""},
		{"switched off", 9004, "off", ERR_DISABLED, "", ""},
	};
	struct manage_tunnel_change ch = {.set = MANAGE_T_PORT};
	struct core_wish wanted = {.kind = TUNNEL_TCP, .target = STR("22"), .change = &ch};
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_hear(&g, "web", &g.ann, "\"kind\":\"http\"");
	place_rig_hear(&g, "bobs", &g.bob, "\"kind\":\"tcp\",\"port\":9050");
	place_rig_hear(&g, "off", &g.ann, "\"kind\":\"tcp\",\"port\":9004,\"enabled\":false");
	place_rig_said(&g);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct told_attach told;
		const char *said;

		ch.to.port = steps[i].port;
		wanted.name = str_of(steps[i].name);
		told = wish(&a, &wanted);
		said = place_rig_said(&g);
		if (told.result.e != steps[i].want ||
		    strcmp(told.result.urls[0], steps[i].url) != 0 ||
		    (steps[i].want == 0 && strcmp(said, steps[i].said) != 0))
			fail_msg("%s: %s, %s, %s, \"%s\"", steps[i].why, err_name(told.result.e),
				 told.result.urls[0], told.reason, said);
		assert_int_equal(told.result.n_urls, steps[i].want == 0);
	}
	fake_leave(&a);
	place_rig_free(&g);
}

static void test_what_is_not_said_stays(void **state)
{
	struct core_wish wanted = {.kind = TUNNEL_TCP, .target = STR("22")};
	struct told_attach told;
	struct place_rig g;
	struct fake a, b;
	uint64_t version;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_join(&g, &b, "b");
	told = wish(&a, &wanted); /* without a name, without a port */
	assert_int_equal(told.result.e, 0);
	assert_true(strlen(told.result.name) >= 4);
	assert_non_null(strstr(told.result.urls[0], "tcp://localhost:90"));
	version = core_tunnel(g.r.core, str_of(told.result.name))->settings->version;

	wanted.name = str_of(told.result.name);
	assert_int_equal(wish(&b, &wanted).result.e, 0);
	assert_int_equal(core_tunnel(g.r.core, wanted.name)->settings->version, version);
	assert_int_equal(core_tunnel(g.r.core, wanted.name)->n_serving, 2);
	fake_leave(&a);
	fake_leave(&b);
	place_rig_free(&g);
}

/* What an agent has wished once does not undo what a person has changed since. */
static void test_again(void **state)
{
	static const struct {
		const char *why;
		bool drop, again; /* drop: its record is lost meanwhile */
		const char *url;
		const char *target;
		enum tunnel_policy policy;
	} cases[] = {
		{"a new process wishes it anew", false, false, "tcp://localhost:9001", "22",
		 TUNNEL_FAILOVER},
		{"the same one does not", false, true, "tcp://localhost:9002", "mail",
		 TUNNEL_LEAST_CONN},
		{"but for a record that is lost", true, true, "tcp://localhost:9001", "22",
		 TUNNEL_FAILOVER},
	};
	struct manage_tunnel_change ch = {.set = MANAGE_T_PORT | MANAGE_T_POLICY,
					  .to = {.port = 9001, .policy = TUNNEL_FAILOVER}};
	struct core_wish wanted = {.kind = TUNNEL_TCP,
				   .name = STR("ssh"),
				   .target = STR("22"),
				   .priority = 7,
				   .change = &ch};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_record gone = {.kind = RECORD_TUNNEL, .key = STR("ssh")};
		struct told_attach told;
		struct place_rig g;
		struct fake a;

		place_rig_new(&g);
		place_rig_join(&g, &a, "a");
		if (!cases[i].drop) { /* as it was changed after its first attach */
			place_rig_hear(&g, "ssh", &g.ann,
				       "\"kind\":\"tcp\",\"port\":9002,\"target\":\"mail\"");
		} else {
			core_on_record(g.r.core, &gone);
		}
		wanted.again = cases[i].again;
		told = wish(&a, &wanted);
		if (told.result.e != 0 || strcmp(told.result.urls[0], cases[i].url) != 0 ||
		    strcmp(core_tunnel(g.r.core, STR("ssh"))->settings->target, cases[i].target) !=
			    0 ||
		    core_tunnel(g.r.core, STR("ssh"))->policy != cases[i].policy)
			fail_msg("%s: %s, %s", cases[i].why, told.result.urls[0], told.reason);
		/* what is the session's own always counts */
		assert_int_equal(tunnel_find_serving(a.member, STR("ssh"))->priority, 7);
		fake_leave(&a);
		place_rig_free(&g);
	}
}

/* Of an http tunnel there is nothing but the hint. */
static void test_again_without_a_wish(void **state)
{
	struct core_wish wanted = {.name = STR("web"), .target = STR("3000")};
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_hear(&g, "web", &g.ann, "\"kind\":\"http\",\"target\":\"mine\"");
	wanted.again = true;
	assert_int_equal(wish(&a, &wanted).result.e, 0);
	assert_string_equal(core_tunnel(g.r.core, STR("web"))->settings->target, "mine");
	wanted.again = false;
	assert_int_equal(wish(&a, &wanted).result.e, 0);
	assert_string_equal(core_tunnel(g.r.core, STR("web"))->settings->target, "3000");
	wanted.name = STR("new");
	wanted.again = true;
	assert_int_equal(wish(&a, &wanted).result.e, 0);
	assert_string_equal(core_tunnel(g.r.core, STR("new"))->settings->target, "3000");
	fake_leave(&a);
	place_rig_free(&g);
}

static void test_a_tls_tunnel(void **state)
{
	struct manage_tunnel_change ch = {.set = MANAGE_T_ALT_NAMES | MANAGE_T_POLICY,
					  .to = {.alt_names = {"app.example.org"},
						 .n_alt_names = 1,
						 .policy = TUNNEL_FAILOVER}};
	struct core_wish wanted = {.kind = TUNNEL_TLS,
				   .name = STR("app"),
				   .target = STR("443"),
				   .priority = 7,
				   .change = &ch};
	struct told_attach told;
	struct place_rig g;
	struct str name;
	struct fake a;

	place_rig_new(&g);
	g.r.opt.domains_unproven = true;
	place_rig_restart(&g);
	place_rig_join(&g, &a, "a");
	told = wish(&a, &wanted);
	assert_string_equal(told.reason, "");
	assert_int_equal(told.result.n_urls, 2);
	assert_string_equal(told.result.urls[0], "tls://app.example.org");
	assert_int_equal(core_sni(g.r.core, STR("app.example.org"), &name), CORE_SNI_PASS);
	assert_int_equal(tunnel_find_serving(a.member, STR("app"))->priority, 7);
	assert_int_equal(core_tunnel(g.r.core, STR("app"))->policy, TUNNEL_FAILOVER);
	fake_leave(&a);
	place_rig_free(&g);
}

/* Its route is read before the hint is written, which takes a second try. */
static void test_a_hint_for_a_tunnel_with_a_route(void **state)
{
	struct core_wish wanted = {.kind = TUNNEL_HTTP, .name = STR("web"), .target = STR("3000")};
	struct told_attach told;
	struct place_rig g;
	struct fake a;
	char *record;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_hear(&g, "web", &g.ann, "\"kind\":\"http\",\"agents\":[\"a\"]");
	told = wish(&a, &wanted);
	assert_string_equal(told.reason, "");
	record = core_rig_get(&g.r, "tunnel", "web");
	assert_non_null(strstr(record, "3000"));
	free(record);
	fake_leave(&a);
	place_rig_free(&g);
}

static void test_leaving_in_the_middle(void **state)
{
	struct manage_tunnel_change ch = {.set = MANAGE_T_PORT, .to = {.port = 9001}};
	struct core_wish wanted = {.kind = TUNNEL_TCP,
				   .name = STR("ssh"),
				   .target = STR("22"),
				   .change = &ch};
	struct told_attach told = {0};
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	core_rig_run(&g.r);
	g.r.judge = core_rig_hold_all;
	assert_int_equal(member_attach(a.member, &wanted, core_rig_on_attached, &told), 0);
	core_rig_run(&g.r);
	fake_leave(&a);
	core_rig_release(&g.r);
	assert_int_equal(told.calls, 0);
	assert_int_equal(g.r.core->n_calls[CORE_ATTACH], 0);
	assert_int_equal(g.r.core->ports.n, g.n_taken);
	place_rig_free(&g);
}

/* Many agents that come at once do not keep people from managing what there is. */
static void test_a_crowd(void **state)
{
	static struct told_attach told[CORE_ATTACHES_MAX];
	struct core_wish wanted = {.kind = TUNNEL_TCP, .name = STR("ssh"), .target = STR("22")};
	struct manage_asker by = {NULL, on_managed, NULL};
	struct told_attach last = {0};
	struct place_rig g;
	unsigned calls = 0;
	struct fake a;

	memset(told, 0, sizeof told);
	place_rig_new(&g);
	by.who = &g.ann;
	by.arg = &calls;
	place_rig_join(&g, &a, "a");
	g.r.judge = core_rig_hold_all;
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		assert_int_equal(member_attach(a.member, &wanted, core_rig_on_attached, &told[i]),
				 0);
	assert_int_equal(member_attach(a.member, &wanted, core_rig_on_attached, &last), ERR_LIMIT);
	g.r.judge = NULL;
	assert_non_null(manage_account_get(g.r.core, &by, STR("")));
	core_rig_run(&g.r);
	assert_int_equal(calls, 1);
	core_rig_release(&g.r);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		assert_int_equal(told[i].calls, 1);
	fake_leave(&a);
	place_rig_free(&g);
}

static void test_the_core_goes_meanwhile(void **state)
{
	struct core_wish wanted = {.kind = TUNNEL_TCP, .name = STR("ssh"), .target = STR("22")};
	struct told_attach told = {0};
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	core_rig_run(&g.r);
	g.r.judge = core_rig_hold_all;
	assert_int_equal(member_attach(a.member, &wanted, core_rig_on_attached, &told), 0);
	core_rig_run(&g.r);
	fake_leave(&a); /* as the gateway does before the core goes */
	core_free(g.r.core);
	g.r.core = NULL;
	assert_int_equal(told.calls, 0);
	place_rig_free(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_port_of_its_own),
		cmocka_unit_test(test_what_is_not_said_stays),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_again_without_a_wish),
		cmocka_unit_test(test_a_tls_tunnel),
		cmocka_unit_test(test_a_hint_for_a_tunnel_with_a_route),
		cmocka_unit_test(test_leaving_in_the_middle),
		cmocka_unit_test(test_a_crowd),
		cmocka_unit_test(test_the_core_goes_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
