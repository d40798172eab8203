/*
 * TLS between those who have the same secret, and nobody a certificate: TLS 1.3 by a pre-shared key
 * with an ephemeral exchange. Who does not have the key gets no answer that he could use; who gets
 * it later cannot read what was recorded. A client says who it is; that name is proven by nothing
 * but the key, which all of them have.
 *
 * There is no resumption: a handshake costs no signature anyway.
 * Source: RFC 8446 2.2, 4.2.9 (psk_dhe_ke), 4.2.11; RFC 9257 (external pre-shared keys); RFC 5869
 * (HKDF).
 */
#ifndef KAREZ_WIRE_TLS_PSK_H
#define KAREZ_WIRE_TLS_PSK_H

#include "wire/tls_context.h"
#include "wire/wire.h"

/* Bytes of a client's name, NUL included. */
#define TLS_PSK_NAME_TEXT 65

/* All is copied. */
struct tls_psk_opt {
	const uint8_t *secret; /* [secret_len] evenly random: a key, not a password */
	size_t secret_len;     /* at least 16 */
	const char *label;     /* what it is used for: another label is another key */
	const char *name;      /* a client's own, 1-64 bytes; a server's does not count */
	const char *alpn;      /* the only protocol */
};

/*
 * Make a context for wire_tls_server() or wire_tls_client(), which needs no host then. A peer that
 * does not have the key, offers TLS 1.2, or has only certificates breaks the wire with ERR_TLS.
 *   why  [TLS_CONTEXT_WHY] set on failure.
 * Returns 0, ERR_INVAL (an ALPN name, a name, a secret that is too short), ERR_TLS, ERR_NOMEM.
 */
int tls_psk_new_server(const struct tls_psk_opt *opt, struct tls_context **out,
		       char *why) MUST_CHECK;
int tls_psk_new_client(const struct tls_psk_opt *opt, struct tls_context **out,
		       char *why) MUST_CHECK;

/*
 * Who the client says it is.
 *   w  any wire.
 * Returns a NUL-terminated text that lives as long as the wire; "": not a TLS wire of such a
 * server, or its handshake is not done.
 */
const char *tls_psk_name(const struct wire *w);

#endif
