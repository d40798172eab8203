/* What the DNS has said is kept for the whole call, by host and by what was to be found: so a
 * second try asks only about what has changed. */
#include "core/tunnel_proofs.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/tunnel_edit.h"

void tunnel_proofs_begin(struct tunnel_proofs *p)
{
	p->n = p->known;
}

bool tunnel_proofs_asks(const struct tunnel_proofs *p)
{
	return p->n > p->known;
}

/* ---- in the transaction ---- */

/* Need nobody prove what is nobody's? */
static bool proofs_is_trusted(const struct tunnel_proofs *p)
{
	struct core *c = p->m->core;
	struct access_ask ask = {.act = ACCESS_ADMIN, .now_ms = ev_wall_ms(c->ev)};
	char reason[CORE_REASON_TEXT];

	return c->opt.domains_unproven || access_decide(&p->m->who, &ask, reason) == 0;
}

/* What must be found for a host, and for whoever has it now. *needed: whether anything must. */
static int proofs_claims(struct tunnel_proofs *p, struct txn *t, const struct record_tunnel *r,
			 struct domain_proof *out, bool *needed)
{
	struct domain_claimant who = {r->account, r->name, p->m->core->opt.domain};
	struct record_domain d;
	const uint8_t *key;
	int e, found = tunnel_txn_domain(t, out->host, &d);

	if (found != 0 && found != ERR_NOTFOUND)
		return found;
	*needed = found == 0 ? strcmp(d.account, r->account) != 0 : !proofs_is_trusted(p);
	if (!*needed)
		return 0;
	if ((e = txn_secret(t, &key)) != 0 ||
	    (e = domain_claim(key, &who, out->host, &out->claim)) != 0 || found != 0)
		return e;
	who.account = d.account;
	who.name = d.tunnel;
	return domain_claim(key, &who, out->host, &out->old);
}

/* A tunnel without a name of its own gets another one with each try: no record can lead to it. */
static int proofs_unproven_drawn(struct tunnel_proofs *p, const char *field,
				 const struct domain_proof *d)
{
	const char *base = domain_base(d->host);

	return manage_refuse(
		p->m, ERR_INVAL, field,
		"\"%s\" is not proven to be yours%s%s%s: make a DNS record \"_karez.%s "
		"TXT %s\" and try again when it can be seen, or choose a name for the "
		"tunnel: then a CNAME record of \"%s\" may lead to it instead",
		d->host, d->e != 0 ? ", and the DNS gave no answer (" : "",
		d->e != 0 ? err_text(d->e) : "", d->e != 0 ? ")" : "", base, d->claim.text, base);
}

static int proofs_unproven(struct tunnel_proofs *p, const char *field, const struct domain_proof *d)
{
	const char *base = domain_base(d->host);

	if (p->drawn)
		return proofs_unproven_drawn(p, field, d);
	if (d->e != 0)
		return manage_refuse(p->m, ERR_INVAL, field,
				     "\"%s\" is not proven to be yours, and the DNS gave no answer "
				     "(%s): see that there is a record \"%s CNAME %s\", or "
				     "\"_karez.%s TXT %s\", and try again",
				     d->host, err_text(d->e), base, d->claim.target, base,
				     d->claim.text);
	return manage_refuse(p->m, ERR_INVAL, field,
			     "\"%s\" is not proven to be yours: make a DNS record \"%s CNAME %s\", "
			     "or \"_karez.%s TXT %s\", and try again when it can be seen",
			     d->host, base, d->claim.target, base, d->claim.text);
}

/* To be asked about. Returns ERR_RESOLVE, or why it cannot be. */
static int proofs_add(struct tunnel_proofs *p, const char *field, const struct domain_proof *d)
{
	struct domain_proof *list;

	if (p->m->core->opt.resolver.ask == NULL)
		return manage_refuse(p->m, ERR_UNSUPPORTED, field,
				     "this server has no custom domains: it asks no DNS that could "
				     "prove them");
	if (p->rounds == TUNNEL_PROOFS_ROUNDS)
		return manage_refuse(p->m, ERR_CONFLICT, field,
				     "others change the same domains at this moment; try again");
	if (p->n == TUNNEL_PROOFS_MAX)
		return manage_refuse(p->m, ERR_LIMIT, field,
				     "so many new domains cannot be proven at once; at most %d",
				     TUNNEL_PROOFS_MAX);
	if (p->n == p->cap) {
		list = realloc(p->list, (p->cap + 5) * 2 * sizeof *list);
		if (list == NULL)
			return ERR_NOMEM;
		p->list = list;
		p->cap = (p->cap + 5) * 2;
	}
	p->list[p->n++] = *d;
	return ERR_RESOLVE;
}

/* May the tunnel have a host that is new to it? fresh: what must be found, as the records say now.
 */
static int proofs_judge(struct tunnel_proofs *p, const char *field,
			const struct domain_proof *fresh)
{
	const struct domain_proof *d = NULL;

	for (size_t i = 0; d == NULL && i < p->known; i++)
		if (strcmp(p->list[i].host, fresh->host) == 0 &&
		    memcmp(&p->list[i].claim, &fresh->claim, sizeof fresh->claim) == 0 &&
		    memcmp(&p->list[i].old, &fresh->old, sizeof fresh->old) == 0)
			d = &p->list[i];
	if (d == NULL)
		return proofs_add(p, field, fresh);
	if (!d->proven)
		return proofs_unproven(p, field, d);
	if (d->old.text[0] != '\0' && d->old_proven)
		return manage_refuse(
			p->m, ERR_EXISTS, field,
			"\"%s\" is a custom domain of somebody else, whose proof still "
			"stands in the DNS; have it removed there first",
			d->host);
	return 0;
}

int tunnel_proofs_need(struct tunnel_proofs *p, struct txn *t, const struct record_tunnel *r,
		       const struct record_tunnel *old)
{
	const char *field = tunnel_edit_domains_field(r->kind);
	int e, result = 0;

	for (size_t i = 0; i < r->n_alt_names; i++) {
		struct domain_proof fresh = {0};
		bool needed;

		if (old != NULL && record_tunnel_has_host(old, r->alt_names[i]))
			continue;
		memcpy(fresh.host, r->alt_names[i], sizeof fresh.host);
		e = proofs_claims(p, t, r, &fresh, &needed);
		if (e == 0 && needed)
			e = proofs_judge(p, field, &fresh);
		if (e != 0 && e != ERR_RESOLVE)
			return e;
		if (e != 0)
			result = e;
	}
	return result;
}

/* ---- asking ---- */

static void proofs_end_asking(struct tunnel_proofs *p)
{
	if (!list_linked(&p->asking.link))
		return;
	core_call_end(&p->asking);
	ev_timer_stop(p->m->core->ev, &p->deadline);
	for (size_t i = 0; i < ARRAY_LEN(p->lots); i++) {
		domain_cancel(&p->lots[i].lot);
		p->lots[i].lot.n = 0;
	}
}

static void proofs_on_answers(void *arg);

/* Returns 0 or ERR_LIMIT. */
static int proofs_ask_lot(struct tunnel_proofs *p, struct tunnel_proofs_lot *l)
{
	struct domain_proofs *lot = &l->lot;
	int e;

	*l = (struct tunnel_proofs_lot){.p = p, .at = p->at};
	lot->resolver = &p->m->core->opt.resolver;
	lot->done = proofs_on_answers;
	lot->arg = l;
	lot->n = MIN(p->n - p->at, ARRAY_LEN(lot->list));
	memcpy(lot->list, p->list + p->at, lot->n * sizeof p->list[0]);
	if ((e = domain_ask(lot)) != 0)
		lot->n = 0;
	p->at += lot->n;
	return e;
}

/* Ask about the next ones, as many as may be. Returns 0, or ERR_LIMIT: nothing is asked. */
static int proofs_next(struct tunnel_proofs *p)
{
	bool asks = false;
	int e = 0;

	for (size_t i = 0; i < ARRAY_LEN(p->lots); i++) {
		if (p->lots[i].lot.n == 0 && p->at < p->n && e == 0)
			e = proofs_ask_lot(p, &p->lots[i]);
		asks |= p->lots[i].lot.n > 0;
	}
	return asks ? 0 : e;
}

/* It is over with them, whatever was said. */
static void proofs_keep(struct tunnel_proofs_lot *l)
{
	memcpy(l->p->list + l->at, l->lot.list, l->lot.n * sizeof l->lot.list[0]);
	l->lot.n = 0;
}

static bool proofs_is_asking(const struct tunnel_proofs *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->lots); i++)
		if (p->lots[i].lot.n > 0)
			return true;
	return false;
}

static void proofs_end(struct tunnel_proofs *p)
{
	p->known = p->n;
	proofs_end_asking(p);
	manage_go(p->m, p->run);
}

static void proofs_refuse_busy(struct tunnel_proofs *p)
{
	manage_end(p->m, manage_refuse(p->m, ERR_LIMIT, NULL,
				       "the server asks the DNS too much at the moment; try again "
				       "in a while"));
}

static void proofs_on_answers(void *arg)
{
	struct tunnel_proofs_lot *l = arg;
	struct tunnel_proofs *p = l->p;

	proofs_keep(l);
	if (proofs_next(p) != 0)
		proofs_refuse_busy(p);
	else if (!proofs_is_asking(p))
		proofs_end(p);
}

static void proofs_on_deadline(void *arg)
{
	struct tunnel_proofs *p = arg;

	for (size_t i = 0; i < ARRAY_LEN(p->lots); i++) {
		domain_give_up(&p->lots[i].lot);
		if (p->lots[i].lot.n > 0)
			proofs_keep(&p->lots[i]);
	}
	for (; p->at < p->n; p->at++)
		p->list[p->at].e = ERR_TIMEOUT;
	proofs_end(p);
}

static void proofs_on_core_gone(struct core_call *call)
{
	manage_end(CONTAINER_OF(call, struct tunnel_proofs, asking)->m, ERR_CLOSED);
}

static void proofs_on_ask(void *call)
{
	struct tunnel_proofs *p = CONTAINER_OF(call, struct tunnel_proofs, asking);
	struct ev *ev = p->m->core->ev;
	uint64_t now = ev_now_ms(ev);

	p->rounds++;
	p->at = p->known;
	if (p->until_ms == 0)
		p->until_ms = now + TUNNEL_PROOFS_MS;
	p->deadline = (struct ev_timer){.fn = proofs_on_deadline, .arg = p};
	ev_timer_set(ev, &p->deadline, p->until_ms > now ? p->until_ms - now : 0);
	if (proofs_next(p) != 0)
		proofs_refuse_busy(p);
}

void tunnel_proofs_ask(struct tunnel_proofs *p)
{
	int e;

	p->asking.closed = proofs_on_core_gone;
	if ((e = core_call_begin(p->m->core, &p->asking, p->m->kind, proofs_on_ask)) != 0)
		manage_end(p->m, e);
}

void tunnel_proofs_clean(struct tunnel_proofs *p)
{
	proofs_end_asking(p);
	free(p->list);
	p->list = NULL;
	p->n = p->cap = p->known = 0;
}
