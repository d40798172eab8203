/*
 * Records change under our feet, and each read takes a turn of the loop: so whoever changes records
 * writes plain code and is run again, until all it needs is here and nobody came between.
 */
#include "core/txn.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* Bytes that belong to the transaction and go with it, or with its next try. */
struct txn_block {
	struct txn_block *next;
	char bytes[];
};

struct txn_kept_page {
	struct store_page page;
	struct store_record *recs; /* [n] */
	size_t n;
	bool more;
};

struct txn {
	struct core_call call; /* first: the two are the same pointer */
	struct txn_opt opt;
	unsigned tries;
	bool ended;
	struct txn_block *blocks;		   /* owned: what the arrays below point to */
	struct store_record *reads[TXN_READS_MAX]; /* version 0: it is not there */
	size_t n_reads;
	struct store_record *asked; /* the store is asked for */
	struct txn_kept_page pages[TXN_PAGES_MAX];
	size_t n_pages;
	struct store_write *writes; /* owned; [n_writes], room for writes_cap */
	size_t n_writes, writes_cap;
	enum { TXN_NO_LINE, TXN_WAITS, TXN_FIRST } place;
	char line[CORE_ID_TEXT]; /* whose line it stands in */
};

/* ---- memory ---- */

static void *txn_keep(struct txn *t, const void *bytes, size_t len)
{
	struct txn_block *b = malloc(sizeof *b + len + 1);

	if (b == NULL)
		return NULL;
	if (len > 0)
		memcpy(b->bytes, bytes, len);
	b->bytes[len] = '\0';
	b->next = t->blocks;
	t->blocks = b;
	return b->bytes;
}

/* Returns 0 or ERR_NOMEM. */
static int txn_keep_str(struct txn *t, struct str *s)
{
	const char *p = txn_keep(t, s->p, s->len);

	if (p == NULL)
		return ERR_NOMEM;
	s->p = p;
	return 0;
}

static int txn_keep_record(struct txn *t, struct store_record *r)
{
	if (txn_keep_str(t, &r->kind) != 0 || txn_keep_str(t, &r->key) != 0 ||
	    txn_keep_str(t, &r->value) != 0)
		return ERR_NOMEM;
	return 0;
}

static void txn_forget(struct txn *t)
{
	struct txn_block *b;

	while ((b = t->blocks) != NULL) {
		t->blocks = b->next;
		free(b);
	}
	t->n_reads = t->n_pages = t->n_writes = 0;
}

static void txn_leave_line(struct txn *t);

static void txn_free(struct txn *t)
{
	txn_leave_line(t);
	txn_forget(t);
	free(t->writes);
	free(t);
}

/* ---- running ---- */

static void txn_run(void *arg);

static void txn_end(struct txn *t, int e)
{
	core_call_end(&t->call);
	txn_leave_line(t); /* before done(): it may wait for those behind us */
	t->ended = true;
	t->opt.done(t->opt.arg, e);
	txn_free(t);
}

static void txn_on_core_gone(struct core_call *call)
{
	txn_end((struct txn *)call, ERR_CLOSED);
}

/* What is written may change who serves what; that happens before anybody is told. */
static void txn_commit(struct txn *t, const struct store_answer *answer)
{
	for (size_t i = 0; i < t->n_writes; i++) {
		struct store_record *rec = &t->writes[i].rec;

		if (t->writes[i].op == STORE_DROP) {
			rec->value = STR("");
			rec->version = 0;
		} else {
			rec->version = answer->recs[i].version;
		}
	}
	for (size_t i = 0; i < t->n_writes; i++)
		core_on_record(t->opt.core, &t->writes[i].rec);
}

static void txn_on_written(struct core_call *call, const struct store_answer *answer)
{
	struct txn *t = (struct txn *)call;

	if (answer->e == 0) {
		txn_commit(t, answer);
		txn_end(t, 0);
	} else if (answer->e == ERR_CONFLICT && ++t->tries < CORE_TRIES_MAX) {
		txn_forget(t);
		txn_run(t);
	} else {
		txn_end(t, answer->e == ERR_CONFLICT ? ERR_LIMIT : core_store_err(answer->e));
	}
}

static void txn_run(void *arg)
{
	struct txn *t = arg;
	int e;

	t->n_writes = 0;
	e = t->opt.run(t, t->opt.arg);
	if (e == ERR_AGAIN) {
		/* it waits for a record or its turn, not for something else */
		CHECK(t->call.asked || t->place == TXN_WAITS);
		return;
	}
	if (e == 0 && t->n_writes > 0) {
		e = core_call_batch(&t->call, t->writes, t->n_writes, txn_on_written);
		if (e == 0)
			return;
	}
	txn_end(t, e);
}

int txn_start(const struct txn_opt *opt, struct txn **out)
{
	struct txn *t = calloc(1, sizeof *t);
	int e;

	if (t == NULL)
		return ERR_NOMEM;
	t->opt = *opt;
	t->call.closed = txn_on_core_gone;
	if ((e = core_call_begin(opt->core, &t->call, opt->kind, txn_run)) != 0) {
		free(t);
		return e;
	}
	*out = t;
	return 0;
}

void txn_cancel(struct txn *t)
{
	if (t == NULL || t->ended)
		return;
	core_call_end(&t->call);
	txn_free(t);
}

struct core *txn_core(const struct txn *t)
{
	return t->opt.core;
}

/* ---- standing in line ---- */

/* The first transaction that has this place in t's line; NULL: there is none. */
static struct txn *txn_in_line(const struct txn *t, int place)
{
	LIST_FOR_EACH (link, &t->opt.core->calls) {
		struct core_call *call = CONTAINER_OF(link, struct core_call, link);
		struct txn *other = (struct txn *)call;

		if (call->closed == txn_on_core_gone && other->place == place &&
		    strcmp(other->line, t->line) == 0)
			return other;
	}
	return NULL;
}

int txn_line(struct txn *t, const char *account)
{
	if (t->place == TXN_FIRST && strcmp(t->line, account) != 0)
		txn_leave_line(t); /* it is somebody else's since the last try */
	if (t->place == TXN_FIRST)
		return 0;
	str_printf(t->line, sizeof t->line, "%s", account);
	if (txn_in_line(t, TXN_FIRST) != NULL) {
		t->place = TXN_WAITS;
		return ERR_AGAIN;
	}
	t->place = TXN_FIRST;
	return 0;
}

/* It begins anew: what it has read may be what those before it have changed. */
static void txn_on_turn(void *arg)
{
	txn_forget(arg);
	txn_run(arg);
}

static void txn_leave_line(struct txn *t)
{
	bool first = t->place == TXN_FIRST;
	struct txn *next;

	t->place = TXN_NO_LINE;
	if (!first || (next = txn_in_line(t, TXN_WAITS)) == NULL)
		return;
	next->place = TXN_FIRST;
	next->call.task.fn = txn_on_turn;
	ev_task_run(next->opt.core->ev, &next->call.task);
}

/* ---- reading ---- */

static struct store_record *txn_find(const struct txn *t, struct str kind, struct str key)
{
	for (size_t i = 0; i < t->n_reads; i++)
		if (str_eq(t->reads[i]->key, key) && str_eq(t->reads[i]->kind, kind))
			return t->reads[i];
	return NULL;
}

/* Keep what is known of a record. Returns NULL when memory is gone. */
static struct store_record *txn_keep_known(struct txn *t, const struct store_record *rec)
{
	struct store_record *kept = txn_keep(t, rec, sizeof *rec);

	return kept == NULL || txn_keep_record(t, kept) != 0 ? NULL : kept;
}

static void txn_on_read(struct core_call *call, const struct store_answer *answer)
{
	struct txn *t = (struct txn *)call;
	struct store_record *known = t->asked;
	int e = answer->e == ERR_NOTFOUND ? 0 : core_store_err(answer->e);

	if (answer->e == 0 && (known = txn_keep_known(t, &answer->recs[0])) == NULL)
		e = ERR_NOMEM;
	if (e != 0) {
		txn_end(t, e);
		return;
	}
	t->reads[t->n_reads++] = known;
	txn_run(t);
}

int txn_get(struct txn *t, struct str kind, struct str key, const struct store_record **out)
{
	struct store_record *known = txn_find(t, kind, key);
	struct store_record rec = {.kind = kind, .key = key};
	bool ask;
	int e;

	CHECK(!t->call.asked); /* run goes on after ERR_AGAIN */
	if (known == NULL) {
		if (t->n_reads == TXN_READS_MAX)
			return ERR_LIMIT;
		/* what is known here may be old: after a conflict only the store counts */
		ask = t->tries > 0 || !store_peek(t->opt.core->opt.store, kind, key, &rec);
		if ((known = txn_keep_known(t, &rec)) == NULL)
			return ERR_NOMEM;
		if (ask) {
			t->asked = known;
			e = core_call_get(&t->call, known->kind, known->key, txn_on_read);
			return e != 0 ? e : ERR_AGAIN;
		}
		t->reads[t->n_reads++] = known;
	}
	if (known->version == 0)
		return ERR_NOTFOUND;
	*out = known;
	return 0;
}

static int txn_keep_page(struct txn *t, const struct store_answer *answer)
{
	struct txn_kept_page *l = &t->pages[t->n_pages];
	int e = 0;

	l->recs = txn_keep(t, answer->recs, answer->n * sizeof *l->recs);
	if (l->recs == NULL)
		return ERR_NOMEM;
	l->n = answer->n;
	l->more = answer->more;
	for (size_t i = 0; i < l->n && e == 0; i++)
		e = txn_keep_record(t, &l->recs[i]);
	if (e == 0)
		t->n_pages++;
	return e;
}

static void txn_on_page(struct core_call *call, const struct store_answer *answer)
{
	struct txn *t = (struct txn *)call;
	int e = answer->e == 0 ? txn_keep_page(t, answer) : core_store_err(answer->e);

	if (e != 0)
		txn_end(t, e);
	else
		txn_run(t);
}

int txn_list(struct txn *t, const struct store_page *page, struct txn_page *out)
{
	struct store_page kept = *page;
	int e;

	CHECK(!t->call.asked);
	for (size_t i = 0; i < t->n_pages; i++) {
		const struct txn_kept_page *l = &t->pages[i];

		if (!str_eq(l->page.kind, page->kind) || !str_eq(l->page.after, page->after) ||
		    l->page.limit != page->limit)
			continue;
		*out = (struct txn_page){.recs = l->recs, .n = l->n, .more = l->more};
		return 0;
	}
	if (t->n_pages == TXN_PAGES_MAX)
		return ERR_LIMIT;
	if (txn_keep_str(t, &kept.kind) != 0 || txn_keep_str(t, &kept.after) != 0)
		return ERR_NOMEM;
	t->pages[t->n_pages].page = kept;
	if ((e = core_call_list(&t->call, &kept, txn_on_page)) != 0)
		return e;
	return ERR_AGAIN;
}

/* ---- writing ---- */

/* Returns 0, ERR_LIMIT or ERR_NOMEM. */
static int txn_add_write(struct txn *t, const struct store_write *w)
{
	struct store_write kept = *w, *writes;

	if (txn_keep_record(t, &kept.rec) != 0)
		return ERR_NOMEM;
	for (size_t i = 0; i < t->n_writes; i++) {
		if (str_eq(t->writes[i].rec.key, w->rec.key) &&
		    str_eq(t->writes[i].rec.kind, w->rec.kind)) {
			t->writes[i] = kept;
			return 0;
		}
	}
	if (t->n_writes == TXN_WRITES_MAX)
		return ERR_LIMIT;
	if (t->n_writes == t->writes_cap) {
		writes = realloc(t->writes, (t->n_writes + 8) * 2 * sizeof *writes);
		if (writes == NULL)
			return ERR_NOMEM;
		t->writes = writes;
		t->writes_cap = (t->n_writes + 8) * 2;
	}
	t->writes[t->n_writes++] = kept;
	return 0;
}

int txn_put_until(struct txn *t, const struct store_record *rec)
{
	const struct store_record *r = txn_find(t, rec->kind, rec->key);
	struct store_write w = {.op = STORE_PUT, .rec = *rec};

	if (rec->value.len > STORE_VALUE_MAX)
		return ERR_TOOBIG;
	w.expected = r == NULL ? 0 : r->version;
	return txn_add_write(t, &w);
}

int txn_put(struct txn *t, struct str kind, struct str key, struct str value)
{
	struct store_record rec = {.kind = kind, .key = key, .value = value};

	return txn_put_until(t, &rec);
}

int txn_drop(struct txn *t, struct str kind, struct str key)
{
	const struct store_record *r = txn_find(t, kind, key);
	struct store_write w = {.op = STORE_DROP, .rec = {.kind = kind, .key = key}};

	w.expected = r == NULL ? STORE_ANY : r->version;
	return txn_add_write(t, &w);
}

uint64_t txn_version(const struct txn *t, struct str kind, struct str key)
{
	for (size_t i = 0; i < t->n_writes; i++)
		if (str_eq(t->writes[i].rec.key, key) && str_eq(t->writes[i].rec.kind, kind))
			return t->writes[i].rec.version;
	return 0;
}

/* ---- what several transactions need ---- */

int txn_secret(struct txn *t, const uint8_t **out)
{
	struct secret *s = &t->opt.core->secret;
	struct str candidate = {(const char *)s->key, sizeof s->key};
	const struct store_record *rec;
	int e;

	*out = s->key;
	if (s->loaded)
		return 0;
	e = txn_get(t, RECORD_SECRET, STR("token"), &rec);
	if (e == ERR_NOTFOUND)
		return txn_put(t, RECORD_SECRET, STR("token"), candidate);
	if (e != 0)
		return e;
	if (rec->value.len != sizeof s->key)
		return ERR_IO;
	memcpy(s->key, rec->value.p, sizeof s->key);
	s->loaded = true;
	return 0;
}
