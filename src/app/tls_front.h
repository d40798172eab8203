/*
 * What stands behind a tls: address: the ClientHello decides (sni_ingress.h), and TLS that is ours
 * is ended here with the certificate for its name, for HTTP and for tls tunnels that want it so.
 */
#ifndef KAREZ_APP_TLS_FRONT_H
#define KAREZ_APP_TLS_FRONT_H

#include "ingress/tcp_ingress.h"
#include "wire/tls_context.h"

struct tls_front;

/* All that is borrowed outlives it. */
struct tls_front_opt {
	struct core *core;	 /* borrowed */
	struct tcp_ingress *tcp; /* borrowed */
	struct log *log;
	const char *domain, *api_host; /* normalised; borrowed */
	struct tls_context *tls;       /* borrowed: a server's */
	uint32_t handshake_ms;	       /* for the ClientHello, and for what follows it */
	/*
	 * Serve HTTP.
	 *   w    owned by the callee; TLS, whose handshake is under way.
	 *   who  both ends; borrowed for the call.
	 */
	void (*http)(void *arg, struct wire *w, const struct visit *who);
	void *arg;
};

int tls_front_new(struct ev *ev, const struct tls_front_opt *opt,
		  struct tls_front **out) MUST_CHECK;

/* Serve a visitor of whom nothing has been read.
 *   w    taken over.
 *   who  both ends; borrowed for the call. */
void tls_front_serve(struct tls_front *f, struct wire *w, const struct visit *who);

/* Visitors whose handshake is under way and who are counted nowhere else. */
size_t tls_front_load(const struct tls_front *f);

/* Ends those. NULL is allowed. */
void tls_front_free(struct tls_front *f);

#endif
