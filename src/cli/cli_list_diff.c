/*
 * What is about to happen to a person's tunnels, before it happens. Both sides are put into one
 * form of text first, so that what means the same is no difference.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "cli/cli_file.h"
#include "cli/cli_internal.h"
#include "cli/cli_list.h"
#include "proto/cidr.h"

/* Bytes of a value, and of a line about a tunnel, at most. */
#define VALUE_MAX 8192
#define LINE_CAP  32768

/* ---- the one form ---- */

static int diff_add(struct buf *out, struct str text)
{
	return buf_add(out, text.p, text.len, VALUE_MAX);
}

/* Lower case, without the dot that a full name may end in. */
static int diff_add_name(struct buf *out, struct str name)
{
	int e = 0;

	if (name.len > 1 && name.p[name.len - 1] == '.')
		name.len--;
	for (size_t i = 0; i < name.len && e == 0; i++) {
		char c = ascii_lower(name.p[i]);

		e = buf_add(out, &c, 1, VALUE_MAX);
	}
	return e;
}

static int diff_add_address(struct buf *out, struct str text)
{
	char ip[CIDR_IP_TEXT_MAX];
	uint8_t bytes[16];

	if (cidr_ip_parse(text, bytes) != 0)
		return diff_add(out, text);
	return buf_add(out, ip, cidr_ip_format(bytes, ip), VALUE_MAX);
}

static int diff_add_block(struct buf *out, struct str text)
{
	char block[CIDR_TEXT_MAX];
	struct cidr c;

	if (cidr_parse(text, &c) != 0)
		return diff_add(out, text);
	return buf_add(out, block, cidr_format(&c, block), VALUE_MAX);
}

static int diff_add_item(struct buf *out, enum cli_list_type type, struct str text)
{
	switch (type) {
	case CLI_LIST_A_NAME:
	case CLI_LIST_NAMES: return diff_add_name(out, text);
	case CLI_LIST_AN_ADDRESS: return diff_add_address(out, text);
	case CLI_LIST_BLOCKS: return diff_add_block(out, text);
	default: return diff_add(out, text);
	}
}

static int diff_add_number(struct buf *out, uint64_t n)
{
	return buf_printf(out, VALUE_MAX, "%llu", (unsigned long long)n);
}

/* ---- what the file says ---- */

/* A new password is no secret as such: that there is one is what changes. */
static int diff_add_user(struct buf *out, const struct tree *user)
{
	const struct tree *name = cli_file_user(user, "user");
	int e = name == NULL ? 0 : diff_add(out, name->text);

	if (e == 0 && cli_file_user(user, "password") != NULL)
		e = diff_add(out, STR(" with a new password"));
	return e;
}

static int diff_add_sequence(struct buf *out, const struct tree *list, enum cli_list_type type)
{
	int e = 0;

	for (const struct tree *t = list->child; t != NULL && e == 0; t = t->next) {
		if (t != list->child)
			e = diff_add(out, STR(", "));
		if (e == 0)
			e = type == CLI_LIST_USERS ? diff_add_user(out, t)
						   : diff_add_item(out, type, t->text);
	}
	return e;
}

static int diff_add_tokens(struct buf *out, const struct tree *list)
{
	size_t n = 0;

	for (const struct tree *t = list->child; t != NULL; t = t->next)
		n++;
	return n == 0 ? diff_add_number(out, 0) : buf_printf(out, VALUE_MAX, "%zu new ones", n);
}

static int diff_wanted(const struct cli_list_entry *e, enum cli_list_member m, struct buf *out)
{
	const struct cli_list_row *row = &cli_list_rows[m];
	const struct tree *value = e->values[m];
	struct str s;
	uint64_t n;
	bool on;

	if (value == NULL)
		return diff_add(out, str_of(row->usual));
	s = value->text;
	if (row->type == CLI_LIST_TOKENS && value->kind == TREE_SEQUENCE)
		return diff_add_tokens(out, value);
	if (value->kind == TREE_SEQUENCE)
		return diff_add_sequence(out, value, row->type);
	switch (row->type) {
	case CLI_LIST_SECONDS:
		CHECK(num_parse_duration(s, &n) == 0); /* it was checked */
		return diff_add_number(out, n / 1000);
	case CLI_LIST_A_FLAG:
		CHECK(cli_file_flag(s, &on));
		return diff_add(out, on ? STR("yes") : STR("no"));
	default: return diff_add_item(out, row->type, s);
	}
}

int cli_list_text(const struct cli_list_entry *e, enum cli_list_member m, struct buf *out)
{
	int bad = diff_wanted(e, m, out);

	return bad == ERR_TOOBIG ? 0 : bad; /* the server takes nothing that long */
}

/* ---- what there is ---- */

static int diff_now_list(const struct json *list, enum cli_list_type type, struct buf *out)
{
	struct str s;
	int e = 0;

	for (size_t i = 0; i < json_count(list) && e == 0; i++) {
		if (i > 0)
			e = diff_add(out, STR(", "));
		s = STR("");
		if (type == CLI_LIST_USERS)
			(void)!json_get_text(json_at(list, i), "user", &s);
		else
			(void)!json_text(json_at(list, i), &s);
		if (e == 0)
			e = diff_add_item(out, type, s);
	}
	return e;
}

/* The same as cli_list_text() about a tunnel as the API tells it. */
static int diff_now(const struct json *now, enum cli_list_member m, struct buf *out)
{
	const struct cli_list_row *row = &cli_list_rows[m];
	const char *path = row->path;
	const struct json *value = cli_show_at(now, path);
	struct str s;
	uint64_t n;

	if (value == NULL && row->alias != NULL) {
		path = row->alias;
		value = cli_show_at(now, path);
	}
	if (value == NULL)
		return diff_add(out, str_of(row->usual));
	switch (json_kind(value)) {
	case JSON_IS_TEXT:
		CHECK(json_text(value, &s) == 0);
		return diff_add_item(out, row->type, s);
	case JSON_IS_NUMBER:
		return json_number(value, JSON_NUMBER_MAX, &n) != 0 ? 0 : diff_add_number(out, n);
	case JSON_IS_BOOL:
		return diff_add(out, cli_show_flag(now, path, false) ? STR("yes") : STR("no"));
	default: return diff_now_list(value, row->type, out);
	}
}

/* ---- one tunnel ---- */

/* Has a member another value in the file? *same is set. Returns 0 or ERR_NOMEM. */
static int diff_is_same(const struct cli_list_entry *x, const struct json *now,
			enum cli_list_member m, bool *same)
{
	struct buf a = {0}, b = {0};
	int e;

	if ((e = cli_list_text(x, m, &a)) == 0 && (e = diff_now(now, m, &b)) == 0)
		*same = str_eq(buf_str(&a), buf_str(&b)) ||
			/* no name, or no port: it keeps the one that it has */
			(m == CLI_LIST_NAME && a.len == 0) ||
			(m == CLI_LIST_PORT && str_eq(buf_str(&a), STR("0")));
	buf_free(&a);
	buf_free(&b);
	return e == ERR_TOOBIG ? 0 : e;
}

/* Are all the same? */
static int diff_is_unchanged(const struct cli_list_entry *x, const struct json *now, bool *same)
{
	int e = 0;

	*same = true;
	for (size_t m = 0; m < CLI_LIST_MEMBERS && e == 0 && *same; m++) {
		*same = false;
		e = diff_is_same(x, now, m, same);
	}
	return e;
}

/* ---- which tunnel is which ---- */

/* Does the entry mean this tunnel? By its name; without one by its port or domains, as the server
 * does. */
static int diff_means(const struct cli_list_entry *x, const struct json *now, bool *yes)
{
	enum cli_list_member by = CLI_LIST_NAME;
	struct buf kind = {0}, text = {0};
	bool same = true;
	int e = cli_list_text(x, CLI_LIST_KIND, &kind);

	*yes = false;
	if (e == 0 && x->values[CLI_LIST_NAME] == NULL) {
		by = str_eq(buf_str(&kind), STR("tcp")) ? CLI_LIST_PORT : CLI_LIST_DOMAINS;
		e = diff_is_same(x, now, CLI_LIST_KIND, &same);
	}
	if (e == 0)
		e = cli_list_text(x, by, &text);
	if (e == 0 && same && text.len > 0 && !str_eq(buf_str(&text), STR("0")))
		e = diff_is_same(x, now, by, yes);
	buf_free(&kind);
	buf_free(&text);
	return e;
}

/* Find the tunnel that an entry means among those that no other one has. */
static int diff_find(const struct cli_list_entry *x, const struct json *now, const bool *taken,
		     size_t *out)
{
	bool yes;
	int e;

	for (*out = 0; *out < json_count(now); (*out)++) {
		if (taken[*out])
			continue;
		if ((e = diff_means(x, json_at(now, *out), &yes)) != 0 || yes)
			return e;
	}
	return 0;
}

static int diff_entries(const struct cli_list *l, const struct json *now, bool *taken,
			struct cli_list_plan *out)
{
	bool same;
	size_t i;
	int e = 0;

	for (size_t k = 0; k < l->n && e == 0; k++) {
		struct cli_list_step *s = &out->v[out->n++];

		s->wanted = &l->v[k];
		s->what = CLI_LIST_MADE;
		if ((e = diff_find(s->wanted, now, taken, &i)) != 0 || i == json_count(now))
			continue;
		taken[i] = true;
		s->now = json_at(now, i);
		e = diff_is_unchanged(s->wanted, s->now, &same);
		s->what = same ? CLI_LIST_SAME : CLI_LIST_CHANGED;
		out->n_same += same;
	}
	return e;
}

int cli_list_compare(const struct cli_list *l, const struct json *now, struct cli_list_plan *out)
{
	size_t n_now = json_count(now);
	bool *taken = calloc(n_now + 1, sizeof *taken);
	int e = ERR_NOMEM;

	out->v = calloc(l->n + n_now + 1, sizeof *out->v);
	if (taken == NULL || out->v == NULL)
		goto out;
	e = diff_entries(l, now, taken, out);
	for (size_t i = 0; i < n_now && e == 0; i++)
		if (!taken[i])
			out->v[out->n++] = (struct cli_list_step){.what = CLI_LIST_GONE,
								  .now = json_at(now, i)};
out:
	free(taken);
	return e;
}

void cli_list_plan_free(struct cli_list_plan *p)
{
	free(p->v);
	*p = (struct cli_list_plan){0};
}

/* ---- telling ---- */

/* A value, visible also when it is nothing. */
static int diff_tell_text(struct buf *out, struct str text)
{
	return buf_printf(out, LINE_CAP, text.len == 0 ? "\"\"" : STR_FMT, STR_ARG(text));
}

/* "port: 2222", or "port: 2222 -> 2223". *first: nothing was told yet. */
static int diff_tell_member(const struct cli_list_step *s, enum cli_list_member m, bool *first,
			    struct buf *out)
{
	struct buf wanted = {0}, now = {0};
	int e = cli_list_text(s->wanted, m, &wanted);

	if (e == 0 && s->now != NULL)
		e = diff_now(s->now, m, &now);
	if (e == 0)
		e = buf_printf(out, LINE_CAP, "%s%s: ", *first ? " (" : "; ",
			       cli_list_rows[m].flat);
	if (e == 0 && s->now != NULL && (e = diff_tell_text(out, buf_str(&now))) == 0)
		e = buf_add(out, " -> ", 4, LINE_CAP);
	if (e == 0)
		e = diff_tell_text(out, buf_str(&wanted));
	*first = false;
	buf_free(&wanted);
	buf_free(&now);
	return e;
}

static int diff_tell_members(const struct cli_list_step *s, struct buf *out)
{
	bool first = true;
	int e = 0;

	for (size_t m = CLI_LIST_NAME + 1; m < CLI_LIST_MEMBERS && e == 0; m++) {
		/* against what is usual, where there is nothing yet */
		bool same = s->now == NULL && m != CLI_LIST_KIND && s->wanted->values[m] == NULL;

		if (s->now != NULL)
			e = diff_is_same(s->wanted, s->now, m, &same);
		if (e == 0 && !same)
			e = diff_tell_member(s, m, &first, out);
	}
	return e != 0 || first ? e : buf_add(out, ")", 1, LINE_CAP);
}

int cli_list_tell(const struct cli_list_step *s, struct buf *out)
{
	static const char marks[] = {[CLI_LIST_MADE] = '+',
				     [CLI_LIST_CHANGED] = '~',
				     [CLI_LIST_SAME] = '=',
				     [CLI_LIST_GONE] = '-'};
	struct buf name = {0};
	int e = s->now != NULL ? diff_now(s->now, CLI_LIST_NAME, &name)
			       : cli_list_text(s->wanted, CLI_LIST_NAME, &name);

	if (e == 0 && name.len == 0)
		e = diff_add(&name, STR("(a random name)"));
	if (e == 0)
		e = buf_printf(out, LINE_CAP, "%c " STR_FMT, marks[s->what],
			       STR_ARG(buf_str(&name)));
	if (e == 0 && s->wanted != NULL && s->what != CLI_LIST_SAME)
		e = diff_tell_members(s, out);
	buf_free(&name);
	return e;
}
