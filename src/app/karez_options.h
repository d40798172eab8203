/* The options of karez, declared once. */
#ifndef KAREZ_APP_KAREZ_OPTIONS_H
#define KAREZ_APP_KAREZ_OPTIONS_H

#include "base/log.h"
#include "cli/cli_options.h"

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
	int proxy;		     /* "none", "v1", "v2" */
	int policy;		     /* of cli_policies */
	uint64_t priority, max_sessions;
	uint64_t drain_ms;

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
	int log_level; /* enum log_level */
	bool quiet, verbose, wait;
};

/* The commands that are agents, by their place among those of karez. */
enum karez_command { KAREZ_HTTP, KAREZ_TCP, KAREZ_TLS, KAREZ_SERVE, KAREZ_SSH };

/* The program for config_load(). */
extern const struct config_program karez_program;

/* Which of them was asked for; it is none of cli_commands. */
enum karez_command karez_options_command(const struct config *c);

/* Words of enum options, as they travel to the server. */
extern const char *const karez_tls_words[];
extern const char *const karez_proxy_words[];

#endif
