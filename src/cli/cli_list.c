/*
 * Whoever writes a file by hand wants to know which line is wrong, also when only the server can
 * tell: so the tree of the file is kept, and what the API is sent is made from it.
 */
#include "cli/cli_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "cli/cli_file.h"

/* Names of one path, at most, and its bytes. */
#define STEPS_MAX 3
#define PATH_TEXT 80

const struct cli_list_row cli_list_rows[CLI_LIST_MEMBERS] = {
	[CLI_LIST_NAME] = {"name", "name", "id", CLI_LIST_A_NAME, ""},
	[CLI_LIST_KIND] = {"kind", "kind", NULL, CLI_LIST_A_TEXT, "http"},
	[CLI_LIST_ENABLED] = {"enabled", "enabled", "ingress.http.enabled", CLI_LIST_A_FLAG, "yes"},
	[CLI_LIST_DOMAINS] = {"domains", "domains", "ingress.http.alt_names", CLI_LIST_NAMES, ""},
	[CLI_LIST_PORT] = {"ingress.tcp.port", "port", NULL, CLI_LIST_A_NUMBER, "0"},
	[CLI_LIST_BIND] = {"ingress.tcp.bind", "bind", NULL, CLI_LIST_AN_ADDRESS, ""},
	[CLI_LIST_TLS] = {"ingress.tls.mode", "tls", NULL, CLI_LIST_A_TEXT, "pass"},
	[CLI_LIST_TARGET] = {"target.url", "target", NULL, CLI_LIST_A_TEXT, ""},
	[CLI_LIST_SERVICE] = {"target.service", "service", NULL, CLI_LIST_A_TEXT, ""},
	[CLI_LIST_PROXY] = {"target.proxy_protocol", "proxy_protocol", NULL, CLI_LIST_A_TEXT,
			    "none"},
	[CLI_LIST_AGENTS] = {"transport.agents", "agents", NULL, CLI_LIST_TEXTS, ""},
	[CLI_LIST_POLICY] = {"transport.policy", "policy", NULL, CLI_LIST_A_TEXT, "least-conn"},
	[CLI_LIST_MAX_SESSIONS] = {"transport.max_connections", "max_sessions", NULL,
				   CLI_LIST_A_NUMBER, "64"},
	[CLI_LIST_DRAIN] = {"transport.drain", "drain", NULL, CLI_LIST_SECONDS, "30"},
	[CLI_LIST_REWRITE] = {"headers.rewrite", "rewrite_host", NULL, CLI_LIST_A_FLAG, "no"},
	[CLI_LIST_HOST] = {"headers.host", "host", NULL, CLI_LIST_A_TEXT, ""},
	[CLI_LIST_REQUEST_REMOVE] = {"headers.request_remove", "request_header_remove", NULL,
				     CLI_LIST_TEXTS, ""},
	[CLI_LIST_REQUEST_ADD] = {"headers.request_add", "request_header_add", NULL, CLI_LIST_TEXTS,
				  ""},
	[CLI_LIST_RESPONSE_REMOVE] = {"headers.response_remove", "response_header_remove", NULL,
				      CLI_LIST_TEXTS, ""},
	[CLI_LIST_RESPONSE_ADD] = {"headers.response_add", "response_header_add", NULL,
				   CLI_LIST_TEXTS, ""},
	[CLI_LIST_BASIC] = {"visitors.basic", "users", NULL, CLI_LIST_USERS, ""},
	[CLI_LIST_BEARER] = {"visitors.bearer", "tokens", NULL, CLI_LIST_TOKENS, "0"},
	[CLI_LIST_ALLOW] = {"visitors.allow", "allow", NULL, CLI_LIST_BLOCKS, ""},
	[CLI_LIST_DENY] = {"visitors.deny", "deny", NULL, CLI_LIST_BLOCKS, ""},
	[CLI_LIST_AUTH_URL] = {"visitors.auth_url", "auth_url", NULL, CLI_LIST_A_TEXT, ""},
};

/* What the API tells and does not take: passed over, so that what it told can be given back. */
static const char *const cli_list_told[] = {"urls",
					    "connection",
					    "owner",
					    "temporary",
					    "created_at",
					    "updated_at",
					    "transport.connect_url",
					    "transport.ws",
					    "transport.ssh",
					    "ingress.sni",
					    "ingress.http.url",
					    "ingress.http.urls"};

/* Reading one tunnel; the path grows and shrinks with the depth. */
struct cli_list_reader {
	const struct cli_list *list;
	struct cli_list_entry *entry;
	struct cli_file file;
	char path[PATH_TEXT];
};

/* ---- values ---- */

static int cli_list_check_sequence(const struct cli_list_reader *r, const struct tree *value,
				   enum cli_list_type type)
{
	if (value->kind != TREE_SEQUENCE)
		return cli_file_fail(&r->file, value, "must be a list");
	if (type == CLI_LIST_USERS)
		return cli_file_users(&r->file, value);
	for (const struct tree *item = value->child; item != NULL; item = item->next)
		if (item->kind != TREE_SCALAR)
			return cli_file_fail(&r->file, item, "must be a text");
	return 0;
}

static int cli_list_check(const struct cli_list_reader *r, const struct tree *value,
			  enum cli_list_type type)
{
	uint64_t n;
	bool on;

	if (type >= CLI_LIST_TEXTS && !(type == CLI_LIST_TOKENS && value->kind == TREE_SCALAR))
		return cli_list_check_sequence(r, value, type);
	if (value->kind != TREE_SCALAR)
		return cli_file_fail(&r->file, value, "must be one value");
	switch (type) {
	case CLI_LIST_A_NUMBER:
	case CLI_LIST_TOKENS:
		if (num_parse(value->text, JSON_NUMBER_MAX, &n) != 0)
			return cli_file_fail(&r->file, value, "must be a number");
		return 0;
	case CLI_LIST_SECONDS:
		if (num_parse_duration(value->text, &n) != 0 || n % 1000 != 0)
			return cli_file_fail(&r->file, value,
					     "must be a span of whole seconds, as 30s");
		return 0;
	case CLI_LIST_A_FLAG:
		if (!cli_file_flag(value->text, &on))
			return cli_file_fail(&r->file, value, "must be true or false");
		return 0;
	default: return 0;
	}
}

/* ---- members ---- */

/* What was said twice must be said alike. */
static int cli_list_take(const struct cli_list_reader *r, enum cli_list_member m,
			 const struct tree *value)
{
	struct cli_list_entry other = {0};
	const struct tree *before = r->entry->values[m];
	struct buf a = {0}, b = {0};
	int e = cli_list_check(r, value, cli_list_rows[m].type);

	if (e != 0)
		return e;
	r->entry->values[m] = value;
	if (before == NULL)
		return 0;
	other.values[m] = before;
	if ((e = cli_list_text(&other, m, &a)) == 0 && (e = cli_list_text(r->entry, m, &b)) == 0 &&
	    !str_eq(buf_str(&a), buf_str(&b)))
		e = cli_file_fail(&r->file, value, "line %u says otherwise, and both mean the same",
				  before->line);
	buf_free(&a);
	buf_free(&b);
	return e;
}

static bool cli_list_is_told(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(cli_list_told); i++)
		if (strcmp(cli_list_told[i], path) == 0)
			return true;
	return false;
}

/* Does a path begin with all of this one? */
static bool cli_list_is_above(const char *path, const char *below)
{
	size_t len = strlen(path);

	return below != NULL && strncmp(path, below, len) == 0 && below[len] == '.';
}

/* The row of a path, or of a short form where that may be; CLI_LIST_MEMBERS: there is none. */
static enum cli_list_member cli_list_find(const struct cli_list_reader *r, const struct tree *key)
{
	bool flat = strchr(r->path, '.') == NULL && key->value->kind != TREE_MAPPING;

	for (size_t i = 0; i < CLI_LIST_MEMBERS; i++) {
		const struct cli_list_row *row = &cli_list_rows[i];

		if (strcmp(row->path, r->path) == 0 || (flat && strcmp(row->flat, r->path) == 0) ||
		    (row->alias != NULL && strcmp(row->alias, r->path) == 0))
			return i;
	}
	return CLI_LIST_MEMBERS;
}

static int cli_list_unknown(const struct cli_list_reader *r, const struct tree *key)
{
	struct guess g = {.word = key->text};

	for (size_t i = 0; i < CLI_LIST_MEMBERS && strchr(r->path, '.') == NULL; i++)
		guess_offer(&g, cli_list_rows[i].flat);
	return cli_file_unknown(&r->file, key, &g);
}

static int cli_list_object(struct cli_list_reader *r, const struct tree *mapping);

static int cli_list_key(struct cli_list_reader *r, const struct tree *key)
{
	enum cli_list_member m;
	bool above = false;

	if (cli_list_is_told(r->path) || tree_null(key->value))
		return 0;
	if ((m = cli_list_find(r, key)) != CLI_LIST_MEMBERS)
		return cli_list_take(r, m, key->value);
	for (size_t i = 0; i < CLI_LIST_MEMBERS; i++)
		above |= cli_list_is_above(r->path, cli_list_rows[i].path) ||
			 cli_list_is_above(r->path, cli_list_rows[i].alias);
	if (!above)
		return cli_list_unknown(r, key);
	if (key->value->kind != TREE_MAPPING)
		return cli_file_fail(&r->file, key->value, "must be a mapping");
	return cli_list_object(r, key->value);
}

static int cli_list_object(struct cli_list_reader *r, const struct tree *mapping)
{
	size_t was = strlen(r->path);
	int e = 0;

	for (const struct tree *key = mapping->child; key != NULL && e == 0; key = key->next) {
		str_printf(r->path + was, sizeof r->path - was, "%s%.40s", was == 0 ? "" : ".",
			   key->text.p);
		e = cli_list_key(r, key);
		r->path[was] = '\0';
	}
	return e;
}

/* ---- the list ---- */

/* The sequence of tunnels: the document itself, or its member "tunnels". */
static int cli_list_sequence(const struct cli_list_reader *r, const struct tree **out)
{
	const struct tree *root = r->list->root, *at = root;

	if (root != NULL && root->kind == TREE_MAPPING) {
		at = NULL;
		for (const struct tree *k = root->child; k != NULL; k = k->next) {
			if (str_eq(k->text, STR("tunnels")))
				at = k->value;
			else if (!str_eq(k->text, STR("cursor")))
				return cli_file_fail(&r->file, k,
						     "expected a list of tunnels, or "
						     "\"tunnels:\" and nothing else");
		}
	}
	if (at != NULL && at->kind == TREE_SEQUENCE) {
		*out = at;
		return 0;
	}
	if (root != NULL)
		return cli_file_fail(&r->file, at == NULL ? root : at,
				     "expected a list of tunnels; [] for none");
	str_printf(r->file.why, CLI_LIST_WHY, "%s: expected a list of tunnels; [] for none",
		   r->file.path);
	return ERR_INVAL;
}

static int cli_list_entries(struct cli_list_reader *r, struct cli_list *l)
{
	const struct tree *list = NULL;
	size_t n = 0;
	int e = cli_list_sequence(r, &list);

	if (e != 0)
		return e;
	for (const struct tree *t = list->child; t != NULL; t = t->next)
		n++;
	if (n > CLI_LIST_TUNNELS_MAX)
		return cli_file_fail(&r->file, list, "%zu tunnels are too many: %d are the most", n,
				     CLI_LIST_TUNNELS_MAX);
	if ((l->v = calloc(n + 1, sizeof *l->v)) == NULL)
		return ERR_NOMEM;
	for (const struct tree *t = list->child; t != NULL && e == 0; t = t->next) {
		r->entry = &l->v[l->n++];
		r->entry->node = t;
		if (t->kind != TREE_MAPPING)
			return cli_file_fail(&r->file, t,
					     "expected a tunnel: \"name: ...\" and so on");
		e = cli_list_object(r, t);
	}
	return e;
}

int cli_list_parse(const char *path, struct str bytes, struct cli_list *out, char why[CLI_LIST_WHY])
{
	struct cli_list_reader r = {.list = out, .file = {path, why, CLI_LIST_WHY}};
	int e;

	why[0] = '\0';
	if ((out->path = str_dup(str_of(path))) == NULL)
		return ERR_NOMEM;
	e = cli_file_parse(&r.file, bytes, &out->root);
	return e != 0 ? e : cli_list_entries(&r, out);
}

int cli_list_read(const char *path, struct cli_list *out, char why[CLI_LIST_WHY])
{
	bool in = strcmp(path, "-") == 0;
	struct buf b = {0};
	int e = cli_file_read(path, &b, why, CLI_LIST_WHY);

	if (e == 0)
		e = cli_list_parse(in ? "standard input" : path, buf_str(&b), out, why);
	if (b.mem != NULL)
		explicit_bzero(b.mem, b.size);
	buf_free(&b);
	return e == ERR_NOTFOUND ? ERR_INVAL : e;
}

void cli_list_free(struct cli_list *l)
{
	free(l->v);
	tree_free(l->root);
	free(l->path);
	*l = (struct cli_list){0};
}

/* The item of a sequence that a field ends in the number of, or the sequence. */
static const struct tree *cli_list_item(const struct tree *value, const char *rest)
{
	const struct tree *item = value->child;
	const char *dot = strrchr(rest, '.');
	uint64_t n;

	if (value->kind != TREE_SEQUENCE || dot == NULL ||
	    num_parse(str_of(dot + 1), CLI_LIST_TUNNELS_MAX, &n) != 0)
		return value;
	while (item != NULL && n-- > 0)
		item = item->next;
	return item == NULL ? value : item;
}

int cli_list_find_place(const struct cli_list *l, const char *field, struct cli_list_place *out)
{
	struct str left = str_of(field), step;
	uint64_t n;

	if (!str_next(&left, '.', &step) || !str_eq(step, STR("tunnels")) ||
	    !str_next(&left, '.', &step) || num_parse(step, CLI_LIST_TUNNELS_MAX, &n) != 0 ||
	    n >= l->n)
		return ERR_NOTFOUND;
	*out = (struct cli_list_place){.node = l->v[n].node,
				       .rest = left.p == NULL ? "" : left.p,
				       .member = CLI_LIST_MEMBERS,
				       .entry = (size_t)n};
	for (size_t i = 0; i < CLI_LIST_MEMBERS; i++) {
		const struct cli_list_row *row = &cli_list_rows[i];
		const char *paths[] = {row->path, row->alias};
		bool meant = false;

		for (size_t k = 0; k < ARRAY_LEN(paths); k++)
			meant |= paths[k] != NULL && (strcmp(paths[k], out->rest) == 0 ||
						      cli_list_is_above(paths[k], out->rest));
		if (!meant || l->v[n].values[i] == NULL)
			continue;
		out->node = cli_list_item(l->v[n].values[i], out->rest);
		out->member = i;
	}
	return 0;
}

/* ---- the body ---- */

static int cli_list_body_texts(const struct tree *value, struct json *list)
{
	int e = 0;

	for (const struct tree *t = value->child; t != NULL && e == 0; t = t->next)
		e = json_add_text(list, t->text);
	return e;
}

static int cli_list_body_users(const struct tree *value, struct json *list)
{
	struct json *user = NULL;
	int e = 0;

	for (const struct tree *t = value->child; t != NULL && e == 0; t = t->next) {
		e = json_new_object(&user);
		for (const struct tree *k = t->child; k != NULL && e == 0; k = k->next)
			e = json_set_text(user, k->text.p, k->value->text);
		if (e == 0)
			e = json_add(list, &user);
		json_free(user);
		user = NULL;
	}
	return e;
}

static int cli_list_body_list(const struct tree *value, enum cli_list_type type, struct json *obj,
			      const char *key)
{
	struct json *list = NULL;
	int e = json_new_list(&list);

	if (e == 0)
		e = type == CLI_LIST_USERS ? cli_list_body_users(value, list)
					   : cli_list_body_texts(value, list);
	if (e == 0)
		e = json_set(obj, key, &list);
	json_free(list);
	return e;
}

static int cli_list_body_value(const struct tree *value, enum cli_list_type type, struct json *obj,
			       const char *key)
{
	struct str s = value->text;
	uint64_t n = 0;
	bool on;

	if (value->kind == TREE_SEQUENCE)
		return cli_list_body_list(value, type, obj, key);
	switch (type) {
	case CLI_LIST_A_NUMBER:
	case CLI_LIST_TOKENS:
		CHECK(num_parse(s, JSON_NUMBER_MAX, &n) == 0); /* it was checked */
		return json_set_number(obj, key, n);
	case CLI_LIST_SECONDS:
		CHECK(num_parse_duration(s, &n) == 0);
		return json_set_number(obj, key, n / 1000);
	case CLI_LIST_A_FLAG: CHECK(cli_file_flag(s, &on)); return json_set_bool(obj, key, on);
	default: return json_set_text(obj, key, s);
	}
}

/* Objects that are open, and the path that led to them. */
struct cli_list_objects {
	struct json *at[STEPS_MAX];
	char names[STEPS_MAX][PATH_TEXT];
	size_t n; /* at[0] is the tunnel */
};

/* Open the object that a path lies in; rows of one object stand together. Leaves the last name in
 * *path. Returns 0 or ERR_NOMEM. */
static int cli_list_open(struct cli_list_objects *o, struct str *path)
{
	size_t depth = 1;
	struct str name;

	while (str_find(*path, '.') < path->len && str_next(path, '.', &name)) {
		struct json *made = NULL;

		if (depth < o->n && str_eq(str_of(o->names[depth]), name)) {
			depth++;
			continue;
		}
		if (json_new_object(&made) != 0)
			return ERR_NOMEM;
		CHECK(depth < STEPS_MAX && str_copy(o->names[depth], PATH_TEXT, name) == 0);
		o->at[depth] = made; /* lives in the one above from now on */
		if (json_set(o->at[depth - 1], o->names[depth], &made) != 0)
			return ERR_NOMEM;
		o->n = ++depth;
	}
	o->n = depth;
	return 0;
}

static int cli_list_body_entry(const struct cli_list_entry *x, struct json *tunnel)
{
	struct cli_list_objects o = {.at = {tunnel}, .n = 1};
	int e = 0;

	for (size_t i = 0; i < CLI_LIST_MEMBERS && e == 0; i++) {
		struct str path = str_of(cli_list_rows[i].path);

		if (x->values[i] == NULL || (e = cli_list_open(&o, &path)) != 0)
			continue;
		e = cli_list_body_value(x->values[i], cli_list_rows[i].type, o.at[o.n - 1], path.p);
	}
	return e;
}

int cli_list_body(const struct cli_list *l, struct json **out)
{
	struct json *root = NULL, *list = NULL, *tunnel = NULL;
	int e = 0;

	if (json_new_object(&root) != 0 || json_new_list(&list) != 0)
		e = ERR_NOMEM;
	for (size_t i = 0; i < l->n && e == 0; i++) {
		if ((e = json_new_object(&tunnel)) == 0 &&
		    (e = cli_list_body_entry(&l->v[i], tunnel)) == 0)
			e = json_add(list, &tunnel);
		json_free(tunnel);
		tunnel = NULL;
	}
	if (e == 0)
		e = json_set(root, "tunnels", &list);
	if (e == 0)
		MOVE(*out, root);
	json_free(list);
	json_free(root);
	return e == 0 ? 0 : ERR_NOMEM;
}
