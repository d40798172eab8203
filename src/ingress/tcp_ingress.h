/*
 * The ingress for visitors whose bytes we do not understand: a port of their own, TLS that passes
 * through, or what was inside TLS that was ended here. A stream to the agent opens at once, so
 * either side may speak first; half-close passes both ways, and a reset becomes a reset.
 */
#ifndef KAREZ_INGRESS_TCP_INGRESS_H
#define KAREZ_INGRESS_TCP_INGRESS_H

#include "core/core.h"

/*
 * What a visitor has sent before the target says anything is kept, so that a session that refuses
 * can be replaced by the next one; what is longer than this is not.
 */
#define TCP_INGRESS_EARLY_MAX (16 * 1024)

struct tcp_ingress;

struct tcp_ingress_opt {
	struct core *core; /* borrowed: outlives the ingress */
	struct log *log;
	uint32_t idle_ms; /* a connection without a byte for so long is ended; 0: never */
};

int tcp_ingress_new(struct ev *ev, const struct tcp_ingress_opt *opt,
		    struct tcp_ingress **out) MUST_CHECK;

/* Who comes to which tunnel. All borrowed for the call. */
struct tcp_visitor {
	const struct visit *visit; /* ingress, tls, both ends, host, sni */
	const char *tunnel;	   /* its name */
	struct str first;	   /* what was read of the visitor already */
	struct str alpn;	   /* the one protocol agreed on, or offered; empty: unknown */
	const char *tls_version;   /* of TLS that was ended here; NULL */
	/* Another node has let it in, judged it and announced it: it looks after all that, and
	 * after its being idle; here it is only placed. */
	bool hopped;
	/* Told instead of breaking the connection when nobody serves the tunnel (ERR_NOSESSION,
	 * ...); the wire is the callee's then. NULL: the visitor sees a reset. */
	void (*refused)(void *arg, struct wire *w, int e);
	void *arg;
};

/* Serve a visitor; w is the ingress's from now on, whatever happens. */
void tcp_ingress_serve(struct tcp_ingress *in, struct wire *w, const struct tcp_visitor *v);

/* Visitors being served. */
size_t tcp_ingress_load(const struct tcp_ingress *in);

/* End all of them at once. NULL is allowed. */
void tcp_ingress_free(struct tcp_ingress *in);

#endif
