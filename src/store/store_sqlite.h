/* Records in a SQLite file: blocking, no loop, one caller at a time. */
#ifndef KAREZ_STORE_STORE_SQLITE_H
#define KAREZ_STORE_STORE_SQLITE_H

#include "store/store_internal.h"

struct store_sqlite;

/* The most requests of one store_sqlite_run. */
#define STORE_SQLITE_RUN_MAX 256

/*
 * Open a file, making it and its directory when they are missing, and bring its tables up to date.
 *   path  NUL-terminated, not empty.
 * Returns and explains as store_open.
 */
int store_sqlite_open(const char *path, struct store_sqlite **out,
		      struct store_why *why) MUST_CHECK;

/* Fold the write-ahead log into the file and close it; NULL is allowed. */
void store_sqlite_close(struct store_sqlite *db);

/*
 * Run requests and fill in their answers: first the writes, in order and in one transaction, so
 * that they share the wait for the disk; then, when that is committed, the reads. A write that is
 * answered with 0 is on the disk when this returns.
 *   reqs    list of struct store_req, [1..STORE_SQLITE_RUN_MAX]; stays as it is.
 *   now_ms  wall clock, ms since 1970 UTC: what expired by then is gone.
 */
void store_sqlite_run(struct store_sqlite *db, struct list *reqs, int64_t now_ms);

#endif
