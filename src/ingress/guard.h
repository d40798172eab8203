/*
 * May this visitor come in? Asked on the very head that is forwarded, for every method and for
 * upgrades alike, in this order: the address, the credential, the operator's hook, the tunnel's
 * hook. Private to ingress/.
 */
#ifndef KAREZ_INGRESS_GUARD_H
#define KAREZ_INGRESS_GUARD_H

#include "ingress/http_ingress_internal.h"

struct guard;

/* Fields that hooks may add to a request, at most, and their bytes. */
#define GUARD_FIELDS_MAX  16
#define GUARD_FIELDS_TEXT 8192

/* Fields of a hook's refusal that are passed on, at most. */
#define GUARD_DENIAL_FIELDS_MAX 32

/* How often a request is judged anew because the tunnel changed meanwhile. */
#define GUARD_TRIES_MAX 4

/*
 *   in  borrowed: owns the guard.
 * Returns 0, ERR_NOMEM, or ERR_INVAL: in->opt.auth_url is no URL of http or https.
 */
int guard_new(struct http_ingress *in, struct guard **out) MUST_CHECK;

/* Who waits is told that the server goes. NULL is allowed. */
void guard_free(struct guard *g);

/* Is there anything to ask about visitors of such a tunnel? */
bool guard_is_needed(const struct guard *g, const struct tunnel_settings *settings);

/*
 * Judge a request, now or later; then exchange it or answer it.
 *   t          what http_ingress_find() has found by name.
 *   name, req  borrowed for the call.
 */
void guard_request(struct guard *g, struct http_conn *c, struct tunnel *t,
		   const struct http_ingress_name *name, const struct http_request *req);

#endif
