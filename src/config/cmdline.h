/* The command line: which command, which options, which arguments. */
#ifndef KAREZ_CONFIG_CMDLINE_H
#define KAREZ_CONFIG_CMDLINE_H

#include "config/slot.h"

/*
 * Find the command; it may stand behind options. Sets c->command, c->implied and c->overview.
 * Returns the index of its name in argv, or 0 when it is not named.
 */
int cmdline_command(struct config *c, const struct config_input *in);

/*
 * Read options and arguments into the slots. Options may follow arguments; "--" ends the options.
 *   skip  the index of the command's name in argv, or 0.
 * Returns 0, ERR_INVAL with c->message set, ERR_NOMEM.
 * Source: POSIX XBD 12.2, and the long options of the GNU coding standards 4.8.
 */
int cmdline_parse(struct config *c, const struct config_input *in, int skip) MUST_CHECK;

/* Complain that the command is missing or unknown. Returns ERR_INVAL. */
int cmdline_no_command(struct config *c, const struct config_input *in) MUST_CHECK;

#endif
