/*
 * Nodes reach each other by sockets: TCP with TLS 1.3 by the cluster's key, and unix sockets
 * between processes of the same user on one machine.
 */
#ifndef KAREZ_CLUSTER_HOP_SOCKET_H
#define KAREZ_CLUSTER_HOP_SOCKET_H

#include "cluster/hop_net.h"

/* What is agreed on in the handshake (ALPN), and what the key is derived for. */
#define HOP_SOCKET_PROTOCOL "karez-hop/1"

extern const struct hop_net hop_socket;

#endif
