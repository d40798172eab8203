/* Who is there: agents, sessions of a tunnel and its visitors on this node; and ending sessions. */
#include "core/manage.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "core/manage_internal.h"
#include "core/peer_internal.h"

/* Bytes of the sentence that an agent prints. */
#define REASON_MAX 200

struct manage_there {
	struct manage m; /* first */
	char name[HOSTNAME_MAX + 1];
	enum access_act act;
	struct record_tunnel r;
	void (*fill)(struct manage_there *h, struct tunnel *t); /* t: NULL if nobody serves it */
	uint64_t session;					/* disconnect: 0: all */
	char words[REASON_MAX + 1];				/* disconnect: "": the usual ones */
	struct core_session_info *sessions;			/* owned */
	struct core_visitor_info *visitors;			/* owned */
};

static void manage_there_clean(struct manage *m)
{
	struct manage_there *h = (struct manage_there *)m;

	free(h->sessions);
	free(h->visitors);
}

static int manage_there_run(struct txn *t, void *arg)
{
	struct manage_there *h = arg;
	const struct store_record *rec;

	h->m.reason[0] = '\0';
	return manage_tunnel(&h->m, t, &(struct manage_tunnel_ask){h->act, str_of(h->name)}, &h->r,
			     &rec);
}

static void manage_there_next(struct manage *m, int e)
{
	struct manage_there *h = (struct manage_there *)m;

	if (e == 0)
		h->fill(h, tunnel_find(m->core, str_of(h->r.name)));
	else
		manage_end(m, e);
}

static struct manage_there *manage_there_new(struct core *c, const struct manage_asker *by,
					     struct str name)
{
	struct manage_there *h = manage_new(c, by, sizeof *h);

	if (h == NULL)
		return NULL;
	h->m.next = manage_there_next;
	h->m.clean = manage_there_clean;
	h->act = ACCESS_READ;
	if (str_copy(h->name, sizeof h->name, name) != 0)
		h->name[0] = '\0'; /* no tunnel has such a name */
	return h;
}

/* ---- sessions ---- */

static void manage_tell_session(const struct serving *serving, struct core_session_info *out)
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

static int manage_session_order(const void *a, const void *b)
{
	const struct core_session_info *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static void manage_fill_sessions(struct manage_there *h, struct tunnel *t)
{
	size_t n = t == NULL ? 0 : MIN(t->n_serving, (size_t)MANAGE_PAGE_MAX), i = 0;

	if (n > 0 && (h->sessions = calloc(n, sizeof *h->sessions)) == NULL) {
		manage_end(&h->m, ERR_NOMEM);
		return;
	}
	if (n > 0) {
		LIST_FOR_EACH (link, &t->serving)
			if (i < n)
				manage_tell_session(CONTAINER_OF(link, struct serving, of_tunnel),
						    &h->sessions[i++]);
		qsort(h->sessions, n, sizeof *h->sessions, manage_session_order);
		h->m.answer.more = t->n_serving > n;
	}
	h->m.answer.sessions = h->sessions;
	h->m.answer.n = n;
	manage_end(&h->m, 0);
}

struct manage *manage_sessions(struct core *c, const struct manage_asker *by, struct str name)
{
	struct manage_there *h = manage_there_new(c, by, name);

	if (h != NULL)
		h->fill = manage_fill_sessions;
	return manage_begin((struct manage *)h, manage_there_run);
}

/* ---- visitors ---- */

static void manage_tell_visitor(const struct core_visitor *v, struct core_visitor_info *out)
{
	*out = (struct core_visitor_info){.peer = v->visit->visitor,
					  .ingress = v->visit->ingress,
					  .since_ms = v->since_ms};
	memcpy(out->host, v->visit->host, sizeof out->host);
}

static void manage_fill_visitors(struct manage_there *h, struct tunnel *t)
{
	size_t n = 0;

	h->visitors = calloc(MANAGE_PAGE_MAX, sizeof *h->visitors);
	if (h->visitors == NULL) {
		manage_end(&h->m, ERR_NOMEM);
		return;
	}
	LIST_FOR_EACH (link, &h->m.core->visitors) {
		const struct core_visitor *v = CONTAINER_OF(link, struct core_visitor, link);

		if (strcmp(v->visit->tunnel, h->r.name) != 0)
			continue;
		if (n == MANAGE_PAGE_MAX) {
			h->m.answer.more = true;
			break;
		}
		manage_tell_visitor(v, &h->visitors[n++]);
	}
	h->m.answer.visitors = h->visitors;
	h->m.answer.n = n;
	manage_end(&h->m, 0);
}

struct manage *manage_visitors(struct core *c, const struct manage_asker *by, struct str name)
{
	struct manage_there *h = manage_there_new(c, by, name);

	if (h != NULL)
		h->fill = manage_fill_visitors;
	return manage_begin((struct manage *)h, manage_there_run);
}

/* ---- disconnecting ---- */

/* One that the call is about; NULL: there are no more. */
static struct serving *manage_find_serving(struct tunnel *t, uint64_t number)
{
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (number == 0 || s->member->number == number)
			return s;
	}
	return NULL;
}

/* A session that serves others as well keeps those. t: may be NULL; readable until the loop turns.
 * Returns how many. */
static size_t manage_end_sessions(struct tunnel *t, uint64_t number, const char *words)
{
	struct serving *s;
	size_t n = 0;

	while (t != NULL && (s = manage_find_serving(t, number)) != NULL) {
		if (s->member->n_serving > 1)
			tunnel_take_away(s, ERR_DISCONNECTED, words);
		else
			member_expel(s->member, ERR_DISCONNECTED, words);
		n++;
	}
	return n;
}

/* Other nodes are to do the same. Returns by how many sessions they serve it, as far as is known.
 */
static size_t manage_order_disconnect(struct manage_there *h, const char *words)
{
	const struct core_cluster *cluster = &h->m.core->opt.cluster;
	const struct remotes *rs = peer_find(h->m.core, str_of(h->r.name));
	struct core_order o = {.kind = CORE_ORDER_DISCONNECT};

	if (h->session != 0 || cluster->order == NULL)
		return 0; /* a session's number is this node's alone */
	memcpy(o.tunnel, h->r.name, sizeof o.tunnel);
	memcpy(o.account, h->r.account, sizeof o.account);
	str_printf(o.reason, sizeof o.reason, "%s", words);
	cluster->order(cluster->arg, &o);
	return rs != NULL ? peer_count(rs) : 0;
}

void core_on_order(struct core *c, const struct core_order *o)
{
	struct tunnel *t = tunnel_find(c, str_of(o->tunnel));
	size_t n;

	if (o->kind != CORE_ORDER_DISCONNECT || t == NULL || strcmp(t->account, o->account) != 0)
		return;
	n = manage_end_sessions(t, 0, o->reason);
	if (n > 0)
		log_info(c->opt.log, "event=disconnected tunnel=%s account=%s n=%zu elsewhere=yes",
			 o->tunnel, o->account, n);
}

static void manage_fill_disconnect(struct manage_there *h, struct tunnel *t)
{
	bool own = strcmp(h->r.account, h->m.who.account) == 0;
	const char *usual = own ? "disconnected by its owner" : "disconnected by an administrator";
	const char *words = h->words[0] != '\0' ? h->words : usual;

	h->m.answer.n = manage_order_disconnect(h, words);
	h->m.answer.n += manage_end_sessions(t, h->session, words);
	if (h->m.answer.n > 0)
		log_info(h->m.core->opt.log, "event=disconnected tunnel=%s account=%s by=%s n=%zu",
			 h->r.name, h->r.account, h->m.who.account, h->m.answer.n);
	manage_end(&h->m, 0);
}

struct manage *manage_disconnect(struct core *c, const struct manage_asker *by, struct str name,
				 uint64_t session, struct str reason)
{
	struct manage_there *h = manage_there_new(c, by, name);

	if (h != NULL) {
		h->act = ACCESS_CHANGE;
		h->fill = manage_fill_disconnect;
		h->session = session;
		show_line(h->words, sizeof h->words, str_trim(reason));
	}
	return manage_begin((struct manage *)h, manage_there_run);
}

/* ---- agents ---- */

struct manage_seen {
	struct manage m; /* first */
	bool all;
	struct core_agent_info *agents; /* owned */
};

static void manage_seen_clean(struct manage *m)
{
	free(((struct manage_seen *)m)->agents);
}

static int manage_seen_run(struct txn *t, void *arg)
{
	struct manage_seen *s = arg;
	struct access_ask ask = {.act = s->all ? ACCESS_ADMIN : ACCESS_ACCOUNT};

	return manage_access(&s->m, &ask);
}

/* The connected ones first, then those that went last; of equals by their names. */
static int manage_agent_order(const void *a, const void *b)
{
	const struct core_agent_info *x = a, *y = b;
	bool x_here = x->n_sessions > 0, y_here = y->n_sessions > 0;
	int order;

	if (x_here != y_here)
		return x_here ? -1 : 1;
	if (!x_here && x->since_ms != y->since_ms)
		return x->since_ms > y->since_ms ? -1 : 1;
	order = strcmp(x->account, y->account);
	return order != 0 ? order : strcmp(x->id, y->id);
}

static size_t manage_collect_agents(const struct manage_seen *s, struct core_agent_info *out)
{
	const struct map *agents = &s->m.core->agents;
	size_t n = 0;

	for (struct map_entry *e = map_next(agents, NULL); e != NULL; e = map_next(agents, e)) {
		const struct agent_seen *a = CONTAINER_OF(e, struct agent_seen, entry);

		if (s->all || strcmp(a->info.account, s->m.who.account) == 0)
			out[n++] = a->info;
	}
	return n;
}

static void manage_seen_next(struct manage *m, int e)
{
	struct manage_seen *s = (struct manage_seen *)m;
	size_t n;

	if (e == 0 && (s->agents = calloc(m->core->agents.n + 1, sizeof *s->agents)) == NULL)
		e = ERR_NOMEM;
	if (e == 0) {
		n = manage_collect_agents(s, s->agents);
		qsort(s->agents, n, sizeof *s->agents, manage_agent_order);
		m->answer.more = n > MANAGE_AGENTS_MAX;
		m->answer.n = MIN(n, (size_t)MANAGE_AGENTS_MAX);
		m->answer.agents = s->agents;
	}
	manage_end(m, e);
}

struct manage *manage_agents(struct core *c, const struct manage_asker *by, bool all)
{
	struct manage_seen *s = manage_new(c, by, sizeof *s);

	if (s != NULL) {
		s->m.next = manage_seen_next;
		s->m.clean = manage_seen_clean;
		s->all = all;
	}
	return manage_begin((struct manage *)s, manage_seen_run);
}
