/* Hearing from a visitor, by SOCKS, where to; and telling him what came of it. */
#ifndef KAREZ_AGENT_RFORWARD_SOCKS_H
#define KAREZ_AGENT_RFORWARD_SOCKS_H

#include "proto/socks.h"
#include "proto/url.h"
#include "wire/wire.h"

/* A visitor has so long to say where to, and to take the answer, in milliseconds. */
#define RFORWARD_SOCKS_MS 15000

struct rforward_socks;

struct rforward_socks_owner {
	/* He wants to go there: rforward_socks_answer() is waited for. */
	void (*asked)(void *arg, const struct url *to);
	/*
	 * He was told, or is gone; the object is gone afterwards.
	 *   e      0: told that he is connected; else why not.
	 *   w      e is 0: the callee owns it from now on; else NULL: it is closed.
	 *   first  borrowed: what he has said already, for his target; empty unless e is 0.
	 */
	void (*over)(void *arg, int e, struct wire *w, struct str first);
};

/*
 *   w  owned on success, until over() gives it back.
 * Returns 0 or ERR_NOMEM.
 */
int rforward_socks_new(struct ev *ev, struct wire *w, const struct rforward_socks_owner *owner,
		       void *arg, struct rforward_socks **out) MUST_CHECK;

/* After asked(), once: e is 0, or the ERR_* of connecting. */
void rforward_socks_answer(struct rforward_socks *s, int e);

/* End it, with why for the wire as for wire_close(); over() is not called. NULL is allowed. */
void rforward_socks_free(struct rforward_socks *s, int why);

#endif
