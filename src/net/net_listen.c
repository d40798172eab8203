/* Accept in small batches, and back off when the process runs out of descriptors. */
#include "net/net_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "net/net_sock.h"

/* Connections taken in one go before others have a say. */
#define ACCEPT_BATCH 64
/* The same where other processes accept as well: who is awake first shall not take them all. */
#define ACCEPT_BATCH_SHARED 4
/* How long accepting rests when descriptors or memory are short, in milliseconds. */
#define BACKOFF_MS 200
/* How long it is waited before an address is asked for again, in milliseconds. */
#define BIND_AGAIN_MS 20

struct net_listener {
	struct ev *ev;
	struct ev_io *io; /* owned; NULL while it is paused */
	struct ev_timer backoff;
	struct net_listen_opt opt;
	struct net_addr addr;
	int fd; /* owned */
	bool short_of_files;
	bool hidden; /* a unix socket's path is not ours any more */
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
	int batch = l->opt.fd > 0 ? ACCEPT_BATCH_SHARED : ACCEPT_BATCH;

	for (int i = 0; i < batch; i++) {
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

/* Whoever leaves an address, and accepts those who were on the way, has it for a moment still. */
static int net_listen_bind_patiently(int fd, const struct net_addr *addr)
{
	for (int waited_ms = 0;; waited_ms += BIND_AGAIN_MS) {
		if (bind(fd, &addr->sa, addr->len) == 0)
			return 0;
		if (errno != EADDRINUSE || waited_ms >= NET_LISTEN_PATIENCE_MS)
			return err_from_errno(errno);
		poll(NULL, 0, BIND_AGAIN_MS);
	}
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
	return net_listen_bind_patiently(fd, addr);
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
	CHECK(l->opt.fd <= 0 && net_addr_port(&l->opt.addr) != 0);
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
int net_listen_hide(int fd)
{
	int nowhere = INT_MAX;

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere, sizeof nowhere) == 0)
		return 0;
	return errno == EPERM ? ERR_DENIED : ERR_UNSUPPORTED;
}

int net_listener_hide(struct net_listener *l)
{
	if (l->opt.fd > 0)
		return ERR_DENIED; /* it would be hidden from all who have it */
	if (l->addr.sa.sa_family == AF_UNIX) {
		if (!l->hidden)
			unlink(l->addr.un.sun_path);
		l->hidden = true;
		return 0;
	}
	return net_listen_hide(l->fd);
}

/* It was opened by somebody else, whose wishes may have been others. */
static void net_listen_take_over(int fd, const struct net_listen_opt *opt)
{
	int none = 0;

	net_tune(fd, NET_VISITOR);
	if (opt->spoken_to)
		net_defer(fd);
	else
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &none, sizeof none);
}

/* Of everything but a loop. Sets *fd to -1 on failure. */
static int net_listen_socket(const struct net_listen_opt *opt, int *fd)
{
	int e;

	*fd = socket(opt->addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return err_from_errno(errno);
	if ((e = net_listen_bind(*fd, opt)) == 0)
		return 0;
	net_close(*fd, false);
	*fd = -1;
	return e;
}

int net_listen_open(const struct net_listen_opt *opt, int *fd)
{
	int e;

	CHECK(!opt->paused && !opt->shares);
	if ((e = net_listen_socket(opt, fd)) != 0)
		return e;
	if (listen(*fd, opt->backlog > 0 ? opt->backlog : SOMAXCONN) == 0)
		return 0;
	e = err_from_errno(errno);
	net_close(*fd, false);
	*fd = -1;
	return e;
}

int net_listen_adopt(int fd, struct net_addr *addr)
{
	int listens = 0, type = 0, flags = fcntl(fd, F_GETFL);
	socklen_t len = sizeof listens, type_len = sizeof type;

	if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 || listens == 0 ||
	    type != SOCK_STREAM)
		return ERR_INVAL;
	net_local(fd, addr);
	if (addr->len == 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return ERR_INVAL;
	net_listen_inherit(fd, false);
	return 0;
}

int net_listener_fd(const struct net_listener *l)
{
	return l->fd;
}

void net_listener_own(struct net_listener *l)
{
	l->opt.fd = 0;
	l->opt.addr = l->addr;
}

void net_listen_inherit(int fd, bool on)
{
	(void)fcntl(fd, F_SETFD, on ? 0 : FD_CLOEXEC);
}

/* Begin to accept from a socket that listens already. */
static int net_listen_join(struct net_listener *l)
{
	int e = ev_io_new(l->ev, l->fd, net_listener_on_ready, l, &l->io);

	if (e != 0)
		l->fd = -1; /* the caller's still */
	else
		ev_io_want(l->io, EV_READ);
	return e;
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
	if (opt->fd > 0) {
		l->fd = opt->fd;
		net_listen_take_over(l->fd, opt);
	} else if ((e = net_listen_socket(opt, &l->fd)) != 0) {
		goto out;
	}
	net_local(l->fd, &l->addr);
	if (opt->fd > 0)
		e = net_listen_join(l);
	else if (!opt->paused)
		e = net_listener_resume(l);
	if (e != 0)
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
	if (l->fd >= 0 && l->opt.fd <= 0 && l->addr.len > 0 && l->addr.sa.sa_family == AF_UNIX &&
	    !l->hidden)
		unlink(l->addr.un.sun_path);
	net_close(l->fd, false);
	l->fd = -1;
	ev_free_later(l->ev, l);
}
