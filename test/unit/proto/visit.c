/* The header that tells an agent about its visitor. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/visit.h"

#define L10  "abcdefghij"
#define L63  L10 L10 L10 L10 L10 L10 "abc"
#define N253 L63 "." L63 "." L63 "." L10 L10 L10 L10 L10 L10 "a"
#define V6   "1111:2222:3333:4444:5555:6666:7777:8888"
#define ID1  "0123456789abcdef"
#define ID2  "fedcba9876543210"
/* The same in its longest spelling. */
#define V6_4 "1111:2222:3333:4444:5555:6666:119.119.136.136"

static void assert_same_end(const struct visit_end *a, const struct visit_end *b)
{
	assert_string_equal(a->ip, b->ip);
	assert_int_equal(a->port, b->ip[0] == '\0' ? 0 : b->port);
}

static void assert_same(const struct visit *a, const struct visit *b)
{
	assert_int_equal(a->ingress, b->ingress);
	assert_int_equal(a->tls, b->tls);
	assert_same_end(&a->visitor, &b->visitor);
	assert_same_end(&a->local, &b->local);
	assert_string_equal(a->tunnel, b->tunnel);
	assert_string_equal(a->host, b->host);
	assert_string_equal(a->sni, b->sni);
	assert_string_equal(a->service, b->service);
	assert_string_equal(a->via, b->via);
	assert_string_equal(a->owner, b->owner);
}

static void test_format(void **state)
{
	static const struct {
		const char *why;
		struct visit v;
		const char *want; /* NULL: ERR_INVAL */
	} cases[] = {
		{"the least", {.ingress = VISIT_TCP, .tunnel = "db"}, "in=tcp; tunnel=db"},
		{"a web visitor",
		 {.ingress = VISIT_HTTP,
		  .tunnel = "hello.tim",
		  .visitor = {"192.0.2.1", 4711},
		  .local = {"127.0.0.1", 8080},
		  .host = "Hello.tim.localhost:8080"},
		 "in=http; tunnel=hello.tim; for=\"192.0.2.1:4711\"; by=\"127.0.0.1:8080\"; "
		 "host=\"Hello.tim.localhost:8080\""},
		{"IPv6 and TLS",
		 {.ingress = VISIT_SNI,
		  .tls = true,
		  .tunnel = "a",
		  .visitor = {"2001:db8::1", 1},
		  .local = {"::1", 443},
		  .sni = "a.example"},
		 "in=sni; tunnel=a; for=\"[2001:db8::1]:1\"; by=\"[::1]:443\"; sni=a.example; "
		 "tls=1"},
		{"an address without port",
		 {.ingress = VISIT_UDP, .tunnel = "a", .visitor = {"192.0.2.1", 0}},
		 "in=udp; tunnel=a; for=\"192.0.2.1\""},
		{"a port without address",
		 {.ingress = VISIT_TCP, .tunnel = "a", .visitor = {"", 9}},
		 "in=tcp; tunnel=a"},
		{"a question of another node",
		 {.ingress = VISIT_NODE,
		  .tunnel = "a",
		  .service = "sessions",
		  .via = "0123456789abcdef",
		  .owner = "acc"},
		 "in=node; tunnel=a; service=sessions; via=\"0123456789abcdef\"; owner=acc"},
		{"a service",
		 {.ingress = VISIT_TCP, .tunnel = "a", .service = "Web_1.b-c"},
		 "in=tcp; tunnel=a; service=Web_1.b-c"},
		{"a service of one letter, and TLS",
		 {.ingress = VISIT_SNI, .tls = true, .tunnel = "a", .service = "-"},
		 "in=sni; tunnel=a; service=-; tls=1"},
		{"passed on by one node",
		 {.ingress = VISIT_TCP, .tunnel = "a", .via = ID1},
		 "in=tcp; tunnel=a; via=\"" ID1 "\""},
		{"and by another one",
		 {.ingress = VISIT_TCP, .tls = true, .tunnel = "a", .via = ID1 "," ID2},
		 "in=tcp; tunnel=a; tls=1; via=\"" ID1 "," ID2 "\""},
		{"meant for somebody's tunnel",
		 {.ingress = VISIT_TCP, .tunnel = "a", .via = ID1, .owner = "abc"},
		 "in=tcp; tunnel=a; via=\"" ID1 "\"; owner=abc"},
		{"an owner that is none", {.tunnel = "a", .owner = "a b"}, NULL},
		{"passed on by half a node", {.tunnel = "a", .via = "0123"}, NULL},
		{"passed on by a node that ends the value",
		 {.tunnel = "a", .via = "012345678\"; tls="},
		 NULL},
		{"no tunnel", {.ingress = VISIT_TCP}, NULL},
		{"a tunnel in upper case", {.tunnel = "A"}, NULL},
		{"a tunnel that ends the value", {.tunnel = "a; tls=1"}, NULL},
		{"a host with a quote", {.tunnel = "a", .host = "a\"; tls=1"}, NULL},
		{"a host with a line break", {.tunnel = "a", .host = "a\r\nb"}, NULL},
		{"a server name with a space", {.tunnel = "a", .sni = "a b"}, NULL},
		{"a service with a space", {.tunnel = "a", .service = "a b"}, NULL},
		{"a service that ends the value", {.tunnel = "a", .service = "a; tls=1"}, NULL},
		{"a service with a slash", {.tunnel = "a", .service = "a/b"}, NULL},
		{"a service above 0x7f", {.tunnel = "a", .service = "\xc3\xbc"}, NULL},
		{"a visitor that is no address", {.tunnel = "a", .visitor = {"a", 1}}, NULL},
		{"a local end that is no address", {.tunnel = "a", .local = {"\"", 1}}, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[VISIT_MAX + 1];
		struct visit back;
		size_t len = 0;
		int e = visit_format(&cases[i].v, out, &len);

		if (e != (cases[i].want == NULL ? ERR_INVAL : 0))
			fail_msg("%s: %d", cases[i].why, e);
		if (e != 0)
			continue;
		if (strcmp(out, cases[i].want) != 0 || len != strlen(out))
			fail_msg("%s: <%s>", cases[i].why, out);
		assert_int_equal(visit_parse((struct str){out, len}, &back), 0);
		assert_same(&back, &cases[i].v);
	}
}

static void test_longest(void **state)
{
	static const struct visit v = {
		.ingress = VISIT_HTTP,
		.tls = true,
		.visitor = {V6_4, 65535},
		.local = {V6_4, 65535},
		.tunnel = N253,
		.host = N253 ".:65535",
		.sni = N253,
		.service = L63 "d",
		.via = ID1 "," ID2,
		.owner = "123456789012345",
	};
	struct visit want = v, back;
	char out[VISIT_MAX + 1];
	size_t len;

	assert_int_equal(visit_format(&v, out, &len), 0);
	assert_int_equal(len, 1063); /* as the header says */
	assert_int_equal(visit_parse((struct str){out, len}, &back), 0);
	strcpy(want.visitor.ip, V6);
	strcpy(want.local.ip, V6);
	assert_same(&back, &want);
}

static void test_unterminated(void **state)
{
	struct visit v = {.ingress = VISIT_HTTP, .tunnel = "a"};
	char out[VISIT_MAX + 1];
	size_t len;

	memset(v.sni, 'a', sizeof v.sni);
	assert_int_equal(visit_format(&v, out, &len), ERR_INVAL);
	memset(v.sni, 0, sizeof v.sni);
	memset(v.service, 'a', sizeof v.service);
	assert_int_equal(visit_format(&v, out, &len), ERR_INVAL);
	memset(v.service, 0, sizeof v.service);
	memset(v.via, 'a', sizeof v.via);
	assert_int_equal(visit_format(&v, out, &len), ERR_INVAL);
	memset(v.via, 0, sizeof v.via);
	memset(v.owner, 'a', sizeof v.owner);
	assert_int_equal(visit_format(&v, out, &len), ERR_INVAL);
	memset(v.owner, 0, sizeof v.owner);
	memset(v.visitor.ip, '1', sizeof v.visitor.ip);
	assert_int_equal(visit_format(&v, out, &len), ERR_INVAL);
}

static void test_parse_more(void **state)
{
	static const struct {
		const char *why, *in, *again;
	} cases[] = {
		{"another order", "tls=1; tunnel=a; in=http", "in=http; tunnel=a; tls=1"},
		{"no spaces", "in=http;tunnel=a", "in=http; tunnel=a"},
		{"more spaces", "in=http;   tunnel=a", "in=http; tunnel=a"},
		{"quotes that are not needed", "in=\"http\"; tunnel=\"a\"", "in=http; tunnel=a"},
		{"no TLS, said so", "in=http; tunnel=a; tls=0", "in=http; tunnel=a"},
		{"a key of a later version", "in=http; x-new_1=\"; a, b\"; tunnel=a; y=1; y=2",
		 "in=http; tunnel=a"},
		{"an address in another spelling", "in=tcp; tunnel=a; for=\"[2001:DB8:0::1]:5\"",
		 "in=tcp; tunnel=a; for=\"[2001:db8::1]:5\""},
		{"a service of 64 letters", "in=tcp; tunnel=a; tls=1; service=\"" L63 "d\"",
		 "in=tcp; tunnel=a; service=" L63 "d; tls=1"},
		{"nodes, in another place", "via=\"" ID2 "," ID1 "\"; in=tcp; tunnel=a",
		 "in=tcp; tunnel=a; via=\"" ID2 "," ID1 "\""},
		{"one node without quotes", "in=tcp; tunnel=a; via=" ID1,
		 "in=tcp; tunnel=a; via=\"" ID1 "\""},
		{"a mapped address", "in=tcp; tunnel=a; for=\"[::ffff:192.0.2.1]:5\"",
		 "in=tcp; tunnel=a; for=\"192.0.2.1:5\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[VISIT_MAX + 1];
		struct visit v;
		size_t len;

		if (visit_parse(str_of(cases[i].in), &v) != 0)
			fail_msg("%s", cases[i].why);
		assert_int_equal(visit_format(&v, out, &len), 0);
		if (strcmp(out, cases[i].again) != 0)
			fail_msg("%s: <%s>", cases[i].why, out);
	}
}

static void test_parse_refused(void **state)
{
	static const struct {
		const char *why, *in;
		int want;
	} cases[] = {
		{"nothing", "", ERR_PROTO},
		{"no tunnel", "in=http", ERR_PROTO},
		{"no ingress", "tunnel=a", ERR_PROTO},
		{"an ingress of a later version", "in=quic; tunnel=a", ERR_UNSUPPORTED},
		{"an ingress in upper case", "in=HTTP; tunnel=a", ERR_UNSUPPORTED},
		{"a key twice", "in=http; tunnel=a; tunnel=b", ERR_PROTO},
		{"the ingress twice", "in=http; in=http; tunnel=a", ERR_PROTO},
		{"a semicolon at the end", "in=http; tunnel=a;", ERR_PROTO},
		{"a semicolon in front", "; in=http; tunnel=a", ERR_PROTO},
		{"two semicolons", "in=http;; tunnel=a", ERR_PROTO},
		{"a space in front", " in=http; tunnel=a", ERR_PROTO},
		{"a space at the end", "in=http; tunnel=a ", ERR_PROTO},
		{"a space before the semicolon", "in=http ; tunnel=a", ERR_PROTO},
		{"a tab", "in=http;\ttunnel=a", ERR_PROTO},
		{"a comma", "in=http, tunnel=a", ERR_PROTO},
		{"no equals sign", "in=http; tunnel", ERR_PROTO},
		{"an empty value", "in=http; tunnel=", ERR_PROTO},
		{"an empty quoted value", "in=http; tunnel=\"\"", ERR_PROTO},
		{"an open quote", "in=http; tunnel=\"a", ERR_PROTO},
		{"a lone quote", "in=http; tunnel=a; x=\"", ERR_PROTO},
		{"a backslash", "in=http; tunnel=a; x=\"\\\"\"", ERR_PROTO},
		{"a control character", "in=http; tunnel=a; x=\"\n\"", ERR_PROTO},
		{"a byte above 0x7f", "in=http; tunnel=a; x=\"\xc3\xbc\"", ERR_PROTO},
		{"a tunnel in upper case", "in=http; tunnel=A", ERR_PROTO},
		{"a tunnel that is no name", "in=http; tunnel=a_b", ERR_PROTO},
		{"a name as visitor", "in=http; tunnel=a; for=localhost", ERR_PROTO},
		{"port 0", "in=http; tunnel=a; for=\"192.0.2.1:0\"", ERR_PROTO},
		{"a port too high", "in=http; tunnel=a; by=\"192.0.2.1:65536\"", ERR_PROTO},
		{"a bad host", "in=http; tunnel=a; host=\"a b\"", ERR_PROTO},
		{"a bad server name", "in=http; tunnel=a; sni=\"a:1\"", ERR_PROTO},
		{"a service with a space", "in=http; tunnel=a; service=\"a b\"", ERR_PROTO},
		{"a service with a colon", "in=http; tunnel=a; service=\"a:1\"", ERR_PROTO},
		{"an empty service", "in=http; tunnel=a; service=\"\"", ERR_PROTO},
		{"a service of 65 letters", "in=http; tunnel=a; service=" L63 "de", ERR_PROTO},
		{"two services", "in=http; tunnel=a; service=a; service=b", ERR_PROTO},
		{"an owner whose id is too long", "in=http; tunnel=a; owner=1234567890123456",
		 ERR_PROTO},
		{"nobody's tunnel", "in=http; tunnel=a; owner=", ERR_PROTO},
		{"via nobody", "in=http; tunnel=a; via=\"\"", ERR_PROTO},
		{"an id in upper case", "in=http; tunnel=a; via=0123456789ABCDEF", ERR_PROTO},
		{"an id that is too short", "in=http; tunnel=a; via=0123456789abcde", ERR_PROTO},
		{"an id that is too long", "in=http; tunnel=a; via=" ID1 "0", ERR_PROTO},
		{"three nodes", "in=http; tunnel=a; via=\"" ID1 "," ID2 ",0000000000000000\"",
		 ERR_PROTO},
		{"the same node twice", "in=http; tunnel=a; via=\"" ID1 "," ID1 "\"", ERR_PROTO},
		{"a comma at the end", "in=http; tunnel=a; via=\"" ID1 ",\"", ERR_PROTO},
		{"a comma in front", "in=http; tunnel=a; via=\"," ID1 "\"", ERR_PROTO},
		{"a space behind the comma", "in=http; tunnel=a; via=\"" ID1 ", " ID2 "\"",
		 ERR_PROTO},
		{"via twice", "in=http; tunnel=a; via=" ID1 "; via=" ID2, ERR_PROTO},
		{"TLS that is neither", "in=http; tunnel=a; tls=2", ERR_PROTO},
		{"TLS twice", "in=http; tunnel=a; tls=0; tls=1", ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct visit v = {.tunnel = "untouched"};
		int e = visit_parse(str_of(cases[i].in), &v);

		if (e != cases[i].want || strcmp(v.tunnel, "untouched") != 0)
			fail_msg("%s: %d", cases[i].why, e);
	}
}

static void test_parse_cut(void **state)
{
	static const char whole[] = "in=http; tunnel=ab; for=\"192.0.2.1:80\"; tls=1";
	static const size_t right[] = {17, 18, 38, 45}; /* after "a", "ab", the address, the end */
	size_t next = 0;

	for (size_t n = 0; n < sizeof whole; n++) {
		char *cut = malloc(MAX(n, 1)); /* so that a sanitizer sees a byte too much */
		struct visit v;
		int e;

		assert_non_null(cut);
		memcpy(cut, whole, n);
		e = visit_parse((struct str){cut, n}, &v);
		if ((e == 0) != (next < ARRAY_LEN(right) && right[next] == n))
			fail_msg("cut after %zu bytes it gives %d", n, e);
		next += e == 0;
		free(cut);
	}
	assert_int_equal(next, ARRAY_LEN(right));
}

static void test_parse_limit(void **state)
{
	char in[VISIT_MAX + 2];
	size_t n = str_printf(in, sizeof in, "in=http; tunnel=a; x=");
	struct visit v;

	memset(in + n, 'x', sizeof in - n);
	assert_int_equal(visit_parse((struct str){in, VISIT_MAX}, &v), 0);
	assert_int_equal(visit_parse((struct str){in, VISIT_MAX + 1}, &v), ERR_TOOBIG);
}

static void test_via(void **state)
{
	static const struct {
		const char *why, *via, *id, *want;
		int e;
		size_t n;
	} cases[] = {
		{"the first node", "", ID1, ID1, 0, 1},
		{"the second", ID1, ID2, ID1 "," ID2, 0, 2},
		{"one too many", ID1 "," ID2, "0000000000000000", ID1 "," ID2, ERR_LIMIT, 2},
		{"it has passed it on already", ID1, ID1, ID1, ERR_LOOP, 1},
		{"the same, when it was the second", ID1 "," ID2, ID2, ID1 "," ID2, ERR_LOOP, 2},
		{"no id", "", "", "", ERR_INVAL, 0},
		{"no id of ours", ID1, "0123456789abcdeF", ID1, ERR_INVAL, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct visit v = {.tunnel = "a"};
		bool had;
		int e;

		strcpy(v.via, cases[i].via);
		had = visit_via_has(&v, cases[i].id);
		e = visit_via_add(&v, cases[i].id);
		if (e != cases[i].e || strcmp(v.via, cases[i].want) != 0 ||
		    visit_via_n(&v) != cases[i].n || had != (e == ERR_LOOP) ||
		    visit_via_has(&v, cases[i].id) != (e == 0 || e == ERR_LOOP))
			fail_msg("%s: %d <%s>", cases[i].why, e, v.via);
		if (e == 0)
			assert_string_equal(visit_via_last(&v), cases[i].id);
	}
	assert_string_equal(visit_via_last(&(struct visit){.via = ""}), "");
}

static void test_end_set(void **state)
{
	struct visit_end end = {"old", 7};

	assert_int_equal(visit_end_set(&end, STR("::ffff:192.0.2.1"), 80), 0);
	assert_string_equal(end.ip, "192.0.2.1");
	assert_int_equal(end.port, 80);
	assert_int_equal(visit_end_set(&end, STR("/run/a.sock"), 80), ERR_INVAL);
	assert_string_equal(end.ip, "");
	assert_int_equal(end.port, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),	      cmocka_unit_test(test_longest),
		cmocka_unit_test(test_unterminated),  cmocka_unit_test(test_parse_more),
		cmocka_unit_test(test_parse_refused), cmocka_unit_test(test_parse_cut),
		cmocka_unit_test(test_parse_limit),   cmocka_unit_test(test_end_set),
		cmocka_unit_test(test_via),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
