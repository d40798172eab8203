/*
 * A visitor's wire from one node to another: sessions between nodes, by the mux.
 *
 * Whoever has visitors for another node's sessions dials it, and opens a stream for each; the
 * connection is made for the first one and kept. Between machines it is TLS 1.3 by the cluster's
 * key (no certificates: a pre-shared key with an ephemeral exchange, so both sides prove that they
 * have it, and what was recorded stays secret when it gets out); between workers of one machine a
 * socket that only their user can reach.
 */
#ifndef KAREZ_CLUSTER_HOP_H
#define KAREZ_CLUSTER_HOP_H

#include "cluster/hop_net.h"
#include "cluster/roster.h"
#include "session/session.h"

struct hop;
struct hop_peer;

/* Sessions to one node, at most: one more when all are loaded. */
#define HOP_SESSIONS_MAX 4
/* How long a connection to another node may take until that has said who it is, in milliseconds:
 * three round trips between machines. How long after a failure nobody is sent there, at first. */
#define HOP_CONNECT_MS 1500
#define HOP_AVOID_MS   1000
/* Streams that wait for the connection, of one peer; one more is refused (ERR_LIMIT). */
#define HOP_WAITING_MAX 4096
/* Connections of other nodes, at most. */
#define HOP_ACCEPTED_MAX 1024

struct hop_opt {
	struct log *log;
	const struct hop_net *net; /* hop_socket.h, or a simulation */
	const char *self;	   /* our id; borrowed, as all here */
	const uint8_t *key;	   /* [ROSTER_KEY_LEN]; NULL: only sockets of this machine */
	const char *machine;	   /* see roster_node; NULL or "": we share it with nobody */
	uint64_t window_total;	   /* see mux_budget */
	/* A visitor that another node sends. The wire is the callee's. */
	void (*visit)(void *arg, const struct visit *visit, struct wire *w);
	/* How well a peer can be reached has changed; PEER_GOOD at first. PEER_DRAINING: it takes
	 * no new streams. Told from the loop, never from inside a call. */
	void (*state)(void *arg, struct hop_peer *p, enum peer_state state);
	void *arg;
};

/* Returns 0, ERR_NOMEM, ERR_TLS (the key cannot be used). */
int hop_new(struct ev *ev, const struct hop_opt *opt, struct hop **out) MUST_CHECK;

/* Ends everything at once. Peers must be freed before. NULL is allowed. */
void hop_free(struct hop *h);

/*
 * Listen for other nodes. Both may be called.
 *   addr  of TCP; port 0: any. By TLS; needs the key.
 *   path  of a unix socket (mode 0600).
 * Return as net_listen(), ERR_INVAL also without a key; *port: the one in force.
 */
int hop_listen(struct hop *h, const struct net_addr *addr, uint16_t *port) MUST_CHECK;
int hop_listen_local(struct hop *h, const char *path) MUST_CHECK;

/* No new streams from others; running ones go on. */
void hop_drain(struct hop *h);

/* Streams of other nodes that run. */
size_t hop_load(const struct hop *h);

/* A node to which streams may be opened; nothing is connected before the first. n: hop, local and
 * machine count. Returns 0, ERR_INVAL (no address that we can use), ERR_NOMEM. */
int hop_peer_new(struct hop *h, const struct roster_node *n, void *arg,
		 struct hop_peer **out) MUST_CHECK;
void *hop_peer_arg(const struct hop_peer *p);

/*
 * It is back, as far as one can tell: if it was avoided it is not any more. That it cannot be
 * reached all the same makes the time longer for which it is avoided, as ever. NULL is allowed.
 */
void hop_peer_heard(struct hop_peer *p);

/*
 * See core_peer_opt.open: visit->via ends with our own id.
 * Returns 0, ERR_NOSESSION (it was out of reach a moment ago), ERR_LIMIT (HOP_WAITING_MAX, or
 * streams), ERR_NOMEM, ERR_INVAL. What the other side closes the stream with is what *out breaks
 * with; ERR_NOSESSION also when there is no way there: then nothing of it was ever sent.
 */
int hop_peer_open(struct hop_peer *p, const struct visit *visit, struct wire **out) MUST_CHECK;

/* Those that wait for the connection break with ERR_NOSESSION. Running streams go on while their
 * connection lives, which is asked at once: a node may have lost its bus and nothing else. NULL is
 * allowed. */
void hop_peer_free(struct hop_peer *p);

#endif
