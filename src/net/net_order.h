/* In which order the addresses of one name are tried. */
#ifndef KAREZ_NET_NET_ORDER_H
#define KAREZ_NET_NET_ORDER_H

#include "net/net_addr.h"

/*
 * Alternate between the family of the first address and the other ones, so that a family that does
 * not work costs one attempt and not all of them; within a family the order stays.
 *   in   [n], as the resolver has sorted them (RFC 6724).
 *   out  [cap], not `in`.
 * Returns how many stand in out, cap at most. Source: RFC 8305 4 (First Address Family Count 1).
 */
size_t net_order(const struct net_addr *in, size_t n, struct net_addr *out, size_t cap);

#endif
