/* mdoc(7), because man and groff read it as it is: no tool is needed to build or to install it. */
#include "config/manual.h"

#include <string.h>

#include "config/command.h"
#include "config/help.h"
#include "config/slot.h"

/*
 * Print text so that mdoc takes none of it for its own: no backslash, no dot or quote that starts a
 * line. A sentence starts a new line, as the formatter wants it, and no line is long.
 */
static void manual_text(FILE *out, const char *text)
{
	bool start = true;
	size_t column = 0;

	for (const char *s = text; *s != '\0'; s++) {
		if (start && (*s == '.' || *s == '\''))
			fputs("\\&", out);
		start = false;
		column++;
		if (*s == '\\') {
			fputs("\\e", out);
		} else if (*s == '.' && s[1] == ' ') {
			fputs(".\n", out);
			s++;
			column = 0;
			start = true;
		} else if (*s == ' ' && column > 60) {
			fputc('\n', out);
			column = 0;
			start = true;
		} else {
			fputc(*s, out);
			start = *s == '\n';
		}
	}
}

/* A sentence with its full stop, on lines of its own. */
static void manual_sentence(FILE *out, const char *text)
{
	size_t len = strlen(text);

	manual_text(out, text);
	fputs(len > 0 && text[len - 1] == '.' ? "\n" : ".\n", out);
}

/* A word as the argument of a macro: what could be a macro's name or has spaces is kept together.
 */
static void manual_word(FILE *out, const char *word)
{
	fputs(" \"\\&", out);
	for (; *word != '\0'; word++)
		fputs(*word == '"'    ? "\\(dq"
		      : *word == '\\' ? "\\e"
		      : *word == '-'  ? "\\-"
				      : (char[]){*word, '\0'},
		      out);
	fputc('"', out);
}

static void manual_macro(FILE *out, const char *macro, const char *word)
{
	fprintf(out, ".%s", macro);
	manual_word(out, word);
	fputc('\n', out);
}

static void manual_option(const struct config_program *p, const struct config_option *row,
			  FILE *out)
{
	bool on = row->type == CONFIG_FLAG && row->initial != NULL &&
		  strcmp(row->initial, "yes") == 0;
	char facts[600];

	fputs(".It", out);
	if (row->letter != 0)
		fprintf(out, " Fl %c ,", row->letter);
	fprintf(out, " Fl \\-%s%s", on ? "[no\\-]" : "", row->name);
	if (row->type != CONFIG_FLAG) {
		fputs(" Ar", out);
		manual_word(out, value_metavar(row));
	}
	fputc('\n', out);
	manual_sentence(out, row->help);
	help_facts(p, row, facts, sizeof facts);
	if (facts[0] != '\0') {
		manual_text(out, facts);
		fputc('\n', out);
	}
}

/* Is there anything of this table to tell? */
static bool manual_table_empty(const struct config_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (!(t->rows[i].flags & CONFIG_HIDDEN))
			return false;
	return true;
}

/* Does this command take this table by itself? */
static bool manual_takes(const struct config_command *command, const struct config_table *t)
{
	for (size_t i = 0; i < command->n_tables; i++)
		if (command->tables[i].rows == t->rows)
			return true;
	return false;
}

/* Say which commands take a table, unless all do. */
static void manual_owners(const struct config_program *p, const struct config_table *t, FILE *out)
{
	const struct config_command *command;
	bool first = true;

	for (size_t i = 0; (command = command_at(p, i)) != NULL; i++) {
		if (command->name == NULL || !manual_takes(command, t))
			continue;
		fputs(first ? "For the command " : ",\n", out);
		manual_text(out, command->name);
		first = false;
	}
	if (!first)
		fputs(".\n", out);
}

/* The options of one table; a new group gets its heading. */
static void manual_table(const struct config_program *p, const struct config_table *t, FILE *out)
{
	const char *group = NULL;

	if (manual_table_empty(t))
		return;
	for (size_t i = 0; i < t->n; i++) {
		const struct config_option *row = &t->rows[i];

		if (row->flags & CONFIG_HIDDEN)
			continue;
		if (group == NULL || strcmp(group, help_group(row)) != 0) {
			if (group != NULL)
				fputs(".El\n", out);
			group = help_group(row);
			manual_macro(out, "Ss", group);
			manual_owners(p, t, out);
			fputs(".Bl -tag -width Ds\n", out);
		}
		manual_option(p, row, out);
	}
	fputs(".El\n", out);
}

/* Every table once, though several commands may share one. */
static void manual_options(const struct config_program *p, FILE *out)
{
	const struct config_command *command;
	const struct config_table *t;
	bool done;

	fputs(".Sh OPTIONS\n", out);
	for (size_t k = 0; (command = command_at(p, k)) != NULL; k++) {
		for (size_t i = 0; i < command->n_tables; i++) {
			done = false;
			for (size_t b = 0; b < k && !done; b++)
				done = manual_takes(command_at(p, b), &command->tables[i]);
			if (!done)
				manual_table(p, &command->tables[i], out);
		}
	}
	for (size_t i = 0; (t = slot_table(p, NULL, i)) != NULL; i++)
		manual_table(p, t, out);
}

static void manual_arguments(const struct config_command *command, FILE *out)
{
	for (size_t i = 0; i < command->n_args; i++) {
		const struct config_option *row = &command->args[i];

		fputs(row->flags & CONFIG_REQUIRED ? ".Ar" : ".Op Ar", out);
		manual_word(out, row->name);
		fputs(row->type == CONFIG_LIST ? " ...\n" : "\n", out);
	}
}

static void manual_head(const struct config_program *p, FILE *out)
{
	const struct config_command *command;

	fputs(".\\\" Made from the tables of options; do not edit.\n", out);
	fprintf(out, ".Dd %s\n.Dt ", p->manual_date);
	for (const char *s = p->name; *s != '\0'; s++)
		fputc(*s >= 'a' && *s <= 'z' ? *s - 32 : *s, out);
	fprintf(out, " %d\n.Os %s %s\n.Sh NAME\n.Nm %s\n.Nd ", p->manual_section, p->name,
		p->version, p->name);
	manual_text(out, p->summary);
	fputs("\n.Sh SYNOPSIS\n", out);
	for (size_t i = 0; (command = command_at(p, i)) != NULL; i++) {
		fprintf(out, ".Nm%s%s\n", i == 0 ? "" : " ", i == 0 ? "" : p->name);
		if (command->name != NULL)
			manual_macro(out, command == p->fallback ? "Op Cm" : "Cm", command->name);
		fputs(".Op Ar option ...\n", out);
		manual_arguments(command, out);
	}
}

/* Arguments and options of a program without commands stand by themselves. */
static void manual_command(const struct config_program *p, const struct config_command *command,
			   FILE *out)
{
	if (command->name != NULL) {
		fprintf(out, ".Ss %s ", p->name);
		manual_text(out, command->name);
		fputc('\n', out);
	}
	manual_sentence(out, command->summary);
	if (command->detail != NULL) {
		fputs(".Pp\n", out);
		manual_sentence(out, command->detail);
	}
	if (command->n_args > 0)
		fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < command->n_args; i++) {
		manual_macro(out, "It Ar", command->args[i].name);
		manual_sentence(out, command->args[i].help);
	}
	if (command->n_args > 0)
		fputs(".El\n", out);
}

static void manual_environment(const struct config_program *p, FILE *out)
{
	fputs(".Sh ENVIRONMENT\n"
	      "An option that is not on the command line is looked for in the environment:\n"
	      "its long name in capitals, with\n.Ql _\nfor\n.Ql \\- ,\nbehind\n",
	      out);
	fprintf(out, ".Ev %s .\n", p->env_prefix);
	fputs("An empty variable counts as none, and items of a list are separated by "
	      "commas.\n",
	      out);
}

static void manual_files(const struct config_program *p, FILE *out)
{
	fputs(".Sh FILES\n"
	      "What is neither on the command line nor in the environment is looked for in the\n"
	      "configuration file: the one that\n.Fl \\-config\nnames",
	      out);
	if (p->files == NULL || p->files[0] == NULL) {
		fputs(".\n", out);
	} else {
		fputs(", or else the first of these that exists:\n", out);
		fputs(".Pp\n.Bl -tag -width Ds -compact\n", out);
		for (const char *const *f = p->files; *f != NULL; f++)
			manual_macro(out, "It Pa", *f);
		fputs(".El\n.Pp\n", out);
	}
	fputs("It is YAML or JSON: a mapping from the long names of options to their values.\n"
	      "A list may be a sequence, one of NAME=VALUE also a mapping.\n"
	      "Anchors, aliases and tags are refused, and so is an unknown or repeated name.\n",
	      out);
}

void manual_print(const struct config_program *p, FILE *out)
{
	const struct config_command *command;
	bool listed = false;

	manual_head(p, out);
	fputs(".Sh DESCRIPTION\n", out);
	if (p->manual_before != NULL)
		fprintf(out, "%s\n", p->manual_before);
	else
		manual_sentence(out, p->summary);
	for (size_t i = 0; (command = command_at(p, i)) != NULL; i++) {
		if (command->name != NULL && !listed)
			fputs(".Sh COMMANDS\n", out);
		listed |= command->name != NULL;
		manual_command(p, command, out);
	}
	manual_options(p, out);
	manual_environment(p, out);
	manual_files(p, out);
	fputs(".Sh EXIT STATUS\n"
	      ".Bl -tag -width Ds -compact\n"
	      ".It 0\nDone.\n"
	      ".It 1\nRefused, or failed.\n"
	      ".It 2\nWrong usage, or a wrong value in the environment or the file.\n"
	      ".El\n",
	      out);
	if (p->manual_after != NULL)
		fprintf(out, "%s\n", p->manual_after);
}
