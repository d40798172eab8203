/* What every kind of store must do with records; what it must do with calls stands beside this. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "suite/store_suite.h"
#include "suite/store_suite_calls.h"

/* ---- one record ---- */

static void test_bytes_come_back(void **state)
{
	static const char nul[] = "a\0b\0\xff\n";
	static char big[STORE_VALUE_MAX];
	const struct {
		const char *why;
		struct str kind, key, value;
	} cases[] = {
		{"plain text", STR("tunnel"), STR("hello.tim"), STR("{\"port\":80}")},
		{"an empty value", STR("tunnel"), STR("empty"), STR("")},
		{"a one-letter kind and key", STR("t"), STR("k"), STR("v")},
		{"a NUL in the key", STR("token"), {nul, sizeof nul}, STR("x")},
		{"a key that is a prefix of it", STR("token"), {nul, 1}, STR("y")},
		{"a NUL in the value", STR("token"), STR("nul"), {nul, sizeof nul}},
		{"a key of one NUL", STR("token"), {nul + 1, 1}, STR("z")},
		{"a quote and a percent", STR("token"), STR("a'b\"c%d"), STR("';--")},
		{"the longest of all",
		 STR("abcdefghijklmnop"),
		 {big, STORE_KEY_MAX},
		 {big, sizeof big}},
		{"a slash, as between kind and key", STR("token"), STR("/"), STR("slash")},
	};
	struct store_rig *t = *state;

	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 7);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_record rec = {.kind = cases[i].kind,
					   .key = cases[i].key,
					   .value = cases[i].value};

		print_message("  %s\n", cases[i].why);
		assert_int_equal(store_rig_put(t, rec, 0)->answer.e, 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_told *told = store_rig_ask(t);

		assert_int_equal(store_get(t->store, cases[i].kind, cases[i].key,
					   store_rig_on_answer, told),
				 0);
		store_rig_wait(t);
		store_rig_expect_value(told, cases[i].value);
		assert_true(str_eq(told->recs[0].kind, cases[i].kind));
		assert_true(str_eq(told->recs[0].key, cases[i].key));
	}
}

static void test_arguments_are_refused(void **state)
{
	static const char long_text[STORE_VALUE_MAX + 1] = "x";
	const struct {
		const char *why;
		struct str kind, key, value;
		int64_t expires_ms;
		int want;
	} cases[] = {
		{"an empty kind", STR(""), STR("k"), STR(""), 0, ERR_INVAL},
		{"a kind in capitals", STR("Tunnel"), STR("k"), STR(""), 0, ERR_INVAL},
		{"a kind with a slash", STR("a/b"), STR("k"), STR(""), 0, ERR_INVAL},
		{"a kind that is too long", STR("abcdefghijklmnopq"), STR("k"), STR(""), 0,
		 ERR_INVAL},
		{"an empty key", STR("t"), STR(""), STR(""), 0, ERR_INVAL},
		{"a key that is too long", STR("t"), {long_text, STORE_KEY_MAX + 1}, STR(""), 0, ERR_TOOBIG},
		{"a value that is too long",
		 STR("t"),
		 STR("k"),
		 {long_text, sizeof long_text},
		 0,
		 ERR_TOOBIG},
		{"an end before 1970", STR("t"), STR("k"), STR(""), -1, ERR_INVAL},
	};
	struct store_rig *t = *state;
	struct store_write *many = must_calloc(STORE_BATCH_MAX + 1, sizeof many[0]);
	struct store_page page = {.kind = STR("t"), .limit = 0};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store_record rec = {.kind = cases[i].kind,
					   .key = cases[i].key,
					   .value = cases[i].value,
					   .expires_ms = cases[i].expires_ms};

		print_message("  %s\n", cases[i].why);
		assert_int_equal(store_put(t->store, &rec, STORE_ANY, store_rig_on_answer, NULL),
				 cases[i].want);
	}
	for (size_t i = 0; i <= STORE_BATCH_MAX; i++)
		many[i].rec = store_rig_rec("t", "k", "");
	assert_int_equal(store_batch(t->store, many, 0, store_rig_on_answer, NULL), ERR_INVAL);
	assert_int_equal(store_batch(t->store, many, STORE_BATCH_MAX + 1, store_rig_on_answer,
				     NULL),
			 ERR_TOOBIG);
	for (size_t i = 0; i < 65; i++)
		many[i].rec.value = (struct str){long_text, STORE_VALUE_MAX};
	assert_int_equal(store_batch(t->store, many, 65, store_rig_on_answer, NULL), ERR_TOOBIG);
	assert_int_equal(store_list(t->store, page, store_rig_on_answer, NULL), ERR_INVAL);
	page.limit = STORE_PAGE_MAX + 1;
	assert_int_equal(store_list(t->store, page, store_rig_on_answer, NULL), ERR_INVAL);
	assert_int_equal(store_get(t->store, STR("T"), STR("k"), store_rig_on_answer, NULL),
			 ERR_INVAL);
	assert_int_equal(store_pending(t->store), 0);
	free(many);
}

/* What stands at "k" before a case, and what the case expects to see there. */
enum before { NOTHING, THERE, REPLACED, DROPPED, OVER };
enum seen { SEEN_NONE, SEEN_IT, SEEN_FIRST, SEEN_LATER, SEEN_ANY };

static const struct {
	const char *why;
	enum before before;
	enum seen seen;
	int put, drop; /* the answers to the two operations */
} cas_cases[] = {
	{"nothing there, nothing expected", NOTHING, SEEN_NONE, 0, 0},
	{"nothing there, whatever", NOTHING, SEEN_ANY, 0, 0},
	{"nothing there, some version expected", NOTHING, SEEN_LATER, ERR_CONFLICT, ERR_CONFLICT},
	{"there, nothing expected", THERE, SEEN_NONE, ERR_CONFLICT, ERR_CONFLICT},
	{"there, and as expected", THERE, SEEN_IT, 0, 0},
	{"there, whatever", THERE, SEEN_ANY, 0, 0},
	{"there, a version from the future", THERE, SEEN_LATER, ERR_CONFLICT, ERR_CONFLICT},
	{"replaced since we saw it", REPLACED, SEEN_FIRST, ERR_CONFLICT, ERR_CONFLICT},
	{"replaced, and we saw that", REPLACED, SEEN_IT, 0, 0},
	{"dropped since we saw it", DROPPED, SEEN_FIRST, ERR_CONFLICT, ERR_CONFLICT},
	{"dropped, nothing expected", DROPPED, SEEN_NONE, 0, 0},
	{"expired since we saw it", OVER, SEEN_FIRST, ERR_CONFLICT, ERR_CONFLICT},
	{"expired, nothing expected", OVER, SEEN_NONE, 0, 0},
	{"expired, whatever", OVER, SEEN_ANY, 0, 0},
};

/* Returns the version to expect; *now is what is there, 0 for nothing. */
static uint64_t cas_prepare(struct store_rig *t, const char *key, size_t i, uint64_t *now)
{
	struct store_record rec = store_rig_rec("cas", key, "old");
	uint64_t first = 0;

	*now = 0;
	if (cas_cases[i].before == OVER)
		rec.expires_ms = 1;
	if (cas_cases[i].before != NOTHING)
		first = *now = store_rig_put(t, rec, 0)->recs[0].version;
	if (cas_cases[i].before == REPLACED)
		*now = store_rig_put(t, rec, first)->recs[0].version;
	if (cas_cases[i].before == DROPPED)
		assert_int_equal(store_rig_drop(t, "cas", key, first)->answer.e, 0);
	if (cas_cases[i].before == DROPPED || cas_cases[i].before == OVER)
		*now = 0;
	switch (cas_cases[i].seen) {
	case SEEN_NONE: return 0;
	case SEEN_IT: return *now;
	case SEEN_FIRST: return first;
	case SEEN_LATER: return first + 1000;
	case SEEN_ANY: break;
	}
	return STORE_ANY;
}

static void test_compare_and_swap(void **state)
{
	struct store_rig *t = *state;

	for (size_t i = 0; i < ARRAY_LEN(cas_cases); i++) {
		const struct store_told *told;
		uint64_t expected, now;
		char key[16];

		print_message("  %s\n", cas_cases[i].why);
		str_printf(key, sizeof key, "put%zu", i);
		expected = cas_prepare(t, key, i, &now);
		told = store_rig_put(t, store_rig_rec("cas", key, "new"), expected);
		assert_int_equal(told->answer.e, cas_cases[i].put);
		if (told->answer.e == 0) {
			assert_int_equal(told->answer.n, 1);
			assert_true(told->recs[0].version > now);
			now = told->recs[0].version;
			store_rig_expect(t, "cas", key, "new");
			assert_int_equal(store_rig_get(t, "cas", key)->recs[0].version, now);
		} else if (now != 0) {
			store_rig_expect(t, "cas", key, "old");
			assert_int_equal(store_rig_get(t, "cas", key)->recs[0].version, now);
		} else {
			assert_int_equal(store_rig_get(t, "cas", key)->answer.e, ERR_NOTFOUND);
		}

		str_printf(key, sizeof key, "drop%zu", i);
		expected = cas_prepare(t, key, i, &now);
		told = store_rig_drop(t, "cas", key, expected);
		assert_int_equal(told->answer.e, cas_cases[i].drop);
		if (told->answer.e == 0) {
			assert_int_equal(told->recs[0].version, now);
			now = 0;
		}
		assert_int_equal(store_rig_get(t, "cas", key)->answer.e,
				 now == 0 ? ERR_NOTFOUND : 0);
	}
}

static void test_versions_never_return(void **state)
{
	struct store_rig *t = *state;
	uint64_t last = 0;

	for (int i = 0; i < 20; i++) {
		uint64_t version =
			store_rig_put(t, store_rig_rec("t", "k", "v"), 0)->recs[0].version;

		assert_true(version > last);
		last = version;
		assert_int_equal(store_rig_drop(t, "t", "k", version)->answer.e, 0);
	}
}

/* ---- batches ---- */

static void test_batch_all_or_nothing(void **state)
{
	struct store_rig *t = *state;

	/* The line that fails stands at each place in turn. */
	for (size_t bad = 0; bad < 5; bad++) {
		struct store_write lines[] = {
			{STORE_PUT, store_rig_rec("b", "new", "1"), 0},
			{STORE_PUT, store_rig_rec("b", "old", "1"), STORE_ANY},
			{STORE_DROP, store_rig_rec("b", "gone", ""), STORE_ANY},
			{STORE_PUT, store_rig_rec("b", "old", "2"), STORE_ANY},
			{STORE_PUT, store_rig_rec("b", "gone", "3"), 0},
		};
		const struct store_told *told;

		store_rig_drop(t, "b", "new", STORE_ANY);
		store_rig_put(t, store_rig_rec("b", "old", "0"), STORE_ANY);
		store_rig_put(t, store_rig_rec("b", "gone", "0"), STORE_ANY);
		lines[bad].expected = 1u << 30;
		told = store_rig_batch(t, lines, ARRAY_LEN(lines));
		assert_int_equal(told->answer.e, ERR_CONFLICT);
		assert_int_equal(told->answer.failed, bad);
		assert_int_equal(told->answer.n, 0);
		assert_int_equal(store_rig_get(t, "b", "new")->answer.e, ERR_NOTFOUND);
		store_rig_expect(t, "b", "old", "0");
		store_rig_expect(t, "b", "gone", "0");

		lines[bad].expected = bad == 0 || bad == 4 ? 0 : STORE_ANY;
		told = store_rig_batch(t, lines, ARRAY_LEN(lines));
		assert_int_equal(told->answer.e, 0);
		assert_int_equal(told->answer.n, ARRAY_LEN(lines));
		assert_true(told->recs[1].version < told->recs[3].version);
		store_rig_expect(t, "b", "new", "1");
		store_rig_expect(t, "b", "old", "2");
		store_rig_expect(t, "b", "gone", "3");
	}
}

/* A bad batch between good ones that may share its transaction. */
static void test_batch_among_others(void **state)
{
	struct store_write bad[] = {
		{STORE_PUT, store_rig_rec("b", "mine", "bad"), STORE_ANY},
		{STORE_DROP, store_rig_rec("b", "nothing", ""), 7},
	};
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("b", "mine", "first");
	struct store_told *told[4];

	for (int i = 0; i < 4; i++)
		told[i] = store_rig_ask(t);
	assert_int_equal(store_put(t->store, &rec, 0, store_rig_on_answer, told[0]), 0);
	assert_int_equal(store_batch(t->store, bad, 2, store_rig_on_answer, told[1]), 0);
	rec = store_rig_rec("b", "other", "last");
	assert_int_equal(store_put(t->store, &rec, 0, store_rig_on_answer, told[2]), 0);
	assert_int_equal(store_get(t->store, STR("b"), STR("mine"), store_rig_on_answer, told[3]),
			 0);
	store_rig_wait(t);
	assert_int_equal(told[0]->answer.e, 0);
	assert_int_equal(told[1]->answer.e, ERR_CONFLICT);
	assert_int_equal(told[1]->answer.failed, 1);
	assert_int_equal(told[2]->answer.e, 0);
	store_rig_expect_value(told[3], STR("first"));
	store_rig_expect(t, "b", "other", "last");
}

/* The largest batch there may be, of either measure. */
static void test_batch_largest(void **state)
{
	static char value[STORE_VALUE_MAX];
	struct store_rig *t = *state;
	struct store_write *lines = must_calloc(STORE_BATCH_MAX, sizeof lines[0]);
	char(*keys)[8] = must_calloc(STORE_BATCH_MAX, sizeof keys[0]);

	for (size_t i = 0; i < STORE_BATCH_MAX; i++) {
		str_printf(keys[i], sizeof keys[i], "%04zu", i);
		lines[i].rec = store_rig_rec("many", keys[i], "v");
	}
	assert_int_equal(store_rig_batch(t, lines, STORE_BATCH_MAX)->answer.n, STORE_BATCH_MAX);
	store_rig_expect(t, "many", "1023", "v");
	for (size_t i = 0; i < 63; i++) {
		lines[i].rec.value = (struct str){value, sizeof value};
		lines[i].expected = STORE_ANY;
	}
	assert_int_equal(store_rig_batch(t, lines, 63)->answer.n, 63);
	store_rig_expect_value(store_rig_get(t, "many", "0062"), (struct str){value, sizeof value});
	free(lines);
	free(keys);
}

/* ---- lists ---- */

static void list_fill(struct store_rig *t, const char *kind, unsigned n)
{
	struct store_write *lines = must_calloc(STORE_BATCH_MAX, sizeof lines[0]);
	char(*keys)[16] = must_calloc(STORE_BATCH_MAX, sizeof keys[0]);
	unsigned done = 0, i;

	while (done < n) {
		for (i = 0; i < STORE_BATCH_MAX && done < n; i++, done++) {
			/* 7919 is prime to n: every number once, in no order. */
			str_printf(keys[i], sizeof keys[i], "k%06u", done * 7919 % n);
			lines[i] = (struct store_write){STORE_PUT,
							store_rig_rec(kind, keys[i], keys[i]), 0};
		}
		assert_int_equal(store_rig_batch(t, lines, i)->answer.e, 0);
	}
	free(lines);
	free(keys);
}

static void test_list_pages(void **state)
{
	enum { N = 10000 };
	static const size_t limits[] = {97, 100, STORE_PAGE_MAX};
	struct store_rig *t = *state;

	list_fill(t, "tunnel", N);
	store_rig_put(t, store_rig_rec("tunne", "zzz", "a neighbour before"), 0);
	store_rig_put(t, store_rig_rec("tunnels", "a", "a neighbour behind"), 0);
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct store_page page = {.kind = STR("tunnel"), .limit = limits[i]};
		char want[16], after[16] = "";
		unsigned n = 0;
		bool more = true;

		while (more) {
			const struct store_told *told = store_rig_list(t, page);

			assert_int_equal(told->answer.e, 0);
			assert_in_range(told->answer.n, 1, limits[i]);
			for (size_t j = 0; j < told->answer.n; j++) {
				str_printf(want, sizeof want, "k%06u", n++);
				assert_true(str_eq(told->recs[j].key, str_of(want)));
				assert_true(str_eq(told->recs[j].value, str_of(want)));
				assert_true(str_eq(told->recs[j].kind, STR("tunnel")));
			}
			assert_int_equal(str_copy(after, sizeof after,
						  told->recs[told->answer.n - 1].key),
					 0);
			page.after = str_of(after);
			more = told->answer.more;
		}
		assert_int_equal(n, N);
	}
}

static void test_list_edges(void **state)
{
	static const char high[] = "\xff\xfe", nul[] = "a\0";
	struct store_rig *t = *state;
	struct store_page page = {.kind = STR("e"), .limit = 2};
	struct store_record rec = {.kind = STR("e"), .key = {high, 2}};
	const struct store_told *told = store_rig_list(t, page);

	assert_int_equal(told->answer.e, 0);
	assert_int_equal(told->answer.n, 0);
	assert_false(told->answer.more);
	/* In order: "a", "a\0", "b", "\xff\xfe". */
	store_rig_put(t, rec, 0);
	store_rig_put(t, store_rig_rec("e", "b", ""), 0);
	rec.key = (struct str){nul, 2};
	store_rig_put(t, rec, 0);
	store_rig_put(t, store_rig_rec("e", "a", ""), 0);
	told = store_rig_list(t, page);
	assert_int_equal(told->answer.n, 2);
	assert_true(told->answer.more);
	assert_true(str_eq(told->recs[0].key, STR("a")));
	assert_true(str_eq(told->recs[1].key, (struct str){nul, 2}));
	/* The key that the page ended with may be gone by now. */
	store_rig_drop(t, "e", "a", STORE_ANY);
	page.after = STR("a");
	page.limit = 3;
	told = store_rig_list(t, page);
	assert_int_equal(told->answer.n, 3);
	assert_false(told->answer.more);
	assert_true(str_eq(told->recs[2].key, (struct str){high, 2}));
	page.after = (struct str){high, 2};
	assert_int_equal(store_rig_list(t, page)->answer.n, 0);
}

/* Large values make pages shorter than asked for, never empty, and none is left out. */
static void test_list_page_bytes(void **state)
{
	static char value[STORE_VALUE_MAX];
	enum { N = 40 };
	struct store_rig *t = *state;
	struct store_page page = {.kind = STR("big"), .limit = STORE_PAGE_MAX};
	unsigned n = 0, n_pages = 0;
	char key[16];
	bool more = true;

	for (int i = 0; i < N; i++) {
		struct store_record rec;

		str_printf(key, sizeof key, "%02d", i);
		rec = store_rig_rec("big", key, "");
		rec.value = (struct str){value, sizeof value};
		assert_int_equal(store_rig_put(t, rec, 0)->answer.e, 0);
	}
	for (; more; n_pages++) {
		const struct store_told *told = store_rig_list(t, page);

		assert_int_equal(told->answer.e, 0);
		assert_in_range(told->answer.n, 1, STORE_PAGE_BYTES_MAX / sizeof value + 1);
		n += told->answer.n;
		assert_int_equal(str_copy(key, sizeof key, told->recs[told->answer.n - 1].key), 0);
		page.after = str_of(key);
		more = told->answer.more;
	}
	assert_int_equal(n, N);
	assert_in_range(n_pages, 3, 4);
}

/* ---- expiry ---- */

static void test_expired_is_gone(void **state)
{
	struct store_rig *t = *state;
	int64_t now = ev_wall_ms(t->ev);
	struct store_page page = {.kind = STR("x"), .limit = 10};
	struct store_record rec = store_rig_rec("x", "past", "v");
	const struct store_told *told;

	rec.expires_ms = now - 1;
	assert_true(store_rig_put(t, rec, 0)->recs[0].version > 0);
	rec.key = STR("just now");
	rec.expires_ms = now;
	assert_int_equal(store_rig_put(t, rec, 0)->answer.e, 0);
	rec.key = STR("future");
	rec.expires_ms = now + 3600 * 1000;
	assert_int_equal(store_rig_put(t, rec, 0)->answer.e, 0);
	store_rig_put(t, store_rig_rec("x", "never", "v"), 0);

	assert_int_equal(store_rig_get(t, "x", "past")->answer.e, ERR_NOTFOUND);
	assert_int_equal(store_rig_get(t, "x", "just now")->answer.e, ERR_NOTFOUND);
	assert_int_equal(store_rig_get(t, "x", "future")->recs[0].expires_ms, now + 3600 * 1000);
	assert_int_equal(store_rig_get(t, "x", "never")->recs[0].expires_ms, 0);
	told = store_rig_list(t, page);
	assert_int_equal(told->answer.n, 2);
	assert_true(str_eq(told->recs[0].key, STR("future")));
	assert_true(str_eq(told->recs[1].key, STR("never")));

	/* What has an end gets another one, or none, by being written again. */
	assert_int_equal(store_rig_put(t, store_rig_rec("x", "past", "back"), 0)->answer.e, 0);
	store_rig_expect(t, "x", "past", "back");
	rec = store_rig_rec("x", "never", "v");
	rec.expires_ms = 1;
	assert_int_equal(store_rig_put(t, rec, STORE_ANY)->answer.e, 0);
	assert_int_equal(store_rig_get(t, "x", "never")->answer.e, ERR_NOTFOUND);
}

/* A page's limit counts what is visible, and `more` does not promise what is over. */
static void test_expired_in_pages(void **state)
{
	struct store_rig *t = *state;
	struct store_page page = {.kind = STR("x"), .limit = 5};
	const struct store_told *told;
	char key[16];

	for (int i = 0; i < 40; i++) {
		struct store_record rec;

		str_printf(key, sizeof key, "%02d", i);
		rec = store_rig_rec("x", key, "");
		rec.expires_ms = i % 4 == 0 ? 0 : 1;
		assert_int_equal(store_rig_put(t, rec, 0)->answer.e, 0);
	}
	told = store_rig_list(t, page);
	assert_int_equal(told->answer.n, 5);
	assert_true(told->answer.more);
	assert_true(str_eq(told->recs[4].key, STR("16")));
	page.after = STR("16");
	told = store_rig_list(t, page);
	assert_int_equal(told->answer.n, 5);
	assert_false(told->answer.more);
}

/* ---- against a model ---- */

enum { MODEL_KEYS = 40, MODEL_STEPS = 3000 };

struct model {
	uint64_t version; /* 0: not there */
	char value[24];
};

static uint32_t model_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* A batch of up to 6 random lines, tried on a copy of the model; the versions come from the store.
 */
static void model_step(struct store_rig *t, struct model *model, uint32_t *seed)
{
	struct model next[MODEL_KEYS];
	struct store_write lines[6];
	char keys[6][8], values[6][24];
	size_t n = 1 + model_random(seed) % 6, at[6], failed = n;
	const struct store_told *told;

	memcpy(next, model, sizeof next);
	for (size_t i = 0; i < n; i++) {
		struct model *m = &next[at[i] = model_random(seed) % MODEL_KEYS];
		uint32_t luck = model_random(seed) % 8;
		/* A version that an earlier line of this batch gave is not known here. */
		bool known = m->version != STORE_ANY;

		str_printf(keys[i], sizeof keys[i], "%02zu", at[i]);
		str_printf(values[i], sizeof values[i], "v%u", model_random(seed));
		lines[i].op = model_random(seed) % 3 == 0 ? STORE_DROP : STORE_PUT;
		lines[i].rec = store_rig_rec("model", keys[i], values[i]);
		lines[i].expected = luck == 0 ? 0 : luck < 4 || !known ? STORE_ANY : m->version;
		if (failed == n && lines[i].expected != STORE_ANY &&
		    lines[i].expected != m->version)
			failed = i;
		m->version = lines[i].op == STORE_PUT ? STORE_ANY : 0;
		strcpy(m->value, values[i]);
	}
	told = store_rig_batch(t, lines, n);
	if (failed < n) {
		assert_int_equal(told->answer.e, ERR_CONFLICT);
		assert_int_equal(told->answer.failed, failed);
		return;
	}
	assert_int_equal(told->answer.e, 0);
	for (size_t i = 0; i < n; i++)
		next[at[i]].version = lines[i].op == STORE_PUT ? told->recs[i].version : 0;
	memcpy(model, next, sizeof next);
}

static void model_compare(struct store_rig *t, const struct model *model)
{
	struct store_page page = {.kind = STR("model"), .limit = MODEL_KEYS};
	const struct store_told *told = store_rig_list(t, page);
	size_t n = 0;

	for (size_t i = 0; i < MODEL_KEYS; i++) {
		if (model[i].version == 0)
			continue;
		assert_true(n < told->answer.n);
		assert_int_equal(told->recs[n].version, model[i].version);
		assert_true(str_eq(told->recs[n].value, str_of(model[i].value)));
		n++;
	}
	assert_int_equal(told->answer.n, n);
}

static void test_model(void **state)
{
	struct store_rig *t = *state;
	struct model model[MODEL_KEYS] = {0};
	uint32_t seed = 20260101;

	for (int i = 0; i < MODEL_STEPS; i++) {
		model_step(t, model, &seed);
		if (i % 50 == 0)
			model_compare(t, model);
	}
	model_compare(t, model);
}

/* ---- the suite ---- */

int store_suite(const struct store_maker *maker)
{
	const struct CMUnitTest tests[] = {
		STORE_RIG_TEST(maker, test_bytes_come_back),
		STORE_RIG_TEST(maker, test_arguments_are_refused),
		STORE_RIG_TEST(maker, test_compare_and_swap),
		STORE_RIG_TEST(maker, test_versions_never_return),
		STORE_RIG_TEST(maker, test_batch_all_or_nothing),
		STORE_RIG_TEST(maker, test_batch_among_others),
		STORE_RIG_TEST(maker, test_batch_largest),
		STORE_RIG_TEST(maker, test_list_pages),
		STORE_RIG_TEST(maker, test_list_edges),
		STORE_RIG_TEST(maker, test_list_page_bytes),
		STORE_RIG_TEST(maker, test_expired_is_gone),
		STORE_RIG_TEST(maker, test_expired_in_pages),
		STORE_RIG_TEST(maker, test_model),
	};

	return cmocka_run_group_tests_name(maker->name, tests, NULL, NULL) +
	       store_suite_calls(maker);
}
