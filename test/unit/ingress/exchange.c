/*
 * The HTTP ingress between a scripted visitor and a scripted target, on virtual time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ingress_rig.h"
#include "proto/http_body.h"

/* The chunks behind a head, however they are cut, hold this content and nothing follows them. */
static void expect_chunks(const char *message, const char *content)
{
	struct str in = str_of(strstr(message, "\r\n\r\n") + 4), data;
	struct http_body body;
	char got[100] = "";

	http_body_init(&body, HTTP_BODY_CHUNKED, 0);
	while (!body.done && in.len > 0) {
		assert_int_equal(http_body_next(&body, &in, &data), 0);
		strncat(got, data.len > 0 ? data.p : "", data.len);
	}
	assert_true(body.done);
	assert_int_equal(in.len, 0);
	assert_string_equal(got, content);
}

/* ---- tests ---- */

static void test_one_exchange(void **state)
{
	static const struct {
		const char *why, *request, *at_target, *answer, *at_visitor;
		bool stays; /* the visitor's connection is kept */
	} cases[] = {
		{"a request without a body", GET "\r\n",
		 "GET /p?q=1 HTTP/1.1\r\nHost: demo.example\r\n",
		 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true},
		{"a body with a length",
		 "POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 5\r\n\r\nhello",
		 "\r\n\r\nhello", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
		 "201 Created\r\n", true},
		{"a chunked body is written anew",
		 "POST / HTTP/1.1\r\nHost: demo.example\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "5;ext=1\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n",
		 "\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		 "200 OK\r\n", true},
		{"a chunked answer is written anew", GET "\r\n", "GET /p?q=1",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: "
		 "1\r\n\r\n",
		 "\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true},
		{"HTTP/1.0 visitors get no chunks",
		 "GET / HTTP/1.0\r\nHost: demo.example\r\nConnection: keep-alive\r\n\r\n",
		 "GET / HTTP/1.1",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		 "Connection: close\r\n\r\nabc", false},
		{"HTTP/1.0 visitors may keep alive",
		 "GET / HTTP/1.0\r\nHost: demo.example\r\nConnection: keep-alive\r\n\r\n",
		 "GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
		 "Connection: keep-alive\r\n\r\nx", true},
		{"the visitor asks to close", GET "Connection: close\r\n\r\n", "GET /p?q=1",
		 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "Connection: close\r\n\r\nx",
		 false},
		{"the target closes, the visitor stays", GET "\r\n", "GET /p?q=1",
		 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
		 "Content-Length: 1\r\n\r\nx", true},
		{"204 has no body", GET "\r\n", "GET /p?q=1", "HTTP/1.1 204 No Content\r\n\r\n",
		 "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"HEAD keeps the length and has no body",
		 "HEAD / HTTP/1.1\r\nHost: demo.example\r\n\r\n", "HEAD / HTTP/1.1",
		 "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "Content-Length: 99\r\n\r\n",
		 true},
		{"an interim answer passes", GET "Expect: 100-continue\r\n\r\n",
		 "Expect: 100-continue",
		 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", true},
		{"hop-by-hop fields stop here",
		 GET "Connection: X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n\r\n", "GET /p?q=1",
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
		{"an absolute target without a path",
		 "GET http://demo.example HTTP/1.1\r\nHost: demo.example\r\n\r\n",
		 "GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 OK",
		 true},
		{"an answer that is not HTTP", GET "\r\n", "GET /p?q=1", "SSH-2.0-OpenSSH\r\n\r\n",
		 "HTTP/1.1 502 Bad Gateway\r\n", true},
		{"a switch that nobody asked for", GET "\r\n", "GET /p?q=1",
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		 "HTTP/1.1 502 Bad Gateway\r\n", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		rig_open();
		far_say(&W->visitor, cases[i].request);
		expect_in(W->target[0].got, cases[i].at_target);
		expect_not_in(W->target[0].got, "X-Mine");
		expect_not_in(W->target[0].got, "TE:");
		far_say(&W->target[0], cases[i].answer);
		expect_in(W->visitor.got, cases[i].at_visitor);
		assert_int_equal(W->visitor.eof, !cases[i].stays);
		rig_close();
	}
}

static void test_every_split_gives_the_same(void **state)
{
	static const char request[] = "POST / HTTP/1.1\r\nHost: demo.example\r\n"
				      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
	static const char answer[] =
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

	for (size_t cut = 1; cut < sizeof request - 1; cut++) {
		char part[sizeof request];

		rig_open();
		snprintf(part, sizeof part, "%.*s", (int)cut, request);
		far_say(&W->visitor, part);
		far_say(&W->visitor, request + cut);
		expect_chunks(W->target[0].got, "hello");
		snprintf(part, sizeof part, "%.*s", (int)MIN(cut, sizeof answer - 2), answer);
		far_say(&W->target[0], part);
		far_say(&W->target[0], answer + MIN(cut, sizeof answer - 2));
		expect_chunks(W->visitor.got, "abc");
		expect_in(W->visitor.got, "200 OK");
		assert_int_equal(http_ingress_load(W->ingress), 0);
		rig_close();
	}
}

static void test_what_the_target_learns(void **state)
{
	struct cidr trusted;

	rig_open();
	far_say(&W->visitor, GET "X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n"
				 "X-Real-IP: 10.0.0.1\r\nVia: 1.1 other\r\n\r\n");
	expect_in(W->target[0].got, "X-Forwarded-For: 192.0.2.7\r\n");
	expect_in(W->target[0].got, "Forwarded: for=192.0.2.7;host=demo.example;proto=http\r\n");
	expect_in(W->target[0].got, "Via: 1.1 00000000feedbeef\r\n");
	expect_in(W->target[0].got, "CDN-Loop: 00000000feedbeef\r\n");
	expect_in(W->target[0].got, "-proto: http\r\n");
	expect_in(W->target[0].got, "-host: demo.example\r\n");
	expect_in(W->target[0].got, "-port: 80\r\n");
	expect_not_in(W->target[0].got, "10.0.0.1");
	rig_close();

	assert_int_equal(cidr_parse(STR("192.0.2.0/24"), &trusted), 0);
	rig_open_with(&(struct http_ingress_opt){.trusted = &trusted, .n_trusted = 1});
	far_say(&W->visitor, GET "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n");
	expect_in(W->target[0].got, "X-Forwarded-For: 10.0.0.1, 192.0.2.7\r\n");
	expect_in(W->target[0].got, "-proto: https\r\n");
	rig_close();
}

static void test_streams_are_used_again(void **state)
{
	rig_open();
	for (int i = 0; i < 5; i++) {
		W->visitor.n_got = 0;
		far_say(&W->visitor, GET "\r\n");
		far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
		expect_in(W->visitor.got, "200 OK");
	}
	assert_int_equal(W->core.demo.n_dials, 1);
	assert_int_equal(W->core.demo.n_used, 4); /* for the policy a turn each */
	/* another visitor gets the same stream, a late one does not */
	rig_connect();
	far_say(&W->visitor, GET "\r\n");
	assert_int_equal(W->core.demo.n_dials, 1);
	assert_int_equal(W->core.demo.n_used, 5);
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
	ev_sim_run_for(W->ev, 5000);
	assert_true(W->target[0].eof);
	far_say(&W->visitor, GET "\r\n");
	assert_int_equal(W->core.demo.n_dials, 2);
	assert_int_equal(W->core.demo.n_used, 5);
	rig_close();
}

/* It is another node's, which waits for its streams to end. */
static void test_no_stream_is_kept_to_who_leaves(void **state)
{
	static const struct {
		const char *why;
		bool before, after; /* it leaves when the answer comes; later */
		bool kept;
	} cases[] = {
		{"it stays", false, false, true},
		{"it has said so before the answer ends", true, true, false},
		{"it says so while the stream is kept", false, true, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		rig_open();
		far_say(&W->visitor, GET "\r\n");
		W->core.leaves = cases[i].before;
		far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
		expect_in(W->visitor.got, "200 OK");
		assert_int_equal(W->target[0].eof, cases[i].before);
		W->core.leaves = cases[i].after;
		http_ingress_nodes_changed(W->ingress);
		ev_sim_run_for(W->ev, 10);
		assert_int_equal(W->target[0].eof, !cases[i].kept);
		far_say(&W->visitor, GET "\r\n");
		assert_int_equal(W->core.demo.n_dials, cases[i].kept ? 1 : 2);
		rig_close();
	}
}

static void test_a_closed_stream_is_tried_again(void **state)
{
	static const struct {
		const char *why, *request;
		int n_dials;
		const char *end;
	} cases[] = {
		{"GET does no harm twice", GET "\r\n", 2, "200 OK"},
		{"POST may, and is not sent again",
		 "POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 0\r\n\r\n", 1,
		 "502 Bad"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		rig_open();
		far_say(&W->visitor, GET "\r\n");
		far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		W->visitor.n_got = 0;
		far_say(&W->visitor, cases[i].request); /* the target closes as this arrives */
		wire_close(W->target[0].wire, 0);
		W->target[0].wire = NULL;
		ev_sim_run_for(W->ev, 10);
		assert_int_equal(W->core.demo.n_dials, cases[i].n_dials);
		if (cases[i].n_dials == 2) {
			expect_in(W->target[1].got, "GET /p?q=1 HTTP/1.1\r\nHost: demo.example");
			far_say(&W->target[1], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		}
		expect_in(W->visitor.got, cases[i].end);
		rig_close();
	}
}

/* The agent could not reach its target: another session is asked, if that does no harm. */
static void test_a_session_that_refuses_is_replaced(void **state)
{
	static const struct {
		const char *why, *request;
		int code;
		uint64_t n_sessions;
		int n_dials;
	} cases[] = {
		{"connection refused", GET "\r\n", ERR_REFUSED, 2, 2},
		{"nobody else is there", GET "\r\n", ERR_REFUSED, 1, 1},
		{"it goes", GET "\r\n", ERR_DRAIN, 2, 2},
		{"it has just lost the tunnel", GET "\r\n", ERR_NOTFOUND, 2, 2},
		{"no byte was seen, so a POST may go on",
		 "POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 0\r\n\r\n", ERR_REFUSED,
		 2, 2},
		{"a connection that timed out may have been there: GET does no harm", GET "\r\n",
		 ERR_TIMEOUT, 2, 2},
		{"and POST may",
		 "POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 0\r\n\r\n", ERR_TIMEOUT,
		 2, 1},
		{"a body is not kept",
		 "POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 1\r\n\r\nx", ERR_REFUSED,
		 2, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		rig_open();
		W->core.demo.n_sessions = cases[i].n_sessions;
		far_say(&W->visitor, cases[i].request);
		rig_break(0, cases[i].code);
		assert_int_equal(W->core.demo.n_dials, cases[i].n_dials);
		if (cases[i].n_dials == 2) {
			assert_string_equal(W->target[1].got, W->target[0].got);
			assert_int_equal(W->core.last->place, 8);
			far_say(&W->target[1], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
			expect_in(W->visitor.got, "200 OK");
		} else {
			expect_in(W->visitor.got, "HTTP/1.1 50");
		}
		rig_close();
	}
}

static void test_all_sessions_refuse(void **state)
{
	rig_open();
	W->core.demo.n_sessions = 3;
	far_say(&W->visitor, GET "\r\n");
	for (int i = 0; i < 3; i++)
		rig_break(i, ERR_REFUSED);
	assert_int_equal(W->core.demo.n_dials, 3);
	expect_in(W->visitor.got, "HTTP/1.1 502 ");
	assert_int_equal(http_ingress_load(W->ingress), 0);
	rig_close();
}

/* The PROXY header is the stream's, so the stream is one visitor's, and one request's. */
static void test_a_target_is_told_who_comes(void **state)
{
	static const char v1[] =
		"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\nGET /p?q=1 HTTP/1.1\r\n";
	static const char v2[] = "\r\n\r\n";

	rig_open();
	W->core.demo.settings.proxy = TUNNEL_PROXY_V1;
	W->core.demo.n_sessions = 2;
	far_say(&W->visitor, GET "\r\n");
	assert_memory_equal(W->target[0].got, v1, sizeof v1 - 1);
	rig_break(0, ERR_REFUSED); /* the next one is told as well */
	assert_memory_equal(W->target[1].got, v1, sizeof v1 - 1);
	far_say(&W->target[1], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	expect_in(W->visitor.got, "200 OK");
	assert_true(W->target[1].eof); /* not kept for anybody else */
	W->core.demo.settings.proxy = TUNNEL_PROXY_V2;
	far_say(&W->visitor, GET "\r\n");
	assert_int_equal(W->core.demo.n_dials, 3);
	assert_memory_equal(W->target[2].got, v2, sizeof v2 - 1);
	rig_close();
}

/* The tunnel was taken away from the session: see core_visitor.leave. */
static void test_told_to_leave(void **state)
{
	static const struct {
		const char *why, *answer;
		uint64_t ms, wait;
		const char *want; /* at the visitor; NULL: its connection is cut */
		size_t load;
	} cases[] = {
		{"at once, before an answer", "", 0, 0, "HTTP/1.1 503 ", 0},
		{"at once, in the middle of an answer",
		 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 0, 0, NULL, 0},
		{"in a second, before an answer", "", 1000, 990, "", 1},
		{"a second is over", "", 1000, 1010, "HTTP/1.1 503 ", 0},
		{"a second is over in the middle of an answer",
		 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 1000, 1010, NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct core_visitor *v;

		print_message("# %s\n", cases[i].why);
		rig_open();
		far_say(&W->visitor, GET "\r\n");
		if (cases[i].answer[0] != '\0')
			far_say(&W->target[0], cases[i].answer);
		v = W->core.last;
		assert_int_equal(v->place, 7);
		v->leave(v, cases[i].ms);
		if (cases[i].ms != 0)
			v->leave(v, 5000); /* the earliest time counts */
		ev_sim_run_for(W->ev, cases[i].wait + 5);
		if (cases[i].want != NULL)
			expect_in(W->visitor.got, cases[i].want);
		else
			assert_int_equal(W->visitor.why, ERR_RESET);
		assert_int_equal(http_ingress_load(W->ingress), cases[i].load);
		rig_close();
	}
}

/* Whoever has found another place need not leave that one. */
static void test_a_new_place_is_not_left(void **state)
{
	rig_open();
	W->core.demo.n_sessions = 2;
	far_say(&W->visitor, GET "\r\n");
	W->core.last->leave(W->core.last, 1000);
	rig_break(0, ERR_REFUSED);
	assert_int_equal(W->core.last->place, 8);
	ev_sim_run_for(W->ev, 5000);
	assert_string_equal(W->visitor.got, "");
	far_say(&W->target[1], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
	expect_in(W->visitor.got, "200 OK");
	rig_close();
}

static void test_an_answer_in_time_ends_the_leaving(void **state)
{
	rig_open();
	far_say(&W->visitor, GET "\r\n");
	W->core.last->leave(W->core.last, 1000);
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
	expect_in(W->visitor.got, "200 OK");
	ev_sim_run_for(W->ev, 2000);
	assert_false(W->visitor.eof);
	rig_close();
}

static void test_upgraded_visitors_leave(void **state)
{
	for (uint64_t ms = 0; ms <= 1000; ms += 1000) {
		rig_open();
		far_say(&W->visitor, GET "Connection: Upgrade\r\nUpgrade: x\r\n\r\n");
		far_say(&W->target[0], "HTTP/1.1 101 Switching Protocols\r\nConnection: "
				       "Upgrade\r\nUpgrade: x\r\n\r\n");
		assert_int_equal(http_ingress_load(W->ingress), 1);
		assert_int_equal(W->core.last->place, 7);
		W->core.last->leave(W->core.last, ms);
		if (ms > 0) {
			ev_sim_run_for(W->ev, ms - 10);
			far_say(&W->visitor, "still here");
			expect_in(W->target[0].got, "still here");
		}
		ev_sim_run_for(W->ev, 10);
		assert_int_equal(W->visitor.why, ERR_RESET);
		assert_int_equal(W->target[0].why, ERR_RESET);
		assert_int_equal(http_ingress_load(W->ingress), 0);
		rig_close();
	}
}

static void test_failures_have_pages(void **state)
{
	static const struct {
		const char *why;
		int dial, lookup;
		bool connected;
		const char *accept, *want;
	} cases[] = {
		{"unknown name", 0, ERR_NOROUTE, false, "", "HTTP/1.1 404 Not Found\r\n"},
		{"known, not connected", 0, ERR_NOSESSION, false, "", "HTTP/1.1 503 "},
		{"switched off", 0, ERR_DISABLED, false, "", "HTTP/1.1 403 "},
		{"the store fails", 0, ERR_IO, false, "", "HTTP/1.1 503 "},
		{"no stream to be had", ERR_LIMIT, 0, true, "", "HTTP/1.1 503 "},
		{"for a browser", 0, ERR_NOROUTE, false, "Accept: text/html,*/*;q=0.8\r\n",
		 "<!doctype html>"},
		{"for a program", 0, ERR_NOROUTE, false, "Accept: application/json\r\n",
		 "{\"status\":404,"},
		{"for curl", 0, ERR_NOROUTE, false, "Accept: */*\r\n", "text/plain"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char request[200];

		print_message("# %s\n", cases[i].why);
		rig_open();
		W->core.connected = cases[i].connected;
		W->core.demo.dial_error = cases[i].dial;
		W->core.lookup_answer = cases[i].lookup;
		snprintf(request, sizeof request, GET "%s\r\n", cases[i].accept);
		far_say(&W->visitor, request);
		expect_in(W->visitor.got, cases[i].want);
		assert_false(W->visitor.eof);
		rig_close();
	}
}

static void test_loops_are_found(void **state)
{
	static const struct {
		const char *why, *bytes;
	} cases[] = {
		{"straight back", GET "Via: 1.1 a, 1.1 00000000feedbeef\r\n\r\n"},
		{"through a server that does not believe our Via",
		 GET "cdn-loop: other.example\r\nCDN-Loop: 00000000feedbeef\r\n\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		rig_open();
		far_say(&W->visitor, cases[i].bytes);
		expect_in(W->visitor.got, "HTTP/1.1 508 ");
		assert_int_equal(W->core.demo.n_dials, 0);
		rig_close();
	}
}

static void test_target_fails(void **state)
{
	static const struct {
		const char *why, *partial;
		int reset;
		const char *want;
		bool aborted;
	} cases[] = {
		{"it ends without a word", "", 0, "HTTP/1.1 502 ", false},
		{"it resets", "", ERR_RESET, "HTTP/1.1 502 ", false},
		{"in the middle of the head", "HTTP/1.1 200 OK\r\nConte", 0, "HTTP/1.1 502 ",
		 false},
		{"in the middle of the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 0,
		 "abc", true},
		{"in the middle of a chunk",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 0, "ab", true},
		{"its end is the end of the body", "HTTP/1.1 200 OK\r\n\r\nabc", 0,
		 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		rig_open();
		far_say(&W->visitor,
			"POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 0\r\n\r\n");
		far_say(&W->target[0], cases[i].partial);
		wire_close(W->target[0].wire, cases[i].reset);
		W->target[0].wire = NULL;
		ev_sim_run_for(W->ev, 10);
		expect_in(W->visitor.got, cases[i].want);
		assert_int_equal(W->visitor.why != 0, cases[i].aborted);
		assert_int_equal(http_ingress_load(W->ingress), 0);
		rig_close();
	}
}

static void test_early_answer_to_a_long_request(void **state)
{
	rig_open();
	far_say(&W->visitor,
		"POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 1000\r\n\r\nabc");
	far_say(&W->target[0], "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
	expect_in(W->visitor.got, "HTTP/1.1 413 ");
	expect_in(W->visitor.got, "no");
	assert_true(W->visitor.eof);
	assert_int_equal(W->target[0].why, ERR_RESET);
	rig_close();
}

static void test_upgrade_keeps_early_bytes(void **state)
{
	rig_open();
	far_say(&W->visitor, GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
	expect_in(W->target[0].got, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	expect_in(W->target[0].got, "X-Forwarded-For: 192.0.2.7\r\n");
	expect_not_in(W->target[0].got, "early");
	far_say(&W->target[0], "HTTP/1.1 101 Switching Protocols\r\nConnection: "
			       "Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
	expect_in(W->visitor.got, "101 Switching Protocols\r\n");
	expect_in(W->visitor.got, "\r\n\r\nhello");
	expect_in(W->target[0].got, "\r\n\r\nearly");
	far_say(&W->visitor, "more");
	expect_in(W->target[0].got, "earlymore");
	assert_int_equal(http_ingress_load(W->ingress), 1);
	wire_shut(W->visitor.wire);
	ev_sim_run_for(W->ev, 10);
	assert_true(W->target[0].eof);
	far_say(&W->target[0], " still there");
	expect_in(W->visitor.got, "hello still there");
	rig_close();
}

static void test_visitor_leaves(void **state)
{
	rig_open();
	far_say(&W->visitor, GET "\r\n");
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
	wire_close(W->visitor.wire, ERR_RESET);
	W->visitor.wire = NULL;
	ev_sim_run_for(W->ev, 10);
	assert_int_equal(W->target[0].why, ERR_RESET);
	assert_true(W->conn_closed);
	assert_int_equal(http_ingress_load(W->ingress), 0);
	rig_close();
}

static void test_pipelined_requests_come_in_order(void **state)
{
	rig_open();
	far_say(&W->visitor, GET "X-N: 1\r\n\r\n" GET "X-N: 2\r\n\r\n");
	expect_in(W->target[0].got, "X-N: 1");
	expect_not_in(W->target[0].got, "X-N: 2");
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
	expect_in(W->target[0].got, "X-N: 2");
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
	expect_in(W->visitor.got, "\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
	rig_close();
}

static void test_slow_heads_and_idle_connections_end(void **state)
{
	rig_open();
	ev_sim_run_for(W->ev, 4000);
	far_say(&W->visitor, "GET / HT");
	assert_false(W->visitor.eof);
	ev_sim_run_for(W->ev, 5000);
	expect_in(W->visitor.got, "HTTP/1.1 408 ");
	assert_true(W->visitor.eof);
	rig_close();

	rig_open();
	ev_sim_run_for(W->ev, 5001);
	assert_true(W->visitor.eof); /* never said a word */
	rig_close();

	rig_open();
	far_say(&W->visitor, GET "\r\n");
	ev_sim_run_for(W->ev, 60000); /* a slow answer is not an idle visitor */
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
	expect_in(W->visitor.got, "200 OK");
	ev_sim_run_for(W->ev, 9900);
	assert_false(W->visitor.eof);
	ev_sim_run_for(W->ev, 200);
	assert_true(W->visitor.eof);
	rig_close();
}

static void test_large_bodies_with_slow_readers(void **state)
{
	char body[60000];

	memset(body, 'x', sizeof body - 1);
	body[sizeof body - 1] = '\0';
	rig_open();
	rig_close();
	rig_open();
	W->mem_cap = 1000;
	rig_connect();
	far_say(&W->visitor, GET "\r\n");
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 59999\r\n\r\n");
	for (size_t at = 0; at < sizeof body - 1;) {
		size_t taken;
		struct iovec iov = {body + at, sizeof body - 1 - at};

		assert_int_equal(wire_write(W->target[0].wire, &iov, 1, &taken), 0);
		at += taken;
		ev_sim_run_for(W->ev, 1);
	}
	ev_sim_run_for(W->ev, 1000);
	assert_non_null(strstr(W->visitor.got, body));
	assert_int_equal(http_ingress_load(W->ingress), 0);
	rig_close();
}

static void test_who_is_there(void **state)
{
	struct cidr trusted;
	int64_t since_ms;

	rig_open();
	assert_int_equal(W->core.n_visitors, 0);
	far_say(&W->visitor, GET "\r\n");
	assert_int_equal(W->core.n_visitors, 1);
	assert_string_equal(W->core.seen.tunnel, "demo");
	assert_string_equal(W->core.seen.host, "demo.example");
	assert_string_equal(W->core.seen.visitor.ip, "192.0.2.7");
	assert_int_equal(W->core.seen.visitor.port, 4711);
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
	assert_int_equal(W->core.n_visitors, 0);
	far_say(&W->visitor, GET "Connection: Upgrade\r\nUpgrade: x\r\n\r\n");
	since_ms = W->core.last->since_ms;
	ev_sim_run_for(W->ev, 3000);
	far_say(&W->target[1],
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
	assert_int_equal(W->core.n_visitors, 1); /* also when HTTP is over */
	assert_int_equal(W->core.last->since_ms, since_ms);
	far_close(&W->visitor, ERR_RESET);
	assert_int_equal(W->core.n_visitors, 0);
	rig_connect();
	far_say(&W->visitor, GET "\r\n");
	assert_int_equal(W->core.n_visitors, 1);
	rig_end_ingress();
	assert_int_equal(W->core.n_visitors, 0);
	rig_close();

	assert_int_equal(cidr_parse(STR("192.0.2.0/24"), &trusted), 0);
	rig_open_with(&(struct http_ingress_opt){.trusted = &trusted, .n_trusted = 1});
	far_say(&W->visitor, GET "X-Forwarded-For: 198.51.100.9\r\n\r\n");
	assert_string_equal(W->core.seen.visitor.ip, "198.51.100.9");
	rig_connect();
	far_say(&W->visitor, GET "X-Forwarded-For: unknown\r\n\r\n");
	assert_string_equal(W->core.seen.visitor.ip, "192.0.2.7");
	rig_close();
}

static void test_custom_domains(void **state)
{
	static const struct {
		const char *why;
		bool connected;
		int lookup;
		const char *want; /* NULL: it comes in */
	} cases[] = {
		{"served", true, 0, NULL},
		{"not connected", false, ERR_NOSESSION, "HTTP/1.1 503 "},
		{"nobody's", false, ERR_NOROUTE, "HTTP/1.1 404 "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		rig_open();
		W->at = true;
		W->core.connected = cases[i].connected;
		W->core.lookup_answer = cases[i].lookup;
		far_say(&W->visitor, "GET / HTTP/1.1\r\nHost: App.Example.org\r\n\r\n");
		assert_int_equal(W->core.demo.n_dials, cases[i].want == NULL);
		expect_in(cases[i].want == NULL ? W->target[0].got : W->visitor.got,
			  cases[i].want == NULL ? "\r\nHost: App.Example.org\r\n" : cases[i].want);
		rig_close();
	}
}

static void test_other_kinds_of_tunnels_are_unknown_here(void **state)
{
	static const enum tunnel_kind kinds[] = {TUNNEL_TCP, TUNNEL_TLS};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		rig_open();
		W->core.demo.settings.kind = kinds[i];
		W->core.lookup_answer = ERR_NOROUTE;
		far_say(&W->visitor, GET "\r\n");
		expect_in(W->visitor.got, "HTTP/1.1 404 ");
		assert_int_equal(W->core.demo.n_dials, 0);
		rig_close();
	}
}

static void test_header_policy_of_a_tunnel(void **state)
{
	static const struct {
		const char *why, *target;
		bool rewrite;
		const char *want;
	} cases[] = {
		{"not asked for", "http://127.0.0.1:3000", false, "\r\nHost: demo.example\r\n"},
		{"a URL", "http://127.0.0.1:3000", true, "\r\nHost: 127.0.0.1:3000\r\n"},
		{"a port", "3000", true, "\r\nHost: localhost:3000\r\n"},
		{"host and port", "app:3000", true, "\r\nHost: app:3000\r\n"},
		{"a socket has no host", "unix:/run/app", true, "\r\nHost: demo.example\r\n"},
		{"tcp has none either", "tcp://app:1", true, "\r\nHost: demo.example\r\n"},
		{"words for people", "my laptop", true, "\r\nHost: demo.example\r\n"},
		{"nothing known", "", true, "\r\nHost: demo.example\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		rig_open();
		strcpy(W->core.demo.target, cases[i].target);
		W->core.demo.settings.rewrite = cases[i].rewrite;
		far_say(&W->visitor, GET "\r\n");
		expect_in(W->target[0].got, cases[i].want);
		rig_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_exchange),
		cmocka_unit_test(test_every_split_gives_the_same),
		cmocka_unit_test(test_what_the_target_learns),
		cmocka_unit_test(test_streams_are_used_again),
		cmocka_unit_test(test_no_stream_is_kept_to_who_leaves),
		cmocka_unit_test(test_a_closed_stream_is_tried_again),
		cmocka_unit_test(test_a_session_that_refuses_is_replaced),
		cmocka_unit_test(test_all_sessions_refuse),
		cmocka_unit_test(test_a_target_is_told_who_comes),
		cmocka_unit_test(test_told_to_leave),
		cmocka_unit_test(test_a_new_place_is_not_left),
		cmocka_unit_test(test_an_answer_in_time_ends_the_leaving),
		cmocka_unit_test(test_upgraded_visitors_leave),
		cmocka_unit_test(test_failures_have_pages),
		cmocka_unit_test(test_loops_are_found),
		cmocka_unit_test(test_target_fails),
		cmocka_unit_test(test_early_answer_to_a_long_request),
		cmocka_unit_test(test_upgrade_keeps_early_bytes),
		cmocka_unit_test(test_visitor_leaves),
		cmocka_unit_test(test_pipelined_requests_come_in_order),
		cmocka_unit_test(test_slow_heads_and_idle_connections_end),
		cmocka_unit_test(test_large_bodies_with_slow_readers),
		cmocka_unit_test(test_who_is_there),
		cmocka_unit_test(test_custom_domains),
		cmocka_unit_test(test_other_kinds_of_tunnels_are_unknown_here),
		cmocka_unit_test(test_header_policy_of_a_tunnel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
