/* Whoever serves a visitor is told how it ended, if they watch, and nobody else. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "unit/core/place_rig.h"

#define N 2

struct world {
	struct place_rig g;
	struct fake f[N]; /* agents a and b, which serve "t" */
	struct visit visit;
	struct core_visitor v;
};

static void world_open(struct world *w)
{
	memset(w, 0, sizeof *w);
	place_rig_new(&w->g);
	for (int i = 0; i < N; i++) {
		char agent[2] = {(char)('a' + i), '\0'};

		place_rig_join(&w->g, &w->f[i], agent);
		assert_int_equal(core_rig_attach(&w->f[i], "t", "").result.e, 0);
	}
	str_printf(w->visit.tunnel, sizeof w->visit.tunnel, "t");
	w->v.visit = &w->visit;
}

static void world_close(struct world *w)
{
	for (int i = 0; i < N; i++)
		if (w->f[i].member != NULL)
			fake_leave(&w->f[i]);
	assert_int_equal(w->g.r.core->n_watching, 0);
	place_rig_free(&w->g);
}

/* A request is over that f has served. */
static void served(struct world *w, struct fake *f)
{
	static const struct core_served what = {
		.method = "GET", .path = "/x", .status = 200, .up = 3, .down = 5};

	w->v.place = tunnel_find_serving(f->member, STR("t"))->place;
	core_visitor_served(w->g.r.core, &w->v, &what);
}

static void test_who_is_told(void **state)
{
	struct world w;

	world_open(&w);
	assert_false(core_is_watched(w.g.r.core));
	served(&w, &w.f[0]);
	assert_int_equal(w.f[0].n_served, 0);

	member_watch(w.f[0].member, true);
	member_watch(w.f[0].member, true);
	assert_true(core_is_watched(w.g.r.core));
	served(&w, &w.f[0]);
	assert_int_equal(w.f[0].n_served, 1);
	assert_string_equal(w.f[0].served, "t GET /x 200 3 5");
	served(&w, &w.f[1]); /* of the other one, who does not watch */
	assert_int_equal(w.f[0].n_served, 1);
	assert_int_equal(w.f[1].n_served, 0);

	member_watch(w.f[1].member, true);
	served(&w, &w.f[1]);
	assert_int_equal(w.f[1].n_served, 1);
	member_watch(w.f[0].member, false);
	member_watch(w.f[0].member, false);
	served(&w, &w.f[0]);
	assert_int_equal(w.f[0].n_served, 1);
	fake_leave(&w.f[1]); /* in the middle of watching */
	assert_false(core_is_watched(w.g.r.core));
	world_close(&w);
}

static void test_places_that_are_no_more(void **state)
{
	struct world w;

	world_open(&w);
	member_watch(w.f[0].member, true);
	member_watch(w.f[1].member, true);
	served(&w, &w.f[0]);
	member_detach(w.f[0].member, STR("t"));
	core_visitor_served(w.g.r.core, &w.v, &(struct core_served){.status = 200});
	w.v.place = 0; /* it was never given to anybody */
	core_visitor_served(w.g.r.core, &w.v, &(struct core_served){.status = 502});
	assert_int_equal(w.f[0].n_served, 1);
	assert_int_equal(w.f[1].n_served, 0);
	member_detach(w.f[1].member, STR("t"));
	core_visitor_served(w.g.r.core, &w.v, &(struct core_served){.status = 200});
	assert_int_equal(w.f[1].n_served, 0);
	world_close(&w);
}

/* Whoever is told may go in the middle of it. */
static void test_leaving_when_told(void **state)
{
	struct world w;

	world_open(&w);
	member_watch(w.f[0].member, true);
	w.f[0].leave_when_told = true;
	served(&w, &w.f[0]);
	assert_null(w.f[0].member);
	assert_int_equal(w.f[0].n_served, 1);
	world_close(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_told),
		cmocka_unit_test(test_places_that_are_no_more),
		cmocka_unit_test(test_leaving_when_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
