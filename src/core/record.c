/* What stands in the store may be years old, of another version, or edited by hand: read it so. */
#include "core/record.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "core/record_internal.h"

/* ---- members ---- */

int record_err(int e)
{
	return e == 0 || e == ERR_NOMEM ? e : ERR_IO;
}

int record_text(const struct json *j, const char *key, char *out, size_t cap)
{
	struct str s;
	int e = json_get_text(j, key, &s);

	if (e == ERR_NOTFOUND)
		return 0;
	return e != 0 ? e : str_copy(out, cap, s);
}

int record_must_text(const struct json *j, const char *key, char *out, size_t cap)
{
	struct str s;
	int e = json_get_text(j, key, &s);

	if (e == 0 && s.len == 0)
		e = ERR_NOTFOUND;
	return e != 0 ? e : str_copy(out, cap, s);
}

int record_number(const struct json *j, const char *key, uint64_t *out)
{
	int e = json_get_number(j, key, JSON_NUMBER_MAX, out);

	return e == ERR_NOTFOUND ? 0 : e;
}

int record_time(const struct json *j, const char *key, int64_t *out)
{
	uint64_t ms = (uint64_t)*out;
	int e = record_number(j, key, &ms);

	if (e == 0)
		*out = (int64_t)ms;
	return e;
}

int record_flag(const struct json *j, const char *key, bool *out)
{
	int e = json_get_bool(j, key, out);

	return e == ERR_NOTFOUND ? 0 : e;
}

int record_set_time(struct json *j, const char *key, int64_t ms)
{
	if (ms > 0)
		return json_set_number(j, key, (uint64_t)ms);
	json_unset(j, key);
	return 0;
}

int record_set_text(struct json *j, const char *key, const char *text)
{
	if (text[0] != '\0')
		return json_set_text(j, key, str_of(text));
	json_unset(j, key);
	return 0;
}

static int record_set_flag(struct json *j, const char *key, bool value)
{
	if (value)
		return json_set_bool(j, key, true);
	json_unset(j, key);
	return 0;
}

int record_open(struct str old, struct json **out)
{
	if (old.len == 0)
		return json_new_object(out);
	return record_err(json_parse(old, RECORD_MAX, out));
}

/* Copy the NUL-terminated head of s into out. A key that does not fit is damaged. */
static int record_key(struct str s, char out[CORE_ID_TEXT])
{
	return s.len == 0 ? ERR_IO : str_copy(out, CORE_ID_TEXT, s);
}

/* ---- ports ---- */

/* "2000-2010" or "443". */
static int record_read_port(struct str s, struct access_ports *out)
{
	size_t dash = str_find(s, '-');
	struct str first = {s.p, dash};
	struct str last = dash == s.len ? first : (struct str){s.p + dash + 1, s.len - dash - 1};
	uint64_t a, b;
	int e;

	if ((e = num_parse(first, UINT16_MAX, &a)) != 0 ||
	    (e = num_parse(last, UINT16_MAX, &b)) != 0)
		return e;
	if (a == 0 || a > b)
		return ERR_INVAL;
	*out = (struct access_ports){.first = (uint16_t)a, .last = (uint16_t)b};
	return 0;
}

int record_ports(const struct json *j, const char *key, struct access_ports *out, size_t *n)
{
	const struct json *list;
	struct str s;
	int e;

	if ((e = json_get_list(j, key, &list)) != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if (json_count(list) > ACCESS_PORTS_MAX)
		return ERR_TOOBIG;
	for (size_t i = 0; i < json_count(list); i++) {
		if ((e = json_text(json_at(list, i), &s)) != 0 ||
		    (e = record_read_port(s, &out[i])) != 0)
			return e;
		(*n)++;
	}
	return 0;
}

int record_set_ports(struct json *j, const char *key, const struct access_ports *ports, size_t n)
{
	struct json *list = NULL;
	char text[16];
	int e;

	json_unset(j, key);
	if (n == 0)
		return 0;
	e = json_new_list(&list);
	for (size_t i = 0; i < n && e == 0; i++) {
		const struct access_ports *p = &ports[i];
		size_t len = p->first == p->last
				     ? str_printf(text, sizeof text, "%u", p->first)
				     : str_printf(text, sizeof text, "%u-%u", p->first, p->last);

		e = json_add_text(list, (struct str){text, len});
	}
	if (e == 0)
		return json_set(j, key, &list);
	json_free(list);
	return e;
}

/* ---- accounts ---- */

static const struct record_quota usual_quota = {
	.tunnels = RECORD_TUNNELS_USUAL,
	.sessions = RECORD_SESSIONS_USUAL,
	.credentials = RECORD_CREDENTIALS_USUAL,
};

static int record_read_quota(const struct json *j, struct record_quota *out)
{
	const struct json *q;
	int e;

	*out = usual_quota;
	if ((e = json_get_object(j, "quota", &q)) != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if ((e = record_number(q, "tunnels", &out->tunnels)) == 0 &&
	    (e = record_number(q, "sessions", &out->sessions)) == 0)
		e = record_number(q, "credentials", &out->credentials);
	return e;
}

/* Only what differs from the usual is kept, so that a later version may have another usual. */
static int record_set_quota(struct json *j, const struct record_quota *r)
{
	struct record_quota was;
	struct json *q = NULL;
	int e;

	if (record_read_quota(j, &was) == 0 && was.tunnels == r->tunnels &&
	    was.sessions == r->sessions && was.credentials == r->credentials)
		return 0; /* with all its members that are not known here */
	if ((e = json_new_object(&q)) != 0)
		return e;
	if (r->tunnels != usual_quota.tunnels)
		e = json_set_number(q, "tunnels", r->tunnels);
	if (e == 0 && r->sessions != usual_quota.sessions)
		e = json_set_number(q, "sessions", r->sessions);
	if (e == 0 && r->credentials != usual_quota.credentials)
		e = json_set_number(q, "credentials", r->credentials);
	if (e == 0)
		return json_set(j, "quota", &q);
	json_free(q);
	return e;
}

int record_read_account(struct str key, struct str value, struct record_account *out)
{
	struct json *j = NULL;
	int e;

	memset(out, 0, sizeof *out);
	out->enabled = true;
	if ((e = record_key(key, out->id)) != 0 || (e = json_parse(value, RECORD_MAX, &j)) != 0 ||
	    (e = record_text(j, "name", out->name, sizeof out->name)) != 0 ||
	    (e = record_flag(j, "enabled", &out->enabled)) != 0 ||
	    (e = record_flag(j, "admin", &out->admin)) != 0 ||
	    (e = record_flag(j, "automatic", &out->automatic)) != 0 ||
	    (e = record_flag(j, "deleting", &out->deleting)) != 0 ||
	    (e = record_text(j, "why", out->why, sizeof out->why)) != 0 ||
	    (e = record_read_quota(j, &out->quota)) != 0 ||
	    (e = record_ports(j, "ports", out->ports, &out->n_ports)) != 0 ||
	    (e = record_number(j, "n_tunnels", &out->n_tunnels)) != 0 ||
	    (e = record_number(j, "n_credentials", &out->n_credentials)) != 0 ||
	    (e = record_time(j, "created_ms", &out->created_ms)) != 0 ||
	    (e = record_time(j, "used_ms", &out->used_ms)) != 0)
		goto out;
out:
	json_free(j);
	return record_err(e);
}

int record_write_account(struct str old, const struct record_account *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = record_open(old, &j)) != 0 || (e = record_set_text(j, "name", r->name)) != 0 ||
	    (e = json_set_bool(j, "enabled", r->enabled)) != 0 ||
	    (e = record_set_flag(j, "admin", r->admin)) != 0 ||
	    (e = record_set_flag(j, "automatic", r->automatic)) != 0 ||
	    (e = record_set_flag(j, "deleting", r->deleting)) != 0 ||
	    (e = record_set_text(j, "why", r->why)) != 0 ||
	    (e = record_set_quota(j, &r->quota)) != 0 ||
	    (e = record_set_ports(j, "ports", r->ports, r->n_ports)) != 0 ||
	    (e = json_set_number(j, "n_tunnels", r->n_tunnels)) != 0 ||
	    (e = json_set_number(j, "n_credentials", r->n_credentials)) != 0 ||
	    (e = record_set_time(j, "created_ms", r->created_ms)) != 0 ||
	    (e = record_set_time(j, "used_ms", r->used_ms)) != 0)
		goto out;
	e = json_write(j, RECORD_MAX, out);
out:
	json_free(j);
	return e;
}

/* ---- what a credential is good for ---- */

static int record_read_kinds(const struct json *j, unsigned *out)
{
	const struct json *list;
	enum tunnel_kind kind;
	struct str s;
	int e;

	if ((e = json_get_list(j, "kinds", &list)) != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	for (size_t i = 0; i < json_count(list); i++) {
		if ((e = json_text(json_at(list, i), &s)) != 0)
			return e;
		if (tunnel_kind_parse(s, &kind) == 0)
			*out |= 1u << kind;
	}
	/* Nothing but kinds of a later version is not "all". */
	return json_count(list) > 0 && *out == 0 ? ERR_UNSUPPORTED : 0;
}

static int record_read_tunnels(const struct json *j, char out[ACCESS_TUNNELS_TEXT])
{
	const struct json *list;
	size_t n = 0;
	struct str s;
	int e;

	if ((e = json_get_list(j, "tunnels", &list)) != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	for (size_t i = 0; i < json_count(list); i++) {
		if ((e = json_text(json_at(list, i), &s)) != 0)
			return e;
		if (s.len == 0 || str_find(s, ' ') != s.len)
			return ERR_INVAL;
		if (n + s.len + 2 > ACCESS_TUNNELS_TEXT)
			return ERR_TOOBIG;
		n += str_printf(out + n, ACCESS_TUNNELS_TEXT - n, "%s" STR_FMT, n > 0 ? " " : "",
				STR_ARG(s));
	}
	return 0;
}

/* out: all zero before. */
static int record_read_scope(const struct json *j, struct access_scope *out)
{
	const struct json *scope;
	int e;

	if ((e = json_get_object(j, "scope", &scope)) != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if ((e = record_read_kinds(scope, &out->kinds)) == 0 &&
	    (e = record_read_tunnels(scope, out->tunnels)) == 0 &&
	    (e = record_ports(scope, "ports", out->ports, &out->n_ports)) == 0)
		e = record_time(scope, "until_ms", &out->until_ms);
	return e;
}

static int record_add_kinds(struct json *list, const struct access_scope *s)
{
	int e = 0;

	for (unsigned k = 0; k < TUNNEL_KINDS && e == 0; k++)
		if (s->kinds & 1u << k)
			e = json_add_text(list, str_of(tunnel_kind_name(k)));
	return e;
}

static int record_add_tunnels(struct json *list, const struct access_scope *s)
{
	struct str rest = str_of(s->tunnels), name;
	int e = 0;

	while (e == 0 && str_next(&rest, ' ', &name))
		e = json_add_text(list, name);
	return e;
}

static int record_set_list(struct json *j, const char *key, const struct access_scope *s,
			   int (*add)(struct json *list, const struct access_scope *s))
{
	struct json *list = NULL;
	int e;

	if ((e = json_new_list(&list)) == 0 && (e = add(list, s)) == 0)
		return json_set(j, key, &list);
	json_free(list);
	return e;
}

/* One that has not changed stays as it is: a later version may have put limits into it that are not
 * known here. */
static int record_set_scope(struct json *j, const struct access_scope *s)
{
	struct access_scope was = {0};
	struct json *scope = NULL;
	int e;

	if (record_read_scope(j, &was) == 0 && access_scope_same(&was, s))
		return 0;
	if ((e = json_new_object(&scope)) != 0)
		return e;
	if (s->kinds != 0)
		e = record_set_list(scope, "kinds", s, record_add_kinds);
	if (e == 0 && s->tunnels[0] != '\0')
		e = record_set_list(scope, "tunnels", s, record_add_tunnels);
	if (e == 0)
		e = record_set_ports(scope, "ports", s->ports, s->n_ports);
	if (e == 0)
		e = record_set_time(scope, "until_ms", s->until_ms);
	if (e == 0)
		return json_set(j, "scope", &scope);
	json_free(scope);
	return e;
}

/* ---- credentials ---- */

static const char *const credential_types[CREDENTIAL_TYPES] = {
	[CREDENTIAL_NUMBER] = "number",
	[CREDENTIAL_TOKEN] = "token",
	[CREDENTIAL_SSH_KEY] = "ssh-key",
	[CREDENTIAL_CERTIFICATE] = "certificate",
};

const char *record_credential_type(enum credential_type t)
{
	return t < CREDENTIAL_TYPES ? credential_types[t] : NULL;
}

int record_parse_credential_type(struct str s, enum credential_type *out)
{
	for (unsigned t = 0; t < CREDENTIAL_TYPES; t++) {
		if (str_eq(s, str_of(credential_types[t]))) {
			*out = t;
			return 0;
		}
	}
	return ERR_INVAL;
}

int record_read_credential(struct str key, struct str value, struct record_credential *out)
{
	size_t slash = str_find(key, '/');
	struct json *j = NULL;
	char type[16] = "";
	int e;

	memset(out, 0, sizeof *out);
	if (slash == key.len)
		return ERR_IO;
	if ((e = record_key((struct str){key.p, slash}, out->account)) != 0 ||
	    (e = record_key((struct str){key.p + slash + 1, key.len - slash - 1}, out->id)) != 0 ||
	    (e = json_parse(value, RECORD_MAX, &j)) != 0 ||
	    (e = record_must_text(j, "type", type, sizeof type)) != 0 ||
	    (e = record_parse_credential_type(str_of(type), &out->type)) != 0 ||
	    (e = record_text(j, "name", out->name, sizeof out->name)) != 0 ||
	    (e = record_read_scope(j, &out->scope)) != 0 ||
	    (e = record_must_text(j, "proof", out->proof, sizeof out->proof)) != 0 ||
	    (e = record_text(j, "shown", out->shown, sizeof out->shown)) != 0 ||
	    (e = record_time(j, "created_ms", &out->created_ms)) != 0 ||
	    (e = record_time(j, "used_ms", &out->used_ms)) != 0)
		goto out;
out:
	json_free(j);
	return record_err(e);
}

int record_write_credential(struct str old, const struct record_credential *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = record_open(old, &j)) != 0 ||
	    (e = record_set_text(j, "type", record_credential_type(r->type))) != 0 ||
	    (e = record_set_text(j, "name", r->name)) != 0 ||
	    (e = record_set_scope(j, &r->scope)) != 0 ||
	    (e = record_set_text(j, "proof", r->proof)) != 0 ||
	    (e = record_set_text(j, "shown", r->shown)) != 0 ||
	    (e = record_set_time(j, "created_ms", r->created_ms)) != 0 ||
	    (e = record_set_time(j, "used_ms", r->used_ms)) != 0)
		goto out;
	e = json_write(j, RECORD_MAX, out);
out:
	json_free(j);
	return e;
}

int record_read_proof(struct str value, struct record_proof *out)
{
	struct json *j = NULL;
	int e;

	memset(out, 0, sizeof *out);
	if ((e = json_parse(value, RECORD_MAX, &j)) == 0 &&
	    (e = record_must_text(j, "account", out->account, sizeof out->account)) == 0)
		e = record_must_text(j, "credential", out->credential, sizeof out->credential);
	json_free(j);
	return record_err(e);
}

int record_write_proof(const struct record_proof *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "account", str_of(r->account))) == 0 &&
	    (e = json_set_text(j, "credential", str_of(r->credential))) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}

/* ---- invitations ---- */

int record_read_invite(struct str value, struct record_invite *out)
{
	struct json *j = NULL;
	int e;

	memset(out, 0, sizeof *out);
	if ((e = json_parse(value, RECORD_MAX, &j)) != 0 ||
	    (e = record_text(j, "name", out->name, sizeof out->name)) != 0 ||
	    (e = record_must_text(j, "id", out->id, sizeof out->id)) != 0 ||
	    (e = record_number(j, "uses", &out->uses)) != 0 ||
	    (e = record_time(j, "created_ms", &out->created_ms)) != 0 ||
	    (e = record_time(j, "until_ms", &out->until_ms)) != 0)
		goto out;
out:
	json_free(j);
	return record_err(e);
}

int record_write_invite(struct str old, const struct record_invite *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = record_open(old, &j)) != 0 || (e = record_set_text(j, "name", r->name)) != 0 ||
	    (e = json_set_text(j, "id", str_of(r->id))) != 0 ||
	    (e = json_set_number(j, "uses", r->uses)) != 0 ||
	    (e = record_set_time(j, "created_ms", r->created_ms)) != 0 ||
	    (e = record_set_time(j, "until_ms", r->until_ms)) != 0)
		goto out;
	e = json_write(j, RECORD_MAX, out);
out:
	json_free(j);
	return e;
}
