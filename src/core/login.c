/*
 * Who is there? Whatever is presented, well formed or not, takes the same path: a fingerprint, then
 * the proof, the credential and the account that it leads to; where one is missing, something that
 * is never there is read in its place. So time and number of reads tell nobody what is known here.
 *
 * Looking a fingerprint up is no comparison of a secret with what is presented: it is an HMAC under
 * a key that nobody outside knows, so whoever chooses the text does not choose what is compared,
 * and learns nothing about another fingerprint from the time it takes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "core/manage_internal.h"

/* What is presented counts up to here; tokens are shorter, so a longer one stays wrong. */
#define PRESENTED_CAP 256

_Static_assert(CORE_TOKEN_TEXT < PRESENTED_CAP, "a cut token must be no token");
_Static_assert(CREDENTIAL_SUBJECT_MAX < PRESENTED_CAP, "a cut name must be no name");

/* Times of use are kept to the minute and to the hour: writing costs more than reading. */
#define CREDENTIAL_USED_MS 60000
#define ACCOUNT_USED_MS	   3600000

/* Bytes of a certificate's name that are told to who has shown it: twice they fit into a reason. */
#define NAME_SHOWN ((size_t)64)

/* Of the id of nobody. */
#define NOBODY "-"

static const char unknown[] =
	"this server does not know the credential; check that it was made for "
	"this server, or ask its operator for a new one";

struct login {
	struct core *core;
	struct txn *txn; /* owned */
	void (*done)(void *arg, const struct core_login *result);
	void *arg;
	enum core_proof_type type;
	size_t presented_len;
	char presented[PRESENTED_CAP];
	char *line;		  /* owned: of a key that may prove a new account; or NULL */
	bool registers;		  /* nobody knows the key: this try makes an account */
	bool unknown;		  /* this run has found nobody */
	bool made;		  /* this run makes an account */
	int refused;		  /* why it cannot be, found before it began */
	bool no_touch;		  /* times of use cannot be written: go without */
	bool touched;		  /* this run writes them */
	struct account_new new;	  /* when an account is made */
	struct core_login result; /* its reason: below */
	char reason[CORE_REASON_TEXT];
};

static void login_free(struct login *l)
{
	txn_cancel(l->txn);
	free(l->line);
	explicit_bzero(l, sizeof *l);
	free(l);
}

/* The answer is known; it is given when the transaction ends. */
static int login_refuse(struct login *l, int e, const char *reason)
{
	l->result.e = e;
	if (reason != l->reason)
		str_printf(l->reason, sizeof l->reason, "%s", reason);
	return 0;
}

/* ---- what is presented ---- */

static bool login_is_number(struct str text, char out[ACCOUNT_LETTERS + 1])
{
	char decoded[CORE_NUMBER_TEXT];
	size_t len;

	if (account_read_number(text, out) == 0)
		return true;
	/* As exposr's programs present it. */
	return base64_decode(text, decoded, sizeof decoded, &len) == 0 &&
	       account_read_number((struct str){decoded, len}, out) == 0;
}

/* Can a name be copied into a command line as it stands? */
static bool login_is_word(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = ascii_lower(name.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    (memchr("-._@", c, 4) == NULL || (i == 0 && c == '-')))
			return false;
	}
	return name.len <= NAME_SHOWN;
}

/* The name in a certificate is no secret, and whoever is to add it must know how it is read. */
static int login_refuse_certificate(struct login *l)
{
	struct str name = {l->presented, l->presented_len}, word = name;
	int n = (int)MIN(name.len, NAME_SHOWN);

	if (!login_is_word(name))
		word = STR("NAME");
	if (n == 0)
		str_printf(l->reason, sizeof l->reason,
			   "the certificate names nobody: it needs a DNS name, or a common name "
			   "without spaces");
	else
		str_printf(l->reason, sizeof l->reason,
			   "this server knows no account for the certificate \"%.*s\"; an "
			   "administrator adds it with: karez cert add " STR_FMT " --account ID",
			   n, name.p, STR_ARG(word));
	return login_refuse(l, ERR_AUTH, l->reason);
}

/* The part of a certificate's name "agent@realm" behind the agent; empty: it is no such name. */
static struct str login_realm(const struct login *l)
{
	struct str text = {l->presented, l->presented_len};
	size_t at = str_find(text, '@');

	if (l->type != CORE_PROOF_CERTIFICATE || at == 0 || at == text.len)
		return STR("");
	return (struct str){text.p + at + 1, text.len - at - 1};
}

/* "*@realm" stands for every agent of it, so nobody may be called so. */
static bool login_is_wild(const struct login *l)
{
	return l->type == CORE_PROOF_CERTIFICATE && l->presented_len > 1 &&
	       memcmp(l->presented, "*@", 2) == 0;
}

/* The key of the proof that it would be. */
static int login_proof_key(struct login *l, struct txn *t, char out[RECORD_PROOF_TEXT])
{
	struct str text = {l->presented, login_is_wild(l) ? 0 : l->presented_len};
	char number[ACCOUNT_LETTERS + 1];
	const uint8_t *key;
	int e;

	if (l->type == CORE_PROOF_BEARER) {
		bool is_number = login_is_number(text, number);

		e = credential_secret_proof(t, is_number ? CREDENTIAL_NUMBER : CREDENTIAL_TOKEN,
					    is_number ? str_of(number) : text, out);
		explicit_bzero(number, sizeof number);
		return e;
	}
	credential_public_proof(l->type == CORE_PROOF_SSH_KEY ? CREDENTIAL_SSH_KEY
							      : CREDENTIAL_CERTIFICATE,
				text, out);
	return txn_secret(t, &key); /* as above, so that all make the same reads */
}

/* ---- records ---- */

/* What a proof leads to; a record that is not there is ERR_NOTFOUND, and nobody's are read. */
static int login_read(struct txn *t, const char *proof_key, struct record_credential *cred,
		      const struct store_record **cred_rec, struct record_account *account,
		      const struct store_record **account_rec)
{
	struct record_proof proof = {.account = NOBODY, .credential = NOBODY};
	const struct store_record *rec;
	int e, missing = 0;

	if ((e = txn_get(t, RECORD_PROOF, str_of(proof_key), &rec)) == 0)
		e = record_read_proof(rec->value, &proof);
	if (e == ERR_NOTFOUND)
		missing = e;
	else if (e != 0)
		return e;
	e = credential_get(t, proof.account, proof.credential, cred, cred_rec);
	if (e == ERR_NOTFOUND)
		missing = e;
	else if (e != 0)
		return e;
	e = account_get(t, str_of(proof.account), account, account_rec);
	return e != 0 ? e : missing;
}

/* Note that they have been used, but not each time. */
static int login_touch(struct login *l, struct txn *t, struct record_credential *cred,
		       struct str cred_old, struct record_account *account, struct str account_old)
{
	int64_t now = ev_wall_ms(l->core->ev);
	int e = 0;

	if (l->no_touch)
		return 0;
	if (now - cred->used_ms >= CREDENTIAL_USED_MS) {
		cred->used_ms = now;
		l->touched = true;
		e = credential_put(t, cred_old, cred);
	}
	if (e == 0 && now - account->used_ms >= ACCOUNT_USED_MS) {
		account->used_ms = now;
		l->touched = true;
		e = account_put(t, account_old, account);
	}
	return e;
}

/* ---- decisions ---- */

static int login_decide(struct login *l, const struct record_credential *cred,
			const struct record_account *account)
{
	struct access_who *who = &l->result.who;
	/* the least that can be asked: it decides whether account and credential are good at all */
	struct access_ask ask = {.act = ACCESS_ACCOUNT, .now_ms = ev_wall_ms(l->core->ev)};
	int e;

	memcpy(who->account, account->id, sizeof who->account);
	memcpy(who->credential, cred->id, sizeof who->credential);
	who->admin = account->admin;
	who->enabled = account->enabled;
	who->sessions_max = account->quota.sessions;
	memcpy(who->ports, account->ports, sizeof who->ports);
	who->n_ports = account->n_ports;
	who->scope = cred->scope;
	if ((e = access_decide(who, &ask, l->reason)) == ERR_DISABLED)
		account_off_reason(account, l->reason);
	return e;
}

/* What a proof has led to. */
struct login_found {
	struct record_credential cred;
	struct record_account account;
	const struct store_record *cred_rec, *account_rec;
};

static int login_find(struct txn *t, const char *key, struct login_found *f)
{
	int e = login_read(t, key, &f->cred, &f->cred_rec, &f->account, &f->account_rec);

	if (e == 0 &&
	    (strlen(f->cred.proof) != strlen(key) || !digest_same(f->cred.proof, key, strlen(key))))
		e = ERR_NOTFOUND; /* the credential has got another secret since */
	return e;
}

/* A certificate's own name counts before its realm. Its name is no secret, so neither is how often
 * it is looked for. */
static int login_find_realm(struct login *l, struct txn *t, struct login_found *f)
{
	struct str realm = login_realm(l);
	char text[PRESENTED_CAP + 2], key[RECORD_PROOF_TEXT];
	size_t n;

	if (realm.len == 0 || login_is_wild(l))
		return ERR_NOTFOUND;
	n = str_printf(text, sizeof text, "*@");
	memcpy(text + n, realm.p, realm.len);
	credential_public_proof(CREDENTIAL_CERTIFICATE, (struct str){text, n + realm.len}, key);
	return login_find(t, key, f);
}

/* Who it is that has an account now. */
static void login_fill_new(struct login *l, const char *credential)
{
	struct access_who *who = &l->result.who;

	memcpy(who->account, l->new.record.id, sizeof who->account);
	memcpy(who->credential, credential, sizeof who->credential);
	who->enabled = true;
	who->sessions_max = l->new.record.quota.sessions;
	memcpy(l->result.number, l->new.number, sizeof l->result.number);
	memcpy(l->result.token, l->new.token, sizeof l->result.token);
}

/* An account whose first credential is the key, which nobody else has: see core_proof.line. */
static int login_register_key(struct login *l, struct txn *t, const char *proof)
{
	struct record_credential key = {.type = CREDENTIAL_SSH_KEY,
					.name = "first key",
					.created_ms = l->new.record.created_ms,
					.used_ms = l->new.record.created_ms};

	memcpy(key.account, l->new.record.id, sizeof key.account);
	memcpy(key.id, l->new.token_id, sizeof key.id);
	str_printf(key.proof, sizeof key.proof, "%s", proof);
	str_printf(key.shown, sizeof key.shown, "%s", l->line);
	l->made = true;
	login_fill_new(l, key.id);
	return account_new_write(t, &l->new, &key);
}

/* Nobody knows what was presented. */
static int login_unknown(struct login *l, struct txn *t, const char *key)
{
	if (l->registers)
		return login_register_key(l, t, key);
	l->unknown = true;
	return l->type == CORE_PROOF_CERTIFICATE ? login_refuse_certificate(l)
						 : login_refuse(l, ERR_AUTH, unknown);
}

static int login_prove(struct login *l, struct txn *t)
{
	char key[RECORD_PROOF_TEXT];
	struct login_found f;
	int e;

	if ((e = login_proof_key(l, t, key)) != 0)
		return e;
	if ((e = login_find(t, key, &f)) == ERR_NOTFOUND)
		e = login_find_realm(l, t, &f);
	if (e == ERR_NOTFOUND)
		return login_unknown(l, t, key);
	if (e != 0)
		return e;
	if ((e = login_decide(l, &f.cred, &f.account)) != 0)
		return login_refuse(l, e, l->reason);
	return login_touch(l, t, &f.cred, f.cred_rec->value, &f.account, f.account_rec->value);
}

static int login_register(struct login *l, struct txn *t)
{
	l->made = true;
	login_fill_new(l, l->new.token_id);
	return account_new_write(t, &l->new, NULL);
}

static int login_run(struct txn *t, void *arg)
{
	struct login *l = arg;

	memset(&l->result, 0, sizeof l->result);
	l->touched = l->made = l->unknown = false;
	if (l->refused != 0)
		return login_refuse(l, l->refused, l->reason);
	return l->type == CORE_PROOF_NONE ? login_register(l, t) : login_prove(l, t);
}

/* ---- the end ---- */

static void login_log(const struct login *l)
{
	const struct access_who *who = &l->result.who;

	if (l->made)
		log_info(l->core->opt.log, "event=account-made account=%s automatic=yes",
			 who->account);
	/* an API may be asked a thousand times a second: once a minute is enough */
	if (l->made || l->touched)
		log_info(l->core->opt.log, "event=login account=%s credential=%s", who->account,
			 who->credential);
}

static void login_answer(struct login *l, int e)
{
	struct core_login result = l->result;
	struct login was;

	if (e != 0) {
		memset(&result, 0, sizeof result);
		result.e = e;
		core_store_reason(e, l->reason);
	} else if (result.e == 0) {
		login_log(l);
	} else {
		memset(&result.who, 0, sizeof result.who);
	}
	was = *l;
	result.reason = was.reason;
	login_free(l);
	was.done(was.arg, &result);
	explicit_bzero(&was, sizeof was);
	explicit_bzero(&result, sizeof result);
}

static int login_txn(struct login *l);
static int login_may_register(const struct login *l, char reason[CORE_REASON_TEXT]);

/* A key that nobody knows, where anybody may make an account: once more, and to the end. */
static void login_go_register(struct login *l)
{
	int e;

	l->result.e = login_may_register(l, l->reason);
	if (l->result.e != 0) {
		login_answer(l, 0);
		return;
	}
	l->registers = true;
	account_new_make(l->core, &l->new);
	l->new.record.automatic = true;
	l->new.token[0] = '\0'; /* the key is what it keeps */
	if ((e = login_txn(l)) != 0)
		login_answer(l, e);
}

static void login_on_done(void *arg, int e)
{
	struct login *l = arg;
	bool again = e != 0 && e != ERR_CLOSED && l->touched;

	l->txn = NULL;
	if (e == 0 && l->unknown && l->line != NULL && !l->registers) {
		login_go_register(l);
		return;
	}
	if (again) { /* a full disk lets nobody wait in front of the door */
		l->no_touch = true;
		l->touched = false;
		if (login_txn(l) == 0)
			return;
	}
	login_answer(l, e);
}

static int login_txn(struct login *l)
{
	struct txn_opt opt = {.core = l->core,
			      .kind = CORE_LOGIN,
			      .run = login_run,
			      .done = login_on_done,
			      .arg = l};

	return txn_start(&opt, &l->txn);
}

/* May an account be made for whoever presents nothing? */
static int login_may_register(const struct login *l, char reason[CORE_REASON_TEXT])
{
	struct core *c = l->core;

	if (c->opt.registration == CORE_OPEN && account_may_register(c))
		return 0;
	if (c->opt.registration == CORE_OPEN) {
		str_printf(reason, CORE_REASON_TEXT,
			   "too many new accounts are being made here; try again in a minute");
		return ERR_LIMIT;
	}
	str_printf(reason, CORE_REASON_TEXT,
		   "this server makes %s; %s and give it with --token-file or KAREZ_TOKEN",
		   c->opt.registration == CORE_BY_INVITATION ? "accounts by invitation only"
							     : "no accounts by itself",
		   c->opt.registration == CORE_BY_INVITATION
			   ? "make one with \"karez account create\""
			   : "ask its operator for a token");
	return ERR_DENIED;
}

struct login *core_login(struct core *c, const struct core_proof *proof,
			 void (*done)(void *arg, const struct core_login *result), void *arg)
{
	struct login *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->core = c;
	l->done = done;
	l->arg = arg;
	l->type = proof->type;
	l->presented_len = MIN(proof->text.len, sizeof l->presented);
	if (l->presented_len > 0)
		memcpy(l->presented, proof->text.p, l->presented_len);
	if (l->type == CORE_PROOF_SSH_KEY && proof->line.len > 0 &&
	    proof->line.len < RECORD_PUBLIC_TEXT && c->opt.registration == CORE_OPEN &&
	    (l->line = str_dup(proof->line)) == NULL) {
		login_free(l);
		return NULL;
	}
	if (login_txn(l) != 0) {
		login_free(l);
		return NULL;
	}
	if (l->type != CORE_PROOF_NONE)
		return l;
	l->refused = login_may_register(l, l->reason);
	account_new_make(c, &l->new);
	l->new.record.automatic = true;
	return l;
}

void core_login_cancel(struct login *l)
{
	if (l != NULL)
		login_free(l);
}
