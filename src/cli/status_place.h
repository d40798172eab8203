/*
 * Where a running `karez up` is asked how it is doing: a socket that only its owner can reach,
 * whose name comes from the services file.
 */
#ifndef KAREZ_CLI_STATUS_PLACE_H
#define KAREZ_CLI_STATUS_PLACE_H

#include "cli/cli_options.h"

/* Bytes of a path, NUL included; of a socket's, as the kernel takes it (unix(7)). */
#define STATUS_PLACE_TEXT   4096
#define STATUS_PLACE_SOCKET 108

/* What is asked for there. */
#define STATUS_PLACE_PATH "/v1/status"

/*
 * The folder of the sockets: karez in $XDG_RUNTIME_DIR, else where karez keeps what it remembers.
 *   out  [STATUS_PLACE_TEXT]; "" if there is neither.
 */
void status_place_dir(const struct cli_options *set, char *out);

/*
 * The socket of a services file, and the file beside it that is locked while somebody serves there
 * and holds the number of that process.
 *   file          need not exist, and may be a link that is turned meanwhile; its folder's other
 *                 names count as the same one.
 *   socket, lock  [STATUS_PLACE_TEXT].
 * Returns 0, ERR_NOTFOUND (there is no folder for it), ERR_TOOBIG (the path is too long for a
 * socket; both are set all the same).
 */
int status_place(const struct cli_options *set, const char *file, char *socket,
		 char *lock) MUST_CHECK;

#endif
