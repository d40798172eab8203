/*
 * The HTTP ingress between a scripted visitor and a scripted target, on virtual time. The core is a fake one: one
 * tunnel, "demo", whose streams are memory wires.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "ingress/http_ingress.h"
#include "proto/http_body.h"
#include "wire/wire_mem.h"

/* ---- the fake core ---- */

struct tunnel {
	int n_dials, dial_error;
};

struct core {
	struct ev *ev;
	struct tunnel demo;
	bool connected;
	int lookup_answer;
};

struct core_lookup {
	struct ev_task task;
	struct core *core;
	void (*done)(void *arg, int e);
	void *arg;
};

/* One wire's far end, whoever reads it. */
struct far {
	struct wire *wire;
	char got[200000];
	size_t n_got;
	int why;
	bool eof;
};

static struct world {
	struct ev *ev;
	struct core core;
	struct http_ingress *ingress;
	struct http_conn *conn;
	struct far visitor, target[4];
	bool conn_closed;
	size_t mem_cap;
} *W;

static void far_on_ready(void *arg, struct wire *w, int events)
{
	struct far *f = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, sizeof f->got, &in)) == 0) {
		assert_true(f->n_got + in.len < sizeof f->got);
		memcpy(f->got + f->n_got, in.p, in.len);
		f->n_got += in.len;
		f->got[f->n_got] = '\0';
	}
	if (e == ERR_EOF) {
		f->eof = true;
		wire_want(w, 0);
	}
}

static void far_on_broken(void *arg, struct wire *w, int why)
{
	((struct far *)arg)->why = why;
}

static const struct wire_owner far_owner = {far_on_ready, far_on_broken};

static void far_start(struct far *f, struct wire *w)
{
	memset(f, 0, sizeof *f);
	f->wire = w;
	wire_own(w, &far_owner, f);
	wire_want(w, WIRE_READ);
}

static void far_say(struct far *f, const char *text)
{
	assert_int_equal(wire_write_all(f->wire, str_of(text)), 0);
	ev_sim_run_for(W->ev, 10);
}

struct tunnel *core_tunnel(struct core *c, struct str name)
{
	return c->connected && str_eq(name, STR("demo")) ? &c->demo : NULL;
}

static void lookup_on_task(void *arg)
{
	struct core_lookup *l = arg;

	l->done(l->arg, l->core->lookup_answer);
	free(l);
}

struct core_lookup *core_lookup(struct core *c, struct str name, void (*done)(void *, int),
				void *arg)
{
	struct core_lookup *l = calloc(1, sizeof *l);

	*l = (struct core_lookup){.core = c, .done = done, .arg = arg};
	l->task = (struct ev_task){.fn = lookup_on_task, .arg = l};
	ev_task_run(c->ev, &l->task);
	return l;
}

void core_lookup_cancel(struct core_lookup *l)
{
	ev_task_cancel(&l->task);
	free(l);
}

const char *tunnel_name(const struct tunnel *t)
{
	return "demo";
}

uint64_t tunnel_choose(const struct tunnel *t)
{
	return 7;
}

void tunnel_loop_mark(const struct tunnel *t, char out[17])
{
	strcpy(out, "00000000feedbeef");
}

int tunnel_dial(struct tunnel *t, struct visit *visit, uint64_t *place, struct wire **out)
{
	struct wire *far;
	struct wire_mem_opt opt = {.cap = W->mem_cap};

	if (t->dial_error != 0)
		return t->dial_error;
	assert_true(t->n_dials < 4);
	assert_int_equal(wire_mem_pair(W->ev, &opt, out, &far), 0);
	far_start(&W->target[t->n_dials++], far);
	*place = 7;
	return 0;
}

/* ---- the world ---- */

static void on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	http_ingress_request(W->ingress, c, STR("demo"), req);
}

static void on_closed(void *arg, struct http_conn *c)
{
	W->conn_closed = true;
	W->conn = NULL;
}

static void connect_visitor(void)
{
	static const struct http_deadlines deadlines = {.head_ms = 5000, .idle_ms = 10000};
	struct wire_mem_opt mem = {.cap = W->mem_cap};
	struct http_conn_opt conn = {
		.deadlines = &deadlines, .request = on_request, .closed = on_closed};
	struct wire *near, *far;

	assert_int_equal(visit_end_set(&conn.peer, STR("192.0.2.7"), 4711), 0);
	assert_int_equal(visit_end_set(&conn.local, STR("198.51.100.1"), 80), 0);
	assert_int_equal(wire_mem_pair(W->ev, &mem, &near, &far), 0);
	far_start(&W->visitor, far);
	assert_int_equal(http_conn_new(W->ev, near, &conn, &W->conn), 0);
	W->conn_closed = false;
}

static void world_open(const struct cidr *trusted)
{
	struct http_ingress_opt opt = {.trusted = trusted, .n_trusted = trusted != NULL};

	W = calloc(1, sizeof *W);
	W->mem_cap = 1 << 20;
	assert_int_equal(ev_sim_new(3, &W->ev), 0);
	W->core.ev = W->ev;
	W->core.connected = true;
	opt.core = &W->core;
	assert_int_equal(http_ingress_new(W->ev, &opt, &W->ingress), 0);
	connect_visitor();
}

static void world_close(void)
{
	http_ingress_free(W->ingress);
	http_conn_close(W->conn);
	wire_close(W->visitor.wire, 0);
	for (int i = 0; i < 4; i++)
		wire_close(W->target[i].wire, 0);
	ev_sim_run_for(W->ev, 100000);
	ev_free(W->ev);
	free(W);
}

static void expect_in(const char *haystack, const char *needle)
{
	if (strstr(haystack, needle) == NULL)
		fail_msg("\"%s\" is not in:\n%s", needle, haystack);
}

static void expect_not_in(const char *haystack, const char *needle)
{
	if (strstr(haystack, needle) != NULL)
		fail_msg("\"%s\" is in:\n%s", needle, haystack);
}

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

#define GET "GET /p?q=1 HTTP/1.1\r\nHost: demo.example\r\n"

/* ---- tests ---- */

static void test_one_exchange(void **state)
{
	static const struct {
		const char *why, *request, *at_target, *answer, *at_visitor;
		bool stays; /* the visitor's connection is kept */
	} cases[] = {
		{"a request without a body", GET "\r\n", "GET /p?q=1 HTTP/1.1\r\nHost: demo.example\r\n",
		 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true},
		{"a body with a length",
		 "POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 5\r\n\r\nhello", "\r\n\r\nhello",
		 "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", "201 Created\r\n", true},
		{"a chunked body is written anew",
		 "POST / HTTP/1.1\r\nHost: demo.example\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "5;ext=1\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n",
		 "\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		 "200 OK\r\n", true},
		{"a chunked answer is written anew", GET "\r\n", "GET /p?q=1",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n",
		 "\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true},
		{"HTTP/1.0 visitors get no chunks",
		 "GET / HTTP/1.0\r\nHost: demo.example\r\nConnection: keep-alive\r\n\r\n", "GET / HTTP/1.1",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		 "Connection: close\r\n\r\nabc", false},
		{"HTTP/1.0 visitors may keep alive",
		 "GET / HTTP/1.0\r\nHost: demo.example\r\nConnection: keep-alive\r\n\r\n", "GET / HTTP/1.1",
		 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "Connection: keep-alive\r\n\r\nx", true},
		{"the visitor asks to close", GET "Connection: close\r\n\r\n", "GET /p?q=1",
		 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "Connection: close\r\n\r\nx", false},
		{"the target closes, the visitor stays", GET "\r\n", "GET /p?q=1",
		 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
		 "Content-Length: 1\r\n\r\nx", true},
		{"204 has no body", GET "\r\n", "GET /p?q=1", "HTTP/1.1 204 No Content\r\n\r\n",
		 "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"HEAD keeps the length and has no body",
		 "HEAD / HTTP/1.1\r\nHost: demo.example\r\n\r\n", "HEAD / HTTP/1.1",
		 "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "Content-Length: 99\r\n\r\n", true},
		{"an interim answer passes", GET "Expect: 100-continue\r\n\r\n", "Expect: 100-continue",
		 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", true},
		{"hop-by-hop fields stop here", GET "Connection: X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n\r\n",
		 "GET /p?q=1", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
		{"an absolute target without a path", "GET http://demo.example HTTP/1.1\r\nHost: demo.example\r\n\r\n",
		 "GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 OK", true},
		{"an answer that is not HTTP", GET "\r\n", "GET /p?q=1", "SSH-2.0-OpenSSH\r\n\r\n",
		 "HTTP/1.1 502 Bad Gateway\r\n", true},
		{"a switch that nobody asked for", GET "\r\n", "GET /p?q=1",
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		 "HTTP/1.1 502 Bad Gateway\r\n", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		world_open(NULL);
		far_say(&W->visitor, cases[i].request);
		expect_in(W->target[0].got, cases[i].at_target);
		expect_not_in(W->target[0].got, "X-Mine");
		expect_not_in(W->target[0].got, "TE:");
		far_say(&W->target[0], cases[i].answer);
		expect_in(W->visitor.got, cases[i].at_visitor);
		assert_int_equal(W->visitor.eof, !cases[i].stays);
		world_close();
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

		world_open(NULL);
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
		world_close();
	}
}

static void test_what_the_target_learns(void **state)
{
	struct cidr trusted;

	world_open(NULL);
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
	world_close();

	assert_int_equal(cidr_parse(STR("192.0.2.0/24"), &trusted), 0);
	world_open(&trusted);
	far_say(&W->visitor, GET "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n");
	expect_in(W->target[0].got, "X-Forwarded-For: 10.0.0.1, 192.0.2.7\r\n");
	expect_in(W->target[0].got, "-proto: https\r\n");
	world_close();
}

static void test_streams_are_used_again(void **state)
{
	world_open(NULL);
	for (int i = 0; i < 5; i++) {
		W->visitor.n_got = 0;
		far_say(&W->visitor, GET "\r\n");
		far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
		expect_in(W->visitor.got, "200 OK");
	}
	assert_int_equal(W->core.demo.n_dials, 1);
	/* another visitor gets the same stream, a late one does not */
	wire_close(W->visitor.wire, 0);
	ev_sim_run_for(W->ev, 10);
	connect_visitor();
	far_say(&W->visitor, GET "\r\n");
	assert_int_equal(W->core.demo.n_dials, 1);
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
	ev_sim_run_for(W->ev, 5000);
	assert_true(W->target[0].eof);
	far_say(&W->visitor, GET "\r\n");
	assert_int_equal(W->core.demo.n_dials, 2);
	world_close();
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
		 "POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 0\r\n\r\n", 1, "502 Bad"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		world_open(NULL);
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
		world_close();
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
		{"for a browser", 0, ERR_NOROUTE, false, "Accept: text/html,*/*;q=0.8\r\n", "<!doctype html>"},
		{"for a program", 0, ERR_NOROUTE, false, "Accept: application/json\r\n", "{\"status\":404,"},
		{"for curl", 0, ERR_NOROUTE, false, "Accept: */*\r\n", "text/plain"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char request[200];

		print_message("# %s\n", cases[i].why);
		world_open(NULL);
		W->core.connected = cases[i].connected;
		W->core.demo.dial_error = cases[i].dial;
		W->core.lookup_answer = cases[i].lookup;
		snprintf(request, sizeof request, GET "%s\r\n", cases[i].accept);
		far_say(&W->visitor, request);
		expect_in(W->visitor.got, cases[i].want);
		assert_false(W->visitor.eof);
		world_close();
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
		world_open(NULL);
		far_say(&W->visitor, cases[i].bytes);
		expect_in(W->visitor.got, "HTTP/1.1 508 ");
		assert_int_equal(W->core.demo.n_dials, 0);
		world_close();
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
		{"in the middle of the head", "HTTP/1.1 200 OK\r\nConte", 0, "HTTP/1.1 502 ", false},
		{"in the middle of the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 0, "abc",
		 true},
		{"in the middle of a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 0,
		 "ab", true},
		{"its end is the end of the body", "HTTP/1.1 200 OK\r\n\r\nabc", 0,
		 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		world_open(NULL);
		far_say(&W->visitor, "POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 0\r\n\r\n");
		far_say(&W->target[0], cases[i].partial);
		wire_close(W->target[0].wire, cases[i].reset);
		W->target[0].wire = NULL;
		ev_sim_run_for(W->ev, 10);
		expect_in(W->visitor.got, cases[i].want);
		assert_int_equal(W->visitor.why != 0, cases[i].aborted);
		assert_int_equal(http_ingress_load(W->ingress), 0);
		world_close();
	}
}

static void test_early_answer_to_a_long_request(void **state)
{
	world_open(NULL);
	far_say(&W->visitor, "POST / HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 1000\r\n\r\nabc");
	far_say(&W->target[0], "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
	expect_in(W->visitor.got, "HTTP/1.1 413 ");
	expect_in(W->visitor.got, "no");
	assert_true(W->visitor.eof);
	assert_int_equal(W->target[0].why, ERR_RESET);
	world_close();
}

static void test_upgrade_keeps_early_bytes(void **state)
{
	world_open(NULL);
	far_say(&W->visitor, GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
	expect_in(W->target[0].got, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	expect_in(W->target[0].got, "X-Forwarded-For: 192.0.2.7\r\n");
	expect_not_in(W->target[0].got, "early");
	far_say(&W->target[0],
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
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
	world_close();
}

static void test_visitor_leaves(void **state)
{
	world_open(NULL);
	far_say(&W->visitor, GET "\r\n");
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
	wire_close(W->visitor.wire, ERR_RESET);
	W->visitor.wire = NULL;
	ev_sim_run_for(W->ev, 10);
	assert_int_equal(W->target[0].why, ERR_RESET);
	assert_true(W->conn_closed);
	assert_int_equal(http_ingress_load(W->ingress), 0);
	world_close();
}

static void test_pipelined_requests_come_in_order(void **state)
{
	world_open(NULL);
	far_say(&W->visitor, GET "X-N: 1\r\n\r\n" GET "X-N: 2\r\n\r\n");
	expect_in(W->target[0].got, "X-N: 1");
	expect_not_in(W->target[0].got, "X-N: 2");
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
	expect_in(W->target[0].got, "X-N: 2");
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
	expect_in(W->visitor.got, "\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
	world_close();
}

static void test_slow_heads_and_idle_connections_end(void **state)
{
	world_open(NULL);
	ev_sim_run_for(W->ev, 4000);
	far_say(&W->visitor, "GET / HT");
	assert_false(W->visitor.eof);
	ev_sim_run_for(W->ev, 5000);
	expect_in(W->visitor.got, "HTTP/1.1 408 ");
	assert_true(W->visitor.eof);
	world_close();

	world_open(NULL);
	ev_sim_run_for(W->ev, 5001);
	assert_true(W->visitor.eof); /* never said a word */
	world_close();

	world_open(NULL);
	far_say(&W->visitor, GET "\r\n");
	ev_sim_run_for(W->ev, 60000); /* a slow answer is not an idle visitor */
	far_say(&W->target[0], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
	expect_in(W->visitor.got, "200 OK");
	ev_sim_run_for(W->ev, 9900);
	assert_false(W->visitor.eof);
	ev_sim_run_for(W->ev, 200);
	assert_true(W->visitor.eof);
	world_close();
}

static void test_large_bodies_with_slow_readers(void **state)
{
	char body[60000];

	memset(body, 'x', sizeof body - 1);
	body[sizeof body - 1] = '\0';
	world_open(NULL);
	world_close();
	world_open(NULL);
	W->mem_cap = 1000;
	wire_close(W->visitor.wire, 0);
	ev_sim_run_for(W->ev, 10);
	connect_visitor();
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
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_exchange),
		cmocka_unit_test(test_every_split_gives_the_same),
		cmocka_unit_test(test_what_the_target_learns),
		cmocka_unit_test(test_streams_are_used_again),
		cmocka_unit_test(test_a_closed_stream_is_tried_again),
		cmocka_unit_test(test_failures_have_pages),
		cmocka_unit_test(test_loops_are_found),
		cmocka_unit_test(test_target_fails),
		cmocka_unit_test(test_early_answer_to_a_long_request),
		cmocka_unit_test(test_upgrade_keeps_early_bytes),
		cmocka_unit_test(test_visitor_leaves),
		cmocka_unit_test(test_pipelined_requests_come_in_order),
		cmocka_unit_test(test_slow_heads_and_idle_connections_end),
		cmocka_unit_test(test_large_bodies_with_slow_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
