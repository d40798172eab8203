/* Help, manual and the command line all walk the same names, so the words are taken apart here
 * only.
 */
#include "config/command.h"

#include <string.h>

const struct config_command *command_at(const struct config_program *p, size_t i)
{
	if (i < p->n_commands)
		return &p->commands[i];
	return i - p->n_commands < p->n_more ? &p->more[i - p->n_commands] : NULL;
}

bool command_is_below(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return name != NULL && strncmp(name, prefix, len) == 0 && name[len] == ' ';
}

/* What follows the words of the group; NULL if the name is not below it. */
static const char *command_rest(const char *name, const struct config_group *below)
{
	if (below == NULL)
		return name;
	return command_is_below(name, below->name) ? name + strlen(below->name) + 1 : NULL;
}

/* The group whose name is the first len bytes of `name`. */
static const struct config_group *command_group_of(const struct config_program *p, const char *name,
						   size_t len)
{
	for (size_t i = 0; i < p->n_groups; i++)
		if (str_eq(str_of(p->groups[i].name), (struct str){name, len}))
			return &p->groups[i];
	return NULL;
}

/* Was a group met at a command before number i? */
static bool command_met(const struct config_program *p, const struct config_group *g, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (command_is_below(command_at(p, k)->name, g->name))
			return true;
	return false;
}

bool command_next(const struct config_program *p, const struct config_group *below, size_t *at,
		  struct command_entry *out)
{
	const struct config_command *c;

	while ((c = command_at(p, *at)) != NULL) {
		const char *rest = c->name == NULL ? NULL : command_rest(c->name, below);
		const struct config_group *g;
		size_t i = (*at)++, len;

		if (rest == NULL)
			continue;
		len = str_find(str_of(rest), ' ');
		if (rest[len] == '\0') {
			*out = (struct command_entry){.word = rest, .command = c};
			return true;
		}
		g = command_group_of(p, c->name, (size_t)(rest - c->name) + len);
		if (g == NULL || command_met(p, g, i))
			continue;
		*out = (struct command_entry){.word = g->name + (rest - c->name), .group = g};
		return true;
	}
	return false;
}

static bool command_words_are(const char *name, const struct str *words, size_t n)
{
	struct str rest = str_of(name), word;

	for (size_t i = 0; i < n; i++)
		if (!str_next(&rest, ' ', &word) || !str_eq(word, words[i]))
			return false;
	return rest.p == NULL;
}

const struct config_command *command_find(const struct config_program *p, const struct str *words,
					  size_t n)
{
	const struct config_command *c;

	for (size_t i = 0; (c = command_at(p, i)) != NULL; i++)
		if (c->name != NULL && command_words_are(c->name, words, n))
			return c;
	return NULL;
}

const struct config_group *command_group(const struct config_program *p, const struct str *words,
					 size_t n)
{
	for (size_t i = 0; i < p->n_groups; i++)
		if (command_words_are(p->groups[i].name, words, n))
			return &p->groups[i];
	return NULL;
}
