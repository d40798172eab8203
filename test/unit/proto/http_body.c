/* Bodies: the same content however they arrive, and no second reading of a chunk. */
#include "proto/http_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

struct result {
	int e;
	bool done;
	char data[512];
	size_t data_len, used;
};

/* Feed the bytes in pieces of `step` (the last one shorter); each piece stands in its own memory.
 */
static struct result feed(struct http_body *b, struct str all, size_t step)
{
	struct result r = {0};

	while (r.used < all.len && !b->done && r.e == 0) {
		size_t n = MIN(step, all.len - r.used);
		char *piece = malloc(n);
		struct str in = {piece, n}, data;

		assert_non_null(piece);
		memcpy(piece, all.p + r.used, n);
		do {
			r.e = http_body_next(b, &in, &data);
			if (r.e == 0 && data.len > 0) {
				assert_true(r.data_len + data.len <= sizeof r.data);
				memcpy(r.data + r.data_len, data.p, data.len);
				r.data_len += data.len;
			}
		} while (r.e == 0 && data.len > 0);
		if (r.e == 0 && !b->done)
			assert_int_equal(in.len, 0);
		r.used += n - in.len;
		free(piece);
	}
	r.done = b->done;
	return r;
}

static const struct chunked {
	const char *why, *bytes;
	int want;
	bool done;
	const char *data, *rest; /* rest: what belongs to the next message */
} chunked[] = {
	{"one chunk", "5\r\nhello\r\n0\r\n\r\n", 0, true, "hello", ""},
	{"two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 0, true, "hello world", ""},
	{"none at all", "0\r\n\r\n", 0, true, "", ""},
	{"the next request behind it", "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n", 0, true, "x",
	 "GET / HTTP/1.1\r\n"},
	{"hexadecimal in both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 0, true,
	 "01234567890123456789", ""},
	{"sixteen digits", "0000000000000001\r\nx\r\n0000\r\n\r\n", 0, true, "x", ""},
	{"extensions are passed over", "1;a=b;c=\"d;e\"\r\nx\r\n0;last\r\n\r\n", 0, true, "x", ""},
	{"space before an extension", "1 \t;a\r\nx\r\n0\r\n\r\n", 0, true, "x", ""},
	{"trailers are dropped", "1\r\nx\r\n0\r\nA: b\r\nDigest:\t c \r\n\r\nnext", 0, true, "x",
	 "next"},
	{"content that looks like framing", "7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", 0, true,
	 "0\r\n\r\n\r\n", ""},
	{"cut in the content", "5\r\nhel", 0, false, "hel", ""},
	{"cut in the size", "5", 0, false, "", ""},
	{"cut before the last LF", "0\r\n\r", 0, false, "", ""},

	{"no size", "\r\nx\r\n", ERR_PROTO},
	{"no digit", "x\r\n", ERR_PROTO},
	{"0x before the size", "0x5\r\nhello\r\n", ERR_PROTO},
	{"a sign", "+5\r\nhello\r\n", ERR_PROTO},
	{"a minus", "-1\r\n", ERR_PROTO},
	{"a space before the size", " 5\r\nhello\r\n", ERR_PROTO},
	{"a space behind the size", "5 \r\nhello\r\n", ERR_PROTO},
	{"an underscore in the size", "1_0\r\n", ERR_PROTO},
	{"seventeen digits", "00000000000000005\r\nhello\r\n", ERR_PROTO},
	{"a size that wraps", "10000000000000005\r\nhello\r\n", ERR_PROTO},
	{"an extension without size", ";a\r\n", ERR_PROTO},
	{"a bare LF behind the size", "5\nhello\r\n0\r\n\r\n", ERR_PROTO},
	{"a bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n", ERR_PROTO},
	{"a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", ERR_PROTO},
	{"a bare CR behind the size", "5\rhello\r\n0\r\n\r\n", ERR_PROTO},
	{"two CR behind the size", "5\r\r\nhello\r\n", ERR_PROTO},
	{"content longer than the size", "4\r\nhello\r\n0\r\n\r\n", ERR_PROTO},
	{"an LF alone behind the content", "5\r\nhello\n0\r\n\r\n", ERR_PROTO},
	{"a CR alone behind the content", "5\r\nhello\r0\r\n\r\n", ERR_PROTO},
	{"a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", ERR_PROTO},
	{"a space before a trailer's colon", "0\r\nA : b\r\n\r\n", ERR_PROTO},
	{"a trailer without a name", "0\r\n: b\r\n\r\n", ERR_PROTO},
	{"a trailer without a colon", "0\r\nnothing\r\n\r\n", ERR_PROTO},
	{"a bare LF in the trailers", "0\r\nA: b\n\r\n", ERR_PROTO},
	{"a bare CR in a trailer", "0\r\nA: b\rc\r\n\r\n", ERR_PROTO},
	{"an LF alone at the end", "0\r\n\n", ERR_PROTO},
	{"a request in place of the empty line", "0\r\nGET / HTTP/1.1\r\n", ERR_PROTO},
	{"a control character in a trailer", "0\r\nA: \001\r\n\r\n", ERR_PROTO},
};

static void test_chunked(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(chunked); i++) {
		const struct chunked *c = &chunked[i];
		struct str all = str_of(c->bytes);

		for (size_t step = 1; step <= all.len; step++) {
			struct http_body b;
			struct result r;

			http_body_init(&b, HTTP_BODY_CHUNKED, 0);
			r = feed(&b, all, step);
			if (r.e != c->want)
				fail_msg("%s, by %zu: %s", c->why, step, err_name(r.e));
			if (r.e != 0)
				continue;
			if (r.done != c->done || r.data_len != strlen(c->data) ||
			    memcmp(r.data, c->data, r.data_len) != 0 ||
			    r.used != all.len - strlen(c->rest))
				fail_msg("%s, by %zu: %.*s", c->why, step, (int)r.data_len, r.data);
			assert_int_equal(http_body_eof(&b), c->done ? 0 : ERR_PROTO);
		}
	}
}

static void test_other_framings(void **state)
{
	static const struct {
		const char *why;
		enum http_framing framing;
		uint64_t len;
		const char *bytes;
		bool done_first, done_then;
		const char *data;
		int eof;
	} cases[] = {
		{"none", HTTP_BODY_NONE, 0, "next", true, true, "", 0},
		{"a length of 0", HTTP_BODY_LENGTH, 0, "next", true, true, "", 0},
		{"a length, and the next message", HTTP_BODY_LENGTH, 5, "hellonext", false, true,
		 "hello", 0},
		{"exactly the length", HTTP_BODY_LENGTH, 5, "hello", false, true, "hello", 0},
		{"too short", HTTP_BODY_LENGTH, 5, "hell", false, false, "hell", ERR_PROTO},
		{"longer than all memory", HTTP_BODY_LENGTH, INT64_MAX, "x", false, false, "x",
		 ERR_PROTO},
		{"up to the end", HTTP_BODY_CLOSE, 0, "0\r\n\r\n", false, false, "0\r\n\r\n", 0},
		{"a tunnel", HTTP_BODY_TUNNEL, 0, "anything", false, false, "anything", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t step = 1; step <= strlen(cases[i].bytes); step++) {
			struct http_body b;
			struct result r;

			http_body_init(&b, cases[i].framing, cases[i].len);
			assert_int_equal(b.done, cases[i].done_first);
			r = feed(&b, str_of(cases[i].bytes), step);
			if (r.e != 0 || r.done != cases[i].done_then ||
			    r.data_len != strlen(cases[i].data) ||
			    memcmp(r.data, cases[i].data, r.data_len) != 0 ||
			    r.used != r.data_len || http_body_eof(&b) != cases[i].eof)
				fail_msg("%s, by %zu", cases[i].why, step);
			assert_int_equal(b.done, cases[i].eof == 0);
		}
}

/* Data is a part of the input, not a copy. */
static void test_no_copy(void **state)
{
	static const char bytes[] = "5\r\nhello\r\n0\r\n\r\n";
	struct str in = STR(bytes), data;
	struct http_body b;

	http_body_init(&b, HTTP_BODY_CHUNKED, 0);
	assert_int_equal(http_body_next(&b, &in, &data), 0);
	assert_ptr_equal(data.p, bytes + 3);
	assert_int_equal(data.len, 5);
	assert_int_equal(http_body_next(&b, &in, &data), 0);
	assert_int_equal(data.len, 0);
	assert_true(b.done);
}

/* The result of a body that consists of a front, n times a byte, and a back. */
static int feed_long(const char *front, size_t n, const char *back)
{
	size_t len = strlen(front) + n + strlen(back);
	char *bytes = malloc(len + 1);
	struct http_body b;
	struct result r;

	assert_non_null(bytes);
	memset(stpcpy(bytes, front), 'a', n);
	strcpy(bytes + strlen(front) + n, back);
	http_body_init(&b, HTTP_BODY_CHUNKED, 0);
	r = feed(&b, (struct str){bytes, len}, 100);
	free(bytes);
	return r.e != 0 ? r.e : b.done ? 0 : ERR_AGAIN;
}

static void test_limits(void **state)
{
	assert_int_equal(feed_long("0;", HTTP_CHUNK_EXT_MAX - 1, "\r\n\r\n"), 0);
	assert_int_equal(feed_long("0;", HTTP_CHUNK_EXT_MAX, "\r\n\r\n"), ERR_TOOBIG);
	assert_int_equal(feed_long("1;aaaaaaaa\r\nx\r\n0;", HTTP_CHUNK_EXT_MAX - 1, "\r\n\r\n"), 0);
	/* "A:" before and CR LF behind the value count */
	assert_int_equal(feed_long("0\r\nA:", HTTP_TRAILERS_MAX - 4, "\r\n\r\n"), 0);
	assert_int_equal(feed_long("0\r\nA:", HTTP_TRAILERS_MAX - 3, "\r\n\r\n"), ERR_TOOBIG);
	assert_int_equal(feed_long("0\r\nA:b\r\nA:", HTTP_TRAILERS_MAX - 8, "\r\n\r\n"),
			 ERR_TOOBIG);
}

static void test_chunk_head(void **state)
{
	static const struct {
		const char *why;
		size_t len;
		const char *want;
	} cases[] = {
		{"the least", 1, "1\r\n"},
		{"a digit above 9", 10, "a\r\n"},
		{"two digits", 16, "10\r\n"},
		{"a frame", 262144, "40000\r\n"},
		{"the most", SIZE_MAX, "ffffffffffffffff\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[HTTP_CHUNK_HEAD_MAX];
		struct str in = {out, http_chunk_head(out, cases[i].len)}, data;
		struct http_body b;

		if (!str_eq(in, str_of(cases[i].want)))
			fail_msg("%s: " STR_FMT, cases[i].why, STR_ARG(in));
		http_body_init(&b, HTTP_BODY_CHUNKED, 0);
		assert_int_equal(http_body_next(&b, &in, &data), 0);
		assert_int_equal(b.left, cases[i].len);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked),	   cmocka_unit_test(test_other_framings),
		cmocka_unit_test(test_no_copy),	   cmocka_unit_test(test_limits),
		cmocka_unit_test(test_chunk_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
