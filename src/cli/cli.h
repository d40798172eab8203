/*
 * The command line for people: each command is a few calls of the API and words about the answers.
 * It knows nothing of sessions and tunnels but what the API says.
 */
#ifndef KAREZ_CLI_CLI_H
#define KAREZ_CLI_CLI_H

#include "cli/cli_options.h"

/* Is this one of cli_commands? */
bool cli_owns(const struct config_command *command);

/*
 * Carry out a command that cli_owns(): blocks until it is done.
 *   c    told where values came from; its command is the one.
 *   set  what config_load() filled.
 * Returns the exit code: 0, or 1 after a sentence on standard error; 2 when a file that says what
 * to do is wrong.
 */
int cli_run(const struct config *c, const struct cli_options *set) MUST_CHECK;

#endif
