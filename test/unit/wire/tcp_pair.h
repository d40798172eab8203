/* Connected sockets on loopback, and wires over them: for tests on the real loop. */
#ifndef KAREZ_UNIT_WIRE_TCP_PAIR_H
#define KAREZ_UNIT_WIRE_TCP_PAIR_H

#include "wire/wire_tcp.h"

/* Two connected, non-blocking stream sockets; fails the test when there are none. */
void tcp_pair_fds(bool inet, int fds[2]);

/* The same as wires. */
void tcp_pair(struct ev *ev, bool inet, struct wire **a, struct wire **b);

#endif
