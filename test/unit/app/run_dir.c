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
	int held;

	assert_non_null(mkdtemp(base));
	str_printf(several, sizeof several, "%s:/nowhere", base);
	setenv("RUNTIME_DIRECTORY", several, 1);
	assert_int_equal(run_dir_make("/nowhere", dir, &held, why), 0);
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
	close(held);
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
	int held;

	assert_non_null(mkdtemp(base));
	str_printf(longer, sizeof longer, "%s/%060d", base, 0);
	assert_int_equal(mkdir(longer, 0700), 0);
	setenv("RUNTIME_DIRECTORY", longer, 1);
	setenv("XDG_RUNTIME_DIR", base, 1);
	assert_int_equal(run_dir_make("/nowhere", dir, &held, why), 0);
	assert_false(str_starts(str_of(dir), str_of(longer)));
	assert_true(str_starts(str_of(dir), str_of(base)));
	run_dir_remove(dir);
	close(held);
	unsetenv("RUNTIME_DIRECTORY");
	unsetenv("XDG_RUNTIME_DIR");
	rmdir(longer);
	rmdir(base);
}

static bool is_there(const char *dir)
{
	struct stat st;

	return stat(dir, &st) == 0;
}

/* What a killed supervisor leaves goes; what somebody has, or is none of ours, stays. */
static void test_leftovers(void **state)
{
	char base[] = "/tmp/karez-run-XXXXXX", dir[WORKER_DIR_TEXT], other[WORKER_DIR_TEXT];
	char why[SOCKET_TABLE_WHY], strange[64], name[64], link[64];
	int held, more, inherited;

	assert_non_null(mkdtemp(base));
	str_printf(strange, sizeof strange, "%s/karez-abcdef", base);
	str_printf(name, sizeof name, "%s/karez-abcdefg", base);
	str_printf(link, sizeof link, "%s/karez-ghijkl", base);
	assert_int_equal(mkdir(strange, 0700), 0);
	assert_int_equal(mkdir(name, 0700), 0);
	setenv("RUNTIME_DIRECTORY", base, 1);
	assert_int_equal(run_dir_make("/nowhere", dir, &held, why), 0);
	assert_int_equal(symlink(dir, link), 0);
	assert_int_equal(run_dir_make("/nowhere", other, &more, why), 0);
	assert_true(is_there(dir)); /* it lives */
	inherited = dup(held);	    /* as a worker has it */
	close(held);
	run_dir_sweep("/nowhere");
	assert_true(is_there(dir)); /* the supervisor is dead, its worker drains */
	close(inherited);
	run_dir_sweep("/nowhere");
	assert_false(is_there(dir));
	assert_true(is_there(other));
	assert_true(is_there(strange)); /* no lock: it is being made, or not ours */
	assert_true(is_there(name));
	run_dir_remove(other);
	close(more);
	unlink(link);
	rmdir(strange);
	rmdir(name);
	unsetenv("RUNTIME_DIRECTORY");
	assert_int_equal(rmdir(base), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_a_long_path_is_passed_over),
		cmocka_unit_test(test_leftovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
