/* Accept, wrap, hand on. */
#include "app/door.h"

#include <stdlib.h>

#include "app/auto_door.h"
#include "base/err.h"
#include "ingress/sni_ingress.h"
#include "ingress/visit_addr.h"
#include "net/net_sock.h"
#include "wire/wire_tcp.h"
#include "wire/wire_tls.h"

struct door {
	struct ev *ev;
	struct net_listener *listener; /* owned; NULL: it was left */
	struct ev_timer leaving;
	struct door_opt opt;
	struct door_where where;
	struct proxy_entrance entrance; /* used with where.proxy, but for where.any */
	struct auto_door *any;	/* owned; reads headers, and finds out what is spoken; or NULL */
	struct pass_door *pass; /* owned; NULL: nobody is handed on */
	struct visit_end local; /* where visitors reach us; empty: each socket must be asked */
};

/* An address as a visit shows it; a unix socket's peer is this machine. */
static void door_end(const struct net_addr *addr, struct visit_end *end)
{
	visit_addr(addr, end);
	if (end->ip[0] == '\0')
		(void)!visit_end_set(end, STR("127.0.0.1"), 0);
}

/* Where the server is managed: whoever has no certificate fails in the handshake. */
static void door_manage(struct door *d, struct wire *w, const struct proxy_visitor *v)
{
	char peer[CIDR_IP_TEXT_MAX + 8];
	struct wire_tls_opt opt = {.handshake_ms = d->opt.handshake_ms, .peer = peer};
	struct node_visitor who = {.peer = v->peer, .local = v->local, .tls = true, .manage = true};
	struct wire *tls;

	str_printf(peer, sizeof peer, "%s:%u", v->peer.ip, v->peer.port);
	if (wire_tls_server(d->ev, w, d->opt.manage, &opt, &tls) != 0)
		wire_close(w, ERR_NOMEM);
	else
		node_serve(d->opt.node, tls, &who);
}

static void door_go(struct door *d, struct wire *w, const struct proxy_visitor *v)
{
	struct node_visitor who = {.peer = v->peer, .local = v->local, .tls = v->tls};

	if (d->opt.manage != NULL)
		door_manage(d, w, v);
	else if (d->where.tls)
		node_serve_tls(d->opt.node, w, &who);
	else
		node_serve(d->opt.node, w, &who);
}

/* See proxy_entrance.come. */
static void door_on_come(void *arg, struct wire *w, const struct proxy_visitor *v)
{
	door_go(arg, w, v);
}

/* See pass_door_opt.here. */
static void door_on_here(void *arg, int fd, enum pass_kind kind, const struct proxy_visitor *v)
{
	struct door *d = arg;
	struct node_visitor who = {.peer = v->peer, .local = v->local, .tls = v->tls};
	struct wire *w;

	if (wire_tcp_new(d->ev, fd, NET_VISITOR, &w) != 0)
		net_close(fd, true);
	else if (kind == PASS_HTTP)
		node_serve(d->opt.node, w, &who);
	else if (d->opt.tls || d->where.tls)
		node_serve_tls(d->opt.node, w, &who);
	else
		sni_ingress_alert(w, CLIENT_HELLO_HANDSHAKE_FAILURE);
}

/* It is known what is spoken. */
static void door_sort(struct door *d, int fd, enum pass_kind kind, const struct proxy_visitor *v)
{
	if (d->pass != NULL)
		pass_door_serve(d->pass, fd, kind, v);
	else
		door_on_here(d, fd, kind, v);
}

/* See auto_door_opt.come. Where it need not be found out, only a header was read. */
static void door_on_told(void *arg, int fd, enum first_words what, const struct proxy_visitor *v)
{
	struct door *d = arg;
	bool tls = d->where.any ? what == FIRST_TLS : d->where.tls;

	if (d->where.any && what == FIRST_SSH) {
		net_tune(fd, NET_SESSION);
		node_serve_ssh(d->opt.node, fd, &v->peer);
	} else {
		door_sort(d, fd, tls ? PASS_TLS : PASS_HTTP, v);
	}
}

static void door_on_accepted(void *arg, int fd, const struct net_addr *peer)
{
	struct door *d = arg;
	struct proxy_visitor v = {.local = d->local};
	struct net_addr local;
	struct wire *w;

	door_end(peer, &v.peer);
	if (v.local.ip[0] == '\0') {
		net_local(fd, &local);
		door_end(&local, &v.local);
	}
	if (d->any != NULL)
		auto_door_serve(d->any, fd, &v);
	else if (d->pass != NULL && !d->where.proxy)
		pass_door_serve(d->pass, fd, d->where.tls ? PASS_TLS : PASS_HTTP, &v);
	else if (wire_tcp_new(d->ev, fd, NET_VISITOR, &w) != 0)
		net_close(fd, true);
	else if (d->where.proxy)
		proxy_entrance_serve(&d->entrance, w, &v);
	else
		door_go(d, w, &v);
}

static bool door_skip(struct str *listen, struct str word)
{
	if (!str_starts(*listen, word))
		return false;
	*listen = (struct str){listen->p + word.len, listen->len - word.len};
	return true;
}

int door_parse(struct str listen, struct door_where *out)
{
	out->proxy = door_skip(&listen, STR("proxy:"));
	out->tls = door_skip(&listen, STR("tls:"));
	out->any = !out->tls && door_skip(&listen, STR("auto:"));
	if (net_addr_parse(listen, &out->addr) != 0)
		return ERR_INVAL;
	/* SSH logins are counted by where they come from, and looking is for IP sockets */
	return out->any && out->addr.sa.sa_family == AF_UNIX ? ERR_INVAL : 0;
}

/* What stands between the listener and the node. */
static int door_open_entrance(struct door *d)
{
	struct pass_door_opt pass = {.way = d->opt.way, .here = door_on_here, .arg = d};
	bool passes = pass.way != NULL && d->opt.manage == NULL;
	bool is_unix = d->where.addr.sa.sa_family == AF_UNIX;
	int e;
	struct auto_door_opt any = {.proxy = d->opt.proxy,
				    .must_proxy = d->where.proxy,
				    .ssh = d->where.any && d->opt.ssh,
				    .wait_ms = d->opt.handshake_ms,
				    .log = d->opt.log,
				    .come = door_on_told,
				    .arg = d};

	if (passes && (e = pass_door_new(d->ev, &pass, &d->pass)) != 0)
		return e;
	if (d->where.any || (d->where.proxy && passes && !is_unix))
		return auto_door_new(d->ev, &any, &d->any);
	if (d->where.proxy) {
		proxy_entrance_init(&d->entrance, d->opt.proxy);
		d->entrance.come = door_on_come;
		d->entrance.arg = d;
	}
	return 0;
}

/* Nobody begins any more, and who had begun has come. */
static void door_on_left(void *arg)
{
	struct door *d = arg;

	net_listener_free(d->listener);
	d->listener = NULL;
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
	d->leaving = (struct ev_timer){.fn = door_on_left, .arg = d};
	if ((e = door_parse(str_of(opt->listen), &d->where)) != 0)
		goto fail;
	listen.addr = d->where.addr;
	listen.fd = opt->fd;
	listen.spoken_to = !d->where.any || !opt->ssh; /* some SSH clients wait for us */
	if ((e = door_open_entrance(d)) != 0 || (e = net_listen(ev, &listen, &d->listener)) != 0)
		goto fail;
	if (!net_addr_is_any(door_addr(d)))
		door_end(door_addr(d), &d->local);
	*out = d;
	return 0;
fail:
	auto_door_free(d->any);
	pass_door_free(d->pass);
	free(d);
	return e;
}

const struct net_addr *door_addr(const struct door *d)
{
	return net_listener_addr(d->listener);
}

bool door_is_tls(const struct door *d)
{
	return d->where.tls || d->opt.manage != NULL || (d->where.any && d->opt.tls);
}

bool door_is_ssh(const struct door *d)
{
	return d->where.any && d->opt.ssh;
}

void door_leave(struct door *d)
{
	if (d->listener == NULL)
		return;
	if (net_listener_hide(d->listener) == 0)
		ev_timer_set(d->ev, &d->leaving, NODE_DRAIN_LEAST_MS);
	else
		door_on_left(d);
}

void door_close(struct door *d)
{
	if (d == NULL)
		return;
	ev_timer_stop(d->ev, &d->leaving);
	pass_door_free(d->pass);
	if (d->any != NULL)
		auto_door_free(d->any);
	else if (d->where.proxy)
		proxy_entrance_end(&d->entrance);
	net_listener_free(d->listener);
	ev_free_later(d->ev, d);
}
