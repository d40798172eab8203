/*
 * The core knows neither the bus nor sockets, the roster no streams, the hop no tunnels: here each
 * other node becomes one peer of all three.
 */
#include "cluster/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"

/* Whoever says something after so long a silence, in milliseconds, was away, or we were: two beats.
 * One that cannot be reached, and goes on beating, is not meant. */
#define CLUSTER_SILENT_MS (2 * BUS_BEAT_MS)

/* Another node. */
struct cluster_peer {
	struct cluster *c; /* borrowed: owns us */
	struct map_entry by_id;
	struct roster_node said;
	struct core_peer *core; /* owned; NULL: memory was short when it came */
	struct hop_peer *hop;	/* owned; NULL: it says no address that we can use */
	enum peer_state reach;	/* as the hop finds */
	uint64_t heard_ms;	/* its last beat */
};

struct cluster {
	struct ev *ev;
	struct cluster_opt opt;
	struct net_addr listen; /* len 0: none */
	struct core *core;	/* borrowed; NULL before cluster_start() */
	struct roster *roster;	/* owned, as these two */
	struct hop *hop;
	struct map peers; /* by id: struct cluster_peer */
};

/* ---- other nodes ---- */

static struct cluster_peer *cluster_find(const struct cluster *c, const char *id)
{
	struct map_entry *e = map_get(&c->peers, str_of(id));

	return e == NULL ? NULL : CONTAINER_OF(e, struct cluster_peer, by_id);
}

static int cluster_on_open(void *arg, const struct visit *visit, struct wire **out)
{
	struct cluster_peer *p = arg;

	return p->hop == NULL ? ERR_NOSESSION : hop_peer_open(p->hop, visit, out);
}

/* The worse of what it says and what we find. */
static void cluster_judge(struct cluster_peer *p)
{
	enum peer_state state = p->hop == NULL ? PEER_UNREACHABLE : p->reach;

	if (p->said.draining && state < PEER_DRAINING)
		state = PEER_DRAINING;
	if (p->core != NULL) {
		core_peer_set_state(p->core, state);
		core_peer_set_load(p->core, p->said.visitors);
	}
}

static void cluster_on_state(void *arg, struct hop_peer *hop, enum peer_state state)
{
	struct cluster_peer *p = hop_peer_arg(hop);

	p->reach = state;
	cluster_judge(p);
}

static void cluster_reach(struct cluster_peer *p)
{
	int e;

	hop_peer_free(p->hop);
	p->hop = NULL;
	p->reach = PEER_GOOD;
	if ((e = hop_peer_new(p->c->hop, &p->said, p, &p->hop)) != 0)
		log_warn(p->c->opt.log,
			 "event=node-unreachable node=%s hop=\"%s\" code=%s msg=\"nobody here can "
			 "visit what it serves: does it have an address for other nodes?\"",
			 p->said.id, p->said.hop, err_name(e));
}

static void cluster_peer_free(struct cluster_peer *p)
{
	map_del(&p->c->peers, &p->by_id);
	/* first, or the visitors whose streams break would be sent there again */
	core_peer_free(p->core);
	hop_peer_free(p->hop);
	free(p);
}

static struct cluster_peer *cluster_peer_new(struct cluster *c, const struct roster_node *n)
{
	struct cluster_peer *p = calloc(1, sizeof *p);
	struct core_peer_opt opt = {.open = cluster_on_open, .arg = p};
	int e = ERR_NOMEM;

	memcpy(opt.id, n->id, sizeof opt.id);
	if (p == NULL)
		goto out;
	p->c = c;
	p->said = *n;
	p->heard_ms = ev_now_ms(c->ev);
	p->by_id.key = str_of(p->said.id);
	if ((e = map_put(&c->peers, &p->by_id)) != 0) {
		free(p);
		p = NULL;
		goto out;
	}
	e = core_peer_new(c->core, &opt, &p->core);
out:
	if (e != 0)
		log_error(c->opt.log, "event=node-not-used node=%s code=%s", n->id, err_name(e));
	return p;
}

static void cluster_tell_changed(struct cluster *c)
{
	if (c->opt.changed != NULL)
		c->opt.changed(c->opt.arg);
}

static void cluster_on_node(void *arg, const struct roster_node *n)
{
	struct cluster *c = arg;
	struct cluster_peer *p = cluster_find(c, n->id);
	bool moved = p == NULL || p->hop == NULL || strcmp(p->said.hop, n->hop) != 0 ||
		     strcmp(p->said.local, n->local) != 0 ||
		     strcmp(p->said.machine, n->machine) != 0;

	if (p == NULL && (p = cluster_peer_new(c, n)) == NULL)
		return;
	p->said = *n;
	if (moved)
		cluster_reach(p);
	cluster_judge(p);
	cluster_tell_changed(c);
}

/* With each beat, also when it is what it was: those whom we have sent there since are counted
 * anew. */
static void cluster_on_carries(void *arg, const struct roster_node *n)
{
	struct cluster *c = arg;
	struct cluster_peer *p = cluster_find(c, n->id);
	uint64_t now = ev_now_ms(c->ev);

	if (p == NULL)
		return;
	if (now - p->heard_ms > CLUSTER_SILENT_MS)
		hop_peer_heard(p->hop);
	p->heard_ms = now;
	if (p->core != NULL)
		core_peer_set_load(p->core, n->visitors);
}

static void cluster_on_gone(void *arg, const char *id)
{
	struct cluster *c = arg;
	struct cluster_peer *p = cluster_find(c, id);

	if (p == NULL)
		return;
	cluster_peer_free(p);
	cluster_tell_changed(c);
}

static int cluster_on_serves(void *arg, const char *id, struct str tunnel,
			     const struct node_entry *entry)
{
	struct cluster *c = arg;
	struct cluster_peer *p = cluster_find(c, id);
	int e;

	if (p == NULL || p->core == NULL)
		return 0;
	if ((e = core_peer_serves(p->core, tunnel, entry)) != 0)
		log_error(c->opt.log, "event=not-known node=%s tunnel=" STR_FMT " code=%s", id,
			  STR_ARG(tunnel), err_name(e));
	return e == ERR_NOMEM ? e : 0;
}

static void cluster_on_holds(void *arg, const char *id, struct str account)
{
	struct cluster *c = arg;

	core_on_held_elsewhere(c->core, account);
}

static void cluster_on_room(void *arg, struct str account)
{
	struct cluster *c = arg;

	core_on_room(c->core, account);
}

static void cluster_on_wrote(void *arg, struct str kind, struct str key)
{
	struct cluster *c = arg;

	core_on_written_elsewhere(c->core, kind, key);
}

static void cluster_on_order(void *arg, const struct core_order *o)
{
	struct cluster *c = arg;

	core_on_order(c->core, o);
}

static void cluster_on_load(void *arg, uint32_t *sessions, uint32_t *visitors)
{
	struct cluster *c = arg;

	c->opt.load(c->opt.arg, sessions, visitors);
}

static const struct roster_owner cluster_roster_owner = {
	.node = cluster_on_node,
	.carries = cluster_on_carries,
	.gone = cluster_on_gone,
	.serves = cluster_on_serves,
	.holds = cluster_on_holds,
	.room = cluster_on_room,
	.wrote = cluster_on_wrote,
	.order = cluster_on_order,
	.load = cluster_on_load,
};

/* ---- our own core ---- */

static void cluster_on_core_serves(void *arg, struct str tunnel, const struct node_entry *entry)
{
	struct cluster *c = arg;

	roster_tell(c->roster, tunnel, entry);
}

static void cluster_on_core_holds(void *arg, struct str account, const struct node_held *held)
{
	struct cluster *c = arg;

	roster_tell_held(c->roster, account, held);
}

static void cluster_on_core_held(void *arg, struct str account, const struct node_entry_agent *own,
				 struct core_held *out)
{
	struct cluster *c = arg;

	roster_held(c->roster, account, own, out);
}

static void cluster_on_core_room(void *arg, struct str account)
{
	struct cluster *c = arg;

	roster_room(c->roster, account);
}

static void cluster_on_core_wrote(void *arg, struct str kind, struct str key)
{
	struct cluster *c = arg;

	roster_wrote(c->roster, kind, key);
}

static void cluster_on_core_order(void *arg, const struct core_order *o)
{
	struct cluster *c = arg;

	roster_order(c->roster, o);
}

void cluster_core(struct cluster *c, struct core_cluster *out)
{
	*out = (struct core_cluster){
		.self = c->opt.self.id,
		.serves = cluster_on_core_serves,
		.holds = cluster_on_core_holds,
		.held = cluster_on_core_held,
		.room = cluster_on_core_room,
		.wrote = cluster_on_core_wrote,
		.order = cluster_on_core_order,
		.arg = c,
	};
}

/* ---- its life ---- */

static void cluster_on_visit(void *arg, const struct visit *visit, struct wire *w)
{
	struct cluster *c = arg;

	c->opt.visit(c->opt.arg, visit, w);
}

int cluster_new(struct ev *ev, const struct cluster_opt *opt, struct cluster **out)
{
	struct cluster *c = NULL;
	struct hop_opt hop = {0};
	struct roster_opt roster = {0};
	uint8_t seed[16];
	uint64_t id;
	int e = ERR_NOMEM;

	if ((c = calloc(1, sizeof *c)) == NULL)
		goto out;
	c->ev = ev;
	c->opt = *opt;
	if (opt->listen != NULL)
		c->listen = *opt->listen;
	c->opt.listen = NULL;
	c->opt.key = NULL; /* need not stay longer than this call */
	c->opt.self.epoch = (uint64_t)ev_wall_ms(ev);
	ev_random(ev, &id, sizeof id);
	if (c->opt.self.id[0] == '\0')
		str_printf(c->opt.self.id, sizeof c->opt.self.id, "%016llx",
			   (unsigned long long)id);
	ev_random(ev, seed, sizeof seed);
	map_init(&c->peers, seed);
	hop = (struct hop_opt){
		.log = opt->log,
		.net = opt->net,
		.self = c->opt.self.id,
		.key = opt->key,
		.machine = c->opt.self.machine,
		.window_total = opt->window_total,
		.visit = cluster_on_visit,
		.state = cluster_on_state,
		.arg = c,
	};
	if ((e = hop_new(ev, &hop, &c->hop)) != 0)
		goto out;
	roster = (struct roster_opt){
		.log = opt->log,
		.bus = opt->bus,
		.key = opt->key,
		.self = c->opt.self,
		.owner = &cluster_roster_owner,
		.arg = c,
	};
	if ((e = roster_new(ev, &roster, &c->roster)) != 0)
		goto out;
	MOVE(*out, c);
out:
	if (c != NULL)
		c->opt.bus = NULL; /* still the caller's */
	cluster_free(c);
	return e;
}

/* Listen, and find out what the others are to be told of it. */
static int cluster_listen(struct cluster *c)
{
	struct roster_node n = *roster_self(c->roster);
	char ip[NET_ADDR_TEXT], text[NET_ADDR_TEXT];
	struct net_addr told = c->listen;
	uint16_t port;
	int e;

	if (n.local[0] != '\0' && (e = hop_listen_local(c->hop, n.local)) != 0)
		return e;
	if (c->listen.len == 0)
		return 0;
	if ((e = hop_listen(c->hop, &c->listen, &port)) != 0)
		return e;
	if (n.hop[0] != '\0' && (e = net_addr_parse(str_of(n.hop), &told)) != 0)
		return e;
	if (net_addr_is_any(&told))
		return ERR_INVAL;
	if (net_addr_port(&told) != 0)
		port = net_addr_port(&told);
	if ((e = net_addr_from_ip(str_of(net_addr_ip(&told, ip)), port, &told)) != 0 ||
	    (e = str_copy(n.hop, sizeof n.hop, str_of(net_addr_format(&told, text)))) != 0)
		return e;
	roster_set(c->roster, &n);
	return 0;
}

int cluster_start(struct cluster *c, struct core *core)
{
	int e;

	c->core = core;
	if ((e = cluster_listen(c)) != 0)
		return e;
	roster_start(c->roster);
	return 0;
}

void cluster_drain(struct cluster *c)
{
	struct roster_node n = *roster_self(c->roster);

	/* not hop_drain(): where nobody else serves a tunnel, its visitors still come here */
	n.draining = true;
	roster_set(c->roster, &n);
}

void cluster_free(struct cluster *c)
{
	struct map_entry *e;

	if (c == NULL)
		return;
	roster_free(c->roster);
	bus_close(c->opt.bus);
	while ((e = map_next(&c->peers, NULL)) != NULL)
		cluster_peer_free(CONTAINER_OF(e, struct cluster_peer, by_id));
	map_free(&c->peers);
	hop_free(c->hop);
	free(c);
}

/* ---- questions ---- */

const struct roster_node *cluster_self(const struct cluster *c)
{
	return roster_self(c->roster);
}

void cluster_each(const struct cluster *c, void (*fn)(void *arg, const struct roster_node *n),
		  void *arg)
{
	roster_each(c->roster, fn, arg);
}

size_t cluster_n(const struct cluster *c)
{
	return roster_n(c->roster);
}

bool cluster_knows(const struct cluster *c, size_t n)
{
	return roster_n(c->roster) >= n && roster_settled(c->roster);
}

size_t cluster_load(const struct cluster *c)
{
	return hop_load(c->hop);
}
