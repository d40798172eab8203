/* The credentials of an account: tokens, SSH keys and names of certificates, each with its scope.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage_internal.h"
#include "proto/ssh_key.h"

/* One call about one credential. */
struct credential_call {
	struct manage m; /* first: the two are the same pointer */
	struct txn *t;	 /* borrowed: the last one that was run, alive in next() */
	char account[CORE_ID_TEXT], id[CORE_ID_TEXT];
	char *name, *shown; /* owned; NULL: not given */
	struct access_scope scope;
	bool set_scope;
	uint64_t expected;
	char token[CORE_TOKEN_TEXT];
	struct record_credential record;
};

static void credential_clean(struct manage *m)
{
	struct credential_call *c = (struct credential_call *)m;

	free(c->name);
	free(c->shown);
	explicit_bzero(c->token, sizeof c->token);
}

/* id: empty when there is none yet. NULL: no memory. */
static struct credential_call *credential_call_new(struct core *core, const struct manage_asker *by,
						   struct str account, struct str id)
{
	struct credential_call *c = manage_new(core, by, sizeof *c);

	if (c == NULL)
		return NULL;
	c->m.clean = credential_clean;
	/* what is no id is nobody's */
	if (account.len > 0 && str_copy(c->account, sizeof c->account, account) != 0)
		str_printf(c->account, sizeof c->account, "?");
	if (str_copy(c->id, sizeof c->id, id) != 0 || memchr(c->id, '/', sizeof c->id) != NULL)
		str_printf(c->id, sizeof c->id, "?");
	return c;
}

static int credential_keep(char **out, struct str s)
{
	*out = str_dup(s);
	return *out == NULL ? ERR_NOMEM : 0;
}

static void credential_answer(struct credential_call *c, uint64_t version)
{
	c->m.answer.credentials = &c->record;
	c->m.answer.n = 1;
	c->m.answer.version = version;
}

static uint64_t credential_version(const struct credential_call *c)
{
	struct manage_key key;

	return txn_version(c->t, RECORD_CREDENTIAL,
			   manage_credential_key(&key, c->record.account, c->record.id));
}

/* The account that it is about, and the record. Returns 0, or a refusal. */
static int credential_call_get(struct credential_call *c, struct txn *t, enum access_act act,
			       const struct store_record **rec)
{
	char account[CORE_ID_TEXT];
	int e;

	c->t = t;
	if ((e = manage_account(&c->m, str_of(c->account), act, account)) != 0)
		return e;
	e = c->id[0] == '\0' ? ERR_NOTFOUND : credential_get(t, account, c->id, &c->record, rec);
	if (e == ERR_NOTFOUND)
		return manage_refuse(&c->m, e, NULL, "there is no such credential");
	return e;
}

/* Everybody may look at, and give back, what they came with. */
static enum access_act credential_act(const struct credential_call *c)
{
	bool own = c->m.known && strcmp(c->id, c->m.who.credential) == 0 &&
		   (c->account[0] == '\0' || strcmp(c->account, c->m.who.account) == 0);

	return own ? ACCESS_ACCOUNT : ACCESS_ACCOUNT_CHANGE;
}

static void credential_log(const struct credential_call *c, const char *event)
{
	log_info(c->m.core->opt.log, "event=%s account=%s credential=%s type=%s by=%s", event,
		 c->record.account, c->record.id, record_credential_type(c->record.type),
		 c->m.who.account);
}

/* ---- what may be written ---- */

/* One word of the tunnels: a name, or "*." and a name. Returns 0 or a refusal. */
static int credential_check_name(struct manage *m, struct str word, char out[HOSTNAME_MAX + 3])
{
	bool below = str_starts(word, STR("*."));
	struct str name = below ? (struct str){word.p + 2, word.len - 2} : word;
	char normal[HOSTNAME_MAX + 1];

	if (hostname_tunnel(name, normal) != 0)
		return manage_refuse(m, ERR_INVAL, "scope.tunnels",
				     "what a credential is limited to must be names of tunnels, or "
				     "*.NAME for all names that end in .NAME");
	str_printf(out, HOSTNAME_MAX + 3, "%s%s", below ? "*." : "", normal);
	return 0;
}

static int credential_check_tunnels(struct manage *m, char tunnels[ACCESS_TUNNELS_TEXT])
{
	char given[ACCESS_TUNNELS_TEXT], word[HOSTNAME_MAX + 3];
	struct str rest, piece;
	size_t n = 0;
	int e;

	memcpy(given, tunnels, sizeof given);
	given[sizeof given - 1] = '\0';
	rest = str_of(given);
	tunnels[0] = '\0';
	while (given[0] != '\0' && str_next(&rest, ' ', &piece)) {
		if ((e = credential_check_name(m, piece, word)) != 0)
			return e;
		n += str_printf(tunnels + n, ACCESS_TUNNELS_TEXT - n, "%s%s", n > 0 ? " " : "",
				word);
	}
	return 0;
}

static int credential_check_scope(struct manage *m, struct access_scope *s)
{
	int e;

	if (s->kinds >> TUNNEL_KINDS != 0)
		return manage_refuse(m, ERR_INVAL, "scope.kinds",
				     "there is no such kind of tunnel");
	if ((e = credential_check_tunnels(m, s->tunnels)) != 0)
		return e;
	if (s->n_ports > ACCESS_PORTS_MAX)
		return manage_refuse(m, ERR_INVAL, "scope.ports",
				     "at most %d ports or ranges can be named", ACCESS_PORTS_MAX);
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].first == 0 || s->ports[i].first > s->ports[i].last)
			return manage_refuse(
				m, ERR_INVAL, "scope.ports",
				"ports are numbers from 1 to 65535, ranges go upwards");
	if (s->until_ms < 0 || (s->until_ms != 0 && s->until_ms <= ev_wall_ms(m->core->ev)))
		return manage_refuse(m, ERR_INVAL, "scope.expires_at",
				     "a credential must be good until a moment that is to come");
	return manage_lasts(m, "scope.expires_at", s->until_ms);
}

/* ---- making ---- */

static int credential_set_ssh_key(struct credential_call *c)
{
	char fingerprint[DIGEST_SSH_TEXT];
	const char *why = "";
	struct ssh_key key;
	int e;

	if (ssh_key_parse(str_of(c->shown), &key, &why) != 0)
		return manage_refuse(&c->m, ERR_INVAL, "key", "%s", why);
	e = digest_ssh((struct str){(const char *)key.blob, key.blob_len}, fingerprint);
	if (e != 0)
		return e;
	if (str_copy(c->record.shown, sizeof c->record.shown, str_of(key.line)) != 0)
		return manage_refuse(&c->m, ERR_INVAL, "key", "the key is too long");
	credential_public_proof(CREDENTIAL_SSH_KEY, str_of(fingerprint), c->record.proof);
	return 0;
}

/* "*@realm" is every agent of a realm; in any other place a '*' is one of the name. */
static bool credential_subject_ok(const char *subject)
{
	const char *realm = subject + 2;

	return strncmp(subject, "*@", 2) != 0 ||
	       (realm[0] != '\0' && strpbrk(realm, "*@ ") == NULL);
}

static int credential_set_certificate(struct credential_call *c)
{
	struct access_ask ask = {.act = ACCESS_ADMIN};
	int e = manage_text(&c->m, "subject", str_of(c->shown), CREDENTIAL_SUBJECT_MAX + 1,
			    c->record.shown);

	/* else whoever claims a name first would be whom its certificate proves */
	if (e == 0 && manage_access(&c->m, &ask) != 0)
		return manage_refuse(&c->m, ERR_DENIED, "type",
				     "only an administrator knows whose certificates these are: "
				     "ask one to add it to this account");
	if (e == 0 && c->record.shown[0] == '\0')
		return manage_refuse(&c->m, ERR_INVAL, "subject",
				     "a certificate is known by a name: its CN, or a name of its "
				     "subjectAltName");
	if (e == 0 && !credential_subject_ok(c->record.shown))
		return manage_refuse(&c->m, ERR_INVAL, "subject",
				     "all certificates of a realm are *@REALM: the part behind the "
				     "@ of names like agent@example.org");
	if (e == 0)
		credential_public_proof(CREDENTIAL_CERTIFICATE, str_of(c->record.shown),
					c->record.proof);
	return e;
}

/* What it is proven by; nobody else may have the same. */
static int credential_set_proof(struct credential_call *c, struct txn *t)
{
	struct record_credential *r = &c->record;
	const struct store_record *rec;
	int e;

	if (r->type == CREDENTIAL_TOKEN) {
		account_token_shown(c->token, r->shown);
		return credential_secret_proof(t, r->type, str_of(c->token), r->proof);
	}
	if (r->type == CREDENTIAL_SSH_KEY)
		e = credential_set_ssh_key(c);
	else if (r->type == CREDENTIAL_CERTIFICATE)
		e = credential_set_certificate(c);
	else
		e = manage_refuse(&c->m, ERR_INVAL, "type",
				  "an account has one number; its owner may ask for a new one");
	if (e != 0)
		return e;
	e = txn_get(t, RECORD_PROOF, str_of(r->proof), &rec);
	if (e == ERR_NOTFOUND)
		return 0;
	return e != 0 ? e
		      : manage_refuse(&c->m, ERR_EXISTS,
				      r->type == CREDENTIAL_SSH_KEY ? "key" : "subject",
				      "this %s proves an account already; remove it there first",
				      r->type == CREDENTIAL_SSH_KEY ? "key" : "name");
}

static int credential_count_one(struct credential_call *c, struct txn *t, const char *account)
{
	const struct store_record *rec;
	struct record_account r;
	int e = txn_line(t, account);

	if (e == 0)
		e = account_get(t, str_of(account), &r, &rec);
	if (e == ERR_NOTFOUND || (e == 0 && r.deleting))
		return manage_refuse(&c->m, ERR_NOTFOUND, NULL, "there is no such account");
	if (e != 0)
		return e;
	if (r.n_credentials >= r.quota.credentials)
		return manage_refuse(&c->m, ERR_LIMIT, NULL,
				     "this account has %llu credentials, which is its limit; "
				     "remove one first",
				     (unsigned long long)r.n_credentials);
	r.n_credentials++;
	return account_put(t, rec->value, &r);
}

static int credential_run_make(struct txn *t, void *arg)
{
	struct credential_call *c = arg;
	struct record_credential *r = &c->record;
	int e;

	c->t = t;
	if ((e = manage_account(&c->m, str_of(c->account), ACCESS_ACCOUNT_CHANGE, r->account)) !=
		    0 ||
	    (e = manage_text(&c->m, "name", str_of(c->name), sizeof r->name, r->name)) != 0)
		return e;
	r->scope = c->scope;
	if ((e = credential_check_scope(&c->m, &r->scope)) != 0 ||
	    (e = credential_set_proof(c, t)) != 0 ||
	    (e = credential_count_one(c, t, r->account)) != 0)
		return e;
	return credential_put(t, STR(""), r);
}

static void credential_on_made(struct manage *m, int e)
{
	struct credential_call *c = (struct credential_call *)m;

	if (e == 0) {
		credential_answer(c, credential_version(c));
		m->answer.created = true;
		if (c->record.type == CREDENTIAL_TOKEN)
			memcpy(m->answer.token, c->token, sizeof m->answer.token);
		credential_log(c, "credential-made");
	}
	manage_end(m, e);
}

struct manage *manage_credential_make(struct core *core, const struct manage_asker *by,
				      struct str account, const struct manage_new_credential *n)
{
	struct credential_call *c = credential_call_new(core, by, account, STR(""));

	if (c == NULL)
		return NULL;
	c->m.next = credential_on_made;
	c->record.type = n->type;
	c->scope = n->scope;
	credential_make_id(core, &c->record);
	account_make_token(core->ev, c->token);
	if (credential_keep(&c->name, n->name) != 0 || credential_keep(&c->shown, n->shown) != 0) {
		manage_cancel(&c->m);
		return NULL;
	}
	return manage_begin(&c->m, credential_run_make);
}

/* ---- reading ---- */

static int credential_run_get(struct txn *t, void *arg)
{
	struct credential_call *c = arg;
	const struct store_record *rec;
	int e = credential_call_get(c, t, credential_act(c), &rec);

	if (e == 0)
		credential_answer(c, rec->version);
	return e;
}

struct manage *manage_credential_get(struct core *core, const struct manage_asker *by,
				     struct str account, struct str id)
{
	struct credential_call *c = credential_call_new(core, by, account, id);

	return c == NULL ? NULL : manage_begin(&c->m, credential_run_get);
}

struct credential_list {
	struct manage m; /* first: the two are the same pointer */
	size_t limit;
	char account[CORE_ID_TEXT];
	char after[CORE_ID_TEXT], last[CORE_ID_TEXT];
	struct record_credential *found; /* owned */
};

static void credential_list_clean(struct manage *m)
{
	free(((struct credential_list *)m)->found);
}

/* Keep what is of this account; the line behind the limit tells only that there is more. */
static int credential_list_keep(struct credential_list *l, const struct txn_page *page,
				struct str prefix)
{
	struct manage_answer *answer = &l->m.answer;
	size_t n = 0, i = 0;

	free(l->found);
	if ((l->found = calloc(page->n + 1, sizeof *l->found)) == NULL)
		return ERR_NOMEM;
	for (; i < page->n && i < l->limit; i++) {
		const struct store_record *rec = &page->recs[i];
		struct str key = rec->key;

		if (!str_starts(key, prefix))
			break;
		(void)!str_copy(l->last, sizeof l->last,
				(struct str){key.p + prefix.len, key.len - prefix.len});
		if (record_read_credential(key, rec->value, &l->found[n]) == 0)
			n++;
		else /* one bad record must not hide the others */
			log_warn(l->m.core->opt.log, "event=damaged kind=credential key=" STR_FMT,
				 STR_ARG(key));
	}
	answer->credentials = l->found;
	answer->n = n;
	answer->after = l->last;
	answer->more = i > 0 && (i < page->n ? str_starts(page->recs[i].key, prefix) : page->more);
	return 0;
}

static int credential_run_list(struct txn *t, void *arg)
{
	struct credential_list *l = arg;
	char account[CORE_ID_TEXT];
	struct manage_key prefix, after;
	struct store_page page = {.kind = RECORD_CREDENTIAL, .limit = l->limit + 1};
	struct txn_page found;
	int e;

	e = manage_account(&l->m, str_of(l->account), ACCESS_ACCOUNT_CHANGE, account);
	if (e != 0)
		return e;
	page.after = manage_credential_key(&after, account, l->after);
	if ((e = txn_list(t, &page, &found)) != 0)
		return e;
	return credential_list_keep(l, &found, manage_credential_key(&prefix, account, ""));
}

struct manage *manage_credential_list(struct core *core, const struct manage_asker *by,
				      struct str account, const struct manage_page *page)
{
	struct credential_list *l = manage_new(core, by, sizeof *l);

	if (l == NULL)
		return NULL;
	l->m.clean = credential_list_clean;
	l->limit = manage_limit(page);
	if (account.len > 0 && str_copy(l->account, sizeof l->account, account) != 0)
		str_printf(l->account, sizeof l->account, "?");
	(void)!str_copy(l->after, sizeof l->after, page->after);
	return manage_begin(&l->m, credential_run_list);
}

/* ---- changing ---- */

static int credential_run_change(struct txn *t, void *arg)
{
	struct credential_call *c = arg;
	struct record_credential *r = &c->record;
	const struct store_record *rec;
	int e = credential_call_get(c, t, ACCESS_ACCOUNT_CHANGE, &rec);

	if (e == 0)
		e = manage_expect(&c->m, c->expected, rec->version);
	if (e == 0 && c->name != NULL)
		e = manage_text(&c->m, "name", str_of(c->name), sizeof r->name, r->name);
	if (e == 0 && c->set_scope && r->type == CREDENTIAL_NUMBER)
		e = manage_refuse(&c->m, ERR_INVAL, "scope",
				  "the account's number is good for everything; limit a token "
				  "instead");
	if (e == 0 && c->set_scope) {
		r->scope = c->scope;
		e = credential_check_scope(&c->m, &r->scope);
	}
	return e != 0 ? e : credential_put(t, rec->value, r);
}

static void credential_on_changed(struct manage *m, int e)
{
	struct credential_call *c = (struct credential_call *)m;

	if (e == 0) {
		credential_answer(c, credential_version(c));
		credential_log(c, "credential-changed");
	}
	manage_end(m, e);
}

struct manage *manage_credential_change(struct core *core, const struct manage_asker *by,
					struct str account, struct str id,
					const struct manage_credential_change *ch)
{
	struct credential_call *c = credential_call_new(core, by, account, id);

	if (c == NULL)
		return NULL;
	c->m.next = credential_on_changed;
	c->set_scope = ch->set_scope;
	c->scope = ch->scope;
	c->expected = ch->expected;
	if (ch->set_name && credential_keep(&c->name, ch->name) != 0) {
		manage_cancel(&c->m);
		return NULL;
	}
	return manage_begin(&c->m, credential_run_change);
}

/* ---- revoking ---- */

static int credential_count_off(struct txn *t, const char *account)
{
	const struct store_record *rec;
	struct record_account r;
	int e = txn_line(t, account);

	if (e == 0)
		e = account_get(t, str_of(account), &r, &rec);
	if (e == ERR_NOTFOUND)
		return 0;
	if (e != 0)
		return e;
	r.n_credentials -= r.n_credentials > 0;
	return account_put(t, rec->value, &r);
}

static int credential_run_drop(struct txn *t, void *arg)
{
	struct credential_call *c = arg;
	const struct store_record *rec;
	int e = credential_call_get(c, t, credential_act(c), &rec);

	if (e != 0)
		return e;
	if (c->record.type == CREDENTIAL_NUMBER)
		return manage_refuse(&c->m, ERR_DENIED, NULL,
				     "an account keeps its number; ask for a new one, and the old "
				     "one is not good any more");
	if ((e = credential_count_off(t, c->record.account)) != 0)
		return e;
	return credential_drop(t, &c->record);
}

static void credential_on_dropped(struct manage *m, int e)
{
	if (e == 0)
		credential_log((struct credential_call *)m, "revoked");
	manage_end(m, e);
}

struct manage *manage_credential_drop(struct core *core, const struct manage_asker *by,
				      struct str account, struct str id)
{
	struct credential_call *c = credential_call_new(core, by, account, id);

	if (c == NULL)
		return NULL;
	c->m.next = credential_on_dropped;
	return manage_begin(&c->m, credential_run_drop);
}
