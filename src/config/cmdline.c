/*
 * getopt_long cannot do this: our options depend on the command, which may come after them, and a
 * wrong one is answered with the right one.
 */
#include "config/cmdline.h"

#include "base/err.h"
#include "config/command.h"
#include "config/guess.h"
#include "config/say.h"

/* A walk along argv. */
struct cmdline {
	struct config *c;
	const struct config_input *in;
	int at;		  /* index of the word in hand */
	size_t n_args;	  /* arguments seen */
	struct str first; /* the first of them */
};

static const struct slot_origin cmdline_origin = {.source = CONFIG_ARGV};

static struct str cmdline_word(const struct config_input *in, int at)
{
	return str_of(in->argv[at]);
}

/* Does this option use up the next word? What is unknown does not; it is refused later on. */
static bool cmdline_takes_next(const struct config_program *p, struct str word)
{
	const struct config_option *row;

	if (str_starts(word, STR("--"))) {
		struct str name = {word.p + 2, word.len - 2};

		row = slot_anywhere(p, name, 0, NULL);
		return name.len > 0 && row != NULL && row->type != CONFIG_FLAG;
	}
	for (size_t i = 1; i < word.len; i++) {
		row = slot_anywhere(p, STR(""), word.p[i], NULL);
		if (row == NULL)
			return false;
		if (row->type != CONFIG_FLAG)
			return i + 1 == word.len;
	}
	return false;
}

static bool cmdline_is_option(struct str word)
{
	return word.len > 1 && word.p[0] == '-';
}

/*
 * The first arguments; what follows "--" counts as none.
 *   at  [max] set to their places in argv.
 * Returns how many.
 */
static size_t cmdline_first(const struct config *c, const struct config_input *in, int *at,
			    size_t max)
{
	size_t n = 0;

	for (int i = 1; i < in->argc && n < max; i++) {
		struct str word = cmdline_word(in, i);

		if (str_eq(word, STR("--")))
			break;
		if (!cmdline_is_option(word))
			at[n++] = i;
		else if (cmdline_takes_next(c->program, word))
			i++;
	}
	return n;
}

void cmdline_command(struct config *c, const struct config_input *in)
{
	const struct config_program *p = c->program;
	struct str words[CONFIG_WORDS_MAX];
	size_t n, k;

	n = cmdline_first(c, in, c->words, CONFIG_WORDS_MAX);
	for (k = 0; k < n; k++)
		words[k] = cmdline_word(in, c->words[k]);
	for (k = n; k > 0; k--) {
		if ((c->command = command_find(p, words, k)) != NULL ||
		    (c->group = command_group(p, words, k)) != NULL)
			break;
	}
	c->n_words = k;
	c->overview = c->command == NULL && n == k;
	if (k > 0)
		return;
	c->implied = p->fallback != NULL;
	c->command = p->fallback;
	if (p->commands[0].name == NULL) {
		c->command = &p->commands[0];
		c->overview = false;
	}
}

/* The command, or group of some, that somebody may have meant by a word, or NULL. */
static const char *cmdline_guess_command(const struct config *c, struct str word)
{
	struct guess g = {.word = word};
	struct command_entry entry;

	for (size_t at = 0; command_next(c->program, c->group, &at, &entry);)
		guess_offer(&g, entry.word);
	return g.best;
}

int cmdline_no_command(struct config *c, const struct config_input *in)
{
	const struct config_program *p = c->program;
	int words[CONFIG_WORDS_MAX + 1];
	size_t n = cmdline_first(c, in, words, CONFIG_WORDS_MAX + 1);
	struct command_entry entry;
	char quoted[SAY_QUOTED];
	const char *near = NULL, *comma = "";

	slot_message(c, "%s%s%s: ", p->name, c->group == NULL ? "" : " ",
		     c->group == NULL ? "" : c->group->name);
	if (n <= c->n_words) {
		slot_add(c, "a command is missing: expected one of");
	} else {
		struct str word = cmdline_word(in, words[c->n_words]);

		slot_add(c, "%s is not one of the commands", say_quote(quoted, word));
		near = cmdline_guess_command(c, word);
	}
	for (size_t at = 0; command_next(p, c->group, &at, &entry); comma = ",")
		slot_add(c, "%s %s", comma, entry.word);
	if (near != NULL)
		slot_add(c, "; did you mean %s?", near);
	return ERR_INVAL;
}

/*
 * No such option here: say whose it is, or what it may have been meant to be.
 *   typed   as it stood there, without its value, which may be a secret.
 *   letter  of a short option; else 0.
 */
static int cmdline_unknown(struct config *c, struct str typed, char letter)
{
	struct str name = letter != 0 ? STR("") : (struct str){typed.p + 2, typed.len - 2};
	const struct config_command *owner = NULL;
	struct guess g = {.word = name};
	char quoted[SAY_QUOTED];

	slot_message(c, "%s: %s is no option", c->program->name, say_quote(quoted, typed));
	if ((letter != 0 || name.len > 0) && c->command != NULL &&
	    slot_anywhere(c->program, name, letter, &owner) != NULL) {
		slot_add(c, " of %s %s; %s %s has it", c->program->name, c->command->name,
			 c->program->name, owner->name);
		return ERR_INVAL;
	}
	for (size_t i = 0; letter == 0 && i < c->n_slots; i++)
		if (!c->slots[i].arg && !(c->slots[i].row->flags & CONFIG_HIDDEN))
			guess_offer(&g, c->slots[i].row->name);
	if (g.best != NULL)
		slot_add(c, "; did you mean --%s?", g.best);
	return ERR_INVAL;
}

/* Give an option its value. */
static int cmdline_set(struct config *c, struct slot *s, struct str value)
{
	char env[64];

	if (!(s->row->flags & CONFIG_NOT_ARGV))
		return slot_set(c, s, cmdline_origin, value);
	slot_env_name(c->program, s->row, env, sizeof env);
	return slot_complain(c, s, cmdline_origin,
			     "not on the command line, where others can read it: use %s or the "
			     "configuration file",
			     env);
}

/* Give an option the next word as its value. */
static int cmdline_set_next(struct cmdline *l, struct slot *s)
{
	if (l->at + 1 >= l->in->argc)
		return slot_complain(l->c, s, cmdline_origin, "a value is missing: %s",
				     value_metavar(s->row));
	l->at++;
	return cmdline_set(l->c, s, cmdline_word(l->in, l->at));
}

/* "--name", "--name=value", "--no-name". */
static int cmdline_long(struct cmdline *l, struct str word)
{
	struct str name = {word.p + 2, word.len - 2}, value = {NULL, 0};
	size_t eq = str_find(name, '=');
	struct slot *s;

	if (eq < name.len) {
		value = (struct str){name.p + eq + 1, name.len - eq - 1};
		name.len = eq;
	}
	s = slot_find(l->c, name);
	if (s == NULL && str_starts(name, STR("no-")) &&
	    (s = slot_find(l->c, (struct str){name.p + 3, name.len - 3})) != NULL) {
		if (s->row->type != CONFIG_FLAG)
			return slot_complain(l->c, s, cmdline_origin,
					     "has no --no- form: it takes a value");
		if (value.p != NULL)
			return slot_complain(l->c, s, cmdline_origin,
					     "takes no value in its --no- form");
		return cmdline_set(l->c, s, STR("no"));
	}
	if (s == NULL)
		return cmdline_unknown(l->c, (struct str){word.p, name.len + 2}, 0);
	if (value.p != NULL)
		return cmdline_set(l->c, s, value);
	if (s->row->type == CONFIG_FLAG)
		return cmdline_set(l->c, s, STR("yes"));
	return cmdline_set_next(l, s);
}

/* "-q", "-qv", "-nvalue", "-n value". */
static int cmdline_letters(struct cmdline *l, struct str word)
{
	int e = 0;

	for (size_t i = 1; i < word.len && e == 0; i++) {
		struct slot *s = slot_find_letter(l->c, word.p[i]);

		if (s == NULL) {
			char typed[] = {'-', word.p[i]};

			return cmdline_unknown(l->c, (struct str){typed, 2}, word.p[i]);
		}
		if (s->row->type != CONFIG_FLAG)
			return i + 1 == word.len ? cmdline_set_next(l, s)
						 : cmdline_set(l->c, s,
							       (struct str){word.p + i + 1,
									    word.len - i - 1});
		e = cmdline_set(l->c, s, STR("yes"));
	}
	return e;
}

/* If the command was implied, the word in hand may have been meant to be its name. */
static int cmdline_hint(const struct cmdline *l, struct str word)
{
	const char *near = cmdline_guess_command(l->c, word);

	if (near != NULL)
		slot_add(l->c, "; did you mean the command %s?", near);
	return ERR_INVAL;
}

static int cmdline_argument(struct cmdline *l, struct str word)
{
	size_t n = l->c->command == NULL ? 0 : l->c->command->n_args;
	struct slot *args = l->c->slots + l->c->n_slots - n, *s;
	char quoted[SAY_QUOTED];
	size_t k = l->n_args++;
	int e;

	if (k == 0)
		l->first = word;
	if (n > 0 && k >= n && args[n - 1].row->type == CONFIG_LIST)
		k = n - 1;
	if (k >= n) {
		e = slot_message(l->c, "%s: %s is one argument too many", l->c->program->name,
				 say_quote(quoted, word));
		word = l->first;
	} else {
		s = &args[k];
		e = slot_set(l->c, s, cmdline_origin, word);
	}
	return e == ERR_INVAL && l->c->implied ? cmdline_hint(l, word) : e;
}

/* Is this a word of the command's name? */
static bool cmdline_is_name(const struct config *c, int at)
{
	for (size_t i = 0; i < c->n_words; i++)
		if (c->words[i] == at)
			return true;
	return false;
}

int cmdline_parse(struct config *c, const struct config_input *in)
{
	struct cmdline l = {.c = c, .in = in};
	bool options = true;
	int e = 0;

	for (l.at = 1; l.at < in->argc && e == 0; l.at++) {
		struct str word = cmdline_word(in, l.at);

		if (cmdline_is_name(c, l.at))
			continue;
		if (options && str_eq(word, STR("--")))
			options = false;
		else if (options && str_starts(word, STR("--")))
			e = cmdline_long(&l, word);
		else if (options && cmdline_is_option(word))
			e = cmdline_letters(&l, word);
		else
			e = cmdline_argument(&l, word);
	}
	return e;
}
