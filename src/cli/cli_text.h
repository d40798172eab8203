/* Text from a server on a person's terminal: shown, never obeyed. */
#ifndef KAREZ_CLI_CLI_TEXT_H
#define KAREZ_CLI_CLI_TEXT_H

#include <stdio.h>

#include "base/buf.h"

/* Bytes of one cell, sentence or line that are shown; what is longer is cut. */
#define CLI_TEXT_MAX 8192

/*
 * Append text with everything made visible that a terminal would act on: control characters,
 * changes of the direction of writing, bytes that are not UTF-8.
 * Returns 0, ERR_NOMEM; what goes beyond CLI_TEXT_MAX is dropped.
 */
int cli_text_clean(struct buf *b, struct str text) MUST_CHECK;

/* Print it so. */
void cli_text_print(FILE *out, struct str text);

/* Print JSON so: what a terminal would act on becomes \uNNNN. */
void cli_text_print_json(FILE *out, struct str json);

/* Columns that clean text takes on a terminal. */
size_t cli_text_width(struct str text);

/*
 * Print clean text in at most so many columns, an ellipsis instead of what does not fit.
 *   columns  at least 1.
 * Returns the columns it took.
 */
size_t cli_text_fit(FILE *out, struct str text, size_t columns);

#endif
