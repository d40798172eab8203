/*
 * Paths of URLs as paths of files: escapes undone and dots resolved in one place, before anybody
 * opens anything. Source: RFC 3986 2.1, 3.3, 5.2.4.
 */
#ifndef KAREZ_PROTO_URL_PATH_H
#define KAREZ_PROTO_URL_PATH_H

#include "base/buf.h"

/* What is left of a request's path and query. */
struct url_path {
	size_t len;  /* bytes of the path in the caller's memory, without its NUL */
	bool slash;  /* it named what is in a directory: it ended with "/", "/." or "/.." */
	bool hidden; /* one of its names starts with a dot; ".well-known" in front is no such */
	struct str query; /* with its "?"; empty: none. Borrowed from the input */
};

/*
 * Read the path and query that a request asks for.
 *   in   "/a%20b/../c/?q": begins with "/"; as in http_request.path.
 *   out  gets names that are not empty, "." or "..", joined by single slashes, with no slash at
 *        either end, NUL-terminated; "" is the root. A name is any bytes but "/" and NUL. "..",
 *        escaped or not, takes the name before it away; at the root it does nothing. "" after an
 *        error.
 *   cap  size of out in bytes, including the NUL; what is left of ".." must fit, too.
 * Returns 0, ERR_INVAL (no "/" in front, a "%" without two digits behind it, an escaped NUL),
 * ERR_NOTFOUND (a name with an escaped "/"), ERR_TOOBIG.
 */
int url_path_read(struct str in, char *out, size_t cap, struct url_path *p) MUST_CHECK;

/*
 * Append a path with its escapes: all but pchar and "/" as %XX.
 *   cap  as for buf_add().
 * Returns 0, ERR_TOOBIG, ERR_NOMEM; something may have been added then. Source: RFC 3986 3.3.
 */
int url_path_write(struct buf *b, size_t cap, struct str path) MUST_CHECK;

/* May this byte stand in a path as it is, as pchar or "/"? */
bool url_path_plain(char c);

#endif
