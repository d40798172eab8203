/* What the files of the mux share: private to session/mux*. */
#ifndef KAREZ_SESSION_MUX_INTERNAL_H
#define KAREZ_SESSION_MUX_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "session/lines.h"
#include "session/mux.h"
#include "session/mux_queue.h"

/* DATA payload: large while one stream sends alone, small when several share (head-of-line). */
#define MUX_FRAME_ALONE	 (256 * 1024)
#define MUX_FRAME_SHARED (32 * 1024)
#define MUX_FRAME_LEAST	 (16 * 1024)

/* Bytes handed to the carrier in one write, about. */
#define MUX_GATHER (512 * 1024)

/* Bytes a stream may queue for sending; less while the carrier is blocked. */
#define MUX_TX_CAP	   (512 * 1024)
#define MUX_TX_CAP_BLOCKED (16 * 1024)

/* Left of the carrier's room for frame heads and control frames. */
#define MUX_FRAMING 4096

/* A write of so much goes to the carrier at once, without being copied. */
#define MUX_WRITE_THROUGH (16 * 1024)

/* Bytes read from the carrier before others have a say. */
#define MUX_READ (256 * 1024)

/* A closed stream may take so long to deliver what it had taken. */
#define MUX_LINGER_MS 30000

/* Our range of HTTP/2 error codes: this plus an ERR_* number. */
#define MUX_CODE 0x4b5a0000u

/* One turn's frames on their way to the carrier; lives on the stack of mux_flush(). */
struct mux_gather {
	struct iovec iov[64];
	int n_iov;
	size_t len;
	size_t max; /* enough: MUX_GATHER, or what the carrier takes at once */
	size_t text_len;
	char text[8 * 1024]; /* frame heads and control frames */
};

struct mux_stream {
	struct wire wire;   /* first: the two are the same pointer */
	struct mux *mux;    /* weak: NULL when the session is dead */
	struct list link;   /* in mux->streams */
	struct list framed; /* in mux->framed while this flush has used bytes of tx or direct */
	struct list writer; /* in mux->writers while its owner wants WIRE_WRITE */
	struct ev_task tell;
	int32_t id;
	int wanted;
	int why; /* broken, and why */

	struct mux_queue rx;  /* arrived, unread; bounded by window */
	struct str rx_direct; /* being delivered right now, in the session's scratch */
	struct str view;      /* what the last read lent */
	bool view_in_rx;
	bool rx_eof, eof_read;
	bool orderly;	 /* the peer closed without an error: why counts once rx is read */
	uint32_t window; /* what the peer may have under way */
	uint64_t rx_total;

	struct buf tx;		    /* taken, not yet framed; bounded by MUX_TX_CAP */
	const struct iovec *direct; /* a write in progress: framed before it returns */
	int n_direct;
	size_t direct_len, direct_off;
	uint64_t tx_total; /* taken since it began, or since it had a rest */
	uint64_t took_ms;  /* some was taken last */
	size_t tx_framed;  /* bytes at the front of tx that this flush has framed */
	bool tx_busy;	   /* counted in mux->n_busy */
	bool deferred;	   /* nghttp2 waits for us to have data */
	bool answered;	   /* agent: the response head is submitted */
	bool shut, fin_framed;
	bool told_broken, closed, gone; /* by its owner; in nghttp2 */
	uint64_t linger_until_ms;
};

/* What the head that is coming in has turned out to be. */
enum mux_incoming { MUX_IN_NOTHING, MUX_IN_BAD, MUX_IN_ANSWER, MUX_IN_VISIT, MUX_IN_CONTROL };

struct mux {
	struct session session; /* first: the two are the same pointer */
	enum mux_role role;
	bool whole;	      /* see mux_opt */
	struct wire *carrier; /* owned */
	nghttp2_session *ng;  /* owned */
	struct mux_budget *budget;
	struct list streams;
	struct list framed;
	struct list writers;
	size_t n_busy; /* streams that have bytes to send */

	struct buf out;		   /* framed, refused by the carrier */
	struct mux_gather *gather; /* borrowed: set during mux_flush() */
	struct ev_task flush, teardown;
	struct lines *lines; /* owned: the control stream */

	struct ev_timer alive;
	uint64_t ping_deadline_ms; /* 0: no ping with a deadline is out */
	uint64_t asked_alive_ms;   /* when the oldest ping of its kind was sent; 0: none is out */
	uint64_t asked_round_ms;

	uint64_t round_start_ns, round_bytes; /* of the measuring round that is out */
	bool round_out;
	uint64_t bytes_per_s; /* the best of recent rounds */
	uint32_t window;      /* what a fast stream gets: twice the bandwidth-delay product */
	uint64_t unread;      /* bytes in all rx */
	uint64_t withheld;    /* connection credit not given back because too much is unread */

	enum mux_incoming incoming;
	struct visit visit; /* of the head that is coming in */
	bool visit_named;   /* node: a visit has been sent */

	bool in_recv, in_flush;
	bool dead;    /* to be torn down at the end of the turn */
	bool closing; /* by the owner, who hears nothing any more */
	int why;      /* it ends: from the peer's GOAWAY, or for ours */
	char reason[SESSION_REASON_MAX];
	size_t reason_len;
};

static inline struct mux *mux_of(struct session *s)
{
	return (struct mux *)s;
}

/* mux.c */
void mux_fail(struct mux *m, int why);
/* nghttp2 returned this: without memory the peer would not hear what it was to hear, nor wait in
 * vain only if the session ends. */
void mux_check(struct mux *m, int rv);
/* An error code of HTTP/2 to an ERR_*, and back. */
int mux_err_of_code(uint32_t code);
uint32_t mux_code_of_err(int why);

/* mux_flush.c */
void mux_flush(struct mux *m);
/* Flush at the end of this turn. */
void mux_flush_soon(struct mux *m);
/* Does the carrier take nothing now? */
bool mux_is_blocked(const struct mux *m);
/* nghttp2 wants bytes of a stream. */
ssize_t mux_on_source(nghttp2_session *ng, int32_t id, uint8_t *to, size_t len, uint32_t *flags,
		      nghttp2_data_source *source, void *arg);
/* nghttp2 has a DATA frame whose payload it never saw. */
int mux_on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t len,
		     nghttp2_data_source *source, void *arg);
ssize_t mux_on_frame_size(nghttp2_session *ng, uint8_t type, int32_t id, int32_t session_window,
			  int32_t stream_window, uint32_t max, void *arg);

/* mux_stream.c */
int mux_stream_new(struct mux *m, struct mux_stream **out) MUST_CHECK;
void mux_stream_on_data(struct mux_stream *s, struct str data);
void mux_stream_on_eof(struct mux_stream *s);
/* nghttp2 has forgotten the stream. */
void mux_stream_on_gone(struct mux_stream *s, int why);
/* Tell the owner what it wants to know, soon. */
void mux_stream_update(struct mux_stream *s);
/* The session dies: break it now. */
void mux_stream_orphan(struct mux_stream *s, int why);
/* All that was taken has been framed after a close: forget it. */
void mux_stream_finish_linger(struct mux_stream *s);
/* Nothing is to be sent right now: the frame size of the others may depend on it. */
void mux_stream_idle(struct mux_stream *s);

/* mux_window.c */
void mux_window_received(struct mux *m, size_t len);
void mux_window_read(struct mux_stream *s, size_t len);
/* A stream is going: what it held comes back. */
void mux_window_release(struct mux_stream *s);
void mux_window_on_pong(struct mux *m, const uint8_t opaque[8]);
void mux_window_sent_ping(struct mux *m);

/* Send a ping of one kind, soon. Returns false when memory is short. */
bool mux_send_ping(struct mux *m, const char kind[9]);

/* The 8 bytes of a ping: what it is for. */
#define MUX_PING_ALIVE "karez-al"
#define MUX_PING_ROUND "karez-rt"

#endif
