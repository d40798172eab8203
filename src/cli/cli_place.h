/* Where karez keeps what it remembers, and which server is meant. */
#ifndef KAREZ_CLI_CLI_PLACE_H
#define KAREZ_CLI_CLI_PLACE_H

#include "agent/memory.h"
#include "cli/cli_options.h"

/*
 * The folder for what is remembered: --config-dir, else karez in $XDG_CONFIG_HOME or ~/.config.
 *   out  [MEMORY_DIR_MAX + 2]; "" if there is no home.
 */
void cli_place_dir(const struct cli_options *set, char *out);

/*
 * The server that is meant: the one that was named, else the one logged in to last, else
 * CLI_USUAL_SERVER.
 *   memory  may be NULL.
 *   *out    set.
 * Returns false if it is only the usual one: nobody named it.
 */
bool cli_place_server(const struct cli_options *set, const struct memory *memory, struct url *out);

#endif
