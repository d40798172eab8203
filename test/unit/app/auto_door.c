/* Who comes to an address for everything: told apart by the first bytes, which are all still there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "app/auto_door.h"
#include "base/err.h"
#include "net/net_sock.h"
#include "unit/ev/tcp_fds.h"

#define SILENCE_MS 40
#define WAIT_MS	   150
#define LONG_MS	   60000 /* never, in a test */

#define V1   "PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\r\n"
#define V2   "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\x9\x12\x67\x01\xbb"
#define HERE "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"

/* A door, and what came of the last one who went through. */
struct rig {
	struct ev *ev;
	struct log log;
	struct proxy_reader *proxy;
	struct auto_door *door;
	struct cidr trusted;
	int n_come, fd;
	enum first_words what;
	struct proxy_visitor who;
	int n_lines;
	struct ev_timer stop;
};

static void rig_on_line(void *arg, enum log_level level, const char *line, size_t len)
{
	((struct rig *)arg)->n_lines++;
}

static void rig_on_come(void *arg, int fd, enum first_words what, const struct proxy_visitor *v)
{
	struct rig *r = arg;

	net_close(r->fd, false);
	r->n_come++;
	r->fd = fd;
	r->what = what;
	r->who = *v;
	ev_stop(r->ev);
}

static void rig_on_stop(void *arg)
{
	ev_stop(((struct rig *)arg)->ev);
}

static void rig_make(struct rig *r, struct auto_door_opt opt)
{
	struct proxy_reader_opt proxy = {.trusted = &r->trusted, .n_trusted = 1, .log = &r->log};

	*r = (struct rig){.fd = -1, .log = {.level = LOG_INFO, .write = rig_on_line, .arg = r}};
	r->stop = (struct ev_timer){.fn = rig_on_stop, .arg = r};
	assert_int_equal(cidr_parse(STR("192.0.2.80"), &r->trusted), 0);
	assert_int_equal(ev_new(&r->ev), 0);
	assert_int_equal(proxy_reader_new(r->ev, &proxy, &r->proxy), 0);
	opt.proxy = r->proxy;
	opt.silence_ms = opt.silence_ms != 0 ? opt.silence_ms : SILENCE_MS;
	opt.wait_ms = opt.wait_ms != 0 ? opt.wait_ms : WAIT_MS;
	opt.log = &r->log;
	opt.come = rig_on_come;
	opt.arg = r;
	assert_int_equal(auto_door_new(r->ev, &opt, &r->door), 0);
}

static void rig_drop(struct rig *r)
{
	net_close(r->fd, false);
	auto_door_free(r->door);
	proxy_reader_free(r->proxy);
	ev_free(r->ev);
}

static void say(int fd, struct str text)
{
	assert_int_equal(write(fd, text.p, text.len), text.len);
}

/* Somebody comes from there; returns his end. */
static int rig_visit(struct rig *r, const char *ip, struct str first)
{
	struct proxy_visitor ends = {.tls = false};
	int fds[2];

	assert_int_equal(visit_end_set(&ends.peer, str_of(ip), 5), 0);
	assert_int_equal(visit_end_set(&ends.local, STR("192.0.2.81"), 6), 0);
	tcp_fds(fds);
	net_tune(fds[1], NET_TARGET);
	if (first.len > 0)
		say(fds[1], first);
	auto_door_serve(r->door, fds[0], &ends);
	return fds[1];
}

/* Until somebody has come, or for so long. */
static void rig_run(struct rig *r, unsigned ms)
{
	ev_timer_set(r->ev, &r->stop, ms);
	ev_run(r->ev);
	ev_timer_stop(r->ev, &r->stop);
}

static bool is_closed(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

/* These bytes, and no others, can be read by whoever got the descriptor. */
static bool rig_has(const struct rig *r, struct str want)
{
	char got[256];
	size_t n = 0;
	int e = net_read(r->fd, got, sizeof got, &n);

	return want.len == 0 ? e == ERR_AGAIN
			     : e == 0 && n == want.len && memcmp(got, want.p, n) == 0;
}

#define TRUSTED	 "192.0.2.80"
#define STRANGER "198.51.100.1"

enum { CLOSED = -1 }; /* instead of an enum first_words */

static const struct {
	const char *why, *from;
	struct str say;
	int want;
	struct str left;
	const char *peer;
	unsigned must_proxy : 1, no_ssh : 1, late : 1; /* late: it takes time, and no byte */
} cases[] = {
	{"HTTP", STRANGER, STR("GET / HTTP/1.1\r\n"), FIRST_HTTP, STR("GET / HTTP/1.1\r\n"),
	 STRANGER},
	{"TLS", STRANGER, STR("\x16\x03\x01"), FIRST_TLS, STR("\x16\x03\x01"), STRANGER},
	{"SSH", STRANGER, STR("SSH-2.0-x\r\n"), FIRST_SSH, STR("SSH-2.0-x\r\n"), STRANGER},
	{"SSH where it is not served is bad HTTP", STRANGER, STR("SSH-2.0-x\r\n"), FIRST_HTTP,
	 STR("SSH-2.0-x\r\n"), STRANGER, .no_ssh = 1},
	{"silence is SSH", STRANGER, STR(""), FIRST_SSH, STR(""), STRANGER, .late = 1},
	{"where SSH is not served silence is nothing", STRANGER, STR(""), CLOSED, STR(""), NULL,
	 .no_ssh = 1, .late = 1},
	{"bytes that fit nothing are bad HTTP", STRANGER, STR("\xff\0\1"), FIRST_HTTP,
	 STR("\xff\0\1"), STRANGER},
	{"half a word is nothing", STRANGER, STR("SSH"), CLOSED, STR(""), NULL, .late = 1},

	{"HTTP behind a header", TRUSTED, STR(V1 "GET /"), FIRST_HTTP, STR("GET /"), "192.0.2.1"},
	{"TLS behind a header", TRUSTED, STR(V2 "\x16\x03"), FIRST_TLS, STR("\x16\x03"),
	 "192.0.2.1"},
	{"SSH behind a header", TRUSTED, STR(V2 "SSH-2.0-x"), FIRST_SSH, STR("SSH-2.0-x"),
	 "192.0.2.1"},
	{"silence behind a header", TRUSTED, STR(V1), FIRST_SSH, STR(""), "192.0.2.1", .late = 1},
	{"a header that tells of nobody", TRUSTED, STR(HERE "GET /"), FIRST_HTTP, STR("GET /"),
	 TRUSTED},
	{"a second header", TRUSTED, STR(V1 V1 "GET /"), CLOSED, STR(""), NULL},
	{"half a header", TRUSTED, STR("PROXY TCP4 192.0.2.1"), CLOSED, STR(""), NULL, .late = 1},
	{"a broken header", TRUSTED, STR("PROXY TCP5 x\r\n"), CLOSED, STR(""), NULL},
	{"a header of a stranger", STRANGER, STR(V1 "GET /"), CLOSED, STR(""), NULL},
	{"who is trusted need not use one", TRUSTED, STR("GET /"), FIRST_HTTP, STR("GET /"),
	 TRUSTED},

	{"a header where one must come", TRUSTED, STR(V1 "GET /"), FIRST_HTTP, STR("GET /"),
	 "192.0.2.1", .must_proxy = 1},
	{"silence behind a header that must come", TRUSTED, STR(V1), FIRST_SSH, STR(""),
	 "192.0.2.1", .must_proxy = 1, .late = 1},
	{"none where one must come", TRUSTED, STR("GET /"), CLOSED, STR(""), NULL, .must_proxy = 1},
	{"silence where one must come", TRUSTED, STR(""), CLOSED, STR(""), NULL, .must_proxy = 1,
	 .late = 1},
	{"a stranger where one must come", STRANGER, STR("GET /"), CLOSED, STR(""), NULL,
	 .must_proxy = 1},
};

/* step: bytes that come at a time; 0: all. */
static void run_case(size_t i, size_t step)
{
	struct auto_door_opt opt = {.must_proxy = cases[i].must_proxy,
				    .ssh = !cases[i].no_ssh,
				    .silence_ms = cases[i].late ? 0 : LONG_MS,
				    .wait_ms = cases[i].late ? 0 : LONG_MS};
	struct str all = cases[i].say;
	size_t first = step == 0 ? all.len : MIN(step, all.len);
	struct rig r;
	int fd;

	rig_make(&r, opt);
	fd = rig_visit(&r, cases[i].from, (struct str){all.p, first});
	for (size_t n = first; n < all.len && r.n_come == 0 && !is_closed(fd); n += step) {
		if (write(fd, all.p + n, MIN(step, all.len - n)) < 0)
			break;
		rig_run(&r, 2);
	}
	if (r.n_come == 0)
		rig_run(&r, cases[i].want == CLOSED ? SILENCE_MS + 2 * WAIT_MS : LONG_MS);
	if (r.n_come != (cases[i].want != CLOSED) || auto_door_load(r.door) != 0)
		fail_msg("%s, %zu at a time: %d came", cases[i].why, step, r.n_come);
	if (cases[i].want == CLOSED) {
		if (!is_closed(fd))
			fail_msg("%s: it is open", cases[i].why);
	} else if ((int)r.what != cases[i].want || strcmp(r.who.peer.ip, cases[i].peer) != 0 ||
		   (step == 0 && !rig_has(&r, cases[i].left))) {
		fail_msg("%s, %zu at a time: %d of %s", cases[i].why, step, (int)r.what,
			 r.who.peer.ip);
	}
	close(fd);
	rig_drop(&r);
}

static void test_all_at_once(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		run_case(i, 0);
}

static void test_byte_by_byte(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (!cases[i].late)
			run_case(i, 1);
}

static void test_both_ends_of_a_header(void **state)
{
	struct auto_door_opt opt = {.ssh = true};
	struct rig r;
	int fd;

	rig_make(&r, opt);
	fd = rig_visit(&r, TRUSTED, STR(V2 "GET /"));
	assert_int_equal(r.n_come, 1); /* at once */
	assert_int_equal(r.who.peer.port, 4711);
	assert_string_equal(r.who.local.ip, "192.0.2.9");
	assert_int_equal(r.who.local.port, 443);
	close(fd);
	rig_drop(&r);
}

/* The new owner is told of single bytes again. */
static void test_the_socket_is_as_it_was(void **state)
{
	struct auto_door_opt opt = {.ssh = true, .wait_ms = LONG_MS};
	int value = 0, fd;
	socklen_t len = sizeof value;
	struct rig r;

	rig_make(&r, opt);
	fd = rig_visit(&r, STRANGER, STR("SS"));
	assert_int_equal(r.n_come, 0);
	say(fd, STR("H-"));
	rig_run(&r, 5000);
	assert_int_equal(r.n_come, 1);
	assert_int_equal(getsockopt(r.fd, SOL_SOCKET, SO_RCVLOWAT, &value, &len), 0);
	assert_int_equal(value, 1);
	assert_true(rig_has(&r, STR("SSH-")));
	close(fd);
	rig_drop(&r);
}

static uint64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Bytes that were looked at make a socket ready for ever; the loop must lie down all the same. */
static void test_a_stalled_word_costs_nothing(void **state)
{
	struct auto_door_opt opt = {.ssh = true, .wait_ms = LONG_MS};
	uint64_t before;
	struct rig r;
	int fd;

	rig_make(&r, opt);
	fd = rig_visit(&r, TRUSTED, STR("PROXY TCP4 192.0"));
	before = cpu_us();
	rig_run(&r, 300);
	assert_int_equal(auto_door_load(r.door), 1);
	assert_true(cpu_us() - before < 300 * 1000 / 4); /* it would be all of it */
	close(fd);
	rig_drop(&r);
}

static void test_who_leaves_is_not_waited_for(void **state)
{
	static const struct {
		struct str say;
		bool reset;
		int lines;
	} leavers[] = {{STR(""), false, 0}, {STR(""), true, 0}, {STR("PRO"), false, 1}};

	for (size_t i = 0; i < ARRAY_LEN(leavers); i++) {
		struct auto_door_opt opt = {.ssh = true, .silence_ms = LONG_MS, .wait_ms = LONG_MS};
		struct rig r;
		int fd;

		rig_make(&r, opt);
		fd = rig_visit(&r, STRANGER, leavers[i].say);
		assert_int_equal(auto_door_load(r.door), 1);
		net_close(fd, leavers[i].reset);
		for (int n = 0; n < 1000 && auto_door_load(r.door) > 0; n++)
			rig_run(&r, 5);
		assert_int_equal(auto_door_load(r.door), 0);
		assert_int_equal(r.n_come, 0);
		assert_int_equal(r.n_lines, leavers[i].lines);
		rig_drop(&r);
	}
}

static void test_the_oldest_makes_room(void **state)
{
	struct auto_door_opt opt = {.ssh = true, .waiting_max = 2, .silence_ms = LONG_MS};
	struct rig r;
	int fds[4];

	rig_make(&r, opt);
	fds[0] = rig_visit(&r, STRANGER, STR("PR"));
	fds[1] = rig_visit(&r, STRANGER, STR(""));
	assert_int_equal(r.n_come, 0);
	fds[2] = rig_visit(&r, STRANGER, STR(""));
	assert_true(is_closed(fds[0])); /* half a word is no SSH */
	assert_int_equal(r.n_come, 0);
	fds[3] = rig_visit(&r, STRANGER, STR(""));
	assert_int_equal(r.n_come, 1); /* silence may be */
	assert_int_equal(r.what, FIRST_SSH);
	assert_int_equal(auto_door_load(r.door), 2);
	auto_door_free(r.door);
	r.door = NULL;
	assert_true(is_closed(fds[2]) && is_closed(fds[3]));
	assert_int_equal(r.n_come, 1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	rig_drop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_both_ends_of_a_header),
		cmocka_unit_test(test_the_socket_is_as_it_was),
		cmocka_unit_test(test_a_stalled_word_costs_nothing),
		cmocka_unit_test(test_who_leaves_is_not_waited_for),
		cmocka_unit_test(test_the_oldest_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
