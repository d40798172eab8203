/* The memory store: the suite on virtual time, then its cap and its broom. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "suite/store_suite.h"

static int memory_loop(struct ev **out)
{
	return ev_sim_new(7, out);
}

static void memory_fresh(char *where, size_t cap)
{
	assert_int_equal(str_copy(where, cap, STR("memory:")), 0);
}

static void memory_clean(const char *where)
{
}

static const struct store_maker memory = {
	.name = "store suite, memory",
	.loop = memory_loop,
	.fresh = memory_fresh,
	.clean = memory_clean,
};

static void test_expires_as_time_passes(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("x", "k", "v");
	uint64_t version;

	rec.expires_ms = ev_wall_ms(t->ev) + 60 * 1000;
	version = store_rig_put(t, rec, 0)->recs[0].version;
	ev_sim_run_for(t->ev, 59 * 1000 + 999);
	store_rig_expect(t, "x", "k", "v");
	assert_int_equal(store_rig_put(t, rec, 0)->answer.e, ERR_CONFLICT);
	ev_sim_run_for(t->ev, 1);
	assert_int_equal(store_rig_get(t, "x", "k")->answer.e, ERR_NOTFOUND);
	assert_int_equal(store_rig_put(t, rec, version)->answer.e, ERR_CONFLICT);
	assert_int_equal(store_rig_put(t, store_rig_rec("x", "k", "new"), 0)->answer.e, 0);
}

/* Another process may have changed it: what was read is believed for so long. */
static void test_known_for_a_while(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("x", "k", "v");

	rec.expires_ms = ev_wall_ms(t->ev) + STORE_PEEK_MS / 2;
	store_rig_put(t, rec, 0);
	rec = store_rig_rec("x", "stays", "v");
	store_rig_put(t, rec, 0);
	store_rig_get(t, "x", "k");
	store_rig_get(t, "x", "stays");
	ev_sim_run_for(t->ev, STORE_PEEK_MS / 2 - 1);
	assert_true(store_peek(t->store, STR("x"), STR("k"), &rec));
	ev_sim_run_for(t->ev, 1);
	assert_false(store_peek(t->store, STR("x"), STR("k"), &rec));
	ev_sim_run_for(t->ev, STORE_PEEK_MS / 2);
	assert_true(store_peek(t->store, STR("x"), STR("stays"), &rec));
	ev_sim_run_for(t->ev, 1);
	assert_false(store_peek(t->store, STR("x"), STR("stays"), &rec));
}

static bool memory_knows(struct store_rig *t, const char *key)
{
	struct store_record rec;

	return store_peek(t->store, STR("t"), str_of(key), &rec);
}

static void test_known_is_bounded(void **state)
{
	struct store_rig *t = *state;
	static char value[STORE_VALUE_MAX];
	char key[16];

	for (unsigned i = 0; i < 200; i++) { /* 12.5 MiB */
		str_printf(key, sizeof key, "%u", i);
		struct store_record rec = store_rig_rec("t", key, "");

		rec.value = (struct str){value, sizeof value};
		store_rig_put(t, rec, 0);
		store_rig_get(t, "t", key);
		assert_true(memory_knows(t, key));
		assert_true(memory_knows(t, "0")); /* what is used stays */
	}
	assert_false(memory_knows(t, "1"));
}

static struct store_told *memory_put_big(struct store_rig *t, unsigned i, int64_t expires_ms)
{
	static char value[STORE_VALUE_MAX];
	struct store_record rec;
	char key[16];

	str_printf(key, sizeof key, "%06u", i);
	rec = store_rig_rec("big", key, "");
	rec.value = (struct str){value, sizeof value};
	rec.expires_ms = expires_ms;
	return store_rig_put(t, rec, STORE_ANY);
}

/* Full is an answer, leaves what is there alone, and is over when something goes. */
static void test_full(void **state)
{
	struct store_rig *t = *state;
	struct store_write lines[] = {
		{STORE_DROP, store_rig_rec("big", "000000", ""), STORE_ANY},
		{STORE_PUT, store_rig_rec("big", "small", "v"), 0},
	};
	unsigned n = 0;

	while (memory_put_big(t, n, 0)->answer.e == 0)
		n++;
	assert_in_range(n, 1000, STORE_MEMORY_MAX / STORE_VALUE_MAX);
	assert_int_equal(memory_put_big(t, n, 0)->answer.e, ERR_FULL);
	assert_int_equal(t->n_errors, 1); /* said once, not with every write */
	assert_int_equal(store_rig_get(t, "big", "000000")->answer.e, 0);
	assert_int_equal(memory_put_big(t, 0, 0)->answer.e, 0); /* one for another is no more */
	assert_int_equal(t->n_infos, 1);
	assert_int_equal(store_rig_batch(t, lines, 2)->answer.e, 0);
	assert_int_equal(memory_put_big(t, 1, 0)->answer.e, 0);
	store_rig_expect(t, "big", "small", "v");
}

/* Expired records make room by and by: three times the cap goes through. */
static void test_sweep(void **state)
{
	struct store_rig *t = *state;

	for (unsigned i = 0; i < 3 * STORE_MEMORY_MAX / STORE_VALUE_MAX; i++)
		assert_int_equal(memory_put_big(t, i, 1)->answer.e, 0);
}

static void test_names(void **state)
{
	static const struct {
		const char *why, *where;
		int want;
	} cases[] = {
		{"a kind we do not have", "postgres://localhost", ERR_INVAL},
		{"no kind", "/var/lib/karez/karez.db", ERR_INVAL},
		{"a file without a name", "sqlite:", ERR_INVAL},
		{"memory with a name", "memory:x", ERR_INVAL},
		{"nothing", "", ERR_INVAL},
	};
	struct store_rig *t = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store *s = NULL;
		struct store_why why = {""};

		print_message("  %s\n", cases[i].why);
		assert_int_equal(store_open(t->ev, &t->log, cases[i].where, &s, &why),
				 cases[i].want);
		assert_null(s);
		assert_non_null(strstr(why.text, "sqlite:PATH"));
		assert_non_null(strstr(why.text, cases[i].where));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_RIG_TEST(&memory, test_expires_as_time_passes),
		STORE_RIG_TEST(&memory, test_known_for_a_while),
		STORE_RIG_TEST(&memory, test_known_is_bounded),
		STORE_RIG_TEST(&memory, test_full),
		STORE_RIG_TEST(&memory, test_sweep),
		STORE_RIG_TEST(&memory, test_names),
	};

	return store_suite(&memory) +
	       cmocka_run_group_tests_name("store, memory", tests, NULL, NULL);
}
