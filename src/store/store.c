/*
 * What every kind of store does alike: judging and copying what is asked, counting what is pending,
 * answering once, closing. The kinds only run requests.
 */
#include "store/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/store_cache.h"
#include "store/store_redis.h"
#include "store/store_redis_url.h"

void store_why_say(struct store_why *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof why->text, fmt, ap);
	va_end(ap);
}

/* ---- life ---- */

int store_open(struct ev *ev, struct log *log, const char *where, struct store **out,
	       struct store_why *why)
{
	struct str name = str_of(where);
	char shown[STORE_REDIS_WHERE_MAX];
	int e;

	why->text[0] = '\0';
	if (str_eq(name, STR("memory:"))) {
		if ((e = store_memory_open(ev, log, where, out)) != 0)
			store_why_say(why, "cannot open the store \"memory:\": %s", err_text(e));
		return e;
	}
	if (str_starts(name, STR("sqlite:")) && name.len > strlen("sqlite:"))
		return store_thread_open(ev, log, where, out, why);
	if (store_redis_url_is(name))
		return store_redis_open(ev, log, where, out, why);
	store_redis_url_mask(name, shown, sizeof shown);
	store_why_say(why,
		      "\"%s\" names no store: use memory: (nothing outlives the process), "
		      "sqlite:PATH (a file) or redis://HOST:PORT/DB",
		      shown);
	return ERR_INVAL;
}

static void store_on_close(void *arg)
{
	static const struct store_answer closed = {.e = ERR_CLOSED};
	struct store *s = arg;
	struct list *link;

	/* The thread still works on these, so they stay; only their callers are told. */
	LIST_FOR_EACH (it, &s->running) {
		struct store_req *req = CONTAINER_OF(it, struct store_req, link);
		store_fn fn;

		MOVE(fn, req->fn);
		if (fn != NULL)
			fn(req->arg, &closed);
	}
	while ((link = list_pop(&s->queue)) != NULL) {
		struct store_req *req = CONTAINER_OF(link, struct store_req, link);

		req->answer = closed;
		store_req_answer(s, req);
	}
	s->ops->close(s);
}

int store_init(struct store *s, const struct store_ops *ops, struct ev *ev, struct log *log,
	       const char *where)
{
	s->ops = ops;
	s->ev = ev;
	s->log = log;
	list_init(&s->queue);
	list_init(&s->running);
	s->close_task = (struct ev_task){.fn = store_on_close, .arg = s};
	s->where = str_dup(str_of(where));
	s->cache = store_cache_new(ev);
	if (s->where != NULL && s->cache != NULL)
		return 0;
	store_fini(s);
	return ERR_NOMEM;
}

void store_fini(struct store *s)
{
	struct list *link;

	while ((link = list_pop(&s->running)) != NULL)
		store_req_free(CONTAINER_OF(link, struct store_req, link));
	CHECK(list_empty(&s->queue));
	store_cache_free(s->cache);
	free(s->where);
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	s->closed = true;
	ev_task_run(s->ev, &s->close_task);
}

void store_on_rewind(struct store *s, void (*fn)(void *arg), void *arg)
{
	s->rewound = fn;
	s->rewound_arg = arg;
}

void store_rewound(struct store *s)
{
	store_cache_clear(s->cache);
	if (s->rewound != NULL)
		s->rewound(s->rewound_arg);
}

size_t store_pending(const struct store *s)
{
	return s->n_pending;
}

static void store_forget_in(struct list *head, const void *arg)
{
	LIST_FOR_EACH (it, head) {
		struct store_req *req = CONTAINER_OF(it, struct store_req, link);

		if (req->arg == arg)
			req->fn = NULL;
	}
}

void store_forget(struct store *s, const void *arg)
{
	store_forget_in(&s->queue, arg);
	store_forget_in(&s->running, arg);
}

/* ---- answers ---- */

/* Once when the trouble begins and once when it ends: a full disk must not fill the log as well. */
static void store_watch(struct store *s, const struct store_req *req)
{
	bool bad;

	switch (req->answer.e) {
	case ERR_FULL:
	case ERR_IO:
	case ERR_DENIED:
	case ERR_TIMEOUT:
	case ERR_NOMEM: bad = true; break;
	default: bad = false;
	}
	if (bad && !s->failing)
		log_error(s->log, "store=%s error=%s: %s; records cannot be %s until this is over",
			  s->where, err_name(req->answer.e), err_text(req->answer.e),
			  req->verb == STORE_WRITE ? "written" : "read");
	else if (!bad && s->failing && req->verb == STORE_WRITE && req->answer.e == 0)
		log_info(s->log, "store=%s writes work again", s->where);
	else
		return;
	s->failing = bad;
}

void store_req_answer(struct store *s, struct store_req *req)
{
	s->n_pending--;
	s->pending_bytes -= req->bytes;
	store_watch(s, req);
	if (req->answer.e != 0)
		req->answer.n = 0;
	else
		req->answer.recs = req->recs;
	store_cache_on_answer(s->cache, req);
	if (req->fn != NULL)
		req->fn(req->arg, &req->answer);
	store_req_free(req);
}

void store_req_free(struct store_req *req)
{
	for (struct store_block *b = req->blocks, *next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(req);
}

char *store_req_keep(struct store_req *req, size_t size)
{
	struct store_block *b = malloc(sizeof *b + size);

	if (b == NULL)
		return NULL;
	b->next = req->blocks;
	req->blocks = b;
	return b->bytes;
}

/* ---- questions ---- */

static int store_check_kind(struct str kind)
{
	if (kind.len < 1 || kind.len > STORE_KIND_MAX)
		return ERR_INVAL;
	for (size_t i = 0; i < kind.len; i++)
		if (kind.p[i] < 'a' || kind.p[i] > 'z')
			return ERR_INVAL;
	return 0;
}

static int store_check_id(struct str kind, struct str key)
{
	if (key.len > STORE_KEY_MAX)
		return ERR_TOOBIG;
	if (key.len < 1)
		return ERR_INVAL;
	return store_check_kind(kind);
}

static int store_check_write(const struct store_write *w)
{
	int e;

	if ((e = store_check_id(w->rec.kind, w->rec.key)) != 0)
		return e;
	if (w->op == STORE_DROP)
		return 0;
	if (w->op != STORE_PUT || w->rec.expires_ms < 0)
		return ERR_INVAL;
	return w->rec.value.len > STORE_VALUE_MAX ? ERR_TOOBIG : 0;
}

static size_t store_write_bytes(const struct store_write *w)
{
	return w->rec.kind.len + w->rec.key.len + (w->op == STORE_PUT ? w->rec.value.len : 0);
}

static struct str store_copy(char **at, struct str s)
{
	struct str copy = {*at, s.len};

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return copy;
}

/* A request with copies of everything, in one block: itself, its lines, room for the answer's
 * records, bytes. */
static int store_req_new(struct store *s, const struct store_write *writes, size_t n_writes,
			 size_t n_recs, struct store_req **out)
{
	size_t size =
		sizeof **out + n_writes * sizeof writes[0] + n_recs * sizeof(struct store_record);
	struct store_req *req;
	char *at;

	for (size_t i = 0; i < n_writes; i++)
		size += store_write_bytes(&writes[i]);
	if (s->closed)
		return ERR_CLOSED;
	if (s->n_pending >= STORE_PENDING_MAX || s->pending_bytes + size > STORE_PENDING_BYTES_MAX)
		return ERR_LIMIT;
	if ((req = calloc(1, size)) == NULL)
		return ERR_NOMEM;
	req->bytes = size;
	req->n_writes = n_writes;
	req->writes = (struct store_write *)(req + 1);
	req->recs = (struct store_record *)(req->writes + n_writes);
	at = (char *)(req->recs + n_recs);
	for (size_t i = 0; i < n_writes; i++) {
		struct store_record *rec = &req->writes[i].rec;

		req->writes[i] = writes[i];
		rec->kind = store_copy(&at, rec->kind);
		rec->key = store_copy(&at, rec->key);
		if (writes[i].op == STORE_PUT)
			rec->value = store_copy(&at, rec->value);
		else
			rec->value = (struct str){0};
	}
	*out = req;
	return 0;
}

static void store_ask(struct store *s, struct store_req *req, store_fn fn, void *arg)
{
	req->fn = fn;
	req->arg = arg;
	s->n_pending++;
	s->pending_bytes += req->bytes;
	store_cache_on_ask(s->cache, req);
	list_push(&s->queue, &req->link);
	s->ops->kick(s);
}

bool store_peek(struct store *s, struct str kind, struct str key, struct store_record *out)
{
	return store_cache_peek(s->cache, kind, key, out);
}

void store_outdated(struct store *s, struct str kind, struct str key)
{
	if (store_check_id(kind, key) == 0)
		store_cache_outdate(s->cache, kind, key);
}

int store_get(struct store *s, struct str kind, struct str key, store_fn fn, void *arg)
{
	struct store_write line = {.op = STORE_DROP, .rec = {.kind = kind, .key = key}};
	struct store_req *req;
	int e;

	if ((e = store_check_id(kind, key)) != 0)
		return e;
	if ((e = store_req_new(s, &line, 1, 1, &req)) != 0)
		return e;
	req->verb = STORE_GET;
	store_ask(s, req, fn, arg);
	return 0;
}

int store_list(struct store *s, struct store_page page, store_fn fn, void *arg)
{
	struct store_write line = {.op = STORE_DROP, .rec = {.kind = page.kind, .key = page.after}};
	struct store_req *req;
	int e;

	if (page.after.len > STORE_KEY_MAX)
		return ERR_TOOBIG;
	if (page.limit < 1 || page.limit > STORE_PAGE_MAX)
		return ERR_INVAL;
	if ((e = store_check_kind(page.kind)) != 0)
		return e;
	if ((e = store_req_new(s, &line, 1, page.limit, &req)) != 0)
		return e;
	req->verb = STORE_LIST;
	req->limit = page.limit;
	store_ask(s, req, fn, arg);
	return 0;
}

int store_changes(struct store *s, uint64_t after, store_fn fn, void *arg)
{
	const struct store_write none = {.op = STORE_DROP};
	struct store_req *req;
	int e;

	if (!s->ops->remembers)
		return ERR_UNSUPPORTED;
	if ((e = store_req_new(s, &none, 1, STORE_PAGE_MAX, &req)) != 0)
		return e;
	req->verb = STORE_CHANGES;
	req->limit = STORE_PAGE_MAX;
	req->after = after;
	store_ask(s, req, fn, arg);
	return 0;
}

int store_batch(struct store *s, const struct store_write *writes, size_t n, store_fn fn, void *arg)
{
	size_t bytes = 0;
	struct store_req *req;
	int e;

	if (n < 1)
		return ERR_INVAL;
	if (n > STORE_BATCH_MAX)
		return ERR_TOOBIG;
	for (size_t i = 0; i < n; i++) {
		if ((e = store_check_write(&writes[i])) != 0)
			return e;
		bytes += store_write_bytes(&writes[i]);
	}
	if (bytes > STORE_BATCH_BYTES_MAX)
		return ERR_TOOBIG;
	if ((e = store_req_new(s, writes, n, n, &req)) != 0)
		return e;
	req->verb = STORE_WRITE;
	store_ask(s, req, fn, arg);
	return 0;
}

int store_put(struct store *s, const struct store_record *rec, uint64_t expected, store_fn fn,
	      void *arg)
{
	struct store_write line = {.op = STORE_PUT, .rec = *rec, .expected = expected};

	return store_batch(s, &line, 1, fn, arg);
}

int store_drop(struct store *s, struct store_id id, store_fn fn, void *arg)
{
	struct store_write line = {.op = STORE_DROP,
				   .rec = {.kind = id.kind, .key = id.key},
				   .expected = id.expected};

	return store_batch(s, &line, 1, fn, arg);
}
