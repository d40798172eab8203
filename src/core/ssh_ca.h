/*
 * Authorities for SSH user certificates: which keys may sign, and whom a certificate proves.
 */
#ifndef KAREZ_CORE_SSH_CA_H
#define KAREZ_CORE_SSH_CA_H

#include "base/str.h"
#include "proto/ssh_cert.h"

#define SSH_CA_KEYS_MAX 16
#define SSH_CA_WHY	256
/* Bytes of a principal's name, NUL included; longer ones count as none. */
#define SSH_CA_NAME_TEXT 129

struct ssh_ca;

/* What is asked. All borrowed for the call. */
struct ssh_ca_ask {
	struct str blob; /* as the client sent it; it has signed with the key in it */
	struct str user; /* the name that was asked for; any bytes */
	const char *ip;	 /* the client's address */
	int64_t now_ms;	 /* wall clock */
};

/*
 * Read authorities: public keys as ssh-keygen writes them, a line each; empty lines and # comments.
 *   text  the whole file; any bytes.
 *   why   set on failure: names the line.
 * Returns 0, ERR_INVAL, ERR_NOMEM.
 */
int ssh_ca_new(struct str text, struct ssh_ca **out, char why[SSH_CA_WHY]) MUST_CHECK;

/*
 * Whom does a certificate prove, whose holder has signed with its key?
 *   out      the principal: ask->user if it is one of them, else the first one.
 *   why      set on failure: a sentence for the log; the client is not told.
 * Returns 0, ERR_AUTH (not a user's, no authority of ours, a wrong signature, not valid now, from
 * elsewhere, no principal, an unknown critical option), ERR_NOMEM.
 */
int ssh_ca_check(const struct ssh_ca *ca, const struct ssh_ca_ask *ask, char out[SSH_CA_NAME_TEXT],
		 char why[SSH_CA_WHY]) MUST_CHECK;

/* NULL is allowed. */
void ssh_ca_free(struct ssh_ca *ca);

#endif
