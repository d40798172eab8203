/* What a service manager receives, at a socket of the test's own. */
#include "app/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct manager {
	struct ev *ev;
	struct notify n;
	int fd;
	char dir[32], path[64];
};

static int manager_open(void **state)
{
	struct manager *m = calloc(1, sizeof *m);
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	str_printf(m->dir, sizeof m->dir, "/tmp/karez-notify-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	str_printf(m->path, sizeof m->path, "%s/socket", m->dir);
	str_printf(at.sun_path, sizeof at.sun_path, "%s", m->path);
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(m->fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(ev_sim_new(1, &m->ev), 0);
	*state = m;
	return 0;
}

static int manager_close(void **state)
{
	struct manager *m = *state;

	notify_end(&m->n);
	ev_free(m->ev);
	close(m->fd);
	unlink(m->path);
	rmdir(m->dir);
	free(m);
	return 0;
}

static void manager_begin(struct manager *m, const char *usec, const char *pid)
{
	notify_begin(&m->n, m->ev,
		     &(struct notify_env){.socket = m->path,
					  .watchdog_usec = usec,
					  .watchdog_pid = pid});
}

/* The next message is this one; NULL: there is none. */
static void manager_hears(const struct manager *m, const char *want)
{
	char got[2048];
	ssize_t n = recv(m->fd, got, sizeof got - 1, 0);

	if (want == NULL) {
		assert_int_equal(n, -1);
		return;
	}
	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, want);
}

static void test_ready_and_stopping(void **state)
{
	struct manager *m = *state;

	manager_begin(m, NULL, NULL);
	manager_hears(m, NULL);
	notify_status(&m->n, "waiting for %s", "the store");
	manager_hears(m, "STATUS=waiting for the store");
	notify_ready(&m->n);
	manager_hears(m, "READY=1");
	notify_stopping(&m->n, 30000);
	manager_hears(m, "STOPPING=1\nEXTEND_TIMEOUT_USEC=35000000");
	manager_hears(m, NULL);
}

static void test_a_status_is_told_once(void **state)
{
	struct manager *m = *state;

	manager_begin(m, NULL, NULL);
	notify_status(&m->n, "1 of %d", 3);
	notify_status(&m->n, "1 of 3");
	manager_hears(m, "STATUS=1 of 3");
	manager_hears(m, NULL);
	notify_status(&m->n, "2 of 3");
	manager_hears(m, "STATUS=2 of 3");
}

/* A server's words stand in it, and must not become a line of their own. */
static void test_a_status_is_one_line(void **state)
{
	struct manager *m = *state;
	char long_one[2 * NOTIFY_STATUS], want[NOTIFY_STATUS + 8];

	manager_begin(m, NULL, NULL);
	notify_status(&m->n, "no: %s", "sorry\nREADY=1");
	manager_hears(m, "STATUS=no: sorry READY=1");
	memset(long_one, 'x', sizeof long_one);
	long_one[sizeof long_one - 1] = '\0';
	notify_status(&m->n, "%s", long_one);
	str_printf(want, sizeof want, "STATUS=%.*s", NOTIFY_STATUS - 1, long_one);
	manager_hears(m, want);
}

static void test_reloading(void **state)
{
	struct manager *m = *state;

	manager_begin(m, NULL, NULL);
	notify_reloading(&m->n); /* it is not even ready */
	notify_reloaded(&m->n);
	manager_hears(m, NULL);
	notify_ready(&m->n);
	manager_hears(m, "READY=1");
	notify_reloaded(&m->n); /* an edit that nobody asked about */
	manager_hears(m, NULL);
	ev_sim_run_for(m->ev, 25);
	notify_reloading(&m->n);
	manager_hears(m, "RELOADING=1\nMONOTONIC_USEC=25000");
	notify_reloaded(&m->n);
	manager_hears(m, "READY=1");
	notify_reloaded(&m->n);
	manager_hears(m, NULL);
}

static void test_signs_of_life(void **state)
{
	struct manager *m = *state;

	manager_begin(m, "30000000", NULL);
	ev_sim_run_for(m->ev, 14999);
	manager_hears(m, NULL);
	ev_sim_run_for(m->ev, 15002);
	manager_hears(m, "WATCHDOG=1");
	manager_hears(m, "WATCHDOG=1");
	manager_hears(m, NULL);
	notify_end(&m->n);
	ev_sim_run_for(m->ev, 60000);
	manager_hears(m, NULL);
}

static void test_no_signs_of_life(void **state)
{
	struct manager *m = *state;
	char own[32];
	static const struct {
		const char *why, *usec, *pid;
	} cases[] = {
		{"none are asked for", NULL, NULL},
		{"not every 0 s", "0", NULL},
		{"not a number", "soon", NULL},
		{"asked of another process", "30000000", "1"},
		{"asked of no process", "30000000", "x"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		manager_begin(m, cases[i].usec, cases[i].pid);
		assert_false(ev_timer_is_set(&m->n.alive));
	}
	str_printf(own, sizeof own, "%ld", (long)getpid());
	manager_begin(m, "1", own); /* of us, and faster than the clock counts */
	assert_true(ev_timer_is_set(&m->n.alive));
	assert_int_equal(m->n.alive_ms, 1);
}

static void test_nobody_wants_to_know(void **state)
{
	struct manager *m = *state;
	struct notify zero = {0};

	notify_begin(&m->n, m->ev, &(struct notify_env){.watchdog_usec = "30000000"});
	assert_false(ev_timer_is_set(&m->n.alive));
	for (int i = 0; i < 2; i++) {
		struct notify *n = i == 0 ? &m->n : &zero;

		notify_status(n, "x");
		notify_ready(n);
		notify_reloading(n);
		notify_reloaded(n);
		notify_stopping(n, 1);
		notify_end(n);
	}
	manager_hears(m, NULL);
}

/* The manager has gone: nothing happens. */
static void test_a_manager_that_is_gone(void **state)
{
	struct manager *m = *state;

	manager_begin(m, NULL, NULL);
	unlink(m->path);
	notify_ready(&m->n);
	notify_status(&m->n, "x");
	manager_hears(m, NULL);
}

#define T(test) cmocka_unit_test_setup_teardown(test, manager_open, manager_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ready_and_stopping),   T(test_a_status_is_told_once),
		T(test_a_status_is_one_line), T(test_reloading),
		T(test_signs_of_life),	      T(test_no_signs_of_life),
		T(test_nobody_wants_to_know), T(test_a_manager_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
