/* Descriptors that go from one socket with a path to another. */
#include "net/net_fd.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

struct way {
	char dir[32], path[64];
	int listener, from, to;
};

static void way_open(struct way *w)
{
	strcpy(w->dir, "/tmp/net_fd-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof w->path, "%s/a", w->dir);
	assert_int_equal(net_fd_dial(w->path, &w->from), ERR_REFUSED);
	assert_int_equal(net_fd_listen(w->path, &w->listener), 0);
	assert_int_equal(net_fd_accept(w->listener, &w->to), ERR_AGAIN);
	assert_int_equal(net_fd_dial(w->path, &w->from), 0);
	assert_int_equal(net_fd_accept(w->listener, &w->to), 0);
}

static void way_close(struct way *w)
{
	close(w->from);
	close(w->to);
	close(w->listener);
	unlink(w->path);
	rmdir(w->dir);
}

static void test_a_descriptor_arrives(void **state)
{
	struct net_fd_message m;
	struct way w;
	int ends[2];
	char byte = 0;

	way_open(&w);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(net_fd_recv(w.to, &m), ERR_AGAIN);
	assert_int_equal(net_fd_send(w.from, ends[1], "hello", 5), 0);
	assert_int_equal(net_fd_send(w.from, -1, "alone", 5), 0);
	close(ends[1]);
	assert_int_equal(net_fd_recv(w.to, &m), 0);
	assert_int_equal(m.len, 5);
	assert_memory_equal(m.bytes, "hello", 5);
	assert_true(fcntl(m.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(m.fd, "x", 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(m.fd);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* no copy is left anywhere */
	assert_int_equal(net_fd_recv(w.to, &m), 0);
	assert_int_equal(m.fd, -1);
	assert_memory_equal(m.bytes, "alone", 5);
	close(ends[0]);
	way_close(&w);
}

/* What is not as it should be leaves no descriptor behind. */
static void test_odd_messages(void **state)
{
	static const struct {
		const char *why;
		size_t len;
		int n_fds, want;
	} cases[] = {
		{"two descriptors", 5, 2, ERR_PROTO},
		{"a whole lot of them", 5, 20, ERR_PROTO},
		{"too long", NET_FD_MESSAGE_MAX + 1, 1, ERR_PROTO},
		{"too long, and alone", NET_FD_MESSAGE_MAX + 1, 0, ERR_PROTO},
		{"a descriptor and no bytes", 0, 1, ERR_PROTO},
		{"as long as may be", NET_FD_MESSAGE_MAX, 1, 0},
	};
	static char bytes[NET_FD_MESSAGE_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		union {
			struct cmsghdr head;
			char room[CMSG_SPACE(20 * sizeof(int))];
		} control = {.room = {0}};
		struct iovec iov = {.iov_base = bytes, .iov_len = cases[i].len};
		struct msghdr out = {.msg_iov = &iov, .msg_iovlen = 1};
		struct net_fd_message m;
		struct way w;
		int ends[2], fds[20];
		char byte;

		print_message("# %s\n", cases[i].why);
		way_open(&w);
		assert_int_equal(pipe(ends), 0);
		for (int k = 0; k < 20; k++)
			fds[k] = ends[1];
		if (cases[i].n_fds > 0) {
			control.head.cmsg_level = SOL_SOCKET;
			control.head.cmsg_type = SCM_RIGHTS;
			control.head.cmsg_len = CMSG_LEN(cases[i].n_fds * sizeof(int));
			memcpy(CMSG_DATA(&control.head), fds, cases[i].n_fds * sizeof(int));
			out.msg_control = &control;
			out.msg_controllen = CMSG_SPACE(cases[i].n_fds * sizeof(int));
		}
		assert_int_equal(sendmsg(w.from, &out, 0), (ssize_t)cases[i].len);
		close(ends[1]);
		assert_int_equal(net_fd_recv(w.to, &m), cases[i].want);
		if (m.fd >= 0)
			close(m.fd);
		assert_int_equal(read(ends[0], &byte, 1), 0);
		close(ends[0]);
		way_close(&w);
	}
}

static void test_ends(void **state)
{
	struct net_fd_message m;
	struct way w;
	int n = 0;

	way_open(&w);
	while (net_fd_send(w.from, w.listener, "x", 1) == 0)
		assert_true(++n < 100000); /* who does not read is not written to for ever */
	assert_int_equal(net_fd_send(w.from, -1, "x", 1), ERR_AGAIN);
	close(w.from);
	for (int i = 0; i < n; i++) {
		assert_int_equal(net_fd_recv(w.to, &m), 0);
		close(m.fd);
	}
	assert_int_equal(net_fd_recv(w.to, &m), ERR_EOF);
	assert_int_equal(net_fd_dial(w.path, &w.from), 0);
	way_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_descriptor_arrives),
		cmocka_unit_test(test_odd_messages),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
