/* Keys and certificates for tests, made anew in a directory of their own. */
#ifndef KAREZ_UNIT_WIRE_TLS_CERTS_H
#define KAREZ_UNIT_WIRE_TLS_CERTS_H

#include "base/util.h"

#define TLS_CERTS_PATH 128

/* An authority, or somebody whom one has certified. */
struct tls_certs_row {
	const char *name;   /* of the files: <name>.pem and <name>.key */
	const char *issuer; /* an earlier row; NULL: signs itself */
	const char *names;  /* subjectAltName, "DNS:a.example,IP:127.0.0.1"; NULL: an authority */
	int from, to;	    /* years */
	bool rsa;	    /* its key is RSA, not ECDSA */
};

struct tls_certs {
	char dir[TLS_CERTS_PATH / 2];
};

/* Make the directory and every row's files; fails the test when it cannot. */
void tls_certs_make(struct tls_certs *c, const struct tls_certs_row *rows, size_t n);

/* "<dir>/<file>", into path, which is returned. */
char *tls_certs_path(const struct tls_certs *c, const char *file, char path[TLS_CERTS_PATH]);

/* Remove the directory with everything in it. */
void tls_certs_remove(struct tls_certs *c);

#endif
