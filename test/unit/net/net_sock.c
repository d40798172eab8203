/* One connected socket: reading, writing, the ways it ends, tuning. */
#include "net/net_sock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <linux/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/ev/tcp_fds.h"

static void make_pair(int fds[2], bool tcp)
{
	if (tcp)
		tcp_fds(fds);
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void test_both_ways_and_the_end(void **state)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct iovec iov[2] = {{(char[]){"hel"}, 3}, {(char[]){"lo"}, 2}};
		char got[16];
		size_t n = 99;
		int fds[2];

		make_pair(fds, tcp);
		assert_int_equal(net_read(fds[1], got, sizeof got, &n), ERR_AGAIN);
		assert_int_equal(net_write(fds[0], iov, 2, &n), 0);
		assert_int_equal(n, 5);
		assert_int_equal(net_read(fds[1], got, 2, &n), 0);
		assert_int_equal(n, 2);
		assert_memory_equal(got, "he", 2);
		net_shut(fds[0]);
		assert_int_equal(net_read(fds[1], got, sizeof got, &n), 0);
		assert_int_equal(n, 3);
		assert_int_equal(net_read(fds[1], got, sizeof got, &n), ERR_EOF);
		assert_int_equal(net_write(fds[1], iov, 1, &n), 0); /* the other half is open */
		assert_int_equal(net_read(fds[0], got, sizeof got, &n), 0);
		assert_int_equal(n, 3);
		net_close(fds[0], false);
		net_close(fds[1], false);
	}
}

static void test_full(void **state)
{
	char block[65536] = {0};
	struct iovec iov = {block, sizeof block};
	size_t n, all = 0;
	int fds[2], e;

	make_pair(fds, false);
	while ((e = net_write(fds[0], &iov, 1, &n)) == 0)
		all += n;
	assert_int_equal(e, ERR_AGAIN);
	assert_int_equal(n, 0);
	while ((e = net_read(fds[1], block, sizeof block, &n)) == 0)
		all -= n;
	assert_int_equal(e, ERR_AGAIN);
	assert_int_equal(all, 0);
	net_close(fds[0], false);
	net_close(fds[1], false);
}

static void test_reset(void **state)
{
	struct iovec iov = {(char[]){"x"}, 1};
	char got[16];
	size_t n;
	int fds[2];

	tcp_fds(fds);
	net_close(fds[0], true);
	assert_int_equal(net_error(fds[1]), ERR_RESET);
	assert_int_equal(net_write(fds[1], &iov, 1, &n), ERR_RESET); /* and no SIGPIPE */
	net_close(fds[1], false);

	tcp_fds(fds);
	net_close(fds[0], true);
	assert_int_equal(net_read(fds[1], got, sizeof got, &n), ERR_RESET);
	net_close(fds[1], false);

	net_close(-1, true); /* harmless */
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void test_tune(void **state)
{
	static const struct {
		const char *why;
		enum net_use use;
		int keepalive, user_timeout_ms;
	} cases[] = {
		{"a visitor: its silent death is noticed in the end", NET_VISITOR, 1, 0},
		{"a target: short-lived", NET_TARGET, 0, 0},
		{"a session: its death is noticed soon", NET_SESSION, 1, NET_USER_TIMEOUT_MS},
	};
	int fds[2];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		tcp_fds(fds);
		net_tune(fds[0], cases[i].use);
		assert_int_equal(option(fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
		assert_int_equal(option(fds[0], SOL_SOCKET, SO_KEEPALIVE), cases[i].keepalive);
		assert_int_equal(option(fds[0], IPPROTO_TCP, TCP_USER_TIMEOUT),
				 cases[i].user_timeout_ms);
		if (cases[i].use == NET_SESSION)
			assert_int_equal(option(fds[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT),
					 NET_NOTSENT_LOWAT);
		net_close(fds[0], false);
		net_close(fds[1], false);
	}
	make_pair(fds, false);
	net_tune(fds[0], NET_SESSION);
	assert_int_equal(net_error(fds[0]), 0);
	net_close(fds[0], false);
	net_close(fds[1], false);
}

static unsigned segments(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_data_segs_out;
}

/* Far fewer segments than writes, and not just one: the kernel may have lost its patience. */
static void test_cork(void **state)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct iovec iov = {(char[]){"x"}, 1};
		char got[32];
		size_t n, all = 0;
		int fds[2];

		make_pair(fds, tcp);
		net_tune(fds[0], NET_TARGET);
		net_cork(fds[0], true);
		for (int i = 0; i < 16; i++)
			assert_int_equal(net_write(fds[0], &iov, 1, &n), 0);
		net_cork(fds[0], false);
		if (tcp) {
			assert_in_range(segments(fds[0]), 1, 8);
			assert_int_equal(option(fds[0], IPPROTO_TCP, TCP_CORK), 0);
		}
		while (net_read(fds[1], got, sizeof got, &n) == 0)
			all += n;
		assert_int_equal(all, 16);
		net_close(fds[0], false);
		net_close(fds[1], false);
	}
}

static void test_both_ends_have_names(void **state)
{
	struct net_addr a, b;
	char one[NET_ADDR_TEXT], two[NET_ADDR_TEXT];
	int fds[2];

	tcp_fds(fds);
	net_local(fds[0], &a);
	net_peer(fds[1], &b);
	assert_string_equal(net_addr_format(&a, one), net_addr_format(&b, two));
	assert_int_not_equal(net_addr_port(&a), 0);
	net_close(fds[0], false);
	net_close(fds[1], false);
	net_local(-1, &a);
	net_peer(-1, &b);
	assert_int_equal(a.len, 0);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways_and_the_end),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_tune),
		cmocka_unit_test(test_cork),
		cmocka_unit_test(test_both_ends_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
