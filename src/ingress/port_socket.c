/*
 * A port is a few listeners that are let in, and shut, together.
 *
 * When its tunnel moves to other addresses, both ports are there for a moment, and share what they
 * have in common. The old one is given up then: whoever connects from there on finds the new one
 * only, but who had begun before is accepted by the old one, for as long as that may take.
 *
 * Workers of one machine do not share a port by SO_REUSEPORT: Linux chooses among such sockets
 * without looking whether one of them is hidden, and what waits at one that is closed is lost. So
 * one worker has the socket, and hands visitors on; the others stand by, and get the very socket
 * when it goes, with all who wait there. Whether a port that cannot be bound is a worker's or a
 * stranger's tells a lock, see net_claim.h.
 */
#include "ingress/port_socket.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ingress/visit_addr.h"
#include "net/net_claim.h"
#include "net/net_fd.h"
#include "net/net_listen.h"
#include "net/net_sock.h"
#include "wire/wire_tcp.h"

/* How long a connection takes to be made that began before its listener was left. */
#define PORT_LEAVE_MS 3000

/* How often it is looked whether a port that another worker had is free, when that one has died. */
#define PORT_AGAIN_MS 250

/* Ports are found by their number. */
#define PORT_BUCKETS 256

struct port_socket {
	struct ev *ev;
	struct port_socket_opt opt;
	struct net_addr at[PORT_SOCKET_ADDRESSES_MAX]; /* what "" means; their ports are 0 */
	size_t n_at;
	bool any; /* every address of this machine: at[] is one that stands for all */
	bool stopped;
	int claims;	       /* owned: see net_claim.h; -1: there are no other workers */
	struct ev_timer again; /* set while some stand by, or have no claim */
	struct list ports[PORT_BUCKETS]; /* of port.link, weak: a port takes itself out */
};

/* One address of a port. */
struct port_listener {
	struct port *port;	       /* borrowed: frees it */
	struct net_listener *listener; /* owned */
	bool is_any;		       /* where a visitor has reached us only its socket knows */
};

struct port {
	struct list link;
	struct port_socket *ps;		/* borrowed: outlives its ports */
	struct proxy_entrance entrance; /* used with opt.proxy */
	char *tunnel;			/* owned; NULL: visitors are refused */
	struct ev_timer leaving;	/* set: it was given up, the last ones may come */
	char bind[CIDR_IP_TEXT_MAX];	/* as it was asked for */
	uint16_t number;
	bool claimed;
	bool stands_by; /* another worker has it: n is 0 */
	bool adopted;	/* its sockets were given by another one, */
	bool partial;	/* perhaps not all of them */
	size_t n, room;
	struct port_listener at[]; /* [n], of [room] */
};

static struct list *port_bucket(struct port_socket *ps, uint16_t number)
{
	return &ps->ports[number % PORT_BUCKETS];
}

/* The one of its number that is not left; p itself does not count. NULL: there is none. */
static struct port *port_heir(const struct port *p)
{
	struct list *bucket = port_bucket(p->ps, p->number);

	LIST_FOR_EACH (link, bucket) {
		struct port *other = CONTAINER_OF(link, struct port, link);

		if (other != p && other->number == p->number && !ev_timer_is_set(&other->leaving))
			return other;
	}
	return NULL;
}

/* ---- visitors ---- */

/* Are those who come there let in? By a port that is left as long as its tunnel is where it went.
 * Whoever still comes when all are stopped had begun before. */
static bool port_lets(const struct port *p)
{
	const struct port *heir;

	if (p->tunnel == NULL || !ev_timer_is_set(&p->leaving))
		return p->tunnel != NULL;
	heir = port_heir(p);
	return heir != NULL && heir->tunnel != NULL && strcmp(heir->tunnel, p->tunnel) == 0;
}

/* Is he another worker's? He is gone then. */
static bool port_passes(struct port *p, int fd, const struct proxy_visitor *v)
{
	const struct port_socket_opt *opt = &p->ps->opt;

	return opt->elsewhere != NULL && opt->proxy == NULL && port_lets(p) &&
	       opt->elsewhere(opt->elsewhere_arg, fd, v, p->tunnel);
}

static void port_go(struct port *p, struct wire *w, const struct proxy_visitor *v)
{
	struct visit who = {.ingress = VISIT_TCP, .visitor = v->peer, .local = v->local};

	if (!port_lets(p))
		wire_close(w, ERR_NOSESSION);
	else
		p->ps->opt.accepted(p->ps->opt.arg, w, &who, p->tunnel);
}

/* See proxy_entrance.come. */
static void port_on_come(void *arg, struct wire *w, const struct proxy_visitor *v)
{
	port_go(arg, w, v);
}

static void port_on_accepted(void *arg, int fd, const struct net_addr *peer)
{
	const struct port_listener *l = arg;
	struct port *p = l->port;
	struct proxy_visitor v = {.tls = false};
	struct net_addr local;
	struct wire *w;

	visit_addr(peer, &v.peer);
	if (l->is_any)
		net_local(fd, &local);
	else
		local = *net_listener_addr(l->listener);
	visit_addr(&local, &v.local);
	if (port_passes(p, fd, &v))
		return;
	if (wire_tcp_new(p->ps->ev, fd, NET_VISITOR, &w) != 0)
		net_close(fd, true);
	else if (p->ps->opt.proxy != NULL)
		proxy_entrance_serve(&p->entrance, w, &v);
	else
		port_go(p, w, &v);
}

/* ---- taking and giving up ---- */

/* May those of this number stand side by side for now? */
static void port_share(struct port_socket *ps, uint16_t number, bool on)
{
	LIST_FOR_EACH (link, port_bucket(ps, number)) {
		struct port *p = CONTAINER_OF(link, struct port, link);

		for (size_t i = 0; p->number == number && i < p->n; i++)
			net_listener_share(p->at[i].listener, on);
	}
}

/* Another one of its number that has the claim? */
static bool port_claim_is_shared(const struct port *p)
{
	LIST_FOR_EACH (link, port_bucket(p->ps, p->number)) {
		const struct port *other = CONTAINER_OF(link, struct port, link);

		if (other != p && other->number == p->number && other->claimed)
			return true;
	}
	return false;
}

/* Returns 0, or ERR_INUSE: another worker has it. */
static int port_claim(struct port *p)
{
	int e = 0;

	if (p->ps->claims >= 0 && !p->claimed && !port_claim_is_shared(p))
		e = net_claim_take(p->ps->claims, p->number);
	p->claimed = p->claimed || e == 0;
	return e;
}

static void port_unclaim(struct port *p)
{
	if (p->ps->claims >= 0 && p->claimed && !port_claim_is_shared(p))
		net_claim_drop(p->ps->claims, p->number);
	p->claimed = false;
}

static void port_close_listeners(struct port *p)
{
	while (p->n > 0) {
		p->n--;
		net_listener_free(p->at[p->n].listener);
		p->at[p->n].listener = NULL;
	}
}

static void port_free(struct port *p)
{
	ev_timer_stop(p->ps->ev, &p->leaving);
	if (p->ps->opt.proxy != NULL)
		proxy_entrance_end(&p->entrance);
	port_close_listeners(p);
	port_unclaim(p);
	list_del(&p->link);
	free(p->tunnel);
	p->tunnel = NULL;
	ev_free_later(p->ps->ev, p);
}

static void port_on_left(void *arg)
{
	port_free(arg);
}

/* There is one port for each number that is left, at most: the last one. */
static void port_end_left(struct port_socket *ps, uint16_t number)
{
	LIST_FOR_EACH_SAFE (link, port_bucket(ps, number)) {
		struct port *p = CONTAINER_OF(link, struct port, link);

		if (p->number == number && ev_timer_is_set(&p->leaving))
			port_free(p);
	}
}

/* Its tunnel has moved: accept who is on the way. Returns false when nobody can be. */
static bool port_leave(struct port *p)
{
	struct port *heir = port_heir(p);
	int e = 0;

	if (p->tunnel == NULL || heir == NULL || heir->tunnel == NULL ||
	    strcmp(heir->tunnel, p->tunnel) != 0)
		return false;
	for (size_t i = 0; i < p->n && e == 0; i++)
		e = net_listener_hide(p->at[i].listener);
	if (e == 0)
		ev_timer_set(p->ps->ev, &p->leaving, PORT_LEAVE_MS);
	return e == 0;
}

static void port_socket_give_up(struct port *p)
{
	if (p == NULL)
		return;
	port_end_left(p->ps, p->number);
	if (!port_leave(p))
		port_free(p);
}

/* A machine without IPv6 has only the other "every address". */
static int port_listen_any_v4(const struct net_listen_opt *opt, struct port_listener *l)
{
	struct net_listen_opt v4 = *opt;
	int e = net_addr_from_ip(STR("0.0.0.0"), net_addr_port(&opt->addr), &v4.addr);

	return e != 0 ? e : net_listen(l->port->ps->ev, &v4, &l->listener);
}

/* Is it listened on there? Where there is no IPv6, "0.0.0.0" stands for "::". */
static bool port_has(const struct port *p, const struct net_addr *addr)
{
	char ip[NET_ADDR_TEXT], other[NET_ADDR_TEXT];

	for (size_t i = 0; i < p->n; i++)
		if (strcmp(net_addr_ip(addr, ip),
			   net_addr_ip(net_listener_addr(p->at[i].listener), other)) == 0 ||
		    (net_addr_is_any(addr) && p->at[i].is_any))
			return true;
	return false;
}

/* Take one more address, if it is not there. v6_alone: see net_listen_opt. */
static int port_add(struct port *p, const struct net_addr *addr, bool v6_alone)
{
	struct port_listener *l = &p->at[p->n];
	struct net_listen_opt opt = {.addr = *addr,
				     .paused = true,
				     .shares = port_heir(p) != NULL,
				     .v6_alone = v6_alone,
				     .accepted = port_on_accepted,
				     .arg = l,
				     .log = p->ps->opt.log};
	int e;

	if (p->n == p->room || (p->partial && port_has(p, addr)))
		return 0;
	if (addr->sa.sa_family == AF_INET6)
		opt.addr.in6.sin6_port = htons(p->number);
	else
		opt.addr.in.sin_port = htons(p->number);
	l->port = p;
	l->is_any = net_addr_is_any(addr);
	e = net_listen(p->ps->ev, &opt, &l->listener);
	if ((e == ERR_IO || e == ERR_INVAL) && l->is_any && addr->sa.sa_family == AF_INET6 &&
	    !v6_alone)
		e = port_listen_any_v4(&opt, l);
	if (e == 0)
		p->n++;
	return e;
}

static bool port_socket_allows(const struct port_socket *ps, const struct net_addr *addr)
{
	char a[NET_ADDR_TEXT], b[NET_ADDR_TEXT];

	if (ps->any)
		return true;
	for (size_t i = 0; i < ps->n_at; i++)
		if (strcmp(net_addr_ip(&ps->at[i], a), net_addr_ip(addr, b)) == 0)
			return true;
	return false;
}

/* Whoever may listen on all IPv4 addresses may listen on one; the same for IPv6. */
static bool port_socket_allows_ip(const struct port_socket *ps, const struct net_addr *addr)
{
	struct net_addr all;

	if (port_socket_allows(ps, addr))
		return true;
	if (net_addr_from_ip(STR("::"), 0, &all) == 0 && port_socket_allows(ps, &all))
		return true;
	return addr->sa.sa_family == AF_INET && net_addr_from_ip(STR("0.0.0.0"), 0, &all) == 0 &&
	       port_socket_allows(ps, &all);
}

/* One address that a person has asked for, by RFC 4254 7.1: "::" is IPv6 alone. */
static int port_add_ip(struct port *p, struct str ip)
{
	struct net_addr addr;
	int e = net_addr_from_ip(ip, 0, &addr);

	if (e != 0)
		return e;
	return port_socket_allows_ip(p->ps, &addr) ? port_add(p, &addr, true) : ERR_DENIED;
}

/* Both loopback addresses; the second one where there is IPv6, and it is allowed. */
static int port_add_localhost(struct port *p)
{
	int e;

	if ((e = port_add_ip(p, STR("127.0.0.1"))) != 0)
		return e;
	e = port_add_ip(p, STR("::1"));
	return e == ERR_IO || e == ERR_INVAL || e == ERR_DENIED ? 0 : e;
}

static int port_add_all(struct port *p, const char *bind)
{
	int e = 0;

	if (strcmp(bind, "localhost") == 0)
		return port_add_localhost(p);
	if (bind[0] != '\0')
		return port_add_ip(p, str_of(bind));
	for (size_t i = 0; i < p->ps->n_at && e == 0; i++)
		e = port_add(p, &p->ps->at[i], false);
	return e;
}

/* Bind it, or stand by when another worker has it. */
static int port_bind(struct port *p)
{
	int e;

	if (port_claim(p) != 0) {
		p->stands_by = true;
		ev_timer_set(p->ps->ev, &p->ps->again, PORT_AGAIN_MS);
		return 0;
	}
	port_share(p->ps, p->number, true);
	e = port_add_all(p, p->bind);
	port_share(p->ps, p->number, false);
	if (e != 0) {
		port_close_listeners(p);
		port_unclaim(p);
	}
	return e;
}

/* See core_ports. */
static int port_socket_take(void *arg, const char *bind, uint16_t port, struct port **out)
{
	struct port_socket *ps = arg;
	size_t most = MAX(ps->n_at, (size_t)2);
	struct port *p = calloc(1, sizeof *p + most * sizeof p->at[0]);
	int e;

	if (p == NULL)
		return ERR_NOMEM;
	p->ps = ps;
	p->number = port;
	p->room = most;
	p->leaving = (struct ev_timer){.fn = port_on_left, .arg = p};
	list_push(port_bucket(ps, port), &p->link);
	if (ps->opt.proxy != NULL) {
		proxy_entrance_init(&p->entrance, ps->opt.proxy);
		p->entrance.come = port_on_come;
		p->entrance.arg = p;
	}
	if ((e = str_copy(p->bind, sizeof p->bind, str_of(bind))) == 0)
		e = port_bind(p);
	if (e == 0)
		*out = p;
	else
		port_free(p);
	return e;
}

/* ---- letting in ---- */

static void port_shut(struct port *p)
{
	for (size_t i = 0; i < p->n; i++)
		net_listener_pause(p->at[i].listener);
	if (p->ps->opt.proxy != NULL)
		proxy_entrance_end(&p->entrance);
	free(p->tunnel);
	p->tunnel = NULL;
}

static int port_listen(struct port *p)
{
	int e = 0;

	port_share(p->ps, p->number, true); /* the one that it takes the place of listens */
	for (size_t i = 0; i < p->n && e == 0; i++)
		e = net_listener_resume(p->at[i].listener);
	port_share(p->ps, p->number, false);
	return e;
}

static int port_socket_let(struct port *p, const char *tunnel)
{
	char *copy;
	int e;

	if (tunnel == NULL) {
		port_shut(p);
		return 0;
	}
	if (p->ps->stopped || (p->tunnel != NULL && strcmp(p->tunnel, tunnel) == 0))
		return 0;
	if ((copy = str_dup(str_of(tunnel))) == NULL) {
		port_shut(p);
		return ERR_NOMEM;
	}
	free(p->tunnel);
	p->tunnel = copy;
	if ((e = port_listen(p)) != 0)
		port_shut(p);
	return e;
}

/* ---- other workers ---- */

/* Whoever had it could not give all of its sockets away, or one was lost on the way: the rest is
 * taken as soon as that is closed. */
static void port_complete(struct port *p)
{
	int e, listening = 0;

	port_share(p->ps, p->number, true);
	e = port_add_all(p, p->bind);
	port_share(p->ps, p->number, false);
	if (p->tunnel != NULL) /* by those that there are */
		listening = port_listen(p);
	e = e != 0 ? e : listening;
	p->partial = e == ERR_INUSE || e == ERR_NOFILE || e == ERR_NOMEM;
}

/* One that stands by, has no claim, or not all of its sockets, looks again. Returns true when it
 * has to once more. */
static bool port_try_again(struct port *p)
{
	if (!p->stands_by) {
		if (p->n > 0 && !p->claimed)
			(void)!port_claim(p);
		if (p->partial && !ev_timer_is_set(&p->leaving))
			port_complete(p);
		return p->n > 0 && (!p->claimed || p->partial);
	}
	if (port_claim(p) != 0)
		return true;
	if (port_bind(p) != 0)
		return true; /* whoever had it has not closed it yet */
	p->stands_by = false;
	if (p->tunnel != NULL && port_listen(p) != 0)
		port_shut(p);
	return false;
}

static void port_socket_on_again(void *arg)
{
	struct port_socket *ps = arg;
	bool again = false;

	for (size_t i = 0; i < PORT_BUCKETS; i++)
		LIST_FOR_EACH (link, &ps->ports[i])
			again |= port_try_again(CONTAINER_OF(link, struct port, link));
	if (again && !ps->stopped)
		ev_timer_set(ps->ev, &ps->again, PORT_AGAIN_MS);
}

/* The one of this number that waits for sockets, or has been given some already. */
static struct port *port_waiting(struct port_socket *ps, uint16_t number)
{
	LIST_FOR_EACH (link, port_bucket(ps, number)) {
		struct port *p = CONTAINER_OF(link, struct port, link);
		bool waits = p->stands_by || (p->n > 0 && p->adopted);

		if (p->number == number && waits && p->n < p->room)
			return p;
	}
	return NULL;
}

void port_socket_adopt(struct port_socket *ps, int fd)
{
	struct net_listen_opt opt = {.fd = fd, .accepted = port_on_accepted, .log = ps->opt.log};
	struct port_listener *l;
	struct net_addr addr;
	struct port *p = NULL;

	if (!ps->stopped && net_listen_adopt(fd, &addr) == 0)
		p = port_waiting(ps, net_addr_port(&addr));
	if (p == NULL) {
		net_close(fd, false);
		return;
	}
	l = &p->at[p->n];
	l->port = p;
	l->is_any = net_addr_is_any(&addr);
	opt.arg = l;
	if (net_listen(ps->ev, &opt, &l->listener) != 0) {
		net_close(fd, false);
		return;
	}
	net_listener_own(l->listener);
	p->n++;
	p->stands_by = false;
	p->adopted = p->partial = true;
	if (p->tunnel == NULL)
		net_listener_pause(l->listener);
	(void)!port_claim(p); /* whoever had it may be about to give it up */
	ev_timer_set(ps->ev, &ps->again, PORT_AGAIN_MS);
}

/*
 * Another worker goes on with its sockets, and with all who wait there; false if with none of them.
 * What it has not got stays open here, until we end and it can have the address: its visitors are
 * handed on one by one.
 */
static bool port_hand_over(struct port *p)
{
	const struct port_socket_opt *opt = &p->ps->opt;
	size_t had = p->n;

	if (opt->hand_over == NULL || p->tunnel == NULL || ev_timer_is_set(&p->leaving))
		return false;
	port_unclaim(p);
	while (p->n > 0) {
		int fd = net_fd_copy(net_listener_fd(p->at[p->n - 1].listener));

		if (fd < 0)
			break;
		if (!opt->hand_over(opt->elsewhere_arg, fd, p->tunnel)) {
			net_close(fd, false);
			break;
		}
		p->n--;
		net_listener_free(p->at[p->n].listener);
		p->at[p->n].listener = NULL;
	}
	return p->n < had || had == 0;
}

/* Nobody new finds it. Where that cannot be had, those who are on the way are refused as well. */
static void port_stop(struct port *p)
{
	int e = 0;

	if (port_hand_over(p))
		return;
	for (size_t i = 0; i < p->n && e == 0; i++)
		e = net_listener_hide(p->at[i].listener);
	if (e != 0)
		port_shut(p);
}

void port_socket_stop(struct port_socket *ps)
{
	ps->stopped = true;
	ev_timer_stop(ps->ev, &ps->again);
	for (size_t i = 0; i < PORT_BUCKETS; i++)
		LIST_FOR_EACH (link, &ps->ports[i])
			port_stop(CONTAINER_OF(link, struct port, link));
}

/* ---- life ---- */

void port_socket_ports(struct port_socket *ps, struct core_ports *out)
{
	*out = (struct core_ports){.take = port_socket_take,
				   .let = port_socket_let,
				   .give_up = port_socket_give_up,
				   .arg = ps};
}

/* Does another one of the list stand for it? "::" stands for IPv4 as well, see net_listen(). */
static bool port_socket_is_covered(const struct port_socket *ps, size_t i)
{
	const struct net_addr *a = &ps->at[i];
	char text[NET_ADDR_TEXT], other[NET_ADDR_TEXT];

	for (size_t k = 0; k < ps->n_at; k++) {
		const struct net_addr *b = &ps->at[k];

		if (k == i)
			continue;
		if (strcmp(net_addr_ip(a, text), net_addr_ip(b, other)) == 0) {
			if (k < i)
				return true;
		} else if (net_addr_is_any(b) &&
			   (b->sa.sa_family == AF_INET6 || a->sa.sa_family == b->sa.sa_family)) {
			return true;
		}
	}
	return false;
}

static int port_socket_read_bind(struct port_socket *ps)
{
	int e = 0;

	ps->any = ps->opt.n_bind == 0;
	for (size_t i = 0; i < ps->opt.n_bind && e == 0; i++) {
		if (strcmp(ps->opt.bind[i], "*") == 0)
			ps->any = true;
		else if (ps->n_at == PORT_SOCKET_ADDRESSES_MAX)
			e = ERR_INVAL;
		else
			e = net_addr_from_ip(str_of(ps->opt.bind[i]), 0, &ps->at[ps->n_at++]);
	}
	for (size_t i = ps->n_at; i-- > 0 && e == 0;) /* two sockets cannot have one address */
		if (port_socket_is_covered(ps, i))
			ps->at[i] = ps->at[--ps->n_at];
	if (e != 0 || !ps->any)
		return e;
	ps->n_at = 1;
	return net_addr_from_ip(STR("::"), 0, &ps->at[0]);
}

int port_socket_new(struct ev *ev, const struct port_socket_opt *opt, struct port_socket **out)
{
	struct port_socket *ps = calloc(1, sizeof *ps);
	int e;

	if (ps == NULL)
		return ERR_NOMEM;
	ps->ev = ev;
	ps->opt = *opt;
	ps->claims = -1;
	ps->again = (struct ev_timer){.fn = port_socket_on_again, .arg = ps};
	for (size_t i = 0; i < PORT_BUCKETS; i++)
		list_init(&ps->ports[i]);
	if ((e = port_socket_read_bind(ps)) != 0 ||
	    (opt->claims != NULL && (e = net_claim_open(opt->claims, &ps->claims)) != 0)) {
		free(ps);
		return e;
	}
	*out = ps;
	return 0;
}

void port_socket_free(struct port_socket *ps)
{
	if (ps == NULL)
		return;
	for (size_t i = 0; i < PORT_BUCKETS; i++)
		LIST_FOR_EACH_SAFE (link, &ps->ports[i]) {
			struct port *p = CONTAINER_OF(link, struct port, link);

			CHECK(ev_timer_is_set(&p->leaving)); /* given up */
			port_free(p);
		}
	ev_timer_stop(ps->ev, &ps->again);
	net_close(ps->claims, false);
	ps->claims = -1;
	ev_free_later(ps->ev, ps);
}
