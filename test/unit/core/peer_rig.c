/* Nodes without a bus: what one says the others have heard when it has said it. */
#include "unit/core/peer_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

const char *const peer_rig_ids[PEER_RIG_N] = {"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb",
					      "cccccccccccccccc"};

struct port {
	struct peer_node *n;
};

/* ---- between nodes ---- */

static void peer_rig_note(struct peer_node *n, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void peer_rig_note(struct peer_node *n, const char *fmt, ...)
{
	size_t at = strlen(n->said);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(n->said + at, sizeof n->said - at, fmt, ap);
	va_end(ap);
}

bool peer_rig_said(struct peer_node *n, const char *want)
{
	bool is = strcmp(n->said, want) == 0;

	if (!is)
		print_error("said <%s> instead of <%s>\n", n->said, want);
	n->said[0] = '\0';
	return is;
}

void peer_rig_on_serves(void *arg, struct str tunnel, const struct node_entry *entry)
{
	struct peer_node *n = arg;

	if (entry != NULL)
		peer_rig_note(n, STR_FMT "+%d/%u/%u ", STR_ARG(tunnel), entry->up, entry->priority,
			      node_entry_sessions(entry));
	else
		peer_rig_note(n, STR_FMT "- ", STR_ARG(tunnel));
	for (int i = 0; i < PEER_RIG_N && !n->mute; i++)
		if (n->w->node[i].way[n - n->w->node].peer != NULL)
			assert_int_equal(core_peer_serves(n->w->node[i].way[n - n->w->node].peer,
							  tunnel, entry),
					 0);
}

/* Where the sessions of an account are noted; an empty place if there is none. */
static struct peer_row *peer_rig_row(struct peer_node *n, struct str account)
{
	struct peer_row *row = n->rows;

	while (row < n->rows + ARRAY_LEN(n->rows) && row->account[0] != '\0' &&
	       !str_eq(str_of(row->account), account))
		row++;
	assert_true(row < n->rows + ARRAY_LEN(n->rows));
	return row;
}

static void peer_rig_on_holds(void *arg, struct str account, const struct node_held *held)
{
	struct peer_node *n = arg;
	struct peer_row *row = peer_rig_row(n, account);

	n->n_told++;
	assert_int_equal(str_copy(row->account, sizeof row->account, account), 0);
	row->held.n = held->n;
	row->held.n_agents = held->n_agents;
	memcpy(row->held.agents, held->agents, held->n_agents * sizeof held->agents[0]);
	for (int i = 0; i < PEER_RIG_N && !n->mute; i++)
		if (n->w->node[i].way[n - n->w->node].peer != NULL)
			core_on_held_elsewhere(n->w->node[i].rig.core, account);
}

static void peer_rig_on_held(void *arg, struct str account, const struct node_entry_agent *own,
			     struct core_held *out)
{
	struct peer_node *n = arg;

	*out = (struct core_held){0};
	for (int i = 0; i < PEER_RIG_N; i++) {
		const struct node_held *h = &peer_rig_row(&n->w->node[i], account)->held;

		if (n->way[i].peer == NULL)
			continue;
		out->n += h->n;
		for (unsigned k = 0; k < h->n_agents; k++)
			if (h->agents[k].agent == own->agent && h->agents[k].epoch == own->epoch)
				out->n_own += (size_t)__builtin_popcountll(h->agents[k].carriers &
									   own->carriers);
	}
}

static void peer_rig_on_room(void *arg, struct str account)
{
	struct peer_node *n = arg;

	n->n_rooms++;
	for (int i = 0; i < PEER_RIG_N && !n->mute; i++)
		if (&n->w->node[i] != n && n->w->node[i].rig.core != NULL)
			core_on_room(n->w->node[i].rig.core, account);
}

static void peer_rig_on_wrote(void *arg, struct str kind, struct str key)
{
	struct peer_node *n = arg;

	for (int i = 0; i < PEER_RIG_N && !n->mute; i++)
		if (&n->w->node[i] != n && n->w->node[i].rig.core != NULL)
			core_on_written_elsewhere(n->w->node[i].rig.core, kind, key);
}

static void peer_rig_on_order(void *arg, const struct core_order *o)
{
	struct peer_node *n = arg;

	n->n_orders++;
	for (int i = 0; i < PEER_RIG_N && !n->mute; i++)
		if (&n->w->node[i] != n)
			core_on_order(n->w->node[i].rig.core, o);
}

static int peer_rig_on_open(void *arg, const struct visit *visit, struct wire **out)
{
	struct peer_way *way = arg;
	struct peer_node *to = way->to;
	struct visit v = *visit;
	uint64_t place;
	struct tunnel *t;

	to->visit = *visit;
	if (to->dies) {
		core_peer_free(way->peer);
		way->peer = NULL;
		return ERR_NOSESSION;
	}
	if (visit->ingress == VISIT_NODE)
		return to->asked == NULL ? ERR_NOSESSION : to->asked(to, visit, out);
	*out = NULL;
	to->n_opened += to->open_e == 0;
	if (to->open_e != 0 || !to->through)
		return to->open_e;
	t = core_tunnel(to->rig.core, str_of(v.tunnel));
	return t == NULL ? ERR_NOSESSION : tunnel_dial(t, &v, &place, out);
}

/* ---- ports ---- */

static int peer_rig_take(void *arg, const char *bind, uint16_t number, struct port **out)
{
	struct port *p = calloc(1, sizeof *p);

	assert_non_null(p);
	p->n = arg;
	*out = p;
	return 0;
}

static int peer_rig_let(struct port *p, const char *tunnel)
{
	str_printf(p->n->let, sizeof p->n->let, "%s", tunnel != NULL ? tunnel : "");
	return 0;
}

static void peer_rig_give_up(struct port *p)
{
	free(p);
}

/* ---- the world ---- */

void peer_rig_run(struct peer_rig *w, uint64_t ms)
{
	ev_sim_run_for(w->r.ev, ms);
}

void peer_rig_meet(struct peer_node *n, int other)
{
	struct peer_way *way = &n->way[other];
	struct core_peer_opt opt = {.open = peer_rig_on_open, .arg = way};

	memcpy(opt.id, peer_rig_ids[other], sizeof opt.id);
	assert_int_equal(core_peer_new(n->rig.core, &opt, &way->peer), 0);
}

static void peer_rig_on_started(void *arg, const struct core_started *result)
{
	assert_int_equal(result->e, 0);
	++*(int *)arg;
}

void peer_rig_start(struct peer_rig *w, int i)
{
	struct peer_node *n = &w->node[i];
	struct core_opt opt = w->r.opt;
	int started = 0;

	n->w = w;
	n->rig = w->r;
	opt.ports = (struct core_ports){peer_rig_take, peer_rig_let, peer_rig_give_up, n};
	opt.cluster = (struct core_cluster){.self = peer_rig_ids[i],
					    .serves = peer_rig_on_serves,
					    .holds = peer_rig_on_holds,
					    .held = peer_rig_on_held,
					    .room = peer_rig_on_room,
					    .wrote = peer_rig_on_wrote,
					    .order = peer_rig_on_order,
					    .arg = n};
	assert_int_equal(core_new(w->r.ev, &opt, &n->rig.core), 0);
	for (int k = 0; k < PEER_RIG_N; k++)
		n->way[k] = (struct peer_way){.from = n, .to = &w->node[k]};
	assert_int_equal(core_start(n->rig.core, peer_rig_on_started, &started), 0);
	peer_rig_run(w, 20);
	assert_int_equal(started, 1);
}

void peer_rig_new(struct peer_rig *w)
{
	memset(w, 0, sizeof *w);
	core_rig_new(&w->r, true);
	core_free(w->r.core);
	w->r.core = NULL;
	for (int i = 0; i < PEER_RIG_N; i++)
		peer_rig_start(w, i);
	for (int i = 0; i < PEER_RIG_N; i++)
		for (int k = 0; k < PEER_RIG_N; k++)
			if (i != k)
				peer_rig_meet(&w->node[i], k);
	core_rig_account(&w->node[0].rig, &w->ann);
	core_rig_account(&w->node[0].rig, &w->bob);
	for (int i = 0; i < PEER_RIG_N; i++)
		w->node[i].said[0] = '\0';
}

void peer_rig_part(struct peer_rig *w, int n)
{
	for (int i = 0; i < PEER_RIG_N; i++) {
		core_peer_free(w->node[i].way[n].peer);
		w->node[i].way[n].peer = NULL;
	}
}

void peer_rig_free(struct peer_rig *w)
{
	for (int i = 0; i < PEER_RIG_N; i++)
		peer_rig_part(w, i);
	for (int i = 0; i < PEER_RIG_N; i++)
		core_free(w->node[i].rig.core);
	core_rig_free(&w->r);
}

void peer_rig_join(struct peer_rig *w, struct fake *f, int node, const char *agent, uint64_t epoch,
		   unsigned carrier)
{
	struct core_agent who = {.epoch = epoch, .carrier = carrier};

	str_printf(who.id, sizeof who.id, "%s", agent);
	fake_join(f, &w->node[node].rig, &w->ann, &who);
	f->session.heard_ms = ev_now_ms(w->r.ev);
}

void peer_rig_serve(struct peer_rig *w, struct fake *f, int node, const char *agent)
{
	peer_rig_join(w, f, node, agent, 1, 0);
	assert_int_equal(core_rig_attach(f, "demo", "").result.e, 0);
}

void peer_rig_put(struct peer_rig *w, const char *name, const char *members)
{
	char value[512];

	str_printf(value, sizeof value, "{\"account\":\"%s\",%s}", w->ann.account, members);
	core_rig_put(&w->r, "tunnel", name, value);
}

struct node_entry peer_rig_entry(struct peer_rig *w, const char *agent, uint64_t epoch,
				 uint64_t carriers)
{
	struct node_entry e = {.up = true, .n_agents = 1};

	e.agents[0] = (struct node_entry_agent){node_entry_agent_id(w->ann.account, agent), epoch,
						carriers};
	return e;
}

static void peer_rig_on_lookup(void *arg, int e)
{
	*(int *)arg = e;
}

int peer_rig_lookup(struct peer_rig *w, int node, const char *name, const char *host)
{
	struct core *c = w->node[node].rig.core;
	int answer = -1;

	assert_non_null(host != NULL ? core_lookup_at(c, str_of(host), peer_rig_on_lookup, &answer)
				     : core_lookup(c, str_of(name), peer_rig_on_lookup, &answer));
	peer_rig_run(w, 20);
	assert_int_not_equal(answer, -1);
	return answer;
}

struct tunnel *peer_rig_demo(struct peer_rig *w, int node)
{
	return core_tunnel(w->node[node].rig.core, STR("demo"));
}
