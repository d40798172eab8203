/*
 * Certificates, keys, authorities and lists of revoked ones that change while the server runs.
 *
 * The files are looked at every few seconds, and read as a whole, on another thread, when one of
 * them is another one. What is new comes into force at once or, if anything that must be there
 * cannot be used, not at all.
 */
#ifndef KAREZ_WIRE_TLS_RELOAD_H
#define KAREZ_WIRE_TLS_RELOAD_H

#include "ev/ev.h"
#include "wire/tls_context.h"

/* Milliseconds between two looks; and until files that have just changed are believed to be whole.
 */
#define TLS_RELOAD_MS	     2000
#define TLS_RELOAD_SETTLE_MS 200

/* Milliseconds after which the certificates of clients are looked at anew: they grow old; and the
 * keys of tickets, see tls_ticket_look(). */
#define TLS_RELOAD_RECHECK_MS 60000

struct tls_reload;

struct tls_reload_opt {
	struct tls_context *ctx; /* a server's; a reference is taken; its log is told */
	/* Something else is in force, or a minute is over: see tls_peer_check(). May be NULL. */
	void (*recheck)(void *arg);
	void *arg;
};

/* Returns 0 or ERR_NOMEM. */
int tls_reload_new(struct ev *ev, const struct tls_reload_opt *opt,
		   struct tls_reload **out) MUST_CHECK;

/* Read all files now, changed or not (SIGHUP); the log has one line about it. */
void tls_reload_now(struct tls_reload *r);

/* No callback afterwards. Before ev_free(); NULL is allowed. */
void tls_reload_free(struct tls_reload *r);

#endif
