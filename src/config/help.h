/* --help, and the two lines that follow a complaint. */
#ifndef KAREZ_CONFIG_HELP_H
#define KAREZ_CONFIG_HELP_H

#include "config/slot.h"

/* Print the help of the command, or of the whole program when none was given; 80 columns. */
void help_print(const struct config *c, FILE *out);

/* Print how the command is used and where its help is. */
void help_usage(const struct config *c, FILE *out);

/*
 * Print what stands behind an option's sentence: "[default: 60s; from 1s to 1d; env KAREZ_X]", or
 * nothing.
 */
void help_facts(const struct config_program *p, const struct config_option *row, char *dst,
		size_t cap);

/* The heading over a row. */
const char *help_group(const struct config_option *row);

#endif
