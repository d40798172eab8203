/*
 * Logging in at an SSH server: the agent's keys, key files, the server's questions, a password.
 *
 * Private to the agent's side of SSH. Source: RFC 4252, RFC 4256.
 */
#ifndef KAREZ_SESSION_SECSH_PROVE_H
#define KAREZ_SESSION_SECSH_PROVE_H

#include "session/secsh_where.h"

/* Answers that are kept; bytes of one. Rounds of questions in one login. */
#define SECSH_KEPT_MAX	 8
#define SECSH_ANSWER_MAX 512
#define SECSH_ROUNDS_MAX 32

/* What a person has said once and is not asked again when the connection is made anew. */
struct secsh_secrets {
	ssh_key keys[SECSH_IDENTITIES_MAX];  /* owned; opened private keys, as secsh_where.keys */
	bool unusable[SECSH_IDENTITIES_MAX]; /* the person has been told */
	struct {
		char *prompt, *answer; /* owned */
	} kept[SECSH_KEPT_MAX];
};

/* All zero is none. Keys are wiped. */
void secsh_secrets_free(struct secsh_secrets *s);

enum secsh_step {
	SECSH_STEP_NONE,
	SECSH_STEP_AGENT,
	SECSH_STEP_KEYS,
	SECSH_STEP_QUESTIONS,
	SECSH_STEP_PASSWORD,
	SECSH_STEP_END,
};

/* One login. The first three are set by its owner, the rest is zero. */
struct secsh_prove {
	const struct secsh_where *where;     /* borrowed: the agent's */
	const struct secsh_agent_asks *asks; /* borrowed: the agent's */
	struct secsh_secrets *secrets;	     /* borrowed: the agent's */

	enum secsh_step step;
	size_t i_key;
	bool is_bare;	   /* key i_key is tried without its certificate, after it was with it */
	ssh_key offered;   /* owned: what of key i_key is public */
	ssh_key signer;	   /* owned: the server wants key i_key, this one signs */
	bool has_answered; /* a question of this step */
	bool has_tried;	   /* the step, and not only looked whether it can be tried */
	bool is_alone;	   /* nobody answers */
	unsigned refused;  /* answers of this step */
	unsigned rounds;
	char *password;	  /* owned; of SECSH_STEP_PASSWORD, while the server thinks about it */
	char *banner;	  /* owned; shown last */
	uint32_t used;	  /* bits 1 << SECSH_KEPT: was given already in this login */
	struct buf tried; /* a list for the person */
};

/*
 * Go on as far as it goes without waiting.
 *   ssh  connected, its host key accepted, not blocking.
 *   why  [SESSION_REASON_MAX] set on failure.
 * Returns 0 (admitted), ERR_AGAIN (when more has come from the server, or gone out), ERR_AUTH,
 * ERR_CLOSED (the connection has ended).
 */
int secsh_prove_step(struct secsh_prove *l, ssh_session ssh,
		     char why[SESSION_REASON_MAX]) MUST_CHECK;

/* What it holds; not the three. */
void secsh_prove_free(struct secsh_prove *l);

#endif
