/*
 * JSON values: read from bounded text, made, written compactly. The only module that knows jansson.
 * Source: RFC 8259.
 *
 * A value belongs to what it was put into; only the root is freed. What a getter lends lives as
 * long as the root and until the member it came from is set anew or dropped.
 */
#ifndef KAREZ_PROTO_JSON_H
#define KAREZ_PROTO_JSON_H

#include "base/buf.h"

/* Objects and lists within each other, at most. */
#define JSON_NESTING_MAX 32

/* The greatest number that can be read or written here: 2^63 - 1. */
#define JSON_NUMBER_MAX ((uint64_t)INT64_MAX)

struct json;

/*
 * Read one object or list, with nothing but white space around it.
 *   text  UTF-8.
 *   max   bytes of text allowed.
 *   *out  set on success; json_free() it.
 * Returns 0, ERR_TOOBIG (longer than max, nested deeper than JSON_NESTING_MAX), ERR_PROTO (syntax,
 * a member twice, a NUL in a text, not UTF-8, a number out of range) or ERR_NOMEM.
 */
int json_parse(struct str text, size_t max, struct json **out) MUST_CHECK;

/* Free a root and all that is in it. NULL is allowed. */
void json_free(struct json *j);

/* ---- reading ---- */

/*
 * A member of an object.
 *   obj   anything; what is not an object gives ERR_INVAL.
 *   key   NUL-terminated.
 *   *out  set on success only; borrowed. A text may hold control characters, but no NUL, and is
 *         NUL-terminated.
 * Return 0, ERR_NOTFOUND (no such member, or it is null), ERR_INVAL (of another type).
 */
int json_get_text(const struct json *obj, const char *key, struct str *out) MUST_CHECK;
int json_get_bool(const struct json *obj, const char *key, bool *out) MUST_CHECK;
int json_get_list(const struct json *obj, const char *key, const struct json **out) MUST_CHECK;
int json_get_object(const struct json *obj, const char *key, const struct json **out) MUST_CHECK;

/* The same; a fraction or a negative number is ERR_INVAL, one above max is ERR_TOOBIG. */
int json_get_number(const struct json *obj, const char *key, uint64_t max,
		    uint64_t *out) MUST_CHECK;

/* How many entries a list or members an object has; 0 for anything else. */
size_t json_count(const struct json *j);

/* Entry i < json_count() of a list; borrowed, NULL when there is none. */
const struct json *json_at(const struct json *list, size_t i);

/* A value that is a text itself: 0 or ERR_INVAL. For the entries of a list. */
int json_text(const struct json *j, struct str *out) MUST_CHECK;

/* What a value is. Numbers with a fraction or an exponent, and negative ones, are JSON_IS_OTHER. */
enum json_kind {
	JSON_IS_NULL,
	JSON_IS_TEXT,
	JSON_IS_NUMBER,
	JSON_IS_BOOL,
	JSON_IS_OBJECT,
	JSON_IS_LIST,
	JSON_IS_OTHER,
};
enum json_kind json_kind(const struct json *j);

/* A value that is a number itself; errors as json_get_number(). */
int json_number(const struct json *j, uint64_t max, uint64_t *out) MUST_CHECK;

/*
 * Walk the members of an object in the order they were set.
 *   *at          NULL before the first; then left alone. The object must not be changed meanwhile.
 *   *key, *value set on true; borrowed.
 * Returns false behind the last one.
 */
bool json_each(const struct json *obj, void **at, struct str *key, const struct json **value);

/* ---- making ---- */

/* An empty one; json_free() it unless it is put into another. Return 0 or ERR_NOMEM. */
int json_new_object(struct json **out) MUST_CHECK;
int json_new_list(struct json **out) MUST_CHECK;

/*
 * Set a member of an object, in place of what was there; an existing member keeps its place.
 *   key    NUL-terminated UTF-8.
 *   value  text: UTF-8 without NUL, copied.
 * Return 0, ERR_INVAL (not such a text, not an object), ERR_TOOBIG (above JSON_NUMBER_MAX),
 * ERR_NOMEM.
 */
int json_set_text(struct json *obj, const char *key, struct str value) MUST_CHECK;
int json_set_number(struct json *obj, const char *key, uint64_t value) MUST_CHECK;
int json_set_bool(struct json *obj, const char *key, bool value) MUST_CHECK;
int json_set_null(struct json *obj, const char *key) MUST_CHECK;

/* The same for an object or list. *value is taken over in any case and NULL afterwards. */
int json_set(struct json *obj, const char *key, struct json **value) MUST_CHECK;

/* Remove a member; harmless when there is none. */
void json_unset(struct json *obj, const char *key);

/* Append to a list; errors and ownership as above. */
int json_add_text(struct json *list, struct str value) MUST_CHECK;
int json_add_number(struct json *list, uint64_t value) MUST_CHECK;
int json_add(struct json *list, struct json **value) MUST_CHECK;

/*
 * Append the text of a value to b: compact, on one line, no newline at the end.
 *   cap  the most bytes b may hold afterwards.
 * Returns 0, or with b unchanged: ERR_TOOBIG, ERR_NOMEM.
 */
int json_write(const struct json *j, size_t cap, struct buf *b) MUST_CHECK;

#endif
