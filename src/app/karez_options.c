/* Every option, variable, key of the file and line of the manual of karez comes from these rows. */
#include "app/karez_options.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/site_net.h"
#include "app/karez_ssh_options.h"
#include "base/err.h"
#include "cli/cli_place.h"
#include "proto/cidr.h"

/* ---- what a value must be ---- */

static int karez_check_service(struct str value, char *reason, size_t reason_cap)
{
	struct str name, target = value;
	const char *why = "";
	struct url url;

	(void)str_next(&target, '=', &name);
	if (!ident_ok(name)) {
		str_printf(reason, reason_cap,
			   "has no good name: expected 1-64 letters, digits, dots, hyphens and "
			   "underscores, as in web=127.0.0.1:8080");
		return ERR_INVAL;
	}
	if (url_parse_target(target, URL_TCP, &url, &why) == 0) {
		if (url.scheme == URL_FILE)
			return cli_check_dir(&url, reason, reason_cap);
		if (url.scheme == URL_UNIX ||
		    (url.scheme != URL_SERVICES && strcmp(url.path, "/") == 0 && !url.websocket))
			return 0;
		why = "it must be PORT, HOST:PORT, tcp://, tls://, http://, https:// without a "
		      "path, unix: or file:";
	}
	str_printf(reason, reason_cap, "has no good target: %s", why);
	return ERR_INVAL;
}

static int karez_check_server_host(struct str value, char *reason, size_t reason_cap)
{
	struct hostname_authority a;
	uint8_t ip[16];

	if (cidr_ip_parse(value, ip) == 0 ||
	    (hostname_split_resolvable(value, &a) == 0 && a.port == 0 && a.host.len == value.len))
		return 0;
	str_printf(reason, reason_cap,
		   "is not a host: expected tunnel.example.com, 192.0.2.7 or ::1; --port names the "
		   "port, and --server takes a URL");
	return ERR_INVAL;
}

static int karez_check_unit(struct str value, char *reason, size_t reason_cap)
{
	if (ident_ok(value) && !str_ends_nocase(value, STR(".service")))
		return 0;
	str_printf(reason, reason_cap,
		   "is not a name: expected 1-64 letters, digits, dots, hyphens and underscores, "
		   "without .service");
	return ERR_INVAL;
}

/* ---- rows ---- */

static const char *const karez_transports[] = {"auto", "upgrade", "websocket", NULL};
static const char *const karez_levels[] = {"error", "warn", "info", "debug", NULL};

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
	 .check = cli_check_bind,
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
	 .check = cli_check_host,
	 .offset = offsetof(struct karez_options, domains)},
	{.name = "tls",
	 .type = CONFIG_ENUM,
	 .words = tunnel_word_tlses,
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
		 "tls://, http://, https://, unix:/path or file:///dir",
	 .check = karez_check_service,
	 .offset = offsetof(struct karez_options, services),
	 .flags = CONFIG_REQUIRED | CONFIG_MAP},
};

static const struct config_option karez_up_rows[] = {
	{.name = "file",
	 .letter = 'f',
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Services",
	 .help = "The services, YAML or JSON; without it ~/.tunnel-services.json if that is there, "
		 "else ~/.config/karez/services.yaml",
	 .offset = offsetof(struct karez_options, cli.file),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
	{.name = "id",
	 .letter = 'i',
	 .type = CONFIG_TEXT,
	 .metavar = "ID",
	 .group = "Services",
	 .help = "Publish a service as NAME.ID under the server's domain, not as NAME",
	 .check = cli_check_name,
	 .offset = offsetof(struct karez_options, cli.id),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
	{.name = "index",
	 .type = CONFIG_FLAG,
	 .group = "Services",
	 .help = "Show a page at the id that lists the services to whoever comes",
	 .offset = offsetof(struct karez_options, index),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

/* The options of mdm-tunnel that we do not have ourselves; they mean what they meant there. */
static const struct config_option karez_mdm_rows[] = {
	{.name = "service-definitions",
	 .letter = 'c',
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "As in mdm-tunnel",
	 .help = "The same as --file; what karez itself reads is named by --config alone",
	 .offset = offsetof(struct karez_options, services_file),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
	{.name = "host",
	 .letter = 'H',
	 .type = CONFIG_TEXT,
	 .metavar = "HOST",
	 .group = "As in mdm-tunnel",
	 .help = "The server's host name or address, instead of its URL; it is reached over TLS "
		 "unless it is this machine",
	 .check = karez_check_server_host,
	 .offset = offsetof(struct karez_options, server_host),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
	{.name = "port",
	 .letter = 'p',
	 .type = CONFIG_NUM,
	 .min = 1,
	 .max = 65535,
	 .metavar = "PORT",
	 .group = "As in mdm-tunnel",
	 .help = "The server's port; without it 443, and 8080 on this machine",
	 .offset = offsetof(struct karez_options, server_port),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

static const struct config_option karez_unit_rows[] = {
	{.name = "name",
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .initial = "karez",
	 .group = "Service",
	 .help = "What the service is called, where there are several",
	 .check = karez_check_unit,
	 .offset = offsetof(struct karez_options, unit),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
	{.name = "user",
	 .type = CONFIG_FLAG,
	 .group = "Service",
	 .help = "A service of yours, which runs while you are logged in; usual unless you are "
		 "root",
	 .offset = offsetof(struct karez_options, user),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
	{.name = "system",
	 .type = CONFIG_FLAG,
	 .group = "Service",
	 .help = "A service of the system, which runs from its start; usual for root",
	 .offset = offsetof(struct karez_options, system),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

static const struct config_option karez_install_rows[] = {
	{.name = "print",
	 .type = CONFIG_FLAG,
	 .group = "Service",
	 .help = "Print the unit and touch nothing",
	 .offset = offsetof(struct karez_options, print),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

/* What a tunnel's record shall say. */
static const struct config_option karez_tunnel_rows[] = {
	{.name = "name",
	 .letter = 'n',
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .group = "Tunnel",
	 .help = "Ask for this name; without it, the one from last time or a random one",
	 .check = cli_check_name,
	 .offset = offsetof(struct karez_options, name)},
	{.name = "proxy-protocol",
	 .type = CONFIG_ENUM,
	 .words = tunnel_word_proxies,
	 .group = "Tunnel",
	 .help = "Tell the target who its visitor is, by the PROXY protocol",
	 .offset = offsetof(struct karez_options, proxy)},
	{.name = "policy",
	 .type = CONFIG_ENUM,
	 .words = tunnel_word_policies,
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
	 .check = cli_check_health,
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
};

/* Whom targets that speak TLS may be. */
static const struct config_option karez_target_tls_rows[] = {
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
	 .check = cli_check_id,
	 .offset = offsetof(struct karez_options, agent)},
	{.name = "sessions",
	 .type = CONFIG_NUM,
	 .min = 1,
	 .max = AGENT_SESSIONS_MAX,
	 .initial = "2",
	 .group = "Server",
	 .help = "Keep this many sessions, so that losing one is not noticed",
	 .offset = offsetof(struct karez_options, sessions)},
	{.name = "transport",
	 .type = CONFIG_ENUM,
	 .words = karez_transports,
	 .initial = "auto",
	 .group = "Server",
	 .help = "How sessions are carried: auto tries an HTTP upgrade of its own, then WebSocket, "
		 "and remembers what worked",
	 .offset = offsetof(struct karez_options, transport)},
	KAREZ_OPTION_WAIT("Server"),
	KAREZ_OPTION_QUIET,
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

#define EDIT(n, var, what, checked, text)                                                      \
	{                                                                                      \
		.name = (n), .type = CONFIG_LIST, .metavar = (var), .group = "Headers",        \
		.help = (text), .check = (checked),                                            \
		.offset = offsetof(struct karez_options, edits[(what)]), .flags = CONFIG_WHOLE \
	}

static const struct config_option karez_http_rows[] = {
	{.name = "host-header",
	 .type = CONFIG_TEXT,
	 .metavar = "HOST",
	 .group = "Headers",
	 .help = "What the target finds in Host: keep (what the visitor asked for), rewrite (the "
		 "target's own name, in Origin and Referer as well), or this name",
	 .check = cli_check_host_header,
	 .offset = offsetof(struct karez_options, host_header)},
	EDIT("request-header-remove", "NAME", HEADER_REQUEST_REMOVE, cli_check_request_remove,
	     "Take this field away from visitors' requests, before others are added"),
	EDIT("request-header-add", "FIELD", HEADER_REQUEST_ADD, cli_check_request_add,
	     "Add this field to visitors' requests, as in \"X-Env: test\""),
	EDIT("response-header-remove", "NAME", HEADER_RESPONSE_REMOVE, cli_check_response_remove,
	     "Take this field away from the target's answers, before others are added"),
	EDIT("response-header-add", "FIELD", HEADER_RESPONSE_ADD, cli_check_response_add,
	     "Add this field to the target's answers"),
};

static const struct config_option karez_http_args[] = {
	{.name = "TARGET",
	 .type = CONFIG_TEXT,
	 .help = "The local web server: PORT, HOST:PORT, http://HOST:PORT, https://HOST:PORT or "
		 "unix:/path; or file:///dir, a directory to be shown read-only",
	 .check = cli_check_web,
	 .offset = offsetof(struct karez_options, target),
	 .flags = CONFIG_REQUIRED | CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

static const struct config_option karez_stream_args[] = {
	{.name = "TARGET",
	 .type = CONFIG_TEXT,
	 .help = "The local service: PORT, HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT (TLS is "
		 "spoken "
		 "to it) or unix:/path",
	 .check = cli_check_stream,
	 .offset = offsetof(struct karez_options, target),
	 .flags = CONFIG_REQUIRED | CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

/* ---- commands ---- */

static const struct config_table karez_http_tables[] = {
	CONFIG_TABLE(karez_tunnel_rows), CONFIG_TABLE(karez_http_rows),
	CONFIG_TABLE(karez_target_rows), CONFIG_TABLE(karez_target_tls_rows),
	CONFIG_TABLE(karez_agent_rows),
};
static const struct config_table karez_tcp_tables[] = {
	CONFIG_TABLE(karez_tcp_rows),	 CONFIG_TABLE(karez_tunnel_rows),
	CONFIG_TABLE(karez_target_rows), CONFIG_TABLE(karez_target_tls_rows),
	CONFIG_TABLE(karez_agent_rows),
};
static const struct config_table karez_tls_tables[] = {
	CONFIG_TABLE(karez_tls_rows),	 CONFIG_TABLE(karez_tunnel_rows),
	CONFIG_TABLE(karez_target_rows), CONFIG_TABLE(karez_target_tls_rows),
	CONFIG_TABLE(karez_agent_rows),
};
static const struct config_table karez_serve_tables[] = {
	CONFIG_TABLE(karez_serve_rows),
	CONFIG_TABLE(karez_target_rows),
	CONFIG_TABLE(karez_target_tls_rows),
	CONFIG_TABLE(karez_agent_rows),
};
static const struct config_table karez_up_tables[] = {
	CONFIG_TABLE(karez_up_rows),
	CONFIG_TABLE(karez_target_tls_rows),
	CONFIG_TABLE(karez_agent_rows),
	CONFIG_TABLE(karez_mdm_rows),
};
static const struct config_table karez_install_tables[] = {
	CONFIG_TABLE(karez_unit_rows),	CONFIG_TABLE(karez_install_rows),
	CONFIG_TABLE(karez_up_rows),	CONFIG_TABLE(karez_target_tls_rows),
	CONFIG_TABLE(karez_agent_rows), CONFIG_TABLE(karez_mdm_rows),
};
static const struct config_table karez_unit_tables[] = {CONFIG_TABLE(karez_unit_rows)};
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
	[KAREZ_UP] =
		{.name = "up",
		 .summary = "Publish all services of a file, and follow its edits",
		 .detail =
			 "The file says in YAML or JSON what a service is called and where it is: "
			 "hello-world: 9000. While karez runs an edit adds, changes and removes "
			 "just what it says; one that is wrong is told with its line, and changes "
			 "nothing. SIGHUP has the file read at once. karez config check looks at a "
			 "file, karez status and karez ls tell how the services are doing. Exits "
			 "with 2 when the file is wrong at the start, or a target's host is not "
			 "there.",
		 .tables = karez_up_tables,
		 .n_tables = ARRAY_LEN(karez_up_tables)},
	[KAREZ_SSH] =
		{.name = "ssh",
		 .summary = "Publish local services through any SSH server, as ssh -R does",
		 .detail = "The server need not be karezd: --server and what belongs to it mean "
			   "nothing here. Keys come from the SSH agent, from -i and from ~/.ssh, "
			   "the server's key is looked up in known_hosts, and what is missing is "
			   "asked for at the terminal. It comes back when the connection is lost, "
			   "and asks for the same ports. It runs no command, so nothing may follow "
			   "the server.",
		 .tables = karez_ssh_tables,
		 .n_tables = KAREZ_SSH_N_TABLES,
		 .args = karez_ssh_args,
		 .n_args = KAREZ_SSH_N_ARGS,
		 .without = "Server"},
	[KAREZ_SERVICE_INSTALL] =
		{.name = "service install",
		 .summary = "Have systemd run karez up from now on",
		 .detail =
			 "Writes a unit with these options of karez up, the services file and the "
			 "server, and starts it. The unit holds no secret and may do little more "
			 "than connect; tokens stay where karez login keeps them. Called again it "
			 "writes the unit anew.",
		 .tables = karez_install_tables,
		 .n_tables = ARRAY_LEN(karez_install_tables)},
	[KAREZ_SERVICE_UNINSTALL] = {.name = "service uninstall",
				     .summary = "Stop such a service and remove its unit",
				     .tables = karez_unit_tables,
				     .n_tables = ARRAY_LEN(karez_unit_tables)},
	[KAREZ_SERVICE_STATUS] =
		{.name = "service status",
		 .summary = "Show what systemd knows of such a service",
		 .detail = "Exits with 0 when it runs. karez status tells how the services in it "
			   "are.",
		 .tables = karez_unit_tables,
		 .n_tables = ARRAY_LEN(karez_unit_tables)},
};

static const char *const karez_files[] = {"~/.config/karez/karez.yaml", "/etc/karez/karez.yaml",
					  NULL};

const struct config_command *karez_options_up(void)
{
	return &karez_commands[KAREZ_UP];
}

enum karez_command karez_options_command(const struct config *c)
{
	size_t i = 0;

	while (config_command(c) != &karez_commands[i]) {
		i++;
		CHECK(i < ARRAY_LEN(karez_commands));
	}
	return (enum karez_command)i;
}

/* A directory reads no PROXY header. */
static bool karez_proxies_dir(const struct config *c, const struct karez_options *set)
{
	struct url url;

	return config_command(c) == &karez_commands[KAREZ_HTTP] && set->proxy != 0 &&
	       url_parse_target(str_of(set->target), URL_HTTP, &url, NULL) == 0 &&
	       url.scheme == URL_FILE;
}

/* A visitor's own TLS inside ours is no mistake that anybody wants to look for. */
static bool karez_doubles_tls(const struct config *c, const struct karez_options *set)
{
	struct url url;

	return config_command(c) == &karez_commands[KAREZ_TLS] && set->tls == 0 &&
	       url_parse_target(str_of(set->target), URL_TCP, &url, NULL) == 0 && url_is_tls(&url);
}

/* Is anything said twice, in the words of two systems? */
static int karez_check_up(struct config *c, struct karez_options *set)
{
	bool server = config_source(c, &set->cli.servers) == CONFIG_ARGV;

	if (set->cli.file != NULL && set->services_file != NULL)
		return config_fail(c, &set->services_file, "contradicts --file: give one of them");
	if (server && set->server_host != NULL)
		return config_fail(c, &set->server_host, "contradicts --server: give one of them");
	if (server && set->server_port != 0)
		return config_fail(c, &set->server_port, "contradicts --server: give one of them");
	return 0;
}

bool karez_options_server(const struct config *c, const struct karez_options *set, struct url *out)
{
	const char *host = set->server_host != NULL ? set->server_host : "localhost";
	bool six = strchr(host, ':') != NULL;
	char text[URL_TEXT_MAX];

	if (config_command(c) != &karez_commands[KAREZ_UP] ||
	    (set->server_host == NULL && set->server_port == 0))
		return false;
	str_printf(text, sizeof text, "http://%s%s%s", six ? "[" : "", host, six ? "]" : "");
	CHECK(url_parse(str_of(text), out, NULL) == 0); /* its row checked it */
	out->port = 8080;
	if (cli_place_is_open(out)) {
		out->scheme = URL_HTTPS;
		out->port = 443;
	}
	if (set->server_port != 0)
		out->port = (uint16_t)set->server_port;
	return true;
}

static int karez_check(struct config *c, void *settings)
{
	struct karez_options *set = settings;

	if (config_command(c) == &karez_commands[KAREZ_SSH] && karez_ssh_options_check(c, set) != 0)
		return ERR_INVAL;
	if ((config_command(c) == &karez_commands[KAREZ_UP] ||
	     config_command(c) == &karez_commands[KAREZ_SERVICE_INSTALL]) &&
	    karez_check_up(c, set) != 0)
		return ERR_INVAL;
	if (set->user && set->system)
		return config_fail(c, &set->user, "contradicts --system: give one of them");
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
	if (karez_proxies_dir(c, set))
		return config_fail(c, &set->proxy, "has no meaning for a directory");
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
