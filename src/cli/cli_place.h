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

/* Can others on the way read what is said to this server: http, and not to this machine? */
bool cli_place_is_open(const struct url *server);

/* Does a certificate prove who we are? It does before what is remembered; a token that was given
 * counts more. */
bool cli_place_certificate(const struct cli_options *set);

/*
 * Can a certificate that was given be shown to this server at all?
 *   why  [cap] set on failure to a sentence.
 * Returns 0 or ERR_INVAL.
 */
int cli_place_check(const struct cli_options *set, const struct url *server, char *why,
		    size_t cap) MUST_CHECK;

#endif
