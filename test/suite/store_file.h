/* What the tests of the SQLite store share: where its files are, and a look behind its back. */
#ifndef KAREZ_TEST_SUITE_STORE_FILE_H
#define KAREZ_TEST_SUITE_STORE_FILE_H

#include "suite/store_rig.h"

/* SQLite stores, each in a new directory that goes with it. */
extern const struct store_maker store_file_maker;

/* The path in "sqlite:PATH", and the directory of that; where and dir NUL-terminated. */
const char *store_file_path(const char *where);
void store_file_dir(const char *where, char *dir, size_t cap);

/* Run SQL on a store's file behind the store's back; *out, unless NULL: the number it answers. */
void store_file_sql(const char *where, const char *text, int *out);

/* An open store on the file of another process, which stays when this one is done. */
struct store_rig *store_file_guest(const char *where);

/* For cmocka: *state is a rig whose store is not open yet. */
int store_file_setup(void **state);
int store_file_teardown(void **state);

#endif
