/* Sockets by their addresses: as text for another process, and what a service manager has opened.
 */
#include "app/socket_table.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "net/net_listen.h"

static const struct {
	const char *why, *text;
	int want;
	size_t n;
} texts[] = {
	{"nothing", "", 0, 0},
	{"one", "7=127.0.0.1:80\n", 0, 1},
	{"port 0, which became another one", "7=127.0.0.1:0\n", 0, 1},
	{"every kind", "7=0.0.0.0:80\n8=[::]:80\n9=unix:/run/a,b=c\n10+unix:/run/x\n", 0, 4},
	{"one address twice", "7=127.0.0.1:0\n8=127.0.0.1:0\n", 0, 2},
	{"one descriptor twice", "7=127.0.0.1:80\n7=127.0.0.1:81\n", ERR_PROTO, 0},
	{"standard error", "2=127.0.0.1:80\n", ERR_PROTO, 0},
	{"no descriptor", "=127.0.0.1:80\n", ERR_PROTO, 0},
	{"no number", "x=127.0.0.1:80\n", ERR_PROTO, 0},
	{"a number that is none of descriptors", "99999999999=127.0.0.1:80\n", ERR_PROTO, 0},
	{"no address", "7=\n", ERR_PROTO, 0},
	{"an address written otherwise", "7=:80\n", ERR_PROTO, 0},
	{"no end of the line", "7=127.0.0.1:80", ERR_PROTO, 0},
	{"an empty line", "\n", ERR_PROTO, 0},
	{"something behind", "7=127.0.0.1:80\nx\n", ERR_PROTO, 0},
};

static void test_text(void **state)
{
	struct socket_table t;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char *again;

		if (socket_table_parse(str_of(texts[i].text), &t) != texts[i].want ||
		    t.n != texts[i].n)
			fail_msg("%s", texts[i].why);
		if (texts[i].want != 0)
			continue;
		assert_non_null(again = socket_table_format(&t));
		assert_string_equal(again, texts[i].text);
		free(again);
	}
}

static void test_no_more_than_the_table_holds(void **state)
{
	struct socket_table t = {.n = 0};
	char *text;

	for (int i = 0; i < SOCKET_TABLE_MAX; i++)
		assert_int_equal(socket_table_add(&t, 3 + i, false, "[::1]:65535"), 0);
	assert_int_equal(socket_table_add(&t, 9999, false, "[::1]:1"), ERR_LIMIT);
	assert_non_null(text = socket_table_format(&t));
	assert_int_equal(socket_table_parse(str_of(text), &t), 0);
	assert_int_equal(t.n, SOCKET_TABLE_MAX);
	free(text);
}

static struct net_addr address(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_addr_parse(str_of(text), &a), 0);
	return a;
}

static void test_each_is_taken_once(void **state)
{
	struct net_addr any = address("127.0.0.1:0"), path = address("unix:/run/x");
	struct net_addr other = address("127.0.0.1:1");
	struct socket_table t;
	bool foreign;

	assert_int_equal(socket_table_parse(STR("7=127.0.0.1:0\n8+unix:/run/x\n9=127.0.0.1:0\n"),
					    &t),
			 0);
	assert_int_equal(socket_table_take(&t, &other, NULL), 0);
	assert_int_equal(socket_table_take(&t, &any, &foreign), 7);
	assert_false(foreign);
	assert_int_equal(socket_table_take(&t, &path, &foreign), 8);
	assert_true(foreign);
	assert_false(socket_table_has(&t, 7));
	assert_true(socket_table_has(&t, 9));
	assert_int_equal(socket_table_take(&t, &any, NULL), 9);
	assert_int_equal(socket_table_take(&t, &any, NULL), 0);
	assert_int_equal(t.n, 0);
}

static int open_at(const char *text)
{
	struct net_listen_opt opt = {.addr = address(text)};
	int fd;

	assert_int_equal(net_listen_open(&opt, &fd), 0);
	return fd;
}

static void test_what_is_kept_stays_open(void **state)
{
	char dir[] = "/tmp/karez-table-XXXXXX", ours[64], theirs[64];
	struct socket_table t = {.n = 0}, keep = {.n = 0};
	int a, b, c;

	assert_non_null(mkdtemp(dir));
	str_printf(ours, sizeof ours, "unix:%s/ours", dir);
	str_printf(theirs, sizeof theirs, "unix:%s/theirs", dir);
	a = open_at("127.0.0.1:0");
	b = open_at(ours);
	c = open_at(theirs);
	assert_int_equal(socket_table_add(&t, a, false, "127.0.0.1:0"), 0);
	assert_int_equal(socket_table_add(&t, b, false, ours), 0);
	assert_int_equal(socket_table_add(&t, c, true, theirs), 0);
	assert_int_equal(socket_table_add(&keep, a, false, "127.0.0.1:0"), 0);
	socket_table_close(&t, &keep);
	assert_int_equal(t.n, 0);
	assert_true(fcntl(a, F_GETFD) >= 0);
	assert_true(fcntl(b, F_GETFD) < 0 && fcntl(c, F_GETFD) < 0);
	assert_int_not_equal(access(ours + 5, F_OK), 0); /* gone with its socket */
	assert_int_equal(access(theirs + 5, F_OK), 0);	 /* not ours to remove */
	socket_table_close(&keep, NULL);
	assert_true(fcntl(a, F_GETFD) < 0);
	unlink(theirs + 5);
	rmdir(dir);
}

static void test_only_who_is_told_to_inherits(void **state)
{
	struct socket_table t = {.n = 0};
	int fd = open_at("127.0.0.1:0");

	assert_int_equal(socket_table_add(&t, fd, false, "127.0.0.1:0"), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	socket_table_inherit(&t, true);
	assert_false(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	socket_table_inherit(&t, false);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	socket_table_close(&t, NULL);
}

/* Descriptor 3 is the first one of a service manager. */
static void test_of_a_service_manager(void **state)
{
	char pid[16], why[SOCKET_TABLE_WHY], text[NET_ADDR_TEXT];
	int kept = fcntl(3, F_DUPFD_CLOEXEC, 50), fd = open_at("127.0.0.1:0");
	struct socket_table t = {.n = 0};
	struct net_addr addr;

	str_printf(pid, sizeof pid, "%d", (int)getpid());
	assert_int_equal(dup2(fd, 3), 3);
	assert_int_equal(socket_table_activate(&t, NULL, "1", why), 0);
	assert_int_equal(socket_table_activate(&t, "1", "1", why), 0); /* another process's */
	assert_int_equal(t.n, 0);
	assert_int_equal(socket_table_activate(&t, pid, "many", why), ERR_INVAL);
	assert_non_null(strstr(why, "LISTEN_FDS"));
	assert_int_equal(socket_table_activate(&t, pid, "1", why), 0);
	assert_int_equal(t.n, 1);
	assert_true(t.v[0].foreign && t.v[0].fd == 3);
	assert_int_equal(net_listen_adopt(3, &addr), 0);
	assert_string_equal(t.v[0].addr, net_addr_format(&addr, text));
	assert_true(fcntl(3, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(3, F_GETFL) & O_NONBLOCK);
	t.n = 0;
	assert_int_equal(dup2(STDERR_FILENO, 3), 3);
	assert_int_equal(socket_table_activate(&t, pid, "1", why), ERR_INVAL);
	assert_non_null(strstr(why, "descriptor 3"));
	close(fd);
	if (kept >= 0) {
		dup2(kept, 3);
		close(kept);
	} else {
		close(3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_no_more_than_the_table_holds),
		cmocka_unit_test(test_each_is_taken_once),
		cmocka_unit_test(test_what_is_kept_stays_open),
		cmocka_unit_test(test_only_who_is_told_to_inherits),
		cmocka_unit_test(test_of_a_service_manager),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
