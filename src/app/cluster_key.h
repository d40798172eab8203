/* The secret of --cluster-key-file: by it nodes know each other. */
#ifndef KAREZ_APP_CLUSTER_KEY_H
#define KAREZ_APP_CLUSTER_KEY_H

#include "base/str.h"

#define CLUSTER_KEY_LEN 32

/* Bytes of the secret in the file, without white space at its end. */
#define CLUSTER_KEY_SECRET_MIN 32
#define CLUSTER_KEY_SECRET_MAX 4096

/* Bytes of a sentence that says what is wrong, NUL included. */
#define CLUSTER_KEY_WHY 1400

/*
 * Read the file, and make a key of what stands in it: hexadecimal, base64 or any bytes, for all of
 * it is hashed. White space at the end does not count.
 *   path  NUL-terminated.
 *   out   [CLUSTER_KEY_LEN] set on success.
 *   why   [CLUSTER_KEY_WHY] set on failure: a sentence that names the file, and never the secret.
 * Returns 0, ERR_IO (it cannot be read, or is no file), ERR_DENIED (others than its owner and his
 * group may read it, or his group may write it), ERR_INVAL (too short), ERR_TOOBIG, ERR_NOMEM.
 */
int cluster_key_read(const char *path, uint8_t *out, char *why) MUST_CHECK;

#endif
