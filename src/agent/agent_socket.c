/*
 * The one place where an agent meets sockets: connect, wrap as a wire, wrap in TLS. On the way to
 * the server a proxy may stand: then it is connected to, by TLS if it wants that, and asked to go
 * on.
 */
#include "agent/agent_socket.h"

#include <stdlib.h>
#include <string.h>

#include "agent/proxy_connect.h"
#include "base/err.h"
#include "net/net_connect.h"
#include "wire/wire_tcp.h"
#include "wire/wire_tls.h"

/* Bytes of a sentence that names a file, or a proxy. */
#define AGENT_SOCKET_WORDS (PROXY_CONNECT_WHY + 256)

struct agent_socket {
	struct agent_net net; /* first: the two are the same pointer */
	struct ev *ev;
	/* Owned; NULL where not wanted. https:// says that it speaks HTTP, tls:// says nothing. */
	struct tls_context *server_tls, *target_https, *target_tls, *proxy_tls;
	/* The same of targets whose certificates nobody looks at; made when first needed. */
	struct tls_context *any_https, *any_tls;
	char *cert_file;	 /* owned; NULL when there is none */
	struct http_proxy proxy; /* whoever has_proxy */
	bool has_proxy, pinned;
	char words[AGENT_SOCKET_WORDS];
	char dial_why[PROXY_CONNECT_WHY]; /* why the last attempt failed; may be "" */
};

struct agent_dial {
	struct agent_socket *socket; /* borrowed: outlives its attempts */
	struct net_connect *connect; /* owned until its done, as the next one */
	struct proxy_connect *proxy;
	struct url to;
	bool server, insecure;
	bool by_proxy; /* it is the proxy that is connected to */
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

/* By which context TLS is spoken to it. Returns 0, ERR_NOMEM or ERR_TLS. */
static int agent_socket_context(struct agent_dial *d, struct tls_context **out)
{
	static const char *const alpn[] = {"http/1.1", NULL};
	struct agent_socket *s = d->socket;
	bool http = d->to.scheme == URL_HTTPS;
	struct tls_context_client any = {.insecure = true, .alpn = http ? alpn : NULL};
	struct tls_context **kept = http ? &s->any_https : &s->any_tls;
	char why[TLS_CONTEXT_WHY];
	int e;

	if (d->server)
		*out = s->server_tls;
	else if (!d->insecure)
		*out = http ? s->target_https : s->target_tls;
	else if (*kept == NULL && (e = tls_context_new_client(&any, kept, why)) != 0)
		return e;
	else
		*out = *kept;
	CHECK(*out != NULL);
	return 0;
}

/* TLS to the one whom the URL names; w is taken over. Returns 0 or an ERR_*. */
static int agent_socket_secure(struct agent_dial *d, struct wire *w, struct wire **out)
{
	struct agent_socket *s = d->socket;
	struct tls_context *tls = NULL;
	struct wire_tls_opt opt = {.host = d->to.host};
	int e;

	if (!url_is_tls(&d->to)) {
		*out = w;
		return 0;
	}
	if ((e = agent_socket_context(d, &tls)) != 0 ||
	    (e = wire_tls_client(s->ev, w, tls, &opt, out)) != 0)
		wire_close(w, e);
	return e;
}

static void agent_socket_finish(struct agent_dial *d, int e, struct wire *w)
{
	ev_free_later(d->socket->ev, d);
	d->done(d->arg, e, w);
}

/* ---- through a proxy ---- */

static void agent_socket_on_through(void *arg, int e, struct wire *w, const char *why)
{
	struct agent_dial *d = arg;

	d->proxy = NULL;
	str_printf(d->socket->dial_why, sizeof d->socket->dial_why, "%s", why);
	if (e == 0)
		e = agent_socket_secure(d, w, &w);
	agent_socket_finish(d, e, e == 0 ? w : NULL);
}

/* w: to the proxy, taken over. Returns 0, ERR_NOMEM or ERR_INVAL. */
static int agent_socket_ask_proxy(struct agent_dial *d, struct wire *w)
{
	struct agent_socket *s = d->socket;
	struct wire_tls_opt tls = {.host = s->proxy.url.host, .under = true};
	struct proxy_connect_opt opt = {.proxy = &s->proxy,
					.to = &d->to,
					.done = agent_socket_on_through,
					.arg = d};
	struct wire *top = w;
	int e = 0;

	if (url_is_tls(&s->proxy.url))
		e = wire_tls_client(s->ev, w, s->proxy_tls, &tls, &top);
	if (e == 0)
		e = proxy_connect_start(s->ev, top, &opt, &d->proxy);
	if (e != 0)
		wire_close(top, e);
	return e;
}

/* The proxy itself cannot be reached. */
static void agent_socket_no_proxy(struct agent_socket *s, int e)
{
	char name[HTTP_PROXY_TEXT];

	http_proxy_format(&s->proxy, name);
	str_printf(s->dial_why, sizeof s->dial_why, "the proxy %s cannot be reached: %s", name,
		   err_text(e));
}

/* ---- connecting ---- */

/* Returns 0 with *out set, or NULL in it when the proxy is asked now; or an error. */
static int agent_socket_wrap(struct agent_dial *d, int fd, struct wire **out)
{
	struct agent_socket *s = d->socket;
	struct wire *tcp = NULL;
	int e;

	if ((e = wire_tcp_new(s->ev, fd, d->server ? NET_SESSION : NET_TARGET, &tcp)) != 0) {
		net_close(fd, false);
		return e;
	}
	return d->by_proxy ? agent_socket_ask_proxy(d, tcp) : agent_socket_secure(d, tcp, out);
}

static void agent_socket_on_done(void *arg, int e, int fd)
{
	struct agent_dial *d = arg;
	struct agent_socket *s = d->socket;
	struct wire *w = NULL;

	d->connect = NULL;
	s->dial_why[0] = '\0';
	if (e != 0 && d->by_proxy)
		agent_socket_no_proxy(s, e);
	if (e == 0)
		e = agent_socket_wrap(d, fd, &w);
	if (d->proxy == NULL)
		agent_socket_finish(d, e, w);
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
	const struct url *next;
	int e;

	if (d == NULL)
		return ERR_NOMEM;
	*d = (struct agent_dial){.socket = s,
				 .to = *opt->to,
				 .server = opt->server,
				 .insecure = opt->insecure,
				 .by_proxy = opt->server && s->has_proxy,
				 .done = opt->done,
				 .arg = opt->arg};
	next = d->by_proxy ? &s->proxy.url : opt->to;
	how.host = next->scheme == URL_UNIX ? next->path : next->host;
	how.port = next->port;
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
	proxy_connect_cancel(d->proxy);
	ev_free_later(d->socket->ev, d);
}

static const char *agent_socket_explain(struct agent_net *net, const struct url *to,
					const struct wire *w)
{
	struct agent_socket *s = (struct agent_socket *)net;
	char more[TLS_CONTEXT_WHY];

	if (w == NULL)
		return s->dial_why;
	if (!url_is_tls(to))
		return "";
	if (wire_tls_is_unknown(w) && !s->pinned) {
		str_printf(s->words, sizeof s->words, "%s" KEY_PIN_HINT, wire_tls_reason(w));
		return s->words;
	}
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

/* What TLS to the server, to targets and to the proxy needs; as agent_socket_new(). */
static int agent_socket_open_tls(struct agent_socket *s, const struct agent_socket_opt *opt,
				 char *why)
{
	static const char *const alpn[] = {"http/1.1", NULL};
	struct tls_context_client server = {.ca_file = opt->ca_file,
					    .pins = opt->pins,
					    .cert_file = opt->cert_file,
					    .key_file = opt->key_file,
					    .alpn = alpn},
				  target = {.ca_file = opt->target_ca_file,
					    .insecure = opt->target_insecure,
					    .alpn = alpn},
				  proxy = {.ca_file = opt->proxy_ca_file, .alpn = alpn};
	int e = 0;

	if (opt->server_tls)
		e = tls_context_new_client(&server, &s->server_tls, why);
	if (e == 0 && opt->target_tls)
		e = tls_context_new_client(&target, &s->target_https, why);
	target.alpn = NULL;
	if (e == 0 && opt->target_tls)
		e = tls_context_new_client(&target, &s->target_tls, why);
	if (e == 0 && s->has_proxy && url_is_tls(&s->proxy.url))
		e = tls_context_new_client(&proxy, &s->proxy_tls, why);
	return e;
}

int agent_socket_new(struct ev *ev, const struct agent_socket_opt *opt, struct agent_net **out,
		     char *why)
{
	struct agent_socket *s = calloc(1, sizeof *s);
	int e = ERR_NOMEM;

	str_printf(why, TLS_CONTEXT_WHY, "out of memory");
	if (s == NULL)
		goto out;
	s->net.ops = &agent_socket_ops;
	s->ev = ev;
	s->pinned = opt->pins != NULL && opt->pins->n > 0;
	s->has_proxy = opt->proxy != NULL;
	if (s->has_proxy)
		s->proxy = *opt->proxy;
	if (opt->cert_file != NULL && (s->cert_file = str_dup(str_of(opt->cert_file))) == NULL)
		goto out;
	if ((e = agent_socket_open_tls(s, opt, why)) != 0)
		goto out;
	*out = &s->net;
	s = NULL;
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
	tls_context_free(s->proxy_tls);
	tls_context_free(s->any_https);
	tls_context_free(s->any_tls);
	free(s->cert_file);
	explicit_bzero(&s->proxy, sizeof s->proxy);
	free(s);
}
