/* What an agent wishes a tunnel to be, read from its "attach": private to gateway/. */
#ifndef KAREZ_GATEWAY_GATEWAY_WISH_H
#define KAREZ_GATEWAY_GATEWAY_WISH_H

#include "core/manage.h"
#include "proto/json.h"

/* Priorities of agents, at most; less is better. */
#define GATEWAY_PRIORITY_MAX 65535

/* A value; texts are borrowed from the line that was read, wish.change is &change or NULL. */
struct gateway_wish {
	struct core_wish wish;
	struct manage_tunnel_change change;
};

/*
 * Read the members of an attach; what is not there is not wished, unknown ones are passed over,
 * but for those within "visitors" and "headers".
 *   core    for fingerprints of the tokens in it.
 *   reason  set on failure to a sentence that names the member and what it may be.
 * Returns 0, ERR_INVAL (a type or a value), ERR_UNSUPPORTED (a kind that this version does not
 * have), ERR_AGAIN, ERR_NOMEM. Whether all of it goes together is the core's to judge. Source:
 * doc/session-protocol.md 3.
 */
int gateway_wish_read(const struct core *core, const struct json *line, struct gateway_wish *out,
		      char reason[CORE_REASON_TEXT]) MUST_CHECK;

/*
 * Read the members of an offer.
 *   services  [CORE_SERVICES_MAX] borrowed from the line; *n: how many.
 *   reason    as above.
 * Returns 0 or ERR_INVAL.
 */
int gateway_wish_read_offer(const struct json *line, struct str *services, size_t *n,
			    unsigned *priority, char reason[CORE_REASON_TEXT]) MUST_CHECK;

#endif
