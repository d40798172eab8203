/* Records of tunnels, and of the names that lead to them. */
#include "core/record.h"

#include <string.h>

#include "base/err.h"
#include "core/record_internal.h"

static const char *const record_policies[] = {
	[TUNNEL_LEAST_CONN] = "least-conn",
	[TUNNEL_ROUND_ROBIN] = "round-robin",
	[TUNNEL_FAILOVER] = "failover",
};

const char *record_policy(enum tunnel_policy p)
{
	return p < TUNNEL_POLICIES ? record_policies[p] : NULL;
}

int record_parse_policy(struct str s, enum tunnel_policy *out)
{
	for (unsigned i = 0; i < TUNNEL_POLICIES; i++) {
		if (str_eq(s, str_of(record_policies[i]))) {
			*out = (enum tunnel_policy)i;
			return 0;
		}
	}
	return ERR_INVAL;
}

/* ---- reading ---- */

/* A list that may be missing; one with more than max entries is damaged. */
static int record_list(const struct json *j, const char *key, size_t max, const struct json **out)
{
	int e = json_get_list(j, key, out);

	if (e == ERR_NOTFOUND) {
		*out = NULL;
		return 0;
	}
	return e != 0 ? e : json_count(*out) > max ? ERR_TOOBIG : 0;
}

static int record_read_alt_names(const struct json *j, struct record_tunnel *out)
{
	const struct json *list;
	struct str name;
	int e = record_list(j, "alt_names", RECORD_ALT_NAMES_MAX, &list);

	for (size_t i = 0; e == 0 && i < json_count(list); i++)
		if ((e = json_text(json_at(list, i), &name)) == 0)
			e = str_copy(out->alt_names[out->n_alt_names++], HOSTNAME_MAX + 1, name);
	return e;
}

static int record_read_users(const struct json *j, struct rights *out)
{
	const struct json *list;
	int e = record_list(j, "users", RIGHTS_USERS_MAX, &list);

	for (size_t i = 0; e == 0 && i < json_count(list); i++) {
		struct rights_user *u = &out->users[out->n_users++];

		e = record_must_text(json_at(list, i), "name", u->name, sizeof u->name);
		if (e == 0)
			e = record_must_text(json_at(list, i), "hash", u->hash, sizeof u->hash);
	}
	return e;
}

static int record_read_bearers(const struct json *j, struct rights *out)
{
	const struct json *list;
	struct str text;
	int e = record_list(j, "bearers", RIGHTS_BEARERS_MAX, &list);

	for (size_t i = 0; e == 0 && i < json_count(list); i++)
		if ((e = json_text(json_at(list, i), &text)) == 0)
			e = str_copy(out->bearers[out->n_bearers++], DIGEST_HEX_TEXT, text);
	return e;
}

static int record_read_blocks(const struct json *j, const char *key, struct cidr *out, size_t *n)
{
	const struct json *list;
	struct str text;
	int e = record_list(j, key, RIGHTS_BLOCKS_MAX, &list);

	for (size_t i = 0; e == 0 && i < json_count(list); i++)
		if ((e = json_text(json_at(list, i), &text)) == 0)
			e = cidr_parse(text, &out[(*n)++]);
	return e;
}

/* A right that cannot be read must not become none: the whole record counts as damaged. */
static int record_read_rights(const struct json *j, struct rights *out)
{
	const struct json *r;
	int e = json_get_object(j, "rights", &r);

	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if ((e = record_read_users(r, out)) != 0 || (e = record_read_bearers(r, out)) != 0 ||
	    (e = record_read_blocks(r, "allow", out->allow, &out->n_allow)) != 0 ||
	    (e = record_read_blocks(r, "deny", out->deny, &out->n_deny)) != 0)
		return e;
	return record_text(r, "auth_url", out->auth_url, sizeof out->auth_url);
}

/* Words of a later version are damage, as with kinds: guessing could open what is shut. */
static int record_read_words(const struct json *j, struct record_tunnel *out)
{
	struct str word;
	int e = json_get_text(j, "kind", &word);

	if (e == 0)
		e = tunnel_kind_parse(word, &out->kind);
	if (e != 0 && e != ERR_NOTFOUND)
		return e;
	e = json_get_text(j, "policy", &word);
	if (e == 0)
		e = record_parse_policy(word, &out->policy);
	return e == ERR_NOTFOUND ? 0 : e;
}

int record_read_tunnel(struct str key, struct str value, struct record_tunnel *out)
{
	struct json *j = NULL;
	int e;

	*out = (struct record_tunnel){.enabled = true, .sessions_max = RECORD_SESSIONS_MAX};
	if ((e = str_copy(out->name, sizeof out->name, key)) != 0 ||
	    (e = json_parse(value, RECORD_MAX, &j)) != 0 ||
	    (e = record_must_text(j, "account", out->account, sizeof out->account)) != 0 ||
	    (e = record_read_words(j, out)) != 0 ||
	    (e = record_flag(j, "enabled", &out->enabled)) != 0 ||
	    (e = record_text(j, "target", out->target, sizeof out->target)) != 0 ||
	    (e = record_read_alt_names(j, out)) != 0 ||
	    (e = record_number(j, "sessions_max", &out->sessions_max)) != 0 ||
	    (e = record_flag(j, "rewrite", &out->rewrite)) != 0 ||
	    (e = record_read_rights(j, &out->rights)) != 0 ||
	    (e = record_time(j, "created_ms", &out->created_ms)) != 0 ||
	    (e = record_time(j, "updated_ms", &out->updated_ms)) != 0)
		goto out;
	out->sessions_max = MAX(1, MIN(out->sessions_max, (uint64_t)RECORD_SESSIONS_MAX));
out:
	json_free(j);
	return record_err(e);
}

int record_read_claim(struct str value, char account[CORE_ID_TEXT])
{
	struct json *j = NULL;
	int e;

	if ((e = json_parse(value, RECORD_MAX, &j)) == 0)
		e = record_must_text(j, "account", account, CORE_ID_TEXT);
	json_free(j);
	return record_err(e);
}

int record_read_domain(struct str value, struct record_domain *out)
{
	struct json *j = NULL;
	int e;

	*out = (struct record_domain){0};
	if ((e = json_parse(value, RECORD_MAX, &j)) == 0 &&
	    (e = record_must_text(j, "account", out->account, sizeof out->account)) == 0 &&
	    (e = record_must_text(j, "tunnel", out->tunnel, sizeof out->tunnel)) == 0)
		e = record_time(j, "proven_ms", &out->proven_ms);
	json_free(j);
	return record_err(e);
}

/* ---- writing ---- */

/* Set a list, or drop the member when it has no entries. *list is taken over in any case. */
static int record_set_list(struct json *j, const char *key, struct json **list)
{
	if (json_count(*list) > 0)
		return json_set(j, key, list);
	json_unset(j, key);
	json_free(*list);
	*list = NULL;
	return 0;
}

/* The same of [n] texts that stand [step] bytes apart. */
static int record_set_texts(struct json *j, const char *key, const char *texts, size_t step,
			    size_t n)
{
	struct json *list = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; e == 0 && i < n; i++)
		e = json_add_text(list, str_of(texts + i * step));
	if (e == 0)
		e = record_set_list(j, key, &list);
	json_free(list);
	return e;
}

static int record_set_blocks(struct json *j, const char *key, const struct cidr *blocks, size_t n)
{
	char texts[RIGHTS_BLOCKS_MAX][CIDR_TEXT_MAX];

	CHECK(n <= RIGHTS_BLOCKS_MAX);
	for (size_t i = 0; i < n; i++)
		cidr_format(&blocks[i], texts[i]);
	return record_set_texts(j, key, texts[0], sizeof texts[0], n);
}

static int record_add_user(struct json *list, const struct rights_user *u)
{
	struct json *user = NULL;
	int e;

	if ((e = json_new_object(&user)) == 0 &&
	    (e = json_set_text(user, "name", str_of(u->name))) == 0 &&
	    (e = json_set_text(user, "hash", str_of(u->hash))) == 0)
		e = json_add(list, &user);
	json_free(user);
	return e;
}

static int record_set_users(struct json *j, const struct rights *r)
{
	struct json *list = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; e == 0 && i < r->n_users; i++)
		e = record_add_user(list, &r->users[i]);
	if (e == 0)
		e = record_set_list(j, "users", &list);
	json_free(list);
	return e;
}

/* Rights are written whole: members of a later version are not kept in them. */
static int record_set_rights(struct json *j, const struct rights *r)
{
	struct json *rights = NULL;
	int e;

	json_unset(j, "rights");
	if (rights_is_empty(r))
		return 0;
	if ((e = json_new_object(&rights)) == 0 && (e = record_set_users(rights, r)) == 0 &&
	    (e = record_set_texts(rights, "bearers", r->bearers[0], sizeof r->bearers[0],
				  r->n_bearers)) == 0 &&
	    (e = record_set_blocks(rights, "allow", r->allow, r->n_allow)) == 0 &&
	    (e = record_set_blocks(rights, "deny", r->deny, r->n_deny)) == 0 &&
	    (e = record_set_text(rights, "auth_url", r->auth_url)) == 0)
		e = json_set(j, "rights", &rights);
	json_free(rights);
	return e;
}

int record_write_tunnel(struct str old, const struct record_tunnel *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = record_open(old, &j)) == 0 &&
	    (e = json_set_text(j, "account", str_of(r->account))) == 0 &&
	    (e = json_set_text(j, "kind", str_of(tunnel_kind_name(r->kind)))) == 0 &&
	    (e = json_set_text(j, "target", str_of(r->target))) == 0 &&
	    (e = json_set_bool(j, "enabled", r->enabled)) == 0 &&
	    (e = record_set_texts(j, "alt_names", r->alt_names[0], sizeof r->alt_names[0],
				  r->n_alt_names)) == 0 &&
	    (e = json_set_text(j, "policy", str_of(record_policy(r->policy)))) == 0 &&
	    (e = json_set_number(j, "sessions_max", r->sessions_max)) == 0 &&
	    (e = json_set_bool(j, "rewrite", r->rewrite)) == 0 &&
	    (e = record_set_rights(j, &r->rights)) == 0 &&
	    (e = record_set_time(j, "created_ms", r->created_ms)) == 0 &&
	    (e = record_set_time(j, "updated_ms", r->updated_ms)) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}

int record_write_claim(const char *account, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "account", str_of(account))) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}

int record_write_domain(const struct record_domain *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "account", str_of(r->account))) == 0 &&
	    (e = json_set_text(j, "tunnel", str_of(r->tunnel))) == 0 &&
	    (e = record_set_time(j, "proven_ms", r->proven_ms)) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}
