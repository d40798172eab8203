/*
 * Callbacks made into values: what a test asked is kept with what it was answered, and a call that
 * is never answered, or twice, fails the test instead of hanging it.
 */
#include "suite/store_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* Longer than any of this takes under valgrind; in a simulation it comes at once when nothing else
 * is left, which is what a lost answer looks like. */
#define WATCH_MS 100000

static void store_rig_on_log(void *arg, enum log_level level, const char *line, size_t len)
{
	struct store_rig *t = arg;

	str_printf(t->said, sizeof t->said, "%.*s", (int)len, line);
	if (level == LOG_ERROR)
		t->n_errors++;
	else if (level == LOG_WARN)
		t->n_warns++;
	else if (level == LOG_INFO)
		t->n_infos++;
}

static void store_rig_on_watch(void *arg)
{
	struct store_rig *t = arg;

	fail_msg("%u of %u calls were answered, then nothing", t->n_told, t->n_asked);
}

struct store_rig *store_rig_new(const struct store_maker *maker)
{
	struct store_rig *t = must_calloc(1, sizeof *t);

	t->maker = maker;
	t->log = (struct log){.level = LOG_DEBUG, .write = store_rig_on_log, .arg = t};
	assert_int_equal(maker->loop(&t->ev), 0);
	t->watch = (struct ev_timer){.fn = store_rig_on_watch, .arg = t};
	maker->fresh(t->where, sizeof t->where);
	return t;
}

void store_rig_open(struct store_rig *t)
{
	struct store_why why;
	int e = store_open(t->ev, &t->log, t->where, &t->store, &why);

	if (e != 0)
		fail_msg("%s: %s", err_name(e), why.text);
}

static void store_rig_told_clear(struct store_told *told)
{
	free(told->recs);
	free(told->bytes);
	memset(told, 0, sizeof *told);
}

static void store_rig_forget_told(struct store_rig *t)
{
	for (unsigned i = 0; i < t->n_asked; i++)
		store_rig_told_clear(&t->told[i]);
	t->n_asked = t->n_told = 0;
}

void store_rig_end(struct store_rig *t)
{
	store_close(t->store);
	t->store = NULL;
	ev_timer_stop(t->ev, &t->watch);
	ev_free(t->ev);
	assert_int_equal(t->maker->loop(&t->ev), 0);
}

void store_rig_reopen(struct store_rig *t)
{
	store_rig_end(t);
	store_rig_open(t);
}

void store_rig_free(struct store_rig *t)
{
	store_close(t->store);
	ev_timer_stop(t->ev, &t->watch);
	ev_free(t->ev);
	t->maker->clean(t->where);
	store_rig_forget_told(t);
	free(t);
}

struct store_told *store_rig_ask(struct store_rig *t)
{
	struct store_told *told;

	/* Answered ones make room, when nobody can look at them any more. */
	if (t->n_asked == STORE_TOLD_MAX) {
		assert_int_equal(t->n_told, t->n_asked);
		store_rig_forget_told(t);
	}
	told = &t->told[t->n_asked++];
	told->rig = t;
	return told;
}

static struct str store_rig_copy(char **at, struct str s)
{
	struct str copy = {*at, s.len};

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return copy;
}

void store_rig_on_answer(void *arg, const struct store_answer *answer)
{
	struct store_told *told = arg;
	struct store_rig *t = told->rig;
	size_t size = 1;
	char *at;

	told->calls++;
	assert_int_equal(told->calls, 1);
	told->order = ++t->n_told;
	told->answer = *answer;
	told->recs = must_calloc(answer->n + 1, sizeof told->recs[0]);
	for (size_t i = 0; i < answer->n; i++)
		size += answer->recs[i].kind.len + answer->recs[i].key.len +
			answer->recs[i].value.len;
	told->bytes = at = must_calloc(1, size);
	for (size_t i = 0; i < answer->n; i++) {
		const struct store_record *rec = &answer->recs[i];

		told->recs[i] = *rec;
		told->recs[i].kind = store_rig_copy(&at, rec->kind);
		told->recs[i].key = store_rig_copy(&at, rec->key);
		told->recs[i].value = store_rig_copy(&at, rec->value);
	}
	told->answer.recs = told->recs;
	if (told->then != NULL)
		told->then(told);
	if (t->n_told == t->n_asked) {
		ev_timer_stop(t->ev, &t->watch);
		ev_stop(t->ev);
	}
}

void store_rig_wait(struct store_rig *t)
{
	ev_timer_set(t->ev, &t->watch, WATCH_MS);
	while (t->n_told < t->n_asked)
		ev_run(t->ev);
}

struct store_told *store_rig_get(struct store_rig *t, const char *kind, const char *key)
{
	struct store_told *told = store_rig_ask(t);

	assert_int_equal(store_get(t->store, str_of(kind), str_of(key), store_rig_on_answer, told),
			 0);
	store_rig_wait(t);
	return told;
}

struct store_told *store_rig_put(struct store_rig *t, struct store_record rec, uint64_t expected)
{
	struct store_told *told = store_rig_ask(t);

	assert_int_equal(store_put(t->store, &rec, expected, store_rig_on_answer, told), 0);
	store_rig_wait(t);
	return told;
}

struct store_told *store_rig_drop(struct store_rig *t, const char *kind, const char *key,
				  uint64_t expected)
{
	struct store_id id = {str_of(kind), str_of(key), expected};
	struct store_told *told = store_rig_ask(t);

	assert_int_equal(store_drop(t->store, id, store_rig_on_answer, told), 0);
	store_rig_wait(t);
	return told;
}

struct store_told *store_rig_list(struct store_rig *t, struct store_page page)
{
	struct store_told *told = store_rig_ask(t);

	assert_int_equal(store_list(t->store, page, store_rig_on_answer, told), 0);
	store_rig_wait(t);
	return told;
}

struct store_told *store_rig_batch(struct store_rig *t, const struct store_write *writes, size_t n)
{
	struct store_told *told = store_rig_ask(t);

	assert_int_equal(store_batch(t->store, writes, n, store_rig_on_answer, told), 0);
	store_rig_wait(t);
	return told;
}

struct store_record store_rig_rec(const char *kind, const char *key, const char *value)
{
	return (struct store_record){.kind = str_of(kind),
				     .key = str_of(key),
				     .value = str_of(value)};
}

void store_rig_expect_value(const struct store_told *told, struct str value)
{
	assert_int_equal(told->answer.e, 0);
	assert_int_equal(told->answer.n, 1);
	assert_true(str_eq(told->recs[0].value, value));
}

void store_rig_expect(struct store_rig *t, const char *kind, const char *key, const char *value)
{
	const struct store_told *told = store_rig_get(t, kind, key);

	if (told->answer.e != 0)
		fail_msg("%s/%s: %s", kind, key, err_name(told->answer.e));
	store_rig_expect_value(told, str_of(value));
}

int store_rig_setup(void **state)
{
	struct store_rig *t = store_rig_new(*state);

	store_rig_open(t);
	*state = t;
	return 0;
}

int store_rig_teardown(void **state)
{
	store_rig_free(*state);
	return 0;
}
