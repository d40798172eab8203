/* Commands as bytes, and replies as Redis or somebody in its place may send them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/store_redis_resp.h"

#define NOW 1000000

/* A request with room for three records, as store.c makes them. */
struct asked {
	struct store_req req;
	struct store_write writes[3];
	struct store_record recs[3];
};

static void asked_init(struct asked *a, enum store_verb verb)
{
	memset(a, 0, sizeof *a);
	a->req = (struct store_req){.verb = verb,
				    .limit = 3,
				    .after = 5,
				    .writes = a->writes,
				    .n_writes = 1,
				    .recs = a->recs};
	a->writes[0] =
		(struct store_write){.op = STORE_PUT, .rec = {.kind = STR("t"), .key = STR("k")}};
	if (verb == STORE_WRITE)
		a->req.n_writes = 2;
	a->writes[1] = (struct store_write){.op = STORE_DROP,
					    .rec = {.kind = STR("t"), .key = STR("l")},
					    .expected = STORE_ANY};
}

static void asked_clear(struct asked *a)
{
	for (struct store_block *b = a->req.blocks, *next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	a->req.blocks = NULL;
}

/* NULL when these bytes are no reply, or only a part of one. */
static redisReply *reply_read(const char *bytes, size_t len)
{
	redisReader *reader = redisReaderCreate();
	void *reply = NULL;

	assert_non_null(reader);
	if (redisReaderFeed(reader, bytes, len) != REDIS_OK ||
	    redisReaderGetReply(reader, &reply) != REDIS_OK)
		reply = NULL;
	redisReaderFree(reader);
	return reply;
}

static void test_commands(void **state)
{
	static const struct store_redis_peer peer = {"WWW", "LLL", "CCC", "abc"};
	static const char nul[] = "a\0\r\n";
	const struct {
		const char *why;
		enum store_verb verb;
		struct str want;
	} cases[] = {
		{"a get", STORE_GET,
		 STR("*2\r\n$3\r\nGET\r\n$22\r\nkarez:{store}:r:t/a\0\r\n\r\n")},
		{"a page", STORE_LIST,
		 STR("*9\r\n$7\r\nEVALSHA\r\n$3\r\nLLL\r\n$1\r\n1\r\n$17\r\nkarez:{store}:i:t\r\n"
		     "$7\r\n1000000\r\n$1\r\nt\r\n$4\r\na\0\r\n\r\n$1\r\n3\r\n$7\r\n1048576\r\n")},
		{"what was written", STORE_CHANGES,
		 STR("*6\r\n$7\r\nEVALSHA\r\n$3\r\nCCC\r\n$1\r\n1\r\n$17\r\nkarez:{store}:log\r\n"
		     "$1\r\n5\r\n$1\r\n3\r\n")},
		{"a batch", STORE_WRITE,
		 STR("*18\r\n$7\r\nEVALSHA\r\n$3\r\nWWW\r\n$1\r\n1\r\n$18\r\nkarez:{store}:head\r\n"
		     "$7\r\n1000000\r\n$3\r\nabc\r\n"
		     "$1\r\np\r\n$1\r\nt\r\n$4\r\na\0\r\n\r\n$1\r\n7\r\n$1\r\n9\r\n$0\r\n\r\n"
		     "$1\r\nd\r\n$1\r\nt\r\n$1\r\nl\r\n$3\r\nany\r\n$1\r\n0\r\n$0\r\n\r\n")},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out = {0};
		struct asked a;

		print_message("  %s\n", cases[i].why);
		asked_init(&a, cases[i].verb);
		a.writes[0].rec.key = (struct str){nul, 4};
		a.writes[0].rec.expires_ms = 9;
		a.writes[0].expected = 7;
		assert_int_equal(store_redis_resp_request(&out, &a.req, &peer, NOW), 0);
		if (!str_eq(buf_str(&out), cases[i].want))
			fail_msg("%.*s", (int)out.len, buf_str(&out).p);
		buf_free(&out);
	}
}

static const struct {
	const char *why;
	enum store_verb verb;
	struct str bytes;
	int want;
	size_t n; /* records, or which line failed */
} answers[] = {
	{"a record", STORE_GET, STR("$5\r\n7 0 v\r\n"), 0, 1},
	{"an empty value", STORE_GET, STR("$4\r\n7 0 \r\n"), 0, 1},
	{"one that ends later", STORE_GET, STR("$11\r\n7 1000001 v\r\n"), 0, 1},
	{"one that is over", STORE_GET, STR("$11\r\n7 1000000 v\r\n"), ERR_NOTFOUND, 0},
	{"none", STORE_GET, STR("$-1\r\n"), ERR_NOTFOUND, 0},
	{"a record without a value", STORE_GET, STR("$3\r\n7 0\r\n"), ERR_IO, 0},
	{"a record without a version", STORE_GET, STR("$4\r\n 0 v\r\n"), ERR_IO, 0},
	{"version 0", STORE_GET, STR("$5\r\n0 0 v\r\n"), ERR_IO, 0},
	{"a version that is none", STORE_GET, STR("$5\r\nx 0 v\r\n"), ERR_IO, 0},
	{"a version beyond 64 bits", STORE_GET, STR("$24\r\n99999999999999999999 0 v\r\n"), ERR_IO,
	 0},
	{"a negative end", STORE_GET, STR("$6\r\n7 -1 v\r\n"), ERR_IO, 0},
	{"a number for a record", STORE_GET, STR(":7\r\n"), ERR_IO, 0},
	{"a list for a record", STORE_GET, STR("*1\r\n$5\r\n7 0 v\r\n"), ERR_IO, 0},
	{"a status for a record", STORE_GET, STR("+7 0 v\r\n"), ERR_IO, 0},

	{"an empty page", STORE_LIST, STR("*1\r\n:0\r\n"), 0, 0},
	{"a page", STORE_LIST,
	 STR("*5\r\n:1\r\n$1\r\na\r\n$4\r\n1 0 \r\n$1\r\nb\r\n$4\r\n2 0 \r\n"), 0, 2},
	{"an empty page before more", STORE_LIST, STR("*1\r\n:1\r\n"), ERR_IO, 0},
	{"an empty list", STORE_LIST, STR("*0\r\n"), ERR_IO, 0},
	{"no list at all", STORE_LIST, STR("*-1\r\n"), ERR_IO, 0},
	{"a key without a record", STORE_LIST, STR("*2\r\n:0\r\n$1\r\na\r\n"), ERR_IO, 0},
	{"an empty key", STORE_LIST, STR("*3\r\n:0\r\n$0\r\n\r\n$4\r\n1 0 \r\n"), ERR_IO, 0},
	{"a missing record", STORE_LIST, STR("*3\r\n:0\r\n$1\r\na\r\n$-1\r\n"), ERR_IO, 0},
	{"more records than asked for", STORE_LIST,
	 STR("*9\r\n:0\r\n$1\r\na\r\n$4\r\n1 0 \r\n$1\r\na\r\n$4\r\n1 0 \r\n$1\r\na\r\n$4\r\n1 0 "
	     "\r\n$1\r\na\r\n$4\r\n1 0 \r\n"),
	 ERR_IO, 0},
	{"lists in the list", STORE_LIST, STR("*3\r\n:0\r\n*0\r\n*0\r\n"), ERR_IO, 0},
	{"a text that says how many", STORE_LIST, STR("*1\r\n$1\r\n0\r\n"), ERR_IO, 0},

	{"nothing was written", STORE_CHANGES, STR("*1\r\n:0\r\n"), 0, 0},
	{"two changes, and more", STORE_CHANGES,
	 STR("*3\r\n:1\r\n$5\r\n7 t/k\r\n$7\r\n8 t/a/b\r\n"), 0, 2},
	{"what was known is forgotten", STORE_CHANGES, STR("*1\r\n:2\r\n"), ERR_CONFLICT, 0},
	{"a change without a number", STORE_CHANGES, STR("*2\r\n:0\r\n$3\r\nt/k\r\n"), ERR_IO, 0},
	{"number 0", STORE_CHANGES, STR("*2\r\n:0\r\n$5\r\n0 t/k\r\n"), ERR_IO, 0},
	{"a change without a key", STORE_CHANGES, STR("*2\r\n:0\r\n$4\r\n7 t/\r\n"), ERR_IO, 0},
	{"a change without a kind", STORE_CHANGES, STR("*2\r\n:0\r\n$4\r\n7 /k\r\n"), ERR_IO, 0},
	{"a change of a long kind", STORE_CHANGES,
	 STR("*2\r\n:0\r\n$21\r\n7 abcdefghijklmnopq/k\r\n"), ERR_IO, 0},
	{"a number for a change", STORE_CHANGES, STR("*2\r\n:0\r\n:7\r\n"), ERR_IO, 0},
	{"more changes than asked for", STORE_CHANGES,
	 STR("*5\r\n:0\r\n$5\r\n1 t/k\r\n$5\r\n2 t/k\r\n$5\r\n3 t/k\r\n$5\r\n4 t/k\r\n"), ERR_IO,
	 0},
	{"a status for changes", STORE_CHANGES, STR("+OK\r\n"), ERR_IO, 0},

	{"both lines written", STORE_WRITE, STR("*3\r\n:0\r\n:8\r\n:0\r\n"), 0, 2},
	{"the second line meets another", STORE_WRITE, STR("*2\r\n:1\r\n:1\r\n"), ERR_CONFLICT, 1},
	{"a line that we did not send", STORE_WRITE, STR("*2\r\n:1\r\n:77\r\n"), ERR_CONFLICT, 1},
	{"too few versions", STORE_WRITE, STR("*2\r\n:0\r\n:8\r\n"), ERR_IO, 0},
	{"too many versions", STORE_WRITE, STR("*4\r\n:0\r\n:8\r\n:9\r\n:1\r\n"), ERR_IO, 0},
	{"a negative version", STORE_WRITE, STR("*3\r\n:0\r\n:-8\r\n:0\r\n"), ERR_IO, 0},
	{"a text for a version", STORE_WRITE, STR("*3\r\n:0\r\n$1\r\n8\r\n:0\r\n"), ERR_IO, 0},
	{"another first number", STORE_WRITE, STR("*3\r\n:2\r\n:8\r\n:0\r\n"), ERR_IO, 0},
	{"a status for a write", STORE_WRITE, STR("+OK\r\n"), ERR_IO, 0},

	{"no memory", STORE_WRITE, STR("-OOM command not allowed\r\n"), ERR_FULL, 0},
	{"no memory, as Redis 6 says it out of a script", STORE_WRITE,
	 STR("-ERR Error running script (call to f_1): @user_script:1: -OOM command not\r\n"),
	 ERR_FULL, 0},
	{"it cannot save", STORE_WRITE, STR("-MISCONF Redis is configured to\r\n"), ERR_FULL, 0},
	{"too few replicas", STORE_WRITE, STR("-NOREPLICAS Not enough\r\n"), ERR_TIMEOUT, 0},
	{"busy with a script", STORE_GET, STR("-BUSY Redis is busy\r\n"), ERR_TIMEOUT, 0},
	{"another word that begins so", STORE_GET, STR("-BUSYKEY x\r\n"), ERR_IO, 0},
	{"no permission", STORE_GET, STR("-NOPERM this user\r\n"), ERR_DENIED, 0},
	{"an error without a text", STORE_GET, STR("-\r\n"), ERR_IO, 0},
	{"a damaged record", STORE_WRITE, STR("-KAREZ a damaged record\r\n"), ERR_IO, 0},
};

static void test_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		redisReply *reply = reply_read(answers[i].bytes.p, answers[i].bytes.len);
		struct asked a;

		print_message("  %s\n", answers[i].why);
		assert_non_null(reply);
		asked_init(&a, answers[i].verb);
		assert_int_equal(store_redis_resp_fault(reply), STORE_REDIS_FINE);
		store_redis_resp_answer(&a.req, reply, NOW);
		if (a.req.answer.e != answers[i].want)
			fail_msg("%s", err_name(a.req.answer.e));
		if (a.req.answer.e == 0)
			assert_int_equal(a.req.answer.n, answers[i].n);
		else
			assert_int_equal(a.req.answer.failed, answers[i].n);
		freeReplyObject(reply);
		asked_clear(&a);
	}
}

static void test_faults(void **state)
{
	static const struct {
		const char *text;
		enum store_redis_fault want;
	} cases[] = {
		{"-NOSCRIPT No matching script.\r\n", STORE_REDIS_SCRIPT},
		{"-READONLY You can't write against a read only replica.\r\n", STORE_REDIS_MASTER},
		{"-ERR Error running script (call to f_1): @x: 1: -READONLY You\r\n",
		 STORE_REDIS_MASTER},
		{"-LOADING Redis is loading the dataset in memory\r\n", STORE_REDIS_MASTER},
		{"-NOAUTH Authentication required.\r\n", STORE_REDIS_MASTER},
		{"-LOADINGS\r\n", STORE_REDIS_FINE},
		{"+LOADING\r\n", STORE_REDIS_FINE},
		{"-ERR unknown command LOADING\r\n", STORE_REDIS_FINE},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		redisReply *reply = reply_read(cases[i].text, strlen(cases[i].text));

		assert_non_null(reply);
		assert_int_equal(store_redis_resp_fault(reply), cases[i].want);
		freeReplyObject(reply);
	}
}

/* Random bytes in the place of others: an answer or an error, never a crash. */
static void test_hostile(void **state)
{
	static const char odd[] = "\0 \r\n0179-:*$+x";
	uint32_t seed = 20260101;
	unsigned n_read = 0;

	for (int round = 0; round < 400; round++) {
		for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
			char bytes[256];
			size_t len = answers[i].bytes.len;
			redisReply *reply;
			struct asked a;

			memcpy(bytes, answers[i].bytes.p, len);
			for (int n = 0; n < 2; n++) {
				seed = seed * 1664525 + 1013904223;
				bytes[(seed >> 8) % len] = odd[(seed >> 20) % (sizeof odd - 1)];
			}
			if ((reply = reply_read(bytes, len)) == NULL)
				continue;
			n_read++;
			for (enum store_verb verb = STORE_GET; verb <= STORE_WRITE; verb++) {
				asked_init(&a, verb);
				if (store_redis_resp_fault(reply) == STORE_REDIS_FINE)
					store_redis_resp_answer(&a.req, reply, NOW);
				assert_true(a.req.answer.n <= 3);
				asked_clear(&a);
			}
			freeReplyObject(reply);
		}
	}
	assert_true(n_read > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
