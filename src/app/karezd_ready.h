/* `karezd ready`: for whoever watches over a server, and has nothing else to ask it with. */
#ifndef KAREZ_APP_KAREZD_READY_H
#define KAREZ_APP_KAREZD_READY_H

#include "app/karezd_options.h"

/* Bytes of a sentence that says why not, NUL included. */
#define KAREZD_READY_WHY 512

/*
 * Ask the server that listens as these options say whether visitors and agents may be sent to it
 * (GET /v1/ready), at the first address of --listen that takes HTTP in clear from everybody. Blocks
 * for as long as cli_http_do() does.
 *   why  [KAREZD_READY_WHY] set on failure.
 * Returns 0, ERR_INVAL (there is no such address), ERR_DRAIN (it is not ready), or as
 * cli_http_do().
 */
int karezd_ready_ask(const struct karezd_settings *set, char *why) MUST_CHECK;

/* The same, said to a person. Returns the exit code: 0, or 1 with a line on standard error. */
int karezd_ready(const struct karezd_settings *set);

#endif
