/* Records of tunnels, and of the names that lead to them. */
#include "core/record.h"

#include <string.h>

#include "base/err.h"
#include "core/record_internal.h"

/* ---- words ---- */

const char *record_policy(enum tunnel_policy p)
{
	return p < TUNNEL_POLICIES ? tunnel_word_policies[p] : NULL;
}

const char *record_tls(enum tunnel_tls t)
{
	return t < TUNNEL_TLSES ? tunnel_word_tlses[t] : NULL;
}

const char *record_proxy(enum tunnel_proxy p)
{
	return p < TUNNEL_PROXIES ? tunnel_word_proxies[p] : NULL;
}

int record_parse_policy(struct str s, enum tunnel_policy *out)
{
	return tunnel_word_find(tunnel_word_policies, s, out);
}

int record_parse_tls(struct str s, enum tunnel_tls *out)
{
	return tunnel_word_find(tunnel_word_tlses, s, out);
}

int record_parse_proxy(struct str s, enum tunnel_proxy *out)
{
	return tunnel_word_find(tunnel_word_proxies, s, out);
}

/* ---- what is in it ---- */

bool record_tunnel_has_host(const struct record_tunnel *r, const char *host)
{
	for (size_t i = 0; i < r->n_alt_names; i++)
		if (strcmp(r->alt_names[i], host) == 0)
			return true;
	return false;
}

bool record_route_key(const struct record_tunnel *r, char out[RECORD_ROUTE_TEXT])
{
	out[0] = '\0';
	if (r->kind == TUNNEL_TCP)
		str_printf(out, RECORD_ROUTE_TEXT, "tcp/%u", r->port);
	else if (r->kind == TUNNEL_TLS || r->service[0] != '\0' || r->n_agents > 0)
		str_printf(out, RECORD_ROUTE_TEXT, "name/%s", r->name);
	return out[0] != '\0';
}

/* Are [n] texts the same that stand [step] bytes apart? */
static bool record_same_texts(const char *a, const char *b, size_t step, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(a + i * step, b + i * step) != 0)
			return false;
	return true;
}

static bool record_same_blocks(const struct cidr *a, const struct cidr *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].bits != b[i].bits || a[i].v4 != b[i].v4 ||
		    memcmp(a[i].ip, b[i].ip, sizeof a[i].ip) != 0)
			return false;
	return true;
}

static bool record_same_rights(const struct rights *a, const struct rights *b)
{
	if (a->n_users != b->n_users || a->n_bearers != b->n_bearers || a->n_allow != b->n_allow ||
	    a->n_deny != b->n_deny || strcmp(a->auth_url, b->auth_url) != 0)
		return false;
	for (size_t i = 0; i < a->n_users; i++)
		if (strcmp(a->users[i].name, b->users[i].name) != 0 ||
		    strcmp(a->users[i].hash, b->users[i].hash) != 0)
			return false;
	return record_same_texts(a->bearers[0], b->bearers[0], sizeof a->bearers[0],
				 a->n_bearers) &&
	       record_same_blocks(a->allow, b->allow, a->n_allow) &&
	       record_same_blocks(a->deny, b->deny, a->n_deny);
}

bool record_tunnel_same(const struct record_tunnel *a, const struct record_tunnel *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->account, b->account) == 0 &&
	       a->kind == b->kind && a->enabled == b->enabled && a->temporary == b->temporary &&
	       strcmp(a->target, b->target) == 0 && a->n_alt_names == b->n_alt_names &&
	       record_same_texts(a->alt_names[0], b->alt_names[0], sizeof a->alt_names[0],
				 a->n_alt_names) &&
	       a->policy == b->policy && a->sessions_max == b->sessions_max &&
	       a->rewrite == b->rewrite && strcmp(a->host, b->host) == 0 &&
	       str_eq(header_edits_str(&a->edits), header_edits_str(&b->edits)) &&
	       a->port == b->port && strcmp(a->bind, b->bind) == 0 && a->tls == b->tls &&
	       a->proxy == b->proxy && strcmp(a->service, b->service) == 0 &&
	       a->n_agents == b->n_agents &&
	       record_same_texts(a->agents[0], b->agents[0], sizeof a->agents[0], a->n_agents) &&
	       a->drain_ms == b->drain_ms && record_same_rights(&a->rights, &b->rights);
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

/* A list of at most max texts, [step] bytes apart; *n: 0 before. */
struct record_texts {
	const char *key;
	char *out;
	size_t step, max;
};

static int record_texts(const struct json *j, const struct record_texts *t, size_t *n)
{
	const struct json *list;
	struct str text;
	int e = record_list(j, t->key, t->max, &list);

	for (size_t i = 0; e == 0 && i < json_count(list); i++)
		if ((e = json_text(json_at(list, i), &text)) == 0)
			e = str_copy(t->out + (*n)++ * t->step, t->step, text);
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
	struct record_texts bearers = {"bearers", out->bearers[0], sizeof out->bearers[0],
				       RIGHTS_BEARERS_MAX};
	const struct json *r;
	int e = json_get_object(j, "rights", &r);

	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if ((e = record_read_users(r, out)) != 0 ||
	    (e = record_texts(r, &bearers, &out->n_bearers)) != 0 ||
	    (e = record_read_blocks(r, "allow", out->allow, &out->n_allow)) != 0 ||
	    (e = record_read_blocks(r, "deny", out->deny, &out->n_deny)) != 0)
		return e;
	return record_text(r, "auth_url", out->auth_url, sizeof out->auth_url);
}

/* One word of an enum; one that is not there leaves *out alone. */
static int record_word(const struct json *j, const char *key, const char *const *words,
		       unsigned *out)
{
	struct str word;
	int e = json_get_text(j, key, &word);

	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	return tunnel_word_find(words, word, out);
}

/* Words of a later version are damage, as with kinds: guessing could open what is shut. */
/* One list of fields. What may be changed is asked of new ones only; what cannot be understood
 * makes the record a damaged one, since it may have kept something back. */
static int record_read_edit(const struct json *headers, enum header_edit what,
			    struct header_edits *out)
{
	const struct json *list;
	struct http_field f;
	const char *why;
	struct str text;
	int e = record_list(headers, header_edit_name(what), HEADER_EDIT_MAX, &list);

	for (size_t i = 0; e == 0 && i < json_count(list); i++)
		if ((e = json_text(json_at(list, i), &text)) == 0 &&
		    (e = header_edit_split(what, text, &f, &why)) == 0)
			e = header_edits_put(out, what, &f);
	return e;
}

static int record_read_headers(const struct json *j, struct record_tunnel *out)
{
	const struct json *headers;
	int e = json_get_object(j, "headers", &headers);

	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	e = record_text(headers, "host", out->host, sizeof out->host);
	for (unsigned what = 0; what < HEADER_EDITS && e == 0; what++)
		e = record_read_edit(headers, what, &out->edits);
	return e;
}

static int record_read_words(const struct json *j, struct record_tunnel *out)
{
	struct str word;
	int e = json_get_text(j, "kind", &word);

	if (e == 0)
		e = tunnel_kind_parse(word, &out->kind);
	if (e != 0 && e != ERR_NOTFOUND)
		return e;
	if ((e = record_word(j, "policy", tunnel_word_policies, &out->policy)) != 0 ||
	    (e = record_word(j, "tls", tunnel_word_tlses, &out->tls)) != 0)
		return e;
	return record_word(j, "proxy_protocol", tunnel_word_proxies, &out->proxy);
}

/* Where it is, and who serves it. */
static int record_read_place(const struct json *j, struct record_tunnel *out)
{
	struct record_texts names = {"alt_names", out->alt_names[0], sizeof out->alt_names[0],
				     RECORD_ALT_NAMES_MAX};
	struct record_texts agents = {"agents", out->agents[0], sizeof out->agents[0],
				      RECORD_AGENTS_MAX};
	uint64_t port = 0;
	int e;

	if ((e = record_texts(j, &names, &out->n_alt_names)) != 0 ||
	    (e = record_texts(j, &agents, &out->n_agents)) != 0 ||
	    (e = record_number(j, "port", &port)) != 0 ||
	    (e = record_text(j, "bind", out->bind, sizeof out->bind)) != 0 ||
	    (e = record_text(j, "service", out->service, sizeof out->service)) != 0 ||
	    (e = record_number(j, "drain_ms", &out->drain_ms)) != 0)
		return e;
	if (port > UINT16_MAX || (out->kind == TUNNEL_TCP && port == 0))
		return ERR_INVAL;
	out->port = out->kind == TUNNEL_TCP ? (uint16_t)port : 0;
	return 0;
}

int record_read_tunnel(struct str key, struct str value, struct record_tunnel *out)
{
	struct json *j = NULL;
	int e;

	*out = (struct record_tunnel){.enabled = true,
				      .sessions_max = RECORD_SESSIONS_MAX,
				      .drain_ms = RECORD_DRAIN_USUAL};
	if ((e = str_copy(out->name, sizeof out->name, key)) != 0 ||
	    (e = json_parse(value, RECORD_MAX, &j)) != 0 ||
	    (e = record_must_text(j, "account", out->account, sizeof out->account)) != 0 ||
	    (e = record_read_words(j, out)) != 0 || (e = record_read_place(j, out)) != 0 ||
	    (e = record_flag(j, "enabled", &out->enabled)) != 0 ||
	    (e = record_flag(j, "temporary", &out->temporary)) != 0 ||
	    (e = record_text(j, "target", out->target, sizeof out->target)) != 0 ||
	    (e = record_number(j, "sessions_max", &out->sessions_max)) != 0 ||
	    (e = record_flag(j, "rewrite", &out->rewrite)) != 0 ||
	    (e = record_read_headers(j, out)) != 0 ||
	    (e = record_read_rights(j, &out->rights)) != 0 ||
	    (e = record_time(j, "created_ms", &out->created_ms)) != 0 ||
	    (e = record_time(j, "updated_ms", &out->updated_ms)) != 0)
		goto out;
	out->sessions_max = MAX(1, MIN(out->sessions_max, (uint64_t)RECORD_SESSIONS_MAX));
	out->drain_ms = MIN(out->drain_ms, (uint64_t)RECORD_DRAIN_MAX);
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

int record_read_route(struct str value, struct record_route *out)
{
	struct json *j = NULL;
	int e;

	*out = (struct record_route){0};
	if ((e = json_parse(value, RECORD_MAX, &j)) == 0 &&
	    (e = record_must_text(j, "account", out->account, sizeof out->account)) == 0)
		e = record_must_text(j, "tunnel", out->tunnel, sizeof out->tunnel);
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

static int record_set_edit(struct json *j, enum header_edit what, struct str edits)
{
	char text[HEADER_EDIT_TEXT];
	struct json *list = NULL;
	struct http_field f;
	size_t at = 0;
	int e = json_new_list(&list);

	while (e == 0 && header_edits_next(edits, what, &at, &f)) {
		size_t len = header_edit_format(what, &f, text);

		e = json_add_text(list, (struct str){text, len});
	}
	if (e == 0)
		e = record_set_list(j, header_edit_name(what), &list);
	json_free(list);
	return e;
}

/* Written whole, like rights. */
static int record_set_headers(struct json *j, const struct record_tunnel *r)
{
	struct json *headers = NULL;
	int e;

	json_unset(j, "headers");
	if (r->host[0] == '\0' && r->edits.len == 0)
		return 0;
	if ((e = json_new_object(&headers)) == 0)
		e = record_set_text(headers, "host", r->host);
	for (unsigned what = 0; what < HEADER_EDITS && e == 0; what++)
		e = record_set_edit(headers, what, header_edits_str(&r->edits));
	if (e == 0)
		e = json_set(j, "headers", &headers);
	json_free(headers);
	return e;
}

/* A number, or no member when it is the usual one. */
static int record_set_number(struct json *j, const char *key, uint64_t value, uint64_t usual)
{
	if (value != usual)
		return json_set_number(j, key, value);
	json_unset(j, key);
	return 0;
}

/* The same of a flag that is usually not set. */
static int record_set_flag(struct json *j, const char *key, bool value)
{
	if (value)
		return json_set_bool(j, key, true);
	json_unset(j, key);
	return 0;
}

/* What only some tunnels have leaves no member behind in the others. */
static int record_set_place(struct json *j, const struct record_tunnel *r)
{
	bool ends = r->kind == TUNNEL_TLS && r->tls != TUNNEL_TLS_PASS;
	const char *proxy = r->proxy == TUNNEL_PROXY_NONE ? "" : record_proxy(r->proxy);
	int e;

	if ((e = record_set_texts(j, "alt_names", r->alt_names[0], sizeof r->alt_names[0],
				  r->n_alt_names)) != 0 ||
	    (e = record_set_number(j, "port", r->port, 0)) != 0 ||
	    (e = record_set_text(j, "bind", r->bind)) != 0 ||
	    (e = record_set_text(j, "tls", ends ? record_tls(r->tls) : "")) != 0 ||
	    (e = record_set_text(j, "proxy_protocol", proxy)) != 0 ||
	    (e = record_set_text(j, "service", r->service)) != 0 ||
	    (e = record_set_texts(j, "agents", r->agents[0], sizeof r->agents[0], r->n_agents)) !=
		    0)
		return e;
	return record_set_number(j, "drain_ms", r->drain_ms, RECORD_DRAIN_USUAL);
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
	    (e = record_set_flag(j, "temporary", r->temporary)) == 0 &&
	    (e = record_set_place(j, r)) == 0 &&
	    (e = json_set_text(j, "policy", str_of(record_policy(r->policy)))) == 0 &&
	    (e = json_set_number(j, "sessions_max", r->sessions_max)) == 0 &&
	    (e = json_set_bool(j, "rewrite", r->rewrite)) == 0 &&
	    (e = record_set_headers(j, r)) == 0 && (e = record_set_rights(j, &r->rights)) == 0 &&
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

int record_write_route(const struct record_route *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "account", str_of(r->account))) == 0 &&
	    (e = json_set_text(j, "tunnel", str_of(r->tunnel))) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}
