/*
 * Queries are read where they stand: a pair is two spans, and only who wants a value pays for
 * decoding it. What browsers let pass (a lone '%') is refused, so that nobody can read it
 * otherwise.
 */
#include "proto/query.h"

#include "base/err.h"
#include "base/num.h"
#include "proto/pen.h"

bool query_next(struct str *rest, struct str *name, struct str *value)
{
	struct str pair;

	while (str_next(rest, '&', &pair)) {
		size_t eq = str_find(pair, '=');

		if (pair.len == 0)
			continue;
		*name = (struct str){pair.p, eq};
		*value = (struct str){pair.p + eq, pair.len - eq};
		if (value->len > 0) {
			value->p++;
			value->len--;
		}
		return true;
	}
	return false;
}

/* Take one byte, escaped or not. Returns 0 or ERR_INVAL. */
static int query_byte(struct str *in, char space, char *out)
{
	uint64_t byte = (unsigned char)*in->p;
	size_t n = 1;

	if (*in->p == '%') {
		if (in->len < 3 || num_parse_hex((struct str){in->p + 1, 2}, &byte) != 0)
			return ERR_INVAL;
		n = 3;
	} else if (*in->p == space) {
		byte = ' ';
	}
	in->p += n;
	in->len -= n;
	*out = (char)byte;
	return byte != 0 ? 0 : ERR_INVAL;
}

/* space: the character that stands for one. */
static int query_undo(struct str in, char space, char *out, size_t cap, size_t *len)
{
	struct pen pen = pen_on(out, cap - 1);
	char c;
	int e = 0;

	CHECK(cap > 0);
	while (in.len > 0 && e == 0)
		if ((e = query_byte(&in, space, &c)) == 0)
			pen_char(&pen, c);
	if (e == 0 && pen.full)
		e = ERR_TOOBIG;
	*len = e == 0 ? pen_len(&pen) : 0;
	out[*len] = '\0';
	return e;
}

int query_decode(struct str in, char *out, size_t cap, size_t *len)
{
	return query_undo(in, '+', out, cap, len);
}

int query_unescape(struct str in, char *out, size_t cap, size_t *len)
{
	return query_undo(in, ' ', out, cap, len);
}
