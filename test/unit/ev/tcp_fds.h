/* A TCP connection, for tests of what the kernel tells of one. */
#ifndef KAREZ_UNIT_EV_TCP_FDS_H
#define KAREZ_UNIT_EV_TCP_FDS_H

/* On loopback: fds[0] does not block, fds[1] does. The caller closes both. */
void tcp_fds(int fds[2]);

#endif
