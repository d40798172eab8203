/*
 * The host keys of an SSH server: made once, kept in a directory, shown by their fingerprints.
 */
#ifndef KAREZ_SESSION_SECSH_KEYS_H
#define KAREZ_SESSION_SECSH_KEYS_H

#include "base/str.h"

/* Bytes with their NUL: the name of a type, "SHA256:" and its base64, a sentence that says why. */
#define SECSH_TYPE_TEXT	       36
#define SECSH_FINGERPRINT_TEXT 64
#define SECSH_WHY_TEXT	       256
/* Kinds of host keys: ed25519, rsa (3072 bits). Curves of NIST are not offered. */
#define SECSH_KEYS 2

struct secsh_keys;

/* One host key as it is shown. Texts live as long as the keys. */
struct secsh_host_key {
	char type[SECSH_TYPE_TEXT];		  /* "ssh-ed25519" */
	char fingerprint[SECSH_FINGERPRINT_TEXT]; /* "SHA256:..." */
	const char *line;			  /* "ssh-ed25519 AAAA...", for known_hosts */
};

/*
 * Read the host keys of a directory, making those that are not there: ssh_host_ed25519_key,
 * ssh_host_rsa_key, mode 0600, each complete or not there at all, by whoever is first. Blocks: for
 * the start of a process, before it has threads.
 *   dir  exists; NUL-terminated.
 *   why  set on failure: names the file and what is wrong with it.
 * Returns 0, ERR_IO, ERR_DENIED (others may read a key), ERR_INVAL (damaged), ERR_UNSUPPORTED (this
 * libssh does not check what AES-GCM has to check, see secsh_gcm_is_sound()), ERR_NOMEM.
 */
int secsh_keys_open(const char *dir, struct secsh_keys **out, char why[SECSH_WHY_TEXT]) MUST_CHECK;

/* The i-th; i < SECSH_KEYS. */
const struct secsh_host_key *secsh_keys_at(const struct secsh_keys *k, size_t i);

/*
 * Does this libssh notice that bytes were changed on the way, when they are encrypted by AES-GCM?
 * Debian's 0.10.6 before deb12u3 does not (CVE-2026-59847). Found out by two sessions in memory, in
 * some milliseconds; false, too, when memory or descriptors are short.
 */
bool secsh_gcm_is_sound(void);

/* No session may use them any more. NULL is allowed. */
void secsh_keys_free(struct secsh_keys *k);

#endif
