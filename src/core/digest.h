/* Fingerprints of secrets, and bytes as text. The only file of the core that knows OpenSSL. */
#ifndef KAREZ_CORE_DIGEST_H
#define KAREZ_CORE_DIGEST_H

#include "base/str.h"

enum {
	DIGEST_LEN = 32,		      /* bytes of a fingerprint, and of its key */
	DIGEST_HEX_TEXT = 2 * DIGEST_LEN + 1, /* the same as text, NUL included */
};

/*
 * The fingerprint of a text under a key: HMAC-SHA-256, in lower-case hexadecimal.
 *   out  gets the NUL-terminated text.
 * Returns 0 or ERR_NOMEM. Source: RFC 2104, FIPS 180-4.
 */
int digest_keyed(const uint8_t key[DIGEST_LEN], struct str text,
		 char out[DIGEST_HEX_TEXT]) MUST_CHECK;


/* Bytes of a fingerprint of an SSH key, NUL included: "SHA256:" and base64 without padding. */
enum { DIGEST_SSH_TEXT = 7 + 43 + 1 };

/*
 * The fingerprint of an SSH public key, as ssh-keygen -l prints it.
 *   blob  the key as it travels: struct ssh_key has it.
 * Returns 0 or ERR_NOMEM. Source: RFC 4716 4 with SHA-256 (OpenSSH 6.8).
 */
int digest_ssh(struct str blob, char out[DIGEST_SSH_TEXT]) MUST_CHECK;

/* What hashing a password costs: 2^ln blocks of 128 * r bytes, p times. */
struct digest_cost {
	unsigned ln, r, p;
};

/*
 * A password's key by scrypt: 32 bytes. Takes tens of milliseconds: for other threads.
 *   salt  any bytes.
 * Returns 0, ERR_INVAL (a cost that scrypt does not have, or above 64 MiB) or ERR_NOMEM.
 * Source: RFC 7914.
 */
int digest_scrypt(struct str password, struct str salt, const struct digest_cost *cost,
		  uint8_t out[DIGEST_LEN]) MUST_CHECK;

/* Are [n] bytes equal? Takes the same time wherever they differ. */
bool digest_same(const void *a, const void *b, size_t n);

#endif
