/* What a refused request is told, and the one table of statuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "http/http_problem.h"
#include "proto/json.h"
#include "unit/http/http_rig.h"

static void refuse(struct rig *r, const struct http_request *req)
{
	http_problem_reply(r->conn, r->arg);
}

/* Leaves the answer in r->got; the caller closes the rig. */
static void ask(struct rig *r, const struct http_problem *p, const char *request)
{
	struct http_problem copy = *p;

	rig_open(r, ASK);
	r->ask = refuse;
	r->arg = &copy;
	rig_say(r, request);
}

static struct json *body_of(const struct rig *r)
{
	const char *body = strstr(r->got, "\r\n\r\n");
	struct json *j;

	assert_non_null(body);
	assert_int_equal(json_parse(str_of(body + 4), 100000, &j), 0);
	return j;
}

static void check_text(const struct json *j, const char *key, const char *want)
{
	struct str got;
	int e = json_get_text(j, key, &got);

	assert_int_equal(e, want == NULL ? ERR_NOTFOUND : 0);
	if (want != NULL && !str_eq(got, str_of(want)))
		fail_msg("%s: \"" STR_FMT "\", not \"%s\"", key, STR_ARG(got), want);
}

/* ---- the answer ---- */

static void test_fields(void **state)
{
	static const struct http_field allow = HTTP_PROBLEM_FIELD("Allow", "GET, PUT");
	static const struct {
		const char *why;
		struct http_problem p;
		const char *line, *field;
	} cases[] = {
		{"a status of its own",
		 {405, ERR_INVAL, "no", .extra = &allow, .n_extra = 1},
		 "405 Method Not Allowed",
		 "Allow: GET, PUT\r\n"},
		{"the status of the code",
		 {0, ERR_NOTFOUND, "no such tunnel"},
		 "404 Not Found",
		 "Content-Type: application/problem+json\r\n"},
		{"a credential is asked for",
		 {0, ERR_AUTH, "who are you"},
		 "401 Unauthorized",
		 "WWW-Authenticate: Bearer\r\n"},
		{"too often",
		 {0, ERR_LIMIT, "slowly"},
		 "429 Too Many Requests",
		 "Retry-After: 5\r\n"},
		{"not now",
		 {0, ERR_TIMEOUT, "later"},
		 "503 Service Unavailable",
		 "Retry-After: 5\r\n"},
		{"another protocol",
		 {426, ERR_UNSUPPORTED, "up"},
		 "426 Upgrade Required",
		 "Connection: Upgrade\r\n"},
		{"a full disk",
		 {0, ERR_FULL, "later"},
		 "507 Insufficient Storage",
		 "Content-Type: application/problem+json\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char line[80];
		struct rig r;

		print_message("# %s\n", cases[i].why);
		ask(&r, &cases[i].p, GET);
		snprintf(line, sizeof line, "HTTP/1.1 %s\r\n", cases[i].line);
		assert_memory_equal(r.got, line, strlen(line));
		assert_int_equal(rig_count(&r, cases[i].field), 1);
		assert_int_equal(rig_count(&r, "Cache-Control: no-store\r\n"), 1);
		assert_int_equal(rig_count(&r, "Retry-After"),
				 strstr(cases[i].field, "Retry") != NULL);
		assert_int_equal(rig_count(&r, "WWW-Authenticate"),
				 strstr(cases[i].field, "WWW") != NULL);
		assert_false(r.eof); /* a refusal is no reason to end */
		rig_close(&r);
	}
}

static void test_members(void **state)
{
	static char just[HTTP_PROBLEM_TEXT_MAX + 1], long_text[HTTP_PROBLEM_TEXT_MAX + 2];
	const struct {
		const char *why, *detail, *field, *want_detail, *want_field;
	} cases[] = {
		{"both", "must be a name", "ingress.http", "must be a name", "ingress.http"},
		{"neither", NULL, NULL, NULL, NULL},
		{"what needs escapes", "a \"b\"\x01\n", "\\", "a \"b\"\x01\n", "\\"},
		{"a field that is not UTF-8", "unknown", "\xff", "unknown", NULL},
		{"a detail that is not UTF-8", "\xc3", "name", NULL, "name"},
		{"the longest ones, all escapes", just, just, just, just},
		{"longer ones", long_text, long_text, NULL, NULL},
	};

	memset(just, 1, sizeof just - 1);
	memset(long_text, 'a', sizeof long_text - 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_problem p = {422, ERR_INVAL, cases[i].detail, cases[i].field};
		uint64_t status;
		struct json *j;
		struct rig r;

		print_message("# %s\n", cases[i].why);
		ask(&r, &p, GET);
		j = body_of(&r);
		check_text(j, "type", "about:blank");
		check_text(j, "title", err_text(ERR_INVAL));
		check_text(j, "code", "INVAL");
		check_text(j, "error", "INVAL");
		check_text(j, "detail", cases[i].want_detail);
		check_text(j, "field", cases[i].want_field);
		assert_int_equal(json_get_number(j, "status", 999, &status), 0);
		assert_int_equal(status, 422);
		json_free(j);
		rig_close(&r);
	}
}

static void test_head(void **state)
{
	struct rig r;

	ask(&r, &(struct http_problem){0, ERR_NOTFOUND, "no"},
	    "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_memory_equal(r.got, "HTTP/1.1 404 ", 13);
	assert_string_equal(r.got + r.n_got - 4, "\r\n\r\n");
	assert_int_equal(rig_count(&r, "Content-Length: 0\r\n"), 0);
	rig_close(&r);
}

/* ---- the table ---- */

static void test_every_error_has_a_status(void **state)
{
	static const struct {
		const char *name;
		int e;
	} errors[] = {
#define ERR(name, number, sentence) {#name, number},
#include "base/err.def"
#undef ERR
	};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		unsigned status = http_problem_status(errors[i].e);

		if (status < 400 || status == 500 ||
		    str_eq(http_status_reason(status), STR("Unknown")))
			fail_msg("%s: %u", errors[i].name, status);
	}
}

static void test_statuses(void **state)
{
	static const struct {
		const char *why;
		int e;
		unsigned want;
	} cases[] = {
		{"nobody we know", ERR_AUTH, 401},
		{"not his", ERR_DENIED, 403},
		{"switched off", ERR_DISABLED, 403},
		{"nobody may have it", ERR_RESERVED, 403},
		{"not there", ERR_NOTFOUND, 404},
		{"not served", ERR_NOROUTE, 404},
		{"there already", ERR_EXISTS, 409},
		{"changed meanwhile", ERR_CONFLICT, 409},
		{"too long", ERR_TOOBIG, 413},
		{"not a value", ERR_INVAL, 400},
		{"not JSON", ERR_PROTO, 400},
		{"not here", ERR_UNSUPPORTED, 501},
		{"too many", ERR_LIMIT, 429},
		{"the disk is full", ERR_FULL, 507},
		{"the store is slow", ERR_TIMEOUT, 503},
		{"the store fails", ERR_IO, 503},
		{"the store is closed", ERR_CLOSED, 503},
		{"shutting down", ERR_DRAIN, 503},
		{"out of memory", ERR_NOMEM, 503},
		{"no error at all", 0, 500},
		{"a number below", -1, 500},
		{"a number far above", 1 << 30, 500},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (http_problem_status(cases[i].e) != cases[i].want)
			fail_msg("%s: %u", cases[i].why, http_problem_status(cases[i].e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),	 cmocka_unit_test(test_members),
		cmocka_unit_test(test_head),	 cmocka_unit_test(test_every_error_has_a_status),
		cmocka_unit_test(test_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
