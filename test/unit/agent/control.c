#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "agent/control.h"
#include "base/err.h"

static const struct {
	const char *why, *line;
	int want;
	enum control_op op;
	uint64_t ref;
	int code;
	const char *name, *url, *reason, *service;
	uint32_t drain_ms;
} reads[] = {
	{"a tunnel is served",
	 "{\"op\":\"attached\",\"ref\":1,\"name\":\"demo\",\"urls\":[\"http://demo.a:1\",\"x\"]}",
	 0, CONTROL_ATTACHED, 1, 0, "demo", "http://demo.a:1", ""},
	{"a name is lower case here",
	 "{\"op\":\"attached\",\"ref\":2,\"name\":\"Demo.Tim\",\"urls\":[\"http://d\"]}", 0,
	 CONTROL_ATTACHED, 2, 0, "demo.tim", "http://d", ""},
	{"attached without a URL", "{\"op\":\"attached\",\"ref\":1,\"name\":\"demo\"}", ERR_PROTO},
	{"no URL in the list", "{\"op\":\"attached\",\"ref\":1,\"name\":\"demo\",\"urls\":[]}",
	 ERR_PROTO},
	{"a URL that would change the terminal",
	 "{\"op\":\"attached\",\"ref\":1,\"name\":\"demo\",\"urls\":[\"http://\\u001b[2J\"]}",
	 ERR_PROTO},
	{"a name that is none",
	 "{\"op\":\"attached\",\"ref\":1,\"name\":\"../x\",\"urls\":[\"http://d\"]}", ERR_PROTO},
	{"attached without a name", "{\"op\":\"attached\",\"ref\":1,\"urls\":[\"http://d\"]}",
	 ERR_PROTO},
	{"attached without its ref", "{\"op\":\"attached\",\"name\":\"d\",\"urls\":[\"http://d\"]}",
	 ERR_PROTO},
	{"refused for a reason",
	 "{\"op\":\"refused\",\"ref\":3,\"code\":\"EXISTS\",\"reason\":\"taken\"}", 0,
	 CONTROL_REFUSED, 3, ERR_EXISTS, "", "", "taken"},
	{"a code of a later version ends nothing",
	 "{\"op\":\"refused\",\"ref\":3,\"code\":\"MOON\",\"reason\":\"full\"}", 0, CONTROL_REFUSED,
	 3, ERR_IO, "", "", "full"},
	{"no code and no reason", "{\"op\":\"refused\",\"ref\":3}", 0, CONTROL_REFUSED, 3, ERR_IO,
	 "", "", ""},
	{"refused, but what?", "{\"op\":\"refused\",\"code\":\"EXISTS\"}", ERR_PROTO},
	{"taken away",
	 "{\"op\":\"detached\",\"name\":\"demo\",\"code\":\"REPLACED\",\"reason\":\"newer\"}", 0,
	 CONTROL_DETACHED, 0, ERR_REPLACED, "demo", "", "newer"},
	{"taken away, and its visits may finish",
	 "{\"op\":\"detached\",\"name\":\"demo\",\"code\":\"REPLACED\",\"drain_ms\":86400000}", 0,
	 CONTROL_DETACHED, 0, ERR_REPLACED, "demo", "", "", "", 86400000},
	{"for longer than a day",
	 "{\"op\":\"detached\",\"name\":\"demo\",\"code\":\"REPLACED\",\"drain_ms\":86400001}",
	 ERR_PROTO},
	{"for a time that is none",
	 "{\"op\":\"detached\",\"name\":\"demo\",\"code\":\"REPLACED\",\"drain_ms\":\"1s\"}",
	 ERR_PROTO},
	{"taken away, but which?", "{\"op\":\"detached\",\"code\":\"REPLACED\"}", ERR_PROTO},
	{"a port of the server",
	 "{\"op\":\"attached\",\"ref\":1,\"name\":\"demo\",\"urls\":[\"tcp://a:9000\"]}", 0,
	 CONTROL_ATTACHED, 1, 0, "demo", "tcp://a:9000", ""},
	{"the first URL must be one, whatever the others are",
	 "{\"op\":\"attached\",\"ref\":1,\"name\":\"d\",\"urls\":[1,\"http://d\"]}", ERR_PROTO},
	{"a tunnel is given to a service",
	 "{\"op\":\"assigned\",\"name\":\"Demo\",\"service\":\"Web_1.a\"}", 0, CONTROL_ASSIGNED, 0,
	 0, "demo", "", "", "Web_1.a"},
	{"a tunnel that names no service", "{\"op\":\"assigned\",\"name\":\"demo\"}", 0,
	 CONTROL_ASSIGNED, 0, 0, "demo", "", ""},
	{"the same with an empty one", "{\"op\":\"assigned\",\"name\":\"demo\",\"service\":\"\"}",
	 0, CONTROL_ASSIGNED, 0, 0, "demo", "", ""},
	{"a service that would change the terminal",
	 "{\"op\":\"assigned\",\"name\":\"demo\",\"service\":\"\\u001b[2J\"}", ERR_PROTO},
	{"a service that is no text", "{\"op\":\"assigned\",\"name\":\"demo\",\"service\":1}",
	 ERR_PROTO},
	{"given, but which?", "{\"op\":\"assigned\",\"service\":\"web\"}", ERR_PROTO},
	{"a later version's line", "{\"op\":\"sing\",\"song\":[1,2]}", 0, CONTROL_UNKNOWN, 0, 0, "",
	 "", ""},
	{"no op", "{\"ref\":1}", ERR_PROTO},
	{"op of another type", "{\"op\":1}", ERR_PROTO},
	{"a list", "[]", ERR_PROTO},
	{"nothing", "", ERR_PROTO},
	{"not JSON", "attached", ERR_PROTO},
};

static void test_reads_lines(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
		struct control_line line;
		int e = control_parse(str_of(reads[i].line), &line);

		if (e != reads[i].want)
			fail_msg("%s: %d", reads[i].why, e);
		if (e != 0)
			continue;
		assert_int_equal(line.op, reads[i].op);
		assert_int_equal(line.ref, reads[i].ref);
		assert_int_equal(line.code, reads[i].code);
		assert_string_equal(line.name, reads[i].name);
		assert_string_equal(line.urls[0], reads[i].url);
		assert_string_equal(line.service, reads[i].service == NULL ? "" : reads[i].service);
		assert_string_equal(line.reason, reads[i].reason);
		assert_int_equal(line.drain_ms, reads[i].drain_ms);
	}
}

static void test_cuts_a_long_reason(void **state)
{
	char text[2000];
	struct control_line line;
	size_t n =
		str_printf(text, sizeof text,
			   "{\"op\":\"detached\",\"name\":\"a\",\"code\":\"LIMIT\",\"reason\":\"");

	memset(text + n, 'x', 1000);
	str_printf(text + n + 1000, sizeof text - n - 1000, "\"}");
	assert_int_equal(control_parse(str_of(text), &line), 0);
	assert_int_equal(strlen(line.reason), CONTROL_REASON_MAX - 1);
}

static void test_writes_lines(void **state)
{
	struct control_attach a = {.ref = 7,
				   .kind = STR("http"),
				   .name = STR("demo"),
				   .target = STR("http://a:1")};
	struct buf out = {0};

	assert_int_equal(control_attach(&a, &out), 0);
	assert_true(str_eq(buf_str(&out), STR("{\"op\":\"attach\",\"ref\":7,\"kind\":\"http\","
					      "\"name\":\"demo\",\"target\":\"http://a:1\"}")));
	buf_free(&out);
	a.name = STR("");
	assert_int_equal(control_attach(&a, &out), 0);
	assert_true(str_eq(buf_str(&out), STR("{\"op\":\"attach\",\"ref\":7,\"kind\":\"http\","
					      "\"target\":\"http://a:1\"}")));
	buf_free(&out);
	assert_int_equal(control_detach(STR("demo"), &out), 0);
	assert_true(str_eq(buf_str(&out), STR("{\"op\":\"detach\",\"name\":\"demo\"}")));
	buf_free(&out);
}

/* The good ones of a list, as many as are kept. */
static void test_several_urls(void **state)
{
	struct control_line line;
	char text[2048];
	size_t n;

	assert_int_equal(
		control_parse(
			STR("{\"op\":\"attached\",\"ref\":1,\"name\":\"a\",\"urls\":["
			    "\"tls://a.b:443\",\"tls://*.c:443\",7,\"no\\u0007\",\"http://d\"]}"),
			&line),
		0);
	assert_int_equal(line.n_urls, 3);
	assert_string_equal(line.urls[1], "tls://*.c:443");
	assert_string_equal(line.urls[2], "http://d");
	n = str_printf(text, sizeof text,
		       "{\"op\":\"attached\",\"ref\":1,\"name\":\"a\",\"urls\":[\"http://x\"");
	for (int i = 0; i < 2 * CONTROL_URLS_MAX; i++)
		n += str_printf(text + n, sizeof text - n, ",\"http://%d\"", i);
	str_printf(text + n, sizeof text - n, "]}");
	assert_int_equal(control_parse(str_of(text), &line), 0);
	assert_int_equal(line.n_urls, CONTROL_URLS_MAX);
}

static const struct {
	const char *why;
	struct control_wish wish;
	const char *want; /* the members behind target */
	bool again;
	unsigned priority;
} wishes[] = {
	{"nothing is wished", {0}, ""},
	{"what it wished before", {.tls = "end"}, ",\"tls\":\"end\",\"again\":true", true},
	{"any port", {.has_port = true}, ",\"port\":0"},
	{"a port at an address",
	 {.has_port = true, .port = 9000, .bind = "localhost"},
	 ",\"port\":9000,\"bind\":\"localhost\""},
	{"every address", {.bind = ""}, ",\"bind\":\"\""},
	{"domains of its own",
	 {.domains = (const char *const[]){"a.example", "*.b.example"},
	  .n_domains = 2,
	  .tls = "end"},
	 ",\"domains\":[\"a.example\",\"*.b.example\"],\"tls\":\"end\""},
	{"how a pool is to work",
	 {.proxy = "v2", .policy = "failover", .sessions_max = 3, .has_drain = true},
	 ",\"proxy_protocol\":\"v2\",\"policy\":\"failover\",\"max_sessions\":3,\"drain_ms\":0,"
	 "\"priority\":7",
	 false,
	 7},
	{"both that are no wish",
	 {.tls = "end"},
	 ",\"tls\":\"end\",\"priority\":4294967295,\"again\":true",
	 true,
	 4294967295},
};

static void test_writes_wishes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		struct control_attach a = {.ref = 1,
					   .kind = STR("tcp"),
					   .target = STR("tcp://a:1"),
					   .priority = wishes[i].priority,
					   .again = wishes[i].again};
		struct buf out = {0}, wish = {0};
		char want[512];

		str_printf(
			want, sizeof want,
			"{\"op\":\"attach\",\"ref\":1,\"kind\":\"tcp\",\"target\":\"tcp://a:1\"%s}",
			wishes[i].want);
		assert_int_equal(control_wish_write(&wishes[i].wish, &wish), 0);
		assert_int_equal(control_wish_check(buf_str(&wish)), 0);
		a.wish = buf_str(&wish);
		assert_int_equal(control_attach(&a, &out), 0);
		if (!str_eq(buf_str(&out), str_of(want)))
			fail_msg("%s: " STR_FMT, wishes[i].why, STR_ARG(buf_str(&out)));
		buf_free(&out);
		buf_free(&wish);
	}
}

static const struct {
	const char *why, *wish;
	int want;
} texts[] = {
	{"nothing", "", 0},
	{"one member", "\"port\":1", 0},
	{"objects in it", "\"headers\":{\"rewrite\":true},\"visitors\":{}", 0},
	{"white space only", "  ", ERR_INVAL},
	{"a comma behind the last", "\"port\":1,", ERR_INVAL},
	{"braces around it", "{\"port\":1}", ERR_INVAL},
	{"braces that end the line's", "\"a\":1},{\"b\":2", ERR_INVAL},
	{"two lines", "\"a\":1,\n\"b\":2", ERR_INVAL},
	{"a member twice", "\"a\":1,\"a\":2", ERR_INVAL},
	{"not UTF-8", "\"a\":\"\xff\"", ERR_INVAL},
	{"another op", "\"op\":\"detach\"", ERR_INVAL},
	{"another number", "\"ref\":1", ERR_INVAL},
	{"another name", "\"name\":\"x\"", ERR_INVAL},
	{"another kind, in escapes", "\"\\u006bind\":\"tcp\"", ERR_INVAL},
	{"the priority", "\"priority\":1", ERR_INVAL},
	{"again", "\"again\":true", ERR_INVAL},
};

static void test_judges_wishes(void **state)
{
	static char most[CONTROL_WISH_MAX + 2];
	struct control_attach a = {.kind = STR("http"), .target = STR("t")};
	struct buf out = {0};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (control_wish_check(str_of(texts[i].wish)) != texts[i].want)
			fail_msg("%s", texts[i].why);
	memset(most, 'x', sizeof most);
	memcpy(most, "\"a\":\"", 5);
	most[CONTROL_WISH_MAX - 1] = '"';
	a.wish = (struct str){most, CONTROL_WISH_MAX};
	assert_int_equal(control_wish_check(a.wish), 0);
	assert_int_equal(control_attach(&a, &out), 0);
	assert_in_range(out.len, CONTROL_WISH_MAX, 65536);
	buf_free(&out);
	a.wish.len++;
	assert_int_equal(control_wish_check(a.wish), ERR_TOOBIG);
}

static void test_writes_offers(void **state)
{
	struct str names[CONTROL_SERVICES_MAX] = {STR("web"), STR("ssh")};
	char longest[IDENT_TEXT - 1];
	struct buf out = {0};

	assert_int_equal(control_offer(names, 2, 5, &out), 0);
	assert_true(str_eq(buf_str(&out), STR("{\"op\":\"offer\",\"services\":[\"web\",\"ssh\"],"
					      "\"priority\":5}")));
	buf_free(&out);
	assert_int_equal(control_health(STR("demo"), false, &out), 0);
	assert_true(
		str_eq(buf_str(&out), STR("{\"op\":\"health\",\"name\":\"demo\",\"up\":false}")));
	buf_free(&out);
	memset(longest, 'x', sizeof longest);
	for (size_t i = 0; i < CONTROL_SERVICES_MAX; i++)
		names[i] = (struct str){longest, sizeof longest};
	assert_int_equal(control_offer(names, CONTROL_SERVICES_MAX, 65535, &out), 0);
	assert_true(out.len < 65536);
	buf_free(&out);
}

static const struct {
	const char *name;
	int code;
	bool final;
} codes[] = {
	{"AUTH", ERR_AUTH, true},
	{"DENIED", ERR_DENIED, true},
	{"EXISTS", ERR_EXISTS, true},
	{"RESERVED", ERR_RESERVED, true},
	{"INVAL", ERR_INVAL, true},
	{"DISABLED", ERR_DISABLED, true},
	{"DELETED", ERR_DELETED, true},
	{"REPLACED", ERR_REPLACED, true},
	{"DISCONNECTED", ERR_DISCONNECTED, true},
	{"UNSUPPORTED", ERR_UNSUPPORTED, true},
	{"LIMIT", ERR_LIMIT, false},
	{"DRAIN", ERR_DRAIN, false},
	{"TIMEOUT", ERR_TIMEOUT, false},
	{"IO", ERR_IO, false},
	{"refused", ERR_REFUSED, false},
	{"", 0, false},
	{"NONSENSE", 0, false},
};

static void test_codes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		assert_int_equal(control_code(str_of(codes[i].name)), codes[i].code);
		assert_int_equal(control_is_final(codes[i].code), codes[i].final);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_lines),   cmocka_unit_test(test_cuts_a_long_reason),
		cmocka_unit_test(test_writes_lines),  cmocka_unit_test(test_several_urls),
		cmocka_unit_test(test_writes_wishes), cmocka_unit_test(test_writes_offers),
		cmocka_unit_test(test_codes),	      cmocka_unit_test(test_judges_wishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
