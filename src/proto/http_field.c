/*
 * Every field of every head is looked up once. A perfect hash made by the compiler out of
 * http_field.def does it with one comparison, and the table of names stays a table.
 */
#include "proto/http_field.h"

#include <string.h>

#include "proto/http_char.h"

#define HTTP_FIELD_NAME_MAX 24	/* of the known ones */
#define HTTP_FIELD_SLOTS    128 /* more than three times the names, so that few share a slot */

/* Chosen so that no two names fall into one slot; if a new name does, choose others. */
#define HTTP_FIELD_SLOT(len, first, last_but_one) \
	(((len)*2 + (first)*6 + (last_but_one)*7) & (HTTP_FIELD_SLOTS - 1))

static const uint8_t http_field_slots[HTTP_FIELD_SLOTS] = {
#define FIELD(id, name, first, last_but_one, flags) \
	[HTTP_FIELD_SLOT(sizeof(name) - 1, first, last_but_one)] = HTTP_FIELD_##id,
#include "proto/http_field.def"
#undef FIELD
};

static const struct http_field_row {
	uint8_t len, flags;
	char name[HTTP_FIELD_NAME_MAX + 1];
} http_field_rows[HTTP_FIELD_IDS] = {
#define FIELD(id, name, first, last_but_one, flags) \
	[HTTP_FIELD_##id] = {sizeof(name) - 1, flags, name},
#include "proto/http_field.def"
#undef FIELD
};

/*
 * Are they equal but for case?
 *   name   [len] token characters: of those, only letters come to a lower-case letter, and only "-"
 *          and digits to themselves, when bit 5 is set.
 *   lower  [len] a known name.
 */
static bool http_field_same(const char *name, const char *lower, size_t len)
{
	const uint64_t bit5 = UINT64_C(0x2020202020202020);
	uint64_t a, b;

	if (len < 8) {
		for (size_t i = 0; i < len; i++)
			if ((name[i] | 0x20) != lower[i])
				return false;
		return true;
	}
	for (size_t i = 0; i < len; i += 8) {
		size_t at = MIN(i, len - 8);

		memcpy(&a, name + at, sizeof a);
		memcpy(&b, lower + at, sizeof b);
		if ((a | bit5) != b)
			return false;
	}
	return true;
}

/* http_field_id for a name that is known to be a token. */
static enum http_field_id http_field_find(struct str name)
{
	const struct http_field_row *row;
	unsigned first, last_but_one;
	uint8_t id;

	if (name.len < 2 || name.len > HTTP_FIELD_NAME_MAX)
		return HTTP_FIELD_OTHER;
	first = (unsigned char)(name.p[0] | 0x20);
	last_but_one = (unsigned char)(name.p[name.len - 2] | 0x20);
	id = http_field_slots[HTTP_FIELD_SLOT(name.len, first, last_but_one)];
	row = &http_field_rows[id];
	if (row->len != name.len || !http_field_same(name.p, row->name, name.len))
		return HTTP_FIELD_OTHER;
	return id;
}

/* Does a name become a flagged one when '_' is read as '-'? */
static bool http_field_is_alias(struct str name)
{
	char copy[HTTP_FIELD_NAME_MAX];

	if (name.len > sizeof copy || memchr(name.p, '_', name.len) == NULL)
		return false;
	for (size_t i = 0; i < name.len; i++)
		copy[i] = name.p[i] == '_' ? '-' : name.p[i];
	return http_field_rows[http_field_find((struct str){copy, name.len})].flags != 0;
}

void http_field_classify(struct http_field *f)
{
	f->id = http_field_find(f->name);
	f->flags = http_field_rows[f->id].flags;
	if (f->id == HTTP_FIELD_OTHER && http_field_is_alias(f->name))
		f->flags = HTTP_F_ALIAS;
}

enum http_field_id http_field_id(struct str name)
{
	return http_field_name_ok(name) ? http_field_find(name) : HTTP_FIELD_OTHER;
}

struct str http_field_name(enum http_field_id id)
{
	CHECK(id < HTTP_FIELD_IDS);
	return (struct str){http_field_rows[id].name, http_field_rows[id].len};
}

bool http_field_name_ok(struct str s)
{
	return s.len > 0 && http_char_skip(s.p, s.p + s.len, HTTP_CHAR_TOKEN) == s.p + s.len;
}

bool http_field_value_ok(struct str s)
{
	return s.len == 0 || http_char_skip_value(s.p, s.p + s.len) == s.p + s.len;
}

bool http_field_list_next(struct str *rest, struct str *element)
{
	while (str_next(rest, ',', element)) {
		*element = str_trim(*element);
		if (element->len > 0)
			return true;
	}
	return false;
}

bool http_field_list_has(struct str list, struct str element)
{
	struct str piece;

	while (http_field_list_next(&list, &piece))
		if (str_eq_nocase(piece, element))
			return true;
	return false;
}
