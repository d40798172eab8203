/*
 * The records of one way to prove an account: the credential itself, the proof that leads from a
 * fingerprint to it, and what makes both be found when the account goes.
 */
#include <string.h>

#include "base/err.h"
#include "core/manage_internal.h"
#include "core/names.h"

/* Characters of an id. */
#define ID_LEN 8

/* Of a certificate's name and of a key's fingerprint so much counts. */
#define PUBLIC_CAP 256

_Static_assert(CREDENTIAL_SUBJECT_MAX < PUBLIC_CAP, "a cut name must be no name that is kept");
_Static_assert(sizeof "certificate:" + PUBLIC_CAP <= RECORD_PROOF_TEXT, "a proof's key");

void credential_make_id(struct core *c, struct record_credential *r)
{
	char id[HOSTNAME_MAX + 1];

	names_random(c->ev, ID_LEN, id);
	str_printf(r->id, sizeof r->id, "%.*s", ID_LEN, id);
	r->created_ms = ev_wall_ms(c->ev);
}

/* ---- proofs ---- */

int credential_secret_proof(struct txn *t, enum credential_type type, struct str secret,
			    char out[RECORD_PROOF_TEXT])
{
	char hex[DIGEST_HEX_TEXT];
	const uint8_t *key;
	int e;

	if ((e = txn_secret(t, &key)) != 0 || (e = digest_keyed(key, secret, hex)) != 0)
		return e;
	str_printf(out, RECORD_PROOF_TEXT, "%s:%s", record_credential_type(type), hex);
	return 0;
}

void credential_public_proof(enum credential_type type, struct str text,
			     char out[RECORD_PROOF_TEXT])
{
	size_t n = str_printf(out, RECORD_PROOF_TEXT, "%s:", record_credential_type(type));

	text.len = MIN(text.len, (size_t)PUBLIC_CAP);
	/* A NUL would end it early: what has one proves nothing. */
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i] != '\0' ? text.p[i] : '\n';

		out[n++] = type == CREDENTIAL_CERTIFICATE ? ascii_lower(c) : c;
	}
	out[n] = '\0';
}

/* ---- records ---- */

static int credential_put_proof(struct txn *t, const struct record_credential *r)
{
	struct record_proof proof = {0};
	struct buf value = {0};
	int e;

	memcpy(proof.account, r->account, sizeof proof.account);
	memcpy(proof.credential, r->id, sizeof proof.credential);
	if ((e = record_write_proof(&proof, &value)) == 0 &&
	    (e = txn_put(t, RECORD_PROOF, str_of(r->proof), buf_str(&value))) == 0)
		e = owned_put(t, r->account, RECORD_PROOF, str_of(r->proof));
	buf_free(&value);
	return e;
}

int credential_put(struct txn *t, struct str old, const struct record_credential *r)
{
	struct manage_key buf;
	struct str key = manage_credential_key(&buf, r->account, r->id);
	struct buf value = {0};
	int e;

	if ((e = record_write_credential(old, r, &value)) == 0)
		e = txn_put(t, RECORD_CREDENTIAL, key, buf_str(&value));
	if (e == 0 && old.len == 0) {
		e = owned_put(t, r->account, RECORD_CREDENTIAL, key);
		if (e == 0)
			e = credential_put_proof(t, r);
	}
	buf_free(&value);
	return e;
}

int credential_get(struct txn *t, const char *account, const char *id,
		   struct record_credential *out, const struct store_record **rec)
{
	struct manage_key key;
	int e = txn_get(t, RECORD_CREDENTIAL, manage_credential_key(&key, account, id), rec);

	return e != 0 ? e : record_read_credential((*rec)->key, (*rec)->value, out);
}

static int credential_drop_proof(struct txn *t, const struct record_credential *r)
{
	int e = txn_drop(t, RECORD_PROOF, str_of(r->proof));

	return e != 0 ? e : owned_drop(t, r->account, RECORD_PROOF, str_of(r->proof));
}

int credential_renew_proof(struct txn *t, struct str old, const struct record_credential *was,
			   const struct record_credential *r)
{
	int e;

	if ((e = credential_drop_proof(t, was)) == 0 && (e = credential_put(t, old, r)) == 0)
		e = credential_put_proof(t, r);
	return e;
}

int credential_drop(struct txn *t, const struct record_credential *r)
{
	struct manage_key buf;
	struct str key = manage_credential_key(&buf, r->account, r->id);
	int e;

	if ((e = credential_drop_proof(t, r)) == 0 &&
	    (e = txn_drop(t, RECORD_CREDENTIAL, key)) == 0)
		e = owned_drop(t, r->account, RECORD_CREDENTIAL, key);
	return e;
}
