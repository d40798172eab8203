/*
 * Clients that prove who they are by a certificate. Only those who want the server itself are asked
 * for one: a browser that visits a tunnel on the same port must not bother its user.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wire/tls_inside.h"

/* Is this a name for which a certificate is asked? Without SNI nobody visits a tunnel. */
static bool tls_peer_wanted(const struct tls_context *ctx, const char *sni)
{
	if (sni == NULL || ctx->ca_names == NULL)
		return true;
	for (size_t i = 0; ctx->ca_names[i] != NULL; i++)
		if (str_eq_nocase(str_of(ctx->ca_names[i]), str_of(sni)))
			return true;
	return false;
}

static int tls_peer_on_sni(SSL *ssl, int *alert, void *arg)
{
	const struct tls_context *ctx = arg;
	struct wire_tls *t = SSL_get_app_data(ssl);

	if (!tls_peer_wanted(ctx, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)))
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_verify(ssl, SSL_VERIFY_PEER, tls_setup_on_verify);
	X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), (time_t)(ev_wall_ms(t->wire.ev) / 1000));
	/* A ticket would prove what the certificate was when it was made. */
	SSL_set_options(ssl, SSL_OP_NO_TICKET);
	(void)!SSL_set_num_tickets(ssl, 0);
	return SSL_TLSEXT_ERR_OK;
}

int tls_peer_ask(struct tls_context *ctx, const char *ca_file, const char *const *names)
{
	STACK_OF(X509_NAME) * authorities;

	if (SSL_CTX_load_verify_file(ctx->ssl, ca_file) != 1 ||
	    (authorities = SSL_load_client_CA_file(ca_file)) == NULL)
		return ERR_TLS;
	SSL_CTX_set_client_CA_list(ctx->ssl, authorities);
	ctx->ca_names = names;
	SSL_CTX_set_tlsext_servername_callback(ctx->ssl, tls_peer_on_sni);
	SSL_CTX_set_tlsext_servername_arg(ctx->ssl, ctx);
	return 0;
}

/* Bytes of a name in a certificate, unless they are more than a name. */
static char *tls_peer_keep(const ASN1_STRING *text)
{
	struct str s = {(const char *)ASN1_STRING_get0_data(text),
			(size_t)ASN1_STRING_length(text)};

	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return NULL;
	return s.len > 0 && s.len <= TLS_PEER_NAME_MAX ? str_dup(s) : NULL;
}

static char *tls_peer_common_name(X509 *cert)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at < 0)
		return NULL;
	return tls_peer_keep(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

char *tls_peer_name(SSL *ssl)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	GENERAL_NAMES *names;
	char *found = NULL;

	if (cert == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return NULL;
	names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && found == NULL; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			found = tls_peer_keep(name->d.dNSName);
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	if (found == NULL)
		found = tls_peer_common_name(cert);
	return found != NULL ? found : str_dup(STR(""));
}
