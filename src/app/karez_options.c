/* Every option, variable, key of the file and line of the manual of karez comes from these rows. */
#include "app/karez_options.h"

#include <string.h>

#include "agent/agent.h"
#include "app/karez_ssh_options.h"
#include "base/err.h"
#include "proto/cidr.h"

/* ---- what a value must be ---- */

static int karez_refuse_target(const char *why, char *reason, size_t reason_cap)
{
	str_printf(reason, reason_cap, "is not a target: %s", why);
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
	return karez_refuse_target(why, reason, reason_cap);
}

static int karez_check_stream(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct url url;

	if (url_parse_target(value, URL_TCP, &url, &why) == 0) {
		if (url.scheme == URL_TCP || url.scheme == URL_TLS || url.scheme == URL_UNIX)
			return 0;
		why = "it must be PORT, HOST:PORT, tcp://, tls:// or unix:";
	}
	return karez_refuse_target(why, reason, reason_cap);
}

static int karez_check_service(struct str value, char *reason, size_t reason_cap)
{
	struct str name, target = value;
	const char *why = "";
	struct url url;

	(void)str_next(&target, '=', &name);
	if (!control_service_ok(name)) {
		str_printf(reason, reason_cap,
			   "has no good name: expected 1-64 letters, digits, dots, hyphens and "
			   "underscores, as in web=127.0.0.1:8080");
		return ERR_INVAL;
	}
	if (url_parse_target(target, URL_TCP, &url, &why) == 0) {
		if (url.scheme == URL_UNIX || (strcmp(url.path, "/") == 0 && !url.websocket))
			return 0;
		why = "it must be PORT, HOST:PORT, tcp://, tls://, http://, https:// or unix:, and "
		      "it has no path";
	}
	str_printf(reason, reason_cap, "has no good target: %s", why);
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

static int karez_check_domain(struct str value, char *reason, size_t reason_cap)
{
	struct str host = value, base;
	bool wild = str_starts(value, STR("*."));

	if (wild)
		host = (struct str){value.p + 2, value.len - 2};
	base = host;
	if (value.len <= HOSTNAME_MAX && hostname_ok(host) && (!wild || hostname_parent(&base)))
		return 0;
	str_printf(reason, reason_cap,
		   "is not a host name: expected one as app.example.org or *.example.org");
	return ERR_INVAL;
}

static int karez_check_bind(struct str value, char *reason, size_t reason_cap)
{
	uint8_t ip[16];

	if (value.len == 0 || str_eq(value, STR("localhost")) || cidr_ip_parse(value, ip) == 0)
		return 0;
	str_printf(reason, reason_cap,
		   "is not an address of the server: expected an IP address or localhost");
	return ERR_INVAL;
}

static int karez_check_health(struct str value, char *reason, size_t reason_cap)
{
	bool ok = value.len > 0 && value.len <= URL_PATH_MAX && value.p[0] == '/';

	for (size_t i = 0; i < value.len && ok; i++)
		ok = value.p[i] > ' ' && value.p[i] < 0x7f && value.p[i] != '#';
	if (ok || str_eq(value, STR("tcp")))
		return 0;
	str_printf(reason, reason_cap, "is not a check: expected tcp, or a path as /health");
	return ERR_INVAL;
}

static int karez_check_agent(struct str value, char *reason, size_t reason_cap)
{
	if (control_service_ok(value)) /* agents may be called what services may */
		return 0;
	str_printf(reason, reason_cap,
		   "is not a name: expected 1-64 letters, digits, dots, hyphens and underscores");
	return ERR_INVAL;
}

/* ---- rows ---- */

static const char *const karez_levels[] = {"error", "warn", "info", "debug", NULL};

const char *const karez_tls_words[] = {"pass", "end", NULL};
const char *const karez_proxy_words[] = {"none", "v1", "v2", NULL};

/* Where struct cli_options lies in ours, its rows find it. */
_Static_assert(offsetof(struct karez_options, cli) == 0, "rows of both count from one address");

static const struct config_option karez_tcp_rows[] = {
	/* Kubernetes makes a variable KAREZ_PORT for a service called karez. */
	{.name = "port",
	 .letter = 'p',
	 .type = CONFIG_NUM,
	 .max = 65535,
	 .metavar = "PORT",
	 .group = "Tunnel",
	 .help = "Ask for this public port, 0 for any; without it, the one from last time or any",
	 .offset = offsetof(struct karez_options, port),
	 .flags = CONFIG_NOT_ENV},
	{.name = "bind",
	 .type = CONFIG_TEXT,
	 .metavar = "ADDRESS",
	 .group = "Tunnel",
	 .help = "Let visitors in at this address of the server only: an IP address or localhost",
	 .check = karez_check_bind,
	 .offset = offsetof(struct karez_options, bind)},
};

static const struct config_option karez_tls_rows[] = {
	{.name = "domain",
	 .letter = 'd',
	 .type = CONFIG_LIST,
	 .metavar = "HOST",
	 .group = "Tunnel",
	 .help = "Serve this host name of yours, or all of *.example.org; the server says which "
		 "DNS "
		 "record proves it",
	 .check = karez_check_domain,
	 .offset = offsetof(struct karez_options, domains)},
	{.name = "tls",
	 .type = CONFIG_ENUM,
	 .words = karez_tls_words,
	 .group = "Tunnel",
	 .help = "Pass the visitors' TLS through untouched, or end it at the server",
	 .offset = offsetof(struct karez_options, tls)},
};

static const struct config_option karez_serve_rows[] = {
	{.name = "services",
	 .type = CONFIG_LIST,
	 .metavar = "NAME=TARGET",
	 .group = "Services",
	 .help = "Connect visitors of this service with this target: PORT, HOST:PORT, tcp://, "
		 "tls://, http://, https:// or unix:/path",
	 .check = karez_check_service,
	 .offset = offsetof(struct karez_options, services),
	 .flags = CONFIG_REQUIRED | CONFIG_MAP},
};

/* What a tunnel's record shall say. */
static const struct config_option karez_tunnel_rows[] = {
	{.name = "name",
	 .letter = 'n',
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .group = "Tunnel",
	 .help = "Ask for this name; without it, the one from last time or a random one",
	 .check = karez_check_name,
	 .offset = offsetof(struct karez_options, name)},
	{.name = "proxy-protocol",
	 .type = CONFIG_ENUM,
	 .words = karez_proxy_words,
	 .group = "Tunnel",
	 .help = "Tell the target who its visitor is, by the PROXY protocol",
	 .offset = offsetof(struct karez_options, proxy)},
	{.name = "policy",
	 .type = CONFIG_ENUM,
	 .words = cli_policies,
	 .group = "Tunnel",
	 .help = "Which of several agents gets a visitor",
	 .offset = offsetof(struct karez_options, policy)},
	{.name = "max-sessions",
	 .type = CONFIG_NUM,
	 .min = 1,
	 .max = 64,
	 .group = "Tunnel",
	 .help = "Let this many sessions serve it at once",
	 .offset = offsetof(struct karez_options, max_sessions)},
	{.name = "drain",
	 .type = CONFIG_DURATION,
	 .max = 86400000,
	 .group = "Tunnel",
	 .help = "Let running connections go on for so long when it moves to other agents",
	 .offset = offsetof(struct karez_options, drain_ms)},
};

/* What is said about targets. */
static const struct config_option karez_target_rows[] = {
	{.name = "priority",
	 .type = CONFIG_NUM,
	 .max = 65535,
	 .initial = "0",
	 .group = "Target",
	 .help = "Rank of this agent where the policy is failover; less is better",
	 .offset = offsetof(struct karez_options, priority)},
	{.name = "health",
	 .type = CONFIG_TEXT,
	 .metavar = "CHECK",
	 .group = "Target",
	 .help = "Ask the target again and again, by tcp or by GET of a path as /health, and let "
		 "other agents serve while it fails",
	 .check = karez_check_health,
	 .offset = offsetof(struct karez_options, health)},
	{.name = "health-interval",
	 .type = CONFIG_DURATION,
	 .min = 500,
	 .max = 3600000,
	 .initial = "10s",
	 .group = "Target",
	 .help = "Check every so often",
	 .offset = offsetof(struct karez_options, health_interval_ms)},
	{.name = "health-rise",
	 .type = CONFIG_NUM,
	 .min = 1,
	 .max = 100,
	 .initial = "2",
	 .group = "Target",
	 .help = "Take it for well after so many good checks in a row",
	 .offset = offsetof(struct karez_options, health_rise)},
	{.name = "health-fall",
	 .type = CONFIG_NUM,
	 .min = 1,
	 .max = 100,
	 .initial = "3",
	 .group = "Target",
	 .help = "Take it for ill after so many bad ones; at the start one is enough",
	 .offset = offsetof(struct karez_options, health_fall)},
	{.name = "target-ca",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Target",
	 .help = "Trust these authorities (PEM) for https:// and tls:// targets, not the system's",
	 .offset = offsetof(struct karez_options, target_ca)},
	{.name = "target-insecure",
	 .type = CONFIG_FLAG,
	 .group = "Target",
	 .help = "Accept any certificate of an https:// or tls:// target",
	 .offset = offsetof(struct karez_options, target_insecure)},
};

/* What an agent has beyond what every command takes. */
static const struct config_option karez_agent_rows[] = {
	{.name = "agent",
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .group = "Server",
	 .help = "Call this agent so; without it, what its certificate says before the @, or a "
		 "random name that is kept",
	 .check = karez_check_agent,
	 .offset = offsetof(struct karez_options, agent)},
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
	 .help = "Print a line for every request, also when nobody watches, and for every "
		 "connection "
		 "of other kinds; and more of what happens to the sessions",
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

static const struct config_option karez_stream_args[] = {
	{.name = "TARGET",
	 .type = CONFIG_TEXT,
	 .help = "The local service: PORT, HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT (TLS is "
		 "spoken "
		 "to it) or unix:/path",
	 .check = karez_check_stream,
	 .offset = offsetof(struct karez_options, target),
	 .flags = CONFIG_REQUIRED | CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

/* ---- commands ---- */

static const struct config_table karez_http_tables[] = {
	CONFIG_TABLE(karez_tunnel_rows),
	CONFIG_TABLE(karez_target_rows),
	CONFIG_TABLE(karez_agent_rows),
};
static const struct config_table karez_tcp_tables[] = {
	CONFIG_TABLE(karez_tcp_rows),
	CONFIG_TABLE(karez_tunnel_rows),
	CONFIG_TABLE(karez_target_rows),
	CONFIG_TABLE(karez_agent_rows),
};
static const struct config_table karez_tls_tables[] = {
	CONFIG_TABLE(karez_tls_rows),
	CONFIG_TABLE(karez_tunnel_rows),
	CONFIG_TABLE(karez_target_rows),
	CONFIG_TABLE(karez_agent_rows),
};
static const struct config_table karez_serve_tables[] = {
	CONFIG_TABLE(karez_serve_rows),
	CONFIG_TABLE(karez_target_rows),
	CONFIG_TABLE(karez_agent_rows),
};
static const struct config_command karez_commands[] = {
	[KAREZ_HTTP] =
		{.name = "http",
		 .summary = "Publish a local web server",
		 .detail = "Visitors reach it at a public name of its own, as long as karez runs. "
			   "The word http may be left out: karez 3000.",
		 .tables = karez_http_tables,
		 .n_tables = ARRAY_LEN(karez_http_tables),
		 .args = karez_http_args,
		 .n_args = ARRAY_LEN(karez_http_args)},
	[KAREZ_TCP] =
		{.name = "tcp",
		 .summary = "Publish a local TCP service at a port of the server",
		 .detail =
			 "The port belongs to the tunnel as long as the tunnel exists, also while "
			 "karez does not run.",
		 .tables = karez_tcp_tables,
		 .n_tables = ARRAY_LEN(karez_tcp_tables),
		 .args = karez_stream_args,
		 .n_args = ARRAY_LEN(karez_stream_args)},
	[KAREZ_TLS] =
		{.name = "tls",
		 .summary = "Publish a local service by the server name of its visitors' TLS",
		 .detail = "The server reads the name and nothing else: certificate and plaintext "
			   "stay on this side, unless --tls end is given. Without --domain the "
			   "tunnel has a name under the server's domain.",
		 .tables = karez_tls_tables,
		 .n_tables = ARRAY_LEN(karez_tls_tables),
		 .args = karez_stream_args,
		 .n_args = ARRAY_LEN(karez_stream_args)},
	[KAREZ_SERVE] =
		{.name = "serve",
		 .summary = "Offer local services to the tunnels of your account",
		 .detail = "Which tunnels lead here is told to the server, by karez apply or its "
			   "API: "
			   "those that name this agent, or one of these services. The server never "
			   "chooses an address; a service that is not in this list is refused.",
		 .tables = karez_serve_tables,
		 .n_tables = ARRAY_LEN(karez_serve_tables)},
	[KAREZ_SSH] =
		{.name = "ssh",
		 .summary = "Publish local services through any SSH server, as ssh -R does",
		 .detail = "The server need not be karezd, and the options under Server have no "
			   "meaning for it. Keys come from the SSH agent, from -i and from ~/.ssh, "
			   "the server's key is looked up in known_hosts, and what is missing is "
			   "asked for at the terminal. It comes back when the connection is lost, "
			   "and asks for the same ports. It runs no command, so nothing may follow "
			   "the server.",
		 .tables = karez_ssh_tables,
		 .n_tables = KAREZ_SSH_N_TABLES,
		 .args = karez_ssh_args,
		 .n_args = KAREZ_SSH_N_ARGS},
};

static const char *const karez_files[] = {"~/.config/karez/karez.yaml", "/etc/karez/karez.yaml",
					  NULL};

enum karez_command karez_options_command(const struct config *c)
{
	size_t i = 0;

	while (config_command(c) != &karez_commands[i]) {
		i++;
		CHECK(i < ARRAY_LEN(karez_commands));
	}
	return (enum karez_command)i;
}

/* A visitor's own TLS inside ours is no mistake that anybody wants to look for. */
static bool karez_doubles_tls(const struct config *c, const struct karez_options *set)
{
	struct url url;

	return config_command(c) == &karez_commands[KAREZ_TLS] && set->tls == 0 &&
	       url_parse_target(str_of(set->target), URL_TCP, &url, NULL) == 0 && url_is_tls(&url);
}

static int karez_check(struct config *c, void *settings)
{
	struct karez_options *set = settings;

	if (config_command(c) == &karez_commands[KAREZ_SSH] && karez_ssh_options_check(c, set) != 0)
		return ERR_INVAL;
	if (set->quiet && set->verbose)
		return config_fail(c, &set->quiet, "contradicts --verbose: give one of them");
	if (set->target_insecure && set->target_ca != NULL)
		return config_fail(c, &set->target_insecure,
				   "contradicts --target-ca: give one of them");
	if (config_command(c) == &karez_commands[KAREZ_SERVE] && set->services.n == 0)
		return config_fail(c, &set->services, "is empty: there is nothing to serve");
	if (set->services.n > AGENT_SERVICES_MAX)
		return config_fail(c, &set->services, "has too many items: 256 are the most");
	if (set->domains.n > CONTROL_DOMAINS_MAX)
		return config_fail(c, &set->domains, "has too many items: 10 are the most");
	if (karez_doubles_tls(c, set))
		return config_fail(c, &set->target,
				   "would get the visitors' own TLS inside another one: write it "
				   "without tls://, or end their TLS with --tls end");
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
			 "visitors of a public name or port from a service on this side.\n"
			 "Its other commands look after accounts, credentials and tunnels on the\n"
			 "server, through its API.",
	.manual_after = ".Sh SEE ALSO\n.Xr karezd 8",
};
