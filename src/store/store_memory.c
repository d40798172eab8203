/*
 * The store that keeps nothing: for tests, simulations and trying karez out.
 *
 * A hash map finds records; an array of them in the order of kind and key, made anew when a list is
 * asked for after records came or went, serves the pages.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "store/store_internal.h"

/* Every write looks at this many records for ones that are over: more than it can add. */
#define SWEEP_PER_LINE 2

/* After this many requests the loop has a say again. */
#define REQS_PER_TURN 64

struct mem_rec {
	struct map_entry entry; /* its key is "kind/key", in bytes */
	struct list link;	/* in store_memory.ring */
	struct store_record rec;
	size_t size; /* what it counts in store_memory.size */
	char bytes[];
};

/* A line of a batch that was done. */
struct mem_note {
	struct list link; /* in store_memory.log */
	uint64_t number;
	size_t kind_len, key_len;
	char bytes[];
};

struct store_memory {
	struct store store; /* first: the two are the same pointer */
	struct list log;    /* of mem_note, the latest STORE_LOG_MAX, the oldest in front */
	size_t n_log;
	uint64_t number; /* of the last one */
	struct map map;
	struct list ring; /* of mem_rec: all of them, the next one to be swept in front */
	size_t size;
	uint64_t version;	 /* the one given last */
	struct mem_rec **sorted; /* owned array [n_sorted] of what the map holds; see sorted_ok */
	size_t n_sorted, sorted_cap;
	bool sorted_ok; /* false: records came or went since */
	struct ev_task task;
};

/* What one line of a batch did, to be taken back. */
struct mem_undo {
	struct mem_rec *was, *is; /* NULL: there was, is none */
};

/* "kind/key" as it stands in the map: a kind has no slash, so no two records share one. */
struct mem_name {
	char bytes[STORE_KIND_MAX + 1 + STORE_KEY_MAX];
	size_t len;
};

static struct str mem_name(struct mem_name *name, struct str kind, struct str key)
{
	memcpy(name->bytes, kind.p, kind.len);
	name->bytes[kind.len] = '/';
	if (key.len > 0)
		memcpy(name->bytes + kind.len + 1, key.p, key.len);
	return (struct str){name->bytes, kind.len + 1 + key.len};
}

static struct mem_rec *mem_find(const struct store_memory *m, const struct store_record *rec)
{
	struct mem_name name;
	struct map_entry *entry = map_get(&m->map, mem_name(&name, rec->kind, rec->key));

	return entry == NULL ? NULL : CONTAINER_OF(entry, struct mem_rec, entry);
}

static int mem_rec_new(const struct store_record *from, uint64_t version, struct mem_rec **out)
{
	size_t name_len = from->kind.len + 1 + from->key.len;
	size_t size = sizeof **out + name_len + from->value.len;
	struct mem_rec *r = calloc(1, size);
	struct mem_name name;

	if (r == NULL)
		return ERR_NOMEM;
	memcpy(r->bytes, mem_name(&name, from->kind, from->key).p, name_len);
	memcpy(r->bytes + name_len, from->value.p, from->value.len);
	r->entry.key = (struct str){r->bytes, name_len};
	r->rec = (struct store_record){
		.kind = {r->bytes, from->kind.len},
		.key = {r->bytes + from->kind.len + 1, from->key.len},
		.value = {r->bytes + name_len, from->value.len},
		.version = version,
		.expires_ms = from->expires_ms,
	};
	r->size = size;
	*out = r;
	return 0;
}

static int mem_add(struct store_memory *m, struct mem_rec *r)
{
	int e = map_put(&m->map, &r->entry);

	if (e != 0)
		return e;
	list_push(&m->ring, &r->link);
	m->size += r->size;
	m->sorted_ok = false;
	return 0;
}

/* Out of the store, but not freed. */
static void mem_take(struct store_memory *m, struct mem_rec *r)
{
	map_del(&m->map, &r->entry);
	list_del(&r->link);
	m->size -= r->size;
	m->sorted_ok = false;
}

static void mem_sweep(struct store_memory *m, size_t n, int64_t now_ms)
{
	struct list *link;

	for (; n > 0 && (link = list_pop(&m->ring)) != NULL; n--) {
		struct mem_rec *r = CONTAINER_OF(link, struct mem_rec, link);

		list_push(&m->ring, &r->link);
		if (store_is_over(r->rec.expires_ms, now_ms)) {
			mem_take(m, r);
			free(r);
		}
	}
}

/* ---- what was done lately ---- */

static void mem_log_drop(struct store_memory *m)
{
	free(CONTAINER_OF(list_pop(&m->log), struct mem_note, link));
	m->n_log--;
}

/* One that cannot be kept takes all before it with it: nobody must believe to have seen all. */
static void mem_log_add(struct store_memory *m, const struct store_record *rec)
{
	struct mem_note *note = malloc(sizeof *note + rec->kind.len + rec->key.len);

	while (m->n_log > 0 && (note == NULL || m->n_log >= STORE_LOG_MAX))
		mem_log_drop(m);
	if (note == NULL)
		return;
	*note = (struct mem_note){.number = ++m->number,
				  .kind_len = rec->kind.len,
				  .key_len = rec->key.len};
	memcpy(note->bytes, rec->kind.p, rec->kind.len);
	memcpy(note->bytes + rec->kind.len, rec->key.p, rec->key.len);
	list_push(&m->log, &note->link);
	m->n_log++;
}

static struct mem_note *mem_note(struct list *link)
{
	return CONTAINER_OF(link, struct mem_note, link);
}

static int mem_changes(struct store_memory *m, struct store_req *req)
{
	struct list *at = m->log.prev;

	if (req->after == 0)
		at = m->n_log == 0 ? at : at->prev;
	else
		while (at != &m->log && mem_note(at)->number != req->after)
			at = at->prev;
	if (m->n_log == 0 || (req->after != 0 && at == &m->log))
		return req->after == 0 ? ERR_NOTFOUND : ERR_CONFLICT;
	for (at = at->next; at != &m->log && req->answer.n < req->limit; at = at->next) {
		const struct mem_note *note = mem_note(at);

		req->recs[req->answer.n++] = (struct store_record){
			.kind = {note->bytes, note->kind_len},
			.key = {note->bytes + note->kind_len, note->key_len},
			.version = note->number,
		};
	}
	req->answer.more = at != &m->log;
	return 0;
}

/* ---- writes ---- */

static int mem_write_line(struct store_memory *m, struct store_req *req, size_t i, int64_t now_ms,
			  struct mem_undo *undo)
{
	const struct store_write *w = &req->writes[i];
	struct mem_rec *was = mem_find(m, &w->rec), *is = NULL;
	uint64_t version = 0;
	int e;

	if (was != NULL && !store_is_over(was->rec.expires_ms, now_ms))
		version = was->rec.version;
	if (!store_expects(w->expected, version))
		return ERR_CONFLICT;
	if (w->op == STORE_PUT) {
		version = ++m->version;
		if ((e = mem_rec_new(&w->rec, version, &is)) != 0)
			return e;
		if (m->size + is->size > STORE_MEMORY_MAX + (was != NULL ? was->size : 0)) {
			free(is);
			return ERR_FULL;
		}
	}
	if (was != NULL)
		mem_take(m, was);
	if (is != NULL && (e = mem_add(m, is)) != 0) {
		free(is);
		if (was != NULL)
			CHECK(mem_add(m, was) == 0); /* its slot is still there */
		return e;
	}
	*undo = (struct mem_undo){was, is};
	store_req_wrote(req, i, version);
	return 0;
}

static int mem_write(struct store_memory *m, struct store_req *req, int64_t now_ms)
{
	struct mem_undo *undo;
	size_t i;
	int e = 0;

	mem_sweep(m, SWEEP_PER_LINE * req->n_writes, now_ms);
	if ((undo = calloc(req->n_writes, sizeof undo[0])) == NULL)
		return ERR_NOMEM;
	for (i = 0; i < req->n_writes; i++)
		if ((e = mem_write_line(m, req, i, now_ms, &undo[i])) != 0)
			break;
	if (e == 0) {
		for (size_t k = 0; k < req->n_writes; k++) {
			mem_log_add(m, &req->writes[k].rec);
			free(undo[k].was);
		}
		req->answer.n = req->n_writes;
	} else {
		req->answer.failed = i;
		while (i-- > 0) {
			if (undo[i].is != NULL) {
				mem_take(m, undo[i].is);
				free(undo[i].is);
			}
			if (undo[i].was != NULL)
				CHECK(mem_add(m, undo[i].was) == 0); /* its slot is still there */
		}
	}
	free(undo);
	return e;
}

/* ---- reads ---- */

static int mem_get(struct store_memory *m, struct store_req *req, int64_t now_ms)
{
	struct mem_rec *r = mem_find(m, &req->writes[0].rec);

	if (r == NULL || store_is_over(r->rec.expires_ms, now_ms))
		return ERR_NOTFOUND;
	req->recs[0] = r->rec;
	req->answer.n = 1;
	return 0;
}

static int mem_compare_names(struct str a, struct str b)
{
	int order = memcmp(a.p, b.p, MIN(a.len, b.len));

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

static int mem_compare(const void *a, const void *b)
{
	const struct mem_rec *const *ra = a, *const *rb = b;

	return mem_compare_names((*ra)->entry.key, (*rb)->entry.key);
}

static int mem_sort(struct store_memory *m)
{
	size_t n = 0;

	if (m->sorted_ok)
		return 0;
	if (m->map.n > m->sorted_cap) {
		size_t cap = MAX(m->map.n, 2 * m->sorted_cap);
		struct mem_rec **sorted = realloc(m->sorted, cap * sizeof sorted[0]);

		if (sorted == NULL)
			return ERR_NOMEM;
		m->sorted = sorted;
		m->sorted_cap = cap;
	}
	LIST_FOR_EACH (it, &m->ring)
		m->sorted[n++] = CONTAINER_OF(it, struct mem_rec, link);
	if (n > 0)
		qsort(m->sorted, n, sizeof m->sorted[0], mem_compare);
	m->n_sorted = n;
	m->sorted_ok = true;
	return 0;
}

/* The first place in m->sorted that stands after `name`. */
static size_t mem_after(const struct store_memory *m, struct str name)
{
	size_t low = 0, high = m->n_sorted;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (mem_compare_names(m->sorted[mid]->entry.key, name) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int mem_list(struct store_memory *m, struct store_req *req, int64_t now_ms)
{
	const struct store_record *from = &req->writes[0].rec;
	struct mem_name name;
	size_t bytes = 0;
	int e = mem_sort(m);

	if (e != 0)
		return e;
	for (size_t i = mem_after(m, mem_name(&name, from->kind, from->key)); i < m->n_sorted;
	     i++) {
		const struct store_record *rec = &m->sorted[i]->rec;

		if (!str_eq(rec->kind, from->kind))
			break;
		if (store_is_over(rec->expires_ms, now_ms))
			continue;
		if (req->answer.n == req->limit || bytes >= STORE_PAGE_BYTES_MAX) {
			req->answer.more = true;
			break;
		}
		bytes += rec->key.len + rec->value.len;
		req->recs[req->answer.n++] = *rec;
	}
	return 0;
}

/* ---- life ---- */

static int mem_run(struct store_memory *m, struct store_req *req, int64_t now_ms)
{
	switch (req->verb) {
	case STORE_GET: return mem_get(m, req, now_ms);
	case STORE_LIST: return mem_list(m, req, now_ms);
	case STORE_CHANGES: return mem_changes(m, req);
	case STORE_WRITE: break;
	}
	return mem_write(m, req, now_ms);
}

static void mem_on_task(void *arg)
{
	struct store_memory *m = arg;
	struct store *s = &m->store;
	int64_t now_ms = ev_wall_ms(s->ev);
	struct list *link;

	/* A callback may ask for more or close the store. */
	for (int i = 0; i < REQS_PER_TURN && !s->closed; i++) {
		struct store_req *req;

		if ((link = list_pop(&s->queue)) == NULL)
			return;
		req = CONTAINER_OF(link, struct store_req, link);
		req->answer.e = mem_run(m, req, now_ms);
		store_req_answer(s, req);
	}
	if (!s->closed)
		ev_task_run(s->ev, &m->task);
}

static void mem_kick(struct store *s)
{
	ev_task_run(s->ev, &((struct store_memory *)s)->task);
}

static void mem_close(struct store *s)
{
	struct store_memory *m = (struct store_memory *)s;
	struct list *link;

	ev_task_cancel(&m->task);
	while ((link = list_pop(&m->ring)) != NULL)
		free(CONTAINER_OF(link, struct mem_rec, link));
	while (m->n_log > 0)
		mem_log_drop(m);
	map_free(&m->map);
	free(m->sorted);
	store_fini(s);
	ev_free_later(s->ev, m);
}

static const struct store_ops store_memory_ops = {.kick = mem_kick,
						  .close = mem_close,
						  .remembers = true};

int store_memory_open(struct ev *ev, struct log *log, const char *where, struct store **out)
{
	struct store_memory *m = calloc(1, sizeof *m);
	uint8_t seed[16];
	int e;

	if (m == NULL)
		return ERR_NOMEM;
	if ((e = store_init(&m->store, &store_memory_ops, ev, log, where)) != 0) {
		free(m);
		return e;
	}
	ev_random(ev, seed, sizeof seed);
	map_init(&m->map, seed);
	list_init(&m->ring);
	list_init(&m->log);
	m->task = (struct ev_task){.fn = mem_on_task, .arg = m};
	*out = &m->store;
	return 0;
}
