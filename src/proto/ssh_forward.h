/*
 * What an address and a port of "tcpip-forward" mean to a server of tunnels: the table in
 * doc/ssh.md.
 */
#ifndef KAREZ_PROTO_SSH_FORWARD_H
#define KAREZ_PROTO_SSH_FORWARD_H

#include "proto/hostname.h"

enum { SSH_FORWARD_BIND_TEXT = 46 };

enum ssh_forward_kind { SSH_FORWARD_HTTP, SSH_FORWARD_TLS, SSH_FORWARD_TCP };

/* A value. */
struct ssh_forward {
	enum ssh_forward_kind kind;
	char name[HOSTNAME_MAX + 1];	  /* "demo", lower case; "": not named */
	char domain[HOSTNAME_MAX + 1];	  /* "app.example.org": a whole host name; else "" */
	uint16_t port;			  /* SSH_FORWARD_TCP: as asked for, 0: any; else 0 */
	char bind[SSH_FORWARD_BIND_TEXT]; /* SSH_FORWARD_TCP: an IP, "localhost", "": everywhere */
};

/*
 * Understand a forward.
 *   address  as it came: "", "*", "localhost", an IP (also in brackets; "0" is 0.0.0.0), a tunnel's
 *            name, a host name under our domain or of somebody's own.
 *   port     as it came: 80 and 443 mean HTTP (443 with tls: TLS passed through) whatever the
 *            address is; any other port is a tcp tunnel, with a name its name.
 *   domain   ours, normalised.
 *   tls      TLS is to be passed through.
 *   *why     set on failure to a static sentence for a person.
 * Returns 0 or ERR_INVAL (neither address nor name, such as "127.1" and whatever else ends in a
 * number; a port above 65535; tls without a name or domain is fine).
 * Source: RFC 4254 7.1; ssh(1) -R.
 */
int ssh_forward_read(struct str address, uint32_t port, const char *domain, bool tls,
		     struct ssh_forward *out, const char **why) MUST_CHECK;

#endif
