/*
 * The front of a TLS address: the ClientHello decides, before anything is decrypted, who goes on.
 */
#ifndef KAREZ_INGRESS_SNI_INGRESS_H
#define KAREZ_INGRESS_SNI_INGRESS_H

#include "ingress/tcp_ingress.h"
#include "proto/client_hello.h"

struct sni_ingress;

/* Bytes of ClientHellos that are not complete, of all visitors together. */
#define SNI_INGRESS_KEPT_MAX (64 * 1024 * 1024)

struct sni_ingress_opt {
	struct core *core;
	struct tcp_ingress *tcp; /* borrowed: outlives this */
	struct log *log;
	uint32_t hello_ms; /* for the ClientHello to be complete */
	size_t kept_max;   /* 0: SNI_INGRESS_KEPT_MAX */
	/* Do we end TLS for this name ourselves: is it ours, or have we a certificate for it? */
	bool (*is_ours)(void *arg, struct str sni);
	/* End TLS and serve what is inside: an http visitor (tunnel NULL), or one of this tls
	 * tunnel. The wire is the callee's; the ClientHello is to be read from it again. */
	void (*end_tls)(void *arg, struct wire *w, const struct visit *who, const char *tunnel);
	void *arg;
};

int sni_ingress_new(struct ev *ev, const struct sni_ingress_opt *opt,
		    struct sni_ingress **out) MUST_CHECK;

/*
 * Read the ClientHello of a visitor, and send it where it belongs: a tls tunnel whose TLS passes
 * through, end_tls(), or away, with the alert unrecognized_name.
 *   w    taken over; wire_restore() must be known to it.
 *   who  both ends; borrowed for the call.
 */
void sni_ingress_serve(struct sni_ingress *in, struct wire *w, const struct visit *who);

/*
 * Refuse somebody who speaks TLS, or is to: one alert in clear, and the end.
 *   w  taken over; nothing was written to it.
 */
void sni_ingress_alert(struct wire *w, enum client_hello_alert alert);

/* Visitors whose ClientHello is not complete. */
size_t sni_ingress_load(const struct sni_ingress *in);
void sni_ingress_free(struct sni_ingress *in);

#endif
