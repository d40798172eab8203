/*
 * Invitations: codes of which an administrator hands out one, and somebody makes an account by it.
 *
 * A code looks like an account's number and is kept like one: only its fingerprint. The first
 * characters of the fingerprint are the invitation's id.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage_internal.h"
#include "proto/json.h"

/* Characters of an id. */
#define ID_LEN 12

/* ---- records ---- */

/* The key of the invitation that a code stands for; any bytes. */
static int invite_key(struct txn *t, struct str code, char out[DIGEST_HEX_TEXT])
{
	char letters[ACCOUNT_LETTERS + 1];
	const uint8_t *key;
	int e;

	if (account_read_number(code, letters) == 0)
		code = str_of(letters);
	e = txn_secret(t, &key);
	return e != 0 ? e : digest_keyed(key, code, out);
}

static int invite_put(struct txn *t, struct str old, const char *key, const struct record_invite *r)
{
	struct store_record rec = {.kind = RECORD_INVITE,
				   .key = str_of(key),
				   .expires_ms = r->until_ms};
	struct buf value = {0};
	int e;

	if ((e = record_write_invite(old, r, &value)) == 0) {
		rec.value = buf_str(&value);
		e = txn_put_until(t, &rec);
	}
	buf_free(&value);
	return e;
}

static bool invite_is_good(const struct record_invite *r, int64_t now_ms)
{
	return r->uses > 0 && (r->until_ms == 0 || now_ms < r->until_ms);
}

int manage_invite_use(struct manage *m, struct txn *t, struct str code)
{
	const struct store_record *rec;
	char key[DIGEST_HEX_TEXT];
	struct record_invite r;
	int e;

	if ((e = invite_key(t, code, key)) != 0)
		return e;
	if ((e = txn_get(t, RECORD_INVITE, str_of(key), &rec)) == 0)
		e = record_read_invite(rec->value, &r);
	if (e == ERR_NOTFOUND || (e == 0 && !invite_is_good(&r, ev_wall_ms(m->core->ev))))
		return manage_refuse(m, ERR_DENIED, "invitation",
				     "this invitation is not good, or not any more; ask whoever "
				     "gave it for another one");
	if (e != 0)
		return e;
	if (--r.uses == 0)
		return txn_drop(t, rec->kind, rec->key);
	return invite_put(t, rec->value, key, &r);
}

/* ---- making ---- */

struct invite_call {
	struct manage m; /* first: the two are the same pointer */
	struct txn *t;	 /* borrowed: the last one that was run, alive in next() */
	char *name;	 /* owned */
	char id[CORE_ID_TEXT];
	char code[CORE_NUMBER_TEXT];
	char key[DIGEST_HEX_TEXT];
	struct record_invite record;
};

static void invite_clean(struct manage *m)
{
	struct invite_call *c = (struct invite_call *)m;

	free(c->name);
	explicit_bzero(c->code, sizeof c->code);
}

static int invite_admin(struct manage *m)
{
	struct access_ask ask = {.act = ACCESS_ADMIN};

	return manage_access(m, &ask);
}

static int invite_run_make(struct txn *t, void *arg)
{
	struct invite_call *c = arg;
	struct record_invite *r = &c->record;
	int e;

	c->t = t;
	if ((e = invite_admin(&c->m)) != 0 ||
	    (e = manage_text(&c->m, "name", str_of(c->name), sizeof r->name, r->name)) != 0)
		return e;
	if (r->uses == 0 || r->uses > JSON_NUMBER_MAX)
		return manage_refuse(&c->m, ERR_INVAL, "uses",
				     "an invitation must be good for one account at least");
	if (r->until_ms < 0 || (r->until_ms != 0 && r->until_ms <= ev_wall_ms(c->m.core->ev)))
		return manage_refuse(&c->m, ERR_INVAL, "expires_at",
				     "an invitation must be good until a moment that is to come");
	if ((e = invite_key(t, str_of(c->code), c->key)) != 0)
		return e;
	str_printf(r->id, sizeof r->id, "%.*s", ID_LEN, c->key);
	return invite_put(t, STR(""), c->key, r);
}

static void invite_on_made(struct manage *m, int e)
{
	struct invite_call *c = (struct invite_call *)m;

	if (e == 0) {
		m->answer.invites = &c->record;
		m->answer.n = 1;
		m->answer.created = true;
		m->answer.version = txn_version(c->t, RECORD_INVITE, str_of(c->key));
		str_printf(m->answer.token, sizeof m->answer.token, "%s", c->code);
		log_info(m->core->opt.log, "event=invite-made invite=%s uses=%llu by=%s",
			 c->record.id, (unsigned long long)c->record.uses, m->who.account);
	}
	manage_end(m, e);
}

struct manage *manage_invite_make(struct core *core, const struct manage_asker *by,
				  const struct manage_new_invite *n)
{
	struct invite_call *c = manage_new(core, by, sizeof *c);

	if (c == NULL)
		return NULL;
	c->m.clean = invite_clean;
	c->m.next = invite_on_made;
	account_make_number(core->ev, c->code);
	c->record.uses = n->uses;
	c->record.until_ms = n->until_ms;
	c->record.created_ms = ev_wall_ms(core->ev);
	if ((c->name = str_dup(n->name)) == NULL) {
		manage_cancel(&c->m);
		return NULL;
	}
	return manage_begin(&c->m, invite_run_make);
}

/* ---- lists ---- */

struct invite_list {
	struct manage m; /* first: the two are the same pointer */
	size_t limit;
	char after[DIGEST_HEX_TEXT], last[DIGEST_HEX_TEXT];
	struct record_invite *found; /* owned */
};

static void invite_list_clean(struct manage *m)
{
	free(((struct invite_list *)m)->found);
}

static int invite_run_list(struct txn *t, void *arg)
{
	struct invite_list *l = arg;
	struct store_page page = {.kind = RECORD_INVITE,
				  .after = str_of(l->after),
				  .limit = l->limit};
	struct txn_page found;
	size_t n = 0;
	int e;

	if ((e = invite_admin(&l->m)) != 0 || (e = txn_list(t, &page, &found)) != 0)
		return e;
	free(l->found);
	if ((l->found = calloc(found.n + 1, sizeof *l->found)) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < found.n; i++) {
		(void)!str_copy(l->last, sizeof l->last, found.recs[i].key);
		n += record_read_invite(found.recs[i].value, &l->found[n]) == 0;
	}
	l->m.answer.invites = l->found;
	l->m.answer.n = n;
	l->m.answer.more = found.more && found.n > 0;
	l->m.answer.after = l->last;
	return 0;
}

struct manage *manage_invite_list(struct core *core, const struct manage_asker *by,
				  const struct manage_page *page)
{
	struct invite_list *l = manage_new(core, by, sizeof *l);

	if (l == NULL)
		return NULL;
	l->m.clean = invite_list_clean;
	l->limit = manage_limit(page);
	(void)!str_copy(l->after, sizeof l->after, page->after);
	return manage_begin(&l->m, invite_run_list);
}

/* ---- taking back ---- */

static int invite_run_drop(struct txn *t, void *arg)
{
	struct invite_call *c = arg;
	/* the id is how its key begins */
	struct store_page page = {.kind = RECORD_INVITE, .after = str_of(c->id), .limit = 1};
	const struct store_record *rec;
	struct txn_page found;
	int e;

	if ((e = invite_admin(&c->m)) != 0 || (e = txn_list(t, &page, &found)) != 0)
		return e;
	if (strlen(c->id) != ID_LEN || found.n == 0 ||
	    !str_starts(found.recs[0].key, str_of(c->id)))
		e = ERR_NOTFOUND;
	else
		e = txn_get(t, RECORD_INVITE, found.recs[0].key, &rec);
	if (e == ERR_NOTFOUND)
		return manage_refuse(&c->m, e, NULL, "there is no such invitation");
	return e != 0 ? e : txn_drop(t, RECORD_INVITE, rec->key);
}

static void invite_on_dropped(struct manage *m, int e)
{
	if (e == 0)
		log_info(m->core->opt.log, "event=invite-dropped invite=%s by=%s",
			 ((struct invite_call *)m)->id, m->who.account);
	manage_end(m, e);
}

struct manage *manage_invite_drop(struct core *core, const struct manage_asker *by, struct str id)
{
	struct invite_call *c = manage_new(core, by, sizeof *c);

	if (c == NULL)
		return NULL;
	c->m.clean = invite_clean;
	c->m.next = invite_on_dropped;
	(void)!str_copy(c->id, sizeof c->id, id);
	return manage_begin(&c->m, invite_run_drop);
}
