/* Text that people read: quoted so that it cannot forge a line, wrapped so that it fits. */
#ifndef KAREZ_CONFIG_SAY_H
#define KAREZ_CONFIG_SAY_H

#include <stdio.h>

#include "base/str.h"

#define SAY_COLUMNS 80
#define SAY_QUOTED  128 /* bytes that say_quote needs */

/*
 * Write a value in double quotes. Quotes and backslashes get a backslash; control characters, those
 * that change the direction of writing, and bytes that are not UTF-8 become \xNN or \uNNNN; what is
 * longer than about 60 bytes ends in "...". The password of a URL becomes "***".
 *   dst  [SAY_QUOTED], terminated.
 * Returns dst.
 */
const char *say_quote(char dst[SAY_QUOTED], struct str value);

/* Print a value the same way, uncut: a double-quoted YAML scalar when the value is UTF-8. */
void say_print_quoted(FILE *out, struct str value);

/*
 * Print words, breaking lines between them, and end the line.
 *   text    NUL-terminated; runs of spaces count as one.
 *   column  where the cursor stands now, from 0.
 *   indent  columns before each further line.
 */
void say_wrap(FILE *out, const char *text, size_t column, size_t indent);

#endif
