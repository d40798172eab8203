/*
 * A proxy stands between people and their server, so whatever it says is said again with its name:
 * nobody looks for a mistake of the proxy's at the server.
 */
#include "agent/proxy_connect.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "proto/http_write.h"
#include "wire/wire_tls.h"

/* Bytes of what a proxy says that are repeated. */
#define PROXY_CONNECT_SAID 128

struct proxy_connect {
	struct ev *ev;
	struct proxy_connect_opt opt; /* without to */
	char to[HOSTNAME_AUTHORITY_MAX + 1];
	struct wire *wire; /* owned until handed over */
	struct ev_timer deadline;
	struct buf out; /* what of the request is not written yet */
	struct buf in;	/* the head as far as it has come */
	size_t scanned;
	unsigned n_interim;
};

static void proxy_connect_release(struct proxy_connect *c, int why)
{
	ev_timer_stop(c->ev, &c->deadline);
	if (c->out.len > 0) /* it may hold a password */
		explicit_bzero(c->out.mem, c->out.size);
	buf_free(&c->out);
	buf_free(&c->in);
	wire_close(c->wire, why);
	c->wire = NULL;
	ev_free_later(c->ev, c);
}

void proxy_connect_cancel(struct proxy_connect *c)
{
	if (c != NULL)
		proxy_connect_release(c, ERR_CLOSED);
}

/* The last word; c is readable until the turn ends. */
static void proxy_connect_finish(struct proxy_connect *c, int e, const char *why)
{
	void (*done)(void *, int, struct wire *, const char *) = c->opt.done;
	void *arg = c->opt.arg;
	struct wire *w = NULL;

	if (e == 0)
		MOVE(w, c->wire);
	proxy_connect_release(c, ERR_CLOSED);
	done(arg, e, w, why);
}

/* why: "the proxy NAME" and what is wrong with it. */
static void proxy_connect_fail(struct proxy_connect *c, int e, const char *what)
{
	char why[PROXY_CONNECT_WHY], name[HTTP_PROXY_TEXT];

	http_proxy_format(c->opt.proxy, name);
	str_printf(why, sizeof why, "the proxy %s %s", name, what);
	proxy_connect_finish(c, e, why);
}

static void proxy_connect_broken(struct proxy_connect *c, int e)
{
	char what[PROXY_CONNECT_WHY - HTTP_PROXY_TEXT];

	const char *tls = url_is_tls(&c->opt.proxy->url) ? wire_tls_reason(c->wire) : "";

	if (tls[0] != '\0' && e != ERR_EOF)
		str_printf(what, sizeof what, "cannot be used: %s", tls);
	else if (e == ERR_EOF || e == ERR_RESET)
		str_printf(what, sizeof what, "has closed the connection %s",
			   c->in.len > 0 ? "in the middle of its answer" : "without an answer");
	else
		str_printf(what, sizeof what, "has not answered: %s", err_text(e));
	proxy_connect_fail(c, e == ERR_EOF ? ERR_RESET : e, what);
}

/* ---- the answer ---- */

static void proxy_connect_not_proxy(struct proxy_connect *c)
{
	proxy_connect_fail(c, ERR_PROTO, "does not answer as an HTTP proxy does");
}

/* 407, or 401, by which tinyproxy refuses a password. Source: RFC 9110 15.5.8. */
static void proxy_connect_wants_login(struct proxy_connect *c, const char *said)
{
	const struct url *u = &c->opt.proxy->url;
	char what[PROXY_CONNECT_WHY - HTTP_PROXY_TEXT], authority[HOSTNAME_AUTHORITY_MAX + 1];

	url_format_authority(u, authority);
	if (c->opt.proxy->login)
		str_printf(what, sizeof what,
			   "does not accept the user name and password that it was given: it says "
			   "\"%s\"",
			   said);
	else
		str_printf(what, sizeof what,
			   "wants a user name and password: give --proxy %s://user:password@%s",
			   url_is_tls(u) ? "https" : "http", authority);
	proxy_connect_fail(c, ERR_AUTH, what);
}

static void proxy_connect_refused(struct proxy_connect *c, const struct http_response *r)
{
	char what[PROXY_CONNECT_WHY - HTTP_PROXY_TEXT], said[PROXY_CONNECT_SAID];
	size_t n = str_printf(said, sizeof said, "%u ", r->status);
	bool broken = r->status >= 500;

	n += show_quoted(said + n, sizeof said - n, r->reason);
	while (n > 0 && said[n - 1] == ' ')
		said[--n] = '\0';
	if (r->status == 407 || r->status == 401) {
		proxy_connect_wants_login(c, said);
		return;
	}
	if (broken)
		str_printf(what, sizeof what, "cannot connect to %s: it says \"%s\"", c->to, said);
	else
		str_printf(what, sizeof what, "does not let us through to %s: it says \"%s\"",
			   c->to, said);
	proxy_connect_fail(c, broken ? ERR_UNREACH : ERR_DENIED, what);
}

/* 2xx: what follows the head in this reading belongs to the server's connection. */
static void proxy_connect_through(struct proxy_connect *c, size_t head_len)
{
	wire_unread(c->wire, c->in.len - head_len);
	wire_want(c->wire, 0);
	wire_own(c->wire, NULL, NULL);
	proxy_connect_finish(c, 0, "");
}

/* Returns ERR_AGAIN when more must be read; 0 when c is finished. */
static int proxy_connect_head(struct proxy_connect *c)
{
	struct http_response r;
	int e;

	for (;;) {
		e = http_response_parse(buf_str(&c->in), HTTP_CONNECT, &c->scanned, &r);
		if (e == ERR_AGAIN)
			return e;
		if (e != 0) {
			proxy_connect_not_proxy(c);
			return 0;
		}
		if (r.status / 100 == 2) {
			proxy_connect_through(c, r.head.len);
			return 0;
		}
		/* nobody asked for another protocol: 101 is no interim answer here */
		if (r.status >= 200 || r.status == 101 ||
		    ++c->n_interim > PROXY_CONNECT_INTERIM_MAX) {
			proxy_connect_refused(c, &r);
			return 0;
		}
		buf_take(&c->in, r.head.len);
		c->scanned = 0;
	}
}

/* Returns ERR_AGAIN to wait, 0 when c is finished, or why the wire broke. */
static int proxy_connect_read(struct proxy_connect *c)
{
	struct str in;
	int e;

	for (;;) {
		if ((e = wire_read(c->wire, HTTP_HEAD_MAX, &in)) != 0)
			return e;
		if (buf_add(&c->in, in.p, in.len, 2 * HTTP_HEAD_MAX) != 0)
			return ERR_NOMEM;
		if ((e = proxy_connect_head(c)) != ERR_AGAIN)
			return e;
	}
}

/* ---- the wire ---- */

static void proxy_connect_on_ready(void *arg, struct wire *w, int events)
{
	struct proxy_connect *c = arg;
	int e = wire_write_buf(c->wire, &c->out);

	if (e == 0 && (events & WIRE_READ)) {
		e = proxy_connect_read(c);
		if (e == 0)
			return; /* finished */
		if (e == ERR_AGAIN)
			e = 0;
	}
	if (e != 0)
		proxy_connect_broken(c, e);
	else
		wire_want(w, WIRE_READ | (c->out.len > 0 ? WIRE_WRITE : 0));
}

static void proxy_connect_on_broken(void *arg, struct wire *w, int why)
{
	proxy_connect_broken(arg, why);
}

static void proxy_connect_on_deadline(void *arg)
{
	struct proxy_connect *c = arg;
	char what[PROXY_CONNECT_WHY - HTTP_PROXY_TEXT];

	str_printf(what, sizeof what, "has not answered for %d s", PROXY_CONNECT_MS / 1000);
	proxy_connect_fail(c, ERR_TIMEOUT, what);
}

static const struct wire_owner proxy_connect_wire_owner = {proxy_connect_on_ready,
							   proxy_connect_on_broken};

/* ---- the request ---- */

/* "host:port", the port always. Source: RFC 9112 3.2.3. */
static void proxy_connect_authority(const struct url *to, char out[HOSTNAME_AUTHORITY_MAX + 1])
{
	bool v6 = to->kind == HOSTNAME_IPV6;

	str_printf(out, HOSTNAME_AUTHORITY_MAX + 1, "%s%s%s:%u", v6 ? "[" : "", to->host,
		   v6 ? "]" : "", to->port);
}

static int proxy_connect_request(struct proxy_connect *c)
{
	char head[2 * HOSTNAME_AUTHORITY_MAX + HTTP_PROXY_BASIC + 256], basic[HTTP_PROXY_BASIC];
	struct http_writer w;
	size_t len;
	int e;

	http_write_begin(&w, head, sizeof head);
	http_write_request(&w, STR("CONNECT"), str_of(c->to));
	http_write_field(&w, STR("Host"), str_of(c->to));
	http_write_field(&w, STR("User-Agent"), STR("karez/" KAREZ_VERSION));
	if (c->opt.proxy->login) {
		http_proxy_basic(c->opt.proxy, basic);
		http_write_field(&w, STR("Proxy-Authorization"), str_of(basic));
		explicit_bzero(basic, sizeof basic);
	}
	if ((e = http_write_end(&w, &len)) == 0)
		e = buf_add(&c->out, head, len, sizeof head);
	explicit_bzero(head, sizeof head);
	return e;
}

int proxy_connect_start(struct ev *ev, struct wire *w, const struct proxy_connect_opt *opt,
			struct proxy_connect **out)
{
	struct proxy_connect *c = calloc(1, sizeof *c);
	int e;

	if (c == NULL)
		return ERR_NOMEM;
	c->ev = ev;
	c->opt = *opt;
	c->opt.to = NULL;
	proxy_connect_authority(opt->to, c->to);
	if ((e = proxy_connect_request(c)) != 0) {
		buf_free(&c->out);
		free(c);
		return e;
	}
	c->wire = w;
	c->deadline = (struct ev_timer){.fn = proxy_connect_on_deadline, .arg = c};
	ev_timer_set(ev, &c->deadline, PROXY_CONNECT_MS);
	wire_own(w, &proxy_connect_wire_owner, c);
	wire_want(w, WIRE_READ | WIRE_WRITE);
	*out = c;
	return 0;
}
