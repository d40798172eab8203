/* Conditions of a GET: every field alone, and which of two counts. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "proto/http_cond.h"

#define MODIFIED 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define SAME	 "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE	 "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER	 "Mon, 07 Nov 1994 08:49:37 GMT"

static void parse(const char *fields, struct http_request *req)
{
	static char text[2048];
	size_t scanned = 0, n;

	n = str_printf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
	assert_int_equal(http_request_parse((struct str){text, n}, &scanned, req), 0);
}

static const struct {
	const char *why, *fields;
	enum http_cond want;
	bool bare; /* of something without validators */
} cases[] = {
	{"no condition", "", HTTP_COND_GO},
	{"the reader has it", "If-None-Match: \"a\"\r\n", HTTP_COND_SAME},
	{"in lower case", "if-none-match: \"a\"\r\n", HTTP_COND_SAME},
	{"a weak tag is as good", "If-None-Match: W/\"a\"\r\n", HTTP_COND_SAME},
	{"one of several", "If-None-Match: \"x\", W/\"y\" ,\"a\"\r\n", HTTP_COND_SAME},
	{"in a second field", "If-None-Match: \"x\"\r\nIf-None-Match: \"a\"\r\n", HTTP_COND_SAME},
	{"anything", "If-None-Match: *\r\n", HTTP_COND_SAME},
	{"anything, of what has no tag", "If-None-Match: *\r\n", HTTP_COND_SAME, true},
	{"another one", "If-None-Match: \"b\"\r\n", HTTP_COND_GO},
	{"a comma in a tag", "If-None-Match: \"x,\"a\"\"\r\n", HTTP_COND_GO},
	{"no quotes", "If-None-Match: a\r\n", HTTP_COND_GO},
	{"one quote", "If-None-Match: \"a\r\n", HTTP_COND_GO},
	{"an empty tag, of what has none", "If-None-Match: \"\"\r\n", HTTP_COND_GO, true},
	{"not changed since", "If-Modified-Since: " SAME "\r\n", HTTP_COND_SAME},
	{"not changed for long", "If-Modified-Since: " AFTER "\r\n", HTTP_COND_SAME},
	{"changed since", "If-Modified-Since: " BEFORE "\r\n", HTTP_COND_GO},
	{"no date", "If-Modified-Since: yesterday\r\n", HTTP_COND_GO},
	{"nobody knows", "If-Modified-Since: " AFTER "\r\n", HTTP_COND_GO, true},
	{"the tag counts, not the date", "If-Modified-Since: " AFTER "\r\nIf-None-Match: \"b\"\r\n",
	 HTTP_COND_GO},
	{"still this one", "If-Match: \"b\", \"a\"\r\n", HTTP_COND_GO},
	{"still anything", "If-Match: *\r\n", HTTP_COND_GO},
	{"not any more", "If-Match: \"b\"\r\n", HTTP_COND_FAILED},
	{"a weak tag is no proof", "If-Match: W/\"a\"\r\n", HTTP_COND_FAILED},
	{"a tag of what has none", "If-Match: \"a\"\r\n", HTTP_COND_FAILED, true},
	{"unmodified", "If-Unmodified-Since: " SAME "\r\n", HTTP_COND_GO},
	{"modified", "If-Unmodified-Since: " BEFORE "\r\n", HTTP_COND_FAILED},
	{"If-Match counts, not the date", "If-Unmodified-Since: " BEFORE "\r\nIf-Match: \"a\"\r\n",
	 HTTP_COND_GO},
	{"still this one, so the reader has it", "If-Match: \"a\"\r\nIf-None-Match: \"a\"\r\n",
	 HTTP_COND_SAME},
	{"failed comes first", "If-Match: \"b\"\r\nIf-None-Match: \"a\"\r\n", HTTP_COND_FAILED},
};

static void test_check(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_validators v = {.etag = STR("\"a\""),
					    .has_modified = true,
					    .modified_s = MODIFIED,
					    .now_s = MODIFIED + 1000};
		struct http_request req;
		enum http_cond got;

		if (cases[i].bare)
			v = (struct http_validators){.now_s = MODIFIED + 1000};
		parse(cases[i].fields, &req);
		if ((got = http_cond_check(&req.head, &v)) != cases[i].want)
			fail_msg("%s: %d", cases[i].why, got);
	}
}

static const struct {
	const char *why, *fields;
	bool want, fresh;
} ranges[] = {
	{"no condition", "", true},
	{"the same tag", "If-Range: \"a\"\r\n", true},
	{"another tag", "If-Range: \"b\"\r\n", false},
	{"a weak tag", "If-Range: W/\"a\"\r\n", false},
	{"two tags", "If-Range: \"a\", \"b\"\r\n", false},
	{"two fields", "If-Range: \"a\"\r\nIf-Range: \"a\"\r\n", false},
	{"any tag", "If-Range: *\r\n", false},
	{"the same date", "If-Range: " SAME "\r\n", true},
	{"a later date", "If-Range: " AFTER "\r\n", false},
	{"the date of this very second", "If-Range: " SAME "\r\n", false, true},
	{"neither", "If-Range: x\r\n", false},
};

static void test_range(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		struct http_validators v = {.etag = STR("\"a\""),
					    .has_modified = true,
					    .modified_s = MODIFIED,
					    .now_s = MODIFIED + !ranges[i].fresh};
		struct http_request req;

		parse(ranges[i].fields, &req);
		if (http_cond_range(&req.head, &v) != ranges[i].want)
			fail_msg("%s", ranges[i].why);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
