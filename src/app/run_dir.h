/* The directory of a supervisor and its workers: there while they run, and for nobody else. */
#ifndef KAREZ_APP_RUN_DIR_H
#define KAREZ_APP_RUN_DIR_H

#include "app/worker.h"

/*
 * Make one, mode 0700, with a key in it, where paths are short and files perhaps in memory: below
 * $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR, /run, the state directory or /tmp, the first that will do.
 *   state_dir  NUL-terminated; need not be there.
 *   out        set on success.
 *   held       a descriptor: as long as it is open, in this process or in one that was started by
 *              it, run_dir_sweep() leaves the directory; -1 on failure. The caller's.
 *   why        [SOCKET_TABLE_WHY] set on failure.
 * Returns 0 or ERR_IO. Sweeps first.
 */
int run_dir_make(const char *state_dir, char out[WORKER_DIR_TEXT], int *held, char *why) MUST_CHECK;

/* Remove what processes of this user have left there that were killed: directories that nobody
 * holds. */
void run_dir_sweep(const char *state_dir);

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
