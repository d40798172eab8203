/* Host names as visitors, agents and records write them: validate, normalise, split, match. */
#ifndef KAREZ_PROTO_HOSTNAME_H
#define KAREZ_PROTO_HOSTNAME_H

#include "base/str.h"

enum {
	HOSTNAME_MAX = 253,	 /* bytes of a name without its trailing dot (RFC 1035 2.3.4) */
	HOSTNAME_LABEL_MAX = 63, /* bytes of one label */
	HOSTNAME_AUTHORITY_MAX = 260, /* bytes of a name, a trailing dot, ":" and five digits */
};

enum hostname_kind {
	HOSTNAME_NAME, /* to be resolved, or routed by */
	HOSTNAME_IPV4,
	HOSTNAME_IPV6,
};

/* An authority taken apart. Spans point into what was split. */
struct hostname_authority {
	enum hostname_kind kind;
	struct str host; /* no brackets, no trailing dot, case as it came; never empty */
	uint16_t port;	 /* 0: none was given (or an empty one, "a.example:") */
};

/*
 * Is this a host name: labels of letters, digits and inner hyphens, joined by single dots, 1-253
 * bytes? A name that ends in an all-digit label is none, since it looks like an address.
 *   s  without port and trailing dot, either case.
 * Source: RFC 1123 2.1, RFC 3696 2.
 */
bool hostname_ok(struct str s);

/* The same, but underscores count as letters: names in private networks ("my_app") have them. */
bool hostname_resolvable(struct str s);

/*
 * Split HOST, HOST:PORT, IPV4[:PORT] or [IPV6][:PORT].
 *   s     as it came, without space around it; one trailing dot after a name is dropped.
 *   *out  set on success; borrows from s.
 * Returns 0 or ERR_PROTO (also for an empty host, port 0, a port above 65535 or with leading zeros,
 * an IPv6 zone, user information).
 * Source: RFC 9110 7.2 (Host), RFC 3986 3.2.2 and 3.2.3.
 */
int hostname_split(struct str s, struct hostname_authority *out) MUST_CHECK;

/* The same for what a person wants to connect to: names are checked by hostname_resolvable(). */
int hostname_split_resolvable(struct str s, struct hostname_authority *out) MUST_CHECK;

/* Is this a valid Host value? What hostname_split() accepts. */
bool hostname_authority_ok(struct str s);

/*
 * Do two authorities name the same host and port? False if either is not valid.
 *   default_port  what a missing port means, e.g. 80.
 */
bool hostname_authority_same(struct str a, struct str b, uint16_t default_port);

/*
 * What a visitor's Host is looked up by: lower case, without port, brackets and trailing dot.
 *   authority  as for hostname_split().
 *   out        gets the NUL-terminated result.
 *   *host      set to the result in out.
 * Returns 0 or ERR_PROTO.
 */
int hostname_normalise(struct str authority, char out[HOSTNAME_MAX + 1],
		       struct str *host) MUST_CHECK;

/*
 * Validate and lower-case what somebody wants as the name of a tunnel: one label or several
 * ("hello.tim"); all-digit labels are fine here, since the domain follows.
 *   s    no trailing dot, no port.
 *   out  gets the NUL-terminated result; may be s.p itself.
 * Returns 0, ERR_TOOBIG (longer than a name or a label may be) or ERR_INVAL.
 */
int hostname_tunnel(struct str s, char out[HOSTNAME_MAX + 1]) MUST_CHECK;

/*
 * Does the host lie under the domain, and what stands before it?
 *   host, domain  normalised.
 *   *name         set if so: "hello.tim" for "hello.tim.example.org" under "example.org".
 * The domain itself does not lie under it.
 */
bool hostname_under(struct str host, struct str domain, struct str *name);

/*
 * Drop the first label: "b.c" of "a.b.c".
 * Returns false (and leaves *name) when it has only one.
 */
bool hostname_parent(struct str *name);

#endif
