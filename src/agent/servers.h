/*
 * The servers that an agent may go to: those that a person has named, which are nodes of one
 * cluster or lead to them, and those that the cluster itself has told of.
 *
 * The server never chooses what an agent dials: an address that it tells counts only if it is of a
 * name that a person has given, or below it, and is reached no less safely. So a server that is
 * none of ours any more cannot send its agents into their own networks, nor at somebody else.
 */
#ifndef KAREZ_AGENT_SERVERS_H
#define KAREZ_AGENT_SERVERS_H

#include "agent/control.h"
#include "ev/ev.h"
#include "proto/url.h"

/* How many may be given, and of how many others that are told one agent keeps addresses. */
#define SERVERS_GIVEN_MAX   8
#define SERVERS_LEARNED_MAX 24
#define SERVERS_MAX	    (SERVERS_GIVEN_MAX + SERVERS_LEARNED_MAX)

struct server {
	struct url url;
	char node[NODE_ID_TEXT]; /* of one that was told: who it is; else "" */
};

/* A value. The given ones come first. */
struct servers {
	struct server v[SERVERS_MAX];
	unsigned n, n_given;
	uint64_t key[2]; /* random: by it agents differ in which ones they keep, and in what order
			  */
};

/* [n] others besides the first, n less than SERVERS_GIVEN_MAX; copied. One that is there twice
 * counts once. */
void servers_init(struct servers *s, struct ev *ev, const struct url *first,
		  const struct url *others, size_t n);

/* May this address be used, that a server has told? */
bool servers_allow(const struct servers *s, const struct url *url);

/*
 * These are the nodes now, whatever was told before; what may not be used is passed over.
 * Returns whether anything has changed: then a place at or after n_given is another server's.
 */
bool servers_learn(struct servers *s, const struct control_nodes *nodes);

#endif
