/* Wires over sockets: the suite on unix and TCP sockets, and how a TCP connection ends. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "suite/wire_suite.h"
#include "unit/wire/tcp_pair.h"

static void tcp_open(const struct wire_suite_kind *kind, struct wire_suite_pair *pair)
{
	assert_int_equal(ev_new(&pair->ev), 0);
	tcp_pair(pair->ev, kind->opt != NULL, &pair->a, &pair->b);
}

static void tcp_close(struct wire_suite_pair *pair)
{
	ev_free(pair->ev);
}

/* The kernel's buffers, both ends. */
#define FLIGHT_MAX (16 * 1024 * 1024)

static const struct wire_suite_kind kinds[] = {
	{.name = "unix socket",
	 .restores = true,
	 .no_reset = true,
	 .open = tcp_open,
	 .close = tcp_close,
	 .flight_max = FLIGHT_MAX},
	{.name = "tcp",
	 .opt = "tcp",
	 .restores = true,
	 .open = tcp_open,
	 .close = tcp_close,
	 .flight_max = FLIGHT_MAX},
};

/* What a plain socket sees when the wire at the other end is closed. */
static int peer_sees(int why, bool unread)
{
	struct ev *ev;
	struct wire *w;
	int fds[2], got, e;
	struct pollfd p;
	char byte;

	assert_int_equal(ev_new(&ev), 0);
	tcp_pair_fds(true, fds);
	assert_int_equal(wire_tcp_new(ev, fds[0], NET_VISITOR, &w), 0);
	if (unread)
		assert_int_equal(write(fds[1], "x", 1), 1);
	wire_close(w, why);
	p = (struct pollfd){.fd = fds[1], .events = POLLIN};
	assert_int_equal(poll(&p, 1, 10000), 1);
	got = (int)read(fds[1], &byte, 1);
	e = got < 0 ? errno : 0;
	close(fds[1]);
	ev_free(ev);
	return e;
}

static void test_how_it_ends(void **state)
{
	assert_int_equal(peer_sees(0, false), 0);
	assert_int_equal(peer_sees(ERR_TIMEOUT, false), ECONNRESET);
	assert_int_equal(peer_sees(0, true), ECONNRESET);
}

struct seen {
	struct ev *ev;
	int n_broken, why;
};

static void seen_on_ready(void *arg, struct wire *w, int events)
{
	fail();
}

static void seen_on_broken(void *arg, struct wire *w, int why)
{
	struct seen *s = arg;

	s->n_broken++;
	s->why = why;
	ev_stop(s->ev);
}

static const struct wire_owner seen_owner = {seen_on_ready, seen_on_broken};

/* A failed write is answered at once, and the owner is told all the same. */
static void test_a_failed_write_is_told_too(void **state)
{
	struct seen s = {NULL};
	struct wire *w;
	struct str in;
	int fds[2];

	assert_int_equal(ev_new(&s.ev), 0);
	tcp_pair_fds(false, fds);
	assert_int_equal(wire_tcp_new(s.ev, fds[0], NET_VISITOR, &w), 0);
	wire_own(w, &seen_owner, &s);
	close(fds[1]);
	assert_int_equal(wire_write_all(w, STR("nobody")), ERR_RESET);
	assert_int_equal(wire_read(w, 1, &in), ERR_RESET);
	ev_run(s.ev);
	assert_int_equal(s.n_broken, 1);
	assert_int_equal(s.why, ERR_RESET);
	wire_close(w, s.why);
	ev_free(s.ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_it_ends),
		cmocka_unit_test(test_a_failed_write_is_told_too),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed + wire_suite_run(kinds, ARRAY_LEN(kinds));
}
