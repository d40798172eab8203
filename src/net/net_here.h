/* Where this machine is, for telling others. */
#ifndef KAREZ_NET_NET_HERE_H
#define KAREZ_NET_NET_HERE_H

#include "net/net_addr.h"

/*
 * The first address of this machine that other machines may reach: of an interface that is up, not
 * a loopback and not link-local.
 *   like  an address of the family that is wanted; of IPv6 IPv4 will do when there is none.
 *   *out  with the port of `like`.
 * Returns 0, ERR_NOTFOUND (there is none), ERR_INVAL (like is no IP address), or an ERR_* of the
 * kernel. Source: getifaddrs(3).
 */
int net_here(const struct net_addr *like, struct net_addr *out) MUST_CHECK;

#endif
