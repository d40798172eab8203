/* The options of karezd: one table, and the settings it fills. */
#ifndef KAREZ_APP_KAREZD_OPTIONS_H
#define KAREZ_APP_KAREZD_OPTIONS_H

#include "app/karezd_ca.h"
#include "config/config.h"
#include "core/access.h"

#define KAREZD_SSH_LISTEN_MAX 16

/* Where a forward without an address, or for "localhost", listens; and whether a token may be
 * typed. */
enum karezd_ssh_ports { KAREZD_SSH_PORTS_CLIENT, KAREZD_SSH_PORTS_YES };
enum karezd_ssh_token { KAREZD_SSH_TOKEN_OFF, KAREZD_SSH_TOKEN_ON };

/* Whether addresses that begin with "auto:" serve SSH. */
enum karezd_ssh_auto { KAREZD_SSH_AUTO_OFF, KAREZD_SSH_AUTO_ON };

struct door_where;

struct karezd_settings {
	struct config_list listen;
	char *domain;
	char *public_url;
	char *tls_cert, *tls_key, *tls_dir;
	char *agent_ca, *agent_crl;
	char *manage_listen;
	char *api_host;
	struct config_list tcp_ports, tcp_bind;
	bool tcp_proxy_protocol, unproven_domains;
	char *store, *state_dir;
	struct karezd_ca_settings ca;
	char *file;	  /* of the commands that move a store */
	int registration; /* enum core_registration */
	bool allow_registration;
	struct config_list ssh_listen; /* at most KAREZD_SSH_LISTEN_MAX */
	char *ssh_ca;
	int ssh_gateway_ports; /* enum karezd_ssh_ports */
	int ssh_token;	       /* enum karezd_ssh_token */
	int ssh_auto;	       /* enum karezd_ssh_auto */
	uint64_t ssh_grace_ms, ssh_starts_max, ssh_starts_per_ip, ssh_tries_max;
	struct config_list resolver;
	char *auth_url;
	struct config_list auth_hosts;
	struct config_list trusted_proxies;
	uint64_t head_ms, idle_ms, handshake_ms, drain_ms, drain_delay_ms, tcp_idle_ms;
	uint64_t sessions_max, window_total;
	char *workers;	  /* NULL: no supervisor; see karezd_workers() */
	char *hop_listen; /* NULL: no other node sends visitors here; IP:PORT, of worker n PORT+n */
	char *hop_advertise; /* what the others are told instead of that, the same way; or NULL */
	char *cluster_key;   /* a file: cluster_key.h; or NULL */
	char *agent_url;     /* or NULL */
	int log_level;	     /* enum log_level */
};

extern const struct config_program karezd_program;

/*
 * How many processes --workers asks for; "auto" is one for each CPU that this process may use.
 * Returns 1 to WORKERS_MAX, 0 when there shall be no supervisor.
 */
unsigned karezd_workers(const struct karezd_settings *set);

/*
 * The ports that --tcp-ports names.
 *   out  [list->n] filled.
 * Returns how many ranges there are; 0 for "none".
 */
size_t karezd_tcp_ports(const struct config_list *list, struct access_ports *out);

/* Is TLS spoken at this address of --listen? At one that begins with "auto:" if there are
 * certificates. */
bool karezd_serves_tls(const struct karezd_settings *set, const struct door_where *where);

/* Is SSH spoken anywhere: at addresses of its own, or at one that begins with "auto:"? */
bool karezd_serves_ssh(const struct karezd_settings *set);

#endif
