/*
 * What a node knows: accounts and their credentials, tunnels, and which sessions serve them now.
 *
 * Records live in the store; sessions live here. Gateways log agents in and attach their sessions,
 * ingresses ask for a tunnel by name and dial it. Nothing here knows sockets or HTTP.
 */
#ifndef KAREZ_CORE_CORE_H
#define KAREZ_CORE_CORE_H

#include "session/session.h"
#include "store/store.h"

struct core;

/* Sessions that one tunnel may have, at most, and tunnels that one session may serve. */
#define CORE_SESSIONS_PER_TUNNEL 64
#define CORE_TUNNELS_PER_SESSION 1024
/* Records of tunnels that one account may have, at most. */
#define CORE_TUNNELS_PER_ACCOUNT 100
/* Bytes of a bearer token as text, of an account's number, and of an agent's id, NUL included. */
#define CORE_TOKEN_TEXT	  64
#define CORE_ACCOUNT_TEXT 20
#define CORE_AGENT_TEXT	  65
/* Bytes of a sentence for a person, NUL included. */
#define CORE_REASON_TEXT 256

struct core_opt {
	struct log *log;     /* borrowed: the process's */
	struct store *store; /* borrowed: outlives the core */
	const char *domain;  /* tunnels are names under it; borrowed */
	/* What stands around a tunnel's name in its public URL: "http", "https"; 0: the scheme's
	 * port. */
	const char *url_scheme;
	uint16_t url_port;
	bool allow_registration;
};

int core_new(struct ev *ev, const struct core_opt *opt, struct core **out) MUST_CHECK;

/* Members must have left. Calls that wait for the store are answered with ERR_CLOSED first. */
void core_free(struct core *c);

/* ---- logging in ---- */

/* What an agent says about itself. */
struct core_agent {
	char id[CORE_AGENT_TEXT];
	uint64_t epoch;	  /* grows with every start of its process */
	unsigned carrier; /* which of its parallel sessions */
};

struct core_login {
	/*
	 * 0, ERR_AUTH, ERR_DENIED, ERR_DISABLED, ERR_LIMIT, or the store's: ERR_IO, ERR_FULL,
	 * ERR_TIMEOUT, ERR_NOMEM, ERR_CLOSED.
	 */
	int e;
	const char *reason;		 /* a sentence for a person when e is not 0 */
	char account[CORE_ACCOUNT_TEXT]; /* "XXXX-XXXX-XXXX-XXXX" */
	char token[CORE_TOKEN_TEXT];	 /* the token of an account made just now, else "" */
};

/*
 * Prove who is there.
 *   token  as presented; empty: make an account on the fly, if registration is open.
 *   done   called exactly once, never before this returns; the result is borrowed for the call.
 * Returns 0, or without a callback: ERR_LIMIT (too many are logging in now), ERR_NOMEM.
 */
int core_login(struct core *c, struct str token,
	       void (*done)(void *arg, const struct core_login *result), void *arg) MUST_CHECK;

/*
 * How logs name an account: its number is nearly a secret and stands in none.
 *   out  gets 8 hexadecimal digits, the same as long as the store lives.
 * Returns out.
 */
#define CORE_TAG_TEXT 9
const char *core_owner_tag(const struct core *c, const char *account, char out[CORE_TAG_TEXT]);

/* ---- members: sessions of agents that are logged in ---- */

struct member;

struct member_owner {
	/* Both are called from the loop; the owner may call member_leave() in them. */

	/*
	 * The core has taken a tunnel away from this session.
	 *   code    an ERR_*: ERR_REPLACED, ERR_DELETED, ERR_DISABLED.
	 *   reason  a sentence for a person.
	 */
	void (*detached)(void *arg, const char *tunnel, int code, const char *reason);
	/* The core wants the session closed (credential revoked, replaced); say why to the agent.
	 */
	void (*expelled)(void *arg, int code, const char *reason);
};

struct member_opt {
	struct session *session; /* borrowed: its owner calls member_leave() before it dies */
	const char *account;	 /* as core_login() gave it; copied */
	struct core_agent agent;
	const struct member_owner *owner;
	void *arg;
};

/* The same agent, epoch and carrier again replaces the member before (expelled with ERR_REPLACED).
 */
int member_join(struct core *c, const struct member_opt *opt, struct member **out) MUST_CHECK;

/* The session is gone or going: all its tunnels lose it at once. NULL is allowed. */
void member_leave(struct member *m);

struct core_attached {
	int e; /* 0, ERR_EXISTS, ERR_RESERVED, ERR_INVAL, ERR_LIMIT, ERR_DISABLED, ERR_REPLACED, the
		  store's */
	const char *reason;	     /* a sentence for a person, ASCII; "" when e is 0 */
	char name[HOSTNAME_MAX + 1]; /* "" when what was asked for is no name */
	char url[HOSTNAME_MAX + 32]; /* where visitors reach it */
};

/*
 * Serve a tunnel by this session; its record is made if the account does not have it yet.
 *   name    as asked for, any case; empty: a random one is made.
 *   target  a hint for people, at most 255 bytes; copied.
 *   done    called exactly once, never before this returns, not after member_leave().
 *
 * Sessions of the same agent with a smaller epoch lose the tunnel (detached with ERR_REPLACED); a
 * smaller epoch than one that serves it now is refused with ERR_REPLACED. All names under one last
 * label ("tim" in "hello.tim") belong to one account. Returns 0, or without a callback: ERR_LIMIT
 * (too many attach now), ERR_NOMEM.
 */
int member_attach(struct member *m, struct str name, struct str target,
		  void (*done)(void *arg, const struct core_attached *result),
		  void *arg) MUST_CHECK;

/* Stop serving it by this session; harmless if it does not. name: as asked for, any case. */
void member_detach(struct member *m, struct str name);

/* How many tunnels it serves now, and its number in the core's log lines (session=N). */
size_t member_n_tunnels(const struct member *m);
uint64_t member_number(const struct member *m);

/* ---- visitors ---- */

/* A tunnel that at least one session serves. Borrowed until the loop next turns. */
struct tunnel;

/*
 * Which tunnel serves a name?
 *   name  as it stands before the domain: lower case, one label or several.
 * Returns it if a session serves it now, else NULL: then core_lookup() says why.
 */
struct tunnel *core_tunnel(struct core *c, struct str name);

/*
 * Why does nobody serve this name?
 *   done  called exactly once, never before this returns: ERR_NOROUTE (no such tunnel),
 * ERR_NOSESSION (known, not connected), ERR_DISABLED, 0 (a session has come meanwhile), or the
 * store's error. Returns a handle for core_lookup_cancel(), or NULL when memory or the store's
 * queue is short (done is not called then).
 */
struct core_lookup *core_lookup(struct core *c, struct str name, void (*done)(void *arg, int e),
				void *arg);
void core_lookup_cancel(struct core_lookup *l);

const char *tunnel_name(const struct tunnel *t);

/*
 * Which session should serve a visitor now? The one that moves the fewest bytes, then the one with
 * the fewest streams; so a small request does not queue behind a download. One that is draining is
 * passed over.
 * Returns the number of the session's place at this tunnel, or 0 when there is none. It never
 * repeats and is gone as soon as the session stops serving the tunnel: streams kept under another
 * number may belong to an agent that must not be asked any more.
 */
uint64_t tunnel_choose(const struct tunnel *t);

/*
 * Open a stream to the session that tunnel_choose() names; if that one refuses, to the next.
 *   visit   all but the tunnel's name, which is filled in.
 *   *place  set to the place of the session that took it.
 * Returns 0, ERR_NOSESSION (none, or all are draining), ERR_LIMIT, ERR_NOMEM, ERR_INVAL (the visit
 * cannot be written down).
 */
int tunnel_dial(struct tunnel *t, struct visit *visit, uint64_t *place,
		struct wire **out) MUST_CHECK;

/* A number that nobody else's log shows for this node and tunnel: to find loops by. 16 hex digits.
 */
void tunnel_loop_mark(const struct tunnel *t, char out[17]);

#endif
