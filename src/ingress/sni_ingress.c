/*
 * One look at the first words of a TLS client. Mostly they come whole, in the first read, and go on
 * as they are; only one that is cut into pieces is kept, and only as long as it may take.
 */
#include "ingress/sni_ingress.h"

#include <stdlib.h>

#include "base/err.h"
#include "ev/log_pace.h"
#include "wire/linger.h"

/* How long, and how many bytes of, the last words of somebody who was refused are still read. */
#define SNI_LINGER_MS  1000
#define SNI_LINGER_MAX (64 * 1024)

struct sni_ingress {
	struct ev *ev;
	struct sni_ingress_opt opt;
	struct log_pace pace;
	struct list conns; /* owned: of sni_conn.link */
	size_t n_conns;
	size_t kept; /* bytes of all of them; bounded by opt.kept_max */
};

/* What came before the last read. */
struct sni_got {
	struct buf bytes; /* bounded by CLIENT_HELLO_MAX */
	size_t least;	  /* with fewer than so many there is no use in looking */
};

/* A visitor whose ClientHello is not complete, or whose name is asked for. */
struct sni_conn {
	struct list link;
	struct sni_ingress *in;
	struct wire *wire; /* owned */
	struct sni_got got;
	struct core_lookup *lookup; /* owned: it is complete, and its name is asked for; or NULL */
	size_t kept;		    /* its part of in->kept */
	struct ev_timer late;
	struct visit_end visitor, local;
};

/* What is known of a visitor when its ClientHello is complete. Lives on the stack. */
struct sni_visitor {
	struct visit visit;
	struct client_hello hello;
	struct str raw; /* all that was read */
	struct wire *wire;
};

/* ---- refusing ---- */

static void sni_ingress_say(struct sni_ingress *in, const struct visit *visit, int e,
			    const char *why)
{
	if (log_pace_take(&in->pace, in->ev, in->opt.log))
		log_info(in->opt.log, "event=refused peer=%s:%u sni=%s code=%s msg=\"%s\"",
			 visit->visitor.ip, visit->visitor.port, visit->sni, err_name(e), why);
}

/* An alert, and the end: nothing more is owed to somebody whom we do not know. */
void sni_ingress_alert(struct wire *w, enum client_hello_alert alert)
{
	uint8_t record[CLIENT_HELLO_ALERT];

	client_hello_refuse(alert, record);
	if (wire_write_all(w, (struct str){(const char *)record, sizeof record}) == 0)
		wire_linger(w, SNI_LINGER_MS, SNI_LINGER_MAX);
	else
		wire_close(w, ERR_RESET);
}

/* It does not begin as TLS does, or does not go on so. */
static void sni_ingress_refuse(struct sni_ingress *in, const struct sni_visitor *v, int e)
{
	bool is_tls = v->raw.len > 0 && v->raw.p[0] == 22; /* a record of the handshake */

	sni_ingress_say(in, &v->visit, e, is_tls ? "not a ClientHello" : "not TLS");
	sni_ingress_alert(v->wire, is_tls ? CLIENT_HELLO_DECODE_ERROR : CLIENT_HELLO_UNEXPECTED);
}

/* A tls tunnel that cannot take its visitor; see tcp_visitor.refused. It has been logged. */
static void sni_ingress_on_refused(void *arg, struct wire *w, int e)
{
	sni_ingress_alert(w, e == ERR_DENIED ? CLIENT_HELLO_HANDSHAKE_FAILURE
					     : CLIENT_HELLO_INTERNAL_ERROR);
}

/* ---- sending on ---- */

/* The one protocol that is offered; empty: none, or a choice. */
static struct str sni_alpn(const struct client_hello *h)
{
	if (h->alpn_len < 2 || h->alpn_len != (size_t)1 + h->alpn[0])
		return (struct str){NULL, 0};
	return (struct str){(const char *)h->alpn + 1, h->alpn[0]};
}

static void sni_ingress_pass(struct sni_ingress *in, const struct sni_visitor *v,
			     const char *tunnel)
{
	const struct tcp_visitor go = {.visit = &v->visit,
				       .tunnel = tunnel,
				       .first = v->raw,
				       .alpn = sni_alpn(&v->hello),
				       .refused = sni_ingress_on_refused};

	tcp_ingress_serve(in->opt.tcp, v->wire, &go);
}

/* Returns 0, or why the bytes cannot come again. */
static int sni_ingress_give_back(const struct sni_visitor *v, size_t last)
{
	bool whole = v->raw.len == last;

	wire_unread(v->wire, whole ? last : 0); /* now nothing is lent any more */
	wire_want(v->wire, 0);
	return whole ? 0 : wire_restore(v->wire, v->raw);
}

/*
 * The ClientHello is complete.
 *   last  bytes of v->raw that the last read has lent; the others are ours.
 */
static void sni_ingress_go(struct sni_ingress *in, struct sni_visitor *v, size_t last)
{
	struct str sni = str_of(v->hello.sni), name = {NULL, 0};
	enum core_sni what = CORE_SNI_NOBODY;
	char tunnel[HOSTNAME_MAX + 1] = "";
	int e;

	(void)!str_copy(v->visit.sni, sizeof v->visit.sni, sni);
	if (sni.len > 0)
		what = core_sni(in->opt.core, sni, &name);
	if (what != CORE_SNI_NOBODY)
		(void)!str_copy(tunnel, sizeof tunnel, name);
	if (what == CORE_SNI_PASS) {
		sni_ingress_pass(in, v, tunnel);
	} else if (what == CORE_SNI_END && core_tunnel(in->opt.core, str_of(tunnel)) == NULL) {
		sni_ingress_say(in, &v->visit, ERR_NOSESSION, err_text(ERR_NOSESSION));
		sni_ingress_alert(v->wire, CLIENT_HELLO_INTERNAL_ERROR);
	} else if (what == CORE_SNI_NOBODY && sni.len > 0 && !in->opt.is_ours(in->opt.arg, sni)) {
		sni_ingress_say(in, &v->visit, ERR_NOROUTE, err_text(ERR_NOROUTE));
		sni_ingress_alert(v->wire, CLIENT_HELLO_UNRECOGNIZED_NAME);
	} else if ((e = sni_ingress_give_back(v, last)) != 0) {
		wire_close(v->wire, e);
	} else {
		in->opt.end_tls(in->opt.arg, v->wire, &v->visit,
				what == CORE_SNI_END ? tunnel : NULL);
	}
}

/* May its name be an http tunnel's that only other nodes serve? Then the records are asked first.
 */
static bool sni_ingress_asks(struct sni_ingress *in, const struct sni_visitor *v)
{
	struct str sni = str_of(v->hello.sni), name;

	if (sni.len == 0 || !core_may_be_elsewhere(in->opt.core, sni))
		return false;
	return core_sni(in->opt.core, sni, &name) != CORE_SNI_NOBODY ||
	       !in->opt.is_ours(in->opt.arg, sni);
}

/* Returns as client_hello_parse(). Who sends byte by byte is not looked at for each of them. */
static int sni_ingress_parse(struct sni_visitor *v, struct sni_got *got)
{
	int e;

	if (v->raw.len < got->least)
		return ERR_AGAIN;
	e = client_hello_parse(v->raw, &v->hello);
	if (e == ERR_AGAIN && v->raw.len >= CLIENT_HELLO_MAX)
		return ERR_TOOBIG;
	if (e == ERR_AGAIN)
		got->least = client_hello_least(v->raw);
	return e;
}

/*
 * Read and look.
 *   got  what came before; may be empty.
 * Returns ERR_AGAIN (more must come, and what came is in *got), ERR_NOROUTE (all has come and is in
 * *got; its name is to be asked for) or why the visitor is gone. Else 0, and the visitor is
 * somebody else's.
 */
static int sni_ingress_look(struct sni_ingress *in, struct sni_visitor *v, struct sni_got *got)
{
	struct buf *bytes = &got->bytes;
	struct str last;
	int e;

	do {
		if ((e = wire_read(v->wire, CLIENT_HELLO_MAX - bytes->len, &last)) != 0)
			return e;
		v->raw = last;
		if (bytes->len > 0) {
			if ((e = buf_add(bytes, last.p, last.len, CLIENT_HELLO_MAX)) != 0)
				return e;
			v->raw = buf_str(bytes);
		}
		e = sni_ingress_parse(v, got);
		if (e == ERR_AGAIN && bytes->len == 0 &&
		    buf_add(bytes, last.p, last.len, CLIENT_HELLO_MAX) != 0)
			return ERR_NOMEM;
	} while (e == ERR_AGAIN);
	if (e == 0 && sni_ingress_asks(in, v)) {
		if (bytes->len == 0 && buf_add(bytes, last.p, last.len, CLIENT_HELLO_MAX) != 0)
			return ERR_NOMEM;
		return ERR_NOROUTE;
	}
	wire_own(v->wire, NULL, NULL);
	if (e == 0)
		sni_ingress_go(in, v, last.len);
	else
		sni_ingress_refuse(in, v, e);
	return 0;
}

/* ---- those who are not done ---- */

static void sni_conn_release(struct sni_conn *c)
{
	list_del(&c->link);
	c->in->n_conns--;
	c->in->kept -= c->kept;
	ev_timer_stop(c->in->ev, &c->late);
	if (c->lookup != NULL)
		core_lookup_cancel(c->lookup);
	buf_free(&c->got.bytes);
	ev_free_later(c->in->ev, c);
}

static void sni_conn_end(struct sni_conn *c, int why)
{
	wire_close(c->wire, why);
	sni_conn_release(c);
}

/* So many bytes of its hello are kept now. When all together are too many, it is the one to go:
 * false. */
static bool sni_conn_keep(struct sni_conn *c)
{
	struct sni_ingress *in = c->in;
	struct visit visit = {.visitor = c->visitor};

	in->kept += c->got.bytes.len - c->kept;
	c->kept = c->got.bytes.len;
	if (in->kept <= in->opt.kept_max)
		return true;
	sni_ingress_say(in, &visit, ERR_LIMIT, "too much of unfinished ClientHellos is kept");
	sni_conn_end(c, ERR_LIMIT);
	return false;
}

/* Whatever the answer is: what is known now counts. */
static void sni_conn_on_answer(void *arg, int e)
{
	struct sni_conn *c = arg;
	struct sni_visitor v = {.visit = {.ingress = VISIT_SNI,
					  .visitor = c->visitor,
					  .local = c->local},
				.wire = c->wire,
				.raw = buf_str(&c->got.bytes)};

	c->lookup = NULL;
	e = client_hello_parse(v.raw, &v.hello);
	wire_own(c->wire, NULL, NULL);
	if (e == 0)
		sni_ingress_go(c->in, &v, 0);
	else
		sni_ingress_refuse(c->in, &v, e);
	sni_conn_release(c);
}

/* All of it has come. When too many are asked for, it goes on without. */
static void sni_conn_ask(struct sni_conn *c)
{
	struct client_hello hello;

	if (!sni_conn_keep(c))
		return;
	wire_want(c->wire, 0);
	if (client_hello_parse(buf_str(&c->got.bytes), &hello) == 0)
		c->lookup =
			core_lookup_at(c->in->opt.core, str_of(hello.sni), sni_conn_on_answer, c);
	if (c->lookup == NULL)
		sni_conn_on_answer(c, ERR_LIMIT);
}

static void sni_conn_on_ready(void *arg, struct wire *w, int events)
{
	struct sni_conn *c = arg;
	struct sni_visitor v = {.visit = {.ingress = VISIT_SNI,
					  .visitor = c->visitor,
					  .local = c->local},
				.wire = w};
	int e;

	if (c->lookup != NULL)
		return; /* nothing more is read until the answer is here */
	e = sni_ingress_look(c->in, &v, &c->got);
	if (e == 0)
		sni_conn_release(c);
	else if (e == ERR_AGAIN)
		(void)sni_conn_keep(c);
	else if (e == ERR_NOROUTE)
		sni_conn_ask(c);
	else
		sni_conn_end(c, e);
}

static void sni_conn_on_broken(void *arg, struct wire *w, int why)
{
	sni_conn_end(arg, why);
}

static void sni_conn_on_late(void *arg)
{
	struct sni_conn *c = arg;
	struct visit visit = {.visitor = c->visitor};

	sni_ingress_say(c->in, &visit, ERR_TIMEOUT,
			c->lookup != NULL ? "the records do not answer in time"
					  : "the ClientHello did not come in time");
	sni_conn_end(c, ERR_TIMEOUT);
}

static const struct wire_owner sni_conn_owner = {sni_conn_on_ready, sni_conn_on_broken};

/* Wait for the rest; all: for its name. *got is taken over. Returns 0 or ERR_NOMEM. */
static int sni_conn_wait(struct sni_ingress *in, const struct sni_visitor *v, struct sni_got *got,
			 bool all)
{
	struct sni_conn *c = calloc(1, sizeof *c);

	if (c == NULL) {
		buf_free(&got->bytes);
		return ERR_NOMEM;
	}
	c->in = in;
	c->wire = v->wire;
	c->got = *got;
	c->visitor = v->visit.visitor;
	c->local = v->visit.local;
	c->late = (struct ev_timer){.fn = sni_conn_on_late, .arg = c};
	list_push(&in->conns, &c->link);
	in->n_conns++;
	wire_own(c->wire, &sni_conn_owner, c);
	wire_want(c->wire, WIRE_READ);
	ev_timer_set(in->ev, &c->late, in->opt.hello_ms);
	if (all)
		sni_conn_ask(c);
	else
		(void)sni_conn_keep(c);
	return 0;
}

void sni_ingress_serve(struct sni_ingress *in, struct wire *w, const struct visit *who)
{
	struct sni_visitor v = {.visit = {.ingress = VISIT_SNI,
					  .visitor = who->visitor,
					  .local = who->local},
				.wire = w};
	struct sni_got got = {.least = 0};
	int e = sni_ingress_look(in, &v, &got);

	if (e == ERR_AGAIN || e == ERR_NOROUTE)
		e = sni_conn_wait(in, &v, &got, e == ERR_NOROUTE);
	else
		buf_free(&got.bytes);
	if (e != 0)
		wire_close(w, e);
}

size_t sni_ingress_load(const struct sni_ingress *in)
{
	return in->n_conns;
}

int sni_ingress_new(struct ev *ev, const struct sni_ingress_opt *opt, struct sni_ingress **out)
{
	struct sni_ingress *in = calloc(1, sizeof *in);

	if (in == NULL)
		return ERR_NOMEM;
	in->ev = ev;
	in->opt = *opt;
	if (opt->kept_max == 0)
		in->opt.kept_max = SNI_INGRESS_KEPT_MAX;
	list_init(&in->conns);
	*out = in;
	return 0;
}

void sni_ingress_free(struct sni_ingress *in)
{
	if (in == NULL)
		return;
	LIST_FOR_EACH_SAFE (link, &in->conns)
		sni_conn_end(CONTAINER_OF(link, struct sni_conn, link), ERR_CLOSED);
	ev_free_later(in->ev, in);
}
