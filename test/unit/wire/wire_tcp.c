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
	size_t n_read;
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

static void speaks_on_ready(void *arg, struct wire *w, int events)
{
	struct seen *s = arg;
	struct str in;

	assert_int_equal(wire_read(w, 10, &in), 0);
	s->n_read += in.len;
	ev_stop(s->ev);
}

static const struct wire_owner speaks_owner = {speaks_on_ready, seen_on_broken};

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

static void ends_on_ready(void *arg, struct wire *w, int events)
{
	struct str in;

	assert_int_equal(wire_read(w, 10, &in), ERR_EOF);
	wire_want(w, 0);
	wire_shut(w);
	ev_stop(arg);
}

static const struct wire_owner ends_owner = {ends_on_ready, seen_on_broken};

/* Both sides have ended, and nobody closes: the peer sees the end all the same. */
static void test_the_second_end_is_seen(void **state)
{
	struct pollfd p = {.events = POLLIN};
	struct ev *ev;
	struct wire *w;
	int fds[2];
	char byte;

	assert_int_equal(ev_new(&ev), 0);
	tcp_pair_fds(true, fds);
	assert_int_equal(wire_tcp_new(ev, fds[0], NET_VISITOR, &w), 0);
	wire_own(w, &ends_owner, ev);
	wire_want(w, WIRE_READ);
	assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	ev_run(ev);
	p.fd = fds[1];
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(fds[1], &byte, 1), 0);
	wire_close(w, 0);
	close(fds[1]);
	ev_free(ev);
}

/* Who was dialled and speaks first is heard. */
static void test_a_target_speaks_first(void **state)
{
	struct pollfd p = {.events = POLLIN};
	struct seen s = {NULL};
	struct wire *w;
	struct str in;
	int fds[2];

	assert_int_equal(ev_new(&s.ev), 0);
	tcp_pair_fds(true, fds);
	assert_int_equal(write(fds[1], "x", 1), 1);
	p.fd = fds[0];
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(wire_tcp_new(s.ev, fds[0], NET_TARGET, &w), 0);
	assert_int_equal(wire_read(w, 10, &in), ERR_AGAIN); /* not looked yet */
	wire_own(w, &speaks_owner, &s);
	wire_want(w, WIRE_READ);
	ev_run(s.ev);
	assert_int_equal(s.n_read, 1);
	wire_close(w, 0);
	close(fds[1]);
	ev_free(s.ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_it_ends),
		cmocka_unit_test(test_a_failed_write_is_told_too),
		cmocka_unit_test(test_the_second_end_is_seen),
		cmocka_unit_test(test_a_target_speaks_first),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed + wire_suite_run(kinds, ARRAY_LEN(kinds));
}
