/* getaddrinfo on a worker thread when the host is a name; no thread at all for addresses. */
#include "net/net_connect.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/net_sock.h"

/* Runs on a worker thread; shares nothing with the loop while it runs. */
struct net_lookup {
	struct net_connect *connect; /* weak: net_connect_cancel() clears it */
	char *host;		     /* owned */
	uint16_t port;
	struct net_addr addrs[NET_CONNECT_TRIES];
	size_t n_addrs;
};

struct net_connect {
	struct ev *ev;
	void (*done)(void *arg, int e, int fd);
	void *arg;
	struct net_lookup *lookup; /* weak while the thread has it */
	struct net_addr addrs[NET_CONNECT_TRIES];
	size_t n_addrs, next;
	struct ev_io *io; /* owned */
	struct ev_timer deadline;
	struct ev_task task; /* the first try, or a failure to report */
	bool *v4_first;	     /* borrowed: its owner waits or cancels; NULL: not to be kept */
	int fd;		     /* owned until done */
	int e;		     /* why the last try failed */
};

static void net_connect_try(struct net_connect *c);
static void net_connect_arrived(struct net_connect *c);

static void net_connect_release(struct net_connect *c)
{
	if (c->lookup != NULL)
		c->lookup->connect = NULL;
	ev_timer_stop(c->ev, &c->deadline);
	ev_task_cancel(&c->task);
	ev_io_free(c->io);
	c->io = NULL;
	net_close(c->fd, false);
	c->fd = -1;
	ev_free_later(c->ev, c);
}

void net_connect_cancel(struct net_connect *c)
{
	if (c != NULL)
		net_connect_release(c);
}

static void net_connect_finish(struct net_connect *c, int e, int fd)
{
	void (*done)(void *, int, int) = c->done;
	void *arg = c->arg;

	c->fd = fd >= 0 ? -1 : c->fd;
	net_connect_release(c);
	done(arg, e, fd);
}

static void net_connect_on_deadline(void *arg)
{
	net_connect_finish(arg, ERR_TIMEOUT, -1);
}

/* This address failed: the next one, or the end. */
static void net_connect_failed(struct net_connect *c, int e)
{
	c->e = e;
	ev_io_free(c->io);
	c->io = NULL;
	net_close(c->fd, false);
	c->fd = -1;
	net_connect_try(c);
}

static void net_connect_on_ready(void *arg, int events)
{
	struct net_connect *c = arg;
	int e = net_error(c->fd);

	if (e == 0 && (events & EV_ERROR))
		e = ERR_IO;
	if (e != 0) {
		net_connect_failed(c, e);
		return;
	}
	ev_io_free(c->io);
	c->io = NULL;
	net_connect_arrived(c);
}

static void net_connect_arrived(struct net_connect *c)
{
	if (c->v4_first != NULL)
		*c->v4_first = c->addrs[c->next - 1].sa.sa_family == AF_INET;
	net_connect_finish(c, 0, c->fd);
}

/*
 * As connect(). On loopback the peer's answer is often there when the call that asked for it
 * returns, and calling again brings it: no descriptor is watched, and no turn waited for.
 */
static int net_connect_call(int fd, const struct net_addr *a)
{
	int got = connect(fd, &a->sa, a->len);

	if (got == 0 || errno != EINPROGRESS || !net_addr_is_loopback(a))
		return got;
	got = connect(fd, &a->sa, a->len);
	if (got != 0 && errno == EALREADY)
		errno = EINPROGRESS;
	return got;
}

static void net_connect_try(struct net_connect *c)
{
	while (c->next < c->n_addrs) {
		const struct net_addr *a = &c->addrs[c->next++];

		c->fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (c->fd < 0) {
			c->e = err_from_errno(errno);
			continue;
		}
		if (net_connect_call(c->fd, a) == 0) {
			net_connect_arrived(c);
			return;
		}
		if (errno == EINPROGRESS) {
			c->e = ev_io_new(c->ev, c->fd, net_connect_on_ready, c, &c->io);
			if (c->e == 0) {
				ev_io_want(c->io, EV_WRITE);
				return;
			}
		} else {
			/* A unix socket whose queue is full says EAGAIN and will not call back. */
			c->e = errno == EAGAIN ? ERR_REFUSED : err_from_errno(errno);
		}
		net_close(c->fd, false);
		c->fd = -1;
	}
	net_connect_finish(c, c->e, -1);
}

static void net_connect_on_task(void *arg)
{
	net_connect_try(arg);
}

/* ---- names ---- */

static void net_lookup_run(void *arg)
{
	struct net_lookup *l = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG},
			*list = NULL;
	char port[8];

	str_printf(port, sizeof port, "%u", l->port);
	if (getaddrinfo(l->host, port, &hints, &list) != 0)
		return;
	for (const struct addrinfo *ai = list; ai != NULL && l->n_addrs < NET_CONNECT_TRIES;
	     ai = ai->ai_next) {
		struct net_addr *a = &l->addrs[l->n_addrs++];

		memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
		a->len = ai->ai_addrlen;
	}
	freeaddrinfo(list);
}

static void net_lookup_done(void *arg)
{
	struct net_lookup *l = arg;
	struct net_connect *c = l->connect;

	if (c != NULL) {
		c->lookup = NULL;
		memcpy(c->addrs, l->addrs, sizeof c->addrs);
		c->n_addrs = l->n_addrs;
		c->e = ERR_RESOLVE;
		net_connect_try(c);
	}
	free(l->host);
	free(l);
}

static int net_lookup_start(struct net_connect *c, const char *host, uint16_t port)
{
	struct net_lookup *l = calloc(1, sizeof *l);

	if (l == NULL)
		return ERR_NOMEM;
	l->port = port; /* all of it before the thread starts */
	l->connect = c;
	if ((l->host = strdup(host)) == NULL ||
	    ev_work(c->ev, net_lookup_run, net_lookup_done, l) != 0) {
		free(l->host);
		free(l);
		return ERR_NOMEM;
	}
	c->lookup = l;
	return 0;
}

/*
 * "localhost" is this machine whatever the resolver thinks: no thread, and no file that a process
 * short of descriptors cannot open. Source: RFC 6761 6.3.
 */
static bool net_connect_is_here(struct str host)
{
	return str_eq_nocase(host, STR("localhost")) || str_ends_nocase(host, STR(".localhost"));
}

static int net_connect_here(struct net_connect *c, const struct net_connect_opt *opt)
{
	bool v4_first = opt->v4_first != NULL && *opt->v4_first;
	int e = net_addr_from_ip(STR("::1"), opt->port, &c->addrs[v4_first]);

	c->v4_first = opt->v4_first;
	c->n_addrs = 2;
	return e != 0 ? e : net_addr_from_ip(STR("127.0.0.1"), opt->port, &c->addrs[!v4_first]);
}

/* The addresses that nobody has to be asked for. Returns 0 when there is at least one. */
static int net_connect_literal(struct net_connect *c, const struct net_connect_opt *opt)
{
	char path[NET_ADDR_TEXT];
	int e;

	if (net_connect_is_here(str_of(opt->host)))
		return net_connect_here(c, opt);
	str_printf(path, sizeof path, "unix:%s", opt->host);
	e = opt->host[0] == '/' ? net_addr_parse(str_of(path), &c->addrs[0])
				: net_addr_from_ip(str_of(opt->host), opt->port, &c->addrs[0]);
	c->n_addrs = e == 0;
	return e;
}

int net_connect_start(struct ev *ev, const struct net_connect_opt *opt, struct net_connect **out)
{
	struct net_connect *c = calloc(1, sizeof *c);
	int e = 0;

	if (c == NULL)
		return ERR_NOMEM;
	c->ev = ev;
	c->done = opt->done;
	c->arg = opt->arg;
	c->fd = -1;
	c->deadline = (struct ev_timer){.fn = net_connect_on_deadline, .arg = c};
	c->task = (struct ev_task){.fn = net_connect_on_task, .arg = c};
	c->e = net_connect_literal(c, opt);
	if (c->e == 0 || opt->host[0] == '/') {
		ev_task_run(ev, &c->task);
	} else if ((e = net_lookup_start(c, opt->host, opt->port)) != 0) {
		free(c);
		return e;
	}
	ev_timer_set(ev, &c->deadline, opt->timeout_ms);
	*out = c;
	return 0;
}
