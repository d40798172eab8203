/* What the files of one agent share: private to agent/. */
#ifndef KAREZ_AGENT_AGENT_INTERNAL_H
#define KAREZ_AGENT_AGENT_INTERNAL_H

#include "agent/agent.h"
#include "agent/uplink.h"

/* Bytes by which a tunnel's name is remembered: its kind, a space, its target. */
#define AGENT_KEY_TEXT (URL_TEXT_MAX + 8)

/* A tunnel as it stands. */
struct agent_place {
	struct agent *agent; /* borrowed: owns us */
	enum agent_kind kind;
	struct control_wish wish;
	struct target target;
	struct health *health;	     /* owned; NULL: not checked */
	char text[URL_TEXT_MAX];     /* the target, as it is shown */
	char key[AGENT_KEY_TEXT];    /* by which its name is remembered */
	char name[HOSTNAME_MAX + 1]; /* "" while none is known */
	char url[CONTROL_URL_MAX];   /* where it was last reached */
	bool asked;		     /* the name is a person's wish: no other one will do */
	bool over;		     /* refused or taken away for good */
	bool drains;	   /* visits may still be on their way by sessions that were not told yet */
	uint32_t attached; /* bit n: by carrier n */
};

/* A service as it stands. */
struct agent_offered {
	struct agent *agent; /* borrowed: owns us */
	char name[CONTROL_SERVICE_MAX];
	struct target target;
	struct health *health; /* owned; NULL: not checked */
};

/* A tunnel that the server has given to us. */
struct agent_given {
	struct list link; /* in agent->given */
	char name[HOSTNAME_MAX + 1];
	char service[CONTROL_SERVICE_MAX];
	uint32_t attached; /* bit n: to carrier n; never 0 */
};

struct agent {
	struct ev *ev;
	struct agent_opt opt;
	char server[URL_TEXT_MAX]; /* as it is remembered */
	uint64_t epoch;
	struct memory_credential credential;
	bool renewed; /* an account was asked for anew since the last success */
	struct mux_budget budget;
	struct targets *targets;       /* owned */
	struct agent_place *places;    /* owned: [opt.n_tunnels] */
	struct agent_offered *offered; /* owned: [opt.n_services] */
	struct list given;	       /* of agent_given, at most AGENT_ASSIGNED_MAX */
	size_t n_given;
	bool offered_once;
	uint64_t unknown_ms; /* when a visitor was last refused with a word; 0: never */
	struct uplink *uplinks[AGENT_SESSIONS_MAX]; /* owned: [opt.n_sessions] */
	struct ev_timer sleep;
	uint64_t slept_loop_ms; /* the two clocks when they were last compared */
	int64_t slept_wall_ms;
	struct ev_timer deadline; /* of stopping, or leaving */
	bool stopping, ended;
	bool leaving;	/* nothing is to be served any more, but visits run on */
	int leave_code; /* why it is leaving */
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

/* ---- agent_tunnel.c: the tunnels that were asked for ---- */

/* Returns 0, ERR_INVAL (a name that is none), ERR_NOMEM. */
int agent_tunnel_make_all(struct agent *a) MUST_CHECK;
void agent_tunnel_free_all(struct agent *a);

/* Attach what is not over by this session. Returns as uplink_tell(). */
int agent_tunnel_attach_all(struct agent *a, struct uplink *u) MUST_CHECK;
void agent_tunnel_detach_all(struct agent *a, struct uplink *u);

/* Does one still wait for the server's answer on this session? */
bool agent_tunnel_awaits(const struct agent *a, const struct uplink *u);

/* Has every one its name, or is lost? */
bool agent_tunnel_all_known(const struct agent *a);

/* The session is gone. */
void agent_tunnel_down(struct agent *a, const struct uplink *u);

/* A line came that answers an attach. */
void agent_tunnel_on_answer(struct agent *a, struct uplink *u, const struct control_line *line);

/* Returns false if it is none of these. */
bool agent_tunnel_on_detached(struct agent *a, struct uplink *u, const struct control_line *line);

/* Which one is this visit for? NULL: none. */
struct target *agent_tunnel_find(struct agent *a, const struct visit *visit);

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
