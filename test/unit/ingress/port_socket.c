/* Ports of tunnels on real loopback sockets: taking, letting in, shutting, giving up. */
#include "ingress/port_socket.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "net/net_addr.h"

struct desk {
	struct ev *ev;
	struct log log;
	struct port_socket *ps;
	struct core_ports ports;
	struct proxy_reader *reader;
	struct cidr trusted;
	uint16_t port; /* free when the test began */
	int n_come, stop_at;
	struct wire *come; /* owned: of who came last */
	struct visit who;
	char tunnel[64];
	struct port *shut_on_come;
};

static struct desk D;

static void desk_on_log(void *arg, enum log_level level, const char *line, size_t len)
{
}

static void desk_on_accepted(void *arg, struct wire *w, const struct visit *who, const char *tunnel)
{
	wire_close(D.come, 0);
	D.come = w;
	D.who = *who;
	str_printf(D.tunnel, sizeof D.tunnel, "%s", tunnel);
	if (D.shut_on_come != NULL)
		assert_int_equal(D.ports.let(D.shut_on_come, NULL), 0);
	if (++D.n_come == D.stop_at)
		ev_stop(D.ev);
}

/* One that is free on all addresses, also for those who do not share. */
static uint16_t find_port(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof in6;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint16_t port;

	if (fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof in6) == 0) {
		assert_int_equal(getsockname(fd, (struct sockaddr *)&in6, &len), 0);
		port = ntohs(in6.sin6_port);
	} else {
		close(fd);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		len = sizeof in;
		assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
		port = ntohs(in.sin_port);
	}
	close(fd);
	return port;
}

static void desk_open_with(const char *const *bind_to, size_t n, bool proxy)
{
	struct port_socket_opt opt = {.bind = bind_to,
				      .n_bind = n,
				      .accepted = desk_on_accepted,
				      .log = &D.log};
	struct proxy_reader_opt reader = {.trusted = &D.trusted,
					  .n_trusted = 1,
					  .header_ms = 5000,
					  .log = &D.log};

	memset(&D, 0, sizeof D);
	D.log = (struct log){.level = LOG_ERROR, .write = desk_on_log};
	assert_int_equal(ev_new(&D.ev), 0);
	assert_int_equal(cidr_parse(STR("127.0.0.0/8"), &D.trusted), 0);
	assert_int_equal(proxy_reader_new(D.ev, &reader, &D.reader), 0);
	opt.proxy = proxy ? D.reader : NULL;
	assert_int_equal(port_socket_new(D.ev, &opt, &D.ps), 0);
	port_socket_ports(D.ps, &D.ports);
	D.port = find_port();
}

static void desk_open(void)
{
	desk_open_with(NULL, 0, false);
}

static void desk_close(void)
{
	wire_close(D.come, 0);
	port_socket_free(D.ps);
	proxy_reader_free(D.reader);
	ev_free(D.ev);
}

static int take(const char *at, struct port **out)
{
	return D.ports.take(D.ports.arg, at, D.port, out);
}

/* What connecting there gives: a descriptor, or -errno. */
static int try_visit(const char *ip)
{
	struct net_addr addr;
	int fd;

	assert_int_equal(net_addr_from_ip(str_of(ip), D.port, &addr), 0);
	if ((fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -errno;
	if (connect(fd, &addr.sa, addr.len) == 0)
		return fd;
	close(fd);
	return -errno;
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof in6) == 0;

	close(fd);
	return ok;
}

static void let_in(int n)
{
	D.stop_at = D.n_come + n;
	ev_run(D.ev);
	assert_int_equal(D.n_come, D.stop_at);
}

static void stop_on_timer(void *arg)
{
	ev_stop(arg);
}

/* Whatever is ready is done. */
static void turn(void)
{
	struct ev_timer timer = {.fn = stop_on_timer, .arg = D.ev};

	ev_timer_set(D.ev, &timer, 1);
	ev_run(D.ev);
}

/* ---- tests ---- */

static void test_where_ports_listen(void **state)
{
	static const struct {
		const char *why, *operator[2], *at;
		int e;
		const char *in, *out; /* an address that reaches it, and one that does not */
		bool ipv6;
	} cases[] = {
		{"everywhere", {NULL}, "", 0, "127.0.0.1", NULL, false},
		{"everywhere, by IPv6", {NULL}, "", 0, "::1", NULL, true},
		{"everywhere, said by a star", {"*"}, "", 0, "::1", NULL, true},
		{"where the operator says", {"127.0.0.2"}, "", 0, "127.0.0.2", "127.0.0.1", false},
		{"at both of the operator's",
		 {"127.0.0.2", "::1"},
		 "",
		 0,
		 "::1",
		 "127.0.0.1",
		 true},
		{"at all of both families", {"0.0.0.0", "::"}, "", 0, "127.0.0.1", NULL, true},
		{"the other way round", {"::", "0.0.0.0"}, "", 0, "::1", NULL, true},
		{"at one of them besides", {"::", "127.0.0.1"}, "", 0, "127.0.0.1", NULL, true},
		{"at one that all stand for",
		 {"127.0.0.1", "0.0.0.0"},
		 "",
		 0,
		 "127.0.0.2",
		 "::1",
		 true},
		{"at the same twice", {"::1", "0:0::1"}, "", 0, "::1", "127.0.0.1", true},
		{"at one address", {NULL}, "127.0.0.2", 0, "127.0.0.2", "127.0.0.1", false},
		{"at one IPv6 address", {NULL}, "::1", 0, "::1", "127.0.0.1", true},
		{"at localhost", {NULL}, "localhost", 0, "127.0.0.1", "127.0.0.2", false},
		{"at localhost, by IPv6", {NULL}, "localhost", 0, "::1", "127.0.0.2", true},
		{"at every IPv4 address", {NULL}, "0.0.0.0", 0, "127.0.0.1", "::1", true},
		{"at every IPv6 address", {NULL}, "::", 0, "::1", "127.0.0.1", true},
		{"not where the operator does not say",
		 {"127.0.0.2"},
		 "127.0.0.1",
		 ERR_DENIED,
		 NULL,
		 NULL,
		 false},
		{"not at localhost either",
		 {"127.0.0.2"},
		 "localhost",
		 ERR_DENIED,
		 NULL,
		 NULL,
		 false},
		{"at one of all IPv4 addresses",
		 {"0.0.0.0"},
		 "127.0.0.1",
		 0,
		 "127.0.0.1",
		 "127.0.0.2",
		 false},
		{"but at no IPv6 one", {"0.0.0.0"}, "::1", ERR_DENIED, NULL, NULL, false},
		{"localhost of IPv4 only", {"0.0.0.0"}, "localhost", 0, "127.0.0.1", "::1", true},
		{"no address of this machine", {NULL}, "192.0.2.1", ERR_INVAL, NULL, NULL, false},
		{"no address", {NULL}, "example.org", ERR_INVAL, NULL, NULL, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = cases[i].operator[0] == NULL ? 0 : cases[i].operator[1] == NULL ? 1 : 2;
		struct port *p = NULL;
		int fd;

		if (cases[i].ipv6 && !has_ipv6())
			continue;
		print_message("# %s\n", cases[i].why);
		desk_open_with(cases[i].operator, n, false);
		assert_int_equal(take(cases[i].at, &p), cases[i].e);
		if (cases[i].e == 0) {
			assert_int_equal(D.ports.let(p, "demo"), 0);
			fd = try_visit(cases[i].in);
			assert_true(fd >= 0);
			let_in(1);
			assert_string_equal(D.who.local.ip, cases[i].in);
			assert_int_equal(D.who.local.port, D.port);
			assert_string_equal(D.who.visitor.ip, str_find(str_of(cases[i].in), ':') ==
									      strlen(cases[i].in)
								      ? "127.0.0.1"
								      : "::1");
			assert_int_not_equal(D.who.visitor.port, 0);
			assert_int_equal(D.who.ingress, VISIT_TCP);
			assert_string_equal(D.tunnel, "demo");
			close(fd);
			if (cases[i].out != NULL)
				assert_int_equal(try_visit(cases[i].out), -ECONNREFUSED);
		} else {
			assert_null(p);
		}
		D.ports.give_up(p);
		desk_close();
	}
}

static void test_a_life(void **state)
{
	struct port *p = NULL;
	int fd, kept;

	desk_open();
	assert_int_equal(take("", &p), 0);
	assert_int_equal(try_visit("127.0.0.1"), -ECONNREFUSED); /* taken, and shut */
	assert_int_equal(D.ports.let(p, "a"), 0);
	kept = try_visit("127.0.0.1");
	let_in(1);
	assert_string_equal(D.tunnel, "a");
	assert_int_equal(D.ports.let(p, "b"), 0); /* moved: nobody is refused between */
	assert_int_equal(D.ports.let(p, "b"), 0);
	fd = try_visit("127.0.0.1");
	let_in(1);
	assert_string_equal(D.tunnel, "b");
	close(fd);
	assert_int_equal(D.ports.let(p, NULL), 0);
	assert_int_equal(D.ports.let(p, NULL), 0);
	assert_int_equal(try_visit("127.0.0.1"), -ECONNREFUSED);
	assert_int_equal(D.ports.let(p, "c"), 0);
	fd = try_visit("127.0.0.1");
	let_in(1);
	assert_string_equal(D.tunnel, "c");
	close(fd);
	D.ports.give_up(p);
	assert_int_equal(try_visit("127.0.0.1"), -ECONNREFUSED); /* at once */
	assert_int_equal(write(kept, "x", 1), 1);
	close(kept);
	assert_int_equal(take("", &p), 0); /* free at once, though connections were there */
	D.ports.give_up(p);
	desk_close();
}

/* Taken is taken: by other programs, also where only one address is theirs. */
static void test_in_use(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct port *p = NULL;
	int fd;

	desk_open();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	in.sin_port = htons(D.port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(take("", &p), ERR_INUSE);
	assert_int_equal(take("127.0.0.2", &p), 0); /* that one is free */
	D.ports.give_up(p);
	close(fd);
	assert_int_equal(take("", &p), 0);
	D.ports.give_up(p);
	desk_close();
}

/* Those who wait in the kernel's queue when a port is shut are refused. */
static void test_shut_in_the_middle(void **state)
{
	struct port *p = NULL;
	int fd[2];

	desk_open();
	assert_int_equal(take("", &p), 0);
	assert_int_equal(D.ports.let(p, "demo"), 0);
	D.shut_on_come = p;
	fd[0] = try_visit("127.0.0.1");
	fd[1] = try_visit("127.0.0.1");
	let_in(1);
	turn();
	assert_int_equal(D.n_come, 1);
	assert_int_equal(try_visit("127.0.0.1"), -ECONNREFUSED);
	close(fd[0]);
	close(fd[1]);
	D.ports.give_up(p);
	desk_close();
}

/* Does another program get the port there, one that would share it? */
static int try_take(const char *ip)
{
	struct net_addr addr;
	int fd, on = 1, errnum = 0;

	assert_int_equal(net_addr_from_ip(str_of(ip), D.port, &addr), 0);
	fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	if (bind(fd, &addr.sa, addr.len) != 0 || listen(fd, 1) != 0)
		errnum = errno;
	close(fd);
	return errnum;
}

/* Who waits when the port moves is accepted, nobody is refused, and what is left is left. */
static void test_moves(void **state)
{
	static const struct {
		const char *why, *from, *to;
		const char *before, *after, *left; /* where visitors come in, and do not after */
		bool ipv6;
	} cases[] = {
		{"to all addresses", "127.0.0.1", "", "127.0.0.1", "127.0.0.1", NULL, false},
		{"from all to one", "", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2", false},
		{"from all to another one", "", "127.0.0.2", "127.0.0.1", "127.0.0.2", "127.0.0.1",
		 false},
		{"one stays, one comes", "127.0.0.1", "localhost", "127.0.0.1", "127.0.0.1", NULL,
		 false},
		{"one stays, one goes", "localhost", "127.0.0.1", "127.0.0.1", "127.0.0.1", "::1",
		 true},
		{"from one to another", "127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2",
		 "127.0.0.1", false},
		{"to all of IPv4", "", "0.0.0.0", "127.0.0.1", "127.0.0.1", "::1", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct port *p = NULL, *q = NULL;
		int fds[4];

		if (cases[i].ipv6 && !has_ipv6())
			continue;
		print_message("# %s\n", cases[i].why);
		desk_open();
		assert_int_equal(take(cases[i].from, &p), 0);
		assert_int_equal(D.ports.let(p, "demo"), 0);
		fds[0] = try_visit(cases[i].before);
		let_in(1); /* a connection that runs is not in the way */
		fds[1] = try_visit(cases[i].before);
		assert_int_equal(take(cases[i].to, &q), 0);
		assert_int_equal(try_take(cases[i].before), EADDRINUSE);
		assert_int_equal(try_take(cases[i].after), EADDRINUSE);
		fds[2] = try_visit(cases[i].before);
		assert_int_equal(D.ports.let(q, "demo"), 0);
		D.ports.give_up(p);
		fds[3] = try_visit(cases[i].after);
		for (size_t k = 0; k < ARRAY_LEN(fds); k++)
			assert_true(fds[k] >= 0);
		let_in(3);
		assert_int_equal(try_take(cases[i].after), EADDRINUSE);
		if (cases[i].left != NULL)
			assert_int_equal(try_visit(cases[i].left), -ECONNREFUSED);
		for (size_t k = 0; k < ARRAY_LEN(fds); k++)
			close(fds[k]);

		/* and back again */
		assert_int_equal(take(cases[i].from, &p), 0);
		assert_int_equal(D.ports.let(p, "demo"), 0);
		fds[0] = try_visit(cases[i].after);
		D.ports.give_up(q);
		fds[1] = try_visit(cases[i].before);
		assert_true(fds[0] >= 0 && fds[1] >= 0);
		let_in(2);
		close(fds[0]);
		close(fds[1]);
		D.ports.give_up(p);
		assert_int_equal(try_take(cases[i].after), 0); /* free at once, all of it */
		assert_int_equal(try_take(cases[i].before), 0);
		desk_close();
	}
}

/* Whose tunnel it was does not have it any more, or nobody serves it: those who wait are refused.
 */
static void test_what_moves_is_the_tunnel(void **state)
{
	static const struct {
		const char *why, *tunnel, *later; /* whom the new one lets in to; "": nobody */
		int n_come;
	} cases[] = {
		{"the same one", "demo", NULL, 2},
		{"another one", "other", NULL, 1},
		{"nobody serves it", "", NULL, 0},
		{"nobody serves it any more when they are accepted", "demo", "", 0},
		{"another one by then", "demo", "other", 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *later = cases[i].later;
		struct port *p = NULL, *q = NULL;
		int waits, comes;

		print_message("# %s\n", cases[i].why);
		desk_open();
		assert_int_equal(take("127.0.0.1", &p), 0);
		assert_int_equal(D.ports.let(p, "demo"), 0);
		waits = try_visit("127.0.0.1");
		assert_int_equal(take("", &q), 0);
		assert_int_equal(D.ports.let(q, cases[i].tunnel[0] ? cases[i].tunnel : NULL), 0);
		D.ports.give_up(p);
		comes = try_visit("127.0.0.1");
		if (later != NULL)
			assert_int_equal(D.ports.let(q, later[0] != '\0' ? later : NULL), 0);
		turn();
		assert_int_equal(D.n_come, cases[i].n_come);
		assert_true(waits >= 0);
		close(waits);
		if (comes >= 0)
			close(comes);
		D.ports.give_up(q);
		desk_close();
	}
}

/* The new address is another program's: the old one is as it was. */
static void test_moves_in_vain(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct port *p = NULL, *q = NULL;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), visitor;

	desk_open();
	assert_int_equal(take("127.0.0.1", &p), 0);
	assert_int_equal(D.ports.let(p, "demo"), 0);
	in.sin_port = htons(D.port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(fd, 1), 0);
	visitor = try_visit("127.0.0.1");
	for (int i = 0; i < 3; i++)
		assert_int_equal(take("", &q), ERR_INUSE);
	assert_null(q);
	assert_int_equal(try_take("127.0.0.1"), EADDRINUSE);
	let_in(1);
	close(visitor);
	close(fd);
	D.ports.give_up(p);
	desk_close();
}

static void test_draining(void **state)
{
	struct port *p = NULL;
	int fd, waiting;

	desk_open();
	assert_int_equal(take("", &p), 0);
	assert_int_equal(D.ports.let(p, "demo"), 0);
	fd = try_visit("127.0.0.1");
	let_in(1);
	waiting = try_visit("127.0.0.1"); /* not accepted yet */
	assert_true(waiting >= 0);
	port_socket_stop(D.ps);
	assert_int_equal(try_visit("127.0.0.1"), -ECONNREFUSED);
	let_in(1);
	close(waiting);
	assert_int_equal(D.ports.let(p, "other"), 0);
	assert_int_equal(try_visit("127.0.0.1"), -ECONNREFUSED);
	close(fd);
	D.ports.give_up(p);
	desk_close();
}

static void test_behind_a_load_balancer(void **state)
{
	static const char header[] = "PROXY TCP4 203.0.113.9 198.51.100.1 5555 9000\r\nhello";
	struct port *p = NULL;
	struct str in;
	char byte;
	int fd;

	desk_open_with(NULL, 0, true);
	assert_int_equal(take("127.0.0.1", &p), 0);
	assert_int_equal(D.ports.let(p, "demo"), 0);
	fd = try_visit("127.0.0.1");
	assert_int_equal(write(fd, header, 10), 10);
	turn();
	assert_int_equal(D.n_come, 0);
	assert_int_equal(write(fd, header + 10, sizeof header - 11), (ssize_t)sizeof header - 11);
	let_in(1);
	assert_string_equal(D.who.visitor.ip, "203.0.113.9");
	assert_int_equal(D.who.local.port, 9000);
	assert_int_equal(wire_read(D.come, 100, &in), 0);
	assert_true(str_eq(in, STR("hello")));
	close(fd);

	/* whoever has not finished its header when the port is shut is turned away */
	fd = try_visit("127.0.0.1");
	assert_int_equal(write(fd, header, 10), 10);
	turn();
	assert_int_equal(D.ports.let(p, NULL), 0);
	assert_int_equal(read(fd, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
	D.ports.give_up(p);
	desk_close();
}

static void test_what_an_operator_may_say(void **state)
{
	static const char *const bad[] = {"localhost"}, *const many[] = {"127.0.0.1", "127.0.0.2",
									 "127.0.0.3", "127.0.0.4",
									 "127.0.0.5", "127.0.0.6",
									 "127.0.0.7", "127.0.0.8",
									 "127.0.0.9"};
	struct port_socket_opt opt = {.bind = bad, .n_bind = 1};
	struct port_socket *ps = NULL;

	desk_open();
	assert_int_equal(port_socket_new(D.ev, &opt, &ps), ERR_INVAL);
	opt.bind = many;
	opt.n_bind = ARRAY_LEN(many);
	assert_int_equal(port_socket_new(D.ev, &opt, &ps), ERR_INVAL);
	assert_null(ps);
	opt.n_bind--;
	assert_int_equal(port_socket_new(D.ev, &opt, &ps), 0);
	port_socket_free(ps);
	desk_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_ports_listen),
		cmocka_unit_test(test_a_life),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_shut_in_the_middle),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_what_moves_is_the_tunnel),
		cmocka_unit_test(test_moves_in_vain),
		cmocka_unit_test(test_draining),
		cmocka_unit_test(test_behind_a_load_balancer),
		cmocka_unit_test(test_what_an_operator_may_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
