/*
 * A server known by its key alone. Then who signed its certificate, for which name and until when
 * means nothing: that it has the key is proven by the handshake itself.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "wire/tls_inside.h"

int tls_pin_digest(X509 *cert, uint8_t sha256[KEY_PIN_LEN])
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der), e = ERR_NOMEM;

	if (len > 0 && EVP_Digest(der, (size_t)len, sha256, NULL, EVP_sha256(), NULL) == 1)
		e = 0;
	OPENSSL_free(der);
	ERR_clear_error();
	return e;
}

/* OpenSSL asks this instead of looking at the chain. */
static int tls_pin_on_verify(X509_STORE_CTX *store, void *arg)
{
	const struct key_pins *pins = arg;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct wire_tls *t = SSL_get_app_data(ssl);
	char text[KEY_PIN_TEXT], reason[TLS_REASON];
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	uint8_t sha256[KEY_PIN_LEN];

	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	if (cert == NULL || tls_pin_digest(cert, sha256) != 0)
		return 0;
	if (key_pins_have(pins, sha256)) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	key_pin_format(sha256, text);
	str_printf(reason, sizeof reason, KEY_PIN_MISMATCH, text);
	tls_reason_keep(&t->reason, reason);
	return 0;
}

void tls_pin_ask(struct tls_context *ctx, const struct key_pins *pins)
{
	ctx->pins = *pins;
	SSL_CTX_set_cert_verify_callback(ctx->set->ssl, tls_pin_on_verify, &ctx->pins);
}
