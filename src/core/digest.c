/*
 * The store never holds a token, only its fingerprint under a key of this installation: a stolen
 * copy of the records lets nobody in, and looking one up takes no comparison that time could tell.
 */
#include "core/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/err.h"

int digest_keyed(const uint8_t key[DIGEST_LEN], struct str text, char out[DIGEST_HEX_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = (const unsigned char *)(text.len > 0 ? text.p : "");
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned len = sizeof mac;

	if (HMAC(EVP_sha256(), key, DIGEST_LEN, bytes, text.len, mac, &len) == NULL)
		return ERR_NOMEM;
	CHECK(len == DIGEST_LEN);
	for (size_t i = 0; i < DIGEST_LEN; i++) {
		out[2 * i] = digits[mac[i] >> 4];
		out[2 * i + 1] = digits[mac[i] & 15];
	}
	out[2 * DIGEST_LEN] = '\0';
	return 0;
}

void digest_base64(const uint8_t bytes[DIGEST_LEN], char out[DIGEST_BASE64_TEXT])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789-_";
	uint32_t held = 0;
	unsigned bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < DIGEST_LEN; i++) {
		held = held << 8 | bytes[i];
		for (bits += 8; bits >= 6; bits -= 6)
			out[n++] = digits[held >> (bits - 6) & 63];
	}
	out[n++] = digits[held << (6 - bits) & 63];
	CHECK(n == DIGEST_BASE64_TEXT - 1);
	out[n] = '\0';
}
