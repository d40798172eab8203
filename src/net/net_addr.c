/* Text to sockaddr and back, without names and without surprises. */
#include "net/net_addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"

int net_addr_from_ip(struct str ip, uint16_t port, struct net_addr *out)
{
	char text[INET6_ADDRSTRLEN];

	memset(out, 0, sizeof *out);
	if (str_find(ip, '\0') < ip.len || str_copy(text, sizeof text, ip) != 0)
		return ERR_INVAL;
	if (inet_pton(AF_INET, text, &out->in.sin_addr) == 1) {
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons(port);
		out->len = sizeof out->in;
		return 0;
	}
	if (inet_pton(AF_INET6, text, &out->in6.sin6_addr) == 1) {
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = htons(port);
		out->len = sizeof out->in6;
		return 0;
	}
	return ERR_INVAL;
}

static int net_addr_parse_unix(struct str path, struct net_addr *out)
{
	memset(out, 0, sizeof *out);
	if (path.len == 0 || str_find(path, '\0') < path.len)
		return ERR_INVAL;
	if (str_copy(out->un.sun_path, sizeof out->un.sun_path, path) != 0)
		return ERR_TOOBIG;
	out->un.sun_family = AF_UNIX;
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
	return 0;
}

int net_addr_parse(struct str text, struct net_addr *out)
{
	struct str ip, port;
	uint64_t n;

	if (str_starts(text, STR("unix:")))
		return net_addr_parse_unix((struct str){text.p + 5, text.len - 5}, out);
	if (text.len > 0 && text.p[0] == '[') {
		size_t close = str_find(text, ']');

		if (close + 1 >= text.len || text.p[close + 1] != ':')
			return ERR_INVAL;
		ip = (struct str){text.p + 1, close - 1};
		port = (struct str){text.p + close + 2, text.len - close - 2};
		if (str_find(ip, ':') == ip.len)
			return ERR_INVAL;
	} else {
		size_t colon = str_find(text, ':');

		if (colon == text.len)
			return ERR_INVAL;
		ip = (struct str){text.p, colon};
		port = (struct str){text.p + colon + 1, text.len - colon - 1};
	}
	if (num_parse(port, 65535, &n) != 0)
		return ERR_INVAL;
	if (ip.len == 0)
		ip = STR("::");
	return net_addr_from_ip(ip, (uint16_t)n, out);
}

const char *net_addr_ip(const struct net_addr *a, char out[NET_ADDR_TEXT])
{
	const void *raw = NULL;
	int family = AF_INET;

	out[0] = '\0';
	if (a->len == 0 || a->sa.sa_family == AF_UNIX)
		return out;
	if (a->sa.sa_family == AF_INET) {
		raw = &a->in.sin_addr;
	} else if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
		raw = &a->in6.sin6_addr.s6_addr[12];
	} else {
		raw = &a->in6.sin6_addr;
		family = AF_INET6;
	}
	inet_ntop(family, raw, out, NET_ADDR_TEXT);
	return out;
}

uint16_t net_addr_port(const struct net_addr *a)
{
	if (a->len == 0 || a->sa.sa_family == AF_UNIX)
		return 0;
	return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

/* The kernel ends a path of full length, or no path at all, by the length alone. */
static struct str net_addr_path(const struct net_addr *a)
{
	size_t before = offsetof(struct sockaddr_un, sun_path);
	size_t cap = a->len > before ? MIN(a->len - before, sizeof a->un.sun_path) : 0;
	struct str path = {a->un.sun_path, cap};

	path.len = str_find(path, '\0');
	return path;
}

const char *net_addr_format(const struct net_addr *a, char out[NET_ADDR_TEXT])
{
	char ip[NET_ADDR_TEXT];

	if (a->len == 0)
		str_printf(out, NET_ADDR_TEXT, "unknown");
	else if (a->sa.sa_family == AF_UNIX)
		str_printf(out, NET_ADDR_TEXT, "unix:" STR_FMT, STR_ARG(net_addr_path(a)));
	else if (strchr(net_addr_ip(a, ip), ':') != NULL)
		str_printf(out, NET_ADDR_TEXT, "[%s]:%u", ip, net_addr_port(a));
	else
		str_printf(out, NET_ADDR_TEXT, "%s:%u", ip, net_addr_port(a));
	return out;
}

bool net_addr_is_any(const struct net_addr *a)
{
	if (a->len == 0 || a->sa.sa_family == AF_UNIX)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == 0;
	return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

bool net_addr_is_loopback(const struct net_addr *a)
{
	if (a->len == 0)
		return false;
	if (a->sa.sa_family == AF_UNIX)
		return true;
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return a->in6.sin6_addr.s6_addr[12] == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}
