/*
 * A list of services is edited while it runs, by people: what they mean must need no more than a
 * name and a port, and what they cannot have meant must be told before anything changes.
 */
#include "cli/services.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/show.h"
#include "cli/cli_place.h"
#include "cli/services_internal.h"
#include "config/say.h"

/* ---- names ---- */

/* Is the key a label, which becomes the first one of a host name? Source: RFC 1123 2.1. */
static int services_label(const struct services_reader *r, const struct tree *key)
{
	struct str s = key->text;
	char quoted[SAY_QUOTED], c[8];

	say_quote(quoted, s);
	for (size_t i = 0; i < s.len; i++) {
		char l = ascii_lower(s.p[i]);

		if ((l >= 'a' && l <= 'z') || (l >= '0' && l <= '9') || l == '-')
			continue;
		(void)show_visible(c, (struct str){s.p + i, s.len - i});
		return cli_file_fail(&r->file, key,
				     "%s cannot be a name because of '%s': only letters, digits "
				     "and hyphens can; \"name\" gives the tunnel another one",
				     quoted, c);
	}
	if (s.len == 0 || s.len > HOSTNAME_LABEL_MAX)
		return cli_file_fail(&r->file, key,
				     "%s cannot be a name: expected 1-%d letters, digits and "
				     "hyphens",
				     quoted, HOSTNAME_LABEL_MAX);
	if (s.p[0] == '-' || s.p[s.len - 1] == '-')
		return cli_file_fail(&r->file, key,
				     "%s cannot be a name: it begins or ends with a hyphen",
				     quoted);
	return 0;
}

/* A name of its own, or the service's under the id. */
static int services_name(const struct services_reader *r, const struct tree *key, const char *id,
			 struct services_entry *x)
{
	const struct tree *name = services_value(r, SERVICES_NAME);
	char all[2 * HOSTNAME_MAX + 2], quoted[SAY_QUOTED];
	int e;

	if (name != NULL) {
		CHECK(hostname_tunnel(name->text, x->name) == 0); /* its row checked it */
		for (size_t i = 0; i < key->text.len; i++)
			if ((unsigned char)key->text.p[i] < ' ' || key->text.p[i] == 0x7f)
				return cli_file_fail(&r->file, key,
						     "%s cannot be what a service is called: it "
						     "has control characters",
						     say_quote(quoted, key->text));
		return 0;
	}
	if ((e = services_label(r, key)) != 0)
		return e;
	str_printf(all, sizeof all, "%s%s%s", key->text.p, id[0] == '\0' ? "" : ".", id);
	if (hostname_tunnel(str_of(all), x->name) != 0)
		return cli_file_fail(&r->file, key, "%s under the id is longer than a name may be",
				     say_quote(quoted, key->text));
	return 0;
}

static int services_compare(const void *a, const void *b)
{
	const struct services_entry *const *x = a, *const *y = b;
	int order = strcmp((*x)->name, (*y)->name);

	if (order != 0)
		return order;
	return *x < *y ? -1 : 1; /* in the order of the file */
}

/* Two services must not be one tunnel. */
static int services_check_names(const struct services_reader *r, const struct services *s)
{
	const struct services_entry **v = calloc(s->n + 1, sizeof *v);
	int e = 0;

	if (v == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < s->n; i++)
		v[i] = &s->v[i];
	qsort(v, s->n, sizeof *v, services_compare);
	for (size_t i = 0; i < s->n && e == 0; i++) {
		struct tree at = {.line = v[i]->line, .col = v[i]->col};

		if (s->index && strcmp(v[i]->name, s->id) == 0)
			e = cli_file_fail(&r->file, &at,
					  "this service has the name %s, which is that of the "
					  "index page",
					  s->id);
		else if (i > 0 && strcmp(v[i]->name, v[i - 1]->name) == 0)
			e = cli_file_fail(&r->file, &at,
					  "this service has the name %s, and so has the one at "
					  "%u:%u",
					  v[i]->name, v[i - 1]->line, v[i - 1]->col);
	}
	free(v);
	return e;
}

/* ---- the file ---- */

static int services_entries(struct services_reader *r, struct services *s,
			    const struct tree *mapping)
{
	size_t n = 0;
	int e = 0;

	for (const struct tree *k = mapping->child; k != NULL; k = k->next)
		if (++n > SERVICES_MAX)
			return cli_file_fail(&r->file, k, "too many services: %d are the most",
					     SERVICES_MAX);
	if ((s->v = calloc(n + 1, sizeof *s->v)) == NULL)
		return ERR_NOMEM;
	for (const struct tree *k = mapping->child; k != NULL && e == 0; k = k->next) {
		struct services_entry *x = &s->v[s->n++];
		bool on = true;

		if ((e = services_read_entry(r, k, x, &on)) == 0)
			e = services_name(r, k, s->id, x);
		if (e == 0 && !on)
			s->v[--s->n] = (struct services_entry){0};
	}
	return e != 0 ? e : services_check_names(r, s);
}

static const struct tree *services_key(const struct tree *root, const char *word)
{
	for (const struct tree *k = root->child; k != NULL; k = k->next)
		if (services_key_is(k->text, word))
			return k;
	return NULL;
}

/* One, or a list of nodes of a cluster. */
static const struct services_row services_servers = {.key = "server",
						     .type = SERVICES_TEXTS,
						     .max = SERVERS_GIVEN_MAX,
						     .check = cli_check_server};

static void services_read_servers(struct services *s, const struct tree *value)
{
	const struct tree *item = value->kind == TREE_SEQUENCE ? value->child : value;

	for (; item != NULL; item = value->kind == TREE_SEQUENCE ? item->next : NULL)
		CHECK(url_parse(item->text, &s->servers[s->n_servers++], NULL) == 0);
}

/* What stands beside "services". */
static int services_beside(struct services_reader *r, struct services *s, const struct tree *key)
{
	static const char *const words[] = {"services", "id", "index", "server"};
	struct guess g = {.word = key->text};
	int e;

	if (services_key_is(key->text, "services") || tree_null(key->value))
		return 0;
	if (services_key_is(key->text, "id")) {
		e = services_check_text(&r->file, key->value, cli_check_name, false);
		if (e == 0 && s->id[0] == '\0')
			CHECK(hostname_tunnel(key->value->text, s->id) == 0);
		return e;
	}
	if (services_key_is(key->text, "index"))
		return services_check_value(&r->file, &services_rows[SERVICES_ENABLED], key->value);
	if (services_key_is(key->text, "server")) {
		e = services_check_value(&r->file, &services_servers, key->value);
		if (e == 0)
			services_read_servers(s, key->value);
		return e;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		guess_offer(&g, words[i]);
	return cli_file_unknown(&r->file, key, &g);
}

static int services_long(struct services_reader *r, struct services *s, const struct tree *list)
{
	static const struct tree none = {.kind = TREE_MAPPING};
	const struct tree *index = services_key(s->root, "index");
	int e = 0;

	for (const struct tree *k = s->root->child; k != NULL && e == 0; k = k->next)
		e = services_beside(r, s, k);
	if (e == 0 && index != NULL && !tree_null(index->value))
		s->index = services_number(&services_rows[SERVICES_ENABLED], index->value) != 0;
	if (e == 0 && s->index && s->id[0] == '\0')
		e = cli_file_fail(&r->file, index,
				  "the index page needs an id, whose name it gets: \"id\", or "
				  "--id");
	return e != 0 ? e : services_entries(r, s, tree_null(list) ? &none : list);
}

static int services_root(struct services_reader *r, struct services *s)
{
	const struct tree *list;

	if (tree_null(s->root))
		return 0;
	if (s->root->kind != TREE_MAPPING)
		return cli_file_fail(&r->file, s->root,
				     "expected services, a line each, as in hello-world: 9000");
	list = services_key(s->root, "services");
	if (list != NULL && (list->value->kind == TREE_MAPPING || tree_null(list->value)))
		return services_long(r, s, list->value);
	return services_entries(r, s, s->root);
}

int services_parse(const char *path, struct str bytes, const struct services_opt *opt,
		   struct services *out, char why[SERVICES_WHY])
{
	struct services_reader r = {.file = {path, why, SERVICES_WHY}, .opt = opt};
	int e;

	why[0] = '\0';
	if ((out->path = str_dup(str_of(path))) == NULL)
		return ERR_NOMEM;
	if (opt->id != NULL && hostname_tunnel(str_of(opt->id), out->id) != 0) {
		str_printf(why, SERVICES_WHY, "the id is not a name as in tim");
		return ERR_INVAL;
	}
	e = cli_file_parse(&r.file, bytes, &out->root);
	return e != 0 ? e : services_root(&r, out);
}

int services_read(const char *path, const struct services_opt *opt, struct services *out,
		  char why[SERVICES_WHY])
{
	const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
	struct buf b = {0};
	int e = cli_file_read(path, &b, why, SERVICES_WHY);

	if (e == 0)
		e = services_parse(name, buf_str(&b), opt, out, why);
	if (b.mem != NULL)
		explicit_bzero(b.mem, b.size);
	buf_free(&b);
	return e;
}

void services_free(struct services *s)
{
	for (size_t i = 0; i < s->n; i++)
		json_free(s->v[i].wish);
	free(s->v);
	tree_free(s->root);
	free(s->path);
	*s = (struct services){0};
}

void services_default_path(const struct cli_options *set, char out[SERVICES_PATH])
{
	const char *home = getenv("HOME");
	char dir[MEMORY_DIR_MAX + 2];

	if (home != NULL && home[0] == '/') {
		str_printf(out, SERVICES_PATH, "%s/.tunnel-services.json", home);
		if (access(out, F_OK) == 0)
			return;
	}
	cli_place_dir(set, dir);
	str_printf(out, SERVICES_PATH, "%s%s", dir, dir[0] == '\0' ? "" : "/services.yaml");
}
