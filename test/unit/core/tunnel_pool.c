/* Pools: priorities, targets that fail, sessions that do not answer, and the next one to try. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/core/place_rig.h"

#define N 3 /* agents a, b, c, in this order of connecting */

struct world {
	struct place_rig g;
	struct fake f[N];
};

/* more: members of the record "t", a service tunnel. */
static void world_open(struct world *w, const char *more, const unsigned priority[N])
{
	char members[256];

	place_rig_new(&w->g);
	ev_sim_run_for(w->g.r.ev, 10); /* so that no moment is 0 */
	str_printf(members, sizeof members, "\"kind\":\"tcp\",\"port\":9000,\"service\":\"web\"%s",
		   more);
	place_rig_hear(&w->g, "t", &w->g.ann, members);
	for (int i = 0; i < N; i++) {
		char agent[2] = {(char)('a' + i), '\0'};

		place_rig_join(&w->g, &w->f[i], agent);
		w->f[i].session.heard_ms = ev_now_ms(w->g.r.ev);
		place_rig_offer(&w->f[i], "web", priority != NULL ? priority[i] : 0);
		assert_int_equal(w->f[i].n_assigned, 1);
	}
}

static void world_close(struct world *w)
{
	for (int i = 0; i < N; i++)
		fake_leave(&w->f[i]);
	place_rig_free(&w->g);
}

static struct tunnel *world_tunnel(struct world *w)
{
	struct tunnel *t = core_tunnel(w->g.r.core, STR("t"));

	assert_non_null(t);
	return t;
}

/* Who took it: 0..N-1; or minus the error. */
static int dial_next(struct world *w, struct tunnel_tried *tried)
{
	struct visit v = {.ingress = VISIT_TCP};
	unsigned before[N];
	struct wire *wire;
	int e;

	for (int i = 0; i < N; i++)
		before[i] = w->f[i].n_opened;
	if ((e = tunnel_dial_next(world_tunnel(w), &v, tried, &wire)) != 0)
		return -e;
	for (int i = 0; i < N; i++) {
		if (w->f[i].n_opened == before[i])
			continue;
		assert_string_equal(w->f[i].tunnel, "t");
		assert_string_equal(w->f[i].service, "web");
		return i;
	}
	fail();
	return 0;
}

static int dial(struct world *w)
{
	struct tunnel_tried tried = {.n = 0};

	return dial_next(w, &tried);
}

static void test_who_is_next(void **state)
{
	static const struct {
		const char *why, *more;
		unsigned priority[N];
		struct {
			size_t n_streams;
			bool down, late, draining;
			int open_e;
		} s[N];
		int want[N + 1]; /* of dials by one visitor, one after the other */
	} cases[] = {
		{"the least loaded, then the others",
		 "",
		 {0},
		 {{5}, {1}, {3}},
		 {1, 2, 0, -ERR_NOSESSION}},
		{"by priority",
		 ",\"policy\":\"failover\"",
		 {3, 1, 2},
		 {{0}},
		 {1, 2, 0, -ERR_NOSESSION}},
		{"of one priority the oldest",
		 ",\"policy\":\"failover\"",
		 {1, 0, 0},
		 {{0}},
		 {1, 2, 0, -ERR_NOSESSION}},
		{"as the record names them, whatever they say",
		 ",\"policy\":\"failover\",\"agents\":[\"c\",\"a\",\"b\"]",
		 {0, 1, 2},
		 {{0}},
		 {2, 0, 1, -ERR_NOSESSION}},
		{"a priority is nothing to others than failover",
		 "",
		 {0, 1, 2},
		 {{5}, {1}, {3}},
		 {1, 2, 0, -ERR_NOSESSION}},
		{"a target that fails is never asked",
		 "",
		 {0},
		 {{0, true}, {5}, {9}},
		 {1, 2, -ERR_TARGET, -ERR_TARGET}},
		{"all of them fail",
		 "",
		 {0},
		 {{0, true}, {0, true}, {0, true}},
		 {-ERR_TARGET, -ERR_TARGET, -ERR_TARGET, -ERR_TARGET}},
		{"a late one is the last resort",
		 "",
		 {0},
		 {{0, false, true}, {5}, {9}},
		 {1, 2, 0, -ERR_NOSESSION}},
		{"also before a better priority",
		 ",\"policy\":\"failover\"",
		 {0, 1, 2},
		 {{0, false, true}, {0}, {0, false, true}},
		 {1, 0, 2, -ERR_NOSESSION}},
		{"and of those that stand in turn",
		 ",\"policy\":\"round-robin\"",
		 {0},
		 {{0}, {0}, {0, false, true}},
		 {1, 0, 2, -ERR_NOSESSION}},
		{"one that refuses is passed over",
		 "",
		 {0},
		 {{0, false, false, false, ERR_DRAIN}, {5}, {9}},
		 {1, 2, -ERR_NOSESSION, -ERR_NOSESSION}},
		{"full is worth more than failing",
		 "",
		 {0},
		 {{0, false, false, false, ERR_LIMIT}, {0, true}, {0, false, false, true}},
		 {-ERR_LIMIT, -ERR_LIMIT, -ERR_LIMIT, -ERR_LIMIT}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tunnel_tried tried = {.n = 0};
		struct world w;

		world_open(&w, cases[i].more, cases[i].priority);
		for (int k = 0; k < N; k++) {
			struct session *s = &w.f[k].session;

			s->n_streams = cases[i].s[k].n_streams;
			s->is_draining = cases[i].s[k].draining;
			s->asked_ms = cases[i].s[k].late ? s->heard_ms : 0;
			w.f[k].open_e = cases[i].s[k].open_e;
			member_set_health(w.f[k].member, STR("t"), !cases[i].s[k].down);
		}
		ev_sim_run_for(w.g.r.ev, SESSION_LATE_MS + 1);
		for (int k = 0; k < N + 1; k++) {
			int is = dial_next(&w, &tried);

			if (is != cases[i].want[k])
				fail_msg("%s, %d: %d", cases[i].why, k, is);
		}
		world_close(&w);
	}
}

static void test_a_silent_one_is_roused(void **state)
{
	static const struct {
		const char *why;
		uint64_t silent_ms;
		bool asked; /* already */
		unsigned want;
	} cases[] = {
		{"heard just now", SESSION_QUIET_MS, false, 0},
		{"silent for a while", SESSION_QUIET_MS + 1, false, 1},
		{"it has been asked", SESSION_QUIET_MS + 1, true, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct session *s;
		struct world w;

		world_open(&w, ",\"agents\":[\"b\",\"a\",\"c\"],\"policy\":\"failover\"", NULL);
		s = &w.f[1].session;
		ev_sim_run_for(w.g.r.ev, 5000);
		s->heard_ms = ev_now_ms(s->ev) - cases[i].silent_ms;
		s->asked_ms = cases[i].asked ? ev_now_ms(s->ev) : 0;
		assert_int_equal(dial(&w), 1);
		if (w.f[1].n_pinged != cases[i].want || w.f[0].n_pinged + w.f[2].n_pinged > 0)
			fail_msg("%s", cases[i].why);
		world_close(&w);
	}
}

/* What happens when a machine has lost its power: the next visitors go elsewhere. */
static void test_late(void **state)
{
	static const struct {
		const char *why;
		uint64_t rtt_us, waited_ms, heard_ms_ago;
		bool want;
	} cases[] = {
		{"it has time for an answer", 0, SESSION_LATE_MS, 9999, false},
		{"that was its time", 0, SESSION_LATE_MS + 1, 9999, true},
		{"far away is not late", 100000, SESSION_LATE_MS + 400, 9999, false},
		{"far away, and late", 100000, SESSION_LATE_MS + 401, 9999, true},
		{"it talks, so it is busy", 0, 5000, SESSION_LATE_MS, false},
		{"it has talked", 0, 5000, SESSION_LATE_MS + 1, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct session *s;
		struct world w;
		uint64_t now;

		world_open(&w, ",\"agents\":[\"a\",\"b\",\"c\"],\"policy\":\"failover\"", NULL);
		ev_sim_run_for(w.g.r.ev, 20000);
		s = &w.f[0].session;
		now = ev_now_ms(s->ev);
		s->rtt_us = cases[i].rtt_us;
		s->asked_ms = now - cases[i].waited_ms;
		s->heard_ms = now - cases[i].heard_ms_ago;
		if (dial(&w) != (cases[i].want ? 1 : 0))
			fail_msg("%s", cases[i].why);
		world_close(&w);
	}
}

static void test_tries_are_bounded(void **state)
{
	struct tunnel_tried tried = {.n = TUNNEL_TRIES_MAX};
	struct world w;

	world_open(&w, "", NULL);
	assert_int_equal(dial_next(&w, &tried), -ERR_NOSESSION);
	assert_int_equal(tried.n, TUNNEL_TRIES_MAX);
	world_close(&w);
}

static void test_a_new_order(void **state)
{
	struct world w;

	world_open(&w, ",\"policy\":\"failover\"", NULL);
	assert_int_equal(dial(&w), 0);
	place_rig_hear(&w.g, "t", &w.g.ann,
		       "\"kind\":\"tcp\",\"port\":9000,\"service\":\"web\",\"policy\":\"failover\","
		       "\"agents\":[\"c\",\"b\",\"a\"]");
	assert_int_equal(dial(&w), 2);
	place_rig_offer(&w.f[1], "web", 1);
	place_rig_hear(&w.g, "t", &w.g.ann,
		       "\"kind\":\"tcp\",\"port\":9000,\"service\":\"web\",\"policy\":"
		       "\"failover\"");
	assert_int_equal(dial(&w), 0); /* what they say themselves counts again */
	world_close(&w);
}

static void test_one_that_is_not_named(void **state)
{
	static const struct {
		const char *why, *agents, *want;
	} cases[] = {
		{"one other", "\"b\"",
		 "this tunnel is served by the agent b; this one calls itself a"},
		{"two others", "\"b\",\"c\"",
		 "this tunnel is served by the agents b, c; this one calls itself a"},
		{"many with long names",
		 "\"b1234567890123456789012345678901234567890\","
		 "\"c1234567890123456789012345678901234567890\","
		 "\"d1234567890123456789012345678901234567890\"",
		 "this tunnel is served by the agents b1234567890123456789012345678901234567890, "
		 "c1234567890123456789012345678901234567890 and 1 more; this one calls itself a"},
	};
	struct told_attach told;
	char members[512];
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		str_printf(members, sizeof members, "\"kind\":\"http\",\"agents\":[%s]",
			   cases[i].agents);
		place_rig_hear(&g, "t", &g.ann, members);
		told = core_rig_attach(&a, "t", "");
		assert_int_equal(told.result.e, ERR_DENIED);
		if (strcmp(told.reason, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, told.reason);
	}
	place_rig_hear(&g, "t", &g.ann, "\"kind\":\"http\"");
	assert_int_equal(core_rig_attach(&a, "t", "").result.e, 0);
	place_rig_hear(&g, "t", &g.ann, "\"kind\":\"http\",\"agents\":[\"b\"]");
	assert_int_equal(a.why, ERR_REPLACED);
	fake_leave(&a);
	place_rig_free(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_next), cmocka_unit_test(test_a_silent_one_is_roused),
		cmocka_unit_test(test_late),	    cmocka_unit_test(test_tries_are_bounded),
		cmocka_unit_test(test_a_new_order), cmocka_unit_test(test_one_that_is_not_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
