/* Pieces in a list: the last one is filled before there is another, the first one goes when it is
 * empty. */
#include "session/mux_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define PIECE_MIN 512

struct mux_piece {
	struct list link;
	size_t off, end, size; /* the bytes in use are mem[off .. end) */
	char mem[];
};

static struct mux_piece *piece_of(struct list *link)
{
	return CONTAINER_OF(link, struct mux_piece, link);
}

void mux_queue_init(struct mux_queue *q)
{
	list_init(&q->pieces);
	q->len = 0;
}

void mux_queue_free(struct mux_queue *q)
{
	struct list *link;

	while ((link = list_pop(&q->pieces)) != NULL)
		free(piece_of(link));
	q->len = 0;
}

/* A new last piece for `need` bytes; as large as all before it, so that there are few. */
static int mux_queue_grow(struct mux_queue *q, size_t need)
{
	size_t size = PIECE_MIN, like = MIN(q->len + need, (size_t)MUX_PIECE_MAX);
	struct mux_piece *p;

	while (size < like)
		size *= 2;
	size = MAX(size, need);
	if ((p = malloc(sizeof *p + size)) == NULL)
		return ERR_NOMEM;
	p->off = p->end = 0;
	p->size = size;
	list_push(&q->pieces, &p->link);
	return 0;
}

static void piece_add(struct mux_piece *p, const char *from, size_t n)
{
	memcpy(p->mem + p->end, from, n);
	p->end += n;
}

int mux_queue_add(struct mux_queue *q, struct str data)
{
	struct mux_piece *last = list_empty(&q->pieces) ? NULL : piece_of(q->pieces.prev);
	size_t n = last == NULL ? 0 : MIN(last->size - last->end, data.len);

	if (n < data.len && mux_queue_grow(q, data.len - n) != 0)
		return ERR_NOMEM;
	if (n > 0)
		piece_add(last, data.p, n);
	if (n < data.len)
		piece_add(piece_of(q->pieces.prev), data.p + n, data.len - n);
	q->len += data.len;
	return 0;
}

struct str mux_queue_front(const struct mux_queue *q)
{
	const struct mux_piece *p;

	if (list_empty(&q->pieces))
		return (struct str){NULL, 0};
	p = CONTAINER_OF(q->pieces.next, struct mux_piece, link);
	return (struct str){p->mem + p->off, p->end - p->off};
}

void mux_queue_take(struct mux_queue *q, size_t n)
{
	struct mux_piece *p;

	if (n == 0)
		return;
	p = piece_of(q->pieces.next);
	CHECK(n <= p->end - p->off);
	p->off += n;
	q->len -= n;
	if (p->off < p->end)
		return;
	list_del(&p->link);
	free(p);
}
