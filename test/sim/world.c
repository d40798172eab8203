/* Builds a world, lets it live, and holds it to its promises at the end. */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage.h"

/* How long visitors that still run may take after everything else is well: their own bound. */
#define SETTLE_MS (VISITOR_BOUND_MS + 1000)
/* Idle streams, lingering wires and ghosts are gone after so long, in milliseconds. */
#define QUIET_MS 45000
/* All that was taken away is given back within so long. */
#define REPAIR_MS 60000
/* A cable's delay, and what it holds, for an hour or a minute: bad news may be as late. */
#define LATE_MS 120000

/* ---- names ---- */

struct world_name *world_find(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->n_names; i++)
		if (strcmp(w->names[i].text, name) == 0)
			return (struct world_name *)(uintptr_t)&w->names[i];
	return NULL;
}

static struct world_name *world_add_name(struct world *w, const char *name)
{
	struct world_name *n = &w->names[w->n_names++];

	CHECK(w->n_names < WORLD_NAMES_MAX);
	str_printf(n->text, sizeof n->text, "%s", name);
	return n;
}

/* Late news of the owner before? */
static bool world_was_owner(const struct world *w, const struct world_name *n, int account)
{
	return n->moved_ms != 0 && n->account_was == account &&
	       ev_now_ms(w->stage.ev) <= n->moved_ms + LATE_MS;
}

void world_own(struct world *w, const char *name, int account)
{
	struct world_name *n = world_find(w, name);

	if (n == NULL) {
		n = world_add_name(w, name);
		n->known = true;
		n->account = account;
	}
	if (n->account == account)
		return;
	if (n->freed) {
		stage_note(&w->stage, "the name %s goes from account %d to %d", name, n->account,
			   account);
		n->account_was = n->account;
		n->account = account;
		n->moved_ms = ev_now_ms(w->stage.ev);
		n->freed = false;
	} else if (!world_was_owner(w, n, account)) {
		stage_fail(&w->stage, "two accounts have the name %s", name);
	}
}

int world_owner(const struct world *w, const char *name)
{
	const struct world_name *n = world_find(w, name);

	return n == NULL ? WORLD_NOBODY : n->account;
}

static bool seat_has_had(const struct seat *s, const char *name)
{
	for (unsigned i = 0; i < s->n_had; i++)
		if (strcmp(s->had[i], name) == 0)
			return true;
	return false;
}

bool world_may_serve(const struct world *w, unsigned name, unsigned host, unsigned seat)
{
	const struct world_name *n = &w->names[name];
	const struct host *h = &w->hosts[host];
	const struct seat *s;

	if (!n->known || host >= w->n_hosts || seat >= h->n_seats)
		return false;
	s = &h->seats[seat];
	if ((h->account == n->account || n->freed_ever) && strcmp(s->asked, n->text) == 0)
		return true; /* attached, though it may not have heard of it yet */
	return seat_has_had(s, n->text);
}

static bool world_host_may_serve(const struct world *w, unsigned name, unsigned host)
{
	for (unsigned s = 0; s < w->hosts[host].n_seats; s++)
		if (world_may_serve(w, name, host, s))
			return true;
	return false;
}

bool world_was_served_at(const struct world *w, unsigned name, unsigned node)
{
	for (unsigned i = 0; i < w->n_hosts; i++)
		for (size_t s = 0; s < w->hosts[i].n_seats; s++)
			if (w->hosts[i].node == node &&
			    seat_has_had(&w->hosts[i].seats[s], w->names[name].text))
				return true;
	return false;
}

static bool world_is_served_at(const struct world *w, unsigned name, unsigned node)
{
	for (unsigned i = 0; i < w->n_hosts; i++)
		if (w->hosts[i].node == node && world_host_may_serve(w, name, i))
			return true;
	return false;
}

unsigned world_pick_node(struct world *w, unsigned name)
{
	unsigned node = dice_range(&w->stage.dice, 0, w->n_nodes - 1);

	if (dice_chance(&w->stage.dice, 20) || world_is_served_at(w, name, node))
		return node;
	return w->n_nodes - 1 - node; /* there are two at most */
}

bool world_must_not_serve(const struct world *w, const struct world_name *n, unsigned host,
			  const struct visitor *v)
{
	const struct host *h = &w->hosts[host];

	if (ban_forbids(&n->ban, v->node, v->asked_ms))
		return true;
	if (h->account < 0)
		return false;
	if (ban_forbids(&h->ban, v->node, v->asked_ms) ||
	    ban_forbids(&w->accounts[h->account].ban, v->node, v->asked_ms))
		return true;
	/* one of the next owner's agents has said that it has the name */
	return n->moved_ms != 0 && !n->freed && h->account == n->account_was &&
	       h->account != n->account && v->asked_ms > n->moved_ms + CLERK_SETTLE_MS;
}

bool world_may_be_off(const struct world *w, const struct world_name *n, uint64_t asked_ms)
{
	if (ban_excuses(&n->ban, asked_ms))
		return true;
	return n->account >= 0 && n->account < WORLD_ACCOUNTS &&
	       ban_excuses(&w->accounts[n->account].ban, asked_ms);
}

/* ---- the servers ---- */

static void world_on_started(void *arg, const struct core_started *result)
{
	struct world *w = arg;

	if (result->e != 0 || result->token[0] != '\0')
		stage_fail(&w->stage, "a server that starts again: %s", err_name(result->e));
}

static void world_start_node(struct world_node *n)
{
	struct world *w = n->world;
	struct node_opt opt = {
		.log = &w->stage.log,
		.store = w->stage.store,
		.domain = WORLD_DOMAIN,
		.url_scheme = "http",
		.registration = CORE_OPEN,
		.deadlines = {.head_ms = 5000, .idle_ms = 8000},
		.sessions_max = 64,
		.window_total = 64 * 1024 * 1024,
	};

	stage_note(&w->stage, "node %u starts", n->index);
	CHECK(node_new(w->stage.ev, &opt, &n->node) == 0);
	node_start(n->node, world_on_started, w);
}

static void world_on_up(void *arg)
{
	struct world_node *n = arg;

	if (n->node == NULL)
		world_start_node(n);
}

void world_stop_node(struct world_node *n, uint32_t back_ms)
{
	struct ev *ev = n->world->stage.ev;

	stage_note(&n->world->stage, "node %u stops back_ms=%u", n->index, back_ms);
	ev_timer_stop(ev, &n->drain);
	n->draining = false;
	node_free(n->node);
	n->node = NULL;
	ev_timer_set(ev, &n->up, back_ms);
}

struct wire *world_dial_node(struct world *w, enum cable_kind kind, unsigned node, unsigned number)
{
	struct node_visitor who = {.tls = false};
	struct wire *a, *b;
	char ip[32];

	if (w->nodes[node].node == NULL)
		return NULL;
	stage_ip(number, ip);
	CHECK(visit_end_set(&who.peer, str_of(ip), 40000) == 0);
	CHECK(visit_end_set(&who.local, STR("192.0.2.1"), 80) == 0);
	cable_new(&w->stage, kind, number, &a, &b);
	node_serve(w->nodes[node].node, b, &who);
	return a;
}

/* ---- accounts ---- */

static void world_on_admin(void *arg, const struct core_started *result)
{
	struct world *w = arg;

	CHECK(result->e == 0);
	memcpy(w->admin, result->token, sizeof w->admin);
}

static void world_on_token(void *arg, const struct manage_answer *answer)
{
	struct world_account *a = arg;

	CHECK(answer->e == 0);
	memcpy(a->hosts[a->n_hosts].token, answer->token, CORE_TOKEN_TEXT);
	memcpy(a->hosts[a->n_hosts++].id, answer->credentials[0].id, CORE_ID_TEXT);
}

static void world_make_tokens(struct core *c, const struct access_who *who, struct world_account *a)
{
	struct manage_new_credential token = {.type = CREDENTIAL_TOKEN};
	struct manage_asker by = {.who = who, .done = world_on_token, .arg = a};

	for (unsigned i = 0; i < WORLD_HOSTS_MAX; i++)
		CHECK(manage_credential_make(c, &by, STR(""), &token) != NULL);
}

struct world_setup {
	struct world *world;
	struct core *core;
};

static void world_on_login(void *arg, const struct core_login *login)
{
	struct world_setup *setup = arg;
	struct world *w = setup->world;
	struct world_account *a = &w->accounts[w->n_accounts++];

	CHECK(login->e == 0);
	memcpy(a->id, login->who.account, sizeof a->id);
	memcpy(a->token, login->token, sizeof a->token);
	world_make_tokens(setup->core, &login->who, a);
}

/* The accounts that hosts share, and a token for each host in each, were made long ago. */
static void world_make_accounts(struct world *w)
{
	struct core_opt opt = {.log = &w->stage.log,
			       .store = w->stage.store,
			       .domain = WORLD_DOMAIN,
			       .url_scheme = "http",
			       .registration = CORE_OPEN};
	struct core_proof nobody = {.type = CORE_PROOF_NONE};
	struct world_setup setup = {.world = w};

	CHECK(core_new(w->stage.ev, &opt, &setup.core) == 0);
	CHECK(core_start(setup.core, world_on_admin, w) == 0);
	ev_sim_run_for(w->stage.ev, 1);
	CHECK(w->admin[0] != '\0');
	for (unsigned i = 0; i < WORLD_ACCOUNTS; i++)
		CHECK(core_login(setup.core, &nobody, world_on_login, &setup) != NULL);
	ev_sim_run_for(w->stage.ev, 1);
	CHECK(w->n_accounts == WORLD_ACCOUNTS);
	for (unsigned i = 0; i < WORLD_ACCOUNTS; i++)
		CHECK(w->accounts[i].n_hosts == WORLD_HOSTS_MAX);
	core_free(setup.core);
}

/* ---- life ---- */

static struct world *world_open(uint64_t seed, bool verbose)
{
	struct world *w = must_calloc(1, sizeof *w);

	stage_open(&w->stage, seed, verbose);
	list_init(&w->visitors);
	clerk_init(w);
	world_make_accounts(w);
	world_add_name(w, "nobody");
	w->n_nodes = dice_range(&w->stage.dice, 1, WORLD_NODES_MAX);
	for (unsigned i = 0; i < w->n_nodes; i++) {
		w->nodes[i] = (struct world_node){.world = w, .index = i};
		w->nodes[i].up = (struct ev_timer){.fn = world_on_up, .arg = &w->nodes[i]};
		world_start_node(&w->nodes[i]);
	}
	w->n_hosts = dice_range(&w->stage.dice, 1, WORLD_HOSTS_MAX);
	for (unsigned i = 0; i < w->n_hosts; i++)
		host_init(w, i);
	return w;
}

/* The tunnel must answer under its name: ask it. Returns false when it is not to be had. */
static bool world_probe_seat(struct world *w, const struct run *r, size_t seat)
{
	const struct host *h = r->host;
	const char *name = r->name[seat][0] != '\0' ? r->name[seat] : h->seats[seat].asked;

	if (r->lost[seat])
		return false;
	for (unsigned i = 0; i < w->n_names; i++)
		if (w->names[i].known && strcmp(w->names[i].text, name) == 0) {
			visitor_probe(w, i, h->index);
			return true;
		}
	return false; /* never online: the names are counted below */
}

static size_t world_count_probes(const struct world *w)
{
	size_t n = 0;

	LIST_FOR_EACH (link, &w->visitors)
		n += CONTAINER_OF(link, struct visitor, link)->probe;
	return n;
}

/* Every agent that lives must be reachable under its names within WORLD_HEAL_MS. */
static uint32_t world_heal(struct world *w)
{
	uint64_t since = ev_now_ms(w->stage.ev);

	for (unsigned i = 0; i < w->n_hosts; i++)
		for (size_t s = 0; w->hosts[i].run != NULL && s < w->hosts[i].n_seats; s++)
			(void)!world_probe_seat(w, w->hosts[i].run, s);
	while (!w->stage.failed && world_count_probes(w) > 0) {
		if (ev_now_ms(w->stage.ev) - since > WORLD_HEAL_MS) {
			LIST_FOR_EACH (link, &w->visitors) {
				struct visitor *v = CONTAINER_OF(link, struct visitor, link);

				if (v->probe)
					stage_fail(&w->stage,
						   "%s does not answer %d s after the last "
						   "fault: status=%u",
						   w->names[v->name].text, WORLD_HEAL_MS / 1000,
						   v->status);
			}
			break;
		}
		ev_sim_run_for(w->stage.ev, 100);
	}
	return (uint32_t)(ev_now_ms(w->stage.ev) - since);
}

/* Everything that was taken away is given back, and whoever was sent away comes again. */
static void world_repair(struct world *w)
{
	uint64_t since = ev_now_ms(w->stage.ev);

	if (!w->with_clerk)
		return;
	while (!w->stage.failed && clerk_repair(w)) {
		if (ev_now_ms(w->stage.ev) - since > REPAIR_MS)
			stage_fail(&w->stage,
				   "the API does not work again %d s after the last fault",
				   REPAIR_MS / 1000);
		ev_sim_run_for(w->stage.ev, 100);
	}
	if (!w->stage.failed)
		ev_sim_run_for(w->stage.ev, CLERK_SETTLE_MS + 1);
	for (unsigned i = 0; i < w->n_hosts; i++) {
		struct host *h = &w->hosts[i];

		if (h->run != NULL && h->run->taken)
			host_kill(h, 0);
		ev_timer_stop(w->stage.ev, &h->again);
		ev_timer_stop(w->stage.ev, &h->start);
		if (h->run == NULL && !h->over)
			host_start(h);
	}
}

static void world_sum_stats(const struct world *w, struct node_stats *sum)
{
	*sum = (struct node_stats){0};
	for (unsigned i = 0; i < w->n_nodes; i++) {
		struct node_stats s;

		node_stats(w->nodes[i].node, &s);
		sum->n_conns += s.n_conns;
		sum->n_exchanges += s.n_exchanges;
		sum->n_sessions += s.n_sessions;
		sum->n_streams += s.n_streams;
		sum->window_used += s.window_used;
	}
}

/* All is well and nobody asks: nothing may be left of what was. */
static void world_check_quiet(struct world *w)
{
	struct node_stats stats;
	size_t n_sessions = 0, n_conns = 0;

	world_sum_stats(w, &stats);
	for (unsigned i = 0; i < w->n_hosts; i++) {
		const struct host *h = &w->hosts[i];

		if (h->run == NULL && !h->over)
			stage_fail(&w->stage, "host %u has no agent", i);
		if (h->run != NULL && !h->run->online && !host_rests(h))
			stage_fail(&w->stage, "the agent of host %u was never told that it is back",
				   i);
		n_sessions += h->run != NULL && !host_rests(h) ? h->n_sessions : 0;
		for (size_t s = 0; s < h->n_seats; s++) {
			n_conns += h->seats[s].site.n_conns;
			if (h->run != NULL && !h->run->lost[s] && h->run->name[s][0] == '\0')
				stage_fail(&w->stage, "seat %u.%zu has never been online", i, s);
		}
		LIST_FOR_EACH (link, &h->runs)
			if (CONTAINER_OF(link, struct run, link) != h->run)
				stage_fail(&w->stage, "a twin of host %u's agent still lives", i);
	}
	if (n_conns > 0)
		stage_fail(&w->stage, "%zu connections to targets are left over", n_conns);
	if (stats.n_conns > 0 || stats.n_exchanges > 0)
		stage_fail(&w->stage, "%zu connections and %zu exchanges are left over",
			   stats.n_conns, stats.n_exchanges);
	if (stats.n_sessions != n_sessions)
		stage_fail(&w->stage, "%zu sessions instead of %zu", stats.n_sessions, n_sessions);
	if (stats.n_streams != stats.n_sessions)
		stage_fail(&w->stage, "%zu streams in %zu sessions are left over", stats.n_streams,
			   stats.n_sessions);
	if (stats.window_used != 0)
		stage_fail(&w->stage, "%llu bytes of windows are left over",
			   (unsigned long long)stats.window_used);
}

static void world_on_drained(void *arg)
{
	*(bool *)arg = true;
}

/* Agents stop, the server drains, everything closes; nothing may be left that could ever happen. */
static void world_close_all(struct world *w)
{
	bool drained[WORLD_NODES_MAX] = {false};

	for (unsigned i = 0; i < w->n_hosts; i++) {
		w->hosts[i].over = true;
		if (dice_chance(&w->stage.dice, 50))
			host_stop(&w->hosts[i], 0);
	}
	if (dice_chance(&w->stage.dice, 50)) {
		for (unsigned i = 0; i < w->n_nodes; i++)
			node_drain(w->nodes[i].node, world_on_drained, &drained[i]);
		ev_sim_run_for(w->stage.ev, 5000);
		for (unsigned i = 0; i < w->n_nodes; i++)
			if (!drained[i])
				stage_fail(&w->stage, "node %u is idle and does not drain", i);
	}
	ev_sim_run_for(w->stage.ev, dice_length(&w->stage.dice, 3000));
	for (unsigned i = 0; i < w->n_hosts; i++)
		host_end(&w->hosts[i]);
	ev_sim_run_for(w->stage.ev, dice_length(&w->stage.dice, 100));
	clerk_end(w);
	for (unsigned i = 0; i < w->n_nodes; i++) {
		node_free(w->nodes[i].node);
		w->nodes[i].node = NULL;
		ev_timer_stop(w->stage.ev, &w->nodes[i].up);
	}
	stage_close(&w->stage);
}

static void world_free(struct world *w)
{
	for (size_t i = 0; i < w->n_quests; i++)
		free(w->quests[i]);
	stage_free(&w->stage);
	free(w);
}

bool world_run(uint64_t seed, bool verbose, struct stage_result *out)
{
	struct world *w = world_open(seed, verbose);
	bool ok;

	faults_begin(w);
	while (!w->stage.failed && ev_now_ms(w->stage.ev) < w->calm_at_ms)
		ev_sim_run_for(w->stage.ev, w->calm_at_ms - ev_now_ms(w->stage.ev));
	faults_end(w);
	if (!w->stage.failed)
		world_repair(w);
	if (!w->stage.failed)
		out->heal_ms = world_heal(w);
	for (uint64_t ms = 0; !w->stage.failed && w->n_visitors > 0 && ms < SETTLE_MS; ms += 1000)
		ev_sim_run_for(w->stage.ev, 1000);
	if (!w->stage.failed)
		ev_sim_run_for(w->stage.ev, QUIET_MS);
	if (!w->stage.failed)
		world_check_quiet(w);
	if (!w->stage.failed)
		world_close_all(w);
	out->virtual_ms = ev_now_ms(w->stage.ev);
	out->n_visits = w->n_quests;
	out->trace = w->stage.trace;
	ok = !w->stage.failed;
	if (ok)
		world_free(w);
	return ok;
}
