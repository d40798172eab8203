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

/* Two ends of a TCP connection over loopback; what one end writes is there when write() returns. */
static void make_tcp(int fds[2])
{
	struct net_addr addr;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(server >= 0);
	assert_int_equal(net_addr_parse(STR("127.0.0.1:0"), &addr), 0);
	assert_int_equal(bind(server, &addr.sa, addr.len), 0);
	assert_int_equal(listen(server, 1), 0);
	net_local(server, &addr);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fds[0] >= 0);
	assert_int_equal(connect(fds[0], &addr.sa, addr.len), 0);
	fds[1] = accept(server, NULL, NULL);
	assert_true(fds[1] >= 0);
	close(server);
}

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

	make_tcp(fds);
	assert_int_equal(net_peek(fds[1], got, sizeof got, &n), ERR_AGAIN);
	say(fds[0], STR("hello"));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(net_peek(fds[1], got, i == 2 ? 2 : sizeof got, &n), 0);
		assert_int_equal(n, i == 2 ? 2 : 5);
		assert_memory_equal(got, "hello", n);
	}
	assert_int_equal(net_skip(fds[1], 2), 0);
	assert_int_equal(net_read(fds[1], got, sizeof got, &n), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(got, "llo", 3);
	net_close(fds[0], false);
	net_close(fds[1], false);
}

static void test_much_is_skipped(void **state)
{
	static char block[4096];
	int fds[2];

	make_tcp(fds);
	say(fds[0], (struct str){block, sizeof block});
	say(fds[0], STR("x"));
	assert_int_equal(net_skip(fds[1], sizeof block), 0);
	assert_int_equal(net_skip(fds[1], 2), ERR_PROTO); /* so many were never there */
	net_close(fds[0], false);
	net_close(fds[1], false);
}

static void test_the_end(void **state)
{
	char got[16];
	int fds[2];
	size_t n;

	make_tcp(fds);
	assert_false(net_peer_finished(fds[1]));
	say(fds[0], STR("ab"));
	assert_false(net_peer_finished(fds[1]));
	net_shut(fds[0]);
	assert_true(net_peer_finished(fds[1])); /* though nothing has been read */
	assert_int_equal(net_peek(fds[1], got, sizeof got, &n), 0);
	assert_int_equal(net_skip(fds[1], 2), 0);
	assert_int_equal(net_peek(fds[1], got, sizeof got, &n), ERR_EOF);
	net_close(fds[0], false);
	net_close(fds[1], false);

	make_tcp(fds);
	net_close(fds[0], true);
	assert_true(net_peer_finished(fds[1]));
	assert_int_equal(net_peek(fds[1], got, sizeof got, &n), ERR_RESET);
	net_close(fds[1], false);
}

static void test_waiting_for_more(void **state)
{
	int fds[2];

	make_tcp(fds);
	say(fds[0], STR("PRO"));
	assert_true(is_readable(fds[1]));
	net_wait_for(fds[1], 4);
	assert_false(is_readable(fds[1]));
	say(fds[0], STR("X"));
	assert_true(is_readable(fds[1]));
	net_wait_for(fds[1], 5);
	assert_false(is_readable(fds[1]));
	net_wait_for(fds[1], 1);
	assert_true(is_readable(fds[1]));
	net_wait_for(fds[1], 5);
	net_shut(fds[0]);
	assert_true(is_readable(fds[1])); /* more does not come */
	net_close(fds[0], false);
	net_close(fds[1], false);
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
