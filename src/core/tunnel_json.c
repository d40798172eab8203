/* A member that is there and wrong is never taken for one that is missing: a right that was meant
 * to keep somebody out must not get lost on the way. */
#include "core/tunnel_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "core/password.h"

/* Bytes of a bearer token of visitors. */
#define BEARER_MIN 16
#define BEARER_MAX 128

static int said_refuse(struct tunnel_json *t, int e, const char *field, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
static int said_refuse(struct tunnel_json *t, int e, const char *field, const char *fmt, ...)
{
	va_list ap;

	str_printf(t->field, sizeof t->field, "%s", field);
	va_start(ap, fmt);
	vsnprintf(t->detail, sizeof t->detail, fmt, ap);
	va_end(ap);
	return e;
}

/* ---- members ---- */

/* Where something stands: an object's member, or an entry of it. */
struct said_at {
	const char *object, *key;
	size_t i; /* SIZE_MAX: no entry */
};

static int said_refuse_at(struct tunnel_json *t, const struct said_at *at, const char *detail)
{
	char field[TUNNEL_JSON_FIELD];

	if (at->i == SIZE_MAX)
		str_printf(field, sizeof field, "%s.%s", at->object, at->key);
	else
		str_printf(field, sizeof field, "%s.%s.%zu", at->object, at->key, at->i);
	return said_refuse(t, ERR_INVAL, field, "%s", detail);
}

/* Only members of these names. */
static int said_known(struct tunnel_json *t, const char *object, const struct json *j,
		      const char *const *keys)
{
	const struct json *value;
	char shown[40];
	struct str key;
	void *at = NULL;

	if (json_kind(j) != JSON_IS_OBJECT)
		return said_refuse(t, ERR_INVAL, object, "must be an object");
	while (json_each(j, &at, &key, &value)) {
		const char *const *k = keys;

		while (*k != NULL && !str_eq(key, str_of(*k)))
			k++;
		if (*k != NULL)
			continue;
		show_ascii(shown, sizeof shown, key);
		return said_refuse(t, ERR_INVAL, object,
				   "must not have \"%s\": it is not known here", shown);
	}
	return 0;
}

/* A list of at most max entries; *out is NULL when it is not there. */
static int said_list(struct tunnel_json *t, const struct json *j, const struct said_at *at,
		     size_t max, const struct json **out)
{
	int e = json_get_list(j, at->key, out);
	char must[64];

	if (e == ERR_NOTFOUND) {
		*out = NULL;
		return 0;
	}
	if (e == 0 && json_count(*out) <= max)
		return 0;
	str_printf(must, sizeof must, "must be a list of at most %zu entries", max);
	return said_refuse_at(t, at, must);
}

/* A text into out; *is: it is there. */
static int said_text(struct tunnel_json *t, const struct json *j, const struct said_at *at,
		     char *out, size_t cap, bool *is)
{
	struct str s;
	int e = json_get_text(j, at->key, &s);
	char must[64];

	*is = e == 0;
	if (e == ERR_NOTFOUND || (e == 0 && str_copy(out, cap, s) == 0))
		return 0;
	str_printf(must, sizeof must, "must be a text of at most %zu bytes", cap - 1);
	return said_refuse_at(t, at, must);
}

/* ---- visitors ---- */

static int said_blocks(struct tunnel_json *t, const struct json *visitors, const char *key,
		       struct cidr *out, size_t *n)
{
	struct said_at at = {"visitors", key, SIZE_MAX};
	const struct json *list;
	int e = said_list(t, visitors, &at, RIGHTS_BLOCKS_MAX, &list);
	struct str s;

	if (e != 0 || list == NULL)
		return e;
	t->set |= out == t->to->rights.allow ? MANAGE_T_ALLOW : MANAGE_T_DENY;
	for (at.i = 0; at.i < json_count(list); at.i++)
		if (json_text(json_at(list, at.i), &s) != 0 || cidr_parse(s, &out[at.i]) != 0)
			return said_refuse_at(t, &at,
					      "must be an address or a block of them: "
					      "\"10.0.0.0/8\", \"::1\"");
	*n = json_count(list);
	return 0;
}

static int said_user_refuse(struct tunnel_json *t, size_t i, const char *key, const char *detail)
{
	char at[32];

	str_printf(at, sizeof at, "basic.%zu.%s", i, key);
	return said_refuse_at(t, &(struct said_at){"visitors", at, SIZE_MAX}, detail);
}

static int said_user_name(struct tunnel_json *t, const struct json *user, size_t i)
{
	struct rights *r = &t->to->rights;
	struct rights_user *u = &r->users[i];
	struct str name;

	if (json_get_text(user, "user", &name) != 0 || name.len == 0 ||
	    str_copy(u->name, sizeof u->name, name) != 0)
		return said_user_refuse(t, i, "user", "must be a text of 1 to 63 bytes");
	if (str_find(name, ':') != name.len)
		return said_user_refuse(t, i, "user", "must not hold a colon");
	for (size_t k = 0; k < i; k++)
		if (strcmp(r->users[k].name, u->name) == 0)
			return said_user_refuse(t, i, "user", "stands twice in the list");
	return 0;
}

/*
 * A hash of another cost would be an attack on whoever checks it. One without either keeps what is
 * there.
 */
static int said_user_secret(struct tunnel_json *t, const struct json *user, size_t i)
{
	struct rights_user *u = &t->to->rights.users[i];
	struct str password, hash;
	int p = json_get_text(user, "password", &password), h = json_get_text(user, "hash", &hash);

	if (p != ERR_NOTFOUND && !t->plain)
		return said_user_refuse(t, i, "password",
					"is not taken from an agent: say its \"hash\" instead");
	if (p == ERR_INVAL || (p == 0 && (password.len == 0 || password.len > PASSWORD_MAX)))
		return said_user_refuse(t, i, "password", "must be a text of 1 to 512 bytes");
	if (h == ERR_NOTFOUND)
		return 0;
	if (p == 0)
		return said_user_refuse(t, i, "hash",
					"and \"password\" mean the same; leave one of the two out");
	if (h != 0 || !password_hash_ok(hash) || str_copy(u->hash, sizeof u->hash, hash) != 0)
		return said_user_refuse(t, i, "hash",
					"must be \"$scrypt$ln=14,r=8,p=1$SALT$KEY\", of just that "
					"cost");
	return 0;
}

static int said_users(struct tunnel_json *t, const struct json *visitors)
{
	static const char *const keys[] = {"user", "password", "hash", NULL};
	const struct said_at at = {"visitors", "basic", SIZE_MAX};
	const struct json *list;
	int e = said_list(t, visitors, &at, RIGHTS_USERS_MAX, &list);

	if (e != 0 || list == NULL)
		return e;
	t->set |= MANAGE_T_USERS;
	t->basic = t->plain ? list : NULL;
	t->to->rights.n_users = json_count(list);
	for (size_t i = 0; i < json_count(list) && e == 0; i++) {
		const struct json *user = json_at(list, i);
		char object[32];

		str_printf(object, sizeof object, "visitors.basic.%zu", i);
		if ((e = said_known(t, object, user, keys)) == 0 &&
		    (e = said_user_name(t, user, i)) == 0)
			e = said_user_secret(t, user, i);
	}
	return e;
}

static bool said_bearer_ok(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.len >= BEARER_MIN && s.len <= BEARER_MAX;
}

static int said_bearers(struct tunnel_json *t, const struct json *visitors)
{
	struct said_at at = {"visitors", "bearer", SIZE_MAX};
	struct rights *r = &t->to->rights;
	const struct json *list;
	uint64_t told;
	int e;

	if (t->plain && json_get_number(visitors, "bearer", JSON_NUMBER_MAX, &told) == 0) {
		t->keeps_bearers = told > 0;
		return 0;
	}
	if ((e = said_list(t, visitors, &at, RIGHTS_BEARERS_MAX, &list)) != 0 || list == NULL)
		return e;
	t->set |= MANAGE_T_BEARERS;
	for (at.i = 0; at.i < json_count(list); at.i++) {
		struct str s;

		if (json_text(json_at(list, at.i), &s) != 0 || !said_bearer_ok(s))
			return said_refuse_at(t, &at,
					      "must have 16 to 128 characters of ASCII, no spaces");
		e = core_fingerprint(t->core, s, r->bearers[r->n_bearers++]);
		if (e != 0)
			return said_refuse(t, e, "", "the server is starting; try again");
	}
	return 0;
}

int tunnel_json_visitors(struct tunnel_json *t, const struct json *visitors)
{
	static const char *const keys[] = {"basic", "bearer", "allow", "deny", "auth_url", NULL};
	const struct said_at url = {"visitors", "auth_url", SIZE_MAX};
	struct rights *r = &t->to->rights;
	bool is;
	int e;

	if (visitors == NULL)
		return 0;
	if ((e = said_known(t, "visitors", visitors, keys)) != 0 ||
	    (e = said_blocks(t, visitors, "allow", r->allow, &r->n_allow)) != 0 ||
	    (e = said_blocks(t, visitors, "deny", r->deny, &r->n_deny)) != 0 ||
	    (e = said_users(t, visitors)) != 0 ||
	    (e = said_text(t, visitors, &url, r->auth_url, sizeof r->auth_url, &is)) != 0)
		return e;
	t->set |= is ? MANAGE_T_AUTH_URL : 0;
	return said_bearers(t, visitors);
}

/* ---- heads ---- */

static int said_edits(struct tunnel_json *t, const struct json *headers, enum header_edit what)
{
	struct said_at at = {"headers", header_edit_name(what), SIZE_MAX};
	const struct json *list;
	int e = said_list(t, headers, &at, HEADER_EDIT_MAX, &list);

	if (e != 0 || list == NULL)
		return e;
	t->set |= MANAGE_T_EDITS << what;
	for (at.i = 0; at.i < json_count(list); at.i++) {
		const char *why = "must be a text";
		struct http_field f;
		struct str s;

		if (json_text(json_at(list, at.i), &s) != 0 ||
		    header_edit_check(what, s, &f, &why) != 0)
			return said_refuse_at(t, &at, why);
		if (header_edits_put(&t->to->edits, what, &f) != 0)
			return said_refuse(t, ERR_INVAL, "headers",
					   "must have %d bytes at most, all fields that are added "
					   "and removed together",
					   HEADER_EDIT_BYTES);
	}
	return 0;
}

int tunnel_json_headers(struct tunnel_json *t, const struct json *headers)
{
	static const char *const keys[] = {
		"rewrite",	   "host", "request_add", "request_remove", "response_add",
		"response_remove", NULL};
	const struct said_at host = {"headers", "host", SIZE_MAX};
	struct record_tunnel *to = t->to;
	bool is;
	int e;

	if (headers == NULL)
		return 0;
	if ((e = said_known(t, "headers", headers, keys)) != 0)
		return e;
	e = json_get_bool(headers, "rewrite", &to->rewrite);
	if (e != 0 && e != ERR_NOTFOUND)
		return said_refuse(t, ERR_INVAL, "headers.rewrite", "must be true or false");
	t->set |= e == 0 ? MANAGE_T_REWRITE : 0;
	if ((e = said_text(t, headers, &host, to->host, sizeof to->host, &is)) != 0)
		return e;
	t->set |= is ? MANAGE_T_HOST : 0;
	for (unsigned what = 0; what < HEADER_EDITS && e == 0; what++)
		e = said_edits(t, headers, what);
	return e;
}
