/* Reading, writing and tuning one connected socket. All calls are non-blocking. */
#ifndef KAREZ_NET_NET_SOCK_H
#define KAREZ_NET_NET_SOCK_H

#include <sys/uio.h>

#include "net/net_addr.h"

/*
 * Read what is there.
 *   cap  > 0.
 *   *n   bytes read, > 0 on success.
 * Returns 0, ERR_AGAIN, ERR_EOF, or the connection's error.
 */
int net_read(int fd, void *to, size_t cap, size_t *n) MUST_CHECK;

/* The same with flags of recv(2). */
int net_recv(int fd, void *to, size_t cap, int flags, size_t *n) MUST_CHECK;

/*
 * Write what the kernel takes now.
 *   *n  bytes taken, may be fewer than offered.
 * Returns 0, ERR_AGAIN (nothing taken), or the connection's error.
 */
int net_write(int fd, const struct iovec *iov, int n_iov, size_t *n) MUST_CHECK;

/* Send FIN after what was written. */
void net_shut(int fd);

/* Close; with `reset` the peer gets RST at once and what it has not read is lost. */
void net_close(int fd, bool reset);

/* The error a failed or just connected socket holds: 0 or an ERR_*. */
int net_error(int fd);

/* What a socket is for decides how the kernel should treat it. */
enum net_use {
	NET_VISITOR, /* accepted, many: tuned by their listener, whose options they inherit */
	NET_TARGET,  /* dialled, short-lived: TCP_NODELAY */
	NET_SESSION, /* few, precious: also TCP_NOTSENT_LOWAT, TCP_USER_TIMEOUT, a quick keepalive */
};

/*
 * Bytes handed to the kernel but not yet sent, at most, on a session's socket: what an urgent frame
 * may have to wait behind. Source: doc/decisions, dataplane measurements (64 KiB: 35 ms beside
 * bulk, without: 166 ms).
 */
#define NET_NOTSENT_LOWAT (128 * 1024)

/* Silence of a session's peer, in milliseconds, after which the kernel gives up on unacknowledged
 * data. */
#define NET_USER_TIMEOUT_MS 15000

/* Harmless on unix sockets. */
void net_tune(int fd, enum net_use use);

/*
 * On: what is written waits until it fills a segment; off: what has waited is sent. For many small
 * writes by a library that writes one by one. To be off again when the turn ends: by itself the
 * kernel sends after 200 ms. Harmless on unix sockets. Source: tcp(7), TCP_CORK.
 */
void net_cork(int fd, bool on);

/* A listening TCP socket shall show a connection when there is something to read from it, or after
 * a second of silence. */
void net_defer(int fd);

/* Whose process is at the other end of a unix socket: the user id it had when it connected, or
 * listened. Returns 0 or ERR_UNSUPPORTED. Source: unix(7), SO_PEERCRED. */
int net_peer_uid(int fd, uid_t *out) MUST_CHECK;

/* The local or the remote end; len 0 when the kernel does not say. */
void net_local(int fd, struct net_addr *out);
void net_peer(int fd, struct net_addr *out);

#endif
