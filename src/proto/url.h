/* Server URLs, and the targets that people name on the command line. */
#ifndef KAREZ_PROTO_URL_H
#define KAREZ_PROTO_URL_H

#include "proto/hostname.h"

enum url_scheme {
	URL_HTTP,
	URL_HTTPS,
	URL_TCP,
	URL_TLS,
	URL_UNIX,     /* a socket in the file system */
	URL_FILE,     /* a directory, shown by the agent itself */
	URL_SERVICES, /* the page on which an agent lists what it serves */
};

enum {
	URL_PATH_MAX = 1023, /* bytes of a path */
	URL_UNIX_MAX = 107,  /* bytes of a socket's path: sun_path without its NUL (unix(7)) */
	/* Bytes of a URL as text, NUL included: scheme, "://", brackets, host, ":65535", path. */
	URL_TEXT_MAX = 8 + HOSTNAME_MAX + 2 + 6 + URL_PATH_MAX + 1,
};

/* A value; copy it freely. */
struct url {
	enum url_scheme scheme;
	enum hostname_kind kind;     /* of host */
	char host[HOSTNAME_MAX + 1]; /* lower case, no brackets, no trailing dot */
	uint16_t port;		     /* given, or the scheme's own; 0 only if url_is_local() */
	bool websocket;		     /* ws:// or wss:// was written (scheme is URL_HTTP(S)) */
	/* Starts with '/'; "/" if none was given. URL_UNIX: of the socket, as it is; URL_FILE: of
	 * the directory, with escapes. */
	char path[URL_PATH_MAX + 1];
};

/*
 * Read a URL with its scheme: http, https, ws, wss (ports 80, 443), tcp, tls, tcps (the same as
 * tls; port required), unix:/path, file:///path or file:/path (absolute, no host), karez+services:
 * (which nobody writes: see agent/site_index.h). The scheme's case does not matter.
 *   *why  NULL, or set on failure to a static clause for a person ("the port must be 1-65535").
 * Returns 0 or ERR_INVAL. Query, fragment, user information, controls, and but for unix: and file:
 * spaces and bytes >= 0x80 are refused; so is a path on tcp and tls. Source: RFC 3986 3, RFC 8089
 * 2.
 */
int url_parse(struct str s, struct url *out, const char **why) MUST_CHECK;

/*
 * Read a person's TARGET: PORT (of "localhost"), HOST:PORT, [IPV6]:PORT, or a URL.
 *   bare  the scheme of a target that is written without one: URL_HTTP or URL_TCP. A URL has its
 *         own, whatever it is: who serves only some of them looks at out->scheme.
 *   *why  as in url_parse().
 * Returns 0 or ERR_INVAL.
 */
int url_parse_target(struct str s, enum url_scheme bare, struct url *out,
		     const char **why) MUST_CHECK;

/* Is it on this machine, with no host, no port and no address? */
bool url_is_local(const struct url *u);

/* The path of a URL_FILE without its escapes: NUL-terminated bytes, as open() takes them. */
void url_file_path(const struct url *u, char out[URL_PATH_MAX + 1]);

/* Is TLS spoken to it? */
bool url_is_tls(const struct url *u);

/* The port that the scheme means by itself; 0 if none. */
uint16_t url_default_port(enum url_scheme scheme);

/*
 * Write HOST or HOST:PORT, IPv6 in brackets, the scheme's own port left out: a Host value.
 * Returns the length of the NUL-terminated text; empty if url_is_local().
 */
size_t url_format_authority(const struct url *u, char out[HOSTNAME_AUTHORITY_MAX + 1]);

/*
 * Write the whole URL; url_parse() reads it back to the same value. A path of "/" is left out.
 * Returns the length of the NUL-terminated text.
 */
size_t url_format(const struct url *u, char out[URL_TEXT_MAX]);

#endif
