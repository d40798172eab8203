/* Every option, variable, key of the file and line of the manual of karez comes from these rows. */
#include "app/karez_options.h"

#include <string.h>

#include "agent/agent.h"
#include "base/err.h"

static int karez_check_server(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct url url;

	if (url_parse(value, &url, &why) == 0) {
		if (url.scheme == URL_HTTP || url.scheme == URL_HTTPS)
			return 0;
		why = "it must start with http:// or https://";
	}
	str_printf(reason, reason_cap, "is not the URL of a server: %s", why);
	return ERR_INVAL;
}

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

static const struct config_option karez_common[] = {
	{.name = "server",
	 .letter = 's',
	 .type = CONFIG_TEXT,
	 .metavar = "URL",
	 .group = "Server",
	 .help = "Publish through this server; without one, " KAREZ_GUESSED_SERVER
		 " is tried, where a karezd for trying out listens",
	 .check = karez_check_server,
	 .offset = offsetof(struct karez_options, server)},
	{.name = "token",
	 .type = CONFIG_SECRET,
	 .group = "Server",
	 .help = "Prove who we are with this token instead of the remembered one",
	 .offset = offsetof(struct karez_options, token),
	 .flags = CONFIG_NOT_ARGV},
	{.name = "token-file",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Server",
	 .help = "Read the token from this file",
	 .offset = offsetof(struct karez_options, token_file)},
	{.name = "ca-file",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Server",
	 .help = "Trust only the authorities in this file (PEM) to vouch for the server",
	 .offset = offsetof(struct karez_options, ca_file)},
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
	{.name = "config-dir",
	 .type = CONFIG_TEXT,
	 .metavar = "DIR",
	 .group = "Server",
	 .help = "Remember credentials and names in this folder; the default is karez in "
		 "$XDG_CONFIG_HOME or ~/.config",
	 .offset = offsetof(struct karez_options, config_dir),
	 .flags = CONFIG_NOT_FILE},
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
	{.name = "json",
	 .type = CONFIG_FLAG,
	 .group = "Output",
	 .help = "Print one JSON object a line for everything that happens",
	 .offset = offsetof(struct karez_options, json)},
	{.name = "log-level",
	 .type = CONFIG_ENUM,
	 .words = karez_levels,
	 .initial = "warn",
	 .group = "Output",
	 .help = "Log this much to standard error",
	 .offset = offsetof(struct karez_options, log_level)},
};

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

static const struct config_option karez_http_args[] = {
	{.name = "TARGET",
	 .type = CONFIG_TEXT,
	 .help = "The local web server: PORT, HOST:PORT, http://HOST:PORT, https://HOST:PORT or "
		 "unix:/path",
	 .check = karez_check_target,
	 .offset = offsetof(struct karez_options, target),
	 .flags = CONFIG_REQUIRED | CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

static const struct config_table karez_tables[] = {CONFIG_TABLE(karez_common)};
static const struct config_table karez_http_tables[] = {CONFIG_TABLE(karez_http_rows)};

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
	if (set->token != NULL && set->token_file != NULL)
		return config_fail(c, &set->token_file,
				   "contradicts KAREZ_TOKEN: give one of them");
	return 0;
}

const struct config_program karez_program = {
	.name = "karez",
	.version = KAREZ_VERSION,
	.summary = "Make a local service public through a karezd server",
	.env_prefix = "KAREZ_",
	.files = karez_files,
	.tables = karez_tables,
	.n_tables = ARRAY_LEN(karez_tables),
	.commands = karez_commands,
	.n_commands = ARRAY_LEN(karez_commands),
	.fallback = &karez_commands[0],
	.check = karez_check,
	.manual_section = 1,
	.manual_date = "November 21, 2026",
	.manual_before = ".Nm\n"
			 "opens one outgoing connection to a server and serves, through it, the\n"
			 "visitors of a public name from a web server on this side.\n",
	.manual_after = ".Sh EXIT STATUS\n"
			".Bl -tag -width Ds -compact\n"
			".It 0\n"
			"It was stopped by a signal.\n"
			".It 1\n"
			"The server could not be reached, or has refused for good.\n"
			".It 2\n"
			"Wrong usage.\n"
			".El\n",
};

void karez_options_target(const struct karez_options *set, struct url *out, bool *bare)
{
	struct str text = str_of(set->target);

	CHECK(url_parse_target(text, URL_HTTP, out, NULL) == 0); /* karez_check_target saw it */
	*bare = strspn(set->target, "0123456789") == text.len;
}
