/* A range is refused quietly: who asks for nonsense gets the whole, never an error. */
#include "proto/http_range.h"

#include <inttypes.h>

#include "base/err.h"
#include "proto/http_field.h"

/*
 * Digits as a number; one that is too large is the largest, since it only means "far behind the
 * end".
 */
static bool http_range_number(struct str s, uint64_t *out)
{
	*out = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)(s.p[i] - '0');

		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*out = *out > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *out * 10 + digit;
	}
	return true;
}

/* One "first-last", "first-" or "-suffix". len 0: outside. Returns false if it is none. */
static bool http_range_one(struct str s, uint64_t size, struct http_range *out)
{
	size_t dash = str_find(s, '-');
	struct str from = {s.p, dash}, to;
	uint64_t first, last = UINT64_MAX;

	if (dash == s.len)
		return false;
	to = (struct str){s.p + dash + 1, s.len - dash - 1};
	if (from.len == 0) {
		if (!http_range_number(to, &last))
			return false;
		last = MIN(last, size);
		*out = (struct http_range){size - last, last};
		return true;
	}
	if (!http_range_number(from, &first) ||
	    (to.len > 0 && (!http_range_number(to, &last) || last < first)))
		return false;
	*out = (struct http_range){first, 0};
	if (first < size)
		out->len = MIN(last, size - 1) - first + 1;
	return true;
}

static bool http_range_overlaps(const struct http_ranges *all, const struct http_range *r)
{
	for (size_t i = 0; i < all->n; i++)
		if (r->first < all->v[i].first + all->v[i].len &&
		    all->v[i].first < r->first + r->len)
			return true;
	return false;
}

enum http_range_want http_range_parse(struct str value, uint64_t size, struct http_ranges *out)
{
	size_t eq = str_find(value, '='), n = 0;
	bool suffix = false;
	struct str rest, one;

	out->n = 0;
	if (eq == value.len || !str_eq_nocase((struct str){value.p, eq}, STR("bytes")))
		return HTTP_RANGE_WHOLE;
	rest = (struct str){value.p + eq + 1, value.len - eq - 1};
	while (http_field_list_next(&rest, &one)) {
		struct http_range r;

		if (++n > HTTP_RANGES_MAX || !http_range_one(one, size, &r))
			return HTTP_RANGE_WHOLE;
		suffix = suffix || (one.p[0] == '-' && size == 0 && !str_eq(one, STR("-0")));
		if (r.len == 0)
			continue;
		if (http_range_overlaps(out, &r))
			return HTTP_RANGE_WHOLE;
		out->v[out->n++] = r;
	}
	if (out->n > 0)
		return HTTP_RANGE_PARTS;
	return n == 0 || suffix ? HTTP_RANGE_WHOLE : HTTP_RANGE_OUTSIDE;
}

size_t http_range_format(const struct http_range *r, uint64_t size, char out[HTTP_RANGE_TEXT])
{
	if (r == NULL)
		return str_printf(out, HTTP_RANGE_TEXT, "bytes */%" PRIu64, size);
	return str_printf(out, HTTP_RANGE_TEXT, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, r->first,
			  r->first + r->len - 1, size);
}
