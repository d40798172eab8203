/*
 * Workers of one machine hand each other descriptors: connections of which nothing has been read
 * (or only a PROXY header), to the worker that has the session for them; and listening sockets of
 * ports, when a worker goes that had them.
 *
 * Each worker listens at <dir>/<its id>.pass. What cannot be handed on at once, because the other
 * one is not there or does not read, stays with whoever has it, who serves it by a hop. What was
 * handed on is not handed on again.
 */
#ifndef KAREZ_CLUSTER_PASS_H
#define KAREZ_CLUSTER_PASS_H

#include "ev/ev.h"
#include "proto/visit.h"

struct pass;

/* Connections to other workers, and of other workers, at most each: all of two generations. */
#define PASS_PEERS_MAX 160

/* Which door somebody has come through. */
enum pass_kind {
	PASS_HTTP,   /* HTTP/1 in clear */
	PASS_TLS,    /* a ClientHello is the first that is read */
	PASS_PORT,   /* of a tcp tunnel */
	PASS_LISTEN, /* nobody: it is a listening socket of that tunnel's port */
	PASS_DOORS,
};

/* A value. */
struct pass_visitor {
	enum pass_kind door;
	bool tls;		       /* a proxy in front has ended TLS */
	struct visit_end peer, local;  /* PASS_LISTEN: local is what it listens on */
	char tunnel[HOSTNAME_MAX + 1]; /* PASS_PORT and PASS_LISTEN: whose port it is; else "" */
};

struct pass_opt {
	const char *dir;  /* NUL-terminated; nobody but our user can enter it; copied */
	const char *self; /* our id; copied */
	struct log *log;  /* borrowed: the process's */
	/*
	 * Another worker hands one over.
	 *   fd  the callee's: non-blocking, of the kind that v->door says.
	 *   v   borrowed for the call.
	 */
	void (*taken)(void *arg, int fd, const struct pass_visitor *v);
	void *arg;
};

/* Begin to listen. Returns 0, ERR_TOOBIG or ERR_INVAL (dir, self), ERR_NOMEM, or what
 * net_fd_listen() says. */
int pass_new(struct ev *ev, const struct pass_opt *opt, struct pass **out) MUST_CHECK;

/*
 * Hand one over.
 *   id  another worker's.
 *   fd  on success it is closed here, and goes on there; else it is the caller's as before. The
 *       loop does not watch it.
 * Returns 0, or why it stays: ERR_INVAL (id, v), ERR_REFUSED, ERR_AGAIN, ERR_LIMIT,
 * ERR_NOMEM, and others.
 */
int pass_to(struct pass *p, const char *id, int fd, const struct pass_visitor *v) MUST_CHECK;

/* What has come before is taken first, taken() is called for it. NULL is allowed. */
void pass_free(struct pass *p);

#endif
