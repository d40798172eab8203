/*
 * Certificates by name: which files of a directory belong together.
 *
 * X.pem or X.crt with X.key or X-key.pem; X.pem with both in it; and, one level deeper,
 * X/fullchain.pem with X/privkey.pem, as certbot lays them out. Symbolic links are followed, names
 * that begin with a dot are left out.
 */
#ifndef KAREZ_WIRE_TLS_DIR_H
#define KAREZ_WIRE_TLS_DIR_H

#include "base/util.h"

/* Pairs in one directory, and entries that are looked at to find them. */
#define TLS_DIR_MAX	    10000
#define TLS_DIR_ENTRIES_MAX (4 * TLS_DIR_MAX)

struct tls_dir_pair {
	char *cert_file,
		*key_file; /* owned; they may be the same file; key_file NULL: there is none */
	uint64_t stamp;	   /* changes when one of them does */
};

struct tls_dir {
	struct tls_dir_pair *pairs; /* owned; [n], by cert_file */
	size_t n;
	uint64_t stamp; /* of all together */
};

/*
 * Look the directory through; no file is opened.
 *   *out  empty before; to be freed in any case.
 *   why   [TLS_CONTEXT_WHY] set on failure.
 * Returns 0, ERR_NOTFOUND, ERR_DENIED, ERR_IO, ERR_TOOBIG (more than the above), ERR_NOMEM.
 */
int tls_dir_scan(const char *dir, struct tls_dir *out, char *why) MUST_CHECK;
void tls_dir_free(struct tls_dir *d);

/* What changes when the file behind a path does: its place, size and times; 0: it is not there. */
uint64_t tls_dir_stamp(const char *path);

/* One stamp of two, in this order. */
uint64_t tls_dir_mix(uint64_t a, uint64_t b);

#endif
