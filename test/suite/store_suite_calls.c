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
	};

	return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
