/* What every kind of store must do with calls: order, limits, callbacks, closing. */
#include "suite/store_suite_calls.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"

static void test_answers_in_order(void **state)
{
	struct store_rig *t = *state;
	struct store_told *told[60];
	struct store_page page = {.kind = STR("o"), .limit = 100};
	char value[16];
	int e = 0;

	for (unsigned i = 0; i < ARRAY_LEN(told); i++) {
		struct store_record rec;

		str_printf(value, sizeof value, "%u", i);
		rec = store_rig_rec("o", i % 3 == 0 ? value : "same", value);
		told[i] = store_rig_ask(t);
		if (i % 3 == 0)
			e = store_put(t->store, &rec, 0, store_rig_on_answer, told[i]);
		else if (i % 3 == 1)
			e = store_list(t->store, page, store_rig_on_answer, told[i]);
		else
			e = store_get(t->store, STR("o"), STR("0"), store_rig_on_answer, told[i]);
		assert_int_equal(e, 0);
		assert_int_equal(told[i]->calls, 0); /* never before the call returns */
	}
	assert_int_equal(store_pending(t->store), ARRAY_LEN(told));
	store_rig_wait(t);
	for (unsigned i = 0; i < ARRAY_LEN(told); i++) {
		assert_int_equal(told[i]->order, told[0]->order + i);
		assert_int_equal(told[i]->answer.e, 0);
		if (i % 3 == 1) /* every write asked for before it */
			assert_in_range(told[i]->answer.n, i / 3 + 1, ARRAY_LEN(told));
	}
	assert_int_equal(store_pending(t->store), 0);
}

static void test_limit_of_calls(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("l", "k", "v");

	for (int i = 0; i < STORE_PENDING_MAX; i++)
		assert_int_equal(store_put(t->store, &rec, STORE_ANY, store_rig_on_answer,
					   store_rig_ask(t)),
				 0);
	assert_int_equal(store_put(t->store, &rec, STORE_ANY, store_rig_on_answer, NULL),
			 ERR_LIMIT);
	assert_int_equal(store_get(t->store, rec.kind, rec.key, store_rig_on_answer, NULL),
			 ERR_LIMIT);
	store_rig_wait(t);
	for (unsigned i = 0; i < t->n_asked; i++)
		assert_int_equal(t->told[i].answer.e, 0);
	store_rig_expect(t, "l", "k", "v");
}

static void test_limit_of_bytes(void **state)
{
	static char value[STORE_VALUE_MAX];
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("l", "k", "");
	int n = 0, e;

	rec.value = (struct str){value, sizeof value};
	while ((e = store_put(t->store, &rec, STORE_ANY, store_rig_on_answer, store_rig_ask(t))) ==
	       0)
		n++;
	t->n_asked--;
	assert_int_equal(e, ERR_LIMIT);
	assert_in_range(n, STORE_PENDING_BYTES_MAX / sizeof value - 5,
			STORE_PENDING_BYTES_MAX / sizeof value);
	store_rig_wait(t);
	store_rig_expect_value(store_rig_get(t, "l", "k"), rec.value);
}

static void chain_on_answer(struct store_told *told)
{
	struct store_rig *t = told->rig;
	struct store_told *next;
	struct store_record rec = store_rig_rec("chain", "k", "v");

	assert_int_equal(told->answer.e, 0);
	if (told->recs[0].version >= 100)
		return;
	next = store_rig_ask(t);
	next->then = chain_on_answer;
	assert_int_equal(store_put(t->store, &rec, told->recs[0].version, store_rig_on_answer,
				   next),
			 0);
	assert_int_equal(next->calls, 0);
}

static void test_asking_inside_a_callback(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("chain", "k", "v");
	struct store_told *first = store_rig_ask(t);

	first->then = chain_on_answer;
	assert_int_equal(store_put(t->store, &rec, 0, store_rig_on_answer, first), 0);
	store_rig_wait(t);
	assert_int_equal(store_rig_get(t, "chain", "k")->recs[0].version, 100);
}

static void test_forget(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("f", "k", "kept");
	int nobody;

	/* A callback with this arg would crash. */
	assert_int_equal(store_put(t->store, &rec, 0, store_rig_on_answer, &nobody), 0);
	assert_int_equal(store_get(t->store, rec.kind, rec.key, store_rig_on_answer, &nobody), 0);
	store_forget(t->store, &nobody);
	store_rig_expect(t, "f", "k", "kept");
	assert_int_equal(store_pending(t->store), 0);
}

static void closing_on_answer(struct store_told *told)
{
	struct store_rig *t = told->rig;
	struct store_record rec = store_rig_rec("c", "k", "v");

	assert_int_equal(told->answer.e, ERR_CLOSED);
	if (t->store == NULL)
		return;
	assert_int_equal(store_put(t->store, &rec, 0, store_rig_on_answer, NULL), ERR_CLOSED);
}

static void test_close_with_calls(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("c", "k", "v");

	for (int i = 0; i < 500; i++) {
		struct store_told *told = store_rig_ask(t);
		int e;

		told->then = closing_on_answer;
		if (i % 2 == 0)
			e = store_put(t->store, &rec, STORE_ANY, store_rig_on_answer, told);
		else
			e = store_get(t->store, rec.kind, rec.key, store_rig_on_answer, told);
		assert_int_equal(e, 0);
	}
	store_close(t->store);
	assert_int_equal(store_get(t->store, rec.kind, rec.key, store_rig_on_answer, NULL),
			 ERR_CLOSED);
	assert_int_equal(t->n_told, 0);
	store_rig_wait(t);
	assert_int_equal(t->told[0].order, 1);
	assert_int_equal(t->told[499].order, 500);
	t->store = NULL;
}

static void close_on_answer(struct store_told *told)
{
	struct store_rig *t = told->rig;

	assert_int_equal(told->answer.e, 0);
	store_close(t->store);
}

/* The first answer closes the store: the rest, some of them run already, hear of that. */
static void test_close_inside_a_callback(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("c", "k", "v");

	for (int i = 0; i < 600; i++) {
		struct store_told *told = store_rig_ask(t);

		told->then = i == 0 ? close_on_answer : closing_on_answer;
		assert_int_equal(store_put(t->store, &rec, STORE_ANY, store_rig_on_answer, told),
				 0);
	}
	store_rig_wait(t);
	t->store = NULL;
}

static void midway_on_task(void *arg)
{
	struct store_rig *t = arg;

	store_close(t->store);
	t->store = NULL;
}

/* Closed when the work has just begun: the task stands behind the store's own in the same turn. */
static void test_close_midway(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("c", "k", "v");
	struct ev_task task = {.fn = midway_on_task, .arg = t};

	for (int i = 0; i < 1000; i++)
		assert_int_equal(store_put(t->store, &rec, STORE_ANY, store_rig_on_answer,
					   store_rig_ask(t)),
				 0);
	ev_task_run(t->ev, &task);
	store_rig_wait(t);
	assert_null(t->store);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(t->told[i].calls, 1);
		assert_int_equal(t->told[i].order, i + 1);
		if (t->told[i].answer.e != 0)
			assert_int_equal(t->told[i].answer.e, ERR_CLOSED);
	}
	assert_int_equal(t->told[999].answer.e, ERR_CLOSED);
}

/* ---- what is known without asking ---- */

/* Fail unless the record is known with this text; NULL: known not to be there. */
static void known_is(struct store_rig *t, const char *key, const char *text)
{
	struct store_record rec;

	assert_true(store_peek(t->store, STR("t"), str_of(key), &rec));
	assert_true(str_eq(rec.key, str_of(key)));
	assert_true(str_eq(rec.value, str_of(text)));
	assert_int_equal(rec.version == 0, text == NULL);
}

static bool known(struct store_rig *t, const char *key)
{
	struct store_record rec;

	return store_peek(t->store, STR("t"), str_of(key), &rec);
}

static void test_known_after_reading(void **state)
{
	struct store_rig *t = *state;

	store_rig_put(t, store_rig_rec("t", "k", "v"), 0);
	assert_false(known(t, "k"));
	store_rig_get(t, "t", "k");
	known_is(t, "k", "v");
	store_rig_get(t, "t", "none");
	known_is(t, "none", NULL);
	store_rig_put(t, store_rig_rec("t", "none", "now"), 0);
	assert_false(known(t, "none"));
	known_is(t, "k", "v");
}

/* From the moment a write is asked for, and whatever is answered late. */
static void test_known_never_misses_a_write(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("t", "k", "new");
	struct store_id id = {.kind = STR("t"), .key = STR("k"), .expected = STORE_ANY};

	store_rig_put(t, store_rig_rec("t", "k", "old"), 0);
	assert_int_equal(store_get(t->store, rec.kind, rec.key, store_rig_on_answer,
				   store_rig_ask(t)),
			 0);
	assert_int_equal(store_put(t->store, &rec, STORE_ANY, store_rig_on_answer,
				   store_rig_ask(t)),
			 0);
	store_rig_wait(t);
	assert_false(known(t, "k")); /* the answer "old" came after the write was asked for */
	store_rig_get(t, "t", "k");
	known_is(t, "k", "new");
	assert_int_equal(store_drop(t->store, id, store_rig_on_answer, store_rig_ask(t)), 0);
	assert_false(known(t, "k"));
	assert_int_equal(store_get(t->store, rec.kind, rec.key, store_rig_on_answer,
				   store_rig_ask(t)),
			 0);
	store_rig_wait(t);
	known_is(t, "k", NULL);
}

/* Another process has written it, and we are told; or perhaps it has only said so. */
static void test_known_no_more(void **state)
{
	struct store_rig *t = *state;
	const struct store_record rec = store_rig_rec("t", "k", "v");
	char large[STORE_KEY_MAX + 1];

	store_rig_put(t, rec, 0);
	store_rig_get(t, "t", "k");
	store_rig_get(t, "t", "none");
	store_outdated(t->store, STR("t"), STR("k"));
	store_outdated(t->store, STR("t"), STR("none"));
	assert_false(known(t, "k"));
	assert_false(known(t, "none"));
	store_rig_get(t, "t", "k");
	known_is(t, "k", "v");

	/* told while it is being read: that may be from before */
	assert_int_equal(store_get(t->store, rec.kind, rec.key, store_rig_on_answer,
				   store_rig_ask(t)),
			 0);
	store_outdated(t->store, rec.kind, rec.key);
	store_rig_wait(t);
	assert_false(known(t, "k"));
	store_rig_get(t, "t", "k");
	known_is(t, "k", "v");

	/* what can be no record is nothing */
	memset(large, 'x', sizeof large);
	store_outdated(t->store, STR("t"), STR(""));
	store_outdated(t->store, STR(""), STR("k"));
	store_outdated(t->store, STR("t"), (struct str){large, sizeof large});
	store_outdated(t->store, (struct str){large, sizeof large}, STR("k"));
	known_is(t, "k", "v");
}

/* ---- what was written lately ---- */

/* Ask; fail unless the answer is e and these names: "t/a t/b ". Returns the number of the last. */
static uint64_t changes(struct store_rig *t, uint64_t after, int e, const char *want)
{
	struct store_told *told = store_rig_ask(t);
	uint64_t last = after;
	char is[256] = "";

	assert_int_equal(store_changes(t->store, after, store_rig_on_answer, told), 0);
	store_rig_wait(t);
	assert_int_equal(told->answer.e, e);
	for (size_t i = 0; i < told->answer.n; i++) {
		size_t len = strlen(is);

		assert_true(told->recs[i].version > last);
		last = told->recs[i].version;
		str_printf(is + len, sizeof is - len, STR_FMT "/" STR_FMT " ",
			   STR_ARG(told->recs[i].kind), STR_ARG(told->recs[i].key));
	}
	assert_string_equal(is, want);
	assert_false(told->answer.more);
	return last;
}

/* Does this kind remember at all? */
static bool remembers(struct store_rig *t)
{
	int e = store_changes(t->store, 0, store_rig_on_answer, store_rig_ask(t));

	if (e == 0) {
		store_rig_wait(t);
		return true;
	}
	assert_int_equal(e, ERR_UNSUPPORTED);
	assert_int_equal(strncmp(t->where, "sqlite:", 7), 0);
	t->n_asked--; /* nobody answers that */
	return false;
}

static void test_changes_in_order(void **state)
{
	struct store_rig *t = *state;
	const struct store_write both[] = {
		{STORE_PUT, store_rig_rec("t", "b", "1"), 0},
		{STORE_DROP, store_rig_rec("t", "a", ""), STORE_ANY},
	};
	const struct store_write neither[] = {
		{STORE_PUT, store_rig_rec("t", "c", "1"), 0},
		{STORE_PUT, store_rig_rec("t", "b", "2"), 0},
	};
	uint64_t first, last;

	if (!remembers(t))
		return;
	changes(t, 0, ERR_NOTFOUND, "");
	store_rig_put(t, store_rig_rec("t", "a", "1"), 0);
	first = changes(t, 0, 0, "t/a ");
	changes(t, first, 0, "");
	assert_int_equal(store_rig_batch(t, both, 2)->answer.e, 0);
	store_rig_put(t, store_rig_rec("t", "a", "2"), 0);
	assert_int_equal(store_rig_batch(t, neither, 2)->answer.e, ERR_CONFLICT);
	store_rig_drop(t, "t", "b", STORE_ANY);
	store_rig_drop(t, "t", "nothing/there at all", STORE_ANY);
	last = changes(t, first, 0, "t/b t/a t/a t/b t/nothing/there at all ");
	assert_int_equal(changes(t, 0, 0, "t/nothing/there at all "), last);
	changes(t, last, 0, "");
	changes(t, last + 1, ERR_CONFLICT, "");
	changes(t, first, 0, "t/b t/a t/a t/b t/nothing/there at all ");
}

/* A page at a time; who has read too little, or too long ago, is told that. */
static void test_changes_are_bounded(void **state)
{
	struct store_rig *t = *state;
	static struct store_write lines[STORE_BATCH_MAX];
	static char keys[STORE_BATCH_MAX][8];
	struct store_told *told;
	uint64_t first, last;

	if (!remembers(t))
		return;
	for (size_t i = 0; i < STORE_BATCH_MAX; i++) {
		str_printf(keys[i], sizeof keys[i], "%zu", i);
		lines[i] = (struct store_write){STORE_DROP, store_rig_rec("t", keys[i], ""),
						STORE_ANY};
	}
	store_rig_put(t, store_rig_rec("t", "a", "1"), 0);
	first = last = changes(t, 0, 0, "t/a ");
	assert_int_equal(store_rig_batch(t, lines, 2 * STORE_PAGE_MAX)->answer.e, 0);
	for (size_t page = 0; page < 2; page++) {
		told = store_rig_ask(t);
		assert_int_equal(store_changes(t->store, last, store_rig_on_answer, told), 0);
		store_rig_wait(t);
		assert_int_equal(told->answer.e, 0);
		assert_int_equal(told->answer.n, STORE_PAGE_MAX);
		assert_int_equal(told->answer.more, page == 0);
		assert_true(str_eq(told->recs[0].key, str_of(keys[page * STORE_PAGE_MAX])));
		last = told->recs[STORE_PAGE_MAX - 1].version;
	}
	changes(t, last, 0, "");
	assert_int_equal(store_rig_batch(t, lines, STORE_LOG_MAX - 1)->answer.e, 0);
	changes(t, first, ERR_CONFLICT, "");
	store_rig_put(t, store_rig_rec("t", "b", "1"), 0);
	changes(t, last, ERR_CONFLICT, ""); /* just now it would have been there */
	changes(t, changes(t, 0, 0, "t/b "), 0, "");
}

int store_suite_calls(const struct store_maker *maker)
{
	const struct CMUnitTest tests[] = {
		STORE_RIG_TEST(maker, test_answers_in_order),
		STORE_RIG_TEST(maker, test_limit_of_calls),
		STORE_RIG_TEST(maker, test_limit_of_bytes),
		STORE_RIG_TEST(maker, test_asking_inside_a_callback),
		STORE_RIG_TEST(maker, test_forget),
		STORE_RIG_TEST(maker, test_close_with_calls),
		STORE_RIG_TEST(maker, test_close_inside_a_callback),
		STORE_RIG_TEST(maker, test_close_midway),
		STORE_RIG_TEST(maker, test_known_after_reading),
		STORE_RIG_TEST(maker, test_known_never_misses_a_write),
		STORE_RIG_TEST(maker, test_known_no_more),
		STORE_RIG_TEST(maker, test_changes_in_order),
		STORE_RIG_TEST(maker, test_changes_are_bounded),
	};

	return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
