/*
 * A certificate is read by its own type's list of fields, to its last byte: what is signed is then
 * what was understood, and nothing can stand in it that we passed over.
 */
#include "proto/ssh_cert.h"

#include "base/err.h"
#include "proto/ssh_blob.h"

/* Who may be certified, as the certificate says it. */
enum { SSH_CERT_USER = 1, SSH_CERT_HOST = 2 };

/* The strings that a key is made of behind its type, and behind the certificate's nonce. */
static const struct ssh_cert_row {
	const char *type;
	unsigned n_strings;
	const char *curve; /* the first of them must be this; NULL: anything */
} ssh_cert_rows[] = {
	{"ssh-ed25519-cert-v01@openssh.com", 1, NULL},
	{"ecdsa-sha2-nistp256-cert-v01@openssh.com", 2, "nistp256"},
	{"ecdsa-sha2-nistp384-cert-v01@openssh.com", 2, "nistp384"},
	{"ecdsa-sha2-nistp521-cert-v01@openssh.com", 2, "nistp521"},
	{"ssh-rsa-cert-v01@openssh.com", 2, NULL},
	{"sk-ssh-ed25519-cert-v01@openssh.com", 2, NULL},
	{"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", 3, "nistp256"},
};

bool ssh_cert_is(struct str blob)
{
	struct str type, suffix = STR("-cert-v01@openssh.com");

	return ssh_blob_string(&blob, &type) && type.len > suffix.len &&
	       str_eq((struct str){type.p + type.len - suffix.len, suffix.len}, suffix);
}

/* The certified key: its fields, without what stands around them. */
static bool ssh_cert_key(struct str *blob, struct ssh_cert *out)
{
	const struct ssh_cert_row *row = NULL;
	const char *start = blob->p;
	struct str field;

	for (size_t i = 0; i < ARRAY_LEN(ssh_cert_rows); i++)
		if (str_eq(out->type, str_of(ssh_cert_rows[i].type)))
			row = &ssh_cert_rows[i];
	for (unsigned i = 0; row != NULL && i < row->n_strings; i++)
		if (!ssh_blob_string(blob, &field) || field.len == 0 ||
		    (i == 0 && row->curve != NULL && !str_eq(field, str_of(row->curve))))
			return false;
	out->key = (struct str){start, (size_t)(blob->p - start)};
	return row != NULL;
}

/* A list of strings that is a string itself. */
static int ssh_cert_principals(struct str list, struct ssh_cert *out)
{
	while (list.len > 0) {
		if (out->n_principals == SSH_CERT_PRINCIPALS_MAX)
			return ERR_TOOBIG;
		if (!ssh_blob_string(&list, &out->principals[out->n_principals++]))
			return ERR_PROTO;
	}
	return 0;
}

/* The one option that we obey holds a text; whoever cannot read it must not pass over it. */
static int ssh_cert_source_address(struct str data, struct ssh_cert *out)
{
	if (out->source_address.len > 0 || !ssh_blob_string(&data, &out->source_address) ||
	    data.len > 0 || out->source_address.len == 0)
		return ERR_PROTO;
	return 0;
}

/* Pairs of a name and its data; critical: an unknown one makes the certificate useless. */
static int ssh_cert_options(struct str list, bool critical, struct ssh_cert *out)
{
	struct str name, data;
	int e = 0;

	while (list.len > 0 && e == 0) {
		if (!ssh_blob_string(&list, &name) || !ssh_blob_string(&list, &data))
			return ERR_PROTO;
		if (critical && str_eq(name, STR("source-address")))
			e = ssh_cert_source_address(data, out);
		else if (critical)
			out->unknown_critical = true;
	}
	return e;
}

/* What follows the key, up to the end. */
static int ssh_cert_body(struct str *blob, const char *start, struct ssh_cert *out)
{
	struct str principals, critical, extensions, reserved;
	uint64_t kind;
	int e;

	if (!ssh_blob_number(blob, 8, &out->serial) || !ssh_blob_number(blob, 4, &kind) ||
	    !ssh_blob_string(blob, &out->id) || !ssh_blob_string(blob, &principals) ||
	    !ssh_blob_number(blob, 8, &out->after) || !ssh_blob_number(blob, 8, &out->before) ||
	    !ssh_blob_string(blob, &critical) || !ssh_blob_string(blob, &extensions) ||
	    !ssh_blob_string(blob, &reserved) || !ssh_blob_string(blob, &out->ca))
		return ERR_PROTO;
	out->signed_part = (struct str){start, (size_t)(blob->p - start)};
	if (!ssh_blob_string(blob, &out->signature) || blob->len > 0 ||
	    (kind != SSH_CERT_USER && kind != SSH_CERT_HOST))
		return ERR_PROTO;
	out->is_user = kind == SSH_CERT_USER;
	if ((e = ssh_cert_principals(principals, out)) != 0 ||
	    (e = ssh_cert_options(critical, true, out)) != 0)
		return e;
	return ssh_cert_options(extensions, false, out);
}

int ssh_cert_parse(struct str blob, struct ssh_cert *out)
{
	const char *start = blob.p;
	struct str nonce;

	*out = (struct ssh_cert){0};
	if (blob.len > SSH_CERT_MAX)
		return ERR_TOOBIG;
	if (!ssh_blob_string(&blob, &out->type) || !ssh_blob_string(&blob, &nonce) ||
	    !ssh_cert_key(&blob, out))
		return ERR_PROTO;
	return ssh_cert_body(&blob, start, out);
}
