/* What a private authority has revoked, and what it has issued. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "wire/tls_ca_inside.h"

int tls_ca_load_crl(const char *dir, X509_CRL **out, char *why)
{
	char path[TLS_CA_PATH];
	BIO *bio;
	int e;

	*out = NULL;
	if ((e = tls_ca_path(dir, TLS_CA_CRL, path, why)) != 0 || access(path, F_OK) != 0)
		return e;
	if ((bio = BIO_new_file(path, "re")) == NULL)
		return tls_ca_fail_file("read the file", path, why);
	*out = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return *out == NULL ? tls_ca_fail(path, why) : 0;
}

/* One more than that of the last list. Source: RFC 5280 5.2.3. */
static bool tls_ca_set_number(X509_CRL *to, X509_CRL *last)
{
	ASN1_INTEGER *had =
		last == NULL ? NULL : X509_CRL_get_ext_d2i(last, NID_crl_number, NULL, NULL);
	BIGNUM *n = had == NULL ? BN_new() : ASN1_INTEGER_to_BN(had, NULL);
	ASN1_INTEGER *number = NULL;
	bool ok = n != NULL && BN_add_word(n, 1) == 1 &&
		  (number = BN_to_ASN1_INTEGER(n, NULL)) != NULL &&
		  X509_CRL_add1_ext_i2d(to, NID_crl_number, number, 0, 0) == 1;

	ASN1_INTEGER_free(number);
	ASN1_INTEGER_free(had);
	BN_free(n);
	return ok;
}

static bool tls_ca_set_key_id(X509_CRL *crl, X509 *issuer)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
	X509V3_set_ctx_nodb(&ctx);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
	ok = ext != NULL && X509_CRL_add_ext(crl, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool tls_ca_copy_revoked(X509_CRL *to, X509_CRL *from)
{
	STACK_OF(X509_REVOKED) *list = from == NULL ? NULL : X509_CRL_get_REVOKED(from);

	for (int i = 0; i < sk_X509_REVOKED_num(list); i++) {
		X509_REVOKED *one = X509_REVOKED_dup(sk_X509_REVOKED_value(list, i));

		if (one == NULL || X509_CRL_add0_revoked(to, one) != 1) {
			X509_REVOKED_free(one);
			return false;
		}
	}
	return true;
}

int tls_ca_sign_crl(const char *dir, const struct tls_ca *ca, X509_CRL *crl, int64_t now_ms,
		    char *why)
{
	ASN1_TIME *from = tls_ca_time(now_ms - TLS_CA_BACK_MS);
	X509_CRL *made = X509_CRL_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char path[TLS_CA_PATH];
	int e = tls_ca_path(dir, TLS_CA_CRL, path, why);

	if (e != 0)
		goto out;
	/* It is good as long as the authority: nobody is locked out by one that was not renewed. */
	if (from == NULL || made == NULL || bio == NULL || X509_CRL_set_version(made, 1) != 1 ||
	    X509_CRL_set_issuer_name(made, X509_get_subject_name(ca->cert)) != 1 ||
	    X509_CRL_set1_lastUpdate(made, from) != 1 ||
	    X509_CRL_set1_nextUpdate(made, X509_get0_notAfter(ca->cert)) != 1 ||
	    !tls_ca_copy_revoked(made, crl) || !tls_ca_set_key_id(made, ca->cert) ||
	    !tls_ca_set_number(made, crl) || X509_CRL_sort(made) != 1 ||
	    X509_CRL_sign(made, ca->key, EVP_sha256()) == 0 ||
	    PEM_write_bio_X509_CRL(bio, made) != 1)
		e = tls_ca_fail("cannot make the list of what is revoked", why);
	else
		e = tls_ca_write_bio(path, 0, bio, why);
out:
	ASN1_TIME_free(from);
	X509_CRL_free(made);
	BIO_free(bio);
	return e;
}

/* ---- revoking ---- */

static ASN1_INTEGER *tls_ca_serial(const char *text)
{
	ASN1_INTEGER *serial = NULL;
	BIGNUM *n = NULL;

	if (BN_hex2bn(&n, text) == (int)strlen(text))
		serial = BN_to_ASN1_INTEGER(n, NULL);
	BN_free(n);
	return serial;
}

static bool tls_ca_is_revoked(X509_CRL *crl, const char *serial)
{
	ASN1_INTEGER *number = crl == NULL ? NULL : tls_ca_serial(serial);
	X509_REVOKED *found = NULL;
	bool revoked = number != NULL && X509_CRL_get0_by_serial(crl, &found, number) == 1;

	ASN1_INTEGER_free(number);
	return revoked;
}

static int tls_ca_revoke_one(X509_CRL *crl, const char *serial, int64_t now_ms, char *why)
{
	ASN1_INTEGER *number = tls_ca_serial(serial);
	ASN1_TIME *now = tls_ca_time(now_ms);
	X509_REVOKED *one = X509_REVOKED_new();
	int e = 0;

	if (number == NULL || now == NULL || one == NULL ||
	    X509_REVOKED_set_serialNumber(one, number) != 1 ||
	    X509_REVOKED_set_revocationDate(one, now) != 1 ||
	    X509_CRL_add0_revoked(crl, one) != 1) {
		X509_REVOKED_free(one);
		e = tls_ca_fail("cannot revoke", why);
	}
	ASN1_INTEGER_free(number);
	ASN1_TIME_free(now);
	return e;
}

/* Returns ERR_NOTFOUND when nothing is called so. On success `why` is as tls_ca_read() has left it.
 */
static int tls_ca_revoke_all(const char *dir, const char *what, int64_t now_ms, X509_CRL *crl,
			     size_t *n, char *why)
{
	struct tls_ca_entry *all = NULL;
	size_t n_all = 0, n_found = 0;
	char damaged[TLS_CA_WHY];
	int e = tls_ca_read(dir, &all, &n_all, why);

	for (size_t i = 0; i < n_all && e == 0; i++) {
		if (strcmp(all[i].name, what) != 0 &&
		    !str_eq_nocase(str_of(all[i].serial), str_of(what)))
			continue;
		n_found++;
		if (tls_ca_is_revoked(crl, all[i].serial))
			continue;
		e = tls_ca_revoke_one(crl, all[i].serial, now_ms, why);
		*n += e == 0;
	}
	free(all);
	if (e == 0 && n_found == 0) {
		str_printf(damaged, sizeof damaged, "%s", why);
		str_printf(why, TLS_CA_WHY,
			   "no certificate with this name or serial was issued in %s; see \"karezd "
			   "ca list\"%s%s",
			   dir, damaged[0] != '\0' ? "; " : "", damaged);
		e = ERR_NOTFOUND;
	}
	return e;
}

int tls_ca_revoke(const char *dir, const char *what, int64_t now_ms, size_t *n, char *why)
{
	struct tls_ca ca = {NULL};
	X509_CRL *crl = NULL;
	int fd = -1, e;

	*n = 0;
	ERR_clear_error();
	if ((e = tls_ca_lock(dir, &fd, why)) != 0 || (e = tls_ca_load(dir, &ca, why)) != 0 ||
	    (e = tls_ca_load_crl(dir, &crl, why)) != 0)
		goto out;
	if (crl == NULL && (crl = X509_CRL_new()) == NULL)
		e = tls_ca_fail("cannot revoke", why);
	if (e == 0 && (e = tls_ca_revoke_all(dir, what, now_ms, crl, n, why)) == 0)
		e = tls_ca_sign_crl(dir, &ca, crl, now_ms, why);
out:
	X509_CRL_free(crl);
	tls_ca_unload(&ca);
	if (fd >= 0)
		close(fd);
	return e;
}

int tls_ca_list(const char *dir, void (*tell)(void *arg, const struct tls_ca_entry *entry),
		void *arg, char *why)
{
	struct tls_ca_entry *all = NULL;
	X509_CRL *crl = NULL;
	struct tls_ca ca = {NULL};
	size_t n = 0;
	int e;

	ERR_clear_error();
	if ((e = tls_ca_load(dir, &ca, why)) == 0 && (e = tls_ca_load_crl(dir, &crl, why)) == 0)
		e = tls_ca_read(dir, &all, &n, why);
	for (size_t i = 0; i < n && e == 0; i++) {
		all[i].revoked = tls_ca_is_revoked(crl, all[i].serial);
		tell(arg, &all[i]);
	}
	if (e == 0 && why[0] != '\0')
		e = ERR_PROTO;
	free(all);
	X509_CRL_free(crl);
	tls_ca_unload(&ca);
	return e;
}
