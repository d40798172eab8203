/* One file, one socket, whatever way leads to it; a link that is turned makes no difference. */
#include "cli/status_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static void test_ways_to_a_file(void **state)
{
	static const struct {
		const char *why, *path;
		bool same;
	} cases[] = {
		{"the same words", "%s/dir/a.json", true},
		{"a link to its folder", "%s/link/a.json", true},
		{"around a corner", "%s/dir/../dir/./a.json", true},
		{"another file", "%s/dir/b.json", false},
		{"another folder", "%s/a.json", false},
	};
	char base[] = "/tmp/karez-place-XXXXXX", dir[64], link[64], file[128];
	char first[STATUS_PLACE_TEXT], sock[STATUS_PLACE_TEXT], lock[STATUS_PLACE_TEXT];
	struct cli_options set = {0};

	assert_non_null(mkdtemp(base));
	str_printf(dir, sizeof dir, "%s/dir", base);
	str_printf(link, sizeof link, "%s/link", base);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(symlink("dir", link), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/1", 1), 0);
	str_printf(file, sizeof file, "%s/a.json", dir);
	assert_int_equal(status_place(&set, 0, file, first, lock), 0);
	assert_int_equal(strncmp(first, "/run/user/1/karez/up-", 21), 0);
	assert_int_equal(strncmp(first, lock, strlen(first) - 5), 0);
	assert_string_not_equal(first, lock);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {

		str_printf(file, sizeof file, "%s%s", base, cases[i].path + 2);
		assert_int_equal(status_place(&set, 0, file, sock, lock), 0);
		if ((strcmp(first, sock) == 0) != cases[i].same)
			fail_msg("%s: %s", cases[i].why, sock);
	}
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(status_place(&set, 0, "a.json", sock, lock), 0);
	assert_string_equal(first, sock);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rmdir(base), 0);
}

static void test_folders(void **state)
{
	char sock[STATUS_PLACE_TEXT], lock[STATUS_PLACE_TEXT], deep[200], config[] = "/etc/k";
	struct cli_options set = {0};

	assert_int_equal(setenv("XDG_RUNTIME_DIR", "relative", 1), 0);
	set.config_dir = config;
	assert_int_equal(status_place(&set, 0, "/a", sock, lock), ERR_NOTFOUND);
	assert_int_equal(status_place(&set, 1, "/a", sock, lock), 0);
	assert_int_equal(strncmp(sock, "/etc/k/up-", 10), 0);
	set.config_dir = NULL;
	assert_int_equal(unsetenv("HOME"), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	assert_int_equal(status_place(&set, 1, "/a", sock, lock), ERR_NOTFOUND);
	memset(deep, 'd', sizeof deep);
	deep[0] = '/';
	deep[sizeof deep - 1] = '\0';
	assert_int_equal(setenv("XDG_RUNTIME_DIR", deep, 1), 0);
	assert_int_equal(status_place(&set, 0, "/a", sock, lock), ERR_TOOBIG);
	assert_int_equal(strncmp(lock, deep, strlen(deep)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways_to_a_file),
		cmocka_unit_test(test_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
