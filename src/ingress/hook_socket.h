/* The hooks' net of sockets: TCP, with TLS where the URL says so. */
#ifndef KAREZ_INGRESS_HOOK_SOCKET_H
#define KAREZ_INGRESS_HOOK_SOCKET_H

#include "ingress/hook_net.h"

/*
 *   ca_file  PEM: who may vouch for an https hook; NULL: the system's authorities. Borrowed. They
 * are read when the first such hook is asked, so that nobody else pays for it. Returns 0 or
 * ERR_NOMEM.
 */
int hook_socket_new(struct ev *ev, const char *ca_file, struct hook_net **out) MUST_CHECK;

/* All its attempts must be over; its wires may live on. NULL is allowed. */
void hook_socket_free(struct hook_net *net);

#endif
