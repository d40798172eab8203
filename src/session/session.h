/*
 * A session: one authenticated connection of an agent to one node, which opens wires to that agent.
 *
 * The node's side opens a stream for each visit; the agent's side is told of it. Both sides may
 * send short lines of control text to each other, may drain and may close with a reason that the
 * other side learns.
 *
 * An agent that drains takes no new streams. A node that drains asks its agents to connect
 * elsewhere, and goes on opening streams until the session ends: a visitor who comes before the
 * agent is elsewhere, or who came to this node before it had heard of that, is served all the same.
 */
#ifndef KAREZ_SESSION_SESSION_H
#define KAREZ_SESSION_SESSION_H

#include "proto/visit.h"
#include "wire/wire.h"

/* Bytes of one control line, and of the reason in a close. */
#define SESSION_LINE_MAX   65536
#define SESSION_REASON_MAX 512

struct session;

struct session_owner {
	/*
	 * Agent only: a visitor wants this visit served.
	 *   visit  borrowed for the call.
	 *   w      owned by the callee; readable at once; wire_close(w, ERR_*) tells the node why
	 * not.
	 */
	void (*visit)(void *arg, struct session *s, const struct visit *visit, struct wire *w);
	/* A control line came, without its newline. */
	void (*told)(void *arg, struct session *s, struct str line);
	/* The peer goes. Agent: it should connect elsewhere, streams may still come. Node: the
	 * agent takes no more streams; running ones finish. */
	void (*draining)(void *arg, struct session *s);
	/*
	 * The session is dead, all its streams are broken; it is freed after this call.
	 *   why     an ERR_*; ERR_EOF when the peer went without a word.
	 *   reason  the peer's words for it, may be empty; control characters are possible.
	 */
	void (*closed)(void *arg, struct session *s, int why, struct str reason);
};

struct session_ops {
	int (*open)(struct session *s, const struct visit *visit, struct wire **out);
	int (*tell)(struct session *s, struct str line);
	void (*ping)(struct session *s, uint32_t deadline_ms);
	void (*drain)(struct session *s);
	void (*close)(struct session *s, int why, struct str reason);
};

/* The head of every kind of session. */
struct session {
	const struct session_ops *ops;
	struct ev *ev;
	const struct session_owner *owner; /* borrowed: static tables */
	void *arg;
	size_t n_streams; /* running now: the load */
	uint64_t rtt_us;  /* the shortest round trip of the last minute, 0: not measured yet */
	/* The shortest one of this epoch, of the epoch before, and when this one began: see
	 * session_note_rtt(). */
	uint64_t rtt_min_us, rtt_prev_us, rtt_epoch_ms;
	uint64_t asked_ms; /* when the oldest ping without an answer was sent; 0: none is */
	uint64_t heard_ms; /* when the peer was last heard */
	bool is_draining;  /* nothing new can be opened: open() refuses */
	bool is_leaving;   /* the agent was asked to go elsewhere; open() works until it ends */
	uint64_t moved;	   /* bytes, fading: see session_lately() */
	uint64_t moved_ms; /* when moved was last brought up to date */
};

/* Half of what was moved is forgotten after so many milliseconds. */
#define SESSION_FADE_MS 16

/* Bytes moved within about the last SESSION_FADE_MS, older ones counting ever less. */
static inline uint64_t session_lately(const struct session *s)
{
	uint64_t halvings = (ev_now_ms(s->ev) - s->moved_ms) / SESSION_FADE_MS;

	return halvings > 63 ? 0 : s->moved >> halvings;
}

/*
 * A session that was silent for SESSION_QUIET_MS is pinged when somebody wants to use it; a ping
 * without an answer, and without any other word from the peer, for SESSION_LATE_MS and four round
 * trips makes it late: others go first.
 */
#define SESSION_QUIET_MS 1000
#define SESSION_LATE_MS	 250

static inline bool session_is_late(const struct session *s)
{
	uint64_t since = MAX(s->asked_ms, s->heard_ms);

	/* whoever answers a queue of data before it comes to the ping is busy, not late */
	return s->asked_ms != 0 &&
	       ev_now_ms(s->ev) - since > SESSION_LATE_MS + 4 * s->rtt_us / 1000;
}

/* The shortest round trip is forgotten after one to two of these, in case the path has changed. */
#define SESSION_RTT_EPOCH_MS 60000

/* For kinds of sessions: a round trip took so long, > 0. */
static inline void session_note_rtt(struct session *s, uint64_t rtt_us)
{
	uint64_t now = ev_now_ms(s->ev);

	if (now - s->rtt_epoch_ms > SESSION_RTT_EPOCH_MS) {
		s->rtt_epoch_ms = now;
		s->rtt_prev_us = s->rtt_min_us;
		s->rtt_min_us = rtt_us;
	}
	if (s->rtt_min_us == 0 || rtt_us < s->rtt_min_us)
		s->rtt_min_us = rtt_us;
	s->rtt_us = s->rtt_min_us;
	if (s->rtt_prev_us != 0 && s->rtt_prev_us < s->rtt_us)
		s->rtt_us = s->rtt_prev_us;
}

/* For kinds of sessions: so many bytes were carried. */
static inline void session_count(struct session *s, size_t n)
{
	uint64_t now = ev_now_ms(s->ev);

	if (now - s->moved_ms >= SESSION_FADE_MS) {
		s->moved = session_lately(s);
		s->moved_ms = now;
	}
	s->moved += n;
}

/*
 * Open a stream for a visit. There is no round trip: write at once; if the agent refuses, the wire
 * breaks with its reason. *out  owned by the caller. Returns 0, ERR_DRAIN, ERR_LIMIT (streams),
 * ERR_NOMEM, ERR_INVAL (the visit cannot be written down).
 */
static inline int session_open(struct session *s, const struct visit *visit, struct wire **out)
{
	return s->ops->open(s, visit, out);
}

/*
 * Send a control line.
 *   line  no newline in it, at most SESSION_LINE_MAX bytes; copied.
 * Returns 0, ERR_TOOBIG, ERR_LIMIT (the peer does not read), ERR_UNSUPPORTED (this kind has no
 * lines).
 */
static inline int session_tell(struct session *s, struct str line)
{
	return s->ops->tell(s, line);
}

/*
 * Ask for a sign of life now.
 *   deadline_ms  none within that is death (ERR_DEAD); it never puts off an earlier one. 0: silence
 *                is death when it always is.
 */
static inline void session_ping(struct session *s, uint32_t deadline_ms)
{
	s->ops->ping(s, deadline_ms);
}

/* Agent: take no new streams. Node: ask the agent to go elsewhere, and go on; harmless when it was
 * asked before. */
static inline void session_drain(struct session *s)
{
	s->ops->drain(s);
}

/*
 * End it: streams break with ERR_CLOSED, the peer learns why and reason if it can still be told.
 * closed() is not called. NULL is allowed.
 */
static inline void session_close(struct session *s, int why, struct str reason)
{
	if (s != NULL)
		s->ops->close(s, why, reason);
}

#endif
