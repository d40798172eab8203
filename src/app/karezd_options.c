/* What karezd can be told; help, manual, file and environment follow from these rows. */
#include "app/karezd_options.h"

#include "app/door.h"
#include "base/err.h"
#include "core/core.h"
#include "proto/cidr.h"
#include "proto/url.h"
#include "store/store_redis_url.h"

static int check_listen(struct str value, char *reason, size_t cap)
{
	struct net_addr addr;
	bool tls;

	if (door_parse(value, &tls, &addr) == 0)
		return 0;
	str_printf(reason, cap,
		   "is not an address: expected IP:PORT, [IPV6]:PORT, :PORT or unix:/path, "
		   "perhaps behind \"tls:\"");
	return ERR_INVAL;
}

static int check_domain(struct str value, char *reason, size_t cap)
{
	if (hostname_ok(value))
		return 0;
	str_printf(reason, cap, "is not a host name");
	return ERR_INVAL;
}

static int check_cidr(struct str value, char *reason, size_t cap)
{
	struct cidr cidr;

	if (cidr_parse(value, &cidr) == 0)
		return 0;
	str_printf(reason, cap, "is not an address or a block of them: expected 10.0.0.0/8, ::1");
	return ERR_INVAL;
}

static int check_url(struct str value, char *reason, size_t cap)
{
	const char *why = NULL;
	struct url url;

	if (url_parse(value, &url, &why) == 0 &&
	    (url.scheme == URL_HTTP || url.scheme == URL_HTTPS))
		return 0;
	str_printf(reason, cap, "is not a web address: %s",
		   why != NULL ? why : "expected http:// or https://");
	return ERR_INVAL;
}

/* "IP", "IP:PORT" or "[IPv6]:PORT". */
static int check_resolver(struct str value, char *reason, size_t cap)
{
	struct hostname_authority a;
	uint8_t ip[16];

	if (cidr_ip_parse(value, ip) == 0 ||
	    (hostname_split(value, &a) == 0 && a.kind != HOSTNAME_NAME))
		return 0;
	str_printf(reason, cap, "is not an address: expected IP, IP:PORT or [IPV6]:PORT");
	return ERR_INVAL;
}

static int check_auth_host(struct str value, char *reason, size_t cap)
{
	if (str_eq(value, STR("*")) || hostname_authority_ok(value))
		return 0;
	str_printf(reason, cap, "is not a host: expected HOST, HOST:PORT or *");
	return ERR_INVAL;
}

/* A name with a password in it is judged when the store is opened: what fails here is shown. */
static int check_store(struct str value, char *reason, size_t cap)
{
	struct store_redis_url url;
	char why[STORE_REDIS_WHY];

	if (str_eq(value, STR("memory:")) ||
	    (str_starts(value, STR("sqlite:")) && value.len > sizeof "sqlite:" - 1))
		return 0;
	if (!store_redis_url_is(value)) {
		str_printf(reason, cap,
			   "is not a store: expected memory: or sqlite:/path, or "
			   "redis://host:port/db");
		return ERR_INVAL;
	}
	if (str_find(value, '@') < value.len || store_redis_url_parse(value, &url, why) == 0)
		return 0;
	str_printf(reason, cap, "is not a Redis store: %s", why);
	return ERR_INVAL;
}

static const char *const registrations[] = {
	[CORE_CLOSED] = "closed", [CORE_BY_INVITATION] = "invitation", [CORE_OPEN] = "open", NULL};

static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};

#define MEMBER(name) .offset = offsetof(struct karezd_settings, name)

static const struct config_option rows[] = {
	{.name = "listen",
	 .letter = 'l',
	 .type = CONFIG_LIST,
	 .metavar = "ADDRESS",
	 .initial = "127.0.0.1:8080",
	 .group = "Listening",
	 .check = check_listen,
	 .help = "Accept visitors and agents at IP:PORT, or over TLS at tls:IP:PORT",
	 MEMBER(listen)},
	{.name = "domain",
	 .letter = 'd',
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .initial = "localhost",
	 .group = "Listening",
	 .check = check_domain,
	 .help = "Tunnels are names under this domain",
	 MEMBER(domain)},
	{.name = "public-url",
	 .type = CONFIG_TEXT,
	 .metavar = "URL",
	 .group = "Listening",
	 .check = check_url,
	 .help = "Scheme and port of tunnels as visitors see them, when a load balancer stands in "
		 "front; by default those of the first --listen",
	 MEMBER(public_url)},
	{.name = "api-host",
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .group = "Listening",
	 .check = check_domain,
	 .help = "The host name of the API, beside --domain itself; by default api under --domain",
	 MEMBER(api_host)},
	{.name = "tls-cert",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Listening",
	 .help = "Certificate chain for tls: addresses, PEM",
	 MEMBER(tls_cert)},
	{.name = "tls-key",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Listening",
	 .help = "Private key for tls: addresses, PEM",
	 MEMBER(tls_key)},
	{.name = "agent-ca",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Listening",
	 .help = "Let agents and callers of the API prove who they are by TLS client certificates "
		 "of the authorities in this file (PEM); who comes to a tunnel is not asked for "
		 "one",
	 MEMBER(agent_ca)},
	{.name = "trusted-proxies",
	 .type = CONFIG_LIST,
	 .metavar = "BLOCK",
	 .group = "Listening",
	 .check = check_cidr,
	 .help = "Believe Forwarded and X-Forwarded-* from these addresses",
	 MEMBER(trusted_proxies)},

	{.name = "registration",
	 .type = CONFIG_ENUM,
	 .initial = "closed",
	 .words = registrations,
	 .group = "Accounts",
	 .help = "Who may make an account: nobody but administrators, whoever has the code of an "
		 "invitation, or everybody; an agent without a credential gets one on the fly if "
		 "it is open",
	 MEMBER(registration)},
	{.name = "allow-registration",
	 .type = CONFIG_FLAG,
	 .group = "Accounts",
	 .help = "The same as --registration open",
	 MEMBER(allow_registration)},
	{.name = "resolver",
	 .type = CONFIG_LIST,
	 .metavar = "ADDRESS",
	 .group = "Accounts",
	 .check = check_resolver,
	 .help = "DNS servers that are asked whether a custom domain is its owner's; by default "
		 "those of the system",
	 MEMBER(resolver)},
	{.name = "store",
	 .type = CONFIG_TEXT,
	 .metavar = "STORE",
	 .group = "Accounts",
	 .check = check_store,
	 .help = "Where accounts and tunnels are kept: memory: (lost at exit), sqlite:/path, "
		 "redis://HOST:PORT[,HOST:PORT...]/DB, redis+sentinel://HOST:PORT[,...]/MASTER/DB "
		 "or redis+unix:///path?db=N; a password is taken from KAREZ_REDIS_PASSWORD, and "
		 "?wait=N lets a write count only when N replicas have it; by default a SQLite "
		 "file in --state-dir",
	 MEMBER(store)},
	{.name = "state-dir",
	 .type = CONFIG_TEXT,
	 .metavar = "DIR",
	 .group = "Accounts",
	 .help = "What must outlive the process; by default /var/lib/karez, or "
		 "~/.local/state/karez for an ordinary user",
	 MEMBER(state_dir)},

	{.name = "auth-url",
	 .type = CONFIG_TEXT,
	 .metavar = "URL",
	 .group = "Visitors",
	 .check = check_url,
	 .help = "A service that is asked about every request of a visitor, to any tunnel",
	 MEMBER(auth_url)},
	{.name = "auth-hosts",
	 .type = CONFIG_LIST,
	 .metavar = "HOST",
	 .group = "Visitors",
	 .check = check_auth_host,
	 .help = "Where the services of single tunnels may be: HOST, HOST:PORT, or * for anywhere",
	 MEMBER(auth_hosts)},

	{.name = "head-timeout",
	 .type = CONFIG_DURATION,
	 .initial = "20s",
	 .group = "Deadlines",
	 .help = "For a request's head to be complete",
	 MEMBER(head_ms)},
	{.name = "idle-timeout",
	 .type = CONFIG_DURATION,
	 .initial = "75s",
	 .group = "Deadlines",
	 .help = "Close a visitor's connection that makes no request for so long",
	 MEMBER(idle_ms)},
	{.name = "handshake-timeout",
	 .type = CONFIG_DURATION,
	 .initial = "10s",
	 .min = 100,
	 .group = "Deadlines",
	 .help = "For a TLS handshake",
	 MEMBER(handshake_ms)},
	{.name = "drain-timeout",
	 .type = CONFIG_DURATION,
	 .initial = "30s",
	 .group = "Deadlines",
	 .help = "How long running visitors may go on after SIGTERM",
	 MEMBER(drain_ms)},

	{.name = "max-sessions",
	 .type = CONFIG_NUM,
	 .initial = "10000",
	 .min = 1,
	 .max = 1000000,
	 .group = "Limits",
	 .help = "Sessions of agents, at most",
	 MEMBER(sessions_max)},
	{.name = "window-total",
	 .type = CONFIG_SIZE,
	 .initial = "256M",
	 .min = 1 << 20,
	 .group = "Limits",
	 .help = "Bytes that fast streams of all sessions may have under way beyond 256 KiB each",
	 MEMBER(window_total)},
	{.name = "log-level",
	 .type = CONFIG_ENUM,
	 .initial = "info",
	 .words = log_levels,
	 .group = "Log",
	 .help = "What is written to standard error",
	 MEMBER(log_level)},
};

static const struct config_table tables[] = {CONFIG_TABLE(rows)};

static const struct config_command commands[] = {
	{.summary = "Run the server"},
};

static const struct config_option file_args[] = {
	{.name = "FILE",
	 .type = CONFIG_TEXT,
	 .help = "Lines of JSON, one a record; - is standard output",
	 .offset = offsetof(struct karezd_settings, file),
	 .flags = CONFIG_REQUIRED | CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

static const struct config_command more[] = {
	{.name = "store export",
	 .summary = "Write all records of --store into a new file",
	 .detail = "Stop karezd before, or what changes meanwhile may be missing. The file is as "
		   "secret as the store itself.",
	 .args = file_args,
	 .n_args = ARRAY_LEN(file_args)},
	{.name = "store import",
	 .summary = "Read such a file into an empty --store",
	 .detail = "The whole file is judged before anything is written.",
	 .args = file_args,
	 .n_args = ARRAY_LEN(file_args)},
};

static const struct config_group groups[] = {
	{.name = "store", .summary = "Move what is kept from one kind of store to another"},
};

/* TLS needs a certificate, a key, and an address that uses them. */
static int check_together(struct config *c, void *settings)
{
	struct karezd_settings *set = settings;
	bool wanted = false;

	for (size_t i = 0; i < set->listen.n; i++)
		wanted |= str_starts(str_of(set->listen.v[i]), STR("tls:"));
	if (wanted && set->tls_cert == NULL)
		return config_fail(c, &set->listen, "needs --tls-cert and --tls-key as well");
	if (set->tls_cert != NULL && set->tls_key == NULL)
		return config_fail(c, &set->tls_cert, "needs --tls-key as well");
	if (set->tls_key != NULL && set->tls_cert == NULL)
		return config_fail(c, &set->tls_key, "needs --tls-cert as well");
	if (set->tls_cert != NULL && !wanted)
		return config_fail(c, &set->tls_cert, "needs a --listen that begins with tls:");
	if (set->agent_ca != NULL && !wanted)
		return config_fail(c, &set->agent_ca, "needs a --listen that begins with tls:");
	if (set->allow_registration && set->registration != CORE_OPEN &&
	    config_source(c, &set->registration) > CONFIG_DEFAULT)
		return config_fail(c, &set->allow_registration,
				   "says the opposite of --registration; leave one of them out");
	if (set->allow_registration)
		set->registration = CORE_OPEN;
	return 0;
}

static const char *const files[] = {"/etc/karez/karezd.yaml", "~/.config/karez/karezd.yaml", NULL};

const struct config_program karezd_program = {
	.name = "karezd",
	.version = KAREZ_VERSION,
	.summary = "server of karez: makes services behind NAT public",
	.env_prefix = "KAREZ_",
	.files = files,
	.tables = tables,
	.n_tables = ARRAY_LEN(tables),
	.commands = commands,
	.n_commands = ARRAY_LEN(commands),
	.more = more,
	.n_more = ARRAY_LEN(more),
	.groups = groups,
	.n_groups = ARRAY_LEN(groups),
	.check = check_together,
	.manual_section = 8,
	.manual_date = "November 21, 2026",
	.manual_before =
		".Nm\nruns on a machine with a public address. Agents\n.Pq Xr karez 1\n"
		"connect to it from behind NAT, and visitors reach their services as names under\n"
		".Fl -domain .\nOne address serves everything: a request for a tunnel's name goes "
		"to its\n"
		"agent, a request for the domain itself is the server's own.\n",
	.manual_after =
		".Sh SIGNALS\n.Bl -tag -width SIGTERM\n.It Dv SIGTERM , SIGINT\n"
		"Take no new visitors, let running ones finish, exit. A second one exits at "
		"once.\n.El\n"
		".Sh FILES\n.Bl -tag -width Ds\n.It Pa /var/lib/karez/karez.db\n"
		"Accounts and tunnels.\n"
		".It Pa /var/lib/karez/admin-token\n"
		"The first administrator's token, written when there is no account yet.\n.El\n"
		".Sh EXAMPLES\nOn one machine, to try it out:\n"
		".Dl karezd --domain localhost --listen 127.0.0.1:8080 --allow-registration\n"
		"For agents that prove who they are by certificates of an authority of your own:\n"
		".Bd -literal -offset indent\n"
		"karezd --domain tunnel.example.com --listen tls::443 \\e\n"
		"    --tls-cert chain.pem --tls-key key.pem --agent-ca agents-ca.pem\n"
		"karez cert add robot.example.org --account ID\n.Ed\n"
		".Sh SEE ALSO\n.Xr karez 1\n",
};
