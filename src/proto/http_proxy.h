/* The HTTP proxy on the way to a server: how people write it, and which servers it is spared for.
 */
#ifndef KAREZ_PROTO_HTTP_PROXY_H
#define KAREZ_PROTO_HTTP_PROXY_H

#include "base/base64.h"
#include "proto/url.h"

enum {
	HTTP_PROXY_USER_MAX = 255, /* bytes of a user's name, and of a password */
	/* Bytes of the proxy's URL without its path: scheme, host in brackets, port, NUL. */
	HTTP_PROXY_TEXT = 8 + HOSTNAME_MAX + 2 + 6 + 1,
	/* Bytes of "Basic ..." for the longest of both, NUL included. */
	HTTP_PROXY_BASIC = 6 + BASE64_TEXT(2 * HTTP_PROXY_USER_MAX + 1),
};

/* A value. Whoever has one with a password shows it by http_proxy_format() only. */
struct http_proxy {
	struct url url; /* http or https; its path is "/" */
	bool login;	/* there is a user, whose password may be empty */
	char user[HTTP_PROXY_USER_MAX + 1], password[HTTP_PROXY_USER_MAX + 1];
};

/*
 * Read "http://proxy.example:3128", "https://user:password@proxy.example", or without a scheme
 * "proxy.example:3128", which means http. Without a port it is the scheme's. User and password are
 * percent-decoded, without control characters; the user has no ':'.
 *   s     [len] bytes.
 *   *out  set on success.
 *   *why  NULL, or set on failure to a static clause for a person, which repeats nothing of s.
 * Returns 0 or ERR_INVAL (SOCKS, for instance). Source: RFC 3986 3.2.1, 2.1.
 */
int http_proxy_parse(struct str s, struct http_proxy *out, const char **why) MUST_CHECK;

/* The URL without user and password. Returns its length. */
size_t http_proxy_format(const struct http_proxy *p, char out[HTTP_PROXY_TEXT]);

/*
 * The value of Proxy-Authorization, "Basic ...". Whoever has it wipes it. p->login must be true.
 * Returns the length of the NUL-terminated text. Source: RFC 7617 2.
 */
size_t http_proxy_basic(const struct http_proxy *p, char out[HTTP_PROXY_BASIC]);

/*
 * Is this server to be reached without a proxy?
 *   no_proxy  names and addresses between commas or spaces, as NO_PROXY has them: "*" is
 *             everything; "example.org", ".example.org" and "*.example.org" are that name and all
 *             below it; an IP address; a block of addresses, "10.0.0.0/8"; each but a block may
 *             have a port behind it, "[::1]:8080". What is none of these matches nothing. Names are
 *             not resolved.
 * Source: curl's --noproxy, and what https://about.gitlab.com/blog/we-need-to-talk-no-proxy/ finds
 * common to curl, wget, Go, Python and Ruby.
 */
bool http_proxy_is_spared(struct str no_proxy, const struct url *server);

#endif
