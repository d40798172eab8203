/* The store has gone back: what is missing was lost, what is older counts, for a while. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/core_rig.h"

/* So long after it a missing record is a lost one. */
#define LOST_MS 60000

static const struct core_agent laptop = {.id = "laptop", .epoch = 100};

/* One session that serves "demo". */
struct world {
	struct core_rig r;
	struct access_who ann;
	struct fake f;
};

static void world_open(struct world *w)
{
	core_rig_new(&w->r, true);
	core_rig_account(&w->r, &w->ann);
	fake_join(&w->f, &w->r, &w->ann, &laptop);
	assert_int_equal(core_rig_attach(&w->f, "demo", "").result.e, 0);
}

static void world_close(struct world *w)
{
	fake_leave(&w->f);
	core_rig_free(&w->r);
}

static void on_dropped(void *arg, const struct store_answer *answer)
{
	*(int *)arg = answer->e;
}

/* A record is not in the store any more; nobody is told. */
static void lose(struct world *w, struct str kind, const char *key)
{
	struct store_id id = {.kind = kind, .key = str_of(key), .expected = STORE_ANY};
	int e = -1;

	assert_int_equal(store_drop(w->r.store, id, on_dropped, &e), 0);
	core_rig_run(&w->r);
	assert_int_equal(e, 0);
}

enum what { TUNNEL, CREDENTIAL, ACCOUNT };

static void lose_what(struct world *w, enum what what)
{
	char key[2 * CORE_ID_TEXT];

	str_printf(key, sizeof key, "%s/%s", w->ann.account, w->ann.credential);
	switch (what) {
	case TUNNEL: lose(w, RECORD_TUNNEL, "demo"); break;
	case CREDENTIAL: lose(w, RECORD_CREDENTIAL, key); break;
	default: lose(w, RECORD_ACCOUNT, w->ann.account); break;
	}
}

static const struct {
	const char *why;
	enum what what;
	bool rewound;
	uint64_t after_ms; /* so long after it, or after nothing, the record goes */
	uint64_t until_ms; /* and so long after that it has been noticed */
	bool ends;	   /* the session; else it only loses the tunnel */
	int code;
	const char *says;
} losses[] = {
	{"a tunnel that the new master has not got is looked for at once", TUNNEL, true, 0, 10,
	 true, ERR_IO, "lost the tunnel \"demo\""},
	{"so is a credential", CREDENTIAL, true, 0, 10, true, ERR_IO, "lost this credential"},
	{"and an account", ACCOUNT, true, 0, 10, true, ERR_IO, "lost this account"},
	{"within a minute it was lost, too", TUNNEL, true, LOST_MS - CORE_REFRESH_MS - 1000,
	 CORE_REFRESH_MS + 300, true, ERR_IO, "lost the tunnel"},
	{"later it was deleted by another node", TUNNEL, true, LOST_MS, CORE_REFRESH_MS + 300,
	 false, ERR_DELETED, "deleted"},
	{"and a credential revoked", CREDENTIAL, true, LOST_MS, CORE_REFRESH_MS + 300, true,
	 ERR_AUTH, "revoked"},
	{"as when the store never went back", TUNNEL, false, 0, CORE_REFRESH_MS + 300, false,
	 ERR_DELETED, "deleted"},
	{"the same of an account", ACCOUNT, false, 0, CORE_REFRESH_MS + 300, true, ERR_DELETED,
	 "deleted"},
};

static void test_what_is_missing(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(losses); i++) {
		struct world w;

		world_open(&w);
		ev_sim_run_for(w.r.ev, 1000);
		if (losses[i].rewound && losses[i].after_ms > 0) {
			store_rewound(w.r.store);
			ev_sim_run_for(w.r.ev, losses[i].after_ms);
		}
		assert_int_equal(w.f.n_expelled + w.f.n_detached, 0);
		lose_what(&w, losses[i].what);
		if (losses[i].rewound && losses[i].after_ms == 0)
			store_rewound(w.r.store);
		ev_sim_run_for(w.r.ev, losses[i].until_ms);
		if (w.f.n_expelled != losses[i].ends || w.f.n_detached == losses[i].ends ||
		    w.f.why != losses[i].code || strstr(w.f.reason, losses[i].says) == NULL)
			fail_msg("%s: expelled %u detached %u %s \"%s\"", losses[i].why,
				 w.f.n_expelled, w.f.n_detached, err_name(w.f.why), w.f.reason);
		assert_null(core_tunnel(w.r.core, STR("demo")));
		world_close(&w);
	}
}

/* Its agent comes again and gets the name, as if it had never had it. */
static void test_a_lost_tunnel_is_made_again(void **state)
{
	struct world w;
	char *record;

	world_open(&w);
	lose(&w, RECORD_TUNNEL, "demo");
	store_rewound(w.r.store);
	ev_sim_run_for(w.r.ev, 10);
	assert_int_equal(w.f.n_expelled, 1);
	fake_leave(&w.f);
	fake_join(&w.f, &w.r, &w.ann, &laptop);
	assert_int_equal(core_rig_attach(&w.f, "demo", "").result.e, 0);
	record = core_rig_get(&w.r, "tunnel", "demo");
	assert_non_null(record);
	free(record);
	ev_sim_run_for(w.r.ev, 2 * CORE_REFRESH_MS);
	assert_int_equal(w.f.n_expelled, 0);
	assert_non_null(core_tunnel(w.r.core, STR("demo")));
	world_close(&w);
}

/* This node itself has deleted it: there is nothing to guess. */
static void test_what_is_deleted_here_is_deleted(void **state)
{
	struct store_record gone = {.kind = RECORD_TUNNEL, .key = STR("demo")};
	struct world w;

	world_open(&w);
	store_rewound(w.r.store);
	ev_sim_run_for(w.r.ev, 10);
	core_on_record(w.r.core, &gone);
	assert_int_equal(w.f.why, ERR_DELETED);
	assert_int_equal(w.f.n_expelled, 0);
	world_close(&w);
}

static const struct {
	const char *why;
	bool rewound;
	uint64_t after_ms;
	bool counts;
} olds[] = {
	{"an older record says nothing", false, 0, false},
	{"but what is in a store that went back does", true, 10, true},
	{"not for ever: then it was read late", true, LOST_MS + 1000, false},
};

/* The name is somebody else's in the store that there is now. */
static void test_what_is_older(void **state)
{
	struct store_record rec = {.kind = RECORD_TUNNEL,
				   .key = STR("demo"),
				   .value = STR("{\"account\":\"bob\",\"kind\":\"http\"}"),
				   .version = 1};

	for (size_t i = 0; i < ARRAY_LEN(olds); i++) {
		struct world w;

		world_open(&w);
		if (olds[i].rewound)
			store_rewound(w.r.store);
		ev_sim_run_for(w.r.ev, olds[i].after_ms);
		core_on_record(w.r.core, &rec);
		if (w.f.n_detached != olds[i].counts)
			fail_msg("%s: detached %u", olds[i].why, w.f.n_detached);
		world_close(&w);
	}
}

/* A store that goes back again and again, and answers slowly. */
static void test_many_make_no_second_line(void **state)
{
	struct world w;

	world_open(&w);
	for (int i = 0; i < 2 * CORE_REFRESHES_MAX; i++)
		assert_int_equal(core_rig_attach(&w.f, "", "").result.e, 0);
	ev_sim_run_for(w.r.ev, 1000);
	w.r.judge = core_rig_hold_all;
	w.r.n_asked = 0;
	for (int i = 0; i < 1000; i++) {
		store_rewound(w.r.store);
		core_rig_run(&w.r);
	}
	assert_int_equal(w.r.n_asked, CORE_REFRESHES_MAX);
	core_rig_release(&w.r);
	ev_sim_run_for(w.r.ev, 200);
	/* two rounds of all: the one that was under way, and one after the last */
	assert_in_range(w.r.n_asked, 2 * CORE_REFRESHES_MAX, 6 * CORE_REFRESHES_MAX);
	assert_int_equal(w.f.n_expelled, 0);
	world_close(&w);
}

static void test_core_goes_first(void **state)
{
	struct world w;

	world_open(&w);
	store_rewound(w.r.store);
	fake_leave(&w.f);
	core_free(w.r.core);
	w.r.core = NULL;
	store_rewound(w.r.store); /* nobody hears of it */
	core_rig_free(&w.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_missing),
		cmocka_unit_test(test_a_lost_tunnel_is_made_again),
		cmocka_unit_test(test_what_is_deleted_here_is_deleted),
		cmocka_unit_test(test_what_is_older),
		cmocka_unit_test(test_many_make_no_second_line),
		cmocka_unit_test(test_core_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
