/*
 * A node: store, core, gateway, ingress and API wired together, and the connections they serve. It
 * takes wires from whoever has them: listening sockets in karezd, memory in the simulation.
 */
#ifndef KAREZ_APP_NODE_H
#define KAREZ_APP_NODE_H

#include "api/api.h"
#include "cluster/cluster.h"
#include "core/core.h"
#include "gateway/gateway.h"
#include "http/http_conn.h"
#include "ingress/hook_net.h"
#include "proto/cidr.h"
#include "wire/tls_context.h"

struct node;

/* A drain takes so long at least, in milliseconds: who had begun to connect when the doors were
 * left comes within this, and his request is on its way. */
#define NODE_DRAIN_LEAST_MS 200

/* Other nodes, and how they are reached: see struct cluster_opt. */
struct node_cluster {
	struct bus *bus;	   /* the node's from node_new() on, which sets it to NULL */
	const struct hop_net *net; /* borrowed */
	const uint8_t *key;	   /* [ROSTER_KEY_LEN] borrowed for node_new() */
	const struct net_addr *listen;
	struct roster_node self;
};

/* All that is borrowed outlives the node. */
struct node_opt {
	struct log *log;	/* borrowed: the process's */
	struct store *store;	/* borrowed */
	const char *store_kind; /* for administrators: "sqlite"; borrowed, NULL: not told */
	const char *domain;	/* normalised; borrowed */
	const char *api_host;	/* normalised; borrowed; NULL: api.<domain> */
	const char *url_scheme;
	uint16_t url_port; /* 0: the scheme's own */
	enum core_registration registration;
	struct core_resolver resolver;	      /* ask NULL: no custom domains */
	bool domains_unproven;		      /* see core_opt */
	struct core_ports ports;	      /* take NULL: no tcp tunnels */
	const struct access_ports *tcp_ports; /* [n_tcp_ports] see core_opt; borrowed */
	size_t n_tcp_ports;
	uint16_t tls_port;    /* where tls tunnels are reached; 0: there are none */
	uint32_t tcp_idle_ms; /* see tcp_ingress_opt */
	int (*keep_token)(void *arg, const char *token); /* see core_opt */
	void *keep_token_arg;
	const char *const *auth_hosts; /* [n_auth_hosts] see core_opt; borrowed */
	size_t n_auth_hosts;
	struct hook_net *hooks;	    /* borrowed; NULL: no hook answers */
	const char *auth_url;	    /* the operator's hook; borrowed, NULL: none */
	const struct cidr *trusted; /* borrowed */
	size_t n_trusted;
	const struct gateway_ssh_opt *ssh; /* borrowed, as all in it; NULL: no SSH */
	const struct api_ssh *api_ssh;	   /* what the API tells of it; borrowed, NULL the same */
	struct node_cluster *cluster; /* borrowed for node_new(); NULL: there is no other node */
	struct http_deadlines deadlines;
	uint32_t drain_ms;     /* so long the process lets a drain take; 0: not known */
	size_t sessions_max;   /* agents' sessions, at most */
	uint64_t window_total; /* bytes that all sessions may have under way, at most */
};

int node_new(struct ev *ev, const struct node_opt *opt, struct node **out) MUST_CHECK;

/* Ends everything at once. NULL is allowed. */
void node_free(struct node *n);

/*
 * Bring the records to this version's schema, and make the first administrator; until then the node
 * says that it is not ready. While the store does not answer it is tried again and again.
 *   started  called once unless node_free() comes first: see core_start(); its e is 0,
 *            ERR_UNSUPPORTED or ERR_DENIED.
 */
void node_start(struct node *n, void (*started)(void *arg, const struct core_started *result),
		void *arg);

/*
 * Take visitors whose first words are TLS: node_serve_tls().
 *   tls           a server's; borrowed: outlives the node.
 *   handshake_ms  for the ClientHello, and again for what follows it.
 * Returns 0 or ERR_NOMEM.
 */
int node_open_tls(struct node *n, struct tls_context *tls, uint32_t handshake_ms) MUST_CHECK;

/* Who a wire comes from. */
struct node_visitor {
	struct visit_end peer, local;
	bool tls;    /* we ended TLS, or a trusted proxy did */
	bool manage; /* through the door for management, with a certificate */
};

/* The host name of its API; lives as long as the node. */
const char *node_api_host(const struct node *n);

/* Serve HTTP on a wire; it is the node's from now on, or closed when memory is short. */
void node_serve(struct node *n, struct wire *w, const struct node_visitor *who);

/* Serve whoever has the name in the ClientHello; the wire is the node's, as above. Only after
 * node_open_tls(); who->tls and manage do not count. */
void node_serve_tls(struct node *n, struct wire *w, const struct node_visitor *who);

/* Serve a visitor of a tcp tunnel; w as above, the others as port_socket_opt.accepted has them. */
void node_serve_port(struct node *n, struct wire *w, const struct visit *who, const char *tunnel);

/* Serve whoever has connected to an address for SSH; as gateway_ssh(), only with opt->ssh. */
void node_serve_ssh(struct node *n, int fd, const struct visit_end *peer);

/* Certificates may have been revoked, or the authorities changed: see gateway_recheck(). */
void node_recheck(struct node *n);

/*
 * It will drain soon: readiness says no, agents are told to go elsewhere and no new ones are taken,
 * connections end with an answer that says so. The doors are still open. Harmless when it drains.
 */
void node_announce(struct node *n);

/*
 * No new sessions; agents are told to go elsewhere, and their sessions serve until they end. What
 * runs goes on, requests that come are answered, and connections end with an answer that says so:
 * see http_conn_drain(). The doors are left by whoever has them, at the same time: door_leave().
 *   done  called once, when nothing runs any more, though not at once.
 */
void node_drain(struct node *n, void (*done)(void *arg), void *arg);

/* Are at least n other nodes there, and is all known that they serve? With none true for n 0. */
bool node_knows_others(const struct node *n, size_t n_others);

/* Among other nodes: its id; "" without. Lives as long as the node. */
const char *node_id(const struct node *n);

/*
 * Which other worker of this machine serves a visitor of this tunnel, of this host over HTTP, of
 * this name in a ClientHello? NULL: it is served here, or nobody knows of one who does.
 *   tunnel     NUL-terminated.
 *   host, sni  normalised.
 * Who may take a session of an agent, see node_others_for_agent(); who may go on with what is left
 * here by a worker that goes: NULL, there is none. Valid until the loop next turns.
 */
const char *node_worker_for(const struct node *n, const char *tunnel);
const char *node_worker_for_host(const struct node *n, struct str host);
const char *node_worker_for_sni(const struct node *n, struct str sni);
const char *node_worker_for_agent(const struct node *n, struct str nodes);
const char *node_worker_heir(const struct node *n);

/* What a node does now. A value. */
struct node_stats {
	size_t n_conns;	      /* connections that speak HTTP/1 */
	size_t n_exchanges;   /* visitors being served over HTTP */
	size_t n_tcp;	      /* visitors being served otherwise */
	size_t n_sessions;    /* of agents */
	size_t n_streams;     /* in them, their control streams included */
	uint64_t window_used; /* bytes of window_total in use */
};

void node_stats(const struct node *n, struct node_stats *out);

/* What it knows and serves: for whoever judges it. Borrowed: lives as long as the node. */
const struct core *node_core(const struct node *n);

#endif
