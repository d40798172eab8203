/* Compares what nodes know of each other with what each of them serves. */
#include "sim/fleet_rules.h"

#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"
#include "core/place_internal.h"
#include "sim/fleet.h"

/* Leases are looked at so often, and a message takes its time, in milliseconds. */
#define SLACK_MS 1000
/* A dead node is known to nobody after so long. */
#define DEAD_MS (BUS_GONE_MS + 2 * BUS_BEAT_MS + SLACK_MS)
/* All is known within so long. */
#define KNOWN_MS (2 * BUS_BEAT_MS + SLACK_MS)
/* A cable's silence, or a node's: bad news may be as late. */
#define LATE_MS 120000
/* Nothing is left of a visit so long after its end: silent sessions are given up. */
#define LINGER_MS 60000
/* A session that tries another node has found it, or given up. */
#define MOVES_MS 20000

static uint64_t rules_now(const struct fleet *f)
{
	return ev_now_ms(f->stage.ev);
}

static const struct core *rules_core(const struct fleet_node *n)
{
	return node_core(n->node);
}

/* ---- owners ---- */

/* Late news of the owner before? */
static bool rules_was_owner(const struct fleet *f, const struct fleet_tunnel *t, int account)
{
	return t->moved_ms != 0 && t->account_was == account &&
	       rules_now(f) <= t->moved_ms + LATE_MS;
}

void fleet_rules_own(struct fleet *f, struct fleet_tunnel *t, int account)
{
	if (t->account == FLEET_NOBODY) {
		t->account = account;
		t->known_ms = rules_now(f);
	}
	if (t->account == account)
		return;
	if (t->freed) {
		t->account_was = t->account;
		t->account = account;
		t->moved_ms = rules_now(f);
		t->freed = false;
	} else if (!rules_was_owner(f, t, account)) {
		stage_fail(&f->stage, "two accounts have the name %s", t->name);
	}
}

/* Does somebody else want its name, or its port? */
static bool rules_has_rival(const struct fleet_host *h, const struct fleet_tunnel *t)
{
	const struct fleet *f = h->fleet;

	for (unsigned i = 0; i < f->n_hosts; i++)
		if (f->hosts[i].account != h->account && fleet_host_asks(&f->hosts[i], t))
			return true;
	for (unsigned i = 0; i < f->n_tunnels; i++)
		if (&f->tunnels[i] != t && t->tcp && f->tunnels[i].port == t->port)
			return true;
	return false;
}

/* Has somebody taken it away, or is the news of that under way? */
static bool rules_was_touched(const struct fleet *f, const struct fleet_tunnel *t)
{
	return t->off || (t->touched_ms != 0 && rules_now(f) <= t->touched_ms + LATE_MS);
}

/* The same of any that the host serves: who is disconnected loses them all. */
static bool rules_was_any_touched(const struct fleet_host *h)
{
	for (unsigned i = 0; i < h->n_seats; i++)
		if (rules_was_touched(h->fleet, h->seats[i]))
			return true;
	return false;
}

bool fleet_rules_may_lose(const struct fleet_host *h, const struct fleet_tunnel *t, int code)
{
	switch (code) {
	case ERR_DISABLED:
	case ERR_DELETED: return rules_was_touched(h->fleet, t);
	case ERR_DISCONNECTED: return rules_was_any_touched(h);
	case ERR_EXISTS:
	case ERR_INUSE: return rules_has_rival(h, t);
	default: return false;
	}
}

bool fleet_rules_may_serve(const struct fleet_visitor *v, unsigned host, unsigned seat)
{
	const struct fleet *f = v->fleet;
	const struct fleet_host *h;
	const struct fleet_tunnel *t;

	if (host >= f->n_hosts || seat >= f->hosts[host].n_seats)
		return false;
	h = &f->hosts[host];
	t = h->seats[seat];
	if (!fleet_visitor_wants(v, t))
		return false;
	return t->account == h->account || t->account == FLEET_NOBODY || t->freed ||
	       rules_was_owner(f, t, h->account);
}

void fleet_rules_judge_page(const struct fleet_visitor *v)
{
	const struct fleet_tunnel *t = v->tunnel;
	bool touched = t->off || t->touched_ms != 0;

	if (v->status == 404 &&
	    (t->account == FLEET_NOBODY || v->asked_ms <= t->known_ms || t->freed_ever))
		return;
	if (v->status == 403 && touched)
		return;
	if (v->status == 502 || v->status == 503)
		return; /* as long as it need not succeed */
	stage_fail((struct stage *)(uintptr_t)&v->fleet->stage,
		   "visit %u of %s at node %u got a %u", v->number, t->name, v->node, v->status);
}

/* ---- who knows what ---- */

/* Its agents as its node would tell of them: how many of its sessions are in the entry? */
static bool rules_agent_is(const struct remote *r, const struct member *m)
{
	uint64_t bit = (uint64_t)1 << (m->opt.agent.carrier & 63);

	for (unsigned i = 0; i < r->n_agents; i++)
		if (r->agents[i].agent == m->agent_number &&
		    r->agents[i].epoch == m->opt.agent.epoch)
			return (r->agents[i].carriers & bit) != 0;
	return false;
}

static unsigned rules_n_carriers(const struct remote *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_agents; i++)
		n += (unsigned)__builtin_popcountll(r->agents[i].carriers);
	return n;
}

static bool rules_same(const struct tunnel *t, const struct remote *r)
{
	LIST_FOR_EACH (link, &t->serving)
		if (!rules_agent_is(r, CONTAINER_OF(link, struct serving, of_tunnel)->member))
			return false;
	return r->up == (t->n_up > 0) && rules_n_carriers(r) == t->n_serving;
}

static const struct core_peer *rules_peer(const struct fleet_node *n, const char *id)
{
	const struct core *c = rules_core(n);

	LIST_FOR_EACH (link, &c->peers) {
		const struct core_peer *p = CONTAINER_OF(link, struct core_peer, link);

		if (strcmp(p->opt.id, id) == 0)
			return p;
	}
	return NULL;
}

static const struct remote *rules_remote(const struct core_peer *p, const char *tunnel)
{
	LIST_FOR_EACH (link, &p->remotes) {
		const struct remote *r = CONTAINER_OF(link, struct remote, of_peer);

		if (strcmp(r->of->name, tunnel) == 0)
			return r;
	}
	return NULL;
}

/* Does `a` know exactly what b serves? Returns what it does not, NULL if it does. */
static const char *rules_unknown(const struct fleet_node *a, const struct fleet_node *b)
{
	const struct core_peer *p = rules_peer(a, b->id);
	const struct core *c = rules_core(b);
	size_t n = 0;

	if (p == NULL)
		return "the node itself";
	for (struct map_entry *e = map_next(&c->tunnels, NULL); e != NULL;
	     e = map_next(&c->tunnels, e)) {
		const struct tunnel *t = CONTAINER_OF(e, struct tunnel, entry);
		const struct remote *r = t->n_serving == 0 ? NULL : rules_remote(p, t->name);

		if (t->n_serving == 0)
			continue;
		if (r == NULL || !rules_same(t, r))
			return t->name;
		n++;
	}
	return n == p->n_remotes ? NULL : "something that is not served any more";
}

/* How many sessions of an account all nodes but one have. */
static size_t rules_n_elsewhere(const struct fleet *f, unsigned but, struct str account)
{
	size_t n = 0;

	for (unsigned i = 0; i < f->n_nodes; i++) {
		struct map_entry *e = i == but || f->nodes[i].node == NULL
					      ? NULL
					      : map_get(&rules_core(&f->nodes[i])->owners, account);

		n += e == NULL ? 0 : CONTAINER_OF(e, struct owner, entry)->n_members;
	}
	return n;
}

/* Does a node know how many sessions of this one's accounts are elsewhere? Returns the account of
 * which it does not, NULL if there is none. */
static const char *rules_uncounted(const struct fleet *f, unsigned a, const struct fleet_node *b)
{
	const struct core_cluster *cluster = &rules_core(&f->nodes[a])->opt.cluster;
	const struct core *c = rules_core(b);
	struct node_entry_agent own = {0};
	struct core_held held;

	for (struct map_entry *e = map_next(&c->owners, NULL); e != NULL;
	     e = map_next(&c->owners, e)) {
		cluster->held(cluster->arg, e->key, &own, &held);
		if (held.n != rules_n_elsewhere(f, a, e->key))
			return CONTAINER_OF(e, struct owner, entry)->account;
	}
	return NULL;
}

/* Then it counts their sessions, until their lease is over. */
static bool rules_knows_dead(const struct fleet *f, const struct fleet_node *n)
{
	for (unsigned i = 0; i < f->n_dead; i++)
		if (rules_peer(n, f->dead[i].id) != NULL)
			return true;
	return false;
}

static void rules_count(struct fleet *f)
{
	for (unsigned a = 0; a < f->n_nodes; a++)
		for (unsigned b = 0; b < f->n_nodes; b++) {
			const char *account;

			if (f->nodes[a].node == NULL || f->nodes[b].node == NULL ||
			    rules_knows_dead(f, &f->nodes[a]) ||
			    (account = rules_uncounted(f, a, &f->nodes[b])) == NULL)
				continue;
			stage_fail(&f->stage,
				   "node %u does not know how many sessions of %s others have", a,
				   account);
			return;
		}
}

bool fleet_rules_all_know(struct fleet *f, bool tell)
{
	for (unsigned a = 0; a < f->n_nodes; a++)
		for (unsigned b = 0; b < f->n_nodes; b++) {
			const struct fleet_node *na = &f->nodes[a], *nb = &f->nodes[b];
			const char *what;

			if (a == b || na->node == NULL || nb->node == NULL ||
			    (what = rules_unknown(na, nb)) == NULL)
				continue;
			if (tell)
				stage_fail(&f->stage, "node %u does not know of node %u: %s", a, b,
					   what);
			return false;
		}
	return true;
}

/* A number for what is served where; the same as long as that is. */
static uint64_t rules_truth(const struct fleet *f)
{
	uint64_t sum = f->n_dead;

	for (unsigned i = 0; i < f->n_nodes; i++) {
		const struct core *c = f->nodes[i].node == NULL ? NULL : rules_core(&f->nodes[i]);
		struct map_entry *e = c == NULL ? NULL : map_next(&c->tunnels, NULL);

		sum += c == NULL ? 0 : UINT64_C(1) << (40 + i);
		for (; e != NULL; e = map_next(&c->tunnels, e)) {
			const struct tunnel *t = CONTAINER_OF(e, struct tunnel, entry);

			LIST_FOR_EACH (link, &t->serving) {
				const struct serving *s =
					CONTAINER_OF(link, struct serving, of_tunnel);

				/* in any order */
				sum += (s->place + 1) * UINT64_C(0x9e3779b97f4a7c15) * (i + 1) *
				       (s->down ? 3 : 1);
			}
		}
	}
	return sum;
}

static void rules_tick_known(struct fleet *f)
{
	uint64_t truth = rules_truth(f);

	if (truth != f->truth || !f->calm)
		f->steady_ms = rules_now(f);
	f->truth = truth;
	if (rules_now(f) > f->steady_ms + KNOWN_MS)
		(void)!fleet_rules_all_know(f, true);
}

/* The same for whose sessions are where; also another one when some came and have gone. */
static uint64_t rules_sessions(const struct fleet *f)
{
	uint64_t sum = f->n_dead;

	for (unsigned i = 0; i < f->n_nodes; i++) {
		const struct core *c = f->nodes[i].node == NULL ? NULL : rules_core(&f->nodes[i]);

		if (c != NULL)
			sum += (c->member_number * 64 + c->members.n + 1) *
			       UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
	}
	return sum;
}

static void rules_tick_counted(struct fleet *f)
{
	uint64_t sessions = rules_sessions(f);

	if (sessions != f->sessions || !f->calm)
		f->counted_ms = rules_now(f);
	f->sessions = sessions;
	if (rules_now(f) > f->counted_ms + KNOWN_MS)
		rules_count(f);
}

/* ---- the dead ---- */

static void rules_tick_dead(struct fleet *f)
{
	for (unsigned i = 0; i < f->n_dead; i++)
		for (unsigned a = 0; a < f->n_nodes; a++) {
			const struct fleet_node *n = &f->nodes[a];
			uint64_t since = MAX(f->dead[i].at_ms, n->off_bus_ms);

			if (n->node != NULL && rules_now(f) > since + DEAD_MS &&
			    rules_peer(n, f->dead[i].id) != NULL)
				stage_fail(&f->stage,
					   "node %u still knows node %s, which died at %llu ms", a,
					   f->dead[i].id, (unsigned long long)f->dead[i].at_ms);
		}
}

bool fleet_rules_know_dead(const struct fleet *f)
{
	for (unsigned a = 0; a < f->n_nodes; a++)
		if (f->nodes[a].node != NULL && rules_knows_dead(f, &f->nodes[a]))
			return true;
	return false;
}

/* ---- agents' older processes ---- */

/* Does this node serve the tunnel for a newer process of the same agent? */
static bool rules_has_newer(const struct fleet_node *n, const struct serving *old)
{
	struct map_entry *e = map_get(&rules_core(n)->tunnels, old->tunnel->entry.key);

	if (e == NULL)
		return false;
	LIST_FOR_EACH (link, &CONTAINER_OF(e, struct tunnel, entry)->serving) {
		const struct member *m = CONTAINER_OF(link, struct serving, of_tunnel)->member;

		if (m->agent_number == old->member->agent_number &&
		    m->opt.agent.epoch > old->member->opt.agent.epoch)
			return true;
	}
	return false;
}

static void rules_look_older(struct fleet *f, const struct fleet_node *n, const struct tunnel *t)
{
	LIST_FOR_EACH (link, &t->serving) {
		const struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		for (unsigned i = 0; i < f->n_nodes; i++)
			if (f->nodes[i].node != NULL && rules_has_newer(&f->nodes[i], s))
				stage_fail(&f->stage,
					   "%s is served at node %u by an older process of an "
					   "agent, at node %u by a newer one",
					   t->name, n->index, i);
	}
}

static void rules_tick_older(struct fleet *f)
{
	if (rules_now(f) <= f->steady_ms + KNOWN_MS)
		return;
	for (unsigned i = 0; i < f->n_nodes; i++) {
		const struct core *c = f->nodes[i].node == NULL ? NULL : rules_core(&f->nodes[i]);
		struct map_entry *e = c == NULL ? NULL : map_next(&c->tunnels, NULL);

		for (; e != NULL; e = map_next(&c->tunnels, e))
			rules_look_older(f, &f->nodes[i], CONTAINER_OF(e, struct tunnel, entry));
	}
}

/* ---- passing on ---- */

static void rules_tick_hops(struct fleet *f)
{
	size_t n_visits = 0, n_parts = 0;
	struct node_stats s;

	for (unsigned i = 0; i < f->n_visits; i++) {
		const struct fleet_visitor *v = f->visits[i];

		n_visits += v->ended_ms == 0 || rules_now(f) < v->ended_ms + LINGER_MS;
	}
	for (unsigned i = 0; i < f->n_nodes; i++) {
		if (f->nodes[i].node == NULL)
			continue;
		node_stats(f->nodes[i].node, &s);
		n_parts += s.n_exchanges + s.n_tcp;
	}
	if (n_parts > 3 * n_visits)
		stage_fail(&f->stage, "%zu visitors are at %zu nodes together", n_visits, n_parts);
}

void fleet_rules_tick(struct fleet *f)
{
	rules_tick_known(f);
	rules_tick_counted(f);
	rules_tick_dead(f);
	rules_tick_older(f);
	rules_tick_hops(f);
}

/* ---- quiet ---- */

/* Do two nodes mean different accounts by one name, or different tunnels by one port? */
static void rules_quiet_owners(struct fleet *f, const struct core *a, const struct core *b)
{
	for (struct map_entry *e = map_next(&a->tunnels, NULL); e != NULL;
	     e = map_next(&a->tunnels, e)) {
		const struct tunnel *t = CONTAINER_OF(e, struct tunnel, entry);
		struct map_entry *found = map_get(&b->tunnels, e->key);

		if (found != NULL &&
		    strcmp(t->account, CONTAINER_OF(found, struct tunnel, entry)->account) != 0)
			stage_fail(&f->stage, "two nodes mean two accounts by %s", t->name);
	}
	for (struct map_entry *e = map_next(&a->ports, NULL); e != NULL;
	     e = map_next(&a->ports, e)) {
		const struct port_hold *h = CONTAINER_OF(e, struct port_hold, entry);
		struct map_entry *found = map_get(&b->ports, e->key);
		const struct port_hold *other =
			found == NULL ? NULL : CONTAINER_OF(found, struct port_hold, entry);

		if (h->place == NULL || other == NULL || other->place == NULL)
			stage_fail(&f->stage, "a node does not hold port %u", h->port);
		else if (strcmp(h->place->name, other->place->name) != 0)
			stage_fail(&f->stage, "port %u is of %s and of %s", h->port, h->place->name,
				   other->place->name);
	}
}

/* Is there an agent that asks for what it cannot have, again and again? */
static bool rules_somebody_begs(const struct fleet *f)
{
	for (unsigned i = 0; i < f->n_hosts; i++)
		for (unsigned k = 0; k < f->hosts[i].n_seats; k++)
			if (f->hosts[i].run != NULL &&
			    !fleet_host_should(&f->hosts[i], f->hosts[i].seats[k]))
				return true;
	return false;
}

/* What is there of all nodes together. */
static struct node_stats rules_sum(const struct fleet *f)
{
	struct node_stats sum = {0}, s;

	for (unsigned i = 0; i < f->n_nodes; i++) {
		if (f->nodes[i].node == NULL)
			continue;
		node_stats(f->nodes[i].node, &s);
		sum.n_conns += s.n_conns;
		sum.n_exchanges += s.n_exchanges;
		sum.n_tcp += s.n_tcp;
		sum.n_sessions += s.n_sessions;
		sum.n_streams += s.n_streams;
		sum.window_used += s.window_used;
	}
	return sum;
}

static size_t rules_n_wanted(const struct fleet *f)
{
	size_t n = 0;

	for (unsigned i = 0; i < f->n_hosts; i++)
		n += f->hosts[i].run != NULL ? f->hosts[i].n_sessions : 0;
	return n;
}

static void rules_quiet_left(struct fleet *f)
{
	struct node_stats s = rules_sum(f);

	/* a session that looks for a better node is one more for a moment */
	for (unsigned i = 0; i < MOVES_MS / FLEET_TICK_MS; i++) {
		if (s.n_conns == 0 && s.n_sessions == rules_n_wanted(f))
			break;
		ev_sim_run_for(f->stage.ev, FLEET_TICK_MS);
		s = rules_sum(f);
	}
	if (s.n_conns + s.n_tcp + s.n_exchanges > 0)
		stage_fail(&f->stage, "%zu connections and %zu visitors are left over", s.n_conns,
			   s.n_tcp + s.n_exchanges);
	if (s.n_sessions != rules_n_wanted(f))
		stage_fail(&f->stage, "%zu sessions instead of %zu", s.n_sessions,
			   rules_n_wanted(f));
	if (s.n_streams != s.n_sessions || s.window_used != 0)
		stage_fail(&f->stage, "%zu streams in %zu sessions and %llu bytes are left over",
			   s.n_streams, s.n_sessions, (unsigned long long)s.window_used);
}

void fleet_rules_quiet(struct fleet *f)
{
	size_t n_conns = 0;

	for (unsigned i = 0; i < f->n_nodes; i++)
		for (unsigned k = 0; k < f->n_nodes; k++)
			if (k != i && f->nodes[i].node != NULL && f->nodes[k].node != NULL)
				rules_quiet_owners(f, rules_core(&f->nodes[i]),
						   rules_core(&f->nodes[k]));
	if (!rules_somebody_begs(f))
		rules_quiet_left(f);
	for (unsigned i = 0; i < f->n_hosts; i++)
		n_conns += fleet_target_load(&f->hosts[i].target);
	if (n_conns > 0)
		stage_fail(&f->stage, "%zu connections to targets are left over", n_conns);
}
