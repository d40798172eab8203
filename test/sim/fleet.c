/* Builds a cluster, lets it live, and holds it to its promises at the end. */
#include "sim/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/fleet_rules.h"

/* Idle streams, lingering wires and ghosts are gone after so long, in milliseconds. */
#define QUIET_MS 45000

static void fleet_on_admin(void *arg, const struct core_started *result)
{
	CHECK(result->e == 0);
}

static void fleet_on_login(void *arg, const struct core_login *login)
{
	struct fleet *f = arg;

	CHECK(login->e == 0);
	memcpy(f->tokens[f->n_tokens++], login->token, CORE_TOKEN_TEXT);
}

/* They were made long ago. */
static void fleet_make_accounts(struct fleet *f)
{
	struct core_opt opt = {.log = &f->stage.log,
			       .store = f->stage.store,
			       .domain = FLEET_DOMAIN,
			       .url_scheme = "http",
			       .registration = CORE_OPEN};
	struct core_proof nobody = {.type = CORE_PROOF_NONE};
	struct core *core;

	CHECK(core_new(f->stage.ev, &opt, &core) == 0);
	CHECK(core_start(core, fleet_on_admin, f) == 0);
	ev_sim_run_for(f->stage.ev, 1);
	for (unsigned i = 0; i < FLEET_ACCOUNTS; i++)
		CHECK(core_login(core, &nobody, fleet_on_login, f) != NULL);
	ev_sim_run_for(f->stage.ev, 1);
	CHECK(f->n_tokens == FLEET_ACCOUNTS);
	core_free(core);
}

static struct fleet *fleet_open(uint64_t seed, bool verbose)
{
	struct fleet *f = must_calloc(1, sizeof *f);
	struct dice *d = &f->stage.dice;

	stage_open(&f->stage, seed, verbose);
	fleet_clerk_init(f);
	fleet_make_accounts(f);
	fleet_net_init(f);
	f->workers = dice_chance(d, 30);
	f->urls = dice_chance(d, 50);
	f->n_nodes = dice_range(d, 2, FLEET_NODES_MAX);
	for (unsigned i = 0; i < f->n_nodes; i++) {
		fleet_node_init(f, i);
		fleet_node_start(&f->nodes[i]);
	}
	f->n_hosts = dice_range(d, 1, FLEET_HOSTS_MAX);
	for (unsigned i = 0; i < f->n_hosts; i++)
		fleet_host_init(f, i);
	return f;
}

static void fleet_close(struct fleet *f)
{
	struct ev *ev = f->stage.ev;

	ev_timer_stop(ev, &f->tick);
	for (unsigned i = 0; i < f->n_hosts; i++)
		fleet_host_end(&f->hosts[i]);
	ev_sim_run_for(ev, dice_length(&f->stage.dice, 100));
	caller_end(&f->clerk.caller);
	for (unsigned i = 0; i < f->n_nodes; i++)
		fleet_node_end(&f->nodes[i],
			       dice_chance(&f->stage.dice, 50) ? FLEET_STOPS : FLEET_DIES,
			       UINT32_MAX);
	for (unsigned i = 0; i < f->n_visits; i++)
		fleet_visitor_free(f->visits[i]);
	fleet_net_free(f);
	stage_close(&f->stage);
	if (!f->stage.failed && (mem_hop_n(&f->hops) > 0 || !list_empty(&f->hops.ends)))
		stage_fail(&f->stage, "%zu wires between nodes are left over", mem_hop_n(&f->hops));
}

bool fleet_run(uint64_t seed, bool verbose, struct stage_result *out)
{
	struct fleet *f = fleet_open(seed, verbose);
	struct stage *s = &f->stage;
	bool ok;

	fleet_faults_begin(f);
	while (!s->failed && ev_now_ms(s->ev) < f->calm_at_ms)
		ev_sim_run_for(s->ev, f->calm_at_ms - ev_now_ms(s->ev));
	fleet_faults_end(f);
	if (!s->failed)
		fleet_script_heal(f, &out->heal_ms);
	if (!s->failed)
		fleet_script(f);
	if (!s->failed)
		ev_sim_run_for(s->ev, QUIET_MS);
	if (!s->failed)
		fleet_rules_quiet(f);
	if (!s->failed)
		fleet_close(f);
	out->virtual_ms = ev_now_ms(s->ev);
	out->n_visits = f->n_visits;
	out->trace = s->trace;
	ok = !s->failed;
	if (ok) {
		stage_free(s);
		free(f);
	}
	return ok;
}
