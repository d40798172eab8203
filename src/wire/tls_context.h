/*
 * What many TLS wires share: certificates and keys of a server, or whom a client trusts.
 *
 * A context is counted: every wire holds its own reference. What a server's context has read from
 * files is replaced as a whole when they change (tls_reload.h); running connections keep what they
 * began with, and tickets stay good.
 */
#ifndef KAREZ_WIRE_TLS_CONTEXT_H
#define KAREZ_WIRE_TLS_CONTEXT_H

#include "base/log.h"
#include "proto/key_pin.h"

struct tls_context;

/* The sentence of a failure, at most, including its NUL. */
#define TLS_CONTEXT_WHY 512

/* Bytes of one file of certificates or keys; and of a list of revoked ones. */
#define TLS_FILE_MAX ((size_t)1 << 20)
#define TLS_CRL_MAX  ((size_t)64 << 20)

/* Bytes of what keys for tickets follow from; and of what it is used for, NUL included. */
#define TLS_TICKET_ROOT	 32
#define TLS_TICKET_LABEL 32

/* All texts are copied. */
struct tls_context_server {
	const char *cert_file; /* PEM: our certificate, then those between it and the authority */
	const char *key_file;  /* PEM, without a passphrase */
	/*
	 * Certificates by name, see tls_dir.h; NULL: there are none. What the directory has for a
	 * client's SNI counts more than cert_file, which is for all other clients. Without
	 * cert_file (and key_file) a client without SNI gets the first pair, and one that wants
	 * another name the alert unrecognized_name.
	 */
	const char *dir;
	const char *const
		*alpn; /* protocols, best first, NULL at the end; NULL: ALPN is not used */
	/*
	 * PEM: the authorities of clients' certificates; NULL: none is asked for. A client that
	 * has none is welcome, one whose certificate is not acceptable is refused.
	 */
	const char *client_ca_file;
	/* PEM: lists of revoked certificates; NULL: none. An authority may be without one. */
	const char *client_crl_file;
	bool client_required; /* a client without a certificate is refused, too */
	/* A client is asked only when its SNI is one of these, or is missing; NULL at the end;
	 * borrowed as long as the context lives. NULL: every client is asked. */
	const char *const *client_ca_names;
	/*
	 * Whose tickets are taken: those of every context, in this process or another, that has the
	 * same root and the same label, of this hour and the one before (and after: clocks differ).
	 * Only of TLS 1.3; a ticket of TLS 1.2 is good where it was made.
	 *   ticket_root   [TLS_TICKET_ROOT] evenly random bytes, copied; NULL: some that are drawn,
	 *                 so nobody else takes them.
	 *   ticket_label  what it is for: less than TLS_TICKET_LABEL bytes; with ticket_root.
	 */
	const uint8_t *ticket_root;
	const char *ticket_label;
	struct log *log; /* borrowed; told of pairs that cannot be read and of clients that are
			  * refused; NULL: nobody is */
};

struct tls_context_client {
	const char *ca_file; /* PEM: the only authorities trusted; NULL: those of the system */
	bool insecure;	     /* accept any certificate for any name */
	/* Accept any certificate for any name whose key is one of these, and nothing else: then
	 * ca_file counts for nothing. NULL or none in it: not so. Copied; not with insecure. */
	const struct key_pins *pins;
	const char *cert_file; /* PEM: what proves who we are, if the server asks; NULL: nothing */
	const char *key_file;  /* PEM, without a passphrase; with cert_file */
	const char *const *alpn; /* as above */
};

/*
 * Make a server's context: TLS 1.2 and 1.3, AES-128-GCM first.
 *   why  [TLS_CONTEXT_WHY] set on failure to a sentence that names the file and the reason.
 * Returns 0, ERR_NOTFOUND or ERR_DENIED or ERR_IO (a file cannot be read), ERR_TLS (not a
 * certificate, not a key), ERR_CERT (key and certificate do not belong together), ERR_TOOBIG (a
 * file, a directory), ERR_INVAL (a bad ALPN name, a label that is too long), ERR_NOMEM. Source: RFC
 * 8446, RFC 9325 (recommendations for TLS), RFC 7301 (ALPN).
 */
int tls_context_new_server(const struct tls_context_server *opt, struct tls_context **out,
			   char *why) MUST_CHECK;

/* Make a client's context; arguments and errors as above. */
int tls_context_new_client(const struct tls_context_client *opt, struct tls_context **out,
			   char *why) MUST_CHECK;

/*
 * Does a server's context have a certificate for this name: exactly, or by a wildcard for its first
 * label?
 *   name  any case; NULL gives false.
 * Source: RFC 9525 6.3.
 */
bool tls_context_has_name(const struct tls_context *ctx, const char *name);

/*
 * The fingerprint of the key that a server's context has for this name, or for clients that ask for
 * no name it has.
 *   name    any case; NULL: for those.
 *   sha256  [KEY_PIN_LEN] set on success.
 * Returns 0, ERR_NOTFOUND (there is none for it), ERR_NOMEM.
 */
int tls_context_fingerprint(const struct tls_context *ctx, const char *name,
			    uint8_t *sha256) MUST_CHECK;

/* The name in a client's own certificate, as wire_tls_peer_name() gives it to the server; "" when
 * it has no certificate, or that has no name. Lives as long as the context. */
const char *tls_context_own_name(const struct tls_context *ctx);

/*
 * What a client can say about the alert by which the server refused its certificate: whom it is
 * for, who issued it, when it ended.
 *   alert  as wire_tls_refusal() gives it.
 *   out    [TLS_CONTEXT_WHY] set: the alert, and more behind ": ".
 */
void tls_context_explain(const struct tls_context *ctx, const char *alert, char *out);

/* Give up one reference; NULL is allowed. */
void tls_context_free(struct tls_context *ctx);

#endif
