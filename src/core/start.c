/*
 * What happens to the records before anybody works with them: those of an earlier version become
 * ours, and a store without an administrator gets one.
 *
 * Schema 1 knew an account by its number alone: "account" had the number as its key, "token" the
 * fingerprint of a token, and tokens, claims and tunnels named the number in "account". Each
 * account gets an id, and the proof of its number leads from one to the other; so each page of
 * records is changed in one transaction, none needs another one's memory, and a start that was cut
 * short goes on where it was.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage_internal.h"
#include "core/place.h"
#include "core/record_internal.h"

/* Records of one transaction: each reads up to two more (TXN_READS_MAX). */
#define START_PAGE 24

/* Of schema 1. */
#define RECORD_TOKEN   STR("token")
#define OLD_NUMBER_LEN 19

_Static_assert(START_PAGE * 2 + 4 <= TXN_READS_MAX, "a page's reads");
_Static_assert(START_PAGE * 8 <= TXN_WRITES_MAX, "a page's writes");

struct start;

/* What is done one after the other. */
struct start_step {
	int (*run)(struct txn *t, void *arg);
	struct str kind; /* whose pages are walked; empty: once */
};

struct start {
	struct core *core;
	void (*done)(void *arg, const struct core_started *result);
	void *arg;
	unsigned step;
	bool more;	/* this page is not the last one of the kind */
	bool old;	/* records of schema 1 are there */
	bool made;	/* the administrator */
	bool kept;	/* his token */
	uint64_t found; /* a schema that we do not know */
	size_t n_changed, n_left;
	char after[STORE_KEY_MAX + 1]; /* the page before ended here */
	size_t after_len;
	char last[STORE_KEY_MAX]; /* this one ends here */
	size_t last_len;
	/* Made before the transaction: for each record of a page. */
	char ids[START_PAGE][CORE_ID_TEXT];
	struct account_new admin;
};

/* ---- what schema 1 called an account ---- */

static bool start_is_number(struct str s)
{
	char letters[ACCOUNT_LETTERS + 1];

	return s.len == OLD_NUMBER_LEN && s.p[4] == '-' && account_read_number(s, letters) == 0;
}

/* The proof that leads from a number to its account. */
static int start_number_proof(struct txn *t, struct str number, char out[RECORD_PROOF_TEXT])
{
	char letters[ACCOUNT_LETTERS + 1];

	if (account_read_number(number, letters) != 0)
		return ERR_IO;
	return credential_secret_proof(t, CREDENTIAL_NUMBER, str_of(letters), out);
}

/* Which account has it now? Returns as txn_get(). */
static int start_find(struct txn *t, struct str number, char id[CORE_ID_TEXT])
{
	const struct store_record *rec;
	char key[RECORD_PROOF_TEXT];
	struct record_proof proof;
	int e;

	if ((e = start_number_proof(t, number, key)) != 0 ||
	    (e = txn_get(t, RECORD_PROOF, str_of(key), &rec)) != 0 ||
	    (e = record_read_proof(rec->value, &proof)) != 0)
		return e;
	memcpy(id, proof.account, CORE_ID_TEXT);
	return 0;
}

/* The number in a record's "account". Returns ERR_NOTFOUND when it is none. */
static int start_owner(struct str value, struct json **out, struct str *number)
{
	struct json *j = NULL;
	int e;

	if ((e = record_open(value, &j)) != 0)
		return e == ERR_NOMEM ? e : ERR_NOTFOUND; /* damaged: it stays as it is */
	if (json_get_text(j, "account", number) != 0 || !start_is_number(*number)) {
		json_free(j);
		return ERR_NOTFOUND;
	}
	*out = j;
	return 0;
}

/* ---- pages ---- */

static int start_page(struct start *s, struct txn *t, struct str kind, struct txn_page *out)
{
	struct store_page page = {.kind = kind,
				  .after = {s->after, s->after_len},
				  .limit = START_PAGE};
	int e;

	*out = (struct txn_page){0};
	e = txn_list(t, &page, out);
	s->n_changed = s->n_left = 0;
	if (e != 0)
		return e;
	s->more = out->more && out->n > 0;
	if (out->n > 0) {
		s->last_len = out->recs[out->n - 1].key.len;
		memcpy(s->last, out->recs[out->n - 1].key.p, s->last_len);
	}
	return 0;
}

/* ---- accounts ---- */

static int start_account(struct txn *t, const struct store_record *old, const char *id,
			 int64_t now_ms)
{
	struct record_credential number = {.type = CREDENTIAL_NUMBER, .name = "number"};
	struct record_account r;
	struct buf value = {0};
	int e;

	/* the key is no id, so the record is read under its new one */
	if (record_read_account(str_of(id), old->value, &r) != 0)
		memset(&r, 0, sizeof r); /* damaged: switched off, but there */
	str_printf(r.id, sizeof r.id, "%s", id);
	memcpy(number.account, r.id, sizeof number.account);
	str_printf(number.id, sizeof number.id, "%s", ACCOUNT_NUMBER_ID);
	number.created_ms = r.created_ms != 0 ? r.created_ms : now_ms;
	if ((e = record_write_account(old->value, &r, &value)) == ERR_IO)
		e = record_write_account(STR(""), &r, &value);
	if (e == 0)
		e = txn_put(t, RECORD_ACCOUNT, str_of(id), buf_str(&value));
	if (e == 0)
		e = start_number_proof(t, old->key, number.proof);
	if (e == 0)
		e = credential_put(t, STR(""), &number);
	if (e == 0)
		e = txn_drop(t, RECORD_ACCOUNT, old->key);
	buf_free(&value);
	return e;
}

static int start_accounts(struct txn *t, void *arg)
{
	struct start *s = arg;
	struct txn_page page;
	int e = start_page(s, t, RECORD_ACCOUNT, &page);

	for (size_t i = 0; i < page.n && e == 0; i++) {
		if (!start_is_number(page.recs[i].key))
			continue;
		s->n_changed++;
		e = start_account(t, &page.recs[i], s->ids[i], ev_wall_ms(s->core->ev));
	}
	return e;
}

/* ---- tokens ---- */

/* The account of a token has one credential more; `before` of this page are written already. */
static int start_count(struct txn *t, const char *id, size_t before)
{
	const struct store_record *rec;
	struct record_account r;
	int e;

	if ((e = account_get(t, str_of(id), &r, &rec)) != 0)
		return e;
	r.n_credentials += before + 1;
	return account_put(t, rec->value, &r);
}

static int start_token(struct txn *t, const struct store_record *old, const char *id,
		       const char *credential)
{
	struct record_credential r = {.type = CREDENTIAL_TOKEN, .name = "token"};
	struct json *j = NULL;
	int e;

	if ((e = record_open(old->value, &j)) != 0)
		return e;
	(void)!record_time(j, "created_ms", &r.created_ms);
	json_free(j);
	str_printf(r.account, sizeof r.account, "%s", id);
	str_printf(r.id, sizeof r.id, "%.8s", credential);
	str_printf(r.proof, sizeof r.proof, "token:" STR_FMT, STR_ARG(old->key));
	if ((e = credential_put(t, STR(""), &r)) != 0)
		return e;
	return txn_drop(t, RECORD_TOKEN, old->key);
}

static int start_tokens(struct txn *t, void *arg)
{
	struct start *s = arg;
	char owners[START_PAGE][CORE_ID_TEXT] = {""};
	struct txn_page page;
	int e = start_page(s, t, RECORD_TOKEN, &page);

	for (size_t i = 0; i < page.n && e == 0; i++) {
		struct json *j = NULL;
		struct str number;
		size_t before = 0;

		if ((e = start_owner(page.recs[i].value, &j, &number)) == 0)
			e = start_find(t, number, owners[i]);
		json_free(j);
		for (size_t k = 0; k < i; k++)
			before += strcmp(owners[k], owners[i]) == 0;
		if (e == 0)
			e = start_count(t, owners[i], before);
		if (e == 0)
			e = start_token(t, &page.recs[i], owners[i], s->ids[i]);
		if (e == 0)
			s->n_changed++;
		if (e == ERR_NOTFOUND) { /* nobody's */
			owners[i][0] = '\0';
			s->n_left++;
			e = 0;
		}
	}
	return e;
}

/* ---- claims and tunnels ---- */

static int start_owned(struct txn *t, const struct store_record *listed)
{
	const struct store_record *rec;
	char id[CORE_ID_TEXT];
	struct json *j = NULL;
	struct buf value = {0};
	struct str number;
	int e;

	if ((e = txn_get(t, listed->kind, listed->key, &rec)) != 0 ||
	    (e = start_owner(rec->value, &j, &number)) != 0)
		return e;
	if ((e = start_find(t, number, id)) == 0 &&
	    (e = json_set_text(j, "account", str_of(id))) == 0 &&
	    (e = json_write(j, RECORD_MAX, &value)) == 0 &&
	    (e = txn_put(t, rec->kind, rec->key, buf_str(&value))) == 0)
		e = owned_put(t, id, rec->kind, rec->key);
	json_free(j);
	buf_free(&value);
	return e;
}

static int start_page_owned(struct start *s, struct txn *t, struct str kind)
{
	struct txn_page page;
	int e = start_page(s, t, kind, &page);

	for (size_t i = 0; i < page.n && e == 0; i++) {
		if ((e = start_owned(t, &page.recs[i])) == 0) {
			s->n_changed++;
		} else if (e == ERR_NOTFOUND) { /* ours already, or nobody's */
			s->n_left++;
			e = 0;
		}
	}
	return e;
}

static int start_claims(struct txn *t, void *arg)
{
	return start_page_owned(arg, t, RECORD_CLAIM);
}

static int start_tunnels(struct txn *t, void *arg)
{
	return start_page_owned(arg, t, RECORD_TUNNEL);
}

/* ---- the schema and the first administrator ---- */

static int start_read_schema(struct txn *t, uint64_t *out)
{
	const struct store_record *rec;
	struct json *j = NULL;
	int e;

	*out = 0;
	if ((e = txn_get(t, RECORD_META, STR("schema"), &rec)) != 0)
		return e;
	if ((e = record_open(rec->value, &j)) == 0)
		e = record_err(record_number(j, "version", out));
	json_free(j);
	return e;
}

static int start_look(struct txn *t, void *arg)
{
	struct start *s = arg;
	int e = start_read_schema(t, &s->found);

	s->old = e == ERR_NOTFOUND || (e == 0 && s->found < RECORD_SCHEMA);
	if (e == 0 && s->found > RECORD_SCHEMA)
		return ERR_UNSUPPORTED;
	return e == ERR_NOTFOUND ? 0 : e;
}

static int start_put_number(struct txn *t, struct str key, const char *member, uint64_t number,
			    const char *account)
{
	struct json *j = NULL;
	struct buf value = {0};
	int e;

	if ((e = json_new_object(&j)) == 0)
		e = account != NULL ? json_set_text(j, member, str_of(account))
				    : json_set_number(j, member, number);
	if (e == 0 && (e = json_write(j, RECORD_MAX, &value)) == 0)
		e = txn_put(t, RECORD_META, key, buf_str(&value));
	json_free(j);
	buf_free(&value);
	return e;
}

static int start_write_schema(struct txn *t, void *arg)
{
	struct start *s = arg;
	int e = start_read_schema(t, &s->found);

	if (e == 0 && s->found > RECORD_SCHEMA)
		return ERR_UNSUPPORTED; /* a newer node was at it meanwhile */
	if (e == 0 && s->found == RECORD_SCHEMA)
		return 0;
	if (e != 0 && e != ERR_NOTFOUND)
		return e;
	return start_put_number(t, STR("schema"), "version", RECORD_SCHEMA, NULL);
}

/* Once, and before anything is written: a token that counts must not be lost. */
static int start_keep(struct start *s)
{
	const struct core_opt *opt = &s->core->opt;
	int e = 0;

	if (!s->kept && opt->keep_token != NULL)
		e = opt->keep_token(opt->keep_token_arg, s->admin.token);
	s->kept = e == 0;
	return e;
}

static int start_make_admin(struct txn *t, void *arg)
{
	struct start *s = arg;
	const struct store_record *rec;
	int e = txn_get(t, RECORD_META, STR("admin"), &rec);

	s->made = e == ERR_NOTFOUND;
	if (!s->made || (e = start_keep(s)) != 0)
		return e;
	if ((e = account_new_write(t, &s->admin, NULL)) != 0)
		return e;
	return start_put_number(t, STR("admin"), "account", 0, s->admin.record.id);
}

/* ---- one after the other ---- */

static const struct start_step *start_steps(unsigned i)
{
	static const struct start_step steps[] = {
		{start_look, {NULL, 0}},	{start_accounts, {"account", 7}},
		{start_tokens, {"token", 5}},	{start_claims, {"claim", 5}},
		{start_tunnels, {"tunnel", 6}}, {start_write_schema, {NULL, 0}},
		{start_make_admin, {NULL, 0}},
	};

	return i < ARRAY_LEN(steps) ? &steps[i] : NULL;
}

static void start_end(struct start *s, int e)
{
	struct core_started result = {.e = e, .reason = ""};
	struct start was = *s;
	char reason[CORE_REASON_TEXT];

	if (e == ERR_UNSUPPORTED) {
		str_printf(reason, sizeof reason,
			   "the store's records are of schema %llu, which a newer karezd has "
			   "written; this one knows schema %d: use the newer karezd",
			   (unsigned long long)s->found, RECORD_SCHEMA);
		result.reason = reason;
	} else if (e != 0) {
		core_store_reason(e, reason);
		result.reason = reason;
	} else if (s->kept && !s->made && s->core->opt.keep_token != NULL) {
		(void)!s->core->opt.keep_token(s->core->opt.keep_token_arg, NULL);
	} else if (s->made) {
		memcpy(result.token, s->admin.token, sizeof result.token);
		log_info(s->core->opt.log, "event=account-made account=%s admin=yes",
			 s->admin.record.id);
	}
	explicit_bzero(s, sizeof *s);
	free(s);
	was.done(was.arg, &result);
	explicit_bzero(&was, sizeof was);
	explicit_bzero(&result, sizeof result);
}

static void start_on_done(void *arg, int e);

static int start_go(struct start *s)
{
	struct txn_opt opt = {.core = s->core,
			      .kind = CORE_MANAGE,
			      .run = start_steps(s->step)->run,
			      .done = start_on_done,
			      .arg = s};
	struct txn *t;

	for (unsigned i = 0; i < START_PAGE; i++)
		account_make_id(s->core->ev, s->ids[i]);
	return txn_start(&opt, &t);
}

static void start_log(const struct start *s)
{
	struct str kind = start_steps(s->step)->kind;

	if (kind.len > 0 && s->n_changed > 0)
		log_info(s->core->opt.log, "event=migrated kind=" STR_FMT " records=%zu",
			 STR_ARG(kind), s->n_changed);
}

/* Which page or step is next? False: that was all. */
static bool start_advance(struct start *s)
{
	if (start_steps(s->step)->kind.len > 0 && s->more) {
		memcpy(s->after, s->last, s->last_len);
		s->after_len = s->last_len;
		return true;
	}
	s->after_len = 0;
	s->step++;
	while (start_steps(s->step) != NULL && start_steps(s->step)->kind.len > 0 && !s->old)
		s->step++;
	return start_steps(s->step) != NULL;
}

/* The node is ready when all ports and names are known. */
static void start_on_places(void *arg, int e)
{
	start_end(arg, e);
}

/* Their ports must not be taken again. */
static void start_on_temporary(void *arg, int e)
{
	struct start *s = arg;

	if (e != 0)
		start_end(s, e);
	else
		place_start(s->core, start_on_places, s);
}

/* Where there are other nodes we do not know yet what they serve. */
static void start_clean(struct start *s)
{
	int e;

	if (s->core->opt.cluster.serves != NULL) {
		temporary_look(s->core);
		start_on_temporary(s, 0);
	} else if ((e = temporary_start(s->core, start_on_temporary, s)) != 0) {
		start_end(s, e);
	}
}

static void start_on_done(void *arg, int e)
{
	struct start *s = arg;

	if (e == 0) {
		start_log(s);
		if (!start_advance(s)) {
			start_clean(s);
			return;
		}
		if ((e = start_go(s)) == 0)
			return;
	}
	start_end(s, e);
}

int core_start(struct core *c, void (*done)(void *arg, const struct core_started *result),
	       void *arg)
{
	struct start *s = calloc(1, sizeof *s);

	if (s == NULL)
		return ERR_NOMEM;
	s->core = c;
	s->done = done;
	s->arg = arg;
	account_new_make(c, &s->admin);
	s->admin.number[0] = '\0'; /* nobody would be told */
	s->admin.record.admin = true;
	str_printf(s->admin.record.name, sizeof s->admin.record.name, "administrator");
	if (start_go(s) == 0)
		return 0;
	explicit_bzero(s, sizeof *s);
	free(s);
	return ERR_NOMEM;
}
