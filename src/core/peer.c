/*
 * What other nodes serve: a copy of what each says of itself. It is kept small, for there may be
 * many more tunnels elsewhere than here; a struct tunnel is made of one when a visitor comes.
 */
#include "core/peer.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"
#include "core/place_internal.h"

_Static_assert(NODE_ENTRY_AGENTS_MAX <= UINT8_MAX, "remote.n_agents");

/* ---- asking ---- */

struct remotes *peer_find(const struct core *c, struct str tunnel)
{
	struct map_entry *e = map_get(&c->remotes, tunnel);

	return e == NULL ? NULL : CONTAINER_OF(e, struct remotes, entry);
}

static bool peer_any_up(const struct remotes *rs)
{
	for (const struct remote *r = rs->first; r != NULL; r = r->next)
		if (r->up)
			return true;
	return false;
}

bool peer_is_up(const struct core *c, struct str tunnel)
{
	const struct remotes *rs = peer_find(c, tunnel);

	return rs != NULL && peer_any_up(rs);
}

bool peer_is_good(const struct core *c, struct str tunnel)
{
	const struct remotes *rs = peer_find(c, tunnel);

	for (const struct remote *r = rs == NULL ? NULL : rs->first; r != NULL; r = r->next)
		if (r->up && r->peer->state == PEER_GOOD)
			return true;
	return false;
}

/* In the low bits of a place: one more than the slot of the peer, 0 for this node. */
#define PEER_PLACE_BITS 9
_Static_assert(CORE_PEERS_MAX < 1 << PEER_PLACE_BITS, "a place tells its peer");

uint64_t peer_place(struct core *c, const struct core_peer *p)
{
	return ++c->place_number << PEER_PLACE_BITS | (p == NULL ? 0 : p->slot + 1);
}

bool core_place_stays(const struct core *c, uint64_t place)
{
	size_t at = place & ((1 << PEER_PLACE_BITS) - 1);

	if (at == 0)
		return true;
	return at <= CORE_PEERS_MAX && c->peer_slots[at - 1] != NULL &&
	       c->peer_slots[at - 1]->state < PEER_DRAINING;
}

static unsigned peer_bits(uint64_t carriers)
{
	return (unsigned)__builtin_popcountll(carriers);
}

size_t peer_count(const struct remotes *rs)
{
	size_t n = 0;

	for (const struct remote *r = rs->first; r != NULL; r = r->next)
		for (unsigned i = 0; i < r->n_agents; i++)
			n += peer_bits(r->agents[i].carriers);
	return n;
}

size_t peer_count_others(const struct remotes *rs, const struct member *m)
{
	uint64_t own = (uint64_t)1 << (m->opt.agent.carrier & 63);
	size_t n = 0;

	for (const struct remote *r = rs->first; r != NULL; r = r->next) {
		/* its sessions move to other nodes, and go from there then */
		bool leaves = r->peer->state == PEER_DRAINING;

		for (unsigned i = 0; i < r->n_agents; i++) {
			const struct node_entry_agent *a = &r->agents[i];

			if (a->agent != m->agent_number || a->epoch > m->opt.agent.epoch)
				n += peer_bits(a->carriers);
			else if (a->epoch == m->opt.agent.epoch && !leaves)
				n += peer_bits(a->carriers & ~own);
		}
	}
	return n;
}

bool peer_has_newer(const struct remotes *rs, const struct member *m)
{
	for (const struct remote *r = rs->first; r != NULL; r = r->next)
		for (unsigned i = 0; i < r->n_agents; i++)
			if (r->agents[i].agent == m->agent_number &&
			    r->agents[i].epoch > m->opt.agent.epoch)
				return true;
	return false;
}

size_t core_n_remote(const struct core *c)
{
	return c->remotes.n;
}

void peer_new_places(struct core *c, struct str tunnel)
{
	struct remotes *rs = peer_find(c, tunnel);

	for (struct remote *r = rs == NULL ? NULL : rs->first; r != NULL; r = r->next)
		r->place = peer_place(c, r->peer);
}

/* ---- what a peer serves ---- */

/* As it was before a change, so that what hangs on it follows. */
struct peer_before {
	bool up;
	size_t n;
};

static struct peer_before peer_before(const struct remotes *rs)
{
	struct peer_before b = {.up = false};

	if (rs != NULL)
		b = (struct peer_before){peer_any_up(rs), peer_count(rs)};
	return b;
}

/* rs: as it is now; NULL: nobody else serves it any more. */
static void peer_follow(struct core *c, const char *name, const struct remotes *rs,
			struct peer_before was)
{
	struct peer_before is = peer_before(rs);

	if (is.up != was.up)
		place_on_served(c, name);
	if (is.n < was.n)
		place_on_room(c, name);
}

/* The link that leads to what this peer serves of it, or to the end. */
static struct remote **peer_link(struct remotes *rs, const struct core_peer *p)
{
	struct remote **at = &rs->first;

	while (*at != NULL && (*at)->peer != p)
		at = &(*at)->next;
	return at;
}

static void peer_drop(struct remote *r)
{
	struct core_peer *p = r->peer;
	struct core *c = p->core;
	struct remotes *rs = r->of;
	struct peer_before was = peer_before(rs);
	struct tunnel *t;

	*peer_link(rs, p) = r->next;
	list_del(&r->of_peer);
	p->n_remotes--;
	free(r);
	if (rs->first != NULL) {
		peer_follow(c, rs->name, rs, was);
		return;
	}
	map_del(&c->remotes, &rs->entry);
	t = tunnel_find(c, rs->entry.key);
	if (t != NULL && t->n_serving == 0)
		tunnel_free(t);
	peer_follow(c, rs->name, NULL, was);
	free(rs);
}

/* Returns NULL when memory is short. */
static struct remotes *peer_new_tunnel(struct core *c, struct str tunnel)
{
	struct remotes *rs = calloc(1, sizeof *rs + tunnel.len + 1);

	if (rs == NULL)
		return NULL;
	memcpy(rs->name, tunnel.p, tunnel.len);
	rs->entry.key = (struct str){rs->name, tunnel.len};
	if (map_put(&c->remotes, &rs->entry) == 0)
		return rs;
	free(rs);
	return NULL;
}

static void peer_put(struct core_peer *p, struct remotes *rs, struct remote *r)
{
	struct remote **at = peer_link(rs, p), *old = *at;

	r->peer = p;
	r->of = rs;
	r->next = old != NULL ? old->next : NULL;
	r->place = old != NULL ? old->place : peer_place(p->core, p);
	if (old != NULL)
		list_del(&old->of_peer);
	else
		p->n_remotes++;
	*at = r;
	list_push(&p->remotes, &r->of_peer);
	free(old);
}

/* A copy of what an entry says; NULL when memory is short. */
static struct remote *peer_new_remote(const struct node_entry *entry)
{
	size_t size = entry->n_agents * sizeof entry->agents[0];
	struct remote *r = calloc(1, sizeof *r + size);

	if (r == NULL)
		return NULL;
	r->up = entry->up;
	r->priority = entry->priority;
	r->n_agents = (uint8_t)entry->n_agents;
	memcpy(r->agents, entry->agents, size);
	return r;
}

static int peer_set(struct core_peer *p, struct str tunnel, const struct node_entry *entry)
{
	struct core *c = p->core;
	struct remotes *rs = peer_find(c, tunnel);
	struct peer_before was = peer_before(rs);
	struct remote *r = peer_new_remote(entry);
	struct tunnel *t;

	if (r == NULL || (rs == NULL && (rs = peer_new_tunnel(c, tunnel)) == NULL)) {
		free(r);
		return ERR_NOMEM;
	}
	peer_put(p, rs, r);
	peer_follow(c, rs->name, rs, was);
	if ((t = tunnel_find(c, tunnel)) != NULL)
		tunnel_on_elsewhere(t, entry);
	return 0;
}

int core_peer_serves(struct core_peer *p, struct str tunnel, const struct node_entry *entry)
{
	struct remotes *rs = peer_find(p->core, tunnel);
	struct remote *old = rs == NULL ? NULL : *peer_link(rs, p);
	char name[HOSTNAME_MAX + 1];
	int e = 0;

	if (entry == NULL)
		goto drop;
	e = ERR_INVAL;
	if (hostname_tunnel(tunnel, name) != 0 || entry->n_agents == 0 ||
	    entry->n_agents > NODE_ENTRY_AGENTS_MAX)
		goto drop;
	e = ERR_LIMIT;
	if (old == NULL && p->n_remotes >= CORE_PEER_TUNNELS_MAX)
		goto drop;
	if ((e = peer_set(p, str_of(name), entry)) == 0) {
		/* we may not have heard when its record was written */
		if (entry->route && place_find(p->core, tunnel) == NULL)
			refresh_add(p->core, RECORD_TUNNEL, tunnel);
		return 0;
	}
drop:
	if (old != NULL)
		peer_drop(old);
	return e;
}

/* ---- life ---- */

struct core_peer *peer_by_id(const struct core *c, const char *id)
{
	LIST_FOR_EACH (link, &c->peers) {
		struct core_peer *p = CONTAINER_OF(link, struct core_peer, link);

		if (strcmp(p->opt.id, id) == 0)
			return p;
	}
	return NULL;
}

int core_peer_new(struct core *c, const struct core_peer_opt *opt, struct core_peer **out)
{
	struct core_peer *p;

	if (peer_by_id(c, opt->id) != NULL)
		return ERR_EXISTS;
	if (c->n_peers >= CORE_PEERS_MAX)
		return ERR_LIMIT;
	if ((p = calloc(1, sizeof *p)) == NULL)
		return ERR_NOMEM;
	p->core = c;
	p->opt = *opt;
	while (c->peer_slots[p->slot] != NULL)
		p->slot++;
	c->peer_slots[p->slot] = p;
	list_init(&p->remotes);
	list_push(&c->peers, &p->link);
	c->n_peers++;
	*out = p;
	return 0;
}

void core_peer_free(struct core_peer *p)
{
	struct core *c;

	if (p == NULL)
		return;
	c = p->core;
	while (!list_empty(&p->remotes))
		peer_drop(CONTAINER_OF(p->remotes.next, struct remote, of_peer));
	list_del(&p->link);
	c->peer_slots[p->slot] = NULL;
	c->n_peers--;
	temporary_look(c); /* if it died, nobody has dropped what was there only for it */
	ev_free_later(c->ev, p);
}

void core_peer_set_state(struct core_peer *p, enum peer_state state)
{
	p->state = state;
}

void core_peer_set_load(struct core_peer *p, uint32_t visitors)
{
	p->load = visitors;
}
