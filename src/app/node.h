/*
 * A node: store, core, gateway and ingress wired together, and the connections they serve. It takes
 * wires from whoever has them: listening sockets in karezd, memory in the simulation.
 */
#ifndef KAREZ_APP_NODE_H
#define KAREZ_APP_NODE_H

#include "http/http_conn.h"
#include "proto/cidr.h"
#include "store/store.h"

struct node;

struct node_opt {
	struct log *log;     /* borrowed: the process's */
	struct store *store; /* borrowed: outlives the node */
	const char *domain;  /* normalised; borrowed */
	const char *url_scheme;
	uint16_t url_port; /* 0: the scheme's own */
	bool allow_registration;
	const struct cidr *trusted; /* borrowed */
	size_t n_trusted;
	struct http_deadlines deadlines;
	size_t sessions_max;   /* agents' sessions, at most */
	uint64_t window_total; /* bytes that all sessions may have under way, at most */
};

int node_new(struct ev *ev, const struct node_opt *opt, struct node **out) MUST_CHECK;

/* Ends everything at once. NULL is allowed. */
void node_free(struct node *n);

/* Who a wire comes from. */
struct node_visitor {
	struct visit_end peer, local;
	bool tls; /* we ended TLS */
};

/* Serve HTTP on a wire; it is the node's from now on, or closed when memory is short. */
void node_serve(struct node *n, struct wire *w, const struct node_visitor *who);

/*
 * No new requests, no new sessions; agents are told to go elsewhere. What runs goes on.
 *   done  called once, when nothing runs any more.
 */
void node_drain(struct node *n, void (*done)(void *arg), void *arg);

/* What a node does now. A value. */
struct node_stats {
	size_t n_conns;	      /* connections that speak HTTP/1 */
	size_t n_exchanges;   /* visitors being served */
	size_t n_sessions;    /* of agents */
	size_t n_streams;     /* in them, their control streams included */
	uint64_t window_used; /* bytes of window_total in use */
};

void node_stats(const struct node *n, struct node_stats *out);

#endif
