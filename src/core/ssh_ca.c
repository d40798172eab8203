/*
 * Whoever holds a certificate is believed for what an authority has signed, so each rule stands
 * here on its own: whose signature, for whom, when, from where. What is not understood is refused.
 * Source: OpenSSH PROTOCOL.certkeys; sshd_config(5) TrustedUserCAKeys.
 */
#include "core/ssh_ca.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/err.h"
#include "proto/cidr.h"
#include "proto/ssh_blob.h"
#include "proto/ssh_key.h"

/* Blocks of addresses that one certificate may name. */
#define SSH_CA_BLOCKS_MAX 64

/* The certificate is for ever, or until then. */
#define SSH_CA_FOR_EVER UINT64_MAX

/* Bytes of a number in an ECDSA signature: 521 bits, and a zero in front. */
#define SSH_CA_NUMBER_MAX 67

struct ssh_ca_key {
	struct str blob; /* owned */
	EVP_PKEY *pkey;	 /* owned */
	bool rsa;
	const char *type; /* of its signatures, unless rsa: static */
	const EVP_MD *md; /* the same; NULL: the algorithm has its own */
};

struct ssh_ca {
	struct ssh_ca_key keys[SSH_CA_KEYS_MAX];
	size_t n;
};

/* ---- keys ---- */

/* How keys are called in a blob, and in OpenSSL. */
static const struct ssh_ca_row {
	const char *type;
	enum { SSH_CA_ED25519, SSH_CA_ECDSA, SSH_CA_RSA } shape;
	const char *group;
	const EVP_MD *(*md)(void);
} ssh_ca_rows[] = {
	{"ssh-ed25519", SSH_CA_ED25519, NULL, NULL},
	{"ecdsa-sha2-nistp256", SSH_CA_ECDSA, "prime256v1", EVP_sha256},
	{"ecdsa-sha2-nistp384", SSH_CA_ECDSA, "secp384r1", EVP_sha384},
	{"ecdsa-sha2-nistp521", SSH_CA_ECDSA, "secp521r1", EVP_sha512},
	{"ssh-rsa", SSH_CA_RSA, NULL, NULL},
};

/* NULL: no such key, or no memory. */
static EVP_PKEY *ssh_ca_from_data(const char *name, OSSL_PARAM_BLD *bld)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, name, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static EVP_PKEY *ssh_ca_ecdsa(struct str point, const char *group)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	if (bld != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.len) == 1)
		pkey = ssh_ca_from_data("EC", bld);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

static EVP_PKEY *ssh_ca_rsa(struct str e, struct str n)
{
	BIGNUM *be = BN_bin2bn((const unsigned char *)e.p, (int)e.len, NULL);
	BIGNUM *bn = BN_bin2bn((const unsigned char *)n.p, (int)n.len, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	if (be != NULL && bn != NULL && bld != NULL &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1)
		pkey = ssh_ca_from_data("RSA", bld);
	OSSL_PARAM_BLD_free(bld);
	BN_free(be);
	BN_free(bn);
	return pkey;
}

/* blob: as ssh_key_parse() has checked it. NULL: a point that is on no curve, or no memory. */
static EVP_PKEY *ssh_ca_pkey(struct str blob, const struct ssh_ca_row *row)
{
	struct str type, a, b = STR("");

	if (!ssh_blob_string(&blob, &type) || !ssh_blob_string(&blob, &a) ||
	    (row->shape != SSH_CA_ED25519 && !ssh_blob_string(&blob, &b)))
		return NULL;
	switch (row->shape) {
	case SSH_CA_ED25519:
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
						   (const unsigned char *)a.p, a.len);
	case SSH_CA_ECDSA: return ssh_ca_ecdsa(b, row->group);
	case SSH_CA_RSA: return ssh_ca_rsa(a, b);
	}
	return NULL;
}

/* Returns 0, or ERR_INVAL or ERR_NOMEM with *why. */
static int ssh_ca_add(struct ssh_ca *ca, struct str line, const char **why)
{
	struct ssh_ca_key *k = &ca->keys[ca->n];
	const struct ssh_ca_row *row = NULL;
	struct ssh_key key;

	if (ssh_key_parse(line, &key, why) != 0)
		return ERR_INVAL;
	for (size_t i = 0; i < ARRAY_LEN(ssh_ca_rows); i++)
		if (strcmp(key.type, ssh_ca_rows[i].type) == 0)
			row = &ssh_ca_rows[i];
	*why = "keys that live in hardware sign no certificates here; use an ed25519, ecdsa or RSA "
	       "key";
	if (row == NULL)
		return ERR_INVAL;
	*why = "there are too many keys in it";
	if (ca->n == SSH_CA_KEYS_MAX)
		return ERR_INVAL;
	*why = "this is no key that can be used, or memory is short";
	k->pkey = ssh_ca_pkey((struct str){(const char *)key.blob, key.blob_len}, row);
	k->blob.p = str_dup((struct str){(const char *)key.blob, key.blob_len});
	k->blob.len = key.blob_len;
	ca->n++; /* what is half done is freed with the rest */
	if (k->pkey == NULL || k->blob.p == NULL)
		return k->blob.p == NULL ? ERR_NOMEM : ERR_INVAL;
	k->rsa = row->shape == SSH_CA_RSA;
	k->type = row->type;
	k->md = row->md != NULL ? row->md() : NULL;
	return 0;
}

int ssh_ca_new(struct str text, struct ssh_ca **out, char why[SSH_CA_WHY])
{
	struct ssh_ca *ca = calloc(1, sizeof *ca);
	const char *reason = "memory is short";
	struct str line;
	unsigned n = 0;
	int e = ca == NULL ? ERR_NOMEM : 0;

	while (e == 0 && str_next(&text, '\n', &line)) {
		n++;
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		line = str_trim(line);
		if (line.len > 0 && line.p[0] != '#')
			e = ssh_ca_add(ca, line, &reason);
	}
	if (e == 0 && ca->n == 0) {
		str_printf(why, SSH_CA_WHY, "there is no key in it");
		e = ERR_INVAL;
	} else if (e != 0) {
		str_printf(why, SSH_CA_WHY, "line %u: %s", n, reason);
	}
	if (e == 0)
		MOVE(*out, ca);
	ssh_ca_free(ca);
	return e;
}

void ssh_ca_free(struct ssh_ca *ca)
{
	if (ca == NULL)
		return;
	for (size_t i = 0; i < ca->n; i++) {
		EVP_PKEY_free(ca->keys[i].pkey);
		free((char *)(uintptr_t)ca->keys[i].blob.p);
	}
	free(ca);
}

/* ---- signatures ---- */

/* A number that is not negative, as SSH writes it, for OpenSSL. NULL: it is none. */
static BIGNUM *ssh_ca_number(struct str *in)
{
	struct str s;

	if (!ssh_blob_string(in, &s) || s.len == 0 || s.len > SSH_CA_NUMBER_MAX ||
	    (s.p[0] & 0x80) != 0)
		return NULL;
	return BN_bin2bn((const unsigned char *)s.p, (int)s.len, NULL);
}

/*
 * An ECDSA signature as OpenSSL reads it.
 *   *der  set on success; OPENSSL_free() it.
 * Returns its length, or 0: it is not well formed, or memory is short. Source: RFC 5656 3.1.2.
 */
static size_t ssh_ca_ecdsa_der(struct str sig, unsigned char **der)
{
	ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *r = ssh_ca_number(&sig), *t = ssh_ca_number(&sig);
	int n = 0;

	*der = NULL;
	if (s != NULL && r != NULL && t != NULL && sig.len == 0 && ECDSA_SIG_set0(s, r, t) == 1) {
		r = t = NULL; /* s owns them now */
		n = i2d_ECDSA_SIG(s, der);
	}
	BN_free(r);
	BN_free(t);
	ECDSA_SIG_free(s);
	return n > 0 ? (size_t)n : 0;
}

/* By which hash has this key signed? Returns false when it signs nothing of that type. */
static bool ssh_ca_hash(const struct ssh_ca_key *k, struct str type, const EVP_MD **md)
{
	*md = k->md;
	if (!k->rsa)
		return str_eq(type, str_of(k->type));
	/* "ssh-rsa" would be SHA-1: RFC 8332 3 */
	if (str_eq(type, STR("rsa-sha2-256")))
		*md = EVP_sha256();
	else if (str_eq(type, STR("rsa-sha2-512")))
		*md = EVP_sha512();
	return *md != NULL;
}

static bool ssh_ca_verify(const struct ssh_ca_key *k, struct str data, struct str signature)
{
	unsigned char *der = NULL;
	struct str type, bytes;
	EVP_MD_CTX *ctx;
	const EVP_MD *md;
	bool good = false;

	if (!ssh_blob_string(&signature, &type) || !ssh_blob_string(&signature, &bytes) ||
	    signature.len > 0 || !ssh_ca_hash(k, type, &md))
		return false;
	if (k->md != NULL) { /* ECDSA */
		size_t n = ssh_ca_ecdsa_der(bytes, &der);

		bytes = (struct str){(const char *)der, n};
	}
	ctx = EVP_MD_CTX_new();
	if (bytes.len > 0 && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, md, NULL, k->pkey) == 1)
		good = EVP_DigestVerify(ctx, (const unsigned char *)bytes.p, bytes.len,
					(const unsigned char *)data.p, data.len) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	return good;
}

static const struct ssh_ca_key *ssh_ca_find(const struct ssh_ca *ca, struct str blob)
{
	for (size_t i = 0; i < ca->n; i++)
		if (str_eq(ca->keys[i].blob, blob))
			return &ca->keys[i];
	return NULL;
}

/* ---- rules ---- */

static int ssh_ca_refuse(char why[SSH_CA_WHY], const char *reason)
{
	str_printf(why, SSH_CA_WHY, "%s", reason);
	return ERR_AUTH;
}

/* Does the address lie in a list of blocks? What is no such list holds nobody. */
static bool ssh_ca_is_from(struct str list, const char *ip)
{
	struct cidr blocks[SSH_CA_BLOCKS_MAX];
	struct str text;
	size_t n = 0;

	while (str_next(&list, ',', &text))
		if (n == SSH_CA_BLOCKS_MAX || cidr_parse(text, &blocks[n++]) != 0)
			return false;
	return cidr_match_text(blocks, n, str_of(ip));
}

/* A name that can be shown, looked for and written down. */
static bool ssh_ca_is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return s.len > 0 && s.len < SSH_CA_NAME_TEXT;
}

static int ssh_ca_principal(const struct ssh_cert *cert, struct str user,
			    char out[SSH_CA_NAME_TEXT], char why[SSH_CA_WHY])
{
	struct str found = STR("");

	for (size_t i = 0; i < cert->n_principals; i++) {
		struct str name = cert->principals[i];

		if (ssh_ca_is_name(name) && (found.len == 0 || str_eq(name, user)))
			found = name;
	}
	if (found.len == 0)
		return ssh_ca_refuse(why, "the certificate names nobody (ssh-keygen -n)");
	return str_copy(out, SSH_CA_NAME_TEXT, found);
}

static int ssh_ca_judge(const struct ssh_cert *cert, const struct ssh_ca_ask *ask,
			char why[SSH_CA_WHY])
{
	uint64_t now = ask->now_ms > 0 ? (uint64_t)ask->now_ms / 1000 : 0;

	if (!cert->is_user)
		return ssh_ca_refuse(why, "the certificate is a host's, not a user's");
	if (now < cert->after)
		return ssh_ca_refuse(why, "the certificate is not valid yet");
	if (cert->before != SSH_CA_FOR_EVER && now >= cert->before)
		return ssh_ca_refuse(why, "the certificate is not valid any more");
	if (cert->unknown_critical)
		return ssh_ca_refuse(why, "the certificate has a critical option that is not known "
					  "here, such as force-command");
	if (cert->source_address.len > 0 && !ssh_ca_is_from(cert->source_address, ask->ip))
		return ssh_ca_refuse(why, "the certificate is not good from this address");
	return 0;
}

int ssh_ca_check(const struct ssh_ca *ca, const struct ssh_ca_ask *ask, char out[SSH_CA_NAME_TEXT],
		 char why[SSH_CA_WHY])
{
	const struct ssh_ca_key *key;
	struct ssh_cert cert;
	int e;

	if (ssh_cert_parse(ask->blob, &cert) != 0)
		return ssh_ca_refuse(why, "the certificate is damaged");
	if ((key = ssh_ca_find(ca, cert.ca)) == NULL)
		return ssh_ca_refuse(why, "the certificate is signed by no authority of ours");
	if (!ssh_ca_verify(key, cert.signed_part, cert.signature))
		return ssh_ca_refuse(why, "the signature of the authority is not good");
	if ((e = ssh_ca_judge(&cert, ask, why)) != 0)
		return e;
	return ssh_ca_principal(&cert, ask->user, out, why);
}
