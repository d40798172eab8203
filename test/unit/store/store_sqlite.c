/* The SQLite store: the suite, then its file: rights, modes, strange and damaged contents. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "suite/store_file.h"
#include "suite/store_suite.h"

static void test_reopen_keeps_everything(void **state)
{
	struct store_rig *t = *state;
	struct store_page page = {.kind = STR("keep"), .limit = STORE_PAGE_MAX};
	const struct store_told *told;
	uint64_t version = 0, last;
	char key[16];

	store_rig_open(t);
	for (int i = 0; i < 300; i++) {
		str_printf(key, sizeof key, "%03d", i);
		version = store_rig_put(t, store_rig_rec("keep", key, key), 0)->recs[0].version;
	}
	last = version;
	assert_int_equal(store_rig_drop(t, "keep", "299", version)->answer.e, 0);
	store_rig_reopen(t);
	told = store_rig_list(t, page);
	assert_int_equal(told->answer.n, 299);
	assert_true(str_eq(told->recs[298].value, STR("298")));
	assert_int_equal(store_rig_put(t, store_rig_rec("keep", "000", "x"), told->recs[0].version)
				 ->answer.e,
			 0);
	/* A version is never given again, though the record that had the last one is gone. */
	assert_true(store_rig_put(t, store_rig_rec("keep", "299", "x"), 0)->recs[0].version > last);
}

static void test_modes(void **state)
{
	static const char *const files[] = {"store.db", "store.db-wal", "store.db-shm"};
	struct store_rig *t = *state;
	char dir[512], path[600];
	mode_t before;
	struct stat st;
	int n;

	store_file_dir(t->where, dir, sizeof dir);
	assert_int_equal(rmdir(dir), 0);
	before = umask(0);
	store_rig_open(t);
	umask(before);
	store_rig_put(t, store_rig_rec("t", "k", "v"), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		str_printf(path, sizeof path, "%s/%s", dir, files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	store_file_sql(t->where, "PRAGMA user_version", &n);
	assert_int_equal(n, 1);
	store_rig_end(t);
	str_printf(path, sizeof path, "%s/store.db-wal", dir);
	assert_int_equal(stat(path, &st), -1); /* a clean end leaves one file */
}

/* Expired records leave the file by and by, not only the answers. */
static void test_sweep(void **state)
{
	struct store_rig *t = *state;
	struct store_record rec = store_rig_rec("x", "", "v");
	char key[16];
	int n;

	store_rig_open(t);
	for (int i = 0; i < 300; i++) {
		str_printf(key, sizeof key, "%03d", i);
		rec.key = str_of(key);
		rec.expires_ms = i % 10 == 0 ? 0 : 1;
		assert_int_equal(store_rig_put(t, rec, 0)->answer.e, 0);
	}
	store_file_sql(t->where, "SELECT count(*) FROM record", &n);
	assert_int_equal(n, 30);
}

/* One step of opening a store that must fail and say why. */
static void expect_refused(struct store_rig *t, const char *where, int want, const char *word)
{
	struct store_why why = {""};
	struct store *s = NULL;
	int e = store_open(t->ev, &t->log, where, &s, &why);

	print_message("  %s\n", why.text);
	assert_null(s);
	if (e != want)
		fail_msg("%s instead of %s", err_name(e), err_name(want));
	assert_non_null(strstr(why.text, word));
	assert_non_null(strstr(why.text, store_file_path(where)));
}

static void write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void test_strange_files(void **state)
{
	static const char *const foreign[] = {
		"CREATE TABLE theirs (x)",
		"PRAGMA user_version = 1",
		"PRAGMA application_id = 1",
	};
	struct store_rig *t = *state;
	char where[600], text[8192];
	struct stat before, after;

	memset(text, 'x', sizeof text);
	write_file(store_file_path(t->where), text, sizeof text);
	expect_refused(t, t->where, ERR_UNSUPPORTED, "not a database");
	assert_int_equal(stat(store_file_path(t->where), &after), 0);
	assert_int_equal(after.st_size, sizeof text); /* left as it was */

	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		assert_int_equal(unlink(store_file_path(t->where)), 0);
		store_file_sql(t->where, foreign[i], NULL);
		assert_int_equal(stat(store_file_path(t->where), &before), 0);
		expect_refused(t, t->where, ERR_UNSUPPORTED, "another program");
		assert_int_equal(stat(store_file_path(t->where), &after), 0);
		assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	}

	/* A directory in its place, and one that is not there, two levels deep. */
	str_printf(where, sizeof where, "%s/in", t->where);
	expect_refused(t, where, ERR_IO, "directory");
	assert_int_equal(unlink(store_file_path(t->where)), 0);
	assert_int_equal(mkdir(store_file_path(t->where), 0700), 0);
	expect_refused(t, t->where, ERR_DENIED, "unable to open");
	str_printf(where, sizeof where, "%s/no/such/place", t->where);
	expect_refused(t, where, ERR_NOTFOUND, "make it");
}

static void test_newer_schema(void **state)
{
	struct store_rig *t = *state;

	store_rig_open(t);
	store_rig_put(t, store_rig_rec("t", "k", "v"), 0);
	store_rig_reopen(t);
	store_file_sql(t->where, "PRAGMA user_version = 1000", NULL);
	expect_refused(t, t->where, ERR_UNSUPPORTED, "newer karez");
	store_file_sql(t->where, "PRAGMA user_version = 1", NULL);
	store_rig_expect(t, "t", "k", "v");
}

/* Bytes changed on the disk: an answer for each call, whatever it is, and never a crash. */
static void test_damaged_file(void **state)
{
	struct store_rig *t = *state;
	struct store_page page = {.kind = STR("t"), .limit = STORE_PAGE_MAX};
	unsigned n_failed = 0;
	char key[16];
	int fd;

	store_rig_open(t);
	for (int i = 0; i < 500; i++) {
		str_printf(key, sizeof key, "%03d", i);
		store_rig_put(t, store_rig_rec("t", key, "some value"), 0);
	}
	store_rig_end(t);
	fd = open(store_file_path(t->where), O_WRONLY);
	assert_true(fd >= 0);
	for (off_t at = 5 * 4096; at < 10 * 4096; at += 3)
		assert_int_equal(pwrite(fd, "\xff", 1, at), 1);
	close(fd);
	store_rig_open(t);
	n_failed += store_rig_list(t, page)->answer.e != 0;
	for (int i = 0; i < 500; i += 7) {
		int e;

		str_printf(key, sizeof key, "%03d", i);
		e = store_rig_put(t, store_rig_rec("t", key, "new"), STORE_ANY)->answer.e;
		assert_true(e == 0 || e == ERR_IO);
		n_failed += e != 0;
	}
	assert_true(n_failed > 0);
	assert_true(t->n_errors > 0);
}

static void test_no_rights(void **state)
{
	struct store_rig *t = *state;
	char dir[512];

	store_file_dir(t->where, dir, sizeof dir);
	assert_int_equal(chmod(dir, 0555), 0);
	/* root may write anywhere: be nobody for this. */
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	expect_refused(t, t->where, ERR_DENIED, "Permission denied");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);

	/* A file that is there but may not be written, then one in a directory without room for
	 * the write-ahead log. */
	assert_int_equal(chmod(dir, 0755), 0);
	store_rig_open(t);
	store_rig_end(t);
	assert_int_equal(chmod(store_file_path(t->where), 0444), 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	expect_refused(t, t->where, ERR_DENIED, "must be writable");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(store_file_path(t->where), 0666), 0);
	assert_int_equal(chmod(dir, 0555), 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	expect_refused(t, t->where, ERR_DENIED, "must be writable");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(dir, 0755), 0);
}

static void test_file_names(void **state)
{
	static const char *const names[] = {":memory:", "file:x?mode=memory", "-", "a b'c%d"};
	struct store_rig *t = *state;
	char dir[512], here[512];

	store_file_dir(t->where, dir, sizeof dir);
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(dir), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		print_message("  %s\n", names[i]);
		str_printf(t->where, sizeof t->where, "sqlite:%s", names[i]);
		store_rig_open(t);
		store_rig_put(t, store_rig_rec("t", "k", "v"), 0);
		store_rig_reopen(t);
		store_rig_expect(t, "t", "k", "v");
		assert_int_equal(access(names[i], F_OK), 0);
		store_close(t->store);
		t->store = NULL;
	}
	assert_int_equal(chdir(here), 0);
	str_printf(t->where, sizeof t->where, "sqlite:%s/store.db", dir);
}

#define FILE_TEST(fn) cmocka_unit_test_setup_teardown(fn, store_file_setup, store_file_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(test_reopen_keeps_everything),
		FILE_TEST(test_modes),
		FILE_TEST(test_sweep),
		FILE_TEST(test_strange_files),
		FILE_TEST(test_newer_schema),
		FILE_TEST(test_damaged_file),
		FILE_TEST(test_no_rights),
		FILE_TEST(test_file_names),
	};

	return store_suite(&store_file_maker) +
	       cmocka_run_group_tests_name("store, sqlite", tests, NULL, NULL);
}
