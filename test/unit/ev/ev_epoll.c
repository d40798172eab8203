/* What the kernel is asked, seen by what it finds: the loop must lie down when nothing is wanted.
 */
#include "ev/ev_epoll.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/ev/tcp_fds.h"

struct scene {
	struct ev *ev; /* for what waits to be freed */
	struct ev_epoll set;
	struct ev_io *io;
	int fds[2]; /* a TCP connection; [0] is watched */
	int calls, events;
};

static void scene_on_io(void *arg, int events)
{
	struct scene *s = arg;

	s->calls++;
	s->events |= events;
}

static void scene_open(struct scene *s)
{
	*s = (struct scene){.calls = 0};
	assert_int_equal(ev_sim_new(1, &s->ev), 0);
	assert_int_equal(ev_epoll_init(&s->set, s->ev), 0);
	tcp_fds(s->fds);
	assert_int_equal(ev_epoll_io_new(&s->set, s->fds[0], scene_on_io, s, &s->io), 0);
}

static void scene_close(struct scene *s)
{
	ev_io_free(s->io);
	ev_epoll_fini(&s->set);
	close(s->fds[0]);
	close(s->fds[1]);
	ev_free(s->ev);
}

/* Turns until one finds nothing. Returns how many found something. */
static int scene_settle(struct scene *s)
{
	int n;

	for (n = 0; n < 100; n++) {
		ev_epoll_wait(&s->set, 0);
		if (s->set.n_found == 0)
			break;
		ev_epoll_tell(&s->set);
	}
	return n;
}

static void say(struct scene *s, bool urgent)
{
	assert_int_equal(send(s->fds[1], "x", 1, urgent ? MSG_OOB : 0), 1);
}

static void end_both(struct scene *s)
{
	assert_int_equal(shutdown(s->fds[0], SHUT_WR), 0);
	assert_int_equal(shutdown(s->fds[1], SHUT_WR), 0);
}

enum happening { WRITES, URGENT, ENDS, BOTH_END };

static void happen(struct scene *s, enum happening what)
{
	if (what == BOTH_END)
		end_both(s);
	else if (what == ENDS)
		assert_int_equal(shutdown(s->fds[1], SHUT_WR), 0);
	else
		say(s, what == URGENT);
}

/* What comes unwanted is found twice at most, told never, and still there when it is wanted. */
static void test_unwanted(void **state)
{
	static const struct {
		const char *why;
		enum happening what;
		int before, now; /* wanted */
		int later;	 /* told when reading is wanted */
	} cases[] = {
		{"bytes, nothing ever wanted", WRITES, 0, 0, EV_READ},
		{"bytes, reading wanted no more", WRITES, EV_READ, 0, EV_READ},
		{"bytes, writing wanted no more", WRITES, EV_WRITE, 0, EV_READ},
		{"bytes, neither wanted any more", WRITES, EV_READ | EV_WRITE, 0, EV_READ},
		{"urgent bytes", URGENT, EV_READ, 0, 0},
		{"the peer's end", ENDS, EV_READ, 0, EV_READ},
		{"both ends, nothing ever wanted", BOTH_END, 0, 0, EV_READ},
		{"both ends, reading wanted no more", BOTH_END, EV_READ, 0, EV_READ},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scene s;

		print_message("%s\n", cases[i].why);
		scene_open(&s);
		ev_io_want(s.io, cases[i].before);
		ev_epoll_wait(&s.set, 0); /* the kernel knows */
		s.set.n_found = 0;
		ev_io_want(s.io, cases[i].now);
		happen(&s, cases[i].what);
		assert_true(scene_settle(&s) <= 2);
		assert_int_equal(s.calls, 0);
		ev_io_want(s.io, EV_READ);
		ev_epoll_wait(&s.set, 0);
		ev_epoll_tell(&s.set);
		assert_int_equal(s.events, cases[i].later);
		scene_close(&s);
	}
}

/* A reset is told once, when something has been wanted at least once. */
static void test_reset(void **state)
{
	static const struct {
		const char *why;
		int before, now;
		int told, later;
	} cases[] = {
		{"nothing ever wanted: told when something is", 0, 0, 0, EV_ERROR},
		{"nothing wanted any more", EV_READ, 0, EV_ERROR, EV_ERROR},
		{"reading wanted", EV_READ, EV_READ, EV_ERROR, EV_ERROR},
	};
	static const struct linger at_once = {.l_onoff = 1};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scene s;

		print_message("%s\n", cases[i].why);
		scene_open(&s);
		ev_io_want(s.io, cases[i].before);
		ev_io_want(s.io, cases[i].now);
		setsockopt(s.fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		close(s.fds[1]);
		s.fds[1] = -1;
		assert_true(scene_settle(&s) <= 2);
		assert_int_equal(s.events, cases[i].told);
		ev_io_want(s.io, EV_READ);
		assert_true(scene_settle(&s) <= 2);
		assert_int_equal(s.events, cases[i].later);
		assert_int_equal(s.calls, 1);
		scene_close(&s);
	}
}

/* A change that is taken back before the loop lies down never was. */
static void test_there_and_back(void **state)
{
	struct scene s;

	scene_open(&s);
	ev_io_want(s.io, EV_READ);
	ev_io_want(s.io, EV_READ | EV_WRITE);
	ev_io_want(s.io, EV_READ);
	assert_int_equal(scene_settle(&s), 0);
	ev_io_want(s.io, 0);
	say(&s, false);
	ev_io_want(s.io, EV_READ);
	ev_epoll_wait(&s.set, 0);
	ev_epoll_tell(&s.set);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.events, EV_READ);
	scene_close(&s);
}

/* Freed, and the descriptor stays open: nobody is woken by it, and it may be watched anew. */
static void test_freed_and_open(void **state)
{
	struct scene s;

	scene_open(&s);
	ev_io_want(s.io, EV_READ);
	say(&s, false);
	ev_io_free(s.io);
	assert_int_equal(scene_settle(&s), 0);
	assert_int_equal(ev_epoll_io_new(&s.set, s.fds[0], scene_on_io, &s, &s.io), 0);
	ev_io_want(s.io, EV_READ);
	ev_epoll_wait(&s.set, 0);
	ev_epoll_tell(&s.set);
	assert_int_equal(s.calls, 1);
	scene_close(&s);
}

/* Of a pipe whose writer has gone the kernel says no more than that. */
static void test_end_of_a_pipe(void **state)
{
	struct ev_io *io = NULL;
	struct scene s;
	int fds[2];

	scene_open(&s);
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(ev_epoll_io_new(&s.set, fds[0], scene_on_io, &s, &io), 0);
	ev_io_want(io, EV_READ);
	close(fds[1]);
	ev_epoll_wait(&s.set, 0);
	ev_epoll_tell(&s.set);
	assert_int_equal(s.events, EV_READ);
	ev_io_free(io);
	close(fds[0]);
	scene_close(&s);
}

static void test_twice(void **state)
{
	struct ev_io *again = NULL;
	struct scene s;

	scene_open(&s);
	assert_int_not_equal(ev_epoll_io_new(&s.set, s.fds[0], scene_on_io, &s, &again), 0);
	assert_null(again);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unwanted),       cmocka_unit_test(test_reset),
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_freed_and_open),
		cmocka_unit_test(test_end_of_a_pipe),  cmocka_unit_test(test_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
