/*
 * A session over one wire by HTTP/2 with the roles reversed: the agent dialled, yet the node speaks
 * as the HTTP/2 client and the agent as the server, so every visitor is one CONNECT stream.
 *
 * Source: RFC 9113; the idea of draft-bt-httpbis-reverse-http. What it adds: see doc/mux.md.
 */
#ifndef KAREZ_SESSION_MUX_H
#define KAREZ_SESSION_MUX_H

#include "session/session.h"

/* Running streams of one session, at most. */
#define MUX_STREAMS_MAX 16384

/* What a stream may have under way before it has proved to be fast, and what a fast one gets at
 * least. */
#define MUX_WINDOW_FIRST (256 * 1024)
#define MUX_WINDOW_FAST	 (1024 * 1024)
/* What one stream, and all streams of a session, may have under way at most. */
#define MUX_WINDOW_MAX	 (16 * 1024 * 1024)
#define MUX_WINDOW_TOTAL (64 * 1024 * 1024)

/* A ping is sent after this much silence; this much silence is death. */
#define MUX_PING_MS 5000
#define MUX_DEAD_MS 15000

/* What all sessions of a process may hold above MUX_WINDOW_FIRST a stream. A value that the process
 * owns. */
struct mux_budget {
	uint64_t cap, used; /* bytes */
};

enum mux_role {
	MUX_NODE,  /* opens streams: the HTTP/2 client */
	MUX_AGENT, /* serves them: the HTTP/2 server */
};

#define MUX_WHOLE_REST_MS 100

struct mux_opt {
	enum mux_role role;
	/*
	 * Its streams have much to send, by a short way: one that has sent MUX_WINDOW_FIRST takes
	 * nothing while the carrier is blocked, and then as much as that takes at once. Others hand
	 * in small pieces meanwhile, so that each has some on the way as soon as there is one. Who
	 * has sent nothing for MUX_WHOLE_REST_MS, for want of bytes or of room, is one of them.
	 */
	bool whole;
	struct mux_budget *budget; /* borrowed: outlives every session */
	const struct session_owner *owner;
	void *arg;
};

/*
 * Start a session on a wire whose other end starts one, too.
 *   carrier  owned by the session on success, untouched on failure.
 * Returns 0 or ERR_NOMEM.
 */
int mux_new(struct ev *ev, struct wire *carrier, const struct mux_opt *opt,
	    struct session **out) MUST_CHECK;

#endif
