/* Ending a connection so that our last words arrive. */
#ifndef KAREZ_WIRE_LINGER_H
#define KAREZ_WIRE_LINGER_H

#include "wire/wire.h"

/*
 * Take over a wire whose last bytes have been written: shut it, throw away what the peer still sends
 * until it has finished too or `ms` milliseconds are over, then close. Closing at once would reset the
 * connection when the peer is still sending, and our answer could be lost with it.
 *   max  bytes thrown away at most.
 * When memory is short it closes at once.
 */
void wire_linger(struct wire *w, uint32_t ms, size_t max);

#endif
