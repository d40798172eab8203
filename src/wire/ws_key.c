/* No secret: it only keeps caches, and servers that know nothing of WebSocket, from answering by
 * chance. */
#include "wire/ws_key.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/base64.h"
#include "base/err.h"

/* Bytes of a key before it is text, and of a SHA-1. */
#define KEY_LEN	 16
#define SHA1_LEN 20

_Static_assert(WS_KEY_TEXT == BASE64_TEXT(KEY_LEN), "a key as text");
_Static_assert(WS_ACCEPT_TEXT == BASE64_TEXT(SHA1_LEN), "an answer as text");

void ws_key_new(struct ev *ev, char out[WS_KEY_TEXT])
{
	uint8_t key[KEY_LEN];

	ev_random(ev, key, sizeof key);
	base64_encode(BASE64, key, sizeof key, out);
}

int ws_key_accept(struct str key, char out[WS_ACCEPT_TEXT])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[WS_KEY_TEXT + sizeof guid];
	uint8_t bytes[KEY_LEN], hash[EVP_MAX_MD_SIZE];
	unsigned hash_len = 0;
	size_t len;

	if (base64_decode(key, bytes, sizeof bytes, &len) != 0 || len != sizeof bytes)
		return ERR_INVAL;
	base64_encode(BASE64, bytes, sizeof bytes, text);
	if (!str_eq(key, str_of(text)))
		return ERR_INVAL; /* the other alphabet, or without its padding */
	memcpy(text + WS_KEY_TEXT - 1, guid, sizeof guid);
	if (EVP_Digest(text, WS_KEY_TEXT - 1 + sizeof guid - 1, hash, &hash_len, EVP_sha1(),
		       NULL) != 1)
		return ERR_NOMEM;
	CHECK(hash_len == SHA1_LEN);
	base64_encode(BASE64, hash, SHA1_LEN, out);
	return 0;
}
