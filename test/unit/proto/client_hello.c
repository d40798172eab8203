/* The first message of TLS: whom it names, in whatever pieces it comes, and what is none. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/client_hello.h"
#include "proto/pen.h"

#define RECORD	(16 * 1024)
#define MESSAGE (80 * 1024) /* bytes of the largest message that a test makes */
#define L10	"abcdefghij"
#define L63	L10 L10 L10 L10 L10 L10 "abc"
#define N253	L63 "." L63 "." L63 "." L10 L10 L10 L10 L10 L10 "a"
#define L60	L10 L10 L10 L10 L10 L10

/* ---- making one ---- */

static void pen_number(struct pen *pen, unsigned bytes, size_t n)
{
	while (bytes-- > 0)
		pen_char(pen, (char)(n >> 8 * bytes));
}

static void pen_vector(struct pen *pen, unsigned bytes, struct str s)
{
	pen_number(pen, bytes, s.len);
	pen_str(pen, s);
}

static void pen_extension(struct pen *pen, unsigned type, struct str s)
{
	pen_number(pen, 2, type);
	pen_vector(pen, 2, s);
}

/* A server_name extension with one host name. */
static void pen_sni(struct pen *pen, struct str name)
{
	char mem[1024];
	struct pen list = pen_on(mem, sizeof mem);

	pen_number(&list, 2, name.len + 3);
	pen_number(&list, 1, 0);
	pen_vector(&list, 2, name);
	pen_extension(pen, 0, (struct str){mem, pen_len(&list)});
}

/*
 * A whole message.
 *   extensions  with the length of their list in front; empty for a message without.
 */
static struct str make_message(struct str extensions, char out[MESSAGE])
{
	static const char random[32], session[32];
	struct pen pen = pen_on(out, MESSAGE);

	pen_number(&pen, 1, 1);
	pen_number(&pen, 3, 2 + 32 + 1 + 32 + 2 + 4 + 1 + 1 + extensions.len);
	pen_number(&pen, 2, 0x0303);
	pen_str(&pen, (struct str){random, sizeof random});
	pen_vector(&pen, 1, (struct str){session, sizeof session});
	pen_vector(&pen, 2, STR("\x13\x01\x13\x02"));
	pen_vector(&pen, 1, (struct str){random, 1});
	pen_str(&pen, extensions);
	assert_false(pen.full);
	return (struct str){out, pen_len(&pen)};
}

/*
 * Cut a message into records.
 *   first, each  bytes of the first record, and of the others.
 * Returns memory of just the right size, so that a sanitizer sees a byte read too much.
 */
static struct str make_records(struct str message, size_t first, size_t each)
{
	size_t cap = message.len + 5 * (2 + (message.len - MIN(first, message.len)) / each);
	char *mem = malloc(cap);
	struct pen pen = pen_on(mem, cap);
	size_t n = first;

	assert_non_null(mem);
	for (size_t at = 0; at < message.len; at += n, n = each) {
		n = MIN(n, message.len - at);
		pen_number(&pen, 3, 0x160301);
		pen_vector(&pen, 2, (struct str){message.p + at, n});
	}
	assert_false(pen.full);
	n = pen_len(&pen);
	mem = realloc(mem, n);
	assert_non_null(mem);
	return (struct str){mem, n};
}

/*
 * A message that is long because of its padding, in records.
 *   padding  [MESSAGE] bytes, 0 but for what was made before.
 */
static struct str make_padded(size_t len, size_t record, char *padding, char *message)
{
	size_t n = len - make_message(STR(""), message).len;
	struct pen pen = pen_on(padding, 6);

	pen_number(&pen, 2, n - 2);
	pen_number(&pen, 2, 21);
	pen_number(&pen, 2, n - 6);
	make_message((struct str){padding, n}, message);
	return make_records((struct str){message, len}, record, record);
}

static void records_free(struct str s)
{
	free((void *)(uintptr_t)s.p);
}

/* ---- looking at one ---- */

struct want {
	int e;
	const char *sni;
	struct str alpn;
};

static void check(const char *why, struct str in, const struct want *want)
{
	struct client_hello hello = {.sni = "untouched"};
	int e = client_hello_parse(in, &hello);

	if (e != want->e)
		fail_msg("%s: %s", why, err_name(e));
	if (e != 0) {
		assert_string_equal(hello.sni, "untouched");
		return;
	}
	if (strcmp(hello.sni, want->sni) != 0)
		fail_msg("%s: \"%s\"", why, hello.sni);
	assert_int_equal(hello.alpn_len, want->alpn.len);
	assert_memory_equal(hello.alpn, want->alpn.p, want->alpn.len);
}

/* Bytes come one by one: nothing is told before the byte that decides, and nothing else behind it.
 * Returns how many bytes it took. */
static size_t check_prefixes(const char *why, struct str in, const struct want *want)
{
	static const struct want again = {.e = ERR_AGAIN};
	size_t decided = 0;

	for (size_t n = 0; n <= in.len; n++) {
		char *cut = malloc(MAX(n, (size_t)1));
		struct client_hello hello;
		int e;

		assert_non_null(cut);
		memcpy(cut, in.p, n);
		e = client_hello_parse((struct str){cut, n}, &hello);
		if (decided == 0 && e != ERR_AGAIN)
			decided = n;
		check(why, (struct str){cut, n}, decided == 0 ? &again : want);
		free(cut);
	}
	return decided;
}

/* The message in one record; in two, cut at every byte; in records of every length up to 20. */
static void check_message(const char *why, struct str message, const struct want *want)
{
	struct str in = make_records(message, RECORD, RECORD);

	check_prefixes(why, in, want);
	records_free(in);
	for (size_t i = 1; i < message.len; i++) {
		in = make_records(message, i, RECORD);
		check(why, in, want);
		records_free(in);
	}
	for (size_t i = 1; i <= 20; i++) {
		in = make_records(message, i, i);
		check_prefixes(why, in, want);
		records_free(in);
	}
}

/* ---- what is said ---- */

static void test_names(void **state)
{
	static const struct {
		const char *why;
		struct str name;
		const char *want; /* NULL: refused */
	} cases[] = {
		{"a name", STR("app.example.org"), "app.example.org"},
		{"upper case", STR("App.EXAMPLE.org"), "app.example.org"},
		{"a dot at the end", STR("app.example.org."), "app.example.org"},
		{"one label", STR("localhost"), "localhost"},
		{"an underscore", STR("my_app.example.org"), "my_app.example.org"},
		{"punycode", STR("xn--bcher-kva.example"), "xn--bcher-kva.example"},
		{"the longest", STR(N253), N253},
		{"the longest and a dot", STR(N253 "."), N253},
		{"one byte too long", STR(N253 "b"), NULL},
		{"much too long", STR(N253 N253 N253), NULL},
		{"a label too long", STR(L63 "d.example"), NULL},
		{"an empty one", STR(""), NULL},
		{"a dot", STR("."), NULL},
		{"two dots at the end", STR("a.example.."), NULL},
		{"an empty label", STR("a..example"), NULL},
		{"a dot in front", STR(".example"), NULL},
		{"a NUL", STR("a.example\0.org"), NULL},
		{"a NUL at the end", STR("a.example\0"), NULL},
		{"a space", STR("a.example "), NULL},
		{"a port", STR("a.example:443"), NULL},
		{"a wildcard", STR("*.example.org"), NULL},
		{"a byte above 0x7f", STR("\xc3\xbc.example"), NULL},
		{"a path", STR("../../etc/passwd"), NULL},
		{"an IPv4 address is no name", STR("192.0.2.1"), ""},
		{"an IPv6 address", STR("2001:DB8::1"), ""},
		{"the longest of those", STR("abcd:abcd:abcd:abcd:abcd:abcd:192.168.100.200"), ""},
		{"an IPv4 address and a dot", STR("192.0.2.1."), NULL},
		{"an IPv4 address that is none", STR("192.0.2.256"), NULL},
		{"half an IPv4 address", STR("192.0.2"), NULL},
		{"an IPv6 address that is none", STR("2001:db8::1::2"), NULL},
		{"an IPv6 address in brackets", STR("[2001:db8::1]"), NULL},
		{"an IPv6 address with a zone", STR("fe80::1%eth0"), NULL},
		{"more digits than an address has",
		 STR("0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0"), NULL},
		{"a line break", STR("a.example\r\nHost: b"), NULL},
	};
	char *message = malloc(MESSAGE);

	assert_non_null(message);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct want want = {.e = cases[i].want == NULL ? ERR_PROTO : 0,
				    .sni = cases[i].want};
		char mem[2048];
		struct pen pen = pen_on(mem + 2, sizeof mem - 2);
		struct pen len = pen_on(mem, 2);

		pen_sni(&pen, cases[i].name);
		assert_false(pen.full);
		pen_number(&len, 2, pen_len(&pen));
		check_message(cases[i].why,
			      make_message((struct str){mem, pen_len(&pen) + 2}, message), &want);
	}
	free(message);
}

#define SNI_A	"\0\0\0\x06\0\x04\0\0\x01" /* and one letter */
#define ALPN_H2 "\0\x10\0\x05\0\x03\x02h2"

static void test_extensions(void **state)
{
	static const struct {
		const char *why;
		struct str list; /* with its length in front */
		struct want want;
	} cases[] = {
		{"none, as TLS 1.2 allows", STR(""), {0, "", STR("")}},
		{"an empty list", STR("\0\0"), {0, "", STR("")}},
		{"a name", STR("\0\x0a" SNI_A "a"), {0, "a", STR("")}},
		{"a protocol", STR("\0\x09" ALPN_H2), {0, "", STR("\x02h2")}},
		{"a name and a protocol", STR("\0\x13" SNI_A "a" ALPN_H2), {0, "a", STR("\x02h2")}},
		{"a protocol and a name", STR("\0\x13" ALPN_H2 SNI_A "a"), {0, "a", STR("\x02h2")}},
		{"two protocols",
		 STR("\0\x12\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1"),
		 {0, "", STR("\x02h2\x08http/1.1")}},
		{"a protocol of GREASE",
		 STR("\0\x0c\0\x10\0\x08\0\x06\x02\x0a\x0a\x02h2"),
		 {0, "", STR("\x02\x0a\x0a\x02h2")}},
		{"GREASE around it",
		 STR("\0\x13\x0a\x0a\0\0" SNI_A "a\xfa\xfa\0\x01\0"),
		 {0, "a", STR("")}},
		{"a name of a type to come",
		 STR("\0\x0e\0\0\0\x0a\0\x08\x01\0\x01\xff\0\0\x01z"),
		 {0, "z", STR("")}},
		{"only a name of a type to come",
		 STR("\0\x0a\0\0\0\x06\0\x04\x01\0\x01z"),
		 {0, "", STR("")}},

		{"half a length", STR("\0"), {ERR_PROTO}},
		{"a list shorter than the message", STR("\0\0\0"), {ERR_PROTO}},
		{"a list longer than the message", STR("\0\x0b" SNI_A "a"), {ERR_PROTO}},
		{"a cut type", STR("\0\x01\0"), {ERR_PROTO}},
		{"a cut length", STR("\0\x03\0\x17\0"), {ERR_PROTO}},
		{"an extension past the end", STR("\0\x04\0\x17\0\x01"), {ERR_PROTO}},
		{"a long extension past the end", STR("\0\x04\0\x17\xff\xff"), {ERR_PROTO}},
		{"an address and a name",
		 STR("\0\x15\0\0\0\x11\0\x0f\0\0\x08"
		     "10.0.0.1"
		     "\0\0\x01z"),
		 {ERR_PROTO}},
		{"the name twice", STR("\0\x14" SNI_A "a" SNI_A "a"), {ERR_PROTO}},
		{"protocols twice", STR("\0\x12" ALPN_H2 ALPN_H2), {ERR_PROTO}},
		{"an unknown one twice", STR("\0\x08\xff\xff\0\0\xff\xff\0\0"), {ERR_PROTO}},
		{"an empty name extension", STR("\0\x04\0\0\0\0"), {ERR_PROTO}},
		{"an empty list of names", STR("\0\x06\0\0\0\x02\0\0"), {ERR_PROTO}},
		{"a list of names cut short", STR("\0\x0a\0\0\0\x06\0\x03\0\0\x01z"), {ERR_PROTO}},
		{"a list of names too long", STR("\0\x0a\0\0\0\x06\0\x05\0\0\x01z"), {ERR_PROTO}},
		{"a byte behind the list of names",
		 STR("\0\x0b\0\0\0\x07\0\x04\0\0\x01z\0"),
		 {ERR_PROTO}},
		{"a name past its list", STR("\0\x0a\0\0\0\x06\0\x04\0\0\x02z"), {ERR_PROTO}},
		{"a name cut in its length", STR("\0\x08\0\0\0\x04\0\x02\0\0"), {ERR_PROTO}},
		{"a name of a type to come past its list",
		 STR("\0\x0a\0\0\0\x06\0\x04\x07\0\x02z"),
		 {ERR_PROTO}},
		{"two host names", STR("\0\x0e\0\0\0\x0a\0\x08\0\0\x01y\0\0\x01z"), {ERR_PROTO}},
		{"an empty list of protocols", STR("\0\x06\0\x10\0\x02\0\0"), {ERR_PROTO}},
		{"an empty protocol", STR("\0\x08\0\x10\0\x04\0\x02\0\0"), {ERR_PROTO}},
		{"an empty protocol at the end",
		 STR("\0\x0a\0\x10\0\x06\0\x04\x02h2\0"),
		 {ERR_PROTO}},
		{"a protocol past its list", STR("\0\x09\0\x10\0\x05\0\x03\x03h2"), {ERR_PROTO}},
		{"a byte behind the protocols",
		 STR("\0\x0a\0\x10\0\x06\0\x03\x02h2\0"),
		 {ERR_PROTO}},
	};
	char *message = malloc(MESSAGE);

	assert_non_null(message);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_message(cases[i].why, make_message(cases[i].list, message), &cases[i].want);
	free(message);
}

static void test_many_protocols(void **state)
{
	static const struct {
		const char *why;
		size_t last; /* bytes of the last of them; the others have 9 with their length */
		bool kept;
	} cases[] = {
		{"as many as are kept", CLIENT_HELLO_ALPN_MAX - 28 * 9 - 1, true},
		{"one byte more is not kept", CLIENT_HELLO_ALPN_MAX - 28 * 9, false},
		{"many more are not", 200, false},
	};
	char *message = malloc(MESSAGE);

	assert_non_null(message);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char list[600], all[600], name[256];
		struct pen names = pen_on(list + 2, sizeof list - 2), pen = pen_on(list, 2);
		struct pen ext = pen_on(all + 2, sizeof all - 2);
		struct want want = {0, "", STR("")};

		memset(name, 'x', sizeof name);
		for (int k = 0; k < 28; k++)
			pen_vector(&names, 1, STR("http/1.1"));
		pen_vector(&names, 1, (struct str){name, cases[i].last});
		pen_number(&pen, 2, pen_len(&names));
		if (cases[i].kept)
			want.alpn = (struct str){list + 2, pen_len(&names)};
		pen_extension(&ext, 16, (struct str){list, pen_len(&names) + 2});
		assert_false(names.full || ext.full);
		pen = pen_on(all, 2);
		pen_number(&pen, 2, pen_len(&ext));
		check_message(cases[i].why,
			      make_message((struct str){all, pen_len(&ext) + 2}, message), &want);
	}
	free(message);
}

/* ---- what OpenSSL says ---- */

static struct str openssl_hello(int version, const char *sni, struct str alpn)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL *ssl = SSL_new(ctx);
	char name[64], *mem;
	int n;

	assert_true(ssl != NULL && in != NULL && out != NULL);
	assert_int_equal(SSL_set_min_proto_version(ssl, version), 1);
	assert_int_equal(SSL_set_max_proto_version(ssl, version), 1);
	if (sni != NULL) {
		assert_int_equal(str_copy(name, sizeof name, str_of(sni)), 0);
		assert_int_equal(SSL_set_tlsext_host_name(ssl, name), 1);
	}
	if (alpn.len > 0)
		assert_int_equal(SSL_set_alpn_protos(ssl, (const uint8_t *)alpn.p,
						     (unsigned)alpn.len),
				 0);
	SSL_set_bio(ssl, in, out);
	assert_int_equal(SSL_connect(ssl), -1);
	n = (int)BIO_pending(out);
	assert_true(n > 50);
	mem = malloc((size_t)n);
	assert_non_null(mem);
	assert_int_equal(BIO_read(out, mem, n), n);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return (struct str){mem, (size_t)n};
}

static void test_openssl(void **state)
{
	static const struct {
		const char *why;
		int version;
		const char *sni;
		struct str alpn;
		const char *want;
	} cases[] = {
		{"1.3, nothing said", TLS1_3_VERSION, NULL, STR(""), ""},
		{"1.3, a name", TLS1_3_VERSION, "App.example.org", STR(""), "app.example.org"},
		{"1.3, protocols", TLS1_3_VERSION, NULL, STR("\x02h2\x08http/1.1"), ""},
		{"1.3, both", TLS1_3_VERSION, "a.example", STR("\x08http/1.1"), "a.example"},
		{"1.2, nothing said", TLS1_2_VERSION, NULL, STR(""), ""},
		{"1.2, a name", TLS1_2_VERSION, "app.example.org", STR(""), "app.example.org"},
		{"1.2, both", TLS1_2_VERSION, "a.example", STR("\x02h2"), "a.example"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str in = openssl_hello(cases[i].version, cases[i].sni, cases[i].alpn);
		struct want want = {0, cases[i].want, cases[i].alpn};

		check_message(cases[i].why, (struct str){in.p + 5, in.len - 5}, &want);
		assert_int_equal(check_prefixes(cases[i].why, in, &want), in.len);
		records_free(in);
	}
}

/* ---- what is none ---- */

#define ZERO10 "\0\0\0\0\0\0\0\0\0\0"
#define ZERO33 ZERO10 ZERO10 ZERO10 "\0\0\0"
#define HEAD   "\x16\x03\x01\0\x2d\x01\0\0\x29\x03\x03" ZERO10 ZERO10 ZERO10 "\0\0"
#define LONG   "\x16\x03\x01\x40\0\x01\0\x3f\xfc\x03\x03" ZERO10 ZERO10 ZERO10 "\0\0"

/* The first byte that cannot be one is told, and no byte before it. */
static void test_told_at_once(void **state)
{
	static const struct {
		const char *why;
		struct str in; /* its last byte is the impossible one */
		int e;
	} cases[] = {
		{"HTTP", STR("G"), ERR_PROTO},
		{"PROXY", STR("P"), ERR_PROTO},
		{"ssh", STR("S"), ERR_PROTO},
		{"a ClientHello of SSL 2", STR("\x80"), ERR_PROTO},
		{"an alert", STR("\x15"), ERR_PROTO},
		{"application data", STR("\x17"), ERR_PROTO},
		{"version 2", STR("\x16\x02"), ERR_PROTO},
		{"version 3.5", STR("\x16\x03\x05"), ERR_PROTO},
		{"DTLS", STR("\x16\xfe"), ERR_PROTO},
		{"a record of nothing", STR("\x16\x03\x01\0\0"), ERR_PROTO},
		{"a record of 16640 bytes", STR("\x16\x03\x01\x41"), ERR_PROTO},
		{"a record of 16385 bytes", STR("\x16\x03\x01\x40\x01"), ERR_PROTO},
		{"a ServerHello", STR("\x16\x03\x01\0\x40\x02"), ERR_PROTO},
		{"a HelloRequest", STR("\x16\x03\x01\0\x40\0"), ERR_PROTO},
		{"16 MiB", STR("\x16\x03\x01\x40\0\x01\xff\xff\xff"), ERR_TOOBIG},
		{"one byte above the cap, headers and all", STR("\x16\x03\x01\x40\0\x01\0\xff\xf3"),
		 ERR_TOOBIG},
		{"too short a message", STR("\x16\x03\x01\0\x40\x01\0\0\x28"), ERR_PROTO},
		{"a record that goes on behind the message", STR("\x16\x03\x01\0\x2e\x01\0\0\x29"),
		 ERR_PROTO},
		{"a second record that does",
		 STR("\x16\x03\x01\0\x04\x01\0\0\x29\x16\x03\x01\0\x2a"), ERR_PROTO},
		{"another record in between", STR("\x16\x03\x01\0\x02\x01\0\x14"), ERR_PROTO},
		{"an empty record in between", STR("\x16\x03\x01\0\x02\x01\0\x16\x03\x03\0\0"),
		 ERR_PROTO},
		{"version 2 inside", STR("\x16\x03\x01\0\x2d\x01\0\0\x29\x02"), ERR_PROTO},
		{"a session of 33 bytes", STR(LONG "\x21"), ERR_PROTO},
		{"a session past the end", STR(HEAD "\x07"), ERR_PROTO},
		{"no cipher suite", STR(HEAD "\0\0\0"), ERR_PROTO},
		{"half a cipher suite", STR(HEAD "\0\0\x03"), ERR_PROTO},
		{"one and a half", STR(LONG "\0\0\x03"), ERR_PROTO},
		{"cipher suites past the end", STR(HEAD "\0\x01"), ERR_PROTO},
		{"no compression", STR(HEAD "\0\0\x02\x13\x01\0"), ERR_PROTO},
		{"compressions past the end", STR(HEAD "\0\0\x02\x13\x01\x02"), ERR_PROTO},
		{"a NUL in a name of which more is to come",
		 STR(LONG "\0\0\x02\x13\x01\x01\0\x3f\xd1\0\0\0\x23\0\x21\0\0\x1e"
			  "a.example\0"),
		 ERR_PROTO},
		{"an empty label in such a name",
		 STR(LONG "\0\0\x02\x13\x01\x01\0\x3f\xd1\0\0\0\x23\0\x21\0\0\x1e"
			  "a.."),
		 ERR_PROTO},
		{"what is neither a name nor an address",
		 STR(LONG "\0\0\x02\x13\x01\x01\0\x3f\xd1\0\0\0\x23\0\x21\0\0\x1e"
			  "a.example:"),
		 ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct want want = {.e = cases[i].e};
		size_t at = check_prefixes(cases[i].why, cases[i].in, &want);

		if (at != cases[i].in.len)
			fail_msg("%s: told at byte %zu of %zu", cases[i].why, at, cases[i].in.len);
	}
}

/* Not more than CLIENT_HELLO_MAX, however it is cut. */
static void test_limit(void **state)
{
	static const struct {
		const char *why;
		size_t len, record;
		int e;
	} cases[] = {
		{"the longest, in full records", CLIENT_HELLO_MAX - 4 * 5, RECORD, 0},
		{"one byte more", CLIENT_HELLO_MAX - 4 * 5 + 1, RECORD, ERR_TOOBIG},
		{"the longest, in small records", CLIENT_HELLO_MAX / 2 / 5 * 5, 5, 0},
		{"one record more", CLIENT_HELLO_MAX / 2 / 5 * 5 + 5, 5, ERR_TOOBIG},
		{"the longest, in the smallest records", CLIENT_HELLO_MAX / 6, 1, 0},
		{"one byte more of these", CLIENT_HELLO_MAX / 6 + 1, 1, ERR_TOOBIG},
	};
	char *message = malloc(MESSAGE), *padding = calloc(1, MESSAGE);

	assert_non_null(message);
	assert_non_null(padding);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct want want = {.e = cases[i].e, .sni = ""};
		struct str in = make_padded(cases[i].len, cases[i].record, padding, message);
		struct client_hello hello;

		check(cases[i].why, in, &want);
		in.len = MIN(in.len, (size_t)CLIENT_HELLO_MAX); /* no more has to be kept */
		check(cases[i].why, in, &want);
		assert_int_equal(client_hello_parse((struct str){in.p, 8}, &hello), ERR_AGAIN);
		records_free(in);
	}
	free(message);
	free(padding);
}

/*
 * Whoever asks again only when there is use in it is told the same, asks seldom, and never waits
 * for more than there is.
 */
static void test_least(void **state)
{
	static const struct {
		const char *why;
		size_t len, record;
		unsigned most; /* looks */
	} cases[] = {
		{"short, in one record", 300, RECORD, 10},
		{"long, in one record", 16000, RECORD, 10},
		{"as long as can be", CLIENT_HELLO_MAX - 4 * 5, RECORD, 14},
		{"in two records", 300, 299, 12},
		{"cut in its length", 300, 2, 50},
		{"in small records", CLIENT_HELLO_MAX / 2 / 5 * 5, 5, 40},
		{"in the smallest records", CLIENT_HELLO_MAX / 6, 1, 100},
	};
	char *message = malloc(MESSAGE), *padding = calloc(1, MESSAGE);

	assert_non_null(message);
	assert_non_null(padding);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str in = make_padded(cases[i].len, cases[i].record, padding, message);
		struct client_hello hello;
		size_t n = 0, least;
		unsigned looks = 0;

		while (client_hello_parse((struct str){in.p, n}, &hello) == ERR_AGAIN) {
			least = client_hello_least((struct str){in.p, n});
			if (least <= n || least > in.len || ++looks > cases[i].most)
				fail_msg("%s: look %u, %zu of %zu bytes, wants %zu", cases[i].why,
					 looks, n, in.len, least);
			n = least;
		}
		assert_int_equal(n, in.len);
		records_free(in);
	}
	free(message);
	free(padding);
}

/* What comes behind it is not looked at: it belongs to somebody else. */
static void test_what_follows(void **state)
{
	static const struct want want = {0, "a", STR("")};
	char *message = malloc(MESSAGE), in[512];
	struct str one;

	assert_non_null(message);
	one = make_records(make_message(STR("\0\x0a" SNI_A "a"), message), 7, RECORD);
	memset(in, 0xff, sizeof in);
	memcpy(in, one.p, one.len);
	check("followed by nonsense", (struct str){in, sizeof in}, &want);
	records_free(one);
	free(message);
}

/* Every byte of a message replaced by nonsense: never a crash, and never a name that is none. */
static void test_nonsense(void **state)
{
	static const uint8_t bytes[] = {0, 1, 2, 3, 0x16, 0x2e, 0x40, 0x7f, 0x80, 0xff};
	char *message = malloc(MESSAGE);
	struct str whole, one;

	assert_non_null(message);
	whole = make_message(STR("\0\x15" SNI_A "a" ALPN_H2 "\0\x17"), message);
	for (size_t at = 0; at < whole.len + 5; at++) {
		for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
			struct client_hello hello = {.alpn_len = 0};
			int e;

			one = make_records(whole, RECORD, RECORD);
			((char *)(uintptr_t)one.p)[at] = (char)bytes[i];
			e = client_hello_parse(one, &hello);
			assert_true(e == 0 || e == ERR_AGAIN || e == ERR_PROTO || e == ERR_TOOBIG);
			if (e == 0 && hello.sni[0] != '\0')
				assert_true(hostname_resolvable(str_of(hello.sni)));
			assert_true(hello.alpn_len <= sizeof hello.alpn);
			records_free(one);
		}
	}
	free(message);
}

static void test_refuse(void **state)
{
	uint8_t out[CLIENT_HELLO_ALERT];

	client_hello_refuse(CLIENT_HELLO_UNRECOGNIZED_NAME, out);
	assert_memory_equal(out, "\x15\x03\x03\0\x02\x02\x70", sizeof out);
	client_hello_refuse(CLIENT_HELLO_DECODE_ERROR, out);
	assert_memory_equal(out, "\x15\x03\x03\0\x02\x02\x32", sizeof out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	       cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_many_protocols), cmocka_unit_test(test_openssl),
		cmocka_unit_test(test_told_at_once),   cmocka_unit_test(test_limit),
		cmocka_unit_test(test_least),	       cmocka_unit_test(test_what_follows),
		cmocka_unit_test(test_nonsense),       cmocka_unit_test(test_refuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
