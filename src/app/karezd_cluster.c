/*
 * Two ways to have other nodes: those that share a Redis find each other there and know each other
 * by the operator's key; workers find each other in their supervisor's directory, by a key that it
 * has drawn. Workers that also share a Redis are nodes of that, each with a port of its own, and
 * take the short way between each other.
 */
#include "app/karezd_cluster.h"

#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "cluster/bus_local.h"
#include "cluster/bus_redis.h"
#include "cluster/hop_socket.h"
#include "net/net_here.h"

_Static_assert(CLUSTER_KEY_LEN == ROSTER_KEY_LEN && WORKER_KEY_LEN == ROSTER_KEY_LEN,
	       "one kind of key");

/* An address of the first worker, as this one has it: each has a port of its own. */
static int cluster_own_port(struct net_addr *addr, unsigned index)
{
	char ip[NET_ADDR_TEXT];
	uint16_t port = net_addr_port(addr);

	if (port == 0)
		return 0;
	return net_addr_from_ip(str_of(net_addr_ip(addr, ip)), (uint16_t)(port + index), addr);
}

/* Where we listen for other machines, and what they are told of it. */
static int cluster_set_hop(const struct karezd_cluster_opt *opt, struct karezd_cluster *c)
{
	unsigned index = opt->worker->on ? opt->worker->index : 0;
	const char *told = opt->set->hop_advertise;
	struct net_addr addr;
	char text[NET_ADDR_TEXT];
	int e;

	if ((e = net_addr_parse(str_of(opt->set->hop_listen), &c->listen)) != 0 ||
	    (e = cluster_own_port(&c->listen, index)) != 0)
		return e;
	c->node.listen = &c->listen;
	if (told != NULL) {
		if ((e = net_addr_parse(str_of(told), &addr)) == 0)
			e = cluster_own_port(&addr, index);
	} else if (net_addr_is_any(&c->listen)) {
		e = net_here(&c->listen, &addr);
	} else {
		return 0;
	}
	return e != 0 ? e
		      : str_copy(c->node.self.hop, sizeof c->node.self.hop,
				 str_of(net_addr_format(&addr, text)));
}

/* What only workers of one supervisor have in common. */
static int cluster_set_local(const struct karezd_cluster_opt *opt, struct karezd_cluster *c)
{
	const struct worker *w = opt->worker;
	struct roster_node *self = &c->node.self;
	char path[WORKER_DIR_TEXT + 32];
	uint64_t seed[2];

	memcpy(seed, w->key, sizeof seed);
	str_printf(self->machine, sizeof self->machine, "%016llx",
		   (unsigned long long)siphash(seed, w->dir, strlen(w->dir)));
	str_printf(path, sizeof path, "%s/%s.hop", w->dir, self->id);
	return str_copy(self->local, sizeof self->local, str_of(path));
}

static int cluster_set_self(const struct karezd_cluster_opt *opt, struct karezd_cluster *c)
{
	struct roster_node *self = &c->node.self;
	uint64_t id;
	int e = 0;

	ev_random(opt->ev, &id, sizeof id);
	str_printf(self->id, sizeof self->id, "%016llx", (unsigned long long)id);
	str_printf(self->version, sizeof self->version, "%s", KAREZ_VERSION);
	if (opt->set->agent_url != NULL)
		e = str_copy(self->agents, sizeof self->agents, str_of(opt->set->agent_url));
	if (e == 0 && opt->worker->on)
		e = cluster_set_local(opt, c);
	if (e == 0 && opt->set->hop_listen != NULL)
		e = cluster_set_hop(opt, c);
	return e;
}

int karezd_cluster_key(const struct karezd_settings *set, const struct worker *worker, uint8_t *out,
		       char *why)
{
	if (set->hop_listen != NULL)
		return cluster_key_read(set->cluster_key, out, why);
	if (!worker->on)
		return ERR_NOTFOUND;
	memcpy(out, worker->key, CLUSTER_KEY_LEN);
	return 0;
}

int karezd_cluster_open(const struct karezd_cluster_opt *opt, struct karezd_cluster *c, char *why)
{
	struct node_cluster *n = &c->node;
	int e = karezd_cluster_key(opt->set, opt->worker, c->key, why);

	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	if ((e = cluster_set_self(opt, c)) != 0)
		goto out;
	n->net = &hop_socket;
	n->key = c->key;
	if (opt->set->hop_listen == NULL)
		e = bus_local_new(opt->ev, opt->log, opt->worker->dir, n->self.id, &n->bus);
	else
		e = bus_redis_new(opt->ev, opt->log, opt->set->store, n->self.id, &n->bus);
out:
	if (e != 0)
		str_printf(why, KAREZD_CLUSTER_WHY,
			   e == ERR_NOTFOUND
				   ? "this machine has no address that other nodes reach; "
				     "see --hop-advertise"
				   : "cannot reach other nodes: %s",
			   err_text(e));
	return e;
}

void karezd_cluster_forget(struct karezd_cluster *c)
{
	explicit_bzero(c->key, sizeof c->key);
	bus_close(c->node.bus);
	c->node.bus = NULL;
}
