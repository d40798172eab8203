/* ssh's own letters mean what they mean there; what ssh has and a forward does not need is left
 * out.
 */
#include "app/karez_ssh_options.h"

#include "base/err.h"
#include "proto/ssh_spec.h"
#include "session/secsh_agent.h"

/* ---- what a value must be ---- */

static int karez_ssh_check_forward(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct ssh_spec spec;

	if (ssh_spec_parse(value, &spec, &why) == 0)
		return 0;
	str_printf(reason, reason_cap, "is not a remote forward: %s", why);
	return ERR_INVAL;
}

static int karez_ssh_check_host(struct str value, char *reason, size_t reason_cap)
{
	struct str host = value, user;
	bool ok;

	while (str_find(host, '@') < host.len)
		(void)str_next(&host, '@', &user);
	ok = host.len > 0 && host.len <= HOSTNAME_MAX && host.p[0] != '-' && value.p[0] != '@' &&
	     value.p[0] != '-' && str_find(host, '/') == host.len;
	for (size_t i = 0; i < value.len && ok; i++)
		ok = value.p[i] > ' ' && value.p[i] != 0x7f;
	if (ok)
		return 0;
	str_printf(reason, reason_cap,
		   "is not a server: expected [USER@]HOST, its port is given with -p");
	return ERR_INVAL;
}

/* ---- rows ---- */

/* Flags of what is said anew each time: KAREZ_PORT or "port:" is not meant for this. */
#define HERE_ONLY (CONFIG_NOT_ENV | CONFIG_NOT_FILE)
/* And whose items may have commas. */
#define HERE_WHOLE (HERE_ONLY | CONFIG_WHOLE)

static const struct config_option karez_ssh_rows[] = {
	{.name = "remote-forward",
	 .letter = 'R',
	 .type = CONFIG_LIST,
	 .metavar = "SPEC",
	 .group = "SSH",
	 .help = "Ask the server to listen: [ADDRESS:]PORT:HOST:HOSTPORT or "
		 "[ADDRESS:]PORT:/SOCKET; "
		 "[ADDRESS:]PORT alone is a SOCKS proxy; port 0 is any, and is printed; IPv6 "
		 "addresses stand in brackets",
	 .check = karez_ssh_check_forward,
	 .offset = offsetof(struct karez_options, forwards),
	 .flags = HERE_WHOLE},
	{.name = "port",
	 .letter = 'p',
	 .type = CONFIG_NUM,
	 .min = 1,
	 .max = 65535,
	 .metavar = "PORT",
	 .group = "SSH",
	 .help = "Connect to this port of the server, not to what ~/.ssh/config says, or 22",
	 .offset = offsetof(struct karez_options, port),
	 .flags = HERE_ONLY},
	{.name = "identity",
	 .letter = 'i',
	 .type = CONFIG_LIST,
	 .metavar = "FILE",
	 .group = "SSH",
	 .help = "Log in with the private key in this file, besides those of the SSH agent",
	 .offset = offsetof(struct karez_options, identities),
	 .flags = HERE_WHOLE},
	{.name = "option",
	 .letter = 'o',
	 .type = CONFIG_LIST,
	 .metavar = "KEY=VALUE",
	 .group = "SSH",
	 .help = "Say what ~/.ssh/config would, such as StrictHostKeyChecking=accept-new, "
		 "ProxyJump=HOST or ExitOnForwardFailure=yes",
	 .offset = offsetof(struct karez_options, ssh_options),
	 .flags = HERE_WHOLE},
	{.name = "ssh-config",
	 .letter = 'F',
	 .type = CONFIG_TEXT,
	 .metavar = "FILE",
	 .group = "SSH",
	 .help = "Read this file instead of ~/.ssh/config and /etc/ssh/ssh_config; \"none\": none",
	 .offset = offsetof(struct karez_options, ssh_config),
	 .flags = HERE_ONLY},
	{.name = "forward-only",
	 .letter = 'N',
	 .type = CONFIG_FLAG,
	 .group = "SSH",
	 .help = "Accepted, since ssh has it, and always so: there is never a shell or a command",
	 .offset = offsetof(struct karez_options, forward_only),
	 .flags = HERE_ONLY},
	KAREZ_OPTION_WAIT("SSH"),
	KAREZ_OPTION_QUIET,
	{.name = "verbose",
	 .letter = 'v',
	 .type = CONFIG_FLAG,
	 .group = "Output",
	 .help = "Say as whom and where it is logged in, too",
	 .offset = offsetof(struct karez_options, verbose)},
};

const struct config_option karez_ssh_args[KAREZ_SSH_N_ARGS] = {
	{.name = "[USER@]HOST",
	 .type = CONFIG_TEXT,
	 .help = "The SSH server: a name, an address, or a Host of ~/.ssh/config",
	 .check = karez_ssh_check_host,
	 .offset = offsetof(struct karez_options, target),
	 .flags = CONFIG_REQUIRED | HERE_ONLY},
};

const struct config_table karez_ssh_tables[KAREZ_SSH_N_TABLES] = {CONFIG_TABLE(karez_ssh_rows)};

/* What every command has for karezd's API must not look as if it had a meaning here. */
int karez_ssh_options_check(struct config *c, struct karez_options *set)
{
	const void *const members[] = {&set->cli.servers, &set->cli.token_file,
				       &set->cli.ca_file, &set->cli.fingerprints,
				       &set->cli.way_out, &set->cli.proxy_ca,
				       &set->cli.cert,	  &set->cli.key};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (config_source(c, members[i]) == CONFIG_ARGV)
			return config_fail(c, members[i],
					   "is not for karez ssh: its server is [USER@]HOST, and "
					   "-i names a key");
	if (set->forwards.n == 0)
		return config_fail(c, &set->forwards,
				   "is missing: say -R 8080:localhost:3000, for instance");
	if (set->forwards.n > SECSH_SPECS_MAX)
		return config_fail(c, &set->forwards, "has too many items: 64 are the most");
	return 0;
}
