/*
 * A file that a person wrote, as a tree; and what is wrong with it, in one line that begins with
 * the place: "services.yaml:3:7: ...".
 */
#ifndef KAREZ_CLI_CLI_FILE_H
#define KAREZ_CLI_CLI_FILE_H

#include "config/guess.h"
#include "config/tree.h"

/* How a file is called, and where a complaint about it goes. A value; all borrowed. */
struct cli_file {
	const char *path;
	char *why; /* [cap] */
	size_t cap;
};

/*
 * All bytes of a file, for cli_file_parse(), and a little more than it takes of one that is too
 * long. They may be secrets: wipe them.
 *   path  "-": standard input.
 *   out   appended to.
 *   why   [cap] set on ERR_NOTFOUND and ERR_INVAL.
 * Returns 0, ERR_NOTFOUND (there is no such file), ERR_INVAL (it cannot be read), ERR_NOMEM.
 */
int cli_file_read(const char *path, struct buf *out, char *why, size_t cap) MUST_CHECK;

/* tree_parse(), with the complaint in f->why. Returns the same. */
int cli_file_parse(const struct cli_file *f, struct str bytes, struct tree **out) MUST_CHECK;

/* Complain about something in the file. Returns ERR_INVAL. */
int cli_file_fail(const struct cli_file *f, const struct tree *at, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* "there is no "prot" here; did you mean port?" g: a search for the key's text, over. Returns
 * ERR_INVAL. */
int cli_file_unknown(const struct cli_file *f, const struct tree *key, const struct guess *g);

/* true, yes, on; false, no, off: *on is set. Returns whether it is one of them. */
bool cli_file_flag(struct str s, bool *on);

/* Are the items mappings of "user" and "password", both texts, neither needed? Returns 0 or
 * ERR_INVAL. */
int cli_file_users(const struct cli_file *f, const struct tree *list) MUST_CHECK;

/* What a user of such a list is; NULL: not said. Borrowed. */
const struct tree *cli_file_user(const struct tree *user, const char *key);

#endif
