/*
 * The two players of the wire suite, the stage they play on, and what can be waited for.
 *
 * A player checks the rules of the interface at every callback: none from inside a call, none after
 * close, none that was not wanted, none after broken, and every byte must be the next one of its
 * peer's body.
 */
#ifndef KAREZ_SUITE_WIRE_PLAYERS_H
#define KAREZ_SUITE_WIRE_PLAYERS_H

#include "suite/wire_suite.h"

#define CHUNK (256 * 1024)
#define NEVER UINT64_MAX

struct player {
	struct wire *w;
	struct stage *stage;
	uint32_t seed; /* of what it sends; its peer expects the same */
	uint32_t peer_seed;
	uint64_t to_send, sent, received;
	size_t read_max;  /* 0: as much as there is */
	size_t unread;	  /* give back so many bytes of every second read */
	size_t piece;	  /* length of the pieces of a gather list; 0: one piece */
	size_t offer;	  /* bytes offered to the next write: more while they are taken */
	uint64_t stop_at; /* do not read past so many bytes */
	bool shut_when_sent, no_reading, shut;
	bool eof;
	int end; /* why reading or writing ended; 0: not yet */
	int n_ready, n_read_ready, n_broken, broken_why;
	int wanted;
	bool closed;
	int n_reads;
	size_t n_sizes;	 /* of what was given back, see ready_unread_sizes() */
	struct buf kept; /* what was read to be restored, see ready_keep() */
	size_t keep, keep_unread;
	bool keep_eof;
	struct player *peer;
	void (*on_ready)(struct player *p, int events); /* instead of playing */
	void (*on_broken)(struct player *p);
};

struct stage {
	const struct wire_suite_kind *kind;
	struct wire_suite_pair pair;
	struct player a, b, c; /* c takes over from b in one test */
	struct ev_timer tick;
	bool (*until)(struct stage *s);
	uint64_t deadline_ms;
	bool reached;
	int depth;	  /* calls into a wire that are on the stack */
	uint32_t n_quiet; /* ticks since the last event: turns of the loop, however slow it is */
	char *body;
};

/* Calls into the wire of a player, watched: no callback may come from inside of one. */
void player_want(struct player *p, int events);
void player_shut(struct player *p);
void player_close(struct player *p, int why);
void player_restore(struct player *p); /* what it kept */

/* Compare what came with what was sent. */
void player_check(struct player *p, struct str in);

/* One read. Returns what wire_read() did. */
int player_read(struct player *p, size_t max);

/* Read and write as much as goes, then want what is needed. */
void player_play(struct player *p);

/* Run the loop until something holds; fails the test when it never does. */
void stage_run(struct stage *s, bool (*until)(struct stage *s));

/* What stage_run() may wait for. */
bool until_quiet(struct stage *s);
bool until_over(struct stage *s);
bool until_a_over(struct stage *s);
bool until_b_over(struct stage *s);
bool until_a_full(struct stage *s);
bool until_a_ended(struct stage *s);
bool until_a_broken(struct stage *s);
bool until_b_ready(struct stage *s);
bool until_b_closed(struct stage *s);
bool until_received(struct stage *s);
bool until_c_received(struct stage *s);
bool until_b_stopped(struct stage *s);

/* Give a wire to a player: seed is 1 or 2, its peer has the other one. */
void player_start(struct stage *s, struct player *p, struct wire *w, uint32_t seed);

/* A fresh pair of the kind that cmocka hands over, and its two players. */
void stage_open(struct stage *s, void **state);

/* Close both ends, wait until nothing happens, free all. */
void stage_close(struct stage *s);

/* Both ends act now: what a test has set up begins. */
void stage_play(struct stage *s);

/* One byte each way has passed: handshakes are over. */
void stage_warm(struct stage *s);

/* Bytes of a large body of this kind. */
size_t stage_body_len(const struct stage *s);

#endif
