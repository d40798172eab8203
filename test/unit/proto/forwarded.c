/* Forwarded and X-Forwarded-For: what we write, and what we believe of what others wrote. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/forwarded.h"

#define S(text)                          \
	{                                \
		(text), sizeof(text) - 1 \
	}

static void test_format(void **state)
{
	static const struct {
		const char *why;
		struct forwarded f;
		const char *want; /* NULL: ERR_INVAL */
	} cases[] = {
		{"IPv4 needs no quotes", {.for_ip = S("192.0.2.1")}, "for=192.0.2.1"},
		{"a port needs them",
		 {.for_ip = S("192.0.2.1"), .for_port = 4711},
		 "for=\"192.0.2.1:4711\""},
		{"IPv6 needs them, and brackets",
		 {.for_ip = S("2001:db8::1")},
		 "for=\"[2001:db8::1]\""},
		{"IPv6 and a port",
		 {.for_ip = S("2001:db8::1"), .for_port = 65535},
		 "for=\"[2001:db8::1]:65535\""},
		{"a visitor without address", {.for_port = 80}, "for=unknown"},
		{"everything",
		 {.for_ip = S("192.0.2.1"),
		  .by_ip = S("::1"),
		  .by_port = 443,
		  .host = S("a.example"),
		  .proto = S("https")},
		 "for=192.0.2.1;by=\"[::1]:443\";host=a.example;proto=https"},
		{"a host with a port",
		 {.for_ip = S("192.0.2.1"), .host = S("a.example:8080"), .proto = S("http")},
		 "for=192.0.2.1;host=\"a.example:8080\";proto=http"},
		{"a quote in the host", {.host = S("a\";for=1.1.1.1;x=\"")}, NULL},
		{"a backslash in the host", {.host = S("a\\")}, NULL},
		{"a comma in the host", {.host = S("a,b")}, NULL},
		{"a line break in the address", {.for_ip = S("1.1.1.1\r\n")}, NULL},
		{"a zone in the address", {.for_ip = S("fe80::1%eth0")}, NULL},
		{"brackets in the address", {.by_ip = S("[::1]")}, NULL},
		{"a protocol that is none", {.proto = S("1")}, NULL},
		{"a space in the protocol", {.proto = S("http ")}, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[FORWARDED_MAX];
		size_t len = 0;
		int e = forwarded_format(&cases[i].f, out, sizeof out, &len);

		if (e != (cases[i].want == NULL ? ERR_INVAL : 0))
			fail_msg("%s: %d", cases[i].why, e);
		if (e == 0 && !str_eq((struct str){out, len}, str_of(cases[i].want)))
			fail_msg("%s: %.*s", cases[i].why, (int)len, out);
	}
}

static void test_format_too_big(void **state)
{
	const struct forwarded f = {.for_ip = S("192.0.2.1"), .by_ip = S("::1"), .host = S("a.b")};
	char out[FORWARDED_MAX];
	size_t len, full;

	assert_int_equal(forwarded_format(&f, out, sizeof out, &full), 0);
	for (size_t cap = 0; cap < full; cap++) {
		char *exact = malloc(cap + 1); /* so that a sanitizer sees a byte too much */

		assert_non_null(exact);
		exact[cap] = '~';
		assert_int_equal(forwarded_format(&f, exact, cap, &len), ERR_TOOBIG);
		assert_int_equal(exact[cap], '~');
		free(exact);
	}
	assert_int_equal(forwarded_format(&f, out, full, &len), 0);
}

static void test_append(void **state)
{
	char out[16];
	size_t len;

	assert_int_equal(forwarded_append(STR(""), STR("1.1.1.1"), out, sizeof out, &len), 0);
	assert_true(str_eq((struct str){out, len}, STR("1.1.1.1")));
	assert_int_equal(forwarded_append(STR("1.1.1.1"), STR("::1"), out, sizeof out, &len), 0);
	assert_true(str_eq((struct str){out, len}, STR("1.1.1.1, ::1")));
	assert_int_equal(forwarded_append(STR("1.1.1.1"), STR("1.1.1.1"), out, sizeof out, &len),
			 0);
	assert_int_equal(len, sizeof out);
	assert_int_equal(forwarded_append(STR("1.1.1.1"), STR("10.1.1.1"), out, sizeof out, &len),
			 ERR_TOOBIG);
}

/* One element as text: for|by|host|proto, a port after '#'. */
static void show(const struct forwarded *f, char *out, size_t cap)
{
	str_printf(out, cap, "%.*s#%u|%.*s#%u|%.*s|%.*s", STR_ARG(f->for_ip), f->for_port,
		   STR_ARG(f->by_ip), f->by_port, STR_ARG(f->host), STR_ARG(f->proto));
}

struct list_case {
	const char *why, *in;
	const char *want; /* elements from the right, then "end" or "bad" */
};

static void check_list(const struct list_case *c,
		       int (*prev)(struct str *rest, struct forwarded *out))
{
	/* An exact copy without NUL, so that a sanitizer sees a byte too much. */
	size_t len = strlen(c->in);
	char *copy = malloc(MAX(len, 1));
	struct str rest = {copy, len};
	char all[512] = "", one[256];
	struct forwarded f;
	int e;

	assert_non_null(copy);
	memcpy(copy, c->in, len);
	while ((e = prev(&rest, &f)) == 0) {
		show(&f, one, sizeof one);
		strncat(all, one, sizeof all - strlen(all) - 1);
		strncat(all, " ", sizeof all - strlen(all) - 1);
	}
	strncat(all, e == ERR_NOTFOUND ? "end" : "bad", sizeof all - strlen(all) - 1);
	if (strcmp(all, c->want) != 0)
		fail_msg("%s: <%s> gives <%s>", c->why, c->in, all);
	assert_int_equal(prev(&rest, &f), ERR_NOTFOUND);
	free(copy);
}

static void test_prev(void **state)
{
	static const struct list_case cases[] = {
		{"one element", "for=192.0.2.1", "192.0.2.1#0|#0|| end"},
		{"two, the last first", "for=192.0.2.1, for=192.0.2.2",
		 "192.0.2.2#0|#0|| 192.0.2.1#0|#0|| end"},
		{"no space after the comma", "for=192.0.2.1,for=192.0.2.2",
		 "192.0.2.2#0|#0|| 192.0.2.1#0|#0|| end"},
		{"all members", "for=192.0.2.1;by=192.0.2.9;host=a.example;proto=https",
		 "192.0.2.1#0|192.0.2.9#0|a.example|https end"},
		{"names in any case and order", "Proto=http;FOR=192.0.2.1",
		 "192.0.2.1#0|#0||http end"},
		{"IPv6 with a port", "for=\"[2001:db8:cafe::17]:4711\"",
		 "2001:db8:cafe::17#4711|#0|| end"},
		{"IPv4 with a port", "for=\"192.0.2.1:80\"", "192.0.2.1#80|#0|| end"},
		{"a quoted host", "for=unknown;host=\"a.example:80\"", "#0|#0|a.example:80| end"},
		{"a hidden writer", "for=_gazonk", "#0|#0|| end"},
		{"a hidden port", "for=\"192.0.2.1:_x\"", "192.0.2.1#0|#0|| end"},
		{"an unknown with a port", "for=\"unknown:80\"", "#0|#0|| end"},
		{"nobody, but a protocol", "proto=https", "#0|#0||https end"},
		{"a parameter of another name", "for=192.0.2.1;x=\"a,b;c\"",
		 "192.0.2.1#0|#0|| end"},
		{"spaces and empty pairs", " ;for=192.0.2.1 ; ;proto=http; ",
		 "192.0.2.1#0|#0||http end"},
		{"empty elements", ",, for=192.0.2.1 ,\t,", "192.0.2.1#0|#0|| end"},
		{"nothing", "", "end"},
		{"commas only", " , ,", "end"},
		{"a comma inside quotes", "for=192.0.2.1, for=192.0.2.2;x=\"a, for=6.6.6.6\"",
		 "192.0.2.2#0|#0|| 192.0.2.1#0|#0|| end"},
		{"a quote that a stranger left open cannot swallow what a proxy wrote",
		 "for=\"6.6.6.6, for=192.0.2.1", "192.0.2.1#0|#0|| bad"},
		{"nor if the proxy wrote quotes", "for=\"6.6.6.6, for=\"[2001:db8::1]\"",
		 "2001:db8::1#0|#0|| bad"},
		{"nor a backslash before the quote", "for=\"6.6.6.6\\\", for=\"[2001:db8::1]\"",
		 "2001:db8::1#0|#0|| bad"},
		{"what stands left of an error is not read",
		 "for=192.0.2.1, nonsense, for=192.0.2.2", "192.0.2.2#0|#0|| bad"},
		{"IPv6 without quotes", "for=[2001:db8::1]", "bad"},
		{"IPv6 without brackets", "for=\"2001:db8::1\"", "bad"},
		{"IPv4 and a port without quotes", "for=192.0.2.1:80", "bad"},
		{"a name where an address must be", "for=a.example", "bad"},
		{"a port too high", "for=\"192.0.2.1:65536\"", "bad"},
		{"a nonsense port of an unknown", "for=\"unknown:%\"", "bad"},
		{"an empty value", "for=", "bad"},
		{"an empty quoted value", "for=\"\"", "bad"},
		{"for twice", "for=192.0.2.1;for=192.0.2.2", "bad"},
		{"proto twice, in two cases", "proto=http;PROTO=https", "bad"},
		{"no name", "=192.0.2.1", "bad"},
		{"no equals sign", "for", "bad"},
		{"a space before the equals sign", "for =192.0.2.1", "bad"},
		{"a space after it", "for= 192.0.2.1", "bad"},
		{"an open quote", "for=\"192.0.2.1", "bad"},
		{"text after the quote", "for=\"192.0.2.1\"x", "bad"},
		{"a bad host", "host=\"a b\"", "bad"},
		{"a bad protocol", "proto=1", "bad"},
		{"a protocol of 32 bytes", "proto=a2345678901234567890123456789012",
		 "#0|#0||a2345678901234567890123456789012 end"},
		{"a protocol of 33 bytes", "proto=a23456789012345678901234567890123", "bad"},
		{"an empty identifier", "for=_", "bad"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_list(&cases[i], forwarded_prev);
}

static void test_prev_xff(void **state)
{
	static const struct list_case cases[] = {
		{"one address", "192.0.2.1", "192.0.2.1#0|#0|| end"},
		{"three, the last first", "192.0.2.1, 2001:db8::1,192.0.2.3",
		 "192.0.2.3#0|#0|| 2001:db8::1#0|#0|| 192.0.2.1#0|#0|| end"},
		{"with a port", "192.0.2.1:4711", "192.0.2.1#4711|#0|| end"},
		{"IPv6 in brackets", "[2001:db8::1]", "2001:db8::1#0|#0|| end"},
		{"IPv6 with a port", "[2001:db8::1]:4711", "2001:db8::1#4711|#0|| end"},
		{"a mapped address", "::ffff:192.0.2.1", "::ffff:192.0.2.1#0|#0|| end"},
		{"unknown", "192.0.2.1, unknown", "#0|#0|| 192.0.2.1#0|#0|| end"},
		{"empty entries", ", ,192.0.2.1,", "192.0.2.1#0|#0|| end"},
		{"nothing", "", "end"},
		{"what stands left of an error is not read", "192.0.2.1, evil, 192.0.2.2",
		 "192.0.2.2#0|#0|| bad"},
		{"a name", "a.example", "bad"},
		{"quotes", "\"192.0.2.1\"", "bad"},
		{"two addresses without a comma", "192.0.2.1 192.0.2.2", "bad"},
		{"an address that some read as octal", "192.0.2.010", "bad"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_list(&cases[i], forwarded_prev_xff);
}

/* A hostile list as long as a whole head: linear, so this takes no time. */
static void test_long_list(void **state)
{
	enum { N = 20000 };
	char *list = malloc(3 * N);
	struct str rest = {list, 3 * N};
	struct forwarded f;
	size_t n = 0;

	assert_non_null(list);
	memset(list, ',', 3 * N);
	assert_int_equal(forwarded_prev(&rest, &f), ERR_NOTFOUND);
	for (size_t i = 0; i < N; i++)
		memcpy(list + 3 * i, "::,", 3);
	rest = (struct str){list, 3 * N};
	while (forwarded_prev_xff(&rest, &f) == 0)
		n++;
	assert_int_equal(n, N);
	memset(list, '"', 3 * N);
	rest = (struct str){list, 3 * N};
	assert_int_equal(forwarded_prev(&rest, &f), ERR_PROTO);
	free(list);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),	 cmocka_unit_test(test_format_too_big),
		cmocka_unit_test(test_append),	 cmocka_unit_test(test_prev),
		cmocka_unit_test(test_prev_xff), cmocka_unit_test(test_long_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
