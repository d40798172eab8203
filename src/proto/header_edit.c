/*
 * A record is copied as a value, and most tunnels change nothing: so all fields stand packed in one
 * bounded piece of memory, of which only what is used travels further.
 *
 * A field: one byte which list, one byte the name's length, two the value's, name, value.
 */
#include "proto/header_edit.h"

#include <string.h>

#include "base/err.h"

#define PACKED_HEAD 4

_Static_assert(HEADER_EDIT_NAME_MAX <= UINT8_MAX && HEADER_EDIT_VALUE_MAX <= UINT16_MAX,
	       "lengths fit their bytes");

static const char *const header_edit_names[HEADER_EDITS] = {
	[HEADER_REQUEST_REMOVE] = "request_remove",
	[HEADER_REQUEST_ADD] = "request_add",
	[HEADER_RESPONSE_REMOVE] = "response_remove",
	[HEADER_RESPONSE_ADD] = "response_add",
};

const char *header_edit_name(enum header_edit what)
{
	return what < HEADER_EDITS ? header_edit_names[what] : NULL;
}

static bool header_edit_adds(enum header_edit what)
{
	return what == HEADER_REQUEST_ADD || what == HEADER_RESPONSE_ADD;
}

/* ---- one entry ---- */

static bool header_edit_value_ok(struct str s)
{
	return s.len <= HEADER_EDIT_VALUE_MAX && http_field_value_ok(s) &&
	       str_find(s, '\t') == s.len;
}

int header_edit_split(enum header_edit what, struct str text, struct http_field *out,
		      const char **why)
{
	size_t colon = str_find(text, ':');
	struct str name = {text.p, colon}, value = {0};

	if (header_edit_adds(what) && colon == text.len) {
		*why = "must be \"Name: value\"";
		return ERR_INVAL;
	}
	if (header_edit_adds(what))
		value = str_trim((struct str){text.p + colon + 1, text.len - colon - 1});
	else
		name = text;
	if (name.len > HEADER_EDIT_NAME_MAX || !http_field_name_ok(name)) {
		*why = header_edit_adds(what)
			       ? "must begin with the name of a field: 1 to 64 letters, digits and "
				 "hyphens, then \":\""
			       : "must be the name of a field: 1 to 64 letters, digits and hyphens";
		return ERR_INVAL;
	}
	if (!header_edit_value_ok(value)) {
		*why = "must have a value of at most 1024 bytes without control characters";
		return ERR_INVAL;
	}
	*out = (struct http_field){.name = name, .value = value};
	http_field_classify(out);
	return 0;
}

size_t header_edit_format(enum header_edit what, const struct http_field *f,
			  char out[HEADER_EDIT_TEXT])
{
	return str_printf(out, HEADER_EDIT_TEXT, STR_FMT "%s" STR_FMT, STR_ARG(f->name),
			  header_edit_adds(what) ? ": " : "", STR_ARG(f->value));
}

/* How a name is compared; lower case. */
static char header_edit_char(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
}

static bool header_edit_begins(struct str name, struct str lower)
{
	for (size_t i = 0; i < lower.len; i++)
		if (i >= name.len || header_edit_char(name.p[i]) != lower.p[i])
			return false;
	return true;
}

static bool header_edit_same(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (header_edit_char(a.p[i]) != header_edit_char(b.p[i]))
			return false;
	return true;
}

/* What stands against changing it, NULL: nothing. */
static const char *header_edit_forbidden(enum header_edit what, const struct http_field *f)
{
	bool request = what == HEADER_REQUEST_REMOVE || what == HEADER_REQUEST_ADD;

	if ((f->flags & HTTP_F_HOST) != 0)
		return "is Host, which has a setting of its own: it cannot be added or removed";
	if ((f->flags & (HTTP_F_HOP | HTTP_F_FRAMING)) != 0 ||
	    header_edit_begins(f->name, STR("proxy-")))
		return "is about the connection or the length of a message: this server writes "
		       "that itself";
	if (request && ((f->flags & (HTTP_F_FORWARDING | HTTP_F_VIA)) != 0 ||
			header_edit_begins(f->name, STR("x-forwarded-")) ||
			header_edit_same(f->name, STR("cdn-loop"))))
		return "says where a request comes from: this server vouches for that";
	if ((f->flags & HTTP_F_ALIAS) != 0)
		return "can be taken for a field that this server writes itself";
	return NULL;
}

int header_edit_check(enum header_edit what, struct str text, struct http_field *out,
		      const char **why)
{
	int e = header_edit_split(what, text, out, why);

	if (e != 0)
		return e;
	*why = header_edit_forbidden(what, out);
	return *why == NULL ? 0 : ERR_INVAL;
}

/* ---- lists ---- */

struct str header_edits_str(const struct header_edits *h)
{
	return (struct str){h->bytes, h->len};
}

/* The field at *at, whatever its list; *at: behind it. */
static bool header_edits_any(struct str bytes, size_t *at, enum header_edit *what,
			     struct http_field *out)
{
	const unsigned char *p;
	size_t name_len, value_len;

	if (*at == bytes.len)
		return false;
	p = (const unsigned char *)bytes.p + *at;
	CHECK(bytes.len - *at > PACKED_HEAD);
	*what = p[0];
	name_len = p[1];
	value_len = (size_t)p[2] << 8 | p[3];
	CHECK(bytes.len - *at - PACKED_HEAD >= name_len + value_len);
	*out = (struct http_field){.name = {bytes.p + *at + PACKED_HEAD, name_len},
				   .value = {bytes.p + *at + PACKED_HEAD + name_len, value_len}};
	*at += PACKED_HEAD + name_len + value_len;
	return true;
}

bool header_edits_next(struct str bytes, enum header_edit what, size_t *at, struct http_field *out)
{
	enum header_edit is;

	while (header_edits_any(bytes, at, &is, out)) {
		if (is != what)
			continue;
		http_field_classify(out);
		return true;
	}
	return false;
}

int header_edits_put(struct header_edits *h, enum header_edit what, const struct http_field *f)
{
	size_t len = PACKED_HEAD + f->name.len + f->value.len, at = 0, n = 0;
	struct http_field other;
	unsigned char *p;

	CHECK(f->name.len <= HEADER_EDIT_NAME_MAX && f->value.len <= HEADER_EDIT_VALUE_MAX);
	while (header_edits_next(header_edits_str(h), what, &at, &other))
		n++;
	if (n == HEADER_EDIT_MAX)
		return ERR_LIMIT;
	if (len > sizeof h->bytes - h->len)
		return ERR_TOOBIG;
	p = (unsigned char *)h->bytes + h->len;
	p[0] = (unsigned char)what;
	p[1] = (unsigned char)f->name.len;
	p[2] = (unsigned char)(f->value.len >> 8);
	p[3] = (unsigned char)f->value.len;
	memcpy(p + PACKED_HEAD, f->name.p, f->name.len);
	if (f->value.len > 0)
		memcpy(p + PACKED_HEAD + f->name.len, f->value.p, f->value.len);
	h->len += len;
	return 0;
}

int header_edits_merge(struct header_edits *h, const struct header_edits *from, unsigned which)
{
	struct header_edits merged = {0};
	struct http_field f;
	int e = 0;

	for (unsigned what = 0; what < HEADER_EDITS && e == 0; what++) {
		const struct header_edits *src = (which & 1u << what) != 0 ? from : h;
		size_t at = 0;

		while (e == 0 && header_edits_next(header_edits_str(src), what, &at, &f))
			e = header_edits_put(&merged, what, &f);
	}
	if (e == 0)
		*h = merged;
	return e;
}

/* ---- questions ---- */

size_t header_edits_room(struct str bytes, enum header_edit what)
{
	struct http_field f;
	enum header_edit is;
	size_t at = 0, room = 0;

	while (header_edits_any(bytes, &at, &is, &f))
		if (is == what)
			room += f.name.len + f.value.len + 4; /* ": " and the line's end */
	return room;
}

bool header_edits_has(struct str bytes, enum header_edit what, struct str name)
{
	enum header_edit is;
	struct http_field f;
	size_t at = 0;

	while (header_edits_any(bytes, &at, &is, &f))
		if (is == what && header_edit_same(f.name, name))
			return true;
	return false;
}
