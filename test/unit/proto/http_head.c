/* Strict reading of request and response heads: the refusals are the point. */
#include "proto/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define GET  "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n"
#define HOST "Host: a.example\r\n"
#define END  "\r\n"
#define BROWSER                                                                        \
	"GET /a/b?c=d HTTP/1.1\r\nHost: hello.tim.example:8080\r\nUser-Agent: x/1\r\n" \
	"Accept: */*\r\nCookie: a=b; c=d\r\nX-Empty:\r\nConnection: keep-alive\r\n\r\n"

/* Parse from memory of exactly that size, so that the sanitizer sees a byte read too much. */
static int parse(struct str bytes, struct http_request *r)
{
	char *copy = malloc(bytes.len + 1);
	size_t scanned = 0;
	int e;

	assert_non_null(copy);
	memcpy(copy + 1, bytes.p, bytes.len);
	e = http_request_parse((struct str){copy + 1, bytes.len}, &scanned, r);
	free(copy);
	return e;
}

static const struct refusal {
	const char *why, *head;
	int want;
	unsigned status;
} refusals[] = {
	/* what makes a body's end ambiguous */
	{"CL.TE: length first", POST HOST "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n" END,
	 ERR_PROTO, 400},
	{"TE.CL: coding first", POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n" END,
	 ERR_PROTO, 400},
	{"a length of 0 beside chunked",
	 POST HOST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n" END, ERR_PROTO, 400},
	{"two lengths", POST HOST "Content-Length: 5\r\nContent-Length: 6\r\n" END, ERR_PROTO, 400},
	{"the same length twice", POST HOST "Content-Length: 5\r\ncontent-length: 5\r\n" END,
	 ERR_PROTO, 400},
	{"a list of lengths", POST HOST "Content-Length: 5, 6\r\n" END, ERR_PROTO, 400},
	{"a list of equal lengths", POST HOST "Content-Length: 5, 5\r\n" END, ERR_PROTO, 400},
	{"a sign before the length", POST HOST "Content-Length: +5\r\n" END, ERR_PROTO, 400},
	{"a negative length", POST HOST "Content-Length: -5\r\n" END, ERR_PROTO, 400},
	{"a hexadecimal length", POST HOST "Content-Length: 0x5\r\n" END, ERR_PROTO, 400},
	{"a length that may be octal", POST HOST "Content-Length: 010\r\n" END, ERR_PROTO, 400},
	{"a length with a space in it", POST HOST "Content-Length: 1 0\r\n" END, ERR_PROTO, 400},
	{"an empty length", POST HOST "Content-Length: \r\n" END, ERR_PROTO, 400},
	{"a length above 63 bits", POST HOST "Content-Length: 9223372036854775808\r\n" END,
	 ERR_PROTO, 400},
	{"a length that wraps to 5", POST HOST "Content-Length: 18446744073709551621\r\n" END,
	 ERR_PROTO, 400},
	{"TE.TE: a coding nobody has", POST HOST "Transfer-Encoding: xchunked\r\n" END, ERR_PROTO,
	 400},
	{"TE.TE: two fields",
	 POST HOST "Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n" END, ERR_PROTO, 400},
	{"TE.TE: the same twice",
	 POST HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, ERR_PROTO,
	 400},
	{"chunked twice in one field", POST HOST "Transfer-Encoding: chunked, chunked\r\n" END,
	 ERR_PROTO, 400},
	{"chunked is not last", POST HOST "Transfer-Encoding: chunked, gzip\r\n" END, ERR_PROTO,
	 400},
	{"another coding before chunked", POST HOST "Transfer-Encoding: gzip, chunked\r\n" END,
	 ERR_PROTO, 400},
	{"identity", POST HOST "Transfer-Encoding: identity\r\n" END, ERR_PROTO, 400},
	{"an empty coding", POST HOST "Transfer-Encoding:\r\n" END, ERR_PROTO, 400},
	{"a comma behind chunked", POST HOST "Transfer-Encoding: chunked,\r\n" END, ERR_PROTO, 400},
	{"chunked with a parameter", POST HOST "Transfer-Encoding: chunked;q=1\r\n" END, ERR_PROTO,
	 400},
	{"chunked in quotes", POST HOST "Transfer-Encoding: \"chunked\"\r\n" END, ERR_PROTO, 400},
	{"chunked behind a vertical tab", POST HOST "Transfer-Encoding: \vchunked\r\n" END,
	 ERR_PROTO, 400},
	{"chunked behind a byte above 127",
	 POST HOST "Transfer-Encoding: \xa0"
		   "chunked\r\n" END,
	 ERR_PROTO, 400},
	{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n" END,
	 ERR_PROTO, 400},
	{"a folded coding", POST HOST "Transfer-Encoding:\r\n chunked\r\n" END, ERR_PROTO, 400},

	/* the syntax of field lines */
	{"a space before the colon", POST HOST "Transfer-Encoding : chunked\r\n" END, ERR_PROTO,
	 400},
	{"a tab before the colon", POST HOST "Content-Length\t: 5\r\n" END, ERR_PROTO, 400},
	{"a space before the first field", GET " Host: a.example\r\n" END, ERR_PROTO, 400},
	{"a tab before a field", GET HOST "\tX: y\r\n" END, ERR_PROTO, 400},
	{"an empty name", GET HOST ": y\r\n" END, ERR_PROTO, 400},
	{"a line without colon", GET HOST "nothing\r\n" END, ERR_PROTO, 400},
	{"a name in parentheses", GET HOST "(x): y\r\n" END, ERR_PROTO, 400},
	{"a control character in a name", GET HOST "X\001Y: y\r\n" END, ERR_PROTO, 400},
	{"a byte above 127 in a name", GET HOST "X\xc3\xa9: y\r\n" END, ERR_PROTO, 400},
	{"a bare CR in a value", GET HOST "X: a\rb\r\n" END, ERR_PROTO, 400},
	{"a bare CR that hides a field", GET HOST "X: a\rContent-Length: 5\r\n" END, ERR_PROTO,
	 400},
	{"a bare LF in a value", GET HOST "X: a\nContent-Length: 5\r\n" END, ERR_PROTO, 400},
	{"two CR before the LF", GET HOST "X: a\r\r\n" END, ERR_PROTO, 400},
	{"lines that end in LF", "GET / HTTP/1.1\nHost: a.example\n\n", ERR_PROTO, 400},
	{"an escape in a value", GET HOST "X: a\033[0m\r\n" END, ERR_PROTO, 400},
	{"DEL in a long value", GET HOST "X: aaaaaaaaaaaaaaaaaaa\177aaaaaaaa\r\n" END, ERR_PROTO,
	 400},
	{"a CR where the fields end", GET HOST "\rX: y\r\n" END, ERR_PROTO, 400},

	/* Host */
	{"no Host", GET END, ERR_PROTO, 400},
	{"two Hosts", GET HOST HOST END, ERR_PROTO, 400},
	{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" HOST HOST END, ERR_PROTO, 400},
	{"an empty Host", GET "Host:\r\n" END, ERR_PROTO, 400},
	{"a Host that is a list", GET "Host: a.example, b.example\r\n" END, ERR_PROTO, 400},
	{"a Host with a path", GET "Host: a.example/x\r\n" END, ERR_PROTO, 400},
	{"a Host with user information", GET "Host: u@a.example\r\n" END, ERR_PROTO, 400},
	{"a Host with a bad port", GET "Host: a.example:http\r\n" END, ERR_PROTO, 400},
	{"a Host with a space", GET "Host: a example\r\n" END, ERR_PROTO, 400},
	{"a bad Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a_/b\r\n" END, ERR_PROTO, 400},

	/* the request line */
	{"absolute form against Host", "GET http://b.example/ HTTP/1.1\r\n" HOST END, ERR_PROTO,
	 400},
	{"absolute form with another port", "GET http://a.example:81/ HTTP/1.1\r\n" HOST END,
	 ERR_PROTO, 400},
	{"https is not port 80", "GET https://a.example/ HTTP/1.1\r\nHost: a.example:80\r\n" END,
	 ERR_PROTO, 400},
	{"absolute form without Host in 1.1", "GET http://a.example/ HTTP/1.1\r\n" END, ERR_PROTO,
	 400},
	{"absolute form with a user", "GET http://u@a.example/ HTTP/1.1\r\n" HOST END, ERR_PROTO,
	 400},
	{"absolute form without host", "GET http:///x HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"another scheme", "GET ftp://a.example/ HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"a scheme with one slash", "GET http:/a.example HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"no form at all", "GET a.example/x HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"authority form with GET", "GET a.example:80 HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"CONNECT with a path", "CONNECT / HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"CONNECT without port", "CONNECT a.example HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"CONNECT against Host", "CONNECT b.example:443 HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"asterisk with GET", "GET * HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"asterisk with more", "OPTIONS *x HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"a fragment", "GET /a#b HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"a raw space in the target", "GET /a b HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"a tab for a space", "GET\t/ HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"two spaces", "GET  / HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"two spaces before the version", "GET /  HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"a space behind the version", "GET / HTTP/1.1 \r\n" HOST END, ERR_PROTO, 400},
	{"a control character in the target", "GET /\001 HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"a byte above 127 in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"DEL in the target", "GET /\177 HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"a method with a slash", "GE/T / HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"a method of 33 bytes", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" HOST END,
	 ERR_PROTO, 400},
	{"no method", " / HTTP/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"HTTP/0.9", "GET /\r\n\r\n", ERR_PROTO, 400},
	{"a short line and nothing else", "GET / \r\n\r\n", ERR_PROTO, 400},
	{"two empty lines first", "\r\n\r\n" GET HOST END, ERR_PROTO, 400},
	{"an LF first", "\n" GET HOST END, ERR_PROTO, 400},
	{"a CR first", "\r" GET HOST END, ERR_PROTO, 400},
	{"http in lower case", "GET / http/1.1\r\n" HOST END, ERR_PROTO, 400},
	{"a version of two digits", "GET / HTTP/1.10\r\n" HOST END, ERR_PROTO, 400},
	{"a version without dot", "GET / HTTP/11\r\n" HOST END, ERR_PROTO, 400},
	{"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST END, ERR_UNSUPPORTED, 505},
	{"HTTP/0.9 by name", "GET / HTTP/0.9\r\n" HOST END, ERR_UNSUPPORTED, 505},
	{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ERR_UNSUPPORTED, 505},
	{"a TLS hello", "\026\003\001\002", ERR_PROTO, 400},
	{"an SSH version, no empty line yet", "SSH-2.0-OpenSSH_9.2\r\n", ERR_PROTO, 400},

	/* what fields mean */
	{"Connection with a bad name", GET HOST "Connection: close, a b\r\n" END, ERR_PROTO, 400},
	{"two Upgrades", GET HOST "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n" END,
	 ERR_PROTO, 400},
	{"an unknown expectation", GET HOST "Expect: 200-ok\r\n" END, ERR_UNSUPPORTED, 417},
	{"two expectations", GET HOST "Expect: 100-continue\r\nExpect: x\r\n" END, ERR_UNSUPPORTED,
	 417},
};

static void test_refusals(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *c = &refusals[i];
		struct http_request r;
		int e = parse(str_of(c->head), &r);

		if (e != c->want || r.head.refusal.status != c->status)
			fail_msg("%s: %s, status %u (%s)", c->why, err_name(e),
				 r.head.refusal.status, r.head.refusal.why);
		assert_non_null(r.head.refusal.why);
	}
}

/* A NUL cannot stand in the table of C strings. */
static void test_nul(void **state)
{
	static const struct str heads[] = {
		STR("GET /\0 HTTP/1.1\r\nHost: a.example\r\n\r\n"),
		STR("GET / HTTP/1.1\r\nHost: a.example\r\nX: a\0b\r\n\r\n"),
		STR("GET / HTTP/1.1\r\nHost: a.example\r\nX\0: b\r\n\r\n"),
		STR("\0GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
	};
	struct http_request r;

	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		assert_int_equal(parse(heads[i], &r), ERR_PROTO);
}

/* Each control character, at each place of a word of eight bytes, in a value. */
static void test_control_everywhere(void **state)
{
	char head[] = GET HOST "X: 0123456789abcdefghij\r\n" END;
	char *value = strstr(head, "0123");

	for (int c = 0; c < 256; c++) {
		bool bad = (c < 0x20 && c != '\t') || c == 0x7f;

		for (size_t at = 0; at < 20; at++) {
			char was = value[at];
			struct http_request r;

			value[at] = (char)c;
			assert_int_equal(parse((struct str){head, sizeof head - 1}, &r),
					 bad ? ERR_PROTO : 0);
			value[at] = was;
		}
	}
}

static const struct accepted {
	const char *why, *head;
	enum http_form form;
	const char *path, *host;
	enum http_framing framing;
	bool keep_alive;
} accepted[] = {
	{"the least there is", GET HOST END, HTTP_FORM_ORIGIN, "/", "a.example", HTTP_BODY_NONE,
	 true},
	{"one empty line first", "\r\n" GET HOST END, HTTP_FORM_ORIGIN, "/", "a.example",
	 HTTP_BODY_NONE, true},
	{"a browser", BROWSER, HTTP_FORM_ORIGIN, "/a/b?c=d", "hello.tim.example:8080",
	 HTTP_BODY_NONE, true},
	{"characters browsers leave unescaped",
	 "GET /a|b\"c<d>[e]{f}^`\\?q=~!$&'()*+,;=:@% HTTP/1.1\r\n" HOST END, HTTP_FORM_ORIGIN,
	 "/a|b\"c<d>[e]{f}^`\\?q=~!$&'()*+,;=:@%", "a.example", HTTP_BODY_NONE, true},
	{"two slashes are a path, not an authority", "GET //b.example/ HTTP/1.1\r\n" HOST END,
	 HTTP_FORM_ORIGIN, "//b.example/", "a.example", HTTP_BODY_NONE, true},
	{"absolute form", "GET http://a.example/x?y HTTP/1.1\r\n" HOST END, HTTP_FORM_ABSOLUTE,
	 "/x?y", "a.example", HTTP_BODY_NONE, true},
	{"absolute form, other case, default port",
	 "GET HTTP://A.Example:80/ HTTP/1.1\r\n" HOST END, HTTP_FORM_ABSOLUTE, "/", "a.example",
	 HTTP_BODY_NONE, true},
	{"absolute form of https", "GET https://a.example:443 HTTP/1.1\r\n" HOST END,
	 HTTP_FORM_ABSOLUTE, "", "a.example", HTTP_BODY_NONE, true},
	{"absolute form with a query and no path", "GET http://a.example?q HTTP/1.1\r\n" HOST END,
	 HTTP_FORM_ABSOLUTE, "?q", "a.example", HTTP_BODY_NONE, true},
	{"absolute form is the host in 1.0", "GET http://b.example/ HTTP/1.0\r\n" END,
	 HTTP_FORM_ABSOLUTE, "/", "b.example", HTTP_BODY_NONE, false},
	{"asterisk", "OPTIONS * HTTP/1.1\r\n" HOST END, HTTP_FORM_ASTERISK, "*", "a.example",
	 HTTP_BODY_NONE, true},
	{"CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n" END,
	 HTTP_FORM_AUTHORITY, "", "a.example:443", HTTP_BODY_NONE, true},
	{"CONNECT, Host without port", "CONNECT a.example:443 HTTP/1.1\r\n" HOST END,
	 HTTP_FORM_AUTHORITY, "", "a.example", HTTP_BODY_NONE, true},
	{"an IPv6 Host", GET "Host: [::1]:8080\r\n" END, HTTP_FORM_ORIGIN, "/", "[::1]:8080",
	 HTTP_BODY_NONE, true},
	{"no Host in 1.0", "GET / HTTP/1.0\r\n" END, HTTP_FORM_ORIGIN, "/", "", HTTP_BODY_NONE,
	 false},
	{"keep-alive in 1.0", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n" END, HTTP_FORM_ORIGIN,
	 "/", "", HTTP_BODY_NONE, true},
	{"close", GET HOST "Connection: foo ,, CLOSE\r\n" END, HTTP_FORM_ORIGIN, "/", "a.example",
	 HTTP_BODY_NONE, false},
	{"close wins over keep-alive",
	 GET HOST "Connection: close\r\nConnection: keep-alive\r\n" END, HTTP_FORM_ORIGIN, "/",
	 "a.example", HTTP_BODY_NONE, false},
	{"a length", POST HOST "content-LENGTH:\t 5 \t\r\n" END, HTTP_FORM_ORIGIN, "/", "a.example",
	 HTTP_BODY_LENGTH, true},
	{"a length of 0", POST HOST "Content-Length: 0\r\n" END, HTTP_FORM_ORIGIN, "/", "a.example",
	 HTTP_BODY_LENGTH, true},
	{"the longest length", POST HOST "Content-Length: 9223372036854775807\r\n" END,
	 HTTP_FORM_ORIGIN, "/", "a.example", HTTP_BODY_LENGTH, true},
	{"chunked in any case", POST HOST "Transfer-Encoding: CHUNKED\r\n" END, HTTP_FORM_ORIGIN,
	 "/", "a.example", HTTP_BODY_CHUNKED, true},
	{"obs-text in a value", GET HOST "X: \xc3\xa9\xff\r\n" END, HTTP_FORM_ORIGIN, "/",
	 "a.example", HTTP_BODY_NONE, true},
};

static void test_accepted(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
		const struct accepted *c = &accepted[i];
		struct str bytes = str_of(c->head);
		struct http_request r;
		size_t scanned = 0;
		int e = http_request_parse(bytes, &scanned, &r);

		if (e != 0)
			fail_msg("%s: %s (%s)", c->why, err_name(e), r.head.refusal.why);
		if (r.form != c->form || !str_eq(r.path, str_of(c->path)) ||
		    !str_eq(r.host, str_of(c->host)) || r.head.framing != c->framing ||
		    r.head.keep_alive != c->keep_alive || r.head.len != bytes.len)
			fail_msg("%s: form %d path " STR_FMT " host " STR_FMT " framing %d keep %d",
				 c->why, r.form, STR_ARG(r.path), STR_ARG(r.host), r.head.framing,
				 r.head.keep_alive);
	}
}

/* What the parts of a head come to. */
static void test_parts(void **state)
{
	static const char head[] =
		"PATCH /x HTTP/1.1\r\nhost: a.example\r\nX-A: 1\r\n"
		"Set-Cookie:a\r\nset-cookie:  b c \r\nContent-Length: 12\r\n\r\nrest";
	const struct http_field *f;
	struct http_request r;
	size_t scanned = 0;

	assert_int_equal(http_request_parse(STR(head), &scanned, &r), 0);
	assert_int_equal(r.head.len, sizeof head - 1 - strlen("rest"));
	assert_int_equal(r.method, HTTP_PATCH);
	assert_true(str_eq(r.method_name, STR("PATCH")));
	assert_true(str_eq(r.target, STR("/x")));
	assert_int_equal(r.scheme.len, 0);
	assert_int_equal(r.authority.len, 0);
	assert_int_equal(r.head.minor, 1);
	assert_int_equal(r.head.content_length, 12);
	assert_true(r.head.has_length);
	assert_false(r.expect_continue);
	assert_int_equal(r.head.n_fields, 5);
	assert_true(str_eq(r.head.fields[1].name, STR("X-A")));
	assert_int_equal(r.head.fields[1].id, HTTP_FIELD_OTHER);
	assert_null(http_head_find(&r.head, HTTP_FIELD_VIA));
	f = http_head_find(&r.head, HTTP_FIELD_SET_COOKIE);
	assert_true(f != NULL && str_eq(f->value, STR("a")));
	f = http_head_find_next(&r.head, f);
	assert_true(f != NULL && str_eq(f->value, STR("b c")));
	assert_null(http_head_find_next(&r.head, f));
}

static void test_methods(void **state)
{
	static const struct {
		const char *why, *method;
		enum http_method want;
	} cases[] = {
		{"a known one", "DELETE", HTTP_DELETE},
		{"methods have a case", "get", HTTP_OTHER},
		{"an unknown one is passed on", "PROPFIND", HTTP_OTHER},
		{"the longest allowed", "ABCDEFGHABCDEFGHABCDEFGHABCDEFGH", HTTP_OTHER},
	};
	struct http_request r;
	char head[128];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t scanned = 0;

		snprintf(head, sizeof head, "%s / HTTP/1.1\r\n" HOST END, cases[i].method);
		if (http_request_parse(str_of(head), &scanned, &r) != 0 ||
		    r.method != cases[i].want || !str_eq(r.method_name, str_of(cases[i].method)))
			fail_msg("%s", cases[i].why);
	}
}

static void test_upgrade_and_expect(void **state)
{
	static const struct {
		const char *why, *head, *upgrade;
		bool expect;
	} cases[] = {
		{"a WebSocket",
		 GET HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" END,
		 "websocket", false},
		{"Upgrade that Connection does not list", GET HOST "Upgrade: websocket\r\n" END, "",
		 false},
		{"Connection lists it, but there is none", GET HOST "Connection: upgrade\r\n" END,
		 "", false},
		{"Upgrade in HTTP/1.0 is ignored",
		 "GET / HTTP/1.0\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n" END, "",
		 false},
		{"100-continue", POST HOST "Expect: 100-Continue\r\nContent-Length: 5\r\n" END, "",
		 true},
		{"100-continue in HTTP/1.0 is ignored",
		 "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" END, "", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_request r;
		size_t scanned = 0;

		if (http_request_parse(str_of(cases[i].head), &scanned, &r) != 0 ||
		    !str_eq(r.head.upgrade, str_of(cases[i].upgrade)) ||
		    r.expect_continue != cases[i].expect)
			fail_msg("%s", cases[i].why);
	}
}

/* Which fields are marked as not to be passed on. */
static void test_hop_by_hop(void **state)
{
	static const char head[] =
		GET "Host: a.example\r\nConnection: X-Mine, host, cookie\r\nConnection: x-other\r\n"
		    "X-mine: 1\r\nX-Other: 2\r\nX-Mine: 3\r\nCookie: 4\r\nKeep-Alive: 5\r\n"
		    "X_Forwarded_For: 6\r\nX-Yours: 7\r\nX-Forwarded-For: 8\r\nTE: trailers\r\n"
		    "Content_Length: 9\r\nUser_Agent: 10\r\nVia: 1.1 x\r\n\r\n";
	static const uint8_t want[] = {
		HTTP_F_HOST,  HTTP_F_HOP, HTTP_F_HOP,	HTTP_F_HOP, HTTP_F_HOP,	       HTTP_F_HOP,
		HTTP_F_HOP,   HTTP_F_HOP, HTTP_F_ALIAS, 0,	    HTTP_F_FORWARDING, HTTP_F_HOP,
		HTTP_F_ALIAS, 0,	  HTTP_F_VIA,
	};
	struct http_request r;
	size_t scanned = 0;

	assert_int_equal(http_request_parse(STR(head), &scanned, &r), 0);
	assert_int_equal(r.head.n_fields, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		if (r.head.fields[i].flags != want[i])
			fail_msg("field %zu: flags %d", i, r.head.fields[i].flags);
}

/* Connection cannot make us forget how the message is framed. */
static void test_connection_names_framing(void **state)
{
	static const char head[] =
		POST HOST "Connection: content-length\r\nContent-Length: 5\r\n" END;
	struct http_request r;
	size_t scanned = 0;

	assert_int_equal(http_request_parse(STR(head), &scanned, &r), 0);
	assert_int_equal(r.head.framing, HTTP_BODY_LENGTH);
	assert_int_equal(r.head.content_length, 5);
	assert_int_equal(http_head_find(&r.head, HTTP_FIELD_CONTENT_LENGTH)->flags, HTTP_F_FRAMING);
}

/* Every shorter part of a head is not enough, whether searched before or not. */
static void test_byte_by_byte(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
		struct str all = str_of(accepted[i].head);
		struct http_request r;
		size_t drip = 0;

		for (size_t len = 0; len < all.len; len++) {
			struct str part = {all.p, len};

			assert_int_equal(parse(part, &r), ERR_AGAIN);
			assert_int_equal(http_request_parse(part, &drip, &r), ERR_AGAIN);
			assert_int_equal(drip, len);
		}
		assert_int_equal(http_request_parse(all, &drip, &r), 0);
		assert_int_equal(r.head.len, all.len);
	}
}

/* A head of n bytes: a request line, Host, and one field that fills it up. */
static char *head_of(size_t len)
{
	static const char front[] = GET HOST "X: ";
	char *head = malloc(len);

	assert_non_null(head);
	memset(head, 'a', len);
	memcpy(head, front, sizeof front - 1);
	memcpy(head + len - 4, "\r\n\r\n", 4);
	return head;
}

static void test_head_limit(void **state)
{
	struct http_request r;
	size_t scanned = 0;
	char *head = head_of(HTTP_HEAD_MAX);

	assert_int_equal(parse((struct str){head, HTTP_HEAD_MAX}, &r), 0);
	assert_int_equal(parse((struct str){head, HTTP_HEAD_MAX - 1}, &r), ERR_AGAIN);
	free(head);
	head = head_of(HTTP_HEAD_MAX + 1);
	assert_int_equal(parse((struct str){head, HTTP_HEAD_MAX + 1}, &r), ERR_TOOBIG);
	assert_int_equal(r.head.refusal.status, 431);
	for (size_t len = 1; len < HTTP_HEAD_MAX; len += 1000)
		assert_int_equal(http_request_parse((struct str){head, len}, &scanned, &r),
				 ERR_AGAIN);
	assert_int_equal(http_request_parse((struct str){head, HTTP_HEAD_MAX}, &scanned, &r),
			 ERR_TOOBIG);
	free(head);
}

static void test_target_limit(void **state)
{
	size_t len = HTTP_TARGET_MAX + 2048;
	char *head = malloc(len);
	struct http_request r;

	assert_non_null(head);
	for (size_t over = 0; over < 2; over++) {
		size_t n = (size_t)sprintf(head, "GET /");

		memset(head + n, 'a', HTTP_TARGET_MAX);
		n += HTTP_TARGET_MAX - 1 + over;
		n += (size_t)sprintf(head + n, " HTTP/1.1\r\n" HOST END);
		assert_int_equal(parse((struct str){head, n}, &r), over ? ERR_TOOBIG : 0);
		if (over)
			assert_int_equal(r.head.refusal.status, 414);
	}
	memset(head, 'a', len);
	assert_int_equal(parse((struct str){head, len}, &r), ERR_TOOBIG);
	assert_int_equal(r.head.refusal.status, 414);
	free(head);
}

/* A head with n lines of some text. */
static int parse_lines(const char *start, const char *line, size_t n)
{
	char *head = malloc(4096 + n * strlen(line)), *p;
	struct http_request r;
	int e;

	assert_non_null(head);
	p = stpcpy(head, start);
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, line);
	stpcpy(p, END);
	e = parse(str_of(head), &r);
	free(head);
	return e;
}

static void test_count_limits(void **state)
{
	assert_int_equal(parse_lines(GET HOST, "A: b\r\n", HTTP_FIELDS_MAX - 1), 0);
	assert_int_equal(parse_lines(GET HOST, "A: b\r\n", HTTP_FIELDS_MAX), ERR_TOOBIG);
	assert_int_equal(parse_lines(GET HOST, "Connection: a, b\r\n", 8), 0);
	assert_int_equal(parse_lines(GET HOST, "Connection: a, b\r\n", 9), ERR_TOOBIG);
}

static const struct reply {
	const char *why, *head;
	enum http_method asked;
	int want;
	unsigned status;
	enum http_framing framing;
	bool keep_alive;
} replies[] = {
	{"a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP_GET, 0, 200,
	 HTTP_BODY_LENGTH, true},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_GET, 0, 200,
	 HTTP_BODY_CHUNKED, true},
	{"no framing: up to the end", "HTTP/1.1 200 OK\r\n\r\n", HTTP_GET, 0, 200, HTTP_BODY_CLOSE,
	 false},
	{"HTTP/1.0 up to the end", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", HTTP_GET, 0,
	 200, HTTP_BODY_CLOSE, false},
	{"HTTP/1.0 kept alive",
	 "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", HTTP_GET, 0, 200,
	 HTTP_BODY_LENGTH, true},
	{"to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP_HEAD, 0, 200,
	 HTTP_BODY_NONE, true},
	{"to HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_HEAD, 0,
	 200, HTTP_BODY_NONE, true},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", HTTP_GET, 0, 204, HTTP_BODY_NONE, true},
	{"204 with a length of 0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", HTTP_GET,
	 0, 204, HTTP_BODY_NONE, true},
	{"204 that may send a body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
	 HTTP_GET, 0, 204, HTTP_BODY_NONE, false},
	{"304 with the length of the 200", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	 HTTP_GET, 0, 304, HTTP_BODY_NONE, true},
	{"100", "HTTP/1.1 100 Continue\r\n\r\n", HTTP_POST, 0, 100, HTTP_BODY_NONE, true},
	{"103", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", HTTP_GET, 0, 103, HTTP_BODY_NONE,
	 true},
	{"101", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	 HTTP_GET, 0, 101, HTTP_BODY_TUNNEL, false},
	{"200 to CONNECT", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP_CONNECT, 0, 200,
	 HTTP_BODY_TUNNEL, false},
	{"403 to CONNECT", "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n", HTTP_CONNECT, 0, 403,
	 HTTP_BODY_LENGTH, true},
	{"an empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", HTTP_GET, 0, 200,
	 HTTP_BODY_LENGTH, true},
	{"no reason and no space", "HTTP/1.1 599\r\nContent-Length: 0\r\n\r\n", HTTP_GET, 0, 599,
	 HTTP_BODY_LENGTH, true},
	{"close", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", HTTP_GET, 0,
	 200, HTTP_BODY_LENGTH, false},

	{"length and chunked",
	 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_GET,
	 ERR_PROTO},
	{"both, to HEAD",
	 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_HEAD,
	 ERR_PROTO},
	{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
	 HTTP_GET, ERR_PROTO},
	{"gzip as a transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	 HTTP_GET, ERR_PROTO},
	{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_GET,
	 ERR_PROTO},
	{"a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", HTTP_GET, ERR_PROTO},
	{"a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", HTTP_GET,
	 ERR_PROTO},
	{"lines that end in LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\n", HTTP_GET, ERR_PROTO},
	{"status 99", "HTTP/1.1 099 X\r\n\r\n", HTTP_GET, ERR_PROTO},
	{"status 600", "HTTP/1.1 600 X\r\n\r\n", HTTP_GET, ERR_PROTO},
	{"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", HTTP_GET, ERR_PROTO},
	{"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", HTTP_GET, ERR_PROTO},
	{"no status", "HTTP/1.1\r\n\r\n", HTTP_GET, ERR_PROTO},
	{"a control character in the reason", "HTTP/1.1 200 O\001K\r\n\r\n", HTTP_GET, ERR_PROTO},
	{"an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", HTTP_GET, ERR_PROTO},
	{"another protocol, at its first byte", "S", HTTP_GET, ERR_PROTO},
	{"another protocol", "ICY 200 OK\r\n\r\n", HTTP_GET, ERR_PROTO},
	{"another version", "HTTP/2.0 200 OK\r\n\r\n", HTTP_GET, ERR_UNSUPPORTED},
};

static void test_replies(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
		const struct reply *c = &replies[i];
		struct str all = str_of(c->head);
		struct http_response r;
		size_t scanned = 0;
		int e = http_response_parse(all, c->asked, &scanned, &r);

		if (e != c->want)
			fail_msg("%s: %s", c->why, err_name(e));
		if (e != 0) {
			assert_non_null(r.head.refusal.why);
			continue;
		}
		if (r.status != c->status || r.head.framing != c->framing ||
		    r.head.keep_alive != c->keep_alive || r.head.len != all.len)
			fail_msg("%s: %u, framing %d, keep %d", c->why, r.status, r.head.framing,
				 r.head.keep_alive);
		scanned = 0;
		for (size_t len = 0; len < all.len; len++)
			assert_int_equal(http_response_parse((struct str){all.p, len}, c->asked,
							     &scanned, &r),
					 ERR_AGAIN);
	}
}

static void test_reply_parts(void **state)
{
	struct http_response r;
	size_t scanned = 0;

	assert_int_equal(http_response_parse(STR("HTTP/1.1 404 Not  here\r\n\r\n"), HTTP_GET,
					     &scanned, &r),
			 0);
	assert_true(str_eq(r.reason, STR("Not  here")));
	assert_false(r.head.has_length);
	scanned = 0;
	assert_int_equal(http_response_parse(STR("HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n"),
					     HTTP_GET, &scanned, &r),
			 0);
	assert_true(r.head.has_length);
	assert_int_equal(r.head.content_length, 7);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_control_everywhere),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_upgrade_and_expect),
		cmocka_unit_test(test_hop_by_hop),
		cmocka_unit_test(test_connection_names_framing),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_head_limit),
		cmocka_unit_test(test_target_limit),
		cmocka_unit_test(test_count_limits),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_reply_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
