/* Asked for every connection: bytes to text, once, and nothing is read back from the text. */
#include "ingress/visit_addr.h"

#include <string.h>

void visit_addr(const struct net_addr *a, struct visit_end *out)
{
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff}; /* IPv4, mapped: see cidr.h */

	*out = (struct visit_end){.port = net_addr_port(a)};
	if (a->len == 0)
		return;
	if (a->sa.sa_family == AF_INET)
		memcpy(ip + 12, &a->in.sin_addr, 4);
	else if (a->sa.sa_family == AF_INET6)
		memcpy(ip, &a->in6.sin6_addr, sizeof ip);
	else
		return;
	cidr_ip_format(ip, out->ip);
}
