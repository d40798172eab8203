/* A key that nobody knows is a mistake of the person who wrote it, so it is never passed over. */
#include "config/conffile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/command.h"
#include "config/guess.h"
#include "config/say.h"
#include "config/tree.h"

const char *conffile_getenv(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; envp != NULL && *envp != NULL; envp++)
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}

static struct slot_origin conffile_origin(const struct tree *t)
{
	return (struct slot_origin){.source = CONFIG_FILE, .line = t->line, .col = t->col};
}

/* A sequence becomes a list, item by item, so that an item may contain commas. */
static int conffile_sequence(struct config *c, struct slot *s, const struct tree *value)
{
	struct value_refusal why;
	union value v = {0};
	int e;

	for (const struct tree *item = value->child; item != NULL; item = item->next) {
		if (item->kind != TREE_SCALAR) {
			value_free(s->row, &v);
			return slot_complain(c, s, conffile_origin(item),
					     "an item must be a single value");
		}
		if ((e = value_add(s->row, item->text, &v, &why)) != 0) {
			value_free(s->row, &v);
			return e != ERR_INVAL ? e : slot_refuse(c, s, conffile_origin(item), &why);
		}
	}
	return slot_take(c, s, conffile_origin(value), &v);
}

/* One line of a mapping, as the item that it would be in a sequence. */
static int conffile_pair(struct config *c, struct slot *s, const struct tree *key, union value *v)
{
	const struct tree *value = key->value;
	struct value_refusal why;
	char quoted[SAY_QUOTED];
	struct buf item = {0};
	int e;

	if (tree_null(value) || value->kind != TREE_SCALAR)
		return slot_complain(c, s, conffile_origin(key), "%s must have one value",
				     say_quote(quoted, key->text));
	if (key->text.len == 0 || str_find(key->text, '=') < key->text.len)
		return slot_complain(c, s, conffile_origin(key), "%s is not a name",
				     say_quote(quoted, key->text));
	e = buf_printf(&item, 2 * TREE_SCALAR_MAX + 2, STR_FMT "=" STR_FMT, STR_ARG(key->text),
		       STR_ARG(value->text));
	if (e == 0 && (e = value_add(s->row, buf_str(&item), v, &why)) == ERR_INVAL)
		e = slot_refuse(c, s, conffile_origin(key), &why);
	buf_free(&item);
	return e;
}

/* A mapping becomes a list of NAME=VALUE. */
static int conffile_mapping(struct config *c, struct slot *s, const struct tree *value)
{
	union value v = {0};
	int e = 0;

	for (const struct tree *key = value->child; key != NULL && e == 0; key = key->next)
		e = conffile_pair(c, s, key, &v);
	if (e != 0) {
		value_free(s->row, &v);
		return e;
	}
	return slot_take(c, s, conffile_origin(value), &v);
}

/* A key that no option has. */
static int conffile_unknown(struct config *c, const struct tree *key)
{
	struct guess g = {.word = key->text};
	const struct config_command *command;
	const struct config_table *t;
	char quoted[SAY_QUOTED];

	slot_message(c, "%s:%u:%u: %s is no option", c->path, key->line, key->col,
		     say_quote(quoted, key->text));
	for (size_t k = 0; (command = command_at(c->program, k)) != NULL; k++) {
		for (size_t i = 0; (t = slot_table(c->program, command, i)) != NULL; i++)
			for (size_t r = 0; r < t->n; r++)
				if (!(t->rows[r].flags & (CONFIG_NOT_FILE | CONFIG_HIDDEN)))
					guess_offer(&g, t->rows[r].name);
	}
	if (g.best != NULL)
		slot_add(c, "; did you mean %s?", g.best);
	return ERR_INVAL;
}

/* The option of this name in any command, by preference one that the file may have; or NULL. */
static const struct config_option *conffile_elsewhere(const struct config *c, struct str name)
{
	const struct config_option *found = NULL;
	const struct config_command *command;
	const struct config_table *t;

	for (size_t k = 0; (command = command_at(c->program, k)) != NULL; k++) {
		for (size_t i = 0; (t = slot_table(c->program, command, i)) != NULL; i++) {
			for (size_t r = 0; r < t->n; r++) {
				if (!str_eq(str_of(t->rows[r].name), name))
					continue;
				if (!(t->rows[r].flags & CONFIG_NOT_FILE))
					return &t->rows[r];
				found = &t->rows[r];
			}
		}
	}
	return found;
}

static int conffile_entry(struct config *c, const struct tree *key)
{
	const struct tree *value = key->value;
	struct slot unused = {0}, *s = slot_find(c, key->text);

	/* One file serves all commands: what belongs to another one is checked and not stored. */
	if (s == NULL || (s->row->flags & CONFIG_NOT_FILE)) {
		unused.row = conffile_elsewhere(c, key->text);
		if (s == NULL && unused.row == NULL)
			return conffile_unknown(c, key);
		if (unused.row != NULL)
			s = &unused;
	}
	if (s->row->flags & CONFIG_NOT_FILE)
		return slot_complain(c, s, conffile_origin(key), "not in a configuration file");
	if (tree_null(value))
		return 0;
	if (value->kind == TREE_SEQUENCE && s->row->type == CONFIG_LIST)
		return conffile_sequence(c, s, value);
	if (value->kind == TREE_MAPPING && (s->row->flags & CONFIG_MAP))
		return conffile_mapping(c, s, value);
	if (value->kind != TREE_SCALAR)
		return slot_complain(c, s, conffile_origin(value), "takes %s, not a %s",
				     s->row->type == CONFIG_LIST ? "values" : "one value",
				     value->kind == TREE_MAPPING ? "mapping" : "sequence");
	return slot_set(c, s, conffile_origin(value), value->text);
}

int conffile_read(struct config *c, struct str bytes)
{
	struct tree_error why;
	struct tree *root = NULL;
	int e = tree_parse(bytes, &root, &why);

	if (e == ERR_NOMEM)
		return e;
	if (e != 0 && why.line == 0)
		return slot_message(c, "%s: %s", c->path, why.text);
	if (e != 0)
		return slot_message(c, "%s:%u:%u: %s", c->path, why.line, why.col, why.text);
	if (!tree_null(root) && root->kind != TREE_MAPPING)
		e = slot_message(c, "%s:%u:%u: expected lines of the form \"option: value\"",
				 c->path, root->line, root->col);
	else if (!tree_null(root))
		for (const struct tree *key = root->child; key != NULL && e == 0; key = key->next)
			e = conffile_entry(c, key);
	tree_free(root);
	return e;
}

/*
 * Open and read c->path.
 *   must  it is an error when it does not exist; else ERR_NOTFOUND, without a message.
 */
static int conffile_open(struct config *c, bool must)
{
	struct buf b = {0};
	char quoted[SAY_QUOTED];
	FILE *f = fopen(c->path, "re");
	int e, errnum = errno;

	if (f == NULL && !must && (errnum == ENOENT || errnum == ENOTDIR))
		return ERR_NOTFOUND;
	e = f == NULL ? ERR_IO : tree_slurp(f, &b);
	if (f != NULL && e == ERR_IO)
		errnum = errno;
	if (e == ERR_IO)
		e = slot_message(c, "%s: the configuration file %s cannot be read: %s",
				 c->program->name, say_quote(quoted, str_of(c->path)),
				 strerror(errnum));
	else if (e == 0)
		e = conffile_read(c, buf_str(&b));
	if (f != NULL)
		fclose(f);
	buf_free(&b);
	return e;
}

/* The path of one of the program's files; NULL in *out if it starts with ~ and there is no HOME. */
static int conffile_path(const char *file, char *const *envp, char **out)
{
	const char *home = conffile_getenv(envp, "HOME");

	*out = NULL;
	if (strncmp(file, "~/", 2) != 0)
		return (*out = str_dup(str_of(file))) == NULL ? ERR_NOMEM : 0;
	if (home == NULL || home[0] == '\0')
		return 0;
	return asprintf(out, "%s/%s", home, file + 2) < 0 ? ERR_NOMEM : 0;
}

int conffile_load(struct config *c, char *const *envp)
{
	const char *const *file = c->program->files;
	int e;

	if (c->own.file != NULL) {
		c->path = str_dup(str_of(c->own.file));
		return c->path == NULL ? ERR_NOMEM : conffile_open(c, true);
	}
	for (; file != NULL && *file != NULL; file++) {
		if ((e = conffile_path(*file, envp, &c->path)) != 0)
			return e;
		if (c->path != NULL && (e = conffile_open(c, false)) != ERR_NOTFOUND)
			return e;
		free(c->path);
		c->path = NULL;
	}
	return 0;
}
