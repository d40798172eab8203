/*
 * The core's records as text: JSON objects. Members that this version does not know are kept when a
 * record is changed, so that nodes of two versions can share a store.
 *
 *	kind		key				what
 *	account		<account>			who owns things
 *	credential	<account>/<credential>		one way to prove an account
 *	proof		<type>:<fingerprint>		which credential a secret or key belongs to
 *	tunnel		<name>				see struct record_tunnel
 *	claim		<label right before the domain>	whose all names under it are
 *	domain		<host>				a custom domain, and the tunnel it leads to
 *	route		tcp/<port>, name/<tunnel>	a tunnel, known while nobody serves it
 *	temporary	<tunnel>			it is one that goes when nobody serves it
 *	invite		<fingerprint of the code>	who may register
 *	owned		<account>/<kind>/<key>		what an account has, for listing
 *	secret		what it is for			bytes, not JSON
 *	meta		"schema", "admin"		its version; the first administrator
 */
#ifndef KAREZ_CORE_RECORD_H
#define KAREZ_CORE_RECORD_H

#include "base/buf.h"
#include "core/access.h"
#include "core/rights.h"
#include "proto/header_edit.h"
#include "proto/hostname.h"

/* Kinds of records in the store. */
#define RECORD_ACCOUNT	  STR("account")
#define RECORD_CREDENTIAL STR("credential")
#define RECORD_PROOF	  STR("proof")
#define RECORD_TUNNEL	  STR("tunnel")
#define RECORD_CLAIM	  STR("claim")
#define RECORD_DOMAIN	  STR("domain")
#define RECORD_ROUTE	  STR("route")
#define RECORD_TEMPORARY  STR("temporary")
#define RECORD_INVITE	  STR("invite")
#define RECORD_OWNED	  STR("owned")
#define RECORD_SECRET	  STR("secret")
#define RECORD_META	  STR("meta")

/* The schema that this version reads and writes. */
#define RECORD_SCHEMA 2

/* Bytes of a target's hint without its NUL, and of a whole record. */
enum { RECORD_TARGET_MAX = 255, RECORD_MAX = 32 * 1024 };

/* Bytes with their NUL: the name of an account, credential or invitation; why one is switched off;
 * a public key or a certificate's subject; the key of a proof. */
#define RECORD_NAME_TEXT   65
#define RECORD_WHY_TEXT	   257
#define RECORD_PUBLIC_TEXT 4097
#define RECORD_PROOF_TEXT  272

/* What an account may have unless an administrator says otherwise. */
#define RECORD_TUNNELS_USUAL	 100
#define RECORD_SESSIONS_USUAL	 1000
#define RECORD_CREDENTIALS_USUAL 100

/* Custom domains of one tunnel, sessions that may serve it, and agents that it may name, at most.
 */
#define RECORD_ALT_NAMES_MAX 10
#define RECORD_SESSIONS_MAX  64
#define RECORD_AGENTS_MAX    16

/* Bytes with their NUL: an address to listen on, a service's name, the key of a route. */
#define RECORD_BIND_TEXT    46
#define RECORD_SERVICE_TEXT IDENT_TEXT
#define RECORD_ROUTE_TEXT   264

/* How long running connections may go on when a tunnel moves to other agents; at most. In ms. */
#define RECORD_DRAIN_USUAL 30000
#define RECORD_DRAIN_MAX   86400000

/* Values. Reading sets what the record does not say to its usual. */
struct record_quota {
	uint64_t tunnels, sessions, credentials;
};

struct record_account {
	char id[CORE_ID_TEXT]; /* from the key; not written */
	char name[RECORD_NAME_TEXT];
	bool enabled; /* usual: true */
	bool admin;
	bool automatic;		   /* made on the fly, by an agent without a credential */
	bool deleting;		   /* switched off for good: what it owns is being dropped */
	char why[RECORD_WHY_TEXT]; /* why it is switched off */
	struct record_quota quota;
	struct access_ports ports[ACCESS_PORTS_MAX]; /* it may have these; see access_who */
	size_t n_ports;
	uint64_t n_tunnels, n_credentials; /* how many there are */
	int64_t created_ms, used_ms;	   /* used: a login, to the hour */
};

enum credential_type {
	CREDENTIAL_NUMBER, /* the account's number: one, id "number", good for everything */
	CREDENTIAL_TOKEN,
	CREDENTIAL_SSH_KEY,
	CREDENTIAL_CERTIFICATE,
	CREDENTIAL_TYPES,
};

struct record_credential {
	char account[CORE_ID_TEXT], id[CORE_ID_TEXT]; /* from the key; not written */
	enum credential_type type; /* "number", "token", "ssh-key", "certificate" */
	char name[RECORD_NAME_TEXT];
	struct access_scope scope;
	char proof[RECORD_PROOF_TEXT];	/* key of its proof */
	char shown[RECORD_PUBLIC_TEXT]; /* a key, a subject; of a token its first characters */
	int64_t created_ms, used_ms;	/* used: to the minute */
};

struct record_proof {
	char account[CORE_ID_TEXT], credential[CORE_ID_TEXT];
};

struct record_invite {
	char name[RECORD_NAME_TEXT];
	char id[CORE_ID_TEXT]; /* names it in lists */
	uint64_t uses;	       /* accounts that it may still make */
	int64_t created_ms, until_ms;
};

struct record_tunnel {
	char name[HOSTNAME_MAX + 1];	    /* from the key; not written */
	char account[CORE_ID_TEXT];	    /* whose it is */
	enum tunnel_kind kind;		    /* usual: http */
	bool enabled;			    /* usual: true */
	bool temporary;			    /* it goes when nobody serves it any more */
	char target[RECORD_TARGET_MAX + 1]; /* a hint for people; may be empty */
	char alt_names[RECORD_ALT_NAMES_MAX][HOSTNAME_MAX + 1]; /* custom domains, proven */
	size_t n_alt_names;
	enum tunnel_policy policy;
	uint64_t sessions_max; /* usual: RECORD_SESSIONS_MAX */
	bool rewrite;	       /* Host, Origin and Referer become the target's */
	/* Host becomes this: "name" or "name:port"; "": not, and never with rewrite */
	char host[HOSTNAME_AUTHORITY_MAX + 1];
	struct header_edits edits;   /* of an http tunnel */
	uint16_t port;		     /* of a tcp tunnel: never 0 there, always 0 elsewhere */
	char bind[RECORD_BIND_TEXT]; /* of a tcp tunnel: an IP, "localhost", or "": wherever the
					server listens */
	enum tunnel_tls tls;	     /* of a tls tunnel */
	enum tunnel_proxy proxy;
	char service[RECORD_SERVICE_TEXT]; /* what the agent calls the target; "": it knows by the
					      tunnel's name */
	char agents[RECORD_AGENTS_MAX][CORE_AGENT_TEXT]; /* who may serve it, the best first */
	size_t n_agents;				 /* 0: whoever of the account does */
	uint64_t drain_ms;				 /* usual: RECORD_DRAIN_USUAL */
	struct rights rights;
	int64_t created_ms, updated_ms;
};

struct record_domain {
	char account[CORE_ID_TEXT];
	char tunnel[HOSTNAME_MAX + 1];
	int64_t proven_ms;
};

/* Whose a route is. */
struct record_route {
	char account[CORE_ID_TEXT];
	char tunnel[HOSTNAME_MAX + 1];
};

/*
 * The key of the one route that a tunnel has: "tcp/9000" of a tcp tunnel, "name/demo" of a tls
 * tunnel and of any that names a service or agents. Returns false when it has none.
 */
bool record_route_key(const struct record_tunnel *r, char out[RECORD_ROUTE_TEXT]);

/* Is this one of its custom domains? host: lower case, no dot at the end. */
bool record_tunnel_has_host(const struct record_tunnel *r, const char *host);

/* Do they say the same? When they were made and changed does not count. */
bool record_tunnel_same(const struct record_tunnel *a, const struct record_tunnel *b);

/* Words for enums, as records and the API write them. NULL beyond the last. */
const char *record_credential_type(enum credential_type t);
const char *record_policy(enum tunnel_policy p);
const char *record_tls(enum tunnel_tls t);     /* "pass", "end" */
const char *record_proxy(enum tunnel_proxy p); /* "none", "v1", "v2" */
int record_parse_tls(struct str s, enum tunnel_tls *out) MUST_CHECK;
int record_parse_proxy(struct str s, enum tunnel_proxy *out) MUST_CHECK;
int record_parse_credential_type(struct str s, enum credential_type *out) MUST_CHECK;
int record_parse_policy(struct str s, enum tunnel_policy *out) MUST_CHECK;

/*
 * Read a record.
 *   key, value  as the store gave them.
 * Return 0, ERR_IO (damaged, or of a kind of tunnel that this version does not know) or ERR_NOMEM.
 */
int record_read_account(struct str key, struct str value, struct record_account *out) MUST_CHECK;
int record_read_credential(struct str key, struct str value,
			   struct record_credential *out) MUST_CHECK;
int record_read_proof(struct str value, struct record_proof *out) MUST_CHECK;
int record_read_invite(struct str value, struct record_invite *out) MUST_CHECK;
int record_read_tunnel(struct str key, struct str value, struct record_tunnel *out) MUST_CHECK;
int record_read_claim(struct str value, char account[CORE_ID_TEXT]) MUST_CHECK;
int record_read_domain(struct str value, struct record_domain *out) MUST_CHECK;
int record_read_route(struct str value, struct record_route *out) MUST_CHECK;

/*
 * Write a record.
 *   old  what is there now, whose unknown members are kept; empty: a new one.
 *   out  empty before; buf_free() it.
 * Return 0, ERR_INVAL (a text that is not UTF-8), ERR_TOOBIG (above RECORD_MAX), ERR_IO (old is
 * damaged) or ERR_NOMEM.
 */
int record_write_account(struct str old, const struct record_account *r,
			 struct buf *out) MUST_CHECK;
int record_write_credential(struct str old, const struct record_credential *r,
			    struct buf *out) MUST_CHECK;
int record_write_proof(const struct record_proof *r, struct buf *out) MUST_CHECK;
int record_write_invite(struct str old, const struct record_invite *r, struct buf *out) MUST_CHECK;
int record_write_tunnel(struct str old, const struct record_tunnel *r, struct buf *out) MUST_CHECK;
int record_write_claim(const char *account, struct buf *out) MUST_CHECK;
int record_write_domain(const struct record_domain *r, struct buf *out) MUST_CHECK;
int record_write_route(const struct record_route *r, struct buf *out) MUST_CHECK;

#endif
