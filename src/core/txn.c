/*
 * Records change under our feet, and each read takes a turn of the loop: so whoever changes records
 * writes plain code and is run again, until all it needs is here and nobody came between.
 */
#include "core/txn.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"

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

/* A record that is read or written. */
struct txn_item {
	struct map_entry entry;	 /* in txn->map, of a large one */
	struct txn_item *next;	 /* in txn->items */
	struct txn_item *wanted; /* in txn->wanted: the next one */
	enum { TXN_UNREAD, TXN_WANTED, TXN_READ } state;
	struct store_record rec; /* as it was read; version 0: it is not there */
	size_t line;		 /* of its write, plus one; 0: none */
	char name[];		 /* kind, NUL, key, NUL */
};

struct txn {
	struct core_call call; /* first: the two are the same pointer */
	struct txn_opt opt;
	unsigned tries;
	bool ended;
	bool paused, goes_on; /* the run that was, the one that is: see txn_pause() */
	struct ev_timer pause;
	struct txn_block *blocks;  /* owned: what is read */
	struct txn_block *written; /* owned: what this run writes */
	struct txn_item *items;	   /* in blocks */
	struct map map;		   /* the same, of a large one */
	size_t n_reads;
	struct txn_item *wanted, **wanted_end; /* what the store is to be asked for */
	struct txn_kept_page pages[TXN_LARGE_PAGES_MAX];
	size_t n_pages;
	struct store_write *writes; /* owned; [n_writes], room for writes_cap */
	size_t n_writes, writes_cap, write_bytes;
	enum { TXN_NO_LINE, TXN_WAITS, TXN_FIRST } place;
	char line[CORE_ID_TEXT]; /* whose line it stands in */
};

/* ---- memory ---- */

/* Zeroed. */
static void *txn_alloc(struct txn_block **to, size_t size)
{
	struct txn_block *b = calloc(1, sizeof *b + size);

	if (b == NULL)
		return NULL;
	b->next = *to;
	*to = b;
	return b->bytes;
}

/* Returns 0 or ERR_NOMEM. */
static int txn_keep_str(struct txn_block **to, struct str *s)
{
	char *p = txn_alloc(to, s->len + 1);

	if (p == NULL)
		return ERR_NOMEM;
	if (s->len > 0)
		memcpy(p, s->p, s->len);
	s->p = p;
	return 0;
}

static int txn_keep_record(struct txn_block **to, struct store_record *r)
{
	if (txn_keep_str(to, &r->kind) != 0 || txn_keep_str(to, &r->key) != 0 ||
	    txn_keep_str(to, &r->value) != 0)
		return ERR_NOMEM;
	return 0;
}

static void txn_free_blocks(struct txn_block **blocks)
{
	struct txn_block *b;

	while ((b = *blocks) != NULL) {
		*blocks = b->next;
		free(b);
	}
}

void txn_discard(struct txn *t)
{
	for (struct txn_item *it = t->items; it != NULL; it = it->next)
		it->line = 0;
	t->n_writes = t->write_bytes = 0;
	txn_free_blocks(&t->written);
}

static void txn_forget(struct txn *t)
{
	txn_discard(t);
	txn_free_blocks(&t->blocks);
	map_free(&t->map);
	t->items = t->wanted = NULL;
	t->wanted_end = &t->wanted;
	t->n_reads = t->n_pages = 0;
}

static void txn_leave_line(struct txn *t);

static void txn_free(struct txn *t)
{
	ev_timer_stop(t->opt.core->ev, &t->pause);
	txn_leave_line(t);
	txn_forget(t);
	free(t->writes);
	free(t);
}

/* ---- what is known ---- */

/* One text for kind and key. Returns what does not fit as a name that nothing has. */
struct txn_name {
	char text[STORE_KIND_MAX + 1 + STORE_KEY_MAX];
};

static struct str txn_name(struct txn_name *n, struct str kind, struct str key)
{
	if (kind.len > STORE_KIND_MAX || key.len > STORE_KEY_MAX)
		return STR("");
	memcpy(n->text, kind.p, kind.len);
	n->text[kind.len] = '\0';
	memcpy(n->text + kind.len + 1, key.p, key.len);
	return (struct str){n->text, kind.len + 1 + key.len};
}

/* Is a bound reached? Returns 0, ERR_LIMIT, or ERR_TOOBIG of a large one. */
static int txn_bound(const struct txn *t, size_t n, size_t max, size_t large_max)
{
	if (n < (t->opt.large ? large_max : max))
		return 0;
	return t->opt.large ? ERR_TOOBIG : ERR_LIMIT;
}

static struct txn_item *txn_find(const struct txn *t, struct str kind, struct str key)
{
	struct map_entry *e;
	struct txn_name n;

	if (t->opt.large) {
		e = map_get(&t->map, txn_name(&n, kind, key));
		return e == NULL ? NULL : CONTAINER_OF(e, struct txn_item, entry);
	}
	for (struct txn_item *it = t->items; it != NULL; it = it->next)
		if (str_eq(it->rec.key, key) && str_eq(it->rec.kind, kind))
			return it;
	return NULL;
}

/* Find it, or make one that is not read yet. Returns NULL when memory is gone. */
static struct txn_item *txn_item(struct txn *t, struct str kind, struct str key)
{
	struct txn_item *it = txn_find(t, kind, key);

	if (it != NULL)
		return it;
	it = txn_alloc(&t->blocks, sizeof *it + kind.len + key.len + 2);
	if (it == NULL)
		return NULL;
	memcpy(it->name, kind.p, kind.len);
	memcpy(it->name + kind.len + 1, key.p, key.len);
	it->rec.kind = (struct str){it->name, kind.len};
	it->rec.key = (struct str){it->name + kind.len + 1, key.len};
	it->entry.key = (struct str){it->name, kind.len + 1 + key.len};
	if (t->opt.large && map_put(&t->map, &it->entry) != 0)
		return NULL;
	it->next = t->items;
	t->items = it;
	return it;
}

/* A record was read; version 0: it is not there. Returns 0 or ERR_NOMEM. */
static int txn_keep_read(struct txn *t, struct txn_item *it, const struct store_record *rec)
{
	it->rec.value = rec->value;
	if (txn_keep_str(&t->blocks, &it->rec.value) != 0)
		return ERR_NOMEM;
	it->rec.version = rec->version;
	it->rec.expires_ms = rec->expires_ms;
	it->state = TXN_READ;
	return 0;
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
	for (size_t i = 0; i < t->n_writes; i++)
		peer_tell_wrote(t->opt.core, &t->writes[i].rec);
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

static int txn_ask(struct txn *t);

static void txn_run(void *arg)
{
	struct txn *t = arg;
	int e;

	t->goes_on = t->paused;
	t->paused = false;
	if (!t->goes_on)
		txn_discard(t);
	e = t->opt.run(t, t->opt.arg);
	if (e == ERR_AGAIN && t->paused) {
		ev_timer_set(t->opt.core->ev, &t->pause, 0); /* a task would run in this turn */
		return;
	}
	t->paused = false; /* it has found something worse */
	if (e == ERR_AGAIN && t->wanted != NULL && !t->call.asked && t->place != TXN_WAITS)
		e = txn_ask(t);
	if (e == ERR_AGAIN) {
		/* it waits for a record or its turn, not for something else */
		CHECK(t->call.asked || t->place == TXN_WAITS);
		return;
	}
	CHECK(e != 0 || t->wanted == NULL); /* run goes on after ERR_AGAIN */
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
	t->wanted_end = &t->wanted;
	map_init(&t->map, (const uint8_t *)opt->core->loop_key);
	t->call.closed = txn_on_core_gone;
	t->pause = (struct ev_timer){.fn = txn_run, .arg = t};
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

int txn_pause(struct txn *t)
{
	if (t->wanted != NULL)
		return 0;
	t->paused = true;
	return ERR_AGAIN;
}

bool txn_goes_on(const struct txn *t)
{
	return t->goes_on;
}

bool txn_waits(const struct txn *t)
{
	return t->call.asked;
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
	if (t->place == TXN_FIRST && !t->opt.large && strcmp(t->line, account) != 0)
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

static void txn_go_on(struct txn *t);

static void txn_on_read(struct core_call *call, const struct store_answer *answer)
{
	struct txn *t = (struct txn *)call;
	struct txn_item *it = t->wanted;
	struct store_record none = {0};
	int e = answer->e == ERR_NOTFOUND ? 0 : core_store_err(answer->e);

	if (e == 0)
		e = txn_keep_read(t, it, answer->e == 0 ? &answer->recs[0] : &none);
	if (e != 0) {
		txn_end(t, e);
		return;
	}
	if ((t->wanted = it->wanted) == NULL)
		t->wanted_end = &t->wanted;
	txn_go_on(t);
}

/* Something has come: ask for what else is wanted, and run again when all is here. */
static void txn_go_on(struct txn *t)
{
	int e;

	if (t->wanted == NULL)
		txn_run(t);
	else if ((e = txn_ask(t)) != ERR_AGAIN)
		txn_end(t, e);
}

/* Ask the store for the first that is wanted. Returns ERR_AGAIN, or why it takes no question. */
static int txn_ask(struct txn *t)
{
	const struct store_record *rec = &t->wanted->rec;
	int e = core_call_get(&t->call, rec->kind, rec->key, txn_on_read);

	return e != 0 ? e : ERR_AGAIN;
}

/*
 * What is known here may be old: after a conflict only the store counts; and for a visitor of a
 * tunnel that another node has begun to serve, which may not have been there a moment ago.
 */
static bool txn_may_peek(const struct txn *t, struct str kind, struct str key)
{
	return t->tries == 0 && (t->opt.kind != CORE_LOOKUP || !str_eq(kind, RECORD_TUNNEL) ||
				 peer_find(t->opt.core, key) == NULL);
}

/* The item of a record that is to be read. Returns as txn_want(). */
static int txn_need(struct txn *t, struct str kind, struct str key, struct txn_item **out)
{
	struct store_record rec = {0};
	struct txn_item *it;
	int e;

	CHECK(!t->call.asked); /* run goes on after ERR_AGAIN */
	if ((it = *out = txn_item(t, kind, key)) == NULL)
		return ERR_NOMEM;
	if (it->state != TXN_UNREAD)
		return it->state == TXN_READ ? 0 : ERR_AGAIN;
	if ((e = txn_bound(t, t->n_reads, TXN_READS_MAX, TXN_LARGE_READS_MAX)) != 0)
		return e;
	t->n_reads++;
	if (txn_may_peek(t, kind, key) && store_peek(t->opt.core->opt.store, kind, key, &rec))
		return txn_keep_read(t, it, &rec);
	it->state = TXN_WANTED;
	*t->wanted_end = it;
	t->wanted_end = &it->wanted;
	return ERR_AGAIN;
}

int txn_want(struct txn *t, struct str kind, struct str key)
{
	struct txn_item *it;

	return txn_need(t, kind, key, &it);
}

int txn_get(struct txn *t, struct str kind, struct str key, const struct store_record **out)
{
	struct txn_item *it;
	int e = txn_need(t, kind, key, &it);

	if (e != 0)
		return e;
	if (it->rec.version == 0)
		return ERR_NOTFOUND;
	*out = &it->rec;
	return 0;
}

int txn_see(struct txn *t, struct str kind, struct str key, struct store_record *out)
{
	const struct txn_item *it = txn_find(t, kind, key);
	const struct store_record *rec;
	int e;

	if (it != NULL && it->line != 0) {
		const struct store_write *w = &t->writes[it->line - 1];

		*out = w->rec;
		out->version = 0;
		return w->op == STORE_DROP ? ERR_NOTFOUND : 0;
	}
	if ((e = txn_get(t, kind, key, &rec)) == 0)
		*out = *rec;
	return e;
}

bool txn_drops(const struct txn *t, struct str kind, struct str key)
{
	const struct txn_item *it = txn_find(t, kind, key);

	return it != NULL && it->line != 0 && t->writes[it->line - 1].op == STORE_DROP;
}

static int txn_keep_page(struct txn *t, const struct store_answer *answer)
{
	struct txn_kept_page *l = &t->pages[t->n_pages];
	int e = 0;

	l->recs = txn_alloc(&t->blocks, answer->n * sizeof *l->recs);
	if (l->recs == NULL)
		return ERR_NOMEM;
	if (answer->n > 0)
		memcpy(l->recs, answer->recs, answer->n * sizeof *l->recs);
	l->n = answer->n;
	l->more = answer->more;
	for (size_t i = 0; i < l->n && e == 0; i++)
		e = txn_keep_record(&t->blocks, &l->recs[i]);
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
		txn_go_on(t);
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
	if ((e = txn_bound(t, t->n_pages, TXN_PAGES_MAX, TXN_LARGE_PAGES_MAX)) != 0)
		return e;
	if (txn_keep_str(&t->blocks, &kept.kind) != 0 || txn_keep_str(&t->blocks, &kept.after) != 0)
		return ERR_NOMEM;
	t->pages[t->n_pages].page = kept;
	if ((e = core_call_list(&t->call, &kept, txn_on_page)) != 0)
		return e;
	return ERR_AGAIN;
}

int txn_know(struct txn *t, const struct store_record *rec)
{
	struct txn_item *it = txn_item(t, rec->kind, rec->key);
	int e;

	if (it == NULL)
		return ERR_NOMEM;
	if (it->state != TXN_UNREAD)
		return 0;
	if ((e = txn_bound(t, t->n_reads, TXN_READS_MAX, TXN_LARGE_READS_MAX)) != 0)
		return e;
	t->n_reads++;
	it->rec.value = rec->value; /* the page keeps it */
	it->rec.version = rec->version;
	it->rec.expires_ms = rec->expires_ms;
	it->state = TXN_READ;
	return 0;
}

/* ---- writing ---- */

/* Returns as txn_put(). */
static int txn_add_line(struct txn *t, struct txn_item *it)
{
	struct store_write *writes;
	int e;

	if ((e = txn_bound(t, t->n_writes, TXN_WRITES_MAX, TXN_LARGE_WRITES_MAX)) != 0)
		return e;
	if (t->n_writes == t->writes_cap) {
		writes = realloc(t->writes, (t->n_writes + 8) * 2 * sizeof *writes);
		if (writes == NULL)
			return ERR_NOMEM;
		t->writes = writes;
		t->writes_cap = (t->n_writes + 8) * 2;
	}
	t->writes[t->n_writes] = (struct store_write){0};
	it->line = ++t->n_writes;
	return 0;
}

/* unread: what is expected of a record that was never read. Returns as txn_put(). */
static int txn_write(struct txn *t, const struct store_write *what, uint64_t unread)
{
	struct txn_item *it = txn_item(t, what->rec.kind, what->rec.key);
	struct store_write w = *what;
	size_t bytes = t->write_bytes;
	int e;

	if (it == NULL || txn_keep_str(&t->written, &w.rec.value) != 0)
		return ERR_NOMEM;
	w.rec.kind = it->rec.kind;
	w.rec.key = it->rec.key;
	if (it->line != 0)
		bytes -= t->writes[it->line - 1].rec.value.len;
	else
		bytes += w.rec.kind.len + w.rec.key.len;
	bytes += w.rec.value.len;
	if (bytes > STORE_BATCH_BYTES_MAX)
		return ERR_TOOBIG;
	w.expected = it->state == TXN_READ ? it->rec.version
		     : it->line != 0	   ? t->writes[it->line - 1].expected
					   : unread;
	if (it->line == 0 && (e = txn_add_line(t, it)) != 0)
		return e;
	t->writes[it->line - 1] = w;
	t->write_bytes = bytes;
	return 0;
}

int txn_put_until(struct txn *t, const struct store_record *rec)
{
	struct store_write w = {.op = STORE_PUT, .rec = *rec};

	return rec->value.len > STORE_VALUE_MAX ? ERR_TOOBIG : txn_write(t, &w, 0);
}

int txn_put(struct txn *t, struct str kind, struct str key, struct str value)
{
	struct store_record rec = {.kind = kind, .key = key, .value = value};

	return txn_put_until(t, &rec);
}

int txn_drop(struct txn *t, struct str kind, struct str key)
{
	struct store_write w = {.op = STORE_DROP, .rec = {.kind = kind, .key = key}};

	return txn_write(t, &w, STORE_ANY);
}

uint64_t txn_version(const struct txn *t, struct str kind, struct str key)
{
	const struct txn_item *it = txn_find(t, kind, key);

	return it == NULL || it->line == 0 ? 0 : t->writes[it->line - 1].rec.version;
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
