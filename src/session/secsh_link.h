/*
 * One libssh session in the loop: what the node's and the agent's side of SSH share. Private to
 * session/secsh*.
 *
 * libssh works by its queue mode: no server callbacks, no message callback. ssh_message_get() on a
 * non-blocking session reads one piece of at most 4096 bytes, handles the packets in it, and hands
 * out what the peer asks for. Any other call that sends (write, open, close) may handle packets,
 * too; what it finds then is only noted, and told from the pump, which runs when the descriptor is
 * ready or, after secsh_link_soon(), at the end of the turn.
 *
 * Rules for whoever calls libssh on l->ssh itself
 * - No ssh_channel_free(): messages in libssh's queue point to channels. secsh_wire.h has what
 * every channel needs, one for a person too.
 * - Never a message callback, server callbacks, ssh_set_fd_towrite(), a blocking session.
 * - After any call that may have sent or read, outside of message() and turn(): secsh_link_soon().
 */
#ifndef KAREZ_SESSION_SECSH_LINK_H
#define KAREZ_SESSION_SECSH_LINK_H

#define SSH_SUPPRESS_DEPRECATED /* the queue mode's getters: nothing has replaced them */
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#include "session/secsh_node.h"
#include "session/secsh_share.h"
#include "session/session.h"

/* Pieces of 4096 bytes, and packets, that one session handles before others have a say. */
#define SECSH_PIECES  64
#define SECSH_PACKETS 1024
/* Packets without payload that a peer may send while it does not read our answers to them. */
#define SECSH_UNREAD_ANSWERS 16384
/* What all wires of a session may hold unread. Above it the ones that hold most are reset: a
 * window, once given, cannot be taken back. */
#define SECSH_HELD_TOTAL (128 * 1024 * 1024)
/* The same with what those hold of which the peer has not confirmed the end; more ends the session.
 */
#define SECSH_HELD_MOST (SECSH_HELD_TOTAL + SECSH_HELD_TOTAL / 4)
/* Opening channels, or writers, that are looked at in one turn; and opening channels that libssh is
 * asked about, which costs a system call each. */
#define SECSH_LOOKS  256
#define SECSH_PROBES 32
/* A key exchange that lasts longer is death. */
#define SECSH_REKEY_MS 30000
/* What an exchange costs that was not measured: it has begun within a write. */
#define SECSH_EXCHANGE_NS 500000
/* A peer that leaves our wish for a channel without an answer for so long has not got the visitor.
 */
#define SECSH_OPEN_MS 30000
/* One that holds more than its part of what all may hold, and does not take back what it was told
 * to, has so long. */
#define SECSH_EXCESS_MS 5000

struct secsh_link_owner {
	/*
	 * The peer asks for something. Answer it by libssh's calls, or by secsh_link_refuse(), and
	 * free it by ssh_message_free(), now or later; if it is about a channel: now.
	 */
	void (*message)(void *arg, ssh_message m);
	/* Packets have been handled, or secsh_link_soon() asked for it: go on with whatever waits
	 * for the peer. The session may be failed in it, not closed. */
	void (*turn)(void *arg);
	/* The end, by failing or by closing: free what you hold, messages too, close your wires. */
	void (*release)(void *arg);
	/* The session has failed, after release(); not told after secsh_link_close(). l is freed at
	 * the end of the turn. As session_owner.closed has it. */
	void (*closed)(void *arg, int why, struct str reason);
};

/* The first member of the session of either side, whose memory is the link's from start on. */
struct secsh_link {
	struct session session; /* first: the two are the same pointer */
	const struct secsh_link_owner *owner;
	void *arg;
	ssh_session ssh; /* owned */
	int fd;		 /* owned: the connection once more, since libssh closes its own at will */
	struct ev_io *io;
	struct ev_task soon, teardown, uncork;
	struct ev_timer alive;
	struct ssh_counter_struct socket, raw; /* libssh counts bytes and packets here */
	struct ssh_callbacks_struct callbacks; /* for exchanges of keys, on the node's side */
	struct secsh_part part;

	struct list wires;     /* that have an owner */
	struct list opening;   /* not confirmed yet; some may be without an owner */
	struct list writers;   /* want WIRE_WRITE */
	struct list closing;   /* without an owner, to be closed now */
	struct list leaving;   /* closed by us; gone when the peer has closed, too */
	struct list gone;      /* closed by both, or never open: to be freed */
	struct list gathering; /* have bytes that wait for more, while there is more to be read */
	size_t n_channels;     /* in all of these */
	size_t n_opening, n_writers;
	size_t opening_left, probes_left, writers_left; /* still to be looked at */
	size_t held;					/* bytes that wires have not read */
	size_t held_going;				/* of these, in channels that end */
	uint64_t excess_ms; /* since when these are more than its part; 0: they are not */
	char denied[64];    /* the last refusal that was looked into */

	uint64_t seen_bytes, seen_packets;    /* of the counters, when last looked at */
	uint64_t n_answered;		      /* packets since the peer last read all we sent */
	uint64_t rekey_ms;		      /* since when libssh takes no data; 0: it does */
	uint64_t n_exchanges, seen_exchanges; /* of keys; that were accounted for */
	bool exchanging;		      /* the peer has begun one */
	bool stalled;			      /* it took none, and nothing has come since */
	uint64_t ping_deadline_ms;	      /* 0: none */
	uint64_t ping_ns;		      /* when the ping that is out was sent; 0: none is */
	unsigned n_sends;		      /* announced in this turn: see secsh_link_cork() */
	bool asking; /* set by the owner: a global request of its own is out, send no ping */

	int wants;	   /* of io */
	bool by_hand;	   /* turn() drives libssh */
	bool paused;	   /* nothing is read */
	bool up;	   /* silence is death */
	bool in_pump;	   /* within the pump */
	bool in_get;	   /* within ssh_message_get() of the pump: callbacks may deliver */
	bool dead;	   /* to be torn down at the end of the turn */
	bool closing_soon; /* closed by its owner from within the pump */
	int why;
	char reason[SESSION_REASON_MAX + 1];
	size_t reason_len;
};

static inline struct secsh_link *secsh_link_of(struct session *s)
{
	return (struct secsh_link *)s;
}

/*
 * Begin.
 *   l    zeroed, from calloc, first in its owner's struct; freed by the link from now on.
 *   ssh  owned; made non-blocking here.
 * l->session.ops is the caller's to set.
 */
void secsh_link_start(struct secsh_link *l, struct ev *ev, ssh_session ssh,
		      const struct secsh_link_owner *owner, void *arg);

/* It is one of a node's sessions: from now on it keeps to its part. share: may be NULL. */
void secsh_link_join(struct secsh_link *l, struct secsh_share *share);

/* What follows start has failed: free l and all it has, at once and without a word to anybody. */
void secsh_link_undo(struct secsh_link *l);

/*
 * This connected descriptor, non-blocking, is the one that libssh uses: watch it from now on.
 *   fd  stays libssh's.
 * Returns 0, ERR_NOMEM, ERR_NOFILE or an error of the kernel; the session may be closed then.
 */
int secsh_link_watch(struct secsh_link *l, int fd) MUST_CHECK;

/* true: only turn() is called when the descriptor is ready, for ssh_connect() and ssh_userauth_*();
 * false, as at first: the link pumps. */
void secsh_link_by_hand(struct secsh_link *l, bool by_hand);

/* Read nothing (true) while an answer is awaited without which the next message makes no sense. */
void secsh_link_pause(struct secsh_link *l, bool paused);

/* The peer has been admitted, or has admitted us: from now on silence is death, and pings go out.
 */
void secsh_link_up(struct secsh_link *l);

/* Pump at the end of this turn. */
void secsh_link_soon(struct secsh_link *l);

/*
 * libssh is about to send. It hands every packet to the kernel at once, which makes a segment of
 * each: so from the second of a turn on they wait, and leave together when it ends.
 */
void secsh_link_cork(struct secsh_link *l);

/* libssh was called outside of the pump: see what it has done meanwhile. */
void secsh_link_touch(struct secsh_link *l);

/* Does libssh still hold bytes that the connection does not take? Nothing more is handed to it. */
bool secsh_link_is_blocked(const struct secsh_link *l);

/* May a global request of the owner's be sent now? libssh has one out at a time, and a ping is one.
 * When not: turn() comes when it may. */
bool secsh_link_may_ask(const struct secsh_link *l);

/* Refuse and free a message, whatever it is about. */
void secsh_link_refuse(struct secsh_link *l, ssh_message m);

/*
 * It is dead: release() and closed() follow at the end of the turn.
 *   why     ERR_PROTO, ERR_LIMIT, ERR_AUTH, ERR_DRAIN...: the peer is told reason, if it can be.
 *   reason  any bytes, cut at SESSION_REASON_MAX; empty: what libssh knows.
 * The first call counts.
 */
void secsh_link_fail(struct secsh_link *l, int why, struct str reason);

/* For session_ops: as session.h has them. drain: an agent's. close: release() is called, closed()
 * is not. */
void secsh_link_ping(struct session *s, uint32_t deadline_ms);
void secsh_link_drain(struct session *s);
int secsh_link_tell(struct session *s, struct str line);
void secsh_link_close(struct session *s, int why, struct str reason);

#endif
