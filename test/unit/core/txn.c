/* Transactions: run again until all is here, written whole or not at all, ended once. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/txn.h"
#include "unit/core/core_rig.h"

/* One transaction of a test. */
struct job {
	struct core_rig *r;
	struct txn *txn;
	unsigned runs, calls;
	int e;
	const char *from, *to; /* keys of kind "x": the value of one becomes the other's */
	const char *meddle;    /* once, after the reads: another node writes this to `to` */
	unsigned n_reads;      /* records that it reads besides */
	const char *line;      /* the account it stands in line for */
	const char *next_line; /* another one, from the second try on; NULL: the same */
	int refuse;	       /* what run returns when all is read */
	bool twice;	       /* writes `to` twice */
	uint64_t version;      /* of `to`, in done */
};

static void job_meddle(struct job *j)
{
	const char *value = j->meddle;

	j->meddle = NULL;
	if (value == NULL)
		return;
	core_rig_put(j->r, "x", j->to, value);
	if (j->next_line != NULL)
		j->line = j->next_line;
}

static int job_read_many(struct job *j, struct txn *t)
{
	const struct store_record *rec;
	char key[16];
	int e;

	for (unsigned i = 0; i < j->n_reads; i++) {
		str_printf(key, sizeof key, "many%u", i);
		e = txn_get(t, STR("x"), str_of(key), &rec);
		if (e != ERR_NOTFOUND)
			return e;
	}
	return 0;
}

static int job_run(struct txn *t, void *arg)
{
	struct job *j = arg;
	const struct store_record *from, *to;
	int e;

	j->runs++;
	assert_ptr_equal(txn_core(t), j->r->core);
	if (j->line != NULL && (e = txn_line(t, j->line)) != 0)
		return e;
	if ((e = txn_get(t, STR("x"), str_of(j->from), &from)) != 0)
		return e;
	e = txn_get(t, STR("x"), str_of(j->to), &to);
	if ((e != 0 && e != ERR_NOTFOUND) || (e = job_read_many(j, t)) != 0)
		return e;
	job_meddle(j);
	if (j->twice && (e = txn_put(t, STR("x"), str_of(j->to), STR("first"))) != 0)
		return e;
	if ((e = txn_put(t, STR("x"), str_of(j->to), from->value)) != 0)
		return e;
	return j->refuse;
}

static void job_on_done(void *arg, int e)
{
	struct job *j = arg;

	j->calls++;
	j->e = e;
	j->version = txn_version(j->txn, STR("x"), str_of(j->to));
	j->txn = NULL;
}

static int job_start(struct core_rig *r, struct job *j)
{
	struct txn_opt opt = {.core = r->core,
			      .kind = CORE_MANAGE,
			      .run = job_run,
			      .done = job_on_done,
			      .arg = j};

	j->r = r;
	if (j->from == NULL)
		j->from = "a";
	if (j->to == NULL)
		j->to = "b";
	return txn_start(&opt, &j->txn);
}

static void job_do(struct core_rig *r, struct job *j)
{
	assert_int_equal(job_start(r, j), 0);
	assert_int_equal(j->calls, 0);
	core_rig_run(r);
	assert_int_equal(j->calls, 1);
}

static void expect(struct core_rig *r, const char *key, const char *want)
{
	char *value = core_rig_get(r, "x", key);

	if (want == NULL) {
		assert_null(value);
	} else {
		assert_non_null(value);
		assert_string_equal(value, want);
	}
	free(value);
}

static int setup(void **state)
{
	struct core_rig *r = calloc(1, sizeof *r);

	assert_non_null(r);
	core_rig_new(r, false);
	core_rig_put(r, "x", "a", "1");
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct core_rig *r = *state;

	core_rig_free(r);
	free(r);
	return 0;
}

static void test_run_again_for_each_record(void **state)
{
	struct core_rig *r = *state;
	struct job j = {0}, again = {0};

	job_do(r, &j);
	assert_int_equal(j.e, 0);
	assert_int_equal(j.runs, 3); /* a is missing, b is missing, all is here */
	assert_true(j.version > 0);
	expect(r, "b", "1");
	r->n_asked = 0;
	job_do(r, &again); /* what was read lately is known: b was written, so it is not */
	assert_true(again.runs <= 2);
	assert_true(r->n_asked <= 2);
	assert_true(again.version > j.version);
}

static void test_somebody_came_between(void **state)
{
	struct core_rig *r = *state;
	struct job j = {.meddle = "theirs"}, twice = {.to = "c", .twice = true};

	job_do(r, &j);
	assert_int_equal(j.e, 0);
	assert_int_equal(j.runs, 6);
	expect(r, "b", "1"); /* on top of theirs, seen */
	job_do(r, &twice);
	assert_int_equal(twice.e, 0);
	expect(r, "c", "1");
}

/* Every write meets a conflict. */
static int conflict_always(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? ERR_CONFLICT : 0;
}

static int full_always(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? ERR_FULL : 0;
}

static void test_what_ends_it(void **state)
{
	const struct {
		const char *why;
		struct job job;
		int (*judge)(struct core_rig *r, const struct store_req *req);
		int want;
		unsigned runs;
	} cases[] = {
		{"run says no", {.refuse = ERR_DENIED}, NULL, ERR_DENIED, 3},
		{"a record that must be there is not", {.from = "none"}, NULL, ERR_NOTFOUND, 2},
		{"conflicts without end", {0}, conflict_always, ERR_LIMIT, 3 * CORE_TRIES_MAX},
		{"a full disk", {0}, full_always, ERR_FULL, 3},
		{"too many records",
		 {.n_reads = TXN_READS_MAX - 1},
		 NULL,
		 ERR_LIMIT,
		 TXN_READS_MAX + 1},
	};
	struct core_rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct job j = cases[i].job;

		print_message("  %s\n", cases[i].why);
		ev_sim_run_for(r->ev, 2 * STORE_PEEK_MS);
		r->judge = cases[i].judge;
		job_do(r, &j);
		r->judge = NULL;
		assert_int_equal(j.e, cases[i].want);
		assert_int_equal(j.runs, cases[i].runs);
		expect(r, "b", NULL);
	}
}

static void test_cancel(void **state)
{
	struct core_rig *r = *state;
	struct job j = {0};

	txn_cancel(NULL);
	for (int step = 0; step < 2; step++) { /* before its first run, and while it waits */
		r->judge = core_rig_hold_all;
		assert_int_equal(job_start(r, &j), 0);
		if (step > 0)
			core_rig_run(r);
		assert_int_equal(j.runs, step);
		txn_cancel(j.txn);
		core_rig_release(r);
		core_rig_run(r);
	}
	assert_int_equal(j.calls, 0);
}

static void test_too_many(void **state)
{
	struct core_rig *r = *state;
	static struct job jobs[CORE_MANAGES_MAX + 1];

	memset(jobs, 0, sizeof jobs);
	for (size_t i = 0; i < CORE_MANAGES_MAX; i++)
		assert_int_equal(job_start(r, &jobs[i]), 0);
	assert_int_equal(job_start(r, &jobs[CORE_MANAGES_MAX]), ERR_LIMIT);
	core_rig_run(r);
	for (size_t i = 0; i < CORE_MANAGES_MAX; i++)
		assert_int_equal(jobs[i].calls, 1);
}

/* In line nobody meets a conflict: each runs when the one before has ended. */
static void test_in_line(void **state)
{
	struct core_rig *r = *state;
	struct job jobs[100] = {0};

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i].line = i % 2 == 0 ? "even" : "odd";
		jobs[i].to = jobs[i].line;
		assert_int_equal(job_start(r, &jobs[i]), 0);
	}
	txn_cancel(jobs[98].txn); /* in the middle of the line */
	txn_cancel(jobs[0].txn);  /* its first */
	core_rig_run(r);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		assert_int_equal(jobs[i].calls, i == 98 || i == 0 ? 0 : 1);
		assert_int_equal(jobs[i].e, 0);
		assert_true(jobs[i].runs <= 4); /* the line, a, the other one, all is here */
	}
}

/* What it is about was somebody's, and is somebody else's when it tries again. */
static void test_another_line(void **state)
{
	struct core_rig *r = *state;
	struct job j = {.line = "ann", .next_line = "bob", .meddle = "bob's"};
	struct job behind = {.line = "ann", .to = "c"}, bob = {.line = "bob", .to = "d"};

	assert_int_equal(job_start(r, &j), 0);
	assert_int_equal(job_start(r, &behind), 0);
	assert_int_equal(job_start(r, &bob), 0);
	core_rig_run(r);
	assert_int_equal(j.calls, 1);
	assert_int_equal(j.e, 0);
	assert_int_equal(behind.calls, 1);
	assert_int_equal(bob.calls, 1);
	expect(r, "b", "1");
	expect(r, "c", "1");
	expect(r, "d", "1");
}

static void test_core_goes(void **state)
{
	struct core_rig *r = *state;
	struct job j = {0};

	r->judge = core_rig_hold_all;
	assert_int_equal(job_start(r, &j), 0);
	core_rig_run(r);
	core_rig_free(r);
	assert_int_equal(j.calls, 1);
	assert_int_equal(j.e, ERR_CLOSED);
	core_rig_new(r, false); /* for the teardown */
}

int main(void)
{
#define TXN_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TXN_TEST(test_run_again_for_each_record),
		TXN_TEST(test_somebody_came_between),
		TXN_TEST(test_what_ends_it),
		TXN_TEST(test_cancel),
		TXN_TEST(test_too_many),
		TXN_TEST(test_in_line),
		TXN_TEST(test_another_line),
		TXN_TEST(test_core_goes),
	};

	return cmocka_run_group_tests_name("txn", tests, NULL, NULL);
}
