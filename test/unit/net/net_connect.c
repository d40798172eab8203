/* Reaching hosts: addresses, names, unix sockets, and every way not to arrive. */
#include "net/net_connect.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "net/net_sock.h"

struct trip {
	struct ev *ev;
	struct net_connect *connect;
	struct ev_timer timer;
	int calls, e, fd;
	int server; /* listening socket */
	uint16_t port;
	bool *v4_first;
};

static int setup(void **state)
{
	struct trip *t = calloc(1, sizeof *t);
	struct net_addr addr;

	assert_non_null(t);
	assert_int_equal(ev_new(&t->ev), 0);
	t->fd = -1;
	assert_int_equal(net_addr_parse(STR("127.0.0.1:0"), &addr), 0);
	t->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(t->server >= 0);
	assert_int_equal(bind(t->server, &addr.sa, addr.len), 0);
	assert_int_equal(listen(t->server, 10), 0);
	net_local(t->server, &addr);
	t->port = net_addr_port(&addr);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct trip *t = *state;

	net_close(t->fd, false);
	net_close(t->server, false);
	ev_free(t->ev);
	free(t);
	return 0;
}

static void trip_on_done(void *arg, int e, int fd)
{
	struct trip *t = arg;

	t->calls++;
	t->e = e;
	t->fd = fd;
	t->connect = NULL;
	ev_stop(t->ev);
}

static void trip_start(struct trip *t, const char *host, uint16_t port, uint32_t timeout_ms)
{
	struct net_connect_opt opt = {.host = host,
				      .port = port,
				      .timeout_ms = timeout_ms,
				      .v4_first = t->v4_first,
				      .done = trip_on_done,
				      .arg = t};

	assert_int_equal(net_connect_start(t->ev, &opt, &t->connect), 0);
	assert_int_equal(t->calls, 0); /* never before it returns */
}

static void assert_arrived(struct trip *t)
{
	assert_int_equal(t->calls, 1);
	assert_int_equal(t->e, 0);
	assert_true(t->fd >= 0);
	assert_true(fcntl(t->fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(net_error(t->fd), 0);
}

static void assert_failed(struct trip *t, int e)
{
	assert_int_equal(t->calls, 1);
	assert_int_equal(t->e, e);
	assert_int_equal(t->fd, -1);
}

static void test_address(void **state)
{
	struct trip *t = *state;
	int got;

	trip_start(t, "127.0.0.1", t->port, 60000);
	ev_run(t->ev);
	assert_arrived(t);
	got = accept(t->server, NULL, NULL);
	assert_true(got >= 0);
	close(got);
}

static void test_name(void **state)
{
	struct trip *t = *state;

	trip_start(t, "localhost", t->port, 60000);
	ev_run(t->ev);
	assert_arrived(t);
}

static int listen_at(const char *ip, uint16_t port)
{
	struct net_addr addr;
	int fd;

	assert_int_equal(net_addr_from_ip(str_of(ip), port, &addr), 0);
	fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	assert_int_equal(bind(fd, &addr.sa, addr.len), 0);
	assert_int_equal(listen(fd, 10), 0);
	return fd;
}

/* The resolver is not asked where localhost is: it may not know of ::1, or have no descriptor. */
static void test_localhost(void **state)
{
	static const struct {
		const char *why, *host, *ip;
		int want;
	} cases[] = {
		{"a server on IPv4 only", "localhost", "127.0.0.1", 0},
		{"a server on IPv6 only", "localhost", "::1", 0},
		{"in any case", "LocalHost", "127.0.0.1", 0},
		{"a name under it", "a.b.localhost", "127.0.0.1", 0},
		{"nobody there: what IPv4 says", "localhost", NULL, ERR_REFUSED},
	};
	struct trip *t = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int server = -1;

		print_message("%s\n", cases[i].why);
		net_close(t->server, false);
		t->server = -1;
		if (cases[i].ip != NULL)
			server = listen_at(cases[i].ip, t->port);
		t->calls = 0;
		trip_start(t, cases[i].host, t->port, 60000);
		ev_run(t->ev);
		assert_int_equal(t->e, cases[i].want);
		net_close(t->fd, true);
		t->fd = -1;
		net_close(server, false);
	}
}

/* Where localhost was found last is where the next attempt begins. */
static void test_localhost_again(void **state)
{
	static const struct {
		const char *why;
		bool before, v4, v6;
		bool after;
		int family; /* AF_UNSPEC: refused */
	} cases[] = {
		{"both, nothing known", false, true, true, false, AF_INET6},
		{"both, last at IPv4", true, true, true, true, AF_INET},
		{"IPv4 only, nothing known", false, true, false, true, AF_INET},
		{"IPv6 only, last at IPv4", true, false, true, false, AF_INET6},
		{"nobody, last at IPv4", true, false, false, true, AF_UNSPEC},
	};
	struct trip *t = *state;

	net_close(t->server, false);
	t->server = -1;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool v4_first = cases[i].before;
		int v4 = cases[i].v4 ? listen_at("127.0.0.1", t->port) : -1;
		int v6 = cases[i].v6 ? listen_at("::1", t->port) : -1;
		struct net_addr peer;

		print_message("%s\n", cases[i].why);
		t->calls = 0;
		t->v4_first = &v4_first;
		trip_start(t, "localhost", t->port, 60000);
		ev_run(t->ev);
		assert_int_equal(t->e, cases[i].family == AF_UNSPEC ? ERR_REFUSED : 0);
		assert_int_equal(v4_first, cases[i].after);
		if (t->e == 0) {
			net_peer(t->fd, &peer);
			assert_int_equal(peer.sa.sa_family, cases[i].family);
		}
		net_close(t->fd, true);
		t->fd = -1;
		net_close(v4, false);
		net_close(v6, false);
	}
}

static void test_name_that_cannot_be(void **state)
{
	struct trip *t = *state;

	trip_start(t, "not a name", t->port, 60000); /* refused without asking anybody */
	ev_run(t->ev);
	assert_failed(t, ERR_RESOLVE);
}

static void test_refused(void **state)
{
	struct trip *t = *state;

	close(t->server);
	t->server = -1;
	trip_start(t, "127.0.0.1", t->port, 60000);
	ev_run(t->ev);
	assert_failed(t, ERR_REFUSED);
}

static void test_refused_by_name(void **state)
{
	struct trip *t = *state;

	close(t->server);
	t->server = -1;
	trip_start(t, "localhost", t->port, 60000);
	ev_run(t->ev);
	assert_failed(t, ERR_REFUSED);
}

/* ---- unix ---- */

static void test_unix(void **state)
{
	struct trip *t = *state;
	char dir[] = "/tmp/karez-test-XXXXXX", path[64];
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int server, queued;

	assert_non_null(mkdtemp(dir));
	str_printf(path, sizeof path, "%s/s", dir);
	trip_start(t, path, 0, 60000);
	ev_run(t->ev);
	assert_failed(t, ERR_REFUSED); /* nothing there */

	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server >= 0);
	assert_int_equal(str_copy(un.sun_path, sizeof un.sun_path, str_of(path)), 0);
	assert_int_equal(bind(server, (struct sockaddr *)&un, sizeof un), 0);
	t->calls = 0;
	trip_start(t, path, 0, 60000);
	ev_run(t->ev);
	assert_failed(t, ERR_REFUSED); /* there, and nobody listens */

	assert_int_equal(listen(server, 0), 0);
	t->calls = 0;
	trip_start(t, path, 0, 60000);
	ev_run(t->ev);
	assert_arrived(t);

	queued = t->fd; /* it fills the queue */
	t->calls = 0;
	t->fd = -1;
	trip_start(t, path, 0, 60000);
	ev_run(t->ev);
	assert_failed(t, ERR_REFUSED);
	close(queued);
	close(server);
	unlink(path);
	rmdir(dir);
}

static void test_unix_path_too_long(void **state)
{
	struct trip *t = *state;
	char path[300];

	memset(path, '/', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	trip_start(t, path, 0, 60000);
	ev_run(t->ev);
	assert_failed(t, ERR_TOOBIG);
}

/* ---- giving up ---- */

static void trip_on_cancel(void *arg)
{
	struct trip *t = arg;

	net_connect_cancel(t->connect);
	t->connect = NULL;
	ev_stop(t->ev);
}

/* Some turns more, so that whatever still wanted to call has called. */
static void run_a_moment(struct trip *t)
{
	t->timer = (struct ev_timer){.fn = trip_on_cancel, .arg = t};
	ev_timer_set(t->ev, &t->timer, 20);
	ev_run(t->ev);
}

static void test_cancel(void **state)
{
	static const struct {
		const char *why, *host;
		bool later;
	} cases[] = {
		{"an address, at once", "127.0.0.1", false},
		{"a name, while a thread looks it up", "not a name", false},
		{"an address, in a timer", "127.0.0.1", true},
	};
	struct trip *t = *state;

	net_connect_cancel(NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		trip_start(t, cases[i].host, t->port, 60000);
		if (!cases[i].later)
			trip_on_cancel(t);
		else {
			t->timer = (struct ev_timer){.fn = trip_on_cancel, .arg = t};
			ev_timer_set(t->ev, &t->timer, 0);
			ev_run(t->ev);
			t->calls = 0; /* it may have arrived first: then there was nothing to do */
			net_close(t->fd, false);
			t->fd = -1;
		}
		run_a_moment(t);
		assert_int_equal(t->calls, 0);
	}
}

static void test_loop_ends_during_a_lookup(void **state)
{
	struct trip *t = *state;

	trip_start(t, "not a name", t->port, 60000);
	net_connect_cancel(t->connect); /* the rest happens in ev_free() */
}

/* Connections that fill a queue. */
#define QUEUE 4

/*
 * A listener whose queue is full lets the kernel drop further SYNs, so that a connect neither fails
 * nor succeeds.
 */
static void fill_queue(int server, int fds[QUEUE])
{
	struct net_addr addr;

	assert_int_equal(listen(server, 0), 0);
	net_local(server, &addr);
	for (int n = 0; n < QUEUE; n++) {
		fds[n] = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(fds[n] >= 0);
		(void)!connect(fds[n], &addr.sa, addr.len);
	}
}

static void test_timeout(void **state)
{
	struct trip *t = *state;
	int fds[QUEUE];

	fill_queue(t->server, fds);
	trip_start(t, "127.0.0.1", t->port, 50);
	ev_run(t->ev);
	assert_failed(t, ERR_TIMEOUT);
	t->calls = 0;
	trip_start(t, "127.0.0.1", t->port, 60000);
	run_a_moment(t); /* cancelled while the kernel tries */
	assert_int_equal(t->calls, 0);
	for (int i = 0; i < QUEUE; i++)
		close(fds[i]);
}

/* ---- racing ---- */

/* What answers at an address. */
enum there { NOBODY, SERVER, SILENCE };

static int open_there(struct trip *t, const char *ip, enum there there, int fds[QUEUE])
{
	int fd;

	memset(fds, -1, QUEUE * sizeof fds[0]);
	if (there == NOBODY)
		return -1;
	fd = listen_at(ip, t->port);
	if (there == SILENCE)
		fill_queue(fd, fds);
	return fd;
}

static void close_there(int fd, int fds[QUEUE])
{
	net_close(fd, false);
	for (int i = 0; i < QUEUE; i++)
		net_close(fds[i], true);
}

/* How many descriptors this process has. */
static size_t count_files(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The addresses of "localhost", the first one silent: the second one does not wait for it. */
static void test_races(void **state)
{
	static const struct {
		const char *why;
		bool v4_first;
		enum there v6, v4;
		uint32_t timeout_ms;
		int want, family;
		uint64_t least_ms, most_ms;
	} cases[] = {
		{"IPv6 is silent, IPv4 answers", false, SILENCE, SERVER, 60000, 0, AF_INET,
		 NET_CONNECT_MOMENT_MS - 10, 10000},
		{"IPv4 is silent, IPv6 answers", true, SERVER, SILENCE, 60000, 0, AF_INET6,
		 NET_CONNECT_MOMENT_MS - 10, 10000},
		{"the first one answers at once", false, SERVER, SILENCE, 60000, 0, AF_INET6, 0,
		 NET_CONNECT_MOMENT_MS - 50},
		{"a refusal is not waited for", false, NOBODY, SERVER, 60000, 0, AF_INET, 0,
		 NET_CONNECT_MOMENT_MS - 50},
		{"both are silent: one deadline for all", false, SILENCE, SILENCE, 400, ERR_TIMEOUT,
		 AF_UNSPEC, 390, 10000},
		{"silence, then nobody: a refusal tells more", false, SILENCE, NOBODY, 400,
		 ERR_REFUSED, AF_UNSPEC, 390, 10000},
		{"nobody, then silence", false, NOBODY, SILENCE, 400, ERR_REFUSED, AF_UNSPEC, 390,
		 10000},
	};
	struct trip *t = *state;

	net_close(t->server, false);
	t->server = -1;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool v4_first = cases[i].v4_first;
		int more6[QUEUE], more4[QUEUE];
		int v6 = open_there(t, "::1", cases[i].v6, more6);
		int v4 = open_there(t, "127.0.0.1", cases[i].v4, more4);
		size_t files = count_files();
		uint64_t began, took;
		struct net_addr peer;

		print_message("%s\n", cases[i].why);
		t->calls = 0;
		t->v4_first = &v4_first;
		began = ev_now_ns(t->ev);
		trip_start(t, "localhost", t->port, cases[i].timeout_ms);
		ev_run(t->ev);
		took = (ev_now_ns(t->ev) - began) / 1000000;
		assert_int_equal(t->calls, 1);
		assert_int_equal(t->e, cases[i].want);
		assert_in_range(took, cases[i].least_ms, cases[i].most_ms);
		assert_int_equal(count_files(), files + (t->e == 0)); /* the loser is closed */
		if (t->e == 0) {
			net_peer(t->fd, &peer);
			assert_int_equal(peer.sa.sa_family, cases[i].family);
			assert_int_equal(v4_first, cases[i].family == AF_INET);
		}
		net_close(t->fd, true);
		t->fd = -1;
		close_there(v6, more6);
		close_there(v4, more4);
	}
}

/* Both attempts are under way when it is cancelled. */
static void test_cancel_a_race(void **state)
{
	struct trip *t = *state;
	int more6[QUEUE], more4[QUEUE], v6, v4;
	size_t files;

	net_close(t->server, false);
	t->server = -1;
	v6 = open_there(t, "::1", SILENCE, more6);
	v4 = open_there(t, "127.0.0.1", SILENCE, more4);
	files = count_files();
	trip_start(t, "localhost", t->port, 60000);
	t->timer = (struct ev_timer){.fn = trip_on_cancel, .arg = t};
	ev_timer_set(t->ev, &t->timer, NET_CONNECT_MOMENT_MS + 50);
	ev_run(t->ev);
	assert_int_equal(t->calls, 0);
	assert_int_equal(count_files(), files);
	close_there(v6, more6);
	close_there(v4, more4);
}

static void test_out_of_descriptors(void **state)
{
	struct trip *t = *state;
	struct rlimit before, none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){0, before.rlim_max};
	trip_start(t, "127.0.0.1", t->port, 60000);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ev_run(t->ev);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_failed(t, ERR_NOFILE);
}

#define ON_TRIP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_TRIP(test_address),
		ON_TRIP(test_name),
		ON_TRIP(test_localhost),
		ON_TRIP(test_localhost_again),
		ON_TRIP(test_name_that_cannot_be),
		ON_TRIP(test_refused),
		ON_TRIP(test_refused_by_name),
		ON_TRIP(test_unix),
		ON_TRIP(test_unix_path_too_long),
		ON_TRIP(test_cancel),
		ON_TRIP(test_loop_ends_during_a_lookup),
		ON_TRIP(test_timeout),
		ON_TRIP(test_races),
		ON_TRIP(test_cancel_a_race),
		ON_TRIP(test_out_of_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
