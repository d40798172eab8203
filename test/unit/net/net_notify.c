/* What a service manager hears of us. */
#include "net/net_notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

/* A manager that listens at a name as NOTIFY_SOCKET has it. */
static int manager_new(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(name);

	assert_true(fd >= 0);
	memcpy(at.sun_path, name, len);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	return fd;
}

static void hears(const char *name)
{
	char got[64];
	int fd = manager_new(name);

	assert_int_equal(net_notify(name, STR("READY=1\nSTATUS=3 services")), 0);
	assert_int_equal(recv(fd, got, sizeof got, MSG_DONTWAIT), 25);
	assert_memory_equal(got, "READY=1\nSTATUS=3 services", 25);
	close(fd);
}

static void test_a_path(void **state)
{
	char dir[] = "/tmp/karez-notify-XXXXXX", name[64];

	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof name, "%s/notify", dir);
	hears(name);
	/* nobody is there any more */
	assert_int_equal(net_notify(name, STR("STOPPING=1")), ERR_REFUSED);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(net_notify(name, STR("STOPPING=1")), ERR_REFUSED);
	assert_int_equal(rmdir(dir), 0);
}

static void test_an_abstract_name(void **state)
{
	char name[64];

	snprintf(name, sizeof name, "@karez-notify-%ld", (long)getpid());
	hears(name);
}

static void test_nobody_wants_to_know(void **state)
{
	assert_int_equal(net_notify(NULL, STR("READY=1")), 0);
	assert_int_equal(net_notify("", STR("READY=1")), 0);
}

static void test_what_is_no_such_socket(void **state)
{
	char longest[256];

	assert_int_equal(net_notify("vsock:2:1234", STR("READY=1")), ERR_UNSUPPORTED);
	assert_int_equal(net_notify("relative", STR("READY=1")), ERR_UNSUPPORTED);
	memset(longest, 'a', sizeof longest - 1);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(net_notify(longest, STR("READY=1")), ERR_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_path),
		cmocka_unit_test(test_an_abstract_name),
		cmocka_unit_test(test_nobody_wants_to_know),
		cmocka_unit_test(test_what_is_no_such_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
