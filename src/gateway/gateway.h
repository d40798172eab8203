/*
 * The door for agents: GET /v1/connect with a credential becomes a session that serves tunnels.
 * Source: doc/session-protocol.md.
 */
#ifndef KAREZ_GATEWAY_GATEWAY_H
#define KAREZ_GATEWAY_GATEWAY_H

#include "core/core.h"
#include "core/ssh_ca.h"
#include "http/http_conn.h"
#include "session/secsh_keys.h"

/* Answers that one session may wait for; one more is refused. */
#define GATEWAY_ATTACHES_MAX 64
/* A session that serves nothing for so long is closed. */
#define GATEWAY_IDLE_MS 30000
/* One that has lost its last tunnel to other agents is asked so often whether the visitors that
 * drain have finished. */
#define GATEWAY_LEAVE_MS 500
/* A credential is judged within this time, or the agent is asked to come again. */
#define GATEWAY_LOGIN_MS 10000
/* Parallel sessions of one agent: Karez-Carrier is less. */
#define GATEWAY_CARRIERS_MAX 64

/* Nodes of whose addresses agents are told, at most: an agent needs a few. */
#define GATEWAY_NODES_MAX 64

struct gateway;

/* The other nodes of this one's cluster, as agents are told of them. Nothing here may call the
 * gateway. */
struct gateway_nodes {
	const char *self; /* id of this node: 1-16 letters and digits; borrowed */
	/* How many nodes an agent may have sessions with: those that drain do not count. */
	size_t (*count)(void *arg);
	/* Call fn for each node, this one included, that agents reach by an address of its own and
	 * that does not drain. id, url: borrowed for the call. */
	void (*each)(void *arg, void (*fn)(void *to, const char *id, const char *url), void *to);
	void *arg;
};

/* The door for stock SSH clients. */
struct gateway_ssh_opt {
	struct secsh_keys *keys; /* of this server */
	struct ssh_ca *ca;	 /* NULL: certificates prove nothing */
	const char *domain;	 /* ours, normalised */
	bool ask_token;		 /* who has no key may type a token */
	bool anonymous;		 /* registration is open: accounts are made on the fly */
	bool everywhere;	 /* "localhost" and "" mean every address, as GatewayPorts=yes */
	uint32_t grace_ms;	 /* for logging in */
	size_t starts_max;	 /* connections that have not logged in, at most */
	size_t starts_per_ip;	 /* of one address, or one /64 of IPv6 */
	unsigned tries_max;	 /* refused logins of one connection */
};

struct gateway_opt {
	struct core *core; /* borrowed: outlives the gateway */
	struct log *log;   /* borrowed: the process's */
	uint64_t
		budget_cap; /* bytes: what all sessions may hold for fast streams, see mux_budget */
	size_t sessions_max;		   /* sessions and logins under way, at most */
	const struct gateway_ssh_opt *ssh; /* borrowed, as all in it; NULL: no SSH */
	/* Borrowed, asked whenever an agent comes; NULL: this node is alone, and says nothing. */
	const struct gateway_nodes *nodes;
};

/* Returns 0 or ERR_NOMEM. */
int gateway_new(struct ev *ev, const struct gateway_opt *opt, struct gateway **out) MUST_CHECK;

/*
 * Sessions end with ERR_DRAIN, connections whose login is under way are answered with 503. Before
 * the connections are closed, and before core_free().
 */
void gateway_free(struct gateway *g);

/* Is this request for us: does it ask for /v1/connect? */
bool gateway_wants(const struct http_request *req);

/*
 * Serve such a request: refuse it with problem details (RFC 9457), or make a session of it.
 *   c    has the request in hand; it is answered or upgraded, now or later.
 *   req  borrowed for the call.
 */
void gateway_request(struct gateway *g, struct http_conn *c, const struct http_request *req);

/*
 * Serve whoever has connected to the SSH address; only with opt->ssh.
 *   fd    a connected TCP socket, non-blocking; the gateway's in any case.
 *   peer  borrowed for the call.
 */
void gateway_ssh(struct gateway *g, int fd, const struct visit_end *peer);

/* Ask every agent to go elsewhere and take no new one; running streams finish. */
void gateway_drain(struct gateway *g);

/*
 * End every session whose agent has proven itself by a certificate that is not good any more: it
 * has ended, was revoked, or its authority is not trusted now. Takes some turns of the loop.
 */
void gateway_recheck(struct gateway *g);

/* What opt->nodes says may have changed: agents that are here are told, if it has. */
void gateway_nodes_changed(struct gateway *g);

/* Does a session serve a tunnel that no other node serves? See member_is_needed(). */
bool gateway_is_needed(const struct gateway *g);

/* Sessions that are open now. */
size_t gateway_n_sessions(const struct gateway *g);

/* Streams in them, their control streams included, and bytes of budget_cap that they hold. */
size_t gateway_n_streams(const struct gateway *g);
uint64_t gateway_window_used(const struct gateway *g);

#endif
