/*
 * Custom domains that are new to an account: the transaction that finds them unproven ends without
 * a change, the DNS is asked about all of them, and the same transaction is tried again with what
 * it said.
 */
#ifndef KAREZ_CORE_TUNNEL_PROOFS_H
#define KAREZ_CORE_TUNNEL_PROOFS_H

#include "core/domain.h"
#include "core/manage_internal.h"

/* Domains that one call may have proven. */
#define TUNNEL_PROOFS_MAX 1000

/* Lots of RECORD_ALT_NAMES_MAX that are asked about at once, and how long one call waits for all
 * the answers that it needs. */
#define TUNNEL_PROOFS_AT_ONCE 3
#define TUNNEL_PROOFS_MS      20000

/* Times that the DNS is asked, when others change the same domains meanwhile. */
#define TUNNEL_PROOFS_ROUNDS 3

/* Embedded in a call. All zero but for m and run. */
struct tunnel_proofs {
	struct manage *m; /* borrowed: the call */
	bool drawn;	  /* set before tunnel_proofs_need(): the next try draws another name */
	int (*run)(struct txn *t, void *m); /* what is tried again */
	struct domain_proof *list;	    /* owned; [n], room for cap */
	size_t n, cap, known;		    /* known: of them, those with an answer */
	size_t at; /* those before are being, or have been, asked about in this round */
	unsigned rounds;
	struct core_call asking;  /* as long as the DNS is asked */
	struct ev_timer deadline; /* the same */
	uint64_t until_ms;	  /* when that is; 0: the DNS was not asked yet */
	struct tunnel_proofs_lot {
		struct tunnel_proofs *p;
		size_t at;		  /* where they stand in the list */
		struct domain_proofs lot; /* n 0: nothing is asked */
	} lots[TUNNEL_PROOFS_AT_ONCE];
};

/* A run begins. */
void tunnel_proofs_begin(struct tunnel_proofs *p);

/*
 * May a tunnel have its custom domains? In a transaction's run.
 *   old  as it was, NULL: it is new.
 * Returns 0; ERR_AGAIN as a read gave it; ERR_RESOLVE: the DNS must be asked, see
 * tunnel_proofs_asks(); the store's errors; or a refusal with the call's answer filled.
 */
int tunnel_proofs_need(struct tunnel_proofs *p, struct txn *t, const struct record_tunnel *r,
		       const struct record_tunnel *old) MUST_CHECK;

/* Has the run that ended with ERR_RESOLVE ended because the DNS must be asked? */
bool tunnel_proofs_asks(const struct tunnel_proofs *p);

/* Ask, then run again; what cannot be is answered. What has no answer when TUNNEL_PROOFS_MS are
 * over is not proven. */
void tunnel_proofs_ask(struct tunnel_proofs *p);

/* Never call back, and free what is owned. */
void tunnel_proofs_clean(struct tunnel_proofs *p);

#endif
