/*
 * Words behind the host of `ssh -R ... host WORD...`: options of the tunnels that the session
 * makes.
 */
#ifndef KAREZ_PROTO_SSH_WORDS_H
#define KAREZ_PROTO_SSH_WORDS_H

#include "proto/hostname.h"
#include "proto/ident.h"
#include "proto/tunnel_word.h"

enum { SSH_WORDS_WHY = 256 };

/* A value; all zero: nothing was said. Texts are NUL-terminated. */
struct ssh_words {
	char name[HOSTNAME_MAX + 1]; /* name=demo: of the first tunnel */
	char agent[IDENT_TEXT];	     /* agent=NAME: what this session calls itself */
	enum tunnel_proxy proxy;     /* proxy=none|v1|v2 */
	enum tunnel_policy policy;   /* policy=least-conn|round-robin|failover */
	unsigned priority;	     /* priority=0-65535 */
	unsigned sessions_max;	     /* max-sessions=1-64; 0: not said */
	bool tls;		     /* tls: port 443 is TLS that is passed through */
	bool json;		     /* json: lines for programs */
	bool quiet;		     /* quiet, -q: no line for each request */
	bool help;		     /* help, --help, -h, ? */
	bool has_proxy, has_policy, has_priority;
};

/*
 * Read the command as ssh sends it: words with one or more spaces between; no quoting.
 *   why  set on failure: names the word and what is possible.
 * Returns 0 or ERR_INVAL.
 */
int ssh_words_read(struct str command, struct ssh_words *out, char why[SSH_WORDS_WHY]) MUST_CHECK;

/* Every word with what it does, a line each, for people; NUL-terminated, static. */
const char *ssh_words_help(void);

#endif
