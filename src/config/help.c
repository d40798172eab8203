/* Help comes from the same rows as the options, so it cannot be out of date. */
#include "config/help.h"

#include <string.h>

#include "config/command.h"
#include "config/say.h"

#define HELP_COLUMN 28 /* where the sentences start */

const char *help_group(const struct config_option *row)
{
	return row->group == NULL ? "Options" : row->group;
}

static bool help_shown(const struct config *c, const struct slot *s)
{
	const char *without = c->command == NULL || c->overview ? NULL : c->command->without;

	return !s->arg && !(s->row->flags & CONFIG_HIDDEN) &&
	       (without == NULL || strcmp(help_group(s->row), without) != 0);
}

/* Add one fact; the first opens the bracket. */
static size_t help_fact(char *dst, size_t cap, size_t at, const char *what, const char *value)
{
	return at + str_printf(dst + at, cap - at, "%s%s%s", at == 0 ? "[" : "; ", what, value);
}

void help_facts(const struct config_program *p, const struct config_option *row, char *dst,
		size_t cap)
{
	char text[300];
	size_t at = 0;

	dst[0] = '\0';
	if (row->type == CONFIG_LIST)
		at = help_fact(dst, cap, at, "may be repeated", "");
	if (row->flags & CONFIG_MAP)
		at = help_fact(dst, cap, at, "in the file also a mapping", "");
	if (row->initial != NULL && row->type != CONFIG_SECRET)
		at = help_fact(dst, cap, at, "default: ", row->initial);
	if (row->type == CONFIG_ENUM)
		value_allowed(row, text, sizeof text);
	else
		value_range(row, text, sizeof text);
	if (text[0] != '\0')
		at = help_fact(dst, cap, at, "", text);
	if (row->flags & CONFIG_REQUIRED)
		at = help_fact(dst, cap, at, "required", "");
	if (row->flags & CONFIG_NOT_ARGV)
		at = help_fact(dst, cap, at, "not on the command line", "");
	if (!(row->flags & CONFIG_NOT_ENV)) {
		slot_env_name(p, row, text, sizeof text);
		at = help_fact(dst, cap, at, "env ", text);
	}
	if (at > 0)
		str_printf(dst + at, cap - at, "]");
}

/* Print "  head      sentence". */
static void help_line(FILE *out, const char *head, const char *sentence)
{
	size_t len = strlen(head);

	fputs(head, out);
	if (len + 2 > HELP_COLUMN) {
		fputc('\n', out);
		len = 0;
	}
	fprintf(out, "%*s", (int)(HELP_COLUMN - len), "");
	say_wrap(out, sentence, HELP_COLUMN, HELP_COLUMN);
}

/* Is it by this row that its letter is found? */
static bool help_has_letter(const struct config *c, const struct config_option *row)
{
	const struct slot *s = c->slots;

	while (s->arg || s->row->letter != row->letter)
		s++;
	return s->row == row;
}

static void help_option(const struct config *c, const struct config_option *row, FILE *out)
{
	bool on = row->type == CONFIG_FLAG && row->initial != NULL &&
		  strcmp(row->initial, "yes") == 0;
	char head[160], facts[600], sentence[1200], letter[8] = "    ";
	const char *metavar = value_metavar(row);

	if (row->letter != 0 && help_has_letter(c, row))
		str_printf(letter, sizeof letter, "-%c, ", row->letter);
	str_printf(head, sizeof head, "  %s--%s%s%s%s", letter, on ? "[no-]" : "", row->name,
		   metavar[0] == '\0' ? "" : " ", metavar);
	help_facts(c->program, row, facts, sizeof facts);
	str_printf(sentence, sizeof sentence, "%s %s", row->help, facts);
	help_line(out, head, sentence);
}

/* Was a group's heading printed before this slot? */
static bool help_group_done(const struct config *c, const struct slot *s)
{
	for (const struct slot *p = c->slots; p < s; p++)
		if (help_shown(c, p) && strcmp(help_group(p->row), help_group(s->row)) == 0)
			return true;
	return false;
}

static void help_groups(const struct config *c, FILE *out)
{
	const struct slot *end = c->slots + c->n_slots;

	for (const struct slot *s = c->slots; s < end; s++) {
		if (!help_shown(c, s) || help_group_done(c, s))
			continue;
		fprintf(out, "\n%s:\n", help_group(s->row));
		for (const struct slot *m = s; m < end; m++)
			if (help_shown(c, m) && strcmp(help_group(m->row), help_group(s->row)) == 0)
				help_option(c, m->row, out);
	}
}

/* Print " TARGET [NAME]...". */
static void help_arguments(const struct config_command *command, FILE *out)
{
	for (size_t i = 0; i < command->n_args; i++) {
		const struct config_option *row = &command->args[i];
		bool must = row->flags & CONFIG_REQUIRED;

		fprintf(out, " %s%s%s%s", must ? "" : "[", row->name, must ? "" : "]",
			row->type == CONFIG_LIST ? "..." : "");
	}
}

static void help_synopsis(const struct config_program *p, const struct config_command *command,
			  FILE *out)
{
	bool fallback = command == p->fallback;

	fputs(p->name, out);
	if (command->name != NULL)
		fprintf(out, " %s%s%s", fallback ? "[" : "", command->name, fallback ? "]" : "");
	fputs(" [OPTION]...", out);
	help_arguments(command, out);
	fputc('\n', out);
}

/* The commands below where we are, or nothing if there are none. */
static void help_commands(const struct config *c, FILE *out)
{
	const char *head = "\nCommands:\n";
	struct command_entry entry;

	for (size_t at = 0; command_next(c->program, c->group, &at, &entry); head = "") {
		char line[80];

		fputs(head, out);
		str_printf(line, sizeof line, "  %s", entry.word);
		help_line(out, line,
			  entry.command != NULL ? entry.command->summary : entry.group->summary);
	}
}

static void help_command(const struct config *c, FILE *out)
{
	const struct config_command *command = c->command;

	fputs("Usage: ", out);
	help_synopsis(c->program, command, out);
	fputc('\n', out);
	say_wrap(out, command->summary, 0, 0);
	if (command->detail != NULL) {
		fputc('\n', out);
		say_wrap(out, command->detail, 0, 0);
	}
	if (command->n_args > 0)
		fputs("\nArguments:\n", out);
	for (size_t i = 0; i < command->n_args; i++) {
		char head[80];

		str_printf(head, sizeof head, "  %s", command->args[i].name);
		help_line(out, head, command->args[i].help);
	}
	if (command->name == NULL)
		help_commands(c, out);
}

static void help_overview(const struct config *c, FILE *out)
{
	const struct config_program *p = c->program;
	struct command_entry entry;
	const char *head = "Usage: ";
	size_t at = 0;

	while (command_next(p, c->group, &at, &entry)) {
		fputs(head, out);
		head = "       ";
		if (entry.command != NULL)
			help_synopsis(p, entry.command, out);
		else
			fprintf(out, "%s %s COMMAND [OPTION]...\n", p->name, entry.group->name);
	}
	fputc('\n', out);
	say_wrap(out, c->group != NULL ? c->group->summary : p->summary, 0, 0);
	help_commands(c, out);
}

static bool help_has_commands(const struct config_program *p)
{
	return p->commands[0].name != NULL;
}

void help_print(const struct config *c, FILE *out)
{
	const struct config_program *p = c->program;

	if (c->command != NULL && !c->overview)
		help_command(c, out);
	else
		help_overview(c, out);
	help_groups(c, out);
	if (p->files != NULL && p->files[0] != NULL) {
		fputs("\nThe configuration file is YAML or JSON; its keys are the long names:\n",
		      out);
		for (const char *const *f = p->files; *f != NULL; f++)
			fprintf(out, "  %s\n", *f);
	}
	if (c->overview && help_has_commands(p))
		fprintf(out, "\n\"%s%s%s COMMAND --help\" tells the options of a command.\n",
			p->name, c->group == NULL ? "" : " ",
			c->group == NULL ? "" : c->group->name);
}

void help_usage(const struct config *c, FILE *out)
{
	const struct config_program *p = c->program;
	const char *name = c->group != NULL		      ? c->group->name
			   : c->command == NULL || c->implied ? NULL
							      : c->command->name;

	fputs("Usage: ", out);
	if (c->command != NULL)
		help_synopsis(p, c->command, out);
	else
		fprintf(out, "%s%s%s COMMAND [OPTION]...\n", p->name, name == NULL ? "" : " ",
			name == NULL ? "" : name);
	fprintf(out, "Try \"%s%s%s --help\".\n", p->name, name == NULL ? "" : " ",
		name == NULL ? "" : name);
}
