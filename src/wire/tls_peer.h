/*
 * The certificate of a client, kept for longer than its handshake: it may end, or be revoked, while
 * a session goes on.
 */
#ifndef KAREZ_WIRE_TLS_PEER_H
#define KAREZ_WIRE_TLS_PEER_H

#include "base/str.h"

/* A counted value; see wire_tls_peer(). */
struct tls_peer;

/* Never NULL; may be "". As wire_tls_peer_name() gives it; lives as long as the peer. */
const char *tls_peer_name(const struct tls_peer *p);

/*
 * Is it acceptable by what is in force now? Cheap while nothing has changed since the last time.
 *   now_ms  wall clock.
 *   why     [TLS_CONTEXT_WHY] set on refusal: "certificate is revoked (serial 1f)".
 * Returns 0, ERR_CERT, ERR_NOMEM. Source: RFC 5280 6.
 */
int tls_peer_check(struct tls_peer *p, int64_t now_ms, char *why) MUST_CHECK;

/* One more reference, and one less; NULL is allowed, and stays NULL. */
struct tls_peer *tls_peer_share(struct tls_peer *p);
void tls_peer_free(struct tls_peer *p);

/*
 * Is this name "agent@realm"?
 *   name    of a certificate.
 *   *agent  set on true to the part before '@', as ident_ok() allows.
 */
bool tls_peer_agent(const char *name, struct str *agent);

#endif
