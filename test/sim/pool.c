/* Builds a pool, lets it live, and holds it to its promises at the end. */
#include "sim/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/pool_rules.h"

/* What runs when everything is well may take so long, in milliseconds. */
#define SETTLE_MS 120000
/* Idle streams, lingering wires and ghosts are gone after so long. */
#define QUIET_MS 45000
/* The call that is under way is answered within so long after the last fault. */
#define CALL_MS 30000
/* How often a tunnel that does not work yet is tried. */
#define PROBE_MS 500

static const struct access_ports pool_ports = {POOL_PORT_FIRST, POOL_PORT_FIRST + POOL_PORTS - 1};

/* ---- the servers ---- */

static void pool_on_started(void *arg, const struct core_started *result)
{
	struct pool *p = arg;

	if (result->e != 0 || result->token[0] != '\0')
		stage_fail(&p->stage, "a server that starts: %s", err_name(result->e));
}

static void pool_start_node(struct pool_node *n)
{
	struct pool *p = n->pool;
	struct node_opt opt = {
		.log = &p->stage.log,
		.store = p->stage.store,
		.domain = POOL_DOMAIN,
		.url_scheme = "http",
		.registration = CORE_OPEN,
		.tcp_ports = &pool_ports,
		.n_tcp_ports = 1,
		.deadlines = {.head_ms = 5000, .idle_ms = 8000},
		.sessions_max = 64,
		.window_total = 64 * 1024 * 1024,
	};

	stage_note(&p->stage, "node %u starts", n->index);
	n->up_ms = ev_now_ms(p->stage.ev);
	pool_port_init(n, &opt.ports);
	CHECK(node_new(p->stage.ev, &opt, &n->node) == 0);
	node_start(n->node, pool_on_started, p);
}

static void pool_on_up(void *arg)
{
	struct pool_node *n = arg;

	if (n->node == NULL)
		pool_start_node(n);
}

static void pool_free_node(struct pool_node *n)
{
	struct ev *ev = n->pool->stage.ev;

	ev_timer_stop(ev, &n->up);
	ev_timer_stop(ev, &n->drain);
	n->draining = false;
	n->stopped_ms = ev_now_ms(ev);
	node_free(n->node);
	n->node = NULL;
	if (!list_empty(&n->ports))
		stage_fail(&n->pool->stage, "node %u ends and holds a port", n->index);
}

void pool_stop_node(struct pool_node *n, uint32_t back_ms)
{
	stage_note(&n->pool->stage, "node %u stops back_ms=%u", n->index, back_ms);
	pool_free_node(n);
	ev_timer_set(n->pool->stage.ev, &n->up, back_ms);
}

struct wire *pool_dial_node(struct pool *p, enum cable_kind kind, unsigned node, unsigned number)
{
	struct node_visitor who = {.tls = false};
	struct wire *a, *b;

	if (p->nodes[node].node == NULL)
		return NULL;
	CHECK(visit_end_set(&who.peer, STR("192.0.2.7"), 40000) == 0);
	CHECK(visit_end_set(&who.local, STR("192.0.2.1"), 80) == 0);
	cable_new(&p->stage, kind, number, &a, &b);
	node_serve(p->nodes[node].node, b, &who);
	return a;
}

/* ---- the beginning ---- */

static void pool_on_admin(void *arg, const struct core_started *result)
{
	CHECK(result->e == 0);
}

static void pool_on_login(void *arg, const struct core_login *login)
{
	struct pool *p = arg;

	CHECK(login->e == 0);
	memcpy(p->token, login->token, sizeof p->token);
}

/* The account was made long ago. */
static void pool_make_account(struct pool *p)
{
	struct core_opt opt = {.log = &p->stage.log,
			       .store = p->stage.store,
			       .domain = POOL_DOMAIN,
			       .url_scheme = "http",
			       .registration = CORE_OPEN};
	struct core_proof nobody = {.type = CORE_PROOF_NONE};
	struct core *core;

	CHECK(core_new(p->stage.ev, &opt, &core) == 0);
	CHECK(core_start(core, pool_on_admin, p) == 0);
	ev_sim_run_for(p->stage.ev, 1);
	CHECK(core_login(core, &nobody, pool_on_login, p) != NULL);
	ev_sim_run_for(p->stage.ev, 1);
	CHECK(p->token[0] != '\0');
	core_free(core);
}

static void pool_draw_tunnels(struct pool *p)
{
	struct dice *d = &p->stage.dice;

	p->n_tunnels = dice_range(d, 1, POOL_TUNNELS_MAX);
	for (unsigned i = 0; i < p->n_tunnels; i++) {
		struct pool_tunnel *t = &p->tunnels[i];

		str_printf(t->name, sizeof t->name, "tunnel%u", i);
		t->by_name = dice_chance(d, 35);
		t->listens = dice_chance(d, 40);
		t->proxy = dice_chance(d, 60) ? TUNNEL_PROXY_NONE
					      : dice_range(d, TUNNEL_PROXY_V1, TUNNEL_PROXY_V2);
	}
}

static struct pool *pool_open(uint64_t seed, bool verbose)
{
	struct pool *p = must_calloc(1, sizeof *p);

	stage_open(&p->stage, seed, verbose);
	list_init(&p->visitors);
	pool_clerk_init(p);
	pool_make_account(p);
	p->n_nodes = dice_chance(&p->stage.dice, 60) ? 1 : POOL_NODES_MAX;
	for (unsigned i = 0; i < p->n_nodes; i++) {
		p->nodes[i] = (struct pool_node){.pool = p, .index = i};
		p->nodes[i].up = (struct ev_timer){.fn = pool_on_up, .arg = &p->nodes[i]};
		pool_start_node(&p->nodes[i]);
	}
	pool_draw_tunnels(p);
	p->n_hosts = dice_range(&p->stage.dice, 2, POOL_HOSTS_MAX);
	for (unsigned i = 0; i < p->n_hosts; i++)
		pool_host_init(p, i);
	pool_clerk_begin(p);
	for (unsigned i = 0; i < p->n_hosts; i++)
		ev_timer_set(p->stage.ev, &p->hosts[i].start, dice_length(&p->stage.dice, 3000));
	return p;
}

/* ---- healing ---- */

/* Is it to be reached there now? */
static bool pool_should_work(const struct pool *p, unsigned tunnel, unsigned node)
{
	const struct terms *x = terms_now(&p->tunnels[tunnel]);

	for (unsigned i = 0; i < p->n_hosts && terms_on(x); i++)
		if (p->hosts[i].node == node && p->hosts[i].has[tunnel] && terms_allow(x, i))
			return true;
	return false;
}

/* Returns true when it works. good: see pool_visitor. */
static bool pool_probe(struct pool *p, unsigned tunnel, unsigned node, bool *good)
{
	if (*good || !pool_should_work(p, tunnel, node))
		return true;
	if (p->nodes[node].node != NULL)
		pool_visitor_probe(p, node, terms_now(&p->tunnels[tunnel])->port, good);
	return false;
}

/* Every tunnel must be reached wherever it has an agent. */
static uint32_t pool_heal(struct pool *p)
{
	bool good[POOL_TUNNELS_MAX][POOL_NODES_MAX] = {{false}};
	uint64_t since = ev_now_ms(p->stage.ev);
	bool all;

	do {
		all = true;
		for (unsigned t = 0; t < p->n_tunnels && !p->stage.failed; t++)
			for (unsigned n = 0; n < p->n_nodes; n++)
				all = pool_probe(p, t, n, &good[t][n]) && all;
		if (!all && ev_now_ms(p->stage.ev) - since > POOL_HEAL_MS)
			stage_fail(&p->stage, "not all tunnels work %d s after the last fault",
				   POOL_HEAL_MS / 1000);
		if (!all)
			ev_sim_run_for(p->stage.ev, PROBE_MS);
	} while (!all && !p->stage.failed);
	while (!p->stage.failed && p->n_probes > 0) /* they know `good` */
		ev_sim_run_for(p->stage.ev, PROBE_MS);
	return (uint32_t)(ev_now_ms(p->stage.ev) - since);
}

/* The clerk ends what it has begun, and everybody hears of it. */
static void pool_settle(struct pool *p)
{
	uint64_t since = ev_now_ms(p->stage.ev);

	while (!p->stage.failed && p->clerk.caller.busy) {
		if (ev_now_ms(p->stage.ev) - since > CALL_MS)
			stage_fail(&p->stage, "the API does not work %d s after the last fault",
				   CALL_MS / 1000);
		ev_sim_run_for(p->stage.ev, 100);
	}
	if (!p->stage.failed)
		ev_sim_run_for(p->stage.ev, POOL_SETTLE_MS + 1);
}

/* ---- the end ---- */

/* All is well and nobody asks: nothing may be left of what was. */
static void pool_check_quiet(struct pool *p)
{
	size_t n_sessions = 0, n_conns = 0;
	struct node_stats sum = {0}, s;

	for (unsigned i = 0; i < p->n_nodes; i++) {
		node_stats(p->nodes[i].node, &s);
		sum.n_conns += s.n_conns;
		sum.n_tcp += s.n_tcp;
		sum.n_sessions += s.n_sessions;
		sum.n_streams += s.n_streams;
		sum.window_used += s.window_used;
	}
	for (unsigned i = 0; i < p->n_hosts; i++) {
		n_sessions += p->hosts[i].run != NULL ? p->hosts[i].n_sessions : 0;
		for (unsigned t = 0; t < p->n_tunnels; t++)
			n_conns += pool_target_load(&p->hosts[i].targets[t], QUIET_MS / 2);
	}
	if (p->n_visitors > 0)
		stage_fail(&p->stage, "%zu visitors are left over", p->n_visitors);
	if (n_conns > 0)
		stage_fail(&p->stage, "%zu connections to targets are left over", n_conns);
	if (sum.n_conns > 0 || sum.n_tcp > 0)
		stage_fail(&p->stage, "%zu connections and %zu visitors are left over", sum.n_conns,
			   sum.n_tcp);
	if (sum.n_sessions != n_sessions)
		stage_fail(&p->stage, "%zu sessions instead of %zu", sum.n_sessions, n_sessions);
	if (sum.n_streams != sum.n_sessions || sum.window_used != 0)
		stage_fail(&p->stage, "%zu streams in %zu sessions and %llu bytes are left over",
			   sum.n_streams, sum.n_sessions, (unsigned long long)sum.window_used);
	pool_rules_quiet(p);
}

static void pool_close(struct pool *p)
{
	struct ev *ev = p->stage.ev;

	ev_timer_stop(ev, &p->tick);
	for (unsigned i = 0; i < p->n_hosts; i++) {
		if (dice_chance(&p->stage.dice, 50))
			pool_host_stop(&p->hosts[i], UINT16_MAX);
	}
	ev_sim_run_for(ev, dice_length(&p->stage.dice, 3000));
	for (unsigned i = 0; i < p->n_hosts; i++)
		pool_host_end(&p->hosts[i]);
	ev_sim_run_for(ev, dice_length(&p->stage.dice, 100));
	caller_end(&p->clerk.caller);
	for (unsigned i = 0; i < p->n_nodes; i++)
		pool_free_node(&p->nodes[i]);
	stage_close(&p->stage);
}

bool pool_run(uint64_t seed, bool verbose, struct stage_result *out)
{
	struct pool *p = pool_open(seed, verbose);
	struct stage *s = &p->stage;
	bool ok;

	pool_faults_begin(p);
	while (!s->failed && ev_now_ms(s->ev) < p->calm_at_ms)
		ev_sim_run_for(s->ev, p->calm_at_ms - ev_now_ms(s->ev));
	pool_faults_end(p);
	if (!s->failed)
		pool_settle(p);
	if (!s->failed)
		out->heal_ms = pool_heal(p);
	for (uint64_t ms = 0; !s->failed && p->n_visitors > 0 && ms < SETTLE_MS; ms += 1000)
		ev_sim_run_for(s->ev, 1000);
	if (!s->failed)
		ev_sim_run_for(s->ev, QUIET_MS);
	if (!s->failed)
		pool_check_quiet(p);
	if (!s->failed)
		pool_close(p);
	out->virtual_ms = ev_now_ms(s->ev);
	out->n_visits = p->visitor_number;
	out->trace = s->trace;
	ok = !s->failed;
	if (ok) {
		stage_free(s);
		free(p);
	}
	return ok;
}
