/*
 * The hop's net of sockets.
 *
 * Between machines a connection is worth nothing without the cluster's key. On one machine there is
 * nothing to encrypt: who may open the socket is the kernel's to say, and it says whose process it
 * is as well.
 */
#include "cluster/hop_socket.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "cluster/roster.h"
#include "net/net_connect.h"
#include "net/net_listen.h"
#include "wire/tls_psk.h"
#include "wire/wire_tcp.h"
#include "wire/wire_tls.h"

struct hop_socket {
	struct hop_end end; /* first: the two are the same pointer */
	struct ev *ev;
	struct hop_end_opt opt;
	struct tls_context *server, *client; /* owned; NULL without a key */
	struct net_listener *tcp, *local;    /* owned; NULL: nobody listens */
};

struct hop_dial {
	struct hop_socket *socket;   /* borrowed: outlives its attempts */
	struct net_connect *connect; /* owned until its done */
	bool local;
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

static struct hop_socket *hop_socket_of(struct hop_end *end)
{
	return (struct hop_socket *)end;
}

/* Is this unix socket's other end a process of our user? Nobody else has business there. */
static int hop_socket_check_user(int fd)
{
	uid_t uid;
	int e = net_peer_uid(fd, &uid);

	return e == 0 && uid != geteuid() ? ERR_DENIED : e;
}

/* fd is taken over. tls: NULL: none. */
static int hop_socket_wrap(struct hop_socket *s, int fd, struct tls_context *tls, struct wire **out)
{
	static const struct wire_tls_opt opt = {.host = NULL};
	struct wire *w = NULL;
	int e;

	if ((e = wire_tcp_new(s->ev, fd, NET_SESSION, &w)) != 0) {
		net_close(fd, false);
		return e;
	}
	if (tls == NULL)
		*out = w;
	else if (tls == s->server)
		e = wire_tls_server(s->ev, w, tls, &opt, out);
	else
		e = wire_tls_client(s->ev, w, tls, &opt, out);
	if (e != 0)
		wire_close(w, e);
	return e;
}

/* ---- those who come ---- */

static void hop_socket_take(struct hop_socket *s, int fd, struct tls_context *tls, const char *peer)
{
	struct wire *w = NULL;
	int e = hop_socket_wrap(s, fd, tls, &w);

	if (e != 0)
		s->opt.refused(s->opt.arg, peer, e);
	else
		s->opt.accepted(s->opt.arg, w, peer);
}

static void hop_socket_on_tcp(void *arg, int fd, const struct net_addr *peer)
{
	struct hop_socket *s = arg;
	char text[NET_ADDR_TEXT];

	hop_socket_take(s, fd, s->server, net_addr_format(peer, text));
}

static void hop_socket_on_local(void *arg, int fd, const struct net_addr *peer)
{
	struct hop_socket *s = arg;
	int e = hop_socket_check_user(fd);

	if (e != 0) {
		net_close(fd, false);
		s->opt.refused(s->opt.arg, "local", e);
		return;
	}
	hop_socket_take(s, fd, NULL, "local");
}

static int hop_socket_listen(struct hop_end *end, const struct net_addr *addr, uint16_t *port)
{
	struct hop_socket *s = hop_socket_of(end);
	struct net_listen_opt opt = {.addr = *addr,
				     .accepted = hop_socket_on_tcp,
				     .arg = s,
				     .log = s->opt.log};
	int e;

	if (s->server == NULL || s->tcp != NULL)
		return ERR_INVAL;
	if ((e = net_listen(s->ev, &opt, &s->tcp)) == 0)
		*port = net_addr_port(net_listener_addr(s->tcp));
	return e;
}

static int hop_socket_listen_local(struct hop_end *end, const char *path)
{
	struct hop_socket *s = hop_socket_of(end);
	struct net_listen_opt opt = {.accepted = hop_socket_on_local, .arg = s, .log = s->opt.log};
	char text[NET_ADDR_TEXT + 8];
	int e;

	if (s->local != NULL || *path != '/')
		return ERR_INVAL;
	str_printf(text, sizeof text, "unix:%s", path);
	if ((e = net_addr_parse(str_of(text), &opt.addr)) != 0 ||
	    (e = net_listen(s->ev, &opt, &s->local)) != 0)
		return e;
	/* Whoever was quicker than this is another user's, and turned away. */
	return chmod(path, 0600) == 0 ? 0 : ERR_DENIED;
}

/* ---- those whom we dial ---- */

static void hop_socket_on_done(void *arg, int e, int fd)
{
	struct hop_dial *d = arg;
	struct hop_socket *s = d->socket;
	struct wire *w = NULL;

	d->connect = NULL;
	if (e == 0 && d->local && (e = hop_socket_check_user(fd)) != 0)
		net_close(fd, false);
	if (e == 0)
		e = hop_socket_wrap(s, fd, d->local ? NULL : s->client, &w);
	ev_free_later(s->ev, d);
	d->done(d->arg, e, e == 0 ? w : NULL);
}

/* Where to; ip: [NET_ADDR_TEXT]. Returns 0 or ERR_INVAL. */
static int hop_socket_target(struct hop_socket *s, const struct hop_dial_opt *opt, char *ip,
			     struct net_connect_opt *to)
{
	struct net_addr addr;

	to->host = opt->addr;
	if (opt->local)
		return *opt->addr == '/' ? 0 : ERR_INVAL;
	if (s->client == NULL || net_addr_parse(str_of(opt->addr), &addr) != 0 ||
	    net_addr_port(&addr) == 0)
		return ERR_INVAL;
	to->host = net_addr_ip(&addr, ip);
	to->port = net_addr_port(&addr);
	return 0;
}

static int hop_socket_dial(struct hop_end *end, const struct hop_dial_opt *opt,
			   struct hop_dial **out)
{
	struct hop_socket *s = hop_socket_of(end);
	struct hop_dial *d = calloc(1, sizeof *d);
	struct net_connect_opt to = {.timeout_ms = opt->timeout_ms,
				     .done = hop_socket_on_done,
				     .arg = d};
	char ip[NET_ADDR_TEXT];
	int e;

	if (d == NULL)
		return ERR_NOMEM;
	*d = (struct hop_dial){.socket = s,
			       .local = opt->local,
			       .done = opt->done,
			       .arg = opt->arg};
	if ((e = hop_socket_target(s, opt, ip, &to)) != 0 ||
	    (e = net_connect_start(s->ev, &to, &d->connect)) != 0) {
		free(d);
		return e;
	}
	*out = d;
	return 0;
}

static void hop_socket_cancel(struct hop_dial *d)
{
	net_connect_cancel(d->connect);
	ev_free_later(d->socket->ev, d);
}

/* ---- what is known of a wire ---- */

static const char *hop_socket_name(struct hop_end *end, const struct wire *w)
{
	return tls_psk_name(w);
}

static const char *hop_socket_explain(struct hop_end *end, const struct wire *w)
{
	return wire_tls_is(w) ? wire_tls_reason(w) : "";
}

/* ---- life ---- */

static void hop_socket_close(struct hop_end *end)
{
	struct hop_socket *s = hop_socket_of(end);

	net_listener_free(s->tcp);
	net_listener_free(s->local);
	tls_context_free(s->server);
	tls_context_free(s->client);
	ev_free_later(s->ev, s);
}

static const struct hop_end_ops hop_socket_ops = {
	.listen = hop_socket_listen,
	.listen_local = hop_socket_listen_local,
	.dial = hop_socket_dial,
	.cancel = hop_socket_cancel,
	.name = hop_socket_name,
	.explain = hop_socket_explain,
	.close = hop_socket_close,
};

static int hop_socket_open(const struct hop_net *net, struct ev *ev, const struct hop_end_opt *opt,
			   struct hop_end **out)
{
	struct hop_socket *s = calloc(1, sizeof *s);
	struct tls_psk_opt psk = {.secret = opt->key,
				  .secret_len = ROSTER_KEY_LEN,
				  .label = HOP_SOCKET_PROTOCOL,
				  .name = opt->self,
				  .alpn = HOP_SOCKET_PROTOCOL};
	char why[TLS_CONTEXT_WHY];
	int e = 0;

	if (s == NULL)
		return ERR_NOMEM;
	s->end.ops = &hop_socket_ops;
	s->ev = ev;
	s->opt = *opt;
	if (opt->key != NULL && (e = tls_psk_new_server(&psk, &s->server, why)) == 0)
		e = tls_psk_new_client(&psk, &s->client, why);
	if (e != 0) {
		hop_socket_close(&s->end);
		return e == ERR_NOMEM ? e : ERR_TLS;
	}
	*out = &s->end;
	return 0;
}

const struct hop_net hop_socket = {.open = hop_socket_open};
