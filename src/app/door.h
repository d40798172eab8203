/* A listening address of karezd: sockets become wires, in clear or over TLS, and go to the node. */
#ifndef KAREZ_APP_DOOR_H
#define KAREZ_APP_DOOR_H

#include "app/node.h"
#include "app/pass_door.h"
#include "ingress/proxy_reader.h"
#include "net/net_listen.h"
#include "wire/tls_context.h"

struct door;

/* An address as it is written: "[proxy:][tls:]IP:PORT", "[proxy:][tls:]unix:/path",
 * "[proxy:]auto:IP:PORT". */
struct door_where {
	bool proxy; /* every connection begins with a PROXY header */
	bool tls;
	bool any; /* "auto:": what is spoken is found out, see auto_door.h */
	struct net_addr addr;
};

/* Returns 0 or ERR_INVAL. */
int door_parse(struct str listen, struct door_where *out) MUST_CHECK;

struct door_opt {
	const char *listen; /* see struct door_where */
	int fd;		    /* > 0: a socket that listens there already, see net_listen_opt */
	struct node
		*node; /* borrowed: outlives its doors; node_open_tls() came before for "tls:" */
	struct proxy_reader *proxy; /* borrowed; for "proxy:" and "auto:" */
	/* For "auto:": is SSH, and is TLS served? The node must have been made for it. */
	bool ssh, tls;
	/* Not NULL: this is where the server is managed, over TLS of this context; borrowed. */
	struct tls_context *manage;
	/* With workers: visitors of others are handed to them, but for those of a unix socket
	 * behind a proxy; borrowed. NULL: there are none. */
	const struct pass_way *way;
	uint32_t handshake_ms; /* for TLS of such a door; for the first words behind "auto:" */
	struct log *log;
};

/* Errors as net_listen(). */
int door_open(struct ev *ev, const struct door_opt *opt, struct door **out) MUST_CHECK;

/* The address in force, and whether TLS is spoken there, or may be. */
const struct net_addr *door_addr(const struct door *d);
bool door_is_tls(const struct door *d);

/* Is SSH spoken there? */
bool door_is_ssh(const struct door *d);

/*
 * Nobody new finds it, and who has begun to connect comes in still, for NODE_DRAIN_LEAST_MS; then
 * the address is free. A listening socket that others have as well is given up at once: they take
 * whoever waits there.
 */
void door_leave(struct door *d);

/* No new connections; those that came in stay. NULL is allowed. */
void door_close(struct door *d);

#endif
