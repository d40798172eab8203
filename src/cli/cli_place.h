/* Where karez keeps what it remembers, and which server is meant. */
#ifndef KAREZ_CLI_CLI_PLACE_H
#define KAREZ_CLI_CLI_PLACE_H

#include "agent/memory.h"
#include "cli/cli_options.h"
#include "proto/http_proxy.h"
#include "proto/key_pin.h"

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

/*
 * The other servers that were named, see SERVERS_GIVEN_MAX.
 *   out  [SERVERS_GIVEN_MAX - 1].
 * Returns how many.
 */
size_t cli_place_others(const struct cli_options *set, struct url *out);

/* Can others on the way read what is said to this server: http, and not to this machine? */
bool cli_place_is_open(const struct url *server);

/* Does a certificate prove who we are? It does before what is remembered; a token that was given
 * counts more. */
bool cli_place_certificate(const struct cli_options *set);

/* Bytes of a sentence for a person, NUL included. */
#define CLI_PLACE_WHY 512

/* The way to a server, and who it is. */
struct cli_way {
	struct key_pins pins;		/* keys that it may have; none: any that is vouched for */
	const struct http_proxy *proxy; /* borrowed: room, or NULL for none */
	struct http_proxy room;		/* may hold a password: whoever has it wipes it */
	char why[CLI_PLACE_WHY];
};

/*
 * Read it from the options, and, without --proxy, from what the variables of all programs say:
 * https_proxy or http_proxy by the server's scheme, then all_proxy, each in capitals, too, but not
 * for what no_proxy lists. An empty variable is none.
 *   out  set; its why only on failure: a sentence that names options and variables, and no secret.
 * Returns 0 or ERR_INVAL: a variable names no proxy that can be used; a certificate cannot be shown
 * to this server, or it has no key, because TLS is not spoken to it.
 */
int cli_place_way(const struct cli_options *set, const struct url *server,
		  struct cli_way *out) MUST_CHECK;

/* As cli_place_is_open(), on this way: through a proxy what is said leaves this machine, whatever
 * the server is called. */
bool cli_way_is_open(const struct cli_way *way, const struct url *server);

#endif
