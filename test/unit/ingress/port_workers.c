/* Two workers whose tunnels have the same ports: one has the socket, the other one stands by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "ingress/port_socket.h"
#include "net/net_sock.h"
#include "wire/wire.h"

#define N_VISITORS 20

struct worker {
	struct port_socket *ps;
	struct core_ports ports;
	struct port *port;
	struct machine *machine;
	unsigned n_come, n_elsewhere;
};

struct machine {
	struct ev *ev;
	struct log log;
	char dir[32], claims[64];
	struct worker one, two;
	uint16_t port;
	size_t n_at;	     /* addresses */
	unsigned hands_over; /* so many sockets */
	bool passes;
	unsigned stop_at;
};

static unsigned machine_n_come(const struct machine *m)
{
	return m->one.n_come + m->two.n_come;
}

static void on_accepted(void *arg, struct wire *w, const struct visit *who, const char *tunnel)
{
	struct worker *k = arg;

	assert_string_equal(tunnel, "db");
	assert_int_equal(who->local.port, k->machine->port);
	wire_close(w, 0);
	k->n_come++;
	if (machine_n_come(k->machine) == k->machine->stop_at)
		ev_stop(k->machine->ev);
}

static bool on_elsewhere(void *arg, int fd, const struct proxy_visitor *v, const char *tunnel)
{
	struct worker *k = arg;

	if (!k->machine->passes)
		return false;
	net_close(fd, false);
	assert_string_equal(v->peer.ip, "127.0.0.1");
	k->n_elsewhere++;
	ev_stop(k->machine->ev);
	return true;
}

static bool on_hand_over(void *arg, int fd, const char *tunnel)
{
	struct worker *k = arg;
	struct machine *m = k->machine;

	assert_string_equal(tunnel, "db");
	if (m->hands_over == 0)
		return false;
	m->hands_over--;
	port_socket_adopt(k == &m->one ? m->two.ps : m->one.ps, fd);
	return true;
}

static void on_log(void *arg, enum log_level level, const char *line, size_t len)
{
}

static void worker_open(struct machine *m, struct worker *k)
{
	static const char *const at[] = {"127.0.0.1", "127.0.0.2"};
	struct port_socket_opt opt = {.bind = at,
				      .n_bind = m->n_at,
				      .accepted = on_accepted,
				      .arg = k,
				      .elsewhere = on_elsewhere,
				      .hand_over = on_hand_over,
				      .elsewhere_arg = k,
				      .claims = m->claims,
				      .log = &m->log};

	k->machine = m;
	assert_int_equal(port_socket_new(m->ev, &opt, &k->ps), 0);
	port_socket_ports(k->ps, &k->ports);
}

static int worker_take(struct worker *k)
{
	return k->ports.take(k->ports.arg, "", k->machine->port, &k->port);
}

static void worker_close(struct worker *k)
{
	if (k->port != NULL)
		k->ports.give_up(k->port);
	port_socket_free(k->ps);
	memset(k, 0, sizeof *k);
}

static int listen_at(uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

static void machine_open(struct machine *m, size_t n_at)
{
	*m = (struct machine){.dir = "/tmp/ports-XXXXXX", .n_at = n_at, .hands_over = UINT_MAX};
	m->log = (struct log){.level = LOG_ERROR, .write = on_log};
	assert_non_null(mkdtemp(m->dir));
	snprintf(m->claims, sizeof m->claims, "%s/ports", m->dir);
	assert_int_equal(ev_new(&m->ev), 0);
	worker_open(m, &m->one);
	worker_open(m, &m->two);
	close(listen_at(&m->port));
}

static void machine_close(struct machine *m)
{
	if (m->one.ps != NULL)
		worker_close(&m->one);
	if (m->two.ps != NULL)
		worker_close(&m->two);
	ev_free(m->ev);
	unlink(m->claims);
	assert_int_equal(rmdir(m->dir), 0);
}

static void both_serve(struct machine *m)
{
	assert_int_equal(worker_take(&m->one), 0);
	assert_int_equal(worker_take(&m->two), 0);
	assert_int_equal(m->one.ports.let(m->one.port, "db"), 0);
	assert_int_equal(m->two.ports.let(m->two.port, "db"), 0);
}

static bool visit_at(struct machine *m, uint32_t ip)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(ip),
				 .sin_port = htons(m->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&in, sizeof in) == 0;

	close(fd);
	return ok;
}

static bool visit(struct machine *m)
{
	return visit_at(m, INADDR_LOOPBACK);
}

static void stop(void *arg)
{
	ev_stop(arg);
}

/* Until so many have come in all, or for ms milliseconds. */
static void run_until(struct machine *m, unsigned n, uint64_t ms)
{
	struct ev_timer timer = {.fn = stop, .arg = m->ev};

	m->stop_at = n;
	ev_timer_set(m->ev, &timer, ms);
	ev_run(m->ev);
	ev_timer_stop(m->ev, &timer);
}

static void test_one_has_it_and_both_may(void **state)
{
	struct machine m;

	machine_open(&m, 1);
	both_serve(&m);
	assert_true(visit(&m));
	run_until(&m, 1, 5000);
	assert_int_equal(m.one.n_come, 1);
	m.passes = true; /* whom it is for is found out where he comes in */
	assert_true(visit(&m));
	run_until(&m, 0, 5000);
	assert_int_equal(m.one.n_elsewhere, 1);
	assert_int_equal(machine_n_come(&m), 1);
	machine_close(&m);
}

/* Who waits at its socket, and who comes later: the other one lets all of them in. */
static void test_nobody_is_lost_when_one_goes(void **state)
{
	struct machine m;

	machine_open(&m, 1);
	both_serve(&m);
	for (int i = 0; i < N_VISITORS; i++)
		assert_true(visit(&m));
	port_socket_stop(m.one.ps);
	for (int i = 0; i < N_VISITORS; i++)
		assert_true(visit(&m));
	run_until(&m, 2 * N_VISITORS, 5000);
	assert_int_equal(m.two.n_come, 2 * N_VISITORS);
	worker_close(&m.one);
	assert_true(visit(&m));
	run_until(&m, 2 * N_VISITORS + 1, 5000);
	assert_int_equal(m.two.n_come, 2 * N_VISITORS + 1);
	assert_int_equal(m.two.ports.let(m.two.port, NULL), 0); /* it is its own now */
	assert_false(visit(&m));
	assert_int_equal(m.two.ports.let(m.two.port, "db"), 0);
	assert_true(visit(&m));
	run_until(&m, 2 * N_VISITORS + 2, 5000);
	worker_open(&m, &m.one); /* a new worker stands by, and so on */
	assert_int_equal(worker_take(&m.one), 0);
	assert_int_equal(m.one.ports.let(m.one.port, "db"), 0);
	m.two.n_come = 0;
	port_socket_stop(m.two.ps);
	assert_true(visit(&m));
	run_until(&m, 1, 5000);
	assert_int_equal(m.one.n_come, 1);
	machine_close(&m);
}

static void test_one_that_dies(void **state)
{
	struct machine m;

	machine_open(&m, 1);
	both_serve(&m);
	worker_close(&m.one); /* as the kernel closes what it had */
	assert_false(visit(&m));
	run_until(&m, 1, 400);
	assert_true(visit(&m));
	run_until(&m, 1, 5000);
	assert_int_equal(m.two.n_come, 1);
	machine_close(&m);
}

/* Nobody takes it over: those who are on the way come in, new ones do not. */
static void test_the_last_one_goes(void **state)
{
	struct machine m;

	machine_open(&m, 1);
	m.hands_over = 0;
	both_serve(&m);
	assert_true(visit(&m));
	port_socket_stop(m.two.ps);
	port_socket_stop(m.one.ps);
	assert_false(visit(&m));
	run_until(&m, 1, 5000);
	assert_int_equal(m.one.n_come, 1);
	machine_close(&m);
}

/* He allows others of our user to join him, and we do not. */
static void test_a_stranger_has_it(void **state)
{
	struct machine m;
	int fd;

	machine_open(&m, 1);
	fd = listen_at(&m.port);
	assert_int_equal(worker_take(&m.one), ERR_INUSE);
	assert_int_equal(worker_take(&m.two), ERR_INUSE);
	assert_int_equal(worker_take(&m.one), ERR_INUSE);
	close(fd);
	assert_int_equal(worker_take(&m.one), 0);
	assert_int_equal(worker_take(&m.two), 0);
	machine_close(&m);
}

/* A socket that nobody waits for is closed. */
static void test_a_socket_too_many(void **state)
{
	struct machine m;

	machine_open(&m, 1);
	assert_int_equal(worker_take(&m.one), 0);
	assert_int_equal(m.one.ports.let(m.one.port, "db"), 0);
	port_socket_stop(m.one.ps); /* the other one has not taken the port */
	assert_false(visit(&m));
	assert_int_equal(worker_take(&m.two), 0);
	assert_int_equal(m.two.ports.let(m.two.port, "db"), 0);
	assert_true(visit(&m));
	run_until(&m, 1, 5000);
	assert_int_equal(m.two.n_come, 1);
	machine_close(&m);
}

/* A port of two addresses, of which not all can be given away. */
static void test_a_part_of_a_port(void **state)
{
	static const struct {
		const char *why;
		unsigned hands_over;
		bool found;	/* visitors of both addresses get in while the first one lives, */
		unsigned n_two; /* so many of them at the second worker */
	} cases[] = {
		{"both", 2, true, 2},
		{"one: the other stays open", 1, true, 1},
		{"none: they are found nowhere", 0, false, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct machine m;

		print_message("# %s\n", cases[i].why);
		machine_open(&m, 2);
		both_serve(&m);
		m.hands_over = cases[i].hands_over;
		port_socket_stop(m.one.ps);
		for (uint32_t k = 0; k < 2; k++)
			assert_int_equal(visit_at(&m, INADDR_LOOPBACK + k), cases[i].found);
		if (cases[i].found)
			run_until(&m, 2, 5000);
		run_until(&m, 0, 600); /* it looks for the rest meanwhile */
		assert_int_equal(m.two.n_come, cases[i].n_two);
		assert_int_equal(machine_n_come(&m), cases[i].found ? 2 : 0);
		worker_close(&m.one);
		m.two.n_come = 0;
		run_until(&m, 0, 600);
		for (uint32_t k = 0; k < 2; k++)
			assert_true(visit_at(&m, INADDR_LOOPBACK + k));
		run_until(&m, 2, 5000);
		assert_int_equal(m.two.n_come, 2);
		assert_int_equal(m.two.ports.let(m.two.port, NULL), 0);
		for (uint32_t k = 0; k < 2; k++)
			assert_false(visit_at(&m, INADDR_LOOPBACK + k));
		machine_close(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_has_it_and_both_may),
		cmocka_unit_test(test_nobody_is_lost_when_one_goes),
		cmocka_unit_test(test_one_that_dies),
		cmocka_unit_test(test_the_last_one_goes),
		cmocka_unit_test(test_a_stranger_has_it),
		cmocka_unit_test(test_a_socket_too_many),
		cmocka_unit_test(test_a_part_of_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
