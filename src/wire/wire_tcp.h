/* A wire over a connected stream socket, TCP or unix. */
#ifndef KAREZ_WIRE_WIRE_TCP_H
#define KAREZ_WIRE_WIRE_TCP_H

#include "net/net_sock.h"
#include "wire/wire.h"

/*
 * Make a wire of a connected descriptor.
 *   fd   non-blocking; owned by the wire on success, untouched on failure.
 *   use  how the kernel should treat it.
 * Returns 0, ERR_NOMEM or an error of the kernel.
 */
int wire_tcp_new(struct ev *ev, int fd, enum net_use use, struct wire **out) MUST_CHECK;

/* For a connection that a library writes to and that is no wire: as net_cork() has it. */
static inline void wire_tcp_cork(int fd, bool on)
{
	net_cork(fd, on);
}

#endif
