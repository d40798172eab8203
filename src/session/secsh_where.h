/*
 * Where the agent's side of SSH goes and as whom: what was typed and what ssh_config(5) says, put
 * together, with tokens filled in and with files named in full.
 *
 * Private to the agent's side of SSH.
 */
#ifndef KAREZ_SESSION_SECSH_WHERE_H
#define KAREZ_SESSION_SECSH_WHERE_H

#include "session/secsh_config.h"
#include "session/secsh_link.h"

/* Files of known hosts, the person's and the system's together. */
#define SECSH_KNOWN_MAX 16
/* How often a password, or a passphrase, is asked for. */
#define SECSH_PROMPTS 3

enum secsh_strict {
	SECSH_STRICT_ASK,
	SECSH_STRICT_YES, /* nobody is asked: unknown is refused */
	SECSH_STRICT_NEW, /* unknown is written down, changed is refused */
	SECSH_STRICT_NO,
};

struct secsh_where {
	struct secsh_config config;
	char *typed, *host, *user; /* owned */
	char *alias;		   /* owned; how known_hosts calls it; NULL: by host and port */
	uint16_t port;
	char *proxy;			      /* owned: a command for the shell; NULL: none */
	char *keys[SECSH_IDENTITIES_MAX];     /* owned: names of files */
	bool keys_were_said;		      /* else they are the usual ones */
	char *known[SECSH_KNOWN_MAX];	      /* owned: names of files */
	size_t n_keys, n_known, n_known_ours; /* the person's come first */
	enum secsh_strict strict;
	bool has_gcm; /* this libssh's AES-GCM can be relied on */
};

/*
 * Find all that out.
 *   w    all zero; to be freed after a failure, too.
 *   why  set on failure.
 * Returns 0, ERR_INVAL, ERR_IO, ERR_NOMEM.
 */
int secsh_where_find(struct secsh_where *w, const struct secsh_agent_opt *opt,
		     char why[SECSH_WHY_TEXT]) MUST_CHECK;

void secsh_where_free(struct secsh_where *w);

/*
 * Set up libssh for going there: host, user, port, algorithms, rekeying.
 *   why  set on failure: names the option that libssh does not take.
 * Returns 0, ERR_INVAL, ERR_NOMEM.
 */
int secsh_where_apply(const struct secsh_where *w, ssh_session ssh,
		      char why[SECSH_WHY_TEXT]) MUST_CHECK;

#endif
