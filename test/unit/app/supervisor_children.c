/* Workers as real processes: this program once more, which hangs or is ready as it was told. */
#include "app/supervisor_children.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"

/* A descriptor: whoever finds it there says on it that he hears no SIGTERM, and is never ready. */
#define HANG_ENV "SUPERVISOR_CHILDREN_HANG"

/* Seconds, and longer than any test. */
#define WORKER_LIFE 30

struct scene {
	struct ev *ev;
	struct supervisor_children *all;
	struct log log;
	struct socket_table sockets;
	char *argv[2], *envp[2];
	unsigned ready, n_gone;
};

/* ---- the worker ---- */

static int worker_fd(const char *text)
{
	uint64_t fd = 0;

	return num_parse(str_of(text), INT32_MAX, &fd) == 0 ? (int)fd : -1;
}

static int worker_run(const char *numbers)
{
	const char *hang = getenv(HANG_ENV), *ready = strrchr(numbers, ' ') + 1;
	int fd = worker_fd(hang != NULL ? hang : ready);

	alarm(WORKER_LIFE); /* a test that has failed ends nobody */
	if (hang != NULL)
		signal(SIGTERM, SIG_IGN);
	if (write(fd, "1", 1) != 1)
		return 1;
	for (;;)
		pause();
}

/* ---- the supervisor ---- */

static const struct socket_table *on_sockets(void *arg, unsigned generation)
{
	struct scene *s = arg;

	return &s->sockets;
}

static void on_ready(void *arg, unsigned generation)
{
	struct scene *s = arg;

	s->ready = generation;
	ev_stop(s->ev);
}

static void on_failed(void *arg, unsigned generation, int code)
{
	fail_msg("generation %u failed with %d", generation, code);
}

static void on_gone(void *arg)
{
	struct scene *s = arg;

	s->n_gone++;
}

static void on_late(void *arg)
{
	struct scene *s = arg;

	ev_stop(s->ev);
}

static void scene_begin(struct scene *s)
{
	static char name[] = "worker";
	struct supervisor_children_opt opt = {.argv = s->argv,
					      .envp = s->envp,
					      .dir = "/nowhere",
					      .log = &s->log,
					      .sockets = on_sockets,
					      .ready = on_ready,
					      .failed = on_failed,
					      .gone = on_gone,
					      .arg = s};

	*s = (struct scene){.argv = {name}};
	log_init_stderr(&s->log, LOG_ERROR);
	assert_int_equal(ev_new(&s->ev), 0);
	assert_int_equal(supervisor_children_new(s->ev, &opt, &s->all), 0);
}

/* All processes end, at once. */
static void scene_end(struct scene *s, size_t n)
{
	supervisor_children_cut(s->all);
	while (n-- > 0) {
		int status = 0;
		pid_t pid = wait(&status);

		assert_true(pid > 0);
		assert_int_equal(WTERMSIG(status), SIGUSR1);
		/* one that was not told to end would be started again */
		supervisor_children_retire(s->all, UINT32_MAX);
		(void)supervisor_children_reaped(s->all, pid, status);
	}
	supervisor_children_free(s->all);
	ev_free(s->ev);
}

/* ---- the tests ---- */

static void test_ready(void **state)
{
	struct supervisor_generation gen = {.number = 1, .n = 3, .leave_ms = 60000};
	struct scene s;

	scene_begin(&s);
	assert_int_equal(supervisor_children_begin(s.all, &gen), 0);
	ev_run(s.ev);
	assert_int_equal(s.ready, 1);
	assert_int_equal(supervisor_children_n(s.all), 3);
	scene_end(&s, 3);
	assert_int_equal(s.n_gone, 3);
}

/* A generation was given up, and the next one has its number, as nothing was in force meanwhile. */
static void test_one_of_a_former_try_still_ends(void **state)
{
	struct supervisor_generation gen = {.number = 1, .n = 1, .leave_ms = 60000};
	struct ev_timer late;
	char text[64], byte;
	struct scene s;
	int hang[2];

	scene_begin(&s);
	late = (struct ev_timer){.fn = on_late, .arg = &s};
	assert_int_equal(pipe(hang), 0);
	str_printf(text, sizeof text, HANG_ENV "=%d", hang[1]);
	s.envp[0] = text;
	assert_int_equal(supervisor_children_begin(s.all, &gen), 0);
	assert_int_equal(read(hang[0], &byte, 1), 1);
	supervisor_children_abort(s.all, 1);
	assert_int_equal(supervisor_children_n(s.all), 1);
	s.envp[0] = NULL;
	assert_int_equal(supervisor_children_begin(s.all, &gen), 0);
	ev_timer_set(s.ev, &late, 10000);
	ev_run(s.ev);
	ev_timer_stop(s.ev, &late);
	assert_int_equal(s.ready, 1);
	assert_int_equal(supervisor_children_n(s.all), 2);
	scene_end(&s, 2);
	assert_int_equal(s.n_gone, 2);
	close(hang[0]);
	close(hang[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_one_of_a_former_try_still_ends),
	};
	const char *numbers = getenv(WORKER_ENV);

	if (numbers != NULL)
		return worker_run(numbers);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
