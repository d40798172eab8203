/* Every option, variable, key of the file and line of the manual of karez comes from these rows. */
#include "app/karez_options.h"

#include <string.h>

#include "agent/agent.h"
#include "base/err.h"

static int karez_check_target(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct url url;

	if (url_parse_target(value, URL_HTTP, &url, &why) == 0) {
		if (url.scheme == URL_UNIX)
			return 0;
		if ((url.scheme != URL_HTTP && url.scheme != URL_HTTPS) || url.websocket)
			why = "it must be PORT, HOST:PORT, http://, https:// or unix:";
		else if (strcmp(url.path, "/") != 0)
			why = "it must not have a path, because visitors choose the path";
		else
			return 0;
	}
	str_printf(reason, reason_cap, "is not a target: %s", why);
	return ERR_INVAL;
}

static int karez_check_name(struct str value, char *reason, size_t reason_cap)
{
	char name[HOSTNAME_MAX + 1];

	if (hostname_tunnel(value, name) == 0)
		return 0;
	str_printf(reason, reason_cap,
		   "is not a name: expected letters, digits and hyphens, as in demo or demo.tim");
	return ERR_INVAL;
}

static const char *const karez_levels[] = {"error", "warn", "info", "debug", NULL};

/* Where struct cli_options lies in ours, its rows find it. */
_Static_assert(offsetof(struct karez_options, cli) == 0, "rows of both count from one address");

static const struct config_option karez_http_rows[] = {
	{.name = "name",
	 .letter = 'n',
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .group = "Tunnel",
	 .help = "Ask for this public name; without it, the one from last time or a random one",
	 .check = karez_check_name,
	 .offset = offsetof(struct karez_options, name)},
	{.name = "target-insecure",
	 .type = CONFIG_FLAG,
	 .group = "Tunnel",
	 .help = "Accept any certificate of an https:// target",
	 .offset = offsetof(struct karez_options, target_insecure)},
};

/* What an agent has beyond what every command takes. */
static const struct config_option karez_agent_rows[] = {
	{.name = "sessions",
	 .type = CONFIG_NUM,
	 .min = 1,
	 .max = AGENT_SESSIONS_MAX,
	 .initial = "2",
	 .group = "Server",
	 .help = "Keep this many sessions, so that losing one is not noticed",
	 .offset = offsetof(struct karez_options, sessions)},
	{.name = "wait",
	 .letter = 'w',
	 .type = CONFIG_FLAG,
	 .group = "Server",
	 .help = "Keep trying when the server cannot be reached at the start; once it was "
		 "reached, karez always comes back",
	 .offset = offsetof(struct karez_options, wait)},
	{.name = "quiet",
	 .letter = 'q',
	 .type = CONFIG_FLAG,
	 .group = "Output",
	 .help = "Print problems only",
	 .offset = offsetof(struct karez_options, quiet)},
	{.name = "verbose",
	 .letter = 'v',
	 .type = CONFIG_FLAG,
	 .group = "Output",
	 .help = "Print a line for every request, also when nobody watches, and more of what "
		 "happens to the sessions",
	 .offset = offsetof(struct karez_options, verbose)},
	{.name = "log-level",
	 .type = CONFIG_ENUM,
	 .words = karez_levels,
	 .initial = "warn",
	 .group = "Output",
	 .help = "Log this much to standard error",
	 .offset = offsetof(struct karez_options, log_level)},
};

static const struct config_option karez_http_args[] = {
	{.name = "TARGET",
	 .type = CONFIG_TEXT,
	 .help = "The local web server: PORT, HOST:PORT, http://HOST:PORT, https://HOST:PORT or "
		 "unix:/path",
	 .check = karez_check_target,
	 .offset = offsetof(struct karez_options, target),
	 .flags = CONFIG_REQUIRED | CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

static const struct config_table karez_http_tables[] = {CONFIG_TABLE(karez_http_rows),
							CONFIG_TABLE(karez_agent_rows)};

static const struct config_command karez_commands[] = {
	{.name = "http",
	 .summary = "Publish a local web server",
	 .detail = "Visitors reach it at a public name of its own, as long as karez runs. The word "
		   "http may be left out: karez 3000.",
	 .tables = karez_http_tables,
	 .n_tables = ARRAY_LEN(karez_http_tables),
	 .args = karez_http_args,
	 .n_args = ARRAY_LEN(karez_http_args)},
};

static const char *const karez_files[] = {"~/.config/karez/karez.yaml", "/etc/karez/karez.yaml",
					  NULL};

static int karez_check(struct config *c, void *settings)
{
	struct karez_options *set = settings;

	if (set->quiet && set->verbose)
		return config_fail(c, &set->quiet, "contradicts --verbose: give one of them");
	return cli_options_check(c, &set->cli);
}

const struct config_program karez_program = {
	.name = "karez",
	.version = KAREZ_VERSION,
	.summary = "Make a local service public through a karezd server",
	.env_prefix = "KAREZ_",
	.files = karez_files,
	.tables = cli_tables,
	.n_tables = CLI_N_TABLES,
	.commands = karez_commands,
	.n_commands = ARRAY_LEN(karez_commands),
	.more = cli_commands,
	.n_more = CLI_N_COMMANDS,
	.groups = cli_groups,
	.n_groups = CLI_N_GROUPS,
	.fallback = &karez_commands[0],
	.check = karez_check,
	.manual_section = 1,
	.manual_date = "November 21, 2026",
	.manual_before = ".Nm\n"
			 "opens one outgoing connection to a server and serves, through it, the\n"
			 "visitors of a public name from a web server on this side.\n"
			 "Its other commands look after accounts, credentials and tunnels on the\n"
			 "server, through its API.",
	.manual_after = ".Sh SEE ALSO\n.Xr karezd 8",
};

void karez_options_target(const struct karez_options *set, struct url *out, bool *bare)
{
	struct str text = str_of(set->target);

	CHECK(url_parse_target(text, URL_HTTP, out, NULL) == 0); /* karez_check_target saw it */
	*bare = strspn(set->target, "0123456789") == text.len;
}
