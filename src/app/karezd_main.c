/* karezd: read the options, open the store and the doors, serve, drain, exit. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/admin_token.h"
#include "app/door.h"
#include "app/karezd_again.h"
#include "app/karezd_cluster.h"
#include "app/karezd_command.h"
#include "app/karezd_options.h"
#include "app/karezd_ssh.h"
#include "app/karezd_store.h"
#include "app/karezd_tls.h"
#include "app/karezd_try.h"
#include "app/nofile.h"
#include "app/notify.h"
#include "app/pid_file.h"
#include "app/resolver.h"
#include "app/run_dir.h"
#include "app/socket_plan.h"
#include "app/state_dir.h"
#include "app/supervisor.h"
#include "app/worker_pass.h"
#include "base/err.h"
#include "cluster/bus_local.h"
#include "ingress/hook_socket.h"
#include "ingress/port_socket.h"
#include "proto/url.h"
#include "store/store_redis_url.h"

#define DOORS_MAX 64

/* A worker opens its doors when it knows what the others serve, or after so many milliseconds; so
 * often it looks. */
#define OPEN_BY_MS 3000
#define LOOK_MS	   5

struct karezd {
	struct config_input in;
	struct worker worker;
	struct pid_file pid;
	struct karezd_settings set;
	struct config *config; /* owned */
	struct log log;
	struct ev *ev;	     /* owned */
	struct store *store; /* owned */
	struct karezd_tls tls;
	struct proxy_reader *proxy; /* owned */
	struct port_socket *ports;  /* owned, NULL without tcp tunnels */
	struct worker_pass pass;
	struct access_ports *tcp_ports;	   /* owned */
	struct net_dns *dns;		   /* owned, NULL: there is none */
	struct hook_net *hooks;		   /* owned */
	struct karezd_ssh *ssh;		   /* owned, NULL: nobody speaks SSH here */
	struct node *node;		   /* owned */
	struct door *doors[DOORS_MAX + 1]; /* owned; one is for management */
	size_t n_doors;
	struct cidr *trusted; /* owned */
	char domain[HOSTNAME_MAX + 1], api_host[HOSTNAME_MAX + 1];
	char store_kind[32];
	const char *scheme; /* of public URLs */
	uint16_t port;	    /* the same; 0: the scheme's */
	uint16_t tls_port;  /* of tls tunnels; 0: there are none */
	struct admin_token admin;
	int code; /* of the process */
	/* owned; of a worker interrupt is SIGUSR1, hangup NULL, replace see karezd_on_announce() */
	struct ev_signal *term, *interrupt, *hangup, *replace;
	struct ev_timer drain_deadline, leave;
	struct ev_timer look; /* of a worker: may the doors be opened? */
	uint64_t open_by_ms;  /* at the latest */
	bool open, started;
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

/* Nobody new is let in. */
static void karezd_leave(void *arg)
{
	struct karezd *k = arg;

	for (size_t i = 0; i < k->n_doors; i++)
		door_leave(k->doors[i]);
	if (k->ssh != NULL)
		karezd_ssh_close(k->ssh);
	if (k->ports != NULL)
		port_socket_stop(k->ports);
	ev_timer_set(k->ev, &k->drain_deadline, k->set.drain_ms);
	node_drain(k->node, karezd_on_drained, k);
}

/* A worker's delay is over already: its supervisor has had it, see karezd_on_announce(). */
static void karezd_drain(struct karezd *k)
{
	uint64_t delay_ms = k->worker.on || !k->open ? 0 : k->set.drain_delay_ms;

	k->stopping = true;
	ev_timer_stop(k->ev, &k->look);
	log_info(&k->log, "event=drain delay_ms=%llu timeout_ms=%llu", (unsigned long long)delay_ms,
		 (unsigned long long)k->set.drain_ms);
	notify_stopping(&k->notify, delay_ms + k->set.drain_ms);
	if (delay_ms == 0) {
		karezd_leave(k);
		return;
	}
	node_announce(k->node);
	ev_timer_set(k->ev, &k->leave, delay_ms);
}

/* See supervisor_children_announce(). */
static void karezd_on_announce(void *arg)
{
	struct karezd *k = arg;

	log_info(&k->log, "event=drain-announced");
	node_announce(k->node);
}

/* A worker may be told twice, by its supervisor and by whoever ends a whole group of processes. */
static void karezd_on_signal(void *arg)
{
	struct karezd *k = arg;

	if (!k->stopping) {
		karezd_drain(k);
	} else if (!k->worker.on) {
		log_warn(&k->log, "event=stop msg=\"second signal, stopping at once\"");
		ev_stop(k->ev);
	}
}

/* See supervisor_children_cut(). */
static void karezd_on_cut(void *arg)
{
	ev_stop(((struct karezd *)arg)->ev);
}

/* The configuration, certificates, authorities and lists of revoked ones are to be read again. */
static void karezd_on_hangup(void *arg)
{
	struct karezd *k = arg;
	char why[KAREZD_AGAIN_WHY];
	int e;

	notify_reloading(&k->notify);
	e = karezd_again(&k->in, &k->set, &k->log, why);
	karezd_tls_reload(&k->tls);
	pid_file_tell(&k->pid, e == 0 ? "ok" : why);
	notify_reloaded(&k->notify);
}

static void karezd_on_replace(void *arg)
{
	log_warn(&((struct karezd *)arg)->log,
		 "event=replace msg=\"SIGUSR2 needs a server with --workers\"");
}

static void karezd_free(struct karezd *k)
{
	if (k->ev != NULL) {
		ev_timer_stop(k->ev, &k->drain_deadline);
		ev_timer_stop(k->ev, &k->leave);
		ev_timer_stop(k->ev, &k->look);
		notify_end(&k->notify);
		karezd_close_doors(k);
		worker_pass_close(&k->pass);
		karezd_tls_stop(&k->tls);
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
		ev_signal_free(k->replace);
		ev_free(k->ev);
	}
	pid_file_drop(&k->pid);
	worker_end(&k->worker);
	admin_token_drop(&k->admin);
	karezd_tls_free(&k->tls);
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

static int karezd_open_store(struct karezd *k)
{
	bool memory = k->set.store != NULL && strcmp(k->set.store, "memory:") == 0;
	char dir[1024], where[1100];
	struct store_why why;

	if (memory && k->worker.on) {
		str_printf(where, sizeof where, "sqlite:%s/karez.db", k->worker.dir);
	} else if (k->set.store != NULL) {
		str_printf(where, sizeof where, "%s", k->set.store);
	} else {
		state_dir_find(k->set.state_dir, dir, sizeof dir);
		state_dir_make_parents(dir); /* the store makes the last one */
		str_printf(where, sizeof where, "sqlite:%s/karez.db", dir);
	}
	if (store_open(k->ev, &k->log, where, &k->store, &why) != 0) {
		fprintf(stderr, "karezd: %s\n", why.text); /* where may hold a password */
		return 1;
	}
	(void)!str_copy(k->store_kind, sizeof k->store_kind,
			(struct str){where, str_find(str_of(where), ':')});
	if (memory && k->worker.says)
		log_warn(&k->log, "event=store msg=\"accounts and tunnels are kept in memory and "
				  "lost at exit\"");
	if (k->set.hop_listen == NULL && store_redis_url_is(str_of(where)) && k->worker.says)
		log_warn(&k->log, "event=store msg=\"other servers may share these records, but "
				  "without --hop-listen a visitor who comes to one of them does "
				  "not reach agents of another\"");
	return 0;
}

static int karezd_open_tls(struct karezd *k)
{
	char why[TLS_CONTEXT_WHY];

	k->tls.set = &k->set;
	k->tls.worker = &k->worker;
	k->tls.log = &k->log;
	k->tls.node = k->node;
	k->tls.domain = k->domain;
	return karezd_tls_open(&k->tls, k->ev, why) == 0 ? 0 : karezd_fail(k, "TLS", why);
}

static int karezd_open_door(struct karezd *k, const char *listen, struct tls_context *manage)
{
	struct door_opt opt = {.listen = listen,
			       .node = k->node,
			       .proxy = k->proxy,
			       .ssh = k->ssh != NULL && k->set.ssh_auto == KAREZD_SSH_AUTO_ON,
			       .tls = k->tls.serve != NULL,
			       .manage = manage,
			       .way = worker_pass_way(&k->pass),
			       .handshake_ms = (uint32_t)k->set.handshake_ms,
			       .log = &k->log};
	struct door **door = &k->doors[k->n_doors];
	char text[NET_ADDR_TEXT];
	struct door_where where;
	int e = door_parse(str_of(listen), &where);

	if (e == 0)
		opt.fd = socket_table_take(&k->worker.sockets, &where.addr, NULL);
	if (e == 0)
		e = door_open(k->ev, &opt, door);
	if (e == ERR_INUSE)
		return karezd_fail(k, opt.listen,
				   "cannot listen: address already in use; is another karezd "
				   "running? choose another with --listen");
	if (e != 0)
		return karezd_fail(k, opt.listen, err_text(e));
	if (!k->worker.on) /* the supervisor has said so */
		log_info(&k->log, "event=listen address=%s tls=%d%s%s domain=%s",
			 net_addr_format(door_addr(*door), text), door_is_tls(*door),
			 door_is_ssh(*door) ? " ssh=1" : "", manage != NULL ? " manage=1" : "",
			 k->domain);
	if (door_is_ssh(*door))
		karezd_ssh_tell_port(k->ssh, net_addr_port(door_addr(*door)));
	k->n_doors++;
	return 0;
}

/* With other workers: visitors of theirs are handed to them. */
static int karezd_open_pass(struct karezd *k)
{
	struct worker_pass_opt opt = {.ev = k->ev,
				      .log = &k->log,
				      .node = k->node,
				      .ports = k->ports,
				      .domain = k->domain,
				      .api_host = node_api_host(k->node),
				      .tls = k->tls.serve != NULL};
	int e = k->worker.on ? worker_pass_open(&k->pass, &k->worker, &opt) : 0;

	return e == 0 ? 0 : karezd_fail(k, "cannot start", err_text(e));
}

/* After the others: whoever waits for karezd to listen waits for HTTP. */
static int karezd_open_ssh_doors(struct karezd *k)
{
	struct karezd_ssh_place at = {k->ev, &k->log, &k->worker.sockets, k->worker.on};
	char why[KAREZD_SSH_WHY];

	if (k->ssh == NULL || karezd_ssh_listen(k->ssh, k->node, &at, why) == 0)
		return 0;
	return karezd_fail(k, "cannot start", why);
}

/* Sockets of a service manager that nobody has asked for are a mistake. */
static int karezd_match_sockets(struct karezd *k)
{
	struct socket_plan *plan = must_calloc(1, sizeof *plan);
	char why[SOCKET_TABLE_WHY];
	int e;

	socket_plan_of(&k->set, plan);
	e = socket_plan_match(plan, &k->worker.sockets, why);
	free(plan);
	return e == 0 || k->worker.on ? 0 : karezd_fail(k, "cannot start", why);
}

static int karezd_open_doors(struct karezd *k)
{
	int code = karezd_match_sockets(k);

	for (size_t i = 0; i < k->set.listen.n && i < DOORS_MAX && code == 0; i++)
		code = karezd_open_door(k, k->set.listen.v[i], NULL);
	if (code == 0 && k->set.manage_listen != NULL)
		code = karezd_open_door(k, k->set.manage_listen, k->tls.manage);
	if (code == 0)
		code = karezd_open_ssh_doors(k);
	worker_close_rest(&k->worker);
	k->open = true;
	return code;
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
	karezd_tls_find(&k->set, &k->tls_port);
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

	worker_pass_ports(&k->pass, &k->worker, &ports);
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
	state_dir_find(k->set.state_dir, dir, sizeof dir);
	if (karezd_ssh_new(&k->set, dir, k->domain, &k->ssh, why) != 0)
		return karezd_fail(k, "SSH", why);
	if (k->worker.says)
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
	state_dir_find(k->set.state_dir, dir, sizeof dir);
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

/* The last step: with the other nodes, if there are any. */
static int karezd_new_node(struct karezd *k, struct node_opt *opt)
{
	struct karezd_cluster_opt with = {&k->set, &k->worker, k->ev, &k->log};
	struct karezd_cluster cluster = {.node = {.bus = NULL}};
	char why[KAREZD_CLUSTER_WHY];
	int e, code = 0;

	if (karezd_cluster_open(&with, &cluster, why) != 0)
		return karezd_fail(k, "--hop-listen", why);
	if (cluster.node.bus != NULL)
		opt->cluster = &cluster.node;
	e = node_new(k->ev, opt, &k->node);
	if (e != 0 && opt->cluster != NULL && k->set.hop_listen != NULL)
		code = karezd_fail(k, k->set.hop_listen, err_text(e));
	else if (e != 0)
		code = karezd_fail(k, "cannot start", err_text(e));
	karezd_cluster_forget(&cluster);
	return code;
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
		.drain_ms = (uint32_t)k->set.drain_ms,
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
	return karezd_new_node(k, &opt);
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

static void karezd_say_ready(struct karezd *k)
{
	log_info(&k->log, "event=ready");
	worker_ready(&k->worker);
	notify_status(&k->notify, "tunnels under %s", k->domain);
	notify_ready(&k->notify);
}

/*
 * Visitors of a worker find its older ones at the same sockets, so they can wait until it knows as
 * much as those: one who came before would hear that nobody serves his tunnel.
 */
static void karezd_on_look(void *arg)
{
	struct karezd *k = arg;
	size_t n = bus_local_count(k->worker.dir);

	if (ev_now_ms(k->ev) < k->open_by_ms &&
	    !(k->started && node_knows_others(k->node, n > 0 ? n - 1 : 0))) {
		ev_timer_set(k->ev, &k->look, LOOK_MS);
		return;
	}
	if ((k->code = karezd_open_doors(k)) != 0)
		ev_stop(k->ev);
	else if (k->started)
		karezd_say_ready(k);
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
	k->started = true;
	if (k->open)
		karezd_say_ready(k);
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

/* So that the commands find us; a supervisor has its own. */
static void karezd_take_pid(struct karezd *k)
{
	char dir[1024], why[PID_FILE_TEXT];
	int e;

	if (k->worker.on)
		return;
	state_dir_find(k->set.state_dir, dir, sizeof dir);
	if ((e = pid_file_take(&k->pid, dir, why)) != 0)
		log_warn(&k->log, "event=pid-file error=%s msg=\"%s\"", err_name(e), why);
}

static int karezd_open_signals(struct karezd *k)
{
	bool alone = !k->worker.on;
	int e = ev_signal_new(k->ev, SIGTERM, karezd_on_signal, k, &k->term);

	if (e == 0)
		e = ev_signal_new(k->ev, alone ? SIGINT : SIGUSR1,
				  alone ? karezd_on_signal : karezd_on_cut, k, &k->interrupt);
	if (e == 0 && alone)
		e = ev_signal_new(k->ev, SIGHUP, karezd_on_hangup, k, &k->hangup);
	if (e == 0)
		e = ev_signal_new(k->ev, SIGUSR2, alone ? karezd_on_replace : karezd_on_announce, k,
				  &k->replace);
	return e == 0 ? 0 : karezd_fail(k, "cannot start", "no signal handlers");
}

static int karezd_serve(struct karezd *k)
{
	char dir[1024];
	int code;

	worker_log(&k->worker, &k->log);
	if (!k->worker.on) {
		state_dir_find(k->set.state_dir, dir, sizeof dir);
		run_dir_sweep(dir); /* with --workers it was another one's before */
	}
	if ((code = karezd_open_store(k)) != 0 || (code = karezd_open_node(k)) != 0 ||
	    (code = karezd_open_tls(k)) != 0 || (code = karezd_open_pass(k)) != 0 ||
	    (code = karezd_open_signals(k)) != 0 ||
	    (!k->worker.on && (code = karezd_open_doors(k)) != 0))
		return code;
	if (k->worker.on) {
		k->open_by_ms = ev_now_ms(k->ev) + OPEN_BY_MS;
		ev_timer_set(k->ev, &k->look, LOOK_MS);
	}
	karezd_take_pid(k);
	notify_begin_here(&k->notify, k->ev);
	notify_status(&k->notify, "waiting for the store");
	node_start(k->node, karezd_on_started, k);
	ev_run(k->ev);
	return k->code;
}

static int karezd_supervise(struct karezd *k)
{
	struct supervisor_opt opt = {.argv = k->in.argv,
				     .envp = k->in.envp,
				     .argc = k->in.argc,
				     .given = &k->worker};

	return supervisor_run(&opt);
}

static int karezd_run(struct karezd *k)
{
	const char *command = config_command(k->config)->name;
	int code;

	if (command == NULL && karezd_workers(&k->set) > 0 && !k->worker.on)
		return karezd_supervise(k);
	log_init_stderr(&k->log, (enum log_level)k->set.log_level);
	if (ev_new(&k->ev) != 0)
		return karezd_fail(k, "cannot start", "no event loop");
	if (command == NULL)
		return karezd_serve(k);
	if (karezd_command(command, &k->set, k->ev, &k->log, &code))
		return code;
	return karezd_move_store(k, command);
}

int main(int argc, char **argv, char **envp)
{
	struct karezd *k = must_calloc(1, sizeof *k);
	char why[SOCKET_TABLE_WHY];
	int code;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is a full disk, not death */
	nofile_raise();
	k->in = (struct config_input){argc, argv, envp};
	k->admin.fd = k->pid.fd = -1;
	k->drain_deadline = (struct ev_timer){.fn = karezd_on_drain_deadline, .arg = k};
	k->leave = (struct ev_timer){.fn = karezd_leave, .arg = k};
	k->look = (struct ev_timer){.fn = karezd_on_look, .arg = k};
	if (worker_begin(&k->worker, why) != 0) {
		code = karezd_fail(k, "cannot start", why);
	} else if (supervisor_was()) {
		code = karezd_supervise(k);
	} else {
		/* config_finish says what went wrong */
		(void)!config_load(&karezd_program, &k->in, &k->set, &k->config);
		if (!config_finish(k->config, stdout, stderr, &code))
			code = karezd_run(k);
	}
	karezd_free(k);
	return code;
}
