/* Names that are ours, and handshakes whose visitors are for a tunnel. */
#include "app/tls_front.h"

#include <stdlib.h>

#include "base/err.h"
#include "core/names.h"
#include "ingress/sni_ingress.h"
#include "wire/wire_tls.h"

struct tls_front {
	struct ev *ev;
	struct tls_front_opt opt;
	struct sni_ingress *sni; /* owned */
	struct list guests;	 /* owned: of tls_guest.link */
	size_t n_guests;
};

/* A visitor of a tls tunnel: the target hears of it when the handshake is done. */
struct tls_guest {
	struct list link;
	struct tls_front *front;
	struct wire *wire; /* owned: TLS */
	struct visit visit;
};

static void tls_guest_release(struct tls_guest *g)
{
	list_del(&g->link);
	g->front->n_guests--;
	ev_free_later(g->front->ev, g);
}

static void tls_guest_on_ready(void *arg, struct wire *w, int events)
{
	struct tls_guest *g = arg;
	struct tcp_visitor v = {.visit = &g->visit};
	char tunnel[HOSTNAME_MAX + 1] = "";
	struct str name = {NULL, 0};
	struct wire_tls_facts facts;

	wire_tls_facts(w, &facts);
	if (!facts.done)
		return;
	/* meanwhile the name may have become somebody else's, or nobody's */
	if (core_sni(g->front->opt.core, str_of(g->visit.sni), &name) == CORE_SNI_END)
		(void)!str_copy(tunnel, sizeof tunnel, name);
	v.tunnel = tunnel;
	v.alpn = facts.alpn;
	v.tls_version = facts.version;
	wire_want(w, 0);
	wire_own(w, NULL, NULL);
	tls_guest_release(g); /* readable until the turn ends */
	tcp_ingress_serve(g->front->opt.tcp, w, &v);
}

static void tls_guest_on_broken(void *arg, struct wire *w, int why)
{
	struct tls_guest *g = arg;

	wire_close(w, why);
	tls_guest_release(g);
}

static const struct wire_owner tls_guest_owner = {tls_guest_on_ready, tls_guest_on_broken};

static void tls_guest_new(struct tls_front *f, struct wire *w, const struct visit *who)
{
	struct tls_guest *g = calloc(1, sizeof *g);

	if (g == NULL) {
		wire_close(w, ERR_NOMEM);
		return;
	}
	g->front = f;
	g->wire = w;
	g->visit = *who;
	g->visit.tls = true;
	list_push(&f->guests, &g->link);
	f->n_guests++;
	wire_own(w, &tls_guest_owner, g);
	wire_want(w, WIRE_WRITE); /* there is room when the handshake is done */
}

/* See sni_ingress_opt.end_tls. What is inside a tls tunnel we do not know: no protocol is agreed
 * on. */
static void tls_front_on_end(void *arg, struct wire *w, const struct visit *who, const char *tunnel)
{
	struct tls_front *f = arg;
	char peer[CIDR_IP_TEXT_MAX + 8];
	struct wire_tls_opt opt = {.handshake_ms = f->opt.handshake_ms,
				   .no_alpn = tunnel != NULL,
				   .peer = peer};
	struct wire *tls;

	str_printf(peer, sizeof peer, "%s:%u", who->visitor.ip, who->visitor.port);
	if (wire_tls_server(f->ev, w, f->opt.tls, &opt, &tls) != 0)
		wire_close(w, ERR_NOMEM);
	else if (tunnel != NULL)
		tls_guest_new(f, tls, who);
	else
		f->opt.http(f->opt.arg, tls, who);
}

/* See sni_ingress_opt.is_ours. */
static bool tls_front_is_ours(void *arg, struct str sni)
{
	const struct tls_front *f = arg;
	char name[HOSTNAME_MAX + 1];
	struct str before;

	return names_own(f->opt.domain, f->opt.api_host, sni) ||
	       hostname_under(sni, str_of(f->opt.domain), &before) ||
	       (str_copy(name, sizeof name, sni) == 0 && tls_context_has_name(f->opt.tls, name)) ||
	       core_tunnel_at(f->opt.core, sni) != NULL;
}

void tls_front_serve(struct tls_front *f, struct wire *w, const struct visit *who)
{
	sni_ingress_serve(f->sni, w, who);
}

size_t tls_front_load(const struct tls_front *f)
{
	return f->n_guests + sni_ingress_load(f->sni);
}

int tls_front_new(struct ev *ev, const struct tls_front_opt *opt, struct tls_front **out)
{
	struct tls_front *f = calloc(1, sizeof *f);
	struct sni_ingress_opt sni = {.core = opt->core,
				      .tcp = opt->tcp,
				      .log = opt->log,
				      .hello_ms = opt->handshake_ms,
				      .is_ours = tls_front_is_ours,
				      .end_tls = tls_front_on_end,
				      .arg = f};
	int e;

	if (f == NULL)
		return ERR_NOMEM;
	f->ev = ev;
	f->opt = *opt;
	list_init(&f->guests);
	if ((e = sni_ingress_new(ev, &sni, &f->sni)) != 0) {
		free(f);
		return e;
	}
	*out = f;
	return 0;
}

void tls_front_free(struct tls_front *f)
{
	if (f == NULL)
		return;
	sni_ingress_free(f->sni);
	LIST_FOR_EACH_SAFE (link, &f->guests) {
		struct tls_guest *g = CONTAINER_OF(link, struct tls_guest, link);

		wire_close(g->wire, ERR_CLOSED);
		tls_guest_release(g);
	}
	ev_free_later(f->ev, f);
}
