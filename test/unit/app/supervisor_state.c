/* What goes through exec(), and how long a worker rests. */
#include "app/supervisor_state.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static void test_pauses(void **state)
{
	static const struct {
		const char *why;
		uint64_t last_ms, lived_ms, want_ms;
	} cases[] = {
		{"the first time", 0, 0, 100},	{"the first time, after long", 0, 1000000, 100},
		{"again at once", 100, 0, 200}, {"again and again", 6400, 29999, 10000},
		{"for ever", 10000, 5, 10000},	{"after a life", 10000, 30000, 100},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (supervisor_pause(cases[i].last_ms, cases[i].lived_ms) != cases[i].want_ms)
			fail_msg("%s", cases[i].why);
}

static const struct {
	const char *why, *text;
	int want;
} texts[] = {
	{"nothing but a directory", "1\n/run/karez-a\n3 - 0\n0\n", 0},
	{"all", "1\n/run/karez-a\n3 7 12\n2\n8=127.0.0.1:80\n9+unix:/run/x\n100 0 3 0\n101 4 2 1\n",
	 0},
	{"another way of writing", "2\n/run/karez-a\n3 - 0\n0\n", ERR_PROTO},
	{"nothing", "", ERR_PROTO},
	{"a directory somewhere", "1\nkarez-a\n3 - 0\n0\n", ERR_PROTO},
	{"too long a directory",
	 "1\n/"
	 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234\n"
	 "3 - 0\n0\n",
	 ERR_PROTO},
	{"a number missing", "1\n/run/karez-a\n3 -\n0\n", ERR_PROTO},
	{"a number that is none", "1\n/run/karez-a\nx - 0\n0\n", ERR_PROTO},
	{"fewer sockets than it says", "1\n/run/karez-a\n3 - 0\n2\n8=127.0.0.1:80\n", ERR_PROTO},
	{"a socket that is none", "1\n/run/karez-a\n3 - 0\n1\n8:127.0.0.1:80\n", ERR_PROTO},
	{"cut off", "1\n/run/karez-a\n3 - 0\n0", ERR_PROTO},
};

static void test_text(void **state)
{
	struct supervisor_state *s = calloc(1, sizeof *s);

	assert_non_null(s);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (supervisor_state_read(str_of(texts[i].text), s) != texts[i].want)
			fail_msg("%s", texts[i].why);
	assert_int_equal(supervisor_state_read(str_of(texts[1].text), s), 0);
	assert_string_equal(s->dir, "/run/karez-a");
	assert_int_equal(s->generation, 3);
	assert_int_equal(s->pid_fd, 7);
	assert_int_equal(s->n_reloads, 12);
	assert_int_equal(s->sockets.n, 2);
	assert_true(str_eq(s->workers, STR("100 0 3 0\n101 4 2 1\n")));
	free(s);
}

/* ---- workers that another program has started ---- */

static void on_gone(void *arg)
{
	(*(unsigned *)arg)++;
}

static void on_ready(void *arg, unsigned generation)
{
}

static void on_failed(void *arg, unsigned generation, int code)
{
	fail_msg("generation %u failed", generation);
}

static void test_workers_are_known_again(void **state)
{
	static const char *const wrong[] = {
		"",	     "100",	    "100 0 1", "0 0 1 0", "100 256 1 0",
		"100 0 1 2", "100 0 1 0 0", "x 0 1 0"};
	struct supervisor_generation gen = {.leave_ms = 1000};
	struct supervisor_children_opt opt = {.dir = "/nowhere",
					      .ready = on_ready,
					      .failed = on_failed,
					      .gone = on_gone};
	struct supervisor_children *c;
	struct log log;
	struct buf text = {.mem = NULL};
	unsigned n_gone = 0;
	struct ev *ev;

	log_init_stderr(&log, LOG_ERROR);
	opt.log = &log;
	opt.arg = &n_gone;
	assert_int_equal(ev_sim_new(1, &ev), 0);
	assert_int_equal(supervisor_children_new(ev, &opt, &c), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(supervisor_children_read(c, str_of(wrong[i]), &gen), ERR_PROTO);
	/* no process has this number: Linux ends at 2^22 */
	assert_int_equal(supervisor_children_read(c, STR("99999998 3 7 0"), &gen), 0);
	assert_int_equal(supervisor_children_read(c, STR("99999999 5 6 0"), &gen), 0);
	assert_int_equal(supervisor_children_n(c), 2);
	supervisor_children_retire(c, 6); /* the older one is told to end */
	assert_int_equal(supervisor_children_write(c, &text, SUPERVISOR_STATE_MAX), 0);
	assert_true(str_eq(buf_str(&text), STR("99999998 3 7 0\n99999999 5 6 1\n")));
	assert_false(supervisor_children_reaped(c, 1, 0));
	assert_true(supervisor_children_reaped(c, 99999999, 0));
	assert_int_equal(n_gone, 1);
	assert_int_equal(supervisor_children_n(c), 1);
	buf_free(&text);
	supervisor_children_free(c);
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_workers_are_known_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
