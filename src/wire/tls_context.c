/* The settings that every TLS wire has, and what they are made of: certificates, authorities. */
#include "wire/tls_context.h"

#include <openssl/err.h>
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

/* ---- both sides ---- */

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
	const struct wire_tls *t = SSL_get_app_data(ssl);
	const struct tls_context *ctx = arg;
	unsigned char *chosen = NULL;

	if (t != NULL && t->no_alpn)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_select_next_proto(&chosen, out_len, ctx->alpn, (unsigned int)ctx->alpn_len, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

int tls_context_make_ssl(const struct tls_context *ctx, SSL_CTX **out, char *why)
{
	SSL_CTX *ssl = SSL_CTX_new(ctx->server ? TLS_server_method() : TLS_client_method());

	if (ssl == NULL)
		return ERR_NOMEM;
	if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ssl, CIPHERS_13) != 1 ||
	    SSL_CTX_set_cipher_list(ssl, CIPHERS_12) != 1) {
		SSL_CTX_free(ssl);
		return tls_pair_fail(why, ERR_TLS, "the TLS settings of", "karez");
	}
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* Each connection has an exchange of its own, whatever the system's openssl.cnf allows. */
	SSL_CTX_clear_options(ssl, SSL_OP_ALLOW_NO_DHE_KEX);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Resumption is by tickets, which the clients keep: nothing of a session stays here. */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	if (ctx->server) /* what is sent stands in our files; looking for more costs signatures */
		SSL_CTX_set_mode(ssl, SSL_MODE_NO_AUTO_CHAIN);
	if (ctx->server && ctx->alpn_len > 0) /* the wires hold the context */
		SSL_CTX_set_alpn_select_cb(ssl, tls_context_on_alpn, (void *)(uintptr_t)ctx);
	/* The only function of OpenSSL's that returns 0 for success. */
	if (!ctx->server && ctx->alpn_len > 0 &&
	    SSL_CTX_set_alpn_protos(ssl, ctx->alpn, (unsigned int)ctx->alpn_len) != 0) {
		SSL_CTX_free(ssl);
		return ERR_NOMEM;
	}
	*out = ssl;
	return 0;
}

int tls_context_make(bool server, const char *const *alpn, struct tls_context **out, char *why)
{
	struct tls_context *ctx = calloc(1, sizeof *ctx);
	int e = ERR_NOMEM;

	str_printf(why, TLS_CONTEXT_WHY, "out of memory");
	ERR_clear_error();
	if (ctx == NULL)
		return e;
	ctx->n_refs = 1;
	ctx->server = server;
	if ((e = tls_context_alpn(ctx, alpn, why)) == 0)
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
	tls_set_free(ctx->set);
	tls_psk_free(ctx->psk);
	BIO_meth_free(ctx->bio);
	free(ctx->alpn);
	free(ctx->own_name);
	free(ctx->files.cert);
	free(ctx->files.key);
	free(ctx->files.dir);
	free(ctx->files.client_ca);
	free(ctx->files.client_crl);
	tls_ticket_free(ctx->ticket);
	free(ctx);
}

/* ---- servers ---- */

static int tls_context_keep(char **to, const char *text)
{
	if (text == NULL)
		return 0;
	*to = str_dup(str_of(text));
	return *to == NULL ? ERR_NOMEM : 0;
}

static int tls_context_keep_files(struct tls_context *ctx, const struct tls_context_server *opt)
{
	struct tls_context_files *f = &ctx->files;
	int e;

	f->client_ca_names = opt->client_ca_names;
	f->client_required = opt->client_required;
	ctx->log = opt->log;
	if ((e = tls_context_keep(&f->cert, opt->cert_file)) == 0 &&
	    (e = tls_context_keep(&f->key, opt->key_file)) == 0 &&
	    (e = tls_context_keep(&f->dir, opt->dir)) == 0 &&
	    (e = tls_context_keep(&f->client_ca, opt->client_ca_file)) == 0)
		e = tls_context_keep(&f->client_crl, opt->client_crl_file);
	return e;
}

int tls_context_new_server(const struct tls_context_server *opt, struct tls_context **out,
			   char *why)
{
	struct tls_context *ctx = NULL;
	struct tls_set *set = NULL;
	int e;

	CHECK((opt->cert_file != NULL) == (opt->key_file != NULL));
	CHECK(opt->cert_file != NULL || opt->dir != NULL);
	CHECK(!opt->client_required || opt->client_ca_file != NULL);
	CHECK(opt->ticket_root == NULL || opt->ticket_label != NULL);
	if ((e = tls_context_make(true, opt->alpn, &ctx, why)) == 0 &&
	    (e = tls_context_keep_files(ctx, opt)) == 0 &&
	    (e = tls_ticket_new(opt->ticket_root, opt->ticket_label, &ctx->ticket)) == 0 &&
	    (e = tls_set_load(ctx, NULL, &set, why)) == 0) {
		tls_set_tell(set, NULL, ctx->log);
		tls_context_replace(ctx, &set);
		MOVE(*out, ctx);
	}
	tls_context_free(ctx);
	return e;
}

void tls_context_replace(struct tls_context *ctx, struct tls_set **set)
{
	tls_set_free(ctx->set);
	MOVE(ctx->set, *set);
	ctx->set->number = ++ctx->n_sets;
}

bool tls_context_has_name(const struct tls_context *ctx, const char *name)
{
	return tls_set_find(ctx->set, name) != NULL;
}

int tls_context_fingerprint(const struct tls_context *ctx, const char *name, uint8_t *sha256)
{
	const struct tls_pair *pair = name == NULL ? NULL : tls_set_find(ctx->set, name);

	if (pair == NULL)
		pair = &ctx->set->fallback;
	return pair->cert == NULL ? ERR_NOTFOUND : tls_pin_digest(pair->cert, sha256);
}

/* ---- clients ---- */

static int tls_context_trust(struct tls_context *ctx, const struct tls_context_client *opt,
			     char *why)
{
	SSL_CTX *ssl = ctx->set->ssl;
	int e;

	ctx->insecure = opt->insecure;
	if (opt->insecure)
		return 0;
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (opt->pins != NULL && opt->pins->n > 0) {
		tls_pin_ask(ctx, opt->pins);
		return 0;
	}
	if (opt->ca_file == NULL) {
		if (SSL_CTX_set_default_verify_paths(ssl) == 1)
			return 0;
		return tls_pair_fail(why, ERR_TLS, "the authorities of", "the system");
	}
	if ((e = tls_pair_check_file(why, "authority file", opt->ca_file, TLS_FILE_MAX)) != 0)
		return e;
	if (SSL_CTX_load_verify_file(ssl, opt->ca_file) != 1)
		return tls_pair_fail(why, ERR_TLS, "no usable certificate in", opt->ca_file);
	return 0;
}

/* What proves who we are. */
static int tls_context_show(struct tls_context *ctx, const struct tls_context_client *opt,
			    char *why)
{
	struct tls_pair own = {NULL};
	SSL *scratch = NULL;
	int e;

	if (opt->cert_file == NULL)
		return 0;
	if ((scratch = SSL_new(ctx->set->ssl)) == NULL)
		return ERR_NOMEM;
	e = tls_pair_load(scratch, opt->cert_file, opt->key_file, &own, why);
	if (e == 0 && SSL_CTX_use_cert_and_key(ctx->set->ssl, own.cert, own.key, own.chain, 1) != 1)
		e = tls_pair_fail(why, ERR_TLS, "cannot use the certificate in", opt->cert_file);
	if (e == 0 && (ctx->own_name = tls_peer_read_name(own.cert)) == NULL)
		e = ERR_NOMEM;
	tls_pair_free(&own);
	SSL_free(scratch);
	return e;
}

int tls_context_new_client(const struct tls_context_client *opt, struct tls_context **out,
			   char *why)
{
	struct tls_context *ctx = NULL;
	int e;

	if ((e = tls_context_make(false, opt->alpn, &ctx, why)) == 0 &&
	    (e = tls_set_new(&ctx->set)) == 0 &&
	    (e = tls_context_make_ssl(ctx, &ctx->set->ssl, why)) == 0 &&
	    (e = tls_context_trust(ctx, opt, why)) == 0 &&
	    (e = tls_context_show(ctx, opt, why)) == 0)
		MOVE(*out, ctx);
	tls_context_free(ctx);
	return e;
}

const char *tls_context_own_name(const struct tls_context *ctx)
{
	return ctx->own_name == NULL ? "" : ctx->own_name;
}

void tls_context_explain(const struct tls_context *ctx, const char *alert, char *out)
{
	X509 *cert = SSL_CTX_get0_certificate(ctx->set->ssl);

	if (cert == NULL)
		str_printf(out, TLS_CONTEXT_WHY, "%s", alert);
	else
		tls_reason_own(cert, alert, out);
}
