/* A list that only grows; all of its times come from the clerk. */
#include "sim/pool_terms.h"

#include <string.h>

#include "sim/pool.h"

/* From then on nothing older holds there. */
static uint64_t terms_sure_ms(const struct terms *x, unsigned node)
{
	return x->known_ms + (x->node == node ? 0 : POOL_SETTLE_MS);
}

struct terms_range terms_at(const struct pool_tunnel *t, unsigned node, uint64_t from, uint64_t to)
{
	struct terms_range r = {&t->terms[0], &t->terms[0]};

	for (unsigned i = 0; i < t->n_terms; i++) {
		const struct terms *x = &t->terms[i];

		if (x->known_ms != 0 && terms_sure_ms(x, node) < from)
			r.first = x;
		if (x->asked_ms <= to)
			r.last = x;
	}
	return r;
}

const struct terms *terms_now(const struct pool_tunnel *t)
{
	return &t->terms[t->n_terms - 1];
}

struct terms *terms_ask(struct stage *s, struct pool_tunnel *t, const struct terms *next)
{
	struct terms *x = &t->terms[t->n_terms++];

	CHECK(t->n_terms < POOL_TERMS_MAX);
	*x = *next;
	x->asked_ms = ev_now_ms(s->ev);
	x->known_ms = 0;
	return x;
}

bool terms_on(const struct terms *x)
{
	return x->there && x->enabled;
}

bool terms_allow(const struct terms *x, unsigned host)
{
	for (size_t i = 0; i < x->n_agents; i++)
		if (x->agents[i] == host)
			return true;
	return x->n_agents == 0;
}

bool terms_same(const struct terms *a, const struct terms *b)
{
	return a->there == b->there &&
	       (!a->there ||
		(a->enabled == b->enabled && a->port == b->port && a->policy == b->policy &&
		 a->drain_ms == b->drain_ms && a->n_agents == b->n_agents &&
		 memcmp(a->agents, b->agents, a->n_agents * sizeof a->agents[0]) == 0));
}
