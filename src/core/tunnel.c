/*
 * The registry: which sessions serve a tunnel on this node.
 *
 * A tunnel is what its record says: whoever hears of a change tells tunnel_on_record(). A session
 * that goes takes its own place with it and nobody else's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"
#include "core/place.h"

/* ---- who serves ---- */

static void tunnel_log(const struct member *m, const char *event, const char *name)
{
	log_info(m->core->opt.log, "event=%s tunnel=%s account=%s agent=%s epoch=%llu session=%llu",
		 event, name, m->grant->who.account, m->opt.agent.id,
		 (unsigned long long)m->opt.agent.epoch, (unsigned long long)m->number);
}

/* What a session takes up or gives up: paced when it does so by a mere offer. */
static void tunnel_log_serving(const struct serving *s, const char *event)
{
	const struct member *m = s->member;
	struct owner *o = m->grant->owner;

	if (!s->assigned || log_pace_take(&o->offer_pace, m->core->ev, m->core->opt.log))
		tunnel_log(m, event, s->tunnel->name);
}

struct serving *tunnel_find_serving(struct member *m, struct str name)
{
	struct tunnel *t = tunnel_find(m->core, name);

	if (t == NULL)
		return NULL;
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (s->member == m)
			return s;
	}
	return NULL;
}

/* One more session works, or one less. */
static void tunnel_count_up(struct tunnel *t, bool up)
{
	t->n_up += up ? 1 : (size_t)-1;
	if (t->n_up == (up ? 1 : 0))
		place_on_served(t->core, t->name);
	peer_tell_changed(t);
}

/* The sessions that serve it, here and elsewhere. */
static size_t tunnel_n_all(const struct tunnel *t)
{
	const struct remotes *rs = peer_find(t->core, t->entry.key);

	return t->n_serving + (rs != NULL ? peer_count(rs) : 0);
}

/* The same without those elsewhere that a member takes the place of. */
static size_t tunnel_n_for(const struct tunnel *t, const struct member *m)
{
	const struct remotes *rs = peer_find(t->core, t->entry.key);

	return t->n_serving + (rs != NULL ? peer_count_others(rs, m) : 0);
}

void tunnel_leave(struct serving *s, const char *event)
{
	struct member *m = s->member;
	struct tunnel *t = s->tunnel;
	bool was_full = tunnel_n_all(t) >= t->sessions_max;

	tunnel_log_serving(s, event);
	list_del(&s->of_tunnel);
	list_del(&s->of_member);
	if (!s->down)
		tunnel_count_up(t, false);
	if (was_full)
		place_on_room(t->core, t->name);
	if (m->n_serving-- == CORE_TUNNELS_PER_SESSION)
		offer_look(m);
	peer_tell_changed(t);
	if (--t->n_serving == 0) {
		if (t->temporary)
			temporary_left(t->core, t->name, t->settings->version);
		tunnel_settle(t);
	}
	free(s);
}

void tunnel_take_away(struct serving *s, int code, const char *reason)
{
	struct member *m = s->member;
	struct tunnel *t = s->tunnel;
	uint64_t place = s->place, drain_ms = code == ERR_REPLACED ? t->settings->drain_ms : 0;

	tunnel_leave(s, "taken");
	visitor_leave_place(t->core, place, drain_ms);
	m->opt.owner->detached(m->opt.arg, t->name, code, reason, drain_ms);
}

void tunnel_set_health(struct serving *s, bool up)
{
	struct member *m = s->member;

	if (s->down == !up)
		return;
	s->down = !up;
	if (log_pace_take(&m->grant->owner->health_pace, m->core->ev, m->core->opt.log))
		tunnel_log(m, up ? "target-up" : "target-down", s->tunnel->name);
	tunnel_count_up(s->tunnel, up);
}

static bool tunnel_is_same_agent(const struct member *a, const struct member *b)
{
	return a->grant->owner == b->grant->owner && strcmp(a->opt.agent.id, b->opt.agent.id) == 0;
}

/* A session of an older process of the same agent, NULL when there is none. */
static struct serving *tunnel_find_ghost(struct tunnel *t, const struct member *m)
{
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (tunnel_is_same_agent(s->member, m) &&
		    s->member->opt.agent.epoch < m->opt.agent.epoch)
			return s;
	}
	return NULL;
}

static bool tunnel_has_newer(const struct tunnel *t, const struct member *m)
{
	LIST_FOR_EACH (link, &t->serving) {
		const struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (tunnel_is_same_agent(s->member, m) &&
		    s->member->opt.agent.epoch > m->opt.agent.epoch)
			return true;
	}
	return false;
}

/* Its owner may close it while it is told. */
static void tunnel_oust_ghost(struct serving *ghost)
{
	struct member *old = ghost->member;
	struct tunnel *t = ghost->tunnel;
	char reason[CORE_REASON_TEXT];

	str_printf(reason, sizeof reason,
		   "another karez with the same name of agent has taken over \"%s\"", t->name);
	tunnel_leave(ghost, "replaced");
	old->opt.owner->detached(old->opt.arg, t->name, ERR_REPLACED, reason, 0);
}

/* The older processes of this agent lose the tunnel. */
static void tunnel_oust_ghosts(struct tunnel *t, const struct member *m)
{
	struct serving *ghost;

	while ((ghost = tunnel_find_ghost(t, m)) != NULL)
		tunnel_oust_ghost(ghost);
}

/* The session that a process of the same agent elsewhere takes the place of; NULL: none. */
static struct serving *tunnel_find_older(struct tunnel *t, const struct node_entry_agent *a)
{
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (s->member->agent_number == a->agent && s->member->opt.agent.epoch < a->epoch)
			return s;
	}
	return NULL;
}

/* One of its connections is somewhere else now: what is here lives no longer, or says so. */
static void tunnel_rouse_moved(struct tunnel *t, const struct node_entry_agent *a)
{
	LIST_FOR_EACH (link, &t->serving) {
		struct member *m = CONTAINER_OF(link, struct serving, of_tunnel)->member;

		if (m->agent_number == a->agent && m->opt.agent.epoch == a->epoch &&
		    (a->carriers >> (m->opt.agent.carrier & 63) & 1) != 0)
			member_rouse(m);
	}
}

void tunnel_on_elsewhere(struct tunnel *t, const struct node_entry *entry)
{
	struct serving *s;

	/* t is readable until the loop turns, and its list is empty when it has gone */
	for (unsigned i = 0; i < entry->n_agents; i++) {
		while ((s = tunnel_find_older(t, &entry->agents[i])) != NULL)
			tunnel_oust_ghost(s);
		tunnel_rouse_moved(t, &entry->agents[i]);
	}
}

/* The session that owes an answer for longest and gives way to m, NULL when there is none. */
static struct serving *tunnel_find_silent(struct tunnel *t, const struct member *m)
{
	struct serving *silent = NULL;

	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (s->member != m && member_is_ghost(s->member) &&
		    (silent == NULL ||
		     s->member->opt.session->heard_ms < silent->member->opt.session->heard_ms))
			silent = s;
	}
	return silent;
}

/* One more than may serve it does: m was admitted in the place of one that is silent. */
static void tunnel_oust_silent(struct tunnel *t, const struct member *m)
{
	struct serving *s;

	if (tunnel_n_for(t, m) <= t->sessions_max || (s = tunnel_find_silent(t, m)) == NULL)
		return;
	tunnel_take_away(s, ERR_REPLACED,
			 "this connection did not answer any more; another one of its account has "
			 "taken over");
}

/* It has as many sessions as may be: those that are silent have to show that they live. */
static void tunnel_rouse(struct tunnel *t)
{
	LIST_FOR_EACH (link, &t->serving)
		member_rouse(CONTAINER_OF(link, struct serving, of_tunnel)->member);
}

static int tunnel_admit(struct tunnel *t, struct member *m, char reason[CORE_REASON_TEXT])
{
	const struct remotes *rs = peer_find(t->core, t->entry.key);
	size_t n = tunnel_n_for(t, m);

	if (strcmp(t->account, m->grant->who.account) != 0) {
		str_printf(reason, CORE_REASON_TEXT,
			   "the name \"%s\" is taken by somebody else; choose another with --name",
			   t->name);
		return ERR_EXISTS;
	}
	if (tunnel_has_newer(t, m) || (rs != NULL && peer_has_newer(rs, m))) {
		str_printf(reason, CORE_REASON_TEXT,
			   "a newer karez with the same name of agent serves \"%s\" already",
			   t->name);
		return ERR_REPLACED;
	}
	if (n >= t->sessions_max && tunnel_find_ghost(t, m) == NULL &&
	    tunnel_find_silent(t, m) == NULL) {
		tunnel_rouse(t);
		str_printf(reason, CORE_REASON_TEXT,
			   "%zu sessions serve this tunnel already, which is its limit (%zu); end "
			   "one of them first, or raise the tunnel's limit of sessions",
			   n, t->sessions_max);
		return ERR_LIMIT;
	}
	return 0;
}

/* ---- the record ---- */

/* It must not be served any more, here or elsewhere. */
static void tunnel_take_all(struct tunnel *t, int code, const char *reason)
{
	struct core *c = t->core;

	while (!list_empty(&t->serving))
		tunnel_take_away(CONTAINER_OF(t->serving.next, struct serving, of_tunnel), code,
				 reason);
	if (tunnel_find(c, t->entry.key) == t) /* another node serves it still */
		tunnel_free(t);
}

/* A name that was dropped, and made anew by others before we heard of either. */
static void tunnel_oust_strangers(struct tunnel *t)
{
	struct serving *s;

	while (!list_empty(&t->serving)) {
		s = CONTAINER_OF(t->serving.next, struct serving, of_tunnel);
		if (strcmp(s->member->grant->who.account, t->account) == 0)
			return; /* they are all of one account */
		tunnel_take_away(s, ERR_DELETED, "the tunnel has been deleted");
	}
}

/* The place of an agent among those that the record names, r->n_agents if it is none of them. */
static size_t tunnel_rank(const struct record_tunnel *r, const struct member *m)
{
	size_t i = 0;

	while (i < r->n_agents && strcmp(r->agents[i], m->opt.agent.id) != 0)
		i++;
	return i;
}

/* Is it to be served by this member no longer? reason: filled if so. */
static bool tunnel_is_foreign(const struct serving *s, const struct record_tunnel *r,
			      char reason[CORE_REASON_TEXT])
{
	struct offer_terms terms = {r->service, r->agents, r->n_agents};
	bool named = r->n_agents == 0 || tunnel_rank(r, s->member) < r->n_agents;

	if (!named)
		str_printf(reason, CORE_REASON_TEXT, "\"%s\" has been given to other agents",
			   r->name);
	else if (!s->assigned && s->kind != r->kind)
		str_printf(reason, CORE_REASON_TEXT, "\"%s\" is a tunnel of another kind now",
			   r->name);
	else if (s->assigned && !offer_fits(s->member, &terms))
		str_printf(reason, CORE_REASON_TEXT,
			   "\"%s\" is for another service now, which this agent does not offer",
			   r->name);
	else
		return false;
	return true;
}

static struct serving *tunnel_find_foreign(struct tunnel *t, const struct record_tunnel *r,
					   char reason[CORE_REASON_TEXT])
{
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (tunnel_is_foreign(s, r, reason))
			return s;
	}
	return NULL;
}

/* The record's agents have changed: others lose it, those who stay stand in a new order. */
static void tunnel_follow_agents(struct tunnel *t, const struct record_tunnel *r)
{
	char reason[CORE_REASON_TEXT];
	struct serving *s;

	while ((s = tunnel_find_foreign(t, r, reason)) != NULL)
		tunnel_take_away(s, ERR_REPLACED, reason);
	LIST_FOR_EACH (link, &t->serving) {
		s = CONTAINER_OF(link, struct serving, of_tunnel);
		s->priority = r->n_agents > 0 ? (unsigned)tunnel_rank(r, s->member) : s->wished;
	}
	peer_tell_changed(t);
}

static void tunnel_follow(struct tunnel *t, const struct record_tunnel *r, uint64_t version)
{
	if (!refresh_is_news(t->core, version, t->settings->version) ||
	    tunnel_set(t, r, version) != 0)
		return;
	tunnel_oust_strangers(t);
	tunnel_follow_agents(t, r);
}

void tunnel_on_record(struct core *c, const struct store_record *rec)
{
	struct tunnel *t = tunnel_find(c, rec->key);
	struct record_tunnel r;
	int e;

	if (t == NULL)
		return;
	if (rec->version == 0)
		tunnel_take_all(t, ERR_DELETED, "the tunnel has been deleted");
	else if (!refresh_is_news(c, rec->version, t->settings->version))
		; /* what we know is better */
	else if ((e = record_read_tunnel(rec->key, rec->value, &r)) != 0)
		refresh_unread(c, e);
	else if (!r.enabled)
		tunnel_take_all(t, ERR_DISABLED,
				"the tunnel has been switched off by its owner or an "
				"administrator");
	else
		tunnel_follow(t, &r, rec->version);
}

/* The whole session, not this tunnel alone: a stock SSH client comes again only so. */
void tunnel_on_lost(struct core *c, const struct store_record *rec)
{
	struct tunnel *t = str_eq(rec->kind, RECORD_TUNNEL) ? tunnel_find(c, rec->key) : NULL;
	char reason[CORE_REASON_TEXT];

	if (t == NULL)
		return;
	log_warn(c->opt.log, "event=record-lost kind=tunnel tunnel=%s", t->name);
	str_printf(reason, sizeof reason, "the server's store has lost the tunnel \"%s\"", t->name);
	while (!list_empty(&t->serving))
		member_expel(CONTAINER_OF(t->serving.next, struct serving, of_tunnel)->member,
			     ERR_IO, reason);
}

/* "a, b and 3 more": who may serve it, for a sentence. */
static int tunnel_not_named(const struct record_tunnel *r, const struct member *m,
			    char reason[CORE_REASON_TEXT])
{
	char names[CORE_REASON_TEXT / 2];
	size_t at = 0, i;

	for (i = 0; i < r->n_agents && at + strlen(r->agents[i]) + 16 < sizeof names; i++)
		at += str_printf(names + at, sizeof names - at, "%s%s", i > 0 ? ", " : "",
				 r->agents[i]);
	if (i < r->n_agents)
		str_printf(names + at, sizeof names - at, " and %zu more", r->n_agents - i);
	str_printf(reason, CORE_REASON_TEXT,
		   "this tunnel is served by the %s %s; this one calls itself %s",
		   r->n_agents == 1 ? "agent" : "agents", names, m->opt.agent.id);
	return ERR_DENIED;
}

/* As what does it serve the tunnel? */
static void tunnel_set_role(struct serving *s, const struct record_tunnel *r,
			    const struct tunnel_serve_opt *opt)
{
	s->kind = r->kind;
	s->assigned = opt->assigned;
	s->wished = opt->priority;
	s->priority = r->n_agents > 0 ? (unsigned)tunnel_rank(r, s->member) : s->wished;
}

static void tunnel_add(struct tunnel *t, struct serving *s)
{
	struct member *m = s->member;

	list_del(&t->unserved);
	s->tunnel = t;
	s->place = peer_place(t->core, NULL);
	list_unshift(&t->serving, &s->of_tunnel);
	list_push(&m->serving, &s->of_member);
	t->n_serving++;
	m->n_serving++;
	tunnel_count_up(t, true);
	tunnel_log_serving(s, s->assigned ? "assign" : "attach");
	tunnel_oust_ghosts(t, m);
	tunnel_oust_silent(t, m);
}

int tunnel_serve(struct member *m, const struct record_tunnel *r, uint64_t version,
		 const struct tunnel_serve_opt *opt, char reason[CORE_REASON_TEXT])
{
	struct core *c = m->core;
	struct tunnel *t = tunnel_find(c, str_of(r->name));
	struct serving *s = tunnel_find_serving(m, str_of(r->name));
	int e;

	if (r->n_agents > 0 && tunnel_rank(r, m) == r->n_agents)
		return tunnel_not_named(r, m, reason);
	/* first, so that what follows does not take it away from this one */
	if (s != NULL && (s->assigned || !opt->assigned))
		tunnel_set_role(s, r, opt);
	if (t != NULL)
		tunnel_follow(t, r, version);
	if (s != NULL)
		return 0;
	t = tunnel_make(c, r, version); /* others may have been its last */
	if (t != NULL && (e = tunnel_admit(t, m, reason)) != 0)
		return e;
	if ((s = calloc(1, sizeof *s)) == NULL ||
	    (t == NULL && tunnel_new(c, r, version, &t) != 0)) {
		free(s);
		core_store_reason(ERR_NOMEM, reason);
		return ERR_NOMEM;
	}
	if (t->n_serving == 0)
		refresh_add(c, RECORD_TUNNEL, t->entry.key);
	s->member = m;
	tunnel_set_role(s, r, opt);
	tunnel_add(t, s);
	return 0;
}

/* ---- rights of the sessions ---- */

int tunnel_ask(const struct tunnel *t, const struct member *m, enum access_act act,
	       char reason[CORE_REASON_TEXT])
{
	const struct access_who *who = &m->grant->who;
	struct access_ask ask = {.act = act,
				 .tunnel = t->entry.key,
				 .kind = t->settings->kind,
				 .port = t->port};

	if (who->scope.until_ms != 0)
		ask.now_ms = ev_wall_ms(t->core->ev);
	return access_decide(who, &ask, reason);
}

/* A tunnel of this member that it may not serve any more, NULL when there is none. */
static struct serving *tunnel_find_denied(struct member *m, char reason[CORE_REASON_TEXT])
{
	LIST_FOR_EACH (link, &m->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_member);

		if (tunnel_ask(s->tunnel, m, ACCESS_SERVE, reason) != 0)
			return s;
	}
	return NULL;
}

void tunnel_recheck(struct member *m)
{
	struct core *c = m->core;
	char reason[CORE_REASON_TEXT];
	struct serving *s;

	c->rechecked = m;
	while (c->rechecked == m && (s = tunnel_find_denied(m, reason)) != NULL)
		tunnel_take_away(s, ERR_DENIED, reason);
	if (c->rechecked == m)
		offer_look(m); /* or it may serve more */
	c->rechecked = NULL;
}
