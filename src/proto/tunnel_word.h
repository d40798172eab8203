/*
 * What a tunnel can be, and the words for it: the same ones in records, in the API, in the protocol
 * between agent and server, on command lines and behind `ssh -R`.
 */
#ifndef KAREZ_PROTO_TUNNEL_WORD_H
#define KAREZ_PROTO_TUNNEL_WORD_H

#include "base/str.h"

/* What it carries. */
enum tunnel_kind { TUNNEL_HTTP, TUNNEL_TCP, TUNNEL_TLS, TUNNEL_KINDS };

/* Which of several sessions gets a visitor. */
enum tunnel_policy {
	TUNNEL_LEAST_CONN, /* usual: the session that carries least */
	TUNNEL_ROUND_ROBIN,
	TUNNEL_FAILOVER, /* of the best priority that works, the oldest session */
	TUNNEL_POLICIES,
};

/* What becomes of the TLS of a tls tunnel's visitors. */
enum tunnel_tls {
	TUNNEL_TLS_PASS, /* usual: nothing, the target ends it */
	TUNNEL_TLS_END,	 /* it is ended here, the target gets what was inside */
	TUNNEL_TLSES,
};

/* The header that tells a target who its visitor is. */
enum tunnel_proxy { TUNNEL_PROXY_NONE, TUNNEL_PROXY_V1, TUNNEL_PROXY_V2, TUNNEL_PROXIES };

/* The words of each, by its enum; NULL stands behind the last. */
extern const char *const tunnel_word_kinds[TUNNEL_KINDS + 1];
extern const char *const tunnel_word_policies[TUNNEL_POLICIES + 1];
extern const char *const tunnel_word_tlses[TUNNEL_TLSES + 1];
extern const char *const tunnel_word_proxies[TUNNEL_PROXIES + 1];

/*
 * The place of a word.
 *   words  one of the above; or another list that NULL ends.
 *   *out   set on success: the member of its enum.
 * Returns 0 or ERR_INVAL: it is none of them. Words are written in lower case.
 */
int tunnel_word_find(const char *const *words, struct str word, unsigned *out) MUST_CHECK;

#endif
