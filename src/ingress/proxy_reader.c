/* Wait for a header, for a limited time, and believe it only from whom we may. */
#include "ingress/proxy_reader.h"

#include <stdlib.h>

#include "ev/log_pace.h"

struct proxy_reader {
	struct ev *ev;
	struct proxy_reader_opt opt;
	struct log_pace pace;
};

/* A connection whose header is not complete. */
struct proxy_wait {
	struct list link;
	struct proxy_entrance *in;
	struct wire *wire; /* owned */
	struct proxy_visitor ends;
	struct ev_timer late;
	struct buf got; /* what came before the last read; bounded by PROXY_V2_MAX */
};

/* The wire is the caller's. */
static struct wire *proxy_wait_release(struct proxy_wait *p)
{
	struct ev *ev = p->in->reader->ev;
	struct wire *w = p->wire;

	list_del(&p->link);
	ev_timer_stop(ev, &p->late);
	buf_free(&p->got);
	ev_free_later(ev, p);
	return w;
}

bool proxy_reader_trusts(const struct proxy_reader *r, const struct visit_end *peer)
{
	return cidr_match_text(r->opt.trusted, r->opt.n_trusted, str_of(peer->ip));
}

static void proxy_reader_say(struct proxy_reader *r, const struct visit_end *peer, int e,
			     const char *why)
{
	if (log_pace_take(&r->pace, r->ev, r->opt.log))
		log_info(r->opt.log, "event=refused peer=%s code=%s msg=\"%s\"", peer->ip,
			 err_name(e), why);
}

static void proxy_wait_refuse(struct proxy_wait *p, int e)
{
	/* a balancer that connects, and leaves without a word, asks only whether we are there */
	bool looks = p->got.len == 0 && (e == ERR_EOF || e == ERR_RESET);

	if (!looks)
		proxy_reader_say(p->in->reader, &p->ends.peer, e,
				 e == ERR_TIMEOUT ? "the PROXY header did not come in time"
				 : e == ERR_PROTO || e == ERR_TOOBIG
					 ? "what came is no PROXY header"
					 : "the connection ended before its PROXY header");
	wire_close(proxy_wait_release(p), e);
}

static void proxy_wait_go(struct proxy_wait *p, const struct proxy_header *h)
{
	struct proxy_entrance *in = p->in;
	struct proxy_visitor v = p->ends;
	struct wire *w = proxy_wait_release(p);

	if (!h->local) {
		v.peer = h->src;
		v.local = h->dst;
		v.tls = h->tls;
	}
	wire_want(w, 0);
	wire_own(w, NULL, NULL);
	in->come(in->arg, w, &v);
}

/* What came with the last read: is the header complete? Returns 0, ERR_AGAIN or what is wrong. */
static int proxy_wait_parse(struct proxy_wait *p, struct str in, struct proxy_header *h)
{
	size_t before = p->got.len, used;
	struct str all = in;
	int e;

	if (before > 0) {
		if ((e = buf_add(&p->got, in.p, in.len, PROXY_V2_MAX)) != 0)
			return e;
		all = buf_str(&p->got);
	}
	if ((e = proxy_protocol_parse(all, h, &used)) == 0)
		wire_unread(p->wire, all.len - used);
	else if (e == ERR_AGAIN && before == 0)
		e = buf_add(&p->got, in.p, in.len, PROXY_V2_MAX) != 0 ? ERR_NOMEM : ERR_AGAIN;
	return e;
}

static void proxy_wait_on_ready(void *arg, struct wire *w, int events)
{
	struct proxy_wait *p = arg;
	struct proxy_header h;
	struct str in;
	int e;

	do {
		e = wire_read(w, PROXY_V2_MAX - p->got.len, &in);
		if (e == ERR_AGAIN)
			return;
		if (e == 0)
			e = proxy_wait_parse(p, in, &h);
	} while (e == ERR_AGAIN);
	if (e == 0)
		proxy_wait_go(p, &h);
	else
		proxy_wait_refuse(p, e);
}

static void proxy_wait_on_broken(void *arg, struct wire *w, int why)
{
	proxy_wait_refuse(arg, why);
}

static void proxy_wait_on_late(void *arg)
{
	proxy_wait_refuse(arg, ERR_TIMEOUT);
}

static const struct wire_owner proxy_wait_owner = {proxy_wait_on_ready, proxy_wait_on_broken};

void proxy_entrance_serve(struct proxy_entrance *in, struct wire *w,
			  const struct proxy_visitor *ends)
{
	struct proxy_reader *r = in->reader;
	struct proxy_wait *p;

	if (!proxy_reader_trusts(r, &ends->peer)) {
		proxy_reader_say(r, &ends->peer, ERR_DENIED,
				 "only --trusted-proxies may come here, with the PROXY protocol");
		wire_close(w, ERR_DENIED);
		return;
	}
	if ((p = calloc(1, sizeof *p)) == NULL) {
		wire_close(w, ERR_NOMEM);
		return;
	}
	p->in = in;
	p->wire = w;
	p->ends = *ends;
	p->late = (struct ev_timer){.fn = proxy_wait_on_late, .arg = p};
	list_push(&in->waiting, &p->link);
	wire_own(w, &proxy_wait_owner, p);
	wire_want(w, WIRE_READ);
	ev_timer_set(r->ev, &p->late, r->opt.header_ms);
}

void proxy_entrance_init(struct proxy_entrance *in, struct proxy_reader *r)
{
	list_init(&in->waiting);
	in->reader = r;
}

void proxy_entrance_end(struct proxy_entrance *in)
{
	LIST_FOR_EACH_SAFE (link, &in->waiting)
		wire_close(proxy_wait_release(CONTAINER_OF(link, struct proxy_wait, link)),
			   ERR_CLOSED);
}

int proxy_reader_new(struct ev *ev, const struct proxy_reader_opt *opt, struct proxy_reader **out)
{
	struct proxy_reader *r = calloc(1, sizeof *r);

	if (r == NULL)
		return ERR_NOMEM;
	r->ev = ev;
	r->opt = *opt;
	*out = r;
	return 0;
}

void proxy_reader_free(struct proxy_reader *r)
{
	if (r != NULL)
		ev_free_later(r->ev, r);
}
