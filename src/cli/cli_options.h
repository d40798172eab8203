/* The options of the commands that talk to the API, and of every command of karez. */
#ifndef KAREZ_CLI_CLI_OPTIONS_H
#define KAREZ_CLI_CLI_OPTIONS_H

#include "agent/servers.h"
#include "cli/cli_check.h"
#include "config/config.h"
#include "proto/header_edit.h"
#include "proto/tunnel_word.h"

/* Where a karezd that was started for trying out listens: tried when no server is named. */
#define CLI_USUAL_SERVER "http://localhost:8080"

/* The commands, by their place in cli_commands. */
enum cli_command {
#define CLI_GROUP(id, words, summary)
#define CLI_COMMAND(id, words, tables, args, summary, detail) CLI_DO_##id,
#include "cli/cli_commands.def"
#undef CLI_COMMAND
#undef CLI_GROUP
	CLI_N_COMMANDS
};

enum cli_group {
#define CLI_GROUP(id, words, summary) CLI_GROUP_##id,
#define CLI_COMMAND(id, words, tables, args, summary, detail)
#include "cli/cli_commands.def"
#undef CLI_COMMAND
#undef CLI_GROUP
	CLI_N_GROUPS
};

/* What was said. Texts are NULL where nothing was; they belong to the struct config. */
struct cli_options {
	/* of every command of karez */
	struct config_list servers; /* the first is meant where one is */
	char *token, *token_file;
	char *ca_file;
	struct config_list fingerprints; /* of the server's key */
	char *way_out; /* --proxy: http_proxy_parse() reads it, or "none"; may hold a password */
	char *proxy_ca;
	char *cert, *key; /* both or none */
	char *config_dir;
	bool json;

	/* arguments */
	char *what;
	struct config_list whats;

	/* accounts and credentials */
	char *account;
	bool revoke, yes;
	char *name;
	char *invitation, *invitation_file;
	struct config_list tunnels, kinds, ports;
	char *expires, *out;

	/* tunnels */
	char *target;
	bool enabled;
	int kind;
	struct config_list domains;
	uint64_t port;
	char *bind;
	int tls;
	char *service;
	int proxy;
	struct config_list agents;
	int policy;
	uint64_t max_sessions, drain_ms;
	bool rewrite;
	char *host_header;			/* "keep", "rewrite", or a name */
	struct config_list edits[HEADER_EDITS]; /* fields of heads; an item "" : none */
	struct config_list basic_auth;
	char *basic_auth_file, *bearer_file;
	struct config_list allow, deny;
	char *auth_url;
	bool auth;
	char *reason;
	uint64_t session;
	char *file;
	bool dry_run;
	char *id; /* behind the services' names */

	/* administrators */
	bool admin;
	uint64_t quota_tunnels, quota_sessions, quota_credentials;
	uint64_t uses;
	char *unused;
};

/* Their rows; offsets count from a struct cli_options. cli_tables are the options of every command
 * of karez. */
#define CLI_N_TABLES 1
extern const struct config_table cli_tables[CLI_N_TABLES];
extern const struct config_command cli_commands[CLI_N_COMMANDS];
extern const struct config_group cli_groups[CLI_N_GROUPS];

/* Look at values together, for config_program.check. Returns 0, or what config_fail() returned. */
int cli_options_check(struct config *c, struct cli_options *set) MUST_CHECK;

#endif
