/* The core's questions to the DNS, answered by net_dns. */
#ifndef KAREZ_APP_RESOLVER_H
#define KAREZ_APP_RESOLVER_H

#include "core/core.h"
#include "net/net_dns.h"

/* dns: borrowed: outlives the core. */
struct core_resolver resolver_of(struct net_dns *dns);

#endif
