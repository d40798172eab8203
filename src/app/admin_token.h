/* The file that tells the first administrator's token, once: for its owner only, whole or not
 * there. */
#ifndef KAREZ_APP_ADMIN_TOKEN_H
#define KAREZ_APP_ADMIN_TOKEN_H

#include "base/str.h"

/* Bytes of a path, NUL included. */
#define ADMIN_TOKEN_PATH 1200

/* Made ready before there is a token: one that cannot be written down would be lost. */
struct admin_token {
	int fd;		 /* owned; -1: none */
	const char *why; /* static: what the system said when something failed */
	char path[ADMIN_TOKEN_PATH], temporary[ADMIN_TOKEN_PATH];
};

/*
 * Make room for the token: directories that are missing, the last one with mode 0700, and a
 * temporary file in it with mode 0600.
 *   dir  NUL-terminated; the token will stand in <dir>/admin-token.
 * Returns 0, or with t->why ERR_TOOBIG or ERR_IO; *t can be dropped either way.
 */
int admin_token_prepare(struct admin_token *t, const char *dir) MUST_CHECK;

/*
 * Write the token and a line end, on the disk before this returns; in place of a file that is
 * there. Returns 0, or with t->why ERR_IO.
 */
int admin_token_write(struct admin_token *t, const char *token) MUST_CHECK;

/* What was written does not count: the file goes. */
void admin_token_forget(struct admin_token *t);

/* There is none to be written, or it is written: what is temporary goes. */
void admin_token_drop(struct admin_token *t);

#endif
