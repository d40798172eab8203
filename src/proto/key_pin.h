/*
 * Fingerprints of public keys of TLS servers: the SHA-256 of the SubjectPublicKeyInfo, which stays
 * when a certificate is renewed with the same key. Source: RFC 7469 2.4.
 */
#ifndef KAREZ_PROTO_KEY_PIN_H
#define KAREZ_PROTO_KEY_PIN_H

#include "base/base64.h"

enum {
	KEY_PIN_LEN = 32, /* bytes of a SHA-256 */
	KEY_PINS_MAX = 8, /* keys that one server may have: the one in use, and those to come */
	KEY_PIN_TEXT = 7 + BASE64_TEXT(KEY_PIN_LEN),
	KEY_PINS_CURL = KEY_PINS_MAX * (9 + BASE64_TEXT(KEY_PIN_LEN)),
};

/*
 * What is said of a key that is none of those, after "no connection to URL: "; one %s, the key's
 * fingerprint. It may be that of somebody in between, so nobody is told to use it.
 */
#define KEY_PIN_MISMATCH                                                                 \
	"its key is %s, and that is not in --server-fingerprint; if the server has got " \
	"another key, read its fingerprint there (karezd prints it when it starts), "    \
	"and give that"

/*
 * What to do about a server whom nobody whom we trust vouches for, behind why. Its fingerprint is
 * not told: it may be that of somebody in between.
 */
#define KEY_PIN_HINT                                                                              \
	"; if it is a private server, say by --ca-file who vouches for it, or by "                \
	"--server-fingerprint which key it has: that stands in the line \"tls key\" that karezd " \
	"prints when it starts"

/* Any of [n] keys will do; n 0: nothing is said about the key. A value. */
struct key_pins {
	uint8_t sha256[KEY_PINS_MAX][KEY_PIN_LEN];
	size_t n;
};

/*
 * Read one fingerprint: "SHA256:<base64>" as ssh writes those of its keys, or "sha256//<base64>" as
 * curl takes them; padded or not.
 * Returns 0 or ERR_INVAL.
 */
int key_pin_parse(struct str s, uint8_t out[KEY_PIN_LEN]) MUST_CHECK;

/* Add one as text. Returns 0, ERR_INVAL (not a fingerprint), ERR_TOOBIG (there are KEY_PINS_MAX).
 */
int key_pins_add(struct key_pins *pins, struct str s) MUST_CHECK;

/* Is this key one of them? */
bool key_pins_have(const struct key_pins *pins, const uint8_t sha256[KEY_PIN_LEN]);

/* "SHA256:<base64 without padding>", NUL-terminated; key_pin_parse() reads it back. */
void key_pin_format(const uint8_t sha256[KEY_PIN_LEN], char out[KEY_PIN_TEXT]);

/* All of them as libcurl takes them: "sha256//<base64>;sha256//<base64>", NUL-terminated. */
void key_pins_format_curl(const struct key_pins *pins, char out[KEY_PINS_CURL]);

#endif
