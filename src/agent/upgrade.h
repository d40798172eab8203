/*
 * Asking a server for a session: one GET with "Upgrade: karez/1" or "Upgrade: websocket", and what
 * it answers. Source: doc/session-protocol.md 1, RFC 9110 7.8 (Upgrade), RFC 9457 (problem
 * details), RFC 6455 4.1 (a client's handshake).
 */
#ifndef KAREZ_AGENT_UPGRADE_H
#define KAREZ_AGENT_UPGRADE_H

#include "agent/agent_net.h"
#include "proto/node_entry.h"

/* What follows the server's own path. */
#define UPGRADE_PATH	 "/v1/connect"
#define UPGRADE_PROTOCOL "karez/1"

/* The same inside of WebSocket, for what lies between and understands nothing else. */
#define UPGRADE_WEBSOCKET   "websocket"
#define UPGRADE_WS_PROTOCOL "karez.1"

/* How long an answer may take, in milliseconds, the handshake of TLS included. */
#define UPGRADE_TIMEOUT_MS 10000

/* Bytes of a refusal's body that are read; the rest would only be more words. */
#define UPGRADE_BODY_MAX 16384

/* Bytes with their NUL: a token, an account's number, a sentence for a person. */
#define UPGRADE_TOKEN_MAX   512
#define UPGRADE_ACCOUNT_MAX 64
#define UPGRADE_REASON_MAX  512

struct upgrade;

/* Who asks. All borrowed for the call. */
struct upgrade_ask {
	const struct url *server;
	struct str token; /* empty: none, an account is made on the fly */
	bool certificate; /* with no token: a certificate proves who we are, make no account */
	const char *agent;
	uint64_t epoch;
	unsigned carrier;
	bool websocket;	   /* the session shall be carried by it */
	const char *nodes; /* ids of nodes that it need not be with, "id,id"; "" or NULL: none */
};

struct upgrade_answer {
	/*
	 * 0, or an ERR_*: with `spoken` the server's own code; else ERR_PROTO (it does not speak
	 * karez), ERR_TIMEOUT, or why the wire broke.
	 */
	int e;
	bool spoken;
	const char *reason; /* NUL-terminated, may be empty; may hold the server's own words */
	struct wire *wire;  /* when e is 0: the mux starts here; the callee owns it */
	bool websocket;	    /* as it was asked for */
	const char *token, *account; /* when the server has made an account: both, else "" */
	const char *node;	     /* which node of the server's cluster it is; "": not said */
	unsigned n_nodes;	     /* how many there are; at least 1 */
};

struct upgrade_opt {
	struct upgrade_ask ask;
	struct agent_net *net; /* borrowed: the one that made the wire; it explains failures */
	/* Told exactly once, never before upgrade_start() returns; the answer is borrowed. */
	void (*done)(void *arg, const struct upgrade_answer *answer);
	void *arg;
};

/*
 * Ask over a fresh wire.
 *   w  owned from now on if the call succeeds.
 * Returns 0, ERR_NOMEM, ERR_INVAL (a token or an id that may not stand in a head), ERR_TOOBIG.
 */
int upgrade_start(struct ev *ev, struct wire *w, const struct upgrade_opt *opt,
		  struct upgrade **out) MUST_CHECK;

/* done() is not called any more. NULL is allowed; after done() the object is gone by itself. */
void upgrade_cancel(struct upgrade *u);

#endif
