/* A member that is refused is named by its whole path: whoever wrote the script wants to find it.
 */
#include "api/api_body.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "base/err.h"
#include "proto/time_text.h"

/* Bytes of a member's name that are repeated; ours are shorter. */
#define SHOWN_MAX 40

/* The check of one body. The path grows and shrinks with the depth. */
struct api_check {
	struct api_fault *fault;
	bool whole;
	size_t len;
	char path[API_FIELD_TEXT];
};

int api_fault_set(struct api_fault *f, int e, const char *field, const char *fmt, ...)
{
	va_list ap;

	f->e = e;
	str_printf(f->field, sizeof f->field, "%s", field == NULL ? "" : field);
	va_start(ap, fmt);
	vsnprintf(f->detail, sizeof f->detail, fmt, ap);
	va_end(ap);
	return e;
}

static int api_check_fail(struct api_check *k, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int api_check_fail(struct api_check *k, const char *fmt, ...)
{
	va_list ap;

	k->fault->e = ERR_INVAL;
	memcpy(k->fault->field, k->path, k->len + 1);
	va_start(ap, fmt);
	vsnprintf(k->fault->detail, sizeof k->fault->detail, fmt, ap);
	va_end(ap);
	return ERR_INVAL;
}

/* Append a name to the path; returns what it was, for api_check_leave(). */
static size_t api_check_enter(struct api_check *k, struct str name)
{
	size_t was = k->len;

	k->len += str_printf(k->path + was, sizeof k->path - was, "%s" STR_FMT, was == 0 ? "" : ".",
			     STR_ARG(name));
	return was;
}

static void api_check_leave(struct api_check *k, size_t was)
{
	k->len = was;
	k->path[was] = '\0';
}

/* ---- values ---- */

static bool api_check_has_controls(struct str s, bool lines)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == 0x7f || (c < ' ' && !(lines && (c == '\n' || c == '\r' || c == '\t'))))
			return true;
	}
	return false;
}

static int api_check_words(struct api_check *k, struct str s, const char *const *words)
{
	char all[API_DETAIL_TEXT];
	size_t n = 0;

	for (const char *const *w = words; *w != NULL; w++) {
		if (str_eq(s, str_of(*w)))
			return 0;
		n += str_printf(all + n, sizeof all - n, "%s\"%s\"", n == 0 ? "" : ", ", *w);
	}
	return api_check_fail(k, "must be one of %s", all);
}

static int api_check_text(struct api_check *k, const struct json *j, const struct api_field *f,
			  uint64_t min, uint64_t max)
{
	struct str s;

	if (json_text(j, &s) != 0)
		return api_check_fail(k, "must be a text");
	if (f->words != NULL)
		return api_check_words(k, s, f->words);
	if (s.len < min || s.len > max)
		return api_check_fail(k, "must have %llu to %llu bytes, not %zu",
				      (unsigned long long)min, (unsigned long long)max, s.len);
	if (api_check_has_controls(s, f->flags & API_LINES))
		return api_check_fail(k, "must not hold control characters");
	return 0;
}

static int api_check_number(struct api_check *k, const struct json *j, const struct api_field *f)
{
	uint64_t n;

	if (json_number(j, f->max, &n) != 0 || n < f->min)
		return api_check_fail(k, "must be a whole number from %llu to %llu",
				      (unsigned long long)f->min, (unsigned long long)f->max);
	return 0;
}

static int api_check_time(struct api_check *k, const struct json *j)
{
	struct str s;
	int64_t ms;

	if (json_text(j, &s) == 0 && time_text_parse(s, &ms) == 0)
		return 0;
	return api_check_fail(k, "must be a time of RFC 3339, as \"2026-11-21T03:00:00Z\"");
}

static int api_check_object(struct api_check *k, const struct json *j, const struct api_schema *s);

static int api_check_list(struct api_check *k, const struct json *j, const struct api_field *f)
{
	size_t n = json_count(j);
	bool whole = k->whole;
	int e = 0;

	if (json_kind(j) == JSON_IS_NUMBER && (f->flags & API_COUNTED))
		return 0;
	if (json_kind(j) != JSON_IS_LIST)
		return api_check_fail(k, "must be a list");
	if (n < f->min || n > f->max)
		return api_check_fail(k, "must have at most %llu entries, not %zu",
				      (unsigned long long)f->max, n);
	k->whole = true; /* an entry is made anew, never changed */
	for (size_t i = 0; i < n && e == 0; i++) {
		char index[24];
		size_t len = str_printf(index, sizeof index, "%zu", i);
		size_t was = api_check_enter(k, (struct str){index, len});

		e = f->of != NULL ? api_check_object(k, json_at(j, i), f->of)
				  : api_check_text(k, json_at(j, i), f, 1, f->text_max);
		api_check_leave(k, was);
	}
	k->whole = whole;
	return e;
}

static int api_check_value(struct api_check *k, const struct json *j, const struct api_field *f)
{
	if (f->flags & API_READ_ONLY)
		return 0;
	if (json_kind(j) == JSON_IS_NULL && (f->flags & API_NULLABLE))
		return 0;
	switch (f->type) {
	case API_TEXT: return api_check_text(k, j, f, f->min, f->max);
	case API_NUMBER: return api_check_number(k, j, f);
	case API_BOOL:
		return json_kind(j) == JSON_IS_BOOL ? 0
						    : api_check_fail(k, "must be true or false");
	case API_TIME: return api_check_time(k, j);
	case API_OBJECT: return api_check_object(k, j, f->of);
	case API_LIST: return api_check_list(k, j, f);
	}
	return 0;
}

/* ---- objects ---- */

static const struct api_field *api_check_find(const struct api_schema *s, struct str name)
{
	const struct api_field *f;

	for (size_t i = 0; (f = api_schema_field(s, i)) != NULL; i++)
		if (str_eq(name, str_of(f->name)))
			return f;
	return NULL;
}

/* Where a text of somebody else is cut: not within a character. */
static struct str api_check_shown(struct str name)
{
	if (name.len <= SHOWN_MAX)
		return name;
	name.len = SHOWN_MAX;
	while (name.len > 0 && ((unsigned char)name.p[name.len] & 0xc0) == 0x80)
		name.len--;
	return name;
}

static int api_check_required(struct api_check *k, const struct json *j, const struct api_schema *s)
{
	const struct api_field *f;

	for (size_t i = 0; (f = api_schema_field(s, i)) != NULL; i++) {
		struct str name;
		const struct json *value;
		bool there = false;
		void *at = NULL;

		if (!(f->flags & API_REQUIRED))
			continue;
		while (json_each(j, &at, &name, &value))
			there |= str_eq(name, str_of(f->name));
		if (!there) {
			(void)api_check_enter(k, str_of(f->name));
			return api_check_fail(k, "is missing");
		}
	}
	return 0;
}

static int api_check_object(struct api_check *k, const struct json *j, const struct api_schema *s)
{
	const struct json *value;
	struct str name;
	void *at = NULL;
	int e = 0;

	if (json_kind(j) != JSON_IS_OBJECT)
		return api_check_fail(k, "must be an object");
	while (e == 0 && json_each(j, &at, &name, &value)) {
		const struct api_field *f = api_check_find(s, name);
		size_t was = api_check_enter(k, api_check_shown(name));

		e = f != NULL ? api_check_value(k, value, f)
			      : api_check_fail(k, "there is no such member here");
		api_check_leave(k, was);
	}
	if (e == 0 && k->whole)
		e = api_check_required(k, j, s);
	return e;
}

int api_body_parse(struct str text, const struct api_schema *s, bool whole, struct json **out,
		   struct api_fault *fault)
{
	struct api_check k = {.fault = fault, .whole = whole};
	struct json *j = NULL;
	int e = json_parse(text, API_LARGE_BODY_MAX, &j);

	*fault = (struct api_fault){0};
	if (e == ERR_PROTO)
		return api_fault_set(fault, e, NULL,
				     "the body is not JSON (RFC 8259), names a member twice, or "
				     "holds a NUL or a number that is too large");
	if (e == ERR_TOOBIG)
		return api_fault_set(fault, e, NULL, "the body is nested too deeply");
	if (e != 0)
		return api_fault_set(fault, e, NULL,
				     "the server is out of memory; try again later");
	if (json_kind(j) != JSON_IS_OBJECT)
		e = api_fault_set(fault, ERR_INVAL, NULL, "the body must be an object");
	else
		e = api_check_object(&k, j, s);
	if (e == 0)
		MOVE(*out, j);
	json_free(j);
	return e;
}

/* ---- what was checked ---- */

bool api_body_text(const struct json *obj, const char *key, struct str *out)
{
	return json_get_text(obj, key, out) == 0;
}

bool api_body_bool(const struct json *obj, const char *key, bool *out)
{
	return json_get_bool(obj, key, out) == 0;
}

bool api_body_number(const struct json *obj, const char *key, uint64_t *out)
{
	return json_get_number(obj, key, JSON_NUMBER_MAX, out) == 0;
}

bool api_body_time(const struct json *obj, const char *key, int64_t *out)
{
	struct str s;

	return json_get_text(obj, key, &s) == 0 && time_text_parse(s, out) == 0;
}

const struct json *api_body_object(const struct json *obj, const char *key)
{
	const struct json *out;

	return json_get_object(obj, key, &out) == 0 ? out : NULL;
}

const struct json *api_body_list(const struct json *obj, const char *key)
{
	const struct json *out;

	return json_get_list(obj, key, &out) == 0 ? out : NULL;
}
