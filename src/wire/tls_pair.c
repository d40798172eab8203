/* A certificate and its key from PEM files, with words for all that can be wrong with them. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "wire/tls_inside.h"

int tls_pair_fail(char *why, int e, const char *what, const char *file)
{
	char reason[TLS_REASON];

	tls_reason_failure(reason);
	str_printf(why, TLS_CONTEXT_WHY, "%s %s: %s", what, file, reason);
	return e;
}

/* OpenSSL's answers hide the reason. */
int tls_pair_check_file(char *why, const char *what, const char *file, size_t max)
{
	FILE *f = fopen(file, "re");
	struct stat st;
	int e, c;

	if (f != NULL) {
		errno = 0;
		c = getc(f);
		e = c == EOF && errno != 0 ? err_from_errno(errno) : 0;
		if (e != 0)
			str_printf(why, TLS_CONTEXT_WHY, "cannot read the %s %s: %s", what, file,
				   strerror(errno));
		if (e == 0 && fstat(fileno(f), &st) == 0 && st.st_size > (off_t)max) {
			e = ERR_TOOBIG;
			str_printf(why, TLS_CONTEXT_WHY, "the %s %s has more than %zu bytes", what,
				   file, max);
		}
		fclose(f);
		return e;
	}
	str_printf(why, TLS_CONTEXT_WHY, "cannot read the %s %s: %s", what, file, strerror(errno));
	return errno == ENOENT ? ERR_NOTFOUND : errno == EACCES ? ERR_DENIED : ERR_IO;
}

/* Never ask on a terminal. */
static int tls_pair_on_passphrase(char *buf, int size, int writing, void *arg)
{
	bool *asked = arg;

	*asked = true;
	return -1;
}

static int tls_pair_mismatch(char *why, const char *key_file, const char *cert_file)
{
	ERR_clear_error();
	str_printf(why, TLS_CONTEXT_WHY, "the key %s does not belong to the certificate in %s",
		   key_file, cert_file);
	return ERR_CERT;
}

static int tls_pair_load_cert(SSL *scratch, const char *file, struct tls_pair *p, char *why)
{
	STACK_OF(X509) *chain = NULL;

	SSL_certs_clear(scratch);
	if (SSL_use_certificate_chain_file(scratch, file) != 1)
		return tls_pair_fail(why, ERR_TLS, "no usable certificate in", file);
	p->cert = SSL_get_certificate(scratch);
	X509_up_ref(p->cert);
	if (SSL_get0_chain_certs(scratch, &chain) != 1 || chain == NULL)
		return 0;
	p->chain = X509_chain_up_ref(chain);
	return p->chain == NULL ? ERR_NOMEM : 0;
}

static int tls_pair_load_key(SSL *scratch, const char *file, struct tls_pair *p, char *why)
{
	bool asked = false;
	unsigned long code;
	int ok;

	SSL_set_default_passwd_cb(scratch, tls_pair_on_passphrase);
	SSL_set_default_passwd_cb_userdata(scratch, &asked);
	ok = SSL_use_PrivateKey_file(scratch, file, SSL_FILETYPE_PEM);
	SSL_set_default_passwd_cb_userdata(scratch, NULL);
	SSL_set_default_passwd_cb(scratch, NULL);
	if (ok == 1) {
		p->key = SSL_get_privatekey(scratch);
		EVP_PKEY_up_ref(p->key);
		return X509_check_private_key(p->cert, p->key) == 1
			       ? 0
			       : tls_pair_mismatch(why, file, p->file);
	}
	code = ERR_peek_last_error();
	if (asked) {
		ERR_clear_error();
		str_printf(why, TLS_CONTEXT_WHY,
			   "the key %s is protected by a passphrase: remove it with \"openssl "
			   "pkey\"",
			   file);
		return ERR_TLS;
	}
	if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
	    (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH ||
	     ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH))
		return tls_pair_mismatch(why, file, p->file);
	return tls_pair_fail(why, ERR_TLS, "no usable key in", file);
}

int tls_pair_load(SSL *scratch, const char *cert_file, const char *key_file, struct tls_pair *out,
		  char *why)
{
	struct tls_pair p = {NULL};
	int e;

	ERR_clear_error();
	if ((e = tls_pair_check_file(why, "certificate", cert_file, TLS_FILE_MAX)) != 0 ||
	    (e = tls_pair_check_file(why, "key", key_file, TLS_FILE_MAX)) != 0)
		return e;
	str_printf(why, TLS_CONTEXT_WHY, "out of memory");
	e = (p.file = str_dup(str_of(cert_file))) == NULL ? ERR_NOMEM : 0;
	if (e == 0)
		e = tls_pair_load_cert(scratch, cert_file, &p, why);
	if (e == 0)
		e = tls_pair_load_key(scratch, key_file, &p, why);
	if (e == 0)
		*out = p;
	else
		tls_pair_free(&p);
	return e;
}

int tls_pair_copy(const struct tls_pair *from, struct tls_pair *to)
{
	*to = (struct tls_pair){.stamp = from->stamp};
	if ((to->file = str_dup(str_of(from->file))) == NULL ||
	    (from->chain != NULL && (to->chain = X509_chain_up_ref(from->chain)) == NULL)) {
		tls_pair_free(to);
		return ERR_NOMEM;
	}
	X509_up_ref(from->cert);
	EVP_PKEY_up_ref(from->key);
	to->cert = from->cert;
	to->key = from->key;
	return 0;
}

void tls_pair_free(struct tls_pair *p)
{
	free(p->file);
	X509_free(p->cert);
	sk_X509_pop_free(p->chain, X509_free);
	EVP_PKEY_free(p->key);
	*p = (struct tls_pair){NULL};
}
