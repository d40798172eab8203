/*
 * TLS as a wire, over any other wire.
 *
 * One read takes a large piece from the wire below and unpacks many records into the loop's scratch
 * area; one write packs many records and hands them down together. An idle wire holds no buffer.
 *
 * A peer that ends the wire below without TLS's own end (close_notify) breaks the wire with
 * ERR_RESET: what was received may be cut. There is no leniency in this.
 */
#ifndef KAREZ_WIRE_WIRE_TLS_H
#define KAREZ_WIRE_WIRE_TLS_H

#include "wire/tls_context.h"
#include "wire/wire.h"

/* Milliseconds for a handshake when nobody says otherwise. */
#define WIRE_TLS_HANDSHAKE_MS 10000

/* Milliseconds that a closed wire goes on delivering what it had taken. */
#define WIRE_TLS_LINGER_MS 10000

/*
 * Records under one key, at most: AES-GCM is safe for 2^24.5. TLS 1.2 cannot change its key and
 * goes on. Source: RFC 8446 5.5.
 */
#define WIRE_TLS_KEY_RECORDS (1u << 22)

struct wire_tls_opt {
	/*
	 * A client's: the name or address to reach, without brackets; it must stand in the
	 * certificate, and a name is sent as SNI. NULL only for an insecure context, or one by a
	 * pre-shared key (tls_psk.h). A server ignores it.
	 */
	const char *host;
	/* A server's: who the client is, "192.0.2.1:4711", for the log; copied when it may be
	 * needed; NULL: not known. */
	const char *peer;
	bool no_alpn;	       /* a server's: agree on no protocol, whatever the client offers */
	bool under;	       /* another TLS wire will stand on this one */
	uint32_t handshake_ms; /* 0: WIRE_TLS_HANDSHAKE_MS */
	uint32_t key_records;  /* change the sending key after so many records; 0:
				  WIRE_TLS_KEY_RECORDS */
};

/*
 * Speak TLS on a wire. The handshake runs by itself; until it is done reads give ERR_AGAIN and
 * there is no room. Breaks with ERR_TLS (handshake or record not acceptable), ERR_CERT (the peer's
 * certificate is not, or ours is not to the peer: see wire_tls_refusal()), ERR_TIMEOUT (handshake
 * not done in time), ERR_RESET (ended without close_notify) and what the wire below says. lower
 * owned by the new wire on success, the caller's on failure; nothing may have been lent from it.
 * ctx    of the matching side; the wire takes its own reference. opt    copied; NULL for the
 * defaults (a server's only). Returns 0, ERR_NOMEM, ERR_INVAL (a client without a host that is to
 * be checked). Source: RFC 8446, RFC 5246, RFC 6066 3 (SNI), RFC 9525 (which names match).
 */
int wire_tls_server(struct ev *ev, struct wire *lower, struct tls_context *ctx,
		    const struct wire_tls_opt *opt, struct wire **out) MUST_CHECK;
int wire_tls_client(struct ev *ev, struct wire *lower, struct tls_context *ctx,
		    const struct wire_tls_opt *opt, struct wire **out) MUST_CHECK;

/* What was agreed on. The texts live as long as the wire. */
struct wire_tls_facts {
	bool done;	     /* the handshake is */
	const char *version; /* "TLSv1.3"; NULL before the handshake is done, as is cipher */
	const char *cipher;  /* "TLS_AES_128_GCM_SHA256" */
	const char *sni;     /* the name that the client asked for; NULL: none */
	struct str alpn;     /* the protocol chosen; empty: none */
};

bool wire_tls_is(const struct wire *w);

/* w must be a TLS wire. */
void wire_tls_facts(const struct wire *w, struct wire_tls_facts *out);

/*
 * The alert by which the peer has refused our certificate: "certificate expired". A static text, or
 * NULL: it has not. In TLS 1.3 it comes when the handshake is done already. Source: RFC 8446 6.2.
 */
const char *wire_tls_refusal(const struct wire *w);

/* Is a TLS wire of a client broken because the server's certificate is not acceptable to us? */
bool wire_tls_is_unknown(const struct wire *w);

/* Bytes of a name in a certificate that counts as one. */
#define TLS_PEER_NAME_MAX 253

/*
 * Whom the peer's verified certificate names: the first DNS name of its subjectAltName, else the
 * first mail address there that is an agent's name ("TestClient1@example.org"), else its common
 * name; printable ASCII without spaces.
 *   w  any wire.
 * Returns a NUL-terminated text that lives as long as the wire: "" when the certificate names
 * nobody; NULL: no TLS wire of a server, not established, no certificate, one that has ended or was
 * revoked since, or no memory. Source: RFC 5280 4.1.2.6, 4.2.1.6.
 */
const char *wire_tls_peer_name(struct wire *w);

struct tls_peer;

/* The certificate itself, see tls_peer.h: a new reference, or NULL where there is no name. */
struct tls_peer *wire_tls_peer(struct wire *w) MUST_CHECK;

/*
 * Why a TLS wire is broken, for a person: "certificate has expired", "certificate is for a.example,
 * not b.example". Returns a NUL-terminated text that lives as long as the wire; "" while it is not
 * broken.
 */
const char *wire_tls_reason(const struct wire *w);

#endif
