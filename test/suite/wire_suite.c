/* The wire suite: the tests that two players play. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"
#include "suite/wire_players.h"

static void test_bodies(void **state)
{
	static const struct {
		const char *why;
		size_t read_max, unread, piece;
		unsigned part; /* of the kind's body */
	} cases[] = {
		{"large reads and writes", 0, 0, 0, 1},
		{"small reads", 1000, 0, 0, 16},
		{"half of what is read comes again", 0, 5000, 0, 8},
		{"single bytes come again", 3, 1, 0, 256},
		{"many small pieces", 0, 0, 100, 32},
		{"pieces around a record's length", 0, 0, 16385, 4},
		{"single bytes are pieces", 0, 0, 1, 1024},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stage s;

		stage_open(&s, state);
		s.a.to_send = stage_body_len(&s) / cases[i].part;
		s.b.to_send = s.a.to_send + 1;
		s.a.shut_when_sent = s.b.shut_when_sent = true;
		s.a.read_max = s.b.read_max = cases[i].read_max;
		s.a.unread = s.b.unread = cases[i].unread;
		s.a.piece = s.b.piece = cases[i].piece;
		stage_play(&s);
		stage_run(&s, until_over);
		assert_int_equal(s.a.end, 0);
		assert_int_equal(s.b.end, 0);
		assert_true(s.a.received == s.b.to_send && s.b.received == s.a.to_send);
		player_close(&s.a, 0);
		player_close(&s.b, 0);
		stage_close(&s);
	}
}

static void test_echo(void **state)
{
	struct stage s;

	stage_open(&s, state);
	for (uint64_t round = 1; round <= 10; round++) {
		s.a.to_send = s.b.to_send = round * 100;
		stage_play(&s);
		stage_run(&s, until_received);
	}
	stage_close(&s);
}

static void half_close(struct stage *s, struct player *first, struct player *second,
		       bool (*first_over)(struct stage *), bool (*second_over)(struct stage *))
{
	uint64_t len = MIN(stage_body_len(s), (size_t)100000);

	first->to_send = 10;
	first->shut_when_sent = true;
	stage_play(s);
	stage_run(s, second_over);
	assert_true(second->eof);
	assert_int_equal(second->received, 10);
	assert_false(first->eof);
	second->to_send = len; /* the other direction still works */
	second->shut_when_sent = true;
	player_play(second);
	stage_run(s, first_over);
	assert_true(first->eof);
	assert_int_equal(first->received, len);
}

static void test_half_close(void **state)
{
	struct stage s;

	stage_open(&s, state);
	half_close(&s, &s.a, &s.b, until_a_over, until_b_over);
	stage_close(&s);
	stage_open(&s, state);
	half_close(&s, &s.b, &s.a, until_b_over, until_a_over);
	stage_close(&s);
}

static void test_eof_stays(void **state)
{
	struct stage s;

	stage_open(&s, state);
	s.a.shut_when_sent = true;
	stage_play(&s);
	stage_run(&s, until_b_over);
	for (int i = 0; i < 3; i++)
		assert_int_equal(player_read(&s.b, 10), ERR_EOF);
	stage_run(&s, until_quiet);
	assert_int_equal(player_read(&s.b, 10), ERR_EOF);
	assert_int_equal(s.b.n_broken, 0);
	stage_close(&s);
}

/* Take back every number of bytes, and read on across the seam each time. */
static void ready_unread_sizes(struct player *p, int events)
{
	struct str in;

	for (; p->n_sizes <= 200 && p->received < p->peer->to_send; p->n_sizes++) {
		int e = wire_read(p->w, 201, &in);
		size_t back;

		if (e == ERR_AGAIN)
			return; /* later more */
		assert_int_equal(e, 0);
		player_check(p, in);
		back = MIN(p->n_sizes, in.len);
		wire_unread(p->w, back);
		p->received += in.len - back;
		if (back == 0)
			continue;
		assert_int_equal(wire_read(p->w, 1, &in), 0);
		player_check(p, in);
		assert_int_equal(in.len, 1);
		wire_unread(p->w, 1);
		assert_int_equal(wire_read(p->w, back, &in), 0);
		player_check(p, in);
		wire_unread(p->w, in.len);
	}
	p->on_ready = NULL;
	player_play(p);
}

static void test_unread_sizes(void **state)
{
	struct stage s;

	stage_open(&s, state);
	stage_warm(&s);
	s.a.to_send = 20000;
	player_play(&s.a);
	stage_run(&s, until_quiet);
	s.b.on_ready = ready_unread_sizes;
	player_want(&s.b, WIRE_READ);
	stage_run(&s, until_received);
	assert_ptr_equal(s.b.on_ready, NULL);
	assert_true(s.b.n_sizes > 200 || s.b.received == s.a.to_send);
	stage_close(&s);
}

/* Keep so many bytes over any number of reads, then give all of them back: they come again. */
static void ready_keep(struct player *p, int events)
{
	struct str in;
	int e;

	while (p->kept.len < p->keep) {
		if ((e = wire_read(p->w, p->keep - p->kept.len, &in)) == ERR_AGAIN)
			return;
		assert_int_equal(e, 0);
		assert_int_equal(buf_add(&p->kept, in.p, in.len, SIZE_MAX), 0);
	}
	if (p->keep_unread > 0 || p->keep_eof) {
		if ((e = wire_read(p->w, MAX(p->keep_unread, (size_t)1), &in)) == ERR_AGAIN)
			return;
		assert_int_equal(e, p->keep_eof ? ERR_EOF : 0);
		if (e == 0)
			wire_unread(p->w, in.len);
	}
	player_restore(p);
	p->on_ready = NULL; /* it is told again, since it still wants to read */
}

static void test_restore(void **state)
{
	static const struct {
		const char *why;
		size_t keep, unread;
		bool eof;
	} cases[] = {
		{"nothing", 0, 0, false},
		{"one byte", 1, 0, false},
		{"a part of what is there", 300, 0, false},
		{"all that is there", 1000, 0, false},
		{"a part, in front of what waits after unread", 300, 200, false},
		{"all, in front of the end", 1000, 0, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stage s;

		stage_open(&s, state);
		if (!s.kind->restores) {
			assert_int_equal(wire_restore(s.b.w, STR("x")), ERR_UNSUPPORTED);
			stage_close(&s);
			continue;
		}
		s.a.to_send = 1000;
		s.a.shut_when_sent = cases[i].eof;
		s.b.keep = cases[i].keep;
		s.b.keep_unread = cases[i].unread;
		s.b.keep_eof = cases[i].eof;
		s.b.on_ready = ready_keep;
		player_play(&s.a);
		player_want(&s.b, WIRE_READ);
		stage_run(&s, cases[i].eof ? until_b_over : until_received);
		if (s.b.on_ready != NULL || s.b.received != 1000 || s.b.eof != cases[i].eof)
			fail_msg("%s", cases[i].why);
		stage_close(&s);
	}
}

static void ready_only_count(struct player *p, int events)
{
	if (p->n_ready >= 5)
		player_want(p, 0);
}

static void test_want_is_level_triggered(void **state)
{
	struct stage s;

	stage_open(&s, state);
	stage_warm(&s);
	s.a.n_ready = s.b.n_ready = s.b.n_read_ready = 0;
	s.a.to_send = 1000;
	player_play(&s.a);
	stage_run(&s, until_quiet);
	assert_int_equal(s.b.n_ready, 0); /* nothing is told that is not wanted */
	s.b.on_ready = ready_only_count;
	player_want(&s.b, WIRE_READ);
	stage_run(&s, until_b_ready); /* again and again while it holds */
	stage_run(&s, until_quiet);
	assert_int_equal(s.b.n_ready, 5); /* and no more */
	s.b.n_ready = 0;
	s.b.unread = 10; /* what was given back is there, too */
	s.b.n_reads = 0;
	assert_int_equal(player_read(&s.b, 20), 0);
	player_want(&s.b, WIRE_READ);
	stage_run(&s, until_b_ready);
	s.b.n_ready = 0;
	player_want(&s.b, WIRE_WRITE); /* there is room */
	stage_run(&s, until_b_ready);
	stage_run(&s, until_quiet);
	assert_int_equal(s.b.n_ready, 5);
	assert_int_equal(s.b.n_read_ready, 5 + 5);
	stage_close(&s);
}

/* As above, but the end of the peer is what holds. */
static void test_eof_is_level_triggered(void **state)
{
	struct stage s;

	stage_open(&s, state);
	s.a.shut_when_sent = true;
	stage_play(&s);
	stage_run(&s, until_b_over);
	s.b.n_ready = 0;
	s.b.on_ready = ready_only_count;
	player_want(&s.b, WIRE_READ);
	stage_run(&s, until_b_ready);
	stage_run(&s, until_quiet);
	assert_int_equal(s.b.n_ready, 5);
	stage_close(&s);
}

static void test_back_pressure(void **state)
{
	struct stage s;
	uint64_t stuck;

	stage_open(&s, state);
	stage_warm(&s);
	s.a.to_send = 2 * (uint64_t)s.kind->flight_max + 1000;
	s.b.no_reading = true;
	player_want(&s.b, 0);
	player_play(&s.a);
	stage_run(&s, until_quiet);
	assert_true(s.a.sent <=
		    s.kind->flight_max + s.b.received); /* nobody reads: the writer stops */
	stage_run(&s, until_a_full);
	stuck = s.a.sent - s.b.received;
	s.b.no_reading = false;
	s.b.stop_at = s.b.received + stuck / 2;
	player_play(&s.b);
	stage_run(&s, until_b_stopped);
	stage_run(&s, until_quiet);
	assert_true(s.a.sent <= s.kind->flight_max + s.b.received);
	s.b.stop_at = NEVER; /* the reader goes on, so the writer is told */
	player_play(&s.b);
	stage_run(&s, until_received);
	stage_close(&s);
}

static void test_close_is_an_end(void **state)
{
	struct stage s;

	stage_open(&s, state);
	stage_warm(&s);
	s.a.to_send = 100;
	player_play(&s.a);
	player_play(&s.b);
	player_close(&s.a, 0);
	stage_run(&s, until_b_over);
	assert_true(s.b.eof); /* an ordinary end: everything was read */
	assert_int_equal(s.b.received, s.a.sent);
	stage_close(&s);
}

static void test_close_for_a_reason_is_a_reset(void **state)
{
	struct stage s;

	stage_open(&s, state);
	stage_warm(&s);
	player_play(&s.b);
	player_close(&s.a, ERR_DENIED);
	stage_run(&s, until_b_over);
	if (s.kind->no_reset) {
		assert_true(s.b.eof);
		stage_close(&s);
		return;
	}
	assert_false(s.b.eof);
	assert_int_not_equal(s.b.end, 0);
	stage_run(&s, until_quiet);
	assert_int_equal(s.b.n_broken, 1);
	player_want(&s.b, WIRE_READ | WIRE_WRITE); /* asking again does not tell again */
	stage_run(&s, until_quiet);
	assert_int_equal(s.b.n_broken, 1);
	stage_close(&s);
}

static void ready_read_on(struct player *p, int events)
{
	(void)!player_read(p, 10);
}

/*
 * The peer is gone for good: a writer must not go on for ever. Once it has read what there still
 * is, the end included, it is told that the wire is broken.
 */
static void test_writing_to_nobody_breaks(void **state)
{
	struct stage s;

	stage_open(&s, state);
	stage_warm(&s);
	player_close(&s.b, 0);
	s.a.to_send = NEVER;
	player_play(&s.a);
	stage_run(&s, until_a_ended);
	s.a.on_ready = ready_read_on;
	if (s.a.n_broken == 0)
		player_want(&s.a, WIRE_READ);
	stage_run(&s, until_a_broken);
	stage_close(&s);
}

/*
 * What was taken before shut is delivered, even when close follows at once, in the middle of being
 * told that the other direction has ended.
 */
static void test_close_delivers_what_was_shut(void **state)
{
	struct stage s;

	stage_open(&s, state);
	stage_warm(&s);
	s.a.to_send = 2 * (uint64_t)s.kind->flight_max + 1000;
	s.b.no_reading = true;
	player_want(&s.b, 0);
	player_shut(&s.b);
	player_play(&s.a);
	stage_run(&s, until_quiet);
	assert_true(s.a.eof);
	player_want(&s.a, WIRE_READ);
	player_shut(&s.a);
	player_close(&s.a, 0);
	stage_run(&s, until_quiet);
	s.b.no_reading = false;
	player_play(&s.b);
	stage_run(&s, until_b_over);
	assert_true(s.b.eof);
	assert_int_equal(s.b.received, s.a.sent);
	stage_close(&s);
}

static void ready_close(struct player *p, int events)
{
	player_close(p, 0);
}

static void ready_read_and_close(struct player *p, int events)
{
	(void)!player_read(p, 10);
	player_close(p, ERR_CLOSED);
}

static void broken_close(struct player *p)
{
	player_close(p, p->broken_why);
}

static void test_close_inside_callbacks(void **state)
{
	static const struct {
		const char *why;
		void (*on_ready)(struct player *p, int events);
		int want;
	} cases[] = {
		{"when told of bytes", ready_close, WIRE_READ},
		{"when told of room", ready_close, WIRE_WRITE},
		{"when told of both", ready_close, WIRE_READ | WIRE_WRITE},
		{"after a read", ready_read_and_close, WIRE_READ},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stage s;

		stage_open(&s, state);
		stage_warm(&s);
		s.a.to_send = 1000;
		player_play(&s.a);
		s.b.on_ready = cases[i].on_ready;
		player_want(&s.b, cases[i].want);
		stage_run(&s, until_b_closed);
		stage_run(&s, until_quiet);
		stage_close(&s);
	}
}

static void test_close_inside_broken(void **state)
{
	struct stage s;

	stage_open(&s, state);
	stage_warm(&s);
	s.b.on_broken = broken_close;
	s.b.to_send = NEVER;
	player_play(&s.b);
	player_close(&s.a, ERR_RESET);
	stage_run(&s, until_b_closed);
	assert_int_equal(s.b.n_broken, 1);
	stage_close(&s);
}

static void test_new_owner(void **state)
{
	struct stage s;

	stage_open(&s, state);
	stage_warm(&s);
	player_start(&s, &s.c, s.b.w, 2); /* b hands its end to c */
	s.c.received = s.b.received;
	s.b.closed = true;
	s.a.to_send = 500;
	player_play(&s.a);
	player_play(&s.c);
	stage_run(&s, until_c_received);
	player_close(&s.c, 0);
	stage_close(&s);
}

/* Close at once: before a handshake is over, before anything was said. */
static void test_close_at_once(void **state)
{
	static const int whys[][2] = {{0, 0},
				      {0, ERR_CLOSED},
				      {ERR_CLOSED, 0},
				      {ERR_RESET, ERR_RESET}};

	for (size_t i = 0; i < ARRAY_LEN(whys); i++) {
		struct stage s;

		stage_open(&s, state);
		player_close(&s.a, whys[i][0]);
		player_close(&s.b, whys[i][1]);
		stage_close(&s);
	}
}

static const struct {
	const char *name;
	CMUnitTestFunction run;
} tests[] = {
	{"echo", test_echo},
	{"bodies", test_bodies},
	{"half close", test_half_close},
	{"eof stays", test_eof_stays},
	{"unread sizes", test_unread_sizes},
	{"restore", test_restore},
	{"want is level-triggered", test_want_is_level_triggered},
	{"eof is level-triggered", test_eof_is_level_triggered},
	{"back-pressure", test_back_pressure},
	{"close is an end", test_close_is_an_end},
	{"close for a reason is a reset", test_close_for_a_reason_is_a_reset},
	{"writing to nobody breaks", test_writing_to_nobody_breaks},
	{"close delivers what was shut", test_close_delivers_what_was_shut},
	{"close inside callbacks", test_close_inside_callbacks},
	{"close inside broken", test_close_inside_broken},
	{"new owner", test_new_owner},
	{"close at once", test_close_at_once},
};

int wire_suite_run(const struct wire_suite_kind *kinds, size_t n_kinds)
{
	int failed = 0;

	for (size_t k = 0; k < n_kinds; k++) {
		struct CMUnitTest list[ARRAY_LEN(tests)];

		for (size_t i = 0; i < ARRAY_LEN(tests); i++)
			list[i] = (struct CMUnitTest){tests[i].name, tests[i].run, NULL, NULL,
						      (void *)(uintptr_t)&kinds[k]};
		failed +=
			_cmocka_run_group_tests(kinds[k].name, list, ARRAY_LEN(tests), NULL, NULL);
	}
	return failed;
}
