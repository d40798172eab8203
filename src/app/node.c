/* Wiring, and the one decision of the front door: whose request is this? */
#include "app/node.h"

#include <stdlib.h>

#include "app/node_ask.h"
#include "app/node_others.h"
#include "app/tls_front.h"
#include "base/err.h"
#include "core/names.h"
#include "core/peer.h"
#include "ingress/http_ingress.h"
#include "ingress/page.h"
#include "ingress/tcp_ingress.h"

/* While draining: how often it is looked whether anything still runs, in milliseconds. */
#define DRAIN_CHECK_MS 50

/* While draining: silence of a connection that is kept for another request, until it is over, at
 * most. Whoever asks more often than this is told with an answer. In milliseconds. */
#define DRAIN_IDLE_MS 5000

/* How long it is waited before a start that failed is tried again, in milliseconds. */
#define START_AGAIN_MS 1000

struct node {
	struct ev *ev;
	struct node_opt opt;
	char api_host[HOSTNAME_MAX + 1];
	struct passwords *passwords; /* owned */
	struct node_others others;
	struct core *core;	      /* owned */
	struct gateway *gateway;      /* owned */
	struct http_ingress *ingress; /* owned */
	struct tcp_ingress *tcp;      /* owned */
	struct node_asks *asks;	      /* owned */
	struct tls_front *front;      /* owned; NULL without TLS */
	struct api *api;	      /* owned */
	struct list conns;	      /* owned */
	bool draining, started;
	struct ev_timer start_again;
	void (*on_started)(void *arg, const struct core_started *result);
	void *on_started_arg;
	struct ev_timer drain_check;
	uint64_t drain_agents_ms; /* so long the drain waits for agents to be elsewhere */
	void (*drained)(void *arg);
	void *drained_arg;
};

/* A connection in the node's list. */
struct node_conn {
	struct list link;
	struct node *node;
	struct http_conn *http;
	bool manage; /* see node_visitor */
};

/* ---- the front door ---- */

static void node_welcome(struct node *n, struct http_conn *c, const struct http_request *req)
{
	char text[600];
	struct http_page page = {.status = 200, .content_type = STR("text/plain; charset=utf-8")};

	page.body.p = text;
	page.body.len = str_printf(text, sizeof text,
				   "karez %s\n\nTunnels are names under %s.\n"
				   "Start one:  karez 3000 --server %s://" STR_FMT "\n",
				   KAREZ_VERSION, n->opt.domain,
				   http_conn_tls(c) ? "https" : "http", STR_ARG(req->host));
	http_conn_reply(c, &page);
}

/* A request for the server itself, not for a tunnel. */
static void node_own_request(struct node *n, struct http_conn *c, const struct http_request *req)
{
	if (gateway_wants(req))
		gateway_request(n->gateway, c, req);
	else if (api_wants(req))
		api_request(n->api, c, req);
	else if (str_eq(req->path, STR("/")) &&
		 (req->method == HTTP_GET || req->method == HTTP_HEAD))
		node_welcome(n, c, req);
	else
		page_reply(c, ERR_NOTFOUND, page_kind_of(req), req->host);
}

/* Whose host is this? */
enum node_door {
	NODE_NOBODY, /* not a host name */
	NODE_OWN,
	NODE_OPEN,   /* the register call */
	NODE_TUNNEL, /* a name under our domain */
	NODE_ELSEWHERE,
};

/* host: normalised. *name is set for NODE_TUNNEL. */
static enum node_door node_find_door(const struct node *n, const struct http_request *req,
				     struct str host, struct str *name)
{
	struct str domain = str_of(n->opt.domain);
	struct hostname_authority authority;

	if (names_own(n->opt.domain, n->api_host, host))
		return NODE_OWN;
	if (hostname_under(host, domain, name))
		return str_eq(*name, STR("open")) ? NODE_OPEN : NODE_TUNNEL;
	if (hostname_split(req->host, &authority) == 0 && authority.kind != HOSTNAME_NAME)
		return NODE_OWN;
	return NODE_ELSEWHERE;
}

static void node_on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	const struct node_conn *nc = arg;
	struct node *n = nc->node;
	enum node_door door = NODE_NOBODY;
	char text[HOSTNAME_MAX + 1];
	struct str host, name;

	if (nc->manage) {
		api_manage_request(n->api, c, req);
		return;
	}
	if (req->host.len > 0 && hostname_normalise(req->host, text, &host) == 0)
		door = node_find_door(n, req, host, &name);
	switch (door) {
	case NODE_NOBODY: page_reply(c, ERR_NOROUTE, page_kind_of(req), req->host); break;
	case NODE_OWN: node_own_request(n, c, req); break;
	case NODE_OPEN: api_open(n->api, c, req); break;
	case NODE_TUNNEL: http_ingress_request(n->ingress, c, name, req); break;
	case NODE_ELSEWHERE: http_ingress_request_at(n->ingress, c, host, req); break;
	}
}

static void node_on_closed(void *arg, struct http_conn *c)
{
	struct node_conn *nc = arg;

	list_del(&nc->link);
	ev_free_later(nc->node->ev, nc);
}

/* See http_conn_drain(): what is waited for leaves time for the last answers. */
static uint32_t node_drain_idle_ms(const struct node *n)
{
	uint32_t half = n->opt.drain_ms / 2;

	return half == 0 ? DRAIN_IDLE_MS : MIN(half, (uint32_t)DRAIN_IDLE_MS);
}

void node_serve(struct node *n, struct wire *w, const struct node_visitor *who)
{
	struct node_conn *nc = calloc(1, sizeof *nc);
	struct http_conn_opt opt = {
		.peer = who->peer,
		.local = who->local,
		.tls = who->tls,
		.deadlines = &n->opt.deadlines,
		.request = node_on_request,
		.closed = node_on_closed,
		.arg = nc,
	};

	if (nc == NULL || http_conn_new(n->ev, w, &opt, &nc->http) != 0) {
		free(nc);
		wire_close(w, ERR_NOMEM);
		return;
	}
	nc->node = n;
	nc->manage = who->manage;
	list_push(&n->conns, &nc->link);
	if (n->draining)
		http_conn_drain(nc->http, node_drain_idle_ms(n));
}

/* See tls_front_opt.http. */
static void node_on_http(void *arg, struct wire *w, const struct visit *who)
{
	node_serve(arg, w,
		   &(struct node_visitor){.peer = who->visitor, .local = who->local, .tls = true});
}

int node_open_tls(struct node *n, struct tls_context *tls, uint32_t handshake_ms)
{
	struct tls_front_opt opt = {.core = n->core,
				    .tcp = n->tcp,
				    .log = n->opt.log,
				    .domain = n->opt.domain,
				    .api_host = n->api_host,
				    .tls = tls,
				    .handshake_ms = handshake_ms,
				    .http = node_on_http,
				    .arg = n};

	return tls_front_new(n->ev, &opt, &n->front);
}

void node_serve_tls(struct node *n, struct wire *w, const struct node_visitor *who)
{
	struct visit visit = {.ingress = VISIT_SNI, .visitor = who->peer, .local = who->local};

	tls_front_serve(n->front, w, &visit);
}

void node_serve_port(struct node *n, struct wire *w, const struct visit *who, const char *tunnel)
{
	tcp_ingress_serve(n->tcp, w, &(struct tcp_visitor){.visit = who, .tunnel = tunnel});
}

void node_serve_ssh(struct node *n, int fd, const struct visit_end *peer)
{
	gateway_ssh(n->gateway, fd, peer);
}

void node_recheck(struct node *n)
{
	gateway_recheck(n->gateway);
}

/* Visitors that are served, or whose handshake is under way, but for those who speak HTTP. */
static size_t node_n_tcp(const struct node *n)
{
	return tcp_ingress_load(n->tcp) + (n->front != NULL ? tls_front_load(n->front) : 0);
}

/* ---- draining ---- */

/* Others are there, but the agents have not come to them yet: whoever visits their tunnels at
 * another node is sent here until they have. */
static bool node_waits_for_agents(const struct node *n)
{
	return n->others.cluster != NULL && cluster_n(n->others.cluster) > 0 &&
	       ev_now_ms(n->ev) < n->drain_agents_ms && gateway_is_needed(n->gateway);
}

static void node_on_drain_check(void *arg)
{
	struct node *n = arg;

	if (http_ingress_load(n->ingress) > 0 || node_n_tcp(n) > 0 || !list_empty(&n->conns) ||
	    node_waits_for_agents(n)) {
		ev_timer_set(n->ev, &n->drain_check, DRAIN_CHECK_MS);
		return;
	}
	n->drained(n->drained_arg);
}

void node_announce(struct node *n)
{
	if (n->draining)
		return;
	n->draining = true;
	core_drain_begin(n->core);
	node_others_drain(&n->others);
	gateway_drain(n->gateway);
	LIST_FOR_EACH (link, &n->conns)
		http_conn_drain(CONTAINER_OF(link, struct node_conn, link)->http,
				node_drain_idle_ms(n));
}

void node_drain(struct node *n, void (*done)(void *arg), void *arg)
{
	if (n->drained != NULL)
		return;
	node_announce(n);
	n->drained = done;
	n->drained_arg = arg;
	n->drain_agents_ms = ev_now_ms(n->ev) + node_drain_idle_ms(n);
	ev_timer_set(n->ev, &n->drain_check, NODE_DRAIN_LEAST_MS);
}

void node_stats(const struct node *n, struct node_stats *out)
{
	*out = (struct node_stats){
		.n_exchanges = http_ingress_load(n->ingress),
		.n_tcp = node_n_tcp(n),
		.n_sessions = gateway_n_sessions(n->gateway),
		.n_streams = gateway_n_streams(n->gateway),
		.window_used = gateway_window_used(n->gateway),
	};
	LIST_FOR_EACH (link, &n->conns)
		out->n_conns++;
}

const struct core *node_core(const struct node *n)
{
	return n->core;
}

/* ---- other nodes ---- */

/* See cluster_opt.visit. */
static void node_on_hop(void *arg, const struct visit *visit, struct wire *w)
{
	struct node *n = arg;

	if (visit->ingress == VISIT_NODE) {
		node_asks_serve(n->asks, visit, w);
		return;
	}
	tcp_ingress_serve(n->tcp, w,
			  &(struct tcp_visitor){.visit = visit,
						.tunnel = visit->tunnel,
						.hopped = true});
}

/* See cluster_opt.load. */
static void node_on_load(void *arg, uint32_t *sessions, uint32_t *visitors)
{
	const struct node *n = arg;

	*sessions = (uint32_t)gateway_n_sessions(n->gateway);
	*visitors = (uint32_t)(http_ingress_load(n->ingress) + node_n_tcp(n));
}

/* See cluster_opt.changed. */
static void node_on_nodes_changed(void *arg)
{
	struct node *n = arg;

	if (n->ingress != NULL)
		http_ingress_nodes_changed(n->ingress);
	if (n->gateway != NULL)
		gateway_nodes_changed(n->gateway);
}

const char *node_id(const struct node *n)
{
	return n->others.cluster == NULL ? "" : cluster_self(n->others.cluster)->id;
}

const char *node_worker_for(const struct node *n, const char *tunnel)
{
	const char *id = core_peer_for(n->core, str_of(tunnel));

	return node_others_is_worker(&n->others, id) ? id : NULL;
}

const char *node_worker_for_host(const struct node *n, struct str host)
{
	const struct tunnel *t;
	char text[HOSTNAME_MAX + 1];
	struct str name;

	if (names_own(n->opt.domain, n->api_host, host))
		return NULL;
	if (hostname_under(host, str_of(n->opt.domain), &name))
		return str_copy(text, sizeof text, name) != 0 ? NULL : node_worker_for(n, text);
	t = core_tunnel_at(n->core, host);
	return t == NULL ? NULL : node_worker_for(n, tunnel_name(t));
}

const char *node_worker_for_sni(const struct node *n, struct str sni)
{
	char text[HOSTNAME_MAX + 1];
	struct str name;

	if (core_sni(n->core, sni, &name) == CORE_SNI_NOBODY)
		return node_worker_for_host(n, sni);
	return str_copy(text, sizeof text, name) != 0 ? NULL : node_worker_for(n, text);
}

const char *node_worker_for_agent(const struct node *n, struct str nodes)
{
	return node_others_for_agent(&n->others, nodes);
}

const char *node_worker_heir(const struct node *n)
{
	return node_others_heir(&n->others);
}

/* ---- the start ---- */

static void node_try_start(void *arg);

static void node_start_later(struct node *n, int e, const char *reason)
{
	log_warn(n->opt.log, "event=start code=%s again_ms=%u msg=\"%s\"", err_name(e),
		 START_AGAIN_MS, reason);
	ev_timer_set(n->ev, &n->start_again, START_AGAIN_MS);
}

static void node_on_started(void *arg, const struct core_started *result)
{
	struct node *n = arg;

	if (result->e == ERR_CLOSED) {
		; /* the node goes */
	} else if (result->e != 0 && result->e != ERR_UNSUPPORTED && result->e != ERR_DENIED) {
		node_start_later(n, result->e, result->reason);
	} else {
		n->started = result->e == 0;
		n->on_started(n->on_started_arg, result);
	}
}

static void node_try_start(void *arg)
{
	struct node *n = arg;
	int e = core_start(n->core, node_on_started, n);

	if (e != 0)
		node_start_later(n, e, err_text(e));
}

void node_start(struct node *n, void (*started)(void *arg, const struct core_started *result),
		void *arg)
{
	n->on_started = started;
	n->on_started_arg = arg;
	node_try_start(n);
}

/* ---- what the API asks ---- */

static bool node_is_ready(void *arg, const char **why)
{
	const struct node *n = arg;

	*why = n->draining ? "the server is shutting down" : "the server is starting";
	return n->started && !n->draining;
}

static void node_facts(void *arg, struct api_facts *out)
{
	const struct node *n = arg;
	struct node_stats s;

	node_stats(n, &s);
	*out = (struct api_facts){.sessions = s.n_sessions,
				  .streams = s.n_streams,
				  .connections = s.n_conns,
				  .exchanges = s.n_exchanges + s.n_tcp,
				  .window_used = s.window_used,
				  .draining = n->draining};
}

/* See api_opt.peers. */
static void node_peers(void *arg, void (*fn)(void *to, const struct api_peer *p), void *to)
{
	const struct node *n = arg;

	node_others_each(&n->others, fn, to);
}

/* ---- life ---- */

void node_free(struct node *n)
{
	if (n == NULL)
		return;
	ev_timer_stop(n->ev, &n->drain_check);
	ev_timer_stop(n->ev, &n->start_again);
	tls_front_free(n->front);
	node_asks_free(n->asks);
	tcp_ingress_free(n->tcp);
	http_ingress_free(n->ingress);
	gateway_free(n->gateway); /* before the connections whose logins are under way */
	api_free(n->api);	  /* the same */
	LIST_FOR_EACH_SAFE (link, &n->conns) {
		struct node_conn *nc = CONTAINER_OF(link, struct node_conn, link);

		http_conn_close(nc->http);
		list_del(&nc->link);
		ev_free_later(n->ev, nc);
	}
	node_others_end(&n->others);
	core_free(n->core);
	password_free(n->passwords);
	ev_free_later(n->ev, n);
}

static int node_new_cluster(struct node *n)
{
	struct node_cluster *with = n->opt.cluster;
	struct cluster_opt opt = {.log = n->opt.log,
				  .window_total = n->opt.window_total,
				  .visit = node_on_hop,
				  .load = node_on_load,
				  .changed = node_on_nodes_changed,
				  .arg = n};
	int e;

	n->opt.cluster = NULL; /* borrowed until now */
	if (with == NULL)
		return 0;
	opt.bus = with->bus;
	opt.net = with->net;
	opt.key = with->key;
	opt.listen = with->listen;
	opt.self = with->self;
	if ((e = cluster_new(n->ev, &opt, &n->others.cluster)) != 0)
		return e;
	with->bus = NULL;
	node_others_begin(&n->others);
	return 0;
}

static int node_new_core(struct node *n)
{
	const struct node_opt *opt = &n->opt;
	struct core_opt core = {
		.log = opt->log,
		.store = opt->store,
		.domain = opt->domain,
		.api_host = n->api_host,
		.url_scheme = opt->url_scheme,
		.url_port = opt->url_port,
		.registration = opt->registration,
		.keep_token = opt->keep_token,
		.keep_token_arg = opt->keep_token_arg,
		.resolver = opt->resolver,
		.domains_unproven = opt->domains_unproven,
		.ports = opt->ports,
		.tcp_ports = opt->tcp_ports,
		.n_tcp_ports = opt->n_tcp_ports,
		.tls_port = opt->tls_port,
		.auth_hosts = opt->auth_hosts,
		.n_auth_hosts = opt->n_auth_hosts,
	};
	int e = password_new(n->ev, &n->passwords);

	if (e != 0 || (e = node_new_cluster(n)) != 0)
		return e;
	if (n->others.cluster != NULL)
		cluster_core(n->others.cluster, &core.cluster);
	return core_new(n->ev, &core, &n->core);
}

static int node_new_api(struct node *n)
{
	const struct node_opt *opt = &n->opt;
	struct api_opt api = {
		.core = n->core,
		.passwords = n->passwords,
		.log = opt->log,
		.domain = opt->domain,
		.host = n->api_host,
		.scheme = opt->url_scheme,
		.port = opt->url_port,
		.tls_port = opt->tls_port,
		.registration = opt->registration,
		.store = opt->store_kind != NULL ? opt->store_kind : "",
		.ssh = opt->api_ssh,
		.ready = node_is_ready,
		.facts = node_facts,
		.peers = n->others.cluster != NULL ? node_peers : NULL,
		.arg = n,
	};

	return api_new(n->ev, &api, &n->api);
}

static int node_new_doors(struct node *n)
{
	const struct node_opt *opt = &n->opt;
	struct gateway_opt gateway = {.core = n->core,
				      .log = opt->log,
				      .budget_cap = opt->window_total,
				      .sessions_max = opt->sessions_max,
				      .nodes = node_others_for_agents(&n->others),
				      .ssh = opt->ssh};
	struct http_ingress_opt ingress = {.core = n->core,
					   .trusted = opt->trusted,
					   .n_trusted = opt->n_trusted,
					   .log = opt->log,
					   .passwords = n->passwords,
					   .net = opt->hooks,
					   .auth_url = opt->auth_url};
	struct tcp_ingress_opt tcp = {.core = n->core,
				      .log = opt->log,
				      .idle_ms = opt->tcp_idle_ms};
	int e;

	if ((e = gateway_new(n->ev, &gateway, &n->gateway)) != 0 ||
	    (e = http_ingress_new(n->ev, &ingress, &n->ingress)) != 0 ||
	    (e = tcp_ingress_new(n->ev, &tcp, &n->tcp)) != 0 ||
	    (e = node_asks_new(n->ev, n->core, &n->asks)) != 0)
		return e;
	return node_new_api(n);
}

/* The API's name: as told, or right under the domain. A long domain has no room for one. */
static void node_set_api_host(struct node *n)
{
	if (n->opt.api_host != NULL)
		(void)!str_copy(n->api_host, sizeof n->api_host, str_of(n->opt.api_host));
	else if (str_of(n->opt.domain).len + 4 <= HOSTNAME_MAX)
		str_printf(n->api_host, sizeof n->api_host, "api.%s", n->opt.domain);
	else
		str_printf(n->api_host, sizeof n->api_host, "%s", n->opt.domain);
}

const char *node_api_host(const struct node *n)
{
	return n->api_host;
}

int node_new(struct ev *ev, const struct node_opt *opt, struct node **out)
{
	struct node *n = calloc(1, sizeof *n);
	int e;

	if (n == NULL)
		return ERR_NOMEM;
	n->ev = ev;
	n->opt = *opt;
	n->drain_check = (struct ev_timer){.fn = node_on_drain_check, .arg = n};
	n->start_again = (struct ev_timer){.fn = node_try_start, .arg = n};
	list_init(&n->conns);
	node_set_api_host(n);
	if ((e = node_new_core(n)) != 0 || (e = node_new_doors(n)) != 0 ||
	    (n->others.cluster != NULL && (e = cluster_start(n->others.cluster, n->core)) != 0))
		goto out;
	MOVE(*out, n);
out:
	node_free(n);
	return e;
}

bool node_knows_others(const struct node *n, size_t n_others)
{
	return n->others.cluster == NULL ? n_others == 0
					 : cluster_knows(n->others.cluster, n_others);
}
