/* Rows as nodes tell them: what comes back is what was told, and what cannot be is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/ask.h"
#include "proto/json.h"

/* Write, read, and write again; the caller frees *out. */
static void again(const struct ask_rows *in, struct ask_rows *out)
{
	struct buf text = {0}, second = {0};

	assert_int_equal(ask_text_write(in, &text), 0);
	assert_int_equal(ask_text_read(buf_str(&text), in->what, out), 0);
	assert_int_equal(out->n, in->n);
	assert_int_equal(out->total, in->total);
	assert_int_equal(out->more, in->more);
	assert_int_equal(ask_text_write(out, &second), 0);
	assert_true(str_eq(buf_str(&text), buf_str(&second)));
	buf_free(&text);
	buf_free(&second);
}

/* Static, so that what stands between their members is 0, as in what is read. */
static struct core_session_info sessions[] = {
	{.number = (1ULL << 53) - 1,
	 .kind = CORE_SESSION_SSH,
	 .account = "abc",
	 .agent = "laptop",
	 .carrier = 3,
	 .epoch = JSON_NUMBER_MAX,
	 .peer = {"2001:db8::1", 65535},
	 .since_ms = 1700000000000,
	 .rtt_us = 99,
	 .n_streams = 4,
	 .draining = true,
	 .late = true,
	 .down = true,
	 .priority = UINT32_MAX},
	{.number = 1},
};
static struct core_visitor_info visitors[] = {
	{.ingress = VISIT_UDP,
	 .host = "demo.localhost:80",
	 .peer = {"192.0.2.1", 1},
	 .since_ms = 5},
	{.ingress = VISIT_HTTP},
};
static struct core_agent_there agents[] = {
	{.info = {.account = "abc",
		  .id = "laptop",
		  .n_sessions = 2,
		  .since_ms = 9,
		  .was_there = true}},
	{.info = {.id = "x"}},
};

static void test_there_and_back(void **state)
{
	const struct ask_rows cases[] = {
		{ASK_SESSIONS, sessions, 2, 2, false},
		{ASK_VISITORS, visitors, 2, 700, true},
		{ASK_AGENTS, agents, 2, 2, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct ask_rows *in = &cases[i];
		struct ask_rows out;

		again(in, &out);
		assert_memory_equal(out.v, in->v, in->n * ask_rows_size(in->what));
		ask_rows_free(&out);
	}
}

/* The longest that there can be fit an answer. */
static void test_longest(void **state)
{
	for (int what = 0; what < ASK_WHATS; what++) {
		struct ask_rows in = {.what = (enum ask_what)what, .n = ask_rows_max(what)}, out;
		size_t size = ask_rows_size(what);
		char *v = calloc(in.n, size);

		assert_non_null(v);
		for (size_t i = 0; i < in.n; i++) {
			struct core_session_info *s = (void *)(v + i * size);
			struct core_visitor_info *n = (void *)(v + i * size);
			struct core_agent_there *a = (void *)(v + i * size);

			if (what == ASK_SESSIONS) {
				*s = (struct core_session_info){.number = 1ULL << 52,
								.epoch = JSON_NUMBER_MAX,
								.carrier = UINT32_MAX,
								.n_streams = UINT32_MAX,
								.priority = UINT32_MAX,
								.since_ms = 1LL << 49,
								.rtt_us = 1ULL << 50,
								.late = true,
								.down = true,
								.draining = true,
								.kind = CORE_SESSION_SSH};
				memset(s->account, 'a', sizeof s->account - 1);
				memset(s->agent, 'a', sizeof s->agent - 1);
			} else if (what == ASK_VISITORS) {
				*n = (struct core_visitor_info){.since_ms = 1LL << 49};
				memset(n->host, 'a', sizeof n->host - 1);
			} else {
				a->info = (struct core_agent_info){.n_sessions = UINT32_MAX,
								   .since_ms = 1LL << 49,
								   .was_there = true};
				memset(a->info.account, 'a', sizeof a->info.account - 1);
				memset(a->info.id, 'a', sizeof a->info.id - 1);
			}
		}
		in.v = v;
		in.total = in.n;
		again(&in, &out);
		ask_rows_free(&out);
		free(v);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *why, *text;
		enum ask_what what;
		int want;
	} cases[] = {
		{"nothing there", "{\"rows\":[]}", ASK_AGENTS, 0},
		{"words of a later version", "{\"rows\":[{\"number\":1,\"x\":[]}],\"y\":2}",
		 ASK_SESSIONS, 0},
		{"no text", "", ASK_AGENTS, ERR_PROTO},
		{"no JSON", "rows", ASK_AGENTS, ERR_PROTO},
		{"half of it", "{\"rows\":[", ASK_AGENTS, ERR_PROTO},
		{"no rows", "{}", ASK_AGENTS, ERR_PROTO},
		{"a list", "[]", ASK_AGENTS, ERR_PROTO},
		{"rows that are none", "{\"rows\":[1]}", ASK_AGENTS, ERR_PROTO},
		{"an agent without a name", "{\"rows\":[{}]}", ASK_AGENTS, ERR_PROTO},
		{"a name that is too long",
		 "{\"rows\":[{\"id\":"
		 "\"0123456789012345678901234567890123456789012345678901234567890"
		 "12345\"}]}",
		 ASK_AGENTS, ERR_PROTO},
		{"a number as a text", "{\"rows\":[{\"id\":\"a\",\"sessions\":\"1\"}]}", ASK_AGENTS,
		 ERR_PROTO},
		{"more than can be", "{\"rows\":[{\"id\":\"a\",\"sessions\":4294967296}]}",
		 ASK_AGENTS, ERR_PROTO},
		{"a session without a number", "{\"rows\":[{\"agent\":\"a\"}]}", ASK_SESSIONS,
		 ERR_PROTO},
		{"an unknown kind", "{\"rows\":[{\"number\":1,\"kind\":2}]}", ASK_SESSIONS,
		 ERR_PROTO},
		{"no address", "{\"rows\":[{\"number\":1,\"ip\":\"here\"}]}", ASK_SESSIONS,
		 ERR_PROTO},
		{"no flag", "{\"rows\":[{\"number\":1,\"late\":1}]}", ASK_SESSIONS, ERR_PROTO},
		{"a visitor through no door", "{\"rows\":[{\"host\":\"a\"}]}", ASK_VISITORS,
		 ERR_PROTO},
		{"a node is no visitor", "{\"rows\":[{\"in\":\"node\"}]}", ASK_VISITORS, ERR_PROTO},
		{"a time that cannot be",
		 "{\"rows\":[{\"in\":\"tcp\",\"since\":9000000000000000000}]}", ASK_VISITORS,
		 ERR_PROTO},
		{"a total that is none", "{\"rows\":[],\"total\":-1}", ASK_VISITORS, ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ask_rows r;
		int e = ask_text_read(str_of(cases[i].text), cases[i].what, &r);

		if (e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(e));
		if (e == 0)
			ask_rows_free(&r);
	}
}

static void test_too_many(void **state)
{
	struct ask_rows r;
	struct buf text = {0};

	for (size_t n = MANAGE_PAGE_MAX; n <= MANAGE_PAGE_MAX + 1; n++) {
		assert_int_equal(buf_printf(&text, CORE_ANSWER_MAX, "{\"rows\":["), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf_printf(&text, CORE_ANSWER_MAX, "%s{\"number\":1}",
						    i > 0 ? "," : ""),
					 0);
		assert_int_equal(buf_printf(&text, CORE_ANSWER_MAX, "]}"), 0);
		assert_int_equal(ask_text_read(buf_str(&text), ASK_SESSIONS, &r),
				 n > MANAGE_PAGE_MAX ? ERR_TOOBIG : 0);
		if (n == MANAGE_PAGE_MAX)
			ask_rows_free(&r);
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
