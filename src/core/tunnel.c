/*
 * The registry: which sessions serve a tunnel on this node.
 *
 * A tunnel is here only while somebody serves it, and it is what its record says: whoever hears of
 * a change tells tunnel_on_record(). A session that goes takes its own place with it and nobody
 * else's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/place.h"
#include "core/settings.h"

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
	struct tunnel *t = core_tunnel(m->core, name);

	if (t == NULL)
		return NULL;
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (s->member == m)
			return s;
	}
	return NULL;
}

static void tunnel_drop_host(struct tunnel_host *h)
{
	map_del(&h->tunnel->core->hosts, &h->entry);
	list_del(&h->link);
	free(h);
}

/* Nobody serves it any more. Somebody may hold it, and ask for its settings, until the loop turns.
 */
static void tunnel_free(struct tunnel *t)
{
	struct core *c = t->core;

	while (!list_empty(&t->hosts))
		tunnel_drop_host(CONTAINER_OF(t->hosts.next, struct tunnel_host, link));
	map_del(&c->tunnels, &t->entry);
	settings_unref(c->ev, t->settings);
	ev_free_later(c->ev, t);
}

/* One more session works, or one less. */
static void tunnel_count_up(struct tunnel *t, bool up)
{
	t->n_up += up ? 1 : (size_t)-1;
	if (t->n_up == (up ? 1 : 0))
		place_on_served(t->core, t->name, up);
}

void tunnel_leave(struct serving *s, const char *event)
{
	struct member *m = s->member;
	struct tunnel *t = s->tunnel;
	bool was_full = t->n_serving >= t->sessions_max;

	tunnel_log_serving(s, event);
	list_del(&s->of_tunnel);
	list_del(&s->of_member);
	if (!s->down)
		tunnel_count_up(t, false);
	if (was_full)
		place_on_room(t->core, t->name);
	if (m->n_serving-- == CORE_TUNNELS_PER_SESSION)
		offer_look(m);
	if (--t->n_serving == 0) {
		if (t->temporary)
			temporary_left(t->core, t->name, t->settings->version);
		tunnel_free(t);
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

/* The older processes of this agent lose the tunnel; their owners may close them while told. */
static void tunnel_oust_ghosts(struct tunnel *t, const struct member *m)
{
	char reason[CORE_REASON_TEXT];
	struct serving *ghost;

	str_printf(reason, sizeof reason,
		   "another karez with the same name of agent has taken over \"%s\"", t->name);
	while ((ghost = tunnel_find_ghost(t, m)) != NULL) {
		struct member *old = ghost->member;

		tunnel_leave(ghost, "replaced");
		old->opt.owner->detached(old->opt.arg, t->name, ERR_REPLACED, reason, 0);
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

	if (t->n_serving <= t->sessions_max || (s = tunnel_find_silent(t, m)) == NULL)
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
	if (strcmp(t->account, m->grant->who.account) != 0) {
		str_printf(reason, CORE_REASON_TEXT,
			   "the name \"%s\" is taken by somebody else; choose another with --name",
			   t->name);
		return ERR_EXISTS;
	}
	if (tunnel_has_newer(t, m)) {
		str_printf(reason, CORE_REASON_TEXT,
			   "a newer karez with the same name of agent serves \"%s\" already",
			   t->name);
		return ERR_REPLACED;
	}
	if (t->n_serving >= t->sessions_max && tunnel_find_ghost(t, m) == NULL &&
	    tunnel_find_silent(t, m) == NULL) {
		tunnel_rouse(t);
		str_printf(reason, CORE_REASON_TEXT,
			   "%zu sessions serve this tunnel already, which is its limit (%zu); end "
			   "one of them first, or raise the tunnel's limit of sessions",
			   t->n_serving, t->sessions_max);
		return ERR_LIMIT;
	}
	return 0;
}

/* ---- the record ---- */

/*
 * A host that two tunnels claim goes to the later record: whoever proves it takes it out of the
 * other's record with the same stroke, so the earlier one is out of date.
 */
static void tunnel_add_host(struct tunnel *t, const char *host)
{
	struct map_entry *old = map_get(&t->core->hosts, str_of(host));
	struct tunnel_host *h;

	if (old != NULL) {
		struct tunnel_host *theirs = CONTAINER_OF(old, struct tunnel_host, entry);

		if (theirs->tunnel == t || theirs->tunnel->settings->version > t->settings->version)
			return;
		tunnel_drop_host(theirs);
	}
	if ((h = calloc(1, sizeof *h)) == NULL)
		return; /* its visitors are told that nobody serves it */
	h->tunnel = t;
	str_printf(h->host, sizeof h->host, "%s", host);
	h->entry.key = str_of(h->host);
	if (map_put(&t->core->hosts, &h->entry) != 0) {
		free(h);
		return;
	}
	list_push(&t->hosts, &h->link);
}

/* Make a tunnel what a record says. Returns 0 or, with nothing changed, ERR_NOMEM. */
static int tunnel_set(struct tunnel *t, const struct record_tunnel *r, uint64_t version)
{
	struct tunnel_settings *settings;
	int e = settings_new(r, version, &settings);

	if (e != 0)
		return e;
	settings_unref(t->core->ev, t->settings);
	t->settings = settings;
	t->policy = r->policy;
	t->sessions_max = r->sessions_max; /* those who serve already stay */
	t->port = r->port;
	t->temporary = r->temporary;
	memcpy(t->account, r->account, sizeof t->account);
	LIST_FOR_EACH_SAFE (link, &t->hosts) {
		struct tunnel_host *h = CONTAINER_OF(link, struct tunnel_host, link);

		if (r->kind != TUNNEL_HTTP || !record_tunnel_has_host(r, h->host))
			tunnel_drop_host(h);
	}
	for (size_t i = 0; i < r->n_alt_names && r->kind == TUNNEL_HTTP; i++)
		tunnel_add_host(t, r->alt_names[i]);
	return 0;
}

static void tunnel_take_all(struct tunnel *t, int code, const char *reason)
{
	while (!list_empty(&t->serving))
		tunnel_take_away(CONTAINER_OF(t->serving.next, struct serving, of_tunnel), code,
				 reason);
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
}

/* A record that is older than what we know says nothing. */
static void tunnel_follow(struct tunnel *t, const struct record_tunnel *r, uint64_t version)
{
	if (version <= t->settings->version || tunnel_set(t, r, version) != 0)
		return;
	tunnel_oust_strangers(t);
	tunnel_follow_agents(t, r);
}

void tunnel_on_record(struct core *c, const struct store_record *rec)
{
	struct tunnel *t = core_tunnel(c, rec->key);
	struct record_tunnel r;

	if (t == NULL)
		return;
	if (rec->version == 0)
		tunnel_take_all(t, ERR_DELETED, "the tunnel has been deleted");
	else if (rec->version <= t->settings->version ||
		 record_read_tunnel(rec->key, rec->value, &r) != 0)
		; /* what we know is better */
	else if (!r.enabled)
		tunnel_take_all(t, ERR_DISABLED,
				"the tunnel has been switched off by its owner or an "
				"administrator");
	else
		tunnel_follow(t, &r, rec->version);
}

static int tunnel_new(struct core *c, const struct record_tunnel *r, uint64_t version,
		      struct tunnel **out)
{
	struct tunnel *t = calloc(1, sizeof *t);
	int e = ERR_NOMEM;

	if (t == NULL)
		goto out;
	t->core = c;
	list_init(&t->serving);
	list_init(&t->hosts);
	if ((e = str_copy(t->name, sizeof t->name, str_of(r->name))) != 0)
		goto out;
	t->entry.key = str_of(t->name);
	if ((e = map_put(&c->tunnels, &t->entry)) != 0)
		goto out;
	if ((e = tunnel_set(t, r, version)) != 0) {
		map_del(&c->tunnels, &t->entry);
		goto out;
	}
	refresh_add(c, RECORD_TUNNEL, t->entry.key);
	MOVE(*out, t);
out:
	free(t);
	return e;
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

	s->tunnel = t;
	s->place = ++t->core->place_number;
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
	struct tunnel *t = core_tunnel(c, str_of(r->name));
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
	t = core_tunnel(c, str_of(r->name)); /* others may have been its last */
	if (t != NULL && (e = tunnel_admit(t, m, reason)) != 0)
		return e;
	if ((s = calloc(1, sizeof *s)) == NULL ||
	    (t == NULL && tunnel_new(c, r, version, &t) != 0)) {
		free(s);
		core_store_reason(ERR_NOMEM, reason);
		return ERR_NOMEM;
	}
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

/* ---- visitors ---- */

struct tunnel *core_tunnel(struct core *c, struct str name)
{
	struct map_entry *entry = map_get(&c->tunnels, name);

	return entry == NULL ? NULL : CONTAINER_OF(entry, struct tunnel, entry);
}

struct tunnel *core_tunnel_at(struct core *c, struct str host)
{
	struct map_entry *entry = map_get(&c->hosts, host);

	return entry == NULL ? NULL : CONTAINER_OF(entry, struct tunnel_host, entry)->tunnel;
}

const char *tunnel_name(const struct tunnel *t)
{
	return t->name;
}

const struct tunnel_settings *tunnel_settings(const struct tunnel *t)
{
	return t->settings;
}

void tunnel_loop_mark(const struct tunnel *t, char out[17])
{
	uint64_t mark = siphash(t->core->loop_key, t->name, strlen(t->name));

	str_printf(out, 17, "%016llx", (unsigned long long)mark);
}
