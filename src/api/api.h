/*
 * The HTTP API under /v1: accounts, credentials, tunnels, who is connected, and the node itself.
 * Every route, parameter and member of a body stands in one table; what is refused and what
 * /v1/openapi.json says both come from it. Source: doc/api.md.
 */
#ifndef KAREZ_API_API_H
#define KAREZ_API_API_H

#include "core/manage.h"
#include "core/password.h"
#include "http/http_conn.h"

/*
 * Calls under way at most, those of them whose bodies are being read: strangers may send theirs
 * slowly, and others must still get in; and those with large bodies, which are whole lists of
 * tunnels, in all and of one account: each may wait long for the DNS. What tells how the process is
 * counts with its connection only.
 */
#define API_CALLS_MAX	  256
#define API_BODIES_MAX	  192
#define API_LARGE_MAX	  8
#define API_LARGE_OWN_MAX 2

/* Bytes of a body, and of one that is a whole list; how long the store may take to answer
 * /v1/ready.
 */
#define API_BODY_MAX	   (64 * 1024)
#define API_LARGE_BODY_MAX (1024 * 1024)
#define API_READY_MS	   1000

/* Passwords that one list may set: each takes a processor for some 40 ms. */
#define API_LIST_PASSWORDS_MAX 64

struct api;

/* What a node does now. A value. */
struct api_facts {
	uint64_t sessions, streams, connections, exchanges, window_used;
	bool draining; /* it goes soon */
};

/* A node of the cluster as it describes itself. Texts are borrowed; "" where there is none. */
struct api_peer {
	const char *id, *version;
	const char *hop;     /* "IP:PORT" where other nodes reach it */
	const char *agents;  /* URL where agents reach just it */
	const char *machine; /* equal: workers of the same supervisor */
	int64_t started_ms;  /* wall clock */
	uint64_t sessions, visitors;
	bool draining, self;
};

/* Host keys and listening ports of SSH, at most. */
#define API_SSH_KEYS_MAX  8
#define API_SSH_PORTS_MAX 16

/* By what a client of SSH knows that it has come to this server. Texts are borrowed. */
struct api_ssh {
	struct api_ssh_key {
		const char *type;	 /* "ssh-ed25519" */
		const char *fingerprint; /* "SHA256:..." */
		const char *line;	 /* "ssh-ed25519 AAAA...", for known_hosts */
	} keys[API_SSH_KEYS_MAX];
	size_t n_keys;
	uint16_t ports[API_SSH_PORTS_MAX];
	size_t n_ports;
};

struct api_opt {
	struct core *core;	     /* borrowed: outlives the API */
	struct passwords *passwords; /* borrowed: the same */
	struct log *log;	     /* borrowed: the process's */
	const char *domain;	     /* normalised; borrowed */
	const char *host;	     /* its own name, "api.example.org"; borrowed */
	const char *scheme;	     /* of public URLs: "http" or "https" */
	uint16_t port;		     /* 0: the scheme's */
	uint16_t tls_port;	     /* as in core_opt: where tls tunnels are reached; 0: nowhere */
	enum core_registration registration;
	const char *store;	   /* its kind, for administrators: "sqlite" */
	const struct api_ssh *ssh; /* borrowed, looked at by each call; NULL: there is none */
	/* May visitors and agents be sent here? *why is set to a sentence when not. */
	bool (*ready)(void *arg, const char **why);
	void (*facts)(void *arg, struct api_facts *out);
	/*
	 * Call fn for each node that is there now, this one (self) included; the peer is borrowed
	 * for the call. NULL: this one is alone.
	 */
	void (*peers)(void *arg, void (*fn)(void *to, const struct api_peer *p), void *to);
	void *arg; /* of all three */
};

/* Returns 0 or ERR_NOMEM. */
int api_new(struct ev *ev, const struct api_opt *opt, struct api **out) MUST_CHECK;

/*
 * Calls under way are answered with 503. Before the connections are closed, and before core_free()
 * and password_free(). NULL is allowed.
 */
void api_free(struct api *a);

/* Is this request for us: does its path begin with /v1/, or is it /ping or /health? /v1/connect is
 * the gateway's. */
bool api_wants(const struct http_request *req);

/*
 * Serve such a request.
 *   c    has the request in hand; it is answered now or later.
 *   req  borrowed for the call.
 */
void api_request(struct api *a, struct http_conn *c, const struct http_request *req);

/* Serve a request to the host open.<domain>: its "/" is the route /v1/open. */
void api_open(struct api *a, struct http_conn *c, const struct http_request *req);

/*
 * Serve any request that came to the management listener, where TLS asks for a client certificate:
 * all of /v1, and the paths that threshold had (api_threshold.c); anything else is 404.
 */
void api_manage_request(struct api *a, struct http_conn *c, const struct http_request *req);

#endif
