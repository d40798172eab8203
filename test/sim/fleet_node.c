/* Nodes that begin, end, drain and are cut off; and the two nets between them. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/fleet.h"
#include "sim/fleet_rules.h"

/* A node that is drained has so long, at most, in milliseconds, after it has said that nothing runs
 * any more: its last words are on their way. */
#define DRAINED_MS 1000

/* A port that a node holds: see core_ports. */
struct port {
	struct list link; /* in fleet_node.ports */
	struct fleet_node *node;
	uint16_t number;
	char tunnel[HOSTNAME_MAX + 1]; /* "": it refuses */
};

static const struct access_ports fleet_ports = {FLEET_PORT_FIRST,
						FLEET_PORT_FIRST + FLEET_PORTS - 1};

static struct ev *node_ev(const struct fleet_node *n)
{
	return n->fleet->stage.ev;
}

/* ---- ports ---- */

static int node_take_port(void *arg, const char *bind, uint16_t number, struct port **out)
{
	struct fleet_node *n = arg;
	struct port *p = must_calloc(1, sizeof *p);

	LIST_FOR_EACH (link, &n->ports)
		if (CONTAINER_OF(link, struct port, link)->number == number)
			stage_fail(&n->fleet->stage, "node %u takes port %u twice", n->index,
				   number);
	p->node = n;
	p->number = number;
	list_push(&n->ports, &p->link);
	*out = p;
	return 0;
}

static int node_let_port(struct port *p, const char *tunnel)
{
	if (tunnel == NULL)
		tunnel = "";
	if (strcmp(p->tunnel, tunnel) != 0)
		stage_note(&p->node->fleet->stage, "node %u port %u for %s", p->node->index,
			   p->number, tunnel[0] != '\0' ? tunnel : "nobody");
	str_printf(p->tunnel, sizeof p->tunnel, "%s", tunnel);
	return 0;
}

static void node_give_up_port(struct port *p)
{
	if (p == NULL)
		return;
	list_del(&p->link);
	free(p);
}

const char *fleet_node_port(const struct fleet_node *n, uint16_t number)
{
	LIST_FOR_EACH (link, &n->ports) {
		const struct port *p = CONTAINER_OF(link, struct port, link);

		if (p->number == number && p->tunnel[0] != '\0')
			return p->tunnel;
	}
	return NULL;
}

/* ---- asking ---- */

bool fleet_node_serves(const struct fleet_node *n)
{
	return n->node != NULL && !n->draining;
}

struct fleet_node *fleet_node_any(struct fleet *f)
{
	struct fleet_node *found = NULL;
	uint32_t n = 0;

	for (unsigned i = 0; i < f->n_nodes; i++)
		if (fleet_node_serves(&f->nodes[i]) && dice_range(&f->stage.dice, 0, n++) == 0)
			found = &f->nodes[i];
	return found;
}

struct fleet_node *fleet_node_find(struct fleet *f, const char *id)
{
	for (unsigned i = 0; i < f->n_nodes; i++)
		if (f->nodes[i].node != NULL && strcmp(f->nodes[i].id, id) == 0)
			return &f->nodes[i];
	return NULL;
}

bool fleet_node_on_bus(const struct fleet_node *n)
{
	return n->node != NULL && n->cut_ms == 0 && n->fleet->away_ms == 0;
}

unsigned fleet_cable_host(const struct fleet_node *n, unsigned host)
{
	return n->index * FLEET_HOSTS_MAX + host;
}

struct wire *fleet_node_dial(struct fleet_node *n, enum cable_kind kind, unsigned host)
{
	struct node_visitor who = {.tls = false};
	struct wire *a, *b;

	if (n->node == NULL)
		return NULL;
	CHECK(visit_end_set(&who.peer, STR("192.0.2.7"), 40000) == 0);
	CHECK(visit_end_set(&who.local, STR("192.0.2.1"), 80) == 0);
	cable_new(&n->fleet->stage, kind, fleet_cable_host(n, host), &a, &b);
	node_serve(n->node, b, &who);
	return a;
}

/* ---- life ---- */

static void node_on_started(void *arg, const struct core_started *result)
{
	struct fleet *f = arg;

	if (result->e != 0 || result->token[0] != '\0')
		stage_fail(&f->stage, "a server that starts: %s", err_name(result->e));
}

static void node_set_cluster(struct fleet_node *n, struct net_addr *listen,
			     struct node_cluster *out)
{
	struct fleet *f = n->fleet;
	struct roster_node *self = &out->self;
	char text[32];

	str_printf(n->id, sizeof n->id, "%016llx", (unsigned long long)dice_next(&f->stage.dice));
	CHECK(lossy_bus_new(f->bus, n->id, &n->bus) == 0);
	str_printf(text, sizeof text, "10.9.0.%u:7000", n->index + 1);
	CHECK(net_addr_parse(str_of(text), listen) == 0);
	*out = (struct node_cluster){.bus = n->bus,
				     .net = &f->hops.net,
				     .key = f->key,
				     .listen = listen};
	memcpy(self->id, n->id, sizeof self->id);
	str_printf(self->version, sizeof self->version, "1");
	if (f->workers) {
		str_printf(self->machine, sizeof self->machine, "machine");
		str_printf(self->local, sizeof self->local, "/run/%s.hop", n->id);
	}
	if (f->urls)
		str_printf(self->agents, sizeof self->agents, "http://" FLEET_DOMAIN ":%u",
			   FLEET_NODE_PORT + n->index);
}

void fleet_node_start(struct fleet_node *n)
{
	struct fleet *f = n->fleet;
	struct node_cluster cluster;
	struct net_addr listen;
	struct node_opt opt = {
		.log = &f->stage.log,
		.store = f->stage.store,
		.domain = FLEET_DOMAIN,
		.url_scheme = "http",
		.registration = CORE_OPEN,
		.tcp_ports = &fleet_ports,
		.n_tcp_ports = 1,
		.ports = {.take = node_take_port,
			  .let = node_let_port,
			  .give_up = node_give_up_port,
			  .arg = n},
		.cluster = &cluster,
		.deadlines = {.head_ms = 5000, .idle_ms = 8000},
		.sessions_max = 64,
		.window_total = 64 * 1024 * 1024,
	};

	node_set_cluster(n, &listen, &cluster);
	stage_note(&f->stage, "node %u starts as %s", n->index, n->id);
	n->off_bus_ms = ev_now_ms(f->stage.ev);
	CHECK(node_new(f->stage.ev, &opt, &n->node) == 0);
	CHECK(cluster.bus == NULL);
	node_start(n->node, node_on_started, f);
}

static void node_on_up(void *arg)
{
	struct fleet_node *n = arg;

	if (n->node == NULL)
		fleet_node_start(n);
}

/* Visitors hear of a machine that is silent only because they lose patience: at once here. */
static void node_break_cables(struct fleet_node *n, bool dark)
{
	LIST_FOR_EACH_SAFE (link, &n->fleet->stage.cables) {
		struct cable *c = CONTAINER_OF(link, struct cable, link);

		if (c->kind == CABLE_TARGET || c->host / FLEET_HOSTS_MAX != n->index)
			continue;
		if (dark && c->kind == CABLE_SESSION)
			cable_freeze(c, FLEET_DARK_MS);
		else
			cable_cut(c);
	}
	if (dark)
		mem_hop_freeze_between(&n->fleet->hops, n->id, NULL, true);
	else
		mem_hop_cut_between(&n->fleet->hops, n->id, NULL);
}

void fleet_node_end(struct fleet_node *n, enum fleet_end how, uint32_t back_ms)
{
	static const char *const words[] = {"stops", "dies", "darkens"};
	struct fleet *f = n->fleet;
	struct fleet_dead *dead = &f->dead[f->n_dead++];

	CHECK(f->n_dead < FLEET_DEAD_MAX);
	stage_note(&f->stage, "node %u %s back_ms=%u", n->index, words[how], back_ms);
	memcpy(dead->id, n->id, sizeof dead->id);
	dead->at_ms = ev_now_ms(f->stage.ev);
	ev_timer_stop(f->stage.ev, &n->up);
	ev_timer_stop(f->stage.ev, &n->drain);
	n->draining = false;
	n->cut_ms = 0;
	if (how != FLEET_STOPS) {
		lossy_bus_silence(n->bus);
		node_break_cables(n, how == FLEET_DARKENS);
	}
	n->dark_ms = how == FLEET_DARKENS ? ev_now_ms(f->stage.ev) + back_ms : 0;
	n->bus = NULL;
	node_free(n->node);
	n->node = NULL;
	if (!list_empty(&n->ports))
		stage_fail(&f->stage, "node %u ends and holds a port", n->index);
	if (back_ms != UINT32_MAX)
		ev_timer_set(f->stage.ev, &n->up, back_ms);
}

static void node_on_drain_over(void *arg)
{
	struct fleet_node *n = arg;

	fleet_node_end(n, FLEET_STOPS, dice_length(&n->fleet->stage.dice, 3000));
}

static void node_on_drained(void *arg)
{
	struct fleet_node *n = arg;

	stage_note(&n->fleet->stage, "node %u is drained", n->index);
	ev_timer_set(node_ev(n), &n->drain, DRAINED_MS);
}

void fleet_node_drain(struct fleet_node *n, uint32_t most_ms, uint32_t back_ms)
{
	stage_note(&n->fleet->stage, "node %u drains", n->index);
	n->draining = true;
	ev_timer_set(node_ev(n), &n->drain, most_ms);
	LIST_FOR_EACH (link, &n->ports)
		CHECK(node_let_port(CONTAINER_OF(link, struct port, link), NULL) == 0);
	node_drain(n->node, node_on_drained, n);
}

void fleet_node_init(struct fleet *f, unsigned index)
{
	struct fleet_node *n = &f->nodes[index];

	*n = (struct fleet_node){.fleet = f, .index = index};
	n->up = (struct ev_timer){.fn = node_on_up, .arg = n};
	n->drain = (struct ev_timer){.fn = node_on_drain_over, .arg = n};
	list_init(&n->ports);
}

/* ---- the nets ---- */

static enum mem_way net_way(void *arg, const char *from, const char *to)
{
	struct fleet *f = arg;
	struct fleet_node *a = fleet_node_find(f, from), *b = fleet_node_find(f, to);

	for (unsigned i = 0; i < f->n_nodes && b == NULL; i++)
		if (f->nodes[i].node == NULL && ev_now_ms(f->stage.ev) < f->nodes[i].dark_ms)
			return MEM_SILENT;
	if (a == NULL || b == NULL)
		return MEM_OPEN; /* nobody listens there: that is refused anyway */
	return f->ways[a->index][b->index].way;
}

static void net_tap(void *arg, const char *from, const char *to, struct str message)
{
	fleet_tape_add(arg, message);
}

void fleet_net_init(struct fleet *f)
{
	struct dice *d = &f->stage.dice;
	struct lossy_rules rules = {.tap = net_tap, .arg = f};

	CHECK(lossy_net_new(f->stage.ev, dice_next(d), &f->bus) == 0);
	if (dice_chance(d, 70)) {
		rules.lose = dice_length(d, 30);
		rules.twice = dice_length(d, 30);
		rules.refuse = dice_length(d, 10);
		rules.delay_ms = dice_length(d, 300);
		rules.late = dice_length(d, 10);
		rules.late_ms = dice_length(d, 5000);
	}
	lossy_net_rule(f->bus, &rules);
	mem_hop_init(&f->hops);
	f->hops.mem.delay_ms = dice_length(d, 60);
	f->hops.mem.cap = 64 * 1024 + dice_length(d, 1 << 20);
	f->hops.way = net_way;
	f->hops.arg = f;
	for (size_t i = 0; i < sizeof f->key; i++)
		f->key[i] = (uint8_t)dice_next(d);
}

/* Whoever was off the bus gives all others a whole lease again. */
static void net_note_bus(struct fleet *f, struct fleet_node *n)
{
	for (unsigned i = 0; i < f->n_nodes; i++)
		if (n == NULL || n == &f->nodes[i])
			f->nodes[i].off_bus_ms = ev_now_ms(f->stage.ev);
}

void fleet_net_part(struct fleet *f, unsigned a, unsigned b, enum mem_way way, uint64_t until_ms)
{
	const char *ia = f->nodes[a].id, *ib = f->nodes[b].id;

	stage_note(&f->stage, "nodes %u and %u are parted way=%d until=%llu", a, b, way,
		   (unsigned long long)until_ms);
	f->ways[a][b] = f->ways[b][a] = (struct fleet_way){way, until_ms};
	if (f->nodes[a].node == NULL || f->nodes[b].node == NULL)
		return;
	if (way == MEM_REFUSED)
		mem_hop_cut_between(&f->hops, ia, ib);
	else
		mem_hop_freeze_between(&f->hops, ia, ib, true);
}

static void net_open_way(struct fleet *f, unsigned a, unsigned b)
{
	f->ways[a][b] = f->ways[b][a] = (struct fleet_way){.way = MEM_OPEN};
	if (f->nodes[a].node != NULL && f->nodes[b].node != NULL)
		mem_hop_freeze_between(&f->hops, f->nodes[a].id, f->nodes[b].id, false);
}

/* calm: everything that is over at any time is over now. */
static void net_heal(struct fleet *f, bool calm)
{
	uint64_t now = ev_now_ms(f->stage.ev);

	if (f->away_ms != 0 && (calm || now >= f->away_ms)) {
		stage_note(&f->stage, "the bus is back");
		f->away_ms = 0;
		net_note_bus(f, NULL);
		lossy_net_away(f->bus, false);
	}
	for (unsigned i = 0; i < f->n_nodes; i++) {
		struct fleet_node *n = &f->nodes[i];

		if (n->cut_ms != 0 && (calm || now >= n->cut_ms)) {
			stage_note(&f->stage, "node %u reaches the bus", n->index);
			n->cut_ms = 0;
			net_note_bus(f, n);
			lossy_bus_cut(n->bus, false);
		}
		for (unsigned k = 0; k < i; k++)
			if (f->ways[i][k].way != MEM_OPEN &&
			    (calm || now >= f->ways[i][k].until_ms))
				net_open_way(f, i, k);
	}
}

void fleet_net_tick(struct fleet *f)
{
	net_heal(f, false);
	for (unsigned i = 0; i < f->n_nodes; i++)
		if (!fleet_node_on_bus(&f->nodes[i]))
			f->nodes[i].off_bus_ms = ev_now_ms(f->stage.ev);
}

void fleet_net_calm(struct fleet *f)
{
	struct lossy_rules rules = {.delay_ms = dice_length(&f->stage.dice, 20),
				    .tap = net_tap,
				    .arg = f};

	net_heal(f, true);
	fleet_tape_calm(f);
	lossy_net_rule(f->bus, &rules);
}

void fleet_net_free(struct fleet *f)
{
	lossy_net_free(f->bus);
	fleet_tape_free(f);
}
