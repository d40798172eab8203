/*
 * Passwords of visitors: hashed slowly on purpose, on other threads, a few at a time.
 *
 * A hash is a PHC string, "$scrypt$ln=14,r=8,p=1$<salt>$<key>", base64 without padding. Source: RFC
 * 7914 (scrypt), github.com/P-H-C/phc-string-format.
 */
#ifndef KAREZ_CORE_PASSWORD_H
#define KAREZ_CORE_PASSWORD_H

#include "core/rights.h"
#include "ev/ev.h"

struct passwords;
struct password_job;

/* Jobs on threads at once: others need the pool too (SQLite, names); and jobs that wait. */
#define PASSWORD_JOBS_MAX  2
#define PASSWORD_QUEUE_MAX 64

/* Bytes of a password, at most: hashing is bounded. */
#define PASSWORD_MAX 512

/* All password work of a process. Returns 0 or ERR_NOMEM. */
int password_new(struct ev *ev, struct passwords **out) MUST_CHECK;

/*
 * No callback comes any more, and no job may be touched; threads that are at it finish by
 * themselves, before ev_free() ends. NULL is allowed.
 */
void password_free(struct passwords *p);

/*
 * Hash a password with a new random salt (16 bytes; ln=14, r=8, p=1: 16 MiB, some 40 ms).
 *   password  [1..PASSWORD_MAX] bytes; copied, the copy is wiped.
 *   done      called exactly once, never before this returns: 0 and the NUL-terminated hash,
 *             shorter than RIGHTS_HASH_TEXT; or ERR_NOMEM and NULL.
 *   *job      for password_cancel(), until done.
 * Returns 0, or without a callback ERR_LIMIT (PASSWORD_QUEUE_MAX wait), ERR_NOMEM, ERR_INVAL
 * (empty), ERR_TOOBIG.
 */
int password_hash(struct passwords *p, struct str password,
		  void (*done)(void *arg, int e, const char *hash), void *arg,
		  struct password_job **job) MUST_CHECK;

/* What to compare. Borrowed for the call. */
struct password_check {
	struct str password; /* any bytes; an empty or overlong one is wrong, but takes as long */
	struct str hash;     /* empty: nobody has it; the answer is ERR_AUTH after the same work */
};

/*
 * Is it the password?
 *   done  as above: 0, ERR_AUTH (it is not), ERR_INVAL (the hash is damaged, or asks for more than
 *         ln=16, r=16, p=4, or 64 MiB), ERR_NOMEM.
 * Returns as above, but never ERR_INVAL and ERR_TOOBIG.
 */
int password_check(struct passwords *p, const struct password_check *check,
		   void (*done)(void *arg, int e), void *arg, struct password_job **job) MUST_CHECK;

/* Is it a hash as password_hash() makes them, of just that cost: one from elsewhere may be kept? */
bool password_hash_ok(struct str hash);

/* Never call back. NULL is allowed. */
void password_cancel(struct password_job *job);

/* Bytes of the salt of a new hash. */
#define PASSWORD_SALT_LEN 16

/*
 * Hash a password here and now, with all that it costs: for the start, and for threads.
 *   password  [1..PASSWORD_MAX] bytes.
 *   salt      random bytes.
 *   out       set on success; NUL-terminated.
 * Returns 0, ERR_INVAL (empty), ERR_TOOBIG or ERR_NOMEM.
 */
int password_make(struct str password, const uint8_t salt[PASSWORD_SALT_LEN],
		  char out[RIGHTS_HASH_TEXT]) MUST_CHECK;

/* Jobs begun so far, for tests and statistics. */
uint64_t password_n_jobs(const struct passwords *p);

#endif
