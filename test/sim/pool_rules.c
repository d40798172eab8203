/*
 * A rule never says what must happen when it cannot know: so it looks at all terms that may have
 * held between two moments, and at agents of which it is certain all that time.
 */
#include "sim/pool_rules.h"

#include <string.h>

#include "base/err.h"
#include "ingress/tcp_ingress.h"
#include "proto/proxy_protocol.h"
#include "session/mux.h"
#include "sim/pool.h"

/* In milliseconds: an agent that says it is there is known on the other side, too; a target that is
 * well, or is not, has been found out; one answer takes at most, and one more refusal before it. */
#define SURE_MS	   1000
#define CHECKED_MS 8000
#define PROMPT_MS  1000
#define REFUSAL_MS 500
/* A session is given up after so much silence, and one turn of its timers. */
#define DEAD_MS (MUX_DEAD_MS + MUX_PING_MS + 1500)
/* What has been ended has been heard of, through the slowest cable. */
#define HEARD_MS 500

static uint64_t rules_now(const struct pool *p)
{
	return ev_now_ms(p->stage.ev);
}

/* ---- who surely works ---- */

static bool rules_allow_all(struct terms_range range, unsigned host)
{
	TERMS_FOR_EACH(x, range)
	if (!terms_on(x) || !terms_allow(x, host))
		return false;
	return true;
}

/* Has this host served it, by all we know, at every moment since then? */
static bool rules_is_sure(const struct pool_host *h, unsigned tunnel, uint64_t since)
{
	const struct pool_tunnel *of = &h->pool->tunnels[tunnel];
	const struct pool_target *t = &h->targets[tunnel];
	const struct pool_run *r = h->run;
	uint64_t up;

	if (r == NULL || r->life.stopping || !h->has[tunnel] || h->hazy_ms > since ||
	    (h->broke_ms != 0 && h->broke_ms >= since))
		return false;
	up = of->by_name ? r->seat_ms[tunnel] : r->up_ms;
	if (up == 0 || up + SURE_MS > since || t->mood != TARGET_WELL)
		return false;
	/* one that has lost it for good may still be there for the visitors that it has */
	if (of->by_name &&
	    !rules_allow_all(terms_at(of, h->node, up, rules_now(h->pool)), h->index))
		return false;
	return t->mood_ms == 0 || t->mood_ms + (h->checked[tunnel] ? CHECKED_MS : 0) < since;
}

bool pool_rules_serves(const struct pool *p, unsigned tunnel, unsigned node, uint64_t since_ms)
{
	struct terms_range range = terms_at(&p->tunnels[tunnel], node, since_ms, rules_now(p));

	for (unsigned i = 0; i < p->n_hosts; i++)
		if (p->hosts[i].node == node && rules_allow_all(range, i) &&
		    rules_is_sure(&p->hosts[i], tunnel, since_ms))
			return true;
	return false;
}

static bool rules_node_is_sure(const struct pool_node *n, uint16_t port, uint64_t since)
{
	uint64_t foreign = n->foreign_ms[port - POOL_PORT_FIRST];

	return n->node != NULL && !n->draining && n->up_ms + SURE_MS <= since &&
	       (foreign == 0 || foreign + POOL_SETTLE_MS < since);
}

static bool rules_has_port(struct terms_range range, uint16_t port)
{
	TERMS_FOR_EACH(x, range)
	if (!x->there || x->port != port)
		return false;
	return true;
}

/* Must whoever came to this port then have been served? */
static bool rules_must_serve(const struct pool *p, unsigned node, uint16_t port, uint64_t since)
{
	uint64_t now = rules_now(p);

	if (!rules_node_is_sure(&p->nodes[node], port, since))
		return false;
	for (unsigned t = 0; t < p->n_tunnels; t++)
		if (rules_has_port(terms_at(&p->tunnels[t], node, since, now), port))
			return pool_rules_serves(p, t, node, since);
	return false;
}

/* Its agent does not ask for this tunnel any more; if the record names it, it may be given the
 * tunnel by its other services, and refuses every visitor. */
static bool rules_may_not_know(const struct pool_host *h, unsigned tunnel)
{
	return h->pool->tunnels[tunnel].by_name &&
	       (!h->has[tunnel] || h->run == NULL || h->run->seat_ms[tunnel] == 0);
}

/*
 * Has something happened to a host of this node, or does its target misbehave, so that a visitor
 * who has spoken may not be passed on to another one? A refusal is harmless as long as all that was
 * said is still kept.
 */
static bool rules_is_trouble(const struct pool *p, unsigned node, uint64_t since, bool kept)
{
	for (unsigned i = 0; i < p->n_hosts; i++) {
		const struct pool_host *h = &p->hosts[i];

		if (h->node == node && (h->broke_ms >= since || h->hazy_ms >= since))
			return true;
		for (unsigned t = 0; t < p->n_tunnels && h->node == node; t++)
			if (h->targets[t].mood > (kept ? TARGET_REFUSES : TARGET_WELL) ||
			    (h->targets[t].mood_ms != 0 && h->targets[t].mood_ms >= since) ||
			    (!kept && rules_may_not_know(h, t)))
				return true;
	}
	return false;
}

/* Is something silent that only time makes known? */
static bool rules_is_murky(const struct pool *p, unsigned node, uint64_t since)
{
	for (unsigned i = 0; i < p->n_hosts; i++)
		if (p->hosts[i].node == node && p->hosts[i].hazy_ms >= since)
			return true;
	return p->hung_ms != 0 && p->hung_ms + SURE_MS >= since;
}

/*
 * Has the tunnel been taken away from whoever serves this visitor, and is its time over?
 *   host  ANY_HOST: it is not known who.
 */
static bool rules_has_left(const struct pool_visitor *v, const struct pool_tunnel *t, unsigned host)
{
	uint64_t now = rules_now(v->pool);
	struct terms_range range = terms_at(t, v->node, v->came_ms, now);

	for (const struct terms *x = range.first + 1; x <= range.last; x++) {
		bool kept = host == ANY_HOST ? x->n_agents == 0 : terms_allow(x, host);

		if (!terms_on(x) || (!kept && x->asked_ms + x->drain_ms <= now))
			return true;
	}
	return false;
}

/* ---- agents ---- */

bool pool_rules_may_take(const struct pool_host *h, unsigned tunnel, int code, uint64_t late_ms)
{
	uint64_t now = rules_now(h->pool);
	struct terms_range range =
		terms_at(&h->pool->tunnels[tunnel], h->node, now - MIN(now, late_ms), now);

	TERMS_FOR_EACH(x, range)
	{
		switch (code) {
		case ERR_DELETED:
			if (!x->there)
				return true;
			break;
		case ERR_DISABLED:
			if (!x->enabled)
				return true;
			break;
		case ERR_REPLACED:
		case ERR_DENIED:
			if (!terms_allow(x, h->index) ||
			    (x->n_agents == 0 && rules_may_not_know(h, tunnel)))
				return true;
			break;
		default: return false;
		}
	}
	return false;
}

/* ---- visitors ---- */

void pool_rules_refused(struct pool_visitor *v)
{
	struct pool *p = v->pool;

	if (rules_must_serve(p, v->node, v->port, rules_now(p)))
		stage_fail(&p->stage, "port %u of node %u is shut, and somebody serves it", v->port,
			   v->node);
}

/* Of a fail-over pool: is there a better one that surely works? */
static void rules_check_order(struct pool_visitor *v)
{
	const struct pool *p = v->pool;
	struct terms_range range =
		terms_at(&p->tunnels[v->tunnel], v->node, v->came_ms, rules_now(p));
	const struct terms *x = range.first;

	if (range.first != range.last || x->policy != TUNNEL_FAILOVER)
		return;
	for (size_t i = 0; i < x->n_agents && x->agents[i] != v->host; i++) {
		const struct pool_host *h = &p->hosts[x->agents[i]];

		if (h->node == v->node && rules_is_sure(h, v->tunnel, v->came_ms))
			stage_fail(&v->pool->stage, "visitor %u came to host %u, and %u is better",
				   v->number, v->host, h->index);
	}
}

void pool_rules_greeted(struct pool_visitor *v)
{
	struct pool *p = v->pool;
	struct terms_range range;
	bool port = false, allowed = false;

	if (v->tunnel >= p->n_tunnels || v->host >= p->n_hosts ||
	    p->hosts[v->host].node != v->node) {
		stage_fail(&p->stage, "visitor %u was greeted by %u.%u", v->number, v->host,
			   v->tunnel);
		return;
	}
	range = terms_at(&p->tunnels[v->tunnel], v->node, v->came_ms, v->came_ms);
	TERMS_FOR_EACH(x, range)
	port = port || (terms_on(x) && x->port == v->port);
	if (!port)
		stage_fail(&p->stage, "port %u of node %u led visitor %u to %s", v->port, v->node,
			   v->number, p->tunnels[v->tunnel].name);
	range = terms_at(&p->tunnels[v->tunnel], v->node, v->came_ms, v->accept_ms);
	TERMS_FOR_EACH(x, range)
	allowed = allowed || (terms_on(x) && terms_allow(x, v->host));
	if (!allowed)
		stage_fail(&p->stage, "visitor %u came to host %u, which must not serve %s",
			   v->number, v->host, p->tunnels[v->tunnel].name);
	rules_check_order(v);
}

uint32_t pool_rules_prompt_ms(const struct pool *p)
{
	uint32_t ms = PROMPT_MS;

	for (unsigned i = 0; i < p->n_hosts; i++)
		for (unsigned t = 0; t < p->n_tunnels; t++)
			if (p->hosts[i].targets[t].mood != TARGET_WELL) {
				ms += REFUSAL_MS;
				break;
			}
	return ms;
}

void pool_rules_slow(struct pool_visitor *v)
{
	struct pool *p = v->pool;

	if (!rules_is_murky(p, v->node, v->came_ms) &&
	    rules_must_serve(p, v->node, v->port, v->came_ms))
		stage_fail(&p->stage, "visitor %u has not been answered in %llu ms", v->number,
			   (unsigned long long)(rules_now(p) - v->came_ms));
}

uint64_t pool_rules_patience_ms(const struct pool_visitor *v)
{
	const struct pool *p = v->pool;
	uint64_t since = MAX(v->progress_ms, p->stall_ms), until = since + DEAD_MS;

	/* each place of the pool may be tried, and each target may hang */
	if (p->hung_ms != 0 && p->hung_ms >= v->progress_ms)
		for (unsigned i = 0; i < p->n_hosts; i++)
			until += (uint64_t)p->hosts[i].n_sessions * TARGET_TIMEOUT_MS;
	return until > rules_now(p) ? until - rules_now(p) : 0;
}

/* Of a visitor whom nobody has greeted yet. */
static bool rules_may_lose_early(const struct pool_visitor *v)
{
	const struct pool *p = v->pool;

	bool kept = v->sent + PROXY_WRITE_MAX < TCP_INGRESS_EARLY_MAX;

	if (v->sent > 0 && rules_is_trouble(p, v->node, v->came_ms, kept))
		return true;
	for (unsigned t = 0; t < p->n_tunnels; t++)
		if (rules_has_left(v, &p->tunnels[t], ANY_HOST))
			return true;
	return !rules_must_serve(p, v->node, v->port, v->came_ms);
}

void pool_rules_lost(struct pool_visitor *v, int why)
{
	const struct pool *p = v->pool;
	const struct pool_node *n = &p->nodes[v->node];
	const struct pool_host *h = &p->hosts[v->host];
	bool may;

	if (v->cut || (n->stopped_ms != 0 && n->stopped_ms >= v->came_ms && n->node == NULL) ||
	    n->up_ms > v->came_ms)
		return;
	if (!v->greeted)
		may = rules_may_lose_early(v);
	else
		may = h->broke_ms >= v->came_ms || h->hazy_ms >= v->came_ms ||
		      rules_has_left(v, &p->tunnels[v->tunnel], v->host);
	if (!may)
		stage_fail(&v->pool->stage, "visitor %u lost its connection%s: %s", v->number,
			   v->greeted ? "" : " before it was answered", err_name(why));
}

/* ---- all the time ---- */

/* Must nothing be left of a visitor who was served by a host that may not serve any more? */
static void rules_check_left(struct pool_visitor *v)
{
	struct pool *p = v->pool;
	const struct pool_tunnel *t = &p->tunnels[v->tunnel];
	uint64_t now = rules_now(p), drain = 0;
	struct terms_range range;
	bool off = true, gone = true;

	if (!v->greeted || v->pause_ms != 0) /* a slow reader reads what was sent long ago */
		return;
	range = terms_at(t, v->node, v->came_ms, now);
	TERMS_FOR_EACH(x, range)
	drain = MAX(drain, (uint64_t)x->drain_ms);
	if (now - v->came_ms <= HEARD_MS)
		return;
	range = terms_at(t, v->node, now - HEARD_MS, now);
	TERMS_FOR_EACH(x, range)
	off = off && !terms_on(x);
	range = terms_at(t, v->node, now - MIN(now, drain + HEARD_MS), now);
	TERMS_FOR_EACH(x, range)
	gone = gone && !(terms_on(x) && terms_allow(x, v->host));
	if (off || gone)
		stage_fail(&p->stage, "visitor %u is still served by host %u, which %s lost %s",
			   v->number, v->host, off ? "like all has" : "has", t->name);
}

/*
 * Has the agent surely said that its target fails? It says so of each tunnel that it is given, so
 * that only counts when it was given it long ago.
 */
static bool rules_is_down(const struct pool_host *h, unsigned tunnel)
{
	const struct pool_target *t = &h->targets[tunnel];
	const struct pool_tunnel *of = &h->pool->tunnels[tunnel];
	uint64_t now = rules_now(h->pool), up;
	struct terms_range range;

	if (h->run == NULL || !h->checked[tunnel] || rules_may_not_know(h, tunnel) ||
	    now < CHECKED_MS || (t->mood != TARGET_REFUSES && t->mood != TARGET_HANGS))
		return false;
	range = terms_at(of, h->node, now - CHECKED_MS, now);
	up = of->by_name ? h->run->seat_ms[tunnel] : h->run->up_ms;
	return range.first == range.last && up != 0 &&
	       MAX(MAX(up, t->mood_ms), MAX(h->broke_ms, h->hazy_ms)) + CHECKED_MS < now;
}

/* Could anybody serve this tunnel here, as far as the node may know? */
static bool rules_could_serve(const struct pool *p, unsigned tunnel, unsigned node)
{
	uint64_t now = rules_now(p);
	struct terms_range range = terms_at(&p->tunnels[tunnel], node, now, now);

	for (unsigned i = 0; i < p->n_hosts; i++) {
		const struct pool_host *h = &p->hosts[i];
		bool allowed = false;

		TERMS_FOR_EACH(x, range)
		allowed = allowed || (terms_on(x) && terms_allow(x, i));
		/* whoever is named may be given it by its other services, has it or not */
		if (h->node == node && allowed && !rules_is_down(h, tunnel) &&
		    (h->run != NULL || MAX(h->gone_ms, h->hazy_ms) + SURE_MS >= now))
			return true;
	}
	return false;
}

static void rules_check_port(struct pool_node *n, const struct port *port)
{
	struct pool *p = n->pool;
	uint64_t now = rules_now(p);
	bool owned = false;

	for (unsigned t = 0; t < p->n_tunnels; t++) {
		struct terms_range range = terms_at(&p->tunnels[t], n->index, now, now);
		bool here = strcmp(port->tunnel, p->tunnels[t].name) == 0, open = false;

		TERMS_FOR_EACH(x, range)
		{
			owned = owned || (x->there && x->port == port->number);
			open = open || (terms_on(x) && x->port == port->number);
		}
		if (here && !open)
			stage_fail(&p->stage, "port %u of node %u leads to %s", port->number,
				   n->index, port->tunnel);
		if (here && !rules_could_serve(p, t, n->index))
			stage_fail(&p->stage, "port %u of node %u is open, and nobody serves %s",
				   port->number, n->index, port->tunnel);
	}
	if (!owned)
		stage_fail(&p->stage, "port %u of node %u is held for nobody", port->number,
			   n->index);
}

void pool_rules_tick(struct pool *p)
{
	for (unsigned i = 0; i < p->n_nodes; i++)
		LIST_FOR_EACH (link, &p->nodes[i].ports)
			rules_check_port(&p->nodes[i], CONTAINER_OF(link, struct port, link));
	LIST_FOR_EACH (link, &p->visitors)
		rules_check_left(CONTAINER_OF(link, struct pool_visitor, link));
}

void pool_rules_quiet(struct pool *p)
{
	for (unsigned i = 0; i < p->n_nodes; i++) {
		size_t n_ports = 0, n_there = 0;

		LIST_FOR_EACH (link, &p->nodes[i].ports)
			n_ports++;
		for (unsigned t = 0; t < p->n_tunnels; t++) {
			const struct terms *x = terms_now(&p->tunnels[t]);
			const struct port *port =
				x->there ? pool_port_find(&p->nodes[i], x->port) : NULL;

			n_there += x->there;
			if (x->there && port == NULL)
				stage_fail(&p->stage, "node %u does not hold port %u of %s", i,
					   x->port, p->tunnels[t].name);
			else if (port != NULL && port->tunnel[0] == '\0' &&
				 pool_rules_serves(p, t, i, rules_now(p)))
				stage_fail(&p->stage, "node %u does not let in to %s", i,
					   p->tunnels[t].name);
		}
		if (n_ports != n_there)
			stage_fail(&p->stage, "node %u holds %zu ports for %zu tunnels", i, n_ports,
				   n_there);
	}
}
