/* The options of karez, declared once. */
#ifndef KAREZ_APP_KAREZ_OPTIONS_H
#define KAREZ_APP_KAREZ_OPTIONS_H

#include "base/log.h"
#include "cli/cli_options.h"
#include "proto/url.h"
#include "proto/header_edit.h"

/* What karez was told. Texts are NULL where nothing was said; they belong to the struct config. */
struct karez_options {
	struct cli_options cli; /* first: its rows and ours count from one address */
	char *target;

	/* what is published */
	char *name;
	uint64_t
		port; /* of tcp; given if config_source() knows it, as all here without a default */
	char *bind;
	struct config_list domains;  /* of tls */
	int tls;		     /* "pass", "end" */
	struct config_list services; /* of serve: NAME=TARGET */
	int proxy;		     /* enum tunnel_proxy */
	int policy;		     /* enum tunnel_policy */
	uint64_t priority, max_sessions;
	uint64_t drain_ms;
	char *host_header;			/* of http: "keep", "rewrite", or a name */
	struct config_list edits[HEADER_EDITS]; /* the same: fields of heads */

	/* of ssh, whose target is [USER@]HOST, and whose port is that of the SSH server */
	struct config_list forwards;   /* -R, as ssh_spec_parse() takes them */
	struct config_list identities; /* files */
	struct config_list
		ssh_options; /* Key=value, split at commas: see karez_ssh_options_join() */
	char *ssh_config;
	bool forward_only;

	/* the target */
	char *health; /* "tcp", or a path */
	uint64_t health_interval_ms, health_rise, health_fall;
	char *target_ca;
	bool target_insecure;

	/* the agent */
	char *agent;
	uint64_t sessions;
	int transport; /* enum agent_transport */
	int log_level; /* enum log_level */

	/* of up; its file and id are the cli's */
	bool index;
	char *services_file; /* as mdm-tunnel has it; the same as the cli's */
	char *server_host;   /* of the server, unless its URL is given */
	uint64_t server_port;

	/* of service */
	char *unit;	   /* its name, without ".service" */
	bool user, system; /* whose manager; neither: by who asks */
	bool print;

	bool quiet, verbose, wait;
};

/* Rows that every agent has, under a heading of its own or the same one. */
#define KAREZ_OPTION_WAIT(heading)                                                                 \
	{                                                                                          \
		.name = "wait", .letter = 'w', .type = CONFIG_FLAG, .group = (heading),            \
		.help = "Keep trying when the server cannot be reached at the start; once it was " \
			"reached, karez always comes back",                                        \
		.offset = offsetof(struct karez_options, wait)                                     \
	}
#define KAREZ_OPTION_QUIET                                                                     \
	{                                                                                      \
		.name = "quiet", .letter = 'q', .type = CONFIG_FLAG, .group = "Output",        \
		.help = "Print problems only", .offset = offsetof(struct karez_options, quiet) \
	}

/* The commands that are agents, and those that look after one, by their place among those of karez.
 */
enum karez_command {
	KAREZ_HTTP,
	KAREZ_TCP,
	KAREZ_TLS,
	KAREZ_SERVE,
	KAREZ_UP,
	KAREZ_SSH,
	KAREZ_SERVICE_INSTALL,
	KAREZ_SERVICE_UNINSTALL,
	KAREZ_SERVICE_STATUS,
};

/* The program for config_load(). */
extern const struct config_program karez_program;

/*
 * The server that --host and --port of `karez up` name, over TLS unless it is this machine.
 * Returns false if neither was given.
 */
bool karez_options_server(const struct config *c, const struct karez_options *set, struct url *out);

/* `karez up`, for config/again.h. */
const struct config_command *karez_options_up(void);

/* Which of them was asked for; it is none of cli_commands. */
enum karez_command karez_options_command(const struct config *c);

#endif
