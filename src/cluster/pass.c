/*
 * A message is one line of text (pass_line.h), with the descriptor beside it. One that is not
 * understood costs that one connection, and is logged.
 */
#include "cluster/pass.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "cluster/pass_line.h"
#include "ev/log_pace.h"
#include "net/net_fd.h"
#include "net/net_sock.h"

/* Bytes of a path, NUL included. */
#define PASS_PATH 108

/* Messages taken in one go before others have a say. */
#define PASS_BATCH 32

/* Out of descriptors: so long nobody is accepted, in milliseconds. */
#define PASS_REST_MS 100
/* The same at the end: more than a socket holds. */
#define PASS_LAST 4096

struct pass {
	struct ev *ev;
	struct pass_opt opt;
	struct log_pace pace;
	char dir[PASS_PATH], path[PASS_PATH], self[NODE_ID_TEXT];
	int fd;		      /* owned: listens */
	struct ev_io *io;     /* owned */
	struct ev_timer rest; /* set: nobody is accepted now */
	struct list to, from; /* owned: of pass_link.link */
	size_t n_to, n_from;
};

/* A connection of two workers; descriptors go one way. */
struct pass_link {
	struct list link;
	struct pass *pass;
	int fd;		       /* owned */
	struct ev_io *io;      /* owned; NULL: we only send */
	char id[NODE_ID_TEXT]; /* where it goes to */
};

/* ---- connections ---- */

static void pass_link_free(struct pass_link *l)
{
	list_del(&l->link);
	if (l->io != NULL)
		l->pass->n_from--;
	else
		l->pass->n_to--;
	ev_io_free(l->io);
	net_close(l->fd, false);
	ev_free_later(l->pass->ev, l);
}

static int pass_link_new(struct pass *p, int fd, struct pass_link **out)
{
	struct pass_link *l = calloc(1, sizeof *l);

	if (l == NULL)
		return ERR_NOMEM;
	l->pass = p;
	l->fd = fd;
	*out = l;
	return 0;
}

/* ---- taking ---- */

static void pass_complain(struct pass *p, int e)
{
	if (log_pace_take(&p->pace, p->ev, p->opt.log))
		log_warn(p->opt.log,
			 "event=pass code=%s msg=\"what another worker has handed over is not "
			 "understood; the connection is closed\"",
			 err_name(e));
}

/* Returns 0 or why there is no more for now. */
static int pass_link_take(struct pass_link *l)
{
	struct pass *p = l->pass;
	struct net_fd_message m;
	struct pass_visitor v;
	int e = net_fd_recv(l->fd, &m);

	if (e == ERR_PROTO) {
		pass_complain(p, e);
		return 0;
	}
	if (e != 0)
		return e;
	e = m.fd < 0 ? ERR_PROTO : pass_line_parse((struct str){m.bytes, m.len}, &v);
	if (e != 0) {
		pass_complain(p, e);
		net_close(m.fd, true);
	} else {
		p->opt.taken(p->opt.arg, m.fd, &v);
	}
	return 0;
}

static void pass_link_on_ready(void *arg, int events)
{
	struct pass_link *l = arg;
	int e = 0;

	for (int i = 0; i < PASS_BATCH && e == 0; i++) {
		e = pass_link_take(l);
		if (l->pass->fd < 0)
			return; /* freed by the callee */
	}
	if (e != 0 && e != ERR_AGAIN)
		pass_link_free(l);
}

static void pass_admit(struct pass *p, int fd)
{
	struct pass_link *l = NULL;

	if (p->n_from >= PASS_PEERS_MAX || pass_link_new(p, fd, &l) != 0) {
		net_close(fd, false);
		return;
	}
	if (ev_io_new(p->ev, fd, pass_link_on_ready, l, &l->io) != 0) {
		net_close(fd, false);
		free(l);
		return;
	}
	list_push(&p->from, &l->link);
	p->n_from++;
	ev_io_want(l->io, EV_READ);
}

static void pass_on_ready(void *arg, int events)
{
	struct pass *p = arg;
	int fd, e = 0;

	for (int i = 0; i < PASS_BATCH; i++) {
		e = net_fd_accept(p->fd, &fd);
		if (e == 0)
			pass_admit(p, fd);
		else if (e != ERR_DENIED)
			break;
	}
	if (e != 0 && e != ERR_AGAIN && e != ERR_DENIED) { /* who waits waits a little longer */
		ev_io_want(p->io, 0);
		ev_timer_set(p->ev, &p->rest, PASS_REST_MS);
	}
}

static void pass_on_rested(void *arg)
{
	struct pass *p = arg;

	ev_io_want(p->io, EV_READ);
}

/* ---- handing over ---- */

/* An id becomes part of a path. */
static bool pass_is_id(const char *id)
{
	size_t n = strspn(id, "0123456789abcdef");

	return n == NODE_ID_TEXT - 1 && id[n] == '\0';
}

static struct pass_link *pass_find(struct pass *p, const char *id)
{
	LIST_FOR_EACH (link, &p->to) {
		struct pass_link *l = CONTAINER_OF(link, struct pass_link, link);

		if (strcmp(l->id, id) == 0)
			return l;
	}
	return NULL;
}

static int pass_dial(struct pass *p, const char *id, struct pass_link **out)
{
	char path[PASS_PATH];
	int fd, e;

	str_printf(path, sizeof path, "%s/%s.pass", p->dir, id);
	if ((e = net_fd_dial(path, &fd)) != 0)
		return e;
	if ((e = pass_link_new(p, fd, out)) != 0) {
		net_close(fd, false);
		return e;
	}
	(void)!str_copy((*out)->id, sizeof(*out)->id, str_of(id));
	if (p->n_to >= PASS_PEERS_MAX) /* the one that was used longest ago */
		pass_link_free(CONTAINER_OF(p->to.next, struct pass_link, link));
	list_push(&p->to, &(*out)->link);
	p->n_to++;
	return 0;
}

int pass_to(struct pass *p, const char *id, int fd, const struct pass_visitor *v)
{
	char line[PASS_LINE];
	struct pass_link *l;
	size_t len;
	int e;

	if (!pass_is_id(id) || strcmp(id, p->self) == 0 || v->door >= PASS_DOORS)
		return ERR_INVAL;
	len = pass_line_format(v, line);
	if ((l = pass_find(p, id)) == NULL && (e = pass_dial(p, id, &l)) != 0)
		return e;
	if ((e = net_fd_send(l->fd, fd, line, len)) == 0) {
		list_del(&l->link);
		list_push(&p->to, &l->link);
		net_close(fd, false);
	} else if (e != ERR_AGAIN && e != ERR_LIMIT) {
		pass_link_free(l);
	}
	return e;
}

/* ---- life ---- */

static int pass_listen(struct pass *p)
{
	int e;

	(void)unlink(p->path); /* ids are not given twice: nobody listens there */
	if ((e = net_fd_listen(p->path, &p->fd)) != 0)
		return e;
	if ((e = ev_io_new(p->ev, p->fd, pass_on_ready, p, &p->io)) != 0)
		return e;
	ev_io_want(p->io, EV_READ);
	return 0;
}

int pass_new(struct ev *ev, const struct pass_opt *opt, struct pass **out)
{
	struct pass *p = NULL;
	int e;

	if (!pass_is_id(opt->self))
		return ERR_INVAL;
	if ((p = calloc(1, sizeof *p)) == NULL)
		return ERR_NOMEM;
	p->ev = ev;
	p->opt = *opt;
	p->fd = -1;
	p->rest = (struct ev_timer){.fn = pass_on_rested, .arg = p};
	list_init(&p->to);
	list_init(&p->from);
	(void)!str_copy(p->self, sizeof p->self, str_of(opt->self));
	p->opt.dir = p->dir;
	p->opt.self = p->self;
	if ((e = str_copy(p->dir, sizeof p->dir, str_of(opt->dir))) != 0)
		goto out;
	if (str_of(opt->dir).len + sizeof "/.pass" + NODE_ID_TEXT > sizeof p->path) {
		e = ERR_TOOBIG;
		goto out;
	}
	str_printf(p->path, sizeof p->path, "%s/%s.pass", p->dir, p->self);
	if ((e = pass_listen(p)) != 0)
		goto out;
	MOVE(*out, p);
out:
	pass_free(p);
	return e;
}

void pass_free(struct pass *p)
{
	if (p == NULL)
		return;
	if (p->fd >= 0) {
		(void)unlink(p->path);
		pass_on_ready(p, 0); /* who has connected may have sent */
	}
	LIST_FOR_EACH_SAFE (link, &p->from) {
		struct pass_link *l = CONTAINER_OF(link, struct pass_link, link);

		for (int i = 0; i < PASS_LAST && pass_link_take(l) == 0; i++)
			;
		pass_link_free(l);
	}
	LIST_FOR_EACH_SAFE (link, &p->to)
		pass_link_free(CONTAINER_OF(link, struct pass_link, link));
	ev_timer_stop(p->ev, &p->rest);
	ev_io_free(p->io);
	net_close(p->fd, false);
	p->fd = -1;
	p->io = NULL;
	ev_free_later(p->ev, p);
}
