/* What settings make of a node: the parts that it is told of are made here, in their order. */
#include "app/karezd_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/karezd_cluster.h"
#include "app/resolver.h"
#include "app/state_dir.h"
#include "base/err.h"
#include "net/net_dns.h"
#include "proto/url.h"

/* Scheme and port that visitors see: as told, else those of the first address. */
static void karezd_node_set_public(struct karezd *k)
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
static void karezd_node_open_dns(struct karezd *k)
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

static int karezd_node_read_names(struct karezd *k, struct node_opt *opt)
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
static void karezd_node_on_port(void *arg, struct wire *w, const struct visit *who,
				const char *tunnel)
{
	node_serve_port(((struct karezd *)arg)->node, w, who, tunnel);
}

static int karezd_node_open_ports(struct karezd *k, struct node_opt *opt)
{
	struct proxy_reader_opt proxy = {.trusted = opt->trusted,
					 .n_trusted = opt->n_trusted,
					 .header_ms = (uint32_t)k->set.handshake_ms,
					 .log = &k->log};
	struct port_socket_opt ports = {.bind = (const char *const *)k->set.tcp_bind.v,
					.n_bind = k->set.tcp_bind.n,
					.accepted = karezd_node_on_port,
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

static int karezd_node_open_ssh(struct karezd *k, struct node_opt *opt)
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
static int karezd_node_keep_token(void *arg, const char *token)
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
static int karezd_node_new(struct karezd *k, struct node_opt *opt)
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

int karezd_node_open(struct karezd *k)
{
	struct node_opt opt = {
		.log = &k->log,
		.store = k->store,
		.store_kind = k->store_kind,
		.domain = k->domain,
		.keep_token = karezd_node_keep_token,
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
	int e = karezd_node_read_names(k, &opt);

	if (e != 0 || (e = karezd_node_open_ports(k, &opt)) != 0 ||
	    (e = karezd_node_open_ssh(k, &opt)) != 0)
		return e;
	karezd_node_set_public(k);
	opt.url_scheme = k->scheme;
	opt.url_port = k->port;
	opt.tls_port = k->tls_port;
	karezd_node_open_dns(k);
	if (k->dns != NULL)
		opt.resolver = resolver_of(k->dns);
	if ((e = hook_socket_new(k->ev, NULL, &k->hooks)) != 0)
		return karezd_fail(k, "cannot start", err_text(e));
	opt.hooks = k->hooks;
	return karezd_node_new(k, &opt);
}
