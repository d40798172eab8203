/* A listening address of karezd: sockets become wires, in clear or over TLS, and go to the node. */
#ifndef KAREZ_APP_DOOR_H
#define KAREZ_APP_DOOR_H

#include "app/node.h"
#include "net/net_listen.h"
#include "wire/tls_context.h"

struct door;

struct door_opt {
	const char *listen;	 /* "IP:PORT", "unix:/path", or either behind "tls:" */
	struct node *node;	 /* borrowed: outlives its doors */
	struct tls_context *tls; /* borrowed; for "tls:" */
	uint32_t handshake_ms;
	struct log *log;
};

/*
 * Take "tls:" off an address and parse the rest.
 *   *tls  set to whether it was there.
 * Returns 0 or ERR_INVAL.
 */
int door_parse(struct str listen, bool *tls, struct net_addr *addr) MUST_CHECK;

/* Errors as net_listen(). */
int door_open(struct ev *ev, const struct door_opt *opt, struct door **out) MUST_CHECK;

/* The address in force. */
const struct net_addr *door_addr(const struct door *d);
bool door_is_tls(const struct door *d);

/* No new connections; those that came in stay. NULL is allowed. */
void door_close(struct door *d);

#endif
