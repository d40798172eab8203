/*
 * Looking at what has come to a socket without taking it away: whoever is handed the descriptor
 * then finds all of it. All calls are non-blocking.
 */
#ifndef KAREZ_NET_NET_PEEK_H
#define KAREZ_NET_NET_PEEK_H

#include "base/util.h"

/*
 * Look at the first bytes that are there.
 *   cap  > 0.
 *   *n   bytes copied, > 0 on success.
 * Returns 0, ERR_AGAIN, ERR_EOF (nothing is there, and nothing more comes), or the connection's
 * error.
 */
int net_peek(int fd, void *to, size_t cap, size_t *n) MUST_CHECK;

/*
 * Take away what has been looked at.
 *   n  > 0, not more than net_peek() has shown.
 * Returns 0, ERR_PROTO (the kernel shows fewer now: urgent data stands between), or the
 * connection's error.
 */
int net_skip(int fd, size_t n) MUST_CHECK;

/*
 * The descriptor is readable only when n bytes are there, or the peer has finished: so who waits
 * for more is not told of the same bytes again and again. A unix socket does not know this, and a
 * kernel short of memory may tell too early. 1 is what sockets begin with. Source: socket(7),
 * SO_RCVLOWAT.
 */
void net_wait_for(int fd, size_t n);

/* Has the peer finished sending, also when what it sent has not been read yet? */
bool net_peer_finished(int fd);

#endif
