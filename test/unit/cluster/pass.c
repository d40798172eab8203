/* Two workers that hand each other connections, and a third whose version nobody knows. */
#include "cluster/pass.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "net/net_fd.h"

#define ONE "00000000000000a1"
#define TWO "00000000000000b2"

struct pair {
	struct ev *ev;
	struct log log;
	char dir[32];
	struct pass *one, *two;
	int n_taken, n_logged, fd;
	struct pass_visitor v;
	bool frees;
};

static void on_log(void *arg, enum log_level level, const char *line, size_t len)
{
	struct pair *p = arg;

	assert_non_null(strstr(line, "event=pass"));
	p->n_logged++;
}

static void on_taken(void *arg, int fd, const struct pass_visitor *v)
{
	struct pair *p = arg;

	p->n_taken++;
	p->v = *v;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = fd;
	if (p->frees) {
		pass_free(p->two);
		p->two = NULL;
		p->frees = false;
	}
}

static void stop(void *arg)
{
	ev_stop(arg);
}

/* Whatever is ready is done. */
static void turn(struct pair *p)
{
	struct ev_timer timer = {.fn = stop, .arg = p->ev};

	ev_timer_set(p->ev, &timer, 20);
	ev_run(p->ev);
}

static void pair_open(struct pair *p)
{
	struct pass_opt opt = {.dir = p->dir, .log = &p->log, .taken = on_taken, .arg = p};

	memset(p, 0, sizeof *p);
	p->fd = -1;
	p->log = (struct log){.level = LOG_INFO, .write = on_log, .arg = p};
	strcpy(p->dir, "/tmp/pass-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	assert_int_equal(ev_new(&p->ev), 0);
	opt.self = ONE;
	assert_int_equal(pass_new(p->ev, &opt, &p->one), 0);
	opt.self = TWO;
	assert_int_equal(pass_new(p->ev, &opt, &p->two), 0);
}

static void pair_close(struct pair *p)
{
	pass_free(p->one);
	pass_free(p->two);
	turn(p);
	ev_free(p->ev);
	assert_int_equal(rmdir(p->dir), 0); /* nothing is left in it */
	if (p->fd >= 0)
		close(p->fd);
}

/* The far end of one that was handed over: what is written to it arrives at p->fd. */
static int hand_over(struct pair *p, const struct pass_visitor *v, int want)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(pass_to(p->one, TWO, ends[0], v), want);
	if (want != 0)
		close(ends[0]);
	return ends[1];
}

static void test_who_comes_is_told(void **state)
{
	static const struct {
		const char *why;
		struct pass_visitor v;
	} cases[] = {
		{"HTTP in clear",
		 {.door = PASS_HTTP,
		  .peer = {.ip = "203.0.113.9", .port = 4711},
		  .local = {.ip = "192.0.2.1", .port = 80}}},
		{"behind a proxy that ends TLS",
		 {.door = PASS_HTTP, .tls = true, .peer = {.ip = "2001:db8::1", .port = 1}}},
		{"TLS, and nothing is known of it", {.door = PASS_TLS}},
		{"a port's",
		 {.door = PASS_PORT, .tunnel = "a.b", .local = {.ip = "::1", .port = 9}}},
		{"a port",
		 {.door = PASS_LISTEN, .tunnel = "db", .local = {.ip = "0.0.0.0", .port = 5432}}},
	};
	struct pair p;

	pair_open(&p);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct pass_visitor *v = &cases[i].v;
		char byte = 0;
		int far;

		print_message("# %s\n", cases[i].why);
		far = hand_over(&p, v, 0);
		turn(&p);
		assert_int_equal(p.n_taken, i + 1);
		assert_int_equal(p.v.door, v->door);
		assert_int_equal(p.v.tls, v->tls);
		assert_string_equal(p.v.peer.ip, v->peer.ip);
		assert_int_equal(p.v.peer.port, v->peer.port);
		assert_string_equal(p.v.local.ip, v->local.ip);
		assert_int_equal(p.v.local.port, v->local.port);
		assert_string_equal(p.v.tunnel, v->tunnel);
		assert_int_equal(write(far, "x", 1), 1);
		assert_int_equal(read(p.fd, &byte, 1), 1);
		close(p.fd);
		p.fd = -1;
		assert_int_equal(read(far, &byte, 1), 0); /* nobody else has it */
		close(far);
	}
	assert_int_equal(p.n_logged, 0);
	pair_close(&p);
}

static void test_who_is_not_there(void **state)
{
	static const struct {
		const char *why, *id;
		int want;
	} cases[] = {
		{"nobody has this id", "00000000000000c3", ERR_REFUSED},
		{"ourselves", ONE, ERR_INVAL},
		{"no id", "", ERR_INVAL},
		{"a path", "../../../tmp/abc", ERR_INVAL},
	};
	struct pass_visitor v = {.door = PASS_HTTP};
	struct pair p;
	char byte;
	int ends[2];

	pair_open(&p);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		assert_int_equal(pass_to(p.one, cases[i].id, ends[0], &v), cases[i].want);
		assert_int_equal(write(ends[0], "x", 1), 1); /* it is ours as before */
		assert_int_equal(read(ends[1], &byte, 1), 1);
		close(ends[0]);
		close(ends[1]);
	}
	pair_close(&p);
}

/* It had come to know the other one, which has ended since. */
static void test_who_has_gone(void **state)
{
	struct pass_visitor v = {.door = PASS_TLS};
	struct pair p;

	pair_open(&p);
	close(hand_over(&p, &v, 0));
	turn(&p);
	assert_int_equal(p.n_taken, 1);
	p.frees = true;
	close(hand_over(&p, &v, 0));
	turn(&p);
	assert_int_equal(p.n_taken, 2);
	assert_null(p.two);
	close(hand_over(&p, &v, ERR_RESET));
	close(hand_over(&p, &v, ERR_REFUSED));
	pair_close(&p);
}

static void test_what_has_come_is_taken_at_the_end(void **state)
{
	struct pass_visitor v = {.door = PASS_HTTP};
	struct pair p;

	pair_open(&p);
	for (int i = 0; i < 10; i++)
		close(hand_over(&p, &v, 0));
	assert_int_equal(p.n_taken, 0);
	pass_free(p.two);
	p.two = NULL;
	assert_int_equal(p.n_taken, 10);
	pair_close(&p);
}

static void test_lines_of_strangers(void **state)
{
	static const struct {
		const char *why, *line;
		bool taken;
	} cases[] = {
		{"a good one", "1 http 0 192.0.2.1 1 - 0 -", true},
		{"another version", "2 http 0 192.0.2.1 1 - 0 -", false},
		{"a door that is not known", "1 quic 0 192.0.2.1 1 - 0 -", false},
		{"no address", "1 http 0 nowhere 1 - 0 -", false},
		{"a port without an address", "1 http 0 - 1 - 0 -", false},
		{"a large port", "1 http 0 192.0.2.1 65536 - 0 -", false},
		{"neither yes nor no", "1 http 2 192.0.2.1 1 - 0 -", false},
		{"too little", "1 http 0 192.0.2.1 1 - 0", false},
		{"too much", "1 http 0 192.0.2.1 1 - 0 - -", false},
		{"a port of no tunnel", "1 port 0 192.0.2.1 1 - 0 -", false},
		{"no tunnel's name", "1 port 0 192.0.2.1 1 - 0 a/b", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char path[64];
		struct pair p;
		int sock, ends[2];

		print_message("# %s\n", cases[i].why);
		pair_open(&p);
		snprintf(path, sizeof path, "%s/" TWO ".pass", p.dir);
		assert_int_equal(net_fd_dial(path, &sock), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		assert_int_equal(net_fd_send(sock, ends[0], cases[i].line, strlen(cases[i].line)),
				 0);
		turn(&p);
		assert_int_equal(p.n_taken, cases[i].taken);
		assert_int_equal(p.n_logged, !cases[i].taken);
		assert_int_equal(net_fd_send(sock, -1, cases[0].line, strlen(cases[0].line)), 0);
		assert_int_equal(net_fd_send(sock, ends[0], cases[0].line, strlen(cases[0].line)),
				 0);
		turn(&p);
		assert_int_equal(p.n_taken, cases[i].taken + 1); /* the others do not suffer */
		close(ends[0]);
		close(ends[1]);
		close(sock);
		pair_close(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_comes_is_told),
		cmocka_unit_test(test_who_is_not_there),
		cmocka_unit_test(test_who_has_gone),
		cmocka_unit_test(test_what_has_come_is_taken_at_the_end),
		cmocka_unit_test(test_lines_of_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
