/*
 * One sendmsg() or recvmsg() for each message. The kernel keeps a descriptor that is on its way: if
 * the receiver dies before it has taken it, it is closed there.
 */
#include "net/net_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

/* Others of ours who connect at the same moment. */
#define NET_FD_BACKLOG 128

/* Room for more descriptors than may come, so that those can be closed. */
#define NET_FD_ROOM 8

static int net_fd_socket(const char *path, struct sockaddr_un *addr, int *fd)
{
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (str_copy(addr->sun_path, sizeof addr->sun_path, str_of(path)) != 0)
		return ERR_TOOBIG;
	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return *fd < 0 ? err_from_errno(errno) : 0;
}

static int net_fd_fail(int *fd, int e)
{
	close(*fd);
	*fd = -1;
	return e;
}

/* A directory that others cannot enter is the first lock, this is the second. */
static bool net_fd_is_ours(int fd)
{
	struct ucred who;
	socklen_t len = sizeof who;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == geteuid();
}

int net_fd_listen(const char *path, int *out)
{
	struct sockaddr_un addr;
	int e = net_fd_socket(path, &addr, out);

	if (e != 0)
		return e;
	if (bind(*out, (struct sockaddr *)&addr, sizeof addr) != 0 ||
	    listen(*out, NET_FD_BACKLOG) != 0)
		return net_fd_fail(out, err_from_errno(errno));
	return 0;
}

int net_fd_accept(int listener, int *out)
{
	do {
		*out = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (*out < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (*out < 0)
		return err_from_errno(errno);
	return net_fd_is_ours(*out) ? 0 : net_fd_fail(out, ERR_DENIED);
}

int net_fd_dial(const char *path, int *out)
{
	struct sockaddr_un addr;
	int e = net_fd_socket(path, &addr, out);

	if (e != 0)
		return e;
	if (connect(*out, (struct sockaddr *)&addr, sizeof addr) != 0)
		return net_fd_fail(out, err_from_errno(errno));
	return net_fd_is_ours(*out) ? 0 : net_fd_fail(out, ERR_DENIED);
}

int net_fd_send(int sock, int fd, const void *msg, size_t len)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	CHECK(len > 0 && len <= NET_FD_MESSAGE_MAX);
	if (fd >= 0) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
		m.msg_control = &control;
		m.msg_controllen = sizeof control;
	}
	while (sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		if (errno != EINTR)
			return err_from_errno(errno);
	return 0;
}

int net_fd_copy(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* The one that came; more than one is closed, all of them. Returns 0 or ERR_PROTO. */
static int net_fd_take(struct msghdr *m, int *fd)
{
	int all[NET_FD_ROOM], n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		bytes = MIN(bytes, sizeof all);
		memcpy(all, CMSG_DATA(c), bytes);
		n = (int)(bytes / sizeof(int));
	}
	if (n == 1 && !(m->msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
		*fd = all[0];
		return 0;
	}
	for (int i = 0; i < n; i++)
		close(all[i]);
	return n == 0 && !(m->msg_flags & (MSG_CTRUNC | MSG_TRUNC)) ? 0 : ERR_PROTO;
}

int net_fd_recv(int sock, struct net_fd_message *out)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(NET_FD_ROOM * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = out->bytes, .iov_len = sizeof out->bytes};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof control};
	ssize_t n;

	out->fd = -1;
	out->len = 0;
	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_from_errno(errno);
	out->len = (size_t)n;
	if (net_fd_take(&m, &out->fd) != 0)
		return ERR_PROTO;
	if (n > 0)
		return 0;
	if (out->fd >= 0)
		return net_fd_fail(&out->fd, ERR_PROTO); /* nobody sends this */
	return ERR_EOF;
}
