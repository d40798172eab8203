/*
 * What a node knows: accounts and their credentials, tunnels, and which sessions serve them now.
 *
 * Records live in the store; sessions live here. Gateways log agents in and attach their sessions,
 * ingresses ask for a tunnel by name and dial it. Nothing here knows sockets or HTTP.
 */
#ifndef KAREZ_CORE_CORE_H
#define KAREZ_CORE_CORE_H

#include "core/access.h"
#include "core/digest.h"
#include "core/peer.h"
#include "core/record.h"
#include "session/session.h"
#include "store/store.h"

struct core;
struct url;
struct login;
struct manage_tunnel_change;

/* Tunnels that one session may serve. */
#define CORE_TUNNELS_PER_SESSION 1024
/* Bytes of a bearer token as text, and of an account's number, NUL included. */
#define CORE_TOKEN_TEXT	 64
#define CORE_NUMBER_TEXT 20

/* Who may make an account. */
enum core_registration { CORE_CLOSED, CORE_BY_INVITATION, CORE_OPEN };

/* How custom domains are proven: questions to the DNS, answered later. */
enum core_dns_type { CORE_DNS_TXT, CORE_DNS_CNAME };
struct core_resolver {
	/*
	 * Ask for the texts, or for the chain of canonical names (lower case), of a name.
	 *   done  called once, never before this returns: 0 with [n] texts, ERR_NOTFOUND, or why
	 *         there is no answer.
	 * Returns a handle for cancel(), or NULL when too much is being asked.
	 */
	void *(*ask)(void *arg, enum core_dns_type type, struct str name,
		     void (*done)(void *done_arg, int e, const struct str *texts, size_t n),
		     void *done_arg);
	void (*cancel)(void *arg, void *handle);
	void *arg;
};

/*
 * Where tcp tunnels are reached: sockets in karezd, memory in the simulation. A port is taken as
 * long as its tunnel's record exists; it lets visitors in only while somebody serves the tunnel.
 */
struct port;
struct core_ports {
	/*
	 * Take a port; it refuses visitors for now.
	 *   bind  an IP, "localhost" (both loopback addresses), or "": wherever the server lets
	 *         tunnels listen.
	 *   port  > 0.
	 * A port of ours with the same number at other addresses is not in the way: both stand side
	 * by side until one is given up. let() of the new one comes before give_up() of the old
	 * one; then visitors who are on the way to the old one are still let in, and none is
	 * refused.
	 * Returns 0, ERR_INUSE, ERR_DENIED (the system, or the server's operator, does not let us),
	 * ERR_INVAL (no address of this machine), ERR_NOFILE, ERR_NOMEM.
	 */
	int (*take)(void *arg, const char *bind, uint16_t port, struct port **out);
	/* Let visitors in, to this tunnel (copied); NULL: refuse them at once. Cheap when nothing
	 * changes.
	 * Returns 0 or, refusing, ERR_INUSE, ERR_NOFILE, ERR_NOMEM. */
	int (*let)(struct port *p, const char *tunnel);
	/* Give it up; running visitors stay. NULL is allowed. */
	void (*give_up)(struct port *p);
	void *arg;
};

struct core_opt {
	struct log *log;      /* borrowed: the process's */
	struct store *store;  /* borrowed: outlives the core */
	const char *domain;   /* tunnels are names under it; borrowed */
	const char *api_host; /* the API's own name, lower case; borrowed; NULL: it has none */
	/* What stands around a tunnel's name in its public URL: "http", "https"; 0: the scheme's
	 * port. */
	const char *url_scheme;
	uint16_t url_port;
	enum core_registration registration;
	struct core_resolver resolver; /* ask NULL: there are no custom domains */
	bool domains_unproven;	       /* nobody has to prove a custom domain that is free */
	struct core_ports ports;       /* take NULL: there are no tcp tunnels */
	/* [n_tcp_ports] ports that tunnels may have; borrowed. Port 0 gets one of them >= 1024. */
	const struct access_ports *tcp_ports;
	size_t n_tcp_ports;
	uint16_t tls_port; /* where tls tunnels are reached; 0: there are none */
	/* [n_auth_hosts] "host" or "host:port" that a tunnel's auth hook may be at, "*" for any;
	 * borrowed. */
	const char *const *auth_hosts;
	size_t n_auth_hosts;
	/*
	 * Keep the first administrator's token before it counts, so that no crash loses it; token
	 * NULL: another node's counts, forget it. keep_token NULL: nobody keeps it.
	 * Returns 0, or ERR_DENIED: core_start() ends with it.
	 */
	int (*keep_token)(void *arg, const char *token);
	void *keep_token_arg;
	struct core_cluster cluster; /* who the others are told of us; all NULL: there are none */
};

int core_new(struct ev *ev, const struct core_opt *opt, struct core **out) MUST_CHECK;

/* Members must have left, and peers must be gone. Calls that wait for the store are answered with
 * ERR_CLOSED first. */
void core_free(struct core *c);

/*
 * This node is about to go: visitors who come here are sent to other nodes that serve their tunnel,
 * as long as there are any, so that the sessions here come to an end; else they are served as ever.
 * Those whom other nodes send here are served.
 */
void core_drain_begin(struct core *c);

struct core_started {
	int e; /* 0; ERR_UNSUPPORTED (records of a newer karez); ERR_DENIED (keep_token's); the
		  store's */
	const char *reason;
	/* The token of the first administrator, made just now; "" when there is one already. */
	char token[CORE_TOKEN_TEXT];
};

/*
 * Bring the store's records to this version's schema, and make the first administrator's account
 * if there is none. Calls made meanwhile wait for nothing: they work on records as they find them.
 *   done  called exactly once, never before this returns.
 * Returns 0 or ERR_NOMEM.
 */
int core_start(struct core *c, void (*done)(void *arg, const struct core_started *result),
	       void *arg) MUST_CHECK;

/* ---- logging in ---- */

/* What an agent says about itself. */
struct core_agent {
	char id[CORE_AGENT_TEXT];
	uint64_t epoch;	  /* grows with every start of its process */
	unsigned carrier; /* which of its parallel sessions */
	bool drawn;	  /* the id is this session's alone: nobody remembers it afterwards */
};

/* What somebody presents to prove an account. */
struct core_proof {
	enum core_proof_type {
		CORE_PROOF_NONE,    /* nothing: an account is made on the fly, if that is open */
		CORE_PROOF_BEARER,  /* a token, or an account's number as the API takes it */
		CORE_PROOF_SSH_KEY, /* "SHA256:<base64>" of a key whose signature was verified */
		CORE_PROOF_CERTIFICATE, /* the name in a verified certificate; "": it has none */
	} type;
	struct str text; /* any bytes */
	/*
	 * CORE_PROOF_SSH_KEY: the key itself, one line as ssh_key_parse() writes it. Where anybody
	 * may make an account, one is made for a key that nobody knows, and the key proves it from
	 * then on; empty, or where accounts are not open: such a key is ERR_AUTH.
	 */
	struct str line;
};

struct core_login {
	/*
	 * 0, ERR_AUTH, ERR_DENIED, ERR_DISABLED, ERR_LIMIT, or the store's: ERR_IO, ERR_FULL,
	 * ERR_TIMEOUT, ERR_NOMEM, ERR_CLOSED.
	 */
	int e;
	const char *reason;	       /* a sentence for a person when e is not 0 */
	struct access_who who;	       /* when e is 0 */
	char number[CORE_NUMBER_TEXT]; /* of an account made just now, else "" */
	char token[CORE_TOKEN_TEXT];   /* the same; "" also when its proof is a key */
};

/*
 * Prove who is there. Unknown and wrong take the same path and the same time.
 *   done  called exactly once, never before this returns; the result is borrowed for the call.
 * Returns NULL, without a callback, when too many are logging in now or memory is short.
 */
struct login *core_login(struct core *c, const struct core_proof *proof,
			 void (*done)(void *arg, const struct core_login *result), void *arg);

/* Never call back. */
void core_login_cancel(struct login *l);

/* ---- members: sessions of agents that are logged in ---- */

struct member;

/* A request, or a connection, that is over. Texts are NUL-terminated, as the visitor sent them. */
struct core_served {
	const char *method; /* NULL: a connection whose words nobody looked at */
	const char *path;   /* path and query; NULL as above */
	unsigned status;    /* 0: none, or it ended before there was an answer */
	uint64_t ms;
	uint64_t up, down; /* bytes of content: to the target, and back */
	int why;	   /* 0, or an ERR_*: how a connection was broken */
};

struct member_owner {
	/* All are called from the loop; the owner may call member_leave() in them. */

	/*
	 * The core has given this session a tunnel that it had not asked for: see member_offer().
	 *   service  what the record calls its target; may be empty.
	 */
	void (*assigned)(void *arg, const char *tunnel, const char *service);

	/*
	 * The core has taken a tunnel away from this session.
	 *   code      an ERR_*: ERR_REPLACED (also: the tunnel names other agents now),
	 *             ERR_DELETED, ERR_DISABLED, ERR_DENIED.
	 *   reason    a sentence for a person.
	 *   drain_ms  so long its visitors may go on, see core_visitor.leave(); 0: they have ended,
	 *             or nothing ends them: a newer process of the same agent has it.
	 */
	void (*detached)(void *arg, const char *tunnel, int code, const char *reason,
			 uint64_t drain_ms);
	/* Only with member_opt.watch: something that this session has served is over. Borrowed. */
	void (*served)(void *arg, const struct visit *visit, const struct core_served *what);
	/*
	 * The core wants the session closed; say why to the agent: ERR_REPLACED, ERR_AUTH
	 * (revoked, or over), ERR_DISABLED, ERR_DELETED (the account), ERR_DISCONNECTED.
	 */
	void (*expelled)(void *arg, int code, const char *reason);
};

/* What carries a session. */
enum core_session_kind { CORE_SESSION_MUX, CORE_SESSION_SSH, CORE_SESSION_KINDS };

/* "mux", "ssh". */
const char *core_session_kind_name(enum core_session_kind kind);

struct member_opt {
	struct session *session;      /* borrowed: its owner calls member_leave() before it dies */
	const struct access_who *who; /* as core_login() gave it; copied */
	struct core_agent agent;
	struct visit_end peer;
	const struct member_owner *owner;
	void *arg;
	bool watch; /* owner->served() is wanted */
	enum core_session_kind kind;
};

/* With member_opt.watch: from now on owner->served() is wanted, or is not any more. */
void member_watch(struct member *m, bool watch);

/*
 * The same agent, epoch and carrier again replaces the member before (expelled with ERR_REPLACED).
 *   reason  filled on failure.
 * Returns 0, ERR_LIMIT (the account's quota of sessions), ERR_NOMEM, or what access_decide() says.
 */
int member_join(struct core *c, const struct member_opt *opt, struct member **out,
		char reason[CORE_REASON_TEXT]) MUST_CHECK;

/* The session is gone or going: all its tunnels lose it at once. NULL is allowed. */
void member_leave(struct member *m);

/* What an agent asks for. All borrowed for the call. */
struct core_wish {
	enum tunnel_kind kind;
	struct str name;   /* any case; empty: a random one is made */
	struct str target; /* a hint for people, at most 255 bytes */
	unsigned priority; /* less is better, for TUNNEL_FAILOVER */
	/*
	 * What else its record shall say, if it does not say so already: see
	 * manage_tunnel_change(), whose members mode and expected do not count. NULL: nothing.
	 */
	const struct manage_tunnel_change *change;
	/* Without a name: the account's tunnel of this kind that has the port, or the first of the
	 * custom domains, in *change is meant, if there is one. */
	bool by_route;
	/* A record that has to be made is dropped again when nobody serves it any more. */
	bool temporary;
	/* Its process has served it before: a record that is there stays as it is, target and all;
	 * what else is wished counts only for one that has to be made. */
	bool again;
};

/* Where one tunnel can be reached, at most: its own name and its custom domains. */
#define CORE_URLS_MAX 11
/* Bytes of such a URL, NUL included. */
#define CORE_URL_TEXT (HOSTNAME_MAX + 32)

struct core_attached {
	int e; /* 0, ERR_EXISTS, ERR_RESERVED, ERR_INVAL, ERR_LIMIT, ERR_DISABLED, ERR_DENIED,
		  ERR_REPLACED, ERR_INUSE (the port), ERR_UNSUPPORTED, the store's */
	const char *reason;	     /* a sentence for a person, ASCII; "" when e is 0 */
	char name[HOSTNAME_MAX + 1]; /* "" when what was asked for is no name */
	/* Where visitors reach it, the one to be shown first: "https://a.example",
	 * "tcp://a.example:9000", "tls://app.example.org:443". */
	char urls[CORE_URLS_MAX][CORE_URL_TEXT];
	size_t n_urls;
	uint16_t port; /* of a tcp tunnel, else 0 */
};

/*
 * Serve a tunnel by this session; its record is made if the account does not have it yet.
 *   done  called exactly once, never before this returns, not after member_leave().
 *
 * Sessions of the same agent with a smaller epoch lose the tunnel (detached with ERR_REPLACED); a
 * smaller epoch than one that serves it now is refused with ERR_REPLACED. All names under one last
 * label ("tim" in "hello.tim") belong to one account. Returns 0, or without a callback: ERR_LIMIT
 * (too many attach now), ERR_NOMEM.
 */
int member_attach(struct member *m, const struct core_wish *wish,
		  void (*done)(void *arg, const struct core_attached *result),
		  void *arg) MUST_CHECK;

/* Services that one session may offer. */
#define CORE_SERVICES_MAX 256

/*
 * Serve whatever tunnels of the account name this agent, or name no agent and one of these
 * services; now and whenever a record changes. Each is told by assigned(), and by detached() when
 * it is over. services  [n] names, copied; once more replaces the list. Returns 0, ERR_TOOBIG (n,
 * or a name), ERR_NOMEM.
 */
int member_offer(struct member *m, const struct str *services, size_t n,
		 unsigned priority) MUST_CHECK;

/*
 * The agent says whether its target works: a session whose target does not is passed over.
 * Harmless when it does not serve this tunnel.
 */
void member_set_health(struct member *m, struct str name, bool up);

/* Stop serving it by this session; harmless if it does not. name: as asked for, any case. */
void member_detach(struct member *m, struct str name);

/* How many tunnels it serves now. */
size_t member_n_tunnels(const struct member *m);

/* Does it serve a tunnel that no other node serves, of those that stay and have a target that
 * works? Cheap enough to be asked some times a second. */
bool member_is_needed(const struct member *m);

/* Its number in the core's log lines (session=N). */
uint64_t member_number(const struct member *m);

/* ---- visitors ---- */

/* A tunnel that at least one session serves, here or on another node. Borrowed until the loop next
 * turns. */
struct tunnel;

/*
 * Which tunnel serves a name? For visitors.
 *   name  as it stands before the domain: lower case, one label or several.
 * Returns it if a session serves it now and its record is known here, else NULL: then core_lookup()
 * says why. The record of one that only other nodes serve is known when it has a route, or was
 * asked for by core_lookup() lately.
 */
struct tunnel *core_tunnel(struct core *c, struct str name);

/* The same for a whole host name, lower case, that is an http tunnel's custom domain. */
struct tunnel *core_tunnel_at(struct core *c, struct str host);

/*
 * Does core_lookup_at() know more of a host name than core_sni() and core_tunnel_at(): may it be
 * the custom domain of an http tunnel that only other nodes serve? Never when there are none.
 */
bool core_may_be_elsewhere(struct core *c, struct str host);

/*
 * Why does nobody serve this name of an http tunnel?
 *   done  called exactly once, never before this returns: ERR_NOROUTE (no such tunnel),
 * ERR_NOSESSION (known, not connected), ERR_DISABLED, 0 (another node serves it, or a session has
 * come meanwhile: core_tunnel() has it now, until the loop turns at least), or the store's error.
 * Returns a handle for core_lookup_cancel(), or NULL when memory or the store's queue is short
 * (done is not called then).
 */
struct core_lookup *core_lookup(struct core *c, struct str name, void (*done)(void *arg, int e),
				void *arg);
/* The same for a host name that may be a custom domain. */
struct core_lookup *core_lookup_at(struct core *c, struct str host, void (*done)(void *arg, int e),
				   void *arg);
void core_lookup_cancel(struct core_lookup *l);

const char *tunnel_name(const struct tunnel *t);

/* What the ingress must know of a tunnel's record. Immutable; a change makes another one. */
struct tunnel_settings {
	unsigned refs;
	enum tunnel_kind kind;
	enum tunnel_tls tls;
	enum tunnel_proxy proxy;
	bool rewrite;		     /* Host, Origin and Referer become the target's */
	struct str edits;	     /* owned; see header_edits_str(); empty: none */
	char *host;		     /* owned; see record_tunnel; may be empty */
	uint64_t drain_ms;	     /* see record_tunnel */
	const struct rights *rights; /* owned; NULL: everybody is let in */
	uint64_t version;	     /* of the record */
	char *target;		     /* owned; as the agent or the API gave it, may be empty */
	char *service;		     /* owned; may be empty */
};

/* Never NULL; borrowed until the loop next turns. */
const struct tunnel_settings *tunnel_settings(const struct tunnel *t);

/*
 * A visitor that is being served, for those who ask who is there. Embedded in its owner, who ends
 * it before it, or the tunnel's name, dies.
 */
struct core_visitor {
	struct list link;
	const struct visit *visit; /* borrowed: the owner's */
	int64_t since_ms;
	uint64_t place; /* the owner keeps it: of the session that serves it, see tunnel_choose() */
	/*
	 * The tunnel was taken away from that session: end within so many milliseconds; 0: now.
	 * May be NULL. It may end the visitor, and no other.
	 */
	void (*leave)(struct core_visitor *v, uint64_t ms);
};

void core_visitor_begin(struct core *c, struct core_visitor *v, const struct visit *visit);
void core_visitor_end(struct core_visitor *v);

/* Does anybody watch what they serve? If not, the words of a request need not be kept. */
bool core_is_watched(const struct core *c);

/*
 * Something that the visitor asked for is over: whoever serves it is told if they watch; nearly
 * free when nobody does.
 *   v  its visit and place count: those of the session that served it. Best after
 *      core_visitor_end(): whoever is told may end the session, and its visitors with it.
 */
void core_visitor_served(struct core *c, const struct core_visitor *v,
			 const struct core_served *what);

/* What is told about a session and a visitor. Values. */
struct core_session_info {
	char node[NODE_ID_TEXT]; /* where it is; "": there is only one */
	uint64_t number;	 /* no two of a cluster are the same */
	enum core_session_kind kind;
	char account[CORE_ID_TEXT], agent[CORE_AGENT_TEXT];
	unsigned carrier;
	uint64_t epoch;
	struct visit_end peer;
	int64_t since_ms; /* wall clock */
	uint64_t rtt_us;  /* 0: not known */
	size_t n_streams;
	bool draining, late; /* late: it does not answer its pings in time */
	bool down;	     /* its target fails its health check, as the agent says */
	unsigned priority;
};

/* An agent that is, or was, connected to a node. */
struct core_agent_info {
	char account[CORE_ID_TEXT], id[CORE_AGENT_TEXT];
	size_t n_sessions; /* 0: it has gone */
	int64_t since_ms;  /* wall clock: when it came, or went */
	bool was_there;	   /* it had been connected, and gone, before */
};

/* The same of all nodes: the sum of its sessions; of its times the first that it came, and the last
 * that it went. */
struct core_agent_there {
	struct core_agent_info info;
	/* The nodes that it is connected to, the first of them if there are more. */
#define CORE_AGENT_NODES_MAX 8
	char nodes[CORE_AGENT_NODES_MAX][NODE_ID_TEXT];
	size_t n_nodes;
};

struct core_visitor_info {
	char node[NODE_ID_TEXT]; /* that it came to; "": there is only one */
	struct visit_end peer;
	enum visit_ingress ingress;
	char host[HOSTNAME_AUTHORITY_MAX + 1];
	int64_t since_ms;
};

/*
 * Which session should serve a visitor now? The one that moves the fewest bytes, then the one with
 * the fewest streams; so a small request does not queue behind a download. One that is draining,
 * whose target fails or whose pings are late is passed over.
 *
 * When none of this node's can, another node is asked: one that answers in time before one that
 * does not, one that drains last; of equals the one with the fewest visitors. It goes first also
 * where our best session is late, where this node drains, and, with TUNNEL_FAILOVER, where the
 * session that it has is of a better priority; of equal priority each node takes its own.
 *
 * Returns the number of the session's, or that node's, place at this tunnel, or 0 when there is
 * none. It never repeats and is gone as soon as the
 * session stops serving the tunnel: streams kept under another number may belong to an agent that
 * must not be asked any more.
 */
uint64_t tunnel_choose(const struct tunnel *t);

/*
 * Open a stream to the session that tunnel_choose() names; if that one refuses, to the next.
 *   visit   all but the tunnel's name and service, which are filled in. Its via says who has passed
 *           it on to us, and no one of those is asked; after VISIT_VIA_MAX nobody else is.
 *   *place  set to the place of the session that took it.
 * Returns 0, ERR_NOSESSION (none, or all are draining), ERR_TARGET (all that are left fail their
 * health checks), ERR_LIMIT, ERR_NOMEM, ERR_INVAL (the visit
 * cannot be written down).
 */
int tunnel_dial(struct tunnel *t, struct visit *visit, uint64_t *place,
		struct wire **out) MUST_CHECK;

/* Places that were tried for one visitor. A value, all zero at first. */
#define TUNNEL_TRIES_MAX 8
struct tunnel_tried {
	uint64_t places[TUNNEL_TRIES_MAX];
	size_t n;
};

/*
 * The same, passing over the places in *tried; the place that took it is added there.
 * Returns as tunnel_dial(), ERR_TARGET when all that is left fails its health check.
 */
int tunnel_dial_next(struct tunnel *t, struct visit *visit, struct tunnel_tried *tried,
		     struct wire **out) MUST_CHECK;

/*
 * A visitor has got a stream that was kept from one before: with TUNNEL_ROUND_ROBIN that is a turn
 * like a dial.
 *   place  as tunnel_choose() gave it; harmless when it is no more.
 */
void tunnel_used(struct tunnel *t, uint64_t place);

/*
 * Is a stream worth keeping that has served a visitor at this place? Not if that is another node
 * that goes, or has gone: it waits for its streams to end. Cheap.
 */
bool core_place_stays(const struct core *c, uint64_t place);

/* A number that nobody else's log shows for this node and tunnel: to find loops by. 16 hex digits.
 */
void tunnel_loop_mark(const struct tunnel *t, char out[17]);

/* ---- visitors whose first words are TLS ---- */

enum core_sni {
	CORE_SNI_NOBODY, /* no tls tunnel has this name; perhaps an http tunnel has */
	CORE_SNI_PASS,	 /* to a tunnel, as it is */
	CORE_SNI_END,	 /* TLS is ended here, what is inside goes to the tunnel */
};

/*
 * Which tls tunnel has this server name: exactly, or by the most specific wildcard. Known also
 * while nobody serves it.
 *   host   lower case, no dot at the end.
 *   *name  set to the tunnel's name unless CORE_SNI_NOBODY; borrowed until the loop next turns.
 */
enum core_sni core_sni(struct core *c, struct str host, struct str *name);

/*
 * Where a tunnel is reached: the i-th of its URLs.
 * Returns 0, or ERR_NOTFOUND: there are i of them.
 */
int core_url(const struct core *c, const struct record_tunnel *r, size_t i,
	     char out[CORE_URL_TEXT]) MUST_CHECK;

/* ---- what the API asks besides records ---- */

/*
 * Does the store answer? It is asked, whatever this process remembers.
 *   done  called exactly once, never before this returns: 0 or the store's error.
 * Returns a handle for core_check_cancel(), or NULL when memory or the store's queue is short.
 */
struct core_check;
struct core_check *core_check(struct core *c, void (*done)(void *arg, int e), void *arg);
void core_check_cancel(struct core_check *k); /* NULL is allowed */

/*
 * The fingerprint of a secret of visitors, as struct rights keeps it, under the store's key.
 * Returns 0, ERR_NOMEM, or ERR_AGAIN: nobody has logged in yet, so the key has not been read.
 */
int core_fingerprint(const struct core *c, struct str secret, char out[DIGEST_HEX_TEXT]) MUST_CHECK;

/* May a tunnel's auth hook be there, by opt->auth_hosts? Asked when it is set and each time. */
bool core_allows_hook(const struct core *c, const struct url *hook);

/* Who serves a tunnel now: sessions of all nodes, as far as is known; visitors of this one. */
struct core_serving {
	const char *name; /* borrowed: the tunnel's */
	size_t n_sessions, n_visitors;
	int64_t since_ms; /* wall clock: the oldest of this node's sessions; 0: none */
};

/* Fill in [n] of them, at most CORE_SERVING_MAX, their names all different. */
#define CORE_SERVING_MAX 100
void core_serving(struct core *c, struct core_serving *v, size_t n);

#endif
