/* What an agent is told about a visitor when a stream opens: one header value of compact text. */
#ifndef KAREZ_PROTO_VISIT_H
#define KAREZ_PROTO_VISIT_H

#include "proto/cidr.h"
#include "proto/hostname.h"
#include "proto/ident.h"
#include "proto/node_entry.h"

enum {
	/* Bytes of the header value. The longest valid visit has 1063, see visit.c; the rest is for
	 * members of later versions. */
	VISIT_MAX = 1280,
	VISIT_SERVICE_TEXT = IDENT_TEXT, /* a service's name, NUL included */
	VISIT_VIA_MAX = 2,		 /* nodes that may pass a visit on, one after the other */
	VISIT_VIA_TEXT = VISIT_VIA_MAX * NODE_ID_TEXT, /* their ids, NUL included */
	VISIT_OWNER_TEXT = 16,			       /* an account's id, NUL included */
};

/*
 * The door the visitor came through. VISIT_NODE is none: another node asks what is there (`service`
 * says what, see core/peer.h), and what comes back is its answer. No agent gets such a one.
 */
enum visit_ingress { VISIT_HTTP, VISIT_SNI, VISIT_TCP, VISIT_UDP, VISIT_NODE };

/* One end of the visitor's connection. */
struct visit_end {
	char ip[CIDR_IP_TEXT_MAX]; /* as cidr_ip_format() writes it; empty: not known */
	uint16_t port;		   /* 0: not known */
};

/* A value; copy it freely. Texts are NUL-terminated. */
struct visit {
	enum visit_ingress ingress;
	bool tls;			       /* the visitor spoke TLS, and we ended it */
	struct visit_end visitor;	       /* where the visitor is */
	struct visit_end local;		       /* where we were reached */
	char tunnel[HOSTNAME_MAX + 1];	       /* the tunnel's name, lower case; never empty */
	char host[HOSTNAME_AUTHORITY_MAX + 1]; /* the Host as the visitor sent it; may be empty */
	char sni[HOSTNAME_MAX + 1];	       /* the TLS server name; may be empty */
	/* What the agent calls the target, 1-64 of A-Z a-z 0-9 . _ -; empty: it knows by the
	 * tunnel. */
	char service[VISIT_SERVICE_TEXT];
	/* Between nodes: the ids of those that have passed it on, "," between them; or empty. */
	char via[VISIT_VIA_TEXT];
	/* Between nodes: whose tunnel the first of them has found under this name; or empty. */
	char owner[VISIT_OWNER_TEXT];
};

/* "http", "sni", "tcp", "udp", "node". */
const char *visit_ingress_name(enum visit_ingress in);

/*
 * Set one end from an address as text and a port.
 * Returns 0 or ERR_INVAL (not an address; the end is then empty).
 */
int visit_end_set(struct visit_end *end, struct str ip, uint16_t port) MUST_CHECK;

/* How many nodes have passed it on? */
size_t visit_via_n(const struct visit *v);

/* Is this node one of them? */
bool visit_via_has(const struct visit *v, const char *id);

/* The id of the last of them, NUL-terminated and part of the visit; "": none has. */
const char *visit_via_last(const struct visit *v);

/* One more does. Returns 0, ERR_LIMIT (VISIT_VIA_MAX have), ERR_LOOP (it has), ERR_INVAL (no id).
 */
int visit_via_add(struct visit *v, const char *id) MUST_CHECK;

/*
 * Write the value: in=http; tunnel=a; for="192.0.2.1:4711"; by="[::1]:443"; host="a.example";
 * sni=a.example; service=web; tls=1; via="0123456789abcdef"; owner=abc
 *   out   gets the NUL-terminated text; empty members are left out.
 *   *len  set to the bytes written, without the NUL.
 * Returns 0, or ERR_INVAL when visit_parse() would not read it back (a member that is not what its
 * comment above says).
 */
int visit_format(const struct visit *v, char out[VISIT_MAX + 1], size_t *len) MUST_CHECK;

/*
 * Read the value.
 *   s     as it came, no space around it.
 *   *out  set on success; all of it.
 * Returns 0, ERR_TOOBIG (above VISIT_MAX), ERR_UNSUPPORTED (an ingress this version does not know)
 * or ERR_PROTO (syntax, a known key twice, no "in" or no "tunnel", a value its key cannot have).
 * Unknown keys are skipped, so that later versions can say more.
 */
int visit_parse(struct str s, struct visit *out) MUST_CHECK;

#endif
