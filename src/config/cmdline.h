/* The command line: which command, which options, which arguments. */
#ifndef KAREZ_CONFIG_CMDLINE_H
#define KAREZ_CONFIG_CMDLINE_H

#include "config/slot.h"

/* Find the command; its words may stand behind options. Sets c->command, or c->group, c->words,
 * c->implied and c->overview. */
void cmdline_command(struct config *c, const struct config_input *in);

/*
 * Read options and arguments into the slots. Options may follow arguments; "--" ends the options.
 * Returns 0, ERR_INVAL with c->message set, ERR_NOMEM.
 * Source: POSIX XBD 12.2, and the long options of the GNU coding standards 4.8.
 */
int cmdline_parse(struct config *c, const struct config_input *in) MUST_CHECK;

/* Complain that the command is missing or unknown. Returns ERR_INVAL. */
int cmdline_no_command(struct config *c, const struct config_input *in) MUST_CHECK;

#endif
