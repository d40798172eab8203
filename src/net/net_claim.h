/*
 * Numbers that one process of several has: a file that all of them open, and a lock on one byte of
 * it for each number. Who dies has none any more. For ports, whose sockets do not say whether a
 * process of ours has them or a stranger.
 * Source: fcntl(2), F_OFD_SETLK.
 */
#ifndef KAREZ_NET_NET_CLAIM_H
#define KAREZ_NET_NET_CLAIM_H

#include "base/util.h"

/*
 * Open the file, or make it (mode 0600).
 *   *fd  owned by the caller; closing it gives up all numbers.
 * Returns 0, ERR_DENIED, ERR_NOFILE, ERR_IO, or what the system says.
 */
int net_claim_open(const char *path, int *fd) MUST_CHECK;

/* Have a number; once for each process. Returns 0, or ERR_INUSE: another one has it. */
int net_claim_take(int fd, uint32_t number) MUST_CHECK;

/* Harmless when it is not ours. */
void net_claim_drop(int fd, uint32_t number);

#endif
