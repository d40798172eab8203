/* Which row is meant, whose value counts, and how to speak about it when it is wrong. */
#include "config/slot.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config/command.h"
#include "config/say.h"

static const struct config_option slot_own_rows[] = {
	{.name = "config",
	 .letter = 'c',
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "General",
	 .help = "Read this configuration file instead of the usual one",
	 .offset = offsetof(struct slot_own, file),
	 .flags = CONFIG_NOT_FILE},
	{.name = "show-config",
	 .type = CONFIG_FLAG,
	 .group = "General",
	 .help = "Print every setting with where it came from, and exit",
	 .offset = offsetof(struct slot_own, show),
	 .flags = CONFIG_NOT_FILE | CONFIG_NOT_ENV},
	{.name = "print-manual",
	 .type = CONFIG_FLAG,
	 .group = "General",
	 .help = "Print the source of the manual page, and exit",
	 .offset = offsetof(struct slot_own, manual),
	 .flags = CONFIG_NOT_FILE | CONFIG_NOT_ENV | CONFIG_HIDDEN},
	{.name = "help",
	 .letter = 'h',
	 .type = CONFIG_FLAG,
	 .group = "General",
	 .help = "Print this help, and exit",
	 .offset = offsetof(struct slot_own, help),
	 .flags = CONFIG_NOT_FILE | CONFIG_NOT_ENV},
	{.name = "version",
	 .letter = 'V',
	 .type = CONFIG_FLAG,
	 .group = "General",
	 .help = "Print the version, and exit",
	 .offset = offsetof(struct slot_own, version),
	 .flags = CONFIG_NOT_FILE | CONFIG_NOT_ENV},
};

const struct config_table slot_own_table = CONFIG_TABLE(slot_own_rows);

const struct config_table *slot_table(const struct config_program *p,
				      const struct config_command *command, size_t i)
{
	size_t n_command = command == NULL ? 0 : command->n_tables;

	if (i < n_command)
		return &command->tables[i];
	i -= n_command;
	if (i < p->n_tables)
		return &p->tables[i];
	return i == p->n_tables ? &slot_own_table : NULL;
}

static void slot_put(struct config *c, const struct config_option *row, void *base, bool arg)
{
	c->slots[c->n_slots++] = (struct slot){
		.row = row,
		.member = base == NULL ? NULL : (char *)base + row->offset,
		.arg = arg,
		.own = base == &c->own,
	};
}

int slot_build(struct config *c)
{
	const struct config_table *t;
	size_t n = c->command == NULL ? 0 : c->command->n_args;

	for (size_t i = 0; (t = slot_table(c->program, c->command, i)) != NULL; i++)
		n += t->n;
	if ((c->slots = calloc(n, sizeof(*c->slots))) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; (t = slot_table(c->program, c->command, i)) != NULL; i++)
		for (size_t k = 0; k < t->n; k++)
			slot_put(c, &t->rows[k], t == &slot_own_table ? &c->own : c->settings,
				 false);
	for (size_t k = 0; c->command != NULL && k < c->command->n_args; k++)
		slot_put(c, &c->command->args[k], c->settings, true);
	return 0;
}

void slot_free(struct config *c)
{
	for (size_t i = 0; i < c->n_slots; i++)
		if (c->slots[i].member != NULL)
			value_clear(c->slots[i].row, c->slots[i].member);
	free(c->slots);
	c->slots = NULL;
	c->n_slots = 0;
}

struct slot *slot_find(struct config *c, struct str name)
{
	for (size_t i = 0; i < c->n_slots; i++)
		if (!c->slots[i].arg && str_eq(str_of(c->slots[i].row->name), name))
			return &c->slots[i];
	return NULL;
}

struct slot *slot_find_letter(struct config *c, char letter)
{
	for (size_t i = 0; i < c->n_slots; i++)
		if (!c->slots[i].arg && c->slots[i].row->letter == letter)
			return &c->slots[i];
	return NULL;
}

static const struct config_option *slot_in_table(const struct config_table *t, struct str name,
						 char letter)
{
	for (size_t i = 0; i < t->n; i++)
		if (name.len > 0 ? str_eq(str_of(t->rows[i].name), name)
				 : t->rows[i].letter == letter)
			return &t->rows[i];
	return NULL;
}

const struct config_option *slot_anywhere(const struct config_program *p, struct str name,
					  char letter, const struct config_command **command)
{
	const struct config_option *row;
	const struct config_command *c;
	const struct config_table *t;

	if (command != NULL)
		*command = NULL;
	for (size_t i = 0; (t = slot_table(p, NULL, i)) != NULL; i++)
		if ((row = slot_in_table(t, name, letter)) != NULL)
			return row;
	for (size_t k = 0; (c = command_at(p, k)) != NULL; k++) {
		for (size_t i = 0; i < c->n_tables; i++) {
			row = slot_in_table(&c->tables[i], name, letter);
			if (row == NULL)
				continue;
			if (command != NULL)
				*command = c;
			return row;
		}
	}
	return NULL;
}

void slot_env_name(const struct config_program *p, const struct config_option *row, char *dst,
		   size_t cap)
{
	size_t at = str_printf(dst, cap, "%s", p->env_prefix);

	for (const char *s = row->name; *s != '\0'; s++) {
		char c = *s == '-' ? '_' : *s >= 'a' && *s <= 'z' ? (char)(*s - 32) : *s;

		at += str_printf(dst + at, cap - at, "%c", c);
	}
}

/* Where somebody has to look: "karez: --name", "KAREZ_NAME", "karez.yaml:3:9: name". */
static void slot_where(const struct config *c, const struct slot *s, struct slot_origin from,
		       char *dst, size_t cap)
{
	switch (from.source) {
	case CONFIG_ENV: slot_env_name(c->program, s->row, dst, cap); break;
	case CONFIG_FILE:
		str_printf(dst, cap, "%s:%u:%u: %s", c->path, from.line, from.col, s->row->name);
		break;
	default:
		str_printf(dst, cap, "%s: %s%s", c->program->name, s->arg ? "" : "--",
			   s->row->name);
		break;
	}
}

int slot_message(struct config *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->message, sizeof c->message, fmt, ap);
	va_end(ap);
	return ERR_INVAL;
}

void slot_add(struct config *c, const char *fmt, ...)
{
	size_t at = strlen(c->message);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->message + at, sizeof c->message - at, fmt, ap);
	va_end(ap);
}

int slot_complain(struct config *c, const struct slot *s, struct slot_origin from, const char *fmt,
		  ...)
{
	size_t at;
	va_list ap;

	slot_where(c, s, from, c->message, sizeof c->message);
	slot_add(c, ": ");
	at = strlen(c->message);
	va_start(ap, fmt);
	vsnprintf(c->message + at, sizeof c->message - at, fmt, ap);
	va_end(ap);
	return ERR_INVAL;
}

int slot_refuse(struct config *c, const struct slot *s, struct slot_origin from,
		const struct value_refusal *why)
{
	char quoted[SAY_QUOTED];

	if (s->row->type == CONFIG_SECRET)
		return slot_complain(c, s, from, "the value %s", why->reason);
	return slot_complain(c, s, from, "%s %s", say_quote(quoted, why->what), why->reason);
}

int slot_take(struct config *c, struct slot *s, struct slot_origin from, union value *v)
{
	bool append = s->source == CONFIG_ARGV && from.source == CONFIG_ARGV;
	int e;

	if (s->member == NULL || from.source < s->source) {
		value_free(s->row, v);
		return 0;
	}
	if ((e = value_store(s->row, v, s->member, append)) == ERR_LIMIT)
		return slot_complain(c, s, from, "too many items: %d are the most",
				     CONFIG_LIST_MAX);
	if (e == ERR_EXISTS)
		return slot_complain(c, s, from, "a name is given twice");
	if (e != 0)
		return e;
	s->source = from.source;
	s->line = from.line;
	s->col = from.col;
	return 0;
}

int slot_set(struct config *c, struct slot *s, struct slot_origin from, struct str text)
{
	struct value_refusal why;
	union value v;
	int e = value_parse(s->row, text, &v, &why);

	if (e == ERR_INVAL)
		return slot_refuse(c, s, from, &why);
	return e != 0 ? e : slot_take(c, s, from, &v);
}
