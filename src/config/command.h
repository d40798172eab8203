/* The names of commands, which may have several words: "http", "token add", "admin account ls". */
#ifndef KAREZ_CONFIG_COMMAND_H
#define KAREZ_CONFIG_COMMAND_H

#include "config/config.h"

/* Command i of the program, its own ones first; NULL after the last. */
const struct config_command *command_at(const struct config_program *p, size_t i);

/* What may follow the words of a group, or stand first: a command, or a group of some. A value. */
struct command_entry {
	const char *word;		      /* the one word, NUL-terminated */
	const struct config_command *command; /* NULL: a group */
	const struct config_group *group;     /* NULL: a command */
};

/*
 * Walk what stands right below a group, each word once.
 *   below  NULL: what may stand first.
 *   *at    0 before the first; then left alone.
 * Returns false after the last one.
 */
bool command_next(const struct config_program *p, const struct config_group *below, size_t *at,
		  struct command_entry *out);

/*
 * The command, or the group, whose words are exactly these.
 *   words  [n].
 * Return NULL if there is none.
 */
const struct config_command *command_find(const struct config_program *p, const struct str *words,
					  size_t n);
const struct config_group *command_group(const struct config_program *p, const struct str *words,
					 size_t n);

/* Is `name` a word or more longer than `prefix`, which it begins with? */
bool command_is_below(const char *name, const char *prefix);

#endif
