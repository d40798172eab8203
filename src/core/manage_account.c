/* Accounts: made by strangers, with invitations or by administrators; read, changed, deleted. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage_internal.h"
#include "proto/json.h"

/* Things that one transaction drops with an account: each is read first (TXN_READS_MAX). */
#define DROP_PAGE 50

_Static_assert(DROP_PAGE + 1 <= TXN_READS_MAX, "what is dropped is read");

/* Bytes of an invitation that count; a code is shorter. */
#define CODE_CAP 64

/* One call about accounts. */
struct account_call {
	struct manage m; /* first: the two are the same pointer */
	struct txn *t;	 /* borrowed: the last one that was run, alive in next() */
	char id[CORE_ID_TEXT];
	struct str name; /* owned bytes */
	struct record_account record;
	/* manage_account_make() */
	bool limited; /* too many strangers */
	char code[CODE_CAP];
	size_t code_len;
	struct account_new new;
	/* manage_account_change() */
	struct manage_account_change change;
	uint64_t expected;
	bool finished; /* all that it owned is dropped */
};

/* ---- what several calls need ---- */

int manage_text(struct manage *m, const char *field, struct str text, size_t cap, char *out)
{
	struct json *j = NULL;
	int e;

	text = str_trim(text);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool c1 = c == 0xc2 && i + 1 < text.len && (unsigned char)text.p[i + 1] < 0xa0;

		if (c < ' ' || c == 0x7f || c1)
			return manage_refuse(m, ERR_INVAL, field,
					     "%s must be one line without control characters",
					     field);
	}
	if (str_copy(out, cap, text) != 0)
		return manage_refuse(m, ERR_INVAL, field, "%s must have at most %zu bytes", field,
				     cap - 1);
	if ((e = json_new_object(&j)) != 0)
		return e;
	e = json_set_text(j, "text", text);
	json_free(j);
	if (e == ERR_INVAL)
		return manage_refuse(m, ERR_INVAL, field, "%s must be UTF-8", field);
	return e;
}

size_t manage_limit(const struct manage_page *page)
{
	return MAX((size_t)1, MIN(page->limit, (size_t)MANAGE_PAGE_MAX));
}

static void account_clean(struct manage *m)
{
	struct account_call *a = (struct account_call *)m;

	free((char *)(uintptr_t)a->name.p);
	explicit_bzero(a->code, sizeof a->code);
	explicit_bzero(&a->new, sizeof a->new);
}

/* NULL: no memory. */
static struct account_call *account_call_new(struct core *c, const struct manage_asker *by,
					     struct str account)
{
	struct account_call *a = manage_new(c, by, sizeof *a);

	if (a == NULL)
		return NULL;
	a->m.clean = account_clean;
	/* what is no id is nobody's; what is empty is one's own */
	if (account.len > 0 && str_copy(a->id, sizeof a->id, account) != 0)
		str_printf(a->id, sizeof a->id, "?");
	return a;
}

/* The id that the call is about, and its record. Returns 0, or a refusal. */
static int account_call_get(struct account_call *a, struct txn *t, enum access_act act,
			    const struct store_record **rec)
{
	char id[CORE_ID_TEXT];
	int e;

	a->t = t;
	if ((e = manage_account(&a->m, str_of(a->id), act, id)) != 0)
		return e;
	e = account_get(t, str_of(id), &a->record, rec);
	if (e == ERR_NOTFOUND)
		return manage_refuse(&a->m, e, NULL, "there is no such account");
	return e;
}

/* The answer is one account. */
static void account_answer(struct account_call *a, uint64_t version)
{
	a->m.answer.accounts = &a->record;
	a->m.answer.n = 1;
	a->m.answer.version = version;
}

static const char *account_asker(const struct manage *m)
{
	return m->known ? m->who.account : "-";
}

/* ---- making ---- */

static bool account_by_admin(const struct manage *m)
{
	struct access_ask ask = {.act = ACCESS_ADMIN, .now_ms = ev_wall_ms(m->core->ev)};
	char reason[CORE_REASON_TEXT];

	return m->known && access_decide(&m->who, &ask, reason) == 0;
}

/* May whoever asks make one? */
static int account_may_make(struct account_call *a, struct txn *t)
{
	enum core_registration how = a->m.core->opt.registration;

	if (account_by_admin(&a->m))
		return 0;
	if (how == CORE_CLOSED)
		return manage_refuse(&a->m, ERR_DENIED, NULL,
				     "this server makes no accounts by itself; ask its operator "
				     "for one");
	if (a->code_len > 0)
		return manage_invite_use(&a->m, t, (struct str){a->code, a->code_len});
	if (how == CORE_BY_INVITATION)
		return manage_refuse(&a->m, ERR_DENIED, "invitation",
				     "this server makes accounts by invitation only; ask its "
				     "operator for the code of one");
	if (a->limited)
		return manage_refuse(&a->m, ERR_LIMIT, NULL,
				     "too many new accounts are being made here; try again in a "
				     "minute");
	return 0;
}

static int account_run_make(struct txn *t, void *arg)
{
	struct account_call *a = arg;
	int e;

	a->t = t;
	if ((e = account_may_make(a, t)) != 0 ||
	    (e = manage_text(&a->m, "name", a->name, sizeof a->new.record.name,
			     a->new.record.name)) != 0)
		return e;
	return account_new_write(t, &a->new, NULL);
}

static void account_on_made(struct manage *m, int e)
{
	struct account_call *a = (struct account_call *)m;

	if (e == 0) {
		a->record = a->new.record;
		a->record.n_credentials = 1;
		account_answer(a, txn_version(a->t, RECORD_ACCOUNT, str_of(a->record.id)));
		m->answer.created = true;
		memcpy(m->answer.number, a->new.number, sizeof m->answer.number);
		memcpy(m->answer.token, a->new.token, sizeof m->answer.token);
		log_info(m->core->opt.log, "event=account-made account=%s automatic=%s by=%s",
			 a->record.id, a->record.automatic ? "yes" : "no", account_asker(m));
	}
	manage_end(m, e);
}

struct manage *manage_account_make(struct core *c, const struct manage_asker *by,
				   const struct manage_new_account *n)
{
	struct account_call *a = account_call_new(c, by, STR(""));

	if (a == NULL)
		return NULL;
	a->m.next = account_on_made;
	account_new_make(c, &a->new);
	a->new.record.automatic = n->automatic;
	a->code_len = MIN(n->invitation.len, sizeof a->code);
	if (a->code_len > 0)
		memcpy(a->code, n->invitation.p, a->code_len);
	a->name = (struct str){str_dup(n->name), n->name.len};
	if (a->name.p == NULL) {
		manage_cancel(&a->m);
		return NULL;
	}
	if (c->opt.registration == CORE_OPEN && a->code_len == 0 && !account_by_admin(&a->m))
		a->limited = !account_may_register(c);
	return manage_begin(&a->m, account_run_make);
}

/* ---- reading ---- */

static int account_run_get(struct txn *t, void *arg)
{
	struct account_call *a = arg;
	const struct store_record *rec;
	int e = account_call_get(a, t, ACCESS_ACCOUNT, &rec);

	if (e == 0)
		account_answer(a, rec->version);
	return e;
}

struct manage *manage_account_get(struct core *c, const struct manage_asker *by, struct str account)
{
	struct account_call *a = account_call_new(c, by, account);

	return a == NULL ? NULL : manage_begin(&a->m, account_run_get);
}

/* ---- lists ---- */

struct account_list {
	struct manage m; /* first: the two are the same pointer */
	size_t limit;
	char after[STORE_KEY_MAX + 1], last[STORE_KEY_MAX + 1];
	struct record_account *found; /* owned */
};

static void account_list_clean(struct manage *m)
{
	free(((struct account_list *)m)->found);
}

static int account_run_list(struct txn *t, void *arg)
{
	struct account_list *l = arg;
	struct access_ask ask = {.act = ACCESS_ADMIN};
	struct store_page page = {.kind = RECORD_ACCOUNT,
				  .after = str_of(l->after),
				  .limit = l->limit};
	struct txn_page found;
	size_t n = 0;
	int e;

	if ((e = manage_access(&l->m, &ask)) != 0 || (e = txn_list(t, &page, &found)) != 0)
		return e;
	free(l->found);
	if ((l->found = calloc(found.n + 1, sizeof *l->found)) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < found.n; i++) {
		const struct store_record *rec = &found.recs[i];

		(void)!str_copy(l->last, sizeof l->last, rec->key);
		if (record_read_account(rec->key, rec->value, &l->found[n]) == 0)
			n++;
		else /* one bad record must not hide the others */
			log_warn(l->m.core->opt.log, "event=damaged kind=account key=" STR_FMT,
				 STR_ARG(rec->key));
	}
	l->m.answer.accounts = l->found;
	l->m.answer.n = n;
	l->m.answer.more = found.more && found.n > 0;
	l->m.answer.after = l->last;
	return 0;
}

struct manage *manage_account_list(struct core *c, const struct manage_asker *by,
				   const struct manage_page *page)
{
	struct account_list *l = manage_new(c, by, sizeof *l);

	if (l == NULL)
		return NULL;
	l->m.clean = account_list_clean;
	l->limit = manage_limit(page);
	(void)!str_copy(l->after, sizeof l->after, page->after);
	return manage_begin(&l->m, account_run_list);
}

/* ---- changing ---- */

static int account_set_quota(struct account_call *a, unsigned bit, const char *field, uint64_t to,
			     uint64_t *out)
{
	if ((a->change.set & bit) == 0)
		return 0;
	if (to > JSON_NUMBER_MAX)
		return manage_refuse(&a->m, ERR_INVAL, field, "%s is too great a number", field);
	*out = to;
	return 0;
}

/* None: the account may have all of the server's. */
static int account_set_ports(struct account_call *a)
{
	const struct record_account *to = &a->change.to;

	if (to->n_ports > ACCESS_PORTS_MAX)
		return manage_refuse(&a->m, ERR_INVAL, "ports",
				     "an account has at most %d ranges of ports", ACCESS_PORTS_MAX);
	for (size_t i = 0; i < to->n_ports; i++)
		if (to->ports[i].first == 0 || to->ports[i].first > to->ports[i].last)
			return manage_refuse(&a->m, ERR_INVAL, "ports",
					     "a range of ports goes from its first one to its "
					     "last one, such as 2000-2010");
	memcpy(a->record.ports, to->ports, sizeof to->ports);
	a->record.n_ports = to->n_ports;
	return 0;
}

static int account_apply(struct account_call *a)
{
	const struct record_account *to = &a->change.to;
	struct record_account *r = &a->record;
	unsigned set = a->change.set;
	int e = 0;

	if (set & MANAGE_NAME)
		e = manage_text(&a->m, "name", str_of(to->name), sizeof r->name, r->name);
	if (e == 0 && (set & MANAGE_WHY))
		e = manage_text(&a->m, "reason", str_of(to->why), sizeof r->why, r->why);
	if (e == 0)
		e = account_set_quota(a, MANAGE_QUOTA_TUNNELS, "quota.tunnels", to->quota.tunnels,
				      &r->quota.tunnels);
	if (e == 0)
		e = account_set_quota(a, MANAGE_QUOTA_SESSIONS, "quota.sessions",
				      to->quota.sessions, &r->quota.sessions);
	if (e == 0)
		e = account_set_quota(a, MANAGE_QUOTA_CREDENTIALS, "quota.credentials",
				      to->quota.credentials, &r->quota.credentials);
	if (e == 0 && (set & MANAGE_PORTS))
		e = account_set_ports(a);
	if (set & MANAGE_ADMIN)
		r->admin = to->admin;
	if (set & MANAGE_ENABLED)
		r->enabled = to->enabled;
	if (r->enabled)
		r->why[0] = '\0';
	return e;
}

/* There is always an administrator left: nobody ends his own power. */
static int account_keeps_admin(struct account_call *a)
{
	if (!a->record.admin || strcmp(a->record.id, a->m.who.account) != 0)
		return 0;
	return manage_refuse(&a->m, ERR_DENIED, NULL,
			     "an administrator's account can only be switched off, demoted or "
			     "deleted by another administrator");
}

static int account_run_change(struct txn *t, void *arg)
{
	struct account_call *a = arg;
	struct access_ask ask = {.act = ACCESS_ADMIN};
	const struct store_record *rec;
	int e;

	if ((e = account_call_get(a, t, ACCESS_ACCOUNT_CHANGE, &rec)) != 0)
		return e;
	if ((a->change.set & ~(unsigned)MANAGE_NAME) != 0 && (e = manage_access(&a->m, &ask)) != 0)
		return e;
	if (a->record.deleting)
		return manage_refuse(&a->m, ERR_NOTFOUND, NULL, "this account is being deleted");
	if ((a->change.set & MANAGE_ADMIN) && a->change.to.admin &&
	    (e = manage_lasts(&a->m, "admin", 0)) != 0)
		return e;
	if ((((a->change.set & MANAGE_ADMIN) && !a->change.to.admin) ||
	     ((a->change.set & MANAGE_ENABLED) && !a->change.to.enabled)) &&
	    (e = account_keeps_admin(a)) != 0)
		return e;
	if ((e = manage_expect(&a->m, a->change.expected, rec->version)) != 0 ||
	    (e = account_apply(a)) != 0)
		return e;
	return account_put(t, rec->value, &a->record);
}

static void account_on_changed(struct manage *m, int e)
{
	struct account_call *a = (struct account_call *)m;
	unsigned set = a->change.set;

	if (e == 0) {
		account_answer(a, txn_version(a->t, RECORD_ACCOUNT, str_of(a->record.id)));
		log_info(m->core->opt.log, "event=%s account=%s by=%s",
			 !(set & MANAGE_ENABLED) ? "account-changed"
			 : a->record.enabled	 ? "account-on"
						 : "account-off",
			 a->record.id, account_asker(m));
	}
	manage_end(m, e);
}

struct manage *manage_account_change(struct core *c, const struct manage_asker *by,
				     struct str account, const struct manage_account_change *ch)
{
	struct account_call *a = account_call_new(c, by, account);

	if (a == NULL)
		return NULL;
	a->m.next = account_on_changed;
	a->change = *ch;
	return manage_begin(&a->m, account_run_change);
}

/* ---- deleting ---- */

/* First nobody may use it any more; then what it owns can go in peace, in several transactions. */
static int account_run_end(struct txn *t, void *arg)
{
	struct account_call *a = arg;
	const struct store_record *rec;
	int e = account_call_get(a, t, ACCESS_ACCOUNT_CHANGE, &rec);

	if (e != 0 || a->record.deleting) /* somebody was at it, and did not come to the end */
		return e;
	if ((e = account_keeps_admin(a)) != 0 ||
	    (e = manage_expect(&a->m, a->expected, rec->version)) != 0)
		return e;
	a->record.enabled = false;
	a->record.deleting = true;
	return account_put(t, rec->value, &a->record);
}

static bool account_is_kind(struct str kind)
{
	for (size_t i = 0; i < kind.len; i++)
		if (kind.p[i] < 'a' || kind.p[i] > 'z')
			return false;
	return kind.len > 0 && kind.len <= STORE_KIND_MAX;
}

/* owned: what follows "<account>/" in the key of an owned record: "<kind>/<key>". */
static int account_drop_owned(struct txn *t, const struct store_record *rec, struct str owned)
{
	const struct store_record *now;
	size_t slash = str_find(owned, '/');
	struct str kind = {owned.p, slash};
	int e = txn_get(t, RECORD_OWNED, rec->key, &now);

	if (e != 0) /* it has gone meanwhile, or to somebody else */
		return e == ERR_NOTFOUND ? 0 : e;
	if (slash + 1 < owned.len && account_is_kind(kind))
		e = txn_drop(t, kind, (struct str){owned.p + slash + 1, owned.len - slash - 1});
	return e != 0 ? e : txn_drop(t, RECORD_OWNED, rec->key);
}

static int account_run_drop(struct txn *t, void *arg)
{
	struct account_call *a = arg;
	char prefix[CORE_ID_TEXT + 1];
	size_t len = str_printf(prefix, sizeof prefix, "%s/", a->record.id);
	struct store_page page = {.kind = RECORD_OWNED, .after = {prefix, len}, .limit = DROP_PAGE};
	const struct store_record *rec;
	struct record_account r;
	struct txn_page found;
	size_t n = 0;
	int e = txn_list(t, &page, &found);

	if (e != 0)
		return e;
	for (; n < found.n && str_starts(found.recs[n].key, page.after); n++) {
		struct str key = found.recs[n].key;

		e = account_drop_owned(t, &found.recs[n], (struct str){key.p + len, key.len - len});
		if (e != 0)
			return e;
	}
	a->finished = n == 0;
	if (!a->finished)
		return 0;
	e = account_get(t, str_of(a->record.id), &r, &rec);
	if (e == ERR_NOTFOUND)
		return 0;
	return e != 0 ? e : txn_drop(t, RECORD_ACCOUNT, rec->key);
}

static void account_on_dropped(struct manage *m, int e)
{
	struct account_call *a = (struct account_call *)m;

	if (e == 0 && !a->finished) {
		manage_go(m, account_run_drop);
		return;
	}
	if (e == 0)
		log_info(m->core->opt.log, "event=account-deleted account=%s by=%s", a->record.id,
			 account_asker(m));
	manage_end(m, e);
}

struct manage *manage_account_drop(struct core *c, const struct manage_asker *by,
				   struct str account, uint64_t expected)
{
	struct account_call *a = account_call_new(c, by, account);

	if (a == NULL)
		return NULL;
	a->expected = expected;
	a->m.next = account_on_dropped;
	a->m.to_the_end = true; /* else names stay taken by an account that nobody can use */
	return manage_begin(&a->m, account_run_end);
}

/* ---- a new number ---- */

static int account_run_renumber(struct txn *t, void *arg)
{
	struct account_call *a = arg;
	struct record_credential was, r = {.type = CREDENTIAL_NUMBER, .name = "number"};
	const struct store_record *rec, *old;
	char letters[ACCOUNT_LETTERS + 1];
	int e, found;

	if ((e = account_call_get(a, t, ACCESS_ACCOUNT_CHANGE, &rec)) != 0)
		return e;
	if (a->record.deleting)
		return manage_refuse(&a->m, ERR_NOTFOUND, NULL, "this account is being deleted");
	if ((e = manage_lasts(&a->m, NULL, 0)) != 0)
		return e;
	found = credential_get(t, a->record.id, ACCOUNT_NUMBER_ID, &was, &old);
	if (found != 0 && found != ERR_NOTFOUND)
		return found;
	r.created_ms = ev_wall_ms(a->m.core->ev);
	memcpy(r.account, a->record.id, sizeof r.account);
	str_printf(r.id, sizeof r.id, "%s", ACCOUNT_NUMBER_ID);
	if ((e = account_read_number(str_of(a->new.number), letters)) == 0)
		e = credential_secret_proof(t, r.type, str_of(letters), r.proof);
	explicit_bzero(letters, sizeof letters);
	if (e != 0)
		return e;
	e = found == 0 ? credential_renew_proof(t, old->value, &was, &r)
		       : credential_put(t, STR(""), &r);
	/* written as it is: of an account that goes meanwhile no number stays */
	return e != 0 ? e : account_put(t, rec->value, &a->record);
}

static void account_on_renumbered(struct manage *m, int e)
{
	struct account_call *a = (struct account_call *)m;

	if (e == 0) {
		account_answer(a, txn_version(a->t, RECORD_ACCOUNT, str_of(a->record.id)));
		memcpy(m->answer.number, a->new.number, sizeof m->answer.number);
		log_info(m->core->opt.log, "event=renumbered account=%s by=%s", a->record.id,
			 account_asker(m));
	}
	manage_end(m, e);
}

struct manage *manage_account_renumber(struct core *c, const struct manage_asker *by,
				       struct str account)
{
	struct account_call *a = account_call_new(c, by, account);

	if (a == NULL)
		return NULL;
	account_make_number(c->ev, a->new.number);
	a->m.next = account_on_renumbered;
	return manage_begin(&a->m, account_run_renumber);
}
