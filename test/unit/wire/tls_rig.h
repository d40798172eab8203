/* Two ends of TLS over memory wires on virtual time, and what each of them sees. */
#ifndef KAREZ_UNIT_WIRE_TLS_RIG_H
#define KAREZ_UNIT_WIRE_TLS_RIG_H

#include "base/log.h"
#include "unit/wire/tls_certs.h"
#include "wire/wire_tls.h"

struct tls_rig_end {
	struct wire *w;
	int why; /* it broke for; 0: it has not */
	char reason[320];
};

struct tls_rig {
	struct ev *ev;
	struct tls_rig_end client, server;
	struct wire *raw_server; /* borrowed: below server.w */
};

/* Begin a handshake on a loop of its own, or (ev not NULL) on that one, which stays the caller's.
 */
void tls_rig_open(struct tls_rig *r, struct tls_context *server, struct tls_context *client,
		  const char *host);
void tls_rig_open_on(struct tls_rig *r, struct ev *ev, struct tls_context *server,
		     struct tls_context *client, const char *host);

/* Close both ends; tls_rig_close() ends the loop as well. */
void tls_rig_hang_up(struct tls_rig *r);
void tls_rig_close(struct tls_rig *r);

/* Is a handshake for this name possible, so that the client finds the name in the certificate? */
bool tls_rig_works(struct tls_context *server, struct tls_context *client, const char *host);

/* A client that trusts <ca>.pem and shows <name>.pem; name NULL: it has none to show. */
struct tls_context *tls_rig_client(const struct tls_certs *certs, const char *ca, const char *name);

/* A log that keeps its lines. */
struct tls_rig_log {
	struct log log;
	char lines[8192];
	size_t len, n;
};
void tls_rig_log_init(struct tls_rig_log *l);

#endif
