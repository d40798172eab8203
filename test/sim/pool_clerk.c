/*
 * Changes tunnels by the API of some node: one, or the whole list. What it asks for is noted as
 * terms that may hold from then on, and from the answer on they do.
 */
#include <string.h>

#include "base/err.h"
#include "sim/pool.h"

/* All tunnels are made within so long. */
#define BEGIN_MS 5000

static struct pool *clerk_pool(struct pool_clerk *k)
{
	return CONTAINER_OF(k, struct pool, clerk);
}

/* ---- one call ---- */

static struct wire *clerk_dial(void *arg)
{
	struct pool_clerk *k = arg;
	struct pool *p = clerk_pool(k);

	k->node = dice_range(&p->stage.dice, 0, p->n_nodes - 1);
	return pool_dial_node(p, CABLE_CLERK, k->node, 0);
}

/* Append a tunnel as JSON. */
static void clerk_write_tunnel(const struct pool_tunnel *t, const struct terms *x, struct buf *out)
{
	CHECK(buf_printf(out, 2000,
			 "{\"name\":\"%s\",\"kind\":\"tcp\",\"enabled\":%s,"
			 "\"ingress\":{\"tcp\":{\"port\":%u}},"
			 "\"target\":{\"service\":\"%s\",\"proxy_protocol\":\"%s\"},"
			 "\"transport\":{\"policy\":\"%s\",\"drain\":%u,\"agents\":[",
			 t->name, x->enabled ? "true" : "false", x->port, t->by_name ? "" : t->name,
			 record_proxy(t->proxy), record_policy(x->policy),
			 x->drain_ms / 1000) == 0);
	for (size_t i = 0; i < x->n_agents; i++)
		CHECK(buf_printf(out, 2000, "%s\"agent%u\"", i > 0 ? "," : "", x->agents[i]) == 0);
	CHECK(buf_printf(out, 2000, "]}}") == 0);
}

static void clerk_write_list(struct pool_clerk *k, struct buf *out)
{
	struct pool *p = clerk_pool(k);
	bool first = true;

	CHECK(buf_printf(out, 2000, "{\"tunnels\":[") == 0);
	for (unsigned t = 0; t < p->n_tunnels; t++) {
		if (!k->next[t].there)
			continue;
		CHECK(buf_printf(out, 2000, "%s", first ? "" : ",") == 0);
		clerk_write_tunnel(&p->tunnels[t], &k->next[t], out);
		first = false;
	}
	CHECK(buf_printf(out, 2000, "]}") == 0);
}

static void clerk_ask(void *arg, struct call *out)
{
	struct pool_clerk *k = arg;
	struct pool *p = clerk_pool(k);
	struct buf body = {0};

	if (k->list)
		clerk_write_list(k, &body);
	else if (!k->drop)
		clerk_write_tunnel(&p->tunnels[k->tunnel], &k->next[k->tunnel], &body);
	str_printf(k->body, sizeof k->body, STR_FMT, STR_ARG(buf_str(&body)));
	buf_free(&body);
	str_printf(k->path, sizeof k->path, "/v1/tunnels%s%s", k->list ? "" : "/",
		   k->list ? "" : p->tunnels[k->tunnel].name);
	*out = (struct call){.method = k->drop ? "DELETE" : "PUT",
			     .path = k->path,
			     .token = p->token,
			     .body = k->body};
}

/* Had another program one of the wanted ports since the call began? */
static bool clerk_met_foreign(const struct pool_clerk *k, const struct pool *p)
{
	const struct pool_node *n = &p->nodes[k->node];

	for (unsigned t = 0; t < p->n_tunnels; t++)
		if ((k->list || t == k->tunnel) && k->next[t].there &&
		    n->foreign_ms[k->next[t].port - POOL_PORT_FIRST] >= k->caller.since_ms)
			return true;
	return false;
}

/* What was asked for holds from now on. */
static void clerk_keep(struct pool_clerk *k)
{
	struct pool *p = clerk_pool(k);

	for (unsigned t = 0; t < p->n_tunnels; t++) {
		struct terms *x = &p->tunnels[t].terms[p->tunnels[t].n_terms - 1];

		if (x->known_ms != 0)
			continue;
		x->known_ms = MAX(ev_now_ms(p->stage.ev), 1);
		x->node = k->node;
	}
}

/* It was refused, so it never held. */
static void clerk_take_back(struct pool_clerk *k)
{
	struct pool *p = clerk_pool(k);

	for (unsigned t = 0; t < p->n_tunnels; t++)
		if (terms_now(&p->tunnels[t])->known_ms == 0)
			p->tunnels[t].n_terms--;
}

static bool clerk_on_answer(void *arg, unsigned status, struct str body)
{
	struct pool_clerk *k = arg;
	struct pool *p = clerk_pool(k);

	stage_note(&p->stage, "clerk by node %u: %u", k->node, status);
	if (status == 409 && clerk_met_foreign(k, p)) {
		clerk_take_back(k);
		return true;
	}
	/* deleted by a try whose answer was lost */
	if (status != (k->drop ? 204 : 200) && !(status == 201 && !k->drop) &&
	    !(status == 404 && k->drop && k->caller.n_tries > 1))
		stage_fail(&p->stage, "%s was answered %u: " STR_FMT " to %s", k->path, status,
			   STR_ARG(body), k->body);
	clerk_keep(k);
	return true;
}

static void clerk_go(struct pool *p)
{
	struct pool_clerk *k = &p->clerk;

	for (unsigned t = 0; t < p->n_tunnels; t++) {
		const struct terms *x = &k->next[t];

		if (terms_same(x, terms_now(&p->tunnels[t])))
			continue;
		terms_ask(&p->stage, &p->tunnels[t], x);
		stage_note(&p->stage,
			   "clerk asks%s: %s there=%d enabled=%d port=%u policy=%s drain_ms=%u "
			   "agents=%zu first=%u",
			   k->list ? " for the list" : "", p->tunnels[t].name, x->there, x->enabled,
			   x->port, record_policy(x->policy), x->drain_ms, x->n_agents,
			   x->n_agents > 0 ? x->agents[0] : 0);
	}
	caller_begin(&k->caller);
}

/* ---- what to do ---- */

/* A port that no tunnel has, or will have. */
static uint16_t clerk_free_port(struct pool *p)
{
	uint16_t port;
	bool taken;

	do {
		port = (uint16_t)(POOL_PORT_FIRST + dice_range(&p->stage.dice, 0, POOL_PORTS - 1));
		taken = false;
		for (unsigned t = 0; t < p->n_tunnels; t++)
			taken = taken || (p->clerk.next[t].there && p->clerk.next[t].port == port);
	} while (taken);
	return port;
}

/* Some of those that have it, in some order; or nobody in particular. */
static void clerk_draw_agents(struct pool *p, unsigned tunnel, struct terms *x)
{
	struct dice *d = &p->stage.dice;
	unsigned first = dice_range(d, 0, p->n_hosts - 1);

	x->n_agents = 0;
	if (dice_chance(d, 25))
		return;
	for (unsigned i = 0; i < p->n_hosts; i++) {
		unsigned host = (first + i) % p->n_hosts;

		if (p->hosts[host].has[tunnel] && (x->n_agents == 0 || dice_chance(d, 40)))
			x->agents[x->n_agents++] = host;
	}
}

static void clerk_change(struct pool *p, unsigned tunnel)
{
	struct dice *d = &p->stage.dice;
	struct terms *x = &p->clerk.next[tunnel];
	uint32_t roll = dice_range(d, 0, 99);

	if (!x->there) {
		x->there = x->enabled = true;
		x->port = clerk_free_port(p);
	} else if (roll < 45) {
		clerk_draw_agents(p, tunnel, x);
		x->drain_ms = dice_range(d, 0, 8) * 1000;
	} else if (roll < 60) {
		x->policy = dice_range(d, 0, TUNNEL_POLICIES - 1);
	} else if (roll < 75) {
		x->port = clerk_free_port(p);
	} else if (roll < 88 || p->tunnels[tunnel].by_name) {
		x->enabled = !x->enabled;
	} else {
		x->there = false;
	}
}

/* Two of them take each other's place. */
static void clerk_swap_ports(struct pool *p)
{
	struct terms *next = p->clerk.next;

	if (p->n_tunnels > 1 && next[0].there && next[1].there) {
		uint16_t port = next[0].port;

		next[0].port = next[1].port;
		next[1].port = port;
	}
}

void pool_clerk_act(struct pool *p)
{
	struct pool_clerk *k = &p->clerk;
	struct dice *d = &p->stage.dice;

	if (k->caller.busy)
		return;
	for (unsigned t = 0; t < p->n_tunnels; t++)
		k->next[t] = *terms_now(&p->tunnels[t]);
	k->list = dice_chance(d, 30);
	k->tunnel = dice_range(d, 0, p->n_tunnels - 1);
	if (!k->list)
		clerk_change(p, k->tunnel);
	for (unsigned t = 0; t < p->n_tunnels && k->list; t++)
		if (dice_chance(d, 50))
			clerk_change(p, t);
	if (k->list && dice_chance(d, 30))
		clerk_swap_ports(p);
	k->drop = !k->list && !k->next[k->tunnel].there;
	clerk_go(p);
}

/* ---- the beginning ---- */

void pool_clerk_init(struct pool *p)
{
	struct pool_clerk *k = &p->clerk;

	k->caller = (struct caller){.stage = &p->stage,
				    .host = POOL_DOMAIN,
				    .dial = clerk_dial,
				    .ask = clerk_ask,
				    .answered = clerk_on_answer,
				    .arg = k};
	caller_init(&k->caller);
}

void pool_clerk_begin(struct pool *p)
{
	struct pool_clerk *k = &p->clerk;

	k->list = true;
	for (unsigned t = 0; t < p->n_tunnels; t++) {
		p->tunnels[t].terms[0] = (struct terms){.known_ms = 1};
		p->tunnels[t].n_terms = 1;
	}
	for (unsigned t = 0; t < p->n_tunnels; t++) {
		k->next[t] =
			(struct terms){.there = true,
				       .enabled = true,
				       .port = clerk_free_port(p),
				       .policy = dice_range(&p->stage.dice, 0, TUNNEL_POLICIES - 1),
				       .drain_ms = dice_range(&p->stage.dice, 0, 8) * 1000};
		clerk_draw_agents(p, t, &k->next[t]);
	}
	clerk_go(p);
	ev_sim_run_for(p->stage.ev, BEGIN_MS);
	CHECK(!k->caller.busy || p->stage.failed);
}
