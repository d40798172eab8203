/* What karezd can be told; help, manual, file and environment follow from these rows. */
#include "app/karezd_options.h"

#include "app/karezd_check.h"
#include "core/core.h"

static const char *const registrations[] = {
	[CORE_CLOSED] = "closed", [CORE_BY_INVITATION] = "invitation", [CORE_OPEN] = "open", NULL};

static const char *const ssh_ports[] = {
	[KAREZD_SSH_PORTS_CLIENT] = "clientspecified", [KAREZD_SSH_PORTS_YES] = "yes", NULL};

static const char *const ssh_tokens[] = {
	[KAREZD_SSH_TOKEN_OFF] = "off", [KAREZD_SSH_TOKEN_ON] = "on", NULL};

static const char *const ssh_autos[] = {
	[KAREZD_SSH_AUTO_OFF] = "off", [KAREZD_SSH_AUTO_ON] = "on", NULL};

static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};

#define MEMBER(name) .offset = offsetof(struct karezd_settings, name)

static const struct config_option rows[] = {
	{.name = "listen",
	 .letter = 'l',
	 .type = CONFIG_LIST,
	 .metavar = "ADDRESS",
	 .initial = "127.0.0.1:8080",
	 .group = "Listening",
	 .check = karezd_check_listen,
	 .help = "Accept visitors and agents at IP:PORT, over TLS at tls:IP:PORT, or all of it "
		 "and ssh -R at auto:IP:PORT; behind \"proxy:\" come load balancers of "
		 "--trusted-proxies that speak the PROXY protocol",
	 MEMBER(listen)},
	{.name = "domain",
	 .letter = 'd',
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .initial = "localhost",
	 .group = "Listening",
	 .check = karezd_check_domain,
	 .help = "Tunnels are names under this domain",
	 MEMBER(domain)},
	{.name = "public-url",
	 .type = CONFIG_TEXT,
	 .metavar = "URL",
	 .group = "Listening",
	 .check = karezd_check_url,
	 .help = "Scheme and port of tunnels as visitors see them, when a load balancer stands in "
		 "front; by default those of the first --listen",
	 MEMBER(public_url)},
	{.name = "api-host",
	 .type = CONFIG_TEXT,
	 .metavar = "NAME",
	 .group = "Listening",
	 .check = karezd_check_domain,
	 .help = "The host name of the API, beside --domain itself; by default api under --domain",
	 MEMBER(api_host)},
	{.name = "tls-cert",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Listening",
	 .help = "Certificate chain for tls: and auto: addresses, PEM",
	 MEMBER(tls_cert)},
	{.name = "tls-key",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Listening",
	 .help = "Private key for tls: and auto: addresses, PEM",
	 MEMBER(tls_key)},
	{.name = "tls-dir",
	 .type = CONFIG_TEXT,
	 .metavar = "DIR",
	 .group = "Listening",
	 .help = "Certificates with their keys, PEM, chosen by the name that a visitor asks for: "
		 "X.pem with X.key or X-key.pem, X.pem with both, or X/fullchain.pem with "
		 "X/privkey.pem; new and changed files count within seconds",
	 MEMBER(tls_dir)},
	{.name = "agent-ca",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Listening",
	 .help = "Let agents and callers of the API prove who they are by TLS client certificates "
		 "of the authorities in this file (PEM); who comes to a tunnel is not asked for "
		 "one",
	 MEMBER(agent_ca)},
	{.name = "agent-crl",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "Listening",
	 .help = "Certificates that those authorities have revoked, PEM; running sessions with "
		 "one of them end as well",
	 MEMBER(agent_crl)},
	{.name = "manage-listen",
	 .type = CONFIG_TEXT,
	 .metavar = "ADDRESS",
	 .group = "Listening",
	 .check = karezd_check_manage_listen,
	 .help = "Serve the API, and that of threshold, at IP:PORT over TLS to whoever has a "
		 "certificate of --agent-ca, and to nobody else",
	 MEMBER(manage_listen)},
	{.name = "trusted-proxies",
	 .type = CONFIG_LIST,
	 .metavar = "BLOCK",
	 .group = "Listening",
	 .check = karezd_check_cidr,
	 .help = "Believe Forwarded and X-Forwarded-*, and PROXY headers where they are asked "
		 "for, from these addresses",
	 MEMBER(trusted_proxies)},

	{.name = "tcp-ports",
	 .type = CONFIG_LIST,
	 .metavar = "RANGE",
	 .initial = "1024-65535",
	 .group = "Ports of tunnels",
	 .check = karezd_check_ports,
	 .help = "Ports that tcp tunnels may have: 9000, 2000-2100, or none; those of one account "
		 "can be limited further",
	 MEMBER(tcp_ports)},
	{.name = "tcp-bind",
	 .type = CONFIG_LIST,
	 .metavar = "IP",
	 .group = "Ports of tunnels",
	 .check = karezd_check_bind,
	 .help = "Addresses that tcp tunnels listen on, and the only ones they may ask for; by "
		 "default every address of this machine",
	 MEMBER(tcp_bind)},
	{.name = "tcp-proxy-protocol",
	 .type = CONFIG_FLAG,
	 .group = "Ports of tunnels",
	 .help = "Visitors of tcp tunnels come through load balancers of --trusted-proxies that "
		 "speak the PROXY protocol; nobody else is let in",
	 MEMBER(tcp_proxy_protocol)},

	{.name = "ssh-listen",
	 .type = CONFIG_LIST,
	 .metavar = "ADDRESS",
	 .group = "SSH",
	 .check = karezd_check_ssh_listen,
	 .help = "Let ssh -R reach this server at IP:PORT; its host keys stand in the directory "
		 "ssh "
		 "of --state-dir and are made at the first start",
	 MEMBER(ssh_listen)},
	{.name = "ssh-auto",
	 .type = CONFIG_ENUM,
	 .initial = "on",
	 .words = ssh_autos,
	 .group = "SSH",
	 .help = "Let ssh -R reach this server at addresses of --listen that begin with auto:",
	 MEMBER(ssh_auto)},
	{.name = "ssh-ca",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "SSH",
	 .help = "Certificates that these authorities have signed prove who comes by SSH: public "
		 "keys as ssh-keygen writes them, a line each",
	 MEMBER(ssh_ca)},
	{.name = "ssh-gateway-ports",
	 .type = CONFIG_ENUM,
	 .initial = "clientspecified",
	 .words = ssh_ports,
	 .group = "SSH",
	 .help = "Where ssh -R PORT:... listens, which names no address: only on this machine, so "
		 "that -R \"*:PORT:...\" is public, or everywhere",
	 MEMBER(ssh_gateway_ports)},
	{.name = "ssh-token",
	 .type = CONFIG_ENUM,
	 .initial = "on",
	 .words = ssh_tokens,
	 .group = "SSH",
	 .help = "Ask whoever has no key that is known here for a token",
	 MEMBER(ssh_token)},
	{.name = "ssh-login-grace",
	 .type = CONFIG_DURATION,
	 .initial = "30s",
	 .min = 100,
	 .max = 3600000,
	 .group = "SSH",
	 .help = "For logging in",
	 MEMBER(ssh_grace_ms)},
	{.name = "ssh-max-startups",
	 .type = CONFIG_NUM,
	 .initial = "100",
	 .min = 1,
	 .max = 100000,
	 .group = "SSH",
	 .help = "Connections that have not logged in yet, at most; one more is closed",
	 MEMBER(ssh_starts_max)},
	{.name = "ssh-max-startups-per-ip",
	 .type = CONFIG_NUM,
	 .initial = "20",
	 .min = 1,
	 .max = 100000,
	 .group = "SSH",
	 .help = "The same, from one address, or one /64 of IPv6",
	 MEMBER(ssh_starts_per_ip)},
	{.name = "ssh-auth-tries",
	 .type = CONFIG_NUM,
	 .initial = "6",
	 .min = 1,
	 .max = 100,
	 .group = "SSH",
	 .help = "Logins that one connection may fail at",
	 MEMBER(ssh_tries_max)},

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
	 .check = karezd_check_resolver,
	 .help = "DNS servers that are asked whether a custom domain is its owner's; by default "
		 "those of the system",
	 MEMBER(resolver)},
	{.name = "unproven-domains",
	 .type = CONFIG_FLAG,
	 .group = "Accounts",
	 .help = "Nobody has to prove by the DNS that a custom domain is his, if nobody else has "
		 "it here",
	 MEMBER(unproven_domains)},
	{.name = "store",
	 .type = CONFIG_TEXT,
	 .metavar = "STORE",
	 .group = "Accounts",
	 .check = karezd_check_store,
	 .help = "Where accounts and tunnels are kept: memory: (lost at exit), sqlite:/path, "
		 "redis://HOST:PORT[,HOST:PORT...]/DB, redis+sentinel://HOST:PORT[,...]/MASTER/DB "
		 "or redis+unix:///path?db=N; a password is taken from KAREZ_REDIS_PASSWORD, and "
		 "?wait=N lets a write count only when N replicas have it (1 with "
		 "redis+sentinel, else 0); by default a SQLite file in --state-dir",
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
	 .check = karezd_check_url,
	 .help = "A service that is asked about every request of a visitor, to any tunnel",
	 MEMBER(auth_url)},
	{.name = "auth-hosts",
	 .type = CONFIG_LIST,
	 .metavar = "HOST",
	 .group = "Visitors",
	 .check = karezd_check_auth_host,
	 .help = "Where the services of single tunnels may be: HOST, HOST:PORT, or * for anywhere",
	 MEMBER(auth_hosts)},

	{.name = "workers",
	 .type = CONFIG_TEXT,
	 .metavar = "N",
	 .group = "More than one",
	 .check = karezd_check_workers,
	 .help = "Serve with so many processes, which share all addresses: a number, or auto for "
		 "one for each CPU; one that dies is started again, and SIGHUP and SIGUSR2 replace "
		 "them all without losing a visitor; by default this process serves alone",
	 MEMBER(workers)},
	{.name = "hop-listen",
	 .type = CONFIG_TEXT,
	 .metavar = "ADDRESS",
	 .group = "More than one",
	 .check = karezd_check_hop,
	 .help = "Where other nodes, with the same Redis store and key, send visitors of tunnels "
		 "that are served here: IP:PORT; with --workers the ports from this one on",
	 MEMBER(hop_listen)},
	{.name = "hop-advertise",
	 .type = CONFIG_TEXT,
	 .metavar = "ADDRESS",
	 .group = "More than one",
	 .check = karezd_check_hop_advertise,
	 .help = "The same address as the other nodes reach it; by default --hop-listen, or "
		 "this machine's first address when that is every one",
	 MEMBER(hop_advertise)},
	{.name = "cluster-key-file",
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "More than one",
	 .help = "The secret by which nodes know each other, the same for all: at least 32 bytes, "
		 "of any kind, in a file that only its owner may read",
	 MEMBER(cluster_key)},
	{.name = "agent-url",
	 .type = CONFIG_TEXT,
	 .metavar = "URL",
	 .group = "More than one",
	 .check = karezd_check_url,
	 .help = "Where agents reach this very node, and not another one behind the same load "
		 "balancer: they keep sessions with several nodes",
	 MEMBER(agent_url)},

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
	 .help = "For a TLS handshake, for a PROXY header, and at auto: addresses for the first "
		 "words",
	 MEMBER(handshake_ms)},
	{.name = "tcp-idle-timeout",
	 .type = CONFIG_DURATION,
	 .initial = "0",
	 .group = "Deadlines",
	 .help = "End a connection through a tcp or tls tunnel on which no byte came for so long; "
		 "0 for never",
	 MEMBER(tcp_idle_ms)},
	{.name = "drain-timeout",
	 .type = CONFIG_DURATION,
	 .initial = "30s",
	 .group = "Deadlines",
	 .help = "How long running visitors may go on after SIGTERM",
	 MEMBER(drain_ms)},
	{.name = "drain-delay",
	 .type = CONFIG_DURATION,
	 .initial = "0",
	 .group = "Deadlines",
	 .help = "After SIGTERM go on accepting for so long while /v1/ready says no and agents go "
		 "elsewhere: load balancers take a moment to notice; --drain-timeout begins after "
		 "it",
	 MEMBER(drain_delay_ms)},

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

static const struct config_option file_args[] = {
	{.name = "FILE",
	 .type = CONFIG_TEXT,
	 .help = "Lines of JSON, one a record; - is standard output",
	 .offset = offsetof(struct karezd_settings, file),
	 .flags = CONFIG_REQUIRED | CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

static const struct config_command commands[] = {
	{.summary = "Run the server"},
	{.name = "check",
	 .summary = "Say whether the server would start so",
	 .detail = "Options, the configuration file and the files of certificates and keys that "
		   "they name are read; nothing is opened or written."},
	{.name = "drain",
	 .summary = "Have the server of --state-dir take no new visitors, and end; wait for it",
	 .detail = "As SIGTERM does: running visitors have --drain-timeout to finish."},
	{.name = "reload",
	 .summary = "Have the server of --state-dir read its configuration again; wait for it",
	 .detail = "As SIGHUP does. Exits with 1, and says why, when the server keeps to what it "
		   "had."},
	{.name = "ready",
	 .summary = "Say whether the server of --listen may be sent visitors and agents",
	 .detail = "As GET /v1/ready does; exits with 0 or 1."},
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
	{.name = "ca",
	 .summary = "A small certificate authority of one's own: agents and servers prove who they "
		    "are by it"},
};

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
	.more = karezd_ca_commands,
	.n_more = KAREZD_CA_COMMANDS,
	.groups = groups,
	.n_groups = ARRAY_LEN(groups),
	.check = karezd_check_together,
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
		"After\n.Fl -drain-delay\ntake no new visitors, let running ones finish, exit. A "
		"second one exits at "
		"once.\n"
		".It Dv SIGHUP\n"
		"Read the configuration again, check it as a whole, and if nothing is wrong begin "
		"to "
		"serve by it:\nwith\n.Fl -workers\nnew ones are started, and the old ones drain "
		"when those are ready. Without, only\n.Fl -log-level ,\n.Fl -drain-timeout\nand\n"
		".Fl -drain-delay\n"
		"follow, and the log says what needs a restart.\n"
		"The files of certificates and of revoked ones are read in any case; when they "
		"change this happens\nwithin seconds anyway.\n"
		".It Dv SIGUSR2\n"
		"With\n.Fl -workers :\nthe same, with the program as it is on the disk now.\n.El\n"
		".Sh FILES\n.Bl -tag -width Ds\n.It Pa /var/lib/karez/karez.db\n"
		"Accounts and tunnels.\n"
		".It Pa /var/lib/karez/admin-token\n"
		"The first administrator's token, written when there is no account yet.\n"
		".It Pa /var/lib/karez/karezd.pid\n"
		"The process that serves, for\n.Cm drain\nand\n.Cm reload .\n"
		".It Pa /var/lib/karez/ssh/ssh_host_*_key\n"
		"Host keys, as\n.Xr ssh-keygen 1\nwrites them; their fingerprints are printed at "
		"each start.\n.El\n"
		".Sh EXAMPLES\nOn one machine, to try it out:\n"
		".Dl karezd --domain localhost --listen 127.0.0.1:8080 --allow-registration\n"
		"For agents that prove who they are by certificates of an authority of your own:\n"
		".Bd -literal -offset indent\n"
		"karezd --domain tunnel.example.com --listen tls::443 \\e\n"
		"    --tls-cert chain.pem --tls-key key.pem --agent-ca agents-ca.pem\n"
		"karez cert add robot.example.org --account ID\n.Ed\n"
		"One TLS port for everything: names under the domain, custom domains with "
		"certificates of their own,\n"
		"and TLS that passes through to the agents; besides, ports for tcp tunnels:\n"
		".Bd -literal -offset indent\n"
		"karezd --domain tunnel.example.com --listen tls::443 --tls-dir /etc/karez/tls "
		"\\e\n"
		"    --tcp-ports 2000-2999\n.Ed\n"
		"One port for everything, ssh included:\n"
		".Bd -literal -offset indent\n"
		"karezd --domain tunnel.example.com --listen auto::443 --tls-dir /etc/karez/tls\n"
		"ssh -p 443 -R demo:80:localhost:3000 tunnel.example.com\n.Ed\n"
		"For\n.Xr ssh 1\nas it is, without\n.Xr karez 1 ,\nand what somebody types then:\n"
		".Bd -literal -offset indent\n"
		"karezd --domain tunnel.example.com --listen :80 --ssh-listen :2222\n"
		"ssh -p 2222 -R demo:80:localhost:3000 tunnel.example.com\n.Ed\n"
		".Sh SEE ALSO\n.Xr karez 1 ,\n.Xr ssh 1\n",
};
