/*
 * All certificates that are in force at one time, and which of them a client gets.
 *
 * A set is made as a whole, on another thread when it replaces one, so nothing is ever half new. A
 * pair whose files are just being written, or are broken, is not missed for that: the one that
 * was read before stays.
 */
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/hostname.h"
#include "wire/tls_dir.h"
#include "wire/tls_inside.h"

/* ---- life ---- */

int tls_set_new(struct tls_set **out)
{
	struct tls_set *set = calloc(1, sizeof *set);
	uint8_t seed[16];

	if (set == NULL)
		return ERR_NOMEM;
	set->n_refs = 1;
	if (RAND_bytes(seed, sizeof seed) != 1) {
		free(set);
		return ERR_NOMEM;
	}
	map_init(&set->names, seed);
	*out = set;
	return 0;
}

struct tls_set *tls_set_share(struct tls_set *set)
{
	set->n_refs++;
	return set;
}

void tls_set_free(struct tls_set *set)
{
	struct tls_name *name;

	if (set == NULL || --set->n_refs > 0)
		return;
	SSL_CTX_free(set->ssl);
	map_free(&set->names);
	while ((name = set->name_mem) != NULL) {
		set->name_mem = name->next;
		free(name);
	}
	for (size_t i = 0; i < set->n_pairs; i++)
		tls_pair_free(&set->pairs[i]);
	free(set->pairs);
	tls_pair_free(&set->fallback);
	for (size_t i = 0; i < set->n_told; i++)
		free(set->told[i]);
	free(set);
}

uint64_t tls_set_stamp(const struct tls_context *ctx)
{
	const struct tls_context_files *f = &ctx->files;
	const char *const single[] = {f->cert, f->key, f->client_ca, f->client_crl};
	char why[TLS_CONTEXT_WHY];
	struct tls_dir dir = {NULL};
	uint64_t stamp = 0;

	for (size_t i = 0; i < ARRAY_LEN(single); i++)
		stamp = tls_dir_mix(stamp, tls_dir_stamp(single[i]));
	if (f->dir != NULL && tls_dir_scan(f->dir, &dir, why) == 0)
		stamp = tls_dir_mix(stamp, dir.stamp);
	tls_dir_free(&dir);
	return stamp;
}

/* ---- names ---- */

/* A name as keys are written: lower case. Returns false when it cannot be one. */
static bool tls_set_key(struct str name, char out[HOSTNAME_MAX + 1], struct str *key)
{
	struct str host =
		str_starts(name, STR("*.")) ? (struct str){name.p + 2, name.len - 2} : name;

	if (name.len > HOSTNAME_MAX || !hostname_resolvable(host))
		return false;
	for (size_t i = 0; i < name.len; i++)
		out[i] = ascii_lower(name.p[i]);
	out[name.len] = '\0';
	*key = (struct str){out, name.len};
	return true;
}

/* Of two certificates for one name the one that is good for longer counts: it is the renewed one.
 */
static bool tls_set_is_better(const struct tls_pair *p, const struct tls_pair *than)
{
	return ASN1_TIME_compare(X509_get0_notAfter(p->cert), X509_get0_notAfter(than->cert)) > 0;
}

static int tls_set_add_name(struct tls_set *set, const struct tls_pair *p, struct str text)
{
	char lower[HOSTNAME_MAX + 1];
	struct map_entry *had;
	struct tls_name *name;
	struct str key;
	int e;

	if (!tls_set_key(text, lower, &key))
		return 0;
	if ((had = map_get(&set->names, key)) != NULL) {
		name = CONTAINER_OF(had, struct tls_name, entry);
		if (p != &set->fallback && tls_set_is_better(p, name->pair))
			name->pair = p;
		return 0;
	}
	if ((name = calloc(1, sizeof *name + key.len)) == NULL)
		return ERR_NOMEM;
	memcpy(name + 1, key.p, key.len);
	name->entry.key = (struct str){(const char *)(name + 1), key.len};
	name->pair = p;
	if ((e = map_put(&set->names, &name->entry)) != 0) {
		free(name);
		return e;
	}
	name->next = set->name_mem;
	set->name_mem = name;
	return 0;
}

static struct str tls_set_text(const ASN1_STRING *text)
{
	return (struct str){(const char *)ASN1_STRING_get0_data(text),
			    (size_t)ASN1_STRING_length(text)};
}

/* Its DNS names; its common name counts when it has none. Source: RFC 9525 6.3, RFC 6125 6.4.4. */
static int tls_set_add_names(struct tls_set *set, const struct tls_pair *p)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(p->cert, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(p->cert);
	bool has_dns = false;
	int e = 0, at;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && e == 0; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DNS)
			continue;
		has_dns = true;
		e = tls_set_add_name(set, p, tls_set_text(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	at = has_dns ? -1 : X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (e == 0 && at >= 0)
		e = tls_set_add_name(set, p,
				     tls_set_text(X509_NAME_ENTRY_get_data(
					     X509_NAME_get_entry(subject, at))));
	ERR_clear_error();
	return e;
}

static const struct tls_pair *tls_set_get(const struct tls_set *set, struct str key)
{
	struct map_entry *found = map_get(&set->names, key);

	return found == NULL ? NULL : CONTAINER_OF(found, struct tls_name, entry)->pair;
}

const struct tls_pair *tls_set_find(const struct tls_set *set, const char *name)
{
	char lower[HOSTNAME_MAX + 1];
	const struct tls_pair *p;
	struct str key;
	size_t dot;

	if (name == NULL || name[0] == '*' || !tls_set_key(str_of(name), lower, &key))
		return NULL;
	dot = str_find(key, '.');
	if ((p = tls_set_get(set, key)) != NULL || dot == 0 || dot == key.len)
		return p;
	lower[dot - 1] = '*';
	return tls_set_get(set, (struct str){lower + dot - 1, key.len - dot + 1});
}

/* ---- a client asks ---- */

/* The default one is the connection's already. Of an RSA and an ECDSA one only the chosen counts.
 */
static int tls_set_use(SSL *ssl, const struct tls_pair *p)
{
	SSL_certs_clear(ssl);
	return SSL_use_cert_and_key(ssl, p->cert, p->key, p->chain, 1) == 1 ? 0 : ERR_TLS;
}

/* Called for a client without SNI as well. Source: RFC 6066 3. */
static int tls_set_on_sni(SSL *ssl, int *alert, void *arg)
{
	const struct tls_set *set = arg;
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_pair *p = tls_set_find(set, sni);
	bool asked;

	if (p == NULL && sni != NULL && set->fallback.cert == NULL) {
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	if (p != NULL && p != &set->fallback && tls_set_use(ssl, p) != 0) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	asked = tls_peer_ask_one(set, ssl, sni);
	return asked || p != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* ---- loading ---- */

static int tls_set_miss(struct tls_set *set, const char *file, const char *why)
{
	char text[2 * TLS_CONTEXT_WHY];
	size_t n, from;

	if (set->n_told == TLS_SET_TOLD) {
		set->n_untold++;
		return 0;
	}
	n = str_printf(text, sizeof text, "file=\"%s\" reason=\"", file);
	from = n;
	n += str_printf(text + n, sizeof text - n, "%s", why);
	for (char *p = text + from; *p != '\0'; p++)
		if (*p == '"')
			*p = '\'';
	str_printf(text + n, sizeof text - n, "\"");
	set->told[set->n_told] = str_dup(str_of(text));
	return set->told[set->n_told] == NULL ? ERR_NOMEM : (set->n_told++, 0);
}

/* What was read from this file before; NULL: nothing. */
static const struct tls_pair *tls_set_had(const struct tls_set *old, const char *file)
{
	size_t low = 0, high = old == NULL ? 0 : old->n_pairs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(file, old->pairs[middle].file);

		if (order == 0)
			return &old->pairs[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* One pair of the directory into the next place, or a reason why not. Returns 0 or ERR_NOMEM. */
static int tls_set_load_pair(struct tls_set *set, const struct tls_set *old, SSL *scratch,
			     const struct tls_dir_pair *files)
{
	const struct tls_pair *had = tls_set_had(old, files->cert_file);
	struct tls_pair *to = &set->pairs[set->n_pairs];
	char why[TLS_CONTEXT_WHY];
	int e = 0;

	if (had == NULL || had->stamp != files->stamp) {
		if (files->key_file != NULL)
			e = tls_pair_load(scratch, files->cert_file, files->key_file, to, why);
		else
			str_printf(why, sizeof why, "there is no privkey.pem beside it");
		if (files->key_file != NULL && e == 0) {
			to->stamp = files->stamp;
			set->n_pairs++;
			return 0;
		}
		if (e == ERR_NOMEM || (e = tls_set_miss(set, files->cert_file, why)) != 0)
			return e;
	}
	if (had == NULL)
		return 0;
	if ((e = tls_pair_copy(had, to)) == 0)
		set->n_pairs++;
	return e;
}

static int tls_set_load_dir(struct tls_set *set, const struct tls_set *old, SSL *scratch,
			    const char *path, char *why)
{
	struct tls_dir dir = {NULL};
	int e = tls_dir_scan(path, &dir, why);

	if (e == 0 && (set->pairs = calloc(dir.n + 1, sizeof *set->pairs)) == NULL)
		e = ERR_NOMEM;
	for (size_t i = 0; i < dir.n && e == 0; i++)
		e = tls_set_load_pair(set, old, scratch, &dir.pairs[i]);
	for (size_t i = 0; i < set->n_pairs && e == 0; i++)
		e = tls_set_add_names(set, &set->pairs[i]);
	tls_dir_free(&dir);
	return e;
}

/*
 * Everybody gets this one who does not ask for another. Where there is none at all TLS is only
 * passed through; but a directory that has lost all it had is somebody's mistake.
 */
static int tls_set_load_default(struct tls_set *set, const struct tls_set *old, SSL *scratch,
				const struct tls_context_files *f, char *why)
{
	const struct tls_pair *p = &set->fallback;
	int e = 0;

	if (f->cert != NULL) {
		if ((e = tls_pair_load(scratch, f->cert, f->key, &set->fallback, why)) == 0)
			e = tls_set_add_names(set, p);
	} else if (set->n_pairs > 0) {
		p = &set->pairs[0];
	} else if (old != NULL && old->n_pairs > 0) {
		str_printf(why, TLS_CONTEXT_WHY, "there is no certificate with its key in %s%s%s",
			   f->dir, set->n_told > 0 ? ": " : "",
			   set->n_told > 0 ? set->told[0] : "");
		return ERR_NOTFOUND;
	} else {
		return tls_set_miss(set, f->dir,
				    "there is no certificate with its key in it: TLS is only "
				    "passed through");
	}
	if (e == 0 && SSL_CTX_use_cert_and_key(set->ssl, p->cert, p->key, p->chain, 1) != 1)
		return tls_pair_fail(why, ERR_TLS, "cannot use the certificate in", p->file);
	return e;
}

int tls_set_load(const struct tls_context *ctx, const struct tls_set *old, struct tls_set **out,
		 char *why)
{
	const struct tls_context_files *f = &ctx->files;
	struct tls_set *set = NULL;
	SSL *scratch = NULL;
	int e;

	str_printf(why, TLS_CONTEXT_WHY, "out of memory");
	ERR_clear_error();
	if ((e = tls_set_new(&set)) != 0 || (e = tls_context_make_ssl(ctx, &set->ssl, why)) != 0)
		goto out;
	set->stamp = tls_set_stamp(ctx);
	e = ERR_NOMEM;
	if ((scratch = SSL_new(set->ssl)) == NULL)
		goto out;
	if (f->dir != NULL && (e = tls_set_load_dir(set, old, scratch, f->dir, why)) != 0)
		goto out;
	if ((e = tls_set_load_default(set, old, scratch, f, why)) != 0 ||
	    (e = tls_peer_ask(ctx, set, why)) != 0)
		goto out;
	tls_ticket_use(set->ssl);
	SSL_CTX_set_tlsext_servername_callback(set->ssl, tls_set_on_sni);
	SSL_CTX_set_tlsext_servername_arg(set->ssl, set);
	MOVE(*out, set);
out:
	SSL_free(scratch);
	tls_set_free(set);
	return e;
}

/* ---- what is missing ---- */

static bool tls_set_told(const struct tls_set *set, const char *text)
{
	for (size_t i = 0; set != NULL && i < set->n_told; i++)
		if (strcmp(set->told[i], text) == 0)
			return true;
	return false;
}

void tls_set_tell(const struct tls_set *set, const struct tls_set *old, struct log *log)
{
	if (log == NULL)
		return;
	for (size_t i = 0; i < set->n_told; i++)
		if (!tls_set_told(old, set->told[i]))
			log_warn(log, "event=certificate-skipped %s", set->told[i]);
	if (set->n_untold > 0 && (old == NULL || old->n_untold != set->n_untold))
		log_warn(log, "event=certificate-skipped more=%zu", set->n_untold);
}
