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
	 * A visitor has come.
	 *   w       owned by the callee.
	 *   who     ingress and both ends; borrowed for the call.
	 *   tunnel  whose port it is; borrowed for the call.
	 */
	void (*accepted)(void *arg, struct wire *w, const struct visit *who, const char *tunnel);
	void *arg;
	struct log *log;
};

/* Returns 0, ERR_NOMEM, or ERR_INVAL: something in the list is no IP. */
int port_socket_new(struct ev *ev, const struct port_socket_opt *opt,
		    struct port_socket **out) MUST_CHECK;

/* What core_opt.ports is to be. */
void port_socket_ports(struct port_socket *ps, struct core_ports *out);

/* No visitor comes in any more, on any port, whatever the core says: the node is draining. */
void port_socket_stop(struct port_socket *ps);

/* All ports must have been given up. NULL is allowed. */
void port_socket_free(struct port_socket *ps);

#endif
