/*
 * A whole agent: the sessions it keeps, the tunnels it wants, the services it offers, and the
 * targets that they lead to.
 *
 * The first session to come up attaches the tunnels and learns their names; the others attach to
 * those. Every session offers the services, and the server says which tunnels it gives them to.
 * While no session is up only one of them tries, so a server that is gone hears one agent once.
 * What the server says for good ends the agent, once visits that may run on have finished; after
 * anything else it comes back for ever.
 */
#ifndef KAREZ_AGENT_AGENT_H
#define KAREZ_AGENT_AGENT_H

#include "agent/agent_net.h"
#include "agent/control.h"
#include "agent/health.h"
#include "agent/memory.h"
#include "agent/peek.h"
#include "agent/target.h"

/* Parallel sessions to one server, tunnels and services of one agent, at most. */
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

/* How long running visits may take to finish when the agent is stopped, in milliseconds. */
#define AGENT_STOP_MS 700

/* A server that has taken our last tunnel away, and lets running visits finish, ends our sessions
 * itself; so long after the time that it has given we go without it, in milliseconds. */
#define AGENT_LEAVE_MS 5000

struct agent;

/* By which door visitors of a tunnel come. */
enum agent_kind { AGENT_HTTP, AGENT_TCP, AGENT_TLS };

/* A tunnel that is wanted. All zero but for the target: as simple as can be. */
struct agent_tunnel {
	enum agent_kind kind;
	const char *name; /* asked for by a person; NULL: the one remembered, else any */
	struct url target;
	struct control_wish wish; /* its texts are borrowed: outlive the agent */
	struct health_opt health; /* the same */
};

/* Something on this side that tunnels may be given to. */
struct agent_service {
	const char *name; /* as control_service_ok() allows; no two alike */
	struct url target;
	struct health_opt health; /* path borrowed: outlives the agent */
};

/* Visitors come from now on. All borrowed for the call. */
struct agent_online {
	size_t tunnel; /* index in agent_opt.tunnels */
	const char *name, *url;
	const struct url *target;
	bool again;			     /* it was online before, at this very URL */
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
	void (*lost)(void *arg, size_t tunnel, int code, const char *reason);
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

struct agent_opt {
	struct log *log; /* borrowed, as all here: outlives the agent */
	struct agent_net *net;
	struct memory *memory; /* NULL: nothing is remembered */
	const char *id;	       /* this agent's, 1-64 of A-Z a-z 0-9 . _ - */
	const char *token;     /* given by a person; NULL: the one remembered, else none */
	/* A certificate of the net's proves who we are, unless a token is given: none is
	 * remembered, and no account made. */
	bool certificate;
	const struct url *server;
	const struct agent_tunnel *tunnels; /* [n_tunnels], may be none if services are; copied */
	size_t n_tunnels;
	const struct agent_service *services; /* [n_services], copied but for health.path */
	size_t n_services;
	unsigned priority;   /* of the services: less is better */
	unsigned n_sessions; /* 1 to AGENT_SESSIONS_MAX */
	const struct agent_events *events;
	void *arg;
};

/*
 * Begin; events come from the loop.
 * Returns 0, ERR_INVAL (a name that is none, a service twice), ERR_TOOBIG (the token), ERR_NOMEM.
 */
int agent_new(struct ev *ev, const struct agent_opt *opt, struct agent **out) MUST_CHECK;

/* Take no more visitors, let running ones finish for AGENT_STOP_MS, then end: ended() is told. */
void agent_stop(struct agent *a);

/* No event afterwards. NULL is allowed. */
void agent_free(struct agent *a);

#endif
