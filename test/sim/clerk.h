/*
 * Whoever changes accounts, tokens and tunnels while they are used: calls of the API, one after
 * another, each repeated until it is answered; and what must be true of what was answered.
 */
#ifndef KAREZ_SIM_CLERK_H
#define KAREZ_SIM_CLERK_H

#include "core/core_internal.h"
#include "sim/caller.h"

struct world;

/* From then on every node knows of a change: two turns of the refresh timer, two cables. */
#define CLERK_SETTLE_MS (CORE_REFRESH_MS + 1500)

enum act {
	ACT_ACCOUNT_OFF, /* of an account */
	ACT_ACCOUNT_ON,
	ACT_REVOKE, /* the token of a host */
	ACT_TOKEN,  /* a new one for it */
	ACT_TUNNEL_OFF,
	ACT_TUNNEL_ON,
	ACT_TUNNEL_DROP, /* whoever comes first has the name then */
	ACT_TUNNEL_KICK, /* disconnect its sessions */
	ACTS,
};

/* Something that can be taken away, and whether it is. A value. */
struct ban {
	bool asked;	 /* it has been asked to be, or is */
	uint64_t off_ms; /* since when it is acknowledged to be; 0: it is not */
	uint64_t on_ms;	 /* when it was acknowledged to be back; 0: never */
	unsigned node;	 /* which one acknowledged that it is off */
};

/* May somebody who came at `since_ms` be refused for it? */
bool ban_excuses(const struct ban *b, uint64_t since_ms);

/* Must a visitor who came to a node at `at_ms` find it gone? */
bool ban_forbids(const struct ban *b, unsigned node, uint64_t at_ms);

struct clerk {
	struct world *world;
	enum act act;
	unsigned which; /* account, host or name, after the act */
	unsigned node;	/* that is being asked */
	char path[200], body[200];
	struct caller caller;
};

void clerk_init(struct world *w);

/* Some change, as the dice fall; nothing when one is under way. */
void clerk_act(struct world *w);

/* Undo one thing that is taken away. Returns false when all is as it was. */
bool clerk_repair(struct world *w);

/* Forget what is under way. */
void clerk_end(struct world *w);

#endif
