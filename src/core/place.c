/*
 * A tunnel that nobody serves has no place in the registry, but its port must refuse visitors, its
 * names must lead to an alert that is its own, and agents that offer are to be given it: so what is
 * needed for that is kept here, for each tunnel that has a route.
 */
#include "core/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/names.h"
#include "core/peer_internal.h"
#include "core/place_internal.h"

struct place *place_find(struct core *c, struct str name)
{
	struct map_entry *e = map_get(&c->places, name);

	return e == NULL ? NULL : CONTAINER_OF(e, struct place, entry);
}

/* ---- names of tls tunnels ---- */

static void place_drop_name(struct place_name *n)
{
	map_del(&n->place->core->snis, &n->entry);
	list_del(&n->link);
	free(n);
}

/* One that two records claim is the later one's: see tunnel_add_host(). */
static void place_add_name(struct place *p, const char *host)
{
	struct map_entry *old = map_get(&p->core->snis, str_of(host));
	size_t size = strlen(host) + 1;
	struct place_name *n;

	if (old != NULL) {
		struct place_name *theirs = CONTAINER_OF(old, struct place_name, entry);

		if (theirs->place == p || theirs->place->version > p->version)
			return;
		place_drop_name(theirs);
	}
	if ((n = calloc(1, sizeof *n + size)) == NULL)
		return; /* its visitors are told that nobody has the name */
	n->place = p;
	memcpy(n->host, host, size);
	n->entry.key = str_of(n->host);
	if (map_put(&p->core->snis, &n->entry) != 0) {
		free(n);
		return;
	}
	list_push(&p->names, &n->link);
}

static void place_set_names(struct place *p, const struct record_tunnel *r)
{
	char own[HOSTNAME_MAX + 1];

	while (!list_empty(&p->names))
		place_drop_name(CONTAINER_OF(p->names.next, struct place_name, link));
	if (r == NULL || r->kind != TUNNEL_TLS)
		return;
	str_printf(own, sizeof own, "%s.%s", p->name, p->core->opt.domain);
	place_add_name(p, own);
	for (size_t i = 0; i < r->n_alt_names; i++)
		place_add_name(p, r->alt_names[i]);
}

static const struct place *place_of_name(struct core *c, struct str host)
{
	struct map_entry *e = map_get(&c->snis, host);

	return e == NULL ? NULL : CONTAINER_OF(e, struct place_name, entry)->place;
}

/*
 * A wildcard of somebody's own domain does not reach names under ours, nor one that an http tunnel
 * has by itself.
 */
static const struct place *place_of_wildcard(struct core *c, struct str host)
{
	char wildcard[HOSTNAME_MAX + 3];
	const struct place *p;
	struct str name;
	size_t n;

	if (host.len > HOSTNAME_MAX || hostname_under(host, str_of(c->opt.domain), &name) ||
	    tunnel_find_at(c, host) != NULL)
		return NULL;
	while (hostname_parent(&host)) {
		n = str_printf(wildcard, sizeof wildcard, "*." STR_FMT, STR_ARG(host));
		if ((p = place_of_name(c, (struct str){wildcard, n})) != NULL)
			return p;
	}
	return NULL;
}

enum core_sni core_sni(struct core *c, struct str host, struct str *name)
{
	const struct place *p;

	if (c->snis.n == 0 || names_own(c->opt.domain, c->opt.api_host, host))
		return CORE_SNI_NOBODY;
	p = place_of_name(c, host);
	if (p == NULL)
		p = place_of_wildcard(c, host);
	if (p == NULL)
		return CORE_SNI_NOBODY;
	*name = p->entry.key;
	return p->tls == TUNNEL_TLS_END ? CORE_SNI_END : CORE_SNI_PASS;
}

/* ---- agents that offer ---- */

static bool place_is_for(const struct place *p, struct member *m)
{
	struct offer_terms terms = {p->service, (const char(*)[CORE_AGENT_TEXT])p->agents,
				    p->n_agents};

	return p->enabled && m->offers && !m->expelled &&
	       strcmp(p->account, m->grant->who.account) == 0 && offer_fits(m, &terms) &&
	       tunnel_find_serving(m, p->entry.key) == NULL;
}

/* A member that is to have it and was not asked in this round, NULL when there is none. */
static struct member *place_find_member(const struct place *p, uint64_t round)
{
	struct map_entry *e = map_get(&p->core->owners, str_of(p->account));
	struct owner *o;

	if (e == NULL)
		return NULL;
	o = CONTAINER_OF(e, struct owner, entry);
	LIST_FOR_EACH (of_owner, &o->grants) {
		struct grant *g = CONTAINER_OF(of_owner, struct grant, of_owner);

		LIST_FOR_EACH (of_grant, &g->members) {
			struct member *m = CONTAINER_OF(of_grant, struct member, of_grant);

			if (m->asked != round && place_is_for(p, m))
				return m;
		}
	}
	return NULL;
}

/* Their owners may make any of them leave while they are told, so each look begins anew. */
static void place_offer(struct place *p, const struct record_tunnel *r)
{
	uint64_t round = ++p->core->rounds;
	struct member *m;

	while ((m = place_find_member(p, round)) != NULL) {
		m->asked = round;
		offer_give(m, r, p->version);
	}
}

static int place_read(const struct place *p, struct record_tunnel *out)
{
	return record_read_tunnel(p->entry.key, (struct str){p->record, p->record_len}, out);
}

struct tunnel *place_make_tunnel(struct core *c, struct str name)
{
	const struct place *p = peer_find(c, name) != NULL ? place_find(c, name) : NULL;
	struct record_tunnel r;

	return p != NULL && place_read(p, &r) == 0 ? tunnel_make(c, &r, p->version) : NULL;
}

void place_assign(struct member *m)
{
	struct core *c = m->core;
	struct record_tunnel r;

	if (!m->offers || m->expelled)
		return;
	c->assigning = m;
	offer_withdraw(m);
	for (struct map_entry *e = map_next(&c->places, NULL); e != NULL && c->assigning == m;
	     e = map_next(&c->places, e)) {
		const struct place *p = CONTAINER_OF(e, struct place, entry);

		if (place_is_for(p, m) && place_read(p, &r) == 0)
			offer_give(m, &r, p->version);
	}
	c->assigning = NULL;
}

bool place_keeps(const struct serving *s)
{
	const struct place *p = place_find(s->member->core, s->tunnel->entry.key);
	struct offer_terms terms;

	if (p == NULL)
		return false;
	terms = (struct offer_terms){p->service, (const char(*)[CORE_AGENT_TEXT])p->agents,
				     p->n_agents};
	return offer_fits(s->member, &terms);
}

/* ---- the end of the turn ---- */

static void place_todo(struct place *p)
{
	struct places *l = p->core->placing;

	if (list_linked(&p->todo))
		return;
	list_push(&l->todo, &p->todo);
	ev_task_run(p->core->ev, &l->task);
}

static void place_on_todo(void *arg)
{
	struct places *l = arg;
	struct record_tunnel r;
	struct list *link;

	while ((link = list_pop(&l->todo)) != NULL) {
		struct place *p = CONTAINER_OF(link, struct place, todo);
		bool room = p->room;

		p->room = false;
		place_port_show(p);
		if (room && map_get(&l->core->owners, str_of(p->account)) != NULL &&
		    place_read(p, &r) == 0)
			place_offer(p, &r);
	}
}

/*
 * Visitors are let in at once, but refused only when the turn is over: when a tunnel passes from
 * one session to another, those who are about to be accepted must not be lost in between.
 */
static void place_show(struct place *p)
{
	if (p->served || !p->enabled)
		place_port_show(p);
	else
		place_todo(p);
}

static bool place_is_served(const struct place *p)
{
	const struct tunnel *t = tunnel_find(p->core, p->entry.key);

	return (t != NULL && t->n_up > 0) || peer_is_up(p->core, p->entry.key);
}

void place_on_served(struct core *c, const char *tunnel)
{
	struct place *p = place_find(c, str_of(tunnel));
	bool served;

	if (p == NULL || (served = place_is_served(p)) == p->served)
		return;
	p->served = served;
	place_show(p);
}

void place_on_room(struct core *c, const char *tunnel)
{
	struct place *p = place_find(c, str_of(tunnel));

	if (p == NULL)
		return;
	p->room = true;
	place_todo(p);
}

/* ---- records ---- */

static void place_free(struct place *p)
{
	place_set_names(p, NULL);
	place_port_set(p, 0, "");
	list_del(&p->todo);
	map_del(&p->core->places, &p->entry);
	free(p->record);
	free(p->agents);
	free(p);
}

static int place_new(struct core *c, struct str name, struct place **out)
{
	struct place *p = calloc(1, sizeof *p);
	int e = ERR_NOMEM;

	if (p == NULL)
		return e;
	p->core = c;
	list_init(&p->names);
	if ((e = str_copy(p->name, sizeof p->name, name)) == 0) {
		p->entry.key = str_of(p->name);
		p->served = place_is_served(p);
		e = map_put(&c->places, &p->entry);
	}
	if (e != 0) {
		free(p);
		return e;
	}
	refresh_watch(c);
	*out = p;
	return 0;
}

/* Keep what later offers need. Returns 0 or, with nothing changed, ERR_NOMEM. */
static int place_keep(struct place *p, const struct record_tunnel *r, struct str value)
{
	size_t size = r->n_agents * sizeof r->agents[0];
	char *record = str_dup(value), (*agents)[CORE_AGENT_TEXT] = malloc(MAX(size, 1));

	if (record == NULL || agents == NULL) {
		free(record);
		free(agents);
		return ERR_NOMEM;
	}
	memcpy(agents, r->agents, size);
	free(p->record);
	free(p->agents);
	p->record = record;
	p->record_len = value.len;
	p->agents = agents;
	p->n_agents = r->n_agents;
	return 0;
}

static void place_set(struct place *p, const struct record_tunnel *r, uint64_t version)
{
	if (p->enabled && !r->enabled)
		visitor_leave_tunnel(p->core, p->name);
	p->version = version;
	p->kind = r->kind;
	p->tls = r->tls;
	p->enabled = r->enabled;
	p->temporary = r->temporary;
	memcpy(p->service, r->service, sizeof p->service);
	memcpy(p->account, r->account, sizeof p->account);
	place_set_names(p, r);
	place_port_set(p, r->kind == TUNNEL_TCP ? r->port : 0, r->bind);
	place_offer(p, r);
	place_show(p);
}

void place_on_record(struct core *c, const struct store_record *rec)
{
	struct place *p = place_find(c, rec->key);
	char route[RECORD_ROUTE_TEXT];
	struct record_tunnel r;
	bool is_new = p == NULL;

	if (rec->version == 0 && p != NULL) {
		/* a temporary one goes by itself when its session has given it up; those who are
		 * being served then may finish, as with every other tunnel */
		if (!p->temporary || tunnel_find(c, str_of(p->name)) != NULL)
			visitor_leave_tunnel(c, p->name);
		place_free(p);
	}
	if (rec->version == 0)
		return;
	if (p != NULL && !refresh_is_news(c, rec->version, p->version)) {
		place_port_retry(p); /* another program may have let go of it */
		place_show(p);
		return;
	}
	if (record_read_tunnel(rec->key, rec->value, &r) != 0)
		return; /* what we know is better */
	if (!record_route_key(&r, route)) {
		if (p != NULL)
			place_free(p);
		return;
	}
	/* when memory is short, the next reading of the routes comes to it */
	if (is_new && place_new(c, rec->key, &p) != 0)
		return;
	if (place_keep(p, &r, rec->value) == 0)
		place_set(p, &r, rec->version);
	else if (is_new)
		place_free(p);
}

/* ---- life ---- */

int places_new(struct core *c)
{
	struct places *l = calloc(1, sizeof *l);

	if (l == NULL)
		return ERR_NOMEM;
	l->core = c;
	list_init(&l->todo);
	l->task = (struct ev_task){.fn = place_on_todo, .arg = l};
	place_list_init(l);
	c->placing = l;
	return 0;
}

void place_free_all(struct core *c)
{
	struct map_entry *e;

	if (c->placing == NULL)
		return;
	while ((e = map_next(&c->places, NULL)) != NULL)
		place_free(CONTAINER_OF(e, struct place, entry));
	place_list_end(c->placing);
	ev_task_cancel(&c->placing->task);
	free(c->placing);
	c->placing = NULL;
}
