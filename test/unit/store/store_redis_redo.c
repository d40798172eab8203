/* A Redis that comes back without the last writes: they are made again by whoever made them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "base/err.h"
#include "store/store_redis.h"
#include "suite/store_server.h"

/* It keeps what SAVE wrote, and nothing else: as a replica that was behind. */
static struct store_server server = {.args = {"--appendonly", "no"}};

static void redis_fresh(char *where, size_t cap)
{
	store_server_where(&server, where, cap);
}

static void redis_clean(const char *where)
{
}

static const struct store_maker redis = {
	.name = "redis that forgets",
	.loop = ev_new,
	.fresh = redis_fresh,
	.clean = redis_clean,
};

static void say(struct store_rig *t, const char *words)
{
	store_server_say(&server, t->where, words, NULL, 0);
}

static void fall_back(void)
{
	store_server_kill(&server);
	store_server_start(&server);
}

static unsigned n_rewound;

static void on_rewind(void *arg)
{
	n_rewound++;
}

/* Asks until Redis is there again. */
static const struct store_told *get(struct store_rig *t, const char *key)
{
	const struct store_told *told;
	unsigned tries = 0;

	while ((told = store_rig_get(t, "k", key))->answer.e == ERR_TIMEOUT)
		assert_true(++tries < 1000);
	return told;
}

static void expect(struct store_rig *t, const char *key, const char *value)
{
	const struct store_told *told = get(t, key);

	if (value == NULL)
		assert_int_equal(told->answer.e, ERR_NOTFOUND);
	else
		store_rig_expect_value(told, str_of(value));
}

static uint64_t put(struct store_rig *t, const char *key, const char *value)
{
	const struct store_told *told = store_rig_put(t, store_rig_rec("k", key, value), STORE_ANY);

	assert_int_equal(told->answer.e, 0);
	return told->recs[0].version;
}

/* Made, changed, dropped and expiring records, and one of a batch: all are as they were. */
static void test_made_again(void **state)
{
	struct store_rig *t = *state;
	struct store_record brief = store_rig_rec("k", "brief", "v");
	struct store_write both[2] = {{.rec = store_rig_rec("k", "one", "1"), .expected = 0},
				      {.rec = store_rig_rec("k", "two", "2"), .expected = 0}};
	uint64_t made, kept;
	char there[16];

	store_on_rewind(t->store, on_rewind, NULL);
	kept = put(t, "kept", "as it was");
	put(t, "changed", "old");
	put(t, "dropped", "here");
	say(t, "SAVE");
	made = put(t, "made", "new");
	put(t, "changed", "middle");
	put(t, "changed", "new");
	assert_int_equal(store_rig_drop(t, "k", "dropped", STORE_ANY)->answer.e, 0);
	brief.expires_ms = ev_wall_ms(t->ev) + 3600 * 1000;
	assert_int_equal(store_rig_put(t, brief, 0)->answer.e, 0);
	assert_int_equal(store_rig_batch(t, both, 2)->answer.e, 0);
	n_rewound = 0;
	fall_back();
	expect(t, "made", "new");
	assert_int_equal(n_rewound, 1);
	expect(t, "changed", "new");
	expect(t, "dropped", NULL);
	expect(t, "kept", "as it was");
	expect(t, "one", "1");
	expect(t, "two", "2");
	assert_int_equal(get(t, "brief")->recs[0].expires_ms, brief.expires_ms);
	assert_int_equal(get(t, "made")->recs[0].version, made);
	assert_int_equal(get(t, "kept")->recs[0].version, kept);
	/* what was made again is not told of in order */
	store_server_say(&server, t->where, "EXISTS karez:{store}:log", there, sizeof there);
	assert_string_equal(there, "0");
	assert_true(put(t, "next", "v") > made + 1000);
	assert_int_equal(
		store_rig_list(t, (struct store_page){.kind = STR("k"), .limit = 100})->answer.n,
		7);
	assert_int_equal(t->n_warns, 1);
	assert_non_null(strstr(t->said, "made again: 6, taken by others meanwhile: 0"));
}

/* A port that somebody else got meanwhile stays his; the rest of the batch is not made either. */
static void test_taken_meanwhile(void **state)
{
	struct store_rig *t = *state, *other = store_rig_new(&redis);
	struct store_write both[2] = {{.rec = store_rig_rec("k", "port", "mine"), .expected = 0},
				      {.rec = store_rig_rec("k", "name", "mine"), .expected = 0}};

	str_printf(other->where, sizeof other->where, "%s", t->where);
	put(t, "first", "v");
	say(t, "SAVE");
	assert_int_equal(store_rig_batch(t, both, 2)->answer.e, 0);
	put(t, "alone", "mine");
	fall_back();
	store_rig_open(other); /* t's loop stands still */
	put(other, "port", "his");
	expect(t, "port", "his");
	expect(t, "name", NULL);
	expect(t, "alone", "mine");
	assert_non_null(strstr(t->said, "made again: 1, taken by others meanwhile: 1"));
	/* and versions tell all of them apart */
	assert_int_equal(store_rig_put(t, store_rig_rec("k", "port", "mine"), 0)->answer.e,
			 ERR_CONFLICT);
	store_rig_free(other);
}

/* Nothing was lost, or nothing is known: nothing is done twice. */
static void test_nothing_is_undone(void **state)
{
	struct store_rig *t = *state, *other = store_rig_new(&redis);

	str_printf(other->where, sizeof other->where, "%s", t->where);
	put(t, "changed", "mine");
	put(t, "dropped", "mine");
	store_rig_open(other);
	put(other, "changed", "his");
	assert_int_equal(store_rig_drop(other, "k", "dropped", STORE_ANY)->answer.e, 0);
	say(t, "SAVE");
	n_rewound = 0;
	store_on_rewind(t->store, on_rewind, NULL);
	fall_back();
	expect(t, "changed", "his");
	expect(t, "dropped", NULL);
	assert_int_equal(n_rewound, 1);
	assert_int_equal(t->n_warns, 0);
	store_rig_free(other);
}

/* It comes back with nothing at all. */
static void test_all_is_lost(void **state)
{
	struct store_rig *t = *state;
	uint64_t made = put(t, "made", "new");

	say(t, "FLUSHDB");
	say(t, "SAVE");
	fall_back();
	expect(t, "made", "new");
	assert_int_equal(get(t, "made")->recs[0].version, made);
	assert_true(put(t, "next", "v") > made + 1000);
}

/* Twice in a row: what was made again is made again. */
static void test_twice(void **state)
{
	struct store_rig *t = *state;

	put(t, "first", "v");
	say(t, "SAVE");
	put(t, "made", "new");
	for (unsigned i = 0; i < 3; i++) {
		fall_back();
		expect(t, "made", "new");
		expect(t, "first", "v");
	}
}

/* A connection that breaks is no other Redis. */
static void test_the_same_redis(void **state)
{
	struct store_rig *t = *state;

	put(t, "made", "new");
	n_rewound = 0;
	store_on_rewind(t->store, on_rewind, NULL);
	say(t, "DEL karez:{store}:r:k/made"); /* as if it had never been */
	say(t, "CLIENT KILL TYPE normal");
	expect(t, "made", NULL);
	assert_int_equal(n_rewound, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_RIG_TEST(&redis, test_made_again),
		STORE_RIG_TEST(&redis, test_taken_meanwhile),
		STORE_RIG_TEST(&redis, test_nothing_is_undone),
		STORE_RIG_TEST(&redis, test_all_is_lost),
		STORE_RIG_TEST(&redis, test_twice),
		STORE_RIG_TEST(&redis, test_the_same_redis),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	store_server_init(&server);
	store_server_start(&server);
	failed = cmocka_run_group_tests_name("store, redis that forgets", tests, NULL, NULL);
	store_server_free(&server);
	return failed;
}
