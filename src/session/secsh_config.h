/*
 * What ssh_config(5) says about one host: the options of the command line, ~/.ssh/config, and
 * /etc/ssh/ssh_config, of which for every option the first one that was said counts.
 *
 * Private to the agent's side of SSH. Source: ssh_config(5) of OpenSSH 9.2.
 */
#ifndef KAREZ_SESSION_SECSH_CONFIG_H
#define KAREZ_SESSION_SECSH_CONFIG_H

#include "session/secsh_agent.h"

/* Private keys that one host may have, files that include each other, bytes of one line. */
#define SECSH_IDENTITIES_MAX 64
#define SECSH_INCLUDES_MAX   16
#define SECSH_LINE_MAX	     8192

enum secsh_option {
#define SECSH_OPTION(id, name, kind) SECSH_O_##id,
#include "session/secsh_option.def"
#undef SECSH_OPTION
	SECSH_N_OPTIONS,
};

struct secsh_config {
	char *values[SECSH_N_OPTIONS];	   /* owned; NULL: nobody said */
	char *files[SECSH_IDENTITIES_MAX]; /* owned: IdentityFile, in the order of asking */
	size_t n_files;
	char *home, *login; /* owned: the person's directory, and name */
};

/*
 * Read all there is.
 *   c    all zero; to be freed after a failure, too.
 *   why  set on failure: names the file and its line, or the option.
 * Returns 0, ERR_INVAL, ERR_IO (a file that was asked for), ERR_NOMEM.
 */
int secsh_config_read(struct secsh_config *c, const struct secsh_agent_where *where,
		      const struct secsh_agent_asks *asks, char why[SECSH_WHY_TEXT]) MUST_CHECK;

void secsh_config_free(struct secsh_config *c);

/* What was said as text; or. */
const char *secsh_config_text(const struct secsh_config *c, enum secsh_option o, const char *or_);

/* The same for YESNO, COUNT, PORT, and SECONDS. */
bool secsh_config_yes(const struct secsh_config *c, enum secsh_option o, bool or_);
unsigned secsh_config_number(const struct secsh_config *c, enum secsh_option o, unsigned or_);

/*
 * The next argument of a line: a word, or what stands between two '"'.
 *   *rest  shortened.
 * Returns false when there is none, or a comment begins.
 */
bool secsh_config_word(struct str *rest, struct str *word);

/* Whether a text is like a pattern of letters, '*', and '?'; the case of A-Z is nothing. */
bool secsh_config_like(struct str text, struct str pattern);

#endif
