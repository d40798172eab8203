/* Files that are a cluster's secret, and files that are none. */
#include "app/cluster_key.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static void put(const char *path, const char *bytes, size_t len, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static const struct {
	const char *why, *secret;
	mode_t mode;
	int want;
	const char *says;
} cases[] = {
	{"a secret", SECRET, 0600, 0, NULL},
	{"with a line's end", SECRET "\n", 0600, 0, NULL},
	{"with another one", SECRET " \r\n", 0600, 0, NULL},
	{"for its group as well", SECRET, 0640, 0, NULL},
	{"for reading only", SECRET, 0400, 0, NULL},
	{"for everybody", SECRET, 0644, ERR_DENIED, "is open to others (mode 0644)"},
	{"for everybody to change", SECRET, 0602, ERR_DENIED, "chmod 600"},
	{"for a group to change", SECRET, 0660, ERR_DENIED, "chmod 600"},
	{"a short one", "0123456789abcdef0123456789abcde\n", 0600, ERR_INVAL, "is too short"},
	{"none", "", 0600, ERR_INVAL, "is too short"},
};

static void test_files(void **state)
{
	char dir[] = "/tmp/karez-key-XXXXXX", path[64], why[CLUSTER_KEY_WHY];
	uint8_t first[CLUSTER_KEY_LEN], key[CLUSTER_KEY_LEN];

	assert_non_null(mkdtemp(dir));
	str_printf(path, sizeof path, "%s/key", dir);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put(path, cases[i].secret, strlen(cases[i].secret), cases[i].mode);
		why[0] = '\0';
		if (cluster_key_read(path, i == 0 ? first : key, why) != cases[i].want)
			fail_msg("%s: %s", cases[i].why, why);
		if (cases[i].want == 0 && i > 0)
			assert_memory_equal(first, key, sizeof key);
		if (cases[i].want != 0) {
			assert_non_null(strstr(why, cases[i].says));
			assert_non_null(strstr(why, path));
			assert_null(strstr(why, "0123456789"));
		}
	}
	put(path, "0123456789abcdef0123456789abcdeF", 32, 0600);
	assert_int_equal(cluster_key_read(path, key, why), 0);
	assert_memory_not_equal(first, key, sizeof key);
	unlink(path);
	assert_int_equal(cluster_key_read(path, key, why), ERR_IO);
	assert_non_null(strstr(why, "No such file"));
	assert_int_equal(cluster_key_read(dir, key, why), ERR_IO);
	assert_non_null(strstr(why, "it is not a file"));
	rmdir(dir);
}

static void test_any_bytes_and_no_end(void **state)
{
	char path[] = "/tmp/karez-key-XXXXXX", why[CLUSTER_KEY_WHY];
	char bytes[CLUSTER_KEY_SECRET_MAX + 1];
	uint8_t one[CLUSTER_KEY_LEN], two[CLUSTER_KEY_LEN];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	memset(bytes, 0, sizeof bytes);
	put(path, bytes, 40, 0600);
	assert_int_equal(cluster_key_read(path, one, why), 0);
	bytes[39] = 1; /* behind 39 NULs */
	put(path, bytes, 40, 0600);
	assert_int_equal(cluster_key_read(path, two, why), 0);
	assert_memory_not_equal(one, two, sizeof one);
	put(path, bytes, CLUSTER_KEY_SECRET_MAX, 0600);
	assert_int_equal(cluster_key_read(path, two, why), 0);
	put(path, bytes, sizeof bytes, 0600);
	assert_int_equal(cluster_key_read(path, two, why), ERR_TOOBIG);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_any_bytes_and_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
