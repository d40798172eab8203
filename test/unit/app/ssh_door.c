/* Who connects comes to the node at once, also one who says nothing: as a tuned socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "app/ssh_door.h"
#include "base/err.h"
#include "net/net_sock.h"

/* Stands for the node, which is not linked here. */
struct node {
	struct ev *ev;
	int fd; /* the first one; -1: none */
	struct visit_end peer;
};

void node_serve_ssh(struct node *n, int fd, const struct visit_end *peer)
{
	if (n->fd >= 0) {
		close(fd);
		return;
	}
	n->fd = fd;
	n->peer = *peer;
	ev_stop(n->ev);
}

static const struct {
	const char *why, *listen;
	int want;
} cases[] = {
	{"an address", "127.0.0.1:22", 0},
	{"every address", ":2222", 0},
	{"IPv6", "[::1]:2222", 0},
	{"any port", "127.0.0.1:0", 0},
	{"no port", "127.0.0.1", ERR_INVAL},
	{"a name", "localhost:22", ERR_INVAL},
	{"a unix socket", "unix:/tmp/s", ERR_INVAL},
	{"a word of --listen", "tls:127.0.0.1:22", ERR_INVAL},
	{"nothing", "", ERR_INVAL},
};

static void test_addresses(void **state)
{
	struct net_addr addr;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (ssh_door_parse(str_of(cases[i].listen), &addr) != cases[i].want)
			fail_msg("%s", cases[i].why);
}

static void on_late(void *arg)
{
	fail_msg("nobody came");
}

static int dial(const struct net_addr *to)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, &to->sa, to->len) == 0)
		return fd;
	close(fd);
	return -1;
}

static int option_of(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof value;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void test_a_silent_client(void **state)
{
	struct node n = {.fd = -1};
	struct log log = {.level = LOG_ERROR};
	struct ssh_door_opt opt = {.listen = "127.0.0.1:0", .node = &n, .log = &log};
	struct ev_timer late = {.fn = on_late};
	struct ssh_door *d = NULL, *twin = NULL;
	char text[NET_ADDR_TEXT];
	struct net_addr addr, own;
	int fd, other;

	assert_int_equal(ev_new(&n.ev), 0);
	assert_int_equal(ssh_door_open(n.ev, &opt, &d), 0);
	addr = *ssh_door_addr(d);
	assert_int_not_equal(net_addr_port(&addr), 0);
	opt.listen = net_addr_format(&addr, text);
	assert_int_equal(ssh_door_open(n.ev, &opt, &twin), ERR_INUSE);
	assert_null(twin);

	ev_timer_set(n.ev, &late, 10000);
	fd = dial(&addr);
	assert_true(fd >= 0);
	net_local(fd, &own);
	other = dial(&addr); /* comes later and speaks: who is silent does not wait for it */
	assert_true(other >= 0);
	assert_int_equal(write(other, "SSH-2.0-x\r\n", 11), 11);
	ev_run(n.ev);
	ev_timer_stop(n.ev, &late);
	assert_true(n.fd >= 0);
	assert_string_equal(n.peer.ip, "127.0.0.1");
	assert_int_equal(n.peer.port, net_addr_port(&own));
	assert_true(fcntl(n.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(n.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(option_of(n.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option_of(n.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), NET_USER_TIMEOUT_MS);

	ssh_door_close(d);
	assert_int_equal(dial(&addr), -1); /* and nobody else comes */
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(n.fd, text, sizeof text), 1); /* who is there stays */
	close(n.fd);
	close(fd);
	close(other);
	ssh_door_close(NULL);
	ev_free(n.ev);
}

static void test_what_is_no_address(void **state)
{
	struct node n = {.fd = -1};
	struct ssh_door_opt opt = {.listen = "unix:/tmp/s", .node = &n};
	struct ssh_door *d = NULL;

	assert_int_equal(ev_new(&n.ev), 0);
	assert_int_equal(ssh_door_open(n.ev, &opt, &d), ERR_INVAL);
	assert_null(d);
	ev_free(n.ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_a_silent_client),
		cmocka_unit_test(test_what_is_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
