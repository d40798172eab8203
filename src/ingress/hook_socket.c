/* The one place of the ingress that meets sockets: connect, wrap as a wire, wrap in TLS. */
#include "ingress/hook_socket.h"

#include <stdlib.h>

#include "base/err.h"
#include "net/net_connect.h"
#include "wire/wire_tcp.h"
#include "wire/wire_tls.h"

struct hook_socket {
	struct hook_net net; /* first: the two are the same pointer */
	struct ev *ev;
	const char *ca_file;	 /* borrowed: the process's */
	struct tls_context *tls; /* owned; NULL until it is needed */
};

struct hook_dial {
	struct hook_socket *socket;  /* borrowed: outlives its attempts */
	struct net_connect *connect; /* owned until its done */
	struct url to;
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

static int hook_socket_tls(struct hook_socket *s)
{
	static const char *const alpn[] = {"http/1.1", NULL};
	struct tls_context_client opt = {.ca_file = s->ca_file, .alpn = alpn};
	char why[TLS_CONTEXT_WHY];

	return s->tls != NULL ? 0 : tls_context_new_client(&opt, &s->tls, why);
}

static int hook_socket_wrap(struct hook_dial *d, int fd, struct wire **out)
{
	struct hook_socket *s = d->socket;
	struct wire_tls_opt opt = {.host = d->to.host};
	struct wire *tcp = NULL;
	int e;

	if ((e = wire_tcp_new(s->ev, fd, NET_TARGET, &tcp)) != 0) {
		net_close(fd, false);
		return e;
	}
	if (!url_is_tls(&d->to)) {
		*out = tcp;
		return 0;
	}
	if ((e = hook_socket_tls(s)) != 0 ||
	    (e = wire_tls_client(s->ev, tcp, s->tls, &opt, out)) != 0)
		wire_close(tcp, e);
	return e;
}

static void hook_socket_on_done(void *arg, int e, int fd)
{
	struct hook_dial *d = arg;
	struct wire *w = NULL;

	if (e == 0)
		e = hook_socket_wrap(d, fd, &w);
	ev_free_later(d->socket->ev, d);
	d->done(d->arg, e, w);
}

static int hook_socket_dial(struct hook_net *net, const struct hook_dial_opt *opt,
			    struct hook_dial **out)
{
	struct hook_socket *s = (struct hook_socket *)net;
	struct hook_dial *d = calloc(1, sizeof *d);
	struct net_connect_opt how = {.host = opt->to->host,
				      .port = opt->to->port,
				      .timeout_ms = opt->timeout_ms,
				      .done = hook_socket_on_done,
				      .arg = d};
	int e;

	if (d == NULL)
		return ERR_NOMEM;
	*d = (struct hook_dial){.socket = s, .to = *opt->to, .done = opt->done, .arg = opt->arg};
	if ((e = net_connect_start(s->ev, &how, &d->connect)) != 0) {
		free(d);
		return e;
	}
	*out = d;
	return 0;
}

static void hook_socket_cancel(struct hook_dial *d)
{
	net_connect_cancel(d->connect);
	ev_free_later(d->socket->ev, d);
}

static const struct hook_net_ops hook_socket_ops = {hook_socket_dial, hook_socket_cancel};

int hook_socket_new(struct ev *ev, const char *ca_file, struct hook_net **out)
{
	struct hook_socket *s = calloc(1, sizeof *s);

	if (s == NULL)
		return ERR_NOMEM;
	s->net.ops = &hook_socket_ops;
	s->ev = ev;
	s->ca_file = ca_file;
	*out = &s->net;
	return 0;
}

void hook_socket_free(struct hook_net *net)
{
	struct hook_socket *s = (struct hook_socket *)net;

	if (s == NULL)
		return;
	tls_context_free(s->tls);
	free(s);
}
