/* Accept in small batches, and back off when the process runs out of descriptors. */
#include "net/net_listen.h"

#include <errno.h>
#include <fcntl.h>
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
	struct ev_io *io; /* owned */
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
		if (l->fd < 0)
			return; /* freed by the callee; the memory lives until the turn ends */
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

static int net_listen_socket(const struct net_addr *addr, int backlog, int *out)
{
	int on = 1, off = 0, fd, e;

	fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(errno);
	if (addr->sa.sa_family == AF_UNIX) {
		net_listen_remove_stale(addr);
	} else {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		net_tune(fd, NET_VISITOR); /* accepted sockets inherit it: no calls for each */
		if (addr->sa.sa_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	}
	if (bind(fd, &addr->sa, addr->len) != 0 ||
	    listen(fd, backlog > 0 ? backlog : SOMAXCONN) != 0) {
		e = err_from_errno(errno);
		close(fd);
		return e;
	}
	*out = fd;
	return 0;
}

int net_listen(struct ev *ev, const struct net_listen_opt *opt, struct net_listener **out)
{
	struct net_listener *l = calloc(1, sizeof *l);
	int e;

	if (l == NULL)
		return ERR_NOMEM;
	l->ev = ev;
	l->opt = *opt;
	l->fd = -1;
	l->backoff = (struct ev_timer){.fn = net_listener_on_backoff, .arg = l};
	if ((e = net_listen_socket(&opt->addr, opt->backlog, &l->fd)) != 0)
		goto out;
	net_local(l->fd, &l->addr);
	if ((e = ev_io_new(ev, l->fd, net_listener_on_ready, l, &l->io)) != 0)
		goto out;
	ev_io_want(l->io, EV_READ);
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
	if (l->fd >= 0 && l->addr.len > 0 && l->addr.sa.sa_family == AF_UNIX)
		unlink(l->addr.un.sun_path);
	net_close(l->fd, false);
	l->fd = -1;
	ev_free_later(l->ev, l);
}
