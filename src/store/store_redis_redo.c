/*
 * Batches are copied as they were asked for, with the versions that they were given; whether one of
 * them was lost is decided inside Redis (store_redis_script_redo), which knows which versions it
 * never saw.
 */
#include "store/store_redis_redo.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct redo_batch {
	struct list link; /* in store_redis_redo.batches */
	uint64_t ms;
	size_t size; /* all of it */
	size_t n;
	struct store_write writes[]; /* [n], and behind them the bytes that they point to */
};

static void redo_drop(struct store_redis_redo *r, struct redo_batch *b)
{
	list_del(&b->link);
	r->n--;
	r->bytes -= b->size;
	explicit_bzero(b, b->size);
	free(b);
}

static struct redo_batch *redo_oldest(const struct store_redis_redo *r)
{
	return CONTAINER_OF(r->batches.next, struct redo_batch, link);
}

void store_redis_redo_init(struct store_redis_redo *r)
{
	*r = (struct store_redis_redo){0};
	list_init(&r->batches);
}

void store_redis_redo_clear(struct store_redis_redo *r)
{
	while (!list_empty(&r->batches))
		redo_drop(r, redo_oldest(r));
}

void store_redis_redo_prune(struct store_redis_redo *r, uint64_t now_ms)
{
	while (!list_empty(&r->batches) && now_ms - redo_oldest(r)->ms > STORE_REDIS_REDO_MS)
		redo_drop(r, redo_oldest(r));
}

static struct str redo_copy(char **at, struct str s)
{
	struct str copy = {*at, s.len};

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return copy;
}

void store_redis_redo_keep(struct store_redis_redo *r, const struct store_req *req, uint64_t now_ms)
{
	size_t size = sizeof(struct redo_batch) + req->n_writes * sizeof req->writes[0];
	struct redo_batch *b;
	char *at;

	for (size_t i = 0; i < req->n_writes; i++) {
		const struct store_record *rec = &req->writes[i].rec;

		size += rec->kind.len + rec->key.len + rec->value.len;
	}
	store_redis_redo_prune(r, now_ms);
	if (size > STORE_REDIS_REDO_BYTES || (b = malloc(size)) == NULL)
		return;
	memset(b, 0, sizeof *b);
	b->ms = now_ms;
	b->size = size;
	b->n = req->n_writes;
	at = (char *)&b->writes[b->n];
	for (size_t i = 0; i < b->n; i++) {
		struct store_write *w = &b->writes[i];

		*w = req->writes[i];
		w->rec.kind = redo_copy(&at, w->rec.kind);
		w->rec.key = redo_copy(&at, w->rec.key);
		w->rec.value = redo_copy(&at, w->rec.value);
		w->rec.version = req->recs[i].version;
	}
	list_push(&r->batches, &b->link);
	r->n++;
	r->bytes += size;
	while (r->bytes > STORE_REDIS_REDO_BYTES || r->n > STORE_REDIS_REDO_MAX)
		redo_drop(r, redo_oldest(r));
}

int store_redis_redo_each(const struct store_redis_redo *r, const char *run_id,
			  int (*fn)(void *arg, struct str command), void *arg)
{
	struct buf command = {0};
	int e = 0;

	LIST_FOR_EACH (link, &r->batches) {
		const struct redo_batch *b = CONTAINER_OF(link, struct redo_batch, link);

		if ((e = store_redis_resp_redo(&command, b->writes, b->n, run_id)) == 0)
			e = fn(arg, buf_str(&command));
		if (e != 0)
			break;
		buf_take(&command, command.len);
	}
	buf_free(&command);
	return e;
}
