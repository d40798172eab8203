/* Whole bodies: however they are framed and cut, and however their sending ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "http/http_collect.h"
#include "unit/http/http_rig.h"

#define SINK_MAX 1000

/* The handler: collects, and answers at once unless told to wait. */
struct sink {
	struct rig r;
	size_t max;
	bool waits, collecting;
	int n_done, e; /* e: the last one */
	char body[400000];
	size_t len;
};

static void sink_on_done(void *arg, int e, struct str body)
{
	struct sink *s = arg;

	assert_false(s->collecting); /* not inside of http_collect() */
	assert_true(e == 0 || body.len == 0);
	s->n_done++;
	s->e = e;
	assert_true(body.len < sizeof s->body);
	if (body.len > 0)
		memcpy(s->body, body.p, body.len);
	s->body[body.len] = '\0';
	s->len = body.len;
	if (s->waits)
		return;
	if (e == 0)
		rig_reply(&s->r, 2);
	else
		http_collect_refuse(s->r.conn, e);
}

static void sink_ask(struct rig *r, const struct http_request *req)
{
	struct sink *s = r->arg;

	http_conn_on_gone(r->conn, rig_on_gone, r);
	s->collecting = true;
	assert_int_equal(http_collect(r->conn, req, s->max, sink_on_done, s), 0);
	s->collecting = false;
}

static void sink_open_with(struct sink *s, const struct wire_mem_opt *mem)
{
	memset(s, 0, sizeof *s);
	rig_open_with(&s->r, ASK, mem);
	s->r.ask = sink_ask;
	s->r.arg = s;
	s->max = SINK_MAX;
	s->e = -1;
}

static void sink_open(struct sink *s)
{
	sink_open_with(s, &(struct wire_mem_opt){.cap = 1 << 20});
}

#define TOP(method)	method " /b HTTP/1.1\r\nHost: h.example\r\n"
#define LENGTH(n, body) TOP("POST") "Content-Length: " n "\r\n\r\n" body
#define CHUNKED(body)	TOP("POST") "Transfer-Encoding: chunked\r\n\r\n" body
#define EXPECT(more)	TOP("PUT") "Expect: 100-continue\r\n" more "\r\n"
#define CONTINUE	"HTTP/1.1 100 Continue\r\n\r\n"

/* ---- whole ones ---- */

static void test_bodies_split_everywhere(void **state)
{
	static const struct {
		const char *why, *bytes, *body;
	} cases[] = {
		{"none", GET, ""},
		{"a length", LENGTH("5", "hello"), "hello"},
		{"a length of 0", LENGTH("0", ""), ""},
		{"chunks", CHUNKED("2\r\nhe\r\n3;x=1\r\nllo\r\n0\r\n\r\n"), "hello"},
		{"chunks with a trailer", CHUNKED("5\r\nhello\r\n0\r\nX: 1\r\n\r\n"), "hello"},
		{"no chunk", CHUNKED("0\r\n\r\n"), ""},
		{"GET with one", TOP("GET") "Content-Length: 3\r\n\r\nabc", "abc"},
		{"DELETE with one", TOP("DELETE") "Content-Length: 3\r\n\r\nabc", "abc"},
		{"HEAD with one", TOP("HEAD") "Content-Length: 3\r\n\r\nabc", "abc"},
		{"HTTP/1.0 that keeps alive",
		 "PUT / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", "abc"},
		{"an expectation that is not waited for", EXPECT("Content-Length: 3\r\n") "abc",
		 "abc"},
	};
	static struct sink s;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = strlen(cases[i].bytes);

		print_message("# %s\n", cases[i].why);
		for (size_t cut = 1; cut <= len; cut++) {
			sink_open(&s);
			rig_say_bytes(&s.r, cases[i].bytes, cut);
			if (cut < len)
				rig_say_bytes(&s.r, cases[i].bytes + cut, len - cut);
			assert_int_equal(s.n_done, 1);
			assert_int_equal(s.e, 0);
			assert_string_equal(s.body, cases[i].body);
			assert_int_equal(rig_count(&s.r, "200 OK"), 1);
			assert_int_equal(rig_count(&s.r, "Connection: close"), 0);
			rig_say(&s.r, GET); /* the connection goes on */
			assert_int_equal(s.n_done, 2);
			assert_int_equal(s.len, 0);
			assert_false(s.r.eof);
			assert_int_equal(s.r.n_gone, 0);
			rig_close(&s.r);
		}
	}
}

static void test_byte_by_byte_and_pipelined(void **state)
{
	static const char bytes[] = CHUNKED("2\r\nhe\r\n3;x=1\r\nllo\r\n0\r\n\r\n")
		LENGTH("5", "world") GET LENGTH("3", "end");
	static struct sink s;

	sink_open(&s);
	rig_say(&s.r, bytes);
	assert_int_equal(s.n_done, 4);
	assert_string_equal(s.body, "end");
	rig_close(&s.r);

	sink_open(&s);
	for (const char *p = bytes; *p != '\0'; p++)
		rig_say_bytes(&s.r, p, 1);
	assert_int_equal(s.n_done, 4);
	assert_string_equal(s.body, "end");
	assert_int_equal(rig_count(&s.r, "200 OK"), 4);
	rig_close(&s.r);
}

/* As long as it may be, and one byte more. */
static void test_max(void **state)
{
	static const struct {
		const char *why, *bytes;
		size_t max;
		int want;
	} cases[] = {
		{"a length of max", LENGTH("5", "hello"), 5, 0},
		{"one more", LENGTH("5", "hello"), 4, ERR_TOOBIG},
		{"chunks of max", CHUNKED("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), 5, 0},
		{"one more in chunks", CHUNKED("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), 4, ERR_TOOBIG},
		{"nothing where nothing may be", GET, 0, 0},
		{"something where nothing may be", LENGTH("1", "a"), 0, ERR_TOOBIG},
	};
	static struct sink s;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		sink_open(&s);
		s.max = cases[i].max;
		rig_say(&s.r, cases[i].bytes);
		assert_int_equal(s.n_done, 1);
		assert_int_equal(s.e, cases[i].want);
		assert_int_equal(s.r.eof, cases[i].want != 0);
		rig_close(&s.r);
	}
}

static void test_a_long_one(void **state)
{
	static char text[300000], head[100];
	static struct sink s;

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)('a' + i % 23);
	snprintf(head, sizeof head, TOP("PUT") "Content-Length: %zu\r\n\r\n", sizeof text);
	sink_open_with(&s, &(struct wire_mem_opt){.cap = 1 << 20, .delay_ms = 3});
	s.max = sizeof text;
	rig_say(&s.r, head);
	for (size_t at = 0; at < sizeof text; at += 7500) {
		assert_int_equal(s.n_done, 0);
		rig_say_bytes(&s.r, text + at, 7500);
	}
	assert_int_equal(s.n_done, 1);
	assert_int_equal(s.len, sizeof text);
	assert_memory_equal(s.body, text, sizeof text);
	rig_close(&s.r);
}

static void test_the_handler_may_answer_later(void **state)
{
	static struct sink s;

	sink_open(&s);
	s.waits = true;
	rig_say(&s.r, LENGTH("5", "hello") GET);
	assert_int_equal(s.n_done, 1);
	ev_sim_run_for(s.r.ev, 3600000);
	assert_int_equal(s.n_done, 1);
	assert_int_equal(s.r.n_got, 0);
	rig_reply(&s.r, 1);
	s.waits = false;
	ev_sim_run_for(s.r.ev, 10);
	assert_int_equal(s.n_done, 2);
	assert_int_equal(rig_count(&s.r, "200 OK"), 2);
	assert_int_equal(s.r.n_gone, 0);
	rig_close(&s.r);
}

/* ---- 100 ---- */

static void test_expect(void **state)
{
	static const struct {
		const char *why, *head, *body;
		int n_continue, e;
	} cases[] = {
		{"a length", EXPECT("Content-Length: 5\r\n"), "hello", 1, 0},
		{"chunks", EXPECT("Transfer-Encoding: chunked\r\n"), "5\r\nhello\r\n0\r\n\r\n", 1,
		 0},
		{"no body", EXPECT(""), "", 0, 0},
		{"an empty one", EXPECT("Content-Length: 0\r\n"), "", 0, 0},
		{"too long by its own word", EXPECT("Content-Length: 1001\r\n"), "", 0, ERR_TOOBIG},
		{"a length beyond all numbers of ours", EXPECT("Content-Length: 999999999999\r\n"),
		 "", 0, ERR_TOOBIG},
		{"nobody asked", TOP("PUT") "Content-Length: 5\r\n\r\n", "hello", 0, 0},
		{"HTTP/1.0 does not know it",
		 "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "hello", 0,
		 0},
	};
	static struct sink s;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		sink_open(&s);
		rig_say(&s.r, cases[i].head);
		assert_int_equal(rig_count(&s.r, CONTINUE), cases[i].n_continue);
		if (cases[i].n_continue > 0)
			assert_string_equal(s.r.got, CONTINUE); /* and nothing else yet */
		assert_int_equal(s.n_done, cases[i].body[0] == '\0');
		if (cases[i].body[0] != '\0')
			rig_say(&s.r, cases[i].body);
		assert_int_equal(s.n_done, 1);
		assert_int_equal(s.e, cases[i].e);
		assert_int_equal(rig_count(&s.r, "200 OK"), cases[i].e == 0);
		assert_int_equal(rig_count(&s.r, "413 "), cases[i].e != 0);
		assert_int_equal(rig_count(&s.r, CONTINUE), cases[i].n_continue);
		rig_close(&s.r);
	}
}

/* Half a 100 would spoil every answer behind it. */
static void test_a_peer_that_cannot_take_the_100(void **state)
{
	static struct sink s;

	sink_open_with(&s, &(struct wire_mem_opt){.cap = 1 << 20, .max_write = 10});
	for (const char *p = EXPECT("Content-Length: 5\r\n"); *p != '\0' && s.r.conn != NULL; p++)
		rig_say_bytes(&s.r, p, 1);
	assert_int_equal(s.n_done, 0);
	assert_int_equal(s.r.n_gone, 1);
	assert_int_equal(s.r.n_closed, 1);
	rig_close(&s.r);
}

/* ---- what is no body ---- */

static void test_refused(void **state)
{
	static char exts[1000], trailers[HTTP_HEAD_MAX];
	const struct {
		const char *why, *bytes, *more;
		bool shut;
		int e;
		const char *status, *code;
	} cases[] = {
		{"too long by its own word", LENGTH("1001", "hello"), "", false, ERR_TOOBIG, "413 ",
		 "TOOBIG"},
		{"too long in the end", CHUNKED("3e8\r\n"), "x", false, ERR_TOOBIG, "413 ",
		 "TOOBIG"},
		{"no chunk", CHUNKED("hello\r\n"), "", false, ERR_PROTO, "400 ", "PROTO"},
		{"a bare line feed", CHUNKED("5\n"), "", false, ERR_PROTO, "400 ", "PROTO"},
		{"a chunk longer than it says", CHUNKED("2\r\nhello\r\n"), "", false, ERR_PROTO,
		 "400 ", "PROTO"},
		{"extensions without end", CHUNKED("2;"), exts, false, ERR_TOOBIG, "413 ",
		 "TOOBIG"},
		{"trailers without end", CHUNKED("0\r\nX: "), trailers, false, ERR_TOOBIG, "413 ",
		 "TOOBIG"},
		{"a length cut short", LENGTH("5", "hell"), "", true, ERR_PROTO, "400 ", "PROTO"},
		{"chunks cut short", CHUNKED("5\r\nhello\r\n0\r\n"), "", true, ERR_PROTO, "400 ",
		 "PROTO"},
		{"not in time", LENGTH("5", "hell"), NULL, false, ERR_TIMEOUT, "408 ", "TIMEOUT"},
	};
	static char full[SINK_MAX + 20];
	static struct sink s;

	memset(exts, 'x', sizeof exts - 1);
	memset(trailers, 'x', sizeof trailers - 1);
	memset(full, 'x', SINK_MAX);
	memcpy(full + SINK_MAX, "\r\n1\r\n", 5);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char want[40];

		print_message("# %s\n", cases[i].why);
		sink_open(&s);
		rig_say(&s.r, cases[i].bytes);
		if (strstr(cases[i].bytes, "3e8") != NULL)
			rig_say(&s.r, full);
		if (cases[i].more == NULL)
			ev_sim_run_for(s.r.ev, HTTP_BODY_MS);
		else if (cases[i].more[0] != '\0')
			rig_say(&s.r, cases[i].more);
		if (cases[i].shut)
			wire_shut(s.r.peer);
		ev_sim_run_for(s.r.ev, 10);
		assert_int_equal(s.n_done, 1);
		assert_int_equal(s.e, cases[i].e);
		snprintf(want, sizeof want, "HTTP/1.1 %s", cases[i].status);
		assert_memory_equal(s.r.got, want, strlen(want));
		snprintf(want, sizeof want, "\"code\":\"%s\"", cases[i].code);
		assert_int_equal(rig_count(&s.r, want), 1);
		assert_int_equal(rig_count(&s.r, "Connection: close\r\n"), 1);
		assert_true(s.r.eof); /* an orderly end: what we said can be read */
		assert_int_equal(s.r.why, 0);
		assert_int_equal(s.r.n_gone, 0);
		rig_close(&s.r);
	}
}

/* Drops do not put the end off. */
static void test_a_slow_body_is_late(void **state)
{
	static struct sink s;
	int n = 0;

	sink_open(&s);
	rig_say(&s.r, LENGTH("100", ""));
	while (s.n_done == 0 && n < 100) {
		rig_say(&s.r, "x");
		ev_sim_run_for(s.r.ev, 490);
		n++;
	}
	assert_in_range(n, HTTP_BODY_MS / 500 - 1, HTTP_BODY_MS / 500 + 1);
	assert_int_equal(s.e, ERR_TIMEOUT);
	rig_close(&s.r);
}

/* The peer is still sending what we did not want: it must be able to read why. */
static void test_the_refusal_arrives_though_the_peer_sends(void **state)
{
	static char more[20000];
	static struct sink s;

	sink_open_with(&s, &(struct wire_mem_opt){.cap = 1 << 20, .delay_ms = 50});
	rig_say(&s.r, LENGTH("1000000", ""));
	rig_say_bytes(&s.r, more, sizeof more);
	ev_sim_run_for(s.r.ev, 30);
	rig_say_bytes(&s.r, more, sizeof more);
	ev_sim_run_for(s.r.ev, 300);
	assert_int_equal(s.n_done, 1);
	assert_memory_equal(s.r.got, "HTTP/1.1 413 ", 13);
	assert_true(s.r.eof);
	assert_int_equal(s.r.why, 0);
	rig_close(&s.r);
}

/* ---- the end in the middle ---- */

#define HALF CHUNKED("5\r\nhel")

enum ending { RESET, CUT, CLOSE, RECALL };

static void sink_end(struct sink *s, enum ending how)
{
	switch (how) {
	case RESET: rig_leave(&s->r, ERR_RESET); break;
	case CUT: wire_mem_cut(s->r.peer); break;
	case CLOSE:
		http_conn_close(s->r.conn);
		s->r.conn = NULL;
		s->r.n_closed++; /* it is not told itself */
		break;
	case RECALL:
		http_conn_recall(s->r.conn);
		rig_reply(&s->r, 2);
		break;
	}
	ev_sim_run_for(s->r.ev, 10);
}

/* And every byte of memory is given back: a sanitizer looks at that. */
static void test_ends(void **state)
{
	static const struct {
		const char *why, *bytes;
		enum ending how;
		int n_gone, n_done; /* done is waiting for its answer when it is 1 */
	} cases[] = {
		{"a reset in the middle", HALF, RESET, 1, 0},
		{"a reset before the first byte", LENGTH("5", ""), RESET, 1, 0},
		{"a reset behind the body", LENGTH("5", "hello"), RESET, 1, 1},
		{"the cable is cut", HALF, CUT, 1, 0},
		{"our owner closes in the middle", HALF, CLOSE, 1, 0},
		{"our owner closes before the first byte", LENGTH("5", ""), CLOSE, 1, 0},
		{"our owner closes behind the body", LENGTH("5", "hello"), CLOSE, 1, 1},
		{"the handler cannot wait", HALF, RECALL, 0, 0},
	};
	static struct sink s;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		sink_open(&s);
		s.waits = true;
		rig_say(&s.r, cases[i].bytes);
		sink_end(&s, cases[i].how);
		ev_sim_run_for(s.r.ev, 2 * HTTP_BODY_MS);
		assert_int_equal(s.n_done, cases[i].n_done);
		assert_int_equal(s.r.n_gone, cases[i].n_gone);
		assert_int_equal(s.r.n_closed, 1);
		assert_int_equal(rig_count(&s.r, "200 OK"), cases[i].how == RECALL);
		assert_int_equal(rig_count(&s.r, "Connection: close"), cases[i].how == RECALL);
		rig_close(&s.r);
	}
}

/* In the turn of the request, before anything has been read for it. */
static void ask_and_close(struct rig *r, const struct http_request *req)
{
	sink_ask(r, req);
	http_conn_close(r->conn);
	r->conn = NULL;
	r->n_closed++;
}

static void ask_and_recall(struct rig *r, const struct http_request *req)
{
	sink_ask(r, req);
	http_conn_recall(r->conn);
	rig_reply(r, 2);
}

static void test_ends_at_once(void **state)
{
	static const char *const requests[] = {GET, LENGTH("5", "hello"), LENGTH("1001", "")};
	static struct sink s;

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		sink_open(&s);
		s.r.ask = ask_and_close;
		rig_say(&s.r, requests[i]);
		assert_int_equal(s.n_done, 0);
		assert_int_equal(s.r.n_gone, 1);
		rig_close(&s.r);

		sink_open(&s);
		s.r.ask = ask_and_recall;
		rig_say(&s.r, requests[i]);
		assert_int_equal(s.n_done, 0);
		assert_int_equal(rig_count(&s.r, "200 OK"), 1);
		assert_int_equal(rig_count(&s.r, "Connection: close"), i > 0);
		rig_close(&s.r);
	}
}

/* A request in hand is finished, as any other. */
static void test_drain(void **state)
{
	static struct sink s;

	sink_open(&s);
	rig_say(&s.r, LENGTH("5", "he"));
	http_conn_drain(s.r.conn, 1000);
	ev_sim_run_for(s.r.ev, 1000);
	assert_int_equal(s.n_done, 0);
	rig_say(&s.r, "llo" GET);
	assert_int_equal(s.n_done, 1);
	assert_string_equal(s.body, "hello");
	assert_int_equal(rig_count(&s.r, "200 OK"), 1);
	assert_int_equal(rig_count(&s.r, "Connection: close\r\n"), 1);
	assert_int_equal(s.r.n_closed, 1);
	assert_int_equal(s.r.n_gone, 0);
	rig_close(&s.r);
}

/* ---- memory ---- */

static void test_memory_grows_with_what_came(void **state)
{
	static char some[10000];
	static struct sink s;
	size_t before, with;

	sink_open(&s);
	s.waits = true;
	s.max = 1 << 30;
	memset(some, 'x', sizeof some);
	ev_sim_run_for(s.r.ev, 10);
	before = mallinfo2().uordblks;
	rig_say(&s.r, LENGTH("1000000000", ""));
	assert_true(mallinfo2().uordblks <= before + 4096);
	rig_say_bytes(&s.r, some, sizeof some);
	with = mallinfo2().uordblks;
	assert_true(with <= before + 4096 + 2 * sizeof some);
	wire_shut(s.r.peer);
	ev_sim_run_for(s.r.ev, 10);
	assert_int_equal(s.n_done, 1); /* nobody has answered yet, and it is gone */
	assert_true(mallinfo2().uordblks <= before + 4096);
	rig_close(&s.r);

	sink_open(&s);
	s.waits = true;
	s.max = sizeof some;
	ev_sim_run_for(s.r.ev, 10);
	before = mallinfo2().uordblks;
	rig_say(&s.r, LENGTH("10000", ""));
	rig_say_bytes(&s.r, some, sizeof some);
	assert_int_equal(s.len, sizeof some);
	assert_true(mallinfo2().uordblks <= before + 4096);
	rig_close(&s.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies_split_everywhere),
		cmocka_unit_test(test_byte_by_byte_and_pipelined),
		cmocka_unit_test(test_max),
		cmocka_unit_test(test_a_long_one),
		cmocka_unit_test(test_the_handler_may_answer_later),
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_a_peer_that_cannot_take_the_100),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_a_slow_body_is_late),
		cmocka_unit_test(test_the_refusal_arrives_though_the_peer_sends),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_ends_at_once),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_memory_grows_with_what_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
