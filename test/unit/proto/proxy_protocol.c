/* Whom a connection comes from: both versions, read strictly, and written so that they are read. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/proxy_protocol.h"

#define L10  "abcdefghij"
#define L60  L10 L10 L10 L10 L10 L10
#define L63  L60 "abc"
#define N253 L63 "." L63 "." L63 "." L60 "a"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4	  SIGNATURE "\x21\x11\0" /* and a byte with the length */
#define V4_ENDS	  "\xc0\0\x02\x01\xcb\0\x71\x05\x12\x67\x23\x28"
#define V6_ENDS                                      \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x12\x67\x23\x28"
#define UNIX108 L10 L10 L10 L10 L10 L10 L10 L10 L10 L10 "12345678"

/* Both ends of most cases. */
#define VISITOR .src = {"192.0.2.1", 4711}, .dst = {"203.0.113.5", 9000}

static void assert_same(const char *why, const struct proxy_header *a, const struct proxy_header *b)
{
	if (a->version != b->version || a->local != b->local || a->tls != b->tls)
		fail_msg("%s: version %u, local %d, tls %d", why, a->version, a->local, a->tls);
	if (strcmp(a->src.ip, b->src.ip) != 0 || a->src.port != b->src.port ||
	    strcmp(a->dst.ip, b->dst.ip) != 0 || a->dst.port != b->dst.port)
		fail_msg("%s: from %s port %u to %s port %u", why, a->src.ip, a->src.port,
			 a->dst.ip, a->dst.port);
	if (strcmp(a->sni, b->sni) != 0 || strcmp(a->tls_version, b->tls_version) != 0)
		fail_msg("%s: name \"%s\", \"%s\"", why, a->sni, a->tls_version);
	if (a->alpn_len != b->alpn_len || memcmp(a->alpn, b->alpn, b->alpn_len) != 0 ||
	    a->id_len != b->id_len || memcmp(a->id, b->id, b->id_len) != 0)
		fail_msg("%s: ALPN of %zu, id of %zu bytes", why, a->alpn_len, a->id_len);
}

/*
 * Bytes come one by one: "more" up to the one that decides, and the same ever after.
 * Returns how many it took; 0: it is not decided.
 */
static size_t check(const char *why, struct str in, int want, const struct proxy_header *header)
{
	size_t decided = 0;

	for (size_t n = 0; n <= in.len; n++) {
		char *cut =
			malloc(MAX(n, (size_t)1)); /* so that a sanitizer sees a byte too much */
		struct proxy_header h = {.version = 7};
		size_t used = 4711;
		int e;

		assert_non_null(cut);
		memcpy(cut, in.p, n);
		e = proxy_protocol_parse((struct str){cut, n}, &h, &used);
		free(cut);
		if (decided == 0 && e != ERR_AGAIN)
			decided = n;
		if (e != (decided == 0 ? ERR_AGAIN : want))
			fail_msg("%s: %s after %zu bytes", why, err_name(e), n);
		if (e != 0) {
			assert_int_equal(h.version, 7);
			assert_int_equal(used, 4711);
			continue;
		}
		assert_int_equal(used, decided);
		assert_same(why, &h, header);
	}
	return decided;
}

static void test_v1(void **state)
{
	static const struct {
		const char *why, *in;
		struct proxy_header want;
	} cases[] = {
		{"IPv4", "PROXY TCP4 192.0.2.1 203.0.113.5 4711 9000\r\n", {VISITOR}},
		{"the longest IPv4",
		 "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
		 {.src = {"255.255.255.255", 65535}, .dst = {"255.255.255.255", 65535}}},
		{"port 0",
		 "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n",
		 {.src = {"0.0.0.0", 0}, .dst = {"0.0.0.0", 0}}},
		{"IPv6",
		 "PROXY TCP6 2001:DB8::1 ::1 1 2\r\n",
		 {.src = {"2001:db8::1", 1}, .dst = {"::1", 2}}},
		{"the longest IPv6 of the specification",
		 "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		 {.src = {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535},
		  .dst = {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535}}},
		{"IPv4 mapped into IPv6",
		 "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:203.0.113.5 4711 9000\r\n",
		 {VISITOR}},
		{"unknown, short", "PROXY UNKNOWN\r\n", {.local = true}},
		{"unknown, with what is to be ignored",
		 "PROXY UNKNOWN ffff::1 nonsense, 0 -1\r\n",
		 {.local = true}},
		{"unknown, as long as can be",
		 "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		 {.local = true}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proxy_header want = cases[i].want;
		struct str whole = str_of(cases[i].in);
		char in[PROXY_V1_MAX + 6];

		want.version = 1;
		assert_int_equal(check(cases[i].why, whole, 0, &want), whole.len);
		memcpy(in, whole.p, whole.len);
		memcpy(in + whole.len, "first", 5); /* what follows is the visitor's */
		assert_int_equal(check(cases[i].why, (struct str){in, whole.len + 5}, 0, &want),
				 whole.len);
	}
}

/* The first byte that cannot belong to a header is told, and no byte before it. */
static void test_v1_refused(void **state)
{
	static const struct {
		const char *why, *in; /* its last byte is the impossible one */
	} cases[] = {
		{"HTTP", "G"},
		{"HTTP that starts as a header does", "PU"},
		{"lower case", "p"},
		{"no space", "PROXYT"},
		{"a line without anything", "PROXY\r"},
		{"two spaces", "PROXY  "},
		{"a protocol of nobody", "PROXY X"},
		{"UDP", "PROXY UD"},
		{"TCP5", "PROXY TCP5"},
		{"TCP46", "PROXY TCP46"},
		{"unknown and more", "PROXY UNKNOWNS"},
		{"unknown and a bare line feed", "PROXY UNKNOWN\n"},
		{"unknown and a bare carriage return", "PROXY UNKNOWN\rx"},
		{"unknown and a control character", "PROXY UNKNOWN \x01"},
		{"unknown and a byte above 0x7f", "PROXY UNKNOWN \x80"},
		{"two spaces before an address", "PROXY TCP4  "},
		{"a name", "PROXY TCP4 l"},
		{"an address of three parts", "PROXY TCP4 192.0.2 "},
		{"an address of five parts", "PROXY TCP4 192.0.2.1.1 "},
		{"a part above 255", "PROXY TCP4 192.0.2.256 "},
		{"a leading zero", "PROXY TCP4 192.0.2.01 "},
		{"a mask", "PROXY TCP4 192.0.2.0/"},
		{"IPv6 as TCP4", "PROXY TCP4 :"},
		{"IPv4 as TCP6", "PROXY TCP6 192.0.2.1 "},
		{"IPv6 with two gaps", "PROXY TCP6 1::2::3 "},
		{"IPv6 in brackets", "PROXY TCP6 ["},
		{"IPv6 with a zone", "PROXY TCP6 fe80::1%"},
		{"one address only", "PROXY TCP4 192.0.2.1\r"},
		{"a tab", "PROXY TCP4 192.0.2.1\t"},
		{"no ports", "PROXY TCP4 192.0.2.1 192.0.2.2\r"},
		{"one port only", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r"},
		{"a negative port", "PROXY TCP4 192.0.2.1 192.0.2.2 -"},
		{"a port too high", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 "},
		{"the other port too high", "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r"},
		{"a port with a leading zero", "PROXY TCP4 192.0.2.1 192.0.2.2 01 "},
		{"a port that is no number", "PROXY TCP4 192.0.2.1 192.0.2.2 0x"},
		{"no second port", "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r"},
		{"a third port", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 "},
		{"a bare line feed", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"},
		{"a bare carriage return", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str in = str_of(cases[i].in);
		size_t at = check(cases[i].why, in, ERR_PROTO, NULL);

		if (at != in.len)
			fail_msg("%s: told at byte %zu of %zu", cases[i].why, at, in.len);
	}
	assert_int_equal(check("a NUL in an address", STR("PROXY TCP4 1\0"), ERR_PROTO, NULL), 13);
}

static void test_v1_limit(void **state)
{
	static const struct {
		const char *start;
		char last; /* the last byte that may be */
	} cases[] = {
		{"PROXY UNKNOWN ", '1'},
		{"PROXY UNKNOWN ", '\r'},
		{"PROXY TCP4 ", '1'},
		{"PROXY TCP6 ", '1'},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 ", '1'},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *start = cases[i].start;
		char in[PROXY_V1_MAX + 50];

		memset(in, '1', sizeof in);
		memcpy(in, start, strlen(start));
		in[PROXY_V1_MAX - 1] = cases[i].last;
		in[PROXY_V1_MAX] = '\n';
		assert_int_equal(check(start, (struct str){in, sizeof in}, ERR_TOOBIG, NULL),
				 PROXY_V1_MAX);
	}
}

static void test_v2(void **state)
{
	static const struct {
		const char *why;
		struct str in;
		struct proxy_header want;
	} cases[] = {
		{"IPv4", STR(V4 "\x0c" V4_ENDS), {VISITOR}},
		{"IPv4, datagrams", STR(SIGNATURE "\x21\x12\0\x0c" V4_ENDS), {VISITOR}},
		{"IPv6",
		 STR(SIGNATURE "\x21\x21\0\x24" V6_ENDS),
		 {.src = {"2001:db8::1", 4711}, .dst = {"2001:db8::2", 9000}}},
		{"IPv4 mapped into IPv6",
		 STR(SIGNATURE "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01"
			       "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\0\x71\x05\x12\x67\x23\x28"),
		 {VISITOR}},
		{"local, nothing said", STR(SIGNATURE "\x20\0\0\0"), {.local = true}},
		{"local: what is said is ignored",
		 STR(SIGNATURE "\x20\x11\0\x0c" V4_ENDS),
		 {.local = true}},
		{"local: so is what makes no sense",
		 STR(SIGNATURE "\x20\xff\0\x03\x01\xff\xff"),
		 {.local = true}},
		{"no family", STR(SIGNATURE "\x21\0\0\0"), {.local = true}},
		{"no family, and what is to be ignored",
		 STR(SIGNATURE "\x21\0\0\x05\x01\xff\xff\0\0"),
		 {.local = true}},
		{"no protocol", STR(SIGNATURE "\x21\x10\0\x0c" V4_ENDS), {.local = true}},
		{"a unix socket", STR(SIGNATURE "\x21\x31\0\xd8" UNIX108 UNIX108), {.local = true}},
		{"a unix socket, datagrams, and a TLV",
		 STR(SIGNATURE "\x21\x32\0\xdd" UNIX108 UNIX108 "\x01\0\x02h2"),
		 {.local = true, .alpn = "h2", .alpn_len = 2}},
		{"ALPN",
		 STR(V4 "\x11" V4_ENDS "\x01\0\x02h2"),
		 {VISITOR, .alpn = "h2", .alpn_len = 2}},
		{"an empty ALPN", STR(V4 "\x0f" V4_ENDS "\x01\0\0"), {VISITOR}},
		{"a name",
		 STR(V4 "\x1a" V4_ENDS "\x02\0\x0b"
			"App.Example"),
		 {VISITOR, .sni = "app.example"}},
		{"a name with a dot",
		 STR(V4 "\x11" V4_ENDS "\x02\0\x02"
			"a."),
		 {VISITOR, .sni = "a"}},
		{"a name that is none",
		 STR(V4 "\x12" V4_ENDS "\x02\0\x03"
			"a b"),
		 {VISITOR}},
		{"an empty name", STR(V4 "\x0f" V4_ENDS "\x02\0\0"), {VISITOR}},
		{"an id",
		 STR(V4 "\x12" V4_ENDS "\x05\0\x03\0\xff\n"),
		 {VISITOR, .id = "\0\xff\n", .id_len = 3}},
		{"padding, twice", STR(V4 "\x14" V4_ENDS "\x04\0\x02\0\0\x04\0\0"), {VISITOR}},
		{"what is not known, twice",
		 STR(V4 "\x13" V4_ENDS "\xee\0\0\xee\0\x01\0"),
		 {VISITOR}},
		{"a name space",
		 STR(V4 "\x13" V4_ENDS "\x30\0\x04"
			"blue"),
		 {VISITOR}},
		{"no TLS", STR(V4 "\x14" V4_ENDS "\x20\0\x05\0\0\0\0\0"), {VISITOR}},
		{"TLS", STR(V4 "\x14" V4_ENDS "\x20\0\x05\x01\0\0\0\x01"), {VISITOR, .tls = true}},
		{"TLS with a certificate, its version and its common name",
		 STR(V4 "\x24" V4_ENDS "\x20\0\x15\x07\0\0\0\0\x21\0\x07TLSv1.3\x22\0\x03me!"),
		 {VISITOR, .tls = true, .tls_version = "TLSv1.3"}},
		{"a version longer than we keep",
		 STR(V4 "\x27" V4_ENDS "\x20\0\x18\x01\0\0\0\x01\x21\0\x10TLSv1.3 and more"),
		 {VISITOR, .tls = true}},
		{"the version of no TLS",
		 STR(V4 "\x1e" V4_ENDS "\x20\0\x0f\x04\0\0\0\0\x21\0\x07TLSv1.3"),
		 {VISITOR}},
		{"all of them",
		 STR(V4 "\x2b" V4_ENDS "\x01\0\x02h2\x02\0\x01"
			"a\x05\0\x01"
			"b\x20\0\x0f\x01\0\0\0"
			"\x01\x21\0\x07TLSv1.2"),
		 {VISITOR, .alpn = "h2", .alpn_len = 2, .sni = "a", .id = "b", .id_len = 1,
		  .tls = true, .tls_version = "TLSv1.2"}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proxy_header want = cases[i].want;
		struct str in = cases[i].in;
		char longer[600];

		want.version = 2;
		if (check(cases[i].why, in, 0, &want) != in.len)
			fail_msg("%s: its end is another", cases[i].why);
		memcpy(longer, in.p, in.len);
		memcpy(longer + in.len, "first", 5);
		assert_int_equal(check(cases[i].why, (struct str){longer, in.len + 5}, 0, &want),
				 in.len);
	}
}

static void test_v2_refused(void **state)
{
	static const struct {
		const char *why;
		struct str in; /* its last byte is the impossible one */
	} cases[] = {
		{"an empty line", STR("\r\nG")},
		{"nearly the signature", STR("\r\n\r\n\0\r\nQUIT\r")},
		{"version 1", STR(SIGNATURE "\x11")},
		{"version 3", STR(SIGNATURE "\x31")},
		{"a command of nobody", STR(SIGNATURE "\x22")},
		{"a family of nobody", STR(SIGNATURE "\x21\x41")},
		{"a protocol of nobody", STR(SIGNATURE "\x21\x13")},
		{"IPv4 cut", STR(SIGNATURE "\x21\x11\0\x0b")},
		{"IPv6 cut", STR(SIGNATURE "\x21\x21\0\x23")},
		{"a unix socket cut", STR(SIGNATURE "\x21\x31\0\xd7")},
		{"one byte behind the addresses", STR(V4 "\x0d" V4_ENDS)},
		{"two bytes behind a TLV", STR(V4 "\x11" V4_ENDS "\x04\0\0")},
		{"a TLV past the end", STR(V4 "\x11" V4_ENDS "\x01\0\x03")},
		{"an unknown one past the end", STR(V4 "\x11" V4_ENDS "\xee\xff\xff")},
		{"the second one past the end", STR(V4 "\x14" V4_ENDS "\x04\0\x01\0\x01\0\x02")},
		{"ALPN twice", STR(V4 "\x14" V4_ENDS "\x01\0\x01"
				      "a\x01\0\x01"
				      "b")},
		{"a name twice", STR(V4 "\x12" V4_ENDS "\x02\0\0\x02\0\0")},
		{"an id twice", STR(V4 "\x12" V4_ENDS "\x05\0\0\x05\0\0")},
		{"TLS twice", STR(V4 "\x1c" V4_ENDS "\x20\0\x05\0\0\0\0\0\x20\0\x05\0\0\0\0\0")},
		{"TLS without its first bytes", STR(V4 "\x13" V4_ENDS "\x20\0\x04\x01\0\0\0")},
		{"TLS and half a TLV", STR(V4 "\x16" V4_ENDS "\x20\0\x07\x01\0\0\0\0\x21\0")},
		{"TLS and a TLV past its end",
		 STR(V4 "\x18" V4_ENDS "\x20\0\x09\x01\0\0\0\0\x21\0\x02"
			"a")},
		{"a version with a line break",
		 STR(V4 "\x19" V4_ENDS "\x20\0\x0a\x01\0\0\0\0\x21\0\x02"
			"1\n")},
		{"a checksum of three bytes", STR(V4 "\x12" V4_ENDS "\x03\0\x03\0\0\0")},
		{"a checksum of five bytes", STR(V4 "\x14" V4_ENDS "\x03\0\x05\0\0\0\0\0")},
		{"a wrong checksum", STR(V4 "\x13" V4_ENDS "\x03\0\x04\0\0\0\0")},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t at = check(cases[i].why, cases[i].in, ERR_PROTO, NULL);

		if (at != cases[i].in.len)
			fail_msg("%s: told at byte %zu of %zu", cases[i].why, at, cases[i].in.len);
	}
}

/* Values at their limits, and above. */
static void test_v2_values(void **state)
{
	static const struct {
		const char *why;
		char type;
		size_t len;
		bool ok;
	} cases[] = {
		{"the longest ALPN", 1, PROXY_ALPN_MAX, true},
		{"a longer one", 1, PROXY_ALPN_MAX + 1, false},
		{"the longest id", 5, PROXY_ID_MAX, true},
		{"a longer one", 5, PROXY_ID_MAX + 1, false},
		{"a name that is too long for one", 2, 300, true},
		{"padding up to the limit", 4, PROXY_V2_MAX - 16 - 12 - 3, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char in[PROXY_V2_MAX];
		struct proxy_header h;
		size_t n = 12 + 3 + cases[i].len, used;
		int e;

		memset(in, 'x', sizeof in);
		memcpy(in, V4 "\0" V4_ENDS, 28);
		in[14] = (char)(n >> 8);
		in[15] = (char)n;
		in[28] = cases[i].type;
		in[29] = (char)(cases[i].len >> 8);
		in[30] = (char)cases[i].len;
		e = proxy_protocol_parse((struct str){in, 16 + n}, &h, &used);
		if (e != (cases[i].ok ? 0 : ERR_PROTO))
			fail_msg("%s: %s", cases[i].why, err_name(e));
		if (e != 0)
			continue;
		assert_int_equal(used, 16 + n);
		assert_int_equal(h.alpn_len, cases[i].type == 1 ? cases[i].len : 0);
		assert_int_equal(h.id_len, cases[i].type == 5 ? cases[i].len : 0);
		assert_string_equal(h.sni, "");
	}
}

static void test_v2_limit(void **state)
{
	/* 4097, 65551 bytes; told as soon as the length has come, whoever speaks. */
	assert_int_equal(check("above the cap", STR(SIGNATURE "\x21\x11\x0f\xf1"), ERR_TOOBIG,
			       NULL),
			 16);
	assert_int_equal(check("the longest", STR(SIGNATURE "\x21\x11\xff\xff"), ERR_TOOBIG, NULL),
			 16);
	assert_int_equal(check("local", STR(SIGNATURE "\x20\0\xff\xff"), ERR_TOOBIG, NULL), 16);
	assert_int_equal(check("at the cap", STR(SIGNATURE "\x21\x11\x0f\xf0"), 0, NULL), 0);
}

/*
 * The checksum, by a header whose sum was computed elsewhere, bit by bit from the polynomial. No
 * byte of it may be another one.
 */
static void test_v2_checksum(void **state)
{
	static const struct str whole =
		STR(V4 "\x1c" V4_ENDS "\x01\0\x02h2\x03\0\x04\x8d\xfd\x67\x08\x04\0\x01!");
	static const struct proxy_header want = {.version = 2,
						 VISITOR,
						 .alpn = "h2",
						 .alpn_len = 2};

	assert_int_equal(check("a right checksum", whole, 0, &want), whole.len);
	for (size_t i = 0; i < whole.len * 8; i++) {
		char in[64];
		struct proxy_header h;
		size_t used;

		memcpy(in, whole.p, whole.len);
		in[i / 8] = (char)(in[i / 8] ^ 1 << i % 8);
		/* Command, family, length and its own type say whether a sum counts at all. */
		if (i / 8 == 12 || i / 8 == 13 || i / 8 == 15 || i / 8 == 33)
			continue;
		if (proxy_protocol_parse((struct str){in, whole.len}, &h, &used) == 0)
			fail_msg("bit %zu does not matter", i);
	}
}

static void test_write(void **state)
{
	static const struct {
		const char *why;
		struct proxy_header h;
		struct str want;
	} cases[] = {
		{"v1",
		 {.version = 1, VISITOR},
		 STR("PROXY TCP4 192.0.2.1 203.0.113.5 4711 9000\r\n")},
		{"v1 has no room for more",
		 {.version = 1, VISITOR, .sni = "a", .tls = true},
		 STR("PROXY TCP4 192.0.2.1 203.0.113.5 4711 9000\r\n")},
		{"v1, IPv6",
		 {.version = 1, .src = {"2001:DB8::1", 1}, .dst = {"::1", 65535}},
		 STR("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n")},
		{"v1, both families",
		 {.version = 1, .src = {"192.0.2.1", 1}, .dst = {"::1", 2}},
		 STR("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n")},
		{"v1, both families the other way round",
		 {.version = 1, .src = {"::1", 1}, .dst = {"192.0.2.1", 2}},
		 STR("PROXY TCP6 ::1 ::ffff:192.0.2.1 1 2\r\n")},
		{"v1, a port that is not known",
		 {.version = 1, .src = {"192.0.2.1", 0}, .dst = {"192.0.2.2", 80}},
		 STR("PROXY TCP4 192.0.2.1 192.0.2.2 0 80\r\n")},
		{"v1, no source", {.version = 1, .dst = {"::1", 1}}, STR("PROXY UNKNOWN\r\n")},
		{"v1, no destination", {.version = 1, .src = {"::1", 1}}, STR("PROXY UNKNOWN\r\n")},
		{"v1, an end that is no address",
		 {.version = 1, .src = {"a\r\nb", 1}, .dst = {"::1", 1}},
		 STR("PROXY UNKNOWN\r\n")},
		{"v1, local", {.version = 1, .local = true, VISITOR}, STR("PROXY UNKNOWN\r\n")},
		{"v2", {.version = 2, VISITOR}, STR(V4 "\x0c" V4_ENDS)},
		{"v2, IPv6",
		 {.version = 2, .src = {"2001:db8::1", 4711}, .dst = {"2001:db8::2", 9000}},
		 STR(SIGNATURE "\x21\x21\0\x24" V6_ENDS)},
		{"v2, both families",
		 {.version = 2, .src = {"192.0.2.1", 1}, .dst = {"::1", 2}},
		 STR(SIGNATURE "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01"
			       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01\0\x02")},
		{"v2, no source",
		 {.version = 2, .dst = {"::1", 1}, .sni = "a"},
		 STR(SIGNATURE "\x20\0\0\0")},
		{"v2, with all that it can tell",
		 {.version = 2,
		  VISITOR,
		  .alpn = "h2",
		  .alpn_len = 2,
		  .sni = "a.example",
		  .id = "id",
		  .id_len = 2,
		  .tls = true,
		  .tls_version = "TLSv1.3"},
		 STR(V4 "\x34" V4_ENDS "\x01\0\x02h2\x02\0\x09"
			"a.example\x05\0\x02id"
			"\x20\0\x0f\x01\0\0\0\x01\x21\0\x07TLSv1.3")},
		{"v2, TLS of a version that is not known",
		 {.version = 2, VISITOR, .tls = true},
		 STR(V4 "\x14" V4_ENDS "\x20\0\x05\x01\0\0\0\x01")},
		{"v2, no TLS has no version",
		 {.version = 2, VISITOR, .tls_version = "TLSv1.3"},
		 STR(V4 "\x0c" V4_ENDS)},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t out[PROXY_WRITE_MAX];
		struct proxy_header back;
		size_t len, used;

		proxy_protocol_write(&cases[i].h, out, &len);
		if (!str_eq((struct str){(char *)out, len}, cases[i].want))
			fail_msg("%s: %zu bytes", cases[i].why, len);
		assert_int_equal(proxy_protocol_parse(cases[i].want, &back, &used), 0);
		assert_int_equal(used, len);
	}
}

static void test_longest(void **state)
{
	struct proxy_header h = {.version = 2,
				 .src = {"2001:db8::1", 1},
				 .dst = {"2001:db8::2", 2},
				 .alpn_len = PROXY_ALPN_MAX,
				 .sni = N253,
				 .id_len = PROXY_ID_MAX,
				 .tls = true,
				 .tls_version = "123456789012345"};
	uint8_t out[PROXY_WRITE_MAX];
	size_t len;

	memset(h.alpn, 0xff, sizeof h.alpn);
	memset(h.id, 0xff, sizeof h.id);
	proxy_protocol_write(&h, out, &len);
	assert_int_equal(len, 723);
	assert_int_equal(check("the longest", (struct str){(char *)out, len}, 0, &h), len);
}

/* Texts that fill their arrays without an end stay inside. */
static void test_unterminated(void **state)
{
	struct proxy_header h = {.version = 2, VISITOR, .tls = true};
	uint8_t out[PROXY_WRITE_MAX];
	size_t len;

	memset(h.sni, 'a', sizeof h.sni);
	memset(h.tls_version, 'a', sizeof h.tls_version);
	proxy_protocol_write(&h, out, &len);
	assert_int_equal(len, 28 + 3 + HOSTNAME_MAX + 3 + 5 + 3 + 15);
	memset(h.src.ip, '1', sizeof h.src.ip);
	proxy_protocol_write(&h, out, &len);
	assert_int_equal(len, 16);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),	     cmocka_unit_test(test_v1_refused),
		cmocka_unit_test(test_v1_limit),     cmocka_unit_test(test_v2),
		cmocka_unit_test(test_v2_refused),   cmocka_unit_test(test_v2_values),
		cmocka_unit_test(test_v2_limit),     cmocka_unit_test(test_v2_checksum),
		cmocka_unit_test(test_write),	     cmocka_unit_test(test_longest),
		cmocka_unit_test(test_unterminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
