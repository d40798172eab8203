/*
 * What others serve, as far as they have told us; when a piece is taken, and why a copy is right,
 * stands in roster_list.c. Kept here are names only, to know what a list told anew has not in it
 * any more; what a tunnel's entry says is its owner's to keep. Of an account there is not more to
 * keep than numbers, so they stay here, and go with their node.
 */
#include "cluster/roster_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct roster_copy_item {
	struct map_entry by_name; /* copy.names */
	uint64_t entry; /* hash of its entry's text: what is told twice is passed on once */
	unsigned pass;	/* when it was told last */
	char name[];
};

/* An account that has sessions there. */
struct roster_copy_held {
	struct map_entry by_name; /* copy.accounts */
	unsigned pass;		  /* when it was told last */
	uint32_t n;
	unsigned n_agents;
	struct node_entry_agent agents[]; /* [n_agents]; then its name */
};

static void roster_copy_on_again(void *arg);

void roster_copy_init(struct roster_peer *p)
{
	uint8_t seed[16];

	ev_random(p->r->ev, seed, sizeof seed);
	map_init(&p->copy.names, seed);
	map_init(&p->copy.accounts, seed);
	p->copy.again = (struct ev_timer){.fn = roster_copy_on_again, .arg = p};
}

void roster_copy_free(struct roster_peer *p)
{
	struct map_entry *e = map_next(&p->copy.names, NULL);

	ev_timer_stop(p->r->ev, &p->copy.again);
	while (e != NULL) {
		struct map_entry *next = map_next(&p->copy.names, e);

		free(CONTAINER_OF(e, struct roster_copy_item, by_name));
		e = next;
	}
	map_free(&p->copy.names);
	e = map_next(&p->copy.accounts, NULL);
	while (e != NULL) {
		struct map_entry *next = map_next(&p->copy.accounts, e);

		free(CONTAINER_OF(e, struct roster_copy_held, by_name));
		e = next;
	}
	map_free(&p->copy.accounts);
}

/* More is to come: by itself or because we have asked. If it does not we ask, again. */
static void roster_copy_expect(struct roster_peer *p)
{
	p->copy.asked = true;
	ev_timer_set(p->r->ev, &p->copy.again, ROSTER_WANT_MS);
}

static void roster_copy_want(struct roster_peer *p)
{
	struct roster *r = p->r;
	struct node_message m;
	struct pen pen = roster_begin(r, NODE_MESSAGE_WANT, p->said.id, &m);

	roster_copy_expect(p);
	m.since = p->copy.at;
	node_message_write(&pen, &m);
	r->counts.asked++;
	(void)roster_send(r, &m, &pen); /* lost: again in a while */
}

static void roster_copy_on_again(void *arg)
{
	struct roster_peer *p = arg;

	if (p->copy.at < p->copy.head)
		roster_copy_want(p);
	else
		p->copy.asked = false;
}

/* From the beginning; what is not told again goes at its end. */
static void roster_copy_restart(struct roster_copy *c)
{
	c->at = c->start = 0;
	c->pass++;
	c->sweeping = c->names.n > 0 || c->accounts.n > 0;
	c->full = false;
}

/* The list has got so far; removals up to floor are forgotten. */
static void roster_copy_note(struct roster_copy *c, uint64_t head, uint64_t floor)
{
	c->head = MAX(c->head, head);
	if (c->at != 0 && floor > MAX(c->at, c->start))
		roster_copy_restart(c);
}

void roster_copy_beat(struct roster_peer *p, const struct node_message *m)
{
	struct roster_copy *c = &p->copy;

	roster_copy_note(c, m->told, m->floor);
	if (c->at == m->head && !c->sweeping && !c->full &&
	    (c->names.n != m->n || c->accounts.n != m->n_accounts)) {
		/* cannot be, unless memory ran out on one side */
		log_warn(p->r->log, "event=list-differs node=%s here=%zu+%zu there=%llu+%llu",
			 p->said.id, c->names.n, c->accounts.n, (unsigned long long)m->n,
			 (unsigned long long)m->n_accounts);
		roster_copy_restart(c);
	}
	if (c->at < c->head && !c->asked)
		roster_copy_want(p);
}

static void roster_copy_drop(struct roster_peer *p, struct roster_copy_item *it)
{
	struct roster *r = p->r;

	map_del(&p->copy.names, &it->by_name);
	(void)!r->owner->serves(r->arg, p->said.id, it->by_name.key, NULL);
	free(it);
}

static void roster_copy_drop_held(struct roster_peer *p, struct roster_copy_held *h)
{
	struct roster *r = p->r;

	map_del(&p->copy.accounts, &h->by_name);
	r->owner->holds(r->arg, p->said.id, h->by_name.key);
	free(h);
}

static void roster_copy_sweep_held(struct roster_peer *p)
{
	struct map_entry *e = map_next(&p->copy.accounts, NULL);

	while (e != NULL) {
		struct roster_copy_held *h = CONTAINER_OF(e, struct roster_copy_held, by_name);

		e = map_next(&p->copy.accounts, e);
		if (h->pass != p->copy.pass)
			roster_copy_drop_held(p, h);
	}
}

/* Who was not told again is not there any more. */
static void roster_copy_sweep(struct roster_peer *p)
{
	struct roster_copy *c = &p->copy;
	struct map_entry *e = map_next(&c->names, NULL);

	roster_copy_sweep_held(p);

	while (e != NULL) {
		struct roster_copy_item *it = CONTAINER_OF(e, struct roster_copy_item, by_name);

		e = map_next(&c->names, e);
		if (it->pass != c->pass)
			roster_copy_drop(p, it);
	}
	c->sweeping = false;
}

static int roster_copy_add(struct roster_peer *p, struct str name, struct roster_copy_item **out)
{
	struct roster_copy_item *it = NULL;

	*out = NULL;
	if (p->copy.names.n >= ROSTER_TUNNELS_MAX) {
		p->copy.full = true;
		return 0;
	}
	if ((it = calloc(1, sizeof *it + name.len + 1)) == NULL)
		return ERR_NOMEM;
	memcpy(it->name, name.p, name.len);
	it->by_name.key = (struct str){it->name, name.len};
	if (map_put(&p->copy.names, &it->by_name) != 0) {
		free(it);
		return ERR_NOMEM;
	}
	*out = it;
	return 0;
}

static struct roster_copy_held *roster_copy_new_held(struct str name, const struct node_held *said)
{
	size_t size = said->n_agents * sizeof said->agents[0];
	struct roster_copy_held *h = calloc(1, sizeof *h + size + name.len);

	if (h == NULL)
		return NULL;
	h->n = said->n;
	h->n_agents = said->n_agents;
	memcpy(h->agents, said->agents, size);
	memcpy((char *)h->agents + size, name.p, name.len);
	h->by_name.key = (struct str){(char *)h->agents + size, name.len};
	return h;
}

static bool roster_copy_held_is(const struct roster_copy_held *h, const struct node_held *said)
{
	return h->n == said->n && h->n_agents == said->n_agents &&
	       memcmp(h->agents, said->agents, h->n_agents * sizeof h->agents[0]) == 0;
}

/* What it has of an account. Returns 0 or ERR_NOMEM. */
static int roster_copy_account(struct roster_peer *p, const struct node_message_item *item)
{
	struct map *all = &p->copy.accounts;
	struct map_entry *e = map_get(all, item->name);
	struct roster_copy_held *h =
		e == NULL ? NULL : CONTAINER_OF(e, struct roster_copy_held, by_name);
	struct roster *r = p->r;
	struct node_held said;

	CHECK(node_held_parse(item->text, &said) == 0); /* node_message_parse() has seen it */
	if (h != NULL && said.n == 0)
		roster_copy_drop_held(p, h);
	if (said.n == 0)
		return 0;
	if (h != NULL && roster_copy_held_is(h, &said)) {
		h->pass = p->copy.pass;
		return 0;
	}
	p->copy.full = p->copy.full || (h == NULL && all->n >= ROSTER_ACCOUNTS_MAX);
	if (h == NULL && all->n >= ROSTER_ACCOUNTS_MAX)
		return 0;
	if ((h = roster_copy_new_held(item->name, &said)) == NULL)
		return ERR_NOMEM;
	h->pass = p->copy.pass;
	if (e != NULL)
		map_del(all, e); /* then there is room for the new one */
	if (map_put(all, &h->by_name) != 0) {
		CHECK(e == NULL);
		free(h);
		return ERR_NOMEM;
	}
	if (e != NULL)
		free(CONTAINER_OF(e, struct roster_copy_held, by_name));
	r->owner->holds(r->arg, p->said.id, h->by_name.key);
	return 0;
}

void roster_copy_held(const struct roster_copy *c, struct str account,
		      const struct node_entry_agent *own, struct core_held *out)
{
	struct map_entry *e = map_get(&c->accounts, account);
	const struct roster_copy_held *h =
		e == NULL ? NULL : CONTAINER_OF(e, struct roster_copy_held, by_name);

	if (h == NULL)
		return;
	out->n += h->n;
	for (unsigned i = 0; i < h->n_agents; i++)
		if (h->agents[i].agent == own->agent && h->agents[i].epoch == own->epoch)
			out->n_own += (unsigned)__builtin_popcountll(h->agents[i].carriers &
								     own->carriers);
}

/* One item of a piece. Returns 0 or ERR_NOMEM. */
static int roster_copy_item(struct roster_peer *p, const struct node_message_item *item,
			    const struct node_entry *entry)
{
	struct roster *r = p->r;
	struct map_entry *e = map_get(&p->copy.names, item->name);
	struct roster_copy_item *it =
		e == NULL ? NULL : CONTAINER_OF(e, struct roster_copy_item, by_name);
	uint64_t hash;

	if (item->kind == NODE_ITEM_HOLDS)
		return roster_copy_account(p, item);
	if (item->kind != NODE_ITEM_SERVES) {
		if (it != NULL && item->kind == NODE_ITEM_NOT)
			roster_copy_drop(p, it);
		return 0;
	}
	hash = siphash(p->copy.names.seed, item->text.p, item->text.len);
	if (it != NULL && it->entry == hash) {
		it->pass = p->copy.pass;
		return 0;
	}
	if (it == NULL && (roster_copy_add(p, item->name, &it) != 0 || it == NULL))
		return p->copy.full ? 0 : ERR_NOMEM;
	it->pass = p->copy.pass;
	it->entry = hash;
	if (r->owner->serves(r->arg, p->said.id, it->by_name.key, entry) == 0)
		return 0;
	roster_copy_drop(p, it); /* as if it had not been told */
	return ERR_NOMEM;
}

void roster_copy_changes(struct roster_peer *p, const struct node_message *m)
{
	struct roster_copy *c = &p->copy;
	struct str items = m->items;
	struct node_message_item item;
	struct node_entry entry;

	roster_copy_note(c, m->head, m->floor);
	if (m->upto <= c->at)
		return;
	if (m->after > c->at || m->head < c->start) {
		if (!c->asked)
			roster_copy_want(p);
		return;
	}
	if (c->at == 0)
		c->start = m->head;
	while (node_message_next(&items, &item, &entry))
		if (roster_copy_item(p, &item, &entry) != 0) {
			roster_copy_expect(p); /* the same again, when there is memory */
			return;
		}
	c->at = m->upto;
	if (c->sweeping && c->at == m->head)
		roster_copy_sweep(p);
	if (c->at < c->head)
		roster_copy_expect(p);
	else {
		c->asked = false;
		ev_timer_stop(p->r->ev, &c->again);
	}
}
