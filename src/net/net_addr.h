/* Socket addresses as values: IPv4, IPv6, unix. */
#ifndef KAREZ_NET_NET_ADDR_H
#define KAREZ_NET_NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/str.h"

#define NET_ADDR_TEXT 128 /* bytes that any formatted address fits in, NUL included */

struct net_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
	socklen_t len; /* 0: unknown */
};

/*
 * Parse "IP:PORT", "[IPv6]:PORT", ":PORT" (every address) or "unix:/path"; host names are not
 * resolved. Returns 0, ERR_INVAL, or ERR_TOOBIG (a path that does not fit).
 */
int net_addr_parse(struct str text, struct net_addr *out) MUST_CHECK;

/* From an IP literal without brackets, and a port. Returns 0 or ERR_INVAL. */
int net_addr_from_ip(struct str ip, uint16_t port, struct net_addr *out) MUST_CHECK;

/* "1.2.3.4:80", "[::1]:80", "unix:/path" or "unknown"; IPv4-mapped IPv6 is shown as IPv4. */
const char *net_addr_format(const struct net_addr *a, char out[NET_ADDR_TEXT]);

/* The address alone, without brackets or port: "1.2.3.4", "::1"; "" for unix and unknown. */
const char *net_addr_ip(const struct net_addr *a, char out[NET_ADDR_TEXT]);

/* 0 for unix and unknown. */
uint16_t net_addr_port(const struct net_addr *a);

/* "Every address of this machine": 0.0.0.0 or ::? */
bool net_addr_is_any(const struct net_addr *a);

/* An address that only this machine reaches? */
bool net_addr_is_loopback(const struct net_addr *a);

#endif
