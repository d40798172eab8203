/* Four sources, one answer: which value counts, and what the process does next. */
#include "config/config.h"

#include <stdlib.h>

#include "base/err.h"
#include "config/cmdline.h"
#include "config/conffile.h"
#include "config/help.h"
#include "config/manual.h"

/* Is there something to print instead of running? */
static bool config_asked(const struct config *c)
{
	return c->own.help || c->own.version || c->own.manual;
}

/* An empty variable counts as none: that is what "KAREZ_X=" in a unit or a compose file means. */
static int config_load_env(struct config *c, char *const *envp)
{
	char name[128];
	const char *value;
	int e = 0;

	for (size_t i = 0; i < c->n_slots && e == 0; i++) {
		struct slot *s = &c->slots[i];

		if (s->arg || (s->row->flags & CONFIG_NOT_ENV))
			continue;
		slot_env_name(c->program, s->row, name, sizeof name);
		value = conffile_getenv(envp, name);
		if (value != NULL && value[0] != '\0')
			e = slot_set(c, s, (struct slot_origin){.source = CONFIG_ENV},
				     str_of(value));
	}
	return e;
}

static int config_load_defaults(struct config *c)
{
	int e = 0;

	for (size_t i = 0; i < c->n_slots && e == 0; i++) {
		struct slot *s = &c->slots[i];

		if (s->source == CONFIG_NOWHERE && s->row->initial != NULL)
			e = slot_set(c, s, (struct slot_origin){.source = CONFIG_DEFAULT},
				     str_of(s->row->initial));
	}
	CHECK(e != ERR_INVAL); /* a default that its own row refuses */
	return e;
}

static int config_check_required(struct config *c)
{
	for (size_t i = 0; i < c->n_slots; i++) {
		const struct slot *s = &c->slots[i];

		if ((s->row->flags & CONFIG_REQUIRED) && s->source == CONFIG_NOWHERE)
			return slot_complain(c, s, (struct slot_origin){.source = CONFIG_NOWHERE},
					     "is missing: %s", s->row->help);
	}
	return 0;
}

static int config_run(struct config *c, const struct config_input *in)
{
	int e;

	cmdline_command(c, in);
	if ((e = slot_build(c)) != 0)
		return e;
	if (c->command == NULL && !c->overview)
		return cmdline_no_command(c, in);
	if ((e = cmdline_parse(c, in)) != 0)
		return e;
	if (config_asked(c))
		return 0;
	if (c->command == NULL && !c->own.show)
		return cmdline_no_command(c, in);
	if ((e = config_load_env(c, in->envp)) != 0)
		return e;
	if ((e = conffile_load(c, in->envp)) != 0)
		return e;
	if ((e = config_load_defaults(c)) != 0 || c->own.show)
		return e;
	if ((e = config_check_required(c)) != 0)
		return e;
	return c->program->check == NULL ? 0 : c->program->check(c, c->settings);
}

int config_load(const struct config_program *p, const struct config_input *in, void *settings,
		struct config **out)
{
	struct config *c;

	*out = NULL;
	if ((c = calloc(1, sizeof *c)) == NULL)
		return ERR_NOMEM;
	c->program = p;
	c->settings = settings;
	c->error = config_run(c, in);
	if (c->error == ERR_NOMEM) {
		config_free(c);
		return ERR_NOMEM;
	}
	*out = c;
	return c->error;
}

void config_free(struct config *c)
{
	if (c == NULL)
		return;
	slot_free(c);
	free(c->path);
	free(c);
}

bool config_finish(const struct config *c, FILE *out, FILE *err, int *code)
{
	*code = 0;
	if (c == NULL) {
		fprintf(err, "%s\n", err_text(ERR_NOMEM));
		*code = 1;
	} else if (c->error != 0) {
		fprintf(err, "%s\n", c->message);
		help_usage(c, err);
		*code = 2;
	} else if (c->own.help) {
		help_print(c, out);
	} else if (c->own.version) {
		fprintf(out, "%s %s\n", c->program->name, c->program->version);
	} else if (c->own.manual) {
		manual_print(c->program, out);
	} else if (c->own.show) {
		config_show(c, out);
	} else {
		return false;
	}
	return true;
}

const char *config_message(const struct config *c)
{
	return c->message;
}

const struct config_command *config_command(const struct config *c)
{
	return c->command;
}

static const struct slot *config_slot(const struct config *c, const void *member)
{
	for (size_t i = 0; i < c->n_slots; i++)
		if (c->slots[i].member == member)
			return &c->slots[i];
	return NULL;
}

enum config_source config_source(const struct config *c, const void *member)
{
	const struct slot *s = config_slot(c, member);

	return s == NULL ? CONFIG_NOWHERE : s->source;
}

const char *config_file(const struct config *c)
{
	return c->path;
}

int config_fail(struct config *c, const void *member, const char *reason)
{
	const struct slot *s = config_slot(c, member);
	struct slot_origin from;

	CHECK(s != NULL);
	from = (struct slot_origin){.source = s->source, .line = s->line, .col = s->col};
	return slot_complain(c, s, from, "%s", reason);
}

/* Where a value came from, as a comment. */
static void config_show_source(const struct config *c, const struct slot *s, FILE *out)
{
	char env[128];

	switch (s->source) {
	case CONFIG_NOWHERE: fputs("not set", out); break;
	case CONFIG_DEFAULT: fputs("default", out); break;
	case CONFIG_ARGV: fputs("command line", out); break;
	case CONFIG_FILE: fprintf(out, "line %u", s->line); break;
	case CONFIG_ENV:
		slot_env_name(c->program, s->row, env, sizeof env);
		fputs(env, out);
		break;
	}
}

void config_show(const struct config *c, FILE *out)
{
	fprintf(out, "# %s %s\n# configuration file: %s\n", c->program->name, c->program->version,
		c->path == NULL ? "none" : c->path);
	for (size_t i = 0; i < c->n_slots; i++) {
		const struct slot *s = &c->slots[i];
		bool secret = s->row->type == CONFIG_SECRET;
		bool asis = s->source != CONFIG_NOWHERE && !s->arg && !secret;

		if (s->own || (s->arg && s->source == CONFIG_NOWHERE))
			continue;
		fprintf(out, "%s%s: ", asis ? "" : "# ", s->row->name);
		if (s->source != CONFIG_NOWHERE && secret)
			fputs("(secret)", out);
		else if (s->source != CONFIG_NOWHERE)
			value_print(s->row, s->member, out);
		fputs(s->source != CONFIG_NOWHERE ? " # " : "# ", out);
		config_show_source(c, s, out);
		fputc('\n', out);
	}
}
