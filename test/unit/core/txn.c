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

/* ---- what a transaction sees of itself ---- */

/* One that does a list of things with the key "k", a letter each. */
struct script {
	struct txn *txn;
	const char *steps;
	bool large;
	unsigned runs, calls;
	int e;
	char saw[64]; /* what 's' and 'g' have found in the last run */
};

static void script_note(struct script *s, int e, struct str value)
{
	size_t n = strlen(s->saw);

	if (e == 0)
		str_printf(s->saw + n, sizeof s->saw - n, STR_FMT " ", STR_ARG(value));
	else
		str_printf(s->saw + n, sizeof s->saw - n, "- ");
}

static int script_step(struct script *s, struct txn *t, char step)
{
	const struct store_record *rec;
	struct store_record seen;
	int e;

	switch (step) {
	case 'w': return txn_want(t, STR("x"), STR("k"));
	case 'g':
		e = txn_get(t, STR("x"), STR("k"), &rec);
		if (e == 0 || e == ERR_NOTFOUND)
			script_note(s, e, e == 0 ? rec->value : STR(""));
		return e == ERR_NOTFOUND ? 0 : e;
	case 's':
		e = txn_see(t, STR("x"), STR("k"), &seen);
		if (e == 0 || e == ERR_NOTFOUND)
			script_note(s, e, e == 0 ? seen.value : STR(""));
		return e == ERR_NOTFOUND ? 0 : e;
	case '?': script_note(s, txn_drops(t, STR("x"), STR("k")) ? 0 : 1, STR("gone")); return 0;
	case 'd': return txn_drop(t, STR("x"), STR("k"));
	case 'x': txn_discard(t); return 0;
	default: return txn_put(t, STR("x"), STR("k"), (struct str){&step, 1});
	}
}

static int script_run(struct txn *t, void *arg)
{
	struct script *s = arg;
	int e = 0;

	s->runs++;
	s->saw[0] = '\0';
	for (const char *p = s->steps; *p != '\0' && e == 0; p++)
		e = script_step(s, t, *p);
	return e;
}

static void script_on_done(void *arg, int e)
{
	struct script *s = arg;

	s->calls++;
	s->e = e;
}

static void script_do(struct core_rig *r, struct script *s)
{
	struct txn_opt opt = {.core = r->core,
			      .kind = CORE_MANAGE,
			      .large = s->large,
			      .run = script_run,
			      .done = script_on_done,
			      .arg = s};

	assert_int_equal(txn_start(&opt, &s->txn), 0);
	core_rig_run(r);
	assert_int_equal(s->calls, 1);
}

static void test_its_own_writes(void **state)
{
	static const struct {
		const char *why;
		const char *before; /* NULL: it is not there */
		const char *steps;
		int want;
		const char *saw, *after;
	} cases[] = {
		{"what is there is seen", "a", "s", 0, "a ", "a"},
		{"what is not there is not", NULL, "s", 0, "- ", NULL},
		{"what was written is seen, and not got", "a", "g1sg", 0, "a 1 a ", "1"},
		{"what was dropped is not seen", "a", "gds?", 0, "a - gone ", NULL},
		{"dropped and written: in place of what was read", "a", "gd1s?", 0, "a 1 - ", "1"},
		{"written and dropped", "a", "g1ds?", 0, "a - gone ", NULL},
		{"written and dropped, and there was nothing", NULL, "g1d", 0, "- ", NULL},
		{"dropped unread and written: whatever is there", "a", "d1", 0, "", "1"},
		{"the same where nothing is", NULL, "d1", 0, "", "1"},
		{"written unread: nothing may be there", NULL, "12", 0, "", "2"},
		{"but something is", "a", "12", ERR_LIMIT, "", "a"},
		{"written unread and dropped: nothing may be there", "a", "1d", ERR_LIMIT, "", "a"},
		{"nothing of it", "a", "g1xs", 0, "a a ", "a"},
		{"and then something after all", "a", "gdx2", 0, "a ", "2"},
	};
	struct core_rig *r = *state;

	for (int large = 0; large < 2; large++) {
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			struct script s = {.steps = cases[i].steps, .large = large != 0};
			struct script clear = {.steps = "gd"};

			script_do(r, &clear);
			if (cases[i].before != NULL)
				core_rig_put(r, "x", "k", cases[i].before);
			script_do(r, &s);
			if (s.e != cases[i].want || strcmp(s.saw, cases[i].saw) != 0)
				fail_msg("%s: %s, saw \"%s\"", cases[i].why, err_name(s.e), s.saw);
			expect(r, "k", cases[i].after);
		}
	}
}

/* Many are asked for before the function is run again. */
struct wants {
	struct txn *txn;
	unsigned n, runs, calls;
	bool page; /* and a page of them as well */
	int e;
};

static int wants_run(struct txn *t, void *arg)
{
	struct store_page page = {.kind = STR("x"), .limit = 10};
	struct wants *w = arg;
	struct txn_page found;
	int e, result = 0;
	char key[16];

	w->runs++;
	for (unsigned i = 0; i < w->n; i++) {
		str_printf(key, sizeof key, "many%u", i);
		if ((e = txn_want(t, STR("x"), str_of(key))) != 0 && e != ERR_AGAIN)
			return e;
		result = e != 0 ? e : result;
	}
	if (w->page && (e = txn_list(t, &page, &found)) != 0)
		return e;
	for (size_t i = 0; w->page && i < found.n; i++)
		if ((e = txn_know(t, &found.recs[i])) != 0 ||
		    (e = txn_put(t, STR("x"), found.recs[i].key, STR("known"))) != 0)
			return e;
	return result;
}

static void wants_on_done(void *arg, int e)
{
	struct wants *w = arg;

	w->calls++;
	w->e = e;
}

static void test_asking_ahead(void **state)
{
	struct core_rig *r = *state;
	struct wants cases[] = {{.n = 1000},
				{.n = 100, .page = true},
				{.n = TXN_LARGE_READS_MAX + 1}};
	struct txn_opt opt = {.core = r->core,
			      .kind = CORE_MANAGE,
			      .large = true,
			      .run = wants_run,
			      .done = wants_on_done};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		opt.arg = &cases[i];
		assert_int_equal(txn_start(&opt, &cases[i].txn), 0);
		core_rig_run(r);
		assert_int_equal(cases[i].calls, 1);
	}
	assert_int_equal(cases[0].e, 0);
	assert_int_equal(cases[0].runs, 2);
	assert_int_equal(cases[1].e, 0);
	assert_int_equal(cases[1].runs, 2);
	expect(r, "a", "known"); /* written in place of what the page has shown */
	assert_int_equal(cases[2].e, ERR_TOOBIG);
	assert_int_equal(cases[2].runs, 1);
}

/* ---- pauses ---- */

/* Reads a, writes "p0" to "p4", and pauses after each of them. */
struct walk {
	struct core_rig *r;
	struct txn *txn;
	unsigned at, runs, begun, calls;
	int e;
	const struct store_record *a;
	const char *meddle; /* once, in the middle: another node writes this to p1 */
	int refuse;	    /* what it comes to with its last pause */
};

static int walk_run(struct txn *t, void *arg)
{
	struct walk *w = arg;
	char key[8];
	int e;

	w->runs++;
	if (!txn_goes_on(t)) {
		w->begun++;
		w->at = 0;
		if ((e = txn_want(t, STR("x"), STR("p1"))) == ERR_AGAIN)
			assert_int_equal(txn_pause(t), 0); /* it is waited for anyhow */
		if (e != 0 || (e = txn_get(t, STR("x"), STR("a"), &w->a)) != 0)
			return e;
	}
	while (w->at < 5) {
		str_printf(key, sizeof key, "p%u", w->at);
		assert_int_equal(txn_put(t, STR("x"), str_of(key), w->a->value), 0);
		w->at++;
		if (w->at == 3 && w->meddle != NULL) {
			core_rig_put(w->r, "x", "p1", w->meddle);
			w->meddle = NULL;
		}
		assert_int_equal(txn_pause(t), ERR_AGAIN);
		return w->at == 5 && w->refuse != 0 ? w->refuse : ERR_AGAIN;
	}
	return 0;
}

static void walk_on_done(void *arg, int e)
{
	struct walk *w = arg;

	w->calls++;
	w->e = e;
	w->txn = NULL;
}

static void walk_start(struct core_rig *r, struct walk *w)
{
	struct txn_opt opt = {.core = r->core,
			      .kind = CORE_MANAGE,
			      .run = walk_run,
			      .done = walk_on_done,
			      .arg = w};

	w->r = r;
	assert_int_equal(txn_start(&opt, &w->txn), 0);
}

static void test_pauses(void **state)
{
	static const struct {
		const char *why, *meddle;
		int refuse;
		unsigned begun;
		const char *written; /* p1, and the others */
	} cases[] = {
		{"it goes on where it was", NULL, 0, 3, "1"},
		{"somebody came between: it begins anew", "theirs", 0, 6, "1"},
		{"it ends with a pause that is not taken", NULL, ERR_DENIED, 3, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct walk w = {.meddle = cases[i].meddle, .refuse = cases[i].refuse};
		struct core_rig r;
		uint64_t began;

		print_message("  %s\n", cases[i].why);
		core_rig_new(&r, false);
		core_rig_put(&r, "x", "a", "1");
		began = ev_now_ms(r.ev);
		walk_start(&r, &w);
		core_rig_run(&r);
		assert_int_equal(w.calls, 0);
		while (w.calls == 0 && ev_now_ms(r.ev) < began + 100)
			core_rig_run(&r);
		assert_int_equal(w.calls, 1);
		assert_int_equal(w.e, cases[i].refuse);
		assert_true(ev_now_ms(r.ev) >= began + 3); /* the loop had turns of its own */
		if (w.begun != cases[i].begun)
			fail_msg("begun %u times", w.begun);
		expect(&r, "p0", cases[i].written);
		expect(&r, "p1", cases[i].written);
		expect(&r, "p4", cases[i].written);
		core_rig_free(&r);
	}
}

static void test_it_ends_in_a_pause(void **state)
{
	struct core_rig *r = *state;
	struct walk cancelled = {0}, gone = {0};

	walk_start(r, &cancelled);
	core_rig_run(r);
	assert_true(cancelled.at > 0);
	txn_cancel(cancelled.txn);
	ev_sim_run_for(r->ev, 100);
	assert_int_equal(cancelled.calls, 0);
	expect(r, "p0", NULL);

	walk_start(r, &gone);
	core_rig_run(r);
	assert_true(gone.at > 0);
	core_free(r->core);
	r->core = NULL;
	assert_int_equal(gone.calls, 1);
	assert_int_equal(gone.e, ERR_CLOSED);
	ev_sim_run_for(r->ev, 100);
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
		TXN_TEST(test_its_own_writes),
		TXN_TEST(test_asking_ahead),
		TXN_TEST(test_pauses),
		TXN_TEST(test_it_ends_in_a_pause),
	};

	return cmocka_run_group_tests_name("txn", tests, NULL, NULL);
}
