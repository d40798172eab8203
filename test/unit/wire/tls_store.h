/* A directory of certificates by name, as --tls-dir has one, that tests fill and change. */
#ifndef KAREZ_UNIT_WIRE_TLS_STORE_H
#define KAREZ_UNIT_WIRE_TLS_STORE_H

#include "unit/wire/tls_rig.h"

struct tls_store {
	const struct tls_certs *certs; /* where files are copied from */
	char dir[TLS_CERTS_PATH];
};

void tls_store_make(struct tls_store *s, const struct tls_certs *certs);
void tls_store_remove(struct tls_store *s);

/* Copy a file of the certificates; the new one takes the place of an old one at once. `to` may be
 * in a directory, "live/fullchain.pem", which is made. */
void tls_store_put(struct tls_store *s, const char *from, const char *to);
/* The same with two files behind each other. */
void tls_store_put_both(struct tls_store *s, const char *from, const char *then, const char *to);
void tls_store_write(struct tls_store *s, const char *to, const char *text);
void tls_store_drop(struct tls_store *s, const char *file);

/* A server with these certificates and, unless it is NULL, a default one. */
struct tls_context *tls_store_server(struct tls_store *s, const char *fallback, struct log *log);

#endif
