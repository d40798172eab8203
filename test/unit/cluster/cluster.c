/*
 * The joint between roster, core and hop. Core and hop are replaced by fakes that write down what
 * they are asked for: what they do themselves is tested where they stand.
 */
#include "cluster/cluster.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/lossy_bus.h"

static const uint8_t key[ROSTER_KEY_LEN] = {9};

/* ---- fakes ---- */

struct core {
	struct core_peer *peer; /* the last one that came; NULL: gone again */
	unsigned n_peers, n_wrote, n_orders, n_rooms;
	char wrote[64], held[16]; /* the last account that has other sessions elsewhere */
};

struct core_peer {
	struct core *core;
	struct core_peer_opt opt;
	enum peer_state state;
	uint32_t load;
	char tunnel[32]; /* the last one; "": not served any more */
};

struct hop {
	struct hop_opt opt;
	struct hop_peer *peer;
	unsigned n_peers;
	char local[ROSTER_ADDR_TEXT];
	bool listens;
	const struct core *core; /* whose peer must be gone before ours */
};

struct hop_peer {
	struct hop *hop;
	void *arg;
	char addr[ROSTER_ADDR_TEXT];
	unsigned n_opened, n_heard;
};

static int refuse_next; /* what core_peer_new() returns */

int core_peer_new(struct core *c, const struct core_peer_opt *opt, struct core_peer **out)
{
	if (refuse_next != 0)
		return refuse_next;
	*out = must_calloc(1, sizeof **out);
	(*out)->core = c;
	(*out)->opt = *opt;
	c->peer = *out;
	c->n_peers++;
	return 0;
}

void core_peer_free(struct core_peer *p)
{
	if (p == NULL)
		return;
	p->core->n_peers--;
	p->core->peer = NULL;
	free(p);
}

void core_peer_set_state(struct core_peer *p, enum peer_state state)
{
	p->state = state;
}

void core_peer_set_load(struct core_peer *p, uint32_t visitors)
{
	p->load = visitors;
}

int core_peer_serves(struct core_peer *p, struct str tunnel, const struct node_entry *entry)
{
	p->tunnel[0] = '\0';
	return entry == NULL ? 0 : str_copy(p->tunnel, sizeof p->tunnel, tunnel);
}

void core_on_written_elsewhere(struct core *c, struct str kind, struct str rkey)
{
	c->n_wrote++;
	assert_int_equal(str_copy(c->wrote, sizeof c->wrote, rkey), 0);
}

void core_on_held_elsewhere(struct core *c, struct str account)
{
	assert_int_equal(str_copy(c->held, sizeof c->held, account), 0);
}

void core_on_room(struct core *c, struct str account)
{
	assert_true(str_eq(account, STR("ann")));
	c->n_rooms++;
}

void core_on_order(struct core *c, const struct core_order *o)
{
	assert_string_equal(o->tunnel, "t");
	c->n_orders++;
}

static struct hop *last_hop;

int hop_new(struct ev *ev, const struct hop_opt *opt, struct hop **out)
{
	*out = must_calloc(1, sizeof **out);
	(*out)->opt = *opt;
	last_hop = *out;
	return 0;
}

void hop_free(struct hop *h)
{
	assert_true(h == NULL || h->n_peers == 0);
	free(h);
}

int hop_listen(struct hop *h, const struct net_addr *addr, uint16_t *port)
{
	h->listens = true;
	*port = net_addr_port(addr) == 0 ? 4711 : net_addr_port(addr);
	return 0;
}

int hop_listen_local(struct hop *h, const char *path)
{
	if (strcmp(path, "/taken") == 0)
		return ERR_INUSE;
	return str_copy(h->local, sizeof h->local, str_of(path));
}

size_t hop_load(const struct hop *h)
{
	return 5;
}

int hop_peer_new(struct hop *h, const struct roster_node *n, void *arg, struct hop_peer **out)
{
	if (n->hop[0] == '\0')
		return ERR_INVAL;
	*out = must_calloc(1, sizeof **out);
	(*out)->hop = h;
	(*out)->arg = arg;
	memcpy((*out)->addr, n->hop, sizeof n->hop);
	h->peer = *out;
	h->n_peers++;
	return 0;
}

void *hop_peer_arg(const struct hop_peer *p)
{
	return p->arg;
}

int hop_peer_open(struct hop_peer *p, const struct visit *visit, struct wire **out)
{
	p->n_opened++;
	return ERR_LIMIT;
}

void hop_peer_heard(struct hop_peer *p)
{
	if (p != NULL)
		p->n_heard++;
}

void hop_peer_free(struct hop_peer *p)
{
	if (p == NULL)
		return;
	/* or its visitors would be sent to it again */
	assert_null(p->hop->core->peer);
	p->hop->n_peers--;
	p->hop->peer = NULL;
	free(p);
}

/* ---- the rig ---- */

struct node {
	struct cluster *cluster;
	struct core core;
	struct hop *hop;
	struct core_cluster tell;
	unsigned n_changed;
	uint32_t visitors;
};

struct rig {
	struct ev *ev;
	struct log log;
	struct lossy_net *net;
	struct node nodes[2];
};

static void node_on_visit(void *arg, const struct visit *visit, struct wire *w)
{
	((struct node *)arg)->visitors += 100;
}

static void node_on_load(void *arg, uint32_t *sessions, uint32_t *visitors)
{
	*sessions = 1;
	*visitors = ((struct node *)arg)->visitors;
}

static void node_on_changed(void *arg)
{
	((struct node *)arg)->n_changed++;
}

static void rig_log(void *arg, enum log_level level, const char *line, size_t len)
{
}

/* listen: what node 0 listens on; hop, local: what it says of itself. Returns what starting it
 * did. */
static int rig_new(struct rig *g, const char *listen, const char *hop, const char *local)
{
	int e[2];

	memset(g, 0, sizeof *g);
	g->log = (struct log){.level = LOG_INFO, .write = rig_log};
	assert_int_equal(ev_sim_new(1, &g->ev), 0);
	assert_int_equal(lossy_net_new(g->ev, 1, &g->net), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct node *n = &g->nodes[i];
		struct net_addr addr;
		struct cluster_opt opt = {
			.log = &g->log,
			.key = key,
			.visit = node_on_visit,
			.load = node_on_load,
			.changed = node_on_changed,
			.arg = n,
		};

		str_printf(opt.self.id, sizeof opt.self.id, "%016x", i + 1);
		assert_int_equal(lossy_bus_new(g->net, opt.self.id, &opt.bus), 0);
		if (i == 0) {
			str_printf(opt.self.hop, sizeof opt.self.hop, "%s", hop);
			str_printf(opt.self.local, sizeof opt.self.local, "%s", local);
		}
		if (i == 0 && listen != NULL) {
			assert_int_equal(net_addr_parse(str_of(listen), &addr), 0);
			opt.listen = &addr;
		}
		assert_int_equal(cluster_new(g->ev, &opt, &n->cluster), 0);
		n->hop = last_hop;
		n->hop->core = &n->core;
		cluster_core(n->cluster, &n->tell);
		e[i] = cluster_start(n->cluster, &n->core);
	}
	assert_int_equal(e[1], 0);
	ev_sim_run_for(g->ev, 20);
	return e[0];
}

static void rig_free(struct rig *g)
{
	for (unsigned i = 0; i < 2; i++)
		cluster_free(g->nodes[i].cluster);
	lossy_net_free(g->net);
	ev_free(g->ev);
}

static void test_held(struct rig *g)
{
	const struct node_held two = {.n = 2, .n_agents = 1, .agents = {{7, 1, 3}}};
	const struct node_entry_agent own = {7, 1, 2};
	struct node *a = &g->nodes[0], *b = &g->nodes[1];
	struct core_held held;

	a->tell.holds(a->tell.arg, STR("ann"), &two);
	a->tell.room(a->tell.arg, STR("ann"));
	ev_sim_run_for(g->ev, 5);
	assert_string_equal(b->core.held, "ann");
	assert_int_equal(b->core.n_rooms, 1);
	b->tell.held(b->tell.arg, STR("ann"), &own, &held);
	assert_int_equal(held.n, 2);
	assert_int_equal(held.n_own, 1);
	a->tell.held(a->tell.arg, STR("ann"), &own, &held);
	assert_int_equal(held.n, 0);
}

static void test_peers(void **state)
{
	const struct node_entry entry = {.up = true, .n_agents = 1, .agents = {{1, 1, 1}}};
	struct visit visit = {.tunnel = "t"};
	struct wire *w = NULL;
	struct rig g;
	struct node *a = &g.nodes[0], *b = &g.nodes[1];

	assert_int_equal(rig_new(&g, "127.0.0.1:0", "", ""), 0);
	assert_int_equal(cluster_n(a->cluster), 1);
	assert_int_equal(b->core.n_peers, 1);
	assert_string_equal(b->core.peer->opt.id, cluster_self(a->cluster)->id);
	assert_string_equal(a->tell.self, "0000000000000001");
	assert_true(a->n_changed > 0 && b->n_changed > 0);

	print_message("the port in force is what others are told\n");
	assert_string_equal(b->hop->peer->addr, "127.0.0.1:4711");
	assert_int_equal(b->core.peer->state, PEER_GOOD);
	print_message("who says no address cannot be reached\n");
	assert_int_equal(a->hop->n_peers, 0);
	assert_int_equal(a->core.peer->state, PEER_UNREACHABLE);
	assert_int_equal(a->core.peer->opt.open(a->core.peer->opt.arg, &visit, &w), ERR_NOSESSION);

	print_message("streams go by the hop, and come to the node\n");
	assert_int_equal(b->core.peer->opt.open(b->core.peer->opt.arg, &visit, &w), ERR_LIMIT);
	assert_int_equal(b->hop->peer->n_opened, 1);
	a->hop->opt.visit(a->hop->opt.arg, &visit, w);
	assert_int_equal(a->visitors, 100);
	assert_int_equal(cluster_load(a->cluster), 5);

	print_message("what the core tells comes to the other core\n");
	a->tell.serves(a->tell.arg, STR("t"), &entry);
	a->tell.wrote(a->tell.arg, STR("tunnel"), STR("t"));
	a->tell.order(a->tell.arg, &(struct core_order){.tunnel = "t", .account = "x"});
	ev_sim_run_for(g.ev, 5);
	assert_string_equal(b->core.peer->tunnel, "t");
	assert_string_equal(b->core.wrote, "t");
	assert_int_equal(b->core.n_orders, 1);
	test_held(&g);
	a->tell.serves(a->tell.arg, STR("t"), NULL);
	ev_sim_run_for(g.ev, 5);
	assert_string_equal(b->core.peer->tunnel, "");

	print_message("the load comes with the beats\n");
	ev_sim_run_for(g.ev, BUS_BEAT_MS + 10);
	assert_int_equal(b->core.peer->load, 100);
	print_message("also when it is as before: whom the core has sent there since is in it\n");
	b->core.peer->load += 5;
	ev_sim_run_for(g.ev, BUS_BEAT_MS + 10);
	assert_int_equal(b->core.peer->load, 100);

	print_message("who leaves is gone, and with it its peer of core and hop\n");
	cluster_free(a->cluster);
	a->cluster = NULL;
	ev_sim_run_for(g.ev, 5);
	assert_int_equal(b->core.n_peers, 0);
	assert_int_equal(b->hop->n_peers, 0);
	rig_free(&g);
}

static bool silent_passes(void *arg, const char *from, const char *to)
{
	return false;
}

/* A node that was not heard for a while, though not long enough to be gone, was away: perhaps there
 * is a way to it again. One that goes on beating tells nothing of that. */
static void test_silence(void **state)
{
	static const struct {
		const char *why;
		uint32_t ms;
		unsigned want;
	} cases[] = {
		{"it beats", 0, 0},
		{"a beat was lost", BUS_BEAT_MS - 100, 0},
		{"it is silent", 3 * BUS_BEAT_MS, 1},
		{"it is silent once more", 3 * BUS_BEAT_MS, 2},
		{"it goes on", 0, 2},
	};
	const struct lossy_rules fine = {0}, none = {.passes = silent_passes};
	struct rig g;
	struct node *b = &g.nodes[1];

	assert_int_equal(rig_new(&g, "127.0.0.1:77", "", ""), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		lossy_net_rule(g.net, &none);
		ev_sim_run_for(g.ev, cases[i].ms);
		lossy_net_rule(g.net, &fine);
		ev_sim_run_for(g.ev, 5 * BUS_BEAT_MS);
		assert_int_equal(b->core.n_peers, 1);
		assert_int_equal(b->hop->peer->n_heard, cases[i].want);
	}
	rig_free(&g);
}

/* The worse of what a node says and what is found of it. */
static void test_states(void **state)
{
	static const struct {
		const char *why;
		enum peer_state reach, alone, draining;
	} cases[] = {
		{"fine", PEER_GOOD, PEER_GOOD, PEER_DRAINING},
		{"late", PEER_LATE, PEER_LATE, PEER_DRAINING},
		{"takes no new streams", PEER_DRAINING, PEER_DRAINING, PEER_DRAINING},
		{"out of reach", PEER_UNREACHABLE, PEER_UNREACHABLE, PEER_UNREACHABLE},
	};
	struct rig g;
	struct node *a = &g.nodes[0], *b = &g.nodes[1];

	assert_int_equal(rig_new(&g, "127.0.0.1:77", "", "/s"), 0);
	assert_string_equal(a->hop->local, "/s");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		b->hop->opt.state(b->hop->opt.arg, b->hop->peer, cases[i].reach);
		assert_int_equal(b->core.peer->state, cases[i].alone);
	}
	cluster_drain(a->cluster);
	ev_sim_run_for(g.ev, 5);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s, and draining\n", cases[i].why);
		b->hop->opt.state(b->hop->opt.arg, b->hop->peer, cases[i].reach);
		assert_int_equal(b->core.peer->state, cases[i].draining);
	}
	rig_free(&g);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *why, *listen, *hop, *local;
		int want;
		const char *told;
	} cases[] = {
		{"no listening", NULL, "", "", 0, ""},
		{"one address", "127.0.0.1:5", "", "", 0, "127.0.0.1:5"},
		{"any port", "127.0.0.1:0", "", "", 0, "127.0.0.1:4711"},
		{"IPv6", "[::1]:0", "", "", 0, "[::1]:4711"},
		{"every address, and nothing to tell others", "0.0.0.0:5", "", "", ERR_INVAL, ""},
		{"every address, known to others as", "0.0.0.0:5", "10.0.0.1:5", "", 0,
		 "10.0.0.1:5"},
		{"another port outside", "0.0.0.0:5", "10.0.0.1:6", "", 0, "10.0.0.1:6"},
		{"any port, known by its address", "0.0.0.0:0", "10.0.0.1:0", "", 0,
		 "10.0.0.1:4711"},
		{"no address", "127.0.0.1:5", "example.org:5", "", ERR_INVAL, ""},
		{"a path that is in use", NULL, "", "/taken", ERR_INUSE, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig g;

		print_message("%s\n", cases[i].why);
		assert_int_equal(rig_new(&g, cases[i].listen, cases[i].hop, cases[i].local),
				 cases[i].want);
		if (cases[i].want == 0)
			assert_string_equal(cluster_self(g.nodes[0].cluster)->hop, cases[i].told);
		rig_free(&g);
	}
}

/* A core that takes no more nodes: it is as if this one were not there, and harmless. */
static void test_refused(void **state)
{
	const struct node_entry entry = {.up = true, .n_agents = 1, .agents = {{1, 1, 1}}};
	struct rig g;
	struct node *a = &g.nodes[0], *b = &g.nodes[1];

	refuse_next = ERR_NOMEM;
	assert_int_equal(rig_new(&g, "127.0.0.1:77", "", ""), 0);
	assert_int_equal(a->core.n_peers + b->core.n_peers, 0);
	assert_int_equal(cluster_n(b->cluster), 1);
	a->tell.serves(a->tell.arg, STR("t"), &entry);
	ev_sim_run_for(g.ev, 5);
	b->hop->opt.state(b->hop->opt.arg, b->hop->peer, PEER_LATE);
	rig_free(&g);
	refuse_next = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peers),	cmocka_unit_test(test_silence),
		cmocka_unit_test(test_states),	cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
