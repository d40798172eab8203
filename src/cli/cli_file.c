/* Whoever writes a file by hand wants to know which line is wrong. */
#include "cli/cli_file.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/err.h"
#include "config/say.h"

int cli_file_read(const char *path, struct buf *out, char *why, size_t cap)
{
	bool in = strcmp(path, "-") == 0;
	FILE *f = in ? stdin : fopen(path, "re");
	int e = f == NULL ? ERR_IO : tree_slurp(f, out);

	if (e == ERR_IO) {
		e = f == NULL && errno == ENOENT ? ERR_NOTFOUND : ERR_INVAL;
		str_printf(why, cap, "%s cannot be read: %s", path, strerror(errno));
	}
	if (f != NULL && !in)
		fclose(f);
	return e;
}

int cli_file_parse(const struct cli_file *f, struct str bytes, struct tree **out)
{
	struct tree_error error;
	int e = tree_parse(bytes, out, &error);

	/* what is about the whole is said of its beginning, so that every complaint has a place */
	if (e != 0 && e != ERR_NOMEM)
		str_printf(f->why, f->cap, "%s:%u:%u: %s", f->path, MAX(error.line, 1u),
			   MAX(error.col, 1u), error.text);
	return e;
}

int cli_file_fail(const struct cli_file *f, const struct tree *at, const char *fmt, ...)
{
	size_t n = str_printf(f->why, f->cap, "%s:%u:%u: ", f->path, at->line, at->col);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->why + n, f->cap - n, fmt, ap);
	va_end(ap);
	return ERR_INVAL;
}

int cli_file_unknown(const struct cli_file *f, const struct tree *key, const struct guess *g)
{
	char quoted[SAY_QUOTED];
	const char *best = g->best;

	return cli_file_fail(f, key, "there is no %s here%s%s%s", say_quote(quoted, key->text),
			     best == NULL ? "" : "; did you mean ", best == NULL ? "" : best,
			     best == NULL ? "" : "?");
}

bool cli_file_flag(struct str s, bool *on)
{
	static const char *const words[] = {"true", "yes", "on", "false", "no", "off"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_eq(s, str_of(words[i]))) {
			*on = i < ARRAY_LEN(words) / 2;
			return true;
		}
	}
	return false;
}

int cli_file_users(const struct cli_file *f, const struct tree *list)
{
	for (const struct tree *u = list->child; u != NULL; u = u->next) {
		if (u->kind != TREE_MAPPING)
			return cli_file_fail(f, u, "a user is \"user\" and \"password\"");
		for (const struct tree *k = u->child; k != NULL; k = k->next) {
			if (!str_eq(k->text, STR("user")) && !str_eq(k->text, STR("password")))
				return cli_file_fail(f, k, "a user is \"user\" and \"password\"");
			if (k->value->kind != TREE_SCALAR)
				return cli_file_fail(f, k->value, "must be a text");
		}
	}
	return 0;
}

const struct tree *cli_file_user(const struct tree *user, const char *key)
{
	for (const struct tree *k = user->child; k != NULL; k = k->next)
		if (str_eq(k->text, str_of(key)))
			return k->value;
	return NULL;
}
