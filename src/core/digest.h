/* Fingerprints of secrets, and bytes as text. The only file of the core that knows OpenSSL. */
#ifndef KAREZ_CORE_DIGEST_H
#define KAREZ_CORE_DIGEST_H

#include "base/str.h"

enum {
	DIGEST_LEN = 32,		      /* bytes of a fingerprint, and of its key */
	DIGEST_HEX_TEXT = 2 * DIGEST_LEN + 1, /* the same as text, NUL included */
	DIGEST_BASE64_TEXT = 43 + 1,	      /* DIGEST_LEN bytes in base64url, NUL included */
};

/*
 * The fingerprint of a text under a key: HMAC-SHA-256, in lower-case hexadecimal.
 *   out  gets the NUL-terminated text.
 * Returns 0 or ERR_NOMEM. Source: RFC 2104, FIPS 180-4.
 */
int digest_keyed(const uint8_t key[DIGEST_LEN], struct str text,
		 char out[DIGEST_HEX_TEXT]) MUST_CHECK;

/* Bytes as base64url without padding. Source: RFC 4648 5. */
void digest_base64(const uint8_t bytes[DIGEST_LEN], char out[DIGEST_BASE64_TEXT]);

#endif
