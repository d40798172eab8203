/* What `ssh -R` is told: where the server shall listen, and what its visitors are connected with.
 */
#ifndef KAREZ_PROTO_SSH_SPEC_H
#define KAREZ_PROTO_SSH_SPEC_H

#include "proto/url.h"

/* A value; copy it freely. */
struct ssh_spec {
	/* As it is sent: "localhost" if none was given, "" for "*" and for nothing before a colon;
	 * else as typed, without brackets. */
	char address[HOSTNAME_MAX + 1];
	uint16_t port; /* of the server; 0: any */
	bool socks;    /* each visitor says by SOCKS where to; `to` is all zero */
	struct url to; /* URL_TCP or URL_UNIX */
};

/*
 * Read PORT:HOST:HOSTPORT, PORT:/SOCKET or PORT alone (SOCKS), each with ADDRESS: in front if
 * wanted. An IPv6 address stands in brackets.
 *   *why  NULL, or set on failure to a static clause that names the part.
 * Returns 0, ERR_INVAL, or ERR_UNSUPPORTED (a socket on the server's side).
 * Source: ssh(1) -R, RFC 4254 7.1 (the addresses).
 */
int ssh_spec_parse(struct str s, struct ssh_spec *out, const char **why) MUST_CHECK;

/* Bytes that a target as a person writes it fits in: without tcp://, or "a SOCKS proxy". */
#define SSH_SPEC_TEXT URL_TEXT_MAX

/* Returns out, NUL-terminated. */
const char *ssh_spec_target(const struct ssh_spec *s, char out[SSH_SPEC_TEXT]);

/* Bytes that an address fits in as it stands before a port: "*" for everywhere, IPv6 in brackets.
 */
#define SSH_SPEC_ADDRESS_TEXT (HOSTNAME_MAX + 3)

/* Returns out, NUL-terminated. */
const char *ssh_spec_address_text(const struct ssh_spec *s, char out[SSH_SPEC_ADDRESS_TEXT]);

#endif
