/*
 * What the record of a tunnel says, and said: since a change is asked for at one time, acknowledged
 * at another, and heard of by other nodes later still, several of them may hold at one moment.
 */
#ifndef KAREZ_SIM_POOL_TERMS_H
#define KAREZ_SIM_POOL_TERMS_H

#include "core/record.h"
#include "sim/stage.h"

#define POOL_HOSTS_MAX	 3
#define POOL_TUNNELS_MAX 3
#define POOL_TERMS_MAX	 256

/* A value. */
struct terms {
	uint64_t asked_ms; /* they may hold from then on */
	uint64_t known_ms; /* when they were acknowledged; 0: not yet */
	unsigned node;	   /* by which node */
	bool there, enabled;
	uint16_t port;
	enum tunnel_policy policy;
	uint32_t drain_ms;
	unsigned agents[POOL_HOSTS_MAX]; /* [n_agents] the best first */
	size_t n_agents;		 /* 0: all that have it */
};

struct pool_tunnel {
	char name[16];
	bool by_name;		 /* agents ask for it by name, and it is never deleted; else its
				  * record names the service that is called as it is */
	bool listens;		 /* its targets say nothing before their visitors do */
	enum tunnel_proxy proxy; /* what they are told first */
	struct terms terms[POOL_TERMS_MAX];
	unsigned n_terms; /* the last ones are the newest */
};

/* Those that may have held on a node at some moment in [from, to], the oldest first. */
struct terms_range {
	const struct terms *first, *last;
};
struct terms_range terms_at(const struct pool_tunnel *t, unsigned node, uint64_t from, uint64_t to);

#define TERMS_FOR_EACH(it, range) \
	for (const struct terms *it = (range).first; it <= (range).last; it++)

/* As they are now, or will be when what is under way is done. */
const struct terms *terms_now(const struct pool_tunnel *t);

/* Somebody has asked for these. */
struct terms *terms_ask(struct stage *s, struct pool_tunnel *t, const struct terms *next);

/* Is it reached there? */
bool terms_on(const struct terms *x);

/* Do they let this host serve? */
bool terms_allow(const struct terms *x, unsigned host);

/* Do they say the same? */
bool terms_same(const struct terms *a, const struct terms *b);

#endif
