/* What leaves: heads written anew from what was understood, and small pages. */
#include "proto/http_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define CAP 4096

static const struct {
	const char *why, *head;
	unsigned drop;
	const char *want; /* after the request line */
} rewrites[] = {
	{"spaces and case", "GET / HTTP/1.1\r\nHOST:  a.example \r\nX-Y:z\r\n\r\n", 0,
	 "HOST: a.example\r\nX-Y: z\r\n\r\n"},
	{"hop-by-hop fields stay behind",
	 "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n"
	 "Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nTE: trailers\r\nTrailer: X\r\n"
	 "Upgrade: h2c\r\nHTTP2-Settings: x\r\nProxy-Authorization: x\r\nX-Last: 2\r\n\r\n",
	 0, "Host: a.example\r\nX-Last: 2\r\n\r\n"},
	{"the length is written as understood",
	 "POST / HTTP/1.1\r\nHost: a.example\r\ncontent-length:5\r\nX: y\r\n\r\n", 0,
	 "Host: a.example\r\nX: y\r\nContent-Length: 5\r\n\r\n"},
	{"a length of 0 is kept", "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n",
	 0, "Host: a.example\r\nContent-Length: 0\r\n\r\n"},
	{"so is chunked",
	 "POST / HTTP/1.1\r\nHost: a.example\r\nTRANSFER-ENCODING: Chunked\r\n\r\n", 0,
	 "Host: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{"aliases of what we set or understand",
	 "GET / HTTP/1.1\r\nHost: a.example\r\nX_Forwarded_For: 1\r\nContent_Length: 5\r\n"
	 "My_Field: 2\r\n\r\n",
	 0, "Host: a.example\r\nMy_Field: 2\r\n\r\n"},
	{"forwarding fields are kept if not dropped",
	 "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 1\r\nVia: 1.1 x\r\n\r\n", 0,
	 "Host: a.example\r\nX-Forwarded-For: 1\r\nVia: 1.1 x\r\n\r\n"},
	{"and left out if they are",
	 "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 1\r\nForwarded: for=1\r\n"
	 "X-Real-IP: 1\r\nVia: 1.1 x\r\nX: y\r\n\r\n",
	 HTTP_F_HOST | HTTP_F_FORWARDING, "Via: 1.1 x\r\nX: y\r\n\r\n"},
	{"an expectation that HTTP/1.0 does not have",
	 "GET / HTTP/1.0\r\nHost: a.example\r\nExpect: x\r\nexpect: 100-continue\r\n\r\n", 0,
	 "Host: a.example\r\n\r\n"},
	{"empty values and obs-text", "GET / HTTP/1.1\r\nHost: a.example\r\nX:\r\nY: \xff\r\n\r\n",
	 0, "Host: a.example\r\nX: \r\nY: \xff\r\n\r\n"},
};

static int rewrite(const struct http_request *r, unsigned drop, char *out, size_t cap, size_t *len)
{
	struct http_writer w;

	http_write_begin(&w, out, cap);
	http_write_request(&w, r->method_name, r->target);
	http_write_fields(&w, &r->head, drop);
	http_write_framing(&w, &r->head);
	return http_write_end(&w, len);
}

static void test_rewrite(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rewrites); i++) {
		struct http_request r;
		size_t scanned = 0, len, line;
		char out[CAP];

		assert_int_equal(http_request_parse(str_of(rewrites[i].head), &scanned, &r), 0);
		assert_int_equal(rewrite(&r, rewrites[i].drop, out, sizeof out, &len), 0);
		assert_true(len <= http_write_room(&r.head));
		line = str_find((struct str){out, len}, '\n') + 1;
		assert_memory_equal(out, rewrites[i].head, line - strlen("1.x\r\n"));
		if (!str_eq((struct str){out + line, len - line}, str_of(rewrites[i].want)))
			fail_msg("%s:\n%.*s", rewrites[i].why, (int)len, out);
	}
}

/* Every array that is too small is told, and nothing is written behind its end. */
static void test_too_small(void **state)
{
	struct http_request r;
	size_t scanned = 0, need, len;
	char out[CAP];

	assert_int_equal(http_request_parse(str_of(rewrites[2].head), &scanned, &r), 0);
	assert_int_equal(rewrite(&r, 0, out, sizeof out, &need), 0);
	for (size_t cap = 0; cap <= need; cap++) {
		char *small = malloc(cap + 1);

		assert_non_null(small);
		small[cap] = 'x';
		assert_int_equal(rewrite(&r, 0, small, cap, &len), cap < need ? ERR_TOOBIG : 0);
		assert_int_equal(len, cap < need ? 0 : need);
		assert_int_equal(small[cap], 'x');
		free(small);
	}
}

static void test_invalid(void **state)
{
	static const struct {
		const char *why, *name, *value;
		int want;
	} cases[] = {
		{"good", "X-A", "b c", 0},
		{"a line end in a value", "X-A", "b\r\nSet-Cookie: x", ERR_INVAL},
		{"an LF in a value", "X-A", "b\n", ERR_INVAL},
		{"a space in a name", "X A", "b", ERR_INVAL},
		{"a colon in a name", "X:", "b", ERR_INVAL},
		{"no name", "", "b", ERR_INVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_writer w;
		char out[CAP];
		size_t len;

		http_write_begin(&w, out, sizeof out);
		http_write_request(&w, STR("GET"), STR("/"));
		http_write_field(&w, str_of(cases[i].name), str_of(cases[i].value));
		http_write_number(&w, STR("X-N"), UINT64_MAX);
		if (http_write_end(&w, &len) != cases[i].want)
			fail_msg("%s", cases[i].why);
		if (cases[i].want == 0)
			assert_true(str_eq((struct str){out, len},
					   STR("GET / HTTP/1.1\r\nX-A: b c\r\n"
					       "X-N: 18446744073709551615\r\n\r\n")));
	}
}

static void test_start_lines(void **state)
{
	static const struct {
		const char *why, *method, *target;
		unsigned status;
		const char *reason, *want;
		int e;
	} cases[] = {
		{"a request", "GET", "/a?b", 0, "", "GET /a?b HTTP/1.1\r\n\r\n", 0},
		{"a space in the target", "GET", "/a b", 0, "", "", ERR_INVAL},
		{"a line end in the target", "GET", "/a\r\n", 0, "", "", ERR_INVAL},
		{"an empty target", "GET", "", 0, "", "", ERR_INVAL},
		{"a method of two words", "GET /", "/", 0, "", "", ERR_INVAL},
		{"a reason of the table", NULL, NULL, 508, "", "HTTP/1.1 508 Loop Detected\r\n\r\n",
		 0},
		{"an own reason", NULL, NULL, 200, "Fine", "HTTP/1.1 200 Fine\r\n\r\n", 0},
		{"a code not in the table", NULL, NULL, 299, "", "HTTP/1.1 299 Unknown\r\n\r\n", 0},
		{"a line end in the reason", NULL, NULL, 200, "OK\r\nX: y", "", ERR_INVAL},
		{"a code of two digits", NULL, NULL, 99, "", "", ERR_INVAL},
		{"a code above 599", NULL, NULL, 600, "", "", ERR_INVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_writer w;
		char out[CAP];
		size_t len;

		http_write_begin(&w, out, sizeof out);
		if (cases[i].method != NULL)
			http_write_request(&w, str_of(cases[i].method), str_of(cases[i].target));
		else
			http_write_status(&w, cases[i].status, str_of(cases[i].reason));
		if (http_write_end(&w, &len) != cases[i].e ||
		    !str_eq((struct str){out, len}, str_of(cases[i].want)))
			fail_msg("%s: %.*s", cases[i].why, (int)len, out);
	}
}

/* Each row of the table makes a status line that is read again. */
static void test_every_status(void **state)
{
	static const struct {
		unsigned code;
		struct str reason;
	} rows[] = {
#define STATUS(code, reason) {code, {reason, sizeof(reason) - 1}},
#include "proto/http_status.def"
#undef STATUS
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_response r;
		struct http_writer w;
		size_t scanned = 0, len;
		char out[CAP];

		http_write_begin(&w, out, sizeof out);
		http_write_status(&w, rows[i].code, (struct str){0});
		assert_int_equal(http_write_end(&w, &len), 0);
		assert_int_equal(http_response_parse((struct str){out, len}, HTTP_GET, &scanned,
						     &r),
				 0);
		assert_int_equal(r.status, rows[i].code);
		assert_true(str_eq(r.reason, rows[i].reason));
	}
}

static const struct {
	const char *why;
	struct http_page page;
	const char *want;
} pages[] = {
	{"a page",
	 {.status = 404,
	  .content_type = {"text/plain", 10},
	  .body = {"no\n", 3},
	  .fields = &(const struct http_field){.name = {"Retry-After", 11}, .value = {"5", 1}},
	  .n_fields = 1,
	  .close = true},
	 "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nRetry-After: 5\r\n"
	 "Content-Length: 3\r\nConnection: close\r\n\r\nno\n"},
	{"to HEAD",
	 {.status = 404,
	  .content_type = {"text/plain", 10},
	  .body = {"no\n", 3},
	  .head_only = true},
	 "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n"},
	{"no body", {.status = 200}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"204 tells no length", {.status = 204}, "HTTP/1.1 204 No Content\r\n\r\n"},
	{"100 is only a line", {.status = 100}, "HTTP/1.1 100 Continue\r\n\r\n"},
	{"the longest reason",
	 {.status = 431},
	 "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n\r\n"},
};

static void test_pages(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		struct buf b = {0};

		assert_int_equal(buf_add(&b, "before", 6, CAP), 0);
		assert_int_equal(http_write_page(&b, CAP, &pages[i].page), 0);
		buf_take(&b, 6);
		if (!str_eq(buf_str(&b), str_of(pages[i].want)))
			fail_msg("%s:\n" STR_FMT, pages[i].why, STR_ARG(buf_str(&b)));
		buf_free(&b);
	}
}

static void test_page_errors(void **state)
{
	struct http_page page = {.status = 200, .body = STR("hello")};
	struct buf b = {0};

	assert_int_equal(http_write_page(&b, 40, &page), ERR_TOOBIG);
	assert_int_equal(b.len, 0);
	page.content_type = STR("text/plain\r\nX: y");
	assert_int_equal(http_write_page(&b, CAP, &page), ERR_INVAL);
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

/* The length that a body-less reply tells goes on; the body does not. */
static void test_response_framing(void **state)
{
	static const struct {
		const char *why, *head;
		enum http_method asked;
		const char *want;
	} cases[] = {
		{"to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP_HEAD,
		 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
		{"to HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		 HTTP_HEAD, "HTTP/1.1 200 OK\r\n\r\n"},
		{"204 with a length it must not have",
		 "HTTP/1.1 204 Gone\r\nContent-Length: 5\r\n\r\n", HTTP_GET,
		 "HTTP/1.1 204 Gone\r\n\r\n"},
		{"304", "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n", HTTP_GET,
		 "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n"},
		{"up to the end", "HTTP/1.0 200 OK\r\nServer: x\r\n\r\n", HTTP_GET,
		 "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_response r;
		struct http_writer w;
		size_t scanned = 0, len;
		char out[CAP];

		assert_int_equal(http_response_parse(str_of(cases[i].head), cases[i].asked,
						     &scanned, &r),
				 0);
		http_write_begin(&w, out, sizeof out);
		http_write_status(&w, r.status, r.reason);
		http_write_fields(&w, &r.head, 0);
		http_write_framing(&w, &r.head);
		assert_int_equal(http_write_end(&w, &len), 0);
		assert_true(len <= http_write_room(&r.head));
		if (!str_eq((struct str){out, len}, str_of(cases[i].want)))
			fail_msg("%s:\n%.*s", cases[i].why, (int)len, out);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_start_lines),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_page_errors),
		cmocka_unit_test(test_response_framing),
		cmocka_unit_test(test_every_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
