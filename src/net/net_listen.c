/* Accept in small batches, and back off when the process runs out of descriptors. */
#include "net/net_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "net/net_sock.h"

/* Connections taken in one go before others have a say. */
#define ACCEPT_BATCH 64
/* How long accepting rests when descriptors or memory are short, in milliseconds. */
#define BACKOFF_MS 200

struct net_listener {
	struct ev *ev;
	struct ev_io *io; /* owned; NULL while it is paused */
	struct ev_timer backoff;
	struct net_listen_opt opt;
	struct net_addr addr;
	int fd; /* owned */
	bool short_of_files;
};

static void net_listener_rest(struct net_listener *l, int e)
{
	if (!l->short_of_files)
		log_error(l->opt.log, "event=accept error=%s msg=\"%s; new connections wait\"",
			  err_name(e), err_text(e));
	l->short_of_files = true;
	ev_io_want(l->io, 0);
	ev_timer_set(l->ev, &l->backoff, BACKOFF_MS);
}

/* Nobody waits any more: only now it is over, one accepted connection is not yet a recovery. */
static void net_listener_recovered(struct net_listener *l)
{
	if (l->short_of_files)
		log_info(l->opt.log, "event=accept msg=\"accepting again\"");
	l->short_of_files = false;
}

static void net_listener_on_ready(void *arg, int events)
{
	struct net_listener *l = arg;

	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct net_addr peer = {.len = sizeof(struct sockaddr_un)};
		int fd = accept4(l->fd, &peer.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			int e = err_from_errno(errno);

			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (e == ERR_NOFILE || e == ERR_NOMEM)
				net_listener_rest(l, e);
			else if (e == ERR_AGAIN)
				net_listener_recovered(l);
			return;
		}
		l->opt.accepted(l->opt.arg, fd, &peer);
		if (l->io == NULL)
			return; /* paused or freed by the callee; the memory outlives this turn */
	}
}

static void net_listener_on_backoff(void *arg)
{
	struct net_listener *l = arg;

	ev_io_want(l->io, EV_READ);
}

/*
 * A unix socket left behind by a dead process refuses; a live one answers, or has a full queue. An
 * ordinary file refuses as well, and is not ours to remove.
 */
static void net_listen_remove_stale(const struct net_addr *addr)
{
	struct stat st;
	int fd;

	if (lstat(addr->un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, &addr->sa, addr->len) != 0 && errno == ECONNREFUSED)
		unlink(addr->un.sun_path);
	close(fd);
}

/*
 * May others have the address too? While this socket does not listen only its own refusal keeps
 * them away, for Linux lets any number of sockets with SO_REUSEADDR have one port as long as none
 * of them listens. And when the first socket of a port has not allowed it, none is let in without
 * being looked at.
 */
static void net_listen_share(int fd, int on)
{
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

/* Take an address, and nobody else shall: connections of the past may be left on it. */
static int net_listen_bind_alone(int fd, const struct net_addr *addr)
{
	if (bind(fd, &addr->sa, addr->len) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return err_from_errno(errno);
	net_listen_share(fd, 1);
	if (bind(fd, &addr->sa, addr->len) != 0)
		return err_from_errno(errno);
	net_listen_share(fd, 0);
	return 0;
}

static int net_listen_bind(int fd, const struct net_listen_opt *opt)
{
	const struct net_addr *addr = &opt->addr;
	int on = 1, v6_alone = opt->v6_alone;

	if (addr->sa.sa_family == AF_UNIX) {
		net_listen_remove_stale(addr);
		return bind(fd, &addr->sa, addr->len) == 0 ? 0 : err_from_errno(errno);
	}
	if (opt->spoken_to)
		net_defer(fd);
	net_tune(fd, NET_VISITOR); /* accepted sockets inherit it: no calls for each */
	if (addr->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_alone, sizeof v6_alone);
	if (opt->shares)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	if (opt->paused)
		return net_listen_bind_alone(fd, addr);
	net_listen_share(fd, 1);
	return bind(fd, &addr->sa, addr->len) == 0 ? 0 : err_from_errno(errno);
}

/* Leave the kernel's listening state; the address stays ours. */
static void net_listen_refuse(int fd)
{
	shutdown(fd, SHUT_RD);
	net_listen_share(fd, 0);
}

int net_listener_resume(struct net_listener *l)
{
	int e;

	if (l->io != NULL)
		return 0;
	net_listen_share(l->fd, 1); /* or the connections that run would stand in the way */
	if (listen(l->fd, l->opt.backlog > 0 ? l->opt.backlog : SOMAXCONN) != 0) {
		e = err_from_errno(errno);
		net_listen_share(l->fd, 0);
		return e;
	}
	if ((e = ev_io_new(l->ev, l->fd, net_listener_on_ready, l, &l->io)) != 0) {
		net_listen_refuse(l->fd);
		return e;
	}
	ev_io_want(l->io, EV_READ);
	return 0;
}

void net_listener_pause(struct net_listener *l)
{
	CHECK(net_addr_port(&l->opt.addr) != 0);
	if (l->io == NULL)
		return;
	ev_timer_stop(l->ev, &l->backoff);
	ev_io_free(l->io);
	l->io = NULL;
	net_listen_refuse(l->fd);
}

/* Linux lets sockets of one user listen on one port when each of them says so at that moment. */
void net_listener_share(struct net_listener *l, bool on)
{
	int value = on;

	setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value);
}

/*
 * A listener of one interface is not looked at for connections that come in by another one, and no
 * interface has this number. Those that have begun go on: they know their listener.
 */
int net_listener_hide(struct net_listener *l)
{
	int nowhere = INT_MAX;

	if (setsockopt(l->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere, sizeof nowhere) == 0)
		return 0;
	return errno == EPERM ? ERR_DENIED : ERR_UNSUPPORTED;
}

int net_listen(struct ev *ev, const struct net_listen_opt *opt, struct net_listener **out)
{
	struct net_listener *l = calloc(1, sizeof *l);
	int e = 0;

	if (l == NULL)
		return ERR_NOMEM;
	l->ev = ev;
	l->opt = *opt;
	l->backoff = (struct ev_timer){.fn = net_listener_on_backoff, .arg = l};
	l->fd = socket(opt->addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		e = err_from_errno(errno);
	if (e != 0 || (e = net_listen_bind(l->fd, opt)) != 0)
		goto out;
	net_local(l->fd, &l->addr);
	if (!opt->paused && (e = net_listener_resume(l)) != 0)
		goto out;
	MOVE(*out, l);
out:
	net_listener_free(l);
	return e;
}

const struct net_addr *net_listener_addr(const struct net_listener *l)
{
	return &l->addr;
}

void net_listener_free(struct net_listener *l)
{
	if (l == NULL)
		return;
	ev_timer_stop(l->ev, &l->backoff);
	ev_io_free(l->io);
	l->io = NULL;
	if (l->fd >= 0 && l->addr.len > 0 && l->addr.sa.sa_family == AF_UNIX)
		unlink(l->addr.un.sun_path);
	net_close(l->fd, false);
	l->fd = -1;
	ev_free_later(l->ev, l);
}
