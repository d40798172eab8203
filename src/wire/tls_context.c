/* Loading certificates, keys and authorities, and the settings that every TLS wire has. */
#include "wire/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wire/tls_inside.h"

/* AES-128 first: half the rounds of AES-256, and nobody breaks either. Source: RFC 9325 4.2. */
#define CIPHERS_13 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
#define CIPHERS_12                                                   \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"

/* Bytes of all ALPN names together. */
#define ALPN_CAP 256

static int tls_context_fail(char *why, int e, const char *what, const char *file)
{
	char reason[TLS_REASON];

	tls_reason_failure(reason);
	str_printf(why, TLS_CONTEXT_WHY, "%s %s: %s", what, file, reason);
	return e;
}

/* Can the file be read at all? OpenSSL's answers hide the reason. */
static int tls_context_check_file(char *why, const char *what, const char *file)
{
	FILE *f = fopen(file, "re");
	int e, c;

	if (f != NULL) {
		errno = 0;
		c = getc(f);
		e = c == EOF && errno != 0 ? err_from_errno(errno) : 0;
		if (e != 0)
			str_printf(why, TLS_CONTEXT_WHY, "cannot read the %s %s: %s", what, file,
				   strerror(errno));
		fclose(f);
		return e;
	}
	str_printf(why, TLS_CONTEXT_WHY, "cannot read the %s %s: %s", what, file, strerror(errno));
	return errno == ENOENT ? ERR_NOTFOUND : errno == EACCES ? ERR_DENIED : ERR_IO;
}

/* Never ask on a terminal. */
static int tls_context_on_passphrase(char *buf, int size, int writing, void *arg)
{
	bool *asked = arg;

	*asked = true;
	return -1;
}

static int tls_context_load(struct tls_context *ctx, const char *cert_file, const char *key_file,
			    char *why)
{
	bool asked = false;
	int e;

	if ((e = tls_context_check_file(why, "certificate", cert_file)) != 0 ||
	    (e = tls_context_check_file(why, "key", key_file)) != 0)
		return e;
	SSL_CTX_set_default_passwd_cb(ctx->ssl, tls_context_on_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(ctx->ssl, &asked);
	if (SSL_CTX_use_certificate_chain_file(ctx->ssl, cert_file) != 1)
		return tls_context_fail(why, ERR_TLS, "no usable certificate in", cert_file);
	if (SSL_CTX_use_PrivateKey_file(ctx->ssl, key_file, SSL_FILETYPE_PEM) != 1) {
		unsigned long code = ERR_peek_last_error();

		if (asked) {
			ERR_clear_error();
			str_printf(why, TLS_CONTEXT_WHY,
				   "the key %s is protected by a passphrase: remove it with "
				   "\"openssl pkey\"",
				   key_file);
			return ERR_TLS;
		}
		if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
		    (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH ||
		     ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH)) {
			ERR_clear_error();
			str_printf(why, TLS_CONTEXT_WHY,
				   "the key %s does not belong to the certificate in %s", key_file,
				   cert_file);
			return ERR_CERT;
		}
		return tls_context_fail(why, ERR_TLS, "no usable key in", key_file);
	}
	SSL_CTX_set_default_passwd_cb_userdata(ctx->ssl, NULL);
	SSL_CTX_set_default_passwd_cb(ctx->ssl, NULL);
	return 0;
}

static int tls_context_ask_clients(struct tls_context *ctx, const struct tls_context_server *opt,
				   char *why)
{
	int e;

	if (opt->client_ca_file == NULL)
		return 0;
	if ((e = tls_context_check_file(why, "authority file", opt->client_ca_file)) != 0)
		return e;
	if ((e = tls_peer_ask(ctx, opt->client_ca_file, opt->client_ca_names)) != 0)
		return tls_context_fail(why, e, "no usable certificate in", opt->client_ca_file);
	return 0;
}

static int tls_context_trust(struct tls_context *ctx, const struct tls_context_client *opt,
			     char *why)
{
	int e;

	ctx->insecure = opt->insecure;
	if (opt->insecure)
		return 0;
	SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, NULL);
	if (opt->ca_file == NULL) {
		if (SSL_CTX_set_default_verify_paths(ctx->ssl) == 1)
			return 0;
		return tls_context_fail(why, ERR_TLS, "the authorities of", "the system");
	}
	if ((e = tls_context_check_file(why, "authority file", opt->ca_file)) != 0)
		return e;
	if (SSL_CTX_load_verify_file(ctx->ssl, opt->ca_file) != 1)
		return tls_context_fail(why, ERR_TLS, "no usable certificate in", opt->ca_file);
	return 0;
}

/* The names as TLS writes them. Source: RFC 7301 3.1. */
static int tls_context_alpn(struct tls_context *ctx, const char *const *alpn, char *why)
{
	if (alpn == NULL)
		return 0;
	if ((ctx->alpn = malloc(ALPN_CAP)) == NULL)
		return ERR_NOMEM;
	for (; *alpn != NULL; alpn++) {
		size_t len = strlen(*alpn);

		if (len == 0 || len > 255 || ctx->alpn_len + 1 + len > ALPN_CAP) {
			str_printf(why, TLS_CONTEXT_WHY, "not an ALPN name, or too many: \"%s\"",
				   *alpn);
			return ERR_INVAL;
		}
		ctx->alpn[ctx->alpn_len] = (uint8_t)len;
		memcpy(ctx->alpn + ctx->alpn_len + 1, *alpn, len);
		ctx->alpn_len += 1 + len;
	}
	return 0;
}

/* Our first name that the client offers too; a client that offers others only is refused. */
static int tls_context_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			       const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct tls_context *ctx = arg;
	unsigned char *chosen = NULL;

	if (SSL_select_next_proto(&chosen, out_len, ctx->alpn, (unsigned int)ctx->alpn_len, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int tls_context_make(bool server, const char *const *alpn, struct tls_context **out,
			    char *why)
{
	struct tls_context *ctx = NULL;
	int e = ERR_NOMEM;

	str_printf(why, TLS_CONTEXT_WHY, "out of memory");
	if ((ctx = calloc(1, sizeof *ctx)) == NULL)
		goto out;
	ctx->n_refs = 1;
	ctx->server = server;
	if ((ctx->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method())) == NULL)
		goto out;
	if ((e = tls_context_alpn(ctx, alpn, why)) != 0)
		goto out;
	e = ERR_TLS;
	if (SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx->ssl, CIPHERS_13) != 1 ||
	    SSL_CTX_set_cipher_list(ctx->ssl, CIPHERS_12) != 1) {
		tls_context_fail(why, e, "the TLS settings of", "karez");
		goto out;
	}
	SSL_CTX_set_options(ctx->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					      SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Resumption is by tickets, which the clients keep: nothing of a session stays here. */
	SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
	if (server && ctx->alpn_len > 0)
		SSL_CTX_set_alpn_select_cb(ctx->ssl, tls_context_on_alpn, ctx);
	/* The only function of OpenSSL's that returns 0 for success. */
	if (!server && ctx->alpn_len > 0 &&
	    SSL_CTX_set_alpn_protos(ctx->ssl, ctx->alpn, (unsigned int)ctx->alpn_len) != 0) {
		e = ERR_NOMEM;
		goto out;
	}
	MOVE(*out, ctx);
	e = 0;
out:
	tls_context_free(ctx);
	return e;
}

int tls_context_new_server(const struct tls_context_server *opt, struct tls_context **out,
			   char *why)
{
	struct tls_context *ctx = NULL;
	int e;

	ERR_clear_error();
	if ((e = tls_context_make(true, opt->alpn, &ctx, why)) == 0 &&
	    (e = tls_context_load(ctx, opt->cert_file, opt->key_file, why)) == 0 &&
	    (e = tls_context_ask_clients(ctx, opt, why)) == 0)
		MOVE(*out, ctx);
	tls_context_free(ctx);
	return e;
}

int tls_context_new_client(const struct tls_context_client *opt, struct tls_context **out,
			   char *why)
{
	struct tls_context *ctx = NULL;
	int e;

	ERR_clear_error();
	if ((e = tls_context_make(false, opt->alpn, &ctx, why)) == 0 &&
	    (e = tls_context_trust(ctx, opt, why)) == 0 &&
	    (opt->cert_file == NULL ||
	     (e = tls_context_load(ctx, opt->cert_file, opt->key_file, why)) == 0))
		MOVE(*out, ctx);
	tls_context_free(ctx);
	return e;
}

struct tls_context *tls_context_share(struct tls_context *ctx)
{
	ctx->n_refs++;
	return ctx;
}

void tls_context_free(struct tls_context *ctx)
{
	if (ctx == NULL || --ctx->n_refs > 0)
		return;
	SSL_CTX_free(ctx->ssl);
	BIO_meth_free(ctx->bio);
	free(ctx->alpn);
	free(ctx);
}
