/*
 * Passwords of a file that is read again and again: each is hashed once, and the same one gets the
 * same hash every time, so that a file which says the same as before is seen to do so.
 */
#ifndef KAREZ_APP_PASSWORD_BOOK_H
#define KAREZ_APP_PASSWORD_BOOK_H

#include "base/str.h"

/* Passwords that are kept in mind, at most; those of others are hashed anew each time. */
#define PASSWORD_BOOK_MAX 4096

struct password_book;

/* Returns 0 or ERR_NOMEM. */
int password_book_new(struct password_book **out) MUST_CHECK;

/* NULL is allowed. */
void password_book_free(struct password_book *b);

/* What was not asked for since the last such call is forgotten by the next one. */
void password_book_turn(struct password_book *b);

/*
 * The hash of a password, a services_hash_fn; tens of milliseconds for a new one. May run on
 * another thread, one at a time, when the loop leaves the book alone.
 *   arg  the book.
 * Returns 0, ERR_INVAL (empty), ERR_TOOBIG (the password, or out), ERR_NOMEM or ERR_IO.
 */
int password_book_hash(void *arg, struct str password, char *out, size_t cap) MUST_CHECK;

#endif
