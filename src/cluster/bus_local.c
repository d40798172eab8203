/*
 * Of two workers the one with the greater id connects to the other, so there is one connection a
 * pair whoever comes first: a new name in the folder is seen by those who are there, and they look
 * as often as they beat besides. The name appears when its socket listens (it is made under another
 * one), so a socket that refuses has no process any more, and is removed.
 *
 * A worker whose socket closes is gone at once; one that has stopped but lives is cut when it has
 * been silent, or has read nothing, for BUS_GONE_MS. That is counted in ticks of our own timer, so
 * who was stopped himself blames nobody for it.
 */
#include "cluster/bus_local.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/list.h"
#include "net/net_connect.h"
#include "net/net_listen.h"
#include "net/net_sock.h"

#define SUFFIX	   ".bus"
#define SUFFIX_NEW ".new"

#define ID_LEN (NODE_ID_TEXT - 1)

/* In front of each message: its length, the greatest byte first. The first message is an id. */
#define LENGTH_LEN 4

/* Bytes asked of the kernel at once. */
#define READ_LEN (64 * 1024)
#define IN_MAX	 (LENGTH_LEN + BUS_MESSAGE_MAX + READ_LEN)

/* For a connection to be made. */
#define CONNECT_MS 1000

/* Ticks of BUS_BEAT_MS without a sign. */
#define TICKS_MAX (BUS_GONE_MS / BUS_BEAT_MS)

struct local_peer {
	struct list link; /* in bus_local.peers */
	struct bus_local *bus;
	char id[NODE_ID_TEXT];	     /* "": it has connected, and not said it yet */
	bool known;		     /* it has said who it is: gone() is due when it goes */
	bool dead;		     /* to be taken away at the end of the turn */
	struct net_connect *connect; /* owned; NULL: connected */
	struct ev_io *io;	     /* owned */
	int fd;			     /* owned while io is there */
	struct buf in, out;
	unsigned silent, stuck; /* ticks since something came; since it took something */
};

struct bus_local {
	struct bus bus; /* first: the two are the same pointer */
	struct ev *ev;
	struct log *log;
	char dir[sizeof((struct sockaddr_un *)NULL)->sun_path];
	char self[NODE_ID_TEXT];
	struct net_listener *listener; /* owned */
	struct ev_watch *watch;	       /* owned */
	struct list peers;	       /* owned: of local_peer */
	size_t n_peers;
	struct buf last; /* our last beat */
	struct ev_timer tick;
	struct ev_task task; /* write, take the dead away */
	bool up, closed;
};

/* ---- the end of a connection ---- */

static void local_cut(struct local_peer *p)
{
	if (p->dead)
		return;
	p->dead = true;
	net_connect_cancel(p->connect);
	p->connect = NULL;
	ev_io_free(p->io);
	p->io = NULL;
	net_close(p->fd, false);
	p->fd = -1;
	ev_task_run(p->bus->ev, &p->bus->task);
}

static void local_blame(struct local_peer *p, const char *why)
{
	log_warn(p->bus->log, "event=worker-cut node=%s why=\"%s\"", p->id[0] != '\0' ? p->id : "-",
		 why);
	local_cut(p);
}

/* A message out of `in` may be in somebody's hands until the turn ends. */
static void local_free(struct local_peer *p)
{
	local_cut(p);
	list_del(&p->link);
	p->bus->n_peers--;
	ev_free_later(p->bus->ev, p->in.mem);
	buf_free(&p->out);
	ev_free_later(p->bus->ev, p);
}

static struct local_peer *local_new(struct bus_local *l, const char *id)
{
	struct local_peer *p;

	if (l->n_peers == BUS_LOCAL_PEERS_MAX || (p = calloc(1, sizeof *p)) == NULL)
		return NULL;
	p->bus = l;
	p->fd = -1;
	str_printf(p->id, sizeof p->id, "%s", id);
	list_push(&l->peers, &p->link);
	l->n_peers++;
	return p;
}

static struct local_peer *local_find(struct bus_local *l, const char *id)
{
	LIST_FOR_EACH (link, &l->peers) {
		struct local_peer *p = CONTAINER_OF(link, struct local_peer, link);

		if (!p->dead && strcmp(p->id, id) == 0)
			return p;
	}
	return NULL;
}

/* ---- writing ---- */

static int local_put(struct local_peer *p, struct str message)
{
	uint32_t n = (uint32_t)message.len;
	uint8_t head[LENGTH_LEN] = {n >> 24, n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff};
	char *at;
	int e;

	if (p->out.len + LENGTH_LEN + message.len > BUS_WAITING_MAX)
		return ERR_LIMIT;
	if ((e = buf_room(&p->out, LENGTH_LEN + message.len, BUS_WAITING_MAX, &at)) != 0)
		return e;
	memcpy(at, head, LENGTH_LEN);
	if (message.len > 0)
		memcpy(at + LENGTH_LEN, message.p, message.len);
	buf_added(&p->out, LENGTH_LEN + message.len);
	ev_task_run(p->bus->ev, &p->bus->task);
	return 0;
}

static void local_write(struct local_peer *p)
{
	int e = 0;

	while (e == 0 && p->out.len > 0) {
		struct iovec iov = {p->out.mem + p->out.off, p->out.len};
		size_t n;

		if ((e = net_write(p->fd, &iov, 1, &n)) != 0)
			break;
		buf_take(&p->out, n);
		p->stuck = 0;
	}
	if (e != 0 && e != ERR_AGAIN)
		local_cut(p);
	else
		ev_io_want(p->io, e == ERR_AGAIN ? EV_READ | EV_WRITE : EV_READ);
}

/* ---- reading ---- */

/* Who has connected: one of those who should, and not twice. */
static bool local_is_welcome(struct bus_local *l, const char *id)
{
	return strcmp(id, l->self) > 0 && local_find(l, id) == NULL;
}

static bool local_is_id(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return s.len == ID_LEN;
}

static void local_on_hello(struct local_peer *p, struct str message)
{
	char id[NODE_ID_TEXT];

	if (!local_is_id(message) || str_copy(id, sizeof id, message) != 0 ||
	    (p->id[0] == '\0' ? !local_is_welcome(p->bus, id) : strcmp(p->id, id) != 0)) {
		local_blame(p, "it is not who it should be");
		return;
	}
	memcpy(p->id, id, sizeof id);
	p->known = true;
}

/* Take whole messages out of what has come. */
static void local_parse(struct local_peer *p)
{
	struct bus_local *l = p->bus;

	while (!p->dead && !l->closed && p->in.len >= LENGTH_LEN) {
		const uint8_t *at = (const uint8_t *)p->in.mem + p->in.off;
		size_t n = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
		struct str message = {(const char *)at + LENGTH_LEN, n};

		if (n > BUS_MESSAGE_MAX) {
			local_blame(p, "its message is too large");
			return;
		}
		if (p->in.len < LENGTH_LEN + n)
			return;
		if (p->known)
			l->bus.owner->heard(l->bus.arg, message);
		else
			local_on_hello(p, message);
		if (!l->closed)
			buf_take(&p->in, LENGTH_LEN + n);
	}
}

static void local_read(struct local_peer *p)
{
	char *at;
	size_t n;
	int e = buf_room(&p->in, READ_LEN, IN_MAX, &at);

	if (e == 0)
		e = net_read(p->fd, at, READ_LEN, &n);
	if (e == ERR_AGAIN)
		return;
	if (e != 0) {
		local_cut(p);
		return;
	}
	buf_added(&p->in, n);
	p->silent = 0;
	local_parse(p);
}

static void local_on_io(void *arg, int events)
{
	struct local_peer *p = arg;

	if (!p->dead && events & (EV_READ | EV_ERROR))
		local_read(p);
	if (!p->dead && events & EV_WRITE)
		local_write(p);
	if (!p->dead && events & EV_ERROR)
		local_cut(p);
}

/* ---- connecting ---- */

/* The descriptor is ours, whatever comes. */
static void local_begin(struct local_peer *p, int fd)
{
	struct bus_local *l = p->bus;
	uid_t uid;

	if (net_peer_uid(fd, &uid) != 0 || uid != geteuid() ||
	    ev_io_new(l->ev, fd, local_on_io, p, &p->io) != 0) {
		net_close(fd, false);
		local_blame(p, "it is another user's, or memory is short");
		return;
	}
	p->fd = fd;
	ev_io_want(p->io, EV_READ);
	if (local_put(p, str_of(l->self)) != 0 ||
	    (l->last.len > 0 && local_put(p, buf_str(&l->last)) != 0))
		local_cut(p);
}

static void local_on_accepted(void *arg, int fd, const struct net_addr *peer)
{
	struct local_peer *p = local_new(arg, "");

	if (p == NULL)
		net_close(fd, false);
	else
		local_begin(p, fd);
}

static size_t local_path(const struct bus_local *l, const char *id, const char *suffix, char *out,
			 size_t cap)
{
	return str_printf(out, cap, "%s/%s%s", l->dir, id, suffix);
}

/* Whatever in the folder begins with the id of a process that is dead was its own. */
static void local_sweep(const struct bus_local *l, const char *id)
{
	struct dirent *entry;
	DIR *dir = opendir(l->dir);

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, id, ID_LEN) == 0 && entry->d_name[ID_LEN] == '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
}

static void local_on_connected(void *arg, int e, int fd)
{
	struct local_peer *p = arg;

	p->connect = NULL;
	if (e == 0) {
		local_begin(p, fd);
		return;
	}
	if (e == ERR_REFUSED) /* nobody has it any more */
		local_sweep(p->bus, p->id);
	local_cut(p);
}

static void local_dial(struct bus_local *l, const char *id)
{
	struct local_peer *p = local_new(l, id);
	char path[2 * sizeof l->dir];
	struct net_connect_opt opt = {
		.host = path,
		.timeout_ms = CONNECT_MS,
		.done = local_on_connected,
		.arg = p,
	};

	if (p == NULL)
		return;
	local_path(l, id, SUFFIX, path, sizeof path);
	if (net_connect_start(l->ev, &opt, &p->connect) != 0)
		local_cut(p);
}

/* Connect to all whom we do not know and who are ours to call. */
static void local_look(struct bus_local *l)
{
	struct dirent *entry;
	DIR *dir = opendir(l->dir);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		struct str name = str_of(entry->d_name), id = {name.p, ID_LEN};
		char text[NODE_ID_TEXT];

		if (name.len != ID_LEN + strlen(SUFFIX) || !local_is_id(id) ||
		    strcmp(name.p + ID_LEN, SUFFIX) != 0 || str_copy(text, sizeof text, id) != 0)
			continue;
		if (strcmp(text, l->self) < 0 && local_find(l, text) == NULL)
			local_dial(l, text);
	}
	if (dir != NULL)
		closedir(dir);
}

static void local_on_watch(void *arg)
{
	local_look(arg);
}

/* ---- time ---- */

static void local_on_tick(void *arg)
{
	struct bus_local *l = arg;

	LIST_FOR_EACH (link, &l->peers) {
		struct local_peer *p = CONTAINER_OF(link, struct local_peer, link);

		if (p->dead || p->io == NULL)
			continue;
		p->silent++;
		p->stuck = p->out.len > 0 ? p->stuck + 1 : 0;
		if (p->silent > TICKS_MAX || (p->silent > 1 && !p->known))
			local_blame(p, "it is silent");
		else if (p->stuck > TICKS_MAX)
			local_blame(p, "it does not read");
	}
	local_look(l);
	ev_timer_set(l->ev, &l->tick, BUS_BEAT_MS);
}

/* Returns NULL when there is none. */
static struct local_peer *local_dead(struct bus_local *l)
{
	LIST_FOR_EACH (link, &l->peers) {
		struct local_peer *p = CONTAINER_OF(link, struct local_peer, link);

		if (p->dead)
			return p;
	}
	return NULL;
}

static void local_on_task(void *arg)
{
	struct bus_local *l = arg;
	struct local_peer *p;

	LIST_FOR_EACH (link, &l->peers) {
		p = CONTAINER_OF(link, struct local_peer, link);
		if (!p->dead && p->io != NULL && p->out.len > 0)
			local_write(p);
	}
	while (!l->closed && (p = local_dead(l)) != NULL) {
		bool known = p->known;

		local_free(p);
		if (known)
			l->bus.owner->gone(l->bus.arg, p->id); /* its memory outlives the turn */
	}
	if (!l->closed && !l->up) {
		l->up = true;
		l->bus.owner->up(l->bus.arg, true);
	}
}

/* ---- the owner's ---- */

static int bus_local_send(struct bus *b, const char *to, struct str message)
{
	struct bus_local *l = (struct bus_local *)b;
	int e = 0, e_one;

	if (message.len > BUS_MESSAGE_MAX)
		return ERR_TOOBIG;
	LIST_FOR_EACH (link, &l->peers) {
		struct local_peer *p = CONTAINER_OF(link, struct local_peer, link);

		if (p->dead || p->io == NULL || (to != NULL && strcmp(p->id, to) != 0))
			continue;
		if ((e_one = local_put(p, message)) != 0)
			e = e_one;
	}
	return e;
}

static void bus_local_beat(struct bus *b, struct str message)
{
	struct bus_local *l = (struct bus_local *)b;

	if (message.len > BUS_MESSAGE_MAX)
		return;
	(void)!bus_local_send(b, NULL, message); /* another one comes soon */
	buf_free(&l->last);
	(void)!buf_add(&l->last, message.p, message.len, BUS_MESSAGE_MAX);
}

static void bus_local_close(struct bus *b)
{
	struct bus_local *l = (struct bus_local *)b;
	char path[2 * sizeof l->dir];

	l->closed = true;
	LIST_FOR_EACH_SAFE (link, &l->peers) {
		struct local_peer *p = CONTAINER_OF(link, struct local_peer, link);

		if (!p->dead && p->io != NULL && p->out.len > 0)
			local_write(p);
		local_free(p);
	}
	ev_task_cancel(&l->task);
	ev_timer_stop(l->ev, &l->tick);
	ev_watch_free(l->watch);
	if (l->listener != NULL) {
		local_path(l, l->self, SUFFIX, path, sizeof path);
		unlink(path);
	}
	net_listener_free(l->listener);
	buf_free(&l->last);
	ev_free_later(l->ev, l);
}

static const struct bus_ops bus_local_ops = {
	.send = bus_local_send,
	.beat = bus_local_beat,
	.close = bus_local_close,
};

/* Under another name first: who sees the right one finds it listening. */
static int local_listen(struct bus_local *l)
{
	char path[2 * sizeof l->dir], path_new[sizeof path];
	struct net_listen_opt opt = {
		.accepted = local_on_accepted,
		.arg = l,
		.log = l->log,
		.addr = {.un = {.sun_family = AF_UNIX}, .len = sizeof(struct sockaddr_un)},
	};
	int e;

	local_path(l, l->self, SUFFIX, path, sizeof path);
	local_path(l, l->self, SUFFIX_NEW, path_new, sizeof path_new);
	if ((e = str_copy(opt.addr.un.sun_path, sizeof opt.addr.un.sun_path, str_of(path_new))) !=
		    0 ||
	    (e = net_listen(l->ev, &opt, &l->listener)) != 0)
		return e;
	return rename(path_new, path) == 0 ? 0 : err_from_errno(errno);
}

int bus_local_new(struct ev *ev, struct log *log, const char *dir, const char *self,
		  struct bus **out)
{
	struct bus_local *l = calloc(1, sizeof *l);
	int e = ERR_NOMEM;

	if (l == NULL)
		return e;
	l->bus.ops = &bus_local_ops;
	l->ev = ev;
	l->log = log;
	list_init(&l->peers);
	l->task = (struct ev_task){.fn = local_on_task, .arg = l};
	l->tick = (struct ev_timer){.fn = local_on_tick, .arg = l};
	if (!local_is_id(str_of(self))) {
		e = ERR_INVAL;
		goto out;
	}
	if ((e = str_copy(l->self, sizeof l->self, str_of(self))) != 0 ||
	    (e = str_copy(l->dir, sizeof l->dir, str_of(dir))) != 0 ||
	    (e = ev_watch_new(ev, dir, local_on_watch, l, &l->watch)) != 0 ||
	    (e = local_listen(l)) != 0)
		goto out;
	ev_timer_set(ev, &l->tick, BUS_BEAT_MS);
	ev_task_run(ev, &l->task);
	local_look(l);
	*out = &l->bus;
	l = NULL;
out:
	if (l != NULL)
		bus_local_close(&l->bus);
	return e;
}

size_t bus_local_count(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	size_t n = 0;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		struct str name = str_of(entry->d_name);

		if (name.len == ID_LEN + strlen(SUFFIX) && strcmp(name.p + ID_LEN, SUFFIX) == 0)
			n++;
	}
	if (d != NULL)
		closedir(d);
	return n;
}
