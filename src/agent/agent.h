/*
 * A whole agent: the sessions it keeps, the tunnels it wants, the services it offers, and the
 * targets that they lead to. Tunnels come, change and go while it runs.
 *
 * What the record of a tunnel shall be is said by one session, the first to come up, which also
 * learns its name; the others attach to what is there then. Every session offers the services, and
 * the server says which tunnels it gives them to. While no session is up only one of them tries, so
 * a server that is gone hears one agent once. What the server says for good ends a tunnel, and the
 * last one the agent, once visits that may run on have finished; after anything else it comes back
 * for ever. When nothing is wanted any more the sessions end, until something is.
 */
#ifndef KAREZ_AGENT_AGENT_H
#define KAREZ_AGENT_AGENT_H

#include "agent/agent_net.h"
#include "agent/control.h"
#include "agent/health.h"
#include "agent/memory.h"
#include "agent/peek.h"
#include "agent/servers.h"
#include "agent/target.h"

/* Parallel sessions, tunnels and services of one agent, at most. */
#define AGENT_SESSIONS_MAX 16
#define AGENT_TUNNELS_MAX  1024
#define AGENT_SERVICES_MAX CONTROL_SERVICES_MAX

/* Tunnels that the server has given to our services and that we keep in mind to tell about them:
 * what one session may serve. Visitors of more are served all the same. */
#define AGENT_ASSIGNED_MAX 1024

/* Visitors for what is not here are told of once in so many milliseconds. */
#define AGENT_UNKNOWN_MS 1000

/* Bytes of an agent's id, NUL included. */
#define AGENT_ID_TEXT 65

/* Servers that one agent may be given. */
#define AGENT_SERVERS_MAX SERVERS_GIVEN_MAX

/*
 * A session that is lost while others of a cluster live has time: it is got again within so long,
 * for all agents of a node that has died come to the others. Milliseconds.
 */
#define AGENT_SPREAD_MS 7000

/*
 * A session that is with a node which has another one of ours already tries to get to a node which
 * has none: so often within so long, after a wait of up to AGENT_MOVE_MS, and of up to
 * AGENT_MOVE_GROWTH times as long each time.
 */
#define AGENT_MOVES_MAX	  6
#define AGENT_MOVES_MS	  600000
#define AGENT_MOVE_MS	  8000
#define AGENT_MOVE_GROWTH 2

/* A node that drains asks us to come again; the address is a load balancer's, which may send us to
 * it once more. Then we ask again, so often, after so long and up to twice as long more. */
#define AGENT_HASTE_MAX 8
#define AGENT_HASTE_MS	100

/* Bytes that all sessions may hold above their first windows. */
#define AGENT_BUDGET (128 * 1024 * 1024)

/*
 * How often the clocks are compared, and how far the wall clock may run ahead before we take it
 * that the machine has slept; then a session must answer within AGENT_WAKE_PING_MS. Milliseconds.
 */
#define AGENT_SLEEP_CHECK_MS 2000
#define AGENT_SLEPT_MS	     10000
#define AGENT_WAKE_PING_MS   3000

/* A server that has not answered an attach after so long is given up, in milliseconds. */
#define AGENT_ATTACH_MS 15000

/* Attaches that one session may wait for: a server refuses more. Source: doc/session-protocol.md 3.
 */
#define AGENT_ATTACHES_MAX 64

/* So long nothing is wanted before the sessions end, in milliseconds: a file is often written
 * twice. */
#define AGENT_REST_MS 2000

/* How long running visits may take to finish when the agent is stopped, in milliseconds. */
#define AGENT_STOP_MS 700

/* A server that has taken our last tunnel away, and lets running visits finish, ends our sessions
 * itself; so long after the time that it has given we go without it, in milliseconds. */
#define AGENT_LEAVE_MS 5000

struct agent;

/* By which door visitors of a tunnel come. */
enum agent_kind { AGENT_HTTP, AGENT_TCP, AGENT_TLS };

/* A tunnel that is wanted. All zero but for the target: as simple as can be. All of it is copied,
 * the texts included. */
struct agent_tunnel {
	enum agent_kind kind;
	const char *name; /* asked for by a person; NULL: the one remembered, else any */
	struct url target;
	bool insecure;	   /* any certificate of an https:// or tls:// target will do */
	struct str wish;   /* what else its record shall say, see control_wish_check() */
	unsigned priority; /* of this agent: less is better */
	unsigned proxy;	   /* 1, 2: a health request begins with such a PROXY header; 0: not */
	struct health_opt health;
};

/* Something on this side that tunnels may be given to. */
struct agent_service {
	const char *name; /* as ident_ok() allows; no two alike */
	struct url target;
	struct health_opt health; /* path borrowed: outlives the agent */
};

/* Visitors come from now on. All borrowed for the call. */
struct agent_online {
	uint32_t tunnel; /* its id */
	const char *name, *url;
	const struct url *target;
	/* It was online before, at this very URL. Otherwise, and when what its record says has
	 * changed, the URL is news. */
	bool again;
	const char (*urls)[CONTROL_URL_MAX]; /* [n_urls] all of them, url is the first */
	size_t n_urls;
};

/* The server has given us a tunnel. All borrowed for the call. */
struct agent_assigned {
	const char *name, *service; /* service: may be empty */
	const struct url *target;   /* NULL: there is nothing of this name here */
};

/* No session is up, and an attempt to get one has failed. */
struct agent_offline {
	int e;
	bool spoken;	    /* it is the server's own word, so there is a server */
	bool lost;	    /* there was a session, and the last one has died */
	const char *reason; /* may be empty; may hold what the server said */
	uint32_t retry_ms;  /* until the next attempt; 0: one is under way */
};

/* Texts that come from the server may hold control characters. */
struct agent_events {
	void (*online)(void *arg, const struct agent_online *o);
	void (*offline)(void *arg, const struct agent_offline *o);
	/* The server has refused or taken away this tunnel for good; others go on. */
	void (*lost)(void *arg, uint32_t id, int code, const char *reason);
	/*
	 * The agent does nothing any more and may be freed, though not in the call.
	 *   code  0 after agent_stop(); else the server's final word, an ERR_*.
	 */
	void (*ended)(void *arg, int code, const char *reason);
	/* A target cannot be reached (an ERR_*), or can again (0). */
	void (*target)(void *arg, const struct url *to, int e);
	/* A request is over. NULL: nobody watches, and nothing is spent on it. */
	void (*request)(void *arg, const struct peek_request *r);

	/* The following may be NULL. */

	/* What a tunnel's record shall say now was refused; it goes on as it was. */
	void (*kept)(void *arg, uint32_t id, int code, const char *reason);
	/* A tunnel that nobody serves is refused, though not for good: it is asked for again and
	 * again. Told once for each code. */
	void (*delayed)(void *arg, uint32_t id, int code, const char *reason);

	/* A connection of another protocol is over. */
	void (*connection)(void *arg, const struct target_connection *c);
	/* Our services are on offer: the first session is up, for the first time or again. */
	void (*offering)(void *arg, bool again);
	/* A tunnel was given to us; it was taken away again, which does not end the agent. */
	void (*assigned)(void *arg, const struct agent_assigned *t);
	void (*taken)(void *arg, const char *name, int code, const char *reason);
	/* A visitor was refused, because there is no such thing here. service: may be empty. */
	void (*unknown)(void *arg, const char *tunnel, const char *service);
	/* A health check has changed its mind about a target; why as health_owner.changed(). */
	void (*health)(void *arg, const struct url *to, bool up, const char *why);
};

/* How sessions are carried. */
enum agent_transport {
	AGENT_AUTO, /* as it worked last, else by an upgrade; and when that fails the other way */
	AGENT_UPGRADE,	 /* as bytes, by an upgrade of our own */
	AGENT_WEBSOCKET, /* in its messages */
};

struct agent_opt {
	struct log *log; /* borrowed, as all here: outlives the agent */
	struct agent_net *net;
	struct memory *memory; /* NULL: nothing is remembered */
	const char *id;	       /* this agent's, 1-64 of A-Z a-z 0-9 . _ - */
	const char *token;     /* given by a person; NULL: the one remembered, else none */
	/* A certificate of the net's proves who we are, unless a token is given: none is
	 * remembered, and no account made. */
	bool certificate;
	const struct url *server; /* what is remembered is so by its name */
	/* [n_others] of the same cluster, where the same credential counts and the same names are;
	 * n_others is less than AGENT_SERVERS_MAX. */
	const struct url *others;
	size_t n_others;
	/* [n_tunnels], may be none if services are, or if it stays; copied. Their ids are 1, 2, ..
	 */
	const struct agent_tunnel *tunnels;
	size_t n_tunnels;
	bool stays; /* that nothing is left to serve does not end it: it rests until there is */
	const struct agent_service *services; /* [n_services], copied but for health.path */
	size_t n_services;
	unsigned priority;   /* of the services: less is better */
	unsigned n_sessions; /* 1 to AGENT_SESSIONS_MAX */
	enum agent_transport transport;
	const struct agent_events *events;
	void *arg;
};

/*
 * Begin; events come from the loop.
 * Returns 0, ERR_INVAL (a name that is none or is there twice, a wish that is none), ERR_TOOBIG
 * (the token, a wish), ERR_NOMEM.
 */
int agent_new(struct ev *ev, const struct agent_opt *opt, struct agent **out) MUST_CHECK;

/*
 * Want one more tunnel, from now on.
 *   *id  set on success: what it is called here; never given again.
 * Returns 0, ERR_INVAL (a name that is none, or of another tunnel; a wish that is none), ERR_TOOBIG
 * (the wish), ERR_LIMIT (AGENT_TUNNELS_MAX), ERR_CLOSED (the agent ends), ERR_NOMEM.
 */
int agent_add(struct agent *a, const struct agent_tunnel *t, uint32_t *id) MUST_CHECK;

/*
 * Want a tunnel to be another one; its kind and its name stay. New visits go to the new target at
 * once, running ones finish at the old one. What its record shall say is said anew by one session,
 * without a gap; then the others follow. One that was lost is asked for again. If nothing differs,
 * nothing happens.
 * Returns 0; or nothing has changed: ERR_NOTFOUND (no such id), ERR_INVAL (another kind or name; a
 * wish that is none), ERR_TOOBIG, ERR_CLOSED, ERR_NOMEM.
 */
int agent_change(struct agent *a, uint32_t id, const struct agent_tunnel *t) MUST_CHECK;

/* Want a tunnel no longer. Running visits finish; nothing is told of it afterwards. An id that is
 * none is harmless. */
void agent_remove(struct agent *a, uint32_t id);

/* How a tunnel is. Texts are borrowed until the loop next turns, or the agent is called. */
struct agent_look {
	const char *name; /* "" while none is known */
	const char *url;  /* where it is, or was last; "" */
	const struct url *target;
	bool online;	    /* visitors come */
	bool over;	    /* refused or taken away for good */
	int code;	    /* why it is not online, or not as it was wished: an ERR_*; 0 */
	const char *reason; /* the server's words for that; may be empty */
	bool checked, up;   /* its health is checked; the target works, as far as is known */
	const char *why;    /* it does not: a clause; "" */
	int target_e;	    /* how the last visit's attempt to reach the target ended: 0, ERR_* */
	struct target_count count;
};

/* Returns false if there is no such tunnel. */
bool agent_look(const struct agent *a, uint32_t id, struct agent_look *out);

/* How the agent itself is. */
struct agent_state {
	unsigned sessions;     /* that are up */
	unsigned nodes;	       /* of the cluster, that these are with; 0: not known */
	const char *transport; /* of the newest: "upgrade", "websocket"; "" without one */
	bool resting;	       /* nothing is wanted */
	bool offline;	       /* no session, and the last attempt has failed: */
	int e;		       /* why, an ERR_* */
	const char *reason;    /* may be empty; borrowed until the loop next turns */
	uint32_t retry_ms;     /* until the next attempt; 0: one is under way */
};

void agent_state(const struct agent *a, struct agent_state *out);

/* Take no more visitors, let running ones finish for AGENT_STOP_MS, then end: ended() is told. */
void agent_stop(struct agent *a);

/* No event afterwards. NULL is allowed. */
void agent_free(struct agent *a);

#endif
