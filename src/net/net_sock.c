/* The system calls of one socket, and what errno means. */
#include "net/net_sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

int net_recv(int fd, void *to, size_t cap, int flags, size_t *n)
{
	ssize_t got;

	do
		got = recv(fd, to, cap, flags | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_from_errno(errno);
	if (got == 0)
		return ERR_EOF;
	*n = (size_t)got;
	return 0;
}

int net_read(int fd, void *to, size_t cap, size_t *n)
{
	return net_recv(fd, to, cap, 0, n);
}

int net_write(int fd, const struct iovec *iov, int n_iov, size_t *n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
			     .msg_iovlen = (size_t)n_iov};
	ssize_t put;

	*n = 0;
	do
		put = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put < 0)
		return err_from_errno(errno);
	*n = (size_t)put;
	return 0;
}

void net_shut(int fd)
{
	shutdown(fd, SHUT_WR);
}

void net_close(int fd, bool reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (fd < 0)
		return;
	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}

int net_error(int fd)
{
	int errnum = 0;
	socklen_t len = sizeof errnum;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) != 0)
		return err_from_errno(errno);
	return errnum == 0 ? 0 : err_from_errno(errnum);
}

static void net_set(int fd, int level, int name, int value)
{
	/* Tuning: a kernel or a unix socket that refuses it works without. */
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

void net_tune(int fd, enum net_use use)
{
	net_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (use == NET_TARGET)
		return;
	net_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	net_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, use == NET_SESSION ? 15 : 60);
	net_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, use == NET_SESSION ? 5 : 15);
	net_set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	if (use == NET_VISITOR)
		return;
	net_set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NET_NOTSENT_LOWAT);
	net_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, NET_USER_TIMEOUT_MS);
}

void net_cork(int fd, bool on)
{
	net_set(fd, IPPROTO_TCP, TCP_CORK, on);
}

void net_defer(int fd)
{
	net_set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1); /* seconds, in steps of repeated SYN-ACKs */
}

void net_local(int fd, struct net_addr *out)
{
	memset(out, 0, sizeof *out);
	out->len = sizeof(struct sockaddr_un);
	if (getsockname(fd, &out->sa, &out->len) != 0)
		out->len = 0;
}

void net_peer(int fd, struct net_addr *out)
{
	memset(out, 0, sizeof *out);
	out->len = sizeof(struct sockaddr_un);
	if (getpeername(fd, &out->sa, &out->len) != 0)
		out->len = 0;
}

int net_peer_uid(int fd, uid_t *out)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || cred.uid == (uid_t)-1)
		return ERR_UNSUPPORTED;
	*out = cred.uid;
	return 0;
}
