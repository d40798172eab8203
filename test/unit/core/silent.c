/* Sessions that are silent and stand in the way of another one of their account. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/core/place_rig.h"

/* What a session was doing when another one came. */
enum life {
	TALKS,	/* it was heard a moment ago */
	SILENT, /* it was not */
	ASKED,	/* and it has just been pinged */
	LATE,	/* and does not answer */
};

struct world {
	struct place_rig g;
	struct fake a, b, c;
	bool ssh;
};

static void world_join(struct world *w, struct fake *f, const char *agent)
{
	struct core_agent id = {.epoch = 1};

	assert_int_equal(str_copy(id.id, sizeof id.id, str_of(agent)), 0);
	if (w->ssh)
		fake_join_ssh(f, &w->g.r, &w->g.ann, &id);
	else
		fake_join(f, &w->g.r, &w->g.ann, &id);
	f->session.heard_ms = ev_now_ms(w->g.r.ev);
}

static void world_set(struct world *w, struct fake *f, enum life life)
{
	uint64_t now = ev_now_ms(w->g.r.ev);

	f->session.heard_ms = life == TALKS ? now : now - 5000;
	f->session.asked_ms = life == LATE ? now - 3000 : life == ASKED ? now - 10 : 0;
}

/* The sessions that the tunnel "t" may have: two, which are a and b. */
static void world_open(struct world *w, bool ssh)
{
	memset(w, 0, sizeof *w);
	w->ssh = ssh;
	place_rig_new(&w->g);
	ev_sim_run_for(w->g.r.ev, 10000); /* so that a moment before is one */
	place_rig_hear(&w->g, "t", &w->g.ann, "\"kind\":\"http\",\"sessions_max\":2");
	world_join(w, &w->a, "a");
	world_join(w, &w->b, "b");
	world_join(w, &w->c, "c");
	assert_int_equal(core_rig_attach(&w->a, "t", "").result.e, 0);
	assert_int_equal(core_rig_attach(&w->b, "t", "").result.e, 0);
}

static void world_close(struct world *w)
{
	fake_leave(&w->a);
	fake_leave(&w->b);
	fake_leave(&w->c);
	place_rig_free(&w->g);
}

static const struct {
	const char *why;
	bool mux;
	enum life a, b;
	int want;
	bool a_loses, b_loses, a_pinged, b_pinged;
} cases[] = {
	{"both are there", false, TALKS, TALKS, ERR_LIMIT, false, false, false, false},
	{"one is silent: it is asked", false, TALKS, SILENT, ERR_LIMIT, false, false, false, true},
	{"both are", false, SILENT, SILENT, ERR_LIMIT, false, false, true, true},
	{"it was asked before: once more, and sooner", false, TALKS, ASKED, ERR_LIMIT, false, false,
	 false, true},
	{"one is late: it gives way", false, LATE, TALKS, 0, true, false, false, false},
	{"the other one is", false, TALKS, LATE, 0, false, true, false, false},
	{"both are: one gives way", false, LATE, LATE, 0, true, false, false, false},
	{"an agent of our own is asked, too", true, SILENT, TALKS, ERR_LIMIT, false, false, true,
	 false},
	{"but it does not give way", true, LATE, TALKS, ERR_LIMIT, false, false, true, false},
};

static void test_of_a_tunnel(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_attach told;
		struct world w;

		world_open(&w, !cases[i].mux);
		world_set(&w, &w.a, cases[i].a);
		world_set(&w, &w.b, cases[i].b);
		w.a.session.heard_ms -= w.a.session.asked_ms != 0; /* the longest silence */
		told = core_rig_attach(&w.c, "t", "");
		if (told.result.e != cases[i].want || w.a.n_detached != cases[i].a_loses ||
		    w.b.n_detached != cases[i].b_loses || w.a.n_pinged != cases[i].a_pinged ||
		    w.b.n_pinged != cases[i].b_pinged)
			fail_msg("%s: %s, %u %u, %u %u", cases[i].why, err_name(told.result.e),
				 w.a.n_detached, w.b.n_detached, w.a.n_pinged, w.b.n_pinged);
		if (w.a.n_pinged > 0)
			assert_int_equal(w.a.deadline_ms, 2000);
		if (w.a.n_detached > 0)
			assert_int_equal(w.a.why, ERR_REPLACED);
		assert_int_equal(core_tunnel(w.g.r.core, STR("t"))->n_serving, 2);
		world_close(&w);
	}
}

/* Its only session gives way: visitors see no gap, and nothing that is temporary goes. */
static void test_of_a_tunnel_with_one(void **state)
{
	struct fake *f;
	struct world w;

	world_open(&w, true);
	f = &w.a;
	fake_leave(&w.b);
	world_join(&w, &w.b, "b");
	place_rig_hear(&w.g, "t", &w.g.ann, "\"kind\":\"http\",\"sessions_max\":1");
	world_set(&w, f, LATE);
	f->leave_when_told = true;
	assert_int_equal(core_rig_attach(&w.c, "t", "").result.e, 0);
	assert_null(f->member);
	assert_non_null(tunnel_find_serving(w.c.member, STR("t")));
	assert_int_equal(core_tunnel(w.g.r.core, STR("t"))->n_serving, 1);
	world_join(&w, &w.a, "a");
	world_close(&w);
}

/* ---- the quota of an account ---- */

static int join_one_more(struct world *w, struct member **out)
{
	char reason[CORE_REASON_TEXT];
	struct member_opt opt = {.session = &w->a.session,
				 .who = &w->g.ann,
				 .agent = {.id = "more", .epoch = 1},
				 .kind = CORE_SESSION_SSH};

	*out = NULL;
	return member_join(w->g.r.core, &opt, out, reason);
}

static void test_of_an_account(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct member *more;
		struct fake bobs;
		struct world w;
		int e;

		world_open(&w, !cases[i].mux);
		fake_join_ssh(&bobs, &w.g.r, &w.g.bob, &(struct core_agent){.id = "b"});
		world_set(&w, &bobs, LATE); /* nobody asks him */
		w.a.member->grant->owner->sessions_max = 3;
		world_set(&w, &w.a, cases[i].a);
		world_set(&w, &w.b, cases[i].b);
		world_set(&w, &w.c, TALKS);
		w.a.session.heard_ms -= w.a.session.asked_ms != 0;
		e = join_one_more(&w, &more);
		core_rig_run(&w.g.r);
		if (e != cases[i].want || w.a.n_expelled != cases[i].a_loses ||
		    w.b.n_expelled != cases[i].b_loses || w.c.n_expelled != 0 ||
		    bobs.n_expelled != 0 || bobs.n_pinged != 0)
			fail_msg("%s: %s, %u %u", cases[i].why, err_name(e), w.a.n_expelled,
				 w.b.n_expelled);
		if (cases[i].want != 0)
			assert_int_equal(w.a.n_pinged, cases[i].a_pinged);
		if (w.a.n_expelled > 0)
			assert_int_equal(w.a.why, ERR_REPLACED);
		member_leave(more);
		fake_leave(&bobs);
		world_close(&w);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_a_tunnel),
		cmocka_unit_test(test_of_a_tunnel_with_one),
		cmocka_unit_test(test_of_an_account),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
