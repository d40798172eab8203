/*
 * What accounts are made of: ids, numbers and tokens, and how a new account is written.
 *
 * An id is public and stands in logs. A number is what its owner writes down, a token what a
 * program keeps: both are secret, and the store knows only their fingerprints.
 */
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "core/manage_internal.h"
#include "core/names.h"

#define TOKEN_PREFIX "kz_"

/* Characters of a token that are shown to tell it from others: 24 of its 256 bits. */
#define TOKEN_SHOWN (sizeof(TOKEN_PREFIX) - 1 + 4)

_Static_assert(sizeof(TOKEN_PREFIX) - 1 + BASE64_TEXT(DIGEST_LEN) <= CORE_TOKEN_TEXT, "token");
_Static_assert(ACCOUNT_LETTERS + 3 < CORE_NUMBER_TEXT, "number");

static const char letters[] = "CDEFHJKMNPRTVWXY2345689"; /* none looks like another */

/* ---- made at random ---- */

void account_make_number(struct ev *ev, char out[CORE_NUMBER_TEXT])
{
	unsigned __int128 bits;
	size_t n = 0;

	ev_random(ev, &bits, sizeof bits);
	for (unsigned i = 0; i < ACCOUNT_LETTERS; i++) {
		if (i > 0 && i % 4 == 0)
			out[n++] = '-';
		out[n++] = letters[bits % (sizeof letters - 1)];
		bits /= sizeof letters - 1;
	}
	out[n] = '\0';
	explicit_bzero(&bits, sizeof bits);
}

void account_make_token(struct ev *ev, char out[CORE_TOKEN_TEXT])
{
	char text[BASE64_TEXT(DIGEST_LEN)];
	uint8_t bytes[DIGEST_LEN];

	ev_random(ev, bytes, sizeof bytes);
	base64_encode(BASE64_URL, bytes, sizeof bytes, text);
	str_printf(out, CORE_TOKEN_TEXT, TOKEN_PREFIX "%s", text);
	explicit_bzero(bytes, sizeof bytes);
	explicit_bzero(text, sizeof text);
}

void account_make_id(struct ev *ev, char out[CORE_ID_TEXT])
{
	char a[HOSTNAME_MAX + 1], b[HOSTNAME_MAX + 1];

	names_random(ev, 6, a);
	names_random(ev, 6, b);
	str_printf(out, CORE_ID_TEXT, "%.6s%.6s", a, b);
}

int account_read_number(struct str text, char out[ACCOUNT_LETTERS + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (c == '-' || c == ' ')
			continue;
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 32);
		if (n == ACCOUNT_LETTERS || memchr(letters, c, sizeof letters - 1) == NULL)
			return ERR_INVAL;
		out[n++] = c;
	}
	out[n] = '\0';
	return n == ACCOUNT_LETTERS ? 0 : ERR_INVAL;
}

bool account_may_register(struct core *c)
{
	uint64_t more = (ev_now_ms(c->ev) - c->register_ms) / CORE_REGISTER_EVERY_MS;

	c->register_ms += more * CORE_REGISTER_EVERY_MS;
	c->register_left = (unsigned)MIN(c->register_left + more, (uint64_t)CORE_REGISTER_BURST);
	if (c->register_left == 0)
		return false;
	c->register_left--;
	return true;
}

/* ---- words ---- */

/* The bytes of UTF-8 text that fit into cap with the NUL: no character is cut in two. */
static int account_fitting(const char *text, size_t cap)
{
	size_t n = strlen(text);

	if (n < cap)
		return (int)n;
	for (n = cap - 1; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
		n--;
	return (int)n;
}

void account_off_reason(const struct record_account *r, char reason[CORE_REASON_TEXT])
{
	static const char off[] = "this account has been switched off: ";

	if (r->deleting)
		str_printf(reason, CORE_REASON_TEXT, "this account has been deleted");
	else if (r->why[0] == '\0')
		str_printf(reason, CORE_REASON_TEXT,
			   "this account has been switched off; ask the server's operator why");
	else
		str_printf(reason, CORE_REASON_TEXT, "%s%.*s", off,
			   account_fitting(r->why, CORE_REASON_TEXT - sizeof off), r->why);
}

/* ---- records ---- */

int account_get(struct txn *t, struct str id, struct record_account *out,
		const struct store_record **rec)
{
	int e;

	if (id.len == 0 || id.len >= CORE_ID_TEXT)
		return ERR_NOTFOUND;
	if ((e = txn_get(t, RECORD_ACCOUNT, id, rec)) != 0)
		return e;
	return record_read_account((*rec)->key, (*rec)->value, out);
}

int account_put(struct txn *t, struct str old, const struct record_account *r)
{
	struct buf value = {0};
	int e;

	if ((e = record_write_account(old, r, &value)) == 0)
		e = txn_put(t, RECORD_ACCOUNT, str_of(r->id), buf_str(&value));
	buf_free(&value);
	return e;
}

void account_new_make(struct core *c, struct account_new *n)
{
	struct record_credential token;

	memset(n, 0, sizeof *n);
	account_make_id(c->ev, n->record.id);
	account_make_number(c->ev, n->number);
	account_make_token(c->ev, n->token);
	credential_make_id(c, &token);
	memcpy(n->token_id, token.id, sizeof n->token_id);
	n->record.enabled = true;
	n->record.quota = (struct record_quota){.tunnels = RECORD_TUNNELS_USUAL,
						.sessions = RECORD_SESSIONS_USUAL,
						.credentials = RECORD_CREDENTIALS_USUAL};
	n->record.created_ms = ev_wall_ms(c->ev);
}

void account_token_shown(const char *token, char out[RECORD_PUBLIC_TEXT])
{
	str_printf(out, RECORD_PUBLIC_TEXT, "%.*s...", (int)TOKEN_SHOWN, token);
}

static int account_new_credential(struct txn *t, const struct account_new *n,
				  enum credential_type type)
{
	bool token = type == CREDENTIAL_TOKEN;
	struct record_credential r = {.type = type, .created_ms = n->record.created_ms};
	char number[ACCOUNT_LETTERS + 1] = "";
	int e = 0;

	memcpy(r.account, n->record.id, sizeof r.account);
	str_printf(r.id, sizeof r.id, "%s", token ? n->token_id : ACCOUNT_NUMBER_ID);
	str_printf(r.name, sizeof r.name, "%s", token ? "first token" : "number");
	if (token)
		account_token_shown(n->token, r.shown);
	else
		e = account_read_number(str_of(n->number), number);
	if (e == 0)
		e = credential_secret_proof(t, type, str_of(token ? n->token : number), r.proof);
	if (e == 0)
		e = credential_put(t, STR(""), &r);
	explicit_bzero(number, sizeof number);
	return e;
}

int account_new_write(struct txn *t, const struct account_new *n,
		      const struct record_credential *first)
{
	struct record_account r = n->record;
	int e = 0;

	if (first != NULL) {
		r.n_credentials++;
		e = credential_put(t, STR(""), first);
	}
	if (e == 0 && n->token[0] != '\0') {
		r.n_credentials++;
		e = account_new_credential(t, n, CREDENTIAL_TOKEN);
	}
	if (e == 0 && n->number[0] != '\0')
		e = account_new_credential(t, n, CREDENTIAL_NUMBER);
	return e != 0 ? e : account_put(t, STR(""), &r);
}
