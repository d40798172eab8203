/* One process for each file, and an answer to whoever may ask. */
#include "app/karez_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

struct desk {
	struct ev *ev;
	struct log log;
	char run[32], socket[STATUS_PLACE_TEXT], lock[STATUS_PLACE_TEXT];
	struct cli_options set;
	struct karez_status *status;
	struct ev_io *io;
	int fd; /* of who asks */
	size_t told;
	char answer[1000];
	size_t len;
};

static int desk_tell(void *arg, struct json **out)
{
	((struct desk *)arg)->told++;
	return json_new_object(out);
}

static int desk_open(struct desk *d, struct karez_status **out, char why[KAREZ_STATUS_WHY])
{
	struct karez_status_opt opt = {
		.set = &d->set, .file = "/f.yaml", .log = &d->log, .tell = desk_tell, .arg = d};

	return karez_status_open(d->ev, &opt, out, why);
}

static int setup(void **state)
{
	struct desk *d = calloc(1, sizeof *d);

	assert_non_null(d);
	d->fd = -1;
	str_printf(d->run, sizeof d->run, "/tmp/karez-desk-XXXXXX");
	assert_non_null(mkdtemp(d->run));
	assert_int_equal(setenv("XDG_RUNTIME_DIR", d->run, 1), 0);
	assert_int_equal(status_place(&d->set, 0, "/f.yaml", d->socket, d->lock), 0);
	assert_int_equal(ev_new(&d->ev), 0);
	log_init_stderr(&d->log, LOG_ERROR);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct desk *d = *state;
	char dir[64];

	ev_io_free(d->io);
	if (d->fd >= 0)
		close(d->fd);
	karez_status_close(d->status);
	ev_free(d->ev);
	str_printf(dir, sizeof dir, "%s/karez", d->run);
	unlink(d->lock);
	unlink(d->socket);
	rmdir(dir);
	assert_int_equal(rmdir(d->run), 0); /* nothing else was left */
	free(d);
	return 0;
}

static void desk_on_ready(void *arg, int events)
{
	struct desk *d = arg;
	ssize_t n = recv(d->fd, d->answer + d->len, sizeof d->answer - 1 - d->len, MSG_DONTWAIT);

	if (n > 0)
		d->len += (size_t)n;
	else
		ev_stop(d->ev);
}

/* Ask, and keep what comes up to the end. */
static void desk_ask(struct desk *d, const char *request)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	d->len = 0;
	memset(d->answer, 0, sizeof d->answer);
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(d->fd >= 0);
	assert_int_equal(str_copy(un.sun_path, sizeof un.sun_path, str_of(d->socket)), 0);
	assert_int_equal(connect(d->fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(send(d->fd, request, strlen(request), 0), strlen(request));
	assert_int_equal(ev_io_new(d->ev, d->fd, desk_on_ready, d, &d->io), 0);
	ev_io_want(d->io, EV_READ);
	ev_run(d->ev);
	ev_io_free(d->io);
	d->io = NULL;
	close(d->fd);
	d->fd = -1;
}

#define END " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void test_questions(void **state)
{
	static const struct {
		const char *why, *request, *status;
		size_t told;
	} cases[] = {
		{"how it is doing", "GET /v1/status" END, "HTTP/1.1 200 ", 1},
		{"the same without a body", "HEAD /v1/status" END, "HTTP/1.1 200 ", 1},
		{"something else", "GET /" END, "HTTP/1.1 404 ", 0},
		{"to do something", "POST /v1/status" END, "HTTP/1.1 405 ", 0},
		{"no HTTP", "hello\r\n\r\n", "HTTP/1.1 400 ", 0},
	};
	struct desk *d = *state;
	char why[KAREZ_STATUS_WHY];
	struct stat st;

	assert_int_equal(desk_open(d, &d->status, why), 0);
	assert_int_equal(stat(d->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		d->told = 0;
		desk_ask(d, cases[i].request);
		if (strncmp(d->answer, cases[i].status, strlen(cases[i].status)) != 0)
			fail_msg("%s: %s", cases[i].why, d->answer);
		assert_int_equal(d->told, cases[i].told);
	}
}

static void test_one_for_each_file(void **state)
{
	struct desk *d = *state;
	struct karez_status *second;
	char why[KAREZ_STATUS_WHY], pid[32];

	assert_int_equal(desk_open(d, &d->status, why), 0);
	assert_int_equal(desk_open(d, &second, why), ERR_INUSE);
	assert_null(second);
	str_printf(pid, sizeof pid, "process %ld;", (long)getpid());
	assert_non_null(strstr(why, pid));
	desk_ask(d, "GET /v1/status" END); /* the first one is none the worse */
	assert_int_equal(d->told, 1);
	karez_status_close(d->status);
	d->status = NULL;
	assert_int_equal(access(d->socket, F_OK), -1);
	assert_int_equal(desk_open(d, &d->status, why), 0);
}

/* A process that was killed leaves both files, and nobody has the lock. */
static void test_what_a_dead_one_left(void **state)
{
	struct desk *d = *state;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char why[KAREZ_STATUS_WHY];

	assert_int_equal(desk_open(d, &d->status, why), 0);
	karez_status_close(d->status);
	d->status = NULL;
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(str_copy(un.sun_path, sizeof un.sun_path, str_of(d->socket)), 0);
	assert_int_equal(bind(d->fd, (struct sockaddr *)&un, sizeof un), 0);
	close(d->fd);
	d->fd = -1;
	assert_int_equal(desk_open(d, &d->status, why), 0);
	desk_ask(d, "GET /v1/status" END);
	assert_int_equal(d->told, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_for_each_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_a_dead_one_left, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
