/*
 * Bytes that have come and were not read yet, in pieces that stay where they are: a queue that
 * grows is not copied anew, which for bulk was a fifth of what a node did (doc/performance.md).
 */
#ifndef KAREZ_SESSION_MUX_QUEUE_H
#define KAREZ_SESSION_MUX_QUEUE_H

#include "base/list.h"
#include "base/str.h"

/* Bytes of one piece, at most: what one read of a carrier brings. */
#define MUX_PIECE_MAX (256 * 1024)

struct mux_queue {
	struct list pieces;
	size_t len; /* bytes in all of them */
};

void mux_queue_init(struct mux_queue *q);

/* Give all memory back; the queue is empty and usable again. */
void mux_queue_free(struct mux_queue *q);

/* Append bytes, which are copied. It holds at most twice what is queued, and two pieces; there is
 * no cap: a stream's window is one. Returns 0 or ERR_NOMEM (nothing was added). */
int mux_queue_add(struct mux_queue *q, struct str data) MUST_CHECK;

/* The bytes at the front that stand together, at least one unless it is empty; valid until they are
 * taken. */
struct str mux_queue_front(const struct mux_queue *q);

/* Drop n bytes of what mux_queue_front() gives. */
void mux_queue_take(struct mux_queue *q, size_t n);

#endif
