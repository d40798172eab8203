/*
 * karezd.pid in the state directory: which process serves from it, for `karezd drain` and `karezd
 * reload`. It is locked as long as that process lives, so what a crash leaves behind is not
 * believed.
 *
 * Its first line is the process's id, the second one how often its configuration has been read
 * again, and what came of the last time: "3 ok" or "3 <why not>".
 */
#ifndef KAREZ_APP_PID_FILE_H
#define KAREZ_APP_PID_FILE_H

#include "base/str.h"

#define PID_FILE_PATH 1200
/* Bytes of a sentence, NUL included: of what came of a reload, and of what is wrong with the file.
 */
#define PID_FILE_TEXT 1600

struct pid_file {
	int fd; /* owned; -1: none */
	uint64_t n_reloads;
	char path[PID_FILE_PATH];
};

/*
 * Make the file, and the directory with mode 0700.
 *   p    p->fd is -1, or a descriptor that this process has had before exec(): then it is kept.
 *   why  [PID_FILE_TEXT] set on failure: a sentence that names the file.
 * Returns 0, ERR_INUSE (another process has it), ERR_TOOBIG, ERR_IO.
 */
int pid_file_take(struct pid_file *p, const char *dir, char *why) MUST_CHECK;

/* The configuration has been read again: `result` is "ok" or why it is not in force. */
void pid_file_tell(struct pid_file *p, const char *result);

/* Remove it. Harmless without. */
void pid_file_drop(struct pid_file *p);

/* What somebody else's says. */
struct pid_found {
	int fd; /* owned: pid_file_close() */
	pid_t pid;
	uint64_t n_reloads;
	char result[PID_FILE_TEXT]; /* of the last one */
};

/*
 * Find the process that serves from a directory.
 *   out  out->fd is -1 unless this returns 0.
 * Returns 0, ERR_NOTFOUND (none does), ERR_IO, ERR_PROTO, ERR_TOOBIG, with why as above.
 */
int pid_file_find(const char *dir, struct pid_found *out, char *why) MUST_CHECK;

/* Read it again. Returns 0, or ERR_NOTFOUND: the process has ended. */
int pid_file_again(struct pid_found *f) MUST_CHECK;

/* Block until the process has ended. */
void pid_file_wait(struct pid_found *f);

void pid_file_close(struct pid_found *f);

#endif
