/* From a socket's address to an end of a visit. */
#ifndef KAREZ_INGRESS_VISIT_ADDR_H
#define KAREZ_INGRESS_VISIT_ADDR_H

#include "net/net_addr.h"
#include "proto/visit.h"

/* out: empty for a unix socket, and for an address that is not known. */
void visit_addr(const struct net_addr *a, struct visit_end *out);

#endif
