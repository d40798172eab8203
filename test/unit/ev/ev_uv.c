/* The real loop: descriptors, signals, threads, and its clock. Waits are for events, not for time.
 */
#include "ev/ev.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/ev/tcp_fds.h"

static int setup(void **state)
{
	struct ev *ev = NULL;
	int e = ev_new(&ev);

	*state = ev;
	return e;
}

static int teardown(void **state)
{
	ev_free(*state);
	return 0;
}

static void make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
}

/* One watched descriptor and what was heard about it. */
struct ear {
	struct ev *ev;
	int fd;
	struct ev_io *io;
	int calls, events; /* all events so far */
	int stop_after;	   /* stop the loop after so many calls */
	bool drain, frees_itself;
	struct ear *frees;
	int then_want; /* -1: leave it */
};

static void ear_on_io(void *arg, int events)
{
	struct ear *e = arg;
	char bytes[64];

	e->calls++;
	e->events |= events;
	if (e->drain)
		while (read(e->fd, bytes, sizeof bytes) > 0)
			;
	if (e->then_want >= 0)
		ev_io_want(e->io, e->then_want);
	if (e->calls == e->stop_after)
		ev_stop(e->ev);
	if (e->frees != NULL) {
		ev_io_free(e->frees->io);
		e->frees->io = NULL;
	}
	if (e->frees_itself) {
		ev_io_free(e->io);
		e->io = NULL;
	}
}

static void ear_open(struct ear *e, struct ev *ev, int fd)
{
	*e = (struct ear){.ev = ev, .fd = fd, .then_want = -1};
	assert_int_equal(ev_io_new(ev, fd, ear_on_io, e, &e->io), 0);
}

/* Let the loop turn until all that is ready has been told. */
struct turns {
	struct ev *ev;
	struct ev_task task;
	int left;
};

static void turns_on_task(void *arg)
{
	struct turns *t = arg;

	if (t->left-- > 0)
		ev_task_run(t->ev, &t->task);
	else
		ev_stop(t->ev);
}

static void run_some_turns(struct ev *ev)
{
	struct turns t = {.ev = ev, .task = {.fn = turns_on_task, .arg = &t}, .left = 100};

	ev_task_run(ev, &t.task);
	ev_run(ev);
	assert_true(t.left < 0);
}

/* ---- descriptors ---- */

static void test_read_is_level_triggered(void **state)
{
	struct ear e;
	int fds[2];

	make_pair(fds);
	ear_open(&e, *state, fds[0]);
	assert_int_equal(write(fds[1], "x", 1), 1);
	run_some_turns(*state);
	assert_int_equal(e.calls, 0); /* nothing before it is wanted */
	ev_io_want(e.io, EV_READ);
	e.stop_after = 3;
	ev_run(*state); /* told again and again until it is read */
	assert_int_equal(e.calls, 3);
	assert_int_equal(e.events, EV_READ);
	e.drain = true;
	run_some_turns(*state);
	assert_int_equal(e.calls, 4);
	ev_io_free(e.io);
	close(fds[0]);
	close(fds[1]);
}

static void test_want_nothing_is_silence(void **state)
{
	struct ear e;
	int fds[2];

	make_pair(fds);
	ear_open(&e, *state, fds[0]);
	ev_io_want(e.io, EV_READ | EV_WRITE);
	assert_int_equal(write(fds[1], "x", 1), 1);
	e.then_want = 0;
	run_some_turns(*state);
	assert_int_equal(e.calls, 1);
	assert_int_equal(e.events, EV_READ | EV_WRITE);
	close(fds[1]); /* not even the end of the peer is told, and the loop does not spin */
	run_some_turns(*state);
	assert_int_equal(e.calls, 1);
	ev_io_want(e.io, EV_READ);
	run_some_turns(*state);
	assert_int_equal(e.calls, 2);
	ev_io_free(e.io);
	close(fds[0]);
}

static void test_only_what_is_wanted(void **state)
{
	struct ear e;
	int fds[2];

	make_pair(fds);
	ear_open(&e, *state, fds[0]);
	assert_int_equal(write(fds[1], "x", 1), 1);
	ev_io_want(e.io, EV_WRITE);
	e.stop_after = 1;
	ev_run(*state);
	assert_int_equal(e.events, EV_WRITE);
	ev_io_free(e.io);
	close(fds[0]);
	close(fds[1]);
}

/* The writing end of a pipe that nobody reads: the kernel says EPOLLERR whatever was wanted. */
static void test_error_is_told_once(void **state)
{
	static const struct {
		const char *why;
		int want;
	} cases[] = {{"reading was wanted", EV_READ},
		     {"writing was wanted", EV_WRITE},
		     {"nothing was wanted any more", 0}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ear e;
		int fds[2];

		print_message("%s\n", cases[i].why);
		assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
		ear_open(&e, *state, fds[1]);
		ev_io_want(e.io, EV_READ);
		ev_io_want(e.io, cases[i].want);
		close(fds[0]);
		run_some_turns(*state);
		assert_int_equal(e.calls, 1);
		assert_int_equal(e.events, EV_ERROR);
		ev_io_want(e.io, 0);
		ev_io_want(e.io, EV_READ | EV_WRITE);
		run_some_turns(*state);
		assert_int_equal(e.calls, 1);
		ev_io_free(e.io);
		close(fds[1]);
	}
}

/* What a peer does while nothing is wanted: only its death is told. */
static void test_while_nothing_is_wanted(void **state)
{
	static const struct {
		const char *why;
		bool writes, urgent, ends, resets;
		int want; /* events told */
	} cases[] = {
		{"it resets", .resets = true, .want = EV_ERROR},
		{"it resets what it wrote", .writes = true, .resets = true, .want = EV_ERROR},
		{"it writes", .writes = true},
		{"it writes urgent data", .urgent = true},
		{"it ends", .ends = true},
		{"it ends behind its last words", .writes = true, .ends = true},
	};
	static const struct linger now = {.l_onoff = 1};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ear e;
		int fds[2];

		print_message("%s\n", cases[i].why);
		tcp_fds(fds);
		ear_open(&e, *state, fds[0]);
		ev_io_want(e.io, EV_READ);
		ev_io_want(e.io, 0);
		if (cases[i].writes)
			assert_int_equal(write(fds[1], "x", 1), 1);
		if (cases[i].urgent)
			assert_int_equal(send(fds[1], "!", 1, MSG_OOB), 1);
		if (cases[i].resets)
			setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &now, sizeof now);
		if (cases[i].ends)
			assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
		if (cases[i].ends || cases[i].resets)
			close(fds[1]);
		run_some_turns(*state);
		assert_int_equal(e.calls, cases[i].want != 0);
		assert_int_equal(e.events, cases[i].want);
		if (cases[i].writes && !cases[i].resets) { /* and it is still there */
			e.stop_after = 1;
			ev_io_want(e.io, EV_READ);
			ev_run(*state);
			assert_int_equal(e.events, EV_READ);
		}
		ev_io_free(e.io);
		close(fds[0]);
		if (!cases[i].ends && !cases[i].resets)
			close(fds[1]);
	}
}

static void test_free_in_its_own_callback(void **state)
{
	struct ear e;
	int fds[2];

	make_pair(fds);
	ear_open(&e, *state, fds[0]);
	e.frees_itself = true;
	ev_io_want(e.io, EV_READ);
	assert_int_equal(write(fds[1], "x", 1), 1);
	run_some_turns(*state);
	assert_int_equal(e.calls, 1);
	ev_io_free(NULL);
	close(fds[0]);
	close(fds[1]);
}

static void test_one_of_two_ready_frees_the_other(void **state)
{
	struct ear a, b;
	int one[2], two[2];

	make_pair(one);
	make_pair(two);
	ear_open(&a, *state, one[0]);
	ear_open(&b, *state, two[0]);
	a.drain = b.drain = true;
	a.frees = &b;
	b.frees = &a;
	ev_io_want(a.io, EV_READ);
	ev_io_want(b.io, EV_READ);
	assert_int_equal(write(one[1], "x", 1), 1);
	assert_int_equal(write(two[1], "x", 1), 1);
	run_some_turns(*state);
	assert_int_equal(a.calls + b.calls, 1);
	ev_io_free(a.io);
	ev_io_free(b.io);
	for (int i = 0; i < 2; i++) {
		close(one[i]);
		close(two[i]);
	}
}

/* The kernel gives the lowest free number: the next descriptor has the number of the last. */
static void test_a_number_comes_back(void **state)
{
	int before = -1;

	for (int i = 0; i < 10; i++) {
		struct ear e;
		int fds[2];

		make_pair(fds);
		if (before >= 0)
			assert_int_equal(fds[0], before);
		before = fds[0];
		ear_open(&e, *state, fds[0]);
		ev_io_want(e.io, EV_READ);
		assert_int_equal(write(fds[1], "x", 1), 1);
		e.stop_after = 1;
		ev_run(*state);
		assert_int_equal(e.calls, 1);
		ev_io_free(e.io);
		close(fds[0]);
		close(fds[1]);
	}
}

static void test_bad_descriptors(void **state)
{
	struct ev_io *io = NULL;
	int closed = dup(STDERR_FILENO);

	assert_true(closed >= 0);
	close(closed);
	assert_int_not_equal(ev_io_new(*state, closed, ear_on_io, NULL, &io), 0);
	assert_null(io);
}

/* ---- turns ---- */

static void stop_on_task(void *arg)
{
	ev_stop(arg);
}

static void count_up(void *arg)
{
	++*(int *)arg;
}

static void test_a_task_alone_is_run(void **state)
{
	int n = 0;
	struct ev_task task = {.fn = count_up, .arg = &n};

	ev_task_run(*state, &task);
	ev_run(*state); /* returns: nothing else can happen */
	assert_int_equal(n, 1);
}

static void test_stop_before_the_first_turn(void **state)
{
	struct ev_task task = {.fn = stop_on_task, .arg = *state};
	struct ev_timer timer = {.fn = count_up};

	ev_timer_set(*state, &timer, 3600000);
	ev_task_run(*state, &task);
	ev_run(*state);
	assert_true(ev_timer_is_set(&timer));
	ev_timer_stop(*state, &timer);
}

struct busy {
	struct ev *ev;
	struct ev_task task;
	struct ev_timer timer;
};

static void busy_on_task(void *arg)
{
	struct busy *b = arg;

	ev_task_run(b->ev, &b->task);
}

static void busy_on_timer(void *arg)
{
	struct busy *b = arg;

	ev_timer_set(b->ev, &b->timer, 0);
}

static void test_endless_tasks_and_timers_leave_descriptors_a_say(void **state)
{
	struct busy b = {.ev = *state,
			 .task = {.fn = busy_on_task, .arg = &b},
			 .timer = {.fn = busy_on_timer, .arg = &b}};
	struct ear e;
	int fds[2];

	make_pair(fds);
	ear_open(&e, *state, fds[0]);
	ev_io_want(e.io, EV_READ);
	e.stop_after = 5;
	ev_task_run(*state, &b.task);
	ev_timer_set(*state, &b.timer, 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	ev_run(*state);
	assert_int_equal(e.calls, 5);
	ev_task_cancel(&b.task);
	ev_timer_stop(*state, &b.timer);
	ev_io_free(e.io);
	close(fds[0]);
	close(fds[1]);
}

/* ---- timers and the clock ---- */

struct row {
	struct ev *ev;
	struct ev_timer timer;
	uint64_t set_at, ms;
	int *left;
};

static void row_on_timer(void *arg)
{
	struct row *r = arg;

	assert_true(ev_now_ms(r->ev) >= r->set_at + r->ms); /* late perhaps, early never */
	if (--*r->left == 0)
		ev_stop(r->ev);
}

static void test_timers_are_never_early(void **state)
{
	struct row rows[40];
	int left = ARRAY_LEN(rows);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		rows[i] = (struct row){.ev = *state,
				       .timer = {.fn = row_on_timer, .arg = &rows[i]},
				       .set_at = ev_now_ms(*state),
				       .ms = i * 7 % 40,
				       .left = &left};
		ev_timer_set(*state, &rows[i].timer, rows[i].ms);
	}
	ev_run(*state);
	assert_int_equal(left, 0);
}

static void test_a_timer_moved_earlier_wakes_the_loop(void **state)
{
	int left = 1;
	struct row r = {.ev = *state, .timer = {.fn = row_on_timer, .arg = &r}, .left = &left};

	r.set_at = ev_now_ms(*state);
	ev_timer_set(*state, &r.timer, 3600000);
	run_some_turns(*state);
	ev_timer_set(*state, &r.timer, 1);
	ev_run(*state);
	assert_int_equal(left, 0);
}

static void test_clocks(void **state)
{
	uint64_t ns = ev_now_ns(*state), again = ev_now_ns(*state);
	struct timespec ts;
	int64_t wall = ev_wall_ms(*state);

	assert_true(again >= ns);
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &ts), 0);
	assert_true(ts.tv_sec * 1000 + 1000 >= wall && wall >= ts.tv_sec * 1000 - 60000);
}

static void test_random_differs(void **state)
{
	uint8_t a[32], b[32];

	ev_random(*state, a, sizeof a);
	ev_random(*state, b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
}

/* ---- signals ---- */

struct bell {
	struct ev *ev;
	struct ev_signal *signal;
	int rung;
	uint64_t now_ms;
};

static void bell_on_signal(void *arg)
{
	struct bell *b = arg;

	b->rung++;
	b->now_ms = ev_now_ms(b->ev);
	ev_signal_free(b->signal); /* inside its own callback */
	b->signal = NULL;
	ev_stop(b->ev);
}

/* The loop must not end for want of other work: signals alone do not keep it. */
static void run_with_company(struct ev *ev)
{
	struct ev_timer company = {.fn = stop_on_task, .arg = ev};

	ev_timer_set(ev, &company, 60000);
	ev_run(ev);
	assert_true(ev_timer_is_set(&company));
	ev_timer_stop(ev, &company);
}

static void test_signal(void **state)
{
	struct bell b = {.ev = *state};

	ev_signal_free(NULL);
	assert_int_equal(ev_signal_new(*state, SIGUSR1, bell_on_signal, &b, &b.signal), 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	run_with_company(*state);
	assert_int_equal(b.rung, 1);
}

static void test_signal_that_does_not_exist(void **state)
{
	struct bell b = {.ev = *state};

	assert_int_equal(ev_signal_new(*state, 12345, bell_on_signal, &b, &b.signal), ERR_INVAL);
	assert_null(b.signal);
}

/* A deadline set in a signal's callback counts from the signal, not from when the loop lay down. */
static void test_signal_sees_the_time(void **state)
{
	struct itimerval in = {.it_value = {.tv_usec = 50000}};
	struct bell b = {.ev = *state};
	uint64_t start;

	assert_int_equal(ev_signal_new(*state, SIGALRM, bell_on_signal, &b, &b.signal), 0);
	run_some_turns(*state);
	start = ev_now_ms(*state);
	assert_int_equal(setitimer(ITIMER_REAL, &in, NULL), 0);
	run_with_company(*state);
	assert_int_equal(b.rung, 1);
	assert_true(b.now_ms >= start + 40);
}

/* ---- blocking work ---- */

struct job {
	struct ev *ev;
	pthread_t loop, worker;
	int worked, done, *left;
	int wait_fd; /* read from it on the worker; -1: do not */
	uint64_t now_ms;
};

static void job_work(void *arg)
{
	struct job *j = arg;
	uint64_t n;

	j->worker = pthread_self();
	j->worked++;
	if (j->wait_fd >= 0)
		while (read(j->wait_fd, &n, sizeof n) < 0 && errno == EINTR)
			;
}

static void job_on_done(void *arg)
{
	struct job *j = arg;

	assert_int_equal(j->worked, 1);
	assert_true(pthread_equal(pthread_self(), j->loop));
	assert_false(pthread_equal(j->worker, j->loop));
	j->done++;
	j->now_ms = ev_now_ms(j->ev);
	if (--*j->left == 0)
		ev_stop(j->ev);
}

static void test_work(void **state)
{
	struct job jobs[100];
	int left = ARRAY_LEN(jobs);

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = (struct job){.ev = *state,
				       .loop = pthread_self(),
				       .left = &left,
				       .wait_fd = -1};
		assert_int_equal(ev_work(*state, job_work, job_on_done, &jobs[i]), 0);
		assert_int_equal(jobs[i].done, 0);
	}
	ev_run(*state);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		assert_int_equal(jobs[i].done, 1);
}

static void test_work_sees_the_time(void **state)
{
	struct itimerspec in = {.it_value = {.tv_nsec = 50000000}};
	int left = 1;
	struct job j = {.ev = *state, .loop = pthread_self(), .left = &left};
	uint64_t start;

	j.wait_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	assert_true(j.wait_fd >= 0);
	run_some_turns(*state);
	start = ev_now_ms(*state);
	assert_int_equal(timerfd_settime(j.wait_fd, 0, &in, NULL), 0);
	assert_int_equal(ev_work(*state, job_work, job_on_done, &j), 0);
	ev_run(*state);
	assert_int_equal(j.done, 1);
	assert_true(j.now_ms >= start + 40);
	close(j.wait_fd);
}

/* done() also calls ev_stop() here, which must not keep the loop from ending properly. */
static void test_work_is_done_even_when_the_loop_ends(void **state)
{
	struct ev *ev = NULL;
	int left = 1;
	struct job j = {.loop = pthread_self(), .left = &left, .wait_fd = -1};

	assert_int_equal(ev_new(&ev), 0);
	j.ev = ev;
	assert_int_equal(ev_work(ev, job_work, job_on_done, &j), 0);
	ev_free(ev);
	assert_int_equal(j.done, 1);
}

static void forgotten_on_done(void *arg)
{
	struct job *j = arg;

	j->done++;
	if (--*j->left == 0)
		ev_stop(j->ev);
}

/* All threads are busy; what waits for them goes when nobody needs it, and not what they do. */
static void test_work_that_nobody_needs(void **state)
{
	struct job jobs[24];
	struct ev_work *works[ARRAY_LEN(jobs)];
	int left = ARRAY_LEN(jobs) - 4, fds[2], begun = 0;

	assert_int_equal(pipe(fds), 0);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = (struct job){.ev = *state, .left = &left, .wait_fd = fds[0]};
		assert_int_equal(ev_work_start(*state, job_work, forgotten_on_done, &jobs[i],
					       &works[i]),
				 0);
	}
	for (size_t i = 4; i < ARRAY_LEN(jobs); i++) { /* the pool has four */
		ev_work_forget(*state, works[i]);
		assert_int_equal(jobs[i].done, 0);
	}
	ev_run(*state);
	for (size_t i = 4; i < ARRAY_LEN(jobs); i++) {
		assert_int_equal(jobs[i].done, 1);
		assert_int_equal(jobs[i].worked, 0);
	}
	left = 4;
	for (size_t i = 0; i < 4; i++)
		ev_work_forget(*state, works[i]); /* a thread may have it: then it is done */
	close(fds[1]);
	ev_run(*state);
	for (size_t i = 0; i < 4; i++) {
		begun += jobs[i].worked;
		assert_int_equal(jobs[i].done, 1);
	}
	assert_in_range(begun, 0, 4);
	close(fds[0]);
}

static void test_free_after_stop(void **state)
{
	struct ev *ev = NULL;

	ev_free(NULL);
	assert_int_equal(ev_new(&ev), 0);
	ev_free_later(ev, malloc(10));
	ev_stop(ev);
	ev_free(ev);
}

#define ON_LOOP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_LOOP(test_read_is_level_triggered),
		ON_LOOP(test_want_nothing_is_silence),
		ON_LOOP(test_only_what_is_wanted),
		ON_LOOP(test_error_is_told_once),
		ON_LOOP(test_while_nothing_is_wanted),
		ON_LOOP(test_free_in_its_own_callback),
		ON_LOOP(test_one_of_two_ready_frees_the_other),
		ON_LOOP(test_a_number_comes_back),
		ON_LOOP(test_bad_descriptors),
		ON_LOOP(test_a_task_alone_is_run),
		ON_LOOP(test_stop_before_the_first_turn),
		ON_LOOP(test_endless_tasks_and_timers_leave_descriptors_a_say),
		ON_LOOP(test_timers_are_never_early),
		ON_LOOP(test_a_timer_moved_earlier_wakes_the_loop),
		ON_LOOP(test_clocks),
		ON_LOOP(test_random_differs),
		ON_LOOP(test_signal),
		ON_LOOP(test_signal_that_does_not_exist),
		ON_LOOP(test_signal_sees_the_time),
		ON_LOOP(test_work),
		ON_LOOP(test_work_sees_the_time),
		ON_LOOP(test_work_that_nobody_needs),
		cmocka_unit_test(test_work_is_done_even_when_the_loop_ends),
		cmocka_unit_test(test_free_after_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
