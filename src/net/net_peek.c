/* The system calls behind a look: the same socket is read by somebody else later. */
#include "net/net_peek.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/err.h"
#include "net/net_sock.h"

int net_peek(int fd, void *to, size_t cap, size_t *n)
{
	return net_recv(fd, to, cap, MSG_PEEK, n);
}

int net_skip(int fd, size_t n)
{
	char gone[512];

	while (n > 0) {
		size_t got = 0;
		int e = net_read(fd, gone, MIN(n, sizeof gone), &got);

		if (e != 0)
			return e == ERR_AGAIN || e == ERR_EOF ? ERR_PROTO : e;
		n -= got;
	}
	return 0;
}

void net_wait_for(int fd, size_t n)
{
	int value = (int)MIN(n, (size_t)1 << 20);

	/* where it is not known, the owner's timer looks again */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value);
}

bool net_peer_finished(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}
