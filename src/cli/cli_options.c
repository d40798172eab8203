/*
 * Options of the API's commands come from the command line only: a variable KAREZ_NAME or a line
 * "name:" that is meant for a tunnel must not rename an account.
 */
#include "cli/cli_options.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "cli/cli_time.h"
#include "proto/http_proxy.h"
#include "proto/key_pin.h"
#include "proto/url.h"

/* Flags of all rows but the common ones. */
#define HERE_ONLY (CONFIG_NOT_ENV | CONFIG_NOT_FILE)

/* ---- what a value must be ---- */

/* The value is a secret: nothing of it is repeated. */
static int cli_check_proxy(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct http_proxy proxy;
	int e = str_eq(value, STR("none")) ? 0 : http_proxy_parse(value, &proxy, &why);

	if (e != 0)
		str_printf(reason, reason_cap, "is not a proxy: %s", why);
	explicit_bzero(&proxy, sizeof proxy);
	return e;
}

static int cli_check_fingerprint(struct str value, char *reason, size_t reason_cap)
{
	uint8_t sha256[KEY_PIN_LEN];

	if (key_pin_parse(value, sha256) == 0)
		return 0;
	str_printf(reason, reason_cap,
		   "is not a fingerprint: expected SHA256: and 43 characters, as karezd prints it "
		   "when it starts");
	return ERR_INVAL;
}

/* A name or id that becomes a part of a path. */
static int cli_check_word(struct str value, char *reason, size_t reason_cap)
{
	/* "." and ".." would be steps of a path */
	bool ok = value.len > 0 && value.len <= 256 && !str_eq(value, STR(".")) &&
		  !str_eq(value, STR(".."));

	for (size_t i = 0; i < value.len && ok; i++)
		ok = (unsigned char)value.p[i] >= ' ' && value.p[i] != 0x7f;
	if (ok)
		return 0;
	str_printf(reason, reason_cap, "is not a name: expected 1-256 characters");
	return ERR_INVAL;
}

static int cli_check_target(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct url url;

	if (value.len == 0 || url_parse_target(value, URL_HTTP, &url, &why) == 0)
		return 0;
	str_printf(reason, reason_cap, "is not a target: %s", why);
	return ERR_INVAL;
}

static int cli_check_service(struct str value, char *reason, size_t reason_cap)
{
	return value.len == 0 ? 0 : cli_check_id(value, reason, reason_cap);
}

static int cli_check_user(struct str value, char *reason, size_t reason_cap)
{
	if (str_find(value, ':') < value.len) {
		str_printf(reason, reason_cap,
			   "has a colon: give the user's name only, the password is asked for");
		return ERR_INVAL;
	}
	return cli_check_word(value, reason, reason_cap);
}

static int cli_check_ports(struct str value, char *reason, size_t reason_cap)
{
	struct str rest = value, piece;
	uint64_t first = 0, last = 0;

	if (str_next(&rest, '-', &piece) && num_parse(piece, 65535, &first) == 0 && first > 0) {
		last = first;
		if (rest.p == NULL || num_parse(rest, 65535, &last) == 0)
			if (last >= first)
				return 0;
	}
	str_printf(reason, reason_cap, "is not a port or a range of them: expected 2000-2010");
	return ERR_INVAL;
}

static int cli_check_until(struct str value, char *reason, size_t reason_cap)
{
	int64_t ms;

	if (cli_time_until(value, 0, &ms) == 0)
		return 0;
	str_printf(reason, reason_cap, "is not a time: expected 30d, 8h, 1y, or 2026-12-31");
	return ERR_INVAL;
}

static int cli_check_span(struct str value, char *reason, size_t reason_cap)
{
	int64_t ms;

	if (cli_time_span(value, &ms) == 0)
		return 0;
	str_printf(reason, reason_cap, "is not a span of time: expected 90d, 12w or 1y");
	return ERR_INVAL;
}

static int cli_check_kind(struct str value, char *reason, size_t reason_cap)
{
	if (str_eq(value, STR("http")) || str_eq(value, STR("tcp")) || str_eq(value, STR("tls")))
		return 0;
	str_printf(reason, reason_cap, "is not a kind of tunnel: expected http, tcp or tls");
	return ERR_INVAL;
}

/* ---- options ---- */

/* The head of a row that is stored in `member`. */
#define ROW(n, t, g, member) \
	.name = (n), .type = (t), .group = (g), .offset = offsetof(struct cli_options, member)

static const struct config_option cli_common[] = {
	{ROW("server", CONFIG_LIST, "Server", servers), .letter = 's', .metavar = "URL",
	 .help = "Use this server; several are nodes of one cluster, over which an agent spreads "
		 "its sessions: other commands use the first one, and by its name credentials and "
		 "names are remembered; without one, the one that was logged in to last, or "
		 "else " CLI_USUAL_SERVER ", where a karezd for trying out listens",
	 .check = cli_check_server},
	{ROW("token", CONFIG_SECRET, "Server", token),
	 .help = "Prove who we are with this token instead of the remembered one",
	 .flags = CONFIG_NOT_ARGV},
	{ROW("token-file", CONFIG_TEXT, "Server", token_file), .metavar = "FILE",
	 .help = "Read the token from this file, or from standard input if it is \"-\""},
	{ROW("ca-file", CONFIG_TEXT, "Server", ca_file), .metavar = "FILE",
	 .help = "Trust only the authorities in this file (PEM) to vouch for the server"},
	{ROW("server-fingerprint", CONFIG_LIST, "Server", fingerprints), .metavar = "FINGERPRINT",
	 .help = "Accept the server with this key, whoever vouches for it and for whatever name; "
		 "karezd prints it when it starts; several while the key changes",
	 .check = cli_check_fingerprint},
	{ROW("proxy", CONFIG_SECRET, "Server", way_out), .metavar = "URL",
	 .help = "Reach the server through this HTTP proxy, http://[USER:PASSWORD@]HOST:PORT or "
		 "https://, or with the word none through none; without it HTTPS_PROXY or "
		 "HTTP_PROXY, then ALL_PROXY, "
		 "except for what NO_PROXY lists; targets are never reached through it",
	 .check = cli_check_proxy},
	{ROW("proxy-ca", CONFIG_TEXT, "Server", proxy_ca), .metavar = "FILE",
	 .help = "Trust only the authorities in this file (PEM) to vouch for an https:// proxy"},
	{ROW("cert", CONFIG_TEXT, "Server", cert), .metavar = "FILE",
	 .help = "Prove who we are with this client certificate (PEM) instead of the remembered "
		 "token; a token that is given counts more"},
	{ROW("key", CONFIG_TEXT, "Server", key), .metavar = "FILE",
	 .help = "The private key of --cert (PEM), without a passphrase"},
	{ROW("config-dir", CONFIG_TEXT, "Server", config_dir), .metavar = "DIR",
	 .help = "Remember credentials and names in this folder; the default is karez in "
		 "$XDG_CONFIG_HOME or ~/.config",
	 .flags = CONFIG_NOT_FILE},
	{ROW("json", CONFIG_FLAG, "Output", json),
	 .help = "Print JSON for programs: what the server answers, or, while a tunnel runs, one "
		 "object a line for everything that happens"},
};

static const struct config_option cli_logout_rows[] = {
	{ROW("revoke", CONFIG_FLAG, "Logout", revoke),
	 .help = "Have the server forget the credential, too, so that no copy of it works",
	 .flags = HERE_ONLY},
};

static const struct config_option cli_yes_rows[] = {
	{ROW("yes", CONFIG_FLAG, "Confirmation", yes), .letter = 'y',
	 .help = "Do not ask whether it is meant", .flags = HERE_ONLY},
};

static const struct config_option cli_name_rows[] = {
	{ROW("name", CONFIG_TEXT, "Name", name), .help = "Call it this, for people who read lists",
	 .flags = HERE_ONLY},
};

static const struct config_option cli_invitation_rows[] = {
	{ROW("invitation", CONFIG_SECRET, "Account", invitation),
	 .help = "The code of an invitation", .flags = CONFIG_NOT_ARGV | CONFIG_NOT_FILE},
	{ROW("invitation-file", CONFIG_TEXT, "Account", invitation_file), .metavar = "FILE",
	 .help = "Read the code of an invitation from this file, or from standard input if it is "
		 "\"-\"",
	 .flags = HERE_ONLY},
};

static const struct config_option cli_scope_rows[] = {
	{ROW("tunnel", CONFIG_LIST, "Limits", tunnels), .metavar = "NAME",
	 .help = "Good for this tunnel only, or for all whose names end in .tim if it is \"*.tim\"",
	 .check = cli_check_word, .flags = HERE_ONLY},
	{ROW("kind", CONFIG_LIST, "Limits", kinds), .metavar = "KIND",
	 .help = "Good for tunnels of this kind only: http, tcp or tls", .check = cli_check_kind,
	 .flags = HERE_ONLY},
	{ROW("port", CONFIG_LIST, "Limits", ports), .metavar = "PORTS",
	 .help = "Good for this public port only, or for a range such as 2000-2010",
	 .check = cli_check_ports, .flags = HERE_ONLY},
	{ROW("expires", CONFIG_TEXT, "Limits", expires), .metavar = "TIME",
	 .help = "Good until then only: 30d, 8h, 1y from now, or a date such as 2026-12-31",
	 .check = cli_check_until, .flags = HERE_ONLY},
};

static const struct config_option cli_account_rows[] = {
	{ROW("account", CONFIG_TEXT, "Account", account), .metavar = "ID",
	 .help = "Of this account instead of your own; for administrators", .check = cli_check_word,
	 .flags = HERE_ONLY},
};

static const struct config_option cli_out_rows[] = {
	{ROW("out", CONFIG_TEXT, "Output", out), .letter = 'o', .metavar = "FILE",
	 .help = "Write the token to this new file that only its owner can read, and do not print "
		 "it",
	 .flags = HERE_ONLY},
};

#define DRAIN_ROW                                                                              \
	ROW("drain", CONFIG_DURATION, "Tunnel", drain_ms),                                     \
		.max = 86400000, .initial = "30s",                                             \
		.help = "Let connections that run go on for so long when the tunnel moves to " \
			"other agents",                                                        \
		.flags = HERE_ONLY

static const struct config_option cli_tunnel_rows[] = {
	{ROW("target", CONFIG_TEXT, "Tunnel", target), .letter = 't', .metavar = "TARGET",
	 .help = "What it leads to: a note for people, since the agent decides",
	 .check = cli_check_target, .flags = HERE_ONLY},
	{ROW("enabled", CONFIG_FLAG, "Tunnel", enabled), .initial = "yes",
	 .help = "Let it be used; --no-enabled ends its sessions and keeps its name",
	 .flags = HERE_ONLY},
	{ROW("kind", CONFIG_ENUM, "Tunnel", kind), .words = tunnel_word_kinds, .initial = "http",
	 .help = "What it carries: HTTP, any TCP on a port of its own, or TLS found by its server "
		 "name",
	 .flags = HERE_ONLY},
	{ROW("domain", CONFIG_LIST, "Tunnel", domains), .letter = 'd', .metavar = "HOST",
	 .help = "Serve this host name of yours, too, of a tls tunnel also *.example.org; the "
		 "server says which DNS record proves it",
	 .check = cli_check_host, .flags = HERE_ONLY},
	{ROW("port", CONFIG_NUM, "Tunnel", port), .max = 65535, .initial = "0",
	 .help = "The public port of a tcp tunnel; 0: the one that it has, or a free one",
	 .flags = HERE_ONLY},
	{ROW("bind", CONFIG_TEXT, "Tunnel", bind), .metavar = "ADDRESS",
	 .help = "The address of the server that a tcp tunnel listens on: an IP, localhost, or "
		 "\"\": wherever the server does",
	 .check = cli_check_bind, .flags = HERE_ONLY},
	{ROW("tls", CONFIG_ENUM, "Tunnel", tls), .words = tunnel_word_tlses, .initial = "pass",
	 .help = "Pass the TLS of a tls tunnel's visitors through, or end it at the server",
	 .flags = HERE_ONLY},
	{ROW("service", CONFIG_TEXT, "Tunnel", service),
	 .help = "What the agent calls the target; \"\": it knows by the tunnel's name",
	 .check = cli_check_service, .flags = HERE_ONLY},
	{ROW("proxy-protocol", CONFIG_ENUM, "Tunnel", proxy), .words = tunnel_word_proxies,
	 .initial = "none", .help = "The header that tells the target who its visitor is",
	 .flags = HERE_ONLY},
	{ROW("agent", CONFIG_LIST, "Tunnel", agents), .metavar = "AGENT",
	 .help = "Let only these agents serve it, the best first; \"karez agents\" lists them",
	 .check = cli_check_id, .flags = HERE_ONLY},
	{ROW("policy", CONFIG_ENUM, "Tunnel", policy), .words = tunnel_word_policies,
	 .initial = "least-conn", .help = "Which of several sessions gets a visitor",
	 .flags = HERE_ONLY},
	{ROW("max-sessions", CONFIG_NUM, "Tunnel", max_sessions), .min = 1, .max = 64,
	 .initial = "64", .help = "Let this many sessions serve it at once", .flags = HERE_ONLY},
	{DRAIN_ROW},
	{ROW("rewrite-host", CONFIG_FLAG, "Tunnel", rewrite),
	 .help = "Tell the target its own name in Host, Origin and Referer, not the public one",
	 .flags = HERE_ONLY},
	{ROW("host-header", CONFIG_TEXT, "Headers", host_header), .metavar = "HOST",
	 .help = "What the target finds in Host: keep, rewrite (its own name), or this name",
	 .check = cli_check_host_header, .flags = HERE_ONLY},
	{ROW("request-header-remove", CONFIG_LIST, "Headers", edits[HEADER_REQUEST_REMOVE]),
	 .metavar = "NAME", .help = "Take this field away from requests; \"\": none",
	 .check = cli_check_request_remove, .flags = HERE_ONLY | CONFIG_WHOLE},
	{ROW("request-header-add", CONFIG_LIST, "Headers", edits[HEADER_REQUEST_ADD]),
	 .metavar = "FIELD", .help = "Add this field to requests, as in \"X-Env: test\"; \"\": none",
	 .check = cli_check_request_add, .flags = HERE_ONLY | CONFIG_WHOLE},
	{ROW("response-header-remove", CONFIG_LIST, "Headers", edits[HEADER_RESPONSE_REMOVE]),
	 .metavar = "NAME", .help = "Take this field away from answers; \"\": none",
	 .check = cli_check_response_remove, .flags = HERE_ONLY | CONFIG_WHOLE},
	{ROW("response-header-add", CONFIG_LIST, "Headers", edits[HEADER_RESPONSE_ADD]),
	 .metavar = "FIELD", .help = "Add this field to answers; \"\": none",
	 .check = cli_check_response_add, .flags = HERE_ONLY | CONFIG_WHOLE},
	{ROW("basic-auth", CONFIG_LIST, "Visitors", basic_auth), .letter = 'u', .metavar = "USER",
	 .help = "Let this user in; the password is asked for, or read from standard input, one "
		 "line a user",
	 .check = cli_check_user, .flags = HERE_ONLY},
	{ROW("basic-auth-file", CONFIG_TEXT, "Visitors", basic_auth_file), .metavar = "FILE",
	 .help = "Let in the users of this file and no others: lines of USER:PASSWORD",
	 .flags = HERE_ONLY},
	{ROW("bearer-file", CONFIG_TEXT, "Visitors", bearer_file), .metavar = "FILE",
	 .help = "Let in who shows one of the tokens in this file and no others: one a line, "
		 "16-128 "
		 "characters",
	 .flags = HERE_ONLY},
	{ROW("allow", CONFIG_LIST, "Visitors", allow), .metavar = "CIDR",
	 .help = "Let in these addresses only", .check = cli_check_block, .flags = HERE_ONLY},
	{ROW("deny", CONFIG_LIST, "Visitors", deny), .metavar = "CIDR",
	 .help = "Keep out these addresses, even if they are allowed", .check = cli_check_block,
	 .flags = HERE_ONLY},
	{ROW("auth-url", CONFIG_TEXT, "Visitors", auth_url), .metavar = "URL",
	 .help = "Ask this service about every request; the server's operator must allow its host",
	 .check = cli_check_hook, .flags = HERE_ONLY},
	{ROW("auth", CONFIG_FLAG, "Visitors", auth), .initial = "yes",
	 .help = "Keep the rights that visitors need; --no-auth removes all of them, and only "
		 "those "
		 "given in the same command are needed from then on",
	 .flags = HERE_ONLY},
};

static const struct config_option cli_reason_rows[] = {
	{ROW("reason", CONFIG_TEXT, "Sessions", reason), .help = "Say why; the agents print it",
	 .flags = HERE_ONLY},
};

static const struct config_option cli_session_rows[] = {
	{ROW("session", CONFIG_NUM, "Sessions", session), .min = 1, .metavar = "NUMBER",
	 .help = "End this session only; \"karez tunnel sessions\" tells the numbers",
	 .flags = HERE_ONLY},
};

static const struct config_option cli_apply_rows[] = {
	{ROW("file", CONFIG_TEXT, "List", file), .letter = 'f', .metavar = "FILE",
	 .help = "The list, YAML or JSON; \"-\" for standard input",
	 .flags = HERE_ONLY | CONFIG_REQUIRED},
	{ROW("dry-run", CONFIG_FLAG, "List", dry_run),
	 .help = "Show what would change, and whether the server would take it, and change nothing",
	 .flags = HERE_ONLY},
};

static const struct config_option cli_services_rows[] = {
	{ROW("file", CONFIG_TEXT, "Services", file), .letter = 'f', .metavar = "FILE",
	 .help = "The services, YAML or JSON; \"-\" for standard input", .flags = HERE_ONLY},
	{ROW("id", CONFIG_TEXT, "Services", id), .letter = 'i', .metavar = "ID",
	 .help = "Publish a service as NAME.ID under the server's domain, not as NAME",
	 .check = cli_check_name, .flags = HERE_ONLY},
};

static const struct config_option cli_drain_rows[] = {{DRAIN_ROW}};

static const struct config_option cli_admin_account_rows[] = {
	{ROW("name", CONFIG_TEXT, "Account", name),
	 .help = "Call it this, for people who read lists", .flags = HERE_ONLY},
	{ROW("enabled", CONFIG_FLAG, "Account", enabled), .initial = "yes",
	 .help = "Let it be used; --no-enabled ends its sessions", .flags = HERE_ONLY},
	{ROW("reason", CONFIG_TEXT, "Account", reason),
	 .help = "Say why it is switched off; its agents print it", .flags = HERE_ONLY},
	{ROW("admin", CONFIG_FLAG, "Account", admin),
	 .help = "Make its owner an administrator; --no-admin takes that away", .flags = HERE_ONLY},
	{ROW("ports", CONFIG_LIST, "Account", ports), .metavar = "PORTS",
	 .help = "Let its tcp tunnels have these ports only, such as 2222 or 2000-2010; \"\": all "
		 "that the server has",
	 .check = cli_check_ports, .flags = HERE_ONLY},
	{ROW("quota-tunnels", CONFIG_NUM, "Account", quota_tunnels),
	 .help = "Let it have this many tunnels", .max = INT32_MAX, .flags = HERE_ONLY},
	{ROW("quota-sessions", CONFIG_NUM, "Account", quota_sessions),
	 .help = "Let it have this many sessions at once", .max = INT32_MAX, .flags = HERE_ONLY},
	{ROW("quota-credentials", CONFIG_NUM, "Account", quota_credentials),
	 .help = "Let it have this many tokens, keys and certificates", .max = INT32_MAX,
	 .flags = HERE_ONLY},
};

static const struct config_option cli_prune_rows[] = {
	{ROW("unused", CONFIG_TEXT, "Accounts", unused), .metavar = "TIME",
	 .help = "Those that nobody has used for so long: 90d, 12w or 1y", .check = cli_check_span,
	 .flags = HERE_ONLY | CONFIG_REQUIRED},
};

static const struct config_option cli_invite_rows[] = {
	{ROW("uses", CONFIG_NUM, "Invitation", uses), .min = 1, .max = 1000000, .initial = "1",
	 .help = "Good for this many accounts", .flags = HERE_ONLY},
	{ROW("expires", CONFIG_TEXT, "Invitation", expires), .metavar = "TIME",
	 .help = "Good until then only: 30d, 8h, 1y from now, or a date such as 2026-12-31",
	 .check = cli_check_until, .flags = HERE_ONLY},
};

/* ---- which command has which ---- */

static const struct config_table cli_tables_none[] = {};
static const struct config_table cli_tables_logout[] = {CONFIG_TABLE(cli_logout_rows)};
static const struct config_table cli_tables_yes[] = {CONFIG_TABLE(cli_yes_rows)};
static const struct config_table cli_tables_account_create[] = {CONFIG_TABLE(cli_invitation_rows),
								CONFIG_TABLE(cli_name_rows)};
static const struct config_table cli_tables_token_add[] = {CONFIG_TABLE(cli_scope_rows),
							   CONFIG_TABLE(cli_out_rows)};
static const struct config_table cli_tables_key_add[] = {CONFIG_TABLE(cli_name_rows),
							 CONFIG_TABLE(cli_scope_rows)};
static const struct config_table cli_tables_cert_add[] = {CONFIG_TABLE(cli_name_rows),
							  CONFIG_TABLE(cli_account_rows),
							  CONFIG_TABLE(cli_scope_rows)};
static const struct config_table cli_tables_account[] = {CONFIG_TABLE(cli_account_rows)};
static const struct config_table cli_tables_tunnel[] = {CONFIG_TABLE(cli_tunnel_rows)};
static const struct config_table cli_tables_reason[] = {CONFIG_TABLE(cli_reason_rows)};
static const struct config_table cli_tables_disconnect[] = {CONFIG_TABLE(cli_session_rows),
							    CONFIG_TABLE(cli_reason_rows)};
static const struct config_table cli_tables_admin_account[] = {
	CONFIG_TABLE(cli_admin_account_rows)};
static const struct config_table cli_tables_prune[] = {CONFIG_TABLE(cli_prune_rows),
						       CONFIG_TABLE(cli_yes_rows)};
static const struct config_table cli_tables_apply[] = {CONFIG_TABLE(cli_apply_rows),
						       CONFIG_TABLE(cli_yes_rows)};
static const struct config_table cli_tables_services[] = {CONFIG_TABLE(cli_services_rows)};
static const struct config_table cli_tables_drain[] = {CONFIG_TABLE(cli_drain_rows)};
static const struct config_table cli_tables_invite[] = {CONFIG_TABLE(cli_invite_rows)};

/* An argument that is one word, and one that takes all words that follow. */
#define ARG_ONE(n, h)                                                                              \
	{                                                                                          \
		.name = (n), .type = CONFIG_TEXT, .help = (h), .check = cli_check_word,            \
		.offset = offsetof(struct cli_options, what), .flags = CONFIG_REQUIRED | HERE_ONLY \
	}
#define ARG_MAYBE(n, h)                                                                 \
	{                                                                               \
		.name = (n), .type = CONFIG_TEXT, .help = (h), .check = cli_check_word, \
		.offset = offsetof(struct cli_options, what), .flags = HERE_ONLY        \
	}
#define ARG_ALL(n, h)                                                                   \
	{                                                                               \
		.name = (n), .type = CONFIG_LIST, .help = (h), .check = cli_check_word, \
		.offset = offsetof(struct cli_options, whats),                          \
		.flags = CONFIG_REQUIRED | HERE_ONLY                                    \
	}

static const struct config_option cli_args_none[] = {};
static const struct config_option cli_args_name[] = {
	ARG_ONE("NAME", "What it is for, so that it can be told from others")};
static const struct config_option cli_args_maybe_name[] = {
	ARG_MAYBE("NAME", "Who or what it is for")};
static const struct config_option cli_args_new_name[] = {ARG_ONE("NAME", "The new name")};
static const struct config_option cli_args_credentials[] = {
	ARG_ALL("ID-OR-NAME", "Which ones, as listed")};
static const struct config_option cli_args_key[] = {
	ARG_ONE("FILE.pub", "The file with the public key, or \"-\" for standard input")};
static const struct config_option cli_args_subject[] = {
	ARG_ONE("SUBJECT", "The common name or alternative name in the certificate")};
static const struct config_option cli_args_tunnel[] = {ARG_ONE("NAME", "The tunnel")};
static const struct config_option cli_args_maybe_tunnel[] = {
	ARG_MAYBE("NAME", "The public name: demo, or demo.tim")};
static const struct config_option cli_args_tunnels[] = {ARG_ALL("NAME", "The tunnels")};
static const struct config_option cli_args_account[] = {ARG_ONE("ID", "The account's id")};
static const struct config_option cli_args_accounts[] = {ARG_ALL("ID", "The accounts' ids")};
static const struct config_option cli_args_swap[] = {ARG_ONE("NAME", "The tunnel"),
						     {.name = "AGENT",
						      .type = CONFIG_LIST,
						      .help = "Who is to serve it, the best first",
						      .check = cli_check_id,
						      .offset = offsetof(struct cli_options, whats),
						      .flags = CONFIG_REQUIRED | HERE_ONLY}};
static const struct config_option cli_args_invites[] = {ARG_ALL("ID", "Which ones, as listed")};

const struct config_table cli_tables[CLI_N_TABLES] = {CONFIG_TABLE(cli_common)};

const struct config_command cli_commands[CLI_N_COMMANDS] = {
#define CLI_GROUP(id, words, sentence)
#define CLI_COMMAND(id, words, t, a, sentence, more) \
	{.name = (words),                            \
	 .summary = (sentence),                      \
	 .detail = (more),                           \
	 .tables = cli_tables_##t,                   \
	 .n_tables = ARRAY_LEN(cli_tables_##t),      \
	 .args = cli_args_##a,                       \
	 .n_args = ARRAY_LEN(cli_args_##a)},
#include "cli/cli_commands.def"
#undef CLI_COMMAND
#undef CLI_GROUP
};

const struct config_group cli_groups[CLI_N_GROUPS] = {
#define CLI_GROUP(id, words, sentence) {.name = (words), .summary = (sentence)},
#define CLI_COMMAND(id, words, tables, args, summary, detail)
#include "cli/cli_commands.def"
#undef CLI_COMMAND
#undef CLI_GROUP
};

int cli_options_check(struct config *c, struct cli_options *set)
{
	if (config_source(c, &set->whats) != CONFIG_NOWHERE && set->whats.n == 0)
		return config_fail(c, &set->whats, "is empty");
	if (set->token != NULL && set->token_file != NULL)
		return config_fail(c, &set->token_file,
				   "contradicts KAREZ_TOKEN: give one of them");
	if (set->fingerprints.n > 0 && set->ca_file != NULL)
		return config_fail(c, &set->fingerprints,
				   "contradicts --ca-file: give one of them; with a fingerprint "
				   "it does not count who vouches for the server");
	if (config_source(c, &set->servers) > CONFIG_DEFAULT && set->servers.n == 0)
		return config_fail(c, &set->servers, "is empty");
	if (set->servers.n > SERVERS_GIVEN_MAX)
		return config_fail(c, &set->servers, "has too many items: 8 are the most");
	if (set->fingerprints.n > KEY_PINS_MAX)
		return config_fail(c, &set->fingerprints, "has too many items: 8 are the most");
	if (set->cert != NULL && set->key == NULL)
		return config_fail(c, &set->cert, "needs --key as well");
	if (set->key != NULL && set->cert == NULL)
		return config_fail(c, &set->key, "needs --cert as well");
	if (set->invitation_file != NULL && set->invitation != NULL)
		return config_fail(c, &set->invitation_file,
				   "contradicts KAREZ_INVITATION: give one of them");
	if (set->basic_auth_file != NULL && set->basic_auth.n > 0)
		return config_fail(c, &set->basic_auth_file,
				   "contradicts --basic-auth: give one of them");
	return 0;
}
