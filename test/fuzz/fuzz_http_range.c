/*
 * Ranges, conditions and dates. Input: the value of Range, a line break, more fields of a head.
 * Whatever is asked for, what is sent lies within the file and no byte of it twice.
 */
#include <string.h>

#include "base/err.h"
#include "proto/http_cond.h"
#include "proto/http_date.h"
#include "proto/http_range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_ranges(struct str value, uint64_t size)
{
	struct http_ranges r;
	char text[HTTP_RANGE_TEXT];
	enum http_range_want want = http_range_parse(value, size, &r);

	CHECK((want == HTTP_RANGE_PARTS) == (r.n > 0) || want == HTTP_RANGE_WHOLE);
	if (want != HTTP_RANGE_PARTS)
		return;
	CHECK(r.n <= HTTP_RANGES_MAX);
	for (size_t i = 0; i < r.n; i++) {
		CHECK(r.v[i].len > 0 && r.v[i].first < size && r.v[i].len <= size - r.v[i].first);
		CHECK(http_range_format(&r.v[i], size, text) < HTTP_RANGE_TEXT - 1);
		for (size_t k = 0; k < i; k++)
			CHECK(r.v[i].first >= r.v[k].first + r.v[k].len ||
			      r.v[k].first >= r.v[i].first + r.v[i].len);
	}
}

/* A date that can be read is written as one that is read the same. */
static void fuzz_date(struct str text)
{
	char again[HTTP_DATE_TEXT];
	int64_t s, t;

	if (http_date_parse(text, 1800000000, &s) != 0 || s < 0 || s > HTTP_DATE_MAX)
		return;
	http_date_format(s, again);
	CHECK(http_date_parse(str_of(again), 1800000000, &t) == 0 && s == t);
}

static void fuzz_conditions(struct str fields)
{
	static char text[8192];
	struct http_validators v = {.etag = STR("\"a\""),
				    .has_modified = true,
				    .modified_s = 784111777,
				    .now_s = 1800000000};
	struct http_request req;
	size_t scanned = 0, n;
	enum http_cond c;

	n = str_printf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
	if (fields.len > sizeof text - n - 4)
		return;
	memcpy(text + n, fields.p, fields.len);
	memcpy(text + n + fields.len, "\r\n\r\n", 4);
	if (http_request_parse((struct str){text, n + fields.len + 4}, &scanned, &req) != 0)
		return;
	c = http_cond_check(&req.head, &v);
	CHECK(c == HTTP_COND_GO || c == HTTP_COND_SAME || c == HTTP_COND_FAILED);
	CHECK(http_cond_range(&req.head, &v) ||
	      http_cond_field(&req.head, STR("If-Range"), NULL) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t sizes[] = {0, 1, 10, 1000, UINT64_MAX};
	struct str rest = {(const char *)data, size}, value = {0};

	if (!str_next(&rest, '\n', &value))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		fuzz_ranges(value, sizes[i]);
	fuzz_date(value);
	if (rest.p != NULL)
		fuzz_conditions(rest);
	return 0;
}
