/*
 * Clients that prove who they are by a certificate. Only those who want the server itself are asked
 * for one: a browser that visits a tunnel on the same port must not bother its user.
 */
#include "wire/tls_peer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "proto/ident.h"
#include "wire/tls_inside.h"

struct tls_peer {
	size_t n_refs;
	struct tls_context *ctx; /* a reference */
	X509 *cert;		 /* a reference */
	STACK_OF(X509) * chain;	 /* owned; what came with it, may be NULL */
	char *name;		 /* owned */
	uint64_t number;	 /* of the set by which it was judged last */
	int64_t until_ms;	 /* it, or who vouches for it, ends then */
};

/* ---- asking ---- */

/* Lists of revoked certificates, one after the other. */
static int tls_peer_load_crls(X509_STORE *store, const char *file, char *why)
{
	size_t n = 0;
	X509_CRL *crl;
	BIO *bio;
	int e = 0;

	if ((bio = BIO_new_file(file, "re")) == NULL)
		return tls_pair_fail(why, ERR_IO, "cannot read the revocation list", file);
	while (e == 0 && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
		if (X509_STORE_add_crl(store, crl) != 1)
			e = tls_pair_fail(why, ERR_TLS, "cannot use the revocation list", file);
		X509_CRL_free(crl);
		n++;
	}
	BIO_free(bio);
	if (e == 0 && (n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
		e = tls_pair_fail(why, ERR_TLS, "no usable revocation list in", file);
	ERR_clear_error();
	if (e == 0)
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return e;
}

int tls_peer_ask(const struct tls_context *ctx, struct tls_set *set, char *why)
{
	const struct tls_context_files *f = &ctx->files;
	STACK_OF(X509_NAME) * authorities;
	int e;

	if (f->client_ca == NULL)
		return 0;
	if ((e = tls_pair_check_file(why, "authority file", f->client_ca, TLS_FILE_MAX)) != 0)
		return e;
	if (SSL_CTX_load_verify_file(set->ssl, f->client_ca) != 1 ||
	    (authorities = SSL_load_client_CA_file(f->client_ca)) == NULL)
		return tls_pair_fail(why, ERR_TLS, "no usable certificate in", f->client_ca);
	SSL_CTX_set_client_CA_list(set->ssl, authorities);
	set->asks = true;
	set->required = f->client_required;
	set->ca_names = f->client_ca_names;
	if (set->required) { /* a ticket would be a way past it */
		SSL_CTX_set_options(set->ssl, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(set->ssl, 0);
	}
	if (f->client_crl == NULL)
		return 0;
	if ((e = tls_pair_check_file(why, "revocation list", f->client_crl, TLS_CRL_MAX)) != 0)
		return e;
	return tls_peer_load_crls(SSL_CTX_get_cert_store(set->ssl), f->client_crl, why);
}

/* Without SNI nobody visits a tunnel. */
bool tls_peer_asks(const struct tls_set *set, const struct str *sni)
{
	if (!set->asks)
		return false;
	if (sni == NULL || set->ca_names == NULL || set->required)
		return true;
	for (size_t i = 0; set->ca_names[i] != NULL; i++)
		if (str_eq_nocase(str_of(set->ca_names[i]), *sni))
			return true;
	return false;
}

bool tls_peer_ask_one(const struct tls_set *set, SSL *ssl, const char *sni)
{
	struct wire_tls *t = SSL_get_app_data(ssl);
	int mode = SSL_VERIFY_PEER | (set->required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
	struct str name = str_of(sni);

	if (!tls_peer_asks(set, sni == NULL ? NULL : &name))
		return false;
	SSL_set_verify(ssl, mode, tls_setup_on_verify);
	X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), (time_t)(ev_wall_ms(t->wire.ev) / 1000));
	/* A ticket would prove what the certificate was when it was made; none is taken here
	 * either, see tls_ticket.c. */
	SSL_set_options(ssl, SSL_OP_NO_TICKET);
	(void)!SSL_set_num_tickets(ssl, 0);
	return true;
}

int tls_peer_judge(int ok, X509_STORE_CTX *store)
{
	if (ok == 0 && X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	return ok;
}

/* ---- names ---- */

/* Bytes of a name in a certificate, unless they are more than a name. */
static char *tls_peer_keep(const ASN1_STRING *text)
{
	struct str s = {(const char *)ASN1_STRING_get0_data(text),
			(size_t)ASN1_STRING_length(text)};

	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\\')
			return NULL; /* it stands in log lines, in quotes */
	return s.len > 0 && s.len <= TLS_PEER_NAME_MAX ? str_dup(s) : NULL;
}

/* A mail address counts only where it can be "agent@realm". */
static char *tls_peer_keep_mail(const ASN1_STRING *text)
{
	char *name = tls_peer_keep(text);
	struct str agent;

	if (name != NULL && tls_peer_agent(name, &agent))
		return name;
	free(name);
	return NULL;
}

static char *tls_peer_alt_name(const GENERAL_NAMES *names, int type)
{
	char *found = NULL;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && found == NULL; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == type)
			found = type == GEN_DNS ? tls_peer_keep(name->d.dNSName)
						: tls_peer_keep_mail(name->d.rfc822Name);
	}
	return found;
}

static char *tls_peer_common_name(X509 *cert)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at < 0)
		return NULL;
	return tls_peer_keep(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

char *tls_peer_read_name(X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char *found = tls_peer_alt_name(names, GEN_DNS);

	if (found == NULL)
		found = tls_peer_alt_name(names, GEN_EMAIL);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	if (found == NULL)
		found = tls_peer_common_name(cert);
	return found != NULL ? found : str_dup(STR(""));
}

bool tls_peer_agent(const char *name, struct str *agent)
{
	const char *at = strchr(name, '@');
	struct str before = {name, at == NULL ? 0 : (size_t)(at - name)};

	if (at == NULL || at[1] == '\0' || !ident_ok(before))
		return false;
	*agent = before;
	return true;
}

/* ---- after the handshake ---- */

int64_t tls_peer_time_ms(const ASN1_TIME *t)
{
	struct tm tm;

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : INT64_MAX;
}

static int64_t tls_peer_until_ms(const STACK_OF(X509) * chain)
{
	int64_t until = INT64_MAX;

	for (int i = 0; i < sk_X509_num(chain); i++)
		until = MIN(until, tls_peer_time_ms(X509_get0_notAfter(sk_X509_value(chain, i))));
	return until;
}

struct tls_peer *tls_peer_new(const struct wire_tls *t)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(t->ssl);
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	struct tls_peer *p;

	if (cert == NULL || SSL_get_verify_result(t->ssl) != X509_V_OK ||
	    (p = calloc(1, sizeof *p)) == NULL)
		return NULL;
	p->n_refs = 1;
	p->ctx = tls_context_share(t->ctx);
	X509_up_ref(cert);
	p->cert = cert;
	p->number = t->set_number;
	p->until_ms = tls_peer_until_ms(SSL_get0_verified_chain(t->ssl));
	p->name = tls_peer_read_name(cert);
	if (p->name != NULL && (chain == NULL || (p->chain = X509_chain_up_ref(chain)) != NULL))
		return p;
	tls_peer_free(p);
	return NULL;
}

const char *tls_peer_name(const struct tls_peer *p)
{
	return p->name;
}

struct tls_peer *tls_peer_share(struct tls_peer *p)
{
	if (p != NULL)
		p->n_refs++;
	return p;
}

void tls_peer_free(struct tls_peer *p)
{
	if (p == NULL || --p->n_refs > 0)
		return;
	sk_X509_pop_free(p->chain, X509_free);
	X509_free(p->cert);
	tls_context_free(p->ctx);
	free(p->name);
	free(p);
}

static int tls_peer_on_verify(int ok, X509_STORE_CTX *store)
{
	ok = tls_peer_judge(ok, store);
	if (ok == 0)
		tls_reason_cert(store, NULL, true, X509_STORE_CTX_get_app_data(store));
	return ok;
}

/* As the handshake does, by the set that is in force. */
static int tls_peer_verify(struct tls_peer *p, const struct tls_set *set, int64_t now_ms,
			   char reason[TLS_REASON])
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int e = ERR_NOMEM;

	if (store == NULL ||
	    X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(set->ssl), p->cert, p->chain) != 1)
		goto out;
	X509_STORE_CTX_set_default(store, "ssl_client");
	param = X509_STORE_CTX_get0_param(store);
	X509_VERIFY_PARAM_set_time(param, (time_t)(now_ms / 1000));
	X509_VERIFY_PARAM_set_auth_level(param, SSL_CTX_get_security_level(set->ssl));
	X509_STORE_CTX_set_app_data(store, reason);
	X509_STORE_CTX_set_verify_cb(store, tls_peer_on_verify);
	e = X509_verify_cert(store) == 1 ? 0 : ERR_CERT;
	if (e == 0) {
		p->number = set->number;
		p->until_ms = tls_peer_until_ms(X509_STORE_CTX_get0_chain(store));
	}
out:
	X509_STORE_CTX_free(store);
	ERR_clear_error();
	return e;
}

int tls_peer_check(struct tls_peer *p, int64_t now_ms, char *why)
{
	const struct tls_set *set = p->ctx->set;
	char reason[TLS_REASON];
	int e;

	if (p->number == set->number && now_ms < p->until_ms)
		return 0;
	str_printf(reason, sizeof reason, "certificate: it cannot be verified any more");
	e = tls_peer_verify(p, set, now_ms, reason);
	if (e != 0)
		str_printf(why, TLS_CONTEXT_WHY, "%s", reason);
	return e;
}
