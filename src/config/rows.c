/* What a compiler cannot see in the tables, a test shall. */
#include "config/rows.h"

#include <string.h>

#include "base/err.h"
#include "config/command.h"
#include "config/help.h"
#include "config/slot.h"

/* A check going on. */
struct rows {
	const struct config_program *p;
	const struct config_command *command;
	char *why;
	size_t cap;
};

static int rows_wrong(const struct rows *r, const struct config_option *row, const char *mistake)
{
	str_printf(r->why, r->cap, "%s %s: %s: %s", r->p->name,
		   r->command->name == NULL ? "" : r->command->name, row->name, mistake);
	return ERR_INVAL;
}

static int rows_check_name(const struct rows *r, const struct config_option *row)
{
	size_t len = strlen(row->name);

	if (len == 0 || len > 40 || row->name[0] == '-')
		return rows_wrong(r, row, "not a name");
	if (strspn(row->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return rows_wrong(r, row, "a name has lower-case letters, digits and dashes only");
	if (str_starts(str_of(row->name), STR("no-")))
		return rows_wrong(r, row, "--no- is for switching a flag off");
	return 0;
}

/* What holds for options and arguments alike. */
static int rows_check_row(const struct rows *r, const struct config_option *row)
{
	struct value_refusal refusal;
	union value v;
	int e = 0;

	if (row->help == NULL || row->help[0] == '\0' || row->help[strlen(row->help) - 1] == '.')
		return rows_wrong(r, row, "help is one sentence without a full stop");
	if (row->type == CONFIG_ENUM && (row->words == NULL || row->words[0] == NULL))
		return rows_wrong(r, row, "no words to choose from");
	if (row->max != 0 && row->min > row->max)
		return rows_wrong(r, row, "min is above max");
	if ((row->flags & CONFIG_MAP) && row->type != CONFIG_LIST)
		return rows_wrong(r, row, "a map is a list");
	if (row->initial == NULL)
		return 0;
	if (row->flags & CONFIG_REQUIRED)
		return rows_wrong(r, row, "required, and yet it has a default");
	e = value_parse(row, str_of(row->initial), &v, &refusal);
	if (e == ERR_INVAL)
		return rows_wrong(r, row, "the default is not one of its values");
	if (e == 0)
		value_free(row, &v);
	return e;
}

/* Two rows of one command. */
static int rows_check_pair(const struct rows *r, const struct slot *a, const struct slot *b)
{
	if (a->own == b->own && a->row->offset == b->row->offset)
		return rows_wrong(r, b->row, "another row stores in the same member");
	if (a->arg || b->arg)
		return 0;
	if (strcmp(a->row->name, b->row->name) == 0)
		return rows_wrong(r, b->row, "the name is taken");
	if (a->row->letter != 0 && a->row->letter == b->row->letter &&
	    !(b->own && b->row->letter == 'c')) /* --config can do without */
		return rows_wrong(r, b->row, "the letter is taken");
	return 0;
}

/* The command is found before its options are known, so all must agree on what takes a value. */
static int rows_check_elsewhere(const struct rows *r, const struct config_option *row)
{
	const struct config_option *same = slot_anywhere(r->p, str_of(row->name), 0, NULL);

	if (same != NULL && (same->type == CONFIG_FLAG) != (row->type == CONFIG_FLAG))
		return rows_wrong(r, row, "takes a value in one command and none in another");
	if (row->letter == 0)
		return 0;
	same = slot_anywhere(r->p, STR(""), row->letter, NULL);
	if (same != NULL && (same->type == CONFIG_FLAG) != (row->type == CONFIG_FLAG))
		return rows_wrong(r, row, "its letter takes a value in one command only");
	return 0;
}

static int rows_check_args(const struct rows *r)
{
	const struct config_option *args = r->command->args;
	size_t n = r->command->n_args;

	for (size_t i = 0; i < n; i++) {
		if (args[i].type == CONFIG_FLAG)
			return rows_wrong(r, &args[i], "an argument is no flag");
		if (args[i].type == CONFIG_LIST && i + 1 < n)
			return rows_wrong(r, &args[i], "a list takes what follows it, too");
		if (i > 0 && (args[i].flags & CONFIG_REQUIRED) &&
		    !(args[i - 1].flags & CONFIG_REQUIRED))
			return rows_wrong(r, &args[i], "required after an optional one");
	}
	return 0;
}

/* A heading must not come twice in one table. */
static int rows_check_groups(const struct rows *r, const struct config_table *t)
{
	for (size_t i = 2; i < t->n; i++) {
		const char *group = help_group(&t->rows[i]);

		if (strcmp(group, help_group(&t->rows[i - 1])) == 0)
			continue;
		for (size_t k = 0; k + 1 < i; k++)
			if (strcmp(group, help_group(&t->rows[k])) == 0)
				return rows_wrong(r, &t->rows[i], "its group is torn apart");
	}
	return 0;
}

static int rows_check_slots(const struct rows *r, const struct config *c)
{
	int e = 0;

	for (size_t i = 0; i < c->n_slots && e == 0; i++) {
		const struct slot *s = &c->slots[i];

		e = rows_check_row(r, s->row);
		if (e == 0 && !s->arg)
			e = rows_check_name(r, s->row);
		if (e == 0 && !s->arg)
			e = rows_check_elsewhere(r, s->row);
		for (size_t k = 0; k < i && e == 0; k++)
			e = rows_check_pair(r, &c->slots[k], s);
	}
	return e;
}

static int rows_check_command(const struct rows *r)
{
	struct config c = {.program = r->p, .command = r->command};
	const struct config_table *t;
	int e;

	if (r->command->summary == NULL) {
		str_printf(r->why, r->cap, "%s: a command without a summary", r->p->name);
		return ERR_INVAL;
	}
	if ((e = rows_check_args(r)) != 0 || (e = slot_build(&c)) != 0)
		return e;
	for (size_t i = 0; e == 0 && (t = slot_table(r->p, r->command, i)) != NULL; i++)
		e = rows_check_groups(r, t);
	if (e == 0)
		e = rows_check_slots(r, &c);
	slot_free(&c);
	return e;
}

static int rows_wrong_name(const struct rows *r, const char *name, const char *mistake)
{
	str_printf(r->why, r->cap, "%s %s: %s", r->p->name, name, mistake);
	return ERR_INVAL;
}

/* Each word of a name but the last must lead to a group, and a command's name leads no further. */
static int rows_check_words(const struct rows *r)
{
	const char *name = r->command->name;
	struct str words[CONFIG_WORDS_MAX], rest = str_of(name), word;
	const struct config_command *other;
	size_t n = 0;

	while (name != NULL && str_next(&rest, ' ', &word)) {
		if (n == CONFIG_WORDS_MAX || word.len == 0)
			return rows_wrong_name(r, name, "not a name of some words");
		words[n++] = word;
		if (rest.p != NULL && command_group(r->p, words, n) == NULL)
			return rows_wrong_name(r, name, "there is no group for its first words");
	}
	if (name != NULL && command_find(r->p, words, n) != r->command)
		return rows_wrong_name(r, name, "two commands of this name");
	for (size_t i = 0; name != NULL && (other = command_at(r->p, i)) != NULL; i++)
		if (command_is_below(other->name, name))
			return rows_wrong_name(r, name, "a command and a group");
	return 0;
}

static int rows_check_group(const struct rows *r, const struct config_group *g)
{
	const struct config_command *c;

	if (g->summary == NULL || g->summary[0] == '\0')
		return rows_wrong_name(r, g->name, "a group without a summary");
	for (size_t i = 0; (c = command_at(r->p, i)) != NULL; i++)
		if (command_is_below(c->name, g->name))
			return 0;
	return rows_wrong_name(r, g->name, "a group of nothing");
}

int rows_check(const struct config_program *p, char *why, size_t cap)
{
	struct rows r = {.p = p, .why = why, .cap = cap};
	int e = 0;

	why[0] = '\0';
	for (size_t i = 0; e == 0 && (r.command = command_at(p, i)) != NULL; i++) {
		if ((e = rows_check_words(&r)) == 0)
			e = rows_check_command(&r);
	}
	for (size_t i = 0; i < p->n_groups && e == 0; i++)
		e = rows_check_group(&r, &p->groups[i]);
	return e;
}
