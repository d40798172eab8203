/*
 * Ports of tcp tunnels as listening sockets: see struct core_ports. A port that refuses is bound,
 * so that nobody else takes it, and does not listen.
 */
#ifndef KAREZ_INGRESS_PORT_SOCKET_H
#define KAREZ_INGRESS_PORT_SOCKET_H

#include "core/core.h"
#include "ingress/proxy_reader.h"

struct port_socket;

/* Addresses that one port listens on, at most. */
#define PORT_SOCKET_ADDRESSES_MAX 8

struct port_socket_opt {
	/* [n_bind] IPs that tunnels may listen on, and all of them are meant by ""; with an empty
	 * list, or one with "*", any address of this machine is allowed, and all are meant.
	 * Borrowed. */
	const char *const *bind;
	size_t n_bind;
	/* Every visitor begins with a PROXY header; borrowed: outlives this. NULL: none does. */
	struct proxy_reader *proxy;
	/*
	 * A visitor has come: is he another worker's? NULL: nobody is. Not asked with `proxy`.
	 *   fd  taken over if so; nothing was read from it.
	 * v and tunnel as below.
	 */
	bool (*elsewhere)(void *arg, int fd, const struct proxy_visitor *v, const char *tunnel);
	/*
	 * We stop: may another worker go on with this listening socket?
	 *   fd  a copy; taken over if so, and port_socket_adopt() is for it there.
	 * NULL: nobody may.
	 */
	bool (*hand_over)(void *arg, int fd, const char *tunnel);
	void *elsewhere_arg; /* of both */
	/* A file that workers of one machine have in common, NUL-terminated; borrowed for the call.
	 * A port that one of them has is taken by others as well, and has no socket there until it
	 * is given up: visitors come to one worker, who hands them on. NULL: no workers. */
	const char *claims;
	/*
	 * A visitor has come.
	 *   w       owned by the callee.
	 *   who     ingress and both ends; borrowed for the call.
	 *   tunnel  whose port it is; borrowed for the call.
	 */
	void (*accepted)(void *arg, struct wire *w, const struct visit *who, const char *tunnel);
	void *arg;
	struct log *log;
};

/* Returns 0, ERR_NOMEM, ERR_INVAL: something in the list is no IP; or what net_claim_open() says.
 */
int port_socket_new(struct ev *ev, const struct port_socket_opt *opt,
		    struct port_socket **out) MUST_CHECK;

/* What core_opt.ports is to be. */
void port_socket_ports(struct port_socket *ps, struct core_ports *out);

/*
 * Go on with a listening socket that another worker has given up.
 *   fd  taken over; closed when its port is not waited for here.
 */
void port_socket_adopt(struct port_socket *ps, int fd);

/*
 * No port is found by new visitors any more, whatever the core says: the node is draining. Who had
 * begun to connect comes in still. Of a port of which another worker has got some sockets, but not
 * all, the others stay open as long as we live: there it would be found by nobody meanwhile.
 */
void port_socket_stop(struct port_socket *ps);

/* All ports must have been given up. NULL is allowed. */
void port_socket_free(struct port_socket *ps);

#endif
