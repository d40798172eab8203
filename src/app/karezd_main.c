/* karezd: read the options, open the store and the doors, serve, drain, exit. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/admin_token.h"
#include "app/door.h"
#include "app/karezd_options.h"
#include "app/karezd_ssh.h"
#include "app/karezd_store.h"
#include "app/nofile.h"
#include "app/notify.h"
#include "app/resolver.h"
#include "app/state_dir.h"
#include "base/err.h"
#include "ingress/hook_socket.h"
#include "ingress/port_socket.h"
#include "proto/url.h"
#include "wire/tls_reload.h"

#define DOORS_MAX 64

struct karezd {
	struct karezd_settings set;
	struct config *config; /* owned */
	struct log log;
	struct ev *ev;			   /* owned */
	struct store *store;		   /* owned */
	struct tls_context *tls;	   /* owned, NULL without addresses for TLS */
	char tls_key[KEY_PIN_TEXT];	   /* its fingerprint, as it was told last */
	struct tls_context *manage;	   /* owned, NULL without --manage-listen */
	struct tls_reload *reloads[2];	   /* owned, of those two */
	struct proxy_reader *proxy;	   /* owned */
	struct port_socket *ports;	   /* owned, NULL without tcp tunnels */
	struct access_ports *tcp_ports;	   /* owned */
	struct net_dns *dns;		   /* owned, NULL: there is none */
	struct hook_net *hooks;		   /* owned */
	struct karezd_ssh *ssh;		   /* owned, NULL: nobody speaks SSH here */
	struct node *node;		   /* owned */
	struct door *doors[DOORS_MAX + 1]; /* owned; one is for management */
	size_t n_doors;
	struct cidr *trusted; /* owned */
	char domain[HOSTNAME_MAX + 1], api_host[HOSTNAME_MAX + 1];
	const char
		*asked[3]; /* names under which clients are asked for certificates; NULL: the end */
	char store_kind[32];
	const char *scheme; /* of public URLs */
	uint16_t port;	    /* the same; 0: the scheme's */
	uint16_t tls_port;  /* of tls tunnels; 0: there are none */
	struct admin_token admin;
	int code;				     /* of the process */
	struct ev_signal *term, *interrupt, *hangup; /* owned */
	struct ev_timer drain_deadline;
	struct notify notify;
	bool stopping;
};

/* ---- the end ---- */

static void karezd_close_doors(struct karezd *k)
{
	while (k->n_doors > 0)
		door_close(k->doors[--k->n_doors]);
	if (k->ssh != NULL)
		karezd_ssh_close(k->ssh);
}

static void karezd_on_drained(void *arg)
{
	struct karezd *k = arg;

	log_info(&k->log, "event=stop msg=\"all visitors are served\"");
	ev_stop(k->ev);
}

static void karezd_on_drain_deadline(void *arg)
{
	struct karezd *k = arg;

	log_warn(&k->log, "event=stop msg=\"drain timeout is over, cutting what still runs\"");
	ev_stop(k->ev);
}

static void karezd_on_signal(void *arg)
{
	struct karezd *k = arg;

	if (k->stopping) {
		log_warn(&k->log, "event=stop msg=\"second signal, stopping at once\"");
		ev_stop(k->ev);
		return;
	}
	k->stopping = true;
	log_info(&k->log, "event=drain timeout_ms=%llu", (unsigned long long)k->set.drain_ms);
	notify_stopping(&k->notify, k->set.drain_ms);
	karezd_close_doors(k);
	if (k->ports != NULL)
		port_socket_stop(k->ports);
	ev_timer_set(k->ev, &k->drain_deadline, k->set.drain_ms);
	node_drain(k->node, karezd_on_drained, k);
}

/* Certificates, authorities and lists of revoked ones are to be read again. */
static void karezd_on_hangup(void *arg)
{
	struct karezd *k = arg;

	notify_reloading(&k->notify);
	for (size_t i = 0; i < ARRAY_LEN(k->reloads); i++)
		if (k->reloads[i] != NULL)
			tls_reload_now(k->reloads[i]);
	notify_reloaded(&k->notify);
}

static void karezd_free(struct karezd *k)
{
	if (k->ev != NULL) {
		ev_timer_stop(k->ev, &k->drain_deadline);
		notify_end(&k->notify);
		karezd_close_doors(k);
		for (size_t i = 0; i < ARRAY_LEN(k->reloads); i++)
			tls_reload_free(k->reloads[i]);
		node_free(k->node);
		karezd_ssh_free(k->ssh);
		port_socket_free(k->ports);
		proxy_reader_free(k->proxy);
		net_dns_free(k->dns);
		hook_socket_free(k->hooks);
		store_close(k->store);
		ev_signal_free(k->term);
		ev_signal_free(k->interrupt);
		ev_signal_free(k->hangup);
		ev_free(k->ev);
	}
	admin_token_drop(&k->admin);
	tls_context_free(k->tls);
	tls_context_free(k->manage);
	free(k->trusted);
	free(k->tcp_ports);
	config_free(k->config);
	free(k);
}

/* ---- the start ---- */

/* Say what is wrong with the start, and give exit code 1. */
static int karezd_fail(struct karezd *k, const char *what, const char *why)
{
	fprintf(stderr, "karezd: %s: %s\n", what, why);
	return 1;
}

static void karezd_state_dir(const struct karezd *k, char *out, size_t cap)
{
	const char *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");

	if (k->set.state_dir != NULL)
		str_printf(out, cap, "%s", k->set.state_dir);
	else if (geteuid() == 0 || home == NULL)
		str_printf(out, cap, "/var/lib/karez");
	else if (state != NULL && state[0] == '/')
		str_printf(out, cap, "%s/karez", state);
	else
		str_printf(out, cap, "%s/.local/state/karez", home);
}

static int karezd_open_store(struct karezd *k)
{
	char dir[1024], where[1100];
	struct store_why why;

	if (k->set.store != NULL) {
		str_printf(where, sizeof where, "%s", k->set.store);
	} else {
		karezd_state_dir(k, dir, sizeof dir);
		state_dir_make_parents(dir); /* the store makes the last one */
		str_printf(where, sizeof where, "sqlite:%s/karez.db", dir);
	}
	if (store_open(k->ev, &k->log, where, &k->store, &why) != 0) {
		fprintf(stderr, "karezd: %s\n", why.text); /* where may hold a password */
		return 1;
	}
	(void)!str_copy(k->store_kind, sizeof k->store_kind,
			(struct str){where, str_find(str_of(where), ':')});
	if (strcmp(where, "memory:") == 0)
		log_warn(&k->log, "event=store msg=\"accounts and tunnels are kept in memory and "
				  "lost at exit\"");
	return 0;
}

/* What an agent that trusts no authority compares (--server-fingerprint of karez): told at the
 * start and when it changes. */
static void karezd_say_tls_key(struct karezd *k)
{
	uint8_t sha256[KEY_PIN_LEN];
	char text[KEY_PIN_TEXT];

	if (k->tls == NULL || tls_context_fingerprint(k->tls, k->domain, sha256) != 0)
		return; /* no certificate for our own name: agents find none either */
	key_pin_format(sha256, text);
	if (strcmp(text, k->tls_key) == 0)
		return;
	memcpy(k->tls_key, text, sizeof k->tls_key);
	printf("tls key %s (%s)\n", text, k->domain);
	fflush(stdout);
}

/* See tls_reload_opt.recheck. */
static void karezd_on_recheck(void *arg)
{
	struct karezd *k = arg;

	karezd_say_tls_key(k);
	node_recheck(k->node);
}

/* A context with the certificates of the options, that follows its files. */
static int karezd_new_tls(struct karezd *k, const char *const *asked, struct tls_context **out,
			  struct tls_reload **reload)
{
	static const char *const alpn[] = {"http/1.1", NULL};
	struct tls_context_server opt = {.cert_file = k->set.tls_cert,
					 .key_file = k->set.tls_key,
					 .dir = k->set.tls_dir,
					 .alpn = alpn,
					 .client_ca_file = k->set.agent_ca,
					 .client_crl_file = k->set.agent_crl,
					 .client_ca_names = asked,
					 .client_required = asked == NULL,
					 .log = &k->log};
	struct tls_reload_opt follow = {.recheck = karezd_on_recheck, .arg = k};
	char why[TLS_CONTEXT_WHY];
	int e;

	if (tls_context_new_server(&opt, out, why) != 0)
		return karezd_fail(k, "TLS", why);
	follow.ctx = *out;
	if ((e = tls_reload_new(k->ev, &follow, reload)) != 0)
		return karezd_fail(k, "TLS", err_text(e));
	return 0;
}

/*
 * Is there an address where TLS is spoken?
 *   *port  set to the first one's; 0 when it has none; left alone when there is no such address.
 */
static bool karezd_find_tls(const struct karezd *k, uint16_t *port)
{
	for (size_t i = 0; i < k->set.listen.n; i++) {
		struct door_where where;

		if (door_parse(str_of(k->set.listen.v[i]), &where) == 0 &&
		    karezd_serves_tls(&k->set, &where)) {
			*port = net_addr_port(&where.addr);
			return true;
		}
	}
	return false;
}

static int karezd_open_tls(struct karezd *k)
{
	uint16_t port;
	int code, e;

	(void)!str_copy(k->api_host, sizeof k->api_host, str_of(node_api_host(k->node)));
	k->asked[0] = k->domain;
	k->asked[1] = k->api_host;
	if (k->set.manage_listen != NULL &&
	    (code = karezd_new_tls(k, NULL, &k->manage, &k->reloads[0])) != 0)
		return code;
	if (!karezd_find_tls(k, &port))
		return 0;
	if ((code = karezd_new_tls(k, k->asked, &k->tls, &k->reloads[1])) != 0)
		return code;
	if ((e = node_open_tls(k->node, k->tls, (uint32_t)k->set.handshake_ms)) != 0)
		return karezd_fail(k, "TLS", err_text(e));
	karezd_say_tls_key(k);
	return 0;
}

static int karezd_open_door(struct karezd *k, const char *listen, struct tls_context *manage)
{
	struct door_opt opt = {.listen = listen,
			       .node = k->node,
			       .proxy = k->proxy,
			       .ssh = k->ssh != NULL && k->set.ssh_auto == KAREZD_SSH_AUTO_ON,
			       .tls = k->tls != NULL,
			       .manage = manage,
			       .handshake_ms = (uint32_t)k->set.handshake_ms,
			       .log = &k->log};
	struct door **door = &k->doors[k->n_doors];
	char text[NET_ADDR_TEXT];
	int e = door_open(k->ev, &opt, door);

	if (e == ERR_INUSE)
		return karezd_fail(k, opt.listen,
				   "cannot listen: address already in use; is another karezd "
				   "running? choose another with --listen");
	if (e != 0)
		return karezd_fail(k, opt.listen, err_text(e));
	log_info(&k->log, "event=listen address=%s tls=%d%s%s domain=%s",
		 net_addr_format(door_addr(*door), text), door_is_tls(*door),
		 door_is_ssh(*door) ? " ssh=1" : "", manage != NULL ? " manage=1" : "", k->domain);
	if (door_is_ssh(*door))
		karezd_ssh_tell_port(k->ssh, net_addr_port(door_addr(*door)));
	k->n_doors++;
	return 0;
}

/* After the others: whoever waits for karezd to listen waits for HTTP. */
static int karezd_open_ssh_doors(struct karezd *k)
{
	char why[KAREZD_SSH_WHY];

	if (k->ssh == NULL || karezd_ssh_listen(k->ssh, k->ev, k->node, &k->log, why) == 0)
		return 0;
	return karezd_fail(k, "cannot start", why);
}

static int karezd_open_doors(struct karezd *k)
{
	int code = 0;

	for (size_t i = 0; i < k->set.listen.n && i < DOORS_MAX && code == 0; i++)
		code = karezd_open_door(k, k->set.listen.v[i], NULL);
	if (code == 0 && k->set.manage_listen != NULL)
		code = karezd_open_door(k, k->set.manage_listen, k->manage);
	return code != 0 ? code : karezd_open_ssh_doors(k);
}

/* Scheme and port that visitors see: as told, else those of the first address. */
static void karezd_set_public(struct karezd *k)
{
	struct door_where where;
	struct url url;
	bool tls = false;

	if (k->set.listen.n > 0 && door_parse(str_of(k->set.listen.v[0]), &where) == 0) {
		tls = karezd_serves_tls(&k->set, &where);
		k->port = net_addr_port(&where.addr);
	}
	karezd_find_tls(k, &k->tls_port);
	if (k->set.public_url != NULL && url_parse(str_of(k->set.public_url), &url, NULL) == 0) {
		tls = url_is_tls(&url);
		k->port = url.port;
		if (tls && k->tls_port != 0)
			k->tls_port = url.port;
	}
	k->scheme = tls ? "https" : "http";
	if (k->port == (tls ? 443 : 80))
		k->port = 0;
}

/* Without a DNS there are no custom domains; all else works. */
static void karezd_open_dns(struct karezd *k)
{
	struct net_dns_opt opt = {.ev = k->ev,
				  .servers = (const char *const *)k->set.resolver.v,
				  .n_servers = k->set.resolver.n};
	int e = net_dns_new(&opt, &k->dns);

	if (e != 0)
		log_warn(
			&k->log,
			"event=dns code=%s msg=\"custom domains cannot be proven; see --resolver\"",
			err_name(e));
}

static int karezd_read_names(struct karezd *k, struct node_opt *opt)
{
	struct str host;

	if (hostname_normalise(str_of(k->set.domain), k->domain, &host) != 0)
		return karezd_fail(k, k->set.domain, "is not a host name");
	if (k->set.api_host != NULL) {
		if (hostname_normalise(str_of(k->set.api_host), k->api_host, &host) != 0)
			return karezd_fail(k, k->set.api_host, "is not a host name");
		opt->api_host = k->api_host;
	}
	k->trusted = must_calloc(k->set.trusted_proxies.n + 1, sizeof *k->trusted);
	for (size_t i = 0; i < k->set.trusted_proxies.n; i++)
		if (cidr_parse(str_of(k->set.trusted_proxies.v[i]), &k->trusted[i]) == 0)
			opt->n_trusted = i + 1;
	opt->trusted = k->trusted;
	return 0;
}

/* See port_socket_opt.accepted. */
static void karezd_on_port(void *arg, struct wire *w, const struct visit *who, const char *tunnel)
{
	node_serve_port(((struct karezd *)arg)->node, w, who, tunnel);
}

static int karezd_open_ports(struct karezd *k, struct node_opt *opt)
{
	struct proxy_reader_opt proxy = {.trusted = opt->trusted,
					 .n_trusted = opt->n_trusted,
					 .header_ms = (uint32_t)k->set.handshake_ms,
					 .log = &k->log};
	struct port_socket_opt ports = {.bind = (const char *const *)k->set.tcp_bind.v,
					.n_bind = k->set.tcp_bind.n,
					.accepted = karezd_on_port,
					.arg = k,
					.log = &k->log};
	int e = proxy_reader_new(k->ev, &proxy, &k->proxy);

	if (e != 0)
		return karezd_fail(k, "cannot start", err_text(e));
	if (k->set.tcp_proxy_protocol)
		ports.proxy = k->proxy;
	k->tcp_ports = must_calloc(k->set.tcp_ports.n + 1, sizeof *k->tcp_ports);
	opt->tcp_ports = k->tcp_ports;
	opt->n_tcp_ports = karezd_tcp_ports(&k->set.tcp_ports, k->tcp_ports);
	if (opt->n_tcp_ports == 0)
		return 0;
	if ((e = port_socket_new(k->ev, &ports, &k->ports)) != 0)
		return karezd_fail(k, "--tcp-bind", err_text(e));
	port_socket_ports(k->ports, &opt->ports);
	return 0;
}

static int karezd_open_ssh(struct karezd *k, struct node_opt *opt)
{
	char dir[1024], why[KAREZD_SSH_WHY];

	if (!karezd_serves_ssh(&k->set))
		return 0;
	karezd_state_dir(k, dir, sizeof dir);
	if (karezd_ssh_new(&k->set, dir, k->domain, &k->ssh, why) != 0)
		return karezd_fail(k, "SSH", why);
	karezd_ssh_say_keys(k->ssh, stdout);
	opt->ssh = karezd_ssh_gateway(k->ssh);
	opt->api_ssh = karezd_ssh_api(k->ssh);
	return 0;
}

/* See core_opt.keep_token. */
static int karezd_keep_token(void *arg, const char *token)
{
	struct karezd *k = arg;
	char dir[1024], what[1200];
	int e;

	if (token == NULL) {
		admin_token_forget(&k->admin);
		return 0;
	}
	karezd_state_dir(k, dir, sizeof dir);
	if ((e = admin_token_prepare(&k->admin, dir)) == 0)
		e = admin_token_write(&k->admin, token);
	admin_token_drop(&k->admin);
	if (e == 0)
		return 0;
	str_printf(what, sizeof what,
		   "cannot write the administrator's token into %s (see --state-dir)", dir);
	k->code = karezd_fail(k, what, k->admin.why);
	return ERR_DENIED;
}

static int karezd_open_node(struct karezd *k)
{
	struct node_opt opt = {
		.log = &k->log,
		.store = k->store,
		.store_kind = k->store_kind,
		.domain = k->domain,
		.keep_token = karezd_keep_token,
		.keep_token_arg = k,
		.registration = (enum core_registration)k->set.registration,
		.auth_hosts = (const char *const *)k->set.auth_hosts.v,
		.n_auth_hosts = k->set.auth_hosts.n,
		.auth_url = k->set.auth_url,
		.domains_unproven = k->set.unproven_domains,
		.tcp_idle_ms = (uint32_t)MIN(k->set.tcp_idle_ms, (uint64_t)UINT32_MAX),
		.deadlines = {.head_ms = (uint32_t)k->set.head_ms,
			      .idle_ms = (uint32_t)k->set.idle_ms},
		.sessions_max = (size_t)k->set.sessions_max,
		.window_total = k->set.window_total,
	};
	int e = karezd_read_names(k, &opt);

	if (e != 0 || (e = karezd_open_ports(k, &opt)) != 0 || (e = karezd_open_ssh(k, &opt)) != 0)
		return e;
	karezd_set_public(k);
	opt.url_scheme = k->scheme;
	opt.url_port = k->port;
	opt.tls_port = k->tls_port;
	karezd_open_dns(k);
	if (k->dns != NULL)
		opt.resolver = resolver_of(k->dns);
	if ((e = hook_socket_new(k->ev, NULL, &k->hooks)) != 0)
		return karezd_fail(k, "cannot start", err_text(e));
	opt.hooks = k->hooks;
	if ((e = node_new(k->ev, &opt, &k->node)) != 0)
		return karezd_fail(k, "cannot start", err_text(e));
	return 0;
}

/* ---- the first administrator ---- */

/* The one line that lets a person begin. */
static void karezd_say_login(const struct karezd *k)
{
	printf("karez login --server %s://%s", k->scheme, k->domain);
	if (k->port != 0)
		printf(":%u", k->port);
	printf(" --token-file %s\n", k->admin.path);
	fflush(stdout);
}

static void karezd_on_started(void *arg, const struct core_started *result)
{
	struct karezd *k = arg;

	if (result->e != 0) {
		if (k->code == 0)
			k->code = karezd_fail(k, "cannot use the store", result->reason);
		ev_stop(k->ev);
		return;
	}
	if (result->token[0] != '\0')
		karezd_say_login(k);
	log_info(&k->log, "event=ready");
	notify_status(&k->notify, "tunnels under %s", k->domain);
	notify_ready(&k->notify);
}

/* The commands that need a store and nothing else. */
static int karezd_move_store(struct karezd *k, const char *command)
{
	struct karezd_store_opt opt = {.ev = k->ev, .file = k->set.file};
	int code = karezd_open_store(k);

	opt.store = k->store;
	opt.where = k->store_kind;
	if (code != 0)
		return code;
	return strcmp(command, "store export") == 0 ? karezd_store_export(&opt)
						    : karezd_store_import(&opt);
}

static int karezd_run(struct karezd *k)
{
	const char *command = config_command(k->config)->name;
	char dir[1024];
	int code;

	if (command != NULL && str_starts(str_of(command), STR("ca "))) {
		karezd_state_dir(k, dir, sizeof dir);
		return karezd_ca_run(&k->set.ca, command, dir);
	}
	log_init_stderr(&k->log, (enum log_level)k->set.log_level);
	if (ev_new(&k->ev) != 0)
		return karezd_fail(k, "cannot start", "no event loop");
	if (command != NULL)
		return karezd_move_store(k, command);
	if ((code = karezd_open_store(k)) != 0 || (code = karezd_open_node(k)) != 0 ||
	    (code = karezd_open_tls(k)) != 0)
		return code;
	if (ev_signal_new(k->ev, SIGTERM, karezd_on_signal, k, &k->term) != 0 ||
	    ev_signal_new(k->ev, SIGINT, karezd_on_signal, k, &k->interrupt) != 0 ||
	    ev_signal_new(k->ev, SIGHUP, karezd_on_hangup, k, &k->hangup) != 0)
		return karezd_fail(k, "cannot start", "no signal handlers");
	if ((code = karezd_open_doors(k)) != 0)
		return code;
	notify_begin_here(&k->notify, k->ev);
	notify_status(&k->notify, "waiting for the store");
	node_start(k->node, karezd_on_started, k);
	ev_run(k->ev);
	return k->code;
}

int main(int argc, char **argv, char **envp)
{
	struct karezd *k = must_calloc(1, sizeof *k);
	struct config_input in = {argc, argv, envp};
	int code;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is a full disk, not death */
	nofile_raise();
	k->admin.fd = -1;
	k->drain_deadline = (struct ev_timer){.fn = karezd_on_drain_deadline, .arg = k};
	/* config_finish says what went wrong */
	(void)!config_load(&karezd_program, &in, &k->set, &k->config);
	if (!config_finish(k->config, stdout, stderr, &code))
		code = karezd_run(k);
	karezd_free(k);
	return code;
}
