/*
 * What several transactions do to a tunnel: all the records that one change of it touches, and no
 * other way to touch them. The tunnel, the claim on its last label, its custom domains, what
 * its route, what its account owns and how many there are always change together.
 */
#ifndef KAREZ_CORE_TUNNEL_TXN_H
#define KAREZ_CORE_TUNNEL_TXN_H

#include "core/txn.h"

/* A new tunnel as it usually is. */
void tunnel_txn_usual(struct record_tunnel *out, struct str name, const char *account,
		      int64_t now_ms);

/*
 * Draw a random name.
 *   tries  how many were taken: they grow.
 */
void tunnel_txn_random(struct ev *ev, unsigned tries, char out[HOSTNAME_MAX + 1]);

/* A hint about the target: one line of RECORD_TARGET_MAX bytes. Returns 0 or ERR_INVAL. */
int tunnel_txn_check_target(struct str target, char out[RECORD_TARGET_MAX + 1],
			    char reason[CORE_REASON_TEXT]) MUST_CHECK;

/* Fill in that a name, or a last label, is somebody else's. Returns ERR_EXISTS. */
int tunnel_txn_taken(struct str name, char reason[CORE_REASON_TEXT]);

/*
 * The functions below belong into a transaction's run: they return as txn_get() does, and what is
 * named beside; a sentence is in reason whenever it is none of the store's errors.
 */

/* Read a tunnel. *rec as txn_get() lends it. Also ERR_IO: it is damaged. */
int tunnel_txn_get(struct txn *t, struct str name, struct record_tunnel *out,
		   const struct store_record **rec) MUST_CHECK;

/* Write a changed tunnel in place of rec. Its names do not change by that; its route follows, and
 * whose it was before is not asked: see tunnel_txn_route(). */
int tunnel_txn_put(struct txn *t, const struct store_record *rec,
		   const struct record_tunnel *r) MUST_CHECK;

/*
 * Make a tunnel that tunnel_txn_get() did not find, for its account; without custom domains.
 * Also ERR_EXISTS, ERR_LIMIT (the account's quota), ERR_DISABLED (the account).
 */
int tunnel_txn_make(struct txn *t, const struct record_tunnel *r,
		    char reason[CORE_REASON_TEXT]) MUST_CHECK;

/* Drop a tunnel that tunnel_txn_get() has found, with all that hangs on it. */
int tunnel_txn_drop(struct txn *t, const struct record_tunnel *r) MUST_CHECK;

/*
 * Whose a route is: 0 and *out, or ERR_NOTFOUND: nobody's. What this transaction has written so far
 * does not count.
 */
int tunnel_txn_route(struct txn *t, struct str key, struct record_route *out) MUST_CHECK;

/* Whose a custom domain is. ERR_NOTFOUND: nobody's. What this transaction has written so far does
 * not count. */
int tunnel_txn_domain(struct txn *t, const char *host, struct record_domain *out) MUST_CHECK;

/*
 * A custom domain leads to this tunnel from now on; another one that had it loses it.
 *   r  as it will be: host, and all else that is taken, stand in its alt_names.
 */
int tunnel_txn_take_domain(struct txn *t, const struct record_tunnel *r, const char *host,
			   int64_t now_ms) MUST_CHECK;

/* It does not lead to this tunnel any more; harmless when it did not. */
int tunnel_txn_leave_domain(struct txn *t, const struct record_tunnel *r,
			    const char *host) MUST_CHECK;

/*
 * Ask ahead for what making (old NULL), changing or dropping (r NULL) a tunnel will read: for those
 * who change many, see txn_want(). Returns 0 (all is here), ERR_AGAIN, ERR_LIMIT, ERR_NOMEM.
 */
int tunnel_txn_ahead(struct txn *t, const struct record_tunnel *old,
		     const struct record_tunnel *r) MUST_CHECK;

#endif
