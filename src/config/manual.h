/* The manual page, from the same rows as the options. */
#ifndef KAREZ_CONFIG_MANUAL_H
#define KAREZ_CONFIG_MANUAL_H

#include "config/config.h"

/* Print a page in mdoc(7): NAME, SYNOPSIS, DESCRIPTION, COMMANDS, OPTIONS, ENVIRONMENT, FILES, EXIT
 * STATUS, and what the program adds. */
void manual_print(const struct config_program *p, FILE *out);

#endif
