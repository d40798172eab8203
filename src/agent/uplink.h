/*
 * One carrier of an agent: a session with the server, and how it is got and got again.
 *
 * It says what happens and does what it is told; what a failure means is the agent's to decide. It
 * decides one thing itself: when something between us and the server does not let a session pass as
 * bytes, it tries WebSocket, and the other way round. As long as there was no session ever, that is
 * one more attempt before a failure is told; later, and when a session came up and died unheard, it
 * is the next attempt.
 *
 * A session that the server wants to be rid of, or that another one takes the place of, goes on
 * beside the current one for as long as visits run in it. To the server it has another number: one
 * that came again would replace it.
 */
#ifndef KAREZ_AGENT_UPLINK_H
#define KAREZ_AGENT_UPLINK_H

#include "agent/backoff.h"
#include "agent/upgrade.h"
#include "session/mux.h"

/* How long resolving and connecting may take, in milliseconds. */
#define UPLINK_DIAL_MS 10000

/* A session that has lived so long starts the back-off anew when it dies, in milliseconds. */
#define UPLINK_STEADY_MS 10000

/* A session has proven that its transport works when the server has said a line on it, or when it
 * has lived so long: longer than a silent one does. Milliseconds. */
#define UPLINK_PROVEN_MS 20000

/* Sessions that go on beside the current one, at most; one more ends the oldest. How long the
 * server may take to hear that we have left one, and how often those are looked at, in
 * milliseconds. */
#define UPLINK_OLD_MAX	3
#define UPLINK_HEARD_MS 5000
#define UPLINK_LOOK_MS	500

/* Carriers of one agent, at most, and by how much the numbers of one of them differ: see above. */
#define UPLINK_CARRIERS_MAX 16

struct uplink;

/* Why there is no session. */
struct uplink_failure {
	int e;
	bool spoken;	    /* it is the server's own word */
	bool was_up;	    /* there was a session, and it died */
	const char *reason; /* NUL-terminated, may be empty; may hold the server's words */
};

struct uplink_owner {
	/* To whom is the next attempt? Copied. */
	const struct url *(*to)(void *arg, struct uplink *u);
	/* Borrowed for the call: who asks, with which credential, and by which transport first. */
	void (*ask)(void *arg, struct uplink *u, struct upgrade_ask *ask);
	/* There is a session now; lines may be told. */
	void (*up)(void *arg, struct uplink *u, const struct upgrade_answer *answer);
	/*
	 * An attempt beside the session, see uplink_move(), has ended.
	 *   answer  NULL: it has failed; or the server would begin a session.
	 * Returns whether it shall take the place of the current one: then left() and up() follow.
	 */
	bool (*moved)(void *arg, struct uplink *u, const struct upgrade_answer *answer);
	/* The current session is one of the old ones now; it was working. */
	void (*left)(void *arg, struct uplink *u);
	/* The transport of the current session works. */
	void (*proven)(void *arg, struct uplink *u, bool websocket);
	/* No session, or none any more: nothing happens until uplink_start() or uplink_retry(). */
	void (*down)(void *arg, struct uplink *u, const struct uplink_failure *f);
	/* The session takes no new visitors; it goes on beside the next one. As after down(). */
	void (*draining)(void *arg, struct uplink *u);
	/* A control line of the current session. */
	void (*told)(void *arg, struct uplink *u, struct str line);
	/* A visit, of the current or the draining session. The wire is the callee's. */
	void (*visit)(void *arg, struct uplink *u, const struct visit *visit, struct wire *w);
};

struct uplink_opt {
	struct agent_net *net; /* borrowed, as all here: outlives the uplink */
	struct mux_budget *budget;
	unsigned carrier; /* less than UPLINK_CARRIERS_MAX */
	bool fixed;	  /* try no other transport than the one that ask() names */
	const struct uplink_owner *owner;
	void *arg;
};

/* Returns 0 or ERR_NOMEM. */
int uplink_new(struct ev *ev, const struct uplink_opt *opt, struct uplink **out) MUST_CHECK;

/* Try now, unless there is a session or an attempt already. */
void uplink_start(struct uplink *u);

/*
 * Try after the next wait, which is returned, in milliseconds.
 *   spread_ms  the first wait of a row is any up to this; 0: it is as all others.
 */
uint32_t uplink_retry(struct uplink *u, uint32_t spread_ms);

/* Try after so many milliseconds. */
void uplink_retry_in(struct uplink *u, uint32_t ms);

/*
 * Try to get another session while the current one is in use; moved() tells how it ended, unless
 * the current session ends before.
 * Returns false if that cannot be tried now: there is no session, or an attempt already, or too
 * many old ones.
 */
bool uplink_move(struct uplink *u);

/* If it waits: wait no longer. */
void uplink_hurry(struct uplink *u);

/* Give up an attempt or a wait; sessions stay. */
void uplink_rest(struct uplink *u);

/* End the session, if there is one; down() is not called. */
void uplink_drop(struct uplink *u, int why, struct str reason);

/* Neither a session, nor an attempt, nor a wait for one? */
bool uplink_is_idle(const struct uplink *u);
bool uplink_is_up(const struct uplink *u);

/* Does an old session of it still live? */
bool uplink_is_leaving(const struct uplink *u);
unsigned uplink_carrier(const struct uplink *u);

/* Send a control line. Returns 0, ERR_CLOSED (there is no session) or as session_tell(). */
int uplink_tell(struct uplink *u, struct str line) MUST_CHECK;

/* Is the server still there? Silence for deadline_ms ends the session. */
void uplink_ping(struct uplink *u, uint32_t deadline_ms);

/* Take no more visitors. */
void uplink_drain(struct uplink *u);

/* End it all: the server learns why and reason. NULL is allowed. No callback afterwards. */
void uplink_free(struct uplink *u, int why, struct str reason);

#endif
