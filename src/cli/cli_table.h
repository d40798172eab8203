/* Rows and columns for people: aligned by what is seen, cut to the width of the terminal. */
#ifndef KAREZ_CLI_CLI_TABLE_H
#define KAREZ_CLI_CLI_TABLE_H

#include <stdio.h>

#include "base/str.h"

/* Columns of one table at most. */
#define CLI_TABLE_COLUMNS 16

/* What a column is narrowed to at most when the terminal is too narrow for all. */
#define CLI_TABLE_NARROW 6

struct cli_table;

/*
 * Begin a table.
 *   titles     [n_columns], 1 to CLI_TABLE_COLUMNS; borrowed, for good; titles NULL: no line of
 *              titles.
 * Returns 0 or ERR_NOMEM.
 */
int cli_table_new(const char *const *titles, size_t n_columns, struct cli_table **out) MUST_CHECK;

/* NULL is allowed. */
void cli_table_free(struct cli_table *t);

/* Append the next cell, of the next row if the row is full. Any bytes; copied. Returns 0 or
 * ERR_NOMEM. */
int cli_table_cell(struct cli_table *t, struct str text) MUST_CHECK;

/*
 * Print all rows; the last one must be full.
 *   columns  of the terminal; 0: nothing is cut.
 *   bold     the titles are.
 */
void cli_table_print(const struct cli_table *t, FILE *out, size_t columns, bool bold);

#endif
