/* Certificates by OpenSSL's own calls, so that no tool need be installed to run the tests. */
#include "unit/wire/tls_certs.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define ROWS_MAX 24

struct made {
	X509 *cert;
	EVP_PKEY *key;
};

char *tls_certs_path(const struct tls_certs *c, const char *file, char path[TLS_CERTS_PATH])
{
	str_printf(path, TLS_CERTS_PATH, "%s/%s", c->dir, file);
	return path;
}

static FILE *certs_create(const struct tls_certs *c, const char *name, const char *ending)
{
	char file[64], path[TLS_CERTS_PATH];
	FILE *f;

	str_printf(file, sizeof file, "%s.%s", name, ending);
	f = fopen(tls_certs_path(c, file, path), "we");
	assert_non_null(f);
	return f;
}

static void certs_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static void certs_make_one(struct made *m, const struct tls_certs_row *row,
			   const struct made *issuer, long serial)
{
	char time[32];
	X509_NAME *name;

	m->key = row->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	m->cert = X509_new();
	assert_true(m->key != NULL && m->cert != NULL);
	X509_set_version(m->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(m->cert), serial);
	str_printf(time, sizeof time, "%04d0101000000Z", row->from);
	assert_int_equal(ASN1_TIME_set_string_X509(X509_getm_notBefore(m->cert), time), 1);
	str_printf(time, sizeof time, "%04d0101000000Z", row->to);
	assert_int_equal(ASN1_TIME_set_string_X509(X509_getm_notAfter(m->cert), time), 1);
	name = X509_get_subject_name(m->cert);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)row->name, -1, -1, 0);
	X509_set_pubkey(m->cert, m->key);
	if (issuer == NULL)
		issuer = m;
	X509_set_issuer_name(m->cert, X509_get_subject_name(issuer->cert));
	certs_extend(m->cert, issuer->cert, NID_basic_constraints,
		     row->names == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (row->names != NULL)
		certs_extend(m->cert, issuer->cert, NID_subject_alt_name, row->names);
	assert_true(X509_sign(m->cert, issuer->key, EVP_sha256()) > 0);
}

void tls_certs_make(struct tls_certs *c, const struct tls_certs_row *rows, size_t n)
{
	struct made made[ROWS_MAX] = {{NULL}};

	assert_true(n <= ROWS_MAX);
	str_printf(c->dir, sizeof c->dir, "/tmp/karez-test-XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	for (size_t i = 0; i < n; i++) {
		const struct made *issuer = NULL;
		FILE *f;

		for (size_t j = 0; j < i && rows[i].issuer != NULL; j++)
			if (strcmp(rows[j].name, rows[i].issuer) == 0)
				issuer = &made[j];
		certs_make_one(&made[i], &rows[i], issuer, (long)i + 1);
		f = certs_create(c, rows[i].name, "pem");
		assert_int_equal(PEM_write_X509(f, made[i].cert), 1);
		fclose(f);
		f = certs_create(c, rows[i].name, "key");
		assert_int_equal(PEM_write_PrivateKey(f, made[i].key, NULL, NULL, 0, NULL, NULL),
				 1);
		fclose(f);
	}
	for (size_t i = 0; i < n; i++) {
		X509_free(made[i].cert);
		EVP_PKEY_free(made[i].key);
	}
}

void tls_certs_remove(struct tls_certs *c)
{
	DIR *dir = opendir(c->dir);
	struct dirent *d;
	char path[TLS_CERTS_PATH];

	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.')
			unlink(tls_certs_path(c, d->d_name, path));
	closedir(dir);
	rmdir(c->dir);
}
