/* The directory of a supervisor and its workers: there while they run, and for nobody else. */
#ifndef KAREZ_APP_RUN_DIR_H
#define KAREZ_APP_RUN_DIR_H

#include "app/worker.h"

/*
 * Make one, mode 0700, with a key in it, where paths are short and files perhaps in memory: below
 * $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR, /run, the state directory or /tmp, the first that will do.
 *   state_dir  NUL-terminated; need not be there.
 *   out        set on success.
 *   why        [SOCKET_TABLE_WHY] set on failure.
 * Returns 0 or ERR_IO.
 */
int run_dir_make(const char *state_dir, char out[WORKER_DIR_TEXT], char *why) MUST_CHECK;

/* Remove it with all files in it. "" is allowed. */
void run_dir_remove(const char *dir);

/* The copy of the configuration file that workers of a generation read: "<dir>/config-<n>.yaml". */
#define RUN_DIR_FILE_TEXT (WORKER_DIR_TEXT + 32)
void run_dir_config(const char *dir, unsigned generation, char out[RUN_DIR_FILE_TEXT]);

/*
 * Write a file in it that is not there yet, mode 0600; what is there is replaced.
 *   path  below the directory.
 * Returns 0 or ERR_IO.
 */
int run_dir_write(const char *path, struct str bytes) MUST_CHECK;

#endif
