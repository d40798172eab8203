/*
 * Who may do what: the one function that decides every session, every stream and every call of the
 * API. It knows nothing but its arguments.
 */
#ifndef KAREZ_CORE_ACCESS_H
#define KAREZ_CORE_ACCESS_H

#include "proto/ident.h"
#include "proto/tunnel_word.h"

/* Bytes of the id of an account or credential, of an agent's id, and of a sentence for a person,
 * NUL included. */
#define CORE_ID_TEXT	 16
#define CORE_AGENT_TEXT	 IDENT_TEXT
#define CORE_REASON_TEXT 256

/* What a credential's scope may hold, at most. */
#define ACCESS_PORTS_MAX    8
#define ACCESS_TUNNELS_TEXT 512

/* "http", "tcp", "tls". */
const char *tunnel_kind_name(enum tunnel_kind kind);

/* Returns 0 or ERR_INVAL. */
int tunnel_kind_parse(struct str name, enum tunnel_kind *out) MUST_CHECK;

/* Ports from first to last, both included. A value. */
struct access_ports {
	uint16_t first, last;
};

/* What a credential is good for. All zero: everything, for ever. A value. */
struct access_scope {
	unsigned kinds; /* bits 1 << TUNNEL_*; 0: all */
	/* Names, or "*.tim" for all that end in .tim, one space between two; "": all. */
	char tunnels[ACCESS_TUNNELS_TEXT];
	struct access_ports ports[ACCESS_PORTS_MAX];
	size_t n_ports;	  /* 0: all */
	int64_t until_ms; /* wall clock; 0: for ever */
};

/* Does it say less than "everything"? until_ms does not count. */
bool access_scope_is_limited(const struct access_scope *s);

/* Is the port in one of [n] ranges? */
bool access_has_port(const struct access_ports *ports, size_t n, uint16_t port);

bool access_scope_same(const struct access_scope *a, const struct access_scope *b);

/* Who asks. A value. */
struct access_who {
	char account[CORE_ID_TEXT];
	char credential[CORE_ID_TEXT];
	bool admin; /* of an administrator's account */
	bool enabled;
	uint64_t sessions_max;			     /* of the account, at one time */
	struct access_ports ports[ACCESS_PORTS_MAX]; /* that the account may have */
	size_t n_ports;				     /* 0: all of the server's */
	struct access_scope scope;
};

enum access_act {
	ACCESS_CONNECT,	       /* open a session */
	ACCESS_SERVE,	       /* attach a tunnel to a session; may make the tunnel's record */
	ACCESS_OPEN,	       /* a stream to a session, for a visitor */
	ACCESS_READ,	       /* see a tunnel, its sessions and visitors */
	ACCESS_CHANGE,	       /* make, change, delete, disconnect a tunnel */
	ACCESS_ACCOUNT,	       /* see the account */
	ACCESS_ACCOUNT_CHANGE, /* change or delete it, and all about its credentials */
	ACCESS_ADMIN,	       /* what only administrators may */
	ACCESS_ACTS,
};

/* What is asked. Members that do not belong to the act are ignored. */
struct access_ask {
	enum access_act act;
	const char *account;   /* whose account or tunnel it is; NULL: the asker's own, or new: what
				  the account may have limits only that */
	struct str tunnel;     /* its name; empty: a new one with a random name */
	enum tunnel_kind kind; /* of the tunnel */
	uint16_t port;	       /* of a tcp tunnel; 0: none, or one that is still to be chosen */
	int64_t now_ms;	       /* wall clock */
};

/*
 * May they?
 *   reason  filled when they may not: a sentence for a person, ASCII.
 * Returns 0, ERR_DISABLED (the account), ERR_AUTH (the credential is over), ERR_DENIED (the scope,
 * or not an administrator), ERR_NOTFOUND (somebody else's: nobody learns that it is there).
 */
int access_decide(const struct access_who *who, const struct access_ask *ask,
		  char reason[CORE_REASON_TEXT]) MUST_CHECK;

#endif
