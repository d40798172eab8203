/*
 * What people and programs do to accounts, credentials and tunnels: the calls behind the API.
 *
 * Every call asks access_decide() first, is answered exactly once from the loop, never before it
 * returns, and its effect on this node's sessions has happened when it is answered. Numbers and
 * tokens are told once, when they are made.
 */
#ifndef KAREZ_CORE_MANAGE_H
#define KAREZ_CORE_MANAGE_H

#include "core/core.h"
#include "core/record.h"

/* Calls under way at most, and items of one page. */
#define MANAGE_CALLS_MAX 256
#define MANAGE_PAGE_MAX	 100

struct manage;

/* What stands against it, or what was asked for. Borrowed for the callback. */
struct manage_answer {
	/*
	 * 0, ERR_INVAL, ERR_DENIED, ERR_DISABLED, ERR_AUTH, ERR_NOTFOUND, ERR_EXISTS (the name is
	 * somebody else's, or in use), ERR_RESERVED, ERR_CONFLICT (not the expected version),
	 * ERR_LIMIT (a quota), ERR_INUSE (a port), ERR_TOOBIG (a list), ERR_UNSUPPORTED, or the
	 * store's: ERR_FULL, ERR_TIMEOUT, ERR_IO, ERR_CLOSED, ERR_NOMEM.
	 */
	int e;
	const char *reason; /* a sentence for a person when e is not 0 */
	const char *field;  /* the member at fault as the API calls it ("alt_names"), or NULL */
	size_t entry;	    /* of a list that was asked for: the one at fault; SIZE_MAX: none */

	bool created;	  /* a record that was not there before */
	uint64_t version; /* of the one item: its ETag */

	/* [n] items of the kind that was asked for; the other pointers are NULL. */
	size_t n;
	const struct record_account *accounts;
	const struct record_credential *credentials;
	const struct record_tunnel *tunnels;
	/* A whole list: the same, owned, for done() to take it (and leave NULL) who wants to have
	 * it for longer and free() it; else NULL. */
	struct record_tunnel **whole;
	const struct record_invite *invites;
	const struct core_session_info *sessions;
	const struct core_visitor_info *visitors;
	const struct core_agent_there *agents;
	size_t total; /* visitors: so many, though only n are told */
	/* [n_missing] ids of the nodes that did not answer: what is there only is not told. */
	const char (*missing)[NODE_ID_TEXT];
	size_t n_missing;
	bool more;	   /* the list goes on after `after` */
	const char *after; /* to be given back for the next page */

	char number[CORE_NUMBER_TEXT]; /* made just now: "XXXX-XXXX-XXXX-XXXX", else "" */
	char token[CORE_TOKEN_TEXT]; /* made just now: a token, or an invitation's code; else "" */
};

/* Who asks, and who is told. The whole of it is copied. */
struct manage_asker {
	const struct access_who *who; /* NULL: nobody has proven anything */
	void (*done)(void *arg, const struct manage_answer *answer);
	void *arg;
};

/* Which page of a list. */
struct manage_page {
	struct str after; /* as an answer gave it; empty: the first page */
	size_t limit;	  /* [1..MANAGE_PAGE_MAX] */
};

/* Whoever asked does not want to know any more; a change may still happen. NULL is allowed. */
void manage_cancel(struct manage *m);

/*
 * The calls. All return NULL, without a callback, when too many are under way or memory is short.
 *   account   an account's id; empty: the asker's own.
 *   expected  the version that must be there, else ERR_CONFLICT; STORE_ANY: whatever is there.
 */

/* ---- accounts ---- */

struct manage_new_account {
	struct str invitation; /* the code; empty: none */
	struct str name;       /* for people; may be empty */
	bool automatic;	       /* see record_account */
};

/* Make an account, its number and a first token. An administrator needs no invitation. */
struct manage *manage_account_make(struct core *c, const struct manage_asker *by,
				   const struct manage_new_account *a);
struct manage *manage_account_get(struct core *c, const struct manage_asker *by,
				  struct str account);
struct manage *manage_account_list(struct core *c, const struct manage_asker *by,
				   const struct manage_page *page);

/* Bits of manage_account_change.set. Only an administrator may set more than the name. */
enum {
	MANAGE_NAME = 1,
	MANAGE_ENABLED = 2,
	MANAGE_WHY = 4,
	MANAGE_QUOTA_TUNNELS = 8,
	MANAGE_QUOTA_SESSIONS = 16,
	MANAGE_QUOTA_CREDENTIALS = 32,
	MANAGE_ADMIN = 64,
	MANAGE_PORTS = 128,
};

struct manage_account_change {
	unsigned set;
	struct record_account to;
	uint64_t expected;
};

/* Switching an account off ends its sessions at once. */
struct manage *manage_account_change(struct core *c, const struct manage_asker *by,
				     struct str account, const struct manage_account_change *ch);

/* Delete an account with all it owns; its sessions end with ERR_DELETED. */
struct manage *manage_account_drop(struct core *c, const struct manage_asker *by,
				   struct str account, uint64_t expected);

/* A new number in place of the old one. */
struct manage *manage_account_renumber(struct core *c, const struct manage_asker *by,
				       struct str account);

/* ---- credentials ---- */

struct manage_new_credential {
	enum credential_type type; /* not CREDENTIAL_NUMBER */
	struct str name;
	struct access_scope scope;
	struct str shown; /* the line of a public key, the subject name of a certificate */
};

struct manage *manage_credential_make(struct core *c, const struct manage_asker *by,
				      struct str account, const struct manage_new_credential *n);
struct manage *manage_credential_get(struct core *c, const struct manage_asker *by,
				     struct str account, struct str id);
struct manage *manage_credential_list(struct core *c, const struct manage_asker *by,
				      struct str account, const struct manage_page *page);

struct manage_credential_change {
	bool set_name, set_scope;
	struct str name;
	struct access_scope scope;
	uint64_t expected;
};

struct manage *manage_credential_change(struct core *c, const struct manage_asker *by,
					struct str account, struct str id,
					const struct manage_credential_change *ch);

/* Revoke it: sessions that live from it end with ERR_AUTH at once. */
struct manage *manage_credential_drop(struct core *c, const struct manage_asker *by,
				      struct str account, struct str id);

/* ---- invitations: administrators only ---- */

struct manage_new_invite {
	struct str name;
	uint64_t uses;	  /* 1 or more */
	int64_t until_ms; /* 0: for ever */
};

struct manage *manage_invite_make(struct core *c, const struct manage_asker *by,
				  const struct manage_new_invite *n);
struct manage *manage_invite_list(struct core *c, const struct manage_asker *by,
				  const struct manage_page *page);
struct manage *manage_invite_drop(struct core *c, const struct manage_asker *by, struct str id);

/* ---- tunnels ---- */

struct manage *manage_tunnel_get(struct core *c, const struct manage_asker *by, struct str name);

/* all: of all accounts, for administrators. */
struct manage *manage_tunnel_list(struct core *c, const struct manage_asker *by, bool all,
				  const struct manage_page *page);

/* Bits of manage_tunnel_change.set. */
enum {
	MANAGE_T_KIND = 1,
	MANAGE_T_ENABLED = 2,
	MANAGE_T_TARGET = 4,
	MANAGE_T_ALT_NAMES = 8,
	MANAGE_T_POLICY = 16,
	MANAGE_T_SESSIONS_MAX = 32,
	MANAGE_T_REWRITE = 64,
	MANAGE_T_USERS = 128, /* hashes made by the caller, see manage_hash() */
	MANAGE_T_BEARERS = 256,
	MANAGE_T_ALLOW = 512,
	MANAGE_T_DENY = 1024,
	MANAGE_T_AUTH_URL = 2048,
	MANAGE_T_PORT = 4096, /* to.port 0: keep the one that it has, or choose one */
	MANAGE_T_BIND = 8192,
	MANAGE_T_TLS = 16384,
	MANAGE_T_PROXY = 32768,
	MANAGE_T_SERVICE = 65536,
	MANAGE_T_AGENTS = 131072,
	MANAGE_T_DRAIN = 262144,
	MANAGE_T_HOST = 524288,
	MANAGE_T_EDITS = 1048576, /* << HEADER_*: one of the lists of to.edits */
	MANAGE_T_EDITS_ALL = 15728640,
};

struct manage_tunnel_change {
	enum manage_mode {
		MANAGE_CREATE, /* must not be there; what is not set is usual */
		MANAGE_PUT,    /* made, or replaced whole: what is not set is usual */
		MANAGE_PATCH,  /* must be there; what is not set stays */
		MANAGE_ENSURE, /* made, or what is set is changed; nothing is written when all is so
				  already. Its kind stays: another one is ERR_INVAL */
	} mode;
	bool keep; /* MANAGE_ENSURE: what is there stays as it is, but see temporary */
	/*
	 * MANAGE_ENSURE without a name: the account's tunnel of that kind is meant which has
	 * to.port, or to.alt_names[0] (normalised; its other domains stay), if there is one.
	 */
	bool by_route;
	/* MANAGE_ENSURE: what is made goes when nobody serves it any more, and what is there stays
	 * temporary if it is. Any other change makes a temporary tunnel one that stays. */
	bool temporary;
	unsigned set;
	struct record_tunnel to;
	uint64_t expected;
};

/*
 * Make or change a tunnel.
 *   name  empty with MANAGE_CREATE or MANAGE_ENSURE: a random one is made.
 * A custom domain must be proven (see doc/accounts.md) when it is new to the account; one that is
 * not gives ERR_INVAL with the records that would prove it. What is nobody's yet needs no proof by
 * an administrator, or with core_opt.domains_unproven. The port of a tcp tunnel is taken before it
 * is written. A tunnel that is switched off loses its
 * sessions with ERR_DISABLED.
 */
struct manage *manage_tunnel_change(struct core *c, const struct manage_asker *by, struct str name,
				    const struct manage_tunnel_change *ch);

/* ---- a whole list of tunnels ---- */

/* Entries of one list, and lists under way, at most. */
#define MANAGE_LIST_MAX	 1000
#define MANAGE_LISTS_MAX 8

/* One tunnel as it is wanted; what is not set is usual. */
struct manage_tunnel_entry {
	/* Empty: the account's tunnel of the same kind with the same port (tcp), or the same custom
	 * domains, keeps its name; else a random one is made. */
	struct str name;
	struct str account; /* only with `all`; empty: the asker's own */
	unsigned set;	    /* MANAGE_T_* */
	const struct record_tunnel *to;
};

struct manage_tunnel_list {
	const struct manage_tunnel_entry *entries; /* [n], copied with all it points to */
	size_t n;
	bool all;	   /* of all accounts, for administrators; else the asker's own */
	bool known_agents; /* an agent that was never here is ERR_NOTFOUND */
	bool dry_run;	   /* say what would be, change nothing */
	bool keep_http;	   /* http tunnels that are not in the list stay as they are */
	bool keep_rest;	   /* what an entry does not set stays as its tunnel has it */
};

/*
 * Replace the tunnels of an account, or of all: validated whole, ports taken whole, then switched
 * in one turn. On any error nothing has changed, and answer->entry says which is at fault. One that
 * is as it was keeps its listener and its connections; one that is not in the list is deleted.
 *   answer->tunnels  as they are now, in the order of the list.
 */
struct manage *manage_tunnel_replace(struct core *c, const struct manage_asker *by,
				     const struct manage_tunnel_list *l);

/*
 * Who is there, in the whole cluster: nodes that do not answer within MANAGE_ASK_MS milliseconds
 * are named in `missing`. One that is stopped costs that time; a round trip and a connection
 * between two nodes (HOP_CONNECT_MS) fit in. So many of these calls at once; one more gets
 * ERR_LIMIT.
 */
#define MANAGE_ASK_MS	2000
#define MANAGE_ASKS_MAX 64

/* Agents of the asker's account (all: of every account, for administrators) that are or were there;
 * at most MANAGE_AGENTS_MAX, the connected ones first. */
#define MANAGE_AGENTS_MAX 1024
struct manage *manage_agents(struct core *c, const struct manage_asker *by, bool all);

/* Its sessions lose it with ERR_DELETED, its names are free at once. */
struct manage *manage_tunnel_drop(struct core *c, const struct manage_asker *by, struct str name,
				  uint64_t expected);

/* Sessions that serve it, by their numbers; visitors that it serves now, the oldest first, each at
 * the node that it came to. At most MANAGE_PAGE_MAX. */
struct manage *manage_sessions(struct core *c, const struct manage_asker *by, struct str name);
struct manage *manage_visitors(struct core *c, const struct manage_asker *by, struct str name);

/*
 * End sessions that serve a tunnel; one that serves others as well loses this one only. Agents
 * print the reason and do not come back by themselves.
 *   session  its number, at any node; 0: all of them.
 *   reason   a sentence; empty: a usual one.
 * answer->n says how many there were, as far as is known: nodes in `missing` hear of it as well.
 */
struct manage *manage_disconnect(struct core *c, const struct manage_asker *by, struct str name,
				 uint64_t session, struct str reason);

#endif
