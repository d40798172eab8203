/*
 * Whether a host is who it says it is: known_hosts, and the questions that ssh(1) asks about it.
 *
 * Private to the agent's side of SSH. Source: sshd(8) SSH_KNOWN_HOSTS FILE FORMAT; ssh(1).
 */
#ifndef KAREZ_SESSION_SECSH_KNOWN_H
#define KAREZ_SESSION_SECSH_KNOWN_H

#include "session/secsh_where.h"

/* Bytes of a list of kinds of host keys. */
#define SECSH_KINDS_TEXT 256

enum secsh_trust {
	SECSH_KNOWN,   /* it is the key that is written down */
	SECSH_NEW,     /* nothing is written down for this host, or only keys of other kinds */
	SECSH_CHANGED, /* another key of that kind is written down */
	SECSH_REVOKED, /* it is written down as one that nobody may use any more */
};

/* What the files say about a host's key. */
struct secsh_finding {
	enum secsh_trust trust;
	bool others;	  /* keys of other kinds are known */
	const char *file; /* borrowed of the struct secsh_where; where it says so; NULL: nowhere */
	unsigned line;
};

/* Look a host's key up. Files that cannot be read, and lines that cannot be understood, say
 * nothing. */
void secsh_known_find(const struct secsh_where *w, ssh_key key, struct secsh_finding *out);

/*
 * The kinds of host keys to ask a server for, those that are known for it first.
 *   out  as HostKeyAlgorithms has it.
 */
void secsh_known_kinds(const struct secsh_where *w, char out[SECSH_KINDS_TEXT]);

/* Write a host's key down. Returns 0 or why it cannot be. */
int secsh_known_add(const struct secsh_where *w, ssh_key key) MUST_CHECK;

/*
 * Decide whether to go on with a host that has shown this key; asks, and writes it down, as ssh(1)
 * does.
 *   before  the key that was accepted last; NULL: none was. Another one, of which the files know
 *           nothing, is not asked about again, only taken with StrictHostKeyChecking=no.
 *   why     set on failure.
 * Returns 0 or ERR_CERT.
 */
int secsh_known_judge(const struct secsh_where *w, const struct secsh_agent_asks *asks,
		      ssh_key before, ssh_key key, char why[SECSH_WHY_TEXT]) MUST_CHECK;

#endif
