/* What the files of one agent share: private to agent/. */
#ifndef KAREZ_AGENT_AGENT_INTERNAL_H
#define KAREZ_AGENT_AGENT_INTERNAL_H

#include "agent/agent.h"
#include "agent/uplink.h"

/* Bytes by which a tunnel's name is remembered: its kind, a space, its target. */
#define AGENT_KEY_TEXT (URL_TEXT_MAX + 8)

/* Bytes of the ids of nodes that one request names, NUL included. */
#define AGENT_NODES_TEXT (AGENT_SESSIONS_MAX * NODE_ID_TEXT)

/* Lists by which places are found: a few in each, of AGENT_TUNNELS_MAX. */
#define AGENT_LISTS 256

/* What one session has to do with one tunnel. */
enum agent_seat_state {
	AGENT_SEAT_IDLE,
	AGENT_SEAT_DUE,	  /* in carrier->due: an attach is to be sent */
	AGENT_SEAT_ASKED, /* in carrier->asked: its answer is to come */
};

struct agent_seat {
	struct agent_place *place; /* borrowed: has us in it */
	enum agent_seat_state state;
	struct list link;
	uint64_t ref;	   /* of the attach that was sent last */
	uint32_t revision; /* of the place, that it asked for, or that needs no asking */
	bool again;	   /* it did not mean to change the record */
	uint64_t asked_ms;
};

/*
 * A tunnel as it stands. What is wanted of its record has a revision: until the server has taken
 * that, only one session asks.
 */
struct agent_place {
	struct agent *agent; /* borrowed: owns us */
	struct list link;    /* in agent->places; or in agent->gone, until all asked is answered */
	struct list by_id;   /* in one of agent->ids until it is removed */
	struct list by_name; /* in one of agent->names while it has one */
	uint32_t id;
	enum agent_kind kind;
	char *wish; /* owned */
	unsigned priority, proxy;
	struct target *target;	     /* owned */
	struct health *health;	     /* owned; NULL: not checked */
	struct health_opt check;     /* its path is owned */
	char why[HEALTH_WHY_MAX];    /* what the check has found last; "": it is well */
	char name[HOSTNAME_MAX + 1]; /* "" while none is known */
	char url[CONTROL_URL_MAX];   /* where it was last reached */
	bool asked;		     /* the name is a person's wish: no other one will do */
	bool over;		     /* refused or taken away for good */
	bool gone;		     /* removed */
	bool drains;	   /* visits may still be on their way by sessions that were not told yet */
	uint32_t revision; /* from 1 */
	uint32_t taken;	   /* the revision that the server has taken last, or refused for good */
	uint32_t attached; /* bit n: by carrier n */
	int code;	   /* why it was refused or lost, ERR_*; 0 */
	char reason[CONTROL_REASON_MAX];
	bool kept; /* code says why it is not as it was wished */
	int told;  /* the code that delayed() or kept() was told of */
	struct backoff backoff;
	struct ev_timer retry;	    /* set: it was refused, and is not asked for until then */
	bool is_wanted, is_unknown; /* how it counts in the agent's n_wanted, n_unknown */
	struct agent_seat seats[];  /* [opt.n_sessions] */
};

/* What goes over one session. */
struct agent_carrier {
	struct list due, asked; /* of agent_seat.link; asked: the oldest first */
	size_t n_asked;		/* AGENT_ATTACHES_MAX at most */
	size_t n_attached;
};

/* A service as it stands. */
struct agent_offered {
	struct agent *agent; /* borrowed: owns us */
	char name[IDENT_TEXT];
	struct target target;
	struct health *health; /* owned; NULL: not checked */
};

/* A tunnel that the server has given to us. */
struct agent_given {
	struct list link; /* in agent->given */
	char name[HOSTNAME_MAX + 1];
	char service[IDENT_TEXT];
	uint32_t attached; /* bit n: to carrier n; never 0 */
};

/* With whom a session is, or will be. */
struct agent_post {
	struct agent *agent;	 /* borrowed: has us in it */
	unsigned target, server; /* of the newest attempt, of the session; in agent->servers */
	uint32_t tried;		 /* bit n: server n, since it was last worth while to wait */
	char node[NODE_ID_TEXT]; /* of the session; "": not known, or there is none */
	char was[NODE_ID_TEXT];	 /* of the session before */
	unsigned haste;		 /* so often more it may come again without a wait */
	struct ev_timer move;	 /* set: it is to try another node */
	unsigned n_moves;
	uint64_t moves_ms; /* since when they are counted */
};

struct agent {
	struct ev *ev;
	struct agent_opt opt;
	char server[URL_TEXT_MAX]; /* as it is remembered */
	uint64_t epoch;
	struct memory_credential credential;
	bool renewed;	/* an account was asked for anew since the last success */
	bool websocket; /* it worked last; of AGENT_AUTO */
	struct mux_budget budget;
	struct targets *targets; /* owned */
	struct list places;	 /* of agent_place, at most AGENT_TUNNELS_MAX */
	struct list gone;	 /* of agent_place, each with an attach to be answered */
	struct list ids[AGENT_LISTS], names[AGENT_LISTS];
	size_t n_places;
	size_t n_wanted;  /* places that are not over */
	size_t n_unknown; /* of those: that were never online, and are not waiting for another try
			   */
	uint32_t last_id;
	uint64_t last_ref;
	struct agent_carrier carriers[AGENT_SESSIONS_MAX];
	struct ev_task feed;	       /* sends what is due */
	struct agent_offered *offered; /* owned: [opt.n_services] */
	struct list given;	       /* of agent_given, at most AGENT_ASSIGNED_MAX */
	size_t n_given;
	bool offered_once;
	uint64_t unknown_ms; /* when a visitor was last refused with a word; 0: never */
	struct uplink *uplinks[AGENT_SESSIONS_MAX]; /* owned: [opt.n_sessions] */
	struct agent_post posts[AGENT_SESSIONS_MAX];
	struct servers servers;
	char nodes[AGENT_NODES_TEXT]; /* of the newest request */
	unsigned n_nodes;	      /* of the cluster, as last told; 1: nothing was */
	struct ev_timer sleep;
	uint64_t slept_loop_ms; /* the two clocks when they were last compared */
	int64_t slept_wall_ms;
	struct ev_timer deadline; /* of stopping, or leaving */
	struct ev_timer rest;	  /* set: nothing is wanted */
	bool resting;
	bool by_websocket; /* the newest session */
	bool offline;	   /* told last; then also: */
	int offline_e;
	char offline_reason[SESSION_REASON_MAX + 1];
	uint64_t retry_at_ms; /* 0: an attempt is under way */
	bool stopping, ended;
	bool leaving;		  /* nothing is to be served any more, but visits run on */
	uint64_t drains_until_ms; /* until then visits of tunnels that were lost may run on */
	int leave_code;		  /* why it is leaving */
	char leave_reason[CONTROL_REASON_MAX];
	bool mute; /* being freed: nobody listens */
};

static inline uint32_t agent_bit(const struct uplink *u)
{
	return UINT32_C(1) << uplink_carrier(u);
}

/* ---- agent.c ---- */

/* The agent has done its work: ended() is told, once. */
void agent_end(struct agent *a, int code, const char *reason);

/*
 * The server's last word, though visits may run on for drain_ms: the agent ends with it as soon as
 * the server has ended the sessions, since only the server knows that all has arrived.
 */
void agent_leave(struct agent *a, const struct control_line *word);

/* Drop this session and come back. */
void agent_fail(struct agent *a, struct uplink *u, const struct uplink_failure *f);

/* Every tunnel has its name: let the other sessions come up, too. */
void agent_start_others(struct agent *a);

unsigned agent_n_up(const struct agent *a);

/* Say a tunnel's health on all sessions that have it.
 *   attached  bits of their carriers. */
void agent_tell_health(struct agent *a, uint32_t attached, const char *name, bool up);

/* A check's news, for whoever watches. */
void agent_on_health(struct agent *a, const struct url *to, bool up, const char *why);

/* Is there anything to serve? */
bool agent_wants(const struct agent *a);

/* Something is wanted: get a session if there is none. */
void agent_wake(struct agent *a);

/* Nothing may be wanted any more: then the sessions end soon. */
void agent_rest_look(struct agent *a);

/* ---- agent_spread.c: with which servers and nodes the sessions are ---- */

void agent_spread_init(struct agent *a);

/* No session moves any more. */
void agent_spread_stop(struct agent *a);

/* As uplink_owner.to(). */
const struct url *agent_spread_to(void *arg, struct uplink *u);

/* The nodes that this session need not be with, "id,id". */
void agent_spread_format(const struct agent *a, const struct uplink *u, char out[AGENT_NODES_TEXT]);

/* It has no session, and an attempt may have failed: let it try again. Returns the wait in
 * milliseconds; 0: it is soon, and nobody need be told of a failure before that one. */
uint32_t agent_spread_again(struct agent *a, struct uplink *u, const struct uplink_failure *f);

/* The session is there. */
void agent_spread_up(struct agent *a, struct uplink *u, const struct upgrade_answer *answer);

/* It is gone, or an old one. */
void agent_spread_down(struct agent *a, const struct uplink *u);

/* As uplink_owner.moved(). */
bool agent_spread_moved(void *arg, struct uplink *u, const struct upgrade_answer *answer);

/* A line of CONTROL_NODES. Returns 0 or ERR_PROTO. */
int agent_spread_on_nodes(struct agent *a, struct str line) MUST_CHECK;

/* With how many different nodes we have sessions, as far as is known. */
unsigned agent_spread_n_nodes(const struct agent *a);

/* ---- agent_place.c: the tunnels that are wanted ---- */

/* Returns as agent_new(). */
int agent_place_make_all(struct agent *a) MUST_CHECK;
void agent_place_free_all(struct agent *a);

/* Count it anew: it is over, or it is not, it has a URL, it waits. */
void agent_place_weigh(struct agent_place *p);

/* It is known by this name from now on; "" is none. */
void agent_place_set_name(struct agent_place *p, const char *name);

/* Of this name, and not over. NULL: none. */
struct agent_place *agent_place_named(struct agent *a, const char *name);

/* Which one is this visit for? NULL: none. */
struct target *agent_place_find(struct agent *a, const struct visit *visit);

/* A place that is gone: free it if no answer is to come for it. */
void agent_place_bury(struct agent_place *p);

/* ---- agent_tunnel.c: asking for them ---- */

/* By what its name is remembered when nobody has asked for one. */
void agent_tunnel_key(const struct agent_place *p, char out[AGENT_KEY_TEXT]);

void agent_tunnel_init(struct agent *a);

/* Which sessions have to ask for it now? What is due is sent at the end of the turn. */
void agent_tunnel_plan(struct agent_place *p);

/* It is over, or not wanted any more, or to be asked for at once: no other try is waited for. */
void agent_tunnel_no_retry(struct agent_place *p);

/* Say on all sessions that serve it that they do not any more. */
void agent_tunnel_detach(struct agent_place *p);

/* The session is there: attach what is not over. Returns as uplink_tell(). */
int agent_tunnel_up(struct agent *a, struct uplink *u) MUST_CHECK;

/* The session is gone. */
void agent_tunnel_down(struct agent *a, const struct uplink *u);

void agent_tunnel_detach_all(struct agent *a, struct uplink *u);

/* Is one still to be asked for, or waited for, on this session? */
bool agent_tunnel_awaits(const struct agent *a, const struct uplink *u);

/* When was the oldest attach sent that has no answer? Returns false if all have. */
bool agent_tunnel_oldest_ms(const struct agent *a, const struct uplink *u, uint64_t *ms);

/* A line came that answers an attach. */
void agent_tunnel_on_answer(struct agent *a, struct uplink *u, const struct control_line *line);

/* Returns false if it is none of these. */
bool agent_tunnel_on_detached(struct agent *a, struct uplink *u, const struct control_line *line);

/* The check of its target has changed its mind; as health_owner.changed(). */
void agent_tunnel_on_health(void *arg, bool up, const char *why);

/* ---- agent_offer.c: the services, and what the server gives to them ---- */

/* Returns 0, ERR_INVAL (a name that is none, or is there twice), ERR_NOMEM. */
int agent_offer_make_all(struct agent *a) MUST_CHECK;
void agent_offer_free_all(struct agent *a);

/* Offer them on this session, if there are any. Returns as uplink_tell(). */
int agent_offer_tell(struct agent *a, struct uplink *u) MUST_CHECK;

void agent_offer_down(struct agent *a, const struct uplink *u);
void agent_offer_on_assigned(struct agent *a, struct uplink *u, const struct control_line *line);
void agent_offer_on_detached(struct agent *a, struct uplink *u, const struct control_line *line);

/* Which service is this visit for? NULL: none. */
struct target *agent_offer_find(struct agent *a, const struct visit *visit);

#endif
