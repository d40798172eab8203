/* The administrator's token on a real file system: whole or not there, for its owner only. */
#include "app/admin_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static char root[64];

static int set_up(void **state)
{
	str_printf(root, sizeof root, "/tmp/karez-admin-XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

/* How many files a directory has; they go. */
static unsigned count_files(const char *dir)
{
	char path[512];
	struct dirent *d;
	unsigned n = 0;
	DIR *all = opendir(dir);

	assert_non_null(all);
	while ((d = readdir(all)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		str_printf(path, sizeof path, "%s/%s", dir, d->d_name);
		if (unlink(path) == 0)
			n++;
	}
	closedir(all);
	return n;
}

static int tear_down(void **state)
{
	char path[128];

	str_printf(path, sizeof path, "%s/a/b", root);
	rmdir(path);
	str_printf(path, sizeof path, "%s/a", root);
	rmdir(path);
	return rmdir(root);
}

static void read_file(const char *path, char *out, size_t cap)
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_non_null(fgets(out, (int)cap, f));
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
}

static void test_write(void **state)
{
	struct admin_token t;
	char dir[128], line[128];
	struct stat st;

	str_printf(dir, sizeof dir, "%s/a/b", root);
	assert_int_equal(admin_token_prepare(&t, dir), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_not_equal(stat(t.path, &st), 0); /* nothing before there is a token */
	assert_int_equal(admin_token_write(&t, "kz_first"), 0);
	admin_token_drop(&t);
	admin_token_drop(&t);
	assert_int_equal(stat(t.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	read_file(t.path, line, sizeof line);
	assert_string_equal(line, "kz_first\n");
	/* in place of an old one */
	assert_int_equal(admin_token_prepare(&t, dir), 0);
	assert_int_equal(admin_token_write(&t, "kz_second"), 0);
	admin_token_drop(&t);
	read_file(t.path, line, sizeof line);
	assert_string_equal(line, "kz_second\n");
	assert_int_equal(count_files(dir), 1);
}

static void test_dropped(void **state)
{
	struct admin_token t;

	assert_int_equal(admin_token_prepare(&t, root), 0);
	admin_token_drop(&t);
	assert_int_equal(count_files(root), 0);
}

static void test_impossible(void **state)
{
	static const struct {
		const char *why, *dir;
	} cases[] = {
		{"a file in the way", "/dev/null/karez"},
		{"no directory can be made there", "/proc/karez"},
	};
	char dir[ADMIN_TOKEN_PATH + 1];
	struct admin_token t;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (admin_token_prepare(&t, cases[i].dir) == 0)
			fail_msg("%s", cases[i].why);
		admin_token_drop(&t);
	}
	memset(dir, 'a', sizeof dir - 1);
	dir[sizeof dir - 1] = '\0';
	assert_int_equal(admin_token_prepare(&t, dir), ERR_TOOBIG);
	admin_token_drop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dropped, set_up, tear_down),
		cmocka_unit_test(test_impossible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
