/*
 * getaddrinfo on a worker thread when the host is a name; no thread at all for addresses.
 *
 * A name's addresses race: the next one is tried when the one before has failed, or has been silent
 * for a moment, and the first that connects wins. So a family that is broken on the way costs a
 * quarter of a second and not a kernel's patience. getaddrinfo brings both families at once, so
 * there is nothing to race before that.
 */
#include "net/net_connect.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/net_name.h"
#include "net/net_order.h"
#include "net/net_sock.h"

/* Addresses of one name that are looked at; the best NET_CONNECT_TRIES of them are tried. */
#define NET_LOOKUP_MAX 64

/* Runs on a worker thread; shares nothing with the loop while it runs. */
struct net_lookup {
	struct net_connect *connect; /* weak: net_connect_cancel() clears it */
	struct ev_work *work;
	char *host; /* owned */
	uint16_t port;
	struct net_addr addrs[NET_LOOKUP_MAX];
	size_t n_addrs;
};

/* One address that is being connected to. */
struct net_try {
	struct net_connect *connect; /* borrowed: whose it is */
	struct ev_io *io;	     /* owned; NULL: not under way */
	int fd;			     /* owned while io is there */
};

struct net_connect {
	struct ev *ev;
	void (*done)(void *arg, int e, int fd);
	void *arg;
	struct net_lookup *lookup; /* weak while the thread has it */
	struct net_addr addrs[NET_CONNECT_TRIES];
	struct net_try tries[NET_CONNECT_TRIES]; /* of the address with the same index */
	size_t n_addrs, next, n_trying;
	struct ev_timer deadline;
	struct ev_timer moment; /* until the next address is tried, whatever the others do */
	struct ev_task task;	/* the first try, or a failure to report */
	bool *v4_first;		/* borrowed: its owner waits or cancels; NULL: not to be kept */
	int e;			/* the most telling failure so far */
};

static void net_connect_drop(struct net_try *t)
{
	if (t->io == NULL)
		return;
	ev_io_free(t->io);
	t->io = NULL;
	net_close(t->fd, false);
	t->connect->n_trying--;
}

static void net_connect_release(struct net_connect *c)
{
	if (c->lookup != NULL) {
		c->lookup->connect = NULL;
		ev_work_forget(c->ev, c->lookup->work);
	}
	ev_timer_stop(c->ev, &c->deadline);
	ev_timer_stop(c->ev, &c->moment);
	ev_task_cancel(&c->task);
	for (size_t i = 0; i < c->next; i++)
		net_connect_drop(&c->tries[i]);
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

	net_connect_release(c);
	done(arg, e, fd);
}

/* ---- failures ---- */

/*
 * How much a failure tells: that this machine lacks something, then what the host has said, then
 * silence, then that there is no way to an address, as there often is none for one family.
 */
static int net_connect_rank(int e)
{
	switch (e) {
	case ERR_NOFILE:
	case ERR_NOMEM: return 5;
	case ERR_REFUSED:
	case ERR_DENIED: return 4;
	case ERR_RESET: return 3;
	case ERR_TIMEOUT: return 2;
	case ERR_RESOLVE: /* nothing was tried yet */
	case 0: return 0;
	default: return 1;
	}
}

static void net_connect_note(struct net_connect *c, int e)
{
	if (net_connect_rank(e) > net_connect_rank(c->e))
		c->e = e;
}

static void net_connect_on_deadline(void *arg)
{
	struct net_connect *c = arg;

	net_connect_note(c, ERR_TIMEOUT);
	net_connect_finish(c, c->e, -1);
}

/* ---- attempts ---- */

/* Address number i has answered: its descriptor goes to the owner, the others are closed. */
static void net_connect_arrived(struct net_connect *c, size_t i, int fd)
{
	if (c->v4_first != NULL)
		*c->v4_first = c->addrs[i].sa.sa_family == AF_INET;
	net_connect_finish(c, 0, fd);
}

static void net_connect_next(struct net_connect *c);

static void net_connect_on_ready(void *arg, int events)
{
	struct net_try *t = arg;
	struct net_connect *c = t->connect;
	int e = net_error(t->fd), fd = t->fd;

	if (e == 0 && (events & EV_ERROR))
		e = ERR_IO;
	if (e == 0) {
		ev_io_free(t->io);
		t->io = NULL;
		net_connect_arrived(c, (size_t)(t - c->tries), fd);
		return;
	}
	net_connect_drop(t);
	net_connect_note(c, e);
	net_connect_next(c);
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

/* Returns 0 when it has arrived, ERR_AGAIN when it is under way, else why it failed. */
static int net_connect_try(struct net_connect *c, size_t i, int *fd)
{
	const struct net_addr *a = &c->addrs[i];
	struct net_try *t = &c->tries[i];
	int e;

	*fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return err_from_errno(errno);
	if (net_connect_call(*fd, a) == 0)
		return 0;
	/* A unix socket whose queue is full says EAGAIN and will not call back. */
	e = errno == EAGAIN ? ERR_REFUSED : err_from_errno(errno);
	*t = (struct net_try){.connect = c, .fd = *fd};
	if (errno == EINPROGRESS &&
	    (e = ev_io_new(c->ev, *fd, net_connect_on_ready, t, &t->io)) == 0) {
		ev_io_want(t->io, EV_WRITE);
		c->n_trying++;
		return ERR_AGAIN;
	}
	net_close(*fd, false);
	return e;
}

/* Try the next address, and those after it as long as they fail at once. */
static void net_connect_next(struct net_connect *c)
{
	ev_timer_stop(c->ev, &c->moment);
	while (c->next < c->n_addrs) {
		size_t i = c->next++;
		int fd, e = net_connect_try(c, i, &fd);

		if (e == 0) {
			net_connect_arrived(c, i, fd);
			return;
		}
		if (e == ERR_AGAIN) {
			if (c->next < c->n_addrs)
				ev_timer_set(c->ev, &c->moment, NET_CONNECT_MOMENT_MS);
			return;
		}
		net_connect_note(c, e);
	}
	if (c->n_trying == 0)
		net_connect_finish(c, c->e, -1);
}

static void net_connect_on_moment(void *arg)
{
	net_connect_next(arg);
}

static void net_connect_on_task(void *arg)
{
	net_connect_next(arg);
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
	for (const struct addrinfo *ai = list; ai != NULL && l->n_addrs < NET_LOOKUP_MAX;
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
		c->n_addrs = net_order(l->addrs, l->n_addrs, c->addrs, NET_CONNECT_TRIES);
		c->e = ERR_RESOLVE;
		net_connect_next(c);
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
	    ev_work_start(c->ev, net_lookup_run, net_lookup_done, l, &l->work) != 0) {
		free(l->host);
		free(l);
		return ERR_NOMEM;
	}
	c->lookup = l;
	return 0;
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

	if (net_name_is_here(str_of(opt->host)))
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
	c->deadline = (struct ev_timer){.fn = net_connect_on_deadline, .arg = c};
	c->moment = (struct ev_timer){.fn = net_connect_on_moment, .arg = c};
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
