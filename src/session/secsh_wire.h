/*
 * A channel of SSH as a wire, for both sides. Private to session/secsh*.
 *
 * libssh keeps what a wire's owner does not read, so the window stays closed; what comes while the
 * owner reads is lent to it in place. SSH knows no reset: a wire that is closed for a reason ends
 * as one without. Source: RFC 4254 5 and 7.2.
 */
#ifndef KAREZ_SESSION_SECSH_WIRE_H
#define KAREZ_SESSION_SECSH_WIRE_H

#include "session/secsh_link.h"

/* Bytes handed to libssh in one write: three packets of the usual size. A write costs a poll() and
 * a send(), and what is written stands before what others say next: eight uploads cost 1.25 s/GiB
 * with two packets, 1.10 with three, 1.08 with four. */
#define SECSH_WRITE_MAX (3 * (32768 - 10))
/* What libssh holds of one channel at most, when the peer keeps to its window: 1,280,000 bytes of
 * window beside less than 640,000 that wait. More ends the session. */
#define SECSH_HELD_MAX (2 * 1024 * 1024)
/* Bytes of a stream that comes fast are delivered so many at a time, not by the packet: a visitor's
 * socket costs by the call. */
#define SECSH_GATHER	   (256 * 1024)
#define SECSH_LARGE_PACKET (16 * 1024)
/* A peer whose packets have to be smaller is refused: they would cost more than they carry. */
#define SECSH_PACKET_LEAST 512

/* What a forwarded-tcpip channel says: RFC 4254 7.2. Texts are NUL-terminated. */
struct secsh_wire_ends {
	const char *address; /* exactly as it was asked for */
	uint16_t port;	     /* where it listens */
	const char *origin;  /* the visitor */
	uint16_t origin_port;
};

/*
 * Open a channel to the peer. There is room when the peer has accepted; when it refuses, the wire
 * breaks with ERR_TARGET. Returns 0, ERR_LIMIT (SECSH_STREAMS_MAX), ERR_NOMEM, ERR_DRAIN (dead).
 */
int secsh_wire_open(struct secsh_link *l, const struct secsh_wire_ends *ends,
		    struct wire **out) MUST_CHECK;

/*
 * The peer asks for a channel: nothing is answered until the first write, wire_shut() or
 * secsh_wire_accept() accepts, or wire_close() refuses. Nothing can be read before.
 *   m  owned on success.
 * Returns 0, ERR_LIMIT, ERR_NOMEM.
 */
int secsh_wire_incoming(struct secsh_link *l, ssh_message m, struct wire **out) MUST_CHECK;

/*
 * The peer opens a channel for a person: accept it, or refuse. It is not counted as a stream.
 *   m  freed in any case.
 * Returns 0, ERR_LIMIT, ERR_NOMEM, ERR_DRAIN (dead).
 */
int secsh_wire_person(struct secsh_link *l, ssh_message m, struct wire **out) MUST_CHECK;

/* NULL when the session is dead, or the peer's wish is not answered yet. */
ssh_channel secsh_wire_channel(struct wire *w);

/* The peer has closed the channel, whether the wire's owner knows or not. */
bool secsh_wire_is_over(struct wire *w);

/* Harmless the second time, and on a wire that is broken. */
void secsh_wire_accept(struct wire *w);

/* For secsh_link.c. The pump has run: see who is open now, who may write, what is to be closed. */
void secsh_wire_turn(struct secsh_link *l);
/* There is no more to read for now: libssh's queue of messages is empty, so what both have closed
 * can be freed; and nothing waits for more. */
void secsh_wire_sweep(struct secsh_link *l);
/* The session ends: break all wires, free all channels. */
void secsh_wire_orphan(struct secsh_link *l, int why);

/* What is known of the size of the packets that a channel's peer takes; zeroed at first. */
struct secsh_proof {
	size_t bytes;	  /* a packet of that size has been sent; more than SECSH_PACKET_LEAST: no
			     matter */
	uintptr_t doubts; /* when that was so */
};

/* Before the first session: libssh's log is ours from now on, in this thread. */
void secsh_guard_start(void);

/*
 * Write on a channel whose peer may allow packets of no size, in which libssh would loop for ever:
 * see secsh_guard.c.
 *   data  as much of it is written as the window has room for.
 * Returns bytes written, or -1: the session is failed, or the channel is closed.
 */
int secsh_guard_write(struct secsh_link *l, ssh_channel ch, struct str data,
		      struct secsh_proof *proof) MUST_CHECK;

#endif
