/*
 * Handing an open descriptor to another process of this machine: sockets with a path that keep the
 * borders of messages, each of which may bring one descriptor. Who is on the other side is of our
 * own user, or the connection does not come to be. All calls are non-blocking.
 * Source: unix(7), SOCK_SEQPACKET, SCM_RIGHTS, SO_PEERCRED.
 */
#ifndef KAREZ_NET_NET_FD_H
#define KAREZ_NET_NET_FD_H

#include "base/util.h"

/* Bytes of a message. */
#define NET_FD_MESSAGE_MAX 4096

/*
 * Listen at a path, which must not be there; what is left of a dead process is the caller's to
 * remove. Only our user may connect.
 *   *out  the socket, to be accepted from when it is readable.
 * Returns 0, ERR_TOOBIG (the path is too long), ERR_INUSE, ERR_DENIED, ERR_NOFILE, ERR_IO.
 */
int net_fd_listen(const char *path, int *out) MUST_CHECK;

/* Returns 0, ERR_AGAIN (nobody is there), ERR_DENIED (somebody else's process was, and is gone
 * again), ERR_NOFILE, ERR_IO. */
int net_fd_accept(int listener, int *out) MUST_CHECK;

/* Connect. Returns 0, ERR_TOOBIG, ERR_REFUSED (nobody is there), ERR_AGAIN (it does
 * not accept), ERR_DENIED (it is somebody else's), ERR_NOFILE, ERR_IO. */
int net_fd_dial(const char *path, int *out) MUST_CHECK;

/*
 * Send a message.
 *   fd   goes with it, and stays open here; -1: none.
 *   len  1 to NET_FD_MESSAGE_MAX.
 * Returns 0, ERR_AGAIN (it does not read), or the connection's error; nothing was sent then.
 */
int net_fd_send(int sock, int fd, const void *msg, size_t len) MUST_CHECK;

/* The same open file once more, closed on exec: one for us, one to be sent. -1: ERR_NOFILE. */
int net_fd_copy(int fd) MUST_CHECK;

/* A message. */
struct net_fd_message {
	int fd; /* the caller's, closed on exec; -1: none came */
	size_t len;
	char bytes[NET_FD_MESSAGE_MAX];
};

/* Returns 0, ERR_AGAIN, ERR_EOF, ERR_PROTO (too long, more than one descriptor, or one without
 * bytes: all of it is gone), or the connection's error. */
int net_fd_recv(int sock, struct net_fd_message *out) MUST_CHECK;

#endif
