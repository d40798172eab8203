/*
 * hiredis on our loop.
 *
 * Two things differ from hiredis' own adapters. Connecting begins on a thread, because hiredis
 * resolves the name there and then; the loop takes over when the socket is there. And commands are
 * written at the end of the turn, all of the turn's in one go, not when the socket says that it is
 * writable, which it nearly always is.
 */
#include "store/store_redis_conn.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/url.h"

struct store_redis_conn {
	struct ev *ev;					/* borrowed: outlives every store */
	const struct store_redis_conn_ops *ops;		/* borrowed */
	void *arg;					/* the owner's */
	char host[MAX(HOSTNAME_MAX, URL_UNIX_MAX) + 1]; /* or the path */
	int port;					/* -1: a path */
	redisAsyncContext *ac; /* owned; the thread's while resolving; NULL: hiredis ended it */
	struct ev_io *io;      /* owned */
	int want;	       /* what hiredis wants of io */
	bool resolving, connected;
	bool listening;	     /* messages come */
	bool dropped;	     /* the owner hears no more; task frees */
	bool writing;	     /* inside redisAsyncHandleWrite */
	struct ev_task task; /* write what the turn brought, or the end */
};

static void conn_free_soon(struct store_redis_conn *c)
{
	c->dropped = true;
	if (c->io != NULL)
		ev_io_want(c->io, 0);
	if (!c->resolving)
		ev_task_run(c->ev, &c->task);
}

/* Tell the owner that it is over. */
static void conn_break(struct store_redis_conn *c, const char *why)
{
	if (c->dropped)
		return;
	conn_free_soon(c);
	c->ops->broken(c->arg, why);
}

/* ---- hiredis' hooks ---- */

static void conn_want(struct store_redis_conn *c, int events)
{
	c->want = events;
	if (!c->dropped && c->io != NULL)
		ev_io_want(c->io, events);
}

static void conn_on_add_read(void *arg)
{
	struct store_redis_conn *c = arg;

	conn_want(c, c->want | EV_READ);
}

static void conn_on_del_read(void *arg)
{
	struct store_redis_conn *c = arg;

	conn_want(c, c->want & ~EV_READ);
}

static void conn_on_add_write(void *arg)
{
	struct store_redis_conn *c = arg;

	/* A socket that is still connecting, or that did not take all, tells when it can. */
	if (!c->connected || c->writing)
		conn_want(c, c->want | EV_WRITE);
	else
		ev_task_run(c->ev, &c->task);
}

static void conn_on_del_write(void *arg)
{
	struct store_redis_conn *c = arg;

	conn_want(c, c->want & ~EV_WRITE);
}

/* hiredis is about to close the socket and to free its context. */
static void conn_on_cleanup(void *arg)
{
	struct store_redis_conn *c = arg;
	char why[sizeof c->ac->c.errstr];

	str_printf(why, sizeof why, "%s",
		   c->ac->err != 0 && c->ac->errstr != NULL ? c->ac->errstr : "connection closed");
	ev_io_free(c->io);
	c->io = NULL;
	c->ac = NULL;
	conn_break(c, why);
}

static void conn_on_connect(const redisAsyncContext *ac, int status)
{
	struct store_redis_conn *c = ac->data;

	if (status != REDIS_OK || c->dropped)
		return; /* the clean-up comes next */
	c->connected = true;
	c->ops->connected(c->arg);
}

static void conn_on_reply(redisAsyncContext *ac, void *reply, void *tag)
{
	struct store_redis_conn *c = ac->data;

	if (reply != NULL && !c->dropped) /* NULL: the clean-up comes next */
		c->ops->reply(c->arg, tag, reply);
}

static void conn_on_push(redisAsyncContext *ac, void *reply, void *tag)
{
	struct store_redis_conn *c = ac->data;

	if (reply != NULL && !c->dropped)
		c->ops->pushed(c->arg, reply);
}

/* ---- the loop's ---- */

/* Whatever strangers publish there: what has come of one message must not become our memory. */
static bool conn_is_flooded(const struct store_redis_conn *c)
{
	const redisReader *reader = c->ac == NULL ? NULL : c->ac->c.reader;

	return c->listening && reader != NULL && reader->len - reader->pos > STORE_REDIS_PUSHED_MAX;
}

static void conn_write(struct store_redis_conn *c)
{
	c->writing = true;
	redisAsyncHandleWrite(c->ac);
	c->writing = false;
}

static void conn_on_io(void *arg, int events)
{
	struct store_redis_conn *c = arg;

	if (!(events & EV_ERROR))
		c->ops->progress(c->arg);
	if (!c->dropped && (events & EV_READ || (events & EV_ERROR && c->connected)))
		redisAsyncHandleRead(c->ac);
	if (!c->dropped && conn_is_flooded(c))
		conn_break(c, "somebody publishes messages that are too large");
	if (!c->dropped && (events & EV_WRITE || (events & EV_ERROR && !c->connected)))
		conn_write(c);
	if (events & EV_ERROR)
		conn_break(c, "connection failed");
}

static void conn_on_task(void *arg)
{
	struct store_redis_conn *c = arg;

	if (!c->dropped) {
		store_redis_conn_flush(c);
		return;
	}
	if (c->ac != NULL)
		redisAsyncFree(c->ac); /* by way of conn_on_cleanup() */
	ev_free_later(c->ev, c);
}

/* ---- life ---- */

static void conn_work(void *arg)
{
	struct store_redis_conn *c = arg;

	c->ac = c->port < 0 ? redisAsyncConnectUnix(c->host) : redisAsyncConnect(c->host, c->port);
}

/* The socket is there: from now on hiredis calls us. Returns 0 or an ERR_*. */
static int conn_attach(struct store_redis_conn *c)
{
	redisAsyncContext *ac = c->ac;
	int e = ev_io_new(c->ev, ac->c.fd, conn_on_io, c, &c->io);

	if (e != 0)
		return e;
	ac->data = ac->ev.data = c;
	ac->ev.addRead = conn_on_add_read;
	ac->ev.delRead = conn_on_del_read;
	ac->ev.addWrite = conn_on_add_write;
	ac->ev.delWrite = conn_on_del_write;
	ac->ev.cleanup = conn_on_cleanup;
	return redisAsyncSetConnectCallback(ac, conn_on_connect) == REDIS_OK ? 0 : ERR_IO;
}

static void conn_on_work_done(void *arg)
{
	struct store_redis_conn *c = arg;
	int e = c->ac == NULL ? ERR_NOMEM : 0;

	c->resolving = false;
	if (c->dropped) {
		conn_free_soon(c);
		return;
	}
	if (c->ac != NULL && c->ac->err != 0) {
		conn_break(c, c->ac->errstr);
		return;
	}
	if (e == 0)
		e = conn_attach(c);
	if (e != 0)
		conn_break(c, err_text(e));
	else
		c->ops->progress(c->arg);
}

int store_redis_conn_new(struct ev *ev, const struct store_redis_conn_to *to,
			 const struct store_redis_conn_ops *ops, void *arg,
			 struct store_redis_conn **out)
{
	struct store_redis_conn *c = calloc(1, sizeof *c);
	int e;

	if (c == NULL)
		return ERR_NOMEM;
	c->ev = ev;
	c->ops = ops;
	c->arg = arg;
	c->port = to->host == NULL ? -1 : to->port;
	str_printf(c->host, sizeof c->host, "%s", to->host == NULL ? to->path : to->host);
	c->task = (struct ev_task){.fn = conn_on_task, .arg = c};
	c->resolving = true;
	if ((e = ev_work(ev, conn_work, conn_on_work_done, c)) != 0)
		free(c);
	else
		*out = c;
	return e;
}

void store_redis_conn_drop(struct store_redis_conn *c)
{
	if (c != NULL && !c->dropped)
		conn_free_soon(c);
}

bool store_redis_conn_resolving(const struct store_redis_conn *c)
{
	return c->resolving;
}

int store_redis_conn_send(struct store_redis_conn *c, struct str command, void *tag)
{
	if (c->dropped || !c->connected ||
	    redisAsyncFormattedCommand(c->ac, conn_on_reply, tag, command.p, command.len) !=
		    REDIS_OK)
		return ERR_CLOSED;
	return 0;
}

int store_redis_conn_listen(struct store_redis_conn *c, struct str command)
{
	if (c->dropped || !c->connected ||
	    redisAsyncFormattedCommand(c->ac, conn_on_push, NULL, command.p, command.len) !=
		    REDIS_OK)
		return ERR_CLOSED;
	c->listening = true;
	return 0;
}

void store_redis_conn_flush(struct store_redis_conn *c)
{
	/* A socket that was full says when it is not. */
	if (!c->dropped && c->connected && !(c->want & EV_WRITE) && store_redis_conn_waiting(c) > 0)
		conn_write(c);
}

size_t store_redis_conn_waiting(const struct store_redis_conn *c)
{
	return c->ac == NULL ? 0 : sdslen(c->ac->c.obuf);
}
