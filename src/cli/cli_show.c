/* One table says how an answer looks to a person; programs get it as it came. */
#include "cli/cli_internal.h"

#include <string.h>

#include "base/err.h"
#include "cli/cli_table.h"
#include "cli/cli_text.h"
#include "cli/cli_time.h"
#include "proto/time_text.h"

/* Bytes of a cell before it is cleaned and cut. */
#define CLI_CELL_MAX 4096

/* Bytes of JSON that are printed at most: all pages of a list. */
#define CLI_JSON_MAX ((size_t)256 * 1024 * 1024)

/* ---- looking into answers ---- */

/* A member of an object by a name that is not NUL-terminated. */
static const struct json *cli_show_member(const struct json *obj, struct str name)
{
	const struct json *value;
	struct str key;
	void *at = NULL;

	if (obj == NULL || json_kind(obj) != JSON_IS_OBJECT)
		return NULL;
	while (json_each(obj, &at, &key, &value))
		if (str_eq(key, name))
			return json_kind(value) == JSON_IS_NULL ? NULL : value;
	return NULL;
}

const struct json *cli_show_at(const struct json *item, const char *path)
{
	struct str rest = str_of(path), name;

	while (item != NULL && rest.len > 0 && str_next(&rest, '.', &name))
		item = cli_show_member(item, name);
	return item;
}

const char *cli_show_text(const struct json *item, const char *path)
{
	const struct json *j = cli_show_at(item, path);
	struct str text;

	return j != NULL && json_text(j, &text) == 0 ? text.p : "";
}

bool cli_show_flag(const struct json *item, const char *path, bool otherwise)
{
	const char *dot = strrchr(path, '.'), *key = dot == NULL ? path : dot + 1;
	char above[128] = "";
	bool flag;

	if (dot != NULL &&
	    str_copy(above, sizeof above, (struct str){path, (size_t)(dot - path)}) != 0)
		return otherwise;
	item = cli_show_at(item, above);
	return item != NULL && json_get_bool(item, key, &flag) == 0 ? flag : otherwise;
}

/* ---- cells ---- */

/* Append what fits; running out of room is no error. */
static int cli_show_add(struct buf *out, struct str text)
{
	size_t room = CLI_CELL_MAX - MIN(out->len, CLI_CELL_MAX);

	return buf_add(out, text.p, MIN(text.len, room), CLI_CELL_MAX);
}

static int cli_show_value(struct cli *cli, const struct json *j, enum cli_format format,
			  struct buf *out)
{
	char text[CLI_TIME_TELL];
	uint64_t number;
	int64_t ms;
	struct str s = {NULL, 0};
	int e = 0;

	if (format == CLI_LIST) {
		for (size_t i = 0; i < json_count(j) && e == 0; i++) {
			if (i > 0)
				e = cli_show_add(out, STR(", "));
			if (e == 0)
				e = cli_show_value(cli, json_at(j, i), CLI_PLAIN, out);
		}
		return e;
	}
	switch (json_kind(j)) {
	case JSON_IS_TEXT: CHECK(json_text(j, &s) == 0); break;
	case JSON_IS_NUMBER:
		if (json_number(j, UINT64_MAX, &number) == 0)
			return buf_printf(out, CLI_CELL_MAX, "%llu", (unsigned long long)number);
		break;
	default: break;
	}
	if (format == CLI_TIME && time_text_parse(s, &ms) == 0) {
		cli_time_tell(ms, ev_wall_ms(cli->ev), text);
		s = str_of(text);
	}
	return cli_show_add(out, s);
}

static int cli_show_cell(struct cli *cli, const struct cli_field *f, const struct json *item,
			 struct buf *out)
{
	const struct json *j = cli_show_at(item, f->path);
	int e;

	if (f->tell != NULL)
		return f->tell(cli, item, out);
	if (j == NULL)
		return 0;
	if (json_kind(j) == JSON_IS_BOOL)
		return cli_show_add(out,
				    cli_show_flag(item, f->path, false) ? STR("yes") : STR("no"));
	e = cli_show_value(cli, j, f->format, out);
	return e == ERR_TOOBIG ? 0 : e;
}

/* ---- lists and items ---- */

int cli_show_json(struct cli *cli, const struct json *j)
{
	struct buf text = {0};
	int e = json_write(j, CLI_JSON_MAX, &text);

	if (e == 0) {
		cli_text_print_json(cli->out, buf_str(&text));
		fputc('\n', cli->out);
	}
	cli_secret_wipe(&text);
	return e == 0 ? 0 : cli_no_memory(cli);
}

static int cli_show_rows(struct cli *cli, struct cli_table *t, const struct json *list,
			 const struct cli_fields *fields)
{
	int e = 0;

	for (size_t i = 0; i < json_count(list) && e == 0; i++) {
		for (size_t k = 0; k < fields->n && e == 0; k++) {
			struct buf cell = {0};

			e = cli_show_cell(cli, &fields->v[k], json_at(list, i), &cell);
			if (e == 0)
				e = cli_table_cell(t, buf_str(&cell));
			buf_free(&cell);
		}
	}
	return e;
}

int cli_show_list(struct cli *cli, const struct json *list, const struct cli_fields *fields)
{
	const char *titles[CLI_TABLE_COLUMNS];
	struct cli_table *t = NULL;
	int e;

	if (cli->set->json)
		return cli_show_json(cli, list);
	if (json_count(list) == 0) {
		cli_say(cli, "%s", fields->none);
		return 0;
	}
	for (size_t i = 0; i < fields->n; i++)
		titles[i] = fields->v[i].title;
	if ((e = cli_table_new(titles, fields->n, &t)) == 0 &&
	    (e = cli_show_rows(cli, t, list, fields)) == 0)
		cli_table_print(t, cli->out, cli->columns, cli->bold);
	cli_table_free(t);
	return e == 0 ? 0 : cli_no_memory(cli);
}

/* Do the rows of a list say which nodes they are at? */
static bool cli_show_has_nodes(const struct json *list, const struct cli_fields *fields)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (cli_show_at(json_at(list, i), fields->v[fields->n - 1].path) != NULL)
			return true;
	return false;
}

int cli_show_asked(struct cli *cli, const struct json *answer, const char *plural,
		   const struct cli_fields *fields)
{
	struct cli_fields shown = *fields;
	const struct json *list, *missing = cli_show_at(answer, "missing");
	struct str node;
	int e;

	if (json_get_list(answer, plural, &list) != 0)
		return cli_problem(cli, "%s does not answer with a list of %s", cli->server_text,
				   plural);
	if (!cli_show_has_nodes(list, fields))
		shown.n--;
	e = cli_show_list(cli, list, &shown);
	for (size_t i = 0; i < json_count(missing); i++)
		if (json_text(json_at(missing, i), &node) == 0)
			(void)cli_problem(cli,
					  "node %s did not answer: %s that are only there are not "
					  "shown",
					  node.p, plural);
	return e;
}

int cli_show_item(struct cli *cli, const struct json *item, const struct cli_fields *fields)
{
	struct cli_table *t = NULL;
	struct buf cell = {0};
	int e;

	if (cli->set->json)
		return cli_show_json(cli, item);
	e = cli_table_new(NULL, 2, &t);
	for (size_t i = 0; i < fields->n && e == 0; i++) {
		e = cli_show_cell(cli, &fields->v[i], item, &cell);
		if (e == 0 && cell.len > 0 &&
		    (e = cli_table_cell(t, str_of(fields->v[i].title))) == 0)
			e = cli_table_cell(t, buf_str(&cell));
		buf_free(&cell);
	}
	if (e == 0)
		cli_table_print(t, cli->out, 0, false); /* nothing is cut: somebody wants to know */
	cli_table_free(t);
	return e == 0 ? 0 : cli_no_memory(cli);
}

int cli_show_all(struct cli *cli, const char *path, const char *plural,
		 const struct cli_fields *fields)
{
	struct json *list = NULL;
	int e = cli_fetch(cli, path, plural, &list);

	if (e == 0)
		e = cli_show_list(cli, list, fields);
	json_free(list);
	return e;
}

int cli_show_one(struct cli *cli, const char *path, const struct cli_fields *fields)
{
	struct cli_call call = {.method = "GET", .path = path};
	struct cli_answer answer = {0};
	int e = cli_call(cli, &call, &answer);

	if (e == 0)
		e = cli_show_item(cli, answer.json, fields);
	cli_answer_free(&answer);
	return e;
}
