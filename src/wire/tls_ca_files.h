/* The files of a private authority: private to tls_ca.c and tls_ca_crl.c; it knows no OpenSSL. */
#ifndef KAREZ_WIRE_TLS_CA_FILES_H
#define KAREZ_WIRE_TLS_CA_FILES_H

#include "wire/tls_ca.h"

#define TLS_CA_CERT  "ca.pem"
#define TLS_CA_KEY   "ca-key.pem"
#define TLS_CA_CRL   "crl.pem"
#define TLS_CA_INDEX "issued.jsonl"

/* "<dir>/<file>". Returns 0 or ERR_TOOBIG with `why` set. */
int tls_ca_path(const char *dir, const char *file, char out[TLS_CA_PATH], char *why) MUST_CHECK;

/* "cannot <verb> <path>: <errno>". Returns ERR_EXISTS, ERR_NOTFOUND or ERR_IO. */
int tls_ca_fail_file(const char *verb, const char *path, char *why);

/*
 * Keep all others out of the directory until *fd is closed.
 * Returns 0, ERR_NOTFOUND, ERR_IO.
 */
int tls_ca_lock(const char *dir, int *fd, char *why) MUST_CHECK;

/*
 * Write a new file and see it to the disk; it is gone again when that fails.
 *   mode  0600 for what is secret.
 * Returns 0, ERR_EXISTS, ERR_NOTFOUND (no such directory), ERR_IO.
 */
int tls_ca_create(const char *path, int mode, struct str text, char *why) MUST_CHECK;

/* The same in the place of one that may be there: nobody ever reads half of it. */
int tls_ca_replace(const char *path, struct str text, char *why) MUST_CHECK;

/* Add one to the list of what was issued; it is on the disk when this returns. Returns 0, ERR_IO,
 * ERR_TOOBIG, ERR_NOMEM. */
int tls_ca_note(const char *dir, const struct tls_ca_entry *entry, char *why) MUST_CHECK;

/*
 * Read that list. A line that is damaged is passed over.
 *   *out  [*n] set on success; the caller frees it.
 *   why   set on success, too: names the first line that is damaged; "": none is.
 * Returns 0 (also when nothing was issued yet), ERR_IO, ERR_TOOBIG, ERR_NOMEM.
 */
int tls_ca_read(const char *dir, struct tls_ca_entry **out, size_t *n, char *why) MUST_CHECK;

#endif
