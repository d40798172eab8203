/* Who serves from a directory, and what is believed of a file that is left. */
#include "app/pid_file.h"

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

struct place {
	char dir[32], state[64], path[96], why[PID_FILE_TEXT];
};

static int place_open(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	str_printf(p->dir, sizeof p->dir, "/tmp/karez-pid-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	str_printf(p->state, sizeof p->state, "%s/a/state", p->dir);
	str_printf(p->path, sizeof p->path, "%s/karezd.pid", p->state);
	*state = p;
	return 0;
}

static int place_close(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	rmdir(p->state);
	str_printf(p->path, sizeof p->path, "%s/a", p->dir);
	rmdir(p->path);
	rmdir(p->dir);
	free(p);
	return 0;
}

static void test_one_process_has_it(void **state)
{
	struct place *p = *state;
	struct pid_file mine = {.fd = -1}, other = {.fd = -1};
	struct pid_found found;

	assert_int_equal(pid_file_find(p->state, &found, p->why), ERR_NOTFOUND);
	assert_non_null(strstr(p->why, p->path));
	assert_int_equal(pid_file_take(&mine, p->state, p->why), 0);
	assert_int_equal(pid_file_take(&other, p->state, p->why), ERR_INUSE);
	assert_non_null(strstr(p->why, p->path));
	assert_int_equal(pid_file_find(p->state, &found, p->why), 0);
	assert_int_equal(found.pid, getpid());
	assert_int_equal(found.n_reloads, 0);
	pid_file_tell(&mine, "the file x:3 is\nwrong");
	assert_int_equal(pid_file_again(&found), 0);
	assert_int_equal(found.n_reloads, 1);
	assert_string_equal(found.result, "the file x:3 is wrong"); /* one line */
	pid_file_tell(&mine, "ok");
	assert_int_equal(pid_file_again(&found), 0);
	assert_int_equal(found.n_reloads, 2);
	assert_string_equal(found.result, "ok");
	pid_file_drop(&mine);
	assert_int_equal(pid_file_again(&found), ERR_NOTFOUND);
	pid_file_wait(&found);
	pid_file_close(&found);
	assert_int_not_equal(access(p->path, F_OK), 0);
	assert_int_equal(pid_file_take(&other, p->state, p->why), 0);
	pid_file_drop(&other);
}

static void test_what_a_crash_leaves(void **state)
{
	struct place *p = *state;
	struct pid_file mine = {.fd = -1};
	struct pid_found found;

	assert_int_equal(pid_file_take(&mine, p->state, p->why), 0);
	close(mine.fd); /* as the kernel does; the file stays */
	assert_int_equal(access(p->path, F_OK), 0);
	assert_int_equal(pid_file_find(p->state, &found, p->why), ERR_NOTFOUND);
	mine.fd = -1;
	assert_int_equal(pid_file_take(&mine, p->state, p->why), 0);
	pid_file_drop(&mine);
}

static void test_a_file_of_something_else(void **state)
{
	static const char *const texts[] = {"",		"x\n0 ok\n", "0\n0 ok\n", "12\n",
					    "12\nok\n", "12\n0\n",   "-1\n0 ok\n"};
	struct place *p = *state;
	struct pid_file mine = {.fd = -1};
	struct pid_found found;

	assert_int_equal(pid_file_take(&mine, p->state, p->why), 0);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(ftruncate(mine.fd, 0), 0);
		assert_int_equal(pwrite(mine.fd, texts[i], strlen(texts[i]), 0), strlen(texts[i]));
		if (pid_file_find(p->state, &found, p->why) != ERR_PROTO)
			fail_msg("\"%s\" is believed", texts[i]);
		assert_int_equal(found.fd, -1);
	}
	pid_file_drop(&mine);
}

static void test_a_directory_that_cannot_be(void **state)
{
	struct place *p = *state;
	struct pid_file mine = {.fd = -1};
	char *dir = calloc(1, PID_FILE_PATH + 1);

	assert_int_equal(pid_file_take(&mine, "/dev/null/a", p->why), ERR_IO);
	assert_non_null(strstr(p->why, "/dev/null/a/karezd.pid"));
	memset(dir, 'a', PID_FILE_PATH);
	assert_int_equal(pid_file_take(&mine, dir, p->why), ERR_TOOBIG);
	free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_process_has_it, place_open, place_close),
		cmocka_unit_test_setup_teardown(test_what_a_crash_leaves, place_open, place_close),
		cmocka_unit_test_setup_teardown(test_a_file_of_something_else, place_open,
						place_close),
		cmocka_unit_test_setup_teardown(test_a_directory_that_cannot_be, place_open,
						place_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
