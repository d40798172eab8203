/*
 * A thin coat over jansson: the rest of karez sees values without reference counts, errors of our
 * table, and bounds that jansson does not have.
 */
#include "proto/json.h"

#include <string.h>

#include <jansson.h>

#include "base/err.h"

/* Bytes that most texts fit into: a longer one is made twice, the first time to be measured. */
#define JSON_WRITE_GUESS 2048

static json_t *json_of(const struct json *j)
{
	return (json_t *)(uintptr_t)j;
}

/*
 * jansson recurses to a depth of its own making, in reading and in freeing, so the depth is counted
 * before it sees the text. What is not JSON may be miscounted: it is refused anyway.
 */
static bool json_is_shallow(struct str text)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '[') && ++depth > JSON_NESTING_MAX)
			return false;
		else if (!quoted && (c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return true;
}

int json_parse(struct str text, size_t max, struct json **out)
{
	json_error_t why;
	json_t *root;

	if (text.len > max || !json_is_shallow(text))
		return ERR_TOOBIG;
	if (text.len == 0)
		return ERR_PROTO;
	root = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, &why);
	if (root == NULL)
		return json_error_code(&why) == json_error_out_of_memory ? ERR_NOMEM : ERR_PROTO;
	*out = (struct json *)root;
	return 0;
}

void json_free(struct json *j)
{
	json_decref(json_of(j));
}

/* ---- reading ---- */

static int json_member(const struct json *obj, const char *key, json_t **out)
{
	if (!json_is_object(json_of(obj)))
		return ERR_INVAL;
	*out = json_object_get(json_of(obj), key);
	return *out == NULL || json_is_null(*out) ? ERR_NOTFOUND : 0;
}

int json_text(const struct json *j, struct str *out)
{
	if (!json_is_string(json_of(j)))
		return ERR_INVAL;
	*out = (struct str){json_string_value(json_of(j)), json_string_length(json_of(j))};
	return 0;
}

int json_get_text(const struct json *obj, const char *key, struct str *out)
{
	json_t *j;
	int e = json_member(obj, key, &j);

	return e != 0 ? e : json_text((struct json *)j, out);
}

int json_get_bool(const struct json *obj, const char *key, bool *out)
{
	json_t *j;
	int e;

	if ((e = json_member(obj, key, &j)) != 0)
		return e;
	if (!json_is_boolean(j))
		return ERR_INVAL;
	*out = json_is_true(j);
	return 0;
}

static int json_get_typed(const struct json *obj, const char *key, json_type type,
			  const struct json **out)
{
	json_t *j;
	int e;

	if ((e = json_member(obj, key, &j)) != 0)
		return e;
	if (json_typeof(j) != type)
		return ERR_INVAL;
	*out = (struct json *)j;
	return 0;
}

int json_get_list(const struct json *obj, const char *key, const struct json **out)
{
	return json_get_typed(obj, key, JSON_ARRAY, out);
}

int json_get_object(const struct json *obj, const char *key, const struct json **out)
{
	return json_get_typed(obj, key, JSON_OBJECT, out);
}

int json_number(const struct json *j, uint64_t max, uint64_t *out)
{
	json_int_t value;

	if (!json_is_integer(json_of(j)) || (value = json_integer_value(json_of(j))) < 0)
		return ERR_INVAL;
	if ((uint64_t)value > max)
		return ERR_TOOBIG;
	*out = (uint64_t)value;
	return 0;
}

int json_get_number(const struct json *obj, const char *key, uint64_t max, uint64_t *out)
{
	json_t *j;
	int e = json_member(obj, key, &j);

	return e != 0 ? e : json_number((struct json *)j, max, out);
}

enum json_kind json_kind(const struct json *j)
{
	switch (json_typeof(json_of(j))) {
	case JSON_NULL: return JSON_IS_NULL;
	case JSON_STRING: return JSON_IS_TEXT;
	case JSON_INTEGER:
		return json_integer_value(json_of(j)) < 0 ? JSON_IS_OTHER : JSON_IS_NUMBER;
	case JSON_TRUE:
	case JSON_FALSE: return JSON_IS_BOOL;
	case JSON_OBJECT: return JSON_IS_OBJECT;
	case JSON_ARRAY: return JSON_IS_LIST;
	default: return JSON_IS_OTHER;
	}
}

size_t json_count(const struct json *j)
{
	return json_is_array(json_of(j)) ? json_array_size(json_of(j))
					 : json_object_size(json_of(j));
}

const struct json *json_at(const struct json *list, size_t i)
{
	return (const struct json *)json_array_get(json_of(list), i);
}

bool json_each(const struct json *obj, void **at, struct str *key, const struct json **value)
{
	*at = *at == NULL ? json_object_iter(json_of(obj))
			  : json_object_iter_next(json_of(obj), *at);
	if (*at == NULL)
		return false;
	*key = (struct str){json_object_iter_key(*at), json_object_iter_key_len(*at)};
	*value = (const struct json *)json_object_iter_value(*at);
	return true;
}

/* ---- making ---- */

int json_new_object(struct json **out)
{
	*out = (struct json *)json_object();
	return *out == NULL ? ERR_NOMEM : 0;
}

int json_new_list(struct json **out)
{
	*out = (struct json *)json_array();
	return *out == NULL ? ERR_NOMEM : 0;
}

/* jansson does not say why it made no text: find out. */
static int json_make_text(struct str value, json_t **out)
{
	if (value.len > 0 && memchr(value.p, '\0', value.len) != NULL)
		return ERR_INVAL;
	*out = json_stringn(value.len > 0 ? value.p : "", value.len);
	if (*out != NULL)
		return 0;
	*out = json_stringn_nocheck("", 0);
	if (*out == NULL)
		return ERR_NOMEM;
	json_decref(*out);
	*out = NULL;
	return ERR_INVAL;
}

int json_set(struct json *obj, const char *key, struct json **value)
{
	json_t *j = json_of(*value);

	*value = NULL;
	if (j == NULL)
		return ERR_NOMEM;
	if (!json_is_object(json_of(obj))) {
		json_decref(j);
		return ERR_INVAL;
	}
	return json_object_set_new(json_of(obj), key, j) == 0 ? 0 : ERR_NOMEM;
}

int json_set_text(struct json *obj, const char *key, struct str value)
{
	struct json *j;
	json_t *text;
	int e;

	if ((e = json_make_text(value, &text)) != 0)
		return e;
	j = (struct json *)text;
	return json_set(obj, key, &j);
}

int json_set_number(struct json *obj, const char *key, uint64_t value)
{
	struct json *j;

	if (value > JSON_NUMBER_MAX)
		return ERR_TOOBIG;
	j = (struct json *)json_integer((json_int_t)value);
	return json_set(obj, key, &j);
}

int json_set_bool(struct json *obj, const char *key, bool value)
{
	struct json *j = (struct json *)json_boolean(value);

	return json_set(obj, key, &j);
}

int json_set_null(struct json *obj, const char *key)
{
	struct json *j = (struct json *)json_null();

	return json_set(obj, key, &j);
}

void json_unset(struct json *obj, const char *key)
{
	(void)json_object_del(json_of(obj), key);
}

int json_add(struct json *list, struct json **value)
{
	json_t *j = json_of(*value);

	*value = NULL;
	if (j == NULL)
		return ERR_NOMEM;
	if (!json_is_array(json_of(list))) {
		json_decref(j);
		return ERR_INVAL;
	}
	return json_array_append_new(json_of(list), j) == 0 ? 0 : ERR_NOMEM;
}

int json_add_text(struct json *list, struct str value)
{
	struct json *j;
	json_t *text;
	int e;

	if ((e = json_make_text(value, &text)) != 0)
		return e;
	j = (struct json *)text;
	return json_add(list, &j);
}

int json_add_number(struct json *list, uint64_t value)
{
	struct json *j;

	if (value > JSON_NUMBER_MAX)
		return ERR_TOOBIG;
	j = (struct json *)json_integer((json_int_t)value);
	return json_add(list, &j);
}

static int json_write_into(const struct json *j, size_t cap, struct buf *b)
{
	size_t room = cap > b->len ? MIN(cap - b->len, (size_t)JSON_WRITE_GUESS) : 0, len;
	char *at;
	int e;

	if ((e = buf_room(b, room, cap, &at)) != 0)
		return e;
	len = json_dumpb(json_of(j), at, room, JSON_COMPACT);
	if (len == 0)
		return ERR_NOMEM;
	if (len > room) {
		if ((e = buf_room(b, len, cap, &at)) != 0)
			return e;
		if (json_dumpb(json_of(j), at, len, JSON_COMPACT) != len)
			return ERR_NOMEM;
	}
	buf_added(b, len);
	return 0;
}

int json_write(const struct json *j, size_t cap, struct buf *b)
{
	int e = json_write_into(j, cap, b);

	if (e != 0 && b->len == 0)
		buf_free(b);
	return e;
}
