/* The server's side of one connection alone, between a scripted peer and a scripted handler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "unit/http/http_rig.h"

/* ---- reading ---- */

static void test_heads_split_everywhere(void **state)
{
	static const struct {
		const char *why, *bytes, *paths;
		int n;
	} cases[] = {
		{"one request", GET, "/a", 1},
		{"two in one read", GET "GET /second HTTP/1.1\r\nHost: h.example\r\nX: 1\r\n\r\n",
		 "/a/second", 2},
		{"empty lines in front are allowed", "\r\n" GET, "/a", 1},
		{"HTTP/1.0 that keeps alive",
		 "GET /k HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" GET, "/k/a", 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = strlen(cases[i].bytes);

		print_message("# %s\n", cases[i].why);
		for (size_t cut = 1; cut <= len; cut++) {
			struct rig r;

			rig_open(&r, REPLY);
			rig_say_bytes(&r, cases[i].bytes, cut);
			if (cut < len)
				rig_say_bytes(&r, cases[i].bytes + cut, len - cut);
			assert_string_equal(r.paths, cases[i].paths);
			assert_int_equal(rig_count(&r, "HTTP/1.1 200 OK\r\n"), cases[i].n);
			assert_false(r.eof);
			rig_close(&r);
		}
	}
}

static void test_byte_by_byte(void **state)
{
	struct rig r;

	rig_open(&r, REPLY);
	for (const char *p = GET GET; *p != '\0'; p++)
		rig_say_bytes(&r, p, 1);
	assert_string_equal(r.paths, "/a/a");
	rig_close(&r);
}

/* A request that waits for its answer holds back the ones behind it. */
static void test_pipelining_is_in_order(void **state)
{
	struct rig r;

	rig_open(&r, WAIT);
	rig_say(&r, GET "GET /2 HTTP/1.1\r\nHost: h.example\r\n\r\n");
	assert_string_equal(r.paths, "/a");
	rig_reply(&r, 1);
	ev_sim_run_for(r.ev, 10);
	assert_string_equal(r.paths, "/a/2");
	rig_reply(&r, 1);
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(rig_count(&r, "200 OK"), 2);
	assert_int_equal(r.n_gone, 0);
	rig_close(&r);
}

static void test_refusals(void **state)
{
	static char long_target[20000], long_head[70000];
	const struct {
		const char *why, *bytes, *status;
	} cases[] = {
		{"no request at all", "\x16\x03\x01 TLS\r\n\r\n", "400 "},
		{"both lengths",
		 "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n",
		 "400 "},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", "400 "},
		{"a target that is too long", long_target, "414 "},
		{"an expectation that is not ours",
		 "GET / HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\n\r\n", "417 "},
		{"a head that is too long", long_head, "431 "},
		{"a version that is not ours", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505 "},
	};

	memset(long_target, 'a', sizeof long_target - 1);
	memcpy(long_target, "GET /", 5);
	memset(long_head, 'a', sizeof long_head - 1);
	memcpy(long_head, "GET / HTTP/1.1\r\nHost: h\r\nX: ", 28);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		char want[40];

		print_message("# %s\n", cases[i].why);
		rig_open(&r, REPLY);
		rig_say(&r, cases[i].bytes);
		snprintf(want, sizeof want, "HTTP/1.1 %s", cases[i].status);
		assert_memory_equal(r.got, want, strlen(want));
		assert_non_null(strstr(r.got, "Connection: close\r\n"));
		assert_true(r.eof);
		assert_int_equal(r.n_requests, 0);
		assert_int_equal(r.n_closed, 1);
		rig_close(&r);
	}
}

static void test_a_head_that_ends_early(void **state)
{
	struct rig r;

	rig_open(&r, REPLY);
	rig_say(&r, "GET / HT");
	wire_shut(r.peer);
	ev_sim_run_for(r.ev, 10);
	assert_memory_equal(r.got, "HTTP/1.1 400 ", 13);
	assert_true(r.eof);
	rig_close(&r);
	rig_open(&r, REPLY); /* without a byte it is an ordinary end */
	wire_shut(r.peer);
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(r.n_got, 0);
	assert_true(r.eof);
	rig_close(&r);
}

/* ---- time ---- */

static void test_deadlines(void **state)
{
	static const struct {
		const char *why, *first;
		uint32_t alive_ms; /* it lives so long, and 2 s later it does not */
		const char *got;
	} cases[] = {
		{"not a byte", "", HEAD_MS - 1000, ""},
		{"a head that begins and never ends", "GET / HTTP/1.1\r\n", HEAD_MS - 1000,
		 "HTTP/1.1 408 "},
		{"nothing after an answer", GET, IDLE_MS - 1000, "HTTP/1.1 200 "},
		{"a second head that never ends", GET "GET", HEAD_MS - 1000, "HTTP/1.1 200 "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		print_message("# %s\n", cases[i].why);
		rig_open(&r, REPLY);
		if (cases[i].first[0] != '\0')
			rig_say(&r, cases[i].first);
		ev_sim_run_for(r.ev, cases[i].alive_ms);
		assert_false(r.eof);
		ev_sim_run_for(r.ev, 2000);
		assert_true(r.eof);
		assert_memory_equal(r.got, cases[i].got, strlen(cases[i].got));
		rig_close(&r);
	}
}

/* Drops of a head do not put its end off. */
static void test_a_slow_head_is_late(void **state)
{
	struct rig r;
	int n = 0;

	rig_open(&r, REPLY);
	for (const char *p = GET; !r.eof && n < 30; p++, n++) {
		rig_say_bytes(&r, p, 1);
		ev_sim_run_for(r.ev, 490);
	}
	assert_in_range(n, HEAD_MS / 500, HEAD_MS / 500 + 2);
	assert_memory_equal(r.got, "HTTP/1.1 408 ", 13);
	rig_close(&r);
}

static void test_a_handler_may_take_its_time(void **state)
{
	struct rig r;

	rig_open(&r, WAIT);
	rig_say(&r, GET);
	ev_sim_run_for(r.ev, 3600000);
	assert_false(r.eof);
	assert_int_equal(r.n_gone, 0);
	rig_reply(&r, 1);
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(rig_count(&r, "200 OK"), 1);
	rig_close(&r);
}

/* ---- answering ---- */

static void test_keep_alive(void **state)
{
	static const struct {
		const char *why, *request;
		bool keeps;
	} cases[] = {
		{"1.1", GET, true},
		{"1.1 that asks to close", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		 false},
		{"1.0", "GET / HTTP/1.0\r\n\r\n", false},
		{"1.0 that asks to keep", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
		{"1.0 that asks for both",
		 "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
		{"an empty body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", true},
		{"a body that nobody reads", POST "hello", false},
		{"a chunked one",
		 "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		 false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		print_message("# %s\n", cases[i].why);
		rig_open(&r, REPLY);
		rig_say(&r, cases[i].request);
		assert_int_equal(rig_count(&r, "200 OK"), 1);
		assert_int_equal(rig_count(&r, "Connection: close\r\n"), cases[i].keeps ? 0 : 1);
		assert_int_equal(r.eof, !cases[i].keeps);
		assert_int_equal(r.n_closed, !cases[i].keeps);
		rig_close(&r);
	}
}

static void test_head_gets_no_body(void **state)
{
	struct rig r;

	rig_open(&r, REPLY);
	rig_say(&r, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_non_null(strstr(r.got, "Content-Length: 2\r\n"));
	assert_string_equal(r.got + r.n_got - 4, "\r\n\r\n");
	rig_say(&r, GET); /* and the next one has it again */
	assert_string_equal(r.got + r.n_got - 6, "\r\n\r\nxx");
	rig_close(&r);
}

/* The peer is still sending: closing at once would reset its answer away. */
static void test_the_answer_arrives_though_the_peer_sends(void **state)
{
	static char more[30000];
	struct rig r;

	rig_open_with(&r, REPLY, &(struct wire_mem_opt){.cap = 1 << 20, .delay_ms = 50});
	rig_say(&r, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
	rig_say_bytes(&r, more, sizeof more);
	ev_sim_run_for(r.ev, 30);
	rig_say_bytes(&r, more, sizeof more); /* behind the answer */
	ev_sim_run_for(r.ev, 300);
	assert_int_equal(rig_count(&r, "200 OK"), 1);
	assert_true(r.eof);
	assert_int_equal(r.why, 0);
	rig_say_bytes(&r, more, sizeof more); /* more than is thrown away for anybody */
	ev_sim_run_for(r.ev, 300);
	rig_say_bytes(&r, more, sizeof more); /* nobody is there any more */
	ev_sim_run_for(r.ev, 300);
	assert_int_not_equal(r.why, 0);
	rig_close(&r);
}

static void test_a_lingering_peer_is_cut(void **state)
{
	struct rig r;

	rig_open(&r, REPLY);
	rig_say(&r, POST);
	assert_true(r.eof);
	ev_sim_run_for(r.ev, 10000);
	assert_int_equal(wire_write_all(r.peer, STR("hello")), 0);
	ev_sim_run_for(r.ev, 10);
	assert_int_not_equal(r.why, 0);
	rig_close(&r);
}

/* An answer that does not fit is written as the peer reads, for a while. */
static void test_a_slow_reader_gets_its_answer(void **state)
{
	struct rig r;

	rig_open_with(&r, WAIT, &(struct wire_mem_opt){.cap = 1000, .max_write = 300});
	rig_say(&r, GET);
	wire_want(r.peer, 0);
	rig_reply(&r, 5000);
	ev_sim_run_for(r.ev, 5000);
	assert_int_equal(r.n_got, 0);
	wire_want(r.peer, WIRE_READ);
	ev_sim_run_for(r.ev, 10);
	assert_string_equal(r.got + r.n_got - 3, "xxx");
	assert_in_range(r.n_got, 5000, 5300);
	r.deed = REPLY; /* and the connection goes on */
	rig_say(&r, GET);
	assert_int_equal(rig_count(&r, "200 OK"), 2);
	rig_close(&r);

	rig_open_with(&r, WAIT, &(struct wire_mem_opt){.cap = 1000});
	rig_say(&r, GET);
	wire_want(r.peer, 0);
	rig_reply(&r, 5000);
	ev_sim_run_for(r.ev, 20000);
	assert_int_equal(r.n_closed, 1); /* nobody reads: not for ever */
	assert_int_not_equal(r.why, 0);
	rig_close(&r);
}

/* ---- the peer goes ---- */

static void test_on_gone(void **state)
{
	static const int whys[] = {0, ERR_RESET};

	for (size_t i = 0; i < ARRAY_LEN(whys); i++) {
		struct rig r;

		rig_open(&r, WAIT);
		rig_say(&r, GET);
		rig_leave(&r, whys[i]);
		if (whys[i] == 0) { /* only half of it: it may still read */
			assert_int_equal(r.n_gone, 0);
			rig_reply(&r, 1);
			ev_sim_run_for(r.ev, 10);
		}
		assert_int_equal(r.n_gone, whys[i] != 0);
		ev_sim_run_for(r.ev, 20000);
		assert_int_equal(r.n_closed, 1);
		rig_close(&r);
	}
}

static void test_reset_at_every_stage(void **state)
{
	static const struct {
		const char *why, *bytes;
		enum deed deed;
		int n_gone;
	} cases[] = {
		{"before a byte", "", REPLY, 0},
		{"in the middle of a head", "GET / HT", REPLY, 0},
		{"while a handler works", GET, WAIT, 1},
		{"while a handler works, with a request behind", GET GET, WAIT, 1},
		{"while the wire is lent", GET, BORROW, 0},
		{"after an answer", GET, REPLY, 0},
		{"while it lingers", POST, REPLY, 0},
		{"after an upgrade", GET "early", UPGRADE, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		print_message("# %s\n", cases[i].why);
		rig_open(&r, cases[i].deed);
		if (cases[i].bytes[0] != '\0')
			rig_say(&r, cases[i].bytes);
		rig_leave(&r, ERR_RESET);
		assert_int_equal(r.n_closed, 1);
		assert_int_equal(r.n_gone, cases[i].n_gone);
		assert_int_equal(r.n_lent_broken, cases[i].deed == BORROW);
		rig_close(&r);
	}
}

/* ---- leaving HTTP, and lending ---- */

static void test_upgrade_hands_early_bytes_over(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, UPGRADE);
	rig_say(&r, GET "early");
	assert_non_null(r.taken);
	assert_int_equal(r.n_closed, 1);
	assert_memory_equal(r.got, "HTTP/1.1 101 ", 13);
	assert_int_equal(wire_read(r.taken, 100, &in), 0);
	assert_true(str_eq(in, STR("early")));
	rig_close(&r);
}

static void test_return(void **state)
{
	static const struct {
		const char *why;
		enum http_after after;
		bool eof, broken, closed;
	} cases[] = {
		{"the next request may come", HTTP_KEEP, false, false, false},
		{"the end", HTTP_CLOSE, true, false, true},
		{"the end, though it still sends", HTTP_CLOSE_UNREAD, true, false, true},
		{"cut short", HTTP_ABORT, false, true, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		print_message("# %s\n", cases[i].why);
		rig_open(&r, BORROW);
		rig_say(&r, GET);
		assert_int_equal(wire_write_all(r.lent, STR("mine")), 0);
		http_conn_return(r.conn, cases[i].after);
		ev_sim_run_for(r.ev, 10);
		assert_string_equal(r.got, cases[i].broken ? r.got : "mine");
		assert_int_equal(r.eof, cases[i].eof);
		assert_int_equal(r.why != 0, cases[i].broken);
		assert_int_equal(r.n_closed, cases[i].closed);
		if (!cases[i].closed) {
			r.deed = REPLY;
			rig_say(&r, GET);
			assert_int_equal(rig_count(&r, "200 OK"), 1);
		}
		rig_close(&r);
	}
}

static void test_return_unused(void **state)
{
	struct rig r;

	rig_open(&r, BORROW);
	rig_say(&r, GET GET);
	http_conn_return(r.conn, HTTP_UNUSED);
	r.deed = REPLY;
	rig_reply(&r, 1);
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(rig_count(&r, "200 OK"), 2);
	rig_close(&r);
}

static void on_recall(void *arg)
{
	((struct rig *)arg)->lent = NULL;
}

static void test_recall(void **state)
{
	struct rig r;

	rig_open(&r, BORROW);
	rig_say(&r, POST "hello");
	http_conn_recall(r.conn); /* nobody asked to be told, so he keeps it */
	assert_int_equal(wire_write_all(r.lent, STR("mine")), 0);
	http_conn_on_recall(r.conn, on_recall, &r);
	http_conn_recall(r.conn);
	assert_null(r.lent);
	http_conn_recall(r.conn); /* not lent any more */
	rig_reply(&r, 1);
	ev_sim_run_for(r.ev, 10);
	assert_string_equal(r.got + r.n_got - 5, "\r\n\r\nx");
	assert_int_equal(rig_count(&r, "Connection: close\r\n"), 1);
	assert_true(r.eof);
	assert_int_equal(r.why, 0);
	rig_close(&r);

	rig_open(&r, BORROW);
	rig_say(&r, GET);
	http_conn_on_recall(r.conn, on_recall, &r);
	http_conn_close(r.conn);
	assert_null(r.lent);
	r.conn = NULL;
	r.n_closed++;
	rig_close(&r);

	rig_open(&r, BORROW); /* who gave it back, or kept it, is not told */
	rig_say(&r, GET);
	http_conn_on_recall(r.conn, on_recall, &r);
	http_conn_return(r.conn, HTTP_KEEP);
	rig_say(&r, GET);
	http_conn_on_recall(r.conn, on_recall, &r);
	r.taken = http_conn_take(r.conn);
	assert_ptr_equal(r.taken, r.lent);
	rig_close(&r);
}

/* A body that was read leaves the connection as good as new. */
static void test_return_read(void **state)
{
	struct rig r;
	struct str in;

	rig_open(&r, BORROW);
	rig_say(&r, POST "hello" GET);
	assert_int_equal(wire_read(r.lent, 5, &in), 0);
	http_conn_return(r.conn, HTTP_READ);
	r.deed = REPLY;
	rig_reply(&r, 1);
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(rig_count(&r, "200 OK"), 2);
	assert_int_equal(rig_count(&r, "Connection: close\r\n"), 0);
	rig_close(&r);
}

static void test_take(void **state)
{
	struct rig r;

	rig_open(&r, BORROW);
	rig_say(&r, GET);
	r.taken = http_conn_take(r.conn);
	assert_ptr_equal(r.taken, r.lent);
	assert_int_equal(r.n_closed, 1);
	assert_int_equal(wire_write_all(r.taken, STR("raw")), 0);
	ev_sim_run_for(r.ev, 10);
	assert_string_equal(r.got, "raw");
	rig_close(&r);
}

/* ---- the end ---- */

/* Nobody's request is lost: whoever asks while it drains is answered, and told that it was the
 * last. */
static void test_drain(void **state)
{
	static const struct {
		const char *why, *before, *after;
	} cases[] = {
		{"one that has not asked yet", "", GET},
		{"one between two requests", GET, GET},
		{"one in the middle of a head", GET "GET / HTTP/1.1\r\n", "Host: h\r\n\r\n"},
		{"an old one that keeps alive", "",
		 "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
		{"two requests in one go: only one is answered", GET, GET GET},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		int n;

		print_message("# %s\n", cases[i].why);
		rig_open(&r, REPLY);
		if (cases[i].before[0] != '\0')
			rig_say(&r, cases[i].before);
		n = r.n_requests;
		http_conn_drain(r.conn, 1000);
		ev_sim_run_for(r.ev, 500);
		assert_false(r.eof);
		assert_int_equal(rig_count(&r, "Connection: close\r\n"), 0);
		rig_say(&r, cases[i].after);
		assert_int_equal(r.n_requests, n + 1);
		assert_int_equal(rig_count(&r, "200 OK"), n + 1);
		assert_int_equal(rig_count(&r, "Connection: close\r\n"), 1);
		assert_true(r.eof);
		assert_int_equal(r.why, 0); /* no reset, though there may be more to read */
		assert_int_equal(r.n_closed, 1);
		rig_close(&r);
	}
}

/* Who is silent is told after the shorter of both times, gently: its bytes do no harm then. */
static void test_drain_of_a_silent_one(void **state)
{
	static const struct {
		const char *why, *before;
		uint32_t drain_ms, ends_ms;
	} cases[] = {
		{"one that has not asked yet", "", 1000, 1000},
		{"one between two requests", GET, 1000, 1000},
		{"one whose own time is shorter", GET, IDLE_MS * 2, IDLE_MS - 10},
		{"one that has not asked yet, and whose time is shorter", "", IDLE_MS, HEAD_MS},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		print_message("# %s\n", cases[i].why);
		rig_open(&r, REPLY);
		if (cases[i].before[0] != '\0')
			rig_say(&r, cases[i].before);
		http_conn_drain(r.conn, cases[i].drain_ms);
		ev_sim_run_for(r.ev, cases[i].ends_ms - 1);
		assert_false(r.eof);
		ev_sim_run_for(r.ev, 2);
		assert_true(r.eof);
		assert_int_equal(r.n_closed, 1);
		rig_say(&r, GET);
		assert_int_equal(r.why, 0);
		rig_close(&r);
	}
}

/* It was told that the connection is kept, so it may have asked again: that is answered. */
static void test_drain_behind_a_promise(void **state)
{
	struct rig r;

	rig_open(&r, BORROW);
	rig_say(&r, GET);
	assert_int_equal(wire_write_all(r.lent,
					STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
			 0);
	http_conn_drain(r.conn, 1000);
	r.deed = REPLY;
	rig_say(&r, GET);
	assert_int_equal(r.n_requests, 1);
	http_conn_return(r.conn, HTTP_KEEP);
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(r.n_requests, 2);
	assert_int_equal(rig_count(&r, "200 OK"), 2);
	assert_int_equal(rig_count(&r, "Connection: close\r\n"), 1);
	assert_true(r.eof);
	rig_close(&r);
}

static void test_drain_while_busy(void **state)
{
	struct rig r;

	rig_open(&r, WAIT);
	rig_say(&r, GET GET);
	assert_false(r.must_close);
	http_conn_drain(r.conn, 1000);
	assert_true(http_conn_must_close(r.conn));
	ev_sim_run_for(r.ev, 1000);
	assert_false(r.eof);
	rig_reply(&r, 1);
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(r.n_requests, 1); /* the one behind it is not served any more */
	assert_int_equal(rig_count(&r, "Connection: close\r\n"), 1);
	rig_close(&r);
}

static void test_close_at_every_stage(void **state)
{
	static const struct {
		const char *bytes;
		enum deed deed;
	} cases[] = {{"", REPLY}, {"GET /", REPLY}, {GET, REPLY}, {GET, WAIT}, {GET, BORROW}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_open(&r, cases[i].deed);
		if (cases[i].bytes[0] != '\0')
			rig_say(&r, cases[i].bytes);
		http_conn_close(r.conn);
		assert_int_equal(r.n_gone, cases[i].deed == WAIT);
		r.conn = NULL;
		r.n_closed++; /* what rig_close() expects; it must not be told itself */
		ev_sim_run_for(r.ev, 10);
		assert_int_equal(r.n_closed, 1);
		assert_true(r.eof || r.why != 0);
		rig_close(&r);
	}
}

/* There may be many thousands of them. */
static void test_an_idle_connection_holds_no_buffer(void **state)
{
	struct rig r;
	size_t fresh;

	rig_open(&r, REPLY);
	assert_true(malloc_usable_size(r.conn) <= 512);
	ev_sim_run_for(r.ev, 10);
	fresh = mallinfo2().uordblks;
	for (const char *p = GET GET; *p != '\0'; p++)
		rig_say_bytes(&r, p, 1);
	rig_say(&r, GET);
	assert_int_equal(r.n_requests, 3);
	/* What cmocka and the loop's own arrays may need in between is less than a buffer. */
	assert_true(mallinfo2().uordblks <= fresh + 256);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads_split_everywhere),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_pipelining_is_in_order),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_a_head_that_ends_early),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_a_slow_head_is_late),
		cmocka_unit_test(test_a_handler_may_take_its_time),
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_head_gets_no_body),
		cmocka_unit_test(test_the_answer_arrives_though_the_peer_sends),
		cmocka_unit_test(test_a_lingering_peer_is_cut),
		cmocka_unit_test(test_a_slow_reader_gets_its_answer),
		cmocka_unit_test(test_on_gone),
		cmocka_unit_test(test_reset_at_every_stage),
		cmocka_unit_test(test_upgrade_hands_early_bytes_over),
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_return_unused),
		cmocka_unit_test(test_return_read),
		cmocka_unit_test(test_recall),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_drain_of_a_silent_one),
		cmocka_unit_test(test_drain_behind_a_promise),
		cmocka_unit_test(test_drain_while_busy),
		cmocka_unit_test(test_close_at_every_stage),
		cmocka_unit_test(test_an_idle_connection_holds_no_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
