/* Bytes as text of 64 letters, both alphabets. Source: RFC 4648 4 and 5. */
#ifndef KAREZ_BASE_BASE64_H
#define KAREZ_BASE_BASE64_H

#include "base/str.h"

enum base64_alphabet {
	BASE64,	     /* "+/", padded with '=' */
	BASE64_BARE, /* "+/", no padding: OpenSSH's fingerprints, PHC strings */
	BASE64_URL,  /* "-_", no padding */
};

/* Bytes of the text for n bytes, NUL included. */
#define BASE64_TEXT(n) (((n) + 2) / 3 * 4 + 1)

/*
 * Write bytes as text.
 *   out  [BASE64_TEXT(len)] gets the NUL-terminated text.
 * Returns its length.
 */
size_t base64_encode(enum base64_alphabet a, const void *bytes, size_t len, char *out);

/*
 * Read text in either alphabet, padded or not; nothing but letters, then at most the padding.
 *   cap   bytes allowed.
 *   *len  set on success.
 * Returns 0, ERR_PROTO (another character, a length or last letter that cannot be), ERR_TOOBIG.
 */
int base64_decode(struct str text, void *out, size_t cap, size_t *len) MUST_CHECK;

#endif
