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

/* Folders that a socket may be in: karez in $XDG_RUNTIME_DIR, then where karez keeps what it
 * remembers. Who serves takes the first one that there is; who asks looks into all, for a service
 * of the system knows fewer of them than a login. */
#define STATUS_PLACES 2

/*
 * Folder i < STATUS_PLACES.
 *   out  [STATUS_PLACE_TEXT]; "" if there is none.
 */
void status_place_dir(const struct cli_options *set, size_t i, char *out);

/*
 * The socket of a services file in folder i, and the file beside it that is locked while somebody
 * serves there and holds the number of that process. file          need not exist, and may be a
 * link that is turned meanwhile; its folder's other names count as the same one. socket, lock
 * [STATUS_PLACE_TEXT]. Returns 0, ERR_NOTFOUND (there is no such folder), ERR_TOOBIG (the path is
 * too long for a socket; both are set all the same).
 */
int status_place(const struct cli_options *set, size_t i, const char *file, char *socket,
		 char *lock) MUST_CHECK;

#endif
