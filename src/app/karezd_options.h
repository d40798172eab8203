/* The options of karezd: one table, and the settings it fills. */
#ifndef KAREZ_APP_KAREZD_OPTIONS_H
#define KAREZ_APP_KAREZD_OPTIONS_H

#include "config/config.h"

struct karezd_settings {
	struct config_list listen;
	char *domain;
	char *public_url;
	char *tls_cert, *tls_key, *agent_ca;
	char *api_host;
	char *store, *state_dir;
	char *file;	  /* of the commands that move a store */
	int registration; /* enum core_registration */
	bool allow_registration;
	struct config_list resolver;
	char *auth_url;
	struct config_list auth_hosts;
	struct config_list trusted_proxies;
	uint64_t head_ms, idle_ms, handshake_ms, drain_ms;
	uint64_t sessions_max, window_total;
	int log_level; /* enum log_level */
};

extern const struct config_program karezd_program;

#endif
