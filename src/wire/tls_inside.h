/* What the files of the TLS wire share: private to them, and the only header that names OpenSSL. */
#ifndef KAREZ_WIRE_TLS_INSIDE_H
#define KAREZ_WIRE_TLS_INSIDE_H

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "wire/tls_context.h"
#include "wire/wire_tls.h"

struct tls_context {
	SSL_CTX *ssl;	 /* owned */
	BIO_METHOD *bio; /* owned; set by the first wire that needs it, see tls_setup.c */
	uint8_t *alpn;	 /* owned; [alpn_len] names, each after a byte with its length */
	size_t alpn_len;
	size_t n_refs;
	bool server, insecure;
	const char *const *ca_names; /* see tls_context_server.client_ca_names */
};

/* Packed bytes that may wait: one write, and the handshake's and key updates' messages. */
#define PENDING_CAP (EV_SCRATCH + 64 * 1024)

enum tls_phase {
	PHASE_HANDSHAKE,
	PHASE_OPEN,
	PHASE_LINGER, /* closed by its owner, delivers what it had taken */
	PHASE_GONE,   /* waits for the turn to end */
};

struct wire_tls {
	struct wire wire;	 /* first: the two are the same pointer */
	struct wire *lower;	 /* owned */
	struct tls_context *ctx; /* a reference */
	SSL *ssl;		 /* owned */
	char *host;		 /* owned; NULL when none is checked */
	char *reason;		 /* owned; NULL until there is one */
	const char *refusal;	 /* static; see wire_tls_refusal() */
	char *peer_name;	 /* owned; NULL until it was asked for, or there is none */
	struct str in; /* borrowed from lower: what is unread of its view, inside one call */
	char *out;     /* borrowed from the loop inside one write; NULL: pack into pending */
	size_t out_len;
	struct buf pending; /* packed bytes that lower has not taken */
	struct buf back;    /* bytes given back by wire_unread; never more than one read brings */
	struct str view;    /* what the last read lent */
	struct ev_task again;
	struct ev_task end; /* while it lingers: it has no owner then */
	struct ev_timer deadline;
	size_t batch;
	uint32_t key_records, n_records; /* the limit, and those since the key was new */
	enum tls_phase phase;
	int wanted;
	int why;
	bool view_in_back; /* the view stands at the front of back */
	bool told_broken;
	bool eof;	 /* close_notify received */
	bool shut;	 /* the owner sends no more */
	bool notified;	 /* close_notify packed */
	bool lower_shut; /* everything went down */
	bool lower_dead; /* lower has told that it is broken */
	bool alerted;	 /* it was we who found fault, the peer should read why */
};

/*
 * Make t->ssl for t->ctx and connect it with t.
 * Returns 0, ERR_NOMEM, ERR_INVAL (a client without a host that is to be checked, or not a host
 * name).
 */
int tls_setup(struct wire_tls *t, const struct wire_tls_opt *opt) MUST_CHECK;

/* OpenSSL's verify callback: keeps the reason of a refusal. */
int tls_setup_on_verify(int ok, X509_STORE_CTX *store);

/* ---- tls_peer.c: certificates of clients ---- */

/* Ask for one, by these authorities, for these names. Returns 0, or ERR_TLS with OpenSSL's error.
 */
int tls_peer_ask(struct tls_context *ctx, const char *ca_file, const char *const *names) MUST_CHECK;

/* The name in the verified certificate of the peer, "" when it has none; NULL: there is no
 * certificate, or no memory. The caller frees it. */
char *tls_peer_name(SSL *ssl);

/* One more reference. */
struct tls_context *tls_context_share(struct tls_context *ctx);

/* The longest sentence that the functions below write, including its NUL. */
#define TLS_REASON 320

/* Keep the first of several reasons; *reason is the caller's to free. Without memory err_text()
 * must do. */
void tls_reason_keep(char **reason, const char *text);

/*
 * Say why a certificate was refused.
 *   host  the name or address that we wanted to reach; NULL when we did not say.
 *   out   [TLS_REASON], set.
 */
void tls_reason_cert(X509_STORE_CTX *store, const char *host, char *out);

/* The alert by which the peer refused our certificate, if the failed call before this one met one;
 * else NULL. A static text. */
const char *tls_reason_refusal(void);

/*
 * Say what the failed call before this one met, and empty OpenSSL's queue of errors.
 *   out  [TLS_REASON], set.
 */
void tls_reason_failure(char *out);

#endif
