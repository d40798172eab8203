/* Dialling a directory: look on a thread whether it is there, then be the server on a wire. */
#include "agent/site_net.h"

#include <stdlib.h>

#include "agent/site.h"
#include "agent/site_tree.h"
#include "base/err.h"
#include "wire/wire_mem.h"

struct site_net {
	struct agent_net net; /* first: the two are the same pointer */
	struct ev *ev;
	struct site_net_opt opt;
	struct site_index_opt index;
	struct site_work *work; /* owned */
	struct list conns;	/* of site_conn */
};

/* One visitor of a directory, or of the list. */
struct site_conn {
	struct list link; /* in net->conns */
	struct site_net *net;
	struct http_conn *http; /* owned */
	struct site site;
	char root[URL_PATH_MAX + 1]; /* "" for the list of services */
};

struct agent_dial {
	struct site_job job;  /* first: is it there? */
	struct site_net *net; /* borrowed until it is over */
	struct ev *ev;
	struct agent_dial *inner; /* owned: of the net inside; then nothing else here is used */
	struct ev_timer deadline;
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
	bool over;    /* told, or cancelled: nobody is to be told any more */
	bool waiting; /* the job will tell its end */
	int e;
	char root[URL_PATH_MAX + 1];
};

static int site_net_look(const char *root, bool plain)
{
	struct site_tree t;
	int e = site_tree_open(root, plain, &t);

	if (e == 0)
		site_tree_close(&t);
	return e;
}

int site_net_check(const struct url *to, const char **why)
{
	char root[URL_PATH_MAX + 1];
	int e;

	url_file_path(to, root);
	switch (e = site_net_look(root, false)) {
	case 0: break;
	case ERR_NOTFOUND: *why = "there is no such directory"; break;
	case ERR_INVAL: *why = "it is not a directory"; break;
	case ERR_DENIED: *why = "the directory may not be read"; break;
	default: *why = err_text(e); break;
	}
	return e;
}

/* ---- serving ---- */

static void site_conn_on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	struct site_conn *sc = arg;

	if (sc->root[0] != '\0')
		site_request(&sc->site, c, req);
	else
		site_index_request(&sc->net->index, c, req);
}

static void site_conn_on_closed(void *arg, struct http_conn *c)
{
	struct site_conn *sc = arg;

	list_del(&sc->link);
	ev_free_later(sc->net->ev, sc);
}

/* Be the server of a wire. *out: the visitor's end. */
static int site_conn_new(struct site_net *n, const char *root, struct wire **out)
{
	static const struct http_deadlines deadlines = {.head_ms = 15000, .idle_ms = 75000};
	struct wire_mem_opt mem = {.cap = SITE_NET_CAP};
	struct site_conn *sc = calloc(1, sizeof *sc);
	struct http_conn_opt opt = {.deadlines = &deadlines,
				    .request = site_conn_on_request,
				    .closed = site_conn_on_closed,
				    .arg = sc};
	struct wire *near = NULL, *far = NULL;
	int e = ERR_NOMEM;

	if (sc == NULL || (e = wire_mem_pair(n->ev, &mem, &near, &far)) != 0)
		goto out;
	sc->net = n;
	str_printf(sc->root, sizeof sc->root, "%s", root);
	sc->site = (struct site){.ev = n->ev,
				 .work = n->work,
				 .root = sc->root,
				 .plain = n->opt.plain};
	if ((e = http_conn_new(n->ev, far, &opt, &sc->http)) != 0)
		goto out;
	list_push(&n->conns, &sc->link);
	far = NULL;
	sc = NULL;
	MOVE(*out, near);
out:
	wire_close(near, 0);
	wire_close(far, 0);
	free(sc);
	return e;
}

/* ---- dialling ---- */

static void site_dial_release(struct agent_dial *d)
{
	d->over = true;
	ev_timer_stop(d->ev, &d->deadline);
	if (d->waiting)
		site_job_drop(&d->job);
	else
		ev_free_later(d->ev, d);
}

static void site_dial_end(struct agent_dial *d, int e, struct wire *w)
{
	site_dial_release(d);
	d->done(d->arg, e, w);
}

/* On a thread. */
static void site_dial_look(struct site_job *job)
{
	struct agent_dial *d = (struct agent_dial *)job;

	if (d->root[0] != '\0')
		d->e = site_net_look(d->root, false);
}

static void site_dial_on_looked(struct site_job *job, int e)
{
	struct agent_dial *d = (struct agent_dial *)job;
	struct wire *w = NULL;

	d->waiting = false;
	if (d->over) {
		site_dial_release(d);
		return;
	}
	if (e == 0)
		e = d->e;
	if (e == 0)
		e = site_conn_new(d->net, d->root, &w);
	site_dial_end(d, e, w);
}

static void site_dial_on_deadline(void *arg)
{
	site_dial_end(arg, ERR_TIMEOUT, NULL);
}

/* The net inside has an answer. */
static void site_dial_on_inner(void *arg, int e, struct wire *w)
{
	struct agent_dial *d = arg;

	d->inner = NULL;
	site_dial_end(d, e, w);
}

static int site_net_dial(struct agent_net *net, const struct agent_dial_opt *opt,
			 struct agent_dial **out)
{
	struct site_net *n = (struct site_net *)net;
	struct agent_dial *d = calloc(1, sizeof *d);
	struct agent_dial_opt inner = *opt;
	int e;

	if (d == NULL)
		return ERR_NOMEM;
	d->net = n;
	d->ev = n->ev;
	d->done = opt->done;
	d->arg = opt->arg;
	if (opt->to->scheme != URL_FILE && opt->to->scheme != URL_SERVICES) {
		inner.done = site_dial_on_inner;
		inner.arg = d;
		if ((e = agent_net_dial(n->opt.inner, &inner, &d->inner)) != 0) {
			free(d);
			return e;
		}
		*out = d;
		return 0;
	}
	if (opt->to->scheme == URL_FILE)
		url_file_path(opt->to, d->root);
	else if (n->opt.services == NULL)
		d->e = ERR_UNSUPPORTED;
	d->job = (struct site_job){.work = site_dial_look, .done = site_dial_on_looked};
	d->deadline = (struct ev_timer){.fn = site_dial_on_deadline, .arg = d};
	d->waiting = true;
	ev_timer_set(n->ev, &d->deadline, opt->timeout_ms);
	site_work_run(n->work, &d->job);
	*out = d;
	return 0;
}

static void site_net_cancel(struct agent_dial *d)
{
	agent_net_cancel(d->net->opt.inner, d->inner);
	d->inner = NULL;
	site_dial_release(d);
}

static const char *site_net_explain(struct agent_net *net, const struct url *to,
				    const struct wire *w)
{
	return agent_net_explain(((struct site_net *)net)->opt.inner, to, w);
}

static const struct agent_net_ops site_net_ops = {
	.dial = site_net_dial,
	.cancel = site_net_cancel,
	.explain = site_net_explain,
};

/* ---- life ---- */

int site_net_new(struct ev *ev, const struct site_net_opt *opt, struct agent_net **out)
{
	struct site_net *n = calloc(1, sizeof *n);
	int e;

	if (n == NULL)
		return ERR_NOMEM;
	if ((e = site_work_new(ev, &n->work)) != 0) {
		free(n);
		return e;
	}
	n->net.ops = &site_net_ops;
	n->ev = ev;
	n->opt = *opt;
	n->index = (struct site_index_opt){.ev = ev, .list = opt->services, .arg = opt->arg};
	list_init(&n->conns);
	*out = &n->net;
	return 0;
}

void site_net_free(struct agent_net *net)
{
	struct site_net *n = (struct site_net *)net;
	struct list *link;

	if (n == NULL)
		return;
	while ((link = list_pop(&n->conns)) != NULL) {
		struct site_conn *sc = CONTAINER_OF(link, struct site_conn, link);

		http_conn_close(sc->http);
		ev_free_later(n->ev, sc);
	}
	site_work_free(n->work);
	ev_free_later(n->ev, n);
}
