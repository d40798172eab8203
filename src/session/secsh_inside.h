/* What the files of the node's side of SSH share: private to session/secsh*. */
#ifndef KAREZ_SESSION_SECSH_INSIDE_H
#define KAREZ_SESSION_SECSH_INSIDE_H

#include "proto/hostname.h"
#include "session/secsh_wire.h"

/* Algorithms of both sides, best first; libssh leaves out what it does not know. */
#define SECSH_KEX \
	"sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org"
#define SECSH_HOST_KEY_ALGORITHMS "ssh-ed25519,rsa-sha2-512,rsa-sha2-256"
#define SECSH_CIPHERS                                                                             \
	"chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes256-ctr," \
	"aes128-ctr"
#define SECSH_MACS "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com"

/* Requests of somebody who has not proven anything; offers of keys are among them. */
#define SECSH_AUTH_REQUESTS_MAX 128
/* Packets of such a one: some methods libssh refuses by itself, at a cost. */
#define SECSH_AUTH_PACKETS_MAX 512
/* A request that libssh leaves without an answer is given up after so long. */
#define SECSH_AUTH_SILENCE_MS 1000
/* Bytes that such a request has at least: a shorter packet asks for nothing. */
#define SECSH_AUTH_REQUEST_LEAST 64
/* While an answer to a request is due, the peer hears of us so often, and sends no keepalive, which
 * libssh would answer first. */
#define SECSH_CALM_MS 500
/* Nor is anything read from it while only we are to speak; but not longer than this, because its
 * visitors wait, too. */
#define SECSH_HUSH_MS 2000

/* A request for a forward, or to end one, whose answer has not been sent. */
struct secsh_request {
	struct list link; /* in node->waiting, in the order they came */
	uint64_t id;
	ssh_message message; /* owned */
	bool cancel, answered;
	int e;
	uint16_t port; /* what was answered */
	char tunnel[HOSTNAME_MAX + 1];
};

/* A forward that the peer has been granted. */
struct secsh_forward {
	struct list link; /* in node->forwards, oldest first */
	uint64_t id;
	char *address; /* owned: exactly as it was asked for */
	uint16_t port; /* where it listens */
	char tunnel[HOSTNAME_MAX + 1];
};

/* The channel that a person looks at. */
struct secsh_screen {
	struct wire *wire; /* owned; NULL: nobody looks */
	struct buf out;	   /* not taken by the wire; at most SECSH_SCREEN_MAX */
	bool terminal;	   /* a pty was asked for */
	bool worded;	   /* words() has been told */
	bool ended;	   /* the peer types no more */
	bool leaving;	   /* to be ended when out is empty */
	int status;
};

struct secsh_node {
	struct secsh_link link; /* first: the two are the same pointer */
	const struct secsh_node_owner *owner;
	void *arg;
	unsigned methods, tries_max;
	const char *prompt;
	char peer[128];

	bool admitted;
	ssh_message login; /* owned: waits for secsh_node_admit() */
	enum secsh_method method;
	bool none_tried, asked; /* SECSH_NONE was refused; a token has been asked for */
	unsigned n_refused, n_requests;
	char user[SECSH_USER_MAX + 1];
	uint64_t seen_packets, seen_bytes; /* when the peer's last request was looked at */
	struct ev_timer silence;
	char *banner; /* owned: the last one */

	struct list waiting, forwards;
	size_t n_waiting, n_forwards;
	uint64_t last_id;
	bool answering;
	struct ev_timer calm, hush;

	struct secsh_screen screen;
};

static inline struct secsh_node *secsh_node_of(const struct session *s)
{
	return (struct secsh_node *)(uintptr_t)s;
}

/* secsh_keys.c */
ssh_bind secsh_keys_bind(const struct secsh_keys *k);
/* What sessions of this kind offer. Returns false when libssh knows none of it, or memory is short.
 */
bool secsh_keys_offer(ssh_bind bind);

/* secsh_login.c */
void secsh_login_on_message(struct secsh_node *n, ssh_message m);
/* The pump has run: was there a request that libssh keeps to itself? */
void secsh_login_on_turn(struct secsh_node *n);
void secsh_login_release(struct secsh_node *n);

/* secsh_forward.c */
void secsh_forward_on_message(struct secsh_node *n, ssh_message m);
int secsh_forward_open(struct session *s, const struct visit *visit, struct wire **out) MUST_CHECK;
void secsh_forward_release(struct secsh_node *n);

/* secsh_screen.c */
void secsh_screen_on_open(struct secsh_node *n, ssh_message m);
void secsh_screen_on_request(struct secsh_node *n, ssh_message m);
void secsh_screen_release(struct secsh_node *n);

#endif
