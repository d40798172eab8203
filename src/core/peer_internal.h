/* Other nodes, what they serve, and what they are told: private to core/. */
#ifndef KAREZ_CORE_PEER_INTERNAL_H
#define KAREZ_CORE_PEER_INTERNAL_H

#include "core/core_internal.h"

struct core_peer {
	struct list link; /* in core->peers */
	struct core *core;
	struct core_peer_opt opt;
	size_t slot; /* in core->peer_slots */
	enum peer_state state;
	uint64_t load;	     /* visitors: as it has said, and those that were sent since */
	struct list remotes; /* of remote.of_peer */
	size_t n_remotes;    /* at most CORE_PEER_TUNNELS_MAX */
};

/* One peer serves one tunnel. There are many of them. */
struct remote {
	struct list of_peer;
	struct remote *next; /* in remotes->first */
	struct remotes *of;
	struct core_peer *peer;
	uint64_t place; /* see tunnel_choose() */
	uint32_t priority;
	bool up;
	uint8_t n_agents;
	struct node_entry_agent agents[]; /* [n_agents] */
};

/* A tunnel that other nodes serve. */
struct remotes {
	struct map_entry entry; /* in core->remotes */
	struct remote *first;	/* owned, all of them; never NULL */
	char name[];
};

/* ---- peer.c ---- */

/* NULL: there is no such node. */
struct core_peer *peer_by_id(const struct core *c, const char *id);

/* A number that no place had before, see tunnel_choose(), of a session here (NULL) or of another
 * node. */
uint64_t peer_place(struct core *c, const struct core_peer *p);

/* NULL: no other node serves it. Free of charge when none serves anything. */
struct remotes *peer_find(const struct core *c, struct str tunnel);

/* Does another node serve it with a target that works? */
bool peer_is_up(const struct core *c, struct str tunnel);

/* The same of a node that is well, and stays. */
bool peer_is_good(const struct core *c, struct str tunnel);

/* The sessions by which other nodes serve it. */
size_t peer_count(const struct remotes *rs);

/* The same without those that a member takes the place of: older processes of its own agent, the
 * connection that it has had elsewhere, and those of its process with a node that drains. */
size_t peer_count_others(const struct remotes *rs, const struct member *m);

/* Does a newer process of the member's agent serve it elsewhere? */
bool peer_has_newer(const struct remotes *rs, const struct member *m);

/* ---- peer_tell.c ---- */

/* What others have been told of a tunnel, and are to be told. */
struct tunnel_told {
	struct list link; /* in core->told: it has changed */
	bool known;	  /* others know that it is served here */
	bool gone;	  /* the tunnel is; who tells that frees this */
	char name[];
};

void peer_tell_init(struct core *c);

/* Nobody is told any more. */
void peer_tell_end(struct core *c);

/* A tunnel begins. Nothing at all is kept when this node is alone. Returns 0 or ERR_NOMEM. */
int peer_tell_new(struct tunnel *t) MUST_CHECK;

/* Who serves it, and how well, may have changed. */
void peer_tell_changed(struct tunnel *t);

/* It goes. */
void peer_tell_gone(struct tunnel *t);

/* This node has written or dropped a record. */
void peer_tell_wrote(struct core *c, const struct store_record *rec);

/* The name has changed hands: streams that were kept to those who serve it elsewhere are not used
 * any more. */
void peer_new_places(struct core *c, struct str tunnel);

#endif
