/* WebSocket: the suite over memory and over sockets, every kind of frame, and bad peers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proto/ws_frame.h"
#include "suite/wire_suite.h"
#include "unit/wire/tcp_pair.h"
#include "wire/wire_mem.h"
#include "wire/wire_ws.h"

/* ---- the suite ---- */

struct ws_kind {
	const char *name;
	struct wire_mem_opt mem;
	size_t body_len;
	bool real, tcp;
	bool swapped; /* a is the server */
};

static const struct ws_kind ws_kinds[] = {
	{"websocket over memory", {.cap = 0}},
	{"websocket over memory, from the server", {.cap = 0}, .swapped = true},
	{"websocket over memory, 30 ms away", {.delay_ms = 30, .cap = 1 << 20}, 1 << 20},
	{"websocket over memory, 1 byte a write", {.max_write = 1}, 50000},
	{"websocket over memory, 1 byte a write, from the server",
	 {.max_write = 1},
	 50000,
	 .swapped = true},
	{"websocket over memory, 7 bytes a write, 1 ms away",
	 {.max_write = 7, .delay_ms = 1},
	 1 << 18},
	{"websocket over memory, room for 300 bytes", {.cap = 300}, 1 << 17},
	{"websocket over a unix socket", .real = true},
	{"websocket over tcp", .real = true, .tcp = true},
	{"websocket over tcp, from the server", .real = true, .tcp = true, .swapped = true},
};

static void suite_open(const struct wire_suite_kind *kind, struct wire_suite_pair *pair)
{
	const struct ws_kind *k = kind->opt;
	struct wire *a, *b;

	if (k->real) {
		assert_int_equal(ev_new(&pair->ev), 0);
		tcp_pair(pair->ev, k->tcp, &a, &b);
	} else {
		assert_int_equal(ev_sim_new(1, &pair->ev), 0);
		assert_int_equal(wire_mem_pair(pair->ev, &k->mem, &a, &b), 0);
	}
	if (k->swapped) {
		assert_int_equal(wire_ws_server(pair->ev, a, &pair->a), 0);
		assert_int_equal(wire_ws_client(pair->ev, b, &pair->b), 0);
	} else {
		assert_int_equal(wire_ws_client(pair->ev, a, &pair->a), 0);
		assert_int_equal(wire_ws_server(pair->ev, b, &pair->b), 0);
	}
}

static void suite_close(struct wire_suite_pair *pair)
{
	ev_free(pair->ev);
}

static int suite_run(void)
{
	struct wire_suite_kind kinds[ARRAY_LEN(ws_kinds)];

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct ws_kind *k = &ws_kinds[i];

		kinds[i] = (struct wire_suite_kind){
			.name = k->name,
			.opt = k,
			.open = suite_open,
			.close = suite_close,
			.body_len = k->body_len,
			.flight_max = 2 * WIRE_WS_FRAME + (k->real	? 16 * 1024 * 1024
							   : k->mem.cap ? k->mem.cap
									: 64 * 1024),
			.quiet_ms = k->mem.delay_ms > 1 ? 300 : 0,
		};
	}
	return wire_suite_run(kinds, ARRAY_LEN(kinds));
}

/* ---- one wire, and a peer that says what the test wants ---- */

struct rig {
	struct ev *ev;
	struct wire *w, *far; /* far: raw */
	char got[4096];	      /* what the owner has read */
	size_t n_got;
	bool eof, lazy;	     /* lazy: the owner does not read */
	int why;	     /* it broke for */
	char heard[1 << 20]; /* what the peer has read */
	size_t n_heard;
	bool far_eof, far_lazy;
	int far_why;
};

/* Append all that is there to what a side has got, [cap]; has it come to its end? */
static bool rig_take(struct wire *w, char *to, size_t cap, size_t *n, size_t piece)
{
	struct str in;
	int e;

	while ((e = wire_read(w, piece, &in)) == 0) {
		assert_true(*n + in.len <= cap);
		memcpy(to + *n, in.p, in.len);
		*n += in.len;
	}
	if (e == ERR_EOF)
		wire_want(w, 0);
	return e == ERR_EOF;
}

static void rig_on_ready(void *arg, struct wire *w, int events)
{
	struct rig *r = arg;

	r->eof |= rig_take(w, r->got, sizeof r->got, &r->n_got, 4096);
}

static void rig_on_broken(void *arg, struct wire *w, int why)
{
	struct rig *r = arg;

	assert_int_equal(r->why, 0);
	r->why = why;
}

static const struct wire_owner rig_owner = {rig_on_ready, rig_on_broken};

static void rig_on_far_ready(void *arg, struct wire *w, int events)
{
	struct rig *r = arg;

	r->far_eof |= rig_take(w, r->heard, sizeof r->heard, &r->n_heard, 65536);
}

static void rig_on_far_broken(void *arg, struct wire *w, int why)
{
	((struct rig *)arg)->far_why = why;
}

static const struct wire_owner rig_far_owner = {rig_on_far_ready, rig_on_far_broken};

static void rig_run(struct rig *r, uint64_t ms)
{
	ev_sim_run_for(r->ev, ms);
}

static void rig_open(struct rig *r, bool client, const struct wire_mem_opt *opt)
{
	struct wire *near;

	memset(r, 0, sizeof *r);
	assert_int_equal(ev_sim_new(7, &r->ev), 0);
	assert_int_equal(wire_mem_pair(r->ev, opt, &near, &r->far), 0);
	if (client)
		assert_int_equal(wire_ws_client(r->ev, near, &r->w), 0);
	else
		assert_int_equal(wire_ws_server(r->ev, near, &r->w), 0);
	wire_own(r->w, &rig_owner, r);
	wire_want(r->w, WIRE_READ);
	wire_own(r->far, &rig_far_owner, r);
	wire_want(r->far, WIRE_READ);
}

static void rig_far_say(struct rig *r, struct str bytes)
{
	assert_int_equal(wire_write_all(r->far, bytes), 0);
	rig_run(r, 1);
}

static void rig_close(struct rig *r)
{
	wire_close(r->w, 0);
	wire_close(r->far, 0);
	assert_false(ev_sim_run_for(r->ev, 60000)); /* nothing is left over */
	ev_free(r->ev);
}

/* The head of the next frame that the peer has heard; its payload is unmasked. False: none. */
static bool rig_next(struct rig *r, size_t *at, struct ws_head *h, struct str *payload)
{
	struct str rest = {r->heard + *at, r->n_heard - *at};
	size_t used;

	if (rest.len == 0)
		return false;
	if (ws_head_read(rest, (rest.p[1] & 0x80) != 0, h, &used) != 0 || h->len > rest.len - used)
		return false;
	*at += used;
	if (h->masked)
		ws_mask(r->heard + *at, r->heard + *at, h->len, h->key, 0);
	*payload = (struct str){r->heard + *at, h->len};
	*at += h->len;
	return true;
}

/* The code of the close frame that the peer has heard; 0: none. */
static unsigned rig_heard_code(struct rig *r)
{
	struct ws_head h;
	struct str payload;
	size_t at = 0;

	while (rig_next(r, &at, &h, &payload))
		if (h.op == WS_CLOSE)
			return payload.len < 2 ? WS_CODE_NONE
					       : (uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1];
	return 0;
}

/* ---- what comes ---- */

/* A mask of zeros changes nothing. */
#define KEY "\0\0\0\0"

#define BYTES(literal)                          \
	{                                       \
		(literal), sizeof(literal) - 1, \
	}

static const struct {
	const char *why;
	struct str in;
	const char *got;
	bool eof;
	int e;	       /* it breaks for */
	unsigned code; /* and this is said; 0: no close frame */
} cases[] = {
	{"a message", BYTES("\x82\x83" KEY "abc"), "abc"},
	{"a mask", BYTES("\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "Hello"},
	{"two messages", BYTES("\x82\x81" KEY "a\x82\x82" KEY "bc"), "abc"},
	{"a message in parts", BYTES("\x02\x81" KEY "a\x00\x81" KEY "b\x80\x81" KEY "c"), "abc"},
	{"parts of nothing", BYTES("\x02\x80" KEY "\x00\x80" KEY "\x80\x81" KEY "c"), "c"},
	{"empty messages", BYTES("\x82\x80" KEY "\x82\x80" KEY "\x82\x81" KEY "x"), "x"},
	{"a ping between parts", BYTES("\x02\x81" KEY "a\x89\x82" KEY "hi\x80\x81" KEY "b"), "ab"},
	{"a pong that nobody asked for", BYTES("\x8a\x83" KEY "abc\x82\x81" KEY "a"), "a"},
	{"a message with a length of two bytes",
	 BYTES("\x82\xfe\0\x7e" KEY
	       "0123456789012345678901234567890123456789012345678901234567890123456789"
	       "01234567890123456789012345678901234567890123456789012345"),
	 "0123456789012345678901234567890123456789012345678901234567890123456789"
	 "01234567890123456789012345678901234567890123456789012345"},
	{"the start of a message that never ends",
	 BYTES("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" KEY "abc"), "abc"},
	{"an end", BYTES("\x82\x81" KEY "a\x88\x82" KEY "\x03\xe8"), "a", .eof = true},
	{"an end without a code", BYTES("\x88\x80" KEY), "", .eof = true},
	{"what follows an end does not count", BYTES("\x88\x80" KEY "\xff\xff\x82\x81" KEY "a"), "",
	 .eof = true},
	{"an end in the middle of a message", BYTES("\x02\x81" KEY "a\x88\x80" KEY), "a",
	 .eof = true},
	{"our error",
	 BYTES("\x82\x81" KEY "a\x88\x86" KEY "\x0f\xb6"
	       "AUTH"),
	 "a", .e = ERR_AUTH},
	{"an end that is no ordinary one", BYTES("\x88\x82" KEY "\x03\xe9"), "", .e = ERR_RESET},
	{"fault is found with us", BYTES("\x88\x82" KEY "\x03\xea"), "", .e = ERR_PROTO},
	{"text", BYTES("\x82\x81" KEY "a\x81\x81" KEY "b"), "a", .e = ERR_PROTO, .code = 1003},
	{"no mask",
	 BYTES("\x82\x01"
	       "a"),
	 "", .e = ERR_PROTO, .code = 1002},
	{"a reserved bit", BYTES("\xc2\x81" KEY "a"), "", .e = ERR_PROTO, .code = 1002},
	{"a reserved kind", BYTES("\x83\x81" KEY "a"), "", .e = ERR_PROTO, .code = 1002},
	{"a ping in parts", BYTES("\x09\x81" KEY "a"), "", .e = ERR_PROTO, .code = 1002},
	{"a ping that is too long", BYTES("\x89\xfe\0\x7e" KEY), "", .e = ERR_PROTO, .code = 1002},
	{"a length not written in the shortest way", BYTES("\x82\xfe\0\1" KEY "a"), "",
	 .e = ERR_PROTO, .code = 1002},
	{"a length with its top bit", BYTES("\x82\xff\x80\0\0\0\0\0\0\0" KEY), "", .e = ERR_PROTO,
	 .code = 1002},
	{"a part of no message", BYTES("\x80\x81" KEY "a"), "", .e = ERR_PROTO, .code = 1002},
	{"a message in the middle of another", BYTES("\x02\x81" KEY "a\x82\x81" KEY "b"), "a",
	 .e = ERR_PROTO, .code = 1002},
	{"text in the middle of a message", BYTES("\x02\x81" KEY "a\x81\x81" KEY "b"), "a",
	 .e = ERR_PROTO, .code = 1002},
	{"half a code", BYTES("\x88\x81" KEY "\x03"), "", .e = ERR_PROTO, .code = 1002},
	{"a code that is never sent", BYTES("\x88\x82" KEY "\x03\xed"), "", .e = ERR_PROTO,
	 .code = 1002},
};

static void check_case(size_t i, size_t cut)
{
	static struct rig r;

	rig_open(&r, false, &(struct wire_mem_opt){0});
	rig_far_say(&r, (struct str){cases[i].in.p, cut});
	if (r.far_why == 0 && cut < cases[i].in.len)
		rig_far_say(&r, (struct str){cases[i].in.p + cut, cases[i].in.len - cut});
	r.got[r.n_got] = '\0';
	if (strcmp(r.got, cases[i].got) != 0 || r.eof != cases[i].eof || r.why != cases[i].e ||
	    rig_heard_code(&r) != cases[i].code)
		fail_msg("%s, cut at %zu: read \"%s\", eof %d, %s, said %u", cases[i].why, cut,
			 r.got, r.eof, err_name(r.why), rig_heard_code(&r));
	rig_close(&r);
}

static void test_what_comes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t cut = 1; cut <= cases[i].in.len; cut++)
			check_case(i, cut);
}

/* A server's frames are not masked. */
static void test_a_client_wants_no_mask(void **state)
{
	static struct rig r;

	rig_open(&r, true, &(struct wire_mem_opt){0});
	rig_far_say(&r, STR("\x82\x03"
			    "abc\x02\x00\x80\x01"
			    "d"));
	assert_memory_equal(r.got, "abcd", r.n_got);
	assert_int_equal(r.n_got, 4);
	rig_far_say(&r, STR("\x82\x81" KEY "x"));
	assert_int_equal(r.why, ERR_PROTO);
	assert_int_equal(rig_heard_code(&r), 1002);
	rig_close(&r);
}

/* The wire below ends, or is cut, without a close frame. */
static void test_no_close_frame(void **state)
{
	static struct rig r;

	for (int cut = 0; cut < 2; cut++) {
		rig_open(&r, false, &(struct wire_mem_opt){0});
		rig_far_say(&r, STR("\x82\x85" KEY "ab"));
		if (cut)
			wire_mem_cut(r.far);
		else
			wire_shut(r.far);
		rig_run(&r, 1);
		assert_int_equal(r.n_got, 2);
		assert_false(r.eof);
		assert_int_equal(r.why, ERR_RESET);
		rig_close(&r);
	}
}

/* ---- what goes ---- */

static void write_text(struct rig *r, const char *text)
{
	assert_int_equal(wire_write_all(r->w, str_of(text)), 0);
	rig_run(r, 1);
}

/* A client's frames are masked, each by a mask of its own; a server's are not. */
static void test_what_goes(void **state)
{
	static struct rig r;

	for (int client = 0; client < 2; client++) {
		struct ws_head h[2];
		struct str payload;
		size_t at = 0;

		rig_open(&r, client, &(struct wire_mem_opt){0});
		write_text(&r, "hello");
		write_text(&r, "world");
		assert_true(rig_next(&r, &at, &h[0], &payload));
		assert_true(h[0].op == WS_BINARY && h[0].fin && h[0].masked == client);
		assert_true(str_eq(payload, STR("hello")));
		assert_true(rig_next(&r, &at, &h[1], &payload));
		assert_true(str_eq(payload, STR("world")));
		if (client)
			assert_memory_not_equal(h[0].key, h[1].key, 4);
		wire_shut(r.w);
		rig_run(&r, 1);
		assert_int_equal(rig_heard_code(&r), 1000);
		rig_close(&r);
	}
}

/* One write is one frame, of any number of pieces. */
static void test_one_frame_a_write(void **state)
{
	static struct rig r;
	static char body[100 * 1000];

	for (int client = 0; client < 2; client++) {
		struct iovec iov[100];
		struct ws_head h;
		struct str payload;
		size_t at = 0, taken;

		rig_open(&r, client, &(struct wire_mem_opt){.cap = 1 << 20});
		for (size_t i = 0; i < 100; i++) {
			memset(body + 1000 * i, (int)('a' + i % 26), 1000);
			iov[i] = (struct iovec){body + 1000 * i, 1000};
		}
		assert_int_equal(wire_write(r.w, iov, 100, &taken), 0);
		assert_true(taken >= 50000);
		rig_run(&r, 1);
		assert_true(rig_next(&r, &at, &h, &payload));
		assert_int_equal(payload.len, taken);
		assert_memory_equal(payload.p, body, taken);
		assert_int_equal(at, r.n_heard);
		rig_close(&r);
	}
}

static void test_pings_are_answered(void **state)
{
	static struct rig r;
	struct ws_head h;
	struct str payload;
	size_t at = 0;

	rig_open(&r, false, &(struct wire_mem_opt){0});
	rig_far_say(&r, STR("\x89\x82" KEY "hi"));
	assert_true(rig_next(&r, &at, &h, &payload));
	assert_true(h.op == WS_PONG && h.fin && str_eq(payload, STR("hi")));
	rig_far_say(&r, STR("\x89\x80" KEY));
	assert_true(rig_next(&r, &at, &h, &payload));
	assert_true(h.op == WS_PONG && payload.len == 0);
	assert_int_equal(at, r.n_heard);
	rig_close(&r);
}

/* A peer that pings and does not read: what is kept for it does not grow, and it gets the newest.
 */
static void test_pings_do_not_pile_up(void **state)
{
	static struct rig r;
	struct ws_head h;
	struct str payload, last = STR("");
	size_t at = 0, n = 0;

	rig_open(&r, false, &(struct wire_mem_opt){.cap = 200});
	wire_want(r.far, 0);
	for (int i = 0; i < 1000; i++) {
		char ping[32];

		str_printf(ping, sizeof ping, "\x89\x88%c%c%c%cping %03d", 0, 0, 0, 0, i);
		rig_far_say(&r, (struct str){ping, 14});
	}
	wire_want(r.far, WIRE_READ);
	rig_run(&r, 1);
	for (; rig_next(&r, &at, &h, &payload); n++) {
		assert_int_equal(h.op, WS_PONG);
		last = payload;
	}
	assert_in_range(n, 2, 30);
	assert_true(str_eq(last, STR("ping 999")));
	assert_int_equal(r.why, 0);
	rig_close(&r);
}

/* ---- the end ---- */

/* What a session ends for is said by both ways to end, and heard behind all data. */
static void test_reasons_travel(void **state)
{
	static const struct {
		const char *why;
		int reason, close; /* close < 0: shut */
		unsigned code;
	} ends[] = {
		{"shut", 0, -1, 1000},
		{"shut for a reason", ERR_DELETED, -1, 4034},
		{"shut as the stream ends", ERR_EOF, -1, 1000},
		{"closed", 0, 0, 1000},
		{"closed for a reason", ERR_AUTH, 0, 4022},
		{"closed for an error", 0, ERR_DRAIN, 4029},
		{"closed for what the peer did", ERR_AUTH, ERR_PROTO, 1002},
	};
	static struct rig r;

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		for (int client = 0; client < 2; client++) {
			rig_open(&r, client, &(struct wire_mem_opt){0});
			write_text(&r, "abc");
			wire_reason(r.w, ends[i].reason);
			if (ends[i].close < 0) {
				wire_shut(r.w);
			} else {
				wire_close(r.w, ends[i].close);
				r.w = NULL;
			}
			rig_run(&r, 10);
			if (rig_heard_code(&r) != ends[i].code)
				fail_msg("%s: %u", ends[i].why, rig_heard_code(&r));
			assert_int_equal(r.far_eof, ends[i].close >= 0);
			rig_close(&r);
		}
}

/* A peer that reads and never answers is left after a while. */
static void test_close_is_not_answered(void **state)
{
	static struct rig r;

	rig_open(&r, false, &(struct wire_mem_opt){0});
	wire_close(r.w, 0);
	r.w = NULL;
	rig_run(&r, WIRE_WS_CLOSE_MS - 100);
	assert_int_equal(rig_heard_code(&r), 1000);
	rig_far_say(&r, STR("\x82\x81" KEY "x")); /* it is still heard out */
	assert_int_equal(r.far_why, 0);
	rig_run(&r, 200);
	rig_far_say(&r, STR("\x82\x81" KEY "x"));
	assert_int_equal(r.far_why, ERR_RESET);
	rig_close(&r);
}

/* One that sends on and on is left sooner. */
static void test_close_meets_a_flood(void **state)
{
	static struct rig r;
	static char zeros[65536];
	uint64_t sent = 0;

	rig_open(&r, false, &(struct wire_mem_opt){0});
	wire_close(r.w, 0);
	r.w = NULL;
	while (r.far_why == 0) {
		struct iovec iov = {zeros, sizeof zeros};
		size_t taken = 0;

		if (wire_write(r.far, &iov, 1, &taken) == 0)
			sent += taken;
		rig_run(&r, 1);
		assert_true(sent <= WIRE_WS_CLOSE_MAX + 4 * sizeof zeros);
	}
	assert_true(sent >= WIRE_WS_CLOSE_MAX);
	rig_close(&r);
}

/* One that does not even read what was taken is left, too; nothing is waited for beyond that. */
static void test_close_cannot_be_delivered(void **state)
{
	static struct rig r;
	static char zeros[65536];
	struct iovec iov = {zeros, sizeof zeros};
	size_t taken;

	rig_open(&r, true, &(struct wire_mem_opt){.cap = 1000});
	wire_want(r.far, 0);
	assert_int_equal(wire_write(r.w, &iov, 1, &taken), 0);
	assert_true(taken > 0);
	wire_close(r.w, 0);
	r.w = NULL;
	rig_run(&r, WIRE_WS_DELIVER_MS - 100);
	assert_int_equal(r.far_why, 0);
	rig_run(&r, 200);
	wire_want(r.far, WIRE_READ);
	rig_run(&r, 1);
	assert_int_equal(r.far_why, ERR_RESET);
	rig_close(&r);
}

/* The loop's life ends while a wire still delivers. */
static void test_loop_ends_first(void **state)
{
	static struct rig r;
	static char zeros[65536];
	struct iovec iov = {zeros, sizeof zeros};
	size_t taken;

	rig_open(&r, true, &(struct wire_mem_opt){.cap = 1000});
	wire_want(r.far, 0);
	assert_int_equal(wire_write(r.w, &iov, 1, &taken), 0);
	wire_close(r.w, 0);
	wire_close(r.far, 0);
	ev_free(r.ev);
}

/* What came early stands in the wire below, where the handshake's reader has left it. */
static void test_early_bytes(void **state)
{
	static const char early[] = "HTTP head\x82\x83" KEY "abc";
	struct wire *near, *far;
	static struct rig r;
	struct str in;

	memset(&r, 0, sizeof r);
	assert_int_equal(ev_sim_new(1, &r.ev), 0);
	assert_int_equal(wire_mem_pair(r.ev, &(struct wire_mem_opt){0}, &near, &far), 0);
	r.far = far;
	assert_int_equal(wire_write_all(far, STR(early)), 0);
	rig_run(&r, 1);
	assert_int_equal(wire_read(near, 100, &in), 0);
	wire_unread(near, in.len - 9);
	assert_int_equal(wire_ws_server(r.ev, near, &r.w), 0);
	wire_own(r.w, &rig_owner, &r);
	wire_want(r.w, WIRE_READ);
	rig_run(&r, 1);
	assert_int_equal(r.n_got, 3);
	assert_memory_equal(r.got, "abc", 3);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_comes),
		cmocka_unit_test(test_a_client_wants_no_mask),
		cmocka_unit_test(test_no_close_frame),
		cmocka_unit_test(test_what_goes),
		cmocka_unit_test(test_one_frame_a_write),
		cmocka_unit_test(test_pings_are_answered),
		cmocka_unit_test(test_pings_do_not_pile_up),
		cmocka_unit_test(test_reasons_travel),
		cmocka_unit_test(test_close_is_not_answered),
		cmocka_unit_test(test_close_meets_a_flood),
		cmocka_unit_test(test_close_cannot_be_delivered),
		cmocka_unit_test(test_loop_ends_first),
		cmocka_unit_test(test_early_bytes),
	};

	return suite_run() + cmocka_run_group_tests(tests, NULL, NULL);
}
