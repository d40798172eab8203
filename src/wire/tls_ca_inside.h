/* What the authority's files share that know OpenSSL. */
#ifndef KAREZ_WIRE_TLS_CA_INSIDE_H
#define KAREZ_WIRE_TLS_CA_INSIDE_H

#include <openssl/x509v3.h>

#include "wire/tls_ca_files.h"

/* An authority that was read. All owned. */
struct tls_ca {
	X509 *cert;
	EVP_PKEY *key;
};

/* The clock of another machine may be behind ours by so much. */
#define TLS_CA_BACK_MS 3600000

/* "<what>: <OpenSSL's reason>". Returns ERR_TLS. */
int tls_ca_fail(const char *what, char *why);

/* Returns 0, ERR_NOTFOUND, ERR_IO, ERR_TLS, ERR_NOMEM. */
int tls_ca_load(const char *dir, struct tls_ca *out, char *why) MUST_CHECK;
void tls_ca_unload(struct tls_ca *ca);

/* Write what a BIO holds; as tls_ca_create(), or tls_ca_replace() with mode 0. It is wiped. */
int tls_ca_write_bio(const char *path, int mode, BIO *bio, char *why) MUST_CHECK;

/* A time of ours as OpenSSL's; NULL: no memory. The caller frees it. */
ASN1_TIME *tls_ca_time(int64_t ms);

/* "01AB". Returns 0 or ERR_NOMEM. */
int tls_ca_serial_text(const ASN1_INTEGER *serial, char out[TLS_CA_SERIAL_TEXT]) MUST_CHECK;

/* Read crl.pem; *out NULL when it is not there. Returns 0, ERR_TLS, ERR_IO. */
int tls_ca_load_crl(const char *dir, X509_CRL **out, char *why) MUST_CHECK;

/*
 * Sign a list, dated now, and put it in the place of crl.pem.
 *   crl  the one that is there, with what is new; NULL: an empty one.
 */
int tls_ca_sign_crl(const char *dir, const struct tls_ca *ca, X509_CRL *crl, int64_t now_ms,
		    char *why) MUST_CHECK;

#endif
