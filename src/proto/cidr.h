/* IP addresses as 16 bytes, and blocks of them: who is a trusted proxy. */
#ifndef KAREZ_PROTO_CIDR_H
#define KAREZ_PROTO_CIDR_H

#include "base/str.h"

enum {
	CIDR_IP_TEXT_MAX = 46, /* an address as text, NUL included */
	CIDR_TEXT_MAX = 50,    /* the same with "/128" */
};

/*
 * A block of addresses. Everywhere here an address is 16 bytes in network order, IPv4 mapped into
 * ::ffff:0:0/96 (RFC 4291 2.5.5.2), so that one form compares with memcmp.
 */
struct cidr {
	uint8_t ip[16]; /* bits beyond `bits` are 0 */
	uint8_t bits;	/* 0-128; an IPv4 block has 96-128 */
	bool v4;
};

/*
 * Read an address: dotted IPv4, or IPv6 without brackets. A mapped address (::ffff:1.2.3.4) is that
 * IPv4 address.
 * Returns 0 or ERR_INVAL (also for leading zeros in IPv4 and for zones, "fe80::1%eth0").
 * Source: RFC 4291 2.2, RFC 6943 3.1.1.
 */
int cidr_ip_parse(struct str s, uint8_t ip[16]) MUST_CHECK;

/* Is this an IPv4 address? */
bool cidr_ip_is_v4(const uint8_t ip[16]);

/*
 * Write an address, IPv4 dotted, IPv6 in the form of RFC 5952.
 *   out  gets the NUL-terminated text.
 * Returns its length.
 */
size_t cidr_ip_format(const uint8_t ip[16], char out[CIDR_IP_TEXT_MAX]);

/*
 * Read "10.0.0.0/8", "::1/128" or a plain address (a block of one).
 * Returns 0 or ERR_INVAL (also when bits beyond the prefix are set: "10.0.0.1/8" is a slip).
 * Source: RFC 4632 3.1, RFC 4291 2.3.
 */
int cidr_parse(struct str s, struct cidr *out) MUST_CHECK;

/* Write a block as cidr_parse() reads it, with its prefix length. Returns the length of the text.
 */
size_t cidr_format(const struct cidr *c, char out[CIDR_TEXT_MAX]);

/* Is the address in the block? IPv4 addresses are in IPv4 blocks only: "::/0" holds none. */
bool cidr_match(const struct cidr *c, const uint8_t ip[16]);

/* Is the address in one of [n] blocks? */
bool cidr_match_any(const struct cidr *list, size_t n, const uint8_t ip[16]);

/* The same for an address as text; what is not an address is in no block. */
bool cidr_match_text(const struct cidr *list, size_t n, struct str ip);

#endif
