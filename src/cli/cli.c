/* From what was typed to the function that does it, and the things that every command needs. */
#include "cli/cli_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"

bool cli_owns(const struct config_command *command)
{
	for (size_t i = 0; i < CLI_N_COMMANDS; i++)
		if (command == &cli_commands[i])
			return true;
	return false;
}

/* ---- start ---- */

/* A place that cannot be written is no matter for a command that brings its own token. */
static int cli_open_memory(struct cli *cli)
{
	char dir[MEMORY_DIR_MAX + 2];
	int e;

	cli_place_dir(cli->set, dir);
	if (dir[0] == '\0') {
		str_printf(cli->no_memory, sizeof cli->no_memory,
			   "there is no HOME: use --config-dir");
		return 0;
	}
	e = memory_open(cli->ev, dir, &cli->memory, cli->no_memory);
	if (e != ERR_PROTO && e != ERR_TOOBIG)
		return 0;
	cli_problem(cli, "%s", cli->no_memory);
	return e;
}

/* Which credential to show: the one that was given, a certificate, or the one remembered. */
static int cli_choose_token(struct cli *cli)
{
	char why[CLI_SECRET_WHY];

	if (cli->memory != NULL)
		memory_credential(cli->memory, cli->server_text, &cli->remembered);
	if (cli->set->token_file != NULL) {
		if (cli_secret_line(cli->set->token_file, "a token", cli->token, sizeof cli->token,
				    why) != 0)
			return cli_problem(cli, "%s", why);
		cli->token_from = CLI_TOKEN_GIVEN;
	} else if (cli->set->token != NULL) {
		if (!cli_secret_ok(str_of(cli->set->token)) ||
		    str_copy(cli->token, sizeof cli->token, str_of(cli->set->token)) != 0)
			return cli_problem(cli,
					   "KAREZ_TOKEN does not hold a token: expected 1-%zu "
					   "characters without spaces",
					   sizeof cli->token - 1);
		cli->token_from = CLI_TOKEN_GIVEN;
	} else if (cli_place_certificate(cli->set)) {
		cli->token_from = CLI_TOKEN_CERTIFICATE;
	} else if (cli->remembered.token[0] != '\0') {
		str_printf(cli->token, sizeof cli->token, "%s", cli->remembered.token);
		cli->token_from = CLI_TOKEN_REMEMBERED;
	}
	return 0;
}

static void cli_look_at_terminal(struct cli *cli)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	struct winsize size;

	if (isatty(STDOUT_FILENO) == 0)
		return;
	cli->columns =
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
	cli->bold = term != NULL && strcmp(term, "dumb") != 0 && term[0] != '\0' &&
		    (no_color == NULL || no_color[0] == '\0');
}

static int cli_start(struct cli *cli)
{
	struct cli_http_way way = {.ca = cli->set->ca_file,
				   .cert = cli->set->cert,
				   .key = cli->set->key,
				   .pins = &cli->way.pins,
				   .proxy_ca = cli->set->proxy_ca};

	if (ev_new(&cli->ev) != 0)
		return cli_no_memory(cli);
	if (cli_open_memory(cli) != 0)
		return ERR_IO;
	(void)cli_place_server(cli->set, cli->memory, &cli->server);
	url_format(&cli->server, cli->server_text);
	if (cli_place_way(cli->set, &cli->server, &cli->way) != 0)
		return cli_problem(cli, "%s", cli->way.why);
	way.proxy = cli->way.proxy;
	if (cli_choose_token(cli) != 0)
		return ERR_INVAL;
	if (cli_http_new(&cli->server, &way, &cli->http) != 0)
		return cli_no_memory(cli);
	return 0;
}

static void cli_end(struct cli *cli)
{
	cli_http_free(cli->http);
	memory_close(cli->memory);
	if (cli->ev != NULL)
		ev_free(cli->ev);
	explicit_bzero(cli->token, sizeof cli->token);
	explicit_bzero(&cli->way, sizeof cli->way);
	explicit_bzero(&cli->remembered, sizeof cli->remembered);
}

typedef int (*cli_do_fn)(struct cli *cli);

static const cli_do_fn cli_does[CLI_N_COMMANDS] = {
#define CLI_GROUP(id, words, summary)
#define CLI_COMMAND(id, words, tables, args, summary, detail) cli_do_##id,
#include "cli/cli_commands.def"
#undef CLI_COMMAND
#undef CLI_GROUP
};

/* Does it need no server, nor what is remembered? */
static bool cli_is_local(size_t which)
{
	return which == CLI_DO_config_check || which == CLI_DO_status || which == CLI_DO_ls;
}

int cli_run(const struct config *c, const struct cli_options *set)
{
	struct cli cli = {.set = set, .config = c, .out = stdout, .err = stderr};
	size_t which = (size_t)(config_command(c) - cli_commands);
	int e = 0;

	CHECK(cli_owns(config_command(c)));
	cli_look_at_terminal(&cli);
	if (!cli_is_local(which))
		e = cli_start(&cli);
	if (e == 0)
		e = cli_does[which](&cli);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		cli_problem(&cli, "the answer could not be written");
		e = ERR_IO;
	}
	cli_end(&cli);
	return e == 0 ? 0 : MAX(cli.exit_code, 1);
}
