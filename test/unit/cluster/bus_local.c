/* The bus of workers: the suite, then strangers at its sockets and what dead processes leave. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "cluster/bus_local.h"
#include "suite/bus_suite.h"

#define SOON_MS 3000

static char dir[64];

static void local_begin(void)
{
	str_printf(dir, sizeof dir, "/tmp/karez-bus-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

/* Nothing is left but what was put there by the test. */
static void local_end(void)
{
	if (rmdir(dir) != 0)
		fail_msg("%s is not empty: %s", dir, strerror(errno));
}

static int local_make(struct ev *ev, struct log *log, const char *id, struct bus **out)
{
	return bus_local_new(ev, log, dir, id, out);
}

static const struct bus_maker local = {
	.name = "bus suite, local",
	.begin = local_begin,
	.end = local_end,
	.make = local_make,
};

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	str_printf(un.sun_path, sizeof un.sun_path, "%s/%s", dir, name);
	return un;
}

static bool there(const char *name)
{
	struct sockaddr_un un = address(name);

	return access(un.sun_path, F_OK) == 0;
}

/* A stranger at the socket of node 0 that says something and reads nothing. */
static int stranger(const char *says, size_t len)
{
	struct sockaddr_un un = address("0000000000000000.bus");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
	if (len > 0)
		assert_int_equal(write(fd, says, len), (ssize_t)len);
	return fd;
}

/* Has the other side closed? */
static bool hung_up(int fd)
{
	char bytes[4096];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		;
	return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void test_strangers(void **state)
{
#define HELLO(id) "\0\0\0\20" id
	static const struct {
		const char *why;
		struct str says;
	} cases[] = {
		{"an id that should wait to be called", STR(HELLO("0000000000000000"))},
		{"who is there already", STR(HELLO("0000000000000001"))},
		{"no id", STR(HELLO("0000000000 00002"))},
		{"an id in capitals", STR(HELLO("00000000000000FF"))},
		{"an id with a NUL", STR("\0\0\0\20"
					 "000000000000000\0")},
		{"a short id", STR("\0\0\0\17"
				   "000000000000002")},
		{"nothing, and that at length", STR("\0\0\0\0")},
		{"a message that is too large", STR(HELLO("00000000000000aa") "\0\0\300\1")},
		{"a message larger than memory", STR("\377\377\377\377")},
		{"HTTP", STR("GET / HTTP/1.1\r\n\r\n")},
		{"silence", STR("")},
		{"half an id", STR("\0\0\0\20"
				   "0000")},
	};
	struct bus_rig *t = *state;

	bus_rig_meet(t, 2);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		int fd = stranger(cases[i].says.p, cases[i].says.len);

		print_message("  %s\n", cases[i].why);
		bus_rig_until(t, 3 * BUS_BEAT_MS, hung_up(fd));
		close(fd);
	}
	for (size_t i = 0; i < t->nodes[0].n_heard; i++)
		assert_memory_equal(t->nodes[0].heard[i].bytes, "beat ", 5);
	assert_int_equal(bus_rig_send(&t->nodes[1], t->nodes[0].id, STR("still here")), 0);
	bus_rig_until(t, SOON_MS, bus_rig_heard(&t->nodes[0], STR("still here")) == 1);
	assert_int_equal(bus_rig_gone(&t->nodes[0], 1), 0);
}

/* Connections that say nothing are bounded, and leave room again. */
static void test_many_strangers(void **state)
{
	enum { N = BUS_LOCAL_PEERS_MAX + 20 };
	struct bus_rig *t = *state;
	int fds[N], n_open = 0;

	bus_rig_meet(t, 1);
	bus_rig_until(t, SOON_MS, t->nodes[0].up);
	for (int i = 0; i < N; i++)
		fds[i] = stranger("", 0);
	bus_rig_run(t, 200);
	for (int i = 0; i < N; i++)
		n_open += !hung_up(fds[i]);
	assert_int_equal(n_open, BUS_LOCAL_PEERS_MAX);
	for (int i = 0; i < N; i++)
		bus_rig_until(t, 3 * BUS_BEAT_MS, hung_up(fds[i]));
	bus_rig_come(t, 1);
	bus_rig_until(t, SOON_MS, bus_rig_knows(&t->nodes[0], 1));
	for (int i = 0; i < N; i++)
		close(fds[i]);
}

/* Who reads nothing fills up to the bound, and then it is cut: it is gone. */
static void test_who_does_not_read(void **state)
{
	static char big[BUS_MESSAGE_MAX];
	struct bus_rig *t = *state;
	struct bus_rig_node *n;
	int fd, e;

	bus_rig_meet(t, 1);
	n = &t->nodes[0];
	bus_rig_until(t, SOON_MS, n->up);
	fd = stranger(HELLO("00000000000000aa") "\0\0\0\2"
						"hi",
		      26);
	bus_rig_until(t, SOON_MS, bus_rig_heard(n, STR("hi")) == 1);
	while ((e = bus_rig_send(n, "00000000000000aa", (struct str){big, sizeof big})) == 0)
		;
	assert_int_equal(e, ERR_LIMIT);
	bus_rig_until(t, BUS_GONE_MS + 3 * BUS_BEAT_MS, n->n_gone == 1);
	assert_string_equal(n->gone[0], "00000000000000aa");
	close(fd);
}

/* A socket whose process has died, and files that are nobody's. */
static void test_what_the_dead_leave(void **state)
{
	struct bus_rig *t = *state;
	struct sockaddr_un un = address("0000000000000002.bus");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un other = address("readme");
	FILE *f = fopen(other.sun_path, "w");

	assert_non_null(f);
	fclose(f);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_true(there("0000000000000002.bus"));
	bus_rig_come(t, 3);
	bus_rig_until(t, SOON_MS, !there("0000000000000002.bus"));
	assert_int_equal(t->nodes[3].n_gone, 0);
	bus_rig_come(t, 1);
	bus_rig_until(t, SOON_MS, bus_rig_knows(&t->nodes[3], 1));
	assert_true(there("0000000000000003.bus") && !there("0000000000000003.new"));
	unlink(other.sun_path);
}

static void test_refused(void **state)
{
	static const struct {
		const char *why, *dir, *id;
		int want;
	} cases[] = {
		{"no id", dir, "", ERR_INVAL},
		{"a name", dir, "worker-1", ERR_INVAL},
		{"capitals", dir, "00000000000000AB", ERR_INVAL},
		{"a folder that is not there", "/nonexistent", "0000000000000001", ERR_REFUSED},
		{"a path that is too long",
		 "/tmp/"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaa",
		 "0000000000000001", ERR_TOOBIG},
	};
	struct bus_rig *t = *state;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct bus *bus = NULL;

		print_message("  %s\n", cases[i].why);
		assert_int_equal(bus_local_new(t->ev, &t->log, cases[i].dir, cases[i].id, &bus),
				 cases[i].want);
		assert_null(bus);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUS_RIG_TEST(&local, test_strangers),
		BUS_RIG_TEST(&local, test_many_strangers),
		BUS_RIG_TEST(&local, test_who_does_not_read),
		BUS_RIG_TEST(&local, test_what_the_dead_leave),
		BUS_RIG_TEST(&local, test_refused),
	};

	return bus_suite(&local) + cmocka_run_group_tests_name("local bus", tests, NULL, NULL);
}
