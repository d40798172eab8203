#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/peek.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK_2	  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/*
 * One stream: pieces that pass, '>' from the visitor, '<' from the target, '|' alone: the target's
 * end. What it tells: "METHOD path status up/down[ cut]" joined by "; ".
 */
static const struct {
	const char *why;
	const char *pieces[10];
	const char *want;
} cases[] = {
	{"one request", {">" GET("/a"), "<" OK_2}, "GET /a 200 0/2"},
	{"keep-alive",
	 {">" GET("/a"), "<" OK_2, ">" GET("/b"), "<" OK_2},
	 "GET /a 200 0/2; GET /b 200 0/2"},
	{"pipelined", {">" GET("/a") GET("/b"), "<" OK_2 OK_2}, "GET /a 200 0/2; GET /b 200 0/2"},
	{"a body up",
	 {">POST /p?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET("/n"), "<" OK_2,
	  "<" OK_2},
	 "POST /p?q=1 200 5/2; GET /n 200 0/2"},
	{"chunked both ways",
	 {">POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	  "<HTTP/1.1 201 Created\r\nTransfer-Encoding: "
	  "chunked\r\n\r\n4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n",
	  ">" GET("/n"), "<" OK_2},
	 "POST / 201 3/5; GET /n 200 0/2"},
	{"no body: HEAD and 304",
	 {">HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "<HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
	  ">" GET("/c"), "<HTTP/1.1 304 Not Modified\r\n\r\n"},
	 "HEAD / 200 0/0; GET /c 304 0/0"},
	{"a PROXY header stands before the first request",
	 {">PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n" GET("/a"), "<" OK_2, ">" GET("/b"),
	  "<" OK_2},
	 "GET /a 200 0/2; GET /b 200 0/2"},
	{"a PROXY header in pieces",
	 {">P", ">ROXY TCP4 192.0.2.1 192.0.2.2", "> 4711 80\r",
	  ">\nGET /a HTTP/1.1\r\nHost: ", ">a\r\n\r\n", "<" OK_2},
	 "GET /a 200 0/2"},
	{"bytes that only begin like a PROXY header",
	 {">\r\n\r\n", ">\x01\r\nQUIT\n", "<" OK_2},
	 ""},
	{"a method that begins like a PROXY header",
	 {">POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "<" OK_2},
	 "POST / 200 0/2"},
	{"a PROXY header in the middle is none",
	 {">" GET("/a"), "<" OK_2, ">PROXY UNKNOWN\r\n" GET("/b"), "<" OK_2},
	 "GET /a 200 0/2"},
	{"interim answers are passed over",
	 {">" GET("/a"),
	  "<HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" OK_2},
	 "GET /a 200 0/2"},
	{"an answer up to the end",
	 {">" GET("/a"), "<HTTP/1.1 200 OK\r\n\r\nabc", "<def", "|"},
	 "GET /a 200 0/6"},
	{"an answer that was cut",
	 {">" GET("/a"), "<HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "|"},
	 "GET /a 200 0/3 cut"},
	{"no answer at all", {">" GET("/a")}, "GET /a 0 0/0 cut"},
	{"the second one has no answer",
	 {">" GET("/a") GET("/b"), "<" OK_2},
	 "GET /a 200 0/2; GET /b 0 0/0 cut"},
	{"an upgrade is told, then nothing is watched",
	 {">GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	  "<HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: "
	  "websocket\r\n\r\n\x81\x02hi",
	  ">\x81\x02hi", "<" OK_2},
	 "GET /ws 101 0/0"},
	{"an upgrade with early bytes",
	 {">GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: "
	  "websocket\r\n\r\n\x81\x02hi",
	  "<HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
	 "GET /ws 101 0/0"},
	{"an upgrade that is refused: the stream goes on",
	 {">GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	  "<" OK_2, ">" GET("/n"), "<" OK_2},
	 "GET /ws 200 0/2; GET /n 200 0/2"},
	{"refused, but something followed it: no guessing",
	 {">GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nGET",
	  "<" OK_2, "> /n HTTP/1.1\r\nHost: a\r\n\r\n", "<" OK_2},
	 "GET /ws 200 0/2"},
	{"garbage from the visitor", {">\x16\x03\x01\x02", "<" OK_2, ">" GET("/")}, ""},
	{"garbage from the target", {">" GET("/a"), "<hello\r\n\r\n", ">" GET("/b"), "<" OK_2}, ""},
	{"an answer nobody asked for", {"<" OK_2, ">" GET("/a"), "<" OK_2}, ""},
	{"a bad chunk",
	 {">POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "<" OK_2},
	 ""},
	{"nothing", {"|"}, ""},
};

struct heard {
	char text[2048];
	size_t len;
	uint64_t ms; /* of the last one */
};

static void heard_request(void *arg, const struct peek_request *r)
{
	struct heard *h = arg;

	h->ms = r->ms;
	h->len += str_printf(h->text + h->len, sizeof h->text - h->len, "%s%s %s %u %u/%u%s",
			     h->len > 0 ? "; " : "", r->method, r->path, r->status, (unsigned)r->up,
			     (unsigned)r->down, r->cut ? " cut" : "");
}

/* Whatever is watched, the same bytes come out. */
static void pass(pump_filter_fn *filter, struct peek *p, struct str in)
{
	struct pump_out out = {.n_iov = 0};
	struct str all = in;
	bool end = false;

	assert_int_equal(filter(p, &in, &out, &end), 0);
	assert_false(end);
	assert_int_equal(in.len, 0);
	if (all.len == 0) {
		assert_int_equal(out.n_iov, 0);
		return;
	}
	assert_int_equal(out.n_iov, 1);
	assert_ptr_equal(out.iov[0].iov_base, all.p);
	assert_int_equal(out.iov[0].iov_len, all.len);
}

/* In exact-size heap copies, so that reading behind a piece is seen. */
static void pass_copy(pump_filter_fn *filter, struct peek *p, const char *bytes, size_t len)
{
	char *copy = malloc(len);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	pass(filter, p, (struct str){copy, len});
	free(copy);
}

static void run(struct ev *ev, size_t i, size_t step, struct heard *h)
{
	struct peek *p;

	*h = (struct heard){.len = 0};
	assert_int_equal(peek_new(ev, heard_request, h, &p), 0);
	for (size_t k = 0; k < ARRAY_LEN(cases[i].pieces) && cases[i].pieces[k] != NULL; k++) {
		const char *piece = cases[i].pieces[k];
		pump_filter_fn *filter = piece[0] == '>' ? peek_up : peek_down;
		size_t len = strlen(piece + 1);

		if (piece[0] == '|')
			pass(peek_down, p, (struct str){NULL, 0});
		for (size_t at = 0; at < len; at += step)
			pass_copy(filter, p, piece + 1 + at, MIN(step, len - at));
	}
	peek_free(p);
	ev_sim_run_for(ev, 1);
}

static void test_tells_each_request(void **state)
{
	struct ev *ev;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/* whole, byte by byte, and in every size between */
		for (size_t step = 1; step < 160; step++) {
			struct heard h;

			run(ev, i, step, &h);
			if (strcmp(h.text, cases[i].want) != 0)
				fail_msg("%s, in pieces of %zu: \"%s\"", cases[i].why, step,
					 h.text);
		}
	}
	ev_free(ev);
}

static void test_measures_time(void **state)
{
	struct heard h = {.len = 0};
	struct peek *p;
	struct ev *ev;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	assert_int_equal(peek_new(ev, heard_request, &h, &p), 0);
	pass(peek_up, p, STR(GET("/a")));
	ev_sim_run_for(ev, 120);
	pass(peek_down, p, STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh"));
	ev_sim_run_for(ev, 30);
	pass(peek_down, p, STR("i"));
	assert_int_equal(h.ms, 150);
	assert_string_equal(h.text, "GET /a 200 0/2");
	peek_free(p);
	ev_free(ev);
}

static void test_bounds(void **state)
{
	static char head[200 * 1024];
	struct heard h = {.len = 0};
	struct peek *p;
	struct ev *ev;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	/* more requests on the way than are remembered */
	assert_int_equal(peek_new(ev, heard_request, &h, &p), 0);
	for (int i = 0; i < PEEK_WAITING_MAX + 1; i++)
		pass(peek_up, p, STR(GET("/a")));
	pass(peek_down, p, STR(OK_2));
	peek_free(p);
	assert_string_equal(h.text, "");

	/* a head that never ends */
	assert_int_equal(peek_new(ev, heard_request, &h, &p), 0);
	memset(head, 'a', sizeof head);
	memcpy(head, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
	for (size_t at = 0; at < sizeof head; at += 1000)
		pass(peek_up, p, (struct str){head + at, MIN(1000, sizeof head - at)});
	peek_free(p);
	assert_string_equal(h.text, "");

	/* a path that is longer than what is kept */
	assert_int_equal(peek_new(ev, heard_request, &h, &p), 0);
	str_printf(head, sizeof head, "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", 5000, 1);
	pass(peek_up, p, str_of(head));
	peek_free(p);
	assert_in_range(strlen(h.text), 1000, 1100);
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_each_request),
		cmocka_unit_test(test_measures_time),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
