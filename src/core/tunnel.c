/*
 * The registry: which sessions serve a tunnel on this node, and the choice of one for a visitor.
 *
 * A tunnel is here only while somebody serves it, and it is what its record says: whoever hears of
 * a change tells tunnel_on_record(). A session that goes takes its own place with it and nobody
 * else's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "core/settings.h"

/* A session that has lately moved so much more than another is busy with something large. */
#define BULK_BYTES (2 * 1024 * 1024)

/* ---- who serves ---- */

static void tunnel_log(const struct member *m, const char *event, const char *name)
{
	log_info(m->core->opt.log, "event=%s tunnel=%s account=%s agent=%s epoch=%llu session=%llu",
		 event, name, m->grant->who.account, m->opt.agent.id,
		 (unsigned long long)m->opt.agent.epoch, (unsigned long long)m->number);
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

void tunnel_leave(struct serving *s, const char *event)
{
	struct tunnel *t = s->tunnel;

	tunnel_log(s->member, event, t->name);
	list_del(&s->of_tunnel);
	list_del(&s->of_member);
	s->member->n_serving--;
	if (--t->n_serving == 0)
		tunnel_free(t);
	free(s);
}

void tunnel_take_away(struct serving *s, int code, const char *reason)
{
	struct member *m = s->member;
	struct tunnel *t = s->tunnel;

	tunnel_leave(s, "taken");
	m->opt.owner->detached(m->opt.arg, t->name, code, reason);
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
		old->opt.owner->detached(old->opt.arg, t->name, ERR_REPLACED, reason);
	}
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
	if (t->n_serving >= t->sessions_max && tunnel_find_ghost(t, m) == NULL) {
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

static bool tunnel_has_alt_name(const struct record_tunnel *r, const char *host)
{
	for (size_t i = 0; i < r->n_alt_names; i++)
		if (strcmp(r->alt_names[i], host) == 0)
			return true;
	return false;
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
	memcpy(t->account, r->account, sizeof t->account);
	LIST_FOR_EACH_SAFE (link, &t->hosts) {
		struct tunnel_host *h = CONTAINER_OF(link, struct tunnel_host, link);

		if (!tunnel_has_alt_name(r, h->host))
			tunnel_drop_host(h);
	}
	for (size_t i = 0; i < r->n_alt_names; i++)
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

/* A record that is older than what we know says nothing. */
static void tunnel_follow(struct tunnel *t, const struct record_tunnel *r, uint64_t version)
{
	if (version <= t->settings->version || tunnel_set(t, r, version) != 0)
		return;
	tunnel_oust_strangers(t);
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

int tunnel_serve(struct member *m, const struct record_tunnel *r, uint64_t version,
		 char reason[CORE_REASON_TEXT])
{
	struct core *c = m->core;
	struct tunnel *t = core_tunnel(c, str_of(r->name));
	struct serving *s = NULL;
	int e;

	if (t != NULL)
		tunnel_follow(t, r, version);
	t = core_tunnel(c, str_of(r->name)); /* strangers may have been its last */
	if (t != NULL && tunnel_find_serving(m, str_of(r->name)) != NULL)
		return 0;
	if (t != NULL && (e = tunnel_admit(t, m, reason)) != 0)
		return e;
	if ((s = calloc(1, sizeof *s)) == NULL ||
	    (t == NULL && tunnel_new(c, r, version, &t) != 0)) {
		free(s);
		core_store_reason(ERR_NOMEM, reason);
		return ERR_NOMEM;
	}
	s->member = m;
	s->tunnel = t;
	s->place = ++c->places;
	list_unshift(&t->serving, &s->of_tunnel);
	list_push(&m->serving, &s->of_member);
	t->n_serving++;
	m->n_serving++;
	tunnel_log(m, "attach", t->name);
	tunnel_oust_ghosts(t, m);
	return 0;
}

/* ---- rights of the sessions ---- */

/*
 * May this member do that for this tunnel? Asked for each candidate of each dial, so it is kept
 * cheap: the clock is read only for credentials that end.
 */
static int tunnel_ask(const struct tunnel *t, const struct member *m, enum access_act act,
		      char reason[CORE_REASON_TEXT])
{
	const struct access_who *who = &m->grant->who;
	struct access_ask ask = {.act = act, .tunnel = t->entry.key, .kind = t->settings->kind};

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

static bool tunnel_is_freer(const struct session *a, const struct session *b)
{
	uint64_t bulk_a = session_lately(a) / BULK_BYTES, bulk_b = session_lately(b) / BULK_BYTES;

	return bulk_a != bulk_b ? bulk_a < bulk_b : a->n_streams < b->n_streams;
}

/* Is a better than the best of those that stood before it in the list? */
static bool tunnel_is_better(const struct tunnel *t, const struct serving *a,
			     const struct serving *best)
{
	switch (t->policy) {
	case TUNNEL_ROUND_ROBIN: return false; /* they stand in order of their last dial */
	case TUNNEL_FAILOVER: return a->member->number < best->member->number;
	default: return tunnel_is_freer(a->member->opt.session, best->member->opt.session);
	}
}

/*
 * The session for a visitor, of those that this dial has not tried; of equals the one that was
 * dialled longest ago. Whoever may not be opened any more is passed over.
 */
static struct serving *tunnel_best(const struct tunnel *t, uint64_t dial)
{
	char reason[CORE_REASON_TEXT];
	struct serving *best = NULL;

	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (s->tried == dial || s->member->opt.session->is_draining)
			continue;
		if (best != NULL && !tunnel_is_better(t, s, best))
			continue;
		if (tunnel_ask(t, s->member, ACCESS_OPEN, reason) == 0)
			best = s;
	}
	return best;
}

uint64_t tunnel_choose(const struct tunnel *t)
{
	const struct serving *s = tunnel_best(t, t->dials + 1);

	return s == NULL ? 0 : s->place;
}

int tunnel_dial(struct tunnel *t, struct visit *visit, uint64_t *place, struct wire **out)
{
	int e, why = ERR_NOSESSION;
	uint64_t dial = ++t->dials;
	struct serving *s;

	memcpy(visit->tunnel, t->name, sizeof visit->tunnel);
	while ((s = tunnel_best(t, dial)) != NULL) {
		s->tried = dial;
		e = session_open(s->member->opt.session, visit, out);
		if (e == 0) {
			list_del(&s->of_tunnel);
			list_push(&t->serving, &s->of_tunnel);
			*place = s->place;
			return 0;
		}
		if (e == ERR_LIMIT)
			why = ERR_LIMIT;
		else if (e != ERR_DRAIN)
			return e;
	}
	return why;
}
