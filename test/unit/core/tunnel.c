/* Dialling: the least loaded session, turns among equals, and sessions that refuse. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/core_rig.h"

#define N_SESSIONS 3

struct world {
	struct core_rig r;
	struct access_who who;
	struct fake f[N_SESSIONS];
	struct tunnel *tunnel; /* "demo", served by all of them */
	uint64_t place;	       /* of the last dial */
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
	w->tunnel = core_tunnel(w->r.core, STR("demo"));
	assert_non_null(w->tunnel);
}

static void world_close(struct world *w)
{
	for (unsigned i = 0; i < N_SESSIONS; i++)
		fake_leave(&w->f[i]);
	core_rig_free(&w->r);
}

static int dial(struct world *w)
{
	struct visit v = {.ingress = VISIT_HTTP};
	struct wire *wire;

	return tunnel_dial(w->tunnel, &v, &w->place, &wire);
}

static void test_choice(void **state)
{
	static const struct {
		const char *why;
		struct {
			size_t n_streams;
			bool draining;
			int open_e;
		} s[N_SESSIONS];
		int want;
		int chosen; /* -1: none */
	} cases[] = {
		{"the least loaded", {{5}, {2}, {3}}, 0, 1},
		{"the last one may be it", {{5}, {2}, {1}}, 0, 2},
		{"a draining one is passed over", {{5}, {0, true}, {3}}, 0, 2},
		{"one that has begun to drain", {{5}, {0, false, ERR_DRAIN}, {3}}, 0, 2},
		{"a full one is passed over", {{5}, {0, false, ERR_LIMIT}, {9}}, 0, 0},
		{"two refuse", {{0, false, ERR_DRAIN}, {1, false, ERR_LIMIT}, {9}}, 0, 2},
		{"all drain", {{0, true}, {0, true}, {1, false, ERR_DRAIN}}, ERR_NOSESSION, -1},
		{"all are full",
		 {{1, false, ERR_LIMIT}, {1, false, ERR_LIMIT}, {1, false, ERR_LIMIT}},
		 ERR_LIMIT,
		 -1},
		{"one is full, the rest drain",
		 {{1, true}, {1, false, ERR_LIMIT}, {1, true}},
		 ERR_LIMIT,
		 -1},
		{"no memory is nobody's fault", {{0, false, ERR_NOMEM}, {9}, {9}}, ERR_NOMEM, -1},
		{"a visit that cannot be written",
		 {{0, false, ERR_INVAL}, {9}, {9}},
		 ERR_INVAL,
		 -1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		int e;

		world_open(&w);
		for (int s = 0; s < N_SESSIONS; s++) {
			w.f[s].session.n_streams = cases[i].s[s].n_streams;
			w.f[s].session.is_draining = cases[i].s[s].draining;
			w.f[s].open_e = cases[i].s[s].open_e;
		}
		if ((e = dial(&w)) != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(e));
		for (int s = 0; s < N_SESSIONS; s++)
			if (w.f[s].n_opened != (s == cases[i].chosen))
				fail_msg("%s: session %d", cases[i].why, s);
		if (cases[i].chosen >= 0)
			assert_string_equal(w.f[cases[i].chosen].tunnel, "demo");
		world_close(&w);
	}
}

static void test_equals_take_turns(void **state)
{
	struct world w;

	world_open(&w);
	for (int round = 1; round <= 4; round++) {
		for (int i = 0; i < N_SESSIONS; i++) {
			for (int s = 0; s < N_SESSIONS; s++)
				w.f[s].session.n_streams = 7; /* streams that end at once */
			assert_int_equal(dial(&w), 0);
		}
		for (int s = 0; s < N_SESSIONS; s++)
			assert_int_equal(w.f[s].n_opened, round);
	}
	world_close(&w);
}

static void test_load_is_shared(void **state)
{
	struct world w;

	world_open(&w);
	w.f[0].session.n_streams = 100;
	for (int i = 0; i < 200; i++)
		assert_int_equal(dial(&w), 0);
	for (int s = 0; s < N_SESSIONS; s++)
		assert_int_equal(w.f[s].session.n_streams, 100);
	world_close(&w);
}

static void test_a_lost_session_takes_only_its_own(void **state)
{
	struct world w;

	world_open(&w);
	fake_leave(&w.f[1]);
	for (int i = 0; i < 10; i++)
		assert_int_equal(dial(&w), 0);
	assert_int_equal(w.f[0].n_opened, 5);
	assert_int_equal(w.f[2].n_opened, 5);
	fake_leave(&w.f[0]);
	fake_leave(&w.f[2]);
	assert_null(core_tunnel(w.r.core, STR("demo")));
	assert_int_equal(dial(&w), ERR_NOSESSION); /* who holds it in this turn may still ask */
	world_close(&w);
}

static void test_places(void **state)
{
	uint64_t first, second;
	struct world w;

	world_open(&w);
	first = tunnel_choose(w.tunnel);
	assert_int_equal(dial(&w), 0);
	assert_int_equal(w.place, first);
	second = tunnel_choose(w.tunnel); /* equals take turns */
	assert_true(second != 0 && second != first);
	assert_int_equal(core_rig_attach(&w.f[0], "demo", "").result.e, 0);
	assert_int_equal(tunnel_choose(w.tunnel), second); /* asking again changes nothing */
	for (unsigned i = 0; i < N_SESSIONS; i++)
		w.f[i].session.is_draining = true;
	assert_int_equal(tunnel_choose(w.tunnel), 0);
	for (unsigned i = 0; i < N_SESSIONS; i++)
		fake_leave(&w.f[i]);
	core_rig_run(&w.r);
	fake_join(&w.f[0], &w.r, &w.who, &(struct core_agent){.id = "laptop", .epoch = 1});
	assert_int_equal(core_rig_attach(&w.f[0], "demo", "").result.e, 0);
	w.tunnel = core_tunnel(w.r.core, STR("demo"));
	assert_true(tunnel_choose(w.tunnel) > N_SESSIONS); /* never one that was given before */
	world_close(&w);
}

static void test_bulk_is_avoided(void **state)
{
	struct world w;

	world_open(&w);
	w.f[0].session.n_streams = 1;
	w.f[1].session.n_streams = 5;
	w.f[2].session.n_streams = 6;
	session_count(&w.f[0].session, 100 << 20);
	assert_int_equal(dial(&w), 0);
	assert_int_equal(w.f[1].n_opened, 1);
	ev_sim_run_for(w.r.ev, 20 * SESSION_FADE_MS); /* forgotten */
	assert_int_equal(dial(&w), 0);
	assert_int_equal(w.f[0].n_opened, 1);
	world_close(&w);
}

static void test_loop_mark(void **state)
{
	char demo[17], again[17], other[17], elsewhere[17];
	struct world w;
	struct core *c;

	world_open(&w);
	assert_string_equal(tunnel_name(w.tunnel), "demo");
	tunnel_loop_mark(w.tunnel, demo);
	tunnel_loop_mark(w.tunnel, again);
	assert_string_equal(demo, again);
	assert_int_equal(strlen(demo), 16);
	assert_int_equal(strspn(demo, "0123456789abcdef"), 16);
	assert_int_equal(core_rig_attach(&w.f[0], "other", "").result.e, 0);
	tunnel_loop_mark(core_tunnel(w.r.core, STR("other")), other);
	assert_string_not_equal(demo, other);

	for (unsigned i = 0; i < N_SESSIONS; i++)
		fake_leave(&w.f[i]);
	assert_int_equal(core_new(w.r.ev, &w.r.opt, &c), 0); /* another node */
	core_free(w.r.core);
	w.r.core = c;
	fake_join(&w.f[0], &w.r, &w.who, &(struct core_agent){.id = "laptop", .epoch = 1});
	assert_int_equal(core_rig_attach(&w.f[0], "demo", "").result.e, 0);
	tunnel_loop_mark(core_tunnel(c, STR("demo")), elsewhere);
	assert_string_not_equal(demo, elsewhere);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_equals_take_turns),
		cmocka_unit_test(test_load_is_shared),
		cmocka_unit_test(test_a_lost_session_takes_only_its_own),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_bulk_is_avoided),
		cmocka_unit_test(test_loop_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
