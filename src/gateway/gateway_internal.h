/* What the files of the gateway share: private to gateway/. */
#ifndef KAREZ_GATEWAY_GATEWAY_INTERNAL_H
#define KAREZ_GATEWAY_GATEWAY_INTERNAL_H

#include "ev/log_pace.h"
#include "gateway/gateway.h"
#include "proto/http_write.h"
#include "session/mux.h"
#include "session/secsh_share.h"
#include "wire/tls_peer.h"

struct gateway {
	struct ev *ev;
	struct gateway_opt opt;
	struct mux_budget budget;
	struct secsh_share *share; /* owned; NULL without SSH */
	struct list sessions;	   /* of gateway_entry */
	struct list handshakes;	   /* of handshake */
	struct list starts;	   /* of gateway_ssh: those that have not logged in */
	size_t n_sessions, n_handshakes, n_starts;
	struct ev_timer recheck;
	size_t n_recheck;	  /* sessions whose certificate is still to be looked at */
	struct log_pace pace;	  /* of lines about logins that are refused */
	struct log_pace ssh_pace; /* of lines about what SSH clients ask for */
	struct buf nodes;	  /* the line about the nodes, as it was told last; empty: never */
	bool draining;
};

/* Are there as many sessions and logins as there may be? */
bool gateway_is_full(const struct gateway *g);

/* What is known of an agent before its session starts; a value. */
struct gateway_agent {
	struct core_agent agent;
	struct visit_end peer;
	struct access_who who;
	struct tls_peer *certificate; /* a reference; NULL: it is not what proves who they are */
};

/* ---- what all kinds of sessions have: gateway_entry.c ---- */

struct gateway_entry;

/* What is done in each kind's own way. */
struct gateway_kind {
	const char *logged; /* " kind=ssh", for the log; "": it goes without saying */
	/* Tell the peer why and end it. */
	void (*end)(struct gateway_entry *n, int why, struct str reason);
	/* It is to go elsewhere; until it has gone, visitors are served. */
	void (*drain)(struct gateway_entry *n);
	/* Say this control line. NULL: it has none. */
	void (*tell)(struct gateway_entry *n, struct str line);
	/* End it if its certificate is not good any more. */
	void (*recheck)(struct gateway_entry *n);
};

/* The head of each kind's struct. */
struct gateway_entry {
	struct list link;	 /* in gateway->sessions */
	struct gateway *gateway; /* borrowed: ends us before it goes */
	const struct gateway_kind *kind;
	struct session *session; /* owned; NULL when it has died */
	struct member *member;	 /* owned */
	struct gateway_agent who;
	uint64_t opened_ms;
	uint64_t number; /* of the member, for the log */
};

/* Its member has joined: it counts from now on. */
void gateway_entry_begin(struct gateway_entry *n);

/*
 * It counts no more, its member leaves; n->session, which the caller ends if it still lives, is
 * NULL afterwards.
 *   reason  as the peer, or we, said it; anything.
 */
void gateway_entry_finish(struct gateway_entry *n, int why, struct str reason);

/* The core does not let it join. */
void gateway_entry_log_refusal(const struct gateway_entry *n, int e);

/* All of them. */
void gateway_entry_drain_all(struct gateway *g);
void gateway_entry_end_all(struct gateway *g, int why, struct str reason);

void gateway_entry_tell_all(struct gateway *g, struct str line);

/* For gateway->recheck: see gateway_recheck(). */
void gateway_entry_on_recheck(void *arg);

/* ---- the other nodes: gateway_nodes.c ---- */

/* The fields of the answer to an agent that say where it is. */
void gateway_nodes_write(const struct gateway *g, struct http_writer *w);

/* What a session is told first: a control line; empty if there is nothing to say, or no memory.
 * The caller frees it. */
void gateway_nodes_line(const struct gateway *g, struct buf *out);

/* ---- sessions of karez: gateway_session.c ---- */

/*
 * Start a session on a wire whose upgrade has been answered.
 *   wire  taken over in any case.
 *   who   copied; the session takes its own reference to the certificate.
 */
void gateway_session_start(struct gateway *g, struct wire *wire, const struct gateway_agent *who);

/* ---- SSH: gateway_ssh.c ---- */

/* Whoever has not logged in yet is sent away. */
void gateway_ssh_end_starts(struct gateway *g, int why, struct str reason);

#endif
