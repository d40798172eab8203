/* Accept, wrap, hand on. */
#include "app/door.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/net_sock.h"
#include "wire/wire_tcp.h"
#include "wire/wire_tls.h"

struct door {
	struct ev *ev;
	struct net_listener *listener; /* owned */
	struct door_opt opt;
	struct visit_end local; /* where visitors reach us; empty: each socket must be asked */
	bool tls;
};

/* An address as a visit shows it; a unix socket's peer is this machine. */
static void door_end(const struct net_addr *addr, struct visit_end *end)
{
	char ip[NET_ADDR_TEXT];

	if (visit_end_set(end, str_of(net_addr_ip(addr, ip)), net_addr_port(addr)) != 0)
		(void)!visit_end_set(end, STR("127.0.0.1"), 0);
}

static void door_on_accepted(void *arg, int fd, const struct net_addr *peer)
{
	struct door *d = arg;
	struct node_visitor who = {.tls = d->tls};
	struct wire_tls_opt tls = {.handshake_ms = d->opt.handshake_ms};
	struct net_addr local;
	struct wire *tcp, *w;

	door_end(peer, &who.peer);
	who.local = d->local;
	if (who.local.ip[0] == '\0') {
		net_local(fd, &local);
		door_end(&local, &who.local);
	}
	if (wire_tcp_new(d->ev, fd, NET_VISITOR, &tcp) != 0) {
		net_close(fd, true);
		return;
	}
	w = tcp;
	if (d->tls && wire_tls_server(d->ev, tcp, d->opt.tls, &tls, &w) != 0) {
		wire_close(tcp, ERR_NOMEM);
		return;
	}
	node_serve(d->opt.node, w, &who);
}

int door_parse(struct str listen, bool *tls, struct net_addr *addr)
{
	*tls = str_starts(listen, STR("tls:"));
	if (*tls)
		listen = (struct str){listen.p + 4, listen.len - 4};
	return net_addr_parse(listen, addr) == 0 ? 0 : ERR_INVAL;
}

int door_open(struct ev *ev, const struct door_opt *opt, struct door **out)
{
	struct door *d = calloc(1, sizeof *d);
	struct net_listen_opt listen = {.accepted = door_on_accepted, .arg = d, .log = opt->log};
	int e;

	if (d == NULL)
		return ERR_NOMEM;
	d->ev = ev;
	d->opt = *opt;
	if ((e = door_parse(str_of(opt->listen), &d->tls, &listen.addr)) != 0 ||
	    (e = net_listen(ev, &listen, &d->listener)) != 0) {
		free(d);
		return e;
	}
	if (!net_addr_is_any(door_addr(d)))
		door_end(door_addr(d), &d->local);
	*out = d;
	return 0;
}

const struct net_addr *door_addr(const struct door *d)
{
	return net_listener_addr(d->listener);
}

bool door_is_tls(const struct door *d)
{
	return d->tls;
}

void door_close(struct door *d)
{
	if (d == NULL)
		return;
	net_listener_free(d->listener);
	ev_free_later(d->ev, d);
}
