/*
 * The SSH door on virtual time: a real core, and instead of libssh a peer that says what the test
 * wants it to say and writes down what it is answered. It stands in for session/secsh_node.c.
 */
#ifndef KAREZ_TEST_UNIT_GATEWAY_SSH_RIG_H
#define KAREZ_TEST_UNIT_GATEWAY_SSH_RIG_H

#include "gateway/gateway.h"
#include "session/secsh_node.h"
#include "unit/core/place_rig.h"

struct ssh_world;
struct peer;

/* What the gateway is given as host keys leads the stand-in to its test. */
struct secsh_keys {
	struct ssh_world *world;
};

/* Ports 9000-9100 are given to tunnels; registration is open. */
struct ssh_world {
	struct place_rig g; /* first */
	struct gateway *gateway;
	struct gateway_opt opt;
	struct gateway_ssh_opt ssh;
	struct secsh_keys keys;
	struct peer *next; /* who takes the next connection */
	char log[64 * 1024];
};

/* One stock client. */
struct peer {
	struct session session; /* first */
	struct ssh_world *world;
	const struct secsh_node_owner *owner; /* NULL: there is no connection */
	void *arg;
	int fd;
	unsigned methods, n_admitted, n_refused, n_drained, n_opened;
	char prompt[128], banner[2048]; /* banner: the last one; "" for none */
	bool closed;			/* by the gateway */
	int why;
	char reason[SESSION_REASON_MAX + 1];
	char answers[8192]; /* "id=OK:port:tunnel " or "id=CODE " each, as they were given */
	/* With this answer it is found that another one had been cancelled meanwhile; 0: none. */
	uint64_t cancel_with, cancel;
	char unforwarded[512];
	char screen[64 * 1024];
	bool looks;
	int status; /* of the person's channel; -1: it has not ended */
};

/* anonymous: registration is open at the door. */
void ssh_world_open(struct ssh_world *w, bool anonymous);
void ssh_world_close(struct ssh_world *w);

/* So many milliseconds. */
void ssh_world_run(struct ssh_world *w, uint64_t ms);

/* Dial from an address. Returns whether a session was begun; else the socket has been closed. */
bool peer_dial(struct peer *p, struct ssh_world *w, const char *ip);

/* Try to log in and wait. Return whether it was admitted by this. */
bool peer_none(struct peer *p, const char *user);
bool peer_token(struct peer *p, const char *user, const char *token);
bool peer_blob(struct peer *p, const char *user, struct str blob);
/* With an ed25519 key of this letter. */
bool peer_key(struct peer *p, const char *user, char letter);

/* Dial from 192.0.2.7 and log in by the key 'k'; it must work. */
void peer_come(struct peer *p, struct ssh_world *w, const char *user);

/* A request, without waiting; and what the person's channel does. */
void peer_forward(struct peer *p, uint64_t id, const char *address, uint16_t port);
void peer_look(struct peer *p);
void peer_words(struct peer *p, const char *command, bool terminal);

/* A world with registration open, and its one peer: anna, who has come. */
void peer_open_with(struct ssh_world *w, struct peer *anna);

/* She says her words; what is there to be read at first is thrown away. */
void peer_begin(struct peer *p, const char *words, bool terminal);

/* The connection is lost. */
void peer_lose(struct peer *p);

/* Only what has come since the last call. Borrowed. */
const char *peer_answers(struct peer *p);
const char *peer_screen(struct peer *p);

#endif
