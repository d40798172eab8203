/* The hop over real sockets on loopback: TLS by the cluster's key, and unix sockets of one user. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "cluster/hop.h"
#include "cluster/hop_socket.h"

#define BODY (3 * 1024 * 1024)

static const uint8_t key_one[ROSTER_KEY_LEN] = "the key of one cluster, 32 bytes",
		     key_two[ROSTER_KEY_LEN] = "the key of another, 32 bytes too";

struct scene {
	struct ev *ev;
	struct hop *a, *b;
	struct hop_peer *peer;
	struct log log;
	char lines[8192];
	size_t lines_len;
	char dir[32], path[64];
	struct roster_node b_says;
	struct wire *sent, *served;
	size_t to_send, got;
	bool shut, eof;
	int why; /* what was sent broke with */
	struct ev_timer tick;
	uint64_t deadline_ms;
	bool (*until)(struct scene *s);
};

static void scene_on_line(void *arg, enum log_level level, const char *line, size_t len)
{
	struct scene *s = arg;

	if (s->lines_len + len + 2 > sizeof s->lines)
		return;
	memcpy(s->lines + s->lines_len, line, len);
	s->lines_len += len;
	s->lines[s->lines_len++] = '\n';
}

/* ---- what is sent, and what arrives ---- */

static void sent_on_ready(void *arg, struct wire *w, int events)
{
	static const char block[100000];
	struct scene *s = arg;
	size_t taken = 1;

	while (s->to_send > 0 && taken > 0) {
		struct iovec iov = {(void *)(uintptr_t)block, MIN(sizeof block, s->to_send)};

		if (wire_write(w, &iov, 1, &taken) != 0)
			return;
		s->to_send -= taken;
	}
	if (s->to_send == 0 && !s->shut) {
		s->shut = true;
		wire_shut(w);
	}
	wire_want(w, s->to_send > 0 ? WIRE_WRITE : 0);
}

static void sent_on_broken(void *arg, struct wire *w, int why)
{
	((struct scene *)arg)->why = why;
}

static const struct wire_owner sent_owner = {sent_on_ready, sent_on_broken};

static void served_on_ready(void *arg, struct wire *w, int events)
{
	struct scene *s = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, 1 << 20, &in)) == 0)
		s->got += in.len;
	if (e == ERR_EOF) {
		s->eof = true;
		wire_want(w, 0);
	}
}

static void served_on_broken(void *arg, struct wire *w, int why)
{
}

static const struct wire_owner served_owner = {served_on_ready, served_on_broken};

static void scene_on_visit(void *arg, const struct visit *visit, struct wire *w)
{
	struct scene *s = arg;

	assert_null(s->served);
	s->served = w;
	wire_own(w, &served_owner, s);
	wire_want(w, WIRE_READ);
}

static void scene_on_state(void *arg, struct hop_peer *p, enum peer_state state)
{
}

/* ---- the scene ---- */

static void scene_on_tick(void *arg)
{
	struct scene *s = arg;

	if (s->until(s) || ev_now_ms(s->ev) > s->deadline_ms)
		ev_stop(s->ev);
	else
		ev_timer_set(s->ev, &s->tick, 1);
}

static void scene_run(struct scene *s, bool (*until)(struct scene *s))
{
	s->until = until;
	s->deadline_ms = ev_now_ms(s->ev) + 20000;
	ev_timer_set(s->ev, &s->tick, 1);
	ev_run(s->ev);
	if (!until(s))
		fail_msg("it never comes; the log: %s", s->lines);
}

static bool until_eof(struct scene *s)
{
	return s->eof;
}

static bool until_broken(struct scene *s)
{
	return s->why != 0;
}

static bool until_refused(struct scene *s)
{
	return strstr(s->lines, "event=hop-refused") != NULL;
}

static void scene_open(struct scene *s, const uint8_t *key_a, const uint8_t *key_b, bool local)
{
	struct hop_opt opt = {.log = &s->log,
			      .net = &hop_socket,
			      .self = "aaaaaaaaaaaaaaaa",
			      .key = key_a,
			      .machine = local ? "one" : "",
			      .window_total = 1 << 26,
			      .visit = scene_on_visit,
			      .state = scene_on_state,
			      .arg = s};
	struct net_addr addr;
	uint16_t port = 0;

	*s = (struct scene){.dir = "/tmp/karez-hop-XXXXXX"};
	s->log = (struct log){.level = LOG_INFO, .write = scene_on_line, .arg = s};
	s->tick = (struct ev_timer){.fn = scene_on_tick, .arg = s};
	assert_non_null(mkdtemp(s->dir));
	str_printf(s->path, sizeof s->path, "%s/b.hop", s->dir);
	assert_int_equal(ev_new(&s->ev), 0);
	assert_int_equal(hop_new(s->ev, &opt, &s->a), 0);
	opt.self = "bbbbbbbbbbbbbbbb";
	opt.key = key_b;
	assert_int_equal(hop_new(s->ev, &opt, &s->b), 0);
	assert_int_equal(net_addr_parse(STR("127.0.0.1:0"), &addr), 0);
	assert_int_equal(hop_listen(s->b, &addr, &port), key_b == NULL ? ERR_INVAL : 0);
	assert_int_equal(hop_listen_local(s->b, s->path), 0);
	str_printf(s->b_says.id, sizeof s->b_says.id, "bbbbbbbbbbbbbbbb");
	str_printf(s->b_says.hop, sizeof s->b_says.hop, "127.0.0.1:%u", port);
	str_printf(s->b_says.local, sizeof s->b_says.local, "%s", s->path);
	str_printf(s->b_says.machine, sizeof s->b_says.machine, "%s", local ? "one" : "");
	assert_int_equal(hop_peer_new(s->a, &s->b_says, NULL, &s->peer), 0);
}

static void scene_visit(struct scene *s, size_t to_send)
{
	struct visit v = {.ingress = VISIT_TCP, .tunnel = "demo"};

	assert_int_equal(visit_via_add(&v, "aaaaaaaaaaaaaaaa"), 0);
	assert_int_equal(hop_peer_open(s->peer, &v, &s->sent), 0);
	s->to_send = to_send;
	wire_own(s->sent, &sent_owner, s);
	wire_want(s->sent, WIRE_WRITE);
}

static void scene_close(struct scene *s)
{
	wire_close(s->sent, s->why);
	wire_close(s->served, 0);
	hop_peer_free(s->peer);
	hop_free(s->a);
	hop_free(s->b);
	ev_timer_stop(s->ev, &s->tick);
	ev_free(s->ev);
	assert_int_equal(access(s->path, F_OK), -1); /* the listener takes it away */
	assert_int_equal(rmdir(s->dir), 0);
}

static void test_carries(void **state)
{
	static const struct {
		const char *why;
		const uint8_t *key;
		bool local;
		const char *logged;
	} cases[] = {
		{"by TLS over TCP", key_one, false, "event=hop-accepted peer=127.0.0.1:"},
		{"by a unix socket, though there is a key", key_one, true,
		 "event=hop-accepted peer=local"},
		{"by a unix socket, without a key", NULL, true, "event=hop-accepted peer=local"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scene s;
		struct stat st;

		scene_open(&s, cases[i].key, cases[i].key, cases[i].local);
		assert_int_equal(stat(s.path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		scene_visit(&s, BODY);
		scene_run(&s, until_eof);
		assert_int_equal(s.got, BODY);
		if (strstr(s.lines, cases[i].logged) == NULL)
			fail_msg("%s: %s", cases[i].why, s.lines);
		scene_close(&s);
	}
}

static void test_another_cluster(void **state)
{
	struct scene s;

	scene_open(&s, key_one, key_two, false);
	scene_visit(&s, 100);
	scene_run(&s, until_broken);
	assert_int_equal(s.why, ERR_NOSESSION);
	scene_run(&s, until_refused);
	assert_non_null(strstr(s.lines, "why=TLS"));
	assert_null(s.served);
	scene_close(&s);
}

static void test_nobody_listens(void **state)
{
	struct scene s;

	scene_open(&s, key_one, key_one, false);
	hop_peer_free(s.peer);
	str_printf(s.b_says.hop, sizeof s.b_says.hop, "127.0.0.1:1");
	assert_int_equal(hop_peer_new(s.a, &s.b_says, NULL, &s.peer), 0);
	scene_visit(&s, 100);
	scene_run(&s, until_broken);
	assert_int_equal(s.why, ERR_NOSESSION);
	assert_non_null(strstr(s.lines, "why=REFUSED"));
	scene_close(&s);
}

/* A stranger connects and says something that is not TLS. */
static void test_no_tls(void **state)
{
	static const char hello[] = "GET / HTTP/1.1\r\n\r\n";
	struct net_addr addr;
	struct scene s;
	int fd;

	scene_open(&s, key_one, key_one, false);
	assert_int_equal(net_addr_parse(str_of(s.b_says.hop), &addr), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, &addr.sa, addr.len), 0);
	assert_int_equal(write(fd, hello, sizeof hello), sizeof hello);
	scene_run(&s, until_refused);
	assert_non_null(strstr(s.lines, "why=TLS"));
	close(fd);
	scene_close(&s);
}

/* Another user's process finds the socket open all the same. Needs to be root. */
static void test_another_user(void **state)
{
	struct net_addr addr = {.len = 0};
	struct scene s;
	char text[80];
	int status = -1;
	pid_t child;

	if (geteuid() != 0)
		skip();
	scene_open(&s, key_one, key_one, true);
	assert_int_equal(chmod(s.dir, 0755), 0);
	assert_int_equal(chmod(s.path, 0666), 0);
	str_printf(text, sizeof text, "unix:%s", s.path);
	assert_int_equal(net_addr_parse(str_of(text), &addr), 0);
	if ((child = fork()) == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		char c;

		if (setuid(65534) != 0 || connect(fd, &addr.sa, addr.len) != 0)
			_exit(1);
		_exit(read(fd, &c, 1) <= 0 ? 0 : 2);
	}
	assert_true(child > 0);
	scene_run(&s, until_refused);
	assert_non_null(strstr(s.lines, "peer=local node=? why=DENIED"));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	scene_close(&s);
}

static void test_bad_places(void **state)
{
	static const struct {
		const char *why, *addr;
		bool local;
	} cases[] = {
		{"a name", "node.example:99", false},
		{"no port", "192.0.2.1", false},
		{"port 0", "192.0.2.1:0", false},
		{"a path where an address should be", "unix:/x", false},
		{"no path", "x", true},
		{"nothing", "", true},
	};
	struct hop_end_opt opt = {.self = "aaaaaaaaaaaaaaaa", .key = key_one};
	struct hop_end *end;
	struct ev *ev;

	assert_int_equal(ev_new(&ev), 0);
	assert_int_equal(hop_socket.open(&hop_socket, ev, &opt, &end), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hop_dial_opt dial = {.addr = cases[i].addr, .local = cases[i].local};
		struct hop_dial *d;

		if (hop_end_dial(end, &dial, &d) != ERR_INVAL)
			fail_msg("%s", cases[i].why);
	}
	hop_end_close(end);
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_carries),	       cmocka_unit_test(test_another_cluster),
		cmocka_unit_test(test_nobody_listens), cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_another_user),   cmocka_unit_test(test_bad_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
