/* SQLite stores in directories of their own under /tmp. */
#include "suite/store_file.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void store_file_fresh(char *where, size_t cap)
{
	char dir[] = "/tmp/karez-store-XXXXXX";

	assert_non_null(mkdtemp(dir));
	str_printf(where, cap, "sqlite:%s/store.db", dir);
}

const char *store_file_path(const char *where)
{
	return strchr(where, ':') + 1;
}

void store_file_dir(const char *where, char *dir, size_t cap)
{
	str_printf(dir, cap, "%s", store_file_path(where));
	*strrchr(dir, '/') = '\0';
}

static int store_file_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void store_file_clean(const char *where)
{
	char dir[512];

	store_file_dir(where, dir, sizeof dir);
	nftw(dir, store_file_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

const struct store_maker store_file_maker = {
	.name = "store suite, sqlite",
	.loop = ev_new,
	.fresh = store_file_fresh,
	.clean = store_file_clean,
};

/* For other processes on the file of a test: the file is not theirs. */
static void store_file_fresh_guest(char *where, size_t cap)
{
}

static void store_file_clean_guest(const char *where)
{
}

static const struct store_maker guest = {
	.name = "another process",
	.loop = ev_new,
	.fresh = store_file_fresh_guest,
	.clean = store_file_clean_guest,
};

struct store_rig *store_file_guest(const char *where)
{
	struct store_rig *t = store_rig_new(&guest);

	str_printf(t->where, sizeof t->where, "%s", where);
	store_rig_open(t);
	return t;
}

int store_file_setup(void **state)
{
	*state = store_rig_new(&store_file_maker);
	return 0;
}

int store_file_teardown(void **state)
{
	store_rig_free(*state);
	return 0;
}

void store_file_sql(const char *where, const char *text, int *out)
{
	sqlite3_stmt *q;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(store_file_path(where), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &q, NULL), SQLITE_OK);
	if (sqlite3_step(q) == SQLITE_ROW && out != NULL)
		*out = sqlite3_column_int(q, 0);
	assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
