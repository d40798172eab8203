/* Which session, or which other node, gets a visitor, and how often he is passed on. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/core/peer_rig.h"

/* Who takes a visitor at node a: '0' a session there, 'b', 'c'; else minus the error. */
static int dial(struct peer_rig *w, const struct fake *f, struct tunnel_tried *tried,
		const char *via)
{
	unsigned b = w->node[1].n_opened, c = w->node[2].n_opened, here = f->n_opened;
	struct visit v = {.ingress = VISIT_TCP};
	struct tunnel *t = peer_rig_demo(w, 0);
	uint64_t chosen, place;
	struct wire *wire;
	bool first = tried->n == 0 && via[0] == '\0' && f->open_e == 0 && w->node[1].open_e == 0 &&
		     w->node[2].open_e == 0;
	int e;

	if (t == NULL)
		return -ERR_NOROUTE;
	strcpy(v.via, via);
	chosen = tunnel_choose(t);
	e = tunnel_dial_next(t, &v, tried, &wire);
	assert_string_equal(v.via, via); /* the visitor's, as it came */
	if (e != 0)
		return -e;
	place = tried->places[tried->n - 1];
	if (first)
		assert_int_equal(chosen, place);
	if (f->n_opened > here)
		return '0';
	return w->node[1].n_opened > b ? 'b' : w->node[2].n_opened > c ? 'c' : 0;
}

static void test_who_is_dialled(void **state)
{
	static const char full[] = "1111111111111111,2222222222222222";
	static const struct {
		const char *why, *more;
		struct {
			bool late, draining, down, none;
			unsigned priority;
			int open_e;
		} here;
		struct {
			enum peer_state state;
			uint32_t load;
			uint32_t priority;
			bool none, down;
			int open_e;
		} peer[2];
		const char *via;
		int want[4];
		bool drain;
	} cases[] = {
		{"a session here, then the others",
		 "",
		 {0},
		 {{.load = 5}, {.load = 3}},
		 "",
		 {'0', 'c', 'b', -ERR_NOSESSION}},
		{"nobody here",
		 "",
		 {.none = true},
		 {{.load = 3}, {.load = 5}},
		 "",
		 {'b', 'c', -ERR_NOSESSION}},
		{"a late one loses to a good node",
		 "",
		 {.late = true},
		 {{0}, {PEER_LATE}},
		 "",
		 {'b', '0', 'c', -ERR_NOSESSION}},
		{"but to no other",
		 "",
		 {.late = true},
		 {{PEER_DRAINING}, {PEER_LATE}},
		 "",
		 {'0', 'c', 'b', -ERR_NOSESSION}},
		{"a session that drains is none",
		 "",
		 {.draining = true},
		 {{PEER_DRAINING}, {PEER_LATE}},
		 "",
		 {'c', 'b', -ERR_NOSESSION}},
		{"one that refuses neither",
		 "",
		 {.open_e = ERR_DRAIN},
		 {{0}, {.none = true}},
		 "",
		 {'b', -ERR_NOSESSION}},
		{"nobody is sent where no stream gets",
		 "",
		 {.none = true},
		 {{PEER_UNREACHABLE}, {PEER_DRAINING, 9}},
		 "",
		 {'c', -ERR_NOSESSION}},
		{"a target that fails, here and there",
		 "",
		 {.down = true},
		 {{.down = true}, {.none = true}},
		 "",
		 {-ERR_TARGET}},
		{"a target that fails here, and works there",
		 "",
		 {.down = true},
		 {{.down = true}, {.load = 7}},
		 "",
		 {'c', -ERR_TARGET}},
		{"a node that does not open streams",
		 "",
		 {.none = true},
		 {{.open_e = ERR_NOSESSION}, {.load = 9}},
		 "",
		 {'c', -ERR_NOSESSION}},
		{"one that has too many",
		 "",
		 {.none = true},
		 {{.open_e = ERR_LIMIT}, {.none = true}},
		 "",
		 {-ERR_LIMIT}},
		{"not back to who has sent it",
		 "",
		 {0},
		 {{0}, {.load = 9}},
		 "bbbbbbbbbbbbbbbb",
		 {'0', 'c', -ERR_NOSESSION}},
		{"two have passed it on: no further",
		 "",
		 {0},
		 {{0}, {0}},
		 full,
		 {'0', -ERR_NOSESSION}},
		{"we have: no further",
		 "",
		 {0},
		 {{0}, {0}},
		 "aaaaaaaaaaaaaaaa",
		 {'0', -ERR_NOSESSION}},
		{"and nobody is here", "", {.none = true}, {{0}, {0}}, full, {-ERR_NOSESSION}},
		{"failover: the better priority, wherever it is",
		 ",\"policy\":\"failover\"",
		 {.priority = 2},
		 {{.priority = 3}, {.priority = 1}},
		 "",
		 {'c', '0', 'b', -ERR_NOSESSION}},
		{"of equal priority our own",
		 ",\"policy\":\"failover\"",
		 {.priority = 2},
		 {{.priority = 2}, {.priority = 3}},
		 "",
		 {'0', 'b', 'c', -ERR_NOSESSION}},
		{"a better priority that answers late waits",
		 ",\"policy\":\"failover\"",
		 {.priority = 2},
		 {{.priority = 3}, {PEER_LATE, .priority = 1}},
		 "",
		 {'0', 'b', 'c', -ERR_NOSESSION}},
		{"a priority is nothing to others than failover",
		 "",
		 {.priority = 9},
		 {{.load = 9, .priority = 1}, {.load = 1, .priority = 5}},
		 "",
		 {'0', 'c', 'b', -ERR_NOSESSION}},
		{"we drain: others first",
		 "",
		 {0},
		 {{.load = 9}, {PEER_DRAINING}},
		 "",
		 {'b', '0', 'c', -ERR_NOSESSION},
		 true},
		{"we drain, and are asked by another node",
		 "",
		 {0},
		 {{.load = 9}, {0}},
		 "cccccccccccccccc",
		 {'0', 'b', -ERR_NOSESSION},
		 true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tunnel_tried tried = {.n = 0};
		struct core_wish wish = {.name = STR("demo"), .priority = cases[i].here.priority};
		struct told_attach told = {0};
		char members[128];
		struct fake f;
		struct peer_rig w;

		peer_rig_new(&w);
		peer_rig_run(&w, 10);
		str_printf(members, sizeof members, "\"kind\":\"http\"%s", cases[i].more);
		peer_rig_put(&w, "demo", members);
		peer_rig_join(&w, &f, 0, "laptop", 1, 0);
		if (!cases[i].here.none) {
			assert_int_equal(member_attach(f.member, &wish, core_rig_on_attached,
						       &told),
					 0);
			peer_rig_run(&w, 5);
			assert_int_equal(told.result.e, 0);
			member_set_health(f.member, STR("demo"), !cases[i].here.down);
		}
		f.open_e = cases[i].here.open_e;
		f.session.is_draining = cases[i].here.draining;
		for (int k = 0; k < 2; k++) {
			struct node_entry e = peer_rig_entry(&w, "other", 1, 1);
			struct core_peer *p = w.node[0].way[k + 1].peer;

			e.up = !cases[i].peer[k].down;
			e.priority = cases[i].peer[k].priority;
			w.node[k + 1].open_e = cases[i].peer[k].open_e;
			core_peer_set_load(p, cases[i].peer[k].load);
			core_peer_set_state(p, cases[i].peer[k].state);
			if (!cases[i].peer[k].none)
				assert_int_equal(core_peer_serves(p, STR("demo"), &e), 0);
		}
		if (cases[i].here.none)
			assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
		f.session.asked_ms = cases[i].here.late ? ev_now_ms(w.r.ev) : 0;
		if (cases[i].drain)
			core_drain_begin(w.node[0].rig.core);
		peer_rig_run(&w, SESSION_LATE_MS + 1);
		for (size_t k = 0; k < ARRAY_LEN(cases[i].want) && cases[i].want[k] != 0; k++) {
			int is = dial(&w, &f, &tried, cases[i].via);

			if (is != cases[i].want[k])
				fail_msg("%s, %zu: %d", cases[i].why, k, is);
		}
		fake_leave(&f);
		peer_rig_free(&w);
	}
}

/* Streams that have served are kept for those who stay. */
static void test_which_places_stay(void **state)
{
	static const struct {
		const char *why;
		enum peer_state state;
		bool want;
	} cases[] = {
		{"it is well", PEER_GOOD, true},
		{"it answers late", PEER_LATE, true},
		{"it drains", PEER_DRAINING, false},
		{"it cannot be reached", PEER_UNREACHABLE, false},
	};
	struct tunnel_tried tried = {.n = 0};
	struct node_entry e;
	uint64_t here, there;
	struct peer_rig w;
	struct core *c;
	struct fake f;

	peer_rig_new(&w);
	c = w.node[0].rig.core;
	peer_rig_serve(&w, &f, 0, "laptop");
	e = peer_rig_entry(&w, "other", 1, 1);
	for (int k = 1; k < PEER_RIG_N; k++)
		assert_int_equal(core_peer_serves(w.node[0].way[k].peer, STR("demo"), &e), 0);
	core_peer_set_load(w.node[0].way[1].peer, 10);
	assert_int_equal(dial(&w, &f, &tried, ""), '0');
	assert_int_equal(dial(&w, &f, &tried, ""), 'c');
	here = tried.places[0];
	there = tried.places[1];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		core_peer_set_state(w.node[0].way[2].peer, cases[i].state);
		if (core_place_stays(c, there) != cases[i].want)
			fail_msg("%s", cases[i].why);
		assert_true(core_place_stays(c, here));
	}
	core_peer_set_state(w.node[0].way[2].peer, PEER_GOOD);
	core_peer_set_state(w.node[0].way[1].peer, PEER_DRAINING);
	assert_true(core_place_stays(c, there)); /* it is another one that drains */
	peer_rig_part(&w, 2);
	assert_false(core_place_stays(c, there));
	fake_leave(&f);
	peer_rig_free(&w);
}

/* Asked for each connection, before anything is known of it. */
static void test_where_to(void **state)
{
	struct node_entry e;
	struct peer_rig w;
	struct core *c;
	struct fake f;

	peer_rig_new(&w);
	c = w.node[0].rig.core;
	assert_null(core_peer_for(c, STR("demo")));
	e = peer_rig_entry(&w, "other", 1, 1);
	for (int k = 1; k < PEER_RIG_N; k++)
		assert_int_equal(core_peer_serves(w.node[0].way[k].peer, STR("demo"), &e), 0);
	core_peer_set_load(w.node[0].way[1].peer, 10);
	assert_string_equal(core_peer_for(c, STR("demo")), peer_rig_ids[2]);
	assert_int_equal(c->tunnels.n, 0);
	assert_null(core_peer_for(c, STR("more")));
	core_peer_set_state(w.node[0].way[2].peer, PEER_DRAINING);
	assert_string_equal(core_peer_for(c, STR("demo")), peer_rig_ids[1]);
	peer_rig_serve(&w, &f, 0, "laptop");
	assert_null(core_peer_for(c, STR("demo"))); /* it is served here */
	f.session.is_draining = true;
	assert_string_equal(core_peer_for(c, STR("demo")), peer_rig_ids[1]);
	fake_leave(&f);
	peer_rig_free(&w);
}

static void test_equals_share(void **state)
{
	struct tunnel_tried none = {.n = 0}, tried;
	struct node_entry e;
	struct peer_rig w;
	struct fake f;
	int n[2] = {0, 0};

	peer_rig_new(&w);
	peer_rig_put(&w, "demo", "\"kind\":\"http\"");
	peer_rig_join(&w, &f, 0, "laptop", 1, 0);
	e = peer_rig_entry(&w, "other", 1, 1);
	for (int k = 1; k < PEER_RIG_N; k++)
		assert_int_equal(core_peer_serves(w.node[0].way[k].peer, STR("demo"), &e), 0);
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	core_peer_set_load(w.node[0].way[1].peer, 10);
	for (int i = 0; i < 30; i++) {
		tried = none;
		n[dial(&w, &f, &tried, "") == 'b']++;
	}
	assert_int_equal(n[0], 20); /* 10 more than the other, whose visitors are counted, too */
	assert_int_equal(n[1], 10);
	fake_leave(&f);
	peer_rig_free(&w);
}

/* The visit that another node gets, and the one that its agent gets. */
static void test_two_hops(void **state)
{
	struct visit v = {.ingress = VISIT_TCP};
	struct wire *wire;
	uint64_t place;
	struct peer_rig w;
	struct fake f;

	peer_rig_new(&w);
	peer_rig_serve(&w, &f, 2, "laptop");
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	assert_int_equal(peer_rig_lookup(&w, 1, "demo", NULL), 0);
	w.node[1].through = w.node[2].through = true;
	assert_int_equal(tunnel_dial(peer_rig_demo(&w, 0), &v, &place, &wire), 0);
	assert_int_equal(f.n_opened, 1);
	assert_string_equal(w.node[2].visit.via, peer_rig_ids[0]);
	assert_string_equal(w.node[2].visit.tunnel, "demo");
	assert_string_equal(v.via, "");

	/* a believes that b has it, which has given it up, and passes it on */
	{
		struct node_entry e = peer_rig_entry(&w, "laptop", 1, 1);

		assert_int_equal(core_peer_serves(w.node[0].way[1].peer, STR("demo"), &e), 0);
	}
	core_peer_set_state(w.node[0].way[2].peer, PEER_UNREACHABLE);
	assert_int_equal(tunnel_dial(peer_rig_demo(&w, 0), &v, &place, &wire), 0);
	assert_int_equal(f.n_opened, 2);
	assert_string_equal(w.node[1].visit.via, peer_rig_ids[0]);
	assert_string_equal(w.node[2].visit.via, "aaaaaaaaaaaaaaaa,bbbbbbbbbbbbbbbb");

	/* c has lost it, and does not send the visitor round */
	{
		struct node_entry e = peer_rig_entry(&w, "laptop", 1, 1);

		for (int k = 0; k < 2; k++)
			assert_int_equal(core_peer_serves(w.node[2].way[k].peer, STR("demo"), &e),
					 0);
	}
	w.node[2].mute = true;
	member_detach(f.member, STR("demo"));
	peer_rig_run(&w, 1);
	assert_non_null(peer_rig_demo(&w, 2)); /* it was here just now */
	assert_int_equal(tunnel_dial(peer_rig_demo(&w, 0), &v, &place, &wire), ERR_NOSESSION);
	assert_int_equal(f.n_opened, 2);
	fake_leave(&f);
	peer_rig_free(&w);
}

/* The name has been deleted, and made anew by somebody else: one of two nodes has not heard of it.
 */
static void test_a_name_that_has_changed_hands(void **state)
{
	struct visit v = {.ingress = VISIT_TCP};
	struct wire *wire;
	uint64_t place;
	struct peer_rig w;
	struct fake f;

	peer_rig_new(&w);
	peer_rig_serve(&w, &f, 2, "laptop");
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	w.node[2].through = true;
	assert_int_equal(tunnel_dial(peer_rig_demo(&w, 0), &v, &place, &wire), 0);
	assert_int_equal(f.n_opened, 1);
	assert_string_equal(w.node[2].visit.owner, w.ann.account);
	assert_string_equal(v.owner, "");

	/* as a node would ask that knows of the new owner already */
	v = w.node[2].visit;
	str_printf(v.owner, sizeof v.owner, "somebody");
	assert_int_equal(tunnel_dial(peer_rig_demo(&w, 2), &v, &place, &wire), ERR_NOSESSION);
	assert_int_equal(f.n_opened, 1);
	fake_leave(&f);
	peer_rig_free(&w);
}

static void test_a_node_dies_while_it_is_dialled(void **state)
{
	struct tunnel_tried tried = {.n = 0};
	struct peer_rig w;
	struct fake f, g;

	peer_rig_new(&w);
	peer_rig_join(&w, &f, 0, "here", 1, 0);
	peer_rig_serve(&w, &g, 1, "laptop");
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	w.node[1].dies = true;
	assert_int_equal(dial(&w, &f, &tried, ""), -ERR_NOSESSION);
	assert_null(peer_rig_demo(&w, 0));
	assert_int_equal(core_n_remote(w.node[0].rig.core), 0);
	fake_leave(&f);
	fake_leave(&g);
	peer_rig_free(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_dialled),
		cmocka_unit_test(test_which_places_stay),
		cmocka_unit_test(test_where_to),
		cmocka_unit_test(test_equals_share),
		cmocka_unit_test(test_two_hops),
		cmocka_unit_test(test_a_name_that_has_changed_hands),
		cmocka_unit_test(test_a_node_dies_while_it_is_dialled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
