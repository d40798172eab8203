/*
 * What the server hears of a service: the members of an attach, and only those that the file says,
 * since what nobody says must not change a record. Their order is that of the rows, so that two
 * files that say the same give the same text.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli_internal.h"
#include "cli/services_internal.h"

/* Bytes of a wish as text at most; of a file's, so that what it does not say any more has room. */
#define WISH_MAX      (CONTROL_WISH_MAX + 2)
#define WISH_FILE_MAX (WISH_MAX - 1024)

/* Bytes of a hash, NUL included; and of the name of an object in a wish. */
#define HASH_TEXT   128
#define OBJECT_TEXT 16

/* An object being made; rows of one object within it stand together. */
struct wish_pen {
	struct json *j, *inner; /* inner lives in j; NULL: none is open */
	char name[OBJECT_TEXT]; /* of inner */
};

/* The object that a path lies in, and the last name of the path. Returns 0 or ERR_NOMEM. */
static int wish_open(struct wish_pen *p, const char *path, struct json **obj, const char **key)
{
	struct str rest = str_of(path), first;
	struct json *made = NULL, *keep;
	int e;

	*obj = p->j;
	*key = path;
	if (!str_next(&rest, '.', &first) || rest.p == NULL)
		return 0;
	*key = rest.p;
	if (p->inner == NULL || !str_eq(str_of(p->name), first)) {
		CHECK(str_copy(p->name, sizeof p->name, first) == 0);
		if ((e = json_new_object(&made)) != 0)
			return e;
		keep = made; /* lives in p->j from now on */
		if ((e = json_set(p->j, p->name, &made)) != 0)
			return e;
		p->inner = keep;
	}
	*obj = p->inner;
	return 0;
}

/* ---- of a file ---- */

static int wish_user(const struct services_reader *r, const struct tree *user, struct json *list)
{
	const struct tree *password = cli_file_user(user, "password");
	char hash[HASH_TEXT] = "";
	struct json *j = NULL;
	int e = r->opt->hash == NULL ? 0
				     : r->opt->hash(r->opt->arg, password->text, hash, sizeof hash);

	if (e != 0 && e != ERR_NOMEM)
		return cli_file_fail(&r->file, password, "this password cannot be used: %s",
				     err_text(e));
	if (e == 0)
		e = json_new_object(&j);
	if (e == 0)
		e = json_set_text(j, "user", cli_file_user(user, "user")->text);
	if (e == 0)
		e = json_set_text(j, "hash", str_of(hash));
	if (e == 0)
		e = json_add(list, &j);
	json_free(j);
	return e;
}

static int wish_list(const struct services_reader *r, enum services_member m, struct json *obj,
		     const char *key)
{
	const struct tree *value = services_value(r, m);
	struct json *list = NULL;
	int e = json_new_list(&list);

	if (value->kind == TREE_SCALAR && e == 0)
		e = json_add_text(list, value->text);
	for (const struct tree *t = value->child; t != NULL && e == 0; t = t->next)
		e = m == SERVICES_USERS ? wish_user(r, t, list) : json_add_text(list, t->text);
	if (e == 0)
		e = json_set(obj, key, &list);
	json_free(list);
	return e;
}

/* "keep", "rewrite", or what Host shall say: two members, one of which counts. */
static int wish_host(struct json *obj, struct str value)
{
	bool rewrite = str_eq(value, STR("rewrite"));
	bool named = !rewrite && !str_eq(value, STR("keep"));
	int e = json_set_bool(obj, "rewrite", rewrite);

	return e != 0 ? e : json_set_text(obj, "host", named ? value : STR(""));
}

static int wish_value(const struct services_reader *r, enum services_member m, struct json *obj,
		      const char *key)
{
	const struct services_row *row = &services_rows[m];
	const struct tree *value = services_value(r, m);

	if (m == SERVICES_HOST_HEADER)
		return wish_host(obj, value->text);
	switch (row->type) {
	case SERVICES_TEXTS:
	case SERVICES_OF_USERS: return wish_list(r, m, obj, key);
	case SERVICES_A_NUMBER:
	case SERVICES_A_SPAN: return json_set_number(obj, key, services_number(row, value));
	default: return json_set_text(obj, key, value->text);
	}
}

int services_make_wish(const struct services_reader *r, struct json **out)
{
	struct wish_pen p = {0};
	struct buf text = {0};
	struct json *obj = NULL;
	const char *key = NULL;
	int e = json_new_object(&p.j);

	for (enum services_member m = 0; m < SERVICES_MEMBERS && e == 0; m++) {
		if (services_rows[m].wish == NULL || r->keys[m] == NULL)
			continue;
		if ((e = wish_open(&p, services_rows[m].wish, &obj, &key)) == 0)
			e = wish_value(r, m, obj, key);
	}
	if (e == 0)
		e = json_write(p.j, WISH_FILE_MAX, &text);
	if (e == 0)
		MOVE(*out, p.j);
	buf_free(&text);
	json_free(p.j);
	return e;
}

/* ---- of two files ---- */

static int wish_usual(enum services_member m, struct json *obj, const char *key)
{
	const struct services_row *row = &services_rows[m];
	struct json *list = NULL;
	int e;

	if (m == SERVICES_HOST_HEADER)
		return wish_host(obj, str_of(row->usual));
	switch (row->type) {
	case SERVICES_TEXTS:
	case SERVICES_OF_USERS:
		e = json_new_list(&list);
		return e != 0 ? e : json_set(obj, key, &list);
	case SERVICES_A_NUMBER:
	case SERVICES_A_SPAN: return json_set_number(obj, key, strtoull(row->usual, NULL, 10));
	default: return json_set_text(obj, key, str_of(row->usual));
	}
}

/* A copy of one object, and no more. */
static int wish_copy(const struct json *from, struct json **out)
{
	struct buf text = {0};
	int e = json_write(from, WISH_MAX, &text);

	if (e == 0)
		e = json_parse(buf_str(&text), WISH_MAX, out);
	buf_free(&text);
	return e;
}

/* The member of an object that is an object; NULL: there is none. The root is ours. */
static struct json *wish_inner(struct json *j, const char *name)
{
	const struct json *inner = NULL;

	return json_get_object(j, name, &inner) == 0 ? (struct json *)(uintptr_t)inner : NULL;
}

/* Say in j, too, what `before` said and j does not. */
static int wish_take_back(struct json *j, const struct json *before)
{
	int e = 0;

	for (enum services_member m = 0; m < SERVICES_MEMBERS && e == 0; m++) {
		const char *path = services_rows[m].wish, *key = NULL;
		struct wish_pen p = {.j = j};
		struct json *obj = NULL;
		struct str rest, first;

		if (path == NULL || cli_show_at(before, path) == NULL ||
		    cli_show_at(j, path) != NULL)
			continue;
		rest = str_of(path);
		CHECK(str_next(&rest, '.', &first));
		if (rest.p != NULL && str_copy(p.name, sizeof p.name, first) == 0)
			p.inner = wish_inner(j, p.name);
		if ((e = wish_open(&p, path, &obj, &key)) == 0)
			e = wish_usual(m, obj, key);
	}
	return e;
}

int services_wish_text(const struct services_entry *x, const struct services_entry *before,
		       struct buf *text)
{
	struct json *wish = NULL;
	int e = wish_copy(x->wish, &wish);

	if (e == 0 && before != NULL)
		e = wish_take_back(wish, before->wish);
	if (e == 0)
		e = json_write(wish, text->len + WISH_MAX, text);
	json_free(wish);
	CHECK(e == 0 || e == ERR_NOMEM); /* the bounds of the rows keep it small */
	return e;
}

int services_tunnel(const struct services_entry *x, const struct services_entry *before,
		    struct buf *text, struct agent_tunnel *out)
{
	size_t was = text->len;
	int e = services_wish_text(x, before, text);

	if (e != 0)
		return e;
	*out = (struct agent_tunnel){
		.kind = x->kind,
		.name = x->name,
		.target = x->target,
		.insecure = x->insecure,
		/* the members without the braces */
		.wish = {buf_str(text).p + was + 1, text->len - was - 2},
		.priority = x->priority,
		.proxy = x->proxy,
		.health = x->health,
	};
	return 0;
}

static bool wish_same(const struct json *a, const struct json *b)
{
	struct buf x = {0}, y = {0};
	bool same = json_write(a, WISH_MAX, &x) == 0 && json_write(b, WISH_MAX, &y) == 0 &&
		    str_eq(buf_str(&x), buf_str(&y));

	buf_free(&x);
	buf_free(&y);
	return same;
}

static bool wish_same_target(const struct url *a, const struct url *b)
{
	char x[URL_TEXT_MAX], y[URL_TEXT_MAX];

	url_format(a, x);
	url_format(b, y);
	return strcmp(x, y) == 0;
}

bool services_same(const struct services_entry *a, const struct services_entry *b)
{
	const struct health_opt *h = &a->health, *i = &b->health;

	return a->kind == b->kind && strcmp(a->name, b->name) == 0 && a->insecure == b->insecure &&
	       a->priority == b->priority && a->proxy == b->proxy && h->kind == i->kind &&
	       (h->kind == HEALTH_NONE || strcmp(h->path, i->path) == 0) &&
	       h->interval_ms == i->interval_ms && h->rise == i->rise && h->fall == i->fall &&
	       wish_same_target(&a->target, &b->target) && wish_same(a->wish, b->wish);
}
