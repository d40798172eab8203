/* A server that listens everywhere has to tell others one address, and nobody has told it which. */
#include "net/net_here.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/err.h"

static bool here_is_link_local(const struct sockaddr *sa)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sa;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sa;

	if (sa->sa_family == AF_INET6)
		return IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
	return ntohl(v4->sin_addr.s_addr) >> 16 == 0xa9fe; /* 169.254.0.0/16, RFC 3927 */
}

static bool here_is_fit(const struct ifaddrs *i, int family)
{
	return i->ifa_addr != NULL && i->ifa_addr->sa_family == family &&
	       (i->ifa_flags & IFF_UP) != 0 && (i->ifa_flags & IFF_LOOPBACK) == 0 &&
	       !here_is_link_local(i->ifa_addr);
}

static int here_find(const struct ifaddrs *all, int family, uint16_t port, struct net_addr *out)
{
	char ip[NET_ADDR_TEXT];

	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct net_addr a = {.len = 0};

		if (!here_is_fit(i, family))
			continue;
		a.len = family == AF_INET ? sizeof a.in : sizeof a.in6;
		if (family == AF_INET)
			a.in = *(const struct sockaddr_in *)(const void *)i->ifa_addr;
		else
			a.in6 = *(const struct sockaddr_in6 *)(const void *)i->ifa_addr;
		return net_addr_from_ip(str_of(net_addr_ip(&a, ip)), port, out);
	}
	return ERR_NOTFOUND;
}

int net_here(const struct net_addr *like, struct net_addr *out)
{
	int family = like->sa.sa_family, e;
	struct ifaddrs *all;

	if (like->len == 0 || (family != AF_INET && family != AF_INET6))
		return ERR_INVAL;
	if (getifaddrs(&all) != 0)
		return err_from_errno(errno);
	e = here_find(all, family, net_addr_port(like), out);
	if (e == ERR_NOTFOUND && family == AF_INET6)
		e = here_find(all, AF_INET, net_addr_port(like), out);
	freeifaddrs(all);
	return e;
}
