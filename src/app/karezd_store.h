/* `karezd store export FILE` and `karezd store import FILE`. */
#ifndef KAREZ_APP_KAREZD_STORE_H
#define KAREZ_APP_KAREZD_STORE_H

#include "store/store.h"

struct karezd_store_opt {
	struct ev *ev;	     /* not running */
	struct store *store; /* open */
	const char *where;   /* its name, for people */
	const char *file;    /* "-": standard output (export only) */
};

/*
 * Move all records, and say on standard error how many or why not. An export's file must not be
 * there yet: it is made for its owner only. Runs the loop.
 * Returns the exit code.
 */
int karezd_store_export(const struct karezd_store_opt *opt);
int karezd_store_import(const struct karezd_store_opt *opt);

#endif
