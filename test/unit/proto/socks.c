#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proto/socks.h"

#define BYTES(literal)                          \
	{                                       \
		(literal), sizeof(literal) - 1, \
	}

/* Everything that a visitor says before he waits for the last answer. */
static const struct {
	const char *why;
	struct str in;
	int want;
	const char *host; /* of success */
	uint16_t port;
	size_t rest;	/* bytes behind the request */
	struct str say; /* before the answer */
} cases[] = {
	{"4: an address", BYTES("\4\1\0\120\300\0\2\1me\0"), 0, "192.0.2.1", 80},
	{"4: nobody's name", BYTES("\4\1\0\120\300\0\2\1\0"), 0, "192.0.2.1", 80},
	{"4: what follows is the target's", BYTES("\4\1\0\120\300\0\2\1\0GET"), 0, "192.0.2.1", 80,
	 3},
	{"4a: a name", BYTES("\4\1\1\273\0\0\0\1me\0Web.Example\0"), 0, "web.example", 443},
	{"4a: an address as a name",
	 BYTES("\4\1\1\273\0\0\0\1\0"
	       "10.0.0.1\0"),
	 0, "10.0.0.1", 443},
	{"4: the address of nowhere is no name", BYTES("\4\1\0\1\0\0\0\0\0"), 0, "0.0.0.0", 1},
	{"4: BIND", BYTES("\4\2\0\120\300\0\2\1\0"), ERR_UNSUPPORTED,
	 .say = BYTES("\0\133\0\0\0\0\0\0")},
	{"4: port 0", BYTES("\4\1\0\0\300\0\2\1\0"), ERR_INVAL, .say = BYTES("\0\133\0\0\0\0\0\0")},
	{"4a: an empty name", BYTES("\4\1\0\120\0\0\0\1\0\0"), ERR_INVAL,
	 .say = BYTES("\0\133\0\0\0\0\0\0")},
	{"4a: not a name", BYTES("\4\1\0\120\0\0\0\1\0a b\0"), ERR_INVAL,
	 .say = BYTES("\0\133\0\0\0\0\0\0")},
	{"5: an address, all said at once", BYTES("\5\1\0\5\1\0\1\300\0\2\1\0\120"), 0, "192.0.2.1",
	 80, 0, BYTES("\5\0")},
	{"5: a name", BYTES("\5\2\2\0\5\1\0\3\13web.Example\1\273"), 0, "web.example", 443, 0,
	 BYTES("\5\0")},
	{"5: IPv6", BYTES("\5\1\0\5\1\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\0\26"), 0,
	 "2001:db8::1", 22, 0, BYTES("\5\0")},
	{"5: IPv6 where names belong", BYTES("\5\1\0\5\1\0\3\3::1\0\26"), 0, "::1", 22, 0,
	 BYTES("\5\0")},
	{"5: what follows is the target's", BYTES("\5\1\0\5\1\0\1\300\0\2\1\0\120xy"), 0,
	 "192.0.2.1", 80, 2, BYTES("\5\0")},
	{"5: passwords only", BYTES("\5\1\2"), ERR_UNSUPPORTED, .say = BYTES("\5\377")},
	{"5: no method at all", BYTES("\5\0"), ERR_UNSUPPORTED, .say = BYTES("\5\377")},
	{"5: UDP", BYTES("\5\1\0\5\3\0\1\0\0\0\0\0\0"), ERR_UNSUPPORTED,
	 .say = BYTES("\5\0\5\7\0\1\0\0\0\0\0\0")},
	{"5: another kind of address", BYTES("\5\1\0\5\1\0\2\1\1\1"), ERR_INVAL,
	 .say = BYTES("\5\0\5\10\0\1\0\0\0\0\0\0")},
	{"5: an empty name", BYTES("\5\1\0\5\1\0\3\0\0\1"), ERR_INVAL,
	 .say = BYTES("\5\0\5\10\0\1\0\0\0\0\0\0")},
	{"5: port 0", BYTES("\5\1\0\5\1\0\1\1\2\3\4\0\0"), ERR_INVAL,
	 .say = BYTES("\5\0\5\10\0\1\0\0\0\0\0\0")},
	{"5: a request of another version", BYTES("\5\1\0\4\1\0\1\1\2\3\4\0\1"), ERR_PROTO,
	 .say = BYTES("\5\0\5\1\0\1\0\0\0\0\0\0")},
	{"HTTP", BYTES("GET / HTTP/1.1\r\n"), ERR_PROTO},
	{"nothing", {"", 0}, ERR_AGAIN},
};

/* What was said so far, in so many bytes at a time. */
static int read_in_pieces(struct socks *s, struct str in, size_t step, size_t *used, char *said,
			  size_t *n_said)
{
	size_t seen = 0, more;
	struct socks_say say;
	int e = ERR_AGAIN;

	*used = *n_said = 0;
	while (e == ERR_AGAIN) {
		seen = MIN(seen + step, in.len);
		e = socks_read(s, (struct str){in.p + *used, seen - *used}, &more, &say);
		*used += more;
		memcpy(said + *n_said, say.bytes, say.len);
		*n_said += say.len;
		if (seen == in.len)
			break;
	}
	return e;
}

static void test_cases(void **state)
{
	static const size_t steps[] = {4096, 1, 2, 3, 7};

	for (size_t k = 0; k < ARRAY_LEN(steps) * ARRAY_LEN(cases); k++) {
		size_t i = k / ARRAY_LEN(steps), step = steps[k % ARRAY_LEN(steps)], used, n_said;
		struct socks s = {0};
		char said[64];
		int e = read_in_pieces(&s, cases[i].in, step, &used, said, &n_said);

		print_message("# %s, %zu at a time\n", cases[i].why, step);
		assert_int_equal(e, cases[i].want);
		assert_int_equal(n_said, cases[i].say.len);
		assert_memory_equal(said, cases[i].say.p == NULL ? "" : cases[i].say.p, n_said);
		if (e != 0)
			continue;
		assert_string_equal(s.host, cases[i].host);
		assert_int_equal(s.port, cases[i].port);
		assert_int_equal(used, cases[i].in.len - cases[i].rest);
	}
}

static void test_too_long(void **state)
{
	static const char head[] = "\4\1\0\120\0\0\0\1";
	char text[2 * SOCKS_READ_MAX];
	struct socks_say say;
	size_t used;

	memset(text, 'a', sizeof text);
	memcpy(text, head, 8);
	assert_int_equal(socks_read(&(struct socks){0}, (struct str){text, 8 + SOCKS_USER_MAX},
				    &used, &say),
			 ERR_AGAIN);
	assert_int_equal(socks_read(&(struct socks){0}, (struct str){text, 9 + SOCKS_USER_MAX},
				    &used, &say),
			 ERR_TOOBIG);
	text[8 + SOCKS_USER_MAX] = '\0';
	assert_int_equal(socks_read(&(struct socks){0}, (struct str){text, sizeof text}, &used,
				    &say),
			 ERR_TOOBIG);
	assert_int_equal(say.len, 8);
	assert_int_equal(say.bytes[1], 91);
}

static const struct {
	int e;
	uint8_t four, five;
} answers[] = {
	{0, 90, 0},	      {ERR_REFUSED, 91, 5}, {ERR_TIMEOUT, 91, 6}, {ERR_UNREACH, 91, 3},
	{ERR_RESOLVE, 91, 4}, {ERR_DENIED, 91, 2},  {ERR_NOFILE, 91, 1},
};

static void test_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct socks_say say;

		socks_answer(&(struct socks){.version = 4}, answers[i].e, &say);
		assert_int_equal(say.len, 8);
		assert_int_equal(say.bytes[0], 0);
		assert_int_equal(say.bytes[1], answers[i].four);
		socks_answer(&(struct socks){.version = 5}, answers[i].e, &say);
		assert_int_equal(say.len, 10);
		assert_int_equal(say.bytes[0], 5);
		assert_int_equal(say.bytes[1], answers[i].five);
		assert_int_equal(say.bytes[3], 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
