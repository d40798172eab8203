/* What was looked at is still there, and is not told of again and again. */
#include "net/net_peek.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "net/net_sock.h"
#include "unit/ev/tcp_fds.h"

static void say(int fd, struct str text)
{
	assert_int_equal(write(fd, text.p, text.len), text.len);
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

static void test_it_stays(void **state)
{
	char got[16];
	int fds[2];
	size_t n;

	tcp_fds(fds);
	assert_int_equal(net_peek(fds[0], got, sizeof got, &n), ERR_AGAIN);
	say(fds[1], STR("hello"));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(net_peek(fds[0], got, i == 2 ? 2 : sizeof got, &n), 0);
		assert_int_equal(n, i == 2 ? 2 : 5);
		assert_memory_equal(got, "hello", n);
	}
	assert_int_equal(net_skip(fds[0], 2), 0);
	assert_int_equal(net_read(fds[0], got, sizeof got, &n), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(got, "llo", 3);
	net_close(fds[1], false);
	net_close(fds[0], false);
}

static void test_much_is_skipped(void **state)
{
	static char block[4096];
	int fds[2];

	tcp_fds(fds);
	say(fds[1], (struct str){block, sizeof block});
	say(fds[1], STR("x"));
	assert_int_equal(net_skip(fds[0], sizeof block), 0);
	assert_int_equal(net_skip(fds[0], 2), ERR_PROTO); /* so many were never there */
	net_close(fds[1], false);
	net_close(fds[0], false);
}

static void test_the_end(void **state)
{
	char got[16];
	int fds[2];
	size_t n;

	tcp_fds(fds);
	assert_false(net_peer_finished(fds[0]));
	say(fds[1], STR("ab"));
	assert_false(net_peer_finished(fds[0]));
	net_shut(fds[1]);
	assert_true(net_peer_finished(fds[0])); /* though nothing has been read */
	assert_int_equal(net_peek(fds[0], got, sizeof got, &n), 0);
	assert_int_equal(net_skip(fds[0], 2), 0);
	assert_int_equal(net_peek(fds[0], got, sizeof got, &n), ERR_EOF);
	net_close(fds[1], false);
	net_close(fds[0], false);

	tcp_fds(fds);
	net_close(fds[1], true);
	assert_true(net_peer_finished(fds[0]));
	assert_int_equal(net_peek(fds[0], got, sizeof got, &n), ERR_RESET);
	net_close(fds[0], false);
}

static void test_waiting_for_more(void **state)
{
	int fds[2];

	tcp_fds(fds);
	say(fds[1], STR("PRO"));
	assert_true(is_readable(fds[0]));
	net_wait_for(fds[0], 4);
	assert_false(is_readable(fds[0]));
	say(fds[1], STR("X"));
	assert_true(is_readable(fds[0]));
	net_wait_for(fds[0], 5);
	assert_false(is_readable(fds[0]));
	net_wait_for(fds[0], 1);
	assert_true(is_readable(fds[0]));
	net_wait_for(fds[0], 5);
	net_shut(fds[1]);
	assert_true(is_readable(fds[0])); /* more does not come */
	net_close(fds[1], false);
	net_close(fds[0], false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_stays),
		cmocka_unit_test(test_much_is_skipped),
		cmocka_unit_test(test_the_end),
		cmocka_unit_test(test_waiting_for_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
