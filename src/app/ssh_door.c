/* Accept, tune, hand on. Nobody is waited for: some clients want to hear our banner first. */
#include "app/ssh_door.h"

#include <stdlib.h>

#include "base/err.h"
#include "ingress/visit_addr.h"
#include "net/net_sock.h"

struct ssh_door {
	struct ev *ev;
	struct net_listener *listener; /* owned */
	struct node *node;	       /* borrowed: outlives its doors */
};

static void ssh_door_on_accepted(void *arg, int fd, const struct net_addr *peer)
{
	struct ssh_door *d = arg;
	struct visit_end who;

	visit_addr(peer, &who);
	net_tune(fd, NET_SESSION);
	node_serve_ssh(d->node, fd, &who);
}

int ssh_door_parse(struct str listen, struct net_addr *out)
{
	if (net_addr_parse(listen, out) != 0 || out->sa.sa_family == AF_UNIX)
		return ERR_INVAL;
	return 0;
}

int ssh_door_open(struct ev *ev, const struct ssh_door_opt *opt, struct ssh_door **out)
{
	struct ssh_door *d = calloc(1, sizeof *d);
	struct net_listen_opt listen = {.fd = opt->fd,
					.accepted = ssh_door_on_accepted,
					.arg = d,
					.log = opt->log};
	int e;

	if (d == NULL)
		return ERR_NOMEM;
	d->ev = ev;
	d->node = opt->node;
	if ((e = ssh_door_parse(str_of(opt->listen), &listen.addr)) != 0 ||
	    (e = net_listen(ev, &listen, &d->listener)) != 0) {
		free(d);
		return e;
	}
	*out = d;
	return 0;
}

const struct net_addr *ssh_door_addr(const struct ssh_door *d)
{
	return net_listener_addr(d->listener);
}

void ssh_door_close(struct ssh_door *d)
{
	if (d == NULL)
		return;
	net_listener_free(d->listener);
	ev_free_later(d->ev, d);
}
