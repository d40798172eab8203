/* Whose visitor is it? Looked at in every piece that may arrive, and handed over whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/pass_door.h"
#include "base/err.h"
#include "net/net_sock.h"
#include "proto/client_hello.h"
#include "unit/ev/tcp_fds.h"

#define SELF  "00000000000000a1"
#define OTHER "00000000000000b2"
#define DEAD  "00000000000000d4"

/* A door of this worker, another worker, and where the last connection has come out. */
struct rig {
	struct ev *ev;
	struct log log;
	char dir[32];
	struct pass *self, *other;
	struct pass_way way;
	struct pass_door *door;
	int n_here, n_there, fd;
	char asked[300];
	struct pass_visitor there;
	struct proxy_visitor here;
	struct ev_timer stop;
};

/* "dead" and "other" say whose they are; all else is nobody's. */
static const char *rig_answer(struct rig *r, const char *what, struct str name)
{
	str_printf(r->asked, sizeof r->asked, "%s " STR_FMT, what, STR_ARG(name));
	if (str_starts(name, STR("other")))
		return OTHER;
	return str_starts(name, STR("dead")) ? DEAD : NULL;
}

static const char *rig_on_host(void *arg, struct str host)
{
	return rig_answer(arg, "host", host);
}

static const char *rig_on_sni(void *arg, struct str sni)
{
	return rig_answer(arg, "sni", sni);
}

static const char *rig_on_tunnel(void *arg, const char *name)
{
	return rig_answer(arg, "tunnel", str_of(name));
}

static const char *rig_on_agent(void *arg, struct str nodes)
{
	return rig_answer(arg, "agent", nodes);
}

static void rig_keep(struct rig *r, int fd)
{
	net_close(r->fd, false);
	r->fd = fd;
	ev_stop(r->ev);
}

static void rig_on_here(void *arg, int fd, enum pass_kind kind, const struct proxy_visitor *v)
{
	struct rig *r = arg;

	r->n_here++;
	r->here = *v;
	rig_keep(r, fd);
}

static void rig_on_taken(void *arg, int fd, const struct pass_visitor *v)
{
	struct rig *r = arg;

	r->n_there++;
	r->there = *v;
	rig_keep(r, fd);
}

static void rig_on_stop(void *arg)
{
	ev_stop(((struct rig *)arg)->ev);
}

/* Until somebody has come out, or ms are over. */
static void rig_run(struct rig *r, uint64_t ms)
{
	ev_timer_set(r->ev, &r->stop, ms);
	ev_run(r->ev);
	ev_timer_stop(r->ev, &r->stop);
}

static void rig_open(struct rig *r)
{
	struct pass_opt opt = {.dir = r->dir, .self = SELF, .log = &r->log, .arg = r};
	struct pass_door_opt door = {.way = &r->way, .here = rig_on_here, .arg = r};

	*r = (struct rig){.fd = -1, .dir = "/tmp/pass_door-XXXXXX"};
	r->stop = (struct ev_timer){.fn = rig_on_stop, .arg = r};
	assert_non_null(mkdtemp(r->dir));
	assert_int_equal(ev_new(&r->ev), 0);
	opt.taken = rig_on_taken;
	assert_int_equal(pass_new(r->ev, &opt, &r->self), 0);
	opt.self = OTHER;
	assert_int_equal(pass_new(r->ev, &opt, &r->other), 0);
	r->way = (struct pass_way){.pass = r->self,
				   .domain = "example.org",
				   .api_host = "api.example.org",
				   .host = rig_on_host,
				   .sni = rig_on_sni,
				   .tunnel = rig_on_tunnel,
				   .agent = rig_on_agent,
				   .arg = r};
	assert_int_equal(pass_door_new(r->ev, &door, &r->door), 0);
}

static void rig_close(struct rig *r)
{
	assert_int_equal(pass_door_load(r->door), 0);
	pass_door_free(r->door);
	pass_free(r->self);
	pass_free(r->other);
	net_close(r->fd, false);
	rig_run(r, 1);
	ev_free(r->ev);
	assert_int_equal(rmdir(r->dir), 0);
}

enum want { HERE, THERE };

static const struct {
	const char *why, *bytes, *asked;
	enum want want;
} heads[] = {
	{"a tunnel of the other one", "GET / HTTP/1.1\r\nHost: other.example.org\r\n",
	 "host other.example.org", THERE},
	{"however it is written", "\r\nPOST /x HTTP/1.1\nA: b\nhOST:\t OTHER.example.org:80 \n",
	 "host other.example.org", THERE},
	{"a domain of its own", "GET / HTTP/1.1\r\nHost: other.net\r\n", "host other.net", THERE},
	{"a tunnel of ours", "GET / HTTP/1.1\r\nHost: x.example.org\r\n", "host x.example.org",
	 HERE},
	{"a worker that is dead", "GET / HTTP/1.1\r\nHost: dead.example.org\r\n",
	 "host dead.example.org", HERE},
	{"the server itself", "GET / HTTP/1.1\r\nHost: example.org\r\n", "", HERE},
	{"the API", "GET /v1/tunnels HTTP/1.1\r\nHost: api.example.org\r\n", "", HERE},
	{"no host", "GET / HTTP/1.0\r\nA: b\r\n\r\n", "", HERE},
	{"no host name", "GET / HTTP/1.1\r\nHost: a..b\r\n", "", HERE},
	{"an agent",
	 "GET /v1/connect HTTP/1.1\r\nHost: api.example.org\r\nKarez-Nodes: other,x\r\n\r\n",
	 "agent other,x", THERE},
	{"an agent at an address that says nothing",
	 "GET /v1/connect HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n", "agent ", HERE},
	{"a tunnel with a path like an agent's",
	 "GET /v1/connect HTTP/1.1\r\nHost: other.example.org\r\n\r\n", "host other.example.org",
	 THERE},
};

static const struct proxy_visitor someone = {.peer = {.ip = "192.0.2.7", .port = 4711},
					     .local = {.ip = "192.0.2.1", .port = 80},
					     .tls = true};

static void check(struct rig *r, int far, const char *bytes, enum want want)
{
	char got[512];
	size_t len = strlen(bytes), n = 0;

	assert_int_equal(r->n_here, want == HERE);
	assert_int_equal(r->n_there, want == THERE);
	while (n < len) { /* all of it is there still */
		ssize_t k = read(r->fd, got + n, sizeof got - n);

		assert_true(k > 0);
		n += (size_t)k;
	}
	assert_memory_equal(got, bytes, len);
	assert_string_equal(want == HERE ? r->here.peer.ip : r->there.peer.ip, "192.0.2.7");
	assert_int_equal(want == HERE ? r->here.local.port : r->there.local.port, 80);
	assert_true(want == HERE ? r->here.tls : r->there.tls);
	net_close(r->fd, false);
	r->fd = -1;
	assert_int_equal(read(far, got, 1), 0); /* nobody else has it */
}

static void test_heads_in_two_pieces(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		const char *bytes = heads[i].bytes;
		size_t len = strlen(bytes);

		print_message("# %s\n", heads[i].why);
		for (size_t cut = 0; cut < len; cut += cut < 4 || cut + 4 > len ? 1 : 3) {
			struct rig r;
			int fds[2];

			rig_open(&r);
			tcp_fds(fds);
			assert_int_equal(write(fds[1], bytes, cut), (ssize_t)cut);
			pass_door_serve(r.door, fds[0], PASS_HTTP, &someone);
			assert_int_equal(r.n_here + r.n_there, 0);
			assert_int_equal(pass_door_load(r.door), 1);
			assert_int_equal(write(fds[1], bytes + cut, len - cut),
					 (ssize_t)(len - cut));
			rig_run(&r, 5000);
			if (r.n_here + r.n_there == 0)
				rig_run(&r, 5000);
			assert_string_equal(r.asked, heads[i].asked);
			check(&r, fds[1], bytes, heads[i].want);
			close(fds[1]);
			rig_close(&r);
		}
	}
}

/* What has come before is looked at once, and costs no memory. */
static void test_heads_in_one_piece(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct rig r;
		int fds[2];

		print_message("# %s\n", heads[i].why);
		rig_open(&r);
		tcp_fds(fds);
		assert_true(write(fds[1], heads[i].bytes, strlen(heads[i].bytes)) > 0);
		pass_door_serve(r.door, fds[0], PASS_HTTP, &someone);
		assert_int_equal(pass_door_load(r.door), 0);
		if (heads[i].want == THERE)
			rig_run(&r, 5000);
		check(&r, fds[1], heads[i].bytes, heads[i].want);
		close(fds[1]);
		rig_close(&r);
	}
}

static void test_what_is_unclear_is_served_here(void **state)
{
	static const struct {
		const char *why, *bytes;
		enum pass_kind kind;
		bool ends;
	} cases[] = {
		{"silence", "", PASS_HTTP, false},
		{"half a head", "GET / HTTP/1.1\r\nA: b\r\n", PASS_HTTP, false},
		{"the end of a head that is cut short", "GET / HT", PASS_HTTP, true},
		{"HTTP where TLS should be", "GET / HTTP/1.1\r\n", PASS_TLS, false},
		{"half a ClientHello", "\x16\x03\x01\x02", PASS_TLS, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		int fds[2];

		print_message("# %s\n", cases[i].why);
		rig_open(&r);
		tcp_fds(fds);
		assert_int_equal(write(fds[1], cases[i].bytes, strlen(cases[i].bytes)),
				 (ssize_t)strlen(cases[i].bytes));
		if (cases[i].ends)
			shutdown(fds[1], SHUT_WR);
		pass_door_serve(r.door, fds[0], cases[i].kind, &someone);
		if (r.n_here == 0)
			rig_run(&r, 5000);
		check(&r, fds[1], cases[i].bytes, HERE);
		close(fds[1]);
		rig_close(&r);
	}
}

static void test_a_server_name(void **state)
{
	/* A ClientHello of one cipher with the name "other.example.org": RFC 8446 4.1.2, RFC 6066 3
	 */
	static const char hello[] = "\x16\x03\x01\x00\x47\x01\x00\x00\x43\x03\x03"
				    "0123456789abcdef0123456789abcdef"
				    "\x00\x00\x02\x13\x01\x01\x00\x00\x18"
				    "\x00\x00\x00\x14\x00\x12\x00\x00\x0fother.example!!";
	struct client_hello parsed;
	char bytes[sizeof hello];
	struct rig r;
	int fds[2];

	memcpy(bytes, hello, sizeof hello);
	memcpy(bytes + sizeof hello - 16, "other.localhost", 15);
	assert_int_equal(client_hello_parse((struct str){bytes, sizeof hello - 1}, &parsed), 0);
	for (size_t cut = 0; cut < sizeof hello - 1; cut += 7) {
		rig_open(&r);
		tcp_fds(fds);
		assert_int_equal(write(fds[1], bytes, cut), (ssize_t)cut);
		pass_door_serve(r.door, fds[0], PASS_TLS, &someone);
		assert_int_equal(r.n_here + r.n_there, 0);
		assert_int_equal(write(fds[1], bytes + cut, sizeof hello - 1 - cut),
				 (ssize_t)(sizeof hello - 1 - cut));
		rig_run(&r, 5000);
		assert_string_equal(r.asked, "sni other.localhost");
		assert_int_equal(r.n_there, 1);
		assert_int_equal(r.there.door, PASS_TLS);
		close(fds[1]);
		rig_close(&r);
	}
}

static void test_a_port(void **state)
{
	struct rig r;
	int fds[2];

	rig_open(&r);
	tcp_fds(fds);
	assert_false(pass_door_port(&r.way, fds[0], &someone, "mine"));
	assert_false(pass_door_port(&r.way, fds[0], &someone, "dead"));
	assert_true(pass_door_port(&r.way, fds[0], &someone, "other.db"));
	rig_run(&r, 5000);
	assert_int_equal(r.n_there, 1);
	assert_int_equal(r.there.door, PASS_PORT);
	assert_string_equal(r.there.tunnel, "other.db");
	close(fds[1]);
	rig_close(&r);
}

static void test_closed_while_somebody_waits(void **state)
{
	struct rig r;
	char byte;
	int fds[2];

	rig_open(&r);
	tcp_fds(fds);
	pass_door_serve(r.door, fds[0], PASS_HTTP, &someone);
	assert_int_equal(pass_door_load(r.door), 1);
	pass_door_free(r.door);
	r.door = NULL;
	assert_true(read(fds[1], &byte, 1) <= 0);
	assert_int_equal(r.n_here, 0);
	close(fds[1]);
	assert_int_equal(pass_door_new(r.ev, &(struct pass_door_opt){.way = &r.way}, &r.door), 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads_in_two_pieces),
		cmocka_unit_test(test_heads_in_one_piece),
		cmocka_unit_test(test_what_is_unclear_is_served_here),
		cmocka_unit_test(test_a_server_name),
		cmocka_unit_test(test_a_port),
		cmocka_unit_test(test_closed_while_somebody_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
