/*
 * Remote forwards through any SSH server, as `ssh -R` makes them: the session, got again and again,
 * and the visitors that it brings.
 *
 * What is refused for good ends it: the server knows no key of ours, its own key is not the known
 * one, or it takes none of the forwards (ExitOnForwardFailure: not all of them). After anything
 * else it comes back for ever and asks for the same, a port that was allocated included.
 */
#ifndef KAREZ_AGENT_RFORWARD_H
#define KAREZ_AGENT_RFORWARD_H

#include "agent/agent_net.h"
#include "agent/target.h"
#include "proto/ssh_spec.h"
#include "session/secsh_agent.h"

/* How long resolving and connecting to the server may take, in milliseconds, unless ConnectTimeout
 * says otherwise. */
#define RFORWARD_DIAL_MS 10000

/* A session that has lived so long starts the back-off anew when it dies, in milliseconds. */
#define RFORWARD_STEADY_MS 10000

/*
 * A server that refuses, after a lost session, every port that it had given us may not have noticed
 * the loss: so long after it, asking goes on. In milliseconds; an sshd with ClientAliveInterval 15
 * takes 45 s.
 */
#define RFORWARD_GHOST_MS 60000

struct rforward;

/* The server's answer to one forward. Told when it is the first, and whenever it is another one. */
struct rforward_answer {
	size_t i;
	const struct ssh_spec *spec; /* borrowed for the call */
	int e;			     /* 0, ERR_DENIED: refused */
	uint16_t port;		     /* where the server listens; refused: what was asked for */
};

/* There is no session, or none any more. */
struct rforward_offline {
	int e;
	bool lost;	    /* there was one */
	const char *reason; /* may be empty; may hold the server's words */
	uint32_t retry_ms;  /* until the next attempt */
};

/* Texts that come from the server may hold control characters. */
struct rforward_events {
	/* Logged in, and every forward was answered; again: not for the first time. */
	void (*up)(void *arg, bool again);
	void (*answered)(void *arg, const struct rforward_answer *a);
	void (*offline)(void *arg, const struct rforward_offline *o);
	/* A target cannot be reached (an ERR_*), or can again (0). */
	void (*target)(void *arg, const struct url *to, int e);
	/* A visitor is gone. NULL: nobody wants to know. */
	void (*connection)(void *arg, const struct target_connection *c);
	/*
	 * It does nothing any more and may be freed, though not in the call.
	 *   code  0 after rforward_stop(); else ERR_AUTH, ERR_CERT, or ERR_DENIED: no forward is
	 * left.
	 */
	void (*ended)(void *arg, int code, const char *reason);
};

struct rforward_opt {
	struct agent_net *net;		/* borrowed, as all here: outlives it; for the targets */
	struct secsh_agent_where where; /* for the call of rforward_new() only */
	struct secsh_agent_asks asks;
	const struct ssh_spec *specs; /* [n_specs], 1 to SECSH_SPECS_MAX; copied */
	size_t n_specs;
	const struct rforward_events *events;
	void *arg;
};

/*
 * Begin; events come from the loop.
 *   why  [SECSH_WHY_TEXT] set on failure to a sentence.
 * Returns 0, ERR_NOMEM, ERR_LIMIT (n_specs), or as secsh_agent_new().
 */
int rforward_new(struct ev *ev, const struct rforward_opt *opt, struct rforward **out,
		 char *why) MUST_CHECK;

/* Whose server it is, as the configuration says: NUL-terminated, live as long as it. */
const char *rforward_host(const struct rforward *r);
const char *rforward_user(const struct rforward *r);
uint16_t rforward_port(const struct rforward *r);

/* End the session and all visits; ended() is told at the end of the turn. */
void rforward_stop(struct rforward *r);

/* No event afterwards. NULL is allowed. */
void rforward_free(struct rforward *r);

#endif
