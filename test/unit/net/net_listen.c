/* Listening on every kind of address, stale unix sockets, and running out of descriptors. */
#include "net/net_listen.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define MAX_FDS 128

struct door {
	struct ev *ev;
	struct net_listener *listener;
	struct log log;
	int n_warned, n_recovered;
	int fds[MAX_FDS], n_fds, stop_at;
	bool spoken_to, free_in_callback, pause_in_callback;
	struct net_addr peer; /* of the last one */
	char dir[32], path[64];
};

static void door_on_log(void *arg, enum log_level level, const char *line, size_t len)
{
	struct door *d = arg;

	if (level == LOG_ERROR)
		d->n_warned++;
	else
		d->n_recovered++;
}

static void door_on_accepted(void *arg, int fd, const struct net_addr *peer)
{
	struct door *d = arg;

	assert_true(d->n_fds < MAX_FDS);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	d->fds[d->n_fds++] = fd;
	d->peer = *peer;
	if (d->free_in_callback) {
		net_listener_free(d->listener);
		d->listener = NULL;
	}
	if (d->pause_in_callback)
		net_listener_pause(d->listener);
	if (d->n_fds == d->stop_at)
		ev_stop(d->ev);
}

static int setup(void **state)
{
	struct door *d = calloc(1, sizeof *d);

	assert_non_null(d);
	assert_int_equal(ev_new(&d->ev), 0);
	d->log = (struct log){.level = LOG_INFO, .write = door_on_log, .arg = d};
	strcpy(d->dir, "/tmp/karez-test-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	str_printf(d->path, sizeof d->path, "%s/s", d->dir);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct door *d = *state;

	net_listener_free(d->listener);
	for (int i = 0; i < d->n_fds; i++)
		close(d->fds[i]);
	unlink(d->path);
	rmdir(d->dir);
	ev_free(d->ev);
	free(d);
	return 0;
}

static int door_open(struct door *d, const struct net_addr *addr)
{
	struct net_listen_opt opt = {.addr = *addr,
				     .accepted = door_on_accepted,
				     .arg = d,
				     .log = &d->log,
				     .spoken_to = d->spoken_to};

	return net_listen(d->ev, &opt, &d->listener);
}

static int door_open_at(struct door *d, const char *text)
{
	struct net_addr addr;

	assert_int_equal(net_addr_parse(str_of(text), &addr), 0);
	return door_open(d, &addr);
}

static void door_open_unix(struct door *d)
{
	char text[80];

	str_printf(text, sizeof text, "unix:%s", d->path);
	assert_int_equal(door_open_at(d, text), 0);
}

static int visit(const struct net_addr *addr)
{
	int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &addr->sa, addr->len), 0);
	return fd;
}

static void let_in(struct door *d, int n)
{
	d->stop_at = d->n_fds + n;
	ev_run(d->ev);
	assert_int_equal(d->n_fds, d->stop_at);
}

static void stop_on_timer(void *arg)
{
	ev_stop(arg);
}

/* The loop's own time passes: long enough for several rests of the listener. */
static void let_time_pass(struct door *d, uint64_t ms)
{
	struct ev_timer timer = {.fn = stop_on_timer, .arg = d->ev};

	ev_timer_set(d->ev, &timer, ms);
	ev_run(d->ev);
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof in6) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static void test_tcp(void **state)
{
	static const struct {
		const char *why, *at, *peer;
		bool ipv6;
	} cases[] = {
		{"IPv4", "127.0.0.1:0", "127.0.0.1", false},
		{"IPv6", "[::1]:0", "::1", true},
		{"every address", ":0", "::1", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct door *d = *state;
		struct net_addr addr;
		char text[NET_ADDR_TEXT];
		int fd;

		if (cases[i].ipv6 && !has_ipv6())
			continue;
		print_message("%s\n", cases[i].why);
		assert_int_equal(door_open_at(d, cases[i].at), 0);
		addr = *net_listener_addr(d->listener);
		assert_int_not_equal(net_addr_port(&addr), 0);
		if (addr.sa.sa_family == AF_INET6)
			addr.in6.sin6_addr = in6addr_loopback;
		fd = visit(&addr);
		let_in(d, 1);
		assert_string_equal(net_addr_ip(&d->peer, text), cases[i].peer);
		assert_int_not_equal(net_addr_port(&d->peer), 0);
		close(fd);
		net_listener_free(d->listener);
		d->listener = NULL;
	}
}

static void test_every_address_takes_ipv4_too(void **state)
{
	struct door *d = *state;
	struct net_addr addr;
	char text[NET_ADDR_TEXT];
	int fd;

	if (!has_ipv6())
		skip();
	assert_int_equal(door_open_at(d, ":0"), 0);
	assert_int_equal(net_addr_from_ip(STR("127.0.0.1"),
					  net_addr_port(net_listener_addr(d->listener)), &addr),
			 0);
	fd = visit(&addr);
	let_in(d, 1);
	assert_string_equal(net_addr_ip(&d->peer, text), "127.0.0.1");
	close(fd);
}

static void test_many_at_once(void **state)
{
	enum { N = 100 }; /* more than one batch */
	struct door *d = *state;
	int fds[N];

	assert_int_equal(door_open_at(d, "127.0.0.1:0"), 0);
	for (int i = 0; i < N; i++)
		fds[i] = visit(net_listener_addr(d->listener));
	let_in(d, N);
	for (int i = 0; i < N; i++)
		close(fds[i]);
}

/* Who came first says nothing: the others are shown before it, and it is shown all the same. */
static void test_whoever_speaks_is_shown_first(void **state)
{
	struct door *d = *state;
	const struct net_addr *addr;
	int silent, speaks, leaves;
	char got[8];

	d->spoken_to = true;
	assert_int_equal(door_open_at(d, "127.0.0.1:0"), 0);
	addr = net_listener_addr(d->listener);
	silent = visit(addr);
	speaks = visit(addr);
	assert_int_equal(write(speaks, "hello", 5), 5);
	let_in(d, 1);
	assert_int_equal(read(d->fds[0], got, sizeof got), 5);
	leaves = visit(addr);
	assert_int_equal(shutdown(leaves, SHUT_WR), 0);
	let_in(d, 1);
	assert_int_equal(read(d->fds[1], got, sizeof got), 0);
	let_in(d, 1);
	assert_int_equal(read(d->fds[2], got, sizeof got), -1);
	assert_int_equal(errno, EAGAIN);
	close(silent);
	close(speaks);
	close(leaves);
}

static void test_in_use(void **state)
{
	struct door *d = *state, other = {.ev = d->ev};

	assert_int_equal(door_open_at(d, "127.0.0.1:0"), 0);
	assert_int_equal(door_open(&other, net_listener_addr(d->listener)), ERR_INUSE);
	assert_null(other.listener);
}

static void test_not_our_address(void **state)
{
	assert_int_equal(door_open_at(*state, "192.0.2.1:0"), ERR_INVAL);
}

static void test_free_in_callback(void **state)
{
	struct door *d = *state;
	int fd[2];

	assert_int_equal(door_open_at(d, "127.0.0.1:0"), 0);
	d->free_in_callback = true;
	fd[0] = visit(net_listener_addr(d->listener));
	fd[1] = visit(net_listener_addr(d->listener));
	let_in(d, 1);
	let_time_pass(d, 1);
	assert_int_equal(d->n_fds, 1);
	close(fd[0]);
	close(fd[1]);
}

/* ---- pausing ---- */

/* What connecting there gives: 0 or an errno. */
static int try_visit(const struct net_addr *addr)
{
	int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int errnum = connect(fd, &addr->sa, addr->len) == 0 ? 0 : errno;

	assert_true(fd >= 0);
	close(fd);
	return errnum;
}

/* What another program gets that wants the port, allows to share it, and listens. */
static int try_take(const struct net_addr *addr)
{
	int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, errnum = 0;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	if (bind(fd, &addr->sa, addr->len) != 0 || listen(fd, 1) != 0)
		errnum = errno;
	close(fd);
	return errnum;
}

static void open_paused(struct door *d, const struct net_addr *addr)
{
	struct net_listen_opt opt = {.addr = *addr,
				     .accepted = door_on_accepted,
				     .arg = d,
				     .log = &d->log,
				     .paused = true};

	assert_int_equal(net_listen(d->ev, &opt, &d->listener), 0);
}

/* A port that is free there now. */
static uint16_t free_port(struct door *d, const char *ip, struct net_addr *addr)
{
	uint16_t port;

	assert_int_equal(net_addr_from_ip(str_of(ip), 0, addr), 0);
	assert_int_equal(door_open(d, addr), 0);
	*addr = *net_listener_addr(d->listener);
	port = net_addr_port(addr);
	net_listener_free(d->listener);
	d->listener = NULL;
	return port;
}

static void test_a_paused_one_refuses_and_keeps_its_address(void **state)
{
	static const struct {
		const char *why, *at, *visited, *wanted;
		bool ipv6;
	} cases[] = {
		{"IPv4", "127.0.0.1", "127.0.0.1", "0.0.0.0", false},
		{"IPv6", "::1", "::1", "::", true},
		{"every address", "::", "127.0.0.1", "127.0.0.1", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct door *d = *state;
		struct net_addr addr, visited, wanted;
		uint16_t port;
		int kept = -1;

		if (cases[i].ipv6 && !has_ipv6())
			continue;
		print_message("%s\n", cases[i].why);
		port = free_port(d, cases[i].at, &addr);
		open_paused(d, &addr);
		assert_int_equal(net_addr_from_ip(str_of(cases[i].visited), port, &visited), 0);
		assert_int_equal(net_addr_from_ip(str_of(cases[i].wanted), port, &wanted), 0);
		for (int round = 0; round < 3; round++) {
			assert_int_equal(try_visit(&visited), ECONNREFUSED);
			assert_int_equal(try_take(&wanted), EADDRINUSE);
			assert_int_equal(net_listener_resume(d->listener), 0);
			assert_int_equal(net_listener_resume(d->listener), 0);
			assert_int_equal(try_take(&wanted), EADDRINUSE);
			close(kept);
			kept = visit(&visited);
			let_in(d, 1);
			net_listener_pause(d->listener);
			net_listener_pause(d->listener);
		}
		/* a connection that was let in goes on */
		assert_int_equal(write(kept, "x", 1), 1);
		let_time_pass(d, 1);
		assert_int_equal(write(d->fds[d->n_fds - 1], "x", 1), 1);
		close(kept);
		net_listener_free(d->listener);
		d->listener = NULL;
	}
}

/* Connections of an earlier process are left on the port when it is taken again. */
static void test_taken_again_after_connections(void **state)
{
	struct door *d = *state;
	struct net_addr addr;
	int fd;

	free_port(d, "127.0.0.1", &addr);
	assert_int_equal(door_open(d, &addr), 0);
	fd = visit(&addr);
	let_in(d, 1);
	close(d->fds[--d->n_fds]); /* ours first: it waits on our side */
	close(fd);
	net_listener_free(d->listener);
	d->listener = NULL;
	open_paused(d, &addr);
	assert_int_equal(try_visit(&addr), ECONNREFUSED);
	assert_int_equal(try_take(&addr), EADDRINUSE);
	assert_int_equal(net_listener_resume(d->listener), 0);
	fd = visit(&addr);
	let_in(d, 1);
	close(fd);
}

/* Paused by the callee: whoever else waits is refused. */
static void test_paused_in_callback(void **state)
{
	struct door *d = *state;
	struct net_addr addr;
	int fd[2];

	free_port(d, "127.0.0.1", &addr);
	assert_int_equal(door_open(d, &addr), 0);
	d->pause_in_callback = true;
	fd[0] = visit(net_listener_addr(d->listener));
	fd[1] = visit(net_listener_addr(d->listener));
	let_in(d, 1);
	let_time_pass(d, 1);
	assert_int_equal(d->n_fds, 1);
	assert_int_equal(try_visit(net_listener_addr(d->listener)), ECONNREFUSED);
	close(fd[0]);
	close(fd[1]);
}

/* A port that somebody listens on, or that another paused one has, is not to be had. */
static void test_paused_in_use(void **state)
{
	struct door *d = *state, other = {.ev = d->ev};
	struct net_listen_opt opt = {.accepted = door_on_accepted, .log = &d->log, .paused = true};

	free_port(d, "127.0.0.1", &opt.addr);
	assert_int_equal(door_open(d, &opt.addr), 0);
	assert_int_equal(net_listen(d->ev, &opt, &other.listener), ERR_INUSE);
	net_listener_free(d->listener);
	assert_int_equal(net_listen(d->ev, &opt, &d->listener), 0);
	assert_int_equal(net_listen(d->ev, &opt, &other.listener), ERR_INUSE);
	assert_null(other.listener);
}

/* ---- unix sockets ---- */

static void test_unix(void **state)
{
	struct door *d = *state;
	char text[NET_ADDR_TEXT];
	int fd;

	door_open_unix(d);
	fd = visit(net_listener_addr(d->listener));
	let_in(d, 1);
	assert_string_equal(net_addr_format(&d->peer, text), "unix:");
	close(fd);
	net_listener_free(d->listener);
	d->listener = NULL;
	assert_int_not_equal(access(d->path, F_OK), 0); /* it cleans up behind itself */
}

static int bind_and_leave(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(str_copy(un.sun_path, sizeof un.sun_path, str_of(path)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	return fd;
}

static void test_a_stale_socket_is_replaced(void **state)
{
	struct door *d = *state;
	int fd;

	close(bind_and_leave(d->path));
	assert_int_equal(access(d->path, F_OK), 0);
	door_open_unix(d);
	fd = visit(net_listener_addr(d->listener));
	let_in(d, 1);
	close(fd);
}

static void test_a_live_socket_is_left_alone(void **state)
{
	struct door *d = *state, other = {.ev = d->ev};
	int fd;

	door_open_unix(d);
	assert_int_equal(door_open(&other, net_listener_addr(d->listener)), ERR_INUSE);
	fd = visit(net_listener_addr(d->listener));
	let_in(d, 2); /* the other's question, and the visitor */
	close(fd);
}

/* Its queue is full: it neither answers nor refuses, and asking must not hang. */
static void test_a_busy_socket_is_left_alone(void **state)
{
	struct door *d = *state;
	int live = bind_and_leave(d->path), fd;
	char text[80];
	struct net_addr addr;

	str_printf(text, sizeof text, "unix:%s", d->path);
	assert_int_equal(net_addr_parse(str_of(text), &addr), 0);
	assert_int_equal(listen(live, 0), 0);
	fd = visit(&addr);
	assert_int_equal(door_open(d, &addr), ERR_INUSE);
	assert_int_equal(access(d->path, F_OK), 0);
	close(fd);
	close(live);
}

static void test_an_ordinary_file_is_left_alone(void **state)
{
	struct door *d = *state;
	int fd = open(d->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char text[80];

	assert_true(fd >= 0);
	close(fd);
	str_printf(text, sizeof text, "unix:%s", d->path);
	assert_int_equal(door_open_at(d, text), ERR_INUSE);
	assert_int_equal(access(d->path, F_OK), 0);
}

/* ---- out of descriptors ---- */

/* Leave room for so many more descriptors. */
static void leave_free(int n)
{
	struct rlimit limit;
	int lowest = dup(STDERR_FILENO);

	assert_true(lowest >= 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)(lowest + n);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_out_of_descriptors(void **state)
{
	struct door *d = *state;
	struct rlimit before;
	int fds[5];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(door_open_at(d, "127.0.0.1:0"), 0);
	for (int i = 0; i < 5; i++)
		fds[i] = visit(net_listener_addr(d->listener));
	leave_free(0);
	let_time_pass(d, 500);
	assert_int_equal(d->n_fds, 0);
	assert_int_equal(d->n_warned, 1); /* it tried three times and said it once */
	assert_int_equal(d->n_recovered, 0);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	leave_free(1);
	let_in(d, 1);
	let_time_pass(d, 500);
	assert_int_equal(d->n_fds, 1);
	assert_int_equal(d->n_warned, 1); /* one more connection is not a recovery */
	assert_int_equal(d->n_recovered, 0);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	let_in(d, 4);
	assert_int_equal(d->n_warned, 1);
	assert_int_equal(d->n_recovered, 1);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
}

/* Freed while it rests: its timer must not find it. */
static void test_freed_while_resting(void **state)
{
	struct door *d = *state;
	struct rlimit before;
	int fd;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(door_open_at(d, "127.0.0.1:0"), 0);
	fd = visit(net_listener_addr(d->listener));
	leave_free(0);
	let_time_pass(d, 50);
	assert_int_equal(d->n_warned, 1);
	net_listener_free(d->listener);
	d->listener = NULL;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	let_time_pass(d, 300);
	assert_int_equal(d->n_fds, 0);
	close(fd);
}

/* ---- a socket that others have as well ---- */

/* The door accepts from a copy of it. */
static void door_join(struct door *d, int fd)
{
	struct net_listen_opt opt = {.fd = dup(fd),
				     .accepted = door_on_accepted,
				     .arg = d,
				     .log = &d->log,
				     .spoken_to = d->spoken_to};

	assert_true(opt.fd > 0);
	assert_int_equal(net_listen(d->ev, &opt, &d->listener), 0);
}

static int open_shared(const char *text, struct net_addr *addr)
{
	struct net_listen_opt opt = {.backlog = 0};
	int fd;

	assert_int_equal(net_addr_parse(str_of(text), &opt.addr), 0);
	assert_int_equal(net_listen_open(&opt, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(net_listen_adopt(fd, addr), 0);
	return fd;
}

static void test_it_outlives_who_accepts_from_it(void **state)
{
	struct door *d = *state;
	struct net_addr addr;
	int fd = open_shared("127.0.0.1:0", &addr), fds[3];

	fds[0] = visit(&addr); /* nobody accepts yet, and nobody is refused */
	door_join(d, fd);
	assert_int_equal(net_addr_port(net_listener_addr(d->listener)), net_addr_port(&addr));
	let_in(d, 1);
	assert_int_equal(net_listener_hide(d->listener), ERR_DENIED);
	net_listener_free(d->listener);
	fds[1] = visit(&addr);
	door_join(d, fd);
	let_in(d, 1);
	fds[2] = visit(&addr);
	let_in(d, 1);
	close(fd);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static void test_all_who_wait_come(void **state)
{
	struct door *d = *state;
	struct net_addr addr;
	int fd = open_shared("127.0.0.1:0", &addr), fds[20];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = visit(&addr);
	door_join(d, fd);
	let_in(d, ARRAY_LEN(fds)); /* in several goes */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	close(fd);
}

/* Who opened it wanted something else than who accepts now. */
static void test_whether_to_wait_is_for_who_accepts(void **state)
{
	struct door *d = *state;
	struct net_addr addr;
	int fd = open_shared("127.0.0.1:0", &addr), silent, speaks, other;

	d->spoken_to = true;
	door_join(d, fd);
	silent = visit(&addr);
	speaks = visit(&addr);
	assert_int_equal(send(speaks, "x", 1, 0), 1);
	let_in(d, 1);
	net_listener_free(d->listener);
	d->spoken_to = false;
	door_join(d, fd);
	other = visit(&addr);
	let_in(d, 1);
	close(other);
	close(silent);
	close(speaks);
	close(fd);
}

static void test_a_path_stays_with_its_socket(void **state)
{
	struct door *d = *state;
	struct net_addr addr;
	char text[80];
	int fd, fds[2];

	str_printf(text, sizeof text, "unix:%s", d->path);
	fd = open_shared(text, &addr);
	door_join(d, fd);
	fds[0] = visit(&addr);
	let_in(d, 1);
	net_listener_free(d->listener);
	fds[1] = visit(&addr);
	door_join(d, fd);
	let_in(d, 1);
	close(fds[0]);
	close(fds[1]);
	close(fd);
}

static void test_a_hidden_one_keeps_who_is_there(void **state)
{
	struct door *d = *state;
	struct net_addr addr;
	int fd = open_shared("127.0.0.1:0", &addr), early, late;

	early = visit(&addr);
	if (net_listen_hide(fd) != 0)
		skip(); /* Linux before 5.7 */
	late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(late, &addr.sa, addr.len), -1);
	assert_int_equal(errno, ECONNREFUSED);
	door_join(d, fd);
	let_in(d, 1);
	close(early);
	close(late);
	close(fd);
}

static void test_what_cannot_be_taken_over(void **state)
{
	struct net_addr addr;
	int pipes[2], idle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(net_listen_adopt(pipes[0], &addr), ERR_INVAL);
	assert_int_equal(net_listen_adopt(idle, &addr), ERR_INVAL);
	assert_int_equal(net_listen_adopt(9999, &addr), ERR_INVAL);
	close(pipes[0]);
	close(pipes[1]);
	close(idle);
}

#define AT_DOOR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AT_DOOR(test_tcp),
		AT_DOOR(test_every_address_takes_ipv4_too),
		AT_DOOR(test_many_at_once),
		AT_DOOR(test_whoever_speaks_is_shown_first),
		AT_DOOR(test_in_use),
		AT_DOOR(test_not_our_address),
		AT_DOOR(test_free_in_callback),
		AT_DOOR(test_a_paused_one_refuses_and_keeps_its_address),
		AT_DOOR(test_taken_again_after_connections),
		AT_DOOR(test_paused_in_callback),
		AT_DOOR(test_paused_in_use),
		AT_DOOR(test_unix),
		AT_DOOR(test_a_stale_socket_is_replaced),
		AT_DOOR(test_a_live_socket_is_left_alone),
		AT_DOOR(test_a_busy_socket_is_left_alone),
		AT_DOOR(test_an_ordinary_file_is_left_alone),
		AT_DOOR(test_out_of_descriptors),
		AT_DOOR(test_freed_while_resting),
		AT_DOOR(test_it_outlives_who_accepts_from_it),
		AT_DOOR(test_all_who_wait_come),
		AT_DOOR(test_whether_to_wait_is_for_who_accepts),
		AT_DOOR(test_a_path_stays_with_its_socket),
		AT_DOOR(test_a_hidden_one_keeps_who_is_there),
		AT_DOOR(test_what_cannot_be_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
