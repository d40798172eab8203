/* One contiguous block, moved to its front when the tail runs out: simple, and readable in place.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define FIRST_SIZE 256

void buf_free(struct buf *b)
{
	free(b->mem);
	memset(b, 0, sizeof *b);
}

int buf_room(struct buf *b, size_t more, size_t cap, char **at)
{
	size_t size, need;
	char *mem;

	if (more > cap || b->len > cap - more)
		return ERR_TOOBIG;
	if (b->mem == NULL || b->size - b->off - b->len < more) {
		if (b->mem != NULL && b->size - b->len >= more && b->off >= b->len) {
			memcpy(b->mem, b->mem + b->off, b->len);
		} else {
			/* A queue that stays nearly full must not be copied for every byte. */
			need = b->len + more + (b->off > 0 ? b->len / 2 : 0);
			size = MAX(b->size, FIRST_SIZE);
			while (size < need)
				size *= 2;
			if ((mem = malloc(size)) == NULL)
				return ERR_NOMEM;
			if (b->len > 0)
				memcpy(mem, b->mem + b->off, b->len);
			free(b->mem);
			b->mem = mem;
			b->size = size;
		}
		b->off = 0;
	}
	*at = b->mem + b->off + b->len;
	return 0;
}

void buf_added(struct buf *b, size_t n)
{
	CHECK(b->off + b->len + n <= b->size);
	b->len += n;
}

int buf_add(struct buf *b, const void *data, size_t len, size_t cap)
{
	char *at;
	int e;

	if (len == 0)
		return 0;
	if ((e = buf_room(b, len, cap, &at)) != 0)
		return e;
	memcpy(at, data, len);
	b->len += len;
	return 0;
}

int buf_unshift(struct buf *b, const void *data, size_t len, size_t cap)
{
	struct str behind = buf_str(b);
	struct buf whole = {NULL};
	int e;

	if (len == 0)
		return 0;
	if (len > b->off) { /* no room where bytes were taken */
		if ((e = buf_add(&whole, data, len, cap)) != 0 ||
		    (e = buf_add(&whole, behind.p, behind.len, cap)) != 0) {
			buf_free(&whole);
			return e;
		}
		buf_free(b);
		*b = whole;
		return 0;
	}
	if (len > cap || b->len > cap - len)
		return ERR_TOOBIG;
	b->off -= len;
	b->len += len;
	memcpy(b->mem + b->off, data, len);
	return 0;
}

void buf_take(struct buf *b, size_t n)
{
	CHECK(n <= b->len);
	b->off += n;
	b->len -= n;
	if (b->len == 0)
		buf_free(b);
}

int buf_printf(struct buf *b, size_t cap, const char *fmt, ...)
{
	va_list ap;
	char *at;
	int n, e;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	CHECK(n >= 0);
	if ((e = buf_room(b, (size_t)n + 1, cap + 1, &at)) != 0)
		return e;
	va_start(ap, fmt);
	vsnprintf(at, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}
