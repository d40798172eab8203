/* Playing by the rules, and watching that the wire keeps to them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "suite/wire_players.h"

#define BODY_LEN    (8 * 1024 * 1024)
#define QUIET_MS    20
#define TICK_MS	    1
#define DEADLINE_MS 60000

uint8_t wire_suite_byte(uint32_t seed, uint64_t at)
{
	uint64_t z = (at >> 3) + ((uint64_t)seed << 40);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return (uint8_t)(z >> (8 * (at & 7)));
}

/* ---- calls into a wire, watched ---- */

#define CALL(p, call)                \
	do {                         \
		(p)->stage->depth++; \
		call;                \
		(p)->stage->depth--; \
	} while (0)

void player_want(struct player *p, int events)
{
	p->wanted = events;
	CALL(p, wire_want(p->w, events));
}

void player_shut(struct player *p)
{
	p->shut = true;
	CALL(p, wire_shut(p->w));
}

void player_close(struct player *p, int why)
{
	if (p->closed)
		return;
	p->closed = true;
	CALL(p, wire_close(p->w, why));
	p->w = NULL;
}

void player_restore(struct player *p)
{
	int e;

	CALL(p, e = wire_restore(p->w, buf_str(&p->kept)));
	assert_int_equal(e, 0);
	buf_free(&p->kept);
}

/* Compare what came with what was sent. */
void player_check(struct player *p, struct str in)
{
	assert_true(in.len > 0);
	for (size_t i = 0; i < in.len; i++)
		if ((uint8_t)in.p[i] != wire_suite_byte(p->peer_seed, p->received + i))
			fail_msg("%s: byte %llu is not the one that was sent", p->stage->kind->name,
				 (unsigned long long)(p->received + i));
}

/* One read. Returns what wire_read() did. */
int player_read(struct player *p, size_t max)
{
	struct str in = {NULL, 0};
	size_t back;
	int e;

	CALL(p, e = wire_read(p->w, max, &in));
	if (e != 0)
		return e;
	assert_true(in.len <= max);
	player_check(p, in);
	back = p->n_reads++ % 2 == 0 ? MIN(p->unread, in.len) : 0;
	if (back > 0)
		CALL(p, wire_unread(p->w, back));
	p->received += in.len - back;
	return 0;
}

/* Offer the next bytes as a gather list. Returns the bytes taken. */
static size_t player_write(struct player *p, size_t len)
{
	struct iovec iov[48];
	size_t piece = p->piece == 0 ? len : p->piece, taken = 0, at = 0;
	int n = 0, e;

	len = MIN(len, p->offer);
	for (; at < len && n < 48; at += iov[n++].iov_len)
		iov[n] = (struct iovec){p->stage->body + at, MIN(piece, len - at)};
	for (size_t i = 0; i < at; i++)
		p->stage->body[i] = (char)wire_suite_byte(p->seed, p->sent + i);
	CALL(p, e = wire_write(p->w, iov, n, &taken));
	if (e != 0) {
		p->end = e;
		return 0;
	}
	assert_true(taken <= at);
	p->sent += taken;
	p->offer = taken < at ? 2 * taken + 100 : 2 * p->offer;
	p->offer = MIN(p->offer, (size_t)CHUNK);
	return taken;
}

/* Read and write as much as goes, then want what is needed. */
void player_play(struct player *p)
{
	int events = 0, e = 0;

	while (p->sent < p->to_send && p->end == 0)
		if (player_write(p, p->to_send - p->sent) == 0)
			break;
	if (p->sent == p->to_send && p->shut_when_sent && !p->shut && p->end == 0)
		player_shut(p);
	while (!p->no_reading && !p->eof && p->end == 0 && p->received < p->stop_at && e == 0)
		e = player_read(p, p->read_max == 0 ? CHUNK : p->read_max);
	if (e == ERR_EOF)
		p->eof = true;
	else if (e != 0 && e != ERR_AGAIN)
		p->end = e;
	if (p->end == 0) {
		if (p->sent < p->to_send)
			events |= WIRE_WRITE;
		if (!p->no_reading && !p->eof && p->received < p->stop_at)
			events |= WIRE_READ;
	}
	player_want(p, events);
}

static void player_on_ready(void *arg, struct wire *w, int events)
{
	struct player *p = arg;

	assert_int_equal(p->stage->depth, 0); /* never from inside a call */
	assert_false(p->closed);
	assert_int_equal(p->n_broken, 0);
	assert_ptr_equal(w, p->w);
	assert_true(events != 0 && (events & ~p->wanted) == 0);
	p->n_ready++;
	p->n_read_ready += (events & WIRE_READ) != 0;
	p->stage->n_quiet = 0;
	if (p->on_ready != NULL)
		p->on_ready(p, events);
	else
		player_play(p);
}

static void player_on_broken(void *arg, struct wire *w, int why)
{
	struct player *p = arg;

	assert_int_equal(p->stage->depth, 0);
	assert_false(p->closed);
	assert_int_not_equal(why, 0);
	assert_int_not_equal(why, ERR_AGAIN);
	assert_int_not_equal(why, ERR_EOF);
	assert_int_equal(++p->n_broken, 1); /* once */
	p->broken_why = why;
	p->end = why;
	p->stage->n_quiet = 0;
	if (p->on_broken != NULL)
		p->on_broken(p);
}

static const struct wire_owner player_owner = {player_on_ready, player_on_broken};

/* ---- the stage ---- */

static void stage_on_tick(void *arg)
{
	struct stage *s = arg;
	uint64_t now = ev_now_ms(s->pair.ev);

	s->n_quiet++;
	s->reached = s->until(s);
	if (s->reached || now >= s->deadline_ms)
		ev_stop(s->pair.ev);
	else
		ev_timer_set(s->pair.ev, &s->tick, TICK_MS);
}

/* Run the loop until something holds; fails the test when it never does. */
void stage_run(struct stage *s, bool (*until)(struct stage *s))
{
	s->until = until;
	s->n_quiet = 0;
	s->deadline_ms = ev_now_ms(s->pair.ev) + DEADLINE_MS;
	s->tick = (struct ev_timer){.fn = stage_on_tick, .arg = s};
	ev_timer_set(s->pair.ev, &s->tick, TICK_MS);
	ev_run(s->pair.ev);
	ev_timer_stop(s->pair.ev, &s->tick);
	if (!s->reached)
		fail_msg("%s: what was waited for did not come: a sent %llu of %llu, read %llu, "
			 "end %d; b "
			 "sent %llu of %llu, read %llu, end %d",
			 s->kind->name, (unsigned long long)s->a.sent,
			 (unsigned long long)s->a.to_send, (unsigned long long)s->a.received,
			 s->a.end, (unsigned long long)s->b.sent, (unsigned long long)s->b.to_send,
			 (unsigned long long)s->b.received, s->b.end);
}

bool until_quiet(struct stage *s)
{
	uint32_t quiet = s->kind->quiet_ms == 0 ? QUIET_MS : s->kind->quiet_ms;

	return s->n_quiet >= quiet;
}

bool until_over(struct stage *s)
{
	return (s->a.eof || s->a.end != 0) && (s->b.eof || s->b.end != 0);
}

bool until_a_full(struct stage *s)
{
	return wire_room(s->a.w) == 0;
}

bool until_a_over(struct stage *s)
{
	return s->a.eof || s->a.end != 0;
}

bool until_b_over(struct stage *s)
{
	return s->b.eof || s->b.end != 0;
}

bool until_a_ended(struct stage *s)
{
	return s->a.end != 0;
}

bool until_a_broken(struct stage *s)
{
	return s->a.n_broken > 0;
}

bool until_b_ready(struct stage *s)
{
	return s->b.n_ready >= 5;
}

bool until_b_closed(struct stage *s)
{
	return s->b.closed;
}

bool until_received(struct stage *s)
{
	return s->a.received >= s->b.to_send && s->b.received >= s->a.to_send;
}

bool until_c_received(struct stage *s)
{
	return s->c.received >= s->a.to_send;
}

bool until_b_stopped(struct stage *s)
{
	return s->b.received >= s->b.stop_at;
}

void player_start(struct stage *s, struct player *p, struct wire *w, uint32_t seed)
{
	*p = (struct player){.w = w,
			     .stage = s,
			     .seed = seed,
			     .peer_seed = 3 - seed,
			     .stop_at = NEVER,
			     .offer = CHUNK};
	wire_own(w, &player_owner, p);
}

void stage_open(struct stage *s, void **state)
{
	*s = (struct stage){.kind = *state};
	s->body = malloc(CHUNK);
	assert_non_null(s->body);
	s->kind->open(s->kind, &s->pair);
	player_start(s, &s->a, s->pair.a, 1);
	player_start(s, &s->b, s->pair.b, 2);
	s->a.peer = &s->b;
	s->b.peer = &s->a;
}

void stage_close(struct stage *s)
{
	player_close(&s->a, ERR_CLOSED);
	player_close(&s->b, ERR_CLOSED);
	stage_run(s, until_quiet);
	s->kind->close(&s->pair);
	free(s->body);
}

/* Both ends act now: what a test has set up begins. */
void stage_play(struct stage *s)
{
	player_play(&s->a);
	player_play(&s->b);
}

/* One byte each way has passed: handshakes are over. */
void stage_warm(struct stage *s)
{
	s->a.to_send = s->b.to_send = 1;
	stage_play(s);
	stage_run(s, until_received);
	player_want(&s->a, 0);
	player_want(&s->b, 0);
}

size_t stage_body_len(const struct stage *s)
{
	return s->kind->body_len == 0 ? BODY_LEN : s->kind->body_len;
}
