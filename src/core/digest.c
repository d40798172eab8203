/*
 * The store never holds a token, only its fingerprint under a key of this installation: a stolen
 * copy of the records lets nobody in, and looking one up takes no comparison that time could tell.
 */
#include "core/digest.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
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

/* Memory that hashing one password may take: what digest_cost asks for, and a little. */
#define DIGEST_SCRYPT_MEM (UINT64_C(64) << 20)

int digest_ssh(struct str blob, char out[DIGEST_SSH_TEXT])
{
	uint8_t hash[DIGEST_LEN];

	if (EVP_Digest(blob.p, blob.len, hash, NULL, EVP_sha256(), NULL) != 1)
		return ERR_NOMEM;
	memcpy(out, "SHA256:", 7);
	base64_encode(BASE64_BARE, hash, sizeof hash, out + 7);
	return 0;
}

int digest_scrypt(struct str password, struct str salt, const struct digest_cost *cost,
		  uint8_t out[DIGEST_LEN])
{
	uint64_t n = UINT64_C(1) << MIN(cost->ln, 32), r = cost->r, p = cost->p;

	if (cost->ln < 1 || cost->ln > 32 || r < 1 || r > 1024 || p < 1 || p > 1024 ||
	    128 * r * n > DIGEST_SCRYPT_MEM)
		return ERR_INVAL;
	if (EVP_PBE_scrypt(password.len > 0 ? password.p : "", password.len,
			   (const unsigned char *)salt.p, salt.len, n, r, p,
			   2 * DIGEST_SCRYPT_MEM, out, DIGEST_LEN) != 1)
		return ERR_NOMEM;
	return 0;
}

bool digest_same(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}
