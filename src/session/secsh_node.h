/*
 * The node's side of SSH: a stock client that has dialled us becomes a session. It proves who it
 * is, asks for forwards (RFC 4254 7.1), may open one channel for a person to look at, and every
 * visitor is one "forwarded-tcpip" channel.
 *
 * All texts that come from the peer may hold any bytes. What the peer may not do (channels before
 * it is admitted, -L, -D, X11, agent forwarding, subsystems) is refused here, and told by
 * refused(). Source: RFC 4252, RFC 4254, RFC 4256; doc/ssh.md.
 */
#ifndef KAREZ_SESSION_SECSH_NODE_H
#define KAREZ_SESSION_SECSH_NODE_H

#include "session/secsh_keys.h"
#include "session/secsh_share.h"
#include "session/session.h"

/* Forwards of one session, streams of one session, and requests that wait for their answer: more
 * than there can be forwards, so that who asks for too many at once is refused some. */
#define SECSH_FORWARDS_MAX 64
#define SECSH_STREAMS_MAX  4096
#define SECSH_WAITING_MAX  128
/* Bytes of what a peer says: its user name, an address to listen on, a command. */
#define SECSH_USER_MAX	  256
#define SECSH_ADDRESS_MAX 256
#define SECSH_COMMAND_MAX 4096
/* Bytes for the person that wait to be sent; more are dropped. */
#define SECSH_SCREEN_MAX (64 * 1024)
/* A ping is sent after this much silence; this much silence is death. */
#define SECSH_PING_MS 5000
#define SECSH_DEAD_MS 15000

enum secsh_method {
	SECSH_NONE,  /* nothing is proven */
	SECSH_KEY,   /* a public key or certificate, whose signature is good */
	SECSH_TOKEN, /* a text that was asked for (keyboard-interactive) */
	SECSH_METHODS,
};

/* Somebody tries to prove who they are. Borrowed for the call. */
struct secsh_login {
	enum secsh_method method;
	struct str user; /* at most SECSH_USER_MAX bytes */
	struct str blob; /* SECSH_KEY: the key, or the certificate, as RFC 4253 6.6 has it */
	struct str text; /* SECSH_TOKEN: what was typed */
};

struct secsh_node_owner {
	/* Whoever it is waits for secsh_node_admit(), now or later; nothing else comes before. */
	void (*login)(void *arg, const struct secsh_login *l);
	/*
	 * Somebody who was admitted asks for visitors; answer by secsh_node_forwarded().
	 *   id       never twice in one session; answers may come in any order, the peer gets them
	 *            in the order of its requests.
	 *   address  as it came, at most SECSH_ADDRESS_MAX bytes, borrowed for the call.
	 */
	void (*forward)(void *arg, uint64_t id, struct str address, uint16_t port);
	/*
	 * A request for visitors was refused without asking; there is nothing to answer.
	 *   e        ERR_LIMIT: it is more than SECSH_FORWARDS_MAX; ERR_INUSE: the session has this
	 *            one already; ERR_INVAL: the address has more than SECSH_ADDRESS_MAX bytes.
	 *   address  as it came, any length, borrowed for the call.
	 */
	void (*unforwarded)(void *arg, int e, struct str address, uint16_t port);
	/* A forward ends by the peer's wish; its running streams go on. id: of the request. */
	void (*cancelled)(void *arg, uint64_t id);
	/* A channel for a person was opened: words() will follow. At most one at a time. */
	void (*looking)(void *arg);
	/*
	 * A shell or a command was asked for.
	 *   command   empty for a shell; at most SECSH_COMMAND_MAX bytes; borrowed for the call.
	 *   terminal  a pty was asked for: lines end with CR LF, keys come one by one.
	 */
	void (*words)(void *arg, struct str command, bool terminal);
	/* The person typed something (borrowed), or has closed the channel: len 0. */
	void (*typed)(void *arg, struct str bytes);
	/* The peer asked for what nobody gets: "direct-tcpip", "x11-req", "subsystem sftp"...
	 * (borrowed; printable ASCII). */
	void (*refused)(void *arg, const char *what);
	/*
	 * The session is dead, as session_owner.closed has it; before secsh_node_admit(true), too.
	 */
	void (*closed)(void *arg, int why, struct str reason);
};

struct secsh_node_opt {
	struct secsh_keys *keys;   /* borrowed: outlives the session */
	struct secsh_share *share; /* borrowed, the same; of all sessions of the node */
	unsigned methods;   /* bits 1 << SECSH_*: what is offered; SECSH_NONE is tried by most
			       clients first and has to be admitted, too */
	unsigned tries_max; /* refused logins, but for the first SECSH_NONE; then it ends */
	const char *prompt; /* for SECSH_TOKEN; borrowed: lives as long as the session */
	const struct secsh_node_owner *owner;
	void *arg;
};

/*
 * Start a session with whoever has dialled.
 *   fd  a connected TCP socket, non-blocking; the session's on success, untouched on failure.
 * Returns 0 or ERR_NOMEM. session_open() returns ERR_DRAIN, ERR_LIMIT, ERR_NOTFOUND (no forward for
 * this tunnel), ERR_NOMEM; session_tell() ERR_UNSUPPORTED. The owner of the struct session is not
 * used: secsh_node_owner is told instead. session_drain() only notes it: a stock client cannot be
 * asked to go elsewhere, and its visitors are served until session_close(). session_close()'s reason is shown to the peer: on its
 * screen, and in the message that ends the connection.
 */
int secsh_node_new(struct ev *ev, int fd, const struct secsh_node_opt *opt,
		   struct session **out) MUST_CHECK;

/*
 * Answer a login. May be called inside login().
 *   ok      false: refused; the peer may try again until tries_max.
 *   banner  shown to the person before the next try (RFC 4252 5.4), NUL-terminated ASCII with LF;
 * or NULL. The same one twice in a row is shown once.
 */
void secsh_node_admit(struct session *s, bool ok, const char *banner);

/*
 * Answer a request for a forward. May be called inside forward().
 *   e       0, or why not: the peer gets SSH_MSG_REQUEST_FAILURE.
 *   port    where it listens; told to the peer only if it asked for port 0 (RFC 4254 7.1).
 *   tunnel  visits for this tunnel become streams of this forward from now on; copied. Several
 *           forwards may have one tunnel: the oldest gets the visits.
 */
void secsh_node_forwarded(struct session *s, uint64_t id, int e, uint16_t port, const char *tunnel);

/*
 * The answer to this request for a forward depends on nothing any more that the peer has to say. So
 * nothing is read until it is given, or SECSH_HUSH_MS have passed: libssh answers other requests by
 * itself and at once, and answers carry no number (RFC 4254 4).
 */
void secsh_node_hush(struct session *s, uint64_t id);

/* The tunnel has been taken away: no visits for it any more; running streams go on. */
void secsh_node_unforward(struct session *s, const char *tunnel);

/* Show text to the person, if one is looking. LF becomes CR LF on a terminal.
 * Returns false if it was dropped: nobody looks, or too much waits. */
bool secsh_node_say(struct session *s, struct str text);

/* End the person's channel with an exit status; the session goes on. */
void secsh_node_leave(struct session *s, int status);

/* "SSH-2.0-OpenSSH_9.2p1", as the peer calls itself, printable ASCII; "" while it is not known. */
const char *secsh_node_peer(const struct session *s);

#endif
