/* A listening address of karezd for SSH: whoever connects goes to the node as a socket, because the
 * library behind the session reads and writes by itself. */
#ifndef KAREZ_APP_SSH_DOOR_H
#define KAREZ_APP_SSH_DOOR_H

#include "app/node.h"
#include "net/net_listen.h"

struct ssh_door;

/*
 * Read an address as --ssh-listen takes it: "IP:PORT", "[IPv6]:PORT" or ":PORT". No unix socket:
 * how many may log in at a time depends on where they come from.
 * Returns 0 or ERR_INVAL.
 */
int ssh_door_parse(struct str listen, struct net_addr *out) MUST_CHECK;

struct ssh_door_opt {
	const char *listen; /* see ssh_door_parse(); borrowed for the call */
	struct node *node;  /* borrowed: outlives its doors; made with node_opt.ssh */
	struct log *log;    /* borrowed: the process's */
	int fd;		    /* > 0: a socket that listens there already, see net_listen_opt */
};

/* Errors as ssh_door_parse() and net_listen(). */
int ssh_door_open(struct ev *ev, const struct ssh_door_opt *opt, struct ssh_door **out) MUST_CHECK;

/* The address in force. */
const struct net_addr *ssh_door_addr(const struct ssh_door *d);

/* No new connections; those that came in stay. NULL is allowed. */
void ssh_door_close(struct ssh_door *d);

#endif
