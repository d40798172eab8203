/* Each callback checks what must hold at any time, so a world only has to happen to be tested. */
#include "unit/cluster/roster_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

const uint8_t rig_key[ROSTER_KEY_LEN] = {1, 2, 3, 4};

/* The process that has this id now, or had it last. */
static struct rig_node *rig_by_id(struct roster_rig *g, const char *id)
{
	for (unsigned i = g->n_nodes; i > 0; i--)
		if (strcmp(g->nodes[i - 1].id, id) == 0)
			return &g->nodes[i - 1];
	fail_msg("no such node: %s", id);
	return NULL;
}

static void rig_on_node(void *arg, const struct roster_node *said)
{
	struct rig_node *n = arg;
	struct rig_node *other = rig_by_id(n->rig, said->id);

	assert_ptr_not_equal(n, other);
	if (!n->knows[other->number]) {
		/* it lives, or did when it sent what is under way */
		assert_true(other->roster != NULL ||
			    ev_now_ms(n->rig->ev) - other->died_ms <= n->rig->patience);
		free(n->heard[other->number]);
		n->heard[other->number] = must_calloc(n->rig->n_tunnels, sizeof(uint64_t));
		memset(n->held[other->number], 0, sizeof n->held[0]);
	}
	n->knows[other->number] = true;
	n->said[other->number] = *said;
	n->n_node++;
}

static void rig_on_gone(void *arg, const char *id)
{
	struct rig_node *n = arg;
	bool knew = false;

	/* an id may have had two processes */
	for (unsigned i = 0; i < n->rig->n_nodes; i++)
		if (strcmp(n->rig->nodes[i].id, id) == 0 && n->knows[i]) {
			knew = true;
			n->knows[i] = false;
		}
	assert_true(knew);
	n->n_gone++;
}

static int rig_on_serves(void *arg, const char *id, struct str tunnel,
			 const struct node_entry *entry)
{
	struct rig_node *n = arg;
	struct rig_node *other = rig_by_id(n->rig, id);
	uint64_t value = entry == NULL ? 0 : entry->agents[0].epoch;
	uint64_t *heard;
	size_t t = 0;

	assert_true(n->knows[other->number]);
	for (size_t i = 1; i < tunnel.len; i++)
		t = t * 10 + (size_t)(tunnel.p[i] - '0');
	assert_true(t < n->rig->n_tunnels);
	heard = &n->heard[other->number][t];
	if (entry != NULL && n->n_short > 0) {
		n->n_short--;
		n->short_of = true;
		return ERR_NOMEM;
	}
	if (entry == NULL && n->short_of) { /* what could not be kept is not there any more */
		n->short_of = false;
		*heard = 0;
		return 0;
	}
	/* nothing old comes back, nothing is told twice */
	assert_true(value == 0 ? *heard != 0 : value > *heard);
	*heard = value;
	n->n_serves++;
	return 0;
}

/* What one node says of an account; 0: nothing. */
static uint32_t rig_ask(const struct rig_node *n, const struct rig_node *other, size_t account)
{
	const struct roster_peer *p = roster_find(n->roster, other->id);
	struct node_entry_agent own = {.agent = 7, .epoch = 1, .carriers = UINT64_MAX};
	struct core_held held = {0};
	char name[16];
	size_t len = str_printf(name, sizeof name, "a%zu", account);

	assert_non_null(p);
	roster_copy_held(&p->copy, (struct str){name, len}, &own, &held);
	assert_int_equal(held.n_own, MIN(held.n, 64U));
	return (uint32_t)held.n;
}

static void rig_on_holds(void *arg, const char *id, struct str account)
{
	struct rig_node *n = arg;
	struct rig_node *other = rig_by_id(n->rig, id);
	size_t a = 0;
	uint32_t now;

	assert_true(n->knows[other->number]);
	for (size_t i = 1; i < account.len; i++)
		a = a * 10 + (size_t)(account.p[i] - '0');
	assert_true(a < RIG_ACCOUNTS);
	now = rig_ask(n, other, a);
	assert_int_not_equal(now, n->held[other->number][a]); /* nothing is told twice */
	n->held[other->number][a] = now;
	n->n_holds++;
}

static void rig_on_room(void *arg, struct str account)
{
	struct rig_node *n = arg;

	assert_true(str_eq(account, STR("a1")));
	n->n_rooms++;
}

static void rig_on_wrote(void *arg, struct str kind, struct str key)
{
	struct rig_node *n = arg;

	assert_true(str_eq(kind, STR("tunnel")));
	assert_int_equal(str_copy(n->wrote, sizeof n->wrote, key), 0);
	n->n_wrote++;
}

static void rig_on_order(void *arg, const struct core_order *o)
{
	struct rig_node *n = arg;

	n->order = *o;
	n->n_orders++;
}

static void rig_on_load(void *arg, uint32_t *sessions, uint32_t *visitors)
{
	struct rig_node *n = arg;

	*sessions = 1;
	*visitors = n->visitors;
}

static const struct roster_owner rig_owner = {
	.node = rig_on_node,
	.gone = rig_on_gone,
	.serves = rig_on_serves,
	.holds = rig_on_holds,
	.room = rig_on_room,
	.wrote = rig_on_wrote,
	.order = rig_on_order,
	.load = rig_on_load,
};

static void rig_log(void *arg, enum log_level level, const char *line, size_t len)
{
}

void rig_new(struct roster_rig *g, uint64_t seed, size_t n_tunnels)
{
	memset(g, 0, sizeof *g);
	assert_true(n_tunnels <= RIG_TUNNELS_MAX);
	g->n_tunnels = n_tunnels;
	g->patience = 10;
	g->log = (struct log){.level = LOG_INFO, .write = rig_log};
	assert_int_equal(ev_sim_new(seed, &g->ev), 0);
	assert_int_equal(lossy_net_new(g->ev, seed, &g->net), 0);
}

void rig_free(struct roster_rig *g)
{
	for (unsigned i = 0; i < g->n_nodes; i++) {
		struct rig_node *n = &g->nodes[i];

		if (n->roster != NULL)
			rig_leave(n);
		free(n->serves);
		for (unsigned k = 0; k < RIG_NODES_MAX; k++)
			free(n->heard[k]);
	}
	lossy_net_free(g->net);
	ev_free(g->ev);
}

struct rig_node *rig_join(struct roster_rig *g, const char *id)
{
	struct rig_node *n = &g->nodes[g->n_nodes];
	struct roster_opt opt = {
		.log = &g->log,
		.key = rig_key,
		.self = {.epoch = 1000 + g->n_nodes, .hop = "127.0.0.1:1", .version = "1"},
		.owner = &rig_owner,
		.arg = n,
	};

	assert_true(g->n_nodes < RIG_NODES_MAX);
	n->rig = g;
	n->number = g->n_nodes++;
	str_printf(n->id, sizeof n->id, "%016x", n->number + 1);
	if (id != NULL)
		memcpy(n->id, id, sizeof n->id);
	memcpy(opt.self.id, n->id, sizeof n->id);
	n->serves = must_calloc(g->n_tunnels, sizeof *n->serves);
	assert_int_equal(lossy_bus_new(g->net, n->id, &n->bus), 0);
	opt.bus = n->bus;
	assert_int_equal(roster_new(g->ev, &opt, &n->roster), 0);
	roster_start(n->roster);
	return n;
}

void rig_leave(struct rig_node *n)
{
	roster_free(n->roster);
	bus_close(n->bus);
	n->roster = NULL;
	n->bus = NULL;
	n->died_ms = ev_now_ms(n->rig->ev);
}

void rig_kill(struct rig_node *n)
{
	lossy_bus_silence(n->bus);
	rig_leave(n);
}

void rig_tell(struct rig_node *n, size_t tunnel, bool serves)
{
	struct node_entry entry = {.up = true, .n_agents = 1};
	char name[16];
	size_t len = str_printf(name, sizeof name, "t%zu", tunnel);

	n->serves[tunnel] = serves ? ++n->rig->clock : 0;
	entry.agents[0] = (struct node_entry_agent){7, n->serves[tunnel], 1};
	roster_tell(n->roster, (struct str){name, len}, serves ? &entry : NULL);
}

void rig_hold(struct rig_node *n, size_t account, uint32_t sessions)
{
	struct node_held held = {.n = sessions, .n_agents = sessions > 0};
	char name[16];
	size_t len = str_printf(name, sizeof name, "a%zu", account);

	n->holds[account] = sessions;
	held.agents[0] = (struct node_entry_agent){7, 1,
						   sessions < 64 ? (UINT64_C(1) << sessions) - 1
								 : UINT64_MAX};
	roster_tell_held(n->roster, (struct str){name, len}, &held);
}

static bool rig_agree(const struct rig_node *a, const struct rig_node *b)
{
	size_t bytes = a->rig->n_tunnels * sizeof(uint64_t);

	if (!a->knows[b->number]) {
		print_message("%u does not know %u\n", a->number, b->number);
		return false;
	}
	if (a->said[b->number].draining != b->draining) {
		print_message("%u does not know that %u drains\n", a->number, b->number);
		return false;
	}
	if (memcmp(a->heard[b->number], b->serves, bytes) != 0) {
		print_message("%u does not know what %u serves\n", a->number, b->number);
		return false;
	}
	for (size_t i = 0; i < RIG_ACCOUNTS; i++)
		if (a->held[b->number][i] != b->holds[i] || rig_ask(a, b, i) != b->holds[i]) {
			print_message("%u does not know whose sessions %u has\n", a->number,
				      b->number);
			return false;
		}
	return true;
}

bool rig_agrees(const struct roster_rig *g)
{
	for (unsigned i = 0; i < g->n_nodes; i++)
		for (unsigned k = 0; k < g->n_nodes; k++)
			if (i != k && g->nodes[i].roster != NULL && g->nodes[k].roster != NULL &&
			    !rig_agree(&g->nodes[i], &g->nodes[k]))
				return false;
	return true;
}

bool rig_is_tidy(const struct roster_rig *g)
{
	for (unsigned i = 0; i < g->n_nodes; i++)
		for (unsigned k = 0; k < g->n_nodes; k++)
			if (g->nodes[i].roster != NULL && g->nodes[k].roster == NULL &&
			    g->nodes[i].knows[k]) {
				print_message("%u still knows %u\n", i, k);
				return false;
			}
	return true;
}
