/*
 * All records of a store as lines of JSON, and back: to move from one kind of store to another.
 *
 * A line is {"kind":"tunnel","key":"demo","value":"...","expires_ms":0}; a key or value that is not
 * text (UTF-8 without NUL) stands in "key64" or "value64". The first line names the format:
 * {"karez-store":1}. Versions are not moved: a store gives its own.
 */
#ifndef KAREZ_STORE_STORE_DUMP_H
#define KAREZ_STORE_STORE_DUMP_H

#include <stdio.h>

#include "store/store.h"

/* Bytes of one line, at most: a value's worst case and what stands around it. */
#define STORE_DUMP_LINE_MAX (8 * STORE_VALUE_MAX)

struct store_dump;

struct store_dump_result {
	int e; /* 0, ERR_IO (the file, or the store), ERR_PROTO (a line), ERR_EXISTS, the store's */
	char why[512];	  /* for a person when e is not 0: names the line or the record */
	size_t n_records; /* moved; with an error: so many are there already */
};

/*
 * Write all records of some kinds.
 *   kinds  [n] borrowed until done.
 *   out    borrowed until done; flushed before.
 *   done   called exactly once, never before this returns; the result is borrowed for the call.
 * Records that are written meanwhile may be missing. Blocks on the file: for a process of its own.
 * Returns 0 or ERR_NOMEM.
 */
int store_export(struct ev *ev, struct store *s, const struct str *kinds, size_t n, FILE *out,
		 void (*done)(void *arg, const struct store_dump_result *r), void *arg) MUST_CHECK;

/*
 * Read what store_export() wrote, into a store that has no record of any of these kinds: else
 * ERR_EXISTS. The whole file is judged before anything is written.
 *   in  can be read twice (a file, not a pipe); borrowed until done.
 * Otherwise as store_export().
 */
int store_import(struct ev *ev, struct store *s, const struct str *kinds, size_t n, FILE *in,
		 void (*done)(void *arg, const struct store_dump_result *r), void *arg) MUST_CHECK;

#endif
