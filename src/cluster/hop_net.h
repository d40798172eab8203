/*
 * How nodes reach each other with streams: sockets (hop_socket.h), or a simulated network. An
 * interface, so that whole clusters also run on memory wires and virtual time.
 */
#ifndef KAREZ_CLUSTER_HOP_NET_H
#define KAREZ_CLUSTER_HOP_NET_H

#include "net/net_addr.h"
#include "wire/wire.h"

/* One node's end of the net; each kind has its own. */
struct hop_end;

/* One attempt under way; each kind has its own. */
struct hop_dial;

struct hop_end_opt {
	struct log *log;    /* borrowed, as all here */
	const char *self;   /* our id: what we say to those whom we dial */
	const uint8_t *key; /* [ROSTER_KEY_LEN]; NULL: only this machine is reached */
	/*
	 * Somebody has connected.
	 *   w     owned by the callee. It may turn out to be broken: nothing is proven before there
	 *         is something to read.
	 *   peer  whence, to be shown; borrowed for the call.
	 */
	void (*accepted)(void *arg, struct wire *w, const char *peer);
	/* Somebody was turned away: e says why. */
	void (*refused)(void *arg, const char *peer, int e);
	void *arg;
};

struct hop_dial_opt {
	const char *addr; /* "IP:PORT", or (local) the path of a socket; copied */
	bool local;
	uint32_t timeout_ms;
	/*
	 * Told exactly once, never before dial() returns; the attempt is gone afterwards.
	 *   e  0 and a wire that the callee owns, whose handshake may still run; or why not, and
	 *      NULL.
	 */
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

/* A kind of net: a constant table. */
struct hop_net {
	/* Returns 0, ERR_NOMEM, ERR_TLS (the key cannot be used). */
	int (*open)(const struct hop_net *net, struct ev *ev, const struct hop_end_opt *opt,
		    struct hop_end **out);
};

struct hop_end_ops {
	int (*listen)(struct hop_end *end, const struct net_addr *addr, uint16_t *port);
	int (*listen_local)(struct hop_end *end, const char *path);
	int (*dial)(struct hop_end *end, const struct hop_dial_opt *opt, struct hop_dial **out);
	void (*cancel)(struct hop_dial *d);
	const char *(*name)(struct hop_end *end, const struct wire *w);
	const char *(*explain)(struct hop_end *end, const struct wire *w);
	void (*close)(struct hop_end *end);
};

/* The head of every kind. */
struct hop_end {
	const struct hop_end_ops *ops;
};

/* See hop_listen(). */
MUST_CHECK
static inline int hop_end_listen(struct hop_end *end, const struct net_addr *addr, uint16_t *port)
{
	return end->ops->listen(end, addr, port);
}

MUST_CHECK
static inline int hop_end_listen_local(struct hop_end *end, const char *path)
{
	return end->ops->listen_local(end, path);
}

/* Returns 0, ERR_NOMEM, or ERR_INVAL (not such an address, or there is no key for it); every other
 * failure comes through done(). */
MUST_CHECK
static inline int hop_end_dial(struct hop_end *end, const struct hop_dial_opt *opt,
			       struct hop_dial **out)
{
	return end->ops->dial(end, opt, out);
}

/* done() is not called any more. NULL is allowed. */
static inline void hop_end_cancel(struct hop_end *end, struct hop_dial *d)
{
	if (d != NULL)
		end->ops->cancel(d);
}

/*
 * The id that whoever has dialled us has said while he proved that he has the key.
 *   w  was accepted, and something could be read from it.
 * Returns a NUL-terminated text that lives as long as the wire; "": no id comes with the proof.
 */
static inline const char *hop_end_name(struct hop_end *end, const struct wire *w)
{
	return end->ops->name(end, w);
}

/* Why a wire of this net is broken, beyond its ERR_*; "" if there is no more to say. Lives as long
 * as the wire. */
static inline const char *hop_end_explain(struct hop_end *end, const struct wire *w)
{
	return end->ops->explain(end, w);
}

/* Nobody is accepted any more. All its attempts must be over; its wires live on. NULL is allowed.
 */
static inline void hop_end_close(struct hop_end *end)
{
	if (end != NULL)
		end->ops->close(end);
}

#endif
