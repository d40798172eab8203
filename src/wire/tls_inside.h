/* What the files of the TLS wire share: private to them, and the only header that names OpenSSL. */
#ifndef KAREZ_WIRE_TLS_INSIDE_H
#define KAREZ_WIRE_TLS_INSIDE_H

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/map.h"
#include "wire/tls_context.h"
#include "wire/tls_peer.h"
#include "wire/wire_tls.h"

/* ---- tls_pair.c: a certificate with its key ---- */

struct tls_pair {
	char *file;		/* owned: of the certificate */
	uint64_t stamp;		/* of its files when they were read, see tls_dir.h */
	X509 *cert;		/* owned */
	STACK_OF(X509) * chain; /* owned; what stands between it and the authority; may be NULL */
	EVP_PKEY *key;		/* owned */
};

/*
 * Read the two, which may be in one file.
 *   scratch  any of ours; what it held as its certificate is gone afterwards.
 *   *out     empty before; set on success.
 *   why      [TLS_CONTEXT_WHY] set on failure.
 * Returns 0, ERR_NOTFOUND, ERR_DENIED, ERR_IO, ERR_TOOBIG (a file), ERR_TLS (not a certificate, not
 * a key), ERR_CERT (they do not belong together), ERR_NOMEM.
 */
int tls_pair_load(SSL *scratch, const char *cert_file, const char *key_file, struct tls_pair *out,
		  char *why) MUST_CHECK;

/* Another reference to all of it. Returns 0 or ERR_NOMEM. */
int tls_pair_copy(const struct tls_pair *from, struct tls_pair *to) MUST_CHECK;
void tls_pair_free(struct tls_pair *p);

/* Can the file be read, and has it no more than `max` bytes? Returns as above. */
int tls_pair_check_file(char *why, const char *what, const char *file, size_t max) MUST_CHECK;

/* "<what> <file>: <OpenSSL's reason>". Returns e. */
int tls_pair_fail(char *why, int e, const char *what, const char *file);

/* ---- tls_set.c: all certificates that are in force at one time ---- */

/* Of pairs that could not be read so many are told one by one. */
#define TLS_SET_TOLD 100

/*
 * What is loaded from files. Never changed after that: a newer one takes its place, and connections
 * whose handshake has begun keep theirs. Counted by the loop only; it may be read by the thread
 * that makes the next one.
 */
struct tls_set {
	size_t n_refs;
	uint64_t number; /* among those of its context, from 1; set when it comes into force */
	uint64_t stamp;	 /* of all files, taken before they were read */
	SSL_CTX *ssl;	 /* owned; has the default certificate */
	struct tls_pair fallback; /* the default; empty: it is that of pairs[0] */
	struct tls_pair *pairs;	  /* owned; [n_pairs] of the directory, by file */
	size_t n_pairs;
	struct map names;	     /* of tls_name: who is found by which name */
	struct tls_name *name_mem;   /* owned */
	bool asks, required;	     /* clients for their certificates */
	const char *const *ca_names; /* see tls_context_server.client_ca_names */
	char *told[TLS_SET_TOLD];    /* owned; [n_told] why pairs are missing */
	size_t n_told, n_untold;
};

/* A name is found by its lower-case text, "*.example.org" for a wildcard. */
struct tls_name {
	struct map_entry entry;	     /* its key is owned */
	const struct tls_pair *pair; /* borrowed: of the same set */
	struct tls_name *next;	     /* in name_mem */
};

/*
 * Read everything that a server's context names. May run on another thread.
 *   old  its pairs are kept where files are as they were, or cannot be read any more; may be NULL.
 * Returns 0, or as tls_context_new_server() with `why` set.
 */
int tls_set_load(const struct tls_context *ctx, const struct tls_set *old, struct tls_set **out,
		 char *why) MUST_CHECK;

/* An empty one for a client. Returns 0 or ERR_NOMEM. */
int tls_set_new(struct tls_set **out) MUST_CHECK;
struct tls_set *tls_set_share(struct tls_set *set);
void tls_set_free(struct tls_set *set); /* NULL is allowed */

/* A number that changes when one of the files does. May run on another thread. */
uint64_t tls_set_stamp(const struct tls_context *ctx);

/* The pair for a name in any case, or NULL. */
const struct tls_pair *tls_set_find(const struct tls_set *set, const char *name);

/* Log the pairs that are missing, but those that `old`, which may be NULL, told already. */
void tls_set_tell(const struct tls_set *set, const struct tls_set *old, struct log *log);

/* ---- tls_context.c ---- */

struct tls_context {
	struct tls_set *set; /* a reference: what is in force */
	uint64_t n_sets;     /* that there have been */
	BIO_METHOD *bio;     /* owned; set by the first wire that needs it, see tls_setup.c */
	uint8_t *alpn;	     /* owned; [alpn_len] names, each after a byte with its length */
	size_t alpn_len;
	size_t n_refs;
	bool server, insecure;
	struct key_pins pins; /* a client's; see tls_pin_ask() */
	struct tls_psk *psk;  /* owned; NULL unless it is by a pre-shared key */
	char *own_name;	      /* owned; a client's, see tls_context_own_name() */
	struct log *log;      /* borrowed; may be NULL */
	/* What a server loads again and again; all texts owned, NULL where not wanted. */
	struct tls_context_files {
		char *cert, *key, *dir, *client_ca, *client_crl;
		const char *const *client_ca_names;
		bool client_required;
	} files;
	struct tls_ticket *ticket; /* owned; a server's: tickets outlive certificates */
};

/* An empty one, with its names for ALPN (NULL: none). Returns as tls_context_new_server(). */
int tls_context_make(bool server, const char *const *alpn, struct tls_context **out,
		     char *why) MUST_CHECK;

/* OpenSSL's settings that all of ours have. Returns 0, ERR_NOMEM or ERR_TLS with `why` set. */
int tls_context_make_ssl(const struct tls_context *ctx, SSL_CTX **out, char *why) MUST_CHECK;

/* From now on this is in force. *set is taken over. */
void tls_context_replace(struct tls_context *ctx, struct tls_set **set);

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
	struct tls_set *set;	 /* a reference, until the handshake is done */
	uint64_t set_number;	 /* by which the peer was judged */
	SSL *ssl;		 /* owned */
	char *host;   /* owned; NULL when none is checked; a server's: who it is, for the log */
	char *reason; /* owned; NULL until there is one */
	const char *refusal;   /* static; see wire_tls_refusal() */
	struct tls_peer *peer; /* a reference; NULL until it was asked for, or there is none */
	char *psk_name;	       /* owned; a server's, see tls_psk_name(); NULL when there is none */
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
	bool no_alpn;	 /* see wire_tls_opt */
	bool under;	 /* the same */
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

/* A client is refused: say it once. cert: may be NULL, when it has shown none. */
void tls_setup_log(const struct wire_tls *t, X509 *cert, const char *reason);

/* ---- tls_peer.c: certificates of clients ---- */

/*
 * Ask for them, as the context says.
 *   set  its ssl is there; not in use yet.
 * Returns 0, or what a file gives, with `why` set.
 */
int tls_peer_ask(const struct tls_context *ctx, struct tls_set *set, char *why) MUST_CHECK;

/*
 * Is a client asked who wants this name?
 *   sni  in any case; NULL: it names none.
 */
bool tls_peer_asks(const struct tls_set *set, const struct str *sni);

/* Ask this client, unless it visits somebody else. Returns whether it is asked. */
bool tls_peer_ask_one(const struct tls_set *set, SSL *ssl, const char *sni);

/*
 * Is this error none? Not every authority has a list of revoked certificates.
 *   ok  OpenSSL's judgement, 0 or 1.
 * Returns the judgement in force.
 */
int tls_peer_judge(int ok, X509_STORE_CTX *store);

/* The client's certificate once the handshake is done; NULL: there is none, or no memory. */
struct tls_peer *tls_peer_new(const struct wire_tls *t);

/* See wire_tls_peer_name(); NULL without memory. The caller frees it. */
char *tls_peer_read_name(X509 *cert);

/* Milliseconds since 1970; INT64_MAX for what is no time. */
int64_t tls_peer_time_ms(const ASN1_TIME *t);

/* ---- tls_psk.c: those who have the same key ---- */

/* NULL is allowed. */
void tls_psk_free(struct tls_psk *psk);

/*
 * Make a key for one purpose of a secret.
 *   secret  evenly random bytes.
 *   label   NUL-terminated; another one is another key.
 *   out     [len] set on success.
 * Returns 0 or ERR_TLS. Source: RFC 5869 (HKDF, SHA-256, no salt).
 */
int tls_psk_derive(struct str secret, const char *label, void *out, size_t len) MUST_CHECK;

/* ---- tls_ticket.c: how clients come back without a whole handshake ---- */

struct tls_ticket;

/*
 * A server's keys for tickets.
 *   root, label  as tls_context_server has them.
 * Returns 0, ERR_INVAL (the label is too long), ERR_NOMEM.
 */
int tls_ticket_new(const uint8_t *root, const char *label, struct tls_ticket **out) MUST_CHECK;
void tls_ticket_free(struct tls_ticket *tk); /* NULL is allowed */

/* Make the keys those of this hour. It is done at every handshake, and is to be done now and then
 * without any, so that what has had its time is forgotten. */
void tls_ticket_look(struct tls_ticket *tk, struct ev *ev);

/* Let it ask for them: those of its wires' context, for their wires' hour. May run on another
 * thread. */
void tls_ticket_use(SSL_CTX *ssl);

/* ---- wire_tls.c ---- */

/* NULL: it is a wire of another kind. */
const struct wire_tls *wire_tls_find(const struct wire *w);

/* ---- tls_pin.c: servers known by their keys ---- */

/* The fingerprint of a certificate's key. Returns 0 or ERR_NOMEM. */
int tls_pin_digest(X509 *cert, uint8_t sha256[KEY_PIN_LEN]) MUST_CHECK;

/* Accept any certificate with one of these keys, and no other. pins: copied. */
void tls_pin_ask(struct tls_context *ctx, const struct key_pins *pins);

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
 *   ours  it was judged by our own authorities (--agent-ca): a client's.
 *   out   [TLS_REASON], set.
 */
void tls_reason_cert(X509_STORE_CTX *store, const char *host, bool ours, char *out);

/* Whom a certificate names, to be shown: printable, without '"'. out: [TLS_REASON_NAME] */
#define TLS_REASON_NAME 72
void tls_reason_subject(X509 *cert, char *out);

/* See tls_context_explain(). */
void tls_reason_own(X509 *cert, const char *alert, char *out);

/* The alert by which the peer refused our certificate, if the failed call before this one met one;
 * else NULL. A static text. */
const char *tls_reason_refusal(void);

/*
 * Say what the failed call before this one met, and empty OpenSSL's queue of errors.
 *   out  [TLS_REASON], set.
 */
void tls_reason_failure(char *out);

#endif
