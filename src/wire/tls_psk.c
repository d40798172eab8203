/*
 * Pre-shared keys. OpenSSL takes one as the session of a connection that never was, and calls it
 * resumed: so no certificate is sent, and a side that would fall back on certificates finds that it
 * has none, or trusts nobody's.
 */
#include "wire/tls_psk.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wire/tls_inside.h"

#define SECRET_LEAST 16

/* A key is as long as the hash of its cipher. Source: RFC 8446 4.2.11. */
#define KEY_LEN 32

/* TLS_AES_128_GCM_SHA256. Source: RFC 8446 B.4. */
static const unsigned char psk_cipher[] = {0x13, 0x01};
#define PSK_CIPHER "TLS_AES_128_GCM_SHA256"

/* For the ephemeral exchange: the quickest, and one that stands in every library. */
#define PSK_GROUPS "X25519:P-256"

struct tls_psk {
	uint8_t key[KEY_LEN];
	char name[TLS_PSK_NAME_TEXT];
};

void tls_psk_free(struct tls_psk *psk)
{
	if (psk == NULL)
		return;
	explicit_bzero(psk, sizeof *psk);
	free(psk);
}

/* ---- what OpenSSL asks ---- */

/* The key as OpenSSL wants it; NULL without memory. */
static SSL_SESSION *tls_psk_session(SSL *ssl, const struct tls_psk *psk)
{
	SSL_SESSION *session = SSL_SESSION_new();
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, psk_cipher);

	if (session != NULL && cipher != NULL &&
	    SSL_SESSION_set1_master_key(session, psk->key, sizeof psk->key) == 1 &&
	    SSL_SESSION_set_cipher(session, cipher) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int tls_psk_on_use(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len,
			  SSL_SESSION **out)
{
	const struct wire_tls *t = SSL_get_app_data(ssl);
	const struct tls_psk *psk = t->ctx->psk;

	*out = NULL;
	if (md != NULL && !EVP_MD_is_a(md, "SHA256")) /* asked for once more, by another hash */
		return 1;
	if ((*out = tls_psk_session(ssl, psk)) == NULL)
		return 0;
	*id = (const unsigned char *)psk->name;
	*id_len = strlen(psk->name);
	return 1;
}

/* Text that can be shown, and nothing else. */
static bool tls_psk_name_ok(struct str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return false;
	return name.len > 0 && name.len < TLS_PSK_NAME_TEXT;
}

static int tls_psk_on_find(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **out)
{
	struct wire_tls *t = SSL_get_app_data(ssl);
	struct str name = {(const char *)id, id_len};

	*out = NULL;
	if (!tls_psk_name_ok(name))
		return 1; /* not one of ours: there is no key for it */
	/* Of several names the last one asked for counts: OpenSSL takes the first with a key. */
	free(t->psk_name);
	if ((t->psk_name = str_dup(name)) == NULL)
		return 0;
	*out = tls_psk_session(ssl, t->ctx->psk);
	return *out != NULL;
}

/* ---- contexts ---- */

int tls_psk_derive(struct str secret, const char *label, void *out, size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
						 (char *)(uintptr_t) "SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret.p,
						  secret.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)label,
						  strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	int e = ctx != NULL && EVP_KDF_derive(ctx, out, len, params) == 1 ? 0 : ERR_TLS;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return e;
}

static int tls_psk_make(const struct tls_psk_opt *opt, struct tls_psk **out)
{
	struct tls_psk *psk = calloc(1, sizeof *psk);
	int e = 0;

	if (psk == NULL)
		return ERR_NOMEM;
	if (opt->name != NULL)
		e = str_copy(psk->name, sizeof psk->name, str_of(opt->name)) != 0 ? ERR_INVAL : 0;
	if (e == 0)
		e = tls_psk_derive((struct str){(const char *)opt->secret, opt->secret_len},
				   opt->label, psk->key, sizeof psk->key);
	if (e == 0)
		MOVE(*out, psk);
	tls_psk_free(psk);
	return e;
}

/* Nothing but this one way. */
static int tls_psk_settle(struct tls_context *ctx, char *why)
{
	SSL_CTX *ssl = ctx->set->ssl;
	char groups[] = PSK_GROUPS; /* OpenSSL's macro drops a const */

	if (SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ssl, PSK_CIPHER) != 1 ||
	    SSL_CTX_set1_groups_list(ssl, groups) != 1 || SSL_CTX_set_num_tickets(ssl, 0) != 1)
		return tls_pair_fail(why, ERR_TLS, "the TLS settings of", "the cluster key");
	SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
	if (ctx->server)
		SSL_CTX_set_psk_find_session_callback(ssl, tls_psk_on_find);
	else /* no authority is known to it: whoever shows a certificate is refused */
		SSL_CTX_set_psk_use_session_callback(ssl, tls_psk_on_use);
	return 0;
}

static int tls_psk_new(const struct tls_psk_opt *opt, bool server, struct tls_context **out,
		       char *why)
{
	const char *alpn[] = {opt->alpn, NULL};
	struct tls_context *ctx = NULL;
	int e;

	if ((e = tls_context_make(server, alpn, &ctx, why)) != 0)
		return e;
	if (opt->secret_len < SECRET_LEAST ||
	    (!server && (opt->name == NULL || !tls_psk_name_ok(str_of(opt->name))))) {
		str_printf(why, TLS_CONTEXT_WHY, "a key that is too short, or a wrong name");
		e = ERR_INVAL;
	}
	if (e == 0 && (e = tls_psk_make(opt, &ctx->psk)) == 0 &&
	    (e = tls_set_new(&ctx->set)) == 0 &&
	    (e = tls_context_make_ssl(ctx, &ctx->set->ssl, why)) == 0 &&
	    (e = tls_psk_settle(ctx, why)) == 0)
		MOVE(*out, ctx);
	tls_context_free(ctx);
	return e;
}

int tls_psk_new_server(const struct tls_psk_opt *opt, struct tls_context **out, char *why)
{
	return tls_psk_new(opt, true, out, why);
}

int tls_psk_new_client(const struct tls_psk_opt *opt, struct tls_context **out, char *why)
{
	return tls_psk_new(opt, false, out, why);
}

const char *tls_psk_name(const struct wire *w)
{
	const struct wire_tls *t = wire_tls_find(w);

	if (t == NULL || t->ctx->psk == NULL || t->phase == PHASE_HANDSHAKE || t->psk_name == NULL)
		return "";
	return t->psk_name;
}
