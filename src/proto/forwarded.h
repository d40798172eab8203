/* Who spoke to whom before us: Forwarded (RFC 7239) and X-Forwarded-For, written and read. */
#ifndef KAREZ_PROTO_FORWARDED_H
#define KAREZ_PROTO_FORWARDED_H

#include "base/str.h"

enum {
	FORWARDED_PROTO_MAX = 32, /* bytes of a protocol's name */
	FORWARDED_MAX = 512,	  /* enough for any element of two addresses, a host, a protocol */
};

/* One element of the list, one step on the way. Spans are borrowed. */
struct forwarded {
	struct str for_ip; /* address text, no brackets; empty: unknown or hidden */
	struct str by_ip;  /* the same for the side that was spoken to; empty: not said */
	uint16_t for_port; /* 0: not said */
	uint16_t by_port;
	struct str host;  /* the Host that was asked for; empty: not said */
	struct str proto; /* "http", "https"; empty: not said */
};

/*
 * Write one element: for=192.0.2.1;by="[2001:db8::1]:443";host="a.example:8080";proto=https
 *   f    an empty for_ip becomes for=unknown; other empty members are left out.
 *   out  [cap] bytes, not NUL-terminated; FORWARDED_MAX is enough for valid members.
 *   *len set to the bytes written.
 * Returns 0, ERR_TOOBIG, or ERR_INVAL (a member has bytes that it cannot have; nothing may be
 * used). Source: RFC 7239 4 and 6.
 */
int forwarded_format(const struct forwarded *f, char *out, size_t cap, size_t *len) MUST_CHECK;

/*
 * Write a list with one element more: "before, element", or just the element if before is empty.
 * Serves Forwarded and X-Forwarded-For (whose element is the plain address).
 * Returns 0 or ERR_TOOBIG.
 */
int forwarded_append(struct str before, struct str element, char *out, size_t cap,
		     size_t *len) MUST_CHECK;

/*
 * Take the last element off a Forwarded list. The last one was written by the nearest proxy, so
 * read from there only as far as the writers are trusted; with several fields of this name, start
 * in the last field.
 *   *rest  in: the value, or what the last call left; out: what stands before the element.
 *   *out   set on success; members that were not said are empty; borrows from rest.
 * Returns 0, ERR_NOTFOUND (nothing left), ERR_PROTO (not by the RFC, or with a backslash in a
 * quoted text; *rest is then empty). Empty elements are skipped, parameters with other names
 * ignored. Each byte is looked at a fixed number of times, over all calls. Source: RFC 7239 4, RFC
 * 9110 5.6.1.
 */
int forwarded_prev(struct str *rest, struct forwarded *out) MUST_CHECK;

/*
 * Take the last entry off an X-Forwarded-For list: an address, address:port, [v6], [v6]:port, or
 * "unknown" (for_ip empty). Only for_ip and for_port of *out are set, the rest is empty.
 * Returns as forwarded_prev().
 */
int forwarded_prev_xff(struct str *rest, struct forwarded *out) MUST_CHECK;

#endif
