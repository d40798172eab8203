/*
 * The agent's net of sockets: TCP and unix, with TLS where the URL says so, and through a proxy to
 * the server where there is one. Targets are never reached through the proxy.
 */
#ifndef KAREZ_AGENT_AGENT_SOCKET_H
#define KAREZ_AGENT_AGENT_SOCKET_H

#include "agent/agent_net.h"
#include "proto/http_proxy.h"
#include "wire/tls_context.h"

struct agent_socket_opt {
	const char *ca_file; /* PEM: who may vouch for the server; NULL: the system's authorities */
	/* The server's key, whoever vouches for it; copied. NULL or none in it: not asked for. */
	const struct key_pins *pins;
	/* PEM: what proves to the server who we are; NULL: nothing does; cert_file is copied. */
	const char *cert_file, *key_file;
	bool server_tls; /* the server is reached over TLS */
	bool target_tls; /* so is some target */
	const char
		*target_ca_file; /* PEM: who may vouch for those; NULL: the system's authorities */
	bool target_insecure;	 /* any certificate of a target will do */
	const struct http_proxy *proxy; /* on the way to the server; copied; NULL: there is none */
	/* PEM: who may vouch for an https proxy; NULL: the system's authorities. */
	const char *proxy_ca_file;
};

/*
 *   why  [TLS_CONTEXT_WHY] set on failure to a sentence for a person.
 * Returns 0, ERR_NOMEM, or what tls_context_new_client() returns.
 */
int agent_socket_new(struct ev *ev, const struct agent_socket_opt *opt, struct agent_net **out,
		     char *why) MUST_CHECK;

/* The name in our own certificate, "TestClient1@example.org"; "" when there is none. Lives as long
 * as the net. */
const char *agent_socket_own_name(const struct agent_net *net);

/* All its attempts must be over; its wires may live on. NULL is allowed. */
void agent_socket_free(struct agent_net *net);

#endif
