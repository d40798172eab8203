/* Secrets come from a file, standard input or the keyboard, and are shown nowhere. */
#ifndef KAREZ_CLI_CLI_SECRET_H
#define KAREZ_CLI_CLI_SECRET_H

#include <stdio.h>

#include "base/buf.h"

/* Bytes of a secret with its NUL, of a file of secrets, and of a sentence about one. */
#define CLI_SECRET_TEXT	    512
#define CLI_SECRET_FILE_MAX (64 * 1024)
#define CLI_SECRET_WHY	    512

/*
 * Read a file whole.
 *   path  "-": standard input.
 *   what  for the sentence, as "a token".
 *   out   empty before; wipe it with cli_secret_wipe().
 *   why   set on failure to a sentence.
 * Returns 0, ERR_TOOBIG (above CLI_SECRET_FILE_MAX), ERR_NOMEM or an ERR_* of the file.
 */
int cli_secret_file(const char *path, const char *what, struct buf *out,
		    char why[CLI_SECRET_WHY]) MUST_CHECK;

/*
 * Read a file of one secret: one line, space around it dropped.
 *   out  [cap] gets the NUL-terminated text: printable ASCII without spaces.
 * Returns as above, or ERR_INVAL (none in it, several lines, too long, other characters).
 */
int cli_secret_line(const char *path, const char *what, char *out, size_t cap,
		    char why[CLI_SECRET_WHY]) MUST_CHECK;

/* Is this a text that may be sent as a credential: 1 or more printable ASCII, no space? */
bool cli_secret_ok(struct str secret);

/*
 * Ask for a line on the terminal, without an echo; if standard input is no terminal, the line is
 * read from there and nothing is printed. Bytes are taken one by one, so what follows the line
 * stays for the next reader. err     gets the prompt. prompt  NUL-terminated, "Token: ". out [cap]
 * gets the line; not empty. why     set on failure to a sentence. Returns 0, ERR_EOF (nothing more
 * comes), ERR_CLOSED (broken off by Ctrl-C), ERR_TOOBIG.
 */
int cli_secret_ask(FILE *err, const char *prompt, char *out, size_t cap,
		   char why[CLI_SECRET_WHY]) MUST_CHECK;

/* Overwrite and free. */
void cli_secret_wipe(struct buf *b);

/*
 * Begin a new file for a secret, that only its owner can read.
 *   *fd  set; give it to cli_secret_save.
 * Returns 0 or an ERR_* of the file, which must not be there yet.
 */
int cli_secret_create(const char *path, int *fd, char why[CLI_SECRET_WHY]) MUST_CHECK;

/*
 * Write the secret and a newline, and close it; with an empty secret the file is removed instead.
 *   fd  closed in any case.
 * Returns 0 or an ERR_* of the file.
 */
int cli_secret_save(const char *path, int fd, struct str secret,
		    char why[CLI_SECRET_WHY]) MUST_CHECK;

#endif
