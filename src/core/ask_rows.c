/*
 * Each node keeps its own sessions, visitors and agents; here they become one list, as if there
 * were one node: in one order, cut to one page, an agent that is at two nodes only once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/ask.h"

/* ---- order ---- */

static int ask_rows_by_number(const void *a, const void *b)
{
	const struct core_session_info *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static int ask_rows_by_time(const void *a, const void *b)
{
	const struct core_visitor_info *x = a, *y = b;
	int order = strcmp(x->node, y->node);

	if (x->since_ms != y->since_ms)
		return x->since_ms < y->since_ms ? -1 : 1;
	if (order == 0)
		order = strcmp(x->peer.ip, y->peer.ip);
	return order != 0 ? order : (x->peer.port > y->peer.port) - (x->peer.port < y->peer.port);
}

static int ask_rows_by_name(const void *a, const void *b)
{
	const struct core_agent_info *x = a, *y = b; /* the first member of core_agent_there */
	int order = strcmp(x->account, y->account);

	return order != 0 ? order : strcmp(x->id, y->id);
}

/* The connected ones first, then those that went last; of equals by their names. */
static int ask_rows_by_presence(const void *a, const void *b)
{
	const struct core_agent_info *x = a, *y = b;
	bool x_here = x->n_sessions > 0, y_here = y->n_sessions > 0;

	if (x_here != y_here)
		return x_here ? -1 : 1;
	if (!x_here && x->since_ms != y->since_ms)
		return x->since_ms > y->since_ms ? -1 : 1;
	return ask_rows_by_name(a, b);
}

static const struct ask_rows_kind {
	size_t size, max;
	int (*order)(const void *a, const void *b);
} ask_rows_kinds[ASK_WHATS] = {
	[ASK_SESSIONS] = {sizeof(struct core_session_info), MANAGE_PAGE_MAX, ask_rows_by_number},
	[ASK_VISITORS] = {sizeof(struct core_visitor_info), MANAGE_PAGE_MAX, ask_rows_by_time},
	[ASK_AGENTS] = {sizeof(struct core_agent_there), MANAGE_AGENTS_MAX, ask_rows_by_presence},
};

size_t ask_rows_max(enum ask_what what)
{
	return ask_rows_kinds[what].max;
}

size_t ask_rows_size(enum ask_what what)
{
	return ask_rows_kinds[what].size;
}

void ask_rows_free(struct ask_rows *r)
{
	free(r->v);
	r->v = NULL;
	r->n = 0;
}

/* ---- together ---- */

/* b is the same agent as a. */
static void ask_rows_unite(struct core_agent_there *a, const struct core_agent_there *b)
{
	bool a_here = a->info.n_sessions > 0, b_here = b->info.n_sessions > 0;
	int64_t x = a->info.since_ms, y = b->info.since_ms;

	a->info.was_there = a->info.was_there || b->info.was_there;
	if (a_here == b_here) {
		a->info.since_ms = a_here ? MIN(x, y) : MAX(x, y);
	} else {
		a->info.since_ms = a_here ? x : y;
		/* it went from one before it came to the other */
		if ((a_here ? y : x) < a->info.since_ms)
			a->info.was_there = true;
	}
	a->info.n_sessions += b->info.n_sessions;
	for (size_t i = 0; i < b->n_nodes && a->n_nodes < CORE_AGENT_NODES_MAX; i++)
		memcpy(a->nodes[a->n_nodes++], b->nodes[i], sizeof a->nodes[0]);
}

static void ask_rows_unite_all(struct ask_rows *r)
{
	struct core_agent_there *v = r->v;
	size_t n = 0;

	qsort(v, r->n, sizeof *v, ask_rows_by_name);
	for (size_t i = 0; i < r->n; i++) {
		if (n > 0 && ask_rows_by_name(&v[n - 1], &v[i]) == 0)
			ask_rows_unite(&v[n - 1], &v[i]);
		else if (n++ != i)
			v[n - 1] = v[i];
	}
	r->n = n;
}

/* In order, and no more than a page. */
static void ask_rows_settle(struct ask_rows *r)
{
	const struct ask_rows_kind *kind = &ask_rows_kinds[r->what];

	if (r->n == 0)
		return;
	if (r->what == ASK_AGENTS)
		ask_rows_unite_all(r);
	qsort(r->v, r->n, kind->size, kind->order);
	if (r->n > kind->max) {
		r->n = kind->max;
		r->more = true;
	}
}

int ask_rows_join(struct ask_rows *r, struct ask_rows *more)
{
	size_t size = ask_rows_kinds[r->what].size;
	char *v;

	CHECK(r->what == more->what);
	if (more->n > 0) {
		if ((v = reallocarray(r->v, r->n + more->n, size)) == NULL) {
			ask_rows_free(more);
			return ERR_NOMEM;
		}
		memcpy(v + r->n * size, more->v, more->n * size);
		r->v = v;
		r->n += more->n;
	}
	r->total += more->total;
	r->more = r->more || more->more;
	ask_rows_free(more);
	ask_rows_settle(r);
	return 0;
}

void ask_rows_sign(struct ask_rows *r, const char *node)
{
	struct core_session_info *s = r->v;
	struct core_visitor_info *v = r->v;
	struct core_agent_there *a = r->v;

	for (size_t i = 0; i < r->n && node != NULL; i++) {
		if (r->what == ASK_SESSIONS) {
			str_printf(s[i].node, sizeof s[i].node, "%s", node);
		} else if (r->what == ASK_VISITORS) {
			str_printf(v[i].node, sizeof v[i].node, "%s", node);
		} else if (a[i].info.n_sessions > 0) {
			str_printf(a[i].nodes[0], sizeof a[i].nodes[0], "%s", node);
			a[i].n_nodes = 1;
		}
	}
}

/* ---- our own ---- */

static void ask_rows_tell_session(const struct serving *serving, struct core_session_info *out)
{
	const struct member *m = serving->member;
	const struct session *s = m->opt.session;

	*out = (struct core_session_info){.number = m->number,
					  .kind = m->opt.kind,
					  .carrier = m->opt.agent.carrier,
					  .epoch = m->opt.agent.epoch,
					  .peer = m->opt.peer,
					  .since_ms = m->since_ms,
					  .rtt_us = s->rtt_us,
					  .n_streams = s->n_streams,
					  .draining = s->is_draining || s->is_leaving,
					  .late = session_is_late(s),
					  .down = serving->down,
					  .priority = serving->priority};
	memcpy(out->account, m->grant->who.account, sizeof out->account);
	memcpy(out->agent, m->opt.agent.id, sizeof out->agent);
}

static void ask_rows_own_sessions(struct core *c, const struct ask_about *about, struct ask_rows *r)
{
	const struct tunnel *t = tunnel_find(c, str_of(about->tunnel));
	struct core_session_info *v = r->v;

	if (t == NULL || (about->account[0] != '\0' && strcmp(t->account, about->account) != 0))
		return;
	LIST_FOR_EACH (link, &t->serving) {
		if (r->n < MANAGE_PAGE_MAX)
			ask_rows_tell_session(CONTAINER_OF(link, struct serving, of_tunnel),
					      &v[r->n++]);
		r->total++;
	}
}

static void ask_rows_own_visitors(struct core *c, const struct ask_about *about, struct ask_rows *r)
{
	const struct tunnel *t = tunnel_find(c, str_of(about->tunnel));
	struct core_visitor_info *out = r->v;

	if (t != NULL && about->account[0] != '\0' && strcmp(t->account, about->account) != 0)
		return;
	LIST_FOR_EACH (link, &c->visitors) {
		const struct core_visitor *v = CONTAINER_OF(link, struct core_visitor, link);

		/* whoever came by another node is told there */
		if (strcmp(v->visit->tunnel, about->tunnel) != 0 || v->visit->via[0] != '\0')
			continue;
		r->total++;
		if (r->n == MANAGE_PAGE_MAX)
			continue;
		out[r->n] = (struct core_visitor_info){.peer = v->visit->visitor,
						       .ingress = v->visit->ingress,
						       .since_ms = v->since_ms};
		memcpy(out[r->n].host, v->visit->host, sizeof out->host);
		r->n++;
	}
}

static void ask_rows_own_agents(struct core *c, const struct ask_about *about, struct ask_rows *r)
{
	struct core_agent_there *out = r->v;

	for (struct map_entry *e = map_next(&c->agents, NULL); e != NULL;
	     e = map_next(&c->agents, e)) {
		const struct agent_seen *a = CONTAINER_OF(e, struct agent_seen, entry);

		if (about->account[0] == '\0' || strcmp(a->info.account, about->account) == 0)
			out[r->n++] = (struct core_agent_there){.info = a->info};
	}
	r->total = r->n;
}

int ask_rows_own(struct core *c, const struct ask_about *about, struct ask_rows *out)
{
	static void (*const own[ASK_WHATS])(struct core * c, const struct ask_about *about,
					    struct ask_rows *r) = {
		[ASK_SESSIONS] = ask_rows_own_sessions,
		[ASK_VISITORS] = ask_rows_own_visitors,
		[ASK_AGENTS] = ask_rows_own_agents,
	};
	size_t n = about->what == ASK_AGENTS ? c->agents.n + 1 : MANAGE_PAGE_MAX;
	struct ask_rows r = {.what = about->what};

	if ((r.v = calloc(n, ask_rows_kinds[r.what].size)) == NULL)
		return ERR_NOMEM;
	own[r.what](c, about, &r);
	r.more = r.total > r.n;
	ask_rows_settle(&r);
	*out = r;
	return 0;
}
