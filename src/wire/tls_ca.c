/* Making a private authority and its certificates, so that nobody needs openssl's command lines. */
#include "wire/tls_ca.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "proto/cidr.h"
#include "proto/hostname.h"
#include "wire/tls_ca_inside.h"

#define DAY_MS	    INT64_C(86400000)
#define SERIAL_BITS 128

/* ---- what the files share ---- */

int tls_ca_fail(const char *what, char *why)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	str_printf(why, TLS_CA_WHY, "%s: %s", what, reason == NULL ? "out of memory" : reason);
	ERR_clear_error();
	return ERR_TLS;
}

int tls_ca_write_bio(const char *path, int mode, BIO *bio, char *why)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);
	struct str text = {data, (size_t)len};
	int e = mode == 0 ? tls_ca_replace(path, text, why) : tls_ca_create(path, mode, text, why);

	explicit_bzero(data, text.len);
	return e;
}

ASN1_TIME *tls_ca_time(int64_t ms)
{
	return ASN1_TIME_set(NULL, (time_t)(ms / 1000));
}

int tls_ca_serial_text(const ASN1_INTEGER *serial, char out[TLS_CA_SERIAL_TEXT])
{
	BIGNUM *n = ASN1_INTEGER_to_BN(serial, NULL);
	char *hex = n == NULL ? NULL : BN_bn2hex(n);
	int e = hex == NULL ? ERR_NOMEM : str_copy(out, TLS_CA_SERIAL_TEXT, str_of(hex));

	OPENSSL_free(hex);
	BN_free(n);
	return e;
}

int tls_ca_load(const char *dir, struct tls_ca *out, char *why)
{
	char cert[TLS_CA_PATH], key[TLS_CA_PATH];
	BIO *bio;
	int e;

	if ((e = tls_ca_path(dir, TLS_CA_CERT, cert, why)) != 0 ||
	    (e = tls_ca_path(dir, TLS_CA_KEY, key, why)) != 0)
		return e;
	if (access(cert, F_OK) != 0 && errno == ENOENT) {
		str_printf(why, TLS_CA_WHY,
			   "there is no authority in %s; make one with \"karezd ca init\"", dir);
		return ERR_NOTFOUND;
	}
	if ((bio = BIO_new_file(cert, "re")) != NULL)
		out->cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (out->cert == NULL)
		return tls_ca_fail(cert, why);
	if ((bio = BIO_new_file(key, "re")) != NULL)
		out->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (out->key == NULL || X509_check_private_key(out->cert, out->key) != 1)
		e = tls_ca_fail(key, why);
	if (e != 0)
		tls_ca_unload(out);
	return e;
}

void tls_ca_unload(struct tls_ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	*ca = (struct tls_ca){NULL};
}

/* ---- certificates ---- */

static bool tls_ca_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&ctx);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool tls_ca_set_serial(X509 *cert)
{
	BIGNUM *n = BN_new();
	bool ok = n != NULL && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
		  BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;

	BN_free(n);
	return ok;
}

/* A common name; none when it would be too long. */
static bool tls_ca_set_subject(X509 *cert, const char *name)
{
	return strlen(name) > TLS_CA_NAME_MAX ||
	       X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName,
					  MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
					  0) == 1;
}

/* A certificate that is not signed yet, with a key of its own. */
static bool tls_ca_begin(const char *name, int64_t from_ms, int64_t to_ms, struct tls_ca *out)
{
	ASN1_TIME *from = tls_ca_time(from_ms), *to = tls_ca_time(to_ms);
	bool ok;

	out->cert = X509_new();
	out->key = EVP_EC_gen("P-256");
	ok = from != NULL && to != NULL && out->cert != NULL && out->key != NULL &&
	     X509_set_version(out->cert, 2) == 1 && tls_ca_set_serial(out->cert) &&
	     X509_set1_notBefore(out->cert, from) == 1 && X509_set1_notAfter(out->cert, to) == 1 &&
	     tls_ca_set_subject(out->cert, name) && X509_set_pubkey(out->cert, out->key) == 1;
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return ok;
}

/*
 * Write both files; the key first, so that no certificate is ever without one.
 * Returns 0 or as tls_ca_create(), with neither there.
 */
static int tls_ca_write_pair(const struct tls_ca *made, const char *cert_path, const char *key_path,
			     char *why)
{
	BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
	int e;

	if (cert == NULL || key == NULL || PEM_write_bio_X509(cert, made->cert) != 1 ||
	    PEM_write_bio_PrivateKey(key, made->key, NULL, NULL, 0, NULL, NULL) != 1)
		e = tls_ca_fail("cannot write a certificate", why);
	else if ((e = tls_ca_write_bio(key_path, 0600, key, why)) == 0 &&
		 (e = tls_ca_write_bio(cert_path, 0644, cert, why)) != 0)
		(void)!unlink(key_path);
	BIO_free(cert);
	BIO_free(key);
	return e;
}

/* ---- an authority ---- */

static int tls_ca_make_dir(const char *dir, char *why)
{
	char path[TLS_CA_PATH];
	int e = tls_ca_path(dir, "", path, why);

	if (e != 0)
		return e;
	for (char *p = path + 1; *p != '\0'; p++) {
		bool last = p[1] == '\0';

		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, last ? 0700 : 0755) != 0 && errno != EEXIST && last)
			return tls_ca_fail_file("make the directory", dir, why);
		*p = '/';
	}
	return 0;
}

static bool tls_ca_printable(const char *name)
{
	for (const char *p = name; *p != '\0'; p++)
		if (*p < ' ' || *p > '~' || *p == '"')
			return false;
	return name[0] != '\0' && strlen(name) <= TLS_CA_NAME_MAX;
}

static int tls_ca_make(const char *dir, const char *name, int64_t now_ms, char *why)
{
	char cert[TLS_CA_PATH], key[TLS_CA_PATH];
	struct tls_ca ca = {NULL};
	int e;

	if ((e = tls_ca_path(dir, TLS_CA_CERT, cert, why)) != 0 ||
	    (e = tls_ca_path(dir, TLS_CA_KEY, key, why)) != 0)
		return e;
	if (!tls_ca_begin(name, now_ms - TLS_CA_BACK_MS, now_ms + TLS_CA_DAYS * DAY_MS, &ca) ||
	    X509_set_issuer_name(ca.cert, X509_get_subject_name(ca.cert)) != 1 ||
	    !tls_ca_extend(ca.cert, ca.cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
	    !tls_ca_extend(ca.cert, ca.cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
	    !tls_ca_extend(ca.cert, ca.cert, NID_subject_key_identifier, "hash") ||
	    X509_sign(ca.cert, ca.key, EVP_sha256()) == 0)
		e = tls_ca_fail("cannot make an authority", why);
	else if ((e = tls_ca_write_pair(&ca, cert, key, why)) == 0)
		e = tls_ca_sign_crl(dir, &ca, NULL, now_ms, why);
	tls_ca_unload(&ca);
	return e;
}

int tls_ca_init(const char *dir, const char *name, int64_t now_ms, char *why)
{
	char cert[TLS_CA_PATH];
	int e, fd = -1;

	ERR_clear_error();
	if (!tls_ca_printable(name)) {
		str_printf(why, TLS_CA_WHY,
			   "the name of an authority has 1-%d letters, digits and signs, but no \"",
			   TLS_CA_NAME_MAX);
		return ERR_INVAL;
	}
	if ((e = tls_ca_path(dir, TLS_CA_CERT, cert, why)) != 0 ||
	    (e = tls_ca_make_dir(dir, why)) != 0 || (e = tls_ca_lock(dir, &fd, why)) != 0)
		return e;
	if (access(cert, F_OK) == 0) {
		str_printf(why, TLS_CA_WHY, "there is an authority in %s already", dir);
		e = ERR_EXISTS;
	} else {
		e = tls_ca_make(dir, name, now_ms, why);
	}
	close(fd);
	return e;
}

/* ---- names ---- */

/* Letters, digits, '.', '_', '-', and one '@' in the middle: good as a file's name, too. */
static bool tls_ca_agent_ok(const char *name)
{
	const char *at = strchr(name, '@');

	for (const char *p = name; *p != '\0'; p++) {
		char c = ascii_lower(*p);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    (p == name || memchr("._-@", c, 4) == NULL))
			return false;
	}
	return name[0] != '\0' && strlen(name) <= TLS_CA_NAME_MAX &&
	       (at == NULL || (at[1] != '\0' && strchr(at + 1, '@') == NULL));
}

/* Returns what it is, or NULL: no memory, or no name. */
static GENERAL_NAME *tls_ca_alt_name(const char *text)
{
	struct str s = str_of(text);
	struct str host = str_starts(s, STR("*.")) ? (struct str){s.p + 2, s.len - 2} : s;
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *value = NULL;
	uint8_t ip[16];
	bool v4, ok = false;

	if (name != NULL && cidr_ip_parse(s, ip) == 0) {
		v4 = cidr_ip_is_v4(ip);
		value = ASN1_OCTET_STRING_new();
		ok = value != NULL && ASN1_STRING_set(value, v4 ? ip + 12 : ip, v4 ? 4 : 16) == 1;
		GENERAL_NAME_set0_value(name, GEN_IPADD, value);
	} else if (name != NULL && hostname_ok(host) && s.len <= HOSTNAME_MAX) {
		value = ASN1_IA5STRING_new();
		ok = value != NULL && ASN1_STRING_set(value, text, (int)s.len) == 1;
		GENERAL_NAME_set0_value(name, GEN_DNS, value);
	}
	if (ok)
		return name;
	GENERAL_NAME_free(name);
	return NULL;
}

/* Critical when there is no subject besides. Source: RFC 5280 4.2.1.6. */
static bool tls_ca_add_names(X509 *cert, const struct tls_ca_issue *opt)
{
	bool bare = X509_NAME_entry_count(X509_get_subject_name(cert)) == 0;
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	bool ok = names != NULL;

	for (size_t i = 0; i < opt->n_names && ok; i++) {
		GENERAL_NAME *name = tls_ca_alt_name(opt->names[i]);

		ok = name != NULL && sk_GENERAL_NAME_push(names, name) > 0;
		if (!ok)
			GENERAL_NAME_free(name);
	}
	ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, bare, 0) == 1;
	GENERAL_NAMES_free(names);
	return ok;
}

static int tls_ca_check_names(const struct tls_ca_issue *opt, char *why)
{
	GENERAL_NAME *name = NULL;

	if (opt->n_names == 0 || opt->n_names > (opt->server ? TLS_CA_NAMES_MAX : 1)) {
		str_printf(why, TLS_CA_WHY, "%s",
			   opt->server ? "a server has 1 to 100 names"
				       : "an agent has one name; a certificate for a server needs "
					 "--server");
		return ERR_INVAL;
	}
	for (size_t i = 0; i < opt->n_names; i++) {
		bool ok = opt->server ? (name = tls_ca_alt_name(opt->names[i])) != NULL
				      : tls_ca_agent_ok(opt->names[i]);

		GENERAL_NAME_free(name);
		name = NULL;
		if (ok)
			continue;
		str_printf(why, TLS_CA_WHY, "\"%.64s\" is no name of %s: expected %s",
			   opt->names[i], opt->server ? "a server" : "an agent",
			   opt->server ? "a host name, *.HOST or an IP address"
				       : "AGENT@REALM or AGENT of at most 64 letters, digits, '.', "
					 "'_' and '-'");
		return ERR_INVAL;
	}
	return 0;
}

/* ---- issuing ---- */

static int tls_ca_paths(const struct tls_ca_issue *opt, struct tls_ca_issued *out, char *why)
{
	char stem[HOSTNAME_MAX + 1], file[HOSTNAME_MAX + 16];
	int e;

	str_printf(stem, sizeof stem, "%s", opt->names[0]);
	if (stem[0] == '*')
		stem[0] = '_';
	str_printf(file, sizeof file, "%s.pem", stem);
	if ((e = tls_ca_path(opt->out, file, out->cert, why)) != 0)
		return e;
	str_printf(file, sizeof file, "%s-key.pem", stem);
	if ((e = tls_ca_path(opt->out, file, out->key, why)) != 0)
		return e;
	if (access(out->cert, F_OK) != 0 && access(out->key, F_OK) != 0)
		return 0;
	str_printf(why, TLS_CA_WHY,
		   "%s or its key is there already; move both away, or name another directory with "
		   "--out",
		   out->cert);
	return ERR_EXISTS;
}

/* Until when, in ms; the authority's end is the end of all. */
static int64_t tls_ca_until(const struct tls_ca_issue *opt, const struct tls_ca *ca, int64_t now_ms)
{
	uint64_t days = opt->days != 0 ? opt->days
			: opt->server  ? TLS_CA_SERVER_DAYS
				       : TLS_CA_AGENT_DAYS;
	ASN1_TIME *now = tls_ca_time(now_ms);
	int left_days = 0, left_s = 0;
	int64_t left_ms = 0;

	if (now != NULL &&
	    ASN1_TIME_diff(&left_days, &left_s, now, X509_get0_notAfter(ca->cert)) == 1)
		left_ms = left_days * DAY_MS + left_s * INT64_C(1000);
	ASN1_TIME_free(now);
	return now_ms + MIN((int64_t)MIN(days, (uint64_t)TLS_CA_DAYS) * DAY_MS, left_ms);
}

static int tls_ca_sign(const struct tls_ca_issue *opt, const struct tls_ca *ca, struct tls_ca *made,
		       char *why)
{
	X509 *cert = made->cert;

	if (X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) != 1 ||
	    !tls_ca_extend(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") ||
	    !tls_ca_extend(cert, ca->cert, NID_key_usage, "critical,digitalSignature") ||
	    !tls_ca_extend(cert, ca->cert, NID_ext_key_usage,
			   opt->server ? "serverAuth" : "clientAuth") ||
	    !tls_ca_extend(cert, ca->cert, NID_subject_key_identifier, "hash") ||
	    !tls_ca_extend(cert, ca->cert, NID_authority_key_identifier, "keyid:always") ||
	    (opt->server && !tls_ca_add_names(cert, opt)) ||
	    X509_sign(cert, ca->key, EVP_sha256()) == 0)
		return tls_ca_fail("cannot make a certificate", why);
	return 0;
}

static int tls_ca_issue_by(const struct tls_ca_issue *opt, const struct tls_ca *ca, int64_t now_ms,
			   struct tls_ca_issued *out, char *why)
{
	struct tls_ca_entry entry = {.server = opt->server};
	struct tls_ca made = {NULL};
	int e = 0;

	out->until_ms = entry.until_ms = tls_ca_until(opt, ca, now_ms);
	if (out->until_ms <= now_ms) {
		str_printf(why, TLS_CA_WHY, "the authority in %s has ended: make another one",
			   opt->dir);
		return ERR_CERT;
	}
	if (!tls_ca_begin(opt->names[0], now_ms - TLS_CA_BACK_MS, out->until_ms, &made) ||
	    tls_ca_serial_text(X509_get0_serialNumber(made.cert), out->serial) != 0)
		e = tls_ca_fail("cannot make a certificate", why);
	if (e == 0)
		e = tls_ca_sign(opt, ca, &made, why);
	memcpy(entry.serial, out->serial, sizeof entry.serial);
	str_printf(entry.name, sizeof entry.name, "%s", opt->names[0]);
	/* Noted first: what is not can never be revoked by its name. */
	if (e == 0 && (e = tls_ca_note(opt->dir, &entry, why)) == 0)
		e = tls_ca_write_pair(&made, out->cert, out->key, why);
	tls_ca_unload(&made);
	return e;
}

int tls_ca_issue(const struct tls_ca_issue *opt, int64_t now_ms, struct tls_ca_issued *out,
		 char *why)
{
	struct tls_ca ca = {NULL};
	int e, fd = -1;

	ERR_clear_error();
	*out = (struct tls_ca_issued){.until_ms = 0};
	if ((e = tls_ca_check_names(opt, why)) != 0 || (e = tls_ca_paths(opt, out, why)) != 0)
		return e;
	if ((e = tls_ca_load(opt->dir, &ca, why)) == 0 &&
	    (e = tls_ca_lock(opt->dir, &fd, why)) == 0)
		e = tls_ca_issue_by(opt, &ca, now_ms, out, why);
	tls_ca_unload(&ca);
	if (fd >= 0)
		close(fd);
	return e;
}
