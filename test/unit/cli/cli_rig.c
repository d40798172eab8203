/* What cli_run() does before a command, without a terminal, a home or a network. */
#include "cli_rig.h"

#include <stdlib.h>
#include <string.h>

static int cli_rig_check(struct config *c, void *set)
{
	return cli_options_check(c, set);
}

/* A group has commands of karez itself in it. */
static const struct config_command cli_rig_more[] = {
	{.name = "service install", .summary = "Elsewhere"},
};

const struct config_program cli_rig_program = {
	.name = "karez",
	.version = "0",
	.summary = "All commands of the API",
	.env_prefix = "KAREZ_",
	.tables = cli_tables,
	.n_tables = CLI_N_TABLES,
	.commands = cli_commands,
	.n_commands = CLI_N_COMMANDS,
	.more = cli_rig_more,
	.n_more = ARRAY_LEN(cli_rig_more),
	.groups = cli_groups,
	.n_groups = CLI_N_GROUPS,
	.check = cli_rig_check,
};

void cli_rig_start(struct cli_rig *r, const char *const *argv)
{
	const char *words[32] = {"karez"};
	struct config_input in = {.argc = 1, .argv = (char *const *)(uintptr_t)words};

	memset(r, 0, sizeof *r);
	for (; *argv != NULL; argv++)
		words[in.argc++] = *argv;
	if (config_load(&cli_rig_program, &in, &r->set, &r->config) != 0)
		fail_msg("%s", config_message(r->config));
	r->cli.set = &r->set;
	r->cli.config = r->config;
	r->cli.out = open_memstream(&r->out, &r->out_len);
	r->cli.err = open_memstream(&r->err, &r->err_len);
	assert_int_equal(ev_sim_new(1, &r->cli.ev), 0);
}

void cli_rig_said(struct cli_rig *r)
{
	fflush(r->cli.out);
	fflush(r->cli.err);
}

void cli_rig_end(struct cli_rig *r)
{
	fclose(r->cli.out);
	fclose(r->cli.err);
	free(r->out);
	free(r->err);
	ev_free(r->cli.ev);
	config_free(r->config);
}
