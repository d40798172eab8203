/*
 * What many TLS wires share: certificate and key of a server, or whom a client trusts.
 *
 * A context is counted: every wire holds its own reference, so one may be replaced by a newer one
 * and freed while wires of the old one live on.
 */
#ifndef KAREZ_WIRE_TLS_CONTEXT_H
#define KAREZ_WIRE_TLS_CONTEXT_H

#include "base/str.h"

struct tls_context;

/* The sentence of a failure, at most, including its NUL. */
#define TLS_CONTEXT_WHY 512

struct tls_context_server {
	const char *cert_file; /* PEM: our certificate, then those between it and the authority */
	const char *key_file;  /* PEM, without a passphrase */
	const char *const
		*alpn; /* protocols, best first, NULL at the end; NULL: ALPN is not used */
	/*
	 * PEM: the authorities of clients' certificates; NULL: none is asked for. A client that
	 * has none is welcome, one whose certificate is not acceptable is refused.
	 */
	const char *client_ca_file;
	/* A client is asked only when its SNI is one of these, or is missing; NULL at the end;
	 * borrowed as long as the context lives. NULL: every client is asked. */
	const char *const *client_ca_names;
};

struct tls_context_client {
	const char *ca_file;   /* PEM: the only authorities trusted; NULL: those of the system */
	bool insecure;	       /* accept any certificate for any name */
	const char *cert_file; /* PEM: what proves who we are, if the server asks; NULL: nothing */
	const char *key_file;  /* PEM, without a passphrase; with cert_file */
	const char *const *alpn; /* as above */
};

/*
 * Make a server's context: TLS 1.2 and 1.3, AES-128-GCM first.
 *   why  [TLS_CONTEXT_WHY] set on failure to a sentence that names the file and the reason.
 * Returns 0, ERR_NOTFOUND or ERR_DENIED or ERR_IO (a file cannot be read), ERR_TLS (not a
 * certificate, not a key), ERR_CERT (key and certificate do not belong together), ERR_INVAL (a bad
 * ALPN name), ERR_NOMEM. Source: RFC 8446, RFC 9325 (recommendations for TLS), RFC 7301 (ALPN).
 */
int tls_context_new_server(const struct tls_context_server *opt, struct tls_context **out,
			   char *why) MUST_CHECK;

/* Make a client's context; arguments and errors as above. */
int tls_context_new_client(const struct tls_context_client *opt, struct tls_context **out,
			   char *why) MUST_CHECK;

/* Give up one reference; NULL is allowed. */
void tls_context_free(struct tls_context *ctx);

#endif
