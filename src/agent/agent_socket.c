/* The one place where an agent meets sockets: connect, wrap as a wire, wrap in TLS. */
#include "agent/agent_socket.h"

#include <stdlib.h>

#include "base/err.h"
#include "net/net_connect.h"
#include "wire/wire_tcp.h"
#include "wire/wire_tls.h"

/* Bytes of a sentence that names a file. */
#define AGENT_SOCKET_WORDS 512

struct agent_socket {
	struct agent_net net; /* first: the two are the same pointer */
	struct ev *ev;
	/* Owned; NULL where not wanted. https:// says that it speaks HTTP, tls:// says nothing. */
	struct tls_context *server_tls, *target_https, *target_tls;
	char *cert_file; /* owned; NULL when there is none */
	char words[AGENT_SOCKET_WORDS];
};

struct agent_dial {
	struct agent_socket *socket; /* borrowed: outlives its attempts */
	struct net_connect *connect; /* owned until its done */
	struct url to;
	bool server;
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

static int agent_socket_wrap(struct agent_dial *d, int fd, struct wire **out)
{
	struct agent_socket *s = d->socket;
	struct tls_context *tls = d->server		      ? s->server_tls
				  : d->to.scheme == URL_HTTPS ? s->target_https
							      : s->target_tls;
	struct wire_tls_opt opt = {.host = d->to.host};
	struct wire *tcp = NULL;
	int e;

	if ((e = wire_tcp_new(s->ev, fd, d->server ? NET_SESSION : NET_TARGET, &tcp)) != 0) {
		net_close(fd, false);
		return e;
	}
	if (!url_is_tls(&d->to)) {
		*out = tcp;
		return 0;
	}
	CHECK(tls != NULL);
	if ((e = wire_tls_client(s->ev, tcp, tls, &opt, out)) != 0)
		wire_close(tcp, e);
	return e;
}

static void agent_socket_on_done(void *arg, int e, int fd)
{
	struct agent_dial *d = arg;
	struct wire *w = NULL;

	if (e == 0)
		e = agent_socket_wrap(d, fd, &w);
	ev_free_later(d->socket->ev, d);
	d->done(d->arg, e, w);
}

static int agent_socket_dial(struct agent_net *net, const struct agent_dial_opt *opt,
			     struct agent_dial **out)
{
	struct agent_socket *s = (struct agent_socket *)net;
	struct agent_dial *d = calloc(1, sizeof *d);
	struct net_connect_opt how = {.timeout_ms = opt->timeout_ms,
				      .v4_first = opt->v4_first,
				      .done = agent_socket_on_done,
				      .arg = d};
	int e;

	if (d == NULL)
		return ERR_NOMEM;
	*d = (struct agent_dial){.socket = s,
				 .to = *opt->to,
				 .server = opt->server,
				 .done = opt->done,
				 .arg = opt->arg};
	how.host = opt->to->scheme == URL_UNIX ? opt->to->path : opt->to->host;
	how.port = opt->to->port;
	if ((e = net_connect_start(s->ev, &how, &d->connect)) != 0) {
		free(d);
		return e;
	}
	*out = d;
	return 0;
}

static void agent_socket_cancel(struct agent_dial *d)
{
	net_connect_cancel(d->connect);
	ev_free_later(d->socket->ev, d);
}

static const char *agent_socket_explain(struct agent_net *net, const struct url *to,
					const struct wire *w)
{
	struct agent_socket *s = (struct agent_socket *)net;
	char more[TLS_CONTEXT_WHY];

	if (!url_is_tls(to))
		return "";
	if (s->cert_file == NULL || wire_tls_refusal(w) == NULL)
		return wire_tls_reason(w);
	tls_context_explain(s->server_tls, wire_tls_refusal(w), more);
	str_printf(s->words, sizeof s->words, "it refuses the certificate in %s: %s", s->cert_file,
		   more);
	return s->words;
}

const char *agent_socket_own_name(const struct agent_net *net)
{
	const struct agent_socket *s = (const struct agent_socket *)net;

	return s->server_tls == NULL ? "" : tls_context_own_name(s->server_tls);
}

static const struct agent_net_ops agent_socket_ops = {
	.dial = agent_socket_dial,
	.cancel = agent_socket_cancel,
	.explain = agent_socket_explain,
};

int agent_socket_new(struct ev *ev, const struct agent_socket_opt *opt, struct agent_net **out,
		     char *why)
{
	static const char *const alpn[] = {"http/1.1", NULL};
	struct tls_context_client server = {.ca_file = opt->ca_file,
					    .cert_file = opt->cert_file,
					    .key_file = opt->key_file,
					    .alpn = alpn},
				  target = {.ca_file = opt->target_ca_file,
					    .insecure = opt->target_insecure,
					    .alpn = alpn};
	struct agent_socket *s = calloc(1, sizeof *s);
	int e = ERR_NOMEM;

	str_printf(why, TLS_CONTEXT_WHY, "out of memory");
	if (s == NULL)
		goto out;
	s->net.ops = &agent_socket_ops;
	s->ev = ev;
	if (opt->cert_file != NULL && (s->cert_file = str_dup(str_of(opt->cert_file))) == NULL)
		goto out;
	if (opt->server_tls && (e = tls_context_new_client(&server, &s->server_tls, why)) != 0)
		goto out;
	if (opt->target_tls && (e = tls_context_new_client(&target, &s->target_https, why)) != 0)
		goto out;
	target.alpn = NULL;
	if (opt->target_tls && (e = tls_context_new_client(&target, &s->target_tls, why)) != 0)
		goto out;
	*out = &s->net;
	s = NULL;
	e = 0;
out:
	agent_socket_free((struct agent_net *)s);
	return e;
}

void agent_socket_free(struct agent_net *net)
{
	struct agent_socket *s = (struct agent_socket *)net;

	if (s == NULL)
		return;
	tls_context_free(s->server_tls);
	tls_context_free(s->target_https);
	tls_context_free(s->target_tls);
	free(s->cert_file);
	free(s);
}
