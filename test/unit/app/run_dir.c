/* The directory of workers: private, short, and gone at the end. */
#include "app/run_dir.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static void test_life(void **state)
{
	char base[] = "/tmp/karez-run-XXXXXX", dir[WORKER_DIR_TEXT], path[RUN_DIR_FILE_TEXT];
	char why[SOCKET_TABLE_WHY], several[64];
	struct stat st;

	assert_non_null(mkdtemp(base));
	str_printf(several, sizeof several, "%s:/nowhere", base);
	setenv("RUNTIME_DIRECTORY", several, 1);
	assert_int_equal(run_dir_make("/nowhere", dir, why), 0);
	assert_true(str_starts(str_of(dir), str_of(base)));
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	str_printf(path, sizeof path, "%s/" WORKER_KEY_FILE, dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, WORKER_KEY_LEN);
	run_dir_config(dir, 12, path);
	assert_non_null(strstr(path, "/config-12.yaml"));
	assert_int_equal(run_dir_write(path, STR("a: 1\n")), 0);
	assert_int_equal(run_dir_write(path, STR("")), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	run_dir_remove(dir);
	assert_int_not_equal(stat(dir, &st), 0);
	run_dir_remove("");
	unsetenv("RUNTIME_DIRECTORY");
	rmdir(base);
}

/* Paths of sockets must fit into an address. */
static void test_a_long_path_is_passed_over(void **state)
{
	char base[] = "/tmp/karez-run-XXXXXX", longer[200], dir[WORKER_DIR_TEXT];
	char why[SOCKET_TABLE_WHY];

	assert_non_null(mkdtemp(base));
	str_printf(longer, sizeof longer, "%s/%060d", base, 0);
	assert_int_equal(mkdir(longer, 0700), 0);
	setenv("RUNTIME_DIRECTORY", longer, 1);
	setenv("XDG_RUNTIME_DIR", base, 1);
	assert_int_equal(run_dir_make("/nowhere", dir, why), 0);
	assert_false(str_starts(str_of(dir), str_of(longer)));
	assert_true(str_starts(str_of(dir), str_of(base)));
	run_dir_remove(dir);
	unsetenv("RUNTIME_DIRECTORY");
	unsetenv("XDG_RUNTIME_DIR");
	rmdir(longer);
	rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_a_long_path_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
