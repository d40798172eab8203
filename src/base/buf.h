/* A queue of bytes that grows up to a cap: append at the end, take from the front. */
#ifndef KAREZ_BASE_BUF_H
#define KAREZ_BASE_BUF_H

#include "base/str.h"

/* All zero is an empty buffer that holds no memory. */
struct buf {
	char *mem;	 /* owned; NULL while empty */
	size_t off, len; /* the bytes in use are mem[off .. off+len) */
	size_t size;	 /* bytes allocated */
};

/* Give the memory back; the buffer is empty and usable again. */
void buf_free(struct buf *b);

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){b->mem == NULL ? NULL : b->mem + b->off, b->len};
}

/*
 * Append bytes.
 *   cap  the most bytes this buffer may hold afterwards.
 * Returns 0, ERR_TOOBIG (nothing was added), ERR_NOMEM (nothing was added).
 */
int buf_add(struct buf *b, const void *data, size_t len, size_t cap) MUST_CHECK;

/*
 * Make room for at least `more` bytes after the ones in use, to be filled in place.
 *   *at  set to the room; valid until the next call on b.
 * Returns 0, ERR_TOOBIG, ERR_NOMEM. Follow it with buf_added().
 */
int buf_room(struct buf *b, size_t more, size_t cap, char **at) MUST_CHECK;

/* n bytes were written into the room. */
void buf_added(struct buf *b, size_t n);

/*
 * Put bytes in front of all others.
 *   data  not in b.
 *   cap   the most bytes this buffer may hold afterwards.
 * Returns 0, ERR_TOOBIG (nothing was added), ERR_NOMEM (nothing was added).
 */
int buf_unshift(struct buf *b, const void *data, size_t len, size_t cap) MUST_CHECK;

/* Drop n bytes from the front (n <= len). The memory goes back when nothing is left. */
void buf_take(struct buf *b, size_t n);

/* Append printf output; same errors as buf_add. */
int buf_printf(struct buf *b, size_t cap, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_CHECK;

#endif
