/* The cluster knows the nodes; here they are shown to each who asks, in his own terms. */
#include "app/node_others.h"

#include <string.h>

static void others_count(void *arg, const struct roster_node *node)
{
	size_t *count = arg;

	*count += !node->draining;
}

/* See gateway_nodes.count. */
static size_t others_on_count(void *arg)
{
	const struct node_others *o = arg;
	size_t count = 0;

	others_count(&count, cluster_self(o->cluster));
	cluster_each(o->cluster, others_count, &count);
	return count;
}

struct others_urls {
	void (*fn)(void *to, const char *id, const char *url);
	void *to;
};

static void others_tell_url(void *arg, const struct roster_node *node)
{
	const struct others_urls *urls = arg;

	if (node->agents[0] != '\0' && !node->draining)
		urls->fn(urls->to, node->id, node->agents);
}

/* See gateway_nodes.each. */
static void others_on_urls(void *arg, void (*fn)(void *to, const char *id, const char *url),
			   void *to)
{
	const struct node_others *o = arg;
	struct others_urls urls = {fn, to};

	others_tell_url(&urls, cluster_self(o->cluster));
	cluster_each(o->cluster, others_tell_url, &urls);
}

void node_others_begin(struct node_others *o)
{
	o->for_agents = (struct gateway_nodes){.self = cluster_self(o->cluster)->id,
					       .count = others_on_count,
					       .each = others_on_urls,
					       .arg = o};
}

void node_others_drain(struct node_others *o)
{
	if (o->cluster != NULL)
		cluster_drain(o->cluster);
}

void node_others_end(struct node_others *o)
{
	cluster_free(o->cluster);
	o->cluster = NULL;
}

const struct gateway_nodes *node_others_for_agents(const struct node_others *o)
{
	return o->cluster == NULL ? NULL : &o->for_agents;
}

/* ---- the API ---- */

struct others_peers {
	void (*fn)(void *to, const struct api_peer *p);
	void *to;
	const struct roster_node *self;
};

static void others_tell_peer(void *arg, const struct roster_node *node)
{
	const struct others_peers *peers = arg;

	peers->fn(peers->to, &(struct api_peer){.id = node->id,
						.version = node->version,
						.hop = node->hop,
						.agents = node->agents,
						.machine = node->machine,
						.started_ms = (int64_t)node->epoch,
						.sessions = node->sessions,
						.visitors = node->visitors,
						.draining = node->draining,
						.self = node == peers->self});
}

void node_others_each(const struct node_others *o, void (*fn)(void *to, const struct api_peer *p),
		      void *to)
{
	struct others_peers peers = {fn, to, cluster_self(o->cluster)};

	others_tell_peer(&peers, peers.self);
	cluster_each(o->cluster, others_tell_peer, &peers);
}

/* ---- workers ---- */

struct others_search {
	const char *machine; /* of this node */
	const char *id;	     /* who is looked for; NULL: whoever is not among `with` */
	struct str with;
	const struct roster_node *found;
};

static bool others_has(struct str with, const char *id)
{
	struct str one;

	while (str_next(&with, ',', &one))
		if (str_eq(str_trim(one), str_of(id)))
			return true;
	return false;
}

static void others_look(void *arg, const struct roster_node *node)
{
	struct others_search *s = arg;

	if (strcmp(node->machine, s->machine) != 0)
		return;
	if (s->id != NULL) {
		if (strcmp(node->id, s->id) == 0)
			s->found = node;
		return;
	}
	/* of several the one with the fewest sessions */
	if (!node->draining && !others_has(s->with, node->id) &&
	    (s->found == NULL || node->sessions < s->found->sessions))
		s->found = node;
}

static const struct roster_node *others_find(const struct node_others *o, struct others_search *s)
{
	if (o->cluster == NULL)
		return NULL;
	s->machine = cluster_self(o->cluster)->machine;
	if (s->machine[0] != '\0')
		cluster_each(o->cluster, others_look, s);
	return s->found;
}

bool node_others_is_worker(const struct node_others *o, const char *id)
{
	struct others_search s = {.id = id};

	return id != NULL && others_find(o, &s) != NULL;
}

const char *node_others_for_agent(const struct node_others *o, struct str with)
{
	struct others_search s = {.with = with};
	const struct roster_node *found;

	/* one who has no session here is welcome */
	if (o->cluster == NULL || !others_has(with, cluster_self(o->cluster)->id))
		return NULL;
	found = others_find(o, &s);
	return found == NULL ? NULL : found->id;
}

const char *node_others_heir(const struct node_others *o)
{
	struct others_search s = {.with = STR("")};
	const struct roster_node *found = others_find(o, &s);

	return found == NULL ? NULL : found->id;
}
