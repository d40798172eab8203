/* What the files of the gateway share: private to gateway/. */
#ifndef KAREZ_GATEWAY_GATEWAY_INTERNAL_H
#define KAREZ_GATEWAY_GATEWAY_INTERNAL_H

#include "ev/log_pace.h"
#include "gateway/gateway.h"
#include "session/mux.h"
#include "wire/tls_peer.h"

struct gateway {
	struct ev *ev;
	struct gateway_opt opt;
	struct mux_budget budget;
	struct list sessions;	/* of gateway_session */
	struct list handshakes; /* of handshake */
	size_t n_sessions, n_handshakes;
	struct ev_timer recheck;
	size_t n_recheck;     /* sessions whose certificate is still to be looked at */
	struct log_pace pace; /* of lines about logins that are refused */
	bool draining;
};

/* What is known of an agent before its session starts; a value. */
struct gateway_agent {
	struct core_agent agent;
	struct visit_end peer;
	struct access_who who;
	struct tls_peer *certificate; /* a reference; NULL: it is not what proves who they are */
};

struct gateway_session;

/*
 * Start a session on a wire whose upgrade has been answered.
 *   wire  taken over in any case.
 *   who   copied; the session takes its own reference to the certificate.
 */
void gateway_session_start(struct gateway *g, struct wire *wire, const struct gateway_agent *who);

/* Tell the agent why and end it. */
void gateway_session_end(struct gateway_session *s, int why, struct str reason);

/* End it if its certificate is not good any more. link: of the session, in gateway->sessions. */
void gateway_session_recheck(struct list *link);

/* All of them. */
void gateway_session_drain_all(struct gateway *g);
void gateway_session_end_all(struct gateway *g, int why, struct str reason);

#endif
